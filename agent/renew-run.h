/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to renew.c and renew-outlook.c. */
#ifndef PL_RENEW_RUN_H
#define PL_RENEW_RUN_H

#include "order.h"

struct renewal;
struct pl_outlook;
struct pl_renewer {
	struct pl_renewer_opts opt;
	struct renewal *list;
	size_t n;
	bool more;			/* others are due, and wait for a place */
	uint64_t timer;
	struct pl_outlook *asking;	/* controllers that are being asked */
	uint64_t ahead;			/* timer of the next outlook */
};

/* What is known of an order in question. */
struct pl_renew_look {
	struct pl_order o;
	struct pl_renewal kept;
	const struct pl_controller *ctl;
	struct pl_renewing how;
	struct pl_term term;
	bool wanted;			/* is it to be renewed from here? */
};

/* renew.c */
/* False: the book cannot be read, or its controller is not in use. */
bool pl_renew_look(struct pl_renew_look *l, struct pl_renewer *r,
    int64_t id);
void pl_renew_look_clear(struct pl_renew_look *l);
bool pl_renew_under_way(const struct pl_renewer *r, int64_t id);
/* Writes what is kept, and an event (NULL: none), together. */
void pl_renew_keep(struct pl_renewer *r, int64_t id,
    const struct pl_renewal *kept, const char *event, const char *text);
void pl_renew_trouble(struct pl_renewer *r, const struct pl_err *err);

/* renew-outlook.c: now, and every six hours */
void pl_outlook_start(struct pl_renewer *r);
void pl_outlook_stop(struct pl_renewer *r);

#endif
