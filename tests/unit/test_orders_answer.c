/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AUTH(rest) "\"AuthResponse\": {\"Timestamp\": \"x\", " rest "}"

static void
good(const char *path, const char *text, const char *wanted)
{
	struct pl_err err;
	int64_t number;
	json_t *j;
	char *got;

	if (pl_store_answer(&j, pl_store_find(path), text, strlen(text),
	    &number, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_int_equal(number, 0);
	got = pl_json_text(j);
	if (wanted != NULL)
		assert_string_equal(got, wanted);
	free(got);
	pl_json_free(j);
}

static void
refused(const char *path, const char *text, enum pl_code code,
    int64_t wanted, const char *say)
{
	struct pl_err err;
	int64_t number = 0;
	json_t *j;

	pl_err_clear(&err);
	assert_int_equal(pl_store_answer(&j, pl_store_find(path), text,
	    strlen(text), &number, &err), code);
	assert_null(j);
	assert_int_equal(number, wanted);
	assert_string_equal(err.text, say);
}

static void
success(void **state)
{
	static const char *const no[] = { "false", "\"false\"", "0", "\"0\"",
		"\"False\"", "null" };
	struct pl_buf b;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; i < PL_NELEM(no); i++) {
		pl_buf_reset(&b);
		pl_buf_addf(&b, "{" AUTH("\"isError\": %s, \"Message\": []")
		    "}", no[i]);
		good("order/status", b.data, NULL);
		pl_buf_reset(&b);
		pl_buf_addf(&b, "{\"isError\": %s, \"Message\": null}", no[i]);
		good("order/resend", b.data, NULL);
	}
	pl_buf_clear(&b);
	good("order/query", "[]", "[]");
	good("order/query", "[{" AUTH("\"isError\": false") "}]", NULL);
	good("product/query", "\xef\xbb\xbf[]", "[]");
}

/* The list of one may come as an object, or one bad among many. */
static void
lists(void **state)
{
	json_t *j;
	struct pl_err err;
	int64_t number;
	const char *two = "[{" AUTH("\"isError\": true, \"Message\": [\"x\"]")
	    "}, {" AUTH("\"isError\": false") "}]";

	(void)state;
	good("order/query", "{" AUTH("\"isError\": false")
	    ", \"TheSSLStoreOrderID\": \"1\"}",
	    "[{\"AuthResponse\":{\"Timestamp\":\"x\",\"isError\":false},"
	    "\"TheSSLStoreOrderID\":\"1\"}]");
	assert_int_equal(pl_store_answer(&j, pl_store_find("order/query"),
	    two, strlen(two), &number, &err), PL_OK);
	assert_true(pl_store_is_error(pl_json_at(j, 0)));
	assert_false(pl_store_is_error(pl_json_at(j, 1)));
	pl_json_free(j);
}

static void
refusals(void **state)
{
	(void)state;
	refused("order/neworder", "{" AUTH("\"isError\": true, \"Message\": "
	    "[\"ErrorCode:-9009|Message:Vendor returns error: x\"]") "}",
	    PL_EREMOTE, -9009, "sslstore: neworder: -9009: Vendor returns "
	    "error: x");
	refused("order/status", "{" AUTH("\"isError\": \"true\", \"Message\": "
	    "\"ErrorCode:-9008|Message:Token/Authentication Failure\"") "}",
	    PL_EAUTH, -9008,
	    "sslstore: status: -9008: Token/Authentication Failure");
	refused("order/resend", "{\"isError\": 1, \"Message\": "
	    "[\"order is not pending\"]}", PL_EREMOTE, 0,
	    "sslstore: resend: order is not pending");
	refused("order/query", "[{" AUTH("\"isError\": \"1\", \"Message\": "
	    "[\"one\", \"two\", null]") "}]", PL_EREMOTE, 0,
	    "sslstore: query: one; two");
	refused("order/query", "{" AUTH("\"isError\": true, \"Message\": "
	    "[]") "}", PL_EREMOTE, 0,
	    "sslstore: query: refused without a reason");
	refused("health/validate", "{\"isError\": true, \"Message\": null}",
	    PL_EREMOTE, 0,
	    "sslstore: health/validate: refused without a reason");
	refused("digicert/checkdcv", "{" AUTH("\"isError\": true, "
	    "\"Message\": [\"ErrorCode:-7\"]") "}", PL_EREMOTE, -7,
	    "sslstore: digicert/checkdcv: -7: refused without a reason");
	refused("order/status", "{" AUTH("\"isError\": true, \"Message\": "
	    "[\"User authentication failed\"]") "}", PL_EAUTH, 0,
	    "sslstore: status: User authentication failed");
	/* A word too many is not a code. */
	refused("order/status", "{" AUTH("\"isError\": true, \"Message\": "
	    "[\"ErrorCode:none|Message:x\"]") "}", PL_EREMOTE, 0,
	    "sslstore: status: ErrorCode:none|Message:x");
}

static void
hasty(void **state)
{
	(void)state;
	good("user/accountdetail", "{" AUTH("\"isError\": true")
	    ", \"PartnerCode\": \"1\", \"AccountBalance\": \"2\"}", NULL);
	refused("user/accountdetail", "{" AUTH("\"isError\": true, "
	    "\"Message\": [\"no\"]") ", \"PartnerCode\": null}", PL_EREMOTE, 0,
	    "sslstore: user/accountdetail: no");
}

/* What costs money or sends mail is never sent twice. */
static void
table(void **state)
{
	static const char *const once[] = { "order/neworder",
		"order/reissue", "order/refundrequest", "order/resend",
		"order/certificaterevokerequest", "order/changeapproveremail",
		"order/changeapprovermethod", "order/inviteorder",
		"order/midtermupgrade", "order/purchasenewsan",
		"digicert/setapprovermethod", NULL };
	const struct pl_store_desc *d;
	size_t n = 0, singles = 0;

	(void)state;
	for (; (d = pl_store_at(n)) != NULL; n++) {
		assert_ptr_equal(pl_store_find(d->path), d);
		assert_int_equal(d->repeat, !pl_str_in(d->path, once));
		singles += !d->repeat;
	}
	assert_int_equal(singles, PL_NELEM(once) - 1);
	assert_true(n > 25);
	assert_null(pl_store_find("order/neworder/"));
	assert_null(pl_store_find("../admin"));
	assert_null(pl_store_find(""));
	assert_null(pl_store_find(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success),
		cmocka_unit_test(lists),
		cmocka_unit_test(refusals),
		cmocka_unit_test(hasty),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
