/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The rfc2136 provider against real servers: named and knotd.  What the
 * servers hold is looked at with questions of our own, never with what the
 * provider believes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "providers.h"
#include "test_wire_dns_lab.h"

#define SOA "$TTL 300\n@ SOA ns1.example.test. host.example.test. 1 7200 3600 " \
	"1209600 300\n@ NS ns1.example.test.\n"

static const char *const zones[] = {
	"example.test", SOA
	"ns1 A 127.0.0.1\n"
	"www A 192.0.2.1\n"
	"_acme-challenge.set 777 TXT \"stranger\"\n"
	"_acme-challenge.odd 778 TXT \"ab\" \"cd\"\n"
	"_acme-challenge.odd 778 TXT \"\"\n"
	"_acme-challenge.alias CNAME elsewhere.other.test.\n"
	"_dnsauth.alias CNAME target.other.test.\n"
	"*.wild TXT \"from the wildcard\"\n"
	"*.cwild CNAME shop.other.test.\n"
	"*.awild A 192.0.2.2\n"
	"d DNAME elsewhere.test.\n"
	"deleg NS ns.elsewhere.test.\n"
	"deep.below.ent A 192.0.2.3\n",
	"sub.example.test", SOA,	/* no delegation leads to it */
	"open.test", SOA
	"_acme-challenge.set 777 TXT \"stranger\"\n",
	"policy.test", SOA,
	"fixed.test", SOA,
	"long.test", SOA,
	"short.test", SOA,
	NULL
};

#define ZONE(name, allow) "zone \"" name "\" { type primary; file \"" name \
	".zone\"; " allow " };\n"
#define KEYED "allow-update { key " LAB_NAME "; };"

static const char named_conf[] =
	ZONE("example.test", KEYED)
	ZONE("sub.example.test", KEYED)
	ZONE("open.test", "allow-update { any; };")
	ZONE("policy.test", "update-policy { grant " LAB_NAME
	    " name _acme-challenge.may.policy.test. TXT; };")
	ZONE("fixed.test", "")
	ZONE("long.test", "allow-update { key long.; };")
	ZONE("short.test", "allow-update { key short.; };");

struct bed {
	struct lab named, knotd;
};

static int
bed_start(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	*state = b;
	if (!lab_named(&b->named, zones, named_conf))
		print_message("named (bind9) cannot be started: its tests "
		    "are skipped\n");
	if (!lab_knotd(&b->knotd, zones))
		print_message("knotd (knot) cannot be started: its tests "
		    "are skipped\n");
	return 0;
}

static int
bed_stop(void **state)
{
	struct bed *b = *state;

	lab_stop(&b->named);
	lab_stop(&b->knotd);
	free(b);
	return 0;
}

/* ---- shorthands -------------------------------------------------------------- */

static const struct pl_provider *const prov = &pl_provider_rfc2136;

static struct pl_call
call_for(int64_t ms)
{
	struct pl_call c = { .deadline = pl_mono_ms() + ms };

	return c;
}

static void
set(struct pl_settings *s, const char *name, const char *value)
{
	if (value != NULL)
		pl_settings_add(s, name, &value, 1);
}

/* Opens an account; key NULL: none.  The secret is LAB_KEY. */
static void *
account(uint16_t port, const char *zone, const char *key, const char *alg)
{
	struct pl_settings s = { .account = NULL };
	char server[32], path[] = "/tmp/secret.XXXXXX";
	struct pl_err err;
	void *self = NULL;
	int fd;

	(void)snprintf(server, sizeof(server), "127.0.0.1:%u",
	    (unsigned)port);
	set(&s, "server", server);
	set(&s, "zone", zone);
	set(&s, "key-name", key);
	set(&s, "key-algorithm", alg);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, LAB_KEY "\n"), strlen(LAB_KEY) + 1);
	if (key != NULL)
		set(&s, "key-secret-file", path);
	assert_int_equal(prov->desc->check(&s, &err), PL_OK);
	if (prov->open(&self, &s, &err) != PL_OK)
		fail_msg("open: %s", err.text);
	(void)remove(path);
	pl_settings_clear(&s);
	return self;
}

