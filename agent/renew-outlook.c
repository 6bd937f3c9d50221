/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What is told in time: a certificate runs out and nothing comes of its
 * renewal; an order has no future, because a method ends, the store does not
 * sell the product any more, or there is no money for a new order.  Each is
 * told once.
 */
#include "renew-run.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD_MS (6 * 3600 * INT64_C(1000))
#define MONEY_DAYS 30		/* new orders so near want money soon */

/* One controller's answers. */
struct pl_outlook {
	struct pl_renewer *all;
	struct pl_outlook *next;
	const struct pl_controller *ctl;
	struct pl_store_call calls[2];	/* products, account */
	struct pl_call_set *set;
};

static void
outlook_free(struct pl_outlook *a)
{
	struct pl_outlook **at = &a->all->asking;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	pl_controller_drop(a->set);
	for (size_t i = 0; i < PL_NELEM(a->calls); i++)
		pl_store_call_clear(&a->calls[i]);
	free(a);
}

/* ---- one order ------------------------------------------------------------ */

/* No credit is given, and nothing is there. */
static bool
no_money(const struct pl_store_call *account)
{
	char *text, *end;
	double balance;
	bool none;

	if (account->err.code != PL_OK ||
	    pl_store_bool(account->answer, "AllowCredit", true))
		return false;
	text = pl_store_text(account->answer, "AccountBalance");
	balance = text != NULL ? strtod(text, &end) : 1;
	none = text != NULL && end != text && *end == '\0' && balance <= 0;
	free(text);
	return none;
}

/* Why there will be no next certificate; gives how many reasons. */
static size_t
hopeless(struct pl_buf *why, const struct pl_outlook *a,
    const struct pl_renew_look *l, int64_t at, int64_t now)
{
	struct pl_product p;
	bool known = l->o.product != NULL &&
	    pl_product_find(&p, l->o.product, NULL) == PL_OK;
	size_t n;

	if (known && a->calls[0].err.code == PL_OK)
		pl_product_live(&p, a->calls[0].answer);
	/* On the same order nothing has to be bought. */
	if (!pl_renew_by_order(&l->term, &l->how, at))
		p.retired = false;
	n = pl_renew_hopeless(why, &l->o, known ? &p : NULL,
	    a->all->opt.config->rules, at);
	if (at - now < MONEY_DAYS * PL_DAY_MS && no_money(&a->calls[1]) &&
	    pl_renew_by_order(&l->term, &l->how, at))
		pl_buf_addf(why, "%sthe store's account has no credit",
		    n++ > 0 ? "; " : "");
	return n;
}

static void
warn(const struct pl_outlook *a, struct pl_renew_look *l, int64_t now)
{
	struct pl_renewing usual = { .before = l->how.before > 0 ?
	    l->how.before : 0 };
	int64_t before = pl_renew_before(&l->term, &usual),
	    due = pl_renew_due(&l->term, &l->how);
	char day[PL_TIME_TEXT];
	struct pl_buf why;

	pl_buf_init(&why, PL_LIM_LINE);
	pl_time_format(day, l->o.not_after);
	if (l->kept.told != l->o.not_after && l->o.not_after - now <
	    (l->wanted ? before / 2 : before)) {
		pl_buf_addf(&why, "ends on %.10s: %s", day, !l->wanted ?
		    "it is not renewed from here" : l->kept.error != NULL ?
		    l->kept.error : "its renewal is not done");
		l->kept.told = l->o.not_after;
		pl_renew_keep(a->all, l->o.id, &l->kept, "expiring",
		    why.data);
	} else if (l->wanted && hopeless(&why, a, l, due > now ? due : now,
	    now) > 0) {
		pl_buf_addf(&why, "; ends on %.10s without a next one", day);
		if (!pl_streq(l->kept.warned, why.data)) {
			free(l->kept.warned);
			l->kept.warned = pl_strdup(why.data);
			pl_renew_keep(a->all, l->o.id, &l->kept, "expiring",
			    why.data);
		}
	}
	pl_buf_clear(&why);
}

/* ---- all of a controller ----------------------------------------------------- */

static void
on_answered(void *arg)
{
	struct pl_outlook *a = arg;
	struct pl_renewer *r = a->all;
	int64_t now = pl_wall_ms(), *ids;
	struct pl_renew_look l;
	struct pl_err err;
	size_t n;

	a->set = NULL;
	pl_err_clear(&err);
	if (pl_book_renewable(r->opt.book, now, INT64_MAX, true, &ids, &n,
	    &err) != PL_OK) {
		pl_renew_trouble(r, &err);
		outlook_free(a);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (pl_renew_under_way(r, ids[i]))
			continue;
		if (pl_renew_look(&l, r, ids[i]) && l.ctl == a->ctl &&
		    l.o.not_after > now)
			warn(a, &l, now);
		pl_renew_look_clear(&l);
	}
	free(ids);
	outlook_free(a);
}

static void
ask(struct pl_renewer *r, const struct pl_controller *ctl)
{
	struct pl_outlook *a = pl_alloc(sizeof(*a));
	json_t *q = pl_json_object();

	a->all = r;
	a->ctl = ctl;
	a->next = r->asking;
	r->asking = a;
	a->calls[0].path = "product/query";
	a->calls[0].request = q;
	pl_json_sets(q, "ProductCode", "");
	pl_json_seti(q, "ProductType", 0);
	pl_json_setb(q, "NeedSortedList", true);
	pl_json_setb(q, "IsForceNewSKUs", false);
	a->calls[1].path = "user/accountdetail";
	for (size_t i = 0; i < PL_NELEM(a->calls); i++)
		a->calls[i].tries = 2;
	a->set = pl_controller_start(r->opt.engine, ctl, a->calls,
	    PL_NELEM(a->calls), 0, on_answered, a);
}

/* Has it an order whose certificate could run out? */
static bool
in_use(struct pl_renewer *r, const struct pl_controller *ctl)
{
	struct pl_book_query q = { .state = PL_O_ISSUED,
		.controller = ctl->settings.account };
	int64_t *ids = NULL;
	size_t n = 0;

	if (pl_book_list(r->opt.book, &q, &ids, &n, NULL) != PL_OK)
		n = 0;
	free(ids);
	return n > 0;
}

static void
look_ahead(void *arg)
{
	struct pl_renewer *r = arg;
	const struct pl_config *c = r->opt.config;

	r->ahead = pl_loop_after(pl_engine_loop(r->opt.engine), AHEAD_MS,
	    look_ahead, r);
	for (size_t i = 0; i < c->ncontrollers; i++) {
		if (c->controllers[i].enabled &&
		    in_use(r, &c->controllers[i]))
			ask(r, &c->controllers[i]);
	}
}

void
pl_outlook_start(struct pl_renewer *r)
{
	look_ahead(r);
}

void
pl_outlook_stop(struct pl_renewer *r)
{
	while (r->asking != NULL)
		outlook_free(r->asking);
	pl_loop_forget(pl_engine_loop(r->opt.engine), r->ahead);
}
