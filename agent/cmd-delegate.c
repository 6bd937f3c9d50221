/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The one-time lines that lead challenges to the responder's zone: an alias
 * for each name, and the delegation of the zone itself.
 */
#include "command.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL "_acme-challenge."
#define TTL 3600

struct delegation {
	char *name;		/* the domain, without "*." */
	char *owner;		/* where the alias has to be */
	char *target;		/* where it leads; NULL: no alias is needed */
};

/* ---- which responder ----------------------------------------------------- */

static const struct pl_account *
find_responder(const struct pl_cli *cli, const struct pl_config *c,
    struct pl_err *err)
{
	const struct pl_account *found = NULL, *a;

	for (size_t i = 0; i < c->naccounts; i++) {
		a = &c->accounts[i];
		if (!a->enabled || strcmp(a->desc->name, "responder") != 0 ||
		    pl_setting(&a->settings, "zones") == NULL)
			continue;
		if (cli->account != NULL &&
		    strcmp(cli->account, a->settings.account) != 0)
			continue;
		if (found != NULL) {
			pl_fail(err, PL_EINVAL, "accounts %s and %s both have "
			    "zones: say which with --account",
			    found->settings.account, a->settings.account);
			return NULL;
		}
		found = a;
	}
	if (found == NULL)
		pl_fail(err, PL_EINVAL, "%s%sno enabled account with provider "
		    "\"responder\" and zones", cli->account != NULL ?
		    cli->account : "", cli->account != NULL ? ": " : "");
	return found;
}

/* ---- lines --------------------------------------------------------------- */

/* The same label in front, so that the rules for names hold; a name that is
 * too long for that becomes a digest. */
static char *
target_of(const char *name, const char *zone)
{
	unsigned char digest[32];
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, LABEL "%s.%s", name, zone);
	if (b.len > 253) {
		pl_sha256(digest, name, strlen(name));
		pl_buf_reset(&b);
		pl_buf_addc(&b, '_');
		pl_hex(&b, digest, 16);
		pl_buf_addf(&b, ".%s", zone);
	}
	return pl_buf_take(&b);
}

static enum pl_code
delegation_make(struct delegation *d, const char *given,
    const struct pl_setting *zones, struct pl_err *err)
{
	char ascii[PL_NAME_MAX];
	const char *plain = strncmp(given, "*.", 2) == 0 ? given + 2 : given;
	struct pl_buf b;
	enum pl_code code;

	code = pl_name_ascii(ascii, plain, false, err);
	if (code != PL_OK)
		return code;
	if (pl_name_is_suffix(ascii))
		return pl_fail(err, PL_EINVAL, "%s: is a public suffix", ascii);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, LABEL "%s", ascii);
	d->name = pl_strdup(ascii);
	d->owner = pl_buf_take(&b);
	if (strlen(d->owner) > 253)
		return pl_fail(err, PL_EINVAL, "%s: too long for a challenge",
		    ascii);
	for (size_t i = 0; i < zones->n; i++)
		if (pl_suffix_of(zones->values[i], ascii))
			return PL_OK;
	d->target = target_of(ascii, zones->values[0]);
	return PL_OK;
}

static void
print_line(const char *owner, const char *type, const char *data,
    const char *dot)
{
	pl_cli_print("%s. %d IN %s %s%s\n", owner, TTL, type, data, dot);
}

/* An entry of ns, "NAME ADDRESS...", as the parent zone needs it. */
static void
print_server(const char *zone, const char *entry)
{
	char *copy = pl_strdup(entry), *save = NULL, *name, *word;
	unsigned char a[16];

	name = strtok_r(copy, " \t", &save);
	if (name != NULL) {
		print_line(zone, "NS", name, ".");
		while ((word = strtok_r(NULL, " \t", &save)) != NULL)
			if (pl_suffix_of(zone, name))
				print_line(name, inet_pton(AF_INET, word,
				    a) == 1 ? "A" : "AAAA", word, "");
	}
	free(copy);
}

static void
print_zones(const struct pl_account *a)
{
	const struct pl_setting *zones = pl_setting_find(&a->settings,
	    "zones"), *ns = pl_setting_find(&a->settings, "ns");

	for (size_t i = 0; i < zones->n; i++) {
		pl_cli_print("; in the zone above %s, once:\n",
		    zones->values[i]);
		for (size_t k = 0; k < ns->n; k++)
			print_server(zones->values[i], ns->values[k]);
	}
}

static void
print_aliases(const struct delegation *d, size_t n)
{
	pl_cli_print("; in the zone of each name, once:\n");
	for (size_t i = 0; i < n; i++) {
		if (d[i].target == NULL)
			pl_cli_print("; %s: is answered here already\n",
			    d[i].name);
		else
			print_line(d[i].owner, "CNAME", d[i].target, ".");
	}
}

