/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * tree.c with its insides, because what a kernel or a file system lacks can
 * only be pretended from there; and the ways through it that tests take.
 */
#ifndef PL_TEST_TREE_MODES_H
#define PL_TEST_TREE_MODES_H

#include "../../base/tree.c"

#include "scratch.h"

static const struct pl_tree tree_modes[] = {
	{ .root = -1 },
	{ .root = -1, .no_openat2 = true },
	{ .root = -1, .no_tmpfile = true },
	{ .root = -1, .no_openat2 = true, .no_tmpfile = true,
	    .no_rename2 = true },
};

/* Opens SCRATCH/name, which is made, as if things were missing. */
static inline struct pl_tree *
tree_open_mode(void *const *state, const char *name, size_t mode)
{
	struct pl_tree *t;
	char path[600];

	scratch_path(path, sizeof(path), state, name);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	assert_int_equal(pl_tree_open(&t, path, NULL), PL_OK);
	t->no_openat2 = tree_modes[mode].no_openat2;
	t->no_tmpfile = tree_modes[mode].no_tmpfile;
	t->no_rename2 = tree_modes[mode].no_rename2;
	return t;
}

static inline struct pl_tree_file
tree_file(const char *path, const char *text)
{
	return (struct pl_tree_file){ .path = path, .data = text,
		.len = strlen(text), .mode = 0644, .dirmode = 0755,
		.uid = -1, .gid = -1 };
}

#endif
