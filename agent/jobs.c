/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Whole jobs: taking them, finding their accounts, removing and cancelling.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define CANCEL_MS 2000

/* ---- jobs ------------------------------------------------------------------------ */

static struct pl_job_run *
run_new(struct pl_engine *e, struct pl_job *job, int64_t timeout_ms)
{
	struct pl_job_run *run = pl_alloc(sizeof(*run));

	run->job = *job;
	*job = (struct pl_job){ 0 };	/* transferred */
	run->user = e;
	run->started = pl_mono_ms();
	run->deadline = run->started + timeout_ms;
	run->tasks = pl_array(run->job.n, sizeof(*run->tasks));
	run->open = run->job.n;
	for (size_t i = 0; i < run->job.n; i++) {
		run->tasks[i].run = run;
		run->tasks[i].ch = &run->job.challenges[i];
		run->tasks[i].seq = (uint32_t)i;
	}
	e->runs = pl_grow(e->runs, e->nruns + 1, sizeof(struct pl_job_run *));
	run->place = e->nruns;
	e->runs[e->nruns++] = run;
	return run;
}

static void
target_init(struct pl_target *g, struct pl_task *t,
    const struct pl_account *a)
{
	/* A standing alias goes where it was asked for. */
	*g = (struct pl_target){ .task = t, .account = a,
		.follow = a->follow && (a->desc->flags & PL_P_STAY) == 0 &&
		!(t->ch->standing && t->ch->kind == PL_CNAME) };
	g->name = pl_strdup(t->ch->record);
}

static enum pl_code
account_fits(const struct pl_account *a, const struct pl_challenge *ch,
    const char *name, struct pl_err *err)
{
	if (a == NULL)
		return pl_fail(err, PL_EINVAL, "%s: no account %s",
		    ch->shown, name);
	if (!a->enabled)
		return pl_fail(err, PL_EINVAL, "%s: account %s is disabled",
		    ch->shown, name);
	if ((a->desc->kinds & (1u << ch->kind)) == 0)
		return pl_fail(err, PL_EINVAL, "%s: account %s (%s) cannot "
		    "publish %s", ch->shown, name, a->desc->name,
		    ch->kind == PL_FILE ? "files" : "DNS records");
	return PL_OK;
}

/* Accounts that may hold the zone of a name without a route. */
static size_t
probe_targets(struct pl_engine *e, struct pl_task *t)
{
	const struct pl_config *c = e->o.config;

	t->targets = pl_array(c->naccounts + 1, sizeof(*t->targets));
	for (size_t i = 0; i < c->naccounts; i++) {
		const struct pl_account *a = &c->accounts[i];

		if (!a->enabled || t->ch->kind == PL_FILE ||
		    (a->desc->kinds & (1u << t->ch->kind)) == 0)
			continue;
		target_init(&t->targets[t->n], t, a);
		t->targets[t->n++].probing = true;
	}
	return t->n;
}

static enum pl_code
find_accounts(struct pl_engine *e, struct pl_task *t, struct pl_err *err)
{
	const struct pl_challenge *ch = t->ch;
	const char *one[1] = { e->o.account != NULL ? e->o.account :
		ch->account };
	const char *const *names = one;
	const struct pl_route *r = NULL;
	size_t n = 1;
	enum pl_code code;

	if (one[0] == NULL) {
		r = pl_config_route(e->o.config, ch->domain, ch->method);
		if (r == NULL && probe_targets(e, t) > 0)
			return PL_OK;
		if (r == NULL)
			return pl_fail(err, PL_EINVAL, "%s: no route serves "
			    "it with %s", ch->shown,
			    pl_method_name(ch->method));
		names = (const char *const *)r->accounts;
		n = r->naccounts;
	}
	t->targets = pl_array(n, sizeof(*t->targets));
	for (size_t i = 0; i < n; i++) {
		const struct pl_account *a = pl_config_account(e->o.config,
		    names[i]);

		if (r != NULL && a != NULL && !a->enabled)
			continue;
		code = account_fits(a, ch, names[i], err);
		if (code != PL_OK)
			return code;
		target_init(&t->targets[t->n], t, a);
		if (r != NULL && r->follow != -1 &&
		    (a->desc->flags & PL_P_STAY) == 0)
			t->targets[t->n].follow = r->follow != 0;
		t->n++;
	}
	if (t->n == 0)
		return pl_fail(err, PL_EINVAL, "%s: all accounts of its route "
		    "are disabled", ch->shown);
	return PL_OK;
}

