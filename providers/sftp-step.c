/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Steps of many requests at once, what is said of each file, and the
 * directories that files lie in.
 */
#include "sftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- steps ------------------------------------------------------------- */

void
sftp_ask(struct sftp_step *s, struct sftp_item *it, struct pl_sftp_req r)
{
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->r = pl_grow(s->r, s->cap, sizeof(s->r[0]));
		s->of = pl_grow(s->of, s->cap, sizeof(struct sftp_item *));
	}
	r.status = PL_SFTP_LOST;	/* until there is an answer */
	s->r[s->n] = r;
	s->of[s->n++] = it;
}

void
sftp_reset(struct sftp_step *s)
{
	pl_sftp_req_clear(s->r, s->n);
	s->n = 0;
}

enum pl_code
sftp_run(struct sftp_step *s)
{
	enum pl_code rc;

	if (s->n == 0)
		return PL_OK;
	rc = pl_sftp_do(s->f->link, s->r, s->n, s->deadline, s->err);
	if (rc != PL_OK)
		pl_prefix(s->err, "%s", s->f->host);
	return rc;
}

bool
sftp_absent(const struct pl_sftp_req *r)
{
	return r->status == PL_SFTP_NO_FILE ||
	    r->status == 10;	/* no such path, of later versions */
}

/* ---- telling ----------------------------------------------------------- */

void
sftp_item_fail(struct sftp_item *it, const struct pl_err *err)
{
	it->done = true;
	if (it->out == NULL)
		return;
	it->out->code = err->code;
	snprintf(it->out->text, sizeof(it->out->text), "%.*s",
	    (int)sizeof(it->out->text) - 1, err->text);
}

void
sftp_item_ok(struct sftp_item *it, enum pl_was was)
{
	it->done = true;
	if (it->out == NULL)
		return;
	it->out->code = PL_OK;
	it->out->was = was;
}

void
sftp_item_refuse(struct sftp_item *it, const struct pl_sftp_req *r,
    const char *path)
{
	struct pl_err err;

	pl_sftp_fail(r, path, &err);
	sftp_item_fail(it, &err);
}

void
sftp_item_other(struct sftp_item *it)
{
	struct pl_err err;

	pl_fail(&err, PL_EREMOTE, "%s: something else is there already",
	    it->final);
	sftp_item_fail(it, &err);
}

/* ---- directories ------------------------------------------------------- */

/* Finds or notes the first n octets of path as a directory, and those above. */
struct sftp_dir *
sftp_dir_of(struct sftp *f, const char *path, size_t n)
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
	if (up > 0 && sftp_dir_of(f, path, up - 1) == NULL)
		return NULL;
	if (f->ndirs == SFTP_DIRS)
		return NULL;
	d = &f->dirs[f->ndirs++];
	*d = (struct sftp_dir){ .path = pl_strndup(path, n), .depth = 1 };
	for (size_t i = 0; i < n; i++)
		d->depth += path[i] == '/';
	return d;
}

struct sftp_dir *
sftp_dir_above(struct sftp *f, const struct sftp_dir *d)
{
	const char *slash = strrchr(d->path, '/');

	return slash == NULL ? NULL :
	    sftp_dir_of(f, d->path, (size_t)(slash - d->path));
}

static void
dir_take(struct sftp_dir *d, const struct pl_sftp_req *r)
{
	if (!r->answered)
		return;
	d->missing = sftp_absent(r);
	d->blocked = r->status == PL_SFTP_OK && r->perm != 0 &&
	    !SFTP_IS_DIR(r->perm);
	d->looked = d->missing || r->status == PL_SFTP_OK;
	if (d->missing)
		d->ours = false;
}

enum pl_code
sftp_dirs_look(struct sftp_step *s)
{
	struct sftp *f = s->f;
	enum pl_code rc;
	char *path[SFTP_DIRS];
	size_t i;

	for (i = 0; i < f->ndirs; i++) {
		path[i] = sftp_path(f, f->dirs[i].path);
		sftp_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_LSTAT,
			.path = path[i] });
	}
	rc = sftp_run(s);
	for (i = 0; i < f->ndirs; i++) {
		dir_take(&f->dirs[i], &s->r[i]);
		free(path[i]);
	}
	sftp_reset(s);
	return rc;
}

/* Its rights, whatever the server's umask: preferably not through a link, but
 * not every server that offers this can do it (OpenSSH without /proc). */
static enum pl_code
dir_mode(struct sftp_step *s, const char *path)
{
	static const enum pl_sftp_op ways[] = { PL_SFTP_LSETSTAT,
		PL_SFTP_SETSTAT };
	enum pl_code rc = PL_OK;
	bool set = false;

	for (size_t i = 0; i < 2 && rc == PL_OK && !set; i++) {
		if (ways[i] != PL_SFTP_SETSTAT &&
		    !pl_sftp_knows(s->f->link, ways[i]))
			continue;
		sftp_reset(s);
		sftp_ask(s, NULL, (struct pl_sftp_req){ .op = ways[i],
			.path = path, .mode = s->f->dirmode });
		rc = sftp_run(s);
		set = rc == PL_OK && s->r[0].status == PL_SFTP_OK;
	}
	return rc;
}

/* Makes one directory. */
static enum pl_code
dir_make(struct sftp_step *s, struct sftp_dir *d, struct pl_err *why)
{
	struct sftp *f = s->f;
	char *path = sftp_path(f, d->path);
	enum pl_code rc;

	sftp_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_MKDIR,
		.path = path, .mode = f->dirmode });
	rc = sftp_run(s);
	if (rc == PL_OK && s->r[0].status == PL_SFTP_OK) {
		d->ours = true;
		d->missing = false;
		rc = dir_mode(s, path);
	} else if (rc == PL_OK) {
		/* Somebody else's may have come between. */
		pl_sftp_fail(&s->r[0], path, why);
		sftp_ask(s, NULL, (struct pl_sftp_req){ .op = PL_SFTP_LSTAT,
			.path = path });
		s->r[0] = s->r[1];
		s->n = 1;
		rc = sftp_run(s);
		if (rc == PL_OK)
			dir_take(d, &s->r[0]);
	}
	sftp_reset(s);
	free(path);
	return rc;
}

/* Makes what is missing above an item; its failure is the item's. */
enum pl_code
sftp_dirs_make(struct sftp_step *s, struct sftp_item *it, struct sftp_dir *d)
{
	struct sftp_dir *up = sftp_dir_above(s->f, d);
	struct pl_err why;
	enum pl_code rc = PL_OK;

	if (up != NULL)
		rc = sftp_dirs_make(s, it, up);
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
	sftp_item_fail(it, &why);
	return PL_OK;
}

/* How many directories above the item, from the deepest up, are not there or
 * are ours. */
unsigned
sftp_dirs_ours(struct sftp *f, struct sftp_dir *d)
{
	unsigned n = 0;

	for (; d != NULL && (d->missing || d->ours); d = sftp_dir_above(f, d))
		n++;
	return n;
}

/* Removes the directories that may go, deepest first, if they are empty. */
enum pl_code
sftp_dirs_drop(struct sftp_step *s)
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
			sftp_ask(s, NULL, (struct pl_sftp_req){
				.op = PL_SFTP_RMDIR, .path = path });
			rc = sftp_run(s);
			if (rc == PL_OK && s->r[0].status == PL_SFTP_OK)
				d->ours = false;
			sftp_reset(s);
			free(path);
		}
	}
	return rc;
}
