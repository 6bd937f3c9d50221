/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What a CA looks at beside the record: DNSSEC, CAA, and for a pre-flight
 * whether the parent's delegation is the zone's own.
 */

#include "verify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ANCHOR		"/usr/share/dns/root.key"
#define SECURE_MS	10000	/* one validation */
#define SECURE_KEEP	60000
#define SECURE_FAILED	1000
#define SOON_S		3600	/* a signature that ends within this is told */
#define NS_SEEN		32
#define PARENTS		4	/* servers of the parent that are asked */

/* Something that stands in the way, if the settings say so. */
static void
forbid(struct check *c, enum policy p, enum pl_code code, const char *topic,
    const char *text)
{
	check_find(c, topic, p == POLICY_REQUIRE ? PL_MARK_BAD : PL_MARK_WARN,
	    "%s", text);
	if (p != POLICY_REQUIRE)
		return;
	c->forbidden = true;
	pl_fail(&c->err, code, "%s: %s: %s", c->domain, topic, text);
}

/* What could not be looked up where it must be: as long as there is time, it
 * may still be.  True: later. */
static bool
try_again(struct pl_verifier *v, struct check *c, enum policy p)
{
	if (p != POLICY_REQUIRE || c->look != PL_LOOK_UNTIL || c->late)
		return false;
	check_plan(v, c);
	return true;
}

/* ---- CAA -------------------------------------------------------------------- */

struct caa_ctx {
	struct pl_verifier *v;
	struct check *c;
};

static bool
caa_lookup(void *ctx, const char *name, struct pl_caa_set *set)
{
	struct caa_ctx *x = ctx;
	struct lookup *l = lookup_get(x->v, name, PL_DNS_CAA, &x->c->caa);

	if (l == NULL)
		return false;
	if (l->failed)
		set->failed = l->rcode != 0 ? pl_dns_rcode_name(l->rcode) :
		    "no answer";
	set->rr = l->caa;
	set->n = l->n;
	return true;
}

static void
caa_want(struct pl_verifier *v, struct want *w)
{
	struct check *c = v_of(w, struct check, caa);

	policy_start(v, c);
	check_ripe(v, c);
}

static bool
caa_step(struct pl_verifier *v, struct check *c)
{
	struct pl_caa_ask ask = { .domain = c->domain,
		.wildcard = c->wildcard, .ca = c->ca,
		.account_uri = c->account_uri, .methods = c->methods };
	struct caa_ctx ctx = { .v = v, .c = c };
	struct pl_buf text;
	enum pl_caa end;

	if (c->caa_done)
		return true;
	if (v->caa == POLICY_OFF || c->look == PL_LOOK_WHERE ||
	    (c->ca == NULL && c->look != PL_LOOK_CHECK)) {
		c->caa_done = true;
		return true;
	}
	c->caa.ready = caa_want;
	pl_buf_init(&text, PL_LIM_LINE);
	end = pl_caa_climb(&ask, caa_lookup, &ctx, &text);
	if (end == PL_CAA_FAILED && try_again(v, c, v->caa))
		end = PL_CAA_WAIT;
	if (end != PL_CAA_WAIT) {
		c->caa_done = true;
		if (end != PL_CAA_ALLOWED)
			forbid(c, v->caa, end == PL_CAA_FAILED ? PL_ENET :
			    PL_EREMOTE, "caa", text.data);
		else
			check_find(c, "caa", c->ca != NULL ? PL_MARK_GOOD :
			    PL_MARK_INFO, "%s", text.data);
	}
	pl_buf_clear(&text);
	return c->caa_done;
}

void
policy_start(struct pl_verifier *v, struct check *c)
{
	if (c->caa.list == NULL)
		caa_step(v, c);
}

/* ---- DNSSEC -------------------------------------------------------------------- */

static void
resolve_ready(struct pl_verifier *v, struct watch *w PL_UNUSED,
    uint32_t events PL_UNUSED)
{
	pl_resolve_run(v->resolve);
}

