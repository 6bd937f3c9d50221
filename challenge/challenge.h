/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of challenge/: what must be visible (methods, names, jobs as
 * JSON) and whether it is (the verifier).
 */
#ifndef PL_CHALLENGE_H
#define PL_CHALLENGE_H

#include "wire.h"

/* ---- methods (DESIGN.md section 3) ------------------------------------ */

enum pl_method { PL_DNS_01, PL_DNS_ACCOUNT_01, PL_DNS_PERSIST_01,
	PL_DNS_TXT_TOKEN, PL_DNS_CNAME_TOKEN, PL_HTTP_01, PL_HTTP_FILE,
	PL_EMAIL, PL_NMETHODS };
const char *pl_method_name(enum pl_method m);		/* "dns-01" */
bool pl_method_parse(enum pl_method *m, const char *name);

/* The forms that a challenge takes in the world. */
enum pl_kind { PL_TXT, PL_CNAME, PL_FILE, PL_NOTHING, PL_NKINDS };
const char *pl_kind_name(enum pl_kind k);		/* "TXT", "CNAME", "FILE" */
enum pl_kind pl_method_kind(enum pl_method m);

enum pl_state { PL_QUEUED, PL_PUBLISHED, PL_VISIBLE, PL_REMOVED, PL_FAILED,
	PL_PARTIAL, PL_NSTATES };
const char *pl_state_name(enum pl_state s);

/*
 * A challenge as it was asked for, checked and complete: owner name or path
 * and data are worked out.  All strings are its own.
 */
#define PL_TXT_MAX 2048	/* octets of TXT data; the wire room cuts it in strings */
struct pl_challenge {
	enum pl_method method;
	enum pl_kind kind;
	char *domain;		/* A-labels, lower case, without "*." */
	bool wildcard;		/* the domain was given as "*.D" */
	char *shown;		/* the domain as reports show it: "*.example.com" */
	char *record;		/* TXT, CNAME: owner name; FILE: "/.well-known/…"; NOTHING: "" */
	char *value;		/* TXT data, CNAME target, file octets; NOTHING: "" */
	size_t value_len;
	char *key_authorization;	/* as it was given, or NULL */
	char *account;		/* overrides routes, or NULL */
	uint32_t ttl;		/* 0: the account's */
	bool standing;		/* dns-persist-01: stays unless asked */
	bool https;		/* FILE: the CA fetches it by https, not by http */
};

/* The members of a challenge as text, before any check; NULL: not given. */
struct pl_challenge_args {
	const char *method, *domain, *value, *token, *key_authorization,
	    *name, *path, *content, *account_url, *account;
	size_t content_len;
	const char *issuer, *policy;	/* dns-persist-01: issuer domain name, "wildcard" */
	int64_t persist_until;	/* dns-persist-01: Unix seconds, 0: none */
	uint32_t ttl;
};
/*
 * Checks and completes.  PL_EINVAL's text begins with the member, in the
 * words of the JSON form: "key-authorization: …".  A member that the method
 * has no use for is an error.  Rules: RFC 8555 8.3 and 8.4,
 * draft-ietf-acme-dns-account-label, draft-ietf-acme-dns-persist, DESIGN.md
 * sections 2 (safety) and 3, and:
 *
 * dns-01, dns-account-01: `value` (43 characters of base64url) or
 * key-authorization; both must agree.  `token` is only compared.
 * dns-persist-01: `value` whole, or issuer and account-url, from which it is
 * composed; given both ways the parts must agree.  "*.D" implies
 * policy=wildcard in a composed value.
 * dns-txt: 1 to PL_TXT_MAX octets of [\x21-\x7e]; `name` is D or below.
 * dns-cname: `name` is below D; `value` a host name.
 * http-01: token and key-authorization.
 * http-file: `path` is a file name, which goes below
 * /.well-known/pki-validation/, or the whole path there or below
 * /.well-known/acme-challenge/; content 1 to PL_LIM_FILE octets.
 * email: nothing else.
 * Host names come in any form that pl_name_ascii takes.
 */
