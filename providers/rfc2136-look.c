/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What the rfc2136 provider knows about names: the zone that holds each,
 * and what stands there.
 *
 * One TXT question tells both, where the answer is negative (SOA) or the
 * server adds its NS; else SOA is asked for upwards.  Many names at once
 * are looked at by UPDATE messages that hold only the prerequisite "name not
 * in use": nothing is changed, and one message clears hundreds of names.  Such
 * messages also tell records from what a wildcard answers in their place,
 * which a question cannot.
 */
#include <stdlib.h>
#include <string.h>

#include "rfc2136.h"

#define KNOWN_ZONE_MS 600000	/* how long a zone is good */
#define KNOWN_BUCKETS 16384	
#define SIFT_NAMES 200		/* names of any length fit so often */
#define LOOK_FEW 8		/* so many names are asked for at once */
#define MANY_NAMES 128		/* so many are not asked for one by one */
#define SCOUT_EACH 32		/* of so many of them one is */
#define SIFT_NAME 2000		/* octets left for one name's prerequisites */

/* ---- names ------------------------------------------------------------- */

void
rfc2136_forget(struct known *k)
{
	size_t i;

	for (i = 0; i < k->nvalues; i++) {
		free(k->values[i].data);
		free(k->values[i].raw);
	}
	free(k->values);
	free(k->target);
	k->values = NULL;
	k->nvalues = 0;
	k->target = NULL;
	k->dname = k->sure = false;
	k->state = KNOWN_NOT;
}

void
rfc2136_forget_all(struct rfc2136 *self)
{
	struct known *k, *next;
	size_t i;

	for (i = 0; self->buckets != NULL && i < KNOWN_BUCKETS; i++) {
		for (k = self->buckets[i]; k != NULL; k = next) {
			next = k->next;
			rfc2136_forget(k);
			free(k->name);
			free(k->zone);
			free(k);
		}
	}
	free(self->buckets);
	self->buckets = NULL;
	self->nknown = 0;
}

