/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * httpreq: an HTTP service that speaks lego's httpreq protocol publishes the
 * record: POST …/present and …/cleanup with {"fqdn", "value"}, or in RAW
 * mode {"domain", "token", "keyAuth"}.  The service keeps a set for each
 * name and removes by value.
 */
#include "providers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pl_option httpreq_options[] = {
	{ .name = "path", .type = PL_OPT_STRING,
	    .help = "path in front of /present and /cleanup" },
	{ .name = "mode", .type = PL_OPT_STRING, .fallback = "default",
	    .values = "default|raw",
	    .help = "what is sent: name and value, or the key authorization" },
	{ .name = "username", .type = PL_OPT_STRING,
	    .help = "for HTTP basic authentication" },
	{ .name = "password", .type = PL_OPT_SECRET,
	    .help = "the user's password" },
	{ .name = "zones", .type = PL_OPT_LIST,
	    .help = "the zones that it can change; without it, all" },
	{ .name = NULL }
};

static enum pl_code
httpreq_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *path = pl_setting(set, "path");

	if (pl_setting(set, "endpoint") == NULL)
		return pl_fail(err, PL_EINVAL, "endpoint: missing");
	if ((pl_setting(set, "username") != NULL) !=
	    pl_setting_has_secret(set, "password"))
		return pl_fail(err, PL_EINVAL,
		    "username: goes together with password");
	if (path != NULL && (path[0] != '/' ||
	    path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-._~/%")] != '\0'))
		return pl_fail(err, PL_EINVAL, "path: \"%s\" is not the path "
		    "of a URL", path);
	return PL_OK;
}

const struct pl_provider_desc pl_desc_httpreq = {
	.name = "httpreq",
	.program = "placard-http",
	.summary = "services that speak lego's httpreq protocol",
	.kinds = 1u << PL_TXT,
	.flags = PL_P_HTTP | PL_P_SOURCE,
	.max_batch = 100,
	.default_ttl = 60,
	.parallel = 1,
	.options = httpreq_options,
	.check = httpreq_check,
};

#ifndef PL_DESCRIBE

#include "cloud.h"

#define HR_LABEL "_acme-challenge."

struct httpreq {
	struct pl_http *http;
	struct pl_secret *login;	/* base64 of user:password, or NULL */
	const char *path;		/* lent from the settings */
	bool raw;
	const struct pl_setting *zones;
};

static void
httpreq_close(void *self)
{
	struct httpreq *h = self;

	if (h == NULL)
		return;
	pl_http_close(h->http);
	pl_secret_free(h->login);
	free(h);
}

static enum pl_code
httpreq_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	const char *user = pl_setting(set, "username");
	struct httpreq *h = pl_alloc(sizeof(*h));
	struct pl_secret *password = NULL;
	enum pl_code rc;

	*self = NULL;
	h->path = pl_setting(set, "path");
	if (h->path == NULL)
		h->path = "";
	h->raw = pl_streq(pl_setting(set, "mode"), "raw");
	h->zones = pl_setting_find(set, "zones");
	rc = pl_setting_secret(set, "password", false, &password, err);
	if (rc == PL_OK && user != NULL && password != NULL)
		h->login = pl_http_basic(user, password);
	pl_secret_free(password);
	if (rc == PL_OK)
		rc = cloud_open(&h->http, set, NULL, 0, err);
	if (rc != PL_OK) {
		httpreq_close(h);
		return rc;
	}
	*self = h;
	return PL_OK;
}

/* The protocol knows no zones: what is told counts, else the registered
 * domain parts the calls. */
static enum pl_code
httpreq_scope(void *self, const struct pl_call *call PL_UNUSED,
    const char *name, char scope[PL_NAME_MAX], struct pl_err *err)
{
	const struct httpreq *h = self;
	const char *best = NULL, *dot;

	if (h->zones == NULL) {
		for (best = name; (dot = strchr(best, '.')) != NULL &&
		    strchr(dot + 1, '.') != NULL &&
		    !pl_name_is_suffix(dot + 1); best = dot + 1)
			continue;
	}
	for (size_t i = 0; h->zones != NULL && i < h->zones->n; i++) {
		const char *zone = h->zones->values[i];

		if (pl_suffix_of(zone, name) &&
		    (best == NULL || strlen(zone) > strlen(best)))
			best = zone;
	}
	if (best == NULL || strlen(best) >= PL_NAME_MAX)
		return pl_fail(err, PL_ENOZONE,
		    "%s: is in none of the account's zones", name);
	memcpy(scope, best, strlen(best) + 1);
	return PL_OK;
}

/* ---- one change ------------------------------------------------------------- */

static enum pl_code
httpreq_body(const struct httpreq *h, const struct pl_change *c, char **out,
    struct pl_err *err)
{
	size_t label = strlen(HR_LABEL);
	json_t *j = pl_json_object();
	struct pl_buf fqdn;

