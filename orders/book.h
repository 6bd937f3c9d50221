/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The order book (book.c, book-read.c) and what is decided about orders
 * without asking anybody (life.c, life-answer.c, life-request.c,
 * life-country.c).  Part of the door orders.h.
 */
#ifndef PL_BOOK_H
#define PL_BOOK_H

#include "orders.h"

/* ---- an order --------------------------------------------------------------- */

enum pl_order_state { PL_O_PLACING, PL_O_PENDING, PL_O_ISSUED, PL_O_REISSUING,
	PL_O_CANCELLED, PL_O_REVOKED, PL_O_EXPIRED, PL_O_FAILED, PL_NORDERS };
const char *pl_order_state_name(enum pl_order_state s);
bool pl_order_state_parse(enum pl_order_state *s, const char *text);

/*
 * What the automatic part does next for an order.  Each is in the book
 * before its first effect, and may be begun again after a crash:
 *
 *   place     the request stands in the book; `sent` tells since when the
 *             store may know of it.  Looks it up first where it may.
 *   publish   challenges as a job of the engine, until visible
 *   recheck   asks the CA to look now
 *   poll      asks the store how the order is doing, with growing gaps
 *   fetch     downloads and checks the certificate
 *   clean     removes what the job has published
 *   rest      nothing
 */
enum pl_step { PL_STEP_REST, PL_STEP_PLACE, PL_STEP_PUBLISH, PL_STEP_RECHECK,
	PL_STEP_POLL, PL_STEP_FETCH, PL_STEP_CLEAN, PL_NSTEPS };
const char *pl_step_name(enum pl_step s);

struct pl_order_name {
	char *name;			/* "*.example.com" */
	int method;			/* enum pl_dcv, or -1: not known */
	char *approver;			/* address, or NULL */
};
/* What the CA wants to see for one name. */
struct pl_order_challenge {
	char *domain;			/* as ordered: "*.example.com" */
	int method;			/* enum pl_dcv, or -1 */
	char *word;			/* dcvMethod as the store said it, or NULL */
	char *status;			/* dcvStatus, or NULL */
	bool approved;
	enum pl_kind kind;		/* PL_NOTHING: by e-mail, or not known */
	char *record;			/* owner name or path; "" for PL_NOTHING */
	char *value;			/* data; "" for PL_NOTHING */
	size_t len;
};
struct pl_order {
	int64_t id;			/* ours; 0: not in the book */
	char *controller;
	char *custom_id;		/* CustomOrderID, made by us or the store's word */
	char *store_id;			/* TheSSLStoreOrderID; NULL: not known (yet) */
	char *partner_id;		/* changes with each reissue */
	char *vendor_id;
	char *product;			/* code as users say it, maybe with -EO */
	enum pl_order_state state;
	enum pl_step step;
	char *major, *minor;		/* the store's words */
	struct pl_order_name *names;	/* the common name first */
	size_t nnames;
	struct pl_order_challenge *challenges;
	size_t nchallenges;
	unsigned months;
	char *csr;			/* PEM, or NULL: not ours */
	unsigned char spki[32];		/* SHA-256 of its key; with csr */
	char *unique;			/* CSRUniqueValue */
	char *path;			/* call that PLACE makes: "order/neworder", "order/reissue" */
	char *request;			/* its body without credentials, JSON */
	char *renews;			/* store's number of the order that this one renews */
	char *serial;			/* of the certificate in force */
	char *refund_id;
	char *error;			/* why it failed, or the last trouble */
	bool ours;			/* placed by this installation */
	bool revoked;			/* we had the certificate in force revoked */
	unsigned generation;		/* counts requests: 1, with each reissue one more */
	unsigned tries;			/* of PLACE; of POLL since the last change */
	int64_t sent;			/* wall ms of the last PLACE, 0: never */
	int64_t due;			/* wall ms before which the step need not be done */
	int64_t rechecked;		/* wall ms, 0: never */
	int64_t created, updated, purchased, expires, not_before, not_after;
};
void pl_order_clear(struct pl_order *o);
/* "L17": ours in the form that commands take. */
#define PL_ORDER_ID 24
void pl_order_local_id(char out[PL_ORDER_ID], int64_t id);
/* The id that is shown: the store's number, or while there is none ours. */
void pl_order_id(char *out, size_t size, const struct pl_order *o);
/* The engine's job that publishes for it: "order-L17-1". */
void pl_order_job(char out[48], const struct pl_order *o);
void pl_order_challenges_clear(struct pl_order_challenge *c, size_t n);

