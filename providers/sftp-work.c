/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The changes of one call over SFTP, step by step for many files at once.
 * See the head of sftp.c for the plan.
 */
#include "sftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64	/* files that are open at once */
#define LIST_MOST 64	/* packets of names that are read of a directory */

enum what { NOTHING, SIZED, SAME, OTHER };

struct item {
	const struct pl_change *c;
	struct pl_outcome *out;	/* NULL: the web.config, told to nobody */
	char *final, *temp;
	struct sftp_dir *dir;
	unsigned dirs;		/* as its handle says */
	enum what what;		/* is there under the final name */
	bool done;		/* its outcome is told */
	bool open, made;	/* temp: is open, may be there */
	struct pl_sftp_handle h;
	struct pl_err err;	/* of the step under way */
};

/* The requests of a step, and whose they are. */
struct step {
	struct sftp *f;
	int64_t deadline;
	struct pl_err *err;	/* of the call */
	struct pl_sftp_req *r;
	struct item **of;
	size_t n, cap;
};

char *
sftp_join(const char *dir, const char *name)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_SECRET);
	pl_buf_addf(&b, "%s%s%s", dir, strcmp(dir, "/") == 0 ? "" : "/",
	    name);
	return pl_buf_take(&b);
}

char *
sftp_path(const struct sftp *f, const char *below)
{
	return sftp_join(f->root, below);
}

/* ---- steps ------------------------------------------------------------------------- */

static void
step_ask(struct step *s, struct item *it, struct pl_sftp_req r)
{
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->r = pl_grow(s->r, s->cap, sizeof(s->r[0]));
		s->of = pl_grow(s->of, s->cap, sizeof(struct item *));
	}
	r.status = PL_SFTP_LOST;	/* until there is an answer */
	s->r[s->n] = r;
	s->of[s->n++] = it;
}

static void
step_reset(struct step *s)
{
	pl_sftp_req_clear(s->r, s->n);
	s->n = 0;
}

static enum pl_code
step_run(struct step *s)
{
	enum pl_code rc;

	if (s->n == 0)
		return PL_OK;
	rc = pl_sftp_do(s->f->link, s->r, s->n, s->deadline, s->err);
	if (rc != PL_OK)
		pl_prefix(s->err, "%s", s->f->host);
	return rc;
}

static bool
is_absent(const struct pl_sftp_req *r)
{
	return r->status == PL_SFTP_NO_FILE ||
	    r->status == 10;	/* no such path, of later versions */
}

/* ---- telling ------------------------------------------------------------------------ */

static void
item_fail(struct item *it, const struct pl_err *err)
{
	it->done = true;
	if (it->out == NULL)
		return;
	it->out->code = err->code;
	snprintf(it->out->text, sizeof(it->out->text), "%.*s",
	    (int)sizeof(it->out->text) - 1, err->text);
}

static void
item_ok(struct item *it, enum pl_was was)
{
	it->done = true;
	if (it->out == NULL)
		return;
	it->out->code = PL_OK;
	it->out->was = was;
}

static void
item_refuse(struct item *it, const struct pl_sftp_req *r, const char *path)
{
	struct pl_err err;

	pl_sftp_fail(r, path, &err);
	item_fail(it, &err);
}

static void
item_other(struct item *it)
{
	struct pl_err err;

	pl_fail(&err, PL_EREMOTE, "%s: something else is there already",
	    it->final);
	item_fail(it, &err);
}

/* ---- directories --------------------------------------------------------------------- */

/* Finds or notes the first n octets of path as a directory, and those above. */
static struct sftp_dir *
dir_of(struct sftp *f, const char *path, size_t n)
{
	struct sftp_dir *d;
	size_t up = n;

	for (size_t i = 0; i < f->ndirs; i++) {
		d = &f->dirs[i];
		if (strncmp(d->path, path, n) == 0 && d->path[n] == '\0')
			return d;
	}
	while (up > 0 && path[up - 1] != '/')
		up--;
	if (up > 0 && dir_of(f, path, up - 1) == NULL)
		return NULL;
	if (f->ndirs == SFTP_DIRS)
		return NULL;
	d = &f->dirs[f->ndirs++];
	*d = (struct sftp_dir){ .path = pl_strndup(path, n), .depth = 1 };
	for (size_t i = 0; i < n; i++)
		d->depth += path[i] == '/';
	return d;
}

