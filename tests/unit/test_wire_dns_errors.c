/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What the DNS parser and the TSIG check refuse, and how they do it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test_wire_dns_lab.h"

/* Parses a copy of exactly n octets, so that reading past them is seen. */
static enum pl_code
parse(const unsigned char *p, size_t n, struct pl_dns_msg *m)
{
	unsigned char *copy = malloc(n > 0 ? n : 1);
	enum pl_code code;

	memcpy(copy, p, n);
	code = pl_dns_parse(m, copy, n, NULL);
	free(copy);
	return code;
}

static enum pl_code
parse_only(const unsigned char *p, size_t n)
{
	struct pl_dns_msg m;
	enum pl_code code = parse(p, n, &m);

	pl_dns_msg_clear(&m);
	return code;
}

/* An answer with one record: "a" TXT "hi". */
static const unsigned char sound[] = { 0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0,
	1, 'a', 0, 0, 16, 0, 1,
	0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 3, 2, 'h', 'i' };
#define OWNER 19
#define RDATA 31

static void
test_cut_short(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(parse_only(sound, sizeof(sound)), PL_OK);
	for (n = 0; n < sizeof(sound); n++)
		assert_int_equal(parse_only(sound, n), PL_EPROTO);
}

static void
test_each_octet(void **state)
{
	unsigned char w[sizeof(sound)];
	size_t i;
	int v;

	(void)state;
	for (i = 0; i < sizeof(sound); i++)
		for (v = 0; v < 256; v++) {
			memcpy(w, sound, sizeof(w));
			w[i] = (unsigned char)v;
			(void)parse_only(w, sizeof(w));
		}
}

static void
test_pointers(void **state)
{
	unsigned char w[65535];
	struct pl_dns_msg m;
	size_t n, i;

	(void)state;
	memcpy(w, sound, sizeof(sound));
	w[OWNER + 1] = OWNER;			/* to itself */
	assert_int_equal(parse_only(w, sizeof(sound)), PL_EPROTO);
	w[OWNER + 1] = OWNER + 2;		/* forward */
	assert_int_equal(parse_only(w, sizeof(sound)), PL_EPROTO);
	w[OWNER] = 0xff;
	w[OWNER + 1] = 0xff;
	assert_int_equal(parse_only(w, sizeof(sound)), PL_EPROTO);
	w[OWNER] = 0x80;			/* neither length nor pointer */
	assert_int_equal(parse_only(w, sizeof(sound)), PL_EPROTO);

	/* A stair of pointers, each to the one before: 128 are followed. */
	for (i = 126; i < 140; i++) {
		size_t step;

		memcpy(w, sound, sizeof(sound));
		w[7] = 2;
		n = sizeof(sound);
		/* a record of another type that holds the stair */
		memcpy(w + n, "\0\0\77\0\1\0\0\0\0", 9);
		w[n + 9] = (unsigned char)(2 * i >> 8);
		w[n + 10] = (unsigned char)(2 * i);
		n += 11;
		for (step = 0; step < i; step++, n += 2) {
			size_t to = step == 0 ? 12 : n - 2;

			w[n] = (unsigned char)(0xc0 | to >> 8);
			w[n + 1] = (unsigned char)to;
		}
		w[7] = 3;
		w[n] = (unsigned char)(0xc0 | (n - 2) >> 8);
		w[n + 1] = (unsigned char)(n - 2);
		memcpy(w + n + 2, sound + OWNER + 2, sizeof(sound) - OWNER - 2);
		n += sizeof(sound) - OWNER;
		assert_int_equal(parse(w, n, &m), i + 1 <= 128 ? PL_OK :
		    PL_EPROTO);
		if (m.nrr > 0)
			assert_string_equal(m.rr[m.nrr - 1].owner, "a");
		pl_dns_msg_clear(&m);
	}
}

