/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYAUTH "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA." \
	"nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
/* base64url(SHA-256(KEYAUTH)), worked out by another program. */
#define DIGEST "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0"
#define ACCOUNT "https://example.com/acme/acct/ExampleAccount"

static struct pl_challenge
made(const struct pl_challenge_args *a)
{
	struct pl_challenge c;
	struct pl_err err;

	if (pl_challenge_make(&c, a, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_int_equal(c.kind, pl_method_kind(c.method));
	assert_int_equal(c.value_len, strlen(c.value));
	return c;
}

static void
gives(const struct pl_challenge_args *a, const char *record,
    const char *value)
{
	struct pl_challenge c = made(a);

	assert_string_equal(c.record, record);
	assert_string_equal(c.value, value);
	/* What the rules of the workers say of it, outside patterns. */
	if (c.kind != PL_NOTHING)
		assert_int_equal(pl_record_allowed(c.kind, c.record, c.value,
		    c.value_len, c.method == PL_DNS_TXT_TOKEN, NULL, NULL),
		    PL_OK);
	pl_challenge_clear(&c);
}

static void
test_words(void **state)
{
	enum pl_method m;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NMETHODS; i++) {
		assert_true(pl_method_parse(&m,
		    pl_method_name((enum pl_method)i)));
		assert_int_equal(m, i);
	}
	assert_string_equal(pl_method_name(PL_DNS_ACCOUNT_01),
	    "dns-account-01");
	assert_false(pl_method_parse(&m, "DNS-01"));
	assert_false(pl_method_parse(&m, ""));
	assert_string_equal(pl_kind_name(PL_TXT), "TXT");
	assert_string_equal(pl_kind_name(PL_CNAME), "CNAME");
	assert_string_equal(pl_kind_name(PL_FILE), "FILE");
	assert_int_equal(pl_method_kind(PL_DNS_CNAME_TOKEN), PL_CNAME);
	assert_int_equal(pl_method_kind(PL_HTTP_FILE), PL_FILE);
	assert_int_equal(pl_method_kind(PL_EMAIL), PL_NOTHING);
	assert_string_equal(pl_state_name(PL_QUEUED), "queued");
	assert_string_equal(pl_state_name(PL_PARTIAL), "partial");
}

static void
test_dns(void **state)
{
	struct pl_challenge_args a = {
		.method = "dns-01", .domain = "WWW.Example.com.",
		.value = DIGEST
	};

	(void)state;
	gives(&a, "_acme-challenge.www.example.com", DIGEST);
	a.value = NULL;
	a.key_authorization = KEYAUTH;
	gives(&a, "_acme-challenge.www.example.com", DIGEST);
	a.token = TOKEN;
	a.value = DIGEST;
	gives(&a, "_acme-challenge.www.example.com", DIGEST);
	a.key_authorization = NULL;
	gives(&a, "_acme-challenge.www.example.com", DIGEST);
}

static void
test_wildcard(void **state)
{
	struct pl_challenge_args a = {
		.method = "dns-01", .domain = "*.B\xc3\xbc" "cher.example",
		.value = DIGEST, .account = "lab", .ttl = 60
	};
	struct pl_challenge c = made(&a);

	(void)state;
	assert_true(c.wildcard);
	assert_false(c.standing);
	assert_string_equal(c.domain, "xn--bcher-kva.example");
	assert_string_equal(c.shown, "*.xn--bcher-kva.example");
	assert_string_equal(c.record, "_acme-challenge.xn--bcher-kva.example");
	assert_string_equal(c.account, "lab");
	assert_int_equal(c.ttl, 60);
	pl_challenge_clear(&c);
	pl_challenge_clear(&c);
	a.domain = "xn--bcher-kva.example";
	a.account = NULL;
	c = made(&a);
	assert_false(c.wildcard);
	assert_string_equal(c.shown, "xn--bcher-kva.example");
	assert_null(c.account);
	pl_challenge_clear(&c);
}

static void
test_dns_account(void **state)
{
	const struct pl_challenge_args a = {
		.method = "dns-account-01", .domain = "*.example.org",
		.key_authorization = KEYAUTH, .account_url = ACCOUNT
	};

	(void)state;
	gives(&a, "_ujmmovf2vn55tgye._acme-challenge.example.org", DIGEST);
}

static void
test_persist(void **state)
{
	struct pl_challenge_args a = {
		.method = "dns-persist-01", .domain = "example.com",
		.issuer = "CA.Example.", .account_url = "https://ca.example/a/1"
	};
	struct pl_challenge c;

	(void)state;
	gives(&a, "_validation-persist.example.com",
	    "ca.example; accounturi=https://ca.example/a/1");
	a.persist_until = 1893456000;
	gives(&a, "_validation-persist.example.com", "ca.example; "
	    "accounturi=https://ca.example/a/1; persistUntil=1893456000");
	a.policy = "wildcard";
	gives(&a, "_validation-persist.example.com", "ca.example; "
	    "accounturi=https://ca.example/a/1; policy=wildcard; "
	    "persistUntil=1893456000");
	/* Asked for a wildcard, the policy follows. */
	a.policy = NULL;
	a.persist_until = 0;
	a.domain = "*.example.com";
	c = made(&a);
	assert_true(c.standing);
	assert_string_equal(c.value, "ca.example; "
	    "accounturi=https://ca.example/a/1; policy=wildcard");
	pl_challenge_clear(&c);
}

static void
test_persist_whole(void **state)
{
	static const char *const values[] = {
		"ca.example; accounturi=https://ca.example/a/1",
		"ca.example;accounturi=https://ca.example/a/1;",
		("CA.example ; policy=wildcard ; new=x; "
		    "accounturi=https://ca.example/a/1 ; persistUntil=99"),
	};
	struct pl_challenge_args a = {
		.method = "dns-persist-01", .domain = "example.com"
	};
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(values); i++) {
		a.value = values[i];
		gives(&a, "_validation-persist.example.com", values[i]);
	}
	/* Told twice and alike. */
	a.issuer = "ca.example.";
	a.account_url = "https://ca.example/a/1";
	a.policy = "wildcard";
	a.persist_until = 99;
	gives(&a, "_validation-persist.example.com", values[2]);
}

