/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Digests and keyed digests, through OpenSSL's provider interface.  What
 * can only fail for want of memory or by a broken library ends the process, as
 * everywhere.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* ---- AWS Signature Version 4 -------------------------------------------- */

/* The rules are those of "Create a signed AWS API request" in the IAM user
 * guide, checked against the vendor's own vectors. */

#define SIGV4_LIMIT (1u << 20)

void
pl_sigv4_stamp(char out[PL_SIGV4_STAMP], int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	crypto_need(gmtime_r(&when, &tm) != NULL &&
	    strftime(out, PL_SIGV4_STAMP, "%Y%m%dT%H%M%SZ", &tm) ==
	    PL_SIGV4_STAMP - 1);
}

static bool
sigv4_plain(unsigned char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	    (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' || ch == '_' ||
	    ch == '~';
}

static void
sigv4_encode(struct pl_buf *b, unsigned char ch)
{
	if (sigv4_plain(ch))
		pl_buf_addc(b, (char)ch);
	else
		pl_buf_addf(b, "%%%02X", (unsigned)ch);
}

static int
sigv4_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes and encodes again, so that each octet has its one form. */
static char *
sigv4_recode(const char *s, size_t n)
{
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, SIGV4_LIMIT);
	for (i = 0; i < n; i++) {
		if (s[i] == '%' && i + 2 < n && sigv4_hex(s[i + 1]) >= 0 &&
		    sigv4_hex(s[i + 2]) >= 0) {
			sigv4_encode(&b, (unsigned char)(sigv4_hex(s[i + 1]) *
			    16 + sigv4_hex(s[i + 2])));
			i += 2;
		} else {
			sigv4_encode(&b, (unsigned char)s[i]);
		}
	}
	return pl_buf_take(&b);
}

/* A name and its value, for sorting; both are its own. */
struct sigv4_pair {
	char *name, *value;
	size_t at;		/* where it stood */
};

static int
sigv4_by_value(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d != 0 ? d : strcmp(x->value, y->value);
}

static int
sigv4_by_place(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d != 0 ? d : x->at < y->at ? -1 : x->at > y->at;
}

static void
sigv4_pairs_free(struct sigv4_pair *p, size_t n)
{
	while (n-- > 0) {
		free(p[n].name);
		explicit_bzero(p[n].value, strlen(p[n].value));
		free(p[n].value);
	}
	free(p);
}

static void
sigv4_query(struct pl_buf *b, const char *query)
{
	struct sigv4_pair *p = NULL;
	size_t n = 0, len, name, i;

	for (; query != NULL && *query != '\0'; query += query[len] == '&' ?
	    len + 1 : len) {
		len = strcspn(query, "&");
		if (len == 0)
			continue;
		name = strcspn(query, "=");
		if (name > len)
			name = len;
		p = pl_grow(p, n + 1, sizeof(*p));
		p[n].name = sigv4_recode(query, name);
		p[n].value = name == len ? pl_strdup("") :
		    sigv4_recode(query + name + 1, len - name - 1);
		n++;
	}
	if (n > 0)
		qsort(p, n, sizeof(*p), sigv4_by_value);
	for (i = 0; i < n; i++)
		pl_buf_addf(b, "%s%s=%s", i == 0 ? "" : "&", p[i].name,
		    p[i].value);
	sigv4_pairs_free(p, n);
}

/* The path without empty, "." and ".." segments. */
static char *
sigv4_normal(const char *path)
{
	struct pl_buf b;
	size_t n;

	pl_buf_init(&b, SIGV4_LIMIT);
	pl_buf_addc(&b, '/');
	for (; *path != '\0'; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.'))
			continue;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			if (b.len > 1)
				b.data[--b.len] = '\0';
			while (b.len > 1 && b.data[b.len - 1] != '/')
				b.data[--b.len] = '\0';
			continue;
		}
		pl_buf_add(&b, path, n);
		if (path[n] == '/')
			pl_buf_addc(&b, '/');
	}
	return pl_buf_take(&b);
}

static void
sigv4_path(struct pl_buf *b, const char *path, bool normalize)
{
	char *normal = normalize ? sigv4_normal(path) : NULL;
	const char *s = normal != NULL ? normal : path;

	for (; *s != '\0'; s++) {
		if (*s == '/')
			pl_buf_addc(b, '/');
		else
			sigv4_encode(b, (unsigned char)*s);
	}
	free(normal);
}

static bool
sigv4_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without blanks at its ends, runs of them inside as one. */
static void
sigv4_fold(struct pl_buf *b, const char *s)
{
	bool gap = false, any = false;

	for (; *s != '\0'; s++) {
		if (sigv4_blank(*s)) {
			gap = any;
			continue;
		}
		if (gap)
			pl_buf_addc(b, ' ');
		pl_buf_addc(b, *s);
		gap = false;
		any = true;
	}
}

static char *
sigv4_value(const struct pl_http_header *h)
{
	struct pl_buf whole, b;

	pl_buf_init(&whole, SIGV4_LIMIT);
	pl_buf_init(&b, SIGV4_LIMIT);
	if (h->value != NULL)
		pl_buf_adds(&whole, h->value);
	if (h->secret != NULL)
		pl_buf_add(&whole, pl_secret_expose(h->secret),
		    pl_secret_len(h->secret));
	sigv4_fold(&b, whole.data);
	pl_buf_clear(&whole);
	return pl_buf_take(&b);
}

