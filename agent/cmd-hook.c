/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * placard hook TOOL: the same engine behind the hooks of other ACME clients.
 * What they say is read in hook-tools.c; what is theirs to see of the result
 * is the exit status, and standard error for people.
 */
#include "command.h"
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOPPED_MS 10000
/* Rows of a job that are older are of a run that has died. */
#define RUN_MS 3600000

/* ---- what the job has published before this call -------------------------- */

struct rest {
	struct pl_row *rows;
	size_t n;
	struct pl_job_run *run;
};

static void
rest_clear(struct rest *r)
{
	for (size_t i = 0; i < r->n; i++)
		pl_row_clear(&r->rows[i]);
	free(r->rows);
	*r = (struct rest){ .rows = NULL };
}

/* Looks for what earlier calls left unseen. */
static enum pl_code
rest_start(struct rest *r, struct pl_session *s, const char *id,
    struct pl_err *err)
{
	struct pl_row_query q = { .job = id };
	struct pl_job job = { .id = pl_strdup(id) };
	int64_t young = pl_wall_ms() - RUN_MS;
	size_t n, m = 0;
	enum pl_code code;

	code = pl_journal_rows(s->journal, &q, &r->rows, &n, err);
	if (code != PL_OK)
		n = 0;
	job.challenges = pl_array(n + 1, sizeof(*job.challenges));
	for (size_t i = 0; i < n; i++) {
		struct pl_row *row = &r->rows[i];

		if (row->state != PL_ROW_PUBLISHED || row->created < young) {
			pl_row_clear(row);
			continue;
		}
		pl_row_challenge(&job.challenges[m], row);
		r->rows[m++] = *row;
	}
	r->n = job.n = m;
	if (m > 0)
		r->run = pl_engine_verify(s->engine, &job,
		    pl_session_timeout(s), PL_LOOK_UNTIL);
	s->total += m;
	pl_job_clear(&job);
	return code;
}

/* A status; the journal learns what has been seen. */
static int
rest_end(struct rest *r, struct pl_session *s)
{
	struct pl_err err;
	enum pl_code code;

	if (r->run == NULL)
		return 0;
	code = pl_journal_begin(s->journal, &err);
	for (size_t i = 0; code == PL_OK && i < r->n; i++) {
		if (r->run->tasks[i].state == PL_VISIBLE)
			code = pl_journal_visible(s->journal, &r->rows[i],
			    &err);
	}
	if (code == PL_OK)
		code = pl_journal_commit(s->journal, &err);
	if (code != PL_OK) {
		pl_journal_rollback(s->journal);
		return pl_cli_fail(s->cli, &err);
	}
	pl_session_report(s, r->run);
	return pl_run_exit(r->run, PL_VISIBLE);
}

/* ---- add ------------------------------------------------------------------- */

static bool
all_files(const struct pl_job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		if (job->challenges[i].kind != PL_FILE)
			return false;
	}
	return job->n > 0;
}

static void
take_back(struct pl_session *s, struct pl_job_run *run, int64_t ms)
{
	struct pl_err err;

	s->stop = 0;
	pl_engine_cancel(s->engine);
	pl_session_work(s, &err);
	pl_engine_remove(s->engine, run, ms);
	if (pl_session_work(s, &err) != PL_OK)
		pl_cli_fail(s->cli, &err);
}

static int
add_work(struct pl_session *s, struct pl_hook *h, struct pl_job_run *run,
    struct rest *rest)
{
	enum pl_state wanted = h->wait ? PL_VISIBLE : PL_PUBLISHED;
	struct pl_err err;
	int status, sig;

	if (pl_session_work(s, &err) != PL_OK) {
		take_back(s, run, STOPPED_MS);
		return pl_cli_fail(s->cli, &err);
	}
	sig = s->stop;
	if (sig != 0) {
		fprintf(stderr, "placard: stopped by signal %d, what was "
		    "published has been taken back\n", sig);
		take_back(s, run, STOPPED_MS);
		return pl_code_exit(PL_ECANCEL);
	}
	status = pl_run_exit(run, wanted);
	pl_session_report(s, run);
	if (rest->run != NULL)
		status = pl_status_join(status, rest_end(rest, s));
	if (status != 0 && !h->keep)
		take_back(s, run, pl_session_timeout(s));
	return status;
}

static int
hook_dry(struct pl_session *s, struct pl_hook *h)
{
	struct pl_job_run *run = pl_engine_plan(s->engine, &h->job);

	s->cli->quiet = false;
	pl_session_report(s, run);
	return pl_run_exit(run, PL_QUEUED);
}

