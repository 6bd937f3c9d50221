/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Vendors that tell when all their servers have a change (PL_P_SPREAD) are
 * asked before anybody looks: one name server that has it says nothing of
 * those that a CA will ask from elsewhere.
 *
 * It is a hint.  A look is held back while the vendor says "not yet", for a
 * minute or half of the time that is left; an account that cannot be asked,
 * or does not know, holds back nothing.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS		200	/* questions in one call */
#define HOLD_MS		60000	/* how long "not yet" is believed */
#define FIRST_GAP_MS	500	/* between calls, doubled each time */
#define MOST_GAP_MS	5000
#define BUSY_MS		200	/* all of the account's workers have work */

struct asking {
	struct pl_engine *e;
	struct pl_acct *a;
	struct pl_worker *w;
	uint32_t call;
	struct pl_target **t;		/* one for each item; only compared */
	char **scope, **handle;
	size_t n;
	int64_t started;		/* mono us */
};

static void ask(void *arg);

/* ---- who waits ----------------------------------------------------------------- */

static bool
waits(const struct pl_target *g)
{
	return (g->account->desc->flags & PL_P_SPREAD) != 0 && !g->spread &&
	    g->phase == PL_T_DONE && g->row.handle != NULL;
}

static bool
task_waits(const struct pl_task *t)
{
	for (size_t k = 0; k < t->n; k++) {
		if (waits(&t->targets[k]))
			return true;
	}
	return false;
}

/* Not yet, but long enough. */
static bool
too_long(const struct pl_look_slot *s)
{
	int64_t now = pl_mono_ms(), held = now - s->since;

	return held > HOLD_MS || held > s->task->run->deadline - now;
}

static void
ask_in(struct pl_acct *a, int64_t ms)
{
	if (a->ask == 0 && !a->asking)
		a->ask = pl_loop_after(a->engine->loop, ms, ask, a);
}

bool
pl_spread_hold(struct pl_task *t, int64_t first_ms)
{
	if (!task_waits(t))
		return false;
	for (size_t k = 0; k < t->n; k++) {
		struct pl_acct *a;

		if (!waits(&t->targets[k]))
			continue;
		a = pl_acct_of(t->run->user, t->targets[k].account);
		if (a->ask == 0 && !a->asking)
			a->ask_gap = FIRST_GAP_MS;
		ask_in(a, first_ms);
	}
	return true;
}

/* Calls each() for every target of the account that waits. */
static void
each_waiting(struct pl_acct *a, void (*each)(void *ctx,
    struct pl_target *g), void *ctx)
{
	struct pl_engine *e = a->engine;

	for (size_t i = 0; i < e->nlooks; i++) {
		struct pl_task *t = e->looks[i].held ? e->looks[i].task : NULL;

		for (size_t k = 0; t != NULL && k < t->n; k++) {
			if (t->targets[k].account == a->conf &&
			    waits(&t->targets[k]))
				each(ctx, &t->targets[k]);
		}
	}
}

/* Lets go of the looks that nobody has to be asked about any more; gives how
 * many of the account's still wait. */
static size_t
let_go(struct pl_acct *a)
{
	struct pl_engine *e = a->engine;
	size_t left = 0;

	for (size_t i = 0; i < e->nlooks; i++) {
		struct pl_look_slot *s = &e->looks[i];

		if (s->task == NULL || !s->held)
			continue;
		if (too_long(s) || !task_waits(s->task))
			pl_look_release(e, s);
		else
			left++;
	}
	return left;
}

static void
set_spread(void *ctx, struct pl_target *g)
{
	(void)ctx;
	g->spread = true;
}

/* No hint is to be had from it. */
static void
give_up(struct pl_acct *a)
{
	each_waiting(a, set_spread, NULL);
	let_go(a);
}

/* ---- asking ---------------------------------------------------------------------- */

static void
add_item(void *ctx, struct pl_target *g)
{
	struct asking *q = ctx;

	q->t = pl_grow(q->t, q->n + 1, sizeof(struct pl_target *));
	q->t[q->n++] = g;
}

static int
compare(const struct pl_target *x, const char *scope, const char *handle)
{
	int d = strcmp(x->scope, scope);

	return d != 0 ? d : strcmp(x->row.handle, handle);
}

static int
item_order(const void *a, const void *b)
{
	const struct pl_target *x = *(struct pl_target *const *)a,
	    *y = *(struct pl_target *const *)b;

	return compare(x, y->scope, y->row.handle);
}

