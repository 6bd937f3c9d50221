/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * One request, one answer: GET and HEAD of files that are published, by exact
 * path.  Every connection ends with its answer, so what follows a request
 * can never be taken for another one, and whatever is unclear is a 400.
 */
#include "responder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- files --------------------------------------------------------------- */

/* Where it is, or has to go. */
static size_t
file_place(const struct web_files *w, const char *path, size_t len,
    bool *found)
{
	size_t low = 0, high = w->n, mid;
	int c;

	*found = false;
	while (low < high) {
		mid = low + (high - low) / 2;
		c = strncmp(w->list[mid].path, path, len);
		if (c == 0 && w->list[mid].path[len] != '\0')
			c = 1;
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct web_file *
pl_web_file(const struct web_files *w, const char *path, size_t len)
{
	bool found;
	size_t i = file_place(w, path, len, &found);

	return found ? &w->list[i] : NULL;
}

void
pl_web_file_add(struct web_files *w, const char *path, const void *data,
    size_t len)
{
	bool found;
	size_t i = file_place(w, path, strlen(path), &found);

	if (found)
		return;
	if (w->n == w->room) {
		w->room = w->room * 2 + 16;
		w->list = pl_grow(w->list, w->room, sizeof(*w->list));
	}
	memmove(w->list + i + 1, w->list + i,
	    (w->n - i) * sizeof(*w->list));
	w->list[i] = (struct web_file){ .path = pl_strdup(path),
		.data = pl_memdup(data, len), .len = len };
	w->n++;
}

void
pl_web_file_del(struct web_files *w, const struct web_file *f)
{
	size_t i = (size_t)(f - w->list);

	free(w->list[i].path);
	free(w->list[i].data);
	w->n--;
	memmove(w->list + i, w->list + i + 1,
	    (w->n - i) * sizeof(*w->list));
}

void
pl_web_files_clear(struct web_files *w)
{
	while (w->n > 0)
		pl_web_file_del(w, &w->list[w->n - 1]);
	free(w->list);
	*w = (struct web_files){ 0 };
}

/* ---- requests ------------------------------------------------------------ */

struct request {
	bool head;
	const char *path;	/* with its query */
	size_t path_len;
	const char *host;	/* without port */
	size_t host_len;
	bool host_given;
};

static bool
token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || (c != '\0' &&
	    strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* "NAME[:PORT]" or "[V6][:PORT]"; keeps what is before the port. */
static bool
take_host(struct request *r, const char *p, size_t n)
{
	size_t i = 0, host;

	if (n > 0 && p[0] == '[') {
		for (i = 1; i < n && p[i] != ']'; i++)
			if (strchr("0123456789abcdefABCDEF:.", p[i]) == NULL)
				return false;
		if (i++ == n)
			return false;
	} else
		while (i < n && host_char(p[i]))
			i++;
	host = i;
	if (i < n && p[i++] != ':')
		return false;
	for (; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	r->host = p;
	r->host_len = host;
	return host > 0 && host <= 255;
}

/* The request target: a path, or a URL whose path is taken. */
static bool
take_target(struct request *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x21 || p[i] > 0x7e)
			return false;
	if (n > 7 && strncasecmp(p, "http://", 7) == 0) {
		p += 7;
		n -= 7;
		while (n > 0 && *p != '/') {
			p++;
			n--;
		}
	}
	r->path = p;
	r->path_len = n;
	return n > 0 && p[0] == '/';
}

/* Gives the status that a faulty line leads to, 0: none. */
static int
request_line(struct request *r, const char *p, size_t n)
{
	const char *end = p + n, *sp, *target;

	sp = memchr(p, ' ', n);
	if (sp == NULL || sp == p)
		return 400;
	for (const char *c = p; c < sp; c++)
		if (!token_char(*c))
			return 400;
	target = sp + 1;
	sp = memchr(target, ' ', (size_t)(end - target));
	if (sp == NULL || end - sp != 9 || strncmp(sp, " HTTP/", 6) != 0 ||
	    sp[7] != '.')
		return 400;
	if (sp[6] != '1' || (sp[8] != '0' && sp[8] != '1'))
		return sp[6] >= '0' && sp[6] <= '9' ? 505 : 400;
	r->head = target - p == 5 && memcmp(p, "HEAD", 4) == 0;
	if (!take_target(r, target, (size_t)(sp - target)))
		return 400;
	if (!r->head && (target - p != 4 || memcmp(p, "GET", 3) != 0))
		return 405;
	return 0;
}

static bool
is_field(const char *p, size_t n, const char *name)
{
	return n == strlen(name) && strncasecmp(p, name, n) == 0;
}

static int
header_line(struct request *r, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n), *v;
	size_t len, field;

	if (colon == NULL || colon == p)
		return 400;
	field = (size_t)(colon - p);
	for (size_t i = 0; i < field; i++)
		if (!token_char(p[i]))
			return 400;
	for (size_t i = field + 1; i < n; i++)
		if ((unsigned char)p[i] < 0x20 && p[i] != '\t')
			return 400;
	v = colon + 1;
	len = n - field - 1;
	for (; len > 0 && (*v == ' ' || *v == '\t'); v++)
		len--;
	while (len > 0 && (v[len - 1] == ' ' || v[len - 1] == '\t'))
		len--;
	if (is_field(p, field, "Host")) {
		if (r->host_given || !take_host(r, v, len))
			return 400;
		r->host_given = true;
	} else if (is_field(p, field, "Transfer-Encoding") ||
	    (is_field(p, field, "Content-Length") &&
	    (len != 1 || *v != '0')))
		return 413;	/* no request here has a body */
	return 0;
}

static int
request_read(struct request *r, const char *in, size_t n)
{
	const char *p = in, *end = in + n, *eol;
	size_t line = 0;
	bool one;
	int status = 0;

	for (;; line++) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL || eol == p || eol[-1] != '\r')
			return 400;
		if (eol - 1 == p)
			break;
		status = line == 0 ?
		    request_line(r, p, (size_t)(eol - 1 - p)) :
		    header_line(r, p, (size_t)(eol - 1 - p));
		if (status != 0)
			return status;
		p = eol + 1;
	}
	if (line == 0)
		return 400;
	eol = memchr(in, '\r', n);
	one = eol[-1] == '1';
	return one && !r->host_given ? 400 : 0;
}

