/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Pre-flight: for each name its route and account, what the verifier says of
 * delegation, servers, DNSSEC, CAA and HTTP, and whether the account may
 * write there.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MARKER "_placard-check"

/* What is known of one name. */
struct preflight {
	const char *name;
	const struct pl_account *account;
	char scope[PL_NAME_MAX];
	struct pl_err account_err;
	bool by_route;
	bool wrote;
	struct pl_err write_err;
	struct pl_job_run *run;		/* tasks: dns-01, and http-01 where it may be one */
};

static enum pl_code
add_challenge(struct pl_job *job, const char *name, enum pl_method m,
    struct pl_err *err)
{
	char text[64];
	struct pl_challenge_args a = { .method = pl_method_name(m),
		.domain = name };

	/* 43 characters, as dns-01 wants them. */
	pl_random_name(text, 43);
	if (m == PL_DNS_01)
		a.value = text;
	else {
		a.token = "placard-check";
		a.key_authorization = "placard-check.placard-check";
	}
	return pl_challenge_make(&job->challenges[job->n++], &a, err);
}

/* A wildcard cannot be proven by a file: only its DNS is looked at. */
static enum pl_code
make_job(struct pl_job *job, const char *name, struct pl_err *err)
{
	enum pl_code code;

	*job = (struct pl_job){ .id = pl_strdup("check") };
	job->challenges = pl_array(2, sizeof(*job->challenges));
	code = add_challenge(job, name, PL_DNS_01, err);
	if (code == PL_OK && strncmp(name, "*.", 2) != 0)
		code = add_challenge(job, name, PL_HTTP_01, err);
	return code;
}

/* The account that would publish a DNS proof: by route, or the only one
 * that holds the zone. */
/*
 * A responder is not asked, because its sockets may be placardd's: the look
 * has told whether somebody answers, here it is only said whose zone it is.
 */
static enum pl_code
ask_responder(const struct pl_account *a, const struct pl_task *dns,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	const struct pl_setting *zones = pl_setting_find(&a->settings,
	    "zones");

	scope[0] = '\0';
	for (size_t i = 0; zones != NULL && dns->zone != NULL &&
	    i < zones->n; i++)
		if (strcasecmp(zones->values[i], dns->zone) == 0) {
			snprintf(scope, PL_NAME_MAX, "%s", dns->zone);
			return PL_OK;
		}
	return pl_fail(err, PL_ENOZONE, "%s: leads to none of the zones of "
	    "account %s; placard delegate prints the line for it",
	    dns->ch->record, a->settings.account);
}

static enum pl_code
ask_account(struct pl_session *s, const struct pl_account *a,
    const struct pl_task *dns, char scope[PL_NAME_MAX], struct pl_err *err)
{
	if ((a->desc->flags & PL_P_RESIDENT) != 0)
		return ask_responder(a, dns, scope, err);
	return pl_engine_test(s->engine, a, dns->ch->record, scope, err);
}

static void
find_account(struct pl_session *s, struct preflight *p)
{
	const struct pl_challenge *ch = p->run->tasks[0].ch;
	const struct pl_config *c = s->config;
	const struct pl_route *r = pl_config_route(c, ch->domain, PL_DNS_01);
	struct pl_err err;

	pl_err_clear(&p->account_err);
	if (r != NULL && r->naccounts > 0) {
		p->by_route = true;
		p->account = pl_config_account(c, r->accounts[0]);
		ask_account(s, p->account, &p->run->tasks[0], p->scope,
		    &p->account_err);
		return;
	}
	for (size_t i = 0; i < c->naccounts; i++) {
		const struct pl_account *a = &c->accounts[i];
		char scope[PL_NAME_MAX];

		if (!a->enabled || (a->desc->kinds & (1u << PL_TXT)) == 0)
			continue;
		pl_err_clear(&err);
		if (ask_account(s, a, &p->run->tasks[0], scope, &err) ==
		    PL_ENOZONE)
			continue;
		if (p->account != NULL) {
			pl_fail(&p->account_err, PL_EINVAL, "no route, and "
			    "accounts %s and %s both may hold the zone",
			    p->account->settings.account,
			    a->settings.account);
			return;
		}
		p->account = a;
		p->account_err = err;
		memcpy(p->scope, scope, sizeof(scope));
	}
	if (p->account == NULL && c->naccounts > 0)
		pl_fail(&p->account_err, PL_ENOZONE,
		    "no route, and no account holds its zone");
}

