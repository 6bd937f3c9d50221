/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Name servers that lie, and name servers that fail.  Each liar holds the
 * value that is looked for, and none of its ways to tell it may count.
 */

#include "verify_lab.h"

#include <sys/socket.h>

enum lie {
	HONEST, WRONG_ID, WRONG_PORT, WRONG_QUESTION, WRONG_CASE, WRONG_CLASS,
	NO_RESPONSE_BIT, ALWAYS_CUT, GARBAGE, HUGE_UDP, HUGE_TCP, SILENT,
	NOT_AA, UPWARD, SERVFAIL, REFUSED, NO_EDNS, CUT_ONCE, CHAIN, LOOP,
	BROKEN_RR, SIDEWAYS, TCP_HANGS, NXDOMAIN, CASE_ONCE, NLIES
};

/* ---- the liar -------------------------------------------------------------- */

static size_t
name_len(const unsigned char *q)
{
	size_t n = 0;

	while (q[n] != 0)
		n += q[n] + 1u;
	return n + 1;
}

static size_t
add_rr(unsigned char *a, size_t n, unsigned type, const void *data,
    size_t len)
{
	const unsigned char head[] = { 0xc0, 12, 0, (unsigned char)type, 0, 1,
		0, 0, 0, 60, (unsigned char)(len >> 8), (unsigned char)len };

	memcpy(a + n, head, sizeof(head));
	memcpy(a + n + sizeof(head), data, len);
	return n + sizeof(head) + len;
}

/* "b" + the question's name, cut so that it stays short; or a first "a". */
static size_t
add_chain(unsigned char *a, size_t n, bool loop)
{
	unsigned char to[300];
	size_t len = name_len(a + 12), first = a[12];

	memcpy(to, a + 12, len);
	if (loop)
		to[1] = to[1] == 'y' || to[1] == 'Y' ? 'z' : 'y';
	else if (first < 60) {
		memmove(to + 2, to + 1, len - 1);
		to[0]++;
		to[1] = 'b';
		len++;
	}
	a[7] = 1;
	return add_rr(a, n, 5, to, len);
}

/* The answer to the question of n octets at q, as this liar gives it. */
static size_t
answer(unsigned char *a, const unsigned char *q, size_t qn, enum lie lie,
    bool tcp)
{
	size_t n = 12 + name_len(q + 12) + 4, type = q[n - 3];
	bool edns = q[11] != 0;

	memset(a, 0, 12);
	memcpy(a, q, 2);
	memcpy(a + 12, q + 12, n - 12);
	a[2] = 0x84;
	a[5] = 1;
	(void)qn;
	if (lie == WRONG_ID)
		a[0] ^= 0x55;
	if (lie == WRONG_QUESTION)
		a[14] ^= 0x02;
	if (lie == WRONG_CASE || (lie == CASE_ONCE && !tcp))
		for (size_t i = 13; i < n - 5; i++)
			a[i] = a[i] >= 'a' && a[i] <= 'z' ?
			    (unsigned char)(a[i] - 32) :
			    a[i] >= 'A' && a[i] <= 'Z' ?
			    (unsigned char)(a[i] + 32) : a[i];
	if (lie == WRONG_CLASS)
		a[n - 1] = 3;
	if (lie == NO_RESPONSE_BIT)
		a[2] = 0x04;
	if (lie == ALWAYS_CUT || (lie == CUT_ONCE && !tcp) ||
	    (lie == HUGE_TCP && !tcp) || (lie == TCP_HANGS && !tcp))
		a[2] |= 2;
	if (lie == NOT_AA)
		a[2] = 0x80;
	if (lie == SERVFAIL || lie == REFUSED)
		a[3] = lie == SERVFAIL ? 2 : 5;
	if (lie == NXDOMAIN)
		a[3] = 3;
	if (lie == NO_EDNS && edns) {
		a[3] = 1;
		return n;
	}
	if (lie == CHAIN || lie == LOOP)
		return add_chain(a, n, lie == LOOP);
	if (lie == UPWARD || lie == SIDEWAYS) {
		/* NS of "." or of the next label's sibling, no answer. */
		a[2] = 0x80;
		a[9] = 1;
		if (lie == UPWARD)
			a[n++] = 0;
		else {
			memcpy(a + n, "\1x\4test\0", 8);
			n += 8;
		}
		memcpy(a + n, "\0\2\0\1\0\0\0\x3c\0\1\0", 11);
		return n + 11;
	}
	if (type != 16)
		return n;
	a[7] = 1;
	n = add_rr(a, n, 16, "\3one", 4);
	if (lie == BROKEN_RR)
		a[n - 5] = 200;		/* longer than the message */
	if (lie == HUGE_UDP || (lie == HUGE_TCP && tcp)) {
		unsigned count = 1;

		if (lie == HUGE_TCP)
			n -= 16;
		if (lie == HUGE_TCP)
			count = 0;
		while (n < 60000) {
			n = add_rr(a, n, 16, "\5other", 6);
			count++;
		}
		a[6] = (unsigned char)(count >> 8);
		a[7] = (unsigned char)count;
	}
	return n;
}

