/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What an authoritative server has: zones and their records in a table.
 *
 * Every name of a zone that exists, also one that only has names below it
 * (RFC 8020), is a node of one hash table, under its octets on the wire in
 * lower case.  A hash is made from the right end of a name, so one pass over a
 * question gives the hashes of all the names above it.
 */
#include "dns-serve.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define SET_MOST 60000		/* octets of one set in a message */

static unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* ---- names -------------------------------------------------------------- */

void
pl_wire_hash(struct wire_name *n, uint32_t seed)
{
	size_t i = n->labels, end = n->len - 1u;
	uint32_t h = seed;

	n->at[n->labels] = (uint8_t)end;
	n->hash[n->labels] = h;
	while (i-- > 0) {
		for (size_t k = n->at[i]; k < end; k++)
			h = (h ^ n->wire[k]) * 16777619u;
		h ^= h >> 15;
		end = n->at[i];
		n->hash[i] = h;
	}
}

/* Reads an uncompressed name; gives the octets it takes, 0: malformed. */
size_t
pl_wire_name(struct wire_name *n, const unsigned char *p, size_t max)
{
	size_t i = 0, end;

	n->labels = 0;
	for (;;) {
		if (i >= max || i >= WIRE || p[i] > 63)
			return 0;
		n->wire[i] = p[i];
		if (p[i] == 0)
			break;
		if (n->labels == LABELS)
			return 0;
		n->at[n->labels++] = (uint8_t)i;
		end = i + p[i] + 1u;
		if (end >= max || end >= WIRE)
			return 0;
		for (i++; i < end; i++)
			n->wire[i] = lower(p[i]);
	}
	n->len = i + 1;
	return n->len;
}

/* From text without final dot; false where it is no name. */
static bool
name_text(struct wire_name *n, const char *s)
{
	size_t i = 0, k;

	n->labels = 0;
	while (*s != '\0') {
		k = strcspn(s, ".");
		if (k == 0 || k > 63 || i + k + 2 > WIRE)
			return false;
		n->at[n->labels++] = (uint8_t)i;
		n->wire[i++] = (unsigned char)k;
		while (k-- > 0)
			n->wire[i++] = lower((unsigned char)*s++);
		if (*s == '.' && *++s == '\0')
			return false;
	}
	n->wire[i] = 0;
	n->len = i + 1;
	return true;
}

static void
name_show(char out[256], const unsigned char *wire)
{
	size_t i = 0, k;

	while (*wire != 0) {
		if (i > 0)
			out[i++] = '.';
		for (k = *wire++; k > 0 && i < 254; k--)
			out[i++] = (char)*wire++;
	}
	out[i] = '\0';
}

/* ---- the table ---------------------------------------------------------- */

static struct node *
node_find(const struct pl_served *s, const struct wire_name *n, size_t label)
{
	struct node *d;
	size_t len = n->len - n->at[label];

	for (d = s->bucket[n->hash[label] & (s->nbuckets - 1)]; d != NULL;
	    d = d->next)
		if (d->hash == n->hash[label] && d->len == len &&
		    memcmp(d->name, n->wire + n->at[label], len) == 0)
			return d;
	return NULL;
}

static void
table_grow(struct pl_served *s)
{
	size_t n = s->nbuckets * 2;
	struct node **more, *d, *next;

	more = pl_array(n, sizeof(struct node *));
	for (size_t i = 0; i < s->nbuckets; i++)
		for (d = s->bucket[i]; d != NULL; d = next) {
			next = d->next;
			d->next = more[d->hash & (n - 1)];
			more[d->hash & (n - 1)] = d;
		}
	free(s->bucket);
	s->bucket = more;
	s->nbuckets = n;
}

static struct node *
node_new(struct pl_served *s, const struct wire_name *n, size_t label,
    struct node *parent, struct zone *z)
{
	size_t len = n->len - n->at[label];
	struct node *d = pl_alloc(sizeof(*d) + len);

	if (s->nnodes >= s->nbuckets)
		table_grow(s);
	memcpy(d->name, n->wire + n->at[label], len);
	d->len = (uint8_t)len;
	d->hash = n->hash[label];
	d->zone = z;
	d->parent = parent;
	if (parent != NULL)
		parent->below++;
	d->next = s->bucket[d->hash & (s->nbuckets - 1)];
	s->bucket[d->hash & (s->nbuckets - 1)] = d;
	s->nnodes++;
	return d;
}

/* The longest name at or above n that exists; *label where it begins. */
struct node *
pl_node_closest(const struct pl_served *s, const struct wire_name *n, size_t *label)
{
	struct node *d;

	for (*label = 0; *label <= n->labels; ++*label)
		if ((d = node_find(s, n, *label)) != NULL)
			return d;
	return NULL;
}

