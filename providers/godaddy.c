/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * GoDaddy, Domains API v1.  PATCH appends values; a value is removed by
 * writing its set, one type at one name, without it, and the last one by
 * deleting the set.  Nothing guards that, so a set is read right before and
 * right after.  No call here can touch a second set.
 */
#include <string.h>

#include "providers.h"

#define GD_TTL 600		/* the vendor's least */

/* ---- description ------------------------------------------------------ */

static const struct pl_option godaddy_options[] = {
	{ .name = "key", .type = PL_OPT_STRING, .required = true,
	    .help = "API key, of the production environment" },
	{ .name = "secret", .type = PL_OPT_SECRET, .required = true,
	    .help = "secret of the API key" },
	{ .name = NULL },
};

static enum pl_code
godaddy_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *key = pl_setting(set, "key");

	if (key != NULL && (*key == '\0' || strpbrk(key, ": \t\r\n") != NULL))
		return pl_fail(err, PL_EINVAL, "key: blanks and colons are no "
		    "part of an API key");
	return PL_OK;
}

static const char godaddy_recipe[] =
    "GoDaddy's keys have no scope: a key can do with all domains what its\n"
    "account may.  Keep the domains of these names in an account of their\n"
    "own, or lead these names by CNAME into a zone elsewhere:\n"
    "@    %R\n";

const struct pl_provider_desc pl_desc_godaddy = {
	.name = "godaddy",
	.program = "placard-http",
	.summary = "GoDaddy DNS",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_HTTP,
	.max_batch = 500,
	.min_ttl = GD_TTL,
	.default_ttl = GD_TTL,
	.parallel = 1,
	/* So many a minute at each endpoint, of which we use several. */
	.rate = 60,
	.burst = 60,
	.options = godaddy_options,
	.check = godaddy_check,
	.recipe = godaddy_recipe,
};

#ifndef PL_DESCRIBE

#include <stdlib.h>

#include "godaddy.h"

#define GD_ENDPOINT	"https://api.godaddy.com"
#define GD_BY_NAME	2	/* up to so many names are asked for singly */
#define GD_CHUNK	10	/* sets written between two readings */
#define GD_PARALLEL	4
#define GD_TTL_MOST	604800

static enum pl_code
godaddy_scope(void *self, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct godaddy *g = self;
	const char *zone;
	enum pl_code code;

	pl_http_log(g->http, call->log);
	code = godaddy_find(g, call, name, &zone, err);
	if (code == PL_OK)
		memcpy(scope, zone, strlen(zone) + 1);
	/* What stops one name of this call stops all of them. */
	else if (code != PL_ENOZONE)
		(void)cloud_zones_fail(&g->zones, call, err);
	return code;
}

/* ---- records ---- */

static enum pl_code
gd_record(struct cloud_seen *seen, const json_t *row, const char *zone,
    enum cloud_type type, struct pl_err *err)
{
	const char *host = pl_json_str(pl_json_get(row, "name"));
	const char *data = pl_json_str(pl_json_get(row, "data"));
	struct pl_buf b;

	if (host == NULL || data == NULL)
		return pl_fail(err, PL_EPROTO, "records: the answer has "
		    "another shape than expected");
	pl_buf_init(&b, PL_LIM_LINE);
	if (strcmp(host, "@") == 0)
		pl_buf_adds(&b, zone);
	else
		pl_buf_addf(&b, "%s.%s", host, zone);
	if (!b.failed)
		(void)cloud_seen_add(seen, b.data, type,
		    type == CLOUD_CNAME && strcmp(data, "@") == 0 ? zone :
		    data, type == CLOUD_CNAME && strcmp(data, "@") == 0 ?
		    strlen(zone) : strlen(data), NULL,
		    pl_json_num(pl_json_get(row, "ttl")));
	pl_buf_clear(&b);
	return PL_OK;
}

