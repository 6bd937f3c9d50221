/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * HTTP through libcurl.  Here: fetches that do not block, many at once, each
 * to one given address, on an epoll of their own.
 */

#include "wire.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define URL_MAX		2000	/* what CAs accept */
#define HEADERS_MAX	(64u << 10)
#define CONNECT_MS	10000
#define CONNECTIONS	64

/* ---- URLs ------------------------------------------------------------------ */

void
pl_url_clear(struct pl_url *u)
{
	free(u->url);
	free(u->scheme);
	free(u->host);
	memset(u, 0, sizeof(*u));
}

static char *
url_part(CURLU *h, CURLUPart part, unsigned flags)
{
	char *s = NULL, *mine;

	if (curl_url_get(h, part, &s, flags) != CURLUE_OK)
		return NULL;
	mine = pl_strdup(s);
	curl_free(s);
	return mine;
}

enum pl_code
pl_url_resolve(struct pl_url *out, const char *base, const char *ref,
    struct pl_err *err)
{
	CURLU *h = curl_url();
	enum pl_code code = PL_OK;
	char *user = NULL, *port = NULL;
	int64_t n = 0;

	memset(out, 0, sizeof(*out));
	if (h == NULL)
		abort();
	if (strlen(ref) > URL_MAX)
		code = pl_fail(err, PL_EREMOTE, "URL longer than %d octets",
		    URL_MAX);
	for (const char *p = ref; code == PL_OK && *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '\\')
			code = pl_fail(err, PL_EREMOTE, "%s: not a URL", ref);
	if (code == PL_OK && base != NULL &&
	    curl_url_set(h, CURLUPART_URL, base, 0) != CURLUE_OK)
		code = pl_fail(err, PL_EREMOTE, "%s: not a URL", base);
	if (code == PL_OK && curl_url_set(h, CURLUPART_URL, ref, 0) !=
	    CURLUE_OK)
		code = pl_fail(err, PL_EREMOTE,
		    "%s: not an http or https URL", ref);
	if (code != PL_OK)
		goto out;
	curl_url_set(h, CURLUPART_FRAGMENT, NULL, 0);
	user = url_part(h, CURLUPART_USER, 0);
	port = url_part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	out->scheme = url_part(h, CURLUPART_SCHEME, 0);
	out->host = url_part(h, CURLUPART_HOST, 0);
	out->url = url_part(h, CURLUPART_URL, 0);
	if (out->scheme == NULL || out->host == NULL || out->url == NULL ||
	    (strcmp(out->scheme, "http") != 0 &&
	    strcmp(out->scheme, "https") != 0))
		code = pl_fail(err, PL_EREMOTE,
		    "%s: not an http or https URL", ref);
	else if (user != NULL)
		code = pl_fail(err, PL_EREMOTE, "URL with a user name");
	else if (strlen(out->url) > URL_MAX)
		code = pl_fail(err, PL_EREMOTE, "URL longer than %d octets",
		    URL_MAX);
	else if (pl_int_parse(&n, port != NULL ? port : "", 1, 65535, NULL) !=
	    PL_OK)
		code = pl_fail(err, PL_EREMOTE, "%s: bad port", ref);
	out->port = (uint16_t)n;
	for (char *p = out->host; p != NULL && *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
out:
	if (code != PL_OK)
		pl_url_clear(out);
	free(user);
	free(port);
	curl_url_cleanup(h);
	return code;
}

/* ---- addresses ----------------------------------------------------------------- */

struct net4 {
	uint32_t net;
	unsigned bits;
};

/* IANA's special-purpose registry (RFC 6890), and multicast. */
static const struct net4 special4[] = {
	{ 0x00000000, 8 }, { 0x0a000000, 8 }, { 0x64400000, 10 },
	{ 0x7f000000, 8 }, { 0xa9fe0000, 16 }, { 0xac100000, 12 },
	{ 0xc0000000, 24 }, { 0xc0000200, 24 }, { 0xc0586300, 24 },
	{ 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xc6336400, 24 },
	{ 0xcb007100, 24 }, { 0xe0000000, 3 },
};

static bool
public4(uint32_t a)
{
	for (size_t i = 0; i < PL_NELEM(special4); i++)
		if ((a ^ special4[i].net) >> (32 - special4[i].bits) == 0)
			return false;
	return true;
}

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static bool
public6(const unsigned char a[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(a, mapped, 12) == 0)
		return public4(be32(a + 12));
	if (be32(a) == 0x0064ff9b)		/* NAT64 */
		return public4(be32(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02)	/* 6to4 */
		return public4(be32(a + 2));
	/* Global unicast, without documentation and Teredo. */
	return (a[0] & 0xe0) == 0x20 && be32(a) != 0x20010db8 &&
	    be32(a) != 0x20010000;
}

bool
pl_addr_public(const char *addr)
{
	unsigned char a[16];

	if (inet_pton(AF_INET, addr, a) == 1)
		return public4(be32(a));
	return inet_pton(AF_INET6, addr, a) == 1 && public6(a);
}

static bool
sockaddr_public(const struct curl_sockaddr *s)
{
	const unsigned char *p = (const unsigned char *)s +
	    offsetof(struct curl_sockaddr, addr);
	union {
		struct sockaddr_storage any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;

	/* libcurl's field is the head of a longer address. */
	if (s->addrlen > sizeof(u))
		return false;
	memcpy(&u, p, s->addrlen);
	if (s->family == AF_INET && s->addrlen >= sizeof(u.in))
		return public4(ntohl(u.in.sin_addr.s_addr));
	if (s->family == AF_INET6 && s->addrlen >= sizeof(u.in6))
		return public6(u.in6.sin6_addr.s6_addr);
	return false;
}

/* ---- fetches ------------------------------------------------------------------------ */

struct pl_fetch {
	LIST_ENTRY(pl_fetch) link;
	struct pl_web *web;
	CURL *easy;
	struct curl_slist *headers, *to;
	struct pl_buf body;
	size_t max, nheader;
	bool over, banned, local;
	char *location, *type, *post;
	int64_t begun;
	void (*done)(void *ctx, const struct pl_got *got);
	void *ctx;
};
struct pl_web {
	CURLM *multi;
	int epoll;
	int64_t due;		/* mono ms; -1: none */
	LIST_HEAD(, pl_fetch) fetches;
};

static int
on_socket(CURL *easy PL_UNUSED, curl_socket_t fd, int what, void *ctx,
    void *known)
{
	struct pl_web *w = ctx;
	struct epoll_event e = { .data.fd = fd };

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		e.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		e.events |= EPOLLOUT;
	if (epoll_ctl(w->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    fd, &e) != 0 && errno == EEXIST)
		epoll_ctl(w->epoll, EPOLL_CTL_MOD, fd, &e);
	curl_multi_assign(w->multi, fd, w);
	return 0;
}

static int
on_timer(CURLM *multi PL_UNUSED, long ms, void *ctx)
{
	struct pl_web *w = ctx;

	w->due = ms < 0 ? -1 : pl_mono_ms() + ms;
	return 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct pl_fetch *f = ctx;

	n *= size;
	if (f->body.len + n > f->max) {
		f->over = true;
		return 0;
	}
	pl_buf_add(&f->body, p, n);
	return f->body.failed ? 0 : n;
}

/* The value of header `name` if the line is that header; gives. */
static void
take_header(char **out, const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);

	if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
		return;
	line += len + 1;
	n -= len + 1;
	while (n > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		n--;
	}
	while (n > 0 && (unsigned char)line[n - 1] <= ' ')
		n--;
	free(*out);
	*out = NULL;
	/* libcurl lets a lone CR or a NUL through. */
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return;
	*out = pl_strndup(line, n);
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct pl_fetch *f = ctx;

	n *= size;
	f->nheader += n;
	if (f->nheader > HEADERS_MAX) {
		f->over = true;
		return 0;
	}
	/* A status line begins a new answer (100 Continue before). */
	if (n > 5 && strncasecmp(p, "HTTP/", 5) == 0) {
		free(f->location);
		f->location = NULL;
	}
	take_header(&f->location, p, n, "location");
	take_header(&f->type, p, n, "content-type");
	return n;
}

/* Every address is looked at where it is used (T27 of the threat list). */
static curl_socket_t
on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct pl_fetch *f = ctx;

	if (purpose != CURLSOCKTYPE_IPCXN || (!f->local &&
	    !sockaddr_public(a))) {
		f->banned = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static void
fetch_free(struct pl_fetch *f)
{
	LIST_REMOVE(f, link);
	if (f->easy != NULL) {
		curl_multi_remove_handle(f->web->multi, f->easy);
		curl_easy_cleanup(f->easy);
	}
	curl_slist_free_all(f->headers);
	curl_slist_free_all(f->to);
	pl_buf_clear(&f->body);
	free(f->location);
	free(f->type);
	free(f->post);
	free(f);
}

void
pl_fetch_cancel(struct pl_fetch *f)
{
	if (f != NULL)
		fetch_free(f);
}

static enum pl_code
fetch_fail(struct pl_fetch *f, CURLcode res, struct pl_got *g)
{
	long sys = 0;

	curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &sys);
	if (f->over)
		return pl_fail(&g->err, PL_ELIMIT,
		    "answer longer than %zu octets", f->max);
	if (f->banned)
		return pl_fail(&g->err, PL_EREMOTE,
		    "not an address of the public internet");
	switch (res) {
	case CURLE_OPERATION_TIMEDOUT:
		g->timeout = true;
		return pl_fail(&g->err, PL_ENET, "no answer in time");
	case CURLE_COULDNT_CONNECT:
		g->refused = sys == ECONNREFUSED;
		g->noroute = sys == ENETUNREACH || sys == EHOSTUNREACH ||
		    sys == EADDRNOTAVAIL || sys == EAFNOSUPPORT;
		if (sys != 0)
			return pl_fail_sys(&g->err, PL_ENET, (int)sys,
			    "no connection");
		return pl_fail(&g->err, PL_ENET, "no connection");
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return pl_fail(&g->err, PL_EPROTO, "not HTTP: %s",
		    curl_easy_strerror(res));
	default:
		return pl_fail(&g->err, PL_ENET, "%s",
		    curl_easy_strerror(res));
	}
}

static void
fetch_end(struct pl_fetch *f, CURLcode res)
{
	struct pl_got g = { .code = PL_OK };
	void (*done)(void *, const struct pl_got *) = f->done;
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	g.status = (unsigned)status;
	g.ms = (uint32_t)(pl_mono_ms() - f->begun);
	if (res != CURLE_OK)
		g.code = fetch_fail(f, res, &g);
	g.location = f->location;
	g.type = f->type;
	g.body = f->body.data;
	g.len = f->body.len;
	/* done() may start others, or end the whole; it has no hold on f. */
	curl_multi_remove_handle(f->web->multi, f->easy);
	done(f->ctx, &g);
	curl_easy_cleanup(f->easy);
	f->easy = NULL;
	fetch_free(f);
}

static bool
fetch_options(struct pl_fetch *f, const struct pl_get *g)
{
	CURL *e = f->easy;
	bool ok = true;

#define OPT(o, x) (ok = ok && curl_easy_setopt(e, o, x) == CURLE_OK)
	OPT(CURLOPT_URL, g->url);
	OPT(CURLOPT_PROTOCOLS_STR, "http,https");
	OPT(CURLOPT_FOLLOWLOCATION, 0L);
	OPT(CURLOPT_PROXY, "");
	OPT(CURLOPT_NOPROXY, "*");
	OPT(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	OPT(CURLOPT_NOSIGNAL, 1L);
	OPT(CURLOPT_PATH_AS_IS, 1L);
	/* A CA fetches by 1.1; many resolvers speak 2 only (RFC 8484 section
	 * 5.2), and take all questions on one connection then. */
	OPT(CURLOPT_HTTP_VERSION, f->post != NULL ?
	    (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	OPT(CURLOPT_PIPEWAIT, f->post != NULL ? 1L : 0L);
	OPT(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	OPT(CURLOPT_TIMEOUT_MS, (long)g->timeout_ms);
	OPT(CURLOPT_USERAGENT, "placard/" PL_VERSION);
	OPT(CURLOPT_HTTPHEADER, f->headers);
	OPT(CURLOPT_CONNECT_TO, f->to);
	OPT(CURLOPT_WRITEFUNCTION, on_body);
	OPT(CURLOPT_WRITEDATA, f);
	OPT(CURLOPT_HEADERFUNCTION, on_header);
	OPT(CURLOPT_HEADERDATA, f);
	OPT(CURLOPT_OPENSOCKETFUNCTION, on_open);
	OPT(CURLOPT_OPENSOCKETDATA, f);
	OPT(CURLOPT_PRIVATE, f);
	OPT(CURLOPT_SSL_VERIFYPEER, g->unverified ? 0L : 1L);
	OPT(CURLOPT_SSL_VERIFYHOST, g->unverified ? 0L : 2L);
	if (f->post != NULL) {
		OPT(CURLOPT_POSTFIELDSIZE, (long)g->post_len);
		OPT(CURLOPT_POSTFIELDS, f->post);
	}
#undef OPT
	return ok;
}

static void
add_line(struct curl_slist **list, const char *a, const char *b)
{
	struct curl_slist *more;
	struct pl_buf line;

	pl_buf_init(&line, PL_LIM_LINE);
	pl_buf_addf(&line, "%s%s", a, b);
	more = curl_slist_append(*list, line.data);
	pl_buf_clear(&line);
	if (more == NULL)
		abort();
	*list = more;
}

enum pl_code
pl_web_get(struct pl_web *w, const struct pl_get *g,
    void (*done)(void *ctx, const struct pl_got *got), void *ctx,
    struct pl_fetch **out, struct pl_err *err)
{
	struct pl_fetch *f;
	struct pl_buf to;

	*out = NULL;
	f = pl_alloc(sizeof(*f));
	f->web = w;
	f->local = g->local;
	f->max = g->max_body;
	f->done = done;
	f->ctx = ctx;
	f->begun = pl_mono_ms();
	f->post = pl_memdup(g->post, g->post_len);
	pl_buf_init(&f->body, g->max_body + 1);
	LIST_INSERT_HEAD(&w->fetches, f, link);
	if ((f->easy = curl_easy_init()) == NULL)
		abort();
	/* Whatever host the URL names: this address, this port. */
	pl_buf_init(&to, PL_LIM_LINE);
	pl_buf_addf(&to, strchr(g->address, ':') != NULL ? "::[%s]:%u" :
	    "::%s:%u", g->address, g->port);
	add_line(&f->to, to.data, "");
	pl_buf_clear(&to);
	if (g->accept != NULL)
		add_line(&f->headers, "Accept: ", g->accept);
	if (g->post_type != NULL)
		add_line(&f->headers, "Content-Type: ", g->post_type);
	if (!fetch_options(f, g) ||
	    curl_multi_add_handle(w->multi, f->easy) != CURLM_OK) {
		fetch_free(f);
		return pl_fail(err, PL_EINVAL, "%s: cannot be fetched",
		    g->url);
	}
	*out = f;
	return PL_OK;
}

/* ---- the loop ------------------------------------------------------------------------ */

enum pl_code
pl_web_new(struct pl_web **out, struct pl_err *err)
{
	struct pl_web *w;

	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return pl_fail(err, PL_EIO, "libcurl does not start");
	w = pl_alloc(sizeof(*w));
	w->due = -1;
	LIST_INIT(&w->fetches);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->multi = curl_multi_init();
	*out = w;
	if (w->epoll < 0 || w->multi == NULL) {
		pl_web_free(w);
		*out = NULL;
		return pl_fail_sys(err, PL_EIO, errno, "epoll");
	}
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    (long)CONNECTIONS);
	curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
	return PL_OK;
}

void
pl_web_free(struct pl_web *w)
{
	struct pl_fetch *f;

	if (w == NULL)
		return;
	while ((f = LIST_FIRST(&w->fetches)) != NULL)
		fetch_free(f);
	if (w->multi != NULL)
		curl_multi_cleanup(w->multi);
	if (w->epoll >= 0)
		close(w->epoll);
	free(w);
	curl_global_cleanup();
}

int
pl_web_fd(const struct pl_web *w)
{
	return w->epoll;
}

int
pl_web_run(struct pl_web *w)
{
	struct epoll_event e[32];
	struct CURLMsg *m;
	int n, left, running;

	n = epoll_wait(w->epoll, e, (int)PL_NELEM(e), 0);
	for (int i = 0; i < n; i++) {
		int what = 0;

		if (e[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (e[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (e[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		curl_multi_socket_action(w->multi, e[i].data.fd, what,
		    &running);
	}
	if (w->due >= 0 && w->due <= pl_mono_ms()) {
		w->due = -1;
		curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0,
		    &running);
	}
	while ((m = curl_multi_info_read(w->multi, &left)) != NULL) {
		struct pl_fetch *f = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
		    (char **)&f);
		fetch_end(f, m->data.result);
	}
	if (w->due < 0)
		return n == (int)PL_NELEM(e) ? 0 : -1;
	left = (int)(w->due - pl_mono_ms());
	return left < 0 || n == (int)PL_NELEM(e) ? 0 : left;
}

struct pl_secret *
pl_http_basic(const char *user, const struct pl_secret *password)
{
	struct pl_buf plain, coded;
	struct pl_secret *s;

	pl_buf_init(&plain, 2 * PL_LIM_SECRET);
	pl_buf_init(&coded, 4 * PL_LIM_SECRET);
	pl_buf_addf(&plain, "%s:", user);
	pl_buf_add(&plain, pl_secret_expose(password),
	    pl_secret_len(password));
	pl_base64(&coded, plain.data, plain.len);
	s = pl_secret_new(coded.data, coded.len);
	pl_buf_clear(&plain);
	pl_buf_clear(&coded);
	return s;
}
