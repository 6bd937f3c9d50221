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
static void hop_rezone(struct pl_verifier *v, struct hop *h, struct zone *z);

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
	h->learn = NULL;
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
		free(h);
	}
}

static unsigned
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
static void
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
		seen_set(c, s, PL_ANS_ERROR, r->truncated ?
		    "truncated by UDP, no connection by TCP" :
		    "no connection: nothing answers at its port");
		break;
	case Q_NOROUTE:
		seen_set(c, s, PL_ANS_UNREACHABLE,
		    "no route from this host, left out");
		break;
	default:
		seen_set(c, s, PL_ANS_ERROR,
		    "what it sends does not answer the question");
	}
}

/* The way goes on at `target`. */
static void
hop_alias(struct pl_verifier *v, struct hop *h, struct seen *s,
    const struct judged *j)
{
	struct check *c = h->check;
	unsigned at = hop_index(h);

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
	if (h->zone->given) {
		hop_name_zone(v, h, j->apex);
	} else if (strcmp(zone, j->apex) != 0 &&
	    pl_suffix_of(zone, j->apex)) {
		if (h->learn == NULL && h->cuts < V_CUTS &&
		    h->check->look != PL_LOOK_WHERE) {
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

static unsigned
hop_type(const struct hop *h)
{
	if (h->check->look == PL_LOOK_WHERE)
		return PL_DNS_SOA;
	return h->check->kind == PL_CNAME ? PL_DNS_CNAME : PL_DNS_TXT;
}

static void
hop_answer(struct pl_verifier *v, struct hop *h, size_t i,
    const struct pl_dns_msg *m)
{
	struct check *c = h->check;
	struct seen *s = &h->seen[i];
	const char *zone = h->zone->given ? NULL : h->zone->name;
	struct judged j;

	judge(&j, m, h->name, hop_type(h), zone, c->value, c->value_len);
	if (c->look == PL_LOOK_WHERE && c->kind == PL_CNAME &&
	    j.alias[0] != '\0' && !j.dname && !h->zone_only) {
		/* The alias is the record itself: its parent is asked. */
		h->zone_only = true;
		s->asked = false;
	} else if (j.alias[0] != '\0' && !h->zone_only) {
		hop_alias(v, h, s, &j);
	} else if (j.cut[0] != '\0') {
		hop_cut(v, h, s, j.cut, m);
	} else {
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
		hop_answer(v, h, q->index, r->msg);
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
	s->q = query_ask(v, h->zone->s[i].peer,
	    h->zone_only ? parent_of(h->name) : h->name, hop_type(h), 0,
	    hop_done, h);
	s->q->index = (unsigned)i;
}

/* ---- looking ---------------------------------------------------------------------- */

/* WHERE: one server is enough, the next only if it cannot tell. */
static void
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
		if (v->nserver > 0 && !h->own)
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
static void
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

/* ---- conclusions --------------------------------------------------------------------- */

struct tally {
	size_t asking;		/* questions under way, or things waited for */
	size_t present, absent, lost, silent, n;
};

static void
hop_tally(const struct hop *h, struct tally *t)
{
	memset(t, 0, sizeof(*t));
	t->asking = (h->want.list != NULL) + (h->learn != NULL);
	for (size_t i = 0; h->seen != NULL && i < h->zone->n; i++) {
		t->n++;
		if (h->seen[i].q != NULL)
			t->asking++;
		switch ((enum pl_answer)h->seen[i].answer) {
		case PL_ANS_PRESENT:
			t->present++;
			break;
		case PL_ANS_ABSENT:
			t->absent++;
			break;
		case PL_ANS_REFUSED:
		case PL_ANS_LAME:
			t->lost++;
			break;
		case PL_ANS_NONE:
			break;
		default:
			t->silent++;
		}
	}
}

static bool
hop_visible(const struct pl_verifier *v, const struct hop *h)
{
	struct vote vote[V_SERVERS];

	if (h->seen == NULL)
		return false;
	for (size_t i = 0; i < h->zone->n; i++) {
		vote[i].server = h->zone->s[i].name;
		vote[i].answer = (enum pl_answer)h->seen[i].answer;
	}
	return votes_visible(vote, h->zone->n, v->quorum);
}

static bool
dns_visible(const struct pl_verifier *v, const struct check *c)
{
	if (c->nhops == 0)
		return false;
	/* A value at an aliased name itself does not count. */
	for (unsigned i = 0; i < c->nhops; i++)
		if (!hop_visible(v, c->hop[i]))
			return false;
	return true;
}

/* Given servers know nothing of where an alias leads: it is looked up. */
static bool
hop_elsewhere(struct pl_verifier *v, struct hop *h, const struct tally *t)
{
	if (hop_index(h) == 0 || h->zone == NULL || !h->zone->given ||
	    t->asking > 0 || t->n == 0 || t->lost < t->n)
		return false;
	hop_rezone(v, h, NULL);
	return true;
}

static void
learn_soa(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct hop *h = q->owner;
	struct judged j;

	h->learn = NULL;
	if (r->end == Q_ANSWER) {
		judge(&j, r->msg, h->name, PL_DNS_SOA, NULL, NULL, 0);
		if (j.apex[0] != '\0') {
			free(h->apex);
			h->apex = pl_strdup(j.apex);
			hop_name_zone(v, h, j.apex);
		}
	}
	check_ripe(v, h->check);
}

/* Servers differ: their serials say who is behind.  False: wait for them. */
static bool
hop_compare(struct pl_verifier *v, struct hop *h, const struct tally *t)
{
	if (t->present == 0 || t->absent == 0 || t->asking > 0)
		return true;
	if (h->zone->given && h->zone->name[1] == '\0') {
		for (size_t i = 0; i < h->zone->n && h->apex == NULL; i++)
			if (h->seen[i].answer == PL_ANS_PRESENT) {
				h->learn = query_ask(v, h->zone->s[i].peer,
				    h->name, PL_DNS_SOA, 0, learn_soa, h);
				return false;
			}
		return true;
	}
	if (!zone_serials(v, h->zone, h->check->started))
		return true;
	if (h->serials.list == NULL) {
		h->serials.list = &h->zone->serials;
		TAILQ_INSERT_TAIL(&h->zone->serials, &h->serials, link);
	}
	return false;
}

/* Says who does not have it. */
static void
dns_complain(const struct check *c, struct pl_err *err)
{
	struct pl_sighting s = { .id = c->id };
	struct pl_buf b;
	size_t bad = 0;

	dns_verdicts(c, &s);
	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; i < s.n; i++) {
		const struct pl_verdict *w = &s.verdicts[i];

		if (w->answer == PL_ANS_PRESENT)
			continue;
		if (bad++ < 3)
			pl_buf_addf(&b, "%s %s%s%s%s",
			    bad > 1 ? "," : "", w->server,
			    strcmp(w->server, w->address) != 0 ? " " : "",
			    strcmp(w->server, w->address) != 0 ?
			    w->address : "", "");
		if (bad <= 3)
			pl_buf_addf(&b, " %s", pl_answer_name(w->answer));
	}
	if (bad > 3)
		pl_buf_addf(&b, " and %zu more", bad - 3);
	pl_fail(err, PL_EABSENT, "%s: not visible:%s", s.record, b.data);
	pl_buf_clear(&b);
	pl_sighting_clear(&s);
}

void
dns_fail(struct pl_verifier *v, struct check *c)
{
	bool answered = false;
	struct tally t;

	for (unsigned i = 0; i < c->nhops; i++) {
		hop_tally(c->hop[i], &t);
		if (t.present + t.absent + t.lost > 0)
			answered = true;
	}
	if (c->nhops > 0 && c->hop[c->nhops - 1]->seen == NULL &&
	    c->err.code != PL_OK) {
		check_end(v, c, false, c->err.code);
		return;
	}
	dns_complain(c, &c->err);
	if (!answered)
		c->err.code = PL_ENET;
	check_end(v, c, false, c->err.code);
}

static void
where_weigh(struct pl_verifier *v, struct check *c)
{
	struct hop *h = c->hop[c->nhops - 1];
	struct tally t;
	size_t left = 0;

	hop_tally(h, &t);
	if (t.asking > 0)
		return;
	if (h->seen == NULL) {
		dns_fail(v, c);
		return;
	}
	if (t.present > 0) {
		check_end(v, c, false, PL_OK);
		return;
	}
	for (size_t i = 0; i < h->zone->n; i++)
		left += !h->seen[i].asked;
	if (left > 0) {
		hop_where(v, h);
		return;
	}
	if (!hop_elsewhere(v, h, &t))
		dns_fail(v, c);
}

void
dns_weigh(struct pl_verifier *v, struct check *c)
{
	bool wait = false, watch;
	struct tally t;

	if (c->fatal) {
		check_end(v, c, false, c->err.code);
		return;
	}
	if (c->nhops == 0)
		return;
	if (c->look == PL_LOOK_WHERE) {
		where_weigh(v, c);
		return;
	}
	if (dns_visible(v, c)) {
		check_end(v, c, true, PL_OK);
		return;
	}
	for (unsigned i = 0; i < c->nhops; i++) {
		struct hop *h = c->hop[i];

		hop_tally(h, &t);
		if (hop_elsewhere(v, h, &t))
			wait = true;
		else if (t.asking > 0)
			wait = true;
		else if (!hop_compare(v, h, &t) && c->look == PL_LOOK_ONCE)
			wait = true;
		watch = c->look == PL_LOOK_UNTIL && t.absent > 0;
		if (watch && h->zone != NULL && h->seen != NULL)
			zone_watch(v, h->zone);
	}
	if (wait)
		return;
	if (c->look == PL_LOOK_ONCE)
		dns_fail(v, c);
	else
		check_plan(v, c);
}

static size_t
verdict_add(struct pl_sighting *s, const struct hop *h, size_t i, bool last)
{
	struct pl_verdict *w = &s->verdicts[s->n];
	const struct seen *e = &h->seen[i];
	enum pl_answer a = (enum pl_answer)e->answer;
	struct pl_buf b;

	if (!last && a == PL_ANS_PRESENT)
		return s->n;
	if (a == PL_ANS_ABSENT && zone_behind(h->zone, i))
		a = PL_ANS_STALE;
	w->server = pl_strdup(h->zone->s[i].name);
	w->address = pl_strdup(h->zone->s[i].peer->text);
	w->answer = a;
	w->ms = e->ms;
	pl_buf_init(&b, PL_LIM_LINE);
	if (!last)
		pl_buf_addf(&b, "for the alias %s", h->name);
	if (a == PL_ANS_STALE)
		pl_buf_addf(&b, "%sserial %u is behind", b.len ? ", " : "",
		    h->zone->s[i].serial);
	if (e->note != NULL)
		pl_buf_addf(&b, "%s%s", b.len ? ", " : "", e->note);
	w->note = b.len > 0 ? pl_buf_take(&b) : NULL;
	pl_buf_clear(&b);
	return ++s->n;
}

void
dns_verdicts(const struct check *c, struct pl_sighting *s)
{
	const struct hop *last = c->nhops > 0 ? c->hop[c->nhops - 1] : NULL;
	size_t most = 0;

	s->record = pl_strdup(last != NULL ? last->name : c->record);
	if (last != NULL && last->apex != NULL)
		s->zone = pl_strdup(last->apex);
	else if (last != NULL && last->zone != NULL &&
	    last->zone->name[last->zone->given] != '\0')
		s->zone = pl_strdup(last->zone->name + last->zone->given);
	for (unsigned i = 0; i < c->nhops; i++)
		if (c->hop[i]->seen != NULL)
			most += c->hop[i]->zone->n;
	s->verdicts = pl_array(most + 1, sizeof(*s->verdicts));
	for (unsigned i = c->nhops; i-- > 0;) {
		const struct hop *h = c->hop[i];

		if (h->seen == NULL || c->look == PL_LOOK_WHERE)
			continue;
		for (size_t k = 0; k < h->zone->n; k++)
			verdict_add(s, h, k, h == last);
	}
}
