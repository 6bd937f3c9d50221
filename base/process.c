/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_GROUPS 256
#define GRACE_MS 2000	/* between SIGTERM and SIGKILL */
#define TICK_MS 20	/* between looks where there is no pidfd */

/* ---- this process ---- */

static void
process_close_from(unsigned first, unsigned flags)
{
	struct rlimit lim;
	int fd, last;

	if (syscall(SYS_close_range, first, ~0u, flags) == 0)
		return;
	last = getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 65536 ?
	    (int)lim.rlim_cur : 65536;
	for (fd = (int)first; fd < last; fd++) {
		if (flags == 0)
			close(fd);
		else
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

/* A descriptor 0, 1 or 2 that is closed would be taken by a data file. */
static void
process_open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 2);
	if (fd > 2)
		close(fd);
}

void
pl_process_harden(int keep)
{
	static const struct rlimit none = { 0, 0 };

	process_open_standard();
	process_close_from((unsigned)(keep < 2 ? 3 : keep + 1), 0);
	(void)prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(SIGPIPE, SIG_IGN);
	umask(077);
}

int
pl_process_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t who, n;

	if (pid == NULL || fds == NULL ||
	    pl_int_parse(&who, pid, 1, INT32_MAX, NULL) != PL_OK ||
	    pl_int_parse(&n, fds, 1, 64, NULL) != PL_OK || who != getpid())
		return 0;
	for (int fd = 3; fd < 3 + (int)n; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			return 0;
	return (int)n;
}

void
pl_process_clearenv(const char *const *keep)
{
	size_t n = 0, i;
	char **values;

	while (keep != NULL && keep[n] != NULL)
		n++;
	values = pl_array(n, sizeof(*values));
	for (i = 0; i < n; i++)
		values[i] = pl_strdup(getenv(keep[i]));
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
	    "/sbin:/bin", 1);
	setenv("LANG", "C.UTF-8", 1);
	for (i = 0; i < n; i++) {
		if (values[i] != NULL)
			setenv(keep[i], values[i], 1);
		free(values[i]);
	}
	free(values);
}

/* ---- a child ---- */

/* Whom the child becomes; worked out before the fork. */
struct person {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t groups[MAX_GROUPS];
	int n;
};

/* A run under way: our ends of the pipes, -1 once closed. */
struct child {
	pid_t pid;
	int pidfd;
	int in, out, errout, status;	/* status: errno of a failed exec */
	size_t written;
	int64_t deadline;		/* of the next signal; 0: none */
	int sent;			/* last signal sent */
	bool late;
	bool ended;
	int wait;
};

static enum pl_code
person_find(struct person *who, const char *user, struct pl_err *err)
{
	char space[16384];
	struct passwd pw, *found = NULL;
	int sys;

	memset(who, 0, sizeof(*who));
	if (user == NULL)
		return PL_OK;
	sys = getpwnam_r(user, &pw, space, sizeof(space), &found);
	if (found == NULL && sys != 0)
		return pl_fail_sys(err, PL_EIO, sys, "user %s", user);
	if (found == NULL)
		return pl_fail(err, PL_EINVAL, "user %s: not known", user);
	who->change = true;
	who->uid = pw.pw_uid;
	who->gid = pw.pw_gid;
	who->n = MAX_GROUPS;
	if (getgrouplist(user, pw.pw_gid, who->groups, &who->n) < 0)
		return pl_fail(err, PL_EINVAL, "user %s: in more than %d "
		    "groups", user, MAX_GROUPS);
	return PL_OK;
}

