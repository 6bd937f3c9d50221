/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A directory of an SFTP account.  What the protocol gives: a file is open
 * for its owner alone before it has any octet, is whole (each write is
 * confirmed, and fsync@openssh.com where the server knows it) before it has
 * its name, and takes another's place by posix-rename@openssh.com in one
 * step.  What it does not give: a lock.
 */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIR_MODE 0755u
#define LIST_MOST 64		/* packets of names that are read */
#define PACKETS 16		/* requests of one write or read at once */

#define IS_DIR(perm) (((perm) & 0170000u) == 0040000u)
#define IS_REG(perm) (((perm) & 0170000u) == 0100000u)
#define IS_LINK(perm) (((perm) & 0170000u) == 0120000u)

struct pl_place_host {
	char *host, *user, *agent, *known_hosts, *host_key;
	uint16_t port;
	struct pl_secret *key, *passphrase, *password;
	struct pl_sftp *link;		/* NULL: not connected */
	bool learnt;			/* how it makes links: */
	bool draft;			/* their names in the draft's order */
	const char *root;		/* of the spec under way */
	int64_t deadline;
};

/* ---- the account ----------------------------------------------------------------- */

void
pl_place_host_free(struct pl_place_host *h)
{
	if (h == NULL)
		return;
	pl_sftp_close(h->link);
	pl_secret_free(h->key);
	pl_secret_free(h->passphrase);
	pl_secret_free(h->password);
	free(h->host);
	free(h->user);
	free(h->agent);
	free(h->known_hosts);
	free(h->host_key);
	free(h);
}

enum pl_code
pl_place_host_new(struct pl_place_host **out, const struct pl_settings *set,
    struct pl_err *err)
{
	struct pl_place_host *h = pl_alloc(sizeof(*h));
	enum pl_code code;

	*out = NULL;
	h->host = pl_strdup(pl_setting(set, "host"));
	h->port = (uint16_t)pl_setting_int(set, "port", 22);
	h->user = pl_strdup(pl_setting(set, "user"));
	h->agent = pl_strdup(pl_setting(set, "agent-socket"));
	h->known_hosts = pl_strdup(pl_setting(set, "known-hosts-file"));
	h->host_key = pl_strdup(pl_setting(set, "host-key"));
	code = pl_setting_secret(set, "private-key", true, &h->key, err);
	if (code == PL_OK)
		code = pl_setting_secret(set, "passphrase", false,
		    &h->passphrase, err);
	if (code == PL_OK)
		code = pl_setting_secret(set, "password", false,
		    &h->password, err);
	if (code == PL_OK && (h->host == NULL || h->user == NULL))
		code = pl_fail(err, PL_EINVAL, "host: missing");
	if (code != PL_OK) {
		pl_place_host_free(h);
		return code;
	}
	*out = h;
	return PL_OK;
}

static enum pl_code
host_connect(struct pl_place_host *h, struct pl_err *err)
{
	struct pl_ssh_opts o = { .host = h->host, .port = h->port,
		.user = h->user, .key = h->key, .passphrase = h->passphrase,
		.password = h->password, .agent = h->agent,
		.known_hosts = h->known_hosts, .host_key = h->host_key };
	struct pl_ssh *ssh;
	enum pl_code code;

	if (h->link != NULL && pl_sftp_stale(h->link)) {
		pl_sftp_close(h->link);
		h->link = NULL;
	}
	if (h->link != NULL)
		return PL_OK;
	code = pl_ssh_open(&ssh, &o, h->deadline, err);
	if (code == PL_OK)
		code = pl_sftp_open(&h->link, ssh, h->deadline, err);
	return code;
}

/* ---- requests -------------------------------------------------------------------- */

static char *
host_path(const struct pl_place_host *h, const char *path)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, h->root);
	if (strcmp(path, ".") != 0)
		pl_buf_addf(&b, "/%s", path);
	return pl_buf_take(&b);
}

static enum pl_code
ask_many(struct pl_place_host *h, struct pl_sftp_req *r, size_t n,
    struct pl_err *err)
{
	enum pl_code code;

	if (h->link == NULL)
		return pl_fail(err, PL_ENET, "sftp: the connection is gone");
	code = pl_sftp_do(h->link, r, n, h->deadline, err);
	if (code != PL_OK) {
		pl_sftp_close(h->link);
		h->link = NULL;
	}
	return code;
}

/* One request that has to succeed. */
static enum pl_code
ask(struct pl_place_host *h, struct pl_sftp_req *r, const char *what,
    struct pl_err *err)
{
	enum pl_code code = ask_many(h, r, 1, err);

	if (code == PL_OK && r->status != PL_SFTP_OK)
		code = pl_sftp_fail(r, what, err);
	return code;
}

