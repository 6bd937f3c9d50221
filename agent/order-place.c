/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Placing: the one step that costs money.  The request is in the book with
 * its CustomOrderID, and the time of sending is written before it is sent.  A
 * request that may have been sent is never sent again before the store,
 * asked after the time that it may take to carry a request out, has said
 * twice that it does not know the order: by its CustomOrderID, and in the
 * list of orders of these days.  A reissue is known by its order's new
 * PartnerOrderID.
 */
#include "order-run.h"

#include <stdlib.h>
#include <string.h>

#define SENDS_MOST 3
#define LOOKUPS_MOST 4
#define LOST_MS 250
#define DAY_MS (86400 * INT64_C(1000))
#define LIST_SIZE 100
#define LIST_PAGES 1000	/* of two days and more: a store that turns none */

static bool
is_reissue(const struct pl_order_run *r)
{
	return strcmp(r->o.path, "order/reissue") == 0;
}

static json_t *
stored_request(const struct pl_order_run *r)
{
	json_t *j = NULL;

	if (r->o.request != NULL)
		pl_json_parse(&j, r->o.request, strlen(r->o.request),
		    "request", NULL);
	return j;
}

/* Gives what goes to the store. */
static json_t *
stored_body(const struct pl_order_run *r)
{
	json_t *j = stored_request(r), *body = NULL;
	char *text;

	if (pl_json_get(j, "body") != NULL) {
		text = pl_json_text(pl_json_get(j, "body"));
		pl_json_parse(&body, text, strlen(text), "request", NULL);
		free(text);
	}
	pl_json_free(j);
	return body;
}

/* ---- the end of it -------------------------------------------------------------- */

/* The store has refused it, or it never got there. */
static void
fail_order(struct pl_order_run *r, const struct pl_err *err)
{
	struct pl_err e = *err;

	r->o.state = is_reissue(r) ? pl_life_state(r->o.major, r->o.minor,
	    r->o.revoked) : PL_O_FAILED;
	free(r->o.error);
	r->o.error = pl_strdup(e.text);
	r->o.sent = 0;
	r->o.step = PL_STEP_REST;
	if (!pl_run_save(r))
		return;
	pl_run_event(r, "refused", e.text);
	pl_run_end(r, &e);
}

/* What a reissue changes counts from the moment that the store has it. */
static enum pl_code
take_next(struct pl_order *o, const json_t *next, struct pl_err *err)
{
	const json_t *names = pl_json_get(next, "names");
	const char *pem = pl_json_str(pl_json_get(next, "csr"));
	struct pl_csr *csr;
	enum pl_code code;

	if (pem == NULL)
		return PL_OK;
	code = pl_csr_parse(&csr, pem, strlen(pem), err);
	if (code != PL_OK)
		return code;
	free(o->csr);
	o->csr = pl_strdup(csr->pem);
	memcpy(o->spki, csr->spki, sizeof(o->spki));
	pl_csr_free(csr);
	free(o->unique);
	o->unique = pl_strdup(pl_json_str(pl_json_get(next, "unique")));
	for (size_t i = 0; i < o->nnames; i++) {
		free(o->names[i].name);
		free(o->names[i].approver);
	}
	free(o->names);
	o->nnames = pl_json_count(names);
	o->names = pl_array(o->nnames + 1, sizeof(*o->names));
	for (size_t i = 0; i < o->nnames; i++) {
		const json_t *one = pl_json_at(names, i);
		const char *mail = pl_json_str(pl_json_get(one, "approver"));

		o->names[i].name = pl_strdup(pl_json_str(pl_json_get(one,
		    "name")));
		o->names[i].method = (int)pl_json_num(pl_json_get(one,
		    "method"));
		o->names[i].approver = pl_strdup(mail);
	}
	o->generation++;
	return PL_OK;
}

