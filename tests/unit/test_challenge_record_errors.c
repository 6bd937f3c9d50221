/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DCV "_acme-challenge.example.com"
#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const patterns[] = { "tok-*", "dcv.*.example.com", "mail",
	NULL };

static const struct {
	enum pl_kind kind;
	const char *name, *value, *says;
	bool apex;
} rows[] = {
	/* names that are no challenge's */
	{ PL_TXT, "example.com", "x", "does not look like", false },
	{ PL_TXT, "www.example.com", "x", "does not look like", false },
	{ PL_CNAME, "www.example.com", "a.b", "does not look like", true },
	{ PL_CNAME, "example.com", "a.b", "does not look like", true },
	{ PL_TXT, "_dmarc.example.com", "x", "does not look like", true },
	{ PL_TXT, "a._domainkey.example.com", "x", "does not look", true },
	{ PL_TXT, "acme-challenge.example.com", "x", "does not look", false },
	{ PL_TXT, "_acme-challengex.example.com", "x", "look like", false },
	{ PL_TXT, "www._acme-challenge.example.com", "x", "look like", true },
	{ PL_TXT, "33e7aef9afe28a34fe6c96ddedf3f267.example.com", "x",
	    "does not look like", false },
	{ PL_TXT, "_33e7aef9afe28a34fe6c96ddedf3f26.example.com", "x",
	    "does not look like", false },
	{ PL_TXT, "_33e7aef9afe28a34fe6c96ddedf3f26g.example.com", "x",
	    "does not look like", false },
	{ PL_TXT, "_ujmmovf2vn55tgye.example.com", "x", "look like", false },
	{ PL_TXT, "_ujmmovf2vn55tgy1._acme-challenge.example.com", "x",
	    "does not look like", false },
	{ PL_TXT, "atok-1.example.com", "x", "does not look like", false },
	{ PL_TXT, "dcv.example.com", "x", "does not look like", false },
	{ PL_TXT, "dcv.a.example.com.evil.test", "x", "look like", false },

	/* public suffixes */
	{ PL_TXT, "_acme-challenge.com", "x", "public suffix, com", false },
	{ PL_TXT, "_acme-challenge.co.uk", "x", "public suffix", false },
	{ PL_CNAME, "_dnsauth.co.uk", "a.b", "public suffix", false },
	{ PL_TXT, "_ujmmovf2vn55tgye._acme-challenge.co.uk", "x",
	    "public suffix", false },
	{ PL_TXT, "tok-1.co.uk", "x", "public suffix", false },
	{ PL_TXT, "mail.com", "x", "public suffix", false },
	{ PL_TXT, "com", "x", "public suffix", true },
	{ PL_TXT, "co.uk", "x", "public suffix", true },
	{ PL_TXT, "_acme-challenge", "x", "no domain", false },
	{ PL_TXT, "_dnsauth._dnsauth", "x", "no domain", true },

	/* not in canonical form */
	{ PL_TXT, "", "x", "canonical", true },
	{ PL_TXT, "_acme-challenge.Example.com", "x", "canonical", false },
	{ PL_TXT, DCV ".", "x", "canonical", false },
	{ PL_TXT, "." DCV, "x", "canonical", false },
	{ PL_TXT, "_acme-challenge..example.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.*.example.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.a b.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.a\nb.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.a\\046b.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.-a.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge.a_b.com", "x", "canonical", false },
	{ PL_TXT, "_acme-challenge." L60 "aaaa.com", "x", "canon", false },
	{ PL_TXT, "_acme-challenge." L60 "." L60 "." L60 "." L60, "x",
	    "canonical", false },

	/* data */
	{ PL_TXT, DCV, "", "empty", false },
	{ PL_TXT, DCV, "a b", "octet 2 (0x20)", false },
	{ PL_TXT, DCV, "a\nb", "octet 2 (0x0a)", false },
	{ PL_TXT, DCV, "\xff", "octet 1 (0xff)", false },
	{ PL_TXT, "_validation-persist.example.com", "a\tb", "0x09", false },
	{ PL_CNAME, DCV, "", "canonical", false },
	{ PL_CNAME, DCV, "A.example", "canonical", false },
	{ PL_CNAME, DCV, "a.example.", "canonical", false },
	{ PL_CNAME, DCV, "a b", "canonical", false },
	{ PL_CNAME, DCV, DCV, "itself", false },
	{ PL_NOTHING, DCV, "x", "nothing to publish", false },

	/* files */
	{ PL_FILE, DCV, "x", "is not below", false },
	{ PL_FILE, "", "x", "is not below", false },
	{ PL_FILE, "/etc/passwd", "x", "is not below", true },
	{ PL_FILE, "/.well-known/x/a.txt", "x", "is not below", false },
	{ PL_FILE, "/.well-known/acme-challenge", "x", "below", false },
	{ PL_FILE, "/.well-known/acme-challenge/", "x", "name", false },
	{ PL_FILE, "/.well-known/acme-challenge/..", "x", "name", false },
	{ PL_FILE, "/.well-known/acme-challenge/a/b", "x", "name", false },
	{ PL_FILE, "/.well-known/pki-validation/.htaccess", "x", "name",
	    false },
	{ PL_FILE, "/.well-known/pki-validation/a.php", "x", "name", false },
	{ PL_FILE, "/.well-known/pki-validation/a.txt", "", "empty", false },
};

