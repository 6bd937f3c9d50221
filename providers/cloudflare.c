/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Cloudflare, API v4.  A record is one value with an id.  Many changes go
 * as one transaction (dns_records/batch); where that is refused, one by one
 * and several at once, so that one bad change does not spoil the others.
 */
#include <string.h>

#include "providers.h"

#define CF_BATCH 200		/* records in a batch on the smallest plan */

/* ---- description ------------------------------------------------------ */

static const struct pl_option cloudflare_options[] = {
	{ .name = "email", .type = PL_OPT_STRING,
	    .help = "e-mail address of the user, with api-key" },
	{ .name = "api-key", .type = PL_OPT_SECRET,
	    .help = "the user's Global API Key, with email" },
	{ .name = "api-token", .type = PL_OPT_SECRET,
	    .help = "API token with Zone Read and DNS Edit" },
	{ .name = "zone-id", .type = PL_OPT_STRING,
	    .help = "the only zone to use: its id, 32 hexadecimal digits" },
	{ .name = NULL },
};

static enum pl_code
cloudflare_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *zone = pl_setting(set, "zone-id");
	bool email = pl_setting(set, "email") != NULL;
	bool key = pl_setting_has_secret(set, "api-key");
	bool token = pl_setting_has_secret(set, "api-token");

	if (token && (key || email))
		return pl_fail(err, PL_EINVAL, "api-token: goes without "
		    "email and api-key");
	if (key && !email)
		return pl_fail(err, PL_EINVAL, "api-key: needs the email of "
		    "its user as well");
	if (email && !key)
		return pl_fail(err, PL_EINVAL, "email: needs the api-key of "
		    "that user as well");
	if (!token && !key)
		return pl_fail(err, PL_EINVAL, "api-token: either this or "
		    "email with api-key is needed");
	if (zone != NULL && (strlen(zone) != 32 ||
	    strspn(zone, "0123456789abcdef") != 32))
		return pl_fail(err, PL_EINVAL, "zone-id: 32 hexadecimal "
		    "digits in lower case expected");
	return PL_OK;
}

static const char cloudflare_recipe[] =
    "A custom API token (My Profile, API Tokens, Create Custom Token) with\n"
    "two permissions and nothing else:\n"
    "    Zone, Zone, Read\n"
    "    Zone, DNS, Edit\n"
    "Under Zone Resources include the zones of these names, each by its name:\n"
    "@    %D\n"
    "Limit Client IP Address Filtering to this host where its address is\n"
    "fixed.  Cloudflare's rights do not end at a name or a type: a CNAME of\n"
    "these names into a zone of its own narrows them down:\n"
    "@    %R\n"
    "The global API key can do everything; it is not needed.\n";

const struct pl_provider_desc pl_desc_cloudflare = {
	.name = "cloudflare",
	.program = "placard-http",
	.summary = "Cloudflare DNS",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_HTTP,
	.min_ttl = 60,
	.default_ttl = 120,
	.parallel = 4,
	/* 1,200 in five minutes, for all that the user does. */
	.rate = 200,
	.burst = 200,
	.options = cloudflare_options,
	.check = cloudflare_check,
	.recipe = cloudflare_recipe,
};

#ifndef PL_DESCRIBE

#include <stdlib.h>

#include "cloud.h"

#define CF_ENDPOINT	"https://api.cloudflare.com"
#define CF_ZONES	"/client/v4/zones"
#define CF_ZONE_PAGE	50	/* the most that the API gives */
#define CF_PAGE		200	/* records; the longest still fit PL_LIM_BODY */
#define CF_PAGES	500
#define CF_BY_NAME	8	/* up to so many names are asked for singly */
#define CF_PARALLEL	8
#define CF_ROUND	32	/* requests whose answers are held at once */
#define CF_TTL_MOST	86400

struct cloudflare {
	struct pl_http *http;
	struct pl_secret *secret;
	char *email;
	char *zone_id;
	struct pl_http_header headers[3];
	struct cloud_zones zones;
	struct cloud_zones one;	/* of one name only, for apply() */
	struct cloud_seen seen;
	bool no_batch;		/* the endpoint is not there */
};