/* ---- the book: book.c ------------------------------------------------------------ */

struct pl_book;
/* Opens (makes) DIR/orders.db.  `create` false: a missing one gives *out
 * NULL with PL_OK.  PL_EIO otherwise. */
enum pl_code pl_book_open(struct pl_book **out, const char *dir, bool create,
    struct pl_err *err);
void pl_book_close(struct pl_book *b);
/* Nested calls make one durable commit. */
enum pl_code pl_book_begin(struct pl_book *b, struct pl_err *err);
enum pl_code pl_book_commit(struct pl_book *b, struct pl_err *err);
void pl_book_rollback(struct pl_book *b);

/*
 * Takes an order for this process alone; false: another one works on it.  Held
 * until pl_book_unlock, or until the process ends, however it does.
 */
bool pl_book_lock(struct pl_book *b, int64_t id);
void pl_book_unlock(struct pl_book *b, int64_t id);
#define PL_BOOK_SYNC 0		/* in place of an id: the one sync at a time */

/* Writes an order with names and challenges; id 0: a new row, id is set. */
enum pl_code pl_book_save(struct pl_book *b, struct pl_order *o,
    struct pl_err *err);
/* Forgets it with all that hangs on it. */
enum pl_code pl_book_delete(struct pl_book *b, int64_t id,
    struct pl_err *err);
/* By our number.  PL_EINVAL: none. */
enum pl_code pl_book_get(struct pl_book *b, int64_t id, struct pl_order *o,
    struct pl_err *err);
/*
 * By what a user says: the store's number, "L17", or a CustomOrderID.
 * controller may be NULL.  PL_EINVAL: none, or several (it names them).
 */
enum pl_code pl_book_find(struct pl_book *b, const char *controller,
    const char *id, struct pl_order *o, struct pl_err *err);
/* Our number of the store's order, or of its CustomOrderID; 0: none. */
enum pl_code pl_book_known(struct pl_book *b, const char *controller,
    const char *store_id, const char *custom_id, int64_t *id,
    struct pl_err *err);

struct pl_book_query {
	const char *controller;		/* NULL: all */
	int state;			/* enum pl_order_state, or -1 */
	int64_t expiring;		/* certificate or order ends before, wall ms; 0: all */
	bool busy;			/* only where step is not REST */
	const char *csr_sha256;		/* only of this CSR (hex), in state placing */
};
/* Gives the numbers, oldest first. */
enum pl_code pl_book_list(struct pl_book *b, const struct pl_book_query *q,
    int64_t **ids, size_t *n, struct pl_err *err);

/*
 * Does an engine's job ("order-L17-1") belong to an order that is not at rest?
 * Then nobody else may remove what it has published.
 */
bool pl_book_wants(struct pl_book *b, const char *job);

/* What happened, for people: a word and a sentence.  The last 500 of an order
 * are kept. */
enum pl_code pl_book_event(struct pl_book *b, int64_t id, const char *what,
    const char *text, struct pl_err *err);
/* Gives an array of {time, event, text}, oldest first, at most 200. */
enum pl_code pl_book_events(struct pl_book *b, int64_t id, json_t **out,
    struct pl_err *err);

struct pl_book_cert {
	char *serial;
	char *leaf, *chain, *root;	/* PEM; chain without leaf and root, "" if none */
	char sha256[65];		/* of the leaf, hex */
	bool trusted;			/* its root is the system's, or in root-file */
	int64_t not_before, not_after, stored;
};
void pl_book_cert_clear(struct pl_book_cert *c);
enum pl_code pl_book_cert_put(struct pl_book *b, int64_t id,
    const struct pl_book_cert *c, struct pl_err *err);
/* The one with this serial, or with NULL the newest; leaf NULL: none. */
enum pl_code pl_book_cert_get(struct pl_book *b, int64_t id,
    const char *serial, struct pl_book_cert *c, struct pl_err *err);

/*
 * A target of a deploy section and one order: what became of its newest
 * certificate there (book-target.c).
 *
 *   pending   not there yet
 *   deployed  its files are there and the server was told
 *   served    and the server has been seen showing it
 *   failed    an error says why; `due` when it is tried again
 *   replaced  a younger certificate of another order has taken its place
 */
enum pl_target_state { PL_TG_PENDING, PL_TG_DEPLOYED, PL_TG_SERVED,
	PL_TG_FAILED, PL_TG_REPLACED, PL_NTARGETS };