	*out = NULL;
	if (!h->raw) {
		pl_buf_init(&fqdn, PL_LIM_LINE);
		pl_buf_addf(&fqdn, "%s.", c->name);
		pl_json_sets(j, "fqdn", fqdn.data);
		pl_json_set(j, "value", pl_json_stringn(c->value,
		    c->value_len));
		pl_buf_clear(&fqdn);
	} else if (c->handle == NULL || strchr(c->handle, '.') == NULL ||
	    strncmp(c->name, HR_LABEL, label) != 0) {
		pl_json_free(j);
		return pl_fail(err, PL_EINVAL, "%s: mode raw needs the key "
		    "authorization of an _acme-challenge, and only the value "
		    "is known", c->name);
	} else {
		pl_json_sets(j, "domain", c->name + label);
		pl_json_set(j, "token", pl_json_stringn(c->handle,
		    strcspn(c->handle, ".")));
		pl_json_sets(j, "keyAuth", c->handle);
	}
	*out = pl_json_text(j);
	pl_json_free(j);
	return PL_OK;
}

/* Success is any 2xx; what else comes is quoted as far as it is text. */
static enum pl_code
httpreq_judge(const struct pl_http_res *res, struct pl_err *err)
{
	struct pl_buf text;

	if (res->code != PL_OK) {
		*err = res->err;
		return res->code;
	}
	if (res->status / 100 == 2)
		return PL_OK;
	pl_buf_init(&text, PL_LIM_LINE);
	pl_escape(&text, res->body.data, res->body.len, 100);
	cloud_status(res, pl_http_code(res->status), "httpreq", text.data,
	    err);
	pl_buf_clear(&text);
	return err->code;
}

static enum pl_code
httpreq_change(struct httpreq *h, const struct pl_call *call,
    const struct pl_change *c, struct pl_err *err)
{
	struct pl_http_header headers[] = {
		{ .name = "Accept", .value = "application/json" },
		{ .name = h->login != NULL ? "Authorization" : NULL,
		    .value = "Basic ", .secret = h->login },
		{ .name = NULL }
	};
	struct pl_http_req req = { .method = "POST", .headers = headers,
		.content_type = "application/json" };
	struct pl_http_res res;
	struct pl_buf target;
	char *body;
	enum pl_code rc;

	rc = httpreq_body(h, c, &body, err);
	if (rc != PL_OK)
		return rc;
	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_addf(&target, "%.*s/%s", (int)strlen(h->path) -
	    (h->path[0] != '\0' && h->path[strlen(h->path) - 1] == '/'),
	    h->path, c->op == PL_ADD ? "present" : "cleanup");
	req.target = target.data;
	req.body = body;
	req.body_len = strlen(body);
	(void)pl_http_call(h->http, &req, &res, call->deadline, NULL);
	rc = httpreq_judge(&res, err);
	pl_http_res_clear(&res);
	pl_buf_clear(&target);
	free(body);
	return rc;
}

static enum pl_code
httpreq_add(struct httpreq *h, const struct pl_call *call,
    const struct pl_change *c, struct pl_outcome *out, struct pl_err *err)
{
	enum pl_code rc;

	if (c->handle != NULL && strlen(c->handle) >= sizeof(out->handle))
		return pl_fail(err, PL_EINVAL,
		    "%s: its key authorization is too long to be kept",
		    c->name);
	rc = httpreq_change(h, call, c, err);
	if (rc == PL_OK && c->handle != NULL)
		snprintf(out->handle, sizeof(out->handle), "%s", c->handle);
	return rc;
}

/* n == 0: there is no question in the protocol that changes nothing. */
static enum pl_code
httpreq_apply(void *self, const struct pl_call *call,
    const char *scope PL_UNUSED, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct httpreq *h = self;
	enum pl_code rc = PL_OK;
	struct pl_err one;

	pl_http_log(h->http, call->log);
	for (size_t i = 0; i < n; i++) {
		pl_err_clear(&one);
		out[i].code = chg[i].op == PL_ADD ?
		    httpreq_add(h, call, &chg[i], &out[i], &one) :
		    httpreq_change(h, call, &chg[i], &one);
		if (out[i].code == PL_OK)
			continue;
		cloud_fail(&out[i], &one);
		if (rc == PL_OK) {
			rc = out[i].code;
			if (err != NULL)
				*err = one;
		}
		/* The rest would fare no better, and wait as long. */
		if (out[i].code == PL_ENET || out[i].code == PL_EAUTH ||
		    out[i].code == PL_ELIMIT)
			break;
	}
	return rc;
}

static uint32_t
httpreq_requests(void *self)
{
	const struct httpreq *p = self;

	return pl_http_requests(p->http);
}

const struct pl_provider pl_provider_httpreq = {
	.desc = &pl_desc_httpreq,
	.open = httpreq_open,
	.scope = httpreq_scope,
	.apply = httpreq_apply,
	.close = httpreq_close,
	.requests = httpreq_requests,
};

#endif
