/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The order book: DIR/orders.db beside the journal, and DIR/orders.lock,
 * whose byte N is locked by the process that works on order N (byte 0: a
 * sync).  The kernel drops a lock when its process ends, so an order that was
 * left in the middle is free at once; its row says what comes next.
 *
 *   orders        one row each; `step` is what the automatic part does next
 *   names         of an order, in the order in which the store has them
 *   challenges    as the store told them last
 *   events        what happened, for people
 *   certificates  that were issued, in PEM.  Never a private key.
 *   targets       where certificates have been taken to (book-target.c)
 *   sync          how far each controller's book has been read
 *   renewals      how and when an order is renewed (book-renew.c)
 *   keys          where private keys lie; never what is in them
 *   proofs        when control of a name was proven last
 *   readers       up to which event a program has been told
 */
#include "book.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "book-row.h"

/* The book as it was first; later versions add to it. */
static const char schema[] =
    "CREATE TABLE orders ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, controller TEXT NOT NULL,"
    " custom_id TEXT, store_id TEXT, partner_id TEXT, vendor_id TEXT,"
    " product TEXT, state INTEGER NOT NULL, step INTEGER NOT NULL,"
    " major TEXT, minor TEXT, months INTEGER NOT NULL, csr TEXT, spki BLOB,"
    " csr_sha256 TEXT, uniq TEXT, path TEXT, request TEXT, renews TEXT,"
    " serial TEXT, refund_id TEXT, error TEXT, ours INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, sent INTEGER NOT NULL, due INTEGER NOT NULL,"
    " rechecked INTEGER NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL, purchased INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, not_before INTEGER NOT NULL,"
    " not_after INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX orders_store ON orders (store_id, controller);"
    "CREATE INDEX orders_custom ON orders (custom_id);"
    "CREATE INDEX orders_busy ON orders (step) WHERE step <> 0;"
    "CREATE TABLE names ("
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " seq INTEGER NOT NULL, name TEXT NOT NULL, method INTEGER NOT NULL,"
    " approver TEXT, PRIMARY KEY (order_id, seq)) WITHOUT ROWID;"
    "CREATE TABLE challenges ("
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " seq INTEGER NOT NULL, domain TEXT NOT NULL, method INTEGER NOT NULL,"
    " word TEXT, status TEXT, approved INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, record TEXT NOT NULL, value BLOB,"
    " PRIMARY KEY (order_id, seq)) WITHOUT ROWID;"
    "CREATE TABLE events ("
    " id INTEGER PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " time INTEGER NOT NULL, event TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX events_order ON events (order_id);"
    "CREATE TABLE certificates ("
    " id INTEGER PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " serial TEXT NOT NULL, leaf TEXT NOT NULL, chain TEXT NOT NULL,"
    " root TEXT NOT NULL, sha256 TEXT NOT NULL, trusted INTEGER NOT NULL,"
    " not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " stored INTEGER NOT NULL, UNIQUE (order_id, serial));"
    "CREATE TABLE sync ("
    " controller TEXT PRIMARY KEY, done INTEGER NOT NULL,"
    " whole INTEGER NOT NULL, page INTEGER NOT NULL, size INTEGER NOT NULL,"
    " since INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;";
static const char schema_targets[] =
    "CREATE TABLE targets ("
    " order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,"
    " target TEXT NOT NULL, name TEXT NOT NULL, state INTEGER NOT NULL,"
    " serial TEXT NOT NULL, sha256 TEXT NOT NULL, began INTEGER NOT NULL,"
    " changed INTEGER NOT NULL, deployed INTEGER NOT NULL,"
    " served INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " due INTEGER NOT NULL, error TEXT,"
    " PRIMARY KEY (order_id, target)) WITHOUT ROWID;"
    "CREATE INDEX targets_due ON targets (due) WHERE due > 0;";
/* The book of version i becomes one of version i + 1 by the i-th. */
static const char *const steps[] = {
	schema,
	schema_targets,
	pl_book_renew_schema,
};

/* ---- open and close ------------------------------------------------------ */

static enum pl_code
open_lock(struct pl_book *b, const char *dir, struct pl_err *err)
{
	struct pl_buf path;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/orders.lock", dir);
	b->lock = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (b->lock == -1)
		pl_fail_sys(err, PL_EIO, errno, "%s", path.data);
	pl_buf_clear(&path);
	return b->lock == -1 ? PL_EIO : PL_OK;
}

enum pl_code
pl_book_open(struct pl_book **out, const char *dir, bool create,
    struct pl_err *err)
{
	struct pl_book *b = NULL;
	struct pl_buf path;
	struct stat st;
	enum pl_code code;

