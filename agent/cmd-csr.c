/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---------------------------------------------------------------------- */

/* A name, or "*." and a name, in the form of certificates. */
static enum pl_code
csr_name(char out[PL_NAME_MAX + 2], const char *name, struct pl_err *err)
{
	bool wild = strncmp(name, "*.", 2) == 0;

	memcpy(out, "*.", 3);
	return pl_name_ascii(out + (wild ? 2 : 0), name + (wild ? 2 : 0),
	    false, err);
}

/* Who is no host, a person or a firm, gets no subjectAltName. */
static bool
is_plain(const char *cn)
{
	return strpbrk(cn, " @,") != NULL;
}

struct csr_names {
	char **list;
	size_t n;
};

static void
names_free(struct csr_names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->list[i]);
	free(l->list);
}

static enum pl_code
names_add(struct csr_names *l, const char *name, struct pl_err *err)
{
	char out[PL_NAME_MAX + 2];
	enum pl_code code = csr_name(out, name, err);

	if (code != PL_OK)
		return code;
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->list[i], out) == 0)
			return PL_OK;
	l->list = pl_grow(l->list, l->n + 1, sizeof(char *));
	l->list[l->n++] = pl_strdup(out);
	return PL_OK;
}

/* ---- showing ---------------------------------------------------------------------- */

static void
hex_line(const char *what, const unsigned char *p, size_t n)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_hex(&b, p, n);
	pl_cli_print("%-9s %s\n", what, b.data);
	pl_buf_clear(&b);
}

static void
json_hex(json_t *j, const char *name, const unsigned char *p, size_t n)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_hex(&b, p, n);
	pl_json_sets(j, name, b.data);
	pl_buf_clear(&b);
}

static json_t *
csr_json(const struct pl_csr *c)
{
	json_t *j = pl_json_object(), *names = pl_json_array(),
	    *subject = pl_json_object();

	pl_json_sets(subject, "cn", c->cn);
	pl_json_sets(subject, "organization", c->o);
	pl_json_sets(subject, "unit", c->ou);
	pl_json_sets(subject, "locality", c->l);
	pl_json_sets(subject, "state", c->st);
	pl_json_sets(subject, "country", c->c);
	pl_json_sets(subject, "email", c->email);
	for (size_t i = 0; i < c->nnames; i++)
		pl_json_append(names, pl_json_string(c->names[i]));
	pl_json_sets(j, "cn", c->cn);
	pl_json_set(j, "names", names);
	pl_json_set(j, "subject", subject);
	pl_json_sets(j, "key", c->key);
	pl_json_seti(j, "octets", (int64_t)c->der_len);
	json_hex(j, "md5", c->md5, sizeof(c->md5));
	json_hex(j, "sha1", c->sha1, sizeof(c->sha1));
	json_hex(j, "sha256", c->sha256, sizeof(c->sha256));
	json_hex(j, "spki-sha256", c->spki, sizeof(c->spki));
	return j;
}

static void
csr_print(const struct pl_csr *c)
{
	struct pl_buf line;

	pl_buf_init(&line, PL_LIM_FRAME);
	pl_escape(&line, c->subject, strlen(c->subject), PL_LIM_LINE);
	pl_cli_print("subject   %s\n", line.data);
	for (size_t i = 0; i < c->nnames; i++) {
		pl_buf_reset(&line);
		pl_escape(&line, c->names[i], strlen(c->names[i]),
		    PL_NAME_MAX + 2);
		pl_cli_print("name      %s\n", line.data);
	}
	pl_cli_print("key       %s\n", c->key);
	hex_line("spki", c->spki, sizeof(c->spki));
	hex_line("md5", c->md5, sizeof(c->md5));
	hex_line("sha1", c->sha1, sizeof(c->sha1));
	hex_line("sha256", c->sha256, sizeof(c->sha256));
	pl_buf_clear(&line);
}

/* Reads a request; what is wrong with it is the user's file. */
static enum pl_code
csr_load(struct pl_csr **out, const char *path, struct pl_err *err)
{
	struct pl_buf text;
	enum pl_code code;

	*out = NULL;
	pl_buf_init(&text, PL_CSR_MAX);
	code = pl_file_read(&text, path, err);
	if (code == PL_OK) {
		code = pl_csr_parse(out, text.data, text.len, err);
		if (code != PL_OK)
			pl_prefix(err, "%s", strcmp(path, "-") == 0 ?
			    "standard input" : path);
	}
	pl_buf_clear(&text);
	err->code = PL_EINVAL;
	return code == PL_OK ? PL_OK : PL_EINVAL;
}

