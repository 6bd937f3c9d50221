/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Calls to account workers.  A batch takes ready targets of one group, and
 * goes through these steps without letting the group go:
 *
 *   adds:     LOOK, journal (intents), ADD, journal (outcomes)
 *   removals: journal (removing), DEL, journal (rows gone)
 *
 * A provider that does not look gets its intents written with was = unknown.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES	(1u << 20)
#define BATCH_MOST	20000u
#define SCOPE_MOST	4000u
#define REFUSED_MS	60000u	/* doubled each time, up to an hour or so */

struct batch {
	struct pl_engine *e;
	struct pl_acct *a;
	struct pl_group *g;		/* NULL: a question of scope */
	struct pl_worker *w;
	enum pl_op op;
	uint32_t call;
	struct pl_target **t;		/* all of the batch */
	size_t n;
	struct pl_target **sent;	/* those of the call under way */
	size_t nsent;
	int64_t started;		/* mono us */
};

static void send_changes(struct batch *b, enum pl_op op);

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

static void
batch_end(struct batch *b, bool worker_lives)
{
	struct pl_engine *e = b->e;
	struct pl_worker *w = b->w;

	b->a->inflight--;
	if (b->g != NULL)
		group_end(b->a, b->g);
	free(b->t);
	free(b->sent);
	free(b);
	if (worker_lives)
		pl_worker_release(w);
	pl_engine_kick(e, 0);
}

/* ---- pacing ------------------------------------------------------------------- */

/* Takes a token of the account's bucket; else gives how long to wait. */
static int64_t
pace(struct pl_acct *a)
{
	double rate = (double)a->conf->desc->rate / 60000, most;
	int64_t now = pl_wall_ms(), past;

	if (a->conf->desc->rate == 0)
		return 0;
	most = (double)a->conf->desc->rate / 6 + 1;
	past = now - a->note.stamp;
	if (a->note.stamp == 0)
		a->note.tokens = most;
	else if (past > 0)
		a->note.tokens += (double)past * rate;
	if (a->note.tokens > most)
		a->note.tokens = most;
	a->note.stamp = now;
	if (a->note.tokens < 1)
		return (int64_t)((1 - a->note.tokens) / rate) + 1;
	a->note.tokens -= 1;
	a->note_dirty = true;
	return 0;
}

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
	a->refused_until = pl_mono_ms() + ((int64_t)REFUSED_MS << n);
	if (a->engine->o.tries == 0)
		pl_logf(a->engine->o.log, PL_LOG_WARN, "account-refused",
		    "account=%s pause=%llds error=\"%s\"",
		    a->conf->settings.account,
		    (long long)(REFUSED_MS << n) / 1000, err->text);
}

static void
account_trouble(struct pl_acct *a, const struct pl_err *err)
{
	if (err->code == PL_EAUTH)
		account_refused(a, err);
	if (err->code == PL_ELIMIT) {
		int64_t ms = err->retry_after > 0 ? err->retry_after : 1000;

		if (ms > 3600000)
			ms = 3600000;
		a->paused = pl_mono_ms() + ms;
		a->note.paused = pl_wall_ms() + ms;
		a->note_dirty = true;
	}
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
all_failed(struct batch *b, struct pl_target **t, size_t n,
    const struct pl_err *why)
{
	struct pl_err err = *why;

	blame(b->a->conf, &err);
	account_trouble(b->a, &err);
	for (size_t i = 0; i < n; i++)
		pl_target_failed(t[i], &err);
}

/* How long a call may take: the account's limit, or what is left of the time
 * of those who wait for it. */
static int64_t
call_ms(const struct batch *b, struct pl_target *const *t, size_t n)
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

static void
count_call(const struct batch *b, size_t op, enum pl_code code)
{
	pl_stats_call(b->e->o.stats, b->a->conf->settings.account,
	    op_names[op], code, pl_mono_us() - b->started);
}

static void
scope_done(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct batch *b = arg;
	struct pl_cursor *c;
	struct pl_err each;
	const char *scope;
	bool bad;

	if (f == NULL) {
		count_call(b, PL_NELEM(op_names) - 1, err->code);
		all_failed(b, b->t, b->n, err);
		batch_end(b, false);
		return;
	}
	c = &f->body;
	count_call(b, PL_NELEM(op_names) - 1, PL_OK);
	bad = pl_get_u32(c) != b->call || pl_get_u32(c) != b->n;
	for (size_t i = 0; i < b->n; i++) {
		struct pl_target *t = b->t[i];

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
			account_trouble(b->a, &each);
			pl_target_failed(t, &each);
			continue;
		}
		t->scope = pl_strdup(scope);
		t->fails = 0;
		pl_target_ready(t);
		if (t->probing)
			pl_task_settle(t->task);
	}
	if (bad)
		pl_worker_lied(b->w, "answer to SCOPE makes no sense");
	batch_end(b, !bad);
}

