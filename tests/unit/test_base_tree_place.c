/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Files and links that take the place of others. */
#include "scratch.h"

#define OK(e) do { if ((e) != PL_OK) fail_msg("%s", err.text); } while (0)

static struct pl_tree *
opened(void **state)
{
	struct pl_tree *t;
	struct pl_err err;

	OK(pl_tree_open(&t, *state, &err));
	return t;
}

static enum pl_code
replace(struct pl_tree *t, const char *path, const char *text, unsigned mode,
    struct pl_err *err)
{
	struct pl_tree_file f = { .path = path, .data = text,
		.len = strlen(text), .mode = mode, .uid = -1, .gid = -1 };

	return pl_tree_replace(t, &f, err);
}

static enum pl_there
kind(struct pl_tree *t, const char *path, unsigned *mode, char link[64])
{
	enum pl_there what;
	struct pl_buf to;
	struct pl_err err;

	pl_buf_init(&to, 64);
	OK(pl_tree_look(t, path, &what, mode, &to, &err));
	snprintf(link, 64, "%s", to.data);
	pl_buf_clear(&to);
	return what;
}

static void
test_replace(void **state)
{
	struct pl_tree *t = opened(state);
	struct pl_buf b;
	struct pl_err err;
	unsigned mode;
	char link[64];

	OK(pl_tree_mkdir(t, "a/b", 0755, -1, -1, &err));
	OK(pl_tree_mkdir(t, "a/b", 0755, -1, -1, &err));
	assert_int_equal(kind(t, "a/b", &mode, link), PL_THERE_DIR);
	assert_int_equal(kind(t, "a/x/y", &mode, link), PL_THERE_NOTHING);
	OK(replace(t, "a/b/f", "one", 0640, &err));
	OK(replace(t, "a/b/f", "two", 0600, &err));
	assert_int_equal(kind(t, "a/b/f", &mode, link), PL_THERE_FILE);
	assert_int_equal(mode, 0600);
	pl_buf_init(&b, 64);
	OK(pl_tree_read(t, "a/b/f", &b, &err));
	assert_string_equal(b.data, "two");
	pl_buf_clear(&b);
	/* A link takes a file's place, and a file a link's. */
	OK(pl_tree_link(t, "a/b/f", "../g", &err));
	assert_int_equal(kind(t, "a/b/f", &mode, link), PL_THERE_LINK);
	assert_string_equal(link, "../g");
	OK(replace(t, "a/b/f", "three", 0600, &err));
	assert_int_equal(kind(t, "a/b/f", &mode, link), PL_THERE_FILE);
	assert_int_equal(kind(t, "a/g", &mode, link), PL_THERE_NOTHING);
	pl_buf_init(&b, 64);
	OK(pl_tree_list(t, "a/b", &b, &err));
	assert_int_equal(b.len, 2);
	assert_string_equal(b.data, "f");
	pl_buf_clear(&b);
	OK(pl_tree_drop(t, "a/b/f", false, &err));
	OK(pl_tree_drop(t, "a/b/f", false, &err));
	OK(pl_tree_drop(t, "a/b", true, &err));
	OK(pl_tree_drop(t, "a", true, &err));
	pl_tree_close(t);
}

static void
test_move(void **state)
{
	struct pl_tree *t = opened(state);
	struct pl_err err;
	struct pl_buf b;
	char link[64];
	unsigned mode;

	OK(replace(t, "from", "1", 0600, &err));
	OK(replace(t, "to", "2", 0600, &err));
	OK(pl_tree_move(t, "from", "to", &err));
	assert_int_equal(kind(t, "from", &mode, link), PL_THERE_NOTHING);
	assert_int_equal(pl_tree_move(t, "a/from", "to", &err), PL_EINVAL);
	assert_int_equal(pl_tree_move(t, "from", "../to", &err), PL_EINVAL);
	pl_buf_init(&b, 64);
	OK(pl_tree_list(t, ".", &b, &err));
	assert_string_equal(b.data, "to");
	pl_buf_clear(&b);
	OK(pl_tree_drop(t, "to", false, &err));
	pl_tree_close(t);
}

/* Nothing is done through a link, and nothing outside. */
static void
test_refusals(void **state)
{
	struct pl_tree *t = opened(state);
	struct pl_buf b;
	struct pl_err err;
	int fd;

	OK(pl_tree_mkdir(t, "real", 0755, -1, -1, &err));
	OK(pl_tree_link(t, "linked", "real", &err));
	assert_int_equal(replace(t, "linked/f", "x", 0600, &err), PL_EREMOTE);
	assert_int_equal(pl_tree_link(t, "linked/f", "x", &err), PL_EREMOTE);
	assert_int_equal(pl_tree_mkdir(t, "linked/d", 0755, -1, -1, &err),
	    PL_EREMOTE);
	assert_int_equal(pl_tree_drop(t, "linked/f", false, &err),
	    PL_EREMOTE);
	assert_int_equal(pl_tree_lock(t, "linked/f", &fd, &err), PL_EREMOTE);
	pl_buf_init(&b, 4);
	assert_int_equal(pl_tree_list(t, "linked", &b, &err), PL_EREMOTE);
	assert_int_equal(pl_tree_read(t, "linked", &b, &err), PL_EREMOTE);
	assert_int_equal(pl_tree_read(t, "real", &b, &err), PL_EREMOTE);
	assert_int_equal(replace(t, "../f", "x", 0600, &err), PL_EINVAL);
	OK(replace(t, "long", "12345", 0600, &err));
	assert_int_equal(pl_tree_read(t, "long", &b, &err), PL_EREMOTE);
	pl_buf_clear(&b);
	/* A directory is not replaced by a file. */
	assert_true(replace(t, "real", "x", 0600, &err) != PL_OK);
	OK(pl_tree_drop(t, "long", false, &err));
	OK(pl_tree_drop(t, "linked", false, &err));
	OK(pl_tree_drop(t, "real", true, &err));
	/* What failed has left nothing. */
	pl_buf_init(&b, 64);
	OK(pl_tree_list(t, ".", &b, &err));
	assert_int_equal(b.len, 0);
	pl_buf_clear(&b);
	pl_tree_close(t);
}

static void
test_lock(void **state)
{
	struct pl_tree *t = opened(state);
	struct pl_err err;
	int one, two;

	OK(pl_tree_lock(t, "lock", &one, &err));
	assert_int_equal(pl_tree_lock(t, "lock", &two, &err), PL_ECONFLICT);
	assert_int_equal(two, -1);
	close(one);
	OK(pl_tree_lock(t, "lock", &two, &err));
	close(two);
	pl_tree_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
