/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to the files of the command placard. */
#ifndef PL_COMMAND_H
#define PL_COMMAND_H

#include "agent.h"

struct pl_session;

/* What the command line said. */
struct pl_cli {
	const char *config;
	bool json, quiet;
	unsigned verbose;
	struct pl_log log;

	const char *account;
	uint32_t ttl;
	int64_t timeout_ms;		/* 0: not given */
	char **servers, **resolvers;	/* NULL-terminated, or NULL */
	size_t nservers, nresolvers;
	bool dry_run, no_wait;
	enum pl_life life;
	int sockets;			/* that were handed down */

	struct pl_challenge_args ch;	/* -m, -d and so on */
	bool has_challenge;
	const char *content_file;
	const char *jobs;		/* --jobs FILE */
	bool notify;			/* jobs may name a program to tell */

	const char *job;		/* cleanup --job */
	int64_t older_ms;		/* cleanup --older-than, -1: not given */
	bool all, write, host_key, create;
	const char *ca, *account_uri;

	struct pl_cli_own {		/* options of single commands, as they came */
		const char *name, *value;	/* value "" where it takes none */
	} *own;
	size_t nown;

	char **args;			/* words behind the options */
	int nargs;
};

#define PL_USAGE 2

/* Groups of options that a command takes. */
#define PL_TAKES_CHALLENGE	0x1
#define PL_TAKES_LOOK		0x2	/* --timeout --server --resolver */
#define PL_TAKES_PUBLISH	0x4	/* -a --ttl --dry-run */
#define PL_TAKES_NO_WAIT	0x8
#define PL_TAKES_JOURNAL	0x10	/* --job --older-than --all */
#define PL_TAKES_TOP		0x20	/* --version */
#define PL_TAKES_BRIEF		0x40	/* in help: named, not explained */
#define PL_TAKES_CHECK		0x80	/* --account-uri --write */
#define PL_TAKES_SEE		0x100	/* --ca */
#define PL_TAKES_WORDS		0x200	/* options end at the first word */
#define PL_TAKES_HOST_KEY	0x400	/* --host-key */
#define PL_TAKES_CREATE		0x800	/* delegate: -a --ttl --create */
/* What these commands take is in pl_cli.own: see pl_cli_opt. */
#define PL_TAKES_CSR	0x1000
#define PL_TAKES_DERIVE	0x2000
#define PL_TAKES_PRODUCT	0x4000
#define PL_TAKES_CONTROLLER	0x8000	/* --controller */
#define PL_TAKES_ORDER	0x10000
#define PL_TAKES_TIMEOUT	0x20000	/* --timeout alone */
#define PL_TAKES_FOR	0x40000	/* --for */
#define PL_TAKES_PLAN	0x80000
#define PL_TAKES_SERVICE	0x400000	/* --agent-key-file --purge */

struct pl_command {
	const char *name;
	const char *args;		/* what follows the name in the usage line */
	const char *summary;
	unsigned takes;
	int least, most;		/* words behind the options; most -1: any */
	int (*run)(struct pl_cli *cli);
	const char *help;		/* more lines for --help */
};

/* options.c.  Parses what follows the command's name; a status, or -1 to
 * go on. */
int pl_cli_parse(struct pl_cli *cli, const struct pl_command *cmd, int argc,
    char **argv);
int pl_cli_globals(struct pl_cli *cli, int *argc, char ***argv);
void pl_cli_clear(struct pl_cli *cli);
void pl_cli_help(const struct pl_command *cmd);
void pl_cli_top_help(void);	/* placard.c: all commands */
/* The last value of an option of its own (without dashes), or NULL. */
const char *pl_cli_opt(const struct pl_cli *cli, const char *name);
/* All its values in their order; gives the array (free), NULL-terminated. */
const char **pl_cli_opts(const struct pl_cli *cli, const char *name,
    size_t *n);
json_t *pl_cli_error(const struct pl_err *err);	/* {code, text, retry}; gives */
/* Says an error on standard error (and as JSON where asked) and gives the
 * exit status of its code. */
int pl_cli_fail(const struct pl_cli *cli, const struct pl_err *err);
int pl_cli_usage(const struct pl_cli *cli, const char *fmt, ...)
    PL_PRINTF(2, 3);
/* Prints all faults; gives 3 where there are some, or the error's status. */
int pl_cli_config(const struct pl_cli *cli, struct pl_config **out);
/* The jobs of the command line; a status, or -1 to go on. */
int pl_cli_jobs(const struct pl_cli *cli, struct pl_job **jobs, size_t *n);
/* May these records be written at all?  A status, or -1 to go on. */
int pl_cli_allowed(const struct pl_cli *cli, const struct pl_config *c,
    const struct pl_job *jobs, size_t n);
/* Writes to standard output; false where that failed (a status 6 then). */
void pl_cli_print(const char *fmt, ...) PL_PRINTF(1, 2);
void pl_cli_print_json(json_t *j);		/* keeps j */
int pl_cli_flush(int status);