/* "192.0.2.1:5353" as libunbound writes it: "192.0.2.1@5353". */
static char *
forward_of(const struct peer *p)
{
	char host[256];
	struct pl_buf b;
	uint16_t port;

	pl_buf_init(&b, PL_LIM_LINE);
	if (pl_hostport_parse(host, sizeof(host), &port, p->text, 53, NULL) ==
	    PL_OK)
		pl_buf_addf(&b, "%s@%u", host, p->port);
	return pl_buf_take(&b);
}

static bool
resolve_start(struct pl_verifier *v, struct pl_err *err)
{
	const char *anchor = v->anchor != NULL ? v->anchor : ANCHOR;
	char **forward;
	enum pl_code code;
	size_t n = 0;

	if (v->resolve != NULL)
		return true;
	if (v->no_resolve)
		return !pl_fail(err, PL_EIO, "DNSSEC validation did not start");
	forward = pl_array(v->nresolver + 1, sizeof(*forward));
	/* It does not speak HTTP: with such resolvers it asks the world. */
	for (size_t i = 0; i < v->nresolver; i++)
		if (v->resolver[i]->url == NULL)
			forward[n++] = forward_of(v->resolver[i]);
	code = pl_resolve_new(&v->resolve, anchor,
	    (const char *const *)forward, err);
	for (size_t i = 0; i < n; i++)
		free(forward[i]);
	free(forward);
	if (code != PL_OK) {
		v->no_resolve = true;
		return false;
	}
	v->resolve_watch.ready = resolve_ready;
	v->resolve_watch.fd = pl_resolve_fd(v->resolve);
	return watch_add(v, &v->resolve_watch, EPOLLIN);
}

static void
secure_end(struct secure *s, enum pl_secure state, const char *why)
{
	struct pl_verifier *v = s->v;

	timer_stop(v, &s->timer);
	s->q = NULL;
	s->done = true;
	s->state = state;
	s->why = pl_strdup(why);
	s->expires = v->now + (state == PL_SEC_FAILED ? SECURE_FAILED :
	    SECURE_KEEP);
	wants_wake(v, &s->wants);
}

static void
secure_done(void *ctx, const struct pl_resolved *a)
{
	struct secure *s = ctx;

	s->signed_until = a->signed_until;
	secure_end(s, a->state, a->why);
}

static void
secure_late(struct pl_verifier *v PL_UNUSED, struct timer *t)
{
	struct secure *s = v_of(t, struct secure, timer);

	pl_question_cancel(s->q);
	secure_end(s, PL_SEC_FAILED, "no answer in time");
}

static void
secure_free(struct pl_verifier *v, struct secure *s)
{
	timer_stop(v, &s->timer);
	pl_question_cancel(s->q);
	free(s->key);
	free(s->why);
	free(s);
}

/* Lends what is known; NULL: w is woken when there is more. */
static struct secure *
secure_get(struct pl_verifier *v, const char *name, unsigned type,
    struct want *w)
{
	struct pl_buf key;
	struct pl_err err;
	struct entry *e;
	struct secure *s = NULL;

	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_addf(&key, "%u %s", type, name);
	if ((e = table_get(&v->secures, key.data)) != NULL)
		s = v_of(e, struct secure, entry);
	if (s != NULL && s->done && s->expires <= v->now) {
		table_del(&v->secures, &s->entry);
		secure_free(v, s);
		s = NULL;
	}
	if (s == NULL) {
		s = pl_alloc(sizeof(*s));
		s->key = pl_strdup(key.data);
		s->v = v;
		s->timer.fire = secure_late;
		TAILQ_INIT(&s->wants);
		table_add(&v->secures, &s->entry, s->key);
		if (!resolve_start(v, &err) || pl_resolve_ask(v->resolve,
		    name, type, secure_done, s, &s->q, &err) != PL_OK)
			secure_end(s, PL_SEC_FAILED, err.text);
		else
			timer_set(v, &s->timer, v->now + SECURE_MS);
	}
	pl_buf_clear(&key);
	if (s->done)
		return s;
	if (w->list != &s->wants) {
		want_stop(w);
		w->list = &s->wants;
		TAILQ_INSERT_TAIL(&s->wants, w, link);
	}
	return NULL;
}

