/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * ClouDNS HTTP API.  Credentials travel in each request's form, so every call
 * is a POST.  Every answer is HTTP 200: an object whose `status` is the text
 * "Failed" is a refusal, told apart by its sentence.
 */
#include <string.h>

#include "providers.h"

/* ---- description ------------------------------------------------------ */

static const struct pl_option cloudns_options[] = {
	{ .name = "auth-id", .type = PL_OPT_STRING,
	    .help = "id of the API user; or one of the next two" },
	{ .name = "sub-auth-id", .type = PL_OPT_STRING,
	    .help = "id of an API sub-user" },
	{ .name = "sub-auth-user", .type = PL_OPT_STRING,
	    .help = "name of an API sub-user" },
	{ .name = "auth-password", .type = PL_OPT_SECRET, .required = true,
	    .help = "password of the API user or sub-user" },
	{ .name = NULL },
};

static enum pl_code
cloudns_check(const struct pl_settings *set, struct pl_err *err)
{
	unsigned n = (pl_setting(set, "auth-id") != NULL) +
	    (pl_setting(set, "sub-auth-id") != NULL) +
	    (pl_setting(set, "sub-auth-user") != NULL);

	if (n != 1)
		return pl_fail(err, PL_EINVAL, "auth-id: exactly one of "
		    "auth-id, sub-auth-id and sub-auth-user is needed");
	return PL_OK;
}

static const char cloudns_recipe[] =
    "An API sub-user (API & Resellers, API sub users) with a password of its\n"
    "own, limited to this host's address, to whom only the zones of these\n"
    "names are delegated:\n"
    "@    %D\n"
    "It is sub-auth-user here.  Rights do not end at a name; a CNAME of these\n"
    "into a zone of its own narrows them down:\n"
    "@    %R\n";

const struct pl_provider_desc pl_desc_cloudns = {
	.name = "cloudns",
	.program = "placard-http",
	.summary = "ClouDNS",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_HTTP | PL_P_SPREAD,
	.max_batch = 300,
	.min_ttl = 60,
	.default_ttl = 60,
	.parallel = 1,
	/* So many a minute, 20 a second (see CN_RATE), of one address. */
	.rate = 500,
	.burst = 100,
	.options = cloudns_options,
	.check = cloudns_check,
	.recipe = cloudns_recipe,
};

#ifndef PL_DESCRIBE

#include <stdlib.h>

#include "cloud.h"

#define CN_ENDPOINT	"https://api.cloudns.net"
#define CN_ROWS		100	/* rows of a page: the most there is */
#define CN_PAGES	500
#define CN_BY_NAME	3	/* up to so many names are asked for singly */
#define CN_PARALLEL	4
#define CN_RATE		17	/* a second; with its surge below the 20 allowed */
#define CN_BLOCKED_MS	1000

/* What the vendor's lists agree on; an account may have others. */
static const uint32_t cn_ttls[] = { 60, 300, 900, 1800, 3600, 21600, 43200,
	86400, 172800, 259200, 604800, 1209600, 2592000 };

struct cloudns {
	struct pl_http *http;
	struct pl_secret *password;
	const char *kind;	/* "auth-id" */
	char *id;
	bool known;		/* the credentials have been accepted */
	struct cloud_zones zones;
	struct cloud_seen seen;
	uint32_t *ttls;		/* the account's, in order */
	size_t nttls;
};

/* ---- calls ---- */

/* One request of one operation; its form has the credentials already. */
struct cn_req {
	struct pl_buf target, form;
};

static void
cn_begin(struct cloudns *c, struct cn_req *r, const char *operation)
{
	pl_buf_init(&r->target, PL_LIM_LINE);
	pl_buf_init(&r->form, PL_LIM_BODY);
	pl_buf_addf(&r->target, "/dns/%s.json", operation);
	pl_form_add(&r->form, c->kind, c->id);
	pl_form_add_secret(&r->form, "auth-password", c->password);
}

static struct pl_http_req
cn_post(const struct cn_req *r)
{
	return (struct pl_http_req){ .method = "POST",
		.target = r->target.data, .body = r->form.data,
		.body_len = r->form.len,
		.content_type = "application/x-www-form-urlencoded" };
}

