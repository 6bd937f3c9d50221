/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "tree_modes.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static void
refused_paths(void **state)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "../a", "a/..", "a/../b", "./a", "a/./b", "a b", "a\n",
		"a%2fb", "a\\b", "\xc3\xa4", "a/~", "a*", "a:b" };
	struct pl_tree *t = tree_open_mode(state, "paths", 0);
	bool existed, gone, same, differs;
	char path[700], name[300];
	struct pl_tree_file f;
	struct pl_err err;
	unsigned made;
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++) {
		f = tree_file(bad[i], "x");
		assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err),
		    PL_EINVAL);
		assert_int_equal(pl_tree_remove(t, bad[i], "x", 1, 9, &gone,
		    &err), PL_EINVAL);
		assert_false(gone);
		assert_int_equal(pl_tree_same(t, bad[i], "x", 1, &same,
		    &differs, &err), PL_EINVAL);
		if (*bad[i] != '\0')
			assert_int_equal(pl_tree_writable(t, bad[i], &err),
			    PL_EINVAL);
	}
	memset(name, 'a', 256);
	name[256] = '\0';
	f = tree_file(name, "x");
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_EINVAL);
	name[255] = '\0';
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_OK);
	/* Too deep, and too deep by far. */
	for (i = 0; i < 130; i++)
		name[i] = i % 2 == 0 ? 'a' : '/';
	name[129] = '\0';
	f = tree_file(name, "x");
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_EINVAL);
	scratch_path(path, sizeof(path), state, "paths");
	assert_int_equal(scratch_count(path), 1);
	pl_tree_close(t);
}

static void
roots_that_are_none(void **state)
{
	struct pl_tree *t = (struct pl_tree *)state;
	struct pl_err err;
	char path[600];

	scratch_path(path, sizeof(path), state, "no-root");
	assert_int_equal(pl_tree_open(&t, path, &err), PL_EINVAL);
	assert_null(t);
	assert_int_equal(err.sys, ENOENT);
	scratch_write(path, "x", 1, 0644);
	assert_int_equal(pl_tree_open(&t, path, &err), PL_EINVAL);
	assert_int_equal(err.sys, ENOTDIR);
	pl_tree_close(NULL);
}

/* Something that is not ours stands where our file should. */
static void
strangers_stay(void *const *state, const char *dir, size_t mode)
{
	struct pl_tree *t = tree_open_mode(state, dir, mode);
	struct pl_tree_file f = tree_file("x", "ours");
	bool existed, gone, same, differs;
	char path[700], sub[64];
	struct pl_err err;
	struct stat before, after;
	unsigned made;

	snprintf(sub, sizeof(sub), "%s/x", dir);
	scratch_path(path, sizeof(path), state, sub);
	assert_int_equal(lstat(path, &before), 0);
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err),
	    PL_EREMOTE);
	assert_non_null(strstr(err.text, "/x: something else is there"));
	assert_int_equal(pl_tree_same(t, "x", "ours", 4, &same, &differs,
	    &err), PL_OK);
	assert_true(!same && differs);
	assert_int_equal(pl_tree_remove(t, "x", "ours", 4, 0, &gone, &err),
	    PL_OK);
	assert_true(gone);
	assert_int_equal(lstat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	snprintf(sub, sizeof(sub), "%s", dir);
	scratch_path(path, sizeof(path), state, sub);
	assert_int_equal(scratch_count(path), 1);
	pl_tree_close(t);
}

/* One kind of stranger; the folder is named after it. */
static void
stranger(void *const *state, const char *dir, const char *kind)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char path[700], sub[64];
	int fd;

	scratch_path(path, sizeof(path), state, dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(sub, sizeof(sub), "%s/x", dir);
	scratch_path(path, sizeof(path), state, sub);
	if (strcmp(kind, "shorter") == 0)
		scratch_write(path, "our", 3, 0644);
	else if (strcmp(kind, "longer") == 0)
		scratch_write(path, "ours!", 5, 0644);
	else if (strcmp(kind, "other") == 0)
		scratch_write(path, "ourS", 4, 0644);
	else if (strcmp(kind, "link") == 0)
		assert_int_equal(symlink("/etc/passwd", path), 0);
	else if (strcmp(kind, "dangling") == 0)
		assert_int_equal(symlink("nowhere", path), 0);
	else if (strcmp(kind, "folder") == 0)
		assert_int_equal(mkdir(path, 0755), 0);
	else if (strcmp(kind, "fifo") == 0)
		assert_int_equal(mkfifo(path, 0644), 0);
	else {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		/* Such an address is short: it is bound from inside. */
		strncpy(sun.sun_path, "x", sizeof(sun.sun_path) - 1);
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, dir);
		assert_int_equal(chdir(path), 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&sun,
		    sizeof(sun)), 0);
		close(fd);
		assert_int_equal(chdir("/"), 0);
	}
}

