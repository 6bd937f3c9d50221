/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of providers/: modules that make a record or a file visible.
 *
 * A provider file has two parts.  Its description (name, options, limits) is
 * compiled into the engine through registry.c; its code is compiled only
 * into its worker program.  The same file serves both: it is compiled a
 * second time with PL_DESCRIBE defined, which leaves only the description.
 */
#ifndef PL_PROVIDERS_H
#define PL_PROVIDERS_H

#include "challenge.h"

/* ---- options ----------------------------------------------------------- */

enum pl_opt_type {
	PL_OPT_STRING, PL_OPT_INT, PL_OPT_BOOL, PL_OPT_LIST,
	PL_OPT_SECRET,	/* "X", or "X-file", "X-command", "X-credential" */
	PL_OPT_PATH,	/* a local path; a relative one starts from the folder of the configuration file */
	PL_OPT_URL	/* scheme, host and port; https unless the host is loopback */
};
struct pl_option {
	const char *name;	/* NULL ends a table */
	enum pl_opt_type type;
	bool required;
	const char *fallback;	/* the default as text, or NULL */
	const char *values;	/* "a|b|c": the only values allowed, or NULL */
	int64_t min, max;	/* INT, where max > 0 */
	const char *help;	/* one line */
};
/* Options that every account takes: enabled, ttl, timeout, allow-names,
 * follow. */
extern const struct pl_option pl_common_options[];
/* Options that every HTTP provider takes: endpoint, ca-file. */
extern const struct pl_option pl_http_options[];

/* What an account's section said; a list of name and values. */
struct pl_setting {
	char *name;		/* as written: "key-secret-file" */
	char **values;
	size_t n;
	struct pl_secret *secret;	/* an inline secret, else NULL */
};
struct pl_settings {
	char *account;		/* the account's name */
	char *provider;
	struct pl_setting *list;
	size_t n;
};
void pl_settings_clear(struct pl_settings *s);
/* Adds; values are copied. */
void pl_settings_add(struct pl_settings *s, const char *name,
    const char *const *values, size_t n);
/* Adds a secret given inline, which it keeps. */
void pl_settings_add_secret(struct pl_settings *s, const char *name,
    struct pl_secret *secret);
/* Adds a copy of a setting. */
void pl_settings_copy(struct pl_settings *s, const struct pl_setting *one);
/* The first value, or NULL; the description's default is not looked up. */
const char *pl_setting(const struct pl_settings *s, const char *name);
const struct pl_setting *pl_setting_find(const struct pl_settings *s,
    const char *name);
int64_t pl_setting_int(const struct pl_settings *s, const char *name,
    int64_t fallback);
bool pl_setting_bool(const struct pl_settings *s, const char *name,
    bool fallback);
/* The forms of a secret X are X and X with these behind: "-file", …; the
 * first is "". */
#define PL_SECRET_FORMS 4
extern const char *const pl_secret_forms[PL_SECRET_FORMS];
/* Is the secret given in one of its four forms? */
bool pl_setting_has_secret(const struct pl_settings *s, const char *name);
/*
 * Loads a secret from whichever form is given (X-credential: a file of that
 * name in $CREDENTIALS_DIRECTORY, passed on by the engine as
 * "credentials-directory").  *out is NULL with PL_OK where none is
 * given.  `whole` keeps all lines (private keys).
 */
enum pl_code pl_setting_secret(const struct pl_settings *s, const char *name,
    bool whole, struct pl_secret **out, struct pl_err *err);
void pl_settings_put(struct pl_buf *b, const struct pl_settings *s);
void pl_settings_get(struct pl_cursor *c, struct pl_settings *s); /* gives */

/* ---- changes ----------------------------------------------------------- */

enum pl_op {
	PL_LOOK,	/* is the value there? changes nothing (PL_P_LOOK) */
	PL_ADD,
	PL_DEL
};
struct pl_change {
	enum pl_op op;
	enum pl_kind kind;
	uint32_t ttl;
	const char *name;	/* absolute, lower case, no final dot; FILE: path below the root, "/.well-known/…" */
	const char *value;	/* exact TXT data, CNAME target, or file octets */
	size_t value_len;
	const char *handle;	/* DEL: what ADD left in the outcome, or NULL;
				 * ADD: NULL, or as PL_P_SOURCE has it */
	bool apex;		/* dns-txt at a plain domain name: see pl_record_allowed */
};