static struct sftp_dir *
dir_above(struct sftp *f, const struct sftp_dir *d)
{
	const char *slash = strrchr(d->path, '/');

	return slash == NULL ? NULL :
	    dir_of(f, d->path, (size_t)(slash - d->path));
}

static void
dir_take(struct sftp_dir *d, const struct pl_sftp_req *r)
{
	if (!r->answered)
		return;
	d->missing = is_absent(r);
	d->blocked = r->status == PL_SFTP_OK && r->perm != 0 &&
	    !SFTP_IS_DIR(r->perm);
	d->looked = d->missing || r->status == PL_SFTP_OK;
	if (d->missing)
		d->ours = false;
}

static enum pl_code
dirs_look(struct step *s)
{
	struct sftp *f = s->f;
	enum pl_code rc;
	char *path[SFTP_DIRS];
	size_t i;

	for (i = 0; i < f->ndirs; i++) {
		path[i] = sftp_path(f, f->dirs[i].path);
		step_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_LSTAT,
			.path = path[i] });
	}
	rc = step_run(s);
	for (i = 0; i < f->ndirs; i++) {
		dir_take(&f->dirs[i], &s->r[i]);
		free(path[i]);
	}
	step_reset(s);
	return rc;
}

/* Its rights, whatever the server's umask: preferably not through a link, but
 * not every server that offers this can do it (OpenSSH without /proc). */
static enum pl_code
dir_mode(struct step *s, const char *path)
{
	static const enum pl_sftp_op ways[] = { PL_SFTP_LSETSTAT,
		PL_SFTP_SETSTAT };
	enum pl_code rc = PL_OK;
	bool set = false;

	for (size_t i = 0; i < 2 && rc == PL_OK && !set; i++) {
		if (ways[i] != PL_SFTP_SETSTAT &&
		    !pl_sftp_knows(s->f->link, ways[i]))
			continue;
		step_reset(s);
		step_ask(s, NULL, (struct pl_sftp_req){ .op = ways[i],
			.path = path, .mode = s->f->dirmode });
		rc = step_run(s);
		set = rc == PL_OK && s->r[0].status == PL_SFTP_OK;
	}
	return rc;
}

/* Makes one directory. */
static enum pl_code
dir_make(struct step *s, struct sftp_dir *d, struct pl_err *why)
{
	struct sftp *f = s->f;
	char *path = sftp_path(f, d->path);
	enum pl_code rc;

	step_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_MKDIR,
		.path = path, .mode = f->dirmode });
	rc = step_run(s);
	if (rc == PL_OK && s->r[0].status == PL_SFTP_OK) {
		d->ours = true;
		d->missing = false;
		rc = dir_mode(s, path);
	} else if (rc == PL_OK) {
		/* Somebody else's may have come between. */
		pl_sftp_fail(&s->r[0], path, why);
		step_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_LSTAT,
			.path = path });
		s->r[0] = s->r[1];
		s->n = 1;
		rc = step_run(s);
		if (rc == PL_OK)
			dir_take(d, &s->r[0]);
	}
	step_reset(s);
	free(path);
	return rc;
}

/* Makes what is missing above an item; its failure is the item's. */
static enum pl_code
dirs_make(struct step *s, struct item *it, struct sftp_dir *d)
{
	struct sftp_dir *up = dir_above(s->f, d);
	struct pl_err why;
	enum pl_code rc = PL_OK;

	if (up != NULL)
		rc = dirs_make(s, it, up);
	if (rc != PL_OK || it->done)
		return rc;
	pl_err_clear(&why);
	if (d->missing)
		rc = dir_make(s, d, &why);
	if (rc != PL_OK)
		return rc;
	if (d->blocked)
		pl_fail(&why, PL_EREMOTE, "%s/%s: a link or a file is in the "
		    "way", s->f->root, d->path);
	else if (!d->missing)
		return PL_OK;
	item_fail(it, &why);
	return PL_OK;
}

/* How many directories above the item, from the deepest up, are not there or
 * are ours. */
