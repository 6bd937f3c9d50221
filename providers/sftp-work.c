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

/* ---- what is there ----------------------------------------------------- */

static void
take_lstat(struct sftp_item *it, const struct pl_sftp_req *r)
{
	if (!r->answered)
		return;
	if (sftp_absent(r))
		it->what = SFTP_NOTHING;
	else if (r->status != PL_SFTP_OK)
		sftp_item_refuse(it, r, it->final);
	else if (!SFTP_IS_REG(r->perm) && r->perm != 0)
		it->what = SFTP_OTHER;
	else
		it->what = r->sized && r->size != it->c->value_len ? SFTP_OTHER :
		    SFTP_SIZED;
}

/* Opens those of the right size, and asks for a little more than all. */
static enum pl_code
compare_open(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].what == SFTP_SIZED)
			sftp_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_OPEN, .path = it[i].final,
				.flags = PL_SFTP_READ_FLAG,
				.mode = PL_SFTP_NO_MODE });
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		struct sftp_item *t = s->of[i];

		t->open = s->r[i].answered && s->r[i].status == PL_SFTP_OK;
		t->h = s->r[i].got;
		if (t->open || !s->r[i].answered)
			continue;
		if (sftp_absent(&s->r[i]))
			t->what = SFTP_NOTHING;
		else
			sftp_item_refuse(t, &s->r[i], t->final);
	}
	sftp_reset(s);
	return rc;
}

static bool
chunk_same(const struct sftp_item *it, const struct pl_sftp_req *r)
{
	size_t left = it->c->value_len - (size_t)r->offset;

	if (left == 0)		/* there must be nothing more */
		return r->status == PL_SFTP_EOF;
	return r->status == PL_SFTP_OK && r->body_len == r->len &&
	    memcmp(r->body, it->c->value + r->offset, r->len) == 0;
}

static void
read_ask(struct sftp_step *s, struct sftp_item *it, size_t at, size_t len)
{
	sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_READ,
		.handle = &it->h, .offset = at, .len = len });
}

/* Which of the SFTP_SIZED ones hold exactly our octets? */
static enum pl_code
compare(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc = compare_open(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		size_t len = it[i].c->value_len, at = 0, part;

		if (it[i].done || !it[i].open || it[i].what != SFTP_SIZED)
			continue;
		it[i].what = SFTP_SAME;
		for (; at < len; at += part) {
			part = len - at < PL_SFTP_CHUNK ? len - at :
			    PL_SFTP_CHUNK;
			read_ask(s, &it[i], at, part);
		}
		read_ask(s, &it[i], len, 1);
		sftp_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_CLOSE, .handle = &it[i].h });
		it[i].open = false;
	}
	if (rc == PL_OK)
		rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->r[i].op == PL_SFTP_READ &&
		    !chunk_same(s->of[i], &s->r[i]))
			s->of[i]->what = SFTP_OTHER;
	}
	sftp_reset(s);
	return rc;
}

static enum pl_code
look(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done)
			sftp_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_LSTAT, .path = it[i].final });
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++)
		take_lstat(s->of[i], &s->r[i]);
	sftp_reset(s);
	return rc != PL_OK ? rc : compare(s, it, n);
}

static enum pl_code
look_chunk(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc = look(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done)
			continue;
		sftp_item_ok(&it[i], it[i].what == SFTP_SAME ? PL_WAS_PRESENT :
		    PL_WAS_ABSENT);
		if (it[i].what != SFTP_SAME)
			snprintf(it[i].out->handle, sizeof(it[i].out->handle),
			    "%u %s", sftp_dirs_ours(s->f, it[i].dir),
			    strrchr(it[i].temp, '-') + 1);
	}
	return rc;
}

/* ---- adding ------------------------------------------------------------ */

static void
open_ask(struct sftp_step *s, struct sftp_item *it)
{
	sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_OPEN,
		.path = it->temp, .flags = PL_SFTP_NEW_FLAGS, .mode = 0600 });
}

static void
open_take(struct sftp_item *it, const struct pl_sftp_req *r)
{
	it->open = it->made = r->answered && r->status == PL_SFTP_OK;
	it->h = r->got;
}

