/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Programs that get a job's report on standard input whenever its state
 * changes (program.c).  A program that fails is tried again; what it was
 * told last is in the journal, so that a restart forgets nothing.
 */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 8
#define MOST_TRIES 5
#define AGAIN_MS 1000		/* doubled each time */

/* One report on its way.  Those of one job go in their order. */
struct message {
	struct pl_notifier *n;
	struct message *next;
	char *job, *name, *report;
	int64_t told;
	unsigned tries;
	bool waiting;		/* for another try */
	struct pl_program *run;	/* NULL: not started */
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
	program_drop(m->run);
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
on_end(void *arg, const char *how, int number)
{
	struct message *m = arg;
	struct pl_notifier *n = m->n;
	struct pl_err err;

	n->running--;
	m->run = NULL;
	if (how != NULL)
		failed(m, how, number);
	else {
		daemon_ok(n->d, pl_journal_job_told(n->d->journal, m->job,
		    m->told, &err), &err);
		message_drop(m);
	}
	start_soon(n);
}

/* ---- starting one ---------------------------------------------------------------- */

static void
start_one(struct message *m, const struct pl_notify_conf *conf)
{
	struct pl_notifier *n = m->n;
	int rc;

	m->run = program_start(n->d->loop, conf->argv, m->report,
	    conf->timeout_ms, on_end, m, &rc);
	if (m->run == NULL)
		failed(m, "errno", rc);
	else
		n->running++;
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
		if (m->run != NULL || m->waiting || must_wait(m))
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
