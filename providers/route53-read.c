/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What an account holds: zones, and the sets of names in them.
 *
 * Listings of the service begin at a name or behind it, in the order of
 * keys, and say where the next page begins.  So one page tells of all names
 * between its first and the next one's, those that are not there as well, and
 * a hundred names of a small zone take one request.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "route53.h"

#define ZONES_MS 600000		/* how long zones are believed */
#define SPANS_MOST 20000
#define SETS_MOST 20000
#define PAGE_ZONES 100
#define PAGE_SETS 300		/* the most that the service gives */
#define PAGE_SMALL 16		/* enough for one name */
#define PAGES_MOST 200

/* ---- keys ---- */

/* One octet of a name at *s, escapes undone; *dot: the end of a label. */
static unsigned char
key_octet(const char **s, bool *dot)
{
	const char *p = *s;
	unsigned char ch = (unsigned char)*p;

	*dot = ch == '.';
	*s = p + 1;
	if (ch == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
	    p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
		ch = (unsigned char)((p[1] - '0') * 64 + (p[2] - '0') * 8 +
		    p[3] - '0');
		*s = p + 4;
	}
	return ch >= 'A' && ch <= 'Z' ? (unsigned char)(ch + 32) : ch;
}

static bool
key_plain(unsigned char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ||
	    ch == '-' || ch == '_';
}

char *
route53_key(const char *name)
{
	struct pl_buf b, key;
	const char *s = name;
	unsigned char ch;
	size_t i, end;
	bool dot;

	/* With all dots that end labels, and no others. */
	pl_buf_init(&b, PL_LIM_BODY);
	while (*s != '\0') {
		ch = key_octet(&s, &dot);
		if (dot)
			pl_buf_addc(&b, '.');
		else if (key_plain(ch))
			pl_buf_addc(&b, (char)ch);
		else
			pl_buf_addf(&b, "\\%03o", (unsigned)ch);
	}
	while (b.len > 0 && b.data[b.len - 1] == '.')
		b.data[--b.len] = '\0';
	pl_buf_init(&key, PL_LIM_BODY);
	for (end = i = b.len; i > 0; i--) {
		if (b.data[i - 1] != '.')
			continue;
		pl_buf_add(&key, b.data + i, end - i);
		pl_buf_addc(&key, '.');
		end = i - 1;
	}
	pl_buf_add(&key, b.data, end);
	pl_buf_addc(&key, '.');
	pl_buf_clear(&b);
	return pl_buf_take(&key);
}

/* Tree entries begin with their key. */
static int
by_key(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void *
tree_find(void *const *root, const char *key)
{
	void **at = tfind(&key, root, by_key);

	return at != NULL ? *at : NULL;
}

static void
tree_add(void **root, void *entry)
{
	if (tsearch(entry, root, by_key) == NULL)
		abort();
}

/* ---- forgetting ---- */

void
route53_set_empty(struct route53_set *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->values[i]);
	free(s->values);
	free(s->target);
	s->values = NULL;
	s->n = 0;
	s->target = NULL;
	s->ttl = s->target_ttl = 0;
	s->routed = s->target_routed = false;
	s->seen = 0;
}

static void
set_free(void *p)
{
	struct route53_set *s = p;

	route53_set_empty(s);
	free(s->key);
	free(s->name);
	free(s);
}

static void
zone_free(void *p)
{
	struct route53_zone *z = p;

	tdestroy(z->sets, set_free);
	free(z->key);
	free(z->name);
	free(z->id);
	free(z->twin);
	free(z);
}

void
route53_forget(struct route53 *self)
{
	size_t i;

	tdestroy(self->zones, zone_free);
	self->zones = NULL;
	for (i = 0; i < self->nspans; i++) {
		free(self->spans[i].from);
		free(self->spans[i].to);
	}
	free(self->spans);
	self->spans = NULL;
	self->nspans = self->nsets = 0;
	self->zones_at = 0;
}

/* ---- zones ---- */