static void
fill_row(struct pl_engine *e, struct pl_target *g)
{
	const struct pl_challenge *ch = g->task->ch;
	struct pl_row *r = &g->row;

	r->job = pl_strdup(g->task->run->job.id);
	r->seq = g->task->seq;
	r->method = pl_strdup(pl_method_name(ch->method));
	r->domain = pl_strdup(ch->shown);
	r->kind = ch->kind;
	r->record = pl_strdup(ch->record);
	r->value = pl_alloc(ch->value_len + 1);
	memcpy(r->value, ch->value, ch->value_len);
	r->value_len = ch->value_len;
	r->ttl = e->o.ttl != 0 ? e->o.ttl : ch->ttl;
	r->apex = ch->method == PL_DNS_TXT_TOKEN;
	r->standing = ch->standing;
	r->created = pl_wall_ms();
	if ((g->account->desc->flags & PL_P_SOURCE) != 0)
		r->handle = pl_strdup(ch->kind == PL_FILE ? ch->domain :
		    ch->key_authorization);
}

/* Does somebody have to find out first where its aliases lead? */
static bool
must_locate(const struct pl_task *t)
{
	for (size_t k = 0; k < t->n; k++) {
		const struct pl_target *g = &t->targets[k];

		if (t->ch->kind != PL_FILE && g->follow && !g->probing &&
		    (g->account->desc->flags & PL_P_ALIAS) == 0)
			return true;
	}
	return false;
}

/* Everything but the scope is known: publish it, or remove it. */
static void
task_start(struct pl_engine *e, struct pl_task *t, bool removing)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (t->ch->kind == PL_NOTHING) {
		t->state = removing ? PL_REMOVED : PL_PUBLISHED;
		pl_task_rest(t);
		return;
	}
	if (find_accounts(e, t, &err) != PL_OK) {
		pl_task_fail(t, &err);
		pl_task_rest(t);
		return;
	}
	t->removing = removing;
	for (size_t k = 0; k < t->n; k++) {
		fill_row(e, &t->targets[k]);
		t->targets[k].removing = removing;
		t->targets[k].row.was = PL_WAS_UNKNOWN;
	}
	for (size_t k = 0; k < t->n; k++) {
		if (!t->targets[k].probing)
			pl_resident_want(pl_acct_of(e, t->targets[k].account));
	}
	if (must_locate(t)) {
		pl_look_start(t, PL_LOOK_WHERE);
		return;
	}
	for (size_t k = 0; k < t->n; k++)
		pl_target_scope(&t->targets[k]);
}

struct pl_job_run *
pl_engine_present(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms)
{
	struct pl_job_run *run = run_new(e, job, timeout_ms);

	for (size_t i = 0; i < run->job.n; i++)
		task_start(e, &run->tasks[i], false);
	return run;
}

/* ---- going on with what an engine before has left --------------------------------- */

/* Which target a row belongs to: its account's, or the only one, which then
 * has followed an alias. */
static struct pl_target *
target_of_row(struct pl_engine *e, struct pl_task *t, const struct pl_row *r)
{
	const struct pl_account *a = pl_config_account(e->o.config,
	    r->account);

	if (a == NULL || r->state == PL_ROW_REMOVING)
		return NULL;
	for (size_t k = 0; k < t->n; k++) {
		if (t->targets[k].account == a && t->targets[k].row.id == 0)
			return &t->targets[k];
	}
	if (t->n != 1 || t->targets[0].row.id != 0)
		return NULL;
	t->targets[0].account = a;
	return &t->targets[0];
}

static void
take_row(struct pl_target *g, struct pl_row *r)
{
	pl_row_clear(&g->row);
	g->row = *r;
	*r = (struct pl_row){ 0 };	/* transferred */
	free(g->name);
	g->name = pl_strdup(g->row.name);
	free(g->scope);
	g->scope = pl_strdup(g->row.scope);
	g->probing = false;
	if (g->row.state == PL_ROW_INTENT)
		g->maybe = true;
	else
		g->phase = PL_T_DONE;
}

