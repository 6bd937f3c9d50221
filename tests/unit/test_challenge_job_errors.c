/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V43 "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0"
#define DNS(more) "{\"method\":\"dns-01\",\"domain\":\"example.com\"," \
	"\"value\":\"" V43 "\"" more "}"
#define ONE DNS("")
/* A job around challenges; around one with a domain; with a value. */
#define JOB(list) "{\"job\":\"x\",\"challenges\":[" list "]}"
#define DOMAIN(d) JOB("{\"method\":\"dns-01\",\"domain\":\"" d "\"," \
	"\"value\":\"" V43 "\"}")
#define VALUE(v) JOB("{\"method\":\"dns-01\",\"domain\":\"example.com\"," \
	"\"value\":" v "}")
#define HTTP(t) JOB("{\"method\":\"http-01\",\"domain\":\"example.com\"," \
	"\"token\":\"" t "\",\"key-authorization\":\"t.k\"}")
/* The same challenge, written otherwise. */
#define TWIN "{\"value\":\"" V43 "\",\"domain\":\"EXAMPLE.com.\"," \
	"\"method\":\"dns-01\"}"
#define A150 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The text, and how the error about it goes on behind "F: line ". */
static const struct {
	const char *text, *starts, *says;
} rows[] = {
	/* no JSON, or no job */
	{ "", "1: ", "no job" },
	{ " \n\n ", "3: ", "no job" },
	{ "hello", "1, column", "" },
	{ "[]", "1: ", "no job" },
	{ "1", "1: ", "must be an object" },
	{ "\"x\"", "1: ", "must be an object" },
	{ "null", "1: ", "must be an object" },
	{ "[1]", "1: ", "must be an object" },
	{ "[[]]", "1: ", "must be an object" },
	{ "[{}\n,\n  []]", "1: ", "challenges: missing" },
	{ "{\"job\": \"x\", \"chall", "1, column", "" },
	{ "{\"job\": \"x\"} trailing", "1, column", "end of file" },
	{ "{\n}\n{\n}\n", "3, column 1", "end of file" },
	{ "[" JOB(ONE) "] x", "1, column", "end of file" },
	{ "{\"challenges\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "1, column",
	    "deeper" },
	{ "\xff\xfe{}", "1, column", "" },
	{ "{\"job\": \"\xff\"}", "1, column", "0xff" },

	/* the job */
	{ "{}", "1: challenges", "missing" },
	{ "{\"color\":1,\"challenges\":[]}", "1: color", "unknown member" },
	{ "{\"job\":\"a\",\"job\":\"b\",\"challenges\":[]}", "1, column",
	    "member \"job\" is there twice" },
	{ "{\"job\":1,\"challenges\":[" ONE "]}", "1: job", "a string" },
	{ "{\"job\":null,\"challenges\":[" ONE "]}", "1: job", "a string" },
	{ "{\"job\":\"\",\"challenges\":[" ONE "]}", "1: job", "must be" },
	{ "{\"job\":\"a b\",\"challenges\":[" ONE "]}", "1: job", "must be" },
	{ "{\"job\":\"a\\nb\",\"challenges\":[" ONE "]}", "1: job", "must" },
	{ "{\"job\":\"a/b\",\"challenges\":[" ONE "]}", "1: job", "must be" },
	{ "{\"job\":\"\xc3\xbc\",\"challenges\":[" ONE "]}", "1: job", "" },
	{ "{\"job\":\"" A150 "\",\"challenges\":[" ONE "]}", "1: job", "" },
	{ "{\"challenges\":[]}", "1: challenges", "empty" },
	{ "{\"challenges\":{}}", "1: challenges", "must be an array" },
	{ "{\"challenges\":null}", "1: challenges", "must be an array" },
	{ "{\"deadline\":\"tomorrow\",\"challenges\":[" ONE "]}",
	    "1: deadline", "not a time" },
	{ "{\"deadline\":1795262400,\"challenges\":[" ONE "]}",
	    "1: deadline", "must be a string" },
	{ "{\"deadline\":\"2026-02-30T12:00:00Z\",\"challenges\":[" ONE "]}",
	    "1: deadline", "not a time" },
	{ "{\"deadline\":\"2026-11-21T12:00:00\",\"challenges\":[" ONE "]}",
	    "1: deadline", "not a time" },
	{ "{\"deadline\":\"1969-11-21T12:00:00Z\",\"challenges\":[" ONE "]}",
	    "1: deadline", "long ago" },
	{ "{\"hold\":\"for ever\",\"challenges\":[" ONE "]}", "1: hold",
	    "until-visible" },
	{ "{\"hold\":\"60\",\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":0,\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":-1,\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":1.5,\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":true,\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":null,\"challenges\":[" ONE "]}", "1: hold", "" },
	{ "{\"hold\":9223372036854775807,\"challenges\":[" ONE "]}",
	    "1: hold", "" },

	/* a challenge's members */
	{ JOB("1"), "1: challenges[0]", "must be an object" },
	{ JOB(ONE ",[]"), "1: challenges[1]", "must be an object" },
	{ JOB(ONE ",\n" DNS(",\"valeu\":\"x\"")), "2: challenges[1].valeu",
	    "unknown member" },
	{ JOB(DNS(",\"endpoint\":\"https://evil.test\"")),
	    "1: challenges[0].endpoint", "unknown member" },
	{ JOB(DNS(",\"zone\":\"evil.test\"")), "1: challenges[0].zone", "" },
	{ JOB(DNS(",\"key-secret\":\"x\"")), "1: challenges[0].key-secret",
	    "unknown member" },
	{ JOB(DNS(",\"wildcard\":true")), "1: challenges[0].wildcard", "" },
	{ JOB(DNS(",\"value\":\"x\"")), "1, column",
	    "member \"value\" is there twice" },
	{ JOB("{}"), "1: challenges[0].method", "missing" },
	{ JOB("{\"method\":1}"), "1: challenges[0].method", "a string" },
	{ JOB("{\"method\":\"dns-02\"}"), "1: challenges[0].method",
	    "dns-02" },
	{ JOB("{\"method\":\"dns-01\"}"), "1: challenges[0].domain",
	    "missing" },
	{ JOB("{\"method\":\"dns-01\",\"domain\":\"example.com\"}"),
	    "1: challenges[0].value", "missing" },
	{ VALUE("null"), "1: challenges[0].value", "must be a string" },
	{ VALUE("[\"x\"]"), "1: challenges[0].value", "must be a string" },
	{ VALUE("7"), "1: challenges[0].value", "must be a string" },
	{ VALUE("\"\""), "1: challenges[0].value", "43" },
	{ VALUE("\"abc\\rdef\""), "1: challenges[0].value", "0x0d" },
	{ VALUE("\"abc\\ndef\""), "1: challenges[0].value", "0x0a" },
	{ VALUE("\"abc\\u0000def\""), "1, column", "member \"value\"" },
	{ VALUE("\"\xc3\xbc\""), "1: challenges[0].value", "0xc3" },
	{ DOMAIN(""), "1: challenges[0].domain", "empty" },
	{ DOMAIN("a\\r.test"), "1: challenges[0].domain", "0x0d" },
	{ DOMAIN("a.test\\n"), "1: challenges[0].domain", "0x0a" },
	{ DOMAIN("a\\u0000.test"), "1, column", "member \"domain\"" },
	{ DOMAIN("a b.test"), "1: challenges[0].domain", "0x20" },
	{ DOMAIN("*.*.test"), "1: challenges[0].domain", "wildcard" },
	{ DOMAIN(A150 "." A150), "1: challenges[0].domain", "301 octets" },
	{ DOMAIN("b\xc3\xbc" "cher.test"), "1: challenges[0].domain",
	    "A-labels: xn--bcher-kva.test" },
	{ DOMAIN("*.b\xc3\xbc" "cher.test"), "1: challenges[0].domain",
	    "A-labels: *.xn--bcher-kva.test" },
	{ DOMAIN("xn--\xc3\xbc.test"), "1: challenges[0].domain", "ASCII" },
	{ DOMAIN("b\\u00fccher.test"), "1: challenges[0].domain", "U-label" },
	{ DOMAIN("co.uk"), "1: challenges[0].domain", "public suffix" },
	{ HTTP(".."), "1: challenges[0].token", "0x2e" },
	{ HTTP("a/../b"), "1: challenges[0].token", "0x2f" },
	{ HTTP("a\\u0000"), "1, column", "member \"token\"" },
	{ HTTP(A150), "1: challenges[0].token", "150" },
	{ HTTP("other"), "1: challenges[0].token", "before the dot" },
	{ JOB(DNS(",\"account\":1")), "1: challenges[0].account", "string" },
	{ JOB(DNS(",\"path\":\"a.txt\"")), "1: challenges[0].path",
	    "does not belong to dns-01" },
	{ JOB(DNS(",\"ttl\":0")), "1: challenges[0].ttl", "whole number" },
	{ JOB(DNS(",\"ttl\":-5")), "1: challenges[0].ttl", "whole number" },
	{ JOB(DNS(",\"ttl\":\"60\"")), "1: challenges[0].ttl", "whole" },
	{ JOB(DNS(",\"ttl\":4294967297")), "1: challenges[0].ttl", "whole" },
	{ JOB(DNS(",\"ttl\":1e3")), "1: challenges[0].ttl", "whole number" },
	{ JOB("{\"method\":\"dns-persist-01\",\"domain\":\"a.test\","
	    "\"persist-until\":0}"), "1: challenges[0].persist-until", "" },
	{ JOB("{\"method\":\"http-file\",\"domain\":\"a.test\",\"path\":"
	    "\"https://a.test/.well-known/pki-validation/a.txt\","
	    "\"content\":\"x\"}"), "1: challenges[0].path", "URL" },
	{ JOB("{\"method\":\"http-file\",\"domain\":\"a.test\",\"path\":"
	    "\"a.txt\",\"content\":\"\"}"), "1: challenges[0].content",
	    "empty" },
	{ JOB("{\"method\":\"dns-cname\",\"domain\":\"a.test\",\"name\":"
	    "\"_x.b.test\",\"value\":\"c.test\"}"),
	    "1: challenges[0].name", "is not a.test or below" },
	{ JOB("{\"method\":\"dns-cname\",\"domain\":\"a.test\",\"name\":"
	    "\"_x.a.test\",\"value\":\"\u00fc.test\"}"),
	    "1: challenges[0].value", "A-labels: xn--tda.test" },

	/* twice */
	{ JOB(ONE ",\n" TWIN), "2: challenges[1]",
	    "the same as challenges[0]" },
	{ JOB(ONE) "\n\n" JOB(ONE), "3: job: x", "line 1" },
	{ "[\n" JOB(ONE) ",\n\n" JOB(ONE) "]", "4: job: x", "line 2" },

	/* places */
	{ JOB(ONE) "\n{\"job\":\"y\",\"challenges\":[" ONE "," ONE "}\n",
	    "2, column", "expected" },
	{ JOB(ONE) "\n\n" JOB("{}"), "3: challenges[0].method", "missing" },
	{ JOB(ONE) "\nhello\n", "2, column", "" },
	{ "{\n \"x-\": {\"challenges\": [\n1\n]}}", "1: x-", "unknown" },
	{ "{\n \"deadline\":\n \"2026-11-21T12:00:00Z\",\n"
	    " \"challenges\": [\n  " ONE ",\n  {\n   \"method\": \"x,{[\"\n"
	    "  }\n ]\n}\n", "6: challenges[1].method", "x,{[" },
	{ "[\n{\"challenges\":[" ONE "]},\n\n{\"challenges\":[" ONE ",\n"
	    "{}]}\n]", "5: challenges[1].method", "missing" },
};

