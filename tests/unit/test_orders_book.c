/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include "orders.h"

#include <sys/wait.h>

#define OK(e) do { if ((e) != PL_OK) fail_msg("%s", err.text); } while (0)

static struct pl_book *
opened(void **state)
{
	struct pl_book *b;
	struct pl_err err;

	OK(pl_book_open(&b, *state, true, &err));
	return b;
}

/* An order with everything in it. */
static struct pl_order
whole(const char *store_id)
{
	struct pl_order o = { .state = PL_O_PENDING, .step = PL_STEP_POLL,
		.months = 12, .ours = true, .generation = 2, .tries = 3,
		.sent = 4, .due = 5, .rechecked = 6, .purchased = 7,
		.expires = 8, .not_before = 9, .not_after = 10 };

	o.controller = pl_strdup("store");
	o.custom_id = pl_strdup("custom-1");
	o.store_id = pl_strdup(store_id);
	o.partner_id = pl_strdup("70100001");
	o.product = pl_strdup("positivemdcssl");
	o.major = pl_strdup("Pending");
	o.csr = pl_strdup("no PEM at all");
	memset(o.spki, 0x5a, sizeof(o.spki));
	o.unique = pl_strdup("abc");
	o.path = pl_strdup("order/neworder");
	o.request = pl_strdup("{}");
	o.names = pl_array(2, sizeof(*o.names));
	o.nnames = 2;
	o.names[0].name = pl_strdup("www.example.com");
	o.names[0].method = PL_DCV_DNS;
	o.names[1].name = pl_strdup("example.org");
	o.names[1].method = -1;
	o.names[1].approver = pl_strdup("admin@example.org");
	o.challenges = pl_array(1, sizeof(*o.challenges));
	o.nchallenges = 1;
	o.challenges[0] = (struct pl_order_challenge){
		.domain = pl_strdup("www.example.com"),
		.method = PL_DCV_FILE, .word = pl_strdup("HTTP_CSR_HASH"),
		.status = pl_strdup("Pending"), .kind = PL_FILE,
		.record = pl_strdup("/.well-known/pki-validation/A.txt"),
		.value = pl_strdup("a\r\nb"), .len = 4 };
	return o;
}

static void
test_round_trip(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order o = whole("50200001"), r;
	struct pl_err err;

	OK(pl_book_save(b, &o, &err));
	assert_int_not_equal(o.id, 0);
	OK(pl_book_get(b, o.id, &r, &err));
	assert_string_equal(r.controller, "store");
	assert_string_equal(r.store_id, "50200001");
	assert_null(r.vendor_id);
	assert_int_equal(r.state, PL_O_PENDING);
	assert_int_equal(r.step, PL_STEP_POLL);
	assert_memory_equal(r.spki, o.spki, sizeof(o.spki));
	assert_true(r.ours);
	assert_int_equal(r.generation, 2);
	assert_int_equal(r.tries, 3);
	assert_int_equal(r.sent, 4);
	assert_int_equal(r.not_after, 10);
	assert_int_equal(r.nnames, 2);
	assert_int_equal(r.names[1].method, -1);
	assert_string_equal(r.names[1].approver, "admin@example.org");
	assert_int_equal(r.nchallenges, 1);
	assert_int_equal(r.challenges[0].len, 4);
	assert_memory_equal(r.challenges[0].value, "a\r\nb", 4);
	/* Saved again it is the same row, with what is left of its parts. */
	pl_order_challenges_clear(r.challenges, r.nchallenges);
	r.challenges = NULL;
	r.nchallenges = 0;
	OK(pl_book_save(b, &r, &err));
	pl_order_clear(&o);
	OK(pl_book_get(b, r.id, &o, &err));
	assert_int_equal(o.nchallenges, 0);
	assert_int_equal(o.nnames, 2);
	OK(pl_book_delete(b, o.id, &err));
	pl_order_clear(&r);
	assert_int_equal(pl_book_get(b, o.id, &r, &err), PL_EINVAL);
	pl_order_clear(&o);
	pl_book_close(b);
}