struct known *
rfc2136_known(struct rfc2136 *self, const char *name)
{
	uint32_t hash = 2166136261u;
	struct known *k, **bucket;
	const char *p;

	if (self->buckets == NULL)
		self->buckets = pl_array(KNOWN_BUCKETS,
		    sizeof(struct known *));
	for (p = name; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	bucket = &self->buckets[(hash ^ hash >> 15) % KNOWN_BUCKETS];
	for (k = *bucket; k != NULL; k = k->next)
		if (strcmp(k->name, name) == 0)
			return k;
	k = pl_alloc(sizeof(*k));
	k->name = pl_strdup(name);
	k->next = *bucket;
	*bucket = k;
	self->nknown++;
	return k;
}

static void
known_zone(struct known *k, const char *zone)
{
	free(k->zone);
	k->zone = pl_strdup(zone);
	k->zone_seen = pl_mono_ms();
}

static void
known_add_value(struct known *k, const struct pl_dns_rr *rr)
{
	struct known_value *v;

	k->values = pl_grow(k->values, k->nvalues + 1, sizeof(*k->values));
	v = &k->values[k->nvalues++];
	v->data = pl_memdup(rr->data, rr->len);
	v->len = rr->len;
	v->raw = pl_memdup(rr->raw, rr->rawlen);
	v->rawlen = rr->rawlen;
	k->ttl = rr->ttl;
}

/* What an answer without data and alias says. */
static enum pl_code
answer_code(const struct pl_dns_msg *m)
{
	if (m->rcode == PL_DNS_SERVFAIL)
		return PL_ENET;
	if (m->rcode != PL_DNS_NOERROR && m->rcode != PL_DNS_NXDOMAIN)
		return PL_ENOZONE;
	return m->aa ? PL_OK : PL_ENOZONE;
}

/* The zone that an answer names for k: SOA below or, with data, NS. */
static void
known_learn_zone(struct known *k, const struct pl_dns_msg *m)
{
	const struct pl_dns_rr *rr;
	size_t i;

	for (i = 0; i < m->nrr; i++) {
		rr = &m->rr[i];
		if (!pl_suffix_of(rr->owner, k->name))
			continue;
		if (rr->type == PL_DNS_SOA && rr->section <= 2)
			known_zone(k, rr->owner);
		else if (rr->type == PL_DNS_NS && rr->section == 2 &&
		    k->state == KNOWN_SET)
			known_zone(k, rr->owner);
	}
}

/* Takes the answer to a TXT question at k. */
static void
known_learn(struct known *k, enum pl_code code, const struct pl_dns_msg *m)
{
	const struct pl_dns_rr *rr;
	bool dname = false;
	size_t i;

	rfc2136_forget(k);
	k->rcode = m->rcode;
	k->code = code != PL_OK ? code : answer_code(m);
	for (i = 0; i < m->nrr; i++) {
		rr = &m->rr[i];
		if (rr->section != 1 || !m->aa)
			continue;
		dname |= rr->type == PL_DNS_DNAME &&
		    pl_suffix_of(rr->owner, k->name);
		if (strcmp(rr->owner, k->name) != 0)
			continue;
		if (rr->type == PL_DNS_TXT) {
			known_add_value(k, rr);
			k->state = KNOWN_SET;
		} else if (rr->type == PL_DNS_CNAME && k->target == NULL) {
			k->target = pl_strdup(rr->target);
			k->state = KNOWN_ALIAS;
		}
	}
	k->seen = pl_mono_ms();
	if (k->state == KNOWN_ALIAS) {
		k->code = PL_OK;	/* the rest speaks of its target */
		k->dname = dname;
		return;
	}
	if (k->code != PL_OK)
		return;
	if (k->state == KNOWN_NOT)
		k->state = m->rcode == PL_DNS_NXDOMAIN ? KNOWN_UNUSED :
		    KNOWN_FREE;
	known_learn_zone(k, m);
}

/* ---- what a server's refusal means -------------------------------------- */

static enum pl_code
fail_time(const struct rfc2136 *self, struct pl_err *err)
{
	int64_t skew = pl_dns_peer_skew(self->peer);

	if (skew == 0)
		return pl_fail(err, PL_EAUTH, "server %s: signature refused "
		    "(BADTIME): set the clock here or there", self->host);
	return pl_fail(err, PL_EAUTH, "server %s: signature refused "
	    "(BADTIME): its clock is %lld s %s ours; set the one that is wrong",
	    self->host, (long long)(skew < 0 ? -skew : skew),
	    skew < 0 ? "behind" : "ahead of");
}

enum pl_code
rfc2136_fail_rcode(const struct rfc2136 *self, const char *zone, unsigned rcode,
    struct pl_err *err)
{
	const char *host = self->host;
	const char *key = self->key_name != NULL ? self->key_name : "";

	switch (rcode) {
	case PL_DNS_BADKEY:
		return pl_fail(err, PL_EAUTH, "server %s: key %s is not known "
		    "there (BADKEY): compare key-name and key-algorithm with "
		    "the server's", host, key);
	case PL_DNS_BADSIG:
		return pl_fail(err, PL_EAUTH, "server %s: signature refused "
		    "(BADSIG): key-secret is not the server's for key %s",
		    host, key);
	case PL_DNS_BADTIME:
		return fail_time(self, err);
	case PL_DNS_REFUSED:
		/* The key is good, its rights end here; other zones and names
		 * of the account need not suffer. */
		return pl_fail(err, *key != '\0' ? PL_EREMOTE : PL_EAUTH, "zone %s: update refused by %s "
		    "(REFUSED): let %s%s change it in the server's update policy",
		    zone, host, *key != '\0' ? "key " : "this address",
		    key);
	case PL_DNS_NOTAUTH:
		return pl_fail(err, PL_ENOZONE, "zone %s: %s does not hold it "
		    "as primary (NOTAUTH): name the primary as server, or "
		    "check zone", zone, host);
	case PL_DNS_NOTZONE:
		return pl_fail(err, PL_ENOZONE, "zone %s: a name does not "
		    "belong to it, says %s (NOTZONE)", zone, host);
	case PL_DNS_NOTIMP:
		return pl_fail(err, PL_EREMOTE, "zone %s: %s takes no dynamic "
		    "updates (NOTIMP): allow them there", zone, host);
	case PL_DNS_SERVFAIL:
		return pl_fail(err, PL_ENET, "zone %s: %s failed (SERVFAIL): "
		    "its log tells why", zone, host);
	case PL_DNS_FORMERR:
		return pl_fail(err, PL_EREMOTE, "zone %s: %s could not read "
		    "the message (FORMERR)", zone, host);
	default:
		return pl_fail(err, PL_EREMOTE, "zone %s: %s answered %s",
		    zone, host, pl_dns_rcode_name(rcode));
	}
}

enum pl_code
rfc2136_fail_known(const struct rfc2136 *self, const struct known *k,
    struct pl_err *err)
{
	switch (k->code) {
	case PL_EAUTH:
		return rfc2136_fail_rcode(self, k->name, k->rcode, err);
	case PL_ENOZONE:
		if (k->rcode == PL_DNS_NOERROR)
			return pl_fail(err, PL_ENOZONE, "name %s: server %s is "
			    "not authoritative for it", k->name, self->host);
		return pl_fail(err, PL_ENOZONE, "name %s: server %s holds no "
		    "zone for it (%s)", k->name, self->host,
		    pl_dns_rcode_name(k->rcode));
	case PL_ENET:
		if (k->rcode == PL_DNS_SERVFAIL)
			return pl_fail(err, PL_ENET, "name %s: server %s "
			    "failed (SERVFAIL)", k->name, self->host);
		return pl_fail(err, PL_ENET, "name %s: no answer from server "
		    "%s", k->name, self->host);
	case PL_OK:
		return pl_fail(err, PL_ENOZONE, "name %s: server %s names no "
		    "zone for it", k->name, self->host);
	default:
		return pl_fail(err, k->code, "name %s: answer of server %s is "
		    "not understood", k->name, self->host);
	}
}

/* ---- questions ----------------------------------------------------------- */

void
rfc2136_names_add(struct names *l, struct known *k)
{
	if ((l->n & (l->n - 1)) == 0)
		l->k = pl_grow(l->k, l->n < 1 ? 1 : 2 * l->n, sizeof(*l->k));
	l->k[l->n++] = k;
}

enum pl_code
rfc2136_peer(struct rfc2136 *self, struct pl_err *err)
{
	if (self->peer != NULL)
		return PL_OK;
	return pl_dns_peer_open(&self->peer, self->host, self->port,
	    self->tsig, err);
}

static void
ask_done(void *ctx, size_t i, enum pl_code code, const struct pl_dns_msg *m)
{
	struct names *l = ctx;

	known_learn(l->k[i], code, m);
}

/* Asks TXT of each name; what became of it is told by each entry. */
static void
rfc2136_ask(struct rfc2136 *self, int64_t deadline, struct names *l)
{
	const char **names = pl_array(l->n + 1, sizeof(*names));
	size_t i;

	for (i = 0; i < l->n; i++)
		names[i] = l->k[i]->name;
	(void)pl_dns_ask_many(self->peer, names, PL_DNS_TXT, l->n, deadline,
	    ask_done, l, NULL);
	free(names);
}

/* Climbing from a name to its zone where the TXT answer did not tell it. */
struct climb {
	struct names *l;
	const char **at;		/* where each stands; NULL: done */
	size_t *which;
};

static void
climb_done(void *ctx, size_t i, enum pl_code code, const struct pl_dns_msg *m)
{
	struct climb *c = ctx;
	struct known *k = c->l->k[c->which[i]];
	const char **at = &c->at[c->which[i]];
	const char *dot = strchr(*at, '.');

	k->rcode = m->rcode;
	k->code = code != PL_OK ? code : answer_code(m);
	if (k->code == PL_OK)
		known_learn_zone(k, m);
	/* An alias at a parent speaks of other names: go on above it. */
	if (k->code != PL_OK || k->zone != NULL || **at == '\0')
		*at = NULL;
	else
		*at = dot != NULL ? dot + 1 : "";
}

/* Asks SOA from each name upwards, all names at once, a level a time. */
static void
rfc2136_climb(struct rfc2136 *self, int64_t deadline, struct names *l)
{
	const char **ask = pl_array(l->n + 1, sizeof(*ask));
	struct climb c = { l, pl_array(l->n + 1, sizeof(*c.at)),
		pl_array(l->n + 1, sizeof(*c.which)) };
	const char *dot;
	size_t i, n;

	for (i = 0; i < l->n; i++) {
		c.at[i] = l->k[i]->name;
		dot = strchr(c.at[i], '.');
		if (l->k[i]->state == KNOWN_ALIAS)	/* never an apex */
			c.at[i] = dot != NULL ? dot + 1 : "";
	}
	do {
		for (i = n = 0; i < l->n; i++) {
			if (c.at[i] == NULL)
				continue;
			ask[n] = c.at[i];
			c.which[n++] = i;
		}
		(void)pl_dns_ask_many(self->peer, ask, PL_DNS_SOA, n,
		    deadline, climb_done, &c, NULL);
	} while (n > 0);
	free(ask);
	free(c.at);
	free(c.which);
}

bool
rfc2136_zone_fresh(const struct known *k)
{
	return k->zone != NULL &&
	    pl_mono_ms() - k->zone_seen < KNOWN_ZONE_MS;
}

/* ---- prerequisites without an update ------------------------------------- */

enum bare { BARE_UNUSED, BARE_EXISTS };

static bool
bare_add(struct pl_update *u, const struct known *k, enum bare what)
{
	if (what == BARE_UNUSED)
		return pl_update_require_unused(u, k->name);
	return pl_update_require_any(u, k->name,
	    k->state == KNOWN_ALIAS ? PL_DNS_CNAME : PL_DNS_TXT);
}

static bool
rcode_dislikes(unsigned rcode)
{
	return rcode == PL_DNS_REFUSED || rcode == PL_DNS_NOTIMP ||
	    rcode == PL_DNS_FORMERR;
}

/* Does this hold for all of these names? */
static enum pl_code
bare_ask(struct rfc2136 *self, int64_t deadline, const char *zone,
    enum bare what, struct known *const *k, size_t n, bool *holds,
    struct pl_err *err)
{
	struct pl_update *u = pl_update_new(zone);
	enum pl_code code = PL_EUNDONE;
	unsigned rcode = 0;
	size_t i;

	*holds = false;
	for (i = 0; i < n; i++)
		(void)bare_add(u, k[i], what);
	code = pl_dns_update(self->peer, &u, 1, deadline, &code, &rcode, err);
	pl_update_free(u);
	if (code != PL_OK)
		return code;
	if (rcode_dislikes(rcode))
		self->no_bare = true;
	else if (rcode == PL_DNS_NOERROR)
		*holds = true;
	else if (rcode != PL_DNS_YXDOMAIN && rcode != PL_DNS_NXRRSET)
		return rfc2136_fail_rcode(self, zone, rcode, err);
	return PL_OK;
}

/*
 * Tells records at these names from what a wildcard answers in their
 * place; the latter are unused names.  Halves the list until it is of one
 * kind.
 */
static enum pl_code
sift(struct rfc2136 *self, int64_t deadline, const char *zone,
    struct known *const *k, size_t n, struct pl_err *err)
{
	enum pl_code code;
	bool holds;
	size_t i;

	if (n == 0 || self->no_bare)
		return PL_OK;
	if (n <= SIFT_NAMES) {
		code = bare_ask(self, deadline, zone, BARE_EXISTS, k, n,
		    &holds, err);
		if (code != PL_OK || holds || self->no_bare)
			return code;
		code = bare_ask(self, deadline, zone, BARE_UNUSED, k, n,
		    &holds, err);
		if (code != PL_OK || self->no_bare)
			return code;
		for (i = 0; i < n && (holds || n == 1); i++) {
			rfc2136_forget(k[i]);
			k[i]->state = holds ? KNOWN_UNUSED : KNOWN_FREE;
		}
		if (holds || n == 1)
			return PL_OK;
	}
	code = sift(self, deadline, zone, k, n / 2, err);
	if (code != PL_OK)
		return code;
	return sift(self, deadline, zone, k + n / 2, n - n / 2, err);
}

/* ---- looking ------------------------------------------------------------- */

/* Prerequisite-only messages, and which names each of them holds. */
struct sweep {
	struct pl_update **u;
	size_t *end;			/* names of message i end here */
	enum pl_code *codes;
	unsigned *rcodes;
	size_t n;
};

static void
sweep_free(struct sweep *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		pl_update_free(s->u[i]);
	free(s->u);
	free(s->end);
	free(s->codes);
	free(s->rcodes);
}

static struct pl_update *
sweep_message(struct sweep *s, const char *zone)
{
	s->u = pl_grow(s->u, s->n + 1, sizeof(struct pl_update *));
	s->end = pl_grow(s->end, s->n + 1, sizeof(*s->end));
	s->codes = pl_grow(s->codes, s->n + 1, sizeof(*s->codes));
	s->rcodes = pl_grow(s->rcodes, s->n + 1, sizeof(*s->rcodes));
	s->u[s->n] = pl_update_new(zone);
	return s->u[s->n++];
}

/* One cheap pass: what the server says is unused needs no question.  The
 * names that are left over go to `ask`. */
static enum pl_code
look_sweep(struct rfc2136 *self, int64_t deadline, const char *zone,
    const struct names *l, struct names *ask, struct pl_err *err)
{
	struct sweep s = { .n = 0 };
	struct pl_update *u = NULL;
	enum pl_code code = PL_OK;
	size_t i, j;

	for (i = 0; i < l->n; i++) {
		if (u == NULL || pl_update_size(u) > RFC2136_ROOM)
			u = sweep_message(&s, zone);
		(void)pl_update_require_unused(u, l->k[i]->name);
		s.end[s.n - 1] = i + 1;
	}
	code = pl_dns_update(self->peer, s.u, s.n, deadline, s.codes,
	    s.rcodes, err);
	for (i = j = 0; code == PL_OK && i < s.n; i++) {
		self->no_bare |= rcode_dislikes(s.rcodes[i]);
		if (!rcode_dislikes(s.rcodes[i]) &&
		    s.rcodes[i] != PL_DNS_NOERROR &&
		    s.rcodes[i] != PL_DNS_YXDOMAIN) {
			code = rfc2136_fail_rcode(self, zone, s.rcodes[i], err);
			break;
		}
		for (; j < s.end[i]; j++) {
			if (s.rcodes[i] != PL_DNS_NOERROR) {
				rfc2136_names_add(ask, l->k[j]);
				continue;
			}
			rfc2136_forget(l->k[j]);
			l->k[j]->code = PL_OK;
			l->k[j]->state = KNOWN_UNUSED;
			l->k[j]->seen = pl_mono_ms();
		}
	}
	sweep_free(&s);
	return code;
}

/* Asks about them, or sweeps where they are many. */
static enum pl_code
look_new(struct rfc2136 *self, int64_t deadline, const char *zone,
    struct names *l, struct pl_err *err)
{
	struct names ask = { NULL, 0 };
	enum pl_code code;

	if (l->n <= LOOK_FEW || self->no_bare) {
		rfc2136_ask(self, deadline, l);
		return PL_OK;
	}
	code = look_sweep(self, deadline, zone, l, &ask, err);
	if (code == PL_OK && ask.n > 0)
		rfc2136_ask(self, deadline, &ask);
	free(ask.k);
	return code;
}

enum pl_code
rfc2136_look(struct rfc2136 *self, int64_t deadline, const char *zone,
    const struct names *l, struct pl_err *err)
{
	struct names new = { NULL, 0 }, doubt = { NULL, 0 };
	enum pl_code code = PL_OK;
	struct known *k;
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->k[i]->state == KNOWN_NOT)
			rfc2136_names_add(&new, l->k[i]);
	if (new.n > 0)
		code = look_new(self, deadline, zone, &new, err);
	for (i = 0; i < l->n && code == PL_OK; i++) {
		k = l->k[i];
		k->sure |= k->dname || self->no_bare;
		if ((k->state == KNOWN_SET || k->state == KNOWN_ALIAS) &&
		    !k->sure)
			rfc2136_names_add(&doubt, k);
	}
	if (code == PL_OK)
		code = sift(self, deadline, zone, doubt.k, doubt.n, err);
	for (i = 0; i < doubt.n && code == PL_OK; i++)
		doubt.k[i]->sure = true;
	free(new.k);
	free(doubt.k);
	return code;
}

