/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_wire_dns_lab.h"

/* ---- sockets ---------------------------------------------------------------- */

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return sa;
}

static int
bound(int type, uint16_t port)
{
	struct sockaddr_in sa = loopback(port);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
		    sizeof(on));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* A pair of sockets on one free port. */
static bool
bound_pair(int *udp, int *tcp, uint16_t *port)
{
	struct sockaddr_in sa;
	socklen_t len;
	int i;

	for (i = 0; i < 50; i++) {
		len = sizeof(sa);
		*udp = bound(SOCK_DGRAM, 0);
		if (*udp < 0 || getsockname(*udp, (struct sockaddr *)&sa,
		    &len) != 0)
			return false;
		*port = ntohs(sa.sin_port);
		*tcp = bound(SOCK_STREAM, *port);
		if (*tcp >= 0)
			return true;
		(void)close(*udp);
	}
	return false;
}

static uint16_t
free_port(void)
{
	uint16_t port = 0;
	int udp, tcp;

	if (!bound_pair(&udp, &tcp, &port))
		return 0;
	(void)close(udp);
	(void)close(tcp);
	return port;
}

/* ---- real servers ------------------------------------------------------------ */

static bool
lab_write(const struct lab *s, const char *name, const char *suffix,
    const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s%s", s->dir, name, suffix);
	f = fopen(path, "w");
	if (f == NULL)
		return false;
	(void)fputs(text, f);
	return fclose(f) == 0;
}

