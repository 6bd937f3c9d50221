/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char schema[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, data BLOB,"
    " parent INTEGER REFERENCES t(id)); CREATE INDEX t_name ON t(name);";

struct bed {
	char dir[64], path[96];
	struct pl_err err;
};

static int
setup(void **state)
{
	struct bed *b = pl_alloc(sizeof(*b));

	snprintf(b->dir, sizeof(b->dir), "/tmp/placard-db-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/j.db", b->dir);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	char path[400];
	struct dirent *e;
	DIR *d = opendir(b->dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, e->d_name);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(b->dir);
	free(b);
	return 0;
}

static struct pl_db *
opened(struct bed *b)
{
	struct pl_db *db;

	if (pl_db_open(&db, b->path, 3, schema, &b->err) != PL_OK)
		fail_msg("%s", b->err.text);
	return db;
}

static struct pl_stmt *
prepared(struct bed *b, struct pl_db *db, const char *sql)
{
	struct pl_stmt *s;

	if (pl_db_prepare(&s, db, sql, &b->err) != PL_OK)
		fail_msg("%s", b->err.text);
	return s;
}

static int64_t
one(struct bed *b, struct pl_db *db, const char *sql)
{
	struct pl_stmt *s = prepared(b, db, sql);
	int64_t v;
	bool row;

	if (pl_stmt_step(s, &row, &b->err) != PL_OK)
		fail_msg("%s", b->err.text);
	assert_true(row);
	v = pl_col_int(s, 0);
	pl_stmt_reset(s);
	return v;
}

static unsigned
files(struct bed *b)
{
	unsigned n = 0;
	struct dirent *e;
	DIR *d = opendir(b->dir);

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
test_fresh(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct stat st;
	char path[128];

	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(one(b, db, "PRAGMA user_version"), 3);
	assert_int_equal(one(b, db, "PRAGMA synchronous"), 2);
	assert_int_equal(one(b, db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(one(b, db, "PRAGMA busy_timeout"), 10000);
	assert_int_equal(one(b, db, "PRAGMA wal_autocheckpoint"), 1000);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	snprintf(path, sizeof(path), "%s-wal", b->path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	pl_db_close(db);
	pl_db_close(NULL);
}

/* A short log is left for the next one; a long one goes with the last. */
static void
test_log_kept(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);

	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_close(db);
	assert_int_equal(files(b), 3);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name)"
	    " VALUES(hex(zeroblob(200000)))", &b->err), PL_OK);
	pl_db_close(db);
	assert_int_equal(files(b), 1);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 2);
	pl_db_close(db);
	assert_int_equal(files(b), 1);
}

/* Who takes the database away and leaves its log gets a new one. */
static void
test_log_orphaned(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);

	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_close(db);
	assert_int_equal(files(b), 3);
	assert_int_equal(unlink(b->path), 0);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('y')",
	    &b->err), PL_OK);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	pl_db_close(db);
}

static void
test_again(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct pl_stmt *s;
	bool row;

	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_close(db);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	s = prepared(b, db, "PRAGMA journal_mode");
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_string_equal(pl_col_text(s, 0), "wal");
	pl_db_close(db);
}

/* An empty file, as a broken start of another program may leave it. */
static void
test_empty_file(void **state)
{
	struct bed *b = *state;
	struct pl_db *db;
	struct stat st;
	FILE *f = fopen(b->path, "w");

	fclose(f);
	chmod(b->path, 0600);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(one(b, db, "PRAGMA user_version"), 3);
	pl_db_close(db);
	assert_int_equal(stat(b->path, &st), 0);
	assert_true(st.st_size > 0);
}

static void
test_values(void **state)
{
	static const char insert[] =
	    "INSERT INTO t(id, name, data) VALUES(?, ?, ?)";
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct pl_stmt *s = prepared(b, db, insert);
	const void *blob;
	char text[] = "text";
	size_t n;
	bool row;

	pl_stmt_int(s, 1, INT64_MAX);
	pl_stmt_text(s, 2, text);
	text[0] = 'X';
	pl_stmt_blob(s, 3, "a\0b", 3);
	assert_int_equal(pl_stmt_run(s, &b->err), PL_OK);
	assert_int_equal(pl_db_rowid(db), INT64_MAX);
	assert_int_equal(pl_db_changes(db), 1);
	s = prepared(b, db, insert);
	pl_stmt_int(s, 1, 1);
	pl_stmt_text(s, 2, NULL);
	pl_stmt_blob(s, 3, "", 0);
	assert_int_equal(pl_stmt_run(s, &b->err), PL_OK);
	s = prepared(b, db, insert);
	pl_stmt_int(s, 1, 2);
	pl_stmt_null(s, 2);
	pl_stmt_blob(s, 3, NULL, 0);
	assert_int_equal(pl_stmt_run(s, &b->err), PL_OK);

	s = prepared(b, db, "SELECT id, name, data FROM t ORDER BY id DESC");
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_true(row);
	assert_true(pl_col_int(s, 0) == INT64_MAX);
	assert_string_equal(pl_col_text(s, 1), "text");
	blob = pl_col_blob(s, 2, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(blob, "a\0b", 3);
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_true(pl_col_null(s, 1) && pl_col_null(s, 2));
	assert_null(pl_col_text(s, 1));
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_true(row && !pl_col_null(s, 2));
	pl_col_blob(s, 2, &n);
	assert_int_equal(n, 0);
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_false(row);
	pl_db_close(db);
}

static void
test_statement_is_kept(void **state)
{
	static const char sql[] = "SELECT count(*) FROM t WHERE name IS ?";
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct pl_stmt *s = prepared(b, db, sql), *again;
	bool row;

	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x'),"
	    "(NULL),(NULL)", &b->err), PL_OK);
	assert_int_equal(pl_db_changes(db), 3);
	pl_stmt_text(s, 1, "x");
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_int_equal(pl_col_int(s, 0), 1);
	/* In the middle of it; the old parameters are gone. */
	again = prepared(b, db, sql);
	assert_ptr_equal(again, s);
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	assert_true(row);
	assert_int_equal(pl_col_int(s, 0), 2);
	/* Open statements do not keep the database from closing. */
	pl_db_close(db);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 3);
	pl_db_close(db);
}

