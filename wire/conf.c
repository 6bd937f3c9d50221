/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Configuration files: libconfuse's syntax, read without libconfuse.
 *
 * libconfuse 3.3 cannot keep this door's promises: it counts two or three
 * lines for each comment, so its line numbers are wrong; it stops at the
 * first fault; its copies of secrets are not wiped.  tests/unit/test_wire_conf_same.c
 * holds this reader against the library itself.
 */
#include "conf-lex.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_DEPTH 10		/* include() within include() */
#define CONF_FILES 256		/* files of one configuration */
#define CONF_FAULTS 200		/* faults shown */

/* ---- faults ----------------------------------------------------------- */

void
pl_faults_init(struct pl_faults *f)
{
	pl_buf_init(&f->text, PL_LIM_FRAME);
	f->n = 0;
}

void
pl_faults_clear(struct pl_faults *f)
{
	if (f == NULL)
		return;
	pl_buf_clear(&f->text);
	f->n = 0;
}

/* The line that a fault's text names, where it is one of this file. */
static unsigned long
fault_line(const char *text, const char *file)
{
	size_t n = strlen(file);

	if (strncmp(text, file, n) != 0 || text[n] != ':')
		return 0;
	return strtoul(text + n + 1, NULL, 10);
}

/* Where a fault goes: before those of later lines of the same file. */
static size_t
fault_place(const struct pl_faults *f, const char *file, unsigned line)
{
	const char *p = f->text.data;

	for (; line > 0 && *p != '\0'; p = strchr(p, '\n') + 1)
		if (fault_line(p, file) > line)
			return (size_t)(p - f->text.data);
	return f->text.len;
}

void
pl_fault(struct pl_faults *f, const char *file, unsigned line,
    const char *key, const char *fmt, ...)
{
	struct pl_buf part, all;
	size_t place, i;
	va_list ap;

	if (++f->n > CONF_FAULTS)
		return;
	pl_buf_init(&part, PL_LIM_LINE);
	pl_buf_init(&all, f->text.limit);
	va_start(ap, fmt);
	pl_buf_vaddf(&part, fmt, ap);
	va_end(ap);
	for (i = 0; i < part.len; i++)
		if ((unsigned char)part.data[i] < 0x20 || part.data[i] == 0x7f)
			part.data[i] = '?';
	place = fault_place(f, file, line);
	pl_buf_add(&all, f->text.data, place);
	pl_buf_adds(&all, file);
	if (line > 0)
		pl_buf_addf(&all, ":%u", line);
	pl_buf_adds(&all, ": ");
	if (key != NULL)
		pl_buf_addf(&all, "%s: ", key);
	pl_buf_adds(&all, part.failed ? "wrong" : part.data);
	pl_buf_addc(&all, '\n');
	pl_buf_adds(&all, f->text.data + place);
	pl_buf_clear(&part);
	pl_buf_clear(&f->text);
	f->text = all;
}

/* ---- words that are nearly right --------------------------------------- */

#define NEAR_MAX 48

/* How many letters to change, drop, add or swap (Damerau-Levenshtein). */
static size_t
near_distance(const char *a, const char *b)
{
	size_t before[NEAR_MAX], last[NEAR_MAX], now[NEAR_MAX];
	size_t i, j, best, la = strlen(a), lb = strlen(b);

	if (la >= NEAR_MAX || lb >= NEAR_MAX)
		return NEAR_MAX;
	memset(before, 0, sizeof(before));
	for (j = 0; j <= lb; j++)
		last[j] = j;
	for (i = 1; i <= la; i++) {
		now[0] = i;
		for (j = 1; j <= lb; j++) {
			best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		memcpy(before, last, sizeof(before));
		memcpy(last, now, (lb + 1) * sizeof(now[0]));
	}
	return last[lb];
}

const char *
pl_nearest(const char *word, const char *const *list)
{
	const char *found = NULL;
	size_t i, d, best, len = strlen(word);

	best = len < 3 ? 2 : len / 3 + 1;
	for (i = 0; list[i] != NULL; i++) {
		d = near_distance(word, list[i]);
		if (d < best) {
			best = d;
			found = list[i];
		}
	}
	for (i = 0; found == NULL && len > 3 && list[i] != NULL; i++)
		if (strstr(list[i], word) != NULL ||
		    (strlen(list[i]) > 3 && strstr(word, list[i]) != NULL))
			found = list[i];
	return found;
}

bool
pl_conf_bool(bool *out, const char *text)
{
	static const char *const yes[] = { "true", "yes", "on" };
	static const char *const no[] = { "false", "no", "off" };
	size_t i;

	*out = false;
	for (i = 0; i < PL_NELEM(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0)
			*out = true;
		if (*out || strcasecmp(text, no[i]) == 0)
			return true;
	}
	return false;
}

/* ---- the tree ----------------------------------------------------------- */

static void
conf_wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void
conf_value_clear(struct pl_conf_value *v)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		conf_wipe(v->text[i]);
	free(v->text);
	conf_wipe(v->key);
	free(v->file);
	memset(v, 0, sizeof(*v));
}

