/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The service around the engine: start, reload, trouble with the journal,
 * stop.  A reload and a journal that works again both get a new engine, which
 * goes on from the journal as after a crash.
 */
#include "daemon.h"

#include <sys/signalfd.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS 3000		/* calls under way get this long */
#define POLL_MS 10
#define MEND_MS 2000
#define HOUR_MS 3600000
#define SERVED_MS 15000	/* a run of placardd looks for a certificate */

/* ---- the engine ----------------------------------------------------------------- */

static void
engine_close(struct pl_daemon *d)
{
	pl_deploys_free(d->deploys);
	teller_free(d->teller);
	pl_renewer_free(d->renewer);
	pl_orders_free(d->orders);
	pl_book_close(d->book);
	d->deploys = NULL;
	d->teller = NULL;
	d->renewer = NULL;
	d->orders = NULL;
	d->book = NULL;
	if (d->engine == NULL)
		return;
	pl_engine_flush(d->engine);
	d->restarts += pl_pool_restarts(pl_engine_pool(d->engine));
	pl_engine_free(d->engine);
	d->engine = NULL;
	work_unbind(d);
}

/* An order has moved: there may be something to deploy. */
static void
on_order(void *arg, const struct pl_order *o, const char *text PL_UNUSED)
{
	struct pl_daemon *d = arg;

	if (o->state == PL_O_ISSUED && d->deploys != NULL)
		pl_deploys_kick(d->deploys);
}

static void
deploys_open(struct pl_daemon *d)
{
	struct pl_deploys_opts o = { .engine = d->engine, .book = d->book,
		.config = d->config, .log = &d->log, .unattended = true,
		.served_ms = SERVED_MS };

	d->deploys = pl_deploys_new(&o);
	pl_deploys_start(d->deploys);
}

static void
renewer_open(struct pl_daemon *d)
{
	struct pl_renewer_opts o = { .engine = d->engine, .book = d->book,
		.orders = d->orders, .config = d->config, .log = &d->log };
	struct pl_err err;

	/* Without rules orders are renewed all the same. */
	if (pl_config_rules(d->config, &err) != PL_OK)
		pl_logf(&d->log, PL_LOG_WARN, "ca-rules", "error=\"%s\"",
		    err.text);
	d->renewer = pl_renewer_new(&o);
	d->teller = teller_new(d);
}

/* Goes on with all orders of the book that are not at rest. */
static enum pl_code
orders_open(struct pl_daemon *d, struct pl_err *err)
{
	struct pl_orders_opts o = { .engine = d->engine,
		.journal = d->journal, .config = d->config, .log = &d->log,
		.look_ms = d->config->verify.timeout_ms, .unattended = true,
		.told = on_order, .ctx = d };
	enum pl_code code;

	if (d->config->ncontrollers == 0)
		return PL_OK;
	code = pl_book_open(&d->book, d->config->state_directory, true, err);
	if (code != PL_OK)
		return code;
	o.book = d->book;
	d->orders = pl_orders_new(&o);
	code = pl_orders_start(d->orders, err);
	if (code != PL_OK)
		return code;
	deploys_open(d);
	renewer_open(d);
	return PL_OK;
}

static enum pl_code
engine_open(struct pl_daemon *d, struct pl_err *err)
{
	struct pl_engine_opts o = { .config = d->config,
		.journal = d->journal, .loop = d->loop, .log = &d->log,
		.wait = true, .tries = 0, .stats = d->stats,
		.life = PL_LIFE_SERVICE, .sockets = pl_process_sockets(),
		.changed = work_changed, .ctx = d };
	enum pl_code code;

	code = pl_engine_new(&d->engine, &o, err);
	if (code != PL_OK)
		return code;
	/* What is published has to be answered from now on. */
	pl_engine_residents(d->engine);
	work_bind(d);
	return orders_open(d, err);
}

static void
status(struct pl_daemon *d)
{
	if (d->broken.code != PL_OK)
		service_notify("STATUS=No new jobs: %s", d->broken.text);
	else
		service_notify("STATUS=%zu jobs", d->njobs);
}

/* ---- a journal that cannot be written ----------------------------------------------- */

static void
mend(void *arg)
{
	struct pl_daemon *d = arg;
	struct pl_account_note note = { 0, 0, 0, 0 };
	struct pl_err err;

	d->mend = 0;
	if (d->stopping)
		return;
	/* A row of no account: a write like any other. */
	if (pl_journal_note_put(d->journal, "", &note, &err) != PL_OK) {
		d->mend = pl_loop_after(d->loop, MEND_MS, mend, d);
		return;
	}
	engine_close(d);
	work_free(d);
	if (work_load(d, &err) != PL_OK || engine_open(d, &err) != PL_OK) {
		d->mend = pl_loop_after(d->loop, MEND_MS, mend, d);
		return;
	}
	pl_err_clear(&d->broken);
	pl_logf(&d->log, PL_LOG_WARN, "journal", "state=ok");
	status(d);
	spool_scan(d->spool);
}

