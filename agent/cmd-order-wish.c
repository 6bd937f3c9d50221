/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What an order is to be: names, methods and addresses from the command
 * line, the request and the contact file, checked as far as that goes before
 * anything is sent.
 */
#include "cmd-order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
pl_wish_clear(struct pl_wish *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->names[i]);
		if (w->lists != NULL)
			pl_json_free(w->lists[i]);
	}
	free(w->names);
	free(w->methods);
	free(w->mails);
	free(w->set);
	free(w->lists);
	free(w->lone);
	free(w->given);
	pl_json_free(w->contact);
	pl_csr_free(w->csr);
	*w = (struct pl_wish){ .n = 0 };
}

static ssize_t
index_of(const struct pl_wish *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->names[i], name) == 0)
			return (ssize_t)i;
	}
	return -1;
}

void
pl_wish_name(struct pl_wish *w, const char *name, int method)
{
	size_t n = w->n;

	if (index_of(w, name) >= 0)
		return;
	w->names = pl_grow(w->names, n + 1, sizeof(*w->names));
	w->methods = pl_grow(w->methods, n + 1, sizeof(*w->methods));
	w->mails = pl_grow(w->mails, n + 1, sizeof(*w->mails));
	w->set = pl_grow(w->set, n + 1, sizeof(*w->set));
	w->names[n] = pl_strdup(name);
	w->methods[n] = method < 0 ? PL_DCV_EMAIL : (enum pl_dcv)method;
	w->mails[n] = NULL;
	w->set[n] = method >= 0;
	w->n++;
}

char *
pl_shop_name(const char *text, struct pl_err *err)
{
	char out[PL_NAME_MAX + 2];
	bool wild = strncmp(text, "*.", 2) == 0;

	memcpy(out, "*.", 3);
	if (pl_name_ascii(out + (wild ? 2 : 0), text + (wild ? 2 : 0), false,
	    err) != PL_OK)
		return NULL;
	return pl_strdup(out);
}

/* ---- files ----------------------------------------------------------------- */

int
pl_wish_csr(struct pl_shop *s, struct pl_wish *w, const char *file)
{
	struct pl_buf text;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	pl_buf_init(&text, PL_CSR_MAX);
	code = pl_file_read(&text, file, &err);
	if (code == PL_OK) {
		code = pl_csr_parse(&w->csr, text.data, text.len, &err);
		if (code != PL_OK)
			pl_prefix(&err, "%s", file);
	}
	pl_buf_clear(&text);
	if (code == PL_OK)
		return -1;
	err.code = PL_EINVAL;
	return pl_cli_fail(s->cli, &err);
}

int
pl_wish_contact(struct pl_shop *s, struct pl_wish *w)
{
	const char *file = pl_cli_opt(s->cli, "contact");
	struct pl_buf text;
	struct pl_err err;
	enum pl_code code;

	if (file == NULL)
		return -1;
	pl_err_clear(&err);
	pl_buf_init(&text, PL_LIM_CONFIG);
	code = pl_file_read(&text, file, &err);
	if (code == PL_OK)
		code = pl_json_parse(&w->contact, text.data, text.len, file,
		    &err);
	if (code == PL_OK)
		code = pl_life_contact(w->contact, file, &err);
	pl_buf_clear(&text);
	if (code == PL_OK)
		return -1;
	err.code = PL_EINVAL;
	return pl_cli_fail(s->cli, &err);
}

/* ---- methods --------------------------------------------------------------------- */

static int
one_method(struct pl_shop *s, struct pl_wish *w, const char *text,
    enum pl_dcv *all, bool *have_all)
{
	const char *eq = strrchr(text, '=');
	const char *word = eq != NULL ? eq + 1 : text;
	struct pl_err err;
	enum pl_dcv m;
	char *left, *name;
	ssize_t i;

	if (!pl_dcv_parse(&m, word))
		return pl_cli_usage(s->cli, "--dcv: %s: none of dns, file, "
		    "https-file, email", word);
	if (eq == NULL) {
		*all = m;
		*have_all = true;
		return -1;
	}
	left = pl_strndup(text, (size_t)(eq - text));
	name = pl_shop_name(left, &err);
	free(left);
	if (name == NULL)
		return pl_cli_usage(s->cli, "--dcv: %s", err.text);
	i = index_of(w, name);
	free(name);
	if (i < 0)
		return pl_cli_usage(s->cli, "--dcv: %.*s: not a name of the "
		    "order", (int)(eq - text), text);
	w->methods[i] = m;
	w->set[i] = true;
	return -1;
}