static void
liar_udp(int fd, enum lie lie)
{
	static unsigned char a[65535];
	unsigned char q[1500];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&from,
	    &len);
	size_t an;
	int out = fd;

	if (n < 17 || lie == SILENT)
		return;
	an = answer(a, q, (size_t)n, lie, false);
	if (lie == GARBAGE) {
		pl_random(a, 300);
		an = 300;
	}
	if (lie == WRONG_PORT)
		out = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(out, a, an, 0, (struct sockaddr *)&from, len);
	if (out != fd)
		close(out);
}

static void
liar_tcp(int fd, enum lie lie)
{
	static unsigned char a[65535 + 2];
	unsigned char q[1500];
	int c = accept(fd, NULL, NULL);
	ssize_t n;
	size_t an;

	if (c < 0)
		return;
	/* HUGE_UDP and WRONG_PORT lie by UDP only, and hang up here. */
	if (lie == SILENT || lie == TCP_HANGS) {
		if (dup(c) < 0)		/* kept open, nothing said */
			_exit(1);
		close(c);
		return;
	}
	if (lie != HUGE_UDP && lie != WRONG_PORT &&
	    (n = read(c, q, sizeof(q))) > 19) {
		an = answer(a + 2, q + 2, (size_t)n - 2, lie, true);
		if (lie == GARBAGE)
			pl_random(a + 2, an);
		a[0] = (unsigned char)(an >> 8);
		a[1] = (unsigned char)an;
		(void)!send(c, a, an + 2, MSG_NOSIGNAL);
	}
	close(c);
}

