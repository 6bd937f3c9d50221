/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of wire/: one third-party library per file, and none of their
 * types outside but jansson's json_t.
 *
 *   json.c jansson   names.c libidn2   psl.c libpsl   conf.c libconfuse's syntax
 *   db.c SQLite      dns.c ldns        crypto.c OpenSSL
 *   http.c libcurl   xml.c expat       ssh.c libssh2  resolve.c libunbound
 */
#ifndef PL_WIRE_H
#define PL_WIRE_H

#include "base.h"

/* ---- json.c: jansson ------------------------------------------------- */

struct json_t;
typedef struct json_t json_t;	/* jansson's own type, lent to all rooms */

/*
 * Parses one JSON text.  Duplicate keys, depth over 32, NUL, and anything
 * behind the text are refused; the error names `what`, line and column.
 * Gives a reference (pl_json_free).  Bound n before calling.
 */
enum pl_code pl_json_parse(json_t **out, const char *text, size_t n,
    const char *what, struct pl_err *err);
/* The same for a text that begins at this line (from 1) of `what`. */
enum pl_code pl_json_parse_at(json_t **out, const char *text, size_t n,
    const char *what, unsigned line, struct pl_err *err);
/* From a file of secrets: errors quote nothing of it. */
enum pl_code pl_json_parse_secret(json_t **out, const struct pl_secret *s,
    const char *what, struct pl_err *err);
void pl_json_free(json_t *j);				/* drops the reference */
json_t *pl_json_share(json_t *j);			/* gives one more */
char *pl_json_text(const json_t *j);			/* gives compact text */
/* Appends the compact text. */
void pl_json_dump(struct pl_buf *b, const json_t *j);
/* Appends a secret as a JSON string; PL_EINVAL where it is not UTF-8 or has
 * control characters. */
enum pl_code pl_json_quote_secret(struct pl_buf *b,
    const struct pl_secret *s, struct pl_err *err);

json_t *pl_json_object(void);
json_t *pl_json_array(void);
json_t *pl_json_string(const char *s);			/* NULL: null */
json_t *pl_json_stringn(const char *s, size_t n);	/* invalid UTF-8 becomes U+FFFD */
json_t *pl_json_int(int64_t v);
json_t *pl_json_bool(bool v);
json_t *pl_json_null(void);
/* Both keep v. */
void pl_json_set(json_t *object, const char *key, json_t *v);
void pl_json_append(json_t *array, json_t *v);
/* Shorthands: set a string, an integer, a boolean. */
void pl_json_sets(json_t *object, const char *key, const char *s);
void pl_json_seti(json_t *object, const char *key, int64_t v);
void pl_json_setb(json_t *object, const char *key, bool v);

bool pl_json_is_object(const json_t *j);
bool pl_json_is_array(const json_t *j);
bool pl_json_is_string(const json_t *j);
bool pl_json_is_int(const json_t *j);
bool pl_json_is_bool(const json_t *j);
bool pl_json_is_null(const json_t *j);			/* also for NULL */
size_t pl_json_count(const json_t *j);			/* members or elements */
json_t *pl_json_get(const json_t *object, const char *key);	/* lends or NULL */
json_t *pl_json_at(const json_t *array, size_t i);		/* lends or NULL */
const char *pl_json_str(const json_t *j);		/* lends, or NULL if no string */
size_t pl_json_strlen(const json_t *j);
int64_t pl_json_num(const json_t *j);			/* 0 if no integer */
bool pl_json_true(const json_t *j);
/* Iteration over an object: pass NULL first; NULL at the end. */
void *pl_json_iter(const json_t *object, void *iter, const char **key,
    json_t **value);
/*
 * Every member of the object must be in `known` (NULL-terminated), else
 * PL_EINVAL "what.member: unknown member" ("member: …" where what is "").
 */
enum pl_code pl_json_known(const json_t *object, const char *what,
    const char *const *known, struct pl_err *err);

/* ---- names.c: libidn2; psl.c: libpsl --------------------------------- */

#define PL_NAME_MAX 254		/* a name without its final dot, and NUL */

/*
 * A domain name as people write it to the form that we use everywhere:
 * A-labels, lower case, no final dot.  Labels 1 to 63 octets of [a-z0-9_-],
 * whole at most 253; U-labels are converted (IDNA2008, UTS 46
 * non-transitional) and checked by round trip.  A leading "*." is refused
 * here (callers strip it).  Underscores are allowed in the label's first
 * place only where `underscores`.
 */
enum pl_code pl_name_ascii(char out[PL_NAME_MAX], const char *in,
    bool underscores, struct pl_err *err);
/* Is the name (A-labels) itself a public suffix, as "com" or "co.uk"?
 * Unlisted top-level labels (lab names, "test", "internal") are not. */
bool pl_name_is_suffix(const char *name);
/* Lends the registrable part of name, or NULL. */
const char *pl_name_registrable(const char *name);

/* ---- conf.c: configuration files in libconfuse's syntax ---------------- */

/* What a configuration file may hold; arrays end with a NULL name. */
enum pl_conf_type { PL_CONF_STR, PL_CONF_INT, PL_CONF_BOOL, PL_CONF_LIST,
	PL_CONF_SECTION };
struct pl_conf_spec {
	const char *name;
	enum pl_conf_type type;
	bool titled;				/* SECTION: has a title */
	/* SECTION; NULL: any key is taken as it stands, one value or a
	 * list, and the caller checks. */
	const struct pl_conf_spec *inside;
};

/* A name that stands for every key that is not in the list; as LIST it is
 * taken as it stands. */
