/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <sys/socket.h>

static struct pl_cursor
cursor(const void *p, size_t n)
{
	const unsigned char *data = p;

	return (struct pl_cursor){ .p = data, .end = data + n };
}

static void
bad_stays_bad(void **state PL_UNUSED)
{
	struct pl_cursor c = cursor("\1\2\3\4\5", 5);
	size_t n = 9;

	assert_int_equal(pl_get_u64(&c), 0);
	assert_true(c.bad);
	/* Five octets were there, but nothing is believed any more. */
	assert_int_equal(pl_get_u8(&c), 0);
	assert_int_equal(pl_get_u32(&c), 0);
	assert_string_equal(pl_get_str(&c), "");
	assert_string_equal(pl_get_blob(&c, &n), "");
	assert_int_equal(n, 0);
	assert_int_equal(pl_get_count(&c, 1), 0);
}

static void
lying_strings(void **state PL_UNUSED)
{
	static const struct {
		const char *octets;
		size_t n;
	} bad[] = {
		{ "\4\0\0\0abc\0", 8 },		/* one too long */
		{ "\3\0\0\0abcd", 8 },		/* no NUL behind */
		{ "\3\0\0\0a\0c\0", 8 },	/* NUL inside */
		{ "\xfe\xff\xff\xff""abc", 7 },	/* nearly NULL */
		{ "\0\0\0\x80""abc", 7 },
		{ "\0\0\0\0", 4 },		/* empty, NUL missing */
		{ "\1\0\0", 3 },
		{ "", 0 },
	};
	struct pl_cursor c;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		c = cursor(bad[i].octets, bad[i].n);
		assert_string_equal(pl_get_str(&c), "");
		assert_true(c.bad);
		assert_ptr_equal(c.p, c.end);
	}
}

static void
lying_counts(void **state PL_UNUSED)
{
	struct pl_cursor c = cursor("\2\0\0\0" "12345678", 12);

	assert_int_equal(pl_get_count(&c, 4), 2);
	assert_false(c.bad);
	c = cursor("\3\0\0\0" "12345678", 12);
	assert_int_equal(pl_get_count(&c, 4), 0);
	assert_true(c.bad);
	c = cursor("\xff\xff\xff\xff" "12345678", 12);
	assert_int_equal(pl_get_count(&c, 0), 0);
	assert_true(c.bad);
	c = cursor("\1\0\0\0" "12345678", 12);
	assert_int_equal(pl_get_count(&c, SIZE_MAX), 0);
	assert_true(c.bad);
	c = cursor("\0\0\0\0", 4);
	assert_int_equal(pl_get_count(&c, 4), 0);
	assert_false(c.bad);
}

/* A worker in foreign hands must not make an error look like success. */
static void
lying_errors(void **state PL_UNUSED)
{
	struct pl_cursor c;
	struct pl_err err;
	struct pl_buf b;

	pl_buf_init(&b, 1000);
	pl_put_u32(&b, PL_NCODES);
	pl_put_u32(&b, 0);
	pl_put_u32(&b, 0);
	pl_put_u64(&b, 0);
	pl_put_str(&b, "x");
	c = cursor(b.data, b.len);
	pl_get_err(&c, &err);
	assert_true(c.bad);
	assert_int_equal(err.code, PL_EPROTO);
	c = cursor(b.data, 3);
	pl_get_err(&c, &err);
	assert_int_equal(err.code, PL_EPROTO);

	pl_buf_reset(&b);
	pl_put_u32(&b, PL_ENET);
	pl_put_u32(&b, 0xffffffff);
	pl_put_u32(&b, 100000);
	pl_put_u64(&b, UINT64_MAX);
	pl_put_str(&b, "evil\x1b[2J\n");
	c = cursor(b.data, b.len);
	pl_get_err(&c, &err);
	assert_false(c.bad);
	assert_int_equal(err.sys, 0);
	assert_int_equal(err.http, 0);
	assert_int_equal(err.retry_after, 0);
	assert_string_equal(err.text, "evil\\x1b[2J\\x0a");

	pl_buf_reset(&b);
	pl_put_u32(&b, PL_ELIMIT);
	pl_put_u32(&b, 0);
	pl_put_u32(&b, 0);
	pl_put_u64(&b, INT64_MAX);
	pl_put_str(&b, NULL);
	c = cursor(b.data, b.len);
	pl_get_err(&c, &err);
	assert_true(c.bad);
	b.len -= 4;
	pl_put_str(&b, "");
	c = cursor(b.data, b.len);
	pl_get_err(&c, &err);
	assert_int_equal(err.code, PL_ELIMIT);
	assert_int_equal(err.retry_after, 86400000);
	pl_buf_clear(&b);
}

