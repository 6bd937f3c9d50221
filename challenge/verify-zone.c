/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Where a name lives: resolvers are asked for the zone's apex, its name
 * servers and their addresses, and for nothing else: never for the name of
 * a challenge nor for anything below it, so that no cache learns that it is
 * not there.  What was found is shared by all checks for a while.
 */

#include "verify.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_MIN	30000	/* ms that an answer is kept at least */
#define KEEP_MAX	300000
#define KEEP_FAILED	1000
#define NS_MAX		32	/* servers' names of a zone that are looked at */
#define CAA_MAX		4096	/* as many as an answer can hold */
#define ADDR_MAX	16	/* addresses of one name */
#define WATCH_MS	100

void
want_stop(struct want *w)
{
	if (w->list == NULL)
		return;
	TAILQ_REMOVE(w->list, w, link);
	w->list = NULL;
}

static void
want_wait(struct want *w, struct wants *l)
{
	if (w->list == l)
		return;
	want_stop(w);
	w->list = l;
	TAILQ_INSERT_TAIL(l, w, link);
}

/* Whoever waits again from within ready() waits for the next time. */
void
wants_wake(struct pl_verifier *v, struct wants *l)
{
	struct wants now;
	struct want *w;

	TAILQ_INIT(&now);
	TAILQ_CONCAT(&now, l, link);
	TAILQ_FOREACH(w, &now, link)
		w->list = &now;
	while ((w = TAILQ_FIRST(&now)) != NULL) {
		want_stop(w);
		w->ready(v, w);
	}
}

/* ---- resolvers --------------------------------------------------------------- */

static query_done lookup_done;

static void
lookup_ask(struct pl_verifier *v, struct lookup *l)
{
	struct peer *p = v->resolver[l->next++ % v->nresolver];

	l->left--;
	l->q = query_ask(v, p, l->name, l->type, PL_DNS_RD, lookup_done, l);
	/* The last one is asked in earnest. */
	l->q->quick = l->left > 0;
}

static void
lookup_add(struct lookup *l, const char *text)
{
	if (text == NULL || l->n >= NS_MAX)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->text[i], text) == 0)
			return;
	l->text = pl_grow(l->text, l->n + 1, sizeof(*l->text));
	l->text[l->n++] = pl_strdup(text);
}

static void
lookup_add_caa(struct lookup *l, const struct pl_dns_rr *rr)
{
	struct pl_caa_rr *c;

	if (rr->tag == NULL || l->n >= CAA_MAX)
		return;
	l->caa = pl_grow(l->caa, l->n + 1, sizeof(*l->caa));
	c = &l->caa[l->n++];
	c->flags = rr->flags;
	c->tag = pl_strdup(rr->tag);
	c->value = pl_memdup(rr->data, rr->len);
	c->len = rr->len;
}

/* Takes from the answer what the question was for; gives the least TTL. */
static uint32_t
lookup_read(struct lookup *l, const struct pl_dns_msg *m)
{
	uint32_t ttl = KEEP_MAX / 1000;

	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];
		size_t had = l->n;

		if (rr->section == 1 && rr->type == PL_DNS_CNAME &&
		    strcmp(rr->owner, l->name) == 0)
			l->alias = true;
		if (rr->type != l->type || rr->section > 2)
			continue;
		if (l->type == PL_DNS_SOA) {
			if (pl_suffix_of(rr->owner, l->name) && l->n == 0)
				lookup_add(l, rr->owner);
		} else if (rr->section == 1 && l->type == PL_DNS_CAA) {
			lookup_add_caa(l, rr);
		} else if (rr->section == 1 && (l->type != PL_DNS_NS ||
		    strcmp(rr->owner, l->name) == 0)) {
			lookup_add(l, rr->target);
		}
		if (l->n > had && rr->ttl < ttl)
			ttl = rr->ttl;
	}
	return ttl;
}

static void
lookup_end(struct pl_verifier *v, struct lookup *l, int64_t keep)
{
	l->done = true;
	l->expires = v->now + (keep < KEEP_MIN && !l->failed ? KEEP_MIN : keep);
	wants_wake(v, &l->wants);
}

