/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What the book keeps for renewal and for those who read its events. */
#include "scratch.h"

#include "orders.h"

#define OK(e) do { if ((e) != PL_OK) fail_msg("%s", err.text); } while (0)

static struct pl_book *
opened(void **state)
{
	struct pl_book *b;
	struct pl_err err;

	OK(pl_book_open(&b, *state, true, &err));
	return b;
}

/* An issued order in the book; its number. */
static int64_t
add(struct pl_book *b, const char *store_id, const char *renews,
    enum pl_order_state state, bool ours, int64_t end)
{
	struct pl_order o = { .state = state, .ours = ours,
		.not_after = end, .generation = 1 };
	struct pl_err err;
	int64_t id;

	o.controller = pl_strdup("store");
	o.store_id = pl_strdup(store_id);
	o.renews = pl_strdup(renews);
	o.product = pl_strdup("positivessl");
	o.names = pl_array(1, sizeof(*o.names));
	o.nnames = 1;
	o.names[0].name = pl_strdup("www.example.com");
	OK(pl_book_save(b, &o, &err));
	id = o.id;
	pl_order_clear(&o);
	return id;
}

static bool
renewable(struct pl_book *b, int64_t now, int64_t id)
{
	struct pl_err err;
	int64_t *ids;
	size_t n;
	bool found = false;

	OK(pl_book_renewable(b, now, INT64_MAX, false, &ids, &n, &err));
	for (size_t i = 0; i < n; i++)
		found = found || ids[i] == id;
	free(ids);
	return found;
}

static void
test_renewable(void **state)
{
	struct pl_book *b = opened(state);
	int64_t now = 1000 * PL_DAY_MS, end = now + 20 * PL_DAY_MS;
	int64_t a = add(b, "1", NULL, PL_O_ISSUED, true, end),
	    foreign = add(b, "2", NULL, PL_O_ISSUED, false, end),
	    young = add(b, "3", NULL, PL_O_PENDING, true, 0),
	    gone = add(b, "4", NULL, PL_O_EXPIRED, true,
	    now - 10 * PL_DAY_MS),
	    old = add(b, "5", NULL, PL_O_EXPIRED, true,
	    now - 31 * PL_DAY_MS),
	    dead = add(b, "6", NULL, PL_O_REVOKED, true, end), next;
	struct pl_renewal r = { .before = 5 * PL_DAY_MS };
	enum pl_order_state s;
	struct pl_order o;
	struct pl_err err;
	int64_t *ids;
	size_t n;

	assert_true(renewable(b, now, a));
	assert_false(renewable(b, now, foreign));
	assert_false(renewable(b, now, young));
	assert_true(renewable(b, now, gone));
	assert_false(renewable(b, now, old));
	assert_false(renewable(b, now, dead));
	OK(pl_book_renewable(b, now, INT64_MAX, true, &ids, &n, &err));
	assert_int_equal(n, 3);
	assert_int_equal(ids[0], gone);
	free(ids);
	OK(pl_book_renewable(b, now, end, true, &ids, &n, &err));
	assert_int_equal(n, 1);
	free(ids);
	/* Somebody said that it should be. */
	OK(pl_book_renewal_put(b, foreign, &r, &err));
	assert_true(renewable(b, now, foreign));
	assert_int_equal(pl_book_before_most(b), r.before);
	/* A renewal that failed is none; one that lives is. */
	OK(pl_book_get(b, a, &o, &err));
	OK(pl_book_successor(b, &o, &next, &s, &err));
	assert_int_equal(next, 0);
	add(b, NULL, "1", PL_O_FAILED, true, 0);
	assert_true(renewable(b, now, a));
	next = add(b, NULL, "1", PL_O_PLACING, true, 0);
	add(b, NULL, "1", PL_O_FAILED, true, 0);
	assert_false(renewable(b, now, a));
	OK(pl_book_successor(b, &o, &a, &s, &err));
	assert_int_equal(a, next);
	assert_int_equal(s, PL_O_PLACING);
	pl_order_clear(&o);
	pl_book_close(b);
}