static int
csr_show(struct pl_cli *cli)
{
	struct pl_csr *c;
	struct pl_err err;

	if (cli->nargs != 2 || cli->nown != 0)
		return pl_cli_usage(cli, "csr show: one FILE expected");
	pl_err_clear(&err);
	if (csr_load(&c, cli->args[1], &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	if (cli->json)
		pl_cli_print_json(csr_json(c));
	else
		csr_print(c);
	pl_csr_free(c);
	return 0;
}

/* ---- making ------------------------------------------------------------------------- */

static enum pl_code
new_names(struct csr_names *l, const struct pl_cli *cli, const char *cn,
    struct pl_err *err)
{
	const char **sans;
	enum pl_code code = PL_OK;
	size_t n;

	if (!is_plain(cn))
		code = names_add(l, cn, err);
	if (code != PL_OK)
		return pl_prefix(err, "--cn");
	sans = pl_cli_opts(cli, "san", &n);
	for (size_t i = 0; i < n && code == PL_OK; i++)
		code = names_add(l, sans[i], err);
	free(sans);
	return code == PL_OK ? code : pl_prefix(err, "--san");
}

/* Key file first: a request without its key is of no use. */
static enum pl_code
new_write(const struct pl_cli *cli, const struct pl_key *key,
    const struct pl_buf *pem, struct pl_err *err)
{
	const char *key_out = pl_cli_opt(cli, "key-out"),
	    *out = pl_cli_opt(cli, "out"),
	    *pass = pl_cli_opt(cli, "key-passphrase-file");
	struct pl_secret *passphrase = NULL;
	enum pl_code code = PL_OK;

	if (pass != NULL) {
		code = pl_secret_read(&passphrase, pass, false, err);
		if (code == PL_OK && pl_secret_len(passphrase) == 0)
			code = pl_fail(err, PL_EINVAL, "%s: its first line is "
			    "empty", pass);
	}
	if (code == PL_OK)
		code = pl_key_write(key, key_out, passphrase, err);
	if (code == PL_OK && strcmp(out, "-") == 0)
		pl_cli_print("%s", pem->data);
	else if (code == PL_OK) {
		code = pl_file_write(out, pem->data, pem->len, 0644, err);
		if (code != PL_OK)
			unlink(key_out);
	}
	pl_secret_free(passphrase);
	return code;
}

static enum pl_code
new_make(const struct pl_cli *cli, const struct csr_names *names,
    struct pl_csr **made, struct pl_err *err)
{
	const char *cn = pl_cli_opt(cli, "cn"), *type = pl_cli_opt(cli, "key");
	struct pl_csr_spec spec = { { .o = pl_cli_opt(cli, "organization"),
		.ou = pl_cli_opt(cli, "unit"), .l = pl_cli_opt(cli, "locality"),
		.st = pl_cli_opt(cli, "state"), .c = pl_cli_opt(cli, "country"),
		.email = pl_cli_opt(cli, "email") },
		(const char *const *)names->list, names->n };
	struct pl_key *key = NULL;
	struct pl_buf pem;
	enum pl_code code;

	pl_buf_init(&pem, PL_CSR_MAX);
	spec.subject.cn = is_plain(cn) ? cn : names->list[0];
	/* The field ends at 64 characters; the name is in the list. */
	if (strlen(spec.subject.cn) > 64 && !is_plain(cn))
		spec.subject.cn = NULL;
	code = pl_key_new(&key, type != NULL ? type : "rsa2048", err);
	if (code == PL_OK)
		code = pl_csr_make(&pem, key, &spec, err);
	if (code == PL_OK && pem.failed)
		code = pl_fail(err, PL_EINVAL, "request: too many names");
	if (code == PL_OK)
		code = pl_csr_parse(made, pem.data, pem.len, err);
	if (code == PL_OK)
		code = new_write(cli, key, &pem, err);
	pl_key_free(key);
	pl_buf_clear(&pem);
	return code;
}

/* What the options say by themselves; a status, or -1 to go on. */
static int
new_options(const struct pl_cli *cli)
{
	static const char *const needed[] = { "cn", "key-out", "out" },
	    *const types[] = { "rsa2048", "rsa3072", "rsa4096", "p256",
	    "p384", NULL };
	const char *type = pl_cli_opt(cli, "key");

	for (size_t i = 0; i < PL_NELEM(needed); i++)
		if (pl_cli_opt(cli, needed[i]) == NULL)
			return pl_cli_usage(cli, "csr new: --%s is missing",
			    needed[i]);
	if (cli->nargs != 1)
		return pl_cli_usage(cli, "csr new: %s: not expected",
		    cli->args[1]);
	if (strcmp(pl_cli_opt(cli, "out"), pl_cli_opt(cli, "key-out")) == 0)
		return pl_cli_usage(cli, "csr new: --out and --key-out are "
		    "the same file");
	if (type != NULL && !pl_str_in(type, types))
		return pl_cli_usage(cli, "csr new: --key: %s: none of "
		    "rsa2048, rsa3072, rsa4096, p256, p384", type);
	return -1;
}

static void
new_report(const struct pl_cli *cli, const struct pl_csr *made)
{
	const char *out = pl_cli_opt(cli, "out"),
	    *key_out = pl_cli_opt(cli, "key-out");
	json_t *j;

	if (strcmp(out, "-") == 0)
		return;
	if (cli->json) {
		j = csr_json(made);
		pl_json_sets(j, "key-file", key_out);
		pl_json_sets(j, "csr-file", out);
		pl_cli_print_json(j);
	} else if (!cli->quiet)
		pl_cli_print("%s: %s, key %s in %s\n", out, made->subject,
		    made->key, key_out);
}

static int
csr_new(struct pl_cli *cli)
{
	struct csr_names names = { NULL, 0 };
	struct pl_csr *made = NULL;
	struct pl_err err;
	int status = new_options(cli);

	if (status != -1)
		return status;
	status = 0;
	pl_err_clear(&err);
	if (new_names(&names, cli, pl_cli_opt(cli, "cn"), &err) != PL_OK)
		status = pl_cli_usage(cli, "csr new: %s", err.text);
	else if (new_make(cli, &names, &made, &err) != PL_OK)
		status = pl_cli_fail(cli, &err);
	else
		new_report(cli, made);
	names_free(&names);
	pl_csr_free(made);
	return status;
}

int
pl_cmd_csr(struct pl_cli *cli)
{
	if (strcmp(cli->args[0], "show") == 0)
		return csr_show(cli);
	if (strcmp(cli->args[0], "new") == 0)
		return csr_new(cli);
	return pl_cli_usage(cli, "csr: %s: new or show expected",
	    cli->args[0]);
}

/* ---- derive --------------------------------------------------------------------------- */

static json_t *
challenge_json(const char *method, const char *domain)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "method", method);
	pl_json_sets(j, "domain", domain);
	return j;
}

