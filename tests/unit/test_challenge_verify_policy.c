/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What a CA looks at beside the record: DNSSEC, CAA, delegations, aliases
 * that nobody meant; against real servers in a network of its own.
 */

#include "verify_lab.h"

static const char *const resolvers[] = { "127.0.0.1", NULL };

#define HEAD "$TTL 300\n@ SOA ns1.plain.test. h.test. 1 3600 600 86400 60\n"

static const struct {
	const char *zone, *text;
	const char *end;	/* of its signatures, or NULL: unsigned */
} zones[] = {
	{ "plain.test", HEAD "@ NS ns1\nns1 A 127.0.0.11\nns2 A 127.0.0.12\n"
	    "far A 203.0.113.1\n_acme-challenge TXT one\n"
	    "deny CAA 0 issue \";\"\nallow CAA 0 issue \"sectigo.com\"\n"
	    "mine CAA 0 issue \"sectigo.com; accounturi=acct:1; "
	    "validationmethods=dns-01\"\n"
	    "_acme-challenge.deny TXT one\n_acme-challenge.x.allow TXT one\n"
	    "_acme-challenge.mine TXT one\n"
	    "*.wild CNAME lb\nlb A 127.0.0.80\n"
	    "_acme-challenge.own CNAME meant\nmeant TXT one\n"
	    "_acme-challenge.a CNAME _acme-challenge.b\n"
	    "_acme-challenge.b CNAME _acme-challenge.a\n"
	    "_acme-challenge.dead CNAME x.nowhere.invalid.\n"
	    "_acme-challenge.bogus CNAME _acme-challenge.late.test.\n"
	    "_acme-challenge.large TXT one\n", NULL },
	{ "uni.test", HEAD "@ NS ns1.plain.test.\n@ NS far.plain.test.\n"
	    "_acme-challenge TXT one\n", NULL },
	{ "mis.test", HEAD "@ NS ns1.plain.test.\n@ NS ns2.plain.test.\n"
	    "_acme-challenge TXT one\n", NULL },
	{ "good.test", HEAD "@ NS ns1.plain.test.\n_acme-challenge TXT one\n",
	    "now+864000" },
	{ "late.test", HEAD "@ NS ns1.plain.test.\n_acme-challenge TXT one\n",
	    "20200201000000" },
	{ "soon.test", HEAD "@ NS ns1.plain.test.\n_acme-challenge TXT one\n",
	    "now+1000" },
	{ "wrong.test", HEAD "@ NS ns1.plain.test.\n_acme-challenge TXT one\n",
	    "now+864000" },
};

static const char zone_root[] = HEAD "@ NS a.\na. A 127.0.0.10\ntest. NS a.\n";
static const char zone_test[] = HEAD "@ NS a.\nplain NS ns1.plain\n"
    "ns1.plain A 127.0.0.11\nfar.plain A 203.0.113.1\n"
    "uni NS ns1.plain\nuni NS far.plain\n"
    "mis NS ns1.plain\nmis NS far.plain\n"
    "good NS ns1.plain\nlate NS ns1.plain\nsoon NS ns1.plain\n"
    "wrong NS ns1.plain\n";
static const char zone_shut[] = HEAD "@ NS far\nfar A 203.0.113.1\n"
    "_acme-challenge TXT one\n";

/* ---- signing ---------------------------------------------------------------- */

/* Makes a key for the zone, signs it, adds the key to the anchors. */
static void
sign(struct lab *lab, const char *zone, const char *end)
{
	char cmd[1024];
	const char *argv[] = { "/bin/sh", "-c", cmd, NULL };
	bool wrong = strcmp(zone, "wrong.test") == 0;

	snprintf(cmd, sizeof(cmd), "cd %s && K=$(dnssec-keygen -q -a "
	    "ECDSAP256SHA256 -f KSK %s) && cat $K.key >> %s.zone && "
	    "dnssec-signzone -q -z -S -P -o %s -s 20200101000000 -e %s "
	    "-f %s.signed %s.zone && mv %s.signed %s.zone && "
	    "grep DNSKEY $K.key | %s >> anchor", lab->dir, zone, zone, zone,
	    end, zone, zone, zone, zone,
	    /* A key that is not the zone's. */
	    wrong ? "sed 's/ 13 ..../ 13 AAAA/'" : "cat");
	if (!lab_run(argv))
		fail_msg("%s", cmd);
}