static struct pl_change
change(enum pl_op op, const char *name, const char *value)
{
	struct pl_change c = { .op = op, .kind = PL_TXT, .ttl = 60,
		.name = name, .value = value, .value_len = strlen(value) };

	return c;
}

static enum pl_code
apply(void *self, const char *zone, const struct pl_change *c,
    struct pl_outcome *o, size_t n, struct pl_err *err)
{
	struct pl_call call = call_for(8000);
	enum pl_code code;
	size_t i;

	for (i = 0; i < n; i++)
		o[i] = (struct pl_outcome){ .code = PL_EUNDONE };
	code = prov->apply(self, &call, zone, c, o, n, err);
	for (i = 0; i < n; i++)
		if (o[i].code != PL_OK)
			break;
	assert_int_equal(code == PL_OK, i == n);
	return code;
}

static void
must(void *self, const char *zone, const struct pl_change *c,
    struct pl_outcome *o, size_t n)
{
	struct pl_err err;

	if (apply(self, zone, c, o, n, &err) != PL_OK)
		fail_msg("%s", err.text);
}

/* What the server says: how many values TXT has, and its TTL. */
static size_t
txt(uint16_t port, const char *name, const char *value, uint32_t *ttl)
{
	struct pl_dns_peer *p;
	struct pl_dns_msg m;
	size_t i, n = 0, has = 0;

	assert_int_equal(pl_dns_peer_open(&p, "127.0.0.1", port, NULL, NULL),
	    PL_OK);
	assert_int_equal(pl_dns_ask(p, name, PL_DNS_TXT, pl_mono_ms() + 5000,
	    &m, NULL), PL_OK);
	for (i = 0; i < m.nrr; i++) {
		if (m.rr[i].section != 1 || m.rr[i].type != PL_DNS_TXT)
			continue;
		n++;
		if (ttl != NULL)
			*ttl = m.rr[i].ttl;
		has += value != NULL && m.rr[i].len == strlen(value) &&
		    memcmp(m.rr[i].data, value, m.rr[i].len) == 0;
	}
	pl_dns_msg_clear(&m);
	pl_dns_peer_close(p);
	return value != NULL ? has : n;
}

static bool
cname(uint16_t port, const char *name, const char *target)
{
	struct pl_dns_peer *p;
	struct pl_dns_msg m;
	bool is = false;
	size_t i;

	assert_int_equal(pl_dns_peer_open(&p, "127.0.0.1", port, NULL, NULL),
	    PL_OK);
	assert_int_equal(pl_dns_ask(p, name, PL_DNS_CNAME, pl_mono_ms() + 5000,
	    &m, NULL), PL_OK);
	for (i = 0; i < m.nrr; i++)
		is |= m.rr[i].section == 1 && m.rr[i].type == PL_DNS_CNAME &&
		    strcmp(m.rr[i].target, target) == 0;
	pl_dns_msg_clear(&m);
	pl_dns_peer_close(p);
	return is;
}

/* ---- scope ------------------------------------------------------------------------ */

static void
scope_is(void *self, const char *name, const char *want)
{
	struct pl_call call = call_for(5000);
	char scope[PL_NAME_MAX];
	struct pl_err err;

	if (prov->scope(self, &call, name, scope, &err) != PL_OK)
		fail_msg("%s: %s", name, err.text);
	assert_string_equal(scope, want);
}

static void
scope_fails(void *self, const char *name, enum pl_code want)
{
	struct pl_call call = call_for(5000);
	char scope[PL_NAME_MAX];
	struct pl_err err;

	assert_int_equal(prov->scope(self, &call, name, scope, &err), want);
	assert_string_equal(scope, "");
	assert_non_null(strstr(err.text, name));
}

