/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

static void
refused_integers(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-", "--1",
		"-1", "0x10", "1e3", "1.0", "1,000", "ten", "\xc2\xb2" };
	struct pl_err err;
	int64_t v;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		v = 77;
		assert_int_equal(pl_int_parse(&v, bad[i], 0, 100, &err),
		    PL_EINVAL);
		assert_int_equal(v, 0);
	}
	assert_int_equal(pl_int_parse(&v, NULL, 0, 1, &err), PL_EINVAL);
	assert_int_equal(pl_int_parse(&v, "101", 0, 100, &err), PL_EINVAL);
	assert_string_equal(err.text, "\"101\": not between 0 and 100");
	assert_int_equal(pl_int_parse(&v, "-21", -20, 0, &err), PL_EINVAL);
	assert_int_equal(pl_int_parse(&v, "9223372036854775808", 0, INT64_MAX,
	    &err), PL_EINVAL);
	assert_int_equal(pl_int_parse(&v, "99999999999999999999999999", 0,
	    INT64_MAX, &err), PL_EINVAL);
	assert_int_equal(pl_int_parse(&v, "-9223372036854775809", INT64_MIN, 0,
	    &err), PL_EINVAL);
}

static void
refused_durations(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", "s", "-1s", "1w", "1 s", "1.5h",
		"10S", "1h30m", "99999999999d", "36501d",
		"1000000000000000000000000000000" };
	struct pl_err err;
	int64_t ms;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		ms = 5;
		assert_int_equal(pl_duration_parse(&ms, bad[i], &err),
		    PL_EINVAL);
		assert_int_equal(ms, 0);
	}
	assert_int_equal(pl_duration_parse(&ms, NULL, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "not a duration"));
}

static void
refused_hosts(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", ":53", "host:", "host:0",
		"host:65536", "host:5 3", "host:+5", "host:-5", "[::1",
		"[::1]53", "[]:53", "[192.0.2.1]:53", "[host]", "::g",
		"1::2::3",
		"1.2.3.4.5", "999.0.2.1", "192.0.2", "a b", "a/b", "a..b",
		".a", "http://a", "user@host", "host\n", "h\xc3\xb6st",
		"::1%", "fe80::1%eth0/x", "[fe80::1%waytoolonginterfacename]",
		"a:53:53" };
	char host[256], label[80], name[400];
	struct pl_err err;
	uint16_t port;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		port = 9;
		strncpy(host, "old", sizeof(host));
		if (pl_hostport_parse(host, sizeof(host), &port, bad[i], 53,
		    &err) != PL_EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(host, "");
		assert_int_equal(port, 0);
	}
	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	assert_int_equal(pl_hostport_parse(host, sizeof(host), &port, label,
	    53, &err), PL_EINVAL);
	label[63] = '\0';
	assert_int_equal(pl_hostport_parse(host, sizeof(host), &port, label,
	    53, &err), PL_OK);
	assert_int_equal(pl_hostport_parse(host, 63, &port, label, 53, &err),
	    PL_EINVAL);
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label, label, label, label);
	assert_int_equal(pl_hostport_parse(host, sizeof(host), &port, name, 53,
	    &err), PL_EINVAL);
	assert_int_equal(pl_hostport_parse(host, sizeof(host), &port, NULL, 53,
	    &err), PL_EINVAL);
}

static void
refused_base64(void **state PL_UNUSED)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "=",
		"====", "Zm8==", "Zm=8", "Zm9v=", "Zg==Zg==", "Zh==", "Zm9=",
		"Zm-_", "Zm9v!", "Zm9v\x80" };
	struct pl_err err;
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, 100);
	for (i = 0; i < PL_NELEM(bad); i++) {
		pl_buf_reset(&b);
		if (pl_base64_decode(&b, bad[i], strlen(bad[i]), &err) !=
		    PL_EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		/* It may be a secret: the text does not come back. */
		assert_string_equal(err.text, "base64: not well formed");
	}
	pl_buf_clear(&b);
	pl_buf_init(&b, 2);
	assert_int_equal(pl_base64_decode(&b, "Zm9v", 4, &err), PL_EINVAL);
	pl_buf_clear(&b);
}

static void
refused_times(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", "2026-11-21",
		"2026-11-21T12:00:00", "2026-11-21 12:00:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-11-31T00:00:00Z", "2026-11-00T00:00:00Z",
		"2026-11-21T24:00:00Z", "2026-11-21T12:60:00Z",
		"2026-11-21T12:00:61Z", "2026-11-21T12:00:00.Z",
		"2026-11-21T12:00:00.1234567890Z", "2026-11-21T12:00:00+0200",
		"2026-11-21T12:00:00+24:00", "2026-11-21T12:00:00+01:60",
		"2026-11-21T12:00:00Zx", "26-11-21T12:00:00Z",
		"+2026-11-21T12:00:00Z", "2026-11-21T12:00:00.5" };
	struct pl_err err;
	int64_t ms;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		ms = 4;
		if (pl_time_parse(&ms, bad[i], &err) != PL_EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(ms, 0);
	}
	assert_int_equal(pl_time_parse(&ms, NULL, &err), PL_EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_integers),
		cmocka_unit_test(refused_durations),
		cmocka_unit_test(refused_hosts),
		cmocka_unit_test(refused_base64),
		cmocka_unit_test(refused_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
