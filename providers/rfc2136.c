/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * DNS servers that take UPDATE messages (RFC 2136), signed with TSIG
 * (RFC 8945): named, knotd, PowerDNS and others.
 *
 * Every ADD carries what is known about its name (rfc2136-look.c) as its
 * prerequisites, and is done on exactly what was seen or not at all.  A server
 * ignores silently what does not fit beside a CNAME (RFC 2136 section
 * 3.4.2.2), so the prerequisites exclude that as well.
 *
 * An UPDATE is done as a whole or not at all.  One that meets other data
 * than was seen is made again from a new look, and then a name at a time, so
 * that one name does not spoil the others.
 */
#include <stdlib.h>
#include <string.h>

#include "providers.h"

#define RFC2136_TTL 60

/* ---- description ------------------------------------------------------ */

#define RFC2136_ALGORITHMS \
	"hmac-sha256|hmac-sha1|hmac-sha224|hmac-sha384|hmac-sha512"

static const struct pl_option rfc2136_options[] = {
	{ .name = "server", .type = PL_OPT_STRING, .required = true,
	    .help = "primary server: ADDR[:PORT] or NAME[:PORT]" },
	{ .name = "zone", .type = PL_OPT_STRING,
	    .help = "the zone; asked of the server where not given" },
	{ .name = "key-name", .type = PL_OPT_STRING,
	    .help = "name of the TSIG key" },
	{ .name = "key-algorithm", .type = PL_OPT_STRING,
	    .fallback = "hmac-sha256", .values = RFC2136_ALGORITHMS,
	    .help = "algorithm of the TSIG key" },
	{ .name = "key-secret", .type = PL_OPT_SECRET,
	    .help = "secret of the TSIG key, in base64" },
	{ .name = NULL },
};

static enum pl_code
rfc2136_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *server = pl_setting(set, "server");
	bool name = pl_setting(set, "key-name") != NULL;
	bool secret = pl_setting_has_secret(set, "key-secret");
	char host[256];
	uint16_t port;

	if (server != NULL && pl_hostport_parse(host, sizeof(host), &port,
	    server, 53, err) != PL_OK)
		return pl_prefix(err, "server");
	if (name && !secret)
		return pl_fail(err, PL_EINVAL,
		    "key-name: a key needs its key-secret as well");
	if (secret && !name)
		return pl_fail(err, PL_EINVAL,
		    "key-secret: a key needs its key-name as well");
	if (!name && pl_setting(set, "key-algorithm") != NULL)
		return pl_fail(err, PL_EINVAL,
		    "key-algorithm: there is no key; give key-name and "
		    "key-secret");
	return PL_OK;
}

static const char rfc2136_recipe[] =
    "A key of its own, for these names only.  In named.conf, the key's secret\n"
    "from tsig-keygen placard:\n"
    "\n"
    "zone \"ZONE\" {\n"
    "\ttype primary;\n"
    "\tupdate-policy {\n"
    "@\t\tgrant placard. name %R. TXT CNAME;\n"
    "\t};\n"
    "};\n";

const struct pl_provider_desc pl_desc_rfc2136 = {
	.name = "rfc2136",
	.program = "placard-dns",
	.summary = "DNS servers with dynamic update (named, knotd, PowerDNS)",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_SWIFT,
	.default_ttl = RFC2136_TTL,
	.parallel = 4,
	.options = rfc2136_options,
	.check = rfc2136_check,
	.recipe = rfc2136_recipe,
};

#ifndef PL_DESCRIBE

#include "rfc2136.h"

#define LOOK_MS 5000		/* how long a look is good for a LOOK ... */
#define KNOWN_MS 600000		/* ... and for an ADD, which guards itself */
#define GUARD_VALUES 64		/* values that a prerequisite names one by one */

/* ---- what is there ----------------------------------------------------- */