static void
test_finding(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order o = whole("50200002"), twin = whole("50200002"), r;
	struct pl_err err;
	char local[PL_ORDER_ID];
	int64_t id;

	OK(pl_book_save(b, &o, &err));
	pl_order_local_id(local, o.id);
	OK(pl_book_find(b, NULL, "50200002", &r, &err));
	assert_int_equal(r.id, o.id);
	pl_order_clear(&r);
	OK(pl_book_find(b, NULL, local, &r, &err));
	pl_order_clear(&r);
	OK(pl_book_find(b, "store", "custom-1", &r, &err));
	pl_order_clear(&r);
	assert_int_equal(pl_book_find(b, "other", "50200002", &r, &err),
	    PL_EINVAL);
	assert_int_equal(pl_book_find(b, NULL, "1", &r, &err), PL_EINVAL);
	free(twin.controller);
	twin.controller = pl_strdup("sandbox");
	OK(pl_book_save(b, &twin, &err));
	assert_int_equal(pl_book_find(b, NULL, "50200002", &r, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "sandbox"));
	OK(pl_book_find(b, "sandbox", "50200002", &r, &err));
	assert_int_equal(r.id, twin.id);
	pl_order_clear(&r);
	OK(pl_book_known(b, "store", "50200002", NULL, &id, &err));
	assert_int_equal(id, o.id);
	/* An order that has its number is not found by another's mark. */
	OK(pl_book_known(b, "store", "999", "custom-1", &id, &err));
	assert_int_equal(id, 0);
	free(o.store_id);
	o.store_id = NULL;
	OK(pl_book_save(b, &o, &err));
	OK(pl_book_known(b, "store", "999", "custom-1", &id, &err));
	assert_int_equal(id, o.id);
	OK(pl_book_delete(b, o.id, &err));
	OK(pl_book_delete(b, twin.id, &err));
	pl_order_clear(&o);
	pl_order_clear(&twin);
	pl_book_close(b);
}

static size_t
count(struct pl_book *b, const struct pl_book_query *q)
{
	struct pl_err err;
	int64_t *ids;
	size_t n;

	OK(pl_book_list(b, q, &ids, &n, &err));
	free(ids);
	return n;
}

static void
test_lists(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_book_query q = { .state = -1 };
	struct pl_order o = whole("50200003");
	struct pl_err err;

	OK(pl_book_save(b, &o, &err));
	assert_int_equal(count(b, &q), 1);
	q.busy = true;
	assert_int_equal(count(b, &q), 1);
	q.state = PL_O_ISSUED;
	assert_int_equal(count(b, &q), 0);
	o.state = PL_O_ISSUED;
	o.step = PL_STEP_REST;
	o.not_after = 1000;
	o.expires = 5000;
	OK(pl_book_save(b, &o, &err));
	assert_int_equal(count(b, &q), 0);
	q.busy = false;
	assert_int_equal(count(b, &q), 1);
	q.expiring = 1000;
	assert_int_equal(count(b, &q), 0);
	q.expiring = 1001;
	assert_int_equal(count(b, &q), 1);
	q.controller = "other";
	assert_int_equal(count(b, &q), 0);
	OK(pl_book_delete(b, o.id, &err));
	pl_order_clear(&o);
	pl_book_close(b);
}

