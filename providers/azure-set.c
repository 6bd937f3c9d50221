/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Record sets of Azure DNS: read, changed, and written back whole.
 *
 * A set is written only as it was read (If-Match with its ETag) or where
 * there is none (If-None-Match: *), so what somebody else does meanwhile is
 * never lost: the service answers 412, and the set is read again.  TTL and
 * metadata are sent back as they came.  All sets of a call are on their way
 * at once: one request to read a set and one to write it.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "azure.h"

#define LOOK_MS 5000		/* how long a look is good for an answer */
#define SETS_MOST 20000
#define TRIES 5			/* writes of one set that met a change */
#define NO_MORE SIZE_MAX

/* ---- what is known ---- */

/* Tree entries begin with their key. */
static int
by_key(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void
set_empty(struct azure_set *s)
{
	size_t i, k;

	for (i = 0; i < s->n; i++) {
		for (k = 0; k < s->records[i].n; k++)
			free(s->records[i].strings[k]);
		free(s->records[i].strings);
	}
	free(s->records);
	free(s->etag);
	free(s->metadata);
	free(s->target);
	s->records = NULL;
	s->etag = s->metadata = s->target = NULL;
	s->n = 0;
	s->ttl = 0;
	s->there = false;
	s->seen = 0;
}

static void
set_free(void *p)
{
	struct azure_set *s = p;

	set_empty(s);
	free(s->key);
	free(s->name);
	free(s);
}

void
azure_sets_forget(struct azure *self)
{
	tdestroy(self->sets, set_free);
	self->sets = NULL;
	self->nsets = 0;
}

/* Lends the entry of a set, empty if new. */
static struct azure_set *
set_get(struct azure *self, enum pl_kind kind, const char *name)
{
	struct azure_set *s = pl_alloc(sizeof(*s));
	struct azure_set **at;
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s/%s", pl_kind_name(kind), name);
	s->key = pl_buf_take(&b);
	s->kind = kind;
	s->name = pl_strdup(name);
	at = tsearch(s, &self->sets, by_key);
	if (at == NULL)
		abort();
	if (*at != s)
		set_free(s);
	else
		self->nsets++;
	return *at;
}

/* ---- an answer to a set ---- */

static char *
plain_target(const char *s)
{
	size_t n = strlen(s), i;
	char *out = pl_strndup(s, n > 0 && s[n - 1] == '.' ? n - 1 : n);

	for (i = 0; out[i] != '\0'; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
	return out;
}

static enum pl_code
record_take(struct azure_set *s, const json_t *j, struct pl_err *err)
{
	const json_t *list = pl_json_get(j, "value");
	struct azure_record *rec;
	const char *text;
	size_t i;

	if (!pl_json_is_array(list))
		return pl_fail(err, PL_EPROTO, "%s: a record without its "
		    "strings", s->name);
	s->records = pl_grow(s->records, s->n + 1, sizeof(*s->records));
	rec = &s->records[s->n++];
	rec->n = 0;
	rec->strings = pl_array(pl_json_count(list) + 1, sizeof(char *));
	for (i = 0; i < pl_json_count(list); i++) {
		text = pl_json_str(pl_json_at(list, i));
		if (text == NULL)
			return pl_fail(err, PL_EPROTO, "%s: a string that is "
			    "none", s->name);
		rec->strings[rec->n++] = pl_strdup(text);
	}
	return PL_OK;
}

static enum pl_code
properties_take(struct azure_set *s, const json_t *p, struct pl_err *err)
{
	const json_t *ttl = pl_json_get(p, "TTL");
	const json_t *list = pl_json_get(p, "TXTRecords");
	const json_t *meta = pl_json_get(p, "metadata");
	const char *cname = pl_json_str(pl_json_get(pl_json_get(p,
	    "CNAMERecord"), "cname"));
	enum pl_code code = PL_OK;
	size_t i;

	if (!pl_json_is_int(ttl) || pl_json_num(ttl) < 0 ||
	    pl_json_num(ttl) > INT32_MAX)
		return pl_fail(err, PL_EPROTO, "%s: a TTL that is none",
		    s->name);
	s->ttl = (uint32_t)pl_json_num(ttl);
	if (pl_json_is_object(meta))
		s->metadata = pl_json_text(meta);
	if (s->kind == PL_CNAME) {
		if (cname == NULL)
			return pl_fail(err, PL_EPROTO, "%s: a CNAME without "
			    "a target", s->name);
		s->target = plain_target(cname);
		return PL_OK;
	}
	if (!pl_json_is_null(list) && !pl_json_is_array(list))
		return pl_fail(err, PL_EPROTO, "%s: records that are no list",
		    s->name);
	for (i = 0; i < pl_json_count(list) && code == PL_OK; i++)
		code = record_take(s, pl_json_at(list, i), err);
	return code;
}

/* Takes what a GET or a PUT has answered. */
static enum pl_code
set_take(struct azure_set *s, const struct azure_res *r, struct pl_err *err)
{
	const char *etag = r->etag;
	enum pl_code code = PL_OK;

	set_empty(s);
	if (r->doc != NULL) {
		if (*etag == '\0')
			etag = pl_json_str(pl_json_get(r->doc, "etag"));
		if (etag == NULL || *etag == '\0')
			code = pl_fail(err, PL_EPROTO, "%s: answer has no "
			    "etag", s->name);
		else
			code = properties_take(s, pl_json_get(r->doc,
			    "properties"), err);
		s->etag = pl_strdup(etag);
		s->there = true;
	}
	if (code != PL_OK)
		set_empty(s);
	else
		s->seen = pl_mono_ms();
	return code;
}

/* ---- changes, grouped by set ---- */

/* A record as it shall be: one that is there, or one that comes. */
struct planned {
	const struct azure_record *old;
	const struct pl_change *new;
};

enum action { NOTHING, PUT, DELETE };

struct group {
	struct azure_set *set;
	size_t first, last;		/* changes, linked by next[] */
	unsigned tries;
	bool done;
	bool stale;			/* to be read before anything else */
	struct pl_err denial;		/* PL_EAUTH: no right to it */
	/* The plan: */
	enum action action;
	struct planned *records;
	size_t n;
	uint32_t ttl;
	const struct pl_change *cname;
};

struct work {
	struct azure *self;
	const struct pl_call *call;
	const char *resources;		/* the resource group */
	const char *zone;
	const struct pl_change *chg;
	struct pl_outcome *out;
	size_t n;
	size_t *next;
	bool *pending;			/* the change waits for a write */
	struct group *groups;
	size_t ngroups;
	struct pl_err err;		/* what the call fails with */
};

static enum pl_code PL_PRINTF(4, 5)
outcome_fail(struct work *w, size_t i, enum pl_code code, const char *fmt,
    ...)
{
	struct pl_outcome *o = &w->out[i];
	struct pl_buf b;
	va_list ap;
	size_t n;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	n = b.len < sizeof(o->text) ? b.len : sizeof(o->text) - 1;
	memcpy(o->text, b.data, n);
	o->text[n] = '\0';
	pl_buf_clear(&b);
	o->code = code;
	w->pending[i] = false;
	if (w->err.code == PL_OK)
		(void)pl_fail(&w->err, code, "%s", o->text);
	return code;
}

/* Marks what is not settled of a group. */
static void
group_fail(struct work *w, struct group *g, const struct pl_err *err)
{
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i])
		if (w->pending[i] || w->out[i].code == PL_EUNDONE)
			(void)outcome_fail(w, i, err->code, "%s", err->text);
	g->done = true;
	/* How long to wait is told by the call's error. */
	if (err->code == PL_ELIMIT && (w->err.code != PL_ELIMIT ||
	    w->err.retry_after < err->retry_after))
		w->err = *err;
}