static void
adopt(struct pl_order_run *r, const json_t *answer, const char *how)
{
	struct pl_order *o = &r->o;
	json_t *request = stored_request(r);
	struct pl_err err;
	struct pl_buf text;
	enum pl_code code = PL_OK;
	bool moved;

	pl_err_clear(&err);
	if (is_reissue(r))
		code = take_next(o, pl_json_get(request, "next"), &err);
	pl_json_free(request);
	if (code == PL_OK)
		code = pl_life_apply(o, answer, &moved, &err);
	if (code != PL_OK) {
		pl_run_trouble(r, &err);
		return;
	}
	free(o->error);
	o->error = NULL;
	o->ours = true;
	r->polled = true;
	o->rechecked = 0;
	pl_buf_init(&text, PL_LIM_LINE);
	pl_buf_addf(&text, "order %s %s", o->store_id, how);
	if (pl_life_downgraded(o, &err) != PL_OK) {
		o->error = pl_strdup(err.text);
		o->step = PL_STEP_REST;
		if (pl_run_save(r)) {
			pl_run_event(r, "downgraded", err.text);
			pl_run_end(r, &err);
		}
	} else
		pl_run_step(r, PL_STEP_PUBLISH, "placed", text.data);
	pl_buf_clear(&text);
}

/* ---- looking for it ----------------------------------------------------------------- */

static void
look_failed(struct pl_order_run *r, const struct pl_err *err)
{
	struct pl_err e = *err;

	r->lookups++;
	if (r->all->opt.unattended || (pl_code_retry(e.code) &&
	    r->lookups < LOOKUPS_MOST)) {
		pl_run_sleep(r, pl_life_gap(r->lookups + 1));
		return;
	}
	pl_prefix(&e, "the order may have been placed, do not order again "
	    "(placard order refresh L%lld finds out)", (long long)r->id);
	pl_run_end(r, &e);
}

static void
on_listed(struct pl_order_run *r)
{
	struct pl_store_call *c = &r->calls[0];
	const json_t *list = c->answer;
	int64_t page = pl_json_num(pl_json_get(c->request, "PageNumber"));

	if (c->err.code != PL_OK) {
		look_failed(r, &c->err);
		return;
	}
	for (size_t i = 0; i < pl_json_count(list); i++) {
		const json_t *one = pl_json_at(list, i);
		char *custom = pl_store_text(one, "CustomOrderID");
		bool found = custom != NULL &&
		    strcmp(custom, r->o.custom_id) == 0;

		free(custom);
		if (found) {
			adopt(r, one, "was placed before; adopted");
			return;
		}
	}
	if (pl_json_count(list) >= LIST_SIZE && page < LIST_PAGES) {
		struct pl_store_call *next = pl_alloc(sizeof(*next));

		next->path = c->path;
		next->request = c->request;
		c->request = NULL;
		pl_json_seti(next->request, "PageNumber", page + 1);
		pl_run_calls(r, next, 1, on_listed);
		return;
	}
	r->looked = r->look_began;
	pl_run_place(r);
}

/* The second opinion: the list of orders since the day before. */
static void
look_in_list(struct pl_order_run *r)
{
	struct pl_store_call *c = pl_alloc(sizeof(*c));

	c->path = "order/query";
	c->request = pl_json_object();
	pl_json_set(c->request, "StartDate", pl_store_date_json(
	    r->o.sent - DAY_MS));
	pl_json_set(c->request, "EndDate", pl_store_date_json(
	    pl_wall_ms() + DAY_MS));
	pl_json_seti(c->request, "PageNumber", 1);
	pl_json_seti(c->request, "PageSize", LIST_SIZE);
	pl_run_calls(r, c, 1, on_listed);
}

static void
on_looked(struct pl_order_run *r)
{
	struct pl_store_call *c = &r->calls[0];

	if (c->err.code == PL_OK && is_reissue(r) &&
	    !pl_life_reissued(r->o.partner_id, c->answer)) {
		r->looked = r->look_began;
		pl_run_place(r);
	} else if (c->err.code == PL_OK)
		adopt(r, c->answer, is_reissue(r) ?
		    "is being reissued; adopted" :
		    "was placed before; adopted");
	else if (c->err.code == PL_EREMOTE && !is_reissue(r))
		look_in_list(r);
	else
		look_failed(r, &c->err);
}

