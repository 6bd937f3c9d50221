/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Private to cmd-hook.c and hook-tools.c: what other ACME clients say to
 * their hooks, in our words.
 */
#ifndef PL_HOOK_H
#define PL_HOOK_H

#include "agent.h"

enum pl_hook_act {
	PL_HOOK_NOTHING,	/* a word that is no business of ours: exit 0 */
	PL_HOOK_DECLINE,	/* uacme: another challenge, please: exit 1 */
	PL_HOOK_ADD,
	PL_HOOK_REMOVE,
	PL_HOOK_REMOVE_NAME,	/* mod_md 1: all of ours at `name` */
	PL_HOOK_PRINT		/* acme.sh: write the dnsapi file */
};

struct pl_hook {
	const char *tool;	/* "certbot", ... */
	enum pl_hook_act act;
	struct pl_job job;	/* ADD, REMOVE */
	char *name;		/* REMOVE_NAME: an owner name */
	bool wait;		/* ADD: wait until it is visible */
	bool rest;		/* ADD: wait for what else the job has published, too */
	size_t rest_of;		/* how many challenges the tool's run has; 0: unknown */
	bool keep;		/* ADD: on failure leave it to the tool's cleanup */
	char *said;		/* ADD: line for standard output first, or NULL */
};

/*
 * What a tool's words and its environment (get gives a variable or NULL)
 * ask for.  PL_EINVAL where they are not as that tool has them.
 */
enum pl_code pl_hook_read(struct pl_hook *h, const char *tool, int argc,
    char *const *argv, const char *(*get)(const char *name),
    struct pl_err *err);
void pl_hook_clear(struct pl_hook *h);

struct pl_cli;
/* hook-service.c: does it through placardd; a status, or -1 where it is
 * for this process to do. */
int pl_hook_service(struct pl_cli *cli, struct pl_hook *h);

#endif