/* Makes the name exist, and those between it and its zone. */
static struct node *
node_make(struct pl_served *s, const struct wire_name *n)
{
	size_t label;
	struct node *d = pl_node_closest(s, n, &label);

	while (d != NULL && label > 0)
		d = node_new(s, n, --label, d, d->zone);
	return d;
}

static void
node_free(struct node *d)
{
	struct rr *r;

	while ((r = d->rr) != NULL) {
		d->rr = r->next;
		free(r->wire);
		free(r);
	}
	free(d);
}

/* Takes away a name that has nothing any more, and so on above it. */
static void
node_prune(struct pl_served *s, struct node *d)
{
	struct node **at, *parent;

	while (d != NULL && d->rr == NULL && d->below == 0 &&
	    d != d->zone->apex) {
		at = &s->bucket[d->hash & (s->nbuckets - 1)];
		while (*at != d)
			at = &(*at)->next;
		*at = d->next;
		parent = d->parent;
		if (parent != NULL)
			parent->below--;
		s->nnodes--;
		node_free(d);
		d = parent;
	}
}

/* ---- records ------------------------------------------------------------ */

void
pl_rr_head(unsigned char *p, unsigned type, uint32_t ttl, size_t len)
{
	put16(p, 0xc000 | HEADER);
	put16(p + 2, type);
	put16(p + 4, CLASS_IN);
	put32(p + 6, ttl);
	put16(p + 10, (unsigned)len);
}

struct rr *
pl_rr_find(const struct node *d, unsigned type)
{
	struct rr *r;

	for (r = d->rr; r != NULL; r = r->next)
		if (rr_type(r) == type)
			return r;
	return NULL;
}

/* At the end of the list, so that the order of adding is kept. */
static void
rr_add(struct node *d, unsigned type, uint32_t ttl, const void *data,
    size_t len, bool fixed)
{
	struct rr *r = pl_alloc(sizeof(*r)), **at = &d->rr;

	r->wire = pl_alloc(RR_HEAD + len);
	pl_rr_head(r->wire, type, ttl, len);
	memcpy(r->wire + RR_HEAD, data, len);
	r->len = (uint16_t)(RR_HEAD + len);
	r->fixed = fixed;
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	d->set += r->len;
}

/* Text as TXT data: strings of 255. */
static size_t
txt_data(unsigned char *out, const char *value, size_t len)
{
	size_t n = 0, part;

	do {
		part = len < 255 ? len : 255;
		out[n++] = (unsigned char)part;
		memcpy(out + n, value, part);
		n += part;
		value += part;
		len -= part;
	} while (len > 0);
	return n;
}

struct data {
	unsigned char wire[PL_LIM_LINE];
	size_t len;
};

static enum pl_code
data_make(struct data *d, unsigned type, const char *name, const char *value,
    size_t len, struct pl_err *err)
{
	struct wire_name target;
	char *text;
	bool ok;

	if (type == PL_DNS_TXT && len <= PL_LIM_LINE / 2) {
		d->len = txt_data(d->wire, value, len);
		return PL_OK;
	}
	if (type != PL_DNS_CNAME)
		return pl_fail(err, PL_EINVAL, "%s: not a record that can be "
		    "served", name);
	text = pl_strndup(value, len);
	ok = name_text(&target, text) && target.labels > 0;
	free(text);
	if (!ok)
		return pl_fail(err, PL_EINVAL, "%s: the target is not a name",
		    name);
	memcpy(d->wire, target.wire, target.len);
	d->len = target.len;
	return PL_OK;
}

static struct rr *
rr_same(const struct node *d, unsigned type, const struct data *v)
{
	struct rr *r;

	for (r = d->rr; r != NULL; r = r->next)
		if (rr_type(r) == type && r->len == RR_HEAD + v->len &&
		    memcmp(r->wire + RR_HEAD, v->wire, v->len) == 0)
			return r;
	return NULL;
}

/* ---- zones -------------------------------------------------------------- */

struct pl_served *
pl_served_new(void)
{
	struct pl_served *s = pl_alloc(sizeof(*s));

	s->nbuckets = 64;
	s->bucket = pl_array(s->nbuckets, sizeof(struct node *));
	pl_random(&s->seed, sizeof(s->seed));
	return s;
}

void
pl_served_free(struct pl_served *s)
{
	struct node *d;
	struct zone *z;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->nbuckets; i++)
		while ((d = s->bucket[i]) != NULL) {
			s->bucket[i] = d->next;
			node_free(d);
		}
	while ((z = s->zones) != NULL) {
		s->zones = z->next;
		free(z->text);
		free(z->soa);
		free(z);
	}
	free(s->bucket);
	free(s);
}

