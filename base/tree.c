/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The tree may belong to somebody who changes it while we look: whatever is
 * decided about a file is decided on a descriptor.  A file is made without a
 * name (O_TMPFILE) and linked to its final one, so that a kill leaves
 * nothing; where a file system cannot, it gets a temporary name first.
 */
#define TRIES 16	/* rounds against somebody who changes the tree */
static bool
steps_component(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n >= 1 && n <= 255 && s[n] == '\0' && strcmp(s, ".") != 0 &&
	    strcmp(s, "..") != 0;
}

/* steps_clear is right after failure as well. */
enum pl_code
steps_part(struct steps *st, const char *path, struct pl_err *err)
{
	char *p, *slash;

	memset(st, 0, sizeof(*st));
	st->text = pl_strdup(path);
	for (p = st->text; p != NULL; p = slash) {
		slash = strchr(p, '/');
		if (slash != NULL)
			*slash++ = '\0';
		if (st->n == TREE_DEPTH || !steps_component(p))
			return pl_fail(err, PL_EINVAL,
			    "\"%.200s\": not a path of plain names", path);
		st->at[st->n++] = p;
	}
	return PL_OK;
}

void
steps_clear(struct steps *st)
{
	free(st->text);
	st->text = NULL;
	st->n = 0;
}

static enum pl_code
tree_code(int sys)
{
	switch (sys) {
	case ELOOP:
	case ENOTDIR:
	case EXDEV:
	case EISDIR:
	case ENAMETOOLONG:
	case EACCES:
	case EPERM:
	case EROFS:
		return PL_EREMOTE;
	case ENOENT:
	case EEXIST:
	case EAGAIN:
	case ESTALE:
		return PL_ECONFLICT;
	default:
		return PL_EIO;
	}
}

enum pl_code
tree_fail(const struct pl_tree *t, const char *path, int sys,
    struct pl_err *err)
{
	if (sys == ELOOP)
		return pl_fail(err, PL_EREMOTE,
		    "%s/%s: a symbolic link is in the way", t->path, path);
	return pl_fail_sys(err, tree_code(sys), sys, "%s/%s", t->path, path);
}

/* ---- one step ---- */

/* Opens one component below dir, never through a link. */
int
step_open(struct pl_tree *t, int dir, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = (flags & O_TMPFILE) == O_TMPFILE ? 0600 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
		    RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	if (!t->no_openat2) {
		fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
		/* EPERM: a sandbox that is older than the call. */
		if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
			return fd;
		t->no_openat2 = errno == ENOSYS;
	}
	return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/*
 * With O_DIRECTORY and O_NOFOLLOW a link is told as ENOTDIR; ours say link.
 * A directory that we may enter but not list is opened without reading.
 */
static int
step_dir(struct pl_tree *t, int dir, const char *name)
{
	int fd = step_open(t, dir, name, O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (fd < 0 && errno == EACCES)
		fd = step_open(t, dir, name, O_PATH | O_DIRECTORY);
	if (fd < 0 && errno == ENOTDIR) {
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode))
			errno = ELOOP;
		else
			errno = ENOTDIR;
	}
	return fd;
}

int
step_sync(int fd)
{
	/* EINVAL: a file system without; EBADF: opened without reading. */
	if (fsync(fd) == 0 || errno == EINVAL || errno == EBADF)
		return 0;
	return -1;
}

int
step_owner(int fd, int64_t uid, int64_t gid)
{
	if (uid < 0 && gid < 0)
		return 0;
	return fchown(fd, uid < 0 ? (uid_t)-1 : (uid_t)uid,
	    gid < 0 ? (gid_t)-1 : (gid_t)gid);
}

/*
 * Makes a directory and gives it its mode and owner, by descriptor, and only
 * while it is still the one just made: ours, closed, empty.
 */
