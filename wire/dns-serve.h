/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to dns-zone.c (what is served) and dns-serve.c (answers). */
#ifndef PL_DNS_SERVE_H
#define PL_DNS_SERVE_H

#include "wire.h"

#define HEADER 12
#define WIRE 255		/* longest name on the wire */
#define LABELS 127
#define CLASS_IN 1

/* A record as it goes out: owner (a pointer), type, class, TTL, length, data.
 * The owner points to the question's name, which it mostly is. */
#define RR_HEAD 12

struct rr {
	unsigned char *wire;
	uint16_t len;
	bool fixed;		/* of the zone itself, not added */
	struct rr *next;
};

struct zone;

struct node {
	struct node *next;	/* in its bucket */
	struct node *parent;
	struct zone *zone;
	struct rr *rr;
	size_t set;		/* octets of all its records */
	uint32_t hash;
	uint32_t below;		/* nodes directly below */
	uint8_t len;
	unsigned char name[];
};

struct zone {
	struct zone *next;
	struct node *apex;
	char *text;
	unsigned char *soa;	/* the SOA record; owner pointer to be set */
	size_t soa_len;
	size_t serial_at;
	uint32_t serial;
};

struct pl_served {
	struct zone *zones;
	struct node **bucket;
	size_t nbuckets, nnodes, count;
	uint32_t seed;
};

/* A name in lower case on the wire, with where its labels begin. */
struct wire_name {
	unsigned char wire[WIRE];
	uint8_t at[LABELS + 1];
	uint32_t hash[LABELS + 1];	/* of the name that begins there */
	size_t len, labels;		/* labels without the root */
};

static inline unsigned
get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static inline void
put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static inline void
put32(unsigned char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline unsigned
rr_type(const struct rr *r)
{
	return get16(r->wire + 2);
}

/* All of a record but its data; the owner is the question's name. */
void pl_rr_head(unsigned char *p, unsigned type, uint32_t ttl, size_t len);
/* The first record of that type, or NULL. */
struct rr *pl_rr_find(const struct node *d, unsigned type);
/* Reads an uncompressed name; gives the octets it takes, 0: malformed. */
size_t pl_wire_name(struct wire_name *n, const unsigned char *p, size_t max);
/* Fills in the hashes. */
void pl_wire_hash(struct wire_name *n, uint32_t seed);
/* The longest name at or above n that exists; *label where it begins. */
struct node *pl_node_closest(const struct pl_served *s,
    const struct wire_name *n, size_t *label);

#endif
