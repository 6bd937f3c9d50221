/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The journal: one row for each value that one job wants at one place.
 *
 *   intent     written, durable, before the provider is asked to add; the
 *              value may or may not be in the world
 *   published  the provider has said that it is there
 *   visible    the verifier has seen it
 *   removing   written, durable, before the provider is asked to delete
 *   left       the value was there before placard (was = present) and its
 *              job is over: kept so that no later cleanup takes it away
 *   (no row)   removed, or never happened
 *
 * Recovery rule: intent, published, visible and removing with was other than
 * present are ours and have to be deleted one day; deleting is harmless
 * where nothing is there.  `was` is what a look saw before the intent was
 * written, so a crash leaves no doubt whose the value is.
 *
 * Two rows of different jobs may want the same value at the same place.  The
 * first one added it; the second finds it there and is published without a
 * call (was = absent as well: it is placard's).  A row is deleted from the
 * world only when no other row needs the value.
 *
 * Each process that works has an instance number and holds an open-file
 * lock on that byte of the file "journal.lock".  A row in intent or
 * removing whose owner's byte is not locked belongs to a process that has died.
 */
#define PL_JOURNAL_VERSION 2

#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pl_journal {
	struct pl_db *db;
	int lock;
	int64_t instance;
};

static const char schema[] =
    "CREATE TABLE row ("
    " id INTEGER PRIMARY KEY, job TEXT NOT NULL, seq INTEGER NOT NULL,"
    " method TEXT NOT NULL, domain TEXT NOT NULL, account TEXT NOT NULL,"
    " provider TEXT NOT NULL, scope TEXT NOT NULL, kind INTEGER NOT NULL,"
    " name TEXT NOT NULL, record TEXT NOT NULL, value BLOB NOT NULL,"
    " ttl INTEGER NOT NULL, handle TEXT, flags INTEGER NOT NULL,"
    " was INTEGER NOT NULL, state INTEGER NOT NULL,"
    " created INTEGER NOT NULL, published INTEGER NOT NULL DEFAULT 0,"
    " visible INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0,"
    " owner INTEGER NOT NULL);"
    "CREATE INDEX row_name ON row (name);"
    "CREATE INDEX row_record ON row (record);"
    "CREATE INDEX row_job ON row (job);"
    "CREATE TABLE job ("
    " number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " uid INTEGER NOT NULL, doc TEXT NOT NULL, phase INTEGER NOT NULL,"
    " cancelled INTEGER NOT NULL, created INTEGER NOT NULL,"
    " deadline INTEGER NOT NULL, due INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, source TEXT, notify TEXT,"
    " told INTEGER NOT NULL, report TEXT);"
    "CREATE INDEX job_source ON job (source);"
    "CREATE TABLE account ("
    " name TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL,"
    " tokens REAL NOT NULL, stamp INTEGER NOT NULL,"
    " paused INTEGER NOT NULL) WITHOUT ROWID;";

#define COLUMNS "id, job, seq, method, domain, account, provider, scope," \
	" kind, name, record, value, ttl, handle, flags, was, state," \
	" created, published, visible, due, owner"

#define FLAG_APEX	1
#define FLAG_STANDING	2

const char *
pl_row_state_name(enum pl_row_state s)
{
	static const char *const names[] = {
		[PL_ROW_INTENT] = "intent",
		[PL_ROW_PUBLISHED] = "published",
		[PL_ROW_VISIBLE] = "visible",
		[PL_ROW_REMOVING] = "removing",
		[PL_ROW_LEFT] = "left",
	};

	_Static_assert(PL_NELEM(names) == PL_NROWSTATES, "one name a state");
	return names[s];
}

void
pl_row_clear(struct pl_row *r)
{
	free(r->job);
	free(r->method);
	free(r->domain);
	free(r->account);
	free(r->provider);
	free(r->scope);
	free(r->name);
	free(r->record);
	free(r->value);
	free(r->handle);
	*r = (struct pl_row){ 0 };
}