static void
lookup_done(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct lookup *l = q->owner;

	l->q = NULL;
	if (r->end == Q_ANSWER)
		l->rcode = r->msg->rcode;
	if (r->end == Q_ANSWER && (r->msg->rcode == PL_DNS_NOERROR ||
	    r->msg->rcode == PL_DNS_NXDOMAIN)) {
		uint32_t ttl = lookup_read(l, r->msg);

		lookup_end(v, l, l->n > 0 ? ttl * (int64_t)1000 : 0);
	} else if (l->left > 0) {
		lookup_ask(v, l);
	} else {
		l->failed = true;
		lookup_end(v, l, KEEP_FAILED);
	}
}

void
lookup_free(struct pl_verifier *v, struct lookup *l)
{
	query_cancel(v, l->q);
	for (size_t i = 0; i < l->n && l->text != NULL; i++)
		free(l->text[i]);
	for (size_t i = 0; i < l->n && l->caa != NULL; i++) {
		free((void *)(uintptr_t)l->caa[i].tag);
		free((void *)(uintptr_t)l->caa[i].value);
	}
	free(l->caa);
	free(l->text);
	free(l->key);
	free(l);
}

struct lookup *
lookup_get(struct pl_verifier *v, const char *name, unsigned type,
    struct want *w)
{
	struct entry *e;
	struct lookup *l = NULL;
	struct pl_buf key;

	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_addf(&key, "%u %s", type, name);
	if ((e = table_get(&v->lookups, key.data)) != NULL)
		l = v_of(e, struct lookup, entry);
	if (l != NULL && l->done && l->expires <= v->now) {
		table_del(&v->lookups, &l->entry);
		lookup_free(v, l);
		l = NULL;
	}
	if (l == NULL) {
		l = pl_alloc(sizeof(*l));
		l->key = pl_strdup(key.data);
		l->name = strchr(l->key, ' ') + 1;
		l->type = type;
		TAILQ_INIT(&l->wants);
		table_add(&v->lookups, &l->entry, l->key);
		l->left = (unsigned)v->nresolver;
		lookup_ask(v, l);
	}
	pl_buf_clear(&key);
	if (l->done)
		return l;
	want_wait(w, &l->wants);
	return NULL;
}

/* ---- zones ---------------------------------------------------------------------- */

static void zone_step(struct pl_verifier *v, struct zone *z);
static void zone_watch_fire(struct pl_verifier *v, struct timer *t);

static void
zone_free(struct pl_verifier *v, struct zone *z)
{
	want_stop(&z->ns);
	timer_stop(v, &z->watch);
	if (z->watch_since != 0)
		v->watched--;
	for (size_t i = 0; i < z->n; i++) {
		query_cancel(v, z->s[i].soa);
		free(z->s[i].name);
	}
	for (size_t i = 0; i < z->naddr; i++) {
		want_stop(&z->addr[i].a);
		want_stop(&z->addr[i].aaaa);
		for (size_t k = 0; k < z->addr[i].nglue; k++)
			free(z->addr[i].glue[k]);
		free(z->addr[i].glue);
		free(z->addr[i].name);
	}
	free(z->addr);
	free(z->s);
	free(z->name);
	free(z);
}

void
zone_unref(struct pl_verifier *v, struct zone *z)
{
	if (z != NULL && --z->refs == 0)
		zone_free(v, z);
}

/* The table's entry for a key, if it is still good. */
static struct zone *
zone_listed(struct pl_verifier *v, const char *key)
{
	struct entry *e = table_get(&v->zones, key);
	struct zone *z;

	if (e == NULL)
		return NULL;
	z = v_of(e, struct zone, entry);
	if (!z->done || z->expires > v->now)
		return z;
	table_del(&v->zones, e);
	z->listed = false;
	zone_unref(v, z);
	return NULL;
}

static struct zone *
zone_new(struct pl_verifier *v, const char *name)
{
	struct zone *z = pl_alloc(sizeof(*z));

	z->name = pl_strdup(name);
	z->refs = 1;			/* the table's */
	z->listed = true;
	z->watch.fire = zone_watch_fire;
	TAILQ_INIT(&z->wants);
	TAILQ_INIT(&z->serials);
	LIST_INIT(&z->hops);
	table_add(&v->zones, &z->entry, z->name);
	return z;
}

static void
zone_server(struct zone *z, const char *name, struct peer *p)
{
	struct zserver *s;

	if (p == NULL || z->n >= V_SERVERS)
		return;
	for (size_t i = 0; i < z->n; i++)
		if (z->s[i].peer == p)
			return;
	z->s = pl_grow(z->s, z->n + 1, sizeof(*z->s));
	s = &z->s[z->n++];
	memset(s, 0, sizeof(*s));
	s->name = pl_strdup(name);
	s->peer = p;
}

