/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The client, in the worker that holds the credentials.  They travel in the
 * body of every request, so a body is never logged and lives in buffers that
 * are wiped; what comes back is searched for the token before it is passed on.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STORE_MS 60000
#define STORE_REQUEST PL_LIM_BODY

struct pl_store {
	struct pl_http *http;
	char *partner;
	struct pl_secret *token;
	struct pl_buf quoted;		/* the token as JSON */
};

void
pl_store_res_clear(struct pl_store_res *r)
{
	free(r->text);
	memset(r, 0, sizeof(*r));
}

void
pl_store_close(struct pl_store *s)
{
	if (s == NULL)
		return;
	pl_http_close(s->http);
	pl_secret_free(s->token);
	pl_buf_clear(&s->quoted);
	free(s->partner);
	free(s);
}

/* Gives the endpoint without "/rest" and slashes behind it. */
static char *
endpoint(const char *url)
{
	size_t n = strlen(url);

	for (; n > 0 && url[n - 1] == '/'; n--)
		continue;
	if (n > 5 && strncasecmp(url + n - 5, "/rest", 5) == 0)
		n -= 5;
	for (; n > 0 && url[n - 1] == '/'; n--)
		continue;
	return pl_strndup(url, n);
}

static enum pl_code
load_token(struct pl_store *s, const struct pl_settings *set,
    struct pl_err *err)
{
	enum pl_code code = pl_setting_secret(set, "auth-token", false,
	    &s->token, err);

	if (code == PL_OK && (s->token == NULL ||
	    pl_secret_len(s->token) == 0))
		code = pl_fail(err, PL_EINVAL, "auth-token: empty");
	else if (code == PL_OK && pl_json_quote_secret(&s->quoted, s->token,
	    err) != PL_OK)
		code = pl_prefix(err, "auth-token");
	return code;
}

enum pl_code
pl_store_open(struct pl_store **out, const struct pl_settings *set,
    const struct pl_log *log, struct pl_err *err)
{
	const char *url = pl_setting(set, "url"),
	    *partner = pl_setting(set, "partner-code");
	struct pl_http_opts o = { .ca_file = pl_setting(set, "ca-file"),
		.log = log, .patient = true };
	struct pl_store *s = pl_alloc(sizeof(*s));
	enum pl_code code;
	char *base;

	*out = NULL;
	pl_buf_init(&s->quoted, PL_LIM_SECRET * 2);
	s->partner = pl_strdup(partner != NULL ? partner : "");
	base = endpoint(url != NULL ? url : "");
	o.endpoint = base;
	o.timeout_ms = pl_setting_int(set, "timeout", STORE_MS / 1000) * 1000;
	code = load_token(s, set, err);
	if (code == PL_OK)
		code = pl_http_open(&s->http, &o, err);
	free(base);
	if (code != PL_OK) {
		pl_store_close(s);
		return pl_prefix(err, "controller %s", set->account);
	}
	*out = s;
	return PL_OK;
}

/* ---- requests ---------------------------------------------------------------- */

static void
add_text(struct pl_buf *b, const char *s)
{
	json_t *j = pl_json_string(s);

	pl_json_dump(b, j);
	pl_json_free(j);
}

/* PartnerCode and AuthToken, and in the wrapped form what goes with them. */
static void
add_credentials(const struct pl_store *s, enum pl_store_auth form,
    struct pl_buf *b)
{
	char nonce[17];

	if (form == PL_STORE_WRAPPED)
		pl_buf_adds(b, "\"AuthRequest\":{");
	pl_buf_adds(b, "\"PartnerCode\":");
	add_text(b, s->partner);
	pl_buf_adds(b, ",\"AuthToken\":");
	pl_buf_add(b, s->quoted.data, s->quoted.len);
	if (form == PL_STORE_WRAPPED) {
		pl_random_name(nonce, sizeof(nonce) - 1);
		pl_buf_addf(b, ",\"ReplayToken\":\"%s\",\"UserAgent\":"
		    "\"placard/" PL_VERSION "\",\"IsUsedForTokenSystem\":"
		    "false}", nonce);
	}
}

static bool
brings_credentials(const json_t *j)
{
	static const char *const names[] = { "AuthRequest", "PartnerCode",
		"AuthToken", "Token", "TokenID", "TokenCode" };

	for (size_t i = 0; i < PL_NELEM(names); i++)
		if (pl_json_get(j, names[i]) != NULL)
			return true;
	return false;
}

/* The body of a request, credentials first. */
static enum pl_code
build(const struct pl_store *s, const struct pl_store_desc *d,
    const struct pl_store_req *req, struct pl_buf *b, struct pl_err *err)
{
	json_t *j = NULL;
	struct pl_buf own;
	enum pl_code code = PL_OK;

	pl_buf_init(&own, STORE_REQUEST);
	if (pl_json_parse(&j, req->text, req->len, "request", err) != PL_OK)
		code = pl_prefix(err, "sslstore: %s", d->name);
	else if (!pl_json_is_object(j) || brings_credentials(j))
		code = pl_fail(err, PL_EINVAL, "sslstore: %s: the request is "
		    "no object without credentials", d->name);
	if (code == PL_OK) {
		pl_json_dump(&own, j);
		pl_buf_addc(b, '{');
		add_credentials(s, d->auth, b);
		if (own.len > 2)
			pl_buf_addc(b, ',');
		if (own.len > 0)
			pl_buf_add(b, own.data + 1, own.len - 1);
		if (own.failed || b->failed)
			code = pl_fail(err, PL_EINVAL, "sslstore: %s: the "
			    "request is too long", d->name);
	}
	pl_buf_clear(&own);
	pl_json_free(j);
	return code;
}