static bool
change_fits(struct work *w, size_t i)
{
	const struct pl_change *c = &w->chg[i];

	if (c->kind != PL_TXT && c->kind != PL_CNAME)
		(void)outcome_fail(w, i, PL_EINVAL, "name %s: no TXT or "
		    "CNAME", c->name);
	else if (!pl_suffix_of(w->zone, c->name))
		(void)outcome_fail(w, i, PL_EINVAL, "name %s: not in zone %s",
		    c->name, w->zone);
	else if (c->kind == PL_CNAME && c->op != PL_DEL &&
	    strcmp(c->name, w->zone) == 0)
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: a CNAME cannot "
		    "be at the top of a zone", c->name);
	else
		return true;
	return false;
}

static void
work_group(struct work *w)
{
	struct azure_set *s;
	struct group *g;
	size_t i;

	w->next = pl_array(w->n + 1, sizeof(*w->next));
	w->pending = pl_array(w->n + 1, sizeof(*w->pending));
	w->groups = pl_array(w->n + 1, sizeof(*w->groups));
	for (i = 0; i < w->n; i++) {
		w->next[i] = NO_MORE;
		if (!change_fits(w, i))
			continue;
		s = set_get(w->self, w->chg[i].kind, w->chg[i].name);
		if (s->group == 0) {
			s->group = ++w->ngroups;
			w->groups[s->group - 1].set = s;
			w->groups[s->group - 1].first = i;
		} else {
			w->next[w->groups[s->group - 1].last] = i;
		}
		g = &w->groups[s->group - 1];
		g->last = i;
	}
	for (i = 0; i < w->ngroups; i++)
		w->groups[i].set->group = 0;
}

