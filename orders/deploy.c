/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What a target says, and whether a certificate is fit for it. */
#include "orders.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST 200		/* octets of a file's name */

/* ---- names ------------------------------------------------------------------ */

/* Shell-like, but for * alone, which also stands for dots. */
static bool
matches(const char *pattern, const char *name)
{
	const char *star = NULL, *back = NULL;

	while (*name != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			back = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++back;
		} else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool
pl_deploy_serves(const char *title, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (matches(title, names[i]))
			return true;
	}
	return false;
}

char *
pl_deploy_base(const char *name)
{
	char *base = pl_strdup(name);

	for (char *p = base; *p != '\0'; p++) {
		if (*p == '*')
			*p = '_';
		else if (!isalnum((unsigned char)*p) && *p != '-' &&
		    *p != '.' && *p != '_')
			*p = '-';
	}
	return base;
}

char *
pl_deploy_expand(const char *text, const char *base)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_SECRET);
	for (; *text != '\0'; text++) {
		if (text[0] == '%' && text[1] == 'n') {
			pl_buf_adds(&b, base);
			text++;
		} else
			pl_buf_addc(&b, *text);
	}
	return pl_buf_take(&b);
}

/* ---- parts ------------------------------------------------------------------- */

static const struct {
	const char *word, *file, *option;
} parts[] = {
	[PL_D_CERT] = { "cert", "cert.pem", "cert-name" },
	[PL_D_CHAIN] = { "chain", "chain.pem", "chain-name" },
	[PL_D_FULLCHAIN] = { "fullchain", "fullchain.pem", "fullchain-name" },
	[PL_D_KEY] = { "key", "privkey.pem", "key-name" },
	[PL_D_COMBINED] = { "combined", "combined.pem", "combined-name" },
	[PL_D_PKCS12] = { "pkcs12", "bundle.p12", "pkcs12-name" },
};
_Static_assert(PL_NELEM(parts) == PL_NPARTS, "a part without a name");

const char *
pl_deploy_part_name(enum pl_deploy_part p)
{
	return parts[p].word;
}

const char *
pl_deploy_part_file(enum pl_deploy_part p)
{
	return parts[p].file;
}

bool
pl_deploy_part_parse(enum pl_deploy_part *p, const char *text)
{
	for (size_t i = 0; i < PL_NPARTS; i++) {
		if (strcmp(parts[i].word, text) == 0) {
			*p = (enum pl_deploy_part)i;
			return true;
		}
	}
	return false;
}

/* ---- settings ------------------------------------------------------------------ */

const struct pl_option pl_deploy_options[] = {
	{ .name = "enabled", .type = PL_OPT_BOOL, .fallback = "true" },
	{ .name = "account", .type = PL_OPT_STRING,
	    .help = "an sftp account, where the directory is on its host" },
	{ .name = "directory", .type = PL_OPT_STRING,
	    .help = "where the files go" },
	{ .name = "layout", .type = PL_OPT_STRING, .values = "links|files" },
	{ .name = "files", .type = PL_OPT_LIST },
	{ .name = "cert-name", .type = PL_OPT_STRING },
	{ .name = "chain-name", .type = PL_OPT_STRING },
	{ .name = "fullchain-name", .type = PL_OPT_STRING },
	{ .name = "key-name", .type = PL_OPT_STRING },
	{ .name = "combined-name", .type = PL_OPT_STRING },
	{ .name = "pkcs12-name", .type = PL_OPT_STRING },
	{ .name = "pkcs12-password", .type = PL_OPT_SECRET },
	{ .name = "key", .type = PL_OPT_SECRET },
	{ .name = "key-passphrase", .type = PL_OPT_SECRET },
	{ .name = "owner", .type = PL_OPT_STRING },
	{ .name = "group", .type = PL_OPT_STRING },
	{ .name = "mode", .type = PL_OPT_STRING },
	{ .name = "key-mode", .type = PL_OPT_STRING },
	{ .name = "pre-check", .type = PL_OPT_LIST },
	{ .name = "reload", .type = PL_OPT_LIST },
	{ .name = "timeout", .type = PL_OPT_INT, .min = 1, .max = 3600 },
	{ .name = "served", .type = PL_OPT_STRING },
	{ .name = "served-name", .type = PL_OPT_STRING },
	{ .name = NULL }
};