static int
setup(void **state)
{
	struct lab *lab = pl_alloc(sizeof(*lab));
	char conf[8192] = "", line[256], root[512];

	if (!lab_enter(lab) || access("/usr/sbin/named", X_OK) != 0 ||
	    access("/usr/bin/dnssec-signzone", X_OK) != 0) {
		lab_leave(lab);
		free(lab);
		*state = NULL;
		print_message("no network of its own, or no named: skipped\n");
		return 0;
	}
	*state = lab;
	lab_address("127.0.0.10/32");
	lab_address("127.0.0.11/32");
	for (size_t i = 0; i < PL_NELEM(zones); i++) {
		snprintf(line, sizeof(line), "%s.zone", zones[i].zone);
		lab_file(lab, line, zones[i].text);
		if (zones[i].end != NULL)
			sign(lab, zones[i].zone, zones[i].end);
		snprintf(line, sizeof(line), "zone \"%s\" { type primary; file "
		    "\"%s/%s.zone\"; };\n", zones[i].zone, lab->dir,
		    zones[i].zone);
		strncat(conf, line, sizeof(conf) - strlen(conf) - 1);
	}
	lab_file(lab, "root.zone", zone_root);
	lab_file(lab, "test.zone", zone_test);
	lab_file(lab, "shut.zone", zone_shut);
	lab_file(lab, "hints", ". 300 NS a.\na. 300 A 127.0.0.10\n");
	snprintf(root, sizeof(root), "zone \".\" { type primary; file "
	    "\"%s/root.zone\"; }; zone \"test\" { type primary; file "
	    "\"%s/test.zone\"; };", lab->dir, lab->dir);
	lab_named(lab, "auth", "127.0.0.10", "recursion no;", root);
	lab_named(lab, "ns1", "127.0.0.11", "recursion no;", conf);
	snprintf(root, sizeof(root), "zone \".\" { type hint; file "
	    "\"%s/hints\"; }; zone \"shut.test\" { type primary; file "
	    "\"%s/shut.zone\"; };", lab->dir, lab->dir);
	lab_named(lab, "res", "127.0.0.1", "recursion yes;", root);
	lab_wait_dns("127.0.0.1");
	lab_wait_dns("127.0.0.10");
	lab_wait_dns("127.0.0.11");
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

struct ask {
	enum pl_look look;
	const char *domain;
	const char *dnssec, *caa;
	const char *ca, *account, *methods;
};

static void
look(struct lab_result *r, void **state, const struct ask *a)
{
	struct lab *lab = *state;
	char record[300], anchor[128];
	struct pl_verify_settings set = { .resolvers = resolvers,
		.dnssec = a->dnssec, .caa = a->caa, .trust_anchor = anchor };
	struct pl_check c;

	if (lab == NULL)
		skip();
	snprintf(anchor, sizeof(anchor), "%s/anchor", lab->dir);
	snprintf(record, sizeof(record), "_acme-challenge.%s", a->domain);
	c = lab_check(a->look, PL_TXT, record, a->domain, "one");
	c.ca = a->ca;
	c.account_uri = a->account;
	c.methods = a->methods;
	lab_look(r, &set, &c);
}

/* Is there a finding with these words?  Its mark, or PL_NMARKS. */
static enum pl_mark
finding(const struct lab_result *r, const char *topic, const char *words)
{
	for (size_t i = 0; i < r->last[0].nfindings; i++) {
		const struct pl_finding *f = &r->last[0].findings[i];

		if (strcmp(f->topic, topic) == 0 &&
		    strstr(f->text, words) != NULL)
			return f->mark;
	}
	for (size_t i = 0; i < r->last[0].nfindings; i++)
		print_message("%s: %s: %s\n", r->last[0].findings[i].topic,
		    pl_mark_name(r->last[0].findings[i].mark),
		    r->last[0].findings[i].text);
	print_message("%s\n", r->last[0].err.text);
	return PL_NMARKS;
}

static void
test_dnssec(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_UNTIL, .domain = "good.test",
		.dnssec = "require" };

	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "dnssec", "chain of trust holds"),
	    PL_MARK_GOOD);
	a.domain = "plain.test";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "dnssec", "not signed"), PL_MARK_INFO);
	a.domain = "soon.test";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "dnssec", "a signature ends in"),
	    PL_MARK_WARN);
	lab_result_clear(&r);
}

