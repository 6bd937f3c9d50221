/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Jobs, tasks and targets: what is to happen next with each of them.  Calls
 * are made in batch.c, looks in look.c.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HOPS 8
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS 60000
#define TOGETHER_MS 200
#define FLUSH_MS 20
#define CONFLICTS 20		/* tries that somebody else has spoilt */

/* ---- life of the engine ---------------------------------------------------- */

static void
fill_hello(struct pl_acct *a)
{
	struct pl_engine *e = a->engine;

	pl_buf_init(&a->hello, PL_LIM_FRAME);
	pl_put_str(&a->hello, PL_ROLE_ACCOUNT);
	pl_put_u8(&a->hello, PL_HELLO_FLAGS(e->o.log->level,
	    e->o.config->service.sandbox));
	pl_settings_put(&a->hello, &a->conf->settings);
}

static void
acct_init(struct pl_acct *a, struct pl_engine *e,
    const struct pl_account *conf)
{
	struct pl_buf key;

	a->engine = e;
	a->conf = conf;
	a->scoping_last = &a->scoping;
	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_addf(&key, "account:%s", conf->settings.account);
	a->key = pl_buf_take(&key);
}

/* What the journal remembers is read when the account is first used. */
static void
acct_load(struct pl_acct *a)
{
	if (a->hello.len > 0)
		return;
	fill_hello(a);
	pl_pace_load(a);
}

enum pl_code
pl_engine_new(struct pl_engine **out, const struct pl_engine_opts *o,
    struct pl_err *err)
{
	struct pl_engine *e;
	const char *libexec = o->libexec;
	enum pl_code code;

	*out = NULL;
	if (libexec == NULL)
		libexec = getenv("PLACARD_LIBEXEC");
	if (libexec == NULL)
		libexec = PL_LIBEXECDIR;
	e = pl_alloc(sizeof(*e));
	e->o = *o;
	e->loop = o->loop;
	e->own_loop = o->loop == NULL;
	code = e->own_loop ? pl_loop_new(&e->loop, err) : PL_OK;
	if (code == PL_OK)
		code = pl_pool_new(&e->pool, e->loop, libexec, o->log, err);
	if (code != PL_OK) {
		pl_engine_free(e);
		return code;
	}
	pl_pool_on_freed(e->pool, pl_engine_dispatch, e);
	e->accts = pl_array(o->config->naccounts + 1, sizeof(*e->accts));
	for (size_t i = 0; i < o->config->naccounts; i++)
		acct_init(&e->accts[i], e, &o->config->accounts[i]);
	*out = e;
	return PL_OK;
}

static void
acct_clear(struct pl_acct *a)
{
	struct pl_group *g;

	while ((g = a->groups) != NULL) {
		a->groups = g->next;
		free(g->scope);
		free(g);
	}
	pl_buf_clear(&a->hello);
	free(a->key);
}

static void
run_free(struct pl_job_run *run)
{
	for (size_t i = 0; i < run->job.n; i++) {
		struct pl_task *t = &run->tasks[i];

		for (size_t k = 0; k < t->n; k++) {
			free(t->targets[k].scope);
			free(t->targets[k].name);
			pl_row_clear(&t->targets[k].row);
		}
		for (size_t k = 0; k < t->nverdicts; k++) {
			free(t->verdicts[k].server);
			free(t->verdicts[k].address);
			free(t->verdicts[k].note);
		}
		free(t->targets);
		free(t->verdicts);
		pl_findings_free(t->findings, t->nfindings);
		free(t->zone);
		free(t->where);
	}
	free(run->tasks);
	pl_job_clear(&run->job);
	free(run);
}

void
pl_engine_free(struct pl_engine *e)
{
	if (e == NULL)
		return;
	pl_engine_flush(e);
	pl_ctls_free(e);
	if (e->own_loop) {
		pl_pool_free(e->pool);
		pl_loop_free(e->loop);
	} else {
		pl_pool_reap(e->pool);
		pl_loop_forget(e->loop, e->kick);
		pl_loop_forget(e->loop, e->flush);
		pl_loop_forget(e->loop, e->checker_idle);
	}
	for (size_t i = 0; e->accts != NULL && i < e->o.config->naccounts;
	    i++) {
		if (!e->own_loop)
			pl_loop_forget(e->loop, e->accts[i].ask);
		acct_clear(&e->accts[i]);
	}
	free(e->accts);
	for (size_t i = 0; i < e->nruns; i++)
		run_free(e->runs[i]);
	free(e->runs);
	free(e->looks);
	free(e->fresh);
	free(e->seen);
	free(e);
}

