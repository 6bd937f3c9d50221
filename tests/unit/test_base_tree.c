/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "tree_modes.h"

#define TOKEN ".well-known/acme-challenge/tok_EN-1"

static void
whole_life(void *const *state, size_t mode)
{
	struct pl_tree *t = tree_open_mode(state, "life", mode);
	struct pl_tree_file f = tree_file(TOKEN, "body");
	bool existed, same, differs, gone;
	mode_t mask = umask(077);
	char path[700];
	unsigned made;
	struct stat st;

	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	assert_false(existed);
	assert_int_equal(made, 2);
	scratch_path(path, sizeof(path), state, "life/" TOKEN);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 4);
	scratch_path(path, sizeof(path), state, "life/.well-known");
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* Once more: there already, and nothing is made or touched. */
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	assert_true(existed);
	assert_int_equal(made, 0);
	assert_int_equal(pl_tree_same(t, TOKEN, "body", 4, &same, &differs,
	    NULL), PL_OK);
	assert_true(same && !differs);
	assert_int_equal(pl_tree_same(t, TOKEN, "bodY", 4, &same, &differs,
	    NULL), PL_OK);
	assert_true(!same && differs);
	assert_int_equal(pl_tree_same(t, "none/x", "body", 4, &same, &differs,
	    NULL), PL_OK);
	assert_true(!same && !differs);
	assert_int_equal(pl_tree_remove(t, TOKEN, "body", 4, 2, &gone, NULL),
	    PL_OK);
	assert_true(gone);
	scratch_path(path, sizeof(path), state, "life");
	assert_int_equal(scratch_count(path), 0);
	/* And again: gone already. */
	assert_int_equal(pl_tree_remove(t, TOKEN, "body", 4, 2, &gone, NULL),
	    PL_OK);
	assert_true(gone);
	assert_int_equal(tree_modes[mode].no_tmpfile, t->no_tmpfile);
	pl_tree_close(t);
	umask(mask);
}

static void
life_in_every_mode(void **state)
{
	size_t mode;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		whole_life(state, mode);
}

/* Directories that were there stay, even if they are empty in the end. */
static void
removes_only_what_it_made(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "part", 0);
	struct pl_tree_file f = tree_file("there/a/b/x", "1");
	struct pl_tree_file g = tree_file("there/a/y", "2");
	bool existed, gone;
	char path[700];
	unsigned made, other;

	scratch_path(path, sizeof(path), state, "part/there");
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	assert_int_equal(made, 2);
	assert_int_equal(pl_tree_put(t, &g, &existed, &other, NULL), PL_OK);
	assert_int_equal(other, 0);
	/* "a" is not empty: it stays until the last one goes. */
	assert_int_equal(pl_tree_remove(t, f.path, "1", 1, made, &gone, NULL),
	    PL_OK);
	scratch_path(path, sizeof(path), state, "part/there/a");
	assert_int_equal(scratch_count(path), 1);
	assert_int_equal(pl_tree_remove(t, g.path, "2", 1, 1, &gone, NULL),
	    PL_OK);
	scratch_path(path, sizeof(path), state, "part/there");
	assert_int_equal(scratch_count(path), 0);
	pl_tree_close(t);
}

/* Made directories go although the file in them went by itself. */
static void
prunes_behind_a_lost_file(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "lost", 0);
	struct pl_tree_file f = tree_file("a/b/x", "1");
	bool existed, gone;
	char path[700];
	unsigned made;

	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	scratch_path(path, sizeof(path), state, "lost/a/b/x");
	assert_int_equal(unlink(path), 0);
	scratch_path(path, sizeof(path), state, "lost/a/b");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(pl_tree_remove(t, "a/b/x", "1", 1, made, &gone, NULL),
	    PL_OK);
	assert_true(gone);
	scratch_path(path, sizeof(path), state, "lost");
	assert_int_equal(scratch_count(path), 0);
	pl_tree_close(t);
}

static void
owners_and_modes(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "own", 0);
	struct pl_tree_file f = tree_file("d/x", "1");
	struct stat st;
	char path[700];
	unsigned made;
	bool existed;

	if (geteuid() != 0) {
		pl_tree_close(t);
		skip();
	}
	f.uid = 12345;
	f.gid = 54321;
	f.mode = 0640;
	f.dirmode = 0750;
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	scratch_path(path, sizeof(path), state, "own/d/x");
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	assert_int_equal(st.st_mode & 07777, 0640);
	scratch_path(path, sizeof(path), state, "own/d");
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	assert_int_equal(st.st_mode & 07777, 0750);
	pl_tree_close(t);
}

