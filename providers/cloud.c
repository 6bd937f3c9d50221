/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* See cloud.h. */
#include "cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONES_FRESH_MS	10000	/* younger lists are believed in their "no" */
#define ZONES_OLD_MS	600000
#define TXT_STRING	255	/* octets in a character string of a TXT record */
#define LOOK_FRESH_MS	10000	/* an ADD may rest on a LOOK of this age */

/* ---- calls and errors --------------------------------------------------- */

enum pl_code
cloud_open(struct pl_http **out, const struct pl_settings *set,
    const char *endpoint, unsigned rate, struct pl_err *err)
{
	struct pl_http_opts o = { .endpoint = pl_setting(set, "endpoint"),
		.ca_file = pl_setting(set, "ca-file"), .rate = rate };

	if (o.endpoint == NULL)
		o.endpoint = endpoint;
	return pl_http_open(out, &o, err);
}

enum pl_code
cloud_status(const struct pl_http_res *res, enum pl_code code,
    const char *what, const char *text, struct pl_err *err)
{
	pl_fail(err, code, "%s: HTTP %d%s%s", what, res->status,
	    *text != '\0' ? ": " : "", text);
	err->http = res->status;
	err->retry_after = res->retry_after;
	return code;
}

enum pl_code
cloud_json(const struct pl_http_res *res, const char *what, json_t **out,
    struct pl_err *err)
{
	enum pl_code code;

	*out = NULL;
	if (res->code != PL_OK) {
		*err = res->err;
		return pl_prefix(err, "%s", what);
	}
	if (res->body.len > 0 && pl_json_parse(out, res->body.data,
	    res->body.len, what, err) == PL_OK)
		return PL_OK;
	if (res->status < 300)
		return cloud_status(res, PL_EPROTO, what,
		    res->body.len == 0 ? "an empty answer" :
		    "the answer is no JSON", err);
	if (res->status < 400)
		return cloud_status(res, PL_EPROTO, what,
		    "a redirect, which is not followed", err);
	code = pl_http_code(res->status);
	return cloud_status(res, code == PL_EAUTH || code == PL_EREMOTE ?
	    PL_EPROTO : code, what, "", err);
}

void
cloud_fail(struct pl_outcome *o, const struct pl_err *err)
{
	size_t n = strlen(err->text);

	if (n >= sizeof(o->text))
		n = sizeof(o->text) - 1;
	memcpy(o->text, err->text, n);
	o->text[n] = '\0';
	o->code = err->code;
}

const char *
cloud_text(const json_t *j, char *buf, size_t size)
{
	if (pl_json_is_int(j)) {
		snprintf(buf, size, "%lld", (long long)pl_json_num(j));
		return buf;
	}
	return pl_json_str(j);
}

/* ---- TXT content ---------------------------------------------------------- */

void
cloud_quote(struct pl_buf *b, const char *p, size_t n)
{
	size_t i;

	pl_buf_addc(b, '"');
	for (i = 0; i < n; i++) {
		if (i > 0 && i % TXT_STRING == 0)
			pl_buf_adds(b, "\" \"");
		if (p[i] == '"' || p[i] == '\\')
			pl_buf_addf(b, "\\%c", p[i]);
		else if (p[i] < ' ' || p[i] > '~')
			pl_buf_addf(b, "\\%03u", (unsigned char)p[i]);
		else
			pl_buf_addc(b, p[i]);
	}
	pl_buf_addc(b, '"');
}

void
cloud_unquote(struct pl_buf *b, const char *s)
{
	size_t n = strlen(s), i;
	bool in = false;

	if (n < 2 || s[0] != '"' || s[n - 1] != '"') {
		pl_buf_add(b, s, n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (s[i] == '"')
			in = !in;
		else if (!in)
			continue;
		else if (s[i] == '\\' && strspn(s + i + 1, "0123456789") >= 3) {
			pl_buf_addc(b, (char)((s[i + 1] - '0') * 100 +
			    (s[i + 2] - '0') * 10 + (s[i + 3] - '0')));
			i += 3;
		} else {
			i += s[i] == '\\';
			pl_buf_addc(b, s[i]);
		}
	}
}

/* ---- zones --------------------------------------------------------------- */

void
cloud_zones_clear(struct cloud_zones *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->z[i].name);
		free(s->z[i].id);
	}
	free(s->z);
	memset(s, 0, sizeof(*s));
}

