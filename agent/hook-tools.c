/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The words of each tool.
 *
 *   certbot     no arguments, environment CERTBOT_*; the cleanup is told by
 *               CERTBOT_AUTH_OUTPUT, or by the word auth or cleanup
 *   dehydrated  FUNCTION ARGS, with HOOK_CHAIN all challenges at once
 *   uacme       begin|done|failed TYPE IDENT TOKEN AUTH
 *   lego        present|cleanup FQDN VALUE, or -- DOMAIN TOKEN KEYAUTH
 *   mod_md      setup DOMAIN VALUE, teardown DOMAIN [VALUE]
 *   acme.sh     add|rm FQDN VALUE, from the file that --print writes
 */
#include "hook.h"

#include <stdlib.h>
#include <string.h>

#define LABEL "_acme-challenge."

typedef const char *(*getter)(const char *name);

/* Unset and empty are the same to us. */
static const char *
env(getter get, const char *name)
{
	const char *v = get(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

/* ---- challenges ---------------------------------------------------------- */

static enum pl_code
add_challenge(struct pl_hook *h, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	struct pl_job *j = &h->job;
	struct pl_challenge ch;
	enum pl_code code;

	code = pl_challenge_make(&ch, a, err);
	if (code != PL_OK)
		return code;
	j->challenges = pl_grow(j->challenges, j->n + 1, sizeof(ch));
	j->challenges[j->n++] = ch;
	return PL_OK;
}

static enum pl_code
add_dns(struct pl_hook *h, const char *domain, const char *value,
    struct pl_err *err)
{
	struct pl_challenge_args a = { .method = "dns-01",
		.domain = domain, .value = value };

	return add_challenge(h, &a, err);
}

static enum pl_code
add_http(struct pl_hook *h, const char *domain, const char *token,
    const char *keyauth, struct pl_err *err)
{
	struct pl_challenge_args a = { .method = "http-01",
		.domain = domain, .token = token,
		.key_authorization = keyauth };

	return add_challenge(h, &a, err);
}

/*
 * A finished owner name and value.  Where the tool has followed an alias by
 * itself the name is not a challenge's any more; then it is a TXT record
 * below its parent, which allow-names has to allow.
 */
static enum pl_code
add_owner(struct pl_hook *h, const char *fqdn, const char *value,
    struct pl_err *err)
{
	struct pl_challenge_args a = { .method = "dns-txt", .name = fqdn,
		.value = value };
	const char *dot = strchr(fqdn, '.');
	enum pl_code code;

	if (strncmp(fqdn, LABEL, strlen(LABEL)) == 0)
		return add_dns(h, fqdn + strlen(LABEL), value, err);
	if (dot == NULL || dot[1] == '\0')
		return pl_fail(err, PL_EINVAL, "%s: is not an owner name",
		    fqdn);
	a.domain = dot + 1;
	code = add_challenge(h, &a, err);
	/* Made as a token, but bound to the rules of what it is. */
	if (code == PL_OK)
		h->job.challenges[h->job.n - 1].method = PL_DNS_01;
	return code;
}

/* "certbot-x7k2m9q4a1b3": whose it is, and no two alike. */
static void
name_job(struct pl_hook *h)
{
	struct pl_buf b;
	char id[13];

	pl_random_name(id, 12);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s-%s", h->tool, id);
	h->job.id = pl_buf_take(&b);
}

static enum pl_code
expect(const struct pl_hook *h, int argc, int wanted, const char *words,
    struct pl_err *err)
{
	if (argc == wanted)
		return PL_OK;
	return pl_fail(err, PL_EINVAL, "hook %s: %s expected", h->tool,
	    words);
}

/* ---- certbot -------------------------------------------------------------- */

/* How many challenges a list with commas is for. */
static size_t
count_names(const char *all)
{
	size_t n = 1;

	for (; *all != '\0'; all++)
		n += *all == ',';
	return n;
}

/*
 * One run of certbot is known by the names it asks for, so that the last
 * call of the run finds what the earlier ones have published.
 */
static void
certbot_job(struct pl_hook *h, const char *all)
{
	unsigned char sum[32];
	struct pl_buf b;

	pl_sha256(sum, all, strlen(all));
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s-", h->tool);
	pl_hex(&b, sum, 8);
	h->job.id = pl_buf_take(&b);
}

/*
 * certbot shows the auth hook's output to the cleanup hook of the same
 * challenge, and, in a run with several certificates, to the auth hooks of
 * the next one too.  So the output carries the value that it belongs to.
 */
static bool
certbot_cleans(const char *output, const char *value)
{
	if (output == NULL)
		return false;
	return strncmp(output, "placard ", 8) != 0 ||
	    strstr(output, value) != NULL;
}

static enum pl_code
certbot_word(struct pl_hook *h, int argc, char *const *argv,
    const char *output, const char *value, struct pl_err *err)
{
	if (argc > 1 || (argc == 1 && strcmp(argv[0], "auth") != 0 &&
	    strcmp(argv[0], "cleanup") != 0))
		return pl_fail(err, PL_EINVAL, "hook certbot: auth, cleanup "
		    "or nothing expected");
	h->act = argc == 1 ? (argv[0][0] == 'a' ? PL_HOOK_ADD :
	    PL_HOOK_REMOVE) : certbot_cleans(output, value) ?
	    PL_HOOK_REMOVE : PL_HOOK_ADD;
	return PL_OK;
}

static enum pl_code
read_certbot(struct pl_hook *h, int argc, char *const *argv, getter get,
    struct pl_err *err)
{
	const char *domain = env(get, "CERTBOT_DOMAIN"),
	    *value = env(get, "CERTBOT_VALIDATION"),
	    *token = env(get, "CERTBOT_TOKEN"),
	    *all = env(get, "CERTBOT_ALL_DOMAINS"),
	    *left = env(get, "CERTBOT_REMAINING_CHALLENGES");
	struct pl_buf said;
	enum pl_code code;

	if (domain == NULL)
		domain = env(get, "CERTBOT_IDENTIFIER");
	if (all == NULL)
		all = env(get, "CERTBOT_ALL_IDENTIFIERS");
	if (domain == NULL || value == NULL)
		return pl_fail(err, PL_EINVAL, "%s: is not in the "
		    "environment; certbot sets it",
		    domain == NULL ? "CERTBOT_DOMAIN" : "CERTBOT_VALIDATION");
	code = certbot_word(h, argc, argv, get("CERTBOT_AUTH_OUTPUT"), value,
	    err);
	if (code != PL_OK)
		return code;
	code = token != NULL ? add_http(h, domain, token, value, err) :
	    add_dns(h, domain, value, err);
	if (code != PL_OK)
		return code;
	certbot_job(h, all != NULL ? all : domain);
	h->rest_of = count_names(all != NULL ? all : domain);
	h->keep = true;
	h->wait = h->rest = left == NULL || strcmp(left, "0") == 0;
	pl_buf_init(&said, PL_LIM_LINE);
	pl_buf_addf(&said, "placard %s %s", domain, value);
	h->said = pl_buf_take(&said);
	return PL_OK;
}

/* ---- dehydrated ------------------------------------------------------------- */

/* The type is in the environment, and in the form of the value. */
static bool
dehydrated_http(const char *type, const char *token, const char *value)
{
	size_t n = strlen(token);

	if (type != NULL)
		return strcmp(type, "http-01") == 0;
	return strncmp(value, token, n) == 0 && value[n] == '.';
}

static enum pl_code
read_dehydrated(struct pl_hook *h, int argc, char *const *argv, getter get,
    struct pl_err *err)
{
	const char *type = env(get, "CHALLENGETYPE");
	enum pl_code code = PL_OK;

	if (argc == 0)
		return pl_fail(err, PL_EINVAL, "hook dehydrated: the function "
		    "expected");
	if (strcmp(argv[0], "deploy_challenge") == 0)
		h->act = PL_HOOK_ADD;
	else if (strcmp(argv[0], "clean_challenge") == 0)
		h->act = PL_HOOK_REMOVE;
	else
		return PL_OK;
	/* tls-alpn-01 is deployed by dehydrated itself. */
	if (type != NULL && strcmp(type, "tls-alpn-01") == 0) {
		h->act = PL_HOOK_NOTHING;
		return PL_OK;
	}
	if (argc < 4 || argc % 3 != 1)
		return pl_fail(err, PL_EINVAL, "hook dehydrated: %s DOMAIN "
		    "TOKEN VALUE, once or several times, expected", argv[0]);
	for (int i = 1; code == PL_OK && i < argc; i += 3) {
		if (dehydrated_http(type, argv[i + 1], argv[i + 2]))
			code = add_http(h, argv[i], argv[i + 1], argv[i + 2],
			    err);
		else
			code = add_dns(h, argv[i], argv[i + 2], err);
	}
	return code;
}

/* ---- uacme -------------------------------------------------------------------- */

static enum pl_code
read_uacme(struct pl_hook *h, int argc, char *const *argv,
    getter get PL_UNUSED, struct pl_err *err)
{
	enum pl_code code;
	const char *type;

	code = expect(h, argc, 5, "begin|done|failed TYPE IDENT TOKEN AUTH",
	    err);
	if (code != PL_OK)
		return code;
	type = argv[1];
	if (strcmp(argv[0], "begin") == 0)
		h->act = PL_HOOK_ADD;
	else if (strcmp(argv[0], "done") == 0 ||
	    strcmp(argv[0], "failed") == 0)
		h->act = PL_HOOK_REMOVE;
	else
		return expect(h, argc, 0, "begin, done or failed", err);
	if (strcmp(type, "dns-01") == 0)
		return add_dns(h, argv[2], argv[4], err);
	if (strcmp(type, "http-01") == 0)
		return add_http(h, argv[2], argv[3], argv[4], err);
	h->act = h->act == PL_HOOK_ADD ? PL_HOOK_DECLINE : PL_HOOK_NOTHING;
	return PL_OK;
}

/* ---- lego ---------------------------------------------------------------------- */

static enum pl_code
read_lego(struct pl_hook *h, int argc, char *const *argv,
    getter get PL_UNUSED, struct pl_err *err)
{
	struct pl_challenge_args a = { .method = "dns-01" };

	if (argc > 0 && strcmp(argv[0], "present") == 0)
		h->act = PL_HOOK_ADD;
	else if (argc > 0 && strcmp(argv[0], "cleanup") == 0)
		h->act = PL_HOOK_REMOVE;
	else
		return expect(h, argc, -1, "present or cleanup", err);
	if (argc == 3)
		return add_owner(h, argv[1], argv[2], err);
	if (argc != 5 || strcmp(argv[1], "--") != 0)
		return expect(h, argc, -1, "FQDN VALUE, or -- DOMAIN TOKEN "
		    "KEYAUTH,", err);
	a.domain = argv[2];
	a.token = argv[3];
	a.key_authorization = argv[4];
	return add_challenge(h, &a, err);
}

/* ---- mod_md ---------------------------------------------------------------------- */

static enum pl_code
read_mod_md(struct pl_hook *h, int argc, char *const *argv,
    getter get PL_UNUSED, struct pl_err *err)
{
	struct pl_buf b;
	enum pl_code code;

	if (argc == 0)
		return pl_fail(err, PL_EINVAL, "hook mod_md: setup or "
		    "teardown expected");
	/* What MDMessageCmd says: going on is all that is wanted. */
	if (strcmp(argv[0], "setup") != 0 && strcmp(argv[0], "teardown") != 0)
		return PL_OK;
	h->act = argv[0][0] == 's' ? PL_HOOK_ADD : PL_HOOK_REMOVE;
	if (argc == 3)
		return add_dns(h, argv[1], argv[2], err);
	if (argc != 2 || h->act == PL_HOOK_ADD)
		return expect(h, argc, -1, "setup DOMAIN VALUE or teardown "
		    "DOMAIN [VALUE]", err);
	/* Version 1 does not say which value: all that we put there for it. */
	code = add_dns(h, argv[1],
	    "0000000000000000000000000000000000000000000", err);
	if (code != PL_OK)
		return code;
	h->act = PL_HOOK_REMOVE_NAME;
	pl_buf_init(&b, PL_NAME_MAX);
	pl_buf_adds(&b, h->job.challenges[0].record);
	h->name = pl_buf_take(&b);
	return PL_OK;
}

/* ---- acme.sh ---------------------------------------------------------------------- */

static enum pl_code
read_acme_sh(struct pl_hook *h, int argc, char *const *argv,
    getter get PL_UNUSED, struct pl_err *err)
{
	if (argc == 1 && strcmp(argv[0], "--print") == 0) {
		h->act = PL_HOOK_PRINT;
		return PL_OK;
	}
	if (argc > 0 && strcmp(argv[0], "add") == 0)
		h->act = PL_HOOK_ADD;
	else if (argc > 0 && strcmp(argv[0], "rm") == 0)
		h->act = PL_HOOK_REMOVE;
	if (h->act == PL_HOOK_NOTHING || argc != 3)
		return expect(h, argc, -1, "--print, or add|rm FQDN VALUE",
		    err);
	return add_owner(h, argv[1], argv[2], err);
}

/* ---- all ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum pl_code (*read)(struct pl_hook *h, int argc, char *const *argv,
	    getter get, struct pl_err *err);
} tools[] = {
	{ "acme.sh", read_acme_sh },
	{ "certbot", read_certbot },
	{ "dehydrated", read_dehydrated },
	{ "lego", read_lego },
	{ "mod_md", read_mod_md },
	{ "uacme", read_uacme },
};

enum pl_code
pl_hook_read(struct pl_hook *h, const char *tool, int argc,
    char *const *argv, const char *(*get)(const char *name),
    struct pl_err *err)
{
	enum pl_code code;

	*h = (struct pl_hook){ .wait = true };
	for (size_t i = 0; i < PL_NELEM(tools); i++) {
		if (strcmp(tools[i].name, tool) != 0)
			continue;
		h->tool = tools[i].name;
		code = tools[i].read(h, argc, argv, get, err);
		if (code != PL_OK)
			pl_hook_clear(h);
		else if (h->job.id == NULL)
			name_job(h);
		return code;
	}
	return pl_fail(err, PL_EINVAL, "hook: %s: acme.sh, certbot, "
	    "dehydrated, lego, mod_md or uacme expected", tool);
}

void
pl_hook_clear(struct pl_hook *h)
{
	pl_job_clear(&h->job);
	free(h->name);
	free(h->said);
	*h = (struct pl_hook){ .tool = NULL };
}