/* What has to be asked for, each once, ordered by scope. */
static void
collect(struct asking *q)
{
	size_t n = 0;

	each_waiting(q->a, add_item, q);
	if (q->n > 1)
		qsort(q->t, q->n, sizeof(struct pl_target *), item_order);
	for (size_t i = 0; i < q->n; i++) {
		if (n > 0 && item_order(&q->t[n - 1], &q->t[i]) == 0)
			continue;
		q->t[n++] = q->t[i];
	}
	q->n = n < ITEMS ? n : ITEMS;
	q->scope = pl_array(q->n + 1, sizeof(char *));
	q->handle = pl_array(q->n + 1, sizeof(char *));
	for (size_t i = 0; i < q->n; i++) {
		q->scope[i] = pl_strdup(q->t[i]->scope);
		q->handle[i] = pl_strdup(q->t[i]->row.handle);
	}
}

static void
asking_free(struct asking *q)
{
	for (size_t i = 0; i < q->n; i++) {
		free(q->scope[i]);
		free(q->handle[i]);
	}
	free(q->scope);
	free(q->handle);
	free(q->t);
	free(q);
}

struct answer {
	const struct asking *q;
	const bool *settled;
};

/* Others may have come meanwhile: a target is found again by what was asked. */
static void
take_answer(void *ctx, struct pl_target *g)
{
	const struct answer *x = ctx;

	for (size_t i = 0; i < x->q->n; i++) {
		if (x->settled[i] && compare(g, x->q->scope[i],
		    x->q->handle[i]) == 0)
			g->spread = true;
	}
}

static void
answered(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct asking *q = arg;
	struct pl_acct *a = q->a;
	bool *settled = pl_array(q->n + 1, sizeof(*settled)), bad = f == NULL;
	struct answer x = { q, settled };
	uint32_t cost = 1;

	if (f != NULL) {
		bad = pl_get_u32(&f->body) != q->call ||
		    pl_get_u32(&f->body) != q->n;
		for (size_t i = 0; !bad && i < q->n; i++)
			settled[i] = pl_get_u8(&f->body) !=
			    PL_SPREAD_NOT_YET;
		cost = pl_get_u32(&f->body);
		bad = bad || f->body.bad;
	}
	pl_stats_call(q->e->o.stats, a->conf->settings.account, "spread",
	    f == NULL ? err->code : bad ? PL_EPROTO : PL_OK,
	    pl_mono_us() - q->started);
	pl_pace_cost(a, bad ? 1 : cost);
	a->inflight--;
	a->asking = false;
	if (f != NULL && bad)
		pl_worker_lied(q->w, "answer to SPREAD makes no sense");
	else if (f != NULL)
		pl_worker_release(q->w);
	if (bad)
		give_up(a);
	else
		each_waiting(a, take_answer, &x);
	if (let_go(a) > 0) {
		ask_in(a, a->ask_gap);
		a->ask_gap = a->ask_gap * 2 < MOST_GAP_MS ? a->ask_gap * 2 :
		    MOST_GAP_MS;
	}
	free(settled);
	asking_free(q);
	pl_engine_kick(a->engine, 0);
}

static void
send(struct asking *q)
{
	int64_t ms = q->a->conf->timeout_ms;
	struct pl_buf body;

	q->a->asking = true;
	q->a->inflight++;
	q->call = pl_worker_next_call(q->w);
	q->started = pl_mono_us();
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, q->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, (uint32_t)q->n);
	for (size_t i = 0; i < q->n; i++) {
		pl_put_str(&body, q->scope[i]);
		pl_put_str(&body, q->handle[i]);
	}
	pl_worker_call(q->w, PL_MSG_SPREAD, &body, PL_MSG_SPREADED, ms,
	    answered, q);
	pl_buf_clear(&body);
}

static void
ask(void *arg)
{
	struct pl_acct *a = arg;
	struct pl_engine *e = a->engine;
	struct asking *q;
	struct pl_err err;
	int64_t wait = 0;

	a->ask = 0;
	if (a->refused.code != PL_OK || e->fatal.code != PL_OK) {
		give_up(a);
		return;
	}
	if (let_go(a) == 0)
		return;
	if (e->held || a->inflight >= a->conf->desc->parallel)
		wait = BUSY_MS;
	else
		wait = pl_pace_take(a);
	if (wait > 0) {
		ask_in(a, wait < MOST_GAP_MS ? wait : MOST_GAP_MS);
		return;
	}
	q = pl_alloc(sizeof(*q));
	q->e = e;
	q->a = a;
	collect(q);
	if (q->n > 0 && pl_acct_worker(a, &q->w, &err)) {
		send(q);
		return;
	}
	pl_pace_cost(a, 0);
	if (q->n > 0 && err.code == PL_OK)
		ask_in(a, BUSY_MS);
	else
		give_up(a);
	asking_free(q);
}