/* ---- answers ---- */

/* Is one of these codes among the errors or what they were caused by? */
static bool
cf_has(const json_t *answer, const int64_t *codes)
{
	const json_t *errors = pl_json_get(answer, "errors"), *e, *chain;
	size_t i, k;

	for (; *codes != 0; codes++) {
		for (i = 0; i < pl_json_count(errors); i++) {
			e = pl_json_at(errors, i);
			if (pl_json_num(pl_json_get(e, "code")) == *codes)
				return true;
			chain = pl_json_get(e, "error_chain");
			for (k = 0; k < pl_json_count(chain); k++)
				if (pl_json_num(pl_json_get(pl_json_at(chain,
				    k), "code")) == *codes)
					return true;
		}
	}
	return false;
}

static enum pl_code
cf_code(int status, const json_t *answer)
{
	/* Unknown, malformed, missing or insufficient credentials. */
	static const int64_t auth[] = { 9103, 9106, 9109, 10000, 1009, 6003,
		6102, 6103, 6111, 0 };
	static const int64_t limit[] = { 971, 0 };

	if (status == 429 || cf_has(answer, limit))
		return PL_ELIMIT;
	if (status >= 500)
		return PL_ENET;
	if (status == 401 || status == 403 || cf_has(answer, auth))
		return PL_EAUTH;
	if (status < 400 && pl_json_count(pl_json_get(answer, "errors")) == 0)
		return PL_EPROTO;
	return status == 408 ? PL_ENET : PL_EREMOTE;
}

/* "1004 DNS Validation Error (9005 Content is invalid)" */
static void
cf_why(struct pl_buf *b, const json_t *answer)
{
	const json_t *e = pl_json_at(pl_json_get(answer, "errors"), 0), *c;
	const char *text = pl_json_str(pl_json_get(e, "message"));

	if (e == NULL)
		return;
	pl_buf_addf(b, "%lld %.120s", (long long)pl_json_num(pl_json_get(e,
	    "code")), text != NULL ? text : "");
	c = pl_json_at(pl_json_get(e, "error_chain"), 0);
	text = pl_json_str(pl_json_get(c, "message"));
	if (c != NULL)
		pl_buf_addf(b, " (%lld %.120s)", (long long)pl_json_num(
		    pl_json_get(c, "code")), text != NULL ? text : "");
}

/* Judges an answer.  Gives *out, the whole of it, also with a refusal. */
static enum pl_code
cf_take(const struct pl_http_res *res, const char *what, json_t **out,
    struct pl_err *err)
{
	struct pl_buf why;
	enum pl_code code;

	if (cloud_json(res, what, out, err) != PL_OK)
		return err->code;
	if (res->status < 300 && pl_json_true(pl_json_get(*out, "success")) &&
	    pl_json_get(*out, "result") != NULL)
		return PL_OK;
	if (!pl_json_is_bool(pl_json_get(*out, "success")))
		return cloud_status(res, res->status >= 500 ? PL_ENET :
		    res->status == 429 ? PL_ELIMIT : PL_EPROTO, what,
		    "the answer has another shape than expected", err);
	pl_buf_init(&why, PL_LIM_LINE);
	cf_why(&why, *out);
	code = cloud_status(res, cf_code(res->status, *out), what, why.data !=
	    NULL ? why.data : "", err);
	pl_buf_clear(&why);
	return code;
}

/* ---- lists ---- */

typedef bool (*cf_row_fn)(void *ctx, const json_t *row);

/* One page of a list. */
struct cf_page {
	size_t list;
	int64_t number;
};

/* Reads some pages, several at once; totals[i], where it is wanted, is how
 * many the list of page i has. */
