/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Verdicts in words, and questions and sightings as frames. */

#include "challenge.h"

#include <stdlib.h>
#include <string.h>

const char *
pl_answer_name(enum pl_answer a)
{
	static const char *const names[] = {
		[PL_ANS_NONE] = "none",
		[PL_ANS_PRESENT] = "present",
		[PL_ANS_ABSENT] = "absent",
		[PL_ANS_STALE] = "stale",
		[PL_ANS_REFUSED] = "refused",
		[PL_ANS_LAME] = "lame",
		[PL_ANS_TIMEOUT] = "timeout",
		[PL_ANS_BOGUS] = "bogus",
		[PL_ANS_ERROR] = "error",
		[PL_ANS_UNREACHABLE] = "unreachable",
	};

	_Static_assert(PL_NELEM(names) == PL_NANSWERS, "a name each");
	return (unsigned)a < PL_NANSWERS ? names[a] : "none";
}

const char *
pl_mark_name(enum pl_mark m)
{
	static const char *const names[] = {
		[PL_MARK_INFO] = "info",
		[PL_MARK_GOOD] = "good",
		[PL_MARK_WARN] = "warn",
		[PL_MARK_BAD] = "bad",
	};

	_Static_assert(PL_NELEM(names) == PL_NMARKS, "a name each");
	return (unsigned)m < PL_NMARKS ? names[m] : "info";
}

void
pl_findings_free(struct pl_finding *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(f[i].topic);
		free(f[i].text);
	}
	free(f);
}

void
pl_sighting_clear(struct pl_sighting *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->verdicts[i].server);
		free(s->verdicts[i].address);
		free(s->verdicts[i].note);
	}
	pl_findings_free(s->findings, s->nfindings);
	free(s->verdicts);
	free(s->record);
	free(s->zone);
	memset(s, 0, sizeof(*s));
}

/* ---- settings ------------------------------------------------------------ */

static void
put_list(struct pl_buf *b, const char *const *list)
{
	uint32_t n = 0;

	if (list == NULL) {
		pl_put_u32(b, UINT32_MAX);
		return;
	}
	while (list[n] != NULL)
		n++;
	pl_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		pl_put_str(b, list[i]);
}

/* Gives the array; its strings live in the frame. */
static const char *const *
get_list(struct pl_cursor *c)
{
	struct pl_cursor peek = *c;
	const char **list;
	uint32_t n;

	if (pl_get_u32(&peek) == UINT32_MAX && !peek.bad) {
		*c = peek;
		return NULL;
	}
	n = pl_get_count(c, 4);
	list = pl_array((size_t)n + 1, sizeof(*list));
	for (uint32_t i = 0; i < n; i++) {
		const char *s = pl_get_str(c);

		list[i] = s != NULL ? s : "";
	}
	return list;
}

void
pl_verify_settings_put(struct pl_buf *b, const struct pl_verify_settings *s)
{
	put_list(b, s->servers);
	put_list(b, s->resolvers);
	put_list(b, s->http_servers);
	put_list(b, s->https_servers);
	pl_put_u32(b, s->quorum);
	pl_put_u8(b, s->site_local);
	pl_put_str(b, s->dnssec);
	pl_put_str(b, s->caa);
	pl_put_str(b, s->trust_anchor);
}

void
pl_verify_settings_get(struct pl_cursor *c, struct pl_verify_settings *s)
{
	memset(s, 0, sizeof(*s));
	s->servers = get_list(c);
	s->resolvers = get_list(c);
	s->http_servers = get_list(c);
	s->https_servers = get_list(c);
	s->quorum = pl_get_u32(c);
	s->site_local = pl_get_u8(c) != 0;
	s->dnssec = pl_get_str(c);
	s->caa = pl_get_str(c);
	s->trust_anchor = pl_get_str(c);
}

static void
drop_list(const char *const **list)
{
	const void *p = *list;

	*list = NULL;
	/* Ours since get_list; const only for those who read. */
	free((void *)(uintptr_t)p);
}

void
pl_verify_settings_drop(struct pl_verify_settings *s)
{
	drop_list(&s->servers);
	drop_list(&s->resolvers);
	drop_list(&s->http_servers);
	drop_list(&s->https_servers);
}

/* ---- checks ---------------------------------------------------------------- */