static void
zone_soa(struct zone *z, const struct wire_name *mname, const struct wire_name *rname)
{
	unsigned char *p;
	size_t n = mname->len + rname->len + 20;

	z->soa = p = pl_alloc(RR_HEAD + n);
	z->soa_len = RR_HEAD + n;
	pl_rr_head(p, PL_DNS_SOA, PL_SERVED_NEGATIVE, n);
	p += RR_HEAD;
	memcpy(p, mname->wire, mname->len);
	p += mname->len;
	memcpy(p, rname->wire, rname->len);
	p += rname->len;
	z->serial_at = (size_t)(p - z->soa);
	put32(p, z->serial);
	put32(p + 4, 86400);		/* refresh, retry, expire: nobody does */
	put32(p + 8, 3600);
	put32(p + 12, 604800);
	put32(p + 16, PL_SERVED_NEGATIVE);
}

static void
zone_changed(struct zone *z)
{
	put32(z->soa + z->serial_at, ++z->serial);
}

static enum pl_code
zone_address(struct node *d, const char *text, struct pl_err *err)
{
	unsigned char a[16];

	if (inet_pton(AF_INET, text, a) == 1)
		rr_add(d, PL_DNS_A, PL_SERVED_FIXED, a, 4, true);
	else if (inet_pton(AF_INET6, text, a) == 1)
		rr_add(d, PL_DNS_AAAA, PL_SERVED_FIXED, a, 16, true);
	else
		return pl_fail(err, PL_EINVAL, "\"%s\" is not an address",
		    text);
	return PL_OK;
}

/* One entry of ns: "NAME" or "NAME ADDRESS...". */
static enum pl_code
zone_server(struct pl_served *s, struct zone *z, const char *entry,
    struct wire_name *n, struct pl_err *err)
{
	char *copy = pl_strdup(entry), *save = NULL, *word;
	struct node *d = NULL;
	enum pl_code code = PL_OK;
	size_t label;
	bool known;

	word = strtok_r(copy, " \t", &save);
	if (word == NULL || !name_text(n, word) || n->labels == 0) {
		code = pl_fail(err, PL_EINVAL, "\"%s\" is not a host name",
		    entry);
		goto out;
	}
	pl_wire_hash(n, s->seed);
	rr_add(z->apex, PL_DNS_NS, PL_SERVED_FIXED, n->wire, n->len, true);
	word = strtok_r(NULL, " \t", &save);
	if (pl_node_closest(s, n, &label) == NULL) {
		if (word != NULL)
			code = pl_fail(err, PL_EINVAL, "\"%s\": the name lies "
			    "in none of the zones, its addresses belong "
			    "elsewhere", entry);
		goto out;
	}
	d = node_make(s, n);
	known = pl_rr_find(d, PL_DNS_A) != NULL || pl_rr_find(d, PL_DNS_AAAA) != NULL;
	if (word == NULL && !known)
		code = pl_fail(err, PL_EINVAL, "\"%s\": the name lies in %s: "
		    "its addresses must follow it", entry, d->zone->text);
	for (; code == PL_OK && word != NULL && !known;
	    word = strtok_r(NULL, " \t", &save))
		code = zone_address(d, word, err);
out:
	free(copy);
	return code;
}

enum pl_code
pl_served_zone(struct pl_served *s, const char *apex, const char *const *ns,
    size_t n, const char *hostmaster, uint32_t serial, struct pl_err *err)
{
	struct wire_name top, server, first = { .len = 0 }, mailbox;
	struct node *d;
	struct zone *z;
	enum pl_code code = PL_OK;

	if (!name_text(&top, apex) || top.labels == 0)
		return pl_fail(err, PL_EINVAL, "\"%s\" is not a name", apex);
	if (!name_text(&mailbox, hostmaster) || mailbox.labels == 0)
		return pl_fail(err, PL_EINVAL, "\"%s\" is not a mailbox name",
		    hostmaster);
	pl_wire_hash(&top, s->seed);
	d = node_find(s, &top, 0);
	if (d != NULL && d == d->zone->apex)
		return pl_fail(err, PL_EINVAL, "%s is there twice", apex);
	if (d != NULL)
		return pl_fail(err, PL_EINVAL, "%s: name this zone before the "
		    "one above it", apex);
	if (n == 0)
		return pl_fail(err, PL_EINVAL, "%s has no name server", apex);
	z = pl_alloc(sizeof(*z));
	z->text = pl_strdup(apex);
	z->serial = serial;
	z->next = s->zones;
	s->zones = z;
	z->apex = node_new(s, &top, 0, NULL, z);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		code = zone_server(s, z, ns[i], &server, err);
		if (i == 0)
			first = server;
	}
	if (code == PL_OK)
		zone_soa(z, &first, &mailbox);
	else
		z->soa = pl_alloc(RR_HEAD);
	return code;
}