/* "/hostedzone/Z1…" or "Z1…" to what goes into a path; NULL: neither. */
static const char *
zone_id(const char *text)
{
	static const char prefix[] = "/hostedzone/";
	const char *id = text;
	size_t i;

	if (id != NULL && strncmp(id, prefix, sizeof(prefix) - 1) == 0)
		id += sizeof(prefix) - 1;
	for (i = 0; id != NULL && id[i] != '\0'; i++)
		if (i == 32 || !((id[i] >= 'A' && id[i] <= 'Z') ||
		    (id[i] >= 'a' && id[i] <= 'z') ||
		    (id[i] >= '0' && id[i] <= '9')))
			return NULL;
	return id != NULL && *id != '\0' ? id : NULL;
}

/* Takes one zone of a listing; private ones are not for us. */
static enum pl_code
zone_take(struct route53 *self, const struct pl_xml *e, struct pl_err *err)
{
	const char *id = zone_id(pl_xml_text(e, "Id"));
	const char *name = pl_xml_text(e, "Name");
	const char *private = pl_xml_text(e, "Config/PrivateZone");
	struct route53_zone *z;
	size_t n;
	char *key;

	if (id == NULL || name == NULL)
		return pl_fail(err, PL_EPROTO, "zones: one without its id or "
		    "name");
	if (self->zone_id == NULL && pl_streq(private, "true"))
		return PL_OK;
	key = route53_key(name);
	z = tree_find(&self->zones, key);
	if (z != NULL) {
		if (strcmp(z->id, id) != 0 && z->twin == NULL)
			z->twin = pl_strdup(id);
		free(key);
		return PL_OK;
	}
	z = pl_alloc(sizeof(*z));
	z->key = key;
	z->id = pl_strdup(id);
	n = strlen(name);
	z->name = pl_strndup(name, n > 0 && name[n - 1] == '.' ? n - 1 : n);
	for (n = 0; z->name[n] != '\0'; n++)
		if (z->name[n] >= 'A' && z->name[n] <= 'Z')
			z->name[n] = (char)(z->name[n] + 32);
	tree_add(&self->zones, z);
	return PL_OK;
}

static bool
zones_cover(const struct route53 *self, const char *key)
{
	const struct route53_span *s;
	size_t i;

	for (i = 0; i < self->nspans; i++) {
		s = &self->spans[i];
		if (strcmp(s->from, key) <= 0 &&
		    (s->to == NULL || strcmp(key, s->to) < 0))
			return true;
	}
	return false;
}

static void
span_add(struct route53 *self, const char *from, const char *to)
{
	self->spans = pl_grow(self->spans, self->nspans + 1,
	    sizeof(*self->spans));
	self->spans[self->nspans].from = pl_strdup(from);
	self->spans[self->nspans++].to = pl_strdup(to);
}

/*
 * Takes a page that began at `from`.  *to: the key where the next one
 * begins, NULL at the end.  What comes out of order tells nothing of names
 * that are missing, so *ordered is false then.
 */
static enum pl_code
zones_page(struct route53 *self, const struct pl_xml *doc, const char *from,
    char **to, bool *ordered, struct pl_err *err)
{
	const struct pl_xml *e = pl_xml_get(doc, "HostedZones/HostedZone");
	const char *name, *next = pl_xml_text(doc, "NextDNSName");
	char *key, *last = pl_strdup(from);
	enum pl_code code = PL_OK;

	*to = NULL;
	*ordered = true;
	for (; e != NULL && code == PL_OK; e = pl_xml_next(e)) {
		code = zone_take(self, e, err);
		name = pl_xml_text(e, "Name");
		if (code != PL_OK || name == NULL)
			break;
		key = route53_key(name);
		*ordered = *ordered && strcmp(last, key) <= 0;
		free(last);
		last = key;
	}
	free(last);
	if (code == PL_OK && pl_streq(pl_xml_text(doc, "IsTruncated"),
	    "true")) {
		if (next == NULL)
			return pl_fail(err, PL_EPROTO, "zones: no word of "
			    "where they go on");
		*to = route53_key(next);
		*ordered = *ordered && strcmp(from, *to) <= 0;
	}
	return code;
}