static bool
value_known(const struct known *k, const struct pl_change *c)
{
	size_t i;

	for (i = 0; i < k->nvalues; i++)
		if (k->values[i].len == c->value_len &&
		    (c->value_len == 0 || memcmp(k->values[i].data, c->value,
		    c->value_len) == 0))
			return true;
	return false;
}

static enum pl_code PL_PRINTF(3, 4)
outcome_fail(struct pl_outcome *o, enum pl_code code, const char *fmt, ...)
{
	struct pl_buf b;
	va_list ap;
	size_t n;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	n = b.len < sizeof(o->text) ? b.len : sizeof(o->text) - 1;
	memcpy(o->text, b.data, n);
	o->text[n] = '\0';
	pl_buf_clear(&b);
	o->code = code;
	return code;
}

/* Holds a change against what is at its name: can it be added, is it there? */
static enum pl_code
compare(const struct known *k, const struct pl_change *c,
    struct pl_outcome *o)
{
	size_t n;

	o->was = PL_WAS_ABSENT;
	if (k->state == KNOWN_SET && c->kind == PL_CNAME)
		return outcome_fail(o, PL_EREMOTE, "name %s: has TXT records, "
		    "which cannot stand beside a CNAME", k->name);
	if (k->state == KNOWN_SET && value_known(k, c))
		o->was = PL_WAS_PRESENT;
	if (k->state == KNOWN_ALIAS) {
		if (c->kind == PL_CNAME && strlen(k->target) == c->value_len &&
		    memcmp(k->target, c->value, c->value_len) == 0 &&
		    !k->dname) {
			o->was = PL_WAS_PRESENT;
			return o->code = PL_OK;
		}
		if (c->kind == PL_CNAME)
			return outcome_fail(o, PL_EREMOTE,
			    "name %s: is a CNAME to %s already", k->name,
			    k->target);
		n = strlen(k->target);
		if (n < sizeof(o->alias))
			memcpy(o->alias, k->target, n + 1);
		return outcome_fail(o, PL_ECONFLICT, "name %s: is %s to %s",
		    k->name, k->dname ? "led by a DNAME" : "a CNAME",
		    k->target);
	}
	return o->code = PL_OK;
}

/* Marks one change with an error that was told of something larger. */
static void
outcome_take(struct pl_outcome *o, const struct pl_err *err)
{
	(void)outcome_fail(o, err->code, "%s", err->text);
}

/* ---- changes, grouped by name ---------------------------------------------- */

/* All changes of one name; they go together, in their order. */
struct group {
	struct known *k;
	size_t first, last;		/* changes, linked by next[] */
	size_t upto;			/* in a message: behind its last one */
	unsigned tries;
	bool adds, dels;
	bool lost;			/* an UPDATE may have been done unseen */
};

struct work {
	struct rfc2136 *self;
	const struct pl_call *call;
	const char *zone;
	const struct pl_change *chg;
	struct pl_outcome *out;
	size_t n;
	size_t *next;			/* SIZE_MAX: the last of its name */
	struct group *groups;
	size_t ngroups;
	struct pl_err *err;		/* the first failure */
};

#define NO_MORE SIZE_MAX

/* Keeps the first failure for the call. */
static void
work_failed(struct work *w, const struct pl_outcome *o)
{
	if (w->err == NULL || w->err->code != PL_OK)
		return;
	(void)pl_fail(w->err, o->code, "%s", o->text);
}

static bool
change_fits(struct work *w, const struct pl_change *c, struct pl_outcome *o)
{
	if (c->kind != PL_TXT && c->kind != PL_CNAME)
		(void)outcome_fail(o, PL_EINVAL, "name %s: no TXT or CNAME",
		    c->name);
	else if (!pl_suffix_of(w->zone, c->name))
		(void)outcome_fail(o, PL_EINVAL, "name %s: not in zone %s",
		    c->name, w->zone);
	else if (c->value_len > RFC2136_ROOM / 4)
		(void)outcome_fail(o, PL_EINVAL, "name %s: value is too long",
		    c->name);
	else
		return true;
	work_failed(w, o);
	return false;
}

