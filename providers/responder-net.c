/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The responder's sockets.  One epoll holds those that listen and the
 * streams; streams are few, short and in a list, the oldest of which goes
 * where a new one has no room.
 */
#include "responder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 32
#define ACCEPTS 32		/* of one turn */
#define STREAMS_DNS 256u
#define STREAMS_HTTP 64u
#define CLIENT_DNS 64u		/* of one address (IPv6: /64) */
#define CLIENT_HTTP 32u
#define TURNS 8			/* takes of one turn, while they are written */
#define DNS_IDLE_MS 10000
#define HTTP_MS 5000		/* for the whole of a request */
#define LINGER_MS 1000
#define IN_MOST 16384u
#define TICK_MS 250

/* What an event of the epoll belongs to: the first member of both. */
struct stream;
struct source {
	struct stream *stream;	/* itself, or NULL: a port */
	int fd;
};

struct port {
	struct source src;
	enum listen_kind kind;
	bool any;		/* bound to all addresses */
	struct port *next;
};

struct stream {
	struct source src;
	bool http;
	bool ending;		/* the answer is whole: close behind it */
	bool lingering;		/* closed by us, waits for the other side */
	bool writing;		/* epoll waits until it can be written */
	bool more;		/* questions lie here that had no room yet */
	unsigned char client[8];
	size_t sent;		/* octets of out */
	int64_t until;		/* mono ms */
	struct pl_buf in, out;
	struct stream *next, **at;
};

struct pl_net {
	struct pl_net_content *content;
	int epoll;
	int first, inherited;
	bool *used;			/* of the inherited ones */
	struct port *ports;
	size_t nports;
	struct stream *streams[2];	/* DNS, HTTP; newest first */
	unsigned count[2];
	struct pl_udp *udp;
	struct pl_limit *limit;
	unsigned char *room;
	int64_t tick;
};

/* ---- addresses ------------------------------------------------------------ */

enum pl_code
pl_listen_parse(struct sockaddr_storage *sa, socklen_t *len,
    const char *text, uint16_t port, struct pl_err *err)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	char host[256];
	enum pl_code code;

	memset(sa, 0, sizeof(*sa));
	code = pl_hostport_parse(host, sizeof(host), &port, text, port, err);
	if (code != PL_OK)
		return code;
	in.sin_port = in6.sin6_port = htons(port);
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
		memcpy(sa, &in, *len = sizeof(in));
		return PL_OK;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		memcpy(sa, &in6, *len = sizeof(in6));
		return PL_OK;
	}
	return pl_fail(err, PL_EINVAL, "%s: an address is expected, with or "
	    "without a port", text);
}

static bool
is_any(const struct sockaddr_storage *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memcpy(&in, sa, sizeof(in));
	memcpy(&in6, sa, sizeof(in6));
	return sa->ss_family == AF_INET ?
	    in.sin_addr.s_addr == htonl(INADDR_ANY) :
	    IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static bool
same_address(const struct sockaddr_storage *a,
    const struct sockaddr_storage *b)
{
	struct sockaddr_in ia, ib;
	struct sockaddr_in6 sa, sb;

	if (a->ss_family != b->ss_family)
		return false;
	memcpy(&ia, a, sizeof(ia));
	memcpy(&ib, b, sizeof(ib));
	memcpy(&sa, a, sizeof(sa));
	memcpy(&sb, b, sizeof(sb));
	if (ia.sin_port != ib.sin_port)
		return false;
	return a->ss_family == AF_INET ?
	    ia.sin_addr.s_addr == ib.sin_addr.s_addr :
	    memcmp(&sa.sin6_addr, &sb.sin6_addr, sizeof(sa.sin6_addr)) == 0;
}

/* Is fd, bound to sa, one for both families, and does it cover want? */
static bool
both_families(int fd, const struct sockaddr_storage *sa,
    const struct sockaddr_storage *want)
{
	struct sockaddr_in six, four;	/* the port: alike in both */
	socklen_t len = sizeof(int);
	int only = 1;

	memcpy(&six, sa, sizeof(six));
	memcpy(&four, want, sizeof(four));
	return sa->ss_family == AF_INET6 && want->ss_family == AF_INET &&
	    is_any(sa) && is_any(want) && six.sin_port == four.sin_port &&
	    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) == 0 &&
	    only == 0;
}

