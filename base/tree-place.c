/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Files and links that take the place of others, in directories that are
 * walked as tree.c does it.  Whatever is written gets its rights, its owner and
 * its octets under a temporary name, and then its own name by one rename.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_MOST 4096

/* The directory that holds the last component of a path, opened. */
struct spot {
	struct steps st;
	const char *name;
	int dir;
};

static enum pl_code
spot_find(struct spot *s, struct pl_tree *t, const char *path,
    struct pl_err *err)
{
	enum pl_code code = steps_part(&s->st, path, err);

	s->dir = -1;
	if (code != PL_OK)
		return code;
	s->name = s->st.at[s->st.n - 1];
	s->dir = tree_walk(t, &s->st, s->st.n - 1, NULL);
	if (s->dir >= 0)
		return PL_OK;
	return tree_fail(t, path, errno, err);
}

static void
spot_clear(struct spot *s)
{
	if (s->dir >= 0)
		close(s->dir);
	steps_clear(&s->st);
}

static void
temp_name(char out[sizeof(TREE_TEMP) + TREE_TAIL])
{
	memcpy(out, TREE_TEMP, sizeof(TREE_TEMP));
	pl_random_name(out + sizeof(TREE_TEMP) - 1, TREE_TAIL);
}

/* ---- what is there ---------------------------------------------------------- */

static enum pl_there
kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return PL_THERE_FILE;
	if (S_ISLNK(mode))
		return PL_THERE_LINK;
	return S_ISDIR(mode) ? PL_THERE_DIR : PL_THERE_OTHER;
}

static int
read_link(const struct spot *s, struct pl_buf *to)
{
	char text[LINK_MOST];
	ssize_t n = readlinkat(s->dir, s->name, text, sizeof(text));

	if (n < 0)
		return -1;
	pl_buf_add(to, text, (size_t)n);
	return 0;
}

