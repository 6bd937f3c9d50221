/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* When and how an order gets its next certificate.  Pure. */
#include "renew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USUAL_MOST (30 * PL_DAY_MS)
#define SPREAD_MOST (3 * PL_DAY_MS)
#define LIFE_USUAL 398		/* days, where nothing is known */
#define MONTHS_USUAL 12
#define GAP_MS (300 * INT64_C(1000))
#define GAP_MOST (12 * 3600 * INT64_C(1000))

/* FNV-1a: the same everywhere, and for every certificate of the name. */
static uint32_t
seed_of(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	/* Its high bits hardly move for short names. */
	h ^= h >> 16;
	h *= 0x7feb352du;
	return h ^ h >> 15;
}

struct pl_term
pl_renew_term(const struct pl_order *o)
{
	return (struct pl_term){ .not_before = o->not_before,
		.not_after = o->not_after, .expires = o->expires,
		.seed = seed_of(o->nnames > 0 ? o->names[0].name : "") };
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
life_of(const struct pl_term *t)
{
	return t->not_before > 0 && t->not_after > t->not_before ?
	    t->not_after - t->not_before : LIFE_USUAL * PL_DAY_MS;
}

int64_t
pl_renew_before(const struct pl_term *t, const struct pl_renewing *r)
{
	int64_t life = life_of(t);

	/* More than two thirds would order all the time. */
	if (r->before > 0)
		return least(r->before, life * 2 / 3);
	return least(life / 3, USUAL_MOST);
}

/* Who is when in the crowd, within `room` milliseconds. */
static int64_t
place_of(const struct pl_term *t, int64_t room)
{
	return room / 1000 * t->seed / UINT32_MAX * 1000;
}

/* Lasts the certificate as long as its order does? */
static bool
to_the_end(const struct pl_term *t)
{
	return t->expires != 0 && t->expires - t->not_after < PL_DAY_MS;
}

int64_t
pl_renew_due(const struct pl_term *t, const struct pl_renewing *r)
{
	int64_t before = pl_renew_before(t, r), room, due, window;

	if (r->before < 0 || t->not_after == 0)
		return INT64_MAX;
	room = least(least(before, r->window * PL_DAY_MS) / 10, SPREAD_MOST);
	due = t->not_after - before - place_of(t, room);
	if (t->expires == 0)
		return due;
	window = t->expires - r->window * PL_DAY_MS;
	/* A reissue that gains nothing, or little in place of the new order
	 * that the window allows soon, is one too many. */
	if (due >= window || (!to_the_end(t) &&
	    window > t->not_after - before / 3))
		return due;
	/* The whole crowd still well before the end. */
	if (window < t->not_after - before / 4)
		room = least(room, t->not_after - before / 4 - window);
	return window + place_of(t, room);
}

bool
pl_renew_by_order(const struct pl_term *t, const struct pl_renewing *r,
    int64_t at)
{
	return pl_life_renew(t->expires, r->window, at);
}

struct pl_term
pl_renew_next(const struct pl_term *t, const struct pl_rules *rules,
    unsigned months, bool by_order, int64_t at)
{
	struct pl_term n = *t;
	unsigned days = rules != NULL ? pl_rules_days(&rules->life, at) : 0;
	int64_t life = (days > 1 ? days - 1 : LIFE_USUAL) * PL_DAY_MS;

	if (!to_the_end(t))
		life = least(life, life_of(t));
	if (months == 0)
		months = MONTHS_USUAL;
	/* CAs begin at midnight and end a second before one. */
	n.not_before = at - at % PL_DAY_MS;
	if (by_order)
		n.expires = n.not_before + months * 365 * PL_DAY_MS / 12 +
		    PL_DAY_MS - 1000;
	n.not_after = n.not_before + (life + 1000) / PL_DAY_MS * PL_DAY_MS -
	    1000;
	if (n.expires != 0)
		n.not_after = least(n.not_after, n.expires);
	return n;
}

int64_t
pl_renew_gap(unsigned tries)
{
	int64_t ms = GAP_MS;

	for (unsigned i = 1; i < tries && ms < GAP_MOST; i++)
		ms *= 2;
	return least(ms, GAP_MOST);
}

/* ---- proofs ---------------------------------------------------------------- */

const char *
pl_proof_name(enum pl_proof p)
{
	static const char *const names[] = {
		[PL_PROOF_NEEDED] = "needed",
		[PL_PROOF_PERHAPS] = "perhaps",
		[PL_PROOF_ENDED] = "ended",
	};

	return names[p];
}

enum pl_proof
pl_renew_proof(const struct pl_rules *rules, int method, int64_t proven,
    int64_t at)
{
	unsigned days = rules != NULL ? pl_rules_days(&rules->reuse, at) : 0;
	int64_t sunset = method < 0 ? 0 :
	    pl_rules_sunset(rules, pl_dcv_name((enum pl_dcv)method));

	if (sunset != 0 && at >= sunset)
		return PL_PROOF_ENDED;
	if (proven == 0 || days == 0 || at - proven >= days * PL_DAY_MS)
		return PL_PROOF_NEEDED;
	return PL_PROOF_PERHAPS;
}

/* ---- what has no future ------------------------------------------------------ */

static void
say(struct pl_buf *why, size_t *n, const char *text)
{
	pl_buf_addf(why, "%s%s", (*n)++ > 0 ? "; " : "", text);
}

static void
say_sunset(struct pl_buf *why, size_t *n, const char *what,
    const char *names, int64_t from)
{
	char day[PL_TIME_TEXT];
	struct pl_buf b;

	pl_time_format(day, from);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s proves nothing from %.10s on (%s)", what, day,
	    names);
	say(why, n, b.data);
	pl_buf_clear(&b);
}