/* What is there, and the temporary files, in one step. */
static enum pl_code
add_open(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].done)
			continue;
		sftp_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_LSTAT, .path = it[i].final });
		open_ask(s, &it[i]);
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i += 2) {
		take_lstat(s->of[i], &s->r[i]);
		pl_sftp_fail(&s->r[i + 1], s->of[i]->temp, &s->of[i]->err);
		open_take(s->of[i], &s->r[i + 1]);
	}
	sftp_reset(s);
	return rc;
}

/* A try before this one may have left the temporary file: once more. */
static enum pl_code
add_open_again(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].done || it[i].open || it[i].what != SFTP_NOTHING)
			continue;
		sftp_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_REMOVE, .path = it[i].temp });
		open_ask(s, &it[i]);
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i += 2) {
		struct sftp_item *t = s->of[i];

		if (!s->r[i + 1].answered)
			continue;
		open_take(t, &s->r[i + 1]);
		if (!t->open)
			sftp_item_fail(t, &t->err);
	}
	sftp_reset(s);
	return rc;
}

/* What is there already makes the temporary file needless. */
static enum pl_code
add_existing(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if ((!it[i].done && it[i].what == SFTP_NOTHING) || !it[i].open)
			continue;
		sftp_ask(s, &it[i], (struct pl_sftp_req){
			.op = PL_SFTP_CLOSE, .handle = &it[i].h });
		it[i].open = false;
	}
	rc = sftp_run(s);
	sftp_reset(s);
	if (rc == PL_OK)
		rc = compare(s, it, n);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done || it[i].what == SFTP_NOTHING)
			continue;
		if (it[i].what == SFTP_SAME)
			sftp_item_ok(&it[i], PL_WAS_PRESENT);
		else
			sftp_item_other(&it[i]);
	}
	return rc;
}

static void
fill_ask(struct sftp_step *s, struct sftp_item *it)
{
	size_t len = it->c->value_len, at, part;

	sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_FSETSTAT,
		.handle = &it->h, .mode = s->f->mode });
	for (at = 0; at < len; at += part) {
		part = len - at < PL_SFTP_CHUNK ? len - at : PL_SFTP_CHUNK;
		sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_WRITE,
			.handle = &it->h, .offset = at,
			.data = it->c->value + at, .len = part });
	}
	if (pl_sftp_knows(s->f->link, PL_SFTP_FSYNC))
		sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_FSYNC,
			.handle = &it->h });
	sftp_ask(s, it, (struct pl_sftp_req){ .op = PL_SFTP_CLOSE,
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
add_fill(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].open)
			fill_ask(s, &it[i]);
	}
	rc = sftp_run(s);
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
		sftp_item_fail(s->of[i], &err);
	}
	sftp_reset(s);
	return rc;
}

static void
item_published(struct sftp *f, struct sftp_item *it)
{
	unsigned dirs = sftp_dirs_ours(f, it->dir);

	it->made = false;
	sftp_item_ok(it, PL_WAS_ABSENT);
	if (it->out != NULL)
		snprintf(it->out->handle, sizeof(it->out->handle), "%u",
		    dirs > it->dirs ? dirs : it->dirs);
}

/*
 * The plain rename first: OpenSSH's never replaces a file.  posix-rename
 * would, so it is asked only where the name is still free and the plain one
 * cannot.
 */
static enum pl_code
add_rename(struct sftp_step *s, struct sftp_item *it, size_t n,
    enum pl_sftp_op op)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (!it[i].done && it[i].made)
			sftp_ask(s, &it[i], (struct pl_sftp_req){ .op = op,
				.path = it[i].temp, .to = it[i].final });
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->r[i].answered)
			continue;
		if (s->r[i].status == PL_SFTP_OK)
			item_published(s->f, s->of[i]);
		else
			pl_sftp_fail(&s->r[i], s->of[i]->final,
			    &s->of[i]->err);
	}
	sftp_reset(s);
	return rc;
}