int
pl_wish_methods(struct pl_shop *s, struct pl_wish *w, bool needed)
{
	size_t n;
	const char **list = pl_cli_opts(s->cli, "dcv", &n);
	enum pl_dcv all = PL_DCV_EMAIL;
	bool have = false;
	int status = -1;

	for (size_t i = 0; i < n && status == -1; i++)
		status = one_method(s, w, list[i], &all, &have);
	free(list);
	for (size_t i = 0; i < w->n && status == -1; i++) {
		if (have && !w->set[i]) {
			w->methods[i] = all;
			w->set[i] = true;
		} else if (!w->set[i] && needed)
			status = pl_cli_usage(s->cli, "%s: --dcv dns, file, "
			    "https-file or email is expected", w->names[i]);
	}
	return status;
}

bool
pl_wish_by_mail(const struct pl_wish *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->methods[i] == PL_DCV_EMAIL)
			return true;
	}
	return false;
}

/* All faults of methods at once. */
static int
check_methods(struct pl_shop *s, struct pl_wish *w)
{
	struct pl_buf all;
	struct pl_err err;
	int status = -1;

	pl_buf_init(&all, PL_LIM_LINE);
	for (size_t i = 0; i < w->n; i++) {
		if (pl_dcv_check(&w->product, w->methods[i], w->names[i],
		    &err) != PL_OK)
			pl_buf_addf(&all, "%s%s", all.len > 0 ? "; " : "",
			    err.text);
	}
	if (all.len > 0)
		status = pl_cli_usage(s->cli, "%s", all.data);
	pl_buf_clear(&all);
	return status;
}

int
pl_wish_check(struct pl_shop *s, struct pl_wish *w)
{
	struct pl_err err;
	int status;

	pl_err_clear(&err);
	if (pl_product_names(&w->product, (const char *const *)w->names, w->n,
	    &err) != PL_OK)
		return pl_cli_usage(s->cli, "%s", err.text);
	status = check_methods(s, w);
	if (status != -1)
		return status;
	w->given = pl_cli_opts(s->cli, "approver-email", &w->ngiven);
	for (size_t i = 0; i < w->ngiven; i++) {
		const char *at = strchr(w->given[i], '@');

		if (at == NULL || at == w->given[i] || at[1] == '\0' ||
		    strpbrk(w->given[i], ", \t") != NULL)
			return pl_cli_usage(s->cli, "--approver-email: %s: "
			    "not an address", w->given[i]);
	}
	return -1;
}

/* ---- approvers ----------------------------------------------------------------------- */

/* The address of an order by file or DNS: somebody must be named. */
static void
lone_address(struct pl_wish *w)
{
	const char *name, *own;
	struct pl_buf b;

	if (w->lone != NULL)
		return;
	if (w->ngiven > 0) {
		w->lone = pl_strdup(w->given[0]);
		return;
	}
	if (w->n == 0 || pl_wish_by_mail(w))
		return;
	name = w->names[0] + (strncmp(w->names[0], "*.", 2) == 0 ? 2 : 0);
	own = pl_name_registrable(name);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "admin@%s", own != NULL ? own : name);
	w->lone = pl_buf_take(&b);
}

static bool
listed(const json_t *list, const char *mail)
{
	for (size_t i = 0; i < pl_json_count(list); i++) {
		const char *one = pl_json_str(pl_json_at(list, i));

		if (one != NULL && strcasecmp(one, mail) == 0)
			return true;
	}
	return false;
}

/* Who of the given approves this name. */
static const char *
approver_of(const struct pl_wish *w, const json_t *list)
{
	for (size_t i = 0; i < w->ngiven; i++) {
		if (listed(list, w->given[i]))
			return w->given[i];
	}
	return w->ngiven > 0 ? w->given[0] : NULL;
}

static struct pl_store_call *
approver_calls(struct pl_wish *w, size_t *n)
{
	struct pl_store_call *calls = pl_array(w->n + 1, sizeof(*calls));

	*n = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct pl_store_call *c = &calls[*n];

		if (w->methods[i] != PL_DCV_EMAIL)
			continue;
		c->path = "order/approverlist";
		c->request = pl_json_object();
		pl_json_sets(c->request, "ProductCode", w->product.sent);
		pl_json_sets(c->request, "DomainName", w->names[i] +
		    (strncmp(w->names[i], "*.", 2) == 0 ? 2 : 0));
		(*n)++;
	}
	return calls;
}

static enum pl_code
check_lists(struct pl_wish *w, struct pl_err *err)
{
	const char **names = pl_array(w->n + 1, sizeof(*names));
	const json_t **lists = pl_array(w->n + 1, sizeof(*lists));
	size_t n = 0;
	enum pl_code code;

	for (size_t i = 0; i < w->n; i++) {
		if (w->methods[i] != PL_DCV_EMAIL)
			continue;
		names[n] = w->names[i];
		lists[n++] = w->lists[i];
	}
	code = pl_approvers_check(&w->product, names, lists, n, w->given,
	    w->ngiven, err);
	free(names);
	free(lists);
	return code;
}

