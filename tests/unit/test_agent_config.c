/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"
#include "scratch.h"

#define LAB "account lab { provider = rfc2136 server = 192.0.2.53 " \
	"key-name = \"placard.\" key-secret-file = lab.key }\n"
#define WEB "account web { provider = file root = www }\n"

/* Writes a configuration and reads it; all must be in order. */
static struct pl_config *
load(void **state, const char *text)
{
	struct pl_config *c;
	struct pl_faults faults;
	struct pl_err err;
	char path[512];

	pl_err_clear(&err);
	pl_faults_init(&faults);
	scratch_path(path, sizeof(path), state, "placard.conf");
	scratch_write(path, text, strlen(text), 0600);
	if (pl_config_load(&c, path, &faults, &err) != PL_OK)
		fail_msg("%s\n%s%s", text, faults.text.data, err.text);
	assert_string_equal(c->path, path);
	pl_faults_clear(&faults);
	return c;
}

static const char *
below(void **state, const char *name)
{
	static char path[512];

	return scratch_path(path, sizeof(path), state, name);
}

/* The example of DESIGN.md section 5. */
static void
the_example(void **state)
{
	struct pl_config *c;
	const struct pl_account *a;

	c = load(state,
	    "state-directory = \"/var/lib/placard\" # elsewhere\n"
	    "account \"lab\" {\n"
	    "  provider      = \"rfc2136\"\n"
	    "  server        = \"192.0.2.53\" # ADDR[:PORT] or name\n"
	    "  key-name      = \"placard.\"\n"
	    "  key-algorithm = \"hmac-sha256\"\n"
	    "  key-secret-file = \"/etc/placard/none.secret\"\n"
	    "}\n"
	    "account web1 { provider = file root = /srv/1 }\n"
	    "account web2 { provider = file root = /srv/2 enabled = no }\n"
	    "route \"example.com\" { account = \"lab\" }\n"
	    "route \"www.example.com\"  { method = \"http-01\"\n"
	    "  accounts = { \"web1\", \"web2\" } }\n"
	    "verify { timeout = 300  resolvers = { \"192.0.2.1\",\n"
	    "\"https://dns.example/dns-query\", \"https://[::1]:8443/q\" }\n"
	    "  servers = { }  quorum = \"all\"  dnssec = \"warn\"\n"
	    "  caa = \"warn\" trust-anchor = \"/usr/share/dns/root.key\" }\n"
	    "controller \"store\" { kind = \"sslstore\"\n"
	    "  url = \"https://wbapi.thesslstore.com\"\n"
	    "  partner-code = \"123\"  auth-token-file = \"/none\" }\n");
	assert_string_equal(c->state_directory, "/var/lib/placard");
	assert_int_equal(c->naccounts, 3);
	a = pl_config_account(c, "lab");
	assert_non_null(a);
	assert_ptr_equal(a->desc, &pl_desc_rfc2136);
	assert_true(a->enabled);
	assert_true(a->follow);
	assert_int_equal(a->timeout_ms, 30000);
	assert_int_equal(a->ttl, a->desc->default_ttl);
	assert_null(a->allow_names);
	assert_int_equal(a->line, 2);
	assert_string_equal(a->settings.account, "lab");
	assert_string_equal(a->settings.provider, "rfc2136");
	assert_string_equal(pl_setting(&a->settings, "server"),
	    "192.0.2.53");
	assert_string_equal(pl_setting(&a->settings, "key-secret-file"),
	    "/etc/placard/none.secret");
	assert_null(pl_setting(&a->settings, "provider"));
	assert_false(pl_config_account(c, "web2")->enabled);
	assert_null(pl_config_account(c, "LAB"));
	assert_int_equal(c->verify.timeout_ms, 300000);
	assert_string_equal(c->verify.resolvers[0], "192.0.2.1");
	assert_string_equal(c->verify.resolvers[1],
	    "https://dns.example/dns-query");
	assert_non_null(c->verify.resolvers[2]);
	assert_null(c->verify.resolvers[3]);
	assert_null(c->verify.servers);
	assert_int_equal(c->verify.quorum, 0);
	assert_string_equal(c->verify.trust_anchor,
	    "/usr/share/dns/root.key");
	assert_non_null(c->tree);
	pl_config_free(c);
}

