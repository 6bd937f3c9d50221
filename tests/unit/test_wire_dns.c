/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The DNS codec: questions, answers held against ldns, UPDATE held against
 * ldns, TSIG.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "wire.h"

#define KEY "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

static void
test_query(void **state)
{
	unsigned char q[512];
	ldns_pkt *p = NULL;
	char *s;
	size_t n;

	(void)state;
	n = pl_dns_query(q, sizeof(q), "_acme-challenge.example.com",
	    PL_DNS_TXT, PL_DNS_DO | PL_DNS_RD);
	assert_int_equal(ldns_wire2pkt(&p, q, n), LDNS_STATUS_OK);
	assert_true(ldns_pkt_rd(p));
	assert_false(ldns_pkt_cd(p));
	assert_true(ldns_pkt_edns_do(p));
	assert_int_equal(ldns_pkt_edns_udp_size(p), PL_DNS_UDP);
	s = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_question(p), 0));
	assert_non_null(strstr(s, "_acme-challenge.example.com.\tIN\tTXT"));
	free(s);
	ldns_pkt_free(p);

	n = pl_dns_query(q, sizeof(q), "", PL_DNS_SOA,
	    PL_DNS_NOEDNS | PL_DNS_CD);
	assert_int_equal(n, 12 + 1 + 4);
	assert_int_equal(ldns_wire2pkt(&p, q, n), LDNS_STATUS_OK);
	assert_true(ldns_pkt_cd(p));
	assert_false(ldns_pkt_edns(p));
	ldns_pkt_free(p);
}

