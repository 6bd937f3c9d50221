/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Shared by the two files of this provider only: rfc2136.c changes names,
 * rfc2136-look.c knows about them.
 */
#ifndef PL_RFC2136_H
#define PL_RFC2136_H

#include "providers.h"

#define RFC2136_NAMES 65536	/* names kept */
#define RFC2136_ROOM 64000	/* octets of records in an UPDATE */

enum known_state {
	KNOWN_NOT,
	KNOWN_UNUSED,		/* the name owns no records */
	KNOWN_FREE,		/* neither TXT nor CNAME, maybe others */
	KNOWN_SET,		/* a TXT set */
	KNOWN_ALIAS		/* a CNAME */
};

struct known_value {
	unsigned char *data, *raw;	/* joined; as in the record */
	size_t len, rawlen;
};

struct known {
	struct known *next;		/* in its bucket */
	char *name;
	char *zone;			/* NULL: not known */
	int64_t zone_seen;
	enum known_state state;
	int64_t seen;
	bool sure;			/* SET, ALIAS: no wildcard's */
	uint32_t ttl;			/* SET */
	struct known_value *values;	/* SET */
	size_t nvalues;
	char *target;			/* ALIAS */
	bool dname;			/* ALIAS: made from a DNAME above */
	enum pl_code code;		/* why state or zone is not known ... */
	unsigned rcode;			/* ... and what the server said */
	size_t group;			/* in apply(): its group's index + 1 */
};

struct rfc2136 {
	char host[256];
	uint16_t port;
	char *zone;			/* the option, or NULL */
	char *key_name;			/* or NULL */
	struct pl_tsig *tsig;
	struct pl_dns_peer *peer;
	bool no_bare;			/* dislikes prerequisites without update */
	struct known **buckets;
	size_t nknown;
};

/* A list of names to work on. */
struct names {
	struct known **k;
	size_t n;
};
void rfc2136_names_add(struct names *l, struct known *k);

/* The entry of a name, made where there is none; lent until
 * rfc2136_forget_all. */
struct known *rfc2136_known(struct rfc2136 *self, const char *name);
void rfc2136_forget(struct known *k);		/* its state, not its zone */
void rfc2136_forget_all(struct rfc2136 *self);
bool rfc2136_zone_fresh(const struct known *k);

/* Opens the peer where that has not been done. */
enum pl_code rfc2136_peer(struct rfc2136 *self, struct pl_err *err);
/* Finds the zones of all names that are not known yet. */
enum pl_code rfc2136_resolve(struct rfc2136 *self, int64_t deadline,
    const char *const *names, size_t n, struct pl_err *err);
/* Learns the state of these names where it is not known or not sure.
 * PL_OK: each entry tells of itself. */
enum pl_code rfc2136_look(struct rfc2136 *self, int64_t deadline,
    const char *zone, const struct names *l, struct pl_err *err);

/* The sentence for an rcode, and what to do about it. */
enum pl_code rfc2136_fail_rcode(const struct rfc2136 *self, const char *zone,
    unsigned rcode, struct pl_err *err);
/* Why nothing is known about a name after it was asked for. */
enum pl_code rfc2136_fail_known(const struct rfc2136 *self,
    const struct known *k, struct pl_err *err);

#endif
