/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A file: fetched as a CA fetches it, from every address of the domain, at
 * port 80 (443 where the CA was told https), redirects followed by hand, its
 * octets compared one by one.
 */

#include "verify.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define FETCHES		64	/* at once */
#define FETCH_MS	10000	/* one request */
#define REDIRECTS	10
#define ADDRS		16	/* of one host */

struct site {
	TAILQ_ENTRY(site) link;		/* waits for its turn */
	bool waits;
	struct pl_verifier *v;
	struct check *check;
	char *name;			/* whose vote it is */
	char addr[64];
	uint16_t port;
	bool given;
	struct seen seen;
	struct pl_fetch *fetch;
	struct pl_url url;		/* being fetched */
	unsigned redirects;
	bool away;			/* at another host than the domain */
	size_t next;			/* of its addresses, to be tried */
	struct want a, aaaa;
	uint32_t ms;
};

static void site_go(struct site *s);

static const char *
scheme_of(const struct check *c)
{
	return c->https ? "https" : "http";
}

static uint16_t
usual_port(const struct check *c)
{
	return c->https ? 443 : 80;
}

/* ---- the fetching room ------------------------------------------------------ */

static void
web_run(struct pl_verifier *v)
{
	int ms = pl_web_run(v->web);

	if (ms >= 0)
		timer_set(v, &v->web_timer, pl_mono_ms() + ms);
}

static void
web_ready(struct pl_verifier *v, struct watch *w PL_UNUSED,
    uint32_t events PL_UNUSED)
{
	web_run(v);
}

static void
web_timer(struct pl_verifier *v, struct timer *t PL_UNUSED)
{
	web_run(v);
}

/* Not before it is needed: others do not pay for it. */
bool
web_start(struct pl_verifier *v, struct pl_err *err)
{
	if (v->web != NULL)
		return true;
	if (pl_web_new(&v->web, err) != PL_OK)
		return false;
	v->web_timer.fire = web_timer;
	v->web_watch.ready = web_ready;
	v->web_watch.fd = pl_web_fd(v->web);
	if (!watch_add(v, &v->web_watch, EPOLLIN)) {
		pl_web_free(v->web);
		v->web = NULL;
		pl_fail(err, PL_EIO, "epoll");
		return false;
	}
	return true;
}

void
web_kick(struct pl_verifier *v)
{
	timer_set(v, &v->web_timer, v->now);
}

void
http_close(struct pl_verifier *v)
{
	timer_stop(v, &v->web_timer);
	pl_web_free(v->web);
	v->web = NULL;
}

/* ---- what was seen -------------------------------------------------------------- */

static void
site_set(struct site *s, enum pl_answer a, const char *fmt, ...)
    PL_PRINTF(3, 4);

/* The end of one look at one address. */
static void
site_set(struct site *s, enum pl_answer a, const char *fmt, ...)
{
	struct check *c = s->check;
	struct pl_buf b;
	va_list ap;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	if (s->redirects > 0 && s->url.url != NULL)
		pl_buf_addf(&b, "%safter %u redirect%s, at %.200s",
		    b.len > 0 ? ", " : "", s->redirects,
		    s->redirects == 1 ? "" : "s", s->url.url);
	if (s->seen.answer != (uint8_t)a || !pl_streq(s->seen.note,
	    b.len > 0 ? b.data : NULL))
		c->news = true;
	s->seen.answer = (uint8_t)a;
	s->seen.ms = s->ms;
	free(s->seen.note);
	s->seen.note = b.len > 0 ? pl_buf_take(&b) : NULL;
	pl_buf_clear(&b);
	if (a == PL_ANS_PRESENT && s->url.url != NULL) {
		free(c->url);
		c->url = pl_strdup(s->url.url);
	}
	pl_url_clear(&s->url);
	want_stop(&s->a);
	want_stop(&s->aaaa);
	check_ripe(s->v, c);
}

