/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * DNS questions, answers and TSIG (RFC 8945), on octets and without a DNS
 * library; dns.c tells why.  Questions are written and matched here because
 * the verifier and an account's look do so by the ten thousand; answers
 * are parsed here because they are a stranger's.
 *
 * Rules for what comes in: nothing is read past n, a compression pointer
 * leads backwards only and at most DNS_HOPS times a name, at most DNS_RRS
 * records are looked at, and every allocation is bounded by the message.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define DNS_HEAD 12
#define DNS_HOPS 128
#define DNS_RRS 4096
#define DNS_NAME 255		/* octets of a name on the wire */
#define DNS_IN 1
#define DNS_CLASS_ANY 255
#define DNS_OPT 41
#define DNS_TSIG 250
#define DNS_UPDATE 5		/* opcode */

#define TSIG_FUDGE 300

/* ---- octets ---------------------------------------------------------- */

static unsigned
get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static int64_t
get48(const unsigned char *p)
{
	return (int64_t)get16(p) << 32 | get32(p + 2);
}

static void
put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8 & 0xff);
	p[1] = (unsigned char)(v & 0xff);
}

static void
put32(unsigned char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void
put48(unsigned char *p, int64_t v)
{
	put16(p, (unsigned)(v >> 32 & 0xffff));
	put32(p + 2, (uint32_t)(v & 0xffffffff));
}

static unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

const char *
pl_dns_rcode_name(unsigned rcode)
{
	static const char *const low[] = { "NOERROR", "FORMERR", "SERVFAIL",
		"NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
		"NXRRSET", "NOTAUTH", "NOTZONE" };
	static const char *const high[] = { "RCODE11", "RCODE12", "RCODE13",
		"RCODE14", "RCODE15", "BADSIG", "BADKEY", "BADTIME",
		"BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE" };

	if (rcode < PL_NELEM(low))
		return low[rcode];
	rcode -= (unsigned)PL_NELEM(low);
	return rcode < PL_NELEM(high) ? high[rcode] : "an unknown RCODE";
}

/* ---- names ----------------------------------------------------------- */

/* Takes one octet of a label, unescaped; -1 where the escape is broken. */
static int
name_octet(const char **s)
{
	const char *p = *s;
	int v, i;

	if (*p != '\\') {
		*s = p + 1;
		return (unsigned char)*p;
	}
	p++;
	if (*p < '0' || *p > '9') {
		*s = p + (*p != '\0');
		return *p == '\0' ? -1 : (unsigned char)*p;
	}
	for (v = 0, i = 0; i < 3; i++, p++) {
		if (*p < '0' || *p > '9')
			return -1;
		v = v * 10 + (*p - '0');
	}
	*s = p;
	return v > 255 ? -1 : v;
}

/* Text to octets; gives the length, 0 where it is no name or has no room. */
static size_t
name_pack(unsigned char *out, size_t room, const char *s)
{
	size_t n = 0, label;
	int c;

	if (room > DNS_NAME)
		room = DNS_NAME;
	while (*s != '\0' && !(n == 0 && s[0] == '.' && s[1] == '\0')) {
		label = n++;
		while (*s != '\0' && *s != '.') {
			if ((c = name_octet(&s)) < 0 || n + 1 >= room)
				return 0;
			out[n++] = (unsigned char)c;
		}
		if (n - label - 1 == 0 || n - label - 1 > 63)
			return 0;
		out[label] = (unsigned char)(n - label - 1);
		if (*s == '.')
			s++;
	}
	if (n + 1 > room)
		return 0;
	out[n] = 0;
	return n + 1;
}

/*
 * Reads the name at *off into octets without compression, lower case, and
 * moves *off behind it.  Gives its length, 0 where it is malformed.
 */
static size_t
name_read(const unsigned char *p, size_t n, size_t *off,
    unsigned char out[DNS_NAME])
{
	size_t at = *off, end = 0, len = 0, to, i;
	unsigned hops = 0, c;

	for (;;) {
		if (at >= n)
			return 0;
		c = p[at];
		if (c >= 0xc0) {
			if (n - at < 2 || ++hops > DNS_HOPS)
				return 0;
			to = get16(p + at) & 0x3fff;
			if (to >= at)
				return 0;
			if (end == 0)
				end = at + 2;
			at = to;
			continue;
		}
		if (c > 63 || n - at < 1 + (size_t)c || len + 1 + c > DNS_NAME)
			return 0;
		out[len++] = (unsigned char)c;
		for (i = 1; i <= c; i++)
			out[len++] = lower(p[at + i]);
		at += 1 + (size_t)c;
		if (c == 0)
			break;
	}
	*off = end != 0 ? end : at;
	return len;
}

/* Moves *off behind a name without reading it. */
static bool
name_skip(const unsigned char *p, size_t n, size_t *off)
{
	size_t at = *off;
	unsigned c;

	do {
		if (at >= n)
			return false;
		c = p[at];
		if (c >= 0xc0) {
			if (n - at < 2)
				return false;
			at += 2;
			break;
		}
		if (c > 63 || n - at < 1 + (size_t)c)
			return false;
		at += 1 + (size_t)c;
	} while (c != 0);
	*off = at;
	return true;
}

/* Octets to text; out holds PL_DNS_TEXT.  Gives the length of the text. */
static size_t
name_text(const unsigned char *w, char out[PL_DNS_TEXT])
{
	size_t n = 0, i, c;

	for (; (c = *w) != 0; w += c + 1) {
		if (n > 0)
			out[n++] = '.';
		for (i = 1; i <= c; i++) {
			unsigned char o = w[i];

			if (o <= ' ' || o > '~') {
				out[n++] = '\\';
				out[n++] = (char)('0' + o / 100);
				out[n++] = (char)('0' + o / 10 % 10);
				out[n++] = (char)('0' + o % 10);
				continue;
			}
			if (o == '.' || o == '\\' || o == ';' || o == '(' ||
			    o == ')')
				out[n++] = '\\';
			out[n++] = (char)o;
		}
	}
	out[n] = '\0';
	return n;
}

/* Gives the text of the name at *off, or NULL. */
static char *
name_take(const unsigned char *p, size_t n, size_t *off)
{
	unsigned char wire[DNS_NAME];
	char text[PL_DNS_TEXT];
	size_t len;

	if (name_read(p, n, off, wire) == 0)
		return NULL;
	len = name_text(wire, text);
	return pl_memdup(text, len + 1);
}

/* ---- questions ------------------------------------------------------- */

/* Turns the case of letters by the bits given, one a position.  Lengths of
 * labels stay below 64, so they are never taken for letters. */
static void
name_shuffle(unsigned char *name, size_t n, const unsigned char bits[32])
{
	size_t i;

	for (i = 0; i < n; i++)
		if (((name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z') &&
		    (bits[i / 8] >> (i % 8) & 1))
			name[i] ^= 0x20;
}

size_t
pl_dns_query(unsigned char *out, size_t size, const char *name,
    unsigned type, unsigned flags)
{
	unsigned char random[2 + 32];
	size_t n, at;
	unsigned bits = 0;

	if (size < 512)
		return 0;
	n = name_pack(out + DNS_HEAD, size - DNS_HEAD, name);
	if (n == 0)
		return 0;
	pl_random(random, flags & PL_DNS_0X20 ? sizeof(random) : 2);
	if (flags & PL_DNS_0X20)
		name_shuffle(out + DNS_HEAD, n, random + 2);
	if (flags & PL_DNS_RD)
		bits |= 0x0100;
	if (flags & PL_DNS_CD)
		bits |= 0x0010;
	out[0] = random[0];
	out[1] = random[1];
	put16(out + 2, bits);
	put16(out + 4, 1);
	put32(out + 6, 0);
	put16(out + 10, flags & PL_DNS_NOEDNS ? 0 : 1);
	at = DNS_HEAD + n;
	put16(out + at, type);
	put16(out + at + 2, DNS_IN);
	at += 4;
	if (flags & PL_DNS_NOEDNS)
		return at;
	out[at++] = 0;
	put16(out + at, DNS_OPT);
	put16(out + at + 2, PL_DNS_UDP);
	put32(out + at + 4, flags & PL_DNS_DO ? 0x8000 : 0);
	put16(out + at + 8, 0);
	return at + 10;
}

bool
pl_dns_matches(const unsigned char *query, size_t qlen,
    const unsigned char *answer, size_t alen)
{
	size_t end = DNS_HEAD;

	if (qlen < DNS_HEAD || alen < DNS_HEAD)
		return false;
	if (answer[0] != query[0] || answer[1] != query[1] ||
	    !(answer[2] & 0x80) || ((answer[2] ^ query[2]) & 0x78) != 0)
		return false;
	/* Only a refused UPDATE may come back without its zone. */
	if (get16(answer + 4) == 0)
		return (query[2] >> 3 & 15) == DNS_UPDATE &&
		    (answer[3] & 15) != 0;
	if (get16(answer + 4) != 1 || !name_skip(query, qlen, &end) ||
	    qlen - end < 4)
		return false;
	end += 4;
	return alen >= end &&
	    memcmp(query + DNS_HEAD, answer + DNS_HEAD, end - DNS_HEAD) == 0;
}

/* ---- answers --------------------------------------------------------- */

/* A record's fixed part; data lies at p[at], len octets that are there. */
struct dns_head {
	unsigned type, class;
	uint32_t ttl;
	size_t at, len;
};

/* Reads it at *off, which stands behind the owner, and moves behind the record. */
static bool
head_read(const unsigned char *p, size_t n, size_t *off, struct dns_head *h)
{
	if (n - *off < 10)
		return false;
	h->type = get16(p + *off);
	h->class = get16(p + *off + 2);
	h->ttl = get32(p + *off + 4);
	h->len = get16(p + *off + 8);
	h->at = *off + 10;
	if (n - h->at < h->len)
		return false;
	*off = h->at + h->len;
	return true;
}

/* All strings joined, and the rdata itself behind them. */
static bool
rr_txt(struct pl_dns_rr *rr, const unsigned char *d, size_t n)
{
	size_t i, len = 0;

	for (i = 0; i < n; i += 1 + (size_t)d[i])
		if (n - i < 1 + (size_t)d[i])
			return false;
	rr->data = pl_alloc(2 * n + 1);
	for (i = 0; i < n; i += 1 + (size_t)d[i]) {
		memcpy(rr->data + len, d + i + 1, d[i]);
		len += d[i];
	}
	rr->len = len;
	if (n > 0)
		memcpy(rr->data + len, d, n);
	rr->raw = rr->data + len;
	rr->rawlen = n;
	return true;
}

static bool
rr_target(struct pl_dns_rr *rr, const unsigned char *p,
    const struct dns_head *h)
{
	size_t off = h->at;

	rr->target = name_take(p, h->at + h->len, &off);
	return rr->target != NULL && off == h->at + h->len;
}

static bool
rr_soa(struct pl_dns_rr *rr, const unsigned char *p,
    const struct dns_head *h)
{
	unsigned char rname[DNS_NAME];
	size_t off = h->at, end = h->at + h->len;

	rr->target = name_take(p, end, &off);
	if (rr->target == NULL || name_read(p, end, &off, rname) == 0 ||
	    end - off != 20)
		return false;
	rr->serial = get32(p + off);
	rr->minimum = get32(p + off + 16);
	return true;
}

static bool
rr_caa(struct pl_dns_rr *rr, const unsigned char *d, size_t n)
{
	size_t i, len;

	if (n < 2 || d[1] == 0 || n - 2 < (len = d[1]))
		return false;
	rr->flags = d[0];
	rr->tag = pl_alloc(len + 1);
	for (i = 0; i < len; i++) {
		unsigned char c = lower(d[2 + i]);

		/* RFC 8659 section 4.1: letters and digits only. */
		rr->tag[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ?
		    (char)c : '?';
	}
	rr->len = n - 2 - len;
	rr->data = pl_memdup(d + 2 + len, rr->len);
	return true;
}

static bool
rr_address(struct pl_dns_rr *rr, int family, const unsigned char *d)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family, d, text, sizeof(text)) == NULL)
		return false;
	rr->target = pl_strdup(text);
	return true;
}

static bool
rr_data(struct pl_dns_rr *rr, const unsigned char *p,
    const struct dns_head *h)
{
	const unsigned char *d = p + h->at;

	switch (h->type) {
	case PL_DNS_TXT:
		return rr_txt(rr, d, h->len);
	case PL_DNS_CNAME:
	case PL_DNS_DNAME:
	case PL_DNS_NS:
		return rr_target(rr, p, h);
	case PL_DNS_SOA:
		return rr_soa(rr, p, h);
	case PL_DNS_CAA:
		return rr_caa(rr, d, h->len);
	case PL_DNS_A:
		return h->len == 4 && rr_address(rr, AF_INET, d);
	case PL_DNS_AAAA:
		return h->len == 16 && rr_address(rr, AF_INET6, d);
	case PL_DNS_RRSIG:
		if (h->len < 18)
			return false;
		rr->covered = (uint16_t)get16(d);
		rr->expiration = get32(d + 8);
		break;
	default:
		break;
	}
	rr->len = h->len;
	rr->data = pl_memdup(d, h->len);
	return true;
}

static void
rr_clear(struct pl_dns_rr *rr)
{
	free(rr->owner);
	free(rr->target);
	free(rr->data);
	free(rr->tag);
}

void
pl_dns_msg_clear(struct pl_dns_msg *m)
{
	size_t i;

	for (i = 0; i < m->nrr; i++)
		rr_clear(&m->rr[i]);
	free(m->rr);
	*m = (struct pl_dns_msg){ .rr = NULL };
}

/* One record of a section; what is not of class IN is passed over. */
static bool
msg_record(struct pl_dns_msg *m, const unsigned char *p, size_t n,
    size_t *off, uint8_t section)
{
	struct pl_dns_rr *rr = &m->rr[m->nrr];
	struct dns_head h;
	size_t owner = *off;

	if (!name_skip(p, n, off) || !head_read(p, n, off, &h))
		return false;
	if (h.type == DNS_OPT && section == 3) {
		m->rcode |= h.ttl >> 24 << 4;
		return true;
	}
	if (h.class != DNS_IN)
		return true;
	*rr = (struct pl_dns_rr){ .type = (uint16_t)h.type,
		.section = section, .ttl = h.ttl };
	m->nrr++;
	rr->owner = name_take(p, n, &owner);
	return rr->owner != NULL && rr_data(rr, p, &h);
}

static bool
msg_records(struct pl_dns_msg *m, const unsigned char *p, size_t n,
    size_t off)
{
	size_t left = DNS_RRS, i, count;
	uint8_t section;

	for (section = 1; section <= 3; section++) {
		count = get16(p + 4 + 2 * section);
		for (i = 0; i < count && left > 0; i++, left--)
			if (!msg_record(m, p, n, &off, section))
				return false;
	}
	return true;
}

enum pl_code
pl_dns_parse(struct pl_dns_msg *m, const unsigned char *p, size_t n,
    struct pl_err *err)
{
	size_t off = DNS_HEAD, i, count;

	*m = (struct pl_dns_msg){ .size = n };
	if (n < DNS_HEAD)
		return pl_fail(err, PL_EPROTO, "answer: %zu octets only", n);
	m->id = (uint16_t)get16(p);
	m->aa = (p[2] & 0x04) != 0;
	m->tc = (p[2] & 0x02) != 0;
	m->ra = (p[3] & 0x80) != 0;
	m->ad = (p[3] & 0x20) != 0;
	m->rcode = p[3] & 15;
	for (i = get16(p + 4); i > 0; i--) {
		if (!name_skip(p, n, &off) || n - off < 4)
			return pl_fail(err, PL_EPROTO,
			    "answer: its question is malformed");
		off += 4;
	}
	count = (size_t)get16(p + 6) + get16(p + 8) + get16(p + 10);
	if (count > (n - off) / 11)	/* the least a record takes */
		count = (n - off) / 11;
	if (count > DNS_RRS)
		count = DNS_RRS;
	m->rr = pl_array(count + 1, sizeof(*m->rr));
	if (!msg_records(m, p, n, off)) {
		count = m->nrr;
		pl_dns_msg_clear(m);
		return pl_fail(err, PL_EPROTO,
		    "answer: record %zu is malformed", count);
	}
	return PL_OK;
}

/* ---- TSIG ------------------------------------------------------------ */

struct pl_tsig {
	unsigned char name[DNS_NAME];	/* lower case */
	size_t nlen;
	unsigned char alg[DNS_NAME];
	size_t alen;
	struct pl_hmac *hmac;
};

static const char *const tsig_algorithms[] = { "hmac-sha256", "hmac-sha512",
	"hmac-sha384", "hmac-sha224", "hmac-sha1", NULL };

void
pl_tsig_free(struct pl_tsig *t)
{
	if (t == NULL)
		return;
	pl_hmac_free(t->hmac);
	free(t);
}

static enum pl_code
tsig_key(struct pl_tsig *t, const char *digest,
    const struct pl_secret *base64, struct pl_err *err)
{
	enum pl_code code;
	struct pl_buf key;

	pl_buf_init(&key, PL_LIM_SECRET);
	code = pl_base64_decode(&key, pl_secret_expose(base64),
	    pl_secret_len(base64), NULL);
	if (code != PL_OK || key.failed || key.len == 0)
		code = pl_fail(err, PL_EINVAL, "key secret: not in base64");
	else
		code = pl_hmac_new(&t->hmac, digest, key.data, key.len, err);
	pl_buf_clear(&key);
	return code;
}

enum pl_code
pl_tsig_new(struct pl_tsig **out, const char *name, const char *algorithm,
    const struct pl_secret *base64, struct pl_err *err)
{
	enum pl_code code;
	struct pl_tsig *t;
	size_t i;

	*out = NULL;
	if (!pl_str_in(algorithm, tsig_algorithms))
		return pl_fail(err, PL_EINVAL, "key algorithm %s: not one of "
		    "hmac-sha256, -sha1, -sha224, -sha384, -sha512",
		    algorithm);
	t = pl_alloc(sizeof(*t));
	t->nlen = name_pack(t->name, sizeof(t->name), name);
	t->alen = name_pack(t->alg, sizeof(t->alg), algorithm);
	for (i = 0; i < t->nlen; i++)
		t->name[i] = lower(t->name[i]);
	if (t->nlen == 0)
		code = pl_fail(err, PL_EINVAL, "key name %s: not a name",
		    name);
	else
		code = tsig_key(t, algorithm + strlen("hmac-"), base64, err);
	if (code != PL_OK) {
		pl_tsig_free(t);
		return code;
	}
	*out = t;
	return PL_OK;
}

/* What is signed beside the message, RFC 8945 section 4.3.3.  Gives its
 * length; fields are time, fudge, then error and other data. */
static size_t
tsig_variables(const struct pl_tsig *t, int64_t when, unsigned fudge,
    unsigned error, const unsigned char *other, size_t olen,
    unsigned char out[2 * DNS_NAME + 32])
{
	size_t n = 0;

	memcpy(out, t->name, t->nlen);
	n += t->nlen;
	put16(out + n, DNS_CLASS_ANY);
	put32(out + n + 2, 0);
	n += 6;
	memcpy(out + n, t->alg, t->alen);
	n += t->alen;
	put48(out + n, when);
	put16(out + n + 6, fudge);
	put16(out + n + 8, error);
	put16(out + n + 10, (unsigned)olen);
	n += 12;
	if (olen > 0)
		memcpy(out + n, other, olen);
	return n + olen;
}

size_t
pl_tsig_sign(const struct pl_tsig *t, unsigned char *msg, size_t n,
    size_t size, int64_t now, struct pl_tsig_mac *mac)
{
	unsigned char vars[2 * DNS_NAME + 32];
	struct pl_part parts[2] = { { msg, n }, { vars, 0 } };
	unsigned char *p = msg + n;
	size_t len = pl_hmac_size(t->hmac);
	size_t rdlen = t->alen + 16 + len;

	mac->len = 0;
	if (size < n || size - n < t->nlen + 10 + rdlen || n < DNS_HEAD)
		return 0;
	parts[1].n = tsig_variables(t, now, TSIG_FUDGE, 0, NULL, 0, vars);
	pl_hmac_sum(t->hmac, mac->mac, parts, 2);
	mac->len = len;

	memcpy(p, t->name, t->nlen);
	p += t->nlen;
	put16(p, DNS_TSIG);
	put16(p + 2, DNS_CLASS_ANY);
	put32(p + 4, 0);
	put16(p + 8, (unsigned)rdlen);
	p += 10;
	memcpy(p, t->alg, t->alen);
	p += t->alen;
	put48(p, now);
	put16(p + 6, TSIG_FUDGE);
	put16(p + 8, (unsigned)len);
	memcpy(p + 10, mac->mac, len);
	p += 10 + len;
	memcpy(p, msg, 2);
	put16(p + 2, 0);
	put16(p + 4, 0);
	put16(msg + 10, get16(msg + 10) + 1);
	return n + t->nlen + 10 + rdlen;
}

/* A TSIG record found in a message; pointers into the message. */
struct tsig_rr {
	size_t start;			/* where it begins */
	unsigned char name[DNS_NAME], alg[DNS_NAME];
	size_t nlen, alen;
	int64_t when;
	unsigned fudge, id, error;
	const unsigned char *mac, *other;
	size_t maclen, olen;
};

/* Takes the rdata apart. */
static bool
tsig_rdata(const unsigned char *p, const struct dns_head *h,
    struct tsig_rr *r)
{
	size_t off = h->at, end = h->at + h->len;

	r->alen = name_read(p, end, &off, r->alg);
	if (r->alen == 0 || end - off < 10)
		return false;
	r->when = get48(p + off);
	r->fudge = get16(p + off + 6);
	r->maclen = get16(p + off + 8);
	r->mac = p + off + 10;
	off += 10;
	if (end - off < r->maclen || end - off - r->maclen < 6)
		return false;
	off += r->maclen;
	r->id = get16(p + off);
	r->error = get16(p + off + 2);
	r->olen = get16(p + off + 4);
	r->other = p + off + 6;
	return end - off - 6 == r->olen;
}

/* Finds it: the last record of the message and of the additional section. */
static bool
tsig_find(const unsigned char *p, size_t n, struct tsig_rr *r)
{
	struct dns_head h = { .type = 0 };
	size_t off = DNS_HEAD, i, count;

	if (n < DNS_HEAD || get16(p + 10) == 0)
		return false;
	for (i = get16(p + 4); i > 0; i--) {
		if (!name_skip(p, n, &off) || n - off < 4)
			return false;
		off += 4;
	}
	count = (size_t)get16(p + 6) + get16(p + 8) + get16(p + 10);
	for (i = 0; i < count; i++) {
		r->start = off;
		if (!name_skip(p, n, &off) || !head_read(p, n, &off, &h))
			return false;
	}
	off = r->start;
	r->nlen = name_read(p, n, &off, r->name);
	return h.type == DNS_TSIG && h.class == DNS_CLASS_ANY && h.ttl == 0 &&
	    h.at + h.len == n && r->nlen > 0 && tsig_rdata(p, &h, r);
}

static bool
tsig_mac_fits(const struct pl_tsig *t, const unsigned char *msg,
    const struct tsig_rr *r, const struct pl_tsig_mac *request)
{
	unsigned char vars[2 * DNS_NAME + 32], head[DNS_HEAD], len[2];
	unsigned char sum[64];
	struct pl_part parts[5] = { { len, 2 },
		{ request->mac, request->len }, { head, sizeof(head) },
		{ msg + DNS_HEAD, r->start - DNS_HEAD }, { vars, 0 } };

	if (r->maclen != pl_hmac_size(t->hmac) || r->olen > 16)
		return false;
	put16(len, (unsigned)request->len);
	memcpy(head, msg, sizeof(head));
	put16(head, r->id);
	put16(head + 10, get16(msg + 10) - 1);
	parts[4].n = tsig_variables(t, r->when, r->fudge, r->error, r->other,
	    r->olen, vars);
	pl_hmac_sum(t->hmac, sum, parts, PL_NELEM(parts));
	return pl_same_octets(sum, r->mac, r->maclen);
}

/* An answer without TSIG can at most claim a failure. */
static enum pl_code
tsig_none(const unsigned char *msg, size_t n, unsigned *error,
    struct pl_err *err)
{
	unsigned rcode = n < DNS_HEAD ? 0 : msg[3] & 15;

	if (rcode == PL_DNS_NOERROR || rcode == PL_DNS_NXDOMAIN)
		return pl_fail(err, PL_EPROTO, "answer: it is not signed");
	*error = rcode;
	return pl_fail(err, PL_EAUTH, "answer: it is not signed, and says %s",
	    pl_dns_rcode_name(rcode));
}

enum pl_code
pl_tsig_check(const struct pl_tsig *t, const unsigned char *msg, size_t n,
    const struct pl_tsig_mac *request, int64_t now, unsigned *error,
    int64_t *skew, struct pl_err *err)
{
	struct tsig_rr r = { .start = 0 };
	int64_t off;

	*error = 0;
	*skew = 0;
	if (!tsig_find(msg, n, &r))
		return tsig_none(msg, n, error, err);
	if (r.nlen != t->nlen || memcmp(r.name, t->name, t->nlen) != 0)
		return pl_fail(err, PL_EPROTO,
		    "answer: it is signed with another key");
	if (r.alen != t->alen || memcmp(r.alg, t->alg, t->alen) != 0)
		return pl_fail(err, PL_EPROTO,
		    "answer: it is signed with another algorithm");
	if (r.maclen == 0 && r.error != 0) {
		*error = r.error;
		return pl_fail(err, PL_EAUTH, "answer: TSIG error %s",
		    pl_dns_rcode_name(r.error));
	}
	if (!tsig_mac_fits(t, msg, &r, request))
		return pl_fail(err, PL_EPROTO,
		    "answer: its signature is wrong");
	if (r.error != 0 && r.error != PL_DNS_BADTIME)
		return pl_fail(err, PL_EPROTO, "answer: TSIG error %u", r.error);
	off = r.when > now ? r.when - now : now - r.when;
	if (off > TSIG_FUDGE || off > (int64_t)r.fudge)
		return pl_fail(err, PL_EPROTO,
		    "answer: it was signed %lld s ago", (long long)(now - r.when));
	*error = r.error;
	if (r.error == PL_DNS_BADTIME && r.olen == 6)
		*skew = get48(r.other) - now;
	return PL_OK;
}
