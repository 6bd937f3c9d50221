/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <stdlib.h>
#include <string.h>

#define JOB_SHOWN 60		/* octets of a value that errors repeat */
#define JOB_ID_MAX 128
#define JOB_HOLD_MAX (10LL * 365 * 24 * 3600)	/* seconds: ten years */
#define JOB_NO_INDEX SIZE_MAX

/* ---- one challenge ------------------------------------------------------ */

static const char *const challenge_known[] = {
	"method", "domain", "value", "token", "key-authorization", "name",
	"path", "content", "account-url", "account", "issuer", "policy",
	"persist-until", "ttl", NULL
};

/* Lends the text of a member; NULL with PL_OK where it is not given. */
static enum pl_code
member_text(const char **out, const json_t *object, const char *key,
    struct pl_err *err)
{
	const json_t *v = pl_json_get(object, key);

	*out = NULL;
	if (v == NULL)
		return PL_OK;
	if (!pl_json_is_string(v))
		return pl_fail(err, PL_EINVAL, "%s: must be a string", key);
	*out = pl_json_str(v);
	return PL_OK;
}

static enum pl_code
member_int(int64_t *out, const json_t *object, const char *key, int64_t max,
    struct pl_err *err)
{
	const json_t *v = pl_json_get(object, key);

	*out = 0;
	if (v == NULL)
		return PL_OK;
	*out = pl_json_num(v);
	if (!pl_json_is_int(v) || *out < 1 || *out > max)
		return pl_fail(err, PL_EINVAL,
		    "%s: must be a whole number from 1 to %lld", key,
		    (long long)max);
	return PL_OK;
}

/* Fills the arguments, which live as long as the JSON object does. */
static enum pl_code
challenge_args(struct pl_challenge_args *a, const json_t *object,
    struct pl_err *err)
{
	const struct {
		const char **to;
		const char *key;
	} texts[] = {
		{ &a->method, "method" }, { &a->domain, "domain" },
		{ &a->value, "value" }, { &a->token, "token" },
		{ &a->key_authorization, "key-authorization" },
		{ &a->name, "name" }, { &a->path, "path" },
		{ &a->content, "content" },
		{ &a->account_url, "account-url" },
		{ &a->account, "account" }, { &a->issuer, "issuer" },
		{ &a->policy, "policy" },
	};
	enum pl_code code = PL_OK;
	int64_t ttl = 0;
	size_t i;

	for (i = 0; code == PL_OK && i < PL_NELEM(texts); i++)
		code = member_text(texts[i].to, object, texts[i].key, err);
	if (code == PL_OK)
		code = member_int(&a->persist_until, object, "persist-until",
		    INT64_MAX, err);
	if (code == PL_OK)
		code = member_int(&ttl, object, "ttl", INT32_MAX, err);
	a->ttl = (uint32_t)ttl;
	a->content_len = pl_json_strlen(pl_json_get(object, "content"));
	return code;
}

/*
 * Jobs carry A-labels, so that what a program asks for, what is compared
 * with routes and what a report shows are the same octets.
 */
static enum pl_code
member_ascii(const char *key, const char *text, struct pl_err *err)
{
	char name[PL_NAME_MAX];
	const char *p;

	for (p = text; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p < 0x80)
			continue;
		p = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
		if (pl_name_ascii(name, p, true, NULL) != PL_OK)
			return pl_fail(err, PL_EINVAL,
			    "%s: must be ASCII", key);
		return pl_fail(err, PL_EINVAL,
		    "%s: has a U-label where a job has A-labels: %.*s%s", key,
		    (int)(p - text), text, name);
	}
	return PL_OK;
}

static enum pl_code
args_ascii(const struct pl_challenge_args *a, struct pl_err *err)
{
	enum pl_code code;

	code = member_ascii("domain", a->domain, err);
	if (code == PL_OK)
		code = member_ascii("name", a->name, err);
	if (code == PL_OK && pl_streq(a->method, "dns-cname"))
		code = member_ascii("value", a->value, err);
	if (code == PL_OK)
		code = member_ascii("issuer", a->issuer, err);
	return code;
}

