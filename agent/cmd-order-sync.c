/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * sync and import: the store's book into ours.
 *
 * A page of the list, the status of those of its orders whose element is not
 * the whole story, and the certificates that the book does not have yet go
 * into the book in one commit, together with the number of the next page.  So
 * whatever ends a sync, the next one goes on at the page that was not done.  A page
 * may fail five times in a row; the sixth failure ends the sync.  The end
 * is an empty page, or one that brings no order that was not there before:
 * a store may give fewer orders than asked for without being at the end.
 *
 * The first sync reads everything, later ones what the store says has changed
 * since the one before began, by the store's clock.
 */
#include "cmd-order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES_MOST 5
#define PARALLEL 16
#define OVERLAP_MS (3600 * INT64_C(1000))
#define FUTURE_MS (86400 * INT64_C(1000))
#define EPOCH_MS (631152000 * INT64_C(1000))	/* 1990: before all orders */
#define PAGES_MOST 1000000

struct sync {
	struct pl_shop *w;
	struct pl_book_sync at;
	const char *ctl;
	unsigned failures;
	size_t orders, fresh, changed, certificates, errors;
	int64_t clock;		/* the store's, at the first page */
	int64_t drawn;
	char *first;		/* order that the last page began with */
	struct pl_trust *trust;	/* opened with the first certificate */
};
/* One order on its way into the book. */
struct item {
	json_t *answer;			/* element of the list, or a status */
	struct pl_order o;
	bool have;			/* it is in the book already */
	int64_t locked;			/* our number of it, until it is written */
	bool skip;
	struct pl_book_cert cert;
};

static void
draw(struct sync *y, bool end)
{
	int64_t now = pl_mono_ms();

	if (!y->w->s.progress || (!end && now - y->drawn < 200))
		return;
	y->drawn = now;
	fprintf(stderr, end ? "\r\033[K" : "\r%zu orders, page %" PRId64
	    ", %zu certificates\033[K", y->orders, y->at.page,
	    y->certificates);
}

/* ---- items ----------------------------------------------------------------- */

static void
items_clear(struct item *it, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pl_json_free(it[i].answer);
		pl_order_clear(&it[i].o);
		pl_book_cert_clear(&it[i].cert);
	}
	free(it);
}

static json_t *
copy(const json_t *j)
{
	char *text = pl_json_text(j);
	json_t *out = NULL;

	pl_json_parse(&out, text, strlen(text), "order", NULL);
	free(text);
	return out;
}

/* The statuses of those elements that leave something out. */
static enum pl_code
ask_statuses(struct sync *y, struct item *it, size_t n, struct pl_err *err)
{
	struct pl_store_call *calls = pl_array(n + 1, sizeof(*calls));
	size_t *index = pl_array(n + 1, sizeof(*index)), m = 0;
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < n; i++) {
		char *id = pl_store_text(it[i].answer, "TheSSLStoreOrderID");

		it[i].skip = id == NULL;
		if (id != NULL && !pl_life_whole(it[i].answer)) {
			index[m] = i;
			calls[m].path = "order/status";
			calls[m].request = pl_json_object();
			pl_json_sets(calls[m++].request,
			    "TheSSLStoreOrderID", id);
		}
		free(id);
	}
	if (m > 0)
		code = pl_controller_calls(y->w->s.engine, y->w->ctl, calls,
		    m, PARALLEL, err);
	for (size_t i = 0; i < m; i++) {
		struct item *one = &it[index[i]];

		if (calls[i].err.code == PL_OK) {
			pl_json_free(one->answer);
			one->answer = calls[i].answer;
			calls[i].answer = NULL;
		} else if (calls[i].err.code == PL_EREMOTE) {
			/* One order that the store cannot tell of must not
			 * stand in the way of the others. */
			y->errors++;
			one->skip = true;
		}
		pl_store_call_clear(&calls[i]);
	}
	free(calls);
	free(index);
	return code == PL_EREMOTE ? PL_OK : code;
}

/*
 * Reads what the book has of it and lays the answer over it.  One that
 * somebody is working on is left to him: what he knows is newer.
 */
