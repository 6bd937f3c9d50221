/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * When and how certificates are renewed, over years that pass here in no
 * time: an estate of 200 names across the steps of the lifetimes.
 */
#include "scratch.h"

#include "orders.h"

#include <inttypes.h>

#define DAY PL_DAY_MS
#define NAMES 200
#define YEARS2 (730 * DAY)

static int64_t
day(const char *text)
{
	char whole[PL_TIME_TEXT];
	int64_t ms;

	snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", text);
	assert_int_equal(pl_time_parse(&ms, whole, NULL), PL_OK);
	return ms;
}

/* The rules as they are installed. */
static struct pl_rules *
installed(void)
{
	const char *top = getenv("srcdir");
	struct pl_rules *r = NULL;
	struct pl_faults faults;
	struct pl_err err;
	char path[600];

	snprintf(path, sizeof(path), "%s/orders/ca-rules.conf",
	    top != NULL ? top : ".");
	pl_faults_init(&faults);
	if (pl_rules_load(&r, path, &faults, &err) != PL_OK)
		fail_msg("%s\n%s", err.text, faults.text.data);
	pl_faults_clear(&faults);
	return r;
}

static void
test_rules(void **state PL_UNUSED)
{
	static const struct {
		const char *day;
		unsigned life, reuse;
	} rows[] = { { "2026-03-14", 398, 398 }, { "2026-03-15", 200, 200 },
		{ "2027-03-14", 200, 200 }, { "2027-03-15", 100, 100 },
		{ "2029-03-14", 100, 100 }, { "2029-03-15", 47, 10 },
		{ "2019-01-01", 0, 0 } };
	struct pl_rules *r = installed();

	for (size_t i = 0; i < PL_NELEM(rows); i++) {
		int64_t at = day(rows[i].day);

		assert_int_equal(pl_rules_days(&r->life, at), rows[i].life);
		assert_int_equal(pl_rules_days(&r->reuse, at),
		    rows[i].reuse);
	}
	assert_int_equal(pl_rules_sunset(r, "email"), day("2028-03-15"));
	assert_int_equal(pl_rules_sunset(r, "phone"), day("2027-03-15"));
	assert_int_equal(pl_rules_sunset(r, "dns"), 0);
	pl_rules_free(r);
}

/* ---- one certificate -------------------------------------------------------- */

static void
test_before(void **state PL_UNUSED)
{
	struct pl_renewing usual = { .window = 30 },
	    early = { .before = 60 * DAY, .window = 30 },
	    never = { .before = -1, .window = 30 };
	struct pl_term t = { .not_before = 1000 * DAY };

	t.not_after = t.not_before + 199 * DAY;
	assert_int_equal(pl_renew_before(&t, &usual), 30 * DAY);
	assert_int_equal(pl_renew_due(&t, &usual), t.not_after - 30 * DAY);
	assert_int_equal(pl_renew_due(&t, &early), t.not_after - 60 * DAY);
	assert_true(pl_renew_due(&t, &never) == INT64_MAX);
	t.not_after = t.not_before + 45 * DAY;
	assert_int_equal(pl_renew_before(&t, &usual), 15 * DAY);
	/* More than there is would order for ever. */
	assert_int_equal(pl_renew_before(&t, &early), 30 * DAY);
	/* No certificate yet. */
	t.not_after = 0;
	assert_true(pl_renew_due(&t, &usual) == INT64_MAX);
}

static void
test_spread(void **state PL_UNUSED)
{
	struct pl_renewing usual = { .window = 30 };
	struct pl_term t = { .not_before = 1000 * DAY,
		.not_after = 1199 * DAY };
	int64_t due, last = t.not_after - 30 * DAY;

	for (uint64_t seed = 0; seed <= UINT32_MAX; seed += 1u << 28) {
		t.seed = (uint32_t)seed;
		due = pl_renew_due(&t, &usual);
		assert_true(due <= last && due > t.not_after - 34 * DAY);
		last = due;
	}
	assert_true(last < t.not_after - 32 * DAY);
}

/* What the order's own end makes of it. */
static void
test_kind(void **state PL_UNUSED)
{
	struct pl_renewing usual = { .window = 30 }, tight = { .window = 2 };
	struct pl_term t = { .not_before = 1000 * DAY,
		.not_after = 1199 * DAY, .expires = 1366 * DAY,
		.seed = UINT32_MAX };
	int64_t due = pl_renew_due(&t, &usual);

	/* Long before the order's end: a reissue. */
	assert_int_equal(due / DAY, 1166);
	assert_false(pl_renew_by_order(&t, &usual, due));
	/* As long as the order: not before the window, and then an order. */
	t.not_before = 1166 * DAY;
	t.not_after = t.expires;
	due = pl_renew_due(&t, &usual);
	assert_true(due >= t.expires - 30 * DAY &&
	    due <= t.expires - 27 * DAY);
	assert_true(pl_renew_by_order(&t, &usual, due));
	due = pl_renew_due(&t, &tight);
	assert_true(due >= t.expires - 2 * DAY && due < t.expires - DAY);
	assert_true(pl_renew_by_order(&t, &tight, due));
	/* A little shorter: the window comes soon enough. */
	t.not_after = t.expires - 8 * DAY;
	due = pl_renew_due(&t, &usual);
	assert_true(pl_renew_by_order(&t, &usual, due));
	assert_true(due <= t.not_after - 10 * DAY);
	/* It does not: a reissue it is. */
	t.not_after = t.expires - 25 * DAY;
	due = pl_renew_due(&t, &usual);
	assert_false(pl_renew_by_order(&t, &usual, due));
	assert_true(due <= t.not_after - 30 * DAY);
}

