/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The answering side of DNS by hand: a reader of questions that trusts nothing
 * in them, and answers from the table of dns-zone.c.
 */
#include "dns-serve.h"

#include <string.h>

#define CHAIN_MOST 8		/* aliases followed in an answer */
#define EXTRA_MOST 8		/* records of a question behind its name */
#define OPT 41
#define TSIG 250
#define HINFO 13

/* ---- questions ---------------------------------------------------------- */

struct ask {
	struct wire_name name;
	unsigned type, class, flags;
	size_t end;		/* octets of header and question */
	bool opt;
	unsigned version, size;
	bool dnssec_ok;
	bool tsig;
};

/* Skips a name that may be compressed; 0: malformed. */
static size_t
skip_name(const unsigned char *q, size_t n, size_t at)
{
	while (at < n) {
		if (q[at] == 0)
			return at + 1;
		if (q[at] >= 0xc0)
			return at + 2 <= n ? at + 2 : 0;
		if (q[at] > 63)
			return 0;
		at += q[at] + 1u;
	}
	return 0;
}

/* The additional section: OPT at most once, TSIG at the end. */
static bool
ask_extra(struct ask *a, const unsigned char *q, size_t n, size_t at,
    unsigned count)
{
	size_t owner, len;
	unsigned type;

	if (count > EXTRA_MOST)
		return false;
	while (count-- > 0) {
		owner = at;
		at = skip_name(q, n, at);
		if (at == 0 || n - at < 10)
			return false;
		type = get16(q + at);
		len = get16(q + at + 8);
		if (n - at - 10 < len)
			return false;
		if (type == OPT) {
			if (a->opt || q[owner] != 0)
				return false;
			a->opt = true;
			a->size = get16(q + at + 2);
			a->version = q[at + 5];
			a->dnssec_ok = (q[at + 6] & 0x80) != 0;
		}
		a->tsig = a->tsig || type == TSIG;
		at += 10 + len;
	}
	return at == n;
}

/* Reads the question; gives an rcode. */
static unsigned
ask_read(struct ask *a, const unsigned char *q, size_t n)
{
	size_t len;

	a->flags = get16(q + 2);
	a->end = HEADER;
	a->opt = a->tsig = a->dnssec_ok = false;
	if (((a->flags >> 11) & 15) != 0)
		return PL_DNS_NOTIMP;
	if (get16(q + 4) != 1 || get16(q + 6) != 0 || get16(q + 8) != 0)
		return PL_DNS_FORMERR;
	len = pl_wire_name(&a->name, q + HEADER, n - HEADER);
	if (len == 0 || n - HEADER - len < 4)
		return PL_DNS_FORMERR;
	a->type = get16(q + HEADER + len);
	a->class = get16(q + HEADER + len + 2);
	if (!ask_extra(a, q, n, HEADER + len + 4, get16(q + 10)))
		return PL_DNS_FORMERR;
	a->end = HEADER + len + 4;
	return a->tsig ? PL_DNS_NOTAUTH : PL_DNS_NOERROR;
}

/* ---- answers ------------------------------------------------------------ */

struct reply {
	unsigned char *out;
	size_t len, most;
	unsigned counts[3];	/* answer, authority, additional */
	bool full;
};

static void
put_rr(struct reply *r, int section, const unsigned char *wire, size_t len,
    size_t owner)
{
	if (r->full || r->len + len > r->most) {
		r->full = true;
		return;
	}
	memcpy(r->out + r->len, wire, len);
	put16(r->out + r->len, 0xc000u | (unsigned)owner);
	r->len += len;
	r->counts[section]++;
}

static unsigned
put_set(struct reply *r, const struct node *d, unsigned type, size_t owner)
{
	unsigned n = 0;

	for (const struct rr *x = d->rr; x != NULL; x = x->next)
		if (rr_type(x) == type) {
			put_rr(r, 0, x->wire, x->len, owner);
			n++;
		}
	return n;
}