static void
zone_done(struct pl_verifier *v, struct zone *z, int64_t keep)
{
	z->done = true;
	z->expires = v->now + (z->failed ? KEEP_FAILED : keep);
	wants_wake(v, &z->wants);
}

static void
zone_want(struct pl_verifier *v, struct want *w)
{
	zone_step(v, v_of(w, struct zone, ns));
}

static void
addr_want_a(struct pl_verifier *v, struct want *w)
{
	zone_step(v, v_of(w, struct nsaddr, a)->zone);
}

static void
addr_want_aaaa(struct pl_verifier *v, struct want *w)
{
	zone_step(v, v_of(w, struct nsaddr, aaaa)->zone);
}

static void
zone_name_server(struct zone *z, const char *name)
{
	struct nsaddr *a;

	for (size_t i = 0; i < z->naddr; i++)
		if (strcmp(z->addr[i].name, name) == 0)
			return;
	if (z->naddr >= NS_MAX)
		return;
	/* Wants are linked by address: room for all is made at once. */
	if (z->addr == NULL)
		z->addr = pl_array(NS_MAX, sizeof(*z->addr));
	a = &z->addr[z->naddr++];
	a->name = pl_strdup(name);
	a->zone = z;
	a->a.ready = addr_want_a;
	a->aaaa.ready = addr_want_aaaa;
}

static bool
addr_look(struct pl_verifier *v, struct zone *z, struct nsaddr *a,
    unsigned type, struct want *w)
{
	struct lookup *l = lookup_get(v, a->name, type, w);

	for (size_t i = 0; l != NULL && i < l->n && i < ADDR_MAX; i++)
		zone_server(z, a->name, peer_get(v, l->text[i], 53));
	return l != NULL;
}

/* Adds what is known of one server's addresses; false: not all yet. */
static bool
addr_step(struct pl_verifier *v, struct zone *z, struct nsaddr *a)
{
	if (a->nglue > 0) {
		for (size_t i = 0; i < a->nglue; i++)
			zone_server(z, a->name, peer_get(v, a->glue[i], 53));
		return true;
	}
	if (!a->done_a)
		a->done_a = addr_look(v, z, a, PL_DNS_A, &a->a);
	if (!a->done_aaaa)
		a->done_aaaa = addr_look(v, z, a, PL_DNS_AAAA, &a->aaaa);
	return a->done_a && a->done_aaaa;
}

static void
zone_step(struct pl_verifier *v, struct zone *z)
{
	struct lookup *l;
	bool all = true;

	if (z->done)
		return;
	if (!z->named) {
		z->ns.ready = zone_want;
		if ((l = lookup_get(v, z->name, PL_DNS_NS, &z->ns)) == NULL)
			return;
		for (size_t i = 0; i < l->n; i++)
			zone_name_server(z, l->text[i]);
		z->named = true;
		if (z->naddr == 0) {
			pl_fail(&z->err, PL_ENET, l->failed ?
			    "%s: no resolver names its servers (%s)" :
			    "%s: it has no name servers (%s)",
			    z->name, pl_dns_rcode_name(l->rcode));
			z->failed = true;
			zone_done(v, z, KEEP_FAILED);
			return;
		}
	}
	for (size_t i = 0; i < z->naddr; i++)
		all = addr_step(v, z, &z->addr[i]) && all;
	if (!all)
		return;
	if (z->n == 0) {
		pl_fail(&z->err, PL_ENET,
		    "%s: none of its %zu name servers has an address",
		    z->name, z->naddr);
		z->failed = true;
	}
	zone_done(v, z, KEEP_MAX);
}

bool
zone_ready(struct zone *z, struct want *w, struct pl_err *err)
{
	pl_err_clear(err);
	if (!z->done)
		want_wait(w, &z->wants);
	else if (z->failed)
		*err = z->err;
	return z->done && !z->failed;
}

struct zone *
zone_given(struct pl_verifier *v, const char *name)
{
	struct pl_buf key;
	struct zone *z;

	/* Kept apart from what is discovered under the same name. */
	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_addf(&key, "!%s", name != NULL ? name : "");
	if ((z = zone_listed(v, key.data)) == NULL) {
		z = zone_new(v, key.data);
		for (size_t i = 0; i < v->nserver; i++)
			zone_server(z, v->server[i]->text, v->server[i]);
		z->given = true;
		z->done = true;
		z->expires = INT64_MAX;
	}
	pl_buf_clear(&key);
	z->refs++;
	return z;
}