static void
conf_section_clear(struct pl_conf_section *s)
{
	size_t i;

	for (i = 0; i < s->nvalues; i++)
		conf_value_clear(&s->values[i]);
	for (i = 0; i < s->nsections; i++)
		conf_section_clear(&s->sections[i]);
	free(s->values);
	free(s->sections);
	free(s->type);
	free(s->title);
	free(s->file);
}

void
pl_conf_free(struct pl_conf_section *root)
{
	if (root == NULL)
		return;
	conf_section_clear(root);
	free(root);
}

static struct pl_conf_value *
conf_find(const struct pl_conf_section *s, const char *key)
{
	size_t i;

	for (i = 0; i < s->nvalues; i++)
		if (strcmp(s->values[i].key, key) == 0)
			return &s->values[i];
	return NULL;
}

const struct pl_conf_value *
pl_conf_value(const struct pl_conf_section *s, const char *key)
{
	return conf_find(s, key);
}

/* Keeps text. */
static void
conf_value_push(struct pl_conf_value *v, char *text)
{
	v->text = pl_grow(v->text, v->n + 1, sizeof(v->text[0]));
	v->text[v->n++] = text;
}

/* ---- sections and values ------------------------------------------------ */

static void conf_items(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, bool braced);
static enum pl_code conf_file(struct conf_run *run, const char *path,
    unsigned depth, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, struct pl_err *err);

static const struct pl_conf_spec *
conf_spec_find(const struct pl_conf_spec *spec, const char *name)
{
	const struct pl_conf_spec *any = NULL;

	for (; spec != NULL && spec->name != NULL; spec++) {
		if (strcmp(spec->name, name) == 0)
			return spec;
		if (strcmp(spec->name, PL_CONF_ANY) == 0)
			any = spec;
	}
	return any;
}

/* What is not shaped like a key may be part of a value: it is not shown. */
static bool
conf_is_key(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n > 0 && n < NEAR_MAX && s[n] == '\0' &&
	    strchr("0123456789-_", s[0]) == NULL;
}

static void
conf_fault_unknown(struct conf_reader *r, const struct pl_conf_spec *spec,
    const char *key, unsigned line, bool section)
{
	const char *names[64], *near;
	struct pl_buf known;
	size_t n = 0;

	pl_buf_init(&known, PL_LIM_LINE / 8);
	for (; spec != NULL && spec->name != NULL && n + 1 < 64; spec++)
		if (section == (spec->type == PL_CONF_SECTION)) {
			pl_buf_addf(&known, "%s%s", n == 0 ? "" : ", ",
			    spec->name);
			names[n++] = spec->name;
		}
	names[n] = NULL;
	near = pl_nearest(key, names);
	if (strcmp(key, "include") == 0)
		pl_fault(r->run->faults, r->file, line, NULL,
		    "write include(\"FILE\")");
	else if (!conf_is_key(key))
		pl_fault(r->run->faults, r->file, line, NULL,
		    "a key is expected here (letters, digits and -); a value "
		    "with other characters stands in quotes");
	else if (near != NULL)
		pl_fault(r->run->faults, r->file, line, key,
		    "unknown %s; did you mean \"%s\"?",
		    section ? "section" : "key", near);
	else
		pl_fault(r->run->faults, r->file, line, key,
		    "unknown %s%s%s", section ? "section" : "key",
		    n > 0 ? "; known here: " : "; none may stand here",
		    n > 0 ? known.data : "");
	pl_buf_clear(&known);
}

