/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The engine against workers that die, hang and lie: whatever they do, a job
 * ends as it should and the journal knows what may be in the world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct pl_option no_options[] = { { .name = NULL } };
static const struct pl_provider_desc fake_desc = {
	.name = "fake", .program = "fake-worker", .summary = "",
	.kinds = 1u << PL_TXT, .flags = PL_P_LOOK, .parallel = 1,
	.default_ttl = 60, .options = no_options,
};

struct bed {
	char dir[64], world[96];
	struct pl_account account;
	struct pl_route route;
	struct pl_config config;
	struct pl_journal *journal;
	struct pl_engine *engine;
	struct pl_log log;
	struct pl_engine_opts o;
};

static void
open_bed(struct bed *b, const char *mode)
{
	const char *libexec = getenv("FAKE_WORKER_DIR");
	const char *values[1];
	struct pl_err err;

	assert_non_null(libexec);
	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/placard-engine-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->world, sizeof(b->world), "%s/world", b->dir);
	b->account.settings.account = pl_strdup("lab");
	b->account.settings.provider = pl_strdup("fake");
	values[0] = mode;
	pl_settings_add(&b->account.settings, "mode", values, 1);
	values[0] = b->world;
	pl_settings_add(&b->account.settings, "world", values, 1);
	b->account.desc = &fake_desc;
	b->account.enabled = true;
	b->account.ttl = 60;
	b->account.timeout_ms = 500;
	b->config.accounts = &b->account;
	b->config.naccounts = 1;
	b->log = (struct pl_log){ -1, PL_LOG_ERROR, false, false, "test" };
	assert_int_equal(pl_journal_open(&b->journal, b->dir, true, &err),
	    PL_OK);
	b->o = (struct pl_engine_opts){ .config = &b->config,
		.journal = b->journal, .log = &b->log, .libexec = libexec,
		.account = "lab", .tries = 4 };
	assert_int_equal(pl_engine_new(&b->engine, &b->o, &err), PL_OK);
}

static void
close_bed(struct bed *b)
{
	const char *const names[] = { "journal.db", "journal.db-wal",
		"journal.db-shm", "journal.lock", "world", "world.once" };
	char path[192];

	pl_engine_free(b->engine);
	pl_journal_close(b->journal);
	for (size_t i = 0; i < PL_NELEM(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(b->dir), 0);
	pl_settings_clear(&b->account.settings);
}

static void
make_job(struct pl_job *job, size_t n)
{
	struct pl_err err;

	*job = (struct pl_job){ .id = pl_strdup("j"), .n = n };
	job->challenges = pl_array(n, sizeof(*job->challenges));
	for (size_t i = 0; i < n; i++) {
		char domain[64], value[44];
		struct pl_challenge_args a = { .method = "dns-01",
			.domain = domain, .value = value };

		snprintf(domain, sizeof(domain), "n%zu.example.com", i);
		snprintf(value, sizeof(value), "%043zu", i);
		assert_int_equal(pl_challenge_make(&job->challenges[i], &a,
		    &err), PL_OK);
	}
}

static size_t
rows(struct bed *b)
{
	struct pl_row_query q = { 0 };
	struct pl_row *r;
	struct pl_err err;
	size_t n;

	assert_int_equal(pl_journal_rows(b->journal, &q, &r, &n, &err),
	    PL_OK);
	for (size_t i = 0; i < n; i++)
		pl_row_clear(&r[i]);
	free(r);
	return n;
}

static struct pl_job_run *
present(struct bed *b, size_t n)
{
	struct pl_job job;
	struct pl_job_run *run;
	struct pl_err err;

	make_job(&job, n);
	run = pl_engine_present(b->engine, &job, 20000);
	assert_int_equal(pl_engine_work(b->engine, NULL, &err), PL_OK);
	return run;
}

/* Whatever the first worker does, the second one makes it good. */
static void
recovers(const char *mode)
{
	struct bed b;
	struct pl_job_run *run;
	struct pl_err err;

	open_bed(&b, mode);
	run = present(&b, 3);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 0);
	assert_int_equal(rows(&b), 3);
	pl_engine_remove(b.engine, run, 20000);
	assert_int_equal(pl_engine_work(b.engine, NULL, &err), PL_OK);
	assert_int_equal(pl_run_exit(run, PL_REMOVED), 0);
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

static void
test_good(void **state)
{
	(void)state;
	recovers("good");
}

static void
test_dies(void **state)
{
	(void)state;
	recovers("die-before");
	recovers("die-after");
}

/* What has failed together is tried again together, not one by one. */
static void
test_dies_always(void **state)
{
	struct bed b;
	struct pl_job_run *run;

	(void)state;
	open_bed(&b, "die-always");
	run = present(&b, 400);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 6);
	assert_in_range(pl_pool_restarts(pl_engine_pool(b.engine)), 4, 12);
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

static void
test_hangs(void **state)
{
	(void)state;
	recovers("hang");
}

static void
test_lies(void **state)
{
	(void)state;
	recovers("wrong-call");
	recovers("wrong-count");
	recovers("truncated");
	recovers("wrong-type");
	recovers("garbage");
}

static void
test_flaky(void **state)
{
	(void)state;
	recovers("flaky");
}

/* A refused credential is tried once, and nothing is in the journal. */
static void
test_refused(void **state)
{
	struct bed b;
	struct pl_job_run *run;

	(void)state;
	open_bed(&b, "refused");
	run = present(&b, 5);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 4);
	assert_int_equal(run->tasks[4].err.code, PL_EAUTH);
	assert_int_equal(pl_pool_restarts(pl_engine_pool(b.engine)), 1);
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

static void
test_policy(void **state)
{
	struct bed b;
	struct pl_job_run *run;

	(void)state;
	open_bed(&b, "no");
	run = present(&b, 2);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 1);
	assert_non_null(strstr(run->tasks[0].err.text, "policy forbids it"));
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

/* Nobody answers until the tries are used up; the intents stay known. */
static void
test_missing_worker(void **state)
{
	struct bed b;
	struct pl_job_run *run;
	struct pl_err err;

	(void)state;
	open_bed(&b, "good");
	pl_engine_free(b.engine);
	b.o.libexec = "/nonexistent";
	assert_int_equal(pl_engine_new(&b.engine, &b.o, &err), PL_OK);
	run = present(&b, 2);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 3);
	assert_non_null(strstr(run->tasks[0].err.text, "fake-worker"));
	close_bed(&b);
}

