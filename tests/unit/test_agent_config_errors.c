/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"
#include "scratch.h"

#define LAB "account lab { provider = rfc2136 server = 192.0.2.53 " \
	"key-name = k. key-secret-file = \"/none\" }\n"
#define WEB "account web { provider = file root = /srv }\n"

/*
 * Reads text, which must have faults.  `told` gets them without the file's
 * name.
 */
static void
load_bad(void **state, const char *text, struct pl_buf *told)
{
	struct pl_config *c;
	struct pl_faults faults;
	struct pl_err err;
	const char *p, *end;
	char path[512];
	size_t len;

	pl_faults_init(&faults);
	len = strlen(scratch_path(path, sizeof(path), state, "bad.conf"));
	scratch_write(path, text, strlen(text), 0600);
	if (pl_config_load(&c, path, &faults, &err) != PL_EINVAL)
		fail_msg("taken: %s", text);
	assert_null(c);
	assert_int_equal(pl_code_exit(err.code), 3);
	for (p = faults.text.data; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
		assert_int_equal(strncmp(p, path, len), 0);
		pl_buf_add(told, p + len + 1, (size_t)(end - p) - len);
	}
	pl_faults_clear(&faults);
}

static void
check_cases(void **state, const char *const (*cases)[5], size_t n)
{
	struct pl_buf told;
	const char *p;
	size_t i, k;

	for (i = 0; i < n; i++) {
		pl_buf_init(&told, PL_LIM_FRAME);
		load_bad(state, cases[i][0], &told);
		p = told.data;
		for (k = 1; k < 5 && cases[i][k] != NULL; k++) {
			if (strncmp(p, cases[i][k],
			    strlen(cases[i][k])) != 0)
				fail_msg("%s\nexpected: %s\ntold: %s",
				    cases[i][0], cases[i][k], p);
			p = strchr(p, '\n') + 1;
		}
		if (*p != '\0')
			fail_msg("%s\ntold besides: %s", cases[i][0], p);
		pl_buf_clear(&told);
	}
}

static void
accounts(void **state)
{
	static const char *const cases[][5] = {
		{ "account a { }", "1: provider: missing in account \"a\"; "
		    "known are acme-dns, azure" },
		{ "account a { provider = fil }", "1: provider: unknown; did "
		    "you mean \"file\"? known are acme-dns, azure" },
		{ "account a { provider = zonebook2 }",
		    "1: provider: unknown; known are acme-dns, azure" },
		{ "account a { provider = { file } }",
		    "1: provider: unknown" },
		{ "account a {\n provider = file\n}", "1: root: missing in "
		    "account \"a\"" },
		{ "account a { provider = file\nroot = /srv\nmoed = 0644 }",
		    "3: moed: provider file has no such option; did you mean "
		    "\"mode\"?" },
		{ "account a { provider = file root = /srv\nserver = x }",
		    "2: server: provider file has no such option; it takes "
		    "root, mode, owner, group, web-config, enabled, ttl" },
		{ "account a { provider = rfc2136 server = x key-name = k\n"
		    "key-secret-flie = x key-secret-file = /y }",
		    "2: key-secret-flie: provider rfc2136 has no such option; "
		    "did you mean \"key-secret-file\"?" },
		{ "account a { provider = file root = /srv }\n"
		    "account a { provider = file root = /srv }",
		    "2: account: \"a\" is given twice; first in " },
		{ "account \"\" { provider = file root = /srv }",
		    "1: account: a name of 1 to 128 printable" },
		{ "account \"a\\nb\" { provider = file root = /srv }",
		    "1: account: a name of 1 to 128 printable" },
		{ "account a { provider = file root = { /a, /b } }",
		    "1: root: one value is expected, not a list" },
		{ "account a { provider = file root = \"\" }",
		    "1: root: the value is empty" },
		{ "account a { provider = file root = \"a\\nb\" }",
		    "1: root: the value holds control" },
		{ "account a { provider = file root = /srv root = /s }",
		    "1: root: given twice" },
		{ "account a { provider = file root = /srv mode = 0999 }",
		    "1: account: \"a\": mode: " },
		{ "account a { provider = file root = /srv ttl = 0\n"
		    "timeout = 601 enabled = maybe follow = 2 }",
		    "1: ttl: a whole number from 1 to 604800 is expected",
		    "2: timeout: a whole number from 1 to 600",
		    "2: enabled: true or false", "2: follow: true or false" },
		{ "account a { provider = file root = /srv ttl = 1x\n"
		    "credentials-directory = /x }", "1: ttl: a whole number",
		    "2: credentials-directory: provider file has no such" },
		{ "account a { provider = file root = /srv\n"
		    "allow-names = { \"ok.*\", \"NO\" } }",
		    "2: allow-names: \"NO\" is no pattern" },
		{ "account a { provider = rfc2136 server = x key-name = k\n"
		    "key-secret-file = /x key-algorithm = hmac-md5 }",
		    "2: key-algorithm: \"hmac-md5\" is none of hmac-sha256, "
		    "hmac-sha1, hmac-sha224, hmac-sha384, hmac-sha512" },
		{ "account a { provider = rfc2136 server = x key-name = k }",
		    "1: account: \"a\": key-name: " },
	};

	check_cases(state, cases, PL_NELEM(cases));
}

