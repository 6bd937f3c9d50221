/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to engine.c, jobs.c, batch.c, apply.c and look.c. */
#ifndef PL_ENGINE_H
#define PL_ENGINE_H

#include "agent.h"

/* Targets of one account and scope; at most one call is under way. */
struct pl_group {
	struct pl_acct *acct;
	char *scope;
	struct pl_target *first, **last;
	bool busy;
	struct pl_group *next;
};

/* What the engine knows of an account at run time. */
struct pl_acct {
	struct pl_engine *engine;
	const struct pl_account *conf;
	char *key;
	struct pl_buf hello;
	unsigned inflight;
	struct pl_group *groups;
	struct pl_target *scoping, **scoping_last;	/* wait for a scope */
	struct pl_account_note note;
	bool note_dirty;
	uint64_t ask;			/* spread.c: timer of its next question */
	int64_t ask_gap;		/* ms to the one after it */
	bool asking;
	double spent;			/* requests not yet taken out of the bucket */
	int64_t paused;			/* mono ms */
	struct pl_err refused;		/* EAUTH: no more calls in this run ... */
	int64_t refused_until;		/* ... or, patient, before this; mono ms */
	unsigned refusals;		/* in a row */
	unsigned roll;			/* the dice for retries, of 65536, ... */
	int64_t rolled;			/* ... and when they fell, mono ms */
	bool proven;			/* its credentials were good for something; before, one call at a time */
	int64_t waiting;		/* mono ms since when a limit holds it, 0: not */
	bool resident;			/* its worker is to live */
	bool waking;
	int64_t wake_at;		/* mono ms: not before */
};

/* A place for one open look; its number says how often it was used. */
struct pl_look_slot {
	struct pl_task *task;		/* NULL: free */
	uint32_t id;
	bool sent;
	bool held;			/* not to be sent yet, see spread.c ... */
	bool waited;			/* ... or it was */
	int64_t since;			/* mono ms: held from then on */
	size_t next;			/* free ones: the next, from 1; 0: last */
};

struct pl_engine {
	struct pl_engine_opts o;
	struct pl_loop *loop;
	bool own_loop;
	struct pl_pool *pool;
	struct pl_acct *accts;		/* one for each account of the configuration */
	struct pl_job_run **runs;
	size_t nruns;
	uint64_t kick, flush;		/* timers */
	int64_t kick_at;
	struct pl_err fatal;		/* the journal failed */

	struct pl_ctl *ctls;		/* controllers that were called */

	struct pl_worker *checker;
	unsigned checker_deaths;	/* since its last sighting */
	int64_t checker_after;		/* mono ms: no new one before */
	uint64_t checker_idle;		/* timer */
	struct pl_look_slot *looks;
	size_t nlooks, caplooks, openlooks, freelook;
	uint32_t *fresh;		/* looks that are not yet sent */
	size_t nfresh, capfresh;
	bool held;			/* no new calls */
	struct pl_task **seen;		/* visible, not yet in the journal */
	size_t nseen, capseen;
};

/* engine.c */
struct pl_acct *pl_acct_of(struct pl_engine *e,
    const struct pl_account *conf);
void pl_target_ready(struct pl_target *t);	/* scope is known: into its group */
void pl_target_scope(struct pl_target *t);	/* ask its account for the scope */
void pl_target_alias(struct pl_target *t, const char *alias);
/* A call failed for it: again later, or for good. */
void pl_target_failed(struct pl_target *t, const struct pl_err *err);
/* Was its run stopped while a call was under way that has changed nothing?
 * Then it fails. */
bool pl_target_stopped(struct pl_target *t);
void pl_target_remove(struct pl_target *t);	/* what it has, or may have, in the world */
bool pl_target_in_world(const struct pl_target *t);
struct pl_group *pl_group_of(struct pl_acct *a, const char *scope);
void pl_target_done(struct pl_target *t);	/* published or removed */
void pl_task_fail(struct pl_task *t, const struct pl_err *err);
void pl_task_settle(struct pl_task *t);		/* after a target changed */
void pl_task_changed(struct pl_task *t);
void pl_task_seen(struct pl_task *t);		/* every server has it */
/* Where its aliases lead is known (record NULL: could not be found out). */
void pl_task_located(struct pl_task *t, const char *record,
    const struct pl_err *err);
