/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Runs of orders: taking up, waiting, ending. */
#include "order-run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_MS 30000
#define LOCK_MS 500
#define LOCK_TRIES 40		/* of a command; placardd has all day */
#define NAP_LEAST 20
#define NAP_MOST 500
#define REFUSED_MS (900 * 1000)

static void
run_free(struct pl_order_run *r)
{
	struct pl_loop *l = pl_engine_loop(r->all->opt.engine);

	if (r->set != NULL)
		pl_controller_drop(r->set);
	r->set = NULL;
	pl_run_calls_clear(r);
	pl_loop_forget(l, r->timer);
	if (r->locked)
		pl_book_unlock(r->all->opt.book, r->id);
	pl_order_clear(&r->o);
	free(r);
}

struct pl_orders *
pl_orders_new(const struct pl_orders_opts *o)
{
	struct pl_orders *os = pl_alloc(sizeof(*os));

	os->opt = *o;
	return os;
}

void
pl_orders_free(struct pl_orders *os)
{
	struct pl_order_run *r;

	if (os == NULL)
		return;
	pl_loop_forget(pl_engine_loop(os->opt.engine), os->timer);
	while ((r = os->runs) != NULL) {
		os->runs = r->next;
		run_free(r);
	}
	free(os);
}

void
pl_order_run_drop(struct pl_order_run *r)
{
	struct pl_order_run **at = &r->all->runs;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	run_free(r);
}

/* ---- the book -------------------------------------------------------------- */

static void
tell(struct pl_order_run *r, const char *text)
{
	struct pl_orders *os = r->all;
	char id[2 * PL_ORDER_ID];

	pl_order_id(id, sizeof(id), &r->o);
	pl_logf(os->opt.log, PL_LOG_INFO, "order", "id=%s step=%s text=\"%s\"",
	    id, pl_step_name(r->o.step), text);
	if (os->opt.told != NULL)
		os->opt.told(os->opt.ctx, &r->o, text);
}

static void
book_failed(struct pl_order_run *r, struct pl_err *err)
{
	pl_book_rollback(r->all->opt.book);
	err->code = PL_EIO;
	pl_run_end(r, err);
}

bool
pl_run_save(struct pl_order_run *r)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (pl_book_save(r->all->opt.book, &r->o, &err) == PL_OK)
		return true;
	book_failed(r, &err);
	return false;
}

void
pl_run_event(struct pl_order_run *r, const char *event, const char *text)
{
	struct pl_err err;

	pl_err_clear(&err);
	tell(r, text);
	if (pl_book_event(r->all->opt.book, r->id, event, text, &err) !=
	    PL_OK)
		pl_logf(r->all->opt.log, PL_LOG_ERROR, "order-book",
		    "error=\"%s\"", err.text);
}

void
pl_run_step(struct pl_order_run *r, enum pl_step next, const char *event,
    const char *text)
{
	struct pl_book *b = r->all->opt.book;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	if (r->o.step != next) {
		r->o.tries = 0;
		r->tries = 0;
	}
	r->o.step = next;
	code = pl_book_begin(b, &err);
	if (code == PL_OK)
		code = pl_book_save(b, &r->o, &err);
	if (code == PL_OK && event != NULL)
		code = pl_book_event(b, r->id, event, text, &err);
	if (code == PL_OK)
		code = pl_book_commit(b, &err);
	if (code != PL_OK) {
		book_failed(r, &err);
		return;
	}
	if (event != NULL)
		tell(r, text);
	pl_run_go(r);
}

/* ---- waiting ------------------------------------------------------------------ */

/* Locks and reads the order; false: somebody else works on it, or it is gone
 * (then the run has ended). */