/* Names that are proven by this method, or by one whose word has it. */
static void
methods_end(struct pl_buf *why, size_t *n, const struct pl_order *o,
    const struct pl_rules *rules, int64_t at, int method, const char *word)
{
	const char *name = method >= 0 ? pl_dcv_name((enum pl_dcv)method) :
	    word;
	int64_t from = pl_rules_sunset(rules, name);
	struct pl_buf b;
	bool some = false;

	if (from == 0 || at < from)
		return;
	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; method >= 0 && i < o->nnames; i++) {
		if (o->names[i].method == method)
			pl_buf_addf(&b, "%s%s", some ? ", " : "",
			    o->names[i].name);
		some = some || o->names[i].method == method;
	}
	for (size_t i = 0; method < 0 && i < o->nchallenges; i++) {
		const struct pl_order_challenge *c = &o->challenges[i];

		if (c->word == NULL || strcasestr(c->word, word) == NULL)
			continue;
		pl_buf_addf(&b, "%s%s", some ? ", " : "", c->domain);
		some = true;
	}
	if (some)
		say_sunset(why, n, name, b.data, from);
	pl_buf_clear(&b);
}

size_t
pl_renew_hopeless(struct pl_buf *why, const struct pl_order *o,
    const struct pl_product *product, const struct pl_rules *rules,
    int64_t at)
{
	const char *code = o->product != NULL ? o->product : "its product";
	struct pl_buf b;
	size_t n = 0;

	for (int m = 0; m < PL_NDCV; m++)
		methods_end(why, &n, o, rules, at, m, NULL);
	methods_end(why, &n, o, rules, at, -1, "phone");
	pl_buf_init(&b, PL_LIM_LINE);
	if (product == NULL)
		pl_buf_addf(&b, "%s is not in the catalogue", code);
	else if (product->retired)
		pl_buf_addf(&b, "the store does not sell %s now", code);
	if (b.len > 0)
		say(why, &n, b.data);
	pl_buf_clear(&b);
	return n;
}

bool
pl_renew_no_credit(const char *text)
{
	static const char *const words[] = { "credit", "balance",
		"insufficient fund" };

	for (size_t i = 0; i < PL_NELEM(words); i++) {
		if (strcasestr(text, words[i]) != NULL)
			return true;
	}
	return false;
}