static enum pl_code
merge(struct sync *y, struct item *it, struct pl_err *err)
{
	char *id = pl_store_text(it->answer, "TheSSLStoreOrderID");
	char *custom = pl_store_text(it->answer, "CustomOrderID");
	struct pl_err odd;
	int64_t known = 0;
	enum pl_code code;
	bool moved = false;

	code = pl_book_known(y->w->book, y->ctl, id, custom, &known, err);
	free(id);
	free(custom);
	it->have = known != 0;
	if (code == PL_OK && it->have && !pl_book_lock(y->w->book, known)) {
		it->o.id = known;
		it->skip = true;
		return PL_OK;
	}
	it->locked = known;
	if (code == PL_OK && it->have)
		code = pl_book_get(y->w->book, known, &it->o, err);
	if (code != PL_OK)
		return code;
	/* Only who has placed it knows whether it was taken. */
	if (it->have && it->o.step == PL_STEP_PLACE) {
		it->skip = true;
		return PL_OK;
	}
	if (!it->have)
		it->o.controller = pl_strdup(y->ctl);
	if (pl_life_apply(&it->o, it->answer, &moved, &odd) != PL_OK) {
		y->errors++;
		it->skip = true;
		return PL_OK;
	}
	if (it->have && moved)
		y->changed++;
	return PL_OK;
}

static bool
wants_certificate(struct sync *y, const struct item *it)
{
	struct pl_book_cert c;
	bool have;

	if (it->skip || (it->o.state != PL_O_ISSUED &&
	    it->o.state != PL_O_REVOKED && it->o.state != PL_O_EXPIRED &&
	    it->o.state != PL_O_CANCELLED && it->o.state != PL_O_REISSUING))
		return false;
	/* Not every store tells the serial number of what is in force. */
	if (it->o.serial == NULL && it->o.state != PL_O_ISSUED)
		return false;
	if (!it->have)
		return true;
	if (pl_book_cert_get(y->w->book, it->o.id, it->o.serial, &c, NULL) !=
	    PL_OK)
		return true;
	have = c.leaf != NULL;
	pl_book_cert_clear(&c);
	return !have;
}

/*
 * One whose chain does not hold is not kept, and the order says why.  One
 * that is not the certificate in force is kept as what it is.
 */
static void
take_download(struct sync *y, struct item *it, const json_t *answer)
{
	struct pl_product p;
	struct pl_buf pem;
	struct pl_err err;
	int64_t now = pl_wall_ms();
	bool server = it->o.product == NULL ||
	    pl_product_find(&p, it->o.product, NULL) != PL_OK ||
	    pl_product_has_domains(&p);

	/* A certificate of the past was good in its time. */
	if (it->o.not_after > 0 && it->o.not_after < now)
		now = it->o.not_after - 1000;
	pl_buf_init(&pem, PL_LIM_BODY);
	pl_life_pem(&pem, answer);
	if (pl_life_cert(&it->cert, pem.data, pem.len, it->o.csr != NULL ?
	    it->o.spki : NULL, server, y->trust, now, &err) == PL_EREMOTE) {
		y->errors++;
		pl_book_cert_clear(&it->cert);
		free(it->o.error);
		it->o.error = pl_strdup(err.text);
	}
	pl_buf_clear(&pem);
	if (it->cert.leaf == NULL)
		return;
	y->certificates++;
	if (it->o.serial == NULL)
		it->o.serial = pl_strdup(it->cert.serial);
	if (pl_life_same_serial(it->o.serial, it->cert.serial)) {
		free(it->cert.serial);
		it->cert.serial = pl_strdup(it->o.serial);
		free(it->o.error);
		it->o.error = NULL;
	}
}

