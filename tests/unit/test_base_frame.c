/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <sys/socket.h>
#include <sys/wait.h>

struct pair {
	struct pl_chan a, b;
};

static void
pair_open(struct pair *p, int flags)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    flags, 0, fds), 0);
	pl_chan_init(&p->a, fds[0]);
	pl_chan_init(&p->b, fds[1]);
}

static void
pair_close(struct pair *p)
{
	pl_chan_clear(&p->a);
	pl_chan_clear(&p->b);
}

static struct pl_cursor
cursor(const struct pl_buf *b)
{
	const unsigned char *p = (const unsigned char *)b->data;

	return (struct pl_cursor){ .p = p, .end = p + b->len };
}

static void
values_there_and_back(void **state PL_UNUSED)
{
	struct pl_cursor c;
	struct pl_buf b;
	const char *p;
	size_t n;

	pl_buf_init(&b, 1000);
	pl_put_u8(&b, 200);
	pl_put_u32(&b, 0xdeadbeef);
	pl_put_u64(&b, 0x0123456789abcdef);
	pl_put_str(&b, "text");
	pl_put_str(&b, "");
	pl_put_str(&b, NULL);
	pl_put_blob(&b, "a\0b", 3);
	pl_put_blob(&b, "", 0);
	pl_put_blob(&b, NULL, 0);
	c = cursor(&b);
	assert_int_equal(pl_get_u8(&c), 200);
	assert_int_equal(pl_get_u32(&c), 0xdeadbeef);
	assert_true(pl_get_u64(&c) == 0x0123456789abcdef);
	assert_string_equal(pl_get_str(&c), "text");
	assert_string_equal(pl_get_str(&c), "");
	assert_null(pl_get_str(&c));
	p = pl_get_blob(&c, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(p, "a\0b", 4);
	p = pl_get_blob(&c, &n);
	assert_non_null(p);
	assert_int_equal(n, 0);
	assert_null(pl_get_blob(&c, &n));
	assert_false(c.bad);
	assert_ptr_equal(c.p, c.end);
	pl_buf_clear(&b);
}

/* The octets on the wire are part of the contract between programs. */
static void
octets_are_little_endian(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 100);
	pl_put_u32(&b, 0x01020304);
	pl_put_u64(&b, 0x05);
	pl_put_str(&b, "x");
	pl_put_str(&b, NULL);
	assert_int_equal(b.len, 4 + 8 + 6 + 4);
	assert_memory_equal(b.data, "\4\3\2\1\5\0\0\0\0\0\0\0\1\0\0\0x\0"
	    "\xff\xff\xff\xff", b.len);
	pl_buf_clear(&b);
}

static void
errors_there_and_back(void **state PL_UNUSED)
{
	struct pl_err in, out;
	struct pl_cursor c;
	struct pl_buf b;

	pl_buf_init(&b, 1000);
	pl_fail_sys(&in, PL_ELIMIT, 11, "zone");
	in.http = 429;
	in.retry_after = 90000;
	pl_put_err(&b, &in);
	c = cursor(&b);
	pl_get_err(&c, &out);
	assert_false(c.bad);
	assert_int_equal(out.code, PL_ELIMIT);
	assert_int_equal(out.sys, 11);
	assert_int_equal(out.http, 429);
	assert_int_equal(out.retry_after, 90000);
	assert_string_equal(out.text, in.text);
	pl_buf_clear(&b);
}

static void
frames_in_order(void **state PL_UNUSED)
{
	struct pl_frame f;
	struct pl_buf b;
	struct pair p;
	uint32_t i;
	bool eof;

	pair_open(&p, SOCK_NONBLOCK);
	pl_buf_init(&b, 100);
	assert_false(pl_chan_next(&p.b, &f));
	for (i = 0; i < 100; i++) {
		pl_buf_reset(&b);
		pl_put_u32(&b, i);
		assert_int_equal(pl_chan_send(&p.a, (uint8_t)i, &b, NULL),
		    PL_OK);
	}
	assert_int_equal(pl_chan_send(&p.a, 255, NULL, NULL), PL_OK);
	assert_int_equal(pl_chan_fill(&p.b, &eof, NULL), PL_OK);
	assert_false(eof);
	for (i = 0; i < 100; i++) {
		assert_true(pl_chan_next(&p.b, &f));
		assert_int_equal(f.type, i);
		assert_int_equal(pl_get_u32(&f.body), i);
		assert_ptr_equal(f.body.p, f.body.end);
	}
	assert_true(pl_chan_next(&p.b, &f));
	assert_int_equal(f.type, 255);
	assert_ptr_equal(f.body.p, f.body.end);
	assert_false(pl_chan_next(&p.b, &f));
	pl_buf_clear(&b);
	pair_close(&p);
}

/* More than a socket holds, in both sizes, with nobody reading at first. */
static void
what_waits_goes_out_later(void **state PL_UNUSED)
{
	const size_t large = 1000000, count = 20;
	size_t got = 0, small = 0, i;
	struct pl_frame f;
	struct pl_buf b;
	struct pair p;
	bool eof;

	pair_open(&p, SOCK_NONBLOCK);
	pl_buf_init(&b, large);
	for (i = 0; i < large; i++)
		pl_buf_addc(&b, (char)(i * 31 % 251));
	for (i = 0; i < count; i++) {
		assert_int_equal(pl_chan_send(&p.a, 1, &b, NULL), PL_OK);
		assert_int_equal(pl_chan_send(&p.a, 2, NULL, NULL), PL_OK);
	}
	assert_true(pl_chan_pending(&p.a));
	while (got < count || small < count) {
		assert_int_equal(pl_chan_flush(&p.a, NULL), PL_OK);
		assert_int_equal(pl_chan_fill(&p.b, &eof, NULL), PL_OK);
		assert_false(eof);
		while (pl_chan_next(&p.b, &f)) {
			if (f.type == 2) {
				small++;
				continue;
			}
			got++;
			assert_int_equal(f.body.end - f.body.p, large);
			assert_memory_equal(f.body.p, b.data, large);
		}
	}
	assert_false(pl_chan_pending(&p.a));
	assert_int_equal(p.a.out.len, 0);
	pl_buf_clear(&b);
	pair_close(&p);
}

