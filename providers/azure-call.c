/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Requests to Azure Resource Manager, and the token that they carry.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

#define TOKEN_MARGIN_MS 300000		/* renewed so long before its end */
#define TOKEN_MOST_S 86400

void
azure_req_clear(struct azure_req *q, size_t n)
{
	for (; n > 0; q++, n--) {
		free(q->target);
		free(q->body);
	}
}

void
azure_res_clear(struct azure_res *r, size_t n)
{
	for (; n > 0; r++, n--)
		pl_json_free(r->doc);
}

/* ---- errors ---- */

/* Code and message of an error in either of its shapes. */
static const json_t *
error_object(const json_t *doc)
{
	const json_t *inner = pl_json_get(doc, "error");

	return pl_json_is_object(inner) ? inner : doc;
}

static const char *
error_member(const json_t *doc, const char *name)
{
	const char *s = pl_json_str(pl_json_get(error_object(doc), name));

	return s != NULL ? s : "";
}

static json_t *
parse_body(const struct pl_http_res *http, const char *what,
    struct pl_err *err)
{
	json_t *doc;

	if (pl_json_parse(&doc, http->body.data, http->body.len, what, err) ==
	    PL_OK && pl_json_is_object(doc))
		return doc;
	pl_json_free(doc);
	return NULL;
}

static bool
is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcasecmp(word, *list) == 0)
			return true;
	return false;
}

/* A 404 is as it may be: what is not there is told by the word. */
static enum pl_code
absent_code(const char *word)
{
	static const char *const zones[] = { "ResourceNotFound",
		"ParentResourceNotFound", NULL };
	static const char *const configured[] = { "ResourceGroupNotFound",
		"SubscriptionNotFound", "InvalidSubscriptionId", NULL };

	if (strcasecmp(word, "NotFound") == 0)
		return PL_OK;
	if (is_one_of(word, zones))
		return PL_ENOZONE;
	return is_one_of(word, configured) ? PL_EINVAL : PL_EREMOTE;
}

static void
read_error(const struct azure_req *q, const struct pl_http_res *http,
    struct azure_res *r)
{
	json_t *doc = parse_body(http, q->what, NULL);
	const char *word = error_member(doc, "code");
	const char *text = error_member(doc, "message");
	bool named = *word != '\0';

	r->code = http->status == 404 && named ? absent_code(word) :
	    pl_http_code(http->status);
	/* Either status is seen for it. */
	r->clash = strcasecmp(word, "Conflict") == 0 &&
	    (http->status == 409 || http->status == 400);
	r->denied = http->status == 403;
	r->sent = http->status >= 500 || http->status == 408;
	if (r->code != PL_OK)
		(void)pl_fail(&r->err, r->code, "%s: HTTP %d%s%s%s%.160s%s",
		    q->what, http->status, named ? ": " : "", word,
		    *text != '\0' ? ": " : "", text,
		    http->status / 100 == 3 ? ": a redirect, which is not "
		    "followed" : "");
	r->err.http = http->status;
	r->err.retry_after = http->retry_after;
	pl_json_free(doc);
}

/* ---- the token ---- */

/* What the login service said: its first line, which begins with a number
 * of its own (AADSTS…). */
static enum pl_code
token_refused(const struct pl_http_res *http, struct pl_err *err)
{
	json_t *doc = parse_body(http, "login", NULL);
	const char *word = pl_json_str(pl_json_get(doc, "error"));
	const char *text = pl_json_str(pl_json_get(doc, "error_description"));
	const char *hint = "";
	enum pl_code code = pl_http_code(http->status);

	/* A refusal in its own words is about what we have told it. */
	if (word != NULL && code == PL_EREMOTE)
		code = strcmp(word, "temporarily_unavailable") == 0 ?
		    PL_ENET : PL_EAUTH;
	if (text == NULL)
		text = "";
	if (strncmp(text, "AADSTS7000215", 13) == 0)
		hint = " (the secret's id in place of its value, perhaps)";
	(void)pl_fail(err, code, "login: HTTP %d%s%s%s%.*s%s%s", http->status,
	    word != NULL ? ": " : "", word != NULL ? word : "",
	    *text != '\0' ? ": " : "", (int)strcspn(text, "\r\n"), text, hint,
	    http->status / 100 == 3 ? ": a redirect, which is not followed" :
	    "");
	if (err != NULL) {
		err->http = http->status;
		err->retry_after = http->retry_after;
	}
	pl_json_free(doc);
	return code;
}

/* Seconds as a number, or as the text of one. */
static int64_t
token_life(const json_t *doc)
{
	const json_t *j = pl_json_get(doc, "expires_in");
	int64_t s = pl_json_num(j);

	if (pl_json_is_string(j) && pl_int_parse(&s, pl_json_str(j), 0,
	    INT32_MAX, NULL) != PL_OK)
		s = 0;
	return s < 0 ? 0 : s > TOKEN_MOST_S ? TOKEN_MOST_S : s;
}

static enum pl_code
token_take(struct azure *self, const struct pl_http_res *http,
    struct pl_err *err)
{
	json_t *doc = parse_body(http, "login", err);
	const json_t *j = pl_json_get(doc, "access_token");
	const char *text = pl_json_str(j);
	enum pl_code code = PL_OK;
	int64_t ms = token_life(doc) * 1000;

	if (text == NULL || *text == '\0' || ms == 0) {
		code = pl_fail(err, PL_EPROTO, "login: answer holds no token");
	} else {
		self->token = pl_secret_new(text, pl_json_strlen(j));
		ms -= ms > 2 * TOKEN_MARGIN_MS ? TOKEN_MARGIN_MS : ms / 4;
		self->token_until = pl_mono_ms() + ms;
	}
	pl_json_free(doc);
	return code;
}

