/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *
parsed(const char *text)
{
	struct pl_err err;
	json_t *j;

	if (pl_json_parse(&j, text, strlen(text), "text", &err) != PL_OK)
		fail_msg("%s", err.text);
	return j;
}

static void
same_text(json_t *j, const char *wanted)
{
	char *text = pl_json_text(j);

	assert_string_equal(text, wanted);
	free(text);
}

static void
test_types(void **state)
{
	json_t *j = parsed("{\"s\": \"x\", \"n\": -7, \"t\": true, "
	    "\"f\": false, \"z\": null, \"a\": [1, 2], \"o\": {}}");

	(void)state;
	assert_true(pl_json_is_object(j));
	assert_int_equal(pl_json_count(j), 7);
	assert_true(pl_json_is_string(pl_json_get(j, "s")));
	assert_string_equal(pl_json_str(pl_json_get(j, "s")), "x");
	assert_int_equal(pl_json_strlen(pl_json_get(j, "s")), 1);
	assert_true(pl_json_is_int(pl_json_get(j, "n")));
	assert_int_equal(pl_json_num(pl_json_get(j, "n")), -7);
	assert_true(pl_json_is_bool(pl_json_get(j, "f")));
	assert_true(pl_json_true(pl_json_get(j, "t")));
	assert_false(pl_json_true(pl_json_get(j, "f")));
	assert_false(pl_json_true(pl_json_get(j, "n")));
	assert_true(pl_json_is_null(pl_json_get(j, "z")));
	assert_true(pl_json_is_null(NULL));
	assert_false(pl_json_is_null(j));
	assert_true(pl_json_is_array(pl_json_get(j, "a")));
	assert_int_equal(pl_json_count(pl_json_get(j, "a")), 2);
	assert_int_equal(pl_json_num(pl_json_at(pl_json_get(j, "a"), 1)), 2);
	assert_null(pl_json_at(pl_json_get(j, "a"), 2));
	assert_null(pl_json_get(j, "none"));
	assert_null(pl_json_str(pl_json_get(j, "n")));
	assert_int_equal(pl_json_num(pl_json_get(j, "s")), 0);
	assert_null(pl_json_get(NULL, "s"));
	assert_int_equal(pl_json_count(NULL), 0);
	pl_json_free(j);
	pl_json_free(NULL);
}

static void
test_any_value_is_a_text(void **state)
{
	static const char *const texts[] = {
		"1", "\"x\"", "null", "true", "[]", " {} \n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(texts); i++)
		pl_json_free(parsed(texts[i]));
}

static void
test_32_levels(void **state)
{
	char text[65];

	(void)state;
	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	text[64] = '\0';
	pl_json_free(parsed(text));
	/* Brackets inside strings are no levels. */
	pl_json_free(parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\""));
}

static void
test_iteration_keeps_order(void **state)
{
	json_t *j = parsed("{\"b\": 1, \"a\": 2, \"c\": 3}"), *value;
	char keys[8] = "";
	const char *key;
	int64_t sum = 0;
	void *iter;

	(void)state;
	for (iter = pl_json_iter(j, NULL, &key, &value); iter != NULL;
	    iter = pl_json_iter(j, iter, &key, &value)) {
		memcpy(keys + strlen(keys), key, 2);
		sum += pl_json_num(value);
	}
	assert_string_equal(keys, "bac");
	assert_int_equal(sum, 6);
	assert_null(key);
	assert_null(pl_json_iter(NULL, NULL, &key, &value));
	pl_json_free(j);
}

static void
test_building(void **state)
{
	json_t *j = pl_json_object(), *a = pl_json_array();

	(void)state;
	pl_json_sets(j, "s", "x");
	pl_json_sets(j, "none", NULL);
	pl_json_seti(j, "n", INT64_MIN);
	pl_json_setb(j, "b", true);
	pl_json_append(a, pl_json_int(1));
	pl_json_append(a, pl_json_null());
	pl_json_append(a, pl_json_bool(false));
	pl_json_append(a, pl_json_string("\"\\\n\x01"));
	pl_json_set(j, "a", a);
	same_text(j, "{\"s\":\"x\",\"none\":null,\"n\":-9223372036854775808,"
	    "\"b\":true,\"a\":[1,null,false,\"\\\"\\\\\\n\\u0001\"]}");
	pl_json_free(j);
}

static void
test_invalid_utf8_becomes_a_mark(void **state)
{
	static const struct {
		const char *in, *out;
		size_t n;
	} rows[] = {
		{ "b\xc3\xbc" "cher", "\"b\xc3\xbc" "cher\"", 7 },
		{ "a\xff" "b", "\"a\xef\xbf\xbd" "b\"", 3 },
		{ "\xc3", "\"\xef\xbf\xbd\"", 1 },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"", 2 },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		    3 },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"", 4 },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		    "\xef\xbf\xbd\"", 4 },
		{ "a\0b", "\"a\\u0000b\"", 3 },
		{ "", "\"\"", 0 },
	};
	json_t *j;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++) {
		j = pl_json_stringn(rows[i].in, rows[i].n);
		same_text(j, rows[i].out);
		pl_json_free(j);
	}
	j = pl_json_object();
	pl_json_seti(j, "k\xff", 1);
	same_text(j, "{\"k\xef\xbf\xbd\":1}");
	pl_json_free(j);
}

static void
test_dump_appends(void **state)
{
	json_t *j = parsed("[ 1, {\"a\" : 2.5} ]");
	struct pl_buf b;

	(void)state;
	pl_buf_init(&b, 100);
	pl_buf_adds(&b, "x=");
	pl_json_dump(&b, j);
	assert_string_equal(b.data, "x=[1,{\"a\":2.5}]");
	pl_json_free(j);
	pl_buf_clear(&b);
	/* A buffer that is too small fails as buffers do. */
	pl_buf_init(&b, 3);
	j = pl_json_string("longer");
	pl_json_dump(&b, j);
	assert_true(b.failed);
	pl_json_free(j);
	pl_buf_clear(&b);
}

static void
test_known(void **state)
{
	static const char *const known[] = { "a", "b", NULL };
	json_t *j = parsed("{\"b\": 1}");

	(void)state;
	assert_int_equal(pl_json_known(j, "x", known, NULL), PL_OK);
	pl_json_free(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_any_value_is_a_text),
		cmocka_unit_test(test_32_levels),
		cmocka_unit_test(test_iteration_keeps_order),
		cmocka_unit_test(test_building),
		cmocka_unit_test(test_invalid_utf8_becomes_a_mark),
		cmocka_unit_test(test_dump_appends),
		cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
