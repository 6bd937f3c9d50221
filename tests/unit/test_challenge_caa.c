/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* CAA: who may issue, by which record. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "challenge.h"

/* What the world has: rows of one name each; value NULL: the lookup fails. */
struct row {
	const char *name;
	unsigned flags;
	const char *tag, *value;
};
struct world {
	const struct row *row;
	struct pl_caa_rr rr[16];
	unsigned asked;
};

static bool
lookup(void *ctx, const char *name, struct pl_caa_set *set)
{
	struct world *w = ctx;
	size_t n = 0;

	w->asked++;
	for (const struct row *r = w->row; r->name != NULL; r++) {
		if (strcmp(r->name, name) != 0)
			continue;
		if (r->tag == NULL)
			return false;
		if (r->value == NULL) {
			set->failed = r->tag;
			return true;
		}
		w->rr[n++] = (struct pl_caa_rr){ r->flags, r->tag, r->value,
			strlen(r->value) };
	}
	set->rr = w->rr;
	set->n = n;
	return true;
}

static void
check(const struct row *rows, const struct pl_caa_ask *ask,
    enum pl_caa expect, const char *words)
{
	struct world w = { .row = rows };
	struct pl_buf b;
	enum pl_caa got;

	pl_buf_init(&b, PL_LIM_LINE);
	got = pl_caa_climb(ask, lookup, &w, &b);
	if (got != expect || (words != NULL && strstr(b.data, words) == NULL))
		fail_msg("%d: %s", got, b.data);
	pl_buf_clear(&b);
}

static const struct pl_caa_ask plain = { .domain = "www.example.com",
	.ca = "sectigo.com" };

static void
test_climb(void **state)
{
	static const struct row none[] = { { NULL, 0, NULL, NULL } };
	static const struct row up[] = {
		{ "example.com", 0, "issue", "sectigo.com" },
		{ "com", 0, "issue", ";" }, { NULL, 0, NULL, NULL } };
	static const struct row near[] = {
		{ "www.example.com", 0, "issue", ";" },
		{ "example.com", 0, "issue", "sectigo.com" },
		{ NULL, 0, NULL, NULL } };

	(void)state;
	check(none, &plain, PL_CAA_ALLOWED, "no CAA record");
	check(up, &plain, PL_CAA_ALLOWED, "at example.com");
	check(near, &plain, PL_CAA_FORBIDDEN, "forbidden at www.example.com");
	check(near, &plain, PL_CAA_FORBIDDEN,
	    "www.example.com. CAA 0 issue \"sectigo.com\"");
}

static void
test_failures(void **state)
{
	static const struct row fails[] = {
		{ "www.example.com", 0, "SERVFAIL", NULL },
		{ "example.com", 0, "issue", "sectigo.com" },
		{ NULL, 0, NULL, NULL } };
	static const struct row waits[] = {
		{ "example.com", 0, NULL, "x" }, { NULL, 0, NULL, NULL } };

	(void)state;
	check(fails, &plain, PL_CAA_FAILED, "SERVFAIL");
	check(waits, &plain, PL_CAA_WAIT, NULL);
}

static void
test_wildcard(void **state)
{
	static const struct row both[] = {
		{ "example.com", 0, "issue", "sectigo.com" },
		{ "example.com", 0, "issuewild", "other.example" },
		{ NULL, 0, NULL, NULL } };
	static const struct row wild[] = {
		{ "example.com", 0, "issuewild", ";" },
		{ NULL, 0, NULL, NULL } };
	struct pl_caa_ask star = plain;

	(void)state;
	star.wildcard = true;
	check(both, &plain, PL_CAA_ALLOWED, NULL);
	check(both, &star, PL_CAA_FORBIDDEN, "CAA 0 issuewild");
	check(wild, &plain, PL_CAA_ALLOWED, "restrict nobody");
	check(wild, &star, PL_CAA_FORBIDDEN, NULL);
}

