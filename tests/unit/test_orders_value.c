/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

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
bools(void **state)
{
	json_t *j = parsed("{\"a\": true, \"b\": \"True\", \"c\": 1, "
	    "\"d\": \"1\", \"e\": false, \"f\": \"FALSE\", \"g\": 0, "
	    "\"h\": \"0\", \"i\": null, \"j\": \"\", \"k\": \" yes \", "
	    "\"l\": \"perhaps\", \"m\": [true], \"n\": 2}");

	(void)state;
	for (const char *p = "abcdk"; *p != '\0'; p++)
		assert_true(pl_store_bool(j, (char[]){ *p, 0 }, false));
	for (const char *p = "efgh"; *p != '\0'; p++)
		assert_false(pl_store_bool(j, (char[]){ *p, 0 }, true));
	for (const char *p = "ijlmnz"; *p != '\0'; p++) {
		assert_true(pl_store_bool(j, (char[]){ *p, 0 }, true));
		assert_false(pl_store_bool(j, (char[]){ *p, 0 }, false));
	}
	pl_json_free(j);
}

static void
numbers(void **state)
{
	json_t *j = parsed("{\"a\": 12, \"b\": \"12\", \"c\": \" 12 \", "
	    "\"d\": 12.0, \"e\": \"12.00\", \"f\": -3, \"g\": \"-3\", "
	    "\"h\": \"\", \"i\": null, \"j\": \"12.5\", \"k\": true, "
	    "\"l\": \"99999999999999999999\", \"m\": \"12.\"}");

	(void)state;
	for (const char *p = "abcde"; *p != '\0'; p++)
		assert_int_equal(pl_store_int(j, (char[]){ *p, 0 }, 7), 12);
	assert_int_equal(pl_store_int(j, "f", 7), -3);
	assert_int_equal(pl_store_int(j, "g", 7), -3);
	for (const char *p = "hijklmz"; *p != '\0'; p++)
		assert_int_equal(pl_store_int(j, (char[]){ *p, 0 }, 7), 7);
	pl_json_free(j);
}

static void
same_text(const json_t *j, const char *name, const char *wanted)
{
	char *got = pl_store_text(j, name);

	if (wanted == NULL)
		assert_null(got);
	else
		assert_string_equal(got, wanted);
	free(got);
}

static void
texts(void **state)
{
	json_t *j = parsed("{\"a\": \" x y \", \"b\": 50200001, \"c\": true, "
	    "\"d\": null, \"e\": \"\", \"f\": \"  \", \"g\": [], \"h\": {}, "
	    "\"list\": [1], \"object\": {\"a\": 1}}");

	(void)state;
	same_text(j, "a", "x y");
	same_text(j, "b", "50200001");
	same_text(j, "c", "true");
	for (const char *p = "defghz"; *p != '\0'; p++)
		same_text(j, (char[]){ *p, 0 }, NULL);
	assert_int_equal(pl_json_count(pl_store_list(j, "list")), 1);
	assert_null(pl_store_list(j, "d"));
	assert_null(pl_store_list(j, "object"));
	assert_non_null(pl_store_object(j, "object"));
	assert_null(pl_store_object(j, "list"));
	pl_json_free(j);
}

static void
check_names(const json_t *j, const char *name, const char *wanted)
{
	struct pl_buf b;
	char **names;
	size_t n;

	pl_buf_init(&b, PL_LIM_LINE);
	n = pl_store_names(&names, j, name);
	assert_null(names[n]);
	for (size_t i = 0; i < n; i++) {
		pl_buf_addf(&b, "%s%s", i > 0 ? "|" : "", names[i]);
		free(names[i]);
	}
	free(names);
	assert_string_equal(b.data, wanted);
	pl_buf_clear(&b);
}

static void
names(void **state)
{
	json_t *j = parsed("{\"a\": \"shop.example.com, Example.org.,,"
	    "shop.EXAMPLE.com\", \"b\": [\"a.example\", \"B.example \", null, "
	    "7, \"\", \"c.example,d.example\"], \"c\": \"\", \"d\": null, "
	    "\"e\": [], \"f\": \"*.example.com\"}");

	(void)state;
	check_names(j, "a", "shop.example.com|example.org");
	check_names(j, "b", "a.example|b.example|c.example|d.example");
	check_names(j, "c", "");
	check_names(j, "d", "");
	check_names(j, "e", "");
	check_names(j, "f", "*.example.com");
	check_names(j, "z", "");
	pl_json_free(j);
}

static void
check_date(const char *text, const char *wanted)
{
	char shown[PL_TIME_TEXT] = "none";
	struct pl_err err;
	int64_t ms;

	if (pl_store_date_parse(&ms, text, &err) != PL_OK)
		fail_msg("%s", err.text);
	if (ms != 0)
		pl_time_format(shown, ms);
	assert_string_equal(shown, wanted);
}

