/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Any octets as a signed answer.  Nobody here has the key: none is good. */
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char key[] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
	struct pl_tsig_mac mac = { .len = 32 };
	struct pl_secret *s = pl_secret_new(key, strlen(key));
	struct pl_tsig *t;
	unsigned error;
	int64_t skew;

	if (pl_tsig_new(&t, "placard.", "hmac-sha256", s, NULL) != PL_OK)
		__builtin_trap();
	if (pl_tsig_check(t, data, size, &mac, 1700000000, &error, &skew,
	    NULL) == PL_OK || skew != 0)
		__builtin_trap();
	pl_tsig_free(t);
	pl_secret_free(s);
	return 0;
}
