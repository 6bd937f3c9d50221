/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "http_lab.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#define NGINX "/usr/sbin/nginx"

static void
test_call(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;
	char text[32];

	assert_int_equal(lab_get(h, "/ok?a=1", &r, &err), PL_OK);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body.data, "{\"ok\":true}");
	assert_true(r.sent);
	assert_string_equal(pl_http_header_get(&r, "etag", text,
	    sizeof(text)), "one two");
	assert_string_equal(pl_http_header_get(&r, "X-TWICE", text,
	    sizeof(text)), "first");
	assert_null(pl_http_header_get(&r, "X-Twic", text, sizeof(text)));
	assert_null(pl_http_header_get(&r, "etag", text, 7));
	assert_true(llabs(r.date - pl_wall_ms()) < 10000);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

static void
test_request(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_secret *s = pl_secret_new("pass word", 9);
	struct pl_http_header headers[] = { { "X-Key", "", s },
		{ "X-Empty", "", NULL }, { "X-Both", "a ", s },
		{ NULL, NULL, NULL } };
	struct pl_http_req q = { "PATCH", "/echo/../x%20y?z", headers,
		"{\"n\":1}", 7, "application/json" };
	struct pl_http_res r;
	struct pl_err err;

	q.target = "/echo/./x%20y?z";
	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() + 30000, &err),
	    PL_OK);
	assert_non_null(strstr(r.body.data, "PATCH /echo/./x%20y?z\n"));
	assert_non_null(strstr(r.body.data, "X-Key: pass word\n"));
	assert_non_null(strstr(r.body.data, "X-Empty: \n"));
	assert_non_null(strstr(r.body.data, "X-Both: a pass word\n"));
	assert_non_null(strstr(r.body.data,
	    "Content-Type: application/json\n"));
	assert_non_null(strstr(r.body.data, "User-Agent: placard/"));
	assert_non_null(strstr(r.body.data, "\n\n{\"n\":1}"));
	assert_null(strstr(r.body.data, "Accept-Encoding"));
	assert_null(strstr(r.body.data, "Expect"));
	pl_http_res_clear(&r);
	/* A body without a type, and none at all. */
	q = (struct pl_http_req){ .method = "POST", .target = "/echo",
		.body = "ab", .body_len = 2 };
	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() + 30000, &err),
	    PL_OK);
	assert_null(strstr(r.body.data, "Content-Type"));
	assert_non_null(strstr(r.body.data, "\n\nab"));
	pl_http_res_clear(&r);
	q = (struct pl_http_req){ .method = "DELETE", .target = "/echo" };
	assert_int_equal(pl_http_call(h, &q, &r, pl_mono_ms() + 30000, &err),
	    PL_OK);
	assert_non_null(strstr(r.body.data, "DELETE /echo\n"));
	assert_null(strstr(r.body.data, "Content-Length"));
	pl_http_res_clear(&r);
	pl_secret_free(s);
	pl_http_close(h);
}