static int
step_make(struct pl_tree *t, int dir, const char *name,
    const struct pl_tree_file *f)
{
	struct stat st;
	int fd, sys;

	if (mkdirat(dir, name, 0700) != 0)
		return -1;
	fd = step_dir(t, dir, name);
	if (fd < 0 || fstat(fd, &st) != 0)
		goto fail;
	if (st.st_uid != geteuid() || (st.st_mode & 0777 & ~0700u) != 0 ||
	    st.st_nlink > 2) {
		errno = EAGAIN;
		goto fail;
	}
	if (step_owner(fd, f->uid, f->gid) != 0 ||
	    fchmod(fd, ((mode_t)f->dirmode & 07777) |
	    (st.st_mode & S_ISGID)) != 0 ||
	    step_sync(fd) != 0 || step_sync(dir) != 0)
		goto fail;
	return fd;
fail:
	sys = errno;
	if (fd >= 0)
		close(fd);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
	errno = sys;
	return -1;
}

/* Opens the directory n steps down; with f, makes what is missing. */
int
tree_walk(struct pl_tree *t, struct steps *st, size_t n,
    const struct pl_tree_file *f)
{
	int dir = fcntl(t->root, F_DUPFD_CLOEXEC, 3), next, sys;
	size_t i;

	for (i = 0; dir >= 0 && i < n; i++) {
		next = step_dir(t, dir, st->at[i]);
		if (next < 0 && errno == ENOENT && f != NULL) {
			next = step_make(t, dir, st->at[i], f);
			st->ours[i] = next >= 0;
		}
		sys = errno;
		close(dir);
		errno = sys;
		dir = next;
	}
	return dir;
}

/* How many directories, from the deepest up, this call made. */
static unsigned
tree_made(const struct steps *st)
{
	unsigned n = 0;

	while (n + 1 < st->n && st->ours[st->n - 2 - n])
		n++;
	return n;
}

/* ---- content ---- */

