/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What the answer of an authoritative server means.  No state, no network. */

#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct judged *j, enum pl_answer a, const char *fmt, ...)
    PL_PRINTF(3, 4);

static void
note(struct judged *j, enum pl_answer a, const char *fmt, ...)
{
	struct pl_buf b;
	va_list ap;

	j->answer = a;
	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	if (b.len >= sizeof(j->note)) {
		memcpy(j->note, b.data, sizeof(j->note) - 4);
		memcpy(j->note + sizeof(j->note) - 4, "...", 4);
	} else {
		memcpy(j->note, b.data, b.len + 1);
	}
	pl_buf_clear(&b);
}

static void
name_copy(char out[PL_DNS_TEXT], const char *name)
{
	size_t n = strlen(name);

	if (n >= PL_DNS_TEXT)
		n = 0;
	memcpy(out, name, n);
	out[n] = '\0';
}

/* Is `name` below `top`, and not top itself? */
static bool
below(const char *name, const char *top)
{
	return pl_suffix_of(top, name) && strcmp(name, top) != 0;
}

/* name with the tail `owner` changed to `target` (RFC 6672 section 2.2). */
static void
dname_apply(struct judged *j, const char *name, const char *owner,
    const char *target)
{
	size_t head = strlen(name) - strlen(owner);	/* with its dot */
	size_t tail = strlen(target);

	j->dname = true;
	if (head + tail > 253) {
		note(j, PL_ANS_ERROR, "the DNAME at %s makes the name too long",
		    owner);
		return;
	}
	memcpy(j->alias, name, head);
	memcpy(j->alias + head, target, tail + 1);
	if (tail == 0 && head > 0)
		j->alias[head - 1] = '\0';
}

/* Does the answer say that name is an alias? */
static void
judge_alias(struct judged *j, const struct pl_dns_msg *m, const char *name,
    unsigned type)
{
	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->section == 1 && rr->type == PL_DNS_DNAME &&
		    rr->target != NULL && below(name, rr->owner)) {
			dname_apply(j, name, rr->owner, rr->target);
			return;
		}
	}
	for (size_t i = 0; i < m->nrr && type != PL_DNS_CNAME; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->section == 1 && rr->type == PL_DNS_CNAME &&
		    rr->target != NULL && strcmp(rr->owner, name) == 0) {
			name_copy(j->alias, rr->target);
			return;
		}
	}
}

/* A negative answer names its zone and that zone's serial. */
static void
judge_apex(struct judged *j, const struct pl_dns_msg *m, const char *name)
{
	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->type == PL_DNS_SOA && rr->section <= 2 &&
		    pl_suffix_of(rr->owner, name)) {
			name_copy(j->apex, rr->owner);
			j->serial_known = true;
			j->serial = rr->serial;
			return;
		}
	}
	/* With an answer, some servers name those of the zone. */
	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->type == PL_DNS_NS && rr->section == 2 &&
		    pl_suffix_of(rr->owner, name)) {
			name_copy(j->apex, rr->owner);
			return;
		}
	}
}

static bool
rr_is(const struct pl_dns_rr *rr, const void *value, size_t len)
{
	if (rr->type == PL_DNS_CNAME)
		return rr->target != NULL && strlen(rr->target) == len &&
		    memcmp(rr->target, value, len) == 0;
	return rr->len == len && (len == 0 ||
	    memcmp(rr->data, value, len) == 0);
}

/* The set at the name, compared with the value that should be in it. */
static void
judge_set(struct judged *j, const struct pl_dns_msg *m, const char *name,
    unsigned type, const void *value, size_t len)
{
	size_t others = 0;

	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->section != 1 || rr->type != type ||
		    strcmp(rr->owner, name) != 0)
			continue;
		if (rr_is(rr, value, len))
			j->answer = PL_ANS_PRESENT;
		else
			others++;
	}
	/* Whoever resolves believes the rcode. */
	if (j->answer == PL_ANS_PRESENT && !j->exists) {
		note(j, PL_ANS_ABSENT, "NXDOMAIN, and yet the value with it");
		return;
	}
	if (j->answer == PL_ANS_PRESENT) {
		if (m->size > 4096)
			note(j, PL_ANS_PRESENT, "answer of %zu octets", m->size);
		return;
	}
	if (others == 1 && type == PL_DNS_CNAME)
		note(j, PL_ANS_ABSENT, "another target");
	else if (others > 0)
		note(j, PL_ANS_ABSENT, "%zu other value%s", others,
		    others == 1 ? "" : "s");
	else
		j->answer = PL_ANS_ABSENT;
}