/* Names longer than 255 octets by way of a pointer. */
static void
test_long_name(void **state)
{
	unsigned char w[2048] = { 0, 1, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
	size_t n = 12, i;

	(void)state;
	w[7] = 2;
	memcpy(w + n, "\0\0\20\0\1\0\0\0\0\1\7", 11);
	n += 11;
	w[n - 2] = 1;				/* 263 octets of rdata */
	w[n - 1] = 7;
	for (i = 0; i < 263; i += 2) {
		w[n + i] = 1;
		w[n + i + 1] = 'x';
	}
	w[n + 262] = 0;
	/* owner: starts within the labels, then at different depths */
	for (i = 0; i < 20; i += 2) {
		memcpy(w + n + 263, "\xc0", 1);
		w[n + 264] = (unsigned char)(n + i);
		memcpy(w + n + 265, "\0\20\0\1\0\0\0\0\0\1\0", 11);
		assert_int_equal(parse_only(w, n + 263 + 2 + 11),
		    262 - i + 1 <= 255 ? PL_OK : PL_EPROTO);
	}
}

static void
test_rdata(void **state)
{
	static const struct {
		unsigned type;
		unsigned char data[24];
		size_t n;
		bool good;
	} cases[] = {
		{ PL_DNS_TXT, "\0", 1, true },
		{ PL_DNS_TXT, "", 0, true },
		{ PL_DNS_TXT, "\2a", 2, false },
		{ PL_DNS_A, "\1\2\3\4", 4, true },
		{ PL_DNS_A, "\1\2\3", 3, false },
		{ PL_DNS_A, "\1\2\3\4\5", 5, false },
		{ PL_DNS_AAAA, "1234567890123456", 16, true },
		{ PL_DNS_AAAA, "123456789012345", 15, false },
		{ PL_DNS_CNAME, "\1b", 3, true },
		{ PL_DNS_CNAME, "\1b\0x", 4, false },
		{ PL_DNS_CNAME, "\1b", 2, false },
		{ PL_DNS_CNAME, "", 0, false },
		{ PL_DNS_SOA, "\0\0" "12345678901234567890", 22, true },
		{ PL_DNS_SOA, "\0\0" "1234567890123456789", 21, false },
		{ PL_DNS_CAA, "\0\5issuex", 8, true },
		{ PL_DNS_CAA, "\0\5issue", 7, true },
		{ PL_DNS_CAA, "\0\6issue", 7, false },
		{ PL_DNS_CAA, "\0\0x", 3, false },
		{ PL_DNS_CAA, "", 1, false },
		{ PL_DNS_RRSIG, "123456789012345678", 18, true },
		{ PL_DNS_RRSIG, "12345678901234567", 17, false },
		{ 65280, "", 0, true },
	};
	unsigned char w[128];
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(cases); i++) {
		memcpy(w, sound, RDATA);
		w[OWNER + 2] = (unsigned char)(cases[i].type >> 8);
		w[OWNER + 3] = (unsigned char)cases[i].type;
		w[RDATA - 1] = (unsigned char)cases[i].n;
		memcpy(w + RDATA, cases[i].data, cases[i].n);
		if (parse_only(w, RDATA + cases[i].n) !=
		    (cases[i].good ? PL_OK : PL_EPROTO))
			fail_msg("case %zu", i);
	}
}

/* More records than are looked at, and counts that are not there. */
static void
test_counts(void **state)
{
	unsigned char *w = calloc(1, 65535);
	struct pl_dns_msg m;
	size_t n = 12, i;

	(void)state;
	memcpy(w, sound, 4);
	for (i = 0; i < 5000; i++, n += 11)
		memcpy(w + n, "\0\0\20\0\1\0\0\0\0\0\0", 11);
	w[6] = 5000 >> 8;
	w[7] = 5000 & 0xff;
	assert_int_equal(parse(w, n, &m), PL_OK);
	assert_int_equal(m.nrr, 4096);
	pl_dns_msg_clear(&m);
	w[6] = w[7] = 0xff;
	assert_int_equal(parse(w, 12 + 11 * 4095, &m), PL_EPROTO);
	pl_dns_msg_clear(&m);
	w[4] = w[5] = 0xff;
	assert_int_equal(parse_only(w, n), PL_EPROTO);
	free(w);
}