static void
large_and_empty_bodies(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "big", 0);
	struct pl_tree_file f = tree_file("x", "");
	bool existed, gone, same, differs;
	char *data = pl_array(PL_LIM_FILE, 1);
	unsigned made;

	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	assert_int_equal(pl_tree_remove(t, "x", "", 0, 0, &gone, NULL), PL_OK);
	pl_random(data, PL_LIM_FILE);
	f.data = data;
	f.len = PL_LIM_FILE;
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	assert_int_equal(pl_tree_same(t, "x", data, PL_LIM_FILE, &same,
	    &differs, NULL), PL_OK);
	assert_true(same);
	data[PL_LIM_FILE - 1] ^= 1;
	assert_int_equal(pl_tree_same(t, "x", data, PL_LIM_FILE, &same,
	    &differs, NULL), PL_OK);
	assert_true(!same && differs);
	free(data);
	pl_tree_close(t);
}

static void
tries_and_leaves_nothing(void *const *state, size_t mode)
{
	struct pl_tree *t = tree_open_mode(state, "try", mode);
	struct pl_err err;
	char path[700];

	assert_int_equal(pl_tree_writable(t, "", &err), PL_OK);
	assert_int_equal(pl_tree_writable(t, "a", &err), PL_OK);
	assert_int_equal(pl_tree_writable(t, ".well-known/x/y", &err), PL_OK);
	scratch_path(path, sizeof(path), state, "try");
	assert_int_equal(scratch_count(path), 0);
	pl_tree_close(t);
}

static void
writable_in_every_mode(void **state)
{
	size_t mode;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		tries_and_leaves_nothing(state, mode);
}

static void
missing_directories_are_counted(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "missing", 0);
	struct pl_tree_file f = tree_file("a/b/c/x", "1");
	unsigned dirs, made;
	struct pl_err err;
	bool existed;

	assert_int_equal(pl_tree_missing(t, "a/b/c/x", &dirs, &err), PL_OK);
	assert_int_equal(dirs, 3);
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_OK);
	assert_int_equal(made, dirs);
	assert_int_equal(pl_tree_missing(t, "a/b/c/x", &dirs, &err), PL_OK);
	assert_int_equal(dirs, 0);
	assert_int_equal(pl_tree_missing(t, "a/b/d/x", &dirs, &err), PL_OK);
	assert_int_equal(dirs, 1);
	assert_int_equal(pl_tree_missing(t, "x", &dirs, &err), PL_OK);
	assert_int_equal(dirs, 0);
	assert_int_equal(pl_tree_missing(t, "a/b/c/x/y", &dirs, &err),
	    PL_EREMOTE);
	pl_tree_close(t);
}

/* What a kill left under a temporary name goes with the next removal. */
static void
leftovers_are_swept(void **state)
{
	static const char *const stay[] = { ".placard-abc", ".placard",
		".placard-ABCDEFGHIJKL", ".placard-abcdefghijklm",
		"x.placard" };
	struct pl_tree *t = tree_open_mode(state, "sweep", 3);
	struct pl_tree_file f = tree_file("a/x", "1");
	char path[700], sub[64];
	unsigned made;
	bool existed, gone;
	size_t i;

	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	scratch_path(path, sizeof(path), state,
	    "sweep/a/.placard-0a1b2c3d4e5f");
	scratch_write(path, "part of", 7, 0600);
	assert_int_equal(pl_tree_remove(t, "a/x", "1", 1, made, &gone, NULL),
	    PL_OK);
	scratch_path(path, sizeof(path), state, "sweep");
	assert_int_equal(scratch_count(path), 0);
	/* Names that are not ours, and what is no file, stay. */
	pl_tree_close(t);
	t = tree_open_mode(state, "sweep", 3);
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, NULL), PL_OK);
	for (i = 0; i < PL_NELEM(stay); i++) {
		snprintf(sub, sizeof(sub), "sweep/a/%s", stay[i]);
		scratch_path(path, sizeof(path), state, sub);
		scratch_write(path, "theirs", 6, 0600);
	}
	scratch_path(path, sizeof(path), state,
	    "sweep/a/.placard-aaaaaaaaaaaa");
	assert_int_equal(symlink("x", path), 0);
	assert_int_equal(pl_tree_remove(t, "a/x", "1", 1, made, &gone, NULL),
	    PL_OK);
	scratch_path(path, sizeof(path), state, "sweep/a");
	assert_int_equal(scratch_count(path), PL_NELEM(stay) + 1);
	pl_tree_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_in_every_mode),
		cmocka_unit_test(removes_only_what_it_made),
		cmocka_unit_test(prunes_behind_a_lost_file),
		cmocka_unit_test(owners_and_modes),
		cmocka_unit_test(large_and_empty_bodies),
		cmocka_unit_test(writable_in_every_mode),
		cmocka_unit_test(missing_directories_are_counted),
		cmocka_unit_test(leftovers_are_swept),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