static enum pl_code
ask_downloads(struct sync *y, struct item *it, size_t n, struct pl_err *err)
{
	struct pl_store_call *calls = pl_array(n + 1, sizeof(*calls));
	size_t *index = pl_array(n + 1, sizeof(*index)), m = 0;
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < n; i++) {
		if (!wants_certificate(y, &it[i]))
			continue;
		index[m] = i;
		calls[m].path = "order/download";
		calls[m].request = pl_json_object();
		pl_json_sets(calls[m++].request, "TheSSLStoreOrderID",
		    it[i].o.store_id);
	}
	if (m > 0 && y->trust == NULL)
		code = pl_controller_trust(&y->trust, y->w->ctl, err);
	if (m > 0 && code == PL_OK)
		code = pl_controller_calls(y->w->s.engine, y->w->ctl, calls,
		    m, PARALLEL, err);
	for (size_t i = 0; i < m; i++) {
		if (y->trust != NULL && calls[i].err.code == PL_OK)
			take_download(y, &it[index[i]], calls[i].answer);
		pl_store_call_clear(&calls[i]);
	}
	free(calls);
	free(index);
	/* Some have none to download, and that is no failure of the sync. */
	return code == PL_EREMOTE ? PL_OK : code;
}

static enum pl_code
write_item(struct sync *y, struct item *it, struct pl_err *err)
{
	struct pl_book *b = y->w->book;
	enum pl_code code;

	if (it->skip)
		return PL_OK;
	code = pl_book_save(b, &it->o, err);
	if (code == PL_OK && !it->have) {
		y->fresh++;
		code = pl_book_event(b, it->o.id, "imported",
		    pl_order_state_name(it->o.state), err);
	}
	if (code == PL_OK && it->cert.leaf != NULL)
		code = pl_book_cert_put(b, it->o.id, &it->cert, err);
	y->orders++;
	return code;
}

/* In one commit.  next: of the page, or NULL. */
static enum pl_code
write_items(struct sync *y, struct item *it, size_t n,
    const struct pl_book_sync *next, struct pl_err *err)
{
	struct pl_book *b = y->w->book;
	enum pl_code code = pl_book_begin(b, err);

	if (code != PL_OK)
		return code;
	for (size_t i = 0; code == PL_OK && i < n; i++)
		code = write_item(y, &it[i], err);
	if (code == PL_OK && next != NULL)
		code = pl_book_sync_put(b, y->ctl, next, err);
	if (code == PL_OK)
		return pl_book_commit(b, err);
	pl_book_rollback(b);
	return code;
}

/* Everything about a set of orders. */
static enum pl_code
take_items(struct sync *y, struct item *it, size_t n,
    const struct pl_book_sync *next, struct pl_err *err)
{
	enum pl_code code = ask_statuses(y, it, n, err);

	for (size_t i = 0; code == PL_OK && i < n; i++) {
		if (!it[i].skip)
			code = merge(y, &it[i], err);
	}
	if (code == PL_OK)
		code = ask_downloads(y, it, n, err);
	if (code == PL_OK)
		code = write_items(y, it, n, next, err);
	for (size_t i = 0; i < n; i++) {
		if (it[i].locked != 0)
			pl_book_unlock(y->w->book, it[i].locked);
	}
	return code;
}

/* ---- pages -------------------------------------------------------------------- */

static json_t *
page_request(const struct sync *y)
{
	json_t *j = pl_json_object();

	if (!y->at.full) {
		pl_json_set(j, "StartDate", pl_store_date_json(y->at.since));
		pl_json_set(j, "EndDate", pl_store_date_json(y->at.until));
	}
	pl_json_seti(j, "PageNumber", y->at.page);
	pl_json_seti(j, "PageSize", y->at.size);
	return j;
}

/* The store's clock, or ours where it does not tell. */
static int64_t
store_clock(const json_t *answer)
{
	const json_t *auth = pl_store_object(pl_json_is_array(answer) ?
	    pl_json_at(answer, 0) : answer, "AuthResponse");
	int64_t ms = pl_store_date(auth, "Timestamp");

	return ms != 0 ? ms : pl_wall_ms();
}

static enum pl_code
take_page(struct sync *y, const json_t *answer, size_t *found,
    struct pl_err *err)
{
	const json_t *list = y->at.full ? answer :
	    pl_store_list(answer, "Orders");
	size_t n = pl_json_count(list), m = 0;
	struct item *it = pl_array(n + 1, sizeof(*it));
	struct pl_book_sync next = y->at;
	enum pl_code code;

	*found = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *one = pl_json_at(list, i);

