/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <sys/wait.h>

static void
keeps_and_lends(void **state PL_UNUSED)
{
	char big[PL_LIM_SECRET];
	struct pl_secret *s = pl_secret_new("hunter2", 7);

	assert_int_equal(pl_secret_len(s), 7);
	assert_string_equal(pl_secret_expose(s), "hunter2");
	pl_secret_free(s);
	s = pl_secret_new(NULL, 0);
	assert_int_equal(pl_secret_len(s), 0);
	assert_string_equal(pl_secret_expose(s), "");
	pl_secret_free(s);
	pl_secret_free(NULL);
	assert_int_equal(pl_secret_len(NULL), 0);
	memset(big, 's', sizeof(big));
	s = pl_secret_new(big, sizeof(big));
	assert_memory_equal(pl_secret_expose(s), big, sizeof(big));
	pl_secret_free(s);
}

/* The flags of the mapping that holds p, as the kernel shows them. */
static void
map_flags(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	char line[512];
	bool inside = false;

	out[0] = '\0';
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%s", line + 8);
	}
	fclose(f);
}

static void
pages_are_kept_out_of_dumps(void **state PL_UNUSED)
{
	struct pl_secret *s = pl_secret_new("x", 1);
	char flags[512];

	map_flags(pl_secret_expose(s), flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));	/* not in a core */
	assert_non_null(strstr(flags, " wf"));	/* not in a child */
	pl_secret_free(s);
}

static void
children_do_not_inherit(void **state PL_UNUSED)
{
	struct pl_secret *s = pl_secret_new("inherited", 9);
	const char *p = pl_secret_expose(s);
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(p[0] == '\0' && memcmp(p, "inherited", 9) != 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(p, "inherited");
	pl_secret_free(s);
}

/* Behind the secret's pages there is nothing to read. */
static void
overrun_is_stopped(void **state PL_UNUSED)
{
	struct pl_secret *s = pl_secret_new("x", 1);
	const char *p = pl_secret_expose(s);
	long page = sysconf(_SC_PAGESIZE);
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	p = (const char *)(((uintptr_t)p / (uintptr_t)page + 1) *
	    (uintptr_t)page);
	/* The kernel's own read tells without a signal. */
	assert_int_equal(write(fds[1], p, 1), -1);
	assert_int_equal(write(fds[1], p - 1, 1), 1);
	close(fds[0]);
	close(fds[1]);
	pl_secret_free(s);
}

static void
reads_the_first_line(void **state)
{
	static const struct {
		const char *text;
		bool whole;
		const char *want;
	} cases[] = {
		{ "secret\n", false, "secret" },
		{ "secret", false, "secret" },
		{ "secret\r\n", false, "secret" },
		{ "one\ntwo\n", false, "one" },
		{ " blanks stay \n", false, " blanks stay " },
		{ "one\ntwo\n", true, "one\ntwo\n" },
	};
	struct pl_secret *s;
	char path[600];
	size_t i;

	scratch_path(path, sizeof(path), state, "secret");
	for (i = 0; i < PL_NELEM(cases); i++) {
		scratch_write(path, cases[i].text, strlen(cases[i].text), 0600);
		assert_int_equal(pl_secret_read(&s, path, cases[i].whole, NULL),
		    PL_OK);
		assert_string_equal(pl_secret_expose(s), cases[i].want);
		pl_secret_free(s);
	}
	scratch_write(path, "a\0b", 3, 0400);
	assert_int_equal(pl_secret_read(&s, path, true, NULL), PL_OK);
	assert_int_equal(pl_secret_len(s), 3);
	pl_secret_free(s);
}

static void
runs_a_program(void **state PL_UNUSED)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{ "/bin/echo s3cret", "s3cret" },
		{ "  /bin/echo\t'one  two'  \"three 'four'\"",
		    "one  two three 'four'" },
		{ "/bin/echo a''b \"\"", "ab " },
		{ "/usr/bin/printf 'first\\nsecond\\n'", "first" },
		{ "/bin/echo $HOME `id` ;", "$HOME `id` ;" },
	};
	struct pl_secret *s;
	struct pl_err err;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		assert_int_equal(pl_secret_run(&s, cases[i].line, false, 10000,
		    &err), PL_OK);
		assert_string_equal(pl_secret_expose(s), cases[i].want);
		pl_secret_free(s);
	}
	assert_int_equal(pl_secret_run(&s, "/usr/bin/printf 'a\\nb\\n'", true,
	    10000, &err), PL_OK);
	assert_string_equal(pl_secret_expose(s), "a\nb\n");
	pl_secret_free(s);
}

/* Of our environment, nothing. */
static void
programs_see_no_environment(void **state PL_UNUSED)
{
	struct pl_secret *s;
	struct pl_err err;

	setenv("PLACARD_TEST_LEAK", "leak", 1);
	/* env(1) prints nothing then, and nothing is no secret. */
	assert_int_equal(pl_secret_run(&s, "/usr/bin/env", true, 10000, &err),
	    PL_EINVAL);
	assert_string_equal(err.text, "/usr/bin/env: holds no secret");
	assert_null(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_and_lends),
		cmocka_unit_test(pages_are_kept_out_of_dumps),
		cmocka_unit_test(children_do_not_inherit),
		cmocka_unit_test(overrun_is_stopped),
		cmocka_unit_test(reads_the_first_line),
		cmocka_unit_test(runs_a_program),
		cmocka_unit_test(programs_see_no_environment),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
