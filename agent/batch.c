/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What is to be called next: pacing, questions of scope, dispatch.  The
 * changes themselves are in apply.c.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES	(1u << 20)	/* of names and values in a frame */
#define GROUPS_LEAST	8u		/* that are worth another worker */
#define REFUSED_MS	60000u	/* doubled each time, up to an hour or so */

/* A scope that nobody waits for is forgotten. */
static void
group_end(struct pl_acct *a, struct pl_group *g)
{
	struct pl_group **at = &a->groups;

	g->busy = false;
	if (g->first != NULL)
		return;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free(g->scope);
	free(g);
}

void
pl_batch_end(struct pl_batch *b, bool worker_lives)
{
	struct pl_engine *e = b->e;
	struct pl_worker *w = b->w;

	b->a->inflight--;
	for (size_t i = 0; i < b->ng; i++)
		group_end(b->a, b->g[i]);
	free(b->g);
	free(b->sent);
	free(b->ready);
	free(b);
	if (worker_lives)
		pl_worker_release(w);
	pl_engine_kick(e, 0);
}

/* ---- an account's own faults ------------------------------------------------------ */

/* A refused credential is not used again, or not soon. */
static void
account_refused(struct pl_acct *a, const struct pl_err *err)
{
	unsigned n = a->refusals < 6 ? a->refusals : 6;

	/* Many outcomes of one call are one refusal. */
	if (a->refused.code != PL_OK)
		return;
	a->refused = *err;
	a->refusals++;
	a->proven = false;
	a->refused_until = pl_mono_ms() + ((int64_t)REFUSED_MS << n);
	if (a->engine->o.tries == 0)
		pl_logf(a->engine->o.log, PL_LOG_WARN, "account-refused",
		    "account=%s pause=%llds error=\"%s\"",
		    a->conf->settings.account,
		    (long long)(REFUSED_MS << n) / 1000, err->text);
}

void
pl_acct_trouble(struct pl_acct *a, const struct pl_err *err)
{
	if (err->code == PL_EAUTH)
		account_refused(a, err);
	if (err->code == PL_ELIMIT)
		pl_pace_limited(a, err->retry_after);
}

/* ---- scope --------------------------------------------------------------------- */

/* What the account itself is to blame for names it, or its place in the
 * configuration. */
static void
blame(const struct pl_account *a, struct pl_err *err)
{
	if (err->code == PL_EINVAL && a->file != NULL)
		pl_prefix(err, "%s:%u: account %s", a->file, a->line,
		    a->settings.account);
	else
		pl_prefix(err, "%s", a->settings.account);
}

static void
all_failed(struct pl_batch *b, struct pl_target **t, size_t n,
    const struct pl_err *why)
{
	struct pl_err err = *why;

	blame(b->a->conf, &err);
	pl_acct_trouble(b->a, &err);
	for (size_t i = 0; i < n; i++)
		pl_target_failed(t[i], &err);
}

/* How long a call may take: the account's limit, or what is left of the time
 * of those who wait for it. */
int64_t
pl_batch_ms(const struct pl_batch *b, struct pl_target *const *t, size_t n)
{
	int64_t left = 0, now = pl_mono_ms();

	for (size_t i = 0; i < n; i++) {
		if (t[i]->task->run->deadline - now > left)
			left = t[i]->task->run->deadline - now;
	}
	if (left > b->a->conf->timeout_ms)
		left = b->a->conf->timeout_ms;
	return left > 200 ? left : 200;
}

static const char *const op_names[] = { [PL_LOOK] = "look", [PL_ADD] = "add",
	[PL_DEL] = "delete", "scope" };

void
pl_batch_count(const struct pl_batch *b, size_t op, enum pl_code code)
{
	pl_stats_call(b->e->o.stats, b->a->conf->settings.account,
	    op_names[op], code, pl_mono_us() - b->started);
}

static void
scope_done(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct pl_batch *b = arg;
	struct pl_cursor *c;
	struct pl_err each;
	const char *scope;
	uint32_t cost;
	bool bad;

	for (size_t i = 0; i < b->nsent; i++)
		b->sent[i]->asked = false;
	if (f == NULL) {
		pl_batch_count(b, PL_NELEM(op_names) - 1, err->code);
		all_failed(b, b->sent, b->nsent, err);
		pl_batch_end(b, false);
		return;
	}
	c = &f->body;
	pl_batch_count(b, PL_NELEM(op_names) - 1, PL_OK);
	bad = pl_get_u32(c) != b->call || pl_get_u32(c) != b->nsent;
	for (size_t i = 0; i < b->nsent; i++) {
		struct pl_target *t = b->sent[i];

		scope = bad ? NULL : pl_get_str(c);
		if (!bad)
			pl_get_err(c, &each);
		bad = bad || c->bad || scope == NULL ||
		    strlen(scope) >= PL_NAME_MAX;
		if (bad)
			pl_fail(&each, PL_EPROTO, "%s: worker's answer makes "
			    "no sense", b->a->conf->settings.account);
		if (each.code != PL_OK) {
			blame(b->a->conf, &each);
			b->a->proven = b->a->proven ||
			    each.code == PL_ENOZONE;
			pl_acct_trouble(b->a, &each);
			pl_target_failed(t, &each);
			continue;
		}
		b->a->proven = true;
		if (pl_target_stopped(t))
			continue;
		t->scope = pl_strdup(scope);
		t->fails = 0;
		pl_target_ready(t);
		if (t->probing)
			pl_task_settle(t->task);
	}
	cost = pl_get_u32(c);
	if (bad || c->bad)
		cost = 1;
	pl_pace_cost(b->a, cost);
	if (bad)
		pl_worker_lied(b->w, "answer to SCOPE makes no sense");
	pl_batch_end(b, !bad);
}

