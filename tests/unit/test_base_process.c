/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* What a script said and how it ended. */
struct told {
	struct pl_buf out, err;
	int status;
	struct pl_err why;
};

static enum pl_code
tell(struct told *t, struct pl_run *run, const char *script)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };

	pl_buf_init(&t->out, PL_LIM_BODY);
	pl_buf_init(&t->err, PL_LIM_BODY);
	pl_err_clear(&t->why);
	run->argv = argv;
	return pl_run(run, &t->out, &t->err, &t->status, &t->why);
}

static void
told_clear(struct told *t)
{
	pl_buf_clear(&t->out);
	pl_buf_clear(&t->err);
}

static void
collects_both_streams(void **state PL_UNUSED)
{
	struct pl_run run = { .timeout_ms = 20000 };
	struct told t;

	assert_int_equal(tell(&t, &run, "echo out; echo err >&2; exit 7"),
	    PL_OK);
	assert_string_equal(t.out.data, "out\n");
	assert_string_equal(t.err.data, "err\n");
	assert_true(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 7);
	told_clear(&t);
}

static void
feeds_standard_input(void **state PL_UNUSED)
{
	struct pl_run run = { .timeout_ms = 20000 };
	const size_t n = 500000;
	struct told t;
	char *data = pl_array(n, 1);

	memset(data, 'i', n);
	run.input = data;
	run.input_len = n;
	/* More than a pipe holds, both ways. */
	assert_int_equal(tell(&t, &run, "cat"), PL_OK);
	assert_int_equal(t.out.len, n);
	assert_memory_equal(t.out.data, data, n);
	told_clear(&t);
	/* One that does not read is not waited for, and raises no signal. */
	assert_int_equal(tell(&t, &run, "exec <&-; echo done"), PL_OK);
	assert_string_equal(t.out.data, "done\n");
	told_clear(&t);
	run.input = NULL;
	run.input_len = 0;
	assert_int_equal(tell(&t, &run, "cat; echo end"), PL_OK);
	assert_string_equal(t.out.data, "end\n");
	told_clear(&t);
	free(data);
}

/* What is beyond a limit is dropped, and the program runs to its end. */
static void
output_is_bounded(void **state PL_UNUSED)
{
	const char *const argv[] = { "/usr/bin/head", "-c", "300000",
		"/dev/zero", NULL };
	struct pl_run run = { .argv = argv, .timeout_ms = 20000 };
	struct pl_buf b;
	int status;

	pl_buf_init(&b, 1000);
	assert_int_equal(pl_run(&run, &b, NULL, &status, NULL), PL_OK);
	assert_int_equal(status, 0);
	assert_int_equal(b.len, 1000);
	assert_false(b.failed);
	pl_buf_clear(&b);
}

static void
environment_is_what_is_given(void **state PL_UNUSED)
{
	const char *const env[] = { "A=1", "B=two words", NULL };
	const char *const argv[] = { "/usr/bin/env", NULL };
	struct pl_run run = { .argv = argv, .timeout_ms = 20000 };
	struct pl_buf b;
	int status;

	pl_buf_init(&b, 1000);
	assert_int_equal(pl_run(&run, &b, NULL, &status, NULL), PL_OK);
	assert_string_equal(b.data, "");
	run.env = env;
	assert_int_equal(pl_run(&run, &b, NULL, &status, NULL), PL_OK);
	assert_string_equal(b.data, "A=1\nB=two words\n");
	pl_buf_clear(&b);
}

/* Signals, descriptors and group are as a program expects them. */
static void
child_starts_clean(void **state PL_UNUSED)
{
	struct pl_run run = { .timeout_ms = 20000 };
	struct told t;
	const uint64_t libc = (uint64_t)3 << 31;
	uint64_t blocked, ignored;
	sigset_t all, before;
	int stray = open("/dev/null", O_RDONLY);	/* without O_CLOEXEC */

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	assert_int_equal(tell(&t, &run, "ls /proc/self/fd; "
	    "test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo leader; "
	    "sed -n 's/^Sig[BI][lg][kn]:.//p' /proc/self/status"), PL_OK);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(stray);
	assert_int_equal(strncmp(t.out.data, "0\n1\n2\n3\nleader\n", 15), 0);
	assert_int_equal(sscanf(t.out.data + 15, "%" SCNx64 " %" SCNx64,
	    &blocked, &ignored), 2);
	/* 32 and 33 are libc's own: it lets nobody touch them. */
	assert_true((blocked & ~libc) == 0);
	assert_true((ignored & ~libc) == 0);
	told_clear(&t);
}

static void
runs_as_another_user(void **state PL_UNUSED)
{
	struct pl_run run = { .timeout_ms = 20000, .user = "nobody" };
	struct passwd *pw = getpwnam("nobody");
	char want[64];
	struct told t;

	if (geteuid() != 0 || pw == NULL)
		skip();
	assert_int_equal(tell(&t, &run, "id -u; id -ru; id -g; id -G"), PL_OK);
	snprintf(want, sizeof(want), "%u\n%u\n%u\n%u\n", pw->pw_uid,
	    pw->pw_uid, pw->pw_gid, pw->pw_gid);
	assert_string_equal(t.out.data, want);
	told_clear(&t);
}

/* Runs f in a child, because what it does cannot be undone. */
static int
in_child(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

#define EXPECT(what) do { if (!(what)) _exit(__LINE__ % 200 + 1); } while (0)

static void
hardened(void)
{
	int kept = fcntl(2, F_DUPFD, 3), other = fcntl(2, F_DUPFD, 100);
	struct rlimit lim;
	struct stat st;

	close(0);
	EXPECT(kept >= 3 && other >= 100);
	pl_process_harden(kept);
	EXPECT(fcntl(kept, F_GETFD) >= 0);
	EXPECT(fcntl(other, F_GETFD) < 0 && errno == EBADF);
	/* The place of a descriptor that was closed is taken by /dev/null. */
	EXPECT(fstat(0, &st) == 0 && S_ISCHR(st.st_mode));
	EXPECT(prctl(PR_GET_DUMPABLE) == 0);
	EXPECT(getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_max == 0);
	EXPECT(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	EXPECT(umask(0) == 077);
}

static void
cleared(void)
{
	const char *const keep[] = { "KEEP_ME", "NOT_THERE", NULL };

	setenv("KEEP_ME", "value", 1);
	setenv("http_proxy", "http://evil", 1);
	setenv("LD_PRELOAD_X", "x", 1);
	setenv("PATH", "/evil", 1);
	pl_process_clearenv(keep);
	EXPECT(pl_streq(getenv("KEEP_ME"), "value"));
	EXPECT(getenv("NOT_THERE") == NULL);
	EXPECT(getenv("http_proxy") == NULL);
	EXPECT(getenv("LD_PRELOAD_X") == NULL);
	EXPECT(strstr(getenv("PATH"), "evil") == NULL);
	EXPECT(pl_streq(getenv("LANG"), "C.UTF-8"));
	pl_process_clearenv(NULL);
	EXPECT(getenv("KEEP_ME") == NULL);
}

static void
hardening(void **state PL_UNUSED)
{
	assert_int_equal(in_child(hardened), 0);
}

static void
clearing_the_environment(void **state PL_UNUSED)
{
	assert_int_equal(in_child(cleared), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collects_both_streams),
		cmocka_unit_test(feeds_standard_input),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(environment_is_what_is_given),
		cmocka_unit_test(child_starts_clean),
		cmocka_unit_test(runs_as_another_user),
		cmocka_unit_test(hardening),
		cmocka_unit_test(clearing_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
