/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The files of a target, made in memory that is wiped. */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MOST (256u << 10)	/* octets of one file */

/* A blank line never stands between two blocks, a newline always. */
static void
add_pem(struct pl_buf *b, const char *pem)
{
	if (b->len > 0 && b->data[b->len - 1] != '\n')
		pl_buf_addc(b, '\n');
	pl_buf_adds(b, pem);
}

static enum pl_code
fill(struct pl_deploy_file *f, const struct pl_deploy_spec *spec,
    const struct pl_deploy_cert *c, const struct pl_key *key,
    const struct pl_secret *password, struct pl_err *err)
{
	struct pl_buf *b = &f->data;
	enum pl_code code = PL_OK;

	if (f->part >= PL_D_KEY && key == NULL)
		return pl_fail(err, PL_EINVAL, "%s: there is no private key "
		    "for it", f->name);
	switch (f->part) {
	case PL_D_CERT:
		add_pem(b, c->leaf);
		break;
	case PL_D_CHAIN:
		add_pem(b, c->chain);
		break;
	case PL_D_FULLCHAIN:
		add_pem(b, c->leaf);
		add_pem(b, c->chain);
		break;
	case PL_D_KEY:
		code = pl_key_pem(key, b, err);
		break;
	case PL_D_COMBINED:
		/* The certificate first: some look for it there. */
		add_pem(b, c->leaf);
		add_pem(b, c->chain);
		code = pl_key_pem(key, b, err);
		break;
	case PL_D_PKCS12:
		if (password == NULL)
			return pl_fail(err, PL_EINVAL, "%s: there is no "
			    "password for it", f->name);
		code = pl_pkcs12_make(b, key, c->leaf, c->chain, spec->base,
		    password, err);
		break;
	case PL_NPARTS:
		break;
	}
	if (code == PL_OK && b->failed)
		code = pl_fail(err, PL_EINVAL, "%s: longer than %u octets",
		    f->name, FILE_MOST);
	return code;
}

enum pl_code
pl_deploy_files(struct pl_deploy_file **out, size_t *n,
    const struct pl_deploy_spec *spec, const struct pl_deploy_cert *c,
    const struct pl_key *key, const struct pl_secret *password,
    struct pl_err *err)
{
	struct pl_deploy_file *list = pl_array(PL_NPARTS, sizeof(*list));
	enum pl_code code = PL_OK;
	size_t m = 0;

	*out = NULL;
	*n = 0;
	for (size_t p = 0; p < PL_NPARTS && code == PL_OK; p++) {
		struct pl_deploy_file *f = &list[m];

		if (spec->file[p] == NULL)
			continue;
		f->part = (enum pl_deploy_part)p;
		f->name = spec->file[p];
		f->mode = p >= PL_D_KEY ? spec->key_mode : spec->mode;
		pl_buf_init(&f->data, FILE_MOST);
		m++;
		code = fill(f, spec, c, key, password, err);
	}
	if (code != PL_OK) {
		pl_deploy_files_clear(list, m);
		return code;
	}
	*out = list;
	*n = m;
	return PL_OK;
}

void
pl_deploy_files_clear(struct pl_deploy_file *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pl_buf_clear(&f[i].data);
	free(f);
}