static void
work_clear(struct work *w)
{
	size_t i;

	for (i = 0; i < w->ngroups; i++)
		free(w->groups[i].records);
	free(w->groups);
	free(w->pending);
	free(w->next);
}

/* ---- planning ---- */

static bool
planned_is(const struct planned *p, const struct pl_change *c)
{
	size_t i, n, at = 0;

	if (p->new != NULL)
		return p->new->value_len == c->value_len &&
		    memcmp(p->new->value, c->value, c->value_len) == 0;
	for (i = 0; i < p->old->n; i++) {
		n = strlen(p->old->strings[i]);
		if (n > c->value_len - at ||
		    memcmp(p->old->strings[i], c->value + at, n) != 0)
			return false;
		at += n;
	}
	return at == c->value_len;
}

static size_t
planned_find(const struct group *g, const struct pl_change *c)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (planned_is(&g->records[i], c))
			break;
	return i;
}

static bool
target_is(const char *target, const struct pl_change *c)
{
	return target != NULL && strlen(target) == c->value_len &&
	    memcmp(target, c->value, c->value_len) == 0;
}

static void
plan_cname(struct work *w, struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	bool same = g->action != DELETE && target_is(g->set->target, c);

	if (c->op == PL_DEL) {
		w->pending[i] = same;
		if (same)
			g->action = DELETE;
		else
			w->out[i].code = PL_OK;
	} else if (same) {
		w->out[i].was = PL_WAS_PRESENT;
		w->out[i].code = PL_OK;
	} else if (g->set->there) {
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: is a CNAME to "
		    "%s already", c->name, g->set->target);
	} else if (g->cname != NULL && (g->cname->value_len != c->value_len ||
	    memcmp(g->cname->value, c->value, c->value_len) != 0)) {
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: cannot be a "
		    "CNAME to two names", c->name);
	} else {
		w->out[i].was = PL_WAS_ABSENT;
		if (c->op == PL_LOOK) {
			w->out[i].code = PL_OK;
			return;
		}
		w->pending[i] = true;
		g->cname = c;
		g->action = PUT;
	}
}

