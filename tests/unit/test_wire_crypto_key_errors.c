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

static void
kinds(void **state)
{
	static const char *const bad[] = { "", "rsa", "rsa1024", "RSA2048",
		"p256 ", "p521", "ed25519" };
	struct pl_key *k;
	struct pl_err err;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		assert_int_equal(pl_key_new(&k, bad[i], &err), PL_EINVAL);
		assert_null(k);
	}
}

static void
no_request(const char *text, size_t n, const char *say)
{
	struct pl_csr *c;
	struct pl_err err;

	pl_err_clear(&err);
	assert_int_equal(pl_csr_parse(&c, text, n, &err), PL_EINVAL);
	assert_null(c);
	if (strstr(err.text, say) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", err.text, say);
}

static void
requests(void **state)
{
	static const char csr[] = LEAF_CSR;
	char spoiled[sizeof(csr)], *much;
	struct pl_buf der;
	struct pl_err err;
	size_t large = PL_CSR_MAX + 1;

	(void)state;
	no_request("", 0, "empty");
	no_request("x", 1, "neither PEM nor DER");
	no_request(LEAF, strlen(LEAF), "neither PEM nor DER");
	no_request("0", 1, "malformed");
	no_request("\x30\x82\x01", 3, "malformed");
	much = calloc(1, large);
	no_request(much, large, "longer than");
	free(much);
	/* One octet of the name changed: the signature says so. */
	pl_buf_init(&der, PL_CSR_MAX);
	pl_base64_decode(&der, csr + 36, sizeof(csr) - 1 - 36 - 34, &err);
	assert_true(der.len > 100);
	der.data[45] ^= 1;
	no_request(der.data, der.len, "certificate request: ");
	der.data[45] ^= 1;
	pl_buf_addc(&der, '\0');
	no_request(der.data, der.len, "malformed");
	pl_buf_clear(&der);
	memcpy(spoiled, csr, sizeof(csr));
	spoiled[60] = '!';
	no_request(spoiled, strlen(spoiled), "neither PEM nor DER");
}

static void
subjects(void **state)
{
	static const struct { struct pl_subject s; const char *say; } bad[] = {
		{ { .cn = "a.example", .c = "USA" }, "country: two letters" },
		{ { .cn = "a.example", .c = "\xc3\xa9" }, "country" },
		{ { .cn = "a.example", .o = "\xff\xfe" }, "organization" },
		{ { .cn = "12345678901234567890123456789012345678901234567890"
		    "123456789012345.example" }, "common name" },
	};
	struct pl_csr_spec spec = { { .cn = NULL }, NULL, 0 };
	struct pl_key *k;
	struct pl_buf pem;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_key_new(&k, "p256", &err), PL_OK);
	pl_buf_init(&pem, PL_CSR_MAX);
	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		spec.subject = bad[i].s;
		pl_err_clear(&err);
		assert_int_equal(pl_csr_make(&pem, k, &spec, &err), PL_EINVAL);
		if (strstr(err.text, bad[i].say) == NULL)
			fail_msg("\"%s\" in place of \"%s\"", err.text,
			    bad[i].say);
		assert_int_equal(pem.len, 0);
	}
	pl_buf_clear(&pem);
	pl_key_free(k);
}

static void
wrong_word(struct pl_secret *pem, const char *word)
{
	struct pl_secret *s = word == NULL ? NULL : pl_secret_new(word,
	    strlen(word));
	struct pl_key *k;
	struct pl_err err;

	assert_int_equal(pl_key_parse(&k, pem, s, &err), PL_EINVAL);
	assert_null(k);
	if (word != NULL && *word != '\0')
		assert_null(strstr(err.text, word));
	pl_secret_free(s);
}

/* What is there is never overwritten, and a wrong passphrase never asked for. */
static void
files(void **state)
{
	const char *dir = *state;
	struct pl_secret *word = pl_secret_new("right", 5), *pem;
	struct pl_key *k;
	struct pl_buf before, after;
	struct pl_err err;
	struct stat st;
	char path[256], none[256], link[256];

	snprintf(path, sizeof(path), "%s/key", dir);
	snprintf(none, sizeof(none), "%s/none/key", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(pl_key_new(&k, "p256", &err), PL_OK);
	assert_int_equal(pl_key_write(k, none, NULL, &err), PL_EIO);
	assert_int_equal(pl_key_write(k, path, word, &err), PL_OK);
	pl_buf_init(&before, PL_LIM_FILE);
	pl_buf_init(&after, PL_LIM_FILE);
	pl_file_read(&before, path, &err);
	assert_int_equal(pl_key_write(k, path, NULL, &err), PL_EINVAL);
	/* A link that leads nowhere is something too. */
	assert_int_equal(symlink("elsewhere", link), 0);
	assert_int_equal(pl_key_write(k, link, NULL, &err), PL_EINVAL);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	pl_file_read(&after, path, &err);
	assert_string_equal(before.data, after.data);
	assert_int_equal(pl_secret_read(&pem, path, true, &err), PL_OK);
	wrong_word(pem, "wrong");
	wrong_word(pem, "");
	wrong_word(pem, NULL);
	pl_secret_free(pem);
	pem = pl_secret_new("no key", 6);
	wrong_word(pem, "right");
	wrong_word(pem, NULL);
	pl_secret_free(pem);
	pl_secret_free(word);
	pl_buf_clear(&before);
	pl_buf_clear(&after);
	pl_key_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(requests),
		cmocka_unit_test(subjects),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
