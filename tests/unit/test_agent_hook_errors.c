/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"

static const char *
nothing(const char *name PL_UNUSED)
{
	return NULL;
}

static const char *
no_value(const char *name)
{
	return strcmp(name, "CERTBOT_DOMAIN") == 0 ? "example.com" : NULL;
}

static const char *
bad_value(const char *name)
{
	return strcmp(name, "CERTBOT_VALIDATION") == 0 ? "short" :
	    no_value(name);
}

static const struct {
	const char *tool;
	const char *(*get)(const char *name);
	const char *words[8];
	const char *text;	/* part of the error */
} cases[] = {
	{ "getssl", nothing, { NULL }, "hook: getssl" },
	{ "certbot", nothing, { NULL }, "CERTBOT_DOMAIN" },
	{ "certbot", no_value, { NULL }, "CERTBOT_VALIDATION" },
	{ "certbot", bad_value, { NULL }, "value" },
	{ "certbot", bad_value, { "again" }, "auth, cleanup" },
	{ "certbot", bad_value, { "auth", "auth" }, "auth, cleanup" },
	{ "dehydrated", nothing, { NULL }, "function" },
	{ "dehydrated", nothing, { "deploy_challenge" }, "DOMAIN TOKEN" },
	{ "dehydrated", nothing, { "deploy_challenge", "a.example", "t", DIGEST,
	    "b.example" }, "DOMAIN TOKEN" },
	{ "dehydrated", nothing, { "clean_challenge", "a.example", "t", "v" },
	    "value" },
	{ "uacme", nothing, { "begin", "dns-01", "a.example", "t" }, "IDENT" },
	{ "uacme", nothing, { "stop", "dns-01", "a.example", "t", DIGEST },
	    "begin, done" },
	{ "uacme", nothing, { "begin", "http-01", "a.example", "t", DIGEST },
	    "key-authorization" },
	{ "lego", nothing, { NULL }, "present or cleanup" },
	{ "lego", nothing, { "present", "_acme-challenge.a.example." },
	    "FQDN" },
	{ "lego", nothing, { "present", "-", "a.example", "t", "t.x" },
	    "FQDN" },
	{ "lego", nothing, { "present", "--", "a.example", "t", "u.x" },
	    "token" },
	{ "lego", nothing, { "present", "name", DIGEST }, "owner name" },
	{ "lego", nothing, { "present", "_acme-challenge.a.example.", "x" },
	    "value" },
	{ "mod_md", nothing, { NULL }, "setup or" },
	{ "mod_md", nothing, { "setup", "a.example" }, "DOMAIN" },
	{ "mod_md", nothing, { "teardown" }, "DOMAIN" },
	{ "mod_md", nothing, { "teardown", "bad..name" }, "domain" },
	{ "acme.sh", nothing, { "add", "_acme-challenge.a.example" },
	    "--print" },
	{ "acme.sh", nothing, { "--print", "more" }, "--print" },
};

static void
test_refused(void **state PL_UNUSED)
{
	for (size_t i = 0; i < PL_NELEM(cases); i++) {
		char *argv[8];
		struct pl_hook h;
		struct pl_err err;
		int n = 0;

		pl_err_clear(&err);
		for (; n < 8 && cases[i].words[n] != NULL; n++)
			argv[n] = pl_strdup(cases[i].words[n]);
		if (pl_hook_read(&h, cases[i].tool, n, argv, cases[i].get,
		    &err) != PL_EINVAL)
			fail_msg("case %zu was taken", i);
		if (strstr(err.text, cases[i].text) == NULL)
			fail_msg("case %zu: \"%s\" says nothing of %s", i,
			    err.text, cases[i].text);
		/* Nothing is left to free. */
		assert_null(h.job.challenges);
		while (n > 0)
			free(argv[--n]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
