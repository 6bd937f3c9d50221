/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What unit tests share: cmocka with all that it needs before it, and a
 * folder of one's own that goes away with all that is in it.
 */
#ifndef PL_TEST_SCRATCH_H
#define PL_TEST_SCRATCH_H

#include "base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A group setup: *state becomes the folder's path. */
static inline int
scratch_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char path[512];

	snprintf(path, sizeof(path), "%s/placard-test-XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(path) == NULL)
		return -1;
	*state = pl_strdup(path);
	return 0;
}

static inline void
scratch_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char *sub;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (asprintf(&sub, "%s/%s", path, e->d_name) < 0)
			break;
		if (unlink(sub) != 0)
			scratch_remove(sub);
		free(sub);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

/* The teardown to it. */
static inline int
scratch_teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	*state = NULL;
	return 0;
}

/* "SCRATCH/name" in a buffer of the caller's. */
static inline const char *
scratch_path(char *out, size_t size, void *const *state, const char *name)
{
	const char *dir = *state;

	snprintf(out, size, "%s/%s", dir, name);
	return out;
}

static inline void
scratch_write(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* How many entries a folder has; -1 where it is not there. */
static inline int
scratch_count(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	if (dir == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

#endif