static enum pl_code
cf_some_pages(struct cloudflare *f, const struct pl_call *call, const char *what,
    const char *const *lists, const struct cf_page *page, size_t n,
    int64_t *totals, cf_row_fn row, void *ctx, struct pl_err *err)
{
	struct pl_http_req *req = pl_array(n + 1, sizeof(*req));
	struct pl_http_res *res = pl_array(n + 1, sizeof(*res));
	char **targets = pl_array(n + 1, sizeof(char *));
	enum pl_code code = PL_OK;
	json_t *answer, *rows;
	struct pl_buf b;
	size_t i, k;

	for (i = 0; i < n; i++) {
		pl_buf_init(&b, PL_LIM_LINE);
		pl_buf_addf(&b, "%spage=%lld", lists[page[i].list],
		    (long long)page[i].number);
		targets[i] = pl_buf_take(&b);
		req[i] = (struct pl_http_req){ .method = "GET",
			.target = targets[i], .headers = f->headers };
	}
	(void)pl_http_many(f->http, req, res, n, CF_PARALLEL, call->deadline,
	    NULL);
	for (i = 0; i < n && code == PL_OK; i++) {
		code = cf_take(&res[i], what, &answer, err);
		rows = pl_json_get(answer, "result");
		if (code == PL_OK && !pl_json_is_array(rows))
			code = cloud_status(&res[i], PL_EPROTO, what,
			    "the answer holds no list", err);
		for (k = 0; code == PL_OK && k < pl_json_count(rows); k++)
			if (!row(ctx, pl_json_at(rows, k)))
				code = cloud_status(&res[i], PL_EPROTO, what,
				    "the answer has another shape than "
				    "expected", err);
		if (code == PL_OK && totals != NULL)
			totals[i] = pl_json_num(pl_json_get(pl_json_get(answer,
			    "result_info"), "total_pages"));
		pl_json_free(answer);
	}
	for (i = 0; i < n; i++) {
		pl_http_res_clear(&res[i]);
		free(targets[i]);
	}
	free(req);
	free(res);
	free(targets);
	return code;
}

static enum pl_code
cf_pages(struct cloudflare *f, const struct pl_call *call, const char *what,
    const char *const *lists, const struct cf_page *page, size_t n,
    int64_t *totals, cf_row_fn row, void *ctx, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	size_t i, m;

	for (i = 0; i < n && code == PL_OK; i += m) {
		m = n - i < CF_ROUND ? n - i : CF_ROUND;
		code = cf_some_pages(f, call, what, lists, &page[i], m,
		    totals != NULL ? &totals[i] : NULL, row, ctx, err);
	}
	return code;
}

/*
 * Reads lists to their ends: the first page of each, then all others.
 * `most` pages at most where it is not 0: *more then says that there are more,
 * and only the first ones have been read.
 */
static enum pl_code
cf_lists(struct cloudflare *f, const struct pl_call *call, const char *what,
    const char *const *lists, size_t n, int64_t most, bool *more,
    cf_row_fn row, void *ctx, struct pl_err *err)
{
	struct cf_page *page = pl_array(n + 1, sizeof(*page));
	int64_t *totals = pl_array(n + 1, sizeof(*totals)), p;
	size_t i, m = 0, all = 0;
	enum pl_code code;

	for (i = 0; i < n; i++)
		page[i] = (struct cf_page){ i, 1 };
	code = cf_pages(f, call, what, lists, page, n, totals, row, ctx, err);
	for (i = 0; code == PL_OK && i < n; i++) {
		if (totals[i] > CF_PAGES)
			code = pl_fail(err, PL_EPROTO, "%s: %lld pages are "
			    "too many", what, (long long)totals[i]);
		else if (totals[i] > 1)
			all += (size_t)totals[i] - 1;
	}
	if (code == PL_OK && most > 0 && (int64_t)all > most) {
		*more = true;
		all = 0;
	}
	if (code == PL_OK && all > 0) {
		page = pl_grow(page, all, sizeof(*page));
		for (i = 0; i < n; i++)
			for (p = 2; p <= totals[i]; p++)
				page[m++] = (struct cf_page){ i, p };
		code = cf_pages(f, call, what, lists, page, m, NULL, row, ctx,
		    err);
	}
	free(page);
	free(totals);
	return code;
}

/* ---- zones ---- */