/* Octal, 3 or 4 digits, the owner can read. */
static enum pl_code
take_mode(unsigned *mode, const struct pl_settings *set, const char *key,
    unsigned fallback, unsigned forbidden, struct pl_err *err)
{
	const char *text = pl_setting(set, key), *p;
	unsigned v = 0;

	*mode = fallback;
	if (text == NULL)
		return PL_OK;
	for (p = text; *p >= '0' && *p <= '7' && p - text < 4; p++)
		v = v * 8 + (unsigned)(*p - '0');
	if (p == text || *p != '\0' || v > 0777 || (v & 0400) == 0)
		return pl_fail(err, PL_EINVAL, "\"%s\" is not 0400 to 0777 in "
		    "octal, readable by its owner", text);
	if ((v & forbidden) != 0)
		return pl_fail(err, PL_EINVAL, "%s: a private key must not be "
		    "open to others, or to its group for writing", text);
	*mode = v;
	return PL_OK;
}

static enum pl_code
take_ids(struct pl_deploy_spec *s, const struct pl_settings *set,
    const char **key, struct pl_err *err)
{
	const char *owner = pl_setting(set, "owner"),
	    *group = pl_setting(set, "group");
	const struct passwd *pw;
	const struct group *gr;

	s->uid = s->gid = -1;
	*key = "owner";
	if (owner != NULL && pl_int_parse(&s->uid, owner, 0, UINT32_MAX - 1,
	    NULL) != PL_OK) {
		pw = getpwnam(owner);
		if (pw == NULL)
			return pl_fail(err, PL_EINVAL, "%s: no such user",
			    owner);
		s->uid = (int64_t)pw->pw_uid;
	}
	*key = "group";
	if (group != NULL && pl_int_parse(&s->gid, group, 0, UINT32_MAX - 1,
	    NULL) != PL_OK) {
		gr = getgrnam(group);
		if (gr == NULL)
			return pl_fail(err, PL_EINVAL, "%s: no such group",
			    group);
		s->gid = (int64_t)gr->gr_gid;
	}
	return PL_OK;
}

static bool
plain_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= NAME_MOST && s[n] == '\0' &&
	    strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	    strncmp(s, ".placard", 8) != 0;
}

static enum pl_code
take_name(struct pl_deploy_spec *s, const struct pl_settings *set,
    enum pl_deploy_part p, const char **key, struct pl_err *err)
{
	const char *text = pl_setting(set, parts[p].option);

	if (s->file[p] != NULL)
		return pl_fail(err, PL_EINVAL, "%s is there twice",
		    parts[p].word);
	s->file[p] = pl_deploy_expand(text != NULL ? text : parts[p].file,
	    s->base);
	for (size_t i = 0; i < PL_NPARTS; i++) {
		if (i == (size_t)p || !pl_streq(s->file[i], s->file[p]))
			continue;
		if (text == NULL)
			*key = parts[i].option;
		return pl_fail(err, PL_EINVAL, "%s and %s have the same name",
		    parts[i].word, parts[p].word);
	}
	if (!plain_name(s->file[p]))
		return pl_fail(err, PL_EINVAL, "\"%s\" is no plain name of a "
		    "file (letters, digits, . _ -)", s->file[p]);
	return PL_OK;
}

static enum pl_code
take_files(struct pl_deploy_spec *s, const struct pl_settings *set,
    const char **key, struct pl_err *err)
{
	const struct pl_setting *list = pl_setting_find(set, "files");
	enum pl_deploy_part p;
	enum pl_code code = PL_OK;

	*key = "files";
	if (list != NULL && list->n == 0)
		return pl_fail(err, PL_EINVAL, "an empty list; leave it out "
		    "for cert, chain, fullchain and key");
	for (size_t i = 0; list != NULL && i < list->n; i++) {
		if (!pl_deploy_part_parse(&p, list->values[i]))
			return pl_fail(err, PL_EINVAL, "\"%s\" is none of "
			    "cert, chain, fullchain, key, combined, pkcs12",
			    list->values[i]);
		*key = s->file[p] == NULL ? parts[p].option : "files";
		code = take_name(s, set, p, key, err);
		if (code != PL_OK)
			return code;
		*key = "files";
	}
	for (p = PL_D_CERT; list == NULL && p <= PL_D_KEY; p++) {
		*key = parts[p].option;
		code = take_name(s, set, p, key, err);
		if (code != PL_OK)
			return code;
	}
	return PL_OK;
}

static enum pl_code
make_spec(struct pl_deploy_spec *s, const struct pl_settings *set,
    const char *base, const char **key, struct pl_err *err)
{
	const char *dir = pl_setting(set, "directory"),
	    *layout = pl_setting(set, "layout");
	enum pl_code code;

	s->base = pl_strdup(base);
	*key = "directory";
	if (dir == NULL)
		return pl_fail(err, PL_EINVAL, "missing: where the files go");
	s->directory = pl_deploy_expand(dir, base);
	s->links = layout == NULL || strcmp(layout, "links") == 0;
	code = take_files(s, set, key, err);
	if (code == PL_OK)
		code = take_ids(s, set, key, err);
	if (code != PL_OK)
		return code;
	*key = "mode";
	code = take_mode(&s->mode, set, "mode", 0644, 0022, err);
	if (code != PL_OK)
		return code;
	*key = "key-mode";
	return take_mode(&s->key_mode, set, "key-mode", 0600, 0027, err);
}