static void
test_rest(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order o = whole("50200004");
	struct pl_book_cert c = { .serial = pl_strdup("0A"),
		.leaf = pl_strdup("leaf"), .chain = pl_strdup(""),
		.root = pl_strdup("root"), .trusted = true, .not_after = 9 };
	struct pl_book_cert r;
	struct pl_book_sync y = { .done = 1, .full = true, .page = 3,
		.size = 100, .since = 4, .until = 5 }, z;
	struct pl_err err;
	json_t *events;

	OK(pl_book_save(b, &o, &err));
	OK(pl_book_cert_put(b, o.id, &c, &err));
	free(c.serial);
	c.serial = pl_strdup("0B");
	OK(pl_book_cert_put(b, o.id, &c, &err));
	OK(pl_book_cert_get(b, o.id, NULL, &r, &err));
	assert_string_equal(r.serial, "0B");
	assert_true(r.trusted);
	pl_book_cert_clear(&r);
	OK(pl_book_cert_get(b, o.id, "0A", &r, &err));
	assert_string_equal(r.leaf, "leaf");
	pl_book_cert_clear(&r);
	OK(pl_book_cert_get(b, o.id, "0C", &r, &err));
	assert_null(r.leaf);
	OK(pl_book_event(b, o.id, "one", "first", &err));
	OK(pl_book_event(b, o.id, "two", "second", &err));
	OK(pl_book_events(b, o.id, &events, &err));
	assert_int_equal(pl_json_count(events), 2);
	assert_string_equal(pl_json_str(pl_json_get(pl_json_at(events, 1),
	    "event")), "two");
	pl_json_free(events);
	OK(pl_book_sync_get(b, "store", &z, &err));
	assert_int_equal(z.page, 0);
	OK(pl_book_sync_put(b, "store", &y, &err));
	OK(pl_book_sync_get(b, "store", &z, &err));
	assert_true(z.full);
	assert_int_equal(z.page, 3);
	assert_int_equal(z.until, 5);
	/* What hangs on an order goes with it. */
	OK(pl_book_delete(b, o.id, &err));
	OK(pl_book_cert_get(b, o.id, NULL, &r, &err));
	assert_null(r.leaf);
	pl_book_cert_clear(&c);
	pl_order_clear(&o);
	pl_book_close(b);
}

/* An order that waits for years does not fill the disk. */
static void
test_many_events(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order o = whole("50200009"), other = whole("50200010");
	struct pl_err err;
	struct pl_db *db;
	struct pl_stmt *s;
	char path[600];
	bool row;

	OK(pl_book_save(b, &o, &err));
	OK(pl_book_save(b, &other, &err));
	OK(pl_book_event(b, other.id, "one", "text", &err));
	OK(pl_book_begin(b, &err));
	for (int i = 0; i < 700; i++)
		OK(pl_book_event(b, o.id, "recheck", "text", &err));
	OK(pl_book_commit(b, &err));
	pl_book_close(b);
	snprintf(path, sizeof(path), "%s/orders.db", (char *)*state);
	/* As the book is now, whatever its version. */
	OK(pl_db_open_steps(&db, path, (const char *const[]){ "", "", "" },
	    3, &err));
	OK(pl_db_prepare(&s, db, "SELECT count(*), max(id) - min(id) FROM"
	    " events WHERE event = 'recheck'", &err));
	OK(pl_stmt_step(s, &row, &err));
	assert_true(row);
	assert_int_equal(pl_col_int(s, 0), 500);
	assert_int_equal(pl_col_int(s, 1), 499);
	pl_stmt_reset(s);
	OK(pl_db_prepare(&s, db, "SELECT count(*) FROM events WHERE"
	    " event = 'one'", &err));
	OK(pl_stmt_step(s, &row, &err));
	assert_int_equal(pl_col_int(s, 0), 1);
	pl_stmt_reset(s);
	pl_db_close(db);
	b = opened(state);
	OK(pl_book_delete(b, o.id, &err));
	OK(pl_book_delete(b, other.id, &err));
	pl_book_close(b);
	pl_order_clear(&o);
	pl_order_clear(&other);
}

