/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What all order commands share: the book, its orders, driving one. */
#include "cmd-order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS (86400 * INT64_C(1000))	/* --wait without --timeout */
#define LOCK_MS 20000

static void
on_told(void *arg, const struct pl_order *o, const char *text)
{
	struct pl_shop *w = arg;
	char id[64];

	if (w->cli->json || w->cli->quiet ||
	    (!w->s.progress && w->cli->verbose == 0))
		return;
	pl_order_id(id, sizeof(id), o);
	fprintf(stderr, "%s%s: %s\n", w->s.progress ? "\r\033[K" : "", id,
	    text);
}

int
pl_shop_open(struct pl_shop *w, struct pl_cli *cli, int need)
{
	struct pl_orders_opts o = { 0 };
	struct pl_err err;
	int status;

	*w = (struct pl_shop){ .cli = cli,
		.wait = pl_cli_opt(cli, "wait") != NULL };
	pl_err_clear(&err);
	status = pl_session_open(&w->s, cli, need == PL_SHOP_WORK &&
	    !cli->dry_run ? PL_JOURNAL_WRITE : PL_JOURNAL_NONE, true, false);
	if (status != -1 || need == PL_SHOP_ASK || (cli->dry_run &&
	    need == PL_SHOP_WORK))
		return status;
	if (pl_book_open(&w->book, w->s.config->state_directory,
	    need == PL_SHOP_WORK, &err) != PL_OK)
		return pl_cli_fail(cli, &err);
	if (need != PL_SHOP_WORK)
		return -1;
	o.engine = w->s.engine;
	o.journal = w->s.journal;
	o.book = w->book;
	o.config = w->s.config;
	o.log = &cli->log;
	o.look_ms = pl_session_timeout(&w->s);
	o.told = on_told;
	o.ctx = w;
	w->orders = pl_orders_new(&o);
	return -1;
}

void
pl_shop_close(struct pl_shop *w)
{
	pl_orders_free(w->orders);
	pl_book_close(w->book);
	pl_session_close(&w->s);
}

