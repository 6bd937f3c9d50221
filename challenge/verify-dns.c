/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A record: the way from its owner name over aliases ("hops") to where it
 * lives, and what each server on the way says.  Every server is looked at
 * for itself: one that is slow holds up no other.
 */

#include "verify.h"

#include <stdlib.h>
#include <string.h>

static void hop_look(struct pl_verifier *v, struct check *c, struct hop *h);

static const char *
parent_of(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL && dot[1] != '\0' ? dot + 1 : name;
}

/* ---- hops ------------------------------------------------------------------ */

static void
hop_want(struct pl_verifier *v, struct want *w)
{
	struct hop *h = v_of(w, struct hop, want);

	h->check->again = true;
	check_ripe(v, h->check);
}

static void
hop_serials(struct pl_verifier *v, struct want *w)
{
	check_ripe(v, v_of(w, struct hop, serials)->check);
}

static struct hop *
hop_new(struct check *c, const char *name)
{
	struct hop *h = pl_alloc(sizeof(*h));

	h->check = c;
	h->name = pl_strdup(name);
	h->want.ready = hop_want;
	h->serials.ready = hop_serials;
	c->hop[c->nhops++] = h;
	return h;
}

/* Leaves its zone, with all that was seen there. */
static void
hop_leave(struct pl_verifier *v, struct hop *h)
{
	want_stop(&h->want);
	want_stop(&h->serials);
	query_cancel(v, h->learn);
	query_cancel(v, h->probe);
	h->learn = h->probe = NULL;
	if (h->zone == NULL)
		return;
	for (size_t i = 0; h->seen != NULL && i < h->zone->n; i++) {
		query_cancel(v, h->seen[i].q);
		free(h->seen[i].note);
	}
	free(h->seen);
	h->seen = NULL;
	LIST_REMOVE(h, link);
	h->zone->nhops--;
	zone_unref(v, h->zone);
	h->zone = NULL;
}

/* Ends the way behind the first `keep` hops. */
static void
hops_cut(struct pl_verifier *v, struct check *c, unsigned keep)
{
	while (c->nhops > keep) {
		struct hop *h = c->hop[--c->nhops];

		hop_leave(v, h);
		free(h->name);
		free(h->target);
		free(h->apex);
		free(h->sibling);
		free(h->maybe);
		free(h);
	}
}

const char *
hop_zone(const struct hop *h)
{
	if (h->apex != NULL)
		return h->apex;
	if (h->zone == NULL || h->zone->recursive ||
	    h->zone->name[h->zone->given] == '\0')
		return NULL;
	return h->zone->name + h->zone->given;
}

unsigned
hop_index(const struct hop *h)
{
	unsigned i = 0;

	while (h->check->hop[i] != h)
		i++;
	return i;
}

static void
hop_enter(struct hop *h, struct zone *z)
{
	h->zone = z;
	h->seen = pl_array(z->n, sizeof(*h->seen));
	LIST_INSERT_HEAD(&z->hops, h, link);
	z->nhops++;
}

/* Given servers: now it is known which zone of theirs it is. */
void
hop_name_zone(struct pl_verifier *v, struct hop *h, const char *apex)
{
	struct zone *z;

	if (!h->zone->given || strcmp(h->zone->name + 1, apex) == 0)
		return;
	z = zone_given(v, apex);
	want_stop(&h->serials);
	LIST_REMOVE(h, link);
	h->zone->nhops--;
	zone_unref(v, h->zone);
	/* The same servers in the same order: what was seen stays. */
	h->zone = z;
	LIST_INSERT_HEAD(&z->hops, h, link);
	z->nhops++;
}

/* ---- what was seen ------------------------------------------------------------- */

static void
seen_set(struct check *c, struct seen *s, enum pl_answer a, const char *note)
{
	if (note != NULL && note[0] == '\0')
		note = NULL;
	if (s->answer != (uint8_t)a || !pl_streq(s->note, note))
		c->news = true;
	s->answer = (uint8_t)a;
	free(s->note);
	s->note = pl_strdup(note);
}

