/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * One DNS server, spoken to in blocking exchanges.
 *
 * An exchange starts over UDP, from a connected socket (without a key: one of
 * its own), so that the kernel picks a random port and lets no other source through.  It is
 * repeated after PEER_FIRST_MS and twice that, at the server's addresses in turn,
 * and goes to TCP when the answer is truncated, when PEER_STRAYS answers did not
 * fit, when the answer claims a TSIG error without a signature, and when UDP
 * stays silent.  Several UPDATEs, or one that is large, start with TCP: one
 * connection, PEER_WINDOW of them under way.  The connection is kept for
 * the next call.
 *
 * What is believed: an answer that fits the question and, where the peer
 * has a key, is signed.  The one exception is a failure that arrives unsigned
 * over TCP: a TSIG error, which is how servers tell that they do not know
 * the key, and an rcode in answer to a question, as knotd tells that it has no such
 * zone.  Over TCP, anything that does not fit ends the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define PEER_FIRST_MS 1000
#define PEER_CONNECT_MS 5000	/* where other addresses are left */
#define PEER_STRAYS 3
#define PEER_FLIGHTS 64
#define PEER_WINDOW 8		/* named takes no more than 23 a connection */
#define PEER_UDP_MOST 512
#define PEER_QUERY 1024		/* 512 and a TSIG record */

struct peer_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct pl_dns_peer {
	char *name;			/* as errors show it */
	struct peer_addr *addr;
	size_t naddr;
	size_t cur;			/* the address that answered last */
	const struct pl_tsig *tsig;
	int tcp;			/* connection kept, or -1 */
	size_t window;			/* 1 where the server hung up on more */
	size_t strays;
	int64_t skew;
};

static void
peer_hangup(struct pl_dns_peer *p)
{
	if (p->tcp >= 0)
		(void)close(p->tcp);
	p->tcp = -1;
}

void
pl_dns_peer_close(struct pl_dns_peer *p)
{
	if (p == NULL)
		return;
	peer_hangup(p);
	free(p->addr);
	free(p->name);
	free(p);
}

enum pl_code
pl_dns_peer_open(struct pl_dns_peer **out, const char *host, uint16_t port,
    const struct pl_tsig *tsig, struct pl_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV }, *list = NULL, *ai;
	char service[8];
	struct pl_dns_peer *p;
	struct pl_buf text;
	int rc;

	*out = NULL;
	(void)snprintf(service, sizeof(service), "%u", (unsigned)port);
	if ((rc = getaddrinfo(host, service, &hints, &list)) != 0)
		return pl_fail(err, rc == EAI_AGAIN ? PL_ENET : PL_EINVAL,
		    "server %s: %s", host, gai_strerror(rc));

	p = pl_alloc(sizeof(*p));
	p->tcp = -1;
	p->tsig = tsig;
	p->window = PEER_WINDOW;
	pl_buf_init(&text, PL_LIM_LINE);
	pl_buf_addf(&text, port == 53 ? "server %s" : "server %s#%u", host,
	    (unsigned)port);
	p->name = pl_buf_take(&text);
	for (ai = list; ai != NULL; ai = ai->ai_next)
		p->naddr++;
	p->addr = pl_array(p->naddr, sizeof(*p->addr));
	p->naddr = 0;
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(p->addr->sa))
			continue;
		memcpy(&p->addr[p->naddr].sa, ai->ai_addr, ai->ai_addrlen);
		p->addr[p->naddr++].len = ai->ai_addrlen;
	}
	freeaddrinfo(list);
	*out = p;
	return PL_OK;
}

size_t
pl_dns_peer_strays(const struct pl_dns_peer *p)
{
	return p->strays;
}

int64_t
pl_dns_peer_skew(const struct pl_dns_peer *p)
{
	return p->skew;
}

/* A message on its way, and what its answer is held against. */
struct letter {
	size_t i;			/* which one of the call it is */
	unsigned char *msg;
	size_t len;
	size_t sent;			/* over TCP, with the length in front */
	struct pl_tsig_mac mac;
};

