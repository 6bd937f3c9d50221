/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of agent/: configuration, journal, workers, engine.
 *
 * Who owns a challenge at each moment: the job's run owns its tasks until
 * pl_engine_free.  A task's targets sit in exactly one place: the waiting
 * list of their group (account and scope), or a batch that a worker has.  A
 * batch comes back with outcomes, or without any when its worker died; then
 * its targets go back to the waiting list and the journal says what may
 * have happened.
 */
#ifndef PL_AGENT_H
#define PL_AGENT_H

#include <sys/types.h>

#include "orders.h"

/* ---- configuration (DESIGN.md section 5): config.c --------------------- */

struct pl_account {
	struct pl_settings settings;	/* settings.account is the name */
	const struct pl_provider_desc *desc;
	bool enabled;
	const char *file;
	unsigned line;
	uint32_t ttl;			/* seconds; the provider's default where not given */
	int64_t timeout_ms;		/* of one call */
	unsigned rate;			/* requests a minute; 0: any */
	char **allow_names;		/* NULL-terminated patterns, or NULL */
	bool follow;			/* publish where a CNAME leads */
};
struct pl_route {
	char *name;			/* A-labels; "" serves every name */
	enum pl_method methods[PL_NMETHODS];
	size_t nmethods;		/* 0: all */
	char **accounts;
	size_t naccounts;
	bool enabled;
	int follow;			/* -1: as the account says */
};
struct pl_verify_conf {
	int64_t timeout_ms;
	/* NULL-terminated or NULL */
	char **resolvers, **servers, **http_servers, **https_servers;
	unsigned quorum;		/* 0: all */
	bool site_local;
	char *dnssec, *caa, *trust_anchor;
};
/* An order controller (DESIGN.md section 8). */
struct pl_controller {
	struct pl_settings settings;	/* settings.account is its name, provider its kind */
	bool enabled;
	const char *file;
	unsigned line;
	unsigned page_size;
	unsigned renewal_window;	/* days */
	int64_t renew_before;		/* ms before the end; 0: as usual, -1: off */
	bool renew_keep;		/* the same key again */
	int64_t timeout_ms;		/* of one call */
};
/* How workers confine themselves. */
enum pl_sandbox_mode { PL_SANDBOX_ON, PL_SANDBOX_LOG, PL_SANDBOX_OFF };
/* placardd: what section `service` says. */
struct pl_service_conf {
	char *socket, *group, *spool;	/* NULL: see pl_config_socket and _spool; group: placard, if there is one */
	char *metrics_listen;		/* "ADDR:PORT" on loopback, "unix:/PATH", or NULL */
	char *metrics_file;		/* or NULL */
	int64_t deadline_ms;		/* of jobs that have none */
	int64_t max_age_ms;		/* of what nobody has released */
	int64_t keep_ms;		/* how long jobs that are done are remembered */
	unsigned max_jobs;		/* that are not done */
	enum pl_sandbox_mode sandbox;
};
/* A program that gets reports on its standard input. */
struct pl_notify_conf {
	char *name;
	char **argv;			/* argv[0]: absolute path */
	int64_t timeout_ms;
	unsigned events;		/* of orders: bits of enum pl_notice */
};
/* Where certificates go: a section deploy and its targets. */
struct pl_deploy_target {
	char *label;			/* "TITLE/NAME", or "TITLE" */
	struct pl_settings settings;	/* section and target together */
	bool remote;			/* on the host of an sftp account */
	bool enabled;
	int64_t timeout_ms;		/* of each of its steps */
};
struct pl_deploy {
	char *title;			/* a name, or a pattern */
	struct pl_deploy_target *targets;
	size_t n;
};
struct pl_config {
	char *path;			/* NULL where there was no file */
	bool unreadable;		/* the default file is there, but not for this user */
	char *state_directory;
	struct pl_account *accounts;
	size_t naccounts;
	struct pl_route *routes;
	size_t nroutes;
	struct pl_controller *controllers;
	size_t ncontrollers;
	struct pl_verify_conf verify;
	struct pl_service_conf service;
	struct pl_notify_conf *notifies;
	size_t nnotifies;
	struct pl_deploy *deploys;
	size_t ndeploys;
	struct pl_rules *rules;		/* of all CAs: see pl_config_rules */
	struct pl_conf_section *tree;	/* for sections of other rooms; may be NULL */
};
/*
 * path NULL: $PLACARD_CONFIG, else /etc/placard/placard.conf, which
 * may be missing.  PL_EINVAL where there are faults; they are all in
 * `faults`, one a line.
 */
enum pl_code pl_config_load(struct pl_config **out, const char *path,
    struct pl_faults *faults, struct pl_err *err);
void pl_config_free(struct pl_config *c);
const struct pl_account *pl_config_account(const struct pl_config *c,
    const char *name);
