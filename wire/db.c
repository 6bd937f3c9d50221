/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#define DB_BUSY_MS 10000
#define DB_LOG_KEPT (256 << 10)	/* octets */

struct pl_stmt {
	struct pl_stmt *next;
	struct pl_db *db;
	const char *sql;	/* the caller's, also the key */
	sqlite3_stmt *st;
	int bad;		/* the first bind that failed */
};

struct pl_db {
	sqlite3 *db;
	unsigned depth;			/* of pl_db_begin() */
	char *path;
	struct pl_stmt *stmts;
};

/* ---- errors ------------------------------------------------------------ */

static enum pl_code
db_full(struct pl_err *err, const char *path)
{
	pl_fail(err, PL_EIO, "%s: the disk is full", path);
	if (err != NULL)
		err->sys = ENOSPC;
	return PL_EIO;
}

static enum pl_code
db_readonly(struct pl_err *err, const char *path)
{
	pl_fail(err, PL_EIO,
	    "%s: the file or its file system is read-only", path);
	if (err != NULL)
		err->sys = EROFS;
	return PL_EIO;
}

/*
 * Says what went wrong, with the path.  A full disk shows itself as
 * SQLITE_FULL, or as an I/O error with ENOSPC where the WAL index or a
 * sync meets it.
 */
static enum pl_code
db_fail(struct pl_err *err, struct pl_db *db, int rc)
{
	int sys = sqlite3_system_errno(db->db);
	const char *text = sqlite3_errmsg(db->db);

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return db_full(err, db->path);
	case SQLITE_READONLY:
		return db_readonly(err, db->path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (sys == ENOSPC || sys == EDQUOT)
			return db_full(err, db->path);
		if (sys == EROFS)
			return db_readonly(err, db->path);
		if (sys != 0)
			return pl_fail_sys(err, PL_EIO, sys, "%s: %s",
			    db->path, text);
		break;
	case SQLITE_BUSY:
		return pl_fail(err, PL_EIO,
		    "%s: another process held it for more than %d s: %s",
		    db->path, DB_BUSY_MS / 1000, text);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return pl_fail(err, PL_EIO, "%s: damaged: %s", db->path, text);
	default:
		break;
	}
	return pl_fail(err, PL_EIO, "%s: %s", db->path, text);
}

/* ---- a fresh database -------------------------------------------------- */

/*
 * Builds the database in memory and gives its pages.  Octets 18 and 19 of
 * the header are the format versions; 2 says WAL (SQLite's file format,
 * section 1.3.3).
 */
static unsigned char *
db_image(int version, const char *const *steps, sqlite3_int64 *size)
{
	struct pl_buf pragma;
	unsigned char *image = NULL;
	sqlite3 *db = NULL;
	bool good;

	pl_buf_init(&pragma, PL_LIM_LINE);
	pl_buf_addf(&pragma, "PRAGMA user_version = %d", version);
	good = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK;
	for (int i = 0; good && i < version; i++)
		good = sqlite3_exec(db, steps[i], NULL, NULL, NULL) ==
		    SQLITE_OK;
	if (good && sqlite3_exec(db, pragma.data, NULL, NULL, NULL) ==
	    SQLITE_OK)
		image = sqlite3_serialize(db, "main", size, 0);
	if (image != NULL && *size >= 512)
		image[18] = image[19] = 2;
	sqlite3_close(db);
	pl_buf_clear(&pragma);
	return image;
}

static bool
db_write(int fd, const unsigned char *p, sqlite3_int64 n)
{
	ssize_t done;

	while (n > 0) {
		done = write(fd, p, (size_t)n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= done;
	}
	return true;
}

/* Gives the folder's path with "/." behind it. */
static char *
db_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	if (slash != NULL)
		pl_buf_add(&b, path, (size_t)(slash - path));
	pl_buf_adds(&b, slash != NULL ? "/." : ".");
	return pl_buf_take(&b);
}

/*
 * Did somebody take a database away and leave its log?  SQLite would find the
 * log's pages in a new database that is not empty; from an empty one it
 * removes the log by itself.
 */
static bool
db_has_log(const char *path)
{
	struct pl_buf log;
	bool has;

	pl_buf_init(&log, PL_LIM_LINE);
	pl_buf_addf(&log, "%s-wal", path);
	has = access(log.data, F_OK) == 0;
	pl_buf_clear(&log);
	return has;
}

/*
 * Makes a database that is not there yet appear whole, in WAL mode: two
 * syncs here and two with the first commit, in place of the seven that
 * SQLite takes for the change of mode and a schema.  Says nothing when it
 * cannot: pl_db_open then goes the ordinary way and meets the fault itself.
 * Of several processes that try, one link succeeds.
 */
