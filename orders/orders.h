/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of orders/: certificate orders at The SSL Store (DESIGN.md
 * section 8).
 *
 * Who does what:
 *
 *   store-value.c   what the store's answers hold, read leniently: truth
 *                   values, numbers, texts, dates, lists, PEM.  Pure.
 *   store-answer.c  an answer's three envelopes; its error as a pl_err.
 *                   Pure, and looked after by a fuzz target.
 *   store-calls.c   the table of calls: path, where credentials go, may it
 *                   be repeated.
 *   store.c         the client.  Runs in the worker placard-http in the role
 *                   "controller": it alone holds the credentials.
 *   catalogue.c     the products and what each needs: one const table.
 *   product.c       rules on top of it: fields, months, methods, approvers.
 *   live.c          what /product/query said, laid over the table.
 *   derive.c        the challenges that a Sectigo-style CSR hash gives.
 *
 * The path of a call: a command or placardd fills struct pl_store_call and
 * gives it to pl_controller_calls (agent/controller.c, blocking) or
 * pl_controller_start (asynchronous).  These put it in a frame CALL; the
 * worker adds the credentials, posts, checks the envelope and answers
 * CALLED with an error or the answer's JSON text, which the engine side
 * parses.  What may be repeated is repeated there with growing gaps, the
 * rest never: see `sent`.
 */
#ifndef PL_ORDERS_H
#define PL_ORDERS_H

#include "providers.h"

/* ---- calls: store-calls.c ------------------------------------------------ */

/* Where the credentials stand in a request. */
enum pl_store_auth {
	PL_STORE_WRAPPED,	/* in a member AuthRequest, the first one */
	PL_STORE_FLAT,		/* PartnerCode and AuthToken beside the rest */
	PL_STORE_NONE		/* GET without a body */
};
struct pl_store_desc {
	const char *path;	/* "order/neworder" */
	const char *name;	/* in errors: "neworder", "product/query" */
	enum pl_store_auth auth;
	bool array;		/* the answer is a JSON array */
	bool repeat;		/* changes nothing, or nothing that matters: may be sent again */
	bool hasty;		/* its isError is not to be trusted: judged by its members */
};
/*
 * The call of this path (below /rest, without slashes around it), or NULL.
 * Paths that are not in the table are never asked for.
 */
const struct pl_store_desc *pl_store_find(const char *path);
/* All of them; NULL where i is past the last. */
const struct pl_store_desc *pl_store_at(size_t i);

/* ---- one call, for who wants something of the store ------------------------ */

struct pl_store_call {
	const char *path;	/* lent until the call is over */
	json_t *request;	/* kept; an object without credentials, or NULL: {} */
	int64_t timeout_ms;	/* of one try; 0, and at most: the controller's */
	unsigned tries;		/* where it may be repeated; 0: as usual (5) */

	/* Afterwards: */
	json_t *answer;		/* object or array; NULL where err.code is not PL_OK */
	struct pl_err err;	/* "sslstore: neworder: -9009: ..." */
	int64_t number;		/* the store's error code ("ErrorCode:-9009"), or 0 */
	/*
	 * The store may have acted on it: true with PL_OK, and where the
	 * answer was lost or made no sense (PL_ENET, PL_EPROTO).  False where it
	 * never went out or was refused.  After a neworder with `sent` and no
	 * answer look its CustomOrderID up before anything else.
	 */
	bool sent;
	unsigned attempts;
};
/* Drops request and answer; the rest is emptied. */
void pl_store_call_clear(struct pl_store_call *c);

/* ---- the client: store.c (worker only) -------------------------------------- */

struct pl_store;
/*
 * Settings of a controller section: url (a final /rest, with or without a
 * slash, is cut), partner-code, auth-token*, ca-file, timeout.
 * No network yet.
 */
enum pl_code pl_store_open(struct pl_store **out,
    const struct pl_settings *set, const struct pl_log *log,
    struct pl_err *err);
void pl_store_close(struct pl_store *s);

