/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Runs of deployments: taking up, ending, trying again. */
#include "deploy-run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_MS 30000
#define LOCK_MS 500
#define LOCK_TRIES 40		/* of a command; placardd has all day */
#define RUNS_MOST 8
#define RETRY_MS 5000		/* the first gap; it doubles */
#define RETRY_MOST INT64_C(3600000)
#define REFUSED_MS INT64_C(900000)

/* ---- runs ---------------------------------------------------------------------- */

static void
unlock(struct pl_deploy_run *r)
{
	if (!r->locked)
		return;
	r->locked = false;
	/* One lock for all targets of an order. */
	for (const struct pl_deploy_run *o = r->all->runs; o != NULL;
	    o = o->next) {
		if (o->locked && o->id == r->id)
			return;
	}
	pl_book_unlock(r->all->opt.book, PL_BOOK_DEPLOY(r->id));
}

static void
run_free(struct pl_deploy_run *r)
{
	pl_loop_forget(pl_engine_loop(r->all->opt.engine), r->timer);
	pl_drun_drop_workers(r);
	unlock(r);
	pl_book_target_clear(&r->row);
	pl_order_clear(&r->o);
	pl_book_cert_clear(&r->cert);
	pl_settings_clear(&r->set);
	free(r->output[0]);
	free(r->output[1]);
	free(r->key);
	free(r);
}

struct pl_deploys *
pl_deploys_new(const struct pl_deploys_opts *o)
{
	struct pl_deploys *ds = pl_alloc(sizeof(*ds));

	ds->opt = *o;
	return ds;
}

void
pl_deploys_free(struct pl_deploys *ds)
{
	struct pl_deploy_run *r;

	if (ds == NULL)
		return;
	pl_loop_forget(pl_engine_loop(ds->opt.engine), ds->timer);
	while ((r = ds->runs) != NULL) {
		ds->runs = r->next;
		run_free(r);
	}
	free(ds);
}

void
pl_drun_after(struct pl_deploy_run *r, int64_t ms, void (*fn)(void *run))
{
	r->timer = pl_loop_after(pl_engine_loop(r->all->opt.engine), ms, fn,
	    r);
}

/* ---- the book ---------------------------------------------------------------------- */

static enum pl_code
save(struct pl_deploy_run *r, const char *event, const char *text,
    struct pl_err *err)
{
	struct pl_book *b = r->all->opt.book;
	struct pl_buf line;
	enum pl_code code = pl_book_begin(b, err);

	if (code == PL_OK && !r->unnamed)
		code = pl_book_target_put(b, &r->row, err);
	if (code == PL_OK && !r->unnamed && r->row.state == PL_TG_DEPLOYED)
		code = pl_book_target_replace(b, &r->row, err);
	if (code == PL_OK && event != NULL) {
		pl_buf_init(&line, PL_LIM_LINE);
		pl_buf_addf(&line, "%s: %s", r->target->label, text);
		code = pl_book_event(b, r->id, event, line.data, err);
		pl_buf_clear(&line);
	}
	if (code == PL_OK)
		code = pl_book_commit(b, err);
	if (code != PL_OK)
		pl_book_rollback(b);
	return code;
}

bool
pl_drun_save(struct pl_deploy_run *r, const char *event, const char *text)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (save(r, event, text, &err) == PL_OK) {
		pl_logf(r->all->opt.log, PL_LOG_INFO, event != NULL ? event :
		    "target", "target=%s certificate=%s text=\"%s\"",
		    r->target->label, r->cert.serial, text != NULL ? text :
		    "");
		return true;
	}
	r->err = err;
	r->err.code = PL_EIO;
	r->done = true;
	unlock(r);
	pl_logf(r->all->opt.log, PL_LOG_ERROR, "order-book", "error=\"%s\"",
	    err.text);
	return false;
}