/* Writes a marker record under a name that no CA uses, and removes it. */
static void
write_marker(struct pl_session *s, struct preflight *p)
{
	const struct pl_challenge *ch = p->run->tasks[0].ch;
	struct pl_challenge_args a = { .method = "dns-txt",
		.domain = ch->domain, .account = p->account->settings.account };
	struct pl_job job = { .id = pl_strdup("check"), .n = 1,
		.hold = PL_HOLD_VISIBLE };
	struct pl_job_run *run;
	struct pl_buf name;
	struct pl_err err;
	char value[33];

	job.challenges = pl_array(1, sizeof(*job.challenges));
	pl_buf_init(&name, PL_NAME_MAX);
	pl_buf_addf(&name, MARKER ".%s", ch->domain);
	pl_random_name(value, 32);
	a.name = name.data;
	a.value = value;
	if (pl_challenge_make(&job.challenges[0], &a, &p->write_err) != PL_OK) {
		job.n = 0;
		pl_job_clear(&job);
		pl_buf_clear(&name);
		return;
	}
	pl_buf_clear(&name);
	run = pl_engine_present(s->engine, &job, pl_session_timeout(s));
	if (pl_session_work(s, &err) != PL_OK)
		p->write_err = err;
	p->wrote = run->tasks[0].state == PL_PUBLISHED;
	if (p->write_err.code == PL_OK)
		p->write_err = run->tasks[0].err;
	pl_engine_remove(s->engine, run, pl_session_timeout(s));
	pl_session_work(s, &err);
	if (p->wrote && run->tasks[0].state != PL_REMOVED)
		p->write_err = run->tasks[0].err;
}

static bool
ready(const struct preflight *p)
{
	const struct pl_task *dns = &p->run->tasks[0];

	if (p->account_err.code != PL_OK || p->write_err.code != PL_OK)
		return false;
	for (size_t i = 0; i < dns->nfindings; i++) {
		if (dns->findings[i].mark == PL_MARK_BAD)
			return false;
	}
	return dns->err.code == PL_OK;
}

/* ---- output ------------------------------------------------------------------- */

static json_t *
look_json(const struct pl_task *t)
{
	json_t *j = pl_json_object(), *task = pl_task_json(t),
	    *list = pl_json_array(), *f;

	pl_json_sets(j, "zone", t->zone);
	pl_json_set(j, "servers", pl_json_share(pl_json_get(task,
	    "verdicts")));
	for (size_t i = 0; i < t->nfindings; i++) {
		f = pl_json_object();
		pl_json_sets(f, "topic", t->findings[i].topic);
		pl_json_sets(f, "mark", pl_mark_name(t->findings[i].mark));
		pl_json_sets(f, "text", t->findings[i].text);
		pl_json_append(list, f);
	}
	pl_json_set(j, "findings", list);
	pl_json_set(j, "error", pl_json_share(pl_json_get(task, "error")));
	pl_json_free(task);
	return j;
}

static void
print_json(const struct preflight *p)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "name", p->name);
	pl_json_setb(j, "ready", ready(p));
	pl_json_sets(j, "account", p->account != NULL ?
	    p->account->settings.account : NULL);
	pl_json_sets(j, "scope", p->scope[0] != '\0' ? p->scope : NULL);
	pl_json_sets(j, "account-error", p->account_err.code != PL_OK ?
	    p->account_err.text : NULL);
	if (p->wrote || p->write_err.code != PL_OK) {
		pl_json_setb(j, "wrote", p->wrote);
		pl_json_sets(j, "write-error", p->write_err.code != PL_OK ?
		    p->write_err.text : NULL);
	}
	pl_json_set(j, "dns", look_json(&p->run->tasks[0]));
	if (p->run->job.n > 1)
		pl_json_set(j, "http", look_json(&p->run->tasks[1]));
	pl_cli_print_json(j);
}

