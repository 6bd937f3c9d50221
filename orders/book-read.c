/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The order book: reading it. */
#include "book-row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
pl_order_state_name(enum pl_order_state s)
{
	static const char *const names[] = {
		[PL_O_PLACING] = "placing",
		[PL_O_PENDING] = "pending",
		[PL_O_ISSUED] = "issued",
		[PL_O_REISSUING] = "reissuing",
		[PL_O_CANCELLED] = "cancelled",
		[PL_O_REVOKED] = "revoked",
		[PL_O_EXPIRED] = "expired",
		[PL_O_FAILED] = "failed",
	};

	_Static_assert(PL_NELEM(names) == PL_NORDERS, "one word a state");
	return names[s];
}

bool
pl_order_state_parse(enum pl_order_state *s, const char *text)
{
	for (unsigned i = 0; i < PL_NORDERS; i++) {
		if (strcmp(text, pl_order_state_name(i)) == 0) {
			*s = i;
			return true;
		}
	}
	return false;
}

const char *
pl_step_name(enum pl_step s)
{
	static const char *const names[] = {
		[PL_STEP_REST] = "rest",
		[PL_STEP_PLACE] = "place",
		[PL_STEP_PUBLISH] = "publish",
		[PL_STEP_RECHECK] = "recheck",
		[PL_STEP_POLL] = "poll",
		[PL_STEP_FETCH] = "fetch",
		[PL_STEP_CLEAN] = "clean",
	};

	_Static_assert(PL_NELEM(names) == PL_NSTEPS, "one word a step");
	return names[s];
}

void
pl_order_challenges_clear(struct pl_order_challenge *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(c[i].domain);
		free(c[i].word);
		free(c[i].status);
		free(c[i].record);
		free(c[i].value);
	}
	free(c);
}

void
pl_order_clear(struct pl_order *o)
{
	char **const texts[] = { &o->controller, &o->custom_id, &o->store_id,
		&o->partner_id, &o->vendor_id, &o->product, &o->major,
		&o->minor, &o->csr, &o->unique, &o->path, &o->request,
		&o->renews, &o->serial, &o->refund_id, &o->error };

	for (size_t i = 0; i < PL_NELEM(texts); i++)
		free(*texts[i]);
	for (size_t i = 0; i < o->nnames; i++) {
		free(o->names[i].name);
		free(o->names[i].approver);
	}
	free(o->names);
	pl_order_challenges_clear(o->challenges, o->nchallenges);
	*o = (struct pl_order){ 0 };
}

void
pl_order_local_id(char out[PL_ORDER_ID], int64_t id)
{
	snprintf(out, PL_ORDER_ID, "L%" PRId64, id);
}

void
pl_order_id(char *out, size_t size, const struct pl_order *o)
{
	char local[PL_ORDER_ID];

	pl_order_local_id(local, o->id);
	snprintf(out, size, "%s", o->store_id != NULL ? o->store_id : local);
}

void
pl_order_job(char out[48], const struct pl_order *o)
{
	snprintf(out, 48, "order-L%" PRId64 "-%u", o->id, o->generation);
}

/* ---- rows ------------------------------------------------------------------ */

#define COLUMNS "id, controller, custom_id, store_id, partner_id," \
	" vendor_id, product, state, step, major, minor, months, csr, spki," \
	" uniq, path, request, renews, serial, refund_id, error, ours," \
	" revoked, generation, tries, sent, due, rechecked, created, updated," \
	" purchased, expires, not_before, not_after"

static char *
text(struct pl_stmt *s, int *c)
{
	return pl_strdup(pl_col_text(s, (*c)++));
}

