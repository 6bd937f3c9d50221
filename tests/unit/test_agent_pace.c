/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The bucket of an account: what calls cost, who shares it, and that neither
 * an end nor a new start fills it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST 50

/* So slow that the time a test takes adds nothing to speak of. */
static const struct pl_option no_options[] = { { .name = NULL } };
static const struct pl_provider_desc slow_desc = {
	.name = "fake", .program = "fake-worker", .summary = "",
	.kinds = 1u << PL_TXT, .flags = PL_P_LOOK, .parallel = 1,
	.default_ttl = 60, .rate = 1, .burst = BURST, .options = no_options,
};

/* One process of those that share a state directory. */
struct side {
	struct pl_journal *journal;
	struct pl_engine *engine;
	struct pl_acct *acct;
};

struct bed {
	char dir[64], world[96];
	struct pl_account account;
	struct pl_config config;
	struct pl_log log;
	struct side one;
};

static void
side_open(struct bed *b, struct side *s)
{
	struct pl_engine_opts o = { .config = &b->config, .log = &b->log,
		.libexec = getenv("FAKE_WORKER_DIR"), .account = "lab",
		.tries = 4 };
	struct pl_err err;

	assert_int_equal(pl_journal_open(&s->journal, b->dir, true, &err),
	    PL_OK);
	o.journal = s->journal;
	assert_int_equal(pl_engine_new(&s->engine, &o, &err), PL_OK);
	s->acct = pl_acct_of(s->engine, &b->account);
}

static void
side_close(struct side *s)
{
	pl_engine_free(s->engine);
	pl_journal_close(s->journal);
	*s = (struct side){ 0 };
}

static void
bed_open(struct bed *b, const char *cost)
{
	const char *const good = "good";
	const char *world = b->world;

	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/placard-pace-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->world, sizeof(b->world), "%s/world", b->dir);
	b->account.settings.account = pl_strdup("lab");
	b->account.settings.provider = pl_strdup("fake");
	pl_settings_add(&b->account.settings, "mode", &good, 1);
	pl_settings_add(&b->account.settings, "world", &world, 1);
	pl_settings_add(&b->account.settings, "cost", &cost, 1);
	b->account.desc = &slow_desc;
	b->account.enabled = true;
	b->account.ttl = 60;
	b->account.timeout_ms = 2000;
	b->account.rate = slow_desc.rate;
	b->config.accounts = &b->account;
	b->config.naccounts = 1;
	b->log = (struct pl_log){ -1, PL_LOG_ERROR, false, false, "test" };
	side_open(b, &b->one);
}