/* Says what is wrong with one name. */
static void
secure_say(struct pl_verifier *v, struct check *c, const char *name,
    const struct secure *s)
{
	struct pl_buf b;
	int64_t left = s->signed_until - (int64_t)time(NULL);
	int64_t soon = (c->deadline - v->now) / 1000;

	pl_buf_init(&b, PL_LIM_LINE);
	if (s->state == PL_SEC_BOGUS) {
		pl_buf_addf(&b, "%s is bogus: %.600s", name,
		    s->why != NULL ? s->why : "no reason given");
		free(c->bogus);
		c->bogus = pl_strdup(name);
		forbid(c, v->dnssec, PL_EREMOTE, "dnssec", b.data);
	} else if (s->state == PL_SEC_FAILED) {
		pl_buf_addf(&b, "%s could not be validated: %.600s", name,
		    s->why != NULL ? s->why : "no reason given");
		forbid(c, v->dnssec, v->no_resolve ? PL_EREMOTE : PL_ENET,
		    "dnssec", b.data);
	} else if (s->state == PL_SEC_SECURE && s->signed_until != 0 &&
	    left < (soon > SOON_S ? soon : SOON_S)) {
		check_find(c, "dnssec", PL_MARK_WARN,
		    "%s: a signature ends in %lld seconds", name,
		    (long long)left);
	}
	pl_buf_clear(&b);
}

static void
sec_want(struct pl_verifier *v, struct want *w)
{
	check_ripe(v, v_of(w, struct check, sec));
}

/* What the validations of one way come to. */
struct chain {
	unsigned n[PL_SEC_FAILED + 1];
	const char *open;	/* the first zone without signatures */
};

static bool
sec_name(struct pl_verifier *v, struct check *c, const char *name,
    unsigned type, struct chain *sum)
{
	struct secure *s = secure_get(v, name, type, &c->sec);

	if (s == NULL || (s->state == PL_SEC_FAILED && !v->no_resolve &&
	    try_again(v, c, v->dnssec)))
		return false;
	secure_say(v, c, name, s);
	sum->n[s->state]++;
	if (s->state == PL_SEC_INSECURE && sum->open == NULL)
		sum->open = name;
	return true;
}

static void
sec_say(struct check *c, const struct chain *sum)
{
	bool secure = sum->n[PL_SEC_SECURE] > 0;

	if (sum->n[PL_SEC_BOGUS] + sum->n[PL_SEC_FAILED] > 0)
		return;		/* said already */
	if (secure && sum->open != NULL)
		check_find(c, "dnssec", PL_MARK_INFO, "signed on the way, "
		    "but %s is not", sum->open);
	else
		check_find(c, "dnssec", secure ? PL_MARK_GOOD : PL_MARK_INFO,
		    "%s", secure ? "signed, and the chain of trust holds" :
		    "not signed");
}

/*
 * Each zone on the way first, which many names share; the record itself only
 * where one of them is signed, and only now that every server has it: a
 * resolver asked earlier would keep the "no".
 */
static bool
sec_step(struct pl_verifier *v, struct check *c)
{
	unsigned type = c->kind == PL_FILE ? PL_DNS_A :
	    c->kind == PL_CNAME ? PL_DNS_CNAME : PL_DNS_TXT;
	const char *record = c->kind == PL_FILE ? c->domain : c->record;
	bool whole = c->kind == PL_FILE;
	struct chain sum = { .open = NULL };

	if (c->sec_done)
		return true;
	c->sec.ready = sec_want;
	if (v->dnssec == POLICY_OFF || c->look == PL_LOOK_WHERE ||
	    ((v->nserver > 0 || v->http_server != NULL ||
	    v->https_server != NULL) && v->dnssec != POLICY_REQUIRE)) {
		c->sec_done = true;
		return true;
	}
	for (unsigned i = 0; i < c->nhops && c->bogus == NULL; i++) {
		const char *zone = hop_zone(c->hop[i]);

		if (zone == NULL)
			whole = true;
		else if (!sec_name(v, c, zone, PL_DNS_SOA, &sum))
			return false;
	}
	if ((sum.n[PL_SEC_SECURE] > 0 || whole) && c->bogus == NULL &&
	    c->look != PL_LOOK_CHECK &&
	    !sec_name(v, c, record, type, &sum))
		return false;
	c->sec_done = true;
	sec_say(c, &sum);
	return true;
}