/*
 * The controller of this name, or with name NULL the only one that is
 * enabled.  PL_EINVAL: none, disabled, or several and no name given; it
 * names them.
 */
enum pl_code pl_config_controller(const struct pl_controller **out,
    const struct pl_config *c, const char *name, struct pl_err *err);
/* "20d", or "off": -1. */
enum pl_code pl_config_renew_before(int64_t *ms, const char *text,
    struct pl_err *err);
/* Reads the rules that are installed, unless the configuration has named
 * others.  PL_EINVAL: there are none, or they have faults. */
enum pl_code pl_config_rules(struct pl_config *c, struct pl_err *err);
/* Gives the path of the directory where its orders' new keys go. */
char *pl_config_keys(const struct pl_config *c,
    const struct pl_controller *k);
/* The longest enabled route that serves this name and method, or NULL. */
const struct pl_route *pl_config_route(const struct pl_config *c,
    const char *domain, enum pl_method m);

/* config-deploy.c.  By its label, or NULL. */
const struct pl_deploy_target *pl_config_target(const struct pl_config *c,
    const char *label);
/* Gives the targets, *count of them, that serve a certificate with these
 * names and are enabled; free(). */
const struct pl_deploy_target **pl_config_targets(const struct pl_config *c,
    const char *const *names, size_t n, size_t *count);

const struct pl_notify_conf *pl_config_notify(const struct pl_config *c,
    const char *name);
/* Gives the path of the service's socket; `client`: where to ask rather than
 * where to listen. */
char *pl_config_socket(const struct pl_config *c, bool client);
/* Lends the folder in which incoming/ and rejected/ are. */
const char *pl_config_spool(const struct pl_config *c);
/* May these records be written at all?  PL_EINVAL: challenge *which not. */
enum pl_code pl_config_allows(const struct pl_config *c,
    const struct pl_job *job, size_t *which, struct pl_err *err);

/* ---- event loop: loop.c ------------------------------------------------- */

struct pl_loop;
enum pl_code pl_loop_new(struct pl_loop **out, struct pl_err *err);
void pl_loop_free(struct pl_loop *l);
/* Calls fn when fd can be read (or written, with `write`), or has hung up.
 * One entry a descriptor; set again to change. */
void pl_loop_watch(struct pl_loop *l, int fd, bool write,
    void (*fn)(void *ctx), void *ctx);
void pl_loop_unwatch(struct pl_loop *l, int fd);
/* Calls fn once, `ms` from now (monotonic).  Gives an id, never 0. */
uint64_t pl_loop_after(struct pl_loop *l, int64_t ms, void (*fn)(void *ctx),
    void *ctx);
void pl_loop_forget(struct pl_loop *l, uint64_t id);	/* 0 is allowed */
/* Waits for and does what is next; PL_EIO where polling fails. */
enum pl_code pl_loop_turn(struct pl_loop *l, struct pl_err *err);

/* ---- workers: pool.c, seam.c, serve.c ----------------------------------- */

/*
 * The seam.  A worker is a program that is executed with one end of a
 * socketpair as descriptor 3, an empty environment but for PATH and LANG,
 * and /dev/null as standard input and output.  The engine speaks first:
 *
 *   engine                       worker
 *   HELLO role, settings     ->
 *                            <-  READY err           (credentials loaded)
 *   REFILL n × (scope, change) -> (resident accounts only, before READY:
 *                                 what is published; an empty one ends it)
 *   SCOPE call, deadline, names ->
 *                            <-  SCOPED call, n × (code, scope, text), requests
 *   APPLY call, deadline, k × (scope, n, changes) ->
 *                            <-  APPLIED call, k × (err, n, outcomes; without
 *                                changes what the provider said), requests
 *   PROBE call, deadline     ->
 *                            <-  PROBED call, err, text (providers with PL_P_HOSTKEY)
 *   SPREAD call, deadline, n × (scope, handle) ->
 *                            <-  SPREADED call, n × state, requests (PL_P_SPREAD)
 *   CHECK n × check          ->                      (role check)
 *   CANCEL id                ->
 *                            <-  SEEN sighting       (any number, the last one final)
 *   CALL call, deadline, parallel, n × (path, JSON text) ->   (role controller)
 *                            <-  CALLED call, n × (err, number, sent, JSON text)
 *   CALL call, deadline, verb, certificate or generation ->   (role deploy)
 *                            <-  CALLED call, err, same, generation, previous
 *   CALL call, deadline, "pre-check" or "reload" ->   (role command)
 *                            <-  CALLED call, err, output
 *   CALL call, deadline, host, port, name, SHA-256 ->   (role served)
 *                            <-  CALLED call, err
 *   CALL call, file, type, subject, names ->          (role key)
 *                            <-  CALLED call, err, PEM
 *
 * `call` is the engine's number and comes back as it is.  Deadlines are
 * milliseconds from now; requests are those that the call made to the vendor.
 * One SCOPE, APPLY or SPREAD is under way at a time.  A
 * frame out of turn, with another call number, another count of outcomes or
 * bytes that do not parse means that the worker lies: it is killed and its
 * work goes back.  A worker that is silent 2 s past its call's deadline
 * is killed as well.  The worker ends when its descriptor is closed.
 */
