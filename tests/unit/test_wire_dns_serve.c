/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"
#include "scratch.h"

#define ZONE "dcv.example.net"
#define NAME "_acme-challenge.a.b." ZONE

static const char *const servers[] = {
	"ns1." ZONE " 192.0.2.1 2001:db8::1", "ns.example.org" };

static struct pl_served *
zone(void)
{
	struct pl_served *s = pl_served_new();
	struct pl_err err;

	assert_int_equal(pl_served_zone(s, ZONE, servers, 2,
	    "root.example.net", 7, &err), PL_OK);
	return s;
}

static void
add(struct pl_served *s, unsigned type, const char *name, const char *value,
    uint32_t ttl, bool there)
{
	struct pl_err err;
	bool was;

	if (pl_served_add(s, type, name, value, strlen(value), ttl, &was,
	    NULL, &err) != PL_OK)
		fail_msg("%s: %s", name, err.text);
	assert_int_equal(was, there);
}

static void
del(struct pl_served *s, const char *name, const char *value)
{
	assert_int_equal(pl_served_del(s, PL_DNS_TXT, name, value,
	    strlen(value), NULL), PL_OK);
}

/* Asks over TCP; the message is cleared by the caller. */
static struct pl_dns_msg
ask(const struct pl_served *s, const char *name, unsigned type)
{
	unsigned char q[600], *out = pl_alloc(PL_DNS_MSG);
	size_t n = pl_dns_query(q, sizeof(q), name, type, PL_DNS_0X20), len;
	struct pl_dns_msg m;
	struct pl_err err;

	len = pl_served_answer(s, q, n, out, true);
	assert_true(pl_dns_matches(q, n, out, len));
	assert_int_equal(pl_dns_parse(&m, out, len, &err), PL_OK);
	free(out);
	return m;
}

static size_t
section(const struct pl_dns_msg *m, unsigned which, unsigned type)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nrr; i++)
		n += m->rr[i].section == which && m->rr[i].type == type;
	return n;
}

static void
expect(const struct pl_served *s, const char *name, unsigned type,
    unsigned rcode, size_t answers, bool soa)
{
	struct pl_dns_msg m = ask(s, name, type);

	assert_int_equal(m.rcode, rcode);
	assert_int_equal(m.aa, rcode != PL_DNS_REFUSED);
	assert_false(m.ra);
	assert_int_equal(section(&m, 1, type), answers);
	assert_int_equal(section(&m, 2, PL_DNS_SOA), soa);
	pl_dns_msg_clear(&m);
}

static void
test_values(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	struct pl_dns_msg m;

	expect(s, NAME, PL_DNS_TXT, PL_DNS_NXDOMAIN, 0, true);
	add(s, PL_DNS_TXT, NAME, "one", 30, false);
	add(s, PL_DNS_TXT, NAME, "two", 99, false);
	add(s, PL_DNS_TXT, NAME, "one", 30, true);
	assert_int_equal(pl_served_count(s), 2);
	m = ask(s, NAME, PL_DNS_TXT);
	assert_int_equal(section(&m, 1, PL_DNS_TXT), 2);
	/* The second one takes the set's time. */
	assert_int_equal(m.rr[0].ttl, 30);
	assert_int_equal(m.rr[1].ttl, 30);
	assert_memory_equal(m.rr[0].data, "one", 3);
	assert_memory_equal(m.rr[1].data, "two", 3);
	pl_dns_msg_clear(&m);
	del(s, NAME, "one");
	del(s, NAME, "never");
	expect(s, NAME, PL_DNS_TXT, PL_DNS_NOERROR, 1, false);
	del(s, NAME, "two");
	assert_int_equal(pl_served_count(s), 0);
	expect(s, NAME, PL_DNS_TXT, PL_DNS_NXDOMAIN, 0, true);
	pl_served_free(s);
}

