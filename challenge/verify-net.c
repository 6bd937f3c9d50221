/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Servers' addresses and the questions under way to them.
 *
 * A question goes out as a datagram from one of a few connected sockets,
 * each on a random port that is given up regularly; once more after a
 * second; then by TCP.  Only what carries the id, the question and the
 * letter case that were sent is an answer.  An address that has been silent
 * for several questions in a row rests, and what waits for it is told so at
 * once: nobody waits twice for the same dead server.
 */

#include "verify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FAILS_FEW	3	/* silent questions until a peer rests */
#define REST_MS		2000
#define REST_MAX	30000
#define WRONG_MAX	3	/* answers to nothing until a socket is distrusted */

struct tconn {
	struct watch w;
	struct query *q;
	size_t sent;
	unsigned char head[2];
	unsigned char *in;
	size_t need, got;	/* of head and message */
};

static void query_to_tcp(struct pl_verifier *v, struct query *q);

/* ---- peers ---------------------------------------------------------------- */

struct peer *
peer_get(struct pl_verifier *v, const char *addr, uint16_t port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM }, *ai = NULL;
	char service[8], text[64];
	struct pl_buf b;
	struct entry *e;
	struct peer *p;

	pl_buf_init(&b, sizeof(text));
	if (port == 53)
		pl_buf_adds(&b, addr);
	else
		pl_buf_addf(&b, strchr(addr, ':') != NULL ? "[%s]:%u" : "%s:%u",
		    addr, port);
	if (b.failed || b.len >= sizeof(text)) {
		pl_buf_clear(&b);
		return NULL;
	}
	memcpy(text, b.data, b.len + 1);
	pl_buf_reset(&b);
	pl_buf_addf(&b, "%u", port);
	memcpy(service, b.data, b.len + 1);
	pl_buf_clear(&b);

	if ((e = table_get(&v->peers, text)) != NULL)
		return v_of(e, struct peer, entry);
	if (getaddrinfo(addr, service, &hints, &ai) != 0)
		return NULL;
	p = pl_alloc(sizeof(*p));
	memcpy(&p->sa, ai->ai_addr, ai->ai_addrlen);
	p->salen = ai->ai_addrlen;
	freeaddrinfo(ai);
	memcpy(p->text, text, sizeof(text));
	p->port = port;
	TAILQ_INIT(&p->waiting);
	table_add(&v->peers, &p->entry, p->text);
	return p;
}

void
peer_busy(struct pl_verifier *v, struct peer *p)
{
	if (p->is_busy)
		return;
	p->is_busy = true;
	TAILQ_INSERT_TAIL(&v->busy, p, busy);
}

/* ---- the end of a question -------------------------------------------------- */

/* Takes q off the socket or connection that it is on. */
static void
query_detach(struct pl_verifier *v, struct query *q)
{
	if (q->loose)
		return;
	if (q->fetch != NULL) {
		pl_fetch_cancel(q->fetch);
		q->fetch = NULL;
	} else if (q->sock != NULL) {
		for (unsigned i = 0; i < V_SLOTS; i++)
			if (q->sock->q[i] == q) {
				q->sock->q[i] = NULL;
				q->sock->n--;
			}
		q->sock = NULL;
	} else if (q->tcp != NULL) {
		watch_close(v, &q->tcp->w);
		free(q->tcp->in);
		free(q->tcp);
		q->tcp = NULL;
		v->ntcp--;
		q->peer->tcps--;
	} else {
		TAILQ_REMOVE(&q->peer->waiting, q, link);
		return;
	}
	q->peer->inflight--;
	peer_busy(v, q->peer);
}

static void
query_free(struct pl_verifier *v, struct query *q)
{
	timer_stop(v, &q->timer);
	query_detach(v, q);
	free(q->pkt);
	free(q);
}