enum pl_was { PL_WAS_UNKNOWN, PL_WAS_ABSENT, PL_WAS_PRESENT };

/* What became of the change with the same index. */
struct pl_outcome {
	enum pl_code code;	/* PL_EUNDONE when apply() is entered */
	enum pl_was was;	/* LOOK, ADD: was the value there before us? */
	char handle[128];	/* ADD: provider's own id, kept in the journal */
	char alias[256];	/* PL_ECONFLICT: the name is a CNAME to this */
	char text[200];		/* why code is not PL_OK; "" where the call's err says it */
};

struct pl_call {
	int64_t deadline;		/* pl_mono_ms */
	const struct pl_log *log;	/* debug only */
	/* n == 0: what was found is told by pl_say_zones; NULL: nobody asks. */
	struct pl_buf *said;
};
/* Tells which zones the account reaches: how many, and the first few.
 * `more`: there may be others.  name() lends the i-th. */
void pl_say_zones(const struct pl_call *call, size_t n, bool more,
    const char *(*name)(const void *ctx, size_t i), const void *ctx);

/* Do all of the vendor's servers have what an ADD has left this handle for? */
enum pl_spread_state { PL_SPREAD_UNKNOWN, PL_SPREAD_NOT_YET, PL_SPREAD_DONE };
struct pl_spread {
	const char *scope, *handle;
	enum pl_spread_state state;
};

/* Behind the zones: the account could do more than it is here for, as the
 * API tells or its kind of credential. */
void pl_say_warning(const struct pl_call *call, const char *fmt, ...)
    PL_PRINTF(2, 3);

/* ---- providers --------------------------------------------------------- */

#define PL_P_LOOK	0x1	/* knows PL_LOOK: the engine looks before it adds */
#define PL_P_ALIAS	0x2	/* tells by itself that a name is a CNAME (outcome.alias) */
#define PL_P_HTTP	0x4	/* takes pl_http_options */
#define PL_P_HOSTKEY	0x8	/* has probe(): the host's keys */
#define PL_P_STAY	0x10	/* knows by itself where the aliases of its names lead */
#define PL_P_SOURCE	0x20	/* handles tell from the first on what the value was
				 * made of: a TXT record's key authorization where
				 * it is known, a file's domain */
#define PL_P_SWIFT	0x100	/* a call costs little: the engine makes many small ones,
				 * several scopes in a frame; has no rate */
/*
 * What it publishes is there only as long as its worker lives: the worker
 * stays, and one that is started again gets what the journal has published
 * before it says that it is ready.  Has fd and serve below.
 */
#define PL_P_RESIDENT	0x40
/*
 * It has few places and cannot tell who needs what is in them: a call that
 * adds begins with the adds that this installation still needs at the scope,
 * by whichever process, the oldest first.
 */
#define PL_P_KEEP	0x200

/* Has spread(): the vendor tells when all its servers have a change. */
#define PL_P_SPREAD	0x80

struct pl_provider_desc {
	const char *name;		/* as in `provider = "…"` */
	const char *program;		/* its worker: "placard-dns" */
	const char *summary;		/* one line */
	unsigned kinds;			/* bits: 1u << enum pl_kind */
	unsigned flags;			/* PL_P_… */
	size_t max_batch;		/* changes a call; 0: any */
	uint32_t min_ttl, default_ttl;	/* seconds */
	unsigned parallel;		/* calls at once on different scopes; 1 at least */
	unsigned rate;			/* requests a minute; 0: no limit known */
	unsigned burst;			/* of them at once after a rest; 0: a sixth of rate */
	const struct pl_option *options;
	/* Rules between options ("one of auth-id, …"), or NULL.  Pure: no
	 * file, no network. */
	enum pl_code (*check)(const struct pl_settings *set,
	    struct pl_err *err);
	/*
	 * How to get credentials that can do this and nothing else, or NULL.
	 * A line that begins with @ is repeated for each record; %R is the
	 * record's owner name, %D its domain, %, a comma but for the last
	 * one, %* all owner names, %% a percent sign.
	 */
	const char *recipe;
};

/*
 * The code.  Synchronous and straight-line: no threads, no sleep, no retry,
 * no logging above debug, no environment, no standard output.
 */
struct pl_provider {
	const struct pl_provider_desc *desc;