static struct node *
text_node(const struct pl_served *s, const char *text, struct wire_name *n,
    struct node **closest)
{
	size_t label;

	*closest = NULL;
	if (!name_text(n, text))
		return NULL;
	pl_wire_hash(n, s->seed);
	*closest = pl_node_closest(s, n, &label);
	return *closest != NULL && label == 0 ? *closest : NULL;
}

const char *
pl_served_apex(const struct pl_served *s, const char *text)
{
	struct node *d;
	struct wire_name n;

	text_node(s, text, &n, &d);
	return d != NULL ? d->zone->text : NULL;
}

size_t
pl_served_count(const struct pl_served *s)
{
	return s->count;
}

/* ---- changes ------------------------------------------------------------ */

/* Is the name an alias that is in the way of this type? */
static enum pl_code
served_alias(const struct node *d, unsigned type, const char *name,
    char *alias, struct pl_err *err)
{
	const struct rr *r = pl_rr_find(d, PL_DNS_CNAME);
	char target[256];

	if (r == NULL)
		return PL_OK;
	name_show(target, r->wire + RR_HEAD);
	if (type == PL_DNS_CNAME)
		return pl_fail(err, PL_EREMOTE, "%s: is an alias of %s already",
		    name, target);
	if (alias != NULL)
		memcpy(alias, target, sizeof(target));
	return pl_fail(err, PL_ECONFLICT, "%s: is an alias of %s", name,
	    target);
}

enum pl_code
pl_served_has(const struct pl_served *s, unsigned type, const char *name,
    const char *value, size_t len, bool *there, char *alias,
    struct pl_err *err)
{
	struct node *d, *closest;
	struct data v;
	struct wire_name n;
	enum pl_code code;

	*there = false;
	code = data_make(&v, type, name, value, len, err);
	if (code != PL_OK)
		return code;
	d = text_node(s, name, &n, &closest);
	if (closest == NULL)
		return pl_fail(err, PL_ENOZONE, "%s: is in none of the zones",
		    name);
	if (d == NULL)
		return PL_OK;
	*there = rr_same(d, type, &v) != NULL;
	return *there ? PL_OK : served_alias(d, type, name, alias, err);
}

enum pl_code
pl_served_add(struct pl_served *s, unsigned type, const char *name,
    const char *value, size_t len, uint32_t ttl, bool *was, char *alias,
    struct pl_err *err)
{
	struct node *d, *closest;
	const struct rr *mate;
	struct data v;
	struct wire_name n;
	enum pl_code code;

	code = pl_served_has(s, type, name, value, len, was, alias, err);
	if (code != PL_OK || *was)
		return code;
	data_make(&v, type, name, value, len, NULL);
	d = text_node(s, name, &n, &closest);
	if (d != NULL && type == PL_DNS_CNAME && d->rr != NULL)
		return pl_fail(err, PL_EREMOTE, "%s: has other records, it "
		    "cannot be an alias", name);
	if (d != NULL && d->set + RR_HEAD + v.len > SET_MOST)
		return pl_fail(err, PL_EREMOTE, "%s: has as many values as fit "
		    "an answer", name);
	if (d == NULL)
		d = node_make(s, &n);
	mate = pl_rr_find(d, type);
	if (mate != NULL)
		ttl = (uint32_t)get16(mate->wire + 6) << 16 |
		    get16(mate->wire + 8);
	rr_add(d, type, ttl, v.wire, v.len, false);
	s->count++;
	zone_changed(d->zone);
	return PL_OK;
}

enum pl_code
pl_served_del(struct pl_served *s, unsigned type, const char *name,
    const char *value, size_t len, struct pl_err *err)
{
	struct node *d, *closest;
	struct rr **at, *r;
	struct data v;
	struct wire_name n;
	enum pl_code code;

	code = data_make(&v, type, name, value, len, err);
	if (code != PL_OK)
		return code;
	d = text_node(s, name, &n, &closest);
	if (d == NULL)
		return PL_OK;
	r = rr_same(d, type, &v);
	if (r == NULL || r->fixed)
		return PL_OK;
	for (at = &d->rr; *at != r; at = &(*at)->next)
		continue;
	*at = r->next;
	d->set -= r->len;
	free(r->wire);
	free(r);
	s->count--;
	zone_changed(d->zone);
	node_prune(s, d);
	return PL_OK;
}

