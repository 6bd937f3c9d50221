/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The provider as a worker has it, on ports of loopback. */
#include "responder.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#define ZONE "dcv.example.net"
#define NAME "_acme-challenge." ZONE
#define FILE_PATH "/.well-known/acme-challenge/token"
#define HEAD_END "\r\n\r\n"

static const struct pl_call call = { .deadline = INT64_MAX };

struct bed {
	void *self;
	uint16_t dns, web;
};

/* A port that is free for TCP and UDP. */
static uint16_t
free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int t, u;

	for (;;) {
		t = socket(AF_INET, SOCK_STREAM, 0);
		u = socket(AF_INET, SOCK_DGRAM, 0);
		sa.sin_port = 0;
		assert_int_equal(bind(t, (struct sockaddr *)&sa, len), 0);
		getsockname(t, (struct sockaddr *)&sa, &len);
		if (bind(u, (struct sockaddr *)&sa, len) == 0)
			break;
		close(t);
		close(u);
	}
	close(t);
	close(u);
	return ntohs(sa.sin_port);
}

static void
set(struct pl_settings *s, const char *name, const char *value)
{
	pl_settings_add(s, name, &value, 1);
}

static struct bed
bed_open(const char *rate)
{
	struct pl_settings s = { 0 };
	struct bed b = { .dns = free_port(), .web = free_port() };
	char dns[32], web[32];
	struct pl_err err;

	snprintf(dns, sizeof(dns), "127.0.0.1:%u", b.dns);
	snprintf(web, sizeof(web), "127.0.0.1:%u", b.web);
	set(&s, "zones", ZONE);
	set(&s, "ns", "ns1." ZONE " 127.0.0.1");
	set(&s, "listen", dns);
	set(&s, "http-listen", web);
	set(&s, "http-redirect", "true");
	set(&s, "rate-limit", rate);
	assert_int_equal(pl_desc_responder.check(&s, &err), PL_OK);
	if (pl_provider_responder.open(&b.self, &s, &err) != PL_OK)
		fail_msg("%s", err.text);
	pl_settings_clear(&s);
	return b;
}

static struct pl_outcome
change(struct bed *b, enum pl_op op, enum pl_kind kind, const char *name,
    const char *value, enum pl_code want)
{
	struct pl_change c = { .op = op, .kind = kind, .name = name,
		.ttl = 1, .value = value, .value_len = strlen(value) };
	struct pl_outcome out = { .code = PL_EUNDONE };
	struct pl_err err;
	enum pl_code rc;

	pl_err_clear(&err);
	rc = pl_provider_responder.apply(b->self, &call,
	    kind == PL_FILE ? "local" : ZONE, &c, &out, 1, &err);
	if (rc != want || out.code != want)
		fail_msg("%s: %d, %d: %s", name, (int)rc, (int)out.code,
		    err.text);
	return out;
}

/* Serves until the descriptor can be read. */
static void
serve_until(struct bed *b, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = pl_provider_responder.fd(b->self),
		.events = POLLIN } };

	for (int i = 0; i < 1000; i++) {
		poll(p, 2, 100);
		if (p[0].revents != 0)
			return;
		pl_provider_responder.serve(b->self);
	}
	fail_msg("no answer");
}

static int
reach(uint16_t port, int type)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Writes text, reads to the end. */
static void
web(struct bed *b, const char *text, struct pl_buf *out)
{
	char chunk[4096];
	ssize_t n;
	int fd = reach(b->web, SOCK_STREAM);

	pl_buf_init(out, PL_LIM_BODY);
	assert_int_equal(send(fd, text, strlen(text), 0),
	    (ssize_t)strlen(text));
	do {
		serve_until(b, fd);
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			pl_buf_add(out, chunk, (size_t)n);
	} while (n > 0);
	close(fd);
}

static void
web_status(struct bed *b, const char *text, const char *status,
    const char *with)
{
	struct pl_buf out;

	web(b, text, &out);
	if (strncmp(out.data, status, strlen(status)) != 0 ||
	    strstr(out.data, with) == NULL)
		fail_msg("%s%s", text, out.data);
	pl_buf_clear(&out);
}

static size_t
dns_texts(struct bed *b, int type, const char *name)
{
	unsigned char q[602], out[2000];
	size_t n = pl_dns_query(q + 2, sizeof(q) - 2, name, PL_DNS_TXT, 0);
	size_t skip = type == SOCK_STREAM ? 2 : 0, found = 0;
	int fd = reach(b->dns, type);
	struct pl_dns_msg m;
	struct pl_err err;
	ssize_t got;

	q[0] = (unsigned char)(n >> 8);
	q[1] = (unsigned char)n;
	assert_true(send(fd, q + 2 - skip, n + skip, 0) > 0);
	serve_until(b, fd);
	got = recv(fd, out, sizeof(out), 0);
	assert_true(got > 12);
	assert_int_equal(pl_dns_parse(&m, out + skip, (size_t)got - skip,
	    &err), PL_OK);
	for (size_t i = 0; i < m.nrr; i++)
		found += m.rr[i].type == PL_DNS_TXT;
	pl_dns_msg_clear(&m);
	close(fd);
	return found;
}

