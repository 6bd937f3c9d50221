/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Amazon Route 53, API version 2013-04-01.
 */
#include <stdlib.h>
#include <string.h>

#include "route53.h"

/* ---- description ------------------------------------------------------ */

static const struct pl_option route53_options[] = {
	{ .name = "access-key-id", .type = PL_OPT_STRING, .required = true,
	    .help = "id of the access key (AKIA…)" },
	{ .name = "secret-access-key", .type = PL_OPT_SECRET,
	    .required = true, .help = "secret of the access key" },
	{ .name = "session-token", .type = PL_OPT_SECRET,
	    .help = "session token, for temporary keys" },
	{ .name = "hosted-zone-id", .type = PL_OPT_STRING,
	    .help = "the only zone to use (Z…); else found by name" },
	{ .name = NULL },
};

static bool
route53_word(const char *s, size_t least, size_t most)
{
	size_t n;

	for (n = 0; s[n] != '\0'; n++)
		if (!(s[n] >= 'A' && s[n] <= 'Z') &&
		    !(s[n] >= 'a' && s[n] <= 'z') &&
		    !(s[n] >= '0' && s[n] <= '9'))
			return false;
	return n >= least && n <= most;
}

/* The id itself, without the path that the API shows before it. */
static const char *
route53_bare_id(const char *id)
{
	static const char prefix[] = "/hostedzone/";

	return strncmp(id, prefix, sizeof(prefix) - 1) == 0 ?
	    id + sizeof(prefix) - 1 : id;
}

static enum pl_code
route53_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *key = pl_setting(set, "access-key-id");
	const char *zone = pl_setting(set, "hosted-zone-id");

	if (key != NULL && !route53_word(key, 16, 128))
		return pl_fail(err, PL_EINVAL, "access-key-id: 16 to 128 "
		    "letters and digits are expected");
	if (zone != NULL && !route53_word(route53_bare_id(zone), 1, 32))
		return pl_fail(err, PL_EINVAL, "hosted-zone-id: at most 32 "
		    "letters and digits are expected");
	return PL_OK;
}

static const char route53_recipe[] =
    "A user with this policy and nothing else, ZONE-ID being the ids of the\n"
    "hosted zones of these names:\n"
    "\n"
    "{ \"Version\": \"2012-10-17\",\n"
    "  \"Statement\": [\n"
    "    { \"Effect\": \"Allow\",\n"
    "      \"Action\": \"route53:ListHostedZonesByName\",\n"
    "      \"Resource\": \"*\" },\n"
    "    { \"Effect\": \"Allow\",\n"
    "      \"Action\": \"route53:GetChange\",\n"
    "      \"Resource\": \"arn:aws:route53:::change/*\" },\n"
    "    { \"Effect\": \"Allow\",\n"
    "      \"Action\": \"route53:ListResourceRecordSets\",\n"
    "      \"Resource\": \"arn:aws:route53:::hostedzone/ZONE-ID\" },\n"
    "    { \"Effect\": \"Allow\",\n"
    "      \"Action\": \"route53:ChangeResourceRecordSets\",\n"
    "      \"Resource\": \"arn:aws:route53:::hostedzone/ZONE-ID\",\n"
    "      \"Condition\": { \"ForAllValues:StringEquals\": {\n"
    "        \"route53:ChangeResourceRecordSetsActions\":\n"
    "          [ \"CREATE\", \"DELETE\" ],\n"
    "        \"route53:ChangeResourceRecordSetsRecordTypes\":\n"
    "          [ \"TXT\", \"CNAME\" ],\n"
    "        \"route53:ChangeResourceRecordSetsNormalizedRecordNames\": [\n"
    "@          \"%R\"%,\n"
    "        ] } } } ] }\n";