static bool
has_unwritten(const struct pl_engine *e, const struct pl_job_run *run)
{
	for (size_t i = 0; i < e->nseen; i++) {
		if (e->seen[i]->run == run)
			return true;
	}
	return false;
}

void
pl_engine_forget(struct pl_engine *e, struct pl_job_run *run)
{
	for (size_t i = 0; i < run->job.n; i++)
		pl_look_stop(&run->tasks[i]);
	if (has_unwritten(e, run))
		pl_engine_flush(e);
	e->runs[run->place] = e->runs[--e->nruns];
	e->runs[run->place]->place = run->place;
	run_free(run);
}

void
pl_engine_hold(struct pl_engine *e, bool hold)
{
	e->held = hold;
	if (!hold)
		pl_engine_kick(e, 0);
}

size_t
pl_engine_inflight(const struct pl_engine *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->o.config->naccounts; i++)
		n += e->accts[i].inflight;
	return n;
}

const struct pl_err *
pl_engine_fatal(const struct pl_engine *e)
{
	return e->fatal.code != PL_OK ? &e->fatal : NULL;
}

struct pl_loop *
pl_engine_loop(struct pl_engine *e)
{
	return e->loop;
}

struct pl_pool *
pl_engine_pool(struct pl_engine *e)
{
	return e->pool;
}

struct pl_acct *
pl_acct_of(struct pl_engine *e, const struct pl_account *conf)
{
	struct pl_acct *a = &e->accts[conf - e->o.config->accounts];

	acct_load(a);
	return a;
}

/* ---- the journal's failures end what adds, not what removes ----------------- */

bool
pl_journal_ok(struct pl_engine *e, enum pl_code code,
    const struct pl_err *err)
{
	if (code == PL_OK)
		return true;
	pl_journal_rollback(e->o.journal);
	if (e->fatal.code == PL_OK) {
		e->fatal = *err;
		e->fatal.code = PL_EIO;
		pl_logf(e->o.log, PL_LOG_ERROR, "journal", "error=\"%s\"",
		    err->text);
	}
	return false;
}

static void
flush_seen(struct pl_engine *e)
{
	struct pl_err err;
	enum pl_code code;

	if (e->nseen == 0)
		return;
	code = pl_journal_begin(e->o.journal, &err);
	for (size_t i = 0; code == PL_OK && i < e->nseen; i++) {
		struct pl_task *t = e->seen[i];

		for (size_t k = 0; code == PL_OK && k < t->n; k++) {
			struct pl_target *g = &t->targets[k];

			if (g->phase == PL_T_DONE && g->row.id != 0)
				code = pl_journal_visible(e->o.journal,
				    &g->row, &err);
		}
	}
	if (code == PL_OK)
		code = pl_journal_commit(e->o.journal, &err);
	pl_journal_ok(e, code, &err);
	e->nseen = 0;
}

/* Writes what may be a little late: sightings and notes of accounts. */
void
pl_engine_flush(void *arg)
{
	struct pl_engine *e = arg;
	struct pl_err err;

	pl_loop_forget(e->loop, e->flush);
	e->flush = 0;
	if (e->o.journal == NULL || e->accts == NULL)
		return;
	flush_seen(e);
	for (size_t i = 0; i < e->o.config->naccounts; i++)
		pl_journal_ok(e, pl_pace_flush(&e->accts[i], &err), &err);
}

static void
on_flush(void *arg)
{
	struct pl_engine *e = arg;

	e->flush = 0;
	pl_engine_flush(e);
}

void
pl_engine_flush_soon(struct pl_engine *e)
{
	if (e->flush == 0)
		e->flush = pl_loop_after(e->loop, FLUSH_MS, on_flush, e);
}

/* ---- tasks -------------------------------------------------------------------- */

void
pl_task_changed(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;

	if (e->o.changed != NULL)
		e->o.changed(e->o.ctx, t, t->told);
	t->told = t->state;
}

void
pl_task_rest(struct pl_task *t)
{
	if (!t->resting) {
		t->resting = true;
		t->run->open--;
	}
	pl_task_changed(t);
}

void
pl_task_fail(struct pl_task *t, const struct pl_err *err)
{
	if (t->err.code == PL_OK) {
		t->err = *err;
		if (err->code == PL_OK)
			t->err.code = PL_EPROTO;
	}
	t->state = PL_FAILED;
}

static void
remember_lag(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;
	int64_t ms = t->visible - t->published;

	for (size_t k = 0; k < t->n && ms >= 0; k++) {
		struct pl_acct *a = pl_acct_of(e, t->targets[k].account);

		a->note.seen_ms = a->note.seen_ms == 0 ? ms :
		    (a->note.seen_ms * 7 + ms) / 8;
		a->note_dirty = true;
		pl_stats_lag(e->o.stats, a->conf->settings.account, ms);
	}
}