static enum pl_code
ask_close(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    const char *what, struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_CLOSE, .handle = handle };

	return ask(h, &r, what, err);
}

/* ---- looking and reading --------------------------------------------------------- */

static enum pl_code
host_readlink(struct pl_place_host *h, const char *path, struct pl_buf *to,
    struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_READLINK, .path = path };
	enum pl_code code = ask(h, &r, path, err);

	if (code == PL_OK && r.body_len > 1)
		pl_buf_adds(to, r.body);
	pl_sftp_req_clear(&r, 1);
	return code;
}

static enum pl_code
host_look(void *self, const char *path, enum pl_there *what, unsigned *mode,
    struct pl_buf *link, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path);
	struct pl_sftp_req r = { .op = PL_SFTP_LSTAT, .path = full };
	enum pl_code code;

	*what = PL_THERE_NOTHING;
	*mode = 0;
	code = ask_many(h, &r, 1, err);
	if (code == PL_OK && r.status != PL_SFTP_OK && r.status !=
	    PL_SFTP_NO_FILE)
		code = pl_sftp_fail(&r, full, err);
	if (code == PL_OK && r.status == PL_SFTP_OK) {
		*what = IS_REG(r.perm) ? PL_THERE_FILE : IS_LINK(r.perm) ?
		    PL_THERE_LINK : IS_DIR(r.perm) ? PL_THERE_DIR :
		    PL_THERE_OTHER;
		*mode = r.perm & 07777;
	}
	if (code == PL_OK && *what == PL_THERE_LINK && link != NULL)
		code = host_readlink(h, full, link, err);
	free(full);
	return code;
}

static enum pl_code
read_open(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    struct pl_buf *b, const char *what, struct pl_err *err)
{
	enum pl_code code;
	bool more = true;

	while (more) {
		struct pl_sftp_req r = { .op = PL_SFTP_READ,
			.handle = handle, .offset = b->len,
			.len = PL_SFTP_CHUNK };

		code = ask_many(h, &r, 1, err);
		if (code != PL_OK)
			return code;
		more = r.status == PL_SFTP_OK && r.body_len > 0;
		if (more)
			pl_buf_add(b, r.body, r.body_len);
		else if (r.status != PL_SFTP_EOF)
			code = pl_sftp_fail(&r, what, err);
		if (r.body != NULL)
			explicit_bzero(r.body, r.body_len);
		pl_sftp_req_clear(&r, 1);
		if (code != PL_OK)
			return code;
		if (b->failed)
			return pl_fail(err, PL_EREMOTE, "%s: longer than %zu "
			    "octets", what, b->limit);
	}
	return PL_OK;
}

static enum pl_code
host_read(void *self, const char *path, struct pl_buf *b, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path);
	struct pl_sftp_req r = { .op = PL_SFTP_OPEN, .path = full,
		.flags = PL_SFTP_READ_FLAG, .mode = PL_SFTP_NO_MODE };
	enum pl_code code = ask(h, &r, full, err), closed;

	if (code == PL_OK) {
		code = read_open(h, &r.got, b, full, err);
		closed = ask_close(h, &r.got, full, code == PL_OK ? err :
		    NULL);
		code = code == PL_OK ? closed : code;
	}
	free(full);
	return code;
}

static enum pl_code
list_open(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    struct pl_buf *names, struct pl_err *err)
{
	for (int i = 0; i < LIST_MOST; i++) {
		struct pl_sftp_req r = { .op = PL_SFTP_READDIR,
			.handle = handle };
		enum pl_code code = ask_many(h, &r, 1, err);

		if (code != PL_OK)
			return code;
		for (const char *s = r.body; s != NULL && s < r.body +
		    r.body_len; s += strlen(s) + 1) {
			/* A name is one component, whatever the server says. */
			if (strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
			    s[0] != '\0' && strchr(s, '/') == NULL)
				pl_buf_add(names, s, strlen(s) + 1);
		}
		pl_sftp_req_clear(&r, 1);
		if (r.status != PL_SFTP_OK)
			break;
	}
	return PL_OK;
}

static enum pl_code
host_list(void *self, const char *path, struct pl_buf *names,
    struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path);
	struct pl_sftp_req r = { .op = PL_SFTP_OPENDIR, .path = full };
	enum pl_code code = ask(h, &r, full, err), closed;

	if (code == PL_OK) {
		code = list_open(h, &r.got, names, err);
		closed = ask_close(h, &r.got, full, code == PL_OK ? err :
		    NULL);
		code = code == PL_OK ? closed : code;
	}
	free(full);
	return code;
}

/* ---- writing --------------------------------------------------------------------- */

