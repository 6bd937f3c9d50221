/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "cmd-order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_MONTHS 12

static const char *const server_types[] = { "aol", "apachessl",
	"apacheraven", "apachessleay", "apacheopenssl", "apache2",
	"apacheapachessl", "iis", "iis4", "iis5", "c2net", "Ibmhttp",
	"Ibminternet", "Iplanet", "Dominogo4625", "Dominogo4626", "Domino",
	"Netscape", "NetscapeFastTrack", "zeusv3", "Other", "cobaltseries",
	"covalentserver", "cpanel", "ensim", "hsphere", "ipswitch", "plesk",
	"tomcat", "WebLogic", "website", "webstar", "sapwebserver", "webten",
	"redhat", "reven", "r3ssl", "quid", "oracle", "javawebserver",
	"cisco3000", "citrix", NULL };

static int
check_options(struct pl_shop *s)
{
	static const char *const expected[] = { "product", "csr" };
	const char *type = pl_cli_opt(s->cli, "server-type");

	for (size_t i = 0; i < PL_NELEM(expected); i++) {
		if (pl_cli_opt(s->cli, expected[i]) == NULL)
			return pl_cli_usage(s->cli, "order new: --%s is "
			    "expected", expected[i]);
	}
	if (pl_cli_opt(s->cli, "months") != NULL &&
	    pl_cli_opt(s->cli, "days") != NULL)
		return pl_cli_usage(s->cli, "order new: --months and --days "
		    "exclude each other");
	if (type != NULL && !pl_str_in(type, server_types)) {
		const char *near = pl_nearest(type, server_types);

		return pl_cli_usage(s->cli, "--server-type: %s: not one that "
		    "the store knows%s%s%s", type, near != NULL ? " (" : "",
		    near != NULL ? near : "", near != NULL ? "?)" : "");
	}
	return -1;
}

/* ---- names ---------------------------------------------------------------------- */

static int
add_text(struct pl_shop *s, struct pl_wish *w, const char *text,
    const char *what)
{
	struct pl_err err;
	char *name = pl_shop_name(text, &err);

	if (name == NULL)
		return pl_cli_usage(s->cli, "%s: %s", what, err.text);
	pl_wish_name(w, name, -1);
	free(name);
	return -1;
}

static bool
in_wish(const struct pl_wish *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->names[i], name) == 0)
			return true;
	}
	return false;
}

/* Names that the CSR has and the order would not. */
static int
compare_names(struct pl_shop *s, const struct pl_wish *w)
{
	struct pl_buf odd;
	int status = -1;

	pl_buf_init(&odd, PL_LIM_LINE);
	for (size_t i = 0; i < w->csr->nnames; i++) {
		if (!in_wish(w, w->csr->names[i]))
			pl_buf_addf(&odd, "%s%s", odd.len > 0 ? ", " : "",
			    w->csr->names[i]);
	}
	if (odd.len > 0)
		status = pl_cli_usage(s->cli, "the CSR names also %s: say "
		    "--san for each, or none at all for those of the CSR",
		    odd.data);
	pl_buf_clear(&odd);
	return status;
}

static int
find_names(struct pl_shop *s, struct pl_wish *w)
{
	size_t n;
	const char **sans = pl_cli_opts(s->cli, "san", &n);
	const struct pl_csr *csr = w->csr;
	int status = -1;

	if (!pl_product_has_domains(&w->product)) {
		free(sans);
		if (n > 0 || pl_cli_opt(s->cli, "dcv") != NULL)
			return pl_cli_usage(s->cli, "%s: has no domains: "
			    "neither --san nor --dcv", w->product.code);
		if (csr->cn != NULL)
			pl_wish_name(w, csr->cn, -1);
		return -1;
	}
	if (csr->cn != NULL && csr->cn[0] != '\0')
		status = add_text(s, w, csr->cn, "the CSR's common name");
	else if (csr->nnames == 0)
		status = pl_cli_usage(s->cli, "the CSR has no name");
	for (size_t i = 0; i < n && status == -1; i++) {
		if (w->n == 0)
			status = add_text(s, w, csr->names[0], "CSR");
		if (status == -1)
			status = add_text(s, w, sans[i], "--san");
	}
	for (size_t i = 0; n == 0 && i < csr->nnames && status == -1; i++)
		status = add_text(s, w, csr->names[i], "CSR");
	free(sans);
	return status == -1 ? compare_names(s, w) : status;
}

