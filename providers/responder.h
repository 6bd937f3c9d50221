/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Private to the responder's files: responder.c (options and changes),
 * responder-net.c (sockets and connections), responder-dns.c,
 * responder-http.c and responder-limit.c.
 */
#ifndef PL_RESPONDER_H
#define PL_RESPONDER_H

#include <sys/socket.h>

#include "providers.h"

/* ---- what is published --------------------------------------------------- */

struct web_file {
	char *path;
	void *data;
	size_t len;
};
/* Sorted by path. */
struct web_files {
	struct web_file *list;
	size_t n, room;
};
const struct web_file *pl_web_file(const struct web_files *w,
    const char *path, size_t len);
void pl_web_file_add(struct web_files *w, const char *path,
    const void *data, size_t len);
void pl_web_file_del(struct web_files *w, const struct web_file *f);
void pl_web_files_clear(struct web_files *w);

/* ---- responder-http.c ---------------------------------------------------- */

#define HTTP_REQUEST_MOST 2048

/*
 * Looks at the octets of a request so far.  Appends the whole answer to
 * `out` and returns true, or returns false: the request is not yet whole.
 */
bool pl_http_answer(const struct web_files *w, bool redirect,
    const char *in, size_t n, struct pl_buf *out);

/* ---- responder-limit.c --------------------------------------------------- */

/* Answers a second for one network (IPv4 /24, IPv6 /56). */
enum limit { LIMIT_ANSWER, LIMIT_CUT, LIMIT_DROP };
struct pl_limit;
struct pl_limit *pl_limit_new(unsigned rate);	/* gives; rate 0: NULL */
void pl_limit_free(struct pl_limit *l);
enum limit pl_limit_take(struct pl_limit *l, const struct sockaddr *sa,
    int64_t now_ms);

/* ---- responder-dns.c ----------------------------------------------------- */

struct pl_udp;
struct pl_udp *pl_udp_new(void);	/* gives: buffers for one turn */
void pl_udp_free(struct pl_udp *u);
/* Answers what lies there, a few hundred questions at most.  `from` tells
 * that the socket is bound to all addresses. */
void pl_udp_serve(struct pl_udp *u, int fd, bool any,
    const struct pl_served *s, struct pl_limit *l);
/*
 * Takes whole questions off a TCP stream's octets: answers go to `out`.
 * Gives the octets used; *bad where the stream makes no sense.
 */
size_t pl_tcp_serve(const struct pl_served *s, const unsigned char *in,
    size_t n, struct pl_buf *out, unsigned char *room, bool *bad);

/* ---- responder-net.c ----------------------------------------------------- */

enum listen_kind { LISTEN_UDP, LISTEN_TCP, LISTEN_HTTP };
struct pl_net;
struct pl_net_content {
	struct pl_served *dns;
	struct web_files files;
	bool redirect;
	unsigned rate;
};
/* An address to listen on: "192.0.2.1:53"; PL_EINVAL says what is wrong. */
enum pl_code pl_listen_parse(struct sockaddr_storage *sa, socklen_t *len,
    const char *text, uint16_t port, struct pl_err *err);
/*
 * Content is lent until pl_net_free.  The first `inherited` descriptors
 * behind the seam's are used where they are bound to what is wanted.
 */
enum pl_code pl_net_new(struct pl_net **out, struct pl_net_content *content,
    int first, int inherited, struct pl_err *err);
/* Listens; `optional`: an address family that this host has not is left
 * out.  PL_EINVAL names the option and the address. */
enum pl_code pl_net_listen(struct pl_net *n, const char *option,
    const char *text, uint16_t port, enum listen_kind kind, bool optional,
    struct pl_err *err);
void pl_net_free(struct pl_net *n);
int pl_net_fd(const struct pl_net *n);
int pl_net_serve(struct pl_net *n);
size_t pl_net_count(const struct pl_net *n);	/* sockets that listen */

#endif