enum pl_code pl_challenge_make(struct pl_challenge *c,
    const struct pl_challenge_args *a, struct pl_err *err);
void pl_challenge_clear(struct pl_challenge *c);

/* ---- jobs -------------------------------------------------------------- */

enum pl_hold { PL_HOLD_RELEASED, PL_HOLD_VISIBLE, PL_HOLD_SECONDS };
struct pl_job {
	char *id;		/* [A-Za-z0-9._:-]{1,128}; made up where not given */
	int64_t deadline;	/* wall ms; 0: none given */
	enum pl_hold hold;
	int64_t hold_seconds;
	char *notify;		/* the program of the configuration that gets its reports, or NULL */
	char *doc;		/* the JSON it was made from, compact, or NULL */
	char *ca;		/* whom CAA must allow, as in struct pl_caa_ask; NULL: as the settings say */
	struct pl_challenge *challenges;
	size_t n;
};
/*
 * From one JSON object; PL_EINVAL names "challenges[3].domain: …".  Members of
 * a challenge beside those of DESIGN.md section 3: token, key-authorization,
 * account-url, account, issuer, policy, persist-until (Unix seconds), ttl
 * (1 and more).  null is a wrong type; absent is absent.  Host names come as
 * A-labels here, a U-label is an error that says its A-form.  No challenge at
 * all, or the very same one twice (method, domain, account, record and
 * value), is an error.  Different domains may lead to the same record and
 * value, as "example.com" and "*.example.com" do with dns-cname: that is no
 * error, and the engine sees to it.
 */
enum pl_code pl_job_make(struct pl_job *j, const json_t *doc,
    struct pl_err *err);
void pl_job_clear(struct pl_job *j);
/*
 * All jobs of a text: one JSON object, or several, one a line (NDJSON, blank
 * lines skipped), or a JSON array of jobs.  Errors begin "what: line N: " with
 * the line where the job begins, or where its faulty challenge does.  A job
 * id twice, an empty text, an empty array and more than PL_LIM_JOB octets
 * are errors.  `docs`: each keeps its JSON.
 */
enum pl_code pl_jobs_read(struct pl_job **jobs, size_t *n, const char *text,
    size_t len, const char *what, bool docs, struct pl_err *err);

/* ---- the record rules (DESIGN.md section 2) ---------------------------- */

/*
 * May this record be written?  Owner names must look like a challenge: the
 * first label is _acme-challenge, _dnsauth, _validation-persist,
 * _<hex of 32 or more>, an account label before _acme-challenge (RFC draft), or matches one of `patterns`
 * (fnmatch-like, '*' only, NULL-terminated, may be NULL; lower case; a
 * pattern without a dot is held against the first label, one with a dot
 * against the whole name); never directly
 * under a public suffix; TXT or CNAME only; values as pl_record_value
 * checks them.  `apex_txt` allows dns-txt at a plain domain name.
 * Kind FILE: as pl_record_path.  Errors begin with the name.  Needs of
 * wire/ psl.c only, so that a worker links no more.
 */
enum pl_code pl_record_allowed(enum pl_kind kind, const char *name,
    const char *value, size_t value_len, bool apex_txt,
    const char *const *patterns, struct pl_err *err);

/*
 * Its data alone.  TXT: 1 to PL_TXT_MAX octets of [\x21-\x7e], blanks too
 * where the name is _validation-persist's.  CNAME: a host name in lower case
 * without final dot, other than `name`.  FILE: 1 to PL_LIM_FILE octets.
 */
enum pl_code pl_record_value(enum pl_kind kind, const char *name,
    const char *value, size_t len, struct pl_err *err);
/*
 * A path: /.well-known/acme-challenge/ or /.well-known/pki-validation/ and one
 * component [A-Za-z0-9_-]{1,128}, in both with or without .txt, .html, .htm.
 */
