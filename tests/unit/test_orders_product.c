/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl_product
product(const char *code)
{
	struct pl_product p;
	struct pl_err err;

	if (pl_product_find(&p, code, &err) != PL_OK)
		fail_msg("%s", err.text);
	return p;
}

/* ---- fields ------------------------------------------------------------------ */

/* Sets a dotted member, with the objects on the way. */
static void
put(json_t *j, const char *dotted, json_t *v)
{
	char name[96];
	size_t n = strcspn(dotted, ".");
	json_t *inner;

	memcpy(name, dotted, n);
	name[n] = '\0';
	if (dotted[n] == '\0') {
		pl_json_set(j, name, v);
		return;
	}
	inner = pl_json_get(j, name);
	if (inner == NULL) {
		inner = pl_json_object();
		pl_json_set(j, name, inner);
	}
	put(inner, dotted + n + 1, v);
}

static json_t *
value_of(const char *member)
{
	if (strcmp(member, "TSSOrganizationId") == 0)
		return pl_json_int(4711);
	if (strstr(member, "Indicator") != NULL)
		return pl_json_bool(false);
	return pl_json_string("x");
}

static void
put_one(void *ctx, const char *member)
{
	put(ctx, member, value_of(member));
}

/* An order with all that every order has and this product needs. */
static json_t *
order_for(const struct pl_product *p)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "ProductCode", p->sent);
	pl_json_seti(j, "ValidityPeriod", 12);
	pl_json_seti(j, "ServerCount", -1);
	pl_json_sets(j, "CSR", "x");
	pl_json_sets(j, "WebServerType", "Other");
	pl_json_setb(j, "isCUOrder", false);
	pl_json_setb(j, "isRenewalOrder", false);
	pl_json_setb(j, "isTrialOrder", false);
	pl_product_needs(p, put_one, j);
	return j;
}

struct turn {
	const struct pl_product *p;
	size_t n;
};

/* Without this one member, exactly it is missing. */
static void
without(void *ctx, const char *member)
{
	struct turn *t = ctx;
	json_t *j = order_for(t->p);
	struct pl_buf missing;
	struct pl_err err;

	pl_buf_init(&missing, PL_LIM_LINE);
	put(j, member, strcmp(member, "TSSOrganizationId") == 0 ?
	    pl_json_int(0) : t->n % 2 == 0 ? pl_json_null() :
	    pl_json_string(" "));
	assert_int_equal(pl_product_check(t->p, j, &missing, &err), PL_EINVAL);
	assert_string_equal(missing.data, member);
	assert_non_null(strstr(err.text, "1 field is missing: "));
	t->n++;
	pl_buf_clear(&missing);
	pl_json_free(j);
}

static void
every_field(void **state)
{
	struct pl_product p;
	struct pl_err err;
	struct turn t = { &p, 0 };
	json_t *j;

	(void)state;
	for (size_t i = 0; i < pl_product_count(); i++) {
		pl_product_at(&p, i);
		j = order_for(&p);
		if (pl_product_check(&p, j, NULL, &err) != PL_OK)
			fail_msg("%s", err.text);
		pl_json_free(j);
		pl_product_needs(&p, without, &t);
	}
	/* The rows of the table times their fields. */
	assert_true(t.n > 800);
}

static void
all_at_once(void **state)
{
	static const char *const legacy = "ProductCode, ValidityPeriod, "
	    "ServerCount, CSR, WebServerType, isCUOrder, isRenewalOrder, "
	    "isTrialOrder, AdminContact.FirstName, AdminContact.LastName, ";
	struct pl_product p = product("digi_quickssl_md");
	json_t *j = pl_json_object();
	struct pl_buf missing;
	struct pl_err err;

	(void)state;
	pl_buf_init(&missing, PL_LIM_LINE);
	assert_int_equal(pl_product_check(&p, j, &missing, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "39 fields are missing: "));
	assert_int_equal(strncmp(missing.data, legacy, strlen(legacy)), 0);
	assert_non_null(strstr(missing.data,
	    ", TechnicalContact.Country, ApproverEmail, "));
	assert_non_null(strstr(missing.data,
	    ", OrganizationInfo.JurisdictionCountry"));
	pl_buf_clear(&missing);
	pl_json_free(j);
}