/* ---- instances ---------------------------------------------------------- */

static bool
try_lock(int fd, int64_t byte)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = (off_t)byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &fl) == 0;
}

static bool
alive(const struct pl_journal *j, int64_t instance)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = (off_t)instance, .l_len = 1 };

	if (instance == j->instance || instance == 0)
		return false;
	return fcntl(j->lock, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

static enum pl_code
become_instance(struct pl_journal *j, const char *dir, struct pl_err *err)
{
	struct pl_buf path;
	int64_t n = 0;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/journal.lock", dir);
	j->lock = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (j->lock == -1) {
		pl_fail_sys(err, PL_EIO, errno, "%s", path.data);
		pl_buf_clear(&path);
		return PL_EIO;
	}
	pl_buf_clear(&path);
	for (int i = 0; i < 100; i++) {
		pl_random(&n, sizeof(n));
		n = (n & 0x3fffffffffff) + 1;
		if (try_lock(j->lock, n)) {
			j->instance = n;
			return PL_OK;
		}
	}
	return pl_fail(err, PL_EIO, "%s/journal.lock: cannot be locked", dir);
}

int64_t
pl_journal_instance(const struct pl_journal *j)
{
	return j->instance;
}

bool
pl_journal_alive(const struct pl_journal *j, int64_t instance)
{
	return instance == j->instance || alive(j, instance);
}

/* Byte 0 belongs to the service; instances begin at 1. */
enum pl_code
pl_journal_serve(struct pl_journal *j, struct pl_err *err)
{
	if (try_lock(j->lock, 0))
		return PL_OK;
	return pl_fail(err, PL_EIO, "state directory: another placardd "
	    "works with it");
}

struct pl_db *
pl_journal_db(const struct pl_journal *j)
{
	return j->db;
}

/* ---- open and close ------------------------------------------------------ */

enum pl_code
pl_journal_open(struct pl_journal **out, const char *dir, bool create,
    struct pl_err *err)
{
	struct pl_journal *j = NULL;
	struct pl_buf path;
	struct stat st;
	enum pl_code code;

	*out = NULL;
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/journal.db", dir);
	if (!create && stat(path.data, &st) == -1 && errno == ENOENT) {
		pl_buf_clear(&path);
		return PL_OK;
	}
	code = pl_mkdirs(dir, 0700, err);
	if (code != PL_OK)
		goto out;
	j = pl_alloc(sizeof(*j));
	j->lock = -1;
	code = become_instance(j, dir, err);
	if (code == PL_OK)
		code = pl_db_open(&j->db, path.data, PL_JOURNAL_VERSION,
		    schema, err);
	if (code != PL_OK)
		goto out;
	*out = j;
	j = NULL;	/* transferred */
out:
	pl_journal_close(j);
	pl_buf_clear(&path);
	if (code != PL_OK && err != NULL)
		err->code = code = PL_EIO;
	return code;
}

void
pl_journal_close(struct pl_journal *j)
{
	if (j == NULL)
		return;
	pl_db_close(j->db);
	if (j->lock != -1)
		close(j->lock);
	free(j);
}

enum pl_code
pl_journal_begin(struct pl_journal *j, struct pl_err *err)
{
	return pl_db_begin(j->db, err);
}

enum pl_code
pl_journal_commit(struct pl_journal *j, struct pl_err *err)
{
	return pl_db_commit(j->db, err);
}

void
pl_journal_rollback(struct pl_journal *j)
{
	pl_db_rollback(j->db);
}

/* ---- one row -------------------------------------------------------------- */

static enum pl_code
insert(struct pl_journal *j, struct pl_row *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, j->db,
	    "INSERT INTO row (job, seq, method, domain, account, provider,"
	    " scope, kind, name, record, value, ttl, handle, flags, was,"
	    " state, created, published, visible, due, owner) VALUES"
	    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, r->job);
	pl_stmt_int(s, 2, r->seq);
	pl_stmt_lend(s, 3, r->method);
	pl_stmt_lend(s, 4, r->domain);
	pl_stmt_lend(s, 5, r->account);
	pl_stmt_lend(s, 6, r->provider);
	pl_stmt_lend(s, 7, r->scope);
	pl_stmt_int(s, 8, r->kind);
	pl_stmt_lend(s, 9, r->name);
	pl_stmt_lend(s, 10, r->record);
	pl_stmt_lend_blob(s, 11, r->value, r->value_len);
	pl_stmt_int(s, 12, r->ttl);
	pl_stmt_lend(s, 13, r->handle);
	pl_stmt_int(s, 14, (r->apex ? FLAG_APEX : 0) |
	    (r->standing ? FLAG_STANDING : 0));
	pl_stmt_int(s, 15, r->was);
	pl_stmt_int(s, 16, r->state);
	pl_stmt_int(s, 17, r->created);
	pl_stmt_int(s, 18, r->published);
	pl_stmt_int(s, 19, r->visible);
	pl_stmt_int(s, 20, r->due);
	pl_stmt_int(s, 21, j->instance);
	code = pl_stmt_run(s, err);
	if (code == PL_OK)
		r->id = pl_db_rowid(j->db);
	return code;
}