enum pl_code
azure_token(struct azure *self, const struct pl_call *call,
    struct pl_err *err)
{
	struct pl_buf target, form, scope;
	struct pl_http_req req;
	struct pl_http_res res;
	enum pl_code code;

	if (self->token != NULL && pl_mono_ms() < self->token_until)
		return PL_OK;
	pl_secret_free(self->token);
	self->token = NULL;
	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_init(&scope, PL_LIM_LINE);
	pl_buf_init(&form, 4 * PL_LIM_SECRET);
	pl_buf_addc(&target, '/');
	pl_url_escape(&target, self->tenant, false);
	pl_buf_adds(&target, "/oauth2/v2.0/token");
	pl_buf_addf(&scope, "%s/.default", self->resource);
	pl_form_add(&form, "grant_type", "client_credentials");
	pl_form_add(&form, "client_id", self->client);
	pl_form_add_secret(&form, "client_secret", self->secret);
	pl_form_add(&form, "scope", scope.data);
	req = (struct pl_http_req){ .method = "POST", .target = target.data,
		.body = form.data, .body_len = form.len,
		.content_type = "application/x-www-form-urlencoded" };
	pl_http_log(self->login, call->log);
	code = pl_http_call(self->login, &req, &res, call->deadline, err);
	if (code != PL_OK)
		(void)pl_prefix(err, "login");
	else if (res.status == 200)
		code = token_take(self, &res, err);
	else
		code = token_refused(&res, err);
	pl_http_res_clear(&res);
	pl_buf_clear(&target);
	pl_buf_clear(&scope);
	pl_buf_clear(&form);
	return code;
}

/* ---- requests ---- */

static void
read_answer(const struct azure_req *q, const struct pl_http_res *http,
    struct azure_res *r)
{
	memset(r, 0, sizeof(*r));
	r->status = http->status;
	if (http->code != PL_OK) {
		r->sent = http->sent;
		r->err = http->err;
		(void)pl_prefix(&r->err, "%s", q->what);
		r->code = http->code;
		return;
	}
	if (http->status != 200 && http->status != 201 &&
	    http->status != 204) {
		read_error(q, http, r);
		return;
	}
	if (pl_http_header_get(http, "ETag", r->etag, sizeof(r->etag)) == NULL)
		r->etag[0] = '\0';
	/* A deletion has nothing to tell. */
	if (strcmp(q->method, "DELETE") == 0)
		return;
	r->doc = parse_body(http, q->what, &r->err);
	if (r->doc == NULL) {
		r->code = r->err.code != PL_OK ? PL_EPROTO :
		    pl_fail(&r->err, PL_EPROTO, "%s: answer is no JSON object",
		    q->what);
		r->err.code = PL_EPROTO;
		r->sent = true;
	}
}

/* One round of requests: those whose r is not yet settled. */
static void
send_round(struct azure *self, const struct pl_call *call,
    const struct azure_req *q, struct azure_res *r, size_t n,
    const size_t *at)
{
	struct pl_http_header (*headers)[3] = pl_array(n + 1,
	    sizeof(*headers));
	struct pl_http_req *req = pl_array(n + 1, sizeof(*req));
	struct pl_http_res *res = pl_array(n + 1, sizeof(*res));
	const struct azure_req *one;
	size_t i, k;

	for (i = 0; i < n; i++) {
		one = &q[at[i]];
		k = 0;
		headers[i][k++] = (struct pl_http_header){ "Authorization",
			"Bearer ", self->token };
		if (one->match != NULL)
			headers[i][k++] = (struct pl_http_header){ "If-Match",
				one->match, NULL };
		else if (one->create)
			headers[i][k++] = (struct pl_http_header){
				"If-None-Match", "*", NULL };
		req[i] = (struct pl_http_req){ .method = one->method,
			.target = one->target, .headers = headers[i],
			.body = one->body, .body_len = one->body != NULL ?
			strlen(one->body) : 0, .content_type =
			one->body != NULL ? "application/json" : NULL };
	}
	pl_http_log(self->arm, call->log);
	(void)pl_http_many(self->arm, req, res, n, AZURE_PARALLEL,
	    call->deadline, NULL);
	for (i = 0; i < n; i++) {
		azure_res_clear(&r[at[i]], 1);
		read_answer(&q[at[i]], &res[i], &r[at[i]]);
		pl_http_res_clear(&res[i]);
	}
	free(headers);
	free(req);
	free(res);
}

void
azure_send(struct azure *self, const struct pl_call *call,
    const struct azure_req *q, struct azure_res *r, size_t n)
{
	size_t *at = pl_array(n + 1, sizeof(*at));
	struct pl_err err;
	size_t i, m = n;
	unsigned round;

	memset(r, 0, n * sizeof(*r));
	for (i = 0; i < n; i++)
		at[i] = i;
	/* A token that is refused is asked for anew, once. */
	for (round = 0; round < 2 && m > 0; round++) {
		pl_err_clear(&err);
		if (azure_token(self, call, &err) != PL_OK) {
			for (i = 0; i < m; i++) {
				r[at[i]].code = err.code;
				r[at[i]].err = err;
			}
			break;
		}
		send_round(self, call, q, r, m, at);
		m = 0;
		for (i = 0; i < n; i++)
			if (r[i].status == 401)
				at[m++] = i;
		if (m > 0) {
			pl_secret_free(self->token);
			self->token = NULL;
		}
	}
	free(at);
}
