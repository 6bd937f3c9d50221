/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Private to the files of placardd.
 *
 * A job (struct pl_djob) is in memory from its submission until it is done;
 * what it is and where it stands is in the journal before anything is
 * done about it.  While it is published or removed it has a run of the engine;
 * while it is held it has none, only a timer.
 */
#ifndef PL_DAEMON_H
#define PL_DAEMON_H

#include "deployment.h"
#include "order.h"

struct pl_daemon;

struct pl_djob {
	struct pl_daemon *d;
	struct pl_job_row row;		/* without doc and report */
	enum pl_state state;		/* as watchers were told last */
	struct pl_job_run *run;
	enum pl_hold hold;
	int64_t hold_seconds;
	uint64_t timer;			/* its deadline, its due time, or another try */
	unsigned tries;			/* removals that did not remove all */
	bool touched;
	struct pl_djob *next;		/* in its bucket */
};

struct pl_daemon {
	struct pl_log log;
	const char *path;		/* -c */
	struct pl_config *config, *fresh;	/* fresh: takes over when all calls have ended */
	struct pl_journal *journal;
	struct pl_loop *loop;
	struct pl_engine *engine;
	struct pl_book *book;		/* with a controller only */
	struct pl_orders *orders;
	struct pl_deploys *deploys;
	struct pl_renewer *renewer;
	struct pl_teller *teller;
	struct pl_stats *stats;
	int sigfd;
	bool stopping, ended;
	struct pl_err broken;		/* the journal cannot be written: why */
	int64_t drain_until;		/* mono ms */
	uint64_t drain, mend, turn, hour;	/* timers */
	unsigned restarts;		/* of workers of engines before */

	struct pl_djob **buckets;
	size_t nbuckets, njobs;
	struct pl_djob **touched;
	size_t ntouched, captouched;
	struct pl_job_run *orphans;	/* rows of nobody, being removed */
	int64_t hour_wall, hour_mono;	/* of the last reconciliation */

	struct pl_control *control;
	struct pl_spool *spool;
	struct pl_metrics *metrics;
	struct pl_notifier *notifier;
};

/* daemon.c */
/* Serves until a signal; keeps config; gives the exit status. */
int daemon_run(const char *path, struct pl_config *config,
    const struct pl_log *log);
/* The journal failed: no new work until it can be written again. */
void daemon_broken(struct pl_daemon *d, const struct pl_err *err);
bool daemon_ok(struct pl_daemon *d, enum pl_code code,
    const struct pl_err *err);

/* daemon-table.c: the jobs that are not done */
/* Reads those that the journal has. */
enum pl_code work_load(struct pl_daemon *d, struct pl_err *err);
void work_free(struct pl_daemon *d);
struct pl_djob *work_find(struct pl_daemon *d, const char *id);
/* Takes over the row; its document and report stay in the journal. */
struct pl_djob *table_add(struct pl_daemon *d, struct pl_job_row *row);
void table_drop(struct pl_djob *j);
/* How many challenges are in each state now. */
void work_count(const struct pl_daemon *d, size_t states[PL_NSTATES]);
enum pl_state state_of(const char *name);	/* as reports have it */

/* daemon-take.c */
/*
 * Takes a job (keeps its content), durably.  The same one again from the same
 * user is the one that is there.  A new job waits for work_start: *fresh.
 */
enum pl_code work_admit(struct pl_daemon *d, struct pl_job *job, int64_t uid,
    const char *source, struct pl_djob **out, bool *fresh,
    struct pl_err *err);
void work_refuse(struct pl_djob *j);	/* it was admitted, but not started */
/* Gives the report; PL_EREMOTE: no such job of this user (-1: any). */
enum pl_code work_report(struct pl_daemon *d, const char *id, int64_t uid,
    json_t **report, enum pl_job_phase *phase, struct pl_err *err);

/* daemon-jobs.c: their life.  Runs are told apart by their tag, a job or
 * NULL. */
void work_changed(void *daemon, const struct pl_task *t,
    enum pl_state before);
/* A new engine: goes on with all jobs that need one. */
void work_bind(struct pl_daemon *d);
void work_unbind(struct pl_daemon *d);
void work_start(struct pl_djob *j);
/* Ends a job: takes back what it has published. */
void work_end(struct pl_djob *j, bool cancelled);
/* When something is due for the job, in place of what was set before. */
void work_timer(struct pl_djob *j, int64_t ms);
/* Removes what nobody owns; forgets jobs that were done long ago. */
void work_reconcile(struct pl_daemon *d);

/* daemon-report.c */
json_t *report_of_job(const struct pl_job *job, const char *code,
    const char *text);
/* The report of a job of which nothing is left in the world. */
json_t *report_removed(const char *report);
const char *report_state(const json_t *report);		/* lends */
json_t *event_of_task(const struct pl_djob *j, const struct pl_task *t,
    enum pl_state before);
json_t *event_of_job(const struct pl_djob *j);

/* control.c: the socket */
enum pl_code control_new(struct pl_control **out, struct pl_daemon *d,
    const char *path, struct pl_err *err);
void control_free(struct pl_control *c);
bool control_watched(const struct pl_control *c);
void control_event(struct pl_control *c, const struct pl_djob *j,
    const json_t *event);
/* The job has come to rest: whoever waits for it is answered. */
void control_rested(struct pl_control *c, const struct pl_djob *j);

/* spool.c */
enum pl_code spool_new(struct pl_spool **out, struct pl_daemon *d,
    const char *dir, struct pl_err *err);
void spool_free(struct pl_spool *s);
void spool_scan(struct pl_spool *s);
void spool_report(struct pl_spool *s, const char *source);
void spool_flush(struct pl_spool *s);

/* notify.c: programs of the configuration that get reports */
struct pl_notifier *notifier_new(struct pl_daemon *d);
void notifier_free(struct pl_notifier *n);
void notifier_tell(struct pl_notifier *n, const struct pl_djob *j);

/*
 * program.c.  Runs a program with a text on its standard input; done() is
 * called once, `how` NULL: it ended well, else "status" or "signal" with a
 * number.  NULL: it did not start, *rc is the errno.
 */
struct pl_program;
struct pl_program *program_start(struct pl_loop *loop, char *const *argv,
    const char *text, int64_t timeout_ms,
    void (*done)(void *ctx, const char *how, int number), void *ctx, int *rc);
/* Its end is not waited for any more; it goes on.  NULL is allowed. */
void program_drop(struct pl_program *p);

/* teller.c: programs that get the events of orders, each in their order */
struct pl_teller *teller_new(struct pl_daemon *d);
/* Tells of nothing new from now on; is nobody being told any more? */
bool teller_rests(struct pl_teller *t);
void teller_free(struct pl_teller *t);

/* metrics.c */
enum pl_code metrics_new(struct pl_metrics **out, struct pl_daemon *d,
    struct pl_err *err);
void metrics_free(struct pl_metrics *m);
void metrics_text(struct pl_daemon *d, struct pl_buf *b);

/* systemd.c: sd_notify(3)'s protocol; silent where nobody listens */
void service_notify(const char *fmt, ...) PL_PRINTF(1, 2);
int64_t service_watchdog_ms(void);	/* between signs of life; 0: none wanted */

#endif
