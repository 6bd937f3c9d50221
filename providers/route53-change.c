/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Changes to batches, for Amazon Route 53.
 *
 * The service writes whole sets.  A batch that deletes the set exactly as it
 * was read and creates it anew with a value more or less is refused as a
 * whole where anybody changed the set meanwhile; that is our guard, and
 * UPSERT, which has none, is never used.  All names of a call go in one
 * batch, as far as the limits allow.
 *
 * A batch that is refused is made again from a new look.  What is refused
 * then is taken apart: the names that the answer speaks of fail, or, where
 * it speaks of none, each half is tried for itself.
 */
#include <stdlib.h>
#include <string.h>

#include "route53.h"

#define BATCH_RECORDS 1000	/* of a batch, old and new ones counted */
#define BATCH_CHARS 32000	/* in all values of a batch */
#define SET_VALUES 400
#define LOOK_MS 5000		/* how long a look is good for an answer ... */
#define KNOWN_MS 600000		/* ... and for a batch, which guards itself */
#define REFUSED_MOST 7	/* batches refused, none taken: enough of it */

/* ---- changes, grouped by name -------------------------------------------- */

/* All changes of one name, in their order, and what becomes of its sets. */
struct group {
	struct route53_set *set;
	size_t first, last;		/* changes, linked by next[] */
	bool done;
	bool denied;			/* no right to it, as it seems */
	/* The plan: */
	char **values;			/* TXT as it shall be */
	size_t n, old;			/* the first `old` of them are there */
	uint32_t ttl;
	bool txt;			/* TXT changes */
	bool drop;			/* the CNAME goes */
	const struct pl_change *cname;	/* a CNAME comes, or NULL */
};

struct work {
	struct route53 *self;
	const struct pl_call *call;
	struct route53_zone *zone;
	const struct pl_change *chg;
	struct pl_outcome *out;
	size_t n;
	size_t *next;
	bool *pending;			/* the change waits for its batch */
	struct group *groups;
	size_t ngroups;
	unsigned refused;		/* batches that were taken apart */
	bool taken;			/* one was not refused */
	struct pl_err denial;
	struct pl_err err;		/* what the call fails with */
};

#define NO_MORE SIZE_MAX

static enum pl_code PL_PRINTF(4, 5)
outcome_fail(struct work *w, size_t i, enum pl_code code, const char *fmt,
    ...)
{
	struct pl_outcome *o = &w->out[i];
	struct pl_buf b;
	va_list ap;
	size_t n;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	n = b.len < sizeof(o->text) ? b.len : sizeof(o->text) - 1;
	memcpy(o->text, b.data, n);
	o->text[n] = '\0';
	pl_buf_clear(&b);
	o->code = code;
	w->pending[i] = false;
	if (w->err.code == PL_OK)
		(void)pl_fail(&w->err, code, "%s", o->text);
	return code;
}

static bool
change_fits(struct work *w, size_t i)
{
	const struct pl_change *c = &w->chg[i];

	if (c->kind != PL_TXT && c->kind != PL_CNAME)
		(void)outcome_fail(w, i, PL_EINVAL, "name %s: no TXT or "
		    "CNAME", c->name);
	else if (!pl_suffix_of(w->zone->name, c->name))
		(void)outcome_fail(w, i, PL_EINVAL, "name %s: not in zone %s",
		    c->name, w->zone->name);
	else if (c->kind == PL_CNAME && c->op != PL_DEL &&
	    strcmp(c->name, w->zone->name) == 0)
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: a CNAME cannot "
		    "be at the top of a zone", c->name);
	else
		return true;
	return false;
}

static void
work_group(struct work *w)
{
	struct route53_set *s;
	struct group *g;
	size_t i;

	w->next = pl_array(w->n + 1, sizeof(*w->next));
	w->pending = pl_array(w->n + 1, sizeof(*w->pending));
	w->groups = pl_array(w->n + 1, sizeof(*w->groups));
	for (i = 0; i < w->n; i++) {
		w->next[i] = NO_MORE;
		if (!change_fits(w, i))
			continue;
		s = route53_set(w->self, w->zone, w->chg[i].name);
		if (s->group == 0) {
			s->group = ++w->ngroups;
			w->groups[s->group - 1].set = s;
			w->groups[s->group - 1].first = i;
		} else {
			w->next[w->groups[s->group - 1].last] = i;
		}
		g = &w->groups[s->group - 1];
		g->last = i;
	}
	for (i = 0; i < w->ngroups; i++)
		w->groups[i].set->group = 0;
}