static void
liar_start(struct lab *lab, enum lie lie)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	struct pollfd p[2];
	int on = 1;

	sa.sin_addr.s_addr = htonl(0x7f000100u + lie);
	p[0].fd = socket(AF_INET, SOCK_DGRAM, 0);
	p[1].fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(p[1].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(p[0].fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(bind(p[1].fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(p[1].fd, 16), 0);
	p[0].events = p[1].events = POLLIN;
	if (lab_fork(lab) != 0) {
		close(p[0].fd);
		close(p[1].fd);
		return;
	}
	for (;;) {
		poll(p, 2, -1);
		if (p[0].revents)
			liar_udp(p[0].fd, lie);
		if (p[1].revents)
			liar_tcp(p[1].fd, lie);
	}
}

static const char *
liar_addr(enum lie lie, char out[20])
{
	snprintf(out, 20, "127.0.1.%u", (unsigned)lie);
	return out;
}

static int
setup(void **state)
{
	struct lab *lab = pl_alloc(sizeof(*lab));

	if (!lab_enter(lab)) {
		free(lab);
		*state = NULL;
		print_message("no network of its own: skipped\n");
		return 0;
	}
	*state = lab;
	for (enum lie lie = HONEST; lie < NLIES; lie++)
		liar_start(lab, lie);
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

/* ---- tests ------------------------------------------------------------------ */

static void
look(struct lab_result *r, void **state, const enum lie *lies, size_t n,
    enum pl_look how, unsigned quorum, int64_t timeout)
{
	char text[NLIES][20];
	const char *servers[NLIES + 1];
	struct pl_verify_settings set = { .servers = servers,
		.resolvers = servers, .quorum = quorum };
	struct pl_check c = lab_check(how, PL_TXT, "_acme-challenge.a.test",
	    "a.test", "one");

	if (*state == NULL)
		skip();
	for (size_t i = 0; i < n; i++)
		servers[i] = liar_addr(lies[i], text[i]);
	servers[n] = NULL;
	c.timeout_ms = timeout;
	lab_look(r, &set, &c);
}

static enum pl_answer
said(const struct lab_result *r, enum lie lie)
{
	char a[20];

	return lab_verdict(r, liar_addr(lie, a))->answer;
}

/* All at once: those that are slow cost their own time-outs only. */
static void
test_lies(void **state)
{
	static const enum lie lies[] = { HONEST, WRONG_ID, WRONG_PORT,
		WRONG_QUESTION, WRONG_CASE, WRONG_CLASS, NO_RESPONSE_BIT,
		ALWAYS_CUT, GARBAGE, HUGE_UDP, HUGE_TCP, SILENT, NOT_AA,
		UPWARD, SERVFAIL, REFUSED, NO_EDNS, CUT_ONCE, BROKEN_RR,
		SIDEWAYS, TCP_HANGS, NXDOMAIN };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, PL_NELEM(lies), PL_LOOK_ONCE, 0, 60000);
	assert_false(r.last[0].visible);
	assert_int_equal(said(&r, HONEST), PL_ANS_PRESENT);
	assert_int_equal(said(&r, NO_EDNS), PL_ANS_PRESENT);
	assert_int_equal(said(&r, CUT_ONCE), PL_ANS_PRESENT);
	assert_int_equal(said(&r, WRONG_ID), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, WRONG_PORT), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, WRONG_QUESTION), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, WRONG_CLASS), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, NO_RESPONSE_BIT), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, ALWAYS_CUT), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, GARBAGE), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, HUGE_UDP), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, BROKEN_RR), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, HUGE_TCP), PL_ANS_ABSENT);
	/* A resolver believes the rcode, whatever comes with it. */
	assert_int_equal(said(&r, NXDOMAIN), PL_ANS_ABSENT);
	assert_int_equal(said(&r, SILENT), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, TCP_HANGS), PL_ANS_TIMEOUT);
	assert_int_equal(said(&r, NOT_AA), PL_ANS_LAME);
	assert_int_equal(said(&r, UPWARD), PL_ANS_LAME);
	assert_int_equal(said(&r, SIDEWAYS), PL_ANS_LAME);
	assert_int_equal(said(&r, SERVFAIL), PL_ANS_LAME);
	assert_int_equal(said(&r, REFUSED), PL_ANS_REFUSED);
	/* Letters are compared by TCP too: what it echoes is not the question. */
	assert_int_equal(said(&r, WRONG_CASE), PL_ANS_TIMEOUT);
	lab_result_clear(&r);
}

/* Letters turned by UDP only: TCP is asked at once, not a second later. */
static void
test_other_case(void **state)
{
	static const enum lie lies[] = { CASE_ONCE };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, 1, PL_LOOK_ONCE, 0, 900);
	assert_int_equal(said(&r, CASE_ONCE), PL_ANS_PRESENT);
	assert_true(r.last[0].visible);
	lab_result_clear(&r);
}

static void
test_quorum(void **state)
{
	static const enum lie lies[] = { HONEST, NO_EDNS, SILENT };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, 3, PL_LOOK_UNTIL, 2, 20000);
	assert_true(r.last[0].visible);
	assert_int_equal(said(&r, SILENT), PL_ANS_NONE);
	look(&r, state, lies, 3, PL_LOOK_UNTIL, 3, 700);
	assert_false(r.last[0].visible);
	assert_int_equal(r.last[0].code, PL_EABSENT);
	/* Not heard by the deadline is a word of its own. */
	assert_int_equal(said(&r, SILENT), PL_ANS_TIMEOUT);
	assert_non_null(strstr(r.last[0].err.text, " timeout"));
	lab_result_clear(&r);
}

static void
test_only_silence(void **state)
{
	static const enum lie lies[] = { SILENT };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, 1, PL_LOOK_UNTIL, 0, 500);
	assert_int_equal(r.last[0].code, PL_ENET);
	lab_result_clear(&r);
}

