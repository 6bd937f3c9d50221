/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The order book: its events, for those who want to be told of them. */
#include "book-row.h"
#include "renew.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {
	[PL_N_ISSUED] = "issued",
	[PL_N_DEPLOYED] = "deployed",
	[PL_N_SERVED] = "served",
	[PL_N_FAILED] = "failed",
	[PL_N_EXPIRING] = "expiring",
};
_Static_assert(PL_NELEM(kinds) == PL_NNOTICES, "one word a kind");

const char *
pl_notice_name(enum pl_notice k)
{
	return kinds[k];
}

bool
pl_notice_parse(enum pl_notice *k, const char *text)
{
	for (unsigned i = 0; i < PL_NNOTICES; i++) {
		if (strcmp(text, kinds[i]) == 0) {
			*k = i;
			return true;
		}
	}
	return false;
}

/* Which events of the book are of which kind; the rest are for the book. */
static const struct {
	const char *event, *text;	/* text NULL: whatever it says */
	enum pl_notice kind;
} table[] = {
	{ "certificate", NULL, PL_N_ISSUED },
	{ "deployed", NULL, PL_N_DEPLOYED },
	{ "served", NULL, PL_N_SERVED },
	{ "failed", NULL, PL_N_FAILED },
	{ "refused", NULL, PL_N_FAILED },
	{ "certificate-refused", NULL, PL_N_FAILED },
	{ "downgraded", NULL, PL_N_FAILED },
	{ "renewal-failed", NULL, PL_N_FAILED },
	{ "state", "failed", PL_N_FAILED },
	{ "state", "expired", PL_N_FAILED },
	{ "expiring", NULL, PL_N_EXPIRING },
};

static bool
kind_of(enum pl_notice *k, const char *event, const char *text)
{
	for (size_t i = 0; i < PL_NELEM(table); i++) {
		if (strcmp(event, table[i].event) == 0 &&
		    (table[i].text == NULL ||
		    strcmp(text, table[i].text) == 0)) {
			*k = table[i].kind;
			return true;
		}
	}
	return false;
}

void
pl_book_notice_clear(struct pl_book_notice *e)
{
	free(e->what);
	free(e->text);
	*e = (struct pl_book_notice){ 0 };
}

enum pl_code
pl_book_notice(struct pl_book *b, int64_t after, unsigned wanted,
    struct pl_book_notice *e, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_notice k;
	enum pl_code code;
	bool row;

	*e = (struct pl_book_notice){ .seen = after };
	code = pl_db_prepare(&s, b->db, "SELECT id, order_id, time, event,"
	    " text FROM events WHERE id > ? ORDER BY id", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, after);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		if (!kind_of(&k, pl_col_text(s, 3), pl_col_text(s, 4)) ||
		    (wanted & 1u << k) == 0) {
			e->seen = pl_col_int(s, 0);
			continue;
		}
		*e = (struct pl_book_notice){ .id = pl_col_int(s, 0),
			.order = pl_col_int(s, 1), .time = pl_col_int(s, 2),
			.kind = k, .what = pl_strdup(pl_col_text(s, 3)),
			.text = pl_strdup(pl_col_text(s, 4)) };
		pl_stmt_reset(s);
		break;
	}
	return code;
}

enum pl_code
pl_book_reader(struct pl_book *b, const char *name, int64_t *event,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*event = 0;
	code = pl_db_prepare(&s, b->db, "INSERT INTO readers (name, event)"
	    " SELECT ?1, ifnull(max(id), 0) FROM events WHERE true"
	    " ON CONFLICT DO NOTHING", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, name);
	code = pl_stmt_run(s, err);
	if (code == PL_OK)
		code = pl_db_prepare(&s, b->db, "SELECT event FROM readers"
		    " WHERE name = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, name);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	*event = pl_col_int(s, 0);
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_book_reader_put(struct pl_book *b, const char *name, int64_t event,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO readers"
	    " (name, event) VALUES (?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, name);
	pl_stmt_int(s, 2, event);
	return pl_stmt_run(s, err);
}