/* All of it is published: it is visible, or has to be looked for. */
static void
resume_published(struct pl_engine *e, struct pl_task *t)
{
	bool visible = true;

	for (size_t k = 0; k < t->n; k++) {
		const struct pl_row *r = &t->targets[k].row;

		visible = visible && r->state == PL_ROW_VISIBLE;
		if (r->published > t->published)
			t->published = r->published;
		if (r->visible > t->visible)
			t->visible = r->visible;
	}
	t->state = t->told = visible ? PL_VISIBLE : PL_PUBLISHED;
	if (visible || !e->o.wait)
		pl_task_rest(t);
	else
		pl_look_start(t, false);
}

static void
drop_targets(struct pl_task *t, size_t keep)
{
	for (; t->n > keep; t->n--) {
		free(t->targets[t->n - 1].name);
		pl_row_clear(&t->targets[t->n - 1].row);
	}
	if (keep == 0) {
		free(t->targets);
		t->targets = NULL;
	}
}

static void
task_resume(struct pl_engine *e, struct pl_task *t, struct pl_row *rows,
    size_t n)
{
	struct pl_target *g;
	struct pl_err err;
	size_t found = 0, done = 0;

	if (find_accounts(e, t, &err) != PL_OK) {
		pl_task_fail(t, &err);
		pl_task_rest(t);
		return;
	}
	/* The rows know which account it was. */
	if (t->n > 0 && t->targets[0].probing)
		drop_targets(t, 1);
	for (size_t k = 0; k < t->n; k++)
		fill_row(e, &t->targets[k]);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].id == 0 || rows[i].seq != t->seq ||
		    (g = target_of_row(e, t, &rows[i])) == NULL)
			continue;
		take_row(g, &rows[i]);
		found++;
	}
	if (found == 0) {
		drop_targets(t, 0);
		task_start(e, t, false);
		return;
	}
	for (size_t k = 0; k < t->n; k++)
		done += t->targets[k].phase == PL_T_DONE;
	if (done == t->n) {
		resume_published(e, t);
		return;
	}
	for (size_t k = 0; k < t->n; k++) {
		g = &t->targets[k];
		if (g->phase == PL_T_DONE)
			continue;
		if (g->scope != NULL)
			pl_target_ready(g);
		else
			pl_target_scope(g);
	}
}

static bool
has_row(const struct pl_row *rows, size_t n, uint32_t seq)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].id != 0 && rows[i].seq == seq &&
		    rows[i].state != PL_ROW_REMOVING)
			return true;
	}
	return false;
}

struct pl_job_run *
pl_engine_resume(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms, struct pl_row *rows, size_t *n)
{
	struct pl_job_run *run = run_new(e, job, timeout_ms);
	size_t left = 0;

	for (size_t i = 0; i < run->job.n; i++) {
		struct pl_task *t = &run->tasks[i];

		pl_err_clear(&t->err);
		if (t->ch->kind != PL_NOTHING && has_row(rows, *n, t->seq))
			task_resume(e, t, rows, *n);
		else
			task_start(e, t, false);
	}
	for (size_t i = 0; i < *n; i++) {
		if (rows[i].id != 0)
			rows[left++] = rows[i];
	}
	*n = left;
	return run;
}

struct pl_job_run *
pl_engine_plan(struct pl_engine *e, struct pl_job *job)
{
	struct pl_job_run *run = run_new(e, job, 0);
	struct pl_err err;

	for (size_t i = 0; i < run->job.n; i++) {
		struct pl_task *t = &run->tasks[i];

		pl_err_clear(&err);
		if (t->ch->kind != PL_NOTHING &&
		    find_accounts(e, t, &err) != PL_OK)
			pl_task_fail(t, &err);
		pl_task_rest(t);
	}
	return run;
}

struct pl_job_run *
pl_engine_verify(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms, enum pl_look look)
{
	struct pl_job_run *run = run_new(e, job, timeout_ms);

	for (size_t i = 0; i < run->job.n; i++) {
		if (run->tasks[i].ch->kind == PL_NOTHING)
			pl_task_rest(&run->tasks[i]);
		else
			pl_look_start(&run->tasks[i], look);
	}
	return run;
}

/* ---- removal ----------------------------------------------------------------------- */

static void
reopen(struct pl_task *t)
{
	if (t->resting) {
		t->resting = false;
		t->run->open++;
	}
}

