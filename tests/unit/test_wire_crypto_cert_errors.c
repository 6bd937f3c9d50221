/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs.h"
#include "scratch.h"

#define NOW 1795000000000	/* November 2026 */
#define LATER 4765000000000	/* December 2120 */

static void
senseless(const char *text, size_t n, const char *say)
{
	struct pl_cert **list;
	struct pl_err err;
	size_t count;

	pl_err_clear(&err);
	assert_int_equal(pl_certs_parse(&list, &count, text, n, &err),
	    PL_EPROTO);
	assert_null(list);
	assert_int_equal(count, 0);
	if (strstr(err.text, say) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", err.text, say);
}

static void
texts(void **state)
{
	size_t large = PL_CERTS_OCTETS + 1;
	char *much = malloc(large);

	(void)state;
	senseless("", 0, "none in the text");
	senseless("text", 4, "none in the text");
	senseless(LEAF_CSR, strlen(LEAF_CSR), "none in the text");
	senseless(LEAF "-----BEGIN CERTIFICATE-----\n!\n", strlen(LEAF) + 30,
	    "malformed");
	senseless("-----BEGIN CERTIFICATE-----\nMAA=\n"
	    "-----END CERTIFICATE-----\n", 59, "certificate 1: malformed");
	memset(much, 'x', large);
	senseless(much, large, "more than 65536 octets");
	free(much);
}

/* Every octet of a certificate changed, one after the other. */
static void
spoiled(void **state)
{
	struct pl_buf der, text;
	struct pl_cert **list;
	struct pl_err err;
	size_t n, read = 0;

	(void)state;
	pl_buf_init(&der, PL_LIM_FILE);
	pl_buf_init(&text, PL_LIM_FILE);
	assert_int_equal(pl_base64_decode(&der, &LEAF[28],
	    strlen(LEAF) - 28 - 26, &err), PL_OK);
	for (size_t i = 0; i < der.len; i++) {
		der.data[i] ^= 0x55;
		pl_buf_reset(&text);
		pl_buf_adds(&text, "-----BEGIN CERTIFICATE-----\n");
		for (size_t k = 0; k < der.len; k += 48) {
			pl_base64(&text, der.data + k, der.len - k < 48 ?
			    der.len - k : 48);
			pl_buf_addc(&text, '\n');
		}
		pl_buf_adds(&text, "-----END CERTIFICATE-----\n");
		if (pl_certs_parse(&list, &n, text.data, text.len, &err) ==
		    PL_OK) {
			assert_int_equal(n, 1);
			read++;
		}
		pl_certs_free(list, n);
		der.data[i] ^= 0x55;
	}
	assert_true(read > 0 && read < der.len);
	pl_buf_clear(&der);
	pl_buf_clear(&text);
}

struct set {
	struct pl_cert **list;
	size_t n;
};

static struct set
parsed(const char *text)
{
	struct pl_err err;
	struct set s;

	if (pl_certs_parse(&s.list, &s.n, text, strlen(text), &err) != PL_OK)
		fail_msg("%s", err.text);
	return s;
}

static void
breaks(const char *text, const struct pl_trust *trust, int64_t now,
    const char *say)
{
	struct set s = parsed(text);
	struct pl_err err;
	bool trusted = true;

	pl_err_clear(&err);
	assert_int_equal(pl_certs_verify(s.list, s.n, s.list[0], trust,
	    true, now, &trusted, &err), PL_EREMOTE);
	assert_false(trusted);
	if (strstr(err.text, say) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", err.text, say);
	pl_certs_free(s.list, s.n);
}

static void
chains(void **state)
{
	struct pl_trust *system;
	struct pl_err err;
	struct set s = parsed(LEAF ISSUING ROOT);
	bool trusted = true;

	(void)state;
	assert_int_equal(pl_trust_open(&system, NULL, &err), PL_OK);
	breaks(LEAF, system, NOW, "unable to get local issuer");
	breaks(LEAF ROOT, system, NOW, "unable to get local issuer");
	breaks(LEAF ISSUING, system, NOW, "unable to get");
	breaks(LEAF ISSUING ROOT, system, LATER, "expired");
	breaks(LEAF ISSUING ROOT, system, 0, "not yet valid");
	breaks(GONE ISSUING ROOT, system, NOW, "expired");
	/* A root that came with one chain is not trusted for the next. */
	assert_int_equal(pl_certs_verify(s.list, s.n, s.list[0], system,
	    true, NOW, &trusted, &err), PL_OK);
	assert_false(trusted);
	breaks(LEAF ISSUING, system, NOW, "unable to get");
	pl_certs_free(s.list, s.n);
	pl_trust_close(system);
}

static void
trust(void **state)
{
	struct set s = parsed(LEAF ISSUING);
	struct pl_err err;
	bool trusted = false;
	struct pl_trust *own;
	char path[256];

	snprintf(path, sizeof(path), "%s/ca.pem", (const char *)*state);
	assert_int_equal(pl_file_write(path, ROOT, strlen(ROOT), 0600, &err),
	    PL_OK);
	assert_int_equal(pl_trust_open(&own, path, &err), PL_OK);
	if (pl_certs_verify(s.list, s.n, s.list[0], own, true, NOW, &trusted,
	    &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_true(trusted);
	pl_trust_close(own);
	assert_int_equal(pl_file_write(path, "none", 4, 0600, &err), PL_OK);
	assert_int_equal(pl_trust_open(&own, path, &err), PL_EINVAL);
	assert_null(own);
	assert_non_null(strstr(err.text, "ca.pem: cannot be used"));
	unlink(path);
	assert_int_equal(pl_trust_open(&own, path, &err), PL_EINVAL);
	assert_null(own);
	pl_certs_free(s.list, s.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(spoiled),
		cmocka_unit_test(chains),
		cmocka_unit_test(trust),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
