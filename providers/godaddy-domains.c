/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * GoDaddy: calls, and which domains an account has.  The list knows the
 * registered ones; NS records tell of delegations below, and of domains that
 * are hosted here but registered elsewhere.
 */
#include "godaddy.h"

#include <stdlib.h>
#include <string.h>

#define GD_SETTLE_MS	1000	/* after "409: being edited" */
#define GD_PROBED_MS	600000	/* how long a probe is believed */

/* ---- answers ---- */

static enum pl_code
gd_code(const struct pl_http_res *res, const char *code)
{
	if (res->status == 429)
		return pl_streq(code, "QUOTA_EXCEEDED") ? PL_EREMOTE :
		    PL_ELIMIT;
	/* An earlier change is still being taken in. */
	if (res->status == 409)
		return PL_ELIMIT;
	return pl_http_code(res->status);
}

enum pl_code
godaddy_take(const struct pl_http_res *res, const char *what, bool empty,
    json_t **out, struct pl_err *err)
{
	const char *code, *text;
	struct pl_buf why;
	int64_t wait;

	*out = NULL;
	if (empty && res->code == PL_OK && res->body.len == 0 &&
	    (res->status == 200 || res->status == 204))
		return PL_OK;
	if (cloud_json(res, what, out, err) != PL_OK)
		return err->code;
	if (res->status < 300)
		return PL_OK;
	code = pl_json_str(pl_json_get(*out, "code"));
	text = pl_json_str(pl_json_get(*out, "message"));
	if (code == NULL && res->status < 500 && res->status != 429)
		return cloud_status(res, PL_EPROTO, what, "the answer has "
		    "another shape than expected", err);
	pl_buf_init(&why, PL_LIM_LINE);
	pl_buf_addf(&why, "%.60s %.120s", code != NULL ? code : "", text !=
	    NULL ? text : "");
	if (pl_streq(code, "ACCESS_DENIED"))
		pl_buf_adds(&why, " (the vendor opens this API to larger or "
		    "paying accounts only; the key itself is known)");
	else if (pl_streq(code, "QUOTA_EXCEEDED"))
		pl_buf_adds(&why, " (the month's quota of calls is used up)");
	cloud_status(res, gd_code(res, code), what, why.data, err);
	pl_buf_clear(&why);
	wait = pl_json_num(pl_json_get(*out, "retryAfterSec"));
	if (err->code == PL_ELIMIT && wait > 0)
		err->retry_after = (wait < 3600 ? wait : 3600) * 1000;
	if (res->status == 409)
		err->retry_after = GD_SETTLE_MS;
	return err->code;
}

enum pl_code
godaddy_call(struct godaddy *g, const struct pl_call *call,
    const struct pl_http_req *req, const char *what, bool empty,
    json_t **out, struct pl_err *err)
{
	struct pl_http_res res;
	enum pl_code code;

	(void)pl_http_call(g->http, req, &res, call->deadline, NULL);
	code = godaddy_take(&res, what, empty, out, err);
	pl_http_res_clear(&res);
	return code;
}

enum pl_code
godaddy_get(struct godaddy *g, const struct pl_call *call,
    const char *target, const char *what, json_t **out, struct pl_err *err)
{
	struct pl_http_req req = { .method = "GET", .target = target,
		.headers = g->headers };
	enum pl_code code;

	code = godaddy_call(g, call, &req, what, false, out, err);
	if (code == PL_OK && !pl_json_is_array(*out))
		code = pl_fail(err, PL_EPROTO, "%s: the answer holds no list",
		    what);
	if (code != PL_OK) {
		pl_json_free(*out);
		*out = NULL;
	}
	return code;
}

/* ---- domains ---- */

static enum pl_code
gd_domain(struct cloud_zones *zones, const json_t *row, char last[PL_NAME_MAX],
    struct pl_err *err)
{
	const char *name = pl_json_str(pl_json_get(row, "domain"));

