/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The next certificate of an order: when, how, and what stands in its way
 * (rules.c, renew.c, next.c), and what the book keeps of it (book-renew.c,
 * book-event.c).  Part of the door orders.h.
 */
#ifndef PL_RENEW_H
#define PL_RENEW_H

#include "book.h"

#define PL_DAY_MS (86400 * INT64_C(1000))

/* ---- rules of all CAs, with their dates: rules.c ----------------------------- */

struct pl_dated {
	int64_t from;			/* wall ms */
	unsigned days;
};
struct pl_dated_list {
	struct pl_dated *list;		/* by date */
	size_t n;
};
struct pl_sunset {
	char *method;			/* "email", "phone", "dns", ... */
	int64_t from;			/* no proof of it counts from here on, wall ms */
};
/* CA/Browser Forum, Baseline Requirements 4.2.1, 6.3.2 and 3.2.2.4. */
struct pl_rules {
	struct pl_dated_list life;	/* of certificates */
	struct pl_dated_list reuse;	/* of a proof of control */
	struct pl_sunset *sunsets;
	size_t nsunsets;
};
/*
 * Reads a file of rules in the syntax of placard.conf(5).  PL_EINVAL: it
 * cannot be read, or has faults; they are all in `faults`.
 */
enum pl_code pl_rules_load(struct pl_rules **out, const char *path,
    struct pl_faults *faults, struct pl_err *err);
void pl_rules_free(struct pl_rules *r);
/* The days that hold at a moment; 0: the list says nothing of it. */
unsigned pl_rules_days(const struct pl_dated_list *l, int64_t at);
/* When a method ends (wall ms), 0: it does not.  rules may be NULL. */
int64_t pl_rules_sunset(const struct pl_rules *rules, const char *method);

/* ---- when and how: renew.c.  Pure. -------------------------------------------- */

/* What is decided from: a certificate and the order that it belongs to. */
struct pl_term {
	int64_t not_before, not_after;	/* wall ms */
	int64_t expires;		/* the order's own end; 0: not known */
	uint32_t seed;			/* of the name: spreads the estate */
};
/* How somebody wants it. */
struct pl_renewing {
	int64_t before;			/* ms before the end; 0: as usual, -1: never */
	unsigned window;		/* days before its end in which an order is renewed */
};
struct pl_term pl_renew_term(const struct pl_order *o);
/* How long before its end: as asked, or a third of its life, at most 30 days. */
int64_t pl_renew_before(const struct pl_term *t,
    const struct pl_renewing *r);
/*
 * When to act, wall ms, INT64_MAX: never.  Earlier by up to a tenth, which
 * follows from the seed.  A certificate that lasts as long as its order waits
 * for the window: only a new order can outlast it.
 */
int64_t pl_renew_due(const struct pl_term *t, const struct pl_renewing *r);
/* At that moment: a new order (true), or a reissue on the same one? */
bool pl_renew_by_order(const struct pl_term *t, const struct pl_renewing *r,
    int64_t at);
/*
 * What the term becomes when it is acted on at `at`: the certificate lasts
 * as long as the rules allow (CAs stay a day below), as the one before where
 * that was shorter by itself, and no longer than its order.
 */
struct pl_term pl_renew_next(const struct pl_term *t,
    const struct pl_rules *rules, unsigned months, bool by_order,
    int64_t at);
/* Milliseconds until the next try after `tries` failures (from 1). */
int64_t pl_renew_gap(unsigned tries);

/* Must control of a name be proven anew? */
enum pl_proof { PL_PROOF_NEEDED, PL_PROOF_PERHAPS, PL_PROOF_ENDED };
const char *pl_proof_name(enum pl_proof p);
/*
 * proven: wall ms of the last proof, 0: none.  PERHAPS: the rules allow that
 * the CA uses it again, which is the CA's choice.  ENDED: the method is not
 * one any more at that moment.  rules may be NULL.
 */
enum pl_proof pl_renew_proof(const struct pl_rules *rules, int method,
    int64_t proven, int64_t at);
/*
 * Why an order has no certificate after the one acted on at `at`: a method
 * that will have ended, a product that is not sold.  Appends sentences, "; "
 * between them; gives how many.  product may be NULL: not in the catalogue.
 */
size_t pl_renew_hopeless(struct pl_buf *why, const struct pl_order *o,
    const struct pl_product *product, const struct pl_rules *rules,
    int64_t at);
/* Does a refusal speak of money on the account? */
bool pl_renew_no_credit(const char *text);

/* ---- the request for it: next.c ------------------------------------------------- */

struct pl_next_ask {
	const struct pl_order *o;	/* with what the store said last */
	const json_t *status;
	const struct pl_product *product;
	const struct pl_csr *csr;
	bool by_order;
	const char *custom_id, *unique;
};
struct pl_next {
	json_t *body;			/* of a neworder or a reissue */
	json_t *next;			/* reissue: what counts when the store has it */
	unsigned months;		/* new order */
};
void pl_next_clear(struct pl_next *n);
/*
 * Carries names, methods, approvers, contacts and organisation over.
 * PL_EINVAL: something is missing that only a person can give; it says what.
 */