static bool
site_idle(const struct site *s)
{
	return s->fetch == NULL && !s->waits && s->a.list == NULL &&
	    s->aaaa.list == NULL;
}

/* ---- answers ------------------------------------------------------------------------ */

/* The octets are there, and more blanks or line ends behind. */
static bool
padded(const struct check *c, const struct pl_got *g)
{
	size_t n = g->len;

	while (n > c->value_len && strchr(" \t\r\n", g->body[n - 1]) != NULL)
		n--;
	return n == c->value_len && n < g->len &&
	    memcmp(g->body, c->value, n) == 0;
}

static void
site_body(struct site *s, const struct pl_got *g)
{
	struct check *c = s->check;

	if (g->len == c->value_len && (g->len == 0 ||
	    memcmp(g->body, c->value, g->len) == 0))
		site_set(s, PL_ANS_PRESENT, "%s", "");
	else if (padded(c, g))
		site_set(s, PL_ANS_ABSENT,
		    "the content, but with blanks or line ends behind it");
	else
		site_set(s, PL_ANS_ABSENT, "other content (%zu octets)",
		    g->len);
}

static bool
is_address(const char *host)
{
	unsigned char a[16];

	return host[0] == '[' || inet_pton(AF_INET, host, a) == 1;
}

static void
site_redirect(struct site *s, const struct pl_got *g)
{
	struct pl_url to;
	struct pl_err err;

	if (s->redirects >= REDIRECTS) {
		site_set(s, PL_ANS_ABSENT, "more than %d redirects",
		    REDIRECTS);
		return;
	}
	if (g->location == NULL) {
		site_set(s, PL_ANS_ABSENT, "HTTP %u without a location",
		    g->status);
		return;
	}
	if (pl_url_resolve(&to, s->url.url, g->location, &err) != PL_OK) {
		site_set(s, PL_ANS_ABSENT, "redirected to what no CA follows: %s",
		    err.text);
		return;
	}
	if (to.port != 80 && to.port != 443) {
		site_set(s, PL_ANS_ABSENT,
		    "redirected to port %u: CAs use 80 and 443 only", to.port);
		pl_url_clear(&to);
		return;
	}
	if (is_address(to.host)) {
		site_set(s, PL_ANS_ABSENT,
		    "redirected to the address %s: CAs want a name", to.host);
		pl_url_clear(&to);
		return;
	}
	pl_url_clear(&s->url);
	s->url = to;
	s->redirects++;
	s->away = strcmp(to.host, s->check->domain) != 0;
	s->next = 0;
	site_go(s);
}

static void
site_status(struct site *s, const struct pl_got *g)
{
	bool acme = strncmp(s->check->record, "/.well-known/acme-challenge/",
	    28) == 0;

	switch (g->status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		site_redirect(s, g);
		return;
	default:
		break;
	}
	if (s->check->look == PL_LOOK_CHECK) {
		site_set(s, PL_ANS_PRESENT, "HTTP %u", g->status);
		return;
	}
	/* ACME servers want 200, BR 3.2.2.4.18 any 2xx. */
	if (g->status == 200 || (!acme && g->status / 100 == 2))
		site_body(s, g);
	else
		site_set(s, PL_ANS_ABSENT, "HTTP %u", g->status);
}

/* Whoever waits for a turn gets it. */
static void
sites_pump(struct pl_verifier *v)
{
	struct site *s;

	while (v->fetches < FETCHES && (s = TAILQ_FIRST(&v->sites)) != NULL) {
		TAILQ_REMOVE(&v->sites, s, link);
		s->waits = false;
		s->next = 0;
		site_go(s);
	}
}