/* ---- TSIG ------------------------------------------------------------------- */

struct exchange {
	struct pl_tsig *t;
	struct pl_tsig_mac mac;
	unsigned char q[1024], a[1024];
	size_t qlen, alen;
	int64_t now;
};

static void
ask_signed(struct exchange *x)
{
	struct pl_secret *s = pl_secret_new(LAB_KEY, strlen(LAB_KEY));

	*x = (struct exchange){ .now = 1700000000 };
	assert_int_equal(pl_tsig_new(&x->t, "Placard", "hmac-sha256", s,
	    NULL), PL_OK);
	pl_secret_free(s);
	x->qlen = pl_dns_query(x->q, sizeof(x->q), "example.com", PL_DNS_SOA,
	    0);
	x->qlen = pl_tsig_sign(x->t, x->q, x->qlen, sizeof(x->q), x->now,
	    &x->mac);
	assert_int_not_equal(x->qlen, 0);
}

static enum pl_code
check(struct exchange *x, const struct lab_signing *s, unsigned *error,
    int64_t *skew)
{
	unsigned char *copy;
	enum pl_code code;

	x->alen = lab_answer(x->a, x->q, x->qlen,
	    s->error != 0 ? PL_DNS_NOTAUTH : 0);
	x->alen = lab_sign(x->a, x->alen, x->q, x->qlen, s);
	copy = malloc(x->alen);
	memcpy(copy, x->a, x->alen);
	code = pl_tsig_check(x->t, copy, x->alen, &x->mac, x->now, error,
	    skew, NULL);
	free(copy);
	return code;
}

static void
test_tsig_answers(void **state)
{
	struct exchange x;
	struct lab_signing s;
	unsigned error;
	int64_t skew;
	int d;

	(void)state;
	ask_signed(&x);
	s = (struct lab_signing){ .key = LAB_NAME, .alg = "hmac-sha256",
		.when = x.now, .maclen = 32 };
	assert_int_equal(check(&x, &s, &error, &skew), PL_OK);
	assert_int_equal(error, 0);
	for (d = -301; d <= 301; d += 602) {	/* one second too far */
		s.when = x.now + d;
		assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
		s.when = x.now + (d > 0 ? d - 1 : d + 1);
		assert_int_equal(check(&x, &s, &error, &skew), PL_OK);
	}
	s.when = x.now;
	s.maclen = 31;
	assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
	s.maclen = 0;
	assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
	s.error = PL_DNS_BADKEY;
	assert_int_equal(check(&x, &s, &error, &skew), PL_EAUTH);
	assert_int_equal(error, PL_DNS_BADKEY);
	s.maclen = 32;				/* signed BADKEY makes no sense */
	assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
	s.error = PL_DNS_BADTIME;
	s.other = x.now - 7200;
	assert_int_equal(check(&x, &s, &error, &skew), PL_OK);
	assert_int_equal(error, PL_DNS_BADTIME);
	assert_int_equal(skew, -7200);
	s.maclen = 0;				/* unsigned: its time is not read */
	assert_int_equal(check(&x, &s, &error, &skew), PL_EAUTH);
	assert_int_equal(skew, 0);
	s = (struct lab_signing){ .key = "placard.x", .alg = "hmac-sha256",
		.when = x.now, .maclen = 32 };
	assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
	s.key = LAB_NAME;
	s.alg = "hmac-sha1";
	s.maclen = 20;
	assert_int_equal(check(&x, &s, &error, &skew), PL_EPROTO);
	pl_tsig_free(x.t);
}