static void
cf_warn(const struct cloudflare *f, const struct pl_call *call)
{
	if (f->email != NULL)
		pl_say_warning(call, "the global API key may do all that its "
		    "user may; an api-token with Zone Read and DNS Edit is "
		    "enough");
	else if (f->zones.wide[0] != '\0')
		pl_say_warning(call, "the token may do more than is needed: "
		    "%s", f->zones.wide);
}

/* Which zones can hold a proof, and why others cannot. */
static bool
cf_zone(void *ctx, const json_t *row)
{
	struct cloud_zones *zones = ctx;
	const char *id = pl_json_str(pl_json_get(row, "id"));
	const char *name = pl_json_str(pl_json_get(row, "name"));
	const char *status = pl_json_str(pl_json_get(row, "status"));
	const char *type = pl_json_str(pl_json_get(row, "type"));
	static const char *const needed[] = { "#zone:read",
		"#dns_records:read", "#dns_records:edit", NULL };
	const char *why = NULL;
	bool elsewhere = true;

	if (id == NULL || name == NULL || strlen(id) != 32 ||
	    strspn(id, "0123456789abcdef") != 32)
		return false;
	cloud_zones_rights(zones, pl_json_get(row, "permissions"), needed);
	if (pl_streq(type, "internal"))
		return true;
	if (status != NULL && strcmp(status, "active") != 0)
		why = strcmp(status, "pending") == 0 ?
		    "is pending: no delegation leads to it yet" :
		    strcmp(status, "moved") == 0 ?
		    "has moved: no delegation leads to it any more" :
		    "is not active";
	else if (pl_streq(type, "partial"))
		why = "is partial (CNAME setup): its DNS is elsewhere";
	else if (pl_streq(type, "secondary")) {
		why = "is secondary: its records are edited at its primary";
		elsewhere = false;
	}
	(void)cloud_zones_add(zones, name, id, why, elsewhere);
	return true;
}

static enum pl_code
cf_one_zone(struct cloudflare *f, const struct pl_call *call,
    struct cloud_zones *zones, struct pl_err *err)
{
	struct pl_http_req req = { .method = "GET", .headers = f->headers };
	struct pl_http_res res;
	enum pl_code code;
	json_t *answer;
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, CF_ZONES "/%s", f->zone_id);
	req.target = b.data;
	(void)pl_http_call(f->http, &req, &res, call->deadline, NULL);
	code = cf_take(&res, "zone-id", &answer, err);
	if (code == PL_OK && !cf_zone(zones, pl_json_get(answer, "result")))
		code = cloud_status(&res, PL_EPROTO, "zone-id", "the answer "
		    "has another shape than expected", err);
	pl_json_free(answer);
	pl_http_res_clear(&res);
	pl_buf_clear(&b);
	return code;
}

/* All zones, or all of one name. */
static enum pl_code
cf_zones(struct cloudflare *f, const struct pl_call *call, const char *name,
    struct pl_err *err)
{
	struct cloud_zones zones = { .z = NULL };
	struct cloud_zones *into = name != NULL ? &f->one : &f->zones;
	const char *list;
	struct pl_buf b;
	enum pl_code code;
	bool more;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, CF_ZONES "?per_page=%d&", CF_ZONE_PAGE);
	if (name != NULL)
		pl_buf_addf(&b, "name=%s&", name);
	list = b.data;
	if (f->zone_id != NULL)
		code = cf_one_zone(f, call, &zones, err);
	else
		code = cf_lists(f, call, "zones", &list, 1, 0, &more, cf_zone,
		    &zones, err);
	pl_buf_clear(&b);
	cloud_zones_clear(code == PL_OK ? into : &zones);
	if (code == PL_OK) {
		*into = zones;
		into->when = pl_mono_ms();
	}
	return code;
}

static enum pl_code
cf_find(struct cloudflare *f, const struct pl_call *call, const char *name,
    struct cloud_zone **zone, struct pl_err *err)
{
	if (!cloud_zones_old(&f->zones) && cloud_zones_find(&f->zones, name, zone,
	    err) == PL_OK)
		return PL_OK;
	if (cloud_zones_failed(&f->zones, call, err))
		return err->code;
	if (cloud_zones_stale(&f->zones) && cf_zones(f, call, NULL, err) !=
	    PL_OK)
		return cloud_zones_fail(&f->zones, call, err);
	return cloud_zones_find(&f->zones, name, zone, err);
}

