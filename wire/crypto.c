/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Digests and keyed digests, through OpenSSL's provider interface.  What
 * can only fail for want of memory or by a broken library ends the process, as
 * everywhere.
 */
#include <stdlib.h>

#include "wire.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static void
crypto_need(bool ok)
{
	if (!ok)
		abort();
}

void
pl_sha256(unsigned char out[32], const void *p, size_t n)
{
	unsigned int len = 0;

	crypto_need(EVP_Digest(p, n, out, &len, EVP_sha256(), NULL) == 1 &&
	    len == 32);
}

struct pl_hmac {
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	size_t size;
};

void
pl_hmac_free(struct pl_hmac *h)
{
	if (h == NULL)
		return;
	EVP_MAC_CTX_free(h->ctx);	/* wipes its copy of the key */
	EVP_MAC_free(h->mac);
	free(h);
}

enum pl_code
pl_hmac_new(struct pl_hmac **out, const char *digest, const void *key,
    size_t n, struct pl_err *err)
{
	char name[16];
	OSSL_PARAM params[2];
	struct pl_hmac *h;
	size_t i;

	*out = NULL;
	for (i = 0; digest[i] != '\0' && i + 1 < sizeof(name); i++)
		name[i] = digest[i];
	name[i] = '\0';
	params[0] = OSSL_PARAM_construct_utf8_string("digest", name, 0);
	params[1] = OSSL_PARAM_construct_end();

	h = pl_alloc(sizeof(*h));
	h->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	crypto_need(h->mac != NULL);
	h->ctx = EVP_MAC_CTX_new(h->mac);
	crypto_need(h->ctx != NULL);
	if (EVP_MAC_init(h->ctx, key, n, params) != 1) {
		pl_hmac_free(h);
		return pl_fail(err, PL_EINVAL,
		    "digest %s: not offered by this OpenSSL", digest);
	}
	h->size = EVP_MAC_CTX_get_mac_size(h->ctx);
	crypto_need(h->size > 0 && h->size <= 64);
	*out = h;
	return PL_OK;
}

size_t
pl_hmac_size(const struct pl_hmac *h)
{
	return h->size;
}

void
pl_hmac_sum(struct pl_hmac *h, unsigned char out[64],
    const struct pl_part *parts, size_t n)
{
	size_t i, len = 0;

	/* Without a key: starts over with the one it has. */
	crypto_need(EVP_MAC_init(h->ctx, NULL, 0, NULL) == 1);
	for (i = 0; i < n; i++)
		crypto_need(EVP_MAC_update(h->ctx, parts[i].p,
		    parts[i].n) == 1);
	crypto_need(EVP_MAC_final(h->ctx, out, &len, 64) == 1 &&
	    len == h->size);
}

bool
pl_same_octets(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