/* An organisation that DigiCert knows need not be described. */
static void
existing(void **state)
{
	struct pl_product p = product("digi_ssl_basic"),
	    eo = product("digi_ssl_basic-EO"), s = product("sectigoovssl");
	json_t *j = order_for(&eo);
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_product_check(&eo, j, NULL, &err), PL_OK);
	assert_int_equal(pl_product_check(&p, j, NULL, &err), PL_OK);
	assert_int_equal(pl_product_check(&s, j, NULL, &err), PL_EINVAL);
	pl_json_free(j);
}

/* ---- terms -------------------------------------------------------------------- */

static void
days(void **state)
{
	static const struct { unsigned days, months; } rows[] = {
		{ 90, 3 }, { 180, 6 }, { 365, 12 }, { 366, 12 }, { 398, 13 },
		{ 730, 24 }, { 1095, 36 }, { 30, 1 }, { 45, 1 }, { 60, 2 },
		{ 199, 7 }, { 200, 7 }, { 1, 1 }, { 0, 1 } };

	(void)state;
	for (size_t i = 0; i < PL_NELEM(rows); i++)
		assert_int_equal(pl_months_of_days(rows[i].days),
		    rows[i].months);
}

static void
terms(void **state)
{
	struct pl_product p = product("positivessl");
	struct pl_err err;
	unsigned m = 12;

	(void)state;
	assert_int_equal(pl_product_term(&p, &m, false, &err), PL_OK);
	m = 13;
	assert_int_equal(pl_product_term(&p, &m, false, &err), PL_EINVAL);
	assert_string_equal(err.text, "positivessl: 13 months: it is sold for "
	    "1, 3, 6, 12, 24, 36 (the store was not asked)");
	assert_int_equal(pl_product_term(&p, &m, true, &err), PL_OK);
	assert_int_equal(m, 12);
	m = 7;
	assert_int_equal(pl_product_term(&p, &m, true, &err), PL_OK);
	assert_int_equal(m, 6);
	m = 2;
	assert_int_equal(pl_product_term(&p, &m, true, &err), PL_OK);
	assert_int_equal(m, 1);
	m = 9;
	assert_int_equal(pl_product_term(&p, &m, true, &err), PL_EINVAL);
	assert_int_equal(m, 9);
}

/* ---- methods ------------------------------------------------------------------- */

static void
method_words(void **state)
{
	static const struct { const char *word; enum pl_dcv m; } rows[] = {
		{ "EMAIL", PL_DCV_EMAIL }, { "email", PL_DCV_EMAIL },
		{ "HTTP_CSR_HASH", PL_DCV_FILE }, { "FILE", PL_DCV_FILE },
		{ "HTTPS_CSR_HASH", PL_DCV_HTTPS_FILE },
		{ "https", PL_DCV_HTTPS_FILE },
		{ "CNAME_CSR_HASH", PL_DCV_DNS },
		{ "DNS_CNAME_TOKEN", PL_DCV_DNS },
		{ "dns-cname-token", PL_DCV_DNS }, { "DNS", PL_DCV_DNS } };
	enum pl_dcv m;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(rows); i++) {
		assert_true(pl_dcv_of_word(&m, rows[i].word));
		assert_int_equal(m, rows[i].m);
	}
	assert_false(pl_dcv_of_word(&m, "CARRIER_PIGEON"));
	assert_false(pl_dcv_of_word(&m, ""));
	assert_false(pl_dcv_of_word(&m, NULL));
	for (int i = 0; i < PL_NDCV; i++) {
		assert_true(pl_dcv_parse(&m, pl_dcv_name((enum pl_dcv)i)));
		assert_int_equal(m, i);
	}
	assert_false(pl_dcv_parse(&m, "https"));
}

static void
filled(const char *code, bool reissue, const enum pl_dcv *m,
    const char *const *mails, size_t n, const char *lone, const char *wanted)
{
	static const char *const names[] = { "www.example.com",
		"shop.example.com", "example.org" };
	struct pl_product p = product(code);
	json_t *j = pl_json_object();
	struct pl_err err;
	char *text;

	if (pl_dcv_fill(&p, j, reissue, names, m, mails, n, lone, &err) !=
	    PL_OK)
		fail_msg("%s", err.text);
	text = pl_json_text(j);
	assert_string_equal(text, wanted);
	free(text);
	pl_json_free(j);
}

