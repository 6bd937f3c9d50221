/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void
pl_random(void *p, size_t n)
{
	static const char line[] = "placard: getrandom does not work\n";
	unsigned char *out = p;
	ssize_t got;

	while (n > 0) {
		got = getrandom(out, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			got = write(2, line, sizeof(line) - 1);
			abort();
		}
		out += got;
		n -= (size_t)got;
	}
}

uint32_t
pl_random_below(uint32_t n)
{
	uint32_t v, skip;

	if (n < 2)
		return 0;
	/* 2^32 mod n: the values that would make small results likelier. */
	skip = -n % n;
	do
		pl_random(&v, sizeof(v));
	while (v < skip);
	return v % n;
}

void
pl_random_name(char *out, size_t n)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const unsigned usable = 256 / 36 * 36;
	unsigned char some[64];
	size_t i, len = 0;

	while (len < n) {
		pl_random(some, sizeof(some));
		for (i = 0; i < sizeof(some) && len < n; i++)
			if (some[i] < usable)
				out[len++] = alphabet[some[i] % 36];
	}
	out[n] = '\0';
	explicit_bzero(some, sizeof(some));
}
