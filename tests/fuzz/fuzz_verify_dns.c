/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Answers of a hostile name server, from octets to verdict.  The first octet
 * picks what is looked for, the rest is the message.
 */
#include "verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)

#define NAME "_acme-challenge.example.com"
#define VALUE "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

/* Does the message really hold it, for this name, with authority? */
static bool
holds(const struct pl_dns_msg *m, unsigned type)
{
	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->section != 1 || rr->type != type ||
		    strcmp(rr->owner, NAME) != 0)
			continue;
		if (type == PL_DNS_TXT && rr->len == strlen(VALUE) &&
		    memcmp(rr->data, VALUE, rr->len) == 0)
			return true;
		if (type == PL_DNS_CNAME && strcmp(rr->target, VALUE) == 0)
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned types[] = { PL_DNS_TXT, PL_DNS_CNAME,
		PL_DNS_SOA };
	struct pl_dns_msg m;
	struct judged j;
	unsigned type;

	if (size < 1)
		return 0;
	type = types[data[0] % 3];
	if (pl_dns_parse(&m, data + 1, size - 1, NULL) == PL_OK) {
		judge(&j, &m, NAME, type, data[0] & 4 ? "example.com" : NULL,
		    VALUE, strlen(VALUE));
		MUST(j.answer < PL_NANSWERS);
		MUST(memchr(j.note, '\0', sizeof(j.note)) != NULL);
		MUST(strlen(j.alias) < PL_DNS_TEXT);
		MUST(j.answer != PL_ANS_PRESENT || m.aa);
		MUST(j.answer != PL_ANS_PRESENT || type == PL_DNS_SOA ||
		    holds(&m, type));
		MUST(j.answer != PL_ANS_PRESENT || type == PL_DNS_SOA ||
		    m.rcode == PL_DNS_NOERROR);
		/* Something is always said. */
		MUST(j.answer != PL_ANS_NONE || j.alias[0] != '\0' ||
		    j.cut[0] != '\0');
		MUST(j.cut[0] == '\0' || pl_suffix_of(j.cut, NAME));
		MUST(j.apex[0] == '\0' || pl_suffix_of(j.apex, NAME));
	}
	pl_dns_msg_clear(&m);
	return 0;
}