const char *pl_target_state_name(enum pl_target_state s);
struct pl_book_target {
	int64_t order;			/* our number of it */
	char *target;			/* its label: "www.example.com/web" */
	char *name;			/* of the certificate, as in paths */
	enum pl_target_state state;
	char *serial;			/* of the certificate that it is about */
	char sha256[65];
	int64_t began;			/* that one's beginning, wall ms, as the next ones */
	int64_t changed;		/* since when it is in this state */
	int64_t deployed, served;	/* when this certificate was; 0: not yet */
	unsigned tries;			/* that failed, in a row */
	int64_t due;			/* when there is something to do; 0: never */
	char *error;			/* of the last try, or NULL */
};
void pl_book_target_clear(struct pl_book_target *t);
enum pl_code pl_book_target_put(struct pl_book *b,
    const struct pl_book_target *t, struct pl_err *err);
enum pl_code pl_book_target_get(struct pl_book *b, int64_t order,
    const char *target, struct pl_book_target *t, bool *found,
    struct pl_err *err);
/* Gives those of an order (0: of all), and that are due at that wall time (0:
 * all of them). */
enum pl_code pl_book_targets(struct pl_book *b, int64_t order, int64_t due,
    struct pl_book_target **out, size_t *n, struct pl_err *err);
void pl_book_targets_clear(struct pl_book_target *t, size_t n);
/* When the next one is due, 0: none is. */
enum pl_code pl_book_target_due(struct pl_book *b, int64_t *due,
    struct pl_err *err);
/* Other orders' certificates for the same target and name, none younger than
 * this one, are replaced. */
enum pl_code pl_book_target_replace(struct pl_book *b,
    const struct pl_book_target *by, struct pl_err *err);
/* A row that was just written: older ones of other orders for the same target
 * and name are not tried any more, or it is replaced by a younger one. */
enum pl_code pl_book_target_yield(struct pl_book *b,
    const struct pl_book_target *t, struct pl_err *err);
/* Gives our own orders in force that have got a certificate since *mark (0: ever),
 * oldest first, and moves the mark. */
enum pl_code pl_book_certs_since(struct pl_book *b, int64_t *mark,
    int64_t **orders, size_t *n, struct pl_err *err);
/* In place of an order's id, for pl_book_lock: its deployment. */
#define PL_BOOK_DEPLOY(id) ((INT64_C(1) << 48) + (id))

/* Where a sync stands. */
struct pl_book_sync {
	int64_t done;		/* store's clock at the start of the last whole one, 0: never */
	bool full;		/* the one under way, if page is not 0 */
	int64_t page;		/* its next page, 0: none under way */
	int64_t size;		/* its page size */
	int64_t since, until;	/* its span, store's clock */
};
enum pl_code pl_book_sync_get(struct pl_book *b, const char *controller,
    struct pl_book_sync *s, struct pl_err *err);
enum pl_code pl_book_sync_put(struct pl_book *b, const char *controller,
    const struct pl_book_sync *s, struct pl_err *err);

/* ---- decisions: life.c ------------------------------------------------------------- */

/* The state that the store's two words stand for (facts, section 4). */
enum pl_order_state pl_life_state(const char *major, const char *minor,
    bool revoked);
/* Will nothing more come of it by itself? */
bool pl_life_final(enum pl_order_state s);
/* Milliseconds until the n-th poll (n from 0) after something changed. */
int64_t pl_life_gap(unsigned n);
/* What to do with a PLACE that may have been sent before. */
enum pl_placing { PL_PLACE_SEND, PL_PLACE_LOOK, PL_PLACE_WAIT };
/*
 * sent: wall ms of the last time, 0: never; looked: it was looked for at
 * that wall time without being found, 0: not yet; window_ms: how long the
 * store may take to carry a request out.
 */
enum pl_placing pl_life_placing(int64_t sent, int64_t looked,
    int64_t window_ms, int64_t now);
/* Does a status show that the reissue, whose order had `partner_id` before,
 * has been taken? */
bool pl_life_reissued(const char *partner_before, const json_t *status);
/* Renewal (true) or reissue, by the order's own end; 0: not known, renewal. */
bool pl_life_renew(int64_t expires, unsigned window_days, int64_t now);
/* Publishable and not yet approved challenges. */
size_t pl_life_open(const struct pl_order *o);
/* Gives a job for the engine, of what is open.  PL_EINVAL where a challenge
 * is not fit to be published; it says which. */
enum pl_code pl_life_job(struct pl_job *job, const struct pl_order *o,
    struct pl_err *err);