static enum pl_code
challenge_make(struct pl_challenge *c, const json_t *object, size_t i,
    struct pl_err *err)
{
	struct pl_challenge_args args = { 0 };
	enum pl_code code;
	struct pl_err why;

	if (!pl_json_is_object(object))
		return pl_fail(err, PL_EINVAL,
		    "challenges[%zu]: must be an object", i);
	code = pl_json_known(object, "", challenge_known, &why);
	if (code == PL_OK)
		code = challenge_args(&args, object, &why);
	if (code == PL_OK)
		code = args_ascii(&args, &why);
	if (code == PL_OK)
		code = pl_challenge_make(c, &args, &why);
	if (code != PL_OK)
		return pl_fail(err, code, "challenges[%zu].%s", i, why.text);
	return PL_OK;
}

/* ---- one job ------------------------------------------------------------ */

static const char *const job_known[] = {
	"job", "deadline", "hold", "notify", "challenges", NULL
};

static enum pl_code
job_id(struct pl_job *j, const json_t *doc, struct pl_err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._:-";
	enum pl_code code;
	const char *id;
	char made[17];
	size_t good;

	code = member_text(&id, doc, "job", err);
	if (code != PL_OK)
		return code;
	if (id == NULL) {
		pl_random_name(made, sizeof(made) - 1);
		id = made;
	}
	good = strspn(id, letters);
	if (good == 0 || good > JOB_ID_MAX || id[good] != '\0')
		return pl_fail(err, PL_EINVAL, "job: \"%.*s\": must be 1 to "
		    "%d of A-Z a-z 0-9 . _ : -", JOB_SHOWN, id, JOB_ID_MAX);
	j->id = pl_strdup(id);
	return PL_OK;
}

static enum pl_code
job_deadline(struct pl_job *j, const json_t *doc, struct pl_err *err)
{
	enum pl_code code;
	const char *text;

	code = member_text(&text, doc, "deadline", err);
	if (code != PL_OK || text == NULL)
		return code;
	if (pl_time_parse(&j->deadline, text, err) != PL_OK)
		return pl_prefix(err, "deadline");
	/* 0 would say that none is given. */
	if (j->deadline <= 0)
		return pl_fail(err, PL_EINVAL,
		    "deadline: %s: long ago", text);
	return PL_OK;
}

static enum pl_code
job_hold(struct pl_job *j, const json_t *doc, struct pl_err *err)
{
	const json_t *v = pl_json_get(doc, "hold");
	const char *text = pl_json_str(v);

	j->hold = PL_HOLD_RELEASED;
	if (v == NULL || pl_streq(text, "until-released"))
		return PL_OK;
	if (pl_streq(text, "until-visible")) {
		j->hold = PL_HOLD_VISIBLE;
		return PL_OK;
	}
	j->hold = PL_HOLD_SECONDS;
	j->hold_seconds = pl_json_num(v);
	if (!pl_json_is_int(v) || j->hold_seconds < 1 ||
	    j->hold_seconds > JOB_HOLD_MAX)
		return pl_fail(err, PL_EINVAL, "hold: must be "
		    "\"until-released\", \"until-visible\", or seconds from 1 "
		    "to %lld", JOB_HOLD_MAX);
	return PL_OK;
}

/* Only the configuration knows what program it is. */
static enum pl_code
job_notify(struct pl_job *j, const json_t *doc, struct pl_err *err)
{
	enum pl_code code;
	const char *name;

	code = member_text(&name, doc, "notify", err);
	if (code != PL_OK || name == NULL)
		return code;
	if (name[0] == '\0' || strlen(name) > JOB_ID_MAX)
		return pl_fail(err, PL_EINVAL, "notify: must be a name of 1 "
		    "to %d octets", JOB_ID_MAX);
	j->notify = pl_strdup(name);
	return PL_OK;
}