/* Has a value been torn by a character that needs quotes? */
static bool
conf_torn(const struct conf_reader *r)
{
	switch (r->cur.kind) {
	case CONF_STRAY:
		return true;
	case CONF_END:
	case CONF_CLOSE:
	case CONF_COMMA:
		return false;
	default:
		return r->cur.glued;
	}
}

static void
conf_fault_torn(struct conf_reader *r, const char *key, unsigned line)
{
	pl_fault(r->run->faults, r->file, line, key,
	    "write the value in quotes: it holds a character that cannot "
	    "stand outside of them");
}

/* From somewhere in a list to behind it. */
static void
conf_skip_list(struct conf_reader *r)
{
	while (r->cur.kind != CONF_END && (!conf_at_text(&r->cur) ||
	    !conf_at_assignment(&r->next))) {
		bool end = r->cur.kind == CONF_CLOSE;

		conf_advance(r);
		if (end)
			return;
	}
}

/* Behind the { of a list. */
static void
conf_list(struct conf_reader *r, const char *key, struct pl_conf_value *v)
{
	v->list = true;
	for (;;) {
		if (r->cur.kind == CONF_CLOSE) {
			conf_advance(r);
			return;
		}
		if (conf_at_text(&r->cur) && !conf_at_assignment(&r->next))
			conf_value_push(v, conf_take(r));
		else if (r->cur.kind != CONF_STRAY)
			break;
		if (conf_torn(r)) {
			conf_fault_torn(r, key, r->cur.line);
			conf_skip_list(r);
			return;
		}
		if (r->cur.kind == CONF_COMMA) {
			conf_advance(r);
		} else if (conf_at_text(&r->cur) &&
		    !conf_at_assignment(&r->next)) {
			pl_fault(r->run->faults, r->file, r->cur.line, key,
			    "a comma is missing between the values of the list");
		} else if (r->cur.kind != CONF_CLOSE) {
			break;
		}
	}
	pl_fault(r->run->faults, r->file, v->line, key,
	    "this list is not closed: write %s = { \"…\", \"…\" }", key);
	conf_skip_list(r);
}

/* Behind = or +=; false: there is no value, a fault has been told. */
static bool
conf_value(struct conf_reader *r, const char *key, struct pl_conf_value *v)
{
	if (r->cur.kind == CONF_OPEN) {
		conf_advance(r);
		conf_list(r, key, v);
		return true;
	}
	if (r->cur.kind == CONF_STRAY && r->cur.line == v->line) {
		conf_fault_torn(r, key, v->line);
		conf_skip_line(r, v->line);
		return false;
	}
	if (!conf_at_text(&r->cur) ||
	    (r->cur.line > v->line && (conf_at_assignment(&r->next) ||
	    r->next.kind == CONF_OPEN))) {
		pl_fault(r->run->faults, r->file, v->line, key,
		    "a value is missing behind the equals sign");
		if (r->cur.line == v->line)
			conf_skip_line(r, v->line);
		return false;
	}
	conf_value_push(v, conf_take(r));
	if (conf_torn(r)) {
		conf_fault_torn(r, key, v->line);
		conf_skip_line(r, r->cur.line);
	}
	return true;
}

static bool
conf_normal_int(struct pl_conf_value *v)
{
	char *end, text[24];
	long long n;

	errno = 0;
	n = strtoll(v->text[0], &end, 0);
	if (errno != 0 || end == v->text[0] || *end != '\0')
		return false;
	snprintf(text, sizeof(text), "%lld", n);
	conf_wipe(v->text[0]);
	v->text[0] = pl_strdup(text);
	return true;
}

/* Checks the value against its type and brings it to its normal form. */
static bool
conf_check(struct conf_reader *r, const struct pl_conf_spec *spec,
    struct pl_conf_value *v)
{
	const char *want = NULL;
	bool b;

	if (spec->type == PL_CONF_LIST)
		return true;
	if (v->list) {
		want = "one value is expected, not a list";
	} else if (spec->type == PL_CONF_INT) {
		if (!conf_normal_int(v))
			want = "a whole number is expected";
	} else if (spec->type == PL_CONF_BOOL) {
		if (!pl_conf_bool(&b, v->text[0])) {
			want = "true or false is expected";
		} else {
			conf_wipe(v->text[0]);
			v->text[0] = pl_strdup(b ? "true" : "false");
		}
	}
	if (want != NULL)
		pl_fault(r->run->faults, r->file, v->line, v->key, "%s", want);
	return want == NULL;
}