static void
cn_end(struct cn_req *r)
{
	pl_buf_clear(&r->target);
	pl_buf_clear(&r->form);
}

/* The sense of a refusal.  The vendor changes its sentences over time. */
static enum pl_code
cn_code(const char *text)
{
	static const struct {
		const char *part;
		enum pl_code code;
	} all[] = {
		{ "authentication", PL_EAUTH },
		{ "auth-password", PL_EAUTH },
		{ "access to the http api", PL_EAUTH },
		{ "check your plan", PL_EAUTH },
		{ "request blocked", PL_ELIMIT },
		{ "requests per", PL_ELIMIT },
		{ "missing domain-name", PL_ENOZONE },
		{ "missing domain name", PL_ENOZONE },
	};
	size_t i;

	for (i = 0; i < PL_NELEM(all); i++)
		if (strcasestr(text, all[i].part) != NULL)
			return all[i].code;
	return PL_EREMOTE;
}

/* Judges an answer; gives *out. */
static enum pl_code
cn_take(const struct pl_http_res *res, const char *what, json_t **out,
    struct pl_err *err)
{
	const char *status, *text;

	if (cloud_json(res, what, out, err) != PL_OK)
		return err->code;
	status = pl_json_str(pl_json_get(*out, "status"));
	text = pl_json_str(pl_json_get(*out, "statusDescription"));
	if (res->status != 200)
		return cloud_status(res, pl_http_code(res->status), what, "",
		    err);
	if (!pl_streq(status, "Failed"))
		return PL_OK;
	if (text == NULL)
		text = "failed without a reason";
	pl_fail(err, cn_code(text), "%s: %s", what, text);
	if (err->code == PL_ELIMIT)
		err->retry_after = res->retry_after > 0 ? res->retry_after :
		    CN_BLOCKED_MS;
	return err->code;
}

/* Sends one request and ends it; gives *out. */
static enum pl_code
cn_call(struct cloudns *c, const struct pl_call *call, struct cn_req *r,
    const char *what, json_t **out, struct pl_err *err)
{
	struct pl_http_req req = cn_post(r);
	struct pl_http_res res;
	enum pl_code code;

	(void)pl_http_call(c->http, &req, &res, call->deadline, NULL);
	code = cn_take(&res, what, out, err);
	pl_http_res_clear(&res);
	cn_end(r);
	return code;
}

static bool
cn_succeeded(const json_t *answer)
{
	return pl_streq(pl_json_str(pl_json_get(answer, "status")),
	    "Success");
}

static enum pl_code
cn_shape(const char *what, struct pl_err *err)
{
	return pl_fail(err, PL_EPROTO, "%s: the answer has another shape than "
	    "expected", what);
}

/* Asked about a zone, wrong credentials may look like "no such zone". */
static enum pl_code
cn_login(struct cloudns *c, const struct pl_call *call, struct pl_err *err)
{
	struct cn_req r;
	enum pl_code code;
	json_t *answer;

	if (c->known)
		return PL_OK;
	cn_begin(c, &r, "login");
	code = cn_call(c, call, &r, "login", &answer, err);
	if (code == PL_OK && !cn_succeeded(answer))
		code = cn_shape("login", err);
	c->known = code == PL_OK;
	pl_json_free(answer);
	return code;
}

/* ---- zones ---- */

/* A zone as the API lists it. */
static bool
cn_zone(struct cloud_zones *zones, const json_t *row)
{
	char buf[CLOUD_TEXT];
	const char *name = pl_json_str(pl_json_get(row, "name"));
	const char *type = pl_json_str(pl_json_get(row, "type"));
	const char *zone = pl_json_str(pl_json_get(row, "zone"));
	const char *status = cloud_text(pl_json_get(row, "status"), buf,
	    sizeof(buf));
	const char *why = NULL;

	if (name == NULL || type == NULL)
		return false;
	if (zone != NULL && strcmp(zone, "domain") != 0)
		return true;		/* reverse zones and the like */
	if (pl_streq(status, "0"))
		why = "is switched off";
	else if (strcmp(type, "slave") == 0)
		why = "is a slave zone: its records are edited at its master";
	else if (strcmp(type, "parked") == 0)
		why = "is parked: it takes no records";
	/* The id of a cloud domain is looked up when it is needed. */
	(void)cloud_zones_add(zones, name, strcmp(type, "cloud") == 0 ? "" :
	    name, why, false);
	return true;
}