	if (name == NULL || strlen(name) >= PL_NAME_MAX)
		return pl_fail(err, PL_EPROTO, "domains: the answer has "
		    "another shape than expected");
	memcpy(last, name, strlen(name) + 1);
	(void)cloud_zones_add(zones, name, name, NULL, false);
	return PL_OK;
}

enum pl_code
godaddy_list(struct godaddy *g, const struct pl_call *call, struct pl_err *err)
{
	struct cloud_zones zones = { .z = NULL };
	char last[PL_NAME_MAX] = "", before[PL_NAME_MAX];
	size_t n = GODADDY_PAGE, i, page;
	enum pl_code code = PL_OK;
	struct pl_buf target;
	json_t *rows;

	pl_buf_init(&target, PL_LIM_LINE);
	for (page = 0; code == PL_OK && n == GODADDY_PAGE; page++) {
		memcpy(before, last, sizeof(before));
		pl_buf_reset(&target);
		pl_buf_addf(&target, GODADDY_DOMAINS
		    "?limit=%d&statuses=ACTIVE", GODADDY_PAGE);
		if (*last != '\0')
			pl_buf_adds(&target, "&marker=");
		pl_url_escape(&target, last, false);
		code = godaddy_get(g, call, target.data, "domains", &rows, err);
		n = code == PL_OK ? pl_json_count(rows) : 0;
		for (i = 0; code == PL_OK && i < n; i++)
			code = gd_domain(&zones, pl_json_at(rows, i), last,
			    err);
		pl_json_free(rows);
		if (code == PL_OK && n == GODADDY_PAGE &&
		    (page == GODADDY_PAGES || strcmp(before, last) == 0))
			code = pl_fail(err, PL_EPROTO, "domains: the list "
			    "does not end");
	}
	pl_buf_clear(&target);
	g->unlisted = code == PL_EAUTH && err->http == 403;
	cloud_zones_clear(code == PL_OK ? &g->zones : &zones);
	if (code == PL_OK) {
		g->zones = zones;
		g->zones.when = pl_mono_ms();
	}
	return g->unlisted ? PL_OK : code;
}

void
godaddy_probes_clear(struct godaddy *g)
{
	size_t i;

	for (i = 0; i < g->nprobes; i++) {
		free(g->probes[i].name);
		cloud_names_free(g->probes[i].cuts, g->probes[i].ncuts);
	}
	free(g->probes);
	g->probes = NULL;
	g->nprobes = 0;
}

static struct gd_probe *
gd_probed(struct godaddy *g, const char *name)
{
	size_t i;

	for (i = 0; i < g->nprobes; i++)
		if (strcmp(g->probes[i].name, name) == 0)
			return &g->probes[i];
	return NULL;
}

static struct gd_probe *
gd_probe_new(struct godaddy *g, const char *name, const json_t *rows)
{
	const char *host;
	struct gd_probe *p;
	struct pl_buf b;
	size_t i;

	if (g->nprobes == 0)
		g->probed = pl_mono_ms();
	g->probes = pl_grow(g->probes, g->nprobes + 1, sizeof(*g->probes));
	p = &g->probes[g->nprobes++];
	*p = (struct gd_probe){ .name = pl_strdup(name),
		.there = rows != NULL };
	for (i = 0; i < pl_json_count(rows); i++) {
		host = pl_json_str(pl_json_get(pl_json_at(rows, i), "name"));
		if (host == NULL || *host == '\0' || strcmp(host, "@") == 0)
			continue;
		pl_buf_init(&b, PL_LIM_LINE);
		pl_buf_addf(&b, "%s.%s", host, name);
		p->cuts = pl_grow(p->cuts, p->ncuts + 1, sizeof(char *));
		p->cuts[p->ncuts++] = pl_buf_take(&b);
	}
	return p;
}

/*
 * Is this a domain whose records are here?  Its NS records tell, and which
 * names below it are delegated.  The domain's own page would tell as well, but
 * holds its transfer code and personal data.
 */
static enum pl_code
gd_probe(struct godaddy *g, const struct pl_call *call, const char *name,
    struct gd_probe **out, struct pl_err *err)
{
	enum pl_code code;
	struct pl_buf b;
	json_t *rows;

