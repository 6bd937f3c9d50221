/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* placard job: what placardd is asked to do. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reports for people ----------------------------------------------------------- */

static const char *
text_of(const json_t *j, const char *member, const char *none)
{
	const char *s = pl_json_str(pl_json_get(j, member));

	return s != NULL ? s : none;
}

static void
print_challenge(const json_t *c)
{
	const json_t *verdicts = pl_json_get(c, "verdicts"), *v;
	const json_t *e = pl_json_get(c, "error");
	const char *server, *address;
	bool same;

	pl_cli_print("%s %s: %s\n", text_of(c, "domain", "?"),
	    text_of(c, "method", "?"), text_of(c, "state", "?"));
	if (!pl_json_is_null(pl_json_get(c, "record")))
		pl_cli_print("  %s by %s in %s\n", text_of(c, "record", "?"),
		    text_of(c, "account", "-"), text_of(c, "scope", "-"));
	for (size_t i = 0; i < pl_json_count(verdicts); i++) {
		v = pl_json_at(verdicts, i);
		server = text_of(v, "server", "?");
		address = text_of(v, "address", "?");
		same = strcmp(server, address) == 0;
		pl_cli_print("    %s%s%s: %s\n", server, same ? "" : " ",
		    same ? "" : address, text_of(v, "answer", "?"));
	}
	if (!pl_json_is_null(e))
		pl_cli_print("  error: %s\n", text_of(e, "text", "?"));
}

static void
print_report(const struct pl_cli *cli, json_t *report, bool whole)
{
	const json_t *list = pl_json_get(report, "challenges");

	if (cli->json) {
		pl_cli_print_json(report);
		return;
	}
	if (!cli->quiet)
		pl_cli_print("job %s: %s, %zu challenges\n",
		    text_of(report, "job", "?"),
		    text_of(report, "state", "?"), pl_json_count(list));
	for (size_t i = 0; whole && !cli->quiet && i < pl_json_count(list);
	    i++)
		print_challenge(pl_json_at(list, i));
	pl_json_free(report);
}

/* ---- submit ------------------------------------------------------------------------ */

static enum pl_code
submit_one(struct pl_client *c, const struct pl_job *job, json_t **report,
    struct pl_err *err)
{
	json_t *doc;
	enum pl_code code;

	code = pl_json_parse(&doc, job->doc, strlen(job->doc), job->id, err);
	return code != PL_OK ? code :
	    pl_client_submit(c, job->id, doc, report, err);
}

static int
submit_all(struct pl_cli *cli, struct pl_client *c, const struct pl_job *jobs,
    size_t n)
{
	struct pl_err err;
	json_t *report;
	int status = -1, one;

	for (size_t i = 0; i < n; i++) {
		pl_err_clear(&err);
		if (submit_one(c, &jobs[i], &report, &err) == PL_OK) {
			print_report(cli, report, false);
			one = 0;
		} else
			one = pl_cli_fail(cli, &err);
		status = status == -1 ? one : pl_status_join(status, one);
		if (err.code == PL_ENET || err.code == PL_EPROTO)
			break;
	}
	return status == -1 ? 0 : status;
}

static int
cmd_submit(struct pl_cli *cli, const struct pl_config *config)
{
	struct pl_client *c = NULL;
	struct pl_job *jobs;
	struct pl_err err;
	size_t n;
	int status;

	cli->jobs = cli->args[1];
	cli->notify = true;
	status = pl_cli_jobs(cli, &jobs, &n);
	if (status != -1)
		return status;
	if (pl_client_open(&c, config, &err) != PL_OK)
		status = pl_cli_fail(cli, &err);
	else
		status = submit_all(cli, c, jobs, n);
	for (size_t i = 0; i < n; i++)
		pl_job_clear(&jobs[i]);
	free(jobs);
	pl_client_close(c);
	return status;
}

/* ---- list ----------------------------------------------------------------------------- */

static void
print_job(const json_t *j)
{
	pl_cli_print("%s %s %s %lld challenges, uid %lld, %s\n",
	    text_of(j, "job", "?"), text_of(j, "state", "?"),
	    text_of(j, "phase", "?"),
	    (long long)pl_json_num(pl_json_get(j, "challenges")),
	    (long long)pl_json_num(pl_json_get(j, "uid")),
	    text_of(j, "created", "?"));
}

