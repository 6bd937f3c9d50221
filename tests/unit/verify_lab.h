/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A network of its own for the verifier's tests: a namespace with nothing in
 * it but loopback, so that port 53 and 80 are free, and servers in it.
 * Included by the tests only.
 */
#ifndef VERIFY_LAB_H
#define VERIFY_LAB_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "challenge.h"

#define LAB_PIDS 32

struct lab {
	char dir[64];
	pid_t pid[LAB_PIDS];
	size_t npid;
};

static inline bool
lab_run(const char *const *argv)
{
	struct pl_run run = { .argv = argv, .timeout_ms = 10000 };
	int status = -1;

	return pl_run(&run, NULL, NULL, &status, NULL) == PL_OK && status == 0;
}

static inline void
lab_address(const char *addr)
{
	/* IPv6 would keep an address back while it looks for duplicates. */
	const char *argv[] = { "/sbin/ip", "addr", "add", addr, "dev", "lo",
		strchr(addr, ':') != NULL ? "nodad" : NULL, NULL };

	assert_true(lab_run(argv));
}

/* False where this process may not make a network for itself. */
static inline bool
lab_enter(struct lab *lab)
{
	struct ifreq ifr;
	int fd;

	memset(lab, 0, sizeof(*lab));
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, "lo", 3);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) != 0) {
		close(fd);
		return false;
	}
	close(fd);
	strncpy(lab->dir, "/tmp/placard-lab-XXXXXX", sizeof(lab->dir) - 1);
	return mkdtemp(lab->dir) != NULL && chmod(lab->dir, 0755) == 0;
}

static inline void
lab_leave(struct lab *lab)
{
	const char *argv[] = { "/bin/rm", "-r", lab->dir, NULL };

	for (size_t i = 0; i < lab->npid; i++) {
		kill(lab->pid[i], SIGKILL);
		waitpid(lab->pid[i], NULL, 0);
	}
	lab->npid = 0;
	if (lab->dir[0] != '\0')
		lab_run(argv);
}

/* A child that goes when the test does. */
static inline pid_t
lab_fork(struct lab *lab)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		return 0;
	}
	assert_true(lab->npid < LAB_PIDS);
	lab->pid[lab->npid++] = pid;
	return pid;
}

/* Writes dir/name. */
static inline void
lab_file(const struct lab *lab, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

/* Starts a program, its output into dir/log. */
static inline pid_t
lab_start(struct lab *lab, const char *const *argv, const char *log)
{
	pid_t pid = lab_fork(lab);
	char path[512];
	int fd;

	if (pid != 0)
		return pid;
	snprintf(path, sizeof(path), "%s/%s", lab->dir, log);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

/* Waits until a DNS server answers at the address. */
static inline void
lab_wait_dns(const char *addr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	unsigned char q[512], a[4096];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = false;

	inet_pton(AF_INET, addr, &sa.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	for (int i = 0; i < 300 && !up; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		size_t n = pl_dns_query(q, sizeof(q), "", PL_DNS_NS, 0);

		if (send(fd, q, n, 0) > 0 && poll(&p, 1, 100) > 0 &&
		    recv(fd, a, sizeof(a), 0) > 0)
			up = true;
		else
			usleep(20000);
	}
	close(fd);
	assert_true(up);
}

/* named on these addresses; zones: its zone statements. */
static inline void
lab_named(struct lab *lab, const char *name, const char *listen,
    const char *extra, const char *zones)
{
	char path[512], file[64], text[4096];
	const char *argv[] = { "/usr/sbin/named", "-n", "1", "-g", "-c", path,
		NULL };

	snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(text, sizeof(text), "options { directory \"%s\"; pid-file "
	    "none; session-keyfile none; listen-on port 53 { %s; }; "
	    "listen-on-v6 { none; }; dnssec-validation no; notify no; "
	    "check-names primary ignore; %s };\ncontrols {};\n%s\n", path,
	    listen, extra, zones);
	snprintf(file, sizeof(file), "%s.conf", name);
	lab_file(lab, file, text);
	snprintf(path, sizeof(path), "%s/%s", lab->dir, file);
	snprintf(file, sizeof(file), "%s.log", name);
	lab_start(lab, argv, file);
}

/* Does the log hold this text? */
static inline bool
lab_logged(const struct lab *lab, const char *log, const char *text)
{
	char path[512];
	struct pl_buf b;
	bool there;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, log);
	pl_buf_init(&b, PL_LIM_JOB);
	assert_int_equal(pl_file_read(&b, path, NULL), PL_OK);
	there = strcasestr(b.data, text) != NULL;
	pl_buf_clear(&b);
	return there;
}

/* ---- running the verifier ------------------------------------------------- */

#define LAB_SEEN 64
struct lab_result {
	struct pl_sighting last[LAB_SEEN];	/* by id, deep copies */
	unsigned progress, finals, visible;
};

static inline void
lab_found(void *ctx, const struct pl_sighting *s)
{
	struct lab_result *r = ctx;
	struct pl_cursor c;
	struct pl_buf b;

	r->progress += !s->final;
	r->finals += s->final;
	r->visible += s->visible;
	if (!s->final || s->id >= LAB_SEEN)
		return;
	/* Through the frame, which is so tested with all that comes. */
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_sighting_put(&b, s);
	c.p = (const unsigned char *)b.data;
	c.end = c.p + b.len;
	c.bad = false;
	pl_sighting_clear(&r->last[s->id]);
	pl_sighting_get(&c, &r->last[s->id]);
	assert_false(c.bad);
	assert_true(c.p == c.end);
	pl_buf_clear(&b);
}

static inline void
lab_result_clear(struct lab_result *r)
{
	for (size_t i = 0; i < LAB_SEEN; i++)
		pl_sighting_clear(&r->last[i]);
	memset(r, 0, sizeof(*r));
}

static inline void
lab_drive(struct pl_verifier *v)
{
	while (pl_verifier_open(v) > 0) {
		int ms = pl_verifier_run(v);
		struct pollfd p = { .fd = pl_verifier_fd(v),
			.events = POLLIN };

		if (pl_verifier_open(v) > 0)
			poll(&p, 1, ms);
	}
}

static inline struct pl_check
lab_check(enum pl_look look, enum pl_kind kind, const char *record,
    const char *domain, const char *value)
{
	struct pl_check c = { .look = look, .kind = kind, .record = record,
		.domain = domain, .value = value, .value_len = strlen(value),
		.timeout_ms = 20000 };

	return c;
}

/* One check with a verifier of its own. */
static inline void
lab_look(struct lab_result *r, const struct pl_verify_settings *set,
    const struct pl_check *c)
{
	struct pl_verifier *v;
	struct pl_err err;

	lab_result_clear(r);
	assert_int_equal(pl_verifier_new(&v, set, lab_found, r, &err), PL_OK);
	assert_int_equal(pl_verifier_add(v, c, &err), PL_OK);
	lab_drive(v);
	pl_verifier_free(v);
	assert_int_equal(r->finals, 1);
}

/* The verdict of the server at an address; NONE where there is none. */
static inline const struct pl_verdict *
lab_verdict(const struct lab_result *r, const char *address)
{
	static const struct pl_verdict none = { .answer = PL_ANS_NONE };

	for (size_t i = 0; i < r->last[0].n; i++)
		if (strcmp(r->last[0].verdicts[i].address, address) == 0)
			return &r->last[0].verdicts[i];
	return &none;
}

#endif
