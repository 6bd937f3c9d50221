/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The role controller of placard-http: calls to the store.  The engine says
 * paths and requests; the table of calls says what may be asked for, and the
 * credentials are added here.
 */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CALLS 1024
#define ROOM (64u << 10)	/* of a frame that answers cannot have */

static enum pl_code
store_open(void **self, const struct pl_settings *set,
    const struct pl_log *log, struct pl_err *err)
{
	struct pl_store *s = NULL;
	enum pl_code code = pl_store_open(&s, set, log, err);

	*self = s;
	return code;
}

static void
store_close(void *self)
{
	pl_store_close(self);
}

/*
 * Answers that do not fit into the frame any more are left out: PL_EUNDONE.
 * Only calls that may be repeated come several in a frame.
 */
static void
put_result(struct pl_buf *b, struct pl_store_res *r)
{
	if (r->text != NULL && b->len + r->len + ROOM > PL_LIM_FRAME) {
		free(r->text);
		r->text = NULL;
		pl_fail(&r->err, PL_EUNDONE, "sslstore: no room for the "
		    "answer");
	}
	pl_put_err(b, &r->err);
	pl_put_u64(b, (uint64_t)r->number);
	pl_put_u8(b, r->sent);
	pl_put_str(b, r->text);
}

static enum pl_code
store_call(void *self, struct pl_cursor *c, struct pl_buf *b)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c),
	    parallel = pl_get_u32(c), n = pl_get_count(c, 10);
	struct pl_store_req *req;
	struct pl_store_res *res;
	enum pl_code code = PL_OK;

	if (c->bad || n > MAX_CALLS)
		return PL_EPROTO;
	req = pl_array(n + 1, sizeof(*req));
	res = pl_array(n + 1, sizeof(*res));
	for (uint32_t i = 0; i < n; i++) {
		req[i].path = pl_get_str(c);
		req[i].text = pl_get_str(c);
		req[i].len = req[i].text != NULL ? strlen(req[i].text) : 0;
		if (req[i].path == NULL || req[i].text == NULL)
			code = PL_EPROTO;
	}
	if (c->bad)
		code = PL_EPROTO;
	if (code == PL_OK) {
		pl_store_run(self, req, res, n, parallel,
		    pl_mono_ms() + ms);
		pl_put_u32(b, id);
		pl_put_u32(b, n);
		for (uint32_t i = 0; i < n; i++)
			put_result(b, &res[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		pl_store_res_clear(&res[i]);
	free(req);
	free(res);
	return code;
}

const struct pl_service pl_service_store = {
	.role = PL_ROLE_CONTROLLER,
	.open = store_open,
	.call = store_call,
	.close = store_close,
};
