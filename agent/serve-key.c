/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The role key of placard-local: new private keys for certificates that are
 * renewed unattended.  The engine says a file's name and what the request
 * should hold; the key stays in the directory.
 */
#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MOST 1000

struct keys {
	char *directory;
};

/* Who may look into it could read a key's name, who may write take its
 * place. */
static enum pl_code
check_directory(const char *path, struct pl_err *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return pl_fail(err, PL_EINVAL, "%s: is no directory", path);
	if ((st.st_mode & 077) != 0)
		return pl_fail(err, PL_EINVAL, "%s: others than its owner "
		    "may look into it: chmod 700 %s", path, path);
	return PL_OK;
}

static void
confine(const char *directory, const char *mode, const struct pl_log *log)
{
	const char *const write[] = { directory, NULL };
	struct pl_sandbox s = { .profile = PL_PROFILE_LOCAL,
		.mode = pl_streq(mode, "off") ? PL_SANDBOX_OFF :
		    pl_streq(mode, "log") ? PL_SANDBOX_LOG : PL_SANDBOX_ON,
		.write = write };

	pl_sandbox_apply(&s, log, PL_ROLE_KEY);
}

static enum pl_code
key_open(void **self, const struct pl_settings *set,
    const struct pl_log *log, struct pl_err *err)
{
	const char *directory = pl_setting(set, "directory");
	struct keys *k;
	enum pl_code code;

	*self = NULL;
	if (directory == NULL)
		return pl_fail(err, PL_EINVAL, "key: no directory");
	code = pl_mkdirs(directory, 0700, err);
	if (code == PL_OK)
		code = check_directory(directory, err);
	if (code != PL_OK)
		return code;
	confine(directory, pl_setting(set, "sandbox"), log);
	k = pl_alloc(sizeof(*k));
	k->directory = pl_strdup(directory);
	*self = k;
	return PL_OK;
}

static void
key_close(void *self)
{
	struct keys *k = self;

	free(k->directory);
	free(k);
}

/* One component of letters, digits, "-" and ".". */
static bool
good_file(const char *file)
{
	size_t n = file != NULL ? strlen(file) : 0;

	return n > 0 && n < 128 && file[0] != '.' && strspn(file,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789-.") == n;
}

/* The key that is there from a try before, or a new one. */
static enum pl_code
get_key(struct pl_key **key, const char *path, const char *type,
    struct pl_err *err)
{
	struct pl_secret *pem = NULL;
	enum pl_code code;

	*key = NULL;
	if (access(path, F_OK) == 0) {
		code = pl_secret_read(&pem, path, true, err);
		if (code == PL_OK && pl_key_parse(key, pem, NULL, err) !=
		    PL_OK)
			code = pl_prefix(err, "%s", path);
		pl_secret_free(pem);
		return code;
	}
	code = pl_key_new(key, type, err);
	if (code == PL_OK)
		code = pl_key_write(*key, path, NULL, err);
	return code;
}

static enum pl_code
make(const struct keys *k, const char *file, const char *type,
    const struct pl_csr_spec *spec, struct pl_buf *pem, struct pl_err *err)
{
	struct pl_key *key = NULL;
	struct pl_buf path;
	enum pl_code code;

	if (!good_file(file))
		return pl_fail(err, PL_EINVAL, "key: not a file's name");
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/%s", k->directory, file);
	code = get_key(&key, path.data, type, err);
	if (code == PL_OK)
		code = pl_csr_make(pem, key, spec, err);
	if (code == PL_OK && pem->failed)
		code = pl_fail(err, PL_EINVAL, "request: too many names");
	pl_key_free(key);
	pl_buf_clear(&path);
	return code;
}

static enum pl_code
key_call(void *self, struct pl_cursor *c, struct pl_buf *b)
{
	uint32_t id = pl_get_u32(c), n;
	const char *file = pl_get_str(c), *type = pl_get_str(c), **names;
	struct pl_csr_spec spec = { .nnames = 0 };
	const char **const subject[] = { &spec.subject.cn, &spec.subject.o,
		&spec.subject.ou, &spec.subject.l, &spec.subject.st,
		&spec.subject.c, &spec.subject.email };
	struct pl_buf pem;
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(subject); i++)
		*subject[i] = pl_get_str(c);
	n = pl_get_count(c, 5);
	if (c->bad || n > NAMES_MOST || type == NULL)
		return PL_EPROTO;
	names = pl_array(n + 1, sizeof(*names));
	for (uint32_t i = 0; i < n; i++)
		if ((names[i] = pl_get_str(c)) == NULL)
			c->bad = true;
	if (c->bad) {
		free(names);
		return PL_EPROTO;
	}
	spec.names = names;
	spec.nnames = n;
	pl_err_clear(&err);
	pl_buf_init(&pem, PL_CSR_MAX);
	err.code = make(self, file, type, &spec, &pem, &err);
	pl_put_u32(b, id);
	pl_put_err(b, &err);
	pl_put_str(b, err.code == PL_OK ? pem.data : NULL);
	pl_buf_clear(&pem);
	free(names);
	return PL_OK;
}

const struct pl_service pl_service_key = {
	.role = PL_ROLE_KEY,
	.open = key_open,
	.call = key_call,
	.close = key_close,
};
