/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- list ------------------------------------------------------------------ */

static json_t *
when(int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0)
		return pl_json_null();
	pl_time_format(text, wall_ms);
	return pl_json_string(text);
}

static void
list_json(const struct pl_row *r)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "job", r->job);
	pl_json_sets(j, "method", r->method);
	pl_json_sets(j, "domain", r->domain);
	pl_json_sets(j, "state", pl_row_state_name(r->state));
	pl_json_sets(j, "account", r->account);
	pl_json_sets(j, "scope", r->scope);
	pl_json_sets(j, "kind", pl_kind_name(r->kind));
	pl_json_sets(j, "record", r->record);
	pl_json_sets(j, "name", r->name);
	if (r->kind != PL_FILE)
		pl_json_set(j, "value", pl_json_stringn(r->value,
		    r->value_len));
	pl_json_setb(j, "ours", r->was != PL_WAS_PRESENT);
	pl_json_setb(j, "standing", r->standing);
	pl_json_set(j, "created", when(r->created));
	pl_json_set(j, "published", when(r->published));
	pl_json_set(j, "visible", when(r->visible));
	pl_cli_print_json(j);
}

static void
list_text(const struct pl_row *r)
{
	char text[PL_TIME_TEXT];

	pl_time_format(text, r->created / 1000 * 1000);
	pl_cli_print("%s %-9s %-5s %s %s%s%s %s%s\n", text,
	    pl_row_state_name(r->state), pl_kind_name(r->kind), r->name,
	    r->account, r->kind == PL_FILE ? "" : " ",
	    r->kind == PL_FILE ? "" : r->scope, r->job,
	    r->was == PL_WAS_PRESENT ? " (was there before)" : "");
}

int
pl_cmd_list(struct pl_cli *cli)
{
	struct pl_row_query q = { 0 };
	struct pl_config *config = NULL;
	struct pl_journal *j = NULL;
	struct pl_row *rows = NULL;
	struct pl_err err;
	size_t n = 0;
	enum pl_code code;
	int status;

	pl_err_clear(&err);
	status = pl_cli_config(cli, &config);
	if (status != -1)
		return status;
	code = pl_journal_open(&j, config->state_directory, false, &err);
	if (code == PL_OK && j != NULL)
		code = pl_journal_rows(j, &q, &rows, &n, &err);
	for (size_t i = 0; i < n; i++) {
		if (cli->json)
			list_json(&rows[i]);
		else
			list_text(&rows[i]);
		pl_row_clear(&rows[i]);
	}
	status = code == PL_OK ? 0 : pl_cli_fail(cli, &err);
	free(rows);
	pl_journal_close(j);
	pl_config_free(config);
	return status;
}

/* ---- cleanup ---------------------------------------------------------------- */

/* Standing records stay unless they are asked for by name or job. */
static size_t
without_standing(struct pl_row *rows, size_t n)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		if (rows[i].standing)
			pl_row_clear(&rows[i]);
		else
			rows[m++] = rows[i];
	}
	return m;
}

static int
dry_rows(struct pl_session *s, struct pl_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s->cli->json)
			list_json(&rows[i]);
		else
			list_text(&rows[i]);
		pl_row_clear(&rows[i]);
	}
	free(rows);
	return 0;
}

int
pl_session_finish(struct pl_session *s, struct pl_job_run *const *runs, size_t n)
{
	struct pl_err err;
	int status = 0;

	if (pl_session_work(s, &err) != PL_OK)
		status = pl_cli_fail(s->cli, &err);
	else if (s->stop != 0)
		status = pl_code_exit(PL_ECANCEL);
	for (size_t i = 0; i < n; i++) {
		int one = pl_run_exit(runs[i], PL_REMOVED);

		if (status == 0 || i > 0)
			status = i == 0 ? one : pl_status_join(status, one);
		pl_session_report(s, runs[i]);
	}
	return status;
}