static void
scopes(uint16_t port)
{
	static const char *const many[] = { "_acme-challenge.example.test",
		"_acme-challenge.x.sub.example.test",
		"_acme-challenge.set.example.test",
		"_acme-challenge.alias.example.test",
		"_acme-challenge.deleg.example.test",
		"_acme-challenge.example.org",
		"_acme-challenge.example.test" };
	struct pl_call call = call_for(5000);
	void *self = account(port, NULL, LAB_NAME, NULL);
	int i;

	for (i = 0; i < 2; i++) {	/* without prime(), then with it */
		scope_is(self, many[0], "example.test");
		scope_is(self, "a.b.c.example.test", "example.test");
		scope_is(self, "example.test", "example.test");
		scope_is(self, "below.ent.example.test", "example.test");
		scope_is(self, many[1], "sub.example.test");
		scope_is(self, many[2], "example.test");
		scope_is(self, many[3], "example.test");
		scope_is(self, "x.wild.example.test", "example.test");
		scope_is(self, "x.cwild.example.test", "example.test");
		scope_is(self, "x.d.example.test", "example.test");
		scope_fails(self, many[4], PL_ENOZONE);
		scope_fails(self, many[5], PL_ENOZONE);
		prov->close(self);
		self = account(port, NULL, LAB_NAME, NULL);
		prov->prime(self, &call, many, PL_NELEM(many));
	}
	prov->close(self);

	self = account(port, "Example.Test.", LAB_NAME, NULL);
	scope_is(self, "x.sub.example.test", "example.test");
	scope_fails(self, "x.notexample.test", PL_ENOZONE);
	prov->close(self);
}

/* ---- records ------------------------------------------------------------------------ */

static void
add_and_remove(uint16_t port)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	const char *name = "_acme-challenge.new.example.test";
	struct pl_change c[2] = { change(PL_LOOK, name, "apex"),
		change(PL_LOOK, name, "wildcard") };
	struct pl_outcome o[2];
	uint32_t ttl = 0;

	must(self, "example.test", c, o, 2);
	assert_int_equal(o[0].was, PL_WAS_ABSENT);
	assert_int_equal(o[1].was, PL_WAS_ABSENT);
	c[0].op = c[1].op = PL_ADD;
	must(self, "example.test", c, o, 2);
	assert_int_equal(o[0].was, PL_WAS_ABSENT);
	assert_int_equal(txt(port, name, NULL, &ttl), 2);
	assert_int_equal(ttl, 60);
	assert_int_equal(txt(port, name, "apex", NULL), 1);

	/* Already there is success and said; seen by a look as well. */
	must(self, "example.test", c, o, 1);
	assert_int_equal(o[0].was, PL_WAS_PRESENT);
	c[0].op = PL_LOOK;
	must(self, "example.test", c, o, 1);
	assert_int_equal(o[0].was, PL_WAS_PRESENT);
	assert_int_equal(txt(port, name, NULL, NULL), 2);

	/* One goes, one stays; then gone already is success. */
	c[0].op = PL_DEL;
	must(self, "example.test", c, o, 1);
	assert_int_equal(txt(port, name, NULL, NULL), 1);
	assert_int_equal(txt(port, name, "wildcard", NULL), 1);
	c[1].op = PL_DEL;
	must(self, "example.test", c, o, 2);
	assert_int_equal(txt(port, name, NULL, NULL), 0);
	prov->close(self);
}

/* A stranger's values and TTL are there before, between and after. */
static void
stranger(uint16_t port, const char *name, uint32_t ttl, size_t values)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	struct pl_change c[2] = { change(PL_ADD, name, "ours"),
		change(PL_DEL, name, "not there") };
	struct pl_outcome o[2];
	uint32_t now = 0;

	must(self, "example.test", c, o, 1);		/* never looked */
	assert_int_equal(o[0].was, PL_WAS_ABSENT);
	assert_int_equal(txt(port, name, NULL, &now), values + 1);
	assert_int_equal(now, ttl);
	c[0].op = PL_DEL;
	must(self, "example.test", c, o, 2);
	assert_int_equal(txt(port, name, NULL, &now), values);
	assert_int_equal(now, ttl);
	prov->close(self);
}

