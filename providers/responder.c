/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * responder: this host answers by itself.  DNS for zones that are delegated
 * to it, and files below /.well-known/ over HTTP.  What is published is in
 * memory only; the journal knows it, and a new worker is told.
 */
#include "providers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pl_option responder_options[] = {
	{ .name = "zones", .type = PL_OPT_LIST,
	    .help = "zones that are delegated to this host" },
	{ .name = "ns", .type = PL_OPT_LIST,
	    .help = "names of this server, \"NAME ADDRESS...\" where the name "
	    "is in a zone" },
	{ .name = "hostmaster", .type = PL_OPT_STRING,
	    .help = "mailbox in the SOA (default hostmaster at the zone)" },
	{ .name = "listen", .type = PL_OPT_LIST,
	    .help = "addresses for DNS, UDP and TCP (default all, port 53)" },
	{ .name = "http-listen", .type = PL_OPT_LIST,
	    .help = "addresses for HTTP (default none; the port is 80)" },
	{ .name = "http-redirect", .type = PL_OPT_BOOL, .fallback = "false",
	    .help = "send all else than /.well-known/ on to https" },
	{ .name = "rate-limit", .type = PL_OPT_INT, .fallback = "200",
	    .min = 0, .max = 1000000,
	    .help = "UDP answers a second for one network, 0: any" },
	{ .name = NULL }
};

#define DNS_PORT 53
#define HTTP_PORT 80

/* "hostmaster@example.net" as a name; the at sign where it is none. */
static void
mailbox_name(struct pl_buf *b, const struct pl_settings *set,
    const char *zone)
{
	const char *h = pl_setting(set, "hostmaster"), *at;

	if (h == NULL) {
		pl_buf_addf(b, "hostmaster.%s", zone);
		return;
	}
	at = strchr(h, '@');
	if (at == NULL)
		pl_buf_adds(b, h);
	else
		pl_buf_addf(b, "%.*s.%s", (int)(at - h), h, at + 1);
}

static enum pl_code
zone_add(struct pl_served *dns, const struct pl_settings *set,
    const char *zone, struct pl_err *err)
{
	const struct pl_setting *ns = pl_setting_find(set, "ns");
	char apex[PL_NAME_MAX];
	struct pl_buf b;
	enum pl_code code;
	size_t n = strlen(zone);

	if (n == 0 || n >= sizeof(apex))
		return pl_fail(err, PL_EINVAL, "zones: \"%.100s\" is not a name",
		    zone);
	for (size_t i = 0; i <= n; i++)
		apex[i] = zone[i] >= 'A' && zone[i] <= 'Z' ?
		    (char)(zone[i] + 32) : zone[i];
	if (apex[n - 1] == '.')
		apex[n - 1] = '\0';
	pl_buf_init(&b, PL_LIM_LINE);
	mailbox_name(&b, set, apex);
	code = pl_served_zone(dns, apex, (const char *const *)ns->values,
	    ns->n, b.data, (uint32_t)(pl_wall_ms() / 1000), err);
	if (code != PL_OK)
		pl_prefix(err, "zones, ns or hostmaster");
	pl_buf_clear(&b);
	return code;
}

static size_t
labels(const char *s)
{
	size_t n = 1;

	for (; *s != '\0'; s++)
		n += *s == '.';
	return n;
}

/* Lower zones first, as pl_served_zone wants them. */
static enum pl_code
zones_add(struct pl_served *dns, const struct pl_settings *set,
    struct pl_err *err)
{
	const struct pl_setting *zones = pl_setting_find(set, "zones");
	size_t most = 0;
	enum pl_code code = PL_OK;

	for (size_t i = 0; zones != NULL && i < zones->n; i++)
		if (labels(zones->values[i]) > most)
			most = labels(zones->values[i]);
	for (size_t k = most; code == PL_OK && k > 0; k--)
		for (size_t i = 0; code == PL_OK && i < zones->n; i++)
			if (labels(zones->values[i]) == k)
				code = zone_add(dns, set, zones->values[i],
				    err);
	return code;
}