struct zone *
zone_resolvers(struct pl_verifier *v)
{
	struct zone *z = zone_listed(v, "@");

	if (z == NULL) {
		z = zone_new(v, "@");
		for (size_t i = 0; i < v->nresolver && i < V_SERVERS; i++)
			zone_server(z, v->resolver[i]->text, v->resolver[i]);
		z->recursive = true;
		z->done = true;
		z->expires = INT64_MAX;
	}
	z->refs++;
	return z;
}

struct zone *
zone_referral(struct pl_verifier *v, const char *name,
    const struct pl_dns_msg *m)
{
	struct zone *z = zone_listed(v, name);

	if (z != NULL) {
		z->refs++;
		return z;
	}
	z = zone_new(v, name);
	z->refs++;
	z->named = true;
	for (size_t i = 0; i < m->nrr; i++)
		if (m->rr[i].type == PL_DNS_NS && m->rr[i].target != NULL &&
		    strcmp(m->rr[i].owner, name) == 0)
			zone_name_server(z, m->rr[i].target);
	for (size_t i = 0; i < z->naddr; i++)
		for (size_t k = 0; k < m->nrr; k++) {
			const struct pl_dns_rr *rr = &m->rr[k];
			struct nsaddr *a = &z->addr[i];

			if (rr->section != 3 || rr->target == NULL ||
			    (rr->type != PL_DNS_A &&
			    rr->type != PL_DNS_AAAA) ||
			    strcmp(rr->owner, a->name) != 0 ||
			    a->nglue >= ADDR_MAX)
				continue;
			a->glue = pl_grow(a->glue, a->nglue + 1,
			    sizeof(*a->glue));
			a->glue[a->nglue++] = pl_strdup(rr->target);
		}
	zone_step(v, z);
	return z;
}

/* ---- zone cuts ------------------------------------------------------------------- */

/* Which zone a name lies in, as the resolvers see it. */
struct cut {
	struct entry entry, group;
	bool leads;		/* is in v->groups */
	char *start;
	const char *at;		/* the part of start being asked for */
	bool soa;		/* has been asked for there */
	struct want w;
	struct wants wants;
	bool done;
	char *zone;		/* NULL: failed */
	struct pl_err err;
	int64_t expires;
};

static void cut_step(struct pl_verifier *v, struct cut *c);

/* The last two labels: names that share them are likely in one zone. */
static const char *
group_of(const char *name)
{
	const char *p = name + strlen(name);
	unsigned dots = 0;

	while (p > name && (p[-1] != '.' || ++dots < 2))
		p--;
	return p;
}

static void
cut_want(struct pl_verifier *v, struct want *w)
{
	cut_step(v, v_of(w, struct cut, w));
}

static void
cut_end(struct pl_verifier *v, struct cut *c, const char *zone)
{
	c->done = true;
	c->zone = pl_strdup(zone);
	c->expires = v->now + (zone != NULL ? KEEP_MAX : KEEP_FAILED);
	if (c->leads) {
		table_del(&v->groups, &c->group);
		c->leads = false;
	}
	/* Before anybody else of the group looks for a zone. */
	if (zone != NULL && zone_listed(v, zone) == NULL)
		zone_step(v, zone_new(v, zone));
	wants_wake(v, &c->wants);
}

/* Goes up from start until a resolver tells of a zone. */
static void
cut_step(struct pl_verifier *v, struct cut *c)
{
	for (; c->at != NULL && c->at[0] != '\0';
	    c->at = strchr(c->at, '.'), c->at = c->at ? c->at + 1 : NULL) {
		struct lookup *l = NULL;

		if (!c->soa) {
			l = lookup_get(v, c->at, PL_DNS_SOA, &c->w);
			if (l == NULL)
				return;
			if (l->failed && l->rcode == 0) {
				pl_fail(&c->err, PL_ENET,
				    "%s: no resolver answers", c->start);
				cut_end(v, c, NULL);
				return;
			}
			if (l->alias)
				continue;
			if (l->n > 0 && l->text[0][0] == '\0')
				break;		/* the root says no */
			if (l->n > 0) {
				cut_end(v, c, l->text[0]);
				return;
			}
		}
		/* Some resolvers cannot tell SOA. */
		c->soa = true;
		l = lookup_get(v, c->at, PL_DNS_NS, &c->w);
		if (l == NULL)
			return;
		if (l->n > 0) {
			cut_end(v, c, c->at);
			return;
		}
		c->soa = false;
	}
	pl_fail(&c->err, PL_ENET, "%s: no resolver knows a zone that holds it",
	    c->start);
	cut_end(v, c, NULL);
}