/* Those whose rename was refused: why, and is there another way? */
static enum pl_code
add_stuck(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc = look(s, it, n);

	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (it[i].done || it[i].what == SFTP_NOTHING)
			continue;
		if (it[i].what == SFTP_SAME)
			sftp_item_ok(&it[i], PL_WAS_PRESENT);
		else
			sftp_item_other(&it[i]);
	}
	if (rc == PL_OK && pl_sftp_knows(s->f->link, PL_SFTP_POSIX_RENAME))
		rc = add_rename(s, it, n, PL_SFTP_POSIX_RENAME);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		if (!it[i].done)
			sftp_item_fail(&it[i], &it[i].err);
	}
	return rc;
}

static bool
any_open(const struct sftp_item *it, size_t n)
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
add_tidy(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].made)
			sftp_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].temp });
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		struct sftp_item *t = s->of[i];
		struct pl_err err;

		if (!s->r[i].answered || s->r[i].status == PL_SFTP_OK ||
		    sftp_absent(&s->r[i]))
			continue;
		pl_sftp_fail(&s->r[i], t->temp, &err);
		err.code = PL_ENET;
		pl_prefix(&err, "temporary file stays");
		sftp_item_fail(t, &err);
	}
	sftp_reset(s);
	return rc;
}

static enum pl_code
add_chunk(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc = PL_OK;

	for (size_t i = 0; i < n && rc == PL_OK; i++)
		rc = sftp_dirs_make(s, &it[i], it[i].dir);
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

/* ---- removing ---------------------------------------------------------- */

static enum pl_code
del_chunk(struct sftp_step *s, struct sftp_item *it, size_t n)
{
	enum pl_code rc;

	for (size_t i = 0; i < n; i++) {
		if (it[i].temp != NULL)
			sftp_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].temp });
	}
	rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->r[i].answered && s->r[i].status != PL_SFTP_OK &&
		    !sftp_absent(&s->r[i]))
			sftp_item_refuse(s->of[i], &s->r[i], s->of[i]->temp);
	}
	sftp_reset(s);
	if (rc == PL_OK)
		rc = look(s, it, n);
	for (size_t i = 0; i < n && rc == PL_OK; i++) {
		struct sftp_dir *d = it[i].dir;

		if (it[i].done)
			continue;
		if (it[i].what == SFTP_SAME)
			sftp_ask(s, &it[i], (struct pl_sftp_req){
				.op = PL_SFTP_REMOVE, .path = it[i].final });
		else
			sftp_item_ok(&it[i], PL_WAS_UNKNOWN);
		for (unsigned k = 0; k < it[i].dirs && d != NULL;
		    k++, d = sftp_dir_above(s->f, d))
			d->drop = true;
	}
	if (rc == PL_OK)
		rc = sftp_run(s);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->r[i].answered)
			continue;
		if (s->r[i].status == PL_SFTP_OK || sftp_absent(&s->r[i]))
			sftp_item_ok(s->of[i], PL_WAS_UNKNOWN);
		else
			sftp_item_refuse(s->of[i], &s->r[i], s->of[i]->final);
	}
	sftp_reset(s);
	return rc;
}

/* ---- the web.config ---------------------------------------------------- */

static void
web_item(struct sftp *f, struct sftp_item *it, struct pl_change *c,
    struct sftp_dir *d)
{
	char name[32] = SFTP_TEMP, *dir = sftp_path(f, d->path);

	*c = (struct pl_change){ .kind = PL_FILE, .value = pl_web_config,
		.value_len = strlen(pl_web_config) };
	*it = (struct sftp_item){ .c = c, .dir = d,
		.final = sftp_join(dir, PL_WEB_CONFIG) };
	pl_random_name(name + strlen(SFTP_TEMP), SFTP_TEMP_LEN);
	it->temp = sftp_join(dir, name);
	free(dir);
}

static void
item_clear(struct sftp_item *it)
{
	free(it->final);
	free(it->temp);
}

