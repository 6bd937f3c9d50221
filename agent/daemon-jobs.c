/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The life of the service's jobs: active, held, removing, done.  A step is in
 * the journal before it is taken, so that work_load finds it again.
 */
#include "daemon.h"	/* house: allow length */

#include <stdlib.h>
#include <string.h>

#define TURN_MS 5		/* changes of this long are written as one */
#define LATE_MS 1000		/* the verifier's own word comes first */
#define REMOVE_MS 3600000
#define AGAIN_MS 60000		/* a removal that failed, doubled each time */
#define AGAIN_CAP_MS 3600000
#define DAY_MS INT64_C(86400000)

static void work_turn(void *daemon);
static void remove_start(struct pl_djob *j);
static void on_time(void *job);

/* ---- the table --------------------------------------------------------------- */

static size_t
hash(const char *id, size_t n)
{
	size_t h = 5381;

	for (; *id != '\0'; id++)
		h = h * 33 + (unsigned char)*id;
	return h % n;
}

struct pl_djob *
work_find(struct pl_daemon *d, const char *id)
{
	struct pl_djob *j;

	if (d->nbuckets == 0)
		return NULL;
	j = d->buckets[hash(id, d->nbuckets)];
	while (j != NULL && strcmp(j->row.id, id) != 0)
		j = j->next;
	return j;
}

static void
table_grow(struct pl_daemon *d)
{
	size_t n = d->nbuckets * 2 + 64;
	struct pl_djob **new = pl_array(n, sizeof(struct pl_djob *)), *j;

	for (size_t i = 0; i < d->nbuckets; i++) {
		while ((j = d->buckets[i]) != NULL) {
			size_t h = hash(j->row.id, n);

			d->buckets[i] = j->next;
			j->next = new[h];
			new[h] = j;
		}
	}
	free(d->buckets);
	d->buckets = new;
	d->nbuckets = n;
}

/* Takes over the row; its document and report stay in the journal. */
static struct pl_djob *
table_add(struct pl_daemon *d, struct pl_job_row *row)
{
	struct pl_djob *j = pl_alloc(sizeof(*j));
	size_t h;

	if (d->njobs >= d->nbuckets)
		table_grow(d);
	j->d = d;
	j->row = *row;
	*row = (struct pl_job_row){ 0 };	/* transferred */
	free(j->row.doc);
	free(j->row.report);
	j->row.doc = j->row.report = NULL;
	h = hash(j->row.id, d->nbuckets);
	j->next = d->buckets[h];
	d->buckets[h] = j;
	d->njobs++;
	return j;
}

static void
table_remove(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_djob **at = &d->buckets[hash(j->row.id, d->nbuckets)];

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	d->njobs--;
	for (size_t i = 0; i < d->ntouched; i++) {
		if (d->touched[i] == j)
			d->touched[i] = NULL;
	}
	pl_loop_forget(d->loop, j->timer);
	pl_job_row_clear(&j->row);
	free(j);
}

static void
touch(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;

	if (d->turn == 0)
		d->turn = pl_loop_after(d->loop, TURN_MS, work_turn, d);
	if (j->touched)
		return;
	j->touched = true;
	if (d->ntouched == d->captouched) {
		d->captouched = d->captouched * 2 + 64;
		d->touched = pl_grow(d->touched, d->captouched,
		    sizeof(struct pl_djob *));
	}
	d->touched[d->ntouched++] = j;
}

static void
set_timer(struct pl_djob *j, int64_t ms)
{
	pl_loop_forget(j->d->loop, j->timer);
	j->timer = pl_loop_after(j->d->loop, ms, on_time, j);
}

static void
put(struct pl_djob *j)
{
	struct pl_err err;

	daemon_ok(j->d, pl_journal_job_put(j->d->journal, &j->row, &err),
	    &err);
}

/* ---- what the world is told --------------------------------------------------- */

static void
say(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	json_t *event;

	pl_logf(&d->log, PL_LOG_INFO, "job", "job=%s state=%s phase=%s "
	    "uid=%lld", j->row.id, pl_state_name(j->state),
	    pl_job_phase_name(j->row.phase), (long long)j->row.uid);
	if (control_watched(d->control)) {
		event = event_of_job(j);
		control_event(d->control, j, event);
		pl_json_free(event);
	}
	if (j->row.source != NULL)
		spool_report(d->spool, j->row.source);
	if (j->row.notify != NULL)
		notifier_tell(d->notifier, j);
	if (j->row.phase == PL_J_HELD || j->row.phase == PL_J_DONE)
		control_rested(d->control, j);
}