#define PL_CONF_ANY "*"

/* What it holds, in file order. */
struct pl_conf_value {
	char *key;
	char *file;		/* where it stands */
	unsigned line;
	bool shared;		/* others than its owner may read that file */
	bool list;		/* written with braces or += */
	size_t n;		/* 1, or as many as the list has */
	char **text;		/* INT and BOOL already checked: "12", "true" */
};
struct pl_conf_section {
	char *type, *title;	/* title NULL where untitled; root: "" */
	char *file;
	unsigned line;		/* of its first word */
	struct pl_conf_value *values;
	size_t nvalues;
	struct pl_conf_section *sections;
	size_t nsections;
};

/* Faults are collected, not thrown: all of them at once for the user. */
struct pl_faults {
	struct pl_buf text;	/* "FILE:LINE: KEY: …\n" each, by line; the first 200 */
	size_t n;
};
void pl_faults_init(struct pl_faults *f);
void pl_faults_clear(struct pl_faults *f);
/* line 0 and key NULL are left out of the text. */
void pl_fault(struct pl_faults *f, const char *file, unsigned line,
    const char *key, const char *fmt, ...) PL_PRINTF(5, 6);

/*
 * Reads a file with its include()s, whose paths are relative to the file
 * they stand in; what a pattern (*, ?, [) matches is read by name, and may
 * be nothing.
 * Unknown keys and sections, wrong types and repeated keys become faults with their
 * line and what would be right; reading goes on behind them, and behind
 * faults of syntax on the next line.  An untitled section that comes twice
 * is one section; titles that come twice are two, for the caller to judge.
 * Gives the tree (pl_conf_free, which wipes all text) even where there are
 * faults; *out is NULL only where the file cannot be read (PL_EINVAL).  A
 * file that group or others may write, or in whose folder they may replace
 * it, is a fault.  Faults never show a value.
 */
enum pl_code pl_conf_read(struct pl_conf_section **out, const char *path,
    const struct pl_conf_spec *spec, struct pl_faults *faults,
    struct pl_err *err);
void pl_conf_free(struct pl_conf_section *root);
/* Lends the value of a key of this section, or NULL. */
const struct pl_conf_value *pl_conf_value(const struct pl_conf_section *s,
    const char *key);
/* "yes", "on", "true" and their opposites, in any case; false: neither. */
bool pl_conf_bool(bool *out, const char *text);
/* The word of the list (NULL-terminated) that is most like this one, or
 * NULL where none is near. */
const char *pl_nearest(const char *word, const char *const *list);

/* ---- db.c: SQLite ---------------------------------------------------- */

struct pl_db;
struct pl_stmt;
/*
 * Opens or makes a database: WAL, synchronous=FULL, foreign keys, busy
 * timeout 10 s; reads journal_mode and synchronous back and refuses
 * anything else.  `schema` is run where user_version is 0, `version` is then
 * set, and any other version found is PL_EIO that says so.
 */
enum pl_code pl_db_open(struct pl_db **out, const char *path, int version,
    const char *schema, struct pl_err *err);
/*
 * The same for a database that grows: steps[i] takes version i to i + 1, and
 * n is the newest version.  An older one is brought up in one transaction; a
 * newer one is PL_EIO.
 */
enum pl_code pl_db_open_steps(struct pl_db **out, const char *path,
    const char *const *steps, size_t n, struct pl_err *err);
void pl_db_close(struct pl_db *db);
enum pl_code pl_db_exec(struct pl_db *db, const char *sql,
    struct pl_err *err);
/* BEGIN IMMEDIATE, COMMIT; rollback is silent and safe outside. */
/*
 * Nested calls make one commit, the outermost, so that a step may stand alone
 * or in a group.  A commit that fails, as a rollback, undoes all of it.
 */
enum pl_code pl_db_begin(struct pl_db *db, struct pl_err *err);
enum pl_code pl_db_commit(struct pl_db *db, struct pl_err *err);
void pl_db_rollback(struct pl_db *db);
int64_t pl_db_rowid(struct pl_db *db);
int64_t pl_db_changes(struct pl_db *db);	/* rows of the last statement */

/*
 * A prepared statement, kept by the database under its SQL text's address
 * and reused.  Parameters bind from 1, columns count from 0.  Lent texts
 * live until the next step or reset.
 */
enum pl_code pl_db_prepare(struct pl_stmt **out, struct pl_db *db,
    const char *sql, struct pl_err *err);
void pl_stmt_int(struct pl_stmt *s, int i, int64_t v);
void pl_stmt_text(struct pl_stmt *s, int i, const char *v);	/* NULL binds NULL; copied */
void pl_stmt_blob(struct pl_stmt *s, int i, const void *p, size_t n);
/* Not copied: they live until the statement has been stepped through. */
void pl_stmt_lend(struct pl_stmt *s, int i, const char *v);
void pl_stmt_lend_blob(struct pl_stmt *s, int i, const void *p, size_t n);
void pl_stmt_null(struct pl_stmt *s, int i);
/* One step; *row tells that columns can be read.  At the end the statement
 * is reset by itself. */
enum pl_code pl_stmt_step(struct pl_stmt *s, bool *row, struct pl_err *err);
/* Steps to the end and resets. */
enum pl_code pl_stmt_run(struct pl_stmt *s, struct pl_err *err);
void pl_stmt_reset(struct pl_stmt *s);
int64_t pl_col_int(struct pl_stmt *s, int i);
const char *pl_col_text(struct pl_stmt *s, int i);	/* lends; NULL for NULL */
const void *pl_col_blob(struct pl_stmt *s, int i, size_t *n);
bool pl_col_null(struct pl_stmt *s, int i);