enum pl_msg { PL_MSG_HELLO = 1, PL_MSG_READY, PL_MSG_SCOPE, PL_MSG_SCOPED,
	PL_MSG_APPLY, PL_MSG_APPLIED, PL_MSG_CHECK, PL_MSG_CANCEL,
	PL_MSG_SEEN, PL_MSG_REFILL, PL_MSG_PROBE, PL_MSG_PROBED,
	PL_MSG_CALL, PL_MSG_CALLED, PL_MSG_SPREAD, PL_MSG_SPREADED };

#define PL_SEAM_FD 3
#define PL_ROLE_ACCOUNT "account"
#define PL_ROLE_CHECK "check"
#define PL_ROLE_CONTROLLER "controller"
#define PL_ROLE_DEPLOY "deploy"
#define PL_ROLE_COMMAND "command"
#define PL_ROLE_SERVED "served"
#define PL_ROLE_KEY "key"

/* seam.c: the frames' bodies.  _get lends strings from the frame; arrays it
 * gives are freed with free(). */
void pl_change_put(struct pl_buf *b, const struct pl_change *c);
void pl_change_get(struct pl_cursor *c, struct pl_change *out);
void pl_outcome_put(struct pl_buf *b, const struct pl_outcome *o);
void pl_outcome_get(struct pl_cursor *c, struct pl_outcome *out);
size_t pl_change_size(const struct pl_change *c);	/* octets in a frame */

/* The octet behind the role in HELLO: level of the log and, above it, how the
 * worker confines itself. */
#define PL_HELLO_FLAGS(level, sandbox) \
	((uint8_t)((unsigned)(level) | (unsigned)(sandbox) << 4))
#define PL_HELLO_LEVEL(flags) ((enum pl_level)((flags) & 0xf))
#define PL_HELLO_SANDBOX(flags) ((enum pl_sandbox_mode)((flags) >> 4 & 0x3))

/* sandbox.c: what a worker gives up when it has read what it needs. */
enum pl_profile {
	PL_PROFILE_CHECK,	/* the network; no path to write */
	PL_PROFILE_NET,		/* the network at some TCP ports; no path to write */
	PL_PROFILE_LOCAL,	/* some paths to write; no internet socket */
	PL_PROFILE_EXEC		/* runs programs */
};
struct pl_sandbox {
	enum pl_profile profile;
	enum pl_sandbox_mode mode;
	const char *const *read, *const *write;	/* paths beside the common ones; NULL-terminated, or NULL */
	uint16_t *ports;	/* TCP ports to connect to; none: all */
	size_t nports;
	bool links;		/* LOCAL: may make symbolic links, too */
	int abi_most;		/* for tests: no newer Landlock than this; 0: any */
};
/* Never fails: one log line says what took effect. */
void pl_sandbox_apply(const struct pl_sandbox *s, const struct pl_log *log,
    const char *role);
/* The same for an account's worker, worked out from its settings. */
void pl_sandbox_account(enum pl_sandbox_mode mode,
    const struct pl_settings *set, const struct pl_provider_desc *desc,
    const char *program, const struct pl_log *log);

/* serve.c: the worker's side.  Serves the providers in the table until the
 * engine hangs up; gives the exit status. */
int pl_serve_accounts(const struct pl_provider *const *table,
    const char *who);
/* Another role of a worker program: takes the settings of HELLO and answers
 * CALL with CALLED. */
struct pl_service {
	const char *role;
	/* The settings are lent until close(). */
	enum pl_code (*open)(void **self, const struct pl_settings *set,
	    const struct pl_log *log, struct pl_err *err);
	/* What it read, it has; or NULL. */
	void (*confine)(void *self, enum pl_sandbox_mode mode,
	    const struct pl_settings *set, const struct pl_log *log);
	/* Writes the answer to a CALL; PL_EPROTO: the engine lies. */
	enum pl_code (*call)(void *self, struct pl_cursor *c,
	    struct pl_buf *answer);
	void (*close)(void *self);
};
/* The same with more roles; services ends with NULL, or is NULL. */
int pl_serve(const struct pl_provider *const *table,
    const struct pl_service *const *services, const char *who);
/* serve-store.c: role controller, of placard-http. */
extern const struct pl_service pl_service_store;
/* serve-deploy.c: roles deploy and command, of placard-local, and role
 * deploy of placard-ssh. */