static void
plan_clear(struct group *g)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		free(g->values[i]);
	free(g->values);
	g->values = NULL;
	g->n = g->old = 0;
	g->txt = g->drop = false;
	g->cname = NULL;
}

static void
work_clear(struct work *w)
{
	size_t i;

	for (i = 0; i < w->ngroups; i++)
		plan_clear(&w->groups[i]);
	free(w->groups);
	free(w->pending);
	free(w->next);
}

/* Marks what still waits of a group. */
static void
group_fail(struct work *w, struct group *g, const struct pl_err *err)
{
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i])
		if (w->pending[i] || w->out[i].code == PL_EUNDONE)
			(void)outcome_fail(w, i, err->code, "%s", err->text);
	g->done = true;
	/* Where to wait for is told by the call's error. */
	if (err->code == PL_ELIMIT || w->err.retry_after < err->retry_after)
		w->err = *err;
}

/* ---- planning -------------------------------------------------------------- */

static size_t
value_find(const struct group *g, const struct pl_change *c)
{
	struct pl_buf b;
	size_t i;
	bool same;

	pl_buf_init(&b, PL_LIM_FILE);
	for (i = 0; i < g->n; i++) {
		pl_buf_reset(&b);
		route53_unquote(&b, g->values[i]);
		same = b.len == c->value_len && (b.len == 0 ||
		    memcmp(b.data, c->value, b.len) == 0);
		if (same)
			break;
	}
	pl_buf_clear(&b);
	return i;
}

/* A target as names are written here: lower case, no final dot. */
static char *
target_plain(const char *target)
{
	size_t n = strlen(target), i;
	char *s;

	s = pl_strndup(target, n > 0 && target[n - 1] == '.' ? n - 1 : n);
	for (i = 0; s[i] != '\0'; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] + 32);
	return s;
}

static bool
target_is(const struct group *g, const struct pl_change *c)
{
	char *plain;
	bool same;

	if (g->set->target == NULL || g->drop || g->set->target_routed)
		return false;
	plain = target_plain(g->set->target);
	same = strlen(plain) == c->value_len &&
	    memcmp(plain, c->value, c->value_len) == 0;
	free(plain);
	return same;
}

/* Holds an add against a CNAME that is at the name. */
static enum pl_code
compare_alias(struct work *w, const struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	struct pl_outcome *o = &w->out[i];
	char *to = target_plain(g->set->target);
	enum pl_code code;

	if (c->kind == PL_CNAME) {
		code = outcome_fail(w, i, PL_EREMOTE, "name %s: is a CNAME "
		    "to %s already", c->name, to);
	} else {
		code = outcome_fail(w, i, PL_ECONFLICT, "name %s: is a CNAME "
		    "to %s", c->name, to);
		if (strlen(to) < sizeof(o->alias))
			memcpy(o->alias, to, strlen(to) + 1);
	}
	free(to);
	return code;
}

/* Can this be added, is it there?  PL_OK with `was`. */
static enum pl_code
compare(struct work *w, const struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	struct pl_outcome *o = &w->out[i];

	o->was = PL_WAS_ABSENT;
	if (c->kind == PL_CNAME && (target_is(g, c) || (g->cname != NULL &&
	    g->cname->value_len == c->value_len && memcmp(g->cname->value,
	    c->value, c->value_len) == 0))) {
		if (g->cname == NULL)
			o->was = PL_WAS_PRESENT;
		return PL_OK;
	}
	if (g->set->target != NULL && !g->drop)
		return compare_alias(w, g, i);
	if (g->cname != NULL || (c->kind == PL_CNAME && g->n > 0))
		return outcome_fail(w, i, PL_EREMOTE, "name %s: a CNAME "
		    "cannot stand beside other records", c->name);
	if (c->kind == PL_TXT && value_find(g, c) < g->n) {
		o->was = PL_WAS_PRESENT;
		return PL_OK;
	}
	if (c->kind == PL_TXT && g->set->routed)
		return outcome_fail(w, i, PL_EREMOTE, "name %s: its TXT "
		    "records belong to a routing policy, beside which none "
		    "can be added", c->name);
	return PL_OK;
}

