/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Every refusal names the member that is wrong, as its first word. */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V43 "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0"
#define KA "tok.thumb"
#define D "example.com"
#define M_DNS .method = "dns-01"
#define DNS M_DNS, .domain = D
#define M_TXT .method = "dns-txt"
#define TXT M_TXT, .domain = D
#define M_CNAME .method = "dns-cname"
#define CNAME M_CNAME, .domain = D
#define M_HTTP .method = "http-01"
#define HTTP M_HTTP, .domain = D
#define M_FILE_ .method = "http-file"
#define FILE_ M_FILE_, .domain = D
#define CONTENT .content = "x", .content_len = 1
#define M_PERSIST .method = "dns-persist-01"
#define PERSIST M_PERSIST, .domain = D
#define URI "https://ca.example/a/1"
#define A65 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A130 A65 A65

static const struct {
	const char *member, *says;
	struct pl_challenge_args a;
} rows[] = {
	/* method */
	{ "method", "missing", { .domain = D, .value = V43 } },
	{ "method", "dns-02", { .method = "dns-02", .domain = D } },
	{ "method", "none of", { .method = "DNS-01", .domain = D } },
	{ "method", "none of", { .method = "", .domain = D } },

	/* domain, whatever the method */
	{ "domain", "missing", { .method = "dns-01", .value = V43 } },
	{ "domain", "empty", { M_DNS, .domain = "", .value = V43 } },
	{ "domain", "empty", { M_DNS, .domain = "*.", .value = V43 } },
	{ "domain", "wildcard", { M_DNS, .domain = "*.*.a", .value = V43 } },
	{ "domain", "0x2a", { M_DNS, .domain = "*", .value = V43 } },
	{ "domain", "0x2a", { M_DNS, .domain = "a*.b", .value = V43 } },
	{ "domain", "0x0a", { M_DNS, .domain = D "\n", .value = V43 } },
	{ "domain", "0x0d", { M_DNS, .domain = "a\r.b", .value = V43 } },
	{ "domain", "0x20", { M_DNS, .domain = " " D, .value = V43 } },
	{ "domain", "0x2f", { M_DNS, .domain = "../etc", .value = V43 } },
	{ "domain", "underscore", { M_DNS, .domain = "_a." D, .value = V43 } },
	{ "domain", "address", { M_DNS, .domain = "192.0.2.1", .value = V43 } },
	{ "domain", "address", { M_DNS, .domain = "1", .value = V43 } },
	{ "domain", "0x3a", { M_DNS, .domain = "2001:db8::1", .value = V43 } },
	{ "domain", "public suffix", { M_DNS, .domain = "com", .value = V43 } },
	{ "domain", "public suffix",
	    { M_DNS, .domain = "*.co.uk", .value = V43 } },
	{ "domain", "public suffix", { .method = "email", .domain = "org" } },
	{ "domain", "wildcard", { M_HTTP, .domain = "*." D, .token = "tok",
	    .key_authorization = KA } },
	{ "domain", "wildcard", { M_FILE_, .domain = "*." D, .path = "a.txt",
	    CONTENT } },

	/* account and ttl */
	{ "account", "0 octets", { DNS, .value = V43, .account = "" } },
	{ "account", "0x0a", { DNS, .value = V43, .account = "a\nb" } },
	{ "account", "130 octets", { DNS, .value = V43, .account = A130 } },
	{ "ttl", "2147483648", { DNS, .value = V43, .ttl = 2147483648u } },

	/* dns-01 */
	{ "value", "missing", { DNS } },
	{ "value", "missing", { DNS, .token = "tok" } },
	{ "value", "42 characters", { DNS, .value = &V43[1] } },
	{ "value", "44 characters", { DNS, .value = V43 "A" } },
	{ "value", "0 characters", { DNS, .value = "" } },
	{ "value", "octet 44 (0x3d)", { DNS, .value = V43 "=" } },
	{ "value", "octet 44 (0x0a)", { DNS, .value = V43 "\n" } },
	{ "value", "octet 1 (0x20)", { DNS, .value = " " V43 } },
	{ "value", "octet 4 (0x22)", { DNS, .value = "abc\"" } },
	{ "value", "octet 1 (0xc3)", { DNS, .value = "\xc3\xbc" } },
	{ "value", "not the digest", { DNS, .value = V43,
	    .key_authorization = KA } },
	{ "token", "before the dot", { DNS, .token = "other",
	    .key_authorization = KA } },
	{ "token", "before the dot", { DNS, .token = "to",
	    .key_authorization = KA } },
	{ "token", "octet 1 (0x2e)", { DNS, .token = "..", .value = V43 } },
	{ "token", "octet 2 (0x2f)", { DNS, .token = "a/b", .value = V43 } },
	{ "token", "0 characters", { DNS, .token = "", .value = V43 } },
	{ "token", "130 characters", { DNS, .token = A130, .value = V43 } },
	{ "key-authorization", "TOKEN.THUMB", { DNS,
	    .key_authorization = "" } },
	{ "key-authorization", "TOKEN.THUMB", { DNS,
	    .key_authorization = "tok" } },
	{ "key-authorization", "TOKEN.THUMB", { DNS,
	    .key_authorization = "tok." } },
	{ "key-authorization", "TOKEN.THUMB", { DNS,
	    .key_authorization = ".thumb" } },
	{ "key-authorization", "octet 6 (0x2e)", { DNS,
	    .key_authorization = "tok.a.b" } },
	{ "key-authorization", "octet 2 (0x0d)", { DNS,
	    .key_authorization = "a\rb" } },
	{ "key-authorization", "128", { DNS,
	    .key_authorization = A130 ".x" } },
	{ "name", "does not belong to dns-01", { DNS, .value = V43,
	    .name = D } },
	{ "path", "does not belong", { DNS, .value = V43, .path = "a" } },
	{ "content", "does not belong", { DNS, .value = V43, CONTENT } },
	{ "account-url", "does not belong", { DNS, .value = V43,
	    .account_url = URI } },
	{ "issuer", "does not belong", { DNS, .value = V43,
	    .issuer = "ca.example" } },
	{ "policy", "does not belong", { DNS, .value = V43,
	    .policy = "wildcard" } },
	{ "persist-until", "does not belong", { DNS, .value = V43,
	    .persist_until = 1 } },

	/* dns-account-01 */
	{ "account-url", "missing", { .method = "dns-account-01",
	    .domain = D, .value = V43 } },
	{ "account-url", "not a URI", { .method = "dns-account-01",
	    .domain = D, .value = V43, .account_url = "x" } },
	{ "account-url", "not a URI", { .method = "dns-account-01",
	    .domain = D, .value = V43, .account_url = "" } },
	{ "account-url", "(0x20)", { .method = "dns-account-01",
	    .domain = D, .value = V43, .account_url = "https://a b" } },
	{ "value", "missing", { .method = "dns-account-01", .domain = D,
	    .account_url = URI } },

	/* dns-persist-01 */
	{ "issuer", "missing", { PERSIST, .account_url = URI } },
	{ "account-url", "missing", { PERSIST, .issuer = "ca.example" } },
	{ "account-url", "(0x3b)", { PERSIST, .issuer = "ca.example",
	    .account_url = "https://a;policy=wildcard" } },
	{ "issuer", "(0x3b)", { PERSIST, .issuer = "ca.example;x",
	    .account_url = URI } },
	{ "issuer", "empty", { PERSIST, .issuer = "", .account_url = URI } },
	{ "policy", "wildcard", { PERSIST, .issuer = "ca.example",
	    .account_url = URI, .policy = "any" } },
	{ "persist-until", "-1", { PERSIST, .issuer = "ca.example",
	    .account_url = URI, .persist_until = -1 } },
	{ "value", "empty", { PERSIST, .value = "" } },
	{ "value", "accounturi", { PERSIST, .value = "ca.example" } },
	{ "value", "empty", { PERSIST, .value = "; accounturi=" URI } },
	{ "value", "twice", { PERSIST, .value = "ca.example; accounturi="
	    URI "; accounturi=" URI } },
	{ "value", "parameter", { PERSIST, .value = "ca.example; "
	    "accounturi=" URI "; policy" } },
	{ "value", "parameter", { PERSIST, .value = "ca.example; ; "
	    "accounturi=" URI } },
	{ "value", "parameter", { PERSIST, .value = "ca.example; "
	    "accounturi=https://a b" } },
	{ "value", "not a URI", { PERSIST, .value = "ca.example; "
	    "accounturi=x" } },
	{ "value", "persistUntil", { PERSIST, .value = "ca.example; "
	    "accounturi=" URI "; persistUntil=soon" } },
	{ "value", "(0x0a)", { PERSIST, .value = "ca.example;\n"
	    "accounturi=" URI } },
	{ "issuer", "value says", { PERSIST, .issuer = "other.example",
	    .value = "ca.example; accounturi=" URI } },
	{ "account-url", "value says", { PERSIST, .account_url = URI "2",
	    .value = "ca.example; accounturi=" URI } },
	{ "policy", "value says", { PERSIST, .policy = "wildcard",
	    .value = "ca.example; accounturi=" URI } },
	{ "persist-until", "value says", { PERSIST, .persist_until = 7,
	    .value = "ca.example; accounturi=" URI } },
	{ "token", "does not belong", { PERSIST, .token = "x",
	    .value = "ca.example; accounturi=" URI } },

	/* dns-txt */
	{ "value", "missing", { TXT } },
	{ "value", "empty", { TXT, .value = "" } },
	{ "value", "octet 2 (0x20)", { TXT, .value = "a b" } },
	{ "value", "octet 2 (0x0a)", { TXT, .value = "a\nb" } },
	{ "value", "octet 2 (0x09)", { TXT, .value = "a\tb" } },
	{ "value", "octet 1 (0xc3)", { TXT, .value = "\xc3\xbc" } },
	{ "value", "octet 2 (0x7f)", { TXT, .value = "a\x7f" } },
	{ "name", "is not example.com or below", { TXT, .value = "x",
	    .name = "evil-example.com" } },
	{ "name", "is not example.com or below", { TXT, .value = "x",
	    .name = "com" } },
	{ "name", "is not www.example.com or below", { M_TXT, .value = "x",
	    .domain = "www." D, .name = D } },
	{ "name", "empty", { TXT, .value = "x", .name = "" } },
	{ "name", "0x2a", { TXT, .value = "x", .name = "a.*." D } },
	{ "name", "wildcard", { TXT, .value = "x", .name = "*." D } },
	{ "key-authorization", "does not belong", { TXT, .value = "x",
	    .key_authorization = KA } },

	/* dns-cname */
	{ "name", "missing", { CNAME, .value = "a.example" } },
	{ "value", "missing", { CNAME, .name = "_a." D } },
	{ "name", "hide", { CNAME, .name = D, .value = "a.example" } },
	{ "name", "is not example.com or below", { CNAME,
	    .name = "_a.example.org", .value = "a.example" } },
	{ "value", "0x20", { CNAME, .name = "_a." D, .value = "a b" } },
	{ "value", "empty", { CNAME, .name = "_a." D, .value = "" } },
	{ "value", "wildcard", { CNAME, .name = "_a." D, .value = "*.x" } },
	{ "value", "itself", { CNAME, .name = "_a." D,
	    .value = "_A." D "." } },

	/* http-01 */
	{ "token", "missing", { HTTP, .key_authorization = KA } },
	{ "key-authorization", "missing", { HTTP, .token = "tok" } },
	{ "token", "octet 1 (0x2e)", { HTTP, .token = "..",
	    .key_authorization = "...x" } },
	{ "token", "octet 3 (0x2f)", { HTTP, .token = "to/k",
	    .key_authorization = KA } },
	{ "token", "octet 4 (0x2e)", { HTTP, .token = "tok.txt",
	    .key_authorization = KA } },
	{ "token", "before the dot", { HTTP, .token = "tik",
	    .key_authorization = KA } },
	{ "value", "does not belong", { HTTP, .token = "tok", .value = "x",
	    .key_authorization = KA } },

	/* http-file */
	{ "path", "missing", { FILE_, CONTENT } },
	{ "content", "missing", { FILE_, .path = "a.txt" } },
	{ "content", "empty", { FILE_, .path = "a.txt", .content = "" } },
	{ "content", "65537 octets", { FILE_, .path = "a.txt",
	    .content = "x", .content_len = 65537 } },
	{ "path", "URL", { FILE_, CONTENT,
	    .path = "https://example.com/.well-known/pki-validation/a.txt" } },
	{ "path", "URL", { FILE_, CONTENT, .path = "http://x/a.txt" } },
	{ "path", "is not below", { FILE_, CONTENT, .path = "/etc/passwd" } },
	{ "path", "is not below", { FILE_, CONTENT, .path = "a/b.txt" } },
	{ "path", "is not below", { FILE_, CONTENT,
	    .path = ".well-known/pki-validation/a.txt" } },
	{ "path", "is not below", { FILE_, CONTENT,
	    .path = "/.well-known/other/a.txt" } },
	{ "path", "file name", { FILE_, CONTENT,
	    .path = "/.well-known/pki-validation/../../a" } },
	{ "path", "file name", { FILE_, CONTENT,
	    .path = "/.well-known/pki-validation/sub/a.txt" } },
	{ "path", "file name", { FILE_, CONTENT,
	    .path = "/.well-known/pki-validation/" } },
	{ "path", "is not below", { FILE_, CONTENT,
	    .path = "/.well-known/pki-validation" } },
	{ "path", "is not below", { FILE_, CONTENT,
	    .path = "//.well-known/pki-validation/a" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "." } },
	{ "path", "file name", { FILE_, CONTENT, .path = ".." } },
	{ "path", "file name", { FILE_, CONTENT, .path = ".htaccess" } },
	{ "path", "file name", { FILE_, CONTENT, .path = ".txt" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a.php" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a.txt.php" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a.txt\n" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a b.txt" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a%2e.txt" } },
	{ "path", "file name", { FILE_, CONTENT, .path = "a\\b.txt" } },
	{ "path", "file name", { FILE_, CONTENT, .path = A130 } },
	{ "value", "does not belong", { FILE_, CONTENT, .path = "a.txt",
	    .value = "x" } },

	/* email */
	{ "value", "does not belong to email", { .method = "email",
	    .domain = D, .value = "x" } },
	{ "name", "does not belong to email", { .method = "email",
	    .domain = D, .name = D } },
};

static void
check(size_t i, const struct pl_challenge_args *a, const char *member,
    const char *wanted)
{
	static const struct pl_challenge empty = { 0 };
	struct pl_challenge c;
	struct pl_err err;
	size_t n = strlen(member), j;

	memset(&c, 0xaa, sizeof(c));
	if (pl_challenge_make(&c, a, &err) != PL_EINVAL)
		fail_msg("row %zu was taken, %s %s expected", i, member,
		    wanted);
	assert_memory_equal(&c, &empty, sizeof(c));
	if (strncmp(err.text, member, n) != 0 ||
	    strncmp(err.text + n, ": ", 2) != 0 ||
	    strstr(err.text + n, wanted) == NULL)
		fail_msg("row %zu: \"%s\" is not about %s (%s)", i, err.text,
		    member, wanted);
	/* Nothing of it can break a line or steer a terminal. */
	for (j = 0; err.text[j] != '\0'; j++)
		assert_true((unsigned char)err.text[j] >= 0x20);
	assert_int_equal(pl_challenge_make(&c, a, NULL), PL_EINVAL);
}

static void
test_rows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++)
		check(i, &rows[i].a, rows[i].member, rows[i].says);
}

static void
test_too_much(void **state)
{
	struct pl_challenge_args txt = { TXT }, file = { FILE_, CONTENT },
	    account = { .method = "dns-account-01", .domain = D,
	    .value = V43 }, persist = { PERSIST, .issuer = "ca.example" };
	char *big = pl_alloc(100001);

	(void)state;
	memset(big, 'a', 100000);
	txt.value = big;
	check(0, &txt, "value", "100000 octets");
	big[PL_TXT_MAX + 1] = '\0';
	check(1, &txt, "value", "2049 octets");
	big[PL_TXT_MAX + 1] = 'a';
	file.path = big;
	check(2, &file, "path", "too long");
	account.account_url = persist.account_url = big;
	memcpy(big, "https:", 6);
	check(3, &account, "account-url", "100000 octets");
	check(4, &persist, "account-url", "100000 octets");
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
