/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private keys and certificate requests, by OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define PKCS12_ROUNDS 10000	/* of PBKDF2: servers open it at each start */
#define KEY_ROUNDS 210000	/* of PBKDF2, for a file with a passphrase */

struct pl_key {
	EVP_PKEY *pkey;
};

static void
key_need(bool ok)
{
	if (!ok)
		abort();
}

/* Fails with OpenSSL's last reason, and empties its queue. */
static enum pl_code
key_fail(struct pl_err *err, enum pl_code code, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return pl_fail(err, code, "%s: %s", what, why != NULL ? why :
	    "cannot be used");
}

/* ---- keys -------------------------------------------------------------------- */

static EVP_PKEY *
key_make(const char *type)
{
	if (strcmp(type, "rsa2048") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	if (strcmp(type, "rsa3072") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
	if (strcmp(type, "rsa4096") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)4096);
	if (strcmp(type, "p256") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
}

enum pl_code
pl_key_new(struct pl_key **out, const char *type, struct pl_err *err)
{
	static const char *const types[] = { "rsa2048", "rsa3072", "rsa4096",
		"p256", "p384", NULL };
	EVP_PKEY *pkey;

	*out = NULL;
	if (!pl_str_in(type, types))
		return pl_fail(err, PL_EINVAL, "key: %.40s: none of rsa2048, "
		    "rsa3072, rsa4096, p256, p384", type);
	pkey = key_make(type);
	if (pkey == NULL)
		return key_fail(err, PL_EIO, "key");
	*out = pl_alloc(sizeof(**out));
	(*out)->pkey = pkey;
	return PL_OK;
}

void
pl_key_free(struct pl_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

/* Gives a passphrase to OpenSSL, which would ask on the terminal. */
static int
key_passphrase(char *buf, int size, int rw, void *arg)
{
	const struct pl_secret *s = arg;
	size_t n = pl_secret_len(s);

	(void)rw;
	if (s == NULL || n == 0 || n > (size_t)size)
		return -1;
	memcpy(buf, pl_secret_expose(s), n);
	return (int)n;
}

enum pl_code
pl_key_parse(struct pl_key **out, const struct pl_secret *pem,
    const struct pl_secret *passphrase, struct pl_err *err)
{
	BIO *bio = BIO_new_mem_buf(pl_secret_expose(pem),
	    (int)pl_secret_len(pem));
	EVP_PKEY *pkey;

	*out = NULL;
	key_need(bio != NULL);
	ERR_clear_error();
	pkey = PEM_read_bio_PrivateKey(bio, NULL, key_passphrase,
	    (void *)(uintptr_t)passphrase);
	BIO_free(bio);
	if (pkey == NULL)
		return key_fail(err, PL_EINVAL, passphrase == NULL ?
		    "private key (without a passphrase)" :
		    "private key (with its passphrase)");
	ERR_clear_error();
	*out = pl_alloc(sizeof(**out));
	(*out)->pkey = pkey;
	return PL_OK;
}

static bool
key_write_locked(BIO *bio, const PKCS8_PRIV_KEY_INFO *p8,
    const struct pl_secret *passphrase)
{
	X509_SIG *sig = PKCS8_encrypt(-1, EVP_aes_256_cbc(),
	    pl_secret_expose(passphrase), (int)pl_secret_len(passphrase),
	    NULL, 0, KEY_ROUNDS, (PKCS8_PRIV_KEY_INFO *)(uintptr_t)p8);
	bool good = sig != NULL && PEM_write_bio_PKCS8(bio, sig) == 1;

	X509_SIG_free(sig);
	return good;
}

enum pl_code
pl_key_write(const struct pl_key *k, const char *path,
    const struct pl_secret *passphrase, struct pl_err *err)
{
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(k->pkey);
	BIO *bio = BIO_new(BIO_s_secmem());
	enum pl_code code;
	char *data = NULL;
	long n;
	bool good;

	key_need(bio != NULL && p8 != NULL);
	if (passphrase != NULL)
		good = key_write_locked(bio, p8, passphrase);
	else
		good = PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, p8) == 1;
	n = BIO_get_mem_data(bio, &data);
	if (!good || n <= 0)
		code = key_fail(err, PL_EIO, "private key");
	else
		code = pl_file_create(path, data, (size_t)n, 0600, err);
	if (data != NULL && n > 0)
		explicit_bzero(data, (size_t)n);
	BIO_free(bio);
	PKCS8_PRIV_KEY_INFO_free(p8);
	return code;
}

enum pl_code
pl_key_pem(const struct pl_key *k, struct pl_buf *pem, struct pl_err *err)
{
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(k->pkey);
	BIO *bio = BIO_new(BIO_s_secmem());
	enum pl_code code = PL_OK;
	char *data = NULL;
	long n;

	key_need(bio != NULL && p8 != NULL);
	if (PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, p8) != 1)
		code = key_fail(err, PL_EIO, "private key");
	n = BIO_get_mem_data(bio, &data);
	if (code == PL_OK && n > 0)
		pl_buf_add(pem, data, (size_t)n);
	if (data != NULL && n > 0)
		explicit_bzero(data, (size_t)n);
	BIO_free(bio);
	PKCS8_PRIV_KEY_INFO_free(p8);
	return code;
}

/* ---- PKCS#12 ------------------------------------------------------------------- */

/* The certificates of a PEM text. */
static STACK_OF(X509) *
p12_certs(const char *text)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(text, -1);
	X509 *x;

	key_need(list != NULL && bio != NULL);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		key_need(sk_X509_push(list, x) > 0);
	ERR_clear_error();
	BIO_free(bio);
	return list;
}

