/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

static void
integers(void **state PL_UNUSED)
{
	int64_t v;

	assert_int_equal(pl_int_parse(&v, "0", 0, 9, NULL), PL_OK);
	assert_int_equal(v, 0);
	assert_int_equal(pl_int_parse(&v, "65535", 1, 65535, NULL), PL_OK);
	assert_int_equal(v, 65535);
	assert_int_equal(pl_int_parse(&v, "-12", -20, 0, NULL), PL_OK);
	assert_int_equal(v, -12);
	assert_int_equal(pl_int_parse(&v, "9223372036854775807", 0, INT64_MAX,
	    NULL), PL_OK);
	assert_true(v == INT64_MAX);
	assert_int_equal(pl_int_parse(&v, "-9223372036854775808", INT64_MIN, 0,
	    NULL), PL_OK);
	assert_true(v == INT64_MIN);
}

static void
durations(void **state PL_UNUSED)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "90", 90000 }, { "45s", 45000 }, { "10m", 600000 },
		{ "2h", 7200000 }, { "7d", 604800000 }, { "500ms", 500 },
		{ "0", 0 },
	};
	int64_t ms;
	size_t i;

	for (i = 0; i < PL_NELEM(good); i++) {
		assert_int_equal(pl_duration_parse(&ms, good[i].text, NULL),
		    PL_OK);
		assert_int_equal(ms, good[i].ms);
	}
}

static void
hosts_and_ports(void **state PL_UNUSED)
{
	static const struct {
		const char *text, *host;
		int port;
	} good[] = {
		{ "192.0.2.1", "192.0.2.1", 53 },
		{ "192.0.2.1:5353", "192.0.2.1", 5353 },
		{ "[2001:DB8::1]:53", "2001:db8::1", 53 },
		{ "[2001:db8::1]", "2001:db8::1", 53 },
		{ "2001:db8::1", "2001:db8::1", 53 },
		{ "::1", "::1", 53 },
		{ "fe80::1%eth0", "fe80::1%eth0", 53 },
		{ "NS1.Example.COM:8053", "ns1.example.com", 8053 },
		{ "ns1.example.com.", "ns1.example.com.", 53 },
		{ "localhost", "localhost", 53 },
		{ "_x.4a", "_x.4a", 53 },
	};
	char host[256];
	uint16_t port;
	size_t i;

	for (i = 0; i < PL_NELEM(good); i++) {
		assert_int_equal(pl_hostport_parse(host, sizeof(host), &port,
		    good[i].text, 53, NULL), PL_OK);
		assert_string_equal(host, good[i].host);
		assert_int_equal(port, good[i].port);
	}
}

static void
comparisons(void **state PL_UNUSED)
{
	static const char *const list[] = { "a", "bc", NULL };

	assert_true(pl_streq(NULL, NULL));
	assert_false(pl_streq("", NULL));
	assert_false(pl_streq(NULL, ""));
	assert_true(pl_streq("x", "x"));
	assert_true(pl_str_in("bc", list));
	assert_false(pl_str_in("b", list));
	assert_false(pl_str_in(NULL, list));
	assert_false(pl_str_in("a", NULL));
}

static void
suffixes_at_label_borders(void **state PL_UNUSED)
{
	assert_true(pl_suffix_of("example.com", "example.com"));
	assert_true(pl_suffix_of("example.com", "www.example.com"));
	assert_true(pl_suffix_of("", "anything"));
	assert_true(pl_suffix_of("", ""));
	assert_false(pl_suffix_of("example.com", "evil-example.com"));
	assert_false(pl_suffix_of("example.com", "example.com.evil"));
	assert_false(pl_suffix_of("www.example.com", "example.com"));
	assert_false(pl_suffix_of("example.com", ""));
}

static void
escapes(void **state PL_UNUSED)
{
	struct pl_buf b;

	pl_buf_init(&b, 100);
	pl_escape(&b, "a b\\\"\n\xff\0z", 9, 100);
	assert_string_equal(b.data, "a b\\x5c\\x22\\x0a\\xff\\x00z");
	pl_buf_reset(&b);
	pl_escape(&b, "abcdef", 6, 3);
	assert_string_equal(b.data, "abc");
	pl_buf_clear(&b);
}

static void
base64_there_and_back(void **state PL_UNUSED)
{
	unsigned char data[64];
	struct pl_buf text, back;
	size_t n;

	pl_random(data, sizeof(data));
	pl_buf_init(&text, 200);
	pl_buf_init(&back, 200);
	for (n = 0; n <= sizeof(data); n++) {
		pl_buf_reset(&text);
		pl_buf_reset(&back);
		pl_base64(&text, data, n);
		assert_int_equal(text.len, (n + 2) / 3 * 4);
		assert_int_equal(pl_base64_decode(&back, text.data, text.len,
		    NULL), PL_OK);
		assert_int_equal(back.len, n);
		if (n > 0)
			assert_memory_equal(back.data, data, n);
	}
	pl_buf_clear(&text);
	pl_buf_clear(&back);
}