static void
test_rows(void **state)
{
	struct pl_err err;
	size_t i, n;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++) {
		if (pl_record_allowed(rows[i].kind, rows[i].name,
		    rows[i].value, strlen(rows[i].value), rows[i].apex,
		    patterns, &err) != PL_EINVAL)
			fail_msg("row %zu (%s) was allowed", i, rows[i].name);
		n = strcspn(rows[i].name, "\n");
		n = n > 100 ? 100 : n;
		if (strncmp(err.text, rows[i].name, n) != 0 ||
		    strstr(err.text, rows[i].says) == NULL)
			fail_msg("row %zu: \"%s\" does not say \"%s\"", i,
			    err.text, rows[i].says);
		assert_int_equal(pl_record_allowed(rows[i].kind,
		    rows[i].name, rows[i].value, strlen(rows[i].value),
		    rows[i].apex, patterns, NULL), PL_EINVAL);
	}
}

static void
test_sizes(void **state)
{
	char *big = pl_alloc(PL_LIM_FILE + 2);

	(void)state;
	memset(big, 'x', PL_LIM_FILE + 1);
	assert_int_equal(pl_record_allowed(PL_TXT, DCV, big, PL_TXT_MAX + 1,
	    false, NULL, NULL), PL_EINVAL);
	assert_int_equal(pl_record_allowed(PL_TXT, DCV, big, PL_TXT_MAX,
	    false, NULL, NULL), PL_OK);
	assert_int_equal(pl_record_allowed(PL_FILE,
	    "/.well-known/pki-validation/a.txt", big, PL_LIM_FILE + 1, false,
	    NULL, NULL), PL_EINVAL);
	/* A length that hides octets behind a NUL. */
	assert_int_equal(pl_record_allowed(PL_TXT, DCV, "a\0b", 3, false,
	    NULL, NULL), PL_EINVAL);
	assert_int_equal(pl_record_allowed(PL_CNAME, DCV, "a\0b", 3, false,
	    NULL, NULL), PL_EINVAL);
	free(big);
}

/* Many stars against a long name end soon. */
static void
test_stars(void **state)
{
	static const char *const stars[] = {
		"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b.*", NULL };

	(void)state;
	assert_int_equal(pl_record_allowed(PL_TXT, L60 "." L60 "." L60
	    ".example.com", "x", 1, false, stars, NULL), PL_EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_stars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