static void
work_group(struct work *w)
{
	struct group *g;
	struct known *k;
	size_t i;

	w->next = pl_array(w->n + 1, sizeof(*w->next));
	w->groups = pl_array(w->n + 1, sizeof(*w->groups));
	for (i = 0; i < w->n; i++) {
		w->next[i] = NO_MORE;
		if (!change_fits(w, &w->chg[i], &w->out[i]))
			continue;
		k = rfc2136_known(w->self, w->chg[i].name);
		if (k->group == 0) {
			k->group = ++w->ngroups;
			w->groups[k->group - 1] = (struct group){ .k = k,
				.first = i };
		} else {
			w->next[w->groups[k->group - 1].last] = i;
		}
		g = &w->groups[k->group - 1];
		g->last = i;
		g->adds |= w->chg[i].op != PL_DEL;
		g->dels |= w->chg[i].op == PL_DEL;
	}
	for (i = 0; i < w->ngroups; i++)
		w->groups[i].k->group = 0;
}

/* Marks what is left of a group. */
static void
group_fail(struct work *w, struct group *g, const struct pl_err *err)
{
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		outcome_take(&w->out[i], err);
		work_failed(w, &w->out[i]);
	}
	g->first = NO_MORE;
}

/* Looks at the names of all groups that need it; those that cannot be
 * known are marked. */
static void
work_look(struct work *w, int64_t age)
{
	struct names l = { NULL, 0 };
	struct pl_err err;
	struct group *g;
	enum pl_code code;
	size_t i;

	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->first == NO_MORE || !g->adds)
			continue;
		if (pl_mono_ms() - g->k->seen > age)
			rfc2136_forget(g->k);
		if (g->k->state == KNOWN_NOT || !g->k->sure)
			rfc2136_names_add(&l, g->k);
	}
	pl_err_clear(&err);
	code = l.n == 0 ? PL_OK : rfc2136_look(w->self, w->call->deadline, w->zone,
	    &l, &err);
	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->first == NO_MORE || !g->adds ||
		    (code == PL_OK && g->k->state != KNOWN_NOT))
			continue;
		if (code == PL_OK)
			(void)rfc2136_fail_known(w->self, g->k, &err);
		group_fail(w, g, &err);
	}
	free(l.k);
}

static void
apply_looks(struct work *w)
{
	struct group *g;
	size_t i, j;

	work_look(w, LOOK_MS);
	for (j = 0; j < w->ngroups; j++) {
		g = &w->groups[j];
		for (i = g->first; i != NO_MORE; i = w->next[i])
			if (compare(g->k, &w->chg[i], &w->out[i]) != PL_OK)
				work_failed(w, &w->out[i]);
	}
}

/* ---- messages of changes --------------------------------------------------- */

/* UPDATEs of one round; message i holds groups whose number is i + 1. */
struct round {
	struct pl_update **u;
	enum pl_code *codes;
	unsigned *rcodes;
	size_t *ngroups;		/* groups in each */
	size_t *in;			/* by group: its message + 1, 0: none */
	size_t n;
};

static void
round_free(struct round *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		pl_update_free(r->u[i]);
	free(r->u);
	free(r->codes);
	free(r->rcodes);
	free(r->ngroups);
	free(r->in);
}

static void
round_message(struct round *r, const char *zone)
{
	r->u = pl_grow(r->u, r->n + 1, sizeof(struct pl_update *));
	r->codes = pl_grow(r->codes, r->n + 1, sizeof(*r->codes));
	r->rcodes = pl_grow(r->rcodes, r->n + 1, sizeof(*r->rcodes));
	r->ngroups = pl_grow(r->ngroups, r->n + 1, sizeof(*r->ngroups));
	r->u[r->n] = pl_update_new(zone);
	r->ngroups[r->n++] = 0;
}

