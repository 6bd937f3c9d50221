/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void
reads_within_the_limit(void **state)
{
	char path[600];
	struct pl_err err;
	struct pl_buf b;

	scratch_path(path, sizeof(path), state, "in");
	scratch_write(path, "0123456789", 10, 0600);
	pl_buf_init(&b, 12);
	pl_buf_adds(&b, ">");
	assert_int_equal(pl_file_read(&b, path, &err), PL_OK);
	assert_string_equal(b.data, ">0123456789");
	assert_int_equal(pl_file_read(&b, path, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "in: longer than 12 octets"));
	pl_buf_clear(&b);
	assert_int_equal(pl_file_read(&b, *state, &err), PL_EINVAL);
	assert_int_equal(err.sys, EISDIR);
	scratch_path(path, sizeof(path), state, "nonesuch");
	assert_int_equal(pl_file_read(&b, path, &err), PL_EINVAL);
	assert_int_equal(err.sys, ENOENT);
	pl_buf_clear(&b);
}

static void
reads_standard_input(void **state PL_UNUSED)
{
	int fds[2], saved = dup(0);
	struct pl_buf b;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "piped", 5), 5);
	close(fds[1]);
	dup2(fds[0], 0);
	close(fds[0]);
	pl_buf_init(&b, 100);
	assert_int_equal(pl_file_read(&b, "-", NULL), PL_OK);
	assert_string_equal(b.data, "piped");
	pl_buf_clear(&b);
	dup2(saved, 0);
	close(saved);
}

static void
writes_whole_files(void **state)
{
	char path[600], dir[600];
	mode_t mask = umask(077);
	struct pl_err err;
	struct pl_buf b;
	struct stat st;

	scratch_path(dir, sizeof(dir), state, "w");
	assert_int_equal(mkdir(dir, 0700), 0);
	scratch_path(path, sizeof(path), state, "w/out");
	assert_int_equal(pl_file_write(path, "one", 3, 0644, &err), PL_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(pl_file_write(path, "", 0, 0600, &err), PL_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(pl_file_write(path, "two", 3, 0600, &err), PL_OK);
	pl_buf_init(&b, 100);
	assert_int_equal(pl_file_read(&b, path, &err), PL_OK);
	assert_string_equal(b.data, "two");
	pl_buf_clear(&b);
	assert_int_equal(scratch_count(dir), 1);
	umask(mask);
}

/* A failure leaves the old file and no other. */
static void
failed_write_leaves_nothing(void **state)
{
	char path[600], dir[600];
	struct pl_err err;

	scratch_path(dir, sizeof(dir), state, "f");
	assert_int_equal(mkdir(dir, 0700), 0);
	scratch_path(path, sizeof(path), state, "f/taken");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(pl_file_write(path, "x", 1, 0600, &err), PL_EIO);
	assert_int_equal(scratch_count(dir), 1);
	scratch_path(path, sizeof(path), state, "f/none/x");
	assert_int_equal(pl_file_write(path, "x", 1, 0600, &err), PL_EIO);
	assert_int_equal(err.sys, ENOENT);
	scratch_path(path, sizeof(path), state, "f/");
	assert_int_equal(pl_file_write(path, "x", 1, 0600, &err), PL_EIO);
	assert_int_equal(scratch_count(dir), 1);
}

/* In a child: no file of more than four octets can be written. */
static void
write_beyond_limit(const char *path)
{
	const struct rlimit lim = { 4, 4 };
	struct pl_err err;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &lim) != 0)
		_exit(2);
	if (pl_file_write(path, "123456789", 9, 0600, &err) != PL_EIO)
		_exit(3);
	_exit(err.sys == EFBIG ? 0 : 4);
}

/* A write that stops half way, as on a full disk. */
static void
full_disk_leaves_the_old_file(void **state)
{
	char path[600], dir[600];
	struct pl_err err;
	struct pl_buf b;
	int status;
	pid_t pid;

	scratch_path(dir, sizeof(dir), state, "full");
	assert_int_equal(mkdir(dir, 0700), 0);
	scratch_path(path, sizeof(path), state, "full/file");
	assert_int_equal(pl_file_write(path, "old", 3, 0600, &err), PL_OK);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_beyond_limit(path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(scratch_count(dir), 1);
	pl_buf_init(&b, 10);
	assert_int_equal(pl_file_read(&b, path, &err), PL_OK);
	assert_string_equal(b.data, "old");
	pl_buf_clear(&b);
	pl_buf_init(&b, 10);
	assert_int_equal(pl_file_read(&b, "/dev/zero", &err), PL_EINVAL);
	pl_buf_clear(&b);
}

static void
makes_directories(void **state)
{
	char path[600], blocked[600];
	mode_t mask = umask(077);
	struct pl_err err;
	struct stat st;

	scratch_path(path, sizeof(path), state, "a//b/c/");
	assert_int_equal(pl_mkdirs(path, 0755, &err), PL_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* What was there keeps its mode. */
	assert_int_equal(pl_mkdirs(path, 0700, &err), PL_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	scratch_path(blocked, sizeof(blocked), state, "a/file");
	scratch_write(blocked, "x", 1, 0600);
	assert_int_equal(pl_mkdirs(blocked, 0755, &err), PL_EIO);
	assert_int_equal(err.sys, ENOTDIR);
	scratch_path(blocked, sizeof(blocked), state, "a/file/below");
	assert_int_equal(pl_mkdirs(blocked, 0755, &err), PL_EIO);
	umask(mask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_within_the_limit),
		cmocka_unit_test(reads_standard_input),
		cmocka_unit_test(writes_whole_files),
		cmocka_unit_test(failed_write_leaves_nothing),
		cmocka_unit_test(full_disk_leaves_the_old_file),
		cmocka_unit_test(makes_directories),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
