/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const none[] = { NULL };

static void
allow(enum pl_kind kind, const char *name, const char *value, bool apex,
    const char *const *patterns)
{
	struct pl_err err;

	if (pl_record_allowed(kind, name, value, strlen(value), apex,
	    patterns, &err) != PL_OK)
		fail_msg("%s", err.text);
}

static void
test_challenge_names(void **state)
{
	static const char *const names[] = {
		"_acme-challenge.example.com", "_acme-challenge.lab.test",
		"_acme-challenge.test", "_acme-challenge.a.b.example.co.uk",
		"_dnsauth.example.com", "_validation-persist.example.com",
		"_33e7aef9afe28a34fe6c96ddedf3f267.www.example.com",
		"_070cdd149a4ff0f2078b7514584ab3240e0d2ae8.example.com",
		"_ujmmovf2vn55tgye._acme-challenge.example.org",
		"_acme-challenge.xn--bcher-kva.example",
	};
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(names); i++) {
		allow(PL_TXT, names[i], "x", false, NULL);
		allow(PL_TXT, names[i], "x", true, none);
		allow(PL_CNAME, names[i], "a.ca.example", false, none);
	}
}

static void
test_apex(void **state)
{
	(void)state;
	allow(PL_TXT, "example.com", "token=1", true, NULL);
	allow(PL_TXT, "www.example.com", "token=1", true, NULL);
	allow(PL_TXT, "lab.test", "token=1", true, NULL);
}

static void
test_patterns(void **state)
{
	static const char *const first[] = { "_tok*", "x", NULL };
	static const char *const whole[] = { "dcv.*.example.com",
		"*.acme.example.net", "*a*b*.example.org", NULL };
	static const char *const all[] = { "*", NULL };

	(void)state;
	allow(PL_TXT, "_tok.example.com", "x", false, first);
	allow(PL_TXT, "_token-1.example.com", "x", false, first);
	allow(PL_CNAME, "x.example.com", "a.b", false, first);
	allow(PL_TXT, "dcv.www.example.com", "x", false, whole);
	allow(PL_TXT, "dcv.a.b.example.com", "x", false, whole);
	allow(PL_TXT, "0123abcd.acme.example.net", "x", false, whole);
	allow(PL_TXT, "xxaxxbxbx.example.org", "x", false, whole);
	allow(PL_TXT, "anything.example.com", "x", false, all);
}

static void
test_data(void **state)
{
	char big[PL_TXT_MAX + 1], *body = pl_alloc(PL_LIM_FILE + 1);

	(void)state;
	memset(big, '~', PL_TXT_MAX);
	big[PL_TXT_MAX] = '\0';
	allow(PL_TXT, "_dnsauth.example.com", big, false, NULL);
	allow(PL_TXT, "_validation-persist.example.com",
	    "ca.example; accounturi=https://ca.example/1", false, NULL);
	memset(body, '\n', PL_LIM_FILE);
	allow(PL_FILE, "/.well-known/pki-validation/a.txt", body, false, NULL);
	allow(PL_FILE, "/.well-known/acme-challenge/a", "x", false, NULL);
	free(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenge_names),
		cmocka_unit_test(test_apex),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