/* RFC 8482 section 4.2: something small instead of everything. */
static void
put_any(struct reply *r, size_t owner)
{
	static const char data[] = "\007RFC8482";
	unsigned char wire[RR_HEAD + sizeof(data)];

	pl_rr_head(wire, HINFO, PL_SERVED_FIXED, sizeof(data));
	memcpy(wire + RR_HEAD, data, sizeof(data));
	put_rr(r, 0, wire, sizeof(wire), owner);
}

/* An additional record with its owner in full; left out where it has no
 * room. */
static void
put_owned(struct reply *r, const struct wire_name *n, const struct rr *x)
{
	size_t rest = x->len - 2u;

	if (r->full || r->len + n->len + rest > r->most)
		return;
	memcpy(r->out + r->len, n->wire, n->len);
	memcpy(r->out + r->len + n->len, x->wire + 2, rest);
	r->len += n->len + rest;
	r->counts[2]++;
}

/* The addresses of a zone's servers that we have, beside its NS set. */
static void
put_glue(const struct pl_served *s, struct reply *r, const struct node *apex)
{
	const struct node *d;
	struct wire_name n;
	size_t label;
	const struct rr *x, *g;

	for (x = apex->rr; x != NULL; x = x->next) {
		if (rr_type(x) != PL_DNS_NS ||
		    pl_wire_name(&n, x->wire + RR_HEAD, x->len - RR_HEAD) == 0)
			continue;
		pl_wire_hash(&n, s->seed);
		d = pl_node_closest(s, &n, &label);
		if (d == NULL || label > 0)
			continue;
		for (g = d->rr; g != NULL; g = g->next)
			if (rr_type(g) == PL_DNS_A ||
			    rr_type(g) == PL_DNS_AAAA)
				put_owned(r, &n, g);
	}
}

/* "No": the SOA of the zone, whose name is the end of the question's. */
static void
put_no(struct reply *r, const struct zone *z, const struct ask *a)
{
	size_t owner = HEADER + a->name.len - z->apex->len;

	put_rr(r, 1, z->soa, z->soa_len, owner);
}

static void
put_soa(struct reply *r, const struct zone *z, size_t owner)
{
	size_t at = r->len;

	put_rr(r, 0, z->soa, z->soa_len, owner);
	if (!r->full)
		put32(r->out + at + 6, PL_SERVED_FIXED);
}

/*
 * Answers from a zone; gives the rcode.  An alias is followed within its
 * zone; the owner of what it leads to is the data of the alias's record.
 */
static unsigned
answer_zone(const struct pl_served *s, struct reply *r, const struct ask *a,
    const struct node *d, const struct zone *z)
{
	const struct node *seen[CHAIN_MOST];
	size_t owner = HEADER, label, n = 0;
	const struct rr *alias;
	struct wire_name next;

	for (;;) {
		if (d == NULL) {
			put_no(r, z, a);
			return PL_DNS_NXDOMAIN;
		}
		alias = pl_rr_find(d, PL_DNS_CNAME);
		if (alias == NULL || a->type == PL_DNS_CNAME ||
		    a->type == PL_DNS_ANY)
			break;
		for (size_t i = 0; i < n; i++)
			if (seen[i] == d)
				return PL_DNS_NOERROR;
		put_rr(r, 0, alias->wire, alias->len, owner);
		if (r->full || n == CHAIN_MOST)
			return PL_DNS_NOERROR;
		seen[n++] = d;
		owner = r->len - (alias->len - RR_HEAD);
		pl_wire_name(&next, alias->wire + RR_HEAD,
		    alias->len - RR_HEAD);
		pl_wire_hash(&next, s->seed);
		d = pl_node_closest(s, &next, &label);
		if (d == NULL || d->zone != z || owner > 0x3fff)
			return PL_DNS_NOERROR;
		if (label > 0)
			d = NULL;
	}
	if (a->type == PL_DNS_SOA && d == z->apex)
		put_soa(r, z, owner);
	else if (a->type == PL_DNS_ANY && alias != NULL)
		put_rr(r, 0, alias->wire, alias->len, owner);
	else if (a->type == PL_DNS_ANY && (d->rr != NULL || d == z->apex))
		put_any(r, owner);
	else if (put_set(r, d, a->type, owner) == 0)
		put_no(r, z, a);
	else if (a->type == PL_DNS_NS)
		put_glue(s, r, d);
	return PL_DNS_NOERROR;
}