/* ---- answers ------------------------------------------------------------------- */

/* A status that is not 200: what it means, unless the body says it better. */
static void
judge_status(const struct pl_store_desc *d, const struct pl_http_res *h,
    struct pl_store_res *r)
{
	json_t *j = NULL;
	enum pl_code code = pl_http_code(h->status);

	if (pl_store_answer(&j, d, h->body.data, h->body.len, &r->number,
	    &r->err) == PL_OK || r->err.code == PL_EPROTO)
		pl_fail(&r->err, code, "sslstore: %s: HTTP %d", d->name,
		    h->status);
	pl_json_free(j);
	r->err.http = h->status;
	r->err.retry_after = h->retry_after;
	/* 4xx was turned away at the door; of 5xx nobody can tell. */
	r->sent = h->status >= 500 || h->status == 408 || h->status < 300;
}

static void
take_answer(const struct pl_store *s, const struct pl_store_desc *d,
    const struct pl_http_res *h, struct pl_store_res *r)
{
	json_t *j = NULL;

	if (h->code != PL_OK) {
		r->err = h->err;
		r->err.code = h->code;
		pl_prefix(&r->err, "sslstore: %s", d->name);
		r->sent = h->sent;
	} else if (h->status != 200 && h->status != 202) {
		judge_status(d, h, r);
	} else if (pl_store_answer(&j, d, h->body.data, h->body.len,
	    &r->number, &r->err) == PL_OK) {
		r->text = pl_json_text(j);
		r->len = strlen(r->text);
		r->sent = true;
	} else {
		r->err.http = h->status;
		r->sent = r->err.code == PL_EPROTO;
	}
	pl_json_free(j);
	/* A store that repeats the token must not spread it. */
	pl_secret_hide(s->token, r->err.text);
}

/* ---- many -------------------------------------------------------------------------- */

struct shot {
	const struct pl_store_desc *desc;
	struct pl_buf target, body;
	struct pl_store_res *res;
};

static bool
prepare(const struct pl_store *s, const struct pl_store_req *req,
    struct shot *t, struct pl_store_res *res)
{
	memset(res, 0, sizeof(*res));
	pl_err_clear(&res->err);
	t->res = res;
	t->desc = pl_store_find(req->path);
	pl_buf_init(&t->target, PL_LIM_LINE);
	pl_buf_init(&t->body, STORE_REQUEST + PL_LIM_SECRET);
	if (t->desc == NULL) {
		pl_fail(&res->err, PL_EINVAL, "sslstore: %.100s: no such call",
		    req->path != NULL ? req->path : "");
		return false;
	}
	pl_buf_addf(&t->target, "/rest/%s", t->desc->path);
	return t->desc->auth == PL_STORE_NONE ||
	    build(s, t->desc, req, &t->body, &res->err) == PL_OK;
}

void
pl_store_run(struct pl_store *s, const struct pl_store_req *req,
    struct pl_store_res *res, size_t n, unsigned parallel, int64_t deadline)
{
	static const struct pl_http_header headers[] = {
		{ "Accept", "application/json", NULL }, { NULL, NULL, NULL }
	};
	struct shot *shots = pl_array(n + 1, sizeof(*shots));
	struct pl_http_req *hq = pl_array(n + 1, sizeof(*hq));
	struct pl_http_res *hr = pl_array(n + 1, sizeof(*hr));
	size_t m = 0, made = 0;

	for (size_t i = 0; i < n; i++) {
		struct shot *t = &shots[m];

		if (!prepare(s, &req[i], t, &res[i])) {
			pl_buf_clear(&t->target);
			pl_buf_clear(&t->body);
			continue;
		}
		hq[m++] = (struct pl_http_req){ .method = "POST",
			.target = t->target.data, .headers = headers,
			.body = t->body.data, .body_len = t->body.len,
			.content_type = "application/json; charset=utf-8" };
		if (t->desc->auth == PL_STORE_NONE)
			hq[m - 1] = (struct pl_http_req){ .method = "GET",
				.target = t->target.data,
				.headers = headers };
	}
	if (m > 0)
		pl_http_many(s->http, hq, hr, m, parallel, deadline, NULL);
	for (; made < m; made++) {
		take_answer(s, shots[made].desc, &hr[made], shots[made].res);
		pl_http_res_clear(&hr[made]);
		pl_buf_clear(&shots[made].target);
		pl_buf_clear(&shots[made].body);
	}
	free(shots);
	free(hq);
	free(hr);
}