enum pl_code
pl_pkcs12_make(struct pl_buf *out, const struct pl_key *k, const char *leaf,
    const char *chain, const char *name, const struct pl_secret *password,
    struct pl_err *err)
{
	STACK_OF(X509) *own = p12_certs(leaf), *others = p12_certs(chain);
	unsigned char *der = NULL;
	enum pl_code code = PL_OK;
	PKCS12 *p12 = NULL;
	int n = 0;

	if (sk_X509_num(own) == 1)
		p12 = PKCS12_create(pl_secret_expose(password), name, k->pkey,
		    sk_X509_value(own, 0), others, NID_aes_256_cbc,
		    NID_aes_256_cbc, PKCS12_ROUNDS, -1, 0);
	if (p12 != NULL && PKCS12_set_mac(p12, pl_secret_expose(password), -1,
	    NULL, 0, PKCS12_ROUNDS, EVP_sha256()) == 1)
		n = i2d_PKCS12(p12, &der);
	if (n > 0)
		pl_buf_add(out, der, (size_t)n);
	else
		code = key_fail(err, PL_EINVAL, "PKCS#12");
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	PKCS12_free(p12);
	sk_X509_pop_free(own, X509_free);
	sk_X509_pop_free(others, X509_free);
	return code;
}

bool
pl_pkcs12_holds(const void *p, size_t n, const struct pl_secret *password,
    const unsigned char sha256[32])
{
	const unsigned char *at = p;
	PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)n);
	unsigned char *der = NULL, digest[32];
	EVP_PKEY *pkey = NULL;
	X509 *x = NULL;
	bool good = false;
	int len;

	if (p12 != NULL && PKCS12_parse(p12, pl_secret_expose(password), &pkey,
	    &x, NULL) == 1 && x != NULL && (len = i2d_X509(x, &der)) > 0) {
		pl_sha256(digest, der, (size_t)len);
		good = memcmp(digest, sha256, sizeof(digest)) == 0;
	}
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	X509_free(x);
	PKCS12_free(p12);
	ERR_clear_error();
	return good;
}

static void
key_digest(EVP_PKEY *pkey, unsigned char out[32])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);

	key_need(n > 0);
	pl_sha256(out, der, (size_t)n);
	OPENSSL_free(der);
}

void
pl_key_spki(const struct pl_key *k, unsigned char out[32])
{
	key_digest(k->pkey, out);
}

/* ---- making a request ---------------------------------------------------------- */

static enum pl_code
csr_entry(X509_NAME *name, const char *field, const char *what,
    const char *value, struct pl_err *err)
{
	char where[80] = "subject: ";

	if (value == NULL || value[0] == '\0')
		return PL_OK;
	if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
	    (const unsigned char *)value, -1, -1, 0) == 1)
		return PL_OK;
	memcpy(where + 9, what, strlen(what) + 1);
	return key_fail(err, PL_EINVAL, where);
}

static enum pl_code
csr_subject(X509_REQ *req, const struct pl_subject *s, struct pl_err *err)
{
	X509_NAME *name = X509_REQ_get_subject_name(req);
	enum pl_code code;

	if (s->c != NULL && s->c[0] != '\0' && strlen(s->c) != 2)
		return pl_fail(err, PL_EINVAL, "subject: country: two "
		    "letters are expected");
	code = csr_entry(name, "C", "country", s->c, err);
	if (code == PL_OK)
		code = csr_entry(name, "ST", "state", s->st, err);
	if (code == PL_OK)
		code = csr_entry(name, "L", "locality", s->l, err);
	if (code == PL_OK)
		code = csr_entry(name, "O", "organization", s->o, err);
	if (code == PL_OK)
		code = csr_entry(name, "OU", "unit", s->ou, err);
	if (code == PL_OK)
		code = csr_entry(name, "CN", "common name", s->cn, err);
	if (code == PL_OK)
		code = csr_entry(name, "emailAddress", "email", s->email, err);
	return code;
}