const struct pl_provider_desc pl_desc_route53 = {
	.name = "route53",
	.program = "placard-http",
	.summary = "Amazon Route 53",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_HTTP | PL_P_SPREAD,
	.max_batch = 1000,
	.default_ttl = ROUTE53_TTL,
	/* Five requests a second for all users of the vendor's account. */
	.parallel = 1,
	.rate = 150,
	.options = route53_options,
	.check = route53_check,
	.recipe = route53_recipe,
};

#ifndef PL_DESCRIBE

/* ---- the door ---------------------------------------------------------------- */

/* n == 0: are the credentials good, and can the zone be read? */
static enum pl_code
route53_test(struct route53 *self, const struct pl_call *call,
    const char *scope, struct pl_err *err)
{
	struct route53_zone *zone = NULL;
	enum pl_code code = PL_OK;

	if (*scope != '\0')
		code = route53_zone(self, call, scope, &zone, err);
	return code != PL_OK ? code : route53_prove(self, call, zone, err);
}

static enum pl_code
route53_apply(void *ctx, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct route53_zone *zone;
	struct pl_err why;
	enum pl_code code;
	size_t i;

	pl_err_clear(err);
	if (n == 0)
		return route53_test(ctx, call, scope, err);
	pl_err_clear(&why);
	code = route53_zone(ctx, call, scope, &zone, &why);
	if (code == PL_OK)
		code = route53_change(ctx, call, zone, chg, out, n, &why);
	else
		for (i = 0; i < n; i++)
			out[i].code = code;
	/* The zone's id may be an old one. */
	if (code == PL_ENOZONE)
		route53_forget(ctx);
	if (code != PL_OK && err != NULL)
		*err = why;
	return code;
}

/* Names come many to a call.  What fails for one of them, other than for
 * its own sake, is not tried again for the next. */
static enum pl_code
route53_scope(void *ctx, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct route53 *self = ctx;
	const struct route53_zone *zone = NULL;
	struct pl_err why;
	enum pl_code code;

	scope[0] = '\0';
	pl_err_clear(&why);
	if (self->failed == call->deadline) {
		why = self->why;
		code = why.code;
	} else {
		code = route53_find(self, call, name, &zone, &why);
		if (code != PL_OK && code != PL_ENOZONE && code != PL_EINVAL) {
			self->failed = call->deadline;
			self->why = why;
		}
	}
	if (code == PL_OK && strlen(zone->name) >= PL_NAME_MAX)
		code = pl_fail(&why, PL_EPROTO, "zone of %s: name too long",
		    name);
	if (code == PL_OK)
		memcpy(scope, zone->name, strlen(zone->name) + 1);
	else if (err != NULL)
		*err = why;
	return code;
}

struct route53_name {
	char *key;
	const char *name;
};

static int
route53_by_key(const void *a, const void *b)
{
	const struct route53_name *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* In the order of the service's listings, so that pages are read once. */
static void
route53_prime(void *ctx, const struct pl_call *call,
    const char *const *names, size_t n)
{
	struct route53_name *list = pl_array(n + 1, sizeof(*list));
	char scope[PL_NAME_MAX];
	size_t i;

	for (i = 0; i < n; i++)
		list[i] = (struct route53_name){ route53_key(names[i]),
			names[i] };
	if (n > 1)
		qsort(list, n, sizeof(*list), route53_by_key);
	for (i = 0; i < n; i++) {
		(void)route53_scope(ctx, call, list[i].name, scope, NULL);
		free(list[i].key);
	}
	free(list);
}

/* GetChange: INSYNC when all of the vendor's name servers have the batch. */
static enum pl_spread_state
route53_change_state(struct route53 *self, const struct pl_call *call,
    const char *id, struct pl_err *err)
{
	struct route53_req q = { .what = "change", .method = "GET",
		.root = "GetChangeResponse" };
	struct route53_fault f = { .sent = false };
	struct pl_xml *doc;
	const char *status;
	struct pl_buf path;
	enum pl_spread_state state = PL_SPREAD_UNKNOWN;

	pl_err_clear(err);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "change/%s", id);
	q.path = path.data;
	if (route53_call(self, call, &q, &doc, &f, err) == PL_OK) {
		status = pl_xml_text(doc, "ChangeInfo/Status");
		state = pl_streq(status, "PENDING") ? PL_SPREAD_NOT_YET :
		    pl_streq(status, "INSYNC") ? PL_SPREAD_DONE :
		    PL_SPREAD_UNKNOWN;
	}
	/* A policy of before does not allow it. */
	self->mute = f.denied;
	route53_fault_clear(&f);
	pl_xml_free(doc);
	pl_buf_clear(&path);
	return state;
}

