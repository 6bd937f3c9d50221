/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Any octets as an answer: parsed, and held against a question. */
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char q[512];
	struct pl_dns_msg m;
	size_t n, i;

	if (pl_dns_parse(&m, data, size, NULL) == PL_OK)
		for (i = 0; i < m.nrr; i++) {
			/* What we call a name can be asked for. */
			if (strlen(m.rr[i].owner) >= PL_DNS_TEXT ||
			    pl_dns_query(q, sizeof(q), m.rr[i].owner, 1, 0) ==
			    0)
				__builtin_trap();
			if (m.rr[i].type == PL_DNS_CNAME &&
			    pl_dns_query(q, sizeof(q), m.rr[i].target, 1, 0) ==
			    0)
				__builtin_trap();
		}
	pl_dns_msg_clear(&m);
	n = pl_dns_query(q, sizeof(q), "_acme-challenge.example.com",
	    PL_DNS_TXT, 0);
	(void)pl_dns_matches(q, n, data, size);
	(void)pl_dns_matches(data, size, q, n);
	return 0;
}
