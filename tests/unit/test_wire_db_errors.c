/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
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

static void
says(const struct bed *b, const char *wanted)
{
	assert_int_equal(b->err.code, PL_EIO);
	if (strncmp(b->err.text, b->path, strlen(b->path)) != 0 ||
	    strstr(b->err.text, wanted) == NULL)
		fail_msg("\"%s\" does not say \"%s\" of %s", b->err.text,
		    wanted, b->path);
}

static void
refuse(struct bed *b, const char *wanted)
{
	struct pl_db *db = (struct pl_db *)(uintptr_t)1;

	assert_int_equal(pl_db_open(&db, b->path, 3, schema, &b->err), PL_EIO);
	assert_null(db);
	says(b, wanted);
	assert_int_equal(pl_db_open(&db, b->path, 3, schema, NULL), PL_EIO);
}

static void
put(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void
test_no_folder(void **state)
{
	struct bed *b = *state;

	snprintf(b->path, sizeof(b->path), "%s/none/j.db", b->dir);
	refuse(b, "No such file or directory");
	assert_int_equal(b->err.sys, 2);
}

static void
test_a_folder(void **state)
{
	struct bed *b = *state;

	snprintf(b->path, sizeof(b->path), "%s", b->dir);
	refuse(b, "unable to open");
}

static void
test_no_database(void **state)
{
	struct bed *b = *state;
	char *junk = pl_alloc(8192);

	put(b->path, "this is no database, it is a text of some length", 48);
	refuse(b, "not a database");
	put(b->path, junk, 8192);
	refuse(b, "damaged");
	memset(junk, 0xff, 8192);
	memcpy(junk, "SQLite format 3", 16);
	put(b->path, junk, 5016);
	refuse(b, "");
	free(junk);
}

/* A page of the table is overwritten: the schema still reads. */
static void
test_damaged_page(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct pl_stmt *s;
	char junk[4096];
	FILE *f;
	bool row;

	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x');"
	    "PRAGMA wal_checkpoint(TRUNCATE)", &b->err), PL_OK);
	pl_db_close(db);
	memset(junk, 0xee, sizeof(junk));
	f = fopen(b->path, "r+");
	fseek(f, 4096, SEEK_SET);
	assert_int_equal(fwrite(junk, 1, sizeof(junk), f), sizeof(junk));
	fclose(f);
	db = opened(b);
	assert_int_equal(pl_db_prepare(&s, db, "SELECT data FROM t", &b->err),
	    PL_OK);
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_EIO);
	assert_false(row);
	says(b, "damaged");
	pl_db_close(db);
}

static void
test_other_version(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);

	assert_int_equal(pl_db_exec(db, "PRAGMA user_version = 4", &b->err),
	    PL_OK);
	pl_db_close(db);
	refuse(b, "schema version is 4, this program knows version 3 only");
}

static void
test_bad_schema(void **state)
{
	struct bed *b = *state;
	struct pl_db *db;

	assert_int_equal(pl_db_open(&db, b->path, 3,
	    "CREATE TABLE a(x); CREATE TABEL b(x);", &b->err), PL_EIO);
	assert_null(db);
	says(b, "syntax error");
	/* None of it stays: the right one finds an empty database. */
	pl_db_close(opened(b));
}

/* What is kept in memory only is not durable: read back and refused. */
static void
test_journal_mode_is_read_back(void **state)
{
	struct bed *b = *state;
	char here[512];

	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(b->dir), 0);
	snprintf(b->path, sizeof(b->path), ":memory:");
	refuse(b, "journal_mode is \"memory\" where it must be \"wal\"");
	assert_int_equal(chdir(here), 0);
}

static void
test_statements(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b);
	struct pl_stmt *s = (struct pl_stmt *)(uintptr_t)1;

	assert_int_equal(pl_db_prepare(&s, db, "SELEKT 1", &b->err), PL_EIO);
	assert_null(s);
	says(b, "syntax error");
	assert_int_equal(pl_db_prepare(&s, db, " ", &b->err), PL_EINVAL);
	assert_int_equal(pl_db_exec(db, "INSERT INTO none VALUES(1)",
	    &b->err), PL_EIO);
	says(b, "no such table");
	/* A parameter that is not there shows with the step. */
	assert_int_equal(pl_db_prepare(&s, db, "SELECT ?", &b->err), PL_OK);
	pl_stmt_int(s, 2, 1);
	assert_int_equal(pl_stmt_run(s, &b->err), PL_EIO);
	says(b, "out of range");
	assert_int_equal(pl_stmt_run(s, &b->err), PL_OK);
	assert_int_equal(pl_db_prepare(&s, db,
	    "INSERT INTO t(id, parent) VALUES(1, 99)", &b->err), PL_OK);
	assert_int_equal(pl_stmt_run(s, &b->err), PL_EIO);
	says(b, "FOREIGN KEY");
	/* A name in double quotes is a name, not a text. */
	assert_int_equal(pl_db_prepare(&s, db, "SELECT \"none\"", &b->err),
	    PL_EIO);
	pl_db_close(db);
}

static void
test_busy(void **state)
{
	struct bed *b = *state;
	struct pl_db *db = opened(b), *other = opened(b);

	assert_int_equal(pl_db_exec(db, "PRAGMA busy_timeout = 1", &b->err),
	    PL_OK);
	assert_int_equal(pl_db_begin(other, &b->err), PL_OK);
	assert_int_equal(pl_db_begin(db, &b->err), PL_EIO);
	says(b, "another process held it");
	pl_db_rollback(other);
	assert_int_equal(pl_db_begin(db, &b->err), PL_OK);
	pl_db_close(db);
	pl_db_close(other);
}

