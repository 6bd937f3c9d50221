/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to azure.c, azure-call.c, azure-zone.c and azure-set.c. */
#ifndef PL_AZURE_H
#define PL_AZURE_H

#include "providers.h"

#define AZURE_TTL 60
#define AZURE_PARALLEL 20	/* requests of one call at once */
#define AZURE_KNOWN_MS 600000	/* how long zones and sets are kept */

struct azure_zone {
	char *name;
	char *group;		/* its resource group */
	char *other;		/* another one that has a zone of that name */
};

/* One record of a TXT set: its strings as they were read. */
struct azure_record {
	char **strings;
	size_t n;
};

/* A TXT or CNAME set. */
struct azure_set {
	char *key;		/* "TXT/name" */
	enum pl_kind kind;
	char *name;
	int64_t seen;		/* mono ms of the look, 0: not known */
	bool there;
	char *etag;
	uint32_t ttl;
	char *metadata;		/* JSON text, or NULL */
	struct azure_record *records;
	size_t n;
	char *target;		/* CNAME: lower case, no final dot */
	size_t group;		/* while changes are grouped: number + 1 */
};

struct azure {
	struct pl_http *arm, *login;
	const char *resource;	/* whom the token is for */
	char *subscription, *tenant, *client;
	char *group;		/* resource-group, or NULL */
	struct pl_secret *secret;
	struct pl_secret *token;
	int64_t token_until;	/* mono ms */
	struct azure_zone *zones;
	size_t nzones;
	int64_t zones_at;	/* mono ms of the list, 0: none */
	bool listed;		/* zones are all that there are */
	void *sets;		/* tree of struct azure_set */
	size_t nsets;
	bool read, written;	/* the rights for it were enough once */
	int64_t failed;		/* deadline of a call that could not go on */
	struct pl_err why;
};

/* ---- azure-call.c: requests ---------------------------------------------- */

struct azure_req {
	const char *what;	/* in errors: "zones", or the name of a set */
	const char *method;
	char *target;		/* path and query; its own */
	char *body;		/* JSON, or NULL; its own */
	const char *match;	/* If-Match, or NULL */
	bool create;		/* If-None-Match: * */
};
struct azure_res {
	enum pl_code code;	/* PL_OK: done, or (404) the set is absent */
	struct pl_err err;
	int status;
	json_t *doc;		/* the answer, NULL where it has none */
	char etag[128];		/* of the header, or "" */
	bool sent;		/* it may have been done */
	bool denied;		/* PL_EAUTH: the token is good, the right is missing */
	bool clash;		/* another type is at the name */
};
void azure_req_clear(struct azure_req *q, size_t n);
void azure_res_clear(struct azure_res *r, size_t n);
/* Sends all at once; the token is had, and renewed where it is refused. */
void azure_send(struct azure *self, const struct pl_call *call,
    const struct azure_req *q, struct azure_res *r, size_t n);
enum pl_code azure_token(struct azure *self, const struct pl_call *call,
    struct pl_err *err);

/* ---- azure-zone.c -------------------------------------------------------- */

/* "/subscriptions/S/…/dnsZones/ZONE" and `rest`, with the version; gives. */
char *azure_zone_target(const struct azure *self, const char *group,
    const char *zone, enum pl_kind kind, const char *relative);
/* The name below its zone; "@" for the zone itself. */
char *azure_relative(const char *zone, const char *name);	/* gives */
void azure_zones_forget(struct azure *self);
enum pl_code azure_zones_list(struct azure *self, const struct pl_call *call,
    bool *denied, struct pl_err *err);
/* The longest zone that holds the name; lent until zones are forgotten. */
enum pl_code azure_find(struct azure *self, const struct pl_call *call,
    const char *name, const struct azure_zone **zone, struct pl_err *err);
/* The resource group of the zone of this name; gives. */
enum pl_code azure_group(struct azure *self, const struct pl_call *call,
    const char *zone, char **group, struct pl_err *err);
/* Is there such a zone? */
enum pl_code azure_zone_there(struct azure *self, const struct pl_call *call,
    const char *group, const char *zone, struct pl_err *err);

/* ---- azure-set.c ----------------------------------------------------------- */

void azure_sets_forget(struct azure *self);
/* apply() for a zone; err is never NULL. */
enum pl_code azure_change(struct azure *self, const struct pl_call *call,
    const char *group, const char *zone, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err);

#endif
