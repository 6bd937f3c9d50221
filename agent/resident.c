/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Resident accounts (PL_P_RESIDENT): what they publish is in the memory of
 * their worker.  The journal is the truth: a worker is told all of it before
 * it says that it is ready, and one that dies is replaced at once.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_FILLED	(1u << 20)
#define WAKE_MS		1000	/* between tries to start one */

static bool
is_resident(const struct pl_acct *a)
{
	return (a->conf->desc->flags & PL_P_RESIDENT) != 0;
}

static void
refill_send(struct pl_worker *w, struct pl_buf *rows, uint32_t *n)
{
	struct pl_buf body;

	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, *n);
	pl_buf_add(&body, rows->data, rows->len);
	pl_worker_send(w, PL_MSG_REFILL, &body);
	pl_buf_clear(&body);
	pl_buf_reset(rows);
	*n = 0;
}

static void
refill_row(struct pl_buf *b, const struct pl_row *r)
{
	struct pl_change ch = { .op = PL_ADD, .kind = r->kind, .ttl = r->ttl,
		.name = r->name, .value = r->value,
		.value_len = r->value_len, .handle = r->handle,
		.apex = r->apex };

	pl_put_str(b, r->scope);
	pl_change_put(b, &ch);
}

/* HELLO has gone out: now what is published by this account. */
static void
refill(void *arg, struct pl_worker *w)
{
	struct pl_acct *a = arg;
	struct pl_engine *e = a->engine;
	struct pl_row_query q = { .account = a->conf->settings.account };
	struct pl_row *rows = NULL;
	struct pl_buf body;
	struct pl_err err;
	uint32_t n = 0;
	size_t count = 0;

	a->resident = true;
	pl_buf_init(&body, PL_LIM_FRAME);
	if (e->o.journal != NULL && pl_journal_rows(e->o.journal, &q, &rows,
	    &count, &err) != PL_OK)
		pl_journal_ok(e, PL_EIO, &err);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].state == PL_ROW_PUBLISHED ||
		    rows[i].state == PL_ROW_VISIBLE) {
			refill_row(&body, &rows[i]);
			n++;
		}
		pl_row_clear(&rows[i]);
		if (body.len > FRAME_FILLED)
			refill_send(w, &body, &n);
	}
	free(rows);
	if (n > 0)
		refill_send(w, &body, &n);
	refill_send(w, &body, &n);
	pl_buf_clear(&body);
}

void
pl_resident_spec(struct pl_acct *a, struct pl_worker_spec *spec)
{
	if (!is_resident(a))
		return;
	spec->resident = true;
	spec->sockets = a->engine->o.sockets;
	spec->started = refill;
	spec->ctx = a;
}

/* ---- starting, and starting again ------------------------------------------- */

struct waking {
	struct pl_acct *a;
	struct pl_worker *w;
};

static void
woken(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct waking *k = arg;
	struct pl_acct *a = k->a;
	struct pl_engine *e = a->engine;

	a->waking = false;
	if (f != NULL)
		pl_worker_release(k->w);
	else {
		pl_logf(e->o.log, e->o.life == PL_LIFE_SERVICE ?
		    PL_LOG_ERROR : PL_LOG_DEBUG, "responder",
		    "account=%s error=\"%s\"", a->conf->settings.account,
		    err->text);
		a->wake_at = pl_mono_ms() + WAKE_MS;
	}
	free(k);
	pl_engine_kick(e, f != NULL ? 0 : WAKE_MS);
}

/* A call that changes nothing: its answer comes when the worker is ready. */
static void
wake(struct pl_acct *a)
{
	struct pl_worker_spec spec = { .key = a->key,
		.program = a->conf->desc->program, .hello = &a->hello,
		.most = 1 };
	struct waking *k;
	struct pl_worker *w;
	struct pl_buf body;
	struct pl_err err;

	pl_resident_spec(a, &spec);
	if (pl_pool_acquire(a->engine->pool, &spec, &w, &err) != PL_OK) {
		a->wake_at = pl_mono_ms() + WAKE_MS;
		return;
	}
	if (w == NULL)
		return;		/* the pool tells when there is room */
	a->waking = true;
	k = pl_alloc(sizeof(*k));
	*k = (struct waking){ a, w };
	pl_buf_init(&body, PL_LIM_LINE);
	pl_put_u32(&body, pl_worker_next_call(w));
	pl_put_u32(&body, (uint32_t)a->conf->timeout_ms);
	pl_put_u32(&body, 1);
	pl_put_str(&body, "");
	pl_put_u32(&body, 0);
	pl_worker_call(w, PL_MSG_APPLY, &body, PL_MSG_APPLIED,
	    a->conf->timeout_ms, woken, k);
	pl_buf_clear(&body);
}

void
pl_resident_want(struct pl_acct *a)
{
	if (!is_resident(a) || a->resident)
		return;
	a->resident = true;
	pl_engine_kick(a->engine, 0);
}

void
pl_engine_residents(struct pl_engine *e)
{
	for (size_t i = 0; i < e->o.config->naccounts; i++) {
		if (e->accts[i].conf->enabled)
			pl_resident_want(pl_acct_of(e, e->accts[i].conf));
	}
}

int64_t
pl_resident_keep(struct pl_engine *e)
{
	int64_t now = pl_mono_ms(), next = INT64_MAX;

	for (size_t i = 0; i < e->o.config->naccounts; i++) {
		struct pl_acct *a = &e->accts[i];

		if (a->resident && !a->waking && now >= a->wake_at &&
		    !pl_pool_lives(e->pool, a->key))
			wake(a);
		if (a->resident && !a->waking && a->wake_at > now &&
		    a->wake_at < next)
			next = a->wake_at;
	}
	return next;
}

bool
pl_residents_waking(const struct pl_engine *e)
{
	for (size_t i = 0; i < e->o.config->naccounts; i++) {
		if (e->accts[i].waking)
			return true;
	}
	return false;
}

const struct pl_account *
pl_resident_holder(const struct pl_engine *e, const char *name)
{
	const struct pl_setting *zones;

	for (size_t i = 0; i < e->o.config->naccounts; i++) {
		const struct pl_account *a = &e->o.config->accounts[i];

		if (!a->enabled || (a->desc->flags & PL_P_RESIDENT) == 0)
			continue;
		zones = pl_setting_find(&a->settings, "zones");
		for (size_t k = 0; zones != NULL && k < zones->n; k++)
			if (pl_suffix_of(zones->values[k], name))
				return a;
	}
	return NULL;
}

bool
pl_resident_lasts(const struct pl_target *t, struct pl_err *err)
{
	const struct pl_job_run *run = t->task->run;
	enum pl_life life = run->user->o.life;

	if ((t->account->desc->flags & PL_P_RESIDENT) == 0 || t->removing ||
	    life == PL_LIFE_SERVICE)
		return true;
	if (!t->task->ch->standing &&
	    (life == PL_LIFE_RUN || run->job.hold != PL_HOLD_RELEASED))
		return true;
	pl_fail(err, PL_EINVAL, "%s: account %s answers only as long as this "
	    "command runs; use placardd (placard job submit)%s",
	    t->name, t->account->settings.account, t->task->ch->standing ?
	    "" : ", or placard run");
	return false;
}