static enum pl_code
update(struct pl_journal *j, const struct pl_row *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, j->db,
	    "UPDATE row SET state = ?, was = ?, handle = ?, published = ?,"
	    " visible = ?, due = ?, owner = ? WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, r->state);
	pl_stmt_int(s, 2, r->was);
	pl_stmt_lend(s, 3, r->handle);
	pl_stmt_int(s, 4, r->published);
	pl_stmt_int(s, 5, r->visible);
	pl_stmt_int(s, 6, r->due);
	pl_stmt_int(s, 7, j->instance);
	pl_stmt_int(s, 8, r->id);
	return pl_stmt_run(s, err);
}

static enum pl_code
erase(struct pl_journal *j, struct pl_row *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, j->db, "DELETE FROM row WHERE id = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, r->id);
	code = pl_stmt_run(s, err);
	if (code == PL_OK)
		r->id = 0;
	return code;
}

/* What other rows say of the same value at the same place. */
struct neighbours {
	bool ours;	/* placard put it there, and somebody still needs it */
	bool busy;	/* a live command is just adding or removing it */
	bool going;	/* this process is removing it for another row */
	bool left;	/* known to have been there before placard */
};

static enum pl_code
look_around(struct pl_journal *j, const struct pl_row *r,
    struct neighbours *nb, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*nb = (struct neighbours){ false, false, false, false };
	code = pl_db_prepare(&s, j->db,
	    "SELECT state, was, owner FROM row WHERE name = ? AND kind = ?"
	    " AND value = ? AND account = ? AND id <> ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, r->name);
	pl_stmt_int(s, 2, r->kind);
	pl_stmt_lend_blob(s, 3, r->value, r->value_len);
	pl_stmt_lend(s, 4, r->account);
	pl_stmt_int(s, 5, r->id);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		int64_t state = pl_col_int(s, 0), was = pl_col_int(s, 1);

		if (state == PL_ROW_LEFT || was == PL_WAS_PRESENT)
			nb->left = true;
		else if (state == PL_ROW_PUBLISHED || state == PL_ROW_VISIBLE)
			nb->ours = true;
		else if (alive(j, pl_col_int(s, 2)))
			nb->busy = true;
		else if (state == PL_ROW_REMOVING &&
		    pl_col_int(s, 2) == j->instance)
			nb->going = true;
		else
			nb->ours = true;
	}
	return code;
}