static void
plan_add(struct work *w, struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	struct pl_buf b;

	if (compare(w, g, i) != PL_OK)
		return;
	if (w->out[i].was == PL_WAS_PRESENT) {
		/* The value of a sibling that waits is there with it. */
		if (c->kind == PL_CNAME || value_find(g, c) < g->old) {
			w->out[i].code = PL_OK;
			return;
		}
		w->out[i].was = PL_WAS_ABSENT;
	} else if (c->kind == PL_CNAME) {
		g->cname = c;
	} else if (g->n == SET_VALUES) {
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: has %d values, "
		    "which is the most", c->name, SET_VALUES);
		return;
	} else {
		if (g->set->n == 0 && !g->txt)
			g->ttl = c->ttl != 0 ? c->ttl : ROUTE53_TTL;
		pl_buf_init(&b, PL_LIM_FILE);
		route53_quote(&b, c->value, c->value_len);
		g->values = pl_grow(g->values, g->n + 1, sizeof(char *));
		g->values[g->n++] = pl_buf_take(&b);
		g->txt = true;
	}
	w->pending[i] = true;
}

static void
plan_del(struct work *w, struct group *g, size_t i)
{
	const struct pl_change *c = &w->chg[i];
	size_t at;

	if (c->kind == PL_CNAME) {
		if (target_is(g, c))
			g->drop = w->pending[i] = true;
		else
			w->out[i].code = PL_OK;
		return;
	}
	at = value_find(g, c);
	if (at == g->n) {
		w->out[i].code = PL_OK;
	} else if (g->set->routed) {
		(void)outcome_fail(w, i, PL_EREMOTE, "name %s: its TXT "
		    "records belong to a routing policy now", c->name);
	} else {
		free(g->values[at]);
		memmove(&g->values[at], &g->values[at + 1],
		    (g->n - at - 1) * sizeof(char *));
		g->n--;
		g->old -= at < g->old;
		g->txt = w->pending[i] = true;
	}
}

/* Works out from what is known what has to be written.  What needs no
 * writing is settled. */
static void
plan(struct work *w, struct group *g)
{
	size_t i;

	plan_clear(g);
	g->values = pl_array(g->set->n + 1, sizeof(char *));
	for (i = 0; i < g->set->n; i++)
		g->values[i] = pl_strdup(g->set->values[i]);
	g->n = g->old = g->set->n;
	g->ttl = g->set->ttl;
	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		w->out[i].code = PL_EUNDONE;
		w->out[i].text[0] = w->out[i].alias[0] = '\0';
		w->pending[i] = false;
		if (w->chg[i].op == PL_DEL)
			plan_del(w, g, i);
		else if (w->chg[i].op == PL_ADD)
			plan_add(w, g, i);
		else if (compare(w, g, i) == PL_OK)
			w->out[i].code = PL_OK;
	}
}

static bool
plan_writes(const struct group *g)
{
	return g->txt || g->drop || g->cname != NULL;
}

/* ---- looking ---------------------------------------------------------------- */

/* Is all of a group to be written?  Then an older look will do. */
static bool
group_guarded(const struct work *w, const struct group *g)
{
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i])
		if (!w->pending[i])
			return false;
	return true;
}

static bool
group_stale(struct work *w, struct group *g)
{
	int64_t age = pl_mono_ms() - g->set->seen;
	struct pl_err kept = w->err;

	if (g->set->seen == 0 || age > KNOWN_MS)
		return true;
	if (age <= LOOK_MS)
		return false;
	plan(w, g);
	w->err = kept;
	return !group_guarded(w, g);
}

/* Reads the sets of groups lo to hi anew and plans them. */
static enum pl_code
work_read(struct work *w, size_t lo, size_t hi, bool all, struct pl_err *err)
{
	struct route53_set **list = pl_array(hi - lo + 1,
	    sizeof(struct route53_set *));
	enum pl_code code = PL_OK;
	size_t i, n = 0;

	for (i = lo; i < hi; i++)
		if (!w->groups[i].done &&
		    (all || group_stale(w, &w->groups[i])))
			list[n++] = w->groups[i].set;
	if (n > 0)
		code = route53_read(w->self, w->call, w->zone, list, n, err);
	for (i = lo; i < hi && code == PL_OK; i++)
		if (!w->groups[i].done)
			plan(w, &w->groups[i]);
	free(list);
	return code;
}

/* ---- batches ---------------------------------------------------------------- */

