/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * placard plan: what placardd will renew in the days to come, what that takes
 * and what of it is missing.  Asks nobody but the book and the
 * configuration.
 */
#include "command.h"
#include "order.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS_USUAL 90
#define DAYS_MOST 3650
#define STEPS_MOST 200		/* of one order */

/* How a name is proven, and by whom. */
struct proof {
	char *accounts;			/* "lab, web1"; NULL: none */
	char *missing;			/* what is not there for it, or NULL */
	int64_t proven;			/* wall ms of the last time, 0: never */
};
struct subject {
	struct pl_order o;
	struct pl_renewal kept;
	const struct pl_controller *ctl;
	struct pl_renewing how;
	struct pl_product product;
	bool known;			/* is the product? */
	bool wanted, keep;
	struct proof *proofs;		/* one a name */
	char *blocked;			/* why there is no next one, or NULL */
	char *missing;			/* beside what names lack, or NULL */
};
struct action {
	struct subject *s;
	const char *what;		/* "renewal", "reissue", "none" */
	unsigned number;		/* of this order, from 1 */
	int64_t at, ends, until;	/* due; end of the old and the new one */
	int64_t before;			/* when the action before was, 0: none */
	char *problem;			/* why nothing will come of it, or NULL */
};
struct plan {
	struct pl_cli *cli;
	struct pl_session s;
	struct pl_book *book;
	struct subject **subjects;
	size_t nsubjects;
	struct action *actions;
	size_t n;
	int64_t now, until;
	bool lacks, hopeless, refused;
};

static void
subject_free(struct subject *s)
{
	for (size_t i = 0; s->proofs != NULL && i < s->o.nnames; i++) {
		free(s->proofs[i].accounts);
		free(s->proofs[i].missing);
	}
	free(s->proofs);
	free(s->blocked);
	free(s->missing);
	pl_order_clear(&s->o);
	pl_renewal_clear(&s->kept);
	free(s);
}

static void
plan_clear(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->actions[i].problem);
	for (size_t i = 0; i < p->nsubjects; i++)
		subject_free(p->subjects[i]);
	free(p->actions);
	free(p->subjects);
	pl_book_close(p->book);
	pl_session_close(&p->s);
}

/* Puts "; " and a text behind what there is. */
static void
add_text(char **to, const char *text)
{
	struct pl_buf b;

	pl_buf_init(&b, 8 * PL_LIM_LINE);
	if (*to != NULL)
		pl_buf_addf(&b, "%s; ", *to);
	pl_buf_adds(&b, text);
	free(*to);
	*to = pl_buf_take(&b);
}

/* ---- credentials ------------------------------------------------------------- */

/* A file or program that a secret is to come from; without reading it. */
static void
check_source(char **missing, const char *what, const char *path, int mode)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	if (access(path, mode) != 0) {
		pl_buf_addf(&b, "%s: %s: %s", what, path, strerror(errno));
		add_text(missing, b.data);
	}
	pl_buf_clear(&b);
}

static void
check_credentials(char **missing, const char *what,
    const struct pl_settings *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct pl_setting *one = &set->list[i];
		size_t n = strlen(one->name);

		if (one->n == 0)
			continue;
		if (n > 5 && strcmp(one->name + n - 5, "-file") == 0 &&
		    strcmp(one->name, "ca-file") != 0 &&
		    strcmp(one->name, "known-hosts-file") != 0)
			check_source(missing, what, one->values[0], R_OK);
		else if (n > 8 && strcmp(one->name + n - 8, "-command") == 0)
			check_source(missing, what, one->values[0], X_OK);
	}
}

