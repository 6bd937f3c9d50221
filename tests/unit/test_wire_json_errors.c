/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
refuse(const char *text, size_t n, unsigned line, const char *wanted)
{
	struct pl_err err;
	json_t *j = (json_t *)(uintptr_t)1;
	enum pl_code code;
	char *copy;

	/* Without the NUL behind it, so that reading too far shows. */
	copy = pl_memdup(text, n);
	code = pl_json_parse_at(&j, copy != NULL ? copy : "", n, "F", line,
	    &err);
	free(copy);
	assert_int_equal(code, PL_EINVAL);
	assert_null(j);
	if (strstr(err.text, wanted) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, wanted);
	assert_memory_equal(err.text, "F: line ", 8);
}

static void
test_bad_texts(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{ "", "line 1" },
		{ " ", "line 1" },
		{ "hello", "line 1" },
		{ "{\"a\": 1", "line 1" },
		{ "{\"a\": 1,}", "line 1" },
		{ "{'a': 1}", "line 1" },
		{ "[1, 2", "line 1" },
		{ "{}\n{}", "line 2, column 1: end of file" },
		{ "{} x", "end of file" },
		{ "{\n \"a\": 1,\n \"b\" 2}", "line 3" },
		{ "{\"a\": 1, \"a\": 2}", "member \"a\" is there twice" },
		{ "{\"x\": {\"a\": 1,\n\"a\": 2}}",
		    "line 2, column 3: member \"a\" is there twice" },
		{ "{\"a\\\"b\": 1, \"a\\\"b\": 2}", "\"a\\\"b\" is there" },
		{ "{\"a-name-that-is-rather-long\": 1, "
		    "\"a-name-that-is-rather-long\": 2}",
		    "\"a-name-that-is-rather-long\" is there twice" },
		{ "{\"value\": \"a\\u0000b\"}", "NUL in a string of member "
		    "\"value\"" },
		{ "{\"x\": 1, \"list\" : [\"a\\u0000b\"]}", "\"list\"" },
		{ "{\"k\\u0000\": 1}", "NUL in a string of member" },
		{ "\"\\u0000\"", "NUL in a string" },
		{ "\"a\nb\"", "line 1" },
		{ "\"\xff\"", "unable to decode byte 0xff" },
		{ "\"\xc3\x28\"", "line 1" },
		{ "\"\\ud800\"", "line 1" },
		{ "123456789012345678901234567890", "line 1" },
		{ "1e999", "line 1" },
		{ "NaN", "line 1" },
		{ "\"\\", "line 1" },
		{ "// comment\n{}", "line 1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++)
		refuse(rows[i].text, strlen(rows[i].text), 1, rows[i].wanted);
	refuse("{}\0", 3, 1, "line 1");
	refuse("\0\0\0", 3, 1, "line 1");
	refuse("\"a\0b\"", 5, 1, "line 1");
	refuse("\xef\xbb\xbf{}", 5, 1, "line 1");
}

static void
test_line_of_a_part(void **state)
{
	(void)state;
	refuse("{\"a\" 1}", 7, 41, "line 41, column");
	refuse("{\n\"a\": 1, \"a\": 2}", 17, 41, "line 42, column");
	refuse("{\n\"a\": \"\\u0000\"}", 16, 7, "line 8, column");
}

static void
test_depth(void **state)
{
	char *text = pl_alloc(4000001);

	(void)state;
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	refuse(text, 66, 1, "column 33: nested deeper than 32");
	memcpy(text, "{\n\"\xc3\xbc\": ", 8);
	memset(text + 8, '[', 40);
	refuse(text, 66, 5, "line 6, column 37: nested deeper");
	/* What would take jansson's stack or gigabytes costs nothing. */
	memset(text, '[', 4000000);
	refuse(text, 4000000, 1, "nested deeper");
	free(text);
}

/* A part of a secret that a peer sent must not come back in an error. */
static void
test_nothing_near_the_fault_is_repeated(void **state)
{
	static const char text[] = "{\"access_token\": hunter2}";
	struct pl_err err;
	json_t *j;

	(void)state;
	assert_int_equal(pl_json_parse(&j, text, strlen(text), "answer", &err),
	    PL_EINVAL);
	assert_null(strstr(err.text, "hunter2"));
	assert_non_null(strstr(err.text, "answer: line 1, column"));
	assert_int_equal(pl_json_parse(&j, text, strlen(text), "answer", NULL),
	    PL_EINVAL);
}

static void
test_unknown_member(void **state)
{
	static const char *const known[] = { "value", NULL };
	static const char text[] = "{\"value\": 1, \"valeu\": 2}";
	static const char lengthy[] = "{\"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3"
	    "\xbc\xc3\xbc\xc3\xbc\xc3\xbcxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxx\xc3\xbc\xc3\xbc\": 2}";
	struct pl_err err;
	json_t *j;

	(void)state;
	assert_int_equal(pl_json_parse(&j, text, strlen(text), "t", &err),
	    PL_OK);
	assert_int_equal(pl_json_known(j, "challenges[3]", known, &err),
	    PL_EINVAL);
	assert_string_equal(err.text, "challenges[3].valeu: unknown member");
	assert_int_equal(pl_json_known(j, "", known, &err), PL_EINVAL);
	assert_string_equal(err.text, "valeu: unknown member");
	pl_json_free(j);
	/* A long one is cut, at a character's border. */
	assert_int_equal(pl_json_parse(&j, lengthy, strlen(lengthy), "t",
	    &err), PL_OK);
	assert_int_equal(pl_json_known(j, "", known, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "xxx: unknown member"));
	pl_json_free(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_line_of_a_part),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_nothing_near_the_fault_is_repeated),
		cmocka_unit_test(test_unknown_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
