/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Escaping, apart from http-call.c: whoever escapes need not load libcurl. */
#include "wire.h"

#include <string.h>

static void
url_escape(struct pl_buf *b, const char *s, size_t n, bool slash)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char ch;

	for (; n > 0; s++, n--) {
		ch = (unsigned char)*s;
		if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		    (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' ||
		    ch == '_' || ch == '~' || (slash && ch == '/')) {
			pl_buf_addc(b, (char)ch);
			continue;
		}
		pl_buf_addc(b, '%');
		pl_buf_addc(b, hex[ch >> 4]);
		pl_buf_addc(b, hex[ch & 15]);
	}
}

void
pl_url_escape(struct pl_buf *b, const char *s, bool slash)
{
	url_escape(b, s, strlen(s), slash);
}

static void
form_add(struct pl_buf *b, const char *name, const char *value, size_t n)
{
	if (b->len > 0)
		pl_buf_addc(b, '&');
	url_escape(b, name, strlen(name), false);
	pl_buf_addc(b, '=');
	url_escape(b, value, n, false);
}

void
pl_form_add(struct pl_buf *b, const char *name, const char *value)
{
	form_add(b, name, value, strlen(value));
}

void
pl_form_add_secret(struct pl_buf *b, const char *name,
    const struct pl_secret *secret)
{
	form_add(b, name, pl_secret_expose(secret), pl_secret_len(secret));
}