static void
check_keys(struct plan *p, struct subject *s)
{
	char *directory;
	struct stat st;
	struct pl_buf b;

	if (s->keep && s->o.csr == NULL)
		add_text(&s->missing, "the book has no request of it whose "
		    "key could be kept");
	if (s->keep)
		return;
	directory = pl_config_keys(p->s.config, s->ctl);
	pl_buf_init(&b, PL_LIM_LINE);
	if (stat(directory, &st) == 0 && (!S_ISDIR(st.st_mode) ||
	    (st.st_mode & 077) != 0))
		pl_buf_addf(&b, "key-directory: %s: %s", directory,
		    S_ISDIR(st.st_mode) ? "others may look into it" :
		    "is no directory");
	else if (access(directory, W_OK | X_OK) != 0 && errno != ENOENT)
		pl_buf_addf(&b, "key-directory: %s: %s", directory,
		    strerror(errno));
	if (b.len > 0)
		add_text(&s->missing, b.data);
	pl_buf_clear(&b);
	free(directory);
}

/* ---- routes -------------------------------------------------------------------- */

/* A record as the CA asked for last, or as its kind does. */
static enum pl_code
likely(struct pl_challenge *ch, const struct subject *s, size_t i,
    struct pl_err *err)
{
	const struct pl_order_name *name = &s->o.names[i];
	const char *bare = name->name + (strncmp(name->name, "*.", 2) == 0 ?
	    2 : 0);
	struct pl_challenge_args a = { .domain = bare };
	struct pl_buf owner;
	enum pl_code code;
	bool txt = s->known && !pl_product_sectigo(&s->product);

	for (size_t k = 0; k < s->o.nchallenges; k++) {
		if (strcmp(s->o.challenges[k].domain, name->name) == 0 &&
		    s->o.challenges[k].kind == PL_CNAME)
			txt = false;
	}
	pl_buf_init(&owner, PL_LIM_LINE);
	pl_buf_addf(&owner, "_dnsauth.%s", bare);
	if (name->method != PL_DCV_DNS) {
		a.method = "http-file";
		a.path = "/.well-known/pki-validation/fileauth.txt";
		a.content = "plan";
		a.content_len = 4;
	} else {
		a.method = txt ? "dns-txt" : "dns-cname";
		a.name = owner.data;
		a.value = txt ? "plan" : "plan.invalid";
	}
	code = pl_challenge_make(ch, &a, err);
	pl_buf_clear(&owner);
	return code;
}

static void
take_accounts(struct proof *f, const struct pl_task *t)
{
	char what[200];

	if (t->err.code != PL_OK)
		add_text(&f->missing, t->err.text);
	for (size_t i = 0; i < t->n; i++) {
		const struct pl_account *a = t->targets[i].account;

		add_text(&f->accounts, a->settings.account);
		snprintf(what, sizeof(what), "account %s",
		    a->settings.account);
		/* One of several that are asked is not the one that counts. */
		if (!t->targets[i].probing || t->n == 1)
			check_credentials(&f->missing, what, &a->settings);
	}
}

/* Who would publish for each name, as the engine finds it. */
static void
find_routes(struct plan *p, struct subject *s)
{
	struct pl_job job = { .id = pl_strdup("plan") };
	size_t *of = pl_array(s->o.nnames + 1, sizeof(*of));
	struct pl_job_run *run;
	struct pl_err err;

	job.challenges = pl_array(s->o.nnames + 1, sizeof(*job.challenges));
	for (size_t i = 0; i < s->o.nnames; i++) {
		if (s->o.names[i].method < 0)
			add_text(&s->proofs[i].missing, "how its control is "
			    "proven is not known");
		if (s->o.names[i].method < 0 ||
		    s->o.names[i].method == PL_DCV_EMAIL)
			continue;
		if (likely(&job.challenges[job.n], s, i, &err) != PL_OK) {
			add_text(&s->proofs[i].missing, err.text);
			continue;
		}
		of[job.n++] = i;
	}
	run = pl_engine_plan(p->s.engine, &job);
	for (size_t i = 0; i < run->job.n; i++)
		take_accounts(&s->proofs[of[i]], &run->tasks[i]);
	pl_engine_forget(p->s.engine, run);
	free(of);
}

/* ---- what is to come -------------------------------------------------------------- */