/* ---- dns.c: ldns (codec and TSIG) ------------------------------------ */

#define PL_DNS_TEXT 1025	/* presentation form of any name, and NUL */
#define PL_DNS_UDP 1232		/* the EDNS size we offer */
#define PL_DNS_MSG 65535

enum pl_dns_type { PL_DNS_A = 1, PL_DNS_NS = 2, PL_DNS_CNAME = 5,
	PL_DNS_SOA = 6, PL_DNS_TXT = 16, PL_DNS_AAAA = 28, PL_DNS_DNAME = 39,
	PL_DNS_DS = 43, PL_DNS_RRSIG = 46, PL_DNS_DNSKEY = 48,
	PL_DNS_CAA = 257, PL_DNS_ANY = 255 };

/* Rcodes of RFC 1035, 2136 and 8945 (extended ones from TSIG and EDNS). */
enum pl_dns_rcode { PL_DNS_NOERROR = 0, PL_DNS_FORMERR = 1,
	PL_DNS_SERVFAIL = 2, PL_DNS_NXDOMAIN = 3, PL_DNS_NOTIMP = 4,
	PL_DNS_REFUSED = 5, PL_DNS_YXDOMAIN = 6, PL_DNS_YXRRSET = 7,
	PL_DNS_NXRRSET = 8, PL_DNS_NOTAUTH = 9, PL_DNS_NOTZONE = 10,
	PL_DNS_BADSIG = 16, PL_DNS_BADKEY = 17, PL_DNS_BADTIME = 18,
	PL_DNS_BADTRUNC = 22 };
const char *pl_dns_rcode_name(unsigned rcode);	/* "NXDOMAIN"; "RCODE23" */

#define PL_DNS_DO	0x1	/* ask for DNSSEC records */
#define PL_DNS_RD	0x2	/* ask a resolver to recurse */
#define PL_DNS_NOEDNS	0x4	/* no OPT record: the fallback after FORMERR */
#define PL_DNS_0X20	0x8	/* random letter case in the question */
#define PL_DNS_CD	0x10	/* checking disabled */

/*
 * Writes a question with a random id into out (at least 512 octets); gives
 * its length, 0 where the name does not fit.
 */
size_t pl_dns_query(unsigned char *out, size_t size, const char *name,
    unsigned type, unsigned flags);
/*
 * Is this the answer to that question?  QR, id, opcode, one question, and
 * its octets with their letter case compared; says nothing of the source
 * address, which a connected socket has checked.
 */
bool pl_dns_matches(const unsigned char *query, size_t qlen,
    const unsigned char *answer, size_t alen);

struct pl_dns_rr {
	char *owner;		/* lower case, no final dot, "" for the root */
	uint16_t type;
	uint8_t section;	/* 1 answer, 2 authority, 3 additional */
	uint32_t ttl;
	char *target;		/* CNAME DNAME NS: lower case; SOA: mname; A AAAA: address text */
	unsigned char *data;	/* TXT: all strings joined; CAA: the value; names and SOA: NULL; else raw rdata */
	size_t len;
	const unsigned char *raw;	/* TXT: rdata as it came, lent with data */
	size_t rawlen;
	uint32_t serial, minimum;	/* SOA */
	unsigned flags;		/* CAA: flags octet */
	char *tag;		/* CAA: lower case; its value is data */
	uint16_t covered;	/* RRSIG: type covered */
	uint32_t expiration;	/* RRSIG: signature expiration, RFC 4034 3.1.5 */
};
struct pl_dns_msg {
	uint16_t id;
	unsigned rcode;		/* with the EDNS part */
	bool aa, tc, ra, ad;
	size_t size;		/* octets of the message */
	struct pl_dns_rr *rr;	/* at most 4,096 are looked at */
	size_t nrr;
};
/* Parses a message that matched; PL_EPROTO where it is malformed. */
enum pl_code pl_dns_parse(struct pl_dns_msg *m, const unsigned char *p,
    size_t n, struct pl_err *err);
void pl_dns_msg_clear(struct pl_dns_msg *m);

/* A TSIG key (RFC 8945); algorithm as "hmac-sha256". */
struct pl_tsig;
enum pl_code pl_tsig_new(struct pl_tsig **out, const char *name,
    const char *algorithm, const struct pl_secret *base64,
    struct pl_err *err);
void pl_tsig_free(struct pl_tsig *t);

/* What a signature is chained to: the MAC of the question. */
struct pl_tsig_mac {
	unsigned char mac[64];
	size_t len;
};
/*
 * Signs n octets of a request in place (msg has room for `size`); gives the new
 * length, 0 where there is no room.  `now` in seconds since 1970.
 */
size_t pl_tsig_sign(const struct pl_tsig *t, unsigned char *msg, size_t n,
    size_t size, int64_t now, struct pl_tsig_mac *mac);
/*
 * Checks an answer: TSIG last, key, algorithm, whole MAC over the
 * request's MAC, then time.  PL_OK: it is the key holder's, *error is its TSIG
 * error (0 or PL_DNS_BADTIME, then *skew is the server's clock minus ours, s).
 * PL_EAUTH: unsigned, and only claims *error: BADKEY, BADSIG, ..., or, where
 * it has no TSIG record at all, its rcode, if that is a failure.
 * PL_EPROTO: not to be believed at all.
 */