/* Records of a type, of one name or of the whole zone, to the last page. */
static enum pl_code
gd_read_type(struct godaddy *g, const struct pl_call *call, const char *zone,
    enum cloud_type type, const char *name, struct cloud_seen *seen,
    struct pl_err *err)
{
	enum pl_code code = PL_OK;
	size_t n = GODADDY_PAGE, i, page;
	struct pl_buf b;
	json_t *rows;

	pl_buf_init(&b, PL_LIM_LINE);
	for (page = 0; code == PL_OK && n == GODADDY_PAGE &&
	    page < GODADDY_PAGES; page++) {
		pl_buf_reset(&b);
		pl_buf_addf(&b, GODADDY_DOMAINS "/%s/records/%s", zone,
		    type == CLOUD_TXT ? "TXT" : "CNAME");
		if (name != NULL) {
			struct pl_buf host;

			pl_buf_init(&host, PL_LIM_LINE);
			cloud_relative(&host, name, zone, "@");
			pl_buf_addc(&b, '/');
			pl_url_escape(&b, host.data, false);
			pl_buf_clear(&host);
		}
		pl_buf_addf(&b, "?limit=%d", GODADDY_PAGE);
		if (page > 0)
			pl_buf_addf(&b, "&offset=%zu", page * GODADDY_PAGE);
		code = godaddy_get(g, call, b.data, "records", &rows, err);
		n = code == PL_OK ? pl_json_count(rows) : 0;
		for (i = 0; code == PL_OK && i < n; i++)
			code = gd_record(seen, pl_json_at(rows, i), zone,
			    type, err);
		pl_json_free(rows);
	}
	pl_buf_clear(&b);
	if (code == PL_EREMOTE && err->http == 404)
		code = err->code = PL_ENOZONE;
	return code;
}

static enum pl_code
gd_read(void *self, const struct pl_call *call,
    const struct cloud_zone *zone, char *const *names, size_t n, bool all,
    struct cloud_seen *seen, struct pl_err *err)
{
	static const enum cloud_type types[] = { CLOUD_TXT, CLOUD_CNAME };
	enum pl_code code = PL_OK;
	size_t i, t;

	(void)all;
	for (t = 0; t < PL_NELEM(types); t++) {
		if (n > GD_BY_NAME)
			code = gd_read_type(self, call, zone->name, types[t],
			    NULL, seen, err);
		for (i = 0; n <= GD_BY_NAME && i < n && code == PL_OK; i++)
			code = gd_read_type(self, call, zone->name, types[t],
			    names[i], seen, err);
		if (code != PL_OK)
			break;
	}
	return code;
}

/* ---- adding ---- */

static const char *
gd_type(const struct pl_change *c)
{
	return c->kind == PL_CNAME ? "CNAME" : "TXT";
}

static uint32_t
gd_ttl(uint32_t ttl)
{
	return ttl < GD_TTL ? GD_TTL : ttl > GD_TTL_MOST ? GD_TTL_MOST : ttl;
}

static json_t *
gd_json(struct cloud_work *w, const struct pl_change *c)
{
	json_t *o = pl_json_object();
	struct pl_buf host;

	pl_buf_init(&host, PL_LIM_LINE);
	cloud_relative(&host, c->name, w->zone->name, "@");
	pl_json_sets(o, "type", gd_type(c));
	pl_json_sets(o, "name", host.data);
	pl_json_set(o, "data", pl_json_stringn(c->value, c->value_len));
	pl_json_seti(o, "ttl", gd_ttl(cloud_seen_ttl(w->seen, c, c->ttl)));
	pl_buf_clear(&host);
	return o;
}