struct pl_store_req {
	const char *path;
	const char *text;	/* a JSON object without credentials */
	size_t len;
};
struct pl_store_res {
	struct pl_err err;
	int64_t number;
	bool sent;
	char *text;		/* the answer, compact JSON; NULL: see err */
	size_t len;
};
void pl_store_res_clear(struct pl_store_res *r);
/*
 * Sends n requests, at most `parallel` at once, until they are answered or
 * the deadline (pl_mono_ms) has come.  Never repeats one.  PL_EINVAL in a
 * result: an unknown path, or a request that is no object or brings
 * credentials.  PL_EAUTH: refused credentials.  PL_EREMOTE: refused for
 * another reason.  PL_ENET, PL_ELIMIT: as http.c has it.  PL_EPROTO: an answer
 * without envelope, no JSON, cut, too long.
 */
void pl_store_run(struct pl_store *s, const struct pl_store_req *req,
    struct pl_store_res *res, size_t n, unsigned parallel, int64_t deadline);

/* ---- answers: store-answer.c ------------------------------------------------- */

/*
 * Judges a parsed answer of this call: AuthResponse.isError, then isError
 * at the top, then element 0 of an array with one element.  An empty array
 * is a success.  PL_EPROTO where none of them is there.  *number is the
 * store's error code or 0.
 */
enum pl_code pl_store_judge(const struct pl_store_desc *d, const json_t *answer,
    int64_t *number, struct pl_err *err);
/*
 * Parses octets as they came and judges them; *out is NULL on any failure.
 * Errors begin "sslstore: NAME: ".
 */
enum pl_code pl_store_answer(json_t **out, const struct pl_store_desc *d,
    const char *text, size_t n, int64_t *number, struct pl_err *err);
/* Is this element of a list an error in place of an order? */
bool pl_store_is_error(const json_t *element);

/* ---- values: store-value.c ---------------------------------------------------- */

/*
 * Members of an answer, read by name.  A member that is absent, null, "" or of
 * another kind than can be read gives the fallback, NULL or 0.
 */
/* true, 1, "1", "true", "yes" in any case, and their opposites. */
bool pl_store_bool(const json_t *object, const char *name, bool fallback);
/* 12, 12.0, "12", " 12 ", "12.00". */
int64_t pl_store_int(const json_t *object, const char *name,
    int64_t fallback);
/* Gives a text without blanks around it; numbers become text, control
 * characters blanks. */
char *pl_store_text(const json_t *object, const char *name);
/* Lends the array, or NULL. */
json_t *pl_store_list(const json_t *object, const char *name);
/* Lends the object, or NULL. */
json_t *pl_store_object(const json_t *object, const char *name);
/*
 * Gives domain names from an array or a comma list, trimmed, lower case, without
 * final dots, without repeats and empty ones; *names ends with NULL.  Each
 * free(), and the array.  At most 1,000.
 */
size_t pl_store_names(char ***names, const json_t *object, const char *name);
/*
 * A date as the store writes it, to wall ms; 0 for "no date" ("", null, years
 * before 1990).  Forms: "M/d/yyyy h:mm:ss AM" (US order; "d/M/yyyy" only
 * where the text cannot be meant the other way), ISO 8601 with T or a
 * blank, with or without zone and fraction, "/Date(ms)/".  Without a zone it
 * is UTC.  PL_EPROTO for what cannot be told.
 */
enum pl_code pl_store_date_parse(int64_t *ms, const char *text,
    struct pl_err *err);
/*
 * The member name + "InUTC" where it is there, else the plain one (whose
 * zone nobody knows).  0: none, or not to be read.
 */
int64_t pl_store_date(const json_t *object, const char *name);
/* "/Date(ms)/", the form for requests. */
json_t *pl_store_date_json(int64_t ms);
/*
 * All PEM blocks of a text, appended in clean form (64 columns, "\n"): percent
 * encoding undone where the text has it, blanks made plus signs again, CR LF.
 * Gives how many; what is no PEM is skipped.  Input over 256 KiB: 0.
 */
size_t pl_store_pem(struct pl_buf *out, const char *text, size_t n);
/* Appends the octets of base64 whose plus signs may have become blanks. */
enum pl_code pl_store_base64(struct pl_buf *out, const char *text, size_t n,
    struct pl_err *err);