static void
print_look(const char *what, const struct pl_task *t)
{
	pl_cli_print("  %-8s %s%s\n", what,
	    t->err.code == PL_OK ? "answers" : t->err.text,
	    t->err.code == PL_OK && t->nverdicts == 0 ? ", nobody asked" : "");
	for (size_t i = 0; i < t->nverdicts; i++) {
		const struct pl_verdict *v = &t->verdicts[i];

		pl_cli_print("    %s %s: %s, %u ms%s%s\n", v->server,
		    v->address, pl_answer_name(v->answer), v->ms,
		    v->note != NULL ? ": " : "",
		    v->note != NULL ? v->note : "");
	}
	for (size_t i = 0; i < t->nfindings; i++)
		pl_cli_print("    %s, %s: %s\n",
		    pl_mark_name(t->findings[i].mark), t->findings[i].topic,
		    t->findings[i].text);
}

static void
print_text(const struct preflight *p)
{
	const struct pl_task *dns = &p->run->tasks[0];

	pl_cli_print("%s: %s\n", p->name, ready(p) ? "ready" : "not ready");
	if (p->account != NULL)
		pl_cli_print("  account  %s (%s)%s\n",
		    p->account->settings.account, p->account->desc->name,
		    p->by_route ? ", by route" : ", asked");
	if (p->account_err.code != PL_OK)
		pl_cli_print("  account  %s\n", p->account_err.text);
	pl_cli_print("  zone     %s%s%s\n", dns->zone != NULL ? dns->zone :
	    "not found", p->scope[0] != '\0' ? ", the account has " : "",
	    p->scope);
	if (p->wrote)
		pl_cli_print("  write    a marker was written and removed\n");
	if (p->write_err.code != PL_OK)
		pl_cli_print("  write    %s\n", p->write_err.text);
	print_look("dns", dns);
	if (p->run->job.n > 1)
		print_look("http", &p->run->tasks[1]);
}

static int
status_of(const struct preflight *p)
{
	if (ready(p))
		return 0;
	if (p->account_err.code == PL_EAUTH || p->write_err.code == PL_EAUTH)
		return pl_code_exit(PL_EAUTH);
	return pl_code_exit(PL_EREMOTE);
}

static int
check_all(struct pl_session *s, struct preflight *p, size_t n)
{
	struct pl_err err;
	int status = -1, one;

	if (pl_session_work(s, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	if (s->stop != 0)
		return pl_code_exit(PL_ECANCEL);
	for (size_t i = 0; i < n; i++) {
		find_account(s, &p[i]);
		if (s->cli->write && p[i].account != NULL &&
		    p[i].account_err.code == PL_OK)
			write_marker(s, &p[i]);
		if (s->cli->json)
			print_json(&p[i]);
		else
			print_text(&p[i]);
		one = status_of(&p[i]);
		status = status == -1 ? one : pl_status_join(status, one);
	}
	return status;
}

int
pl_cmd_check(struct pl_cli *cli)
{
	size_t n = (size_t)cli->nargs;
	struct preflight *p = pl_array(n, sizeof(*p));
	struct pl_session s;
	struct pl_job job;
	struct pl_err err;
	int status;

	status = pl_session_open(&s, cli, cli->write ? PL_JOURNAL_WRITE :
	    PL_JOURNAL_NONE, false, false);
	if (status == -1)
		pl_engine_residents(s.engine);
	for (size_t i = 0; status == -1 && i < n; i++) {
		pl_err_clear(&err);
		p[i].name = cli->args[i];
		if (make_job(&job, p[i].name, &err) != PL_OK) {
			job.n--;
			pl_job_clear(&job);
			status = pl_cli_usage(cli, "%s", err.text);
			break;
		}
		p[i].run = pl_engine_verify(s.engine, &job,
		    pl_session_timeout(&s), PL_LOOK_CHECK);
	}
	if (status == -1)
		status = check_all(&s, p, n);
	pl_session_close(&s);
	free(p);
	return status;
}
