/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A worker for accounts: reads requests from the engine, calls the provider,
 * writes answers.  It checks every record against the rules by itself, so
 * that whoever takes over the engine still cannot make it do anything else.
 */
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CHANGES 65536

struct server {
	struct pl_chan chan;
	struct pl_log log;
	struct pl_settings set;
	const struct pl_provider *provider;
	const struct pl_service *const *services;	/* or NULL */
	const struct pl_service *service;	/* of HELLO's role, or NULL */
	void *self;
	const char **patterns;
	struct pl_err opened;		/* what READY will say */
	uint32_t calls;
	int64_t again;			/* resident: mono ms of its next turn, -1 */
};

static const struct pl_provider *
find(const struct pl_provider *const *table, const char *name)
{
	for (; *table != NULL; table++) {
		if (pl_streq((*table)->desc->name, name))
			return *table;
	}
	return NULL;
}

static const struct pl_service *
find_service(const struct pl_service *const *services, const char *role)
{
	for (; services != NULL && *services != NULL; services++) {
		if (pl_streq((*services)->role, role))
			return *services;
	}
	return NULL;
}

static enum pl_code
reply(struct server *s, enum pl_msg type, struct pl_buf *b)
{
	struct pl_err err;
	enum pl_code code;

	code = pl_chan_send(&s->chan, (uint8_t)type, b, &err);
	pl_buf_clear(b);
	return code;
}

static enum pl_code
ready(struct server *s)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_err(&b, &s->opened);
	return reply(s, PL_MSG_READY, &b);
}

/* Sockets behind the seam. */
static int
inherited(void)
{
	const char *text = getenv("LISTEN_FDS");
	int64_t n = 0;

	if (text == NULL || pl_int_parse(&n, text, 0, 64, NULL) != PL_OK)
		return 0;
	return (int)n;
}

static enum pl_code
hello(struct server *s, const struct pl_provider *const *table,
    struct pl_frame *f)
{
	const struct pl_setting *allow;
	char sockets[16];
	unsigned flags;
	const char *role, *number = sockets;
	struct pl_err *err = &s->opened;

	pl_err_clear(err);
	role = pl_get_str(&f->body);
	flags = pl_get_u8(&f->body);
	s->log.level = PL_HELLO_LEVEL(flags);
	pl_settings_get(&f->body, &s->set);
	if (f->type != PL_MSG_HELLO || f->body.bad)
		return PL_EPROTO;
	s->service = find_service(s->services, role);
	if (s->service != NULL) {
		s->service->open(&s->self, &s->set, &s->log, err);
		if (s->self != NULL && s->service->confine != NULL)
			s->service->confine(s->self, PL_HELLO_SANDBOX(flags),
			    &s->set, &s->log);
		return ready(s);
	}
	if (!pl_streq(role, PL_ROLE_ACCOUNT))
		return PL_EPROTO;
	snprintf(sockets, sizeof(sockets), "%d", inherited());
	pl_settings_add(&s->set, "inherited-sockets", &number, 1);
	s->provider = find(table, s->set.provider);
	if (s->provider == NULL)
		pl_fail(err, PL_EINVAL, "%s: provider %s is not in this worker",
		    s->set.account, s->set.provider);
	else
		s->provider->open(&s->self, &s->set, err);
	/* Secrets are read; nothing has come from the network yet. */
	if (s->self != NULL)
		pl_sandbox_account(PL_HELLO_SANDBOX(flags), &s->set,
		    s->provider->desc, s->log.who, &s->log);
	allow = pl_setting_find(&s->set, "allow-names");
	if (allow != NULL) {
		s->patterns = pl_array(allow->n + 1, sizeof(*s->patterns));
		for (size_t i = 0; i < allow->n; i++)
			s->patterns[i] = allow->values[i];
	}
	if (s->self != NULL && s->provider->serve != NULL)
		return PL_OK;		/* ready when it is refilled */
	return ready(s);
}

/* Requests to the vendor so far; a provider that does not count makes one a
 * call. */
static uint32_t
requests(struct server *s)
{
	return s->provider->requests != NULL ?
	    s->provider->requests(s->self) : s->calls;
}

/* Shows the provider all names of a call before they are asked one by one;
 * reads them from a copy of the cursor. */
