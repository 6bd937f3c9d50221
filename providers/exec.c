/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * exec: a program that speaks a hook protocol of another ACME client
 * publishes the record.  It is run for one change at a time, without a
 * shell, with an environment of our making, as the user that is configured.
 *
 *   lego      PROGRAM present|cleanup FQDN. VALUE
 *   lego-raw  PROGRAM present|cleanup -- DOMAIN TOKEN KEYAUTH
 *   uacme     PROGRAM begin|done TYPE IDENT TOKEN AUTH
 *
 * A change's handle is what the value was made of (PL_P_SOURCE), from the
 * first on: only so can lego-raw be told a key authorization, and uacme a
 * file's domain.
 */
#include "providers.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_PATH "/.well-known/acme-challenge/"
#define EXEC_LABEL "_acme-challenge."
#define EXEC_TEMPFAIL 75	/* sysexits.h: later it may work */

static const struct pl_option exec_options[] = {
	{ .name = "program", .type = PL_OPT_PATH, .required = true,
	    .help = "absolute path of the program" },
	{ .name = "arguments", .type = PL_OPT_LIST,
	    .help = "words before those of the protocol" },
	{ .name = "protocol", .type = PL_OPT_STRING, .fallback = "lego",
	    .values = "lego|lego-raw|uacme",
	    .help = "how the program is called" },
	{ .name = "user", .type = PL_OPT_STRING,
	    .help = "user to run it as, which takes root" },
	{ .name = "zones", .type = PL_OPT_LIST,
	    .help = "the zones that it can change; without it, all" },
	{ .name = NULL }
};

static enum pl_code
exec_check(const struct pl_settings *set, struct pl_err *err)
{
	const char *program = pl_setting(set, "program");

	if (program != NULL && program[0] != '/')
		return pl_fail(err, PL_EINVAL,
		    "program: %s: an absolute path is expected", program);
	return PL_OK;
}

const struct pl_provider_desc pl_desc_exec = {
	.name = "exec",
	.program = "placard-local",
	.summary = "a program that speaks lego's or uacme's hook protocol",
	.kinds = 1u << PL_TXT | 1u << PL_FILE,
	.flags = PL_P_SOURCE,
	.max_batch = 1,
	.default_ttl = 60,
	.parallel = 1,
	.options = exec_options,
	.check = exec_check,
};

#ifndef PL_DESCRIBE

#define EXEC_ENV 16

struct exec {
	const char **argv;	/* the program, its arguments, room for the protocol's */
	size_t nargs;
	const char *protocol;	/* these are lent from the settings */
	const char *user;
	const struct pl_setting *zones;
	char *env[EXEC_ENV];
	size_t nenv;
};

/* ---- open and close ------------------------------------------------------- */

static void
exec_setenv(struct exec *x, const char *name, const char *value)
{
	struct pl_buf b;

	if (value == NULL || x->nenv + 1 >= EXEC_ENV)
		return;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s=%s", name, value);
	x->env[x->nenv++] = pl_buf_take(&b);
	x->env[x->nenv] = NULL;
}

static enum pl_code
exec_env(struct exec *x, struct pl_err *err)
{
	const struct passwd *pw = x->user != NULL ? getpwnam(x->user) :
	    getpwuid(geteuid());

	if (x->user != NULL && pw == NULL)
		return pl_fail(err, PL_EINVAL,
		    "user: there is no user \"%s\"", x->user);
	exec_setenv(x, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	    "/usr/bin:/sbin:/bin");
	exec_setenv(x, "LANG", "C.UTF-8");
	if (pw == NULL)
		return PL_OK;
	exec_setenv(x, "HOME", pw->pw_dir);
	exec_setenv(x, "USER", pw->pw_name);
	exec_setenv(x, "LOGNAME", pw->pw_name);
	return PL_OK;
}

