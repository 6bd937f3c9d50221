/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The challenges of Sectigo and Comodo, which follow from the CSR: MD5 and
 * SHA-256 of its DER form.
 */
#include "orders.h"

#include <string.h>

#define UNIQUE_MOST 20
#define SUFFIX "sectigo.com"
#define FOLDER "/.well-known/pki-validation/"

enum pl_code
pl_unique_check(const char *unique, struct pl_err *err)
{
	size_t n = strspn(unique, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	if (n >= 1 && n <= UNIQUE_MOST && unique[n] == '\0')
		return PL_OK;
	return pl_fail(err, PL_EINVAL, "unique: 1 to %d letters and digits "
	    "are expected", UNIQUE_MOST);
}

/* MD5 in capitals, as file and owner name have it. */
static void
add_md5(struct pl_buf *b, const struct pl_csr *csr)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < sizeof(csr->md5); i++) {
		pl_buf_addc(b, hex[csr->md5[i] >> 4]);
		pl_buf_addc(b, hex[csr->md5[i] & 15]);
	}
}

void
pl_derive_cname(struct pl_buf *owner, struct pl_buf *target,
    const struct pl_csr *csr, const char *unique, const char *name)
{
	pl_buf_addc(owner, '_');
	add_md5(owner, csr);
	pl_buf_addf(owner, ".%s", strncmp(name, "*.", 2) == 0 ? name + 2 :
	    name);
	pl_hex(target, csr->sha256, 16);
	pl_buf_addc(target, '.');
	pl_hex(target, csr->sha256 + 16, 16);
	if (unique != NULL)
		pl_buf_addf(target, ".%s", unique);
	pl_buf_adds(target, "." SUFFIX);
}

void
pl_derive_file(struct pl_buf *path, struct pl_buf *content,
    const struct pl_csr *csr, const char *unique)
{
	pl_buf_adds(path, FOLDER);
	add_md5(path, csr);
	pl_buf_adds(path, ".txt");
	pl_hex(content, csr->sha256, sizeof(csr->sha256));
	pl_buf_adds(content, "\n" SUFFIX);
	if (unique != NULL)
		pl_buf_addf(content, "\n%s", unique);
}
