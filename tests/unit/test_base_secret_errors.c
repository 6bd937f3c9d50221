/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <sys/wait.h>

static void
says_chmod(void **state)
{
	static const struct {
		mode_t mode;
		const char *can;
	} bad[] = {
		{ 0640, "read" }, { 0604, "read" }, { 0644, "read" },
		{ 0620, "write" }, { 0602, "write" }, { 0610, "execute" },
		{ 0666, "read" },
	};
	char path[600], want[1400];
	struct pl_secret *s;
	struct pl_err err;
	size_t i;

	scratch_path(path, sizeof(path), state, "lab.secret");
	for (i = 0; i < PL_NELEM(bad); i++) {
		scratch_write(path, "secret\n", 7, bad[i].mode);
		s = (struct pl_secret *)state;
		assert_int_equal(pl_secret_read(&s, path, false, &err),
		    PL_EINVAL);
		assert_null(s);
		snprintf(want, sizeof(want), "%s: group or others can %s it: "
		    "chmod 600 %s", path, bad[i].can, path);
		assert_string_equal(err.text, want);
	}
}

static void
takes_regular_files_only(void **state)
{
	char path[600], link[600];
	struct pl_secret *s;
	struct pl_err err;

	scratch_path(path, sizeof(path), state, "fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	/* Nobody writes to it: this must not wait. */
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "fifo: not a regular file"));
	assert_int_equal(pl_secret_read(&s, *state, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, ": not a regular file"));
	assert_int_equal(pl_secret_read(&s, "/dev/zero", true, &err),
	    PL_EINVAL);
	scratch_path(path, sizeof(path), state, "nonesuch");
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "nonesuch: No such file"));
	/* A link to a good file is good: what counts is the file. */
	scratch_path(path, sizeof(path), state, "good");
	scratch_write(path, "x", 1, 0600);
	scratch_path(link, sizeof(link), state, "link");
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(pl_secret_read(&s, link, false, &err), PL_OK);
	pl_secret_free(s);
}

static void
owner_must_be_us_or_root(void **state)
{
	char path[600];
	struct pl_secret *s;
	struct pl_err err;

	if (geteuid() != 0)
		skip();
	scratch_path(path, sizeof(path), state, "foreign");
	scratch_write(path, "x", 1, 0600);
	assert_int_equal(chown(path, 12345, 0), 0);
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "owned by user 12345"));
}

static void
bounds_and_contents(void **state)
{
	char path[600], big[PL_LIM_SECRET + 1];
	struct pl_secret *s;
	struct pl_err err;

	scratch_path(path, sizeof(path), state, "content");
	memset(big, 'x', sizeof(big));
	scratch_write(path, big, sizeof(big), 0600);
	assert_int_equal(pl_secret_read(&s, path, true, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "longer than 65536 octets"));
	scratch_write(path, big, sizeof(big) - 1, 0600);
	assert_int_equal(pl_secret_read(&s, path, true, &err), PL_OK);
	pl_secret_free(s);
	scratch_write(path, "", 0, 0600);
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "holds no secret"));
	scratch_write(path, "\nsecond\n", 8, 0600);
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	scratch_write(path, "a\0b\n", 4, 0600);
	assert_int_equal(pl_secret_read(&s, path, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "a zero octet"));
}

static void
refused_commands(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", "   ", "echo x", "./echo x",
		"/bin/echo 'open", "/bin/echo \"open", "'" };
	struct pl_secret *s;
	struct pl_err err;
	struct pl_buf b;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		assert_int_equal(pl_secret_run(&s, bad[i], false, 1000, &err),
		    PL_EINVAL);
		assert_null(s);
	}
	pl_buf_init(&b, 1000);
	pl_buf_adds(&b, "/bin/echo");
	for (i = 0; i < 64; i++)
		pl_buf_adds(&b, " x");
	assert_int_equal(pl_secret_run(&s, b.data, false, 1000, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "too many words"));
	pl_buf_clear(&b);
}

/* A program that fails may have printed half a secret: it is not used. */
static void
failed_programs(void **state)
{
	static const char fails[] = "#!/bin/sh\necho topsecret\n"
	    "echo topsecret >&2\nexit 3\n";
	static const char dies[] = "#!/bin/sh\nkill -9 $$\n";
	char path[600], line[700];
	struct pl_secret *s;
	struct pl_err err;

	assert_int_equal(pl_secret_run(&s, "/bin/false", false, 10000, &err),
	    PL_EINVAL);
	assert_string_equal(err.text, "/bin/false: exit status 1");
	scratch_path(path, sizeof(path), state, "prog");
	scratch_write(path, fails, sizeof(fails) - 1, 0700);
	assert_int_equal(pl_secret_run(&s, path, false, 10000, &err),
	    PL_EINVAL);
	assert_null(s);
	assert_null(strstr(err.text, "topsecret"));
	assert_non_null(strstr(err.text, "exit status 3"));
	scratch_write(path, dies, sizeof(dies) - 1, 0700);
	assert_int_equal(pl_secret_run(&s, path, false, 10000, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "killed by signal 9"));
	snprintf(line, sizeof(line), "%s-nonesuch", path);
	assert_int_equal(pl_secret_run(&s, line, false, 10000, &err), PL_EIO);
	assert_int_equal(pl_secret_run(&s, "/bin/sleep 30", false, 50, &err),
	    PL_ENET);
	/* Endless output is cut, not kept: still within its limit. */
	assert_int_equal(pl_secret_run(&s, "/bin/cat /dev/zero", true, 300,
	    &err), PL_ENET);
	assert_null(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_chmod),
		cmocka_unit_test(takes_regular_files_only),
		cmocka_unit_test(owner_must_be_us_or_root),
		cmocka_unit_test(bounds_and_contents),
		cmocka_unit_test(refused_commands),
		cmocka_unit_test(failed_programs),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
