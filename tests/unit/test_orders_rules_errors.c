/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Files of rules with faults: each is named with its line and key. */
#include "scratch.h"

#include "orders.h"

static void
put(const char *path, const char *text)
{
	struct pl_err err;

	if (pl_file_write(path, text, strlen(text), 0644, &err) != PL_OK)
		fail_msg("%s", err.text);
}

static void
test_faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} rows[] = {
		{ "lifetime \"tomorrow\" { days = 200 }\n",
		    ":1: lifetime: \"tomorrow\" is no date" },
		{ "\nlifetime \"2026-02-30\" { days = 200 }\n",
		    ":2: lifetime: \"2026-02-30\" is no date" },
		{ "lifetime \"2026-03-15\" { }\n", ":1: days: missing" },
		{ "reuse \"2026-03-15\" {\n days = 0\n}\n",
		    ":2: days: a number from 1" },
		{ "reuse \"2026-03-15\" { days = \"many\" }\n",
		    ":1: days: a number" },
		{ "reuse \"2026-03-15\" { days = 398 }\n"
		    "reuse \"2026-03-15\" { days = 398 }\n",
		    ":2: reuse: \"2026-03-15\" is not later" },
		{ "sunset \"pigeon\" { from = \"2028-03-15\" }\n",
		    ":1: sunset: \"pigeon\" is none of" },
		{ "sunset \"email\" { }\n", ":1: from: missing" },
		{ "sunset \"email\" { from = \"soon\" }\n",
		    ":1: from: \"soon\" is no date" },
		{ "sunset \"email\" { from = \"2028-03-15\" }\n"
		    "sunset \"email\" { from = \"2029-03-15\" }\n",
		    ":2: sunset: \"email\" is given twice" },
		{ "lifespan \"2026-03-15\" { days = 200 }\n",
		    ":1: lifespan" },
		{ "lifetime \"2026-03-15\" { day = 200 }\n", ":1: day" },
	};
	struct pl_faults faults;
	struct pl_rules *r;
	struct pl_err err;
	char path[600];

	snprintf(path, sizeof(path), "%s/rules.conf", (char *)*state);
	for (size_t i = 0; i < PL_NELEM(rows); i++) {
		put(path, rows[i].text);
		pl_faults_init(&faults);
		assert_int_equal(pl_rules_load(&r, path, &faults, &err),
		    PL_EINVAL);
		assert_null(r);
		if (strstr(faults.text.data, rows[i].fault) == NULL)
			fail_msg("%s: %s", rows[i].fault, faults.text.data);
		assert_non_null(strstr(faults.text.data, path));
		pl_faults_clear(&faults);
	}
}

static void
test_all_at_once(void **state)
{
	struct pl_faults faults;
	struct pl_rules *r;
	struct pl_err err;
	char path[600];

	snprintf(path, sizeof(path), "%s/many.conf", (char *)*state);
	put(path, "lifetime \"x\" { days = 200 }\nsunset \"y\" { }\n"
	    "reuse \"2026-03-15\" { days = -1 }\n");
	pl_faults_init(&faults);
	assert_int_equal(pl_rules_load(&r, path, &faults, &err), PL_EINVAL);
	assert_int_equal(faults.n, 3);
	pl_faults_clear(&faults);
}

static void
test_missing(void **state)
{
	struct pl_faults faults;
	struct pl_rules *r;
	struct pl_err err;
	char path[600];

	snprintf(path, sizeof(path), "%s/none.conf", (char *)*state);
	pl_faults_init(&faults);
	assert_int_equal(pl_rules_load(&r, path, &faults, &err), PL_EINVAL);
	assert_null(r);
	assert_non_null(strstr(err.text, "none.conf"));
	pl_faults_clear(&faults);
	/* An empty one has no rules. */
	put(path, "");
	pl_faults_init(&faults);
	assert_int_equal(pl_rules_load(&r, path, &faults, &err), PL_OK);
	assert_int_equal(pl_rules_days(&r->life, pl_wall_ms()), 0);
	pl_rules_free(r);
	pl_faults_clear(&faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests_name("orders: rules with faults",
	    tests, scratch_setup, scratch_teardown);
}