/* The i-th zone that can be written, or NULL. */
static const char *
zone_usable(const void *ctx, size_t i)
{
	const struct cloud_zones *s = ctx;

	for (size_t k = 0; k < s->n; k++) {
		if (s->z[k].why == NULL && i-- == 0)
			return s->z[k].name;
	}
	return NULL;
}

void
cloud_zones_say(const struct cloud_zones *s, const struct pl_call *call)
{
	size_t n = 0;

	for (size_t k = 0; k < s->n; k++)
		n += s->z[k].why == NULL;
	pl_say_zones(call, n, false, zone_usable, s);
}

static void
zones_right(struct cloud_zones *s, const char *right)
{
	size_t n = strlen(s->wide);

	if (strstr(s->wide, right) == NULL &&
	    n + strlen(right) + 3 < sizeof(s->wide))
		snprintf(s->wide + n, sizeof(s->wide) - n, "%s%s",
		    n > 0 ? ", " : "", right);
}

void
cloud_zones_rights(struct cloud_zones *s, const json_t *list,
    const char *const *needed)
{
	const char *right;
	size_t i;

	for (i = 0; i < pl_json_count(list); i++) {
		right = pl_json_str(pl_json_at(list, i));
		if (right != NULL && !pl_str_in(right, needed))
			zones_right(s, right);
	}
}

struct cloud_zone *
cloud_zones_add(struct cloud_zones *s, const char *name, const char *id,
    const char *why, bool elsewhere)
{
	char ascii[PL_NAME_MAX];
	struct cloud_zone *z;

	if (name == NULL || id == NULL || strchr(name, '.') == NULL ||
	    pl_name_ascii(ascii, name, true, NULL) != PL_OK)
		return NULL;
	s->z = pl_grow(s->z, s->n + 1, sizeof(*s->z));
	z = &s->z[s->n++];
	*z = (struct cloud_zone){ pl_strdup(ascii), pl_strdup(id), why,
		elsewhere };
	return z;
}

bool
cloud_zones_old(const struct cloud_zones *s)
{
	return s->when == 0 || pl_mono_ms() - s->when > ZONES_OLD_MS;
}

bool
cloud_zones_stale(const struct cloud_zones *s)
{
	return s->when == 0 || pl_mono_ms() - s->when > ZONES_FRESH_MS;
}

bool
cloud_zones_failed(const struct cloud_zones *s, const struct pl_call *call,
    struct pl_err *err)
{
	if (s->failed.code == PL_OK || s->during != call->deadline)
		return false;
	*err = s->failed;
	return true;
}

enum pl_code
cloud_zones_fail(struct cloud_zones *s, const struct pl_call *call,
    const struct pl_err *err)
{
	s->failed = *err;
	s->during = call->deadline;
	return err->code;
}

enum pl_code
cloud_zones_find(const struct cloud_zones *s, const char *name,
    struct cloud_zone **out, struct pl_err *err)
{
	struct cloud_zone *z, *best = NULL, *away = NULL;
	size_t i, twice = 0;

	*out = NULL;
	for (i = 0; i < s->n; i++) {
		z = &s->z[i];
		if (!pl_suffix_of(z->name, name))
			continue;
		/* Zones that DNS does not lead to hide none that it does. */
		if (z->why != NULL && z->elsewhere) {
			away = z;
			continue;
		}
		if (best != NULL && strlen(z->name) < strlen(best->name))
			continue;
		if (best == NULL || strcmp(best->name, z->name) != 0)
			twice = 0;
		else if (best->why == NULL && z->why != NULL)
			continue;
		else if (best->why == NULL)
			twice++;
		best = z;
	}
	if (twice > 0)
		return pl_fail(err, PL_EINVAL, "zone %s: is there %zu times, "
		    "and only a zone id can tell them apart", best->name,
		    twice + 1);
	if (best == NULL && away != NULL)
		best = away;
	if (best != NULL && best->why != NULL)
		return pl_fail(err, PL_ENOZONE, "zone %s: %s", best->name,
		    best->why);
	if (best == NULL)
		return pl_fail(err, PL_ENOZONE, "%s: in no zone of this "
		    "account (%zu seen)", name, s->n);
	*out = best;
	return PL_OK;
}

void
cloud_relative(struct pl_buf *b, const char *name, const char *zone,
    const char *apex)
{
	size_t n = strlen(name), z = strlen(zone);

	if (n <= z)
		pl_buf_adds(b, apex);
	else
		pl_buf_add(b, name, n - z - 1);
}

