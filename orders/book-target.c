/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Where the certificates of the book have been taken to. */
#include "book.h"

#include <stdlib.h>
#include <string.h>

#include "book-row.h"

#define COLUMNS "order_id, target, name, state, serial, sha256, began," \
    " changed, deployed, served, tries, due, error"

const char *
pl_target_state_name(enum pl_target_state s)
{
	static const char *const names[] = {
		[PL_TG_PENDING] = "pending",
		[PL_TG_DEPLOYED] = "deployed",
		[PL_TG_SERVED] = "served",
		[PL_TG_FAILED] = "failed",
		[PL_TG_REPLACED] = "replaced",
	};

	return names[s];
}

void
pl_book_target_clear(struct pl_book_target *t)
{
	free(t->target);
	free(t->name);
	free(t->serial);
	free(t->error);
	*t = (struct pl_book_target){ 0 };
}

enum pl_code
pl_book_target_put(struct pl_book *b, const struct pl_book_target *t,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO targets ("
	    COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, t->order);
	pl_stmt_text(s, 2, t->target);
	pl_stmt_text(s, 3, t->name);
	pl_stmt_int(s, 4, t->state);
	pl_stmt_text(s, 5, t->serial);
	pl_stmt_text(s, 6, t->sha256);
	pl_stmt_int(s, 7, t->began);
	pl_stmt_int(s, 8, t->changed);
	pl_stmt_int(s, 9, t->deployed);
	pl_stmt_int(s, 10, t->served);
	pl_stmt_int(s, 11, t->tries);
	pl_stmt_int(s, 12, t->due);
	pl_stmt_text(s, 13, t->error);
	return pl_stmt_run(s, err);
}

static void
read_row(struct pl_stmt *s, struct pl_book_target *t)
{
	unsigned state = (unsigned)pl_col_int(s, 3);
	const char *hex = pl_col_text(s, 5);

	*t = (struct pl_book_target){ .order = pl_col_int(s, 0) };
	t->target = pl_strdup(pl_col_text(s, 1));
	t->name = pl_strdup(pl_col_text(s, 2));
	t->state = state < PL_NTARGETS ? (enum pl_target_state)state :
	    PL_TG_FAILED;
	t->serial = pl_strdup(pl_col_text(s, 4));
	if (hex != NULL && strlen(hex) < sizeof(t->sha256))
		memcpy(t->sha256, hex, strlen(hex) + 1);
	t->began = pl_col_int(s, 6);
	t->changed = pl_col_int(s, 7);
	t->deployed = pl_col_int(s, 8);
	t->served = pl_col_int(s, 9);
	t->tries = (unsigned)pl_col_int(s, 10);
	t->due = pl_col_int(s, 11);
	t->error = pl_strdup(pl_col_text(s, 12));
}

enum pl_code
pl_book_target_get(struct pl_book *b, int64_t order, const char *target,
    struct pl_book_target *t, bool *found, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	*t = (struct pl_book_target){ 0 };
	*found = false;
	code = pl_db_prepare(&s, b->db, "SELECT " COLUMNS " FROM targets"
	    " WHERE order_id = ? AND target = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, order);
	pl_stmt_text(s, 2, target);
	code = pl_stmt_step(s, found, err);
	if (code == PL_OK && *found) {
		read_row(s, t);
		pl_stmt_reset(s);
	}
	return code;
}

enum pl_code
pl_book_targets(struct pl_book *b, int64_t order, int64_t due,
    struct pl_book_target **out, size_t *n, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*out = NULL;
	*n = 0;
	code = pl_db_prepare(&s, b->db, "SELECT " COLUMNS " FROM targets"
	    " WHERE (?1 = 0 OR order_id = ?1) AND (?2 = 0 OR (due > 0 AND"
	    " due <= ?2)) ORDER BY order_id, target", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, order);
	pl_stmt_int(s, 2, due);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		*out = pl_grow(*out, *n + 1, sizeof(**out));
		read_row(s, &(*out)[(*n)++]);
	}
	return code;
}

void
pl_book_targets_clear(struct pl_book_target *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pl_book_target_clear(&t[i]);
	free(t);
}

enum pl_code
pl_book_target_due(struct pl_book *b, int64_t *due, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*due = 0;
	code = pl_db_prepare(&s, b->db, "SELECT min(due) FROM targets"
	    " WHERE due > 0", err);
	if (code == PL_OK)
		code = pl_stmt_step(s, &row, err);
	if (code == PL_OK && row) {
		*due = pl_col_null(s, 0) ? 0 : pl_col_int(s, 0);
		pl_stmt_reset(s);
	}
	return code;
}

enum pl_code
pl_book_target_replace(struct pl_book *b, const struct pl_book_target *by,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "UPDATE targets SET state = ?1,"
	    " changed = ?2, due = 0, error = NULL WHERE target = ?3 AND"
	    " name = ?4 AND order_id <> ?5 AND began <= ?6 AND state <> ?1",
	    err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, PL_TG_REPLACED);
	pl_stmt_int(s, 2, by->changed);
	pl_stmt_text(s, 3, by->target);
	pl_stmt_text(s, 4, by->name);
	pl_stmt_int(s, 5, by->order);
	pl_stmt_int(s, 6, by->began);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_book_target_yield(struct pl_book *b, const struct pl_book_target *t,
    struct pl_err *err)
{
	static const char *const sql[] = {
		"UPDATE targets SET due = 0 WHERE target = ?1 AND name = ?2"
		" AND order_id <> ?3 AND began <= ?4",
		"UPDATE targets SET due = 0, state = ?5 WHERE target = ?1 AND"
		" name = ?2 AND order_id = ?3 AND EXISTS (SELECT 1 FROM"
		" targets y WHERE y.target = ?1 AND y.name = ?2 AND"
		" y.order_id <> ?3 AND y.began > ?4)" };
	enum pl_code code = PL_OK;
	struct pl_stmt *s;

	for (size_t i = 0; i < PL_NELEM(sql) && code == PL_OK; i++) {
		code = pl_db_prepare(&s, b->db, sql[i], err);
		if (code != PL_OK)
			break;
		pl_stmt_text(s, 1, t->target);
		pl_stmt_text(s, 2, t->name);
		pl_stmt_int(s, 3, t->order);
		pl_stmt_int(s, 4, t->began);
		if (i == 1)
			pl_stmt_int(s, 5, PL_TG_REPLACED);
		code = pl_stmt_run(s, err);
	}
	return code;
}

enum pl_code
pl_book_certs_since(struct pl_book *b, int64_t *mark, int64_t **orders,
    size_t *n, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*orders = NULL;
	*n = 0;
	code = pl_db_prepare(&s, b->db, "SELECT o.id, max(c.id) FROM orders o"
	    " JOIN certificates c ON c.order_id = o.id WHERE c.id > ?1 AND"
	    " o.ours <> 0 AND o.state IN (?2, ?3) GROUP BY o.id"
	    " ORDER BY 2", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, *mark);
	pl_stmt_int(s, 2, PL_O_ISSUED);
	pl_stmt_int(s, 3, PL_O_REISSUING);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		*orders = pl_grow(*orders, *n + 1, sizeof(**orders));
		(*orders)[(*n)++] = pl_col_int(s, 0);
		*mark = pl_col_int(s, 1);
	}
	return code;
}