/* Puts v, which it keeps, into the section. */
static void
conf_store(struct conf_reader *r, struct pl_conf_section *sec,
    struct pl_conf_value *v, bool add)
{
	struct pl_conf_value *old = conf_find(sec, v->key);
	size_t i;

	if (old != NULL && add) {
		old->list = true;
		old->shared |= v->shared;
		for (i = 0; i < v->n; i++)
			conf_value_push(old, v->text[i]);
		v->n = 0;
	} else if (old != NULL) {
		pl_fault(r->run->faults, r->file, v->line, v->key,
		    "given twice; first in %s, line %u", old->file, old->line);
	}
	if (old != NULL) {
		conf_value_clear(v);
		return;
	}
	sec->values = pl_grow(sec->values, sec->nvalues + 1,
	    sizeof(sec->values[0]));
	sec->values[sec->nvalues++] = *v;
}

/* At = or +=, behind the key. */
static void
conf_assign(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, const char *key, unsigned line)
{
	const struct pl_conf_spec *found = conf_spec_find(spec, key);
	bool add = r->cur.kind == CONF_ADD, fine;
	struct pl_conf_value v = { .line = r->cur.line, .list = add,
		.shared = r->shared };

	v.key = pl_strdup(key);
	v.file = pl_strdup(r->file);
	conf_advance(r);
	fine = conf_value(r, conf_is_key(key) ? key : "KEY", &v);
	v.line = line;
	if ((spec != NULL && found == NULL) || !conf_is_key(key)) {
		conf_fault_unknown(r, spec, key, line, false);
		fine = false;
	} else if (found != NULL && found->type == PL_CONF_SECTION) {
		pl_fault(r->run->faults, r->file, line, key,
		    "this is a section: write %s%s { … }", key,
		    found->titled ? " \"NAME\"" : "");
		fine = false;
	} else if (fine && found != NULL) {
		fine = conf_check(r, found, &v);
	}
	if (fine)
		conf_store(r, sec, &v, add);
	else
		conf_value_clear(&v);
}

/* The section to fill: a new one, or the untitled one that is there. */
static struct pl_conf_section *
conf_section_place(struct conf_reader *r, struct pl_conf_section *sec,
    const char *type, const char *title, unsigned line)
{
	struct pl_conf_section *new;
	size_t i;

	for (i = 0; title == NULL && i < sec->nsections; i++)
		if (strcmp(sec->sections[i].type, type) == 0)
			return &sec->sections[i];
	sec->sections = pl_grow(sec->sections, sec->nsections + 1,
	    sizeof(sec->sections[0]));
	new = &sec->sections[sec->nsections++];
	memset(new, 0, sizeof(*new));
	new->type = pl_strdup(type);
	new->title = pl_strdup(title);
	new->file = pl_strdup(r->file);
	new->line = line;
	return new;
}

/* At the { of a section, behind its type and title. */
static void
conf_section(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, const char *type, const char *title,
    unsigned line)
{
	const struct pl_conf_spec *found = conf_spec_find(spec, type);

	if (found == NULL || found->type != PL_CONF_SECTION) {
		if (found != NULL)
			pl_fault(r->run->faults, r->file, line, type,
			    "this is no section: an equals sign is missing");
		else
			conf_fault_unknown(r, spec, type, line, true);
		conf_advance(r);
		conf_skip_braces(r);
		return;
	}
	if (found->titled && title == NULL)
		pl_fault(r->run->faults, r->file, line, type,
		    "a name is missing: write %s \"NAME\" { … }", type);
	else if (!found->titled && title != NULL)
		pl_fault(r->run->faults, r->file, line, type,
		    "this section has no name: write %s { … }", type);
	conf_advance(r);
	conf_items(r, conf_section_place(r, sec, type,
	    !found->titled ? NULL : title != NULL ? title : "", line),
	    found->inside, true);
}

/* Does a section of the root begin here, inside another one? */
static bool
conf_at_root_section(const struct conf_reader *r,
    const struct pl_conf_spec *spec)
{
	const struct pl_conf_spec *root, *own;

	if (spec == r->run->spec || !conf_at_text(&r->cur))
		return false;
	own = conf_spec_find(spec, r->cur.text.data);
	if (own != NULL && strcmp(own->name, PL_CONF_ANY) != 0)
		return false;
	root = conf_spec_find(r->run->spec, r->cur.text.data);
	if (root == NULL || root->type != PL_CONF_SECTION)
		return false;
	return r->next.kind == CONF_OPEN ||
	    (root->titled && conf_at_text(&r->next));
}