static void
serve_prime(struct server *s, const struct pl_call *call, struct pl_cursor c,
    uint32_t n)
{
	const char **names;

	if (s->provider->prime == NULL || n < 2)
		return;
	names = pl_array(n, sizeof(*names));
	for (uint32_t i = 0; i < n; i++) {
		names[i] = pl_get_str(&c);
		if (c.bad || names[i] == NULL) {
			free(names);
			return;
		}
	}
	s->provider->prime(s->self, call, names, n);
	free(names);
}

static enum pl_code
serve_scope(struct server *s, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c), n;
	struct pl_call call = { .deadline = pl_mono_ms() + ms,
		.log = &s->log };
	uint32_t before = requests(s);
	char scope[PL_NAME_MAX];
	const char *name;
	struct pl_buf b;
	struct pl_err err;
	enum pl_code code;

	n = pl_get_count(c, 5);
	s->calls++;
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, id);
	pl_put_u32(&b, n);
	if (!c->bad)
		serve_prime(s, &call, *c, n);
	for (uint32_t i = 0; i < n; i++) {
		name = pl_get_str(c);
		if (c->bad || name == NULL) {
			pl_buf_clear(&b);
			return PL_EPROTO;
		}
		pl_err_clear(&err);
		scope[0] = '\0';
		code = s->provider->scope(s->self, &call, name, scope, &err);
		pl_put_str(&b, scope);
		err.code = code;
		pl_put_err(&b, &err);
	}
	pl_put_u32(&b, requests(s) - before);
	return reply(s, PL_MSG_SCOPED, &b);
}

/* The rules of DESIGN.md section 2; what breaks them is refused here and the
 * rest goes to the provider. */
static bool
allowed(struct server *s, const char *scope, const struct pl_change *ch,
    struct pl_outcome *out)
{
	struct pl_err err;
	bool inside = ch->kind == PL_FILE || pl_suffix_of(scope, ch->name);

	pl_err_clear(&err);
	if (!inside)
		pl_fail(&err, PL_EINVAL, "%s: not below %s", ch->name, scope);
	if (inside && pl_record_allowed(ch->kind, ch->name, ch->value,
	    ch->value_len, ch->apex, s->patterns, &err) == PL_OK)
		return true;
	out->code = err.code;
	snprintf(out->text, sizeof(out->text), "%.*s",
	    (int)sizeof(out->text) - 1, err.text);
	return false;
}

/* Applies those that are allowed, which are not all. */
static enum pl_code
apply_some(struct server *s, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    const bool *good, struct pl_err *err)
{
	struct pl_change *some = pl_array(n + 1, sizeof(*some));
	struct pl_outcome *res = pl_array(n + 1, sizeof(*res));
	enum pl_code code = PL_OK;
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		res[m].code = PL_EUNDONE;
		if (good[i])
			some[m++] = chg[i];
	}
	if (m > 0)
		code = s->provider->apply(s->self, call, scope, some, res, m,
		    err);
	for (size_t i = n; i-- > 0; )
		if (good[i])
			out[i] = res[--m];
	free(some);
	free(res);
	return code;
}

static enum pl_code
apply_allowed(struct server *s, const struct pl_call *call,
    const char *scope, const struct pl_change *chg, struct pl_outcome *out,
    size_t n, struct pl_err *err)
{
	bool *good = pl_array(n + 1, sizeof(*good)), all = true;
	enum pl_code code;

	for (size_t i = 0; i < n; i++) {
		out[i].code = PL_EUNDONE;
		good[i] = allowed(s, scope, &chg[i], &out[i]);
		all = all && good[i];
	}
	code = all ? s->provider->apply(s->self, call, scope, chg, out, n,
	    err) : apply_some(s, call, scope, chg, out, n, good, err);
	free(good);
	return code;
}

/* Does the body of an APPLY hold what it says?  Reads a copy of the cursor. */
static bool
apply_sound(struct pl_cursor c, uint32_t parts)
{
	struct pl_change ch;
	uint32_t n;

	for (; parts > 0; parts--) {
		if (pl_get_str(&c) == NULL)
			return false;
		n = pl_get_count(&c, 20);
		if (n > MAX_CHANGES)
			return false;
		for (; n > 0 && !c.bad; n--)
			pl_change_get(&c, &ch);
		if (c.bad)
			return false;
	}
	return true;
}

