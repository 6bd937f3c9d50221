/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <sys/signalfd.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAW_MS 100
#define TRIES 5

static void
on_signal(void *arg)
{
	struct pl_session *s = arg;
	struct signalfd_siginfo si;

	if (read(s->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	/* The second one ends at once: the journal knows what is left. */
	if (s->stop != 0)
		_exit(128 + (int)si.ssi_signo);
	s->stop = (int)si.ssi_signo;
}

void
pl_session_signals(struct pl_session *s)
{
	if (s->sigfd != -1)
		pl_loop_watch(pl_engine_loop(s->engine), s->sigfd, false,
		    on_signal, s);
}

static void
watch_signals(struct pl_session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	pl_session_signals(s);
}

/* Which servers a task still waits for, for the progress line. */
static void
add_missing(struct pl_buf *b, const struct pl_task *t)
{
	for (size_t i = 0; i < t->nverdicts && b->len < 50; i++) {
		if (t->verdicts[i].answer != PL_ANS_PRESENT)
			pl_buf_addf(b, " %s", t->verdicts[i].server);
	}
}

static void
draw(struct pl_session *s, const struct pl_task *t)
{
	int64_t now = pl_mono_ms();
	struct pl_buf b;

	if (!s->progress || now - s->drawn < DRAW_MS)
		return;
	s->drawn = now;
	pl_buf_init(&b, PL_LIM_LINE);
	if (t->looking)
		add_missing(&b, t);
	fprintf(stderr, "\r%zu of %zu published, %zu visible%s%.60s\033[K",
	    s->published, s->total, s->visible,
	    b.len > 0 ? ", waiting for" : "", b.data);
	pl_buf_clear(&b);
}

static void
on_changed(void *arg, const struct pl_task *t, enum pl_state before)
{
	struct pl_session *s = arg;

	if (before == PL_QUEUED && t->state == PL_PUBLISHED)
		s->published++;
	if (before != PL_VISIBLE && t->state == PL_VISIBLE)
		s->visible++;
	draw(s, t);
}

int
pl_session_open(struct pl_session *s, struct pl_cli *cli,
    enum pl_journal_need need, bool wait, bool files)
{
	struct pl_engine_opts o = { 0 };
	struct pl_err err;
	enum pl_code code;
	int status;

	*s = (struct pl_session){ .cli = cli, .sigfd = -1 };
	pl_err_clear(&err);
	status = pl_cli_config(cli, &s->config);
	if (status != -1)
		return status;
	if (need != PL_JOURNAL_NONE) {
		code = pl_journal_open(&s->journal,
		    s->config->state_directory, need == PL_JOURNAL_WRITE,
		    &err);
		if (code != PL_OK)
			return pl_cli_fail(cli, &err);
	}
	o.config = s->config;
	o.journal = s->journal;
	o.log = &cli->log;
	o.account = cli->account;
	o.ttl = cli->ttl;
	/* A single file challenge is fetched from --server. */
	if (files)
		o.http_servers = (const char *const *)cli->servers;
	else
		o.servers = (const char *const *)cli->servers;
	o.resolvers = (const char *const *)cli->resolvers;
	o.wait = wait;
	o.ca = cli->ca;
	o.account_uri = cli->account_uri != NULL ? cli->account_uri :
	    cli->ch.account_url;
	o.tries = TRIES;
	o.stop = &s->stop;
	o.life = cli->life;
	o.sockets = cli->sockets;
	o.changed = on_changed;
	o.ctx = s;
	code = pl_engine_new(&s->engine, &o, &err);
	if (code != PL_OK)
		return pl_cli_fail(cli, &err);
	s->progress = !cli->quiet && !cli->json && isatty(2) == 1;
	watch_signals(s);
	return -1;
}

void
pl_session_close(struct pl_session *s)
{
	pl_engine_free(s->engine);
	pl_journal_close(s->journal);
	pl_config_free(s->config);
	if (s->sigfd != -1)
		close(s->sigfd);
}

enum pl_code
pl_session_work(struct pl_session *s, struct pl_err *err)
{
	enum pl_code code;

	pl_err_clear(err);
	code = pl_engine_work(s->engine, &s->stop, err);
	if (s->progress && s->drawn != 0) {
		fputs("\r\033[K", stderr);
		s->drawn = 0;
	}
	return code;
}

int64_t
pl_session_timeout(const struct pl_session *s)
{
	return s->cli->timeout_ms > 0 ? s->cli->timeout_ms :
	    s->config->verify.timeout_ms;
}

int
pl_status_join(int a, int b)
{
	if (a == b || b == 0)
		return a == b ? a : 7;
	if (a == 8 || b == 8)
		return 8;
	return a == 0 || a == 7 || b == 7 ? 7 : (a < b ? a : b);
}

static void
print_verdicts(const struct pl_task *t)
{
	for (size_t i = 0; i < t->nverdicts; i++) {
		const struct pl_verdict *v = &t->verdicts[i];

		pl_cli_print("    %s %s: %s, %u ms%s%s\n", v->server,
		    v->address, pl_answer_name(v->answer), v->ms,
		    v->note != NULL ? ": " : "",
		    v->note != NULL ? v->note : "");
	}
}

static void
print_task(const struct pl_task *t)
{
	pl_cli_print("%s %s: %s\n", t->ch->shown,
	    pl_method_name(t->ch->method), pl_state_name(t->state));
	if (t->ch->record != NULL)
		pl_cli_print("  %s %s", t->ch->kind == PL_FILE ? "file" :
		    pl_kind_name(t->ch->kind), t->ch->record);
	for (size_t i = 0; i < t->n; i++) {
		const struct pl_target *g = &t->targets[i];

		pl_cli_print("%s%s", i == 0 ? " by " : ", ",
		    g->account->settings.account);
		if (g->scope != NULL && t->ch->kind != PL_FILE)
			pl_cli_print(" in %s", g->scope);
		if (g->name != NULL && strcmp(g->name, t->ch->record) != 0)
			pl_cli_print(" at %s", g->name);
	}
	if (t->ch->record != NULL)
		pl_cli_print("\n");
	print_verdicts(t);
	for (size_t i = 0; i < t->nfindings; i++)
		pl_cli_print("    %s, %s: %s\n",
		    pl_mark_name(t->findings[i].mark), t->findings[i].topic,
		    t->findings[i].text);
	if (t->err.code != PL_OK)
		pl_cli_print("  error: %s\n", t->err.text);
}

/* As pl_run_json, but a challenge at a time: the tree of ten thousand of them
 * takes more room than all the rest. */
static void
print_run_json(const struct pl_job_run *run)
{
	json_t *j = pl_json_object();
	char *text;

	pl_json_sets(j, "job", run->job.id);
	pl_json_sets(j, "state", pl_state_name(pl_run_state(run)));
	text = pl_json_text(j);
	pl_cli_print("%.*s,\"challenges\":[", (int)strlen(text) - 1, text);
	free(text);
	pl_json_free(j);
	for (size_t i = 0; i < run->job.n; i++) {
		j = pl_task_json(&run->tasks[i]);
		text = pl_json_text(j);
		pl_cli_print("%s%s", i > 0 ? "," : "", text);
		free(text);
		pl_json_free(j);
	}
	pl_cli_print("]}\n");
}

void
pl_session_report(struct pl_session *s, const struct pl_job_run *run)
{
	size_t bad = 0;

	if (s->cli->json) {
		print_run_json(run);
		return;
	}
	for (size_t i = 0; i < run->job.n; i++) {
		const struct pl_task *t = &run->tasks[i];

		if (!s->cli->quiet)
			print_task(t);
		if (t->err.code == PL_OK)
			continue;
		/* A thousand times the same sentence helps nobody. */
		if (++bad <= 20)
			fprintf(stderr, "placard: %s\n", t->err.text);
	}
	if (bad > 20)
		fprintf(stderr, "placard: and %zu more challenges with "
		    "errors\n", bad - 20);
}