	*out = NULL;
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/orders.db", dir);
	if (!create && stat(path.data, &st) == -1 && errno == ENOENT) {
		pl_buf_clear(&path);
		return PL_OK;
	}
	code = pl_mkdirs(dir, 0700, err);
	if (code != PL_OK)
		goto out;
	b = pl_alloc(sizeof(*b));
	b->lock = -1;
	code = open_lock(b, dir, err);
	if (code == PL_OK)
		code = pl_db_open_steps(&b->db, path.data, steps,
		    PL_NELEM(steps), err);
	if (code != PL_OK)
		goto out;
	*out = b;
	b = NULL;	/* transferred */
out:
	pl_book_close(b);
	pl_buf_clear(&path);
	if (code != PL_OK && err != NULL)
		err->code = code = PL_EIO;
	return code;
}

void
pl_book_close(struct pl_book *b)
{
	if (b == NULL)
		return;
	pl_db_close(b->db);
	if (b->lock != -1)
		close(b->lock);
	free(b);
}

enum pl_code
pl_book_begin(struct pl_book *b, struct pl_err *err)
{
	return pl_db_begin(b->db, err);
}

enum pl_code
pl_book_commit(struct pl_book *b, struct pl_err *err)
{
	return pl_db_commit(b->db, err);
}

void
pl_book_rollback(struct pl_book *b)
{
	pl_db_rollback(b->db);
}

static bool
set_lock(const struct pl_book *b, int64_t id, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET,
		.l_start = (off_t)id, .l_len = 1 };

	return fcntl(b->lock, F_OFD_SETLK, &fl) == 0;
}

bool
pl_book_lock(struct pl_book *b, int64_t id)
{
	return set_lock(b, id, F_WRLCK);
}

void
pl_book_unlock(struct pl_book *b, int64_t id)
{
	set_lock(b, id, F_UNLCK);
}

/* ---- one order ------------------------------------------------------------- */

static const char insert_order[] =
    "INSERT INTO orders (controller, custom_id, store_id, partner_id,"
    " vendor_id, product, state, step, major, minor, months, csr, spki, uniq,"
    " path, request, renews, serial, refund_id, error, ours, revoked,"
    " generation, tries, sent, due, rechecked, created, updated, purchased,"
    " expires, not_before, not_after, csr_sha256) VALUES"
    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
static const char update_order[] =
    "UPDATE orders SET controller = ?, custom_id = ?, store_id = ?,"
    " partner_id = ?, vendor_id = ?, product = ?, state = ?, step = ?,"
    " major = ?, minor = ?, months = ?, csr = ?, spki = ?, uniq = ?,"
    " path = ?, request = ?, renews = ?, serial = ?, refund_id = ?,"
    " error = ?, ours = ?, revoked = ?, generation = ?, tries = ?, sent = ?,"
    " due = ?, rechecked = ?, created = ?, updated = ?, purchased = ?,"
    " expires = ?, not_before = ?, not_after = ?, csr_sha256 = ?"
    " WHERE id = ?";

/* The digest by which a request is found again. */
static void
bind_digest(struct pl_stmt *s, int i, const struct pl_order *o)
{
	struct pl_csr *csr;
	struct pl_buf hex;

	pl_stmt_null(s, i);
	if (o->csr == NULL || o->state != PL_O_PLACING ||
	    pl_csr_parse(&csr, o->csr, strlen(o->csr), NULL) != PL_OK)
		return;
	pl_buf_init(&hex, PL_LIM_LINE);
	pl_hex(&hex, csr->sha256, sizeof(csr->sha256));
	pl_stmt_text(s, i, hex.data);
	pl_buf_clear(&hex);
	pl_csr_free(csr);
}

static int
bind_order(struct pl_stmt *s, const struct pl_order *o)
{
	const char *const texts[] = { o->controller, o->custom_id,
		o->store_id, o->partner_id, o->vendor_id, o->product };
	const char *const more[] = { o->unique, o->path, o->request,
		o->renews, o->serial, o->refund_id, o->error };
	const int64_t numbers[] = { o->ours, o->revoked, o->generation,
		o->tries, o->sent, o->due, o->rechecked, o->created,
		o->updated, o->purchased, o->expires, o->not_before,
		o->not_after };
	int c = 1;

	for (size_t i = 0; i < PL_NELEM(texts); i++)
		pl_stmt_text(s, c++, texts[i]);
	pl_stmt_int(s, c++, o->state);
	pl_stmt_int(s, c++, o->step);
	pl_stmt_text(s, c++, o->major);
	pl_stmt_text(s, c++, o->minor);
	pl_stmt_int(s, c++, o->months);
	pl_stmt_text(s, c++, o->csr);
	if (o->csr != NULL)
		pl_stmt_blob(s, c++, o->spki, sizeof(o->spki));
	else
		pl_stmt_null(s, c++);
	for (size_t i = 0; i < PL_NELEM(more); i++)
		pl_stmt_text(s, c++, more[i]);
	for (size_t i = 0; i < PL_NELEM(numbers); i++)
		pl_stmt_int(s, c++, numbers[i]);
	bind_digest(s, c++, o);
	return c;
}