/* Which of the sockets that were handed down is bound to that; -1: none. */
static int
inherited_socket(struct pl_net *n, const struct sockaddr_storage *want,
    int type)
{
	struct sockaddr_storage sa;
	socklen_t len, tlen;
	int got, fd;

	for (int i = 0; i < n->inherited; i++) {
		fd = n->first + i;
		len = sizeof(sa);
		tlen = sizeof(got);
		memset(&sa, 0, sizeof(sa));
		if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_TYPE, &got, &tlen) == 0 &&
		    got == type && (same_address(&sa, want) ||
		    both_families(fd, &sa, want)))
			return i;
	}
	return -1;
}

static void
set_option(int fd, int level, int option, int value)
{
	/* What a kernel has not, is not missed. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void
socket_options(int fd, const struct sockaddr_storage *sa, int type, bool any)
{
	bool six = sa->ss_family == AF_INET6;

	if (type == SOCK_STREAM) {
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		return;
	}
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, 1 << 20);
	/* Answers are small enough for every path; none is to be believed
	 * who says that they are not. */
	if (six)
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
		    IPV6_PMTUDISC_OMIT);
	else
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	if (any && six)
		set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	else if (any)
		set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static enum pl_code
bind_error(struct pl_err *err, const char *option, const char *text,
    uint16_t port, int type, int sys)
{
	const char *what = type == SOCK_DGRAM ? "UDP" : "TCP";

	if (sys == EADDRINUSE)
		return pl_fail(err, PL_EINVAL, "%s: %s (%s port %u): another "
		    "program answers there, perhaps placardd or a placard that "
		    "runs", option, text, what, port);
	if (sys == EACCES)
		return pl_fail(err, PL_EINVAL, "%s: %s (%s port %u): only root "
		    "may answer there; or let systemd hand the socket down",
		    option, text, what, port);
	return pl_fail_sys(err, PL_EINVAL, sys, "%s: %s (%s port %u)", option,
	    text, what, port);
}

/* ---- ports ------------------------------------------------------------------ */

static bool
watch(struct pl_net *n, struct source *src, unsigned events, bool change)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(n->epoll, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    src->fd, &ev) == 0;
}

