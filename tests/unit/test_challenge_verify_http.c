/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Files as a CA fetches them, in a network of its own. */

#include "verify_lab.h"

#define ACME "/.well-known/acme-challenge/"
#define PKI "/.well-known/pki-validation/"

static const char *const resolvers[] = { "127.0.0.1", NULL };

static const char zone_test[] =
    "$TTL 300\n@ SOA a h 1 3600 600 86400 60\n@ NS a\na A 127.0.0.1\n"
    "site A 127.0.0.80\nsite AAAA fd00::80\n"
    "half A 127.0.0.80\nhalf A 127.0.0.99\n"
    "two A 127.0.0.80\ntwo A 127.0.0.81\n"
    "away A 127.0.0.99\naway A 127.0.0.80\nempty TXT \"x\"\n";

/* ---- a web server ------------------------------------------------------- */

static void
say(int fd, const char *fmt, ...) PL_PRINTF(2, 3);

static void
say(int fd, const char *fmt, ...)
{
	char out[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, sizeof(out), fmt, ap);
	va_end(ap);
	(void)!write(fd, out, (size_t)n);
}

static void
say_body(int fd, const char *status, const char *body)
{
	say(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n"
	    "\r\n%s", status, strlen(body), body);
}

static void
redirect(int fd, unsigned status, const char *to)
{
	say(fd, "HTTP/1.1 %u Moved\r\nLocation: %s\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n", status, to);
}

static void
serve_one(int fd, const char *req, const char *own)
{
	char path[256] = "", host[256] = "", *p;
	char big[1024];

	sscanf(req, "GET %255s", path);
	if ((p = strcasestr(strdup(req), "\r\nHost: ")) != NULL)
		sscanf(p, "\r\nHost: %255s", host);
	if (strchr(host, ':') != NULL || strstr(host, ".test") == NULL)
		say_body(fd, "421 Misdirected", host);
	else if (strcmp(path, ACME "good") == 0 ||
	    strcmp(path, PKI "good.txt") == 0)
		say_body(fd, "200 OK", "token.thumb");
	else if (strcmp(path, ACME "own") == 0)
		say_body(fd, "200 OK", own);
	else if (strcmp(path, ACME "host") == 0)
		say_body(fd, "200 OK", host);
	else if (strcmp(path, ACME "newline") == 0)
		say_body(fd, "200 OK", "token.thumb\n");
	else if (strcmp(path, ACME "created") == 0 ||
	    strcmp(path, PKI "created") == 0)
		say_body(fd, "201 Created", "token.thumb");
	else if (strcmp(path, ACME "r301") == 0)
		redirect(fd, 301, ACME "good");
	else if (strcmp(path, ACME "r308") == 0)
		redirect(fd, 308, "http://away.test" ACME "host");
	else if (strcmp(path, ACME "tls") == 0)
		redirect(fd, 302, "https://site.test" ACME "tls");
	else if (strcmp(path, ACME "r305") == 0)
		redirect(fd, 305, ACME "good");
	else if (strcmp(path, ACME "loop") == 0)
		redirect(fd, 302, ACME "loop");
	else if (strcmp(path, ACME "port") == 0)
		redirect(fd, 302, "http://site.test:8080" ACME "good");
	else if (strcmp(path, ACME "address") == 0)
		redirect(fd, 302, "http://2130706433" ACME "good");
	else if (strcmp(path, ACME "ftp") == 0)
		redirect(fd, 302, "ftp://site.test/good");
	else if (strcmp(path, ACME "user") == 0)
		redirect(fd, 302, "http://u:p@site.test" ACME "good");
	else if (strcmp(path, ACME "garbage") == 0)
		say(fd, "%s", "garbage\n\n");
	else if (strcmp(path, ACME "big") == 0) {
		memset(big, 'x', sizeof(big));
		say(fd, "%s", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		for (int i = 0; i < 100; i++)
			(void)!write(fd, big, sizeof(big));
	} else if (strcmp(path, ACME "slow") == 0)
		sleep(30);
	else
		say_body(fd, "404 Not Found", "no");
}

/* RFC 8484: the message is the body; named is asked for the answer. */
static void
serve_doh(int fd, const char *req, size_t n)
{
	const char *body = memmem(req, n, "\r\n\r\n", 4);
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	int dns = socket(AF_INET, SOCK_DGRAM, 0);
	char a[4096], head[256];
	size_t len = body != NULL ? n - (size_t)(body + 4 - req) : 0;
	ssize_t got;
	int hn;

	if (len < 12 || strcasestr(req,
	    "content-type: application/dns-message") == NULL) {
		say_body(fd, "415 Unsupported", "");
		return;
	}
	inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
	if (sendto(dns, body + 4, len, 0, (struct sockaddr *)&sa,
	    sizeof(sa)) < 0 || (got = recv(dns, a, sizeof(a), 0)) < 12)
		return;
	hn = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: "
	    "application/dns-message\r\nContent-Length: %zd\r\n"
	    "Connection: close\r\n\r\n", got);
	(void)!write(fd, head, (size_t)hn);
	(void)!write(fd, a, (size_t)got);
}