#define KEY "account a { provider = rfc2136 server = x key-name = k\n"

static void
secrets(void **state)
{
	static const char *const cases[][5] = {
		{ KEY "key-secret-file = /a\nkey-secret-command = /b }",
		    "3: key-secret-command: key-secret-file is given too "
		    "(line 2)" },
		{ KEY "key-secret = a key-secret-file = /a\n"
		    "key-secret-credential = b }",
		    "2: key-secret-file: key-secret is given too",
		    "3: key-secret-credential: key-secret is given too" },
		{ KEY "key-secret-command = cat }", "2: key-secret-command: "
		    "a program's absolute path" },
		{ KEY "key-secret-credential = \"../x\" }",
		    "2: key-secret-credential: the plain name" },
		{ KEY "key-secret-file = open.key }", "2: key-secret-file: "
		    "others than its owner may use this secret: chmod 600 /" },
		{ KEY "key-secret = \"\" }", "2: key-secret: the value is "
		    "empty" },
	};
	char path[512];

	scratch_path(path, sizeof(path), state, "open.key");
	scratch_write(path, "x", 1, 0640);
	check_cases(state, cases, PL_NELEM(cases));
}

/* A secret in a file that others may read: a fault that says what to do. */
static void
shared_file(void **state)
{
	static const char text[] = KEY "key-secret = \"Q2FuYXJ5\" }\n";
	static const mode_t modes[] = { 0640, 0604, 0644 };
	struct pl_config *c;
	struct pl_faults faults;
	char path[512], want[1200];
	size_t i;

	scratch_path(path, sizeof(path), state, "shared.conf");
	snprintf(want, sizeof(want), "%s:2: key-secret: a secret stands here "
	    "and others may read this file: chmod 600 %s, or write "
	    "key-secret-file\n", path, path);
	for (i = 0; i < PL_NELEM(modes); i++) {
		pl_faults_init(&faults);
		scratch_write(path, text, strlen(text), modes[i]);
		assert_int_equal(pl_config_load(&c, path, &faults, NULL),
		    PL_EINVAL);
		assert_int_equal(faults.n, 1);
		assert_string_equal(faults.text.data, want);
		pl_faults_clear(&faults);
	}
}

static void
routes(void **state)
{
	static const char *const cases[][5] = {
		{ WEB "route x.example { }", "2: route: \"x.example\" names "
		    "no account" },
		{ WEB "route x.example { accounts = { } }", "2: route: " },
		{ WEB "route x.example { account = web accounts = web }",
		    "2: accounts: account is given too" },
		{ WEB "route x.example { account = wbe }", "2: account: there "
		    "is no account \"wbe\"; did you mean \"web\"?" },
		{ WEB "route x.example {\naccounts = { web, other } }",
		    "3: accounts: there is no account \"other\"\n" },
		{ WEB "route x.example { accounts = { web, web } }",
		    "2: accounts: account \"web\" is given twice" },
		{ WEB "route \"*.x.example\" { account = web }",
		    "2: route: write \"x.example\"" },
		{ WEB "route \"a b\" { account = web }", "2: route: " },
		{ WEB "route \"\" { account = web }", "2: route: " },
		{ WEB "route x.example { account = web }\n"
		    "route X.Example. { account = web }",
		    "3: route: \"X.Example.\" is given twice" },
		{ WEB "route x.example { account = web method = http-01 }\n"
		    "route x.example { account = web }", "3: route: " },
		{ WEB "route x.example { account = web\n"
		    "method = { http-01, http-1 } }",
		    "3: method: unknown method; did you mean \"http-01\"?" },
		{ WEB "route x.example { account = web method = "
		    "{ http-01, http-01 } }", "2: method: http-01 is given "
		    "twice" },
		{ WEB "route x.example { account = web method = { } }",
		    "2: method: an empty list" },
		{ WEB "route x.example { account = web method = email }",
		    "2: method: email publishes nothing" },
		{ WEB "route x.example { account = web\nmethod = dns-01 }",
		    "3: method: account \"web\" (file) cannot publish "
		    "dns-01" },
		{ WEB LAB "route x.example { accounts = { web, lab } }",
		    "3: route: \"x.example\": its accounts have no kind" },
		{ WEB "route x.example { acount = web account = web }",
		    "2: acount: unknown key; did you mean \"account\"?" },
		{ WEB "route x.example { account = web enabled = 2 }",
		    "2: enabled: true or false" },
	};

	check_cases(state, cases, PL_NELEM(cases));
}