static void
cut_free(struct cut *c)
{
	want_stop(&c->w);
	free(c->start);
	free(c->zone);
	free(c);
}

static struct cut *
cut_new(struct pl_verifier *v, const char *start)
{
	struct cut *c = pl_alloc(sizeof(*c));

	c->start = pl_strdup(start);
	c->at = c->start;
	c->w.ready = cut_want;
	TAILQ_INIT(&c->wants);
	table_add(&v->cuts, &c->entry, c->start);
	if (table_get(&v->groups, group_of(c->start)) == NULL) {
		table_add(&v->groups, &c->group, group_of(c->start));
		c->leads = true;
	}
	cut_step(v, c);
	return c;
}

/* A zone that is known and that start lies in; the longest. */
static struct zone *
zone_covering(struct pl_verifier *v, const char *start)
{
	const char *p = start;

	/* A zone of one label holds only itself: too many zones below. */
	for (; p != NULL; p = strchr(p, '.'), p = p ? p + 1 : NULL) {
		struct zone *z;

		if (p != start && strchr(p, '.') == NULL)
			return NULL;
		z = zone_listed(v, p);
		if (z != NULL && !z->failed)
			return z;
	}
	return NULL;
}

struct zone *
zone_find(struct pl_verifier *v, const char *start, struct want *w,
    struct pl_err *err)
{
	struct zone *z;
	struct entry *e;
	struct cut *c = NULL;

	pl_err_clear(err);
	if ((z = zone_covering(v, start)) == NULL) {
		if ((e = table_get(&v->cuts, start)) != NULL)
			c = v_of(e, struct cut, entry);
		if (c != NULL && c->done && c->expires <= v->now) {
			table_del(&v->cuts, &c->entry);
			cut_free(c);
			c = NULL;
		}
		if (c == NULL && (e = table_get(&v->groups,
		    group_of(start))) != NULL)
			c = v_of(e, struct cut, group);
		else if (c == NULL)
			c = cut_new(v, start);
		if (!c->done) {
			want_wait(w, &c->wants);
			return NULL;
		}
		if (c->zone == NULL) {
			*err = c->err;
			return NULL;
		}
		if ((z = zone_listed(v, c->zone)) == NULL) {
			z = zone_new(v, c->zone);
			zone_step(v, z);
		}
	}
	if (!zone_ready(z, w, err))
		return NULL;
	z->refs++;
	return z;
}

/* ---- serials ------------------------------------------------------------------------ */

int
serial_cmp(uint32_t a, uint32_t b)
{
	if (a == b)
		return 0;
	return (uint32_t)(a - b) < 0x80000000u ? 1 : -1;
}

void
zone_serial(struct pl_verifier *v, struct zone *z, size_t i, uint32_t serial)
{
	struct zserver *s = &z->s[i];
	bool newer = s->known && serial_cmp(serial, s->serial) > 0;

	s->known = true;
	s->serial = serial;
	if (newer && z->watch_since != 0) {
		/* Many who wait are hurried less often. */
		int64_t least = 50 + (int64_t)z->nhops / 25;

		s->bump = v->now < s->bumped + least;
		if (!s->bump) {
			s->bumped = v->now;
			dns_hurry(v, z, i);
		}
	}
}

static void
serial_done(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct zone *z = q->owner;
	size_t i = q->index;

	z->s[i].soa = NULL;
	for (size_t k = 0; r->end == Q_ANSWER && r->msg->aa &&
	    k < r->msg->nrr; k++) {
		const struct pl_dns_rr *rr = &r->msg->rr[k];

		if (rr->type == PL_DNS_SOA && rr->section == 1 &&
		    strcmp(rr->owner, q->name) == 0)
			zone_serial(v, z, i, rr->serial);
	}
	if (--z->asking == 0)
		wants_wake(v, &z->serials);
}

static void
serial_ask(struct pl_verifier *v, struct zone *z, size_t i)
{
	struct zserver *s = &z->s[i];

	if (s->soa != NULL)
		return;
	s->soa = query_ask(v, s->peer, z->given ? z->name + 1 : z->name,
	    PL_DNS_SOA, 0, serial_done, z);
	s->soa->index = (unsigned)i;
	s->soa->quick = true;
	z->asking++;
}