static void
web_start(struct lab *lab, const char *addr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(80) };
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(80) };
	bool six = strchr(addr, ':') != NULL;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, addr, &sa.sin_addr);
	inet_pton(AF_INET6, addr, &sa6.sin6_addr);
	assert_int_equal(bind(fd, six ? (struct sockaddr *)&sa6 :
	    (struct sockaddr *)&sa, six ? sizeof(sa6) : sizeof(sa)), 0);
	assert_int_equal(listen(fd, 64), 0);
	if (lab_fork(lab) != 0) {
		close(fd);
		return;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		char req[4096] = "";
		int c = accept(fd, NULL, NULL);
		ssize_t n;

		if (c < 0)
			_exit(1);
		if (fork() == 0) {
			n = read(c, req, sizeof(req) - 1);
			req[n > 0 ? n : 0] = '\0';
			if (strncmp(req, "POST /dns-query ", 16) == 0)
				serve_doh(c, req, (size_t)n);
			else
				serve_one(c, req, addr);
			shutdown(c, SHUT_WR);
			_exit(0);
		}
		close(c);
	}
}

static void
tls_start(struct lab *lab)
{
	static const char *const mk[] = { "/usr/bin/openssl", "req", "-x509",
		"-newkey", "rsa:2048", "-nodes", "-subj", "/CN=wrong.test",
		"-days", "1", "-keyout", NULL, "-out", NULL, NULL };
	const char *argv[PL_NELEM(mk)], *srv[] = { "/usr/bin/openssl",
		"s_server", "-accept", "127.0.0.80:443", "-cert", NULL, "-key",
		NULL, "-WWW", NULL };
	char key[128], crt[128], dir[128];

	memcpy(argv, mk, sizeof(mk));
	snprintf(key, sizeof(key), "%s/key.pem", lab->dir);
	snprintf(crt, sizeof(crt), "%s/crt.pem", lab->dir);
	argv[11] = key;
	argv[13] = crt;
	assert_true(lab_run(argv));
	snprintf(dir, sizeof(dir), "%s/.well-known", lab->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(dir, sizeof(dir), "%s" ACME, lab->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	lab_file(lab, ACME "tls", "by tls");
	srv[5] = crt;
	srv[7] = key;
	assert_int_equal(chdir(lab->dir), 0);
	lab_start(lab, srv, "tls.log");
	assert_int_equal(chdir("/"), 0);
	for (int i = 0; i < 200; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET,
			.sin_port = htons(443) };
		int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

		inet_pton(AF_INET, "127.0.0.80", &sa.sin_addr);
		rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
		close(fd);
		if (rc == 0)
			return;
		usleep(20000);
	}
	fail_msg("s_server does not start");
}

static int
setup(void **state)
{
	struct lab *lab = pl_alloc(sizeof(*lab));
	char zone[256];

	if (!lab_enter(lab) || access("/usr/sbin/named", X_OK) != 0) {
		lab_leave(lab);
		free(lab);
		*state = NULL;
		print_message("no network of its own, or no named: skipped\n");
		return 0;
	}
	*state = lab;
	lab_address("fd00::80/128");
	lab_file(lab, "test.zone", zone_test);
	snprintf(zone, sizeof(zone), "zone \"test\" { type primary; file "
	    "\"%s/test.zone\"; };", lab->dir);
	lab_named(lab, "named", "127.0.0.1", "recursion no;", zone);
	web_start(lab, "127.0.0.80");
	web_start(lab, "127.0.0.81");
	web_start(lab, "fd00::80");
	tls_start(lab);
	lab_wait_dns("127.0.0.1");
	return 0;
}

static int
teardown(void **state)
{
	if (*state != NULL)
		lab_leave(*state);
	free(*state);
	return 0;
}

static void
fetch(struct lab_result *r, void **state, const char *domain,
    const char *path, const char *value)
{
	struct pl_verify_settings set = { .resolvers = resolvers,
		.site_local = true };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_FILE, path, domain,
	    value);

	if (*state == NULL)
		skip();
	lab_look(r, &set, &c);
}