static enum pl_code
cn_zone_page(struct cloudns *c, const struct pl_call *call,
    struct cloud_zones *zones, size_t page, size_t *rows, struct pl_err *err)
{
	struct cn_req r;
	enum pl_code code;
	json_t *answer;
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, CLOUD_TEXT);
	pl_buf_addf(&b, "%zu", page);
	cn_begin(c, &r, "list-zones");
	pl_form_add(&r.form, "page", b.data);
	pl_form_add(&r.form, "rows-per-page", "100");
	pl_buf_clear(&b);
	code = cn_call(c, call, &r, "zones", &answer, err);
	*rows = pl_json_count(answer);
	if (code == PL_OK && !pl_json_is_array(answer))
		code = cn_shape("zones", err);
	for (i = 0; code == PL_OK && i < *rows; i++)
		if (!cn_zone(zones, pl_json_at(answer, i)))
			code = cn_shape("zones", err);
	pl_json_free(answer);
	return code;
}

static enum pl_code
cn_zones(struct cloudns *c, const struct pl_call *call, struct pl_err *err)
{
	struct cloud_zones zones = { .z = NULL };
	enum pl_code code = cn_login(c, call, err);
	size_t page, rows = CN_ROWS;

	for (page = 1; code == PL_OK && rows >= CN_ROWS; page++) {
		code = cn_zone_page(c, call, &zones, page, &rows, err);
		if (code == PL_OK && page == CN_PAGES)
			code = pl_fail(err, PL_EPROTO, "zones: the list does "
			    "not end");
	}
	cloud_zones_clear(code == PL_OK ? &c->zones : &zones);
	if (code == PL_OK) {
		c->zones = zones;
		c->zones.when = pl_mono_ms();
	}
	return code;
}

/* A cloud domain shares the records of its master: there they are edited. */
static enum pl_code
cn_cloud_master(struct cloudns *c, const struct pl_call *call,
    struct cloud_zone *zone, struct pl_err *err)
{
	struct cn_req r;
	const char *master;
	enum pl_code code;
	json_t *answer;

	cn_begin(c, &r, "get-zone-info");
	pl_form_add(&r.form, "domain-name", zone->name);
	code = cn_call(c, call, &r, "zone", &answer, err);
	master = pl_json_str(pl_json_get(answer, "cloud-master"));
	if (code == PL_OK && (master == NULL || *master == '\0'))
		code = pl_fail(err, PL_ENOZONE, "zone %s: a cloud domain whose "
		    "master is not told", zone->name);
	if (code == PL_OK) {
		free(zone->id);
		zone->id = pl_strdup(master);
	}
	pl_json_free(answer);
	return code;
}

static enum pl_code
cn_find(struct cloudns *c, const struct pl_call *call, const char *name,
    struct cloud_zone **zone, struct pl_err *err)
{
	if (cloud_zones_failed(&c->zones, call, err))
		return err->code;
	if ((cloud_zones_old(&c->zones) || cloud_zones_find(&c->zones, name,
	    zone, err) != PL_OK) && cloud_zones_stale(&c->zones) &&
	    cn_zones(c, call, err) != PL_OK)
		return cloud_zones_fail(&c->zones, call, err);
	if (cloud_zones_find(&c->zones, name, zone, err) != PL_OK)
		return err->code;
	return (*zone)->id[0] != '\0' ? PL_OK : cn_cloud_master(c, call, *zone,
	    err);
}

static enum pl_code
cloudns_scope(void *self, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct cloudns *c = self;
	struct cloud_zone *zone;

	pl_http_log(c->http, call->log);
	if (cn_find(c, call, name, &zone, err) != PL_OK)
		return err->code;
	memcpy(scope, zone->name, strlen(zone->name) + 1);
	return PL_OK;
}