/* The answer came, or never will: tells the owner. */
static void
query_end(struct pl_verifier *v, struct query *q, struct reply *r)
{
	struct peer *p = q->peer;
	int64_t now = pl_mono_us();
	query_done *done = q->done;

	r->truncated = q->truncated;
	if (r->end == Q_ANSWER) {
		int64_t us = now - q->sent;

		r->ms = (uint32_t)((us + 500) / 1000);
		p->srtt_us = p->srtt_us == 0 ? (uint32_t)us :
		    (uint32_t)((p->srtt_us * (int64_t)7 + us) / 8);
		p->heard = now;
		p->fails = 0;
		p->rest = 0;
		p->rest_until = 0;
	} else if (q->first != 0) {
		r->ms = (uint32_t)((now - q->first) / 1000);
	}
	if (r->end == Q_TIMEOUT && !r->rested && p->heard < q->first &&
	    ++p->fails >= FAILS_FEW) {
		p->rest = p->rest == 0 ? REST_MS :
		    p->rest * 2 < REST_MAX ? p->rest * 2 : REST_MAX;
		p->rest_until = v->now + p->rest;
		peer_busy(v, p);
	}
	/* The owner may free what it likes, q too: it must find q gone. */
	q->done = NULL;
	if (done != NULL)
		done(v, q, r);
	query_free(v, q);
}

void
query_fail(struct pl_verifier *v, struct query *q, enum q_end end)
{
	struct reply r = { .end = end };

	query_end(v, q, &r);
}

/* What errno of a socket says about the other side. */
static enum q_end
end_of_errno(int e)
{
	switch (e) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
	case EACCES:
	case EPERM:
		return Q_NOROUTE;
	case ETIMEDOUT:
		return Q_TIMEOUT;
	default:
		return Q_CLOSED;
	}
}

/*
 * A message that belongs to q.  False where it must be asked again in
 * another way, which is then under way.
 */
void
query_answer(struct pl_verifier *v, struct query *q, const unsigned char *p,
    size_t n, bool tcp)
{
	struct reply r = { .end = Q_ANSWER, .tcp = tcp };
	struct pl_dns_msg m;

	if (q->done == NULL) {	/* nobody wants it any more */
		query_end(v, q, &r);
		return;
	}
	if (pl_dns_parse(&m, p, n, NULL) != PL_OK) {
		pl_dns_msg_clear(&m);
		if (tcp)
			query_fail(v, q, Q_GARBAGE);
		else
			query_to_tcp(v, q);
		return;
	}
	if (m.tc && tcp) {
		r.end = Q_GARBAGE;
		query_end(v, q, &r);
	} else if (m.tc) {
		q->truncated = true;
		query_to_tcp(v, q);
	} else if (m.rcode == PL_DNS_FORMERR && !q->noedns) {
		/* RFC 6891 section 7: it may not know EDNS. */
		q->noedns = true;
		query_detach(v, q);
		timer_stop(v, &q->timer);
		free(q->pkt);
		q->pkt = NULL;
		q->tries = 0;
		q->loose = false;
		TAILQ_INSERT_HEAD(&q->peer->waiting, q, link);
		peer_busy(v, q->peer);
	} else {
		if (q->noedns && m.rcode != PL_DNS_FORMERR)
			q->peer->noedns = true;
		r.msg = &m;
		query_end(v, q, &r);
	}
	pl_dns_msg_clear(&m);
}

/* ---- datagrams ------------------------------------------------------------------ */

static void
usock_free(struct pl_verifier *v, struct usock *s)
{
	struct peer *p = s->peer;

	for (size_t i = 0; i < V_SOCKS; i++)
		if (p->sock[i] == s)
			p->sock[i] = NULL;
	watch_close(v, &s->w);
	v->nsock--;
	free(s);
}

/* All that is under way on a socket goes on by TCP. */
static void
usock_distrust(struct pl_verifier *v, struct usock *s)
{
	s->used = V_SOCK_USES;
	for (unsigned i = 0; i < V_SLOTS; i++)
		if (s->q[i] != NULL)
			query_to_tcp(v, s->q[i]);
}

/* The answer to q but for the case of letters, which some servers and
 * middleboxes do not keep. */