static void
print_json(const struct pl_account *a, const struct delegation *d, size_t n)
{
	const struct pl_setting *zones = pl_setting_find(&a->settings,
	    "zones"), *ns = pl_setting_find(&a->settings, "ns");
	json_t *j, *list;

	for (size_t i = 0; i < n; i++) {
		j = pl_json_object();
		list = pl_json_array();
		pl_json_sets(j, "name", d[i].name);
		pl_json_sets(j, "record", d[i].owner);
		pl_json_sets(j, "target", d[i].target);
		pl_json_sets(j, "account", a->settings.account);
		pl_json_sets(j, "zone", zones->values[0]);
		for (size_t k = 0; k < ns->n; k++)
			pl_json_append(list, pl_json_string(ns->values[k]));
		pl_json_set(j, "ns", list);
		pl_cli_print_json(j);
	}
}

/* ---- creating them --------------------------------------------------------- */

/* The account that holds the zone of a name, or NULL with err. */
static const struct pl_account *
find_holder(struct pl_session *s, const struct delegation *d,
    struct pl_err *err)
{
	const struct pl_account *found = NULL;
	char scope[PL_NAME_MAX];
	struct pl_err one;

	for (size_t i = 0; i < s->config->naccounts; i++) {
		const struct pl_account *a = &s->config->accounts[i];

		if (!a->enabled || (a->desc->kinds & (1u << PL_CNAME)) == 0 ||
		    (a->desc->flags & PL_P_RESIDENT) != 0)
			continue;
		pl_err_clear(&one);
		if (pl_engine_test(s->engine, a, d->owner, scope, &one) ==
		    PL_ENOZONE)
			continue;
		if (one.code != PL_OK) {
			*err = one;
			pl_prefix(err, "%s: %s", d->name,
			    a->settings.account);
			return NULL;
		}
		if (found != NULL) {
			pl_fail(err, PL_EINVAL, "%s: accounts %s and %s both "
			    "hold the zone", d->name,
			    found->settings.account, a->settings.account);
			return NULL;
		}
		found = a;
	}
	if (found == NULL)
		pl_fail(err, PL_ENOZONE, "%s: no account holds its zone; add "
		    "the line there by hand", d->name);
	return found;
}

static enum pl_code
alias_challenge(struct pl_challenge *ch, const struct delegation *d,
    const struct pl_account *holder, uint32_t ttl, struct pl_err *err)
{
	struct pl_challenge_args a = { .method = "dns-cname",
		.domain = d->name, .name = d->owner, .value = d->target,
		.account = holder->settings.account,
		.ttl = ttl != 0 ? ttl : TTL };
	enum pl_code code = pl_challenge_make(ch, &a, err);

	ch->standing = true;
	return code;
}

static int
create(struct pl_session *s, const struct delegation *d, size_t n)
{
	struct pl_job job = { .id = pl_strdup("delegate") };
	const struct pl_account *holder;
	struct pl_job_run *run;
	struct pl_err err;
	int status = -1, one;

	job.challenges = pl_array(n + 1, sizeof(*job.challenges));
	for (size_t i = 0; i < n; i++) {
		if (d[i].target == NULL)
			continue;
		pl_err_clear(&err);
		holder = find_holder(s, &d[i], &err);
		if (holder != NULL && alias_challenge(
		    &job.challenges[job.n], &d[i], holder, s->cli->ttl,
		    &err) == PL_OK) {
			job.n++;
			continue;
		}
		one = pl_cli_fail(s->cli, &err);
		status = status == -1 ? one : pl_status_join(status, one);
	}
	if (job.n == 0) {
		pl_job_clear(&job);
		return status == -1 ? 0 : status;
	}
	run = pl_engine_present(s->engine, &job, pl_session_timeout(s));
	if (pl_session_work(s, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	one = s->stop != 0 ? pl_code_exit(PL_ECANCEL) :
	    pl_run_exit(run, PL_VISIBLE);
	pl_session_report(s, run);
	return status == -1 ? one : pl_status_join(status, one);
}

int
pl_cmd_delegate(struct pl_cli *cli)
{
	size_t n = (size_t)cli->nargs;
	struct delegation *d = pl_array(n, sizeof(*d));
	const struct pl_account *a = NULL;
	struct pl_session s;
	struct pl_err err;
	int status;

	status = pl_session_open(&s, cli, cli->create ? PL_JOURNAL_WRITE :
	    PL_JOURNAL_NONE, true, false);
	pl_err_clear(&err);
	if (status == -1 && (a = find_responder(cli, s.config, &err)) == NULL)
		status = pl_cli_fail(cli, &err);
	for (size_t i = 0; status == -1 && i < n; i++)
		if (delegation_make(&d[i], cli->args[i],
		    pl_setting_find(&a->settings, "zones"), &err) != PL_OK)
			status = pl_cli_usage(cli, "%s", err.text);
	if (status == -1 && cli->create)
		status = create(&s, d, n);
	else if (status == -1) {
		if (cli->json)
			print_json(a, d, n);
		else {
			print_aliases(d, n);
			print_zones(a);
		}
		status = 0;
	}
	pl_session_close(&s);
	for (size_t i = 0; i < n; i++) {
		free(d[i].name);
		free(d[i].owner);
		free(d[i].target);
	}
	free(d);
	return status;
}
