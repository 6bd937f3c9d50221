/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * file: challenge files below the document root of a web server on this
 * host.  Every step below the root is base/'s tree; here it is decided what
 * may be written, with which rights, and which directories go again.
 */
#include "providers.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MODE_DEFAULT "0644"

static const struct pl_option file_options[] = {
	{ .name = "root", .type = PL_OPT_PATH, .required = true,
	    .help = "the document root; it must exist" },
	{ .name = "mode", .type = PL_OPT_STRING,
	    .fallback = FILE_MODE_DEFAULT,
	    .help = "rights of the files in octal" },
	{ .name = "owner", .type = PL_OPT_STRING,
	    .help = "user who gets what is made, by name or number" },
	{ .name = "group", .type = PL_OPT_STRING,
	    .help = "group that gets what is made, by name or number" },
	{ .name = "web-config", .type = PL_OPT_BOOL, .fallback = "false",
	    .help = "put a web.config beside them, for IIS" },
	{ .name = NULL }
};

/* "644", "0640": rights only, and the owner can read. */
static enum pl_code
file_mode(unsigned *mode, const struct pl_settings *set, struct pl_err *err)
{
	const char *text = pl_setting(set, "mode"), *p;
	unsigned v = 0;

	if (text == NULL)
		text = FILE_MODE_DEFAULT;
	for (p = text; *p >= '0' && *p <= '7' && p - text < 4; p++)
		v = v * 8 + (unsigned)(*p - '0');
	*mode = v;
	if (p == text || *p != '\0' || v > 0777 || (v & 0400) == 0)
		return pl_fail(err, PL_EINVAL, "mode: \"%s\" is not 0400 to "
		    "0777 in octal, readable by its owner", text);
	return PL_OK;
}

static enum pl_code
file_check(const struct pl_settings *set, struct pl_err *err)
{
	unsigned mode;

	return file_mode(&mode, set, err);
}

static const char file_recipe[] =
    "placard's user needs to write two folders below the document root and\n"
    "nothing else; they may belong to it:\n"
    "\n"
    "install -d -o placard ROOT/.well-known/acme-challenge \\\n"
    "    ROOT/.well-known/pki-validation\n"
    "\n"
    "Served at:\n"
    "@    http://%D/.well-known/\n";

const struct pl_provider_desc pl_desc_file = {
	.name = "file",
	.program = "placard-local",
	.summary = "files below a document root on this host",
	.kinds = 1u << PL_FILE,
	.flags = PL_P_LOOK | PL_P_SWIFT,
	.parallel = 1,
	.options = file_options,
	.check = file_check,
	.recipe = file_recipe,
};

#ifndef PL_DESCRIBE

struct file {
	struct pl_tree *tree;
	unsigned mode, dirmode;
	int64_t uid, gid;
	bool web_config;
	char **made;		/* directories that this worker has made */
	size_t nmade;
};

/* Leaves the number for who gives no name. */
static enum pl_code
file_owner(struct file *f, const struct pl_settings *set, struct pl_err *err)
{
	const char *owner = pl_setting(set, "owner"),
	    *group = pl_setting(set, "group");
	const struct passwd *pw;
	const struct group *gr;

	f->uid = f->gid = -1;
	if (owner != NULL &&
	    pl_int_parse(&f->uid, owner, 0, UINT32_MAX - 1, NULL) != PL_OK) {
		pw = getpwnam(owner);
		if (pw == NULL)
			return pl_fail(err, PL_EINVAL,
			    "owner: there is no user \"%s\"", owner);
		f->uid = pw->pw_uid;
	}
	if (group != NULL &&
	    pl_int_parse(&f->gid, group, 0, UINT32_MAX - 1, NULL) != PL_OK) {
		gr = getgrnam(group);
		if (gr == NULL)
			return pl_fail(err, PL_EINVAL,
			    "group: there is no group \"%s\"", group);
		f->gid = gr->gr_gid;
	}
	return PL_OK;
}

static void
file_close(void *self)
{
	struct file *f = self;
	size_t i;

	if (f == NULL)
		return;
	pl_tree_close(f->tree);
	for (i = 0; i < f->nmade; i++)
		free(f->made[i]);
	free(f->made);
	free(f);
}

