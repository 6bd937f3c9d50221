/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The verifier against real name servers, in a network of its own. */

#include "verify.h"
#include "verify_lab.h"

static const char *const resolvers[] = { "127.0.0.1", NULL };
static const struct pl_verify_settings found = { .resolvers = resolvers };

static const char zone_root[] =
    "$TTL 300\n@ SOA a.root. h. 1 3600 600 86400 60\n@ NS a.root.\n"
    "a.root. A 127.0.0.10\ntest. NS a.root.\n";
static const char zone_test[] =
    "$TTL 300\n@ SOA a.root. h. 1 3600 600 86400 60\n@ NS a.root.\n"
    "example NS ns1.example\nexample NS ns2.example\n"
    "ns1.example A 127.0.0.11\nns2.example A 127.0.0.12\n"
    "other NS ns1.example\n";
static const char zone_example[] =
    "$TTL 300\n@ SOA ns1 h %s 3600 600 86400 60\n@ NS ns1\n@ NS ns2\n"
    "ns1 A 127.0.0.11\nns2 A 127.0.0.12\nwww A 127.0.0.80\n"
    "@ TXT \"apex\"\n_acme-challenge TXT \"one\"\n%s"
    "_acme-challenge.www CNAME www.chal.other.test.\n"
    "_1234 CNAME target.example.net.\n"
    "dn DNAME d.other.test.\n"
    "_acme-challenge.sub NS deep.other.test.\n"
    "_acme-challenge.long TXT \"%s\" \"tail\"\n";
static const char zone_other[] =
    "$TTL 300\n@ SOA ns1.example.test. h 7 3600 600 86400 60\n"
    "@ NS ns1.example.test.\nwww.chal TXT \"aliased\"\n"
    "deep A 127.0.0.13\n_acme-challenge.x.d TXT \"by dname\"\n";
static const char zone_deep[] =
    "$TTL 300\n@ SOA deep.other.test. h 1 3600 600 86400 60\n"
    "@ NS deep.other.test.\n@ TXT \"deep\"\n";

static const char *
zone_line(const struct lab *lab, char *out, size_t size, const char *zone,
    const char *file)
{
	snprintf(out, size, "zone \"%s\" { type primary; file \"%s/%s\"; };\n",
	    zone, lab->dir, file);
	return out;
}

static void
servers_start(struct lab *lab)
{
	static const char *const addr[] = { "127.0.0.10/32", "127.0.0.11/32",
		"127.0.0.12/32", "127.0.0.13/32" };
	char text[8192], a[256], b[256], big[201];

	for (size_t i = 0; i < PL_NELEM(addr); i++)
		lab_address(addr[i]);
	memset(big, 'x', sizeof(big) - 1);
	big[200] = '\0';
	lab_file(lab, "root.zone", zone_root);
	lab_file(lab, "test.zone", zone_test);
	lab_file(lab, "other.zone", zone_other);
	lab_file(lab, "deep.zone", zone_deep);
	lab_file(lab, "hints", ". 300 NS a.root.\na.root. 300 A 127.0.0.10\n");
	snprintf(text, sizeof(text), zone_example, "5",
	    "_acme-challenge TXT \"two\"\n", big);
	lab_file(lab, "new.zone", text);
	snprintf(text, sizeof(text), zone_example, "4", "", big);
	lab_file(lab, "old.zone", text);

	zone_line(lab, a, sizeof(a), ".", "root.zone");
	snprintf(text, sizeof(text), "%s%s", a,
	    zone_line(lab, b, sizeof(b), "test", "test.zone"));
	lab_named(lab, "auth", "127.0.0.10", "recursion no;", text);
	zone_line(lab, a, sizeof(a), "example.test", "new.zone");
	snprintf(text, sizeof(text), "%s%s", a,
	    zone_line(lab, b, sizeof(b), "other.test", "other.zone"));
	lab_named(lab, "ns1", "127.0.0.11", "recursion no;", text);
	lab_named(lab, "ns2", "127.0.0.12", "recursion no;",
	    zone_line(lab, a, sizeof(a), "example.test", "old.zone"));
	lab_named(lab, "deep", "127.0.0.13", "recursion no;",
	    zone_line(lab, a, sizeof(a), "_acme-challenge.sub.example.test",
	    "deep.zone"));
	snprintf(text, sizeof(text),
	    "zone \".\" { type hint; file \"%s/hints\"; };", lab->dir);
	lab_named(lab, "res", "127.0.0.1", "recursion yes; querylog yes;",
	    text);
	lab_wait_dns("127.0.0.1");
	lab_wait_dns("127.0.0.10");
	lab_wait_dns("127.0.0.11");
	lab_wait_dns("127.0.0.12");
	lab_wait_dns("127.0.0.13");
}

