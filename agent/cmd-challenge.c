/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOPPED_MS 10000

static bool
all_files(const struct pl_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < jobs[i].n; k++) {
			if (jobs[i].challenges[k].kind != PL_FILE)
				return false;
		}
	}
	return n > 0;
}

static void
free_jobs(struct pl_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pl_job_clear(&jobs[i]);
	free(jobs);
}

/* A job's own deadline counts where it comes earlier. */
static int64_t
timeout_of(const struct pl_session *s, const struct pl_job *job)
{
	int64_t ms = pl_session_timeout(s), left;

	if (job->deadline == 0)
		return ms;
	left = job->deadline - pl_wall_ms();
	return left < ms ? (left > 0 ? left : 1) : ms;
}

static int
join_all(struct pl_job_run *const *runs, size_t n, enum pl_state wanted)
{
	int status = -1;

	for (size_t i = 0; i < n; i++) {
		int one = pl_run_exit(runs[i], wanted);

		status = status == -1 ? one : pl_status_join(status, one);
	}
	return status == -1 ? 0 : status;
}

static enum pl_code
remove_all(struct pl_session *s, struct pl_job_run *const *runs, size_t n,
    int64_t ms, struct pl_err *err)
{
	for (size_t i = 0; i < n; i++)
		pl_engine_remove(s->engine, runs[i], ms);
	return pl_session_work(s, err);
}

/* A signal: no more publishing; take back what this command has published. */
static enum pl_code
stop_and_remove(struct pl_session *s, struct pl_job_run *const *runs,
    size_t n, struct pl_err *err)
{
	s->stop = 0;
	pl_engine_cancel(s->engine);
	pl_session_work(s, err);
	return remove_all(s, runs, n, STOPPED_MS, err);
}

static int
dry_run(struct pl_session *s, struct pl_job *jobs, size_t n)
{
	struct pl_job_run **runs = pl_array(n, sizeof(struct pl_job_run *));
	int status;

	for (size_t i = 0; i < n; i++) {
		runs[i] = pl_engine_plan(s->engine, &jobs[i]);
		pl_session_report(s, runs[i]);
	}
	status = join_all(runs, n, PL_QUEUED);
	free(runs);
	return status;
}

/* Jobs with "hold": "until-visible" or seconds are removed by us. */
static bool
has_hold(const struct pl_job *job)
{
	return job->hold != PL_HOLD_RELEASED;
}

static void
wake_up(void *arg PL_UNUSED)
{
}

/* Removes what was held for `held` ms or less; gives what the next one has
 * to be held for, -1 where none is left. */
static int64_t
remove_due(struct pl_session *s, struct pl_job_run *const *runs, size_t n,
    int64_t held)
{
	int64_t next = -1;

	for (size_t i = 0; i < n; i++) {
		const struct pl_job *j = &runs[i]->job;
		int64_t ms = j->hold == PL_HOLD_SECONDS ?
		    j->hold_seconds * 1000 : 0;

		if (!has_hold(j) || runs[i]->removing)
			continue;
		if (ms <= held)
			pl_engine_remove(s->engine, runs[i],
			    pl_session_timeout(s));
		else if (next == -1 || ms < next)
			next = ms;
	}
	return next;
}

/* Keeps each job as long as it says.  A signal ends the waiting, never the
 * removal.  A status. */