/* Names between a record and its zone exist, as long as it does. */
static void
test_between(void **state PL_UNUSED)
{
	struct pl_served *s = zone();

	add(s, PL_DNS_TXT, NAME, "x", 1, false);
	expect(s, "b." ZONE, PL_DNS_TXT, PL_DNS_NOERROR, 0, true);
	expect(s, "a.b." ZONE, PL_DNS_A, PL_DNS_NOERROR, 0, true);
	expect(s, "c.b." ZONE, PL_DNS_A, PL_DNS_NXDOMAIN, 0, true);
	add(s, PL_DNS_TXT, "_dnsauth.b." ZONE, "y", 1, false);
	del(s, NAME, "x");
	expect(s, "b." ZONE, PL_DNS_TXT, PL_DNS_NOERROR, 0, true);
	expect(s, "a.b." ZONE, PL_DNS_A, PL_DNS_NXDOMAIN, 0, true);
	del(s, "_dnsauth.b." ZONE, "y");
	expect(s, "b." ZONE, PL_DNS_TXT, PL_DNS_NXDOMAIN, 0, true);
	expect(s, ZONE, PL_DNS_CAA, PL_DNS_NOERROR, 0, true);
	pl_served_free(s);
}

static void
test_zone_itself(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	struct pl_dns_msg m = ask(s, ZONE, PL_DNS_NS);
	uint32_t serial;

	assert_int_equal(section(&m, 1, PL_DNS_NS), 2);
	assert_int_equal(section(&m, 3, PL_DNS_A), 1);
	assert_int_equal(section(&m, 3, PL_DNS_AAAA), 1);
	pl_dns_msg_clear(&m);
	expect(s, "ns1." ZONE, PL_DNS_A, PL_DNS_NOERROR, 1, false);
	expect(s, "ns1." ZONE, PL_DNS_AAAA, PL_DNS_NOERROR, 1, false);
	expect(s, "example.net", PL_DNS_SOA, PL_DNS_REFUSED, 0, false);
	expect(s, "xdcv.example.net", PL_DNS_SOA, PL_DNS_REFUSED, 0, false);
	m = ask(s, ZONE, PL_DNS_SOA);
	assert_int_equal(m.rr[0].minimum, PL_SERVED_NEGATIVE);
	serial = m.rr[0].serial;
	pl_dns_msg_clear(&m);
	add(s, PL_DNS_TXT, NAME, "x", 1, false);
	m = ask(s, ZONE, PL_DNS_SOA);
	assert_int_equal(m.rr[0].serial, serial + 1);
	pl_dns_msg_clear(&m);
	assert_string_equal(pl_served_apex(s, NAME), ZONE);
	assert_null(pl_served_apex(s, "example.net"));
	pl_served_free(s);
}

/* Two zones, one below the other: each answers for itself. */
static void
test_zone_below(void **state PL_UNUSED)
{
	static const char *const ns[] = { "ns.example.org" };
	struct pl_served *s = pl_served_new();
	struct pl_err err;

	assert_int_equal(pl_served_zone(s, "a.example.net", ns, 1,
	    "root.example.net", 1, &err), PL_OK);
	assert_int_equal(pl_served_zone(s, "example.net", ns, 1,
	    "root.example.net", 1, &err), PL_OK);
	assert_string_equal(pl_served_apex(s, "x.a.example.net"),
	    "a.example.net");
	assert_string_equal(pl_served_apex(s, "x.b.example.net"),
	    "example.net");
	add(s, PL_DNS_TXT, "_dnsauth.a.example.net", "x", 1, false);
	expect(s, "_dnsauth.a.example.net", PL_DNS_TXT, PL_DNS_NOERROR, 1,
	    false);
	pl_served_free(s);
}