static unsigned
change_type(const struct pl_change *c)
{
	return c->kind == PL_TXT ? PL_DNS_TXT : PL_DNS_CNAME;
}

/* Octets of records that a group's guard takes, at most. */
static size_t
guard_size(const struct known *k)
{
	size_t n = 2 * (strlen(k->name) + 12), i;

	if (k->state == KNOWN_SET && k->nvalues <= GUARD_VALUES)
		for (i = 0; i < k->nvalues; i++)
			n += strlen(k->name) + 12 + k->values[i].rawlen;
	return n;
}

static size_t
change_size(const struct pl_change *c)
{
	return strlen(c->name) + 12 + c->value_len + c->value_len / 255 + 2;
}

/* The prerequisites that say: the name is as it was seen. */
static bool
guard_write(struct pl_update *u, const struct known *k, bool cname)
{
	bool ok = true;
	size_t i;

	if (k->state == KNOWN_UNUSED || cname)
		return pl_update_require_unused(u, k->name);
	if (k->state == KNOWN_FREE)
		return pl_update_require_no_set(u, k->name, PL_DNS_TXT) &&
		    pl_update_require_no_set(u, k->name, PL_DNS_CNAME);
	if (k->nvalues > GUARD_VALUES || guard_size(k) > RFC2136_ROOM / 2)
		return pl_update_require_any(u, k->name, PL_DNS_TXT);
	for (i = 0; ok && i < k->nvalues; i++)
		ok = pl_update_require_raw(u, k->name, PL_DNS_TXT,
		    k->values[i].raw, k->values[i].rawlen);
	return ok;
}

/* Settles what needs no message: adds that are there or that cannot be. */
static void
group_settle(struct work *w, struct group *g)
{
	const struct pl_change *c, *cname = NULL, *txt = NULL;
	size_t i, *link = &g->first;
	bool stays;

	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		c = &w->chg[i];
		stays = true;
		if (c->op == PL_ADD && compare(g->k, c, &w->out[i]) != PL_OK) {
			work_failed(w, &w->out[i]);
			stays = false;
		} else if (c->op == PL_ADD) {
			if (w->out[i].was == PL_WAS_PRESENT && g->lost)
				w->out[i].was = PL_WAS_UNKNOWN;
			else if (w->out[i].was != PL_WAS_PRESENT)
				w->out[i].code = PL_EUNDONE;
			stays = w->out[i].was == PL_WAS_ABSENT || g->dels;
		}
		if (stays && c->op == PL_ADD &&
		    ((c->kind == PL_CNAME && (txt != NULL || (cname != NULL &&
		    (cname->value_len != c->value_len || memcmp(cname->value,
		    c->value, c->value_len) != 0)))) ||
		    (c->kind == PL_TXT && cname != NULL))) {
			(void)outcome_fail(&w->out[i], PL_EREMOTE, "name %s: a "
			    "CNAME cannot stand beside other records",
			    c->name);
			work_failed(w, &w->out[i]);
			stays = false;
		}
		if (!stays) {
			*link = w->next[i];
			continue;
		}
		if (c->op == PL_ADD && c->kind == PL_CNAME)
			cname = c;
		else if (c->op == PL_ADD)
			txt = c;
		link = &w->next[i];
	}
}

