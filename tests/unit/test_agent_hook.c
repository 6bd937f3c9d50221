/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
#define OTHER "yJRm6Zc2wd3NWA-tOk9oFYzlSNRe3XbFpVaqoM3mOyQ"
#define KEYAUTH "tok.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

/* An environment of pairs, and one without anything. */
static const char *
nothing(const char *name PL_UNUSED)
{
	return NULL;
}

static const char *
last_of_two(const char *name)
{
	return strcmp(name, "CERTBOT_DOMAIN") == 0 ? "example.com" :
	    strcmp(name, "CERTBOT_VALIDATION") == 0 ? DIGEST :
	    strcmp(name, "CERTBOT_ALL_DOMAINS") == 0 ?
	    "example.com,example.com" :
	    strcmp(name, "CERTBOT_REMAINING_CHALLENGES") == 0 ? "0" : NULL;
}

static const char *
first_of_two(const char *name)
{
	return strcmp(name, "CERTBOT_REMAINING_CHALLENGES") == 0 ? "1" :
	    last_of_two(name);
}

static const char *
cleaning(const char *name)
{
	return strcmp(name, "CERTBOT_AUTH_OUTPUT") == 0 ?
	    "placard example.com " DIGEST : last_of_two(name);
}

static const char *
stale_output(const char *name)
{
	return strcmp(name, "CERTBOT_AUTH_OUTPUT") == 0 ?
	    "placard example.net " OTHER : last_of_two(name);
}

static const char *
file_challenge(const char *name)
{
	return strcmp(name, "CERTBOT_TOKEN") == 0 ? "tok" :
	    strcmp(name, "CERTBOT_VALIDATION") == 0 ? KEYAUTH :
	    last_of_two(name);
}

static const char *
type_http(const char *name)
{
	return strcmp(name, "CHALLENGETYPE") == 0 ? "http-01" : NULL;
}

static const char *
type_alpn(const char *name)
{
	return strcmp(name, "CHALLENGETYPE") == 0 ? "tls-alpn-01" : NULL;
}

/* Reads the words of a tool, given with a NULL behind them. */
static enum pl_code
read_words(struct pl_hook *h, const char *tool,
    const char *(*get)(const char *), struct pl_err *err, ...)
{
	char *argv[16];
	va_list ap;
	int n = 0;

	va_start(ap, err);
	while ((argv[n] = va_arg(ap, char *)) != NULL)
		n++;
	va_end(ap);
	pl_err_clear(err);
	return pl_hook_read(h, tool, n, argv, get, err);
}

#define READ(h, tool, get, ...) do { \
	struct pl_err e_; \
	if (read_words(h, tool, get, &e_, __VA_ARGS__) != PL_OK) \
		fail_msg("%s", e_.text); \
} while (0)

static void
is_dns(const struct pl_challenge *c, const char *record, const char *value)
{
	assert_int_equal(c->kind, PL_TXT);
	assert_int_equal(c->method, PL_DNS_01);
	assert_string_equal(c->record, record);
	assert_string_equal(c->value, value);
}

static void
test_certbot(void **state PL_UNUSED)
{
	struct pl_hook a, b, c;

	READ(&a, "certbot", first_of_two, NULL);
	READ(&b, "certbot", last_of_two, NULL);
	assert_int_equal(a.act, PL_HOOK_ADD);
	assert_false(a.wait);
	assert_true(b.wait);
	assert_true(b.rest);
	assert_int_equal(b.rest_of, 2);
	assert_true(b.keep);
	/* One run is one job. */
	assert_string_equal(a.job.id, b.job.id);
	assert_non_null(strstr(a.said, DIGEST));
	is_dns(&a.job.challenges[0], "_acme-challenge.example.com", DIGEST);
	READ(&c, "certbot", cleaning, NULL);
	assert_int_equal(c.act, PL_HOOK_REMOVE);
	pl_hook_clear(&c);
	READ(&c, "certbot", cleaning, "auth", NULL);
	assert_int_equal(c.act, PL_HOOK_ADD);
	pl_hook_clear(&c);
	READ(&c, "certbot", last_of_two, "cleanup", NULL);
	assert_int_equal(c.act, PL_HOOK_REMOVE);
	pl_hook_clear(&c);
	READ(&c, "certbot", stale_output, NULL);
	assert_int_equal(c.act, PL_HOOK_ADD);
	pl_hook_clear(&a);
	pl_hook_clear(&b);
	pl_hook_clear(&c);
}

static void
test_certbot_file(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "certbot", file_challenge, NULL);
	assert_int_equal(h.job.challenges[0].method, PL_HTTP_01);
	assert_string_equal(h.job.challenges[0].record,
	    "/.well-known/acme-challenge/tok");
	assert_string_equal(h.job.challenges[0].value, KEYAUTH);
	pl_hook_clear(&h);
}