/* ---- records ---- */

static bool
cn_record(struct cloud_seen *seen, const json_t *row, const char *zone)
{
	char idbuf[CLOUD_TEXT], ttlbuf[CLOUD_TEXT];
	const char *id = cloud_text(pl_json_get(row, "id"), idbuf,
	    sizeof(idbuf));
	const char *ttl = cloud_text(pl_json_get(row, "ttl"), ttlbuf,
	    sizeof(ttlbuf));
	const char *type = pl_json_str(pl_json_get(row, "type"));
	const char *host = pl_json_str(pl_json_get(row, "host"));
	const char *text = pl_json_str(pl_json_get(row, "record"));
	enum cloud_type kind;
	int64_t seconds = 0;
	struct pl_buf b;

	if (id == NULL || type == NULL || host == NULL)
		return false;
	/* What was not asked for may come all the same. */
	kind = strcmp(type, "TXT") == 0 ? CLOUD_TXT :
	    strcmp(type, "CNAME") == 0 ? CLOUD_CNAME : CLOUD_OTHER;
	if (kind == CLOUD_OTHER)
		return true;
	if (text == NULL)
		return false;
	if (ttl != NULL)
		(void)pl_int_parse(&seconds, ttl, 0, UINT32_MAX, NULL);
	pl_buf_init(&b, PL_LIM_LINE);
	if (*host == '\0' || strcmp(host, "@") == 0)
		pl_buf_adds(&b, zone);
	else
		pl_buf_addf(&b, "%s.%s", host, zone);
	if (!b.failed)
		(void)cloud_seen_add(seen, b.data, kind, text, strlen(text),
		    id, seconds);
	pl_buf_clear(&b);
	return true;
}

/* One page: an object by id, or an empty array.  first: a record of the
 * page, to know it again. */
static enum pl_code
cn_rows(struct cloud_seen *seen, const json_t *answer, const char *zone,
    char first[CLOUD_TEXT], struct pl_err *err)
{
	const char *key;
	json_t *row;
	void *it = NULL;

	first[0] = '\0';
	if (pl_json_is_array(answer) && pl_json_count(answer) == 0)
		return PL_OK;
	if (!pl_json_is_object(answer) || pl_json_count(answer) == 0)
		return cn_shape("records", err);
	while ((it = pl_json_iter(answer, it, &key, &row)) != NULL) {
		if (!cn_record(seen, row, zone))
			return cn_shape("records", err);
		if (strlen(key) < CLOUD_TEXT)
			memcpy(first, key, strlen(key) + 1);
	}
	return PL_OK;
}

static void
cn_list_form(struct cloudns *c, struct cn_req *r, const char *zone,
    const char *type, const char *host, size_t page)
{
	struct pl_buf number;

	cn_begin(c, r, "records");
	pl_form_add(&r->form, "domain-name", zone);
	if (type != NULL)
		pl_form_add(&r->form, "type", type);
	if (host != NULL)
		pl_form_add(&r->form, "host", host);
	pl_buf_init(&number, CLOUD_TEXT);
	pl_buf_addf(&number, "%zu", page);
	pl_form_add(&r->form, "page", number.data);
	pl_form_add(&r->form, "rows-per-page", "100");
	pl_buf_clear(&number);
}

/* All records of a type, or all at one host.  A service that knew no pages
 * would give more rows than were asked for, or the same ones again. */
static enum pl_code
cn_read_list(struct cloudns *c, const struct pl_call *call,
    const struct cloud_zone *zone, const char *type, const char *host,
    struct cloud_seen *seen, struct pl_err *err)
{
	char last[CLOUD_TEXT] = "", first[CLOUD_TEXT];
	enum pl_code code = PL_OK;
	size_t page, rows = CN_ROWS;
	struct cn_req r;
	json_t *answer;

	for (page = 1; code == PL_OK && rows == CN_ROWS && page <= CN_PAGES;
	    page++) {
		cn_list_form(c, &r, zone->id, type, host, page);
		code = cn_call(c, call, &r, "records", &answer, err);
		rows = pl_json_count(answer);
		if (code == PL_OK)
			code = cn_rows(seen, answer, zone->name, first, err);
		pl_json_free(answer);
		if (code == PL_OK && strcmp(first, last) == 0)
			break;
		memcpy(last, first, sizeof(last));
	}
	return code;
}