static struct pl_batch *
batch_new(struct pl_acct *a, struct pl_worker *w)
{
	struct pl_batch *b = pl_alloc(sizeof(*b));

	b->e = a->engine;
	b->a = a;
	b->w = w;
	b->reserved = true;
	a->inflight++;
	return b;
}

/* Moves what is ready now from a waiting list to `out`; *room: octets that a
 * frame has left for it. */
static size_t
take_ready(struct pl_target **first, struct pl_target ***last,
    struct pl_target **out, size_t most, size_t *room, int removing)
{
	struct pl_target **at = first, *t;
	int64_t now = pl_mono_ms();
	size_t n = 0;

	while ((t = *at) != NULL) {
		size_t size = 32 + strlen(t->name) +
		    (removing < 0 ? 0 : 32 + t->row.value_len);

		if (t->not_before > now ||
		    (removing >= 0 && t->removing != (removing != 0))) {
			at = &t->next;
			continue;
		}
		if (n == most || (size > *room && *room < BATCH_BYTES))
			break;
		*at = t->next;
		t->next = NULL;
		t->phase = PL_T_CALL;
		*room -= size < *room ? size : *room;
		out[n++] = t;
	}
	while (*at != NULL)
		at = &(*at)->next;
	*last = at;
	return n;
}

size_t
pl_batch_take(struct pl_batch *b, struct pl_target **out, size_t most)
{
	size_t n = 0, room = BATCH_BYTES;

	/* Held: what is under way may end, nothing new begins. */
	for (size_t i = 0; i < b->ng && n < most && !b->e->held; i++)
		n += take_ready(&b->g[i]->first, &b->g[i]->last, out + n,
		    most - n, &room, b->removing);
	return n;
}

bool
pl_acct_worker(struct pl_acct *a, struct pl_worker **w, struct pl_err *err)
{
	struct pl_worker_spec spec = { .key = a->key,
		.program = a->conf->desc->program, .hello = &a->hello,
		.most = a->conf->desc->parallel };

	pl_err_clear(err);
	pl_resident_spec(a, &spec);
	if (pl_pool_acquire(a->engine->pool, &spec, w, err) != PL_OK)
		*w = NULL;
	return *w != NULL;
}

static void
ask_scopes(struct pl_acct *a, struct pl_worker *w)
{
	struct pl_batch *b = batch_new(a, w);
	struct pl_buf body;
	size_t room = BATCH_BYTES;
	int64_t ms;

	b->sent = pl_array(PL_BATCH_MOST, sizeof(struct pl_target *));
	b->nsent = take_ready(&a->scoping, &a->scoping_last, b->sent,
	    PL_BATCH_MOST, &room, -1);
	b->call = pl_worker_next_call(w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, b->call);
	ms = pl_batch_ms(b, b->sent, b->nsent);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, (uint32_t)b->nsent);
	for (size_t i = 0; i < b->nsent; i++) {
		b->sent[i]->asked = true;
		pl_put_str(&body, b->sent[i]->name);
	}
	b->started = pl_mono_us();
	pl_worker_call(w, PL_MSG_SCOPE, &body, PL_MSG_SCOPED, ms,
	    scope_done, b);
	pl_buf_clear(&body);
}

/* ---- dispatch ---------------------------------------------------------------------- */

/* When is the first of a list due?  -1: the list is empty. */
static int64_t
first_due(const struct pl_target *t)
{
	int64_t due = -1;

	for (; t != NULL; t = t->next) {
		if (due < 0 || t->not_before < due)
			due = t->not_before;
		if (due == 0)
			break;
	}
	return due;
}

static bool
removal_first(const struct pl_group *g, int64_t now)
{
	for (const struct pl_target *t = g->first; t != NULL; t = t->next) {
		if (t->not_before <= now)
			return t->removing;
	}
	return false;
}