void pl_task_unseen(struct pl_task *t);		/* its job was stopped first */
void pl_task_rest(struct pl_task *t);		/* nothing more to do for it */
bool pl_journal_ok(struct pl_engine *e, enum pl_code code,
    const struct pl_err *err);

void pl_engine_flush_soon(struct pl_engine *e);

/* pace.c: only what calls of the engine cost; see there. */
void pl_pace_load(struct pl_acct *a);
/* Takes a request out of the account's bucket, for a call that starts now;
 * else gives how long to wait, ms. */
int64_t pl_pace_take(struct pl_acct *a);
/* That call has ended and made so many requests. */
void pl_pace_cost(struct pl_acct *a, uint32_t requests);
/* The vendor wants no calls for so long (0: it did not say). */
void pl_pace_limited(struct pl_acct *a, int64_t ms);
/* Writes the bucket where it changed. */
enum pl_code pl_pace_flush(struct pl_acct *a, struct pl_err *err);

/* controller.c: after the pool is gone. */
void pl_ctls_free(struct pl_engine *e);

/*
 * What a worker of an account does next, for one or several of its groups;
 * no call of theirs is under way elsewhere.  Without a group: a question of
 * scope.
 */
struct pl_batch {
	struct pl_engine *e;
	struct pl_acct *a;
	struct pl_group **g;
	size_t ng;
	struct pl_worker *w;
	bool removing;
	enum pl_op op;			/* of the call under way, as the next ones */
	uint32_t call;
	int64_t started;		/* mono us */
	struct pl_target **sent;
	size_t nsent;			/* 0: no call is under way */
	struct pl_target **ready;	/* in the journal: in the next call */
	size_t nready;
	bool reserved;			/* one request is paid for */
	size_t kept;			/* changes of the call before theirs (PL_P_KEEP) */
};

#define PL_BATCH_MOST 20000u

/* batch.c */
/* Takes from its groups what is ready now; gives how many, at most `most`. */
size_t pl_batch_take(struct pl_batch *b, struct pl_target **out, size_t most);
/* How long a call may take: the account's limit, or what is left of the time
 * of those who wait for it. */
int64_t pl_batch_ms(const struct pl_batch *b, struct pl_target *const *t,
    size_t n);
/* The call has ended; op: enum pl_op, or PL_DEL + 1 for a scope. */
void pl_batch_count(const struct pl_batch *b, size_t op, enum pl_code code);
void pl_batch_end(struct pl_batch *b, bool worker_lives);
void pl_acct_trouble(struct pl_acct *a, const struct pl_err *err);
/* Lends a worker of the account; false: err says why, or all are busy. */
bool pl_acct_worker(struct pl_acct *a, struct pl_worker **w,
    struct pl_err *err);
void pl_engine_dispatch(void *engine);
void pl_engine_kick(struct pl_engine *e, int64_t ms);

/* apply.c */
void pl_batch_start(struct pl_batch *b);

/* look.c */
void pl_look_start(struct pl_task *t, enum pl_look look);
void pl_look_stop(struct pl_task *t);	/* nothing where none is open */
void pl_look_send(struct pl_engine *e);
/* A look that was held may be sent. */
void pl_look_release(struct pl_engine *e, struct pl_look_slot *s);

/* spread.c */
/* Is the vendor to be asked first, in first_ms, whether all its servers have
 * what the task has published?  Then its look is held, and released by us. */
bool pl_spread_hold(struct pl_task *t, int64_t first_ms);

/* resident.c */
void pl_resident_spec(struct pl_acct *a, struct pl_worker_spec *spec);
void pl_resident_want(struct pl_acct *a);	/* start it, and keep it alive */
/* Starts again what has died; gives when to look next (mono ms). */
int64_t pl_resident_keep(struct pl_engine *e);
bool pl_residents_waking(const struct pl_engine *e);
/* The resident account that has the name in its option `zones`, or NULL. */
const struct pl_account *pl_resident_holder(const struct pl_engine *e,
    const char *name);
/* Will there still be an answer when somebody asks?  Else err says why not. */
bool pl_resident_lasts(const struct pl_target *t, struct pl_err *err);

#endif