static enum pl_code
port_open(struct pl_net *n, const char *option, const char *text,
    const struct sockaddr_storage *sa, socklen_t len, enum listen_kind kind,
    bool optional, struct pl_err *err)
{
	int type = kind == LISTEN_UDP ? SOCK_DGRAM : SOCK_STREAM, fd, given;
	struct sockaddr_storage own;
	struct sockaddr_in in;
	struct port *p;

	memcpy(&in, sa, sizeof(in));	/* the port: alike in both families */
	given = inherited_socket(n, sa, type);
	if (given != -1 && n->used[given])
		return PL_OK;		/* serves this one as well */
	if (given != -1) {
		n->used[given] = true;
		fd = fcntl(n->first + given, F_DUPFD_CLOEXEC, 0);
		if (fd == -1)
			return pl_fail_sys(err, PL_EIO, errno, "%s: %s",
			    option, text);
		memset(&own, 0, sizeof(own));
		len = sizeof(own);
		(void)getsockname(fd, (struct sockaddr *)&own, &len);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		socket_options(fd, &own, type, is_any(sa));
	} else {
		fd = socket(sa->ss_family, type | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
		if (fd == -1 && errno == EAFNOSUPPORT && optional)
			return PL_OK;
		if (fd != -1 && sa->ss_family == AF_INET6)
			set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (fd != -1)
			socket_options(fd, sa, type, is_any(sa));
		if (fd == -1 || bind(fd, (const struct sockaddr *)sa, len) ==
		    -1 || (type == SOCK_STREAM && listen(fd, 128) == -1)) {
			int sys = errno;

			if (fd != -1)
				close(fd);
			if (optional && sys == EADDRNOTAVAIL)
				return PL_OK;
			return bind_error(err, option, text,
			    ntohs(in.sin_port), type, sys);
		}
	}
	p = pl_alloc(sizeof(*p));
	p->src.fd = fd;
	p->kind = kind;
	p->any = is_any(sa);
	p->next = n->ports;
	n->ports = p;
	n->nports++;
	if (!watch(n, &p->src, EPOLLIN, false))
		return pl_fail_sys(err, PL_EIO, errno, "epoll");
	return PL_OK;
}

enum pl_code
pl_net_listen(struct pl_net *n, const char *option, const char *text,
    uint16_t port, enum listen_kind kind, bool optional, struct pl_err *err)
{
	struct sockaddr_storage sa;
	socklen_t len;
	enum pl_code code;

	code = pl_listen_parse(&sa, &len, text, port, err);
	if (code != PL_OK)
		return pl_prefix(err, "%s", option);
	return port_open(n, option, text, &sa, len, kind, optional, err);
}

/* ---- streams ------------------------------------------------------------------ */

static void
stream_free(struct pl_net *n, struct stream *s)
{
	close(s->src.fd);
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
	n->count[s->http]--;
	pl_buf_clear(&s->in);
	pl_buf_clear(&s->out);
	free(s);
}

/* Who it is: an IPv4 address, or the network of an IPv6 one. */
static void
client_of(unsigned char client[8], const struct sockaddr_storage *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(client, 0, 8);
	if (sa->ss_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			memcpy(client, in6.sin6_addr.s6_addr + 12, 4);
		else
			memcpy(client, &in6.sin6_addr, 8);
	} else if (sa->ss_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memcpy(client, &in.sin_addr, 4);
	}
}

/* One client's streams make room for each other, before those of all do. */
static void
stream_room(struct pl_net *n, bool http, const unsigned char client[8])
{
	struct stream *own = NULL, *last = NULL;
	unsigned count = 0;

	for (struct stream *s = n->streams[http]; s != NULL; s = s->next) {
		last = s;
		if (memcmp(s->client, client, sizeof(s->client)) == 0) {
			own = s;
			count++;
		}
	}
	if (count >= (http ? CLIENT_HTTP : CLIENT_DNS))
		stream_free(n, own);
	else if (n->count[http] >= (http ? STREAMS_HTTP : STREAMS_DNS))
		stream_free(n, last);
}

static void
stream_new(struct pl_net *n, int fd, bool http,
    const struct sockaddr_storage *sa)
{
	unsigned char client[8];
	struct stream *s;

	client_of(client, sa);
	stream_room(n, http, client);
	s = pl_alloc(sizeof(*s));
	s->src = (struct source){ s, fd };
	s->http = http;
	memcpy(s->client, client, sizeof(client));
	s->until = pl_mono_ms() + (http ? HTTP_MS : DNS_IDLE_MS);
	pl_buf_init(&s->in, http ? HTTP_REQUEST_MOST * 2 : IN_MOST * 2);
	pl_buf_init(&s->out, http ? PL_LIM_FILE + PL_LIM_LINE :
	    4u * PL_DNS_MSG);
	s->next = n->streams[http];
	s->at = &n->streams[http];
	if (s->next != NULL)
		s->next->at = &s->next;
	n->streams[http] = s;
	n->count[http]++;
	if (!watch(n, &s->src, EPOLLIN | EPOLLRDHUP, false))
		stream_free(n, s);
}

static void
port_accept(struct pl_net *n, struct port *p)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	for (int i = 0; i < ACCEPTS; i++) {
		len = sizeof(sa);
		memset(&sa, 0, sizeof(sa));
		fd = accept4(p->src.fd, (struct sockaddr *)&sa, &len,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd == -1)
			return;
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		stream_new(n, fd, p->kind == LISTEN_HTTP, &sa);
	}
}

/* Reads what fits; false where the stream has ended or failed. */
static bool
stream_read(struct stream *s, bool *end)
{
	char chunk[4096];
	size_t most = s->http ? HTTP_REQUEST_MOST : IN_MOST;
	ssize_t got;

	*end = false;
	while (s->lingering || s->in.len < most) {
		size_t room = sizeof(chunk);

		if (!s->lingering && most - s->in.len < room)
			room = most - s->in.len;
		got = recv(s->src.fd, chunk, room, MSG_DONTWAIT);
		if (got == 0) {
			*end = true;
			return true;
		}
		if (got == -1)
			return errno == EAGAIN || errno == EINTR;
		if (s->lingering)
			return true;	/* thrown away, a piece a turn */
		pl_buf_add(&s->in, chunk, (size_t)got);
	}
	return true;
}

/* False where it cannot be written any more. */
static bool
stream_write(struct stream *s)
{
	ssize_t put;

	while (s->sent < s->out.len) {
		put = send(s->src.fd, s->out.data + s->sent,
		    s->out.len - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put == -1)
			return errno == EAGAIN || errno == EINTR;
		s->sent += (size_t)put;
	}
	pl_buf_reset(&s->out);
	s->sent = 0;
	return true;
}

static bool
stream_take(struct pl_net *n, struct stream *s)
{
	const struct pl_net_content *c = n->content;
	size_t used;
	bool bad = false;

	if (s->ending)
		return true;
	if (s->http) {
		s->ending = pl_http_answer(&c->files, c->redirect, s->in.data,
		    s->in.len, &s->out);
		return true;
	}
	used = pl_tcp_serve(c->dns, (const unsigned char *)s->in.data,
	    s->in.len, &s->out, n->room, &bad);
	if (used > 0) {
		pl_buf_drop(&s->in, used);
		s->until = pl_mono_ms() + DNS_IDLE_MS;
	}
	s->ending = bad;
	return !s->out.failed;
}

