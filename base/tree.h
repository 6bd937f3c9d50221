/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to tree.c (files that appear and go) and tree-place.c (files and
 * links that take another's place). */
#ifndef PL_TREE_H
#define PL_TREE_H

#include <sys/types.h>

#include "base.h"

#define TREE_DEPTH 64
#define TREE_TEMP ".placard-"
#define TREE_TAIL 12		/* random characters behind TREE_TEMP */

struct pl_tree {
	int root;
	char *path;
	bool no_openat2;	/* learnt on the way: what is missing here */
	bool no_tmpfile;
	bool has_tmpfile;
	bool no_rename2;
	dev_t swept_dev;	/* the directory that was swept last */
	ino_t swept_ino;
};

/* A path below the root, parted into its components. */
struct steps {
	char *text;
	const char *at[TREE_DEPTH];
	bool ours[TREE_DEPTH];	/* directories that this call made */
	size_t n;
};

/* steps_clear is right after failure as well. */
enum pl_code steps_part(struct steps *st, const char *path,
    struct pl_err *err);
void steps_clear(struct steps *st);
enum pl_code tree_fail(const struct pl_tree *t, const char *path, int sys,
    struct pl_err *err);
/* Opens one component below dir, never through a link. */
int step_open(struct pl_tree *t, int dir, const char *name, int flags);
int step_sync(int fd);
int step_owner(int fd, int64_t uid, int64_t gid);
int file_fill(int fd, const char *p, size_t n);
/* Opens the directory n steps down; with f, makes what is missing. */
int tree_walk(struct pl_tree *t, struct steps *st, size_t n,
    const struct pl_tree_file *f);

#endif