/* Feeds octets to a channel and tells what fill says in the end. */
static enum pl_code
fed(const void *p, size_t n, size_t *frames, struct pl_err *err)
{
	enum pl_code code;
	struct pl_frame f;
	struct pl_chan ch;
	int fds[2];
	bool eof;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(write(fds[0], p, n), (ssize_t)n);
	pl_chan_init(&ch, fds[1]);
	code = pl_chan_fill(&ch, &eof, err);
	*frames = 0;
	while (pl_chan_next(&ch, &f))
		(*frames)++;
	pl_chan_clear(&ch);
	close(fds[0]);
	return code;
}

static void
lying_lengths(void **state PL_UNUSED)
{
	struct pl_err err;
	size_t n;

	assert_int_equal(fed("\0\0\0\0", 4, &n, &err), PL_EPROTO);
	assert_int_equal(n, 0);
	assert_int_equal(fed("\1\0\x40\0", 4, &n, &err), PL_EPROTO);
	assert_int_equal(fed("\xff\xff\xff\xff", 4, &n, &err), PL_EPROTO);
	assert_non_null(strstr(err.text, "frame: "));
	/* Exactly the limit is only unfinished. */
	assert_int_equal(fed("\0\0\x40\0", 4, &n, &err), PL_OK);
	assert_int_equal(n, 0);
	/* A good one first, and the lie behind it is told all the same. */
	assert_int_equal(fed("\1\0\0\0\7\0\0\0\0", 9, &n, &err), PL_EPROTO);
	assert_int_equal(n, 1);
	assert_int_equal(fed("\1\0\0\0\7\1\0\0", 8, &n, &err), PL_OK);
	assert_int_equal(n, 1);
}

static void
too_much_to_send(void **state PL_UNUSED)
{
	struct pl_chan ch;
	struct pl_err err;
	struct pl_buf b;
	int fds[2];
	size_t i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	pl_chan_init(&ch, fds[0]);
	pl_buf_init(&b, 2 * PL_LIM_FRAME);
	while (b.len < PL_LIM_FRAME)
		pl_buf_adds(&b, "0123456789abcdef");
	assert_int_equal(pl_chan_send(&ch, 1, &b, &err), PL_ELIMIT);
	assert_false(pl_chan_pending(&ch));
	pl_buf_drop(&b, 1);
	/* Sixteen of them, less what the socket takes, and then no more. */
	for (i = 0; i < 32; i++)
		if (pl_chan_send(&ch, 1, &b, &err) != PL_OK)
			break;
	assert_true(i >= 15 && i < 18);
	assert_int_equal(err.code, PL_ELIMIT);
	assert_false(ch.out.failed);
	/* A payload that failed is not sent as an empty one. */
	pl_buf_clear(&b);
	pl_buf_init(&b, 1);
	pl_put_u32(&b, 1);
	assert_true(b.failed);
	assert_int_equal(pl_chan_send(&ch, 1, &b, &err), PL_ELIMIT);
	pl_buf_clear(&b);
	pl_chan_clear(&ch);
	close(fds[1]);
}

