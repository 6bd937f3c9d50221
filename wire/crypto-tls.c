/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Which certificate a server shows, by OpenSSL.  Nothing is trusted and
 * nothing is said behind the handshake, so nothing has to be verified: the
 * caller compares the fingerprint.
 */
#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* Waits until fd is ready or the deadline has come. */
static bool
tls_wait(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = deadline - pl_mono_ms();
		if (left <= 0)
			return false;
		n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static int
tls_connect(const struct addrinfo *a, int64_t deadline, const char *shown,
    struct pl_err *err)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0), sys = 0;
	socklen_t len = sizeof(sys);

	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
	    errno != EINPROGRESS))
		sys = errno;
	else if (!tls_wait(fd, POLLOUT, deadline))
		sys = ETIMEDOUT;
	else
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len);
	if (sys == 0)
		return fd;
	pl_fail_sys(err, PL_ENET, sys, "%s", shown);
	if (fd >= 0)
		close(fd);
	return -1;
}

static enum pl_code
tls_fail(struct pl_err *err, const char *shown, bool late)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return pl_fail(err, PL_ENET, "%s: TLS: %s", shown, late ?
	    "no answer before the deadline" : why != NULL ? why :
	    "the connection was closed");
}

/* The handshake, to its end or the deadline. */
static enum pl_code
tls_shake(SSL *ssl, int fd, int64_t deadline, const char *shown,
    struct pl_err *err)
{
	int rc, want;

	while ((rc = SSL_connect(ssl)) != 1) {
		want = SSL_get_error(ssl, rc);
		if (want != SSL_ERROR_WANT_READ &&
		    want != SSL_ERROR_WANT_WRITE)
			return tls_fail(err, shown, false);
		if (!tls_wait(fd, want == SSL_ERROR_WANT_READ ? POLLIN :
		    POLLOUT, deadline))
			return tls_fail(err, shown, true);
	}
	return PL_OK;
}

static bool
tls_digest(SSL *ssl, unsigned char sha256[32])
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	unsigned char *der = NULL;
	int n = x != NULL ? i2d_X509(x, &der) : 0;

	if (n <= 0)
		return false;
	pl_sha256(sha256, der, (size_t)n);
	OPENSSL_free(der);
	return true;
}

static enum pl_code
tls_one(SSL_CTX *ctx, const struct addrinfo *a, const char *name,
    int64_t deadline, const char *shown, unsigned char sha256[32],
    struct pl_err *err)
{
	enum pl_code code = PL_OK;
	int fd = tls_connect(a, deadline, shown, err);
	SSL *ssl;

	if (fd < 0)
		return PL_ENET;
	ERR_clear_error();
	ssl = SSL_new(ctx);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || (name != NULL &&
	    SSL_set_tlsext_host_name(ssl, name) != 1))
		code = tls_fail(err, shown, false);
	else
		code = tls_shake(ssl, fd, deadline, shown, err);
	if (code == PL_OK && !tls_digest(ssl, sha256))
		code = pl_fail(err, PL_EPROTO, "%s: TLS: no certificate was "
		    "shown", shown);
	if (code == PL_OK)
		(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	return code;
}

static void
tls_shown(char *out, size_t size, const struct addrinfo *a)
{
	char host[128], port[16];

	if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), port,
	    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		host[0] = port[0] = '\0';
	snprintf(out, size, a->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
	    host, port);
}

/* Has this host no route for the family at all? */
static bool
tls_no_route(const struct pl_err *err)
{
	return err->sys == ENETUNREACH || err->sys == EAFNOSUPPORT ||
	    err->sys == EADDRNOTAVAIL;
}

enum pl_code
pl_tls_shown(const char *host, uint16_t port, const char *name,
    const unsigned char wanted[32], int64_t deadline, struct pl_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV }, *list = NULL;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	unsigned char got[32];
	char service[8], shown[160];
	enum pl_code code = PL_OK;
	struct pl_err why;
	size_t seen = 0;
	int rc;

	snprintf(service, sizeof(service), "%u", (unsigned)port);
	rc = ctx != NULL ? getaddrinfo(host, service, &hints, &list) : 0;
	if (ctx == NULL || rc != 0)
		code = pl_fail(err, PL_ENET, "%s: %s", host, ctx == NULL ?
		    "TLS cannot be used" : gai_strerror(rc));
	pl_fail(&why, PL_ENET, "%s: no address", host);
	for (const struct addrinfo *a = list; code == PL_OK && a != NULL;
	    a = a->ai_next) {
		tls_shown(shown, sizeof(shown), a);
		code = tls_one(ctx, a, name, deadline, shown, got, &why);
		if (code != PL_OK && tls_no_route(&why)) {
			code = PL_OK;
			continue;
		}
		seen++;
		if (code == PL_OK && memcmp(got, wanted, 32) != 0)
			code = pl_fail(&why, PL_EABSENT, "%s: another "
			    "certificate is shown for %s", shown, name != NULL
			    ? name : "no name");
		if (code != PL_OK && err != NULL)
			*err = why;
	}
	if (code == PL_OK && seen == 0) {
		code = PL_ENET;
		if (err != NULL)
			*err = why;
	}
	if (list != NULL)
		freeaddrinfo(list);
	SSL_CTX_free(ctx);
	return code;
}