/* Asks for zones from a name on, until it is known whether it is one. */
static enum pl_code
zones_ask(struct route53 *self, const struct pl_call *call, const char *name,
    const char *key, struct pl_err *err)
{
	struct route53_req q = { .what = "zones", .method = "GET",
		.path = "hostedzonesbyname",
		.root = "ListHostedZonesByNameResponse" };
	const char *id = NULL;
	struct pl_xml *doc = NULL;
	struct pl_buf query;
	enum pl_code code;
	char *to = NULL;
	unsigned pages = 0;
	bool ordered = true;

	pl_buf_init(&query, PL_LIM_LINE);
	do {
		pl_buf_reset(&query);
		pl_buf_adds(&query, "dnsname=");
		pl_url_escape(&query, name, false);
		pl_buf_adds(&query, ".");
		/* More of one name than a page holds. */
		if (id != NULL) {
			pl_buf_adds(&query, "&hostedzoneid=");
			pl_url_escape(&query, id, false);
		}
		pl_buf_addf(&query, "&maxitems=%d", PAGE_ZONES);
		pl_xml_free(doc);
		q.query = query.data;
		free(to);
		to = NULL;
		code = route53_call(self, call, &q, &doc, NULL, err);
		if (code == PL_OK)
			code = zones_page(self, doc, key, &to, &ordered, err);
		id = zone_id(pl_xml_text(doc, "NextHostedZoneId"));
		if (code == PL_OK && ++pages == PAGES_MOST)
			code = pl_fail(err, PL_EPROTO, "zones: no end of %s",
			    name);
	} while (code == PL_OK && id != NULL && pl_streq(to, key));
	if (code == PL_OK && ordered)
		span_add(self, key, to);
	else if (code == PL_OK) {
		/* Only of this one name. */
		free(to);
		to = pl_alloc(strlen(key) + 2);
		memcpy(to, key, strlen(key));
		to[strlen(key)] = '\x01';
		span_add(self, key, to);
	}
	free(to);
	pl_xml_free(doc);
	pl_buf_clear(&query);
	return code;
}

/* The one zone of an account that has hosted-zone-id. */
static enum pl_code
zone_own(struct route53 *self, const struct pl_call *call,
    struct pl_err *err)
{
	struct route53_req q = { .what = "zone", .method = "GET",
		.root = "GetHostedZoneResponse" };
	struct pl_xml *doc;
	struct pl_buf path;
	enum pl_code code;

	if (self->nspans > 0)
		return PL_OK;
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "hostedzone/%s", self->zone_id);
	q.path = path.data;
	code = route53_call(self, call, &q, &doc, NULL, err);
	if (code == PL_OK)
		code = zone_take(self, pl_xml_get(doc, "HostedZone"), err);
	if (code == PL_OK)
		span_add(self, "", NULL);
	if (code == PL_ENOZONE)
		code = pl_fail(err, PL_EINVAL, "hosted-zone-id: the account "
		    "has no zone %s", self->zone_id);
	pl_xml_free(doc);
	pl_buf_clear(&path);
	return code;
}

/* What was learned long ago, or is too much, is forgotten. */
static void
zones_refresh(struct route53 *self)
{
	if (self->zones_at != 0 && self->nsets <= SETS_MOST &&
	    self->nspans <= SPANS_MOST &&
	    pl_mono_ms() - self->zones_at <= ZONES_MS)
		return;
	route53_forget(self);
	self->zones_at = pl_mono_ms();
}

/* Makes it known whether `name` is a zone. */
static enum pl_code
zones_learn(struct route53 *self, const struct pl_call *call,
    const char *name, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	char *key;

	if (self->zone_id != NULL)
		return zone_own(self, call, err);
	key = route53_key(name);
	if (!zones_cover(self, key))
		code = zones_ask(self, call, name, key, err);
	free(key);
	return code;
}

