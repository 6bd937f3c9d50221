/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "http_lab.h"

static struct pl_err
open_fails(const char *endpoint)
{
	struct pl_http_opts o = { .endpoint = endpoint };
	struct pl_http *h;
	struct pl_err err;

	pl_err_clear(&err);
	assert_int_equal(pl_http_open(&h, &o, &err), PL_EINVAL);
	assert_null(h);
	return err;
}

static void
test_endpoints(void **state)
{
	static const char *const bad[] = { "", "x", "127.0.0.1:1", "https://",
		"https://a.test/path", "https://a.test/?q", "https://a.test/#f",
		"https://user@a.test", "https://u:p@a.test", "ftp://a.test",
		"file:///etc/passwd", "https://a.test\r\nX: y", "https://a b",
		"http://a.test", "http://192.0.2.1", "http://127.0.0.1.test",
		"http://localhost.test", "http://[::2]", "http://0.0.0.0",
		"http://128.0.0.1", "https://a.test:99999" };

	(void)state;
	for (size_t i = 0; i < PL_NELEM(bad); i++)
		(void)open_fails(bad[i]);
	assert_non_null(strstr(open_fails("http://a.test").text,
	    "https is needed"));
}

static void
test_certificates(void **state)
{
	static const struct {
		enum lab_port port;
		const char *why;
	} all[] = {
		{ LAB_EXPIRED, "expired" },
		{ LAB_WRONGHOST, "match" },
		{ LAB_UNKNOWN, "certificate" },
		{ LAB_OLD, "" },
	};
	struct pl_http_res r;
	struct pl_http *h;
	struct pl_err err;
	struct pl_buf before, after;

	pl_buf_init(&before, PL_LIM_BODY);
	pl_buf_init(&after, PL_LIM_BODY);
	lab_seen(*state, &before);
	for (size_t i = 0; i < PL_NELEM(all); i++) {
		h = lab_open(*state, all[i].port);
		assert_int_equal(lab_get(h, "/ok", &r, &err), PL_ENET);
		assert_int_equal(r.code, PL_ENET);
		assert_int_equal(r.status, 0);
		assert_false(r.sent);
		if (strstr(err.text, all[i].why) == NULL)
			fail_msg("%d: %s", (int)all[i].port, err.text);
		assert_memory_equal(err.text, "127.0.0.1:", 10);
		pl_http_res_clear(&r);
		pl_http_close(h);
	}
	lab_seen(*state, &after);
	assert_string_equal(before.data, after.data);
	pl_buf_clear(&before);
	pl_buf_clear(&after);
}

/* Only the given authorities count, not the system's beside them. */
static void
test_ca_file(void **state)
{
	struct lab *l = *state;
	struct pl_http_opts o = { .ca_file = "/nonexistent/ca.pem" };
	struct pl_http_res r;
	struct pl_http *h;
	struct pl_err err;
	char url[64];

	snprintf(url, sizeof(url), "https://127.0.0.1:%u",
	    l->ports[LAB_GOOD]);
	o.endpoint = url;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	assert_int_equal(lab_get(h, "/ok", &r, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "ca-file"));
	pl_http_res_clear(&r);
	pl_http_close(h);
	o.ca_file = NULL;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	assert_int_equal(lab_get(h, "/ok", &r, &err), PL_ENET);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

static void
test_redirect(void **state)
{
	static const char *const all[] = { "/redirect?301", "/redirect?302",
		"/redirect?303", "/redirect?307", "/redirect?308" };
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;
	struct pl_buf seen;

	for (size_t i = 0; i < PL_NELEM(all); i++) {
		assert_int_equal(lab_get(h, all[i], &r, &err), PL_OK);
		assert_int_equal(r.status, (int)strtol(all[i] + 10, NULL, 10));
		pl_http_res_clear(&r);
	}
	pl_buf_init(&seen, PL_LIM_BODY);
	lab_seen(*state, &seen);
	assert_non_null(strstr(seen.data, "GET /redirect?301 Bearer canary"));
	assert_null(strstr(seen.data, "/stolen"));
	pl_buf_clear(&seen);
	pl_http_close(h);
}

static void
expect_call(void **state, const char *target, enum pl_code code,
    const char *why)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;
	int64_t start = pl_mono_ms();

	assert_int_equal(lab_get(h, target, &r, &err), code);
	assert_int_equal(r.code, code);
	assert_true(r.sent);
	assert_int_equal(r.body.len, 0);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s: %s", target, err.text);
	assert_true(pl_mono_ms() - start < 25000);
	pl_http_res_clear(&r);
	/* The next call is as good as ever. */
	assert_int_equal(lab_get(h, "/ok", &r, &err), PL_OK);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

static void
test_sizes(void **state)
{
	expect_call(state, "/big", PL_EPROTO, "too large");
	expect_call(state, "/endless", PL_EPROTO, "too large");
	expect_call(state, "/headers", PL_EPROTO, "too large");
}

static void
test_broken(void **state)
{
	expect_call(state, "/truncated", PL_ENET, "");
	expect_call(state, "/drop", PL_ENET, "");
	expect_call(state, "/garbage", PL_EPROTO, "");
}

static void
test_slow(void **state)
{
	expect_call(state, "/slow", PL_ENET, "too slow");
}

static void
test_deadline(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_req q = { .method = "GET", .target = "/silent" };
	struct pl_http_res r;
	struct pl_err err;

	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() + 300, &err),
	    PL_ENET);
	assert_true(r.sent);
	pl_http_res_clear(&r);
	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() - 1, &err),
	    PL_ENET);
	assert_false(r.sent);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

