/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What is decided about orders without asking anybody.  Pure. */
#include "book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_MS (86400 * INT64_C(1000))

static bool
is_word(const char *text, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strcasecmp(text, *list) == 0)
			return true;
	}
	return false;
}

enum pl_order_state
pl_life_state(const char *major, const char *minor, bool revoked)
{
	static const char *const issued[] = { "active", "valid", "enrolled",
		"complete", "completed", "issued", "start", "replaced",
		NULL };
	static const char *const cancelled[] = { "cancelled", "canceled",
		"refunded", NULL };
	static const char *const failed[] = { "rejected", "certgen_failed",
		"order rejected", NULL };

	if (major == NULL)
		return PL_O_PENDING;
	if (is_word(major, cancelled))
		return PL_O_CANCELLED;
	if (strcasecmp(major, "revoked") == 0)
		return PL_O_REVOKED;
	if (is_word(major, failed))
		return PL_O_FAILED;
	if (strcasecmp(major, "expired") == 0)
		return PL_O_EXPIRED;
	if (!is_word(major, issued))
		return PL_O_PENDING;
	if (minor != NULL && strcasecmp(minor, "PENDING_REISSUE") == 0)
		return PL_O_REISSUING;
	return revoked ? PL_O_REVOKED : PL_O_ISSUED;
}

bool
pl_life_final(enum pl_order_state s)
{
	return s != PL_O_PLACING && s != PL_O_PENDING && s != PL_O_REISSUING;
}

int64_t
pl_life_gap(unsigned n)
{
	static const int64_t seconds[] = { 1, 1, 2, 3, 5, 8, 15, 30, 60, 60,
		120, 120, 300 };

	/* About four hours of five minutes each, then it is a matter of days. */
	if (n >= 60)
		return 900 * 1000;
	return seconds[n < PL_NELEM(seconds) ? n : PL_NELEM(seconds) - 1] *
	    1000;
}

enum pl_placing
pl_life_placing(int64_t sent, int64_t looked, int64_t window_ms, int64_t now)
{
	if (sent == 0)
		return PL_PLACE_SEND;
	/* Found wanting when the store must have been through with it. */
	if (looked >= sent + window_ms)
		return PL_PLACE_SEND;
	/* A clock that was set back must not make this wait for ever. */
	if (looked == 0 || now >= sent + window_ms || now < sent)
		return PL_PLACE_LOOK;
	return PL_PLACE_WAIT;
}

bool
pl_life_reissued(const char *before, const json_t *status)
{
	const json_t *words = pl_store_object(status, "OrderStatus");
	char *partner = pl_store_text(status, "PartnerOrderID");
	char *minor = pl_store_text(words, "MinorStatus");
	bool taken;

	taken = (minor != NULL && strcasecmp(minor, "PENDING_REISSUE") == 0) ||
	    (partner != NULL && before != NULL &&
	    strcmp(partner, before) != 0);
	free(partner);
	free(minor);
	return taken;
}

bool
pl_life_renew(int64_t expires, unsigned window_days, int64_t now)
{
	return expires == 0 || expires - now <= window_days * DAY_MS;
}

size_t
pl_life_open(const struct pl_order *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->nchallenges; i++)
		n += o->challenges[i].kind != PL_NOTHING &&
		    !o->challenges[i].approved;
	return n;
}

static const char *
bare(const char *name)
{
	return strncmp(name, "*.", 2) == 0 ? name + 2 : name;
}

/*
 * The domain that a record belongs to: the ordered name, or a parent of it
 * below which the record stands.  NULL: the store wants something outside.
 */
static const char *
domain_of(const struct pl_order_challenge *c)
{
	const char *name = bare(c->domain), *up = strchr(c->record, '.');

	if (c->kind == PL_FILE || pl_suffix_of(name, c->record))
		return c->domain;
	if (up != NULL && pl_suffix_of(up + 1, name))
		return up + 1;
	return NULL;
}

/*
 * Is the domain one of the order's, or does it belong together with one?  A
 * CA may want a parent proven, or the name with www.; what a store says of
 * anybody else's domain is not done.
 */