void
pl_task_seen(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;

	t->state = PL_VISIBLE;
	t->visible = pl_wall_ms();
	if (t->n > 0 && e->o.journal != NULL) {
		if (e->nseen == e->capseen) {
			e->capseen = e->capseen * 2 + 64;
			e->seen = pl_grow(e->seen, e->capseen,
			    sizeof(struct pl_task *));
		}
		e->seen[e->nseen++] = t;
		remember_lag(t);
		pl_engine_flush_soon(e);
	}
	pl_task_rest(t);
}

/* Starts the removal of what a target has, or may have, in the world. */
void
pl_target_remove(struct pl_target *g)
{
	g->removing = true;
	g->fails = 0;
	g->not_before = 0;
	g->phase = PL_T_READY;
	pl_target_ready(g);
}

bool
pl_target_in_world(const struct pl_target *g)
{
	return g->phase == PL_T_DONE || (g->phase == PL_T_FAILED && g->maybe);
}

/* A failed task takes back what some of its targets have published. */
static void
settle_failed(struct pl_task *t)
{
	bool working = false;

	for (size_t k = 0; k < t->n; k++) {
		struct pl_target *g = &t->targets[k];

		if (!g->removing && pl_target_in_world(g))
			pl_target_remove(g);
		working = working || g->phase < PL_T_DONE;
	}
	if (!working)
		pl_task_rest(t);
}

static void
settle_probing(struct pl_task *t)
{
	struct pl_target *found = NULL, *other = NULL, *wrong = NULL;
	struct pl_err err;

	for (size_t k = 0; k < t->n; k++) {
		struct pl_target *g = &t->targets[k];

		if (g->phase == PL_T_SCOPE || g->phase == PL_T_CALL ||
		    g->phase == PL_T_NEW)
			return;
		if (g->phase == PL_T_READY && found == NULL)
			found = g;
		else if (g->phase == PL_T_READY)
			other = g;
		else if (g->err.code != PL_ENOZONE)
			wrong = g;
	}
	if (found != NULL && other == NULL) {
		struct pl_target keep = *found;

		for (size_t k = 0; k < t->n; k++) {
			if (&t->targets[k] == found)
				continue;
			free(t->targets[k].name);
			pl_row_clear(&t->targets[k].row);
		}
		t->targets[0] = keep;
		t->n = 1;
		t->targets[0].probing = false;
		pl_target_ready(&t->targets[0]);
		return;
	}
	/* Perhaps an alias leads to a zone that an account holds. */
	if (found == NULL && wrong == NULL && !t->located &&
	    !t->run->cancelled) {
		pl_engine_residents(t->run->user);
		pl_look_start(t, PL_LOOK_WHERE);
		return;
	}
	if (found != NULL)
		pl_fail(&err, PL_EINVAL, "%s: no route, and accounts %s and "
		    "%s both hold the zone", t->ch->shown,
		    found->account->settings.account,
		    other->account->settings.account);
	else if (wrong != NULL)
		err = wrong->err;
	else if (t->n > 0 && t->targets[0].hops > 0)
		pl_fail(&err, PL_ENOZONE, "%s: no route, and no account holds "
		    "its zone, nor that of %s, where its alias leads",
		    t->ch->shown, t->targets[0].name);
	else
		pl_fail(&err, PL_ENOZONE, "%s: no route, and no account holds "
		    "its zone", t->ch->shown);
	for (size_t k = 0; k < t->n; k++) {
		t->targets[k].phase = PL_T_FAILED;
		t->targets[k].probing = false;
	}
	pl_task_fail(t, &err);
	pl_task_rest(t);
}

/*
 * A provider that cannot tell an alias by itself gets the name that the
 * aliases lead to; so do accounts that were asked whose zone it is.
 */
void
pl_task_located(struct pl_task *t, const char *record,
    const struct pl_err *err)
{
	bool moved = record != NULL && strcmp(record, t->ch->record) != 0;

	t->located = true;
	if (err->code == PL_EREMOTE) {
		pl_task_fail(t, err);
		for (size_t k = 0; k < t->n; k++)
			t->targets[k].phase = PL_T_FAILED;
		pl_task_rest(t);
		return;
	}
	if (t->n > 0 && t->targets[0].probing && !moved) {
		settle_probing(t);
		return;
	}
	for (size_t k = 0; k < t->n; k++) {
		struct pl_target *g = &t->targets[k];

		if (moved && g->follow) {
			free(g->name);
			g->name = pl_strdup(record);
			g->hops++;
		}
		g->fails = 0;
		g->phase = PL_T_NEW;
	}
	for (size_t k = 0; k < t->n; k++)
		pl_target_scope(&t->targets[k]);
}

