/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * For the tests of DNS code: real servers on free loopback ports, and a
 * server that lies, each a child process that the test stops by its id.
 */
#ifndef TEST_WIRE_DNS_LAB_H
#define TEST_WIRE_DNS_LAB_H

#include <sys/types.h>

#include "wire.h"

#define LAB_KEY "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define LAB_WRONG "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZ3dyb25nd3I="
#define LAB_NAME "placard."

struct lab {
	pid_t pid;		/* 0: not running */
	uint16_t port;
	char dir[64];		/* or "" */
};

/*
 * Starts named or knotd with zone files NAME.zone made of the texts given
 * (NULL-terminated pairs of name and text) and the text of its configuration's
 * end.  False where the program is not installed, or does not start.
 */
bool lab_named(struct lab *s, const char *const *zones, const char *conf);
bool lab_knotd(struct lab *s, const char *const *zones);
void lab_stop(struct lab *s);

/* How the liar answers. */
enum lie {
	LIE_NONE,		/* NOERROR, signed as the question was */
	LIE_ID, LIE_QUESTION, LIE_PORT, LIE_MAC, LIE_SHORT_MAC, LIE_OLD,
	LIE_FUTURE, LIE_UNSIGNED, LIE_OTHER_KEY, LIE_OTHER_ALG, LIE_SILENT,
	LIE_GARBAGE, LIE_TRUNCATED, LIE_BADTIME, LIE_BADKEY_UNSIGNED,
	LIE_REFUSED, LIE_NOTIMP, LIE_NOTAUTH, LIE_NOTZONE, LIE_SERVFAIL,
	LIE_FORMERR, LIE_YXDOMAIN,
	LIE_NO_UDP,		/* honest, but over TCP only */
	LIE_HANGUP,		/* TCP: closes without an answer */
	LIE_LATE		/* lets the first question over UDP go by */
};
/* Answers whatever comes over UDP and TCP; signs with key LAB_KEY. */
bool lab_liar(struct lab *s, enum lie lie);
/*
 * Passes all on to the server at `port`, but UPDATEs without an update
 * section are answered with rcode; nothing may be signed.
 */
bool lab_prude(struct lab *s, uint16_t port, unsigned rcode);

/*
 * Writes an answer to the question q with this rcode into out, unsigned, and
 * gives its length; then signs it as a server would, over the MAC of q.
 */
size_t lab_answer(unsigned char *out, const unsigned char *q, size_t n,
    unsigned rcode);
struct lab_signing {
	const char *key, *alg;		/* LAB_NAME, "hmac-sha256" */
	int64_t when;
	unsigned error;
	int64_t other;			/* server's time for BADTIME, or 0 */
	size_t maclen;			/* 32 */
};
size_t lab_sign(unsigned char *a, size_t n, const unsigned char *q,
    size_t qlen, const struct lab_signing *s);

#endif