static void
test_query_names(void **state)
{
	static const char *const bad[] = { ".a", "a..b", "a\\", "a\\25",
		"a\\999", "x012345678901234567890123456789012345678901234567"
		"89012345678901234", NULL };
	unsigned char q[512], short_room[511];
	char name[300];
	size_t i;

	(void)state;
	for (i = 0; bad[i] != NULL; i++)
		assert_int_equal(pl_dns_query(q, sizeof(q), bad[i], 1, 0), 0);
	assert_int_equal(pl_dns_query(short_room, sizeof(short_room), "a", 1,
	    0), 0);
	/* 253 characters are a name, 254 are not. */
	for (i = 0; i < 254; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	assert_int_equal(pl_dns_query(q, sizeof(q), name, 1, PL_DNS_NOEDNS),
	    12 + 255 + 4);
	name[252] = 'a';
	name[253] = 'b';
	name[254] = '\0';
	assert_int_equal(pl_dns_query(q, sizeof(q), name, 1, 0), 0);
	/* An escaped dot is part of its label. */
	assert_int_equal(pl_dns_query(q, sizeof(q), "a\\.b.\\001", 1,
	    PL_DNS_NOEDNS), 12 + 4 + 2 + 1 + 4);
	assert_memory_equal(q + 12, "\3a.b\1\1\0", 7);
}

static void
test_query_random(void **state)
{
	unsigned char a[512], b[512];
	size_t n, i, ids = 0, cases = 0;

	(void)state;
	for (i = 0; i < 64; i++) {
		n = pl_dns_query(a, sizeof(a), "abcdefghijklmnop.qrstuvwxyz",
		    1, PL_DNS_0X20);
		assert_int_equal(n, pl_dns_query(b, sizeof(b),
		    "abcdefghijklmnop.qrstuvwxyz", 1, PL_DNS_0X20));
		ids += memcmp(a, b, 2) != 0;
		cases += memcmp(a + 12, b + 12, 27) != 0;
		assert_int_equal(a[12], 16);
		assert_int_equal(a[29], 10);
	}
	assert_true(ids > 60);
	assert_true(cases > 60);
}

static void
test_matches(void **state)
{
	unsigned char q[512], a[512];
	size_t n;

	(void)state;
	n = pl_dns_query(q, sizeof(q), "WwW.example.com", PL_DNS_TXT,
	    PL_DNS_NOEDNS);
	memcpy(a, q, n);
	assert_false(pl_dns_matches(q, n, a, n));	/* QR */
	a[2] |= 0x80;
	assert_true(pl_dns_matches(q, n, a, n));
	assert_false(pl_dns_matches(q, n, a, n - 1));
	assert_false(pl_dns_matches(q, n, a, 11));
	assert_false(pl_dns_matches(q, n, a, 12));
	a[0] ^= 1;					/* id */
	assert_false(pl_dns_matches(q, n, a, n));
	a[0] ^= 1;
	a[2] ^= 0x28;					/* opcode */
	assert_false(pl_dns_matches(q, n, a, n));
	a[2] ^= 0x28;
	a[13] ^= 0x20;					/* case of a letter */
	assert_false(pl_dns_matches(q, n, a, n));
	a[13] ^= 0x20;
	a[n - 3] ^= 1;					/* type */
	assert_false(pl_dns_matches(q, n, a, n));
	a[n - 3] ^= 1;
	a[5] = 2;					/* two questions */
	assert_false(pl_dns_matches(q, n, a, n));
	a[5] = 0;					/* none */
	assert_false(pl_dns_matches(q, n, a, n));
}

/* ---- answers, with ldns as the judge ------------------------------------ */

static const char *const records[] = {
	"_acme-challenge.example.com. 60 IN TXT \"one\" \"two\\\"\\000\\255\"",
	"_acme-challenge.example.com. 60 IN TXT \"\"",
	"Example.COM. 3600 IN SOA NS1.example.com. host.example.com. 2026112101"
	    " 7200 3600 1209600 300",
	"example.com. 300 IN NS ns1.Example.com.",
	"alias.example.com. 300 IN CNAME a\\.b.x\\010y.\\(z\\).example.com.",
	"d.example.com. 1 IN DNAME other.test.",
	"a.example.com. 1 IN A 192.0.2.1",
	"a.example.com. 1 IN AAAA 2001:db8::1",
	"example.com. 1 IN CAA 128 ISSUE \"ca.example; validationmethods=dns-01\"",
	"example.com. 1 IN MX 10 mail.example.com.",
	"example.com. 1 IN DS 12345 13 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE"
	    "49FD46E6C4B45C55D4AC69CB",
	"example.com. 1 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjn"
	    "opKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
	"example.com. 1 IN RRSIG TXT 13 2 60 20261221000000 20261121000000 12345 "
	    "example.com. mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAe"
	    "F+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
	NULL
};

static size_t
sound_answer(unsigned char *out, size_t size)
{
	ldns_pkt *p = ldns_pkt_query_new(
	    ldns_dname_new_frm_str("_acme-challenge.example.com"),
	    LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_IN, 0);
	ldns_pkt_section where;
	ldns_rr *rr;
	uint8_t *w;
	size_t i, n;

	ldns_pkt_set_id(p, 0xbeef);
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_aa(p, true);
	ldns_pkt_set_edns_udp_size(p, 1232);
	ldns_pkt_set_edns_extended_rcode(p, 1);
	for (i = 0; records[i] != NULL; i++) {
		where = i < 6 ? LDNS_SECTION_ANSWER : i < 9 ?
		    LDNS_SECTION_AUTHORITY : LDNS_SECTION_ADDITIONAL;
		assert_int_equal(ldns_rr_new_frm_str(&rr, records[i], 0, NULL,
		    NULL), LDNS_STATUS_OK);
		assert_true(ldns_pkt_push_rr(p, where, rr));
	}
	assert_int_equal(ldns_pkt2wire(&w, p, &n), LDNS_STATUS_OK);
	assert_true(n <= size);
	memcpy(out, w, n);
	free(w);
	ldns_pkt_free(p);
	return n;
}

/* The text of a name by ldns as we write it: lower case, no final dot. */
static void
judge_name(const ldns_rdf *name, const char *ours)
{
	char *s = ldns_rdf2str(name);
	size_t i, n = strlen(s);

	if (n > 0)
		s[n - 1] = '\0';
	for (i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] + 32);
	assert_string_equal(ours, s);
	free(s);
}