static void
check_note(void **state, const char *path, enum pl_answer answer,
    const char *note)
{
	struct lab_result r = { .finals = 0 };
	const struct pl_verdict *v;

	fetch(&r, state, "site.test", path, "token.thumb");
	v = lab_verdict(&r, "127.0.0.80");
	if (v->answer != answer || (note != NULL && (v->note == NULL ||
	    strstr(v->note, note) == NULL)))
		fail_msg("%s: %s: %s", path, pl_answer_name(v->answer),
		    v->note);
	assert_int_equal(r.last[0].visible, answer == PL_ANS_PRESENT);
	lab_result_clear(&r);
}

static void
test_present(void **state)
{
	struct lab_result r = { .finals = 0 };

	fetch(&r, state, "site.test", ACME "good", "token.thumb");
	assert_true(r.last[0].visible);
	assert_int_equal(r.last[0].n, 2);
	assert_string_equal(r.last[0].verdicts[0].address, "fd00::80");
	assert_string_equal(r.last[0].record, "http://site.test" ACME "good");
	fetch(&r, state, "site.test", ACME "host", "site.test");
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_each_address(void **state)
{
	struct lab_result r = { .finals = 0 };

	fetch(&r, state, "two.test", ACME "own", "127.0.0.80");
	assert_false(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "127.0.0.80")->answer,
	    PL_ANS_PRESENT);
	assert_int_equal(lab_verdict(&r, "127.0.0.81")->answer,
	    PL_ANS_ABSENT);
	/* An address without a server does not speak against the other. */
	fetch(&r, state, "half.test", ACME "good", "token.thumb");
	assert_true(r.last[0].visible);
	assert_int_equal(lab_verdict(&r, "127.0.0.99")->answer, PL_ANS_ERROR);
	fetch(&r, state, "empty.test", ACME "good", "token.thumb");
	assert_int_equal(r.last[0].code, PL_ENET);
	lab_result_clear(&r);
}

static void
test_answers(void **state)
{
	check_note(state, ACME "none", PL_ANS_ABSENT, "HTTP 404");
	check_note(state, ACME "newline", PL_ANS_ABSENT, "line ends");
	check_note(state, ACME "own", PL_ANS_ABSENT, "10 octets");
	check_note(state, ACME "big", PL_ANS_ABSENT, "longer");
	check_note(state, ACME "garbage", PL_ANS_ERROR, NULL);
	check_note(state, ACME "created", PL_ANS_ABSENT, "HTTP 201");
	check_note(state, PKI "created", PL_ANS_PRESENT, NULL);
	check_note(state, PKI "good.txt", PL_ANS_PRESENT, NULL);
}

static void
test_redirects(void **state)
{
	struct lab_result r = { .finals = 0 };

	check_note(state, ACME "r301", PL_ANS_PRESENT, "after 1 redirect");
	check_note(state, ACME "r305", PL_ANS_ABSENT, "HTTP 305");
	check_note(state, ACME "loop", PL_ANS_ABSENT, "more than 10");
	check_note(state, ACME "port", PL_ANS_ABSENT, "port 8080");
	check_note(state, ACME "address", PL_ANS_ABSENT, "address 127.0.0.1");
	check_note(state, ACME "ftp", PL_ANS_ABSENT, "no CA follows");
	check_note(state, ACME "user", PL_ANS_ABSENT, "no CA follows");
	/* To another host, whose first address is dead. */
	fetch(&r, state, "site.test", ACME "r308", "away.test");
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].record, "http://away.test" ACME "host");
	/* A certificate for another name does for a CA. */
	fetch(&r, state, "half.test", ACME "tls", "by tls");
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_not_local(void **state)
{
	struct pl_verify_settings set = { .resolvers = resolvers };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_FILE, ACME "good",
	    "site.test", "token.thumb");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	assert_non_null(strstr(lab_verdict(&r, "127.0.0.80")->note,
	    "no public address"));
	lab_result_clear(&r);
}

static void
test_given(void **state)
{
	static const char *const servers[] = { "127.0.0.81", NULL };
	struct pl_verify_settings set = { .resolvers = resolvers,
		.http_servers = servers };
	struct pl_check c = lab_check(PL_LOOK_UNTIL, PL_FILE, ACME "own",
	    "nowhere.test", "127.0.0.81");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

/* What the CA will fetch by https is not looked for by http. */
static void
test_https(void **state)
{
	static const char *const plain[] = { "127.0.0.80:8080", NULL },
	    *const dead[] = { "127.0.0.80:444", NULL };
	struct pl_verify_settings set = { .resolvers = resolvers,
		.site_local = true };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_FILE, ACME "tls",
	    "half.test", "by tls");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	c.https = true;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_string_equal(r.last[0].record, "https://half.test" ACME "tls");
	assert_string_equal(lab_verdict(&r, "127.0.0.80")->address,
	    "127.0.0.80");
	/* The port of a server that was given for http is not its own. */
	set.http_servers = plain;
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	set.https_servers = dead;
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	assert_string_equal(r.last[0].verdicts[0].address, "127.0.0.80:444");
	set.http_servers = set.https_servers = NULL;
	c.record = ACME "good";
	c.value = "token.thumb";
	c.value_len = strlen(c.value);
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_deadline(void **state)
{
	static const char *const servers[] = { "127.0.0.80", NULL };
	struct pl_verify_settings set = { .http_servers = servers };
	struct pl_check c = lab_check(PL_LOOK_UNTIL, PL_FILE, ACME "slow",
	    "site.test", "x");
	struct lab_result r = { .finals = 0 };

	if (*state == NULL)
		skip();
	c.timeout_ms = 300;
	lab_look(&r, &set, &c);
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_ENET);
	lab_result_clear(&r);
}