static int
setup(void **state)
{
	struct lab *lab = pl_alloc(sizeof(*lab));

	if (!lab_enter(lab) || access("/usr/sbin/named", X_OK) != 0) {
		lab_leave(lab);
		free(lab);
		*state = NULL;
		print_message("no network of its own, or no named: skipped\n");
		return 0;
	}
	*state = lab;
	servers_start(lab);
	return 0;
}

static int
teardown(void **state)
{
	if (*state != NULL)
		lab_leave(*state);
	free(*state);
	return 0;
}

static void
look(struct lab_result *r, void **state, enum pl_look how, enum pl_kind kind,
    const char *record, const char *domain, const char *value)
{
	struct pl_check c = lab_check(how, kind, record, domain, value);

	if (*state == NULL)
		skip();
	lab_look(r, &found, &c);
}

static void
test_present(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT, "_acme-challenge.example.test",
	    "example.test", "one");
	assert_true(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_OK);
	assert_int_equal(r.last[0].n, 2);
	assert_string_equal(r.last[0].zone, "example.test");
	assert_string_equal(lab_verdict(&r, "127.0.0.12")->server,
	    "ns2.example.test");
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_PRESENT);
	lab_result_clear(&r);
}

static void
test_stale(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT, "_acme-challenge.example.test",
	    "example.test", "two");
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_EABSENT);
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_PRESENT);
	assert_int_equal(lab_verdict(&r, "127.0.0.12")->answer, PL_ANS_STALE);
	assert_non_null(strstr(r.last[0].err.text, "ns2.example.test"));
	lab_result_clear(&r);
}

static void
test_absent(void **state)
{
	struct lab_result r = { .finals = 0 };

	/* A value is the whole value, and case counts. */
	look(&r, state, PL_LOOK_ONCE, PL_TXT, "_acme-challenge.example.test",
	    "example.test", "on");
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_ABSENT);
	look(&r, state, PL_LOOK_ONCE, PL_TXT, "_acme-challenge.example.test",
	    "example.test", "ONE");
	assert_false(r.last[0].visible);
	look(&r, state, PL_LOOK_ONCE, PL_TXT, "_nothing.example.test",
	    "example.test", "x");
	assert_int_equal(r.last[0].code, PL_EABSENT);
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_ABSENT);
	/* Its answer carries a serial that is behind. */
	assert_int_equal(lab_verdict(&r, "127.0.0.12")->answer, PL_ANS_STALE);
	lab_result_clear(&r);
}

static void
test_strings_joined(void **state)
{
	struct lab_result r = { .finals = 0 };
	char value[205];

	memset(value, 'x', 200);
	memcpy(value + 200, "tail", 5);
	look(&r, state, PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.long.example.test", "long.example.test", value);
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_apex(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT, "example.test", "example.test",
	    "apex");
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_alias(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.www.example.test", "www.example.test",
	    "aliased");
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].record, "www.chal.other.test");
	assert_string_equal(r.last[0].zone, "other.test");
	look(&r, state, PL_LOOK_WHERE, PL_TXT,
	    "_acme-challenge.www.example.test", "www.example.test", "");
	assert_int_equal(r.last[0].code, PL_OK);
	assert_false(r.last[0].visible);
	assert_string_equal(r.last[0].record, "www.chal.other.test");
	assert_string_equal(r.last[0].zone, "other.test");
	lab_result_clear(&r);
}

/* What was looked up is forgotten some time, asked for again or not. */
static void
test_forgets(void **state)
{
	struct pl_verify_settings set = { .resolvers = resolvers };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.www.example.test", "www.example.test",
	    "aliased");
	struct lab_result r = { .finals = 0 };
	struct pl_verifier *v;
	struct pl_err err;

	if (*state == NULL)
		skip();
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, &r, &err),
	    PL_OK);
	assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
	lab_drive(v);
	assert_true(r.last[0].visible);
	assert_true(v->lookups.n > 2 && v->zones.n > 1 && v->cuts.n > 1);
	zones_sweep(v);
	assert_true(v->lookups.n > 2 && v->zones.n > 1 && v->cuts.n > 1);
	v->now += 600000;
	zones_sweep(v);
	assert_int_equal(v->lookups.n + v->zones.n + v->cuts.n, 0);
	/* And is found again. */
	assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
	assert_true(v->sweep.pos != 0);
	lab_drive(v);
	assert_int_equal(r.finals, 2);
	assert_true(r.last[0].visible);
	pl_verifier_free(v);
	lab_result_clear(&r);
}