static enum pl_code
cn_read(void *self, const struct pl_call *call,
    const struct cloud_zone *zone, char *const *names, size_t n, bool all,
    struct cloud_seen *seen, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	struct pl_buf host;
	size_t i;

	(void)all;
	if (n > CN_BY_NAME) {
		code = cn_read_list(self, call, zone, "TXT", NULL, seen, err);
		return code != PL_OK ? code : cn_read_list(self, call, zone,
		    "CNAME", NULL, seen, err);
	}
	for (i = 0; i < n && code == PL_OK; i++) {
		/* At the apex stand TXT records only; without a host all
		 * names are meant. */
		if (strcmp(names[i], zone->name) == 0) {
			code = cn_read_list(self, call, zone, "TXT", NULL,
			    seen, err);
			continue;
		}
		pl_buf_init(&host, PL_LIM_LINE);
		cloud_relative(&host, names[i], zone->name, "");
		code = cn_read_list(self, call, zone, NULL, host.data, seen,
		    err);
		pl_buf_clear(&host);
	}
	return code;
}

/* ---- changes ---- */

static int
cn_ttl_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The account's own list; the common one where it cannot be had. */
static void
cn_read_ttls(struct cloudns *c, const struct pl_call *call)
{
	char buf[CLOUD_TEXT];
	struct cn_req r;
	struct pl_err err;
	const char *text;
	json_t *answer;
	int64_t ttl;
	size_t i;

	if (c->ttls != NULL)
		return;
	cn_begin(c, &r, "get-available-ttl");
	if (cn_call(c, call, &r, "ttl", &answer, &err) != PL_OK ||
	    pl_json_count(answer) > 100)
		goto out;
	c->ttls = pl_array(pl_json_count(answer) + 1, sizeof(*c->ttls));
	for (i = 0; i < pl_json_count(answer); i++) {
		text = cloud_text(pl_json_at(answer, i), buf, sizeof(buf));
		if (text != NULL && pl_int_parse(&ttl, text, 1, INT32_MAX,
		    NULL) == PL_OK)
			c->ttls[c->nttls++] = (uint32_t)ttl;
	}
	qsort(c->ttls, c->nttls, sizeof(*c->ttls), cn_ttl_order);
out:
	pl_json_free(answer);
}

/* The next TTL up that the account may use. */
static uint32_t
cn_ttl(const struct cloudns *c, uint32_t ttl)
{
	const uint32_t *list = c->nttls > 0 ? c->ttls : cn_ttls;
	size_t n = c->nttls > 0 ? c->nttls : PL_NELEM(cn_ttls), i;

	for (i = 0; i < n - 1 && list[i] < ttl; i++)
		continue;
	return list[i];
}

static void
cn_add_form(struct cloudns *c, struct cloud_work *w,
    const struct pl_change *chg, struct cn_req *r)
{
	struct pl_buf b;

	cn_begin(c, r, "add-record");
	pl_form_add(&r->form, "domain-name", w->zone->id);
	pl_form_add(&r->form, "record-type", chg->kind == PL_CNAME ? "CNAME" :
	    "TXT");
	pl_buf_init(&b, PL_LIM_FRAME);
	cloud_relative(&b, chg->name, w->zone->name, "");
	pl_form_add(&r->form, "host", b.data != NULL ? b.data : "");
	pl_buf_reset(&b);
	pl_buf_add(&b, chg->value, chg->value_len);
	pl_form_add(&r->form, "record", b.data != NULL ? b.data : "");
	pl_buf_reset(&b);
	pl_buf_addf(&b, "%u", cn_ttl(c, cloud_seen_ttl(w->seen, chg,
	    chg->ttl)));
	pl_form_add(&r->form, "ttl", b.data);
	pl_buf_clear(&b);
}