static void
test_cancel(void **state)
{
	struct bed b;
	struct pl_job job;
	struct pl_job_run *run;
	struct pl_err err;

	(void)state;
	open_bed(&b, "good");
	make_job(&job, 4);
	run = pl_engine_present(b.engine, &job, 20000);
	pl_engine_cancel(b.engine);
	assert_int_equal(pl_engine_work(b.engine, NULL, &err), PL_OK);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 6);
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Turns the loop until `done` says so. */
static void
turn_until(struct bed *b, bool (*done)(struct bed *b))
{
	struct pl_loop *loop = pl_engine_loop(b->engine);
	struct pl_err err;

	while (!done(b)) {
		pl_loop_after(loop, 5, nothing, NULL);
		assert_int_equal(pl_loop_turn(loop, &err), PL_OK);
	}
}

static bool
asked(struct bed *b)
{
	return pl_engine_inflight(b->engine) > 0;
}

static bool
idle(struct bed *b)
{
	return pl_engine_inflight(b->engine) == 0;
}

static bool
in_world(struct bed *b)
{
	return access(b->world, F_OK) == 0;
}

/* Stopped while the zone is asked for: that is no reason to publish. */
static void
test_cancel_scope(void **state)
{
	struct bed b;
	struct pl_job job;
	struct pl_job_run *run;
	struct pl_err err;

	(void)state;
	open_bed(&b, "good");
	make_job(&job, 3);
	run = pl_engine_present(b.engine, &job, 20000);
	turn_until(&b, asked);
	pl_engine_cancel(b.engine);
	assert_int_equal(pl_engine_work(b.engine, NULL, &err), PL_OK);
	pl_engine_remove(b.engine, run, 20000);
	turn_until(&b, idle);
	assert_false(in_world(&b));
	assert_int_equal(rows(&b), 0);
	assert_int_equal(run->tasks[2].err.code, PL_ECANCEL);
	close_bed(&b);
}

/* Stopped while the record is being added: it is not looked for any more,
 * which might take until the deadline. */
static void
test_cancel_add(void **state)
{
	struct bed b;
	struct pl_job job;
	struct pl_job_run *run;
	struct pl_err err;
	char go[128];

	(void)state;
	open_bed(&b, "slow");
	pl_engine_free(b.engine);
	b.o.wait = true;
	assert_int_equal(pl_engine_new(&b.engine, &b.o, &err), PL_OK);
	make_job(&job, 1);
	run = pl_engine_present(b.engine, &job, 20000);
	/* The world shows it before the engine has heard of it. */
	turn_until(&b, in_world);
	assert_int_equal(run->tasks[0].state, PL_QUEUED);
	pl_engine_cancel(b.engine);
	snprintf(go, sizeof(go), "%s.once", b.world);
	close(open(go, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(pl_engine_work(b.engine, NULL, &err), PL_OK);
	assert_int_equal(run->tasks[0].state, PL_PUBLISHED);
	assert_int_equal(run->tasks[0].err.code, PL_ECANCEL);
	pl_engine_remove(b.engine, run, 20000);
	assert_int_equal(pl_engine_work(b.engine, NULL, &err), PL_OK);
	assert_int_equal(rows(&b), 0);
	close_bed(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_dies),
		cmocka_unit_test(test_dies_always),
		cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_flaky),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_missing_worker),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_scope),
		cmocka_unit_test(test_cancel_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
