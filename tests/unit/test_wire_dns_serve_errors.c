/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"
#include "scratch.h"

#define ZONE "dcv.example.net"

static const char *const servers[] = { "ns.example.org" };

static struct pl_served *
zone(void)
{
	struct pl_served *s = pl_served_new();

	assert_int_equal(pl_served_zone(s, ZONE, servers, 1,
	    "root.example.net", 7, NULL), PL_OK);
	return s;
}

static void
wrong_zone(const char *apex, const char *ns, const char *mailbox,
    const char *why)
{
	struct pl_served *s = zone();
	struct pl_err err;

	assert_int_equal(pl_served_zone(s, apex, &ns, ns != NULL, mailbox, 1,
	    &err), PL_EINVAL);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s: %s", why, err.text);
	pl_served_free(s);
}

static void
test_zones(void **state PL_UNUSED)
{
	wrong_zone("", "ns.a", "r.a", "not a name");
	wrong_zone("a..b", "ns.a", "r.a", "not a name");
	wrong_zone(ZONE, "ns.a", "r.a", "twice");
	wrong_zone("example.net", NULL, "r.a", "no name server");
	wrong_zone("example.net", "ns.example.net", "r.a", "must follow");
	wrong_zone("example.net", "ns.a.org 192.0.2.1", "r.a", "elsewhere");
	wrong_zone("example.net", "ns.example.net 192.0.2", "r.a",
	    "not an address");
	wrong_zone("example.net", "", "r.a", "not a host name");
	wrong_zone("example.net", "ns.a", "", "mailbox");
}

static void
add(struct pl_served *s, unsigned type, const char *name, const char *value,
    enum pl_code want, const char *why)
{
	struct pl_err err;
	char alias[256] = "";
	bool was;

	pl_err_clear(&err);
	assert_int_equal(pl_served_add(s, type, name, value, strlen(value), 1,
	    &was, alias, &err), want);
	if (want != PL_OK && strstr(err.text, why) == NULL)
		fail_msg("%s: %s", why, err.text);
	if (want == PL_ECONFLICT)
		assert_string_equal(alias, "target.example.org");
}

static void
test_records(void **state PL_UNUSED)
{
	struct pl_served *s = zone();
	char value[2049];

	add(s, PL_DNS_TXT, "x.example.net", "v", PL_ENOZONE, "none of");
	add(s, PL_DNS_CNAME, ZONE, "a.b", PL_EREMOTE, "cannot be an alias");
	add(s, PL_DNS_CNAME, "x." ZONE, "a..b", PL_EINVAL, "not a name");
	add(s, PL_DNS_A, "x." ZONE, "192.0.2.1", PL_EINVAL, "not a record");
	add(s, PL_DNS_CNAME, "x." ZONE, "target.example.org", PL_OK, "");
	add(s, PL_DNS_CNAME, "x." ZONE, "other.example.org", PL_EREMOTE,
	    "target.example.org already");
	add(s, PL_DNS_TXT, "x." ZONE, "v", PL_ECONFLICT, "is an alias");
	memset(value, 'v', sizeof(value) - 1);
	for (int i = 0; i < 28; i++) {
		snprintf(value, sizeof(value), "%02046d", i);
		add(s, PL_DNS_TXT, "big." ZONE, value, PL_OK, "");
	}
	for (int i = 28; i < 40; i++) {
		snprintf(value, sizeof(value), "%02046d", i);
		if (i == 39)
			add(s, PL_DNS_TXT, "big." ZONE, value, PL_EREMOTE,
			    "as many values");
		else
			pl_served_add(s, PL_DNS_TXT, "big." ZONE, value,
			    strlen(value), 1, &(bool){ false }, NULL, NULL);
	}
	pl_served_free(s);
}

/* Octets, and the rcode of the answer; -1: none. */
static void
question(const char *what, const void *q, size_t n, int rcode)
{
	struct pl_served *s = zone();
	unsigned char out[PL_DNS_UDP];
	size_t len = pl_served_answer(s, q, n, out, false);

	if (rcode == -1 ? len != 0 : len < 12 || (out[3] & 15) != rcode ||
	    (out[2] & 0x80) == 0)
		fail_msg("%s: %zu octets, rcode %d", what, len,
		    len > 3 ? out[3] & 15 : -1);
	pl_served_free(s);
}

