/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * DNSSEC validation through libunbound.  The library is opened when it is
 * needed, not linked: most looks at a record need none of it.
 */

#include "wire.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unbound.h>

#define LIBRARY "libunbound.so.8"

/* What we use of it; types are those of its header. */
struct lib {
	void *handle;
	__typeof__(&ub_ctx_create) ctx_create;
	__typeof__(&ub_ctx_delete) ctx_delete;
	__typeof__(&ub_ctx_set_option) ctx_set_option;
	__typeof__(&ub_ctx_set_fwd) ctx_set_fwd;
	__typeof__(&ub_ctx_add_ta_file) ctx_add_ta_file;
	__typeof__(&ub_ctx_zone_remove) ctx_zone_remove;
	__typeof__(&ub_ctx_async) ctx_async;
	__typeof__(&ub_ctx_debugout) ctx_debugout;
	__typeof__(&ub_resolve_async) resolve_async;
	__typeof__(&ub_cancel) cancel;
	__typeof__(&ub_resolve_free) resolve_free;
	__typeof__(&ub_fd) fd;
	__typeof__(&ub_process) process;
	__typeof__(&ub_strerror) strerror;
};
struct pl_question {
	LIST_ENTRY(pl_question) link;
	struct pl_resolve *r;
	int id;
	void (*done)(void *ctx, const struct pl_resolved *a);
	void *ctx;
};
struct pl_resolve {
	struct lib lib;
	struct ub_ctx *ctx;
	LIST_HEAD(, pl_question) questions;
};

static bool
lib_sym(struct lib *l, void *fn, const char *name)
{
	void *p = dlsym(l->handle, name);

	/* POSIX wants functions to fit in a void *. */
	memcpy(fn, &p, sizeof(p));
	return p != NULL;
}

static bool
lib_open(struct lib *l)
{
	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	return l->handle != NULL &&
	    lib_sym(l, &l->ctx_create, "ub_ctx_create") &&
	    lib_sym(l, &l->ctx_delete, "ub_ctx_delete") &&
	    lib_sym(l, &l->ctx_set_option, "ub_ctx_set_option") &&
	    lib_sym(l, &l->ctx_set_fwd, "ub_ctx_set_fwd") &&
	    lib_sym(l, &l->ctx_add_ta_file, "ub_ctx_add_ta_file") &&
	    lib_sym(l, &l->ctx_zone_remove, "ub_ctx_zone_remove") &&
	    lib_sym(l, &l->ctx_async, "ub_ctx_async") &&
	    lib_sym(l, &l->ctx_debugout, "ub_ctx_debugout") &&
	    lib_sym(l, &l->resolve_async, "ub_resolve_async") &&
	    lib_sym(l, &l->cancel, "ub_cancel") &&
	    lib_sym(l, &l->resolve_free, "ub_resolve_free") &&
	    lib_sym(l, &l->fd, "ub_fd") &&
	    lib_sym(l, &l->process, "ub_process") &&
	    lib_sym(l, &l->strerror, "ub_strerror");
}

static int
configure(struct pl_resolve *r, const char *anchor,
    const char *const *forward)
{
	static const char *const closed[] = { "test.", "home.arpa." };
	int e;

	/* A process, not a thread. */
	if ((e = r->lib.ctx_async(r->ctx, 0)) != 0 ||
	    (e = r->lib.ctx_debugout(r->ctx, NULL)) != 0 ||
	    (e = r->lib.ctx_set_option(r->ctx, "do-not-query-localhost:",
	    "no")) != 0 ||
	    (e = r->lib.ctx_add_ta_file(r->ctx, anchor)) != 0)
		return e;
	for (; forward != NULL && *forward != NULL; forward++)
		if ((e = r->lib.ctx_set_fwd(r->ctx, *forward)) != 0)
			return e;
	/* It would answer for these by itself, that they are not there. */
	for (size_t i = 0; i < PL_NELEM(closed); i++)
		if ((e = r->lib.ctx_zone_remove(r->ctx, closed[i])) != 0)
			return e;
	return 0;
}