/* The largest frame passes, and reading stops by itself before memory. */
static void
largest_frame_and_back_pressure(void **state PL_UNUSED)
{
	struct pl_frame f;
	struct pl_buf b;
	struct pair p;
	size_t i, n = 0;
	bool eof;

	pair_open(&p, SOCK_NONBLOCK);
	pl_buf_init(&b, PL_LIM_FRAME);
	while (b.len < PL_LIM_FRAME - 1)
		pl_buf_add(&b, "0123456789abcde", b.len + 15 <
		    PL_LIM_FRAME ? 15 : PL_LIM_FRAME - 1 - b.len);
	for (i = 0; i < 6; i++)
		assert_int_equal(pl_chan_send(&p.a, 7, &b, NULL), PL_OK);
	/* Nobody takes frames: `in` stays within its limit. */
	for (i = 0; i < 200; i++) {
		assert_int_equal(pl_chan_flush(&p.a, NULL), PL_OK);
		assert_int_equal(pl_chan_fill(&p.b, &eof, NULL), PL_OK);
		assert_false(eof);
	}
	assert_false(p.b.in.failed);
	assert_true(pl_chan_pending(&p.a));
	while (n < 6) {
		if (pl_chan_next(&p.b, &f)) {
			assert_int_equal(f.body.end - f.body.p, b.len);
			assert_memory_equal(f.body.p, b.data, b.len);
			n++;
			continue;
		}
		assert_int_equal(pl_chan_flush(&p.a, NULL), PL_OK);
		assert_int_equal(pl_chan_fill(&p.b, &eof, NULL), PL_OK);
	}
	pl_buf_clear(&b);
	pair_close(&p);
}

/* A worker: blocking, one frame after another, until the peer goes. */
static void
echo(struct pl_chan *ch)
{
	struct pl_frame f;
	struct pl_buf b;
	bool eof;

	pl_buf_init(&b, PL_LIM_FRAME);
	while (pl_chan_wait(ch, &f, &eof, NULL) == PL_OK && !eof) {
		pl_buf_reset(&b);
		pl_buf_add(&b, f.body.p, (size_t)(f.body.end - f.body.p));
		if (pl_chan_send(ch, f.type, &b, NULL) != PL_OK)
			_exit(2);
	}
	pl_buf_clear(&b);
	_exit(eof ? 0 : 1);
}

static void
blocking_end_waits(void **state PL_UNUSED)
{
	struct pl_frame f;
	struct pl_buf b;
	struct pair p;
	int status;
	bool eof;
	pid_t pid;
	size_t i;

	pair_open(&p, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pl_chan_clear(&p.a);
		echo(&p.b);
	}
	close(p.b.fd);
	p.b.fd = -1;
	pl_buf_init(&b, 400000);
	for (i = 0; i < 300000; i += 9973) {
		pl_buf_reset(&b);
		while (b.len < i)
			pl_buf_addc(&b, (char)(b.len & 127));
		assert_int_equal(pl_chan_send(&p.a, 9, &b, NULL), PL_OK);
		assert_int_equal(pl_chan_wait(&p.a, &f, &eof, NULL), PL_OK);
		assert_false(eof);
		assert_int_equal(f.type, 9);
		assert_int_equal(f.body.end - f.body.p, b.len);
		assert_memory_equal(f.body.p, b.data, b.len);
	}
	pl_buf_clear(&b);
	pair_close(&p);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What was sent before the end is not lost with it. */
static void
end_comes_behind_the_frames(void **state PL_UNUSED)
{
	struct pl_frame f;
	struct pair p;
	bool eof;

	pair_open(&p, 0);
	assert_int_equal(pl_chan_send(&p.a, 1, NULL, NULL), PL_OK);
	assert_int_equal(pl_chan_send(&p.a, 2, NULL, NULL), PL_OK);
	pl_chan_clear(&p.a);
	assert_int_equal(pl_chan_wait(&p.b, &f, &eof, NULL), PL_OK);
	assert_false(eof);
	assert_int_equal(f.type, 1);
	assert_int_equal(pl_chan_wait(&p.b, &f, &eof, NULL), PL_OK);
	assert_false(eof);
	assert_int_equal(f.type, 2);
	assert_int_equal(pl_chan_wait(&p.b, &f, &eof, NULL), PL_OK);
	assert_true(eof);
	pl_chan_clear(&p.b);
	pl_chan_clear(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_there_and_back),
		cmocka_unit_test(octets_are_little_endian),
		cmocka_unit_test(errors_there_and_back),
		cmocka_unit_test(frames_in_order),
		cmocka_unit_test(what_waits_goes_out_later),
		cmocka_unit_test(largest_frame_and_back_pressure),
		cmocka_unit_test(blocking_end_waits),
		cmocka_unit_test(end_comes_behind_the_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
