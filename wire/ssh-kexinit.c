/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What a server offers, read along while libssh2 shakes hands: the library
 * tells that nothing was shared, but not what it was.
 */
#include "ssh-dial.h"

#include <string.h>

#define KEXINIT 20
#define COOKIE 16

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

/* Behind the line that begins with "SSH-"; others may come before it. */
static const char *
behind_banner(const char *p, size_t n)
{
	const char *end = p + n, *stop;

	for (; p < end; p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL)
			return NULL;
		if (stop - p >= 4 && memcmp(p, "SSH-", 4) == 0)
			return stop + 1;
	}
	return NULL;
}

bool
pl_kexinit_read(struct pl_kexinit *k, const char *p, size_t n)
{
	const char *from = behind_banner(p, n);
	const unsigned char *at, *end;
	uint32_t len, take;

	memset(k, 0, sizeof(*k));
	if (from == NULL || (size_t)(p + n - from) < 6 + COOKIE)
		return false;
	at = (const unsigned char *)from;
	end = (const unsigned char *)p + n;
	len = be32(at);
	if (len < 2 + COOKIE || len > (size_t)(end - at) - 4 ||
	    at[5] != KEXINIT)
		return false;
	end = at + 4 + len;
	at += 6 + COOKIE;
	for (int i = 0; i < PL_KEX_LISTS; i++) {
		if (end - at < 4 || (len = be32(at)) > (size_t)(end - at) - 4)
			return false;
		take = len < sizeof(k->list[i]) ? len :
		    (uint32_t)sizeof(k->list[i]) - 1;
		memcpy(k->list[i], at + 4, take);
		at += 4 + len;
	}
	return true;
}

bool
pl_list_has(const char *list, const char *word, size_t n)
{
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (len == n && memcmp(list, word, n) == 0)
			return true;
		if (list[len] == '\0')
			return false;
	}
}

bool
pl_list_shares(const char *a, const char *b)
{
	size_t len;

	for (;; a += len + 1) {
		len = strcspn(a, ",");
		if (len > 0 && pl_list_has(b, a, len))
			return true;
		if (a[len] == '\0')
			return false;
	}
}