static void
seen_silence(struct check *c, struct seen *s, const struct reply *r)
{
	switch (r->end) {
	case Q_TIMEOUT:
		seen_set(c, s, PL_ANS_TIMEOUT, r->rested ?
		    "silent for several questions, left alone for a while" :
		    r->truncated ? "truncated by UDP, silent by TCP" : NULL);
		break;
	case Q_CLOSED:
		seen_set(c, s, PL_ANS_TIMEOUT, r->truncated ?
		    "truncated by UDP, no connection by TCP" :
		    "no connection: nothing answers at its port");
		break;
	case Q_NOROUTE:
		seen_set(c, s, PL_ANS_UNREACHABLE,
		    "no route from this host, left out");
		break;
	default:
		seen_set(c, s, PL_ANS_TIMEOUT,
		    "what it sends does not answer the question");
	}
}

/* Is it the zone that is looked for, and not a value? */
static bool
zone_look(const struct check *c)
{
	return c->look == PL_LOOK_WHERE || c->look == PL_LOOK_CHECK;
}

static unsigned
hop_type(const struct hop *h)
{
	if (zone_look(h->check))
		return PL_DNS_SOA;
	return h->check->kind == PL_CNAME ? PL_DNS_CNAME : PL_DNS_TXT;
}

/* The name itself tells nothing of its zone: its parent is asked. */
static void
hop_ask_parent(struct hop *h, struct seen *s)
{
	h->zone_only = true;
	s->asked = false;
	h->check->again = true;
}

static void
probe_done(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct hop *h = q->owner;
	struct check *c = h->check;
	struct judged j;

	h->probe = NULL;
	h->probed = true;
	if (r->end == Q_ANSWER) {
		judge(&j, r->msg, h->sibling, q->type, NULL, NULL, 0);
		h->wild = strcmp(j.alias, h->maybe) == 0 && !j.dname;
	}
	if (h->wild)
		check_find(c, "alias", PL_MARK_INFO, "%s: a wildcard leads "
		    "to %s; a record of its own will stand before that",
		    h->name, h->maybe);
	for (size_t i = 0; h->seen != NULL && i < h->zone->n; i++)
		h->seen[i].asked = false;
	c->again = true;
	check_ripe(v, c);
}

/*
 * Is the alias meant for this name, or does a wildcard cover it?  A name
 * beside it that nobody has made tells.  False: not known yet.
 */
static bool
alias_meant(struct pl_verifier *v, struct hop *h, struct seen *s,
    const char *alias)
{
	char label[17];
	struct pl_buf b;

	if (hop_index(h) > 0 || h->probed)
		return true;
	if (h->probe != NULL)
		return false;
	pl_random_name(label, sizeof(label) - 1);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s.%s", label, parent_of(h->name));
	free(h->sibling);
	h->sibling = pl_buf_take(&b);
	free(h->maybe);
	h->maybe = pl_strdup(alias);
	h->probe = query_ask(v, h->zone->s[s - h->seen].peer, h->sibling,
	    hop_type(h), h->zone->recursive ? PL_DNS_RD : 0, probe_done, h);
	return false;
}

/* The way goes on at `target`. */
static void
hop_alias(struct pl_verifier *v, struct hop *h, struct seen *s,
    const struct judged *j)
{
	struct check *c = h->check;
	unsigned at = hop_index(h);

	if (!j->dname && !alias_meant(v, h, s, j->alias))
		return;
	if (!j->dname && h->wild && strcmp(j->alias, h->maybe) == 0) {
		if (zone_look(c))
			hop_ask_parent(h, s);
		else
			seen_set(c, s, PL_ANS_ABSENT,
			    "a wildcard's alias covers the name");
		return;
	}
	if (h->target != NULL && strcmp(h->target, j->alias) != 0) {
		struct pl_buf b;

		pl_buf_init(&b, PL_LIM_LINE);
		pl_buf_addf(&b, "another alias: %s", j->alias);
		seen_set(c, s, PL_ANS_ABSENT, b.data);
		pl_buf_clear(&b);
		return;
	}
	seen_set(c, s, PL_ANS_PRESENT, NULL);
	if (h->target != NULL)
		return;
	for (unsigned i = 0; i <= at; i++)
		if (strcmp(c->hop[i]->name, j->alias) == 0) {
			pl_fail(&c->err, PL_EREMOTE,
			    "%s: alias loop: %s leads back to %s", c->record,
			    h->name, j->alias);
			c->fatal = true;
			return;
		}
	if (at + 1 > V_HOPS) {
		pl_fail(&c->err, PL_EREMOTE,
		    "%s: a chain of more than %d aliases", c->record, V_HOPS);
		c->fatal = true;
		return;
	}
	h->target = pl_strdup(j->alias);
	hops_cut(v, c, at + 1);
	hop_look(v, c, hop_new(c, j->alias));
}