static void
dates(void **state)
{
	(void)state;
	/* en-US */
	check_date("3/2/2026 9:15:03 AM", "2026-03-02T09:15:03Z");
	check_date("3/2/2026 12:00:00 AM", "2026-03-02T00:00:00Z");
	check_date("3/2/2026 12:00:00 PM", "2026-03-02T12:00:00Z");
	check_date("9/16/2026 11:59:59 PM", "2026-09-16T23:59:59Z");
	check_date(" 2/29/2028 1:02:03 pm ", "2028-02-29T13:02:03Z");
	check_date("9/16/2026", "2026-09-16T00:00:00Z");
	/* another culture, where it can be meant only one way */
	check_date("16/9/2026 23:59:59", "2026-09-16T23:59:59Z");
	check_date("3/3/2026 09:15:03", "2026-03-03T09:15:03Z");
	check_date("12/31/2026 09:15:03", "2026-12-31T09:15:03Z");
	/* ISO 8601 */
	check_date("2026-03-02T09:15:04.1234567Z", "2026-03-02T09:15:04Z");
	check_date("2026-03-02T09:15:04", "2026-03-02T09:15:04Z");
	check_date("2026-03-02 09:15:04", "2026-03-02T09:15:04Z");
	check_date("2026-03-02T09:15:04+02:00", "2026-03-02T07:15:04Z");
	check_date("2026-03-02T09:15:04-0530", "2026-03-02T14:45:04Z");
	check_date("2026-03-02", "2026-03-02T00:00:00Z");
	/* milliseconds */
	check_date("/Date(1767225600000)/", "2026-01-01T00:00:00Z");
	check_date("/Date(1767225600000+0200)/", "2026-01-01T00:00:00Z");
	/* none */
	check_date("", "none");
	check_date("  ", "none");
	check_date(NULL, "none");
	check_date("1/1/1900 12:00:00 AM", "none");
	check_date("0001-01-01T00:00:00", "none");
	check_date("/Date(-62135596800000)/", "none");
}

static void
date_members(void **state)
{
	json_t *j = parsed("{\"A\": \"3/2/2026 4:15:03 AM\", "
	    "\"AInUTC\": \"3/2/2026 9:15:03 AM\", \"B\": "
	    "\"3/2/2026 9:15:03 AM\", \"C\": \"\", \"CInUTC\": null, "
	    "\"D\": \"3/2/2026 9:15:03 AM\", \"DInUTC\": \"nonsense\", "
	    "\"E\": \"nonsense\", \"F\": \"3/2/2026 9:15:03 AM\", "
	    "\"FInUTC\": \"1/1/1900 12:00:00 AM\"}"), *ms;
	int64_t when = 1772442903000;

	(void)state;
	assert_int_equal(pl_store_date(j, "A"), when);
	assert_int_equal(pl_store_date(j, "B"), when);
	assert_int_equal(pl_store_date(j, "C"), 0);
	assert_int_equal(pl_store_date(j, "D"), when);
	assert_int_equal(pl_store_date(j, "E"), 0);
	assert_int_equal(pl_store_date(j, "F"), 0);
	assert_int_equal(pl_store_date(j, "G"), 0);
	pl_json_free(j);
	ms = pl_store_date_json(when);
	assert_string_equal(pl_json_str(ms), "/Date(1772442903000)/");
	pl_json_free(ms);
}

#define BLOCK "-----BEGIN CERTIFICATE-----\nAAAA+/+/\n" \
	"-----END CERTIFICATE-----\n"

static void
check_pem(const char *text, size_t count, const char *wanted)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_BODY);
	assert_int_equal(pl_store_pem(&b, text, strlen(text)), count);
	assert_string_equal(b.data, wanted);
	pl_buf_clear(&b);
}

static void
pem(void **state)
{
	(void)state;
	check_pem(BLOCK, 1, BLOCK);
	check_pem("-----BEGIN CERTIFICATE-----\r\nAAAA\r\n+/+/\r\n"
	    "-----END CERTIFICATE-----\r\n", 1, BLOCK);
	check_pem("-----BEGIN%20CERTIFICATE-----%0D%0AAAAA%2B%2f%2B%2F%0A"
	    "-----END%20CERTIFICATE-----%0A", 1, BLOCK);
	check_pem("-----BEGIN+CERTIFICATE-----%0AAAAA%2B/%2B/%0A"
	    "-----END+CERTIFICATE-----%0A", 1, BLOCK);
	/* plus signs that became blanks */
	check_pem("-----BEGIN CERTIFICATE-----\nAAAA / /\n"
	    "-----END CERTIFICATE-----\n", 1, BLOCK);
	/* blanks that are none of them */
	check_pem("-----BEGIN CERTIFICATE-----\n  AAAA \n  +/+/ \n"
	    "-----END CERTIFICATE-----\n", 1, BLOCK);
	check_pem("subject=x\n" BLOCK "\nother\n" BLOCK, 2, BLOCK BLOCK);
	check_pem("-----BEGIN CERTIFICATE-----AAAA+/+/"
	    "-----END CERTIFICATE-----", 1, BLOCK);
	check_pem("-----BEGIN NEW CERTIFICATE REQUEST-----\nAA==\n"
	    "-----END NEW CERTIFICATE REQUEST-----", 1,
	    "-----BEGIN NEW CERTIFICATE REQUEST-----\nAA==\n"
	    "-----END NEW CERTIFICATE REQUEST-----\n");
}

static void
base64(void **state)
{
	struct pl_buf b;
	struct pl_err err;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	assert_int_equal(pl_store_base64(&b, "+/+/", 4, &err), PL_OK);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "\xfb\xff\xbf", 3);
	pl_buf_reset(&b);
	assert_int_equal(pl_store_base64(&b, " / /", 4, &err), PL_OK);
	assert_memory_equal(b.data, "\xfb\xff\xbf", 3);
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bools),
		cmocka_unit_test(numbers),
		cmocka_unit_test(texts),
		cmocka_unit_test(names),
		cmocka_unit_test(dates),
		cmocka_unit_test(date_members),
		cmocka_unit_test(pem),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