enum pl_code pl_tsig_check(const struct pl_tsig *t, const unsigned char *msg,
    size_t n, const struct pl_tsig_mac *request, int64_t now,
    unsigned *error, int64_t *skew, struct pl_err *err);

/*
 * An RFC 2136 UPDATE being built.  Prerequisites and updates may come in
 * any order.  Adders return false, and leave the message as it was, where
 * one more would pass PL_DNS_MSG less the room for TSIG.
 */
struct pl_update;
struct pl_update *pl_update_new(const char *zone);
void pl_update_free(struct pl_update *u);
bool pl_update_require_unused(struct pl_update *u, const char *name);
bool pl_update_require_set(struct pl_update *u, const char *name,
    unsigned type, const void *data, size_t n); /* value-dependent, one RR a call */
bool pl_update_require_raw(struct pl_update *u, const char *name,
    unsigned type, const void *rdata, size_t n); /* the same with rdata as it came */
bool pl_update_require_no_set(struct pl_update *u, const char *name,
    unsigned type);
bool pl_update_require_any(struct pl_update *u, const char *name,
    unsigned type);				/* such a set exists */
bool pl_update_add(struct pl_update *u, const char *name, unsigned type,
    uint32_t ttl, const void *data, size_t n);	/* TXT: octets; CNAME: text */
bool pl_update_del(struct pl_update *u, const char *name, unsigned type,
    const void *data, size_t n);		/* exactly this RR */
size_t pl_update_size(const struct pl_update *u);	/* octets, unsigned */
/* Writes the message with a random id; gives its length, 0: no room. */
size_t pl_update_pack(const struct pl_update *u, unsigned char *out,
    size_t size);

/* ---- dns-peer.c: sockets, no library ------------------------------------ */

/* One server spoken to in blocking exchanges by an account worker. */
struct pl_dns_peer;
/* Resolves host with getaddrinfo(3); tries its addresses in order.  tsig is
 * lent until pl_dns_peer_close; NULL: nothing is signed. */
enum pl_code pl_dns_peer_open(struct pl_dns_peer **out, const char *host,
    uint16_t port, const struct pl_tsig *tsig, struct pl_err *err);
void pl_dns_peer_close(struct pl_dns_peer *p);
/* Answers ignored so far: wrong id, question or signature. */
size_t pl_dns_peer_strays(const struct pl_dns_peer *p);
/* Server's clock minus ours in seconds, from the last signed BADTIME. */
int64_t pl_dns_peer_skew(const struct pl_dns_peer *p);
/*
 * Sends a question (signed where the peer has a key; UDP, TCP when
 * truncated) and gives the parsed answer.  Answers from other sources, with
 * other ids or questions are ignored until the deadline; TSIG answers are
 * checked for key, algorithm, MAC and time.  PL_EAUTH: a TSIG error, which
 * m->rcode then is.  An unsigned answer can only be a failure: a TSIG error, or PL_OK
 * with an rcode and nothing else.
 */
enum pl_code pl_dns_ask(struct pl_dns_peer *p, const char *name,
    unsigned type, int64_t deadline, struct pl_dns_msg *m,
    struct pl_err *err);
/*
 * Many questions at once (at most 64 in flight).  done() is called for
 * each in any order; m is cleared behind it.  A question without an answer
 * before the deadline has code PL_ENET and m empty.  Returns PL_OK, or the code of
 * the last question that failed, with err telling why.
 */
enum pl_code pl_dns_ask_many(struct pl_dns_peer *p, const char *const *names,
    unsigned type, size_t n, int64_t deadline,
    void (*done)(void *ctx, size_t i, enum pl_code code,
	const struct pl_dns_msg *m),
    void *ctx, struct pl_err *err);
/*
 * Sends UPDATEs in order (UDP up to 512 octets, else one TCP connection,
 * pipelined) and tells each rcode; a TSIG error (BADKEY, BADSIG, BADTIME)
 * is told as rcode.  codes[i] is PL_OK where rcodes[i] is meant, PL_EUNDONE
 * where u[i] was never sent, PL_ENET or PL_EPROTO where it may have been
 * done.  An answer that fails its TSIG check is never believed.  One small
 * UPDATE alone may be sent again over UDP: its prerequisites then see its own effect.
 * Returns PL_OK only if all codes are, else what err tells about.
 */
enum pl_code pl_dns_update(struct pl_dns_peer *p,
    struct pl_update *const *u, size_t n, int64_t deadline,
    enum pl_code *codes, unsigned *rcodes, struct pl_err *err);

/* ---- dns-zone.c, dns-serve.c: an authoritative server (no library) ----- */

/* Zones and their records in memory, and the answers to questions about
 * them.  Names are lower case without final dot. */
struct pl_served;
struct pl_served *pl_served_new(void);		/* gives */
void pl_served_free(struct pl_served *s);	/* NULL is allowed */

#define PL_SERVED_NEGATIVE 1	/* seconds that a "no" may be kept */
#define PL_SERVED_FIXED 3600	/* seconds for SOA, NS and addresses */

/*
 * Adds a zone.  `ns` are the names of its servers, the first is named in
 * the SOA; an entry "NAME ADDRESS..." tells the addresses of a server whose
 * name lies in a zone of ours (in one that is added already, or in this one).
 * `hostmaster` is a mailbox name as in a SOA.  PL_EINVAL says what is wrong.
 */
enum pl_code pl_served_zone(struct pl_served *s, const char *apex,
    const char *const *ns, size_t n, const char *hostmaster, uint32_t serial,
    struct pl_err *err);
