/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The next certificate of an order: a renewal, which is a new order, inside
 * the window before the order's own end, else a reissue on the same order.
 * Both carry over names, methods, organisation and contacts.
 */
#include "cmd-order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_MS 300000

/* The order as the store has it now. */
struct now {
	struct pl_order o;
	json_t *status;
};

static void
now_clear(struct now *n)
{
	pl_order_clear(&n->o);
	pl_json_free(n->status);
}

/* Locked, and asked for; a status, or -1. */
static int
begin(struct pl_shop *s, struct now *n)
{
	json_t *request;
	struct pl_err err;
	bool moved;
	int status = pl_shop_find(s, s->cli->args[1], &n->o);

	if (status == -1)
		status = pl_shop_lock(s, &n->o);
	if (status != -1)
		return status;
	if (n->o.store_id == NULL)
		status = pl_cli_usage(s->cli, "order %s: the store does not "
		    "have it", s->cli->args[1]);
	if (status == -1) {
		request = pl_json_object();
		pl_json_sets(request, "TheSSLStoreOrderID", n->o.store_id);
		status = pl_shop_call(s, "order/status", request,
		    &n->status);
	}
	pl_err_clear(&err);
	if (status == -1 && pl_life_apply(&n->o, n->status, &moved, &err) !=
	    PL_OK)
		status = pl_cli_fail(s->cli, &err);
	if (status != -1)
		pl_shop_unlock(s, &n->o);
	return status;
}