void
pl_check_put(struct pl_buf *b, const struct pl_check *c)
{
	pl_put_u32(b, c->id);
	pl_put_u8(b, (uint8_t)c->look);
	pl_put_u8(b, (uint8_t)c->kind);
	pl_put_str(b, c->record);
	pl_put_str(b, c->domain);
	pl_put_blob(b, c->value, c->value_len);
	pl_put_u64(b, (uint64_t)c->timeout_ms);
	pl_put_u64(b, (uint64_t)c->first_ms);
	pl_put_str(b, c->ca);
	pl_put_str(b, c->account_uri);
	pl_put_str(b, c->methods);
	pl_put_u8(b, c->wildcard);
	pl_put_u8(b, c->https);
}

/* A value of an enumeration, checked. */
static unsigned
get_enum(struct pl_cursor *c, unsigned count)
{
	unsigned v = pl_get_u8(c);

	if (v >= count) {
		c->bad = true;
		return 0;
	}
	return v;
}

void
pl_check_get(struct pl_cursor *c, struct pl_check *out)
{
	memset(out, 0, sizeof(*out));
	out->id = pl_get_u32(c);
	out->look = (enum pl_look)get_enum(c, PL_LOOK_CHECK + 1);
	out->kind = (enum pl_kind)get_enum(c, PL_NKINDS);
	out->record = pl_get_str(c);
	out->domain = pl_get_str(c);
	out->value = pl_get_blob(c, &out->value_len);
	out->timeout_ms = (int64_t)pl_get_u64(c);
	out->first_ms = (int64_t)pl_get_u64(c);
	out->ca = pl_get_str(c);
	out->account_uri = pl_get_str(c);
	out->methods = pl_get_str(c);
	out->wildcard = pl_get_u8(c) != 0;
	out->https = pl_get_u8(c) != 0;
	if (out->record == NULL || out->domain == NULL ||
	    out->timeout_ms < 0 || out->first_ms < 0)
		c->bad = true;
}

/* ---- sightings ---------------------------------------------------------------- */

void
pl_sighting_put(struct pl_buf *b, const struct pl_sighting *s)
{
	pl_put_u32(b, s->id);
	pl_put_u8(b, s->final);
	pl_put_u8(b, s->visible);
	pl_put_u8(b, (uint8_t)s->code);
	pl_put_err(b, &s->err);
	pl_put_str(b, s->record);
	pl_put_str(b, s->zone);
	pl_put_u32(b, s->looks);
	pl_put_u32(b, (uint32_t)s->n);
	for (size_t i = 0; i < s->n; i++) {
		const struct pl_verdict *w = &s->verdicts[i];

		pl_put_str(b, w->server);
		pl_put_str(b, w->address);
		pl_put_u8(b, (uint8_t)w->answer);
		pl_put_u32(b, w->ms);
		pl_put_str(b, w->note);
	}
	pl_put_u32(b, (uint32_t)s->nfindings);
	for (size_t i = 0; i < s->nfindings; i++) {
		pl_put_str(b, s->findings[i].topic);
		pl_put_u8(b, (uint8_t)s->findings[i].mark);
		pl_put_str(b, s->findings[i].text);
	}
}

void
pl_sighting_get(struct pl_cursor *c, struct pl_sighting *out)
{
	memset(out, 0, sizeof(*out));
	out->id = pl_get_u32(c);
	out->final = pl_get_u8(c) != 0;
	out->visible = pl_get_u8(c) != 0;
	out->code = (enum pl_code)get_enum(c, PL_NCODES);
	pl_get_err(c, &out->err);
	out->record = pl_strdup(pl_get_str(c));
	out->zone = pl_strdup(pl_get_str(c));
	out->looks = pl_get_u32(c);
	/* Three strings, an octet and a number. */
	out->n = pl_get_count(c, 17);
	out->verdicts = pl_array(out->n + 1, sizeof(*out->verdicts));
	for (size_t i = 0; i < out->n; i++) {
		struct pl_verdict *w = &out->verdicts[i];

		w->server = pl_strdup(pl_get_str(c));
		w->address = pl_strdup(pl_get_str(c));
		w->answer = (enum pl_answer)get_enum(c, PL_NANSWERS);
		w->ms = pl_get_u32(c);
		w->note = pl_strdup(pl_get_str(c));
	}
	/* Two strings and an octet. */
	out->nfindings = pl_get_count(c, 9);
	out->findings = pl_array(out->nfindings + 1, sizeof(*out->findings));
	for (size_t i = 0; i < out->nfindings; i++) {
		struct pl_finding *f = &out->findings[i];

		f->topic = pl_strdup(pl_get_str(c));
		f->mark = (enum pl_mark)get_enum(c, PL_NMARKS);
		f->text = pl_strdup(pl_get_str(c));
	}
}
