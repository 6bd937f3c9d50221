/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void
starts_empty_and_terminated(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 10);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	pl_buf_add(&b, "", 0);
	pl_buf_reset(&b);
	pl_buf_drop(&b, 5);
	assert_string_equal(b.data, "");
	pl_buf_clear(&b);
	assert_string_equal(b.data, "");
	pl_buf_clear(&b);
	pl_buf_clear(NULL);
}

static void
appends_in_every_way(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 1000);
	pl_buf_adds(&b, "one");
	pl_buf_addc(&b, ',');
	pl_buf_addf(&b, "%d-%s", 2, "two");
	pl_buf_add(&b, "\0x", 2);
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data, "one,2-two\0x", 12);
	pl_buf_clear(&b);
}

static void
limit_is_exact_and_failure_sticks(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 8);
	pl_buf_adds(&b, "12345678");
	assert_false(b.failed);
	assert_int_equal(b.len, 8);
	pl_buf_addc(&b, '9');
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	pl_buf_adds(&b, "x");
	pl_buf_addf(&b, "%s", "y");
	assert_int_equal(b.len, 0);
	assert_null(pl_buf_take(&b));
	/* Cleared, it is as new. */
	assert_false(b.failed);
	pl_buf_addf(&b, "%s", "12345678");
	assert_string_equal(b.data, "12345678");
	pl_buf_addf(&b, "%s", "123456789012345678901234567890");
	assert_true(b.failed);
	pl_buf_reset(&b);
	assert_false(b.failed);
	pl_buf_clear(&b);
}

static void
formats_longer_than_its_block(void **state PL_UNUSED)
{
	struct pl_buf b;
	char text[5000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pl_buf_init(&b, 100000);
	pl_buf_addf(&b, "<%s>", text);
	pl_buf_addf(&b, "<%s>", text);
	assert_int_equal(b.len, 2 * (sizeof(text) + 1));
	assert_int_equal(strlen(b.data), b.len);
	assert_memory_equal(b.data + sizeof(text) - 1, "a><a", 4);
	pl_buf_clear(&b);
}

static void
drops_in_front(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 100);
	pl_buf_adds(&b, "hello world");
	pl_buf_drop(&b, 6);
	assert_string_equal(b.data, "world");
	assert_int_equal(b.len, 5);
	pl_buf_adds(&b, "!");
	assert_string_equal(b.data, "world!");
	pl_buf_drop(&b, 100);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	pl_buf_clear(&b);
}

/* The octets that leave must not stay in the block's tail. */
static void
wipes_what_it_drops(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 60);
	pl_buf_adds(&b, "keep-secret");
	pl_buf_drop(&b, 5);
	assert_string_equal(b.data, "secret");
	assert_null(memmem(b.data + 7, b.cap - 7, "ecret", 5));
	pl_buf_reset(&b);
	assert_null(memmem(b.data, b.cap, "ecret", 5));
	pl_buf_clear(&b);
}

static void
gives_its_string(void **state PL_UNUSED)
{
	struct pl_buf b;
	char *s;

	pl_buf_init(&b, 100);
	s = pl_buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	pl_buf_adds(&b, "mine");
	s = pl_buf_take(&b);
	assert_string_equal(s, "mine");
	free(s);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.limit, 100);
	pl_buf_adds(&b, "again");
	assert_string_equal(b.data, "again");
	pl_buf_clear(&b);
}

/* Appending is amortised: a million small ones grow the block few times. */
static void
grows_by_doubling(void **state PL_UNUSED)
{
	struct pl_buf b;
	size_t cap = 0, grown = 0, i;

	pl_buf_init(&b, 1u << 20);
	for (i = 0; i < 1u << 20; i++) {
		pl_buf_addc(&b, 'x');
		grown += b.cap != cap;
		cap = b.cap;
	}
	assert_false(b.failed);
	assert_true(grown < 20);
	assert_int_equal(b.cap, (1u << 20) + 1);
	pl_buf_clear(&b);
}

static void
memory_helpers(void **state PL_UNUSED)
{
	unsigned char *p = pl_array(3, 5);
	char *s;
	size_t i;

	for (i = 0; i < 15; i++)
		assert_int_equal(p[i], 0);
	p = pl_grow(p, 100, 2);
	memset(p, 1, 200);
	free(p);
	free(pl_array(0, 10));
	assert_null(pl_strdup(NULL));
	assert_null(pl_strndup(NULL, 3));
	assert_null(pl_memdup("x", 0));
	assert_null(pl_memdup(NULL, 3));
	s = pl_strndup("abcdef", 3);
	assert_string_equal(s, "abc");
	free(s);
	s = pl_strndup("ab", 30);
	assert_string_equal(s, "ab");
	free(s);
	s = pl_memdup("a\0b", 3);
	assert_memory_equal(s, "a\0b", 3);
	free(s);
}

/* In a child: more than there can be; it must not come back. */
static _Noreturn void
ask_too_much(int fd, size_t n, size_t size)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	dup2(fd, 2);
	free(pl_array(n, size));
	_exit(0);
}

static void
out_of_memory_is_one_line_and_abort(void **state PL_UNUSED)
{
	char line[100];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		ask_too_much(fds[1], SIZE_MAX / 2, 3);
	close(fds[1]);
	n = read(fds[0], line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(line, "placard: out of memory\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_empty_and_terminated),
		cmocka_unit_test(appends_in_every_way),
		cmocka_unit_test(limit_is_exact_and_failure_sticks),
		cmocka_unit_test(formats_longer_than_its_block),
		cmocka_unit_test(drops_in_front),
		cmocka_unit_test(wipes_what_it_drops),
		cmocka_unit_test(gives_its_string),
		cmocka_unit_test(grows_by_doubling),
		cmocka_unit_test(memory_helpers),
		cmocka_unit_test(out_of_memory_is_one_line_and_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
