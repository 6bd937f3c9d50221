/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * sftp: challenge files below the document root of a web server on another
 * host, OpenSSH on Linux or Windows and others.
 *
 * A call goes through its files in chunks, and through each chunk in steps;
 * all requests of a step are under way at once.  A file is written under a
 * temporary name beside its own, and renamed when every octet is confirmed.  The
 * name is drawn while looking and is in the journal before the file is made,
 * so that whoever cleans up behind a kill knows what to remove.
 *
 * Handle: "DIRS" or "DIRS TEMP": how many directories, from the deepest up,
 * were not there before us; the temporary name, while it may be in use.
 */
#include "sftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pl_option sftp_options[] = {
	{ .name = "host", .type = PL_OPT_STRING, .required = true,
	    .help = "name or address of the server" },
	{ .name = "port", .type = PL_OPT_INT, .fallback = "22", .min = 1,
	    .max = 65535, .help = "its port" },
	{ .name = "user", .type = PL_OPT_STRING, .required = true,
	    .help = "who logs in" },
	{ .name = "private-key", .type = PL_OPT_SECRET,
	    .help = "the user's key, Ed25519, ECDSA or RSA" },
	{ .name = "passphrase", .type = PL_OPT_SECRET,
	    .help = "of the key" },
	{ .name = "password", .type = PL_OPT_SECRET,
	    .help = "the user's, where no key is used" },
	{ .name = "agent-socket", .type = PL_OPT_PATH,
	    .help = "socket of an ssh-agent that holds the key" },
	{ .name = "known-hosts-file", .type = PL_OPT_PATH,
	    .help = "host keys as OpenSSH keeps them" },
	{ .name = "host-key", .type = PL_OPT_STRING,
	    .help = "fingerprint of the one host key to accept: SHA256:..." },
	{ .name = "root", .type = PL_OPT_STRING, .required = true,
	    .help = "the document root there; it must exist" },
	{ .name = "mode", .type = PL_OPT_STRING, .fallback = SFTP_MODE,
	    .help = "rights of the files in octal" },
	{ .name = "web-config", .type = PL_OPT_BOOL, .fallback = "false",
	    .help = "put a web.config beside them, for IIS" },
	{ .name = NULL }
};

/* "644", "0640": rights only, and the owner can read. */
static enum pl_code
sftp_mode(unsigned *mode, const struct pl_settings *set, struct pl_err *err)
{
	const char *text = pl_setting(set, "mode"), *p;
	unsigned v = 0;

	if (text == NULL)
		text = SFTP_MODE;
	for (p = text; *p >= '0' && *p <= '7' && p - text < 4; p++)
		v = v * 8 + (unsigned)(*p - '0');
	*mode = v;
	if (p == text || *p != '\0' || v > 0777 || (v & 0400) == 0)
		return pl_fail(err, PL_EINVAL, "mode: \"%s\" is not 0400 to "
		    "0777 in octal, readable by its owner", text);
	return PL_OK;
}

static bool
plain_text(const char *s)
{
	if (s == NULL || *s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

/* "SHA256:" and 43 characters of base64. */
static bool
is_fingerprint(const char *s)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	return strncmp(s, "SHA256:", 7) == 0 &&
	    strspn(s + 7, base64) == 43 && s[50] == '\0';
}

static enum pl_code
sftp_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *host = pl_setting(set, "host"),
	    *pin = pl_setting(set, "host-key");
	unsigned mode;

	if (!plain_text(host) || strpbrk(host, " /@,*?!|[]") != NULL)
		return pl_fail(err, PL_EINVAL, "host: \"%s\" is neither a "
		    "name nor an address", host != NULL ? host : "");
	if (!plain_text(pl_setting(set, "user")))
		return pl_fail(err, PL_EINVAL, "user: a name is expected");
	if (!plain_text(pl_setting(set, "root")))
		return pl_fail(err, PL_EINVAL, "root: a path is expected");
	if (!pl_setting_has_secret(set, "private-key") &&
	    !pl_setting_has_secret(set, "password") &&
	    pl_setting(set, "agent-socket") == NULL)
		return pl_fail(err, PL_EINVAL, "private-key: missing: one of "
		    "private-key, password and agent-socket is needed");
	if (pl_setting_has_secret(set, "passphrase") &&
	    !pl_setting_has_secret(set, "private-key"))
		return pl_fail(err, PL_EINVAL, "passphrase: there is no "
		    "private-key that it could open");
	if (pin != NULL && pl_setting(set, "known-hosts-file") != NULL)
		return pl_fail(err, PL_EINVAL, "host-key: only one of "
		    "host-key and known-hosts-file can be given");
	if (pin != NULL && !is_fingerprint(pin))
		return pl_fail(err, PL_EINVAL, "host-key: \"%s\" is not "
		    "SHA256: and 43 characters, as ssh-keygen -l shows it",
		    pin);
	return sftp_mode(&mode, set, err);
}

