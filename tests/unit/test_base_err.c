/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include <errno.h>

static void
fills_and_returns(void **state PL_UNUSED)
{
	struct pl_err err;

	memset(&err, 0x55, sizeof(err));
	assert_int_equal(pl_fail(&err, PL_EAUTH, "%s: no %d", "lab", 7),
	    PL_EAUTH);
	assert_int_equal(err.code, PL_EAUTH);
	assert_int_equal(err.sys, 0);
	assert_int_equal(err.http, 0);
	assert_int_equal(err.retry_after, 0);
	assert_string_equal(err.text, "lab: no 7");
	pl_err_clear(&err);
	assert_int_equal(err.code, PL_OK);
	assert_string_equal(err.text, "");
}

static void
takes_null(void **state PL_UNUSED)
{
	assert_int_equal(pl_fail(NULL, PL_ENET, "x"), PL_ENET);
	assert_int_equal(pl_fail_sys(NULL, PL_EIO, EIO, "x"), PL_EIO);
	assert_int_not_equal(pl_prefix(NULL, "x"), PL_OK);
	pl_err_clear(NULL);
}

static void
adds_the_system_text(void **state PL_UNUSED)
{
	struct pl_err err;

	pl_fail_sys(&err, PL_EIO, ENOSPC, "/var/%s", "x");
	assert_int_equal(err.sys, ENOSPC);
	assert_string_equal(err.text, "/var/x: No space left on device");
}

static void
prefixes_keep_the_rest(void **state PL_UNUSED)
{
	struct pl_err err;

	pl_fail(&err, PL_ELIMIT, "HTTP 429");
	err.http = 429;
	err.retry_after = 5000;
	assert_int_equal(pl_prefix(&err, "zone %s", "example.com"), PL_ELIMIT);
	assert_int_equal(pl_prefix(&err, "lab"), PL_ELIMIT);
	assert_string_equal(err.text, "lab: zone example.com: HTTP 429");
	assert_int_equal(err.http, 429);
	assert_int_equal(err.retry_after, 5000);
}

static void
may_quote_itself(void **state PL_UNUSED)
{
	struct pl_err err;

	pl_fail(&err, PL_EPROTO, "inner");
	pl_fail(&err, PL_EREMOTE, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void
controls_are_shown(void **state PL_UNUSED)
{
	struct pl_err err;

	pl_fail(&err, PL_EREMOTE, "%s", "a\r\nb\x1b[2J\x7f");
	assert_string_equal(err.text, "a\\x0d\\x0ab\\x1b[2J\\x7f");
	/* C1 as UTF-8, broken UTF-8, an overlong slash, a surrogate. */
	pl_fail(&err, PL_EREMOTE, "%s", "\xc2\x9b|\xff|\xc0\xaf|\xed\xa0\x80");
	assert_string_equal(err.text,
	    "\\xc2\\x9b|\\xff|\\xc0\\xaf|\\xed\\xa0\\x80");
	/* Letters stay as they are. */
	pl_fail(&err, PL_EREMOTE, "%s",
	    "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x92");
	assert_string_equal(err.text,
	    "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x92");
}

/* Wherever the cut falls, it falls between characters. */
static void
cuts_at_a_border(void **state PL_UNUSED)
{
	struct pl_err err;
	char text[PL_ERR_TEXT + 64];
	size_t shift, len;

	for (shift = 0; shift < 8; shift++) {
		memset(text, 'a', shift);
		for (len = shift; len + 3 < sizeof(text); len += 3)
			memcpy(text + len, "\xe2\x82\xac", 3);
		text[len] = '\0';
		pl_fail(&err, PL_EREMOTE, "%s", text);
		len = strlen(err.text);
		assert_true(len < PL_ERR_TEXT && len >= PL_ERR_TEXT - 3);
		assert_int_equal((len - shift) % 3, 0);
	}
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pl_fail(&err, PL_EREMOTE, "%s", text);
	assert_int_equal(strlen(err.text) % 4, 0);
	assert_string_equal(err.text + strlen(err.text) - 4, "\\x0a");
}

/* The table of DESIGN.md sections 4 and 6, written a second time. */
static void
codes_lead_to_reactions(void **state PL_UNUSED)
{
	static const struct {
		enum pl_code code;
		const char *name;
		bool retry;
		int exit;
	} want[] = {
		{ PL_OK, "ok", false, 0 },
		{ PL_EUNDONE, "undone", true, 6 },
		{ PL_EINVAL, "invalid", false, 3 },
		{ PL_EAUTH, "auth", false, 4 },
		{ PL_ENOZONE, "no-zone", false, 1 },
		{ PL_ECONFLICT, "conflict", true, 6 },
		{ PL_ELIMIT, "limit", true, 6 },
		{ PL_ENET, "network", true, 6 },
		{ PL_EPROTO, "protocol", true, 6 },
		{ PL_EREMOTE, "refused", false, 1 },
		{ PL_EABSENT, "not-visible", false, 5 },
		{ PL_EIO, "io", true, 8 },
		{ PL_ECANCEL, "cancelled", false, 6 },
	};
	size_t i;

	assert_int_equal(PL_NELEM(want), PL_NCODES);
	for (i = 0; i < PL_NELEM(want); i++) {
		assert_string_equal(pl_code_name(want[i].code), want[i].name);
		assert_int_equal(pl_code_retry(want[i].code), want[i].retry);
		assert_int_equal(pl_code_exit(want[i].code), want[i].exit);
	}
	/* A number that is no code never looks like success. */
	assert_int_not_equal(pl_code_exit((enum pl_code)99), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_and_returns),
		cmocka_unit_test(takes_null),
		cmocka_unit_test(adds_the_system_text),
		cmocka_unit_test(prefixes_keep_the_rest),
		cmocka_unit_test(may_quote_itself),
		cmocka_unit_test(controls_are_shown),
		cmocka_unit_test(cuts_at_a_border),
		cmocka_unit_test(codes_lead_to_reactions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