bool
zone_serials(struct pl_verifier *v, struct zone *z, int64_t since)
{
	if (z->recursive || (z->given && z->name[1] == '\0'))
		return false;
	if (z->asked < since) {
		z->asked = v->now;
		for (size_t i = 0; i < z->n; i++)
			serial_ask(v, z, i);
	}
	return z->asking > 0;
}

bool
zone_behind(const struct zone *z, size_t i)
{
	for (size_t k = 0; z->s[i].known && k < z->n; k++)
		if (z->s[k].known &&
		    serial_cmp(z->s[k].serial, z->s[i].serial) > 0)
			return true;
	return false;
}

/* Time between two looks at the serials of a zone. */
static int64_t
watch_gap(const struct pl_verifier *v, const struct zone *z)
{
	int64_t gap = (v->now - z->watch_since) / 50;

	gap = gap < WATCH_MS ? WATCH_MS : gap > 1000 ? 1000 : gap;
	if ((int64_t)z->nhops / 50 > gap)
		gap = (int64_t)z->nhops / 50;
	if ((int64_t)v->watched * 2 > gap)
		gap = (int64_t)v->watched * 2;
	return gap;
}

static void
zone_watch_fire(struct pl_verifier *v, struct timer *t)
{
	struct zone *z = v_of(t, struct zone, watch);
	struct hop *h;
	bool any = false;

	for (size_t i = 0; i < z->n; i++)
		z->s[i].lacks = false;
	LIST_FOREACH(h, &z->hops, link)
		for (size_t i = 0; h->seen != NULL && i < z->n; i++)
			if (h->seen[i].answer == PL_ANS_ABSENT)
				any = z->s[i].lacks = true;
	if (!any) {
		z->watch_since = 0;
		v->watched--;
		return;
	}
	for (size_t i = 0; i < z->n; i++) {
		if (z->s[i].lacks)
			serial_ask(v, z, i);
		if (z->s[i].bump) {
			z->s[i].bump = false;
			z->s[i].bumped = v->now;
			dns_hurry(v, z, i);
		}
	}
	timer_set(v, &z->watch, v->now + watch_gap(v, z));
}

void
zone_watch(struct pl_verifier *v, struct zone *z)
{
	if (z->watch_since != 0 || z->recursive || (z->given && z->name[1] == '\0'))
		return;
	z->watch_since = v->now;
	v->watched++;
	timer_set(v, &z->watch, v->now + watch_gap(v, z));
}

static bool
lookup_old(const struct pl_verifier *v, struct entry *e)
{
	const struct lookup *l = v_of(e, struct lookup, entry);

	return l->done && l->expires <= v->now && TAILQ_EMPTY(&l->wants);
}

static void
lookup_drop(struct pl_verifier *v, struct entry *e)
{
	lookup_free(v, v_of(e, struct lookup, entry));
}

static bool
cut_old(const struct pl_verifier *v, struct entry *e)
{
	const struct cut *c = v_of(e, struct cut, entry);

	return c->done && c->expires <= v->now && TAILQ_EMPTY(&c->wants);
}

static void
cut_drop(struct pl_verifier *v PL_UNUSED, struct entry *e)
{
	cut_free(v_of(e, struct cut, entry));
}

static bool
zone_old(const struct pl_verifier *v, struct entry *e)
{
	const struct zone *z = v_of(e, struct zone, entry);

	return z->done && z->expires <= v->now;
}

static void
zone_drop(struct pl_verifier *v, struct entry *e)
{
	struct zone *z = v_of(e, struct zone, entry);

	z->listed = false;
	zone_unref(v, z);
}

void
zones_sweep(struct pl_verifier *v)
{
	table_sweep(v, &v->zones, zone_old, zone_drop);
	table_sweep(v, &v->cuts, cut_old, cut_drop);
	table_sweep(v, &v->lookups, lookup_old, lookup_drop);
}

void
zones_free(struct pl_verifier *v)
{
	struct entry *e;

	while ((e = table_pop(&v->zones)) != NULL)
		zone_unref(v, v_of(e, struct zone, entry));
	while ((e = table_pop(&v->groups)) != NULL)
		v_of(e, struct cut, group)->leads = false;
	while ((e = table_pop(&v->cuts)) != NULL)
		cut_free(v_of(e, struct cut, entry));
}
