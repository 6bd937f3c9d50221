/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * UPDATE messages (RFC 2136), encoded with ldns.  The rest of the DNS is in
 * dns-msg.c (octets) and dns-peer.c (sockets), neither with a library.
 *
 * Which part does what was settled by measuring ldns 1.8.3:
 *
 *  - Encoding a record takes it 0.3 us, and it knows how names are written:
 *    that is used here.
 *  - Its whole packets are not: it needs 2.5 ms to compress and 3.5 ms to sign
 *    700 records.
 *  - TSIG is done by hand over crypto.c's HMAC: ldns has no hmac-sha224, misspells
 *    hmac-sha384 and so cannot use it, and never compares the time signed.
 *  - Answers are parsed by hand: ldns_wire2pkt is quick (0.5 us for a
 *    TXT answer), but it leaks on a message cut short, follows 65,535
 *    compression pointers a name, and these bytes are a stranger's.  A
 *    unit test holds our parser against ldns for sound messages.
 */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#include <ldns/ldns.h>

#define DNS_HEAD 12
#define DNS_NAME 255		/* octets of a name on the wire */
#define DNS_NONE 254
#define DNS_CLASS_ANY 255
#define DNS_UPDATE 5		/* opcode */
#define TSIG_ROOM 400		/* more than any TSIG record of ours takes */

static void
put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8 & 0xff);
	p[1] = (unsigned char)(v & 0xff);
}

struct pl_update {
	unsigned char zone[DNS_NAME];
	size_t zlen;
	struct pl_buf pre, upd;		/* records, encoded */
	unsigned npre, nupd;
	ldns_buffer *one;		/* the record being encoded */
};

struct pl_update *
pl_update_new(const char *zone)
{
	ldns_rdf *name = ldns_dname_new_frm_str(*zone == '\0' ? "." : zone);
	struct pl_update *u = pl_alloc(sizeof(*u));

	if (name != NULL && ldns_rdf_size(name) <= sizeof(u->zone)) {
		u->zlen = ldns_rdf_size(name);
		memcpy(u->zone, ldns_rdf_data(name), u->zlen);
	}
	ldns_rdf_deep_free(name);
	pl_buf_init(&u->pre, PL_DNS_MSG);
	pl_buf_init(&u->upd, PL_DNS_MSG);
	u->one = ldns_buffer_new(1024);
	if (u->one == NULL)
		abort();
	return u;
}

void
pl_update_free(struct pl_update *u)
{
	if (u == NULL)
		return;
	pl_buf_clear(&u->pre);
	pl_buf_clear(&u->upd);
	ldns_buffer_free(u->one);
	free(u);
}

size_t
pl_update_size(const struct pl_update *u)
{
	return DNS_HEAD + u->zlen + 4 + u->pre.len + u->upd.len;
}

/* Rdata from octets, or NULL. */
static ldns_rdf *
update_rdata(ldns_rdf_type type, const void *p, size_t n)
{
	return n > PL_DNS_MSG ? NULL : ldns_rdf_new_frm_data(type, n, p);
}

/* Keeps rdata.  Encodes one record behind `to`, if it fits. */
static bool
update_record(struct pl_update *u, struct pl_buf *to, const char *name,
    unsigned type, unsigned class, uint32_t ttl, ldns_rdf *rdata)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(*name == '\0' ? "." : name);
	ldns_rr *rr = ldns_rr_new();
	bool fits = false;

	if (rr == NULL)
		abort();
	if (owner != NULL) {
		ldns_rr_set_owner(rr, owner);
		ldns_rr_set_type(rr, (ldns_rr_type)type);
		ldns_rr_set_class(rr, (ldns_rr_class)class);
		ldns_rr_set_ttl(rr, ttl);
		if (rdata != NULL)
			ldns_rr_push_rdf(rr, rdata);
		ldns_buffer_clear(u->one);
		fits = ldns_rr2buffer_wire(u->one, rr,
		    LDNS_SECTION_ANSWER) == LDNS_STATUS_OK &&
		    pl_update_size(u) + ldns_buffer_position(u->one) +
		    TSIG_ROOM <= PL_DNS_MSG;
	}
	if (fits)
		pl_buf_add(to, ldns_buffer_begin(u->one),
		    ldns_buffer_position(u->one));
	if (owner == NULL)
		ldns_rdf_deep_free(rdata);
	ldns_rr_free(rr);
	return fits;
}