static void
controllers(void **state)
{
	const struct pl_controller *k;
	struct pl_config *c;
	struct pl_err err;

	c = load(state,
	    "controller \"live\" { kind = \"sslstore\"\n"
	    "  url = \"https://wbapi.thesslstore.com/rest/\"\n"
	    "  partner-code = \"123\"  auth-token-file = \"/none\" }\n"
	    "controller \"sandbox\" { kind = \"sslstore\"\n"
	    "  url = \"https://sandbox-wbapi.thesslstore.com\"\n"
	    "  partner-code = \"4\"  auth-token-file = \"/none\"\n"
	    "  page-size = 25  renewal-window = 14  timeout = 20 }\n"
	    "controller \"old\" { kind = \"sslstore\" enabled = no\n"
	    "  url = \"https://api.thesslstore.com\"\n"
	    "  partner-code = \"5\"  auth-token-file = \"/none\" }\n");
	assert_int_equal(c->ncontrollers, 3);
	assert_int_equal(pl_config_controller(&k, c, "live", &err), PL_OK);
	assert_string_equal(k->settings.account, "live");
	assert_string_equal(k->settings.provider, "sslstore");
	assert_string_equal(pl_setting(&k->settings, "url"),
	    "https://wbapi.thesslstore.com");
	assert_int_equal(k->page_size, 100);
	assert_int_equal(k->renewal_window, 30);
	assert_int_equal(k->timeout_ms, 60000);
	assert_int_equal(pl_config_controller(&k, c, "sandbox", &err), PL_OK);
	assert_int_equal(k->page_size, 25);
	assert_int_equal(k->renewal_window, 14);
	assert_int_equal(k->timeout_ms, 20000);
	assert_int_equal(pl_config_controller(&k, c, NULL, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, ": live, sandbox"));
	assert_null(k);
	assert_int_equal(pl_config_controller(&k, c, "old", &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "is not enabled"));
	assert_int_equal(pl_config_controller(&k, c, "new", &err), PL_EINVAL);
	assert_null(k);
	pl_config_free(c);
}

static void
every_setting(void **state)
{
	static const char *const patterns[] = { "*.acme.example.com", "_x*" };
	struct pl_config *c = load(state,
	    "state-directory = state\n"
	    "account web { provider = file root = \"www\" mode = 0640\n"
	    "  ttl = 120 timeout = 5 follow = off enabled = yes\n"
	    "  allow-names = { \"*.acme.example.com\", \"_x*\" } }\n"
	    "route example.com { account = web follow = yes enabled = no }\n"
	    "route example.org { account = web follow = no }\n"
	    "route example.net { account = web }\n"
	    "verify { timeout = 2m quorum = 2 site-local = yes dnssec = off\n"
	    "  caa = require servers = { 192.0.2.1:5353, \"[::1]:53\", ::1 }\n"
	    "  http-servers = 127.0.0.1:8080 https-servers = 127.0.0.1:8443\n"
	    "  trust-anchor = root.key }\n");
	const struct pl_account *a = pl_config_account(c, "web");
	size_t i;

	assert_string_equal(c->state_directory, below(state, "state"));
	assert_int_equal(a->ttl, 120);
	assert_int_equal(a->timeout_ms, 5000);
	assert_false(a->follow);
	for (i = 0; i < PL_NELEM(patterns); i++)
		assert_string_equal(a->allow_names[i], patterns[i]);
	assert_null(a->allow_names[i]);
	assert_string_equal(pl_setting(&a->settings, "root"),
	    below(state, "www"));
	assert_string_equal(pl_setting(&a->settings, "mode"), "0640");
	assert_int_equal(c->nroutes, 3);
	assert_int_equal(c->routes[0].follow, 1);
	assert_false(c->routes[0].enabled);
	assert_int_equal(c->routes[1].follow, 0);
	assert_int_equal(c->routes[2].follow, -1);
	assert_int_equal(c->verify.timeout_ms, 120000);
	assert_int_equal(c->verify.quorum, 2);
	assert_true(c->verify.site_local);
	assert_string_equal(c->verify.dnssec, "off");
	assert_string_equal(c->verify.caa, "require");
	assert_string_equal(c->verify.servers[0], "192.0.2.1:5353");
	assert_string_equal(c->verify.servers[1], "[::1]:53");
	assert_string_equal(c->verify.servers[2], "::1");
	assert_null(c->verify.servers[3]);
	assert_string_equal(c->verify.http_servers[0], "127.0.0.1:8080");
	assert_string_equal(c->verify.https_servers[0], "127.0.0.1:8443");
	assert_string_equal(c->verify.trust_anchor,
	    below(state, "root.key"));
	pl_config_free(c);
}

