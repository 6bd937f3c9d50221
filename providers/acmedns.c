/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * acme-dns: a server that publishes TXT values below names of its own, to
 * which the challenges of a domain are delegated by a CNAME.  It has two
 * slots for each name; an update takes the place of the older one, and
 * nothing is ever deleted.  The accounts are in a file as lego keeps them:
 *
 *   { "example.com": { "fulldomain": "…", "subdomain": "…", "username": "…",
 *                      "password": "…", "server_url": "…" }, … }
 */
#include "providers.h"

#include <stdlib.h>
#include <string.h>

static const struct pl_option acmedns_options[] = {
	{ .name = "accounts-file", .type = PL_OPT_PATH, .required = true,
	    .help = "accounts by domain, in lego's JSON form" },
	{ .name = NULL }
};

const struct pl_provider_desc pl_desc_acmedns = {
	.name = "acme-dns",
	.program = "placard-http",
	.summary = "acme-dns servers that names are delegated to",
	.kinds = 1u << PL_TXT,
	.flags = PL_P_HTTP | PL_P_STAY | PL_P_KEEP,
	.default_ttl = 1,
	.parallel = 1,
	.options = acmedns_options,
};

#ifndef PL_DESCRIBE

#include "cloud.h"

#define AD_LABEL "_acme-challenge."
#define AD_VALUE 43

struct ad_account {
	char *domain;
	char *full, *sub, *url;
	struct pl_secret *user, *password;
	struct pl_http *http;	/* opened when needed */
};

struct acmedns {
	struct ad_account *a;
	size_t n;
	const struct pl_settings *set;	/* lives as long as we do */
};

/* ---- the file ------------------------------------------------------------- */

static void
acmedns_close(void *self)
{
	struct acmedns *d = self;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++) {
		struct ad_account *a = &d->a[i];

		free(a->domain);
		free(a->full);
		free(a->sub);
		free(a->url);
		pl_secret_free(a->user);
		pl_secret_free(a->password);
		pl_http_close(a->http);
	}
	free(d->a);
	free(d);
}

static const char *
ad_member(const json_t *j, const char *name)
{
	const char *s = pl_json_str(pl_json_get(j, name));

	return s != NULL && s[0] != '\0' ? s : NULL;
}

static enum pl_code
ad_take(struct ad_account *a, const char *domain, const json_t *j,
    struct pl_err *err)
{
	static const char *const needed[] = { "fulldomain", "subdomain",
		"username", "password" };
	const char *url = ad_member(j, "server_url");
	char name[PL_NAME_MAX];
	size_t n;

	for (size_t i = 0; i < PL_NELEM(needed); i++) {
		if (ad_member(j, needed[i]) == NULL)
			return pl_fail(err, PL_EINVAL, "%s: %s is missing",
			    domain, needed[i]);
	}
	if (pl_name_ascii(name, domain, false, err) != PL_OK)
		return err->code;
	a->domain = pl_strdup(name);
	if (pl_name_ascii(name, ad_member(j, "fulldomain"), true, err) !=
	    PL_OK)
		return pl_prefix(err, "%s: fulldomain", domain);
	a->full = pl_strdup(name);
	a->sub = pl_strdup(ad_member(j, "subdomain"));
	n = url != NULL ? strlen(url) : 0;
	while (n > 0 && url[n - 1] == '/')
		n--;
	a->url = n > 0 ? pl_strndup(url, n) : NULL;
	a->user = pl_secret_new(ad_member(j, "username"),
	    strlen(ad_member(j, "username")));
	a->password = pl_secret_new(ad_member(j, "password"),
	    strlen(ad_member(j, "password")));
	return PL_OK;
}