static void
bed_close(struct bed *b)
{
	const char *const names[] = { "journal.db", "journal.db-wal",
		"journal.db-shm", "journal.lock", "world" };
	char path[192];

	if (b->one.engine != NULL)
		side_close(&b->one);
	for (size_t i = 0; i < PL_NELEM(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(b->dir), 0);
	pl_settings_clear(&b->account.settings);
}

static double
tokens(struct side *s)
{
	struct pl_account_note n;
	struct pl_err err;

	pl_engine_flush(s->engine);
	assert_int_equal(pl_journal_note_get(s->journal, "lab", &n, &err),
	    PL_OK);
	return n.tokens;
}

static void
about(double is, double want)
{
	if (is < want - 0.5 || is > want + 0.5)
		fail_msg("%.2f in the bucket, not %.2f", is, want);
}

static void
make_job(struct pl_job *job)
{
	struct pl_challenge_args a = { .method = "dns-01",
		.domain = "a.example.com",
		.value = "0123456789012345678901234567890123456789012" };
	struct pl_err err;

	*job = (struct pl_job){ .id = pl_strdup("j"), .n = 1 };
	job->challenges = pl_array(1, sizeof(*job->challenges));
	assert_int_equal(pl_challenge_make(&job->challenges[0], &a, &err),
	    PL_OK);
}

/* A scope, a look and an add at what the worker says that each cost. */
static void
calls(const char *cost, double left)
{
	struct pl_job_run *run;
	struct pl_job job;
	struct pl_err err;
	struct bed b;

	bed_open(&b, cost);
	make_job(&job);
	run = pl_engine_present(b.one.engine, &job, 20000);
	assert_int_equal(pl_engine_work(b.one.engine, NULL, &err), PL_OK);
	assert_int_equal(pl_run_exit(run, PL_PUBLISHED), 0);
	about(tokens(&b.one), left);
	bed_close(&b);
}

static void
test_calls_cost_their_requests(void **state)
{
	(void)state;
	calls("1", BURST - 3);
	calls("10", BURST - 30);
	/* Found in a cache: nothing was asked for. */
	calls("0", BURST);
}

/* Below nothing, and then the next call waits for all of it. */
static void
test_debt_is_waited_for(void **state)
{
	struct bed b;
	int64_t wait;

	(void)state;
	bed_open(&b, "1");
	assert_int_equal(pl_pace_take(b.one.acct), 0);
	pl_pace_cost(b.one.acct, BURST + 4);
	wait = pl_pace_take(b.one.acct);
	/* One a minute: four that are owed and one to go on with. */
	assert_in_range(wait, 5 * 60000 - 2000, 5 * 60000 + 10);
	about(tokens(&b.one), -4);
	assert_in_range(pl_pace_take(b.one.acct), wait - 2000, wait);
	bed_close(&b);
}

static void
test_new_start_finds_it_as_it_was(void **state)
{
	struct bed b;

	(void)state;
	bed_open(&b, "1");
	assert_int_equal(pl_pace_take(b.one.acct), 0);
	pl_pace_cost(b.one.acct, BURST - 1);
	side_close(&b.one);
	side_open(&b, &b.one);
	assert_int_equal(pl_pace_take(b.one.acct), 0);
	assert_true(pl_pace_take(b.one.acct) > 0);
	bed_close(&b);
}

/* What one process takes another one does not have. */
static void
test_processes_share_it(void **state)
{
	struct side two;
	struct bed b;

	(void)state;
	bed_open(&b, "1");
	side_open(&b, &two);
	for (int i = 0; i < BURST / 2; i++) {
		assert_int_equal(pl_pace_take(b.one.acct), 0);
		assert_int_equal(pl_pace_take(two.acct), 0);
	}
	assert_true(pl_pace_take(b.one.acct) > 0);
	assert_true(pl_pace_take(two.acct) > 0);
	side_close(&two);
	bed_close(&b);
}

/* A pause that the vendor asked for holds the others back as well. */
static void
test_pause_is_shared(void **state)
{
	struct side two;
	struct bed b;

	(void)state;
	bed_open(&b, "1");
	side_open(&b, &two);
	assert_int_equal(pl_pace_take(two.acct), 0);
	pl_pace_limited(b.one.acct, 90000);
	assert_in_range(pl_pace_take(b.one.acct), 80000, 90000);
	pl_engine_flush(b.one.engine);
	assert_in_range(pl_pace_take(two.acct), 80000, 90000);
	side_close(&two);
	/* Nor does the end of a process lift it. */
	side_close(&b.one);
	side_open(&b, &b.one);
	assert_in_range(pl_pace_take(b.one.acct), 80000, 90000);
	bed_close(&b);
}

static void
test_clock_that_was_set_back(void **state)
{
	struct pl_account_note n = { .tokens = 0, .stamp = pl_wall_ms() +
		86400000, .paused = pl_wall_ms() + 86400000 };
	struct pl_err err;
	struct bed b;

	(void)state;
	bed_open(&b, "1");
	assert_int_equal(pl_journal_note_put(b.one.journal, "lab", &n, &err),
	    PL_OK);
	assert_in_range(pl_pace_take(b.one.acct), 1, 60010);
	bed_close(&b);
}

static void
test_no_limit(void **state)
{
	struct bed b;

	(void)state;
	bed_open(&b, "1");
	b.account.rate = 0;
	for (int i = 0; i < 3 * BURST; i++) {
		assert_int_equal(pl_pace_take(b.one.acct), 0);
		pl_pace_cost(b.one.acct, 10);
	}
	bed_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_cost_their_requests),
		cmocka_unit_test(test_debt_is_waited_for),
		cmocka_unit_test(test_new_start_finds_it_as_it_was),
		cmocka_unit_test(test_processes_share_it),
		cmocka_unit_test(test_pause_is_shared),
		cmocka_unit_test(test_clock_that_was_set_back),
		cmocka_unit_test(test_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