static bool
lab_dir(struct lab *s)
{
	const char *tmp = getenv("TMPDIR");

	*s = (struct lab){ .pid = 0 };
	(void)snprintf(s->dir, sizeof(s->dir), "%s/lab.XXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	if (mkdtemp(s->dir) == NULL)
		s->dir[0] = '\0';
	s->port = free_port();
	return s->dir[0] != '\0' && s->port != 0;
}

/* Waits until the server answers an SOA question with authority. */
static bool
lab_wait(const struct lab *s, const char *zone)
{
	int64_t until = pl_mono_ms() + 10000;
	struct pl_dns_peer *p = NULL;
	struct pl_dns_msg m;
	bool up = false;

	if (pl_dns_peer_open(&p, "127.0.0.1", s->port, NULL, NULL) != PL_OK)
		return false;
	while (!up && pl_mono_ms() < until &&
	    waitpid(s->pid, NULL, WNOHANG) == 0) {
		up = pl_dns_ask(p, zone, PL_DNS_SOA, pl_mono_ms() + 300, &m,
		    NULL) == PL_OK && m.aa;
		pl_dns_msg_clear(&m);
		if (!up)
			(void)poll(NULL, 0, 15);
	}
	pl_dns_peer_close(p);
	return up;
}

static bool
lab_exec(struct lab *s, const char *const *argv, const char *zone)
{
	char path[128];

	if (access(argv[0], X_OK) != 0) {
		lab_stop(s);
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/log", s->dir);
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (s->pid > 0 && lab_wait(s, zone))
		return true;
	(void)fprintf(stderr, "%s did not start, see %s\n", argv[0], path);
	s->dir[0] = '\0';
	lab_stop(s);
	return false;
}

bool
lab_named(struct lab *s, const char *const *zones, const char *conf)
{
	const char *argv[] = { "/usr/sbin/named", "-f", "-n", "1", "-c", NULL,
		NULL };
	char path[128];
	struct pl_buf b;
	bool ok;

	if (!lab_dir(s))
		return false;
	pl_buf_init(&b, PL_LIM_CONFIG);
	pl_buf_addf(&b, "options { directory \"%s\"; pid-file none; "
	    "lock-file none; session-keyfile none; listen-on port %u { "
	    "127.0.0.1; }; listen-on-v6 { none; }; recursion no; "
	    "dnssec-validation no; notify no; max-records-per-type 0; };\n"
	    "logging { channel l { file \"named.log\"; severity warning; }; "
	    "category default { l; }; };\ncontrols {};\n"
	    "key \"" LAB_NAME "\" { algorithm hmac-sha256; secret \"" LAB_KEY
	    "\"; };\nkey \"long.\" { algorithm hmac-sha384; secret \"" LAB_KEY
	    "\"; };\nkey \"short.\" { algorithm hmac-sha224; secret \"" LAB_KEY
	    "\"; };\n%s", s->dir, (unsigned)s->port, conf);
	ok = lab_write(s, "named", ".conf", b.data);
	pl_buf_clear(&b);
	for (; ok && zones[0] != NULL && zones[1] != NULL; zones += 2)
		ok = lab_write(s, zones[0], ".zone", zones[1]);
	(void)snprintf(path, sizeof(path), "%s/named.conf", s->dir);
	argv[5] = path;
	return ok && lab_exec(s, argv, "example.test");
}

bool
lab_knotd(struct lab *s, const char *const *zones)
{
	const char *argv[] = { "/usr/sbin/knotd", "-c", NULL, NULL };
	const char *const *z;
	char path[128];
	struct pl_buf b;
	bool ok;

	if (!lab_dir(s))
		return false;
	pl_buf_init(&b, PL_LIM_CONFIG);
	pl_buf_addf(&b, "server:\n  rundir: %s\n  listen: 127.0.0.1@%u\n"
	    "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
	    "log:\n  - target: stderr\n    any: info\n"
	    "database:\n  storage: %s\n  journal-db-max-size: 10M\n"
	    "  kasp-db-max-size: 5M\n  timer-db-max-size: 1M\n"
	    "  catalog-db-max-size: 5M\n"
	    "key:\n  - id: " LAB_NAME "\n    algorithm: hmac-sha256\n"
	    "    secret: " LAB_KEY "\nacl:\n  - id: up\n    key: " LAB_NAME
	    "\n    action: [update]\nzone:\n", s->dir, (unsigned)s->port,
	    s->dir);
	for (z = zones; z[0] != NULL; z += 2)
		pl_buf_addf(&b, "  - domain: %s\n    storage: %s\n"
		    "    file: %s.zone\n    acl: [up]\n"
		    "    journal-max-usage: 5M\n", z[0], s->dir, z[0]);
	ok = lab_write(s, "knot", ".conf", b.data);
	pl_buf_clear(&b);
	for (z = zones; ok && z[0] != NULL; z += 2)
		ok = lab_write(s, z[0], ".zone", z[1]);
	(void)snprintf(path, sizeof(path), "%s/knot.conf", s->dir);
	argv[2] = path;
	return ok && lab_exec(s, argv, "example.test");
}

static int
lab_remove(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

void
lab_stop(struct lab *s)
{
	if (s->pid > 0) {
		(void)kill(s->pid, SIGKILL);
		(void)waitpid(s->pid, NULL, 0);
	}
	if (s->dir[0] != '\0')
		(void)nftw(s->dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS);
	*s = (struct lab){ .pid = 0 };
}

/* ---- answers ------------------------------------------------------------------ */

static unsigned
u16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static size_t
put(unsigned char *p, uint64_t v, unsigned octets)
{
	unsigned i;

	for (i = 0; i < octets; i++)
		p[i] = (unsigned char)(v >> 8 * (octets - 1 - i) & 0xff);
	return octets;
}

/* Behind the name at p[at]; our own questions have no compression. */
static size_t
past_name(const unsigned char *p, size_t at)
{
	while (p[at] != 0)
		at += 1 + (size_t)p[at];
	return at + 1;
}

size_t
lab_answer(unsigned char *out, const unsigned char *q, size_t n,
    unsigned rcode)
{
	size_t end = past_name(q, 12) + 4;

	(void)n;
	memcpy(out, q, end);
	out[2] = (unsigned char)((q[2] & 0x78) | 0x84);
	out[3] = (unsigned char)rcode;
	memset(out + 6, 0, 6);
	return end;
}

static size_t
wire_name(unsigned char *out, const char *s)
{
	size_t n = 0, k;

	while (*s != '\0') {
		k = strcspn(s, ".");
		out[n++] = (unsigned char)k;
		memcpy(out + n, s, k);
		n += k;
		s += k + (s[k] == '.');
	}
	out[n++] = 0;
	return n;
}

/* The MAC of a signed question: TSIG is its last record. */
static size_t
question_mac(const unsigned char *q, size_t n, const unsigned char **mac)
{
	size_t at = past_name(q, 12) + 4, i, rr;

	rr = u16(q + 6) + u16(q + 8) + u16(q + 10);
	for (i = 0; i + 1 < rr; i++) {
		at = past_name(q, at);
		at += 10 + u16(q + at + 8);
	}
	if (rr == 0 || at >= n)
		return 0;
	at = past_name(q, at);
	if (u16(q + at) != 250)
		return 0;
	at = past_name(q, at + 10) + 8;
	*mac = q + at + 2;
	return u16(q + at);
}

size_t
lab_sign(unsigned char *a, size_t n, const unsigned char *q, size_t qlen,
    const struct lab_signing *s)
{
	unsigned char vars[600], key[64], sum[64], len[2], *p = a + n;
	const unsigned char *prior = NULL;
	size_t k = 0, prior_len = question_mac(q, qlen, &prior), rdlen;
	unsigned other = s->other != 0 ? 6 : 0;
	struct pl_buf secret;
	struct pl_part parts[4];
	struct pl_hmac *h;

	if (prior_len == 0)
		return n;
	pl_buf_init(&secret, 100);
	(void)pl_base64_decode(&secret, LAB_KEY, strlen(LAB_KEY), NULL);
	memcpy(key, secret.data, secret.len);
	if (pl_hmac_new(&h, s->alg + 5, key, secret.len, NULL) != PL_OK)
		abort();
	pl_buf_clear(&secret);

	k += wire_name(vars, s->key);
	k += put(vars + k, 255, 2);
	k += put(vars + k, 0, 4);
	k += wire_name(vars + k, s->alg);
	k += put(vars + k, (uint64_t)s->when, 6);
	k += put(vars + k, 300, 2);
	k += put(vars + k, s->error, 2);
	k += put(vars + k, other, 2);
	k += put(vars + k, (uint64_t)s->other, other);
	(void)put(len, prior_len, 2);
	parts[0] = (struct pl_part){ len, 2 };
	parts[1] = (struct pl_part){ prior, prior_len };
	parts[2] = (struct pl_part){ a, n };
	parts[3] = (struct pl_part){ vars, k };
	pl_hmac_sum(h, sum, parts, 4);
	pl_hmac_free(h);

	p += wire_name(p, s->key);
	p += put(p, 250, 2);
	p += put(p, 255, 2);
	p += put(p, 0, 4);
	rdlen = (size_t)(p - a);		/* its place */
	p += 2;
	p += wire_name(p, s->alg);
	p += put(p, (uint64_t)s->when, 6);
	p += put(p, 300, 2);
	p += put(p, s->maclen, 2);
	memcpy(p, sum, s->maclen);
	p += s->maclen;
	memcpy(p, a, 2);
	p += 2;
	p += put(p, s->error, 2);
	p += put(p, other, 2);
	p += put(p, (uint64_t)s->other, other);
	(void)put(a + rdlen, (uint64_t)(p - a) - rdlen - 2, 2);
	(void)put(a + 10, u16(a + 10) + 1, 2);
	return (size_t)(p - a);
}

/* ---- the liar -------------------------------------------------------------------- */

static unsigned
lie_rcode(enum lie lie)
{
	switch (lie) {
	case LIE_REFUSED:
		return PL_DNS_REFUSED;
	case LIE_NOTIMP:
		return PL_DNS_NOTIMP;
	case LIE_NOTAUTH:
	case LIE_BADTIME:
	case LIE_BADKEY_UNSIGNED:
		return PL_DNS_NOTAUTH;
	case LIE_NOTZONE:
		return PL_DNS_NOTZONE;
	case LIE_SERVFAIL:
		return PL_DNS_SERVFAIL;
	case LIE_FORMERR:
		return PL_DNS_FORMERR;
	case LIE_YXDOMAIN:
		return PL_DNS_YXDOMAIN;
	default:
		return PL_DNS_NOERROR;
	}
}

static size_t
lie_write(enum lie lie, unsigned char *a, const unsigned char *q, size_t n)
{
	struct lab_signing s = { .key = LAB_NAME, .alg = "hmac-sha256",
		.when = pl_wall_ms() / 1000, .maclen = 32 };
	size_t k = lab_answer(a, q, n, lie_rcode(lie));

	if (lie == LIE_GARBAGE) {
		pl_random(a + 2, 200);
		return 200;
	}
	if (lie == LIE_ID)
		a[0] ^= 0x55;
	if (lie == LIE_QUESTION)
		a[13] ^= 1;
	if (lie == LIE_TRUNCATED)
		a[2] |= 2;
	if (lie == LIE_OLD)
		s.when -= 10 * 86400;
	if (lie == LIE_FUTURE)
		s.when += 301;
	if (lie == LIE_OTHER_KEY)
		s.key = "other.";
	if (lie == LIE_OTHER_ALG) {
		s.alg = "hmac-sha1";
		s.maclen = 20;
	}
	if (lie == LIE_SHORT_MAC)
		s.maclen = 16;
	if (lie == LIE_BADTIME) {
		s.error = PL_DNS_BADTIME;
		s.other = s.when + 3600;
	}
	if (lie == LIE_BADKEY_UNSIGNED) {
		s.error = PL_DNS_BADKEY;
		s.maclen = 0;
	}
	if (lie != LIE_UNSIGNED)
		k = lab_sign(a, k, q, n, &s);
	if (lie == LIE_MAC)
		a[k - 10] ^= 1;
	return k;
}

struct liar {
	enum lie lie;
	uint16_t upstream;		/* the prude's server, or 0 */
	unsigned rcode;
	unsigned seen;
};

/* Asks the server behind the prude, over the same kind of socket. */
static size_t
pass_on(const struct liar *l, int type, const unsigned char *q, size_t n,
    unsigned char *a)
{
	struct sockaddr_in sa = loopback(l->upstream);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	unsigned char len[2];
	ssize_t k = 0;
	size_t want;

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		goto out;
	if (type == SOCK_DGRAM) {
		(void)send(fd, q, n, 0);
		k = recv(fd, a, PL_DNS_MSG, 0);
		goto out;
	}
	(void)put(len, n, 2);
	(void)send(fd, len, 2, 0);
	(void)send(fd, q, n, 0);
	if (recv(fd, len, 2, MSG_WAITALL) != 2)
		goto out;
	want = u16(len);
	k = recv(fd, a, want, MSG_WAITALL);
out:
	(void)close(fd);
	return k < 0 ? 0 : (size_t)k;
}

/* An UPDATE that changes nothing. */
static bool
is_bare(const unsigned char *q)
{
	return (q[2] >> 3 & 15) == 5 && u16(q + 8) == 0;
}

static size_t
liar_answer(struct liar *l, int type, const unsigned char *q, size_t n,
    unsigned char *a)
{
	if (l->upstream != 0 && !is_bare(q))
		return pass_on(l, type, q, n, a);
	if (l->upstream != 0)
		return lab_answer(a, q, n, l->rcode);
	return lie_write(l->lie, a, q, n);
}

static void
liar_udp(struct liar *l, int fd, unsigned char *q, unsigned char *a)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, q, PL_DNS_MSG, 0, (struct sockaddr *)&from,
	    &len);
	size_t k;
	int other;

	if (n < 17 || l->lie == LIE_SILENT || l->lie == LIE_NO_UDP ||
	    (l->lie == LIE_LATE && l->seen++ == 0))
		return;
	k = liar_answer(l, SOCK_DGRAM, q, (size_t)n, a);
	other = l->lie == LIE_PORT ? bound(SOCK_DGRAM, 0) : fd;
	(void)sendto(other, a, k, 0, (struct sockaddr *)&from, len);
	if (other != fd)
		(void)close(other);
}

/* One message of a TCP connection; false: it is over. */
static bool
liar_tcp(struct liar *l, int fd, unsigned char *q, unsigned char *a)
{
	unsigned char len[2];
	size_t n;

	if (recv(fd, len, 2, MSG_WAITALL) != 2)
		return false;
	n = u16(len);
	if (recv(fd, q, n, MSG_WAITALL) != (ssize_t)n || n < 17)
		return false;
	if (l->lie == LIE_SILENT || l->lie == LIE_PORT)
		return true;
	if (l->lie == LIE_HANGUP)
		return false;
	n = liar_answer(l, SOCK_STREAM, q, n, a);
	(void)put(len, n, 2);
	(void)send(fd, len, 2, MSG_NOSIGNAL | MSG_MORE);
	return send(fd, a, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void
liar_run(struct liar *l, int udp, int tcp)
{
	unsigned char *q = malloc(PL_DNS_MSG + 1024);
	unsigned char *a = malloc(PL_DNS_MSG + 1024);
	struct pollfd p[3] = { { udp, POLLIN, 0 }, { tcp, POLLIN, 0 },
		{ -1, POLLIN, 0 } };

	for (;;) {
		if (poll(p, 3, -1) <= 0)
			continue;
		if (p[0].revents)
			liar_udp(l, udp, q, a);
		if (p[1].revents) {
			if (p[2].fd >= 0)
				(void)close(p[2].fd);
			p[2].fd = accept(tcp, NULL, NULL);
			p[2].revents = 0;
		}
		if (p[2].fd >= 0 && p[2].revents &&
		    !liar_tcp(l, p[2].fd, q, a)) {
			(void)close(p[2].fd);
			p[2].fd = -1;
		}
	}
}

static bool
liar_start(struct lab *s, struct liar *l)
{
	int udp, tcp;

	*s = (struct lab){ .pid = 0 };
	if (!bound_pair(&udp, &tcp, &s->port) || listen(tcp, 8) != 0)
		return false;
	s->pid = fork();
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		liar_run(l, udp, tcp);
	}
	(void)close(udp);
	(void)close(tcp);
	return s->pid > 0;
}

bool
lab_liar(struct lab *s, enum lie lie)
{
	struct liar l = { .lie = lie };

	return liar_start(s, &l);
}

bool
lab_prude(struct lab *s, uint16_t port, unsigned rcode)
{
	struct liar l = { .upstream = port, .rcode = rcode };

	return liar_start(s, &l);
}
