/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The steps of one order and one target, each a call to a worker. */
#include "deploy-run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 200		/* until a worker or a directory is looked at again */
#define BUSY_TRIES 50
#define LOOK_MS 5000		/* of one look */
#define LOOK_GAP_MOST 5000
#define SERVED_WORKERS 4
#define SEEN 2			/* looks in a row that find it */
#define SEEN_GAP 150

/* ---- settings ------------------------------------------------------------------- */

/* What of an sftp account its connection is made of. */
static bool
of_account(const char *name)
{
	static const char *const names[] = { "host", "port", "user",
		"private-key", "passphrase", "password", "agent-socket",
		"known-hosts-file", "host-key", "credentials-directory",
		NULL };
	char stem[64];

	if (pl_str_in(name, names))
		return true;
	for (size_t i = 0; names[i] != NULL; i++) {
		size_t n = strlen(names[i]);

		if (n >= sizeof(stem) || strncmp(name, names[i], n) != 0)
			continue;
		for (size_t k = 1; k < PL_SECRET_FORMS; k++) {
			if (strcmp(name + n, pl_secret_forms[k]) == 0)
				return true;
		}
	}
	return false;
}

static void
add_text(struct pl_settings *set, const char *name, const char *value)
{
	if (value != NULL)
		pl_settings_add(set, name, &value, 1);
}

/* One of the target's own, with its name in place of "%n". */
static void
add_expanded(struct pl_settings *set, const struct pl_setting *s,
    const char *base)
{
	char **values = pl_array(s->n + 1, sizeof(*values));

	for (size_t i = 0; i < s->n; i++)
		values[i] = pl_deploy_expand(s->values[i], base);
	pl_settings_add(set, s->name, (const char *const *)values, s->n);
	for (size_t i = 0; i < s->n; i++)
		free(values[i]);
	free(values);
}

static bool
is_key(const char *name)
{
	static const char *const forms[] = { "key", "key-file", "key-command",
		"key-credential", NULL };

	return pl_str_in(name, forms);
}

static void
add_target(struct pl_deploy_run *r)
{
	const struct pl_settings *from = &r->target->settings;

	for (size_t i = 0; i < from->n; i++) {
		const struct pl_setting *s = &from->list[i];

		if (r->key != NULL && is_key(s->name))
			continue;
		if (s->secret != NULL)
			pl_settings_copy(&r->set, s);
		else
			add_expanded(&r->set, s, r->row.name);
	}
	add_text(&r->set, "key-file", r->key);
}

/* The key that was made here with the certificate's request; who asks may name
 * another. */
static enum pl_code
add_kept(struct pl_deploy_run *r, const unsigned char spki[32],
    struct pl_err *err)
{
	enum pl_code code;
	char *path;

	if (r->key != NULL)
		return PL_OK;
	code = pl_book_key(r->all->opt.book, r->id, spki, &path, err);
	if (code == PL_OK)
		add_text(&r->set, "kept-key", path);
	free(path);
	return code;
}

static enum pl_code
add_spki(struct pl_deploy_run *r, struct pl_err *err)
{
	struct pl_cert **certs;
	struct pl_buf hex;
	enum pl_code code;
	size_t n;

	/* What cannot be read is refused by the checks, with better words. */
	if (pl_certs_parse(&certs, &n, r->cert.leaf, strlen(r->cert.leaf),
	    NULL) != PL_OK)
		return PL_OK;
	pl_buf_init(&hex, 128);
	pl_hex(&hex, certs[0]->spki, 32);
	add_text(&r->set, "spki", hex.data);
	code = add_kept(r, certs[0]->spki, err);
	pl_buf_clear(&hex);
	pl_certs_free(certs, n);
	return code;
}

