/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private keys, as the engine has them made by a worker. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MS 60000		/* rsa4096 on a slow machine */
#define WORKERS 8

static void
on_made(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_key_call *a = arg;
	const char *pem = NULL;
	struct pl_err err;

	if (f == NULL)
		err = *died;
	else if (pl_get_u32(&f->body) != a->call) {
		pl_fail(&err, PL_EPROTO, "key: worker's answer makes no "
		    "sense");
		pl_worker_lied(a->worker, "answer of another call");
	} else {
		pl_get_err(&f->body, &err);
		pem = pl_get_str(&f->body);
		pl_worker_release(a->worker);
	}
	if (err.code == PL_OK && pem == NULL)
		pl_fail(&err, PL_EPROTO, "key: worker has sent no request");
	a->done(a->ctx, err.code == PL_OK ? pem : NULL, &err);
}

static void
put_ask(struct pl_buf *b, const struct pl_key_ask *a)
{
	const struct pl_csr *l = a->like;
	const char *const subject[] = { l->cn, l->o, l->ou, l->l, l->st, l->c,
		l->email };

	pl_put_str(b, a->file);
	pl_put_str(b, a->type);
	for (size_t i = 0; i < PL_NELEM(subject); i++)
		pl_put_str(b, subject[i]);
	pl_put_u32(b, (uint32_t)a->n);
	for (size_t i = 0; i < a->n; i++)
		pl_put_str(b, a->names[i]);
}

static void
put_hello(struct pl_buf *b, struct pl_engine *e, const struct pl_key_ask *a)
{
	static const char *const modes[] = { [PL_SANDBOX_ON] = "on",
		[PL_SANDBOX_LOG] = "log", [PL_SANDBOX_OFF] = "off" };
	struct pl_settings set = { .account = pl_strdup(PL_ROLE_KEY),
		.provider = pl_strdup("") };

	pl_settings_add(&set, "directory", &a->directory, 1);
	pl_settings_add(&set, "sandbox", &modes[a->sandbox], 1);
	pl_put_str(b, PL_ROLE_KEY);
	pl_put_u8(b, PL_HELLO_FLAGS(e->o.log->level, a->sandbox));
	pl_settings_put(b, &set);
	pl_settings_clear(&set);
}

void
pl_key_make(struct pl_engine *e, const struct pl_key_ask *ask,
    struct pl_key_call *a)
{
	struct pl_worker_spec spec = { .program = "placard-local",
		.most = WORKERS };
	struct pl_buf key, hello, body;
	struct pl_err err;

	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_init(&hello, PL_LIM_FRAME);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_buf_addf(&key, "key:%s", ask->directory);
	put_hello(&hello, e, ask);
	spec.key = key.data;
	spec.hello = &hello;
	pl_err_clear(&err);
	if (pl_pool_acquire(pl_engine_pool(e), &spec, &a->worker, &err) !=
	    PL_OK || a->worker == NULL) {
		if (err.code == PL_OK)
			pl_fail(&err, PL_EUNDONE, "key: no worker");
		a->done(a->ctx, NULL, &err);
	} else {
		a->call = pl_worker_next_call(a->worker);
		pl_put_u32(&body, a->call);
		put_ask(&body, ask);
		pl_worker_call(a->worker, PL_MSG_CALL, &body, PL_MSG_CALLED,
		    KEY_MS, on_made, a);
	}
	pl_buf_clear(&key);
	pl_buf_clear(&hello);
	pl_buf_clear(&body);
}