/* Writes a group into the message, as much of it as has room. */
static void
group_write(struct work *w, struct group *g, struct pl_update *u)
{
	const struct pl_change *c;
	size_t i, room = RFC2136_ROOM;
	uint32_t ttl = 0;
	bool guarded = false, ok = true;

	if (pl_update_size(u) < room)
		room -= pl_update_size(u);
	room -= guard_size(g->k) < room ? guard_size(g->k) : room;
	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		c = &w->chg[i];
		if (i != g->first && change_size(c) > room)
			break;
		room -= change_size(c) < room ? change_size(c) : room;
		if (c->op == PL_DEL) {
			ok = pl_update_del(u, c->name, change_type(c),
			    c->value, c->value_len);
		} else {
			if (!guarded)
				ok = guard_write(u, g->k, c->kind == PL_CNAME);
			if (!guarded)
				ttl = g->k->state == KNOWN_SET ? g->k->ttl :
				    c->ttl != 0 ? c->ttl : RFC2136_TTL;
			guarded = true;
			ok = ok && pl_update_add(u, c->name, change_type(c),
			    ttl, c->value, c->value_len);
		}
		if (!ok)
			(void)outcome_fail(&w->out[i], PL_EINVAL,
			    "name %s: it or its value is not well formed",
			    c->name);
	}
	g->upto = i;
}

/* Octets that a whole group takes, but no more than a message has. */
static size_t
group_size(const struct work *w, const struct group *g)
{
	size_t n = guard_size(g->k), i;

	for (i = g->first; i != NO_MORE && n < RFC2136_ROOM; i = w->next[i])
		n += change_size(&w->chg[i]);
	return n;
}

static void
round_build(struct work *w, struct round *r)
{
	struct group *g;
	size_t i;
	bool alone = true;

	r->in = pl_array(w->ngroups + 1, sizeof(*r->in));
	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (g->first == NO_MORE)
			continue;
		if (g->adds)
			group_settle(w, g);
		if (g->first == NO_MORE)
			continue;
		if (r->n == 0 || alone || g->tries >= 2 || pl_update_size(
		    r->u[r->n - 1]) + group_size(w, g) > RFC2136_ROOM)
			round_message(r, w->zone);
		alone = g->tries >= 2;
		group_write(w, g, r->u[r->n - 1]);
		r->in[i] = r->n;
		r->ngroups[r->n - 1]++;
	}
}

/* The changes of a group that were in a message have been done. */
static void
group_done(struct work *w, struct group *g)
{
	size_t i;

	for (i = g->first; i != g->upto; i = w->next[i]) {
		if (w->out[i].code == PL_EINVAL) {
			work_failed(w, &w->out[i]);
			continue;
		}
		w->out[i].code = PL_OK;
	}
	g->first = g->upto;
	g->tries = 0;
	rfc2136_forget(g->k);
}

static bool
rcode_conflicts(unsigned rcode)
{
	return rcode == PL_DNS_YXDOMAIN || rcode == PL_DNS_YXRRSET ||
	    rcode == PL_DNS_NXRRSET;
}

/* What the answer to its message means for a group. */
static void
group_answer(struct work *w, struct group *g, const struct round *r,
    size_t msg, const struct pl_err *lost)
{
	struct pl_err err;
	bool free_name = g->k->state == KNOWN_FREE;

	pl_err_clear(&err);
	if (r->codes[msg] != PL_OK) {
		(void)pl_fail(&err, r->codes[msg], "zone %s: %s%s", w->zone,
		    r->codes[msg] == PL_EUNDONE ? "not sent: " : "",
		    lost->text);
		rfc2136_forget(g->k);
		group_fail(w, g, &err);
	} else if (r->rcodes[msg] == PL_DNS_NOERROR) {
		group_done(w, g);
	} else if ((rcode_conflicts(r->rcodes[msg]) ||
	    (r->rcodes[msg] == PL_DNS_REFUSED && r->ngroups[msg] > 1)) &&
	    g->tries < 2) {
		g->tries = rcode_conflicts(r->rcodes[msg]) ? g->tries + 1 : 2;
		g->lost = true;
		rfc2136_forget(g->k);
	} else if (rcode_conflicts(r->rcodes[msg])) {
		rfc2136_forget(g->k);
		if (free_name && w->chg[g->first].kind == PL_CNAME)
			(void)pl_fail(&err, PL_EREMOTE, "name %s: has other "
			    "records, which cannot stand beside a CNAME",
			    g->k->name);
		else
			(void)pl_fail(&err, PL_ECONFLICT, "name %s: changed "
			    "by somebody else at the same time (%s)",
			    g->k->name, pl_dns_rcode_name(r->rcodes[msg]));
		group_fail(w, g, &err);
	} else {
		(void)rfc2136_fail_rcode(w->self, w->zone, r->rcodes[msg], &err);
		group_fail(w, g, &err);
	}
}