/* ---- answers ------------------------------------------------------------- */

static const char *
reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 301: return "Moved Permanently";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 505: return "HTTP Version Not Supported";
	default: return "Bad Request";
	}
}

static void
answer(struct pl_buf *out, int status, bool head, const char *more,
    const void *data, size_t len)
{
	pl_buf_addf(out, "HTTP/1.1 %d %s\r\n", status, reason(status));
	pl_buf_adds(out, "Content-Type: text/plain\r\n"
	    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n");
	pl_buf_addf(out, "%sContent-Length: %zu\r\n\r\n", more, len);
	if (!head)
		pl_buf_add(out, data, len);
}

static void
answer_text(struct pl_buf *out, int status, bool head, const char *more)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %s\n", status,
	    reason(status));

	answer(out, status, head, more, text, (size_t)n);
}

static void
answer_request(const struct web_files *w, bool redirect,
    const struct request *r, struct pl_buf *out)
{
	static const char known[] = "/.well-known/";
	const struct web_file *f = NULL;
	size_t len = r->path_len;
	const char *query = memchr(r->path, '?', len);
	struct pl_buf to;

	if (query != NULL)
		len = (size_t)(query - r->path);
	if (strncmp(r->path, known, strlen(known)) == 0)
		f = pl_web_file(w, r->path, len);
	else if (redirect && r->host_given) {
		pl_buf_init(&to, PL_LIM_LINE);
		pl_buf_addf(&to, "Location: https://%.*s%.*s\r\n",
		    (int)r->host_len, r->host, (int)r->path_len, r->path);
		answer_text(out, 301, r->head, to.data);
		pl_buf_clear(&to);
		return;
	}
	if (f != NULL)
		answer(out, 200, r->head, "", f->data, f->len);
	else
		answer_text(out, 404, r->head, "");
}

/* Octets up to and with the empty line, 0: it has not come yet. */
static size_t
request_end(const char *in, size_t n)
{
	const char *p = memmem(in, n, "\r\n\r\n", 4);

	return p != NULL ? (size_t)(p - in) + 4 : 0;
}

bool
pl_http_answer(const struct web_files *w, bool redirect, const char *in,
    size_t n, struct pl_buf *out)
{
	struct request r = { .head = false };
	size_t end = request_end(in, n);
	int status;

	if (end > HTTP_REQUEST_MOST || (end == 0 && n >= HTTP_REQUEST_MOST)) {
		answer_text(out, 414, false, "");
		return true;
	}
	if (end == 0) {
		/* An empty line in front, or none of HTTP's: said at once. */
		if (n > 0 && !token_char(in[0])) {
			answer_text(out, 400, false, "");
			return true;
		}
		return false;
	}
	status = request_read(&r, in, end);
	if (status == 0)
		answer_request(w, redirect, &r, out);
	else
		answer_text(out, status, r.head,
		    status == 405 ? "Allow: GET, HEAD\r\n" : "");
	return true;
}