static void
verify(void **state)
{
	static const char *const cases[][5] = {
		{ "verify { timeout = soon }", "1: timeout: " },
		{ "verify { timeout = 0 }", "1: timeout: a time between" },
		{ "verify { timeout = 8d }", "1: timeout: a time between" },
		{ "verify { quorum = most }", "1: quorum: \"all\" or" },
		{ "verify { quorum = 0 }", "1: quorum: \"all\" or" },
		{ "verify { dnssec = yes }", "1: dnssec: \"yes\" is none of "
		    "off, warn, require" },
		{ "verify { caa = on }", "1: caa: \"on\" is none of" },
		{ "verify { servers = { ns.example } }", "1: servers: "
		    "\"ns.example\" is no address" },
		{ "verify { resolvers = { 192.0.2.1:x } http-servers = a }",
		    "1: resolvers: ", "1: http-servers: " },
		{ "verify { https-servers = a }", "1: https-servers: " },
		{ "verify { resolvers = { \"http://192.0.2.1/q\" } }",
		    "1: resolvers: \"http://192.0.2.1/q\" is no address: "
		    "ADDR, ADDR:PORT, https://HOST/PATH or" },
		{ "verify { resolvers = { \"https://\" } }", "1: resolvers: " },
		{ "verify { servers = { \"https://192.0.2.1/q\" } }",
		    "1: servers: \"https://192.0.2.1/q\" is no address" },
		{ "verify { site-local = 1 }", "1: site-local: true or" },
		{ "state-directory = \"\"", "1: state-directory: empty" },
		{ "state-dir = x", "1: state-dir: unknown key; did you mean "
		    "\"state-directory\"?" },
	};

	check_cases(state, cases, PL_NELEM(cases));
}

#define STORE "controller s { kind = sslstore partner-code = 1 " \
	"auth-token-file = \"/none\" url = "

static void
controllers(void **state)
{
	static const char *const cases[][5] = {
		{ "controller s { }", "1: kind: missing in controller \"s\"",
		    "1: url: missing", "1: partner-code: missing",
		    "1: auth-token: missing in controller \"s\": write "
		    "auth-token-file" },
		{ STORE "\"https://x.example/rest/order\" }",
		    "1: url: only scheme, host and port" },
		{ STORE "\"https://u@x.example\" }", "1: url: only scheme" },
		{ STORE "\"http://x.example\" }", "1: url: https is needed" },
		{ STORE "\"ftp://x.example\" }", "1: url: https://HOST" },
		{ STORE "\"https://\" }", "1: url: https://HOST" },
		{ STORE "\"https://x.example:99999\" }", "1: url: https://" },
		{ STORE "\"https://x.example\" page-size = 0\n"
		    "renewal-window = 3651 colour = x }",
		    "1: page-size: a whole number from 1 to",
		    "2: renewal-window: a whole number from 1 to 3650",
		    "2: colour: controller s has no such option; it takes "
		    "kind, url, partner-code, auth-token-file" },
		{ STORE "\"https://x.example\" }\n" STORE
		    "\"https://x.example\" }", "2: controller: \"s\" is "
		    "given twice" },
	};

	check_cases(state, cases, PL_NELEM(cases));
}

/* Loopback may be plain http, for tests and gateways. */
static void
loopback_urls(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:8080",
		"http://127.9.9.9", "http://[::1]:80", "http://localhost:1",
		"https://x.example/", "https://x.example:8443" };
	struct pl_config *c;
	struct pl_faults faults;
	char path[512], text[300];
	size_t i;

	scratch_path(path, sizeof(path), state, "url.conf");
	for (i = 0; i < PL_NELEM(urls); i++) {
		snprintf(text, sizeof(text), STORE "\"%s\" }", urls[i]);
		scratch_write(path, text, strlen(text), 0600);
		pl_faults_init(&faults);
		if (pl_config_load(&c, path, &faults, NULL) != PL_OK)
			fail_msg("%s: %s", urls[i], faults.text.data);
		pl_config_free(c);
		pl_faults_clear(&faults);
	}
}

/* One of everything: all are told, none hides another. */
static void
all_at_once(void **state)
{
	static const char *const cases[][5] = { {
		"acount a { }\n"
		"account b { provider = file\n}\n"
		"route x.example { account = c }\n"
		"verify { dnsec = warn }\n",
		"1: acount: ", "2: root: missing",
		"4: account: there is no account", "5: dnsec: "
	} };

	check_cases(state, cases, 1);
}

static void
missing_file(void **state)
{
	struct pl_config *c;
	struct pl_faults faults;
	struct pl_err err;
	char path[512];

	pl_faults_init(&faults);
	scratch_path(path, sizeof(path), state, "none.conf");
	assert_int_equal(pl_config_load(&c, path, &faults, &err), PL_EINVAL);
	assert_null(c);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(setenv("PLACARD_CONFIG", path, 1), 0);
	assert_int_equal(pl_config_load(&c, NULL, &faults, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(unsetenv("PLACARD_CONFIG"), 0);
	pl_faults_clear(&faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accounts),
		cmocka_unit_test(secrets),
		cmocka_unit_test(shared_file),
		cmocka_unit_test(routes),
		cmocka_unit_test(verify),
		cmocka_unit_test(controllers),
		cmocka_unit_test(loopback_urls),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(missing_file),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
