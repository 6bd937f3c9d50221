/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V43 "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0"
#define ONE "{\"method\":\"dns-01\",\"domain\":\"example.com\"," \
	"\"value\":\"" V43 "\"}"

static struct pl_job *
jobs_of(const char *text, size_t wanted)
{
	struct pl_job *jobs;
	struct pl_err err;
	size_t n;

	if (pl_jobs_read(&jobs, &n, text, strlen(text), "F", true, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_int_equal(n, wanted);
	return jobs;
}

static void
drop(struct pl_job *jobs, size_t n)
{
	while (n > 0)
		pl_job_clear(&jobs[--n]);
	free(jobs);
}

/* The example of DESIGN.md section 3. */
static void
test_example(void **state)
{
	static const char text[] =
	    "{\"job\": \"any-id\", \"deadline\": \"2026-11-21T12:00:00Z\",\n"
	    " \"hold\": \"until-released\",\n \"challenges\": [\n"
	    "   {\"method\": \"dns-01\", \"domain\": \"*.example.com\","
	    " \"value\": \"" V43 "\"},\n"
	    "   {\"method\": \"dns-cname\", \"domain\": \"example.org\","
	    " \"name\": \"_33E7AEF9AFE28A34FE6C96DDEDF3F267.example.org\","
	    " \"value\": \"668c59.225605.sectigo.com\"},\n"
	    "   {\"method\": \"http-file\", \"domain\": \"www.example.net\","
	    " \"path\": \"/.well-known/pki-validation/33E7.txt\","
	    " \"content\": \"a\\nsectigo.com\\n\"}]}\n";
	struct pl_job *j = jobs_of(text, 1);

	(void)state;
	assert_string_equal(j->id, "any-id");
	assert_true(j->deadline == 1795262400000);
	assert_int_equal(j->hold, PL_HOLD_RELEASED);
	assert_int_equal(j->n, 3);
	assert_string_equal(j->challenges[0].record,
	    "_acme-challenge.example.com");
	assert_string_equal(j->challenges[0].shown, "*.example.com");
	assert_string_equal(j->challenges[1].record,
	    "_33e7aef9afe28a34fe6c96ddedf3f267.example.org");
	assert_string_equal(j->challenges[1].value,
	    "668c59.225605.sectigo.com");
	assert_string_equal(j->challenges[2].value, "a\nsectigo.com\n");
	assert_int_equal(j->challenges[2].value_len, 14);
	drop(j, 1);
}

static void
test_every_member(void **state)
{
	static const char text[] = "{\"challenges\": ["
	    "{\"method\":\"http-01\",\"domain\":\"a.test\",\"token\":\"t\","
	    "\"key-authorization\":\"t.k\",\"account\":\"web\"},"
	    "{\"method\":\"dns-account-01\",\"domain\":\"a.test\","
	    "\"account-url\":\"https://ca.test/1\",\"value\":\"" V43 "\","
	    "\"ttl\":300},"
	    "{\"method\":\"dns-persist-01\",\"domain\":\"a.test\","
	    "\"issuer\":\"ca.test\",\"account-url\":\"https://ca.test/1\","
	    "\"policy\":\"wildcard\",\"persist-until\":1893456000},"
	    "{\"method\":\"dns-txt\",\"domain\":\"a.test\",\"name\":"
	    "\"_dnsauth.a.test\",\"value\":\"x\"},"
	    "{\"method\":\"email\",\"domain\":\"a.test\"}]}";
	struct pl_job *j = jobs_of(text, 1);

	(void)state;
	assert_int_equal(j->n, 5);
	assert_string_equal(j->challenges[0].account, "web");
	assert_string_equal(j->challenges[0].value, "t.k");
	assert_int_equal(j->challenges[1].ttl, 300);
	assert_string_equal(j->challenges[2].value, "ca.test; accounturi="
	    "https://ca.test/1; policy=wildcard; persistUntil=1893456000");
	assert_true(j->challenges[2].standing);
	assert_string_equal(j->challenges[3].record, "_dnsauth.a.test");
	assert_int_equal(j->challenges[4].kind, PL_NOTHING);
	drop(j, 1);
}

static void
test_hold(void **state)
{
	static const struct {
		const char *text;
		enum pl_hold hold;
		int64_t seconds;
	} rows[] = {
		{ "", PL_HOLD_RELEASED, 0 },
		{ "\"hold\":\"until-released\",", PL_HOLD_RELEASED, 0 },
		{ "\"hold\":\"until-visible\",", PL_HOLD_VISIBLE, 0 },
		{ "\"hold\":1,", PL_HOLD_SECONDS, 1 },
		{ "\"hold\":86400,", PL_HOLD_SECONDS, 86400 },
	};
	struct pl_buf b;
	struct pl_job *j;
	size_t i;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	for (i = 0; i < PL_NELEM(rows); i++) {
		pl_buf_reset(&b);
		pl_buf_addf(&b, "{%s\"challenges\":[%s]}", rows[i].text, ONE);
		j = jobs_of(b.data, 1);
		assert_int_equal(j->hold, rows[i].hold);
		assert_int_equal(j->hold_seconds, rows[i].seconds);
		assert_int_equal(j->deadline, 0);
		drop(j, 1);
	}
	pl_buf_clear(&b);
}

static void
test_made_up_ids_differ(void **state)
{
	struct pl_job *j = jobs_of("[{\"challenges\":[" ONE "]},"
	    "{\"challenges\":[" ONE "]}]", 2);

	(void)state;
	assert_int_equal(strlen(j[0].id), 16);
	assert_string_not_equal(j[0].id, j[1].id);
	drop(j, 2);
}

static void
test_forms(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = {
		{ "{\"job\":\"a\",\"challenges\":[" ONE "]}", 1 },
		{ "\n\r\n {\"job\":\"a\",\n\"challenges\":[" ONE "]}\n\n", 1 },
		{ "{\"job\":\"a\",\"challenges\":[" ONE "]}\n"
		    "{\"job\":\"b\",\"challenges\":[" ONE "]}\n", 2 },
		{ "{\"job\":\"a\",\"challenges\":[" ONE "]}\r\n\r\n \n"
		    "{\"job\":\"b\",\"challenges\":[" ONE "]}\r\n"
		    "{\"job\":\"c\",\"challenges\":[" ONE "]}", 3 },
		{ "[{\"job\":\"a\",\"challenges\":[" ONE "]},\n"
		    "{\"job\":\"b\",\"challenges\":[" ONE "]}]\n", 2 },
	};
	struct pl_job *j;
	size_t i, k;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++) {
		j = jobs_of(rows[i].text, rows[i].n);
		for (k = 0; k < rows[i].n; k++) {
			assert_int_equal(j[k].id[0], 'a' + (int)k);
			assert_int_equal(j[k].n, 1);
		}
		drop(j, rows[i].n);
	}
}

/* Different challenges may lead to one record: that is no error. */
static void
test_apex_and_wildcard_alike(void **state)
{
	static const char text[] = "{\"challenges\":["
	    "{\"method\":\"dns-cname\",\"domain\":\"a.test\",\"name\":"
	    "\"_x.a.test\",\"value\":\"b.ca.test\"},"
	    "{\"method\":\"dns-cname\",\"domain\":\"*.a.test\",\"name\":"
	    "\"_x.a.test\",\"value\":\"b.ca.test\"},"
	    "{\"method\":\"dns-cname\",\"domain\":\"a.test\",\"name\":"
	    "\"_x.a.test\",\"value\":\"b.ca.test\",\"account\":\"two\"}]}";
	struct pl_job *j = jobs_of(text, 1);

	(void)state;
	assert_int_equal(j->n, 3);
	assert_string_equal(j->challenges[0].record,
	    j->challenges[1].record);
	drop(j, 1);
}

static void
test_one_object(void **state)
{
	struct pl_job j;
	struct pl_err err;
	json_t *doc;

	(void)state;
	assert_int_equal(pl_json_parse(&doc, "{\"job\":\"A:b.c_d-1\","
	    "\"challenges\":[" ONE "]}", strlen("{\"job\":\"A:b.c_d-1\","
	    "\"challenges\":[" ONE "]}"), "F", &err), PL_OK);
	assert_int_equal(pl_job_make(&j, doc, &err), PL_OK);
	pl_json_free(doc);
	assert_string_equal(j.id, "A:b.c_d-1");
	assert_string_equal(j.challenges[0].value, V43);
	pl_job_clear(&j);
	pl_job_clear(&j);
}

static void
test_many(void **state)
{
	struct pl_buf b;
	struct pl_job *j;
	unsigned i;

	(void)state;
	pl_buf_init(&b, PL_LIM_JOB);
	pl_buf_adds(&b, "{\"job\":\"many\",\"challenges\":[");
	for (i = 0; i < 10000; i++)
		pl_buf_addf(&b, "%s{\"method\":\"dns-01\",\"domain\":"
		    "\"name-%u.example.com\",\"value\":\"%s\"}",
		    i > 0 ? ",\n" : "", i, V43);
	pl_buf_adds(&b, "]}");
	assert_false(b.failed);
	j = jobs_of(b.data, 1);
	assert_int_equal(j->n, 10000);
	assert_string_equal(j->challenges[9999].record,
	    "_acme-challenge.name-9999.example.com");
	drop(j, 1);
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_every_member),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_made_up_ids_differ),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_apex_and_wildcard_alike),
		cmocka_unit_test(test_one_object),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