const struct pl_provider_desc pl_desc_sftp = {
	.name = "sftp",
	.program = "placard-ssh",
	.summary = "files below a document root on another host, over SSH",
	.kinds = 1u << PL_FILE,
	.flags = PL_P_LOOK | PL_P_HOSTKEY,
	.max_batch = 500,
	.parallel = 1,
	.options = sftp_options,
	.check = sftp_check,
};

#ifndef PL_DESCRIBE

/* ---- opening and closing ----------------------------------------------- */

/* The root as SFTP writes it: "C:\inetpub" is "/C:/inetpub" there. */
static char *
root_path(const char *root)
{
	bool drive = ((root[0] >= 'A' && root[0] <= 'Z') ||
	    (root[0] >= 'a' && root[0] <= 'z')) && root[1] == ':' &&
	    (root[2] == '/' || root[2] == '\\');
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	if (drive)
		pl_buf_addc(&b, '/');
	for (; *root != '\0'; root++)
		pl_buf_addc(&b, drive && *root == '\\' ? '/' : *root);
	while (b.len > 1 && b.data[b.len - 1] == '/')
		b.data[--b.len] = '\0';
	return pl_buf_take(&b);
}

void
sftp_hang_up(struct sftp *f)
{
	pl_sftp_close(f->link);
	f->link = NULL;
}

static void
sftp_close(void *self)
{
	struct sftp *f = self;

	if (f == NULL)
		return;
	sftp_hang_up(f);
	pl_secret_free(f->key);
	pl_secret_free(f->passphrase);
	pl_secret_free(f->password);
	for (size_t i = 0; i < f->ndirs; i++)
		free(f->dirs[i].path);
	free(f->host);
	free(f->user);
	free(f->agent);
	free(f->known_hosts);
	free(f->host_key);
	free(f->root);
	free(f);
}

static enum pl_code
sftp_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	struct sftp *f = pl_alloc(sizeof(*f));
	enum pl_code rc;

	*self = NULL;
	rc = sftp_check(set, err);
	if (rc != PL_OK)
		goto fail;
	(void)sftp_mode(&f->mode, set, NULL);
	/* Who may read the files may also walk to them. */
	f->dirmode = f->mode | ((f->mode & 0444) >> 2) | 0700;
	f->host = pl_strdup(pl_setting(set, "host"));
	f->port = (uint16_t)pl_setting_int(set, "port", 22);
	f->user = pl_strdup(pl_setting(set, "user"));
	f->agent = pl_strdup(pl_setting(set, "agent-socket"));
	f->known_hosts = pl_strdup(pl_setting(set, "known-hosts-file"));
	f->host_key = pl_strdup(pl_setting(set, "host-key"));
	f->root = root_path(pl_setting(set, "root"));
	f->web_config = pl_setting_bool(set, "web-config", false);
	rc = pl_setting_secret(set, "private-key", true, &f->key, err);
	if (rc == PL_OK)
		rc = pl_setting_secret(set, "passphrase", false,
		    &f->passphrase, err);
	if (rc == PL_OK)
		rc = pl_setting_secret(set, "password", false, &f->password,
		    err);
	if (rc != PL_OK)
		goto fail;
	*self = f;
	return PL_OK;
fail:
	sftp_close(f);
	return rc;
}

static enum pl_code
sftp_scope(void *self, const struct pl_call *call PL_UNUSED,
    const char *name PL_UNUSED, char scope[PL_NAME_MAX], struct pl_err *err)
{
	const struct sftp *f = self;
	int n;

	n = snprintf(scope, PL_NAME_MAX, f->port == 22 ? "%s" : "%s:%u",
	    f->host, (unsigned)f->port);
	if (n < 0 || n >= PL_NAME_MAX)
		return pl_fail(err, PL_EINVAL, "host: too long");
	return PL_OK;
}

static enum pl_code
sftp_probe(void *self, const struct pl_call *call, struct pl_buf *text,
    struct pl_err *err)
{
	const struct sftp *f = self;

