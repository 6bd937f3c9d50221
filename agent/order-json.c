/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* An order as JSON. */
#include "deployment.h"
#include "order.h"

#include <stdlib.h>
#include <string.h>

static json_t *
when(int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0)
		return pl_json_null();
	pl_time_format(text, wall_ms);
	return pl_json_string(text);
}

static json_t *
names_json(const struct pl_order *o)
{
	json_t *list = pl_json_array();

	for (size_t i = 0; i < o->nnames; i++)
		pl_json_append(list, pl_json_string(o->names[i].name));
	return list;
}

static const char *
dcv_word(int method)
{
	return method < 0 ? NULL : pl_dcv_name((enum pl_dcv)method);
}

/* In the words of a job's challenge, with what the store says of it. */
static json_t *
challenge_json(const struct pl_order_challenge *c)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "domain", c->domain);
	pl_json_sets(j, "dcv", dcv_word(c->method));
	pl_json_setb(j, "approved", c->approved);
	pl_json_sets(j, "dcvMethod", c->word);
	pl_json_sets(j, "dcvStatus", c->status);
	if (c->kind == PL_FILE) {
		pl_json_sets(j, "method", "http-file");
		pl_json_sets(j, "path", c->record);
		pl_json_set(j, "content", pl_json_stringn(c->value, c->len));
	} else if (c->kind == PL_NOTHING) {
		pl_json_sets(j, "method", "email");
	} else {
		pl_json_sets(j, "method", c->kind == PL_CNAME ? "dns-cname" :
		    "dns-txt");
		pl_json_sets(j, "name", c->record);
		pl_json_sets(j, "value", c->value);
	}
	return j;
}

static json_t *
challenges_json(const struct pl_order *o)
{
	json_t *list = pl_json_array();

	for (size_t i = 0; i < o->nchallenges; i++)
		pl_json_append(list, challenge_json(&o->challenges[i]));
	return list;
}

static json_t *
methods_json(const struct pl_order *o)
{
	json_t *j = pl_json_object();

	for (size_t i = 0; i < o->nnames; i++)
		pl_json_sets(j, o->names[i].name,
		    dcv_word(o->names[i].method));
	return j;
}

static json_t *
store_json(const struct pl_order *o)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "TheSSLStoreOrderID", o->store_id);
	pl_json_sets(j, "PartnerOrderID", o->partner_id);
	pl_json_sets(j, "VendorOrderID", o->vendor_id);
	pl_json_sets(j, "CustomOrderID", o->custom_id);
	pl_json_sets(j, "RefundRequestID", o->refund_id);
	pl_json_sets(j, "MajorStatus", o->major);
	pl_json_sets(j, "MinorStatus", o->minor);
	return j;
}

static json_t *
certificate_json(struct pl_book *b, const struct pl_order *o)
{
	struct pl_book_cert c;
	struct pl_err err;
	json_t *j;

	if (pl_book_cert_get(b, o->id, NULL, &c, &err) != PL_OK ||
	    c.leaf == NULL)
		return pl_json_null();
	j = pl_json_object();
	pl_json_sets(j, "serial", c.serial);
	pl_json_sets(j, "sha256", c.sha256);
	pl_json_set(j, "notBefore", when(c.not_before));
	pl_json_set(j, "notAfter", when(c.not_after));
	pl_json_setb(j, "trusted", c.trusted);
	pl_json_set(j, "stored", when(c.stored));
	pl_book_cert_clear(&c);
	return j;
}

static json_t *
error_json(const struct pl_order *o)
{
	json_t *j;

	if (o->error == NULL)
		return pl_json_null();
	j = pl_json_object();
	pl_json_sets(j, "code", pl_code_name(PL_EREMOTE));
	pl_json_sets(j, "text", o->error);
	pl_json_setb(j, "retry", false);
	return j;
}

static json_t *
targets_json(struct pl_book *b, const struct pl_order *o)
{
	json_t *list = pl_json_array();
	struct pl_book_target *rows;
	size_t n;

	(void)pl_book_targets(b, o->id, 0, &rows, &n, NULL);
	for (size_t i = 0; i < n; i++)
		pl_json_append(list, pl_target_json(&rows[i]));
	pl_book_targets_clear(rows, n);
	return list;
}

/* How it is renewed, and what came of it last. */
static void
put_renewal(json_t *j, struct pl_book *b, const struct pl_order *o)
{
	struct pl_renewal r;
	enum pl_order_state state;
	char local[PL_ORDER_ID], *key = NULL;
	int64_t next = 0;
	json_t *one;

	if (pl_book_key(b, o->id, o->spki, &key, NULL) == PL_OK)
		pl_json_sets(j, "keyFile", key);
	free(key);
	if (pl_book_successor(b, o, &next, &state, NULL) == PL_OK &&
	    next != 0) {
		pl_order_local_id(local, next);
		pl_json_sets(j, "renewedBy", local);
	}
	if (pl_book_renewal(b, o->id, &r, NULL) != PL_OK)
		return;
	one = pl_json_object();
	if (r.before == -1)
		pl_json_sets(one, "before", "off");
	else if (r.before > 0)
		pl_json_seti(one, "before", r.before / 1000);
	pl_json_sets(one, "key", r.key);
	if (r.attempt == o->not_after && r.tries > 0) {
		pl_json_seti(one, "tries", r.tries);
		pl_json_set(one, "next", when(r.next));
		pl_json_sets(one, "error", r.error);
	}
	pl_json_set(j, "renewal", one);
	pl_renewal_clear(&r);
}

json_t *
pl_order_json(struct pl_book *b, const struct pl_order *o, bool events)
{
	char id[64], local[PL_ORDER_ID];
	json_t *j = pl_json_object(), *list;
	struct pl_err err;

	pl_order_id(id, sizeof(id), o);
	pl_order_local_id(local, o->id);
	pl_json_sets(j, "id", id);
	pl_json_sets(j, "local", local);
	pl_json_sets(j, "controller", o->controller);
	pl_json_sets(j, "state", pl_order_state_name(o->state));
	pl_json_sets(j, "step", pl_step_name(o->step));
	pl_json_sets(j, "product", o->product);
	if (o->months > 0)
		pl_json_seti(j, "months", o->months);
	pl_json_set(j, "store", store_json(o));
	pl_json_set(j, "names", names_json(o));
	pl_json_set(j, "dcv", methods_json(o));
	pl_json_set(j, "challenges", challenges_json(o));
	pl_json_sets(j, "renews", o->renews);
	pl_json_sets(j, "serial", o->serial);
	pl_json_set(j, "created", when(o->created));
	pl_json_set(j, "updated", when(o->updated));
	pl_json_set(j, "purchased", when(o->purchased));
	pl_json_set(j, "expires", when(o->expires));
	pl_json_set(j, "notBefore", when(o->not_before));
	pl_json_set(j, "notAfter", when(o->not_after));
	pl_json_set(j, "certificate", certificate_json(b, o));
	pl_json_set(j, "targets", targets_json(b, o));
	put_renewal(j, b, o);
	pl_json_set(j, "error", error_json(o));
	if (events && pl_book_events(b, o->id, &list, &err) == PL_OK)
		pl_json_set(j, "events", list);
	return j;
}