static int
cmd_list(struct pl_cli *cli, struct pl_client *c)
{
	json_t *answer, *list;
	struct pl_err err;
	char *text;

	if (pl_client_ask(c, pl_client_request("list", NULL), "jobs",
	    &answer, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	list = pl_json_get(answer, "jobs");
	for (size_t i = 0; i < pl_json_count(list); i++) {
		if (!cli->json) {
			print_job(pl_json_at(list, i));
			continue;
		}
		text = pl_json_text(pl_json_at(list, i));
		pl_cli_print("%s\n", text);
		free(text);
	}
	pl_json_free(answer);
	return 0;
}

/* ---- show, release, cancel -------------------------------------------------------------- */

static int
cmd_one(struct pl_cli *cli, struct pl_client *c, const char *what)
{
	json_t *answer;
	struct pl_err err;

	if (pl_client_ask(c, pl_client_request(what, cli->args[1]), "report",
	    &answer, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	print_report(cli, pl_client_member(answer, "report"),
	    strcmp(what, "show") == 0);
	return 0;
}

/* ---- wait --------------------------------------------------------------------------------- */

static int
cmd_wait(struct pl_cli *cli, const struct pl_config *config,
    struct pl_client **c)
{
	const char *id = cli->args[1];
	int64_t deadline = cli->timeout_ms == 0 ? 0 :
	    pl_mono_ms() + cli->timeout_ms;
	json_t *report;
	struct pl_err err;
	int status;

	if (pl_client_wait(c, config, id, deadline, &report, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	status = pl_report_exit(report, true);
	print_report(cli, report, true);
	return status;
}

/* ---- watch --------------------------------------------------------------------------------- */

static void
print_event(const struct pl_cli *cli, json_t *event)
{
	const json_t *e = pl_json_get(event, "error");

	if (cli->json) {
		pl_cli_print_json(event);
		fflush(stdout);
		return;
	}
	if (pl_json_get(event, "challenge") != NULL)
		pl_cli_print("%s %s %s %s: %s%s%s\n", text_of(event, "time",
		    "?"), text_of(event, "job", "?"), text_of(event, "domain",
		    "?"), text_of(event, "method", "?"), text_of(event,
		    "state", "?"), pl_json_is_null(e) ? "" : ": ",
		    text_of(e, "text", ""));
	else
		pl_cli_print("%s %s: %s, %s\n", text_of(event, "time", "?"),
		    text_of(event, "job", "?"), text_of(event, "state", "?"),
		    text_of(event, "phase", "?"));
	fflush(stdout);
	pl_json_free(event);
}

static int
cmd_watch(struct pl_cli *cli, struct pl_client *c)
{
	const char *id = cli->nargs > 1 ? cli->args[1] : NULL;
	int64_t deadline = cli->timeout_ms == 0 ? 0 :
	    pl_mono_ms() + cli->timeout_ms;
	json_t *answer;
	struct pl_err err;
	enum pl_code code;

	code = pl_client_ask(c, pl_client_request("watch", id), "watching",
	    &answer, &err);
	while (code == PL_OK) {
		pl_json_free(answer);
		code = pl_client_next(c, deadline, &answer, &err);
		if (code != PL_OK)
			break;
		print_event(cli, pl_client_member(answer, "event"));
		answer = NULL;
	}
	/* The time that was asked for is over: that is no error. */
	return code == PL_EABSENT ? 0 : pl_cli_fail(cli, &err);
}

/* ---- the command ------------------------------------------------------------------------------ */

static bool
takes_words(const struct pl_cli *cli, int least, int most)
{
	return cli->nargs >= least && cli->nargs <= most;
}

static int
talk(struct pl_cli *cli, const struct pl_config *config, const char *what)
{
	struct pl_client *c;
	struct pl_err err;
	int status;

	if (pl_client_open(&c, config, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	if (strcmp(what, "list") == 0)
		status = cmd_list(cli, c);
	else if (strcmp(what, "wait") == 0)
		status = cmd_wait(cli, config, &c);
	else if (strcmp(what, "watch") == 0)
		status = cmd_watch(cli, c);
	else
		status = cmd_one(cli, c, what);
	pl_client_close(c);
	return status;
}

int
pl_cmd_job(struct pl_cli *cli)
{
	static const char *const with_id[] = { "show", "wait", "release",
		"cancel", NULL };
	const char *what = cli->args[0];
	struct pl_config *config;
	bool good;
	int status;

	good = (strcmp(what, "list") == 0 && takes_words(cli, 1, 1)) ||
	    (strcmp(what, "watch") == 0 && takes_words(cli, 1, 2)) ||
	    (strcmp(what, "submit") == 0 && takes_words(cli, 2, 2)) ||
	    (pl_str_in(what, with_id) && takes_words(cli, 2, 2));
	if (!good)
		return pl_cli_usage(cli, "job: submit FILE, list, show ID, "
		    "wait ID, watch [ID], release ID or cancel ID expected");
	status = pl_cli_config(cli, &config);
	if (status != -1)
		return status;
	status = strcmp(what, "submit") == 0 ? cmd_submit(cli, config) :
	    talk(cli, config, what);
	pl_config_free(config);
	return status;
}