static struct route53_zone *
zone_known(const struct route53 *self, const char *name)
{
	char *key = route53_key(name);
	struct route53_zone *z = tree_find(&self->zones, key);

	free(key);
	return z;
}

static enum pl_code
zone_single(const struct route53_zone *z, struct pl_err *err)
{
	if (z->twin == NULL)
		return PL_OK;
	return pl_fail(err, PL_EINVAL, "zone %s: the account has it twice "
	    "(%s, %s): hosted-zone-id tells which", z->name, z->id, z->twin);
}

enum pl_code
route53_zone(struct route53 *self, const struct pl_call *call,
    const char *name, struct route53_zone **zone, struct pl_err *err)
{
	enum pl_code code;

	*zone = NULL;
	zones_refresh(self);
	code = zones_learn(self, call, name, err);
	if (code != PL_OK)
		return code;
	*zone = zone_known(self, name);
	if (*zone == NULL)
		return pl_fail(err, PL_ENOZONE, "zone %s: not in the account",
		    name);
	return zone_single(*zone, err);
}

/* The part of a name from its last `labels` labels on; NULL: has fewer. */
static const char *
last_labels(const char *name, unsigned labels)
{
	const char *p = name + strlen(name);

	for (; p > name; p--)
		if (p[-1] == '.' && --labels == 0)
			return p;
	return labels == 1 ? name : NULL;
}

enum pl_code
route53_find(struct route53 *self, const struct pl_call *call,
    const char *name, const struct route53_zone **zone, struct pl_err *err)
{
	const struct route53_zone *z;
	const char *part;
	enum pl_code code;
	unsigned i;

	*zone = NULL;
	zones_refresh(self);
	/* From the shorter to the longer: a page from the shorter one on
	 * mostly has the longer ones.  Top-level zones are rare: last. */
	for (i = 2; (part = last_labels(name, i)) != NULL; i++) {
		code = zones_learn(self, call, part, err);
		if (code != PL_OK)
			return code;
		z = zone_known(self, part);
		if (z != NULL)
			*zone = z;
	}
	part = last_labels(name, 1);
	if (*zone == NULL) {
		code = zones_learn(self, call, part, err);
		if (code != PL_OK)
			return code;
		*zone = zone_known(self, part);
	}
	if (*zone == NULL)
		return pl_fail(err, PL_ENOZONE, "name %s: in no public zone "
		    "of the account", name);
	return zone_single(*zone, err);
}

/* The names of a page, private zones left out. */
struct page_names {
	char **names;
	size_t n;
};

static const char *
page_name(const void *ctx, size_t i)
{
	return ((const struct page_names *)ctx)->names[i];
}

/* One page is enough to say which zones there are. */
static void
page_say(const struct pl_call *call, const struct pl_xml *doc)
{
	const struct pl_xml *e = pl_xml_get(doc, "HostedZones/HostedZone");
	struct page_names p = { NULL, 0 };
	const char *name;

	for (; e != NULL; e = pl_xml_next(e)) {
		name = pl_xml_text(e, "Name");
		if (name == NULL || pl_streq(pl_xml_text(e,
		    "Config/PrivateZone"), "true"))
			continue;
		p.names = pl_grow(p.names, p.n + 1, sizeof(char *));
		p.names[p.n++] = pl_strndup(name, strlen(name) -
		    (strlen(name) > 1 && name[strlen(name) - 1] == '.'));
	}
	pl_say_zones(call, p.n, pl_streq(pl_xml_text(doc, "IsTruncated"),
	    "true"), page_name, &p);
	while (p.n > 0)
		free(p.names[--p.n]);
	free(p.names);
}

/* Health checks are no business of ours, and reading their number changes
 * nothing: a policy that allows it was not made for this alone. */