/* A few at a time: the vendor's allowance is small. */
static void
route53_spread(void *ctx, const struct pl_call *call,
    struct pl_spread *list, size_t n)
{
	struct route53 *self = ctx;
	size_t i, asked = 0;
	struct pl_err err;

	pl_err_clear(&err);
	for (i = 0; i < n && !self->mute; i++) {
		if (!route53_word(list[i].handle, 1, 40))
			continue;
		list[i].state = PL_SPREAD_NOT_YET;
		if (err.code == PL_ELIMIT || asked == ROUTE53_ASK)
			continue;
		list[i].state = route53_change_state(self, call,
		    list[i].handle, &err);
		asked++;
		if (err.code == PL_ELIMIT)
			list[i].state = PL_SPREAD_NOT_YET;
	}
}

static void
route53_close(void *ctx)
{
	struct route53 *self = ctx;

	if (self == NULL)
		return;
	route53_forget(self);
	pl_http_close(self->http);
	pl_secret_free(self->secret);
	pl_secret_free(self->token);
	free(self->host);
	free(self->key_id);
	free(self->zone_id);
	free(self);
}

static enum pl_code
route53_open(void **out, const struct pl_settings *set, struct pl_err *err)
{
	const char *endpoint = pl_setting(set, "endpoint");
	const char *zone = pl_setting(set, "hosted-zone-id");
	struct pl_http_opts o = { .ca_file = pl_setting(set, "ca-file"),
		.timeout_ms = pl_setting_int(set, "timeout", 30) * 1000 };
	struct route53 *self;
	enum pl_code code;

	*out = NULL;
	if (endpoint == NULL)
		endpoint = "https://route53.amazonaws.com";
	o.endpoint = endpoint;
	code = route53_check(set, err);
	if (code != PL_OK)
		return code;
	self = pl_alloc(sizeof(*self));
	self->host = route53_host(endpoint);
	self->region = route53_region(self->host);
	self->key_id = pl_strdup(pl_setting(set, "access-key-id"));
	if (zone != NULL)
		self->zone_id = pl_strdup(route53_bare_id(zone));
	code = pl_setting_secret(set, "secret-access-key", false,
	    &self->secret, err);
	if (code == PL_OK)
		code = pl_setting_secret(set, "session-token", false,
		    &self->token, err);
	if (code == PL_OK && (self->secret == NULL || self->key_id == NULL))
		code = pl_fail(err, PL_EINVAL, "%s: not given",
		    self->key_id == NULL ? "access-key-id" :
		    "secret-access-key");
	if (code == PL_OK)
		code = pl_http_open(&self->http, &o, err);
	if (code != PL_OK) {
		route53_close(self);
		return code;
	}
	*out = self;
	return PL_OK;
}

static uint32_t
route53_requests(void *self)
{
	const struct route53 *p = self;

	return pl_http_requests(p->http);
}

const struct pl_provider pl_provider_route53 = {
	.desc = &pl_desc_route53,
	.open = route53_open,
	.prime = route53_prime,
	.scope = route53_scope,
	.apply = route53_apply,
	.close = route53_close,
	.requests = route53_requests,
	.spread = route53_spread,
};

#endif /* PL_DESCRIBE */
