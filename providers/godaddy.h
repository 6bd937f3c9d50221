/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The two halves of the godaddy provider: domains, and records. */
#ifndef PL_GODADDY_H
#define PL_GODADDY_H

#include "cloud.h"

#define GODADDY_DOMAINS	"/v1/domains"
#define GODADDY_PAGE	500	/* of records and of domains */
#define GODADDY_PAGES	200

/* A domain that was probed. */
struct gd_probe {
	char *name;
	bool there;
	char **cuts;		/* names below it that are delegated */
	size_t ncuts;
};

struct godaddy {
	struct pl_http *http;
	struct pl_secret *secret;
	char *key;		/* "sso-key KEY:" */
	struct pl_http_header headers[2];
	struct cloud_zones zones;
	bool unlisted;		/* the account may not list its domains */
	struct gd_probe *probes;
	size_t nprobes;
	int64_t probed;		/* mono ms of the first of them */
	char **unstored;	/* names whose values were said to be there */
	size_t nunstored;
	struct cloud_seen seen;
};

/* godaddy-domains.c */

/* Judges an answer; *out may stay NULL with PL_OK where `empty` is allowed. */
enum pl_code godaddy_take(const struct pl_http_res *res, const char *what,
    bool empty, json_t **out, struct pl_err *err);
/* One call; gives *out. */
enum pl_code godaddy_call(struct godaddy *g, const struct pl_call *call,
    const struct pl_http_req *req, const char *what, bool empty,
    json_t **out, struct pl_err *err);
/* A GET whose answer is a list; gives *out. */
enum pl_code godaddy_get(struct godaddy *g, const struct pl_call *call,
    const char *target, const char *what, json_t **out, struct pl_err *err);
/* All registered domains.  Small accounts may not ask: success, and
 * `unlisted` is set. */
enum pl_code godaddy_list(struct godaddy *g, const struct pl_call *call,
    struct pl_err *err);
/* Lends the domain whose records are here and that holds the name. */
enum pl_code godaddy_find(struct godaddy *g, const struct pl_call *call,
    const char *name, const char **zone, struct pl_err *err);
void godaddy_probes_clear(struct godaddy *g);

#endif