static struct action *
add_action(struct plan *p, struct subject *s, const char *what, int64_t at)
{
	p->actions = pl_grow(p->actions, p->n + 1, sizeof(*p->actions));
	p->actions[p->n] = (struct action){ .s = s, .what = what, .at = at,
		.number = 1 };
	return &p->actions[p->n++];
}

/* The next certificate, and those behind it. */
static void
foresee(struct plan *p, struct subject *s)
{
	const struct pl_rules *rules = p->s.config->rules;
	struct pl_term t = pl_renew_term(&s->o);
	int64_t at = pl_renew_due(&t, &s->how), before = 0;
	bool by_order, first = true;
	struct pl_buf why;

	/* Overdue, or waiting for the next try. */
	if (at < p->now)
		at = p->now;
	if (s->kept.attempt == s->o.not_after && s->kept.next > at)
		at = s->kept.next;
	for (unsigned i = 1; at < p->until && i <= STEPS_MOST; i++) {
		struct action *a;

		by_order = (first && s->o.state == PL_O_EXPIRED) ||
		    pl_renew_by_order(&t, &s->how, at);
		a = add_action(p, s, by_order ? "renewal" : "reissue", at);
		a->number = i;
		a->ends = t.not_after;
		a->before = before;
		pl_buf_init(&why, PL_LIM_LINE);
		if (pl_renew_hopeless(&why, &s->o, s->known ? &s->product :
		    NULL, rules, at) > 0)
			add_text(&a->problem, why.data);
		pl_buf_clear(&why);
		if (first && s->blocked != NULL)
			add_text(&a->problem, s->blocked);
		if (a->problem != NULL)
			return;
		first = false;
		before = at;
		t = pl_renew_next(&t, rules, s->o.months, by_order, at);
		a->until = t.not_after;
		at = pl_renew_due(&t, &s->how);
	}
}

/* What came of the last try. */
static void
look_back(struct plan *p, struct subject *s)
{
	enum pl_order_state state;
	struct pl_order n;
	struct pl_buf b;
	struct pl_err err;
	int64_t id;

	if (s->kept.attempt == s->o.not_after && s->kept.error != NULL)
		add_text(&s->blocked, s->kept.error);
	if (s->kept.attempt == s->o.not_after && s->o.error != NULL)
		add_text(&s->blocked, s->o.error);
	if (pl_book_successor(p->book, &s->o, &id, &state, &err) != PL_OK ||
	    id == 0 || pl_book_get(p->book, id, &n, &err) != PL_OK)
		return;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "its renewal L%" PRId64 " is %s%s%s%s", id,
	    pl_order_state_name(state), n.error != NULL ? ": " : "",
	    n.error != NULL ? n.error : "", n.error != NULL &&
	    pl_renew_no_credit(n.error) ? " (the store's account has no "
	    "credit)" : "");
	add_text(&s->blocked, b.data);
	pl_buf_clear(&b);
	pl_order_clear(&n);
}

static int
take_up(struct plan *p, int64_t id)
{
	const char *only = pl_cli_opt(p->cli, "controller");
	struct subject *s = pl_alloc(sizeof(*s));
	struct pl_err err;
	char what[200];

	pl_err_clear(&err);
	if (pl_book_get(p->book, id, &s->o, &err) != PL_OK ||
	    pl_book_renewal(p->book, id, &s->kept, &err) != PL_OK) {
		subject_free(s);
		return pl_cli_fail(p->cli, &err);
	}
	if ((only != NULL && strcmp(only, s->o.controller) != 0) ||
	    pl_config_controller(&s->ctl, p->s.config, s->o.controller,
	    &err) != PL_OK) {
		subject_free(s);
		return -1;
	}
	p->subjects = pl_grow(p->subjects, p->nsubjects + 1,
	    sizeof(*p->subjects));
	p->subjects[p->nsubjects++] = s;
	pl_renew_how(&s->how, s->ctl, &s->kept);
	s->wanted = s->how.before >= 0 && (s->o.ours || s->kept.before > 0);
	s->keep = s->kept.key != NULL ? strcmp(s->kept.key, "keep") == 0 :
	    s->ctl->renew_keep;
	s->known = s->o.product != NULL &&
	    pl_product_find(&s->product, s->o.product, NULL) == PL_OK;
	s->proofs = pl_array(s->o.nnames + 1, sizeof(*s->proofs));
	if (!s->wanted) {
		if (s->o.not_after < p->until)
			add_action(p, s, "none", s->o.not_after)->ends =
			    s->o.not_after;
		return -1;
	}
	look_back(p, s);
	foresee(p, s);
	if (p->n == 0 || p->actions[p->n - 1].s != s)
		return -1;
	for (size_t i = 0; i < s->o.nnames; i++)
		s->proofs[i].proven = pl_book_proof(p->book, &s->o,
		    s->o.names[i].name);
	snprintf(what, sizeof(what), "controller %s", s->o.controller);
	check_credentials(&s->missing, what, &s->ctl->settings);
	check_keys(p, s);
	if (s->known && pl_product_has_domains(&s->product))
		find_routes(p, s);
	return -1;
}