static void
read_order(struct pl_stmt *s, struct pl_order *o)
{
	char **const head[] = { &o->controller, &o->custom_id, &o->store_id,
		&o->partner_id, &o->vendor_id, &o->product };
	char **const tail[] = { &o->unique, &o->path, &o->request, &o->renews,
		&o->serial, &o->refund_id, &o->error };
	int64_t *const times[] = { &o->sent, &o->due, &o->rechecked,
		&o->created, &o->updated, &o->purchased, &o->expires,
		&o->not_before, &o->not_after };
	const void *spki;
	size_t n;
	int c = 0;

	*o = (struct pl_order){ .id = pl_col_int(s, c++) };
	for (size_t i = 0; i < PL_NELEM(head); i++)
		*head[i] = text(s, &c);
	o->state = (enum pl_order_state)pl_col_int(s, c++);
	o->step = (enum pl_step)pl_col_int(s, c++);
	o->major = text(s, &c);
	o->minor = text(s, &c);
	o->months = (unsigned)pl_col_int(s, c++);
	o->csr = text(s, &c);
	spki = pl_col_blob(s, c++, &n);
	if (n == sizeof(o->spki))
		memcpy(o->spki, spki, n);
	for (size_t i = 0; i < PL_NELEM(tail); i++)
		*tail[i] = text(s, &c);
	o->ours = pl_col_int(s, c++) != 0;
	o->revoked = pl_col_int(s, c++) != 0;
	o->generation = (unsigned)pl_col_int(s, c++);
	o->tries = (unsigned)pl_col_int(s, c++);
	for (size_t i = 0; i < PL_NELEM(times); i++)
		*times[i] = pl_col_int(s, c++);
}

static enum pl_code
read_names(struct pl_book *b, struct pl_order *o, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	code = pl_db_prepare(&s, b->db, "SELECT name, method, approver FROM"
	    " names WHERE order_id = ? ORDER BY seq", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, o->id);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		o->names = pl_grow(o->names, o->nnames + 1,
		    sizeof(*o->names));
		o->names[o->nnames++] = (struct pl_order_name){
			.name = pl_strdup(pl_col_text(s, 0)),
			.method = (int)pl_col_int(s, 1),
			.approver = pl_strdup(pl_col_text(s, 2)) };
	}
	return code;
}

static void
read_challenge(struct pl_stmt *s, struct pl_order_challenge *c)
{
	const void *value;

	*c = (struct pl_order_challenge){
		.domain = pl_strdup(pl_col_text(s, 0)),
		.method = (int)pl_col_int(s, 1),
		.word = pl_strdup(pl_col_text(s, 2)),
		.status = pl_strdup(pl_col_text(s, 3)),
		.approved = pl_col_int(s, 4) != 0,
		.kind = (enum pl_kind)pl_col_int(s, 5),
		.record = pl_strdup(pl_col_text(s, 6)) };
	value = pl_col_blob(s, 7, &c->len);
	c->value = pl_alloc(c->len + 1);
	if (c->len > 0)
		memcpy(c->value, value, c->len);
}

static enum pl_code
read_challenges(struct pl_book *b, struct pl_order *o, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	code = pl_db_prepare(&s, b->db, "SELECT domain, method, word, status,"
	    " approved, kind, record, value FROM challenges WHERE"
	    " order_id = ? ORDER BY seq", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, o->id);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		o->challenges = pl_grow(o->challenges, o->nchallenges + 1,
		    sizeof(*o->challenges));
		read_challenge(s, &o->challenges[o->nchallenges++]);
	}
	return code;
}

enum pl_code
pl_book_get(struct pl_book *b, int64_t id, struct pl_order *o,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*o = (struct pl_order){ 0 };
	code = pl_db_prepare(&s, b->db, "SELECT " COLUMNS " FROM orders"
	    " WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK)
		return code;
	if (!row)
		return pl_fail(err, PL_EINVAL, "order L%" PRId64 ": not in the "
		    "book", id);
	read_order(s, o);
	pl_stmt_reset(s);
	code = read_names(b, o, err);
	if (code == PL_OK)
		code = read_challenges(b, o, err);
	if (code != PL_OK)
		pl_order_clear(o);
	return code;
}

/* ---- finding ------------------------------------------------------------------ */

/* Our number as users write it, or -1. */
static int64_t
local_number(const char *id)
{
	int64_t n;

	if ((id[0] != 'L' && id[0] != 'l') ||
	    pl_int_parse(&n, id + 1, 1, INT64_MAX, NULL) != PL_OK)
		return -1;
	return n;
}

enum pl_code
pl_book_find(struct pl_book *b, const char *controller, const char *id,
    struct pl_order *o, struct pl_err *err)
{
	struct pl_stmt *s;
	struct pl_buf found;
	int64_t at = 0;
	size_t n = 0;
	enum pl_code code;
	bool row;

	*o = (struct pl_order){ 0 };
	code = pl_db_prepare(&s, b->db, "SELECT id, controller FROM orders"
	    " WHERE (store_id = ?1 OR id = ?2 OR custom_id = ?1)"
	    " AND (?3 IS NULL OR controller = ?3) ORDER BY id", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, id);
	pl_stmt_int(s, 2, local_number(id));
	pl_stmt_text(s, 3, controller);
	pl_buf_init(&found, PL_LIM_LINE);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		at = pl_col_int(s, 0);
		pl_buf_addf(&found, "%sL%" PRId64 " (%s)",
		    n++ > 0 ? ", " : "", at, pl_col_text(s, 1));
	}
	if (code == PL_OK && n == 0)
		code = pl_fail(err, PL_EINVAL, "order %s: not in the book "
		    "(placard order import %s gets it from the store)", id,
		    id);
	else if (code == PL_OK && n > 1)
		code = pl_fail(err, PL_EINVAL, "order %s: which of them: %s",
		    id, found.data);
	pl_buf_clear(&found);
	return code == PL_OK ? pl_book_get(b, at, o, err) : code;
}