static struct batch *
batch_new(struct pl_acct *a, struct pl_group *g, struct pl_worker *w,
    size_t n)
{
	struct batch *b = pl_alloc(sizeof(*b));

	b->e = a->engine;
	b->a = a;
	b->g = g;
	b->w = w;
	b->t = pl_array(n, sizeof(struct pl_target *));
	b->sent = pl_array(n, sizeof(struct pl_target *));
	a->inflight++;
	if (g != NULL)
		g->busy = true;
	return b;
}

/* Moves what is ready now from a waiting list into the batch. */
static size_t
take_ready(struct pl_target **first, struct pl_target ***last,
    struct pl_target **out, size_t most, int removing)
{
	struct pl_target **at = first, *t;
	int64_t now = pl_mono_ms();
	size_t n = 0, bytes = 0;

	while ((t = *at) != NULL) {
		size_t size = 64 + strlen(t->name) + t->row.value_len;

		if (t->not_before > now ||
		    (removing >= 0 && t->removing != (removing != 0))) {
			at = &t->next;
			continue;
		}
		if (n == most || (n > 0 && bytes + size > BATCH_BYTES))
			break;
		*at = t->next;
		t->next = NULL;
		t->phase = PL_T_CALL;
		bytes += size;
		out[n++] = t;
	}
	while (*at != NULL)
		at = &(*at)->next;
	*last = at;
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
	struct batch *b = batch_new(a, NULL, w, SCOPE_MOST);
	struct pl_buf body;
	int64_t ms;

	b->n = take_ready(&a->scoping, &a->scoping_last, b->t, SCOPE_MOST,
	    -1);
	b->call = pl_worker_next_call(w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, b->call);
	ms = call_ms(b, b->t, b->n);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, (uint32_t)b->n);
	for (size_t i = 0; i < b->n; i++) {
		b->t[i]->phase = PL_T_SCOPE;
		pl_put_str(&body, b->t[i]->name);
	}
	b->started = pl_mono_us();
	pl_worker_call(w, PL_MSG_SCOPE, &body, PL_MSG_SCOPED, ms,
	    scope_done, b);
	pl_buf_clear(&body);
}

/* ---- journal steps ------------------------------------------------------------- */

static uint32_t
ttl_of(const struct pl_target *t)
{
	uint32_t ttl = t->row.ttl != 0 ? t->row.ttl : t->account->ttl;

	if (ttl < t->account->desc->min_ttl)
		ttl = t->account->desc->min_ttl;
	return ttl;
}

static void
complete_row(struct batch *b, struct pl_target *t)
{
	struct pl_row *r = &t->row;

	free(r->account);
	free(r->provider);
	free(r->scope);
	free(r->name);
	r->account = pl_strdup(b->a->conf->settings.account);
	r->provider = pl_strdup(b->a->conf->desc->name);
	r->scope = pl_strdup(t->scope);
	r->name = pl_strdup(t->name);
	r->ttl = ttl_of(t);
}

/*
 * Writes intents for the targets in `sent`, and leaves in `sent` those
 * that have to be added.  False: the journal failed, and so did all.
 */