static void
say_task(struct pl_djob *j, const struct pl_task *t, enum pl_state before)
{
	struct pl_daemon *d = j->d;
	json_t *event;
	bool bad = t->err.code != PL_OK;

	pl_stats_state(d->stats, t->state);
	pl_logf(&d->log, bad ? PL_LOG_WARN : PL_LOG_INFO, "challenge",
	    "job=%s domain=%s method=%s record=%s account=%s before=%s "
	    "state=%s%s%s%s%s%s", j->row.id, t->ch->shown,
	    pl_method_name(t->ch->method), t->ch->record,
	    t->n > 0 ? t->targets[0].account->settings.account : "-",
	    pl_state_name(before), pl_state_name(t->state),
	    bad ? " code=" : "", bad ? pl_code_name(t->err.code) : "",
	    bad ? " error=\"" : "", bad ? t->err.text : "", bad ? "\"" : "");
	if (!control_watched(d->control))
		return;
	event = event_of_task(j, t, before);
	control_event(d->control, j, event);
	pl_json_free(event);
}

void
work_changed(void *arg, const struct pl_task *t, enum pl_state before)
{
	struct pl_daemon *d = arg;
	struct pl_djob *j = t->run->tag;

	if (j == NULL) {
		if (t->run == d->orphans && d->turn == 0)
			d->turn = pl_loop_after(d->loop, TURN_MS, work_turn,
			    d);
		return;
	}
	/* What a journal that fails makes of it is not the truth. */
	if (pl_engine_fatal(d->engine) != NULL) {
		daemon_broken(d, pl_engine_fatal(d->engine));
		return;
	}
	if (before != t->state) {
		say_task(j, t, before);
		if (j->row.source != NULL)
			spool_report(d->spool, j->row.source);
	}
	if (before != t->state || t->run->open == 0)
		touch(j);
}

/* ---- removing ------------------------------------------------------------------ */

/* Gives what of a job has to go; standing records stay. */
static bool
rows_of(struct pl_djob *j, struct pl_row **rows, size_t *n)
{
	struct pl_row_query q = { .job = j->row.id };
	struct pl_err err;
	size_t m = 0;

	if (!daemon_ok(j->d, pl_journal_rows(j->d->journal, &q, rows, n,
	    &err), &err)) {
		for (size_t i = 0; i < *n; i++)
			pl_row_clear(&(*rows)[i]);
		free(*rows);
		return false;
	}
	for (size_t i = 0; i < *n; i++) {
		if ((*rows)[i].standing)
			pl_row_clear(&(*rows)[i]);
		else
			(*rows)[m++] = (*rows)[i];
	}
	*n = m;
	return true;
}

static enum pl_state
state_by_name(const char *name)
{
	for (enum pl_state s = PL_QUEUED; s < PL_NSTATES; s++) {
		if (strcmp(name, pl_state_name(s)) == 0)
			return s;
	}
	return PL_QUEUED;
}

static enum pl_state
state_of_report(const char *text)
{
	enum pl_state state = PL_QUEUED;
	struct pl_err err;
	json_t *j;

	if (text == NULL || pl_json_parse(&j, text, strlen(text), "report",
	    &err) != PL_OK)
		return state;
	state = state_by_name(report_state(j));
	pl_json_free(j);
	return state;
}

static void
job_done(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_job_row kept;
	struct pl_err err;
	json_t *report;

	if (!daemon_ok(d, pl_journal_job_get(d->journal, j->row.id, &kept,
	    &err), &err))
		return;
	report = report_removed(kept.report != NULL ? kept.report : "{}");
	pl_job_row_clear(&kept);
	j->row.phase = PL_J_DONE;
	j->row.ended = pl_wall_ms();
	j->row.report = pl_json_text(report);
	j->state = state_by_name(report_state(report));
	pl_json_free(report);
	put(j);
	/* What is in memory is read anew when the journal works again. */
	if (d->broken.code != PL_OK)
		return;
	say(j);
	table_remove(j);
}