/* ---- zones ------------------------------------------------------------------ */

/* Asks for all of them, and upwards where that does not tell the zone. */
static void
ask_zones(struct rfc2136 *self, int64_t deadline, struct names *l)
{
	struct names climb = { NULL, 0 };
	size_t i;

	rfc2136_ask(self, deadline, l);
	for (i = 0; i < l->n; i++)
		if (l->k[i]->code == PL_OK && l->k[i]->zone == NULL)
			rfc2136_names_add(&climb, l->k[i]);
	if (climb.n > 0)
		rfc2136_climb(self, deadline, &climb);
	free(climb.k);
}

/*
 * A name of many.  Those with the same `up`, two labels above, are mostly of
 * one zone: `_acme-challenge` of the hosts below it.
 */
struct sibling {
	const char *up;			/* within the name */
	struct known *k;
	bool scout;			/* is asked for in any case */
};

static const char *
above(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL ? dot + 1 : name + strlen(name);
}

static int
by_up(const void *a, const void *b)
{
	const struct sibling *x = a, *y = b;

	return strcmp(x->up, y->up);
}

/* The first of each family and every so-many-th name. */
static void
ask_scouts(struct rfc2136 *self, int64_t deadline, struct sibling *s,
    size_t n)
{
	struct names scouts = { NULL, 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		s[i].scout = i == 0 || i % SCOUT_EACH == 0 ||
		    strcmp(s[i].up, s[i - 1].up) != 0;
		if (s[i].scout)
			rfc2136_names_add(&scouts, s[i].k);
	}
	ask_zones(self, deadline, &scouts);
	free(scouts.k);
}

