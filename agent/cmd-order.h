/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to the files cmd-order*.c. */
#ifndef PL_CMD_ORDER_H
#define PL_CMD_ORDER_H

#include "command.h"
#include "order.h"

/* A session with the order book. */
struct pl_shop {
	struct pl_cli *cli;
	struct pl_session s;
	struct pl_book *book;		/* NULL: none yet, nothing to read */
	struct pl_orders *orders;
	const struct pl_controller *ctl;	/* of --controller, or of the order */
	bool wait;
};
#define PL_SHOP_READ	0	/* the book, if there is one */
#define PL_SHOP_ASK	1	/* no book, only the store */
#define PL_SHOP_WORK	2	/* book and journal */
/* A status, or -1 to go on. */
int pl_shop_open(struct pl_shop *w, struct pl_cli *cli, int need);
void pl_shop_close(struct pl_shop *w);
/* The controller that --controller names, or the only one. */
int pl_shop_controller(struct pl_shop *w);
/* The order that a user names, and its controller. */
int pl_shop_find(struct pl_shop *w, const char *id, struct pl_order *o);
/* Takes its lock, waiting a little, and reads it again. */
int pl_shop_lock(struct pl_shop *w, struct pl_order *o);
void pl_shop_unlock(struct pl_shop *w, const struct pl_order *o);
/* One call; a status, or -1 with *answer (may be NULL: not wanted). */
int pl_shop_call(struct pl_shop *w, const char *path, json_t *request,
    json_t **answer);
/* Drives an order and prints it. */
int pl_shop_drive(struct pl_shop *w, int64_t id, enum pl_drive drive,
    bool fresh);
/* Prints an order of the book, for people or as JSON. */
int pl_shop_print(struct pl_shop *w, int64_t id, bool whole);

/* --renew-before and --renew-key; a status, or -1 to go on. */
int pl_shop_renewing(struct pl_shop *w);
/* Keeps them for an order; what they do not say is as with order `from`,
 * 0: none. */
int pl_shop_keep_renewing(struct pl_shop *w, int64_t id, int64_t from);

/* A domain name of the command line, maybe "*.D"; gives, NULL: not one. */
char *pl_shop_name(const char *text, struct pl_err *err);
/* The names, methods and addresses of an order to be. */
struct pl_wish {
	struct pl_product product;
	struct pl_csr *csr;
	char **names;			/* the common name first */
	enum pl_dcv *methods;
	const char **mails;		/* lent from `given` or `own` */
	bool *set;			/* method said for this one alone */
	size_t n;
	char *lone;
	const char **given;		/* --approver-email */
	size_t ngiven;
	json_t **lists;			/* approver lists, NULL where not asked */
	json_t *contact;
	char custom_id[37], unique[17];
	int64_t follows;		/* our number of the order that it renews, or 0 */
};
void pl_wish_clear(struct pl_wish *w);
/* Adds a name unless it is there. */
void pl_wish_name(struct pl_wish *w, const char *name, int method);
int pl_wish_csr(struct pl_shop *s, struct pl_wish *w, const char *file);
int pl_wish_contact(struct pl_shop *s, struct pl_wish *w);
/* --dcv METHOD and --dcv NAME=METHOD. */
int pl_wish_methods(struct pl_shop *s, struct pl_wish *w, bool needed);
/* Rules of product and methods, without the store. */
int pl_wish_check(struct pl_shop *s, struct pl_wish *w);
/* Who approves what by e-mail; asks the store where it has to. */
int pl_wish_mails(struct pl_shop *s, struct pl_wish *w);
bool pl_wish_by_mail(const struct pl_wish *w);
/* Puts a request into the book and drives it. */
int pl_wish_place(struct pl_shop *s, struct pl_wish *w, unsigned months,
    json_t *body, const char *renews);
/* The body of a neworder, and what of it is missing; a status or -1. */
int pl_wish_body(struct pl_shop *s, struct pl_wish *w, unsigned months,
    const char *signature, const char *renews, json_t **body);
/* The store's own word on the product. */
int pl_wish_live(struct pl_shop *s, struct pl_wish *w);

/* cmd-order-new.c */
int pl_order_new(struct pl_shop *w);
/* cmd-order-change.c */
int pl_order_approvers(struct pl_shop *w);
int pl_order_resend(struct pl_shop *w);
int pl_order_method(struct pl_shop *w);
int pl_order_cancel(struct pl_shop *w);
int pl_order_revoke(struct pl_shop *w);
/* cmd-order-renew.c */
int pl_order_renew(struct pl_shop *w);
int pl_order_reissue(struct pl_shop *w);
/* cmd-order-deploy.c */
int pl_order_deploy(struct pl_shop *w);
/* cmd-order-sync.c */
int pl_order_sync(struct pl_shop *w);
int pl_order_import(struct pl_shop *w);

#endif
