/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The files that `placard service install` makes, and the list of them by
 * which `uninstall` knows what it may take away: a line each, the digest of
 * the content where there was one, and the path.
 */
#include "service.h"

#include <sys/stat.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
digest(struct pl_buf *out, const struct pl_buf *text)
{
	unsigned char sum[32];

	pl_sha256(sum, text->data, text->len);
	pl_hex(out, sum, sizeof(sum));
}

/* ---- the list ------------------------------------------------------------------ */

void
service_list_load(struct service_list *l, const char *path)
{
	struct pl_buf text;
	char *line, *end, *space;

	*l = (struct service_list){ .path = path };
	pl_buf_init(&text, PL_LIM_FILE);
	if (access(path, R_OK) == 0)
		pl_file_read(&text, path, NULL);
	for (line = text.data; (end = strchr(line, '\n')) != NULL;
	    line = end + 1) {
		*end = '\0';
		space = strchr(line, ' ');
		if (space == NULL)
			continue;
		*space = '\0';
		service_list_add(l, space + 1, line);
	}
	pl_buf_clear(&text);
}

void
service_list_clear(struct service_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->made[i].path);
		free(l->made[i].digest);
	}
	free(l->made);
	l->made = NULL;
	l->n = 0;
}

void
service_list_add(struct service_list *l, const char *path,
    const char *sum)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->made[i].path, path) != 0)
			continue;
		free(l->made[i].digest);
		l->made[i].digest = pl_strdup(sum);
		return;
	}
	l->made = pl_grow(l->made, l->n + 1, sizeof(*l->made));
	l->made[l->n].path = pl_strdup(path);
	l->made[l->n++].digest = pl_strdup(sum);
}

enum pl_code
service_list_save(const struct service_list *l, struct pl_err *err)
{
	struct pl_buf text;
	enum pl_code code;

	pl_buf_init(&text, PL_LIM_FILE);
	for (size_t i = 0; i < l->n; i++)
		pl_buf_addf(&text, "%s %s\n", l->made[i].digest,
		    l->made[i].path);
	/* The digest of a key is nobody's business. */
	code = pl_file_write(l->path, text.data, text.len, 0600, err);
	pl_buf_clear(&text);
	return code;
}

bool
service_list_has(const struct service_list *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->made[i].path, path) == 0)
			return true;
	}
	return false;
}

/* ---- making and removing --------------------------------------------------------- */

enum pl_code
service_mkdir(struct service_list *l, const char *path, unsigned mode,
    struct pl_err *err)
{
	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) == -1)
			return pl_fail_sys(err, PL_EIO, errno, "%s", path);
		service_list_add(l, path, "folder");
		return PL_OK;
	}
	return errno == EEXIST ? PL_OK :
	    pl_fail_sys(err, PL_EIO, errno, "%s", path);
}

enum pl_code
service_put(struct service_list *l, const struct service_file *f,
    struct pl_err *err)
{
	const struct passwd *pw = f->owner != NULL ? getpwnam(f->owner) :
	    NULL;
	struct pl_buf sum;
	enum pl_code code;

	if (f->owner != NULL && pw == NULL)
		return pl_fail(err, PL_EIO, "%s: no such user", f->owner);
	code = pl_file_write(f->path, f->text->data, f->text->len, 0600, err);
	if (code != PL_OK)
		return code;
	if (pw != NULL && chown(f->path, f->group_only ? 0 : pw->pw_uid,
	    pw->pw_gid) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "%s", f->path);
	if (chmod(f->path, f->mode) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "%s", f->path);
	pl_buf_init(&sum, PL_LIM_LINE);
	digest(&sum, f->text);
	service_list_add(l, f->path, sum.data);
	pl_buf_clear(&sum);
	return PL_OK;
}

/* Is the file still as it was made? */
static bool
unchanged(const char *path, const char *sum)
{
	struct pl_buf text, now;
	bool same;

	pl_buf_init(&text, PL_LIM_CONFIG);
	pl_buf_init(&now, PL_LIM_LINE);
	same = pl_file_read(&text, path, NULL) == PL_OK;
	if (same) {
		digest(&now, &text);
		same = strcmp(now.data, sum) == 0;
	}
	pl_buf_clear(&text);
	pl_buf_clear(&now);
	return same;
}

bool
service_same(const struct service_list *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->made[i].path, path) == 0)
			return unchanged(path, l->made[i].digest);
	}
	return false;
}

bool
service_remove(const char *path, const char *sum, bool purge)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return true;
	if (strcmp(sum, "folder") == 0)
		return rmdir(path) == 0;
	if (!purge && !unchanged(path, sum))
		return false;
	return unlink(path) == 0;
}