static void
test_settings(void **state)
{
	struct pl_book *b = opened(state);
	int64_t id = add(b, "20", NULL, PL_O_ISSUED, true, 5);
	struct pl_renewal r, w = { .before = -1, .attempt = 7, .tries = 3,
		.next = 8, .told = 9 };
	struct pl_err err;

	OK(pl_book_renewal(b, id, &r, &err));
	assert_int_equal(r.before, 0);
	assert_null(r.key);
	w.key = pl_strdup("keep");
	w.error = pl_strdup("no credit");
	w.warned = pl_strdup("no future");
	OK(pl_book_renewal_put(b, id, &w, &err));
	OK(pl_book_renewal(b, id, &r, &err));
	assert_int_equal(r.before, -1);
	assert_int_equal(r.attempt, 7);
	assert_int_equal(r.tries, 3);
	assert_int_equal(r.next, 8);
	assert_int_equal(r.told, 9);
	assert_string_equal(r.key, "keep");
	assert_string_equal(r.error, "no credit");
	assert_string_equal(r.warned, "no future");
	pl_renewal_clear(&r);
	pl_renewal_clear(&w);
	OK(pl_book_delete(b, id, &err));
	OK(pl_book_renewal(b, id, &r, &err));
	assert_int_equal(r.attempt, 0);
	pl_book_close(b);
}

static void
test_keys(void **state)
{
	struct pl_book *b = opened(state);
	int64_t a = add(b, "30", NULL, PL_O_ISSUED, true, 5),
	    c = add(b, "31", "30", PL_O_PLACING, true, 0);
	unsigned char one[32], two[32];
	struct pl_err err;
	char *path;

	memset(one, 1, sizeof(one));
	memset(two, 2, sizeof(two));
	OK(pl_book_key_wish(b, a, 2, &path, &err));
	assert_null(path);
	OK(pl_book_key_put(b, a, 2, "/k/L30-2-abc.key", NULL, &err));
	OK(pl_book_key_wish(b, a, 2, &path, &err));
	assert_string_equal(path, "/k/L30-2-abc.key");
	free(path);
	OK(pl_book_key(b, a, one, &path, &err));
	assert_null(path);
	OK(pl_book_key_put(b, a, 2, "/k/L30-2-abc.key", one, &err));
	OK(pl_book_key_wish(b, a, 3, &path, &err));
	assert_null(path);
	OK(pl_book_key(b, a, one, &path, &err));
	assert_string_equal(path, "/k/L30-2-abc.key");
	free(path);
	OK(pl_book_key(b, a, two, &path, &err));
	assert_null(path);
	/* A new order takes the key with it. */
	OK(pl_book_key_put(b, a, 3, "/k/L30-3-abc.key", NULL, &err));
	OK(pl_book_key_move(b, "/k/L30-3-abc.key", c, two, &err));
	OK(pl_book_key_wish(b, a, 3, &path, &err));
	assert_null(path);
	OK(pl_book_key(b, c, two, &path, &err));
	assert_string_equal(path, "/k/L30-3-abc.key");
	free(path);
	pl_book_close(b);
}

static void
test_proofs(void **state)
{
	struct pl_book *b = opened(state);
	struct pl_order_name names[] = {
		{ .name = (char[]){ "a.example" } },
		{ .name = (char[]){ "b.example" } } };
	struct pl_order_challenge c = { .domain = (char[]){ "a.example" } };
	struct pl_order o = { .controller = (char[]){ "store" },
		.product = (char[]){ "positivessl" }, .names = names,
		.nnames = 2, .challenges = &c, .nchallenges = 1 };
	struct pl_err err;
	int64_t first, before = pl_wall_ms();

	assert_int_equal(pl_book_proof(b, &o, "a.example"), 0);
	OK(pl_book_proven(b, &o, false, &err));
	first = pl_book_proof(b, &o, "a.example");
	assert_true(first >= before);
	assert_int_equal(pl_book_proof(b, &o, "b.example"), 0);
	/* What is known already stays as it is. */
	usleep(2000);
	OK(pl_book_proven(b, &o, true, &err));
	assert_int_equal(pl_book_proof(b, &o, "a.example"), first);
	assert_true(pl_book_proof(b, &o, "b.example") > first);
	OK(pl_book_proven(b, &o, false, &err));
	assert_true(pl_book_proof(b, &o, "a.example") > first);
	/* Another CA knows nothing of it. */
	o.product = (char[]){ "digi_ssl_basic" };
	assert_int_equal(pl_book_proof(b, &o, "a.example"), 0);
	pl_book_close(b);
}