int
pl_wish_mails(struct pl_shop *s, struct pl_wish *w)
{
	struct pl_store_call *calls;
	struct pl_err err;
	size_t n, k = 0;
	enum pl_code code;

	lone_address(w);
	if (!pl_product_has_domains(&w->product) || !pl_wish_by_mail(w))
		return -1;
	calls = approver_calls(w, &n);
	pl_err_clear(&err);
	code = pl_controller_calls(s->s.engine, s->ctl, calls, n, 0, &err);
	w->lists = pl_array(w->n + 1, sizeof(*w->lists));
	for (size_t i = 0; code == PL_OK && i < w->n; i++) {
		const json_t *list;
		char *text;

		if (w->methods[i] != PL_DCV_EMAIL)
			continue;
		list = pl_store_list(calls[k++].answer, "ApproverEmailList");
		text = list != NULL ? pl_json_text(list) : pl_strdup("[]");
		pl_json_parse(&w->lists[i], text, strlen(text), "list",
		    NULL);
		free(text);
	}
	for (size_t i = 0; i < n; i++)
		pl_store_call_clear(&calls[i]);
	free(calls);
	if (code == PL_OK && check_lists(w, &err) != PL_OK)
		return pl_cli_usage(s->cli, "--approver-email: %s", err.text);
	if (code != PL_OK)
		return pl_cli_fail(s->cli, &err);
	for (size_t i = 0; i < w->n; i++) {
		if (w->methods[i] == PL_DCV_EMAIL)
			w->mails[i] = approver_of(w, w->lists[i]);
	}
	return -1;
}

/* ---- the request ------------------------------------------------------------------------ */

int
pl_wish_live(struct pl_shop *s, struct pl_wish *w)
{
	struct pl_store_call call = { .path = "product/query", .tries = 3 };
	struct pl_err err;

	call.request = pl_json_object();
	pl_json_sets(call.request, "ProductCode", w->product.sent);
	pl_json_seti(call.request, "ProductType", 0);
	pl_json_setb(call.request, "NeedSortedList", true);
	pl_json_setb(call.request, "IsForceNewSKUs", false);
	pl_err_clear(&err);
	if (pl_controller_calls(s->s.engine, s->ctl, &call, 1, 1, &err) ==
	    PL_OK)
		pl_product_live(&w->product, call.answer);
	pl_store_call_clear(&call);
	if (err.code == PL_EAUTH || err.code == PL_ECANCEL)
		return pl_cli_fail(s->cli, &err);
	if (err.code != PL_OK)
		pl_logf(&s->cli->log, PL_LOG_WARN, "store-not-asked",
		    "what=product why=\"%s\"", err.text);
	return -1;
}

static void
fill_ask(struct pl_order_ask *a, struct pl_wish *w, unsigned months,
    const char *signature, const char *renews)
{
	bool domains = pl_product_has_domains(&w->product);

	*a = (struct pl_order_ask){ .product = &w->product, .csr = w->csr,
		.names = (const char *const *)w->names,
		.methods = w->methods, .mails = w->mails,
		.n = domains ? w->n : 0, .lone = w->lone, .months = months,
		.servers = 1, .server_type = "Other", .contact = w->contact,
		.signature = signature, .custom_id = w->custom_id,
		.unique = w->unique, .renews = renews };
}

/* A list that no error's text would hold, as an error all the same. */
static int
say_missing(const struct pl_shop *s, const char *code, const char *missing)
{
	struct pl_buf text;
	json_t *j, *e;

	pl_buf_init(&text, 4 * PL_LIM_LINE);
	pl_buf_addf(&text, "%s: an order needs also: %s (--contact FILE.json;"
	    " ApproverEmail: --approver-email)", code, missing);
	fprintf(stderr, "placard: %s\n", text.data);
	if (s->cli->json) {
		j = pl_json_object();
		e = pl_json_object();
		pl_json_sets(e, "code", pl_code_name(PL_EINVAL));
		pl_json_sets(e, "text", text.data);
		pl_json_setb(e, "retry", false);
		pl_json_set(j, "error", e);
		pl_cli_print_json(j);
	}
	pl_buf_clear(&text);
	return PL_USAGE;
}

/* What the request lacks, told before anything is sent. */
static int
tell_missing(struct pl_shop *s, struct pl_wish *w, const json_t *body)
{
	struct pl_buf missing;
	int status = -1;

	pl_buf_init(&missing, PL_LIM_LINE);
	if (pl_product_check(&w->product, body, &missing, NULL) != PL_OK)
		status = say_missing(s, w->product.code, missing.data);
	pl_buf_clear(&missing);
	return status;
}