static enum pl_code
forget_left(struct pl_journal *j, const struct pl_row *r, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, j->db,
	    "DELETE FROM row WHERE name = ? AND kind = ? AND value = ?"
	    " AND account = ? AND id <> ? AND state = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, r->name);
	pl_stmt_int(s, 2, r->kind);
	pl_stmt_lend_blob(s, 3, r->value, r->value_len);
	pl_stmt_lend(s, 4, r->account);
	pl_stmt_int(s, 5, r->id);
	pl_stmt_int(s, 6, PL_ROW_LEFT);
	return pl_stmt_run(s, err);
}

static enum pl_code
save(struct pl_journal *j, struct pl_row *r, struct pl_err *err)
{
	return r->id == 0 ? insert(j, r, err) : update(j, r, err);
}

/* Puts another number in front of a handle. */
static void
set_dirs(struct pl_row *r, int64_t dirs)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%d%s", (int)dirs,
	    r->handle + strspn(r->handle, "0123456789"));
	free(r->handle);
	r->handle = pl_buf_take(&b);
}

/*
 * The handle of a file begins with how many directories above it, from the
 * deepest up, were not there before us.  Those that another file of ours was
 * the reason for are this one's as well, so that whichever is the last to
 * go takes them with it.
 */
static enum pl_code
share_dirs(struct pl_journal *j, struct pl_row *r, struct pl_err *err)
{
	const char *slash = strrchr(r->name, '/');
	int64_t dirs, most = 0;
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	if (r->kind != PL_FILE || r->handle == NULL || slash == NULL)
		return PL_OK;
	dirs = strtol(r->handle, NULL, 10);
	code = pl_db_prepare(&s, j->db,
	    "SELECT MAX(CAST(handle AS INTEGER)) FROM row WHERE account = ?1"
	    " AND kind = ?2 AND handle IS NOT NULL AND state <> ?3"
	    " AND (substr(name, 1, ?4) = substr(?5, 1, ?4) OR ?6 > 0)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, r->account);
	pl_stmt_int(s, 2, r->kind);
	pl_stmt_int(s, 3, PL_ROW_LEFT);
	pl_stmt_int(s, 4, slash - r->name + 1);
	pl_stmt_lend(s, 5, r->name);
	pl_stmt_int(s, 6, dirs);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row)
		most = pl_col_int(s, 0);
	if (code == PL_OK && most > dirs)
		set_dirs(r, most);
	return code;
}

/* ---- adding ---------------------------------------------------------------- */

enum pl_code
pl_journal_claim(struct pl_journal *j, struct pl_row *r,
    enum pl_claim *claim, struct pl_err *err)
{
	struct neighbours nb;
	bool mine = r->id != 0 && r->was == PL_WAS_PRESENT;
	enum pl_code code;

	*claim = PL_CLAIM_BUSY;
	code = pl_journal_begin(j, err);
	if (code != PL_OK)
		return code;
	code = look_around(j, r, &nb, err);
	if (code != PL_OK)
		goto out;
	if (nb.busy || nb.going)
		goto out;
	if (r->was == PL_WAS_PRESENT) {
		/* Of an intent of ours from an earlier try, or a neighbour's. */
		if (mine || nb.ours) {
			*claim = PL_CLAIM_OURS;
			r->was = PL_WAS_ABSENT;
		} else
			*claim = PL_CLAIM_FOREIGN;
		r->state = PL_ROW_PUBLISHED;
		r->published = pl_wall_ms();
	} else {
		*claim = PL_CLAIM_ADD;
		r->state = PL_ROW_INTENT;
		if (nb.left)
			code = forget_left(j, r, err);
		if (code == PL_OK)
			code = share_dirs(j, r, err);
	}
	if (code == PL_OK)
		code = save(j, r, err);
out:
	if (code != PL_OK) {
		pl_journal_rollback(j);
		return code;
	}
	return pl_journal_commit(j, err);
}