static void
test_alias_chain(void **state)
{
	static const enum lie lies[] = { CHAIN };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, 1, PL_LOOK_UNTIL, 0, 20000);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	assert_non_null(strstr(r.last[0].err.text, "more than 8"));
	lab_result_clear(&r);
}

static void
test_alias_loop(void **state)
{
	static const enum lie lies[] = { LOOP };
	struct lab_result r = { .finals = 0 };

	look(&r, state, lies, 1, PL_LOOK_UNTIL, 0, 20000);
	assert_int_equal(r.last[0].code, PL_EREMOTE);
	assert_non_null(strstr(r.last[0].err.text, "loop"));
	lab_result_clear(&r);
}

/* Many questions to a dead address and a live one: the dead one is left
 * alone soon, and the live one is not held up. */
static void
test_dead_server_many(void **state)
{
	char a[20], b[20];
	const char *servers[] = { liar_addr(HONEST, a), liar_addr(SILENT, b),
		NULL };
	struct pl_verify_settings set = { .servers = servers };
	struct lab_result r = { .finals = 0 };
	struct pl_verifier *v;
	struct pl_err err;

	if (*state == NULL)
		skip();
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, &r, &err),
	    PL_OK);
	for (uint32_t i = 500; i-- > 0;) {
		struct pl_check c = lab_check(PL_LOOK_ONCE, PL_TXT,
		    "_acme-challenge.a.test", "a.test", "one");

		c.id = i;
		assert_int_equal(pl_verifier_add(v, &c, &err), PL_OK);
	}
	lab_drive(v);
	pl_verifier_free(v);
	assert_int_equal(r.finals, 500);
	assert_int_equal(r.visible, 0);
	/* Without a rest the last would reach their deadline unasked. */
	for (size_t i = 0; i < LAB_SEEN; i++) {
		assert_int_equal(r.last[i].verdicts[0].answer,
		    PL_ANS_PRESENT);
		assert_int_equal(r.last[i].verdicts[1].answer,
		    PL_ANS_TIMEOUT);
	}
	lab_result_clear(&r);
}

static void
test_settings(void **state)
{
	static const char *const bad[] = { "ns1.example.com", NULL };
	static const char *const worse[] = { "127.0.0.1:99999", NULL };
	struct pl_verify_settings set = { .servers = bad };
	struct pl_verifier *v;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, NULL, &err),
	    PL_EINVAL);
	assert_null(v);
	assert_non_null(strstr(err.text, "ns1.example.com"));
	set.servers = NULL;
	set.resolvers = worse;
	assert_int_equal(pl_verifier_new(&v, &set, lab_found, NULL, &err),
	    PL_EINVAL);
}

/* A frame cut anywhere, and one with a bit turned: never out of bounds. */
static void
test_frames(void **state)
{
	struct pl_verdict w = { .server = strdup("ns1"),
		.address = strdup("192.0.2.1"), .answer = PL_ANS_STALE,
		.ms = 5, .note = strdup("behind") };
	struct pl_sighting s = { .id = 7, .final = true, .visible = true,
		.code = PL_EABSENT, .verdicts = &w, .n = 1, .looks = 3 }, t;
	struct pl_buf b;

	(void)state;
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_sighting_put(&b, &s);
	for (size_t cut = 0; cut <= b.len; cut++)
		for (int bit = -1; bit < 8; bit++) {
			unsigned char *p = pl_memdup(b.data, b.len);
			struct pl_cursor c = { .p = p, .end = p + cut };

			if (bit >= 0 && cut > 0)
				p[cut - 1] ^= (unsigned char)(1 << bit);
			pl_sighting_get(&c, &t);
			if (cut < b.len)
				assert_true(c.bad);
			pl_sighting_clear(&t);
			free(p);
		}
	pl_buf_clear(&b);
	free(w.server);
	free(w.address);
	free(w.note);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_other_case),
		cmocka_unit_test(test_quorum),
		cmocka_unit_test(test_only_silence),
		cmocka_unit_test(test_alias_chain),
		cmocka_unit_test(test_alias_loop),
		cmocka_unit_test(test_dead_server_many),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