/* ---- the delegation ----------------------------------------------------------------- */

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
cut_take(struct cutview *w, int side, const struct reply *r)
{
	w->told[side] = true;
	for (size_t i = 0; r->end == Q_ANSWER && i < r->msg->nrr; i++) {
		const struct pl_dns_rr *rr = &r->msg->rr[i];

		if (rr->type != PL_DNS_NS || rr->section > 2 ||
		    rr->target == NULL || strcmp(rr->owner, w->name) != 0 ||
		    w->n[side] >= NS_SEEN)
			continue;
		w->ns[side] = pl_grow(w->ns[side], w->n[side] + 1,
		    sizeof(**w->ns));
		w->ns[side][w->n[side]++] = pl_strdup(rr->target);
	}
	if (w->n[side] > 0)
		qsort(w->ns[side], w->n[side], sizeof(**w->ns), name_cmp);
}

static void cut_ask_up(struct pl_verifier *v, struct cutview *w);

/* One that does not answer for the parent is not the parent. */
static void
cut_up(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct cutview *w = q->owner;

	w->up = NULL;
	cut_take(w, 0, r);
	if (w->n[0] == 0 && w->tried < w->zone->n && w->tried < PARENTS) {
		w->told[0] = false;
		cut_ask_up(v, w);
	}
	check_ripe(v, w->check);
}

static void
cut_ask_up(struct pl_verifier *v, struct cutview *w)
{
	w->up = query_ask(v, w->zone->s[w->tried++].peer, w->name, PL_DNS_NS,
	    0, cut_up, w);
	w->up->quick = true;
}

static void
cut_down(struct pl_verifier *v, struct query *q, const struct reply *r)
{
	struct cutview *w = q->owner;

	w->down = NULL;
	cut_take(w, 1, r);
	check_ripe(v, w->check);
}

static void
cut_want(struct pl_verifier *v, struct want *want)
{
	check_ripe(v, v_of(want, struct cutview, want)->check);
}

/* Names that only one side has. */
static void
cut_only(const struct cutview *w, int side, struct pl_buf *b)
{
	for (size_t i = 0; i < w->n[side]; i++) {
		bool both = false;

		for (size_t k = 0; k < w->n[!side]; k++)
			if (strcmp(w->ns[side][i], w->ns[!side][k]) == 0)
				both = true;
		if (!both)
			pl_buf_addf(b, "%s%s", b->len > 0 ? ", " : "",
			    w->ns[side][i]);
	}
}

static void
cut_say(struct check *c, const struct cutview *w)
{
	struct pl_buf up, down;

	pl_buf_init(&up, PL_LIM_LINE);
	pl_buf_init(&down, PL_LIM_LINE);
	cut_only(w, 0, &up);
	cut_only(w, 1, &down);
	if (w->n[0] == 0 || w->n[1] == 0)
		check_find(c, "delegation", PL_MARK_WARN, "%s: %s", w->name,
		    w->n[0] == 0 ? "its parent did not name its servers" :
		    "its servers did not name themselves");
	else if (up.len == 0 && down.len == 0)
		check_find(c, "delegation", PL_MARK_GOOD,
		    "%s: parent and zone name the same %zu servers", w->name,
		    w->n[0]);
	if (w->n[0] > 0 && w->n[1] > 0 && up.len > 0)
		check_find(c, "delegation", PL_MARK_WARN,
		    "%s: only its parent names %s", w->name, up.data);
	if (w->n[0] > 0 && w->n[1] > 0 && down.len > 0)
		check_find(c, "delegation", PL_MARK_WARN,
		    "%s: only the zone itself names %s", w->name, down.data);
	pl_buf_clear(&up);
	pl_buf_clear(&down);
}

