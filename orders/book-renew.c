/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The order book: what it keeps of each order's next certificate. */
#include "book-row.h"
#include "renew.h"

#include <stdlib.h>
#include <string.h>

#define GONE_MS (30 * PL_DAY_MS)	/* what ended before is given up */

const char pl_book_renew_schema[] =
    "CREATE TABLE renewals ("
    " order_id INTEGER PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,"
    " before INTEGER NOT NULL, key TEXT, attempt INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, next INTEGER NOT NULL, error TEXT,"
    " warned TEXT, told INTEGER NOT NULL);"
    "CREATE TABLE keys ("
    " path TEXT PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " generation INTEGER NOT NULL, spki BLOB);"
    "CREATE INDEX keys_order ON keys (order_id);"
    "CREATE TABLE proofs ("
    " controller TEXT NOT NULL, vendor TEXT NOT NULL, name TEXT NOT NULL,"
    " time INTEGER NOT NULL, PRIMARY KEY (controller, vendor, name))"
    " WITHOUT ROWID;"
    "CREATE TABLE readers (name TEXT PRIMARY KEY, event INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE INDEX orders_renews ON orders (renews, controller)"
    " WHERE renews IS NOT NULL;"
    /* Numbers of events must not come twice: readers go by them. */
    "ALTER TABLE events RENAME TO events_old;"
    "CREATE TABLE events ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " time INTEGER NOT NULL, event TEXT NOT NULL, text TEXT NOT NULL);"
    "INSERT INTO events SELECT id, order_id, time, event, text"
    " FROM events_old;"
    "DROP TABLE events_old;"
    "CREATE INDEX events_order ON events (order_id);";

/* ---- settings and attempts ------------------------------------------------ */

void
pl_renewal_clear(struct pl_renewal *r)
{
	free(r->key);
	free(r->error);
	free(r->warned);
	*r = (struct pl_renewal){ 0 };
}