static void
test_reader(void **state)
{
	struct pl_book *b = opened(state);
	int64_t id = add(b, "40", NULL, PL_O_ISSUED, true, 5), at, last;
	struct pl_book_notice e;
	struct pl_err err;

	OK(pl_book_event(b, id, "certificate", "01", &err));
	/* A new reader is told of what comes, not of what was. */
	OK(pl_book_reader(b, "ops", &at, &err));
	OK(pl_book_notice(b, at, ~0u, &e, &err));
	assert_int_equal(e.id, 0);
	OK(pl_book_event(b, id, "publishing", "no news", &err));
	OK(pl_book_event(b, id, "certificate", "02", &err));
	OK(pl_book_event(b, id, "refused", "no", &err));
	OK(pl_book_event(b, id, "state", "issued", &err));
	OK(pl_book_event(b, id, "state", "failed", &err));
	OK(pl_book_notice(b, at, ~0u, &e, &err));
	assert_int_equal(e.kind, PL_N_ISSUED);
	assert_int_equal(e.order, id);
	assert_string_equal(e.text, "02");
	at = e.id;
	pl_book_notice_clear(&e);
	OK(pl_book_notice(b, at, ~0u, &e, &err));
	assert_int_equal(e.kind, PL_N_FAILED);
	assert_string_equal(e.what, "refused");
	at = e.id;
	pl_book_notice_clear(&e);
	OK(pl_book_notice(b, at, ~0u, &e, &err));
	assert_string_equal(e.what, "state");
	last = e.id;
	pl_book_notice_clear(&e);
	OK(pl_book_notice(b, at, 1u << PL_N_SERVED, &e, &err));
	assert_int_equal(e.id, 0);
	OK(pl_book_reader_put(b, "ops", last, &err));
	OK(pl_book_reader(b, "ops", &at, &err));
	assert_int_equal(at, last);
	/* Numbers do not come twice, whatever is forgotten. */
	OK(pl_book_delete(b, id, &err));
	id = add(b, "41", NULL, PL_O_ISSUED, true, 5);
	OK(pl_book_event(b, id, "served", "here", &err));
	OK(pl_book_notice(b, last, ~0u, &e, &err));
	assert_int_equal(e.kind, PL_N_SERVED);
	assert_true(e.id > last);
	pl_book_notice_clear(&e);
	pl_book_close(b);
}

/* Orders that have a renewal are not what runs out. */
static void
test_expiring(void **state)
{
	struct pl_book_query q = { .state = -1, .expiring = 9000 };
	struct pl_book *b = opened(state);
	struct pl_err err;
	int64_t a = add(b, "50", NULL, PL_O_ISSUED, true, 8000), *ids;
	size_t n, before;

	OK(pl_book_list(b, &q, &ids, &before, &err));
	free(ids);
	add(b, "51", "50", PL_O_PENDING, true, 0);
	OK(pl_book_list(b, &q, &ids, &n, &err));
	free(ids);
	assert_int_equal(n, before);
	add(b, "52", "50", PL_O_ISSUED, true, 20000);
	OK(pl_book_list(b, &q, &ids, &n, &err));
	for (size_t i = 0; i < n; i++)
		assert_true(ids[i] != a);
	free(ids);
	assert_int_equal(n, before - 1);
	pl_book_close(b);
}

