/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * libcurl.  Blocking calls that carry a credential: every rule of their
 * safety is set in call_rules(), which all of them go through.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define CALL_MS		60000	/* where the options give no time */
#define CALL_CONNECT_MS	10000
#define CALL_SLOW_BYTES	100L	/* a second, for ... */
#define CALL_SLOW_TIME	10L	/* ... so many seconds: too slow */
#define CALL_HEADERS	(64u << 10)
#define CALL_WAIT_MS	1000
#define CALL_KEPT	32L	/* connections */
#define CALL_RETRY_MOST	3600000

struct pl_http {
	CURLM *multi;
	CURL **idle;		/* handles that wait for their next use */
	size_t nidle;
	char *base;		/* scheme, host and port, as libcurl writes it */
	char *host;		/* host and port, for people */
	char *ca_file;
	int64_t timeout_ms;
	bool plain;		/* http: to loopback addresses only */
	bool patient;		/* no rule about slowness */
	unsigned rate;
	uint32_t requests;
	double tokens;		/* calls that may start now */
	int64_t stamp;
	const struct pl_log *log;
};

/* One call under way. */
struct call {
	struct pl_http *http;
	const struct pl_http_req *req;
	struct pl_http_res *res;
	CURL *easy;
	struct curl_slist *headers;
	size_t header_octets;	/* of all answers, interim ones too */
	size_t body_sent;
	bool far;		/* plain http led to an address elsewhere */
	bool over;		/* the answer passed a limit */
	int64_t start;
	char why[CURL_ERROR_SIZE];
};

static void
call_must(CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		abort();
}

/* ---- addresses ---- */

static bool
call_is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4;
	const struct sockaddr_in6 *v6;

	if (sa->sa_family == AF_INET) {
		v4 = (const struct sockaddr_in *)(const void *)sa;
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	v6 = (const struct sockaddr_in6 *)(const void *)sa;
	return sa->sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

/* Names and addresses that cannot be but this host. */
static bool
call_host_is_local(const char *host)
{
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 &&
	    ntohl(v4.s_addr) >> 24 == 127;
}

static curl_socket_t
call_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
	struct call *c = arg;

	(void)purpose;
	if (c->http->plain && !call_is_loopback(&sa->addr)) {
		c->far = true;
		return CURL_SOCKET_BAD;
	}
	return socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);
}

/* ---- URLs ---- */

struct call_url {
	CURLU *u;
	char *scheme, *host, *port, *user, *path, *query, *fragment;
};

static void
call_url_clear(struct call_url *p)
{
	curl_free(p->scheme);
	curl_free(p->host);
	curl_free(p->port);
	curl_free(p->user);
	curl_free(p->path);
	curl_free(p->query);
	curl_free(p->fragment);
	curl_url_cleanup(p->u);
}

/* Parses an absolute URL with libcurl's own parser; false: it is none. */
static bool
call_url_parse(struct call_url *p, const char *url)
{
	memset(p, 0, sizeof(*p));
	p->u = curl_url();
	if (p->u == NULL)
		abort();
	if (curl_url_set(p->u, CURLUPART_URL, url, CURLU_PATH_AS_IS) !=
	    CURLUE_OK)
		return false;
	(void)curl_url_get(p->u, CURLUPART_SCHEME, &p->scheme, 0);
	(void)curl_url_get(p->u, CURLUPART_HOST, &p->host, 0);
	(void)curl_url_get(p->u, CURLUPART_PORT, &p->port,
	    CURLU_DEFAULT_PORT);
	(void)curl_url_get(p->u, CURLUPART_USER, &p->user, 0);
	(void)curl_url_get(p->u, CURLUPART_PATH, &p->path, 0);
	(void)curl_url_get(p->u, CURLUPART_QUERY, &p->query, 0);
	(void)curl_url_get(p->u, CURLUPART_FRAGMENT, &p->fragment, 0);
	return p->scheme != NULL && p->host != NULL && p->port != NULL &&
	    p->path != NULL;
}

static bool
call_text_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s == 0x7f)
			return false;
	return true;
}