/* The apex of the zone that holds a name, or NULL. */
const char *pl_served_apex(const struct pl_served *s, const char *name);
/*
 * TXT: value is text, cut into strings of 255 here; CNAME: value is a name.
 * A record that is added to a set takes the set's TTL.  *was tells that
 * it was there already.  PL_ENOZONE outside the zones; PL_ECONFLICT where
 * the name is an alias already and alias (256 octets, may be NULL) is set to where
 * it leads; PL_EREMOTE where the set cannot be had in one message any more,
 * or other data stand in the way of a CNAME.
 */
enum pl_code pl_served_add(struct pl_served *s, unsigned type,
    const char *name, const char *value, size_t len, uint32_t ttl, bool *was,
    char *alias, struct pl_err *err);
/* Removes exactly that value; gone already is success, too. */
enum pl_code pl_served_del(struct pl_served *s, unsigned type,
    const char *name, const char *value, size_t len, struct pl_err *err);
/* Is it there?  The alias as in pl_served_add. */
enum pl_code pl_served_has(const struct pl_served *s, unsigned type,
    const char *name, const char *value, size_t len, bool *there,
    char *alias, struct pl_err *err);
size_t pl_served_count(const struct pl_served *s);	/* records added */
/*
 * Writes the answer to a question of n octets (out: PL_DNS_MSG octets, or
 * PL_DNS_UDP without tcp); gives its length, 0 where nothing is to be said.  Over UDP it fits 512 octets, or what EDNS
 * offers up to PL_DNS_UDP, and is truncated otherwise (RFC 1034, 1035, 2181,
 * 2308, 4343, 6891, 8020, 8482).
 */
size_t pl_served_answer(const struct pl_served *s, const unsigned char *q,
    size_t n, unsigned char *out, bool tcp);
/* Turns an answer into an empty, truncated one; gives its length. */
size_t pl_served_cut(unsigned char *answer, size_t n);

/* ---- resolve.c: libunbound ---------------------------------------------- */

/*
 * DNSSEC validation, from a trust anchor down, without blocking.  The
 * library is loaded when it is first needed and works in a child process of its
 * own.
 */
enum pl_secure { PL_SEC_SECURE, PL_SEC_INSECURE, PL_SEC_BOGUS,
	PL_SEC_FAILED };
struct pl_resolved {
	enum pl_secure state;
	unsigned rcode;
	const char *why;	/* BOGUS, FAILED; or NULL; lent for the call */
	int64_t signed_until;	/* SECURE: first end of a signature, Unix s, or 0 */
};
struct pl_resolve;
struct pl_question;
/* anchor: a file with DS or DNSKEY records.  forward: resolvers to ask
 * ("192.0.2.1", "192.0.2.1@5353"), NULL-terminated; NULL or none: it asks
 * the servers of the world itself. */
enum pl_code pl_resolve_new(struct pl_resolve **out, const char *anchor,
    const char *const *forward, struct pl_err *err);
void pl_resolve_free(struct pl_resolve *r);	/* done() is not called any more */
enum pl_code pl_resolve_ask(struct pl_resolve *r, const char *name,
    unsigned type, void (*done)(void *ctx, const struct pl_resolved *a),
    void *ctx, struct pl_question **out, struct pl_err *err);
void pl_question_cancel(struct pl_question *q);	/* NULL is allowed */
int pl_resolve_fd(const struct pl_resolve *r);
void pl_resolve_run(struct pl_resolve *r);	/* when fd is readable */

/* ---- http.c: libcurl -------------------------------------------------- */

/* What does not block: fetches without a credential, for the verifier. */

struct pl_url {
	char *url;		/* whole, normalised, without a fragment */
	char *scheme;		/* "http" or "https" */
	char *host;		/* as in the URL, lower case; IPv6 in brackets */
	uint16_t port;		/* the scheme's where none is given */
};
/*
 * Resolves `ref` against `base` (NULL: ref must be absolute).  PL_EREMOTE for
 * what is no http or https URL, carries user information, or is longer than
 * 2,000 octets.  Gives (pl_url_clear).
 */
enum pl_code pl_url_resolve(struct pl_url *out, const char *base,
    const char *ref, struct pl_err *err);
void pl_url_clear(struct pl_url *u);

/* Is it loopback, private, link-local, multicast or otherwise no address of
 * the public internet?  addr: text; what is no address is not public. */
bool pl_addr_public(const char *addr);

struct pl_get {
	const char *url;
	const char *address;	/* connect to exactly this one */
	uint16_t port;		/* at this port */
	bool local;		/* it may be a local one */
	bool unverified;	/* https: whatever certificate it shows will do */
	const char *accept;	/* header Accept, or NULL */
	const void *post;	/* body of a POST, or NULL: a GET */
	size_t post_len;
	const char *post_type;
	int64_t timeout_ms;	/* the whole of it */
	size_t max_body;	/* octets; PL_ELIMIT beyond */
};
/* How it ended; lent for the call. */
struct pl_got {
	enum pl_code code;	/* PL_OK: an answer came; PL_ENET, PL_ELIMIT, PL_EPROTO */
	struct pl_err err;
	bool timeout, refused, noroute;	/* PL_ENET: which */
	unsigned status;
	const char *location;	/* or NULL */
	const char *type;	/* Content-Type, or NULL */
	const char *body;
	size_t len;
	uint32_t ms;
};
struct pl_web;
struct pl_fetch;
/* Loads and starts the library: the first takes some milliseconds. */
enum pl_code pl_web_new(struct pl_web **out, struct pl_err *err);
void pl_web_free(struct pl_web *w);		/* done() is not called any more */
/*
 * Starts a fetch: no redirect is followed, no proxy, cookie, netrc or
 * credential is used.  done() is called once from pl_web_run, behind which
 * the fetch is gone.
 */