static void
site_got(void *ctx, const struct pl_got *g)
{
	struct site *s = ctx;
	struct pl_verifier *v = s->v;

	s->fetch = NULL;
	s->ms += g->ms;
	v->fetches--;
	sites_pump(v);
	if (g->code == PL_OK)
		site_status(s, g);
	else if (g->code == PL_ELIMIT)
		site_set(s, PL_ANS_ABSENT, "other content (longer)");
	else if (g->code == PL_ENET && s->away && (g->refused ||
	    g->noroute || g->timeout))
		site_go(s);		/* its next address */
	else if (g->timeout)
		site_set(s, PL_ANS_TIMEOUT, "%s", "");
	else if (g->noroute)
		site_set(s, PL_ANS_UNREACHABLE,
		    "no route from this host, left out");
	else
		site_set(s, PL_ANS_ERROR, "%s", g->err.text);
}

/* ---- fetching ---------------------------------------------------------------------------- */

static void
site_fetch(struct site *s, const char *addr, uint16_t port)
{
	struct pl_verifier *v = s->v;
	struct pl_get g = { .url = s->url.url, .address = addr,
		.port = port, .local = s->given || v->site_local,
		.unverified = true, .timeout_ms = FETCH_MS,
		.max_body = PL_LIM_FILE };
	struct pl_err err;
	int64_t left = s->check->deadline - v->now;

	if (left < g.timeout_ms)
		g.timeout_ms = left > 1 ? left : 1;
	if (!g.local && !pl_addr_public(addr)) {
		site_set(s, PL_ANS_ERROR,
		    "%s is no public address: not asked", addr);
		return;
	}
	if (v->fetches >= FETCHES) {
		s->waits = true;
		TAILQ_INSERT_TAIL(&v->sites, s, link);
		return;
	}
	if (!web_start(v, &err) ||
	    pl_web_get(v->web, &g, site_got, s, &s->fetch, &err) != PL_OK) {
		site_set(s, PL_ANS_ERROR, "%s", err.text);
		return;
	}
	v->fetches++;
	web_kick(v);
}

static void
site_want(struct pl_verifier *v PL_UNUSED, struct want *w)
{
	site_go(v_of(w, struct site, a));
}

static void
site_want6(struct pl_verifier *v PL_UNUSED, struct want *w)
{
	site_go(v_of(w, struct site, aaaa));
}

/* Another host that a redirect names: IPv6 first, the next if that fails. */
static void
site_go_away(struct site *s)
{
	struct lookup *six, *four;
	size_t n = s->next;

	six = lookup_get(s->v, s->url.host, PL_DNS_AAAA, &s->aaaa);
	four = lookup_get(s->v, s->url.host, PL_DNS_A, &s->a);
	if (six == NULL || four == NULL)
		return;
	s->next++;
	if (n < six->n)
		site_fetch(s, six->text[n], s->url.port);
	else if (n - six->n < four->n)
		site_fetch(s, four->text[n - six->n], s->url.port);
	else if (n == 0)
		site_set(s, PL_ANS_ERROR, "%s has no address", s->url.host);
	else
		site_set(s, PL_ANS_ERROR, "%s: no connection", s->url.host);
}

static void
site_go(struct site *s)
{
	uint16_t port = s->url.port;

	if (s->away) {
		site_go_away(s);
		return;
	}
	if (port == usual_port(s->check))
		port = s->port;
	site_fetch(s, s->addr, port);
}

static void
site_start(struct site *s)
{
	struct pl_buf url;
	struct pl_err err;

	pl_buf_init(&url, PL_LIM_LINE);
	pl_buf_addf(&url, "%s://%s%s", scheme_of(s->check), s->check->domain,
	    s->check->record);
	pl_url_clear(&s->url);
	s->redirects = 0;
	s->away = false;
	s->next = 0;
	s->ms = 0;
	if (url.failed ||
	    pl_url_resolve(&s->url, NULL, url.data, &err) != PL_OK)
		site_set(s, PL_ANS_ERROR, "%s", url.failed ?
		    "path too long" : err.text);
	else
		site_go(s);
	pl_buf_clear(&url);
}

/* ---- sites ---------------------------------------------------------------------------------- */