static enum pl_code
call_endpoint(struct pl_http *h, const char *endpoint, struct pl_err *err)
{
	struct call_url p = { .u = NULL };
	struct pl_buf b;
	enum pl_code code = PL_OK;

	if (!call_text_clean(endpoint) || strstr(endpoint, "://") == NULL ||
	    !call_url_parse(&p, endpoint))
		code = pl_fail(err, PL_EINVAL, "endpoint: is no URL");
	else if (p.user != NULL || p.query != NULL || p.fragment != NULL ||
	    strcmp(p.path, "/") != 0)
		code = pl_fail(err, PL_EINVAL, "endpoint: more than scheme, "
		    "host and port");
	else if (strcmp(p.scheme, "http") == 0 && call_host_is_local(p.host))
		h->plain = true;
	else if (strcmp(p.scheme, "https") != 0)
		code = pl_fail(err, PL_EINVAL, "endpoint: %s: https is needed "
		    "(http to a loopback host only)", p.host);
	if (code == PL_OK) {
		pl_buf_init(&b, PL_LIM_LINE);
		pl_buf_addf(&b, "%s:%s", p.host, p.port);
		h->host = pl_buf_take(&b);
		pl_buf_addf(&b, "%s://%s", p.scheme, h->host);
		h->base = pl_buf_take(&b);
	}
	call_url_clear(&p);
	return code;
}

/* Do scheme, host and port of this URL belong to the endpoint? */
static bool
call_url_ours(const struct pl_http *h, const struct call_url *p)
{
	struct pl_buf b;
	bool same;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s://%s:%s", p->scheme, p->host, p->port);
	same = !b.failed && p->user == NULL && strcasecmp(b.data, h->base) == 0;
	pl_buf_clear(&b);
	return same;
}

enum pl_code
pl_http_same_host(struct pl_http *h, const char *url, struct pl_buf *target,
    struct pl_err *err)
{
	struct call_url p = { .u = NULL };
	enum pl_code code = PL_OK;

	if (!call_text_clean(url) || strstr(url, "://") == NULL ||
	    !call_url_parse(&p, url) || !call_url_ours(h, &p)) {
		code = pl_fail(err, PL_EPROTO, "%s: its page link leads to "
		    "another host", h->host);
	} else {
		pl_buf_adds(target, p.path);
		if (p.query != NULL)
			pl_buf_addf(target, "?%s", p.query);
	}
	call_url_clear(&p);
	return code;
}

/* ---- open and close ---- */

enum pl_code
pl_http_open(struct pl_http **out, const struct pl_http_opts *o,
    struct pl_err *err)
{
	struct pl_http *h;
	enum pl_code code;

	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return pl_fail(err, PL_EIO, "libcurl: cannot be set up");
	h = pl_alloc(sizeof(*h));
	h->multi = curl_multi_init();
	if (h->multi == NULL)
		abort();
	/* By itself libcurl keeps fewer as the last calls of a batch end. */
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, CALL_KEPT);
	h->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : CALL_MS;
	h->ca_file = pl_strdup(o->ca_file);
	h->patient = o->patient;
	h->rate = o->rate;
	h->log = o->log;
	code = call_endpoint(h, o->endpoint, err);
	if (code != PL_OK)
		pl_http_close(h);
	else
		*out = h;
	return code;
}

void
pl_http_close(struct pl_http *h)
{
	size_t i;

	if (h == NULL)
		return;
	for (i = 0; i < h->nidle; i++)
		curl_easy_cleanup(h->idle[i]);
	curl_multi_cleanup(h->multi);
	free(h->idle);
	free(h->base);
	free(h->host);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

void
pl_http_log(struct pl_http *h, const struct pl_log *log)
{
	h->log = log;
}

void
pl_http_res_clear(struct pl_http_res *r)
{
	pl_buf_clear(&r->body);
	pl_buf_clear(&r->headers);
}

/* ---- headers ---- */

static bool
call_is_token(const char *s)
{
	static const char extra[] = "!#$%&'*+-.^_`|~";

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !(*s >= '0' && *s <= '9') && strchr(extra, *s) == NULL)
			return false;
	return true;
}