		if (!pl_json_is_object(one) || pl_store_is_error(one))
			y->errors++;
		else
			it[m++].answer = copy(one);
	}
	/* A store that does not turn pages says the same again. */
	if (m > 0) {
		char *first = pl_store_text(it[0].answer,
		    "TheSSLStoreOrderID");

		if (first != NULL && pl_streq(first, y->first))
			*found = 0;
		free(y->first);
		y->first = first;
	}
	next.page++;
	code = take_items(y, it, m, &next, err);
	items_clear(it, m);
	if (code == PL_OK)
		y->at.page++;
	return code;
}

static void
wake_up(void *arg PL_UNUSED)
{
}

static void
pause_ms(struct sync *y, int64_t ms)
{
	struct pl_loop *l = pl_engine_loop(y->w->s.engine);
	int64_t end = pl_mono_ms() + ms;
	struct pl_err err;

	while (y->w->s.stop == 0 && pl_mono_ms() < end) {
		pl_loop_after(l, end - pl_mono_ms(), wake_up, NULL);
		if (pl_loop_turn(l, &err) != PL_OK)
			return;
	}
}

/* One page, in as many tries as it may take. */
static enum pl_code
do_page(struct sync *y, size_t *found, struct pl_err *err)
{
	struct pl_store_call c;
	enum pl_code code;

	for (;;) {
		c = (struct pl_store_call){ .path = y->at.full ?
			"order/query" : "order/getmodifiedorderssummary",
			.request = page_request(y), .tries = 1 };
		pl_err_clear(err);
		code = pl_controller_calls(y->w->s.engine, y->w->ctl, &c, 1,
		    1, err);
		if (code == PL_OK && y->clock == 0)
			y->clock = store_clock(c.answer);
		if (code == PL_OK)
			code = take_page(y, c.answer, found, err);
		pl_store_call_clear(&c);
		if (code == PL_OK) {
			y->failures = 0;
			return PL_OK;
		}
		if (!pl_code_retry(code) || code == PL_EIO ||
		    y->w->s.stop != 0)
			return code;
		if (++y->failures > FAILURES_MOST) {
			pl_prefix(err, "page %" PRId64 " failed %u times, "
			    "what came before it is kept", y->at.page,
			    y->failures);
			return code;
		}
		pause_ms(y, err->retry_after > 0 ? err->retry_after :
		    pl_life_gap(y->failures - 1) / 4);
	}
}

static enum pl_code
all_pages(struct sync *y, struct pl_err *err)
{
	size_t found;
	enum pl_code code;

	for (;;) {
		code = do_page(y, &found, err);
		draw(y, false);
		if (code != PL_OK)
			return code;
		if (found == 0 || y->at.page > PAGES_MOST)
			return PL_OK;
	}
}

/* ---- a whole sync --------------------------------------------------------------- */

/* Goes on with one that was cut short, or begins the right kind. */
static void
choose(struct sync *y, bool full)
{
	int64_t size = y->w->ctl->page_size;
	bool resume = y->at.page > 0 && y->at.size == size &&
	    (y->at.full || !full);

	if (resume) {
		y->clock = y->at.until;
		return;
	}
	y->at.full = full || y->at.done == 0;
	y->at.page = 1;
	y->at.size = size;
	y->at.since = y->at.done > EPOCH_MS ? y->at.done - OVERLAP_MS :
	    EPOCH_MS;
	y->at.until = 0;
	y->clock = 0;
}

static enum pl_code
begin_clock(struct sync *y, struct pl_err *err)
{
	json_t *answer = NULL;
	enum pl_code code;

	/* It also tells refused credentials, which the list does not everywhere. */
	code = pl_controller_call(y->w->s.engine, y->w->ctl,
	    "health/validate", NULL, &answer, err);
	if (code == PL_OK && y->at.until == 0) {
		y->clock = pl_store_date(answer, "Timestamp");
		if (y->clock == 0)
			y->clock = pl_wall_ms();
		/* A day more than now: no order is to be missed for its
		 * zone. */
		y->at.until = y->clock + FUTURE_MS;
	}
	pl_json_free(answer);
	return code;
}