enum pl_code pl_web_get(struct pl_web *w, const struct pl_get *g,
    void (*done)(void *ctx, const struct pl_got *got), void *ctx,
    struct pl_fetch **out, struct pl_err *err);
void pl_fetch_cancel(struct pl_fetch *f);	/* NULL is allowed */
int pl_web_fd(const struct pl_web *w);		/* to poll for reading */
/* Does what is due; milliseconds until it wants to be called anyway, or -1. */
int pl_web_run(struct pl_web *w);

/* ---- crypto.c: OpenSSL ----------------------------------------------- */

/* SHA-256 (32 octets), RFC 8555 key authorization digests and the like. */
void pl_sha256(unsigned char out[32], const void *p, size_t n);

/* Octets that need not lie together. */
struct pl_part {
	const void *p;
	size_t n;
};
/* A keyed digest, reused message after message; digest as "sha256". */
struct pl_hmac;
enum pl_code pl_hmac_new(struct pl_hmac **out, const char *digest,
    const void *key, size_t n, struct pl_err *err);
void pl_hmac_free(struct pl_hmac *h);
size_t pl_hmac_size(const struct pl_hmac *h);		/* octets, at most 64 */
void pl_hmac_sum(struct pl_hmac *h, unsigned char out[64],
    const struct pl_part *parts, size_t n);
/* Compares without telling by its time where the difference is. */
bool pl_same_octets(const void *a, const void *b, size_t n);

/* Keys, certificate requests and certificates. */
#include "crypto-cert.h"

/*
 * A request to be signed with AWS Signature Version 4.  The headers are
 * those to sign, in any order, and end with a NULL name: host and x-amz-date
 * at least, and x-amz-security-token (whose value is a secret) for temporary
 * keys.  The query is taken as it goes out; names and values are decoded and
 * encoded again as the rules want them.
 */
struct pl_http_header;
struct pl_sigv4 {
	const char *method;
	const char *path;	/* as it goes out; encoded once more, as all services but S3 want it */
	const char *query;	/* without "?"; may be NULL */
	const struct pl_http_header *headers;
	const void *body;
	size_t body_len;
	const char *stamp;	/* "20150830T123600Z", as in x-amz-date */
	const char *region, *service;
	const struct pl_secret *secret;	/* the secret access key */
	bool normalize;		/* fold "//", "/." and "/.." of the path: all services but S3 */
};
#define PL_SIGV4_STAMP 17
void pl_sigv4_stamp(char out[PL_SIGV4_STAMP], int64_t seconds);
/* The signature in hex; appends the signed names ("host;x-amz-date") to
 * `names`, which may be NULL. */
void pl_sigv4_sign(const struct pl_sigv4 *s, char signature[65],
    struct pl_buf *names);
/* Appends the value of the Authorization header. */
void pl_sigv4_header(struct pl_buf *b, const struct pl_sigv4 *s,
    const char *access_key);

/* ---- xml.c: expat ----------------------------------------------------- */

/* An element: its name without prefix, the text that stands directly in it,
 * and the elements inside.  Attributes and comments are dropped. */
struct pl_xml {
	char *name;
	char *text;		/* "" where there is none */
	struct pl_xml *first;	/* the first inside */
	struct pl_xml *next;	/* beside it, or NULL */
};
/*
 * Parses one document (UTF-8).  PL_EPROTO, naming `what` and the line, where it is
 * malformed, has a DOCTYPE, is over 16 deep, has over 10,000 elements or
 * one with more than 64 KiB of text.  Gives the root; bound n before.
 */
enum pl_code pl_xml_parse(struct pl_xml **out, const char *text, size_t n,
    const char *what, struct pl_err *err);
void pl_xml_free(struct pl_xml *root);		/* whole; NULL is allowed */
/* Lends the first element at a path below `at` ("Error/Code"), or NULL. */
const struct pl_xml *pl_xml_get(const struct pl_xml *at, const char *path);
/* Its text, or NULL where there is no such element. */
const char *pl_xml_text(const struct pl_xml *at, const char *path);
/* Lends the next one beside it that has the same name, or NULL. */
const struct pl_xml *pl_xml_next(const struct pl_xml *at);
/* Appends s with & < > and quotation marks as references. */
void pl_xml_escape(struct pl_buf *b, const char *s);

/* ---- http.c: libcurl, calls that carry a credential -------------------- */

/*
 * One credential's connections to one endpoint (reused, HTTP/2 where
 * offered).  https, or http to a loopback host only; certificate verified,
 * no redirect followed (3xx is an answer like any other), no proxy, netrc or
 * cookies, TLS 1.2 at least; connect 10 s, less than 100 octets a second
 * for 10 s ends a call; bodies are counted and end at PL_LIM_BODY, headers
 * at 64 KiB.
 */
struct pl_http;
struct pl_http_opts {
	const char *endpoint;	/* scheme, host and port, no path */
	const char *ca_file;	/* NULL: the system's */
	int64_t timeout_ms;	/* of one call; 0: 60 s */
	bool patient;		/* it may be silent for all of that time: no 10 s rule */
	unsigned rate;		/* starts at most so many calls a second, a ninth more at once; 0: any */
	const struct pl_log *log; /* debug: method, URL without query, status, octets, ms; never a header or body */
};
enum pl_code pl_http_open(struct pl_http **out,
    const struct pl_http_opts *o, struct pl_err *err);