/* The zone that all scouts of a family name, or NULL. */
static const char *
family_zone(const struct sibling *s, size_t n)
{
	const char *zone = s[0].k->zone;
	size_t i;

	if (zone == NULL || *zone == '\0' || !pl_suffix_of(zone, s[0].up))
		return NULL;
	for (i = 0; i < n; i++)
		if (s[i].scout && !pl_streq(s[i].k->zone, zone))
			return NULL;
	return zone;
}

/* Nothing at `name` leads out of its zone. */
static bool
require_plain(struct pl_update *u, const char *name, bool apex)
{
	return pl_update_require_no_set(u, name, PL_DNS_DNAME) &&
	    (apex || pl_update_require_no_set(u, name, PL_DNS_NS));
}

/* Prerequisites that say: the name is unused, and in this very zone.  What is
 * above the family has been said where `known`. */
static bool
require_within(struct pl_update *u, const struct sibling *s,
    const char *zone, bool known)
{
	const char *p = above(s->k->name), *end = s->k->name +
	    strlen(s->k->name) - strlen(zone);

	for (; p < end && !(known && p == s->up); p = above(p))
		if (!require_plain(u, p, false))
			return false;
	return pl_update_require_unused(u, s->k->name);
}

/* Writes a family's messages; those of its names that are in one go to `in`,
 * the others to `ask`. */