/* A zone cut between the zone that was found and the name. */
static void
hop_cut(struct pl_verifier *v, struct hop *h, struct seen *s,
    const char *cut, const struct pl_dns_msg *m)
{
	if (++h->cuts > V_CUTS) {
		seen_set(h->check, s, PL_ANS_LAME, "referral loop");
		return;
	}
	hop_rezone(v, h, zone_referral(v, cut, m));
}

static void
learn_ns(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct hop *h = q->owner;
	struct check *c = h->check;

	h->learn = NULL;
	for (size_t i = 0; r->end == Q_ANSWER && i < r->msg->nrr; i++)
		if (r->msg->rr[i].type == PL_DNS_NS &&
		    r->msg->rr[i].section == 1) {
			/* q->name is the hop's. */
			hop_rezone(v, h, zone_referral(v, h->apex, r->msg));
			break;
		}
	check_ripe(v, c);
}

/* Notes which zone the answer is from; its servers may be others. */
static void
hop_apex(struct pl_verifier *v, struct hop *h, size_t i,
    const struct judged *j)
{
	const char *zone = h->zone->name;

	if (h->apex == NULL || strcmp(h->apex, j->apex) != 0) {
		if (h->learn != NULL)
			return;		/* lends the old one */
		free(h->apex);
		h->apex = pl_strdup(j->apex);
	}
	if (h->zone->recursive)
		return;
	if (h->zone->given) {
		hop_name_zone(v, h, j->apex);
	} else if (strcmp(zone, j->apex) != 0 &&
	    pl_suffix_of(zone, j->apex)) {
		if (h->learn == NULL && h->cuts < V_CUTS &&
		    h->check->look != PL_LOOK_WHERE && !h->zone_only) {
			h->cuts++;
			h->learn = query_ask(v, h->zone->s[i].peer, h->apex,
			    PL_DNS_NS, 0, learn_ns, h);
		}
		return;
	}
	if (j->serial_known &&
	    strcmp(h->zone->name + h->zone->given, j->apex) == 0)
		zone_serial(v, h->zone, i, j->serial);
}

static void hop_done(struct pl_verifier *v, struct query *q,
    const struct reply *r);

/* SERVFAIL may mean that an alias leads nowhere: is it one? */
static void
hop_ask_alias(struct pl_verifier *v, struct hop *h, size_t i)
{
	struct seen *s = &h->seen[i];

	s->cname = true;
	s->q = query_ask(v, h->zone->s[i].peer, h->name, PL_DNS_CNAME, 0,
	    hop_done, h);
	s->q->index = (unsigned)i;
}

static void
hop_answer(struct pl_verifier *v, struct hop *h, size_t i, unsigned type,
    const struct pl_dns_msg *in)
{
	struct check *c = h->check;
	struct seen *s = &h->seen[i];
	const char *zone = hop_zone(h);
	struct pl_dns_msg shown = *in, *m = &shown;
	struct judged j;

	if (h->zone->recursive)
		m->aa = true;		/* a resolver's word, for want of another */
	if (m->size > c->size)
		c->size = m->size;
	judge(&j, m, h->name, hop_type(h), h->zone->given ? NULL : zone,
	    c->value, c->value_len);
	if (type == PL_DNS_CNAME && hop_type(h) != type &&
	    j.alias[0] == '\0') {
		seen_set(c, s, PL_ANS_LAME, "SERVFAIL");
	} else if (m->rcode == PL_DNS_SERVFAIL && !s->cname &&
	    hop_type(h) != PL_DNS_CNAME && !h->zone_only &&
	    !h->zone->recursive) {
		hop_ask_alias(v, h, i);
	} else if (zone_look(c) && c->kind == PL_CNAME &&
	    j.alias[0] != '\0' && !j.dname && !h->zone_only) {
		/* The alias is the record itself. */
		hop_ask_parent(h, s);
	} else if (j.alias[0] != '\0' && !h->zone_only) {
		hop_alias(v, h, s, &j);
	} else if (j.cut[0] != '\0') {
		hop_cut(v, h, s, j.cut, m);
	} else {
		s->nowhere = !j.exists;
		seen_set(c, s, j.answer, j.note);
		if (j.apex[0] != '\0')
			hop_apex(v, h, i, &j);
	}
}

