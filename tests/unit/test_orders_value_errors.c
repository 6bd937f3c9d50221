/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What cannot be told is said, never guessed. */
static void
dates(void **state)
{
	static const char *const bad[] = {
		"2/3/2026 09:15:03",		/* February or March? */
		"13/13/2026 1:00:00 AM", "2/30/2026 1:00:00 AM",
		"2/29/2026 1:00:00 AM", "0/1/2026", "1/0/2026",
		"3/2/2026 13:00:00 AM", "3/2/2026 0:00:00 AM",
		"3/2/2026 9:60:03 AM", "3/2/2026 9:15:61 AM", "3/2/26",
		"3/2/2026 9:15:03 AM x", "3/2/2026x", "2026-3-2",
		"2026-13-01", "2026-02-30T00:00:00Z", "2026-03-02T24:00:00Z",
		"2026-03-02T09:15:04.Z", "2026-03-02T09:15:04+1",
		"2026-03-02T09:15:04+25:00", "/Date()/", "/Date(x)/",
		"/Date(1)", "/Date(99999999999999999999)/",
		"/Date(999999999999999999)/", "now", "1767225600000",
		"the day after the day on which it was to be, if not later",
	};
	struct pl_err err;
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		pl_err_clear(&err);
		ms = 7;
		if (pl_store_date_parse(&ms, bad[i], &err) != PL_EPROTO)
			fail_msg("\"%s\" was read as %lld", bad[i],
			    (long long)ms);
		assert_int_equal(ms, 0);
		assert_non_null(strstr(err.text, "cannot be read"));
	}
}

static void
not_pem(const char *text, size_t n)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_BODY);
	assert_int_equal(pl_store_pem(&b, text, n), 0);
	assert_int_equal(b.len, 0);
	pl_buf_clear(&b);
}

static void
pem(void **state)
{
	static const char *const bad[] = {
		"", "nothing", "-----BEGIN CERTIFICATE-----",
		"-----BEGIN CERTIFICATE-----\nAAAA\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n",
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
		"-----BEGIN -----\nAAAA\n-----END -----\n",
		"-----BEGIN", "-----BEGIN ", "-----BEGIN A----",
	};
	size_t large = (256u << 10) + 1;
	char *much = malloc(large);

	(void)state;
	for (size_t i = 0; i < PL_NELEM(bad); i++)
		not_pem(bad[i], strlen(bad[i]));
	memset(much, '-', large);
	not_pem(much, large);
	not_pem(much, large - 1);
	free(much);
}

static void
base64(void **state)
{
	static const char *const bad[] = { "", "A", "AAA", "AAA?", "====",
		"AA=A" };
	struct pl_buf b;
	struct pl_err err;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, "before");
	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		assert_int_equal(pl_store_base64(&b, bad[i], strlen(bad[i]),
		    &err), PL_EPROTO);
		assert_string_equal(b.data, "before");
	}
	pl_buf_clear(&b);
}

static void
many_names(void **state)
{
	json_t *o = pl_json_object(), *list = pl_json_array();
	struct pl_buf b;
	char **names;
	size_t n;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	for (int i = 0; i < 3000; i++) {
		pl_buf_reset(&b);
		pl_buf_addf(&b, "n%d.example", i);
		pl_json_append(list, pl_json_string(b.data));
	}
	pl_json_set(o, "DNSNames", list);
	n = pl_store_names(&names, o, "DNSNames");
	assert_int_equal(n, 1000);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	pl_json_free(o);
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),
		cmocka_unit_test(pem),
		cmocka_unit_test(base64),
		cmocka_unit_test(many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