/* The zone of this very name, for a worker that may not know the others. */
static enum pl_code
cf_scope(struct cloudflare *f, const struct pl_call *call, const char *scope,
    struct cloud_zone **zone, struct pl_err *err)
{
	const struct cloud_zones *known = f->zones.when != 0 ? &f->zones :
	    &f->one;

	if (!cloud_zones_old(known) && cloud_zones_find(known, scope, zone, err) ==
	    PL_OK && strcmp((*zone)->name, scope) == 0)
		return PL_OK;
	if (cf_zones(f, call, scope, err) != PL_OK)
		return err->code;
	return cloud_zones_find(&f->one, scope, zone, err);
}

static enum pl_code
cloudflare_scope(void *self, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct cloudflare *f = self;
	struct cloud_zone *zone;

	pl_http_log(f->http, call->log);
	if (cf_find(f, call, name, &zone, err) != PL_OK)
		return err->code;
	memcpy(scope, zone->name, strlen(zone->name) + 1);
	return PL_OK;
}

/* ---- records ---- */

static bool
cf_record(void *ctx, const json_t *row)
{
	struct cloud_seen *seen = ctx;
	const char *id = pl_json_str(pl_json_get(row, "id"));
	const char *name = pl_json_str(pl_json_get(row, "name"));
	const char *type = pl_json_str(pl_json_get(row, "type"));
	const char *content = pl_json_str(pl_json_get(row, "content"));
	struct cloud_record *r;
	struct pl_buf b;

	if (id == NULL || name == NULL || type == NULL ||
	    strspn(id, "0123456789abcdef") != 32 || id[32] != '\0')
		return false;
	if (content == NULL)
		return strcmp(type, "TXT") != 0 && strcmp(type, "CNAME") != 0;
	pl_buf_init(&b, PL_LIM_BODY);
	if (strcmp(type, "TXT") == 0)
		cloud_unquote(&b, content);
	else
		pl_buf_adds(&b, content);
	r = cloud_seen_add(seen, name, strcmp(type, "TXT") == 0 ? CLOUD_TXT :
	    strcmp(type, "CNAME") == 0 ? CLOUD_CNAME : CLOUD_OTHER,
	    b.data != NULL ? b.data : "", b.len, id,
	    pl_json_num(pl_json_get(row, "ttl")));
	r->hidden = pl_json_true(pl_json_get(row, "proxied"));
	pl_buf_clear(&b);
	return true;
}

static enum pl_code
cf_read_names(struct cloudflare *f, const struct pl_call *call,
    const struct cloud_zone *zone, char *const *names, size_t n,
    struct cloud_seen *seen, struct pl_err *err)
{
	char **lists = pl_array(n + 1, sizeof(char *));
	enum pl_code code;
	struct pl_buf b;
	size_t i;
	bool more;

	for (i = 0; i < n; i++) {
		pl_buf_init(&b, PL_LIM_LINE);
		pl_buf_addf(&b, CF_ZONES "/%s/dns_records?name=", zone->id);
		pl_url_escape(&b, names[i], false);
		pl_buf_addf(&b, "&per_page=%d&", CF_PAGE);
		lists[i] = pl_buf_take(&b);
	}
	code = cf_lists(f, call, "records", (const char *const *)lists, n, 0,
	    &more, cf_record, seen, err);
	for (i = 0; i < n; i++)
		free(lists[i]);
	free(lists);
	return code;
}

/* Few names one by one; else all TXT records of the zone, unless that were more
 * calls than there are names. */
static enum pl_code
cf_read(void *self, const struct pl_call *call,
    const struct cloud_zone *zone, char *const *names, size_t n, bool all,
    struct cloud_seen *seen, struct pl_err *err)
{
	struct cloudflare *f = self;
	enum pl_code code;
	const char *list;
	struct pl_buf b;
	bool more = false;