/* Which of n records a refusal is about: "records[3].data"; n: none. */
static size_t
gd_culprit(const json_t *answer, size_t n)
{
	const json_t *field = pl_json_at(pl_json_get(answer, "fields"), 0);
	const char *path = pl_json_str(pl_json_get(field, "path"));
	char number[8];
	size_t len;
	int64_t i;

	if (path == NULL || strncmp(path, "records[", 8) != 0)
		return n;
	len = strspn(path + 8, "0123456789");
	if (len == 0 || len >= sizeof(number) || path[8 + len] != ']')
		return n;
	memcpy(number, path + 8, len);
	number[len] = '\0';
	return pl_int_parse(&i, number, 0, (int64_t)n - 1, NULL) == PL_OK ?
	    (size_t)i : n;
}

/* Appends the values of these changes; *bad is the one that is refused, n
 * where it is not known which. */
static enum pl_code
gd_patch(struct godaddy *g, struct cloud_work *w, const size_t *todo,
    size_t n, size_t *bad, struct pl_err *err)
{
	struct pl_http_req req = { .method = "PATCH", .headers = g->headers,
		.content_type = "application/json" };
	json_t *rows = pl_json_array(), *answer;
	struct pl_buf target, body;
	enum pl_code code;
	size_t i;

	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_init(&body, PL_LIM_FRAME);
	for (i = 0; i < n; i++)
		pl_json_append(rows, gd_json(w, &w->chg[todo[i]]));
	pl_json_dump(&body, rows);
	pl_json_free(rows);
	pl_buf_addf(&target, GODADDY_DOMAINS "/%s/records", w->zone->name);
	req.target = target.data;
	req.body = body.data;
	req.body_len = body.len;
	code = godaddy_call(g, w->call, &req, "add records", true, &answer,
	    err);
	*bad = gd_culprit(answer, n);
	pl_json_free(answer);
	pl_buf_clear(&target);
	pl_buf_clear(&body);
	return code;
}

static bool
gd_unstored(const struct godaddy *g, const char *name)
{
	size_t i;

	for (i = 0; i < g->nunstored; i++)
		if (strcmp(g->unstored[i], name) == 0)
			return true;
	return false;
}

/*
 * Done, said the API, and yet it is not there.  It may come later, so this
 * must not pass for "refused": the journal keeps what may be in the world.
 * What was stored instead cannot be seen well, so it is not tried again.
 */
static void
gd_not_stored(struct godaddy *g, const char *name, struct pl_outcome *o,
    struct pl_err *err)
{
	struct pl_err e;

	if (!gd_unstored(g, name)) {
		g->unstored = pl_grow(g->unstored, g->nunstored + 1,
		    sizeof(char *));
		g->unstored[g->nunstored++] = pl_strdup(name);
	}
	pl_fail(&e, PL_EPROTO, "name %s: the API said done but has not stored "
	    "the value (is Domain Protection on?)", name);
	cloud_fail(o, &e);
	if (err->code == PL_OK)
		*err = e;
}

/* An answer of 200 has been seen to store something else. */
static void
gd_read_back(struct godaddy *g, struct cloud_work *w, struct pl_err *err)
{
	struct cloud_seen now = { .r = NULL };
	struct pl_outcome *o;
	struct pl_err e;
	char **names;
	size_t m, i;

	pl_err_clear(&e);
	names = cloud_names(w->chg, w->todo, w->ntodo, &m);
	if (gd_read(g, w->call, w->zone, names, m, false, &now, &e) == PL_OK) {
		for (i = 0; i < w->ntodo; i++) {
			o = &w->out[w->todo[i]];
			if (o->code != PL_OK || cloud_seen_value(&now,
			    &w->chg[w->todo[i]], NULL) != NULL)
				continue;
			gd_not_stored(g, w->chg[w->todo[i]].name, o, err);
		}
	}
	cloud_seen_clear(&now);
	cloud_names_free(names, m);
}

/* All in one call.  A refusal names the record it is about: the others go
 * again without that one. */