/* ---- a small disk of our own --------------------------------------------- */

/* In a child of its own mount namespace; 77 where that is not allowed. */
static int
mounted(struct bed *b)
{
	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER |
	    CLONE_NEWNS) != 0)
		return 77;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", b->dir, "tmpfs", 0, "size=256k,mode=0700") != 0)
		return 77;
	return 0;
}

static void
fill(const struct bed *b)
{
	char path[128], block[4096];
	FILE *f;

	memset(block, 'x', sizeof(block));
	snprintf(path, sizeof(path), "%s/filler", b->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	setvbuf(f, NULL, _IONBF, 0);
	while (fwrite(block, 1, sizeof(block), f) == sizeof(block))
		;
	fclose(f);
}

static void
empty(const struct bed *b)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/filler", b->dir);
	unlink(path);
}

static void
full_when_new(struct bed *b)
{
	fill(b);
	refuse(b, "the disk is full");
	assert_int_equal(b->err.sys, ENOSPC);
	empty(b);
	pl_db_close(opened(b));
}

static void
full_when_used(struct bed *b)
{
	pl_db_close(opened(b));
	fill(b);
	refuse(b, "the disk is full");
	empty(b);
	pl_db_close(opened(b));
}

/* The disk fills up under a database that is at work. */
static void
full_at_work(struct bed *b)
{
	struct pl_db *db = opened(b);
	enum pl_code code = PL_OK;
	struct pl_stmt *s;
	int64_t before, n = 0;
	bool row;

	fill(b);
	for (before = 0; code == PL_OK && before < 1000; before++) {
		code = pl_db_begin(db, &b->err);
		if (code == PL_OK)
			code = pl_db_exec(db, "INSERT INTO t(data) "
			    "VALUES(zeroblob(3000))", &b->err);
		if (code == PL_OK)
			code = pl_db_commit(db, &b->err);
	}
	before--;
	says(b, "the disk is full");
	pl_db_rollback(db);
	empty(b);
	assert_int_equal(pl_db_prepare(&s, db, "SELECT count(*) FROM t",
	    &b->err), PL_OK);
	assert_int_equal(pl_stmt_step(s, &row, &b->err), PL_OK);
	n = pl_col_int(s, 0);
	assert_int_equal(n, before);
	pl_stmt_reset(s);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_close(db);
}

/* However little is free: it works, or it says that the disk is full. */
static void
nearly_full(struct bed *b)
{
	char filler[128];
	struct pl_db *db;
	struct stat st;
	long pages;

	snprintf(filler, sizeof(filler), "%s/filler", b->dir);
	for (pages = 1; pages < 24; pages++) {
		fill(b);
		assert_int_equal(stat(filler, &st), 0);
		assert_int_equal(truncate(filler, st.st_size - pages * 4096),
		    0);
		if (pl_db_open(&db, b->path, 3, schema, &b->err) != PL_OK ||
		    pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
		    &b->err) != PL_OK)
			says(b, "the disk is full");
		pl_db_close(db);
		empty(b);
		db = opened(b);
		assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) "
		    "VALUES('y')", &b->err), PL_OK);
		pl_db_close(db);
		unlink(b->path);
		assert_int_not_equal(stat(b->path, &st), 0);
	}
}

static void
read_only(struct bed *b)
{
	struct pl_db *db;

	assert_int_equal(mount(NULL, b->dir, NULL, MS_REMOUNT | MS_RDONLY,
	    NULL), 0);
	refuse(b, "read-only");
	assert_int_equal(b->err.sys, EROFS);
	assert_int_equal(mount(NULL, b->dir, NULL, MS_REMOUNT, NULL), 0);
	db = opened(b);
	assert_int_equal(pl_db_exec(db, "INSERT INTO t(name) VALUES('x')",
	    &b->err), PL_OK);
	pl_db_close(db);
	assert_int_equal(mount(NULL, b->dir, NULL, MS_REMOUNT | MS_RDONLY,
	    NULL), 0);
	refuse(b, "read-only");
	assert_int_equal(b->err.sys, EROFS);
}

/* Runs it in a child, so that the mount goes with it. */
static void
in_small_disk(struct bed *b, void (*run)(struct bed *))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		status = mounted(b);
		if (status == 0)
			run(b);
		fflush(NULL);
		_exit(status);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void
test_full_when_new(void **state)
{
	in_small_disk(*state, full_when_new);
}

static void
test_full_when_used(void **state)
{
	in_small_disk(*state, full_when_used);
}

static void
test_full_at_work(void **state)
{
	in_small_disk(*state, full_at_work);
}

static void
test_nearly_full(void **state)
{
	in_small_disk(*state, nearly_full);
}

static void
test_read_only(void **state)
{
	in_small_disk(*state, read_only);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_no_folder),
		T(test_a_folder),
		T(test_no_database),
		T(test_damaged_page),
		T(test_other_version),
		T(test_bad_schema),
		T(test_journal_mode_is_read_back),
		T(test_statements),
		T(test_busy),
		T(test_full_when_new),
		T(test_full_when_used),
		T(test_full_at_work),
		T(test_nearly_full),
		T(test_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