/* The rdata of a TXT (octets, parted at 255) or a name (text). */
static ldns_rdf *
update_value(unsigned type, const void *data, size_t n)
{
	const char *p = data;
	struct pl_buf b;
	ldns_rdf *rdf;
	char *text;
	size_t part;

	if (n > PL_DNS_MSG)
		return NULL;
	if (type != PL_DNS_TXT) {
		text = pl_strndup(p, n);
		rdf = ldns_dname_new_frm_str(text);
		free(text);
		return rdf;
	}
	pl_buf_init(&b, 2 * PL_DNS_MSG);
	do {
		part = n > 255 ? 255 : n;
		pl_buf_addc(&b, (char)part);
		pl_buf_add(&b, p, part);
		p += part;
		n -= part;
	} while (n > 0);
	rdf = update_rdata(LDNS_RDF_TYPE_STR, b.data, b.len);
	pl_buf_clear(&b);
	return rdf;
}

static bool
update_prerequisite(struct pl_update *u, const char *name, unsigned type,
    unsigned class, ldns_rdf *rdata)
{
	bool ok = update_record(u, &u->pre, name, type, class, 0, rdata);

	u->npre += ok;
	return ok;
}

bool
pl_update_require_unused(struct pl_update *u, const char *name)
{
	return update_prerequisite(u, name, PL_DNS_ANY, DNS_NONE, NULL);
}

bool
pl_update_require_no_set(struct pl_update *u, const char *name,
    unsigned type)
{
	return update_prerequisite(u, name, type, DNS_NONE, NULL);
}

bool
pl_update_require_any(struct pl_update *u, const char *name, unsigned type)
{
	return update_prerequisite(u, name, type, DNS_CLASS_ANY, NULL);
}

bool
pl_update_require_set(struct pl_update *u, const char *name, unsigned type,
    const void *data, size_t n)
{
	ldns_rdf *rdata = update_value(type, data, n);

	return rdata != NULL &&
	    update_prerequisite(u, name, type, LDNS_RR_CLASS_IN, rdata);
}

bool
pl_update_require_raw(struct pl_update *u, const char *name, unsigned type,
    const void *rdata, size_t n)
{
	ldns_rdf *rdf = update_rdata(LDNS_RDF_TYPE_STR, rdata, n);

	return rdf != NULL && update_prerequisite(u, name, type, LDNS_RR_CLASS_IN, rdf);
}

bool
pl_update_add(struct pl_update *u, const char *name, unsigned type,
    uint32_t ttl, const void *data, size_t n)
{
	ldns_rdf *rdata = update_value(type, data, n);
	bool ok = rdata != NULL && update_record(u, &u->upd, name, type,
	    LDNS_RR_CLASS_IN, ttl, rdata);

	u->nupd += ok;
	return ok;
}

bool
pl_update_del(struct pl_update *u, const char *name, unsigned type,
    const void *data, size_t n)
{
	ldns_rdf *rdata = update_value(type, data, n);
	bool ok = rdata != NULL && update_record(u, &u->upd, name, type,
	    DNS_NONE, 0, rdata);

	u->nupd += ok;
	return ok;
}

size_t
pl_update_pack(const struct pl_update *u, unsigned char *out, size_t size)
{
	unsigned char *p = out + DNS_HEAD;

	if (u->zlen == 0 || size < pl_update_size(u))
		return 0;
	pl_random(out, 2);
	put16(out + 2, DNS_UPDATE << 11);
	put16(out + 4, 1);
	put16(out + 6, u->npre);
	put16(out + 8, u->nupd);
	put16(out + 10, 0);
	memcpy(p, u->zone, u->zlen);
	p += u->zlen;
	put16(p, PL_DNS_SOA);
	put16(p + 2, LDNS_RR_CLASS_IN);
	p += 4;
	memcpy(p, u->pre.data, u->pre.len);
	memcpy(p + u->pre.len, u->upd.data, u->upd.len);
	return pl_update_size(u);
}