/* Answers as long as all that is answered can be written at once. */
static bool
stream_work(struct pl_net *n, struct stream *s)
{
	for (unsigned i = 0; i < TURNS; i++) {
		size_t had = s->in.len;

		if (!stream_take(n, s) || !stream_write(s))
			return false;
		s->more = s->in.len > 0 && s->in.len < had;
		if (s->out.len > 0 || !s->more)
			break;
	}
	return true;
}

/* Closes our side; what still comes is read away for a moment, lest a reset
 * overtake the answer.  False where there is nothing to wait for. */
static bool
stream_linger(struct stream *s)
{
	s->lingering = true;
	s->until = pl_mono_ms() + LINGER_MS;
	return shutdown(s->src.fd, SHUT_WR) == 0;
}

static void
stream_serve(struct pl_net *n, struct stream *s)
{
	bool end, alive, wait;

	alive = stream_read(s, &end);
	if (alive && !s->lingering)
		alive = stream_work(n, s);
	if (!alive || (end && s->out.len == 0 && !s->more)) {
		stream_free(n, s);
		return;
	}
	if (s->ending && s->out.len == 0 && !s->lingering &&
	    !stream_linger(s)) {
		stream_free(n, s);
		return;
	}
	wait = s->out.len > 0 || (s->more && !s->ending);
	if (end || wait != s->writing)
		watch(n, &s->src, wait ? EPOLLOUT :
		    EPOLLIN | EPOLLRDHUP, true);
	s->writing = wait;
}

static void
expire(struct pl_net *n, int64_t now)
{
	struct stream *s, *next;

	for (int i = 0; i < 2; i++)
		for (s = n->streams[i]; s != NULL; s = next) {
			next = s->next;
			if (s->until <= now)
				stream_free(n, s);
		}
}

/* ---- all together --------------------------------------------------------------- */

enum pl_code
pl_net_new(struct pl_net **out, struct pl_net_content *content, int first,
    int inherited, struct pl_err *err)
{
	struct pl_net *n = pl_alloc(sizeof(*n));

	*out = n;
	n->content = content;
	n->first = first;
	n->inherited = inherited;
	n->used = pl_array((size_t)inherited + 1, sizeof(*n->used));
	n->udp = pl_udp_new();
	n->limit = pl_limit_new(content->rate);
	n->room = pl_alloc(PL_DNS_MSG);
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (n->epoll == -1)
		return pl_fail_sys(err, PL_EIO, errno, "epoll");
	return PL_OK;
}

void
pl_net_free(struct pl_net *n)
{
	struct port *p;

	if (n == NULL)
		return;
	for (int i = 0; i < 2; i++)
		while (n->streams[i] != NULL)
			stream_free(n, n->streams[i]);
	while ((p = n->ports) != NULL) {
		n->ports = p->next;
		close(p->src.fd);
		free(p);
	}
	if (n->epoll != -1)
		close(n->epoll);
	pl_udp_free(n->udp);
	pl_limit_free(n->limit);
	free(n->room);
	free(n->used);
	free(n);
}

int
pl_net_fd(const struct pl_net *n)
{
	return n->epoll;
}

size_t
pl_net_count(const struct pl_net *n)
{
	return n->nports;
}

int
pl_net_serve(struct pl_net *n)
{
	struct epoll_event ev[EVENTS];
	int got = epoll_wait(n->epoll, ev, EVENTS, 0);
	int64_t now;

	/* Streams first: a port may throw one of them out. */
	for (int i = 0; i < got; i++) {
		struct source *src = ev[i].data.ptr;

		if (src->stream != NULL)
			stream_serve(n, src->stream);
	}
	for (int i = 0; i < got; i++) {
		/* A stream that has ended is not to be looked at. */
		for (struct port *p = n->ports; p != NULL; p = p->next) {
			if (&p->src != ev[i].data.ptr)
				continue;
			if (p->kind == LISTEN_UDP)
				pl_udp_serve(n->udp, p->src.fd, p->any,
				    n->content->dns, n->limit);
			else
				port_accept(n, p);
		}
	}
	if (n->streams[0] == NULL && n->streams[1] == NULL)
		return -1;
	now = pl_mono_ms();
	if (now >= n->tick) {
		expire(n, now);
		n->tick = now + TICK_MS;
	}
	return TICK_MS;
}