static void
derive_cname(const struct pl_cli *cli, const struct pl_csr *c,
    const char *unique, const char *name)
{
	struct pl_buf owner, target;
	json_t *j;

	pl_buf_init(&owner, PL_LIM_LINE);
	pl_buf_init(&target, PL_LIM_LINE);
	pl_derive_cname(&owner, &target, c, unique, name);
	if (cli->json) {
		j = challenge_json("dns-cname", name);
		pl_json_sets(j, "name", owner.data);
		pl_json_sets(j, "value", target.data);
		pl_cli_print_json(j);
	} else
		pl_cli_print("%s\n  CNAME %s\n     -> %s\n", name, owner.data,
		    target.data);
	pl_buf_clear(&owner);
	pl_buf_clear(&target);
}

static void
derive_file(const struct pl_cli *cli, const struct pl_csr *c,
    const char *unique, const char *name)
{
	struct pl_buf path, content;
	json_t *j;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&content, PL_LIM_LINE);
	pl_derive_file(&path, &content, c, unique);
	if (cli->json) {
		j = challenge_json("http-file", name);
		pl_json_sets(j, "path", path.data);
		pl_json_sets(j, "content", content.data);
		pl_cli_print_json(j);
	} else {
		pl_cli_print("  file  http://%s%s\n", name, path.data);
		for (const char *p = content.data; *p != '\0';
		    p += strcspn(p, "\n"), p += *p == '\n')
			pl_cli_print("        %.*s\n", (int)strcspn(p, "\n"),
			    p);
	}
	pl_buf_clear(&path);
	pl_buf_clear(&content);
}

/* All names are checked before the first is shown. */
static enum pl_code
derive_names(struct csr_names *l, const struct pl_cli *cli,
    const struct pl_csr *c, struct pl_err *err)
{
	enum pl_code code = PL_OK;

	for (int i = 0; i < cli->nargs && code == PL_OK; i++)
		code = names_add(l, cli->args[i], err);
	if (cli->nargs > 0)
		return code;
	if (c->cn != NULL && !is_plain(c->cn))
		code = names_add(l, c->cn, err);
	for (size_t i = 0; i < c->nnames && code == PL_OK; i++)
		code = names_add(l, c->names[i], err);
	if (code == PL_OK && l->n == 0)
		code = pl_fail(err, PL_EINVAL, "the request has no names");
	return code;
}

int
pl_cmd_derive(struct pl_cli *cli)
{
	const char *path = pl_cli_opt(cli, "csr"),
	    *unique = pl_cli_opt(cli, "unique");
	struct csr_names names = { NULL, 0 };
	struct pl_csr *c = NULL;
	struct pl_err err;
	int status = 0;

	pl_err_clear(&err);
	if (path == NULL)
		return pl_cli_usage(cli, "derive: --csr is missing");
	if (unique != NULL && pl_unique_check(unique, &err) != PL_OK)
		return pl_cli_usage(cli, "derive: %s", err.text);
	if (csr_load(&c, path, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	if (derive_names(&names, cli, c, &err) != PL_OK)
		status = pl_cli_usage(cli, "derive: %s", err.text);
	for (size_t i = 0; status == 0 && i < names.n; i++) {
		derive_cname(cli, c, unique, names.list[i]);
		/* A file proves no wildcard name. */
		if (names.list[i][0] != '*')
			derive_file(cli, c, unique, names.list[i]);
	}
	names_free(&names);
	pl_csr_free(c);
	return status;
}