void
pl_engine_remove(struct pl_engine *e, struct pl_job_run *run,
    int64_t timeout_ms)
{
	run->removing = true;
	run->cancelled = false;
	run->deadline = pl_mono_ms() + timeout_ms;
	pl_engine_flush(e);
	for (size_t i = 0; i < run->job.n; i++) {
		struct pl_task *t = &run->tasks[i];
		bool any = false;

		if (t->ch->standing)
			continue;
		pl_look_stop(t);
		for (size_t k = 0; k < t->n; k++)
			any = any || pl_target_in_world(&t->targets[k]);
		if (!any)
			continue;
		reopen(t);
		t->removing = true;
		for (size_t k = 0; k < t->n; k++) {
			if (pl_target_in_world(&t->targets[k]))
				pl_target_remove(&t->targets[k]);
		}
	}
}

void
pl_row_challenge(struct pl_challenge *ch, const struct pl_row *r)
{
	*ch = (struct pl_challenge){ .kind = r->kind,
		.standing = r->standing };
	if (!pl_method_parse(&ch->method, r->method))
		ch->method = r->kind == PL_FILE ? PL_HTTP_FILE :
		    PL_DNS_TXT_TOKEN;
	ch->shown = pl_strdup(r->domain);
	ch->wildcard = strncmp(r->domain, "*.", 2) == 0;
	ch->domain = pl_strdup(r->domain + (ch->wildcard ? 2 : 0));
	ch->record = pl_strdup(r->record);
	ch->value = pl_strndup(r->value, r->value_len);
	ch->value_len = r->value_len;
}

/* The target that a row of the journal stands for; keeps the row.  False:
 * its account is no more. */
static bool
row_target(struct pl_engine *e, struct pl_task *t, struct pl_row *row,
    struct pl_err *err)
{
	const struct pl_account *a = pl_config_account(e->o.config,
	    row->account);
	struct pl_target *g;

	if (a == NULL) {
		pl_fail(err, PL_EINVAL, "%s: account %s, which published it, "
		    "is not in the configuration", row->record, row->account);
		pl_row_clear(row);
		return false;
	}
	g = &t->targets[t->n++];
	*g = (struct pl_target){ .task = t, .account = a, .row = *row,
		.removing = true, .maybe = true };
	*row = (struct pl_row){ 0 };	/* transferred */
	g->name = pl_strdup(g->row.name);
	g->scope = pl_strdup(g->row.scope);
	return true;
}

/* Starts the removal of all rows of one challenge. */
static void
start_rows(struct pl_engine *e, struct pl_task *t, struct pl_row *rows,
    size_t n)
{
	struct pl_err err;
	bool lost = false;

	t->removing = true;
	t->state = PL_VISIBLE;
	t->published = rows[0].published;
	t->visible = rows[0].visible;
	t->targets = pl_array(n, sizeof(*t->targets));
	for (size_t i = 0; i < n; i++) {
		if (rows[i].state != PL_ROW_VISIBLE)
			t->state = PL_PUBLISHED;
		if (!row_target(e, t, &rows[i], &err))
			lost = true;
	}
	if (lost)
		pl_task_fail(t, &err);
	for (size_t k = 0; k < t->n; k++)
		pl_target_ready(&t->targets[k]);
	if (t->n == 0)
		pl_task_rest(t);
}

struct pl_job_run *
pl_engine_remove_rows(struct pl_engine *e, struct pl_row *rows, size_t n,
    int64_t timeout_ms)
{
	struct pl_job job = { .n = n };
	struct pl_job_run *run;
	bool one = n > 0;

	for (size_t i = 1; i < n; i++)
		one = one && strcmp(rows[i].job, rows[0].job) == 0;
	job.id = pl_strdup(one ? rows[0].job : "cleanup");
	job.challenges = pl_array(n, sizeof(*job.challenges));
	for (size_t i = 0; i < n; i++)
		pl_row_challenge(&job.challenges[i], &rows[i]);
	run = run_new(e, &job, timeout_ms);
	run->removing = true;
	for (size_t i = 0; i < n; i++)
		start_rows(e, &run->tasks[i], &rows[i], 1);
	free(rows);
	return run;
}

struct pl_job_run *
pl_engine_remove_known(struct pl_engine *e, struct pl_job *job,
    struct pl_row *rows, const size_t *of, size_t n, int64_t timeout_ms)
{
	struct pl_job_run *run = run_new(e, job, timeout_ms);
	size_t from = 0, to;