/* ---- products: catalogue.c, product.c ------------------------------------------- */

enum pl_vendor { PL_DIGICERT, PL_COMODO, PL_SECTIGO, PL_NVENDORS };
const char *pl_vendor_name(enum pl_vendor v);		/* "DIGICERT" */
/* The issuer domain names that its CA recognises in CAA records, parted by
 * commas, the first one the best known (its practice statement, 4.2.1). */
const char *pl_vendor_caa(enum pl_vendor v);
enum pl_validation { PL_V_DV, PL_V_OV, PL_V_EV, PL_V_CODE_SIGNING,
	PL_V_EV_CODE_SIGNING, PL_V_CLIENT, PL_V_DOCUMENT_SIGNING,
	PL_V_SCANNING, PL_NVALIDATIONS };
const char *pl_validation_name(enum pl_validation v);	/* "CODE_SIGNING" */
/* Which fields an order needs (facts, section 5.1). */
enum pl_fields { PL_F_DV, PL_F_DIGICERT_DV, PL_F_OV, PL_F_OV_PRO, PL_F_EV,
	PL_F_FLEX_OV, PL_F_FLEX_EV, PL_F_EXISTING, PL_F_FULL, PL_F_FULL_EV,
	PL_NFIELDS };
const char *pl_fields_name(enum pl_fields f);		/* "dv_minimal" */

#define PL_PRODUCT_TEXT 80
#define PL_PRODUCT_MONTHS 16
struct pl_product {
	char code[PL_PRODUCT_TEXT];	/* what users say: "digi_ssl_basic-EO" */
	char sent[PL_PRODUCT_TEXT];	/* what goes to the store: without "-EO" */
	char name[PL_PRODUCT_TEXT];
	enum pl_vendor vendor;
	enum pl_validation validation;
	bool wildcard;			/* takes wildcard names */
	bool multi;			/* takes more than one domain */
	bool existing;			/* -EO: an organisation that DigiCert knows */
	bool lone_wildcard;		/* single-domain wildcard product: the name must be one */
	enum pl_fields category;	/* as the published table has it */
	enum pl_fields needs;		/* the stricter one where sources differ */
	unsigned months[PL_PRODUCT_MONTHS];	/* ascending, ends with 0 */
	bool live;			/* months (and name) are the store's own */
	bool retired;			/* the store was asked and does not list it */
	char price[24];			/* of the shortest term, with currency; "" unknown */
};
size_t pl_product_count(void);				/* 77 */
/* The i-th, in the order of the catalogue. */
void pl_product_at(struct pl_product *out, size_t i);
/*
 * By code, in any letter case.  PL_EINVAL names the nearest one.
 */
enum pl_code pl_product_find(struct pl_product *out, const char *code,
    struct pl_err *err);
/* "digicert" and so on, any case; false: neither. */
bool pl_vendor_parse(enum pl_vendor *v, const char *text);
bool pl_validation_parse(enum pl_validation *v, const char *text);
/* Has it names whose control is proven (DV, OV, EV)? */
bool pl_product_has_domains(const struct pl_product *p);
/* Are its challenges derived from the CSR (Sectigo and Comodo)? */
bool pl_product_sectigo(const struct pl_product *p);

/* live.c: lays the answer of product/query over p.  Leaves p alone where the
 * answer has nothing about it, but for `retired` where it lists others. */
void pl_product_live(struct pl_product *p, const json_t *answer);

/*
 * The members an order of this product needs, dotted ("AdminContact.Email"),
 * beside those of every order (ProductCode, ValidityPeriod, ServerCount, CSR,
 * WebServerType, isCUOrder, isRenewalOrder, isTrialOrder).  Calls `each`
 * for every one.
 */
void pl_product_needs(const struct pl_product *p,
    void (*each)(void *ctx, const char *member), void *ctx);