/* When to try again what has failed so many times in a row. */
static int64_t
gap(unsigned tries, enum pl_code code)
{
	int64_t ms = RETRY_MS;

	for (unsigned i = 1; i < tries && ms < RETRY_MOST; i++)
		ms *= 2;
	if (!pl_code_retry(code) && ms < REFUSED_MS)
		ms = REFUSED_MS;
	return ms < RETRY_MOST ? ms : RETRY_MOST;
}

/* Trouble goes into the book, and once into its events. */
static void
note_trouble(struct pl_deploy_run *r, const struct pl_err *err)
{
	bool fresh = !pl_streq(r->row.error, err->text);
	struct pl_err book;
	const char *text = err->text;
	size_t n = strlen(r->target->label);

	r->row.tries++;
	r->row.due = pl_wall_ms() + gap(r->row.tries, r->unserved ? PL_ENET :
	    err->code);
	if (!r->unserved) {
		if (r->row.state != PL_TG_FAILED)
			r->row.changed = pl_wall_ms();
		r->row.state = PL_TG_FAILED;
	}
	free(r->row.error);
	r->row.error = pl_strdup(err->text);
	if (strncmp(text, r->target->label, n) == 0 && text[n] == ':')
		text += n + 2;
	pl_err_clear(&book);
	if (save(r, fresh ? "failed" : NULL, text, &book) != PL_OK) {
		r->broken = true;
		pl_logf(r->all->opt.log, PL_LOG_ERROR, "order-book",
		    "error=\"%s\"", book.text);
	}
	pl_logf(r->all->opt.log, fresh ? PL_LOG_WARN : PL_LOG_INFO,
	    "deploy-failed", "target=%s certificate=%s tries=%u error=\"%s\"",
	    r->target->label, r->cert.serial != NULL ? r->cert.serial : "",
	    r->row.tries, err->text);
}

void
pl_drun_end(struct pl_deploy_run *r, const struct pl_err *err)
{
	if (r->done)
		return;
	pl_drun_drop_workers(r);
	r->done = true;
	if (err != NULL && err->code != PL_OK) {
		r->err = *err;
		if (!r->dry && r->row.target != NULL)
			note_trouble(r, err);
	}
	unlock(r);
	/* With a book that cannot be written it waits for the next scan. */
	if (r->all->started && !r->broken)
		pl_deploys_kick(r->all);
}

/* ---- beginning --------------------------------------------------------------------- */

static enum pl_code
read_certificate(struct pl_deploy_run *r, struct pl_err *err)
{
	struct pl_book *b = r->all->opt.book;
	char id[64];
	enum pl_code code;

	code = pl_book_get(b, r->id, &r->o, err);
	/* The order's serial is that of the certificate in force. */
	if (code == PL_OK)
		code = pl_book_cert_get(b, r->id, r->o.serial, &r->cert, err);
	if (code == PL_OK && r->cert.leaf == NULL)
		code = pl_book_cert_get(b, r->id, NULL, &r->cert, err);
	if (code != PL_OK)
		return code;
	pl_order_id(id, sizeof(id), &r->o);
	if (r->cert.leaf == NULL)
		return pl_fail(err, PL_ENET, "order %s: %s, it has no "
		    "certificate yet", id, pl_order_state_name(r->o.state));
	if (r->o.state != PL_O_ISSUED && r->o.state != PL_O_REISSUING)
		return pl_fail(err, PL_EREMOTE, "order %s: %s, its "
		    "certificate is not to be used", id,
		    pl_order_state_name(r->o.state));
	if (r->o.nnames == 0)
		return pl_fail(err, PL_EREMOTE, "order %s: has no names", id);
	return PL_OK;
}

