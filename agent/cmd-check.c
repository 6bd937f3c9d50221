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
	const char *name_there;		/* where the proof would be published */
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

static bool
may_publish(const struct pl_account *a)
{
	return a != NULL && a->enabled &&
	    (a->desc->kinds & (1u << PL_TXT)) != 0;
}

static const struct pl_account *
route_account(const struct pl_config *c, const struct pl_route *r)
{
	const struct pl_account *a;

	for (size_t i = 0; r != NULL && i < r->naccounts; i++) {
		a = pl_config_account(c, r->accounts[i]);
		if (may_publish(a))
			return a;
	}
	return NULL;
}

/* The only account that holds the zone of a name; none is no error. */
static void
ask_accounts(struct pl_session *s, struct preflight *p, const char *name)
{
	const struct pl_config *c = s->config;
	struct pl_err err;

	for (size_t i = 0; i < c->naccounts; i++) {
		const struct pl_account *a = &c->accounts[i];
		char scope[PL_NAME_MAX];

		if (!may_publish(a))
			continue;
		pl_err_clear(&err);
		if (pl_engine_test(s->engine, a, name, scope, &err) ==
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
}

/* Where its aliases lead, the account of that name publishes. */
static void
follow_alias(struct pl_session *s, struct preflight *p, const char *where)
{
	const struct pl_config *c = s->config;
	const struct pl_account *a = route_account(c,
	    pl_config_route(c, where, PL_DNS_01));

	if (a != NULL) {
		p->account = a;
		p->by_route = true;
	}
	p->name_there = where;
	pl_err_clear(&p->account_err);
	pl_engine_test(s->engine, p->account, where, p->scope,
	    &p->account_err);
}

/* The account that would publish a DNS proof: by route, or the only one
 * that holds the zone. */
static void
find_account(struct pl_session *s, struct preflight *p)
{
	const struct pl_task *t = &p->run->tasks[0];
	const char *record = t->ch->record, *where = t->where;
	const struct pl_config *c = s->config;
	const struct pl_route *r = pl_config_route(c, t->ch->domain,
	    PL_DNS_01);
	bool follow;

	pl_err_clear(&p->account_err);
	p->name_there = record;
	p->account = route_account(c, r);
	p->by_route = p->account != NULL;
	if (r == NULL)
		ask_accounts(s, p, record);
	if (where == NULL || where[0] == '\0')
		where = record;
	follow = strcmp(where, record) != 0 &&
	    (r != NULL && r->follow != -1 ? r->follow != 0 :
	    p->account == NULL || p->account->follow);
	if (r != NULL && p->account == NULL)
		pl_fail(&p->account_err, PL_EINVAL,
		    "all accounts of its route are disabled");
	else if (p->account != NULL && p->account_err.code == PL_OK && follow)
		follow_alias(s, p, where);
	else if (p->by_route)
		pl_engine_test(s->engine, p->account, record, p->scope,
		    &p->account_err);
	else if (p->account == NULL && follow) {
		p->name_there = where;
		ask_accounts(s, p, where);
	}
	if (p->account == NULL && p->account_err.code == PL_OK &&
	    c->naccounts > 0)
		pl_fail(&p->account_err, PL_ENOZONE, "no route, and no "
		    "account holds its zone%s%s", strcmp(p->name_there, record)
		    != 0 ? ", nor that of " : "", strcmp(p->name_there, record)
		    != 0 ? p->name_there : "");
}

/* The name that the marker goes below: beside the proof's. */
static const char *
marker_parent(const struct preflight *p)
{
	const char *dot = strchr(p->name_there, '.');

	return p->name_there[0] == '_' && dot != NULL ? dot + 1 :
	    p->name_there;
}

/* Writes a marker record under a name that no CA uses, and removes it. */
static void
write_marker(struct pl_session *s, struct preflight *p)
{
	struct pl_challenge_args a = { .method = "dns-txt",
		.domain = marker_parent(p), .account = p->account->settings.account };
	struct pl_job job = { .id = pl_strdup("check"), .n = 1,
		.hold = PL_HOLD_VISIBLE };
	struct pl_job_run *run;
	struct pl_buf name;
	struct pl_err err;
	char value[33];

	job.challenges = pl_array(1, sizeof(*job.challenges));
	pl_buf_init(&name, PL_NAME_MAX);
	pl_buf_addf(&name, MARKER ".%s", a.domain);
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
	pl_session_print_looks(t);
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

/* A passing fault is told from what somebody has to change. */
static int
status_of(const struct preflight *p)
{
	const struct pl_err *errs[] = { &p->account_err, &p->write_err,
		&p->run->tasks[0].err };

	if (ready(p))
		return 0;
	for (size_t i = 0; i < PL_NELEM(errs); i++) {
		if (errs[i]->code == PL_EAUTH || errs[i]->code == PL_EINVAL)
			return pl_code_exit(errs[i]->code);
	}
	for (size_t i = 0; i < PL_NELEM(errs); i++) {
		if (errs[i]->code != PL_OK && !pl_code_retry(errs[i]->code))
			return pl_code_exit(PL_EREMOTE);
	}
	for (size_t i = 0; i < PL_NELEM(errs); i++) {
		if (errs[i]->code != PL_OK)
			return pl_code_exit(errs[i]->code);
	}
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
		/* placardd may hold a responder's ports: then the look tells
		 * whether it answers. */
		if (p[i].account != NULL && p[i].account_err.code != PL_ENOZONE &&
		    (p[i].account->desc->flags & PL_P_RESIDENT) != 0)
			pl_err_clear(&p[i].account_err);
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