static char *
sigv4_lower(const char *s)
{
	char *out = pl_strdup(s), *p;

	for (p = out; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	return out;
}

/* "name:value" lines; headers of one name share a line. */
static void
sigv4_headers(struct pl_buf *b, struct pl_buf *names,
    const struct pl_http_header *headers)
{
	const struct pl_http_header *h;
	struct sigv4_pair *p = NULL;
	size_t n = 0, i;

	for (h = headers; h->name != NULL; h++) {
		p = pl_grow(p, n + 1, sizeof(*p));
		p[n].name = sigv4_lower(h->name);
		p[n].value = sigv4_value(h);
		p[n].at = n;
		n++;
	}
	if (n > 0)
		qsort(p, n, sizeof(*p), sigv4_by_place);
	for (i = 0; i < n; i++) {
		if (i > 0 && strcmp(p[i].name, p[i - 1].name) == 0) {
			pl_buf_addf(b, ",%s", p[i].value);
			continue;
		}
		pl_buf_addf(b, "%s%s:%s", i > 0 ? "\n" : "", p[i].name,
		    p[i].value);
		pl_buf_addf(names, "%s%s", i > 0 ? ";" : "", p[i].name);
	}
	pl_buf_addc(b, '\n');
	sigv4_pairs_free(p, n);
}

static void
sigv4_digest(struct pl_buf *b, const void *p, size_t n)
{
	unsigned char hash[32];

	pl_sha256(hash, p, n);
	pl_hex(b, hash, sizeof(hash));
}

static void
sigv4_mac(unsigned char out[64], const void *key, size_t n, const char *text,
    size_t len)
{
	struct pl_part part = { text, len };
	struct pl_hmac *h;

	crypto_need(pl_hmac_new(&h, "sha256", key, n, NULL) == PL_OK);
	pl_hmac_sum(h, out, &part, 1);
	pl_hmac_free(h);
}

/* The chain of keys, ended by the signature itself. */
static void
sigv4_chain(char signature[65], const struct pl_sigv4 *s, const char *text)
{
	const char *const parts[] = { s->region, s->service, "aws4_request",
		text };
	unsigned char key[64];
	struct pl_buf first, hex;
	size_t i;

	pl_buf_init(&first, PL_LIM_SECRET + 4);
	pl_buf_adds(&first, "AWS4");
	pl_buf_add(&first, pl_secret_expose(s->secret),
	    pl_secret_len(s->secret));
	sigv4_mac(key, first.data, first.len, s->stamp, 8);
	pl_buf_clear(&first);
	for (i = 0; i < PL_NELEM(parts); i++)
		sigv4_mac(key, key, 32, parts[i], strlen(parts[i]));
	pl_buf_init(&hex, 65);
	pl_hex(&hex, key, 32);
	memcpy(signature, hex.data, 65);
	pl_buf_clear(&hex);
	explicit_bzero(key, sizeof(key));
}

/* "20150830/us-east-1/service/aws4_request" */
static void
sigv4_scope(struct pl_buf *b, const struct pl_sigv4 *s)
{
	pl_buf_addf(b, "%.8s/%s/%s/aws4_request", s->stamp, s->region,
	    s->service);
}

void
pl_sigv4_sign(const struct pl_sigv4 *s, char signature[65],
    struct pl_buf *names)
{
	struct pl_buf request, text, signed_names;

	pl_buf_init(&request, SIGV4_LIMIT);
	pl_buf_init(&text, PL_LIM_LINE);
	pl_buf_init(&signed_names, PL_LIM_LINE);
	pl_buf_addf(&request, "%s\n", s->method);
	sigv4_path(&request, s->path, s->normalize);
	pl_buf_addc(&request, '\n');
	sigv4_query(&request, s->query);
	pl_buf_addc(&request, '\n');
	sigv4_headers(&request, &signed_names, s->headers);
	pl_buf_addf(&request, "\n%s\n", signed_names.data);
	sigv4_digest(&request, s->body, s->body_len);

	pl_buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n", s->stamp);
	sigv4_scope(&text, s);
	pl_buf_addc(&text, '\n');
	sigv4_digest(&text, request.data, request.len);
	crypto_need(!request.failed && !text.failed && !signed_names.failed);
	sigv4_chain(signature, s, text.data);
	if (names != NULL)
		pl_buf_adds(names, signed_names.data);
	pl_buf_clear(&request);
	pl_buf_clear(&text);
	pl_buf_clear(&signed_names);
}

void
pl_sigv4_header(struct pl_buf *b, const struct pl_sigv4 *s,
    const char *access_key)
{
	char signature[65];
	struct pl_buf names;

	pl_buf_init(&names, PL_LIM_LINE);
	pl_sigv4_sign(s, signature, &names);
	pl_buf_addf(b, "AWS4-HMAC-SHA256 Credential=%s/", access_key);
	sigv4_scope(b, s);
	pl_buf_addf(b, ", SignedHeaders=%s, Signature=%s", names.data,
	    signature);
	pl_buf_clear(&names);
}