static void
test_dns(void **state PL_UNUSED)
{
	struct bed b = bed_open("0");
	struct pl_outcome o;

	o = change(&b, PL_LOOK, PL_TXT, NAME, "one", PL_OK);
	assert_int_equal(o.was, PL_WAS_ABSENT);
	assert_int_equal(dns_texts(&b, SOCK_DGRAM, NAME), 0);
	o = change(&b, PL_ADD, PL_TXT, NAME, "one", PL_OK);
	assert_int_equal(o.was, PL_WAS_ABSENT);
	o = change(&b, PL_ADD, PL_TXT, NAME, "one", PL_OK);
	assert_int_equal(o.was, PL_WAS_PRESENT);
	change(&b, PL_ADD, PL_TXT, NAME, "two", PL_OK);
	assert_int_equal(dns_texts(&b, SOCK_DGRAM, NAME), 2);
	assert_int_equal(dns_texts(&b, SOCK_STREAM, NAME), 2);
	change(&b, PL_DEL, PL_TXT, NAME, "one", PL_OK);
	change(&b, PL_DEL, PL_TXT, NAME, "one", PL_OK);
	assert_int_equal(dns_texts(&b, SOCK_STREAM, NAME), 1);
	pl_provider_responder.close(b.self);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* From apply to an answer that has the value; tests/bench asks how long. */
static void
test_latency(void **state PL_UNUSED)
{
	const char *text = getenv("RESPONDER_LATENCY");
	struct bed b = bed_open("0");
	int64_t n = 20, *us, start;
	char name[64];

	if (text != NULL)
		pl_int_parse(&n, text, 1, 100000, NULL);
	us = pl_array((size_t)n, sizeof(*us));
	for (int64_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "_acme-challenge.n%d." ZONE,
		    (int)i);
		start = pl_mono_us();
		change(&b, PL_ADD, PL_TXT, name, "value", PL_OK);
		assert_int_equal(dns_texts(&b, SOCK_DGRAM, name), 1);
		us[i] = pl_mono_us() - start;
	}
	qsort(us, (size_t)n, sizeof(*us), by_size);
	if (text != NULL)
		printf("latency us: %d, %d, %d\n", (int)us[n / 2],
		    (int)us[n * 99 / 100], (int)us[n - 1]);
	free(us);
	pl_provider_responder.close(b.self);
}

static void
test_alias(void **state PL_UNUSED)
{
	struct bed b = bed_open("0");
	struct pl_outcome o;

	change(&b, PL_ADD, PL_CNAME, NAME, "a.example.org", PL_OK);
	o = change(&b, PL_LOOK, PL_TXT, NAME, "v", PL_ECONFLICT);
	assert_string_equal(o.alias, "a.example.org");
	change(&b, PL_DEL, PL_CNAME, NAME, "a.example.org", PL_OK);
	change(&b, PL_ADD, PL_TXT, NAME, "v", PL_OK);
	pl_provider_responder.close(b.self);
}

static void
test_scope(void **state PL_UNUSED)
{
	struct bed b = bed_open("0");
	char scope[PL_NAME_MAX];
	struct pl_err err;

	assert_int_equal(pl_provider_responder.scope(b.self, &call, NAME,
	    scope, &err), PL_OK);
	assert_string_equal(scope, ZONE);
	assert_int_equal(pl_provider_responder.scope(b.self, &call, FILE_PATH,
	    scope, &err), PL_OK);
	assert_string_equal(scope, "local");
	assert_int_equal(pl_provider_responder.scope(b.self, &call,
	    "_acme-challenge.example.net", scope, &err), PL_ENOZONE);
	assert_int_equal(pl_provider_responder.apply(b.self, &call, ZONE,
	    NULL, NULL, 0, &err), PL_OK);
	assert_int_equal(pl_provider_responder.apply(b.self, &call,
	    "example.net", NULL, NULL, 0, &err), PL_ENOZONE);
	pl_provider_responder.close(b.self);
}