/* Groups lo to hi, of which those go in one batch that are not done. */
struct segment {
	size_t lo, hi;
	bool again;			/* made from a second look */
};
struct queue {
	struct segment *s;
	size_t at, n;
};

static void
queue_add(struct queue *q, size_t lo, size_t hi, bool again)
{
	q->s = pl_grow(q->s, q->n + 1, sizeof(*q->s));
	q->s[q->n++] = (struct segment){ lo, hi, again };
}

static void
group_size(const struct group *g, size_t *records, size_t *chars)
{
	size_t i;

	*records = *chars = 0;
	if (g->txt) {
		*records = g->set->n + g->n;
		for (i = 0; i < g->set->n; i++)
			*chars += strlen(g->set->values[i]);
		for (i = 0; i < g->n; i++)
			*chars += strlen(g->values[i]);
	}
	if (g->drop) {
		++*records;
		*chars += strlen(g->set->target);
	}
	if (g->cname != NULL) {
		++*records;
		*chars += g->cname->value_len + 1;
	}
}

static void
write_change(struct pl_buf *b, const char *action, const char *name,
    const char *type, uint32_t ttl, char *const *values, size_t n)
{
	size_t i;

	pl_buf_addf(b, "<Change><Action>%s</Action><ResourceRecordSet><Name>",
	    action);
	pl_xml_escape(b, name);
	pl_buf_addf(b, ".</Name><Type>%s</Type><TTL>%u</TTL>"
	    "<ResourceRecords>", type, ttl);
	for (i = 0; i < n; i++) {
		pl_buf_adds(b, "<ResourceRecord><Value>");
		pl_xml_escape(b, values[i]);
		pl_buf_adds(b, "</Value></ResourceRecord>");
	}
	pl_buf_adds(b, "</ResourceRecords></ResourceRecordSet></Change>");
}

static void
write_group(struct pl_buf *b, const struct group *g)
{
	const struct route53_set *s = g->set;
	struct pl_buf target;

	if (g->drop)
		write_change(b, "DELETE", s->name, "CNAME", s->target_ttl,
		    &s->target, 1);
	if (g->txt && s->n > 0)
		write_change(b, "DELETE", s->name, "TXT", s->ttl, s->values,
		    s->n);
	if (g->txt && g->n > 0)
		write_change(b, "CREATE", s->name, "TXT", g->ttl, g->values,
		    g->n);
	if (g->cname == NULL)
		return;
	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_add(&target, g->cname->value, g->cname->value_len);
	pl_buf_addc(&target, '.');
	write_change(b, "CREATE", s->name, "CNAME", g->cname->ttl != 0 ?
	    g->cname->ttl : ROUTE53_TTL, &target.data, 1);
	pl_buf_clear(&target);
}

/* Writes as many groups as the limits allow; the segment then ends behind
 * them.  Gives how many there are. */
static size_t
batch_write(struct work *w, struct pl_buf *b, struct segment *s)
{
	size_t i, n = 0, records = 0, chars = 0, r, c;
	struct group *g;

	for (i = s->lo; i < s->hi; i++) {
		g = &w->groups[i];
		if (g->done || !plan_writes(g))
			continue;
		group_size(g, &r, &c);
		if (r > BATCH_RECORDS || c > BATCH_CHARS) {
			struct pl_err err;

			(void)pl_fail(&err, PL_EREMOTE, "name %s: its values "
			    "are more than one batch may hold", g->set->name);
			group_fail(w, g, &err);
			continue;
		}
		if (records + r > BATCH_RECORDS || chars + c > BATCH_CHARS)
			break;
		records += r;
		chars += c;
		write_group(b, g);
		n++;
	}
	s->hi = i;
	return n;
}

/* The batch was taken: the plan is what is there now. */
static void
group_done(struct work *w, struct group *g, const char *id)
{
	struct route53_set *s = g->set;
	struct pl_outcome *o;
	size_t i;

	for (i = g->first; i != NO_MORE; i = w->next[i]) {
		o = &w->out[i];
		if (!w->pending[i])
			continue;
		o->code = PL_OK;
		w->pending[i] = false;
		if (w->chg[i].op == PL_ADD && strlen(id) < sizeof(o->handle))
			memcpy(o->handle, id, strlen(id) + 1);
	}
	g->done = true;
	if (g->txt) {
		for (i = 0; i < s->n; i++)
			free(s->values[i]);
		free(s->values);
		s->values = g->values;
		s->n = g->n;
		s->ttl = g->ttl;
		g->values = NULL;		/* transferred */
		g->n = 0;
	}
	/* What a CNAME became is not worth keeping. */
	if (g->drop || g->cname != NULL)
		s->seen = 0;
}