static enum pl_code
exec_program(const char *program, struct pl_err *err)
{
	struct stat st;

	if (program == NULL || program[0] != '/')
		return pl_fail(err, PL_EINVAL,
		    "program: an absolute path is expected");
	if (stat(program, &st) != 0 || !S_ISREG(st.st_mode))
		return pl_fail(err, PL_EINVAL, "program: %s: no such file",
		    program);
	if ((st.st_mode & 0111) == 0)
		return pl_fail(err, PL_EINVAL,
		    "program: %s: is not executable", program);
	if ((st.st_mode & S_IWOTH) != 0)
		return pl_fail(err, PL_EINVAL, "program: %s: everybody may "
		    "change it: chmod o-w", program);
	return PL_OK;
}

static void
exec_close(void *self)
{
	struct exec *x = self;

	if (x == NULL)
		return;
	for (size_t i = 0; i < x->nenv; i++)
		free(x->env[i]);
	free(x->argv);
	free(x);
}

static enum pl_code
exec_open(void **self, const struct pl_settings *set, struct pl_err *err)
{
	const struct pl_setting *args = pl_setting_find(set, "arguments");
	const char *program = pl_setting(set, "program");
	struct exec *x;
	enum pl_code rc;

	*self = NULL;
	rc = exec_program(program, err);
	if (rc != PL_OK)
		return rc;
	x = pl_alloc(sizeof(*x));
	x->protocol = pl_setting(set, "protocol");
	if (x->protocol == NULL)
		x->protocol = "lego";
	x->user = pl_setting(set, "user");
	x->zones = pl_setting_find(set, "zones");
	x->nargs = 1 + (args != NULL ? args->n : 0);
	x->argv = pl_array(x->nargs + 7, sizeof(*x->argv));
	x->argv[0] = program;
	for (size_t i = 1; i < x->nargs; i++)
		x->argv[i] = args->values[i - 1];
	rc = exec_env(x, err);
	if (rc != PL_OK) {
		exec_close(x);
		return rc;
	}
	*self = x;
	return PL_OK;
}

/* ---- scope ------------------------------------------------------------------ */

/*
 * Which zones the program has nobody can ask it.  What is told as `zones`
 * counts; without, calls are parted by registered domain.
 */
static enum pl_code
exec_scope(void *self, const struct pl_call *call PL_UNUSED,
    const char *name, char scope[PL_NAME_MAX], struct pl_err *err)
{
	const struct exec *x = self;
	const char *best = NULL, *dot;

	if (name[0] == '/') {
		memcpy(scope, "local", sizeof("local"));
		return PL_OK;
	}
	if (x->zones == NULL) {
		for (best = name; (dot = strchr(best, '.')) != NULL &&
		    strchr(dot + 1, '.') != NULL &&
		    !pl_name_is_suffix(dot + 1); best = dot + 1)
			continue;
	}
	for (size_t i = 0; x->zones != NULL && i < x->zones->n; i++) {
		const char *zone = x->zones->values[i];

		if (pl_suffix_of(zone, name) &&
		    (best == NULL || strlen(zone) > strlen(best)))
			best = zone;
	}
	if (best == NULL || strlen(best) >= PL_NAME_MAX)
		return pl_fail(err, PL_ENOZONE,
		    "%s: is in none of the account's zones", name);
	memcpy(scope, best, strlen(best) + 1);
	return PL_OK;
}

/* ---- one run ------------------------------------------------------------------ */

