/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What providers with an HTTP API of single values share: the account's
 * zones, the records that were read, and the order of steps of apply().
 */
#ifndef PL_CLOUD_H
#define PL_CLOUD_H

#include "providers.h"

/* ---- calls and errors --------------------------------------------------- */

/* Opens the connection that the settings describe; `rate` as in pl_http. */
enum pl_code cloud_open(struct pl_http **out, const struct pl_settings *set,
    const char *endpoint, unsigned rate, struct pl_err *err);
/* A failure by status: "what: HTTP 403: text"; takes Retry-After. */
enum pl_code cloud_status(const struct pl_http_res *res, enum pl_code code,
    const char *what, const char *text, struct pl_err *err);
/*
 * Parses the body of an answer.  What is no JSON: a fault by status, or
 * PL_EPROTO (a page of some machine in front of the API says nothing about the
 * credentials).  Gives *out.
 */
enum pl_code cloud_json(const struct pl_http_res *res, const char *what,
    json_t **out, struct pl_err *err);
/* Marks one change as failed. */
void cloud_fail(struct pl_outcome *o, const struct pl_err *err);
/* A string, or an integer as text; NULL for all else.  Uses buf. */
const char *cloud_text(const json_t *j, char *buf, size_t size);
#define CLOUD_TEXT 24

/*
 * TXT content as in a zone file: strings of at most 255 octets in quotation
 * marks.  Back again: content without the marks is taken as it stands.
 */
void cloud_quote(struct pl_buf *b, const char *p, size_t n);
void cloud_unquote(struct pl_buf *b, const char *s);

/* ---- zones --------------------------------------------------------------- */

struct cloud_zone {
	char *name;
	char *id;		/* what the API calls it */
	const char *why;	/* NULL: records can be written; else why not */
	bool elsewhere;		/* with why: DNS is not served from here */
};
struct cloud_zones {
	struct cloud_zone *z;
	size_t n;
	int64_t when;		/* mono ms of the reading, 0: never */
	char wide[120];		/* rights beyond those that are needed */
	struct pl_err failed;	/* why the last reading failed ... */
	int64_t during;		/* ... in the call with this deadline */
};
/* Did reading fail in this very call?  Many names, one call: it is not
 * tried again for each of them. */
bool cloud_zones_failed(const struct cloud_zones *s,
    const struct pl_call *call, struct pl_err *err);
enum pl_code cloud_zones_fail(struct cloud_zones *s,
    const struct pl_call *call, const struct pl_err *err);
void cloud_zones_clear(struct cloud_zones *s);
/* Tells those that can be written (pl_say_zones). */
void cloud_zones_say(const struct cloud_zones *s, const struct pl_call *call);
/* Remembers of a list of rights those that are not needed, each once, the
 * first few. */
void cloud_zones_rights(struct cloud_zones *s, const json_t *list,
    const char *const *needed);
/* Adds; a name that is none is left out.  Lends the new zone or NULL. */
struct cloud_zone *cloud_zones_add(struct cloud_zones *s, const char *name,
    const char *id, const char *why, bool elsewhere);
/* Are they too old to be used at all?  Never read is old. */
bool cloud_zones_old(const struct cloud_zones *s);
/* Are they too old to say that a name is not among them? */
bool cloud_zones_stale(const struct cloud_zones *s);
/* The zone for a name: the longest one at a label border.  PL_ENOZONE,
 * PL_EINVAL where two of that name can be written. */
enum pl_code cloud_zones_find(const struct cloud_zones *s, const char *name,
    struct cloud_zone **out, struct pl_err *err);
/* The host part of a name in its zone; `apex` for the zone's own name. */
void cloud_relative(struct pl_buf *b, const char *name, const char *zone,
    const char *apex);

/* ---- records that were read ------------------------------------------------ */

enum cloud_type { CLOUD_TXT, CLOUD_CNAME, CLOUD_OTHER };
struct cloud_record {
	char *name;
	enum cloud_type type;
	char *value;		/* TXT: all strings joined; CNAME: the target */
	size_t len;
	char *id;		/* or NULL */
	uint32_t ttl;
	bool hidden;		/* a CNAME that DNS does not show */
};
struct cloud_seen {
	struct cloud_record *r;
	size_t n;
	char *zone;
	char **names;		/* what was asked for; NULL: nothing yet */
	size_t nnames;
	int64_t when;
	bool sorted;
};
void cloud_seen_clear(struct cloud_seen *s);
/* Adds a copy; names and targets become lower case without final dot. */
struct cloud_record *cloud_seen_add(struct cloud_seen *s, const char *name,
    enum cloud_type type, const char *value, size_t len, const char *id,
    int64_t ttl);
/* Lends the records of a name; *n says how many. */
struct cloud_record *cloud_seen_at(struct cloud_seen *s, const char *name,
    size_t *n);
/* Lends a record of the name that is this change's value, or NULL; behind
 * `after` where that is not NULL. */
struct cloud_record *cloud_seen_value(struct cloud_seen *s,
    const struct pl_change *c, const struct cloud_record *after);
/* The TTL of the set that a change belongs to, or `otherwise`. */
uint32_t cloud_seen_ttl(struct cloud_seen *s, const struct pl_change *c,
    uint32_t otherwise);

/* ---- apply --------------------------------------------------------------- */

/* Changes of one kind that have to be made, by index in todo. */
struct cloud_work {
	const struct pl_call *call;
	const struct cloud_zone *zone;
	struct cloud_seen *seen;
	const struct pl_change *chg;
	struct pl_outcome *out;
	size_t *todo, ntodo;
};
struct cloud_api {
	/*
	 * Reads the TXT and CNAME records of these names (each once, in
	 * order) into `seen`.  `all`: other types too, where that costs
	 * little more.
	 */
	enum pl_code (*read)(void *self, const struct pl_call *call,
	    const struct cloud_zone *zone, char *const *names, size_t n,
	    bool all, struct cloud_seen *seen, struct pl_err *err);
	/* Both set the outcome of each change of todo that they reached, and
	 * return the first failure. */
	enum pl_code (*add)(void *self, struct cloud_work *w,
	    struct pl_err *err);
	enum pl_code (*del)(void *self, struct cloud_work *w,
	    struct pl_err *err);
};
enum pl_code cloud_apply(void *self, const struct cloud_api *api,
    const struct pl_call *call, const struct cloud_zone *zone,
    struct cloud_seen *seen, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err);
/* The names of changes, each once, in order; gives (cloud_names_free). */
char **cloud_names(const struct pl_change *chg, const size_t *todo, size_t n,
    size_t *count);
void cloud_names_free(char **names, size_t n);
/* Reads names anew into `seen`, which forgets what it had. */
enum pl_code cloud_read(void *self, const struct cloud_api *api,
    const struct pl_call *call, const struct cloud_zone *zone,
    struct cloud_seen *seen, char **names, size_t n, bool all,
    struct pl_err *err);

#endif