/* Puts it where one of our files has come to lie; somebody else's stays. */
static enum pl_code
web_add(struct sftp_step *s, struct sftp_dir *d)
{
	struct pl_change c;
	struct sftp_item it;
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
web_alone(struct sftp_step *s, const char *path, bool *alone)
{
	struct pl_sftp_handle h;
	bool web = false, end = false;
	enum pl_code rc;

	*alone = false;
	sftp_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_OPENDIR,
		.path = path });
	rc = sftp_run(s);
	if (rc != PL_OK || s->r[0].status != PL_SFTP_OK) {
		sftp_reset(s);
		return rc;
	}
	h = s->r[0].got;
	*alone = true;
	for (int i = 0; i < LIST_MOST && *alone && !end && rc == PL_OK; i++) {
		sftp_reset(s);
		sftp_ask(s, NULL, (struct pl_sftp_req){
			.op = PL_SFTP_READDIR, .handle = &h });
		rc = sftp_run(s);
		end = s->r[0].status != PL_SFTP_OK;
		if (!end)
			*alone = names_alone(s->r[0].body, s->r[0].body_len,
			    &web);
	}
	*alone = *alone && web && end;
	sftp_reset(s);
	if (rc == PL_OK) {
		sftp_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_CLOSE,
			.handle = &h });
		rc = sftp_run(s);
		sftp_reset(s);
	}
	return rc;
}

/* Behind the last file, ours goes as well. */
static enum pl_code
web_del(struct sftp_step *s, struct sftp_dir *d)
{
	char *path = sftp_path(s->f, d->path);
	struct pl_change c;
	struct sftp_item it;
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

/* ---- a call ------------------------------------------------------------ */

/* "DIRS", "DIRS TEMP", or NULL; what is neither says nothing. */
static void
item_handle(const struct sftp *f, struct sftp_item *it, const char *handle)
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
item_init(struct sftp *f, struct sftp_item *it, const struct pl_change *c,
    struct pl_outcome *out)
{
	const char *path = c->name + 1, *slash;
	struct pl_err err;

	*it = (struct sftp_item){ .c = c, .out = out };
	pl_err_clear(&err);
	if (c->kind != PL_FILE)
		pl_fail(&err, PL_EINVAL, "%s: a record cannot be published "
		    "as a file", c->name);
	else
		(void)pl_record_allowed(c->kind, c->name, c->value,
		    c->value_len, false, NULL, &err);
	if (err.code == PL_OK && ((slash = strrchr(path, '/')) == NULL ||
	    (it->dir = sftp_dir_of(f, path, (size_t)(slash - path))) == NULL))
		pl_fail(&err, PL_EINVAL, "%s: not below a known directory",
		    c->name);
	if (err.code != PL_OK) {
		sftp_item_fail(it, &err);
		return;
	}
	it->final = sftp_path(f, path);
	item_handle(f, it, c->handle);
}

/* All changes of one kind, a chunk at a time. */
static enum pl_code
work_op(struct sftp_step *s, struct sftp_item *it, size_t n, enum pl_op op,
    enum pl_code (*fn)(struct sftp_step *s, struct sftp_item *it, size_t n))
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
work_around(struct sftp_step *s, const struct sftp_item *it, size_t n)
{
	struct sftp_dir *added = NULL, *removed = NULL;
	enum pl_code rc = PL_OK;

	/* Directories for files that were refused are not left behind. */
	for (size_t i = 0; i < n; i++) {
		struct sftp_dir *d = it[i].dir;

		if (it[i].c->op == PL_ADD && it[i].out->code != PL_OK)
			for (; d != NULL && d->ours; d = sftp_dir_above(s->f, d))
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
	return rc != PL_OK ? rc : sftp_dirs_drop(s);
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
	struct sftp_item *it = pl_array(n, sizeof(*it));
	struct sftp_step s = { .f = f, .deadline = call->deadline, .err = err };
	enum pl_code rc;

	for (size_t i = 0; i < f->ndirs; i++) {
		f->dirs[i].looked = false;
		f->dirs[i].drop = false;
	}
	for (size_t i = 0; i < n; i++)
		item_init(f, &it[i], &chg[i], &out[i]);
	rc = sftp_dirs_look(&s);
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
