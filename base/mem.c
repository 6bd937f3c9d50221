/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void
mem_die(void)
{
	static const char line[] = "placard: out of memory\n";
	ssize_t n = write(2, line, sizeof(line) - 1);

	(void)n;
	abort();
}

static size_t
mem_product(size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		mem_die();
	return all > 0 ? all : 1;
}

void *
pl_alloc(size_t size)
{
	return pl_array(1, size);
}

void *
pl_array(size_t n, size_t size)
{
	void *p = calloc(1, mem_product(n, size));

	if (p == NULL)
		mem_die();
	return p;
}

void *
pl_grow(void *old, size_t n, size_t size)
{
	void *p = realloc(old, mem_product(n, size));

	if (p == NULL)
		mem_die();
	return p;
}

char *
pl_strdup(const char *s)
{
	return s == NULL ? NULL : pl_strndup(s, strlen(s));
}

char *
pl_strndup(const char *s, size_t n)
{
	size_t len;
	char *p;

	if (s == NULL)
		return NULL;
	len = strnlen(s, n);
	p = pl_array(len + 1, 1);
	memcpy(p, s, len);
	return p;
}

void *
pl_memdup(const void *p, size_t n)
{
	void *copy;

	if (p == NULL || n == 0)
		return NULL;
	copy = pl_array(n, 1);
	memcpy(copy, p, n);
	return copy;
}