void
pl_task_settle(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;
	bool done = true, gone = true, failed = false;
	struct pl_err *why = NULL;

	if (t->n > 0 && t->targets[0].probing) {
		settle_probing(t);
		return;
	}
	for (size_t k = 0; k < t->n; k++) {
		struct pl_target *g = &t->targets[k];

		if (g->phase == PL_T_FAILED) {
			failed = true;
			why = &g->err;
		}
		done = done && g->phase == PL_T_DONE;
		gone = gone && (g->phase == PL_T_GONE ||
		    (g->phase == PL_T_FAILED && !g->maybe && !g->removing));
		if (g->phase < PL_T_DONE && t->removing)
			return;
	}
	if (t->removing) {
		if (gone && t->state != PL_FAILED) {
			t->state = PL_REMOVED;
			t->removed = pl_wall_ms();
		} else if (failed)
			pl_task_fail(t, why);
		pl_task_rest(t);
	} else if (failed || t->state == PL_FAILED) {
		if (failed)
			pl_task_fail(t, why);
		settle_failed(t);
	} else if (done && t->state == PL_QUEUED) {
		t->state = PL_PUBLISHED;
		t->published = pl_wall_ms();
		if (e->o.wait && t->run->cancelled) {
			/* The call was under way when its job was stopped. */
			pl_task_unseen(t);
		} else if (e->o.wait && t->ch->kind != PL_NOTHING) {
			pl_task_changed(t);
			pl_look_start(t, PL_LOOK_UNTIL);
		} else
			pl_task_rest(t);
	}
}

/* ---- targets -------------------------------------------------------------------- */

struct pl_group *
pl_group_of(struct pl_acct *a, const char *scope)
{
	struct pl_group *g;

	for (g = a->groups; g != NULL; g = g->next) {
		if (strcmp(g->scope, scope) == 0)
			return g;
	}
	g = pl_alloc(sizeof(*g));
	g->acct = a;
	g->scope = pl_strdup(scope);
	g->last = &g->first;
	g->next = a->groups;
	a->groups = g;
	return g;
}

void
pl_target_ready(struct pl_target *t)
{
	struct pl_engine *e = t->task->run->user;
	struct pl_acct *a = pl_acct_of(e, t->account);
	struct pl_group *g;
	struct pl_err err;

	t->phase = PL_T_READY;
	if (t->probing)
		return;
	if (pl_target_stopped(t))
		return;
	if (!pl_resident_lasts(t, &err)) {
		pl_target_failed(t, &err);
		return;
	}
	g = pl_group_of(a, t->scope);
	t->next = NULL;
	*g->last = t;
	g->last = &t->next;
	pl_engine_kick(e, t->not_before - pl_mono_ms());
}

void
pl_target_scope(struct pl_target *t)
{
	struct pl_engine *e = t->task->run->user;
	struct pl_acct *a = pl_acct_of(e, t->account);
	struct pl_err err;

	/* No responder is started only to be asked whose zone it is. */
	if (t->probing && (t->account->desc->flags & PL_P_RESIDENT) != 0 &&
	    pl_resident_holder(e, t->name) != t->account) {
		pl_fail(&err, PL_ENOZONE, "%s: in none of the zones of %s",
		    t->name, t->account->settings.account);
		pl_target_failed(t, &err);
		return;
	}
	t->phase = PL_T_SCOPE;
	t->next = NULL;
	*a->scoping_last = t;
	a->scoping_last = &t->next;
	pl_engine_kick(e, t->not_before - pl_mono_ms());
}

/* The account that serves the zone an alias leads to: by route, else the one
 * that was asked. */
static const struct pl_account *
alias_account(struct pl_engine *e, const struct pl_target *t)
{
	const struct pl_account *a;
	const struct pl_route *r;

	r = pl_config_route(e->o.config, t->name, t->task->ch->method);
	for (size_t i = 0; r != NULL && i < r->naccounts; i++) {
		a = pl_config_account(e->o.config, r->accounts[i]);
		if (a != NULL && a->enabled &&
		    (a->desc->kinds & (1u << t->task->ch->kind)) != 0)
			return a;
	}
	a = r == NULL ? pl_resident_holder(e, t->name) : NULL;
	return a != NULL && t->task->ch->kind != PL_FILE ? a : t->account;
}