static void
family_write(struct sweep *sw, const struct sibling *s, size_t n,
    const char *zone, struct names *in, struct names *ask)
{
	struct pl_update *u = NULL;
	bool known = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i].scout)
			continue;
		if (u == NULL || pl_update_size(u) > RFC2136_ROOM -
		    SIFT_NAME) {
			u = sweep_message(sw, zone);
			(void)require_plain(u, zone, true);
			sw->end[sw->n - 1] = in->n;
			known = false;
		}
		if (!require_within(u, &s[i], zone, known)) {
			rfc2136_names_add(ask, s[i].k);
			continue;
		}
		known = true;
		known_zone(s[i].k, zone);
		rfc2136_names_add(in, s[i].k);
		sw->end[sw->n - 1] = in->n;
	}
}

/* What their messages said of the names in them. */
static void
families_answered(struct rfc2136 *self, const struct sweep *sw,
    const struct names *in, struct names *ask)
{
	bool good;
	size_t i, j;

	for (i = j = 0; i < sw->n; i++) {
		good = sw->codes[i] == PL_OK &&
		    sw->rcodes[i] == PL_DNS_NOERROR;
		self->no_bare |= sw->codes[i] == PL_OK &&
		    rcode_dislikes(sw->rcodes[i]);
		for (; j < sw->end[i]; j++) {
			rfc2136_forget(in->k[j]);
			in->k[j]->code = PL_OK;
			in->k[j]->seen = pl_mono_ms();
			if (good) {
				in->k[j]->state = KNOWN_UNUSED;
				continue;
			}
			free(in->k[j]->zone);
			in->k[j]->zone = NULL;
			rfc2136_names_add(ask, in->k[j]);
		}
	}
}