/* A book of the first version, as it is in the field. */
static void
test_upgrade(void **state)
{
	static const char first[] = "CREATE TABLE orders ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT, controller TEXT NOT NULL,"
	    " custom_id TEXT, store_id TEXT, partner_id TEXT, vendor_id TEXT,"
	    " product TEXT, state INTEGER NOT NULL, step INTEGER NOT NULL,"
	    " major TEXT, minor TEXT, months INTEGER NOT NULL, csr TEXT,"
	    " spki BLOB, csr_sha256 TEXT, uniq TEXT, path TEXT, request TEXT,"
	    " renews TEXT, serial TEXT, refund_id TEXT, error TEXT,"
	    " ours INTEGER NOT NULL, revoked INTEGER NOT NULL,"
	    " generation INTEGER NOT NULL, tries INTEGER NOT NULL,"
	    " sent INTEGER NOT NULL, due INTEGER NOT NULL,"
	    " rechecked INTEGER NOT NULL, created INTEGER NOT NULL,"
	    " updated INTEGER NOT NULL, purchased INTEGER NOT NULL,"
	    " expires INTEGER NOT NULL, not_before INTEGER NOT NULL,"
	    " not_after INTEGER NOT NULL);"
	    "CREATE TABLE names (order_id INTEGER, seq INTEGER, name TEXT,"
	    " method INTEGER, approver TEXT);"
	    "CREATE TABLE challenges (order_id INTEGER, seq INTEGER,"
	    " domain TEXT, method INTEGER, word TEXT, status TEXT,"
	    " approved INTEGER, kind INTEGER, record TEXT, value BLOB);"
	    "CREATE TABLE events (id INTEGER PRIMARY KEY,"
	    " order_id INTEGER NOT NULL REFERENCES orders (id)"
	    " ON DELETE CASCADE, time INTEGER NOT NULL, event TEXT NOT NULL,"
	    " text TEXT NOT NULL);"
	    "CREATE INDEX events_order ON events (order_id);"
	    "INSERT INTO orders (id, controller, store_id, state, step,"
	    " months, ours, revoked, generation, tries, sent, due, rechecked,"
	    " created, updated, purchased, expires, not_before, not_after)"
	    " VALUES (7, 'store', '60', 2, 0, 12, 1, 0, 1, 0, 0, 0, 0, 1, 1,"
	    " 1, 1, 1, 9000);"
	    "INSERT INTO events VALUES (5, 7, 1, 'certificate', '0A');";
	char dir[600], path[640];
	struct pl_book_notice e;
	struct pl_book *b;
	struct pl_db *db;
	struct pl_err err;

	snprintf(dir, sizeof(dir), "%s/old", (char *)*state);
	snprintf(path, sizeof(path), "%s/orders.db", dir);
	OK(pl_mkdirs(dir, 0700, &err));
	OK(pl_db_open(&db, path, 1, first, &err));
	pl_db_close(db);
	for (unsigned i = 0; i < 2; i++) {
		OK(pl_book_open(&b, dir, true, &err));
		OK(pl_book_notice(b, 0, ~0u, &e, &err));
		assert_int_equal(e.id, 5);
		assert_string_equal(e.text, "0A");
		pl_book_notice_clear(&e);
		assert_true(renewable(b, 0, 7));
		pl_book_close(b);
	}
	/* One of a later placard is left alone. */
	OK(pl_db_open_steps(&db, path, (const char *const[]){ "", "", "" },
	    3, &err));
	assert_int_equal(pl_db_exec(db, "PRAGMA user_version = 99", &err),
	    PL_OK);
	pl_db_close(db);
	assert_int_equal(pl_book_open(&b, dir, true, &err), PL_EIO);
	assert_non_null(strstr(err.text, "99"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renewable),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_proofs),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_expiring),
		cmocka_unit_test(test_upgrade),
	};

	return cmocka_run_group_tests_name("orders: the book's renewals",
	    tests, scratch_setup, scratch_teardown);
}