void
pl_target_alias(struct pl_target *t, const char *alias)
{
	struct pl_engine *e = t->task->run->user;
	struct pl_err err;

	if (!t->follow)
		pl_fail(&err, PL_EREMOTE, "%s: is an alias of %s, and account "
		    "%s does not follow aliases", t->name, alias,
		    t->account->settings.account);
	else if (++t->hops > MAX_HOPS)
		pl_fail(&err, PL_EREMOTE, "%s: more than %d aliases from %s",
		    t->name, MAX_HOPS, t->task->ch->record);
	else if (strcmp(alias, t->name) == 0 ||
	    strcmp(alias, t->task->ch->record) == 0)
		pl_fail(&err, PL_EREMOTE, "%s: its aliases lead in a circle",
		    t->task->ch->record);
	else {
		free(t->name);
		t->name = pl_strdup(alias);
		t->account = alias_account(e, t);
		free(t->scope);
		t->scope = NULL;
		t->not_before = 0;
		pl_target_scope(t);
		return;
	}
	pl_target_failed(t, &err);
}

/*
 * From 0 to below `most`.  What fails together, as the targets of a call do,
 * gets the same, so that it is tried again together.
 */
static int64_t
jitter(struct pl_acct *a, int64_t most)
{
	int64_t now = pl_mono_ms();

	if (now - a->rolled > TOGETHER_MS) {
		a->rolled = now;
		a->roll = pl_random_below(1u << 16);
	}
	return most * (int64_t)a->roll >> 16;
}

static int64_t
retry_delay(struct pl_target *t, const struct pl_err *err)
{
	struct pl_acct *a = pl_acct_of(t->task->run->user, t->account);
	int64_t d;

	if (err->code == PL_ECONFLICT && t->fails <= CONFLICTS)
		return 20 + jitter(a, 30 * (int64_t)t->fails);
	/* The account knows when it may be tried again. */
	if (err->code == PL_EAUTH)
		return a->refused_until - pl_mono_ms();
	if (err->retry_after > 0)
		return err->retry_after + jitter(a, 250);
	d = (int64_t)RETRY_BASE_MS << (t->fails < 9 ? t->fails - 1 : 8);
	if (err->code == PL_ELIMIT)
		d *= 4;
	if (d > RETRY_CAP_MS)
		d = RETRY_CAP_MS;
	return d / 2 + jitter(a, d / 2 + 1);
}

static bool
worth_another(const struct pl_target *t, const struct pl_err *err,
    int64_t delay)
{
	struct pl_engine *e = t->task->run->user;
	unsigned tries = e->o.tries;
	bool patient = tries == 0;

	if (e->fatal.code != PL_OK || t->task->run->cancelled)
		return false;
	/* A reload may bring a better credential before the deadline. */
	if (patient && err->code == PL_EAUTH)
		return true;
	if (!pl_code_retry(err->code))
		return false;
	if (err->code == PL_EPROTO && t->fails >= 3 && !patient)
		return false;
	if (err->code == PL_ECONFLICT && !patient)
		tries = CONFLICTS;
	if (tries != 0 && t->fails >= tries)
		return false;
	return pl_mono_ms() + delay < t->task->run->deadline;
}

void
pl_target_failed(struct pl_target *t, const struct pl_err *err)
{
	struct pl_engine *e = t->task->run->user;
	int64_t delay;
	struct pl_err jerr;

	t->err = *err;
	if (err->code == PL_ENOZONE && t->hops > 0)
		pl_prefix(&t->err, "%s: its alias leads to another zone",
		    t->task->ch->record);
	t->fails++;
	delay = retry_delay(t, err);
	if (worth_another(t, err, delay)) {
		pl_stats_retry(e->o.stats, t->account->settings.account);
		t->not_before = pl_mono_ms() + delay;
		if (t->scope == NULL)
			pl_target_scope(t);
		else
			pl_target_ready(t);
		return;
	}
	pl_logf(e->o.log, PL_LOG_DEBUG, "give-up", "record=%s account=%s "
	    "error=\"%s\"", t->name, t->account->settings.account, err->text);
	/* Refused for good, and never sent before: nothing is in the world. */
	if (!t->removing && !t->maybe && t->row.id != 0 &&
	    pl_journal_ok(e, pl_journal_forget(e->o.journal, &t->row, &jerr),
	    &jerr))
		t->row.state = PL_ROW_INTENT;
	t->phase = PL_T_FAILED;
	pl_task_settle(t->task);
}

void
pl_target_done(struct pl_target *t)
{
	t->phase = t->removing ? PL_T_GONE : PL_T_DONE;
	t->fails = 0;
	pl_err_clear(&t->err);
	pl_task_settle(t->task);
}