static void
judge_record(const struct pl_dns_rr *rr, ldns_rr *l)
{
	ldns_rdf *first = ldns_rr_rdf(l, 0);
	unsigned char joined[600];
	size_t n = 0, i;

	judge_name(ldns_rr_owner(l), rr->owner);
	assert_int_equal(rr->type, ldns_rr_get_type(l));
	assert_int_equal(rr->ttl, ldns_rr_ttl(l));
	switch (rr->type) {
	case PL_DNS_TXT:
		for (i = 0; i < ldns_rr_rd_count(l); i++) {
			ldns_rdf *f = ldns_rr_rdf(l, i);

			assert_memory_equal(rr->raw + n + i, ldns_rdf_data(f),
			    ldns_rdf_size(f));
			memcpy(joined + n, ldns_rdf_data(f) + 1,
			    ldns_rdf_size(f) - 1);
			n += ldns_rdf_size(f) - 1;
		}
		assert_int_equal(rr->len, n);
		assert_int_equal(rr->rawlen, n + i);
		assert_memory_equal(rr->data, joined, n);
		break;
	case PL_DNS_SOA:
		assert_int_equal(rr->serial,
		    ldns_rdf2native_int32(ldns_rr_rdf(l, 2)));
		assert_int_equal(rr->minimum,
		    ldns_rdf2native_int32(ldns_rr_rdf(l, 6)));
		__attribute__((fallthrough));
	case PL_DNS_NS:
	case PL_DNS_CNAME:
	case PL_DNS_DNAME:
		judge_name(first, rr->target);
		break;
	case PL_DNS_A:
	case PL_DNS_AAAA:
		{
			char *s = ldns_rdf2str(first);

			assert_string_equal(rr->target, s);
			free(s);
		}
		break;
	case PL_DNS_CAA:
		assert_int_equal(rr->flags, 128);
		assert_string_equal(rr->tag, "issue");
		assert_int_equal(rr->len, ldns_rdf_size(ldns_rr_rdf(l, 2)));
		assert_memory_equal(rr->data,
		    ldns_rdf_data(ldns_rr_rdf(l, 2)), rr->len);
		break;
	case PL_DNS_RRSIG:
		assert_int_equal(rr->covered, PL_DNS_TXT);
		assert_int_equal(rr->expiration,
		    ldns_rdf2native_int32(ldns_rr_rdf(l, 4)));
		break;
	default:
		for (i = 0; i < ldns_rr_rd_count(l); i++)
			n += ldns_rdf_size(ldns_rr_rdf(l, i));
		/* Names in rdata of other types may be compressed. */
		assert_true(rr->len <= n);
		assert_true(rr->type == 15 || rr->len == n);
		break;
	}
}

static void
test_parse_as_ldns(void **state)
{
	unsigned char w[4096];
	size_t n = sound_answer(w, sizeof(w)), i, at = 0;
	struct pl_dns_msg m;
	ldns_pkt *p = NULL;
	ldns_rr_list *all;

	(void)state;
	assert_int_equal(ldns_wire2pkt(&p, w, n), LDNS_STATUS_OK);
	assert_int_equal(pl_dns_parse(&m, w, n, NULL), PL_OK);
	assert_int_equal(m.id, 0xbeef);
	assert_int_equal(m.rcode, 16);		/* 0, and 1 from EDNS */
	assert_true(m.aa);
	assert_false(m.tc || m.ra || m.ad);
	assert_int_equal(m.size, n);
	all = ldns_pkt_all_noquestion(p);
	for (i = 0; i < ldns_rr_list_rr_count(all); i++) {
		assert_true(at < m.nrr);
		judge_record(&m.rr[at++], ldns_rr_list_rr(all, i));
	}
	assert_int_equal(at, m.nrr);
	assert_int_equal(m.nrr, PL_NELEM(records) - 1);
	assert_int_equal(m.rr[0].section, 1);
	assert_int_equal(m.rr[6].section, 2);
	assert_int_equal(m.rr[9].section, 3);
	ldns_rr_list_deep_free(all);
	ldns_pkt_free(p);
	pl_dns_msg_clear(&m);
	assert_int_equal(m.nrr, 0);
}