enum pl_code
pl_drun_settings(struct pl_deploy_run *r, struct pl_err *err)
{
	const char *name = pl_setting(&r->target->settings, "account");
	const struct pl_account *a;
	enum pl_code code;

	pl_settings_clear(&r->set);
	r->set.account = pl_strdup(r->target->label);
	r->set.provider = pl_strdup("deploy");
	add_target(r);
	add_text(&r->set, "base", r->row.name);
	code = add_spki(r, err);
	if (code != PL_OK)
		return code;
	if (!r->target->remote)
		return PL_OK;
	a = pl_config_account(r->all->opt.config, name);
	if (a == NULL || !a->enabled)
		return pl_fail(err, PL_EINVAL, "account %s: not enabled",
		    name);
	for (size_t i = 0; i < a->settings.n; i++) {
		if (of_account(a->settings.list[i].name))
			pl_settings_copy(&r->set, &a->settings.list[i]);
	}
	return PL_OK;
}

/* ---- workers -------------------------------------------------------------------- */

void
pl_drun_drop_workers(struct pl_deploy_run *r)
{
	/* It ends when it has read that nobody is there any more. */
	if (r->files != NULL)
		pl_worker_retire(r->files);
	if (r->other != NULL)
		pl_worker_retire(r->other);
	r->files = r->other = NULL;
}

static void
put_hello(struct pl_deploy_run *r, const char *role, struct pl_buf *b)
{
	const struct pl_deploys_opts *o = &r->all->opt;
	const struct pl_verify_settings none = { .quorum = 0 };

	pl_put_str(b, role);
	pl_put_u8(b, PL_HELLO_FLAGS(o->log->level,
	    o->config->service.sandbox));
	if (strcmp(role, PL_ROLE_SERVED) == 0)
		pl_verify_settings_put(b, &none);
	else
		pl_settings_put(b, &r->set);
}

/*
 * Lends a worker for a role; NULL with PL_OK: none is to be had yet, and
 * again() is called later.
 */
static enum pl_code
acquire(struct pl_deploy_run *r, const char *role, const char *program,
    struct pl_worker **w, void (*again)(void *run), struct pl_err *err)
{
	bool served = strcmp(role, PL_ROLE_SERVED) == 0;
	struct pl_worker_spec spec = { .program = program,
		.most = served ? SERVED_WORKERS : 1 };
	struct pl_buf key, hello;
	enum pl_code code;

	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_init(&hello, PL_LIM_FRAME);
	pl_buf_adds(&key, role);
	/* The key of one certificate is not that of the next one. */
	if (!served)
		pl_buf_addf(&key, ":%s:%s", r->target->label, r->cert.sha256);
	put_hello(r, role, &hello);
	spec.key = key.data;
	spec.hello = &hello;
	code = pl_pool_acquire(pl_engine_pool(r->all->opt.engine), &spec, w,
	    err);
	if (code == PL_OK && *w == NULL && ++r->tries > BUSY_TRIES)
		code = pl_fail(err, PL_ENET, "no worker to be had");
	else if (code == PL_OK && *w == NULL)
		pl_drun_after(r, BUSY_MS, again);
	else
		r->tries = 0;
	pl_buf_clear(&key);
	pl_buf_clear(&hello);
	return code;
}

static void
fail(struct pl_deploy_run *r, struct pl_err *err)
{
	pl_prefix(err, "%s", r->target->label);
	pl_drun_end(r, err);
}

/* Takes the number and the error of an answer; false: it makes no sense, or
 * there is none, and the worker is gone. */
static bool
answered(struct pl_deploy_run *r, struct pl_worker **w, struct pl_frame *f,
    const struct pl_err *died, struct pl_err *err)
{
	if (f == NULL) {
		*w = NULL;
		*err = *died;
		if (err->code == PL_EUNDONE || err->code == PL_EPROTO)
			err->code = PL_ENET;
		return false;
	}
	if (pl_get_u32(&f->body) == r->call) {
		pl_get_err(&f->body, err);
		return true;
	}
	pl_worker_lied(*w, "answer of another call");
	*w = NULL;
	pl_fail(err, PL_ENET, "worker's answer makes no sense");
	return false;
}