static void
remove_start(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_row *rows;
	size_t n;

	if (d->engine == NULL || j->run != NULL || !rows_of(j, &rows, &n))
		return;
	if (n == 0) {
		free(rows);
		job_done(j);
		return;
	}
	j->run = pl_engine_remove_rows(d->engine, rows, n, REMOVE_MS);
	j->run->tag = j;
	if (j->run->open == 0)
		touch(j);
}

static const char *
first_error(const struct pl_job_run *run)
{
	for (size_t i = 0; i < run->job.n; i++) {
		if (run->tasks[i].err.code != PL_OK)
			return run->tasks[i].err.text;
	}
	return "";
}

static void
remove_ended(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_row *rows;
	unsigned shift = j->tries < 6 ? j->tries : 6;
	int64_t wait = (int64_t)AGAIN_MS << shift;
	size_t n;

	if (!rows_of(j, &rows, &n))
		return;
	for (size_t i = 0; i < n; i++)
		pl_row_clear(&rows[i]);
	free(rows);
	if (n > 0) {
		j->tries++;
		pl_logf(&d->log, PL_LOG_WARN, "removal", "job=%s left=%zu "
		    "again=%llds error=\"%s\"", j->row.id, n,
		    (long long)wait / 1000, first_error(j->run));
		set_timer(j, wait < AGAIN_CAP_MS ? wait : AGAIN_CAP_MS);
	}
	pl_engine_forget(d->engine, j->run);
	j->run = NULL;
	if (n == 0)
		job_done(j);
}

/* ---- coming to rest --------------------------------------------------------------- */

static void
held(struct pl_djob *j)
{
	int64_t now = pl_wall_ms(), ms = j->d->config->service.max_age_ms;

	if (j->hold == PL_HOLD_SECONDS)
		ms = j->hold_seconds * 1000;
	j->row.phase = PL_J_HELD;
	j->row.due = now + ms;
	set_timer(j, ms);
}

static void
job_rests(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	json_t *report = pl_run_json(j->run);

	pl_loop_forget(d->loop, j->timer);
	j->timer = 0;
	j->state = pl_run_state(j->run);
	/* Nobody waits for what has failed wholly, or was called off. */
	if (j->row.cancelled || j->hold == PL_HOLD_VISIBLE ||
	    j->state == PL_FAILED)
		j->row.phase = PL_J_REMOVING;
	else
		held(j);
	j->row.report = pl_json_text(report);
	pl_json_free(report);
	put(j);
	free(j->row.report);
	j->row.report = NULL;
	if (d->broken.code != PL_OK)
		return;
	pl_engine_forget(d->engine, j->run);
	j->run = NULL;
	say(j);
	if (j->row.phase == PL_J_REMOVING)
		remove_start(j);
}

static void
job_turn(struct pl_djob *j)
{
	enum pl_state state;

	if (j->run == NULL)
		return;
	if (j->row.phase == PL_J_REMOVING) {
		if (j->run->open == 0)
			remove_ended(j);
		return;
	}
	if (j->run->open == 0) {
		job_rests(j);
		return;
	}
	state = pl_run_state(j->run);
	if (state == j->state)
		return;
	j->state = state;
	say(j);
}

static void
orphans_turn(struct pl_daemon *d)
{
	if (d->orphans == NULL || d->orphans->open > 0)
		return;
	pl_logf(&d->log, PL_LOG_INFO, "reconciled", "records=%zu state=%s%s%s",
	    d->orphans->job.n, pl_state_name(pl_run_state(d->orphans)),
	    pl_run_state(d->orphans) == PL_REMOVED ? "" : " error=",
	    first_error(d->orphans));
	pl_engine_forget(d->engine, d->orphans);
	d->orphans = NULL;
}

/* All that has happened since the last one, in one commit. */
static void
work_turn(void *arg)
{
	struct pl_daemon *d = arg;
	struct pl_err err;
	size_t n = d->ntouched;
	bool ok;

	d->turn = 0;
	if (d->engine == NULL || d->broken.code != PL_OK)
		return;
	ok = daemon_ok(d, pl_journal_begin(d->journal, &err), &err);
	pl_engine_flush(d->engine);
	if (pl_engine_fatal(d->engine) != NULL)
		daemon_broken(d, pl_engine_fatal(d->engine));
	for (size_t i = 0; i < n; i++) {
		struct pl_djob *j = d->touched[i];

		if (j == NULL)
			continue;
		d->touched[i] = NULL;
		j->touched = false;
		if (d->broken.code == PL_OK)
			job_turn(j);
	}
	memmove(d->touched, d->touched + n, (d->ntouched - n) *
	    sizeof(struct pl_djob *));
	d->ntouched -= n;
	if (d->broken.code == PL_OK)
		orphans_turn(d);
	if (d->broken.code != PL_OK)
		pl_journal_rollback(d->journal);
	else if (ok)
		daemon_ok(d, pl_journal_commit(d->journal, &err), &err);
}