/* Is the set of challenges to publish another one? */
bool pl_life_differs(const struct pl_order_challenge *a, size_t na,
    const struct pl_order_challenge *b, size_t nb);
/* "United States", "us", "USA" to "US"; NULL: not known. */
const char *pl_country_code(const char *text);

/* ---- answers: life-answer.c ---------------------------------------------------------- */

/*
 * The challenges of an order response: the order's own pair first, then every
 * vetting entry, repeats dropped (facts 3.2).  names: of the order, the
 * common name first.  Gives an array.
 */
enum pl_code pl_life_challenges(struct pl_order_challenge **out, size_t *n,
    const json_t *answer, const char *product,
    const struct pl_order_name *names, size_t nnames, struct pl_err *err);
/*
 * Lays an order response (neworder, reissue, status, element of a list) over
 * the order: ids, words, state, dates, names, challenges.  What the answer does not
 * tell stays.  *moved: state, challenges or their approval changed.
 */
enum pl_code pl_life_apply(struct pl_order *o, const json_t *answer,
    bool *moved, struct pl_err *err);
/*
 * Compares what the answer says for each name with what was asked: PL_EREMOTE
 * where a name was quietly turned into an e-mail one.
 */
enum pl_code pl_life_downgraded(const struct pl_order *o,
    struct pl_err *err);
/* Has an element of a list all that a status would tell? */
bool pl_life_whole(const json_t *element);
/* The same serial number, however it is written? */
bool pl_life_same_serial(const char *a, const char *b);
/* All PEM of a download, clean; gives how many certificates. */
size_t pl_life_pem(struct pl_buf *out, const json_t *download);
/*
 * Picks leaf and chain from the PEM of a download.  spki may be NULL (no
 * CSR of ours).  PL_EABSENT: no certificate in it, or none of this key (yet).
 * PL_EREMOTE: its chain does not verify; out then tells of it all the same.
 */
enum pl_code pl_life_cert(struct pl_book_cert *out, const char *pem, size_t n,
    const unsigned char *spki, bool server, const struct pl_trust *trust,
    int64_t now, struct pl_err *err);

/* ---- requests: life-request.c ----------------------------------------------------------- */

/* What a new order is made from; all lent. */
struct pl_order_ask {
	const struct pl_product *product;
	const struct pl_csr *csr;
	const char *const *names;	/* the common name first */
	const enum pl_dcv *methods;	/* one a name; product has no domains: NULL */
	const char *const *mails;	/* address for each name, or NULL */
	size_t n;
	const char *lone;		/* address where no method is e-mail */
	unsigned months;
	int64_t servers;
	const char *server_type;
	const json_t *contact;		/* the --contact object, checked, or NULL */
	const char *signature;		/* or NULL: what suits the vendor */
	const char *custom_id, *unique;
	const char *renews;		/* TheSSLStoreOrderID of the old order, or NULL */
};
/* Gives the body of a neworder, without credentials. */
enum pl_code pl_life_neworder(json_t **out, const struct pl_order_ask *a,
    struct pl_err *err);
struct pl_reissue_ask {
	const struct pl_product *product;
	const struct pl_csr *csr;
	const json_t *status;		/* the order as the store has it */
	const char *store_id;
	const char *const *names;	/* afterwards; the common name first */
	const enum pl_dcv *methods;
	const char *const *mails;
	size_t n;
	const char *const *before;	/* SANs until now */
	size_t nbefore;
	const char *lone;
	const char *unique;
};
/* Gives the body of a reissue: all SANs, and what of them is new or gone. */
enum pl_code pl_life_reissue(json_t **out, const struct pl_reissue_ask *a,
    struct pl_err *err);
/* Checks a --contact object: members and types; faults are told at once. */
enum pl_code pl_life_contact(const json_t *contact, const char *what,
    struct pl_err *err);
/* Gives the contact object that a renewal carries over from a status and the
 * request that the order was placed with (may be NULL), `extra` (may be
 * NULL) laid over it. */
json_t *pl_life_carry(const json_t *status, const json_t *request,
    const json_t *extra);
/* Does a refusal speak of the CSR (facts 7.1)? */
bool pl_life_csr_refused(const struct pl_err *err);
/* The same request with the CSR percent-encoded; gives. */
json_t *pl_life_percent_csr(const json_t *request);
/* A CustomOrderID: 8-4-4-4-12 random hex digits. */
void pl_life_custom_id(char out[37]);
/* CSRUniqueValue: 16 random letters and digits. */
void pl_life_unique(char out[17]);

/* The next certificate. */
#include "renew.h"

#endif