enum pl_code pl_record_path(const char *path, struct pl_err *err);
/* ---- CAA (RFC 8659, RFC 8657; no network here) --------------------------- */

struct pl_caa_rr {
	unsigned flags;
	const char *tag;	/* lower case */
	const char *value;
	size_t len;
};
/* What is published at one name, aliases followed. */
struct pl_caa_set {
	const char *failed;	/* why it could not be looked up ("SERVFAIL"), or NULL */
	const struct pl_caa_rr *rr;
	size_t n;
};
struct pl_caa_ask {
	const char *domain;	/* A-labels, without "*." */
	bool wildcard;
	const char *ca;		/* "sectigo.com"; several: "a.example,b.example"; NULL: only show */
	const char *account_uri;	/* NULL: not known */
	const char *methods;	/* RFC 8657 labels that will do, "dns-01,ca-tbr-7"; NULL: not known */
};
enum pl_caa { PL_CAA_WAIT, PL_CAA_ALLOWED, PL_CAA_FORBIDDEN, PL_CAA_FAILED };
/*
 * Climbs from the domain towards the root to the first name with CAA
 * records and says whether that CA may issue.  lookup() lends the set of a
 * name until the end of the call, or returns false: not known yet (WAIT).
 * Appends to text, in words, by which record at which name, and what
 * record would allow it.  A failed lookup is FAILED, as it is at the CA.
 */
enum pl_caa pl_caa_climb(const struct pl_caa_ask *a,
    bool (*lookup)(void *ctx, const char *name, struct pl_caa_set *set),
    void *ctx, struct pl_buf *text);
/* The label of RFC 8657 or BR 2.2.8 that a CA goes by; NULL: none. */
const char *pl_caa_label(enum pl_method m);

/* ---- verification (DESIGN.md section 7) -------------------------------- */

/* What one server (or web address) answered. */
enum pl_answer { PL_ANS_NONE, PL_ANS_PRESENT, PL_ANS_ABSENT, PL_ANS_STALE,
	PL_ANS_REFUSED, PL_ANS_LAME, PL_ANS_TIMEOUT, PL_ANS_BOGUS,
	PL_ANS_ERROR,
	PL_ANS_UNREACHABLE,	/* no route to its family or network from here: left out */
	PL_NANSWERS };
const char *pl_answer_name(enum pl_answer a);	/* "present", "stale", ... */

struct pl_verdict {
	char *server;		/* name of the server, or its address */
	char *address;		/* "192.0.2.1", "2001:db8::1"; with ":PORT" ("[v6]:PORT") where not 53 or 80 */
	enum pl_answer answer;
	uint32_t ms;		/* round trip of the last question */
	char *note;		/* what was odd, in words, or NULL */
};

enum pl_look {
	PL_LOOK_UNTIL,		/* poll until visible or the deadline */
	PL_LOOK_ONCE,		/* one look, then tell */
	PL_LOOK_WHERE,		/* follow aliases, find the zone; no value looked for */
	/*
	 * Pre-flight, no value looked for: "present" is a server that answers
	 * for the zone (FILE: an address that speaks HTTP); findings tell of
	 * delegation, aliases, DNSSEC and CAA.  visible: nothing stands in the way.
	 */
	PL_LOOK_CHECK,
};

/* Something found out beside the servers' verdicts. */
enum pl_mark { PL_MARK_INFO, PL_MARK_GOOD, PL_MARK_WARN, PL_MARK_BAD,
	PL_NMARKS };
const char *pl_mark_name(enum pl_mark m);	/* "info", "good", "warn", "bad" */
struct pl_finding {
	char *topic;		/* "alias", "delegation", "dnssec", "caa", "size", "resolvers" */
	enum pl_mark mark;
	char *text;
};

