/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "responder.h"
#include "scratch.h"

#include <netinet/in.h>

/* Pairs of name and value, NULL at the end. */
static void
settings(struct pl_settings *s, const char *const *pairs)
{
	*s = (struct pl_settings){ 0 };
	for (; pairs[0] != NULL; pairs += 2)
		pl_settings_add(s, pairs[0], &pairs[1], 1);
}

static void
refused(const char *const *pairs, const char *why)
{
	struct pl_settings s;
	struct pl_err err;

	settings(&s, pairs);
	assert_int_equal(pl_desc_responder.check(&s, &err), PL_EINVAL);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s: %s", why, err.text);
	pl_settings_clear(&s);
}

#define PAIRS(...) (const char *const[]){ __VA_ARGS__, NULL }

static void
test_settings(void **state PL_UNUSED)
{
	refused(PAIRS("rate-limit", "1"), "zones or http-listen");
	refused(PAIRS("zones", "a.net"), "ns: ");
	refused(PAIRS("http-listen", "127.0.0.1", "listen", "127.0.0.1"),
	    "no use");
	refused(PAIRS("zones", "a.net", "ns", "ns.a.net"), "must follow");
	refused(PAIRS("zones", "a.net", "ns", "ns.a.net x"), "not an address");
	refused(PAIRS("zones", "a..net", "ns", "ns.b.net"), "not a name");
	refused(PAIRS("zones", "", "ns", "ns.b.net"), "not a name");
	refused(PAIRS("zones", "a.net", "ns", "ns.b.net", "hostmaster", "a@"),
	    "mailbox");
}

/* The address and the option are named, for either kind of socket. */
static void
test_taken(void **state PL_UNUSED)
{
	static const int types[] = { SOCK_DGRAM, SOCK_STREAM };

	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof(sa);
		int fd = socket(AF_INET, types[i], 0);
		char where[32], port[16];
		struct pl_settings s;
		struct pl_err err;
		void *self;

		assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
		if (types[i] == SOCK_STREAM)
			listen(fd, 1);
		getsockname(fd, (struct sockaddr *)&sa, &len);
		snprintf(where, sizeof(where), "127.0.0.1:%u",
		    ntohs(sa.sin_port));
		snprintf(port, sizeof(port), "port %u", ntohs(sa.sin_port));
		settings(&s, PAIRS("zones", "a.net", "ns", "ns.b.net",
		    "listen", where));
		assert_int_equal(pl_provider_responder.open(&self, &s, &err),
		    PL_EINVAL);
		assert_null(self);
		assert_non_null(strstr(err.text, "listen: "));
		assert_non_null(strstr(err.text, port));
		assert_non_null(strstr(err.text, "another program"));
		pl_settings_clear(&s);
		close(fd);
	}
}

static void
test_addresses(void **state PL_UNUSED)
{
	static const char *const bad[] = { "localhost", "192.0.2", "[::1",
		"127.0.0.1:0", "127.0.0.1:99999", "" };
	struct sockaddr_storage sa;
	socklen_t len;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(bad); i++) {
		pl_err_clear(&err);
		assert_int_equal(pl_listen_parse(&sa, &len, bad[i], 53, &err),
		    PL_EINVAL);
		assert_string_not_equal(err.text, "");
	}
	assert_int_equal(pl_listen_parse(&sa, &len, "[::]", 53, &err), PL_OK);
	assert_int_equal(sa.ss_family, AF_INET6);
	assert_int_equal(pl_listen_parse(&sa, &len, "127.0.0.1", 53, &err),
	    PL_OK);
	assert_int_equal(sa.ss_family, AF_INET);
}

static void
request(const char *text, const char *status)
{
	struct web_files none = { .list = NULL };
	struct pl_buf out;
	bool whole;

	pl_buf_init(&out, PL_LIM_LINE);
	whole = pl_http_answer(&none, true, text, strlen(text), &out);
	if (whole != (status != NULL) || (whole &&
	    strncmp(out.data + 9, status, 3) != 0))
		fail_msg("%s: %s", text, out.data);
	pl_buf_clear(&out);
}

static void
test_requests(void **state PL_UNUSED)
{
	char big[4000];

	request("GET / HTTP/1.1\r\nHost: a\r\n", NULL);
	request("", NULL);
	request("\r\nGET / HTTP/1.1\r\n", "400");
	request("\x16\x03\x01", "400");		/* TLS */
	request("GET / HTTP/1.1\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a\r\n x: b\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400");
	request("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "400");
	request("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	request("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	request("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	request("GET /\r\n\r\n", "400");
	request("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505");
	request("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405");
	request("get / HTTP/1.1\r\nHost: a\r\n\r\n", "405");
	request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	    "413");
	request("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
	    "413");
	request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	    "301");
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	big[sizeof(big) - 1] = '\0';
	request(big, "414");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