/* ---- terms ------------------------------------------------------------------------ */

/* Twelve months, or what is nearest below, or the shortest. */
static unsigned
usual_months(const struct pl_product *p)
{
	unsigned best = p->months[0];

	for (const unsigned *m = p->months; *m != 0; m++) {
		if (*m <= USUAL_MONTHS)
			best = *m;
	}
	return best != 0 ? best : USUAL_MONTHS;
}

static int
find_months(struct pl_shop *s, const struct pl_wish *w, unsigned *months)
{
	const char *given = pl_cli_opt(s->cli, "months"),
	    *days = pl_cli_opt(s->cli, "days");
	struct pl_err err;
	int64_t n;

	if (given == NULL && days == NULL) {
		*months = usual_months(&w->product);
		return -1;
	}
	if (pl_int_parse(&n, given != NULL ? given : days, 1, 4000, &err) !=
	    PL_OK)
		return pl_cli_usage(s->cli, "--%s: %s", given != NULL ?
		    "months" : "days", err.text);
	*months = given != NULL ? (unsigned)n :
	    pl_months_of_days((unsigned)n);
	if (pl_product_term(&w->product, months, given == NULL, &err) !=
	    PL_OK)
		return pl_cli_usage(s->cli, "%s", err.text);
	return -1;
}

/* ---- all of it ------------------------------------------------------------------------ */

/* With the store's help: terms that are sold, who may approve. */
static int
ask_store(struct pl_shop *s, struct pl_wish *w, unsigned *months)
{
	int status = pl_wish_live(s, w);

	if (status != -1)
		return status;
	if (w->product.retired)
		return pl_cli_usage(s->cli, "%s: the store does not sell it "
		    "now", w->product.code);
	status = find_months(s, w, months);
	if (status == -1)
		status = pl_wish_mails(s, w);
	return status;
}

static int
dry_run(struct pl_shop *s, const struct pl_wish *w, json_t *body)
{
	json_t *j;

	(void)w;
	if (!s->cli->json) {
		char *text = pl_json_text(body);

		pl_cli_print("%s\n", text);
		free(text);
		pl_json_free(body);
		return 0;
	}
	j = pl_json_object();
	pl_json_sets(j, "call", "order/neworder");
	pl_json_set(j, "request", body);
	pl_cli_print_json(j);
	return 0;
}

static int
make(struct pl_shop *s, struct pl_wish *w)
{
	unsigned months = 0;
	json_t *body;
	int status;

	status = pl_wish_csr(s, w, pl_cli_opt(s->cli, "csr"));
	if (status == -1)
		status = pl_wish_contact(s, w);
	if (status == -1)
		status = find_names(s, w);
	if (status == -1 && pl_product_has_domains(&w->product))
		status = pl_wish_methods(s, w, true);
	if (status == -1)
		status = pl_wish_check(s, w);
	/* Which terms are sold is for the store to say, below. */
	months = usual_months(&w->product);
	if (status == -1)
		status = pl_wish_body(s, w, months, NULL, NULL, &body);
	if (status != -1)
		return status;
	if (s->cli->dry_run) {
		status = find_months(s, w, &months);
		if (status != -1) {
			pl_json_free(body);
			return status;
		}
		pl_json_seti(body, "ValidityPeriod", months);
		return dry_run(s, w, body);
	}
	pl_json_free(body);
	status = pl_shop_controller(s);
	if (status == -1)
		status = ask_store(s, w, &months);
	if (status == -1)
		status = pl_wish_body(s, w, months, NULL, NULL, &body);
	return status != -1 ? status : pl_wish_place(s, w, months, body,
	    NULL);
}

int
pl_order_new(struct pl_shop *s)
{
	struct pl_wish w = { .n = 0 };
	struct pl_err err;
	int status = check_options(s);

	if (status != -1)
		return status;
	pl_err_clear(&err);
	if (pl_product_find(&w.product, pl_cli_opt(s->cli, "product"),
	    &err) != PL_OK)
		return pl_cli_usage(s->cli, "--product: %s", err.text);
	pl_life_custom_id(w.custom_id);
	pl_life_unique(w.unique);
	status = make(s, &w);
	pl_wish_clear(&w);
	return status;
}