void
daemon_broken(struct pl_daemon *d, const struct pl_err *err)
{
	if (d->broken.code != PL_OK)
		return;
	d->broken = *err;
	pl_logf(&d->log, PL_LOG_ERROR, "journal", "state=broken error=\"%s\"",
	    err->text);
	status(d);
	if (d->mend == 0)
		d->mend = pl_loop_after(d->loop, MEND_MS, mend, d);
}

bool
daemon_ok(struct pl_daemon *d, enum pl_code code, const struct pl_err *err)
{
	if (code == PL_OK)
		return true;
	daemon_broken(d, err);
	return false;
}

/* ---- what can be set up anew ----------------------------------------------------------- */

static enum pl_code
open_control(struct pl_daemon *d, struct pl_err *err)
{
	char *path = pl_config_socket(d->config, false);
	enum pl_code code;

	code = control_new(&d->control, d, path, err);
	free(path);
	return code;
}

static enum pl_code
open_sides(struct pl_daemon *d, struct pl_err *err)
{
	enum pl_code code;

	code = open_control(d, err);
	if (code == PL_OK)
		code = spool_new(&d->spool, d, pl_config_spool(d->config),
		    err);
	if (code == PL_OK)
		code = metrics_new(&d->metrics, d, err);
	return code;
}

static bool
same_sides(const struct pl_config *a, const struct pl_config *b)
{
	return pl_streq(a->service.socket, b->service.socket) &&
	    pl_streq(a->service.group, b->service.group) &&
	    pl_streq(a->service.spool, b->service.spool) &&
	    pl_streq(a->service.metrics_listen, b->service.metrics_listen) &&
	    pl_streq(a->service.metrics_file, b->service.metrics_file);
}

static void
close_sides(struct pl_daemon *d)
{
	control_free(d->control);
	spool_free(d->spool);
	metrics_free(d->metrics);
	d->control = NULL;
	d->spool = NULL;
	d->metrics = NULL;
}

/* ---- reload ------------------------------------------------------------------------------- */

static void
say_faults(struct pl_daemon *d, const char *text)
{
	const char *end;

	for (; (end = strchr(text, '\n')) != NULL; text = end + 1)
		pl_logf(&d->log, PL_LOG_ERROR, "configuration", "error=\""
		    "%.*s\"", (int)(end - text), text);
}

static void
switch_config(struct pl_daemon *d)
{
	struct pl_config *old = d->config;
	bool same = same_sides(old, d->fresh);
	struct pl_err err;

	engine_close(d);
	d->config = d->fresh;
	d->fresh = NULL;
	if (engine_open(d, &err) != PL_OK)
		daemon_broken(d, &err);
	if (!same) {
		close_sides(d);
		if (open_sides(d, &err) != PL_OK)
			pl_logf(&d->log, PL_LOG_ERROR, "reload", "error=\""
			    "%s\"", err.text);
	}
	pl_config_free(old);
	pl_logf(&d->log, PL_LOG_INFO, "reloaded", "jobs=%zu", d->njobs);
	service_notify("READY=1");
	status(d);
}

/* Calls under way may end; who is not done then is found in the journal. */
static void
drain(void *arg)
{
	struct pl_daemon *d = arg;
	bool told = teller_rests(d->teller);
	bool idle = d->engine == NULL ||
	    (pl_engine_inflight(d->engine) == 0 && told) ||
	    pl_mono_ms() >= d->drain_until;

	d->drain = 0;
	if (!idle)
		d->drain = pl_loop_after(d->loop, POLL_MS, drain, d);
	else if (d->stopping)
		d->ended = true;
	else if (d->fresh != NULL)
		switch_config(d);
}

static void
start_drain(struct pl_daemon *d)
{
	if (d->engine != NULL)
		pl_engine_hold(d->engine, true);
	d->drain_until = pl_mono_ms() + DRAIN_MS;
	if (d->drain == 0)
		d->drain = pl_loop_after(d->loop, 0, drain, d);
}