#define Q(what, octets, rcode) \
	question(what, octets, sizeof(octets) - 1, rcode)
#define HEAD(flags, qd, an, ar) \
	"\1\2" flags "\0" qd "\0" an "\0\0" "\0" ar
#define APEX "\3dcv\7example\3net\0"

static void
test_questions(void **state PL_UNUSED)
{
	Q("empty", "", -1);
	Q("half a header", "\1\2\0\0\0\1", -1);
	Q("an answer", HEAD("\x80\0", "\1", "\0", "\0") APEX "\0\6\0\1", -1);
	Q("good", HEAD("\0\0", "\1", "\0", "\0") APEX "\0\6\0\1", 0);
	Q("no question", HEAD("\0\0", "\0", "\0", "\0"), 1);
	Q("two questions", HEAD("\0\0", "\2", "\0", "\0") APEX "\0\6\0\1"
	    APEX "\0\6\0\1", 1);
	Q("with an answer", HEAD("\0\0", "\1", "\1", "\0") APEX "\0\6\0\1", 1);
	Q("cut in its name", HEAD("\0\0", "\1", "\0", "\0") "\3dc", 1);
	Q("cut in its type", HEAD("\0\0", "\1", "\0", "\0") APEX "\0\6\0", 1);
	Q("a pointer", HEAD("\0\0", "\1", "\0", "\0") "\xc0\x0c\0\6\0\1", 1);
	Q("octets behind", HEAD("\0\0", "\1", "\0", "\0") APEX "\0\6\0\1" "x",
	    1);
	Q("no OPT", HEAD("\0\0", "\1", "\0", "\1") APEX "\0\6\0\1", 1);
	Q("OPT", HEAD("\0\0", "\1", "\0", "\1") APEX "\0\6\0\1"
	    "\0\0\51\4\xd0\0\0\0\0\0\0", 0);
	Q("OPT not at the root", HEAD("\0\0", "\1", "\0", "\1") APEX
	    "\0\6\0\1" "\1a\0\0\51\4\xd0\0\0\0\0\0\0", 1);
	Q("OPT twice", HEAD("\0\0", "\1", "\0", "\2") APEX "\0\6\0\1"
	    "\0\0\51\4\xd0\0\0\0\0\0\0" "\0\0\51\4\xd0\0\0\0\0\0\0", 1);
	Q("OPT with more than there is", HEAD("\0\0", "\1", "\0", "\1") APEX
	    "\0\6\0\1" "\0\0\51\4\xd0\0\0\0\0\0\1", 1);
	Q("signed", HEAD("\0\0", "\1", "\0", "\1") APEX "\0\6\0\1"
	    "\0\0\xfa\0\xff\0\0\0\0\0\0", 9);
	Q("update", HEAD("\x28\0", "\1", "\0", "\0") APEX "\0\6\0\1", 4);
	Q("notify", HEAD("\x20\0", "\1", "\0", "\0") APEX "\0\6\0\1", 4);
	Q("transfer", HEAD("\0\0", "\1", "\0", "\0") APEX "\0\xfc\0\1", 5);
	Q("other class", HEAD("\0\0", "\1", "\0", "\0") APEX "\0\6\0\3", 5);
	Q("the root", HEAD("\0\0", "\1", "\0", "\0") "\0\0\2\0\1", 5);
}

/* Version 1 of EDNS: BADVERS, in the extended bits. */
static void
test_version(void **state PL_UNUSED)
{
	static const char q[] = HEAD("\0\0", "\1", "\0", "\1") APEX
	    "\0\6\0\1" "\0\0\51\4\xd0\0\1\0\0\0\0";
	struct pl_served *s = zone();
	unsigned char out[PL_DNS_UDP];
	size_t n = pl_served_answer(s, (const unsigned char *)q,
	    sizeof(q) - 1, out, false);

	assert_int_equal(out[3] & 15, 0);
	assert_int_equal(out[n - 6], 1);
	assert_int_equal(out[7], 0);
	pl_served_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