int
pl_wish_body(struct pl_shop *s, struct pl_wish *w, unsigned months,
    const char *signature, const char *renews, json_t **body)
{
	struct pl_order_ask a;
	struct pl_err err;
	int64_t servers = 1;
	int status;

	*body = NULL;
	pl_err_clear(&err);
	lone_address(w);
	fill_ask(&a, w, months, signature, renews);
	if (pl_cli_opt(s->cli, "servers") != NULL &&
	    strcmp(pl_cli_opt(s->cli, "servers"), "-1") == 0)
		servers = -1;
	else if (pl_cli_opt(s->cli, "servers") != NULL &&
	    pl_int_parse(&servers, pl_cli_opt(s->cli, "servers"), 1, 10000,
	    &err) != PL_OK)
		return pl_cli_usage(s->cli, "--servers: %s", err.text);
	a.servers = servers;
	if (pl_cli_opt(s->cli, "server-type") != NULL)
		a.server_type = pl_cli_opt(s->cli, "server-type");
	/* Without an address the body is made without names: what is
	 * missing is to be told in one go. */
	if (a.n > 0 && pl_wish_by_mail(w) && w->ngiven == 0) {
		a.n = 0;
		a.lone = NULL;
	} else if (a.n > 0 && w->lists == NULL) {
		for (size_t i = 0; i < w->n; i++)
			w->mails[i] = w->ngiven > 0 ? w->given[0] : NULL;
	}
	if (pl_life_neworder(body, &a, &err) != PL_OK)
		return pl_cli_usage(s->cli, "%s", err.text);
	status = tell_missing(s, w, *body);
	if (status != -1) {
		pl_json_free(*body);
		*body = NULL;
	}
	return status;
}

/* An order that the same request is already being placed with. */
static int64_t
placing_already(struct pl_shop *s, const struct pl_wish *w)
{
	struct pl_book_query q = { .state = PL_O_PLACING,
		.controller = s->ctl->settings.account };
	struct pl_order o;
	struct pl_buf hex;
	int64_t *ids = NULL, found = 0;
	size_t n = 0;

	pl_buf_init(&hex, PL_LIM_LINE);
	pl_hex(&hex, w->csr->sha256, sizeof(w->csr->sha256));
	q.csr_sha256 = hex.data;
	if (pl_book_list(s->book, &q, &ids, &n, NULL) == PL_OK) {
		for (size_t i = 0; i < n && found == 0; i++) {
			if (pl_book_get(s->book, ids[i], &o, NULL) != PL_OK)
				continue;
			if (o.step == PL_STEP_PLACE &&
			    pl_streq(o.product, w->product.code))
				found = o.id;
			pl_order_clear(&o);
		}
	}
	free(ids);
	pl_buf_clear(&hex);
	return found;
}

static void
fill_order(struct pl_shop *s, struct pl_wish *w, struct pl_order *o)
{
	o->controller = pl_strdup(s->ctl->settings.account);
	o->custom_id = pl_strdup(w->custom_id);
	o->product = pl_strdup(w->product.code);
	o->state = PL_O_PLACING;
	o->step = PL_STEP_PLACE;
	o->csr = pl_strdup(w->csr->pem);
	memcpy(o->spki, w->csr->spki, sizeof(o->spki));
	o->unique = pl_strdup(w->unique);
	o->path = pl_strdup("order/neworder");
	o->ours = true;
	o->generation = 1;
	o->nnames = w->n;
	o->names = pl_array(w->n + 1, sizeof(*o->names));
	for (size_t i = 0; i < w->n; i++)
		o->names[i] = (struct pl_order_name){
			.name = pl_strdup(w->names[i]),
			.method = pl_product_has_domains(&w->product) ?
			    (int)w->methods[i] : -1,
			.approver = pl_strdup(w->mails[i]) };
}

int
pl_wish_place(struct pl_shop *s, struct pl_wish *w, unsigned months,
    json_t *body, const char *renews)
{
	struct pl_order o = { 0 };
	struct pl_err err;
	int64_t id = placing_already(s, w);
	enum pl_drive drive = s->wait ? PL_DRIVE_ALL : PL_DRIVE_PLACE;
	int status;

	if (id != 0) {
		pl_json_free(body);
		fprintf(stderr, "placard: this request is being placed "
		    "already as L%lld, going on with that one\n",
		    (long long)id);
		return pl_shop_drive(s, id, drive, false);
	}
	fill_order(s, w, &o);
	o.months = months;
	o.request = pl_next_text(body, NULL);
	o.renews = pl_strdup(renews);
	pl_err_clear(&err);
	if (pl_book_save(s->book, &o, &err) != PL_OK) {
		pl_order_clear(&o);
		return pl_cli_fail(s->cli, &err);
	}
	id = o.id;
	pl_order_clear(&o);
	status = pl_shop_keep_renewing(s, id, w->follows);
	return status != -1 ? status : pl_shop_drive(s, id, drive, true);
}