static void
test_dname(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.x.dn.example.test", "x.dn.example.test",
	    "by dname");
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].record, "_acme-challenge.x.d.other.test");
	lab_result_clear(&r);
}

static void
test_delegated(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.sub.example.test", "sub.example.test", "deep");
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].zone,
	    "_acme-challenge.sub.example.test");
	assert_int_equal(lab_verdict(&r, "127.0.0.13")->answer,
	    PL_ANS_PRESENT);
	lab_result_clear(&r);
}

static void
test_cname_record(void **state)
{
	struct lab_result r = { .finals = 0 };

	look(&r, state, PL_LOOK_ONCE, PL_CNAME, "_1234.example.test",
	    "example.test", "target.example.net");
	assert_true(r.last[0].visible);
	look(&r, state, PL_LOOK_ONCE, PL_CNAME, "_1234.example.test",
	    "example.test", "other.example.net");
	assert_false(r.last[0].visible);
	look(&r, state, PL_LOOK_WHERE, PL_CNAME, "_1234.example.test",
	    "example.test", "");
	assert_int_equal(r.last[0].code, PL_OK);
	assert_string_equal(r.last[0].record, "_1234.example.test");
	assert_string_equal(r.last[0].zone, "example.test");
	lab_result_clear(&r);
}

static void
test_given_servers(void **state)
{
	static const char *const servers[] = { "127.0.0.11", "127.0.0.12",
		NULL };
	static const char *const one[] = { "127.0.0.11", NULL };
	struct pl_verify_settings set = { .servers = servers };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.example.test", "example.test", "two");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_int_equal(lab_verdict(&r, "127.0.0.12")->answer, PL_ANS_STALE);
	set.quorum = 1;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	set.quorum = 0;
	set.servers = one;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	c.look = PL_LOOK_WHERE;
	lab_look(&r, &set, &c);
	assert_string_equal(r.last[0].zone, "example.test");
	lab_result_clear(&r);
}

/* A port where nothing listens, and a zone that is not there. */
static void
test_refused_and_closed(void **state)
{
	static const char *const servers[] = { "127.0.0.11", "127.0.0.99",
		"127.0.0.13", NULL };
	struct pl_verify_settings set = { .servers = servers };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.example.test", "example.test", "two");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "127.0.0.99")->answer, PL_ANS_TIMEOUT);
	assert_int_equal(lab_verdict(&r, "127.0.0.13")->answer,
	    PL_ANS_REFUSED);
	lab_result_clear(&r);
}

static void
test_until_deadline(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct pl_check c = lab_check(PL_LOOK_UNTIL, PL_TXT,
	    "_acme-challenge.example.test", "example.test", "two");

	if (*state == NULL)
		skip();
	c.timeout_ms = 700;
	lab_look(&r, &found, &c);
	assert_int_equal(r.last[0].code, PL_EABSENT);
	assert_true(r.last[0].looks >= 3);
	assert_true(r.progress >= 1);
	lab_result_clear(&r);
}

static void
other_servers_start(struct lab *lab)
{
	char text[2048], knot[256], nsd[256];
	const char *k[] = { "/usr/sbin/knotd", "-c", knot, NULL };
	const char *n[] = { "/usr/sbin/nsd", "-d", "-c", nsd, NULL };

	lab_address("127.0.0.31/32");
	lab_address("127.0.0.32/32");
	snprintf(knot, sizeof(knot), "%s/knot.conf", lab->dir);
	snprintf(nsd, sizeof(nsd), "%s/nsd.conf", lab->dir);
	snprintf(text, sizeof(text), "server:\n  rundir: \"%s\"\n"
	    "  listen: 127.0.0.31@53\ndatabase:\n  storage: \"%s\"\n"
	    "zone:\n  - domain: example.test\n    file: \"%s/new.zone\"\n"
	    "    zonefile-sync: -1\n    journal-content: none\n", lab->dir,
	    lab->dir, lab->dir);
	lab_file(lab, "knot.conf", text);
	snprintf(text, sizeof(text), "server:\n  ip-address: 127.0.0.32\n"
	    "  username: \"\"\n  zonesdir: \"%s\"\n  pidfile: \"\"\n"
	    "  xfrdfile: \"\"\n  xfrdir: \"%s\"\n  zonelistfile: "
	    "\"%s/zone.list\"\n  server-count: 1\nremote-control:\n"
	    "  control-enable: no\nzone:\n  name: example.test\n"
	    "  zonefile: \"%s/new.zone\"\n", lab->dir, lab->dir, lab->dir,
	    lab->dir);
	lab_file(lab, "nsd.conf", text);
	lab_start(lab, k, "knot.log");
	lab_start(lab, n, "nsd.log");
	lab_wait_dns("127.0.0.31");
	lab_wait_dns("127.0.0.32");
}