	if (n <= CF_BY_NAME || all)
		return cf_read_names(f, call, zone, names, n, seen, err);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, CF_ZONES "/%s/dns_records?type=TXT&per_page=%d&",
	    zone->id, CF_PAGE);
	list = b.data;
	code = cf_lists(f, call, "records", &list, 1, (int64_t)n, &more,
	    cf_record, seen, err);
	pl_buf_clear(&b);
	if (code != PL_OK || !more)
		return code;
	cloud_seen_clear(seen);
	return cf_read_names(f, call, zone, names, n, seen, err);
}

/* ---- changes ---- */

/* One record to add, or to delete by its id. */
struct cf_item {
	size_t change;
	const char *id;
};

struct cf_job {
	struct cloudflare *f;
	struct cloud_work *w;
	struct cf_item *item;
	size_t n;
	struct pl_err *err;
};

static json_t *
cf_json(const struct cf_job *j, const struct cf_item *item)
{
	const struct pl_change *c = &j->w->chg[item->change];
	json_t *o = pl_json_object();
	uint32_t ttl = cloud_seen_ttl(j->w->seen, c, c->ttl);
	struct pl_buf b;

	if (item->id != NULL) {
		pl_json_sets(o, "id", item->id);
		return o;
	}
	pl_json_sets(o, "type", c->kind == PL_CNAME ? "CNAME" : "TXT");
	pl_json_sets(o, "name", c->name);
	pl_buf_init(&b, PL_LIM_BODY);
	if (c->kind == PL_CNAME)
		pl_buf_add(&b, c->value, c->value_len);
	else
		cloud_quote(&b, c->value, c->value_len);
	pl_json_sets(o, "content", b.data);
	pl_buf_clear(&b);
	if (ttl != 1 && ttl < 60)
		ttl = 60;
	pl_json_seti(o, "ttl", ttl > CF_TTL_MOST ? CF_TTL_MOST : ttl);
	/* A proxied alias would answer with addresses. */
	if (c->kind == PL_CNAME)
		pl_json_setb(o, "proxied", false);
	return o;
}

static void
cf_failed(struct cf_job *j, const struct cf_item *item,
    const struct pl_err *err)
{
	cloud_fail(&j->w->out[item->change], err);
	if (j->err->code == PL_OK)
		*j->err = *err;
}

static void
cf_done(struct cf_job *j, const struct cf_item *item, const json_t *record)
{
	struct pl_outcome *o = &j->w->out[item->change];
	const char *id = pl_json_str(pl_json_get(record, "id"));

	/* A value that stands there twice has two records. */
	if (o->code == PL_EUNDONE)
		o->code = PL_OK;
	if (item->id == NULL && id != NULL && strlen(id) < sizeof(o->handle))
		memcpy(o->handle, id, strlen(id) + 1);
}

/* One by one, several at once. */
static void
cf_singles(struct cf_job *j, const struct cf_item *item, size_t n)
{
	static const int64_t gone[] = { 81044, 0 };
	struct pl_http_req *req = pl_array(n + 1, sizeof(*req));
	struct pl_http_res *res = pl_array(n + 1, sizeof(*res));
	struct pl_buf *b = pl_array(2 * n + 1, sizeof(*b));
	struct pl_err err;
	json_t *o, *answer;
	size_t i;

	for (i = 0; i < n; i++) {
		pl_buf_init(&b[2 * i], PL_LIM_LINE);
		pl_buf_init(&b[2 * i + 1], PL_LIM_BODY);
		pl_buf_addf(&b[2 * i], CF_ZONES "/%s/dns_records%s%s",
		    j->w->zone->id, item[i].id != NULL ? "/" : "",
		    item[i].id != NULL ? item[i].id : "");
		req[i] = (struct pl_http_req){ .target = b[2 * i].data,
			.method = item[i].id != NULL ? "DELETE" : "POST",
			.headers = j->f->headers };
		if (item[i].id != NULL)
			continue;
		o = cf_json(j, &item[i]);
		pl_json_dump(&b[2 * i + 1], o);
		pl_json_free(o);
		req[i].body = b[2 * i + 1].data;
		req[i].body_len = b[2 * i + 1].len;
		req[i].content_type = "application/json";
	}
	(void)pl_http_many(j->f->http, req, res, n, CF_PARALLEL,
	    j->w->call->deadline, NULL);
	for (i = 0; i < n; i++) {
		pl_err_clear(&err);
		if (cf_take(&res[i], item[i].id != NULL ? "delete record" :
		    "add record", &answer, &err) == PL_OK ||
		    (item[i].id != NULL && cf_has(answer, gone)))
			cf_done(j, &item[i], pl_json_get(answer, "result"));
		else
			cf_failed(j, &item[i], &err);
		pl_json_free(answer);
		pl_http_res_clear(&res[i]);
		pl_buf_clear(&b[2 * i]);
		pl_buf_clear(&b[2 * i + 1]);
	}
	free(req);
	free(res);
	free(b);
}