static void
hop_done(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct hop *h = q->owner;
	struct check *c = h->check;
	struct seen *s = &h->seen[q->index];

	s->q = NULL;
	s->ms = r->ms;
	if (r->end == Q_ANSWER)
		hop_answer(v, h, q->index, q->type, r->msg);
	else
		seen_silence(c, s, r);
	check_ripe(v, c);
}

static void
hop_ask(struct pl_verifier *v, struct hop *h, size_t i)
{
	struct seen *s = &h->seen[i];

	if (s->q != NULL)
		return;
	s->asked = true;
	s->cname = false;
	s->q = query_ask(v, h->zone->s[i].peer,
	    h->zone_only ? parent_of(h->name) : h->name, hop_type(h),
	    h->zone->recursive ? PL_DNS_RD : 0, hop_done, h);
	s->q->index = (unsigned)i;
}

/* ---- looking ---------------------------------------------------------------------- */

/* WHERE: one server is enough, the next only if it cannot tell. */
void
hop_where(struct pl_verifier *v, struct hop *h)
{
	size_t n = h->zone->n, first = pl_random_below((uint32_t)n), best = n;

	for (size_t k = 0; k < n; k++) {
		size_t i = (first + k) % n;

		if (h->seen[i].q != NULL || h->seen[i].answer ==
		    PL_ANS_PRESENT)
			return;
		if (!h->seen[i].asked && (best == n ||
		    h->zone->s[i].peer->fails <
		    h->zone->s[best].peer->fails))
			best = i;
	}
	if (best < n)
		hop_ask(v, h, best);
}

static void
hop_look(struct pl_verifier *v, struct check *c, struct hop *h)
{
	const char *start = parent_of(h->name);
	struct pl_err err;
	struct zone *z;

	if (h->zone == NULL) {
		if (h == c->hop[0] && pl_suffix_of(c->domain, h->name))
			start = c->domain;
		if (h->given_up)
			z = zone_resolvers(v);
		else if (v->nserver > 0 && !h->own)
			z = zone_given(v, NULL);
		else
			z = zone_find(v, start, &h->want, &err);
		if (z == NULL) {
			if (err.code != PL_OK)
				c->err = err;
			check_ripe(v, c);
			return;
		}
		hop_enter(h, z);
	} else if (h->seen == NULL) {
		if (!zone_ready(h->zone, &h->want, &err)) {
			if (err.code != PL_OK)
				c->err = err;
			check_ripe(v, c);
			return;
		}
		h->seen = pl_array(h->zone->n, sizeof(*h->seen));
	}
	if (c->look == PL_LOOK_WHERE) {
		hop_where(v, h);
		return;
	}
	for (size_t i = 0; i < h->zone->n; i++)
		if (h->seen[i].answer != PL_ANS_PRESENT &&
		    h->seen[i].answer != PL_ANS_UNREACHABLE)
			hop_ask(v, h, i);
}

/* The name lives in z, not where it was asked for; keeps z. */
void
hop_rezone(struct pl_verifier *v, struct hop *h, struct zone *z)
{
	hop_leave(v, h);
	if (z == NULL) {
		h->own = true;
	} else {
		h->zone = z;
		LIST_INSERT_HEAD(&z->hops, h, link);
		z->nhops++;
	}
	hop_look(v, h->check, h);
}

void
dns_look(struct pl_verifier *v, struct check *c)
{
	if (c->nhops == 0)
		hop_new(c, c->record);
	for (unsigned i = 0; i < c->nhops; i++)
		hop_look(v, c, c->hop[i]);
}

void
dns_drop(struct pl_verifier *v, struct check *c)
{
	hops_cut(v, c, 0);
}

void
dns_hurry(struct pl_verifier *v, struct zone *z, size_t i)
{
	struct hop *h;

	LIST_FOREACH(h, &z->hops, link)
		if (h->seen != NULL && h->check->look == PL_LOOK_UNTIL &&
		    h->seen[i].answer == PL_ANS_ABSENT) {
			if (h->seen[i].q == NULL)
				h->check->looks++;
			hop_ask(v, h, i);
		}
}