static enum pl_code
mkdir_one(struct pl_place_host *h, const char *path, struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_STAT, .path = path };
	enum pl_code code = ask_many(h, &r, 1, err);

	if (code != PL_OK || (r.status == PL_SFTP_OK && IS_DIR(r.perm)))
		return code;
	r = (struct pl_sftp_req){ .op = PL_SFTP_MKDIR, .path = path,
		.mode = DIR_MODE };
	return ask(h, &r, path, err);
}

/* The last components of a path below root, made where they are missing. */
static enum pl_code
host_mkdir(void *self, const char *path, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path), *p = full + strlen(h->root);
	enum pl_code code = PL_OK;

	while (code == PL_OK && *p == '/') {
		p += 1 + strcspn(p + 1, "/");
		if (*p == '/') {
			*p = '\0';
			code = mkdir_one(h, full, err);
			*p = '/';
		} else
			code = mkdir_one(h, full, err);
	}
	free(full);
	return code;
}

/* A temporary name beside the path; gives. */
static char *
temp_beside(const char *full)
{
	const char *slash = strrchr(full, '/');
	char tail[13];
	struct pl_buf b;

	pl_random_name(tail, 12);
	pl_buf_init(&b, PL_LIM_LINE);
	if (slash != NULL)
		pl_buf_add(&b, full, (size_t)(slash - full) + 1);
	pl_buf_addf(&b, ".placard-%s", tail);
	return pl_buf_take(&b);
}

static enum pl_code
rename_over(struct pl_place_host *h, const char *temp, const char *full,
    struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_POSIX_RENAME, .path = temp,
		.to = full };

	return ask(h, &r, full, err);
}

static void
forget_temp(struct pl_place_host *h, const char *temp)
{
	struct pl_sftp_req r = { .op = PL_SFTP_REMOVE, .path = temp };

	if (h->link != NULL)
		(void)ask_many(h, &r, 1, NULL);
}

static enum pl_code
set_mode(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    unsigned mode, const char *what, struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_FSETSTAT, .handle = handle,
		.mode = mode };

	return ask(h, &r, what, err);
}

static enum pl_code
write_octets(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    const char *p, size_t n, const char *what, struct pl_err *err)
{
	struct pl_sftp_req r[PACKETS];
	enum pl_code code = PL_OK;
	size_t at = 0, k;

	while (at < n && code == PL_OK) {
		for (k = 0; k < PACKETS && at < n; k++) {
			size_t len = n - at < PL_SFTP_CHUNK ? n - at :
			    PL_SFTP_CHUNK;

			r[k] = (struct pl_sftp_req){ .op = PL_SFTP_WRITE,
				.handle = handle, .offset = at,
				.data = p + at, .len = len };
			at += len;
		}
		code = ask_many(h, r, k, err);
		/* A full disk is a plain failure in this protocol: it may
		 * pass. */
		for (size_t i = 0; i < k && code == PL_OK; i++) {
			if (r[i].status != PL_SFTP_OK) {
				pl_sftp_fail(&r[i], what, err);
				code = PL_ENET;
				if (err != NULL)
					err->code = code;
			}
		}
	}
	return code;
}

static enum pl_code
write_open(struct pl_place_host *h, const struct pl_sftp_handle *handle,
    const void *p, size_t n, unsigned mode, const char *what,
    struct pl_err *err)
{
	struct pl_sftp_req sync = { .op = PL_SFTP_FSYNC, .handle = handle };
	enum pl_code code;

	/* Not every server minds the rights that OPEN says. */
	code = set_mode(h, handle, 0600, what, err);
	if (code == PL_OK)
		code = write_octets(h, handle, p, n, what, err);
	if (code == PL_OK && mode != 0600)
		code = set_mode(h, handle, mode, what, err);
	if (code == PL_OK && pl_sftp_knows(h->link, PL_SFTP_FSYNC))
		code = ask(h, &sync, what, err);
	return code;
}

static enum pl_code
host_write(void *self, const char *path, const void *p, size_t n,
    unsigned mode, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path), *temp = temp_beside(full);
	struct pl_sftp_req r = { .op = PL_SFTP_OPEN, .path = temp,
		.flags = PL_SFTP_NEW_FLAGS, .mode = 0600 };
	enum pl_code code = ask(h, &r, full, err), closed;

	if (code == PL_OK) {
		code = write_open(h, &r.got, p, n, mode, full, err);
		closed = ask_close(h, &r.got, full, code == PL_OK ? err :
		    NULL);
		code = code == PL_OK ? closed : code;
		if (code == PL_OK)
			code = rename_over(h, temp, full, err);
		if (code != PL_OK)
			forget_temp(h, temp);
	}
	free(temp);
	free(full);
	return code;
}

