/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static void
cannot_start(void **state)
{
	const char *const missing[] = { "/nonesuch/program", NULL };
	const char *const relative[] = { "true", NULL };
	const char *const none[] = { NULL };
	char path[600];
	const char *const plain[] = { path, NULL };
	struct pl_run run = { .argv = missing, .timeout_ms = 5000 };
	struct pl_err err;
	int status;

	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_EIO);
	assert_int_equal(err.sys, ENOENT);
	assert_non_null(strstr(err.text, "/nonesuch/program: No such file"));
	run.argv = relative;
	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_EINVAL);
	assert_string_equal(err.text, "true: not an absolute path");
	run.argv = none;
	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_EINVAL);
	/* A file that is no program. */
	scratch_path(path, sizeof(path), state, "plain");
	scratch_write(path, "x", 1, 0600);
	run.argv = plain;
	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_EIO);
	assert_int_equal(err.sys, EACCES);
	run.argv = plain;
	run.user = "no-such-user-here";
	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_EINVAL);
	assert_string_equal(err.text, "user no-such-user-here: not known");
}

static void
ends_at_the_deadline(void **state PL_UNUSED)
{
	const char *const argv[] = { "/bin/sleep", "600", NULL };
	struct pl_run run = { .argv = argv, .timeout_ms = 50 };
	struct pl_err err;
	int status;

	assert_int_equal(pl_run(&run, NULL, NULL, &status, &err), PL_ENET);
	assert_string_equal(err.text, "/bin/sleep: not ended after 50 ms");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* One that ignores SIGTERM goes by SIGKILL, with what it started. */
static void
whole_group_goes(void **state PL_UNUSED)
{
	const char *const argv[] = { "/bin/sh", "-c", "trap '' TERM; "
	    "sleep 600 & echo $!; while :; do sleep 1; done", NULL };
	struct pl_run run = { .argv = argv, .timeout_ms = 300 };
	struct pl_buf out;
	struct pl_err err;
	int64_t pid, tries;
	char path[64], line[256] = "";
	int status, fd;

	pl_buf_init(&out, 100);
	assert_int_equal(pl_run(&run, &out, NULL, &status, &err), PL_ENET);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(out.len > 1);
	out.data[out.len - 1] = '\0';
	assert_int_equal(pl_int_parse(&pid, out.data, 2, INT32_MAX, &err),
	    PL_OK);
	/* Killed; whoever inherits it may take a moment to bury it. */
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (tries = 0; tries < 1000; tries++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			break;
		if (read(fd, line, sizeof(line) - 1) <= 0 ||
		    strstr(line, ") Z ") != NULL) {
			close(fd);
			break;
		}
		close(fd);
		usleep(10000);
	}
	assert_true(tries < 1000);
	pl_buf_clear(&out);
}

/* A grandchild that holds the pipe does not hold us. */
static void
does_not_wait_for_strangers(void **state PL_UNUSED)
{
	const char *const argv[] = { "/bin/sh", "-c",
	    "sleep 600 & echo $!; exit 0", NULL };
	struct pl_run run = { .argv = argv, .timeout_ms = 60000 };
	struct pl_buf out;
	struct pl_err err;
	int64_t pid;
	int status;

	pl_buf_init(&out, 100);
	assert_int_equal(pl_run(&run, &out, NULL, &status, &err), PL_OK);
	assert_int_equal(status, 0);
	assert_true(out.len > 1);
	out.data[out.len - 1] = '\0';
	assert_int_equal(pl_int_parse(&pid, out.data, 2, INT32_MAX, &err),
	    PL_OK);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	pl_buf_clear(&out);
}

/* No descriptor stays behind, whatever the end was. */
static void
leaks_no_descriptor(void **state)
{
	const char *const good[] = { "/bin/true", NULL };
	const char *const bad[] = { "/nonesuch", NULL };
	struct pl_run run = { .timeout_ms = 5000, .input = "x",
		.input_len = 1 };
	struct pl_buf out;
	int status, i, before;

	(void)state;
	pl_buf_init(&out, 100);
	before = scratch_count("/proc/self/fd");
	for (i = 0; i < 10; i++) {
		run.argv = i % 2 == 0 ? good : bad;
		(void)pl_run(&run, &out, &out, &status, NULL);
	}
	assert_int_equal(scratch_count("/proc/self/fd"), before);
	pl_buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cannot_start),
		cmocka_unit_test(ends_at_the_deadline),
		cmocka_unit_test(whole_group_goes),
		cmocka_unit_test(does_not_wait_for_strangers),
		cmocka_unit_test(leaks_no_descriptor),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