/* ---- records that were read ------------------------------------------------ */

void
cloud_seen_clear(struct cloud_seen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->r[i].name);
		free(s->r[i].value);
		free(s->r[i].id);
	}
	free(s->r);
	free(s->zone);
	cloud_names_free(s->names, s->nnames);
	memset(s, 0, sizeof(*s));
}

static void
seen_lower(char *s)
{
	size_t n = strlen(s);

	if (n > 0 && s[n - 1] == '.')
		s[n - 1] = '\0';
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

struct cloud_record *
cloud_seen_add(struct cloud_seen *s, const char *name, enum cloud_type type,
    const char *value, size_t len, const char *id, int64_t ttl)
{
	struct cloud_record *r;

	/* Grown by halves, so that ten thousand cost little. */
	if ((s->n & (s->n - 1)) == 0)
		s->r = pl_grow(s->r, s->n == 0 ? 1 : 2 * s->n,
		    sizeof(*s->r));
	r = &s->r[s->n++];
	*r = (struct cloud_record){ .name = pl_strdup(name), .type = type,
		.value = pl_strndup(value, len), .len = len,
		.id = pl_strdup(id),
		.ttl = ttl > 0 && ttl < UINT32_MAX ? (uint32_t)ttl : 0 };
	seen_lower(r->name);
	if (type == CLOUD_CNAME) {
		seen_lower(r->value);
		r->len = strlen(r->value);
	}
	s->sorted = false;
	return r;
}

static int
seen_order(const void *a, const void *b)
{
	const struct cloud_record *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct cloud_record *
cloud_seen_at(struct cloud_seen *s, const char *name, size_t *n)
{
	size_t low = 0, high = s->n, mid;

	*n = 0;
	if (s->n == 0)
		return NULL;
	if (!s->sorted)
		qsort(s->r, s->n, sizeof(*s->r), seen_order);
	s->sorted = true;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (strcmp(s->r[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + *n < s->n && strcmp(s->r[low + *n].name, name) == 0)
		++*n;
	return *n > 0 ? &s->r[low] : NULL;
}

static enum cloud_type
change_type(const struct pl_change *c)
{
	return c->kind == PL_CNAME ? CLOUD_CNAME : CLOUD_TXT;
}

struct cloud_record *
cloud_seen_value(struct cloud_seen *s, const struct pl_change *c,
    const struct cloud_record *after)
{
	struct cloud_record *r;
	size_t n;

	for (r = cloud_seen_at(s, c->name, &n); n > 0; r++, n--) {
		if (after != NULL && r <= after)
			continue;
		if (r->type == change_type(c) && r->len == c->value_len &&
		    (r->len == 0 || memcmp(r->value, c->value, r->len) == 0))
			return r;
	}
	return NULL;
}

uint32_t
cloud_seen_ttl(struct cloud_seen *s, const struct pl_change *c,
    uint32_t otherwise)
{
	struct cloud_record *r;
	size_t n;

	for (r = cloud_seen_at(s, c->name, &n); n > 0; r++, n--)
		if (r->type == change_type(c) && r->ttl > 0)
			return r->ttl;
	return otherwise;
}

/* ---- names ------------------------------------------------------------------ */

static int
names_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
cloud_names(const struct pl_change *chg, const size_t *todo, size_t n,
    size_t *count)
{
	char **names = pl_array(n + 1, sizeof(char *));
	size_t i, m = 0;

	for (i = 0; i < n; i++)
		names[i] = pl_strdup(chg[todo != NULL ? todo[i] : i].name);
	qsort(names, n, sizeof(char *), names_order);
	for (i = 0; i < n; i++) {
		if (m > 0 && strcmp(names[m - 1], names[i]) == 0)
			free(names[i]);
		else
			names[m++] = names[i];
	}
	*count = m;
	return names;
}

void
cloud_names_free(char **names, size_t n)
{
	size_t i;

	for (i = 0; names != NULL && i < n; i++)
		free(names[i]);
	free(names);
}

/* ---- apply --------------------------------------------------------------- */

/* Keeps the names. */
enum pl_code
cloud_read(void *self, const struct cloud_api *api,
    const struct pl_call *call, const struct cloud_zone *zone,
    struct cloud_seen *seen, char **names, size_t n, bool all,
    struct pl_err *err)
{
	enum pl_code code;

	cloud_seen_clear(seen);
	code = api->read(self, call, zone, names, n, all, seen, err);
	if (code != PL_OK)
		cloud_seen_clear(seen);
	else {
		seen->zone = pl_strdup(zone->name);
		seen->names = names;
		seen->nnames = n;
		seen->when = pl_mono_ms();
		return PL_OK;
	}
	cloud_names_free(names, n);
	return code;
}

/* Has all that these changes need been read a moment ago? */
static bool
seen_fresh(const struct cloud_seen *s, const char *zone, char *const *names,
    size_t n)
{
	size_t i, k = 0;

	if (s->names == NULL || pl_mono_ms() - s->when > LOOK_FRESH_MS ||
	    strcmp(s->zone, zone) != 0)
		return false;
	for (i = 0; i < n; i++, k++) {
		while (k < s->nnames && strcmp(s->names[k], names[i]) < 0)
			k++;
		if (k == s->nnames || strcmp(s->names[k], names[i]) != 0)
			return false;
	}
	return true;
}

static void PL_PRINTF(3, 4)
refuse(struct pl_outcome *o, enum pl_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->text, sizeof(o->text), fmt, ap);
	va_end(ap);
	o->code = code;
}

/* Holds a change against what is at its name. */
static void
compare(struct cloud_seen *s, const struct pl_change *c,
    struct pl_outcome *o)
{
	const struct cloud_record *r;
	size_t n, len;

	o->text[0] = '\0';
	o->code = PL_OK;
	o->was = PL_WAS_ABSENT;
	if ((r = cloud_seen_value(s, c, NULL)) != NULL) {
		o->was = PL_WAS_PRESENT;
		if (r->id != NULL && strlen(r->id) < sizeof(o->handle))
			memcpy(o->handle, r->id, strlen(r->id) + 1);
		if (r->hidden)
			refuse(o, PL_EREMOTE, "name %s: is a CNAME that the "
			    "provider hides behind a proxy", c->name);
		return;
	}
	for (r = cloud_seen_at(s, c->name, &n); n > 0; r++, n--) {
		if (r->type == CLOUD_TXT && c->kind == PL_CNAME)
			refuse(o, PL_EREMOTE, "name %s: has TXT records, which "
			    "cannot stand beside a CNAME", c->name);
		if (r->type != CLOUD_CNAME)
			continue;
		if (c->kind == PL_CNAME || r->hidden) {
			refuse(o, PL_EREMOTE, "name %s: is a %sCNAME to %s "
			    "already", c->name, r->hidden ? "proxied " : "",
			    r->value);
			return;
		}
		len = strlen(r->value);
		if (len > 0 && len < sizeof(o->alias))
			memcpy(o->alias, r->value, len + 1);
		refuse(o, len > 0 && len < sizeof(o->alias) ? PL_ECONFLICT :
		    PL_EREMOTE, "name %s: is a CNAME to %s", c->name,
		    r->value);
		return;
	}
}

/* Keeps the first failure of a call in err. */
static void
first_failure(struct pl_err *err, const struct pl_outcome *o)
{
	if (err->code == PL_OK && o->code != PL_OK)
		pl_fail(err, o->code, "%s", o->text);
}

/* By name, kind and value: equal changes come together, the first one
 * first. */
static int
change_order(const void *a, const void *b, void *arg)
{
	const struct pl_change *chg = arg;
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	const struct pl_change *x = &chg[i], *y = &chg[j];
	size_t n = x->value_len < y->value_len ? x->value_len : y->value_len;
	int d = strcmp(x->name, y->name);

	if (d == 0)
		d = (x->kind > y->kind) - (x->kind < y->kind);
	if (d == 0 && n > 0)
		d = memcmp(x->value, y->value, n);
	if (d == 0)
		d = (x->value_len > y->value_len) -
		    (x->value_len < y->value_len);
	return d != 0 ? d : (i > j) - (i < j);
}

static bool
change_same(const struct pl_change *x, const struct pl_change *y)
{
	return x->kind == y->kind && x->value_len == y->value_len &&
	    strcmp(x->name, y->name) == 0 && (x->value_len == 0 ||
	    memcmp(x->value, y->value, x->value_len) == 0);
}

/* Fills todo with the changes that have to be made, each value once;
 * same[i] is the change that stands for change i. */
static void
work_choose(struct cloud_work *w, size_t n, size_t *same,
    struct pl_err *err)
{
	size_t *order = pl_array(n + 1, sizeof(*order)), i, k;
	const struct pl_change *c;

	for (i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), change_order,
	    (void *)(uintptr_t)w->chg);
	for (k = 0; k < n; k++) {
		i = order[k];
		c = &w->chg[i];
		same[i] = k > 0 && change_same(c, &w->chg[order[k - 1]]) ?
		    same[order[k - 1]] : i;
		if (same[i] != i)
			continue;
		if (c->op == PL_DEL) {
			w->out[i].code = PL_OK;
			if (cloud_seen_value(w->seen, c, NULL) == NULL)
				continue;
		} else {
			compare(w->seen, c, &w->out[i]);
			first_failure(err, &w->out[i]);
			if (c->op == PL_LOOK || w->out[i].code != PL_OK ||
			    w->out[i].was == PL_WAS_PRESENT)
				continue;
		}
		w->out[i].code = PL_EUNDONE;
		w->todo[w->ntodo++] = i;
	}
	free(order);
}

/*
 * An add that was refused is held against what is at its name by now:
 * somebody else's call or an earlier one of ours may have put it there, or
 * the name is a CNAME.  What the API said stands where neither is so.
 */
static void
work_settle(void *self, const struct cloud_api *api, struct cloud_work *w,
    struct pl_err *err)
{
	size_t *again = pl_array(w->ntodo + 1, sizeof(*again)), n = 0, m, i;
	struct pl_outcome o;
	struct pl_err lost;
	char **names;

	for (i = 0; i < w->ntodo; i++)
		if (w->out[w->todo[i]].code == PL_EREMOTE)
			again[n++] = w->todo[i];
	if (n == 0)
		goto out;
	names = cloud_names(w->chg, again, n, &m);
	if (cloud_read(self, api, w->call, w->zone, w->seen, names, m, true,
	    &lost) != PL_OK)
		goto out;
	for (i = 0; i < n; i++) {
		o = (struct pl_outcome){ .code = PL_EUNDONE };
		compare(w->seen, &w->chg[again[i]], &o);
		if (o.code != PL_OK || o.was == PL_WAS_PRESENT)
			w->out[again[i]] = o;
	}
	pl_err_clear(err);
	for (i = 0; i < w->ntodo; i++)
		first_failure(err, &w->out[w->todo[i]]);
out:
	free(again);
}

/* Changes of one kind. */
static enum pl_code
apply_run(void *self, const struct cloud_api *api, struct cloud_work *w,
    size_t n, struct pl_err *err)
{
	size_t *same = pl_array(n + 1, sizeof(*same)), m, i;
	enum pl_op op = w->chg[0].op;
	char **names = cloud_names(w->chg, NULL, n, &m);
	struct pl_err made;
	enum pl_code code = PL_OK;

	w->todo = pl_array(n + 1, sizeof(*w->todo));
	w->ntodo = 0;
	if (op == PL_ADD && seen_fresh(w->seen, w->zone->name, names, m))
		cloud_names_free(names, m);
	else
		code = cloud_read(self, api, w->call, w->zone, w->seen, names,
		    m, false, err);
	if (code != PL_OK)
		goto out;
	work_choose(w, n, same, err);
	pl_err_clear(&made);
	if (w->ntodo > 0) {
		code = op == PL_ADD ? api->add(self, w, &made) :
		    api->del(self, w, &made);
		if (op == PL_ADD && code == PL_EREMOTE)
			work_settle(self, api, w, &made);
		cloud_seen_clear(w->seen);
	}
	if (made.code != PL_OK)
		*err = made;
	for (i = 0; i < n; i++)
		w->out[i] = w->out[same[i]];
out:
	free(same);
	free(w->todo);
	return err->code;
}

enum pl_code
cloud_apply(void *self, const struct cloud_api *api,
    const struct pl_call *call, const struct cloud_zone *zone,
    struct cloud_seen *seen, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct cloud_work w = { .call = call, .zone = zone, .seen = seen };
	struct pl_err each;
	size_t i, k;

	pl_err_clear(err);
	for (i = 0; i < n; i = k) {
		for (k = i + 1; k < n && chg[k].op == chg[i].op; k++)
			continue;
		w.chg = &chg[i];
		w.out = &out[i];
		pl_err_clear(&each);
		if (apply_run(self, api, &w, k - i, &each) != PL_OK &&
		    err->code == PL_OK)
			*err = each;
		/* What holds for the account holds for what is left. */
		if (each.code == PL_EAUTH || each.code == PL_ELIMIT)
			break;
	}
	return err->code;
}
