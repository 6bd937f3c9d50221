/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The part of the journal that the service keeps about its jobs. */
#include "agent.h"

#include <stdlib.h>

const char *
pl_job_phase_name(enum pl_job_phase p)
{
	static const char *const names[] = {
		[PL_J_ACTIVE] = "active",
		[PL_J_HELD] = "held",
		[PL_J_REMOVING] = "removing",
		[PL_J_DONE] = "done",
	};

	_Static_assert(PL_NELEM(names) == PL_NJOBPHASES, "one name a phase");
	return names[p];
}

void
pl_job_row_clear(struct pl_job_row *r)
{
	free(r->id);
	free(r->doc);
	free(r->source);
	free(r->notify);
	free(r->report);
	*r = (struct pl_job_row){ 0 };
}

enum pl_code
pl_journal_job_add(struct pl_journal *j, const struct pl_job_row *r,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	/* One that is done makes room for one of the same name. */
	code = pl_db_prepare(&s, pl_journal_db(j),
	    "INSERT OR REPLACE INTO job (id, uid, doc, phase, cancelled,"
	    " created, deadline, due, ended, source, notify, told, report)"
	    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, r->id);
	pl_stmt_int(s, 2, r->uid);
	pl_stmt_text(s, 3, r->doc);
	pl_stmt_int(s, 4, r->phase);
	pl_stmt_int(s, 5, r->cancelled);
	pl_stmt_int(s, 6, r->created);
	pl_stmt_int(s, 7, r->deadline);
	pl_stmt_int(s, 8, r->due);
	pl_stmt_int(s, 9, r->ended);
	pl_stmt_text(s, 10, r->source);
	pl_stmt_text(s, 11, r->notify);
	pl_stmt_int(s, 12, r->told);
	pl_stmt_text(s, 13, r->report);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_journal_job_put(struct pl_journal *j, const struct pl_job_row *r,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, pl_journal_db(j),
	    "UPDATE job SET phase = ?, cancelled = ?, due = ?, ended = ?,"
	    " report = coalesce(?, report) WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, r->phase);
	pl_stmt_int(s, 2, r->cancelled);
	pl_stmt_int(s, 3, r->due);
	pl_stmt_int(s, 4, r->ended);
	pl_stmt_text(s, 5, r->report);
	pl_stmt_text(s, 6, r->id);
	return pl_stmt_run(s, err);
}

#define COLUMNS "id, uid, phase, cancelled, created, deadline, due, ended," \
	" source, notify, told, report"

static void
read_job(struct pl_stmt *s, struct pl_job_row *r)
{
	*r = (struct pl_job_row){ 0 };
	r->id = pl_strdup(pl_col_text(s, 0));
	r->uid = pl_col_int(s, 1);
	r->phase = (enum pl_job_phase)pl_col_int(s, 2);
	r->cancelled = pl_col_int(s, 3) != 0;
	r->created = pl_col_int(s, 4);
	r->deadline = pl_col_int(s, 5);
	r->due = pl_col_int(s, 6);
	r->ended = pl_col_int(s, 7);
	r->source = pl_strdup(pl_col_text(s, 8));
	r->notify = pl_strdup(pl_col_text(s, 9));
	r->told = pl_col_int(s, 10);
	r->report = pl_strdup(pl_col_text(s, 11));
}

enum pl_code
pl_journal_job_get(struct pl_journal *j, const char *id,
    struct pl_job_row *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*r = (struct pl_job_row){ 0 };
	code = pl_db_prepare(&s, pl_journal_db(j),
	    "SELECT " COLUMNS ", doc FROM job WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, id);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	read_job(s, r);
	r->doc = pl_strdup(pl_col_text(s, 12));
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_journal_job_each(struct pl_journal *j, const char *source,
    void (*each)(void *ctx, const struct pl_job_row *r), void *ctx,
    struct pl_err *err)
{
	struct pl_job_row r;
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	code = pl_db_prepare(&s, pl_journal_db(j), source == NULL ?
	    "SELECT " COLUMNS " FROM job ORDER BY number" :
	    "SELECT " COLUMNS " FROM job WHERE source = ? ORDER BY number",
	    err);
	if (code != PL_OK)
		return code;
	if (source != NULL)
		pl_stmt_text(s, 1, source);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		read_job(s, &r);
		each(ctx, &r);
		pl_job_row_clear(&r);
	}
	return code;
}

enum pl_code
pl_journal_job_expire(struct pl_journal *j, int64_t before, int64_t *n,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	*n = 0;
	code = pl_db_prepare(&s, pl_journal_db(j),
	    "DELETE FROM job WHERE phase = ? AND ended < ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, PL_J_DONE);
	pl_stmt_int(s, 2, before);
	code = pl_stmt_run(s, err);
	if (code == PL_OK)
		*n = pl_db_changes(pl_journal_db(j));
	return code;
}

enum pl_code
pl_journal_job_drop(struct pl_journal *j, const char *id, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, pl_journal_db(j),
	    "DELETE FROM job WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, id);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_journal_job_leave(struct pl_journal *j, const char *source,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, pl_journal_db(j),
	    "UPDATE job SET source = NULL WHERE source = ? AND phase = ?",
	    err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, source);
	pl_stmt_int(s, 2, PL_J_DONE);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_journal_job_told(struct pl_journal *j, const char *id, int64_t told,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, pl_journal_db(j),
	    "UPDATE job SET told = ? WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, told);
	pl_stmt_text(s, 2, id);
	return pl_stmt_run(s, err);
}

enum pl_code
pl_journal_tally(struct pl_journal *j, struct pl_tally *t,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*t = (struct pl_tally){ 0, 0, 0 };
	code = pl_db_prepare(&s, pl_journal_db(j),
	    "SELECT count(CASE state WHEN ?1 THEN 1 END),"
	    " count(CASE state WHEN ?2 THEN 1 END),"
	    " coalesce(min(published), 0) FROM row WHERE published > 0"
	    " AND was <> ?3 AND state <> ?4", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, PL_ROW_PUBLISHED);
	pl_stmt_int(s, 2, PL_ROW_VISIBLE);
	pl_stmt_int(s, 3, PL_WAS_PRESENT);
	pl_stmt_int(s, 4, PL_ROW_LEFT);
	code = pl_stmt_step(s, &row, err);
	if (code == PL_OK && row) {
		t->published = (size_t)pl_col_int(s, 0);
		t->visible = (size_t)pl_col_int(s, 1);
		t->oldest = pl_col_int(s, 2);
		pl_stmt_reset(s);
	}
	return code;
}