/* One round of messages; false when nothing was left to send. */
static bool
apply_round(struct work *w)
{
	struct round r = { .n = 0 };
	struct pl_err lost;
	bool any;
	size_t i;

	pl_err_clear(&lost);
	work_look(w, KNOWN_MS);
	round_build(w, &r);
	any = r.n > 0;
	if (any)
		(void)pl_dns_update(w->self->peer, r.u, r.n,
		    w->call->deadline, r.codes, r.rcodes, &lost);
	for (i = 0; i < w->ngroups; i++)
		if (r.in[i] != 0)
			group_answer(w, &w->groups[i], &r, r.in[i] - 1, &lost);
	round_free(&r);
	return any;
}

/* ---- the door -------------------------------------------------------------- */

static const char *
zone_said(const void *ctx, size_t i)
{
	const struct rfc2136 *self = ctx;

	(void)i;
	return self->zone;
}

/* n == 0: does the server know us, and may we change the zone?  DNS lists no
 * zones; the account's own is known. */
static enum pl_code
rfc2136_test(struct rfc2136 *self, const struct pl_call *call,
    const char *zone, struct pl_err *err)
{
	struct pl_update *u;
	struct pl_dns_msg m;
	enum pl_code code;
	unsigned rcode = 0;

	if (*zone == '\0') {
		zone = self->zone != NULL ? self->zone : "";
		code = pl_dns_ask(self->peer, zone, PL_DNS_SOA, call->deadline,
		    &m, err);
		rcode = m.rcode;
		if (code == PL_OK && *zone != '\0' &&
		    (!m.aa || rcode != PL_DNS_NOERROR))
			code = pl_fail(err, PL_ENOZONE, "zone %s: server %s "
			    "does not hold it (%s)", zone, self->host,
			    pl_dns_rcode_name(rcode));
		pl_dns_msg_clear(&m);
		if (code == PL_OK && self->zone != NULL)
			pl_say_zones(call, 1, false, zone_said, self);
		return code == PL_EAUTH ? rfc2136_fail_rcode(self, zone, rcode, err) :
		    code;
	}
	u = pl_update_new(zone);
	(void)pl_update_require_any(u, zone, PL_DNS_SOA);
	code = pl_dns_update(self->peer, &u, 1, call->deadline, &code, &rcode,
	    err);
	pl_update_free(u);
	if (code == PL_OK && rcode != PL_DNS_NOERROR)
		code = rfc2136_fail_rcode(self, zone, rcode, err);
	return code;
}

static enum pl_code
rfc2136_apply(void *ctx, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct rfc2136 *self = ctx;
	struct pl_err first;
	struct work w = { .self = self, .call = call, .zone = scope,
		.chg = chg, .out = out, .n = n, .err = &first };
	enum pl_code code;

	pl_err_clear(err);
	pl_err_clear(&first);
	if (self->nknown > RFC2136_NAMES)
		rfc2136_forget_all(self);
	code = rfc2136_peer(self, err);
	if (code != PL_OK)
		return code;
	if (n == 0)
		return rfc2136_test(self, call, scope, err);
	work_group(&w);
	if (chg[0].op == PL_LOOK)
		apply_looks(&w);
	else
		while (apply_round(&w))
			;
	free(w.next);
	free(w.groups);
	if (first.code == PL_EUNDONE)	/* its message was never sent */
		first.code = PL_ENET;
	if (first.code != PL_OK && err != NULL)
		*err = first;
	return first.code;
}