static void
all_strangers_stay(void **state)
{
	static const char *const kinds[] = { "shorter", "longer", "other",
		"link", "dangling", "folder", "fifo", "socket" };
	char dir[32];
	size_t i, mode;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		for (i = 0; i < PL_NELEM(kinds); i++) {
			snprintf(dir, sizeof(dir), "%s%zu", kinds[i], mode);
			stranger(state, dir, kinds[i]);
			strangers_stay(state, dir, mode);
		}
}

/* A link on the way, even one that stays inside, is not followed. */
static void
links_on_the_way(void *const *state, size_t mode)
{
	struct pl_tree *t = tree_open_mode(state, "way", mode);
	struct pl_tree_file f = tree_file("in/x", "1"), g;
	bool existed, gone, same, differs;
	char path[700], outside[700];
	struct pl_err err;
	unsigned made;
	size_t i;
	static const char *const links[] = { "out", "self", "abs" };

	scratch_path(outside, sizeof(outside), state, "outside");
	assert_true(mkdir(outside, 0755) == 0 || errno == EEXIST);
	scratch_path(path, sizeof(path), state, "way/out");
	assert_true(symlink("../outside", path) == 0 || errno == EEXIST);
	scratch_path(path, sizeof(path), state, "way/abs");
	assert_true(symlink(outside, path) == 0 || errno == EEXIST);
	scratch_path(path, sizeof(path), state, "way/self");
	assert_true(symlink("in", path) == 0 || errno == EEXIST);
	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_OK);
	for (i = 0; i < PL_NELEM(links); i++) {
		snprintf(path, sizeof(path), "%s/x", links[i]);
		g = tree_file(path, "1");
		assert_int_equal(pl_tree_put(t, &g, &existed, &made, &err),
		    PL_EREMOTE);
		assert_non_null(strstr(err.text, "a symbolic link is in"));
		/* What is behind it may be ours: said, not forgotten. */
		assert_int_equal(pl_tree_remove(t, path, "1", 1, 1, &gone,
		    &err), PL_EREMOTE);
		assert_false(gone);
		assert_int_equal(pl_tree_same(t, path, "1", 1, &same, &differs,
		    &err), PL_EREMOTE);
		assert_int_equal(pl_tree_writable(t, path, &err), PL_EREMOTE);
	}
	assert_int_equal(scratch_count(outside), 0);
	assert_int_equal(pl_tree_remove(t, "in/x", "1", 1, 1, &gone, &err),
	    PL_OK);
	/* A file on the way: ours cannot be below it. */
	scratch_path(path, sizeof(path), state, "way/file");
	scratch_write(path, "x", 1, 0644);
	g = tree_file("file/x", "1");
	assert_int_equal(pl_tree_put(t, &g, &existed, &made, &err),
	    PL_EREMOTE);
	assert_int_equal(pl_tree_remove(t, "file/x", "1", 1, 1, &gone, &err),
	    PL_OK);
	assert_true(gone);
	pl_tree_close(t);
}

static void
links_in_every_mode(void **state)
{
	size_t mode;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		links_on_the_way(state, mode);
}

/* Somebody linked a file of his, or ours, under two names. */
static void
hard_links_are_told(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "hard", 0);
	struct pl_tree_file f = tree_file("x", "ours");
	char path[700], other[700];
	struct pl_err err;
	unsigned made;
	bool existed, gone;

	assert_int_equal(pl_tree_put(t, &f, &existed, &made, &err), PL_OK);
	scratch_path(path, sizeof(path), state, "hard/x");
	scratch_path(other, sizeof(other), state, "other-name");
	assert_int_equal(link(path, other), 0);
	assert_int_equal(pl_tree_remove(t, "x", "ours", 4, 0, &gone, &err),
	    PL_EREMOTE);
	assert_false(gone);
	assert_non_null(strstr(err.text, "/x: has 2 hard links"));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(pl_tree_remove(t, "x", "ours", 4, 0, &gone, &err),
	    PL_OK);
	assert_true(gone);
	pl_tree_close(t);
}

/* In a child: a disk on which four octets are the most. */
static void
put_beyond_limit(struct pl_tree *t)
{
	const struct rlimit lim = { 4, 4 };
	struct pl_tree_file f = tree_file("a/b/x", "123456789");
	struct pl_err err;
	unsigned made = 9;
	bool existed;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &lim) != 0)
		_exit(2);
	if (pl_tree_put(t, &f, &existed, &made, &err) != PL_EIO)
		_exit(3);
	_exit(err.sys == EFBIG && made == 0 ? 0 : 4);
}

static void
full_disk_leaves_nothing(void **state)
{
	struct pl_tree *t;
	char path[700];
	size_t mode;
	int status;
	pid_t pid;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++) {
		t = tree_open_mode(state, "full", mode);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			put_beyond_limit(t);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		scratch_path(path, sizeof(path), state, "full");
		assert_int_equal(scratch_count(path), 0);
		pl_tree_close(t);
	}
}