static unsigned
dirs_ours(struct sftp *f, struct sftp_dir *d)
{
	unsigned n = 0;

	for (; d != NULL && (d->missing || d->ours); d = dir_above(f, d))
		n++;
	return n;
}

/* ---- what is there ---------------------------------------------------------------------- */

static void
take_lstat(struct item *it, const struct pl_sftp_req *r)
{
	if (!r->answered)
		return;
	if (is_absent(r))
		it->what = NOTHING;
	else if (r->status != PL_SFTP_OK)
		item_refuse(it, r, it->final);
	else if (!SFTP_IS_REG(r->perm) && r->perm != 0)
		it->what = OTHER;
	else
		it->what = r->sized && r->size != it->c->value_len ? OTHER :
		    SIZED;
}

/* Opens those of the right size, and asks for a little more than all. */
static enum pl_code
compare_open(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].what == SIZED)
			step_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_OPEN, .path = it[i].final,
				.flags = PL_SFTP_READ_FLAG,
				.mode = PL_SFTP_NO_MODE });
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		struct item *t = s->of[i];

		t->open = s->r[i].answered && s->r[i].status == PL_SFTP_OK;
		t->h = s->r[i].got;
		if (t->open || !s->r[i].answered)
			continue;
		if (is_absent(&s->r[i]))
			t->what = NOTHING;
		else
			item_refuse(t, &s->r[i], t->final);
	}
	step_reset(s);
	return rc;
}

static bool
chunk_same(const struct item *it, const struct pl_sftp_req *r)
{
	size_t left = it->c->value_len - (size_t)r->offset;

	if (left == 0)		/* there must be nothing more */
		return r->status == PL_SFTP_EOF;
	return r->status == PL_SFTP_OK && r->body_len == r->len &&
	    memcmp(r->body, it->c->value + r->offset, r->len) == 0;
}

static void
read_ask(struct step *s, struct item *it, size_t at, size_t len)
{
	step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_READ,
		.handle = &it->h, .offset = at, .len = len });
}

/* Which of the SIZED ones hold exactly our octets? */
static enum pl_code
compare(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc = compare_open(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		size_t len = it[i].c->value_len, at = 0, part;

		if (it[i].done || !it[i].open || it[i].what != SIZED)
			continue;
		it[i].what = SAME;
		for (; at < len; at += part) {
			part = len - at < PL_SFTP_CHUNK ? len - at :
			    PL_SFTP_CHUNK;
			read_ask(s, &it[i], at, part);
		}
		read_ask(s, &it[i], len, 1);
		step_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_CLOSE, .handle = &it[i].h });
		it[i].open = false;
	}
	if (rc == PL_OK)
		rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->r[i].op == PL_SFTP_READ &&
		    !chunk_same(s->of[i], &s->r[i]))
			s->of[i]->what = OTHER;
	}
	step_reset(s);
	return rc;
}

static enum pl_code
look(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done)
			step_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_LSTAT, .path = it[i].final });
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++)
		take_lstat(s->of[i], &s->r[i]);
	step_reset(s);
	return rc != PL_OK ? rc : compare(s, it, n);
}

static enum pl_code
look_chunk(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc = look(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done)
			continue;
		item_ok(&it[i], it[i].what == SAME ? PL_WAS_PRESENT :
		    PL_WAS_ABSENT);
		if (it[i].what != SAME)
			snprintf(it[i].out->handle, sizeof(it[i].out->handle),
			    "%u %s", dirs_ours(s->f, it[i].dir),
			    strrchr(it[i].temp, '-') + 1);
	}
	return rc;
}

/* ---- adding ----------------------------------------------------------------------------- */

static void
open_ask(struct step *s, struct item *it)
{
	step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_OPEN,
		.path = it->temp, .flags = PL_SFTP_NEW_FLAGS, .mode = 0600 });
}

static void
open_take(struct item *it, const struct pl_sftp_req *r)
{
	it->open = it->made = r->answered && r->status == PL_SFTP_OK;
	it->h = r->got;
}

/* What is there, and the temporary files, in one step. */
static enum pl_code
add_open(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].done)
			continue;
		step_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_LSTAT, .path = it[i].final });
		open_ask(s, &it[i]);
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i += 2) {
		take_lstat(s->of[i], &s->r[i]);
		pl_sftp_fail(&s->r[i + 1], s->of[i]->temp, &s->of[i]->err);
		open_take(s->of[i], &s->r[i + 1]);
	}
	step_reset(s);
	return rc;
}