/* ---- telling ------------------------------------------------------------------------ */

/* Taken as given in the action before, unless that could do without. */
static enum pl_proof
proof_at(const struct plan *p, const struct action *a, size_t i)
{
	const struct pl_rules *rules = p->s.config->rules;
	const struct subject *s = a->s;
	int64_t proven = s->proofs[i].proven;

	if (a->before != 0 && pl_renew_proof(rules, s->o.names[i].method,
	    proven, a->before) != PL_PROOF_PERHAPS)
		proven = a->before;
	return pl_renew_proof(rules, s->o.names[i].method, proven, a->at);
}

static json_t *
when(int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0)
		return pl_json_null();
	pl_time_format(text, wall_ms / 1000 * 1000);
	return pl_json_string(text);
}

static json_t *
proofs_json(const struct plan *p, const struct action *a)
{
	const struct subject *s = a->s;
	json_t *list = pl_json_array();

	for (size_t i = 0; i < s->o.nnames; i++) {
		const struct pl_order_name *name = &s->o.names[i];
		json_t *j = pl_json_object();

		pl_json_sets(j, "name", name->name);
		pl_json_sets(j, "dcv", name->method < 0 ? NULL :
		    pl_dcv_name((enum pl_dcv)name->method));
		pl_json_sets(j, "proof", pl_proof_name(proof_at(p, a, i)));
		pl_json_set(j, "proven", when(s->proofs[i].proven));
		pl_json_sets(j, "accounts", s->proofs[i].accounts);
		pl_json_sets(j, "missing", s->proofs[i].missing);
		pl_json_append(list, j);
	}
	return list;
}

static void
tell_json(const struct plan *p, const struct action *a)
{
	const struct subject *s = a->s;
	json_t *j = pl_json_object();
	char id[64], local[PL_ORDER_ID];

	pl_order_id(id, sizeof(id), &s->o);
	pl_order_local_id(local, s->o.id);
	pl_json_sets(j, "id", id);
	pl_json_sets(j, "local", local);
	pl_json_sets(j, "controller", s->o.controller);
	pl_json_sets(j, "product", s->o.product);
	pl_json_sets(j, "action", a->what);
	pl_json_seti(j, "number", a->number);
	pl_json_set(j, "due", strcmp(a->what, "none") != 0 ? when(a->at) :
	    pl_json_null());
	pl_json_set(j, "ends", when(a->ends));
	pl_json_set(j, "until", when(a->until));
	pl_json_sets(j, "key", s->keep ? "keep" : "new");
	pl_json_set(j, "proofs", proofs_json(p, a));
	pl_json_sets(j, "missing", s->missing);
	pl_json_sets(j, "problem", a->problem);
	pl_cli_print_json(j);
}