static void
strangers(uint16_t port)
{
	stranger(port, "_acme-challenge.set.example.test", 777, 1);
	/* Strings parted by a stranger, and an empty one. */
	stranger(port, "_acme-challenge.odd.example.test", 778, 2);
}

/* The set changes behind our back between a look and the add. */
static void
races(uint16_t port)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	void *other = account(port, NULL, LAB_NAME, NULL);
	const char *name = "_acme-challenge.race.example.test";
	struct pl_change c = change(PL_LOOK, name, "ours");
	struct pl_change theirs = change(PL_ADD, name, "theirs");
	struct pl_outcome o;
	uint32_t ttl = 0;

	must(self, "example.test", &c, &o, 1);
	theirs.ttl = 999;
	must(other, "example.test", &theirs, &o, 1);
	c.op = PL_ADD;
	must(self, "example.test", &c, &o, 1);
	assert_int_equal(o.was, PL_WAS_ABSENT);
	assert_int_equal(txt(port, name, NULL, &ttl), 2);
	assert_int_equal(ttl, 999);

	/* Seen as a set, then gone. */
	c.op = PL_LOOK;
	must(self, "example.test", &c, &o, 1);
	assert_int_equal(o.was, PL_WAS_PRESENT);
	c = change(PL_ADD, name, "third");
	theirs.op = PL_DEL;
	must(other, "example.test", &theirs, &o, 1);
	theirs = change(PL_DEL, name, "ours");
	must(other, "example.test", &theirs, &o, 1);
	must(self, "example.test", &c, &o, 1);
	assert_int_equal(txt(port, name, NULL, &ttl), 1);
	assert_int_equal(ttl, 60);
	c.op = PL_DEL;
	must(self, "example.test", &c, &o, 1);
	prov->close(self);
	prov->close(other);
}

static void
aliases(uint16_t port)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	const char *name = "_acme-challenge.alias.example.test";
	struct pl_change c = change(PL_LOOK, name, "v");
	struct pl_outcome o;
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(apply(self, "example.test", &c, &o, 1, NULL),
		    PL_ECONFLICT);
		assert_string_equal(o.alias, "elsewhere.other.test");
		assert_non_null(strstr(o.text, name));
		c.op = PL_ADD;
	}
	assert_int_equal(txt(port, name, NULL, NULL), 0);
	assert_true(cname(port, name, "elsewhere.other.test"));

	/* A DNAME above leads away as well. */
	c = change(PL_LOOK, "_acme-challenge.d.example.test", "v");
	assert_int_equal(apply(self, "example.test", &c, &o, 1, NULL),
	    PL_ECONFLICT);
	assert_string_equal(o.alias, "_acme-challenge.elsewhere.test");

	/* A name in use or a CNAME elsewhere takes no CNAME of ours. */
	c = change(PL_ADD, "_dnsauth.alias.example.test", "ours.other.test");
	c.kind = PL_CNAME;
	assert_int_equal(apply(self, "example.test", &c, &o, 1, NULL),
	    PL_EREMOTE);
	assert_true(cname(port, c.name, "target.other.test"));
	c.name = "www.example.test";
	assert_int_equal(apply(self, "example.test", &c, &o, 1, NULL),
	    PL_EREMOTE);
	assert_false(cname(port, c.name, "ours.other.test"));
	c.name = "_acme-challenge.set.example.test";
	assert_int_equal(apply(self, "example.test", &c, &o, 1, NULL),
	    PL_EREMOTE);

	/* Ours: added, there already, removed; between names (ENT) too. */
	for (i = 0; i < 2; i++) {
		c.name = i == 0 ? "_33e7.example.test" : "ent.example.test";
		c.op = PL_ADD;
		must(self, "example.test", &c, &o, 1);
		assert_int_equal(o.was, PL_WAS_ABSENT);
		assert_true(cname(port, c.name, "ours.other.test"));
		must(self, "example.test", &c, &o, 1);
		assert_int_equal(o.was, PL_WAS_PRESENT);
		c.op = PL_DEL;
		must(self, "example.test", &c, &o, 1);
		assert_false(cname(port, c.name, "ours.other.test"));
	}
	prov->close(self);
}