static void
routes(void **state)
{
	struct pl_config *c = load(state, LAB WEB
	    "account web2 { provider = file root = /srv/2 }\n"
	    "route \"*\" { account = lab }\n"
	    "route example.com { account = lab }\n"
	    "route www.example.com { method = http-01 account = web }\n"
	    "route www.example.com { method = { dns-01, dns-cname }\n"
	    "  account = lab }\n"
	    "route both.example.com { accounts = { web, web2 } }\n"
	    "route off.example.com { account = web enabled = no }\n"
	    "route B\xc3\xbc" "cher.example. { account = lab }\n");
	static const struct {
		const char *domain;
		enum pl_method method;
		const char *route, *account;
	} cases[] = {
		{ "example.com", PL_DNS_01, "example.com", "lab" },
		{ "a.b.example.com", PL_DNS_01, "example.com", "lab" },
		{ "badexample.com", PL_DNS_01, "", "lab" },
		{ "com", PL_DNS_01, "", "lab" },
		{ "www.example.com", PL_HTTP_01, "www.example.com", "web" },
		{ "x.www.example.com", PL_HTTP_01, "www.example.com", "web" },
		{ "www.example.com", PL_DNS_01, "www.example.com", "lab" },
		{ "www.example.com", PL_DNS_CNAME_TOKEN, "www.example.com",
		    "lab" },
		{ "www.example.com", PL_DNS_TXT_TOKEN, "example.com", "lab" },
		{ "www.example.com", PL_HTTP_FILE, NULL, NULL },
		{ "example.com", PL_HTTP_01, NULL, NULL },
		{ "both.example.com", PL_HTTP_FILE, "both.example.com",
		    "web" },
		{ "both.example.com", PL_DNS_01, "example.com", "lab" },
		{ "off.example.com", PL_HTTP_01, NULL, NULL },
		{ "off.example.com", PL_DNS_01, "example.com", "lab" },
		{ "example.com", PL_EMAIL, NULL, NULL },
		{ "xn--bcher-kva.example", PL_DNS_01,
		    "xn--bcher-kva.example", "lab" },
	};
	const struct pl_route *r;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		r = pl_config_route(c, cases[i].domain, cases[i].method);
		if (cases[i].route == NULL) {
			assert_null(r);
			continue;
		}
		assert_non_null(r);
		assert_string_equal(r->name, cases[i].route);
		assert_string_equal(r->accounts[0], cases[i].account);
	}
	pl_config_free(c);
}

