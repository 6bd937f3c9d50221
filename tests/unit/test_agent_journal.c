/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bed {
	char dir[64];
	struct pl_journal *j;
};

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct pl_err err;

	snprintf(b->dir, sizeof(b->dir), "/tmp/placard-journal-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	assert_int_equal(pl_journal_open(&b->j, b->dir, true, &err), PL_OK);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	const char *const names[] = { "journal.db", "journal.db-wal",
		"journal.db-shm", "journal.lock" };
	char path[128];

	pl_journal_close(b->j);
	for (size_t i = 0; i < PL_NELEM(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(b->dir), 0);
	free(b);
	return 0;
}

static void
fill(struct pl_row *r, const char *job, enum pl_was was)
{
	*r = (struct pl_row){ .kind = PL_TXT, .ttl = 60, .was = was,
		.created = 1000 };
	r->job = pl_strdup(job);
	r->method = pl_strdup("dns-01");
	r->domain = pl_strdup("example.com");
	r->account = pl_strdup("lab");
	r->provider = pl_strdup("rfc2136");
	r->scope = pl_strdup("example.com");
	r->name = pl_strdup("_acme-challenge.example.com");
	r->record = pl_strdup("_acme-challenge.example.com");
	r->value = pl_strdup("one");
	r->value_len = 3;
}

static size_t
count(struct pl_journal *j, bool left)
{
	struct pl_row_query q = { .left = left };
	struct pl_row *rows;
	struct pl_err err;
	size_t n;

	assert_int_equal(pl_journal_rows(j, &q, &rows, &n, &err), PL_OK);
	for (size_t i = 0; i < n; i++)
		pl_row_clear(&rows[i]);
	free(rows);
	return n;
}

static enum pl_claim
claim(struct pl_journal *j, struct pl_row *r)
{
	enum pl_claim c;
	struct pl_err err;

	assert_int_equal(pl_journal_claim(j, r, &c, &err), PL_OK);
	return c;
}

static void
test_add_and_remove(void **state)
{
	struct bed *b = *state;
	struct pl_row r;
	struct pl_err err;
	bool call, busy;

	fill(&r, "a", PL_WAS_ABSENT);
	assert_int_equal(claim(b->j, &r), PL_CLAIM_ADD);
	assert_int_equal(r.state, PL_ROW_INTENT);
	assert_int_equal(count(b->j, false), 1);
	assert_int_equal(pl_journal_published(b->j, &r, "h1", PL_WAS_ABSENT,
	    &err), PL_OK);
	assert_int_equal(pl_journal_visible(b->j, &r, &err), PL_OK);
	assert_int_equal(pl_journal_removing(b->j, &r, &call, &busy, &err),
	    PL_OK);
	assert_true(call);
	assert_false(busy);
	assert_int_equal(count(b->j, false), 1);
	assert_int_equal(pl_journal_removed(b->j, &r, &err), PL_OK);
	assert_int_equal(count(b->j, true), 0);
	pl_row_clear(&r);
}

/* A value that was there before is never deleted, however often it is
 * asked for. */
static void
test_foreign(void **state)
{
	struct bed *b = *state;
	struct pl_row r, again;
	struct pl_err err;
	bool call, busy;

	fill(&r, "a", PL_WAS_PRESENT);
	assert_int_equal(claim(b->j, &r), PL_CLAIM_FOREIGN);
	assert_int_equal(pl_journal_removing(b->j, &r, &call, &busy, &err),
	    PL_OK);
	assert_false(call);
	assert_int_equal(count(b->j, false), 0);
	assert_int_equal(count(b->j, true), 1);
	/* A second job finds it there too: still foreign. */
	fill(&again, "b", PL_WAS_PRESENT);
	assert_int_equal(claim(b->j, &again), PL_CLAIM_FOREIGN);
	assert_int_equal(pl_journal_removing(b->j, &again, &call, &busy,
	    &err), PL_OK);
	assert_false(call);
	assert_int_equal(count(b->j, true), 1);
	pl_row_clear(&r);
	pl_row_clear(&again);
}

/* Its owner took the foreign value away, and then we add the same one: from
 * then on it is ours. */
static void
test_foreign_gone_then_ours(void **state)
{
	struct bed *b = *state;
	struct pl_row r, ours;
	struct pl_err err;
	bool call, busy;

	fill(&r, "a", PL_WAS_PRESENT);
	claim(b->j, &r);
	pl_journal_removing(b->j, &r, &call, &busy, &err);
	fill(&ours, "b", PL_WAS_ABSENT);
	assert_int_equal(claim(b->j, &ours), PL_CLAIM_ADD);
	assert_int_equal(count(b->j, true), 1);
	pl_journal_published(b->j, &ours, "", PL_WAS_ABSENT, &err);
	assert_int_equal(pl_journal_removing(b->j, &ours, &call, &busy, &err),
	    PL_OK);
	assert_true(call);
	pl_row_clear(&r);
	pl_row_clear(&ours);
}