/* Every bit of a signed answer matters, and so does every cut. */
static void
test_tsig_bits(void **state)
{
	struct exchange x;
	struct lab_signing s;
	unsigned error;
	int64_t skew;
	unsigned char *copy;
	size_t i, b, tsig;

	(void)state;
	ask_signed(&x);
	s = (struct lab_signing){ .key = LAB_NAME, .alg = "hmac-sha256",
		.when = x.now, .maclen = 32 };
	assert_int_equal(check(&x, &s, &error, &skew), PL_OK);
	tsig = lab_answer(x.a, x.q, x.qlen, 0);
	assert_int_equal(check(&x, &s, &error, &skew), PL_OK);
	/* Not the id, which pl_dns_matches compares. */
	for (i = 2; i < x.alen; i++)
		for (b = 0; b < 8; b++) {
			x.a[i] ^= (unsigned char)(1 << b);
			/* The names in TSIG may be in any case. */
			if (pl_tsig_check(x.t, x.a, x.alen, &x.mac, x.now,
			    &error, &skew, NULL) == PL_OK &&
			    !(i > tsig && i < tsig + 32 && b == 5))
				fail_msg("octet %zu bit %zu", i, b);
			x.a[i] ^= (unsigned char)(1 << b);
		}
	for (i = 0; i < x.alen; i++) {
		copy = malloc(i + 1);
		memcpy(copy, x.a, i);
		assert_int_not_equal(pl_tsig_check(x.t, copy, i, &x.mac, x.now,
		    &error, &skew, NULL), PL_OK);
		free(copy);
	}
	/* The answer to another question, with the right key. */
	x.mac.mac[3] ^= 1;
	assert_int_equal(pl_tsig_check(x.t, x.a, x.alen, &x.mac, x.now, &error,
	    &skew, NULL), PL_EPROTO);
	pl_tsig_free(x.t);
}

/* ---- mutations ---------------------------------------------------------------- */

static uint32_t
next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Mutates the seeds of the fuzzers, always in the same way. */
static void
test_mutations(void **state)
{
	const char *top = getenv("srcdir");
	struct dirent **list = NULL;
	unsigned char *w;
	char dir[512];
	struct exchange x;
	struct pl_buf b;
	uint32_t seed = 20261121;
	unsigned error;
	int64_t skew;
	int n, i, k;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/tests/fuzz/seeds/dns",
	    top != NULL ? top : ".");
	n = scandir(dir, &list, NULL, alphasort);
	if (n < 3) {
		print_message("%s: no seeds\n", dir);
		skip();
	}
	ask_signed(&x);
	pl_buf_init(&b, PL_DNS_MSG);
	for (i = 0; i < n; i++) {
		char path[1024];

		(void)snprintf(path, sizeof(path), "%s/%s", dir,
		    list[i]->d_name);
		pl_buf_reset(&b);
		if (list[i]->d_name[0] != '.')
			assert_int_equal(pl_file_read(&b, path, NULL), PL_OK);
		free(list[i]);
		for (k = 0; k < 3000 && b.len > 0; k++) {
			size_t len = b.len - (k % 3 == 2 ?
			    next(&seed) % b.len : 0);
			unsigned flips = k == 0 ? 0 : 1 + next(&seed) % 4;

			w = malloc(len);
			memcpy(w, b.data, len);
			while (flips-- > 0)
				w[next(&seed) % len] =
				    (unsigned char)next(&seed);
			(void)parse_only(w, len);
			assert_int_not_equal(pl_tsig_check(x.t, w, len, &x.mac,
			    x.now, &error, &skew, NULL), PL_OK);
			(void)pl_dns_matches(x.q, x.qlen, w, len);
			(void)pl_dns_matches(w, len, x.q, x.qlen);
			free(w);
		}
	}
	free(list);
	pl_buf_clear(&b);
	pl_tsig_free(x.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_each_octet),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_rdata),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_tsig_answers),
		cmocka_unit_test(test_tsig_bits),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