static int
challenge_order(const void *pa, const void *pb)
{
	const struct pl_challenge *a = *(const struct pl_challenge *const *)pa;
	const struct pl_challenge *b = *(const struct pl_challenge *const *)pb;
	int d = strcmp(a->record, b->record);

	if (d == 0)
		d = strcmp(a->shown, b->shown);
	if (d == 0)
		d = (a->method > b->method) - (a->method < b->method);
	if (d == 0)
		d = (a->value_len > b->value_len) -
		    (a->value_len < b->value_len);
	if (d == 0)
		d = memcmp(a->value, b->value, a->value_len);
	if (d == 0)
		d = strcmp(a->account != NULL ? a->account : "",
		    b->account != NULL ? b->account : "");
	return d;
}

/* Refuses the very same challenge twice; *bad is the later one. */
static enum pl_code
job_twins(const struct pl_job *j, size_t *bad, struct pl_err *err)
{
	const struct pl_challenge **sorted;
	enum pl_code code = PL_OK;
	size_t i, a, b;

	sorted = pl_array(j->n, sizeof(struct pl_challenge *));
	for (i = 0; i < j->n; i++)
		sorted[i] = &j->challenges[i];
	qsort(sorted, j->n, sizeof(struct pl_challenge *), challenge_order);
	for (i = 1; i < j->n && code == PL_OK; i++) {
		if (challenge_order(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		a = (size_t)(sorted[i - 1] - j->challenges);
		b = (size_t)(sorted[i] - j->challenges);
		*bad = a > b ? a : b;
		code = pl_fail(err, PL_EINVAL,
		    "challenges[%zu]: is the same as challenges[%zu]", *bad,
		    a > b ? b : a);
	}
	free(sorted);
	return code;
}

static enum pl_code
job_challenges(struct pl_job *j, const json_t *doc, size_t *bad,
    struct pl_err *err)
{
	const json_t *list = pl_json_get(doc, "challenges");
	enum pl_code code;
	size_t n;

	if (!pl_json_is_array(list))
		return pl_fail(err, PL_EINVAL, "challenges: %s",
		    list == NULL ? "missing" : "must be an array");
	n = pl_json_count(list);
	if (n == 0)
		return pl_fail(err, PL_EINVAL, "challenges: empty");
	j->challenges = pl_array(n, sizeof(*j->challenges));
	for (; j->n < n; j->n++) {
		code = challenge_make(&j->challenges[j->n],
		    pl_json_at(list, j->n), j->n, err);
		if (code != PL_OK) {
			*bad = j->n;
			return code;
		}
	}
	return job_twins(j, bad, err);
}

/* *bad is the index of the challenge that is wrong, or JOB_NO_INDEX. */
static enum pl_code
job_make(struct pl_job *j, const json_t *doc, bool keep, size_t *bad,
    struct pl_err *err)
{
	enum pl_code code;

	memset(j, 0, sizeof(*j));
	*bad = JOB_NO_INDEX;
	if (!pl_json_is_object(doc))
		return pl_fail(err, PL_EINVAL, "a job must be an object");
	code = pl_json_known(doc, "", job_known, err);
	if (code == PL_OK)
		code = job_id(j, doc, err);
	if (code == PL_OK)
		code = job_deadline(j, doc, err);
	if (code == PL_OK)
		code = job_hold(j, doc, err);
	if (code == PL_OK)
		code = job_notify(j, doc, err);
	if (code == PL_OK && keep)
		j->doc = pl_json_text(doc);
	if (code == PL_OK)
		code = job_challenges(j, doc, bad, err);
	if (code != PL_OK)
		pl_job_clear(j);
	return code;
}

enum pl_code
pl_job_make(struct pl_job *j, const json_t *doc, struct pl_err *err)
{
	struct pl_err own;
	size_t bad;

	return job_make(j, doc, true, &bad, err != NULL ? err : &own);
}

void
pl_job_clear(struct pl_job *j)
{
	size_t i;

	for (i = 0; i < j->n; i++)
		pl_challenge_clear(&j->challenges[i]);
	free(j->challenges);
	free(j->id);
	free(j->notify);
	free(j->doc);
	free(j->ca);
	memset(j, 0, sizeof(*j));
}

/* ---- places in a text ---------------------------------------------------- */

/*
 * Walks over JSON text by its quotes and brackets only.  What it stands on
 * has been parsed, or is about to be: it need not be right, it must stop.
 */
struct walk {
	const char *p, *end;
	unsigned line;
	unsigned depth;
};

/* Steps behind the next bracket, comma or string; gives its first octet. */
static char
walk_next(struct walk *w)
{
	char c;

	for (; w->p < w->end; w->p++) {
		c = *w->p;
		if (c == '\n') {
			w->line++;
		} else if (c == '"') {
			for (w->p++; w->p < w->end && *w->p != '"'; w->p++)
				if (*w->p == '\\' && w->p + 1 < w->end)
					w->p++;
			w->p += w->p < w->end;
			return c;
		} else if (c == '{' || c == '[') {
			w->depth++;
			w->p++;
			return c;
		} else if (c == '}' || c == ']') {
			w->depth -= w->depth > 0;
			w->p++;
			return c;
		} else if (c == ',') {
			w->p++;
			return c;
		}
	}
	return '\0';
}

static void
walk_blanks(struct walk *w)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' ||
	    *w->p == '\r' || *w->p == '\n')) {
		w->line += *w->p == '\n';
		w->p++;
	}
}