/* Takes the answer to a batch that was done. */
static void
cf_batch_done(struct cf_job *j, const struct cf_item *item, size_t n,
    const json_t *result)
{
	const json_t *rows = pl_json_get(result, item->id != NULL ? "deletes" :
	    "posts");
	struct pl_err err;
	size_t i;

	if (pl_json_count(rows) != n) {
		pl_fail(&err, PL_EPROTO, "batch: the answer tells of %zu "
		    "records instead of %zu", pl_json_count(rows), n);
		for (i = 0; i < n; i++)
			cf_failed(j, &item[i], &err);
		return;
	}
	for (i = 0; i < n; i++)
		cf_done(j, &item[i], pl_json_at(rows, i));
}

/* Gives false where this must be tried one by one. */
static bool
cf_batch_taken(struct cf_job *j, const struct cf_item *item, size_t n,
    const struct pl_http_res *res)
{
	struct pl_err err;
	json_t *answer;
	bool good = true;
	size_t i;

	pl_err_clear(&err);
	if (cf_take(res, "batch", &answer, &err) == PL_OK)
		cf_batch_done(j, item, n, pl_json_get(answer, "result"));
	else if (err.code == PL_EREMOTE) {
		j->f->no_batch = res->status == 404 || res->status == 405;
		good = false;
	} else {
		for (i = 0; i < n; i++)
			cf_failed(j, &item[i], &err);
	}
	pl_json_free(answer);
	return good;
}

static bool
cf_batch(struct cf_job *j, const struct cf_item *item, size_t n)
{
	struct pl_http_req req = { .method = "POST",
		.headers = j->f->headers, .content_type = "application/json" };
	struct pl_http_res res;
	struct pl_buf target, body;
	json_t *o = pl_json_object(), *rows = pl_json_array();
	size_t i;
	bool good;

	for (i = 0; i < n; i++)
		pl_json_append(rows, cf_json(j, &item[i]));
	pl_json_set(o, item->id != NULL ? "deletes" : "posts", rows);
	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_buf_addf(&target, CF_ZONES "/%s/dns_records/batch",
	    j->w->zone->id);
	pl_json_dump(&body, o);
	pl_json_free(o);
	req.target = target.data;
	req.body = body.data;
	req.body_len = body.len;
	(void)pl_http_call(j->f->http, &req, &res, j->w->call->deadline, NULL);
	good = cf_batch_taken(j, item, n, &res);
	pl_http_res_clear(&res);
	pl_buf_clear(&target);
	pl_buf_clear(&body);
	return good;
}

/* Would what stopped this change stop the next one as well? */
static bool
cf_stopped(const struct cf_job *j)
{
	return j->err->code != PL_OK && j->err->code != PL_EREMOTE;
}

static enum pl_code
cf_change(struct cf_job *j)
{
	size_t i, k, m, n;

	pl_err_clear(j->err);
	for (i = 0; i < j->n && !cf_stopped(j); i += n) {
		n = j->n - i < CF_BATCH ? j->n - i : CF_BATCH;
		if (n > 1 && !j->f->no_batch && cf_batch(j, &j->item[i], n))
			continue;
		for (k = 0; k < n && !cf_stopped(j); k += m) {
			m = n - k < CF_ROUND ? n - k : CF_ROUND;
			cf_singles(j, &j->item[i + k], m);
		}
	}
	free(j->item);
	return j->err->code;
}