/* What the book has of this certificate, or a new row. */
static enum pl_code
read_row(struct pl_deploy_run *r, struct pl_err *err)
{
	bool found;
	enum pl_code code;

	pl_book_target_clear(&r->row);
	code = pl_book_target_get(r->all->opt.book, r->id, r->target->label,
	    &r->row, &found, err);
	if (code != PL_OK || (found && strcmp(r->row.sha256,
	    r->cert.sha256) == 0))
		return code;
	pl_book_target_clear(&r->row);
	r->row.order = r->id;
	r->row.target = pl_strdup(r->target->label);
	r->row.name = pl_deploy_base(r->o.names[0].name);
	r->row.state = PL_TG_PENDING;
	r->row.serial = pl_strdup(r->cert.serial);
	memcpy(r->row.sha256, r->cert.sha256, sizeof(r->row.sha256));
	r->row.began = r->cert.not_before;
	r->row.changed = pl_wall_ms();
	r->row.due = r->row.changed;
	return PL_OK;
}

/* There is nothing to do any more, or only to look. */
static bool
settled(struct pl_deploy_run *r)
{
	bool served = pl_setting(&r->set, "served") != NULL;

	if (!r->all->opt.unattended)
		return false;
	if (r->row.state == PL_TG_DEPLOYED && served) {
		pl_drun_look(r);
		return true;
	}
	if (r->row.state == PL_TG_PENDING || r->row.state == PL_TG_FAILED)
		return false;
	r->row.due = 0;
	if (pl_drun_save(r, NULL, NULL))
		pl_drun_end(r, NULL);
	return true;
}

static void
begin(struct pl_deploy_run *r)
{
	struct pl_err err;
	enum pl_code code;
	bool found;

	pl_err_clear(&err);
	code = read_certificate(r, &err);
	if (code == PL_OK)
		code = read_row(r, &err);
	if (code == PL_OK)
		code = pl_drun_settings(r, &err);
	if (code != PL_OK) {
		pl_prefix(&err, "%s", r->target->label);
		if (r->row.target == NULL)
			(void)pl_book_target_get(r->all->opt.book, r->id,
			    r->target->label, &r->row, &found, NULL);
		pl_drun_end(r, &err);
	} else if (!settled(r)) {
		if (r->dry || r->unnamed || pl_drun_save(r, NULL, NULL))
			pl_drun_install(r);
	}
}

static void
wake(void *arg)
{
	struct pl_deploy_run *r = arg;
	struct pl_err err;

	r->timer = 0;
	if (pl_book_lock(r->all->opt.book, PL_BOOK_DEPLOY(r->id))) {
		r->locked = true;
		r->tries = 0;
		begin(r);
	} else if (!r->all->opt.unattended && ++r->tries > LOCK_TRIES) {
		pl_fail(&err, PL_ECONFLICT, "order L%" PRId64 ": another "
		    "placard deploys it", r->id);
		pl_drun_end(r, &err);
	} else
		pl_drun_after(r, LOCK_MS, wake);
}

struct pl_deploy_run *
pl_deploys_take(struct pl_deploys *ds, const struct pl_deploy_ask *a)
{
	struct pl_deploy_run *r = pl_alloc(sizeof(*r)), **at = &ds->runs;

	r->all = ds;
	r->id = a->order;
	r->target = a->target;
	r->key = pl_strdup(a->key);
	r->dry = a->dry;
	r->unnamed = a->unnamed;
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	pl_drun_after(r, 0, wake);
	return r;
}

bool
pl_deploy_run_done(const struct pl_deploy_run *r)
{
	return r->done;
}

int
pl_deploy_run_exit(const struct pl_deploy_run *r, struct pl_err *err)
{
	*err = r->err;
	return r->unserved ? pl_code_exit(PL_EABSENT) :
	    pl_code_exit(r->err.code);
}

/* ---- reports ----------------------------------------------------------------------- */

static json_t *
when(int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0)
		return pl_json_null();
	pl_time_format(text, wall_ms);
	return pl_json_string(text);
}