enum pl_code pl_next_make(struct pl_next *out, const struct pl_next_ask *a,
    struct pl_err *err);
/* The parts of it.  Gives the body that the order was placed with, or NULL. */
json_t *pl_next_old_body(const struct pl_order *o);
/* Server type and count, from a status. */
void pl_next_server(json_t *body, const json_t *status);
/* Gives `next` of a reissue. */
json_t *pl_next_names(const struct pl_csr *csr, const char *unique,
    char *const *names, const enum pl_dcv *methods,
    const char *const *mails, size_t n);
/* A request as the book keeps it; keeps both, next may be NULL; gives. */
char *pl_next_text(json_t *body, json_t *next);
/* "EC P-256" as a request has it, to "p256"; NULL: none that we make. */
const char *pl_key_type(const char *key);

/* ---- what the book keeps of it: book-renew.c -------------------------------------- */

struct pl_renewal {
	int64_t before;			/* ms; 0: as the controller says, -1: never */
	char *key;			/* "new", "keep", or NULL: as the controller says */
	int64_t attempt;		/* end of the certificate that was acted on last */
	unsigned tries;			/* for that one */
	int64_t next;			/* wall ms of the next try */
	char *error;			/* why the last try failed */
	char *warned;			/* what was said of its future last */
	int64_t told;			/* end of the certificate that `expiring` told of */
};
void pl_renewal_clear(struct pl_renewal *r);
/* What there is of it; all empty where nothing is. */
enum pl_code pl_book_renewal(struct pl_book *b, int64_t id,
    struct pl_renewal *r, struct pl_err *err);
enum pl_code pl_book_renewal_put(struct pl_book *b, int64_t id,
    const struct pl_renewal *r, struct pl_err *err);
/*
 * Orders whose certificate may need a next one: issued (or run out less than
 * 30 days before now), ending before `until`, and not renewed already.
 * `foreign`: also those that were not placed from here, nor told to be
 * renewed.  Gives their numbers, the ones that end first first.
 */
enum pl_code pl_book_renewable(struct pl_book *b, int64_t now, int64_t until,
    bool foreign, int64_t **ids, size_t *n, struct pl_err *err);
/* The longest `before` that some order has been given, or 0. */
int64_t pl_book_before_most(struct pl_book *b);
/*
 * The order that renews this one; *id 0: none.  One that lives before one
 * that has failed.
 */
enum pl_code pl_book_successor(struct pl_book *b, const struct pl_order *o,
    int64_t *id, enum pl_order_state *state, struct pl_err *err);
/* Where the private key of this request is; *path NULL: not known here. */
enum pl_code pl_book_key(struct pl_book *b, int64_t id,
    const unsigned char spki[32], char **path, struct pl_err *err);
/* The path of the key that was noted for a generation, or NULL. */
enum pl_code pl_book_key_wish(struct pl_book *b, int64_t id,
    unsigned generation, char **path, struct pl_err *err);
/* Notes a path before the key is made (spki NULL), or whose key it is. */
enum pl_code pl_book_key_put(struct pl_book *b, int64_t id,
    unsigned generation, const char *path, const unsigned char *spki,
    struct pl_err *err);
/* Gives a noted key to another order's first request. */
enum pl_code pl_book_key_move(struct pl_book *b, const char *path,
    int64_t id, const unsigned char spki[32], struct pl_err *err);
/*
 * Notes when control of the names was proven: of those with a challenge
 * that is open, or (`rest`) of those of which nothing is known yet.
 */
enum pl_code pl_book_proven(struct pl_book *b, const struct pl_order *o,
    bool rest, struct pl_err *err);
/* Wall ms of the last proof of a name to the product's CA; 0: none. */
int64_t pl_book_proof(struct pl_book *b, const struct pl_order *o,
    const char *name);

/* ---- events for programs: book-event.c ---------------------------------------------- */

/* Kinds as users name them. */
enum pl_notice { PL_N_ISSUED, PL_N_DEPLOYED, PL_N_SERVED, PL_N_FAILED,
	PL_N_EXPIRING, PL_NNOTICES };
const char *pl_notice_name(enum pl_notice k);
bool pl_notice_parse(enum pl_notice *k, const char *text);
struct pl_book_notice {
	int64_t id;			/* of the event; 0: there is none */
	int64_t order;
	int64_t time;
	enum pl_notice kind;
	char *what, *text;		/* the event's own word and sentence */
	int64_t seen;			/* with id 0: none up to this event is wanted */
};
void pl_book_notice_clear(struct pl_book_notice *e);
/* The first event behind `after` of one of these kinds (bits). */
enum pl_code pl_book_notice(struct pl_book *b, int64_t after, unsigned kinds,
    struct pl_book_notice *e, struct pl_err *err);
/*
 * Up to which event a reader has been told.  A reader that is not known yet
 * starts behind the last event.
 */
enum pl_code pl_book_reader(struct pl_book *b, const char *name,
    int64_t *event, struct pl_err *err);
enum pl_code pl_book_reader_put(struct pl_book *b, const char *name,
    int64_t event, struct pl_err *err);

#endif
