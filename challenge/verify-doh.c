/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Resolvers asked by HTTPS (RFC 8484), where port 53 is closed. */

#include "verify.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static void
doh_got(void *ctx, const struct pl_got *g)
{
	struct query *q = ctx;
	struct pl_verifier *v = q->peer->v;

	q->fetch = NULL;
	q->loose = true;
	q->peer->inflight--;
	peer_busy(v, q->peer);
	if (g->code != PL_OK)
		query_fail(v, q, g->timeout ? Q_TIMEOUT : g->noroute ?
		    Q_NOROUTE : g->code == PL_ENET ? Q_CLOSED : Q_GARBAGE);
	else if (g->status != 200 || !pl_dns_matches(q->pkt, q->len,
	    (const unsigned char *)g->body, g->len))
		query_fail(v, q, Q_GARBAGE);
	else
		query_answer(v, q, (const unsigned char *)g->body, g->len,
		    true);
}

bool
doh_start(struct pl_verifier *v, struct query *q)
{
	struct peer *p = q->peer;
	struct pl_get g = { .url = p->url, .address = p->addr,
		.port = p->port, .local = true,
		.accept = "application/dns-message",
		.post_type = "application/dns-message",
		.timeout_ms = V_UDP_MS * 2 + V_TCP_MS,
		.max_body = PL_DNS_MSG };

	query_build(q, true);
	q->sent = pl_mono_us();
	if (q->first == 0)
		q->first = q->sent;
	g.post = q->pkt;
	g.post_len = q->len;
	if (!web_start(v, NULL) ||
	    pl_web_get(v->web, &g, doh_got, q, &q->fetch, NULL) != PL_OK) {
		query_fail(v, q, Q_CLOSED);
		return true;
	}
	TAILQ_REMOVE(&p->waiting, q, link);
	p->inflight++;
	web_kick(v);
	return true;
}

/* The first address of a host, as this system finds it. */
static bool
host_address(const char *host, char *out, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST }, *ai = NULL;
	char bare[256];
	size_t n = strlen(host);
	bool ok;

	if (n >= sizeof(bare))
		return false;
	memcpy(bare, host, n + 1);
	if (bare[0] == '[' && bare[n - 1] == ']') {
		memmove(bare, bare + 1, n - 2);
		bare[n - 2] = '\0';
	}
	if (getaddrinfo(bare, NULL, &hints, &ai) != 0) {
		hints.ai_flags = AI_ADDRCONFIG;
		if (getaddrinfo(bare, NULL, &hints, &ai) != 0)
			return false;
	}
	ok = getnameinfo(ai->ai_addr, ai->ai_addrlen, out, (socklen_t)size,
	    NULL, 0, NI_NUMERICHOST) == 0;
	freeaddrinfo(ai);
	return ok;
}

enum pl_code
peer_doh(struct pl_verifier *v, struct peer **out, const char *url,
    struct pl_err *err)
{
	struct pl_url u;
	struct entry *e;
	struct peer *p;
	char addr[64];
	enum pl_code code;

	*out = NULL;
	if ((code = pl_url_resolve(&u, NULL, url, err)) != PL_OK)
		return pl_fail(err, PL_EINVAL, "%s: not a resolver's URL", url);
	if (!host_address(u.host, addr, sizeof(addr))) {
		code = pl_fail(err, PL_EINVAL, "%s: its host is not known",
		    url);
	} else if (strcmp(u.scheme, "https") != 0 &&
	    strncmp(addr, "127.", 4) != 0 && strcmp(addr, "::1") != 0) {
		code = pl_fail(err, PL_EINVAL, "%s: https is needed", url);
	} else if ((e = table_get(&v->peers, u.url)) != NULL) {
		*out = v_of(e, struct peer, entry);
	} else {
		p = pl_alloc(sizeof(*p));
		p->v = v;
		p->url = pl_strdup(u.url);
		p->port = u.port;
		memcpy(p->addr, addr, sizeof(addr));
		memcpy(p->text, addr, sizeof(addr));
		TAILQ_INIT(&p->waiting);
		table_add(&v->peers, &p->entry, p->url);
		*out = p;
	}
	pl_url_clear(&u);
	return code;
}
