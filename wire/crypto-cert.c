/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Certificates as they come from the store, by OpenSSL. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

static void
cert_need(bool ok)
{
	if (!ok)
		abort();
}

/* pl_cert.x509 as what it is. */
static X509 *
cert_of(const struct pl_cert *c)
{
	return c->x509;
}

/* ---- reading --------------------------------------------------------------------- */

static char *
cert_line(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *out;
	long n;

	cert_need(bio != NULL);
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 &
	    ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	n = BIO_get_mem_data(bio, &data);
	out = n > 0 ? pl_strndup(data, (size_t)n) : pl_strdup("");
	BIO_free(bio);
	return out;
}

static char *
cert_cn(const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	char *out = NULL;
	int n;

	if (at < 0)
		return NULL;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(name, at)));
	if (n > 0 && memchr(utf8, '\0', (size_t)n) == NULL)
		out = pl_strndup((const char *)utf8, (size_t)n);
	OPENSSL_free(utf8);
	return out;
}

static void
cert_add_name(struct pl_cert *c, const ASN1_STRING *s)
{
	const unsigned char *p = ASN1_STRING_get0_data(s);
	size_t n = (size_t)ASN1_STRING_length(s);
	char *name;

	if (n == 0 || n >= PL_NAME_MAX + 2 || memchr(p, '\0', n) != NULL)
		return;
	name = pl_strndup((const char *)p, n);
	for (char *q = name; *q != '\0'; q++)
		if (*q >= 'A' && *q <= 'Z')
			*q = (char)(*q + 'a' - 'A');
	c->names = pl_grow(c->names, c->nnames + 2, sizeof(char *));
	c->names[c->nnames++] = name;
	c->names[c->nnames] = NULL;
}

static void
cert_names(struct pl_cert *c)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(cert_of(c),
	    NID_subject_alt_name, NULL, NULL);

	c->names = pl_array(1, sizeof(char *));
	for (int i = 0; list != NULL && i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(list, i);

		if (one->type == GEN_DNS)
			cert_add_name(c, one->d.dNSName);
	}
	GENERAL_NAMES_free(list);
}

static bool
cert_time(const ASN1_TIME *t, int64_t *ms)
{
	struct tm tm = { 0 };

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ms = (int64_t)timegm(&tm) * 1000;
	return true;
}

static bool
cert_serial(struct pl_cert *c)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert_of(c)),
	    NULL);
	char *hex = NULL;
	bool fits = false;

	if (n != NULL) {
		BN_set_negative(n, 0);
		hex = BN_bn2hex(n);
	}
	if (hex != NULL && strlen(hex) < sizeof(c->serial)) {
		memcpy(c->serial, hex, strlen(hex) + 1);
		fits = true;
	}
	OPENSSL_free(hex);
	BN_free(n);
	return fits;
}

static char *
cert_pem(const unsigned char *der, size_t n)
{
	struct pl_buf b, pem;

	pl_buf_init(&b, 2 * PL_CERTS_OCTETS);
	pl_buf_init(&pem, 3 * PL_CERTS_OCTETS);
	pl_base64(&b, der, n);
	pl_buf_adds(&pem, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < b.len; i += 64)
		pl_buf_addf(&pem, "%.64s\n", b.data + i);
	pl_buf_adds(&pem, "-----END CERTIFICATE-----\n");
	pl_buf_clear(&b);
	return pl_buf_take(&pem);
}

static void
cert_free(struct pl_cert *c)
{
	if (c == NULL)
		return;
	X509_free(c->x509);
	free(c->issuer);
	free(c->subject);
	free(c->cn);
	for (size_t i = 0; i < c->nnames; i++)
		free(c->names[i]);
	free(c->names);
	free(c->pem);
	free(c);
}

static bool
cert_signed_by(X509 *x, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool good = key != NULL && X509_NAME_cmp(X509_get_issuer_name(x),
	    X509_get_subject_name(issuer)) == 0 && X509_verify(x, key) == 1;

	ERR_clear_error();
	return good;
}

static bool
cert_fill(struct pl_cert *c, const unsigned char *der, size_t n)
{
	X509 *x = c->x509;
	unsigned char *spki = NULL;
	int len, ca;

	/* Also looks at the extensions, of which one may be malformed. */
	ca = X509_check_ca(x);
	if (X509_get0_pubkey(x) == NULL || !cert_serial(c) ||
	    (X509_get_extension_flags(x) & EXFLAG_INVALID) != 0 ||
	    !cert_time(X509_get0_notBefore(x), &c->not_before) ||
	    !cert_time(X509_get0_notAfter(x), &c->not_after))
		return false;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	if (len <= 0)
		return false;
	pl_sha256(c->spki, spki, (size_t)len);
	OPENSSL_free(spki);
	pl_sha256(c->sha256, der, n);
	c->issuer = cert_line(X509_get_issuer_name(x));
	c->subject = cert_line(X509_get_subject_name(x));
	c->cn = cert_cn(X509_get_subject_name(x));
	cert_names(c);
	/* 3: a root of version 1, which has no extensions. */
	c->ca = ca == 1 || ca == 3;
	c->self_issued = cert_signed_by(x, x);
	c->pem = cert_pem(der, n);
	return true;
}