static struct site *
site_at(const struct check *c, size_t i)
{
	return &c->site[i];
}

static void
site_add(struct pl_verifier *v, struct check *c, const char *name,
    const char *addr, uint16_t port, bool given)
{
	struct site *s = site_at(c, c->nsite);

	if (strlen(addr) >= sizeof(s->addr))
		return;
	s->v = v;
	s->check = c;
	s->name = pl_strdup(name);
	memcpy(s->addr, addr, strlen(addr) + 1);
	s->port = port;
	s->given = given;
	s->a.ready = site_want;
	s->aaaa.ready = site_want6;
	c->nsite++;
}

/* By https, servers that were given for http are asked at the usual port. */
static void
sites_given(struct pl_verifier *v, struct check *c)
{
	bool own = c->https && v->https_server != NULL;
	char *const *list = own ? v->https_server : v->http_server;
	char host[256];
	uint16_t port;
	size_t n = 0;

	while (list[n] != NULL && n < V_SERVERS)
		n++;
	c->site = pl_array(n, sizeof(*c->site));
	for (size_t i = 0; i < n; i++)
		if (pl_hostport_parse(host, sizeof(host), &port, list[i],
		    usual_port(c), &c->err) == PL_OK)
			site_add(v, c, list[i], host, c->https && !own ?
			    usual_port(c) : port, true);
}

static void
check_want(struct pl_verifier *v, struct check *c)
{
	c->again = true;
	check_ripe(v, c);
}

static void
check_want_a(struct pl_verifier *v, struct want *w)
{
	check_want(v, v_of(w, struct check, a));
}

static void
check_want_aaaa(struct pl_verifier *v, struct want *w)
{
	check_want(v, v_of(w, struct check, aaaa));
}

/* The domain's addresses, IPv6 first. */
static void
sites_find(struct pl_verifier *v, struct check *c)
{
	struct lookup *six, *four;

	c->a.ready = check_want_a;
	c->aaaa.ready = check_want_aaaa;
	six = lookup_get(v, c->domain, PL_DNS_AAAA, &c->aaaa);
	four = lookup_get(v, c->domain, PL_DNS_A, &c->a);
	if (six == NULL || four == NULL)
		return;
	if (six->n + four->n == 0) {
		pl_fail(&c->err, PL_ENET, six->failed && four->failed ?
		    "%s: no resolver tells its addresses (%s)" :
		    "%s: it has no address (%s)", c->domain,
		    pl_dns_rcode_name(four->rcode));
		return;
	}
	c->site = pl_array(2 * (size_t)ADDRS, sizeof(*c->site));
	for (size_t i = 0; i < six->n && i < ADDRS; i++)
		site_add(v, c, c->domain, six->text[i], usual_port(c),
		    false);
	for (size_t i = 0; i < four->n && i < ADDRS; i++)
		site_add(v, c, c->domain, four->text[i], usual_port(c),
		    false);
}

void
http_look(struct pl_verifier *v, struct check *c)
{
	if (c->look == PL_LOOK_WHERE)
		return;
	if (c->site == NULL) {
		if (v->http_server != NULL ||
		    (c->https && v->https_server != NULL))
			sites_given(v, c);
		else
			sites_find(v, c);
	}
	for (size_t i = 0; i < c->nsite; i++)
		if (site_idle(site_at(c, i)) &&
		    site_at(c, i)->seen.answer != PL_ANS_PRESENT)
			site_start(site_at(c, i));
}

void
http_drop(struct pl_verifier *v, struct check *c)
{
	for (size_t i = 0; i < c->nsite; i++) {
		struct site *s = site_at(c, i);

		if (s->waits)
			TAILQ_REMOVE(&v->sites, s, link);
		if (s->fetch != NULL) {
			pl_fetch_cancel(s->fetch);
			v->fetches--;
		}
		want_stop(&s->a);
		want_stop(&s->aaaa);
		pl_url_clear(&s->url);
		free(s->seen.note);
		free(s->name);
	}
	free(c->site);
	c->site = NULL;
	c->nsite = 0;
	sites_pump(v);
}

