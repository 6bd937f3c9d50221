/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What the servers of a record's way have said, taken together. */

#include "verify.h"

#include <stdlib.h>
#include <string.h>

/* ---- conclusions --------------------------------------------------------------------- */

struct tally {
	size_t asking;		/* questions under way, or things waited for */
	size_t present, absent, lost, silent, n;
};

static void
hop_tally(const struct hop *h, struct tally *t)
{
	memset(t, 0, sizeof(*t));
	t->asking = (h->want.list != NULL) + (h->learn != NULL) +
	    (h->probe != NULL);
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
	size_t n = 0;

	if (h->seen == NULL)
		return false;
	for (size_t i = 0; i < h->zone->n; i++) {
		vote[n].server = h->zone->s[i].name;
		vote[n].answer = (enum pl_answer)h->seen[i].answer;
		/* Given servers need not hold where an alias leads. */
		if (!h->zone->given || hop_index(h) == 0 ||
		    (vote[n].answer != PL_ANS_REFUSED &&
		    vote[n].answer != PL_ANS_LAME))
			n++;
	}
	return votes_visible(vote, n, v->quorum);
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

/* Nothing answers at any of its servers (port 53 may be closed here): the
 * resolvers are asked, at the price that they may keep a "no". */
static bool
hop_give_up(struct pl_verifier *v, struct hop *h, const struct tally *t)
{
	if (h->zone == NULL || h->zone->given || h->zone->recursive ||
	    t->asking > 0 || t->n == 0 || t->silent < t->n)
		return false;
	h->given_up = true;
	check_find(h->check, "resolvers", PL_MARK_WARN, "no server of %s can "
	    "be reached from here: the resolvers were asked instead",
	    h->zone->name);
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
		for (size_t i = 0; i < h->zone->n && !h->learnt; i++)
			if (h->seen[i].answer == PL_ANS_PRESENT) {
				h->learnt = true;
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

/* Do all servers say that there is no such name? */
static bool
hop_nowhere(const struct hop *h)
{
	size_t n = 0;

	for (size_t i = 0; h->seen != NULL && i < h->zone->n; i++)
		if (h->seen[i].answer == PL_ANS_ABSENT) {
			if (!h->seen[i].nowhere)
				return false;
			n++;
		}
	return n > 0;
}

/* Says who does not have it. */
static void
dns_complain(const struct check *c, struct pl_err *err)
{
	const struct hop *last = c->nhops > 1 ? c->hop[c->nhops - 1] : NULL;
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
	if (last != NULL)
		pl_fail(err, PL_EABSENT, "%s: %s %s: not visible:%s",
		    c->record, hop_nowhere(last) ? "dead end: its alias leads "
		    "to a name that does not exist," : "its alias leads to",
		    last->name, b.data);
	else
		pl_fail(err, PL_EABSENT, "%s: not visible:%s", s.record,
		    b.data);
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

void
dns_late(struct pl_verifier *v, struct check *c)
{
	if (c->look == PL_LOOK_WHERE || c->look == PL_LOOK_CHECK ||
	    !dns_visible(v, c))
		dns_fail(v, c);
	else if (policy_late(v, c))
		check_end(v, c, true, PL_OK);
	else
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
	if (!hop_elsewhere(v, h, &t) && !hop_give_up(v, h, &t))
		dns_fail(v, c);
}

/* The size of the answer decides how it travels. */
static void
dns_size(struct check *c)
{
	if (c->size > 4096)
		check_find(c, "size", PL_MARK_WARN, "answer of %zu octets: "
		    "over 4096, some resolvers give up", c->size);
	else if (c->size > PL_DNS_UDP)
		check_find(c, "size", PL_MARK_WARN, "answer of %zu octets: "
		    "over %d, it goes by TCP", c->size, PL_DNS_UDP);
	else if (c->size > 512)
		check_find(c, "size", PL_MARK_INFO, "answer of %zu octets",
		    c->size);
}

/* The way that a CA goes. */
static void
dns_way(struct check *c)
{
	for (unsigned i = 0; i + 1 < c->nhops; i++) {
		const struct hop *h = c->hop[i];
		const char *zone = hop_zone(c->hop[i + 1]);

		check_find(c, "alias", PL_MARK_INFO, "%s leads to %s%s%s",
		    h->name, c->hop[i + 1]->name, zone != NULL ? ", in " : "",
		    zone != NULL ? zone : "");
	}
}

/* It is visible, or all is said of it: what else would a CA look at? */
static void
dns_end(struct pl_verifier *v, struct check *c)
{
	if (!policy_weigh(v, c))
		return;
	if (c->look == PL_LOOK_CHECK)
		dns_way(c);
	dns_size(c);
	if (c->forbidden)
		check_end(v, c, false, c->err.code);
	else if (dns_visible(v, c))
		check_end(v, c, true, PL_OK);
	else
		dns_fail(v, c);
}

void
dns_weigh(struct pl_verifier *v, struct check *c)
{
	bool wait = false, watch;
	struct tally t;

	if (c->fatal || c->forbidden) {
		check_end(v, c, false, c->err.code);
		return;
	}
	if (c->nhops == 0)
		return;
	if (c->look == PL_LOOK_WHERE) {
		where_weigh(v, c);
		return;
	}
	if (c->ended || dns_visible(v, c)) {
		dns_end(v, c);
		return;
	}
	for (unsigned i = 0; i < c->nhops; i++) {
		struct hop *h = c->hop[i];

		hop_tally(h, &t);
		if (hop_elsewhere(v, h, &t) || hop_give_up(v, h, &t))
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
	if (c->look == PL_LOOK_CHECK) {
		c->ended = true;
		dns_end(v, c);
	} else if (c->look == PL_LOOK_ONCE)
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
	/* Nobody waited for it, or all have waited long enough. */
	if (a == PL_ANS_NONE && h->check->fatal)
		return s->n;
	if (a == PL_ANS_NONE && h->check->late)
		a = PL_ANS_TIMEOUT;
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
	if (last != NULL)
		s->zone = pl_strdup(hop_zone(last));
	for (unsigned i = 0; i < c->nhops; i++)
		if (c->hop[i]->seen != NULL)
			most += c->hop[i]->zone->n;
	s->verdicts = pl_array(most + 2, sizeof(*s->verdicts));
	for (unsigned i = c->nhops; i-- > 0;) {
		const struct hop *h = c->hop[i];

		if (h->seen == NULL || c->look == PL_LOOK_WHERE)
			continue;
		for (size_t k = 0; k < h->zone->n; k++)
			verdict_add(s, h, k, h == last);
	}
	/* What every validator throws away is not present. */
	for (size_t k = 0; c->bogus != NULL && c->forbidden && k < s->n; k++) {
		struct pl_verdict *w = &s->verdicts[k];

		if (w->answer != PL_ANS_PRESENT)
			continue;
		w->answer = PL_ANS_BOGUS;
		free(w->note);
		w->note = pl_strdup("DNSSEC");
	}
}