void pl_http_close(struct pl_http *h);
/* Where the calls that follow are logged; lent until the next one. */
void pl_http_log(struct pl_http *h, const struct pl_log *log);

struct pl_http_header {
	const char *name;
	const char *value;		/* or prefix for the secret: "Bearer " */
	const struct pl_secret *secret;	/* or NULL */
};
/* What "Basic " needs (RFC 7617).  Gives. */
struct pl_secret *pl_http_basic(const char *user,
    const struct pl_secret *password);
struct pl_http_req {
	const char *method;		/* GET POST PUT PATCH DELETE */
	const char *target;		/* path and query, already escaped: "/v1/zones?name=x" */
	const struct pl_http_header *headers;	/* ends with a NULL name; may be NULL */
	const void *body;		/* may be NULL */
	size_t body_len;
	const char *content_type;
};
struct pl_http_res {
	enum pl_code code;	/* PL_OK: a status came and the body is whole */
	struct pl_err err;
	int status;
	struct pl_buf body;
	struct pl_buf headers;	/* raw, for pl_http_header_get */
	int64_t retry_after;	/* ms, from seconds or a date (RFC 9110 10.2.3); at most 1 h; 0: none */
	int64_t date;		/* the server's Date, wall ms; 0: none */
	bool sent;		/* the request may have reached the server */
};
void pl_http_res_clear(struct pl_http_res *r);
/*
 * A call until its end or the deadline (pl_mono_ms).  PL_ENET for what may
 * pass (names host and reason), PL_EPROTO for a body or header over its limit, PL_EINVAL for a
 * header with CR, LF or NUL.  Any HTTP status is PL_OK.
 */
enum pl_code pl_http_call(struct pl_http *h, const struct pl_http_req *req,
    struct pl_http_res *res, int64_t deadline, struct pl_err *err);
/* n calls, at most `parallel` at once (HTTP/2 streams or connections);
 * each res has its own code.  PL_OK where all have PL_OK. */
enum pl_code pl_http_many(struct pl_http *h, const struct pl_http_req *req,
    struct pl_http_res *res, size_t n, unsigned parallel, int64_t deadline,
    struct pl_err *err);
/* How many calls were started since it was opened. */
uint32_t pl_http_requests(const struct pl_http *h);
/* Lends the first header of this name (any case), or NULL. */
const char *pl_http_header_get(const struct pl_http_res *r,
    const char *name, char *out, size_t size);
/* Appends s percent-encoded (RFC 3986 unreserved stay; `slash` keeps "/"). */
void pl_url_escape(struct pl_buf *b, const char *s, bool slash);
/* application/x-www-form-urlencoded: "&name=value", the first without "&". */
void pl_form_add(struct pl_buf *b, const char *name, const char *value);
void pl_form_add_secret(struct pl_buf *b, const char *name,
    const struct pl_secret *secret);
/* The usual meaning of a status for a failure: 401 403 auth, 408 5xx
 * network, 429 limit, 409 412 conflict, 404 and other 4xx refused. */
enum pl_code pl_http_code(int status);
/*
 * A page link that an API gave: its path and query if scheme, host and port
 * are those of the endpoint; else PL_EPROTO.  Appends.
 */
enum pl_code pl_http_same_host(struct pl_http *h, const char *url,
    struct pl_buf *target, struct pl_err *err);

/* ---- known-hosts.c: no library ------------------------------------------ */

/* What a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") says of a
 * host's key. */
enum pl_known { PL_KNOWN_NOT, PL_KNOWN_SAME, PL_KNOWN_OTHER,
	PL_KNOWN_REVOKED };
struct pl_known_host {
	const char *host;	/* as configured: name or address */
	uint16_t port;
	const void *key;	/* its blob; NULL: only collect the types */
	size_t len;
};
/*
 * Looks through the text: plain, wildcard, negated and hashed names,
 * "[host]:port", @revoked; certificate authorities are passed over.  *line:
 * where the verdict was found (0: nowhere).  types (may be NULL) gets the
 * key types that the file has for the host, comma-separated, in file order.
 * PL_KNOWN_OTHER: the host is there with another key of that type.
 */
enum pl_known pl_known_hosts(const char *text, size_t n,
    const struct pl_known_host *h, unsigned *line, struct pl_buf *types);
/* Appends the name as a line of such a file begins: "host", "[host]:2222". */
void pl_known_name(struct pl_buf *b, const char *host, uint16_t port);

/* ---- ssh.c: libssh2 ------------------------------------------------------ */

/*
 * A connection to one SSH server, host verified, user authenticated.  The
 * addresses of the host are raced (RFC 8305); only strong algorithms are
 * offered; the host's key is judged before anything secret is sent, and is
 * never learnt.  Deadlines are pl_mono_ms.
 */
struct pl_ssh;
struct pl_ssh_opts {
	const char *host;
	uint16_t port;
	const char *user;
	const struct pl_secret *key;		/* PEM or OpenSSH's form, or NULL */
	const struct pl_secret *passphrase;	/* of the key, or NULL */
	const struct pl_secret *password;	/* also for keyboard-interactive, or NULL */
	const char *agent;			/* path of an agent's socket, or NULL */
	const char *known_hosts;		/* path, or NULL */
	const char *host_key;			/* "SHA256:…", or NULL */
};
/*
 * PL_EINVAL: the host's key is unknown (fingerprint and line to add are
 * told); PL_EREMOTE: it is another one, revoked, or no algorithm is shared;
 * PL_EAUTH: key, passphrase, password or agent refused.
 */
