/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What the rfc2136 provider says when something is wrong: its settings, the
 * key, the server's refusals, and a server that lies or is silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "providers.h"
#include "test_wire_dns_lab.h"

static const struct pl_provider *const prov = &pl_provider_rfc2136;

/* ---- settings --------------------------------------------------------------- */

static void
settings(struct pl_settings *s, const char *const *pairs)
{
	*s = (struct pl_settings){ .account = NULL };
	for (; pairs[0] != NULL; pairs += 2)
		pl_settings_add(s, pairs[0], &pairs[1], 1);
}

static void
test_check(void **state)
{
	static const struct {
		const char *pairs[9];
		const char *says;
	} cases[] = {
		{ { "server", "192.0.2.1", NULL }, NULL },
		{ { "server", "[2001:db8::1]:5353", "key-name", "k",
		    "key-secret-file", "/f", NULL }, NULL },
		{ { "server", "192.0.2.1", "key-name", "k", NULL },
		    "key-secret" },
		{ { "server", "192.0.2.1", "key-secret-command", "/x", NULL },
		    "key-name" },
		{ { "server", "192.0.2.1", "key-algorithm", "hmac-sha512",
		    NULL }, "key-algorithm" },
		{ { "server", "192.0.2.1:99999", NULL }, "server" },
	};
	struct pl_settings s;
	struct pl_err err;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(cases); i++) {
		settings(&s, cases[i].pairs);
		assert_int_equal(prov->desc->check(&s, &err),
		    cases[i].says == NULL ? PL_OK : PL_EINVAL);
		if (cases[i].says != NULL)
			assert_non_null(strstr(err.text, cases[i].says));
		pl_settings_clear(&s);
	}
}

static void *
open_with(uint16_t port, const char *zone, const char *key,
    const char *secret)
{
	char server[32], path[] = "/tmp/secret.XXXXXX";
	const char *pairs[] = { "server", server, "zone", zone, "key-name",
		key, "key-secret-file", path, NULL };
	struct pl_settings s;
	struct pl_err err;
	void *self = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%s\n", secret) > 0);
	(void)close(fd);
	(void)snprintf(server, sizeof(server), "127.0.0.1:%u",
	    (unsigned)port);
	if (key == NULL)
		pairs[4] = NULL;
	settings(&s, pairs);
	if (prov->open(&self, &s, &err) != PL_OK) {
		assert_int_equal(err.code, PL_EINVAL);
		assert_null(self);
		assert_null(strstr(err.text, secret));
	}
	(void)remove(path);
	pl_settings_clear(&s);
	return self;
}

static void
test_open(void **state)
{
	void *self;

	(void)state;
	assert_null(open_with(53, "example.test", "k", "=not base64="));
	assert_null(open_with(53, "example.test", "a..b", LAB_KEY));
	/* No network is needed to open. */
	self = open_with(9, "example.test", "k", LAB_KEY);
	assert_non_null(self);
	prov->close(self);
	prov->close(NULL);
}

/* ---- calls that go wrong ------------------------------------------------------- */

/* Adds one value and expects this end, with these words in its sentence. */
static void
add_ends(void *self, const char *zone, int64_t ms, enum pl_code want,
    const char *const *says)
{
	struct pl_call call = { .deadline = pl_mono_ms() + ms };
	struct pl_change c = { .op = PL_ADD, .kind = PL_TXT, .ttl = 60,
		.value = "v", .value_len = 1 };
	struct pl_outcome o = { .code = PL_EUNDONE };
	char name[64];
	struct pl_err err;
	enum pl_code code;

	(void)snprintf(name, sizeof(name), "_acme-challenge.%s", zone);
	c.name = name;
	code = prov->apply(self, &call, zone, &c, &o, 1, &err);
	if (code != want || o.code != want)
		fail_msg("%d and %d, not %d: %s", (int)code, (int)o.code,
		    (int)want, err.text);
	for (; *says != NULL; says++)
		if (strstr(err.text, *says) == NULL ||
		    (strstr(o.text, *says) == NULL && strlen(o.text) < 199))
			fail_msg("no \"%s\" in: %s", *says, err.text);
	assert_null(strstr(err.text, LAB_KEY));
	assert_null(strstr(err.text, LAB_WRONG));
}

