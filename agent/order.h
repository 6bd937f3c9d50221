/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The automatic part of orders: a machine that takes an order from the request
 * in the book to the certificate in the book (order.c, order-place.c,
 * order-step.c).  Everything is asynchronous, from the engine's loop, and
 * every step is in the book before its first effect.
 *
 * Whose an order is at each moment: the process that holds its lock
 * (pl_book_lock) may change it.  A run holds the lock while it works and
 * gives it back while it waits, so that a command can change an order that
 * placardd drives; after a wait the order is read from the book again.
 */
#ifndef PL_ORDER_H
#define PL_ORDER_H

#include "agent.h"

enum pl_drive {
	PL_DRIVE_PLACE,		/* until the store has the order */
	PL_DRIVE_ROUND,		/* ask once how it does; fetch and clean where it is time */
	PL_DRIVE_ALL,		/* until there is nothing more to do */
};

struct pl_orders;
struct pl_orders_opts {
	struct pl_engine *engine;
	struct pl_journal *journal;
	struct pl_book *book;
	const struct pl_config *config;
	const struct pl_log *log;
	int64_t look_ms;	/* deadline of publishing and looking */
	bool unattended;	/* placardd: goes on after passing faults */
	/* Something happened; may be NULL. */
	void (*told)(void *ctx, const struct pl_order *o, const char *text);
	void *ctx;
};
struct pl_orders *pl_orders_new(const struct pl_orders_opts *o);
/* Lets go of all orders where they are; the book knows. */
void pl_orders_free(struct pl_orders *os);
/*
 * placardd: takes up every order of the book that is not at rest and not
 * driven yet, and looks again every half minute.
 */
enum pl_code pl_orders_start(struct pl_orders *os, struct pl_err *err);
/*
 * Takes up one order.  `fresh`: this process has just put its request into
 * the book, so one that never went out has failed.
 */
struct pl_order_run;
struct pl_order_run *pl_orders_take(struct pl_orders *os, int64_t id,
    enum pl_drive drive, bool fresh);
/* Has the run come to an end?  *err tells how (PL_OK: as far as asked). */
bool pl_order_run_done(const struct pl_order_run *r, struct pl_err *err);
/* The exit status of a run that has ended. */
int pl_order_run_exit(const struct pl_order_run *r);
/* Stops driving; what is published stays. */
void pl_order_run_drop(struct pl_order_run *r);

/*
 * renew.c: placardd.  Renews what is due, every half minute, and tells in the
 * book's events of what runs out or has no future.
 */
struct pl_renewer;
struct pl_renewer_opts {
	struct pl_engine *engine;
	struct pl_book *book;
	struct pl_orders *orders;	/* who drives what is begun */
	const struct pl_config *config;
	const struct pl_log *log;
};
struct pl_renewer *pl_renewer_new(const struct pl_renewer_opts *o);
/* Lets go of what is under way: before the engine and the book. */
void pl_renewer_free(struct pl_renewer *r);
/* How an order is renewed: what it says, else what its controller does. */
void pl_renew_how(struct pl_renewing *how, const struct pl_controller *ctl,
    const struct pl_renewal *kept);

/* order-json.c: gives.  `events` NULL: without. */
json_t *pl_order_json(struct pl_book *b, const struct pl_order *o,
    bool events);

#endif