enum pl_code
pl_tree_look(struct pl_tree *t, const char *path, enum pl_there *what,
    unsigned *mode, struct pl_buf *link, struct pl_err *err)
{
	struct spot s;
	struct stat st;
	enum pl_code code;

	*what = PL_THERE_NOTHING;
	*mode = 0;
	code = steps_part(&s.st, path, err);
	s.dir = -1;
	if (code != PL_OK)
		goto out;
	s.name = s.st.at[s.st.n - 1];
	s.dir = tree_walk(t, &s.st, s.st.n - 1, NULL);
	if (s.dir < 0 && errno == ENOENT)
		goto out;
	if (s.dir < 0)
		goto fail;
	if (fstatat(s.dir, s.name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			goto out;
		goto fail;
	}
	*what = kind_of(st.st_mode);
	*mode = st.st_mode & 07777;
	if (*what == PL_THERE_LINK && link != NULL && read_link(&s, link) != 0)
		goto fail;
	goto out;
fail:
	code = tree_fail(t, path, errno, err);
out:
	spot_clear(&s);
	return code;
}

static int
read_all(int fd, struct pl_buf *b)
{
	char chunk[8192];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0 && !b->failed) {
		if (n > 0)
			pl_buf_add(b, chunk, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	explicit_bzero(chunk, sizeof(chunk));
	return n < 0 ? -1 : 0;
}

enum pl_code
pl_tree_read(struct pl_tree *t, const char *path, struct pl_buf *b,
    struct pl_err *err)
{
	struct spot s;
	struct stat st;
	enum pl_code code = spot_find(&s, t, path, err);
	int fd = -1;

	if (code != PL_OK)
		goto out;
	fd = step_open(t, s.dir, s.name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0)
		code = tree_fail(t, path, errno, err);
	else if (!S_ISREG(st.st_mode))
		code = pl_fail(err, PL_EREMOTE, "%s/%s: not a plain file",
		    t->path, path);
	else if (read_all(fd, b) != 0)
		code = tree_fail(t, path, errno, err);
	else if (b->failed)
		code = pl_fail(err, PL_EREMOTE, "%s/%s: longer than %zu "
		    "octets", t->path, path, b->limit);
out:
	if (fd >= 0)
		close(fd);
	spot_clear(&s);
	return code;
}

enum pl_code
pl_tree_list(struct pl_tree *t, const char *path, struct pl_buf *names,
    struct pl_err *err)
{
	struct spot s = { .dir = -1 };
	const struct dirent *e;
	bool top = strcmp(path, ".") == 0;
	enum pl_code code = top ? PL_OK : spot_find(&s, t, path, err);
	DIR *list = NULL;
	int fd;

	if (code != PL_OK)
		goto out;
	fd = step_open(t, top ? t->root : s.dir, top ? "." : s.name,
	    O_RDONLY | O_DIRECTORY);
	if (fd >= 0)
		list = fdopendir(fd);
	if (list == NULL) {
		code = tree_fail(t, path, errno, err);
		if (fd >= 0)
			close(fd);
		goto out;
	}
	while ((e = readdir(list)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") ==
		    0)
			continue;
		pl_buf_add(names, e->d_name, strlen(e->d_name) + 1);
	}
	closedir(list);
out:
	spot_clear(&s);
	return code;
}

/* ---- taking another's place -------------------------------------------------- */

enum pl_code
pl_tree_mkdir(struct pl_tree *t, const char *path, unsigned mode, int64_t uid,
    int64_t gid, struct pl_err *err)
{
	struct pl_tree_file f = { .path = path, .dirmode = mode, .uid = uid,
		.gid = gid };
	struct steps st;
	enum pl_code code = steps_part(&st, path, err);
	int dir;

	if (code == PL_OK) {
		dir = tree_walk(t, &st, st.n, &f);
		if (dir < 0)
			code = tree_fail(t, path, errno, err);
		else
			close(dir);
	}
	steps_clear(&st);
	return code;
}

enum pl_code
pl_tree_replace(struct pl_tree *t, const struct pl_tree_file *f,
    struct pl_err *err)
{
	char temp[sizeof(TREE_TEMP) + TREE_TAIL];
	struct spot s;
	enum pl_code code = spot_find(&s, t, f->path, err);
	int fd = -1;

	if (code != PL_OK)
		goto out;
	temp_name(temp);
	fd = openat(s.dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd < 0) {
		code = tree_fail(t, f->path, errno, err);
		goto out;
	}
	if (file_fill(fd, f->data, f->len) != 0 ||
	    step_owner(fd, f->uid, f->gid) != 0 ||
	    fchmod(fd, (mode_t)f->mode & 07777) != 0 || fsync(fd) != 0 ||
	    renameat(s.dir, temp, s.dir, s.name) != 0 ||
	    step_sync(s.dir) != 0) {
		code = tree_fail(t, f->path, errno, err);
		(void)unlinkat(s.dir, temp, 0);
	}
out:
	if (fd >= 0)
		close(fd);
	spot_clear(&s);
	return code;
}

enum pl_code
pl_tree_link(struct pl_tree *t, const char *path, const char *to,
    struct pl_err *err)
{
	char temp[sizeof(TREE_TEMP) + TREE_TAIL];
	struct spot s;
	enum pl_code code = spot_find(&s, t, path, err);

	if (code != PL_OK)
		goto out;
	temp_name(temp);
	if (symlinkat(to, s.dir, temp) != 0) {
		code = tree_fail(t, path, errno, err);
		goto out;
	}
	if (renameat(s.dir, temp, s.dir, s.name) != 0 ||
	    step_sync(s.dir) != 0) {
		code = tree_fail(t, path, errno, err);
		(void)unlinkat(s.dir, temp, 0);
	}
out:
	spot_clear(&s);
	return code;
}

enum pl_code
pl_tree_move(struct pl_tree *t, const char *from, const char *to,
    struct pl_err *err)
{
	struct steps a, b;
	enum pl_code code = steps_part(&a, from, err);

	b = (struct steps){ .n = 0 };
	if (code == PL_OK)
		code = steps_part(&b, to, err);
	if (code == PL_OK && (a.n != 1 || b.n != 1))
		code = pl_fail(err, PL_EINVAL, "\"%.200s\": not a plain name",
		    a.n != 1 ? from : to);
	if (code == PL_OK && (renameat(t->root, a.at[0], t->root, b.at[0]) !=
	    0 || step_sync(t->root) != 0))
		code = tree_fail(t, to, errno, err);
	steps_clear(&a);
	steps_clear(&b);
	return code;
}

enum pl_code
pl_tree_drop(struct pl_tree *t, const char *path, bool dir,
    struct pl_err *err)
{
	struct spot s;
	enum pl_code code = spot_find(&s, t, path, err);

	if (code == PL_OK && ((unlinkat(s.dir, s.name, dir ? AT_REMOVEDIR :
	    0) != 0 && errno != ENOENT) || step_sync(s.dir) != 0))
		code = tree_fail(t, path, errno, err);
	spot_clear(&s);
	return code;
}

enum pl_code
pl_tree_lock(struct pl_tree *t, const char *path, int *fd,
    struct pl_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct spot s;
	enum pl_code code = spot_find(&s, t, path, err);

	*fd = -1;
	if (code != PL_OK)
		goto out;
	*fd = openat(s.dir, s.name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (*fd < 0)
		code = tree_fail(t, path, errno, err);
	else if (fcntl(*fd, F_OFD_SETLK, &lock) != 0) {
		code = pl_fail(err, PL_ECONFLICT, "%s/%s: another placard is "
		    "at work there", t->path, path);
		close(*fd);
		*fd = -1;
	}
out:
	spot_clear(&s);
	return code;
}