static void
cn_del_form(struct cloudns *c, struct cloud_work *w, const char *id,
    struct cn_req *r)
{
	cn_begin(c, r, "delete-record");
	pl_form_add(&r->form, "domain-name", w->zone->id);
	pl_form_add(&r->form, "record-id", id);
}

/* Takes the answer to one change. */
static void
cn_outcome(struct pl_outcome *o, const struct pl_http_res *res, bool add,
    struct pl_err *err)
{
	const char *what = add ? "add record" : "delete record", *id;
	char buf[CLOUD_TEXT];
	enum pl_code code;
	json_t *answer;

	pl_err_clear(err);
	code = cn_take(res, what, &answer, err);
	if (code == PL_OK && !cn_succeeded(answer))
		code = cn_shape(what, err);
	/* Gone already. */
	if (!add && code == PL_EREMOTE && strcasestr(err->text, "record-id") !=
	    NULL) {
		pl_err_clear(err);
		code = PL_OK;
	}
	if (code != PL_OK)
		cloud_fail(o, err);
	else if (o->code == PL_EUNDONE)
		o->code = PL_OK;
	id = cloud_text(pl_json_get(pl_json_get(answer, "data"), "id"), buf,
	    sizeof(buf));
	if (code == PL_OK && add && id != NULL &&
	    strlen(id) < sizeof(o->handle))
		memcpy(o->handle, id, strlen(id) + 1);
	pl_json_free(answer);
}

/* Sends changes, several at once, and in rounds, so that what holds for the
 * account (too fast, refused) stops what has not been sent. */
static enum pl_code
cn_send(struct cloudns *c, struct cloud_work *w, struct cn_req *r,
    const size_t *change, size_t n, bool add, struct pl_err *err)
{
	struct pl_http_req req[CN_PARALLEL];
	struct pl_http_res res[CN_PARALLEL];
	struct pl_err e;
	size_t i, k, m;

	for (i = 0; i < n; i += m) {
		m = n - i < CN_PARALLEL ? n - i : CN_PARALLEL;
		for (k = 0; k < m; k++)
			req[k] = cn_post(&r[i + k]);
		(void)pl_http_many(c->http, req, res, m, CN_PARALLEL,
		    w->call->deadline, NULL);
		for (k = 0; k < m; k++) {
			cn_outcome(&w->out[change[i + k]], &res[k], add, &e);
			if (err->code == PL_OK && e.code != PL_OK)
				*err = e;
			pl_http_res_clear(&res[k]);
		}
		if (err->code != PL_OK && err->code != PL_EREMOTE)
			break;
	}
	for (i = 0; i < n; i++)
		cn_end(&r[i]);
	return err->code;
}

static enum pl_code
cn_add(void *self, struct cloud_work *w, struct pl_err *err)
{
	struct cloudns *c = self;
	struct cn_req *r = pl_array(w->ntodo + 1, sizeof(*r));
	enum pl_code code;
	size_t i;

	cn_read_ttls(c, w->call);
	for (i = 0; i < w->ntodo; i++)
		cn_add_form(c, w, &w->chg[w->todo[i]], &r[i]);
	code = cn_send(c, w, r, w->todo, w->ntodo, true, err);
	free(r);
	return code;
}

static enum pl_code
cn_del(void *self, struct cloud_work *w, struct pl_err *err)
{
	const struct cloud_record *record;
	size_t *change = NULL, n = 0, i;
	struct cn_req *r = NULL;
	enum pl_code code;

	for (i = 0; i < w->ntodo; i++) {
		for (record = NULL; (record = cloud_seen_value(w->seen,
		    &w->chg[w->todo[i]], record)) != NULL; n++) {
			r = pl_grow(r, n + 1, sizeof(*r));
			change = pl_grow(change, n + 1, sizeof(*change));
			cn_del_form(self, w, record->id, &r[n]);
			change[n] = w->todo[i];
		}
	}
	code = cn_send(self, w, r, change, n, false, err);
	free(r);
	free(change);
	return code;
}

static const struct cloud_api cn_api = { cn_read, cn_add, cn_del };

