/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Changes in the world.  The targets of a batch go through these steps:
 *
 *   adds:     LOOK, journal (intents), ADD, journal (outcomes)
 *   removals: journal (removing), DEL, journal (rows gone)
 *
 * A provider that does not look gets its intents written with was = unknown.
 *
 * Where calls cost little (PL_P_SWIFT) a batch is worked off in slices: while
 * the worker has one, the journal is written for the one before it and for the
 * one behind it.  What is called next is sent first, then the journal is
 * written; a slice is sent when its intents are durable, never before.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_MOST 2100u	/* three full UPDATE messages, or so */
#define KEPT_MS 3600000

static void send_changes(struct pl_batch *b, enum pl_op op,
    struct pl_target **t, size_t n);

static bool
is_swift(const struct pl_batch *b)
{
	return (b->a->conf->desc->flags & PL_P_SWIFT) != 0;
}

static bool
looks_first(const struct pl_batch *b)
{
	return !b->removing && (b->a->conf->desc->flags & PL_P_LOOK) != 0;
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
complete_row(struct pl_batch *b, struct pl_target *t)
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

/* Somebody else works on it, or it is done without a call. */
static void
settle_claimed(struct pl_target *t, bool busy)
{
	struct pl_err err;

	if (!busy) {
		pl_target_done(t);
		return;
	}
	pl_fail(&err, PL_ECONFLICT, "%s: another command is working on this "
	    "value", t->name);
	pl_target_failed(t, &err);
}

/*
 * Writes intents, and leaves in t those that have to be added; gives how
 * many.  0 as well where the journal failed, and so did all.
 */
static size_t
write_intents(struct pl_batch *b, struct pl_target **t, size_t n)
{
	struct pl_journal *j = b->e->o.journal;
	enum pl_claim *claims = pl_array(n + 1, sizeof(*claims));
	struct pl_err err;
	enum pl_code code;
	size_t m = 0;
	bool ok;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		complete_row(b, t[i]);
		code = pl_journal_claim(j, &t[i]->row, &claims[i], &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	ok = pl_journal_ok(b->e, code, &err);
	for (size_t i = 0; i < n; i++) {
		if (!ok) {
			t[i]->row.id = 0;
			pl_target_failed(t[i], &b->e->fatal);
		} else if (claims[i] == PL_CLAIM_ADD)
			t[m++] = t[i];
		else
			settle_claimed(t[i], claims[i] == PL_CLAIM_BUSY);
	}
	free(claims);
	return m;
}

/* Marks removals; leaves in t those that the provider must be asked for. */
static size_t
write_removing(struct pl_batch *b, struct pl_target **t, size_t n)
{
	struct pl_journal *j = b->e->o.journal;
	bool *call = pl_array(n + 1, sizeof(*call));
	bool *busy = pl_array(n + 1, sizeof(*busy));
	struct pl_err err;
	enum pl_code code;
	size_t m = 0;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		complete_row(b, t[i]);
		code = pl_journal_removing(j, &t[i]->row, &call[i], &busy[i],
		    &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	/* A full disk must not keep what is known from being removed. */
	if (!pl_journal_ok(b->e, code, &err)) {
		for (size_t i = 0; i < n; i++) {
			call[i] = t[i]->row.was != PL_WAS_PRESENT;
			busy[i] = false;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (call[i])
			t[m++] = t[i];
		else
			settle_claimed(t[i], busy[i]);
	}
	free(call);
	free(busy);
	return m;
}

/* ---- the answer's frame -------------------------------------------------------- */

/* What came back for the targets of one scope, which lie together. */
struct part {
	size_t end;			/* behind its last target */
	struct pl_err err;
};

struct answer {
	struct pl_outcome *out;		/* one a target */
	struct part *parts;
	size_t nparts;
	uint32_t cost;			/* requests that the call made */
};

static void
answer_free(struct answer *a)
{
	free(a->out);
	free(a->parts);
}

/* All of it has come to this end. */
static void
answer_all(struct answer *a, size_t n, const struct pl_err *err)
{
	for (size_t i = 0; i < n; i++)
		a->out[i] = (struct pl_outcome){ .code = PL_EUNDONE };
	a->parts[0] = (struct part){ n, *err };
	a->nparts = 1;
	a->cost = 1;
}

/* Reads it; false: it makes no sense. */
static bool
answer_read(struct answer *a, const struct pl_batch *b, struct pl_cursor *c)
{
	size_t i = 0, end, kept = b->kept;
	struct pl_outcome skipped;
	struct part *p;

	if (pl_get_u32(c) != b->call)
		return false;
	while (i < b->nsent) {
		for (end = i + 1; end < b->nsent && strcmp(
		    b->sent[i]->scope, b->sent[end]->scope) == 0; end++)
			continue;
		p = &a->parts[a->nparts++];
		p->end = end;
		pl_get_err(c, &p->err);
		if (pl_get_u32(c) != kept + end - i)
			return false;
		for (; kept > 0 && !c->bad; kept--)
			pl_outcome_get(c, &skipped);
		for (; i < end && !c->bad; i++)
			pl_outcome_get(c, &a->out[i]);
		if (c->bad)
			return false;
	}
	a->cost = pl_get_u32(c);
	return !c->bad;
}

/* The number of scopes in a slice. */
static size_t
count_scopes(struct pl_target *const *t, size_t n)
{
	size_t k = n > 0;

	for (size_t i = 1; i < n; i++)
		k += strcmp(t[i - 1]->scope, t[i]->scope) != 0;
	return k;
}

/* False: the worker is gone. */
static bool
answer_make(struct answer *a, struct pl_batch *b, struct pl_frame *f,
    const struct pl_err *died)
{
	struct pl_err err;

	a->out = pl_array(b->nsent, sizeof(*a->out));
	a->parts = pl_array(count_scopes(b->sent, b->nsent),
	    sizeof(*a->parts));
	a->nparts = 0;
	if (f != NULL && answer_read(a, b, &f->body))
		return true;
	if (f != NULL) {
		pl_worker_lied(b->w, "answer to APPLY makes no sense");
		pl_fail(&err, PL_EPROTO, "%s: worker's answer makes no sense",
		    b->a->conf->settings.account);
		died = &err;
	}
	answer_all(a, b->nsent, died);
	return false;
}

/* What stands for the call: its first failure. */
static const struct pl_err *
answer_err(const struct answer *a)
{
	for (size_t i = 0; i < a->nparts; i++) {
		if (a->parts[i].err.code != PL_OK)
			return &a->parts[i].err;
	}
	return &a->parts[0].err;
}

/* ---- what it means ------------------------------------------------------------- */

static void
outcome_err(struct pl_err *err, const struct pl_batch *b,
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

/* Leaves in t what looks as if it could be added; gives how many. */
static size_t
take_looks(struct pl_batch *b, struct pl_target **t, size_t n,
    const struct answer *a)
{
	const struct part *p = a->parts;
	const struct pl_outcome *out;
	struct pl_err err;
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		p += i == p->end;
		out = &a->out[i];
		if (pl_target_stopped(t[i]))
			continue;
		if (out->code == PL_OK) {
			t[i]->row.was = out->was;
			/* What is about to be made; an earlier try's stays. */
			if (t[i]->row.handle == NULL && out->handle[0] != '\0')
				t[i]->row.handle = pl_strdup(out->handle);
			t[m++] = t[i];
		} else if (out->code == PL_ECONFLICT &&
		    out->alias[0] != '\0') {
			pl_target_alias(t[i], out->alias);
		} else {
			outcome_err(&err, b, t[i], out, &p->err);
			pl_acct_trouble(b->a, &err);
			pl_target_failed(t[i], &err);
		}
	}
	return m;
}

static void
journal_changes(struct pl_batch *b, enum pl_op op,
    struct pl_target *const *t, size_t n, const struct answer *a)
{
	struct pl_journal *j = b->e->o.journal;
	struct pl_err err;
	enum pl_code code;

	code = pl_journal_begin(j, &err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		if (a->out[i].code != PL_OK)
			continue;
		code = op == PL_ADD ? pl_journal_published(j, &t[i]->row,
		    a->out[i].handle, a->out[i].was, &err) :
		    pl_journal_removed(j, &t[i]->row, &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(j, &err);
	pl_journal_ok(b->e, code, &err);
}

/* The journal first, for all; then the targets are told. */
static void
take_changes(struct pl_batch *b, enum pl_op op, struct pl_target **t,
    size_t n, const struct answer *a)
{
	const struct part *p = a->parts;
	const struct pl_outcome *out;
	struct pl_err err;

	journal_changes(b, op, t, n, a);
	for (size_t i = 0; i < n; i++) {
		p += i == p->end;
		out = &a->out[i];
		if (out->code == PL_OK) {
			t[i]->maybe = false;
			pl_target_done(t[i]);
		} else if (op == PL_ADD && out->code == PL_ECONFLICT &&
		    out->alias[0] != '\0') {
			if (!t[i]->maybe)
				pl_journal_ok(b->e, pl_journal_forget(
				    b->e->o.journal, &t[i]->row, &err), &err);
			pl_target_alias(t[i], out->alias);
		} else {
			t[i]->maybe = t[i]->maybe || perhaps_done(out->code);
			outcome_err(&err, b, t[i], out, &p->err);
			pl_acct_trouble(b->a, &err);
			pl_target_failed(t[i], &err);
		}
	}
}

/* ---- slices ---------------------------------------------------------------------- */

/* What comes next, group by group; gives it (free), or NULL. */
static struct pl_target **
next_slice(struct pl_batch *b, size_t *n)
{
	size_t most = is_swift(b) ? SLICE_MOST : b->a->conf->desc->max_batch;
	struct pl_target **t;

	if (most == 0 || most > PL_BATCH_MOST)
		most = PL_BATCH_MOST;
	t = pl_array(most, sizeof(struct pl_target *));
	*n = pl_batch_take(b, t, most);
	if (*n == 0) {
		free(t);
		return NULL;
	}
	return t;
}

/* The journal knows what is about to be done with them; keeps t. */
static void
make_ready(struct pl_batch *b, struct pl_target **t, size_t n)
{
	n = b->removing ? write_removing(b, t, n) : write_intents(b, t, n);
	if (n == 0) {
		free(t);
		return;
	}
	b->ready = t;
	b->nready = n;
}

/* Sends what is ready; false: nothing is. */
static bool
send_ready(struct pl_batch *b)
{
	struct pl_target **t = b->ready;
	size_t n = 0;

	for (size_t i = 0; i < b->nready; i++) {
		if (!pl_target_stopped(t[i]))
			t[n++] = t[i];
	}
	b->ready = NULL;
	b->nready = 0;
	if (n == 0)
		free(t);
	else
		send_changes(b, b->removing ? PL_DEL : PL_ADD, t, n);
	return n > 0;
}

static bool
send_look(struct pl_batch *b)
{
	struct pl_target **t;
	size_t n;

	if (!looks_first(b) || (t = next_slice(b, &n)) == NULL)
		return false;
	send_changes(b, PL_LOOK, t, n);
	return true;
}

/* Without a look there is no call to get the next slice ready. */
static bool
ready_next(struct pl_batch *b)
{
	struct pl_target **t;
	size_t n;

	if (looks_first(b) || (t = next_slice(b, &n)) == NULL)
		return false;
	make_ready(b, t, n);
	return true;
}

/* A look has told of these; keeps t. */
static void
looked(struct pl_batch *b, struct pl_target **t, size_t n)
{
	if (!send_ready(b) && is_swift(b))
		send_look(b);
	make_ready(b, t, n);
}

/* Gets on; the batch ends where nothing is left to be called. */
static void
go_on(struct pl_batch *b, bool first)
{
	while (b->nsent == 0 && !send_ready(b)) {
		if ((!first && !is_swift(b)) ||
		    (!send_look(b) && !ready_next(b))) {
			pl_batch_end(b, true);
			return;
		}
	}
	if (is_swift(b) && b->nready == 0)
		ready_next(b);
}

void
pl_batch_start(struct pl_batch *b)
{
	go_on(b, true);
}

/* The worker is gone: what was to be sent next has not been. */
static void
drop_ready(struct pl_batch *b, const struct pl_err *err)
{
	for (size_t i = 0; i < b->nready; i++)
		pl_target_failed(b->ready[i], err);
	b->nready = 0;
}

/* ---- calls ----------------------------------------------------------------------- */

static void
apply_done(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_batch *b = arg;
	struct pl_target **t = b->sent;
	struct answer a;
	enum pl_op op = b->op;
	size_t n = b->nsent;
	const struct pl_err *err;
	bool lives = answer_make(&a, b, f, died);

	err = answer_err(&a);
	pl_batch_count(b, op, err->code);
	/* Only the first of a batch's calls was reckoned with. */
	pl_pace_cost(b->a, f == NULL || b->reserved ? a.cost : a.cost + 1);
	b->reserved = false;
	if (err->code == PL_OK) {
		b->a->refusals = 0;
		b->a->proven = true;
	}
	for (size_t i = 0; op != PL_LOOK && i < n; i++)
		t[i]->attempts++;
	b->sent = NULL;
	b->nsent = 0;
	if (op == PL_LOOK) {
		n = take_looks(b, t, n, &a);
		if (lives) {
			looked(b, t, n);
			t = NULL;	/* kept */
		}
	} else {
		/* What comes next first: the worker need not wait. */
		if (lives && is_swift(b) && !send_look(b))
			send_ready(b);
		take_changes(b, op, t, n, &a);
	}
	free(t);
	if (lives) {
		answer_free(&a);
		go_on(b, false);
		return;
	}
	drop_ready(b, err);
	answer_free(&a);
	pl_batch_end(b, false);
}

/* Is it still needed, by somebody else, and was it there first? */
static bool
is_kept(const struct pl_batch *b, const struct pl_row *r)
{
	bool before = false;

	if (strcmp(r->scope, b->sent[0]->scope) != 0 ||
	    r->state == PL_ROW_REMOVING)
		return false;
	for (size_t i = 0; i < b->nsent; i++) {
		if (b->sent[i]->row.id == r->id)
			return false;
		before = before || r->id < b->sent[i]->row.id;
	}
	if (!before)
		return false;
	/* What a command that has died has left is not kept for ever. */
	return pl_journal_alive(b->e->o.journal, r->owner) ||
	    r->created > pl_wall_ms() - KEPT_MS;
}

static size_t
put_kept(struct pl_batch *b, struct pl_buf *body)
{
	struct pl_row_query q = { .account = b->a->conf->settings.account };
	struct pl_row *rows = NULL;
	struct pl_err err;
	size_t count = 0, n = 0;

	if (pl_journal_rows(b->e->o.journal, &q, &rows, &count, &err) !=
	    PL_OK)
		pl_journal_ok(b->e, PL_EIO, &err);
	for (size_t i = 0; i < count; i++) {
		struct pl_change ch = { .op = PL_ADD, .kind = rows[i].kind,
			.ttl = rows[i].ttl, .name = rows[i].name,
			.value = rows[i].value,
			.value_len = rows[i].value_len,
			.handle = rows[i].handle, .apex = rows[i].apex };

		if (is_kept(b, &rows[i])) {
			pl_change_put(body, &ch);
			n++;
		}
		pl_row_clear(&rows[i]);
	}
	free(rows);
	return n;
}

static void
put_changes(struct pl_buf *body, enum pl_op op, struct pl_target *const *t,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pl_change ch = { .op = op, .kind = t[i]->row.kind,
			.ttl = ttl_of(t[i]), .name = t[i]->name,
			.value = t[i]->row.value,
			.value_len = t[i]->row.value_len,
			.handle = t[i]->row.handle, .apex = t[i]->row.apex };

		pl_change_put(body, &ch);
	}
}

/* Keeps t. */
static void
send_changes(struct pl_batch *b, enum pl_op op, struct pl_target **t,
    size_t n)
{
	struct pl_buf body, kept;
	int64_t ms = pl_batch_ms(b, t, n);
	size_t end;

	b->op = op;
	b->sent = t;
	b->nsent = n;
	b->kept = 0;
	pl_buf_init(&kept, PL_LIM_FRAME);
	/* Such an account is not swift, so there is one scope. */
	if (op == PL_ADD && (b->a->conf->desc->flags & PL_P_KEEP) != 0)
		b->kept = put_kept(b, &kept);
	b->call = pl_worker_next_call(b->w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, b->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, (uint32_t)count_scopes(t, n));
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n &&
		    strcmp(t[i]->scope, t[end]->scope) == 0; end++)
			continue;
		pl_put_str(&body, t[i]->scope);
		pl_put_u32(&body, (uint32_t)(b->kept + end - i));
		pl_buf_add(&body, kept.data, kept.len);
		put_changes(&body, op, t + i, end - i);
	}
	b->started = pl_mono_us();
	pl_worker_call(b->w, PL_MSG_APPLY, &body, PL_MSG_APPLIED, ms,
	    apply_done, b);
	pl_buf_clear(&body);
	pl_buf_clear(&kept);
}