/* In a child: as a user who may not write there. */
static void
put_without_leave(struct pl_tree *t)
{
	struct pl_tree_file f = tree_file("closed/x", "1");
	struct pl_err err;
	unsigned made;
	bool existed;

	if (setresgid(54321, 54321, 54321) != 0 ||
	    setresuid(12345, 12345, 12345) != 0)
		_exit(2);
	if (pl_tree_put(t, &f, &existed, &made, &err) != PL_EREMOTE)
		_exit(3);
	if (err.sys != EACCES)
		_exit(4);
	if (pl_tree_writable(t, "closed/deeper", &err) != PL_EREMOTE)
		_exit(5);
	/* One it may enter but not list is good enough. */
	f.path = "blind/x";
	if (pl_tree_put(t, &f, &existed, &made, &err) != PL_OK)
		_exit(6);
	/* An owner that it may not give away to: nothing stays. */
	f.path = "blind/y";
	f.uid = 0;
	if (pl_tree_put(t, &f, &existed, &made, &err) != PL_EREMOTE)
		_exit(7);
	_exit(0);
}

static void
permissions_are_told(void **state)
{
	struct pl_tree *t;
	char path[700];
	size_t mode;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(*state, 0755), 0);
	for (mode = 0; mode < PL_NELEM(tree_modes); mode++) {
		t = tree_open_mode(state, "leave", mode);
		scratch_path(path, sizeof(path), state, "leave/closed");
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		scratch_path(path, sizeof(path), state, "leave/blind");
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		assert_int_equal(chmod(path, 0733), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			put_without_leave(t);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(scratch_count(path), 1);
		scratch_remove(path);
		pl_tree_close(t);
	}
}

/* A name that is taken between the look and the placing is not replaced. */
static void
nothing_is_ever_replaced(void **state)
{
	struct pl_tree_file f = tree_file("x", "ours");
	struct pl_tree *t;
	char path[700];
	struct stat st;
	size_t mode;
	int dir;

	for (mode = 0; mode < PL_NELEM(tree_modes); mode++) {
		t = tree_open_mode(state, "taken", mode);
		scratch_path(path, sizeof(path), state, "taken/x");
		scratch_write(path, "theirs", 6, 0600);
		dir = tree_walk(t, &(struct steps){ .n = 1 }, 0, NULL);
		assert_true(dir >= 0);
		assert_int_equal(fresh_place(t, dir, "x", &f), -1);
		assert_int_equal(errno, EEXIST);
		close(dir);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 6);
		scratch_path(path, sizeof(path), state, "taken");
		assert_int_equal(scratch_count(path), 1);
		pl_tree_close(t);
	}
}

/* The temporary name was exchanged: theirs is neither used nor removed. */
static void
exchanged_temporary_is_left_alone(void **state)
{
	struct pl_tree *t = tree_open_mode(state, "swap", 2);
	struct fresh new = { .fd = -1 };
	char path[900], sub[128];
	int dir;

	dir = tree_walk(t, &(struct steps){ .n = 1 }, 0, NULL);
	assert_int_equal(fresh_open(t, &new, dir), 0);
	assert_string_not_equal(new.temp, "");
	snprintf(sub, sizeof(sub), "swap/%s", new.temp);
	scratch_path(path, sizeof(path), state, sub);
	assert_int_equal(unlink(path), 0);
	scratch_write(path, "theirs", 6, 0600);
	assert_false(fresh_is(&new, dir, new.temp));
	fresh_close(&new, dir);
	assert_int_equal(access(path, F_OK), 0);
	close(dir);
	pl_tree_close(t);
}

/* Killed at any moment: what was written down beforehand removes it all. */
static void
killed_anywhere_leaves_nothing(void **state)
{
	struct pl_tree_file f = tree_file("a/b/x", "ours");
	struct pl_tree *t;
	unsigned dirs, made;
	char path[700];
	bool existed, gone;
	size_t mode, i;
	pid_t pid;

	scratch_path(path, sizeof(path), state, "killed");
	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		for (i = 0; i < 25; i++) {
			t = tree_open_mode(state, "killed", mode);
			assert_int_equal(pl_tree_missing(t, f.path, &dirs,
			    NULL), PL_OK);
			assert_int_equal(dirs, 2);
			pid = fork();
			assert_true(pid >= 0);
			if (pid == 0)
				_exit((int)pl_tree_put(t, &f, &existed, &made,
				    NULL));
			usleep(pl_random_below(1500));
			kill(pid, SIGKILL);
			assert_int_equal(waitpid(pid, NULL, 0), pid);
			assert_int_equal(pl_tree_remove(t, f.path, "ours", 4,
			    dirs, &gone, NULL), PL_OK);
			assert_true(gone);
			assert_int_equal(scratch_count(path), 0);
			pl_tree_close(t);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_paths),
		cmocka_unit_test(roots_that_are_none),
		cmocka_unit_test(all_strangers_stay),
		cmocka_unit_test(links_in_every_mode),
		cmocka_unit_test(hard_links_are_told),
		cmocka_unit_test(full_disk_leaves_nothing),
		cmocka_unit_test(permissions_are_told),
		cmocka_unit_test(nothing_is_ever_replaced),
		cmocka_unit_test(exchanged_temporary_is_left_alone),
		cmocka_unit_test(killed_anywhere_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