enum pl_code
pl_journal_published(struct pl_journal *j, struct pl_row *r,
    const char *handle, enum pl_was was, struct pl_err *err)
{
	free(r->handle);
	r->handle = handle[0] != '\0' ? pl_strdup(handle) : NULL;
	/* Where no look went before, the add itself tells. */
	if (r->was == PL_WAS_UNKNOWN)
		r->was = was;
	r->state = PL_ROW_PUBLISHED;
	r->published = pl_wall_ms();
	return update(j, r, err);
}

enum pl_code
pl_journal_visible(struct pl_journal *j, struct pl_row *r,
    struct pl_err *err)
{
	r->state = PL_ROW_VISIBLE;
	r->visible = pl_wall_ms();
	return update(j, r, err);
}

enum pl_code
pl_journal_forget(struct pl_journal *j, struct pl_row *r, struct pl_err *err)
{
	return r->id == 0 ? PL_OK : erase(j, r, err);
}

enum pl_code
pl_journal_due(struct pl_journal *j, struct pl_row *r, int64_t due,
    struct pl_err *err)
{
	r->due = due;
	return update(j, r, err);
}

/* ---- removing --------------------------------------------------------------- */

enum pl_code
pl_journal_removing(struct pl_journal *j, struct pl_row *r, bool *call,
    bool *busy, struct pl_err *err)
{
	struct neighbours nb;
	enum pl_code code;

	*call = *busy = false;
	code = pl_journal_begin(j, err);
	if (code != PL_OK)
		return code;
	code = look_around(j, r, &nb, err);
	if (code != PL_OK)
		goto out;
	if (r->was == PL_WAS_PRESENT) {
		r->state = PL_ROW_LEFT;
		code = nb.left && r->id != 0 ? erase(j, r, err) :
		    save(j, r, err);
	} else if (nb.busy) {
		*busy = true;
	} else if ((nb.ours || nb.going) && r->id != 0) {
		code = erase(j, r, err);
	} else {
		*call = true;
		r->state = PL_ROW_REMOVING;
		code = save(j, r, err);
	}
out:
	if (code != PL_OK) {
		pl_journal_rollback(j);
		return code;
	}
	return pl_journal_commit(j, err);
}

enum pl_code
pl_journal_removed(struct pl_journal *j, struct pl_row *r,
    struct pl_err *err)
{
	return r->id == 0 ? PL_OK : erase(j, r, err);
}

/* ---- asking ------------------------------------------------------------------ */

static void
read_row(struct pl_stmt *s, struct pl_row *r)
{
	const void *v;
	int64_t flags;
	int c = 0;

	*r = (struct pl_row){ 0 };
	r->id = pl_col_int(s, c++);
	r->job = pl_strdup(pl_col_text(s, c++));
	r->seq = (uint32_t)pl_col_int(s, c++);
	r->method = pl_strdup(pl_col_text(s, c++));
	r->domain = pl_strdup(pl_col_text(s, c++));
	r->account = pl_strdup(pl_col_text(s, c++));
	r->provider = pl_strdup(pl_col_text(s, c++));
	r->scope = pl_strdup(pl_col_text(s, c++));
	r->kind = (enum pl_kind)pl_col_int(s, c++);
	r->name = pl_strdup(pl_col_text(s, c++));
	r->record = pl_strdup(pl_col_text(s, c++));
	v = pl_col_blob(s, c++, &r->value_len);
	r->value = pl_alloc(r->value_len + 1);
	if (r->value_len > 0)
		memcpy(r->value, v, r->value_len);
	r->ttl = (uint32_t)pl_col_int(s, c++);
	r->handle = pl_strdup(pl_col_text(s, c++));
	flags = pl_col_int(s, c++);
	r->apex = (flags & FLAG_APEX) != 0;
	r->standing = (flags & FLAG_STANDING) != 0;
	r->was = (enum pl_was)pl_col_int(s, c++);
	r->state = (enum pl_row_state)pl_col_int(s, c++);
	r->created = pl_col_int(s, c++);
	r->published = pl_col_int(s, c++);
	r->visible = pl_col_int(s, c++);
	r->due = pl_col_int(s, c++);
	r->owner = pl_col_int(s, c++);
}