static bool
call_value_clean(const char *p, size_t n)
{
	for (; n > 0; p++, n--)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

/* Adds one header to the list; its text is wiped with the list. */
static void
call_header_add(struct call *c, struct pl_buf *line)
{
	struct curl_slist *l;

	if (line->failed)
		return;
	l = curl_slist_append(c->headers, line->data);
	if (l == NULL)
		abort();
	c->headers = l;
}

static enum pl_code
call_header(struct call *c, const struct pl_http_header *x,
    struct pl_err *err)
{
	const char *value = x->value != NULL ? x->value : "", *s = "";
	struct pl_buf line;
	enum pl_code code = PL_OK;
	size_t n = 0;

	if (x->secret != NULL) {
		s = pl_secret_expose(x->secret);
		n = pl_secret_len(x->secret);
	}
	if (!call_is_token(x->name))
		return pl_fail(err, PL_EINVAL, "header: bad name");
	if (!call_value_clean(value, strlen(value)) || !call_value_clean(s, n))
		return pl_fail(err, PL_EINVAL, "header %s: holds control "
		    "characters", x->name);
	pl_buf_init(&line, CALL_HEADERS);
	pl_buf_adds(&line, x->name);
	/* libcurl takes "Name:" for "leave it out". */
	pl_buf_adds(&line, *value == '\0' && n == 0 ? ";" : ": ");
	pl_buf_adds(&line, value);
	pl_buf_add(&line, s, n);
	if (line.failed)
		code = pl_fail(err, PL_EINVAL, "header %s: too long", x->name);
	call_header_add(c, &line);
	pl_buf_clear(&line);
	return code;
}

static enum pl_code
call_headers(struct call *c, struct pl_err *err)
{
	struct pl_http_header type = { "Content-Type", c->req->content_type,
		NULL };
	const struct pl_http_header *x;
	struct pl_buf line;
	enum pl_code code = PL_OK;

	for (x = c->req->headers; x != NULL && x->name != NULL &&
	    code == PL_OK; x++)
		code = call_header(c, x, err);
	if (code == PL_OK && c->req->content_type != NULL)
		code = call_header(c, &type, err);
	if (code != PL_OK)
		return code;
	pl_buf_init(&line, PL_LIM_LINE);
	pl_buf_adds(&line, "Expect:");
	call_header_add(c, &line);
	if (c->req->content_type == NULL) {
		pl_buf_reset(&line);
		pl_buf_adds(&line, "Content-Type:");
		call_header_add(c, &line);
	}
	pl_buf_clear(&line);
	return PL_OK;
}

static void
call_headers_free(struct call *c)
{
	struct curl_slist *l;

	for (l = c->headers; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(c->headers);
	c->headers = NULL;
}

/* ---- what goes and comes ---- */

static size_t
call_send(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	size_t left = c->req->body_len - c->body_sent;

	n *= size;
	if (n > left)
		n = left;
	if (n > 0)
		memcpy(p, (const char *)c->req->body + c->body_sent, n);
	c->body_sent += n;
	return n;
}

/*
 * libcurl would by itself send a request again where a kept connection went
 * away without an answer.  What has been sent may have been done, so a
 * body is never sent twice.
 */
static int
call_no_rewind(void *arg, curl_off_t offset, int origin)
{
	const struct call *c = arg;

	return c->body_sent == 0 && offset == 0 && origin == SEEK_SET ?
	    CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static size_t
call_body(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	n *= size;
	pl_buf_add(&c->res->body, p, n);
	c->over = c->over || c->res->body.failed;
	return c->over ? 0 : n;
}

static size_t
call_head(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	n *= size;
	c->header_octets += n;
	if (c->header_octets > CALL_HEADERS) {
		c->over = true;
		return 0;
	}
	/* A new answer: what came before was an interim one. */
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		pl_buf_reset(&c->res->headers);
	/* Fields behind the body are nothing that we asked for. */
	if (c->res->body.len == 0)
		pl_buf_add(&c->res->headers, p, n);
	return n;
}

const char *
pl_http_header_get(const struct pl_http_res *r, const char *name, char *out,
    size_t size)
{
	size_t len = strlen(name), n;
	const char *p = r->headers.data, *end;

	for (; p != NULL && *p != '\0'; p = end + (*end != '\0')) {
		end = strchr(p, '\n');
		if (end == NULL)
			end = p + strlen(p);
		if (strncasecmp(p, name, len) != 0 || p[len] != ':')
			continue;
		for (p += len + 1; *p == ' ' || *p == '\t'; p++)
			continue;
		for (n = (size_t)(end - p); n > 0 && (p[n - 1] == '\r' ||
		    p[n - 1] == ' ' || p[n - 1] == '\t'); n--)
			continue;
		if (n >= size)
			return NULL;
		memcpy(out, p, n);
		out[n] = '\0';
		return out;
	}
	return NULL;
}

/* ---- one call ---- */

/* The time that this call has, or 0. */
static int64_t
call_time(const struct pl_http *h, int64_t deadline)
{
	int64_t left = deadline - pl_mono_ms();

	if (left > h->timeout_ms)
		left = h->timeout_ms;
	return left > 0 ? left : 0;
}

static void
call_rules(struct call *c, int64_t ms)
{
	CURL *e = c->easy;
	const char *protocol = c->http->plain ? "http" : "https";

	call_must(curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocol));
	call_must(curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "https"));
	call_must(curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L));
	call_must(curl_easy_setopt(e, CURLOPT_PROXY, ""));
	call_must(curl_easy_setopt(e, CURLOPT_NOPROXY, "*"));
	call_must(curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED));
	call_must(curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L));
	call_must(curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L));
	call_must(curl_easy_setopt(e, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2));
	if (c->http->ca_file != NULL) {
		call_must(curl_easy_setopt(e, CURLOPT_CAINFO,
		    c->http->ca_file));
		call_must(curl_easy_setopt(e, CURLOPT_CAPATH, NULL));
	}
	call_must(curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L));
	call_must(curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	    ms < CALL_CONNECT_MS ? (long)ms : (long)CALL_CONNECT_MS));
	call_must(curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)ms));
	if (!c->http->patient) {
		call_must(curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT,
		    CALL_SLOW_BYTES));
		call_must(curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME,
		    CALL_SLOW_TIME));
	}
	call_must(curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)PL_LIM_BODY));
	call_must(curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_2TLS));
	call_must(curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L));
	call_must(curl_easy_setopt(e, CURLOPT_USERAGENT,
	    "placard/" PL_VERSION));
	call_must(curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION,
	    call_socket));
	call_must(curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c));
	call_must(curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, call_body));
	call_must(curl_easy_setopt(e, CURLOPT_WRITEDATA, c));
	call_must(curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, call_head));
	call_must(curl_easy_setopt(e, CURLOPT_HEADERDATA, c));
	call_must(curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->why));
	call_must(curl_easy_setopt(e, CURLOPT_PRIVATE, c));
}