	return pl_ssh_host_keys(text, f->host, f->port, call->deadline, err);
}

/* A connection that was idle may have been closed; that is no failure. */
static enum pl_code
sftp_connect(struct sftp *f, int64_t deadline, struct pl_err *err)
{
	struct pl_ssh_opts o = { .host = f->host, .port = f->port,
		.user = f->user, .key = f->key, .passphrase = f->passphrase,
		.password = f->password, .agent = f->agent,
		.known_hosts = f->known_hosts, .host_key = f->host_key };
	struct pl_ssh *ssh;
	enum pl_code rc;

	if (f->link != NULL && pl_sftp_stale(f->link))
		sftp_hang_up(f);
	if (f->link != NULL)
		return PL_OK;
	rc = pl_ssh_open(&ssh, &o, deadline, err);
	if (rc == PL_OK)
		rc = pl_sftp_open(&f->link, ssh, deadline, err);
	return rc;
}

/* ---- account test ------------------------------------------------------ */

static enum pl_code
ask_one(struct sftp *f, struct pl_sftp_req *r, int64_t deadline,
    struct pl_err *err)
{
	enum pl_code rc = pl_sftp_do(f->link, r, 1, deadline, err);

	pl_sftp_req_clear(r, 1);
	if (rc != PL_OK)
		sftp_hang_up(f);
	return rc;
}

static enum pl_code
test_root(struct sftp *f, int64_t deadline, struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_STAT, .path = f->root };
	enum pl_code rc;

	rc = ask_one(f, &r, deadline, err);
	if (rc == PL_OK && r.status != PL_SFTP_OK)
		rc = pl_sftp_fail(&r, f->root, err);
	else if (rc == PL_OK && r.perm != 0 && !SFTP_IS_DIR(r.perm))
		rc = pl_fail(err, PL_EREMOTE, "%s: not a directory", f->root);
	if (rc != PL_OK)
		pl_prefix(err, "root");
	return rc;
}

/* Makes and removes a file in the deepest directory that is there. */
static enum pl_code
test_write(struct sftp *f, int64_t deadline, struct pl_err *err)
{
	char *dir = sftp_path(f, ".well-known"), *path;
	struct pl_sftp_req r = { .op = PL_SFTP_LSTAT, .path = dir };
	struct pl_sftp_handle h;
	char name[32] = SFTP_TEMP;
	enum pl_code rc;

	pl_random_name(name + strlen(SFTP_TEMP), SFTP_TEMP_LEN);
	rc = ask_one(f, &r, deadline, err);
	path = sftp_join(r.status == PL_SFTP_OK && SFTP_IS_DIR(r.perm) ? dir :
	    f->root, name);
	if (rc != PL_OK)
		goto out;
	r = (struct pl_sftp_req){ .op = PL_SFTP_OPEN, .path = path,
		.flags = PL_SFTP_NEW_FLAGS, .mode = 0600 };
	rc = ask_one(f, &r, deadline, err);
	if (rc == PL_OK && r.status != PL_SFTP_OK)
		rc = pl_sftp_fail(&r, path, err);
	if (rc != PL_OK)
		goto out;
	h = r.got;
	r = (struct pl_sftp_req){ .op = PL_SFTP_CLOSE, .handle = &h };
	rc = ask_one(f, &r, deadline, err);
	if (rc != PL_OK)
		goto out;
	r = (struct pl_sftp_req){ .op = PL_SFTP_REMOVE, .path = path };
	rc = ask_one(f, &r, deadline, err);
	if (rc == PL_OK && r.status != PL_SFTP_OK)
		rc = pl_sftp_fail(&r, path, err);
out:
	free(path);
	free(dir);
	return rc;
}

/* ---- apply ------------------------------------------------------------- */

static enum pl_code
sftp_apply(void *self, const struct pl_call *call,
    const char *scope PL_UNUSED, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct sftp *f = self;
	enum pl_code rc;

	rc = sftp_connect(f, call->deadline, err);
	if (rc != PL_OK)
		return rc;
	if (n == 0) {
		rc = test_root(f, call->deadline, err);
		return rc != PL_OK ? rc : test_write(f, call->deadline, err);
	}
	return sftp_work(f, call, chg, out, n, err);
}

const struct pl_provider pl_provider_sftp = {
	.desc = &pl_desc_sftp,
	.open = sftp_open,
	.scope = sftp_scope,
	.apply = sftp_apply,
	.close = sftp_close,
	.probe = sftp_probe,
};

#endif