void
http_fail(struct pl_verifier *v, struct check *c)
{
	bool answered = false;
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; i < c->nsite; i++) {
		const struct site *s = site_at(c, i);
		enum pl_answer a = (enum pl_answer)s->seen.answer;

		if (a == PL_ANS_PRESENT || a == PL_ANS_ABSENT)
			answered = true;
		if (a != PL_ANS_PRESENT)
			pl_buf_addf(&b, "%s %s %s%s%s", b.len > 0 ? "," : "",
			    s->addr, pl_answer_name(a),
			    s->seen.note != NULL ? ": " : "",
			    s->seen.note != NULL ? s->seen.note : "");
	}
	if (c->nsite > 0 || c->err.code == PL_OK)
		pl_fail(&c->err, answered ? PL_EABSENT : PL_ENET,
		    "%s%s: not visible:%s", c->domain, c->record, b.data);
	pl_buf_clear(&b);
	check_end(v, c, false, c->err.code);
}

/* Visible; what else would a CA look at? */
static void
http_end(struct pl_verifier *v, struct check *c)
{
	if (policy_weigh(v, c))
		check_end(v, c, !c->forbidden,
		    c->forbidden ? c->err.code : PL_OK);
}

static bool
http_visible(const struct pl_verifier *v, const struct check *c)
{
	struct vote vote[2 * V_SERVERS];

	for (size_t i = 0; i < c->nsite; i++) {
		vote[i].server = site_at(c, i)->name;
		vote[i].answer = (enum pl_answer)site_at(c, i)->seen.answer;
	}
	return votes_visible(vote, c->nsite, v->quorum);
}

void
http_late(struct pl_verifier *v, struct check *c)
{
	if (!http_visible(v, c))
		http_fail(v, c);
	else if (policy_late(v, c))
		check_end(v, c, true, PL_OK);
	else
		check_end(v, c, false, c->err.code);
}

void
http_weigh(struct pl_verifier *v, struct check *c)
{
	bool asking = c->a.list != NULL || c->aaaa.list != NULL;

	for (size_t i = 0; i < c->nsite; i++)
		asking = asking || !site_idle(site_at(c, i));
	if (c->look == PL_LOOK_WHERE)
		check_end(v, c, false, PL_OK);
	else if (c->forbidden)
		check_end(v, c, false, c->err.code);
	else if (http_visible(v, c))
		http_end(v, c);
	else if (asking || c->looks == 0)
		return;
	else if (c->look == PL_LOOK_UNTIL)
		check_plan(v, c);
	else
		http_fail(v, c);
}

void
http_verdicts(const struct check *c, struct pl_sighting *s)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	if (c->url == NULL)
		pl_buf_addf(&b, "%s://%s%s", scheme_of(c), c->domain,
		    c->record);
	s->record = pl_strdup(c->url != NULL ? c->url : b.data);
	s->verdicts = pl_array(c->nsite + 1, sizeof(*s->verdicts));
	for (size_t i = 0; i < c->nsite; i++) {
		const struct site *e = site_at(c, i);
		struct pl_verdict *w = &s->verdicts[s->n++];

		pl_buf_reset(&b);
		if (e->port == usual_port(c))
			pl_buf_adds(&b, e->addr);
		else
			pl_buf_addf(&b, strchr(e->addr, ':') != NULL ?
			    "[%s]:%u" : "%s:%u", e->addr, e->port);
		w->server = pl_strdup(e->name);
		w->address = pl_strdup(b.data);
		w->answer = (enum pl_answer)e->seen.answer;
		w->ms = e->seen.ms;
		w->note = pl_strdup(e->seen.note);
	}
	pl_buf_clear(&b);
}