static void
test_txt(void **state)
{
	char big[PL_TXT_MAX + 1];
	struct pl_challenge_args a = {
		.method = "dns-txt", .domain = "*.example.com",
		.value = "_k=v\"\\;~!"
	};

	(void)state;
	gives(&a, "example.com", "_k=v\"\\;~!");
	a.name = "_dnsauth.Example.com.";
	gives(&a, "_dnsauth.example.com", "_k=v\"\\;~!");
	a.name = "a.b.example.com";
	gives(&a, "a.b.example.com", "_k=v\"\\;~!");
	memset(big, 'x', PL_TXT_MAX);
	big[PL_TXT_MAX] = '\0';
	a.value = big;
	gives(&a, "a.b.example.com", big);
	a.value = "x";
	gives(&a, "a.b.example.com", "x");
}

/* The example of The SSL Store's sheet, section 3.4. */
static void
test_cname(void **state)
{
	const struct pl_challenge_args a = {
		.method = "dns-cname", .domain = "*.www.example.com",
		.name = "_33E7AEF9AFE28A34FE6C96DDEDF3F267.www.example.com",
		.value = "668c598327ef0ed0870e1227a780f2fe."
		    "225605ee57909eebb6d61b8c48ed5e0c.a1b2c3d4.Sectigo.com."
	};

	(void)state;
	gives(&a, "_33e7aef9afe28a34fe6c96ddedf3f267.www.example.com",
	    "668c598327ef0ed0870e1227a780f2fe."
	    "225605ee57909eebb6d61b8c48ed5e0c.a1b2c3d4.sectigo.com");
}

static void
test_http(void **state)
{
	const struct pl_challenge_args a = {
		.method = "http-01", .domain = "www.example.com",
		.token = TOKEN, .key_authorization = KEYAUTH
	};

	(void)state;
	gives(&a, "/.well-known/acme-challenge/" TOKEN, KEYAUTH);
}

static void
test_file(void **state)
{
	static const struct {
		const char *path, *record;
	} rows[] = {
		{ "33E7AEF9AFE28A34FE6C96DDEDF3F267.txt",
		    "/.well-known/pki-validation/"
		    "33E7AEF9AFE28A34FE6C96DDEDF3F267.txt" },
		{ "fileauth.txt", "/.well-known/pki-validation/fileauth.txt" },
		{ "gsdv.txt", "/.well-known/pki-validation/gsdv.txt" },
		{ "x_-1.html", "/.well-known/pki-validation/x_-1.html" },
		{ "/.well-known/pki-validation/a.htm",
		    "/.well-known/pki-validation/a.htm" },
		{ "/.well-known/acme-challenge/" TOKEN,
		    "/.well-known/acme-challenge/" TOKEN },
	};
	struct pl_challenge_args a = {
		.method = "http-file", .domain = "www.example.com",
		.content = "line\r\nother\n", .content_len = 12
	};
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++) {
		a.path = rows[i].path;
		gives(&a, rows[i].record, "line\r\nother\n");
	}
}

/* Octets are octets, NUL and all. */
static void
test_file_octets(void **state)
{
	char *big = pl_alloc(PL_LIM_FILE);
	const struct pl_challenge_args a = {
		.method = "http-file", .domain = "www.example.com",
		.path = "a.txt", .content = big, .content_len = PL_LIM_FILE
	};
	struct pl_challenge c;

	(void)state;
	memset(big + 1, 0xff, 100);
	assert_int_equal(pl_challenge_make(&c, &a, NULL), PL_OK);
	assert_int_equal(c.value_len, PL_LIM_FILE);
	assert_memory_equal(c.value, big, PL_LIM_FILE);
	assert_int_equal(c.value[PL_LIM_FILE], 0);
	pl_challenge_clear(&c);
	free(big);
}

static void
test_email(void **state)
{
	const struct pl_challenge_args a = {
		.method = "email", .domain = "*.example.com"
	};

	(void)state;
	gives(&a, "", "");
}

/* The longest domain that leaves room for the label. */
static void
test_long_names(void **state)
{
	char domain[300];
	struct pl_challenge_args a = {
		.method = "dns-01", .domain = domain, .value = DIGEST
	};
	struct pl_challenge c;
	struct pl_err err;
	size_t i;

	(void)state;
	memset(domain, 'a', sizeof(domain));
	for (i = 50; i < 253; i += 51)
		domain[i] = '.';
	domain[253 - 16] = '\0';
	c = made(&a);
	assert_int_equal(strlen(c.record), 253);
	pl_challenge_clear(&c);
	domain[253 - 16] = 'a';
	domain[253 - 15] = '\0';
	assert_int_equal(pl_challenge_make(&c, &a, &err), PL_EINVAL);
	assert_memory_equal(err.text, "domain: ", 8);
	assert_non_null(strstr(err.text, "_acme-challenge"));
	assert_null(c.domain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_dns_account),
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_persist_whole),
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_cname),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_octets),
		cmocka_unit_test(test_email),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