static void
call_request(struct call *c, const char *url)
{
	const struct pl_http_req *q = c->req;
	CURL *e = c->easy;

	call_must(curl_easy_setopt(e, CURLOPT_URL, url));
	call_must(curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L));
	if (q->body != NULL) {
		call_must(curl_easy_setopt(e, CURLOPT_POST, 1L));
		call_must(curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)q->body_len));
		call_must(curl_easy_setopt(e, CURLOPT_READFUNCTION,
		    call_send));
		call_must(curl_easy_setopt(e, CURLOPT_READDATA, c));
		call_must(curl_easy_setopt(e, CURLOPT_SEEKFUNCTION,
		    call_no_rewind));
		call_must(curl_easy_setopt(e, CURLOPT_SEEKDATA, c));
	} else if (strcmp(q->method, "GET") != 0 &&
	    strcmp(q->method, "DELETE") != 0) {
		/* A body of no octets. */
		call_must(curl_easy_setopt(e, CURLOPT_POSTFIELDS, ""));
		call_must(curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, 0L));
	}
	if (q->body != NULL || strcmp(q->method, "GET") != 0)
		call_must(curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST,
		    q->method));
	call_must(curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers));
}

/* Checks and fills in a call, and gives it to libcurl. */
static enum pl_code
call_start(struct call *c, int64_t deadline, struct pl_err *err)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH",
		"DELETE", NULL };
	struct pl_http *h = c->http;
	struct call_url p = { .u = NULL };
	struct pl_buf url;
	enum pl_code code;
	int64_t ms = call_time(h, deadline);

	if (ms == 0)
		return pl_fail(err, PL_ENET, "%s: no time was left for it",
		    h->host);
	pl_buf_init(&url, CALL_HEADERS);
	pl_buf_adds(&url, h->base);
	pl_buf_adds(&url, c->req->target);
	if (!pl_str_in(c->req->method, methods) || url.failed ||
	    c->req->target[0] != '/' || !call_text_clean(c->req->target) ||
	    !call_url_parse(&p, url.data) || !call_url_ours(h, &p))
		code = pl_fail(err, PL_EINVAL, "%s: malformed request", h->host);
	else
		code = call_headers(c, err);
	if (code == PL_OK) {
		c->easy = h->nidle > 0 ? h->idle[--h->nidle] :
		    curl_easy_init();
		if (c->easy == NULL)
			abort();
		call_rules(c, ms);
		call_request(c, url.data);
		c->start = pl_mono_ms();
		if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
			abort();
	}
	call_url_clear(&p);
	pl_buf_clear(&url);
	return code;
}

