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

/* A file proves no wildcard, whatever the product. */
static void
wildcard_file(void **state)
{
	struct pl_product p;
	struct pl_err err;

	(void)state;
	for (size_t i = 0; i < pl_product_count(); i++) {
		pl_product_at(&p, i);
		assert_int_equal(pl_dcv_check(&p, PL_DCV_FILE, "*.example.com",
		    &err), PL_EINVAL);
		assert_non_null(strstr(err.text, "*.example.com: a file"));
		assert_int_equal(pl_dcv_check(&p, PL_DCV_HTTPS_FILE,
		    "*.example.com", &err), PL_EINVAL);
		assert_int_equal(pl_dcv_check(&p, PL_DCV_DNS, "*.example.com",
		    &err), PL_OK);
		assert_int_equal(pl_dcv_check(&p, PL_DCV_EMAIL,
		    "*.example.com", &err), PL_OK);
		assert_int_equal(pl_dcv_check(&p, PL_DCV_FILE, "example.com",
		    &err), PL_OK);
		assert_int_equal(pl_dcv_check(&p, PL_DCV_HTTPS_FILE,
		    "example.com", &err), p.vendor == PL_DIGICERT ?
		    PL_EINVAL : PL_OK);
	}
}

static void
not_held(const char *code, const char *const *names, size_t n,
    const char *say)
{
	struct pl_product p = product(code);
	struct pl_err err;

	pl_err_clear(&err);
	if (say == NULL) {
		if (pl_product_names(&p, names, n, &err) != PL_OK)
			fail_msg("%s", err.text);
		return;
	}
	assert_int_equal(pl_product_names(&p, names, n, &err), PL_EINVAL);
	assert_string_equal(err.text, say);
}

static void
names(void **state)
{
	static const char *const two[] = { "www.example.com", "example.org",
		"example.net" }, *const twin[] = { "www.example.com",
		"example.com" }, *const wild[] = { "*.example.com",
		"example.com" }, *const late[] = { "example.com",
		"*.example.com", "*.example.org" };

	(void)state;
	not_held("positivessl", two, 3, "positivessl: takes one domain "
	    "(www.example.com), not: example.org, example.net");
	not_held("positivessl", twin, 2, NULL);
	not_held("positivessl", wild, 1,
	    "positivessl: takes no wildcard name: *.example.com");
	not_held("positivemdcssl", two, 3, NULL);
	not_held("positivemdcssl", late, 3, "positivemdcssl: takes no "
	    "wildcard name: *.example.com, *.example.org");
	not_held("positivemdcwildcard", late, 3, NULL);
	not_held("positivesslwildcard", wild, 2, NULL);
	not_held("positivesslwildcard", two, 1, "positivesslwildcard: "
	    "www.example.com: the product is for a wildcard name");
	not_held("comodocsc", wild, 2, NULL);
	not_held("positivessl", two, 0, NULL);
}

static void
not_filled(const char *code, const char *const *list, const enum pl_dcv *m,
    const char *const *mails, size_t n, const char *say)
{
	struct pl_product p = product(code);
	json_t *j = pl_json_object();
	struct pl_err err;

	pl_err_clear(&err);
	assert_int_equal(pl_dcv_fill(&p, j, false, list, m, mails, n, NULL,
	    &err), PL_EINVAL);
	if (strstr(err.text, say) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", err.text, say);
	assert_int_equal(pl_json_count(j), 0);
	pl_json_free(j);
}

static void
fill(void **state)
{
	static const char *const list[] = { "*.example.com", "example.org" },
	    *const none[] = { NULL, NULL },
	    *const comma[] = { "a@example.com,DNS", NULL };
	static const enum pl_dcv file[] = { PL_DCV_FILE, PL_DCV_FILE },
	    mixed[] = { PL_DCV_DNS, PL_DCV_EMAIL }, mail[] = { PL_DCV_EMAIL,
		PL_DCV_EMAIL };

	(void)state;
	not_filled("positivemdcwildcard", list, file, none, 2,
	    "*.example.com: a file cannot");
	not_filled("positivemdcwildcard", list, mixed, none, 2,
	    "example.org: an approver address is needed");
	not_filled("positivemdcwildcard", list, mail, none, 2,
	    "*.example.com: an approver address is needed");
	/* An address that would be two places of the list. */
	not_filled("positivemdcwildcard", list, mail, comma, 2,
	    "*.example.com: an approver address is needed");
	not_filled("positivessl", list, mixed, none, 2,
	    "takes one method for all");
	not_filled("positivessl", list, mixed, none, 0, "no name");
}

static void
unique(void **state)
{
	static const char *const bad[] = { "", "a b", "a-b", "a.b",
		"123456789012345678901", "\xc3\xa9" };
	struct pl_err err;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(bad); i++)
		assert_int_equal(pl_unique_check(bad[i], &err), PL_EINVAL);
	assert_int_equal(pl_unique_check("a1B2", &err), PL_OK);
	assert_int_equal(pl_unique_check("12345678901234567890", &err), PL_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcard_file),
		cmocka_unit_test(names),
		cmocka_unit_test(fill),
		cmocka_unit_test(unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