static enum pl_code
gd_add(void *self, struct cloud_work *w, struct pl_err *err)
{
	size_t *todo = pl_array(w->ntodo + 1, sizeof(*todo)), n = 0;
	size_t bad, i, done = 0;
	struct godaddy *g = self;
	struct pl_err e;

	for (i = 0; i < w->ntodo; i++) {
		if (gd_unstored(g, w->chg[w->todo[i]].name))
			gd_not_stored(g, w->chg[w->todo[i]].name,
			    &w->out[w->todo[i]], err);
		else
			todo[n++] = w->todo[i];
	}
	while (n > 0) {
		pl_err_clear(&e);
		if (gd_patch(g, w, todo, n, &bad, &e) == PL_OK) {
			for (i = 0; i < n; i++)
				w->out[todo[i]].code = PL_OK;
			done += n;
			break;
		}
		if (err->code == PL_OK)
			*err = e;
		if (e.code == PL_EREMOTE && bad < n) {
			cloud_fail(&w->out[todo[bad]], &e);
			memmove(&todo[bad], &todo[bad + 1],
			    (n - bad - 1) * sizeof(*todo));
			n--;
			continue;
		}
		for (i = 0; i < n; i++)
			cloud_fail(&w->out[todo[i]], &e);
		break;
	}
	if (done > 0)
		gd_read_back(g, w, err);
	free(todo);
	return err->code;
}

/* ---- removing ---- */

/* Is this what old clients have left behind because they could not delete?
 * The API would refuse it when the set is written. */
static bool
gd_junk(const struct cloud_record *r)
{
	return r->type == CLOUD_TXT && (strspn(r->value, " ") == r->len ||
	    strcmp(r->value, "null") == 0);
}

/* One set that is to be written: changes todo[first .. first + n). */
struct gd_set {
	size_t first, n;
	struct pl_buf target, body;
};

static int
gd_set_order(const void *a, const void *b, void *arg)
{
	const struct pl_change *chg = arg, *x = &chg[*(const size_t *)a],
	    *y = &chg[*(const size_t *)b];
	int d = strcmp(x->name, y->name);

	return d != 0 ? d : (x->kind > y->kind) - (x->kind < y->kind);
}

static bool
gd_leaves(const struct cloud_work *w, const struct gd_set *s,
    const struct cloud_record *r)
{
	const struct pl_change *c;
	size_t i;

	for (i = s->first; i < s->first + s->n; i++) {
		c = &w->chg[w->todo[i]];
		if (c->value_len == r->len && (r->len == 0 ||
		    memcmp(c->value, r->value, r->len) == 0))
			return true;
	}
	return false;
}

/* Writes the call that takes our values out of a set.  False: there is
 * nothing of ours in it. */
static bool
gd_without(struct godaddy *g, struct cloud_work *w, struct gd_set *s,
    struct pl_http_req *req)
{
	const struct pl_change *c = &w->chg[w->todo[s->first]];
	json_t *rest = pl_json_array(), *o;
	struct cloud_record *r;
	struct pl_buf host;
	bool ours = false;
	size_t n;

	for (r = cloud_seen_at(w->seen, c->name, &n); n > 0; r++, n--) {
		if (r->type != (c->kind == PL_CNAME ? CLOUD_CNAME : CLOUD_TXT))
			continue;
		if (gd_leaves(w, s, r)) {
			ours = true;
			continue;
		}
		if (gd_junk(r))
			continue;
		o = pl_json_object();
		pl_json_set(o, "data", pl_json_stringn(r->value, r->len));
		pl_json_seti(o, "ttl", gd_ttl(r->ttl));
		pl_json_append(rest, o);
	}
	pl_buf_init(&host, PL_LIM_LINE);
	pl_buf_init(&s->target, PL_LIM_LINE);
	pl_buf_init(&s->body, PL_LIM_BODY);
	cloud_relative(&host, c->name, w->zone->name, "@");
	pl_buf_addf(&s->target, GODADDY_DOMAINS "/%s/records/%s/",
	    w->zone->name, gd_type(c));
	pl_url_escape(&s->target, host.data, false);
	pl_json_dump(&s->body, rest);
	*req = (struct pl_http_req){ .method = "DELETE",
		.target = s->target.data, .headers = g->headers };
	if (pl_json_count(rest) > 0) {
		req->method = "PUT";
		req->body = s->body.data;
		req->body_len = s->body.len;
		req->content_type = "application/json";
	}
	pl_buf_clear(&host);
	pl_json_free(rest);
	return ours;
}