static struct pl_cert *
cert_read(const unsigned char *der, size_t n)
{
	const unsigned char *p = der;
	struct pl_cert *c = pl_alloc(sizeof(*c));

	c->x509 = d2i_X509(NULL, &p, (long)n);
	if (c->x509 == NULL || p != der + n || !cert_fill(c, der, n)) {
		cert_free(c);
		c = NULL;
	}
	ERR_clear_error();
	return c;
}

struct certs {
	struct pl_cert **list;
	size_t n;
};

/* Takes one block; what is there already is left out. */
static enum pl_code
certs_add(struct certs *l, const unsigned char *der, size_t n,
    struct pl_err *err)
{
	struct pl_cert *c = cert_read(der, n);

	if (c == NULL)
		return pl_fail(err, PL_EPROTO, "certificate %zu: malformed",
		    l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		if (memcmp(l->list[i]->sha256, c->sha256, 32) == 0) {
			cert_free(c);
			return PL_OK;
		}
	}
	if (l->n == PL_CERTS_MOST) {
		cert_free(c);
		return pl_fail(err, PL_EPROTO, "certificates: more than %d",
		    PL_CERTS_MOST);
	}
	l->list = pl_grow(l->list, l->n + 1, sizeof(*l->list));
	l->list[l->n++] = c;
	return PL_OK;
}

static enum pl_code
certs_read(struct certs *l, BIO *bio, struct pl_err *err)
{
	char *label = NULL, *header = NULL;
	unsigned char *data = NULL;
	enum pl_code code = PL_OK;
	long n = 0;

	while (code == PL_OK && PEM_read_bio(bio, &label, &header, &data,
	    &n) == 1) {
		if (strcmp(label, "CERTIFICATE") == 0 ||
		    strcmp(label, "X509 CERTIFICATE") == 0)
			code = certs_add(l, data, (size_t)n, err);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)n);
	}
	/* Anything but "no more blocks" is a block that is broken. */
	if (code == PL_OK && ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE)
		code = pl_fail(err, PL_EPROTO, "certificates: malformed PEM");
	ERR_clear_error();
	return code;
}

enum pl_code
pl_certs_parse(struct pl_cert ***out, size_t *n, const char *text,
    size_t len, struct pl_err *err)
{
	struct certs l = { NULL, 0 };
	enum pl_code code;
	BIO *bio;

	*out = NULL;
	*n = 0;
	if (len > PL_CERTS_OCTETS)
		return pl_fail(err, PL_EPROTO, "certificates: more than %u "
		    "octets", PL_CERTS_OCTETS);
	bio = BIO_new_mem_buf(text, (int)len);
	cert_need(bio != NULL);
	ERR_clear_error();
	code = certs_read(&l, bio, err);
	BIO_free(bio);
	if (code == PL_OK && l.n == 0)
		code = pl_fail(err, PL_EPROTO, "certificates: none in the "
		    "text");
	if (code != PL_OK) {
		pl_certs_free(l.list, l.n);
		return code;
	}
	*out = l.list;
	*n = l.n;
	return PL_OK;
}

void
pl_certs_free(struct pl_cert **certs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cert_free(certs[i]);
	free(certs);
}

/* ---- who belongs to whom ------------------------------------------------------------ */

bool
pl_cert_issued(const struct pl_cert *c, const struct pl_cert *issuer)
{
	return cert_signed_by(cert_of(c), cert_of(issuer));
}

static bool
issues_others(struct pl_cert *const *certs, size_t n, size_t i)
{
	for (size_t k = 0; k < n; k++)
		if (k != i && pl_cert_issued(certs[k], certs[i]))
			return true;
	return false;
}

const struct pl_cert *
pl_certs_leaf(struct pl_cert *const *certs, size_t n,
    const unsigned char *spki)
{
	const struct pl_cert *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (certs[i]->ca || issues_others(certs, n, i) ||
		    (spki != NULL && memcmp(certs[i]->spki, spki, 32) != 0))
			continue;
		if (best == NULL || certs[i]->not_before > best->not_before)
			best = certs[i];
	}
	return best;
}

static bool
in_chain(const struct pl_cert *const *chain, size_t n,
    const struct pl_cert *c)
{
	for (size_t i = 0; i < n; i++)
		if (chain[i] == c)
			return true;
	return false;
}