/* ---- taking jobs --------------------------------------------------------------------- */

static enum pl_code
may_admit(struct pl_daemon *d, const struct pl_job *job, struct pl_err *err)
{
	size_t which;

	if (d->broken.code != PL_OK) {
		*err = d->broken;
		err->code = PL_EIO;
		return pl_prefix(err, "no new jobs now");
	}
	if (d->stopping)
		return pl_fail(err, PL_ENET, "placardd is stopping");
	if (d->njobs >= d->config->service.max_jobs)
		return pl_fail(err, PL_ELIMIT, "job %s: %zu jobs are not done "
		    "yet, and max-jobs is %u", job->id, d->njobs,
		    d->config->service.max_jobs);
	if (job->deadline != 0 && job->deadline <= pl_wall_ms())
		return pl_fail(err, PL_EINVAL, "job %s: deadline: has passed",
		    job->id);
	if (job->notify != NULL &&
	    pl_config_notify(d->config, job->notify) == NULL)
		return pl_fail(err, PL_EINVAL, "job %s: notify: the "
		    "configuration has no section notify \"%s\"", job->id,
		    job->notify);
	if (pl_config_allows(d->config, job, &which, err) != PL_OK)
		return pl_prefix(err, "job %s: challenges[%zu].%s", job->id,
		    which, job->challenges[which].kind == PL_FILE ? "path" :
		    "name");
	return PL_OK;
}

/* Is the job there already?  Only the very same one may come again. */
static enum pl_code
known_already(struct pl_daemon *d, const struct pl_job *job, int64_t uid,
    struct pl_djob **out, struct pl_err *err)
{
	struct pl_job_row kept;
	enum pl_code code;

	*out = work_find(d, job->id);
	if (*out == NULL)
		return PL_OK;
	code = pl_journal_job_get(d->journal, job->id, &kept, err);
	if (code != PL_OK)
		return code;
	if (kept.uid != uid || !pl_streq(kept.doc, job->doc)) {
		*out = NULL;
		code = pl_fail(err, PL_EINVAL, "job %s: there is another job "
		    "of this name that is not done yet", job->id);
	}
	pl_job_row_clear(&kept);
	return code;
}

static int64_t
deadline_of(const struct pl_daemon *d, const struct pl_job *job, int64_t now)
{
	return job->deadline != 0 ? job->deadline :
	    now + d->config->service.deadline_ms;
}

enum pl_code
work_admit(struct pl_daemon *d, struct pl_job *job, int64_t uid,
    const char *source, struct pl_djob **out, bool *fresh,
    struct pl_err *err)
{
	struct pl_job_row row = { .uid = uid, .phase = PL_J_ACTIVE,
		.created = pl_wall_ms(), .told = -1 };
	enum pl_code code;
	json_t *report;

	*out = NULL;
	*fresh = false;
	pl_err_clear(err);
	code = known_already(d, job, uid, out, err);
	if (code == PL_OK && *out == NULL)
		code = may_admit(d, job, err);
	if (code != PL_OK || *out != NULL) {
		pl_job_clear(job);
		return code;
	}
	report = report_of_job(job, NULL, NULL);
	row.id = pl_strdup(job->id);
	row.doc = pl_strdup(job->doc);
	row.deadline = deadline_of(d, job, row.created);
	row.source = pl_strdup(source);
	row.notify = pl_strdup(job->notify);
	row.report = pl_json_text(report);
	pl_json_free(report);
	code = pl_journal_job_add(d->journal, &row, err);
	if (!daemon_ok(d, code, err)) {
		pl_job_row_clear(&row);
		pl_job_clear(job);
		return PL_EIO;
	}
	*out = table_add(d, &row);
	*fresh = true;
	(*out)->hold = job->hold;
	(*out)->hold_seconds = job->hold_seconds;
	pl_job_clear(job);
	return PL_OK;
}