/* The child's own part: descriptors, signals, user, program. */
static _Noreturn void
child_exec(const struct pl_run *run, const struct person *who, int in,
    int out, int errout, int status)
{
	static const char *const empty[] = { NULL };
	const char *const *envp = run->env != NULL ? run->env : empty;
	int fds[3] = { in, out, errout }, i, sys;
	char *const *argv, *const *env;
	sigset_t none;

	(void)setpgid(0, 0);
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			goto fail;
	process_close_from(3, CLOSE_RANGE_CLOEXEC);
	for (i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			(void)signal(i, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (who->change && (setgroups((size_t)who->n, who->groups) != 0 ||
	    setresgid(who->gid, who->gid, who->gid) != 0 ||
	    setresuid(who->uid, who->uid, who->uid) != 0))
		goto fail;
	/* execve(2) writes to neither; its prototype is older than const. */
	memcpy(&argv, &run->argv, sizeof(argv));
	memcpy(&env, &envp, sizeof(env));
	execve(run->argv[0], argv, env);
fail:
	sys = errno;
	while (write(status, &sys, sizeof(sys)) < 0 && errno == EINTR)
		continue;
	_exit(127);
}

static void
child_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A pipe, or /dev/null; all ends above 2, so that dup2 cannot harm one. */
static int
child_pipe(bool wanted, bool reading, int *ours, int *theirs)
{
	int p[2] = { -1, -1 }, i, fd;

	*ours = *theirs = -1;
	if (!wanted) {
		*theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
		p[0] = *theirs;
	} else if (pipe2(p, O_CLOEXEC) != 0) {
		return -1;
	}
	for (i = 0; i < 2; i++) {
		if (p[i] < 0 || p[i] > 2)
			continue;
		fd = fcntl(p[i], F_DUPFD_CLOEXEC, 3);
		close(p[i]);
		p[i] = fd;
	}
	if (!wanted) {
		*theirs = p[0];
		return p[0] >= 0 ? 0 : -1;
	}
	*ours = p[reading ? 0 : 1];
	*theirs = p[reading ? 1 : 0];
	if (*ours < 0 || *theirs < 0)
		return -1;
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static enum pl_code
child_start(struct child *c, const struct pl_run *run, bool out, bool errout,
    struct pl_err *err)
{
	struct person who;
	enum pl_code code;
	int in_fd = -1, out_fd = -1, err_fd = -1, status_fd = -1;

	code = person_find(&who, run->user, err);
	if (code != PL_OK)
		return code;
	if (child_pipe(run->input != NULL, false, &c->in, &in_fd) != 0 ||
	    child_pipe(out, true, &c->out, &out_fd) != 0 ||
	    child_pipe(errout, true, &c->errout, &err_fd) != 0 ||
	    child_pipe(true, true, &c->status, &status_fd) != 0 ||
	    (c->pid = fork()) < 0) {
		code = pl_fail_sys(err, PL_EIO, errno, "%s", run->argv[0]);
	} else if (c->pid == 0) {
		child_exec(run, &who, in_fd, out_fd, err_fd, status_fd);
	} else {
		(void)setpgid(c->pid, c->pid);
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0u);
	}
	child_close(&in_fd);
	child_close(&out_fd);
	child_close(&err_fd);
	child_close(&status_fd);
	return code;
}

static void
child_feed(struct child *c, const struct pl_run *run)
{
	const char *p = run->input;
	ssize_t n;

	while (c->in >= 0 && c->written < run->input_len) {
		n = write(c->in, p + c->written, run->input_len - c->written);
		if (n >= 0)
			c->written += (size_t)n;
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			break;	/* it does not read on: that is its affair */
	}
	child_close(&c->in);
}

/* Takes what is there; what is beyond the limit is dropped. */
static void
child_drain(int *fd, struct pl_buf *b)
{
	char chunk[4096];
	size_t room;
	ssize_t n;

	while (*fd >= 0) {
		n = read(*fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			child_close(fd);
			break;
		}
		room = b->failed ? 0 : b->limit - b->len;
		pl_buf_add(b, chunk, (size_t)n < room ? (size_t)n : room);
	}
	explicit_bzero(chunk, sizeof(chunk));
}

/* SIGTERM to the group at the deadline, SIGKILL a grace later. */
static void
child_hurry(struct child *c)
{
	if (c->deadline == 0 || pl_mono_ms() < c->deadline)
		return;
	c->late = true;
	c->sent = c->sent == 0 ? SIGTERM : SIGKILL;
	(void)kill(-c->pid, c->sent);
	c->deadline = pl_mono_ms() + GRACE_MS;
}

/* Ended?  What a late child leaves in its group goes before its number. */
static void
child_reap(struct child *c)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)c->pid, &info,
	    WEXITED | WNOHANG | WNOWAIT) != 0) {
		c->ended = errno != EINTR;
		return;
	}
	if (info.si_pid == 0)
		return;
	if (c->late)
		(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &c->wait, 0) < 0 && errno == EINTR)
		continue;
	c->ended = true;
}

static void
child_poll(struct child *c, const struct pl_run *run, struct pl_buf *out,
    struct pl_buf *errout)
{
	struct pollfd fds[] = {
		{ .fd = c->in, .events = POLLOUT },
		{ .fd = c->out, .events = POLLIN },
		{ .fd = c->errout, .events = POLLIN },
		{ .fd = c->pidfd, .events = POLLIN },
	};
	int64_t wait = -1;

	if (c->deadline != 0) {
		wait = c->deadline - pl_mono_ms();
		wait = wait < 0 ? 0 : wait > 60000 ? 60000 : wait;
	}
	if (c->pidfd < 0 && (wait < 0 || wait > TICK_MS))
		wait = TICK_MS;
	(void)poll(fds, PL_NELEM(fds), (int)wait);
	if (c->in >= 0)
		child_feed(c, run);
	child_reap(c);
	/* After the end: what was written before it is in the pipes. */
	if (out != NULL)
		child_drain(&c->out, out);
	if (errout != NULL)
		child_drain(&c->errout, errout);
	if (!c->ended)
		child_hurry(c);
}

enum pl_code
pl_run(const struct pl_run *run, struct pl_buf *out, struct pl_buf *errout,
    int *status, struct pl_err *err)
{
	struct child c = { .pid = -1, .pidfd = -1, .in = -1, .out = -1,
		.errout = -1, .status = -1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	enum pl_code code;
	int sys = 0;

	*status = 0;
	if (run->argv == NULL || run->argv[0] == NULL ||
	    run->argv[0][0] != '/')
		return pl_fail(err, PL_EINVAL, "%s: not an absolute path",
		    run->argv != NULL && run->argv[0] != NULL ?
		    run->argv[0] : "program");
	(void)sigaction(SIGPIPE, &ignore, &before);
	code = child_start(&c, run, out != NULL, errout != NULL, err);
	if (code != PL_OK)
		goto out;
	if (run->timeout_ms > 0)
		c.deadline = pl_mono_ms() + run->timeout_ms;
	while (!c.ended)
		child_poll(&c, run, out, errout);
	*status = c.wait;
	if (read(c.status, &sys, sizeof(sys)) == (ssize_t)sizeof(sys))
		code = pl_fail_sys(err, PL_EIO, sys, "%s", run->argv[0]);
	else if (c.late)
		code = pl_fail(err, PL_ENET, "%s: not ended after %lld ms",
		    run->argv[0], (long long)run->timeout_ms);
out:
	(void)sigaction(SIGPIPE, &before, NULL);
	child_close(&c.in);
	child_close(&c.out);
	child_close(&c.errout);
	child_close(&c.status);
	child_close(&c.pidfd);
	return code;
}
