/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Exchanges with a server that lies: never believed, always in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test_wire_dns_lab.h"

struct talk {
	struct lab lab;
	struct pl_tsig *t;
	struct pl_dns_peer *p;
	int64_t deadline;
};

static void
talk_to(struct talk *k, enum lie lie, bool keyed, int64_t ms)
{
	struct pl_secret *s = pl_secret_new(LAB_KEY, strlen(LAB_KEY));

	*k = (struct talk){ .t = NULL };
	assert_true(lab_liar(&k->lab, lie));
	if (keyed)
		assert_int_equal(pl_tsig_new(&k->t, LAB_NAME, "hmac-sha256", s,
		    NULL), PL_OK);
	pl_secret_free(s);
	assert_int_equal(pl_dns_peer_open(&k->p, "127.0.0.1", k->lab.port,
	    k->t, NULL), PL_OK);
	k->deadline = pl_mono_ms() + ms;
}

static void
talk_end(struct talk *k)
{
	pl_dns_peer_close(k->p);
	pl_tsig_free(k->t);
	lab_stop(&k->lab);
}

static enum pl_code
ask(struct talk *k, unsigned *rcode, struct pl_err *err)
{
	struct pl_dns_msg m;
	enum pl_code code = pl_dns_ask(k->p, "example.test", PL_DNS_SOA,
	    k->deadline, &m, err);

	*rcode = m.rcode;
	pl_dns_msg_clear(&m);
	return code;
}

/* One small UPDATE (UDP), or several (TCP). */
static enum pl_code
update(struct talk *k, size_t n, unsigned *rcode, struct pl_err *err)
{
	struct pl_update *u[3] = { NULL };
	enum pl_code codes[3], code;
	unsigned rcodes[3];
	size_t i;

	for (i = 0; i < n; i++) {
		u[i] = pl_update_new("example.test");
		assert_true(pl_update_add(u[i], "x.example.test", PL_DNS_TXT,
		    60, "v", 1));
	}
	code = pl_dns_update(k->p, u, n, k->deadline, codes, rcodes, err);
	for (i = 0; i < n; i++) {
		pl_update_free(u[i]);
		if (code == PL_OK)
			assert_int_equal(codes[i], PL_OK);
	}
	if (code != PL_OK)
		assert_int_not_equal(codes[n - 1], PL_OK);
	*rcode = rcodes[0];
	return code;
}

/* What becomes of a question, one UPDATE (UDP) and three (TCP), each to a
 * new liar. */
static void
ends(enum lie lie, bool keyed, enum pl_code question, enum pl_code change,
    enum pl_code changes, unsigned rcode)
{
	struct pl_err err;
	enum pl_code code, want;
	struct talk k;
	unsigned got;
	size_t n;

	for (n = 0; n <= 3; n += n == 1 ? 2 : 1) {
		want = n == 0 ? question : n == 1 ? change : changes;
		talk_to(&k, lie, keyed, want == PL_ENET ? 120 : 5000);
		pl_err_clear(&err);
		code = n == 0 ? ask(&k, &got, &err) :
		    update(&k, n, &got, &err);
		if (code != want)
			fail_msg("lie %d, %zu updates: %d, not %d: %s",
			    (int)lie, n, (int)code, (int)want, err.text);
		if (code == PL_OK || code == PL_EAUTH)
			assert_int_equal(got, rcode);
		else
			assert_non_null(strstr(err.text, "server 127.0.0.1#"));
		talk_end(&k);
	}
}

/* The liar can tell the truth: otherwise nothing here would mean anything. */
static void
test_honest(void **state)
{
	(void)state;
	ends(LIE_NONE, true, PL_OK, PL_OK, PL_OK, 0);
	ends(LIE_NONE, false, PL_OK, PL_OK, PL_OK, 0);
	ends(LIE_REFUSED, true, PL_OK, PL_OK, PL_OK, PL_DNS_REFUSED);
}

static void
test_source(void **state)
{
	(void)state;
	ends(LIE_PORT, true, PL_ENET, PL_ENET, PL_ENET, 0);
	ends(LIE_PORT, false, PL_ENET, PL_ENET, PL_ENET, 0);
}

static void
test_wrong_id(void **state)
{
	(void)state;
	ends(LIE_ID, true, PL_ENET, PL_ENET, PL_EPROTO, 0);
}

static void
test_wrong_question(void **state)
{
	(void)state;
	ends(LIE_QUESTION, false, PL_ENET, PL_ENET, PL_EPROTO, 0);
}

static void
test_signatures(void **state)
{
	static const enum lie lies[] = { LIE_MAC, LIE_SHORT_MAC, LIE_OLD,
		LIE_FUTURE, LIE_UNSIGNED, LIE_OTHER_KEY, LIE_OTHER_ALG };
	struct pl_err err;
	struct talk k;
	unsigned rcode;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(lies); i++) {
		talk_to(&k, lies[i], true, 120);
		assert_int_equal(ask(&k, &rcode, &err), PL_ENET);
		assert_in_range(pl_dns_peer_strays(k.p), 1, 3);
		k.deadline = pl_mono_ms() + 5000;
		/* Over TCP nothing better can follow: it ends at once. */
		assert_int_equal(update(&k, 3, &rcode, &err), PL_EPROTO);
		talk_end(&k);
	}
}