/* A question to the verifier.  Strings are copied by pl_verifier_add. */
struct pl_check {
	uint32_t id;			/* the caller's */
	enum pl_look look;
	enum pl_kind kind;
	const char *record;		/* owner name, or URL path */
	const char *domain;		/* whose zone or host it is */
	const char *value;
	size_t value_len;
	int64_t timeout_ms;		/* from now; ONCE and WHERE: of the look */
	int64_t first_ms;		/* wait before the first look */
	/* For CAA; ca NULL: CAA is not judged (CHECK: only shown). */
	const char *ca, *account_uri, *methods;	/* as in struct pl_caa_ask */
	bool wildcard;
	bool https;			/* FILE: by https, its certificate not judged, as CAs do */
};

/* What the verifier found out. */
struct pl_sighting {
	uint32_t id;
	bool final;			/* false: progress */
	bool visible;
	enum pl_code code;		/* PL_OK, PL_EABSENT, PL_ENET (no server could be found or asked), PL_EREMOTE (alias loop, bogus), ... */
	struct pl_err err;
	char *record;			/* where the aliases end; FILE: final URL */
	char *zone;			/* the zone that holds it, or NULL */
	struct pl_verdict *verdicts;
	size_t n;
	uint32_t looks;			/* rounds of questions so far */
	struct pl_finding *findings;	/* final only */
	size_t nfindings;
};
void pl_sighting_clear(struct pl_sighting *s);
void pl_findings_free(struct pl_finding *f, size_t n);	/* NULL is allowed */

/* Strings and lists are copied. */
struct pl_verify_settings {
	const char *const *servers;	/* "ADDR[:PORT]", replace discovery; NULL-terminated or NULL */
	const char *const *resolvers;	/* same, or "https://HOST/PATH" (RFC 8484); NULL: /etc/resolv.conf */
	unsigned quorum;		/* 0: all */
	const char *const *http_servers;	/* "ADDR[:PORT]" to fetch from instead of the name's addresses */
	const char *const *https_servers;	/* same, by https; NULL: port 443 of http_servers */
	bool site_local;		/* private and loopback targets of HTTP are allowed */
	const char *dnssec, *caa;	/* "off", "warn", "require" */
	const char *trust_anchor;	/* file, or NULL */
};

/*
 * The verifier: any number of checks in one poll loop, by the caller's
 * leave.  Nothing blocks.  found() is called from pl_verifier_run with a
 * sighting lent for the call: progress when the verdicts of a check change,
 * and once with final set, after which the id is forgotten.
 */
struct pl_verifier;
enum pl_code pl_verifier_new(struct pl_verifier **out,
    const struct pl_verify_settings *set,
    void (*found)(void *ctx, const struct pl_sighting *s), void *ctx,
    struct pl_err *err);
void pl_verifier_free(struct pl_verifier *v);
enum pl_code pl_verifier_add(struct pl_verifier *v, const struct pl_check *c,
    struct pl_err *err);
void pl_verifier_cancel(struct pl_verifier *v, uint32_t id);
size_t pl_verifier_open(const struct pl_verifier *v);	/* checks under way */
/* One descriptor to poll for reading (an epoll). */
int pl_verifier_fd(const struct pl_verifier *v);
/* Does what is due; returns milliseconds until it wants to be called again
 * even without input, -1: no need. */
int pl_verifier_run(struct pl_verifier *v);

/* Frames between engine and placard-check (types in agent.h). */
void pl_verify_settings_put(struct pl_buf *b,
    const struct pl_verify_settings *s);
/* Gives lists of strings that live in the frame; free the two arrays with pl_verify_settings_drop. */
void pl_verify_settings_get(struct pl_cursor *c, struct pl_verify_settings *s);
void pl_verify_settings_drop(struct pl_verify_settings *s);
void pl_check_put(struct pl_buf *b, const struct pl_check *c);
void pl_check_get(struct pl_cursor *c, struct pl_check *out); /* lends from the frame */
void pl_sighting_put(struct pl_buf *b, const struct pl_sighting *s);
void pl_sighting_get(struct pl_cursor *c, struct pl_sighting *out); /* gives */

#endif