/* A try before this one may have left the temporary file: once more. */
static enum pl_code
add_open_again(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].done || it[i].open || it[i].what != NOTHING)
			continue;
		step_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_REMOVE, .path = it[i].temp });
		open_ask(s, &it[i]);
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i += 2) {
		struct item *t = s->of[i];

		if (!s->r[i + 1].answered)
			continue;
		open_take(t, &s->r[i + 1]);
		if (!t->open)
			item_fail(t, &t->err);
	}
	step_reset(s);
	return rc;
}

/* What is there already makes the temporary file needless. */
static enum pl_code
add_existing(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if ((!it[i].done && it[i].what == NOTHING) || !it[i].open)
			continue;
		step_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_CLOSE, .handle = &it[i].h });
		it[i].open = false;
	}
	rc = step_run(s);
	step_reset(s);
	if (rc == PL_OK)
		rc = compare(s, it, n);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done || it[i].what == NOTHING)
			continue;
		if (it[i].what == SAME)
			item_ok(&it[i], PL_WAS_PRESENT);
		else
			item_other(&it[i]);
	}
	return rc;
}

static void
fill_ask(struct step *s, struct item *it)
{
	size_t len = it->c->value_len, at, part;

	step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_FSETSTAT,
		.handle = &it->h, .mode = s->f->mode });
	for (at = 0; at < len; at += part) {
		part = len - at < PL_SFTP_CHUNK ? len - at : PL_SFTP_CHUNK;
		step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_WRITE,
			.handle = &it->h, .offset = at,
			.data = it->c->value + at, .len = part });
	}
	if (pl_sftp_knows(s->f->link, PL_SFTP_FSYNC))
		step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_FSYNC,
			.handle = &it->h });
	step_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_CLOSE,
		.handle = &it->h });
	it->open = false;
}

static const char *
doing(enum pl_sftp_op op)
{
	switch (op) {
	case PL_SFTP_FSETSTAT:
		return "setting its mode";
	case PL_SFTP_FSYNC:
		return "syncing it";
	case PL_SFTP_CLOSE:
		return "closing it";
	default:
		return "writing it (disk or quota full?)";
	}
}

static enum pl_code
add_fill(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].open)
			fill_ask(s, &it[i]);
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		const struct pl_sftp_req *r = &s->r[i];
		bool optional = r->op == PL_SFTP_FSETSTAT ||
		    r->op == PL_SFTP_FSYNC;
		struct pl_err err;

		if (!r->answered || r->status == PL_SFTP_OK ||
		    s->of[i]->done ||
		    (optional && r->status == PL_SFTP_UNSUPPORTED))
			continue;
		pl_sftp_fail(r, doing(r->op), &err);
		pl_prefix(&err, "%s", s->of[i]->final);
		item_fail(s->of[i], &err);
	}
	step_reset(s);
	return rc;
}

static void
item_published(struct sftp *f, struct item *it)
{
	unsigned dirs = dirs_ours(f, it->dir);

	it->made = false;
	item_ok(it, PL_WAS_ABSENT);
	if (it->out != NULL)
		snprintf(it->out->handle, sizeof(it->out->handle), "%u",
		    dirs > it->dirs ? dirs : it->dirs);
}

/*
 * The plain rename first: OpenSSH's never replaces a file.  posix-rename
 * would, so it is asked only where the name is still free and the plain one cannot.
 */
static enum pl_code
add_rename(struct step *s, struct item *it, size_t n, enum pl_sftp_op op)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].made)
			step_ask(s, &it[i], (struct pl_sftp_req){ .op = op,
				.path = it[i].temp, .to = it[i].final });
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->r[i].answered)
			continue;
		if (s->r[i].status == PL_SFTP_OK)
			item_published(s->f, s->of[i]);
		else
			pl_sftp_fail(&s->r[i], s->of[i]->final,
			    &s->of[i]->err);
	}
	step_reset(s);
	return rc;
}