/* Two jobs want the same value: the last one to go removes it. */
static void
test_shared(void **state)
{
	struct bed *b = *state;
	struct pl_row r1, r2;
	struct pl_err err;
	bool call, busy;

	fill(&r1, "a", PL_WAS_ABSENT);
	claim(b->j, &r1);
	pl_journal_published(b->j, &r1, "", PL_WAS_ABSENT, &err);
	fill(&r2, "b", PL_WAS_PRESENT);
	assert_int_equal(claim(b->j, &r2), PL_CLAIM_OURS);
	assert_int_equal(r2.was, PL_WAS_ABSENT);
	pl_journal_removing(b->j, &r1, &call, &busy, &err);
	assert_false(call);
	pl_journal_removing(b->j, &r2, &call, &busy, &err);
	assert_true(call);
	pl_row_clear(&r1);
	pl_row_clear(&r2);
}

/* An intent of a live process is busy; of a dead one it is ours. */
static void
test_other_process(void **state)
{
	struct bed *b = *state;
	struct pl_row mine;
	int to[2], from[2];
	char c = 'x';
	pid_t pid;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	pid = fork();
	if (pid == 0) {
		struct pl_journal *j;
		struct pl_row r;
		struct pl_err err;

		if (pl_journal_open(&j, b->dir, true, &err) != PL_OK)
			_exit(1);
		fill(&r, "theirs", PL_WAS_ABSENT);
		if (claim(j, &r) != PL_CLAIM_ADD)
			_exit(2);
		if (write(from[1], &c, 1) != 1 || read(to[0], &c, 1) != 1)
			_exit(3);
		_exit(0);	/* as a crash: nothing is closed */
	}
	assert_int_equal(read(from[0], &c, 1), 1);
	fill(&mine, "mine", PL_WAS_PRESENT);
	assert_int_equal(claim(b->j, &mine), PL_CLAIM_BUSY);
	assert_int_equal(write(to[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mine.was = PL_WAS_PRESENT;
	assert_int_equal(claim(b->j, &mine), PL_CLAIM_OURS);
	assert_int_equal(count(b->j, false), 2);
	pl_row_clear(&mine);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

static void
test_retry_of_a_lost_answer(void **state)
{
	struct bed *b = *state;
	struct pl_row r;

	fill(&r, "a", PL_WAS_ABSENT);
	assert_int_equal(claim(b->j, &r), PL_CLAIM_ADD);
	/* The add was sent, its answer was lost, and the look finds it. */
	r.was = PL_WAS_PRESENT;
	assert_int_equal(claim(b->j, &r), PL_CLAIM_OURS);
	assert_int_equal(r.was, PL_WAS_ABSENT);
	assert_int_equal(count(b->j, false), 1);
	pl_row_clear(&r);
}

static void
test_queries(void **state)
{
	struct bed *b = *state;
	struct pl_row_query q = { .record = "_acme-challenge.example.com",
		.kind = PL_TXT, .value = "one", .value_len = 3 };
	struct pl_row r, *rows;
	struct pl_err err;
	size_t n;

	fill(&r, "a", PL_WAS_ABSENT);
	claim(b->j, &r);
	assert_int_equal(pl_journal_rows(b->j, &q, &rows, &n, &err), PL_OK);
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].job, "a");
	assert_string_equal(rows[0].domain, "example.com");
	assert_memory_equal(rows[0].value, "one", 3);
	pl_row_clear(&rows[0]);
	free(rows);
	q.value = "two";
	assert_int_equal(pl_journal_rows(b->j, &q, &rows, &n, &err), PL_OK);
	assert_int_equal(n, 0);
	q = (struct pl_row_query){ .before = 1000 };
	assert_int_equal(pl_journal_rows(b->j, &q, &rows, &n, &err), PL_OK);
	assert_int_equal(n, 0);
	q.before = 1001;
	assert_int_equal(pl_journal_rows(b->j, &q, &rows, &n, &err), PL_OK);
	assert_int_equal(n, 1);
	pl_row_clear(&rows[0]);
	free(rows);
	pl_row_clear(&r);
}

static void
test_notes(void **state)
{
	struct bed *b = *state;
	struct pl_account_note n = { 1500, 2.5, 77, 99 }, got;
	struct pl_err err;

	assert_int_equal(pl_journal_note_get(b->j, "lab", &got, &err), PL_OK);
	assert_int_equal(got.seen_ms, 0);
	assert_int_equal(pl_journal_note_put(b->j, "lab", &n, &err), PL_OK);
	assert_int_equal(pl_journal_note_get(b->j, "lab", &got, &err), PL_OK);
	assert_int_equal(got.seen_ms, 1500);
	assert_true(got.tokens > 2.49 && got.tokens < 2.51);
	assert_int_equal(got.stamp, 77);
	assert_int_equal(got.paused, 99);
}

static void
test_missing_is_not_made(void **state)
{
	struct pl_journal *j;
	struct pl_err err;

	(void)state;
	assert_int_equal(pl_journal_open(&j, "/nonexistent/placard", false,
	    &err), PL_OK);
	assert_null(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_and_remove, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_gone_then_ours,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_process, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_retry_of_a_lost_answer,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
		cmocka_unit_test(test_missing_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