static void
warn_wide(struct route53 *self, const struct pl_call *call)
{
	struct route53_req q = { .what = "health checks", .method = "GET",
		.path = "healthcheckcount",
		.root = "GetHealthCheckCountResponse" };
	struct pl_xml *doc;

	if (call->said == NULL)
		return;
	if (route53_call(self, call, &q, &doc, NULL, NULL) == PL_OK)
		pl_say_warning(call, "the key may read health checks as well: "
		    "its policy is wider than what provider show route53 --for "
		    "prints");
	pl_xml_free(doc);
}

enum pl_code
route53_prove(struct route53 *self, const struct pl_call *call,
    const struct route53_zone *zone, struct pl_err *err)
{
	struct route53_req q = { .what = "zones", .method = "GET",
		.path = "hostedzonesbyname", .query = "maxitems=100",
		.root = "ListHostedZonesByNameResponse" };
	struct pl_xml *doc;
	struct pl_buf path;
	enum pl_code code;

	if (zone == NULL && self->zone_id != NULL) {
		route53_forget(self);
		self->zones_at = pl_mono_ms();
		return zone_own(self, call, err);
	}
	pl_buf_init(&path, PL_LIM_LINE);
	if (zone != NULL) {
		pl_buf_addf(&path, "hostedzone/%s/rrset", zone->id);
		q.path = path.data;
		q.what = "records";
		q.root = "ListResourceRecordSetsResponse";
	}
	code = route53_call(self, call, &q, &doc, NULL, err);
	if (code == PL_OK && zone == NULL) {
		page_say(call, doc);
		warn_wide(self, call);
	}
	pl_xml_free(doc);
	pl_buf_clear(&path);
	return code;
}

/* ---- sets ---- */

struct route53_set *
route53_set(struct route53 *self, struct route53_zone *zone,
    const char *name)
{
	char *key = route53_key(name);
	struct route53_set *s = tree_find(&zone->sets, key);

	if (s != NULL) {
		free(key);
		return s;
	}
	s = pl_alloc(sizeof(*s));
	s->key = key;
	s->name = pl_strdup(name);
	tree_add(&zone->sets, s);
	self->nsets++;
	return s;
}

static enum pl_code
set_ttl(const struct pl_xml *e, uint32_t *ttl, struct pl_err *err)
{
	const char *text = pl_xml_text(e, "TTL");
	int64_t v;

	if (text == NULL || pl_int_parse(&v, text, 0, INT32_MAX, NULL) !=
	    PL_OK)
		return pl_fail(err, PL_EPROTO, "records: a TTL that is none");
	*ttl = (uint32_t)v;
	return PL_OK;
}

/* Takes an element of a listing that is of this name. */
static enum pl_code
set_take(struct route53_set *s, const struct pl_xml *e, struct pl_err *err)
{
	const struct pl_xml *r = pl_xml_get(e,
	    "ResourceRecords/ResourceRecord");
	const char *type = pl_xml_text(e, "Type"), *value;
	const char *alias = pl_xml_text(e, "AliasTarget/DNSName");
	bool odd = alias != NULL || pl_xml_get(e, "SetIdentifier") != NULL;

	if (pl_streq(type, "CNAME")) {
		value = alias != NULL ? alias : pl_xml_text(r, "Value");
		if (value == NULL)
			return pl_fail(err, PL_EPROTO, "records: a CNAME "
			    "without a target");
		free(s->target);
		s->target = pl_strdup(value);
		s->target_routed = s->target_routed || odd;
		return odd ? PL_OK : set_ttl(e, &s->target_ttl, err);
	}
	if (!pl_streq(type, "TXT"))
		return PL_OK;
	s->routed = s->routed || odd;
	for (; r != NULL; r = pl_xml_next(r)) {
		value = pl_xml_text(r, "Value");
		if (value == NULL)
			return pl_fail(err, PL_EPROTO, "records: a record "
			    "without a value");
		s->values = pl_grow(s->values, s->n + 1, sizeof(char *));
		s->values[s->n++] = pl_strdup(value);
	}
	return odd ? PL_OK : set_ttl(e, &s->ttl, err);
}