static void
send(struct pl_deploy_run *r, struct pl_worker *w, const struct pl_buf *more,
    int64_t ms, void (*done)(void *, struct pl_frame *,
	const struct pl_err *))
{
	struct pl_buf body;

	pl_buf_init(&body, PL_LIM_FRAME);
	r->call = pl_worker_next_call(w);
	pl_put_u32(&body, r->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_buf_add(&body, more->data, more->len);
	pl_worker_call(w, PL_MSG_CALL, &body, PL_MSG_CALLED, ms, done, r);
	pl_buf_clear(&body);
}

/* ---- served ----------------------------------------------------------------------- */

static void
served_name(const struct pl_deploy_run *r, char out[PL_NAME_MAX])
{
	const char *said = pl_setting(&r->set, "served-name"), *name = NULL;

	for (size_t i = 0; said == NULL && i < r->o.nnames; i++) {
		if (r->o.names[i].name[0] != '*') {
			said = r->o.names[i].name;
			break;
		}
	}
	if (said == NULL && r->o.nnames > 0)
		name = r->o.names[0].name + 1;
	/* Any name will do below a wildcard. */
	snprintf(out, PL_NAME_MAX, "%s%s", name != NULL ? "placard" : "",
	    name != NULL ? name : said != NULL ? said : "");
}

static void
not_served(struct pl_deploy_run *r, struct pl_err *err)
{
	int64_t gap = (int64_t)100 << (r->looks < 6 ? r->looks : 6);

	r->looks++;
	if (gap > LOOK_GAP_MOST)
		gap = LOOK_GAP_MOST;
	if (pl_mono_ms() + gap - r->looking < r->all->opt.served_ms) {
		pl_drun_after(r, gap, pl_drun_look);
		return;
	}
	r->unserved = true;
	pl_prefix(err, "not served");
	fail(r, err);
}

static void
on_looked(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;

	if (answered(r, &r->other, f, died, &err)) {
		pl_worker_release(r->other);
		r->other = NULL;
	}
	if (err.code != PL_OK) {
		r->seen = 0;
		not_served(r, &err);
		return;
	}
	/* Just after a reload an old process may still take connections. */
	if (++r->seen < SEEN) {
		pl_drun_after(r, SEEN_GAP, pl_drun_look);
		return;
	}
	r->row.state = PL_TG_SERVED;
	r->row.served = r->row.changed = pl_wall_ms();
	r->row.tries = 0;
	r->row.due = 0;
	free(r->row.error);
	r->row.error = NULL;
	if (pl_drun_save(r, "served", pl_setting(&r->set, "served")))
		pl_drun_end(r, NULL);
}

static bool
digest_of(const char *hex, unsigned char out[32])
{
	for (size_t i = 0; i < 32; i++) {
		unsigned v = 0;

		for (size_t k = 0; k < 2; k++) {
			char c = hex[2 * i + k];

			if (c >= '0' && c <= '9')
				v = v * 16 + (unsigned)(c - '0');
			else if (c >= 'a' && c <= 'f')
				v = v * 16 + (unsigned)(c - 'a') + 10;
			else
				return false;
		}
		out[i] = (unsigned char)v;
	}
	return true;
}

void
pl_drun_look(void *arg)
{
	struct pl_deploy_run *r = arg;
	char host[256], name[PL_NAME_MAX];
	unsigned char wanted[32];
	uint16_t port = 0;
	struct pl_buf body;
	struct pl_err err;
	enum pl_code code;

	r->timer = 0;
	if (r->looking == 0)
		r->looking = pl_mono_ms();
	pl_err_clear(&err);
	code = pl_hostport_parse(host, sizeof(host), &port, pl_setting(
	    &r->set, "served"), 0, &err);
	if (code == PL_OK && !digest_of(r->cert.sha256, wanted))
		code = pl_fail(&err, PL_EIO, "the book's digest makes no "
		    "sense");
	if (code == PL_OK)
		code = acquire(r, PL_ROLE_SERVED, "placard-check", &r->other,
		    pl_drun_look, &err);
	if (code != PL_OK)
		not_served(r, &err);
	if (code != PL_OK || r->other == NULL)
		return;
	served_name(r, name);
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_str(&body, host);
	pl_put_u32(&body, port);
	pl_put_str(&body, name[0] != '\0' ? name : NULL);
	pl_put_blob(&body, wanted, sizeof(wanted));
	send(r, r->other, &body, LOOK_MS, on_looked);
	pl_buf_clear(&body);
}

/* ---- deployed ---------------------------------------------------------------------- */

static void
deployed(struct pl_deploy_run *r)
{
	bool served = pl_setting(&r->set, "served") != NULL;

	pl_drun_drop_workers(r);
	r->row.state = PL_TG_DEPLOYED;
	r->row.deployed = r->row.changed = pl_wall_ms();
	r->row.served = 0;
	r->row.tries = 0;
	r->row.due = served ? r->row.changed : 0;
	free(r->row.error);
	r->row.error = NULL;
	if (!pl_drun_save(r, "deployed", pl_setting(&r->set, "directory")))
		return;
	if (served)
		pl_drun_look(r);
	else
		pl_drun_end(r, NULL);
}

/* ---- commands ---------------------------------------------------------------------- */

static void reload(void *arg);
static void roll_back(struct pl_deploy_run *r, const struct pl_err *why);

static bool
has_command(const struct pl_deploy_run *r, const char *which)
{
	return pl_setting_find(&r->set, which) != NULL;
}

static void
log_output(const struct pl_deploy_run *r, const char *which,
    const char *output, enum pl_code code)
{
	pl_logf(r->all->opt.log, code == PL_OK ? PL_LOG_INFO : PL_LOG_WARN,
	    which, "target=%s certificate=%s result=%s output=\"%s\"",
	    r->target->label, r->cert.serial, code == PL_OK ? "ok" : "failed",
	    output != NULL ? output : "");
}

static bool
take_output(struct pl_deploy_run *r, int which, struct pl_frame *f,
    const struct pl_err *died, struct pl_err *err)
{
	static const char *const words[] = { "pre-check", "reload" };
	const char *text;

	if (!answered(r, &r->other, f, died, err)) {
		pl_prefix(err, "%s", words[which]);
		return false;
	}
	text = pl_get_str(&f->body);
	free(r->output[which]);
	r->output[which] = pl_strdup(text != NULL ? text : "");
	pl_worker_release(r->other);
	r->other = NULL;
	log_output(r, words[which], r->output[which], err->code);
	return err->code == PL_OK;
}

static void
on_reloaded(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;

	if (take_output(r, 1, f, died, &err))
		deployed(r);
	else
		fail(r, &err);
}

static void
on_checked(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;

	if (take_output(r, 0, f, died, &err))
		reload(r);
	else if (r->row.deployed != 0 && r->in.same)
		fail(r, &err);		/* it was good with these files before */
	else
		roll_back(r, &err);
}

static void
run_command(struct pl_deploy_run *r, const char *which,
    void (*again)(void *run), void (*done)(void *, struct pl_frame *,
	const struct pl_err *))
{
	struct pl_buf body;
	struct pl_err err;

	r->timer = 0;
	pl_err_clear(&err);
	if (acquire(r, PL_ROLE_COMMAND, "placard-local", &r->other, again,
	    &err) != PL_OK) {
		fail(r, &err);
		return;
	}
	if (r->other == NULL)
		return;
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_str(&body, which);
	send(r, r->other, &body, r->target->timeout_ms, done);
	pl_buf_clear(&body);
}

static void
reload(void *arg)
{
	struct pl_deploy_run *r = arg;

	if (has_command(r, "reload"))
		run_command(r, "reload", reload, on_reloaded);
	else
		deployed(r);
}

static void
pre_check(void *arg)
{
	struct pl_deploy_run *r = arg;

	if (has_command(r, "pre-check"))
		run_command(r, "pre-check", pre_check, on_checked);
	else
		reload(r);
}

/* ---- the way back ------------------------------------------------------------------- */

static void
on_back(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;
	uint32_t now;

	if (!answered(r, &r->files, f, died, &err) || err.code != PL_OK) {
		pl_logf(r->all->opt.log, PL_LOG_ERROR, "roll-back",
		    "target=%s error=\"%s\"", r->target->label, err.text);
		pl_prefix(&r->why, "not rolled back (%.120s)", err.text);
		fail(r, &r->why);
		return;
	}
	(void)pl_get_u8(&f->body);
	now = pl_get_u32(&f->body);
	pl_logf(r->all->opt.log, PL_LOG_WARN, "roll-back",
	    "target=%s generation=%u", r->target->label, (unsigned)now);
	pl_prefix(&r->why, now != 0 ? "rolled back" : "taken away again");
	fail(r, &r->why);
}

static void
roll_back(struct pl_deploy_run *r, const struct pl_err *why)
{
	struct pl_buf body;

	r->why = *why;
	if (r->files == NULL) {		/* cannot be: it is kept until now */
		fail(r, &r->why);
		return;
	}
	pl_buf_init(&body, PL_LIM_FRAME);
	pl_put_u8(&body, PL_D_ROLLBACK);
	pl_put_u32(&body, r->in.generation);
	send(r, r->files, &body, r->target->timeout_ms, on_back);
	pl_buf_clear(&body);
}

/* ---- install ------------------------------------------------------------------------ */

static void
on_installed(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;

	if (answered(r, &r->files, f, died, &err) && err.code == PL_OK) {
		r->in.same = pl_get_u8(&f->body) != 0;
		r->in.generation = pl_get_u32(&f->body);
		r->in.previous = pl_get_u32(&f->body);
		if (r->dry)
			pl_drun_end(r, NULL);
		else
			pre_check(r);
		return;
	}
	/* Somebody else is at work in that directory: a little later. */
	if (err.code == PL_ECONFLICT && ++r->tries < BUSY_TRIES) {
		pl_drun_drop_workers(r);
		pl_drun_after(r, BUSY_MS, pl_drun_install);
		return;
	}
	fail(r, &err);
}

static bool
is_server(const struct pl_order *o)
{
	struct pl_product p;

	return o->product == NULL || pl_product_find(&p, o->product, NULL) !=
	    PL_OK || pl_product_has_domains(&p);
}

static void
put_certificate(const struct pl_deploy_run *r, struct pl_buf *b)
{
	pl_put_u8(b, r->dry ? PL_D_CHECK : PL_D_INSTALL);
	pl_put_str(b, r->cert.leaf);
	pl_put_str(b, r->cert.chain);
	pl_put_str(b, r->cert.root);
	pl_put_u8(b, is_server(&r->o));
	pl_put_u32(b, (uint32_t)r->o.nnames);
	for (size_t i = 0; i < r->o.nnames; i++)
		pl_put_str(b, r->o.names[i].name);
}

void
pl_drun_install(void *arg)
{
	struct pl_deploy_run *r = arg;
	unsigned tries = r->tries;
	struct pl_buf body;
	struct pl_err err;

	r->timer = 0;
	pl_err_clear(&err);
	if (acquire(r, PL_ROLE_DEPLOY, r->target->remote ? "placard-ssh" :
	    "placard-local", &r->files, pl_drun_install, &err) != PL_OK) {
		fail(r, &err);
		return;
	}
	if (r->files == NULL)
		return;
	r->tries = tries;
	pl_buf_init(&body, PL_LIM_FRAME);
	put_certificate(r, &body);
	send(r, r->files, &body, r->target->timeout_ms, on_installed);
	pl_buf_clear(&body);
}
