/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The roles of a worker that has to do with deployment, each a process of
 * its own: "deploy" has the private key and writes files, and runs nothing;
 * "command" runs a target's commands, and has no secret.
 */
#include "agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MOST 4096	/* octets of a command's output */
#define NAMES_MOST 1000

/* ---- deploy ------------------------------------------------------------------- */

static enum pl_code
deploy_open(void **self, const struct pl_settings *set,
    const struct pl_log *log PL_UNUSED, struct pl_err *err)
{
	struct pl_deploy_work *w = NULL;
	enum pl_code code = pl_deploy_open(&w, set, false, err);

	*self = w;
	return code;
}

static enum pl_code
remote_open(void **self, const struct pl_settings *set,
    const struct pl_log *log PL_UNUSED, struct pl_err *err)
{
	struct pl_deploy_work *w = NULL;
	enum pl_code code = pl_deploy_open(&w, set, true, err);

	*self = w;
	return code;
}

static void
deploy_close(void *self)
{
	pl_deploy_close(self);
}

/* Writing below the directory only, or below what is there of its path. */
static void
deploy_confine(void *self, enum pl_sandbox_mode mode,
    const struct pl_settings *set, const struct pl_log *log)
{
	struct pl_sandbox s = { .profile = PL_PROFILE_LOCAL, .mode = mode,
		.links = true };
	char *path = pl_strdup(pl_deploy_directory(self)), *slash;
	const char *write[2] = { path, NULL };

	while (access(path, F_OK) != 0 &&
	    (slash = strrchr(path, '/')) != NULL && slash > path)
		*slash = '\0';
	s.write = write;
	pl_sandbox_apply(&s, log, set->account);
	free(path);
}

static void
remote_confine(void *self PL_UNUSED, enum pl_sandbox_mode mode,
    const struct pl_settings *set, const struct pl_log *log)
{
	pl_sandbox_account(mode, set, &pl_desc_sftp, "placard-ssh", log);
}

static void
put_installed(struct pl_buf *b, uint32_t id, const struct pl_err *err,
    const struct pl_installed *in)
{
	pl_put_u32(b, id);
	pl_put_err(b, err);
	pl_put_u8(b, in->same);
	pl_put_u32(b, in->generation);
	pl_put_u32(b, in->previous);
}

static enum pl_code
deploy_verb(struct pl_deploy_work *w, enum pl_deploy_verb verb,
    int64_t deadline, struct pl_cursor *c, struct pl_installed *in,
    struct pl_err *err)
{
	struct pl_deploy_cert cert = { .leaf = pl_get_str(c),
		.chain = pl_get_str(c), .root = pl_get_str(c) };
	const char **names;
	uint32_t n;

	cert.server = pl_get_u8(c) != 0;
	n = pl_get_count(c, 5);
	if (c->bad || n > NAMES_MOST || cert.leaf == NULL ||
	    cert.chain == NULL || cert.root == NULL)
		return PL_EPROTO;
	names = pl_array(n + 1, sizeof(*names));
	for (uint32_t i = 0; i < n; i++) {
		names[i] = pl_get_str(c);
		if (names[i] == NULL)
			c->bad = true;
	}
	cert.names = names;
	cert.n = n;
	if (!c->bad)
		err->code = pl_deploy_do(w, verb, &cert, deadline, in, err);
	free(names);
	return c->bad ? PL_EPROTO : PL_OK;
}

/* Also answers PL_D_ROLLBACK, whose certificate is a number. */
static enum pl_code
deploy_call(void *self, struct pl_cursor *c, struct pl_buf *answer)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c);
	unsigned verb = pl_get_u8(c);
	int64_t deadline = pl_mono_ms() + ms;
	struct pl_installed in = { 0 };
	struct pl_err err;
	enum pl_code code = PL_OK;

	pl_err_clear(&err);
	if (verb == PL_D_ROLLBACK)
		err.code = pl_deploy_undo(self, pl_get_u32(c), deadline,
		    &in.generation, &err);
	else if (verb <= PL_D_INSTALL)
		code = deploy_verb(self, (enum pl_deploy_verb)verb, deadline,
		    c, &in, &err);
	else
		code = PL_EPROTO;
	if (code == PL_OK)
		put_installed(answer, id, &err, &in);
	return code;
}

const struct pl_service pl_service_deploy = {
	.role = PL_ROLE_DEPLOY,
	.open = deploy_open,
	.confine = deploy_confine,
	.call = deploy_call,
	.close = deploy_close,
};
const struct pl_service pl_service_deploy_remote = {
	.role = PL_ROLE_DEPLOY,
	.open = remote_open,
	.confine = remote_confine,
	.call = deploy_call,
	.close = deploy_close,
};

/* ---- command ------------------------------------------------------------------ */

/* Ours are the engine's settings; the environment is made of them. */
struct commands {
	const struct pl_settings *set;
	char *env[6];
};