static void
cut_ask(struct pl_verifier *v, struct check *c, const struct hop *h)
{
	struct cutview *w = &c->cut;
	size_t at = 0;

	for (size_t i = 0; i < h->zone->n; i++)
		if (h->seen != NULL && h->seen[i].answer == PL_ANS_PRESENT)
			at = i;
	cut_ask_up(v, w);
	w->down = query_ask(v, h->zone->s[at].peer, w->name, PL_DNS_NS, 0,
	    cut_down, w);
}

static bool
cut_step(struct pl_verifier *v, struct check *c)
{
	struct cutview *w = &c->cut;
	const struct hop *h = c->nhops > 0 ? c->hop[c->nhops - 1] : NULL;
	const char *zone = h != NULL ? hop_zone(h) : NULL, *dot;
	struct pl_err err;

	if (w->done || zone == NULL || h->zone == NULL || h->zone->given ||
	    h->zone->n == 0 || (dot = strchr(zone, '.')) == NULL)
		return true;
	w->check = c;
	w->want.ready = cut_want;
	if (w->zone == NULL) {
		w->zone = zone_find(v, dot + 1, &w->want, &err);
		if (w->zone == NULL && err.code == PL_OK)
			return false;
		if (w->zone == NULL) {
			check_find(c, "delegation", PL_MARK_WARN, "%s",
			    err.text);
			w->done = true;
			return true;
		}
	}
	if (!w->begun) {
		w->begun = true;
		w->name = pl_strdup(zone);
		cut_ask(v, c, h);
	}
	if (!w->told[0] || !w->told[1])
		return false;
	cut_say(c, w);
	w->done = true;
	return true;
}

/* ---- all of it ------------------------------------------------------------------------- */

bool
policy_weigh(struct pl_verifier *v, struct check *c)
{
	bool all;

	/* Each gets its turn: they wait side by side. */
	all = caa_step(v, c);
	all = sec_step(v, c) && all;
	if (c->look == PL_LOOK_CHECK && c->kind != PL_FILE)
		all = cut_step(v, c) && all;
	return all || c->forbidden;
}

bool
policy_late(struct pl_verifier *v, struct check *c)
{
	if (c->forbidden)
		return false;
	if ((!c->sec_done && v->dnssec == POLICY_REQUIRE) ||
	    (!c->caa_done && v->caa == POLICY_REQUIRE)) {
		pl_fail(&c->err, PL_ENET, "%s: visible, but %s could not be "
		    "looked at in time", c->domain,
		    c->sec_done ? "CAA" : "DNSSEC");
		return false;
	}
	if (!c->sec_done)
		check_find(c, "dnssec", PL_MARK_WARN,
		    "could not be validated in time");
	if (!c->caa_done)
		check_find(c, "caa", PL_MARK_WARN,
		    "could not be looked up in time");
	return true;
}

void
policy_drop(struct pl_verifier *v, struct check *c)
{
	struct cutview *w = &c->cut;

	want_stop(&c->caa);
	want_stop(&c->sec);
	want_stop(&w->want);
	query_cancel(v, w->up);
	query_cancel(v, w->down);
	zone_unref(v, w->zone);
	for (size_t s = 0; s < 2; s++) {
		for (size_t i = 0; i < w->n[s]; i++)
			free(w->ns[s][i]);
		free(w->ns[s]);
	}
	free(w->name);
	memset(w, 0, sizeof(*w));
}

static bool
secure_old(const struct pl_verifier *v, struct entry *e)
{
	const struct secure *s = v_of(e, struct secure, entry);

	return s->done && s->expires <= v->now && TAILQ_EMPTY(&s->wants);
}

static void
secure_drop(struct pl_verifier *v, struct entry *e)
{
	secure_free(v, v_of(e, struct secure, entry));
}

void
policy_sweep(struct pl_verifier *v)
{
	table_sweep(v, &v->secures, secure_old, secure_drop);
}

void
policy_close(struct pl_verifier *v)
{
	struct entry *e;

	while ((e = table_pop(&v->secures)) != NULL)
		secure_free(v, v_of(e, struct secure, entry));
	pl_resolve_free(v->resolve);
	v->resolve = NULL;
}
