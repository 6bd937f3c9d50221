/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Order commands that change an order at the store by one call. */
#include "cmd-order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- approvers ----------------------------------------------------------------- */

/* Two addresses of the reseller's own that approve nothing, and what is no
 * address at all. */
static bool
is_junk(const char *mail)
{
	for (const char *p = mail; *p != '\0'; p++) {
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return true;
	}
	return strncasecmp(mail, "support", 7) == 0 &&
	    strcasestr(mail, "@geotrust.com") != NULL;
}

/* Gives the addresses that may approve a name; a status, or -1. */
static int
approver_list(struct pl_shop *w, const char *code, const char *name,
    json_t **out)
{
	json_t *request = pl_json_object(), *answer;
	const json_t *list;
	int status;

	*out = NULL;
	pl_json_sets(request, "ProductCode", code);
	pl_json_sets(request, "DomainName", name +
	    (strncmp(name, "*.", 2) == 0 ? 2 : 0));
	status = pl_shop_call(w, "order/approverlist", request, &answer);
	if (status != -1)
		return status;
	*out = pl_json_array();
	list = pl_store_list(answer, "ApproverEmailList");
	for (size_t i = 0; i < pl_json_count(list); i++) {
		const char *mail = pl_json_str(pl_json_at(list, i));

		if (mail != NULL && !is_junk(mail))
			pl_json_append(*out, pl_json_string(mail));
	}
	pl_json_free(answer);
	return -1;
}

int
pl_order_approvers(struct pl_shop *w)
{
	const char *code = pl_cli_opt(w->cli, "product");
	struct pl_product p;
	struct pl_err err;
	json_t *list, *j;
	char *name;
	int status;

	pl_err_clear(&err);
	if (code == NULL)
		return pl_cli_usage(w->cli, "order approvers: --product is "
		    "expected");
	if (pl_product_find(&p, code, &err) != PL_OK)
		return pl_cli_usage(w->cli, "--product: %s", err.text);
	name = pl_shop_name(w->cli->args[1], &err);
	if (name == NULL)
		return pl_cli_usage(w->cli, "%s", err.text);
	status = pl_shop_controller(w);
	if (status == -1)
		status = approver_list(w, p.sent, name, &list);
	if (status == -1 && w->cli->json) {
		j = pl_json_object();
		pl_json_sets(j, "name", name);
		pl_json_sets(j, "product", p.code);
		pl_json_set(j, "approvers", list);
		pl_cli_print_json(j);
	} else if (status == -1) {
		for (size_t i = 0; i < pl_json_count(list); i++)
			pl_cli_print("%s\n", pl_json_str(pl_json_at(list,
			    i)));
		pl_json_free(list);
	}
	free(name);
	return status == -1 ? 0 : status;
}

/* ---- common ----------------------------------------------------------------------- */

static json_t *
about(const struct pl_order *o)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "TheSSLStoreOrderID", o->store_id);
	return j;
}

static int
save(struct pl_shop *w, struct pl_order *o, const char *event,
    const char *text)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (pl_book_save(w->book, o, &err) != PL_OK || (event != NULL &&
	    pl_book_event(w->book, o->id, event, text, &err) != PL_OK))
		return pl_cli_fail(w->cli, &err);
	return -1;
}