/* Moves to element i of the array whose bracket was just passed. */
static void
walk_element(struct walk *w, size_t i)
{
	unsigned inside = w->depth;
	char c;

	while (i > 0 && (c = walk_next(w)) != '\0')
		if (c == ',' && w->depth == inside)
			i--;
	walk_blanks(w);
}

/* Moves to challenge i of the job that begins here, if it is found. */
static void
walk_challenge(struct walk *w, size_t i)
{
	static const char key[] = "\"challenges\"";
	struct walk at = *w;
	unsigned outside = w->depth;
	const char *from;
	char c;

	do {
		walk_blanks(&at);
		from = at.p;
		c = walk_next(&at);
		if (c != '"' || at.depth != outside + 1 ||
		    (size_t)(at.p - from) != sizeof(key) - 1 ||
		    memcmp(from, key, sizeof(key) - 1) != 0)
			continue;
		if (walk_next(&at) == '[') {
			walk_element(&at, i);
			*w = at;
		}
		return;
	} while (c != '\0');
}

/* ---- all jobs of a text ----------------------------------------------- */

struct reading {
	const char *what;
	bool docs;		/* keep the JSON of each job */
	struct pl_job *jobs;
	unsigned *lines;	/* where each job begins */
	size_t n, room;
	struct pl_err *err;
};

/* One job more, from the document and the place where its text begins. */
static enum pl_code
reading_job(struct reading *r, const json_t *doc, struct walk at)
{
	enum pl_code code;
	size_t bad;

	if (r->n == r->room) {
		r->room = r->room > 0 ? 2 * r->room : 8;
		r->jobs = pl_grow(r->jobs, r->room, sizeof(*r->jobs));
		r->lines = pl_grow(r->lines, r->room, sizeof(*r->lines));
	}
	r->lines[r->n] = at.line;
	code = job_make(&r->jobs[r->n], doc, r->docs, &bad, r->err);
	if (code == PL_OK) {
		r->n++;
		return PL_OK;
	}
	if (bad != JOB_NO_INDEX)
		walk_challenge(&at, bad);
	return pl_prefix(r->err, "%s: line %u", r->what, at.line);
}

/* A text that is one document: a job, or an array of jobs. */
static enum pl_code
reading_whole(struct reading *r, struct walk w)
{
	enum pl_code code;
	json_t *doc;
	size_t i;

	code = pl_json_parse_at(&doc, w.p, (size_t)(w.end - w.p), r->what,
	    w.line, r->err);
	if (code == PL_OK && !pl_json_is_array(doc))
		code = reading_job(r, doc, w);
	else if (code == PL_OK && pl_json_count(doc) == 0)
		code = pl_fail(r->err, PL_EINVAL,
		    "%s: line %u: no job in the array", r->what, w.line);
	else if (code == PL_OK) {
		walk_next(&w);
		for (i = 0; code == PL_OK && i < pl_json_count(doc); i++) {
			walk_element(&w, i > 0);
			code = reading_job(r, pl_json_at(doc, i), w);
		}
	}
	pl_json_free(doc);
	return code;
}

