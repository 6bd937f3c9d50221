/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Taking issued certificates to their targets: deploy.c drives them,
 * deploy-step.c has the steps of one.
 *
 *   install    the worker with the key checks and writes (orders/deploy.h)
 *   pre-check  a command says whether the server can live with it; if not,
 *              back to the generation before
 *   reload     a command tells the server
 *   served     the server is seen showing it
 *
 * The book says how far a target is only after reload and after served; all
 * before can be done again.  A run holds the order's deployment lock.
 */
#ifndef PL_DEPLOY_AGENT_H
#define PL_DEPLOY_AGENT_H

#include "agent.h"

struct pl_deploys;
struct pl_deploys_opts {
	struct pl_engine *engine;
	struct pl_book *book;
	const struct pl_config *config;
	const struct pl_log *log;
	bool unattended;		/* placardd: tries again later by itself */
	int64_t served_ms;		/* how long a run looks for it at most */
};
struct pl_deploys *pl_deploys_new(const struct pl_deploys_opts *o);
/* Lets go of all runs where they are. */
void pl_deploys_free(struct pl_deploys *ds);
/* placardd: takes up what the book and the configuration want, now and
 * whenever something is due. */
void pl_deploys_start(struct pl_deploys *ds);
/* There may be a new certificate. */
void pl_deploys_kick(struct pl_deploys *ds);

/* One order and one target. */
struct pl_deploy_ask {
	int64_t order;
	const struct pl_deploy_target *target;
	const char *key;		/* its key's path in place of the target's, or NULL */
	bool dry;			/* only the checks */
	bool unnamed;			/* a directory of the command line: not in the book */
};
struct pl_deploy_run;
struct pl_deploy_run *pl_deploys_take(struct pl_deploys *ds,
    const struct pl_deploy_ask *a);
bool pl_deploy_run_done(const struct pl_deploy_run *r);
/* *err: how it ended; the exit status that this leads to. */
int pl_deploy_run_exit(const struct pl_deploy_run *r, struct pl_err *err);
/* Gives what became of the target, with the output of its commands. */
json_t *pl_deploy_run_json(const struct pl_deploy_run *r);
/* Gives a target as the book has it. */
json_t *pl_target_json(const struct pl_book_target *t);

#endif
