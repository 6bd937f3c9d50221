/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs.h"
#include "scratch.h"

static const char *const types[] = { "rsa2048", "rsa3072", "rsa4096", "p256",
	"p384" };
static const char *const shown[] = { "RSA 2048", "RSA 3072", "RSA 4096",
	"EC P-256", "EC P-384" };

static struct pl_key *
new_key(const char *type)
{
	struct pl_err err;
	struct pl_key *k;

	if (pl_key_new(&k, type, &err) != PL_OK)
		fail_msg("%s", err.text);
	return k;
}

static struct pl_csr *
made(const struct pl_key *k, const struct pl_csr_spec *spec)
{
	struct pl_err err;
	struct pl_buf pem;
	struct pl_csr *c = NULL;

	pl_buf_init(&pem, PL_CSR_MAX);
	if (pl_csr_make(&pem, k, spec, &err) != PL_OK ||
	    pl_csr_parse(&c, pem.data, pem.len, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_string_equal(c->pem, pem.data);
	pl_buf_clear(&pem);
	return c;
}

static void
requests(void **state)
{
	static const char *const names[] = { "www.example.com",
		"*.example.org" };
	const struct pl_csr_spec spec = { { .cn = "www.example.com",
		.o = "W\xc3\xaf" "dgets, Inc.", .ou = "Web", .l = "Akron",
		.st = "Ohio", .c = "US", .email = "pki@example.com" },
		names, 2 };
	unsigned char spki[32];
	struct pl_key *k;
	struct pl_csr *c;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(types); i++) {
		k = new_key(types[i]);
		c = made(k, &spec);
		assert_string_equal(c->key, shown[i]);
		assert_string_equal(c->cn, "www.example.com");
		assert_string_equal(c->o, "W\xc3\xaf" "dgets, Inc.");
		assert_string_equal(c->ou, "Web");
		assert_string_equal(c->l, "Akron");
		assert_string_equal(c->st, "Ohio");
		assert_string_equal(c->c, "US");
		assert_string_equal(c->email, "pki@example.com");
		assert_string_equal(c->subject, "emailAddress=pki@example.com,"
		    "CN=www.example.com,OU=Web,O=W\xc3\xaf" "dgets\\, Inc.,"
		    "L=Akron,ST=Ohio,C=US");
		assert_int_equal(c->nnames, 2);
		assert_string_equal(c->names[0], "www.example.com");
		assert_string_equal(c->names[1], "*.example.org");
		assert_null(c->names[2]);
		pl_key_spki(k, spki);
		assert_memory_equal(c->spki, spki, 32);
		pl_csr_free(c);
		pl_key_free(k);
	}
}

static void
few(void **state)
{
	const struct pl_csr_spec spec = { { .cn = "Ada Example" }, NULL, 0 };
	struct pl_key *k = new_key("p256"), *other = new_key("p256");
	struct pl_csr *c = made(k, &spec);
	unsigned char spki[32];

	(void)state;
	assert_string_equal(c->subject, "CN=Ada Example");
	assert_int_equal(c->nnames, 0);
	assert_null(c->o);
	pl_key_spki(other, spki);
	assert_memory_not_equal(c->spki, spki, 32);
	pl_csr_free(c);
	pl_key_free(k);
	pl_key_free(other);
}

/* The request and figures that the facts about Sectigo's hashes give. */
#define VECTOR \
	"MIIBHDCBwgIBADBgMQswCQYDVQQGEwJVUzENMAsGA1UECAwET2hpbzEOMAwGA1UE\n" \
	"BwwFQWtyb24xGDAWBgNVBAoMD0V4YW1wbGUgV2lkZ2V0czEYMBYGA1UEAwwPd3d3\n" \
	"LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOWmcmXykc0tb\n" \
	"uL8mDV5hVIkrijByNEmlFE1CslsjwkNX14KrdBVCHZb9G4Ieb9NzWYSc/AsbTmjV\n" \
	"D2e4HLKWwaAAMAoGCCqGSM49BAMCA0kAMEYCIQCbp06C5csP82LPdMIwXLGtqL19\n" \
	"wdFJa43X+3bGMNzdvQIhAMNvW6vJPI9TddzJ1pBJDRcBGkfdOmtRDQk7HUp/xZVn\n"

static void
vector_is(const char *text, size_t n)
{
	struct pl_csr *c;
	struct pl_buf hex;
	struct pl_err err;

	if (pl_csr_parse(&c, text, n, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_int_equal(c->der_len, 288);
	pl_buf_init(&hex, PL_LIM_LINE);
	pl_hex(&hex, c->md5, 16);
	pl_buf_addc(&hex, ' ');
	pl_hex(&hex, c->sha1, 20);
	pl_buf_addc(&hex, ' ');
	pl_hex(&hex, c->sha256, 32);
	assert_string_equal(hex.data, "33e7aef9afe28a34fe6c96ddedf3f267 "
	    "070cdd149a4ff0f2078b7514584ab3240e0d2ae8 "
	    "668c598327ef0ed0870e1227a780f2fe225605ee57909eebb6d61b8c48ed5e0c");
	pl_buf_clear(&hex);
	pl_csr_free(c);
}

static void
forms(void **state)
{
	static const char usual[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
	    VECTOR "-----END CERTIFICATE REQUEST-----\n",
	    old[] = "Some text before\n"
	    "-----BEGIN NEW CERTIFICATE REQUEST-----\n" VECTOR
	    "-----END NEW CERTIFICATE REQUEST-----\nand behind\n",
	    second[] = ROOT "-----BEGIN CERTIFICATE REQUEST-----\n" VECTOR
	    "-----END CERTIFICATE REQUEST-----\n";
	struct pl_buf der;
	struct pl_err err;

	(void)state;
	vector_is(usual, sizeof(usual) - 1);
	vector_is(old, sizeof(old) - 1);
	vector_is(second, sizeof(second) - 1);
	pl_buf_init(&der, PL_CSR_MAX);
	assert_int_equal(pl_base64_decode(&der, VECTOR, sizeof(VECTOR) - 1,
	    &err), PL_OK);
	vector_is(der.data, der.len);
	pl_buf_clear(&der);
}

/* Written, read back, the same key; 0600; with and without a passphrase. */
static void
files(void **state)
{
	const char *dir = *state;
	struct pl_secret *word = pl_secret_new("open sesame", 11), *pem;
	struct pl_key *k = new_key("p384"), *again;
	unsigned char a[32], b[32];
	struct pl_err err;
	struct stat st;
	char path[2][256];

	pl_key_spki(k, a);
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/key%d", dir, i);
		if (pl_key_write(k, path[i], i == 1 ? word : NULL, &err) !=
		    PL_OK || pl_secret_read(&pem, path[i], true, &err) !=
		    PL_OK)
			fail_msg("%s", err.text);
		assert_int_equal(stat(path[i], &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(strncmp(pl_secret_expose(pem), i == 1 ?
		    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" :
		    "-----BEGIN PRIVATE KEY-----\n", 27), 0);
		if (pl_key_parse(&again, pem, i == 1 ? word : NULL, &err) !=
		    PL_OK)
			fail_msg("%s", err.text);
		pl_key_spki(again, b);
		assert_memory_equal(a, b, 32);
		pl_key_free(again);
		pl_secret_free(pem);
	}
	pl_key_free(k);
	pl_secret_free(word);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(few),
		cmocka_unit_test(forms),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