static enum pl_code
file_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	const char *root = pl_setting(set, "root");
	struct file *f = pl_alloc(sizeof(*f));
	enum pl_code rc;

	*self = NULL;
	if (root == NULL || root[0] != '/')
		rc = pl_fail(err, PL_EINVAL, "root: an absolute path is "
		    "expected");
	else
		rc = file_mode(&f->mode, set, err);
	if (rc == PL_OK)
		rc = file_owner(f, set, err);
	if (rc == PL_OK) {
		rc = pl_tree_open(&f->tree, root, err);
		if (rc != PL_OK)
			pl_prefix(err, "root");
	}
	f->web_config = pl_setting_bool(set, "web-config", false);
	/* Who may read the files may also walk to them. */
	f->dirmode = f->mode | ((f->mode & 0444) >> 2) | 0700;
	if (rc != PL_OK) {
		file_close(f);
		return rc;
	}
	*self = f;
	return PL_OK;
}

static enum pl_code
file_scope(void *self PL_UNUSED, const struct pl_call *call PL_UNUSED,
    const char *name PL_UNUSED, char scope[PL_NAME_MAX],
    struct pl_err *err PL_UNUSED)
{
	memcpy(scope, "local", sizeof("local"));
	return PL_OK;
}

/* ---- directories of ours ------------------------------------------------ */

static bool
file_is_ours(const struct file *f, const char *dir, size_t n)
{
	size_t i;

	for (i = 0; i < f->nmade; i++)
		if (strncmp(f->made[i], dir, n) == 0 && f->made[i][n] == '\0')
			return true;
	return false;
}

/* Cuts the last component off; 0 where there is none before it. */
static size_t
file_parent(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/*
 * How many directories above path, from the deepest up, are ours to remove:
 * the `made` ones of this call, and those that an earlier call made for
 * another file.  Without the latter the last file to go would leave them.
 */
static unsigned
file_note_dirs(struct file *f, const char *path, unsigned made)
{
	size_t n = file_parent(path, strlen(path));
	unsigned ours = 0;

	for (; n > 0; n = file_parent(path, n)) {
		if (!file_is_ours(f, path, n)) {
			if (made == 0)
				break;
			f->made = pl_grow(f->made, f->nmade + 1,
			    sizeof(f->made[0]));
			f->made[f->nmade++] = pl_strndup(path, n);
		}
		if (made > 0)
			made--;
		ours++;
	}
	return ours;
}

/* A handle is how many directories to remove when they are empty, from the
 * deepest up.  Without one they may be somebody else's: they stay. */
static unsigned
handle_dirs(const char *handle)
{
	int64_t dirs;

	if (handle == NULL ||
	    pl_int_parse(&dirs, handle, 0, 2, NULL) != PL_OK)
		return 0;
	return (unsigned)dirs;
}

/* ---- the web.config ------------------------------------------------------------ */

static char *
web_path(const char *path)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_add(&b, path, file_parent(path, strlen(path)));
	pl_buf_adds(&b, "/" PL_WEB_CONFIG);
	return pl_buf_take(&b);
}

/* Somebody else's stays as it is. */
static enum pl_code
web_add(struct file *f, const char *path, struct pl_err *err)
{
	char *at = web_path(path);
	struct pl_tree_file put = { .path = at, .data = pl_web_config,
		.len = strlen(pl_web_config), .mode = f->mode,
		.dirmode = f->dirmode, .uid = f->uid, .gid = f->gid };
	bool existed, same, differs = false;
	unsigned made;
	enum pl_code rc;

	rc = pl_tree_same(f->tree, at, put.data, put.len, &same, &differs,
	    err);
	if (rc == PL_OK && !differs)
		rc = pl_tree_put(f->tree, &put, &existed, &made, err);
	free(at);
	return rc;
}

/* Ours goes behind the last file. */
static void
web_del(struct file *f, const char *path)
{
	char *at = web_path(path);
	bool gone;

	if (pl_tree_alone(f->tree, at))
		(void)pl_tree_remove(f->tree, at, pl_web_config,
		    strlen(pl_web_config), 0, &gone, NULL);
	free(at);
}

/* ---- changes ------------------------------------------------------------- */

static enum pl_code
file_look(struct file *f, const char *path, const struct pl_change *c,
    struct pl_outcome *out, struct pl_err *err)
{
	bool same, differs;
	unsigned dirs = 0;
	enum pl_code rc;

