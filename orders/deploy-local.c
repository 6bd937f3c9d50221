/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* A directory of this host. */
#include "orders.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_MODE 0755u		/* the files have rights of their own */
#define LOCK ".placard/lock"

struct pl_place_dir {
	struct pl_tree *tree;
	const struct pl_deploy_spec *spec;
	int lock;
};

static enum pl_code
local_look(void *self, const char *path, enum pl_there *what, unsigned *mode,
    struct pl_buf *link, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_look(d->tree, path, what, mode, link, err);
}

static enum pl_code
local_read(void *self, const char *path, struct pl_buf *b, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_read(d->tree, path, b, err);
}

static enum pl_code
local_list(void *self, const char *path, struct pl_buf *names,
    struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_list(d->tree, path, names, err);
}

static enum pl_code
local_mkdir(void *self, const char *path, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_mkdir(d->tree, path, DIR_MODE, d->spec->uid,
	    d->spec->gid, err);
}

static enum pl_code
local_write(void *self, const char *path, const void *p, size_t n,
    unsigned mode, struct pl_err *err)
{
	struct pl_place_dir *d = self;
	struct pl_tree_file f = { .path = path, .data = p, .len = n,
		.mode = mode, .uid = d->spec->uid, .gid = d->spec->gid };

	return pl_tree_replace(d->tree, &f, err);
}

static enum pl_code
local_link(void *self, const char *path, const char *to, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_link(d->tree, path, to, err);
}

static enum pl_code
local_move(void *self, const char *from, const char *to, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_move(d->tree, from, to, err);
}

static enum pl_code
local_drop(void *self, const char *path, bool dir, struct pl_err *err)
{
	struct pl_place_dir *d = self;

	return pl_tree_drop(d->tree, path, dir, err);
}

static const struct pl_place_ops local_ops = {
	.look = local_look,
	.read = local_read,
	.list = local_list,
	.mkdir = local_mkdir,
	.write = local_write,
	.link = local_link,
	.move = local_move,
	.drop = local_drop,
};

enum pl_code
pl_place_local(struct pl_place_dir **out, struct pl_place *place,
    const struct pl_deploy_spec *spec, bool make, struct pl_err *err)
{
	struct pl_place_dir *d = pl_alloc(sizeof(*d));
	enum pl_code code = PL_OK;

	*out = NULL;
	d->lock = -1;
	d->spec = spec;
	if (make)
		code = pl_mkdirs(spec->directory, DIR_MODE, err);
	if (code == PL_OK)
		code = pl_tree_open(&d->tree, spec->directory, err);
	if (code == PL_OK && make)
		code = local_mkdir(d, ".placard", err);
	if (code == PL_OK && make)
		code = pl_tree_lock(d->tree, LOCK, &d->lock, err);
	if (code != PL_OK) {
		pl_place_local_free(d);
		return code;
	}
	*place = (struct pl_place){ &local_ops, d };
	*out = d;
	return PL_OK;
}

void
pl_place_local_free(struct pl_place_dir *d)
{
	if (d == NULL)
		return;
	pl_tree_close(d->tree);
	if (d->lock != -1)
		close(d->lock);
	free(d);
}