/* Types that are not data (RFC 6895): transfers, mail and meta. */
static bool
meta_type(unsigned type)
{
	return type == 0 || type == OPT || (type >= 128 && type < 255);
}

static unsigned
answer_data(const struct pl_served *s, struct reply *r, struct ask *a,
    bool *aa)
{
	const struct node *d;
	size_t label;

	if (a->class != CLASS_IN || meta_type(a->type))
		return PL_DNS_REFUSED;
	pl_wire_hash(&a->name, s->seed);
	d = pl_node_closest(s, &a->name, &label);
	if (d == NULL)
		return PL_DNS_REFUSED;
	*aa = true;
	return answer_zone(s, r, a, label == 0 ? d : NULL, d->zone);
}

static void
put_opt(struct reply *r, const struct ask *a, unsigned rcode)
{
	unsigned char *p = r->out + r->len;

	*p = 0;
	put16(p + 1, OPT);
	put16(p + 3, PL_DNS_UDP);
	p[5] = (unsigned char)(rcode >> 4);
	p[6] = 0;
	put16(p + 7, a->dnssec_ok ? 0x8000 : 0);
	put16(p + 9, 0);
	r->len += 11;
	r->counts[2]++;
}

static size_t
room(const struct ask *a, bool tcp)
{
	size_t most = 512;

	if (tcp)
		most = PL_DNS_MSG;
	else if (a->opt && a->size > 512)
		most = a->size < PL_DNS_UDP ? a->size : PL_DNS_UDP;
	return a->opt ? most - 11 : most;
}

size_t
pl_served_answer(const struct pl_served *s, const unsigned char *q, size_t n,
    unsigned char *out, bool tcp)
{
	struct reply r = { .out = out, .len = HEADER };
	struct ask a = { .end = HEADER };
	unsigned rcode, flags;
	bool aa = false;

	if (n < HEADER || (q[2] & 0x80) != 0)
		return 0;
	rcode = ask_read(&a, q, n);
	if (a.opt && rcode == PL_DNS_NOERROR && a.version != 0)
		rcode = 16;	/* BADVERS */
	r.most = room(&a, tcp);
	memcpy(out, q, a.end);
	r.len = a.end;
	if (rcode == PL_DNS_NOERROR)
		rcode = answer_data(s, &r, &a, &aa);
	flags = 0x8000u | (a.flags & 0x7900u);	/* QR, opcode, RD */
	if (aa)
		flags |= 0x0400;
	if (r.full) {
		flags |= 0x0200;
		r.len = a.end;
		memset(r.counts, 0, sizeof(r.counts));
	}
	if (a.opt)
		put_opt(&r, &a, rcode);
	put16(out + 2, flags | (rcode & 15));
	put16(out + 4, a.end > HEADER);
	for (size_t i = 0; i < 3; i++)
		put16(out + 6 + 2 * i, r.counts[i]);
	return r.len;
}

size_t
pl_served_cut(unsigned char *answer, size_t n)
{
	size_t end = HEADER;

	if (n < HEADER)
		return n;
	if (get16(answer + 4) == 1) {
		end = skip_name(answer, n, HEADER);
		end = end == 0 || n - end < 4 ? HEADER : end + 4;
	}
	put16(answer + 2, (get16(answer + 2) & 0xfff0u) | 0x0200u);
	put16(answer + 4, end > HEADER);
	memset(answer + 6, 0, 6);
	return end;
}
