/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *in, *wanted;
	bool underscores;
} rows[] = {
	{ "", "empty", false },
	{ ".", "empty", false },
	{ "a..b", "empty label", false },
	{ ".example.com", "empty label", false },
	{ "example.com..", "empty label", false },
	{ L60 "abcd.example", "63 octets", false },
	{ L60 "." L60 "." L60 "." L60 "." L60, "304 octets", false },
	{ "-a.example", "hyphen", false },
	{ "a-.example", "hyphen", false },
	{ "_dnsauth.example.com", "underscore", false },
	{ "a_b.example.com", "underscore", true },
	{ "a_.example.com", "underscore", true },
	{ "__a.example.com", "underscore", true },
	{ "_.example.com", "underscore", true },
	{ "*.example.com", "wildcard", true },
	{ "a.*.example.com", "0x2a", true },
	{ "*", "0x2a", true },
	{ "a b.example", "octet 2 (0x20)", false },
	{ "a\nb.example", "octet 2 (0x0a)", false },
	{ "a\rb.example", "(0x0d)", false },
	{ "a\tb.example", "(0x09)", false },
	{ "a\x7f" "b.example", "(0x7f)", false },
	{ "a@b.com", "(0x40)", false },
	{ "a/b.com", "(0x2f)", false },
	{ "a\"b.com", "(0x22)", false },
	{ "a\\b.com", "(0x5c)", false },
	{ "a\\046com", "(0x5c)", false },
	{ "a:b.com", "(0x3a)", false },
	{ "[::1]", "(0x5b)", false },
	/* Beside a U-label, where libidn2 would pass or drop them. */
	{ "a b.b\xc3\xbc" "cher", "(0x20)", false },
	{ "a@b.b\xc3\xbc" "cher", "(0x40)", false },
	{ "*.b\xc3\xbc" "cher", "wildcard", false },
	{ "_x.b\xc3\xbc" "cher", "underscore", false },
	{ "a_b.b\xc3\xbc" "cher", "underscore", true },
	{ "-b\xc3\xbc" "cher.example", "", false },
	{ "b\xc3\xbc" "cher..example", "", false },
	/* A slash that comes out of a mapping: U+2100 is "a/c". */
	{ "\xe2\x84\x80.example", "", false },
	/* A blank that comes out of one: U+00A0. */
	{ "a\xc2\xa0" "b.example", "", false },
	/* Not UTF-8, unassigned, a bidi violation, a zero width space only. */
	{ "b\xfc" "cher.example", "", false },
	{ "\xf4\x90\x80\x80.example", "", false },
	{ "a\xd7\x90.example", "", false },
	{ "\xe2\x80\x8b.example", "", false },
	/* U-label and broken A-label mixed. */
	{ "xn--\xc3\xbc.example", "", false },
	{ "xn--a.b\xc3\xbc" "cher.example", "", false },
	/* An emoji is no IDNA2008 letter. */
	{ "\xf0\x9f\x98\x80.example", "", false },
};

static void
test_refused(void **state)
{
	char out[PL_NAME_MAX];
	struct pl_err err;
	size_t i;

	(void)state;
	for (i = 0; i < PL_NELEM(rows); i++) {
		memset(out, 'x', sizeof(out));
		if (pl_name_ascii(out, rows[i].in, rows[i].underscores,
		    &err) != PL_EINVAL)
			fail_msg("row %zu gave %s", i, out);
		assert_string_equal(out, "");
		if (strstr(err.text, rows[i].wanted) == NULL)
			fail_msg("row %zu: \"%s\" does not say \"%s\"", i,
			    err.text, rows[i].wanted);
	}
}

static void
test_very_long(void **state)
{
	char out[PL_NAME_MAX], *in = pl_alloc(100001);
	struct pl_err err;

	(void)state;
	memset(in, 'a', 100000);
	assert_int_equal(pl_name_ascii(out, in, false, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "too long"));
	memset(in, 0xc3, 100000);
	assert_int_equal(pl_name_ascii(out, in, false, NULL), PL_EINVAL);
	free(in);
}

/* Every octet but the letters of names is refused, in any place. */
static void
test_every_octet(void **state)
{
	char in[] = "ab.example", out[PL_NAME_MAX];
	enum pl_code code;
	int c;

	(void)state;
	for (c = 1; c < 256; c++) {
		in[1] = (char)c;
		code = pl_name_ascii(out, in, true, NULL);
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9'))
			assert_int_equal(code, PL_OK);
		else
			assert_int_equal(code, PL_EINVAL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_very_long),
		cmocka_unit_test(test_every_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
