/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to order.c, order-place.c and order-step.c. */
#ifndef PL_ORDER_RUN_H
#define PL_ORDER_RUN_H

#include "order.h"

struct pl_order_run {
	struct pl_orders *all;
	struct pl_order_run *next;
	int64_t id;
	struct pl_order o;		/* as in the book, while `locked` */
	const struct pl_controller *ctl;
	enum pl_drive drive;
	bool fresh, locked, done;
	bool polled;			/* ROUND: asked once */
	unsigned tries;			/* in this step, of this run */
	unsigned lookups;		/* of a lost request, that failed */
	int64_t looked;			/* wall ms at which it was looked for in vain */
	int64_t look_began;
	uint64_t timer;

	struct pl_store_call *calls;	/* under way */
	size_t ncalls;
	struct pl_call_set *set;
	void (*answered)(struct pl_order_run *r);

	struct pl_job_run *job;		/* publishing or removing */
	void (*rested)(struct pl_order_run *r);
	int64_t nap;

	struct pl_err err;
	int status;			/* exit status, where err alone does not tell; -1 */
};
struct pl_orders {
	struct pl_orders_opts opt;
	struct pl_order_run *runs;
	uint64_t timer;
};

/* order.c */
void pl_run_go(struct pl_order_run *r);		/* does what the step says */
/* Writes the order with its next step and goes there. */
void pl_run_step(struct pl_order_run *r, enum pl_step next,
    const char *event, const char *text);
/* Writes the order as it is; false: the run has ended. */
bool pl_run_save(struct pl_order_run *r);
void pl_run_event(struct pl_order_run *r, const char *event,
    const char *text);
/* Gives the lock back and goes on later. */
void pl_run_sleep(struct pl_order_run *r, int64_t ms);
void pl_run_end(struct pl_order_run *r, const struct pl_err *err);
/* A passing fault: later again where nobody waits, else the end. */
void pl_run_trouble(struct pl_order_run *r, const struct pl_err *err);
/* Starts n calls (kept) and calls answered() when they are over. */
void pl_run_calls(struct pl_order_run *r, struct pl_store_call *calls,
    size_t n, void (*answered)(struct pl_order_run *r));
void pl_run_calls_clear(struct pl_order_run *r);
/* Calls rested() when the engine's run has nothing more to do. */
void pl_run_watch(struct pl_order_run *r, struct pl_job_run *job,
    void (*rested)(struct pl_order_run *r));

/* order-place.c, order-step.c: one function a step */
void pl_run_place(struct pl_order_run *r);
void pl_run_publish(struct pl_order_run *r);
void pl_run_recheck(struct pl_order_run *r);
void pl_run_poll(struct pl_order_run *r);
void pl_run_fetch(struct pl_order_run *r);
void pl_run_clean(struct pl_order_run *r);

#endif