static enum pl_code
ad_read(struct acmedns *d, const char *path, struct pl_err *err)
{
	struct pl_secret *text = NULL;
	json_t *doc = NULL;
	const char *key;
	json_t *value;
	void *at = NULL;
	enum pl_code rc;

	rc = pl_secret_read(&text, path, true, err);
	if (rc == PL_OK)
		rc = pl_json_parse_secret(&doc, text, path, err);
	pl_secret_free(text);
	if (rc == PL_OK && !pl_json_is_object(doc))
		rc = pl_fail(err, PL_EINVAL, "%s: an object with a "
		    "member for each domain is expected", path);
	if (rc == PL_OK)
		d->a = pl_array(pl_json_count(doc) + 1, sizeof(*d->a));
	while (rc == PL_OK &&
	    (at = pl_json_iter(doc, at, &key, &value)) != NULL)
		rc = ad_take(&d->a[d->n++], key, value, err);
	pl_json_free(doc);
	if (rc != PL_OK)
		pl_prefix(err, "accounts-file");
	return rc;
}

static enum pl_code
acmedns_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	const char *path = pl_setting(set, "accounts-file");
	struct acmedns *d = pl_alloc(sizeof(*d));
	enum pl_code rc;

	*self = NULL;
	d->set = set;
	rc = path == NULL ? pl_fail(err, PL_EINVAL, "accounts-file: missing") :
	    ad_read(d, path, err);
	if (rc != PL_OK) {
		acmedns_close(d);
		return rc;
	}
	*self = d;
	return PL_OK;
}

/* ---- scope ------------------------------------------------------------------ */

/* The challenge of a domain in the file, or the name that it leads to. */
static struct ad_account *
ad_find(struct acmedns *d, const char *name)
{
	size_t n = strlen(AD_LABEL);

	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->a[i].full, name) == 0 ||
		    (strncmp(name, AD_LABEL, n) == 0 &&
		    strcmp(d->a[i].domain, name + n) == 0))
			return &d->a[i];
	}
	return NULL;
}

static enum pl_code
acmedns_scope(void *self, const struct pl_call *call PL_UNUSED,
    const char *name, char scope[PL_NAME_MAX], struct pl_err *err)
{
	const struct ad_account *a = ad_find(self, name);

	if (a == NULL)
		return pl_fail(err, PL_ENOZONE,
		    "%s: no account for it in accounts-file", name);
	name = strcmp(a->full, name) == 0 ? a->full : a->domain;
	memcpy(scope, name, strlen(name) + 1);
	return PL_OK;
}

/* ---- calls ------------------------------------------------------------------- */

static enum pl_code
ad_connect(struct acmedns *d, struct ad_account *a,
    const struct pl_call *call, struct pl_err *err)
{
	enum pl_code rc = PL_OK;

	if (a->http == NULL) {
		if (a->url == NULL && pl_setting(d->set, "endpoint") == NULL)
			return pl_fail(err, PL_EINVAL, "%s: neither endpoint "
			    "nor server_url says where its server is",
			    a->domain);
		rc = cloud_open(&a->http, d->set, a->url, 0, err);
	}
	if (rc == PL_OK)
		pl_http_log(a->http, call->log);
	return rc;
}

/* {"error":"forbidden"} and the like. */
static enum pl_code
ad_judge(const struct pl_http_res *res, const char *what, struct pl_err *err)
{
	json_t *j = NULL;
	const char *why;

	if (res->code != PL_OK) {
		*err = res->err;
		return res->code;
	}
	if (res->status == 200)
		return PL_OK;
	if (pl_json_parse(&j, res->body.data, res->body.len, what, NULL) != PL_OK)
		j = NULL;
	why = pl_json_str(pl_json_get(j, "error"));
	cloud_status(res, pl_http_code(res->status), what,
	    why != NULL ? why : "", err);
	pl_json_free(j);
	return err->code;
}