static void
tell_text(const struct plan *p, const struct action *a)
{
	const struct subject *s = a->s;
	char id[64], at[PL_TIME_TEXT], ends[PL_TIME_TEXT];

	pl_order_id(id, sizeof(id), &s->o);
	pl_time_format(at, a->at);
	pl_time_format(ends, a->ends);
	pl_cli_print("%.10s %-8s %-10s %s%s, ends %.10s\n", at, a->what, id,
	    s->o.nnames > 0 ? s->o.names[0].name : "-",
	    s->o.nnames > 1 ? " ..." : "", ends);
	for (size_t i = 0; strcmp(a->what, "none") != 0 && i < s->o.nnames;
	    i++) {
		const struct proof *f = &s->proofs[i];

		pl_cli_print("    %s: %s, %s%s%s\n", s->o.names[i].name,
		    s->o.names[i].method < 0 ? "not known" :
		    pl_dcv_name((enum pl_dcv)s->o.names[i].method),
		    pl_proof_name(proof_at(p, a, i)),
		    f->accounts != NULL ? ", by " : "",
		    f->accounts != NULL ? f->accounts : "");
		if (f->missing != NULL)
			pl_cli_print("    missing: %s: %s\n",
			    s->o.names[i].name, f->missing);
	}
	if (s->missing != NULL)
		pl_cli_print("    missing: %s\n", s->missing);
	if (a->problem != NULL)
		pl_cli_print("    problem: %s\n", a->problem);
}

static void
tell(struct plan *p, const struct action *a)
{
	const struct subject *s = a->s;

	p->hopeless = p->hopeless || a->problem != NULL;
	p->lacks = p->lacks || s->missing != NULL;
	for (size_t i = 0; i < s->o.nnames; i++)
		p->lacks = p->lacks || s->proofs[i].missing != NULL;
	if (p->cli->json)
		tell_json(p, a);
	else if (!p->cli->quiet)
		tell_text(p, a);
}

static int
by_time(const void *a, const void *b)
{
	const struct action *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->s->o.id > y->s->o.id) - (x->s->o.id < y->s->o.id);
}

/* ---- the command ----------------------------------------------------------------------- */

static int
open_plan(struct plan *p)
{
	const char *days = pl_cli_opt(p->cli, "days");
	struct pl_err err;
	int64_t n = DAYS_USUAL;
	int status;

	pl_err_clear(&err);
	if (days != NULL && pl_int_parse(&n, days, 0, DAYS_MOST, &err) !=
	    PL_OK)
		return pl_cli_usage(p->cli, "--days: %s", err.text);
	p->now = pl_wall_ms();
	p->until = p->now + n * PL_DAY_MS + 1;
	status = pl_session_open(&p->s, p->cli, PL_JOURNAL_NONE, true, false);
	if (status != -1)
		return status;
	if (pl_book_open(&p->book, p->s.config->state_directory, false,
	    &err) != PL_OK)
		return pl_cli_fail(p->cli, &err);
	if (p->book != NULL && pl_config_rules(p->s.config, &err) != PL_OK)
		fprintf(stderr, "placard: ca-rules: %s\n", err.text);
	return -1;
}

int
pl_cmd_plan(struct pl_cli *cli)
{
	struct plan p = { .cli = cli, .s = { .sigfd = -1 } };
	struct pl_err err;
	int64_t *ids = NULL;
	size_t n = 0;
	int status = open_plan(&p);

	pl_err_clear(&err);
	if (status == -1 && p.book != NULL && pl_book_renewable(p.book,
	    p.now, INT64_MAX, true, &ids, &n, &err) != PL_OK)
		status = pl_cli_fail(cli, &err);
	for (size_t i = 0; i < n && status == -1; i++)
		status = take_up(&p, ids[i]);
	free(ids);
	if (status == -1) {
		if (p.n > 0)
			qsort(p.actions, p.n, sizeof(*p.actions), by_time);
		for (size_t i = 0; i < p.n; i++)
			tell(&p, &p.actions[i]);
		status = p.lacks && p.hopeless ? 7 : p.lacks ?
		    pl_code_exit(PL_EINVAL) : p.hopeless ?
		    pl_code_exit(PL_EREMOTE) : 0;
	}
	plan_clear(&p);
	return status;
}
