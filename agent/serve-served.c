/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The role "served" of placard-check: what a server shows. */
#include "agent.h"

enum pl_code
pl_serve_served(struct pl_cursor *c, struct pl_buf *answer)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c), port;
	const char *host = pl_get_str(c), *name, *wanted;
	struct pl_err err;
	size_t n;

	port = pl_get_u32(c);
	name = pl_get_str(c);
	wanted = pl_get_blob(c, &n);
	if (c->bad || host == NULL || port > 65535 || n != 32)
		return PL_EPROTO;
	pl_err_clear(&err);
	err.code = pl_tls_shown(host, (uint16_t)port, name,
	    (const unsigned char *)wanted, pl_mono_ms() + ms, &err);
	pl_put_u32(answer, id);
	pl_put_err(answer, &err);
	return PL_OK;
}