extern const struct pl_service pl_service_deploy, pl_service_command,
    pl_service_deploy_remote;
/* serve-served.c: answers a CALL of the role served, of placard-check. */
enum pl_code pl_serve_served(struct pl_cursor *c, struct pl_buf *answer);
/*
 * serve-key.c: role key, of placard-local.  Makes private keys in one
 * directory and requests for them; a key never leaves it.
 */
extern const struct pl_service pl_service_key;

/* key.c: the engine's side of it. */
struct pl_key_ask {
	const char *directory;		/* made, 0700, where it is missing */
	const char *file;		/* its name in there */
	const char *type;		/* "p256", "rsa2048", ... */
	const struct pl_csr *like;	/* whose subject the request has */
	char *const *names;		/* subjectAltName */
	size_t n;
	enum pl_sandbox_mode sandbox;
};
/* One call; the caller's, until done() or the end of the engine. */
struct pl_key_call {
	/* pem NULL: err tells why there is none. */
	void (*done)(void *ctx, const char *pem, const struct pl_err *err);
	void *ctx;
	struct pl_worker *worker;
	uint32_t call;
};
/*
 * Makes a key and its request, or where that file is there already the
 * request for the key that is in it.
 */
struct pl_engine;
void pl_key_make(struct pl_engine *e, const struct pl_key_ask *a,
    struct pl_key_call *call);

/* What to start, and how it is told apart from others. */
struct pl_worker;
struct pl_worker_spec {
	const char *key;		/* "account:lab", "check" */
	const char *program;		/* "placard-dns" */
	const struct pl_buf *hello;	/* body of HELLO */
	unsigned most;			/* workers of this key at once */
	/* Stays, however idle it is; a new one starts only when the one before
	 * is wholly gone. */
	bool resident;
	int sockets;			/* descriptors from 3 on that it gets behind the seam */
	/* HELLO has been sent: more may be; or NULL. */
	void (*started)(void *ctx, struct pl_worker *w);
	void *ctx;
};
struct pl_pool;
enum pl_code pl_pool_new(struct pl_pool **out, struct pl_loop *loop,
    const char *libexec, const struct pl_log *log, struct pl_err *err);
void pl_pool_free(struct pl_pool *p);		/* kills what still runs */
void pl_pool_reap(struct pl_pool *p);	/* kills all of them, waits for their ends and frees */
/*
 * Lends an idle worker of this key, starting one where there are fewer than
 * `most`; NULL with PL_OK: all are busy (pool's `freed` will be called).
 * The worker is the caller's until pl_worker_release.
 */
enum pl_code pl_pool_acquire(struct pl_pool *p,
    const struct pl_worker_spec *spec, struct pl_worker **out,
    struct pl_err *err);
bool pl_pool_lives(const struct pl_pool *p, const char *key);	/* has it a worker? */
void pl_pool_on_freed(struct pl_pool *p, void (*freed)(void *ctx),
    void *ctx);
/*
 * Sends a request; done() is called once: with the answer frame, or with
 * f NULL and err telling why there is none (worker died, hung, lied).
 * After a failure the worker is gone: it must not be released.  `answer`
 * is the frame type that is expected.
 */
void pl_worker_call(struct pl_worker *w, enum pl_msg type,
    const struct pl_buf *body, enum pl_msg answer, int64_t timeout_ms,
    void (*done)(void *ctx, struct pl_frame *f, const struct pl_err *err),
    void *ctx);
/* For answers of the expected type that make no sense: kills the worker. */
void pl_worker_lied(struct pl_worker *w, const char *why);
void pl_worker_release(struct pl_worker *w);
uint32_t pl_worker_next_call(struct pl_worker *w);
/*
 * A worker that streams (role check): frames of type SEEN go to on_frame;
 * when it dies, on_frame is called with f NULL and the worker is gone.
 */
void pl_worker_stream(struct pl_worker *w,
    void (*on_frame)(void *ctx, struct pl_frame *f, const struct pl_err *err),
    void *ctx);
void pl_worker_send(struct pl_worker *w, enum pl_msg type,
    const struct pl_buf *body);
/* Lets a streaming worker go; on_frame is not called any more. */
void pl_worker_retire(struct pl_worker *w);
/* Kills all workers with a call under way; the calls fail, outcome unknown. */
void pl_pool_kill_busy(struct pl_pool *p, const char *why);
unsigned pl_pool_restarts(const struct pl_pool *p);

/* ---- journal: journal.c (states and recovery rule stand in its head) ---- */

enum pl_row_state { PL_ROW_INTENT, PL_ROW_PUBLISHED, PL_ROW_VISIBLE,
	PL_ROW_REMOVING, PL_ROW_LEFT, PL_NROWSTATES };