static void
csr_names(X509_REQ *req, const struct pl_csr_spec *spec)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	STACK_OF(X509_EXTENSION) *exts = NULL;
	GENERAL_NAME *one;
	ASN1_IA5STRING *text;

	for (size_t i = 0; i < spec->nnames; i++) {
		one = GENERAL_NAME_new();
		text = ASN1_IA5STRING_new();
		key_need(one != NULL && text != NULL && ASN1_STRING_set(text,
		    spec->names[i], -1) == 1);
		GENERAL_NAME_set0_value(one, GEN_DNS, text);
		key_need(sk_GENERAL_NAME_push(list, one) > 0);
	}
	if (spec->nnames > 0)
		key_need(X509V3_add1_i2d(&exts, NID_subject_alt_name, list, 0,
		    0) == 1 && X509_REQ_add_extensions(req, exts) == 1);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	GENERAL_NAMES_free(list);
}

enum pl_code
pl_csr_make(struct pl_buf *pem, const struct pl_key *k,
    const struct pl_csr_spec *spec, struct pl_err *err)
{
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	enum pl_code code;
	char *data = NULL;
	long n;

	key_need(req != NULL && bio != NULL && X509_REQ_set_version(req,
	    X509_REQ_VERSION_1) == 1);
	code = csr_subject(req, &spec->subject, err);
	if (code == PL_OK) {
		csr_names(req, spec);
		if (X509_REQ_set_pubkey(req, k->pkey) != 1 ||
		    X509_REQ_sign(req, k->pkey, EVP_PKEY_get_bits(k->pkey) ==
		    384 ? EVP_sha384() : EVP_sha256()) <= 0 ||
		    PEM_write_bio_X509_REQ(bio, req) != 1)
			code = key_fail(err, PL_EIO, "request");
	}
	n = BIO_get_mem_data(bio, &data);
	if (code == PL_OK)
		pl_buf_add(pem, data, (size_t)n);
	BIO_free(bio);
	X509_REQ_free(req);
	return code;
}

/* ---- reading a request ----------------------------------------------------------- */

/* One entry of a subject as UTF-8, or NULL; NUL in it counts as none. */
static char *
csr_text(const X509_NAME *name, int nid)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
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

static char *
csr_line(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *out;
	long n;

	key_need(bio != NULL);
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 &
	    ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	n = BIO_get_mem_data(bio, &data);
	out = n > 0 ? pl_strndup(data, (size_t)n) : pl_strdup("");
	BIO_free(bio);
	return out;
}

static void
csr_add_name(struct pl_csr *c, const ASN1_STRING *s)
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
csr_read_names(struct pl_csr *c, X509_REQ *req)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
	GENERAL_NAMES *list = exts == NULL ? NULL : X509V3_get_d2i(exts,
	    NID_subject_alt_name, NULL, NULL);

	c->names = pl_array(1, sizeof(char *));
	for (int i = 0; list != NULL && i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(list, i);

		if (one->type == GEN_DNS)
			csr_add_name(c, one->d.dNSName);
	}
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
}

/* "RSA 2048", "EC P-256", or OpenSSL's name of the algorithm. */
static void
csr_key(struct pl_csr *c, EVP_PKEY *pkey)
{
	static const struct { const char *group, *shown; } groups[] = {
		{ "prime256v1", "P-256" }, { "secp384r1", "P-384" },
		{ "secp521r1", "P-521" } };
	const char *type = EVP_PKEY_get0_type_name(pkey), *shown;
	char group[24] = "";
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	if (EVP_PKEY_is_a(pkey, "RSA"))
		pl_buf_addf(&b, "RSA %d", EVP_PKEY_get_bits(pkey));
	else if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_utf8_string_param(
	    pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL)) {
		shown = group;
		for (size_t i = 0; i < PL_NELEM(groups); i++)
			if (strcmp(groups[i].group, group) == 0)
				shown = groups[i].shown;
		pl_buf_addf(&b, "EC %s", shown);
	} else
		pl_buf_addf(&b, "%s", type != NULL ? type : "unknown");
	for (size_t i = 0; i + 1 < sizeof(c->key) && i < b.len; i++)
		c->key[i] = b.data[i];
	pl_buf_clear(&b);
}

static void
csr_digest(const EVP_MD *md, const unsigned char *der, size_t n,
    unsigned char *out)
{
	key_need(EVP_Digest(der, n, out, NULL, md, NULL) == 1);
}

