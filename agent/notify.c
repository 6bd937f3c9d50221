/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Programs that get a job's report on standard input whenever its state
 * changes.  No shell; a report lies in a file without a name, so the service
 * never waits for who reads it.  A program that fails is tried again; what
 * it was told last is in the journal, so that a restart forgets nothing.
 */
#include "daemon.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 8
#define MOST_TRIES 5
#define AGAIN_MS 1000		/* doubled each time */
#define POLL_MS 100		/* where there is no pidfd */

/* One report on its way.  Those of one job go in their order. */
struct message {
	struct pl_notifier *n;
	struct message *next;
	char *job, *name, *report;
	int64_t told;
	unsigned tries;
	bool waiting;		/* for another try */
	pid_t pid;		/* 0: not started */
	int pidfd;
	uint64_t timer;
};

struct pl_notifier {
	struct pl_daemon *d;
	struct message *first, **last;
	unsigned running;
	uint64_t start;
};

static void start_some(void *notifier);

static void
start_soon(struct pl_notifier *n)
{
	if (n->start == 0)
		n->start = pl_loop_after(n->d->loop, 0, start_some, n);
}

static void
message_free(struct message *m)
{
	pl_loop_forget(m->n->d->loop, m->timer);
	if (m->pidfd != -1) {
		pl_loop_unwatch(m->n->d->loop, m->pidfd);
		close(m->pidfd);
	}
	free(m->job);
	free(m->name);
	free(m->report);
	free(m);
}

static void
message_drop(struct message *m)
{
	struct pl_notifier *n = m->n;
	struct message **at = &n->first;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	for (n->last = at; *n->last != NULL; n->last = &(*n->last)->next)
		continue;
	message_free(m);
}

/* ---- a program's end ---------------------------------------------------------- */

static void
again(void *arg)
{
	struct message *m = arg;

	m->timer = 0;
	m->waiting = false;
	start_soon(m->n);
}

static void
failed(struct message *m, const char *how, int number)
{
	struct pl_daemon *d = m->n->d;

	m->tries++;
	pl_logf(&d->log, PL_LOG_WARN, "notify", "job=%s program=%s try=%u "
	    "%s=%d", m->job, m->name, m->tries, how, number);
	if (m->tries >= MOST_TRIES) {
		message_drop(m);
		return;
	}
	m->waiting = true;
	m->timer = pl_loop_after(d->loop, (int64_t)AGAIN_MS << m->tries,
	    again, m);
}

static void
on_end(void *arg)
{
	struct message *m = arg;
	struct pl_notifier *n = m->n;
	struct pl_err err;
	int st;

	if (waitpid(m->pid, &st, WNOHANG) == 0) {
		if (m->pidfd == -1)
			pl_loop_after(n->d->loop, POLL_MS, on_end, m);
		return;
	}
	n->running--;
	m->pid = 0;
	pl_loop_forget(n->d->loop, m->timer);
	m->timer = 0;
	if (m->pidfd != -1) {
		pl_loop_unwatch(n->d->loop, m->pidfd);
		close(m->pidfd);
		m->pidfd = -1;
	}
	if (WIFSIGNALED(st))
		failed(m, "signal", WTERMSIG(st));
	else if (WEXITSTATUS(st) != 0)
		failed(m, "status", WEXITSTATUS(st));
	else {
		daemon_ok(n->d, pl_journal_job_told(n->d->journal, m->job,
		    m->told, &err), &err);
		message_drop(m);
	}
	start_soon(n);
}

static void
on_late(void *arg)
{
	struct message *m = arg;

	m->timer = 0;
	kill(-m->pid, SIGKILL);
}

/* ---- starting one ---------------------------------------------------------------- */

static int
report_file(const char *text)
{
	size_t n = strlen(text);
	int fd = memfd_create("report", MFD_CLOEXEC);

	if (fd == -1)
		return -1;
	for (ssize_t k; n > 0; n -= (size_t)k, text += k) {
		k = write(fd, text, n);
		if (k <= 0) {
			close(fd);
			return -1;
		}
	}
	if (write(fd, "\n", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
spawn(pid_t *pid, char *const *argv, int in)
{
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
	    "/sbin:/bin", lang[] = "LANG=C.UTF-8";
	char *env[] = { path, lang, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, pipes;
	int rc;

	sigemptyset(&none);
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipes);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	rc = posix_spawn(pid, argv[0], &fa, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static void
start_one(struct message *m, const struct pl_notify_conf *conf)
{
	struct pl_notifier *n = m->n;
	int fd = report_file(m->report), rc;

	rc = fd == -1 ? errno : spawn(&m->pid, conf->argv, fd);
	if (fd != -1)
		close(fd);
	if (rc != 0) {
		m->pid = 0;
		failed(m, "errno", rc);
		return;
	}
	n->running++;
	m->timer = pl_loop_after(n->d->loop, conf->timeout_ms, on_late, m);
	m->pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (m->pidfd == -1) {
		pl_loop_after(n->d->loop, POLL_MS, on_end, m);
		return;
	}
	(void)fcntl(m->pidfd, F_SETFD, FD_CLOEXEC);
	pl_loop_watch(n->d->loop, m->pidfd, false, on_end, m);
}

/* Is an earlier report of the same job still on its way? */
static bool
must_wait(const struct message *m)
{
	for (const struct message *o = m->n->first; o != m; o = o->next) {
		if (strcmp(o->job, m->job) == 0)
			return true;
	}
	return false;
}

static void
start_some(void *arg)
{
	struct pl_notifier *n = arg;
	const struct pl_notify_conf *conf;
	struct message *m, *next;

	n->start = 0;
	for (m = n->first; m != NULL && n->running < AT_ONCE; m = next) {
		next = m->next;
		if (m->pid != 0 || m->waiting || must_wait(m))
			continue;
		conf = pl_config_notify(n->d->config, m->name);
		if (conf != NULL)
			start_one(m, conf);
		else
			message_drop(m);
	}
}

/* ---- the door -------------------------------------------------------------------------- */

void
notifier_tell(struct pl_notifier *n, const struct pl_djob *j)
{
	enum pl_job_phase phase;
	struct message *m;
	struct pl_err err;
	json_t *report;

	if (work_report(n->d, j->row.id, -1, &report, &phase, &err) != PL_OK)
		return;
	m = pl_alloc(sizeof(*m));
	m->n = n;
	m->job = pl_strdup(j->row.id);
	m->name = pl_strdup(j->row.notify);
	m->report = pl_json_text(report);
	m->told = j->state;
	m->pidfd = -1;
	pl_json_free(report);
	*n->last = m;
	n->last = &m->next;
	start_soon(n);
}

struct pl_notifier *
notifier_new(struct pl_daemon *d)
{
	struct pl_notifier *n = pl_alloc(sizeof(*n));

	n->d = d;
	n->last = &n->first;
	return n;
}

void
notifier_free(struct pl_notifier *n)
{
	struct message *m;

	if (n == NULL)
		return;
	while ((m = n->first) != NULL) {
		n->first = m->next;
		/* It has its report; only its end is not waited for. */
		message_free(m);
	}
	pl_loop_forget(n->d->loop, n->start);
	free(n);
}