static enum pl_code
ad_update(struct acmedns *d, struct ad_account *a,
    const struct pl_call *call, const char *value, struct pl_err *err)
{
	struct pl_http_header headers[] = {
		{ .name = "X-Api-User", .value = "", .secret = a->user },
		{ .name = "X-Api-Key", .value = "", .secret = a->password },
		{ .name = NULL }
	};
	struct pl_http_req req = { .method = "POST", .target = "/update",
		.headers = headers, .content_type = "application/json" };
	struct pl_http_res res;
	json_t *j = pl_json_object();
	char *body;
	enum pl_code rc;

	pl_json_sets(j, "subdomain", a->sub);
	pl_json_sets(j, "txt", value);
	body = pl_json_text(j);
	pl_json_free(j);
	req.body = body;
	req.body_len = strlen(body);
	rc = ad_connect(d, a, call, err);
	if (rc == PL_OK) {
		(void)pl_http_call(a->http, &req, &res, call->deadline, NULL);
		rc = ad_judge(&res, "update", err);
		pl_http_res_clear(&res);
	}
	free(body);
	return rc;
}

/* ---- changes -------------------------------------------------------------------- */

/*
 * The first two values of a call are those that are needed (PL_P_KEEP), and
 * the server keeps what was written last: so each is written again, in this
 * order, and no needed one can be the older one that goes.
 */
struct ad_slots {
	const char *value[2];
	size_t n;
};

static enum pl_code
ad_add(struct acmedns *d, struct ad_account *a, const struct pl_call *call,
    const struct pl_change *c, struct ad_slots *s, struct pl_err *err)
{
	enum pl_code rc;

	if (c->value_len != AD_VALUE)
		return pl_fail(err, PL_EINVAL, "%s: acme-dns takes values of "
		    "%d characters only", c->name, AD_VALUE);
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->value[i], c->value) == 0)
			return PL_OK;
	}
	if (s->n == PL_NELEM(s->value))
		return pl_fail(err, PL_ELIMIT, "%s: both values that acme-dns "
		    "keeps for a name are in use", c->name);
	rc = ad_update(d, a, call, c->value, err);
	if (rc == PL_OK)
		s->value[s->n++] = c->value;
	return rc;
}

static enum pl_code
ad_health(struct acmedns *d, const struct pl_call *call, struct pl_err *err)
{
	struct pl_http_req req = { .method = "GET", .target = "/health" };
	struct pl_http_res res;
	enum pl_code rc = PL_OK;

	for (size_t i = 0; rc == PL_OK && i < d->n; i++) {
		rc = ad_connect(d, &d->a[i], call, err);
		if (rc != PL_OK)
			break;
		(void)pl_http_call(d->a[i].http, &req, &res, call->deadline,
		    NULL);
		rc = ad_judge(&res, "health", err);
		pl_http_res_clear(&res);
	}
	return rc;
}

static enum pl_code
acmedns_apply(void *self, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct acmedns *d = self;
	enum pl_code rc = PL_OK;
	struct ad_slots slots = { .n = 0 };
	struct ad_account *a;
	struct pl_err one;

	if (n == 0)
		return ad_health(d, call, err);
	for (size_t i = 0; i < n; i++) {
		pl_err_clear(&one);
		a = ad_find(d, chg[i].name);
		if (a == NULL)
			out[i].code = pl_fail(&one, PL_ENOZONE,
			    "%s: no account for it at %s", chg[i].name, scope);
		else if (chg[i].op == PL_ADD)
			out[i].code = ad_add(d, a, call, &chg[i], &slots,
			    &one);
		else	/* nothing can be deleted there */
			out[i].code = PL_OK;
		if (out[i].code == PL_OK)
			continue;
		cloud_fail(&out[i], &one);
		if (rc == PL_OK) {
			rc = out[i].code;
			if (err != NULL)
				*err = one;
		}
	}
	return rc;
}

static uint32_t
acmedns_requests(void *self)
{
	const struct acmedns *p = self;
	uint32_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->a[i].http != NULL)
			n += pl_http_requests(p->a[i].http);
	return n;
}

const struct pl_provider pl_provider_acmedns = {
	.desc = &pl_desc_acmedns,
	.open = acmedns_open,
	.scope = acmedns_scope,
	.apply = acmedns_apply,
	.close = acmedns_close,
	.requests = acmedns_requests,
};

#endif
