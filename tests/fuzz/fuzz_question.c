/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What anybody on the internet sends to the responder's DNS port.  The first
 * octet chooses UDP or TCP, the rest is the question.  Whatever it is, the
 * answer is within its bounds, is no answer to an answer, and can be walked
 * from end to end.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)
#define HEX "0123456789abcdef0123456789abcdef"

static void
add(struct pl_served *s, unsigned type, const char *name, const char *value)
{
	bool was;

	MUST(pl_served_add(s, type, name, value, strlen(value), 1, &was, NULL,
	    NULL) == PL_OK && !was);
}

static struct pl_served *
zone(void)
{
	static const char *const ns[] = {
		"ns1.dcv.example.net 192.0.2.1 2001:db8::1", "ns.example.org" };
	struct pl_served *s = pl_served_new();
	char big[1500];

	MUST(pl_served_zone(s, "dcv.example.net", ns, 2, "root.example.net", 1,
	    NULL) == PL_OK);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	add(s, PL_DNS_TXT, "_acme-challenge.a.b.dcv.example.net", "one");
	add(s, PL_DNS_TXT, "_acme-challenge.a.b.dcv.example.net", "two");
	add(s, PL_DNS_TXT, "_dnsauth.dcv.example.net", big);
	add(s, PL_DNS_CNAME, "_" HEX ".dcv.example.net",
	    "_acme-challenge.a.b.dcv.example.net");
	add(s, PL_DNS_CNAME, "_" HEX "a.dcv.example.net",
	    "_" HEX "a.dcv.example.net.x");
	return s;
}

/* Skips a name, compressed or not; pointers lead backwards only. */
static size_t
name_end(const unsigned char *p, size_t n, size_t at)
{
	while (at < n && p[at] != 0) {
		if (p[at] >= 0xc0) {
			MUST(at + 2 <= n);
			MUST((((size_t)p[at] & 0x3f) << 8 | p[at + 1]) < at);
			return at + 2;
		}
		MUST(p[at] <= 63);
		at += p[at] + 1u;
	}
	MUST(at < n);
	return at + 1;
}

static size_t
count(const unsigned char *p, size_t i)
{
	return (size_t)p[4 + 2 * i] << 8 | p[5 + 2 * i];
}

static void
walk(const unsigned char *p, size_t n)
{
	size_t at = 12, records = count(p, 1) + count(p, 2) + count(p, 3);

	MUST(n >= 12 && (p[2] & 0x80) != 0 && count(p, 0) <= 1);
	if (count(p, 0) == 1)
		at = name_end(p, n, at) + 4;
	for (size_t i = 0; i < records; i++) {
		at = name_end(p, n, at);
		MUST(n - at >= 10);
		at += 10 + ((size_t)p[at + 8] << 8 | p[at + 9]);
		MUST(at <= n);
	}
	MUST(at == n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_served *s;
	bool tcp = size > 0 && (data[0] & 1) != 0;
	unsigned char *out = pl_alloc(tcp ? PL_DNS_MSG : PL_DNS_UDP);
	size_t n;

	if (size == 0) {
		free(out);
		return 0;
	}
	s = zone();
	n = pl_served_answer(s, data + 1, size - 1, out, tcp);
	MUST(n <= (tcp ? PL_DNS_MSG : PL_DNS_UDP));
	MUST(n > 0 || size - 1 < 12 || (data[3] & 0x80) != 0);
	if (n > 0) {
		walk(out, n);
		MUST(memcmp(out, data + 1, 2) == 0);
		n = pl_served_cut(out, n);
		walk(out, n);
		MUST((out[2] & 2) != 0 && n <= size - 1);
	}
	pl_served_free(s);
	free(out);
	return 0;
}