static void
rfc2136_prime(void *ctx, const struct pl_call *call,
    const char *const *names, size_t n)
{
	struct rfc2136 *self = ctx;

	if (self->nknown + n > RFC2136_NAMES)
		rfc2136_forget_all(self);
	if (self->zone == NULL)
		(void)rfc2136_resolve(self, call->deadline, names, n, NULL);
}

static enum pl_code
rfc2136_scope(void *ctx, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct rfc2136 *self = ctx;
	const char *zone = self->zone;
	enum pl_code code;

	scope[0] = '\0';
	if (zone == NULL) {
		code = rfc2136_resolve(self, call->deadline, &name, 1, err);
		if (code != PL_OK)
			return code;
		if (!rfc2136_zone_fresh(rfc2136_known(self, name)))
			return rfc2136_fail_known(self, rfc2136_known(self, name), err);
		zone = rfc2136_known(self, name)->zone;
	} else if (!pl_suffix_of(zone, name)) {
		return pl_fail(err, PL_ENOZONE, "name %s: not in zone %s",
		    name, zone);
	}
	if (strlen(zone) >= PL_NAME_MAX)
		return pl_fail(err, PL_EPROTO, "zone of %s: name too long",
		    name);
	memcpy(scope, zone, strlen(zone) + 1);
	return PL_OK;
}

static void
rfc2136_close(void *ctx)
{
	struct rfc2136 *self = ctx;

	if (self == NULL)
		return;
	pl_dns_peer_close(self->peer);
	pl_tsig_free(self->tsig);
	rfc2136_forget_all(self);
	free(self->zone);
	free(self->key_name);
	free(self);
}

/* A name as we keep it: lower case, without its final dot. */
static char *
plain_name(const char *s)
{
	size_t n = strlen(s), i;
	char *name;

	if (n > 1 && s[n - 1] == '.')
		n--;
	name = pl_strndup(s, n);
	for (i = 0; i < n; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] + 32);
	return name;
}

static enum pl_code
rfc2136_key(struct rfc2136 *self, const struct pl_settings *set,
    struct pl_err *err)
{
	const char *name = pl_setting(set, "key-name");
	const char *algorithm = pl_setting(set, "key-algorithm");
	struct pl_secret *secret = NULL;
	enum pl_code code;

	code = pl_setting_secret(set, "key-secret", false, &secret, err);
	if (code != PL_OK || name == NULL)
		goto out;
	if (secret == NULL) {
		code = pl_fail(err, PL_EINVAL,
		    "key-name: a key needs its key-secret as well");
		goto out;
	}
	self->key_name = plain_name(name);
	code = pl_tsig_new(&self->tsig, self->key_name,
	    algorithm != NULL ? algorithm : "hmac-sha256", secret, err);
out:
	pl_secret_free(secret);
	return code;
}

static enum pl_code
rfc2136_open(void **out, const struct pl_settings *set, struct pl_err *err)
{
	const char *server = pl_setting(set, "server");
	const char *zone = pl_setting(set, "zone");
	struct rfc2136 *self;
	enum pl_code code;

	*out = NULL;
	if (server == NULL)
		return pl_fail(err, PL_EINVAL, "server: not given");
	self = pl_alloc(sizeof(*self));
	if (zone != NULL)
		self->zone = plain_name(zone);
	code = pl_hostport_parse(self->host, sizeof(self->host), &self->port,
	    server, 53, err);
	if (code == PL_OK)
		code = rfc2136_key(self, set, err);
	if (code != PL_OK) {
		rfc2136_close(self);
		return code;
	}
	*out = self;
	return PL_OK;
}

const struct pl_provider pl_provider_rfc2136 = {
	.desc = &pl_desc_rfc2136,
	.open = rfc2136_open,
	.prime = rfc2136_prime,
	.scope = rfc2136_scope,
	.apply = rfc2136_apply,
	.close = rfc2136_close,
};

#endif /* PL_DESCRIBE */