/* The vectors of RFC 4648 section 10, and the two alphabets. */
static void
base64_vectors(void **state PL_UNUSED)
{
	static const char *const vectors[][3] = {
		{ "", "", "" }, { "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" }, { "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "\xfb\xff\xbf", "+/+/", "-_-_" },
	};
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, 100);
	for (i = 0; i < PL_NELEM(vectors); i++) {
		pl_base64(&b, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(b.data, vectors[i][1]);
		pl_buf_reset(&b);
		pl_base64url(&b, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(b.data, vectors[i][2]);
		pl_buf_reset(&b);
	}
	assert_int_equal(pl_base64_decode(&b, " Zm 9v\r\n\tYg = =\n", 16,
	    NULL), PL_OK);
	assert_string_equal(b.data, "foob");
	pl_buf_reset(&b);
	pl_hex(&b, "\x00\x7f\xff", 3);
	assert_string_equal(b.data, "007fff");
	pl_buf_clear(&b);
}

static void
times_there_and_back(void **state PL_UNUSED)
{
	static const struct {
		const char *in, *out;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z",
		    1795262400000 },
		{ "2026-11-21t12:00:00z", "2026-11-21T12:00:00Z",
		    1795262400000 },
		{ "2026-11-21T14:30:00+02:30", "2026-11-21T12:00:00Z",
		    1795262400000 },
		{ "2026-11-20T23:00:00-13:00", "2026-11-21T12:00:00Z",
		    1795262400000 },
		{ "2026-11-21T12:00:00.25Z", "2026-11-21T12:00:00.250Z",
		    1795262400250 },
		{ "2026-11-21T12:00:00.123456789Z",
		    "2026-11-21T12:00:00.123Z", 1795262400123 },
		{ "2024-02-29T23:59:60Z", "2024-03-01T00:00:00Z",
		    1709251200000 },
		{ "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z", -1 },
		{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
		    253402300799000 },
	};
	char text[PL_TIME_TEXT];
	int64_t ms;
	size_t i;

	for (i = 0; i < PL_NELEM(good); i++) {
		assert_int_equal(pl_time_parse(&ms, good[i].in, NULL), PL_OK);
		assert_true(ms == good[i].ms);
		pl_time_format(text, ms);
		assert_string_equal(text, good[i].out);
	}
	pl_time_format(text, INT64_MAX);
	assert_string_equal(text, "");
	pl_time_format(text, INT64_MIN);
	assert_string_equal(text, "");
}

/* Against libc's calendar, over four centuries by odd steps. */
static void
times_agree_with_libc(void **state PL_UNUSED)
{
	const int64_t day = 86400000;
	char text[PL_TIME_TEXT];
	int64_t ms, back;

	for (ms = -70 * 365 * day; ms < 430 * 365 * day;
	    ms += 37 * day + 7777777) {
		pl_time_format(text, ms);
		assert_int_equal(pl_time_parse(&back, text, NULL), PL_OK);
		assert_true(back == ms);
	}
}

static void
clocks_run(void **state PL_UNUSED)
{
	int64_t a = pl_mono_us(), b = pl_mono_us();

	assert_true(a > 0 && b >= a);
	assert_true(pl_mono_ms() >= a / 1000);
	assert_true(pl_wall_ms() > 1700000000000);
}

static void
random_is_even_enough(void **state PL_UNUSED)
{
	unsigned seen[36] = { 0 }, sides[6] = { 0 };
	char name[721];
	size_t i, round;

	for (round = 0; round < 10; round++) {
		pl_random_name(name, 720);
		assert_int_equal(strlen(name), 720);
		for (i = 0; i < 720; i++)
			if (name[i] >= 'a' && name[i] <= 'z')
				seen[name[i] - 'a']++;
			else if (name[i] >= '0' && name[i] <= '9')
				seen[26 + name[i] - '0']++;
			else
				fail_msg("'%c' in a random name", name[i]);
	}
	/* 200 expected each; 100 off is beyond seven deviations. */
	for (i = 0; i < 36; i++)
		assert_true(seen[i] > 100 && seen[i] < 300);
	for (i = 0; i < 6000; i++)
		sides[pl_random_below(6)]++;
	for (i = 0; i < 6; i++)
		assert_true(sides[i] > 750 && sides[i] < 1250);
	assert_int_equal(pl_random_below(1), 0);
	pl_random_name(name, 0);
	assert_string_equal(name, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(durations),
		cmocka_unit_test(hosts_and_ports),
		cmocka_unit_test(comparisons),
		cmocka_unit_test(suffixes_at_label_borders),
		cmocka_unit_test(escapes),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(times_there_and_back),
		cmocka_unit_test(times_agree_with_libc),
		cmocka_unit_test(clocks_run),
		cmocka_unit_test(random_is_even_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