json_t *
pl_target_json(const struct pl_book_target *t)
{
	json_t *j = pl_json_object(), *e;

	pl_json_sets(j, "target", t->target);
	pl_json_sets(j, "state", pl_target_state_name(t->state));
	pl_json_sets(j, "serial", t->serial);
	pl_json_sets(j, "sha256", t->sha256);
	pl_json_set(j, "since", when(t->changed));
	pl_json_set(j, "deployed", when(t->deployed));
	pl_json_set(j, "served", when(t->served));
	pl_json_seti(j, "tries", t->tries);
	pl_json_set(j, "next", when(t->due));
	pl_json_set(j, "error", pl_json_null());
	if (t->error == NULL)
		return j;
	e = pl_json_object();
	pl_json_sets(e, "text", t->error);
	pl_json_setb(e, "retry", t->due != 0);
	pl_json_set(j, "error", e);
	return j;
}

json_t *
pl_deploy_run_json(const struct pl_deploy_run *r)
{
	static const char *const names[] = { "preCheck", "reload" };
	json_t *j, *e;

	if (r->row.target != NULL)
		j = pl_target_json(&r->row);
	else {
		j = pl_json_object();
		pl_json_sets(j, "target", r->target->label);
	}
	if (r->dry)
		pl_json_sets(j, "state", r->err.code == PL_OK ? "pending" :
		    "failed");
	if (r->in.generation != 0) {
		pl_json_seti(j, "generation", r->in.generation);
		pl_json_setb(j, "changed", !r->in.same);
	}
	for (size_t i = 0; i < PL_NELEM(names); i++) {
		if (r->output[i] != NULL)
			pl_json_sets(j, names[i], r->output[i]);
	}
	if (r->err.code == PL_OK)
		return j;
	e = pl_json_object();
	pl_json_sets(e, "code", pl_code_name(r->err.code));
	pl_json_sets(e, "text", r->err.text);
	pl_json_setb(e, "retry", pl_code_retry(r->err.code));
	pl_json_set(j, "error", e);
	return j;
}

/* ---- placardd ----------------------------------------------------------------------- */

static void on_scan(void *arg);

/* By a run that works on it, or on another certificate for it. */
static bool
driven(const struct pl_deploys *ds, const char *label)
{
	for (const struct pl_deploy_run *r = ds->runs; r != NULL; r = r->next) {
		if (!r->done && strcmp(r->target->label, label) == 0)
			return true;
	}
	return false;
}

static size_t
drop_done(struct pl_deploys *ds)
{
	struct pl_deploy_run **at = &ds->runs, *r;
	size_t left = 0;

	while ((r = *at) != NULL) {
		if (!r->done) {
			at = &r->next;
			left++;
			continue;
		}
		*at = r->next;
		run_free(r);
	}
	return left;
}

/* Writes what an order's targets are to get: nothing where a younger
 * certificate of the same name is, or is to be, at the target. */
static enum pl_code
want_target(struct pl_deploys *ds, const struct pl_order *o,
    const struct pl_book_cert *cert, const struct pl_deploy_target *t,
    struct pl_err *err)
{
	struct pl_book_target row, new = { .order = o->id };
	enum pl_code code;
	bool found, same;

	code = pl_book_target_get(ds->opt.book, o->id, t->label, &row, &found,
	    err);
	same = found && strcmp(row.sha256, cert->sha256) == 0;
	pl_book_target_clear(&row);
	if (code != PL_OK || same)
		return code;
	new.target = pl_strdup(t->label);
	new.name = pl_deploy_base(o->names[0].name);
	new.serial = pl_strdup(cert->serial);
	memcpy(new.sha256, cert->sha256, sizeof(new.sha256));
	new.began = cert->not_before;
	new.changed = new.due = pl_wall_ms();
	code = pl_book_target_put(ds->opt.book, &new, err);
	/* From now on the older ones are not tried any more. */
	if (code == PL_OK)
		code = pl_book_target_yield(ds->opt.book, &new, err);
	pl_book_target_clear(&new);
	return code;
}