static void
test_web(void **state PL_UNUSED)
{
	struct bed b = bed_open("0");

	web_status(&b, "GET " FILE_PATH " HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 404 ", "close");
	change(&b, PL_ADD, PL_FILE, FILE_PATH, "token.print", PL_OK);
	web_status(&b, "GET " FILE_PATH " HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n", HEAD_END "token.print");
	web_status(&b, "GET " FILE_PATH "?x HTTP/1.0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n", HEAD_END "token.print");
	web_status(&b, "GET http://a" FILE_PATH " HTTP/1.1\r\nhost:a:80\r\n"
	    HEAD_END, "HTTP/1.1 200 OK\r\n", HEAD_END "token.print");
	web_status(&b, "HEAD " FILE_PATH " HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n", "Content-Length: 11\r\n");
	web_status(&b, "GET " FILE_PATH "x HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 404 ", "404");
	web_status(&b, "GET /a?b HTTP/1.1\r\nHost: www.a.org:80\r\n\r\n",
	    "HTTP/1.1 301 ", "Location: https://www.a.org/a?b\r\n");
	change(&b, PL_ADD, PL_FILE, FILE_PATH, "other", PL_EREMOTE);
	change(&b, PL_DEL, PL_FILE, FILE_PATH, "other", PL_OK);
	change(&b, PL_DEL, PL_FILE, FILE_PATH, "token.print", PL_OK);
	web_status(&b, "GET " FILE_PATH " HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 404 ", "close");
	pl_provider_responder.close(b.self);
}

/* Many questions at once on one connection; more connections than places. */
static void
test_streams(void **state PL_UNUSED)
{
	struct bed b = bed_open("0");
	unsigned char q[602], all[64 * 602], out[4096];
	size_t n = pl_dns_query(q + 2, sizeof(q) - 2, NAME, PL_DNS_TXT, 0);
	size_t want = 0, have = 0;
	int fd[300];
	ssize_t got;

	q[0] = (unsigned char)(n >> 8);
	q[1] = (unsigned char)n;
	for (int i = 0; i < 64; i++)
		memcpy(all + (size_t)i * (n + 2), q, n + 2);
	for (int i = 0; i < 300; i++) {
		fd[i] = reach(b.dns, SOCK_STREAM);
		pl_provider_responder.serve(b.self);
	}
	assert_int_equal(send(fd[299], all, 64 * (n + 2), 0),
	    (ssize_t)(64 * (n + 2)));
	do {
		serve_until(&b, fd[299]);
		got = recv(fd[299], out, sizeof(out), 0);
		assert_true(got > 0);
		if (want == 0)
			want = 64 * (((size_t)out[0] << 8 | out[1]) + 2);
		have += (size_t)got;
	} while (have < want);
	assert_int_equal(have, want);
	/* The oldest one had to go. */
	assert_int_equal(recv(fd[0], out, 1, 0), 0);
	for (int i = 0; i < 300; i++)
		close(fd[i]);
	pl_provider_responder.close(b.self);
}

static void
test_limit(void **state PL_UNUSED)
{
	struct pl_limit *l = pl_limit_new(10);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *sa = (const struct sockaddr *)&in,
	    *sa6 = (const struct sockaddr *)&in6;
	int count[3] = { 0 };

	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	for (int i = 0; i < 30; i++)
		count[pl_limit_take(l, sa, 1000)]++;
	assert_int_equal(count[LIMIT_ANSWER], 10);
	assert_int_equal(count[LIMIT_CUT], 10);
	assert_int_equal(count[LIMIT_DROP], 10);
	/* The same network, another network, another family. */
	inet_pton(AF_INET, "192.0.2.200", &in.sin_addr);
	assert_int_not_equal(pl_limit_take(l, sa, 1000), LIMIT_ANSWER);
	inet_pton(AF_INET, "192.0.3.1", &in.sin_addr);
	assert_int_equal(pl_limit_take(l, sa, 1000), LIMIT_ANSWER);
	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	assert_int_equal(pl_limit_take(l, sa6, 1000), LIMIT_ANSWER);
	/* IPv4 by a socket of both families is no network of its own. */
	inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr);
	assert_int_not_equal(pl_limit_take(l, sa6, 1000), LIMIT_ANSWER);
	inet_pton(AF_INET6, "::ffff:198.51.100.9", &in6.sin6_addr);
	assert_int_equal(pl_limit_take(l, sa6, 1000), LIMIT_ANSWER);
	/* A tenth of a second is one more. */
	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	assert_int_equal(pl_limit_take(l, sa, 1100), LIMIT_ANSWER);
	assert_int_not_equal(pl_limit_take(l, sa, 1100), LIMIT_ANSWER);
	pl_limit_free(l);
	assert_null(pl_limit_new(0));
	assert_int_equal(pl_limit_take(NULL, sa, 0), LIMIT_ANSWER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