static bool
write_intents(struct batch *b)
{
	struct pl_journal *j = b->e->o.journal;
	enum pl_claim *claims = pl_array(b->nsent + 1, sizeof(*claims));
	struct pl_err err;
	enum pl_code code;
	size_t n = b->nsent, m = 0;
	bool ok;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		complete_row(b, b->sent[i]);
		code = pl_journal_claim(j, &b->sent[i]->row, &claims[i], &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	ok = pl_journal_ok(b->e, code, &err);
	for (size_t i = 0; i < n; i++) {
		struct pl_target *t = b->sent[i];

		if (!ok) {
			t->row.id = 0;
			err.code = PL_EIO;
			pl_target_failed(t, &b->e->fatal);
		} else if (claims[i] == PL_CLAIM_ADD)
			b->sent[m++] = t;
		else if (claims[i] == PL_CLAIM_BUSY) {
			pl_fail(&err, PL_ECONFLICT, "%s: another command is "
			    "working on this value", t->name);
			pl_target_failed(t, &err);
		} else
			pl_target_done(t);
	}
	b->nsent = m;
	free(claims);
	return ok;
}

/* Marks removals; leaves in `sent` those that the provider must be asked
 * for. */
static void
write_removing(struct batch *b)
{
	struct pl_journal *j = b->e->o.journal;
	bool *call = pl_array(b->nsent + 1, sizeof(*call));
	bool *busy = pl_array(b->nsent + 1, sizeof(*busy));
	struct pl_err err;
	enum pl_code code;
	size_t n = b->nsent, m = 0;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		complete_row(b, b->sent[i]);
		code = pl_journal_removing(j, &b->sent[i]->row, &call[i],
		    &busy[i], &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	/* A full disk must not keep what is known from being removed. */
	if (!pl_journal_ok(b->e, code, &err)) {
		for (size_t i = 0; i < n; i++) {
			call[i] = b->sent[i]->row.was != PL_WAS_PRESENT;
			busy[i] = false;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct pl_target *t = b->sent[i];

		if (call[i])
			b->sent[m++] = t;
		else if (busy[i]) {
			pl_fail(&err, PL_ECONFLICT, "%s: another command is "
			    "working on this value", t->name);
			pl_target_failed(t, &err);
		} else
			pl_target_done(t);
	}
	b->nsent = m;
	free(call);
	free(busy);
}

/* ---- answers --------------------------------------------------------------------- */

static void
outcome_err(struct pl_err *err, const struct batch *b,
    const struct pl_target *t, const struct pl_outcome *o,
    const struct pl_err *whole)
{
	if (o->code == PL_EUNDONE && whole->code != PL_OK)
		*err = *whole;
	else {
		pl_err_clear(err);
		if (o->text[0] != '\0')
			pl_fail(err, o->code, "%s", o->text);
		else if (whole->code == o->code)
			*err = *whole;
		else
			pl_fail(err, o->code, "%s: %s", t->name,
			    pl_code_name(o->code));
		err->code = o->code;
		err->retry_after = whole->retry_after;
	}
	pl_prefix(err, "%s: %s", b->a->conf->settings.account, t->scope);
}

/* Was the change perhaps made although the outcome is not a success? */
static bool
perhaps_done(enum pl_code code)
{
	return code == PL_EUNDONE || code == PL_ENET || code == PL_EPROTO ||
	    code == PL_EIO || code == PL_ECANCEL;
}

static void
take_looks(struct batch *b, const struct pl_outcome *out,
    const struct pl_err *whole)
{
	struct pl_err err;
	size_t m = 0;

	for (size_t i = 0; i < b->nsent; i++) {
		struct pl_target *t = b->sent[i];

		if (out[i].code == PL_OK) {
			t->row.was = out[i].was;
			/* What is about to be made; an earlier try's stays. */
			if (t->row.handle == NULL && out[i].handle[0] != '\0')
				t->row.handle = pl_strdup(out[i].handle);
			b->sent[m++] = t;
		} else if (out[i].code == PL_ECONFLICT &&
		    out[i].alias[0] != '\0') {
			pl_target_alias(t, out[i].alias);
		} else {
			outcome_err(&err, b, t, &out[i], whole);
			account_trouble(b->a, &err);
			pl_target_failed(t, &err);
		}
	}
	b->nsent = m;
}

/* The journal first, for all; then the targets are told. */
static void
take_changes(struct batch *b, const struct pl_outcome *out,
    const struct pl_err *whole)
{
	struct pl_journal *j = b->e->o.journal;
	struct pl_err err;
	enum pl_code code;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < b->nsent; i++) {
		struct pl_row *r = &b->sent[i]->row;

		if (out[i].code != PL_OK)
			continue;
		code = b->op == PL_ADD ? pl_journal_published(j, r,
		    out[i].handle, out[i].was, &err) :
		    pl_journal_removed(j, r, &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	pl_journal_ok(b->e, code, &err);
	for (size_t i = 0; i < b->nsent; i++) {
		struct pl_target *t = b->sent[i];

		if (out[i].code == PL_OK) {
			t->maybe = false;
			pl_target_done(t);
		} else if (b->op == PL_ADD && out[i].code == PL_ECONFLICT &&
		    out[i].alias[0] != '\0') {
			if (!t->maybe)
				pl_journal_ok(b->e, pl_journal_forget(j,
				    &t->row, &err), &err);
			pl_target_alias(t, out[i].alias);
		} else {
			t->maybe = t->maybe || perhaps_done(out[i].code);
			outcome_err(&err, b, t, &out[i], whole);
			account_trouble(b->a, &err);
			pl_target_failed(t, &err);
		}
	}
}

static void
apply_done(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct batch *b = arg;
	struct pl_outcome *out = pl_array(b->nsent + 1, sizeof(*out));
	struct pl_err whole;
	bool lives = f != NULL, bad = false;

	for (size_t i = 0; i < b->nsent; i++)
		out[i].code = PL_EUNDONE;
	if (f != NULL) {
		struct pl_cursor *c = &f->body;

		bad = pl_get_u32(c) != b->call;
		pl_get_err(c, &whole);
		bad = bad || pl_get_u32(c) != b->nsent;
		for (size_t i = 0; !bad && i < b->nsent; i++) {
			pl_outcome_get(c, &out[i]);
			bad = c->bad;
		}
	} else
		whole = *died;
	if (bad) {
		lives = false;
		pl_worker_lied(b->w, "answer to APPLY makes no sense");
		pl_fail(&whole, PL_EPROTO, "%s: worker's answer makes no sense",
		    b->a->conf->settings.account);
		for (size_t i = 0; i < b->nsent; i++)
			out[i] = (struct pl_outcome){ .code = PL_EUNDONE };
	}
	count_call(b, b->op, whole.code);
	if (whole.code == PL_OK)
		b->a->refusals = 0;
	for (size_t i = 0; b->op != PL_LOOK && i < b->nsent; i++)
		b->sent[i]->attempts++;
	if (b->op == PL_LOOK)
		take_looks(b, out, &whole);
	else
		take_changes(b, out, &whole);
	free(out);
	if (b->op == PL_LOOK && lives && write_intents(b) && b->nsent > 0) {
		send_changes(b, PL_ADD);
		return;
	}
	batch_end(b, lives);
}

static void
send_changes(struct batch *b, enum pl_op op)
{
	struct pl_buf body;
	int64_t ms = call_ms(b, b->sent, b->nsent);

	b->op = op;
	b->call = pl_worker_next_call(b->w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, b->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_str(&body, b->g->scope);
	pl_put_u32(&body, (uint32_t)b->nsent);
	for (size_t i = 0; i < b->nsent; i++) {
		const struct pl_target *t = b->sent[i];
		struct pl_change ch = { .op = op, .kind = t->row.kind,
			.ttl = ttl_of(t), .name = t->name,
			.value = t->row.value, .value_len = t->row.value_len,
			.handle = t->row.handle, .apex = t->row.apex };

		pl_change_put(&body, &ch);
	}
	b->started = pl_mono_us();
	pl_worker_call(b->w, PL_MSG_APPLY, &body, PL_MSG_APPLIED, ms,
	    apply_done, b);
	pl_buf_clear(&body);
}

/* ---- dispatch ---------------------------------------------------------------------- */

static void
start_batch(struct pl_acct *a, struct pl_group *g, struct pl_worker *w,
    bool removing)
{
	size_t most = a->conf->desc->max_batch;
	struct batch *b;

	if (most == 0 || most > BATCH_MOST)
		most = BATCH_MOST;
	b = batch_new(a, g, w, most);
	b->n = take_ready(&g->first, &g->last, b->t, most, removing);
	memcpy(b->sent, b->t, b->n * sizeof(struct pl_target *));
	b->nsent = b->n;
	if (removing)
		write_removing(b);
	else if ((a->conf->desc->flags & PL_P_LOOK) == 0)
		write_intents(b);
	if (b->nsent == 0)
		batch_end(b, true);
	else
		send_changes(b, removing ? PL_DEL :
		    (a->conf->desc->flags & PL_P_LOOK) != 0 ? PL_LOOK :
		    PL_ADD);
}

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
	if (a->inflight >= a->conf->desc->parallel)
		return false;
	wait = a->paused > now ? a->paused - now : pace(a);
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
		start_batch(a, ready, w, removal_first(ready, now));
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