/* 1: exactly these octets, 0: others, -1: errno. */
static int
file_holds(int fd, const void *data, size_t len)
{
	const char *p = data;
	char chunk[8192];
	size_t at = 0;
	ssize_t n;

	for (;;) {
		n = pread(fd, chunk, sizeof(chunk), (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			return at == len;
		if ((size_t)n > len - at || memcmp(chunk, p + at, (size_t)n))
			return 0;
		at += (size_t)n;
	}
}

/* What is there under the name: *fd is open where it is a regular file. */
enum there { NOTHING, SAME, OTHER, FAULT };

static enum there
file_look(struct pl_tree *t, int dir, const char *name, const void *data,
    size_t len, int *fd, struct stat *st)
{
	int held;

	*fd = step_open(t, dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		switch (errno) {
		case ENOENT:
			return NOTHING;
		case ELOOP:	/* a link */
		case ENXIO:	/* a socket */
			return OTHER;
		default:
			return FAULT;
		}
	if (fstat(*fd, st) != 0)
		return FAULT;
	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != len)
		return OTHER;
	held = file_holds(*fd, data, len);
	return held < 0 ? FAULT : held > 0 ? SAME : OTHER;
}

int
file_fill(int fd, const char *p, size_t n)
{
	ssize_t done;

	while (n > 0) {
		done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* ---- a new file, with and without a temporary name ---- */

struct fresh {
	int fd;
	char temp[sizeof(TREE_TEMP) + TREE_TAIL];	/* "" where it has no name yet */
};

static bool
fresh_is(const struct fresh *new, int dir, const char *name)
{
	struct stat a, b;

	return fstat(new->fd, &a) == 0 &&
	    fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int
fresh_open(struct pl_tree *t, struct fresh *new, int dir)
{
	char tail[TREE_TAIL + 1];

	new->temp[0] = '\0';
	if (!t->no_tmpfile) {
		new->fd = step_open(t, dir, ".", O_WRONLY | O_TMPFILE);
		if (new->fd >= 0) {
			t->has_tmpfile = true;
			return 0;
		}
		if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
			return -1;
		t->no_tmpfile = true;
	}
	pl_random_name(tail, TREE_TAIL);
	snprintf(new->temp, sizeof(new->temp), TREE_TEMP "%s", tail);
	new->fd = openat(dir, new->temp, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (new->fd < 0)
		new->temp[0] = '\0';
	return new->fd < 0 ? -1 : 0;
}

/* Closes; removes the temporary name if it is still that of our file. */
static void
fresh_close(struct fresh *new, int dir)
{
	int sys = errno;

	if (new->fd < 0)
		return;
	if (new->temp[0] != '\0' && fresh_is(new, dir, new->temp))
		(void)unlinkat(dir, new->temp, 0);
	close(new->fd);
	new->fd = -1;
	errno = sys;
}

/* From no name to its final one, which must be free. */
static int
fresh_link(struct pl_tree *t, const struct fresh *new, int dir,
    const char *name)
{
	char proc[32];
	struct stat st;

	if (linkat(new->fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM && errno != EINVAL)
		return -1;
	/* That way needs a capability on older kernels; this one /proc. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", new->fd);
	if (linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno == ENOENT && lstat(proc, &st) != 0) {
		t->no_tmpfile = true;
		errno = EAGAIN;
	}
	return -1;
}

static int
fresh_name(struct pl_tree *t, struct fresh *new, int dir, const char *name)
{
	if (new->temp[0] == '\0')
		return fresh_link(t, new, dir, name);
	if (!t->no_rename2) {
		if (renameat2(dir, new->temp, dir, name,
		    RENAME_NOREPLACE) == 0) {
			new->temp[0] = '\0';
			return 0;
		}
		if (errno != ENOSYS && errno != EINVAL)
			return -1;
		t->no_rename2 = true;
	}
	/* fresh_close takes the other name away. */
	return linkat(dir, new->temp, dir, name, 0);
}

/* The whole life of a new file, up to its name. */
static int
fresh_place(struct pl_tree *t, int dir, const char *name,
    const struct pl_tree_file *f)
{
	struct fresh new = { .fd = -1 };
	int rc = -1;

	if (fresh_open(t, &new, dir) != 0 ||
	    file_fill(new.fd, f->data, f->len) != 0 ||
	    step_owner(new.fd, f->uid, f->gid) != 0 ||
	    fchmod(new.fd, (mode_t)f->mode & 07777) != 0 ||
	    fsync(new.fd) != 0 || fresh_name(t, &new, dir, name) != 0)
		goto out;
	/* Somebody may have put another file under the temporary name. */
	if (!fresh_is(&new, dir, name)) {
		errno = EAGAIN;
		goto out;
	}
	rc = step_sync(dir);
	if (rc != 0 && fresh_is(&new, dir, name))
		(void)unlinkat(dir, name, 0);
out:
	fresh_close(&new, dir);
	return rc;
}

static bool
temp_name(const char *name)
{
	size_t n = strlen(TREE_TEMP);

	return strncmp(name, TREE_TEMP, n) == 0 && strlen(name) == n + TREE_TAIL &&
	    strspn(name + n, "abcdefghijklmnopqrstuvwxyz0123456789") == TREE_TAIL;
}

static void
sweep_entries(int dir, DIR *list)
{
	struct dirent *e;
	struct stat st;

	while ((e = readdir(list)) != NULL)
		if (temp_name(e->d_name) &&
		    fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			(void)unlinkat(dir, e->d_name, 0);
}

/*
 * Where files need a temporary name first, a kill may have left one: they
 * go, once for each directory.  Who is using one at this moment is told
 * ENOENT and begins anew.
 */
static void
tree_sweep(struct pl_tree *t, int dir)
{
	struct fresh probe = { .fd = -1 };
	struct stat st;
	DIR *list;
	int fd;

	if (!t->has_tmpfile && !t->no_tmpfile) {
		(void)fresh_open(t, &probe, dir);
		fresh_close(&probe, dir);
	}
	if (!t->no_tmpfile || fstat(dir, &st) != 0 ||
	    (st.st_dev == t->swept_dev && st.st_ino == t->swept_ino))
		return;
	fd = step_open(t, dir, ".", O_RDONLY | O_DIRECTORY);
	list = fd >= 0 ? fdopendir(fd) : NULL;
	if (list == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	sweep_entries(dir, list);
	closedir(list);
	t->swept_dev = st.st_dev;
	t->swept_ino = st.st_ino;
}

/* ---- the door ---- */

enum pl_code
pl_tree_open(struct pl_tree **out, const char *root, struct pl_err *err)
{
	struct pl_tree *t;
	int fd;

	*out = NULL;
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", root);
	t = pl_alloc(sizeof(*t));
	t->root = fd;
	t->path = pl_strdup(root);
	*out = t;
	return PL_OK;
}

void
pl_tree_close(struct pl_tree *t)
{
	if (t == NULL)
		return;
	close(t->root);
	free(t->path);
	free(t);
}

/* Removes up to n directories above the last step, while they are empty. */
static void
tree_prune(struct pl_tree *t, struct steps *st, unsigned n)
{
	size_t level;
	int dir, rc;

	for (level = st->n - 1; level > 0 && n > 0; level--, n--) {
		dir = tree_walk(t, st, level - 1, NULL);
		if (dir < 0 && errno == ENOENT)
			continue;
		if (dir < 0)
			return;
		rc = unlinkat(dir, st->at[level - 1], AT_REMOVEDIR);
		if (rc != 0 && errno != ENOENT) {
			close(dir);
			return;
		}
		(void)step_sync(dir);
		close(dir);
	}
}

/* One round; *again where somebody came between. */
static enum pl_code
tree_put_once(struct pl_tree *t, struct steps *st,
    const struct pl_tree_file *f, bool *existed, bool *again,
    struct pl_err *err)
{
	const char *name = st->at[st->n - 1];
	struct stat info;
	enum pl_code code = PL_OK;
	int dir, fd = -1;

	*again = false;
	dir = tree_walk(t, st, st->n - 1, f);
	if (dir < 0)
		goto fail;
	switch (file_look(t, dir, name, f->data, f->len, &fd, &info)) {
	case NOTHING:
		if (fresh_place(t, dir, name, f) != 0)
			goto fail;
		break;
	case SAME:
		*existed = true;
		break;
	case OTHER:
		code = pl_fail(err, PL_EREMOTE,
		    "%s/%s: something else is there already", t->path,
		    f->path);
		break;
	case FAULT:
		goto fail;
	}
	goto out;
fail:
	*again = tree_code(errno) == PL_ECONFLICT;
	code = tree_fail(t, f->path, errno, err);
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return code;
}

enum pl_code
pl_tree_put(struct pl_tree *t, const struct pl_tree_file *f, bool *existed,
    unsigned *made, struct pl_err *err)
{
	struct steps st;
	enum pl_code code;
	bool again;
	int tries;

	*existed = false;
	*made = 0;
	code = steps_part(&st, f->path, err);
	if (code != PL_OK)
		goto out;
	for (tries = 0; tries < TRIES; tries++) {
		code = tree_put_once(t, &st, f, existed, &again, err);
		if (code == PL_OK || !again)
			break;
	}
	if (code == PL_OK)
		*made = tree_made(&st);
	else
		tree_prune(t, &st, tree_made(&st));
out:
	steps_clear(&st);
	return code;
}

/* Unlinks the file behind fd, if the name still means it. */
static enum pl_code
tree_unlink(struct pl_tree *t, int dir, const char *name, const char *path,
    const struct stat *st, bool *gone, struct pl_err *err)
{
	struct stat now;

	if (st->st_nlink > 1)
		return pl_fail(err, PL_EREMOTE, "%s/%s: has %lu hard links, "
		    "not removed", t->path, path,
		    (unsigned long)st->st_nlink);
	if (fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) != 0 ||
	    now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
		*gone = true;
		return PL_OK;
	}
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return tree_fail(t, path, errno, err);
	if (step_sync(dir) != 0)
		return tree_fail(t, path, errno, err);
	*gone = true;
	return PL_OK;
}

enum pl_code
pl_tree_remove(struct pl_tree *t, const char *path, const void *data,
    size_t len, unsigned dirs, bool *gone, struct pl_err *err)
{
	struct stat info;
	struct steps st;
	enum pl_code code;
	enum there there = NOTHING;
	int dir = -1, fd = -1;

	*gone = false;
	code = steps_part(&st, path, err);
	if (code != PL_OK)
		goto out;
	dir = tree_walk(t, &st, st.n - 1, NULL);
	if (dir >= 0) {
		/* First: a leftover may be our file's second hard link. */
		tree_sweep(t, dir);
		there = file_look(t, dir, st.at[st.n - 1], data, len, &fd,
		    &info);
	} else if (errno != ENOENT && errno != ENOTDIR) {
		there = FAULT;
	}
	switch (there) {
	case NOTHING:
	case OTHER:
		*gone = true;
		break;
	case SAME:
		code = tree_unlink(t, dir, st.at[st.n - 1], path, &info, gone,
		    err);
		break;
	case FAULT:
		code = tree_fail(t, path, errno, err);
		break;
	}
	if (code == PL_OK && there != OTHER)
		tree_prune(t, &st, dirs);
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	steps_clear(&st);
	return code;
}

enum pl_code
pl_tree_same(struct pl_tree *t, const char *path, const void *data,
    size_t len, bool *same, bool *differs, struct pl_err *err)
{
	struct stat info;
	struct steps st;
	enum pl_code code;
	enum there there = NOTHING;
	int dir = -1, fd = -1;

	*same = false;
	*differs = false;
	code = steps_part(&st, path, err);
	if (code != PL_OK)
		goto out;
	dir = tree_walk(t, &st, st.n - 1, NULL);
	if (dir >= 0)
		there = file_look(t, dir, st.at[st.n - 1], data, len, &fd,
		    &info);
	else if (errno != ENOENT)
		there = FAULT;
	*same = there == SAME;
	*differs = there == OTHER;
	if (there == FAULT)
		code = tree_fail(t, path, errno, err);
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	steps_clear(&st);
	return code;
}

enum pl_code
pl_tree_missing(struct pl_tree *t, const char *path, unsigned *dirs,
    struct pl_err *err)
{
	struct steps st;
	enum pl_code code;
	size_t n;
	int dir;

	*dirs = 0;
	code = steps_part(&st, path, err);
	if (code != PL_OK)
		goto out;
	for (n = st.n - 1;; n--) {
		dir = tree_walk(t, &st, n, NULL);
		if (dir >= 0 || errno != ENOENT || n == 0)
			break;
	}
	if (dir < 0) {
		code = tree_fail(t, path, errno, err);
		goto out;
	}
	close(dir);
	*dirs = (unsigned)(st.n - 1 - n);
out:
	steps_clear(&st);
	return code;
}

bool
pl_tree_alone(struct pl_tree *t, const char *path)
{
	const struct dirent *e;
	struct steps st;
	bool alone = false;
	DIR *list = NULL;
	int dir = -1;

	if (steps_part(&st, path, NULL) == PL_OK)
		dir = tree_walk(t, &st, st.n - 1, NULL);
	if (dir >= 0)
		list = fdopendir(dir);
	if (list == NULL) {
		if (dir >= 0)
			close(dir);
		goto out;
	}
	alone = true;
	errno = 0;
	while (alone && (e = readdir(list)) != NULL)
		alone = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, st.at[st.n - 1]) == 0;
	alone = alone && errno == 0;
	closedir(list);
out:
	steps_clear(&st);
	return alone;
}

enum pl_code
pl_tree_writable(struct pl_tree *t, const char *path, struct pl_err *err)
{
	struct fresh new = { .fd = -1 };
	struct steps st = { .n = 0 };
	enum pl_code code = PL_OK;
	size_t n;
	int dir = -1;

	if (*path != '\0')
		code = steps_part(&st, path, err);
	if (code != PL_OK)
		goto out;
	/* As far down as there is something. */
	for (n = st.n;; n--) {
		dir = tree_walk(t, &st, n, NULL);
		if (dir >= 0 || errno != ENOENT || n == 0)
			break;
	}
	if (dir < 0 || fresh_open(t, &new, dir) != 0)
		code = tree_fail(t, path, errno, err);
	fresh_close(&new, dir);
out:
	if (dir >= 0)
		close(dir);
	steps_clear(&st);
	return code;
}
