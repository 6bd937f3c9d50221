/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 15000

static json_t *
months_json(const struct pl_product *p)
{
	json_t *list = pl_json_array();

	for (const unsigned *m = p->months; *m != 0; m++)
		pl_json_append(list, pl_json_int(*m));
	return list;
}

static void
add_member(void *ctx, const char *member)
{
	pl_json_append(ctx, pl_json_string(member));
}

static json_t *
product_json(const struct pl_product *p)
{
	json_t *j = pl_json_object(), *needs = pl_json_array();

	pl_json_sets(j, "code", p->code);
	pl_json_sets(j, "name", p->name);
	pl_json_sets(j, "vendor", pl_vendor_name(p->vendor));
	pl_json_sets(j, "validation", pl_validation_name(p->validation));
	pl_json_setb(j, "wildcard", p->wildcard);
	pl_json_setb(j, "multi-domain", p->multi);
	pl_json_setb(j, "existing-organization", p->existing);
	pl_json_sets(j, "category", pl_fields_name(p->needs));
	pl_product_needs(p, add_member, needs);
	pl_json_set(j, "required", needs);
	pl_json_set(j, "months", months_json(p));
	pl_json_sets(j, "months-from", p->live ? "store" : "built-in");
	pl_json_sets(j, "price", p->price[0] != '\0' ? p->price : NULL);
	pl_json_setb(j, "listed", !p->retired);
	return j;
}

static void
print_member(void *ctx, const char *member)
{
	(void)ctx;
	pl_cli_print("  %s\n", member);
}

static void
print_months(const struct pl_product *p)
{
	pl_cli_print("months     ");
	for (const unsigned *m = p->months; *m != 0; m++)
		pl_cli_print("%s%u", m == p->months ? "" : ", ", *m);
	pl_cli_print("%s\n", p->live ? "" : " (as far as is known; the store "
	    "was not asked)");
}

static void
product_show(const struct pl_product *p)
{
	pl_cli_print("%s: %s\n", p->code, p->name);
	pl_cli_print("vendor     %s\nvalidation %s\n",
	    pl_vendor_name(p->vendor), pl_validation_name(p->validation));
	pl_cli_print("wildcard   %s\ndomains    %s\n",
	    p->wildcard ? "yes" : "no", p->multi ? "several" : "one");
	if (p->existing)
		pl_cli_print("sent as    %s, with TSSOrganizationId\n",
		    p->sent);
	print_months(p);
	if (p->price[0] != '\0')
		pl_cli_print("price      %s for %u month%s\n", p->price,
		    p->months[0], p->months[0] == 1 ? "" : "s");
	if (p->retired)
		pl_cli_print("the store does not list it now\n");
	pl_cli_print("an order needs (%s):\n", pl_fields_name(p->needs));
	pl_product_needs(p, print_member, NULL);
}

static void
product_line(const struct pl_product *p)
{
	pl_cli_print("%-29s %-9s %-16s %c%c %s%s\n", p->code,
	    pl_vendor_name(p->vendor), pl_validation_name(p->validation),
	    p->wildcard ? 'w' : '-', p->multi ? 'm' : '-', p->name,
	    p->retired ? " (not listed now)" : "");
}

/*
 * What the store says, where there is a controller.  That it cannot be reached
 * is worth a word, not a failure; refused credentials are one.
 */