enum pl_code
pl_resolve_new(struct pl_resolve **out, const char *anchor,
    const char *const *forward, struct pl_err *err)
{
	struct pl_resolve *r = pl_alloc(sizeof(*r));
	int e;

	*out = NULL;
	LIST_INIT(&r->questions);
	if (!lib_open(&r->lib)) {
		pl_resolve_free(r);
		return pl_fail(err, PL_EIO, "%s cannot be loaded", LIBRARY);
	}
	r->ctx = r->lib.ctx_create();
	if (r->ctx == NULL)
		abort();
	if ((e = configure(r, anchor, forward)) != 0) {
		const char *why = r->lib.strerror(e);

		pl_fail(err, PL_EINVAL, "%s: libunbound: %s", anchor, why);
		pl_resolve_free(r);
		return PL_EINVAL;
	}
	*out = r;
	return PL_OK;
}

void
pl_resolve_free(struct pl_resolve *r)
{
	struct pl_question *q;

	if (r == NULL)
		return;
	while ((q = LIST_FIRST(&r->questions)) != NULL)
		pl_question_cancel(q);
	if (r->ctx != NULL)
		r->lib.ctx_delete(r->ctx);
	if (r->lib.handle != NULL)
		dlclose(r->lib.handle);
	free(r);
}

/* The first end of a signature in the answer. */
static int64_t
first_end(const struct ub_result *res)
{
	struct pl_dns_msg m;
	int64_t end = 0;

	if (res->answer_packet == NULL || res->answer_len <= 0 ||
	    pl_dns_parse(&m, res->answer_packet, (size_t)res->answer_len,
	    NULL) != PL_OK)
		return 0;
	for (size_t i = 0; i < m.nrr; i++)
		if (m.rr[i].type == PL_DNS_RRSIG &&
		    (end == 0 || m.rr[i].expiration < end))
			end = m.rr[i].expiration;
	pl_dns_msg_clear(&m);
	return end;
}

static void
answered(void *ctx, int e, struct ub_result *res)
{
	struct pl_question *q = ctx;
	struct pl_resolve *r = q->r;
	struct pl_resolved a = { .state = PL_SEC_FAILED };

	if (e != 0 || res == NULL) {
		a.why = r->lib.strerror(e);
	} else {
		a.rcode = (unsigned)res->rcode;
		if (res->bogus) {
			a.state = PL_SEC_BOGUS;
			a.why = res->why_bogus;
		} else if (res->rcode != PL_DNS_NOERROR &&
		    res->rcode != PL_DNS_NXDOMAIN) {
			a.why = pl_dns_rcode_name(a.rcode);
		} else {
			a.state = res->secure ? PL_SEC_SECURE :
			    PL_SEC_INSECURE;
			a.signed_until = first_end(res);
		}
	}
	LIST_REMOVE(q, link);
	q->done(q->ctx, &a);
	if (res != NULL)
		r->lib.resolve_free(res);
	free(q);
}

enum pl_code
pl_resolve_ask(struct pl_resolve *r, const char *name, unsigned type,
    void (*done)(void *ctx, const struct pl_resolved *a), void *ctx,
    struct pl_question **out, struct pl_err *err)
{
	struct pl_question *q = pl_alloc(sizeof(*q));
	int e;

	*out = NULL;
	q->r = r;
	q->done = done;
	q->ctx = ctx;
	LIST_INSERT_HEAD(&r->questions, q, link);
	e = r->lib.resolve_async(r->ctx, name[0] != '\0' ? name : ".",
	    (int)type, 1, q, answered, &q->id);
	if (e != 0) {
		LIST_REMOVE(q, link);
		free(q);
		return pl_fail(err, PL_EIO, "%s: libunbound: %s", name,
		    r->lib.strerror(e));
	}
	*out = q;
	return PL_OK;
}

void
pl_question_cancel(struct pl_question *q)
{
	if (q == NULL)
		return;
	q->r->lib.cancel(q->r->ctx, q->id);
	LIST_REMOVE(q, link);
	free(q);
}

int
pl_resolve_fd(const struct pl_resolve *r)
{
	return r->lib.fd(r->ctx);
}

void
pl_resolve_run(struct pl_resolve *r)
{
	r->lib.process(r->ctx);
}