static enum pl_code
cloudns_apply(void *self, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct cloudns *c = self;
	struct cloud_zone *zone;

	pl_err_clear(err);
	pl_http_log(c->http, call->log);
	if (n == 0)
		c->known = false;	/* to be proven now */
	if (cn_login(c, call, err) != PL_OK)
		return err->code;
	if (*scope == '\0' && n == 0) {
		if (cn_zones(c, call, err) != PL_OK)
			return err->code;
		cloud_zones_say(&c->zones, call);
		if (strcmp(c->kind, "auth-id") == 0)
			pl_say_warning(call, "auth-id is a user of the whole "
			    "account; a sub-user reaches only the zones that "
			    "are delegated to it");
		return PL_OK;
	}
	if (cn_find(c, call, scope, &zone, err) != PL_OK)
		return err->code;
	if (strcmp(zone->name, scope) != 0)
		return pl_fail(err, PL_ENOZONE, "zone %s: not in this account",
		    scope);
	return n == 0 ? PL_OK : cloud_apply(c, &cn_api, call, zone, &c->seen,
	    chg, out, n, err);
}

/* ---- spread ---- */

/* is-updated: have all servers the zone as it is now? */
static enum pl_spread_state
cn_updated(struct cloudns *c, const struct pl_call *call, const char *scope)
{
	enum pl_spread_state state = PL_SPREAD_UNKNOWN;
	struct cloud_zone *zone;
	struct pl_err err;
	struct cn_req r;
	json_t *answer;

	pl_err_clear(&err);
	if (cn_find(c, call, scope, &zone, &err) != PL_OK)
		return PL_SPREAD_UNKNOWN;
	cn_begin(c, &r, "is-updated");
	pl_form_add(&r.form, "domain-name", zone->id);
	if (cn_call(c, call, &r, "is updated", &answer, &err) == PL_OK &&
	    pl_json_is_bool(answer))
		state = pl_json_true(answer) ? PL_SPREAD_DONE :
		    PL_SPREAD_NOT_YET;
	else if (err.code == PL_ELIMIT)
		state = PL_SPREAD_NOT_YET;
	pl_json_free(answer);
	return state;
}

/* The vendor knows of zones only. */
static void
cloudns_spread(void *self, const struct pl_call *call,
    struct pl_spread *list, size_t n)
{
	struct cloudns *c = self;
	size_t i;

	pl_http_log(c->http, call->log);
	for (i = 0; i < n; i++)
		list[i].state = i > 0 && strcmp(list[i].scope,
		    list[i - 1].scope) == 0 ? list[i - 1].state :
		    cn_updated(c, call, list[i].scope);
}

/* ---- open and close ---- */

static void
cloudns_close(void *self)
{
	struct cloudns *c = self;

	pl_http_close(c->http);
	pl_secret_free(c->password);
	free(c->id);
	free(c->ttls);
	cloud_zones_clear(&c->zones);
	cloud_seen_clear(&c->seen);
	free(c);
}

static enum pl_code
cloudns_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	static const char *const kinds[] = { "auth-id", "sub-auth-id",
		"sub-auth-user" };
	struct cloudns *c = pl_alloc(sizeof(*c));
	size_t i;

	*self = NULL;
	for (i = 0; i < PL_NELEM(kinds); i++) {
		if (pl_setting(set, kinds[i]) == NULL)
			continue;
		c->kind = kinds[i];
		free(c->id);
		c->id = pl_strdup(pl_setting(set, kinds[i]));
	}
	if (cloud_open(&c->http, set, CN_ENDPOINT, CN_RATE, err) != PL_OK ||
	    pl_setting_secret(set, "auth-password", false, &c->password,
	    err) != PL_OK) {
		cloudns_close(c);
		return err->code;
	}
	*self = c;
	return PL_OK;
}

static uint32_t
cloudns_requests(void *self)
{
	const struct cloudns *p = self;

	return pl_http_requests(p->http);
}

const struct pl_provider pl_provider_cloudns = {
	.desc = &pl_desc_cloudns,
	.open = cloudns_open,
	.scope = cloudns_scope,
	.apply = cloudns_apply,
	.close = cloudns_close,
	.requests = cloudns_requests,
	.spread = cloudns_spread,
};

#endif