size_t
pl_certs_chain(const struct pl_cert **chain, struct pl_cert *const *certs,
    size_t n, const struct pl_cert *leaf)
{
	const struct pl_cert *last = leaf, *next;
	size_t m = 0;

	while (last != NULL && m < n) {
		chain[m++] = last;
		next = NULL;
		for (size_t i = 0; i < n && !last->self_issued; i++) {
			if (in_chain(chain, m, certs[i]) ||
			    !pl_cert_issued(last, certs[i]))
				continue;
			/* A root ends the chain; of two ways that is the
			 * one to take. */
			if (next == NULL || certs[i]->self_issued)
				next = certs[i];
		}
		last = next;
	}
	return m;
}

/* ---- trust -------------------------------------------------------------------------- */

struct pl_trust {
	X509_STORE *store;
};

/* The system's certificates; where they are is OpenSSL's to know, not the
 * environment's to say. */
static void
trust_system(X509_STORE *store)
{
	const char *file = X509_get_default_cert_file();

	if (access(file, R_OK) == 0)
		(void)X509_STORE_load_file(store, file);
	(void)X509_STORE_load_path(store, X509_get_default_cert_dir());
	ERR_clear_error();
}

static int
trust_try(X509_STORE *store, struct pl_cert *const *certs, size_t n,
    const struct pl_cert *leaf, bool server, int64_t now, int *depth)
{
	STACK_OF(X509) *others = sk_X509_new_null();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int why = X509_V_OK;

	cert_need(others != NULL && ctx != NULL);
	for (size_t i = 0; i < n; i++)
		cert_need(sk_X509_push(others, cert_of(certs[i])) > 0);
	cert_need(X509_STORE_CTX_init(ctx, store, cert_of(leaf), others) == 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now / 1000));
	X509_VERIFY_PARAM_set_depth(param, PL_CERTS_MOST);
	if (server)
		X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if (X509_verify_cert(ctx) != 1) {
		why = X509_STORE_CTX_get_error(ctx);
		if (why == X509_V_OK)
			why = X509_V_ERR_UNSPECIFIED;
	}
	*depth = X509_STORE_CTX_get_error_depth(ctx);
	X509_STORE_CTX_free(ctx);
	sk_X509_free(others);
	ERR_clear_error();
	return why;
}

/* Does the chain end where nobody is known? */
static bool
is_unknown_root(int why)
{
	return why == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	    why == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	    why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	    why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	    why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

enum pl_code
pl_trust_open(struct pl_trust **out, const char *ca_file, struct pl_err *err)
{
	struct pl_trust *t = pl_alloc(sizeof(*t));
	enum pl_code code = PL_OK;

	*out = NULL;
	t->store = X509_STORE_new();
	cert_need(t->store != NULL);
	trust_system(t->store);
	if (ca_file != NULL && X509_STORE_load_file(t->store, ca_file) != 1)
		code = pl_fail(err, PL_EINVAL, "%s: cannot be used as "
		    "certificates to trust", ca_file);
	ERR_clear_error();
	if (code != PL_OK)
		pl_trust_close(t);
	else
		*out = t;
	return code;
}

void
pl_trust_close(struct pl_trust *t)
{
	if (t == NULL)
		return;
	X509_STORE_free(t->store);
	free(t);
}

/* To a root that the set brings along. */
static int
trust_own(struct pl_cert *const *certs, size_t n, const struct pl_cert *leaf,
    bool server, int64_t now, int *depth)
{
	X509_STORE *store = X509_STORE_new();
	int why;

	cert_need(store != NULL);
	for (size_t i = 0; i < n; i++)
		if (certs[i]->self_issued && certs[i]->ca)
			(void)X509_STORE_add_cert(store, cert_of(certs[i]));
	ERR_clear_error();
	why = trust_try(store, certs, n, leaf, server, now, depth);
	X509_STORE_free(store);
	return why;
}

enum pl_code
pl_certs_verify(struct pl_cert *const *certs, size_t n,
    const struct pl_cert *leaf, const struct pl_trust *trust, bool server,
    int64_t now, bool *trusted, struct pl_err *err)
{
	struct pl_trust *own = NULL;
	enum pl_code code;
	int depth = 0, why;

	*trusted = false;
	if (trust == NULL) {
		code = pl_trust_open(&own, NULL, err);
		if (code != PL_OK)
			return code;
		trust = own;
	}
	why = trust_try(trust->store, certs, n, leaf, server, now, &depth);
	pl_trust_close(own);
	*trusted = why == X509_V_OK;
	if (is_unknown_root(why))
		why = trust_own(certs, n, leaf, server, now, &depth);
	if (why == X509_V_OK)
		return PL_OK;
	return pl_fail(err, PL_EREMOTE, "certificate chain: %s (at depth %d)",
	    X509_verify_cert_error_string(why), depth);
}