static int
hold_and_remove(struct pl_session *s, struct pl_job_run *const *runs,
    size_t n)
{
	struct pl_loop *loop = pl_engine_loop(s->engine);
	int64_t start = pl_mono_ms(), next;
	struct pl_err err;
	int status = 0;

	pl_err_clear(&err);
	while (s->stop == 0 && (next = remove_due(s, runs, n,
	    pl_mono_ms() - start)) >= 0) {
		uint64_t id = pl_loop_after(loop, start + next -
		    pl_mono_ms(), wake_up, NULL);
		enum pl_code code = pl_loop_turn(loop, &err);

		pl_loop_forget(loop, id);
		if (code != PL_OK)
			break;
	}
	if (s->stop != 0) {
		fprintf(stderr, "placard: stopped by signal %d, what was held "
		    "is taken back\n", s->stop);
		status = pl_code_exit(PL_ECANCEL);
	}
	s->stop = 0;
	remove_due(s, runs, n, INT64_MAX);
	if (pl_session_work(s, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	for (size_t i = 0; i < n && status == 0; i++) {
		if (has_hold(&runs[i]->job) && pl_run_state(runs[i]) !=
		    PL_FAILED)
			status = pl_run_exit(runs[i], PL_REMOVED);
	}
	return status;
}

/* Nobody waits any more for a job whose deadline has passed.  A status, or
 * -1 to go on. */
static int
in_time(const struct pl_cli *cli, const struct pl_job *jobs, size_t n)
{
	char when[PL_TIME_TEXT];
	struct pl_err err;

	for (size_t i = 0; i < n; i++) {
		if (jobs[i].deadline == 0 || jobs[i].deadline > pl_wall_ms())
			continue;
		pl_time_format(when, jobs[i].deadline);
		pl_fail(&err, PL_EINVAL, "%s: job %s: deadline: %s has passed",
		    cli->jobs, jobs[i].id, when);
		return pl_cli_fail(cli, &err);
	}
	return -1;
}

struct present {
	struct pl_session s;
	struct pl_job_run **runs;
	size_t n;
	enum pl_state wanted;
};

/* Publishes (and looks); a status, or -1 where it got through to a result
 * that the runs tell. */
static int
present_start(struct present *p, struct pl_cli *cli)
{
	struct pl_job *jobs;
	struct pl_err err;
	size_t n;
	bool wait = !cli->no_wait;
	int status;

	status = pl_cli_jobs(cli, &jobs, &n);
	if (status != -1)
		return status;
	status = pl_session_open(&p->s, cli, cli->dry_run ? PL_JOURNAL_NONE :
	    PL_JOURNAL_WRITE, wait, all_files(jobs, n));
	if (status == -1)
		status = pl_cli_allowed(cli, p->s.config, jobs, n);
	if (status == -1)
		status = in_time(cli, jobs, n);
	if (status == -1 && cli->dry_run)
		status = dry_run(&p->s, jobs, n);
	if (status != -1) {
		free_jobs(jobs, n);
		return status;
	}
	p->wanted = wait ? PL_VISIBLE : PL_PUBLISHED;
	p->runs = pl_array(n, sizeof(struct pl_job_run *));
	p->n = n;
	for (size_t i = 0; i < n; i++)
		p->s.total += jobs[i].n;
	for (size_t i = 0; i < n; i++)
		p->runs[i] = pl_engine_present(p->s.engine, &jobs[i],
		    timeout_of(&p->s, &jobs[i]));
	free_jobs(jobs, n);
	if (pl_session_work(&p->s, &err) != PL_OK) {
		struct pl_err other;

		stop_and_remove(&p->s, p->runs, p->n, &other);
		return pl_cli_fail(cli, &err);
	}
	return -1;
}

static void
present_end(struct present *p)
{
	pl_session_close(&p->s);
	free(p->runs);
}

static void
report_all(struct present *p)
{
	for (size_t i = 0; i < p->n; i++)
		pl_session_report(&p->s, p->runs[i]);
}

static bool
any_hold(const struct present *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (has_hold(&p->runs[i]->job))
			return true;
	}
	return false;
}

int
pl_cmd_present(struct pl_cli *cli)
{
	struct present p = { .runs = NULL };
	struct pl_err err;
	int status, sig;

	status = present_start(&p, cli);
	if (status == -1) {
		status = join_all(p.runs, p.n, p.wanted);
		sig = p.s.stop;
		if (sig != 0) {
			stop_and_remove(&p.s, p.runs, p.n, &err);
			fprintf(stderr, "placard: stopped by signal %d, what "
			    "was published has been taken back\n", sig);
			status = pl_code_exit(PL_ECANCEL);
		} else if (any_hold(&p)) {
			int gone = hold_and_remove(&p.s, p.runs, p.n);

			status = status == 0 ? gone : status;
		}
		report_all(&p);
	}
	present_end(&p);
	return status;
}

int
pl_cmd_verify(struct pl_cli *cli)
{
	struct pl_session s;
	struct pl_job_run **runs;
	struct pl_job *jobs;
	struct pl_err err;
	size_t n;
	int status;

	status = pl_cli_jobs(cli, &jobs, &n);
	if (status != -1)
		return status;
	status = pl_session_open(&s, cli, PL_JOURNAL_NONE, true,
	    all_files(jobs, n));
	if (status != -1) {
		free_jobs(jobs, n);
		pl_session_close(&s);
		return status;
	}
	runs = pl_array(n, sizeof(struct pl_job_run *));
	for (size_t i = 0; i < n; i++)
		runs[i] = pl_engine_verify(s.engine, &jobs[i],
		    timeout_of(&s, &jobs[i]),
		    cli->timeout_ms == 0 ? PL_LOOK_ONCE : PL_LOOK_UNTIL);
	free_jobs(jobs, n);
	if (pl_session_work(&s, &err) != PL_OK)
		status = pl_cli_fail(cli, &err);
	else if (s.stop != 0)
		status = pl_code_exit(PL_ECANCEL);
	else
		status = join_all(runs, n, PL_VISIBLE);
	for (size_t i = 0; i < n; i++)
		pl_session_report(&s, runs[i]);
	free(runs);
	pl_session_close(&s);
	return status;
}

/* ---- run --------------------------------------------------------------------- */

/* Starts the command with the signals as they were; its pid, or -1. */
static pid_t
start_command(char **argv)
{
	sigset_t none;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	fprintf(stderr, "placard: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

struct command {
	pid_t pid;
	int fd, status;
	bool ended;
};

static void
on_command_signal(void *arg)
{
	struct command *c = arg;
	struct signalfd_siginfo si;

	while (read(c->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo != SIGCHLD && !c->ended)
			kill(c->pid, (int)si.ssi_signo);
		else if (!c->ended)
			c->ended = waitpid(c->pid, &c->status, WNOHANG) ==
			    c->pid;
	}
}

/* Waits for the command and hands signals on to it.  The engine works on, so
 * that a responder that dies meanwhile is replaced. */
static int
wait_command(struct pl_session *s, pid_t pid)
{
	struct command c = { .pid = pid };
	struct pl_loop *loop = pl_engine_loop(s->engine);
	struct pl_err err;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c.fd == -1) {
		while (waitpid(pid, &c.status, 0) == -1 && errno == EINTR)
			continue;
		c.ended = true;
	} else {
		pl_loop_unwatch(loop, s->sigfd);
		pl_loop_watch(loop, c.fd, false, on_command_signal, &c);
		c.ended = waitpid(pid, &c.status, WNOHANG) == pid;
	}
	while (!c.ended && pl_loop_turn(loop, &err) == PL_OK)
		continue;
	if (!c.ended)
		waitpid(pid, &c.status, 0);
	if (c.fd != -1) {
		pl_loop_unwatch(loop, c.fd);
		close(c.fd);
		pl_session_signals(s);
	}
	return WIFEXITED(c.status) ? WEXITSTATUS(c.status) :
	    128 + WTERMSIG(c.status);
}

static int
run_command(struct pl_session *s, char **argv)
{
	sigset_t chld;
	pid_t pid;

	/* Blocked before the fork, so that an early end is not missed. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	pid = start_command(argv);
	if (pid == -1) {
		fprintf(stderr, "placard: fork: %s\n", strerror(errno));
		return pl_code_exit(PL_EIO);
	}
	return wait_command(s, pid);
}

int
pl_cmd_run(struct pl_cli *cli)
{
	struct present p = { .runs = NULL };
	struct pl_err err;
	enum pl_code code;
	int status, gone;

	cli->life = PL_LIFE_RUN;
	status = present_start(&p, cli);
	if (status != -1) {
		present_end(&p);
		return status;
	}
	status = p.s.stop != 0 ? pl_code_exit(PL_ECANCEL) :
	    join_all(p.runs, p.n, p.wanted);
	if (p.s.stop != 0) {
		code = stop_and_remove(&p.s, p.runs, p.n, &err);
	} else {
		if (status == 0)
			status = run_command(&p.s, cli->args);
		p.s.stop = 0;
		code = remove_all(&p.s, p.runs, p.n,
		    pl_session_timeout(&p.s), &err);
	}
	gone = code != PL_OK ? pl_cli_fail(cli, &err) :
	    join_all(p.runs, p.n, PL_REMOVED);
	/* Standard output belongs to the command. */
	cli->quiet = true;
	report_all(&p);
	present_end(&p);
	return status == 0 ? gone : status;
}