static int
hook_add(struct pl_cli *cli, struct pl_hook *h)
{
	struct rest rest = { .rows = NULL };
	struct pl_job_run *run;
	struct pl_session s;
	struct pl_err err;
	char *id = pl_strdup(h->job.id);
	int status;

	h->wait = h->wait && !cli->no_wait;
	/* At once, so that certbot can tell its cleanup whatever happens. */
	if (h->said != NULL && !cli->json && !cli->dry_run)
		pl_cli_print("%s\n", h->said);
	pl_cli_flush(0);
	status = pl_session_open(&s, cli, cli->dry_run ? PL_JOURNAL_NONE :
	    PL_JOURNAL_WRITE, h->wait, all_files(&h->job));
	if (status == -1)
		status = pl_cli_allowed(cli, s.config, &h->job, 1);
	if (status == -1 && cli->dry_run)
		status = hook_dry(&s, h);
	if (status == -1 && h->wait && h->rest &&
	    rest_start(&rest, &s, id, &err) != PL_OK)
		status = pl_cli_fail(cli, &err);
	if (status == -1) {
		s.total += h->job.n;
		run = pl_engine_present(s.engine, &h->job,
		    pl_session_timeout(&s));
		status = add_work(&s, h, run, &rest);
	}
	rest_clear(&rest);
	pl_session_close(&s);
	free(id);
	return status;
}

/* ---- remove ------------------------------------------------------------------ */

/* mod_md 1 names no value: what its setups have left at the name. */
static int
remove_name(struct pl_session *s, const struct pl_hook *h)
{
	struct pl_row_query q = { .job = NULL };
	struct pl_row *rows = NULL;
	struct pl_job_run *run;
	struct pl_err err;
	size_t n = 0, m = 0;

	pl_err_clear(&err);
	if (pl_journal_rows(s->journal, &q, &rows, &n, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].kind == PL_TXT &&
		    strcmp(rows[i].record, h->name) == 0 &&
		    strncmp(rows[i].job, "mod_md-", 7) == 0)
			rows[m++] = rows[i];
		else
			pl_row_clear(&rows[i]);
	}
	if (m == 0) {
		free(rows);
		return 0;
	}
	run = pl_engine_remove_rows(s->engine, rows, m,
	    pl_session_timeout(s));
	return pl_session_finish(s, &run, 1);
}

static int
hook_remove(struct pl_cli *cli, struct pl_hook *h)
{
	struct pl_session s;
	int status;

	status = pl_session_open(&s, cli, cli->dry_run ? PL_JOURNAL_NONE :
	    PL_JOURNAL_WRITE, false, false);
	if (status == -1)
		status = pl_cli_allowed(cli, s.config, &h->job, 1);
	if (status == -1 && cli->dry_run)
		status = hook_dry(&s, h);
	if (status == -1 && h->act == PL_HOOK_REMOVE_NAME)
		status = remove_name(&s, h);
	else if (status == -1)
		status = pl_session_cleanup(&s, &h->job, 1);
	pl_session_close(&s);
	return status;
}

/* placardd does it where there is one. */
static int
hook_publish(struct pl_cli *cli, struct pl_hook *h)
{
	int status = pl_hook_service(cli, h);

	if (status != -1)
		return status;
	return h->act == PL_HOOK_ADD ? hook_add(cli, h) :
	    hook_remove(cli, h);
}

/* ---- the file for acme.sh ------------------------------------------------------ */

/* A word for a shell. */
static void
print_quoted(const char *s)
{
	pl_cli_print("'");
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			pl_cli_print("'\\''");
		else
			pl_cli_print("%c", *s);
	}
	pl_cli_print("'");
}

static void
print_function(const char *self, const char *config, const char *word)
{
	pl_cli_print("dns_placard_%s() {\n\t", word);
	print_quoted(self);
	if (config != NULL) {
		pl_cli_print(" -c ");
		print_quoted(config);
	}
	pl_cli_print(" hook acme.sh %s \"$1\" \"$2\"\n}\n", word);
}

static int
hook_print(const struct pl_cli *cli)
{
	char self[4096], config[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return pl_cli_usage(cli, "hook acme.sh: /proc is not there to "
		    "find out where placard is");
	self[n] = '\0';
	if (cli->config != NULL && realpath(cli->config, config) == NULL)
		return pl_cli_usage(cli, "%s: no such file", cli->config);
	pl_cli_print("#!/usr/bin/env sh\n"
	    "# Made by \"placard hook acme.sh --print\": the DNS API dns_placard"
	    " of acme.sh.\n\n"
	    "dns_placard_info='placard\nOptions:\n none, placard has its own"
	    " configuration\n'\n\n");
	print_function(self, cli->config != NULL ? config : NULL, "add");
	pl_cli_print("\n");
	print_function(self, cli->config != NULL ? config : NULL, "rm");
	return 0;
}

/* ---- the command ----------------------------------------------------------------- */

static const char *
from_environment(const char *name)
{
	return getenv(name);
}

int
pl_cmd_hook(struct pl_cli *cli)
{
	struct pl_hook h;
	struct pl_err err;
	int status = 0;

	pl_err_clear(&err);
	if (pl_hook_read(&h, cli->args[0], cli->nargs - 1, cli->args + 1,
	    from_environment, &err) != PL_OK)
		return pl_cli_usage(cli, "%s", err.text);
	/* Standard output is the tool's. */
	cli->quiet = true;
	switch (h.act) {
	case PL_HOOK_NOTHING: break;
	case PL_HOOK_DECLINE: status = 1; break;
	case PL_HOOK_PRINT: status = hook_print(cli); break;
	case PL_HOOK_ADD:
	case PL_HOOK_REMOVE:
	case PL_HOOK_REMOVE_NAME: status = hook_publish(cli, &h); break;
	}
	pl_hook_clear(&h);
	return status;
}