static void
test_alias(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	struct pl_dns_msg m;

	add(s, PL_DNS_CNAME, "_x1." ZONE, "_x2." ZONE, 5, false);
	add(s, PL_DNS_CNAME, "_x2." ZONE, NAME, 5, false);
	add(s, PL_DNS_TXT, NAME, "end", 5, false);
	add(s, PL_DNS_CNAME, "_out." ZONE, "www.example.org", 5, false);
	add(s, PL_DNS_CNAME, "_loop." ZONE, "_loop2." ZONE, 5, false);
	add(s, PL_DNS_CNAME, "_loop2." ZONE, "_loop." ZONE, 5, false);
	m = ask(s, "_x1." ZONE, PL_DNS_TXT);
	assert_int_equal(m.nrr, 3);
	assert_string_equal(m.rr[0].target, "_x2." ZONE);
	assert_string_equal(m.rr[1].owner, "_x2." ZONE);
	assert_string_equal(m.rr[2].owner, NAME);
	pl_dns_msg_clear(&m);
	expect(s, "_x1." ZONE, PL_DNS_CNAME, PL_DNS_NOERROR, 1, false);
	expect(s, "_out." ZONE, PL_DNS_TXT, PL_DNS_NOERROR, 0, false);
	m = ask(s, "_loop." ZONE, PL_DNS_TXT);
	assert_int_equal(section(&m, 1, PL_DNS_CNAME), 2);
	pl_dns_msg_clear(&m);
	del(s, NAME, "end");
	expect(s, "_x1." ZONE, PL_DNS_TXT, PL_DNS_NXDOMAIN, 0, true);
	pl_served_free(s);
}

/* Cut at 512 octets without EDNS, at its size with; whole over TCP. */
static void
test_truncation(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	unsigned char q[600], out[PL_DNS_UDP];
	char value[44];
	size_t n, len;

	for (int i = 0; i < 30; i++) {
		snprintf(value, sizeof(value), "%043d", i);
		add(s, PL_DNS_TXT, NAME, value, 1, false);
	}
	n = pl_dns_query(q, sizeof(q), NAME, PL_DNS_TXT, PL_DNS_NOEDNS);
	len = pl_served_answer(s, q, n, out, false);
	assert_int_equal(len, n);
	assert_int_equal(out[2] & 0x06, 0x06);		/* AA TC */
	assert_memory_equal(out + 6, "\0\0\0\0\0\0", 6);
	n = pl_dns_query(q, sizeof(q), NAME, PL_DNS_TXT, 0);
	len = pl_served_answer(s, q, n, out, false);
	assert_int_equal(out[2] & 0x02, 0x02);
	assert_int_equal(out[11], 1);			/* EDNS stays */
	expect(s, NAME, PL_DNS_TXT, PL_DNS_NOERROR, 30, false);
	for (int i = 15; i < 30; i++) {
		snprintf(value, sizeof(value), "%043d", i);
		del(s, NAME, value);
	}
	len = pl_served_answer(s, q, n, out, false);
	assert_int_equal(out[2] & 0x02, 0);
	assert_true(len > 512 && len <= PL_DNS_UDP);
	pl_served_free(s);
}

static void
test_any_is_small(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	struct pl_dns_msg m;

	for (int i = 0; i < 50; i++) {
		char value[8];

		snprintf(value, sizeof(value), "v%d", i);
		add(s, PL_DNS_TXT, NAME, value, 1, false);
	}
	m = ask(s, NAME, PL_DNS_ANY);
	assert_int_equal(section(&m, 1, 13), 1);
	assert_true(m.size < 120);
	pl_dns_msg_clear(&m);
	expect(s, "b." ZONE, PL_DNS_ANY, PL_DNS_NOERROR, 0, true);
	pl_served_free(s);
}

/* A thousand names come and go; the table forgets them all. */
static void
test_many(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	char name[100];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "_acme-challenge.n%d.x%d." ZONE,
		    i, i % 10);
		add(s, PL_DNS_TXT, name, "value", 1, false);
	}
	expect(s, "_acme-challenge.n2999.x9." ZONE, PL_DNS_TXT,
	    PL_DNS_NOERROR, 1, false);
	for (int i = 0; i < 3000; i += 2) {
		snprintf(name, sizeof(name), "_acme-challenge.n%d.x%d." ZONE,
		    i, i % 10);
		del(s, name, "value");
	}
	assert_int_equal(pl_served_count(s), 1500);
	expect(s, "x2." ZONE, PL_DNS_TXT, PL_DNS_NXDOMAIN, 0, true);
	expect(s, "x3." ZONE, PL_DNS_TXT, PL_DNS_NOERROR, 0, true);
	pl_served_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_zone_itself),
		cmocka_unit_test(test_zone_below),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_any_is_small),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