enum pl_code
pl_book_renewal(struct pl_book *b, int64_t id, struct pl_renewal *r,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*r = (struct pl_renewal){ 0 };
	code = pl_db_prepare(&s, b->db, "SELECT before, key, attempt, tries,"
	    " next, error, warned, told FROM renewals WHERE order_id = ?",
	    err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	*r = (struct pl_renewal){ .before = pl_col_int(s, 0),
		.key = pl_strdup(pl_col_text(s, 1)),
		.attempt = pl_col_int(s, 2),
		.tries = (unsigned)pl_col_int(s, 3),
		.next = pl_col_int(s, 4),
		.error = pl_strdup(pl_col_text(s, 5)),
		.warned = pl_strdup(pl_col_text(s, 6)),
		.told = pl_col_int(s, 7) };
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_book_renewal_put(struct pl_book *b, int64_t id,
    const struct pl_renewal *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO renewals"
	    " (order_id, before, key, attempt, tries, next, error, warned,"
	    " told) VALUES (?,?,?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_int(s, 2, r->before);
	pl_stmt_text(s, 3, r->key);
	pl_stmt_int(s, 4, r->attempt);
	pl_stmt_int(s, 5, r->tries);
	pl_stmt_int(s, 6, r->next);
	pl_stmt_text(s, 7, r->error);
	pl_stmt_text(s, 8, r->warned);
	pl_stmt_int(s, 9, r->told);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_book_renewable(struct pl_book *b, int64_t now, int64_t until,
    bool foreign, int64_t **ids, size_t *n, struct pl_err *err)
{
	struct pl_stmt *s;
	size_t cap = 0;
	enum pl_code code;
	bool row;

	*ids = NULL;
	*n = 0;
	code = pl_db_prepare(&s, b->db, "SELECT o.id FROM orders o"
	    " LEFT JOIN renewals r ON r.order_id = o.id"
	    " WHERE (o.state = ?1 OR (o.state = ?2 AND o.not_after > ?3))"
	    " AND o.not_after > 0 AND o.not_after < ?6"
	    " AND o.store_id IS NOT NULL"
	    " AND (o.ours <> 0 OR r.before > 0 OR ?7)"
	    " AND NOT EXISTS (SELECT 1 FROM orders n WHERE"
	    "  n.renews = o.store_id AND n.controller = o.controller AND"
	    "  n.state NOT IN (?4, ?5))"
	    " ORDER BY o.not_after, o.id", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, PL_O_ISSUED);
	pl_stmt_int(s, 2, PL_O_EXPIRED);
	pl_stmt_int(s, 3, now - GONE_MS);
	pl_stmt_int(s, 4, PL_O_FAILED);
	pl_stmt_int(s, 5, PL_O_CANCELLED);
	pl_stmt_int(s, 6, until);
	pl_stmt_int(s, 7, foreign);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		if (*n == cap) {
			cap = cap * 2 + 64;
			*ids = pl_grow(*ids, cap, sizeof(**ids));
		}
		(*ids)[(*n)++] = pl_col_int(s, 0);
	}
	return code;
}

int64_t
pl_book_before_most(struct pl_book *b)
{
	struct pl_stmt *s;
	int64_t most;
	bool row;

	if (pl_db_prepare(&s, b->db, "SELECT ifnull(max(before), 0) FROM"
	    " renewals", NULL) != PL_OK || pl_stmt_step(s, &row, NULL) !=
	    PL_OK || !row)
		return 0;
	most = pl_col_int(s, 0);
	pl_stmt_reset(s);
	return most;
}

enum pl_code
pl_book_successor(struct pl_book *b, const struct pl_order *o, int64_t *id,
    enum pl_order_state *state, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*id = 0;
	*state = PL_O_FAILED;
	if (o->store_id == NULL)
		return PL_OK;
	code = pl_db_prepare(&s, b->db, "SELECT id, state FROM orders WHERE"
	    " renews = ?1 AND controller = ?2"
	    " ORDER BY state IN (?3, ?4), id DESC LIMIT 1", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, o->store_id);
	pl_stmt_text(s, 2, o->controller);
	pl_stmt_int(s, 3, PL_O_FAILED);
	pl_stmt_int(s, 4, PL_O_CANCELLED);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	*id = pl_col_int(s, 0);
	*state = (enum pl_order_state)pl_col_int(s, 1);
	pl_stmt_reset(s);
	return PL_OK;
}

/* ---- keys: where they are, never what -------------------------------------- */

static enum pl_code
one_text(struct pl_stmt *s, char **out, struct pl_err *err)
{
	enum pl_code code;
	bool row;

	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	*out = pl_strdup(pl_col_text(s, 0));
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_book_key(struct pl_book *b, int64_t id, const unsigned char spki[32],
    char **path, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	*path = NULL;
	code = pl_db_prepare(&s, b->db, "SELECT path FROM keys WHERE"
	    " order_id = ? AND spki = ? ORDER BY generation DESC LIMIT 1",
	    err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_blob(s, 2, spki, 32);
	return one_text(s, path, err);
}

enum pl_code
pl_book_key_wish(struct pl_book *b, int64_t id, unsigned generation,
    char **path, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	*path = NULL;
	code = pl_db_prepare(&s, b->db, "SELECT path FROM keys WHERE"
	    " order_id = ? AND generation = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_int(s, 2, generation);
	return one_text(s, path, err);
}

enum pl_code
pl_book_key_put(struct pl_book *b, int64_t id, unsigned generation,
    const char *path, const unsigned char *spki, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO keys (path,"
	    " order_id, generation, spki) VALUES (?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, path);
	pl_stmt_int(s, 2, id);
	pl_stmt_int(s, 3, generation);
	if (spki != NULL)
		pl_stmt_blob(s, 4, spki, 32);
	else
		pl_stmt_null(s, 4);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_book_key_move(struct pl_book *b, const char *path, int64_t id,
    const unsigned char spki[32], struct pl_err *err)
{
	return pl_book_key_put(b, id, 1, path, spki, err);
}

/* ---- proofs ------------------------------------------------------------------- */

static const char *
ca_of(const struct pl_order *o)
{
	struct pl_product p;

	return o->product != NULL &&
	    pl_product_find(&p, o->product, NULL) == PL_OK ?
	    pl_vendor_name(p.vendor) : "";
}

static bool
is_open(const struct pl_order *o, const char *name)
{
	for (size_t i = 0; i < o->nchallenges; i++) {
		if (strcmp(o->challenges[i].domain, name) == 0)
			return !o->challenges[i].approved;
	}
	return false;
}

enum pl_code
pl_book_proven(struct pl_book *b, const struct pl_order *o, bool rest,
    struct pl_err *err)
{
	int64_t now = pl_wall_ms();
	struct pl_stmt *s;
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < o->nnames && code == PL_OK; i++) {
		if (!rest && !is_open(o, o->names[i].name))
			continue;
		code = pl_db_prepare(&s, b->db, "INSERT INTO proofs"
		    " (controller, vendor, name, time) VALUES (?1, ?2, ?3, ?4)"
		    " ON CONFLICT DO UPDATE SET time = ?4 WHERE ?5 = 0", err);
		if (code != PL_OK)
			break;
		pl_stmt_text(s, 1, o->controller);
		pl_stmt_text(s, 2, ca_of(o));
		pl_stmt_text(s, 3, o->names[i].name);
		pl_stmt_int(s, 4, now);
		pl_stmt_int(s, 5, rest);
		code = pl_stmt_run(s, err);
	}
	return code;
}

int64_t
pl_book_proof(struct pl_book *b, const struct pl_order *o, const char *name)
{
	struct pl_stmt *s;
	int64_t time;
	bool row;

	if (pl_db_prepare(&s, b->db, "SELECT time FROM proofs WHERE"
	    " controller = ? AND vendor = ? AND name = ?", NULL) != PL_OK)
		return 0;
	pl_stmt_text(s, 1, o->controller);
	pl_stmt_text(s, 2, ca_of(o));
	pl_stmt_text(s, 3, name);
	if (pl_stmt_step(s, &row, NULL) != PL_OK || !row)
		return 0;
	time = pl_col_int(s, 0);
	pl_stmt_reset(s);
	return time;
}
