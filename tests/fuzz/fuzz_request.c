/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What anybody on the internet sends to the responder's HTTP port.  Whatever
 * it is, there is one answer at most, it is a whole one, ends the connection, and nothing
 * of the request gets into its header but what a URL may hold.  The
 * answer must not depend on how the octets were cut on the way.
 */
#include "responder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)
#define PATH "/.well-known/acme-challenge/token"

/* Every line of a header is printable, has a colon, and ends in CR LF. */
static void
look_at_header(const char *p, const char *end)
{
	const char *eol, *colon;
	bool first = true, closes = false;

	while (p < end) {
		eol = memmem(p, (size_t)(end - p), "\r\n", 2);
		MUST(eol != NULL);
		for (const char *c = p; c < eol; c++)
			MUST(*c >= 0x20 && *c < 0x7f);
		colon = memchr(p, ':', (size_t)(eol - p));
		MUST(first || colon != NULL);
		closes = closes || strncmp(p, "Connection: close\r\n", 19) == 0;
		first = false;
		p = eol + 2;
	}
	MUST(closes);
}

static void
look(const struct pl_buf *out, const char *body, size_t len)
{
	const char *end = memmem(out->data, out->len, "\r\n\r\n", 4);
	const char *length = strstr(out->data, "\r\nContent-Length: ");
	size_t told, got;

	MUST(!out->failed && end != NULL && length != NULL && length < end);
	MUST(strncmp(out->data, "HTTP/1.1 ", 9) == 0);
	look_at_header(out->data, end + 2);
	told = strtoul(length + 18, NULL, 10);
	got = out->len - (size_t)(end + 4 - out->data);
	MUST(got == 0 || got == told);
	if (strncmp(out->data + 9, "200", 3) == 0)
		MUST(told == len && (got == 0 ||
		    memcmp(end + 4, body, len) == 0));
}

static bool
try(const struct web_files *w, bool redirect, const uint8_t *data, size_t n,
    struct pl_buf *out)
{
	char *exact = pl_alloc(n + 1);
	bool answered;

	memcpy(exact, data, n);
	pl_buf_init(out, PL_LIM_FILE + PL_LIM_LINE);
	answered = pl_http_answer(w, redirect, exact, n, out);
	MUST(answered == (out->len > 0));
	free(exact);
	return answered;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char body[] = "token.thumbprint";
	struct web_files w = { .list = NULL };
	struct pl_buf whole, part;
	bool redirect;

	if (size == 0)
		return 0;
	redirect = (data[0] & 1) != 0;
	data++;
	size--;
	pl_web_file_add(&w, PATH, body, strlen(body));
	pl_web_file_add(&w, PATH "2", "other", 5);
	if (try(&w, redirect, data, size, &whole)) {
		look(&whole, body, strlen(body));
		if (strncmp(whole.data + 9, "301", 3) == 0)
			MUST(redirect);
		/* Not whole yet, or the same answer. */
		if (size > 1 && size <= HTTP_REQUEST_MOST &&
		    try(&w, redirect, data, size - 1, &part))
			MUST(part.len == whole.len && memcmp(part.data,
			    whole.data, part.len) == 0);
		else if (size <= 1 || size > HTTP_REQUEST_MOST)
			pl_buf_init(&part, 1);
		pl_buf_clear(&part);
	} else
		MUST(size < HTTP_REQUEST_MOST);
	pl_buf_clear(&whole);
	pl_web_files_clear(&w);
	return 0;
}