struct pl_row {
	int64_t id;
	char *job;
	uint32_t seq;		/* index in the job */
	char *method;
	char *domain;		/* as shown: "*.example.com" */
	char *account, *provider, *scope;
	enum pl_kind kind;
	char *name;		/* where it really is: owner name or path */
	char *record;		/* the owner name or path that was asked for */
	char *value;
	size_t value_len;
	uint32_t ttl;
	char *handle;
	bool apex, standing;
	enum pl_was was;
	enum pl_row_state state;
	int64_t created, published, visible;	/* wall ms, 0: not yet */
	int64_t due;		/* wall ms when it has to go, 0: when released */
	int64_t owner;		/* instance that works on it */
};
void pl_row_clear(struct pl_row *r);
const char *pl_row_state_name(enum pl_row_state s);

struct pl_journal;
/* Opens (makes) DIR/journal.db; PL_EIO names the directory.  `create` false:
 * a missing journal gives *out NULL with PL_OK. */
enum pl_code pl_journal_open(struct pl_journal **out, const char *dir,
    bool create, struct pl_err *err);
void pl_journal_close(struct pl_journal *j);
int64_t pl_journal_instance(const struct pl_journal *j);
/* Groups what follows into one durable commit. */
enum pl_code pl_journal_begin(struct pl_journal *j, struct pl_err *err);
enum pl_code pl_journal_commit(struct pl_journal *j, struct pl_err *err);
void pl_journal_rollback(struct pl_journal *j);

/* What to do with a value that is to be added, as the journal sees it. */
enum pl_claim {
	PL_CLAIM_ADD,		/* intent is written: add it */
	PL_CLAIM_OURS,		/* there, and placard's: row is published */
	PL_CLAIM_FOREIGN,	/* there before us: row says so, never removed */
	PL_CLAIM_BUSY,		/* another command is adding or removing it now: look again */
};
/*
 * Writes the intent for a row (all but id, state, created filled in; was as
 * LOOK saw it).  row->id not 0: an intent of ours from an earlier try, taken up
 * again.  Sets row->id, was and state.
 */
enum pl_code pl_journal_claim(struct pl_journal *j, struct pl_row *row,
    enum pl_claim *claim, struct pl_err *err);
/* The outcome of an add: published, with the provider's handle. */
enum pl_code pl_journal_published(struct pl_journal *j, struct pl_row *row,
    const char *handle, enum pl_was was, struct pl_err *err);
enum pl_code pl_journal_visible(struct pl_journal *j, struct pl_row *row,
    struct pl_err *err);
/* The add was refused for good and never happened: forget the intent. */
enum pl_code pl_journal_forget(struct pl_journal *j, struct pl_row *row,
    struct pl_err *err);
enum pl_code pl_journal_due(struct pl_journal *j, struct pl_row *row,
    int64_t due, struct pl_err *err);
/*
 * Before a removal.  *call tells whether the provider must be asked: not
 * where the value was there before us, nor while another row needs it (then
 * the row is settled at once).  *busy: another live command works on it.
 */
enum pl_code pl_journal_removing(struct pl_journal *j, struct pl_row *row,
    bool *call, bool *busy, struct pl_err *err);
enum pl_code pl_journal_removed(struct pl_journal *j, struct pl_row *row,
    struct pl_err *err);

/* Which rows. NULL, 0, false: no condition. */
struct pl_row_query {
	const char *job;
	int64_t before;			/* created before (wall ms) */
	const char *record;		/* what was asked for; with the next three */
	enum pl_kind kind;
	const char *value;
	size_t value_len;
	const char *account;
	bool left;			/* rows in state LEFT too */
	bool orphans;			/* of no job of the service that still works */
};
/* Gives the rows, oldest first; each pl_row_clear, the array free(). */
enum pl_code pl_journal_rows(struct pl_journal *j,
    const struct pl_row_query *q, struct pl_row **rows, size_t *n,
    struct pl_err *err);

/* Does the process still live that has this instance number?  Ours does. */
bool pl_journal_alive(const struct pl_journal *j, int64_t instance);
/* Takes the place of the one service of this journal; PL_EIO: it is taken. */
enum pl_code pl_journal_serve(struct pl_journal *j, struct pl_err *err);
struct pl_db *pl_journal_db(const struct pl_journal *j);	/* for journal-jobs.c */

/* ---- the service's jobs: journal-jobs.c ----------------------------------- */