void
work_refuse(struct pl_djob *j)
{
	struct pl_err err;

	daemon_ok(j->d, pl_journal_job_drop(j->d->journal, j->row.id, &err),
	    &err);
	table_remove(j);
}

/* ---- starting and going on --------------------------------------------------------- */

static bool
read_doc(struct pl_djob *j, struct pl_job *job, struct pl_err *err)
{
	struct pl_daemon *d = j->d;
	struct pl_job_row kept;
	enum pl_code code;
	json_t *doc = NULL;

	memset(job, 0, sizeof(*job));
	code = pl_journal_job_get(d->journal, j->row.id, &kept, err);
	if (!daemon_ok(d, code, err))
		return false;
	code = pl_json_parse(&doc, kept.doc != NULL ? kept.doc : "",
	    kept.doc != NULL ? strlen(kept.doc) : 0, j->row.id, err);
	if (code == PL_OK)
		code = pl_job_make(job, doc, err);
	pl_json_free(doc);
	pl_job_row_clear(&kept);
	if (code != PL_OK)
		return false;
	free(job->id);
	job->id = pl_strdup(j->row.id);
	free(job->doc);
	job->doc = NULL;
	j->hold = job->hold;
	j->hold_seconds = job->hold_seconds;
	return true;
}

/* A job that cannot be gone on with: what it has published goes. */
static void
give_up(struct pl_djob *j, const struct pl_job *job, const char *code,
    const char *text)
{
	json_t *report = report_of_job(job, code, text);

	j->row.phase = PL_J_REMOVING;
	j->state = PL_FAILED;
	j->row.report = pl_json_text(report);
	pl_json_free(report);
	put(j);
	free(j->row.report);
	j->row.report = NULL;
	remove_start(j);
}

/* The deadline is wall time; what is left of it cannot be more than it was. */
static int64_t
time_left(const struct pl_djob *j)
{
	int64_t left = j->row.deadline - pl_wall_ms();
	int64_t most = j->row.deadline - j->row.created;

	if (left > most)
		left = most;
	return left > 1 ? left : 1;
}

static void
run_started(struct pl_djob *j, int64_t left)
{
	j->run->tag = j;
	set_timer(j, left + LATE_MS);
	/* What failed, or was found done, at once. */
	for (size_t i = 0; i < j->run->job.n; i++) {
		if (j->run->tasks[i].state == PL_FAILED)
			say_task(j, &j->run->tasks[i], PL_QUEUED);
	}
	touch(j);
}

static void
resume(struct pl_djob *j, struct pl_row **left, size_t *nleft)
{
	struct pl_row_query q = { .job = j->row.id };
	struct pl_daemon *d = j->d;
	struct pl_row *rows = NULL;
	struct pl_job job;
	struct pl_err err;
	size_t n = 0;

	if (!read_doc(j, &job, &err)) {
		if (d->broken.code == PL_OK) {
			pl_logf(&d->log, PL_LOG_ERROR, "job", "job=%s error=\""
			    "%s\"", j->row.id, err.text);
			give_up(j, &job, "invalid", err.text);
		}
		return;
	}
	if (j->row.cancelled) {
		give_up(j, &job, "cancelled", "cancelled");
		pl_job_clear(&job);
		return;
	}
	if (!daemon_ok(d, pl_journal_rows(d->journal, &q, &rows, &n, &err),
	    &err)) {
		pl_job_clear(&job);
		return;
	}
	j->run = pl_engine_resume(d->engine, &job, time_left(j), rows, &n);
	*left = pl_grow(*left, *nleft + n + 1, sizeof(**left));
	if (n > 0)
		memcpy(*left + *nleft, rows, n * sizeof(*rows));
	*nleft += n;
	free(rows);
	run_started(j, time_left(j));
}

void
work_start(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_job job;
	struct pl_err err;

	/* Where there is no engine just now, work_bind will see to it. */
	if (d->engine == NULL || j->run != NULL ||
	    j->row.phase != PL_J_ACTIVE || !read_doc(j, &job, &err))
		return;
	say(j);
	j->run = pl_engine_present(d->engine, &job, time_left(j));
	run_started(j, time_left(j));
}