enum pl_code
pl_deploy_spec(struct pl_deploy_spec *out, const struct pl_settings *set,
    const char *base, struct pl_err *err)
{
	const char *key;
	enum pl_code code;

	*out = (struct pl_deploy_spec){ 0 };
	code = make_spec(out, set, base, &key, err);
	if (code != PL_OK) {
		pl_prefix(err, "%s", key);
		pl_deploy_spec_clear(out);
	}
	return code;
}

void
pl_deploy_spec_clear(struct pl_deploy_spec *s)
{
	free(s->directory);
	free(s->base);
	for (size_t i = 0; i < PL_NPARTS; i++)
		free(s->file[i]);
	*s = (struct pl_deploy_spec){ 0 };
}

bool
pl_deploy_needs_key(const struct pl_deploy_spec *s)
{
	return s->file[PL_D_KEY] != NULL || s->file[PL_D_COMBINED] != NULL ||
	    s->file[PL_D_PKCS12] != NULL;
}

static enum pl_code
check_commands(const struct pl_settings *set, const char **key,
    struct pl_err *err)
{
	static const char *const names[] = { "pre-check", "reload" };
	const struct pl_setting *v;

	for (size_t i = 0; i < PL_NELEM(names); i++) {
		*key = names[i];
		v = pl_setting_find(set, names[i]);
		if (v != NULL && (v->n == 0 || v->values[0][0] != '/'))
			return pl_fail(err, PL_EINVAL, "a list is expected: "
			    "the program's absolute path, then its arguments");
	}
	return PL_OK;
}

static enum pl_code
check_served(const struct pl_settings *set, const char **key,
    struct pl_err *err)
{
	const char *served = pl_setting(set, "served"),
	    *name = pl_setting(set, "served-name");
	char host[256], ascii[PL_NAME_MAX];
	uint16_t port = 0;

	*key = "served";
	if (served != NULL && (pl_hostport_parse(host, sizeof(host), &port,
	    served, 0, NULL) != PL_OK || port == 0))
		return pl_fail(err, PL_EINVAL, "HOST:PORT is expected");
	*key = "served-name";
	if (name != NULL && served == NULL)
		return pl_fail(err, PL_EINVAL, "there is no \"served\" to "
		    "which it belongs");
	if (name != NULL && pl_name_ascii(ascii, name, false, err) != PL_OK)
		return PL_EINVAL;
	return PL_OK;
}

enum pl_code
pl_deploy_settings(const struct pl_settings *set, bool remote,
    const char **key, struct pl_err *err)
{
	struct pl_deploy_spec s = { 0 };
	enum pl_code code = make_spec(&s, set, "name", key, err);
	bool p12 = s.file[PL_D_PKCS12] != NULL;

	pl_deploy_spec_clear(&s);
	if (code == PL_OK)
		code = check_commands(set, key, err);
	if (code == PL_OK)
		code = check_served(set, key, err);
	if (code != PL_OK)
		return code;
	*key = "pkcs12-password";
	if (p12 && !pl_setting_has_secret(set, "pkcs12-password"))
		return pl_fail(err, PL_EINVAL, "missing: pkcs12 needs one; "
		    "write pkcs12-password-file = \"PATH\"");
	*key = pl_setting(set, "owner") != NULL ? "owner" : "group";
	if (remote && pl_setting(set, *key) != NULL)
		return pl_fail(err, PL_EINVAL, "SFTP files belong to the "
		    "account's user");
	return PL_OK;
}

/* ---- checks -------------------------------------------------------------------- */

/* Is a name that was ordered in the certificate, or below its wildcard? */
static bool
covers(const struct pl_cert *c, const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < c->nnames; i++) {
		const char *have = c->names[i];

		if (strcmp(have, name) == 0)
			return true;
		if (strncmp(have, "*.", 2) == 0 && name[0] != '*' &&
		    dot != NULL && strcmp(have + 1, dot) == 0)
			return true;
	}
	return false;
}

static enum pl_code
check_names(const struct pl_deploy_cert *c, const struct pl_cert *leaf,
    struct pl_err *err)
{
	for (size_t i = 0; c->server && i < c->n; i++) {
		if (!covers(leaf, c->names[i]))
			return pl_fail(err, PL_EREMOTE, "certificate %s: not "
			    "for %s, which was ordered", leaf->serial,
			    c->names[i]);
	}
	return PL_OK;
}