/* The path an include() means: relative to the file it stands in. */
static void
conf_include_path(struct pl_buf *b, const struct conf_reader *r,
    const char *arg, bool pattern)
{
	const char *slash = strrchr(r->file, '/'), *p;

	if (arg[0] != '/' && slash != NULL)
		for (p = r->file; p <= slash; p++) {
			if (pattern && strchr("*?[\\", *p) != NULL)
				pl_buf_addc(b, '\\');
			pl_buf_addc(b, *p);
		}
	pl_buf_adds(b, arg);
}

static void
conf_include_one(struct conf_reader *r, const char *path, unsigned line,
    struct pl_conf_section *sec, const struct pl_conf_spec *spec)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (conf_file(r->run, path, r->depth + 1, sec, spec, &err) != PL_OK)
		pl_fault(r->run->faults, r->file, line, "include", "%s",
		    err.text);
}

static int
conf_glob_error(const char *path PL_UNUSED, int error)
{
	return error != ENOENT && error != ENOTDIR;
}

static void
conf_include(struct conf_reader *r, const char *arg, unsigned line,
    struct pl_conf_section *sec, const struct pl_conf_spec *spec)
{
	bool pattern = strpbrk(arg, "*?[") != NULL;
	struct pl_buf path;
	glob_t found;
	size_t i;
	int rc;

	pl_buf_init(&path, PL_LIM_LINE);
	conf_include_path(&path, r, arg, pattern);
	if (!pattern) {
		conf_include_one(r, path.data, line, sec, spec);
	} else {
		memset(&found, 0, sizeof(found));
		rc = glob(path.data, 0, conf_glob_error, &found);
		if (rc != 0 && rc != GLOB_NOMATCH)
			pl_fault(r->run->faults, r->file, line, "include",
			    "%s: the folder cannot be read", arg);
		for (i = 0; rc == 0 && i < found.gl_pathc; i++)
			conf_include_one(r, found.gl_pathv[i], line, sec, spec);
		globfree(&found);
	}
	pl_buf_clear(&path);
}

/* At the ( of include("…"). */
static void
conf_function(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, const char *name, unsigned line)
{
	char *arg = NULL;

	conf_advance(r);
	if (conf_at_text(&r->cur))
		arg = conf_take(r);
	if (strcmp(name, "include") != 0 || arg == NULL ||
	    r->cur.kind != CONF_RPAREN) {
		pl_fault(r->run->faults, r->file, line, NULL,
		    "only include(\"FILE\") is written with parentheses");
		conf_skip_line(r, line);
	} else {
		conf_include(r, arg, line, sec, spec);
		conf_advance(r);
	}
	conf_wipe(arg);
}

/* At a key or a section's type. */
static void
conf_item(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec)
{
	unsigned line = r->cur.line;
	char *key = conf_take(r), *title = NULL;

	if (conf_at_text(&r->cur) && r->next.kind == CONF_OPEN)
		title = conf_take(r);
	if (r->cur.kind == CONF_LPAREN) {
		conf_function(r, sec, spec, key, line);
	} else if (conf_at_assignment(&r->cur)) {
		conf_assign(r, sec, spec, key, line);
	} else if (r->cur.kind == CONF_OPEN) {
		conf_section(r, sec, spec, key, title, line);
	} else {
		pl_fault(r->run->faults, r->file, line,
		    conf_is_key(key) ? key : NULL, "%s",
		    strcmp(key, "include") == 0 ? "write include(\"FILE\")" :
		    "an equals sign is missing");
		conf_skip_line(r, line);
	}
	conf_wipe(key);
	conf_wipe(title);
}