/* The CSR that is given, or the one that the order was made with. */
static int
next_csr(struct pl_shop *s, const struct now *n, struct pl_wish *w)
{
	const char *file = pl_cli_opt(s->cli, "csr");
	struct pl_err err;

	if (file != NULL)
		return pl_wish_csr(s, w, file);
	if (n->o.csr == NULL)
		return pl_cli_usage(s->cli, "order %s: the book has no CSR of "
		    "it: --csr FILE is expected", s->cli->args[1]);
	pl_err_clear(&err);
	if (pl_csr_parse(&w->csr, n->o.csr, strlen(n->o.csr), &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	return -1;
}

static int
find_product(struct pl_shop *s, const struct now *n, struct pl_wish *w)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (n->o.product == NULL || pl_product_find(&w->product,
	    n->o.product, &err) != PL_OK)
		return pl_cli_usage(s->cli, "order %s: %s", s->cli->args[1],
		    n->o.product == NULL ? "its product is not known" :
		    err.text);
	return -1;
}

/* Another name in the same CSR's place would be another order. */
static int
check_common(struct pl_shop *s, const struct now *n, const struct pl_wish *w)
{
	const char *cn = w->csr->cn;

	if (cn == NULL || n->o.nnames == 0 ||
	    strcasecmp(cn, n->o.names[0].name) == 0)
		return -1;
	return pl_cli_usage(s->cli, "order %s is for %s, the CSR for %s",
	    s->cli->args[1], n->o.names[0].name, cn);
}

static void
carry_names(const struct now *n, struct pl_wish *w)
{
	for (size_t i = 0; i < n->o.nnames; i++) {
		const struct pl_order_name *name = &n->o.names[i];

		pl_wish_name(w, name->name, name->method < 0 ?
		    (int)PL_DCV_EMAIL : name->method);
	}
}

/* The addresses that the order had, where none are given. */
static void
carry_mails(const struct now *n, struct pl_wish *w)
{
	if (w->ngiven > 0)
		return;
	for (size_t i = 0; i < n->o.nnames; i++) {
		const char *mail = n->o.names[i].approver;
		bool have = mail == NULL;

		for (size_t k = 0; k < w->ngiven && !have; k++)
			have = strcasecmp(w->given[k], mail) == 0;
		if (have)
			continue;
		w->given = pl_grow(w->given, w->ngiven + 1,
		    sizeof(*w->given));
		w->given[w->ngiven++] = mail;
	}
	/* DigiCert takes exactly one. */
	if (w->ngiven > 1 && !pl_product_sectigo(&w->product))
		w->ngiven = 1;
}

/* ---- renewal ------------------------------------------------------------------------ */

static int
renewal_months(struct pl_shop *s, const struct now *n, struct pl_wish *w,
    unsigned *months)
{
	const char *given = pl_cli_opt(s->cli, "months");
	struct pl_err err;
	int64_t v = n->o.months;

	pl_err_clear(&err);
	if (given != NULL && pl_int_parse(&v, given, 1, 120, &err) != PL_OK)
		return pl_cli_usage(s->cli, "--months: %s", err.text);
	*months = v > 0 ? (unsigned)v : 12;
	if (pl_product_term(&w->product, months, given == NULL, &err) !=
	    PL_OK)
		return pl_cli_usage(s->cli, "%s", err.text);
	return -1;
}

/* placardd is not to begin with it between the lock and the new order. */
static int
reserve(struct pl_shop *s, const struct now *n)
{
	struct pl_renewal kept;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	code = pl_book_renewal(s->book, n->o.id, &kept, &err);
	kept.attempt = n->o.not_after;
	kept.next = pl_wall_ms() + RESERVE_MS;
	if (code == PL_OK)
		code = pl_book_renewal_put(s->book, n->o.id, &kept, &err);
	pl_renewal_clear(&kept);
	return code == PL_OK ? -1 : pl_cli_fail(s->cli, &err);
}

static int
renew(struct pl_shop *s, struct now *n, struct pl_wish *w)
{
	char *signature = pl_store_text(n->status, "SignatureHashAlgorithm");
	json_t *old = pl_next_old_body(&n->o), *carried, *extra, *body = NULL;
	unsigned months = 0;
	int status;

	status = pl_wish_contact(s, w);
	extra = w->contact;
	carried = pl_life_carry(n->status, old, extra);
	pl_json_free(extra);
	w->contact = carried;
	pl_json_free(old);
	if (status == -1)
		status = pl_wish_live(s, w);
	if (status == -1)
		status = renewal_months(s, n, w, &months);
	if (status == -1)
		status = pl_wish_check(s, w);
	if (status == -1)
		carry_mails(n, w);
	if (status == -1)
		status = pl_wish_mails(s, w);
	if (status == -1)
		status = pl_wish_body(s, w, months, signature,
		    n->o.store_id, &body);
	if (status == -1)
		status = reserve(s, n);
	pl_shop_unlock(s, &n->o);
	if (status != -1)
		pl_json_free(body);
	if (status == -1) {
		w->follows = n->o.id;
		pl_next_server(body, n->status);
		status = pl_wish_place(s, w, months, body, n->o.store_id);
	}
	free(signature);
	return status;
}

/* ---- reissue ------------------------------------------------------------------------ */

/* Puts the request into the book and lets the machine send it. */
static int
place_reissue(struct pl_shop *s, struct now *n, struct pl_wish *w,
    json_t *body)
{
	struct pl_order *o = &n->o;
	struct pl_err err;
	int64_t id = o->id;
	int status = -1;

	free(o->path);
	free(o->request);
	free(o->error);
	o->error = NULL;
	o->path = pl_strdup("order/reissue");
	o->request = pl_next_text(body, pl_next_names(w->csr, w->unique, w->names,
	    w->methods, w->mails, w->n));
	o->step = PL_STEP_PLACE;
	o->sent = 0;
	o->tries = 0;
	pl_err_clear(&err);
	if (pl_book_save(s->book, o, &err) != PL_OK)
		status = pl_cli_fail(s->cli, &err);
	if (status == -1)
		status = pl_shop_keep_renewing(s, id, 0);
	pl_shop_unlock(s, o);
	return status != -1 ? status : pl_shop_drive(s, id, s->wait ?
	    PL_DRIVE_ALL : PL_DRIVE_PLACE, true);
}

/* SANs of the order as it is, without the common name. */
static const char **
sans_before(const struct now *n, size_t *count)
{
	const char **list = pl_array(n->o.nnames + 1, sizeof(*list));

	*count = 0;
	for (size_t i = 1; i < n->o.nnames; i++)
		list[(*count)++] = n->o.names[i].name;
	return list;
}

/* An order may have years to go when its certificate has run out. */
static bool
can_reissue(const struct pl_order *o)
{
	return o->state == PL_O_ISSUED || (o->state == PL_O_EXPIRED &&
	    o->expires > pl_wall_ms());
}

static int
reissue(struct pl_shop *s, struct now *n, struct pl_wish *w)
{
	struct pl_reissue_ask a = { .product = &w->product, .csr = w->csr,
		.status = n->status, .store_id = n->o.store_id,
		.unique = w->unique };
	const char **before;
	struct pl_err err;
	json_t *body = NULL;
	int status = pl_wish_check(s, w);

	if (status == -1)
		carry_mails(n, w);
	if (status == -1)
		status = pl_wish_mails(s, w);
	if (status != -1) {
		pl_shop_unlock(s, &n->o);
		return status;
	}
	before = sans_before(n, &a.nbefore);
	a.before = before;
	a.names = (const char *const *)w->names;
	a.methods = w->methods;
	a.mails = w->mails;
	a.n = w->n;
	a.lone = w->lone;
	pl_err_clear(&err);
	if (!can_reissue(&n->o))
		status = pl_cli_usage(s->cli, "order %s: is %s: only an "
		    "issued one can be reissued", s->cli->args[1],
		    pl_order_state_name(n->o.state));
	else if (pl_life_reissue(&body, &a, &err) != PL_OK)
		status = pl_cli_usage(s->cli, "%s", err.text);
	free(before);
	if (status != -1) {
		pl_shop_unlock(s, &n->o);
		return status;
	}
	return place_reissue(s, n, w, body);
}

/* --remove-san and --add-san. */
static int
change_names(struct pl_shop *s, struct pl_wish *w)
{
	size_t nadd, ndel, at;
	const char **add = pl_cli_opts(s->cli, "add-san", &nadd),
	    **del = pl_cli_opts(s->cli, "remove-san", &ndel);
	int method = w->n > 0 ? (int)w->methods[0] : -1;
	struct pl_err err;
	char *name;
	int status = -1;

	for (size_t i = 0; i < ndel && status == -1; i++) {
		name = pl_shop_name(del[i], &err);
		for (at = 1; name != NULL && at < w->n; at++) {
			if (strcmp(w->names[at], name) == 0)
				break;
		}
		if (name == NULL || at >= w->n)
			status = pl_cli_usage(s->cli, "--remove-san: %s: not "
			    "one of the order's further names", del[i]);
		free(name);
		if (status != -1)
			break;
		free(w->names[at]);
		w->n--;
		memmove(&w->names[at], &w->names[at + 1],
		    (w->n - at) * sizeof(*w->names));
		memmove(&w->methods[at], &w->methods[at + 1],
		    (w->n - at) * sizeof(*w->methods));
		memmove(&w->set[at], &w->set[at + 1],
		    (w->n - at) * sizeof(*w->set));
	}
	for (size_t i = 0; i < nadd && status == -1; i++) {
		size_t count = w->n;

		name = pl_shop_name(add[i], &err);
		if (name == NULL)
			status = pl_cli_usage(s->cli, "--add-san: %s",
			    err.text);
		else
			pl_wish_name(w, name, method);
		if (name != NULL && w->n == count)
			status = pl_cli_usage(s->cli, "--add-san: %s: the "
			    "order has it already", add[i]);
		free(name);
	}
	free(add);
	free(del);
	return status;
}

/* ---- the commands --------------------------------------------------------------------- */

static int
prepare(struct pl_shop *s, struct now *n, struct pl_wish *w)
{
	int status = find_product(s, n, w);

	pl_life_custom_id(w->custom_id);
	pl_life_unique(w->unique);
	if (status == -1)
		status = next_csr(s, n, w);
	if (status == -1)
		status = check_common(s, n, w);
	if (status == -1)
		carry_names(n, w);
	return status;
}

/* One that waits or was called off has nothing to renew, and would cost. */
static int
check_renewable(struct pl_shop *s, const struct now *n)
{
	switch (n->o.state) {
	case PL_O_ISSUED:
	case PL_O_REISSUING:
	case PL_O_REVOKED:
	case PL_O_EXPIRED:
		return -1;
	default:
		return pl_cli_usage(s->cli, "order %s: is %s: there is "
		    "nothing to renew", s->cli->args[1],
		    pl_order_state_name(n->o.state));
	}
}

int
pl_order_renew(struct pl_shop *s)
{
	struct now n = { .status = NULL };
	struct pl_wish w = { .n = 0 };
	int status = begin(s, &n);

	if (status == -1) {
		status = check_renewable(s, &n);
		if (status == -1)
			status = prepare(s, &n, &w);
		if (status != -1)
			pl_shop_unlock(s, &n.o);
		else if (pl_life_renew(n.o.expires, s->ctl->renewal_window,
		    pl_wall_ms()))
			status = renew(s, &n, &w);
		else
			status = reissue(s, &n, &w);
	}
	pl_wish_clear(&w);
	now_clear(&n);
	return status;
}

int
pl_order_reissue(struct pl_shop *s)
{
	struct now n = { .status = NULL };
	struct pl_wish w = { .n = 0 };
	int status;

	if (pl_cli_opt(s->cli, "csr") == NULL)
		return pl_cli_usage(s->cli, "order reissue: --csr FILE is "
		    "expected");
	status = begin(s, &n);
	if (status == -1) {
		status = prepare(s, &n, &w);
		if (status == -1)
			status = change_names(s, &w);
		for (size_t i = 0; i < w.n && pl_cli_opt(s->cli, "dcv") !=
		    NULL; i++)
			w.set[i] = false;
		if (status == -1)
			status = pl_wish_methods(s, &w, false);
		if (status != -1)
			pl_shop_unlock(s, &n.o);
		else
			status = reissue(s, &n, &w);
	}
	pl_wish_clear(&w);
	now_clear(&n);
	return status;
}