enum pl_code
pl_book_known(struct pl_book *b, const char *controller,
    const char *store_id, const char *custom_id, int64_t *id,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*id = 0;
	/* A CustomOrderID counts only where it is not another order's. */
	code = pl_db_prepare(&s, b->db, "SELECT id FROM orders WHERE"
	    " controller = ?1 AND (store_id = ?2 OR (store_id IS NULL AND"
	    " custom_id = ?3)) ORDER BY store_id IS NULL LIMIT 1", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, controller);
	pl_stmt_text(s, 2, store_id);
	pl_stmt_text(s, 3, custom_id);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	*id = pl_col_int(s, 0);
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_book_list(struct pl_book *b, const struct pl_book_query *q,
    int64_t **ids, size_t *n, struct pl_err *err)
{
	struct pl_stmt *s;
	size_t cap = 0;
	enum pl_code code;
	bool row;

	*ids = NULL;
	*n = 0;
	code = pl_db_prepare(&s, b->db, "SELECT id FROM orders WHERE"
	    " (?1 IS NULL OR controller = ?1) AND (?2 = -1 OR state = ?2)"
	    " AND (?3 = 0 OR (state IN (?6, ?7) AND"
	    "  ((not_after > 0 AND not_after < ?3) OR"
	    "   (expires > 0 AND expires < ?3))"
	    "  AND NOT EXISTS (SELECT 1 FROM orders n WHERE"
	    "   n.renews = orders.store_id AND"
	    "   n.controller = orders.controller AND n.state IN (?6, ?7))))"
	    " AND (?4 = 0 OR step <> 0)"
	    " AND (?5 IS NULL OR csr_sha256 = ?5) ORDER BY id", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, q->controller);
	pl_stmt_int(s, 2, q->state);
	pl_stmt_int(s, 3, q->expiring);
	pl_stmt_int(s, 4, q->busy);
	pl_stmt_text(s, 5, q->csr_sha256);
	pl_stmt_int(s, 6, PL_O_ISSUED);
	pl_stmt_int(s, 7, PL_O_REISSUING);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		if (*n == cap) {
			cap = cap * 2 + 64;
			*ids = pl_grow(*ids, cap, sizeof(**ids));
		}
		(*ids)[(*n)++] = pl_col_int(s, 0);
	}
	return code;
}

bool
pl_book_wants(struct pl_book *b, const char *job)
{
	struct pl_stmt *s;
	int64_t id;
	char number[24];
	size_t n;
	bool row = false;

	if (strncmp(job, "order-L", 7) != 0)
		return false;
	n = strspn(job + 7, "0123456789");
	if (n == 0 || n >= sizeof(number) || job[7 + n] != '-')
		return false;
	memcpy(number, job + 7, n);
	number[n] = '\0';
	if (pl_int_parse(&id, number, 1, INT64_MAX, NULL) != PL_OK ||
	    pl_db_prepare(&s, b->db, "SELECT 1 FROM orders WHERE id = ?"
	    " AND step <> 0", NULL) != PL_OK)
		return false;
	pl_stmt_int(s, 1, id);
	if (pl_stmt_step(s, &row, NULL) != PL_OK)
		return false;
	if (row)
		pl_stmt_reset(s);
	return row;
}