static enum pl_code
check_dates(const struct pl_cert *leaf, int64_t now, struct pl_err *err)
{
	char text[PL_TIME_TEXT];

	if (now < leaf->not_before) {
		pl_time_format(text, leaf->not_before);
		return pl_fail(err, PL_EREMOTE, "certificate %s: not before "
		    "%s", leaf->serial, text);
	}
	if (now > leaf->not_after) {
		pl_time_format(text, leaf->not_after);
		return pl_fail(err, PL_EREMOTE, "certificate %s: ended at %s",
		    leaf->serial, text);
	}
	return PL_OK;
}

/* Leaf and chain in the order in which a server sends them. */
static enum pl_code
check_order(struct pl_cert *const *sent, size_t n, struct pl_err *err)
{
	if (sent[0]->ca)
		return pl_fail(err, PL_EREMOTE, "certificate %s: a CA's",
		    sent[0]->serial);
	for (size_t i = 1; i < n; i++) {
		if (!pl_cert_issued(sent[i - 1], sent[i]))
			return pl_fail(err, PL_EREMOTE, "certificate chain: "
			    "\"%.80s\" has not signed \"%.80s\"",
			    sent[i]->subject, sent[i - 1]->subject);
	}
	return PL_OK;
}

/* All that is sent, and the root behind it. */
static enum pl_code
check_complete(const struct pl_deploy_cert *c, const struct pl_cert *leaf,
    int64_t now, struct pl_err *err)
{
	struct pl_cert **all;
	struct pl_buf text;
	enum pl_code code;
	bool trusted;
	size_t n;

	pl_buf_init(&text, PL_LIM_BODY);
	pl_buf_addf(&text, "%s%s%s", c->leaf, c->chain, c->root);
	code = pl_certs_parse(&all, &n, text.data, text.len, err);
	if (code == PL_OK)
		code = pl_certs_verify(all, n, leaf, NULL, c->server, now,
		    &trusted, err);
	pl_certs_free(all, n);
	pl_buf_clear(&text);
	return code;
}

static enum pl_code
check_leaf(const struct pl_deploy_cert *c, struct pl_cert *const *sent,
    size_t n, int64_t now, struct pl_err *err)
{
	enum pl_code code = check_order(sent, n, err);

	if (code == PL_OK)
		code = check_dates(sent[0], now, err);
	if (code == PL_OK)
		code = check_names(c, sent[0], err);
	if (code == PL_OK)
		code = check_complete(c, sent[0], now, err);
	return code;
}

enum pl_code
pl_deploy_check(const struct pl_deploy_cert *c, int64_t now,
    unsigned char spki[32], unsigned char sha256[32], struct pl_err *err)
{
	struct pl_cert **sent;
	struct pl_buf text;
	enum pl_code code;
	size_t n;

	memset(spki, 0, 32);
	memset(sha256, 0, 32);
	pl_buf_init(&text, PL_LIM_BODY);
	pl_buf_addf(&text, "%s%s", c->leaf, c->chain);
	code = pl_certs_parse(&sent, &n, text.data, text.len, err);
	if (code == PL_OK)
		code = check_leaf(c, sent, n, now, err);
	if (code == PL_OK) {
		memcpy(spki, sent[0]->spki, 32);
		memcpy(sha256, sent[0]->sha256, 32);
	}
	pl_certs_free(sent, n);
	pl_buf_clear(&text);
	if (code != PL_OK && err != NULL)
		err->code = code = PL_EREMOTE;
	return code;
}

/* The first certificate of a text, of which the rest may be anything. */
static struct pl_cert **
first_of(const char *text, size_t len, size_t *n)
{
	struct pl_cert **list = NULL;
	struct pl_buf clean;

	*n = 0;
	pl_buf_init(&clean, PL_LIM_BODY);
	if (pl_store_pem(&clean, text, len) == 0 || pl_certs_parse(&list, n,
	    clean.data, clean.len, NULL) != PL_OK)
		list = NULL;
	pl_buf_clear(&clean);
	return list;
}

enum pl_code
pl_deploy_newer(const struct pl_deploy_cert *c, const char *there, size_t len,
    int64_t now, struct pl_err *err)
{
	struct pl_cert **old, **new;
	char text[PL_TIME_TEXT];
	enum pl_code code = PL_OK;
	size_t nold, nnew;

	old = first_of(there, len, &nold);
	new = first_of(c->leaf, strlen(c->leaf), &nnew);
	if (nold > 0 && nnew > 0 && old[0]->not_before > new[0]->not_before &&
	    old[0]->not_after > now) {
		pl_time_format(text, old[0]->not_before);
		code = pl_fail(err, PL_EREMOTE, "certificate %s: older than "
		    "%s, which is there since %s", new[0]->serial,
		    old[0]->serial, text);
	}
	pl_certs_free(old, nold);
	pl_certs_free(new, nnew);
	return code;
}