static enum pl_code
make_link(struct pl_place_host *h, const char *name, const char *to,
    struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_SYMLINK,
		.path = h->draft ? name : to, .to = h->draft ? to : name };

	return ask(h, &r, name, err);
}

static bool
leads_to(struct pl_place_host *h, const char *name, const char *to)
{
	struct pl_buf seen;
	bool yes;

	pl_buf_init(&seen, PL_LIM_LINE);
	yes = h->link != NULL && host_readlink(h, name, &seen, NULL) ==
	    PL_OK && strcmp(seen.data, to) == 0;
	pl_buf_clear(&seen);
	return yes;
}

/* An empty file that nobody else has. */
static enum pl_code
make_empty(struct pl_place_host *h, const char *path, struct pl_err *err)
{
	struct pl_sftp_req r = { .op = PL_SFTP_OPEN, .path = path,
		.flags = PL_SFTP_NEW_FLAGS, .mode = 0600 };
	enum pl_code code = ask(h, &r, path, err);

	return code == PL_OK ? ask_close(h, &r.got, path, err) : code;
}

/*
 * Servers disagree on the order of a link's two names, and some rename what
 * a link leads to in place of the link: tried out with a file and links that
 * nobody else has.
 */
static enum pl_code
learn_links(struct pl_place_host *h, const char *full, struct pl_err *err)
{
	char *file = temp_beside(full), *a = temp_beside(full),
	    *b = temp_beside(full);
	enum pl_code code = make_empty(h, file, err);
	bool good = false;

	for (int o = 0; code == PL_OK && !good && o < 2; o++) {
		h->draft = o == 1;
		good = make_link(h, a, file, NULL) == PL_OK &&
		    leads_to(h, a, file);
	}
	if (good)
		good = rename_over(h, a, b, NULL) == PL_OK &&
		    leads_to(h, b, file);
	forget_temp(h, a);
	forget_temp(h, b);
	forget_temp(h, file);
	h->learnt = good;
	if (code == PL_OK && !good)
		code = h->link == NULL ? pl_fail(err, PL_ENET, "%s: the "
		    "connection is gone", h->host) : pl_fail(err, PL_EREMOTE,
		    "%s: the server cannot make and rename links: write "
		    "layout = \"files\"", h->host);
	free(file);
	free(a);
	free(b);
	return code;
}

static enum pl_code
host_link(void *self, const char *path, const char *to, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path), *temp = temp_beside(full);
	enum pl_code code = PL_OK;

	if (!h->learnt)
		code = learn_links(h, full, err);
	if (code == PL_OK)
		code = make_link(h, temp, to, err);
	if (code == PL_OK) {
		code = rename_over(h, temp, full, err);
		if (code != PL_OK)
			forget_temp(h, temp);
	}
	free(temp);
	free(full);
	return code;
}

static enum pl_code
host_move(void *self, const char *from, const char *to, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *a = host_path(h, from), *b = host_path(h, to);
	enum pl_code code = rename_over(h, a, b, err);

	free(a);
	free(b);
	return code;
}

static enum pl_code
host_drop(void *self, const char *path, bool dir, struct pl_err *err)
{
	struct pl_place_host *h = self;
	char *full = host_path(h, path);
	struct pl_sftp_req r = { .op = dir ? PL_SFTP_RMDIR : PL_SFTP_REMOVE,
		.path = full };
	enum pl_code code = ask_many(h, &r, 1, err);

	if (code == PL_OK && r.status != PL_SFTP_OK && r.status !=
	    PL_SFTP_NO_FILE)
		code = pl_sftp_fail(&r, full, err);
	free(full);
	return code;
}

static const struct pl_place_ops host_ops = {
	.look = host_look,
	.read = host_read,
	.list = host_list,
	.mkdir = host_mkdir,
	.write = host_write,
	.link = host_link,
	.move = host_move,
	.drop = host_drop,
};

enum pl_code
pl_place_remote(struct pl_place_host *h, struct pl_place *place,
    const struct pl_deploy_spec *spec, bool make, int64_t deadline,
    struct pl_err *err)
{
	enum pl_code code;

	h->deadline = deadline;
	h->root = spec->directory;
	code = host_connect(h, err);
	if (code == PL_OK && !pl_sftp_knows(h->link, PL_SFTP_POSIX_RENAME))
		return pl_fail(err, PL_EREMOTE, "%s: the server cannot "
		    "replace a file in one step (posix-rename@openssh.com)",
		    h->host);
	if (code == PL_OK && make)
		code = mkdir_one(h, spec->directory, err);
	*place = (struct pl_place){ &host_ops, h };
	return code;
}