static void
test_silence(void **state)
{
	int64_t start = pl_mono_ms();

	(void)state;
	ends(LIE_SILENT, true, PL_ENET, PL_ENET, PL_ENET, 0);
	assert_true(pl_mono_ms() - start >= 3 * 115);
}

static void
test_garbage(void **state)
{
	struct pl_err err;
	struct talk k;
	unsigned rcode;

	(void)state;
	talk_to(&k, LIE_GARBAGE, true, 120);
	assert_int_not_equal(ask(&k, &rcode, &err), PL_OK);
	assert_int_not_equal(update(&k, 3, &rcode, &err), PL_OK);
	talk_end(&k);
}

/* Truncated for ever: TCP is asked, and what it says is taken. */
static void
test_truncated(void **state)
{
	struct pl_dns_msg m;
	struct talk k;

	(void)state;
	talk_to(&k, LIE_TRUNCATED, true, 2000);
	assert_int_equal(pl_dns_ask(k.p, "example.test", PL_DNS_TXT,
	    k.deadline, &m, NULL), PL_OK);
	assert_true(m.tc);
	assert_int_equal(m.nrr, 0);
	pl_dns_msg_clear(&m);
	talk_end(&k);
}

static void
test_tsig_errors(void **state)
{
	struct pl_err err;
	struct talk k;
	unsigned rcode;

	(void)state;
	ends(LIE_BADKEY_UNSIGNED, true, PL_EAUTH, PL_OK, PL_OK,
	    PL_DNS_BADKEY);
	talk_to(&k, LIE_BADTIME, true, 2000);
	assert_int_equal(pl_dns_peer_skew(k.p), 0);
	assert_int_equal(ask(&k, &rcode, &err), PL_EAUTH);
	assert_int_equal(rcode, PL_DNS_BADTIME);
	assert_in_range(pl_dns_peer_skew(k.p), 3598, 3602);
	assert_int_equal(update(&k, 1, &rcode, &err), PL_OK);
	assert_int_equal(rcode, PL_DNS_BADTIME);
	talk_end(&k);
}

/* UDP is lost once: asked again.  UDP is blocked: TCP is used. */
static void
test_lost(void **state)
{
	struct pl_err err;
	struct talk k;
	unsigned rcode;

	(void)state;
	talk_to(&k, LIE_LATE, true, 5000);
	assert_int_equal(ask(&k, &rcode, &err), PL_OK);
	talk_end(&k);
	talk_to(&k, LIE_HANGUP, true, 2000);
	assert_int_equal(update(&k, 3, &rcode, &err), PL_ENET);
	talk_end(&k);
}

static void
test_nobody(void **state)
{
	struct pl_err err;
	struct talk k;
	unsigned rcode;
	int64_t start;

	(void)state;
	talk_to(&k, LIE_NONE, true, 5000);
	lab_stop(&k.lab);
	start = pl_mono_ms();
	assert_int_equal(ask(&k, &rcode, &err), PL_ENET);
	assert_non_null(strstr(err.text, "refused"));
	assert_int_equal(update(&k, 1, &rcode, &err), PL_ENET);
	assert_int_equal(update(&k, 3, &rcode, &err), PL_ENET);
	assert_true(pl_mono_ms() - start < 4000);
	talk_end(&k);
	assert_int_equal(pl_dns_peer_open(&k.p, "no such host", 53, NULL,
	    &err), PL_EINVAL);
	assert_null(k.p);
}

struct count {
	size_t ok, net, other;
	unsigned char seen[3000];
};

static void
counted(void *ctx, size_t i, enum pl_code code, const struct pl_dns_msg *m)
{
	struct count *c = ctx;

	assert_int_equal(c->seen[i]++, 0);
	c->ok += code == PL_OK;
	c->net += code == PL_ENET;
	c->other += code != PL_OK && code != PL_ENET;
	if (code != PL_OK)
		assert_int_equal(m->nrr, 0);
}

static void
test_many(void **state)
{
	static const enum lie lies[] = { LIE_NONE, LIE_SILENT };
	const char **names = calloc(3000, sizeof(*names));
	struct count *c = calloc(1, sizeof(*c));
	struct pl_err err;
	struct talk k;
	size_t i, l;

	(void)state;
	for (i = 0; i < 3000; i++)
		names[i] = i == 77 ? "not..a.name" : "some.example.test";
	for (l = 0; l < PL_NELEM(lies); l++) {
		memset(c, 0, sizeof(*c));
		talk_to(&k, lies[l], true, l == 0 ? 20000 : 120);
		assert_int_equal(pl_dns_ask_many(k.p, names, PL_DNS_TXT, 3000,
		    k.deadline, counted, c, &err), l == 0 ? PL_EINVAL :
		    PL_ENET);
		assert_int_equal(c->ok, l == 0 ? 2999 : 0);
		assert_int_equal(c->net + c->other, l == 0 ? 1 : 3000);
		talk_end(&k);
	}
	free(names);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_wrong_id),
		cmocka_unit_test(test_wrong_question),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_tsig_errors),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
