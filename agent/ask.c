/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Calls that a command waits for: is the account good, what are its host
 * keys? */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

/* ---- account test ------------------------------------------------------------------- */

struct test {
	bool done;
	bool gone;		/* the worker has died instead */
	uint32_t call;
	struct pl_err err;
	char scope[PL_NAME_MAX];
	struct pl_buf *said;	/* or NULL */
};

static void
test_scope(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct test *t = arg;
	const char *s;

	t->done = true;
	t->gone = f == NULL;
	if (f == NULL) {
		t->err = *err;
		return;
	}
	if (pl_get_u32(&f->body) != t->call || pl_get_u32(&f->body) != 1 ||
	    (s = pl_get_str(&f->body)) == NULL || strlen(s) >= PL_NAME_MAX) {
		pl_fail(&t->err, PL_EPROTO, "worker's answer makes no sense");
		return;
	}
	memcpy(t->scope, s, strlen(s) + 1);
	pl_get_err(&f->body, &t->err);
}

static void
test_apply(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct test *t = arg;
	const char *s;

	t->done = true;
	t->gone = f == NULL;
	if (f == NULL)
		t->err = *err;
	else if (pl_get_u32(&f->body) != t->call)
		pl_fail(&t->err, PL_EPROTO, "worker's answer makes no sense");
	else {
		pl_get_err(&f->body, &t->err);
		pl_get_u32(&f->body);		/* no outcomes */
		s = pl_get_str(&f->body);
		if (t->said != NULL && s != NULL && !f->body.bad)
			pl_buf_adds(t->said, s);
	}
}

static enum pl_code
test_call(struct pl_engine *e, struct pl_worker *w, struct test *t,
    enum pl_msg type, enum pl_msg answer, const char *text, int64_t ms,
    struct pl_err *err)
{
	struct pl_buf body;
	enum pl_code code = PL_OK;

	t->done = false;
	pl_err_clear(&t->err);
	t->call = pl_worker_next_call(w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, t->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, 1);
	pl_put_str(&body, text);
	if (type == PL_MSG_APPLY)
		pl_put_u32(&body, 0);
	pl_worker_call(w, type, &body, answer, ms,
	    type == PL_MSG_SCOPE ? test_scope : test_apply, t);
	pl_buf_clear(&body);
	while (code == PL_OK && !t->done)
		code = pl_loop_turn(e->loop, err);
	if (code == PL_OK && t->err.code != PL_OK) {
		*err = t->err;
		code = t->err.code;
	}
	return code;
}

static enum pl_code
test_account(struct pl_engine *e, const struct pl_account *account,
    const char *name, char scope[PL_NAME_MAX], struct pl_buf *said,
    struct pl_err *err)
{
	struct pl_acct *a = pl_acct_of(e, account);
	struct test t = { .said = said };
	struct pl_worker *w;
	enum pl_code code = PL_OK;

	scope[0] = '\0';
	if (!pl_acct_worker(a, &w, err)) {
		if (err->code == PL_OK)
			pl_fail(err, PL_ELIMIT, "all workers are busy");
		return err->code;
	}
	if (name != NULL)
		code = test_call(e, w, &t, PL_MSG_SCOPE, PL_MSG_SCOPED, name,
		    account->timeout_ms, err);
	if (code == PL_OK)
		code = test_call(e, w, &t, PL_MSG_APPLY, PL_MSG_APPLIED,
		    t.scope, account->timeout_ms, err);
	memcpy(scope, t.scope, PL_NAME_MAX);
	/* "No" is an answer, too: the next question finds it free. */
	if (t.done && !t.gone)
		pl_worker_release(w);
	return code;
}

enum pl_code
pl_engine_test(struct pl_engine *e, const struct pl_account *account,
    const char *name, char scope[PL_NAME_MAX], struct pl_err *err)
{
	return test_account(e, account, name, scope, NULL, err);
}

enum pl_code
pl_engine_test_account(struct pl_engine *e, const struct pl_account *account,
    struct pl_buf *said, struct pl_err *err)
{
	char scope[PL_NAME_MAX];

	return test_account(e, account, NULL, scope, said, err);
}

/* ---- host keys ------------------------------------------------------------------------ */

struct probe {
	struct test t;
	struct pl_buf *text;
};

static void
probe_done(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct probe *p = arg;
	const char *s;

	p->t.done = true;
	if (f == NULL) {
		p->t.err = *err;
		return;
	}
	if (pl_get_u32(&f->body) != p->t.call) {
		pl_fail(&p->t.err, PL_EPROTO, "worker's answer makes no sense");
		return;
	}
	pl_get_err(&f->body, &p->t.err);
	s = pl_get_str(&f->body);
	if (f->body.bad || s == NULL)
		pl_fail(&p->t.err, PL_EPROTO, "worker's answer makes no sense");
	else
		pl_buf_adds(p->text, s);
}

enum pl_code
pl_engine_host_keys(struct pl_engine *e, const struct pl_account *account,
    struct pl_buf *text, struct pl_err *err)
{
	struct probe p = { .text = text };
	enum pl_code code = PL_OK;
	struct pl_worker *w;
	struct pl_buf body;

	if (!pl_acct_worker(pl_acct_of(e, account), &w, err)) {
		if (err->code == PL_OK)
			pl_fail(err, PL_ELIMIT, "all workers are busy");
		return err->code;
	}
	p.t.call = pl_worker_next_call(w);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u32(&body, p.t.call);
	pl_put_u32(&body, (uint32_t)account->timeout_ms);
	pl_worker_call(w, PL_MSG_PROBE, &body, PL_MSG_PROBED,
	    account->timeout_ms, probe_done, &p);
	pl_buf_clear(&body);
	while (code == PL_OK && !p.t.done)
		code = pl_loop_turn(e->loop, err);
	if (code == PL_OK && p.t.err.code != PL_OK) {
		*err = p.t.err;
		code = p.t.err.code;
	}
	if (code == PL_OK)
		pl_worker_release(w);
	return code;
}