static void
check(size_t row, const char *text, size_t n, const char *starts,
    const char *wanted)
{
	struct pl_job *jobs = (struct pl_job *)(uintptr_t)1;
	enum pl_code code;
	struct pl_err err;
	char *copy;
	size_t got = 9;

	/* Without a NUL behind it, so that reading too far shows. */
	copy = pl_memdup(text, n);
	code = pl_jobs_read(&jobs, &got, copy != NULL ? copy : "", n, "F", true,
	    &err);
	if (code != PL_EINVAL)
		fail_msg("row %zu was taken", row);
	assert_null(jobs);
	assert_int_equal(got, 0);
	if (strncmp(err.text, "F: line ", 8) != 0 ||
	    strncmp(err.text + 8, starts, strlen(starts)) != 0 ||
	    strstr(err.text, wanted) == NULL)
		fail_msg("row %zu: \"%s\" is not \"F: line %s ... %s\"", row,
		    err.text, starts, wanted);
	assert_int_equal(pl_jobs_read(&jobs, &got, copy != NULL ? copy : "",
	    n, "F", true, NULL), PL_EINVAL);
	free(copy);
}

static void
test_rows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++)
		check(i, rows[i].text, strlen(rows[i].text), rows[i].starts,
		    rows[i].says);
	check(900, "\0\0\0", 3, "1, column", "");
	check(901, "{}\0", 3, "1, column", "");
}