/* One name that cannot be does not spoil the other of its message. */
static void
one_bad_name(uint16_t port)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	struct pl_change c[4] = {
		change(PL_ADD, "_acme-challenge.good1.example.test", "v"),
		change(PL_ADD, "www.example.test", "t.other.test"),
		change(PL_ADD, "_acme-challenge.alias.example.test", "v"),
		change(PL_ADD, "_acme-challenge.good2.example.test", "v") };
	struct pl_outcome o[4];

	c[1].kind = PL_CNAME;
	assert_int_not_equal(apply(self, "example.test", c, o, 4, NULL),
	    PL_OK);
	assert_int_equal(o[0].code, PL_OK);
	assert_int_equal(o[1].code, PL_EREMOTE);
	assert_int_equal(o[2].code, PL_ECONFLICT);
	assert_int_equal(o[3].code, PL_OK);
	assert_int_equal(txt(port, c[0].name, "v", NULL), 1);
	assert_int_equal(txt(port, c[3].name, "v", NULL), 1);
	c[1] = c[3];
	c[0].op = c[1].op = PL_DEL;
	must(self, "example.test", c, o, 2);
	prov->close(self);
}

/* Below a wildcard a name is unused, whatever questions say. */
static void
wildcards(uint16_t port)
{
	static const char *const names[] = {
		"_acme-challenge.x.wild.example.test",
		"_acme-challenge.x.cwild.example.test",
		"_acme-challenge.x.awild.example.test" };
	void *self = account(port, NULL, LAB_NAME, NULL);
	struct pl_change c[3];
	struct pl_outcome o[3];
	uint32_t ttl = 0;
	size_t i;

	for (i = 0; i < 3; i++) {
		c[i] = change(PL_LOOK, names[i], "v");
		scope_is(self, names[i], "example.test");
	}
	must(self, "example.test", c, o, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(o[i].was, PL_WAS_ABSENT);
		c[i].op = PL_ADD;
	}
	must(self, "example.test", c, o, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(txt(port, names[i], NULL, &ttl), 1);
		assert_int_equal(txt(port, names[i], "v", NULL), 1);
		assert_int_equal(ttl, 60);
		c[i].op = PL_DEL;
	}
	must(self, "example.test", c, o, 3);
	assert_int_equal(txt(port, names[0], "from the wildcard", NULL), 1);
	prov->close(self);
}

#define MANY 1500

/* Thousands of changes: the sweep, several messages on one connection. */
static void
many(uint16_t port, const char *zone_option)
{
	void *self = account(port, zone_option, LAB_NAME, NULL);
	struct pl_change *c = calloc(MANY, sizeof(*c));
	struct pl_outcome *o = calloc(MANY, sizeof(*o));
	char (*names)[64] = calloc(MANY, sizeof(*names));
	size_t i;
	int op;

	for (i = 0; i < MANY; i++) {
		/* apex and wildcard: two values a name */
		(void)snprintf(names[i], sizeof(names[i]),
		    "_acme-challenge.h%zu.example.test", i / 2);
		c[i] = change(PL_LOOK, names[i], i % 2 ? "one" : "two");
	}
	c[7].name = "_acme-challenge.set.example.test";
	c[7].value = "stranger";
	c[7].value_len = 8;
	for (op = PL_LOOK; op <= PL_DEL; op++) {
		for (i = 0; i < MANY; i++)
			c[i].op = i == 7 && op == PL_DEL ? PL_ADD :
			    (enum pl_op)op;
		must(self, "example.test", c, o, MANY);
		for (i = 0; i < MANY && op != PL_DEL; i++)
			assert_int_equal(o[i].was, i == 7 ? PL_WAS_PRESENT :
			    PL_WAS_ABSENT);
		assert_int_equal(txt(port, names[MANY - 1], NULL, NULL),
		    op == PL_ADD ? 2 : 0);
		assert_int_equal(txt(port, names[6], NULL, NULL),
		    op == PL_ADD ? 1 : 0);
	}
	assert_int_equal(txt(port, c[7].name, NULL, NULL), 1);
	free(c);
	free(o);
	free(names);
	prov->close(self);
}