static enum pl_code
call_why(const struct call *c, CURLcode how, struct pl_err *err)
{
	const char *why = c->why[0] != '\0' ? c->why :
	    curl_easy_strerror(how);
	const char *host = c->http->host;
	char first[2] = { why[0], '\0' };
	size_t n;

	if (c->far)
		return pl_fail(err, PL_EINVAL, "%s: http is for loopback "
		    "addresses only", host);
	if (c->over || how == CURLE_FILESIZE_EXCEEDED)
		return pl_fail(err, PL_EPROTO, "%s: its answer is too large",
		    host);
	if (how == CURLE_SSL_CACERT_BADFILE)
		return pl_fail(err, PL_EINVAL, "ca-file: cannot be used as "
		    "certificates to trust");
	if (how == CURLE_SEND_FAIL_REWIND)
		return pl_fail(err, PL_ENET, "%s: connection closed without "
		    "an answer", host);
	/* Lower case, unless the word has capitals within. */
	n = strcspn(why, " :/");
	if (why[0] >= 'A' && why[0] <= 'Z' && n > 1 &&
	    strcspn(why + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= n - 1)
		first[0] = (char)(why[0] + 'a' - 'A');
	return pl_fail(err, how == CURLE_OK ||
	    how == CURLE_UNSUPPORTED_PROTOCOL ||
	    how == CURLE_WEIRD_SERVER_REPLY ? PL_EPROTO : PL_ENET,
	    "%s: %s%s%s", host, how == CURLE_SSL_CONNECT_ERROR ? "TLS: " : "",
	    first, why[0] == '\0' ? why : why + 1);
}

/* Retry-After and Date, as RFC 9110 writes them. */
static void
call_times(struct pl_http_res *r)
{
	char text[64];
	int64_t n, when;

	if (pl_http_header_get(r, "Date", text, sizeof(text)) != NULL) {
		when = (int64_t)curl_getdate(text, NULL);
		r->date = when > 0 ? when * 1000 : 0;
	}
	if (pl_http_header_get(r, "Retry-After", text, sizeof(text)) == NULL)
		return;
	n = (int64_t)strspn(text, "0123456789");
	if (n > 0 && text[n] == '\0') {
		if (n > 6 || pl_int_parse(&when, text, 0, 999999, NULL) !=
		    PL_OK)
			when = CALL_RETRY_MOST;
		r->retry_after = when * 1000;
	} else if (n == 0 && (when = (int64_t)curl_getdate(text, NULL)) > 0) {
		r->retry_after = when * 1000 -
		    (r->date > 0 ? r->date : pl_wall_ms());
	}
	if (r->retry_after < 0)
		r->retry_after = 0;
	if (r->retry_after > CALL_RETRY_MOST)
		r->retry_after = CALL_RETRY_MOST;
}

static void
call_log(const struct call *c)
{
	const struct pl_http_res *r = c->res;

	pl_logf(c->http->log, PL_LOG_DEBUG, "http",
	    "method=%s url=%s%.*s status=%d octets=%zu ms=%lld",
	    c->req->method, c->http->base, (int)strcspn(c->req->target, "?"),
	    c->req->target, r->status, r->body.len,
	    (long long)(pl_mono_ms() - c->start));
}

/* Takes a call that is over out of libcurl's hands. */
static void
call_end(struct call *c, CURLcode how)
{
	struct pl_http *h = c->http;
	curl_off_t before = 0;
	long status = 0, octets = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &octets);
	(void)curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &before);
	c->res->status = (int)status;
	c->res->sent = octets > 0 || before > 0 || c->body_sent > 0;
	curl_multi_remove_handle(h->multi, c->easy);
	curl_easy_reset(c->easy);
	h->idle = pl_grow(h->idle, h->nidle + 1, sizeof(CURL *));
	h->idle[h->nidle++] = c->easy;
	c->easy = NULL;
	call_headers_free(c);
	if (how == CURLE_OK && status >= 200) {
		c->res->code = PL_OK;
		call_times(c->res);
	} else {
		c->res->code = call_why(c, how, &c->res->err);
		pl_buf_reset(&c->res->body);
	}
	call_log(c);
}