static enum pl_code
responder_check(const struct pl_settings *set, struct pl_err *err)
{
	bool zones = pl_setting(set, "zones") != NULL;
	struct pl_served *dns;
	enum pl_code code;

	if (!zones && pl_setting(set, "http-listen") == NULL)
		return pl_fail(err, PL_EINVAL, "zones or http-listen is "
		    "needed");
	if (zones && pl_setting(set, "ns") == NULL)
		return pl_fail(err, PL_EINVAL, "ns: the name of this server is "
		    "needed, as the delegation has it");
	if (!zones && (pl_setting(set, "listen") != NULL ||
	    pl_setting(set, "ns") != NULL))
		return pl_fail(err, PL_EINVAL, "listen and ns are of no use "
		    "without zones");
	dns = pl_served_new();
	code = zones_add(dns, set, err);
	pl_served_free(dns);
	return code;
}

const struct pl_provider_desc pl_desc_responder = {
	.name = "responder",
	.program = "placard-respond",
	.summary = "this host's own DNS and HTTP answers",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME | 1u << PL_FILE,
	.flags = PL_P_LOOK | PL_P_RESIDENT,
	.default_ttl = PL_SERVED_NEGATIVE,
	.parallel = 1,
	.options = responder_options,
	.check = responder_check,
};

#ifndef PL_DESCRIBE

#include "responder.h"

#define FIRST_INHERITED 4	/* behind standard input … and the seam */

struct responder {
	struct pl_net_content content;
	struct pl_net *net;
	bool http;
};

static void
responder_close(void *self)
{
	struct responder *r = self;

	if (r == NULL)
		return;
	pl_net_free(r->net);
	pl_served_free(r->content.dns);
	pl_web_files_clear(&r->content.files);
	free(r);
}

/* Where both addresses of a pair were not asked for, one may be missing. */
static enum pl_code
listen_dns(struct responder *r, const struct pl_settings *set,
    struct pl_err *err)
{
	static const char *const everywhere[] = { "0.0.0.0", "[::]" };
	const struct pl_setting *l = pl_setting_find(set, "listen");
	size_t n = l != NULL ? l->n : PL_NELEM(everywhere);
	enum pl_code code = PL_OK;
	const char *where;

	for (size_t i = 0; code == PL_OK && i < n; i++) {
		where = l != NULL ? l->values[i] : everywhere[i];
		code = pl_net_listen(r->net, "listen", where, DNS_PORT,
		    LISTEN_UDP, l == NULL && i > 0, err);
		if (code == PL_OK)
			code = pl_net_listen(r->net, "listen", where,
			    DNS_PORT, LISTEN_TCP, l == NULL && i > 0, err);
	}
	return code;
}

static enum pl_code
responder_open(void **self, const struct pl_settings *set,
    struct pl_err *err)
{
	const struct pl_setting *web = pl_setting_find(set, "http-listen");
	struct responder *r = pl_alloc(sizeof(*r));
	enum pl_code code;

	*self = NULL;
	r->content.dns = pl_served_new();
	r->content.rate = (unsigned)pl_setting_int(set, "rate-limit", 200);
	r->content.redirect = pl_setting_bool(set, "http-redirect", false);
	r->http = web != NULL;
	code = zones_add(r->content.dns, set, err);
	if (code == PL_OK)
		code = pl_net_new(&r->net, &r->content, FIRST_INHERITED,
		    (int)pl_setting_int(set, "inherited-sockets", 0), err);
	if (code == PL_OK && pl_setting(set, "zones") != NULL)
		code = listen_dns(r, set, err);
	for (size_t i = 0; code == PL_OK && web != NULL && i < web->n; i++)
		code = pl_net_listen(r->net, "http-listen", web->values[i],
		    HTTP_PORT, LISTEN_HTTP, false, err);
	if (code != PL_OK) {
		responder_close(r);
		return code;
	}
	*self = r;
	return PL_OK;
}