#define SAYS(...) (const char *const[]){ __VA_ARGS__, NULL }
#define SOA "$TTL 300\n@ SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\n" \
	"ns1 A 127.0.0.1\n"

static const char *const zones[] = { "example.test", SOA, "fixed.test", SOA,
	NULL };
static const char conf[] = "zone \"example.test\" { type primary; file "
	"\"example.test.zone\"; allow-update { key " LAB_NAME "; }; };\n"
	"zone \"fixed.test\" { type primary; file \"fixed.test.zone\"; };\n";

static void
test_named(void **state)
{
	struct pl_call call = { .deadline = pl_mono_ms() + 9000 };
	struct pl_err err;
	struct lab named;
	void *self;

	(void)state;
	if (!lab_named(&named, zones, conf)) {
		print_message("named (bind9) cannot be started\n");
		skip();
	}
	self = open_with(named.port, NULL, "unknown-key", LAB_KEY);
	add_ends(self, "example.test", 5000, PL_EAUTH, SAYS("BADKEY",
	    "unknown-key", "key-name"));
	assert_int_equal(prov->apply(self, &call, "", NULL, NULL, 0, &err),
	    PL_EAUTH);
	assert_non_null(strstr(err.text, "BADKEY"));
	assert_int_equal(prov->apply(self, &call, "example.test", NULL, NULL,
	    0, &err), PL_EAUTH);
	prov->close(self);

	self = open_with(named.port, NULL, LAB_NAME, LAB_WRONG);
	add_ends(self, "example.test", 5000, PL_EAUTH, SAYS("BADSIG",
	    "key-secret"));
	assert_int_equal(prov->apply(self, &call, "", NULL, NULL, 0, &err),
	    PL_EAUTH);
	assert_non_null(strstr(err.text, "BADSIG"));
	prov->close(self);

	self = open_with(named.port, "fixed.test", LAB_NAME, LAB_KEY);
	add_ends(self, "fixed.test", 5000, PL_EREMOTE, SAYS("REFUSED",
	    "fixed.test", "policy", "placard"));
	assert_int_equal(prov->apply(self, &call, "fixed.test", NULL, NULL, 0,
	    &err), PL_EREMOTE);
	prov->close(self);

	self = open_with(named.port, "example.test", NULL, LAB_KEY);
	add_ends(self, "example.test", 5000, PL_EAUTH, SAYS("REFUSED",
	    "this address"));
	prov->close(self);

	self = open_with(named.port, "example.org", LAB_NAME, LAB_KEY);
	add_ends(self, "example.org", 5000, PL_ENOZONE, SAYS("example.org"));
	prov->close(self);
	lab_stop(&named);
}

/* Refusals that real servers rarely give. */
static void
test_rcodes(void **state)
{
	static const struct {
		enum lie lie;
		enum pl_code code;
		const char *says;
	} cases[] = {
		{ LIE_NOTAUTH, PL_ENOZONE, "NOTAUTH" },
		{ LIE_NOTZONE, PL_ENOZONE, "NOTZONE" },
		{ LIE_NOTIMP, PL_EREMOTE, "NOTIMP" },
		{ LIE_SERVFAIL, PL_ENET, "SERVFAIL" },
		{ LIE_FORMERR, PL_EREMOTE, "FORMERR" },
		{ LIE_BADTIME, PL_EAUTH, "ahead of ours" },
		{ LIE_BADKEY_UNSIGNED, PL_EAUTH, "BADKEY" },
	};
	struct pl_call call = { .deadline = pl_mono_ms() + 9000 };
	struct pl_err err;
	struct lab liar;
	void *self;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(cases); i++) {
		assert_true(lab_liar(&liar, cases[i].lie));
		self = open_with(liar.port, "example.test", LAB_NAME, LAB_KEY);
		assert_int_equal(prov->apply(self, &call, "example.test", NULL,
		    NULL, 0, &err), cases[i].code);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("no \"%s\" in: %s", cases[i].says, err.text);
		prov->close(self);
		lab_stop(&liar);
	}
}

/* A server that lies in the middle of an UPDATE is not believed, and what
 * may have been done is never told to be undone for good. */