static void
test_any_status(void **state)
{
	static const struct {
		const char *target;
		int status;
		enum pl_code code;
	} all[] = {
		{ "/status/400", 400, PL_EREMOTE },
		{ "/status/401", 401, PL_EAUTH },
		{ "/status/403", 403, PL_EAUTH },
		{ "/status/404", 404, PL_EREMOTE },
		{ "/status/408", 408, PL_ENET },
		{ "/status/409", 409, PL_ECONFLICT },
		{ "/status/412", 412, PL_ECONFLICT },
		{ "/status/422", 422, PL_EREMOTE },
		{ "/status/429", 429, PL_ELIMIT },
		{ "/status/500", 500, PL_ENET },
		{ "/status/503", 503, PL_ENET },
	};
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(all); i++) {
		assert_int_equal(lab_get(h, all[i].target, &r, &err), PL_OK);
		assert_int_equal(r.status, all[i].status);
		assert_string_equal(r.body.data, "said so");
		assert_int_equal(pl_http_code(r.status), all[i].code);
		pl_http_res_clear(&r);
	}
	assert_int_equal(pl_http_code(302), PL_EPROTO);
	pl_http_close(h);
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *target;
		int64_t low, high;
	} all[] = {
		{ "/retry/0", 0, 0 }, { "/retry/7", 7000, 7000 },
		{ "/retry/3600", 3600000, 3600000 },
		{ "/retry/3601", 3600000, 3600000 },
		{ "/retry/99999999999999999999", 3600000, 3600000 },
		{ "/retry/-5", 0, 0 }, { "/retry/soon", 0, 0 },
		{ "/retry/date/30", 28000, 31000 },
		{ "/retry/date/-30", 0, 0 },
		{ "/retry/date/999999", 3600000, 3600000 },
	};
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(all); i++) {
		assert_int_equal(lab_get(h, all[i].target, &r, &err), PL_OK);
		assert_in_range(r.retry_after, all[i].low, all[i].high);
		pl_http_res_clear(&r);
	}
	pl_http_close(h);
}

static void
test_many(void **state)
{
	enum { N = 40 };
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_req q[N];
	struct pl_http_res r[N];
	struct pl_err err;
	char target[N][32];

	for (int i = 0; i < N; i++) {
		snprintf(target[i], sizeof(target[i]), "/status/%d", 240 + i);
		q[i] = (struct pl_http_req){ .method = "GET",
			.target = target[i] };
	}
	assert_int_equal(pl_http_many(h, q, r, N, 6, pl_mono_ms() + 30000,
	    &err), PL_OK);
	for (int i = 0; i < N; i++) {
		assert_int_equal(r[i].code, PL_OK);
		assert_int_equal(r[i].status, 240 + i);
		pl_http_res_clear(&r[i]);
	}
	/* One that fails does not spoil the others. */
	q[1].target = "/truncated";
	assert_int_equal(pl_http_many(h, q, r, 3, 2, pl_mono_ms() + 30000,
	    &err), PL_ENET);
	assert_int_equal(r[0].code, PL_OK);
	assert_int_equal(r[1].code, PL_ENET);
	assert_int_equal(r[2].code, PL_OK);
	for (int i = 0; i < 3; i++)
		pl_http_res_clear(&r[i]);
	assert_int_equal(pl_http_many(h, q, r, 0, 2, 0, &err), PL_OK);
	pl_http_close(h);
}