/* Signs a message that was just written; msg has room for `size`. */
static bool
letter_sign(const struct pl_dns_peer *p, struct letter *l, size_t size)
{
	if (l->len != 0 && p->tsig != NULL)
		l->len = pl_tsig_sign(p->tsig, l->msg, l->len, size,
		    pl_wall_ms() / 1000, &l->mac);
	return l->len != 0;
}

enum verdict { PEER_STRAY, PEER_CLAIM, PEER_OURS };

/*
 * Does the answer belong to the letter?  *error is its TSIG error, if any.
 * PEER_CLAIM: it would, but only claims such an error.
 */
static enum verdict
letter_judge(struct pl_dns_peer *p, const struct letter *l,
    const unsigned char *a, size_t n, unsigned *error, struct pl_err *err)
{
	enum pl_code code;
	int64_t skew;

	*error = 0;
	if (!pl_dns_matches(l->msg, l->len, a, n)) {
		(void)pl_fail(err, PL_EPROTO,
		    "answer: it does not fit the question");
		return PEER_STRAY;
	}
	if (p->tsig == NULL)
		return PEER_OURS;
	code = pl_tsig_check(p->tsig, a, n, &l->mac, pl_wall_ms() / 1000,
	    error, &skew, err);
	if (code == PL_OK && *error != 0)
		p->skew = skew;
	return code == PL_OK ? PEER_OURS :
	    code == PL_EAUTH ? PEER_CLAIM : PEER_STRAY;
}

/* ---- TCP ------------------------------------------------------------- */