static int
take_answer(struct pl_shop *w, struct pl_order *o, const json_t *answer)
{
	struct pl_err err;
	bool moved;

	pl_err_clear(&err);
	if (pl_life_apply(o, answer, &moved, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	return -1;
}

/* Asks the store how the order is. */
static int
refresh(struct pl_shop *w, struct pl_order *o)
{
	json_t *answer;
	int status = pl_shop_call(w, "order/status", about(o), &answer);

	if (status == -1)
		status = take_answer(w, o, answer);
	pl_json_free(answer);
	return status;
}

/* The order that is meant, locked and as the store has it. */
static int
begin(struct pl_shop *w, struct pl_order *o)
{
	int status = pl_shop_find(w, w->cli->args[1], o);

	if (status == -1)
		status = pl_shop_lock(w, o);
	if (status != -1)
		return status;
	if (o->store_id == NULL)
		status = pl_cli_usage(w->cli, "order %s: the store does not "
		    "have it (placard order refresh %s looks)",
		    w->cli->args[1], w->cli->args[1]);
	else
		status = refresh(w, o);
	if (status != -1)
		pl_shop_unlock(w, o);
	return status;
}

static int
end(struct pl_shop *w, struct pl_order *o, int status)
{
	int64_t id = o->id;

	pl_shop_unlock(w, o);
	pl_order_clear(o);
	if (status != -1)
		return status;
	if (w->wait)
		return pl_shop_drive(w, id, PL_DRIVE_ALL, false);
	return pl_shop_print(w, id, false);
}

static struct pl_order_name *
name_of(struct pl_order *o, const char *domain)
{
	for (size_t i = 0; i < o->nnames; i++) {
		if (strcmp(o->names[i].name, domain) == 0)
			return &o->names[i];
	}
	return NULL;
}

static bool
on_list(const json_t *list, const char *mail)
{
	for (size_t i = 0; i < pl_json_count(list); i++) {
		if (strcasecmp(pl_json_str(pl_json_at(list, i)), mail) == 0)
			return true;
	}
	return false;
}

static const char *
sent_code(const struct pl_order *o, struct pl_product *p)
{
	return o->product != NULL &&
	    pl_product_find(p, o->product, NULL) == PL_OK ? p->sent :
	    o->product != NULL ? o->product : "";
}

/* ---- resend -------------------------------------------------------------------------- */

/*
 * One mail for one domain: to the address that the store has, or to another
 * one that may approve it.  *did: a mail was asked for.
 */
static int
resend_one(struct pl_shop *w, struct pl_order *o, const char *domain,
    const char *mail, bool *did)
{
	struct pl_order_name *name = name_of(o, domain);
	const char *now = name != NULL ? name->approver : NULL;
	struct pl_product p;
	json_t *request, *list;
	bool change = mail != NULL && (now == NULL ||
	    strcasecmp(now, mail) != 0);
	int status;

	if (change) {
		status = approver_list(w, sent_code(o, &p), domain, &list);
		if (status != -1)
			return status;
		change = on_list(list, mail);
		pl_json_free(list);
		if (!change)
			return -1;
	}
	request = about(o);
	if (!change)
		pl_json_sets(request, "ResendEmailType", "ApproverEmail");
	if (mail != NULL || now != NULL)
		pl_json_sets(request, "ResendEmail", mail != NULL ? mail :
		    now);
	pl_json_sets(request, "DomainNames", domain);
	status = pl_shop_call(w, change ? "order/changeapproveremail" :
	    "order/resend", request, NULL);
	if (status == -1 && mail != NULL && name != NULL) {
		free(name->approver);
		name->approver = pl_strdup(mail);
	}
	*did = *did || status == -1;
	return status;
}

int
pl_order_resend(struct pl_shop *w)
{
	const char *mail = pl_cli_opt(w->cli, "email");
	struct pl_order o = { 0 };
	bool any = false, did = false;
	int status = begin(w, &o);

	if (status != -1) {
		pl_order_clear(&o);
		return status;
	}
	for (size_t i = 0; i < o.nchallenges && status == -1; i++) {
		const struct pl_order_challenge *c = &o.challenges[i];

		if (c->method != PL_DCV_EMAIL || c->approved)
			continue;
		any = true;
		status = resend_one(w, &o, c->domain, mail, &did);
	}
	if (status == -1 && !any)
		status = pl_cli_usage(w->cli, "order %s: none of its names "
		    "waits for an e-mail", w->cli->args[1]);
	else if (status == -1 && !did)
		status = pl_cli_usage(w->cli, "--email: %s: approves none of "
		    "the names that wait for an e-mail", mail);
	if (status == -1)
		status = save(w, &o, "resent", mail != NULL ? mail :
		    "to the same address");
	return end(w, &o, status);
}

/* ---- method ---------------------------------------------------------------------------- */

/* The address for a name that goes over to e-mail. */
static int
choose_mail(struct pl_shop *w, const struct pl_order *o, const char *domain,
    char **mail)
{
	const char *given = pl_cli_opt(w->cli, "email");
	struct pl_product p;
	json_t *list;
	int status = approver_list(w, sent_code(o, &p), domain, &list);

	if (status != -1)
		return status;
	if (given != NULL && !on_list(list, given))
		status = pl_cli_usage(w->cli, "--email: %s cannot approve %s",
		    given, domain);
	else if (given != NULL)
		*mail = pl_strdup(given);
	for (size_t i = 0; *mail == NULL && status == -1 &&
	    i < pl_json_count(list); i++) {
		const char *one = pl_json_str(pl_json_at(list, i));

		if (strncasecmp(one, "admin@", 6) == 0)
			*mail = pl_strdup(one);
	}
	if (*mail == NULL && status == -1)
		status = pl_cli_usage(w->cli, "%s: --email ADDRESS is "
		    "expected (placard order approvers)", domain);
	pl_json_free(list);
	return status;
}

static int
change_one(struct pl_shop *w, struct pl_order *o, const char *domain,
    enum pl_dcv m)
{
	struct pl_order_name *name = name_of(o, domain);
	json_t *request;
	char *mail = NULL;
	int status = -1;

	if (m == PL_DCV_EMAIL)
		status = choose_mail(w, o, domain, &mail);
	if (status != -1)
		return status;
	request = about(o);
	pl_json_sets(request, "ApproverMethod", m == PL_DCV_EMAIL ? "EMAIL" :
	    m == PL_DCV_FILE ? "FILE" : "CNAME");
	if (mail != NULL)
		pl_json_sets(request, "ApproverEmail", mail);
	pl_json_sets(request, "DomainNames", domain);
	status = pl_shop_call(w, "order/changeapprovermethod", request,
	    NULL);
	if (status == -1 && name != NULL) {
		name->method = (int)m;
		if (mail != NULL) {
			free(name->approver);
			name->approver = mail;
			mail = NULL;
		}
	}
	free(mail);
	return status;
}

static int
check_method(struct pl_shop *w, const struct pl_order *o, enum pl_dcv *m,
    char **only)
{
	const char *word = pl_cli_opt(w->cli, "dcv"),
	    *domain = w->cli->ch.domain;
	struct pl_err err;

	*only = NULL;
	if (word == NULL || !pl_dcv_parse(m, word))
		return pl_cli_usage(w->cli, "order method: --dcv dns, file or "
		    "email is expected");
	if (*m == PL_DCV_HTTPS_FILE)
		return pl_cli_usage(w->cli, "order method: the store has no "
		    "call that changes to https-file");
	if (domain != NULL) {
		*only = pl_shop_name(domain, &err);
		if (*only == NULL)
			return pl_cli_usage(w->cli, "--domain: %s", err.text);
	}
	for (size_t i = 0; i < o->nchallenges; i++) {
		const struct pl_order_challenge *c = &o->challenges[i];

		if (*only != NULL && strcmp(*only, c->domain) != 0)
			continue;
		if (*m == PL_DCV_FILE && strncmp(c->domain, "*.", 2) == 0)
			return pl_cli_usage(w->cli, "%s: a file cannot prove "
			    "a wildcard name", c->domain);
	}
	return -1;
}

/* The store leaves out what it does not know without a word: is it so now? */
static int
keep_method(struct pl_shop *w, struct pl_order *o, enum pl_dcv m)
{
	struct pl_err err;
	int status;

	free(o->error);
	o->error = NULL;
	o->rechecked = 0;
	pl_err_clear(&err);
	if (pl_life_downgraded(o, &err) != PL_OK) {
		o->error = pl_strdup(err.text);
		status = save(w, o, "downgraded", err.text);
		return status != -1 ? status : pl_cli_fail(w->cli, &err);
	}
	if (!pl_life_final(o->state))
		o->step = PL_STEP_PUBLISH;
	return save(w, o, "method", pl_dcv_name(m));
}

int
pl_order_method(struct pl_shop *w)
{
	struct pl_order o = { 0 };
	enum pl_dcv m = PL_DCV_DNS;
	char *only = NULL;
	bool any = false;
	int status = begin(w, &o);

	if (status != -1) {
		pl_order_clear(&o);
		return status;
	}
	status = check_method(w, &o, &m, &only);
	for (size_t i = 0; i < o.nchallenges && status == -1; i++) {
		const struct pl_order_challenge *c = &o.challenges[i];

		if (c->approved || (only != NULL &&
		    strcmp(only, c->domain) != 0))
			continue;
		any = true;
		status = change_one(w, &o, c->domain, m);
	}
	if (status == -1 && !any)
		status = pl_cli_usage(w->cli, "order %s: %s", w->cli->args[1],
		    only != NULL ? "the name is not one that waits" :
		    "no name waits for a proof");
	free(only);
	if (status == -1)
		status = refresh(w, &o);
	if (status == -1)
		status = keep_method(w, &o, m);
	return end(w, &o, status);
}

/* ---- cancel ---------------------------------------------------------------------------- */

/* Removes what is published for it, then shows it. */
static int
clean_and_end(struct pl_shop *w, struct pl_order *o, int status)
{
	int64_t id = o->id;

	pl_shop_unlock(w, o);
	pl_order_clear(o);
	return status != -1 ? status : pl_shop_drive(w, id, PL_DRIVE_ALL,
	    false);
}

/* The answer to a refund request was lost: is there a refund? */
static int
lost_refund(struct pl_shop *w, struct pl_order *o, const struct pl_err *why)
{
	json_t *answer = NULL;
	struct pl_err err;
	int status;

	if (pl_controller_call(w->s.engine, w->ctl, "order/refundstatus",
	    about(o), &answer, &err) != PL_OK)
		return pl_cli_fail(w->cli, why);
	status = take_answer(w, o, answer);
	pl_json_free(answer);
	return status;
}

static int
ask_refund(struct pl_shop *w, struct pl_order *o)
{
	const char *reason = pl_cli_opt(w->cli, "reason");
	struct pl_store_call c = { .path = "order/refundrequest" };
	struct pl_err err;
	int status = -1;

	c.request = about(o);
	pl_json_sets(c.request, "RefundReason", reason != NULL ? reason : "");
	pl_err_clear(&err);
	if (pl_controller_calls(w->s.engine, w->ctl, &c, 1, 1, &err) == PL_OK)
		status = take_answer(w, o, c.answer);
	else if (c.sent)
		status = lost_refund(w, o, &err);
	else
		status = pl_cli_fail(w->cli, &err);
	pl_store_call_clear(&c);
	return status;
}

/* One that was perhaps never placed: looks for it by its CustomOrderID. */
static int
find_placing(struct pl_shop *w, struct pl_order *o)
{
	json_t *request = pl_json_object(), *answer = NULL;
	struct pl_err err;
	int status = -1;

	if (o->sent == 0) {
		pl_json_free(request);
		o->state = PL_O_CANCELLED;
		return -1;
	}
	pl_json_sets(request, "CustomOrderID", o->custom_id);
	if (pl_controller_call(w->s.engine, w->ctl, "order/status", request,
	    &answer, &err) == PL_OK)
		status = take_answer(w, o, answer);
	else if (err.code == PL_EREMOTE &&
	    pl_wall_ms() > o->sent + w->ctl->timeout_ms)
		o->state = PL_O_CANCELLED;
	else
		status = pl_cli_fail(w->cli, &err);
	pl_json_free(answer);
	return status;
}

int
pl_order_cancel(struct pl_shop *w)
{
	struct pl_order o = { 0 };
	int status = pl_shop_find(w, w->cli->args[1], &o);

	if (status == -1)
		status = pl_shop_lock(w, &o);
	if (status != -1) {
		pl_order_clear(&o);
		return status;
	}
	if (o.store_id == NULL)
		status = find_placing(w, &o);
	if (status == -1 && o.store_id != NULL)
		status = ask_refund(w, &o);
	if (status == -1) {
		o.step = PL_STEP_CLEAN;
		status = save(w, &o, "cancel", o.state == PL_O_CANCELLED ?
		    "cancelled" : "asked for");
	}
	return clean_and_end(w, &o, status);
}

/* ---- revoke ----------------------------------------------------------------------------- */

int
pl_order_revoke(struct pl_shop *w)
{
	const char *reason = pl_cli_opt(w->cli, "reason");
	struct pl_order o = { 0 };
	json_t *request;
	int status = begin(w, &o);

	if (status != -1) {
		pl_order_clear(&o);
		return status;
	}
	if (o.serial == NULL)
		return end(w, &o, pl_cli_usage(w->cli, "order %s: %s, there "
		    "is no certificate to revoke", w->cli->args[1],
		    pl_order_state_name(o.state)));
	request = about(&o);
	pl_json_sets(request, "SerialNumber", o.serial);
	pl_json_sets(request, "RevokeReason", reason != NULL ? reason : "");
	status = pl_shop_call(w, "order/certificaterevokerequest", request,
	    NULL);
	if (status == -1) {
		o.revoked = true;
		status = save(w, &o, "revoked", o.serial);
	}
	if (status == -1)
		status = refresh(w, &o);
	if (status == -1) {
		o.state = pl_life_state(o.major, o.minor, o.revoked);
		status = save(w, &o, NULL, NULL);
	}
	return end(w, &o, status);
}