static enum pl_code
want_order(struct pl_deploys *ds, int64_t id, struct pl_err *err)
{
	const struct pl_deploy_target **targets;
	struct pl_book_cert cert = { 0 };
	const char **names;
	struct pl_order o;
	enum pl_code code = pl_book_get(ds->opt.book, id, &o, err);
	size_t n;

	if (code != PL_OK)
		return code;
	names = pl_array(o.nnames + 1, sizeof(*names));
	for (size_t i = 0; i < o.nnames; i++)
		names[i] = o.names[i].name;
	targets = pl_config_targets(ds->opt.config, names, o.nnames, &n);
	if (n > 0)
		code = pl_book_cert_get(ds->opt.book, id, o.serial, &cert,
		    err);
	for (size_t i = 0; i < n && code == PL_OK && cert.leaf != NULL &&
	    cert.not_after > pl_wall_ms(); i++)
		code = want_target(ds, &o, &cert, targets[i], err);
	pl_book_cert_clear(&cert);
	pl_order_clear(&o);
	free(targets);
	free(names);
	return code;
}

/* Certificates that have come since the last time. */
static enum pl_code
want_new(struct pl_deploys *ds, struct pl_err *err)
{
	struct pl_book *b = ds->opt.book;
	int64_t *ids, mark = ds->mark;
	enum pl_code code;
	size_t n;

	if (ds->opt.config->ndeploys == 0)
		return PL_OK;
	code = pl_book_certs_since(b, &mark, &ids, &n, err);
	if (code == PL_OK && n > 0)
		code = pl_book_begin(b, err);
	for (size_t i = 0; i < n && code == PL_OK; i++)
		code = want_order(ds, ids[i], err);
	if (code == PL_OK && n > 0)
		code = pl_book_commit(b, err);
	if (code != PL_OK)
		pl_book_rollback(b);
	else
		ds->mark = mark;
	free(ids);
	return code;
}

static enum pl_code
take_due(struct pl_deploys *ds, size_t left, struct pl_err *err)
{
	const struct pl_deploy_target *t;
	struct pl_book_target *rows;
	enum pl_code code;
	size_t n;

	code = pl_book_targets(ds->opt.book, 0, pl_wall_ms(), &rows, &n, err);
	for (size_t i = 0; i < n && code == PL_OK && left < RUNS_MOST; i++) {
		struct pl_deploy_ask a = { .order = rows[i].order };

		t = pl_config_target(ds->opt.config, rows[i].target);
		if (t == NULL || !t->enabled || driven(ds, t->label))
			continue;
		a.target = t;
		pl_deploys_take(ds, &a);
		left++;
	}
	pl_book_targets_clear(rows, n);
	return code;
}

static void
plan_scan(struct pl_deploys *ds)
{
	int64_t due = 0, ms = SCAN_MS, left;
	struct pl_err err;

	if (pl_book_target_due(ds->opt.book, &due, &err) == PL_OK &&
	    due != 0) {
		left = due - pl_wall_ms();
		/* What is due already waits for a run that works. */
		if (left > 0 && left < ms)
			ms = left;
	}
	ds->timer = pl_loop_after(pl_engine_loop(ds->opt.engine), ms,
	    on_scan, ds);
}

static void
on_scan(void *arg)
{
	struct pl_deploys *ds = arg;
	size_t left = drop_done(ds);
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	code = want_new(ds, &err);
	if (code == PL_OK)
		code = take_due(ds, left, &err);
	if (code != PL_OK)
		pl_logf(ds->opt.log, PL_LOG_ERROR, "order-book",
		    "error=\"%s\"", err.text);
	plan_scan(ds);
}

void
pl_deploys_kick(struct pl_deploys *ds)
{
	struct pl_loop *l = pl_engine_loop(ds->opt.engine);

	pl_loop_forget(l, ds->timer);
	ds->timer = pl_loop_after(l, 0, on_scan, ds);
}

void
pl_deploys_start(struct pl_deploys *ds)
{
	ds->started = true;
	pl_deploys_kick(ds);
}