static void
db_create(const char *path, int version, const char *const *steps)
{
	char *folder = NULL, link[64];
	unsigned char *image = NULL;
	sqlite3_int64 size = 0;
	int dir = -1, fd = -1;

	if (access(path, F_OK) == 0 || errno != ENOENT || db_has_log(path))
		return;
	folder = db_folder(path);
	dir = folder == NULL ? -1 :
	    open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		goto out;
	fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		goto out;
	image = db_image(version, steps, &size);
	if (image == NULL || !db_write(fd, image, size) || fsync(fd) != 0)
		goto out;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ||
	    errno == EEXIST)
		(void)fsync(dir);
out:
	sqlite3_free(image);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	free(folder);
}

/*
 * Sees to it that there is a file, of mode 0600; SQLite gives its own files
 * the mode of the database.  Opens no file that is there: closing it would
 * end this process's locks on it (fcntl(2)).
 */
static enum pl_code
db_touch(const char *path, struct pl_err *err)
{
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	else if (errno == ENOSPC || errno == EDQUOT)
		return db_full(err, path);
	else if (errno == EROFS)
		return db_readonly(err, path);
	else if (errno != EEXIST)
		return pl_fail_sys(err, PL_EIO, errno, "%s", path);
	return PL_OK;
}

/* ---- opening ----------------------------------------------------------- */

/* First column of the first row of a pragma. */
static int
db_ask(struct pl_db *db, const char *sql, char *text, size_t size)
{
	const unsigned char *column;
	sqlite3_stmt *st = NULL;
	int rc;

	*text = '\0';
	rc = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		column = sqlite3_column_text(st, 0);
		snprintf(text, size, "%s",
		    column != NULL ? (const char *)column : "");
		rc = SQLITE_OK;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_OK;
	}
	/* Of the same code as the step, but keeps the message alive. */
	(void)sqlite3_finalize(st);
	return rc;
}

/*
 * Asks until nobody else is in the way: SQLite does not call the busy
 * handler where one connection changes to WAL while another looks on.
 */
static int
db_ask_patiently(struct pl_db *db, const char *sql, char *text, size_t size)
{
	int64_t end = pl_mono_ms() + DB_BUSY_MS;
	struct timespec gap = { 0, 1000000 };
	int rc;

	for (;;) {
		rc = db_ask(db, sql, text, size);
		if ((rc & 0xff) != SQLITE_BUSY || pl_mono_ms() > end)
			return rc;
		nanosleep(&gap, NULL);
		if (gap.tv_nsec < 64000000)
			gap.tv_nsec *= 2;
	}
}

/* Sets what must hold for this connection, and reads it back. */
static enum pl_code
db_settle(struct pl_db *db, struct pl_err *err)
{
	char text[32];
	int rc;

	rc = db_ask_patiently(db, "PRAGMA journal_mode = WAL", text,
	    sizeof(text));
	if (rc != SQLITE_OK)
		return db_fail(err, db, rc);
	if (strcmp(text, "wal") != 0)
		return pl_fail(err, PL_EIO,
		    "%s: journal_mode is \"%s\" where it must be \"wal\"",
		    db->path, text);
	rc = db_ask(db, "PRAGMA synchronous = FULL", text, sizeof(text));
	if (rc == SQLITE_OK)
		rc = db_ask(db, "PRAGMA synchronous", text, sizeof(text));
	if (rc != SQLITE_OK)
		return db_fail(err, db, rc);
	if (strcmp(text, "2") != 0)
		return pl_fail(err, PL_EIO,
		    "%s: synchronous is %s where it must be 2 (full)",
		    db->path, text);
	return PL_OK;
}

static enum pl_code
db_version(struct pl_db *db, int *version, struct pl_err *err)
{
	char text[32];
	int rc = db_ask(db, "PRAGMA user_version", text, sizeof(text));

	*version = 0;
	if (rc != SQLITE_OK)
		return db_fail(err, db, rc);
	*version = (int)strtol(text, NULL, 10);
	return PL_OK;
}

/* Takes a database from the version it has, unless another process just
 * did. */
static enum pl_code
db_fill(struct pl_db *db, int version, const char *const *steps,
    struct pl_err *err)
{
	struct pl_buf pragma;
	enum pl_code code;
	int found;