/* The changes of one scope. */
static void
serve_part(struct server *s, struct pl_call *call, struct pl_cursor *c,
    struct pl_buf *b)
{
	const char *scope = pl_get_str(c);
	uint32_t n = pl_get_count(c, 20);
	struct pl_change *chg = pl_array(n + 1, sizeof(*chg));
	struct pl_outcome *out = pl_array(n + 1, sizeof(*out));
	struct pl_buf said;
	struct pl_err err;

	for (uint32_t i = 0; i < n; i++)
		pl_change_get(c, &chg[i]);
	pl_err_clear(&err);
	pl_buf_init(&said, PL_LIM_LINE);
	call->said = n == 0 ? &said : NULL;
	err.code = apply_allowed(s, call, scope, chg, out, n, &err);
	pl_put_err(b, &err);
	pl_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		pl_outcome_put(b, &out[i]);
	if (n == 0)
		pl_put_str(b, said.data);
	pl_buf_clear(&said);
	free(chg);
	free(out);
}

static enum pl_code
serve_apply(struct server *s, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c);
	uint32_t parts = pl_get_count(c, 8), before = requests(s);
	struct pl_call call = { .deadline = pl_mono_ms() + ms,
		.log = &s->log };
	struct pl_buf b;

	if (c->bad || !apply_sound(*c, parts))
		return PL_EPROTO;
	s->calls++;
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, id);
	for (; parts > 0; parts--)
		serve_part(s, &call, c, &b);
	pl_put_u32(&b, requests(s) - before);
	return reply(s, PL_MSG_APPLIED, &b);
}

static enum pl_code
serve_spread(struct server *s, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c), n;
	struct pl_call call = { .deadline = pl_mono_ms() + ms,
		.log = &s->log };
	uint32_t before = requests(s);
	struct pl_spread *list;
	struct pl_buf b;

	n = pl_get_count(c, 8);
	if (c->bad || s->provider->spread == NULL)
		return PL_EPROTO;
	list = pl_array(n + 1, sizeof(*list));
	for (uint32_t i = 0; i < n; i++) {
		list[i].scope = pl_get_str(c);
		list[i].handle = pl_get_str(c);
		if (list[i].scope == NULL || list[i].handle == NULL)
			c->bad = true;
	}
	if (c->bad) {
		free(list);
		return PL_EPROTO;
	}
	s->calls++;
	s->provider->spread(s->self, &call, list, n);
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, id);
	pl_put_u32(&b, n);
	for (uint32_t i = 0; i < n; i++)
		pl_put_u8(&b, (uint8_t)list[i].state);
	pl_put_u32(&b, requests(s) - before);
	free(list);
	return reply(s, PL_MSG_SPREADED, &b);
}

static enum pl_code
serve_probe(struct server *s, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c);
	struct pl_call call = { .deadline = pl_mono_ms() + ms,
		.log = &s->log };
	struct pl_buf b, text;
	struct pl_err err;

	if (c->bad || s->provider->probe == NULL)
		return PL_EPROTO;
	pl_err_clear(&err);
	pl_buf_init(&text, PL_LIM_BODY);
	err.code = s->provider->probe(s->self, &call, &text, &err);
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, id);
	pl_put_err(&b, &err);
	pl_put_str(&b, text.data);
	pl_buf_clear(&text);
	return reply(s, PL_MSG_PROBED, &b);
}

/* What is published already, one by one: a record that is refused now must
 * not take the others with it. */
static enum pl_code
serve_refill(struct server *s, struct pl_cursor *c)
{
	struct pl_call call = { .deadline = INT64_MAX, .log = &s->log };
	uint32_t n = pl_get_count(c, 24);
	struct pl_outcome out;
	struct pl_change ch;
	const char *scope;
	struct pl_err err;

	for (uint32_t i = 0; i < n; i++) {
		scope = pl_get_str(c);
		pl_change_get(c, &ch);
		if (c->bad || scope == NULL || ch.op != PL_ADD)
			return PL_EPROTO;
		pl_err_clear(&err);
		if (apply_allowed(s, &call, scope, &ch, &out, 1, &err) !=
		    PL_OK || out.code != PL_OK)
			pl_logf(&s->log, PL_LOG_WARN, "refill",
			    "record=%s error=\"%s\"", ch.name,
			    err.code != PL_OK ? err.text : out.text);
	}
	return n == 0 && !c->bad ? ready(s) : c->bad ? PL_EPROTO : PL_OK;
}