static bool
other_case(const struct query *q, const unsigned char *p, size_t n)
{
	unsigned char copy[512];
	size_t len = n < sizeof(copy) ? n : sizeof(copy);

	memcpy(copy, p, len);
	for (size_t i = 12; i < len && i < q->len; i++)
		if (((copy[i] ^ q->pkt[i]) & ~0x20) == 0 &&
		    (copy[i] | 0x20) >= 'a' && (copy[i] | 0x20) <= 'z')
			copy[i] = q->pkt[i];
	return pl_dns_matches(q->pkt, q->len, copy, len);
}

static void
usock_datagram(struct pl_verifier *v, struct usock *s,
    const unsigned char *p, size_t n)
{
	for (unsigned i = 0; i < V_SLOTS && n >= 12; i++) {
		struct query *q = s->q[i];

		if (q == NULL || memcmp(q->pkt, p, 2) != 0)
			continue;
		if (pl_dns_matches(q->pkt, q->len, p, n)) {
			s->wrong = 0;
			query_answer(v, q, p, n, false);
			return;
		}
		/* Forged or not: TCP tells, without another second lost. */
		if (other_case(q, p, n)) {
			query_to_tcp(v, q);
			return;
		}
	}
	if (++s->wrong >= WRONG_MAX)
		usock_distrust(v, s);
}

/* An ICMP message came back: no datagram gets there, TCP may. */
static void
usock_error(struct pl_verifier *v, struct usock *s, int e)
{
	enum q_end end = end_of_errno(e);

	s->used = V_SOCK_USES;
	for (unsigned i = 0; i < V_SLOTS; i++) {
		struct query *q = s->q[i];

		if (q == NULL)
			continue;
		if (end == Q_NOROUTE || q->quick)
			query_fail(v, q, end);
		else
			query_to_tcp(v, q);
	}
}

