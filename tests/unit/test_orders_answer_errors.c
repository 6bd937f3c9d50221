/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
senseless(const char *path, const char *text, size_t n, const char *say)
{
	struct pl_err err;
	int64_t number = 5;
	json_t *j;

	pl_err_clear(&err);
	assert_int_equal(pl_store_answer(&j, pl_store_find(path), text, n,
	    &number, &err), PL_EPROTO);
	assert_null(j);
	assert_int_equal(number, 0);
	if (strstr(err.text, say) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", err.text, say);
	if (strncmp(err.text, "sslstore: ", 10) != 0)
		fail_msg("%s", err.text);
}

#define SENSELESS(path, text, say) senseless(path, text, strlen(text), say)

static void
no_json(void **state)
{
	(void)state;
	SENSELESS("order/status", "", "empty");
	SENSELESS("order/status", " \r\n", "empty");
	SENSELESS("order/status", "<html>x</html>", "HTML");
	SENSELESS("order/status", "\r\n<!DOCTYPE html>", "HTML");
	SENSELESS("order/status", "{\"AuthResponse\": {\"isErr", "status");
	SENSELESS("order/status", "{\"a\": 1, \"a\": 2}", "twice");
	SENSELESS("order/status", "{\"a\": \"\xff\"}", "status");
	senseless("order/status", "{}\0", 3, "status");
}

static void
deep(void **state)
{
	struct pl_buf b;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	for (int i = 0; i < 200; i++)
		pl_buf_addc(&b, '[');
	senseless("order/query", b.data, b.len, "nested deeper");
	pl_buf_clear(&b);
}

static void
no_envelope(void **state)
{
	(void)state;
	SENSELESS("order/status", "{}", "no AuthResponse");
	SENSELESS("order/status", "null", "no AuthResponse");
	SENSELESS("order/status", "7", "no AuthResponse");
	SENSELESS("order/status", "\"text\"", "no AuthResponse");
	SENSELESS("order/status", "{\"AuthResponse\": null}",
	    "no AuthResponse");
	SENSELESS("order/status", "{\"IsError\": false}", "no AuthResponse");
	SENSELESS("order/status", "[]", "array came in place");
	SENSELESS("order/query", "[1]", "no AuthResponse");
	SENSELESS("order/query", "[{\"TheSSLStoreOrderID\": \"1\"}]",
	    "no AuthResponse");
	SENSELESS("order/query", "{\"AuthResponse\": {\"isError\": false}}",
	    "in place of an array");
}

/* A message is text of a stranger's: cut and clean. */
static void
hostile_message(void **state)
{
	struct pl_buf b;
	struct pl_err err;
	int64_t number;
	json_t *j;

	(void)state;
	pl_buf_init(&b, PL_LIM_BODY);
	pl_buf_adds(&b, "{\"isError\": true, \"Message\": [\"\\u001b[31m");
	for (int i = 0; i < 5000; i++)
		pl_buf_adds(&b, "%s");
	pl_buf_adds(&b, "\"]}");
	assert_int_equal(pl_store_answer(&j, pl_store_find("order/resend"),
	    b.data, b.len, &number, &err), PL_EREMOTE);
	assert_null(strchr(err.text, '\033'));
	assert_true(strlen(err.text) < PL_ERR_TEXT);
	assert_non_null(strstr(err.text, "sslstore: resend: \\x1b[31m%s%s"));
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_json),
		cmocka_unit_test(deep),
		cmocka_unit_test(no_envelope),
		cmocka_unit_test(hostile_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