/* A phase is left forwards only. */
enum pl_job_phase {
	PL_J_ACTIVE,		/* being published and looked for */
	PL_J_HELD,		/* at rest, what it has published stays */
	PL_J_REMOVING,
	PL_J_DONE,		/* nothing of it is left in the world */
	PL_NJOBPHASES
};
const char *pl_job_phase_name(enum pl_job_phase p);
struct pl_job_row {
	char *id;
	int64_t uid;		/* who submitted it */
	char *doc;		/* the job as JSON */
	enum pl_job_phase phase;
	bool cancelled;
	int64_t created;	/* wall ms, as the next ones */
	int64_t deadline;
	int64_t due;		/* HELD: when it has to go */
	int64_t ended;		/* DONE: since when */
	char *source;		/* the spool file it came in, or NULL */
	char *notify;		/* the program that wants its reports, or NULL */
	int64_t told;		/* what that program was told last: a state, or -1 */
	char *report;		/* its last report as JSON, or NULL */
};
void pl_job_row_clear(struct pl_job_row *r);
enum pl_code pl_journal_job_add(struct pl_journal *j,
    const struct pl_job_row *r, struct pl_err *err);
/* Writes phase, cancelled, due and ended; the report where it is not NULL. */
enum pl_code pl_journal_job_put(struct pl_journal *j,
    const struct pl_job_row *r, struct pl_err *err);
/* id empty (NULL) with PL_OK where there is no such job. */
enum pl_code pl_journal_job_get(struct pl_journal *j, const char *id,
    struct pl_job_row *r, struct pl_err *err);
/*
 * Calls each() for every job in the order in which they came, of one spool
 * file only where source is given; `doc` is left out.  each() must not use
 * the journal.
 */
enum pl_code pl_journal_job_each(struct pl_journal *j, const char *source,
    void (*each)(void *ctx, const struct pl_job_row *r), void *ctx,
    struct pl_err *err);
enum pl_code pl_journal_job_drop(struct pl_journal *j, const char *id,
    struct pl_err *err);
/* Jobs of this spool file that are done are no longer of it. */
enum pl_code pl_journal_job_leave(struct pl_journal *j, const char *source,
    struct pl_err *err);
/* Its program was told this. */
enum pl_code pl_journal_job_told(struct pl_journal *j, const char *id,
    int64_t told, struct pl_err *err);
/* Forgets jobs that were done before this wall time, ms; *n of them. */
enum pl_code pl_journal_job_expire(struct pl_journal *j, int64_t before,
    int64_t *n, struct pl_err *err);

/* How many records there are, of all jobs and commands. */
struct pl_tally {
	size_t published, visible;
	int64_t oldest;		/* when the oldest was published, wall ms; 0: none */
};
enum pl_code pl_journal_tally(struct pl_journal *j, struct pl_tally *t,
    struct pl_err *err);

/* What is kept about an account between runs. */
struct pl_account_note {
	int64_t seen_ms;	/* how long its records needed to be visible (moving), 0: unknown */
	double tokens;		/* pacing: what is in the bucket ... */
	int64_t stamp;		/* ... at this wall time, ms */
	int64_t paused;		/* wall ms until which it must not be called */
};
enum pl_code pl_journal_note_get(struct pl_journal *j, const char *account,
    struct pl_account_note *n, struct pl_err *err);
enum pl_code pl_journal_note_put(struct pl_journal *j, const char *account,
    const struct pl_account_note *n, struct pl_err *err);

/* ---- what is counted: stats.c -------------------------------------------- */

/* Numbers since the start, by account.  NULL counts nothing. */
struct pl_stats *pl_stats_new(void);
void pl_stats_free(struct pl_stats *s);
/* A provider call has ended; op "look", "add", "delete", "scope". */
void pl_stats_call(struct pl_stats *s, const char *account, const char *op,
    enum pl_code code, int64_t us);
void pl_stats_retry(struct pl_stats *s, const char *account);
/* How long a limit has held calls back. */
void pl_stats_wait(struct pl_stats *s, const char *account, int64_t ms);
/* From published to visible. */
void pl_stats_lag(struct pl_stats *s, const char *account, int64_t ms);
/* A challenge has come to this state. */
void pl_stats_state(struct pl_stats *s, enum pl_state state);
/* Appends them in Prometheus' text format, version 0.0.4. */
void pl_stats_render(const struct pl_stats *s, struct pl_buf *b);
/* One sample line; label may be NULL. */
void pl_stats_sample(struct pl_buf *b, const char *name, const char *label,
    const char *value, double number);
/* Its # HELP and # TYPE lines. */
void pl_stats_head(struct pl_buf *b, const char *name, const char *type,
    const char *help);

/* ---- engine: engine.c, batch.c, report.c -------------------------------- */

struct pl_engine;
struct pl_job_run;
struct pl_task;

/* Where a target stands; at rest from PL_T_DONE on. */
enum pl_phase { PL_T_NEW, PL_T_SCOPE, PL_T_READY, PL_T_CALL, PL_T_DONE,
	PL_T_GONE, PL_T_FAILED };