static void
test_dehydrated(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "dehydrated", nothing, "deploy_challenge", "example.com",
	    "tok", DIGEST, "example.org", "tok", KEYAUTH, NULL);
	assert_int_equal(h.act, PL_HOOK_ADD);
	assert_int_equal(h.job.n, 2);
	is_dns(&h.job.challenges[0], "_acme-challenge.example.com", DIGEST);
	assert_int_equal(h.job.challenges[1].method, PL_HTTP_01);
	assert_true(h.wait);
	assert_false(h.keep);
	pl_hook_clear(&h);
	READ(&h, "dehydrated", type_http, "clean_challenge", "example.com",
	    "tok", KEYAUTH, NULL);
	assert_int_equal(h.act, PL_HOOK_REMOVE);
	assert_int_equal(h.job.challenges[0].kind, PL_FILE);
	pl_hook_clear(&h);
	READ(&h, "dehydrated", type_alpn, "deploy_challenge", "example.com",
	    "tok", DIGEST, NULL);
	assert_int_equal(h.act, PL_HOOK_NOTHING);
	pl_hook_clear(&h);
	READ(&h, "dehydrated", nothing, "some_new_function", "x", NULL);
	assert_int_equal(h.act, PL_HOOK_NOTHING);
	pl_hook_clear(&h);
}

static void
test_uacme(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "uacme", nothing, "begin", "dns-01", "example.com", "tok",
	    DIGEST, NULL);
	is_dns(&h.job.challenges[0], "_acme-challenge.example.com", DIGEST);
	assert_int_equal(h.act, PL_HOOK_ADD);
	pl_hook_clear(&h);
	READ(&h, "uacme", nothing, "failed", "http-01", "example.com", "tok",
	    KEYAUTH, NULL);
	assert_int_equal(h.act, PL_HOOK_REMOVE);
	pl_hook_clear(&h);
	READ(&h, "uacme", nothing, "begin", "tls-alpn-01", "a.b", "t", "x",
	    NULL);
	assert_int_equal(h.act, PL_HOOK_DECLINE);
	pl_hook_clear(&h);
	READ(&h, "uacme", nothing, "done", "tls-alpn-01", "a.b", "t", "x",
	    NULL);
	assert_int_equal(h.act, PL_HOOK_NOTHING);
	pl_hook_clear(&h);
}

static void
test_lego(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "lego", nothing, "present", "_acme-challenge.example.com.",
	    DIGEST, NULL);
	is_dns(&h.job.challenges[0], "_acme-challenge.example.com", DIGEST);
	pl_hook_clear(&h);
	/* An alias target is held to the rules of a challenge. */
	READ(&h, "lego", nothing, "present", "x1.acme.example.net.", DIGEST,
	    NULL);
	is_dns(&h.job.challenges[0], "x1.acme.example.net", DIGEST);
	assert_string_equal(h.job.challenges[0].domain, "acme.example.net");
	pl_hook_clear(&h);
	READ(&h, "lego", nothing, "cleanup", "--", "example.com.", "tok",
	    KEYAUTH, NULL);
	assert_int_equal(h.act, PL_HOOK_REMOVE);
	assert_string_equal(h.job.challenges[0].record,
	    "_acme-challenge.example.com");
	assert_int_equal(h.job.challenges[0].value_len, 43);
	pl_hook_clear(&h);
}

static void
test_mod_md(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "mod_md", nothing, "setup", "example.com", DIGEST, NULL);
	assert_int_equal(h.act, PL_HOOK_ADD);
	assert_memory_equal(h.job.id, "mod_md-", 7);
	pl_hook_clear(&h);
	READ(&h, "mod_md", nothing, "teardown", "example.com", DIGEST, NULL);
	assert_int_equal(h.act, PL_HOOK_REMOVE);
	pl_hook_clear(&h);
	READ(&h, "mod_md", nothing, "teardown", "example.com", NULL);
	assert_int_equal(h.act, PL_HOOK_REMOVE_NAME);
	assert_string_equal(h.name, "_acme-challenge.example.com");
	pl_hook_clear(&h);
	READ(&h, "mod_md", nothing, "renewing", "example.com", NULL);
	assert_int_equal(h.act, PL_HOOK_NOTHING);
	pl_hook_clear(&h);
}

static void
test_acme_sh(void **state PL_UNUSED)
{
	struct pl_hook h;

	READ(&h, "acme.sh", nothing, "add", "_acme-challenge.example.com",
	    DIGEST, NULL);
	is_dns(&h.job.challenges[0], "_acme-challenge.example.com", DIGEST);
	pl_hook_clear(&h);
	READ(&h, "acme.sh", nothing, "--print", NULL);
	assert_int_equal(h.act, PL_HOOK_PRINT);
	pl_hook_clear(&h);
}

static void
test_jobs_differ(void **state PL_UNUSED)
{
	struct pl_hook a, b;

	READ(&a, "acme.sh", nothing, "add", "_acme-challenge.a.example",
	    DIGEST, NULL);
	READ(&b, "acme.sh", nothing, "add", "_acme-challenge.a.example",
	    DIGEST, NULL);
	assert_string_not_equal(a.job.id, b.job.id);
	pl_hook_clear(&a);
	pl_hook_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certbot),
		cmocka_unit_test(test_certbot_file),
		cmocka_unit_test(test_dehydrated),
		cmocka_unit_test(test_uacme),
		cmocka_unit_test(test_lego),
		cmocka_unit_test(test_mod_md),
		cmocka_unit_test(test_acme_sh),
		cmocka_unit_test(test_jobs_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