static char *
env_entry(const char *name, const char *value)
{
	struct pl_buf b;

	pl_buf_init(&b, 2 * PL_LIM_LINE);
	pl_buf_addf(&b, "%s=%s", name, value != NULL ? value : "");
	return pl_buf_take(&b);
}

static enum pl_code
command_open(void **self, const struct pl_settings *set,
    const struct pl_log *log PL_UNUSED, struct pl_err *err PL_UNUSED)
{
	struct commands *k = pl_alloc(sizeof(*k));

	k->set = set;
	k->env[0] = env_entry("PATH", "/usr/local/sbin:/usr/local/bin:"
	    "/usr/sbin:/usr/bin:/sbin:/bin");
	k->env[1] = env_entry("LANG", "C.UTF-8");
	k->env[2] = env_entry("PLACARD_TARGET", set->account);
	k->env[3] = env_entry("PLACARD_NAME", pl_setting(set, "base"));
	k->env[4] = env_entry("PLACARD_DIRECTORY", pl_setting(set,
	    "directory"));
	*self = k;
	return PL_OK;
}

static void
command_close(void *self)
{
	struct commands *k = self;

	for (size_t i = 0; i < PL_NELEM(k->env); i++)
		free(k->env[i]);
	free(k);
}

static void
command_confine(void *self PL_UNUSED, enum pl_sandbox_mode mode,
    const struct pl_settings *set, const struct pl_log *log)
{
	struct pl_sandbox s = { .profile = PL_PROFILE_EXEC, .mode = mode };

	pl_sandbox_apply(&s, log, set->account);
}

static enum pl_code
judge_status(const char *which, int status, const struct pl_buf *output,
    struct pl_err *err)
{
	const char *last = output->data, *nl;
	size_t n = output->len;
	char how[32];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return PL_OK;
	/* Its last line says most. */
	while (n > 0 && output->data[n - 1] == '\n')
		n--;
	while ((nl = memchr(last, '\n', n - (size_t)(last - output->data))) !=
	    NULL)
		last = nl + 1;
	snprintf(how, sizeof(how), WIFEXITED(status) ? "exit status %d" :
	    "killed by signal %d", WIFEXITED(status) ? WEXITSTATUS(status) :
	    WTERMSIG(status));
	/* A check says the same the next time, a reload need not. */
	return pl_fail(err, strcmp(which, "reload") == 0 ? PL_ENET :
	    PL_EREMOTE, "%s: %s%s%.*s", which, how, n > 0 ? ": " :
	    "", (int)(n - (size_t)(last - output->data)), last);
}

static enum pl_code
command_run(const struct commands *k, const char *which, int64_t ms,
    struct pl_buf *output, struct pl_err *err)
{
	const struct pl_setting *v = pl_setting_find(k->set, which);
	struct pl_run run = { .env = (const char *const *)k->env,
		.timeout_ms = ms };
	struct pl_buf more;
	const char **argv;
	enum pl_code code;
	int status = 0;

	if (v == NULL || v->n == 0)
		return pl_fail(err, PL_EINVAL, "%s: no command", which);
	argv = pl_array(v->n + 1, sizeof(*argv));
	for (size_t i = 0; i < v->n; i++)
		argv[i] = v->values[i];
	run.argv = argv;
	pl_buf_init(&more, OUTPUT_MOST / 2);
	code = pl_run(&run, output, &more, &status, err);
	if (code != PL_OK)
		pl_prefix(err, "%s", which);
	pl_buf_add(output, more.data, more.len);
	if (code == PL_OK)
		code = judge_status(which, status, output, err);
	pl_buf_clear(&more);
	free(argv);
	return code;
}

static enum pl_code
command_call(void *self, struct pl_cursor *c, struct pl_buf *answer)
{
	uint32_t id = pl_get_u32(c), ms = pl_get_u32(c);
	const char *which = pl_get_str(c);
	struct pl_buf out, output;
	struct pl_err err;

	if (c->bad || which == NULL || (strcmp(which, "pre-check") != 0 &&
	    strcmp(which, "reload") != 0))
		return PL_EPROTO;
	pl_err_clear(&err);
	pl_buf_init(&out, OUTPUT_MOST / 2);
	err.code = command_run(self, which, ms, &out, &err);
	/* What a program prints is for people; a NUL ends it. */
	pl_buf_init(&output, 4 * OUTPUT_MOST);
	for (size_t i = 0; i < out.len && out.data[i] != '\0'; i++)
		pl_buf_addc(&output, out.data[i]);
	pl_put_u32(answer, id);
	pl_put_err(answer, &err);
	pl_put_str(answer, output.data);
	pl_buf_clear(&output);
	pl_buf_clear(&out);
	return PL_OK;
}

const struct pl_service pl_service_command = {
	.role = PL_ROLE_COMMAND,
	.open = command_open,
	.confine = command_confine,
	.call = command_call,
	.close = command_close,
};