static void
test_refused(void **state)
{
	struct pl_http_opts o = { .endpoint = "https://127.0.0.1:1" };
	struct pl_http_res r;
	struct pl_http *h;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	assert_int_equal(lab_get(h, "/", &r, &err), PL_ENET);
	assert_false(r.sent);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

/* A request with a body that got no answer on a kept connection goes out
 * once, although libcurl would repeat it. */
static void
test_no_repeat(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_req q = { .method = "POST", .target = "/drop/once",
		.body = "{}", .body_len = 2 };
	struct pl_http_res r;
	struct pl_err err;
	struct pl_buf seen;
	const char *first;

	assert_int_equal(lab_get(h, "/ok", &r, &err), PL_OK);
	pl_http_res_clear(&r);
	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() + 30000, &err),
	    PL_ENET);
	assert_true(r.sent);
	pl_http_res_clear(&r);
	pl_buf_init(&seen, PL_LIM_BODY);
	lab_seen(*state, &seen);
	first = strstr(seen.data, "POST /drop/once");
	assert_non_null(first);
	assert_null(strstr(first + 1, "POST /drop/once"));
	pl_buf_clear(&seen);
	pl_http_close(h);
}

static void
test_bad_requests(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_secret *secrets[] = { pl_secret_new("a\r\nX: y", 7),
		pl_secret_new("a\nb", 3), pl_secret_new("a\0b", 3),
		pl_secret_new("a\x7f", 2) };
	static const char *const targets[] = { "", "ok", "/a b", "/a\r\n",
		"@evil.test/", ":80@evil.test/", ".evil.test/" };
	static const char *const names[] = { "", "A B", "A:", "A\r\nB" };
	struct pl_http_header x[] = { { "A", "v", NULL }, { NULL, NULL,
		NULL } };
	struct pl_http_req q = { .method = "GET", .target = "/ok",
		.headers = x };
	struct pl_http_res r;
	struct pl_err err;
	int64_t end = pl_mono_ms() + 30000;

	for (size_t i = 0; i < PL_NELEM(secrets); i++) {
		x[0].secret = secrets[i];
		assert_int_equal(pl_http_call(h, &q, &r, end, &err),
		    PL_EINVAL);
		assert_false(r.sent);
		pl_http_res_clear(&r);
		pl_secret_free(secrets[i]);
	}
	x[0].secret = NULL;
	x[0].value = "v\r\nInjected: yes";
	assert_int_equal(pl_http_call(h, &q, &r, end, &err), PL_EINVAL);
	pl_http_res_clear(&r);
	x[0].value = "v";
	for (size_t i = 0; i < PL_NELEM(names); i++) {
		x[0].name = names[i];
		assert_int_equal(pl_http_call(h, &q, &r, end, &err),
		    PL_EINVAL);
		pl_http_res_clear(&r);
	}
	x[0].name = "A";
	for (size_t i = 0; i < PL_NELEM(targets); i++) {
		q.target = targets[i];
		assert_int_equal(pl_http_call(h, &q, &r, end, &err),
		    PL_EINVAL);
		pl_http_res_clear(&r);
	}
	q.target = "/ok";
	q.method = "CONNECT";
	assert_int_equal(pl_http_call(h, &q, &r, end, &err), PL_EINVAL);
	pl_http_res_clear(&r);
	q.method = "GET";
	q.content_type = "a\nb";
	assert_int_equal(pl_http_call(h, &q, &r, end, &err), PL_EINVAL);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_ca_file),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_repeat),
		cmocka_unit_test(test_bad_requests),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
