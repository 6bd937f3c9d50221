/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum pl_code
file_load(struct pl_buf *b, int fd, const char *shown, struct pl_err *err)
{
	char chunk[16384];
	enum pl_code code = PL_OK;
	ssize_t n;

	while (!b->failed && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n > 0)
			pl_buf_add(b, chunk, (size_t)n);
		else if (errno != EINTR) {
			code = pl_fail_sys(err, errno == EISDIR ? PL_EINVAL :
			    PL_EIO, errno, "%s", shown);
			break;
		}
	}
	if (b->failed)
		code = pl_fail(err, PL_EINVAL, "%s: longer than %zu octets",
		    shown, b->limit);
	explicit_bzero(chunk, sizeof(chunk));
	return code;
}

enum pl_code
pl_file_read(struct pl_buf *b, const char *path, struct pl_err *err)
{
	enum pl_code code;
	int fd;

	if (strcmp(path, "-") == 0)
		return file_load(b, 0, "standard input", err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	code = file_load(b, fd, path, err);
	close(fd);
	return code;
}

static int
file_put(int fd, const char *p, size_t n)
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

/* Lends the last component of path; *dir is opened on what is before it. */
static const char *
file_parent(const char *path, int *dir)
{
	const char *slash = strrchr(path, '/');
	char *parent;

	if (slash == NULL)
		parent = pl_strdup(".");
	else
		parent = pl_strndup(path, slash == path ? 1 :
		    (size_t)(slash - path));
	*dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	return slash != NULL ? slash + 1 : path;
}

/* Gives the file its name; temp is gone or becomes it. */
static int
file_name(int dir, const char *temp, const char *name, bool replace)
{
	if (replace)
		return renameat(dir, temp, dir, name);
	return linkat(dir, temp, dir, name, 0) == 0 ?
	    unlinkat(dir, temp, 0) : -1;
}

static enum pl_code
file_whole(const char *path, const void *p, size_t n, unsigned mode,
    bool replace, struct pl_err *err)
{
	char temp[64], tail[13];
	const char *name;
	enum pl_code code = PL_OK;
	int dir = -1, fd = -1;
	bool made = false;

	name = file_parent(path, &dir);
	if (dir < 0 || *name == '\0') {
		code = pl_fail_sys(err, PL_EIO, dir < 0 ? errno : EISDIR,
		    "%s", path);
		goto out;
	}
	pl_random_name(tail, sizeof(tail) - 1);
	snprintf(temp, sizeof(temp), ".placard-%s", tail);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	made = fd >= 0;
	if (fd < 0 || file_put(fd, p, n) != 0 ||
	    fchmod(fd, (mode_t)mode & 07777) != 0 || fsync(fd) != 0 ||
	    file_name(dir, temp, name, replace) != 0) {
		code = pl_fail_sys(err, errno == EEXIST ? PL_EINVAL : PL_EIO,
		    errno, "%s", path);
		goto out;
	}
	made = false;
	if (fsync(dir) != 0 && errno != EINVAL)
		code = pl_fail_sys(err, PL_EIO, errno, "%s", path);
out:
	if (made)
		unlinkat(dir, temp, 0);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return code;
}

enum pl_code
pl_file_write(const char *path, const void *p, size_t n, unsigned mode,
    struct pl_err *err)
{
	return file_whole(path, p, n, mode, true, err);
}

enum pl_code
pl_file_create(const char *path, const void *p, size_t n, unsigned mode,
    struct pl_err *err)
{
	return file_whole(path, p, n, mode, false, err);
}

/* One directory; PL_OK where it is there. */
static enum pl_code
mkdir_one(const char *path, unsigned mode, struct pl_err *err)
{
	struct stat st;
	int fd, sys = 0;

	if (mkdir(path, 0700) != 0) {
		sys = errno;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return PL_OK;
		return pl_fail_sys(err, PL_EIO, sys == EEXIST ? ENOTDIR : sys,
		    "%s", path);
	}
	/* The umask must not have its say. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, (mode_t)mode & 07777) != 0)
		sys = errno;
	if (fd >= 0)
		close(fd);
	return sys == 0 ? PL_OK : pl_fail_sys(err, PL_EIO, sys, "%s", path);
}

enum pl_code
pl_mkdirs(const char *path, unsigned mode, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	char *copy = pl_strdup(path), *p = copy;

	while (code == PL_OK && *p != '\0') {
		p += strspn(p, "/");
		p += strcspn(p, "/");
		if (*p == '/') {
			*p = '\0';
			code = mkdir_one(copy, mode, err);
			*p = '/';
		} else if (p > copy && p[-1] != '/') {
			code = mkdir_one(copy, mode, err);
		}
	}
	free(copy);
	return code;
}