/* No signal, a code: the engine lives on when its worker dies. */
static void
peer_gone(void **state PL_UNUSED)
{
	struct pl_chan ch;
	struct pl_frame f;
	struct pl_err err;
	int fds[2];
	bool eof;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	pl_chan_init(&ch, fds[0]);
	close(fds[1]);
	assert_int_equal(pl_chan_send(&ch, 1, NULL, &err), PL_EIO);
	assert_string_equal(err.text, "peer: is gone: Broken pipe");
	assert_int_equal(pl_chan_flush(&ch, &err), PL_EIO);
	assert_int_equal(pl_chan_fill(&ch, &eof, &err), PL_OK);
	assert_true(eof);
	assert_int_equal(pl_chan_wait(&ch, &f, &eof, &err), PL_OK);
	assert_true(eof);
	pl_chan_clear(&ch);
	/* A descriptor that is none of ours to read. */
	pl_chan_init(&ch, open("/dev/null", O_RDWR | O_CLOEXEC));
	assert_int_equal(pl_chan_fill(&ch, &eof, &err), PL_EIO);
	pl_chan_clear(&ch);
}

static uint32_t
dice(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Reads a payload by a fixed plan; every answer must be usable. */
static void
read_all(struct pl_cursor c)
{
	struct pl_err err;
	const char *s;
	uint32_t i, n;
	size_t len;

	(void)pl_get_u8(&c);
	n = pl_get_count(&c, 9);
	assert_true(n <= 4096);
	for (i = 0; i < n; i++) {
		s = pl_get_str(&c);
		assert_true(s == NULL || strlen(s) < 4096);
		s = pl_get_blob(&c, &len);
		assert_true(s == NULL ? len == 0 : s[len] == '\0');
	}
	pl_get_err(&c, &err);
	assert_true((unsigned)err.code < PL_NCODES);
	assert_true(strlen(err.text) < PL_ERR_TEXT);
	if (c.bad)
		assert_int_equal(err.code, PL_EPROTO);
	assert_true(c.p <= c.end);
}

/*
 * Twenty thousand damaged payloads from one good one; the memory behind each
 * is its own, so that a sanitizer sees one octet too many.
 */
static void
damaged_payloads(void **state PL_UNUSED)
{
	const int rounds = 20000;
	struct pl_err err;
	struct pl_buf b;
	uint64_t seed = 1;
	unsigned char *copy;
	size_t n, k;
	int round;

	pl_buf_init(&b, 4096);
	pl_put_u8(&b, 1);
	pl_put_u32(&b, 3);
	for (k = 0; k < 3; k++) {
		pl_put_str(&b, k == 1 ? NULL : "_acme-challenge.example.com");
		pl_put_blob(&b, "\0\1\2", k);
	}
	pl_fail(&err, PL_EAUTH, "lab: BADKEY");
	pl_put_err(&b, &err);
	read_all(cursor(b.data, b.len));
	for (round = 0; round < rounds; round++) {
		n = dice(&seed) % 4 == 0 ? dice(&seed) % (b.len + 1) : b.len;
		copy = pl_array(n > 0 ? n : 1, 1);
		memcpy(copy, b.data, n);
		for (k = dice(&seed) % 4; n > 0 && k > 0; k--)
			copy[dice(&seed) % n] = dice(&seed) % 2 == 0 ?
			    (unsigned char)dice(&seed) :
			    (unsigned char)(0xff * (dice(&seed) % 2));
		read_all(cursor(copy, n));
		free(copy);
	}
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_stays_bad),
		cmocka_unit_test(lying_strings),
		cmocka_unit_test(lying_counts),
		cmocka_unit_test(lying_errors),
		cmocka_unit_test(lying_lengths),
		cmocka_unit_test(too_much_to_send),
		cmocka_unit_test(peer_gone),
		cmocka_unit_test(damaged_payloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