/* More values at one name than one message has room for. */
static void
crowd(uint16_t port)
{
	void *self = account(port, "example.test", LAB_NAME, NULL);
	struct pl_change *c = calloc(MANY, sizeof(*c));
	struct pl_outcome *o = calloc(MANY, sizeof(*o));
	char (*values)[64] = calloc(MANY, sizeof(*values));
	const char *name = "_acme-challenge.crowd.example.test";
	size_t i;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(values[i], sizeof(values[i]), "%040zu", i);
		c[i] = change(PL_ADD, name, values[i]);
	}
	must(self, "example.test", c, o, 900);
	for (i = 0; i < 900; i++) {
		assert_int_equal(o[i].was, PL_WAS_ABSENT);
		c[i].op = PL_DEL;
	}
	assert_int_equal(txt(port, name, NULL, NULL), 900);
	must(self, "example.test", c, o, 900);
	assert_int_equal(txt(port, name, NULL, NULL), 0);
	free(c);
	free(o);
	free(values);
	prov->close(self);
}

static void
account_test(uint16_t port)
{
	void *self = account(port, NULL, LAB_NAME, NULL);
	struct pl_call call = call_for(5000);
	struct pl_err err;

	assert_int_equal(prov->apply(self, &call, "", NULL, NULL, 0, &err),
	    PL_OK);
	assert_int_equal(prov->apply(self, &call, "example.test", NULL, NULL,
	    0, &err), PL_OK);
	assert_int_not_equal(prov->apply(self, &call, "example.org", NULL,
	    NULL, 0, &err), PL_OK);
	prov->close(self);
	self = account(port, "example.org", LAB_NAME, NULL);
	assert_int_equal(prov->apply(self, &call, "", NULL, NULL, 0, &err),
	    PL_ENOZONE);
	prov->close(self);
}

#define ON_BOTH(name, what) \
	static void \
	name ## _named(void **state) \
	{ \
		uint16_t port = ((struct bed *)*state)->named.port; \
		if (port == 0) \
			skip(); \
		what; \
	} \
	static void \
	name ## _knotd(void **state) \
	{ \
		uint16_t port = ((struct bed *)*state)->knotd.port; \
		if (port == 0) \
			skip(); \
		what; \
	}

ON_BOTH(test_scopes, scopes(port))
ON_BOTH(test_add_and_remove, add_and_remove(port))
ON_BOTH(test_strangers, strangers(port))
ON_BOTH(test_races, races(port))
ON_BOTH(test_aliases, aliases(port))
ON_BOTH(test_one_bad_name, one_bad_name(port))
ON_BOTH(test_wildcards, wildcards(port))
ON_BOTH(test_many, many(port, NULL))
ON_BOTH(test_many_zone, many(port, "example.test"))
ON_BOTH(test_crowd, crowd(port))
ON_BOTH(test_account, account_test(port))

/* ---- named only ------------------------------------------------------------------- */

static void
test_algorithms(void **state)
{
	uint16_t port = ((struct bed *)*state)->named.port;
	struct pl_change c = change(PL_ADD, "_acme-challenge.long.test", "v");
	struct pl_outcome o;
	void *self;

	if (port == 0)
		skip();
	self = account(port, "long.test", "LONG", "hmac-sha384");
	must(self, "long.test", &c, &o, 1);
	prov->close(self);
	c.name = "_acme-challenge.short.test";
	self = account(port, "short.test", "short", "hmac-sha224");
	must(self, "short.test", &c, &o, 1);
	prov->close(self);
}

