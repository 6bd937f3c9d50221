/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

#include <string.h>

void
pl_change_put(struct pl_buf *b, const struct pl_change *c)
{
	pl_put_u8(b, (uint8_t)c->op);
	pl_put_u8(b, (uint8_t)c->kind);
	pl_put_u8(b, c->apex);
	pl_put_u32(b, c->ttl);
	pl_put_str(b, c->name);
	pl_put_blob(b, c->value, c->value_len);
	pl_put_str(b, c->handle);
}

void
pl_change_get(struct pl_cursor *c, struct pl_change *out)
{
	unsigned op = pl_get_u8(c), kind = pl_get_u8(c);

	if (op > PL_DEL || kind > PL_FILE)
		c->bad = true;
	*out = (struct pl_change){ .op = (enum pl_op)op,
		.kind = (enum pl_kind)kind };
	out->apex = pl_get_u8(c) != 0;
	out->ttl = pl_get_u32(c);
	out->name = pl_get_str(c);
	out->value = pl_get_blob(c, &out->value_len);
	out->handle = pl_get_str(c);
	if (out->name == NULL || out->value == NULL)
		c->bad = true;
}

size_t
pl_change_size(const struct pl_change *c)
{
	return 32 + strlen(c->name) + c->value_len +
	    (c->handle != NULL ? strlen(c->handle) : 0);
}

void
pl_outcome_put(struct pl_buf *b, const struct pl_outcome *o)
{
	pl_put_u8(b, (uint8_t)o->code);
	pl_put_u8(b, (uint8_t)o->was);
	pl_put_str(b, o->handle);
	pl_put_str(b, o->alias);
	pl_put_str(b, o->text);
}

static void
copy_field(struct pl_cursor *c, char *out, size_t size)
{
	const char *s = pl_get_str(c);
	size_t n;

	if (s == NULL || (n = strlen(s)) >= size) {
		c->bad = true;
		return;
	}
	memcpy(out, s, n + 1);
}

void
pl_outcome_get(struct pl_cursor *c, struct pl_outcome *out)
{
	unsigned code = pl_get_u8(c), was = pl_get_u8(c);

	*out = (struct pl_outcome){ 0 };
	if (code >= PL_NCODES || was > PL_WAS_PRESENT) {
		c->bad = true;
		return;
	}
	out->code = (enum pl_code)code;
	out->was = (enum pl_was)was;
	copy_field(c, out->handle, sizeof(out->handle));
	copy_field(c, out->alias, sizeof(out->alias));
	copy_field(c, out->text, sizeof(out->text));
}
