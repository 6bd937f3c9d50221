/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to deploy.c and deploy-step.c. */
#ifndef PL_DEPLOY_RUN_H
#define PL_DEPLOY_RUN_H

#include "deployment.h"

struct pl_deploy_run {
	struct pl_deploys *all;
	struct pl_deploy_run *next;
	int64_t id;
	const struct pl_deploy_target *target;
	char *key;			/* in place of the target's, or NULL */
	bool dry, unnamed;
	bool locked, done;
	unsigned tries;			/* for a lock or a worker */
	uint64_t timer;

	struct pl_book_target row;	/* as it goes into the book */
	struct pl_order o;
	struct pl_book_cert cert;
	struct pl_settings set;		/* the target's, "%n" replaced, and more */

	struct pl_worker *files, *other;	/* lent, with a call under way or not */
	uint32_t call;
	struct pl_installed in;
	char *output[2];		/* of pre-check and reload, or NULL */
	struct pl_err why;		/* of the pre-check, while it goes back */
	int64_t looking;		/* mono ms since when it looks */
	unsigned looks, seen;		/* in vain; in a row that found it */

	bool unserved;			/* err is about that alone */
	bool broken;			/* the book could not be written */
	struct pl_err err;
};
struct pl_deploys {
	struct pl_deploys_opts opt;
	struct pl_deploy_run *runs;
	uint64_t timer;
	int64_t mark;			/* certificates up to this row are known */
	bool started;
};

/* deploy.c */
/* Ends a run; err NULL: all that was asked is done. */
void pl_drun_end(struct pl_deploy_run *r, const struct pl_err *err);
/* Writes the row with an event (NULL: none); false: the run has ended. */
bool pl_drun_save(struct pl_deploy_run *r, const char *event,
    const char *text);
void pl_drun_after(struct pl_deploy_run *r, int64_t ms,
    void (*fn)(void *run));

/* deploy-step.c: goes on from the install, or from looking. */
void pl_drun_install(void *run);
void pl_drun_look(void *run);
/* The settings for its workers; a failure is one of the configuration. */
enum pl_code pl_drun_settings(struct pl_deploy_run *r, struct pl_err *err);
/* Lets go of its workers, calls under way or not. */
void pl_drun_drop_workers(struct pl_deploy_run *r);

#endif