/* A secret in the file itself reaches the settings and leaves the tree. */
static void
inline_secret(void **state)
{
	struct pl_config *c = load(state,
	    "account lab { provider = rfc2136 server = ns.example\n"
	    "  key-name = k. key-secret = \"Q2FuYXJ5\" }\n");
	const struct pl_account *a = pl_config_account(c, "lab");
	struct pl_secret *secret;

	assert_null(pl_setting(&a->settings, "key-secret"));
	assert_true(pl_setting_has_secret(&a->settings, "key-secret"));
	assert_int_equal(pl_setting_secret(&a->settings, "key-secret", false,
	    &secret, NULL), PL_OK);
	assert_string_equal(pl_secret_expose(secret), "Q2FuYXJ5");
	assert_string_equal(pl_conf_value(c->tree->sections,
	    "key-secret")->text[0], "");
	pl_secret_free(secret);
	pl_config_free(c);
}

static void
credentials(void **state)
{
	static const char text[] =
	    "account lab { provider = rfc2136 server = ns.example\n"
	    "  key-name = k. key-secret-credential = lab.key }\n";
	struct pl_config *c;

	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/cred", 1), 0);
	c = load(state, text);
	assert_string_equal(pl_setting(&c->accounts[0].settings,
	    "credentials-directory"), "/run/cred");
	pl_config_free(c);
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	c = load(state, text);
	assert_null(pl_setting(&c->accounts[0].settings,
	    "credentials-directory"));
	pl_config_free(c);
}

/* A relative path starts where the file that says it lies. */
static void
paths_of_included_files(void **state)
{
	struct pl_config *c;

	assert_int_equal(mkdir(below(state, "conf.d"), 0700), 0);
	scratch_write(below(state, "conf.d/web.conf"), WEB, strlen(WEB),
	    0600);
	c = load(state, "include(\"conf.d/*.conf\")\n"
	    "route example.com { account = web }\n");
	assert_string_equal(pl_setting(&c->accounts[0].settings, "root"),
	    below(state, "conf.d/www"));
	pl_config_free(c);
}

static void
which_file(void **state)
{
	static const char text[] = "state-directory = /a\n";
	struct pl_config *c;
	struct pl_faults faults;
	char *cwd = getcwd(NULL, 0);

	pl_faults_init(&faults);
	scratch_write(below(state, "env.conf"), text, strlen(text), 0600);
	assert_int_equal(setenv("PLACARD_CONFIG", below(state, "env.conf"),
	    1), 0);
	assert_int_equal(pl_config_load(&c, NULL, &faults, NULL), PL_OK);
	assert_string_equal(c->path, below(state, "env.conf"));
	assert_string_equal(c->state_directory, "/a");
	pl_config_free(c);
	c = load(state, "state-directory = /b\n");	/* -c wins */
	assert_string_equal(c->state_directory, "/b");
	pl_config_free(c);
	/* A path that is relative by itself. */
	assert_int_equal(chdir(*state), 0);
	scratch_write("rel.conf", WEB, strlen(WEB), 0600);
	assert_int_equal(pl_config_load(&c, "rel.conf", &faults, NULL),
	    PL_OK);
	assert_string_equal(pl_setting(&c->accounts[0].settings, "root"),
	    below(state, "www"));
	pl_config_free(c);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(unsetenv("PLACARD_CONFIG"), 0);
	pl_faults_clear(&faults);
	free(cwd);
}

static void
defaults(void **state)
{
	struct pl_config *c = load(state, "");

	if (geteuid() == 0)
		assert_string_equal(c->state_directory, "/var/lib/placard");
	assert_int_equal(c->naccounts, 0);
	assert_null(pl_config_route(c, "example.com", PL_DNS_01));
	assert_int_equal(c->verify.timeout_ms, 300000);
	assert_string_equal(c->verify.dnssec, "warn");
	assert_string_equal(c->verify.caa, "warn");
	assert_null(c->verify.resolvers);
	assert_null(c->verify.trust_anchor);
	assert_false(c->verify.site_local);
	pl_config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example),
		cmocka_unit_test(controllers),
		cmocka_unit_test(every_setting),
		cmocka_unit_test(routes),
		cmocka_unit_test(inline_secret),
		cmocka_unit_test(credentials),
		cmocka_unit_test(paths_of_included_files),
		cmocka_unit_test(which_file),
		cmocka_unit_test(defaults),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
