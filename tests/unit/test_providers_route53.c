/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The pure parts of the route53 provider. */
#include "scratch.h"

#include "route53.h"

static void
keys(void **state PL_UNUSED)
{
	static const char *const cases[][2] = {
		{ "www.example.com", "com.example.www." },
		{ "WWW.Example.COM.", "com.example.www." },
		{ "com", "com." },
		{ "\\052.example.com.", "com.example.\\052." },
		{ "*.example.com", "com.example.\\052." },
		{ "\\137acme.example.com.", "com.example._acme." },
		{ "a\\056b.example.com.", "com.example.a\\056b." },
		{ "\\101.b.", "b.a." },
		{ "\\9.b.", "b.\\1349." },
		{ "", "." },
	};
	char *key;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		key = route53_key(cases[i][0]);
		assert_string_equal(key, cases[i][1]);
		free(key);
	}
}

/* Names in the service's order, the dot behind the hyphen. */
static void
order_of_keys(void **state PL_UNUSED)
{
	static const char *const names[] = { "com", "example.com",
		"\\052.example.com", "_acme-challenge.example.com",
		"a-b.example.com", "x.a-b.example.com", "a.example.com",
		"b.a.example.com", "ab.example.com", "example-x.org",
		"example.org" };
	char *a, *b;
	size_t i;

	for (i = 1; i < PL_NELEM(names); i++) {
		a = route53_key(names[i - 1]);
		b = route53_key(names[i]);
		if (strcmp(a, b) >= 0)
			fail_msg("%s is not before %s", a, b);
		free(a);
		free(b);
	}
}

static void
quoting(void **state PL_UNUSED)
{
	char data[600];
	struct pl_buf b, back;
	size_t n, i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i + 1);
	pl_buf_init(&b, PL_LIM_FILE);
	pl_buf_init(&back, PL_LIM_FILE);
	for (n = 0; n <= sizeof(data); n++) {
		pl_buf_reset(&b);
		pl_buf_reset(&back);
		route53_quote(&b, data, n);
		route53_unquote(&back, b.data);
		assert_int_equal(back.len, n);
		assert_memory_equal(back.data, data, n);
		for (i = 0; i < b.len; i++)
			assert_in_range((unsigned char)b.data[i], 0x20, 0x7e);
	}
	pl_buf_reset(&b);
	memset(data, 'x', sizeof(data));
	route53_quote(&b, data, 256);
	assert_int_equal(b.len, 255 + 1 + 5);
	assert_memory_equal(b.data + 256, "\" \"x\"", 5);
	pl_buf_clear(&b);
	pl_buf_clear(&back);
}

static void
unquoting_what_others_wrote(void **state PL_UNUSED)
{
	static const char *const cases[][2] = {
		{ "\"a\"", "a" },
		{ "\"a\" \"b\"", "ab" },
		{ "\"a\"   \"b c\"", "ab c" },
		{ "\"a\\\"b\\\\c\"", "a\"b\\c" },
		{ "\"\\141\\040\\x\"", "a x" },
		{ "\"\\9\\18\"", "918" },
		{ "plain", "plain" },
		{ "\"open", "open" },
		{ "\"end\\", "end\\" },
		{ "\"\"", "" },
		{ "", "" },
	};
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, PL_LIM_LINE);
	for (i = 0; i < PL_NELEM(cases); i++) {
		pl_buf_reset(&b);
		route53_unquote(&b, cases[i][0]);
		assert_string_equal(b.data, cases[i][1]);
	}
	pl_buf_clear(&b);
}

static void
hosts_and_regions(void **state PL_UNUSED)
{
	static const char *const cases[][3] = {
		{ "https://route53.amazonaws.com", "route53.amazonaws.com",
		    "us-east-1" },
		{ "https://route53.amazonaws.com:443",
		    "route53.amazonaws.com", "us-east-1" },
		{ "https://route53.amazonaws.com.cn",
		    "route53.amazonaws.com.cn", "cn-northwest-1" },
		{ "https://route53.us-gov.amazonaws.com",
		    "route53.us-gov.amazonaws.com", "us-gov-west-1" },
		{ "https://route53.amazonaws.eu", "route53.amazonaws.eu",
		    "eusc-de-east-1" },
		{ "https://127.0.0.1:8443/", "127.0.0.1:8443", "us-east-1" },
		{ "http://localhost:80", "localhost", "us-east-1" },
		{ "http://[::1]:443", "[::1]:443", "us-east-1" },
	};
	char *host;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		host = route53_host(cases[i][0]);
		assert_string_equal(host, cases[i][1]);
		assert_string_equal(route53_region(host), cases[i][2]);
		free(host);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(order_of_keys),
		cmocka_unit_test(quoting),
		cmocka_unit_test(unquoting_what_others_wrote),
		cmocka_unit_test(hosts_and_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