static void
reload(struct pl_daemon *d)
{
	struct pl_config *fresh = NULL;
	struct pl_faults faults;
	struct pl_err err;

	service_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)pl_mono_us());
	pl_err_clear(&err);
	pl_faults_init(&faults);
	if (pl_config_load(&fresh, d->path, &faults, &err) != PL_OK) {
		say_faults(d, faults.text.data);
		pl_logf(&d->log, PL_LOG_ERROR, "reload", "kept=old error=\""
		    "%s\"", err.text);
		service_notify("READY=1\nSTATUS=Not reloaded: %s", err.text);
	} else if (strcmp(fresh->state_directory,
	    d->config->state_directory) != 0) {
		pl_logf(&d->log, PL_LOG_ERROR, "reload", "kept=old error=\""
		    "state-directory: takes a restart\"");
		service_notify("READY=1\nSTATUS=Not reloaded: state-directory "
		    "takes a restart");
		pl_config_free(fresh);
	} else {
		pl_config_free(d->fresh);
		d->fresh = fresh;
		start_drain(d);
	}
	pl_faults_clear(&faults);
}

/* ---- signals and time -------------------------------------------------------------------------- */

static void
stop(struct pl_daemon *d, int sig)
{
	/* The second one ends at once: the journal knows what is left. */
	if (d->stopping) {
		d->ended = true;
		return;
	}
	d->stopping = true;
	pl_logf(&d->log, PL_LOG_INFO, "stop", "signal=%d jobs=%zu", sig,
	    d->njobs);
	service_notify("STOPPING=1");
	start_drain(d);
}

static void
on_signal(void *arg)
{
	struct pl_daemon *d = arg;
	struct signalfd_siginfo si;

	if (read(d->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGHUP)
		reload(d);
	else
		stop(d, (int)si.ssi_signo);
}

static void
each_hour(void *arg)
{
	struct pl_daemon *d = arg;

	d->hour = pl_loop_after(d->loop, HOUR_MS, each_hour, d);
	work_reconcile(d);
	spool_scan(d->spool);
}

static void
alive(void *arg)
{
	struct pl_daemon *d = arg;

	service_notify("WATCHDOG=1");
	pl_loop_after(d->loop, service_watchdog_ms(), alive, d);
}

static enum pl_code
watch_signals(struct pl_daemon *d, struct pl_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->sigfd == -1)
		return pl_fail(err, PL_EIO, "signalfd");
	pl_loop_watch(d->loop, d->sigfd, false, on_signal, d);
	return PL_OK;
}

/* ---- from start to end ---------------------------------------------------------------------------- */

static enum pl_code
start(struct pl_daemon *d, struct pl_err *err)
{
	enum pl_code code;

	code = pl_loop_new(&d->loop, err);
	if (code == PL_OK)
		code = watch_signals(d, err);
	if (code == PL_OK)
		code = pl_journal_open(&d->journal,
		    d->config->state_directory, true, err);
	if (code == PL_OK && pl_journal_serve(d->journal, err) != PL_OK)
		code = pl_prefix(err, "%s", d->config->state_directory);
	if (code != PL_OK)
		return code;
	d->stats = pl_stats_new();
	d->notifier = notifier_new(d);
	code = open_sides(d, err);
	if (code == PL_OK)
		code = work_load(d, err);
	if (code == PL_OK)
		code = engine_open(d, err);
	return code;
}

static void
close_all(struct pl_daemon *d)
{
	engine_close(d);
	if (d->spool != NULL)
		spool_flush(d->spool);
	close_sides(d);
	notifier_free(d->notifier);
	work_free(d);
	pl_journal_close(d->journal);
	pl_loop_free(d->loop);
	pl_stats_free(d->stats);
	pl_config_free(d->config);
	pl_config_free(d->fresh);
	if (d->sigfd != -1)
		close(d->sigfd);
}

int
daemon_run(const char *path, struct pl_config *config,
    const struct pl_log *log)
{
	struct pl_daemon d = { .log = *log, .path = path, .config = config,
		.sigfd = -1 };
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	code = start(&d, &err);
	if (code == PL_OK) {
		pl_logf(&d.log, PL_LOG_INFO, "start", "version=" PL_VERSION
		    " state=%s jobs=%zu accounts=%zu",
		    config->state_directory, d.njobs, config->naccounts);
		service_notify("READY=1");
		status(&d);
		each_hour(&d);
		if (service_watchdog_ms() > 0)
			alive(&d);
	}
	while (code == PL_OK && !d.ended)
		code = pl_loop_turn(d.loop, &err);
	if (code != PL_OK) {
		pl_logf(&d.log, PL_LOG_ERROR, "end", "error=\"%s\"",
		    err.text);
		service_notify("STATUS=%s", err.text);
	}
	/* What broke the journal may still be so: say it by the status. */
	if (code == PL_OK)
		code = d.broken.code != PL_OK ? PL_EIO : PL_OK;
	close_all(&d);
	return pl_code_exit(code);
}
