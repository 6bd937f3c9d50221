/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A TCP connection to a host with several addresses: IPv6 and IPv4 take
 * turns, the next starts a little after the one before or when that has failed,
 * and the first that stands wins (RFC 8305).
 */
#include "ssh-dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 8			/* addresses that are tried */
#define STAGGER_MS 250		/* between two starts */

struct race {
	const struct addrinfo *addr[MOST];
	size_t n;		/* addresses */
	size_t next;		/* the first not yet started */
	struct pollfd fds[MOST];
	size_t nfds;
	int sys;		/* why the last one failed */
};

/* Takes the addresses in turns of families, beginning with the resolver's
 * first. */
static void
race_order(struct race *r, const struct addrinfo *all)
{
	const struct addrinfo *a = all, *b = all;
	int family = all->ai_family;

	while (r->n < MOST && (a != NULL || b != NULL)) {
		while (a != NULL && a->ai_family != family)
			a = a->ai_next;
		if (a != NULL) {
			r->addr[r->n++] = a;
			a = a->ai_next;
		}
		while (b != NULL && b->ai_family == family)
			b = b->ai_next;
		if (b != NULL && r->n < MOST) {
			r->addr[r->n++] = b;
			b = b->ai_next;
		}
	}
}

/* Starts the next one; gives a socket that stands at once, or -1. */
static int
race_start(struct race *r)
{
	const struct addrinfo *a = r->addr[r->next++];
	int fd, one = 1;

	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd < 0) {
		r->sys = errno;
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	if (errno != EINPROGRESS) {
		r->sys = errno;
		close(fd);
		return -1;
	}
	r->fds[r->nfds++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	return -1;
}

static void
race_drop(struct race *r, size_t i)
{
	close(r->fds[i].fd);
	r->fds[i] = r->fds[--r->nfds];
}

/* Gives the first socket that stands, and drops those that have failed. */
static int
race_look(struct race *r)
{
	socklen_t len = sizeof(int);
	size_t i = 0;
	int sys, fd;

	while (i < r->nfds) {
		sys = 0;
		if (r->fds[i].revents == 0) {
			i++;
			continue;
		}
		if (getsockopt(r->fds[i].fd, SOL_SOCKET, SO_ERROR, &sys,
		    &len) == 0 && sys == 0) {
			fd = r->fds[i].fd;
			r->fds[i] = r->fds[--r->nfds];
			return fd;
		}
		r->sys = sys;
		race_drop(r, i);
	}
	return -1;
}

static int
race_run(struct race *r, int64_t deadline)
{
	int64_t now, due = 0, left;
	int fd = -1;

	for (;;) {
		now = pl_mono_ms();
		if (now >= deadline) {
			r->sys = ETIMEDOUT;
			break;
		}
		if (r->next < r->n && (now >= due || r->nfds == 0)) {
			due = now + STAGGER_MS;
			fd = race_start(r);
			if (fd >= 0)
				break;
			continue;
		}
		if (r->nfds == 0)
			break;
		left = deadline - now;
		if (r->next < r->n && due - now < left)
			left = due - now;
		if (poll(r->fds, (nfds_t)r->nfds, (int)left) > 0) {
			fd = race_look(r);
			if (fd >= 0)
				break;
		}
	}
	while (r->nfds > 0)
		race_drop(r, 0);
	return fd;
}

enum pl_code
pl_ssh_dial(int *fd, const char *host, uint16_t port, int64_t deadline,
    struct pl_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV }, *all = NULL;
	struct race race = { .sys = 0 };
	char service[8];
	int rc;

	*fd = -1;
	snprintf(service, sizeof(service), "%u", (unsigned)port);
	rc = getaddrinfo(host, service, &hints, &all);
	if (rc != 0)
		return pl_fail(err, rc == EAI_NONAME ? PL_EINVAL : PL_ENET,
		    "%s: no address: %s", host, gai_strerror(rc));
	race_order(&race, all);
	*fd = race_run(&race, deadline);
	freeaddrinfo(all);
	if (*fd < 0)
		return pl_fail_sys(err, PL_ENET, race.sys,
		    "%s: port %u cannot be reached", host, (unsigned)port);
	return PL_OK;
}
