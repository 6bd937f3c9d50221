/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "certs.h"

#define NOW 1795000000000	/* November 2026 */

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
fields(void **state)
{
	struct set s = parsed("bag attributes\n" LEAF "\n\n" ISSUING ROOT LEAF);
	const struct pl_cert *c = s.list[0];
	struct pl_csr *csr;
	struct pl_err err;
	char when[PL_TIME_TEXT];

	(void)state;
	assert_int_equal(s.n, 3);	/* the repeat is left out */
	assert_string_equal(c->serial, "A1B2C3D4E5F60718293A4B5C6D7E8F90");
	assert_string_equal(c->subject, "CN=www.example.com,C=US");
	assert_string_equal(c->issuer, "CN=Test Issuing,O=Example CA");
	assert_string_equal(c->cn, "www.example.com");
	assert_int_equal(c->nnames, 2);
	assert_string_equal(c->names[0], "www.example.com");
	assert_string_equal(c->names[1], "example.com");
	assert_null(c->names[2]);
	pl_time_format(when, c->not_before);
	assert_string_equal(when, "2020-01-01T00:00:00Z");
	pl_time_format(when, c->not_after);
	assert_string_equal(when, "2120-01-01T00:00:00Z");
	assert_string_equal(c->pem, LEAF);
	assert_false(c->ca);
	assert_false(c->self_issued);
	assert_true(s.list[1]->ca);
	assert_false(s.list[1]->self_issued);
	assert_string_equal(s.list[1]->serial, "A1B2");
	assert_true(s.list[2]->ca);
	assert_true(s.list[2]->self_issued);
	assert_string_equal(s.list[2]->serial, "01");
	assert_int_equal(pl_csr_parse(&csr, LEAF_CSR, strlen(LEAF_CSR), &err),
	    PL_OK);
	assert_memory_equal(csr->spki, c->spki, 32);
	assert_memory_not_equal(csr->spki, s.list[1]->spki, 32);
	pl_csr_free(csr);
	pl_certs_free(s.list, s.n);
}

static void
issuers(void **state)
{
	struct set s = parsed(ROOT ISSUING LEAF);

	(void)state;
	assert_true(pl_cert_issued(s.list[2], s.list[1]));
	assert_true(pl_cert_issued(s.list[1], s.list[0]));
	assert_true(pl_cert_issued(s.list[0], s.list[0]));
	assert_false(pl_cert_issued(s.list[2], s.list[0]));
	assert_false(pl_cert_issued(s.list[1], s.list[2]));
	pl_certs_free(s.list, s.n);
}

/* By key and constraints, never by name or place. */
static void
leaf(void **state)
{
	struct set s = parsed(OLDER ROOT GONE ISSUING LEAF);
	const struct pl_cert *older = s.list[0], *gone = s.list[2],
	    *young = s.list[4];

	(void)state;
	assert_ptr_equal(pl_certs_leaf(s.list, s.n, NULL), young);
	assert_ptr_equal(pl_certs_leaf(s.list, s.n, young->spki), young);
	assert_ptr_equal(pl_certs_leaf(s.list, s.n, older->spki), older);
	assert_memory_equal(gone->spki, young->spki, 32);
	assert_null(pl_certs_leaf(s.list, s.n, s.list[1]->spki));
	assert_ptr_equal(pl_certs_leaf(s.list, 3, young->spki), gone);
	assert_null(pl_certs_leaf(s.list + 1, 1, NULL));
	assert_null(pl_certs_leaf(s.list, 0, NULL));
	pl_certs_free(s.list, s.n);
}

static void
chain(void **state)
{
	struct set s = parsed(ROOT OLDER LEAF ISSUING);
	const struct pl_cert *got[4];

	(void)state;
	assert_int_equal(pl_certs_chain(got, s.list, s.n, s.list[2]), 3);
	assert_ptr_equal(got[0], s.list[2]);
	assert_ptr_equal(got[1], s.list[3]);
	assert_ptr_equal(got[2], s.list[0]);
	/* Without the one between, the chain is the leaf alone. */
	assert_int_equal(pl_certs_chain(got, s.list, 3, s.list[2]), 1);
	assert_int_equal(pl_certs_chain(got, s.list, s.n, s.list[0]), 1);
	pl_certs_free(s.list, s.n);
}

static void
own_root(void **state)
{
	struct set s = parsed(LEAF ISSUING ROOT);
	struct pl_trust *trust;
	struct pl_err err;
	bool trusted = true;

	(void)state;
	assert_int_equal(pl_trust_open(&trust, NULL, &err), PL_OK);
	if (pl_certs_verify(s.list, s.n, s.list[0], trust, true, NOW,
	    &trusted, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_false(trusted);
	pl_trust_close(trust);
	trusted = true;
	if (pl_certs_verify(s.list, s.n, s.list[0], NULL, true, NOW,
	    &trusted, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_false(trusted);
	pl_certs_free(s.list, s.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(issuers),
		cmocka_unit_test(leaf),
		cmocka_unit_test(chain),
		cmocka_unit_test(own_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