/* The number stands for PL_ROW_LEFT. */
static const char by_record[] = "SELECT " COLUMNS " FROM row"
    " WHERE record = ?3 AND kind = ?4 AND value = ?5"
    " AND (?1 IS NULL OR account = ?1) AND (?2 OR state <> 4) ORDER BY id";
static const char of_job[] = "SELECT " COLUMNS " FROM row"
    " WHERE job = ?3 AND (?4 = 0 OR created < ?4)"
    " AND (?1 IS NULL OR account = ?1) AND (?2 OR state <> 4) ORDER BY id";
static const char of_nobody[] = "SELECT " COLUMNS " FROM row"
    " WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.id = row.job AND phase"
    " < 3) AND (?1 IS NULL OR account = ?1) AND (?2 OR state <> 4)"
    " AND ?3 IS NULL AND (?4 = 0 OR created < ?4) ORDER BY id";
_Static_assert(PL_J_DONE == 3, "of_nobody");
static const char by_job[] = "SELECT " COLUMNS " FROM row"
    " WHERE (?3 IS NULL OR job = ?3) AND (?4 = 0 OR created < ?4)"
    " AND (?1 IS NULL OR account = ?1) AND (?2 OR state <> 4) ORDER BY id";
_Static_assert(PL_ROW_LEFT == 4, "by_record and by_job");

enum pl_code
pl_journal_rows(struct pl_journal *j, const struct pl_row_query *q,
    struct pl_row **rows, size_t *n, struct pl_err *err)
{
	struct pl_stmt *s;
	size_t cap = 0;
	enum pl_code code;
	bool row;

	*rows = NULL;
	*n = 0;
	code = pl_db_prepare(&s, j->db, q->record != NULL ? by_record :
	    q->orphans ? of_nobody :
	    q->job != NULL ? of_job : by_job, err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, q->account);
	pl_stmt_int(s, 2, q->left);
	if (q->record != NULL) {
		pl_stmt_lend(s, 3, q->record);
		pl_stmt_int(s, 4, q->kind);
		pl_stmt_lend_blob(s, 5, q->value, q->value_len);
	} else {
		pl_stmt_lend(s, 3, q->job);
		pl_stmt_int(s, 4, q->before);
	}
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		if (*n == cap) {
			cap = cap * 2 + 16;
			*rows = pl_grow(*rows, cap, sizeof(**rows));
		}
		read_row(s, &(*rows)[(*n)++]);
	}
	return code;
}

/* ---- accounts ------------------------------------------------------------------ */

enum pl_code
pl_journal_note_get(struct pl_journal *j, const char *account,
    struct pl_account_note *n, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*n = (struct pl_account_note){ 0, 0, 0, 0 };
	code = pl_db_prepare(&s, j->db, "SELECT seen_ms, tokens * 1000,"
	    " stamp, paused FROM account WHERE name = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, account);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	n->seen_ms = pl_col_int(s, 0);
	n->tokens = (double)pl_col_int(s, 1) / 1000;
	n->stamp = pl_col_int(s, 2);
	n->paused = pl_col_int(s, 3);
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_journal_note_put(struct pl_journal *j, const char *account,
    const struct pl_account_note *n, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, j->db, "INSERT OR REPLACE INTO account"
	    " (name, seen_ms, tokens, stamp, paused)"
	    " VALUES (?, ?, ? / 1000.0, ?, ?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_lend(s, 1, account);
	pl_stmt_int(s, 2, n->seen_ms);
	pl_stmt_int(s, 3, (int64_t)(n->tokens * 1000));
	pl_stmt_int(s, 4, n->stamp);
	pl_stmt_int(s, 5, n->paused);
	return pl_stmt_run(s, err);
}
