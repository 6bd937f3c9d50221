/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What an empty buffer without memory points to.  It is never written: all
 * writes go to blocks with cap > 0.
 */
static const char nothing[1] = "";

static void
buf_release(struct pl_buf *b)
{
	if (b->cap > 0) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	b->data = (char *)(uintptr_t)nothing;
	b->len = 0;
	b->cap = 0;
}

static void
buf_fail(struct pl_buf *b)
{
	buf_release(b);
	b->failed = true;
}

/* Makes room for n more octets and the NUL; false where b has failed. */
static bool
buf_room(struct pl_buf *b, size_t n)
{
	size_t cap;
	char *data;

	if (b->failed)
		return false;
	if (n > b->limit - b->len) {
		buf_fail(b);
		return false;
	}
	if (b->cap > b->len + n)
		return true;
	cap = b->cap < 64 ? 64 : b->cap * 2;
	if (cap > b->limit + 1)
		cap = b->limit + 1;
	if (cap < b->len + n + 1)
		cap = b->len + n + 1;
	data = pl_grow(NULL, cap, 1);
	memcpy(data, b->data, b->len);
	if (b->cap > 0) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	b->data = data;
	b->cap = cap;
	b->data[b->len] = '\0';
	return true;
}

void
pl_buf_init(struct pl_buf *b, size_t limit)
{
	assert(limit < UINT32_MAX);
	memset(b, 0, sizeof(*b));
	b->data = (char *)(uintptr_t)nothing;
	b->limit = limit;
}

void
pl_buf_clear(struct pl_buf *b)
{
	if (b == NULL)
		return;
	buf_release(b);
	b->failed = false;
}

void
pl_buf_reset(struct pl_buf *b)
{
	if (b->cap > 0) {
		explicit_bzero(b->data, b->len);
		b->data[0] = '\0';
	}
	b->len = 0;
	b->failed = false;
}

void
pl_buf_add(struct pl_buf *b, const void *p, size_t n)
{
	if (!buf_room(b, n))
		return;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
pl_buf_adds(struct pl_buf *b, const char *s)
{
	pl_buf_add(b, s, strlen(s));
}

void
pl_buf_addc(struct pl_buf *b, char c)
{
	pl_buf_add(b, &c, 1);
}

void
pl_buf_addf(struct pl_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pl_buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void
pl_buf_vaddf(struct pl_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	if (!buf_room(b, 0))
		goto out;
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	if (n < 0) {
		buf_fail(b);
		goto out;
	}
	if ((size_t)n >= b->cap - b->len) {
		b->data[b->len] = '\0';
		if (!buf_room(b, (size_t)n))
			goto out;
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	b->len += (size_t)n;
out:
	va_end(again);
}

void
pl_buf_drop(struct pl_buf *b, size_t n)
{
	if (n >= b->len) {
		if (b->cap > 0) {
			explicit_bzero(b->data, b->len);
			b->data[0] = '\0';
		}
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n + 1);
	explicit_bzero(b->data + b->len - n + 1, n);
	b->len -= n;
}

char *
pl_buf_take(struct pl_buf *b)
{
	char *data = NULL;

	if (b->failed) {
		pl_buf_clear(b);
		return NULL;
	}
	if (b->cap == 0)
		return pl_strdup("");
	data = b->data;
	b->cap = 0;
	buf_release(b);
	return data;
}