static enum pl_code
drop_rows(struct pl_book *b, const char *sql, int64_t id, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code = pl_db_prepare(&s, b->db, sql, err);

	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	return pl_stmt_run(s, err);
}

static enum pl_code
save_names(struct pl_book *b, const struct pl_order *o, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = drop_rows(b, "DELETE FROM names WHERE order_id = ?", o->id,
	    err);
	for (size_t i = 0; code == PL_OK && i < o->nnames; i++) {
		code = pl_db_prepare(&s, b->db, "INSERT INTO names (order_id,"
		    " seq, name, method, approver) VALUES (?,?,?,?,?)", err);
		if (code != PL_OK)
			break;
		pl_stmt_int(s, 1, o->id);
		pl_stmt_int(s, 2, (int64_t)i);
		pl_stmt_text(s, 3, o->names[i].name);
		pl_stmt_int(s, 4, o->names[i].method);
		pl_stmt_text(s, 5, o->names[i].approver);
		code = pl_stmt_run(s, err);
	}
	return code;
}

static enum pl_code
save_challenge(struct pl_book *b, int64_t id, size_t seq,
    const struct pl_order_challenge *c, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT INTO challenges (order_id,"
	    " seq, domain, method, word, status, approved, kind, record,"
	    " value) VALUES (?,?,?,?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_int(s, 2, (int64_t)seq);
	pl_stmt_text(s, 3, c->domain);
	pl_stmt_int(s, 4, c->method);
	pl_stmt_text(s, 5, c->word);
	pl_stmt_text(s, 6, c->status);
	pl_stmt_int(s, 7, c->approved);
	pl_stmt_int(s, 8, c->kind);
	pl_stmt_text(s, 9, c->record);
	pl_stmt_blob(s, 10, c->value, c->len);
	return pl_stmt_run(s, err);
}

static enum pl_code
save_row(struct pl_book *b, struct pl_order *o, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	int c;

	code = pl_db_prepare(&s, b->db, o->id == 0 ? insert_order :
	    update_order, err);
	if (code != PL_OK)
		return code;
	c = bind_order(s, o);
	if (o->id != 0)
		pl_stmt_int(s, c, o->id);
	code = pl_stmt_run(s, err);
	if (code == PL_OK && o->id == 0)
		o->id = pl_db_rowid(b->db);
	return code;
}

enum pl_code
pl_book_save(struct pl_book *b, struct pl_order *o, struct pl_err *err)
{
	bool fresh = o->id == 0;
	enum pl_code code;

	o->updated = pl_wall_ms();
	if (o->created == 0)
		o->created = o->updated;
	code = pl_book_begin(b, err);
	if (code != PL_OK)
		return code;
	code = save_row(b, o, err);
	if (code == PL_OK)
		code = save_names(b, o, err);
	if (code == PL_OK)
		code = drop_rows(b, "DELETE FROM challenges WHERE"
		    " order_id = ?", o->id, err);
	for (size_t i = 0; code == PL_OK && i < o->nchallenges; i++)
		code = save_challenge(b, o->id, i, &o->challenges[i], err);
	if (code == PL_OK)
		code = pl_book_commit(b, err);
	else
		pl_book_rollback(b);
	if (code != PL_OK && fresh)
		o->id = 0;
	return code;
}

enum pl_code
pl_book_delete(struct pl_book *b, int64_t id, struct pl_err *err)
{
	return drop_rows(b, "DELETE FROM orders WHERE id = ?", id, err);
}

/* ---- events -------------------------------------------------------------------- */

enum pl_code
pl_book_event(struct pl_book *b, int64_t id, const char *what,
    const char *text, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT INTO events (order_id, time,"
	    " event, text) VALUES (?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_int(s, 2, pl_wall_ms());
	pl_stmt_text(s, 3, what);
	pl_stmt_text(s, 4, text);
	code = pl_stmt_run(s, err);
	/* An order may wait for years. */
	return code != PL_OK ? code : drop_rows(b, "DELETE FROM events WHERE"
	    " order_id = ?1 AND id <= (SELECT id FROM events WHERE"
	    " order_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET 500)", id, err);
}

enum pl_code
pl_book_events(struct pl_book *b, int64_t id, json_t **out,
    struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*out = pl_json_array();
	code = pl_db_prepare(&s, b->db, "SELECT time, event, text FROM"
	    " (SELECT * FROM events WHERE order_id = ? ORDER BY id DESC"
	    " LIMIT 200) ORDER BY id", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	while ((code = pl_stmt_step(s, &row, err)) == PL_OK && row) {
		json_t *j = pl_json_object();
		char when[PL_TIME_TEXT];

		pl_time_format(when, pl_col_int(s, 0));
		pl_json_sets(j, "time", when);
		pl_json_sets(j, "event", pl_col_text(s, 1));
		pl_json_sets(j, "text", pl_col_text(s, 2));
		pl_json_append(*out, j);
	}
	return code;
}

/* ---- certificates ------------------------------------------------------------------ */

void
pl_book_cert_clear(struct pl_book_cert *c)
{
	free(c->serial);
	free(c->leaf);
	free(c->chain);
	free(c->root);
	*c = (struct pl_book_cert){ 0 };
}

enum pl_code
pl_book_cert_put(struct pl_book *b, int64_t id,
    const struct pl_book_cert *c, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO certificates"
	    " (order_id, serial, leaf, chain, root, sha256, trusted,"
	    " not_before, not_after, stored) VALUES (?,?,?,?,?,?,?,?,?,?)",
	    err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_text(s, 2, c->serial);
	pl_stmt_text(s, 3, c->leaf);
	pl_stmt_text(s, 4, c->chain);
	pl_stmt_text(s, 5, c->root);
	pl_stmt_text(s, 6, c->sha256);
	pl_stmt_int(s, 7, c->trusted);
	pl_stmt_int(s, 8, c->not_before);
	pl_stmt_int(s, 9, c->not_after);
	pl_stmt_int(s, 10, pl_wall_ms());
	return pl_stmt_run(s, err);
}

enum pl_code
pl_book_cert_get(struct pl_book *b, int64_t id, const char *serial,
    struct pl_book_cert *c, struct pl_err *err)
{
	struct pl_stmt *s;
	const char *hex;
	enum pl_code code;
	bool row;

	*c = (struct pl_book_cert){ 0 };
	code = pl_db_prepare(&s, b->db, "SELECT serial, leaf, chain, root,"
	    " sha256, trusted, not_before, not_after, stored FROM certificates"
	    " WHERE order_id = ?1 AND (?2 IS NULL OR serial = ?2)"
	    " ORDER BY id DESC LIMIT 1", err);
	if (code != PL_OK)
		return code;
	pl_stmt_int(s, 1, id);
	pl_stmt_text(s, 2, serial);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	c->serial = pl_strdup(pl_col_text(s, 0));
	c->leaf = pl_strdup(pl_col_text(s, 1));
	c->chain = pl_strdup(pl_col_text(s, 2));
	c->root = pl_strdup(pl_col_text(s, 3));
	hex = pl_col_text(s, 4);
	if (strlen(hex) < sizeof(c->sha256))
		memcpy(c->sha256, hex, strlen(hex) + 1);
	c->trusted = pl_col_int(s, 5) != 0;
	c->not_before = pl_col_int(s, 6);
	c->not_after = pl_col_int(s, 7);
	c->stored = pl_col_int(s, 8);
	pl_stmt_reset(s);
	return PL_OK;
}

/* ---- sync --------------------------------------------------------------------------- */

enum pl_code
pl_book_sync_get(struct pl_book *b, const char *controller,
    struct pl_book_sync *y, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;
	bool row;

	*y = (struct pl_book_sync){ 0 };
	code = pl_db_prepare(&s, b->db, "SELECT done, whole, page, size,"
	    " since, until FROM sync WHERE controller = ?", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, controller);
	code = pl_stmt_step(s, &row, err);
	if (code != PL_OK || !row)
		return code;
	y->done = pl_col_int(s, 0);
	y->full = pl_col_int(s, 1) != 0;
	y->page = pl_col_int(s, 2);
	y->size = pl_col_int(s, 3);
	y->since = pl_col_int(s, 4);
	y->until = pl_col_int(s, 5);
	pl_stmt_reset(s);
	return PL_OK;
}

enum pl_code
pl_book_sync_put(struct pl_book *b, const char *controller,
    const struct pl_book_sync *y, struct pl_err *err)
{
	struct pl_stmt *s;
	enum pl_code code;

	code = pl_db_prepare(&s, b->db, "INSERT OR REPLACE INTO sync"
	    " (controller, done, whole, page, size, since, until)"
	    " VALUES (?,?,?,?,?,?,?)", err);
	if (code != PL_OK)
		return code;
	pl_stmt_text(s, 1, controller);
	pl_stmt_int(s, 2, y->done);
	pl_stmt_int(s, 3, y->full);
	pl_stmt_int(s, 4, y->page);
	pl_stmt_int(s, 5, y->size);
	pl_stmt_int(s, 6, y->since);
	pl_stmt_int(s, 7, y->until);
	return pl_stmt_run(s, err);
}