static void
test_doh(void **state)
{
	static const char *const doh[] = { "http://127.0.0.80/dns-query",
		NULL };
	static const char *const broken[] = { "http://127.0.0.80/none",
		NULL };
	static const char *const open[] = { "http://192.0.2.1/dns-query",
		NULL };
	struct pl_verify_settings set = { .resolvers = doh,
		.site_local = true };
	struct pl_check c = lab_check(PL_LOOK_ONCE, PL_FILE, ACME "good",
	    "site.test", "token.thumb");
	struct lab_result r = { .finals = 0 };
	struct pl_verifier *v;
	struct pl_err err;

	if (*state == NULL)
		skip();
	lab_look(&r, &set, &c);
	assert_true(r.last[0].visible);
	assert_int_equal(r.last[0].n, 2);
	set.resolvers = broken;
	lab_look(&r, &set, &c);
	assert_int_equal(r.last[0].code, PL_ENET);
	set.resolvers = open;
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, &r, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "https is needed"));
	lab_result_clear(&r);
}

/* More files than fetches at once, and some of them given up. */
static void
test_many(void **state)
{
	static const char *const servers[] = { "127.0.0.80", NULL };
	struct pl_verify_settings set = { .http_servers = servers };
	struct lab_result r = { .finals = 0 };
	struct pl_verifier *v;
	struct pl_err err;

	if (*state == NULL)
		skip();
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, &r, &err),
	    PL_OK);
	for (uint32_t i = 0; i < 200; i++) {
		struct pl_check c = lab_check(PL_LOOK_ONCE, PL_FILE,
		    ACME "good", "site.test", "token.thumb");

		c.id = i;
		assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
	}
	pl_verifier_run(v);
	for (uint32_t i = 0; i < 50; i++)
		pl_verifier_cancel(v, i);
	lab_drive(v);
	pl_verifier_free(v);
	assert_true(r.finals >= 150);
	assert_int_equal(r.visible, r.finals);
	lab_result_clear(&r);
}

static void
test_addresses(void **state)
{
	static const char *const no[] = { "127.0.0.1", "10.1.2.3",
		"172.16.0.1", "192.168.9.9", "169.254.1.1", "100.64.0.1",
		"0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::",
		"fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
		"64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "x", "" };
	static const char *const yes[] = { "1.1.1.1", "172.32.0.1",
		"100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8" };

	(void)state;
	for (size_t i = 0; i < PL_NELEM(no); i++)
		if (pl_addr_public(no[i]))
			fail_msg("%s", no[i]);
	for (size_t i = 0; i < PL_NELEM(yes); i++)
		if (!pl_addr_public(yes[i]))
			fail_msg("%s", yes[i]);
}

static void
test_urls(void **state)
{
	struct pl_url u;
	struct pl_err err;
	char longer[3000];

	(void)state;
	assert_int_equal(pl_url_resolve(&u, "http://A.test/x/y?q#f", "../z",
	    &err), PL_OK);
	assert_string_equal(u.url, "http://A.test/z");
	assert_string_equal(u.host, "a.test");
	assert_int_equal(u.port, 80);
	pl_url_clear(&u);
	assert_int_equal(pl_url_resolve(&u, NULL, "https://b.test/", &err),
	    PL_OK);
	assert_int_equal(u.port, 443);
	pl_url_clear(&u);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(pl_url_resolve(&u, "http://a.test/", longer, &err),
	    PL_EREMOTE);
	assert_int_equal(pl_url_resolve(&u, NULL, "file:///etc/passwd", &err),
	    PL_EREMOTE);
	assert_int_equal(pl_url_resolve(&u, NULL, "http://a.test\\@b/", &err),
	    PL_EREMOTE);
	assert_int_equal(pl_url_resolve(&u, NULL, "/x", &err), PL_EREMOTE);
	assert_null(u.url);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_each_address),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_not_local),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_https),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_doh),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