static void
remove_orphans(struct pl_daemon *d, struct pl_row *rows, size_t n)
{
	if (n == 0 || d->orphans != NULL || d->engine == NULL) {
		for (size_t i = 0; i < n; i++)
			pl_row_clear(&rows[i]);
		free(rows);
		return;
	}
	d->orphans = pl_engine_remove_rows(d->engine, rows, n, REMOVE_MS);
	orphans_turn(d);
}

void
work_bind(struct pl_daemon *d)
{
	struct pl_djob *j, *next;
	struct pl_row *left = NULL;
	size_t n = 0;

	for (size_t i = 0; i < d->nbuckets; i++) {
		for (j = d->buckets[i]; j != NULL; j = next) {
			next = j->next;
			if (j->row.phase == PL_J_ACTIVE)
				resume(j, &left, &n);
			else if (j->row.phase == PL_J_REMOVING)
				remove_start(j);
		}
	}
	remove_orphans(d, left, n);
}

void
work_unbind(struct pl_daemon *d)
{
	struct pl_djob *j;

	d->orphans = NULL;
	d->ntouched = 0;
	for (size_t i = 0; i < d->nbuckets; i++) {
		for (j = d->buckets[i]; j != NULL; j = j->next) {
			j->touched = false;
			j->run = NULL;
			if (j->row.phase == PL_J_HELD)
				continue;
			pl_loop_forget(d->loop, j->timer);
			j->timer = 0;
		}
	}
}

/* ---- time ------------------------------------------------------------------------------ */

static void
on_time(void *arg)
{
	struct pl_djob *j = arg;
	struct pl_daemon *d = j->d;

	j->timer = 0;
	if (j->row.phase == PL_J_ACTIVE && j->run != NULL) {
		pl_engine_stop_run(d->engine, j->run, true);
		touch(j);
	} else if (j->row.phase == PL_J_HELD) {
		pl_logf(&d->log, PL_LOG_INFO, "due", "job=%s hold=%s",
		    j->row.id, j->hold == PL_HOLD_SECONDS ? "seconds" :
		    "max-age");
		work_end(j, false);
	} else if (j->row.phase == PL_J_REMOVING)
		remove_start(j);
}

void
work_end(struct pl_djob *j, bool cancelled)
{
	struct pl_daemon *d = j->d;

	if (j->row.phase == PL_J_ACTIVE) {
		j->row.cancelled = true;
		put(j);
		if (j->run != NULL)
			pl_engine_stop_run(d->engine, j->run, false);
		touch(j);
	} else if (j->row.phase == PL_J_HELD) {
		j->row.phase = PL_J_REMOVING;
		j->row.cancelled = j->row.cancelled || cancelled;
		pl_loop_forget(d->loop, j->timer);
		j->timer = 0;
		/* A full disk does not keep it in the world. */
		put(j);
		say(j);
		remove_start(j);
	}
}

/* Rows of commands that have died; of those that live, none. */
static bool
is_orphan(struct pl_daemon *d, const struct pl_row *r, int64_t before)
{
	if (r->standing || pl_journal_alive(d->journal, r->owner))
		return false;
	/* An order may wait for its CA for days. */
	if (d->book != NULL && pl_book_wants(d->book, r->job))
		return false;
	if (r->state == PL_ROW_INTENT || r->state == PL_ROW_REMOVING)
		return true;
	return r->created < before;
}

/* A wall clock that jumped says nothing about how old a record is. */
static bool
clock_jumped(struct pl_daemon *d)
{
	int64_t wall = pl_wall_ms(), mono = pl_mono_ms();
	int64_t off = (wall - d->hour_wall) - (mono - d->hour_mono);
	bool first = d->hour_wall == 0;

	d->hour_wall = wall;
	d->hour_mono = mono;
	if (first || (off < 60000 && off > -60000))
		return false;
	pl_logf(&d->log, PL_LOG_WARN, "clock", "jumped=%llds",
	    (long long)off / 1000);
	return true;
}