static enum pl_code
serve_call(struct server *s, struct pl_cursor *c)
{
	struct pl_buf b;
	enum pl_code code;

	pl_buf_init(&b, PL_LIM_FRAME);
	code = s->service->call(s->self, c, &b);
	if (code == PL_OK)
		return reply(s, PL_MSG_CALLED, &b);
	pl_buf_clear(&b);
	return code;
}

/* The next frame; a resident provider does its own work meanwhile, a bounded
 * piece at a time, so that frames are never kept waiting. */
static enum pl_code
next_frame(struct server *s, struct pl_frame *f, bool *eof, bool greeted,
    struct pl_err *err)
{
	struct pollfd p[2] = { { .fd = s->chan.fd, .events = POLLIN } };
	enum pl_code code;
	int64_t left;

	if (s->self == NULL || s->service != NULL ||
	    s->provider->serve == NULL || !greeted)
		return pl_chan_wait(&s->chan, f, eof, err);
	p[1] = (struct pollfd){ .fd = s->provider->fd(s->self),
		.events = POLLIN };
	for (*eof = false;;) {
		if (pl_chan_next(&s->chan, f))
			return PL_OK;
		left = s->again < 0 ? -1 : s->again - pl_mono_ms();
		if (s->again >= 0 && left < 0)
			left = 0;
		p[0].events = (short)(POLLIN |
		    (pl_chan_pending(&s->chan) ? POLLOUT : 0));
		if (poll(p, 2, (int)left) == -1 && errno != EINTR)
			return pl_fail_sys(err, PL_EIO, errno, "poll");
		if (p[0].revents != 0) {
			code = pl_chan_flush(&s->chan, err);
			if (code == PL_OK)
				code = pl_chan_fill(&s->chan, eof, err);
			if (code != PL_OK || *eof)
				return code;
		}
		if (p[1].revents != 0 || left == 0) {
			left = s->provider->serve(s->self);
			s->again = left < 0 ? -1 : pl_mono_ms() + left;
		}
	}
}

int
pl_serve_accounts(const struct pl_provider *const *table, const char *who)
{
	return pl_serve(table, NULL, who);
}

int
pl_serve(const struct pl_provider *const *table,
    const struct pl_service *const *services, const char *who)
{
	struct server s = { .log = { 2, PL_LOG_WARN, false, false, who },
		.services = services };
	struct pl_frame f;
	struct pl_err err;
	enum pl_code code;
	bool eof = false, greeted = false, filled = false;

	s.again = -1;
	pl_process_harden(PL_SEAM_FD + inherited());
	pl_chan_init(&s.chan, PL_SEAM_FD);
	for (;;) {
		code = next_frame(&s, &f, &eof, filled, &err);
		if (code != PL_OK || eof)
			break;
		if (!greeted) {
			code = hello(&s, table, &f);
			greeted = true;
		} else if (s.self == NULL)
			code = PL_EPROTO;
		else if (s.service != NULL)
			code = f.type == PL_MSG_CALL ?
			    serve_call(&s, &f.body) : PL_EPROTO;
		else if (f.type == PL_MSG_REFILL && !filled &&
		    s.provider->serve != NULL) {
			filled = f.body.end - f.body.p == 4;
			code = serve_refill(&s, &f.body);
		} else if (f.type == PL_MSG_SCOPE)
			code = serve_scope(&s, &f.body);
		else if (f.type == PL_MSG_APPLY)
			code = serve_apply(&s, &f.body);
		else if (f.type == PL_MSG_SPREAD)
			code = serve_spread(&s, &f.body);
		else if (f.type == PL_MSG_PROBE)
			code = serve_probe(&s, &f.body);
		else
			code = PL_EPROTO;
		if (code != PL_OK)
			break;
	}
	if (s.self != NULL && s.service != NULL)
		s.service->close(s.self);
	else if (s.self != NULL)
		s.provider->close(s.self);
	pl_settings_clear(&s.set);
	free(s.patterns);
	pl_chan_clear(&s.chan);
	return code == PL_OK ? 0 : 1;
}