/* Those whose rename was refused: why, and is there another way? */
static enum pl_code
add_stuck(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc = look(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done || it[i].what == NOTHING)
			continue;
		if (it[i].what == SAME)
			item_ok(&it[i], PL_WAS_PRESENT);
		else
			item_other(&it[i]);
	}
	if (rc == PL_OK && pl_sftp_knows(s->f->link, PL_SFTP_POSIX_RENAME))
		rc = add_rename(s, it, n, PL_SFTP_POSIX_RENAME);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (!it[i].done)
			item_fail(&it[i], &it[i].err);
	}
	return rc;
}

static bool
any_open(const struct item *it, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!it[i].done)
			return true;
	}
	return false;
}

/* Temporary files that have become needless; one that will not go makes the
 * outcome uncertain, so that the journal keeps it. */
static enum pl_code
add_tidy(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].made)
			step_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].temp });
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		struct item *t = s->of[i];
		struct pl_err err;

		if (!s->r[i].answered || s->r[i].status == PL_SFTP_OK ||
		    is_absent(&s->r[i]))
			continue;
		pl_sftp_fail(&s->r[i], t->temp, &err);
		err.code = PL_ENET;
		pl_prefix(&err, "temporary file stays");
		item_fail(t, &err);
	}
	step_reset(s);
	return rc;
}

static enum pl_code
add_chunk(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc = PL_OK;

	for (size_t i = 0; i < n && rc == PL_OK; i++)
		rc = dirs_make(s, &it[i], it[i].dir);
	if (rc == PL_OK)
		rc = add_open(s, it, n);
	if (rc == PL_OK)
		rc = add_open_again(s, it, n);
	if (rc == PL_OK)
		rc = add_existing(s, it, n);
	if (rc == PL_OK)
		rc = add_fill(s, it, n);
	if (rc == PL_OK)
		rc = add_rename(s, it, n, PL_SFTP_RENAME);
	if (rc == PL_OK && any_open(it, n))
		rc = add_stuck(s, it, n);
	return rc != PL_OK ? rc : add_tidy(s, it, n);
}

/* ---- removing ------------------------------------------------------------------------------ */

static enum pl_code
del_chunk(struct step *s, struct item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].temp != NULL)
			step_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].temp });
	}
	rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->r[i].answered && s->r[i].status != PL_SFTP_OK &&
		    !is_absent(&s->r[i]))
			item_refuse(s->of[i], &s->r[i], s->of[i]->temp);
	}
	step_reset(s);
	if (rc == PL_OK)
		rc = look(s, it, n);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		struct sftp_dir *d = it[i].dir;

		if (it[i].done)
			continue;
		if (it[i].what == SAME)
			step_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].final });
		else
			item_ok(&it[i], PL_WAS_UNKNOWN);
		for (unsigned k = 0; k < it[i].dirs && d != NULL;
		    k++, d = dir_above(s->f, d))
			d->drop = true;
	}
	if (rc == PL_OK)
		rc = step_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->r[i].answered)
			continue;
		if (s->r[i].status == PL_SFTP_OK || is_absent(&s->r[i]))
			item_ok(s->of[i], PL_WAS_UNKNOWN);
		else
			item_refuse(s->of[i], &s->r[i], s->of[i]->final);
	}
	step_reset(s);
	return rc;
}

/* Removes the directories that may go, deepest first, if they are empty. */
static enum pl_code
dirs_drop(struct step *s)
{
	struct sftp *f = s->f;
	enum pl_code rc = PL_OK;

	for (unsigned depth = 8; depth > 0 && rc == PL_OK; depth--) {
		for (size_t i = 0; i < f->ndirs && rc == PL_OK; i++) {
			struct sftp_dir *d = &f->dirs[i];
			char *path;

			if (!d->drop || d->depth != depth || d->missing ||
			    d->blocked)
				continue;
			path = sftp_path(f, d->path);
			step_ask(s, NULL, (struct pl_sftp_req){
				.op = PL_SFTP_RMDIR, .path = path });
			rc = step_run(s);
			if (rc == PL_OK && s->r[0].status == PL_SFTP_OK)
				d->ours = false;
			step_reset(s);
			free(path);
		}
	}
	return rc;
}

/* ---- the web.config ---------------------------------------------------------------------------- */

static void
web_item(struct sftp *f, struct item *it, struct pl_change *c,
    struct sftp_dir *d)
{
	char name[32] = SFTP_TEMP, *dir = sftp_path(f, d->path);