static int
cleanup_journal(struct pl_session *s)
{
	const struct pl_cli *cli = s->cli;
	struct pl_row_query q = { .job = cli->job };
	struct pl_row *rows = NULL;
	struct pl_job_run *run;
	struct pl_err err;
	size_t n = 0;

	pl_err_clear(&err);
	if (cli->older_ms >= 0)
		q.before = pl_wall_ms() - cli->older_ms;
	if (s->journal != NULL && pl_journal_rows(s->journal, &q, &rows, &n,
	    &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	if (cli->job == NULL)
		n = without_standing(rows, n);
	if (cli->dry_run)
		return dry_rows(s, rows, n);
	if (n == 0) {
		free(rows);
		if (cli->job != NULL && !cli->json && !cli->quiet)
			pl_cli_print("job %s: nothing published\n", cli->job);
		return 0;
	}
	run = pl_engine_remove_rows(s->engine, rows, n,
	    pl_session_timeout(s));
	return pl_session_finish(s, &run, 1);
}

/* What the journal knows of a job's challenges: row i is of challenge
 * of[i].  Rows of a domain go to that domain's challenge, as two of them
 * may want the same value. */
struct known {
	struct pl_row *rows;
	size_t *of;
	size_t n;
};
struct found {
	struct pl_row row;
	size_t of;
	bool strange;		/* of another domain */
};

static int
by_row(const void *pa, const void *pb)
{
	const struct found *a = pa, *b = pb;

	if (a->row.id != b->row.id)
		return a->row.id < b->row.id ? -1 : 1;
	if (a->strange != b->strange)
		return a->strange ? 1 : -1;
	return a->of < b->of ? -1 : a->of > b->of;
}

static int
by_challenge(const void *pa, const void *pb)
{
	const struct found *a = pa, *b = pb;

	if (a->of != b->of)
		return a->of < b->of ? -1 : 1;
	return a->row.id < b->row.id ? -1 : a->row.id > b->row.id;
}

/* Each row once, in the order of the challenges. */
static void
settle_known(struct known *k, struct found *found, size_t n)
{
	size_t m = 0;

	if (n > 0)
		qsort(found, n, sizeof(*found), by_row);
	for (size_t i = 0; i < n; i++) {
		if (m > 0 && found[m - 1].row.id == found[i].row.id)
			pl_row_clear(&found[i].row);
		else
			found[m++] = found[i];
	}
	if (m > 0)
		qsort(found, m, sizeof(*found), by_challenge);
	k->n = m;
	k->rows = pl_array(m + 1, sizeof(*k->rows));
	k->of = pl_array(m + 1, sizeof(*k->of));
	for (size_t i = 0; i < m; i++) {
		k->rows[i] = found[i].row;
		k->of[i] = found[i].of;
	}
	free(found);
}

static enum pl_code
find_known(struct pl_session *s, const struct pl_job *job, struct known *k,
    struct pl_err *err)
{
	struct found *found = NULL;
	enum pl_code code = PL_OK;
	struct pl_row *rows;
	size_t n, m = 0, cap = 0;

	for (size_t i = 0; code == PL_OK && i < job->n; i++) {
		const struct pl_challenge *ch = &job->challenges[i];
		struct pl_row_query q = { .record = ch->record,
			.kind = ch->kind, .value = ch->value,
			.value_len = ch->value_len, .left = true,
			.account = s->cli->account != NULL ?
			    s->cli->account : ch->account };

		if (ch->kind == PL_NOTHING)
			continue;
		code = pl_journal_rows(s->journal, &q, &rows, &n, err);
		if (m + n > cap) {
			cap = 2 * cap + n + 16;
			found = pl_grow(found, cap, sizeof(*found));
		}
		for (size_t r = 0; r < n; r++)
			found[m++] = (struct found){ rows[r], i,
				strcmp(rows[r].domain, ch->shown) != 0 };
		free(rows);
	}
	settle_known(k, found, m);
	return code;
}

int
pl_session_cleanup(struct pl_session *s, struct pl_job *jobs, size_t n)
{
	struct pl_job_run **runs = pl_array(n, sizeof(struct pl_job_run *));
	struct pl_err err;
	size_t m = 0;
	int status = -1;

	pl_err_clear(&err);
	for (size_t i = 0; i < n && status == -1; i++) {
		struct known k = { 0 };

		if (find_known(s, &jobs[i], &k, &err) == PL_OK) {
			runs[m++] = pl_engine_remove_known(s->engine,
			    &jobs[i], k.rows, k.of, k.n,
			    pl_session_timeout(s));
		} else {
			status = pl_cli_fail(s->cli, &err);
			for (size_t r = 0; r < k.n; r++)
				pl_row_clear(&k.rows[r]);
			free(k.rows);
		}
		free(k.of);
	}
	if (status == -1)
		status = pl_session_finish(s, runs, m);
	free(runs);
	return status;
}

static int
cleanup_dry(struct pl_session *s, struct pl_job *jobs, size_t n)
{
	int status = 0;

	for (size_t i = 0; i < n; i++) {
		struct pl_job_run *run = pl_engine_plan(s->engine, &jobs[i]);
		int one = pl_run_exit(run, PL_QUEUED);

		status = i == 0 ? one : pl_status_join(status, one);
		pl_session_report(s, run);
	}
	return status;
}

int
pl_cmd_cleanup(struct pl_cli *cli)
{
	struct pl_session s;
	struct pl_job *jobs = NULL;
	size_t n = 0;
	bool by_journal = cli->job != NULL || cli->older_ms >= 0 || cli->all;
	int status;

	if (by_journal && (cli->has_challenge || cli->jobs != NULL))
		return pl_cli_usage(cli, "cleanup: --job, --older-than and "
		    "--all go without a challenge");
	if (!by_journal) {
		status = pl_cli_jobs(cli, &jobs, &n);
		if (status != -1)
			return status;
	}
	status = pl_session_open(&s, cli, cli->dry_run ? PL_JOURNAL_READ :
	    PL_JOURNAL_WRITE, false, false);
	if (status == -1)
		status = pl_cli_allowed(cli, s.config, jobs, n);
	if (status == -1 && by_journal)
		status = cleanup_journal(&s);
	else if (status == -1 && cli->dry_run)
		status = cleanup_dry(&s, jobs, n);
	else if (status == -1)
		status = pl_session_cleanup(&s, jobs, n);
	for (size_t i = 0; i < n; i++)
		pl_job_clear(&jobs[i]);
	free(jobs);
	pl_session_close(&s);
	return status;
}