static bool
take_up(struct pl_order_run *r)
{
	struct pl_book *b = r->all->opt.book;
	struct pl_err err;

	if (r->locked)
		return true;
	if (!pl_book_lock(b, r->id))
		return false;
	r->locked = true;
	pl_order_clear(&r->o);
	pl_err_clear(&err);
	if (pl_book_get(b, r->id, &r->o, &err) == PL_OK &&
	    pl_config_controller(&r->ctl, r->all->opt.config,
	    r->o.controller, &err) == PL_OK)
		return true;
	pl_run_end(r, &err);
	return false;
}

static void
wake(void *arg)
{
	struct pl_order_run *r = arg;
	struct pl_err err;

	r->timer = 0;
	if (take_up(r)) {
		r->lookups = r->o.step == PL_STEP_PLACE ? r->lookups : 0;
		pl_run_go(r);
	} else if (!r->done && !r->all->opt.unattended &&
	    ++r->tries > LOCK_TRIES) {
		pl_fail(&err, PL_ECONFLICT, "order L%" PRId64 ": another "
		    "placard is working on it", r->id);
		pl_run_end(r, &err);
	} else if (!r->done)
		r->timer = pl_loop_after(pl_engine_loop(r->all->opt.engine),
		    LOCK_MS, wake, r);
}

void
pl_run_sleep(struct pl_order_run *r, int64_t ms)
{
	if (r->locked)
		pl_book_unlock(r->all->opt.book, r->id);
	r->locked = false;
	r->timer = pl_loop_after(pl_engine_loop(r->all->opt.engine), ms, wake,
	    r);
}

void
pl_run_end(struct pl_order_run *r, const struct pl_err *err)
{
	if (r->done)
		return;
	r->done = true;
	if (err != NULL)
		r->err = *err;
	if (r->locked)
		pl_book_unlock(r->all->opt.book, r->id);
	r->locked = false;
	if (err != NULL && err->code != PL_OK)
		pl_logf(r->all->opt.log, PL_LOG_INFO, "order-end",
		    "id=L%" PRId64 " error=\"%s\"", r->id, err->text);
}

void
pl_run_trouble(struct pl_order_run *r, const struct pl_err *err)
{
	int64_t ms;

	if (!r->all->opt.unattended) {
		pl_run_end(r, err);
		return;
	}
	free(r->o.error);
	r->o.error = pl_strdup(err->text);
	ms = pl_code_retry(err->code) ? pl_life_gap(++r->o.tries + 4) :
	    REFUSED_MS;
	if (err->retry_after > ms)
		ms = err->retry_after;
	if (pl_run_save(r))
		pl_run_sleep(r, ms);
}

/* ---- calls and jobs -------------------------------------------------------------- */

void
pl_run_calls_clear(struct pl_order_run *r)
{
	for (size_t i = 0; i < r->ncalls; i++)
		pl_store_call_clear(&r->calls[i]);
	free(r->calls);
	r->calls = NULL;
	r->ncalls = 0;
}

static void
on_answered(void *arg)
{
	struct pl_order_run *r = arg;

	r->set = NULL;
	r->answered(r);
}

void
pl_run_calls(struct pl_order_run *r, struct pl_store_call *calls, size_t n,
    void (*answered)(struct pl_order_run *r))
{
	pl_run_calls_clear(r);
	r->calls = calls;
	r->ncalls = n;
	r->answered = answered;
	r->set = pl_controller_start(r->all->opt.engine, r->ctl, calls, n, 0,
	    on_answered, r);
}

static void
on_nap(void *arg)
{
	struct pl_order_run *r = arg;

	r->timer = 0;
	if (r->job->open == 0) {
		r->rested(r);
		return;
	}
	r->nap = r->nap * 3 / 2;
	if (r->nap > NAP_MOST)
		r->nap = NAP_MOST;
	r->timer = pl_loop_after(pl_engine_loop(r->all->opt.engine), r->nap,
	    on_nap, r);
}

void
pl_run_watch(struct pl_order_run *r, struct pl_job_run *job,
    void (*rested)(struct pl_order_run *r))
{
	r->job = job;
	r->rested = rested;
	r->nap = NAP_LEAST;
	r->timer = pl_loop_after(pl_engine_loop(r->all->opt.engine), 0,
	    on_nap, r);
}