	*out = gd_probed(g, name);
	if (*out != NULL)
		return PL_OK;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, GODADDY_DOMAINS "/");
	pl_url_escape(&b, name, false);
	pl_buf_adds(&b, "/records/NS");
	code = godaddy_get(g, call, b.data, "records", &rows, err);
	pl_buf_clear(&b);
	if (code == PL_EREMOTE && (err->http == 404 || err->http == 422))
		code = PL_OK;
	if (code == PL_OK)
		*out = gd_probe_new(g, name, rows);
	pl_json_free(rows);
	return code;
}

/* The topmost delegation between a domain and a name below it, or NULL. */
static const char *
gd_cut(const struct gd_probe *p, const char *name)
{
	const char *top = NULL;
	size_t i;

	for (i = 0; i < p->ncuts; i++)
		if (pl_suffix_of(p->cuts[i], name) && (top == NULL ||
		    strlen(p->cuts[i]) < strlen(top)))
			top = p->cuts[i];
	return top;
}

/* Follows delegations down to domains that are hosted here too. */
static enum pl_code
gd_down(struct godaddy *g, const struct pl_call *call, const char *from,
    const char *name, const char **zone, struct pl_err *err)
{
	struct gd_probe *p;
	const char *cut = from, *parent = NULL;

	for (; cut != NULL; cut = gd_cut(p, name)) {
		if (gd_probe(g, call, cut, &p, err) != PL_OK)
			return err->code;
		if (!p->there)
			return parent == NULL ? pl_fail(err, PL_ENOZONE,
			    "domain %s: its DNS is not here", from) :
			    pl_fail(err, PL_ENOZONE, "%s: delegated away from "
			    "%s at %s", name, parent, cut);
		parent = p->name;
	}
	*zone = parent;
	return PL_OK;
}

/* The longest domain above a name that is known to be here, or NULL. */
static const char *
gd_known(const struct godaddy *g, const char *name)
{
	const char *best = NULL;
	size_t i;

	for (i = 0; i < g->nprobes; i++)
		if (g->probes[i].there && pl_suffix_of(g->probes[i].name,
		    name) && (best == NULL || strlen(g->probes[i].name) >
		    strlen(best)))
			best = g->probes[i].name;
	return best;
}

/* Walks up from the name; no list tells of domains registered elsewhere. */
static enum pl_code
gd_walk(struct godaddy *g, const struct pl_call *call, const char *name,
    const char **zone, struct pl_err *err)
{
	const char *at = gd_known(g, name);
	struct gd_probe *p;

	if (at != NULL)
		return gd_down(g, call, at, name, zone, err);
	for (at = name; at != NULL && strchr(at, '.') != NULL;
	    at = strchr(at, '.') + 1) {
		/* Such names are no domains. */
		if (*at == '_' || *at == '*' || pl_name_is_suffix(at))
			continue;
		if (gd_probe(g, call, at, &p, err) != PL_OK)
			return err->code;
		if (p->there)
			return gd_down(g, call, at, name, zone, err);
	}
	return pl_fail(err, PL_ENOZONE, "%s: in no domain of this account",
	    name);
}

enum pl_code
godaddy_find(struct godaddy *g, const struct pl_call *call, const char *name,
    const char **zone, struct pl_err *err)
{
	struct cloud_zone *z = NULL;

	if (cloud_zones_failed(&g->zones, call, err))
		return err->code;
	if (g->nprobes > 0 && pl_mono_ms() - g->probed > GD_PROBED_MS)
		godaddy_probes_clear(g);
	if (!cloud_zones_old(&g->zones))
		(void)cloud_zones_find(&g->zones, name, &z, err);
	if (z == NULL && !g->unlisted && cloud_zones_stale(&g->zones)) {
		if (godaddy_list(g, call, err) != PL_OK)
			return cloud_zones_fail(&g->zones, call, err);
		(void)cloud_zones_find(&g->zones, name, &z, err);
	}
	if (z != NULL)
		return gd_down(g, call, z->name, name, zone, err);
	return gd_walk(g, call, name, zone, err);
}
