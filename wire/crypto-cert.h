/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A part of the door wire.h, which includes it: keys, certificate requests
 * and certificates.
 */
#ifndef PL_CRYPTO_CERT_H
#define PL_CRYPTO_CERT_H

/* ---- crypto-key.c: OpenSSL, keys and certificate requests --------------- */

/* A private key, in OpenSSL's own memory, wiped when freed. */
struct pl_key;
/* Makes one: "rsa2048", "rsa3072", "rsa4096", "p256", "p384". */
enum pl_code pl_key_new(struct pl_key **out, const char *type,
    struct pl_err *err);
/* Reads PEM (PKCS#8, or the older forms); passphrase may be NULL. */
enum pl_code pl_key_parse(struct pl_key **out, const struct pl_secret *pem,
    const struct pl_secret *passphrase, struct pl_err *err);
void pl_key_free(struct pl_key *k);		/* NULL is allowed */
/*
 * Writes a new file, mode 0600, PKCS#8 PEM, encrypted (PBES2, AES-256) where
 * there is a passphrase.  Appears whole; PL_EINVAL where there is a file of
 * that name already.
 */
enum pl_code pl_key_write(const struct pl_key *k, const char *path,
    const struct pl_secret *passphrase, struct pl_err *err);
/* Appends it as PKCS#8 PEM without a passphrase, for a server's file. */
enum pl_code pl_key_pem(const struct pl_key *k, struct pl_buf *pem,
    struct pl_err *err);
/*
 * Appends a PKCS#12 file (RFC 7292): key, its certificate and the chain (PEM
 * each; chain may be ""), under a friendly name.  AES-256 and HMAC-SHA-256,
 * as OpenSSL 3 and Java 8u301 write and read them.
 */
enum pl_code pl_pkcs12_make(struct pl_buf *out, const struct pl_key *k,
    const char *leaf, const char *chain, const char *name,
    const struct pl_secret *password, struct pl_err *err);
/* Can it be opened with that password, and is it of this certificate
 * (SHA-256 of its DER form)? */
bool pl_pkcs12_holds(const void *p, size_t n,
    const struct pl_secret *password, const unsigned char sha256[32]);
/* SHA-256 of the SubjectPublicKeyInfo: what tells keys apart. */
void pl_key_spki(const struct pl_key *k, unsigned char out[32]);

/* Parts of a subject; NULL or "" is left out. */
struct pl_subject {
	const char *cn, *o, *ou, *l, *st, *c, *email;
};
struct pl_csr_spec {
	struct pl_subject subject;
	const char *const *names;	/* subjectAltName, A-labels, maybe "*.D" */
	size_t nnames;
};
/* Appends a request as PEM, signed with SHA-256 (P-384: SHA-384). */
enum pl_code pl_csr_make(struct pl_buf *pem, const struct pl_key *k,
    const struct pl_csr_spec *spec, struct pl_err *err);

/* A request as read; all texts are its own, NULL where not there. */
struct pl_csr {
	char *cn, *o, *ou, *l, *st, *c, *email;
	char *subject;			/* one line, RFC 2253 order */
	char **names;			/* subjectAltName DNS, lower case; NULL-terminated */
	size_t nnames;
	char key[32];			/* "RSA 2048", "EC P-256", "Ed25519" */
	char *pem;			/* normalised: one block, "\n" */
	unsigned char md5[16], sha1[20], sha256[32];	/* of the DER form */
	size_t der_len;
	unsigned char spki[32];		/* SHA-256 */
};
#define PL_CSR_MAX (64u << 10)
/*
 * Reads PEM ("CERTIFICATE REQUEST" or "NEW CERTIFICATE REQUEST") or DER and
 * checks its signature.
 */
enum pl_code pl_csr_parse(struct pl_csr **out, const char *text, size_t n,
    struct pl_err *err);
void pl_csr_free(struct pl_csr *c);		/* NULL is allowed */

/* ---- crypto-cert.c: OpenSSL, certificates --------------------------------- */

struct pl_cert {
	char serial[68];		/* hex, capitals, even length, no sign */
	char *issuer, *subject;		/* one line, RFC 2253 order */
	char *cn;			/* or NULL */
	char **names;			/* subjectAltName DNS, lower case; NULL-terminated */
	size_t nnames;
	int64_t not_before, not_after;	/* wall ms */
	bool ca;			/* basicConstraints */
	bool self_issued;		/* issuer is subject, and it signed itself */
	char *pem;			/* "\n", one block */
	unsigned char sha256[32];	/* fingerprint of the DER form */
	unsigned char spki[32];		/* SHA-256 of the public key */
	void *x509;			/* crypto-cert.c's own */
};
#define PL_CERTS_OCTETS (64u << 10)
#define PL_CERTS_MOST 16
/*
 * All certificates of a PEM text, in its order, repeats left out.  PL_EPROTO:
 * none, more than PL_CERTS_MOST, more than PL_CERTS_OCTETS, or one that is
 * malformed.  Gives (pl_certs_free).
 */
enum pl_code pl_certs_parse(struct pl_cert ***out, size_t *n,
    const char *text, size_t len, struct pl_err *err);
void pl_certs_free(struct pl_cert **certs, size_t n);
/* Did `issuer` sign `c` (names and signature)? */
bool pl_cert_issued(const struct pl_cert *c, const struct pl_cert *issuer);
/*
 * The end-entity certificate of a set: no CA by basicConstraints and issuer
 * of none of the others; among several the one with this key (spki, may be
 * NULL), then the one that began last.  NULL where there is none, or spki is given
 * and no candidate has it.
 */
const struct pl_cert *pl_certs_leaf(struct pl_cert *const *certs, size_t n,
    const unsigned char *spki);
/*
 * Puts leaf first and behind it, as far as the set goes, who issued whom; what does
 * not belong to the chain is left out.  chain holds n pointers, lent from
 * certs; gives how many.
 */
size_t pl_certs_chain(const struct pl_cert **chain,
    struct pl_cert *const *certs, size_t n, const struct pl_cert *leaf);
/*
 * Roots that are trusted: the system's, and those of ca_file (PEM; NULL:
 * none).  Reading them takes a while: who verifies many chains keeps it.
 * PL_EINVAL: ca_file cannot be used.
 */
struct pl_trust;
enum pl_code pl_trust_open(struct pl_trust **out, const char *ca_file,
    struct pl_err *err);
void pl_trust_close(struct pl_trust *t);	/* NULL is allowed */
/*
 * Verifies leaf at `now` (wall ms) for a TLS server (with `server`) over the
 * other certificates of the set to a trusted root, or to a self-issued one
 * in the set.  *trusted tells which.  trust NULL: the system's, read for this
 * one call.
 * PL_EREMOTE says where the chain breaks.
 */
enum pl_code pl_certs_verify(struct pl_cert *const *certs, size_t n,
    const struct pl_cert *leaf, const struct pl_trust *trust, bool server,
    int64_t now, bool *trusted, struct pl_err *err);

/* ---- crypto-tls.c: OpenSSL, what a server shows ----------------------------- */

/*
 * Makes a TLS handshake with every address of the host (families without a
 * route left out), with this server name (RFC 6066, 3; NULL: none), and
 * compares the certificate's SHA-256.  Nothing is trusted, nothing is sent.
 * PL_EABSENT: another one is shown; PL_ENET: no connection, no handshake
 * before the deadline (pl_mono_ms; name resolution comes on top).
 */
enum pl_code pl_tls_shown(const char *host, uint16_t port, const char *name,
    const unsigned char wanted[32], int64_t deadline, struct pl_err *err);

#endif