/* One account's share of a task. */
struct pl_target {
	struct pl_task *task;
	const struct pl_account *account;
	char *scope;
	char *name;			/* where to publish, aliases followed */
	struct pl_row row;
	enum pl_phase phase;
	bool probing;			/* no route: is it this account's? */
	bool asked;			/* SCOPE: a worker has the question */
	bool maybe;			/* an add was sent whose answer was lost */
	unsigned attempts;		/* calls that carried it */
	unsigned fails;			/* failures in a row */
	int64_t not_before;		/* mono ms */
	unsigned hops;			/* aliases followed */
	bool follow;			/* may it follow any? */
	bool removing;
	bool spread;			/* the vendor's servers have it, or there is no telling */
	struct pl_err err;
	struct pl_target *next;		/* in a waiting list */
};
struct pl_task {
	struct pl_job_run *run;
	const struct pl_challenge *ch;
	uint32_t seq;
	enum pl_state state;
	enum pl_state told;		/* what `changed` was told last */
	struct pl_target *targets;
	size_t n;
	int64_t published, visible, removed;	/* wall ms */
	struct pl_verdict *verdicts;
	size_t nverdicts;
	char *zone;
	char *where;			/* where the aliases end, as last seen */
	bool looking;			/* the check worker has it */
	uint32_t look;			/* its number there */
	enum pl_look look_kind;
	bool located;			/* where its aliases lead has been looked up */
	struct pl_finding *findings;	/* of the last look */
	size_t nfindings;
	bool removing;
	bool resting;			/* nothing more to do for it */
	unsigned attempts;		/* looks */
	struct pl_err err;		/* code PL_OK: none */
};
struct pl_job_run {
	struct pl_job job;
	struct pl_task *tasks;		/* job.n of them */
	int64_t deadline;		/* mono ms */
	int64_t started;		/* mono ms */
	size_t open;			/* tasks that still work */
	bool removing;
	bool cancelled;
	bool late;			/* cancelled by its deadline */
	struct pl_engine *user;
	size_t place;			/* among the engine's runs */
	void *tag;			/* the caller's own */
};

/* How long the engine lives on behind a job that is published: decides
 * whether a resident provider can serve it. */
enum pl_life { PL_LIFE_CALL, PL_LIFE_RUN, PL_LIFE_SERVICE };

struct pl_stats;

/* How jobs are run. */
struct pl_engine_opts {
	const struct pl_config *config;
	struct pl_journal *journal;	/* NULL only where nothing is published */
	struct pl_loop *loop;		/* lent; NULL: the engine's own */
	struct pl_log *log;
	const char *libexec;		/* NULL: $PLACARD_LIBEXEC or as built */
	const char *account;		/* -a: for every challenge, or NULL */
	uint32_t ttl;			/* --ttl, 0: the account's */
	const char *const *servers, *const *resolvers, *const *http_servers; /* override the configuration */
	bool wait;			/* look for visibility */
	const char *ca, *account_uri;	/* whom CAA must allow; NULL: not judged */
	enum pl_life life;
	int sockets;			/* as from pl_process_sockets: for resident workers */
	unsigned tries;			/* tries of a passing fault; 0: until the deadline, refused credentials included */
	const volatile int *stop;	/* not 0: ends pl_controller_calls with PL_ECANCEL; may be NULL */
	struct pl_stats *stats;		/* what is counted, or NULL */
	/* A task's state or verdicts changed; may be NULL. */
	void (*changed)(void *ctx, const struct pl_task *t, enum pl_state before);
	void *ctx;
};
enum pl_code pl_engine_new(struct pl_engine **out,
    const struct pl_engine_opts *o, struct pl_err *err);
void pl_engine_free(struct pl_engine *e);
struct pl_loop *pl_engine_loop(struct pl_engine *e);
struct pl_pool *pl_engine_pool(struct pl_engine *e);
/*
 * Takes a job (keeps its content) and starts publishing.  timeout_ms from
 * now is its deadline.  Lends the run until pl_engine_forget or
 * pl_engine_free.
 */
struct pl_job_run *pl_engine_present(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms);
/* Finds the accounts and does nothing: what present would do. */
struct pl_job_run *pl_engine_plan(struct pl_engine *e, struct pl_job *job);
/* Only looks (no journal, no account): once, until visible, or as pre-flight. */
struct pl_job_run *pl_engine_verify(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms, enum pl_look look);
/* A challenge as far as a journal row remembers it; gives. */
void pl_row_challenge(struct pl_challenge *ch, const struct pl_row *r);
/* Removes what a run has published (standing ones stay). */
void pl_engine_remove(struct pl_engine *e, struct pl_job_run *run,
    int64_t timeout_ms);
/* Removes journal rows; the run's tasks mirror the rows (kept). */
struct pl_job_run *pl_engine_remove_rows(struct pl_engine *e,
    struct pl_row *rows, size_t n, int64_t timeout_ms);
/* Removes values that the journal does not know, by route and scope. */
struct pl_job_run *pl_engine_remove_named(struct pl_engine *e,
    struct pl_job *job, int64_t timeout_ms);