	pl_buf_init(&pragma, PL_LIM_LINE);
	pl_buf_addf(&pragma, "PRAGMA user_version = %d", version);
	code = pl_db_begin(db, err);
	if (code == PL_OK)
		code = db_version(db, &found, err);
	if (code == PL_OK && found < version) {
		for (; found < version && code == PL_OK; found++)
			code = pl_db_exec(db, steps[found], err);
		if (code == PL_OK)
			code = pl_db_exec(db, pragma.data, err);
	}
	if (code == PL_OK)
		code = pl_db_commit(db, err);
	if (code != PL_OK)
		pl_db_rollback(db);
	pl_buf_clear(&pragma);
	return code;
}

/* `first`: the oldest version that the steps can begin with. */
static enum pl_code
db_schema(struct pl_db *db, int first, int version, const char *const *steps,
    struct pl_err *err)
{
	enum pl_code code;
	int found;

	code = db_version(db, &found, err);
	if (code == PL_OK && found < version && (found == 0 ||
	    found >= first)) {
		code = db_fill(db, version, steps, err);
		if (code == PL_OK)
			code = db_version(db, &found, err);
	}
	if (code == PL_OK && found != version)
		code = pl_fail(err, PL_EIO, "%s: schema version is %d, this "
		    "program knows version %d only", db->path, found, version);
	return code;
}

static void
db_configure(sqlite3 *db)
{
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, DB_BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
}