	/* Reads secrets, prepares; no network.  *self is closed by close(). */
	enum pl_code (*open)(void **self, const struct pl_settings *set,
	    struct pl_err *err);
	/*
	 * Optional (NULL): these names will be given to scope() next, so a
	 * provider can find out about all of them at once.  What fails
	 * here is told by scope().
	 */
	void (*prime)(void *self, const struct pl_call *call,
	    const char *const *names, size_t n);
	/*
	 * Which zone (apex) or host of this account holds `name`: longest
	 * match among what the account really has.  Writes at most
	 * PL_NAME_MAX octets.  PL_ENOZONE where none does.  FILE kinds: the
	 * host ("local" for `file`).
	 */
	enum pl_code (*scope)(void *self, const struct pl_call *call,
	    const char *name, char scope[PL_NAME_MAX], struct pl_err *err);
	/*
	 * Applies n changes of one scope.  Adds and deletes may mix, LOOKs come alone.
	 * Add of what exists already is success with was = PRESENT; delete
	 * of what is gone is success; delete removes the exact value and
	 * never the set.  Returns PL_OK only if every out[i] is PL_OK, else
	 * the code that err tells about; untouched entries stay PL_EUNDONE.
	 * n == 0 authenticates, confirms the scope is manageable and
	 * changes nothing (scope may be "" : then the account as a whole).
	 */
	enum pl_code (*apply)(void *self, const struct pl_call *call,
	    const char *scope, const struct pl_change *chg,
	    struct pl_outcome *out, size_t n, struct pl_err *err);
	void (*close)(void *self);
	/*
	 * Optional (NULL: one a call): how many requests have gone out since
	 * open().  What they cost is the account's bucket's.
	 */
	uint32_t (*requests)(void *self);
	/*
	 * PL_P_SPREAD only, else NULL: sets the state of each.  Ordered by
	 * scope.  What cannot be found out is PL_SPREAD_UNKNOWN, with which
	 * they come; it is a hint, so there is no error.
	 */
	void (*spread)(void *self, const struct pl_call *call,
	    struct pl_spread *list, size_t n);
	/*
	 * Optional (NULL): appends what identifies the host, for a person
	 * to compare ("placard account show --host-key").  Sends no
	 * credential.
	 */
	enum pl_code (*probe)(void *self, const struct pl_call *call,
	    struct pl_buf *text, struct pl_err *err);
	/*
	 * PL_P_RESIDENT only, else NULL: open() has bound its sockets (the
	 * setting "inherited-sockets" says how many descriptors behind the
	 * seam's are sockets that were handed down).  fd() is polled for
	 * reading; serve() does a bounded piece of what is there, and gives
	 * the milliseconds until it wants to be called without input, -1: not.
	 */
	int (*fd)(void *self);
	int (*serve)(void *self);
};

/* A neighbour of files without an extension that makes IIS serve them. */
#define PL_WEB_CONFIG "web.config"
extern const char pl_web_config[];

/* All descriptions, in alphabetical order, NULL-terminated (engine only). */
extern const struct pl_provider_desc *const pl_registry[];
const struct pl_provider_desc *pl_provider_find(const char *name);

/* One line each; the describing half of providers/NAME.c. */
extern const struct pl_provider_desc pl_desc_acmedns;
extern const struct pl_provider_desc pl_desc_azure;
extern const struct pl_provider_desc pl_desc_cloudflare;
extern const struct pl_provider_desc pl_desc_cloudns;
extern const struct pl_provider_desc pl_desc_exec;
extern const struct pl_provider_desc pl_desc_file;
extern const struct pl_provider_desc pl_desc_godaddy;
extern const struct pl_provider_desc pl_desc_httpreq;
extern const struct pl_provider_desc pl_desc_responder;
extern const struct pl_provider_desc pl_desc_rfc2136;
extern const struct pl_provider_desc pl_desc_route53;
extern const struct pl_provider_desc pl_desc_sftp;
/* The code half, in worker programs only. */
extern const struct pl_provider pl_provider_acmedns;
extern const struct pl_provider pl_provider_azure;
extern const struct pl_provider pl_provider_cloudflare;
extern const struct pl_provider pl_provider_cloudns;
extern const struct pl_provider pl_provider_exec;
extern const struct pl_provider pl_provider_file;
extern const struct pl_provider pl_provider_godaddy;
extern const struct pl_provider pl_provider_httpreq;
extern const struct pl_provider pl_provider_responder;
extern const struct pl_provider pl_provider_rfc2136;
extern const struct pl_provider pl_provider_route53;
extern const struct pl_provider pl_provider_sftp;

#endif