static void
test_gap(void **state PL_UNUSED)
{
	int64_t last = 0;

	for (unsigned n = 1; n < 60; n++) {
		assert_true(pl_renew_gap(n) >= last);
		last = pl_renew_gap(n);
	}
	assert_int_equal(pl_renew_gap(1), 300000);
	assert_int_equal(last, 12 * 3600000);
}

/* ---- proofs and the future ------------------------------------------------------ */

static void
test_proofs(void **state PL_UNUSED)
{
	struct pl_rules *r = installed();
	int64_t at = day("2027-01-10");

	assert_int_equal(pl_renew_proof(r, PL_DCV_DNS, 0, at),
	    PL_PROOF_NEEDED);
	assert_int_equal(pl_renew_proof(r, PL_DCV_DNS, at - 199 * DAY, at),
	    PL_PROOF_PERHAPS);
	assert_int_equal(pl_renew_proof(r, PL_DCV_DNS, at - 200 * DAY, at),
	    PL_PROOF_NEEDED);
	/* The rule of the day on which it is used. */
	at = day("2027-03-15");
	assert_int_equal(pl_renew_proof(r, PL_DCV_DNS, at - 101 * DAY, at),
	    PL_PROOF_NEEDED);
	at = day("2029-03-15");
	assert_int_equal(pl_renew_proof(r, PL_DCV_FILE, at - 11 * DAY, at),
	    PL_PROOF_NEEDED);
	assert_int_equal(pl_renew_proof(r, PL_DCV_FILE, at - 9 * DAY, at),
	    PL_PROOF_PERHAPS);
	/* An ended method's earlier proofs have ended as well. */
	at = day("2028-03-15");
	assert_int_equal(pl_renew_proof(r, PL_DCV_EMAIL, at - DAY, at),
	    PL_PROOF_ENDED);
	assert_int_equal(pl_renew_proof(r, PL_DCV_EMAIL, at - DAY, at - 1),
	    PL_PROOF_PERHAPS);
	assert_int_equal(pl_renew_proof(NULL, PL_DCV_EMAIL, at - DAY, at),
	    PL_PROOF_NEEDED);
	pl_rules_free(r);
}

static void
test_hopeless(void **state PL_UNUSED)
{
	struct pl_order_name names[] = {
		{ .name = (char[]){ "a.example" }, .method = PL_DCV_DNS },
		{ .name = (char[]){ "b.example" }, .method = PL_DCV_EMAIL } };
	struct pl_order_challenge asked = {
		.domain = (char[]){ "c.example" },
		.word = (char[]){ "PhoneCall" } };
	struct pl_order o = { .product = (char[]){ "positivessl" },
		.names = names, .nnames = 2 };
	struct pl_rules *r = installed();
	struct pl_product p;
	struct pl_buf why;

	assert_int_equal(pl_product_find(&p, o.product, NULL), PL_OK);
	pl_buf_init(&why, PL_LIM_LINE);
	assert_int_equal(pl_renew_hopeless(&why, &o, &p, r,
	    day("2028-03-14")), 0);
	assert_int_equal(pl_renew_hopeless(&why, &o, &p, r,
	    day("2028-03-15")), 1);
	assert_string_equal(why.data, "email proves nothing from 2028-03-15 "
	    "on (b.example)");
	pl_buf_reset(&why);
	p.retired = true;
	o.challenges = &asked;
	o.nchallenges = 1;
	assert_int_equal(pl_renew_hopeless(&why, &o, &p, r,
	    day("2027-03-15")), 2);
	assert_non_null(strstr(why.data, "c.example"));
	assert_non_null(strstr(why.data, "does not sell positivessl"));
	pl_buf_reset(&why);
	o.nchallenges = 0;
	assert_int_equal(pl_renew_hopeless(&why, &o, NULL, NULL, 0), 1);
	pl_buf_clear(&why);
	pl_rules_free(r);
}

static void
test_credit(void **state PL_UNUSED)
{
	assert_true(pl_renew_no_credit("sslstore: neworder: Insufficient "
	    "funds"));
	assert_true(pl_renew_no_credit("sslstore: neworder: no Credit left"));
	assert_false(pl_renew_no_credit("sslstore: neworder: CSR is not "
	    "valid"));
}

/* ---- two years ----------------------------------------------------------------------- */