static void
test_lies(void **state)
{
	static const enum lie lies[] = { LIE_MAC, LIE_OLD, LIE_UNSIGNED,
		LIE_ID, LIE_SILENT, LIE_PORT, LIE_GARBAGE };
	struct pl_call call;
	struct pl_change *c = calloc(20, sizeof(*c));
	struct pl_outcome *o = calloc(20, sizeof(*o));
	struct pl_err err;
	struct lab liar;
	enum pl_code code;
	void *self;
	size_t i, k;

	(void)state;
	for (i = 0; i < PL_NELEM(lies); i++) {
		assert_true(lab_liar(&liar, lies[i]));
		self = open_with(liar.port, "example.test", LAB_NAME, LAB_KEY);
		for (k = 0; k < 20; k++) {
			c[k] = (struct pl_change){ .op = PL_DEL,
				.kind = PL_TXT, .value = "v", .value_len = 1,
				.name = "_acme-challenge.example.test" };
			o[k] = (struct pl_outcome){ .code = PL_EUNDONE };
		}
		call.deadline = pl_mono_ms() + 150;
		code = prov->apply(self, &call, "example.test", c, o, 20,
		    &err);
		assert_true(code == PL_ENET || code == PL_EPROTO);
		for (k = 0; k < 20; k++) {
			assert_int_not_equal(o[k].code, PL_OK);
			assert_true(pl_code_retry(o[k].code));
		}
		c[0].op = PL_LOOK;
		o[0] = (struct pl_outcome){ .code = PL_EUNDONE };
		call.deadline = pl_mono_ms() + 150;
		assert_int_not_equal(prov->apply(self, &call, "example.test",
		    c, o, 1, &err), PL_OK);
		assert_int_not_equal(o[0].code, PL_OK);
		prov->close(self);
		lab_stop(&liar);
	}
	free(c);
	free(o);
}

/* Nobody listens: told at once, and nothing can have been done. */
static void
test_nobody(void **state)
{
	struct pl_call call = { .deadline = pl_mono_ms() + 9000 };
	struct pl_change c[12];
	struct pl_outcome o[12];
	struct pl_err err;
	struct lab liar;
	void *self;
	size_t i;

	(void)state;
	assert_true(lab_liar(&liar, LIE_NONE));
	self = open_with(liar.port, "example.test", LAB_NAME, LAB_KEY);
	lab_stop(&liar);
	for (i = 0; i < 12; i++) {
		c[i] = (struct pl_change){ .op = PL_DEL, .kind = PL_TXT,
			.value = "a value of more than forty octets, as usual",
			.value_len = 43, .name = "a.example.test" };
		o[i] = (struct pl_outcome){ .code = PL_EUNDONE };
	}
	assert_int_equal(prov->apply(self, &call, "example.test", c, o, 12,
	    &err), PL_ENET);
	assert_int_equal(err.code, PL_ENET);
	assert_non_null(strstr(err.text, "refused"));
	for (i = 0; i < 12; i++)
		assert_int_equal(o[i].code, PL_EUNDONE);
	prov->close(self);
}

static void
test_bad_changes(void **state)
{
	struct pl_call call = { .deadline = pl_mono_ms() + 5000 };
	struct pl_change c[3] = {
		{ .op = PL_LOOK, .kind = PL_FILE, .name = "/x", .value = "v",
		    .value_len = 1 },
		{ .op = PL_LOOK, .kind = PL_TXT, .name = "a.example.org",
		    .value = "v", .value_len = 1 },
		{ .op = PL_LOOK, .kind = PL_TXT, .name = "xexample.test",
		    .value = "v", .value_len = 1 } };
	struct pl_outcome o[3] = { { .code = PL_EUNDONE },
		{ .code = PL_EUNDONE }, { .code = PL_EUNDONE } };
	struct pl_err err;
	struct lab liar;
	void *self;
	size_t i;

	(void)state;
	assert_true(lab_liar(&liar, LIE_NONE));
	self = open_with(liar.port, "example.test", LAB_NAME, LAB_KEY);
	assert_int_equal(prov->apply(self, &call, "example.test", c, o, 3,
	    &err), PL_EINVAL);
	for (i = 0; i < 3; i++)
		assert_int_equal(o[i].code, PL_EINVAL);
	prov->close(self);
	lab_stop(&liar);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_rcodes),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_bad_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