static void
look_up(struct pl_order_run *r)
{
	struct pl_store_call *c = pl_alloc(sizeof(*c));

	r->look_began = pl_wall_ms();
	c->path = "order/status";
	c->request = pl_json_object();
	if (is_reissue(r))
		pl_json_sets(c->request, "TheSSLStoreOrderID", r->o.store_id);
	else
		pl_json_sets(c->request, "CustomOrderID", r->o.custom_id);
	pl_run_calls(r, c, 1, on_looked);
}

/* ---- sending it ------------------------------------------------------------------------ */

/* One retry in the other spelling of the CSR; false: it was that already. */
static bool
respell(struct pl_order_run *r)
{
	json_t *request = stored_request(r), *body, *other;
	const char *csr;
	bool plain;

	body = pl_json_get(request, "body");
	csr = pl_json_str(pl_json_get(body, "CSR"));
	plain = csr != NULL && strchr(csr, '%') == NULL;
	if (plain) {
		other = pl_life_percent_csr(body);
		pl_json_set(request, "body", other);
		free(r->o.request);
		r->o.request = pl_json_text(request);
		r->o.sent = 0;
		r->o.tries = 0;
	}
	pl_json_free(request);
	return plain;
}

static void
on_sent(struct pl_order_run *r)
{
	struct pl_store_call *c = &r->calls[0];
	struct pl_err err = c->err;

	if (err.code == PL_OK) {
		adopt(r, c->answer, is_reissue(r) ? "is being reissued" :
		    "placed");
	} else if (c->sent) {
		pl_run_event(r, "lost", err.text);
		pl_run_sleep(r, LOST_MS);
	} else if (pl_life_csr_refused(&err) && respell(r)) {
		if (pl_run_save(r)) {
			pl_run_event(r, "respelt", "the CSR was refused, "
			    "percent-encoded once more");
			pl_run_place(r);
		}
	} else if (err.code == PL_EREMOTE && r->o.tries > 1) {
		/* "CustomOrderID is in use": the first one got there. */
		r->looked = 0;
		look_up(r);
	} else if (!r->fresh && pl_code_retry(err.code)) {
		r->o.sent = 0;
		pl_run_trouble(r, &err);
	} else
		fail_order(r, &err);
}

static void
send_it(struct pl_order_run *r)
{
	struct pl_store_call *c;
	json_t *body;
	struct pl_err err;

	if (r->o.tries >= SENDS_MOST) {
		pl_fail(&err, PL_ENET, "the store did not take the order in "
		    "%u tries", r->o.tries);
		fail_order(r, &err);
		return;
	}
	body = stored_body(r);
	if (body == NULL) {
		pl_fail(&err, PL_EIO, "order book: L%lld has no request",
		    (long long)r->id);
		pl_run_end(r, &err);
		return;
	}
	r->o.sent = pl_wall_ms();
	r->o.tries++;
	r->looked = 0;
	if (!pl_run_save(r)) {
		pl_json_free(body);
		return;
	}
	c = pl_alloc(sizeof(*c));
	c->path = r->o.path;
	c->request = body;
	pl_run_calls(r, c, 1, on_sent);
}

void
pl_run_place(struct pl_order_run *r)
{
	int64_t window = r->ctl->timeout_ms, now = pl_wall_ms(), left;

	/* It did get there, and only its row was not written. */
	if (r->o.store_id != NULL && !is_reissue(r)) {
		pl_run_step(r, PL_STEP_POLL, NULL, NULL);
		return;
	}
	/* The clock was set back: nobody knows how long ago it was sent. */
	if (r->o.sent > now) {
		r->o.sent = now;
		r->looked = 0;
		if (!pl_run_save(r))
			return;
	}
	switch (pl_life_placing(r->o.sent, r->looked, window, now)) {
	case PL_PLACE_SEND:
		send_it(r);
		break;
	case PL_PLACE_LOOK:
		look_up(r);
		break;
	case PL_PLACE_WAIT:
		left = r->o.sent + window - now;
		pl_run_sleep(r, left < 2000 ? left + 1 : 2000);
		r->looked = left > 2000 ? 0 : r->looked;
		break;
	}
}
