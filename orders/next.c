/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The request for an order's next certificate. */
#include "renew.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- parts -------------------------------------------------------------------- */

json_t *
pl_next_old_body(const struct pl_order *o)
{
	json_t *request = NULL, *body = NULL;
	char *text;

	if (o->request == NULL || !pl_streq(o->path, "order/neworder") ||
	    pl_json_parse(&request, o->request, strlen(o->request),
	    "request", NULL) != PL_OK)
		return NULL;
	if (pl_json_get(request, "body") != NULL) {
		text = pl_json_text(pl_json_get(request, "body"));
		pl_json_parse(&body, text, strlen(text), "request", NULL);
		free(text);
	}
	pl_json_free(request);
	return body;
}

void
pl_next_server(json_t *body, const json_t *status)
{
	char *type = pl_store_text(status, "WebServerType");
	int64_t count = pl_store_int(status, "ServerCount", 1);

	if (type != NULL)
		pl_json_sets(body, "WebServerType", type);
	if (count != 0)
		pl_json_seti(body, "ServerCount", count);
	free(type);
}

json_t *
pl_next_names(const struct pl_csr *csr, const char *unique,
    char *const *names, const enum pl_dcv *methods, const char *const *mails,
    size_t n)
{
	json_t *j = pl_json_object(), *list = pl_json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *one = pl_json_object();

		pl_json_sets(one, "name", names[i]);
		pl_json_seti(one, "method", methods[i]);
		pl_json_sets(one, "approver", mails[i]);
		pl_json_append(list, one);
	}
	pl_json_sets(j, "csr", csr->pem);
	pl_json_sets(j, "unique", unique);
	pl_json_set(j, "names", list);
	return j;
}

char *
pl_next_text(json_t *body, json_t *next)
{
	json_t *j = pl_json_object();
	char *text;

	pl_json_set(j, "body", body);
	if (next != NULL)
		pl_json_set(j, "next", next);
	text = pl_json_text(j);
	pl_json_free(j);
	return text;
}

const char *
pl_key_type(const char *key)
{
	static const char *const types[][2] = { { "RSA 2048", "rsa2048" },
		{ "RSA 3072", "rsa3072" }, { "RSA 4096", "rsa4096" },
		{ "EC P-256", "p256" }, { "EC P-384", "p384" } };

	for (size_t i = 0; i < PL_NELEM(types); i++) {
		if (strcmp(key, types[i][0]) == 0)
			return types[i][1];
	}
	return NULL;
}

/* ---- the whole ------------------------------------------------------------------ */

/* Names of the order, as arrays that requests are made from. */
struct names {
	char **names;			/* lent, as mails */
	enum pl_dcv *methods;
	const char **mails;
	size_t n;
	const char *first;		/* address that was given, or NULL */
	char *lone;
};

static void
names_clear(struct names *w)
{
	free(w->names);
	free(w->methods);
	free(w->mails);
	free(w->lone);
}

/* Somebody must be named where nobody approves by mail. */
static char *
lone_address(const struct names *w)
{
	const char *name, *own;
	struct pl_buf b;

	if (w->first != NULL)
		return pl_strdup(w->first);
	for (size_t i = 0; i < w->n; i++) {
		if (w->methods[i] == PL_DCV_EMAIL)
			return NULL;
	}
	if (w->n == 0)
		return NULL;
	name = w->names[0] + (strncmp(w->names[0], "*.", 2) == 0 ? 2 : 0);
	own = pl_name_registrable(name);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "admin@%s", own != NULL ? own : name);
	return pl_buf_take(&b);
}

static enum pl_code
names_of(struct names *w, const struct pl_order *o, struct pl_err *err)
{
	*w = (struct names){ .n = o->nnames };
	w->names = pl_array(w->n + 1, sizeof(*w->names));
	w->methods = pl_array(w->n + 1, sizeof(*w->methods));
	w->mails = pl_array(w->n + 1, sizeof(*w->mails));
	for (size_t i = 0; i < w->n; i++) {
		const struct pl_order_name *name = &o->names[i];

		w->names[i] = name->name;
		if (name->method < 0)
			return pl_fail(err, PL_EINVAL, "%s: how its control "
			    "is proven is not known: order method sets it",
			    name->name);
		w->methods[i] = (enum pl_dcv)name->method;
		if (w->first == NULL)
			w->first = name->approver;
		if (w->methods[i] == PL_DCV_EMAIL)
			w->mails[i] = name->approver;
		if (w->methods[i] == PL_DCV_EMAIL && name->approver == NULL)
			return pl_fail(err, PL_EINVAL, "%s: nobody is known "
			    "who approves by e-mail", name->name);
	}
	w->lone = lone_address(w);
	return PL_OK;
}

static enum pl_code
make_order(struct pl_next *out, const struct pl_next_ask *a,
    const struct names *w, struct pl_err *err)
{
	json_t *old = pl_next_old_body(a->o),
	    *contact = pl_life_carry(a->status, old, NULL);
	char *signature = pl_store_text(a->status, "SignatureHashAlgorithm");
	struct pl_order_ask ask = { .product = a->product, .csr = a->csr,
		.names = (const char *const *)w->names,
		.methods = w->methods, .mails = w->mails,
		.n = pl_product_has_domains(a->product) ? w->n : 0,
		.lone = w->lone, .servers = 1, .server_type = "Other",
		.contact = contact, .signature = signature,
		.custom_id = a->custom_id, .unique = a->unique,
		.renews = a->o->store_id };
	enum pl_code code;

	out->months = a->o->months > 0 ? a->o->months : 12;
	code = pl_product_term(a->product, &out->months, true, err);
	ask.months = out->months;
	if (code == PL_OK)
		code = pl_life_neworder(&out->body, &ask, err);
	if (code == PL_OK) {
		pl_next_server(out->body, a->status);
		code = pl_product_check(a->product, out->body, NULL, err);
	}
	pl_json_free(old);
	pl_json_free(contact);
	free(signature);
	return code;
}

static enum pl_code
make_reissue(struct pl_next *out, const struct pl_next_ask *a,
    const struct names *w, struct pl_err *err)
{
	struct pl_reissue_ask ask = { .product = a->product, .csr = a->csr,
		.status = a->status, .store_id = a->o->store_id,
		.names = (const char *const *)w->names,
		.methods = w->methods, .mails = w->mails, .n = w->n,
		.lone = w->lone, .unique = a->unique };
	enum pl_code code;

	/* The names stay as they are. */
	ask.before = ask.names + (w->n > 0);
	ask.nbefore = w->n > 0 ? w->n - 1 : 0;
	code = pl_life_reissue(&out->body, &ask, err);
	if (code == PL_OK)
		out->next = pl_next_names(a->csr, a->unique, w->names,
		    w->methods, w->mails, w->n);
	return code;
}

void
pl_next_clear(struct pl_next *n)
{
	pl_json_free(n->body);
	pl_json_free(n->next);
	*n = (struct pl_next){ 0 };
}

enum pl_code
pl_next_make(struct pl_next *out, const struct pl_next_ask *a,
    struct pl_err *err)
{
	struct names w;
	enum pl_code code;

	*out = (struct pl_next){ 0 };
	code = names_of(&w, a->o, err);
	if (code == PL_OK)
		code = a->by_order ? make_order(out, a, &w, err) :
		    make_reissue(out, a, &w, err);
	names_clear(&w);
	if (code != PL_OK)
		pl_next_clear(out);
	return code;
}