/* ---- many calls ---- */

/* How long until another call may start, ms; 0: it may now. */
static int
call_pace(struct pl_http *h)
{
	double most = (double)h->rate / 9 + 1;
	int64_t now = pl_mono_ms();

	if (h->rate == 0)
		return 0;
	h->tokens += (double)(now - h->stamp) * h->rate / 1000;
	if (h->stamp == 0 || h->tokens > most)
		h->tokens = most;
	h->stamp = now;
	return h->tokens >= 1 ? 0 :
	    (int)((1 - h->tokens) * 1000 / h->rate) + 1;
}

/* Starts calls until `parallel` are under way; gives how many are. */
static size_t
call_fill(struct call *calls, size_t n, size_t *next, size_t running,
    unsigned parallel, int64_t deadline)
{
	struct call *c;

	for (; *next < n && running < parallel; ++*next) {
		c = &calls[*next];
		if (call_pace(c->http) > 0 && pl_mono_ms() < deadline)
			break;
		c->http->tokens -= 1;
		c->http->requests++;
		c->res->code = call_start(c, deadline, &c->res->err);
		if (c->res->code == PL_OK)
			running++;
		else
			call_headers_free(c);
	}
	return running;
}

static size_t
call_collect(struct pl_http *h)
{
	struct call *c;
	CURLMsg *msg;
	CURLcode how;
	char *private;
	size_t done = 0;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		how = msg->data.result;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
		    &private);
		c = (struct call *)(void *)private;
		call_end(c, how);
		done++;
	}
	return done;
}

enum pl_code
pl_http_many(struct pl_http *h, const struct pl_http_req *req,
    struct pl_http_res *res, size_t n, unsigned parallel, int64_t deadline,
    struct pl_err *err)
{
	struct call *calls = pl_array(n + 1, sizeof(*calls));
	size_t i, next = 0, running = 0;
	enum pl_code code = PL_OK;
	int active, wait;

	for (i = 0; i < n; i++) {
		memset(&res[i], 0, sizeof(res[i]));
		pl_buf_init(&res[i].body, PL_LIM_BODY);
		pl_buf_init(&res[i].headers, CALL_HEADERS);
		calls[i].http = h;
		calls[i].req = &req[i];
		calls[i].res = &res[i];
	}
	if (parallel == 0)
		parallel = 1;
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)parallel);
	while ((running = call_fill(calls, n, &next, running, parallel,
	    deadline)) > 0 || next < n) {
		if (curl_multi_perform(h->multi, &active) != CURLM_OK)
			abort();
		i = call_collect(h);
		running -= i;
		wait = next < n && running < parallel ? call_pace(h) : 0;
		if ((i == 0 || wait > 0) && curl_multi_poll(h->multi, NULL, 0,
		    wait > 0 ? wait : CALL_WAIT_MS, NULL) != CURLM_OK)
			abort();
	}
	for (i = 0; i < n && code == PL_OK; i++) {
		code = res[i].code;
		if (code != PL_OK && err != NULL)
			*err = res[i].err;
	}
	free(calls);
	return code;
}

enum pl_code
pl_http_call(struct pl_http *h, const struct pl_http_req *req,
    struct pl_http_res *res, int64_t deadline, struct pl_err *err)
{
	return pl_http_many(h, req, res, 1, 1, deadline, err);
}

uint32_t
pl_http_requests(const struct pl_http *h)
{
	return h->requests;
}

enum pl_code
pl_http_code(int status)
{
	if (status == 401 || status == 403)
		return PL_EAUTH;
	if (status == 429)
		return PL_ELIMIT;
	if (status == 408 || status >= 500)
		return PL_ENET;
	if (status == 409 || status == 412)
		return PL_ECONFLICT;
	return status >= 400 ? PL_EREMOTE : PL_EPROTO;
}