	rc = pl_tree_same(f->tree, path, c->value, c->value_len, &same,
	    &differs, err);
	if (rc != PL_OK)
		return rc;
	out->was = same ? PL_WAS_PRESENT : PL_WAS_ABSENT;
	/* What an add would make, for who cleans up behind a kill. */
	if (!same)
		rc = pl_tree_missing(f->tree, path, &dirs, err);
	if (!same && rc == PL_OK)
		snprintf(out->handle, sizeof(out->handle), "%u", dirs);
	return rc;
}

static enum pl_code
file_add(struct file *f, const char *path, const struct pl_change *c,
    struct pl_outcome *out, struct pl_err *err)
{
	struct pl_tree_file put = { .path = path, .data = c->value,
		.len = c->value_len, .mode = f->mode, .dirmode = f->dirmode,
		.uid = f->uid, .gid = f->gid };
	unsigned made = 0, dirs = handle_dirs(c->handle);
	bool existed;
	enum pl_code rc;

	rc = pl_tree_put(f->tree, &put, &existed, &made, err);
	if (rc == PL_OK && f->web_config)
		rc = web_add(f, path, err);
	if (rc != PL_OK)
		return rc;
	out->was = existed ? PL_WAS_PRESENT : PL_WAS_ABSENT;
	made = file_note_dirs(f, path, made);
	/* What was missing at the look, an earlier try of ours may have made. */
	snprintf(out->handle, sizeof(out->handle), "%u",
	    made > dirs ? made : dirs);
	return PL_OK;
}

static enum pl_code
file_del(struct file *f, const char *path, const struct pl_change *c,
    struct pl_err *err)
{
	bool gone;

	return pl_tree_remove(f->tree, path, c->value, c->value_len, 0, &gone,
	    err);
}

/* Directories go when all files of the call have gone: they may share some,
 * and each knows only of those that were made for it. */
static void
file_prune(struct file *f, const struct pl_change *c)
{
	const char *path = c->name + 1;
	unsigned dirs = handle_dirs(c->handle);
	bool gone;

	if (f->web_config)
		web_del(f, path);
	if (dirs > 0)
		(void)pl_tree_remove(f->tree, path, c->value, c->value_len,
		    dirs, &gone, NULL);
}

static enum pl_code
file_change(struct file *f, const struct pl_change *c,
    struct pl_outcome *out, struct pl_err *err)
{
	const char *path;
	enum pl_code rc;

	if (c->kind != PL_FILE)
		return pl_fail(err, PL_EINVAL, "%s: a record cannot be "
		    "published as a file", c->name);
	rc = pl_record_allowed(c->kind, c->name, c->value, c->value_len,
	    false, NULL, err);
	if (rc != PL_OK)
		return rc;
	path = c->name + 1;
	switch (c->op) {
	case PL_LOOK:
		return file_look(f, path, c, out, err);
	case PL_ADD:
		return file_add(f, path, c, out, err);
	case PL_DEL:
		return file_del(f, path, c, err);
	}
	return pl_fail(err, PL_EINVAL, "%s: unknown operation", c->name);
}

static enum pl_code
file_apply(void *self, const struct pl_call *call,
    const char *scope PL_UNUSED, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	enum pl_code rc = PL_OK;
	struct file *f = self;
	struct pl_err one;
	size_t i;

	if (n == 0)
		return pl_tree_writable(f->tree, ".well-known", err);
	for (i = 0; i < n; i++) {
		if (pl_mono_ms() >= call->deadline)
			return pl_fail(err, PL_ENET, "local: deadline passed "
			    "with %zu of %zu files done", i, n);
		pl_err_clear(&one);
		out[i].code = file_change(f, &chg[i], &out[i], &one);
		if (out[i].code == PL_OK)
			continue;
		snprintf(out[i].text, sizeof(out[i].text), "%.*s",
		    (int)sizeof(out[i].text) - 1, one.text);
		if (rc == PL_OK) {
			rc = out[i].code;
			if (err != NULL)
				*err = one;
		}
	}
	/* Twice: siblings hold back what is above them all. */
	for (i = 0; i < 2 * n; i++) {
		if (chg[i % n].op == PL_DEL && out[i % n].code == PL_OK)
			file_prune(f, &chg[i % n]);
	}
	return rc;
}

const struct pl_provider pl_provider_file = {
	.desc = &pl_desc_file,
	.open = file_open,
	.scope = file_scope,
	.apply = file_apply,
	.close = file_close,
};

#endif
