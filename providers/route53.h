/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Private to route53.c, route53-call.c, route53-change.c and route53-read.c.
 *
 * Names and zones are compared by key: labels reversed, each with its dot,
 * and everything but a-z 0-9 - _ written as backslash and three octal
 * digits.  That is the service's own order of names, so a key also tells
 * where in a listing a name would stand.
 */
#ifndef PL_ROUTE53_H
#define PL_ROUTE53_H

#include "providers.h"

#define ROUTE53_PREFIX "/2013-04-01/"
#define ROUTE53_TTL 60
#define ROUTE53_ASK 5		/* changes asked about in one call */

struct route53_zone {
	char *key;
	char *name;		/* without its final dot */
	char *id;
	char *twin;		/* the id of another public one of that name */
	void *sets;		/* tree of struct route53_set */
};

/* What is at a name: its TXT and its CNAME. */
struct route53_set {
	char *key;
	char *name;
	int64_t seen;		/* mono ms of the read, 0: not known */
	char **values;		/* of the TXT set, as the service writes them */
	size_t n;
	uint32_t ttl;
	bool routed;		/* TXT: of a routing policy, or an alias */
	char *target;		/* of the CNAME, as the service writes it; NULL: none */
	uint32_t target_ttl;
	bool target_routed;
	size_t group;		/* while changes are grouped: number + 1 */
};

/* From `from` on, up to `to` (NULL: the end), all zones are known. */
struct route53_span {
	char *from, *to;
};

struct route53 {
	struct pl_http *http;
	char *host;		/* as the Host header has it */
	const char *region;	/* of the signature */
	char *key_id;
	struct pl_secret *secret, *token;
	char *zone_id;		/* hosted-zone-id, or NULL */
	int64_t skew;		/* the service's clock minus ours, ms */
	void *zones;		/* tree of struct route53_zone */
	struct route53_span *spans;
	size_t nspans;
	int64_t zones_at;	/* mono ms of the first look, 0: none */
	size_t nsets;		/* in all zones */
	bool mute;		/* it may not ask for the state of changes */
	bool proved;		/* a change of ours was taken */
	int64_t failed;		/* deadline of a call that could not go on */
	struct pl_err why;
};

/* ---- route53-call.c: one request --------------------------------------- */

struct route53_req {
	const char *what;	/* in errors: "zones" */
	const char *method;
	const char *path;	/* behind ROUTE53_PREFIX */
	const char *query;	/* escaped, or NULL */
	const char *body;	/* or NULL */
	const char *root;	/* the element that a good answer is */
};
struct route53_fault {
	bool sent;		/* it may have been done */
	bool denied;		/* PL_EAUTH: known, but without the right to this */
	struct pl_buf messages;	/* PL_ECONFLICT: what is wrong with the batch */
};
void route53_fault_clear(struct route53_fault *f);
/*
 * Gives the answer's document.  PL_ECONFLICT: InvalidChangeBatch.  A clock
 * that is off is set right by the answer's Date, once.  f may be NULL.
 */
enum pl_code route53_call(struct route53 *self, const struct pl_call *call,
    const struct route53_req *q, struct pl_xml **doc,
    struct route53_fault *f, struct pl_err *err);
/* What the Host header will be for an endpoint, and its signing region. */
char *route53_host(const char *endpoint);
const char *route53_region(const char *host);

/* ---- route53-read.c: zones and sets -------------------------------------- */

char *route53_key(const char *name);		/* gives */
/* The longest zone that holds the name: lent until zones are forgotten. */
enum pl_code route53_find(struct route53 *self, const struct pl_call *call,
    const char *name, const struct route53_zone **zone, struct pl_err *err);
/* The zone of exactly this name. */
enum pl_code route53_zone(struct route53 *self, const struct pl_call *call,
    const char *name, struct route53_zone **zone, struct pl_err *err);
/* One request that proves the credentials. */
enum pl_code route53_prove(struct route53 *self, const struct pl_call *call,
    const struct route53_zone *zone, struct pl_err *err);
void route53_forget(struct route53 *self);	/* zones and all their sets */
/* Lends the entry of a name, empty if new. */
struct route53_set *route53_set(struct route53 *self,
    struct route53_zone *zone, const char *name);
void route53_set_empty(struct route53_set *s);
/* Reads sets anew; they are sorted by it. */
enum pl_code route53_read(struct route53 *self, const struct pl_call *call,
    const struct route53_zone *zone, struct route53_set **list, size_t n,
    struct pl_err *err);
/* TXT data to a Value and back; both append. */
void route53_quote(struct pl_buf *b, const char *data, size_t n);
void route53_unquote(struct pl_buf *b, const char *value);

/* ---- route53-change.c: batches --------------------------------------------- */

/* apply() for one zone; err is never NULL. */
enum pl_code route53_change(struct route53 *self, const struct pl_call *call,
    struct route53_zone *zone, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err);

#endif