/* Removes a job's values: of challenge of[i] the journal knows row i (of
 * ascending; rows kept, of not); those without a row go as named. */
struct pl_job_run *pl_engine_remove_known(struct pl_engine *e,
    struct pl_job *job, struct pl_row *rows, const size_t *of, size_t n,
    int64_t timeout_ms);
/*
 * Goes on with a job that an engine before this one has left.  `rows` is
 * what the journal has of it; rows that the job has no use for any more are
 * left in the array, *n of them, for the caller to remove.
 */
struct pl_job_run *pl_engine_resume(struct pl_engine *e, struct pl_job *job,
    int64_t timeout_ms, struct pl_row *rows, size_t *n);
/*
 * Ends a run's work that is not a removal, calls under way excepted:
 * `late`, because its deadline has passed, each with its last error; else with PL_ECANCEL.
 */
void pl_engine_stop_run(struct pl_engine *e, struct pl_job_run *run,
    bool late);
/* Frees a run without open tasks. */
void pl_engine_forget(struct pl_engine *e, struct pl_job_run *run);
/* No new calls from now on (or again); looks go on. */
void pl_engine_hold(struct pl_engine *e, bool hold);
size_t pl_engine_inflight(const struct pl_engine *e);	/* calls under way */
/* Why the journal failed this engine, or NULL.  It needs a new one then. */
const struct pl_err *pl_engine_fatal(const struct pl_engine *e);
/* Ends all work that is not a removal with PL_ECANCEL; calls under way get
 * two seconds more. */
void pl_engine_cancel(struct pl_engine *e);
/* Writes what may be a little late: sightings and notes of accounts. */
void pl_engine_flush(void *engine);
bool pl_engine_busy(const struct pl_engine *e);	/* any run with open tasks */
/* Works until no run is busy or *stop is not 0 (may be NULL). */
enum pl_code pl_engine_work(struct pl_engine *e, const volatile int *stop,
    struct pl_err *err);

/* n == 0 calls and scopes for commands: blocks in the loop until answered. */
enum pl_code pl_engine_test(struct pl_engine *e,
    const struct pl_account *account, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err);
/* As above for the account as a whole; `said` gets what it reaches: how many
 * zones ("3", or "100+") and the first few, one a line; "": not known. */
enum pl_code pl_engine_test_account(struct pl_engine *e,
    const struct pl_account *account, struct pl_buf *said,
    struct pl_err *err);

/* What identifies the account's host (PL_P_HOSTKEY), appended to text;
 * blocks in the loop until answered. */
enum pl_code pl_engine_host_keys(struct pl_engine *e,
    const struct pl_account *account, struct pl_buf *text,
    struct pl_err *err);
/* resident.c: starts the workers of all enabled resident accounts, and keeps
 * them; looks wait until they are ready.  placardd does it first of all. */
void pl_engine_residents(struct pl_engine *e);

/* ---- calls to the order controller: controller.c ------------------------ */

/*
 * Makes n calls, at most `parallel` at once (0: 8), and turns the event loop until
 * all are answered.  Calls that may be repeated are, after a passing fault,
 * with growing gaps or when the store says; the others never.  PL_OK where every call has PL_OK, else the code of the first
 * that has not, with err telling.  Refused credentials end the rest of them.
 */
enum pl_code pl_controller_calls(struct pl_engine *e,
    const struct pl_controller *c, struct pl_store_call *calls, size_t n,
    unsigned parallel, struct pl_err *err);
/*
 * The same without waiting: done() is called once from the loop, never from
 * within this call; the calls are lent until then.  Gives a handle.
 */
struct pl_call_set;
struct pl_call_set *pl_controller_start(struct pl_engine *e,
    const struct pl_controller *c, struct pl_store_call *calls, size_t n,
    unsigned parallel, void (*done)(void *ctx), void *ctx);
/* done() is not called any more and the calls are no longer looked at.  What
 * has gone out may be carried out all the same. */
void pl_controller_drop(struct pl_call_set *set);
/* One call, blocking.  Gives the answer (pl_json_free). */
enum pl_code pl_controller_call(struct pl_engine *e,
    const struct pl_controller *c, const char *path, json_t *request,
    json_t **answer, struct pl_err *err);
/* The roots that its certificates may lead to: the system's and root-file. */
enum pl_code pl_controller_trust(struct pl_trust **out,
    const struct pl_controller *c, struct pl_err *err);

/* report.c */
enum pl_state pl_run_state(const struct pl_job_run *run);
json_t *pl_task_json(const struct pl_task *t);		/* gives */
json_t *pl_run_json(const struct pl_job_run *run);	/* gives */
/* The exit status that a finished run leads to.  `wanted`: the state that
 * was asked for. */
int pl_run_exit(const struct pl_job_run *run, enum pl_state wanted);

#endif
