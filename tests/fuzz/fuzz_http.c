/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What a hostile web server sends to who looks for a file: the input is all
 * of its octets.  Where it redirects, the new URL is looked at too.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)
#define MOST 4096

static void
look_at_url(const char *ref)
{
	struct pl_url u;
	struct pl_err err;

	if (pl_url_resolve(&u, "http://www.example.com/a/b", ref, &err) !=
	    PL_OK) {
		MUST(u.url == NULL && err.code == PL_EREMOTE);
		return;
	}
	MUST(strcmp(u.scheme, "http") == 0 || strcmp(u.scheme, "https") == 0);
	MUST(u.port != 0 && u.host[0] != '\0' && strlen(u.url) <= 2000);
	MUST(strpbrk(u.url, "\r\n \t") == NULL);
	pl_url_clear(&u);
}

static void
got(void *ctx, const struct pl_got *g)
{
	unsigned *calls = ctx;

	(*calls)++;
	MUST(g->len <= MOST && g->status < 1000);
	MUST(g->code != PL_OK || g->status >= 100 || g->status == 0);
	if (g->location != NULL) {
		MUST(strpbrk(g->location, "\r\n") == NULL);
		look_at_url(g->location);
	}
}

/* A listening socket on some port of loopback. */
static int
listener(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	MUST(listen(fd, 4) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void
answer(int fd, const uint8_t *data, size_t size)
{
	struct linger hard = { .l_onoff = 0 };
	int c = accept(fd, NULL, NULL);

	if (c < 0)
		return;
	(void)!send(c, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	shutdown(c, SHUT_WR);
	close(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_get g = { .url = "http://www.example.com/x",
		.address = "127.0.0.1", .local = true, .timeout_ms = 2000,
		.max_body = MOST };
	struct pl_fetch *f;
	struct pl_web *w;
	struct pl_err err;
	unsigned calls = 0;
	int fd = listener(&g.port);

	MUST(pl_web_new(&w, &err) == PL_OK);
	MUST(pl_web_get(w, &g, got, &calls, &f, &err) == PL_OK);
	while (calls == 0) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = pl_web_fd(w), .events = POLLIN } };
		int ms = pl_web_run(w);

		if (calls > 0)
			break;
		poll(p, 2, ms);
		if (p[0].revents & POLLIN)
			answer(fd, data, size);
	}
	MUST(calls == 1);
	pl_web_free(w);
	close(fd);
	return 0;
}