/*
 * Finds the zones of many names without a question for each: some are asked
 * for, and where these agree, prerequisites make sure that no delegation
 * and no DNAME lies between the zone and the others.  What they do
 * not clear is asked for one by one.  A zone below it that this server holds
 * too, although its parent does not delegate it, is found by the scouts or not
 * at all.
 */
static void
resolve_many(struct rfc2136 *self, int64_t deadline, const struct names *l,
    struct names *ask)
{
	struct sibling *s = pl_array(l->n, sizeof(*s));
	struct sweep sw = { .n = 0 };
	struct names in = { NULL, 0 };
	const char *zone;
	size_t i, j;

	for (i = 0; i < l->n; i++)
		s[i] = (struct sibling){ above(above(l->k[i]->name)),
			l->k[i], false };
	qsort(s, l->n, sizeof(*s), by_up);
	ask_scouts(self, deadline, s, l->n);
	for (i = 0; i < l->n; i = j) {
		for (j = i + 1; j < l->n && strcmp(s[i].up, s[j].up) == 0; j++)
			continue;
		zone = family_zone(&s[i], j - i);
		if (zone != NULL)
			family_write(&sw, &s[i], j - i, zone, &in, ask);
		for (; zone == NULL && i < j; i++)
			if (!s[i].scout)
				rfc2136_names_add(ask, s[i].k);
	}
	if (sw.n > 0)
		(void)pl_dns_update(self->peer, sw.u, sw.n, deadline,
		    sw.codes, sw.rcodes, NULL);
	families_answered(self, &sw, &in, ask);
	sweep_free(&sw);
	free(in.k);
	free(s);
}

enum pl_code
rfc2136_resolve(struct rfc2136 *self, int64_t deadline,
    const char *const *names, size_t n, struct pl_err *err)
{
	struct names all = { NULL, 0 }, ask = { NULL, 0 };
	struct known *k;
	enum pl_code code;
	size_t i;

	code = rfc2136_peer(self, err);
	if (code != PL_OK)
		return code;
	for (i = 0; i < n; i++) {
		k = rfc2136_known(self, names[i]);
		if (rfc2136_zone_fresh(k) || k->group != 0)
			continue;
		free(k->zone);
		k->zone = NULL;
		k->group = 1;		/* each name once */
		rfc2136_names_add(&all, k);
	}
	for (i = 0; i < all.n; i++)
		all.k[i]->group = 0;
	if (all.n >= MANY_NAMES && !self->no_bare) {
		resolve_many(self, deadline, &all, &ask);
		ask_zones(self, deadline, &ask);
	} else {
		ask_zones(self, deadline, &all);
	}
	free(all.k);
	free(ask.k);
	return PL_OK;
}