/* A job a line. */
static enum pl_code
reading_lines(struct reading *r, struct walk w)
{
	enum pl_code code = PL_OK;
	struct walk line;
	const char *nl;
	json_t *doc;

	for (; code == PL_OK && w.p < w.end; w.line++) {
		nl = memchr(w.p, '\n', (size_t)(w.end - w.p));
		line = w;
		line.end = nl != NULL ? nl : w.end;
		w.p = nl != NULL ? nl + 1 : w.end;
		walk_blanks(&line);
		if (line.p == line.end)
			continue;
		code = pl_json_parse_at(&doc, line.p,
		    (size_t)(line.end - line.p), r->what, line.line, r->err);
		if (code == PL_OK)
			code = reading_job(r, doc, line);
		pl_json_free(doc);
	}
	return code;
}

/*
 * Does the text have a whole object in its first line, and more behind that
 * line?  Then a job a line is meant.
 */
static bool
reading_by_line(struct walk w)
{
	unsigned line = w.line;

	if (walk_next(&w) != '{')
		return false;
	while (w.depth > 0)
		if (walk_next(&w) == '\0')
			return false;
	if (w.line != line)
		return false;
	walk_blanks(&w);
	return w.p < w.end;
}

static int
job_order(const void *pa, const void *pb)
{
	const struct pl_job *a = *(const struct pl_job *const *)pa;
	const struct pl_job *b = *(const struct pl_job *const *)pb;

	return strcmp(a->id, b->id);
}

static enum pl_code
reading_twins(const struct reading *r)
{
	const struct pl_job **sorted;
	enum pl_code code = PL_OK;
	size_t i, a, b;

	sorted = pl_array(r->n, sizeof(struct pl_job *));
	for (i = 0; i < r->n; i++)
		sorted[i] = &r->jobs[i];
	qsort(sorted, r->n, sizeof(struct pl_job *), job_order);
	for (i = 1; i < r->n && code == PL_OK; i++) {
		if (job_order(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		a = (size_t)(sorted[i - 1] - r->jobs);
		b = (size_t)(sorted[i] - r->jobs);
		code = pl_fail(r->err, PL_EINVAL,
		    "%s: line %u: job: %.*s: is the id of the job in line %u "
		    "too", r->what, r->lines[a > b ? a : b], JOB_SHOWN,
		    r->jobs[a].id, r->lines[a > b ? b : a]);
	}
	free(sorted);
	return code;
}

static enum pl_code
reading_text(struct reading *r, const char *text, size_t len)
{
	struct walk w = { text, text + len, 1, 0 };
	enum pl_code code;

	if (len > PL_LIM_JOB)
		return pl_fail(r->err, PL_EINVAL,
		    "%s: more than %u octets", r->what, PL_LIM_JOB);
	walk_blanks(&w);
	if (w.p == w.end)
		return pl_fail(r->err, PL_EINVAL,
		    "%s: line %u: there is no job", r->what, w.line);
	code = reading_by_line(w) ? reading_lines(r, w) : reading_whole(r, w);
	return code == PL_OK ? reading_twins(r) : code;
}

enum pl_code
pl_jobs_read(struct pl_job **jobs, size_t *n, const char *text, size_t len,
    const char *what, bool docs, struct pl_err *err)
{
	struct pl_err own;
	struct reading r = { .what = what, .docs = docs,
		.err = err != NULL ? err : &own };
	enum pl_code code;

	*jobs = NULL;
	*n = 0;
	code = reading_text(&r, text, len);
	if (code == PL_OK) {
		*jobs = r.jobs;
		*n = r.n;
		r.jobs = NULL;
		r.n = 0;
	}
	while (r.n > 0)
		pl_job_clear(&r.jobs[--r.n]);
	free(r.jobs);
	free(r.lines);
	return code;
}