static void
usock_ready(struct pl_verifier *v, struct watch *w, uint32_t events PL_UNUSED)
{
	struct usock *s = v_of(w, struct usock, w);
	struct mmsghdr msg[V_SLOTS];
	struct iovec iov[V_SLOTS];
	int n;

	memset(msg, 0, sizeof(msg));
	for (size_t i = 0; i < V_SLOTS; i++) {
		iov[i].iov_base = v->rx + i * V_RX;
		iov[i].iov_len = V_RX;
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(w->fd, msg, V_SLOTS, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		usock_error(v, s, errno);
	for (int i = 0; i < n; i++) {
		if (msg[i].msg_hdr.msg_flags & MSG_TRUNC) {
			/* Larger than we allow: it does not count. */
			if (++s->wrong >= WRONG_MAX)
				usock_distrust(v, s);
			continue;
		}
		usock_datagram(v, s, v->rx + (size_t)i * V_RX,
		    msg[i].msg_len);
	}
}

/* Closes sockets that carry nothing, so that others may be opened. */
static void
usocks_reclaim(struct pl_verifier *v)
{
	for (size_t i = 0; i < v->peers.cap; i++)
		for (struct entry *e = v->peers.bucket[i]; e != NULL;
		    e = e->next) {
			struct peer *p = v_of(e, struct peer, entry);

			for (size_t k = 0; k < V_SOCKS; k++)
				if (p->sock[k] != NULL && p->sock[k]->n == 0)
					usock_free(v, p->sock[k]);
		}
}

static struct usock *
usock_new(struct pl_verifier *v, struct peer *p, int *why)
{
	struct usock *s;
	int fd;

	*why = EMFILE;
	if (v->nsock >= V_FDS)
		usocks_reclaim(v);
	if (v->nsock >= V_FDS)
		return NULL;
	fd = socket(p->sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0) {
		*why = errno;
		return NULL;
	}
	/* The kernel picks the port at random. */
	if (connect(fd, (const struct sockaddr *)&p->sa, p->salen) != 0) {
		*why = errno;
		close(fd);
		return NULL;
	}
	s = pl_alloc(sizeof(*s));
	s->w.fd = fd;
	s->w.ready = usock_ready;
	s->peer = p;
	s->born = v->now;
	if (!watch_add(v, &s->w, EPOLLIN)) {
		close(fd);
		free(s);
		return NULL;
	}
	v->nsock++;
	return s;
}

/*
 * A socket of p with room for one more question; NULL with *why set: none
 * for now (EAGAIN, EMFILE) or an error of the network.
 */
static struct usock *
usock_pick(struct pl_verifier *v, struct peer *p, int *why)
{
	struct usock *best = NULL, **room = NULL;

	for (size_t i = 0; i < V_SOCKS; i++) {
		struct usock *s = p->sock[i];

		if (s != NULL && s->n == 0 && (s->used >= V_SOCK_USES ||
		    v->now - s->born > V_SOCK_AGE)) {
			usock_free(v, s);
			s = NULL;
		}
		if (s == NULL) {
			if (room == NULL)
				room = &p->sock[i];
		} else if (s->used < V_SOCK_USES &&
		    v->now - s->born <= V_SOCK_AGE && s->n < V_SLOTS &&
		    (best == NULL || s->n < best->n)) {
			best = s;
		}
	}
	if (best != NULL && (best->n < V_INFLIGHT / V_SOCKS || room == NULL))
		return best;
	*why = EAGAIN;
	if (room != NULL && (*room = usock_new(v, p, why)) != NULL)
		return *room;
	return best;
}

void
query_build(struct query *q, bool tcp)
{
	unsigned flags = q->flags;

	if (q->noedns || q->peer->noedns) {
		flags |= PL_DNS_NOEDNS;
		q->noedns = true;
	}
	if (!tcp)
		flags |= PL_DNS_0X20;
	free(q->pkt);
	q->pkt = pl_alloc(512);
	q->len = pl_dns_query(q->pkt, 512, q->name, q->type, flags);
}

static bool
usock_has_id(const struct usock *s, const unsigned char *pkt)
{
	for (unsigned i = 0; i < V_SLOTS; i++)
		if (s->q[i] != NULL && memcmp(s->q[i]->pkt, pkt, 2) == 0)
			return true;
	return false;
}

/* q has left the waiting line and gets a slot of s. */
static void
usock_put(struct usock *s, struct query *q)
{
	do
		query_build(q, false);
	while (q->len != 0 && usock_has_id(s, q->pkt));
	for (unsigned i = 0; i < V_SLOTS; i++)
		if (s->q[i] == NULL) {
			s->q[i] = q;
			break;
		}
	s->n++;
	s->used++;
	q->sock = s;
	q->peer->inflight++;
}

static void
query_send(struct pl_verifier *v, struct query *q)
{
	ssize_t n;

	q->sent = pl_mono_us();
	if (q->first == 0)
		q->first = q->sent;
	q->tries++;
	timer_set(v, &q->timer, v->now + V_UDP_MS);
	n = send(q->sock->w.fd, q->pkt, q->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* An error left by an earlier datagram is told only once. */
	if (n < 0 && errno == ECONNREFUSED)
		n = send(q->sock->w.fd, q->pkt, q->len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && end_of_errno(errno) == Q_NOROUTE)
		query_fail(v, q, Q_NOROUTE);
	/* Any other failure is a lost datagram. */
}

/* ---- TCP ---------------------------------------------------------------------------- */

static void
tcp_write(struct pl_verifier *v, struct tconn *t)
{
	struct query *q = t->q;
	unsigned char out[2 + 512];
	ssize_t n;

	out[0] = (unsigned char)(q->len >> 8);
	out[1] = (unsigned char)q->len;
	memcpy(out + 2, q->pkt, q->len);
	n = send(t->w.fd, out + t->sent, q->len + 2 - t->sent,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			query_fail(v, q, end_of_errno(errno));
		return;
	}
	t->sent += (size_t)n;
	if (t->sent == q->len + 2)
		watch_change(v, &t->w, EPOLLIN);
}

static void
tcp_message(struct pl_verifier *v, struct tconn *t)
{
	struct query *q = t->q;
	unsigned char *in = t->in;
	size_t n = t->need;

	/* q's end closes the connection; the octets must outlive it. */
	t->in = NULL;
	if (pl_dns_matches(q->pkt, q->len, in, n))
		query_answer(v, q, in, n, true);
	else
		query_fail(v, q, Q_GARBAGE);
	free(in);
}

static void
tcp_read(struct pl_verifier *v, struct tconn *t)
{
	for (;;) {
		unsigned char *to = t->in == NULL ? t->head : t->in;
		ssize_t n;

		n = recv(t->w.fd, to + t->got, t->need - t->got, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			query_fail(v, t->q,
			    n < 0 ? end_of_errno(errno) : Q_CLOSED);
			return;
		}
		t->got += (size_t)n;
		if (t->got < t->need)
			continue;
		if (t->in != NULL) {
			tcp_message(v, t);
			return;
		}
		t->need = (size_t)t->head[0] << 8 | t->head[1];
		if (t->need < 12) {
			query_fail(v, t->q, Q_GARBAGE);
			return;
		}
		t->in = pl_alloc(t->need);
		t->got = 0;
	}
}

static void
tcp_ready(struct pl_verifier *v, struct watch *w, uint32_t events)
{
	struct tconn *t = v_of(w, struct tconn, w);
	socklen_t len = sizeof(int);
	int e = 0;

	if (t->sent < t->q->len + 2) {
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &len);
		if (e != 0)
			query_fail(v, t->q, end_of_errno(e));
		else if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			tcp_write(v, t);
		return;
	}
	tcp_read(v, t);
}

/* False where no descriptor is to be had now. */
static bool
tcp_start(struct pl_verifier *v, struct query *q)
{
	struct peer *p = q->peer;
	struct tconn *t;
	int fd, e = 0;

	fd = socket(p->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&p->sa, p->salen) != 0 &&
	    errno != EINPROGRESS)
		e = errno;
	t = pl_alloc(sizeof(*t));
	t->w.fd = fd;
	t->w.ready = tcp_ready;
	t->q = q;
	t->need = 2;
	if (!watch_add(v, &t->w, EPOLLOUT)) {
		close(fd);
		free(t);
		return false;
	}
	TAILQ_REMOVE(&p->waiting, q, link);
	q->tcp = t;
	v->ntcp++;
	p->tcps++;
	p->inflight++;
	query_build(q, true);
	q->sent = pl_mono_us();
	if (q->first == 0)
		q->first = q->sent;
	timer_set(v, &q->timer, v->now + V_TCP_MS);
	if (e != 0)
		query_fail(v, q, end_of_errno(e));
	return true;
}

/* Puts q in front of those that wait, to be asked by TCP. */
static void
query_to_tcp(struct pl_verifier *v, struct query *q)
{
	if (q->done == NULL) {
		query_fail(v, q, Q_TIMEOUT);
		return;
	}
	timer_stop(v, &q->timer);
	query_detach(v, q);
	q->want_tcp = true;
	TAILQ_INSERT_HEAD(&q->peer->waiting, q, link);
	peer_busy(v, q->peer);
}

/* ---- questions ------------------------------------------------------------------------- */

static void
query_timer(struct pl_verifier *v, struct timer *t)
{
	struct query *q = v_of(t, struct query, timer);
	unsigned most = q->peer->fails >= FAILS_FEW ? 1 : 2;

	if (q->tcp != NULL || q->done == NULL)
		query_fail(v, q, Q_TIMEOUT);
	else if (q->tries < most)
		query_send(v, q);
	else if (q->quick)
		query_fail(v, q, Q_TIMEOUT);
	else
		query_to_tcp(v, q);
}

struct query *
query_ask(struct pl_verifier *v, struct peer *p, const char *name,
    unsigned type, unsigned flags, query_done *done, void *owner)
{
	struct query *q = pl_alloc(sizeof(*q));

	q->peer = p;
	q->name = name;
	q->type = (uint16_t)type;
	q->flags = (uint8_t)flags;
	q->done = done;
	q->owner = owner;
	q->timer.fire = query_timer;
	TAILQ_INSERT_TAIL(&p->waiting, q, link);
	peer_busy(v, p);
	return q;
}

void
query_cancel(struct pl_verifier *v, struct query *q)
{
	if (q == NULL)
		return;
	/* On a socket it keeps its slot: its answer shall not look forged. */
	if (q->sock != NULL)
		q->done = NULL;
	else
		query_free(v, q);
}

/* Tells all that wait for a resting peer. */
static void
peer_rest(struct pl_verifier *v, struct peer *p)
{
	struct reply r = { .end = Q_TIMEOUT, .rested = true };
	struct query *q;

	/* Who asks again from within done() is told the next time. */
	struct query *last = TAILQ_LAST(&p->waiting, queries);

	while ((q = TAILQ_FIRST(&p->waiting)) != NULL) {
		bool end = q == last;

		query_end(v, q, &r);
		if (end)
			break;
	}
}

static void
starved(struct pl_verifier *v, struct timer *t PL_UNUSED)
{
	for (size_t i = 0; i < v->peers.cap; i++)
		for (struct entry *e = v->peers.bucket[i]; e != NULL;
		    e = e->next) {
			struct peer *p = v_of(e, struct peer, entry);

			if (!TAILQ_EMPTY(&p->waiting))
				peer_busy(v, p);
		}
}

/* Asks q now; false where it must wait. */
static bool
peer_start(struct pl_verifier *v, struct peer *p, struct query *q)
{
	struct usock *s;
	int why = 0;

	if (p->url != NULL)
		return doh_start(v, q);
	if (q->want_tcp) {
		if (v->ntcp >= V_TCPS || p->tcps >= V_PEER_TCPS)
			return false;
		return tcp_start(v, q);
	}
	if ((s = usock_pick(v, p, &why)) == NULL) {
		if (why == EAGAIN)
			return false;
		if (why == EMFILE || why == ENFILE || why == ENOBUFS ||
		    why == ENOMEM) {
			v->starved.fire = starved;
			timer_set(v, &v->starved, v->now + 50);
			return false;
		}
		query_fail(v, q, end_of_errno(why));
		return true;
	}
	TAILQ_REMOVE(&p->waiting, q, link);
	usock_put(s, q);
	if (q->len == 0)
		query_fail(v, q, Q_GARBAGE);
	else
		query_send(v, q);
	return true;
}

static void
peer_pump(struct pl_verifier *v, struct peer *p)
{
	unsigned limit = p->fails == 0 ? V_INFLIGHT :
	    p->fails < FAILS_FEW ? 8 : 1;

	if (v->now < p->rest_until) {
		peer_rest(v, p);
		return;
	}
	while (p->inflight < limit && !TAILQ_EMPTY(&p->waiting))
		if (!peer_start(v, p, TAILQ_FIRST(&p->waiting)))
			break;
}

void
peers_pump(struct pl_verifier *v)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&v->busy)) != NULL) {
		TAILQ_REMOVE(&v->busy, p, busy);
		p->is_busy = false;
		peer_pump(v, p);
	}
}

void
peer_free(struct pl_verifier *v, struct peer *p)
{
	struct query *q;

	while ((q = TAILQ_FIRST(&p->waiting)) != NULL)
		query_free(v, q);
	for (size_t i = 0; i < V_SOCKS; i++) {
		struct usock *s = p->sock[i];

		if (s == NULL)
			continue;
		for (size_t k = 0; k < V_SLOTS; k++)
			if (s->q[k] != NULL)
				query_free(v, s->q[k]);
		usock_free(v, s);
	}
	if (p->is_busy)
		TAILQ_REMOVE(&v->busy, p, busy);
	free(p->url);
	free(p);
}