static void
test_transactions(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);

	pl_db_rollback(db);
	pl_db_rollback(NULL);
	assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_rollback(db);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	assert_int_equal(pl_db_commit(db, &b->err), PL_OK);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	/* Without a commit, closing leaves nothing of it. */
	assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
	assert_int_equal(pl_db_exec(db, "DELETE FROM t", &b->err), PL_OK);
	pl_db_close(db);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	pl_db_close(db);
}

#define CHILDREN 6
#define ROWS 20

/* A child: waits for the starting gun, opens, writes, closes. */
static int
child(struct bed *b, int gun)
{
	struct pl_db *db;
	char c;
	int i;

	if (read(gun, &c, 1) != 0)
		return 10;
	if (pl_db_open(&db, b->path, 3, schema, &b->err) != PL_OK) {
		fprintf(stderr, "child: %s\n", b->err.text);
		return 11;
	}
	for (i = 0; i < ROWS; i++) {
		if (pl_db_begin(db, &b->err) != PL_OK ||
		    pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
		    &b->err) != PL_OK || pl_db_commit(db, &b->err) != PL_OK) {
			fprintf(stderr, "child: %s\n", b->err.text);
			return 12;
		}
	}
	pl_db_close(db);
	return 0;
}

static void
at_once(struct bed *b)
{
	struct pl_db *db;
	pid_t pids[CHILDREN];
	int gun[2], i, status;

	assert_int_equal(pipe(gun), 0);
	for (i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			close(gun[1]);
			_exit(child(b, gun[0]));
		}
		assert_true(pids[i] > 0);
	}
	close(gun[0]);
	close(gun[1]);
	for (i = 0; i < CHILDREN; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"),
	    CHILDREN * ROWS);
	pl_db_close(db);
	assert_int_equal(files(b), 1);
}

static void
test_many_make_it_at_once(void **state)
{
	at_once(*state);
}

/* The same where SQLite itself must change an empty file to WAL. */
static void
test_many_fill_it_at_once(void **state)
{
	struct bed *b = *state;

	close(open(b->path, O_CREAT | O_WRONLY, 0600));
	at_once(b);
}

/* Killed in the middle of a transaction: what was committed is there. */
static void
test_killed(void **state)
{
	struct bed *b = *state;
	struct pl_db *db;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (pl_db_open(&db, b->path, 3, schema, &b->err) != PL_OK ||
		    pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
		    &b->err) != PL_OK || pl_db_begin(db, &b->err) != PL_OK ||
		    pl_db_exec(db, "INSERT INTO t(name) VALUES('y')",
		    &b->err) != PL_OK)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	db = opened(b);
	assert_int_equal(one(b, db, "SELECT count(*) FROM t"), 1);
	pl_db_close(db);
}

/* One reads while another writes. */
static void
test_two_in_one_process(void **state)
{
	struct bed *b = *state;
	struct pl_db *first = opened(b), *second = opened(b);

	assert_int_equal(pl_db_begin(first, &b->err), PL_OK);
	assert_int_equal(pl_db_exec(first, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	assert_int_equal(one(b, second, "SELECT count(*) FROM t"), 0);
	assert_int_equal(pl_db_commit(first, &b->err), PL_OK);
	assert_int_equal(one(b, second, "SELECT count(*) FROM t"), 1);
	pl_db_close(first);
	assert_int_equal(pl_db_exec(second, "INSERT INTO t(name) VALUES('y')",
	    &b->err), PL_OK);
	pl_db_close(second);
}

static void
test_path_without_folder(void **state)
{
	struct bed *b = *state;
	char here[512];

	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(b->dir), 0);
	memcpy(b->path, "j.db", 5);
	pl_db_close(opened(b));
	assert_int_equal(files(b), 1);
	assert_int_equal(chdir(here), 0);
}

/* The outermost commit is the one; a rollback undoes all, however deep. */
static void
test_nested_transactions(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b), *other = opened(b);

	assert_int_equal(pl_db_commit(db, &b->err), PL_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
		assert_int_equal(pl_db_exec(db, "INSERT INTO t(name)"
		    " VALUES('x')", &b->err), PL_OK);
	}
	assert_int_equal(pl_db_commit(db, &b->err), PL_OK);
	assert_int_equal(one(b, other, "SELECT count(*) FROM t"), 0);
	assert_int_equal(pl_db_commit(db, &b->err), PL_OK);
	assert_int_equal(one(b, other, "SELECT count(*) FROM t"), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
	assert_int_equal(pl_db_exec(db, "DELETE FROM t", &b->err), PL_OK);
	pl_db_rollback(db);
	assert_int_equal(one(b, other, "SELECT count(*) FROM t"), 2);
	assert_int_equal(pl_db_begin(other, &b->err), PL_OK);
	assert_int_equal(pl_db_commit(other, &b->err), PL_OK);
	pl_db_close(other);
	pl_db_close(db);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fresh),
		T(test_log_kept),
		T(test_log_orphaned),
		T(test_again),
		T(test_empty_file),
		T(test_values),
		T(test_statement_is_kept),
		T(test_transactions),
		T(test_nested_transactions),
		T(test_many_make_it_at_once),
		T(test_many_fill_it_at_once),
		T(test_killed),
		T(test_two_in_one_process),
		T(test_path_without_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