/* A lock is one process's, and ends with it. */
static void
test_locks(void **state)
{
	struct pl_book *a = opened(state), *b = opened(state);
	int st;
	pid_t pid;

	assert_true(pl_book_lock(a, 7));
	assert_true(pl_book_lock(a, 7));
	assert_false(pl_book_lock(b, 7));
	assert_true(pl_book_lock(b, 8));
	pl_book_unlock(a, 7);
	assert_true(pl_book_lock(b, 7));
	pl_book_close(b);
	assert_true(pl_book_lock(a, 7));
	pl_book_unlock(a, 7);
	pid = fork();
	if (pid == 0) {
		b = opened(state);
		_exit(pl_book_lock(b, 7) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_true(pl_book_lock(a, 7));
	pl_book_close(a);
}

static void
test_rollback(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_book_query q = { .state = -1 };
	struct pl_order o = whole("50200005");
	struct pl_err err;

	OK(pl_book_begin(b, &err));
	OK(pl_book_save(b, &o, &err));
	pl_book_rollback(b);
	assert_int_equal(count(b, &q), 0);
	pl_order_clear(&o);
	pl_book_close(b);
}

static struct pl_book_target
target_of(int64_t order, int64_t began, int64_t due)
{
	struct pl_book_target t = { .order = order, .began = began,
		.due = due, .changed = 7 };

	t.target = pl_strdup("a.test/web");
	t.name = pl_strdup("a.test");
	t.serial = pl_strdup("0A");
	memset(t.sha256, 'f', 64);
	return t;
}

/* The state of an order's only target; *due too. */
static enum pl_target_state
state_of(struct pl_book *b, int64_t order, int64_t *due)
{
	struct pl_book_target t;
	struct pl_err err;
	bool found;
	enum pl_target_state s;

	OK(pl_book_target_get(b, order, "a.test/web", &t, &found, &err));
	assert_true(found);
	s = t.state;
	*due = t.due;
	pl_book_target_clear(&t);
	return s;
}

static void
test_targets(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order old = whole("50200071"), new = whole("50200072");
	struct pl_book_target one, two, *list;
	int64_t due;
	struct pl_err err;
	size_t n;

	free(old.custom_id);
	old.custom_id = NULL;
	OK(pl_book_save(b, &old, &err));
	OK(pl_book_save(b, &new, &err));
	one = target_of(old.id, 100, 50);
	two = target_of(new.id, 200, 60);
	one.error = pl_strdup("why");
	OK(pl_book_target_put(b, &one, &err));
	OK(pl_book_target_put(b, &two, &err));
	OK(pl_book_target_due(b, &due, &err));
	assert_int_equal(due, 50);
	OK(pl_book_targets(b, 0, 55, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(list[0].error, "why");
	assert_string_equal(list[0].sha256, one.sha256);
	pl_book_targets_clear(list, n);
	/* The younger one makes the other wait no more, not vice versa. */
	OK(pl_book_target_yield(b, &two, &err));
	assert_int_equal(state_of(b, old.id, &due), PL_TG_PENDING);
	assert_int_equal(due, 0);
	OK(pl_book_target_yield(b, &one, &err));
	assert_int_equal(state_of(b, old.id, &due), PL_TG_REPLACED);
	assert_int_equal(state_of(b, new.id, &due), PL_TG_PENDING);
	assert_int_equal(due, 60);
	one.state = PL_TG_DEPLOYED;
	OK(pl_book_target_put(b, &one, &err));
	OK(pl_book_target_replace(b, &two, &err));
	assert_int_equal(state_of(b, old.id, &due), PL_TG_REPLACED);
	/* They go with their order. */
	OK(pl_book_delete(b, old.id, &err));
	OK(pl_book_targets(b, old.id, 0, &list, &n, &err));
	assert_int_equal(n, 0);
	OK(pl_book_delete(b, new.id, &err));
	pl_book_target_clear(&one);
	pl_book_target_clear(&two);
	pl_order_clear(&old);
	pl_order_clear(&new);
	pl_book_close(b);
}

static void
test_missing(void **state)
{
	struct pl_book *b;
	struct pl_err err;
	char path[600];

	snprintf(path, sizeof(path), "%s/none", (char *)*state);
	OK(pl_book_open(&b, path, false, &err));
	assert_null(b);
	snprintf(path, sizeof(path), "%s/orders.db/x", (char *)*state);
	assert_int_equal(pl_book_open(&b, path, true, &err), PL_EIO);
	assert_null(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_many_events),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_rollback),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
