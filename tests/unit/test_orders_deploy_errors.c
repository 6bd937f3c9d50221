/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Certificates that must not be deployed, settings that make no sense. */
#include "scratch.h"

#include "certs.h"
#include "orders.h"

#define NOW (INT64_C(1700000000) * 1000)
#define IN_2019 (INT64_C(1560000000) * 1000)
#define WWW "www.example.com"

static const char *const names[] = { WWW };
static const char *const more[] = { WWW, "shop.example.com" };

static void
refused(const struct pl_deploy_cert *c, int64_t now, const char *says)
{
	unsigned char spki[32], sha256[32];
	struct pl_err err;

	assert_int_equal(pl_deploy_check(c, now, spki, sha256, &err),
	    PL_EREMOTE);
	if (strstr(err.text, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static struct pl_deploy_cert
cert(const char *leaf, const char *chain, const char *root)
{
	return (struct pl_deploy_cert){ .leaf = leaf, .chain = chain,
		.root = root, .names = names, .n = 1, .server = true };
}

static void
test_chain(void **state PL_UNUSED)
{
	struct pl_deploy_cert c = cert(LEAF, "", ROOT);

	refused(&c, NOW, "certificate chain");
	c = cert(LEAF, ISSUING, "");
	refused(&c, NOW, "certificate chain");
	c = cert(LEAF, ROOT ISSUING, ROOT);
	refused(&c, NOW, "has not signed");
	c = cert(LEAF, ISSUING OLDER, ROOT);
	refused(&c, NOW, "has not signed");
	c = cert(ISSUING, ROOT, ROOT);
	refused(&c, NOW, "a CA's");
	c = cert("", "", "");
	refused(&c, NOW, "none");
	c = cert("garbage\n", ISSUING, ROOT);
	refused(&c, NOW, "a CA's");
	c = cert("-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n", ISSUING, ROOT);
	refused(&c, NOW, "malformed");
}

static void
test_names_and_dates(void **state PL_UNUSED)
{
	struct pl_deploy_cert c = cert(LEAF, ISSUING, ROOT);

	c.names = more;
	c.n = 2;
	refused(&c, NOW, "not for shop.example.com");
	c = cert(LEAF, ISSUING, ROOT);
	refused(&c, IN_2019, "not before 2020-01-01");
	c = cert(GONE, ISSUING, ROOT);
	refused(&c, NOW, "ended at 2020-01-01");
}

static void
test_older(void **state PL_UNUSED)
{
	struct pl_deploy_cert c = cert(OLDER, ISSUING, ROOT);
	struct pl_err err;

	assert_int_equal(pl_deploy_newer(&c, LEAF ISSUING,
	    strlen(LEAF ISSUING), NOW, &err), PL_EREMOTE);
	assert_non_null(strstr(err.text, "older than"));
	/* With the key behind it, as in a combined file. */
	assert_int_equal(pl_deploy_newer(&c, LEAF "-----BEGIN PRIVATE KEY"
	    "-----\nAAAA\n-----END PRIVATE KEY-----\n", strlen(LEAF) + 50,
	    NOW, &err), PL_EREMOTE);
	/* What is there has ended: anything is better. */
	assert_int_equal(pl_deploy_newer(&c, GONE, strlen(GONE), NOW, &err),
	    PL_OK);
}

/* ---- settings -------------------------------------------------------------------- */

struct bad {
	const char *name, *value, *key;
	bool remote;
};

static void
test_settings(void **state PL_UNUSED)
{
	static const struct bad bad[] = {
		{ "files", "crt", "files", false },
		{ "cert-name", "a/b", "cert-name", false },
		{ "cert-name", "..", "cert-name", false },
		{ "cert-name", ".placard", "cert-name", false },
		{ "cert-name", "", "cert-name", false },
		{ "cert-name", "chain.pem", "cert-name", false },
		{ "mode", "abc", "mode", false },
		{ "mode", "0622", "mode", false },
		{ "mode", "0044", "mode", false },
		{ "key-mode", "0604", "key-mode", false },
		{ "key-mode", "0660", "key-mode", false },
		{ "owner", "no such user", "owner", false },
		{ "group", "no such group", "group", false },
		{ "owner", "0", "owner", true },
		{ "group", "0", "group", true },
		{ "reload", "nginx", "reload", false },
		{ "pre-check", "./nginx", "pre-check", false },
		{ "served", "host", "served", false },
		{ "served", "host:99999", "served", false },
		{ "served-name", "a.test", "served-name", false },
	};
	const char *directory = "/x", *key;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		struct pl_settings set = { 0 };

		pl_settings_add(&set, "directory", &directory, 1);
		pl_settings_add(&set, bad[i].name, &bad[i].value, 1);
		assert_int_equal(pl_deploy_settings(&set, bad[i].remote, &key,
		    &err), PL_EINVAL);
		assert_string_equal(key, bad[i].key);
		pl_settings_clear(&set);
	}
}

static void
test_no_directory(void **state PL_UNUSED)
{
	struct pl_settings set = { 0 };
	const char *key;
	struct pl_err err;

	assert_int_equal(pl_deploy_settings(&set, false, &key, &err),
	    PL_EINVAL);
	assert_string_equal(key, "directory");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_names_and_dates),
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