static void
gd_set_done(struct cloud_work *w, const struct gd_set *s,
    const struct pl_err *e)
{
	size_t i;

	for (i = s->first; i < s->first + s->n; i++) {
		if (e->code == PL_OK)
			w->out[w->todo[i]].code = PL_OK;
		else
			cloud_fail(&w->out[w->todo[i]], e);
	}
}

/* Writes some sets, several at once. */
static void
gd_write(struct godaddy *g, struct cloud_work *w, struct gd_set *sets,
    size_t n, struct pl_err *err)
{
	struct pl_http_req req[GD_CHUNK];
	struct pl_http_res res[GD_CHUNK];
	struct gd_set *mine[GD_CHUNK];
	struct pl_err e;
	json_t *answer;
	size_t i, m = 0;

	pl_err_clear(&e);
	for (i = 0; i < n; i++) {
		if (gd_without(g, w, &sets[i], &req[m]))
			mine[m++] = &sets[i];
		else
			gd_set_done(w, &sets[i], &e);
	}
	(void)pl_http_many(g->http, req, res, m, GD_PARALLEL,
	    w->call->deadline, NULL);
	for (i = 0; i < m; i++) {
		pl_err_clear(&e);
		if (godaddy_take(&res[i], "remove records", true, &answer,
		    &e) != PL_OK && res[i].code == PL_OK && res[i].status == 404 &&
		    e.code == PL_EREMOTE)
			pl_err_clear(&e);	/* the set is gone already */
		gd_set_done(w, mine[i], &e);
		if (err->code == PL_OK && e.code != PL_OK)
			*err = e;
		pl_json_free(answer);
		pl_http_res_clear(&res[i]);
	}
	for (i = 0; i < n; i++) {
		pl_buf_clear(&sets[i].target);
		pl_buf_clear(&sets[i].body);
	}
}

/* Reads the sets of the last round once more, and those of the next. */
static enum pl_code
gd_look_again(struct godaddy *g, struct cloud_work *w, size_t first,
    size_t upto, struct pl_err *err)
{
	const struct cloud_api only = { .read = gd_read };
	char **names;
	size_t m;

	names = cloud_names(w->chg, w->todo + first, upto - first, &m);
	return cloud_read(g, &only, w->call, w->zone, w->seen, names, m,
	    false, err);
}

/* What was to be gone and is there again: another writer has put back the
 * set as it was before us. */
static void
gd_verify(struct cloud_work *w, const struct gd_set *sets, size_t n,
    struct pl_err *err)
{
	const struct pl_change *c;
	struct pl_err e;
	size_t i, k;

	for (k = 0; k < n; k++) {
		for (i = sets[k].first; i < sets[k].first + sets[k].n; i++) {
			c = &w->chg[w->todo[i]];
			if (w->out[w->todo[i]].code != PL_OK ||
			    cloud_seen_value(w->seen, c, NULL) == NULL)
				continue;
			pl_fail(&e, PL_ECONFLICT, "name %s: somebody else has "
			    "written the set at the same time", c->name);
			cloud_fail(&w->out[w->todo[i]], &e);
			if (err->code == PL_OK)
				*err = e;
		}
	}
}