static bool
group_ready(const struct pl_group *g, int64_t now)
{
	int64_t due = g->busy ? -1 : first_due(g->first);

	return due >= 0 && due <= now;
}

/*
 * Takes the group and, where calls cost little, others with it: they share
 * the journal's transactions.
 */
static void
start_batch(struct pl_acct *a, struct pl_group *first, struct pl_worker *w,
    int64_t now)
{
	struct pl_batch *b = batch_new(a, w);
	size_t most = 1, ready = 0;
	struct pl_group *g;

	b->removing = removal_first(first, now);
	for (g = first; g != NULL; g = g->next)
		ready += group_ready(g, now);
	if ((a->conf->desc->flags & PL_P_SWIFT) != 0) {
		unsigned left = a->conf->desc->parallel - a->inflight + 1;

		most = (ready + left - 1) / left;
		most = most < GROUPS_LEAST ? GROUPS_LEAST : most;
	}
	b->g = pl_array(most, sizeof(struct pl_group *));
	for (g = first; g != NULL && b->ng < most; g = g->next) {
		if (!group_ready(g, now) ||
		    removal_first(g, now) != b->removing)
			continue;
		g->busy = true;
		b->g[b->ng++] = g;
	}
	pl_batch_start(b);
}

static void
fail_list(struct pl_target **first, struct pl_target ***last,
    const struct pl_err *err)
{
	struct pl_target *t = *first, *next;

	*first = NULL;
	*last = first;
	for (; t != NULL; t = next) {
		next = t->next;
		pl_target_failed(t, err);
	}
}

/* One step for one account; false where nothing (more) can start now. */
static bool
acct_step(struct pl_acct *a, int64_t now, int64_t *wake)
{
	struct pl_worker *w;
	struct pl_group *g, *ready = NULL;
	struct pl_err err;
	int64_t due, wait;
	bool scoping;

	due = first_due(a->scoping);
	scoping = due >= 0 && due <= now;
	if (due > now && due < *wake)
		*wake = due;
	for (g = a->groups; g != NULL; g = g->next) {
		if (g->busy || (due = first_due(g->first)) < 0)
			continue;
		if (due <= now && ready == NULL)
			ready = g;
		else if (due > now && due < *wake)
			*wake = due;
	}
	if (!scoping && ready == NULL)
		return false;
	if (a->refused.code != PL_OK && a->engine->o.tries == 0) {
		if (a->refused_until > now) {
			*wake = a->refused_until < *wake ? a->refused_until :
			    *wake;
			return false;
		}
		pl_err_clear(&a->refused);
	}
	if (a->refused.code != PL_OK) {
		err = a->refused;
		if (scoping)
			fail_list(&a->scoping, &a->scoping_last, &err);
		else
			fail_list(&ready->first, &ready->last, &err);
		return true;
	}
	/* A credential that is refused is to be refused once. */
	if (a->inflight >= (a->proven ? a->conf->desc->parallel : 1))
		return false;
	wait = pl_pace_take(a);
	if (wait > 0) {
		if (a->waiting == 0)
			a->waiting = now;
		*wake = now + wait < *wake ? now + wait : *wake;
		return false;
	}
	if (a->waiting != 0)
		pl_stats_wait(a->engine->o.stats, a->conf->settings.account,
		    now - a->waiting);
	a->waiting = 0;
	if (!pl_acct_worker(a, &w, &err)) {
		pl_pace_cost(a, 0);
		if (err.code == PL_OK)
			return false;
		if (scoping)
			fail_list(&a->scoping, &a->scoping_last, &err);
		else
			fail_list(&ready->first, &ready->last, &err);
		return true;
	}
	if (scoping)
		ask_scopes(a, w);
	else
		start_batch(a, ready, w, now);
	return true;
}

void
pl_engine_dispatch(void *arg)
{
	struct pl_engine *e = arg;
	int64_t now = pl_mono_ms(), wake = INT64_MAX;

	if (!e->held)
		wake = pl_resident_keep(e);
	for (size_t i = 0; !e->held && i < e->o.config->naccounts; i++) {
		while (acct_step(&e->accts[i], now, &wake))
			continue;
	}
	pl_look_send(e);
	if (wake != INT64_MAX)
		pl_engine_kick(e, wake - now);
}

/* Only here has the timer fired: who frees a worker dispatches by himself. */
static void
on_kick(void *arg)
{
	struct pl_engine *e = arg;

	e->kick = 0;
	pl_engine_dispatch(e);
}

/* Dispatches in `ms`, or earlier where that is wanted already. */
void
pl_engine_kick(struct pl_engine *e, int64_t ms)
{
	int64_t at = pl_mono_ms() + (ms > 0 ? ms : 0);

	if (e->kick != 0 && e->kick_at <= at)
		return;
	pl_loop_forget(e->loop, e->kick);
	e->kick_at = at;
	e->kick = pl_loop_after(e->loop, ms, on_kick, e);
}