/* All of a section, or of a file (not braced). */
static void
conf_items(struct conf_reader *r, struct pl_conf_section *sec,
    const struct pl_conf_spec *spec, bool braced)
{
	unsigned line = sec->line;

	for (;;) {
		if (r->cur.kind == CONF_END ||
		    (braced && conf_at_root_section(r, spec))) {
			if (braced)
				pl_fault(r->run->faults, r->file, line,
				    sec->type,
				    "this section is not closed: } is missing");
			return;
		}
		if (conf_at_text(&r->cur)) {
			conf_item(r, sec, spec);
			continue;
		}
		if (braced && r->cur.kind == CONF_CLOSE) {
			conf_advance(r);
			return;
		}
		pl_fault(r->run->faults, r->file, r->cur.line, NULL,
		    r->cur.kind == CONF_CLOSE ? "a } without its {" :
		    "a key is expected here");
		line = r->cur.line;
		conf_advance(r);
		conf_skip_line(r, line);
		line = sec->line;
	}
}

/* ---- files -------------------------------------------------------------- */

/* Who may write a file decides what placard runs and where it writes. */
static void
conf_check_rights(struct conf_run *run, const char *path, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? pl_strdup(".") :
	    slash == path ? pl_strdup("/") :
	    pl_strndup(path, (size_t)(slash - path));
	struct stat st;

	if ((mode & 022) != 0)
		pl_fault(run->faults, path, 0, NULL,
		    "others than its owner may write this file: chmod go-w %s",
		    path);
	if (stat(dir, &st) == 0 && (st.st_mode & 022) != 0 &&
	    (st.st_mode & S_ISVTX) == 0)
		pl_fault(run->faults, path, 0, NULL,
		    "others may replace files in its folder: chmod go-w %s",
		    dir);
	free(dir);
}

static enum pl_code
conf_slurp(struct pl_buf *b, const char *path, mode_t *mode,
    struct pl_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum pl_code rc = PL_OK;
	struct stat st;
	char part[4096];
	ssize_t n = 1;

	if (fd < 0)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	if (fstat(fd, &st) != 0)
		rc = pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = pl_fail(err, PL_EINVAL, "%s: not a regular file%s", path,
		    S_ISDIR(st.st_mode) ?
		    "; a folder's files are included as FOLDER/*.conf" : "");
	else
		*mode = st.st_mode;
	while (rc == PL_OK && n > 0 && !b->failed) {
		n = read(fd, part, sizeof(part));
		if (n > 0)
			pl_buf_add(b, part, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			rc = pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	}
	explicit_bzero(part, sizeof(part));
	close(fd);
	if (rc == PL_OK && b->failed)
		rc = pl_fail(err, PL_EINVAL, "%s: larger than %u octets", path,
		    PL_LIM_CONFIG);
	else if (rc == PL_OK && memchr(b->data, 0, b->len) != NULL)
		rc = pl_fail(err, PL_EINVAL, "%s: not a text file", path);
	return rc;
}

static enum pl_code
conf_file(struct conf_run *run, const char *path, unsigned depth,
    struct pl_conf_section *sec, const struct pl_conf_spec *spec,
    struct pl_err *err)
{
	struct conf_reader r = { .run = run, .file = path, .depth = depth };
	struct pl_buf text;
	enum pl_code rc;
	mode_t mode = 0;

	if (depth > CONF_DEPTH)
		return pl_fail(err, PL_EINVAL,
		    "%s: include() nests deeper than %d files", path,
		    CONF_DEPTH);
	if (++run->files > CONF_FILES)
		return pl_fail(err, PL_EINVAL, "%s: more than %d files", path,
		    CONF_FILES);
	pl_buf_init(&text, PL_LIM_CONFIG);
	rc = conf_slurp(&text, path, &mode, err);
	if (rc == PL_OK) {
		conf_check_rights(run, path, mode);
		r.shared = (mode & 077) != 0;
		conf_lex_begin(&r, text.data, text.len);
		conf_items(&r, sec, spec, false);
		conf_lex_end(&r);
	}
	pl_buf_clear(&text);
	return rc;
}

enum pl_code
pl_conf_read(struct pl_conf_section **out, const char *path,
    const struct pl_conf_spec *spec, struct pl_faults *faults,
    struct pl_err *err)
{
	struct conf_run run = { .faults = faults, .spec = spec };
	struct pl_conf_section *root;
	enum pl_code rc;

	*out = NULL;
	root = pl_alloc(sizeof(*root));
	root->type = pl_strdup("");
	root->title = pl_strdup("");
	root->file = pl_strdup(path);
	root->line = 1;
	rc = conf_file(&run, path, 0, root, spec, err);
	if (rc != PL_OK) {
		pl_conf_free(root);
		return rc;
	}
	*out = root;
	return PL_OK;
}