/*
 * Checks the body of a neworder: names every member that is missing or
 * empty, ", " between them, in `missing` (own limit; may be NULL) and as far as
 * they fit in err.  A missing ValidityPeriod is one like any other.
 * ApproverEmail counts as a member: put one in also where the method is
 * not e-mail (facts 3.1).
 */
enum pl_code pl_product_check(const struct pl_product *p,
    const json_t *order, struct pl_buf *missing, struct pl_err *err);

/* 90 -> 3, 365 -> 12, ...: whole months of 30.44 days, at least 1. */
unsigned pl_months_of_days(unsigned days);
/*
 * Is the term one that the product takes?  Terms from days may be moved to
 * a neighbour one month away (398 days: 13 -> 12).  PL_EINVAL tells what it
 * takes.
 */
enum pl_code pl_product_term(const struct pl_product *p, unsigned *months,
    bool from_days, struct pl_err *err);

/* DCV methods as commands name them. */
enum pl_dcv { PL_DCV_DNS, PL_DCV_FILE, PL_DCV_HTTPS_FILE, PL_DCV_EMAIL,
	PL_NDCV };
const char *pl_dcv_name(enum pl_dcv m);			/* "https-file" */
bool pl_dcv_parse(enum pl_dcv *m, const char *text);
/*
 * What the answer's dcvMethod or a vetting entry means; false: unknown
 * word.  "CNAME_CSR_HASH" DNS, "HTTP_CSR_HASH" FILE, "EMAIL" EMAIL, ...
 */
bool pl_dcv_of_word(enum pl_dcv *m, const char *word);
/*
 * Can this name ("*.D" or D) be proven so for this product?  Files are refused
 * for wildcards, https-file for DigiCert.
 */
enum pl_code pl_dcv_check(const struct pl_product *p, enum pl_dcv m,
    const char *name, struct pl_err *err);
/*
 * Can the product hold these names (the first is the common name)?  All
 * faults of a kind are told at once.
 */
enum pl_code pl_product_names(const struct pl_product *p,
    const char *const *names, size_t n, struct pl_err *err);
/*
 * Sets the three indicators and the approver member (`ApproverEmail`, or with
 * reissue `ApproverEmails`) of a request for names[0..n) with methods[0..n).
 * mails[i]: the address for names[i], or NULL.  Mixed methods, or several
 * names by one method that is not e-mail, become the vendor's comma list of
 * words in the order of the names; one method for all of them by e-mail
 * is the list of the different addresses.  With `lone`, an address for an order
 * by file or DNS of a single name (facts 3.1), or NULL.
 */
enum pl_code pl_dcv_fill(const struct pl_product *p, json_t *request,
    bool reissue, const char *const *names, const enum pl_dcv *methods,
    const char *const *mails, size_t n, const char *lone,
    struct pl_err *err);

/*
 * The rule for e-mail approval (facts 5.6).  lists[i] is ApproverEmailList
 * of names[i]; given are the addresses of the user.  DigiCert: exactly one
 * address, on the list of names[0].  Others: one of them on the list of
 * every name.  Letter case does not matter.
 */
enum pl_code pl_approvers_check(const struct pl_product *p,
    const char *const *names, const json_t *const *lists, size_t n,
    const char *const *given, size_t ngiven, struct pl_err *err);

/* ---- CSR hashes: derive.c ------------------------------------------------------- */

struct pl_csr;			/* wire.h */
/* CSRUniqueValue: 1 to 20 letters and digits. */
enum pl_code pl_unique_check(const char *unique, struct pl_err *err);
/*
 * Owner "_<MD5>.<domain>" and target "<sha256/2>.<sha256/2>.[unique.]sectigo.com";
 * name may be "*.D".  unique may be NULL.  Appends.
 */
void pl_derive_cname(struct pl_buf *owner, struct pl_buf *target,
    const struct pl_csr *csr, const char *unique, const char *name);
/* Path "/.well-known/pki-validation/<MD5>.txt" and body, "\n" between lines. */
void pl_derive_file(struct pl_buf *path, struct pl_buf *content,
    const struct pl_csr *csr, const char *unique);

/* The order book and the life of orders. */
#include "book.h"
/* From issued to served. */
#include "deploy.h"

#endif