static int
ms_left(int64_t deadline)
{
	int64_t left = deadline - pl_mono_ms();

	return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Connects to one address; gives the socket, or -1 with errno. */
static int
tcp_connect(const struct peer_addr *to, int64_t deadline)
{
	struct pollfd pfd = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int fd, sys = 0, on = 1;

	fd = socket(to->sa.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Nothing waits for an ACK. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0)
		return fd;
	sys = errno;
	pfd.fd = fd;
	while (sys == EINPROGRESS) {
		if (ms_left(deadline) == 0)
			sys = ETIMEDOUT;
		else if (poll(&pfd, 1, ms_left(deadline)) > 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
			sys = errno;
		else if (pfd.revents != 0 && sys == 0)
			return fd;
	}
	(void)close(fd);
	errno = sys;
	return -1;
}

/* Is the kept connection still good?  Nothing may wait on it. */
static bool
tcp_alive(const struct pl_dns_peer *p)
{
	char c;

	return p->tcp >= 0 &&
	    recv(p->tcp, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    errno == EAGAIN;
}

static enum pl_code
tcp_ready(struct pl_dns_peer *p, int64_t deadline, struct pl_err *err)
{
	int64_t until;
	size_t i;

	if (tcp_alive(p))
		return PL_OK;
	peer_hangup(p);
	errno = ETIMEDOUT;
	for (i = 0; i < p->naddr; i++) {
		until = pl_mono_ms() + PEER_CONNECT_MS;
		if (until > deadline || i + 1 == p->naddr)
			until = deadline;
		p->tcp = tcp_connect(&p->addr[p->cur], until);
		if (p->tcp >= 0)
			return PL_OK;
		p->cur = (p->cur + 1) % p->naddr;
	}
	return pl_fail_sys(err, PL_ENET, errno, "%s: connect", p->name);
}

/* Letters over one connection, `window` of them under way, in order. */
struct post {
	struct pl_dns_peer *p;
	size_t n;			/* letters in all */
	size_t next;			/* letters begun */
	size_t open;			/* of those, not yet answered */
	struct letter win[PEER_WINDOW];	/* the open ones, oldest first */
	struct pl_buf in;
	/* Writes letter i (msg is given by it); false: it cannot be. */
	bool (*make)(void *ctx, size_t i, struct letter *l);
	void (*got)(void *ctx, size_t i, unsigned error,
	    const unsigned char *a, size_t n);
	void *ctx;
};

static void
post_drop(struct post *t, size_t at)
{
	free(t->win[at].msg);
	t->open--;
	memmove(&t->win[at], &t->win[at + 1],
	    (t->open - at) * sizeof(t->win[0]));
}

/* Ids of open letters differ, so that an answer names its letter. */
static bool
post_id_taken(const struct post *t, const struct letter *l)
{
	size_t i;

	for (i = 0; i < t->open; i++)
		if (memcmp(t->win[i].msg, l->msg, 2) == 0)
			return true;
	return false;
}

static enum pl_code
post_fill(struct post *t, struct pl_err *err)
{
	struct letter *l;
	bool made;

	while (t->open < t->p->window && t->next < t->n) {
		l = &t->win[t->open];
		do {
			*l = (struct letter){ .i = t->next };
			made = t->make(t->ctx, t->next, l);
			if (made && !post_id_taken(t, l))
				break;
			free(l->msg);
		} while (made);
		if (!made)
			return pl_fail(err, PL_EINVAL,
			    "message: a name in it is not one");
		t->open++;
		t->next++;
	}
	return PL_OK;
}

/* The first letter that is not wholly sent, or NULL. */
static struct letter *
post_unsent(struct post *t)
{
	size_t i;

	for (i = 0; i < t->open; i++)
		if (t->win[i].sent < t->win[i].len + 2)
			return &t->win[i];
	return NULL;
}

static enum pl_code
post_write(struct post *t, struct pl_err *err)
{
	unsigned char head[2];
	struct letter *l;
	struct iovec iov[2];
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t k;
	size_t skip;

	while ((l = post_unsent(t)) != NULL) {
		head[0] = (unsigned char)(l->len >> 8);
		head[1] = (unsigned char)(l->len & 0xff);
		skip = l->sent < 2 ? 0 : l->sent - 2;
		iov[0] = (struct iovec){ head, 2 };
		if (l->sent > 0)
			iov[0] = (struct iovec){ head + 1, l->sent < 2 };
		iov[1] = (struct iovec){ l->msg + skip, l->len - skip };
		k = sendmsg(t->p->tcp, &mh, MSG_NOSIGNAL);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return PL_OK;
		if (k < 0)
			return pl_fail_sys(err, PL_ENET, errno, "%s: write",
			    t->p->name);
		l->sent += (size_t)k;
	}
	return PL_OK;
}

/* Finds the letter that a whole answer belongs to. */
static enum pl_code
post_answer(struct post *t, const unsigned char *a, size_t n,
    struct pl_err *err)
{
	struct pl_err why = { .code = PL_EPROTO, .text = "answer: unasked" };
	unsigned error;
	size_t i;

	for (i = 0; i < t->open; i++) {
		if (letter_judge(t->p, &t->win[i], a, n, &error, &why) ==
		    PEER_STRAY)
			continue;
		t->got(t->ctx, t->win[i].i, error, a, n);
		post_drop(t, i);
		return PL_OK;
	}
	t->p->strays++;
	return pl_fail(err, PL_EPROTO, "%s: %s", t->p->name, why.text);
}

static enum pl_code
post_read(struct post *t, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	unsigned char chunk[16384], *p;
	int on = 1;
	ssize_t k;
	size_t len;

	/* named holds its next answer back for an ACK, up to 40 ms. */
	(void)setsockopt(t->p->tcp, IPPROTO_TCP, TCP_QUICKACK, &on,
	    sizeof(on));
	k = recv(t->p->tcp, chunk, sizeof(chunk), 0);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return PL_OK;
	if (k < 0)
		return pl_fail_sys(err, PL_ENET, errno, "%s: read",
		    t->p->name);
	if (k == 0)
		return pl_fail(err, PL_ENET, "%s: hung up without an answer",
		    t->p->name);
	pl_buf_add(&t->in, chunk, (size_t)k);
	while (code == PL_OK && t->in.len >= 2) {
		p = (unsigned char *)t->in.data;
		len = (size_t)p[0] << 8 | p[1];
		if (t->in.len < 2 + len)
			break;
		code = post_answer(t, p + 2, len, err);
		pl_buf_drop(&t->in, 2 + len);
	}
	return code;
}

static enum pl_code
post_turn(struct post *t, int64_t deadline, struct pl_err *err)
{
	struct pollfd pfd = { .fd = t->p->tcp, .events = POLLIN };
	enum pl_code code = post_fill(t, err);

	if (code == PL_OK)
		code = post_write(t, err);
	if (code != PL_OK)
		return code;
	if (post_unsent(t) != NULL)
		pfd.events |= POLLOUT;
	if (ms_left(deadline) == 0)
		return pl_fail(err, PL_ENET, "%s: no answer in time",
		    t->p->name);
	if (poll(&pfd, 1, ms_left(deadline)) < 0 && errno != EINTR)
		return pl_fail_sys(err, PL_EIO, errno, "poll");
	if (pfd.revents & ~POLLOUT)
		code = post_read(t, err);
	return code;
}

/*
 * Sends all letters and gets all answers.  After a failure, those below
 * t->next that got() was not called for are in win[]: wholly sent or not.
 * The caller frees them with post_clear.
 */
static enum pl_code
post_run(struct post *t, int64_t deadline, struct pl_err *err)
{
	enum pl_code code = tcp_ready(t->p, deadline, err);

	pl_buf_init(&t->in, 2 * (2 + PL_DNS_MSG));
	while (code == PL_OK && (t->next < t->n || t->open > 0))
		code = post_turn(t, deadline, err);
	if (code != PL_OK)
		peer_hangup(t->p);
	if (code == PL_ENET && t->next > t->open && t->open > 1)
		t->p->window = 1;	/* it may not like several at once */
	pl_buf_clear(&t->in);
	return code;
}

static void
post_clear(struct post *t)
{
	while (t->open > 0)
		post_drop(t, t->open - 1);
}

/* ---- UDP ------------------------------------------------------------- */

/* One question under way. */
struct flight {
	struct letter l;
	int fd;				/* -1: this slot is free */
	size_t addr;
	unsigned tries, strays;
	bool plain;			/* without EDNS */
	int64_t due;			/* when to try again */
	unsigned char msg[PEER_QUERY];
};

/* A call: many questions, or one small UPDATE. */
struct asking {
	struct pl_dns_peer *p;
	const char *const *names;
	const struct pl_update *update;	/* NULL: names are asked for */
	unsigned type;
	size_t n, next, open, answered;
	int64_t deadline;
	struct pl_dns_msg *take;	/* keeps the one answer; NULL: done() */
	void (*done)(void *ctx, size_t i, enum pl_code code,
	    const struct pl_dns_msg *m);
	void *ctx;
	enum pl_code code;		/* of the call */
	bool dead;			/* nobody answers: stop asking */
	struct pl_err *err;
	struct flight *f, *posted;	/* posted: the one that is over TCP */
	size_t nf;
};

static void
flight_close(struct flight *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

static void
flight_end(struct asking *a, struct flight *f, enum pl_code code,
    struct pl_dns_msg *m)
{
	struct pl_dns_msg none = { .rr = NULL };

	/* Signed questions need no new port: the next one takes this. */
	if (a->p->tsig == NULL || code != PL_OK)
		flight_close(f);
	f->due = 0;
	a->open--;
	if (code == PL_OK || code == PL_EAUTH)
		a->answered++;
	else if (code == PL_ENET && a->answered == 0)
		a->dead = true;
	if (code != PL_OK)
		a->code = code;
	if (m == NULL)
		m = &none;
	if (a->take != NULL) {
		*a->take = *m;
		return;
	}
	a->done(a->ctx, f->l.i, code, m);
	pl_dns_msg_clear(m);
}

static bool
flight_write(struct asking *a, struct flight *f)
{
	unsigned flags = f->plain ? PL_DNS_NOEDNS : 0;

	/* A signature says more than the case of letters. */
	if (a->p->tsig == NULL)
		flags |= PL_DNS_0X20;
	f->l.msg = f->msg;
	f->l.len = a->update != NULL ?
	    pl_update_pack(a->update, f->msg, sizeof(f->msg)) :
	    pl_dns_query(f->msg, sizeof(f->msg), a->names[f->l.i], a->type,
	    flags);
	return letter_sign(a->p, &f->l, sizeof(f->msg));
}

/* Opens a socket of its own, so with a port of its own. */
static void
flight_open(struct asking *a, struct flight *f)
{
	const struct peer_addr *to = &a->p->addr[f->addr];

	flight_close(f);
	f->fd = socket(to->sa.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd >= 0 &&
	    connect(f->fd, (const struct sockaddr *)&to->sa, to->len) != 0)
		flight_close(f);
}

static void
flight_send(struct flight *f)
{
	f->due = pl_mono_ms() + ((int64_t)PEER_FIRST_MS << f->tries);
	if (f->fd < 0 || send(f->fd, f->l.msg, f->l.len, MSG_NOSIGNAL) < 0)
		f->due = 1;		/* at once: try elsewhere */
}

/* A failure without a signature: the UPDATE may have been done. */
static enum pl_code
unsigned_update(const struct pl_dns_peer *p, unsigned rcode,
    struct pl_err *err)
{
	return pl_fail(err, PL_EPROTO, "%s: answer is not signed, and says %s",
	    p->name, pl_dns_rcode_name(rcode));
}

/* An answer that belongs to the question. */
static void
flight_answer(struct asking *a, struct flight *f, unsigned error,
    const unsigned char *p, size_t n)
{
	struct pl_dns_msg m = { .rr = NULL };
	enum pl_code code;

	m.rcode = error;
	if (error != 0 && error < PL_DNS_BADSIG) {
		code = a->update == NULL ? PL_OK : unsigned_update(a->p,
		    error, a->err);
	} else if (error != 0) {
		code = pl_fail(a->err, PL_EAUTH, "%s: TSIG error %s",
		    a->p->name, pl_dns_rcode_name(error));
	} else {
		code = pl_dns_parse(&m, p, n, a->err);
		if (code != PL_OK)
			(void)pl_prefix(a->err, "%s", a->p->name);
	}
	a->p->cur = f->addr;
	flight_end(a, f, code, &m);
}

static bool
flight_make(void *ctx, size_t i, struct letter *l)
{
	struct asking *a = ctx;

	(void)i;
	if (!flight_write(a, a->posted))
		return false;
	*l = a->posted->l;
	l->msg = pl_memdup(l->msg, l->len);
	return true;
}

static void
flight_got(void *ctx, size_t i, unsigned error, const unsigned char *p,
    size_t n)
{
	struct asking *a = ctx;

	(void)i;
	a->posted->addr = a->p->cur;
	flight_answer(a, a->posted, error, p, n);
}

/* Over TCP, while all others wait. */
static void
flight_tcp(struct asking *a, struct flight *f)
{
	struct post t = { .p = a->p, .n = 1, .make = flight_make,
		.got = flight_got, .ctx = a };
	enum pl_code code;

	a->posted = f;
	code = post_run(&t, a->deadline, a->err);
	if (code != PL_OK)
		flight_end(a, f, code, NULL);
	post_clear(&t);
}

/* Once more: the next address, in the end TCP. */
static void
flight_again(struct asking *a, struct flight *f)
{
	size_t most = a->p->naddr < 2 ? 2 : a->p->naddr;

	if (++f->tries >= most || f->strays >= PEER_STRAYS) {
		flight_tcp(a, f);
		return;
	}
	if (a->p->naddr > 1 || f->fd < 0) {
		f->addr = (f->addr + 1) % a->p->naddr;
		(void)flight_write(a, f);
		flight_open(a, f);
	}
	flight_send(f);
}

static bool
wants_plain(const struct asking *a, const struct flight *f,
    const unsigned char *p)
{
	return a->update == NULL && !f->plain &&
	    ((p[3] & 15) == PL_DNS_FORMERR || (p[3] & 15) == PL_DNS_NOTIMP);
}

/* What arrived for one flight. */
static void
flight_read(struct asking *a, struct flight *f)
{
	unsigned char p[4096];
	unsigned error;
	ssize_t k = recv(f->fd, p, sizeof(p), MSG_TRUNC);
	size_t n = k < 0 ? 0 : (size_t)k;

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (k < 0) {			/* nobody listens there */
		flight_close(f);
		flight_again(a, f);
		return;
	}
	if (n > sizeof(p))
		n = sizeof(p);
	switch (letter_judge(a->p, &f->l, p, n, &error, NULL)) {
	case PEER_STRAY:
		a->p->strays++;
		if (++f->strays >= PEER_STRAYS)
			flight_tcp(a, f);
		break;
	case PEER_CLAIM:
		flight_tcp(a, f);
		break;
	case PEER_OURS:
		if (error == 0 && ((p[2] & 2) != 0 || (size_t)k > n)) {
			flight_tcp(a, f);
		} else if (error == 0 && wants_plain(a, f, p)) {
			f->plain = true;
			(void)flight_write(a, f);
			flight_send(f);
		} else {
			flight_answer(a, f, error, p, n);
		}
		break;
	}
}

/* Starts questions while there is room for them. */
static void
asking_fill(struct asking *a)
{
	struct flight *f;

	for (f = a->f; f < a->f + a->nf && a->next < a->n; f++) {
		if (f->due != 0)
			continue;
		f->l = (struct letter){ .i = a->next++ };
		f->tries = f->strays = 0;
		f->plain = false;
		if (f->addr != a->p->cur)
			flight_close(f);
		f->addr = a->p->cur;
		a->open++;
		if (a->dead) {
			flight_end(a, f, PL_ENET, NULL);
		} else if (!flight_write(a, f)) {
			flight_end(a, f, pl_fail(a->err, PL_EINVAL,
			    "message: a name in it is not one"), NULL);
		} else {
			if (f->fd < 0)
				flight_open(a, f);
			flight_send(f);
		}
	}
}

/* Waits for the first answer, or until the first flight is due. */
static void
asking_poll(struct asking *a)
{
	struct pollfd pfd[PEER_FLIGHTS];
	struct flight *which[PEER_FLIGHTS], *f;
	int64_t until = a->deadline;
	nfds_t n = 0, i;

	for (f = a->f; f < a->f + a->nf; f++) {
		if (f->due == 0)
			continue;
		if (f->due < until)
			until = f->due;
		if (f->fd < 0)
			continue;
		which[n] = f;
		pfd[n++] = (struct pollfd){ .fd = f->fd, .events = POLLIN };
	}
	if (poll(pfd, n, ms_left(until)) <= 0)
		return;
	for (i = 0; i < n; i++)
		if (pfd[i].revents != 0)
			flight_read(a, which[i]);
}

static void
asking_due(struct asking *a)
{
	int64_t now = pl_mono_ms();
	struct flight *f;

	for (f = a->f; f < a->f + a->nf; f++) {
		if (f->due == 0)
			continue;
		if (a->dead || now >= a->deadline) {
			if (!a->dead)
				(void)pl_fail(a->err, PL_ENET,
				    "%s: no answer in time", a->p->name);
			flight_end(a, f, PL_ENET, NULL);
		} else if (f->due <= now) {
			flight_again(a, f);
		}
	}
}

static enum pl_code
asking_run(struct asking *a)
{
	struct flight *f;

	a->nf = a->n < PEER_FLIGHTS ? a->n : PEER_FLIGHTS;
	a->f = pl_array(a->nf + 1, sizeof(*a->f));
	for (f = a->f; f < a->f + a->nf; f++)
		f->fd = -1;
	a->code = PL_OK;
	while (a->next < a->n || a->open > 0) {
		asking_fill(a);
		if (a->open > 0)
			asking_poll(a);
		asking_due(a);
	}
	for (f = a->f; f < a->f + a->nf; f++)
		flight_close(f);
	free(a->f);
	return a->code;
}

/* ---- the door -------------------------------------------------------- */

enum pl_code
pl_dns_ask(struct pl_dns_peer *p, const char *name, unsigned type,
    int64_t deadline, struct pl_dns_msg *m, struct pl_err *err)
{
	struct asking a = { .p = p, .names = &name, .type = type, .n = 1,
		.deadline = deadline, .take = m, .err = err };

	*m = (struct pl_dns_msg){ .rr = NULL };
	return asking_run(&a);
}

enum pl_code
pl_dns_ask_many(struct pl_dns_peer *p, const char *const *names,
    unsigned type, size_t n, int64_t deadline,
    void (*done)(void *ctx, size_t i, enum pl_code code,
	const struct pl_dns_msg *m),
    void *ctx, struct pl_err *err)
{
	struct asking a = { .p = p, .names = names, .type = type, .n = n,
		.deadline = deadline, .done = done, .ctx = ctx, .err = err };

	return asking_run(&a);
}

/* UPDATEs under way. */
struct updating {
	struct pl_dns_peer *p;
	struct pl_update *const *u;
	enum pl_code *codes;
	unsigned *rcodes;
	struct pl_err *err;
};

static bool
updating_make(void *ctx, size_t i, struct letter *l)
{
	struct updating *up = ctx;

	l->msg = pl_alloc(PL_DNS_MSG);
	l->len = pl_update_pack(up->u[i], l->msg, PL_DNS_MSG);
	return letter_sign(up->p, l, PL_DNS_MSG);
}

static void
updating_got(void *ctx, size_t i, unsigned error, const unsigned char *a,
    size_t n)
{
	struct updating *up = ctx;

	(void)n;
	up->codes[i] = error == 0 || error >= PL_DNS_BADSIG ? PL_OK :
	    unsigned_update(up->p, error, up->err);
	up->rcodes[i] = error != 0 ? error : a[3] & 15;
}

/* One small UPDATE alone. */
static void
updating_done(void *ctx, size_t i, enum pl_code code,
    const struct pl_dns_msg *m)
{
	struct updating *up = ctx;

	up->codes[i] = code == PL_EAUTH ? PL_OK : code;
	up->rcodes[i] = m->rcode;
}

enum pl_code
pl_dns_update(struct pl_dns_peer *p, struct pl_update *const *u, size_t n,
    int64_t deadline, enum pl_code *codes, unsigned *rcodes,
    struct pl_err *err)
{
	struct updating up = { p, u, codes, rcodes, err };
	struct post t = { .p = p, .n = n, .make = updating_make,
		.got = updating_got, .ctx = &up };
	struct asking small = { .p = p, .update = n > 0 ? u[0] : NULL, .n = 1,
		.deadline = deadline, .done = updating_done, .ctx = &up,
		.err = err };
	enum pl_code code;
	size_t i;

	for (i = 0; i < n; i++) {
		codes[i] = PL_EUNDONE;
		rcodes[i] = 0;
	}
	if (n == 1 && pl_update_size(u[0]) <= PEER_UDP_MOST) {
		(void)asking_run(&small);
		return codes[0];
	}
	code = post_run(&t, deadline, err);
	for (i = 0; i < t.open; i++)
		if (t.win[i].sent == t.win[i].len + 2)
			codes[t.win[i].i] = code;
	post_clear(&t);
	for (i = 0; i < n && code == PL_OK; i++)
		code = codes[i];
	return code;
}