/* ---- UPDATE --------------------------------------------------------------- */

static void
test_update(void **state)
{
	struct pl_update *u = pl_update_new("example.com");
	unsigned char w[PL_DNS_MSG], value[300];
	ldns_pkt *p = NULL;
	ldns_rr *rr;
	size_t n;

	(void)state;
	memset(value, 'x', sizeof(value));
	assert_true(pl_update_add(u, "n.example.com", PL_DNS_TXT, 60, value,
	    300));
	assert_true(pl_update_require_unused(u, "n.example.com"));
	assert_true(pl_update_del(u, "c.example.com", PL_DNS_CNAME,
	    "t.example.net", 13));
	assert_true(pl_update_require_set(u, "s.example.com", PL_DNS_TXT, "v",
	    1));
	assert_true(pl_update_require_no_set(u, "s.example.com",
	    PL_DNS_CNAME));
	assert_true(pl_update_require_any(u, "s.example.com", PL_DNS_TXT));
	assert_true(pl_update_require_raw(u, "s.example.com", PL_DNS_TXT,
	    "\1a\1b", 4));
	assert_false(pl_update_add(u, "a..b", PL_DNS_TXT, 60, "v", 1));
	assert_false(pl_update_add(u, "a", PL_DNS_CNAME, 60, "b..c", 4));
	n = pl_update_pack(u, w, sizeof(w));
	assert_int_equal(n, pl_update_size(u));
	assert_int_equal(pl_update_pack(u, w, n - 1), 0);

	assert_int_equal(ldns_wire2pkt(&p, w, n), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_get_opcode(p), LDNS_PACKET_UPDATE);
	assert_int_equal(ldns_pkt_qdcount(p), 1);
	assert_int_equal(ldns_pkt_ancount(p), 5);
	assert_int_equal(ldns_pkt_nscount(p), 2);
	rr = ldns_rr_list_rr(ldns_pkt_authority(p), 0);
	assert_int_equal(ldns_rr_ttl(rr), 60);
	assert_int_equal(ldns_rr_rd_count(rr), 2);	/* 255 and 45 */
	rr = ldns_rr_list_rr(ldns_pkt_authority(p), 1);
	assert_int_equal(ldns_rr_get_class(rr), LDNS_RR_CLASS_NONE);
	assert_int_equal(ldns_rr_ttl(rr), 0);
	rr = ldns_rr_list_rr(ldns_pkt_answer(p), 0);
	assert_int_equal(ldns_rr_get_type(rr), LDNS_RR_TYPE_ANY);
	assert_int_equal(ldns_rr_get_class(rr), LDNS_RR_CLASS_NONE);
	rr = ldns_rr_list_rr(ldns_pkt_answer(p), 4);
	assert_int_equal(ldns_rr_rd_count(rr), 2);
	ldns_pkt_free(p);
	pl_update_free(u);
}

static void
test_update_full(void **state)
{
	struct pl_update *u = pl_update_new("example.com");
	unsigned char *w = malloc(PL_DNS_MSG);
	struct pl_secret *secret = pl_secret_new(KEY, strlen(KEY));
	struct pl_tsig_mac mac;
	struct pl_tsig *t;
	char value[43];
	size_t n = 0, len;

	(void)state;
	memset(value, 'v', sizeof(value));
	while (pl_update_add(u, "_acme-challenge.h00001.example.com",
	    PL_DNS_TXT, 60, value, sizeof(value)))
		n++;
	assert_in_range(n, 700, 760);
	len = pl_update_pack(u, w, PL_DNS_MSG);
	assert_int_not_equal(len, 0);
	assert_int_equal(pl_tsig_new(&t, "placard.", "hmac-sha512", secret,
	    NULL), PL_OK);
	assert_int_not_equal(pl_tsig_sign(t, w, len, PL_DNS_MSG, 1, &mac), 0);
	pl_tsig_free(t);
	pl_secret_free(secret);
	pl_update_free(u);
	free(w);
}