/* A CA of its own mind: whole days, its own lifetimes, some delay. */
static void
issue(struct pl_term *t, bool by_order, unsigned months, int64_t at)
{
	int64_t start = at - at % DAY, life = at < day("2027-03-15") ? 199 :
	    at < day("2029-03-15") ? 99 : 46;

	if (by_order)
		t->expires = start + months * 365 * DAY / 12 + DAY - 1000;
	t->not_before = start;
	t->not_after = start + life * DAY - 1000;
	if (t->not_after > t->expires)
		t->not_after = t->expires;
}

/* What is to happen until `end`, as pl_renew_next sees it. */
static void
foresee(struct pl_term t, const struct pl_renewing *r,
    const struct pl_rules *rules, unsigned months, int64_t end,
    unsigned n[2])
{
	int64_t due;
	bool by_order;

	n[0] = n[1] = 0;
	while ((due = pl_renew_due(&t, r)) < end) {
		by_order = pl_renew_by_order(&t, r, due);
		n[by_order]++;
		t = pl_renew_next(&t, rules, months, by_order, due);
	}
}

/*
 * No certificate runs out; none is ordered that is not needed; what was
 * foreseen happens.  `late`: now and then the service is away for most of the
 * time that is left at least.
 */
static void
two_years(const struct pl_rules *rules, const char *from, unsigned months,
    bool late)
{
	struct pl_renewing r = { .window = 30 };
	int64_t start = day(from), end = start + YEARS2, least = INT64_MAX;
	unsigned total[2] = { 0, 0 }, foreseen[2] = { 0, 0 }, busiest = 0,
	    perhour[731 * 24] = { 0 };

	for (unsigned i = 0; i < NAMES; i++) {
		struct pl_order_name name;
		struct pl_order o = { .names = &name, .nnames = 1 };
		unsigned want[2], got[2] = { 0, 0 };
		struct pl_term t, u;
		char text[40];
		int64_t due, at, next;

		snprintf(text, sizeof(text), "host-%u.example.com", i);
		name = (struct pl_order_name){ .name = text };
		t = pl_renew_term(&o);
		issue(&t, true, months, start);
		foresee(t, &r, rules, months, end, want);
		while ((due = pl_renew_due(&t, &r)) < end) {
			bool by_order;

			/* Never in the same hour again, never for nothing. */
			assert_true(due > t.not_before + 10 * DAY);
			assert_true(t.not_after - due >=
			    pl_renew_before(&t, &r) / 4);
			at = due + (late ? (i + got[0]) % 7 * 3600000 : 0);
			if (late && (i + got[0] + got[1]) % 11 == 3)
				at += pl_renew_before(&t, &r) / 5;
			if (t.not_after - at < least)
				least = t.not_after - at;
			by_order = pl_renew_by_order(&t, &r, at);
			if (!by_order)
				assert_true(t.expires - t.not_after >= DAY);
			got[by_order]++;
			perhour[(due - start) / 3600000]++;
			u = pl_renew_next(&t, rules, months, by_order, at);
			issue(&t, by_order, months, at);
			next = pl_renew_due(&u, &r);
			assert_true(llabs(next - pl_renew_due(&t, &r)) <= DAY);
		}
		total[0] += got[0];
		total[1] += got[1];
		foreseen[0] += want[0];
		foreseen[1] += want[1];
		if (!late && (got[0] != want[0] || got[1] != want[1]))
			fail_msg("%s from %s, %u months: %u reissues and %u "
			    "orders where %u and %u were foreseen", text, from,
			    months, got[0], got[1], want[0], want[1]);
	}
	for (unsigned h = 0; h < 731 * 24; h++)
		busiest = perhour[h] > busiest ? perhour[h] : busiest;
	/* They were all ordered in one moment, and are so no more. */
	assert_true(busiest < NAMES / 8);
	assert_true(least > 0);
	/* A new order each (term - window - spread) at most. */
	assert_true(total[1] <= NAMES * (730 / (months * 30 - 33) + 1));
	if (!late)
		assert_int_equal(total[0] + total[1],
		    foreseen[0] + foreseen[1]);
	print_message("%s, %2u months: %u reissues, %u orders, "
	    "closest %" PRId64 " days before the end, at most %u an hour\n",
	    from, months, total[0], total[1], least / DAY, busiest);
}

static void
test_two_years(void **state PL_UNUSED)
{
	static const char *const from[] = { "2026-11-22", "2027-06-01",
		"2028-04-01", "2029-03-15" };
	static const unsigned months[] = { 6, 12, 24, 36 };
	struct pl_rules *rules = installed();

	for (size_t i = 0; i < PL_NELEM(from); i++) {
		for (size_t k = 0; k < PL_NELEM(months); k++) {
			two_years(rules, from[i], months[k], false);
			two_years(rules, from[i], months[k], true);
		}
	}
	pl_rules_free(rules);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_proofs),
		cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_two_years),
	};

	return cmocka_run_group_tests_name("orders: the next certificate",
	    tests, NULL, NULL);
}