	run->removing = true;
	for (size_t i = 0; i < run->job.n; i++) {
		for (to = from; to < n && of[to] == i; to++)
			continue;
		if (to > from)
			start_rows(e, &run->tasks[i], &rows[from], to - from);
		else
			task_start(e, &run->tasks[i], true);
		from = to;
	}
	free(rows);
	return run;
}

struct pl_job_run *
pl_engine_remove_named(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms)
{
	return pl_engine_remove_known(e, job, NULL, NULL, 0, timeout_ms);
}

/* ---- cancelling and working ---------------------------------------------------------- */

static void
take_out(struct pl_target **first, struct pl_target ***last,
    const struct pl_target *t)
{
	struct pl_target **at = first;

	while (*at != NULL && *at != t)
		at = &(*at)->next;
	if (*at == t)
		*at = t->next;
	for (at = first; *at != NULL; at = &(*at)->next)
		continue;
	*last = at;
}

/* How a target ends that waits for its turn. */
static void
stop_error(const struct pl_target *t, bool late, struct pl_err *err)
{
	if (!late)
		pl_fail(err, PL_ECANCEL, "%s: cancelled", t->task->ch->shown);
	else if (t->err.code != PL_OK)
		*err = t->err;
	else
		pl_fail(err, PL_ENET, "%s: account %s could not be called "
		    "before the deadline", t->task->ch->shown,
		    t->account->settings.account);
}

bool
pl_target_stopped(struct pl_target *t)
{
	struct pl_err err;

	if (!t->task->run->cancelled || t->removing)
		return false;
	t->probing = false;
	stop_error(t, t->task->run->late, &err);
	pl_target_failed(t, &err);
	return true;
}

static void
target_stop(struct pl_engine *e, struct pl_target *t)
{
	struct pl_acct *a = pl_acct_of(e, t->account);
	struct pl_group *g;

	if (t->removing || t->asked ||
	    (t->phase != PL_T_SCOPE && t->phase != PL_T_READY))
		return;
	if (t->phase == PL_T_SCOPE)
		take_out(&a->scoping, &a->scoping_last, t);
	else if (!t->probing) {
		g = pl_group_of(a, t->scope);
		take_out(&g->first, &g->last, t);
	}
	pl_target_stopped(t);
}

void
pl_task_unseen(struct pl_task *t)
{
	pl_look_stop(t);
	if (pl_mono_ms() >= t->run->deadline)
		pl_fail(&t->err, PL_EABSENT, "%s: not visible before the "
		    "deadline", t->ch->record);
	else
		pl_fail(&t->err, PL_ECANCEL, "%s: cancelled", t->ch->shown);
	pl_task_rest(t);
}

void
pl_engine_stop_run(struct pl_engine *e, struct pl_job_run *run, bool late)
{
	if (run->removing || run->open == 0)
		return;
	run->cancelled = true;
	run->late = late;
	for (size_t k = 0; k < run->job.n; k++) {
		struct pl_task *t = &run->tasks[k];

		if (t->resting)
			continue;
		if (t->looking) {
			pl_task_unseen(t);
			continue;
		}
		for (size_t m = 0; m < t->n; m++)
			target_stop(e, &t->targets[m]);
	}
}

static void
kill_busy(void *arg)
{
	struct pl_engine *e = arg;

	pl_pool_kill_busy(e->pool, "cancelled");
}

void
pl_engine_cancel(struct pl_engine *e)
{
	pl_loop_after(e->loop, CANCEL_MS, kill_busy, e);
	for (size_t i = 0; i < e->nruns; i++)
		pl_engine_stop_run(e, e->runs[i], false);
}

bool
pl_engine_busy(const struct pl_engine *e)
{
	for (size_t i = 0; i < e->nruns; i++) {
		if (e->runs[i]->open > 0)
			return true;
	}
	return false;
}

enum pl_code
pl_engine_work(struct pl_engine *e, const volatile int *stop,
    struct pl_err *err)
{
	enum pl_code code;

	while (pl_engine_busy(e) && (stop == NULL || *stop == 0)) {
		code = pl_loop_turn(e->loop, err);
		if (code != PL_OK)
			return code;
	}
	pl_engine_flush(e);
	if (e->fatal.code != PL_OK) {
		*err = e->fatal;
		return e->fatal.code;
	}
	return PL_OK;
}