/* ---- TSIG ------------------------------------------------------------------ */

/* ldns checks our signature, with the algorithms that it has. */
static void
test_tsig_as_ldns(void **state)
{
	static const char *const algorithms[] = { "hmac-sha1", "hmac-sha256",
		"hmac-sha512", NULL };
	struct pl_secret *secret = pl_secret_new(KEY, strlen(KEY));
	struct pl_tsig_mac mac;
	struct pl_tsig *t;
	unsigned char w[1024];
	ldns_pkt *p;
	size_t i, n;

	(void)state;
	for (i = 0; algorithms[i] != NULL; i++) {
		assert_int_equal(pl_tsig_new(&t, "Lab.Key", algorithms[i],
		    secret, NULL), PL_OK);
		n = pl_dns_query(w, sizeof(w), "example.com", PL_DNS_SOA, 0);
		n = pl_tsig_sign(t, w, n, sizeof(w), 1700000000, &mac);
		assert_int_not_equal(n, 0);
		assert_int_equal(ldns_wire2pkt(&p, w, n), LDNS_STATUS_OK);
		assert_true(ldns_pkt_tsig_verify(p, w, n, "lab.key.", KEY,
		    NULL));
		ldns_pkt_free(p);
		pl_tsig_free(t);
	}
	pl_secret_free(secret);
}

static void
test_tsig_new_errors(void **state)
{
	struct pl_secret *good = pl_secret_new(KEY, strlen(KEY));
	struct pl_secret *bad = pl_secret_new("no base64!", 10);
	struct pl_secret *empty = pl_secret_new("", 0);
	struct pl_tsig *t;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_tsig_new(&t, "k", "hmac-md5", good, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "hmac-sha256"));
	assert_int_equal(pl_tsig_new(&t, "k", "hmac-sha256", bad, &err),
	    PL_EINVAL);
	assert_null(t);
	assert_non_null(strstr(err.text, "base64"));
	assert_null(strstr(err.text, "no base64!"));
	assert_int_equal(pl_tsig_new(&t, "k", "hmac-sha256", empty, &err),
	    PL_EINVAL);
	assert_int_equal(pl_tsig_new(&t, "a..b", "hmac-sha256", good, &err),
	    PL_EINVAL);
	pl_secret_free(good);
	pl_secret_free(bad);
	pl_secret_free(empty);
}

static void
test_sha256(void **state)
{
	static const unsigned char abc[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f,
		0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22,
		0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4,
		0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	unsigned char out[64];
	struct pl_part parts[2] = { { "what do ya want ", 16 },
		{ "for nothing?", 12 } };
	static const unsigned char hmac[4] = { 0x5b, 0xdc, 0xc1, 0x46 };
	struct pl_hmac *h;

	(void)state;
	pl_sha256(out, "abc", 3);
	assert_memory_equal(out, abc, 32);
	/* RFC 4231 section 4.3, twice with the same key */
	assert_int_equal(pl_hmac_new(&h, "sha256", "Jefe", 4, NULL), PL_OK);
	pl_hmac_sum(h, out, parts, 1);
	pl_hmac_sum(h, out, parts, 2);
	assert_memory_equal(out, hmac, 4);
	pl_hmac_free(h);
	assert_int_equal(pl_hmac_new(&h, "sha0", "Jefe", 4, NULL), PL_EINVAL);
	assert_true(pl_same_octets("ab", "ab", 2));
	assert_false(pl_same_octets("ab", "ac", 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_names),
		cmocka_unit_test(test_query_random),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_parse_as_ldns),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_update_full),
		cmocka_unit_test(test_tsig_as_ldns),
		cmocka_unit_test(test_tsig_new_errors),
		cmocka_unit_test(test_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
