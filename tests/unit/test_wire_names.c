/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
gives(const char *in, bool underscores, const char *wanted)
{
	char out[PL_NAME_MAX], again[PL_NAME_MAX];
	struct pl_err err;

	if (pl_name_ascii(out, in, underscores, &err) != PL_OK)
		fail_msg("%s: %s", in, err.text);
	assert_string_equal(out, wanted);
	/* What comes out goes in unchanged. */
	assert_int_equal(pl_name_ascii(again, out, underscores, &err), PL_OK);
	assert_string_equal(again, wanted);
}

static void
test_ascii(void **state)
{
	(void)state;
	gives("example.com", false, "example.com");
	gives("WWW.Example.COM.", false, "www.example.com");
	gives("localhost", false, "localhost");
	gives("a--b.example", false, "a--b.example");
	gives("xn--bcher-kva.example", false, "xn--bcher-kva.example");
	gives("123.in-addr.arpa", false, "123.in-addr.arpa");
	gives("_acme-challenge.Example.com", true,
	    "_acme-challenge.example.com");
	gives("_33E7AEF9AFE28A34FE6C96DDEDF3F267.www.example.com", true,
	    "_33e7aef9afe28a34fe6c96ddedf3f267.www.example.com");
}

static void
test_u_labels(void **state)
{
	(void)state;
	gives("b\xc3\xbc" "cher.example", false, "xn--bcher-kva.example");
	gives("B\xc3\x9c" "CHER.example.", false, "xn--bcher-kva.example");
	/* Decomposed, and with an ideographic full stop. */
	gives("bu\xcc\x88" "cher\xe3\x80\x82" "example", false,
	    "xn--bcher-kva.example");
	/* Non-transitional: the sharp s stays what it is. */
	gives("stra\xc3\x9f" "e.example", false, "xn--strae-oqa.example");
	gives("\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
	    false, "xn--r8jz45g.xn--zckzah");
	/* Fullwidth letters are letters. */
	gives("\xef\xbd\x85xample.com", false, "example.com");
	/* Underscore labels beside a U-label stay whole. */
	gives("_acme-challenge.b\xc3\xbc" "cher.example", true,
	    "_acme-challenge.xn--bcher-kva.example");
}

static void
test_limits(void **state)
{
	char name[300], out[PL_NAME_MAX];
	size_t i;

	(void)state;
	memset(name, 'a', sizeof(name));
	for (i = 63; i < 253; i += 64)
		name[i] = '.';
	name[253] = '\0';
	assert_int_equal(pl_name_ascii(out, name, false, NULL), PL_OK);
	assert_int_equal(strlen(out), 253);
	memcpy(name + 253, ".", 2);
	assert_int_equal(pl_name_ascii(out, name, false, NULL), PL_OK);
	assert_int_equal(strlen(out), 253);
	memcpy(name + 253, "a", 2);
	assert_int_equal(pl_name_ascii(out, name, false, NULL), PL_EINVAL);
	assert_string_equal(out, "");
}

static void
test_suffixes(void **state)
{
	(void)state;
	assert_true(pl_name_is_suffix("com"));
	assert_true(pl_name_is_suffix("co.uk"));
	assert_true(pl_name_is_suffix("github.io"));
	assert_true(pl_name_is_suffix("anything.ck"));
	assert_false(pl_name_is_suffix("www.ck"));
	assert_false(pl_name_is_suffix("example.com"));
	assert_false(pl_name_is_suffix("example.co.uk"));
	assert_true(pl_name_is_suffix("xn--p1ai"));
	/* Lab names are in no list. */
	assert_false(pl_name_is_suffix("test"));
	assert_false(pl_name_is_suffix("internal"));
	assert_false(pl_name_is_suffix("example.test"));
}

static void
test_registrable(void **state)
{
	const char *name = "a.b.example.co.uk";

	(void)state;
	assert_ptr_equal(pl_name_registrable(name), name + 4);
	assert_string_equal(pl_name_registrable("example.com"), "example.com");
	assert_null(pl_name_registrable("co.uk"));
	assert_null(pl_name_registrable("com"));
	assert_string_equal(pl_name_registrable("x.lab.test"), "lab.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_u_labels),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_suffixes),
		cmocka_unit_test(test_registrable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