#define FLAGS(cname, file, https) "{\"CNAMEAuthDVIndicator\":" #cname \
	",\"FileAuthDVIndicator\":" #file \
	",\"HTTPSFileAuthDVIndicator\":" #https

static void
fill(void **state)
{
	static const enum pl_dcv dns[] = { PL_DCV_DNS, PL_DCV_DNS,
		PL_DCV_DNS }, mixed[] = { PL_DCV_DNS, PL_DCV_FILE,
		PL_DCV_EMAIL }, mail[] = { PL_DCV_EMAIL, PL_DCV_EMAIL,
		PL_DCV_EMAIL }, https[] = { PL_DCV_HTTPS_FILE },
		file[] = { PL_DCV_FILE };
	static const char *const none[] = { NULL, NULL, NULL },
	    *const some[] = { NULL, NULL, "admin@example.org" },
	    *const each[] = { "admin@example.com", "Admin@example.com",
		"admin@example.org" };

	(void)state;
	filled("positivessl", false, dns, none, 1, NULL,
	    FLAGS(true, false, false) "}");
	filled("positivessl", false, file, none, 1, "admin@example.com",
	    FLAGS(false, true, false)
	    ",\"ApproverEmail\":\"admin@example.com\"}");
	filled("sectigossl", false, https, none, 1, NULL,
	    FLAGS(false, false, true) "}");
	filled("positivemdcssl", false, mixed, some, 3, NULL,
	    FLAGS(true, false, false)
	    ",\"ApproverEmail\":\"DNS,HTTP,admin@example.org\"}");
	filled("positivemdcssl", true, dns, none, 3, "x@example.com",
	    FLAGS(true, false, false) ",\"ApproverEmails\":\"DNS,DNS,DNS\"}");
	filled("positivemdcssl", false, mail, each, 3, NULL,
	    FLAGS(false, false, false) ",\"ApproverEmail\":"
	    "\"admin@example.com,admin@example.org\"}");
	filled("digi_ssl_basic", false, mixed, none, 3, NULL,
	    FLAGS(true, false, false) ",\"ApproverEmail\":"
	    "\"dns_cname_token,HTTP,EMAIL\"}");
}

/* ---- approvers ------------------------------------------------------------------ */

static void
approvers(void **state)
{
	static const char *const names[] = { "example.com", "example.org" },
	    *const one[] = { "ADMIN@example.com" },
	    *const both[] = { "admin@example.com", "webmaster@example.org" };
	struct pl_product s = product("positivemdcssl"),
	    d = product("digi_rapidssl");
	json_t *a = pl_json_array(), *b = pl_json_array();
	const json_t *lists[2];
	struct pl_err err;

	(void)state;
	pl_json_append(a, pl_json_string("Admin@example.com"));
	pl_json_append(b, pl_json_string("webmaster@example.org"));
	lists[0] = a;
	lists[1] = b;
	assert_int_equal(pl_approvers_check(&s, names, lists, 2, both, 2,
	    &err), PL_OK);
	assert_int_equal(pl_approvers_check(&s, names, lists, 2, one, 1,
	    &err), PL_EINVAL);
	assert_string_equal(err.text, "example.org: none of the approver "
	    "addresses can approve it; these can: webmaster@example.org");
	/* DigiCert looks at the first name only, and takes one address. */
	assert_int_equal(pl_approvers_check(&d, names, lists, 2, one, 1,
	    &err), PL_OK);
	assert_int_equal(pl_approvers_check(&d, names, lists, 2, both, 2,
	    &err), PL_EINVAL);
	assert_int_equal(pl_approvers_check(&d, names, lists, 2, both + 1, 1,
	    &err), PL_EINVAL);
	assert_int_equal(pl_approvers_check(&s, names, lists, 2, one, 0,
	    &err), PL_EINVAL);
	lists[0] = NULL;
	assert_int_equal(pl_approvers_check(&d, names, lists, 2, one, 1,
	    &err), PL_EINVAL);
	pl_json_free(a);
	pl_json_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(existing),
		cmocka_unit_test(days),
		cmocka_unit_test(terms),
		cmocka_unit_test(method_words),
		cmocka_unit_test(fill),
		cmocka_unit_test(approvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