	*c = (struct pl_change){ .kind = PL_FILE, .value = pl_web_config,
		.value_len = strlen(pl_web_config) };
	*it = (struct item){ .c = c, .dir = d,
		.final = sftp_join(dir, PL_WEB_CONFIG) };
	pl_random_name(name + strlen(SFTP_TEMP), SFTP_TEMP_LEN);
	it->temp = sftp_join(dir, name);
	free(dir);
}

static void
item_clear(struct item *it)
{
	free(it->final);
	free(it->temp);
}

/* Puts it where one of our files has come to lie; somebody else's stays. */
static enum pl_code
web_add(struct step *s, struct sftp_dir *d)
{
	struct pl_change c;
	struct item it;
	enum pl_code rc;

	web_item(s->f, &it, &c, d);
	rc = add_chunk(s, &it, 1);
	item_clear(&it);
	return rc;
}

/* Does the directory hold a web.config and nothing else? */
static bool
names_alone(const char *p, size_t n, bool *web)
{
	const char *end = p + n;

	for (; p < end; p += strlen(p) + 1) {
		if (strcmp(p, PL_WEB_CONFIG) == 0)
			*web = true;
		else if (strcmp(p, ".") != 0 && strcmp(p, "..") != 0)
			return false;
	}
	return true;
}

static enum pl_code
web_alone(struct step *s, const char *path, bool *alone)
{
	struct pl_sftp_handle h;
	bool web = false, end = false;
	enum pl_code rc;

	*alone = false;
	step_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_OPENDIR,
		.path = path });
	rc = step_run(s);
	if (rc != PL_OK || s->r[0].status != PL_SFTP_OK) {
		step_reset(s);
		return rc;
	}
	h = s->r[0].got;
	*alone = true;
	for (int i = 0; i < LIST_MOST && *alone && !end && rc == PL_OK; i++) {
		step_reset(s);
		step_ask(s, NULL, (struct pl_sftp_req){
			.op = PL_SFTP_READDIR, .handle = &h });
		rc = step_run(s);
		end = s->r[0].status != PL_SFTP_OK;
		if (!end)
			*alone = names_alone(s->r[0].body, s->r[0].body_len,
			    &web);
	}
	*alone = *alone && web && end;
	step_reset(s);
	if (rc == PL_OK) {
		step_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_CLOSE,
			.handle = &h });
		rc = step_run(s);
		step_reset(s);
	}
	return rc;
}

/* Behind the last file, ours goes as well. */
static enum pl_code
web_del(struct step *s, struct sftp_dir *d)
{
	char *path = sftp_path(s->f, d->path);
	struct pl_change c;
	struct item it;
	enum pl_code rc;
	bool alone;

	rc = web_alone(s, path, &alone);
	free(path);
	if (rc != PL_OK || !alone)
		return rc;
	web_item(s->f, &it, &c, d);
	rc = del_chunk(s, &it, 1);
	item_clear(&it);
	return rc;
}

/* ---- a call --------------------------------------------------------------------------------------- */

/* "DIRS", "DIRS TEMP", or NULL; what is neither says nothing. */
static void
item_handle(const struct sftp *f, struct item *it, const char *handle)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char name[32] = SFTP_TEMP, *dir;
	const char *token = "";

	if (handle != NULL && handle[0] >= '0' && handle[0] <= '8') {
		it->dirs = (unsigned)(handle[0] - '0');
		if (handle[1] == ' ')
			token = handle + 2;
	}
	if (strlen(token) == SFTP_TEMP_LEN &&
	    strspn(token, plain) == SFTP_TEMP_LEN)
		memcpy(name + strlen(SFTP_TEMP), token, SFTP_TEMP_LEN + 1);
	else if (it->c->op == PL_DEL)
		return;
	else
		pl_random_name(name + strlen(SFTP_TEMP), SFTP_TEMP_LEN);
	dir = sftp_path(f, it->dir->path);
	it->temp = sftp_join(dir, name);
	free(dir);
}

static void
item_init(struct sftp *f, struct item *it, const struct pl_change *c,
    struct pl_outcome *out)
{
	const char *path = c->name + 1, *slash;
	struct pl_err err;