static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)(void *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a,
	    &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static pid_t
nginx_start(const struct lab *l, unsigned port)
{
	const char *dir = l->folder;
	char path[600];
	struct pl_buf b;
	pid_t pid;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "daemon off; master_process off; pid %s/nginx.pid; "
	    "error_log %s/nginx.err; events { } http { "
	    "log_format x \"$server_protocol $connection\"; "
	    "access_log %s/nginx.log x; client_body_temp_path %s/t; "
	    "proxy_temp_path %s/t; fastcgi_temp_path %s/t; "
	    "uwsgi_temp_path %s/t; scgi_temp_path %s/t; server { "
	    "listen 127.0.0.1:%u ssl http2; ssl_certificate %s/good; "
	    "ssl_certificate_key %s/good; location / { return 200 ok; } } }",
	    dir, dir, dir, dir, dir, dir, dir, dir, port, dir, dir);
	scratch_path(path, sizeof(path), &l->folder, "nginx.conf");
	scratch_write(path, b.data, b.len, 0600);
	pl_buf_clear(&b);
	pid = fork();
	if (pid == 0) {
		execl(NGINX, "nginx", "-p", dir, "-e", "/dev/null", "-c", path,
		    (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Requests share one connection where the server knows HTTP/2. */
static void
test_http2(void **state)
{
	struct lab *l = *state;
	struct pl_http_req q[40];
	struct pl_http_res r[40];
	struct pl_http_opts o = { .ca_file = l->ca };
	unsigned port = free_port();
	struct pl_http *h;
	struct pl_buf log;
	struct pl_err err;
	char url[64], path[600];
	int64_t end = pl_mono_ms() + 20000;
	pid_t pid;

	if (access(NGINX, X_OK) != 0)
		skip();
	pid = nginx_start(l, port);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
	o.endpoint = url;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	while (lab_get(h, "/", &r[0], &err) != PL_OK && pl_mono_ms() < end) {
		pl_http_res_clear(&r[0]);
		usleep(20000);
	}
	pl_http_res_clear(&r[0]);
	for (int i = 0; i < 40; i++)
		q[i] = (struct pl_http_req){ .target = "/",
			.method = i % 2 != 0 ? "POST" : "GET",
			.body = i % 2 != 0 ? "{}" : NULL,
			.body_len = i % 2 != 0 ? 2 : 0 };
	assert_int_equal(pl_http_many(h, q, r, 40, 8, end, &err), PL_OK);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(r[i].status, 200);
		pl_http_res_clear(&r[i]);
	}
	pl_http_close(h);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	scratch_path(path, sizeof(path), &l->folder, "nginx.log");
	pl_buf_init(&log, PL_LIM_BODY);
	assert_int_equal(pl_file_read(&log, path, &err), PL_OK);
	assert_memory_equal(log.data, "HTTP/2.0 ", 9);
	for (const char *p = log.data; *p != '\0'; p = strchr(p, '\n') + 1)
		assert_memory_equal(p, log.data, (size_t)(strchr(log.data,
		    '\n') - log.data));
	pl_buf_clear(&log);
}

/* With a rate, calls wait for their turn. */
static void
test_rate(void **state)
{
	struct lab *l = *state;
	struct pl_http_opts o = { .ca_file = l->ca, .rate = 30 };
	struct pl_http_req q[26];
	struct pl_http_res r[26];
	struct pl_http *h;
	struct pl_err err;
	int64_t start = pl_mono_ms();
	char url[64];

	snprintf(url, sizeof(url), "https://127.0.0.1:%u",
	    l->ports[LAB_GOOD]);
	o.endpoint = url;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	for (int i = 0; i < 26; i++)
		q[i] = (struct pl_http_req){ .method = "GET",
			.target = "/ok" };
	assert_int_equal(pl_http_many(h, q, r, 26, 4, start + 30000, &err),
	    PL_OK);
	/* 4 at once, 22 more at 30 a second. */
	assert_true(pl_mono_ms() - start >= 700);
	for (int i = 0; i < 26; i++)
		pl_http_res_clear(&r[i]);
	/* The deadline ends the waiting. */
	assert_int_equal(pl_http_many(h, q, r, 26, 4, pl_mono_ms() + 200,
	    &err), PL_ENET);
	assert_int_equal(r[25].code, PL_ENET);
	assert_false(r[25].sent);
	for (int i = 0; i < 26; i++)
		pl_http_res_clear(&r[i]);
	pl_http_close(h);
}

static void
test_interim(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;
	char text[8];

	assert_int_equal(lab_get(h, "/interim", &r, &err), PL_OK);
	assert_int_equal(r.status, 200);
	assert_null(pl_http_header_get(&r, "X-Early", text, sizeof(text)));
	assert_non_null(pl_http_header_get(&r, "X-Late", text,
	    sizeof(text)));
	pl_http_res_clear(&r);
	pl_http_close(h);
}

static void
test_plain(void **state)
{
	struct pl_http *h = lab_open(*state, LAB_PLAIN);
	struct pl_http_res r;
	struct pl_err err;

	assert_int_equal(lab_get(h, "/ok", &r, &err), PL_OK);
	assert_int_equal(r.status, 200);
	pl_http_res_clear(&r);
	pl_http_close(h);
}

/* Proxies that the environment names are not asked. */
static void
test_no_proxy(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy",
		"HTTPS_PROXY", "ALL_PROXY", "all_proxy" };
	struct pl_http *h;
	struct pl_http_res r;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(names); i++)
		setenv(names[i], "http://127.0.0.1:9", 1);
	for (enum lab_port p = LAB_GOOD; p <= LAB_PLAIN;
	    p += LAB_PLAIN - LAB_GOOD) {
		h = lab_open(*state, p);
		assert_int_equal(lab_get(h, "/ok", &r, &err), PL_OK);
		assert_int_equal(r.status, 200);
		pl_http_res_clear(&r);
		pl_http_close(h);
	}
	for (size_t i = 0; i < PL_NELEM(names); i++)
		unsetenv(names[i]);
}

static void
test_log(void **state)
{
	struct lab *l = *state;
	struct pl_http *h = lab_open(l, LAB_GOOD);
	struct pl_http_res r;
	struct pl_err err;
	struct pl_buf text, want;
	char path[600];
	struct pl_log log = { .level = PL_LOG_DEBUG };

	scratch_path(path, sizeof(path), &l->folder, "log");
	log.fd = open(path, O_WRONLY | O_CREAT, 0600);
	pl_http_log(h, &log);
	assert_int_equal(lab_get(h, "/ok?canary-query", &r, &err), PL_OK);
	pl_http_res_clear(&r);
	close(log.fd);
	pl_buf_init(&text, PL_LIM_LINE);
	pl_buf_init(&want, PL_LIM_LINE);
	assert_int_equal(pl_file_read(&text, path, &err), PL_OK);
	pl_buf_addf(&want, "http method=GET url=https://127.0.0.1:%u/ok "
	    "status=200 octets=11 ms=", l->ports[LAB_GOOD]);
	assert_non_null(strstr(text.data, want.data));
	assert_null(strstr(text.data, "canary"));
	pl_buf_clear(&text);
	pl_buf_clear(&want);
	pl_http_close(h);
}

static void
test_same_host(void **state)
{
	static const char *const other[] = { "https://elsewhere.invalid/x",
		"http://127.0.0.1:1/x", "/x", "x", "", "//127.0.0.1/x",
		"https://127.0.0.1/x", "https://u:p@127.0.0.1/x" };
	struct lab *l = *state;
	struct pl_http *h = lab_open(l, LAB_GOOD);
	struct pl_buf b;
	struct pl_err err;
	char url[96];

	pl_buf_init(&b, PL_LIM_LINE);
	snprintf(url, sizeof(url), "HTTPS://127.0.0.1:%u/a/../b?c=%%20d",
	    l->ports[LAB_GOOD]);
	assert_int_equal(pl_http_same_host(h, url, &b, &err), PL_OK);
	assert_string_equal(b.data, "/a/../b?c=%20d");
	for (size_t i = 0; i < PL_NELEM(other); i++)
		assert_int_equal(pl_http_same_host(h, other[i], &b, &err),
		    PL_EPROTO);
	snprintf(url, sizeof(url), "https://user@127.0.0.1:%u/",
	    l->ports[LAB_GOOD]);
	assert_int_equal(pl_http_same_host(h, url, &b, &err), PL_EPROTO);
	pl_buf_clear(&b);
	pl_http_close(h);
}

static void
test_escape(void **state)
{
	struct pl_secret *s = pl_secret_new("a&b=c +%\xc3\xa9", 10);
	struct pl_buf b;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_url_escape(&b, "aZ09-._~/ ?", false);
	assert_string_equal(b.data, "aZ09-._~%2F%20%3F");
	pl_buf_reset(&b);
	pl_url_escape(&b, "a/b c", true);
	assert_string_equal(b.data, "a/b%20c");
	pl_buf_reset(&b);
	pl_form_add(&b, "name", "x y");
	pl_form_add_secret(&b, "pass", s);
	assert_string_equal(b.data,
	    "name=x%20y&pass=a%26b%3Dc%20%2B%25%C3%A9");
	pl_buf_clear(&b);
	pl_secret_free(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_any_status),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_http2),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_interim),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_no_proxy),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_same_host),
		cmocka_unit_test(test_escape),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