/* Servers that do not like prerequisites alone are served by questions. */
static void
test_prude(void **state)
{
	static const unsigned rcodes[] = { PL_DNS_REFUSED, PL_DNS_NOTIMP,
		PL_DNS_FORMERR };
	uint16_t port = ((struct bed *)*state)->named.port;
	struct pl_change c[20];
	struct pl_outcome o[20];
	char names[20][64];
	struct lab prude;
	uint32_t ttl;
	void *self;
	size_t i, r;

	if (port == 0)
		skip();
	for (i = 0; i < 20; i++) {
		(void)snprintf(names[i], sizeof(names[i]),
		    "_acme-challenge.p%zu.open.test", i);
		c[i] = change(PL_LOOK, names[i], "v");
	}
	c[3].name = "_acme-challenge.set.open.test";
	for (r = 0; r < PL_NELEM(rcodes); r++) {
		assert_true(lab_prude(&prude, port, rcodes[r]));
		self = account(prude.port, "open.test", NULL, NULL);
		for (i = 0; i < 20; i++)
			c[i].op = PL_LOOK;
		must(self, "open.test", c, o, 20);
		for (i = 0; i < 20; i++) {
			assert_int_equal(o[i].was, PL_WAS_ABSENT);
			c[i].op = PL_ADD;
		}
		must(self, "open.test", c, o, 20);
		assert_int_equal(txt(port, names[0], NULL, &ttl), 1);
		assert_int_equal(txt(port, c[3].name, NULL, &ttl), 2);
		assert_int_equal(ttl, 777);
		for (i = 0; i < 20; i++)
			c[i].op = PL_DEL;
		must(self, "open.test", c, o, 20);
		assert_int_equal(txt(port, names[0], NULL, NULL), 0);
		assert_int_equal(txt(port, c[3].name, NULL, NULL), 1);
		prov->close(self);
		lab_stop(&prude);
	}
}

/* A policy that allows one name: refused names do not take it with them. */
static void
test_policy(void **state)
{
	uint16_t port = ((struct bed *)*state)->named.port;
	struct pl_change c[3] = {
		change(PL_ADD, "_acme-challenge.not.policy.test", "v"),
		change(PL_ADD, "_acme-challenge.may.policy.test", "v"),
		change(PL_ADD, "_acme-challenge.nor.policy.test", "v") };
	struct pl_outcome o[3];
	struct pl_err err;
	void *self;

	if (port == 0)
		skip();
	self = account(port, NULL, LAB_NAME, NULL);
	assert_int_equal(apply(self, "policy.test", c, o, 3, &err), PL_EREMOTE);
	assert_non_null(strstr(err.text, "REFUSED"));
	assert_int_equal(o[0].code, PL_EREMOTE);
	assert_int_equal(o[1].code, PL_OK);
	assert_int_equal(o[2].code, PL_EREMOTE);
	assert_int_equal(txt(port, c[1].name, NULL, NULL), 1);
	prov->close(self);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scopes_named),
		cmocka_unit_test(test_add_and_remove_named),
		cmocka_unit_test(test_strangers_named),
		cmocka_unit_test(test_races_named),
		cmocka_unit_test(test_aliases_named),
		cmocka_unit_test(test_one_bad_name_named),
		cmocka_unit_test(test_wildcards_named),
		cmocka_unit_test(test_many_named),
		cmocka_unit_test(test_many_zone_named),
		cmocka_unit_test(test_crowd_named),
		cmocka_unit_test(test_account_named),
		cmocka_unit_test(test_scopes_knotd),
		cmocka_unit_test(test_add_and_remove_knotd),
		cmocka_unit_test(test_strangers_knotd),
		cmocka_unit_test(test_races_knotd),
		cmocka_unit_test(test_aliases_knotd),
		cmocka_unit_test(test_one_bad_name_knotd),
		cmocka_unit_test(test_wildcards_knotd),
		cmocka_unit_test(test_many_knotd),
		cmocka_unit_test(test_many_zone_knotd),
		cmocka_unit_test(test_crowd_knotd),
		cmocka_unit_test(test_account_knotd),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_prude),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