enum pl_code pl_ssh_open(struct pl_ssh **out, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err);
void pl_ssh_close(struct pl_ssh *s);		/* NULL is allowed; does not wait */
/* Opens the one channel with this subsystem ("sftp"). */
enum pl_code pl_ssh_subsystem(struct pl_ssh *s, const char *name,
    int64_t deadline, struct pl_err *err);
/*
 * Sends what it can of out (dropping it from there) and appends to in what
 * has come; waits until one of both has moved.  PL_ENET: cut, or deadline.
 */
enum pl_code pl_ssh_move(struct pl_ssh *s, struct pl_buf *out,
    struct pl_buf *in, int64_t deadline, struct pl_err *err);
/* Has an idle connection ended, or does it say what nobody asked for? */
bool pl_ssh_stale(struct pl_ssh *s);
/*
 * Connects once for every kind of host key, authenticates to none, and appends a
 * line each: "TYPE SHA256:…", then the line of a known_hosts file.
 */
enum pl_code pl_ssh_host_keys(struct pl_buf *text, const char *host,
    uint16_t port, int64_t deadline, struct pl_err *err);

/* ---- sftp.c: no library, protocol version 3 over ssh.c -------------------- */

enum pl_sftp_op { PL_SFTP_OPEN = 3, PL_SFTP_CLOSE = 4, PL_SFTP_READ = 5,
	PL_SFTP_WRITE = 6, PL_SFTP_LSTAT = 7, PL_SFTP_SETSTAT = 9,
	PL_SFTP_FSETSTAT = 10, PL_SFTP_OPENDIR = 11, PL_SFTP_READDIR = 12,
	PL_SFTP_REMOVE = 13, PL_SFTP_MKDIR = 14, PL_SFTP_RMDIR = 15,
	PL_SFTP_STAT = 17, PL_SFTP_RENAME = 18, PL_SFTP_READLINK = 19,
	/* path: what the link says, to: its name, as OpenSSH has it; the
	 * draft and some servers have it the other way round. */
	PL_SFTP_SYMLINK = 20,
	/* extensions, by name on the wire */
	PL_SFTP_POSIX_RENAME = 256, PL_SFTP_FSYNC, PL_SFTP_LSETSTAT,
	PL_SFTP_STATVFS };
enum pl_sftp_status { PL_SFTP_OK, PL_SFTP_EOF, PL_SFTP_NO_FILE,
	PL_SFTP_DENIED, PL_SFTP_FAILURE, PL_SFTP_BAD_MESSAGE,
	PL_SFTP_NO_CONNECTION, PL_SFTP_LOST, PL_SFTP_UNSUPPORTED };
#define PL_SFTP_CHUNK	32768u		/* octets a READ or WRITE, at most */
#define PL_SFTP_HANDLE	256		/* octets of a handle, at most */
#define PL_SFTP_READ_FLAG	0x01u	/* of OPEN */
#define PL_SFTP_NEW_FLAGS	0x2au	/* write, create, exclusive */
#define PL_SFTP_NO_MODE		0xffffffffu

struct pl_sftp_handle {
	size_t len;
	unsigned char octets[PL_SFTP_HANDLE];
};
struct pl_sftp_req {
	enum pl_sftp_op op;
	const char *path, *to;	/* to: RENAME, POSIX_RENAME, SYMLINK */
	const struct pl_sftp_handle *handle;
	uint32_t flags;		/* OPEN */
	uint32_t mode;		/* OPEN MKDIR …SETSTAT: rights */
	uint64_t offset;	/* READ WRITE */
	const void *data;	/* WRITE */
	size_t len;		/* READ WRITE */

	/* the answer */
	bool sent, answered;
	unsigned status;	/* PL_SFTP_OK for answers of other forms too */
	char text[80];		/* the server's own word for a failure */
	struct pl_sftp_handle got;	/* OPEN OPENDIR */
	uint32_t perm;		/* LSTAT STAT: type and rights; 0: not told */
	bool sized;
	uint64_t size;		/* LSTAT STAT: where sized */
	char *body;		/* READ: octets; READDIR, READLINK: names, NUL behind each */
	size_t body_len;
	uint64_t avail;		/* STATVFS: blocks left for us */
};
struct pl_sftp;
/* Keeps ssh (closes it with itself, and on failure). */
enum pl_code pl_sftp_open(struct pl_sftp **out, struct pl_ssh *ssh,
    int64_t deadline, struct pl_err *err);
void pl_sftp_close(struct pl_sftp *s);
bool pl_sftp_stale(struct pl_sftp *s);
/* Does the server know this extension (op from PL_SFTP_POSIX_RENAME on)? */
bool pl_sftp_knows(const struct pl_sftp *s, enum pl_sftp_op op);
/*
 * Sends all requests without waiting in between and takes the answers in
 * any order.  PL_OK: each has an answer, whatever it is.  Else PL_ENET or
 * PL_EPROTO: `answered` tells which have one, and the connection is of no
 * more use.  Answers are freed by pl_sftp_req_clear.
 */
enum pl_code pl_sftp_do(struct pl_sftp *s, struct pl_sftp_req *r, size_t n,
    int64_t deadline, struct pl_err *err);
void pl_sftp_req_clear(struct pl_sftp_req *r, size_t n);
/* The code and, with err, the text for a status that is not OK. */
enum pl_code pl_sftp_fail(const struct pl_sftp_req *r, const char *what,
    struct pl_err *err);

#endif