/* A listing under way. */
struct listing {
	struct route53 *self;
	const struct pl_call *call;
	const struct route53_zone *zone;
	struct route53_set **list;	/* in the order of keys */
	size_t n, at;			/* those before `at` are known */
	unsigned most;			/* sets a page */
	/* Where the next page goes on inside of list[at]; else NULL. */
	char *type, *identifier;
};

static struct route53_set *
listing_find(const struct listing *l, const char *key)
{
	size_t low = l->at, high = l->n, mid;
	int d;

	while (low < high) {
		mid = low + (high - low) / 2;
		d = strcmp(key, l->list[mid]->key);
		if (d == 0)
			return l->list[mid];
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static enum pl_code
listing_page(struct listing *l, struct pl_xml **doc, struct pl_err *err)
{
	struct route53_req q = { .what = "records", .method = "GET",
		.root = "ListResourceRecordSetsResponse" };
	struct pl_buf path, query;
	enum pl_code code;
	size_t i;

	for (i = l->at; l->type == NULL && i < l->n; i++)
		route53_set_empty(l->list[i]);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&query, PL_LIM_LINE);
	pl_buf_addf(&path, "hostedzone/%s/rrset", l->zone->id);
	pl_buf_adds(&query, "name=");
	pl_url_escape(&query, l->list[l->at]->name, false);
	pl_buf_adds(&query, ".&type=");
	pl_url_escape(&query, l->type != NULL ? l->type : "CNAME", false);
	if (l->identifier != NULL) {
		pl_buf_adds(&query, "&identifier=");
		pl_url_escape(&query, l->identifier, false);
	}
	if (l->at + 1 == l->n && l->most > PAGE_SMALL)
		l->most = PAGE_SMALL;
	pl_buf_addf(&query, "&maxitems=%u", l->most);
	q.path = path.data;
	q.query = query.data;
	code = route53_call(l->self, l->call, &q, doc, NULL, err);
	pl_buf_clear(&path);
	pl_buf_clear(&query);
	return code;
}

/* Takes the sets of a page that are asked for. */
static enum pl_code
listing_take(struct listing *l, const struct pl_xml *doc, bool *ordered,
    struct pl_err *err)
{
	const struct pl_xml *e = pl_xml_get(doc,
	    "ResourceRecordSets/ResourceRecordSet");
	const char *name;
	char *key, *last = pl_strdup("");
	struct route53_set *s;
	enum pl_code code = PL_OK;

	*ordered = true;
	for (; e != NULL && code == PL_OK; e = pl_xml_next(e)) {
		name = pl_xml_text(e, "Name");
		if (name == NULL) {
			code = pl_fail(err, PL_EPROTO, "records: a set "
			    "without a name");
			break;
		}
		key = route53_key(name);
		*ordered = *ordered && strcmp(last, key) <= 0;
		free(last);
		last = key;
		s = listing_find(l, key);
		if (s != NULL)
			code = set_take(s, e, err);
	}
	free(last);
	return code;
}

static void
listing_known(struct listing *l)
{
	l->list[l->at++]->seen = pl_mono_ms();
	free(l->type);
	free(l->identifier);
	l->type = l->identifier = NULL;
}

/* Moves on to what the page has left open. */
static enum pl_code
listing_next(struct listing *l, const struct pl_xml *doc, bool ordered,
    struct pl_err *err)
{
	bool more = pl_streq(pl_xml_text(doc, "IsTruncated"), "true");
	const char *name = pl_xml_text(doc, "NextRecordName");
	const char *type = pl_xml_text(doc, "NextRecordType");
	const char *id = pl_xml_text(doc, "NextRecordIdentifier");
	char *key;

	if (more && (name == NULL || type == NULL))
		return pl_fail(err, PL_EPROTO, "records: no word of where "
		    "they go on");
	key = more ? route53_key(name) : NULL;
	if (!ordered && !pl_streq(key, l->list[l->at]->key)) {
		listing_known(l);
		more = false;
	}
	if (more && strcmp(key, l->list[l->at]->key) < 0) {
		free(key);
		return pl_fail(err, PL_EPROTO, "records: they go on before "
		    "where they began");
	}
	while (ordered && l->at < l->n && (key == NULL ||
	    strcmp(l->list[l->at]->key, key) < 0))
		listing_known(l);
	/* In the middle of a name: TXT is the last that we look at. */
	if (more && l->at < l->n && strcmp(l->list[l->at]->key, key) == 0) {
		if (strcmp(type, "TXT") > 0) {
			listing_known(l);
		} else {
			free(l->type);
			free(l->identifier);
			l->type = pl_strdup(type);
			l->identifier = pl_strdup(id);
		}
	}
	free(key);
	return PL_OK;
}

static int
by_set(const void *a, const void *b)
{
	const struct route53_set *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

enum pl_code
route53_read(struct route53 *self, const struct pl_call *call,
    const struct route53_zone *zone, struct route53_set **list, size_t n,
    struct pl_err *err)
{
	struct listing l = { .self = self, .call = call, .zone = zone,
		.list = list, .n = n, .most = PAGE_SETS };
	enum pl_code code = PL_OK;
	struct pl_xml *doc;
	unsigned pages = 0;
	bool ordered;
	size_t i;

	if (n > 1)
		qsort(list, n, sizeof(struct route53_set *), by_set);
	while (code == PL_OK && l.at < l.n) {
		if (pages++ == PAGES_MOST) {
			code = pl_fail(err, PL_EPROTO, "records: no end of "
			    "them");
			break;
		}
		code = listing_page(&l, &doc, err);
		if (code == PL_EPROTO && l.most > 1) {
			/* Large sets, perhaps: fewer of them. */
			l.most = l.most > PAGE_SMALL ? PAGE_SMALL : 1;
			code = PL_OK;
			continue;
		}
		if (code == PL_OK)
			code = listing_take(&l, doc, &ordered, err);
		if (code == PL_OK)
			code = listing_next(&l, doc, ordered, err);
		pl_xml_free(doc);
	}
	for (i = l.at; i < l.n; i++)
		route53_set_empty(l.list[i]);
	free(l.type);
	free(l.identifier);
	return code;
}

/* ---- TXT data ---- */

void
route53_quote(struct pl_buf *b, const char *data, size_t n)
{
	unsigned char ch;
	size_t i;

	pl_buf_addc(b, '"');
	for (i = 0; i < n; i++) {
		if (i > 0 && i % 255 == 0)
			pl_buf_adds(b, "\" \"");
		ch = (unsigned char)data[i];
		if (ch == '"' || ch == '\\')
			pl_buf_addf(b, "\\%c", ch);
		else if (ch >= ' ' && ch < 0x7f)
			pl_buf_addc(b, (char)ch);
		else
			pl_buf_addf(b, "\\%03o", (unsigned)ch);
	}
	pl_buf_addc(b, '"');
}

static bool
is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	    s[2] >= '0' && s[2] <= '7';
}

void
route53_unquote(struct pl_buf *b, const char *value)
{
	const char *s = value;
	bool inside = false;

	while (*s != '\0') {
		if (*s == '"') {
			inside = !inside;
			s++;
		} else if (*s == '\\' && is_octal(s + 1)) {
			pl_buf_addc(b, (char)((s[1] - '0') * 64 +
			    (s[2] - '0') * 8 + s[3] - '0'));
			s += 4;
		} else if (*s == '\\' && s[1] != '\0') {
			pl_buf_addc(b, s[1]);
			s += 2;
		} else {
			/* Between strings, blanks only part them. */
			if (inside || *s != ' ')
				pl_buf_addc(b, *s);
			s++;
		}
	}
}