static void
plan_txt(struct work *w, struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	size_t at = planned_find(g, c);

	if (c->op == PL_DEL) {
		w->pending[i] = at < g->n;
		if (at == g->n) {
			w->out[i].code = PL_OK;
			return;
		}
		memmove(&g->records[at], &g->records[at + 1],
		    (g->n - at - 1) * sizeof(*g->records));
		g->n--;
	} else {
		/* What a sibling adds is not there yet. */
		w->out[i].was = at < g->n && g->records[at].new == NULL ?
		    PL_WAS_PRESENT : PL_WAS_ABSENT;
		if (c->op == PL_LOOK || w->out[i].was == PL_WAS_PRESENT) {
			w->out[i].code = PL_OK;
			return;
		}
		w->pending[i] = true;
		if (!g->set->there && g->ttl == 0)
			g->ttl = c->ttl != 0 ? c->ttl : AZURE_TTL;
		if (at == g->n)
			g->records[g->n++] = (struct planned){ NULL, c };
	}
	g->action = g->n > 0 ? PUT : DELETE;
}

/* Works out from what is known what has to be written; what needs no
 * writing is settled. */
static void
plan(struct work *w, struct group *g)
{
	size_t i, changes = 0;

	for (i = g->first; i != NO_MORE; i = w->next[i])
		changes++;
	free(g->records);
	g->records = pl_array(g->set->n + changes + 1, sizeof(*g->records));
	for (i = 0; i < g->set->n; i++)
		g->records[i].old = &g->set->records[i];
	g->n = g->set->n;
	g->ttl = g->set->there ? g->set->ttl : 0;
	g->cname = NULL;
	g->action = NOTHING;
	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		w->out[i].code = PL_EUNDONE;
		w->out[i].text[0] = '\0';
		w->pending[i] = false;
		if (w->chg[i].kind == PL_CNAME)
			plan_cname(w, g, i);
		else
			plan_txt(w, g, i);
	}
	/* A set that was not there and that nothing is added to. */
	if (g->action == DELETE && !g->set->there)
		g->action = NOTHING;
}

/* May the plan be made from what is known?  What is not written has to be
 * known now; what is written is guarded. */
static bool
group_stale(struct work *w, struct group *g)
{
	int64_t age = pl_mono_ms() - g->set->seen;
	struct pl_err kept = w->err;
	bool stale = false;
	size_t i;

	if (g->set->seen == 0 || age > AZURE_KNOWN_MS)
		return true;
	if (age <= LOOK_MS)
		return false;
	plan(w, g);
	w->err = kept;
	for (i = g->first; i != NO_MORE; i = w->next[i])
		stale = stale || !w->pending[i];
	return stale;
}

/* ---- reading ---- */

static char *
group_target(const struct work *w, const struct azure_set *s)
{
	char *relative = azure_relative(w->zone, s->name);
	char *target = azure_zone_target(w->self, w->resources, w->zone,
	    s->kind, relative);

	free(relative);
	return target;
}

/* What an answer that is an error means for a group. */
static void
group_refused(struct work *w, struct group *g, const struct azure_res *r)
{
	struct pl_err err = r->err;

	if (r->sent)
		g->set->seen = 0;
	/* Of no known meaning: is it the zone that is missing? */
	if (r->status == 404 && r->code == PL_EREMOTE &&
	    azure_zone_there(w->self, w->call, w->resources, w->zone, &err) ==
	    PL_OK)
		err = r->err;
	if (r->denied) {
		g->denial = err;
		g->done = true;
		return;
	}
	group_fail(w, g, &err);
}