/* Does the service's message speak of this name? */
static const char *
message_names(const char *messages, const char *name)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz0123456789-_\\"
	    ".";
	size_t n = strlen(name);
	const char *p = messages;

	for (; (p = strstr(p, name)) != NULL; p += n)
		if (p[n] == '.' && (p == messages ||
		    strchr(inside, p[-1]) == NULL) &&
		    (p[n + 1] == '\0' || strchr(inside, p[n + 1]) == NULL))
			return p;
	return NULL;
}

/* Fails the groups that a refusal speaks of; gives how many. */
static size_t
batch_blame(struct work *w, const struct segment *s, const char *messages)
{
	static const char *const raced[] = { "not found", "already exists",
		"do not match" };
	const char *p, *end;
	struct group *g;
	struct pl_err err;
	size_t i, k, n = 0;
	bool race;

	for (i = s->lo; i < s->hi; i++) {
		g = &w->groups[i];
		p = g->done || !plan_writes(g) ? NULL :
		    message_names(messages, g->set->name);
		if (p == NULL)
			continue;
		end = strstr(p, "[name=");
		race = false;
		for (k = 0; k < PL_NELEM(raced); k++) {
			const char *at = strstr(p, raced[k]);

			race = race || (at != NULL && (end == NULL ||
			    at < end));
		}
		if (race)
			(void)pl_fail(&err, PL_ECONFLICT, "name %s: changed "
			    "by somebody else at the same time",
			    g->set->name);
		else
			(void)pl_fail(&err, PL_EREMOTE, "name %s: %.150s",
			    g->set->name, messages);
		group_fail(w, g, &err);
		n++;
	}
	return n;
}

static void
segment_fail(struct work *w, const struct segment *s,
    const struct pl_err *err)
{
	size_t i;

	for (i = s->lo; i < s->hi; i++)
		if (!w->groups[i].done && plan_writes(&w->groups[i]))
			group_fail(w, &w->groups[i], err);
}

/* Halves a segment of several groups that wait; false: there is but one. */
static bool
segment_split(struct work *w, struct queue *q, const struct segment *s)
{
	size_t i, n = 0, half = 0, mid = s->lo;

	for (i = s->lo; i < s->hi; i++)
		n += !w->groups[i].done && plan_writes(&w->groups[i]);
	if (n < 2)
		return false;
	for (i = s->lo; half < n / 2; i++) {
		half += !w->groups[i].done && plan_writes(&w->groups[i]);
		mid = i + 1;
	}
	queue_add(q, s->lo, mid, s->again);
	queue_add(q, mid, s->hi, s->again);
	return true;
}

/* What was sent may have been done: no more is known of its sets. */
static void
segment_forget(struct work *w, const struct segment *s)
{
	size_t i;

	for (i = s->lo; i < s->hi; i++)
		if (plan_writes(&w->groups[i]))
			w->groups[i].set->seen = 0;
}

/*
 * Halves are tried side by side, so a few names that cannot be do not hide
 * the others for long.  False: it looks as if nothing can be.
 */
static bool
batch_apart(struct work *w, struct queue *q, const struct segment *s,
    const struct route53_fault *f, const struct pl_err *err)
{
	size_t i;

	if (++w->refused >= REFUSED_MOST && !w->taken)
		return false;
	if (segment_split(w, q, s))
		return true;
	if (!f->denied) {
		segment_fail(w, s, err);
		return true;
	}
	/* What that says of the key is known when all have been tried. */
	w->denial = *err;
	for (i = s->lo; i < s->hi; i++)
		if (plan_writes(&w->groups[i]))
			w->groups[i].done = w->groups[i].denied = true;
	return true;
}