	*it = (struct item){ .c = c, .out = out };
	pl_err_clear(&err);
	if (c->kind != PL_FILE)
		pl_fail(&err, PL_EINVAL, "%s: a record cannot be published "
		    "as a file", c->name);
	else
		(void)pl_record_allowed(c->kind, c->name, c->value,
		    c->value_len, false, NULL, &err);
	if (err.code == PL_OK && ((slash = strrchr(path, '/')) == NULL ||
	    (it->dir = dir_of(f, path, (size_t)(slash - path))) == NULL))
		pl_fail(&err, PL_EINVAL, "%s: not below a known directory",
		    c->name);
	if (err.code != PL_OK) {
		item_fail(it, &err);
		return;
	}
	it->final = sftp_path(f, path);
	item_handle(f, it, c->handle);
}

/* All changes of one kind, a chunk at a time. */
static enum pl_code
work_op(struct step *s, struct item *it, size_t n, enum pl_op op,
    enum pl_code (*fn)(struct step *s, struct item *it, size_t n))
{
	enum pl_code rc = PL_OK;
	size_t from = 0, len;

	while (from < n && rc == PL_OK) {
		for (len = 0; from + len < n && len < CHUNK &&
		    it[from + len].c->op == op; len++)
			continue;
		if (len > 0)
			rc = fn(s, it + from, len);
		from += len > 0 ? len : 1;
	}
	return rc;
}

/* What comes with the files: their neighbours, and empty directories. */
static enum pl_code
work_around(struct step *s, const struct item *it, size_t n)
{
	struct sftp_dir *added = NULL, *removed = NULL;
	enum pl_code rc = PL_OK;

	/* Directories for files that were refused are not left behind. */
	for (size_t i = 0; i < n; i++) {
		struct sftp_dir *d = it[i].dir;

		if (it[i].c->op == PL_ADD && it[i].out->code != PL_OK)
			for (; d != NULL && d->ours; d = dir_above(s->f, d))
				d->drop = true;
	}
	for (size_t i = 0; i < n && s->f->web_config && rc == PL_OK; i++) {
		if (it[i].out->code != PL_OK || it[i].dir == added ||
		    it[i].c->op != PL_ADD)
			continue;
		added = it[i].dir;
		rc = web_add(s, added);
	}
	for (size_t i = 0; i < n && s->f->web_config && rc == PL_OK; i++) {
		if (it[i].dir == NULL || it[i].dir == removed ||
		    it[i].c->op != PL_DEL)
			continue;
		removed = it[i].dir;
		rc = web_del(s, removed);
	}
	return rc != PL_OK ? rc : dirs_drop(s);
}

static void
first_fault(const struct pl_outcome *out, size_t n, struct pl_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (out[i].code != PL_OK && out[i].code != PL_EUNDONE) {
			pl_fail(err, out[i].code, "%s", out[i].text);
			return;
		}
	}
}

enum pl_code
sftp_work(struct sftp *f, const struct pl_call *call,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct item *it = pl_array(n, sizeof(*it));
	struct step s = { .f = f, .deadline = call->deadline, .err = err };
	enum pl_code rc;

	for (size_t i = 0; i < f->ndirs; i++) {
		f->dirs[i].looked = false;
		f->dirs[i].drop = false;
	}
	for (size_t i = 0; i < n; i++)
		item_init(f, &it[i], &chg[i], &out[i]);
	rc = dirs_look(&s);
	if (rc == PL_OK)
		rc = work_op(&s, it, n, PL_LOOK, look_chunk);
	if (rc == PL_OK)
		rc = work_op(&s, it, n, PL_ADD, add_chunk);
	if (rc == PL_OK)
		rc = work_op(&s, it, n, PL_DEL, del_chunk);
	if (rc == PL_OK)
		rc = work_around(&s, it, n);
	if (rc != PL_OK)
		sftp_hang_up(f);
	else {
		struct pl_err first;

		pl_err_clear(&first);
		first_fault(out, n, &first);
		rc = first.code;
		if (rc != PL_OK && err != NULL)
			*err = first;
	}
	for (size_t i = 0; i < n; i++)
		item_clear(&it[i]);
	free(it);
	free(s.r);
	free(s.of);
	return rc;
}