/* cmd-challenge.c */
int pl_cmd_present(struct pl_cli *cli);
int pl_cmd_verify(struct pl_cli *cli);
int pl_cmd_run(struct pl_cli *cli);
/* cmd-journal.c */
int pl_cmd_cleanup(struct pl_cli *cli);
int pl_cmd_list(struct pl_cli *cli);
/* cmd-check.c */
int pl_cmd_check(struct pl_cli *cli);
/* Removes these values, by the journal where it knows them; a status. */
int pl_session_cleanup(struct pl_session *s, struct pl_job *jobs, size_t n);
/* Works until the removals are done, and reports them; a status. */
int pl_session_finish(struct pl_session *s, struct pl_job_run *const *runs,
    size_t n);
/* cmd-hook.c */
int pl_cmd_hook(struct pl_cli *cli);
/* cmd-delegate.c */
int pl_cmd_delegate(struct pl_cli *cli);
/* cmd-account.c */
int pl_cmd_account(struct pl_cli *cli);
int pl_cmd_provider(struct pl_cli *cli);

/* cmd-csr.c */
int pl_cmd_csr(struct pl_cli *cli);
int pl_cmd_derive(struct pl_cli *cli);
/* cmd-product.c */
int pl_cmd_product(struct pl_cli *cli);
/* cmd-order.c */
int pl_cmd_order(struct pl_cli *cli);
/* cmd-plan.c */
int pl_cmd_plan(struct pl_cli *cli);

/* cmd-service.c */
int pl_cmd_service(struct pl_cli *cli);
/* cmd-job.c */
int pl_cmd_job(struct pl_cli *cli);

/* client.c: placardd's socket. */
struct pl_client;
/* PL_ENET: nobody listens there; PL_EAUTH: this user may not ask. */
enum pl_code pl_client_open(struct pl_client **out,
    const struct pl_config *config, struct pl_err *err);
void pl_client_close(struct pl_client *c);
json_t *pl_client_request(const char *what, const char *id);
enum pl_code pl_client_send(struct pl_client *c, json_t *request,
    struct pl_err *err);			/* keeps the request */
/* The next answer (pl_json_free); an error object becomes err.  deadline:
 * mono ms, 0: none; PL_EABSENT behind it. */
enum pl_code pl_client_next(struct pl_client *c, int64_t deadline,
    json_t **out, struct pl_err *err);
/* Sends and gives the answer, which has this member. */
enum pl_code pl_client_ask(struct pl_client *c, json_t *request,
    const char *member, json_t **out, struct pl_err *err);
enum pl_code pl_code_by_name(const char *name);	/* PL_EPROTO: none */
const char *pl_client_path(const struct pl_client *c);	/* lends the socket's */
/* From now on pl_client_next gives up with PL_ECANCEL when fd can be read. */
void pl_client_wake(struct pl_client *c, int fd);
/* Takes a member out of an answer: keeps the one, gives the other. */
json_t *pl_client_member(json_t *answer, const char *member);
/* Hands a job over (keeps it); gives its report.  id: what it is called where
 * it does not say so itself. */
enum pl_code pl_client_submit(struct pl_client *c, const char *id,
    json_t *job, json_t **report, struct pl_err *err);
/*
 * Gives the report of a job as soon as it is at rest.  A service that
 * restarts is found again, then *c is another one, or NULL.  deadline: as for
 * pl_client_next.
 */
enum pl_code pl_client_wait(struct pl_client **c,
    const struct pl_config *config, const char *id, int64_t deadline,
    json_t **report, struct pl_err *err);
/* The status that a report leads to, as pl_run_exit has it for a run; is
 * what has been removed a good end, too? */
int pl_report_exit(const json_t *report, bool gone);

/* session.c: an engine with signals and progress around it. */
struct pl_session {
	struct pl_cli *cli;
	struct pl_config *config;
	struct pl_journal *journal;
	struct pl_engine *engine;
	int sigfd;
	int stop;		/* a signal came: its number */
	bool progress;
	size_t total, published, visible, removed, failed;
	int64_t drawn;		/* mono ms of the last progress line */
};
enum pl_journal_need { PL_JOURNAL_NONE, PL_JOURNAL_READ, PL_JOURNAL_WRITE };
/* A status, or -1 to go on. */
int pl_session_open(struct pl_session *s, struct pl_cli *cli,
    enum pl_journal_need need, bool wait, bool files);
void pl_session_close(struct pl_session *s);
void pl_session_signals(struct pl_session *s);	/* watch for them again */
/* Works until nothing is open or a signal came. */
enum pl_code pl_session_work(struct pl_session *s, struct pl_err *err);
int64_t pl_session_timeout(const struct pl_session *s);
/* Prints a finished run for people or as JSON. */
void pl_session_report(struct pl_session *s, const struct pl_job_run *run);
/* The lines of what each server answered, and of what was found besides. */
void pl_session_print_looks(const struct pl_task *t);
/* The worse of two exit statuses: 7 where both good and bad are in it. */
int pl_status_join(int a, int b);

#endif