void
work_reconcile(struct pl_daemon *d)
{
	struct pl_row_query q = { .orphans = true };
	int64_t now = pl_wall_ms(), before, gone;
	struct pl_row *rows = NULL;
	struct pl_err err;
	size_t n = 0, m = 0;

	before = clock_jumped(d) ? 0 : now - d->config->service.max_age_ms;
	if (d->broken.code != PL_OK || d->orphans != NULL)
		return;
	if (!daemon_ok(d, pl_journal_rows(d->journal, &q, &rows, &n, &err),
	    &err))
		return;
	for (size_t i = 0; i < n; i++) {
		if (is_orphan(d, &rows[i], before))
			rows[m++] = rows[i];
		else
			pl_row_clear(&rows[i]);
	}
	remove_orphans(d, rows, m);
	if (before != 0)
		daemon_ok(d, pl_journal_job_expire(d->journal,
		    now - d->config->service.keep_ms, &gone, &err), &err);
}

/* ---- asking ------------------------------------------------------------------------------ */

enum pl_code
work_report(struct pl_daemon *d, const char *id, int64_t uid,
    json_t **report, enum pl_job_phase *phase, struct pl_err *err)
{
	const struct pl_djob *j = work_find(d, id);
	struct pl_job_row kept;
	enum pl_code code;

	*report = NULL;
	code = pl_journal_job_get(d->journal, id, &kept, err);
	if (code != PL_OK)
		return code;
	if (kept.id == NULL || (uid != -1 && kept.uid != uid))
		code = pl_fail(err, PL_EREMOTE, "job %s: no such job", id);
	else if (j != NULL && j->run != NULL && j->row.phase == PL_J_ACTIVE)
		*report = pl_run_json(j->run);
	else
		code = pl_json_parse(report, kept.report != NULL ?
		    kept.report : "", kept.report != NULL ?
		    strlen(kept.report) : 0, id, err);
	*phase = kept.phase;
	pl_job_row_clear(&kept);
	return code;
}

void
work_count(const struct pl_daemon *d, size_t states[PL_NSTATES])
{
	const struct pl_djob *j;

	memset(states, 0, PL_NSTATES * sizeof(states[0]));
	for (size_t i = 0; i < d->nbuckets; i++) {
		for (j = d->buckets[i]; j != NULL; j = j->next) {
			for (size_t k = 0; j->run != NULL &&
			    k < j->run->job.n; k++)
				states[j->run->tasks[k].state]++;
		}
	}
}

/* ---- loading -------------------------------------------------------------------------------- */

struct load {
	struct pl_daemon *d;
	struct pl_job_row *rows;
	enum pl_state *states;
	size_t n;
};

static void
load_row(void *arg, const struct pl_job_row *r)
{
	struct load *l = arg;
	struct pl_job_row *new;

	if (r->phase == PL_J_DONE)
		return;
	l->rows = pl_grow(l->rows, l->n + 1, sizeof(*l->rows));
	new = &l->rows[l->n++];
	*new = *r;
	new->id = pl_strdup(r->id);
	new->source = pl_strdup(r->source);
	new->notify = pl_strdup(r->notify);
	new->report = NULL;
	l->states = pl_grow(l->states, l->n, sizeof(*l->states));
	l->states[l->n - 1] = state_of_report(r->report);
}

enum pl_code
work_load(struct pl_daemon *d, struct pl_err *err)
{
	struct load l = { .d = d };
	enum pl_code code;

	code = pl_journal_job_each(d->journal, NULL, load_row, &l, err);
	for (size_t i = 0; i < l.n; i++) {
		int64_t left = l.rows[i].due - pl_wall_ms();
		struct pl_djob *j = table_add(d, &l.rows[i]);

		if (j->row.phase != PL_J_ACTIVE)
			j->state = l.states[i];
		if (j->row.phase != PL_J_HELD)
			continue;
		/* Not before its time, whatever the clock says now. */
		if (left > 3650 * DAY_MS)
			left = 3650 * DAY_MS;
		set_timer(j, left);
	}
	free(l.rows);
	free(l.states);
	return code;
}

void
work_free(struct pl_daemon *d)
{
	struct pl_djob *j;

	for (size_t i = 0; i < d->nbuckets; i++) {
		while ((j = d->buckets[i]) != NULL) {
			d->buckets[i] = j->next;
			pl_loop_forget(d->loop, j->timer);
			pl_job_row_clear(&j->row);
			free(j);
		}
	}
	free(d->buckets);
	free(d->touched);
	d->buckets = d->touched = NULL;
	d->nbuckets = d->njobs = d->ntouched = d->captouched = 0;
}