/* Not authoritative: a delegation further down, or a server that is lame. */
static void
judge_referral(struct judged *j, const struct pl_dns_msg *m,
    const char *name, const char *zone)
{
	const char *cut = NULL;

	for (size_t i = 0; i < m->nrr; i++) {
		const struct pl_dns_rr *rr = &m->rr[i];

		if (rr->type == PL_DNS_NS && rr->section == 2)
			cut = rr->owner;
		else if (rr->section == 1)
			break;
	}
	if (cut == NULL)
		note(j, PL_ANS_LAME, "its answer is not authoritative");
	else if (!pl_suffix_of(cut, name) ||
	    (zone != NULL && !below(cut, zone)) || cut[0] == '\0')
		note(j, PL_ANS_LAME, "it refers elsewhere, to %s",
		    cut[0] != '\0' ? cut : "the root");
	else
		name_copy(j->cut, cut);
}

void
judge(struct judged *j, const struct pl_dns_msg *m, const char *name,
    unsigned type, const char *zone, const void *value, size_t len)
{
	memset(j, 0, sizeof(*j));
	j->exists = m->rcode != PL_DNS_NXDOMAIN;
	switch (m->rcode) {
	case PL_DNS_NOERROR:
	case PL_DNS_NXDOMAIN:
	case PL_DNS_YXDOMAIN:
		break;
	case PL_DNS_REFUSED:
		j->answer = PL_ANS_REFUSED;
		return;
	case PL_DNS_SERVFAIL:
	case PL_DNS_NOTAUTH:
		note(j, PL_ANS_LAME, "%s", pl_dns_rcode_name(m->rcode));
		return;
	default:
		note(j, PL_ANS_ERROR, "%s", pl_dns_rcode_name(m->rcode));
		return;
	}
	if (!m->aa) {
		judge_referral(j, m, name, zone);
		return;
	}
	judge_alias(j, m, name, type);
	if (j->alias[0] != '\0' || j->answer != PL_ANS_NONE)
		return;
	if (m->rcode == PL_DNS_YXDOMAIN) {
		note(j, PL_ANS_ERROR, "YXDOMAIN: a DNAME makes a name too long");
		return;
	}
	judge_apex(j, m, name);
	if (type == PL_DNS_SOA) {
		if (j->apex[0] == '\0')
			note(j, PL_ANS_LAME, "no zone holds the name there");
		else
			j->answer = PL_ANS_PRESENT;
		return;
	}
	judge_set(j, m, name, type, value, len);
}

bool
votes_visible(const struct vote *vote, size_t n, unsigned quorum)
{
	size_t servers = 0, have = 0;
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		bool first = true, has = false, open = false;

		if (vote[i].answer == PL_ANS_UNREACHABLE)
			continue;
		for (size_t k = 0; k < n; k++) {
			if (strcmp(vote[k].server, vote[i].server) != 0 ||
			    vote[k].answer == PL_ANS_UNREACHABLE)
				continue;
			if (k < i)
				first = false;
			if (vote[k].answer == PL_ANS_PRESENT)
				has = true;
			/* One that gives no answer at all does not speak
			 * against a server that has answered elsewhere. */
			else if (vote[k].answer != PL_ANS_TIMEOUT &&
			    vote[k].answer != PL_ANS_ERROR)
				open = true;
		}
		if (!first)
			continue;
		servers++;
		if (has && !open)
			have++;
		else
			all = false;
	}
	if (servers == 0)
		return false;
	return quorum == 0 || quorum >= servers ? all : have >= quorum;
}