/* ---- going on ---------------------------------------------------------------------- */

void
pl_run_go(struct pl_order_run *r)
{
	static void (*const steps[])(struct pl_order_run *) = {
		[PL_STEP_PLACE] = pl_run_place,
		[PL_STEP_PUBLISH] = pl_run_publish,
		[PL_STEP_RECHECK] = pl_run_recheck,
		[PL_STEP_POLL] = pl_run_poll,
		[PL_STEP_FETCH] = pl_run_fetch,
		[PL_STEP_CLEAN] = pl_run_clean,
	};
	enum pl_step step = r->o.step;

	if (r->done)
		return;
	if (r->drive == PL_DRIVE_PLACE && step != PL_STEP_PLACE) {
		pl_run_end(r, NULL);
		return;
	}
	if (r->drive == PL_DRIVE_ROUND && step != PL_STEP_PLACE &&
	    !r->polled)
		pl_run_poll(r);
	else if (step == PL_STEP_REST && r->drive == PL_DRIVE_ALL &&
	    !r->polled && !r->all->opt.unattended)
		pl_run_poll(r);
	else if (step == PL_STEP_REST)
		pl_run_end(r, NULL);
	else
		steps[step](r);
}

struct pl_order_run *
pl_orders_take(struct pl_orders *os, int64_t id, enum pl_drive drive,
    bool fresh)
{
	struct pl_order_run *r = pl_alloc(sizeof(*r));

	r->all = os;
	r->id = id;
	r->drive = drive;
	r->fresh = fresh;
	r->status = -1;
	r->next = os->runs;
	os->runs = r;
	r->timer = pl_loop_after(pl_engine_loop(os->opt.engine), 0, wake, r);
	return r;
}

bool
pl_order_run_done(const struct pl_order_run *r, struct pl_err *err)
{
	if (err != NULL)
		*err = r->err;
	return r->done;
}

int
pl_order_run_exit(const struct pl_order_run *r)
{
	return r->status != -1 ? r->status : pl_code_exit(r->err.code);
}

/* ---- placardd -------------------------------------------------------------------------- */

static bool
driven(const struct pl_orders *os, int64_t id)
{
	for (const struct pl_order_run *r = os->runs; r != NULL; r = r->next) {
		if (r->id == id && !r->done)
			return true;
	}
	return false;
}

static void
drop_done(struct pl_orders *os)
{
	struct pl_order_run **at = &os->runs, *r;

	while ((r = *at) != NULL) {
		if (!r->done) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		run_free(r);
	}
}

static enum pl_code
scan(struct pl_orders *os, struct pl_err *err)
{
	struct pl_book_query q = { .state = -1, .busy = true };
	int64_t *ids;
	size_t n;
	enum pl_code code;

	drop_done(os);
	code = pl_book_list(os->opt.book, &q, &ids, &n, err);
	for (size_t i = 0; code == PL_OK && i < n; i++) {
		if (!driven(os, ids[i]))
			pl_orders_take(os, ids[i], PL_DRIVE_ALL, false);
	}
	free(ids);
	return code;
}

static void
on_scan(void *arg)
{
	struct pl_orders *os = arg;
	struct pl_err err;

	pl_err_clear(&err);
	if (scan(os, &err) != PL_OK)
		pl_logf(os->opt.log, PL_LOG_ERROR, "order-book",
		    "error=\"%s\"", err.text);
	os->timer = pl_loop_after(pl_engine_loop(os->opt.engine), SCAN_MS,
	    on_scan, os);
}

enum pl_code
pl_orders_start(struct pl_orders *os, struct pl_err *err)
{
	enum pl_code code = scan(os, err);

	pl_loop_forget(pl_engine_loop(os->opt.engine), os->timer);
	os->timer = pl_loop_after(pl_engine_loop(os->opt.engine), SCAN_MS,
	    on_scan, os);
	return code;
}