static enum pl_code
db_open(struct pl_db **out, const char *path, int first, int version,
    const char *const *steps, struct pl_err *err)
{
	struct pl_db *db;
	enum pl_code code;
	int rc;

	*out = NULL;
	db_create(path, version, steps);
	code = db_touch(path, err);
	if (code != PL_OK)
		return code;
	db = pl_alloc(sizeof(*db));
	db->path = pl_strdup(path);
	rc = sqlite3_open_v2(path, &db->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (db->db == NULL)
		code = pl_fail(err, PL_EIO, "%s: %s", path, sqlite3_errstr(rc));
	else if (rc != SQLITE_OK)
		code = db_fail(err, db, rc);
	else if (sqlite3_db_readonly(db->db, "main") == 1)
		code = db_readonly(err, path);
	else {
		db_configure(db->db);
		code = db_settle(db, err);
		if (code == PL_OK)
			code = db_schema(db, first, version, steps, err);
	}
	if (code != PL_OK) {
		pl_db_close(db);
		return code;
	}
	*out = db;
	return PL_OK;
}

enum pl_code
pl_db_open(struct pl_db **out, const char *path, int version,
    const char *schema, struct pl_err *err)
{
	const char **steps = pl_array((size_t)version + 1, sizeof(*steps));
	enum pl_code code;

	/* One step from nothing, and none from any version between. */
	for (int i = 0; i < version; i++)
		steps[i] = i == 0 ? schema : "";
	code = db_open(out, path, version, version, steps, err);
	free(steps);
	return code;
}

enum pl_code
pl_db_open_steps(struct pl_db **out, const char *path,
    const char *const *steps, size_t n, struct pl_err *err)
{
	return db_open(out, path, 1, (int)n, steps, err);
}

/*
 * A log that is short stays for the next command, which reads it again:
 * to move it into the database and to begin a new one takes four syncs, twice
 * what a record's two commits need.
 */
static void
db_keep_log(struct pl_db *db)
{
	struct pl_buf log;
	struct stat st;

	pl_buf_init(&log, PL_LIM_LINE);
	pl_buf_addf(&log, "%s-wal", db->path);
	if (stat(log.data, &st) == 0 && st.st_size > 0 &&
	    st.st_size <= DB_LOG_KEPT)
		(void)sqlite3_db_config(db->db,
		    SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	pl_buf_clear(&log);
}

void
pl_db_close(struct pl_db *db)
{
	struct pl_stmt *s;

	if (db == NULL)
		return;
	while ((s = db->stmts) != NULL) {
		db->stmts = s->next;
		sqlite3_finalize(s->st);
		free(s);
	}
	if (db->db != NULL)
		db_keep_log(db);
	sqlite3_close(db->db);
	free(db->path);
	free(db);
}

/* ---- statements -------------------------------------------------------- */

enum pl_code
pl_db_exec(struct pl_db *db, const char *sql, struct pl_err *err)
{
	int rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? PL_OK : db_fail(err, db, rc);
}

enum pl_code
pl_db_begin(struct pl_db *db, struct pl_err *err)
{
	enum pl_code code = PL_OK;

	if (db->depth == 0)
		code = pl_db_exec(db, "BEGIN IMMEDIATE", err);
	if (code == PL_OK)
		db->depth++;
	return code;
}

enum pl_code
pl_db_commit(struct pl_db *db, struct pl_err *err)
{
	enum pl_code code;

	if (db->depth == 0 || --db->depth > 0)
		return PL_OK;
	code = pl_db_exec(db, "COMMIT", err);
	if (code != PL_OK)
		pl_db_rollback(db);
	return code;
}

void
pl_db_rollback(struct pl_db *db)
{
	if (db == NULL)
		return;
	if (!sqlite3_get_autocommit(db->db))
		sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
	db->depth = 0;
}

int64_t
pl_db_rowid(struct pl_db *db)
{
	return sqlite3_last_insert_rowid(db->db);
}

int64_t
pl_db_changes(struct pl_db *db)
{
	return sqlite3_changes64(db->db);
}

enum pl_code
pl_db_prepare(struct pl_stmt **out, struct pl_db *db, const char *sql,
    struct pl_err *err)
{
	sqlite3_stmt *st = NULL;
	struct pl_stmt *s;
	int rc;

	*out = NULL;
	for (s = db->stmts; s != NULL && s->sql != sql; s = s->next)
		;
	if (s == NULL) {
		rc = sqlite3_prepare_v3(db->db, sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &st, NULL);
		if (rc != SQLITE_OK)
			return db_fail(err, db, rc);
		if (st == NULL)
			return pl_fail(err, PL_EINVAL,
			    "%s: empty SQL statement", db->path);
		s = pl_alloc(sizeof(*s));
		s->db = db;
		s->sql = sql;
		s->st = st;
		s->next = db->stmts;
		db->stmts = s;
	}
	pl_stmt_reset(s);
	sqlite3_clear_bindings(s->st);
	*out = s;
	return PL_OK;
}

static void
stmt_bound(struct pl_stmt *s, int rc)
{
	if (rc != SQLITE_OK && s->bad == SQLITE_OK)
		s->bad = rc;
}

void
pl_stmt_int(struct pl_stmt *s, int i, int64_t v)
{
	stmt_bound(s, sqlite3_bind_int64(s->st, i, v));
}

void
pl_stmt_text(struct pl_stmt *s, int i, const char *v)
{
	stmt_bound(s, sqlite3_bind_text(s->st, i, v, -1, SQLITE_TRANSIENT));
}

void
pl_stmt_blob(struct pl_stmt *s, int i, const void *p, size_t n)
{
	if (p != NULL && n == 0)
		stmt_bound(s, sqlite3_bind_zeroblob(s->st, i, 0));
	else
		stmt_bound(s, sqlite3_bind_blob64(s->st, i, p, n,
		    SQLITE_TRANSIENT));
}

void
pl_stmt_lend(struct pl_stmt *s, int i, const char *v)
{
	stmt_bound(s, sqlite3_bind_text(s->st, i, v, -1, SQLITE_STATIC));
}

void
pl_stmt_lend_blob(struct pl_stmt *s, int i, const void *p, size_t n)
{
	if (p != NULL && n == 0)
		stmt_bound(s, sqlite3_bind_zeroblob(s->st, i, 0));
	else
		stmt_bound(s, sqlite3_bind_blob64(s->st, i, p, n,
		    SQLITE_STATIC));
}

void
pl_stmt_null(struct pl_stmt *s, int i)
{
	stmt_bound(s, sqlite3_bind_null(s->st, i));
}

enum pl_code
pl_stmt_step(struct pl_stmt *s, bool *row, struct pl_err *err)
{
	enum pl_code code = PL_OK;
	int rc;

	*row = false;
	rc = s->bad != SQLITE_OK ? s->bad : sqlite3_step(s->st);
	if (rc == SQLITE_ROW) {
		*row = true;
		return PL_OK;
	}
	if (rc != SQLITE_DONE)
		code = db_fail(err, s->db, rc);
	pl_stmt_reset(s);
	return code;
}

enum pl_code
pl_stmt_run(struct pl_stmt *s, struct pl_err *err)
{
	enum pl_code code;
	bool row;

	do
		code = pl_stmt_step(s, &row, err);
	while (code == PL_OK && row);
	return code;
}

void
pl_stmt_reset(struct pl_stmt *s)
{
	if (s == NULL)
		return;
	sqlite3_reset(s->st);
	s->bad = SQLITE_OK;
}

int64_t
pl_col_int(struct pl_stmt *s, int i)
{
	return sqlite3_column_int64(s->st, i);
}

const char *
pl_col_text(struct pl_stmt *s, int i)
{
	return (const char *)sqlite3_column_text(s->st, i);
}

const void *
pl_col_blob(struct pl_stmt *s, int i, size_t *n)
{
	const void *p = sqlite3_column_blob(s->st, i);

	*n = (size_t)sqlite3_column_bytes(s->st, i);
	return p;
}

bool
pl_col_null(struct pl_stmt *s, int i)
{
	return sqlite3_column_type(s->st, i) == SQLITE_NULL;
}
