/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * CAA records of a hostile zone.  The first octet picks who asks; records
 * follow, parted by 0xff: flags, which tag, value.
 */
#include "challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)
#define RECORDS 16

struct set {
	struct pl_caa_rr rr[RECORDS];
	size_t n;
	bool named;	/* the CA's name stands somewhere */
};

static bool
lookup(void *ctx, const char *name, struct pl_caa_set *out)
{
	struct set *s = ctx;

	if (strcmp(name, "example.com") == 0) {
		out->rr = s->rr;
		out->n = s->n;
	}
	return true;
}

static void
set_add(struct set *s, const uint8_t *p, size_t n)
{
	static const char *const tags[] = { "issue", "issuewild", "iodef",
		"future", "" };
	struct pl_caa_rr *rr = &s->rr[s->n];

	if (n < 2 || s->n >= RECORDS)
		return;
	rr->flags = p[0];
	rr->tag = tags[p[1] % PL_NELEM(tags)];
	rr->value = (const char *)p + 2;
	rr->len = n - 2;
	for (size_t i = 2; i + 11 <= n; i++)
		if (strncasecmp((const char *)p + i, "sectigo.com", 11) == 0)
			s->named = true;
	s->n++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_caa_ask ask = { .domain = "www.example.com",
		.ca = "sectigo.com" };
	struct set s = { .n = 0 };
	struct pl_buf text;
	enum pl_caa end;
	bool issue = false;

	if (size < 1)
		return 0;
	ask.wildcard = data[0] & 1;
	ask.account_uri = data[0] & 2 ? "acct:1" : NULL;
	ask.methods = data[0] & 4 ? "dns-01,ca-tbr-7" : NULL;
	for (size_t i = 1, k; i < size; i = k + 1) {
		for (k = i; k < size && data[k] != 0xff; k++)
			;
		set_add(&s, data + i, k - i);
	}
	for (size_t i = 0; i < s.n; i++)
		if (strcmp(s.rr[i].tag, "issue") == 0)
			issue = true;
	pl_buf_init(&text, PL_LIM_LINE);
	end = pl_caa_climb(&ask, lookup, &s, &text);
	MUST(end == PL_CAA_ALLOWED || end == PL_CAA_FORBIDDEN);
	MUST(end == PL_CAA_ALLOWED || s.n > 0);
	/* Where somebody is named, and it is not us. */
	MUST(end == PL_CAA_FORBIDDEN || !issue || s.named || ask.wildcard);
	MUST(text.len > 0 && !text.failed);
	for (size_t i = 0; i < text.len; i++)
		MUST(text.data[i] >= ' ' && text.data[i] <= '~');
	pl_buf_clear(&text);
	return 0;
}