static bool
is_ours(const struct pl_order *o, const char *domain)
{
	const char *own = pl_name_registrable(bare(domain)), *other;

	for (size_t i = 0; i < o->nnames; i++) {
		const char *name = bare(o->names[i].name);

		other = pl_name_registrable(name);
		if (strcmp(name, bare(domain)) == 0 || (own != NULL &&
		    other != NULL && strcmp(own, other) == 0))
			return true;
	}
	return false;
}

static enum pl_code
make_challenge(struct pl_challenge *out, const struct pl_order *o,
    const struct pl_order_challenge *c, struct pl_err *err)
{
	struct pl_challenge_args a = { .domain = domain_of(c) };
	enum pl_code code;

	if (!is_ours(o, c->domain))
		return pl_fail(err, PL_EINVAL, "%s: the store asks for a "
		    "proof, but it is no domain of the order", c->domain);
	if (a.domain == NULL)
		return pl_fail(err, PL_EINVAL, "%s: the store asks for a "
		    "record that is not the domain's: %s", c->domain,
		    c->record);
	if (c->kind == PL_FILE) {
		a.method = "http-file";
		a.path = c->record;
		a.content = c->value;
		a.content_len = c->len;
	} else {
		a.method = c->kind == PL_CNAME ? "dns-cname" : "dns-txt";
		a.name = c->record;
		a.value = c->value;
	}
	code = pl_challenge_make(out, &a, err);
	out->https = code == PL_OK && c->method == PL_DCV_HTTPS_FILE;
	if (code != PL_OK)
		pl_prefix(err, "%s", c->domain);
	return code;
}

/* One record may prove several names. */
static bool
in_job(const struct pl_job *job, const struct pl_challenge *c)
{
	for (size_t i = 0; i < job->n; i++) {
		const struct pl_challenge *have = &job->challenges[i];

		if (have->kind == c->kind &&
		    strcmp(have->record, c->record) == 0 &&
		    strcmp(have->domain, c->domain) == 0 &&
		    have->value_len == c->value_len &&
		    memcmp(have->value, c->value, c->value_len) == 0)
			return true;
	}
	return false;
}

enum pl_code
pl_life_job(struct pl_job *job, const struct pl_order *o,
    struct pl_err *err)
{
	char id[48];
	enum pl_code code = PL_OK;
	struct pl_product p;

	pl_order_job(id, o);
	*job = (struct pl_job){ .id = pl_strdup(id),
		.hold = PL_HOLD_RELEASED };
	if (o->product != NULL && pl_product_find(&p, o->product, NULL) ==
	    PL_OK)
		job->ca = pl_strdup(pl_vendor_caa(p.vendor));
	job->challenges = pl_array(o->nchallenges + 1,
	    sizeof(*job->challenges));
	for (size_t i = 0; i < o->nchallenges && code == PL_OK; i++) {
		const struct pl_order_challenge *c = &o->challenges[i];
		struct pl_challenge *at = &job->challenges[job->n];

		if (c->kind == PL_NOTHING || c->approved)
			continue;
		code = make_challenge(at, o, c, err);
		if (code == PL_OK && in_job(job, at))
			pl_challenge_clear(at);
		else if (code == PL_OK)
			job->n++;
	}
	if (code != PL_OK)
		pl_job_clear(job);
	return code;
}

static bool
has_same(const struct pl_order_challenge *list, size_t n,
    const struct pl_order_challenge *c)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind == c->kind && list[i].len == c->len &&
		    strcmp(list[i].domain, c->domain) == 0 &&
		    strcmp(list[i].record, c->record) == 0 &&
		    memcmp(list[i].value, c->value, c->len) == 0)
			return true;
	}
	return false;
}

bool
pl_life_differs(const struct pl_order_challenge *a, size_t na,
    const struct pl_order_challenge *b, size_t nb)
{
	for (size_t i = 0; i < nb; i++) {
		if (b[i].kind != PL_NOTHING && !b[i].approved &&
		    !has_same(a, na, &b[i]))
			return true;
	}
	for (size_t i = 0; i < na; i++) {
		if (a[i].kind != PL_NOTHING && !a[i].approved &&
		    !has_same(b, nb, &a[i]))
			return true;
	}
	return false;
}
