/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Response-rate limit: a bucket of tokens for each network that asks.  Who
 * forges a victim's address gets few answers sent there, and every other of
 * those beyond the limit is an empty truncated one, so that a real resolver
 * in that network comes back by TCP.
 */
#include "responder.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 8192u		/* a power of two */
#define WAYS 4u

struct slot {
	uint32_t tag;
	uint32_t stamp;		/* ms, wraps */
	uint32_t tokens;	/* thousandths */
	uint32_t over;		/* counts what was beyond */
};

struct pl_limit {
	uint32_t seed;
	uint32_t rate;
	struct slot slot[SLOTS];
};

struct pl_limit *
pl_limit_new(unsigned rate)
{
	struct pl_limit *l;

	if (rate == 0)
		return NULL;
	l = pl_alloc(sizeof(*l));
	l->rate = rate;
	pl_random(&l->seed, sizeof(l->seed));
	return l;
}

void
pl_limit_free(struct pl_limit *l)
{
	free(l);
}

static uint32_t
mix(uint32_t h, const unsigned char *p, size_t n)
{
	while (n-- > 0) {
		h ^= *p++;
		h *= 0x9e3779b1u;
		h ^= h >> 15;
	}
	return h | 1;
}

static uint32_t
network(const struct pl_limit *l, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		/* A socket that was handed down may serve both families. */
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			return mix(l->seed, in6.sin6_addr.s6_addr + 12, 3);
		return mix(~l->seed, in6.sin6_addr.s6_addr, 7);
	}
	memcpy(&in, sa, sizeof(in));
	return mix(l->seed, (const unsigned char *)&in.sin_addr, 3);
}

/* Its slot, or the one of its set that has been idle longest. */
static struct slot *
slot_of(struct pl_limit *l, uint32_t tag, uint32_t now)
{
	struct slot *set = &l->slot[(tag >> 3) % (SLOTS / WAYS) * WAYS],
	    *old = set;

	for (struct slot *s = set; s < set + WAYS; s++) {
		if (s->tag == tag)
			return s;
		if (s->tag == 0 || now - s->stamp > now - old->stamp)
			old = s;
		if (old->tag == 0)
			break;
	}
	old->tag = tag;
	old->stamp = now;
	old->tokens = l->rate * 1000;
	old->over = 0;
	return old;
}

enum limit
pl_limit_take(struct pl_limit *l, const struct sockaddr *sa, int64_t now_ms)
{
	uint32_t now = (uint32_t)now_ms, past;
	struct slot *s;

	if (l == NULL)
		return LIMIT_ANSWER;
	s = slot_of(l, network(l, sa), now);
	past = now - s->stamp;
	s->stamp = now;
	if (past >= 1000 || s->tokens + past * l->rate > l->rate * 1000)
		s->tokens = l->rate * 1000;
	else
		s->tokens += past * l->rate;
	if (s->tokens >= 1000) {
		s->tokens -= 1000;
		return LIMIT_ANSWER;
	}
	return ++s->over % 2 == 0 ? LIMIT_CUT : LIMIT_DROP;
}