static void
bogus(void **state, const char *domain)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_UNTIL, .domain = domain,
		.dnssec = "require" };

	look(&r, state, &a);
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	assert_int_equal(finding(&r, "dnssec", "is bogus: "), PL_MARK_BAD);
	assert_int_equal(r.last[0].verdicts[r.last[0].n - 1].answer,
	    PL_ANS_BOGUS);
	a.dnssec = "warn";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "dnssec", "is bogus: "), PL_MARK_WARN);
	a.dnssec = "off";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(r.last[0].nfindings, 0);
	lab_result_clear(&r);
}

static void
test_expired(void **state)
{
	bogus(state, "late.test");
}

static void
test_wrong_key(void **state)
{
	bogus(state, "wrong.test");
}

/* The name is in a zone without signatures, its alias in a broken one. */
static void
test_bogus_alias(void **state)
{
	bogus(state, "bogus.plain.test");
}

static void
test_caa(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_ONCE,
		.domain = "x.allow.plain.test", .caa = "require", .ca = "sectigo.com" };

	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "caa", "at allow.plain.test"),
	    PL_MARK_GOOD);
	a.domain = "deny.plain.test";
	look(&r, state, &a);
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	assert_int_equal(finding(&r, "caa", "this would allow it"),
	    PL_MARK_BAD);
	a.caa = "warn";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "caa", "forbidden at deny.plain.test"),
	    PL_MARK_WARN);
	a.domain = "mine.plain.test";
	a.account = "acct:1";
	a.methods = "dns-01";
	look(&r, state, &a);
	assert_int_equal(finding(&r, "caa", "allowed"), PL_MARK_GOOD);
	a.methods = "ca-tbr-18";
	look(&r, state, &a);
	assert_int_equal(finding(&r, "caa", "another method"), PL_MARK_WARN);
	lab_result_clear(&r);
}

static void
test_wildcard_alias(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_WHERE,
		.domain = "wild.plain.test" };

	look(&r, state, &a);
	assert_int_equal(r.last[0].code, PL_OK);
	assert_string_equal(r.last[0].record, "_acme-challenge.wild.plain.test");
	assert_string_equal(r.last[0].zone, "plain.test");
	assert_int_equal(finding(&r, "alias", "a wildcard leads to"),
	    PL_MARK_INFO);
	a.look = PL_LOOK_ONCE;
	look(&r, state, &a);
	assert_false(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_ABSENT);
	assert_non_null(strstr(lab_verdict(&r, "127.0.0.11")->note,
	    "wildcard"));
	/* One that is meant. */
	a.domain = "own.plain.test";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].record, "meant.plain.test");
	lab_result_clear(&r);
}

static void
test_alias_ends(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_UNTIL,
		.domain = "a.plain.test" };

	look(&r, state, &a);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	assert_non_null(strstr(r.last[0].err.text, "alias loop"));
	a.look = PL_LOOK_WHERE;
	a.domain = "dead.plain.test";
	look(&r, state, &a);
	assert_int_equal(r.last[0].code, PL_ENET);
	assert_string_equal(r.last[0].record, "x.nowhere.invalid");
	lab_result_clear(&r);
}