static void
report(struct sync *y, enum pl_code code)
{
	json_t *j;

	draw(y, true);
	if (!y->w->cli->json) {
		if (!y->w->cli->quiet)
			pl_cli_print("%zu orders read (%s), %zu new, %zu "
			    "changed, %zu certificates%s\n", y->orders,
			    y->at.full ? "all" : "changed ones", y->fresh,
			    y->changed, y->certificates, y->errors > 0 ?
			    ", some could not be read" : "");
		return;
	}
	j = pl_json_object();
	pl_json_sets(j, "sync", y->at.full ? "full" : "changes");
	pl_json_setb(j, "complete", code == PL_OK);
	pl_json_seti(j, "orders", (int64_t)y->orders);
	pl_json_seti(j, "new", (int64_t)y->fresh);
	pl_json_seti(j, "changed", (int64_t)y->changed);
	pl_json_seti(j, "certificates", (int64_t)y->certificates);
	pl_json_seti(j, "unreadable", (int64_t)y->errors);
	if (code != PL_OK)
		pl_json_seti(j, "nextPage", y->at.page);
	pl_cli_print_json(j);
}

static enum pl_code
finish(struct sync *y, struct pl_err *err)
{
	y->at.done = y->at.until - FUTURE_MS;
	y->at.page = 0;
	return pl_book_sync_put(y->w->book, y->ctl, &y->at, err);
}

static int
run_sync(struct pl_shop *w, bool full)
{
	struct sync y = { .w = w, .ctl = w->ctl->settings.account };
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	if (!pl_book_lock(w->book, PL_BOOK_SYNC)) {
		pl_fail(&err, PL_ECONFLICT, "sync: another one is under way");
		return pl_cli_fail(w->cli, &err);
	}
	code = pl_book_sync_get(w->book, y.ctl, &y.at, &err);
	if (code == PL_OK) {
		choose(&y, full);
		code = begin_clock(&y, &err);
	}
	if (code == PL_OK)
		code = all_pages(&y, &err);
	if (code == PL_OK)
		code = finish(&y, &err);
	pl_book_unlock(w->book, PL_BOOK_SYNC);
	free(y.first);
	pl_trust_close(y.trust);
	report(&y, code);
	return code == PL_OK ? 0 : pl_cli_fail(w->cli, &err);
}

int
pl_order_sync(struct pl_shop *w)
{
	int status = pl_shop_controller(w);

	return status != -1 ? status : run_sync(w, pl_cli_opt(w->cli, "full")
	    != NULL);
}

/* ---- import ----------------------------------------------------------------------- */

static int
import_one(struct sync *y, const char *id)
{
	struct item *it;
	struct pl_err err;
	json_t *request = pl_json_object();
	int64_t known = 0;
	int status;

	pl_json_sets(request, strspn(id, "0123456789") == strlen(id) ?
	    "TheSSLStoreOrderID" : "CustomOrderID", id);
	it = pl_array(1, sizeof(*it));
	status = pl_shop_call(y->w, "order/status", request, &it->answer);
	if (status == -1 && take_items(y, it, 1, NULL, &err) != PL_OK)
		status = pl_cli_fail(y->w->cli, &err);
	known = it->o.id;
	items_clear(it, 1);
	if (status != -1)
		return status;
	if (known == 0) {
		pl_fail(&err, PL_EREMOTE, "order %s: the store's answer "
		    "cannot be read", id);
		return pl_cli_fail(y->w->cli, &err);
	}
	return pl_shop_print(y->w, known, false);
}

int
pl_order_import(struct pl_shop *w)
{
	struct sync y = { .w = w };
	int status = pl_shop_controller(w), one;

	if (status != -1)
		return status;
	if (w->cli->nargs == 1)
		return run_sync(w, true);
	y.ctl = w->ctl->settings.account;
	for (int i = 1; i < w->cli->nargs; i++) {
		one = import_one(&y, w->cli->args[i]);
		status = status == -1 ? one : pl_status_join(status, one);
		if (one == pl_code_exit(PL_EAUTH))
			break;
	}
	pl_trust_close(y.trust);
	return status;
}