static int
ask_store(struct pl_session *s, const char *code, json_t **answer)
{
	struct pl_store_call call = { .path = "product/query",
		.timeout_ms = ASK_MS, .tries = 2 };
	const struct pl_controller *c;
	struct pl_err err;
	const char *name = pl_cli_opt(s->cli, "controller");

	*answer = NULL;
	pl_err_clear(&err);
	if (pl_config_controller(&c, s->config, name, &err) != PL_OK) {
		/* Without one the table is what there is. */
		return name != NULL ? pl_cli_fail(s->cli, &err) : 0;
	}
	call.request = pl_json_object();
	pl_json_sets(call.request, "ProductCode", code);
	pl_json_seti(call.request, "ProductType", 0);
	pl_json_setb(call.request, "NeedSortedList", true);
	pl_json_setb(call.request, "IsForceNewSKUs", false);
	if (pl_controller_calls(s->engine, c, &call, 1, 1, &err) == PL_OK) {
		*answer = call.answer;
		call.answer = NULL;
	}
	pl_store_call_clear(&call);
	if (err.code == PL_EAUTH || err.code == PL_EINVAL ||
	    err.code == PL_ECANCEL)
		return pl_cli_fail(s->cli, &err);
	if (err.code != PL_OK)
		pl_logf(&s->cli->log, PL_LOG_WARN, "store-not-asked",
		    "controller=%s why=\"%s\"", c->settings.account, err.text);
	return 0;
}

static bool
wanted(const struct pl_product *p, const enum pl_vendor *v,
    const enum pl_validation *l)
{
	return (v == NULL || *v == p->vendor) &&
	    (l == NULL || *l == p->validation);
}

static int
do_list(struct pl_session *s)
{
	const char *vendor = pl_cli_opt(s->cli, "vendor"),
	    *level = pl_cli_opt(s->cli, "validation");
	enum pl_vendor v = PL_DIGICERT;
	enum pl_validation l = PL_V_DV;
	struct pl_product p;
	json_t *answer;
	int status;

	if (vendor != NULL && !pl_vendor_parse(&v, vendor))
		return pl_cli_usage(s->cli, "--vendor: %s: none of DIGICERT, "
		    "COMODO, SECTIGO", vendor);
	if (level != NULL && !pl_validation_parse(&l, level))
		return pl_cli_usage(s->cli, "--validation: %s: none of DV, "
		    "OV, EV, CODE_SIGNING, EV_CODE_SIGNING, CLIENT, "
		    "DOCUMENT_SIGNING, SCANNING", level);
	status = ask_store(s, "", &answer);
	for (size_t i = 0; i < pl_product_count(); i++) {
		pl_product_at(&p, i);
		if (!wanted(&p, vendor != NULL ? &v : NULL,
		    level != NULL ? &l : NULL))
			continue;
		if (answer != NULL)
			pl_product_live(&p, answer);
		if (s->cli->json)
			pl_cli_print_json(product_json(&p));
		else
			product_line(&p);
	}
	pl_json_free(answer);
	return status;
}

static int
do_show(struct pl_session *s)
{
	struct pl_product p;
	struct pl_err err;
	json_t *answer;
	int status;

	pl_err_clear(&err);
	if (pl_product_find(&p, s->cli->args[1], &err) != PL_OK)
		return pl_cli_usage(s->cli, "%s", err.text);
	status = ask_store(s, p.sent, &answer);
	if (answer != NULL)
		pl_product_live(&p, answer);
	if (s->cli->json)
		pl_cli_print_json(product_json(&p));
	else
		product_show(&p);
	pl_json_free(answer);
	return status;
}

int
pl_cmd_product(struct pl_cli *cli)
{
	bool show = strcmp(cli->args[0], "show") == 0;
	struct pl_session s;
	int status;

	if (!show && strcmp(cli->args[0], "list") != 0)
		return pl_cli_usage(cli, "product: %s: list or show CODE "
		    "expected", cli->args[0]);
	if (cli->nargs != (show ? 2 : 1))
		return pl_cli_usage(cli, "product %s: %s", cli->args[0],
		    show ? "one CODE expected" : "no more words expected");
	if (show && (pl_cli_opt(cli, "vendor") != NULL ||
	    pl_cli_opt(cli, "validation") != NULL))
		return pl_cli_usage(cli, "product show: --vendor and "
		    "--validation are for list");
	status = pl_session_open(&s, cli, PL_JOURNAL_NONE, false, false);
	if (status == -1)
		status = show ? do_show(&s) : do_list(&s);
	pl_session_close(&s);
	return status;
}