static enum pl_code
responder_scope(void *self, const struct pl_call *call PL_UNUSED,
    const char *name, char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct responder *r = self;
	const char *apex = "local";

	if (name[0] == '/' && !r->http)
		return pl_fail(err, PL_EINVAL, "%s: http-listen is not set, "
		    "so no file can be published", name);
	if (name[0] != '/')
		apex = pl_served_apex(r->content.dns, name);
	if (apex == NULL)
		return pl_fail(err, PL_ENOZONE, "%s: is in none of the zones "
		    "that this host answers for", name);
	snprintf(scope, PL_NAME_MAX, "%s", apex);
	return PL_OK;
}

static enum pl_code
change_file(struct responder *r, const struct pl_change *c,
    struct pl_outcome *out, struct pl_err *err)
{
	struct web_files *w = &r->content.files;
	const struct web_file *f = pl_web_file(w, c->name, strlen(c->name));
	bool same = f != NULL && f->len == c->value_len &&
	    memcmp(f->data, c->value, f->len) == 0;

	if (!r->http)
		return pl_fail(err, PL_EINVAL, "%s: http-listen is not set",
		    c->name);
	out->was = same ? PL_WAS_PRESENT : PL_WAS_ABSENT;
	if (c->op == PL_DEL && same)
		pl_web_file_del(w, f);
	if (c->op == PL_ADD && f != NULL && !same)
		return pl_fail(err, PL_EREMOTE, "%s: another file is published "
		    "under that name", c->name);
	if (c->op == PL_ADD && f == NULL)
		pl_web_file_add(w, c->name, c->value, c->value_len);
	return PL_OK;
}

static enum pl_code
change_record(struct responder *r, const struct pl_change *c,
    struct pl_outcome *out, struct pl_err *err)
{
	unsigned type = c->kind == PL_TXT ? PL_DNS_TXT : PL_DNS_CNAME;
	struct pl_served *dns = r->content.dns;
	bool was = false;
	enum pl_code code;

	if (c->op == PL_DEL)
		return pl_served_del(dns, type, c->name, c->value,
		    c->value_len, err);
	if (c->op == PL_ADD)
		code = pl_served_add(dns, type, c->name, c->value,
		    c->value_len, c->ttl, &was, out->alias, err);
	else
		code = pl_served_has(dns, type, c->name, c->value,
		    c->value_len, &was, out->alias, err);
	out->was = was ? PL_WAS_PRESENT : PL_WAS_ABSENT;
	return code;
}

static enum pl_code
responder_apply(void *self, const struct pl_call *call PL_UNUSED,
    const char *scope, const struct pl_change *chg, struct pl_outcome *out,
    size_t n, struct pl_err *err)
{
	struct responder *r = self;
	enum pl_code code = PL_OK;
	struct pl_err one;

	if (n == 0 && scope[0] != '\0' && strcmp(scope, "local") != 0 &&
	    pl_served_apex(r->content.dns, scope) == NULL)
		return pl_fail(err, PL_ENOZONE, "%s: is none of the zones",
		    scope);
	for (size_t i = 0; i < n; i++) {
		pl_err_clear(&one);
		out[i].code = chg[i].kind == PL_FILE ?
		    change_file(r, &chg[i], &out[i], &one) :
		    change_record(r, &chg[i], &out[i], &one);
		if (out[i].code == PL_OK)
			continue;
		snprintf(out[i].text, sizeof(out[i].text), "%.*s",
		    (int)sizeof(out[i].text) - 1, one.text);
		if (code == PL_OK && err != NULL)
			*err = one;
		if (code == PL_OK)
			code = out[i].code;
	}
	return code;
}

static int
responder_fd(void *self)
{
	struct responder *r = self;

	return pl_net_fd(r->net);
}

static int
responder_serve(void *self)
{
	struct responder *r = self;

	return pl_net_serve(r->net);
}

const struct pl_provider pl_provider_responder = {
	.desc = &pl_desc_responder,
	.open = responder_open,
	.scope = responder_scope,
	.apply = responder_apply,
	.close = responder_close,
	.fd = responder_fd,
	.serve = responder_serve,
};

#endif