static void
csr_fill(struct pl_csr *c, X509_REQ *req, EVP_PKEY *pkey,
    const unsigned char *der, size_t n)
{
	const X509_NAME *name = X509_REQ_get_subject_name(req);
	struct pl_buf b, pem;

	c->cn = csr_text(name, NID_commonName);
	c->o = csr_text(name, NID_organizationName);
	c->ou = csr_text(name, NID_organizationalUnitName);
	c->l = csr_text(name, NID_localityName);
	c->st = csr_text(name, NID_stateOrProvinceName);
	c->c = csr_text(name, NID_countryName);
	c->email = csr_text(name, NID_pkcs9_emailAddress);
	c->subject = csr_line(name);
	csr_read_names(c, req);
	csr_key(c, pkey);
	key_digest(pkey, c->spki);
	csr_digest(EVP_md5(), der, n, c->md5);
	csr_digest(EVP_sha1(), der, n, c->sha1);
	csr_digest(EVP_sha256(), der, n, c->sha256);
	c->der_len = n;
	pl_buf_init(&b, 2 * PL_CSR_MAX);
	pl_buf_init(&pem, 3 * PL_CSR_MAX);
	pl_base64(&b, der, n);
	pl_buf_adds(&pem, "-----BEGIN CERTIFICATE REQUEST-----\n");
	for (size_t i = 0; i < b.len; i += 64)
		pl_buf_addf(&pem, "%.64s\n", b.data + i);
	pl_buf_adds(&pem, "-----END CERTIFICATE REQUEST-----\n");
	c->pem = pl_buf_take(&pem);
	pl_buf_clear(&b);
}

/* The octets of the first request of a PEM text; 0: there is none. */
static size_t
csr_unwrap(const char *text, size_t n, unsigned char **der)
{
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	char *label = NULL, *header = NULL;
	unsigned char *data = NULL;
	long len = 0;
	bool found = false;

	key_need(bio != NULL);
	while (!found && PEM_read_bio(bio, &label, &header, &data, &len) == 1) {
		found = len > 0 && (strcmp(label, "CERTIFICATE REQUEST") == 0 ||
		    strcmp(label, "NEW CERTIFICATE REQUEST") == 0);
		if (found)
			*der = pl_memdup(data, (size_t)len);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(bio);
	ERR_clear_error();
	return found ? (size_t)len : 0;
}

static enum pl_code
csr_read(struct pl_csr *c, const unsigned char *der, size_t n,
    struct pl_err *err)
{
	const unsigned char *p = der;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)n);
	EVP_PKEY *pkey = req != NULL ? X509_REQ_get0_pubkey(req) : NULL;
	enum pl_code code = PL_OK;

	if (req == NULL || p != der + n)
		code = pl_fail(err, PL_EINVAL, "certificate request: "
		    "malformed");
	else if (pkey == NULL)
		code = pl_fail(err, PL_EINVAL, "certificate request: its key "
		    "cannot be read");
	else if (X509_REQ_verify(req, pkey) != 1)
		code = pl_fail(err, PL_EINVAL, "certificate request: its "
		    "signature is wrong");
	else
		csr_fill(c, req, pkey, der, n);
	X509_REQ_free(req);
	ERR_clear_error();
	return code;
}

enum pl_code
pl_csr_parse(struct pl_csr **out, const char *text, size_t n,
    struct pl_err *err)
{
	unsigned char *der = NULL;
	struct pl_csr *c;
	enum pl_code code;
	size_t len;

	*out = NULL;
	if (n == 0 || n > PL_CSR_MAX)
		return pl_fail(err, PL_EINVAL, "certificate request: %s",
		    n == 0 ? "empty" : "longer than 64 KiB");
	if ((unsigned char)text[0] == 0x30) {
		der = pl_memdup(text, n);
		len = n;
	} else
		len = csr_unwrap(text, n, &der);
	if (len == 0)
		return pl_fail(err, PL_EINVAL, "certificate request: neither "
		    "PEM nor DER");
	c = pl_alloc(sizeof(*c));
	code = csr_read(c, der, len, err);
	free(der);
	if (code == PL_OK)
		*out = c;
	else
		pl_csr_free(c);
	return code;
}

void
pl_csr_free(struct pl_csr *c)
{
	if (c == NULL)
		return;
	free(c->cn);
	free(c->o);
	free(c->ou);
	free(c->l);
	free(c->st);
	free(c->c);
	free(c->email);
	free(c->subject);
	for (size_t i = 0; i < c->nnames; i++)
		free(c->names[i]);
	free(c->names);
	free(c->pem);
	free(c);
}