/* The same zone on three kinds of server, one way to read them all. */
static void
test_other_servers(void **state)
{
	static const char *const servers[] = { "127.0.0.11", "127.0.0.31",
		"127.0.0.32", NULL };
	struct pl_verify_settings set = { .servers = servers,
		.resolvers = resolvers };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.example.test", "example.test", "two");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL || access("/usr/sbin/knotd", X_OK) != 0 ||
	    access("/usr/sbin/nsd", X_OK) != 0)
		skip();
	other_servers_start(*state);
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_int_equal(r.last[0].n, 3);
	c.value = "three";
	c.value_len = 5;
	lab_look(&r, &set, &c);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(r.last[0].verdicts[i].answer, PL_ANS_ABSENT);
	/* An alias, a DNAME and a delegation lead out of their zone. */
	c.record = "_acme-challenge.www.example.test";
	c.value = "aliased";
	c.value_len = 7;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].zone, "other.test");
	c.record = "_acme-challenge.x.dn.example.test";
	c.value = "by dname";
	c.value_len = 8;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	c.record = "_acme-challenge.sub.example.test";
	c.value = "deep";
	c.value_len = 4;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	c.look = PL_LOOK_WHERE;
	c.record = "_acme-challenge.example.test";
	lab_look(&r, &set, &c);
	assert_string_equal(r.last[0].zone, "example.test");
	lab_result_clear(&r);
}

/* No resolver was asked for a challenge's name, nor for anything below it. */
static void
test_resolver_not_poisoned(void **state)
{
	if (*state == NULL)
		skip();
	assert_true(lab_logged(*state, "res.log", "example.test IN SOA"));
	assert_false(lab_logged(*state, "res.log", "_acme-challenge"));
	assert_false(lab_logged(*state, "res.log", "_nothing"));
	assert_false(lab_logged(*state, "res.log", "_1234"));
}

static void
test_many(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct pl_verifier *v;
	struct pl_err err;

	if (*state == NULL)
		skip();
	assert_int_equal(pl_verifier_new(&v, &found, lab_found, &r, &err),
	    PL_OK);
	for (uint32_t i = 0; i < 2000; i++) {
		struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
		    "_acme-challenge.example.test", "example.test", "one");

		c.id = i + 100;
		assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
		if (i % 10 == 0)
			pl_verifier_cancel(v, c.id);
	}
	lab_drive(v);
	pl_verifier_free(v);
	assert_int_equal(r.finals, 1800);
	assert_int_equal(r.visible, 1800);
	lab_result_clear(&r);
}

static void
test_free_under_way(void **state)
{
	struct pl_verifier *v;
	struct pl_err err;
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	for (int turns = 0; turns < 6; turns++) {
		struct pl_check c = lab_check(PL_LOOK_UNTIL, PL_TXT,
		    "_acme-challenge.example.test", "example.test", "no");

		assert_int_equal(pl_verifier_new(&v, &found, lab_found, &r,
		    &err), PL_OK);
		assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
		assert_int_equal(pl_verifier_add(v, &c, &err), PL_EINVAL);
		for (int k = 0; k < turns; k++) {
			struct pollfd p = { .fd = pl_verifier_fd(v),
				.events = POLLIN };

			poll(&p, 1, pl_verifier_run(v));
		}
		pl_verifier_free(v);
	}
	assert_int_equal(r.finals, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_strings_joined),
		cmocka_unit_test(test_apex),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_dname),
		cmocka_unit_test(test_delegated),
		cmocka_unit_test(test_cname_record),
		cmocka_unit_test(test_given_servers),
		cmocka_unit_test(test_refused_and_closed),
		cmocka_unit_test(test_until_deadline),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_free_under_way),
		cmocka_unit_test(test_other_servers),
		cmocka_unit_test(test_resolver_not_poisoned),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