int
pl_shop_controller(struct pl_shop *w)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (pl_config_controller(&w->ctl, w->s.config,
	    pl_cli_opt(w->cli, "controller"), &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	return -1;
}

int
pl_shop_find(struct pl_shop *w, const char *id, struct pl_order *o)
{
	struct pl_err err;

	*o = (struct pl_order){ 0 };
	pl_err_clear(&err);
	if (w->book == NULL) {
		pl_fail(&err, PL_EINVAL, "order %s: not in the book", id);
		return pl_cli_usage(w->cli, "%s", err.text);
	}
	if (pl_book_find(w->book, pl_cli_opt(w->cli, "controller"), id, o,
	    &err) != PL_OK)
		return err.code == PL_EINVAL ? pl_cli_usage(w->cli, "%s",
		    err.text) : pl_cli_fail(w->cli, &err);
	if (w->orders == NULL)
		return -1;
	if (pl_config_controller(&w->ctl, w->s.config, o->controller, &err) !=
	    PL_OK) {
		pl_order_clear(o);
		return pl_cli_fail(w->cli, &err);
	}
	return -1;
}

int
pl_shop_lock(struct pl_shop *w, struct pl_order *o)
{
	const struct timespec nap = { .tv_nsec = 100000000 };
	int64_t end = pl_mono_ms() + LOCK_MS, id = o->id;
	struct pl_err err;

	while (!pl_book_lock(w->book, id)) {
		if (pl_mono_ms() > end) {
			pl_fail(&err, PL_ECONFLICT, "order L%" PRId64
			    ": another placard is working on it", id);
			return pl_cli_fail(w->cli, &err);
		}
		nanosleep(&nap, NULL);
	}
	pl_order_clear(o);
	pl_err_clear(&err);
	if (pl_book_get(w->book, id, o, &err) == PL_OK)
		return -1;
	pl_book_unlock(w->book, id);
	return pl_cli_fail(w->cli, &err);
}

void
pl_shop_unlock(struct pl_shop *w, const struct pl_order *o)
{
	pl_book_unlock(w->book, o->id);
}

int
pl_shop_call(struct pl_shop *w, const char *path, json_t *request,
    json_t **answer)
{
	json_t *got = NULL;
	struct pl_err err;

	if (answer != NULL)
		*answer = NULL;
	pl_err_clear(&err);
	if (pl_controller_call(w->s.engine, w->ctl, path, request, &got,
	    &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	if (answer != NULL)
		*answer = got;
	else
		pl_json_free(got);
	return -1;
}

int
pl_shop_renewing(struct pl_shop *w)
{
	const char *before = pl_cli_opt(w->cli, "renew-before"),
	    *key = pl_cli_opt(w->cli, "renew-key");
	struct pl_err err;
	int64_t ms;

	pl_err_clear(&err);
	if (before != NULL && strcmp(before, "default") != 0 &&
	    pl_config_renew_before(&ms, before, &err) != PL_OK)
		return pl_cli_usage(w->cli, "--renew-before: %s (or "
		    "default)", err.text);
	if (key != NULL && strcmp(key, "new") != 0 &&
	    strcmp(key, "keep") != 0 && strcmp(key, "default") != 0)
		return pl_cli_usage(w->cli, "--renew-key: %s: none of new, "
		    "keep, default", key);
	return -1;
}

int
pl_shop_keep_renewing(struct pl_shop *w, int64_t id, int64_t from)
{
	const char *before = pl_cli_opt(w->cli, "renew-before"),
	    *key = pl_cli_opt(w->cli, "renew-key");
	struct pl_renewal own, kept;
	struct pl_err err;
	enum pl_code code;

	if (before == NULL && key == NULL && from == 0)
		return -1;
	pl_err_clear(&err);
	code = pl_book_renewal(w->book, id, &own, &err);
	if (code == PL_OK && from != 0) {
		code = pl_book_renewal(w->book, from, &kept, &err);
		own.before = kept.before;
		free(own.key);
		own.key = pl_strdup(kept.key);
		pl_renewal_clear(&kept);
	}
	if (before != NULL && strcmp(before, "default") == 0)
		own.before = 0;
	else if (before != NULL)
		pl_config_renew_before(&own.before, before, NULL);
	if (key != NULL) {
		free(own.key);
		own.key = strcmp(key, "default") != 0 ? pl_strdup(key) :
		    NULL;
	}
	if (code == PL_OK)
		code = pl_book_renewal_put(w->book, id, &own, &err);
	pl_renewal_clear(&own);
	return code == PL_OK ? -1 : pl_cli_fail(w->cli, &err);
}

/* ---- driving ------------------------------------------------------------------ */

static int print_order(struct pl_shop *w, int64_t id, bool whole,
    const struct pl_err *why);

static void
wake_up(void *arg PL_UNUSED)
{
}

/* A run that was let go in the middle, as an error. */
static void
let_go(struct pl_shop *w, int64_t id, struct pl_err *err)
{
	enum pl_code code = w->s.stop != 0 ? PL_ECANCEL : PL_ENET;
	struct pl_order o;
	char shown[64];

	if (pl_book_get(w->book, id, &o, err) != PL_OK)
		return;
	pl_order_id(shown, sizeof(shown), &o);
	pl_fail(err, code, "order %s: %s; it is %s, placard order refresh %s "
	    "--wait goes on", shown, code == PL_ECANCEL ?
	    "stopped by a signal" : "not done in time",
	    pl_order_state_name(o.state), shown);
	pl_order_clear(&o);
}

int
pl_shop_drive(struct pl_shop *w, int64_t id, enum pl_drive drive, bool fresh)
{
	struct pl_loop *l = pl_engine_loop(w->s.engine);
	int64_t end = pl_mono_ms() + (w->cli->timeout_ms > 0 ?
	    w->cli->timeout_ms : WAIT_MS);
	struct pl_order_run *run = pl_orders_take(w->orders, id, drive,
	    fresh);
	struct pl_err err;
	int status, shown;

	pl_loop_after(l, end - pl_mono_ms(), wake_up, NULL);
	while (!pl_order_run_done(run, &err) && w->s.stop == 0 &&
	    pl_mono_ms() < end) {
		if (pl_loop_turn(l, &err) != PL_OK)
			return pl_cli_fail(w->cli, &err);
	}
	if (!pl_order_run_done(run, &err)) {
		pl_order_run_drop(run);
		let_go(w, id, &err);
		status = pl_code_exit(err.code);
	} else
		status = pl_order_run_exit(run);
	if (err.code != PL_OK)
		fprintf(stderr, "placard: %s\n", err.text);
	shown = print_order(w, id, false, &err);
	return status == 0 ? shown : status;
}

/* ---- printing ------------------------------------------------------------------- */

static void
print_date(const char *what, int64_t ms)
{
	char text[PL_TIME_TEXT];

	if (ms == 0)
		return;
	pl_time_format(text, ms / 1000 * 1000);
	pl_cli_print("  %-10s %s\n", what, text);
}

static void
print_challenge(const struct pl_order_challenge *c)
{
	pl_cli_print("  %s: %s%s\n", c->domain, c->method < 0 ?
	    (c->word != NULL ? c->word : "method not known") :
	    pl_dcv_name((enum pl_dcv)c->method),
	    c->approved ? ", approved" : "");
	if (c->approved)
		return;
	if (c->kind == PL_FILE)
		pl_cli_print("    file %s (%zu octets)\n", c->record,
		    c->len);
	else if (c->kind != PL_NOTHING)
		pl_cli_print("    %s %s %s\n", pl_kind_name(c->kind),
		    c->record, c->value);
}

static void
print_targets(struct pl_shop *w, const struct pl_order *o)
{
	char text[PL_TIME_TEXT];
	struct pl_book_target *t;
	size_t n;

	(void)pl_book_targets(w->book, o->id, 0, &t, &n, NULL);
	for (size_t i = 0; i < n; i++) {
		pl_time_format(text, t[i].changed / 1000 * 1000);
		pl_cli_print("  target %s: %s since %s, serial %s\n",
		    t[i].target, pl_target_state_name(t[i].state), text,
		    t[i].serial);
		if (t[i].error != NULL)
			pl_cli_print("    error: %s\n", t[i].error);
		if (t[i].due == 0)
			continue;
		pl_time_format(text, t[i].due / 1000 * 1000);
		pl_cli_print("    next try at %s\n", text);
	}
	pl_book_targets_clear(t, n);
}

static void
print_renewal(struct pl_shop *w, const struct pl_order *o)
{
	char local[PL_ORDER_ID], *key = NULL;
	enum pl_order_state state;
	struct pl_renewal r;
	int64_t next = 0;

	if (pl_book_key(w->book, o->id, o->spki, &key, NULL) == PL_OK &&
	    key != NULL)
		pl_cli_print("  %-10s %s\n", "key", key);
	free(key);
	if (pl_book_successor(w->book, o, &next, &state, NULL) == PL_OK &&
	    next != 0) {
		pl_order_local_id(local, next);
		pl_cli_print("  %-10s %s, which is %s\n", "renewed by", local,
		    pl_order_state_name(state));
	}
	if (pl_book_renewal(w->book, o->id, &r, NULL) == PL_OK &&
	    r.attempt == o->not_after && r.error != NULL)
		pl_cli_print("  renewal: %s\n", r.error);
	pl_renewal_clear(&r);
}

static void
print_text(struct pl_shop *w, const struct pl_order *o, bool whole)
{
	char shown[64], local[PL_ORDER_ID];
	json_t *events;

	pl_order_id(shown, sizeof(shown), o);
	pl_order_local_id(local, o->id);
	pl_cli_print("order %s (%s, %s): %s\n", shown, local, o->controller,
	    pl_order_state_name(o->state));
	pl_cli_print("  %-10s %s, %u month%s\n", "product", o->product !=
	    NULL ? o->product : "not known", o->months,
	    o->months == 1 ? "" : "s");
	if (o->major != NULL)
		pl_cli_print("  %-10s %s%s%s\n", "store", o->major,
		    o->minor != NULL ? ", " : "",
		    o->minor != NULL ? o->minor : "");
	if (o->refund_id != NULL)
		pl_cli_print("  %-10s asked for (%s)\n", "refund",
		    o->refund_id);
	for (size_t i = 0; i < o->nnames; i++)
		pl_cli_print("  %-10s %s\n", i == 0 ? "names" : "",
		    o->names[i].name);
	print_date("purchased", o->purchased);
	print_date("expires", o->expires);
	if (o->serial != NULL)
		pl_cli_print("  %-10s %s\n", "serial", o->serial);
	print_date("until", o->not_after);
	print_renewal(w, o);
	for (size_t i = 0; i < o->nchallenges; i++)
		print_challenge(&o->challenges[i]);
	print_targets(w, o);
	if (o->error != NULL)
		pl_cli_print("  error: %s\n", o->error);
	if (!whole || pl_book_events(w->book, o->id, &events, NULL) != PL_OK)
		return;
	for (size_t i = 0; i < pl_json_count(events); i++) {
		const json_t *e = pl_json_at(events, i);

		pl_cli_print("  %.19s %s: %s\n",
		    pl_json_str(pl_json_get(e, "time")),
		    pl_json_str(pl_json_get(e, "event")),
		    pl_json_str(pl_json_get(e, "text")));
	}
	pl_json_free(events);
}

/* why: what just went wrong with it; no code: nothing. */
static int
print_order(struct pl_shop *w, int64_t id, bool whole,
    const struct pl_err *why)
{
	struct pl_order o;
	struct pl_err err;
	json_t *j;

	pl_err_clear(&err);
	if (pl_book_get(w->book, id, &o, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	if (w->cli->json) {
		j = pl_order_json(w->book, &o, whole);
		if (why->code != PL_OK)
			pl_json_set(j, "error", pl_cli_error(why));
		pl_cli_print_json(j);
	} else if (whole || !w->cli->quiet)
		print_text(w, &o, whole);
	pl_order_clear(&o);
	return 0;
}

int
pl_shop_print(struct pl_shop *w, int64_t id, bool whole)
{
	struct pl_err none;

	pl_err_clear(&none);
	return print_order(w, id, whole, &none);
}