static void
test_critical(void **state)
{
	static const struct row crit[] = {
		{ "example.com", 128, "future", "x" },
		{ "example.com", 0, "issue", "sectigo.com" },
		{ NULL, 0, NULL, NULL } };
	static const struct row lax[] = {
		{ "example.com", 0, "future", "x" },
		{ "example.com", 128, "issue", "sectigo.com" },
		{ "example.com", 128, "iodef", "mailto:x@example.com" },
		{ NULL, 0, NULL, NULL } };

	(void)state;
	check(crit, &plain, PL_CAA_FORBIDDEN, "critical tag future");
	check(lax, &plain, PL_CAA_ALLOWED, NULL);
}

static void
one(const char *value, const struct pl_caa_ask *ask, enum pl_caa expect,
    const char *words)
{
	struct row rows[] = { { "example.com", 0, "issue", value },
		{ NULL, 0, NULL, NULL } };

	check(rows, ask, expect, words);
}

static void
test_values(void **state)
{
	struct pl_caa_ask two = plain;

	(void)state;
	two.ca = "comodoca.com,sectigo.com";
	one("  SECTIGO.com ", &plain, PL_CAA_ALLOWED, NULL);
	one("sectigo.com;", &plain, PL_CAA_ALLOWED, NULL);
	one("sectigo.com; policy=ev", &plain, PL_CAA_ALLOWED, NULL);
	one("sectigo.com", &two, PL_CAA_ALLOWED, NULL);
	one("notsectigo.com", &plain, PL_CAA_FORBIDDEN, NULL);
	one("sectigo.com.evil.example", &plain, PL_CAA_FORBIDDEN, NULL);
	one("", &plain, PL_CAA_FORBIDDEN, NULL);
	one("sectigo.com policy=ev", &plain, PL_CAA_FORBIDDEN, "malformed");
	one("sectigo.com; =ev", &plain, PL_CAA_FORBIDDEN, "malformed");
	one("sectigo.com; a=b c", &plain, PL_CAA_FORBIDDEN, "malformed");
	one("sectigo.com, other.example", &plain, PL_CAA_FORBIDDEN,
	    "malformed");
}

static void
test_account(void **state)
{
	struct pl_caa_ask a = plain;

	(void)state;
	one("sectigo.com; accounturi=acct:1", &a, PL_CAA_ALLOWED,
	    "for that account only");
	a.account_uri = "acct:1";
	one("sectigo.com; accounturi=acct:1", &a, PL_CAA_ALLOWED, NULL);
	one("sectigo.com; AccountURI = acct:1 ", &a, PL_CAA_ALLOWED, NULL);
	one("sectigo.com; accounturi=acct:2", &a, PL_CAA_FORBIDDEN,
	    "accounturi=acct:1");
	one("sectigo.com; accounturi=acct:11", &a, PL_CAA_FORBIDDEN, NULL);
	one("sectigo.com; accounturi=acct:1; accounturi=acct:1", &a,
	    PL_CAA_FORBIDDEN, "another account");
}

static void
test_methods(void **state)
{
	struct pl_caa_ask a = plain;

	(void)state;
	one("sectigo.com; validationmethods=ca-tbr-7", &a, PL_CAA_ALLOWED,
	    "by those methods only");
	a.methods = "ca-tbr-7";
	one("sectigo.com; validationmethods=ca-tbr-7", &a, PL_CAA_ALLOWED,
	    NULL);
	one("sectigo.com; validationmethods=dns-01,ca-tbr-7", &a,
	    PL_CAA_ALLOWED, NULL);
	one("sectigo.com; validationmethods=ca-tbr-70", &a, PL_CAA_FORBIDDEN,
	    "another method");
	one("sectigo.com; validationmethods=ca-tbr-18,http-01", &a,
	    PL_CAA_FORBIDDEN, "validationmethods=ca-tbr-7");
	one("sectigo.com; validationmethods=", &a, PL_CAA_FORBIDDEN, NULL);
	a.methods = "http-01,ca-tbr-18";
	one("sectigo.com; validationmethods=ca-tbr-18", &a, PL_CAA_ALLOWED,
	    NULL);
	assert_string_equal(pl_caa_label(PL_DNS_CNAME_TOKEN), "ca-tbr-7");
	assert_string_equal(pl_caa_label(PL_HTTP_01), "http-01");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_climb),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_critical),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