static enum pl_code
cf_add(void *self, struct cloud_work *w, struct pl_err *err)
{
	struct cf_job j = { .f = self, .w = w, .n = w->ntodo, .err = err };
	size_t i;

	j.item = pl_array(w->ntodo + 1, sizeof(*j.item));
	for (i = 0; i < w->ntodo; i++)
		j.item[i].change = w->todo[i];
	return cf_change(&j);
}

static enum pl_code
cf_del(void *self, struct cloud_work *w, struct pl_err *err)
{
	struct cf_job j = { .f = self, .w = w, .err = err };
	const struct cloud_record *r;
	size_t i;

	for (i = 0; i < w->ntodo; i++) {
		for (r = NULL; (r = cloud_seen_value(w->seen,
		    &w->chg[w->todo[i]], r)) != NULL;) {
			j.item = pl_grow(j.item, j.n + 1, sizeof(*j.item));
			j.item[j.n++] = (struct cf_item){ w->todo[i], r->id };
		}
	}
	return cf_change(&j);
}

static const struct cloud_api cf_api = { cf_read, cf_add, cf_del };

static enum pl_code
cloudflare_apply(void *self, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct cloudflare *f = self;
	struct cloud_zone *zone;

	pl_err_clear(err);
	pl_http_log(f->http, call->log);
	if (*scope == '\0' && n == 0) {
		if (cf_zones(f, call, NULL, err) != PL_OK)
			return err->code;
		cloud_zones_say(&f->zones, call);
		cf_warn(f, call);
		return PL_OK;
	}
	if (cf_scope(f, call, scope, &zone, err) != PL_OK)
		return err->code;
	if (strcmp(zone->name, scope) != 0)
		return pl_fail(err, PL_ENOZONE, "zone %s: not in this account",
		    scope);
	if (n > 0)
		return cloud_apply(f, &cf_api, call, zone, &f->seen, chg, out,
		    n, err);
	return cf_read(f, call, zone, &zone->name, 1, false, &f->seen, err);
}

/* ---- open and close ---- */

static void
cloudflare_close(void *self)
{
	struct cloudflare *f = self;

	pl_http_close(f->http);
	pl_secret_free(f->secret);
	free(f->email);
	free(f->zone_id);
	cloud_zones_clear(&f->zones);
	cloud_zones_clear(&f->one);
	cloud_seen_clear(&f->seen);
	free(f);
}

static enum pl_code
cloudflare_open(void **self, const struct pl_settings *set,
    struct pl_err *err)
{
	bool token = pl_setting_has_secret(set, "api-token");
	struct cloudflare *f = pl_alloc(sizeof(*f));

	*self = NULL;
	f->email = pl_strdup(pl_setting(set, "email"));
	f->zone_id = pl_strdup(pl_setting(set, "zone-id"));
	if (cloud_open(&f->http, set, CF_ENDPOINT, 0, err) != PL_OK ||
	    pl_setting_secret(set, token ? "api-token" : "api-key", false,
	    &f->secret, err) != PL_OK) {
		cloudflare_close(f);
		return err->code;
	}
	if (token) {
		f->headers[0] = (struct pl_http_header){ "Authorization",
			"Bearer ", f->secret };
	} else {
		f->headers[0] = (struct pl_http_header){ "X-Auth-Email",
			f->email, NULL };
		f->headers[1] = (struct pl_http_header){ "X-Auth-Key", "",
			f->secret };
	}
	*self = f;
	return PL_OK;
}

static uint32_t
cloudflare_requests(void *self)
{
	const struct cloudflare *p = self;

	return pl_http_requests(p->http);
}

const struct pl_provider pl_provider_cloudflare = {
	.desc = &pl_desc_cloudflare,
	.open = cloudflare_open,
	.scope = cloudflare_scope,
	.apply = cloudflare_apply,
	.close = cloudflare_close,
	.requests = cloudflare_requests,
};

#endif