static void
test_unreachable(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_ONCE, .domain = "uni.test" };

	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "203.0.113.1")->answer,
	    PL_ANS_UNREACHABLE);
	/* None at all: the resolvers, with a warning. */
	a.domain = "shut.test";
	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "127.0.0.1")->answer,
	    PL_ANS_PRESENT);
	assert_int_equal(finding(&r, "resolvers", "asked instead"),
	    PL_MARK_WARN);
	lab_result_clear(&r);
}

static void
test_preflight(void **state)
{
	struct lab_result r = { .finals = 0 };
	struct ask a = { .look = PL_LOOK_CHECK, .domain = "good.test",
		.dnssec = "warn", .caa = "warn" };

	look(&r, state, &a);
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].zone, "good.test");
	assert_int_equal(lab_verdict(&r, "127.0.0.11")->answer,
	    PL_ANS_PRESENT);
	assert_int_equal(finding(&r, "delegation", "the same 1 servers"),
	    PL_MARK_GOOD);
	assert_int_equal(finding(&r, "dnssec", "holds"), PL_MARK_GOOD);
	assert_int_equal(finding(&r, "caa", "no CAA record"), PL_MARK_INFO);
	a.domain = "mis.test";
	look(&r, state, &a);
	assert_int_equal(finding(&r, "delegation",
	    "only its parent names far.plain.test"), PL_MARK_WARN);
	assert_int_equal(finding(&r, "delegation",
	    "only the zone itself names ns2.plain.test"), PL_MARK_WARN);
	a.domain = "allow.plain.test";
	look(&r, state, &a);
	assert_int_equal(finding(&r, "caa",
	    "records at allow.plain.test: issue \"sectigo.com\""),
	    PL_MARK_INFO);
	assert_string_equal(r.last[0].zone, "plain.test");
	a.domain = "late.test";
	look(&r, state, &a);
	assert_int_equal(finding(&r, "dnssec", "bogus"), PL_MARK_WARN);
	lab_result_clear(&r);
}

/* Resolvers that say nothing hold up what is advice, to the deadline only. */
static void
test_late(void **state)
{
	static const char *const servers[] = { "127.0.0.11", NULL };
	static const char *const silent[] = { "127.0.0.98", NULL };
	struct pl_verify_settings set = { .servers = servers,
		.resolvers = silent, .caa = "warn", .dnssec = "warn" };
	struct pl_check c = lab_check(PL_LOOK_UNTIL, PL_TXT,
	    "_acme-challenge.plain.test", "plain.test", "one");
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	struct lab_result r = { .finals = 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (*state == NULL)
		skip();
	inet_pton(AF_INET, silent[0], &sa.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	c.ca = "sectigo.com";
	c.timeout_ms = 700;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "caa", "in time"), PL_MARK_WARN);
	set.caa = "require";
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_ENET);
	set.caa = "off";
	set.dnssec = "require";
	set.trust_anchor = "/usr/share/dns/root.key";
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	close(fd);
	lab_result_clear(&r);
}

static void
test_settings(void **state)
{
	struct pl_verify_settings set = { .dnssec = "maybe" };
	struct pl_verifier *v;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, NULL, &err),
	    PL_EINVAL);
}

/* A trust anchor that is not there: said, and in the way where required. */
static void
test_no_anchor(void **state)
{
	struct pl_verify_settings set = { .resolvers = resolvers,
		.dnssec = "warn", .trust_anchor = "/nonexistent/root.key" };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
	    "_acme-challenge.plain.test", "plain.test", "one");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_int_equal(finding(&r, "dnssec", "could not be validated"),
	    PL_MARK_WARN);
	set.dnssec = "require";
	lab_look(&r, &set, &c);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	lab_result_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnssec),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_bogus_alias),
		cmocka_unit_test(test_caa),
		cmocka_unit_test(test_wildcard_alias),
		cmocka_unit_test(test_alias_ends),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_preflight),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_no_anchor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