static void
work_read(struct work *w)
{
	struct azure_req *q = pl_array(w->ngroups + 1, sizeof(*q));
	struct azure_res *r = pl_array(w->ngroups + 1, sizeof(*r));
	size_t *at = pl_array(w->ngroups + 1, sizeof(*at));
	struct pl_err err;
	struct group *g;
	size_t i, n = 0;

	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->done || !g->stale)
			continue;
		at[n] = i;
		q[n++] = (struct azure_req){ .what = g->set->name,
			.method = "GET", .target = group_target(w, g->set) };
	}
	if (n > 0)
		azure_send(w->self, w->call, q, r, n);
	for (i = 0; i < n; i++) {
		g = &w->groups[at[i]];
		g->stale = false;
		if (r[i].code != PL_OK)
			group_refused(w, g, &r[i]);
		else if (set_take(g->set, &r[i], &err) != PL_OK)
			group_fail(w, g, &err);
		else
			w->self->read = true;
	}
	azure_req_clear(q, n);
	azure_res_clear(r, n);
	free(q);
	free(r);
	free(at);
}

/* ---- writing ---- */

static json_t *
record_json(const struct planned *p)
{
	json_t *rec = pl_json_object(), *list = pl_json_array();
	size_t i, n;

	for (i = 0; p->old != NULL && i < p->old->n; i++)
		pl_json_append(list, pl_json_string(p->old->strings[i]));
	for (i = 0; p->new != NULL && i < p->new->value_len; i += n) {
		n = p->new->value_len - i;
		if (n > 255)
			n = 255;
		pl_json_append(list, pl_json_stringn(p->new->value + i, n));
	}
	pl_json_set(rec, "value", list);
	return rec;
}

static char *
group_body(const struct group *g)
{
	json_t *doc = pl_json_object(), *prop = pl_json_object();
	json_t *list, *meta;
	uint32_t ttl = g->ttl;
	char *text, *target;
	size_t i;

	if (g->cname != NULL) {
		ttl = g->cname->ttl != 0 ? g->cname->ttl : AZURE_TTL;
		target = pl_strndup(g->cname->value, g->cname->value_len);
		list = pl_json_object();
		pl_json_sets(list, "cname", target);
		pl_json_set(prop, "CNAMERecord", list);
		free(target);
	} else {
		list = pl_json_array();
		for (i = 0; i < g->n; i++)
			pl_json_append(list, record_json(&g->records[i]));
		pl_json_set(prop, "TXTRecords", list);
	}
	pl_json_seti(prop, "TTL", ttl);
	if (g->set->metadata != NULL && pl_json_parse(&meta, g->set->metadata,
	    strlen(g->set->metadata), "metadata", NULL) == PL_OK)
		pl_json_set(prop, "metadata", meta);
	pl_json_set(doc, "properties", prop);
	text = pl_json_text(doc);
	pl_json_free(doc);
	return text;
}

static void
group_request(const struct work *w, const struct group *g,
    struct azure_req *q)
{
	*q = (struct azure_req){ .what = g->set->name,
		.method = g->action == PUT ? "PUT" : "DELETE",
		.target = group_target(w, g->set),
		.match = g->set->there ? g->set->etag : NULL,
		.create = !g->set->there };
	if (g->action == PUT)
		q->body = group_body(g);
}

static void
group_done(struct work *w, struct group *g)
{
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i])
		if (w->pending[i]) {
			w->out[i].code = PL_OK;
			w->pending[i] = false;
		}
	g->done = true;
}

static void
group_written(struct work *w, struct group *g, const struct azure_res *r)
{
	struct pl_err err;

	w->self->written = true;
	group_done(w, g);
	/* The plan lends from the set. */
	free(g->records);
	g->records = NULL;
	g->n = 0;
	if (g->action == DELETE) {
		set_empty(g->set);
		g->set->seen = pl_mono_ms();
	} else if (r->doc == NULL || set_take(g->set, r, &err) != PL_OK) {
		set_empty(g->set);
	}
}