/* "exit status 1: the last line that it has written". */
static void
exec_reason(struct pl_err *err, const char *program, int status,
    const struct pl_buf *said)
{
	const char *end = said->data + said->len, *line;

	while (end > said->data && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	for (line = end; line > said->data && line[-1] != '\n'; line--)
		continue;
	if (!WIFEXITED(status)) {
		pl_fail(err, PL_ENET, "%s: killed by signal %d", program,
		    WTERMSIG(status));
		return;
	}
	pl_fail(err, WEXITSTATUS(status) == EXEC_TEMPFAIL ? PL_ENET :
	    PL_EREMOTE, "%s: exit status %d%s%.*s", program,
	    WEXITSTATUS(status), line < end ? ": " : "",
	    (int)(end - line < 120 ? end - line : 120), line);
}

static enum pl_code
exec_run(struct exec *x, const struct pl_call *call, struct pl_err *err)
{
	const char *env[EXEC_ENV + 1];
	struct pl_run run = { .argv = x->argv, .env = env, .user = x->user,
		.timeout_ms = call->deadline - pl_mono_ms() };
	struct pl_buf out, said;
	enum pl_code rc;
	int status = 0;

	for (size_t i = 0; i <= x->nenv; i++)
		env[i] = i < x->nenv ? x->env[i] : NULL;
	if (run.timeout_ms < 1)
		return pl_fail(err, PL_ENET, "%s: deadline passed",
		    x->argv[0]);
	pl_buf_init(&out, PL_LIM_FILE);
	pl_buf_init(&said, PL_LIM_FILE);
	rc = pl_run(&run, &out, &said, &status, err);
	pl_logf(call->log, PL_LOG_DEBUG, "exec", "program=%s status=%d",
	    x->argv[0], status);
	if (rc == PL_OK && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		exec_reason(err, x->argv[0], status,
		    said.len > 0 ? &said : &out);
		rc = err->code;
	}
	pl_buf_clear(&out);
	pl_buf_clear(&said);
	return rc;
}

/* ---- the protocols --------------------------------------------------------------- */

/* The domain behind _acme-challenge; NULL: the name is none. */
static const char *
exec_domain(const struct pl_change *c)
{
	size_t n = strlen(EXEC_LABEL);

	return strncmp(c->name, EXEC_LABEL, n) == 0 ? c->name + n : NULL;
}

static enum pl_code
exec_no_name(const struct exec *x, const struct pl_change *c,
    struct pl_err *err)
{
	return pl_fail(err, PL_EINVAL, "%s: protocol %s can tell names below "
	    "_acme-challenge only (see follow)", c->name, x->protocol);
}

static enum pl_code
exec_lego(struct exec *x, const struct pl_change *c, size_t *n,
    char *fqdn, struct pl_err *err)
{
	if (c->kind != PL_TXT)
		return pl_fail(err, PL_EINVAL, "%s: protocol lego publishes "
		    "TXT records only", c->name);
	snprintf(fqdn, PL_NAME_MAX + 1, "%s.", c->name);
	x->argv[(*n)++] = fqdn;
	x->argv[(*n)++] = c->value;
	return PL_OK;
}

static enum pl_code
exec_lego_raw(struct exec *x, const struct pl_change *c, size_t *n,
    char *token, struct pl_err *err)
{
	const char *domain = exec_domain(c);

	if (c->kind != PL_TXT || domain == NULL)
		return exec_no_name(x, c, err);
	if (c->handle == NULL || strchr(c->handle, '.') == NULL)
		return pl_fail(err, PL_EINVAL, "%s: protocol lego-raw needs "
		    "the key authorization, and only the value is known",
		    c->name);
	snprintf(token, PL_NAME_MAX + 1, "%.*s",
	    (int)strcspn(c->handle, "."), c->handle);
	x->argv[(*n)++] = "--";
	x->argv[(*n)++] = domain;
	x->argv[(*n)++] = token;
	x->argv[(*n)++] = c->handle;
	return PL_OK;
}

static enum pl_code
exec_uacme(struct exec *x, const struct pl_change *c, size_t *n,
    char *token, struct pl_err *err)
{
	bool file = c->kind == PL_FILE;
	const char *domain = file ? c->handle : exec_domain(c);

	if (domain == NULL || (file && strncmp(c->name, EXEC_PATH,
	    strlen(EXEC_PATH)) != 0))
		return exec_no_name(x, c, err);
	/* Where only the value is known there is no token to tell. */
	if (file)
		snprintf(token, PL_NAME_MAX + 1, "%s",
		    c->name + strlen(EXEC_PATH));
	else if (c->handle != NULL)
		snprintf(token, PL_NAME_MAX + 1, "%.*s",
		    (int)strcspn(c->handle, "."), c->handle);
	else
		snprintf(token, PL_NAME_MAX + 1, "-");
	x->argv[(*n)++] = file ? "http-01" : "dns-01";
	x->argv[(*n)++] = domain;
	x->argv[(*n)++] = token;
	x->argv[(*n)++] = c->value;
	return PL_OK;
}

/* uacme 1.7.5 and later tell the words in the environment too. */
static void
exec_uacme_env(struct exec *x, size_t first)
{
	static const char *const names[] = { "UACME_METHOD", "UACME_TYPE",
		"UACME_IDENT", "UACME_TOKEN", "UACME_AUTH" };

	for (size_t i = 0; i < PL_NELEM(names); i++)
		exec_setenv(x, names[i], x->argv[first + i]);
}

static enum pl_code
exec_change(struct exec *x, const struct pl_call *call,
    const struct pl_change *c, bool add, struct pl_err *err)
{
	char word[PL_NAME_MAX + 1];
	size_t n = x->nargs, env = x->nenv;
	bool uacme = strcmp(x->protocol, "uacme") == 0;
	enum pl_code rc;

	x->argv[n++] = uacme ? (add ? "begin" : "done") :
	    (add ? "present" : "cleanup");
	if (uacme)
		rc = exec_uacme(x, c, &n, word, err);
	else if (strcmp(x->protocol, "lego-raw") == 0)
		rc = exec_lego_raw(x, c, &n, word, err);
	else
		rc = exec_lego(x, c, &n, word, err);
	x->argv[n] = NULL;
	if (rc != PL_OK)
		return rc;
	if (uacme)
		exec_uacme_env(x, x->nargs);
	rc = exec_run(x, call, err);
	while (x->nenv > env)
		free(x->env[--x->nenv]);
	x->env[x->nenv] = NULL;
	return rc;
}

/*
 * A program of lego's that has failed may have done half of it, and lego
 * would call it for the cleanup.  One of uacme's has declined.
 */
static enum pl_code
exec_add(struct exec *x, const struct pl_call *call,
    const struct pl_change *c, struct pl_outcome *out, struct pl_err *err)
{
	struct pl_err later;
	enum pl_code rc;

	if (c->handle != NULL && strlen(c->handle) >= sizeof(out->handle))
		return pl_fail(err, PL_EINVAL, "%s: what it was made of is too "
		    "long to be kept", c->name);
	rc = exec_change(x, call, c, true, err);
	if (rc == PL_EREMOTE && strcmp(x->protocol, "uacme") != 0)
		(void)exec_change(x, call, c, false, &later);
	if (rc == PL_OK && c->handle != NULL)
		snprintf(out->handle, sizeof(out->handle), "%s", c->handle);
	return rc;
}

static enum pl_code
exec_apply(void *self, const struct pl_call *call,
    const char *scope PL_UNUSED, const struct pl_change *chg,
    struct pl_outcome *out, size_t n, struct pl_err *err)
{
	struct exec *x = self;
	enum pl_code rc = PL_OK;
	struct pl_err one;

	if (n == 0)
		return exec_program(x->argv[0], err);
	for (size_t i = 0; i < n; i++) {
		pl_err_clear(&one);
		out[i].code = chg[i].op == PL_ADD ?
		    exec_add(x, call, &chg[i], &out[i], &one) :
		    exec_change(x, call, &chg[i], false, &one);
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
	return rc;
}

const struct pl_provider pl_provider_exec = {
	.desc = &pl_desc_exec,
	.open = exec_open,
	.scope = exec_scope,
	.apply = exec_apply,
	.close = exec_close,
};

#endif