/* A batch was refused.  False: the others would fare no better. */
static bool
batch_refused(struct work *w, struct queue *q, const struct segment *s,
    const struct route53_fault *f, struct pl_err *err)
{
	if (f->sent)
		segment_forget(w, s);
	if (err->code == PL_ECONFLICT && !s->again) {
		if (work_read(w, s->lo, s->hi, true, err) != PL_OK)
			return false;
		queue_add(q, s->lo, s->hi, true);
		return true;
	}
	if (err->code == PL_ECONFLICT &&
	    batch_blame(w, s, f->messages.data) > 0) {
		queue_add(q, s->lo, s->hi, true);
		return true;
	}
	if (err->code == PL_ECONFLICT)
		err->code = PL_EREMOTE;
	return (err->code == PL_EREMOTE || f->denied) &&
	    batch_apart(w, q, s, f, err);
}

static enum pl_code
batch_send(struct work *w, const struct pl_buf *body, struct pl_buf *id,
    struct route53_fault *f, struct pl_err *err)
{
	struct route53_req q = { .what = "change", .method = "POST",
		.body = body->data,
		.root = "ChangeResourceRecordSetsResponse" };
	const char *text;
	struct pl_xml *doc;
	struct pl_buf path;
	enum pl_code code;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "hostedzone/%s/rrset/", w->zone->id);
	q.path = path.data;
	code = route53_call(w->self, w->call, &q, &doc, f, err);
	text = pl_xml_text(doc, "ChangeInfo/Id");
	/* "/change/C2682N5HXP0BZ4" */
	if (text != NULL)
		pl_buf_adds(id, strrchr(text, '/') != NULL ?
		    strrchr(text, '/') + 1 : text);
	pl_xml_free(doc);
	pl_buf_clear(&path);
	return code;
}

/* One batch of a segment; false: there is no sense in going on. */
static bool
segment_run(struct work *w, struct queue *q, struct segment s,
    struct pl_err *err)
{
	struct route53_fault f = { .sent = false };
	struct pl_buf body, id;
	size_t i, hi = s.hi, n;
	bool on = true;

	pl_buf_init(&body, 4 * PL_LIM_BODY);
	pl_buf_init(&id, PL_LIM_LINE);
	pl_buf_adds(&body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<ChangeResourceRecordSetsRequest xmlns=\"https://"
	    "route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>");
	n = batch_write(w, &body, &s);
	if (s.hi < hi)
		queue_add(q, s.hi, hi, s.again);
	pl_buf_adds(&body, "</Changes></ChangeBatch>"
	    "</ChangeResourceRecordSetsRequest>");
	if (n > 0 && batch_send(w, &body, &id, &f, err) == PL_OK) {
		w->self->proved = w->taken = true;
		for (i = s.lo; i < s.hi; i++)
			if (!w->groups[i].done && plan_writes(&w->groups[i]))
				group_done(w, &w->groups[i], id.data);
	} else if (n > 0) {
		on = batch_refused(w, q, &s, &f, err);
	}
	if (n > 0)
		route53_fault_clear(&f);
	pl_buf_clear(&body);
	pl_buf_clear(&id);
	return on;
}

static void
work_write(struct work *w)
{
	struct queue q = { NULL, 0, 0 };
	struct pl_err err;
	struct group *g;
	bool on = true;
	size_t i;

	pl_err_clear(&err);
	queue_add(&q, 0, w->ngroups, false);
	while (on && q.at < q.n)
		on = segment_run(w, &q, q.s[q.at++], &err);
	free(q.s);
	/* A key that was good for another change is not refused as such. */
	if (w->self->proved)
		w->denial.code = PL_EREMOTE;
	for (i = 0; i < w->ngroups; i++) {
		g = &w->groups[i];
		if (!plan_writes(g))
			continue;
		if (g->denied)
			group_fail(w, g, &w->denial);
		else if (!g->done)
			group_fail(w, g, &err);
	}
}

enum pl_code
route53_change(struct route53 *self, const struct pl_call *call,
    struct route53_zone *zone, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct work w = { .self = self, .call = call, .zone = zone,
		.chg = chg, .out = out, .n = n };
	struct pl_err why;
	enum pl_code code;
	size_t i;

	pl_err_clear(&why);
	work_group(&w);
	code = work_read(&w, 0, w.ngroups, false, &why);
	if (code == PL_OK && chg[0].op != PL_LOOK)
		work_write(&w);
	for (i = 0; i < n && code != PL_OK; i++) {
		w.err = why;
		if (out[i].code == PL_EUNDONE)
			out[i].code = code;
	}
	work_clear(&w);
	if (w.err.code != PL_OK)
		*err = w.err;
	return w.err.code;
}