/* Another type is at the name: an alias that can be followed? */
static void
group_clash(struct work *w, struct group *g, const struct azure_res *r)
{
	struct azure_set *alias = set_get(w->self, PL_CNAME, g->set->name);
	struct azure_req q = { .what = g->set->name, .method = "GET" };
	struct azure_res got;
	struct pl_err err = r->err;
	size_t i, n;

	err.code = PL_EREMOTE;
	if (g->set->kind == PL_TXT) {
		q.target = group_target(w, alias);
		azure_send(w->self, w->call, &q, &got, 1);
		if (got.code != PL_OK)
			err = got.err;
		else if (set_take(alias, &got, &err) == PL_OK && alias->there)
			(void)pl_fail(&err, PL_ECONFLICT, "name %s: is a "
			    "CNAME to %s", g->set->name, alias->target);
		azure_req_clear(&q, 1);
		azure_res_clear(&got, 1);
	}
	n = alias->there ? strlen(alias->target) : sizeof(w->out->alias);
	for (i = g->first; i != NO_MORE; i = w->next[i])
		if (w->pending[i] && w->chg[i].op == PL_ADD &&
		    n < sizeof(w->out->alias) && err.code == PL_ECONFLICT)
			memcpy(w->out[i].alias, alias->target, n + 1);
	group_fail(w, g, &err);
}

static void
group_answer(struct work *w, struct group *g, const struct azure_res *r)
{
	struct pl_err err;

	/* 404 of a set that was to be deleted: gone, as wanted. */
	if (r->code == PL_OK && (r->status != 404 || g->action == DELETE)) {
		group_written(w, g, r);
	} else if (r->code == PL_OK) {
		(void)pl_fail(&err, PL_EPROTO, "%s: HTTP 404 to a write",
		    g->set->name);
		group_fail(w, g, &err);
	} else if (r->status == 412 && ++g->tries < TRIES) {
		g->stale = true;
	} else if (r->status == 412) {
		(void)pl_fail(&err, PL_ECONFLICT, "name %s: changed by "
		    "somebody else again and again", g->set->name);
		g->set->seen = 0;
		group_fail(w, g, &err);
	} else if (r->clash) {
		group_clash(w, g, r);
	} else {
		group_refused(w, g, r);
	}
}

/* Sends all writes that are planned; false where there are none. */
static bool
work_write(struct work *w)
{
	struct azure_req *q = pl_array(w->ngroups + 1, sizeof(*q));
	struct azure_res *r = pl_array(w->ngroups + 1, sizeof(*r));
	size_t *at = pl_array(w->ngroups + 1, sizeof(*at));
	struct group *g;
	size_t i, n = 0;

	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->done)
			continue;
		plan(w, g);
		if (g->action == NOTHING) {
			group_done(w, g);
			continue;
		}
		at[n] = i;
		group_request(w, g, &q[n++]);
	}
	if (n > 0)
		azure_send(w->self, w->call, q, r, n);
	for (i = 0; i < n; i++)
		group_answer(w, &w->groups[at[i]], &r[i]);
	azure_req_clear(q, n);
	azure_res_clear(r, n);
	free(q);
	free(r);
	free(at);
	return n > 0;
}

/*
 * A right that is missing for one set where it was enough for others is no
 * word about the credentials; else the account is refused as a whole.
 */
static void
work_denials(struct work *w, bool looks)
{
	struct group *g;
	size_t i;

	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->denial.code == PL_OK)
			continue;
		if (looks ? w->self->read : w->self->written)
			g->denial.code = PL_EREMOTE;
		group_fail(w, g, &g->denial);
	}
}

enum pl_code
azure_change(struct azure *self, const struct pl_call *call,
    const char *resources, const char *zone, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct work w = { .self = self, .call = call, .resources = resources,
		.zone = zone, .chg = chg, .out = out, .n = n };
	bool looks = chg[0].op == PL_LOOK;
	size_t i;

	if (self->nsets > SETS_MOST)
		azure_sets_forget(self);
	work_group(&w);
	for (i = 0; i < w.ngroups; i++)
		w.groups[i].stale = group_stale(&w, &w.groups[i]);
	do
		work_read(&w);
	while (work_write(&w));
	work_denials(&w, looks);
	work_clear(&w);
	if (w.err.code != PL_OK)
		*err = w.err;
	return w.err.code;
}
