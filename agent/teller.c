/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Programs that are told of orders: issued, deployed, served, failed,
 * expiring.  What there is to tell stands in the book, and up to where each
 * program has been told as well.  One event at a time, the next when the
 * program has ended well.  After a kill in between it is told again: its
 * number tells that it is the same.  One that keeps failing loses an event
 * after a while, and nobody else waits for it.
 */
#include "daemon.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define AGAIN_MS 1000		/* doubled each time */
#define AGAIN_MOST 300000
#define MOST_TRIES 12		/* some 40 minutes */

struct reader {
	struct pl_teller *t;
	struct reader *next;
	const struct pl_notify_conf *conf;
	struct pl_program *run;
	struct pl_book_notice now;	/* being told; id 0: none */
	char *text;
	int64_t at;			/* told up to this event */
	bool known;			/* `at` is from the book */
	unsigned tries;
	uint64_t timer;
};

struct pl_teller {
	struct pl_daemon *d;
	struct reader *readers;
	bool held;
};

static void look(void *reader);

static void
later(struct reader *r, int64_t ms)
{
	pl_loop_forget(r->t->d->loop, r->timer);
	r->timer = pl_loop_after(r->t->d->loop, ms, look, r);
}

static void
over(struct reader *r)
{
	pl_book_notice_clear(&r->now);
	free(r->text);
	r->text = NULL;
	r->tries = 0;
}

/* ---- one event ------------------------------------------------------------- */

static char *
event_text(struct pl_book *b, const struct pl_book_notice *e)
{
	json_t *j = pl_json_object();
	struct pl_order o;
	char when[PL_TIME_TEXT], *text;

	pl_time_format(when, e->time);
	pl_json_sets(j, "event", pl_notice_name(e->kind));
	pl_json_seti(j, "number", e->id);
	pl_json_sets(j, "time", when);
	pl_json_sets(j, "what", e->what);
	pl_json_sets(j, "text", e->text);
	if (pl_book_get(b, e->order, &o, NULL) == PL_OK) {
		pl_json_set(j, "order", pl_order_json(b, &o, false));
		pl_order_clear(&o);
	}
	text = pl_json_text(j);
	pl_json_free(j);
	return text;
}

static void
trouble(struct reader *r, const struct pl_err *err)
{
	pl_logf(&r->t->d->log, PL_LOG_ERROR, "order-book", "error=\"%s\"",
	    err->text);
	later(r, AGAIN_MOST);
}

/* Told, or given up: the next one. */
static void
advance(struct reader *r)
{
	struct pl_err err;

	pl_err_clear(&err);
	r->at = r->now.id;
	over(r);
	if (pl_book_reader_put(r->t->d->book, r->conf->name, r->at, &err) !=
	    PL_OK)
		trouble(r, &err);
	else
		later(r, 0);
}

static void
failed(struct reader *r, const char *how, int number)
{
	int64_t ms = AGAIN_MS;

	r->tries++;
	pl_logf(&r->t->d->log, PL_LOG_WARN, "tell", "program=%s event=%"
	    PRId64 " try=%u %s=%d", r->conf->name, r->now.id, r->tries, how,
	    number);
	if (r->tries >= MOST_TRIES) {
		pl_logf(&r->t->d->log, PL_LOG_ERROR, "tell", "program=%s "
		    "event=%" PRId64 " given up", r->conf->name, r->now.id);
		advance(r);
		return;
	}
	for (unsigned i = 1; i < r->tries && ms < AGAIN_MOST; i++)
		ms *= 2;
	later(r, ms < AGAIN_MOST ? ms : AGAIN_MOST);
}

static void
on_end(void *arg, const char *how, int number)
{
	struct reader *r = arg;

	r->run = NULL;
	if (how != NULL)
		failed(r, how, number);
	else
		advance(r);
}

static void
start(struct reader *r)
{
	int rc;

	r->run = program_start(r->t->d->loop, r->conf->argv, r->text,
	    r->conf->timeout_ms, on_end, r, &rc);
	if (r->run == NULL)
		failed(r, "errno", rc);
}

static void
look(void *arg)
{
	struct reader *r = arg;
	struct pl_book *b = r->t->d->book;
	struct pl_err err;
	enum pl_code code = PL_OK;

	r->timer = 0;
	pl_err_clear(&err);
	if (!r->known)
		code = pl_book_reader(b, r->conf->name, &r->at, &err);
	r->known = code == PL_OK;
	if (code == PL_OK && r->now.id == 0)
		code = pl_book_notice(b, r->at, r->conf->events, &r->now,
		    &err);
	if (code != PL_OK) {
		trouble(r, &err);
		return;
	}
	if (r->t->held)
		return;
	if (r->now.id == 0) {
		r->at = r->now.seen;
		later(r, LOOK_MS);
		return;
	}
	if (r->text == NULL)
		r->text = event_text(b, &r->now);
	start(r);
}

/* ---- the door ------------------------------------------------------------------ */

struct pl_teller *
teller_new(struct pl_daemon *d)
{
	struct pl_teller *t = pl_alloc(sizeof(*t));
	const struct pl_config *c = d->config;
	struct reader *r;

	t->d = d;
	for (size_t i = 0; i < c->nnotifies; i++) {
		if (c->notifies[i].events == 0)
			continue;
		r = pl_alloc(sizeof(*r));
		r->t = t;
		r->conf = &c->notifies[i];
		r->next = t->readers;
		t->readers = r;
		/* At once: where it begins is to be noted before anything
		 * happens. */
		look(r);
	}
	return t;
}

bool
teller_rests(struct pl_teller *t)
{
	if (t == NULL)
		return true;
	t->held = true;
	for (const struct reader *r = t->readers; r != NULL; r = r->next) {
		if (r->run != NULL)
			return false;
	}
	return true;
}

void
teller_free(struct pl_teller *t)
{
	struct reader *r;

	if (t == NULL)
		return;
	while ((r = t->readers) != NULL) {
		t->readers = r->next;
		pl_loop_forget(t->d->loop, r->timer);
		/* It has its text, and will be told again. */
		program_drop(r->run);
		over(r);
		free(r);
	}
	free(t);
}