static size_t
gd_sets(struct cloud_work *w, struct gd_set **out)
{
	struct gd_set *sets = pl_array(w->ntodo + 1, sizeof(*sets));
	const struct pl_change *c, *last = NULL;
	size_t i, n = 0;

	qsort_r(w->todo, w->ntodo, sizeof(*w->todo), gd_set_order,
	    (void *)(uintptr_t)w->chg);
	for (i = 0; i < w->ntodo; i++) {
		c = &w->chg[w->todo[i]];
		if (last == NULL || strcmp(last->name, c->name) != 0 ||
		    last->kind != c->kind)
			sets[n++].first = i;
		sets[n - 1].n++;
		last = c;
	}
	*out = sets;
	return n;
}

/*
 * Sets are written a few at a time, each time right after they were read.  The
 * reading for the next few shows as well what became of the last.
 */
static enum pl_code
gd_del(void *self, struct cloud_work *w, struct pl_err *err)
{
	struct gd_set *sets;
	size_t n = gd_sets(w, &sets), i, next, end;
	struct pl_err e;

	for (i = 0; i < n; i = next) {
		next = n - i < GD_CHUNK ? n : i + GD_CHUNK;
		end = n - next < GD_CHUNK ? n : next + GD_CHUNK;
		gd_write(self, w, &sets[i], next - i, err);
		/* One set that is refused is no reason to leave the rest. */
		if (err->code != PL_OK && err->code != PL_EREMOTE)
			break;
		if (gd_look_again(self, w, sets[i].first, end < n ?
		    sets[end].first : w->ntodo, &e) == PL_OK) {
			gd_verify(w, &sets[i], next - i, err);
		} else {
			if (next < n && err->code == PL_OK)
				*err = e;
			break;
		}
	}
	free(sets);
	return err->code;
}

static const struct cloud_api gd_api = { gd_read, gd_add, gd_del };

static enum pl_code
godaddy_apply(void *self, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct cloud_zone zone = { .name = (char *)(uintptr_t)scope };
	struct godaddy *g = self;

	pl_err_clear(err);
	pl_http_log(g->http, call->log);
	if (n > 0)
		return cloud_apply(g, &gd_api, call, &zone, &g->seen, chg, out,
		    n, err);
	if (*scope == '\0') {
		if (godaddy_list(g, call, err) != PL_OK)
			return err->code;
		if (!g->unlisted)
			cloud_zones_say(&g->zones, call);
		return PL_OK;
	}
	cloud_seen_clear(&g->seen);
	return gd_read_type(g, call, scope, CLOUD_TXT, scope, &g->seen, err);
}

/* ---- open and close ---- */

static void
godaddy_close(void *self)
{
	struct godaddy *g = self;

	pl_http_close(g->http);
	pl_secret_free(g->secret);
	free(g->key);
	cloud_zones_clear(&g->zones);
	cloud_seen_clear(&g->seen);
	godaddy_probes_clear(g);
	cloud_names_free(g->unstored, g->nunstored);
	free(g);
}

static enum pl_code
godaddy_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	struct godaddy *g = pl_alloc(sizeof(*g));
	struct pl_buf b;

	*self = NULL;
	if (cloud_open(&g->http, set, GD_ENDPOINT, 0, err) != PL_OK ||
	    pl_setting_secret(set, "secret", false, &g->secret, err) !=
	    PL_OK) {
		godaddy_close(g);
		return err->code;
	}
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "sso-key %s:", pl_setting(set, "key"));
	g->key = pl_buf_take(&b);
	g->headers[0] = (struct pl_http_header){ "Authorization", g->key,
		g->secret };
	*self = g;
	return PL_OK;
}

static uint32_t
godaddy_requests(void *self)
{
	const struct godaddy *p = self;

	return pl_http_requests(p->http);
}

const struct pl_provider pl_provider_godaddy = {
	.desc = &pl_desc_godaddy,
	.open = godaddy_open,
	.scope = godaddy_scope,
	.apply = godaddy_apply,
	.close = godaddy_close,
	.requests = godaddy_requests,
};

#endif