static void
test_too_long(void **state)
{
	struct pl_job *jobs;
	struct pl_err err;
	char *text;
	size_t n;

	(void)state;
	text = pl_alloc(PL_LIM_JOB + 1);
	memset(text, ' ', PL_LIM_JOB + 1);
	assert_int_equal(pl_jobs_read(&jobs, &n, text, PL_LIM_JOB + 1, "F", true,
	    &err), PL_EINVAL);
	assert_string_equal(err.text, "F: more than 16777216 octets");
	free(text);
}

/* The same through the door for one object, without a text. */
static void
test_one_object(void **state)
{
	static const char text[] = JOB(ONE "," DNS(",\"valeu\":1"));
	struct pl_job j;
	struct pl_err err;
	json_t *doc;

	(void)state;
	memset(&j, 0xaa, sizeof(j));
	assert_int_equal(pl_json_parse(&doc, text, strlen(text), "F", &err),
	    PL_OK);
	assert_int_equal(pl_job_make(&j, doc, &err), PL_EINVAL);
	assert_string_equal(err.text, "challenges[1].valeu: unknown member");
	assert_null(j.id);
	assert_null(j.challenges);
	assert_int_equal(pl_job_make(&j, doc, NULL), PL_EINVAL);
	assert_int_equal(pl_job_make(&j, NULL, &err), PL_EINVAL);
	pl_json_free(doc);
}

/* Each text with one octet less, and with one octet changed: no crash. */
static void
test_mutations(void **state)
{
	static const char text[] = JOB(ONE ",\n" DNS(",\"ttl\":300"))
	    "\n{\"hold\":5,\"challenges\":[" ONE "]}\n";
	static const char octets[] = "\"\\{}[],:x\n\0\xff";
	struct pl_job *jobs;
	char *copy;
	size_t i, k, n;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++) {
		copy = pl_memdup(text, sizeof(text) - 1);
		for (k = 0; k < sizeof(octets); k++) {
			copy[i] = octets[k];
			pl_jobs_read(&jobs, &n, copy,
			    k > 0 ? sizeof(text) - 1 : i, "F", true, NULL);
			while (n > 0)
				pl_job_clear(&jobs[--n]);
			free(jobs);
		}
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_one_object),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
