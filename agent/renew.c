/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Renewal unattended.  When a certificate is due: what the store knows of its
 * order, a new key, and the request for the next one.  All of it ends in one
 * commit of the book: there the request stands (as a new order, or on the
 * order itself), what was tried for which certificate, and where the key is.
 * From there order.c drives it.  Who is killed before has done nothing that
 * counts, and who is killed behind goes on.
 */
#include "renew-run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_MS 30000
#define MORE_MS 100
#define AT_ONCE 8
#define BEFORE_USUAL (30 * PL_DAY_MS)
#define SPREAD_MOST (3 * PL_DAY_MS)	/* of pl_renew_due */

/* One order that is being renewed, locked. */
struct renewal {
	struct pl_renewer *all;
	struct renewal *next;
	struct pl_order o;
	struct pl_renewal kept;		/* what the book keeps of it */
	const struct pl_controller *ctl;
	struct pl_renewing how;
	struct pl_product product;
	int64_t end;			/* of the certificate in question */
	bool by_order;
	struct pl_order again;		/* a new order that the store refused; id 0: none */
	struct pl_store_call calls[2];
	struct pl_call_set *set;
	struct pl_key_call key;
	char *path;			/* of the new key */
	struct pl_csr *csr;
};

static void scan(void *renewer);

static void
scan_in(struct pl_renewer *r, int64_t ms)
{
	struct pl_loop *l = pl_engine_loop(r->opt.engine);

	pl_loop_forget(l, r->timer);
	r->timer = pl_loop_after(l, ms, scan, r);
}

static void
renewal_free(struct renewal *w)
{
	struct renewal **at = &w->all->list;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->all->n--;
	if (w->all->more)
		scan_in(w->all, MORE_MS);
	w->all->more = false;
	pl_controller_drop(w->set);
	for (size_t i = 0; i < PL_NELEM(w->calls); i++)
		pl_store_call_clear(&w->calls[i]);
	pl_book_unlock(w->all->opt.book, w->o.id);
	pl_order_clear(&w->o);
	pl_order_clear(&w->again);
	pl_renewal_clear(&w->kept);
	pl_csr_free(w->csr);
	free(w->path);
	free(w);
}

void
pl_renewer_free(struct pl_renewer *r)
{
	if (r == NULL)
		return;
	pl_outlook_stop(r);
	while (r->list != NULL)
		renewal_free(r->list);
	pl_loop_forget(pl_engine_loop(r->opt.engine), r->timer);
	free(r);
}

void
pl_renew_how(struct pl_renewing *how, const struct pl_controller *ctl,
    const struct pl_renewal *kept)
{
	how->window = ctl->renewal_window;
	how->before = kept->before != 0 ? kept->before : ctl->renew_before;
}

/* ---- what is told ------------------------------------------------------------ */

void
pl_renew_trouble(struct pl_renewer *r, const struct pl_err *err)
{
	pl_logf(r->opt.log, PL_LOG_ERROR, "order-book", "error=\"%s\"",
	    err->text);
}

/* Writes an event and what is kept, together. */
void
pl_renew_keep(struct pl_renewer *r, int64_t id,
    const struct pl_renewal *kept, const char *event, const char *text)
{
	struct pl_book *b = r->opt.book;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	code = pl_book_begin(b, &err);
	if (code == PL_OK)
		code = pl_book_renewal_put(b, id, kept, &err);
	if (code == PL_OK && event != NULL)
		code = pl_book_event(b, id, event, text, &err);
	if (code == PL_OK)
		code = pl_book_commit(b, &err);
	if (code != PL_OK) {
		pl_book_rollback(b);
		pl_renew_trouble(r, &err);
	}
}

/* A try for the certificate that ends then; the first one forgets those for
 * the certificate before. */
static void
count_try(struct pl_renewal *kept, int64_t end)
{
	if (kept->attempt != end)
		kept->tries = 0;
	kept->attempt = end;
	kept->tries++;
	kept->next = pl_wall_ms() + pl_renew_gap(kept->tries);
}

static void
note_failure(struct pl_renewer *r, int64_t id, struct pl_renewal *kept,
    int64_t end, const struct pl_err *err)
{
	/* The same trouble again is no news. */
	bool news = kept->attempt != end ||
	    !pl_streq(kept->error, err->text);

	count_try(kept, end);
	free(kept->error);
	kept->error = pl_strdup(err->text);
	pl_logf(r->opt.log, PL_LOG_WARN, "renewal", "id=L%" PRId64
	    " try=%u error=\"%s\"", id, kept->tries, err->text);
	pl_renew_keep(r, id, kept, news ? "renewal-failed" : NULL, err->text);
}

static void
failed(struct renewal *w, const struct pl_err *err)
{
	note_failure(w->all, w->o.id, &w->kept, w->end, err);
	renewal_free(w);
}

/* ---- the request into the book ------------------------------------------------- */

/* The new order that is to follow. */
static void
fill_order(struct pl_order *n, const struct renewal *w,
    struct pl_next *next, const char *custom_id, const char *unique)
{
	const struct pl_order *o = &w->o;

	*n = (struct pl_order){ .id = w->again.id,
		.created = w->again.created, .state = PL_O_PLACING,
		.step = PL_STEP_PLACE, .months = next->months, .ours = true,
		.generation = 1, .nnames = o->nnames };
	n->controller = pl_strdup(o->controller);
	n->custom_id = pl_strdup(custom_id);
	n->product = pl_strdup(o->product);
	n->csr = pl_strdup(w->csr->pem);
	memcpy(n->spki, w->csr->spki, sizeof(n->spki));
	n->unique = pl_strdup(unique);
	n->path = pl_strdup("order/neworder");
	n->request = pl_next_text(next->body, NULL);
	next->body = NULL;	/* transferred */
	n->renews = pl_strdup(o->store_id);
	n->names = pl_array(n->nnames + 1, sizeof(*n->names));
	for (size_t i = 0; i < n->nnames; i++)
		n->names[i] = (struct pl_order_name){
			.name = pl_strdup(o->names[i].name),
			.method = o->names[i].method,
			.approver = o->names[i].method == PL_DCV_EMAIL ?
			    pl_strdup(o->names[i].approver) : NULL };
}

/* Settings go on with the new order; what was tried does not. */
static enum pl_code
hand_on(struct renewal *w, int64_t id, struct pl_err *err)
{
	struct pl_renewal kept = { .before = w->kept.before,
		.key = w->kept.key };

	return pl_book_renewal_put(w->all->opt.book, id, &kept, err);
}

static enum pl_code
write_order(struct renewal *w, struct pl_next *next, const char *custom_id,
    const char *unique, int64_t *id, struct pl_err *err)
{
	struct pl_book *b = w->all->opt.book;
	struct pl_order n;
	enum pl_code code;

	fill_order(&n, w, next, custom_id, unique);
	code = pl_book_save(b, &n, err);
	*id = n.id;
	if (code == PL_OK && w->path != NULL)
		code = pl_book_key_move(b, w->path, n.id, n.spki, err);
	if (code == PL_OK)
		code = hand_on(w, n.id, err);
	pl_order_clear(&n);
	return code;
}

static enum pl_code
write_reissue(struct renewal *w, struct pl_next *next, struct pl_err *err)
{
	struct pl_book *b = w->all->opt.book;
	struct pl_order *o = &w->o;
	enum pl_code code;

	free(o->path);
	free(o->request);
	free(o->error);
	o->error = NULL;
	o->path = pl_strdup("order/reissue");
	o->request = pl_next_text(next->body, next->next);
	next->body = next->next = NULL;	/* transferred */
	o->step = PL_STEP_PLACE;
	o->sent = 0;
	o->tries = 0;
	code = pl_book_save(b, o, err);
	if (code == PL_OK && w->path != NULL)
		code = pl_book_key_put(b, o->id, o->generation + 1, w->path,
		    w->csr->spki, err);
	return code;
}

static enum pl_code
write_all(struct renewal *w, struct pl_next *next, const char *custom_id,
    const char *unique, int64_t *id, struct pl_err *err)
{
	struct pl_book *b = w->all->opt.book;
	char text[96];
	enum pl_code code = pl_book_begin(b, err);

	*id = w->o.id;
	if (code != PL_OK)
		return code;
	code = w->by_order ? write_order(w, next, custom_id, unique, id,
	    err) : write_reissue(w, next, err);
	count_try(&w->kept, w->end);
	free(w->kept.error);
	w->kept.error = NULL;
	if (code == PL_OK)
		code = pl_book_renewal_put(b, w->o.id, &w->kept, err);
	if (w->by_order)
		snprintf(text, sizeof(text), "renewal is due: a new order, "
		    "L%" PRId64, *id);
	else
		snprintf(text, sizeof(text), "renewal is due: a reissue");
	if (code == PL_OK)
		code = pl_book_event(b, w->o.id, "renewal", text, err);
	if (code == PL_OK)
		code = pl_book_commit(b, err);
	if (code != PL_OK)
		pl_book_rollback(b);
	else
		pl_logf(w->all->opt.log, PL_LOG_INFO, "renewal", "id=L%"
		    PRId64 " text=\"%s\"", w->o.id, text);
	return code;
}

static void
make_request(struct renewal *w)
{
	char custom_id[37], unique[17];
	struct pl_next_ask ask = { .o = &w->o, .status = w->calls[0].answer,
		.product = &w->product, .csr = w->csr,
		.by_order = w->by_order, .custom_id = custom_id,
		.unique = unique };
	struct pl_orders *orders = w->all->opt.orders;
	struct pl_next next = { 0 };
	struct pl_err err;
	int64_t id = 0;
	enum pl_code code;

	pl_life_custom_id(custom_id);
	pl_life_unique(unique);
	/* The store may know of the one before after all: the same mark. */
	if (w->again.id != 0)
		snprintf(custom_id, sizeof(custom_id), "%s",
		    w->again.custom_id);
	pl_err_clear(&err);
	code = pl_next_make(&next, &ask, &err);
	if (code == PL_OK)
		code = write_all(w, &next, custom_id, unique, &id, &err);
	pl_next_clear(&next);
	if (code != PL_OK) {
		failed(w, &err);
		return;
	}
	renewal_free(w);
	pl_orders_take(orders, id, PL_DRIVE_ALL, false);
}

/* ---- the key ---------------------------------------------------------------------- */

static void
on_key(void *arg, const char *pem, const struct pl_err *err)
{
	struct renewal *w = arg;
	struct pl_err e = *err;

	if (pem != NULL && pl_csr_parse(&w->csr, pem, strlen(pem), &e) ==
	    PL_OK) {
		make_request(w);
		return;
	}
	pl_prefix(&e, "new key");
	failed(w, &e);
}

/*
 * "L17-2-x7kq2m.key": order, generation, and letters that make it another
 * file whatever was there before this book.  Noted before it is made.
 */
static enum pl_code
note_path(struct renewal *w, const char *directory, struct pl_err *err)
{
	struct pl_book *b = w->all->opt.book;
	char odd[7];
	struct pl_buf path;
	enum pl_code code;

	code = pl_book_key_wish(b, w->o.id, w->o.generation + 1, &w->path,
	    err);
	if (code != PL_OK || w->path != NULL)
		return code;
	pl_random_name(odd, 6);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/L%" PRId64 "-%u-%s.key", directory, w->o.id,
	    w->o.generation + 1, odd);
	w->path = pl_buf_take(&path);
	return pl_book_key_put(b, w->o.id, w->o.generation + 1, w->path, NULL,
	    err);
}

static void
new_key(struct renewal *w, const struct pl_csr *old)
{
	struct pl_renewer *r = w->all;
	struct pl_csr like = { .cn = w->o.nnames > 0 ? w->o.names[0].name :
		NULL };
	struct pl_key_ask ask = { .type = "rsa2048",
		.sandbox = r->opt.config->service.sandbox };
	char **names = pl_array(w->o.nnames + 1, sizeof(*names));
	char *directory = pl_config_keys(r->opt.config, w->ctl), *file;
	struct pl_err err;

	for (size_t i = 0; i < w->o.nnames &&
	    pl_product_has_domains(&w->product); i++)
		names[ask.n++] = w->o.names[i].name;
	if (old != NULL && pl_key_type(old->key) != NULL)
		ask.type = pl_key_type(old->key);
	/* A common name ends at 64 characters; it is in the list. */
	if (like.cn != NULL && strlen(like.cn) > 64)
		like.cn = NULL;
	ask.like = old != NULL ? old : &like;
	ask.names = names;
	pl_err_clear(&err);
	if (note_path(w, directory, &err) != PL_OK) {
		failed(w, &err);
		goto out;
	}
	/* One from before the directory was another stays where it is. */
	file = strrchr(w->path, '/');
	free(directory);
	directory = pl_strndup(w->path, (size_t)(file - w->path));
	ask.directory = directory;
	ask.file = file + 1;
	w->key.done = on_key;
	w->key.ctx = w;
	pl_key_make(r->opt.engine, &ask, &w->key);
out:
	free(names);
	free(directory);
}

/* The request: the old one again, or one for a new key. */
static void
get_csr(struct renewal *w)
{
	const char *pem = w->again.id != 0 ? w->again.csr : w->o.csr;
	bool keep = w->again.id != 0 || (w->kept.key != NULL ?
	    strcmp(w->kept.key, "keep") == 0 : w->ctl->renew_keep);
	struct pl_csr *old = NULL;
	struct pl_err err;

	pl_err_clear(&err);
	if (pem == NULL && keep)
		pl_fail(&err, PL_EINVAL, "the book has no request of it whose "
		    "key could be kept");
	else if (pem != NULL)
		pl_csr_parse(&old, pem, strlen(pem), &err);
	if (err.code != PL_OK)
		failed(w, &err);
	else if (keep) {
		w->csr = old;
		old = NULL;	/* transferred */
		make_request(w);
	} else
		new_key(w, old);
	pl_csr_free(old);
}

/* ---- what the store says ----------------------------------------------------------- */

/*
 * A new order that failed before the store had it is tried again under its
 * mark; one that the store had and that came to nothing is for a person.
 */
static enum pl_code
look_back(struct renewal *w, struct pl_err *err)
{
	enum pl_order_state state;
	int64_t id;
	enum pl_code code;

	code = pl_book_successor(w->all->opt.book, &w->o, &id, &state, err);
	if (code != PL_OK || id == 0)
		return code;
	code = pl_book_get(w->all->opt.book, id, &w->again, err);
	if (code != PL_OK)
		return code;
	if (w->again.store_id != NULL || w->again.step != PL_STEP_REST ||
	    w->again.csr == NULL)
		return pl_fail(err, PL_EREMOTE, "the new order L%" PRId64
		    " is %s: order renew places another one", id,
		    pl_order_state_name(state));
	return PL_OK;
}

/* Has somebody else seen to it meanwhile?  The store's dates are coarse:
 * those of the certificate itself stay. */
static bool
seen_to(struct renewal *w, int64_t not_before)
{
	struct pl_err err;

	pl_err_clear(&err);
	if ((w->o.state == PL_O_ISSUED || w->o.state == PL_O_EXPIRED) &&
	    w->o.not_after < w->end + 2 * PL_DAY_MS) {
		w->o.not_before = not_before;
		w->o.not_after = w->end;
		return false;
	}
	/* Another certificate, or none any more: the book is to know. */
	if (w->o.state == PL_O_ISSUED || !pl_life_final(w->o.state))
		w->o.step = PL_STEP_POLL;
	if (pl_book_save(w->all->opt.book, &w->o, &err) != PL_OK)
		pl_renew_trouble(w->all, &err);
	return true;
}

static void
on_asked(void *arg)
{
	struct renewal *w = arg;
	struct pl_err err = w->calls[0].err;
	struct pl_buf why;
	int64_t now = pl_wall_ms(), not_before = w->o.not_before;
	bool moved;

	w->set = NULL;
	if (err.code == PL_OK)
		pl_life_apply(&w->o, w->calls[0].answer, &moved, &err);
	if (err.code != PL_OK) {
		failed(w, &err);
		return;
	}
	if (seen_to(w, not_before)) {
		renewal_free(w);
		return;
	}
	if (w->calls[1].err.code == PL_OK)
		pl_product_live(&w->product, w->calls[1].answer);
	w->by_order = w->o.state == PL_O_EXPIRED ||
	    pl_renew_by_order(&(struct pl_term){ .expires = w->o.expires },
	    &w->how, now);
	pl_buf_init(&why, PL_LIM_LINE);
	if (w->by_order && pl_renew_hopeless(&why, &w->o, &w->product, NULL,
	    now) > 0)
		pl_fail(&err, PL_EREMOTE, "%s", why.data);
	pl_buf_clear(&why);
	if (err.code == PL_OK && w->by_order)
		look_back(w, &err);
	if (err.code != PL_OK)
		failed(w, &err);
	else
		get_csr(w);
}

static void
ask_store(struct renewal *w)
{
	json_t *q = pl_json_object();

	/* It is tried again as a whole. */
	w->calls[0].tries = 3;
	w->calls[0].path = "order/status";
	w->calls[0].request = pl_json_object();
	pl_json_sets(w->calls[0].request, "TheSSLStoreOrderID",
	    w->o.store_id);
	w->calls[1].path = "product/query";
	w->calls[1].tries = 3;
	w->calls[1].request = q;
	pl_json_sets(q, "ProductCode", w->product.sent);
	pl_json_seti(q, "ProductType", 0);
	pl_json_setb(q, "NeedSortedList", true);
	pl_json_setb(q, "IsForceNewSKUs", false);
	w->set = pl_controller_start(w->all->opt.engine, w->ctl, w->calls,
	    PL_NELEM(w->calls), 0, on_asked, w);
}

/* ---- what is due ---------------------------------------------------------------------- */

void
pl_renew_look_clear(struct pl_renew_look *l)
{
	pl_order_clear(&l->o);
	pl_renewal_clear(&l->kept);
}

bool
pl_renew_look(struct pl_renew_look *l, struct pl_renewer *r, int64_t id)
{
	struct pl_err err;

	*l = (struct pl_renew_look){ .ctl = NULL };
	pl_err_clear(&err);
	if (pl_book_get(r->opt.book, id, &l->o, &err) != PL_OK ||
	    pl_book_renewal(r->opt.book, id, &l->kept, &err) != PL_OK) {
		pl_renew_trouble(r, &err);
		return false;
	}
	if (pl_config_controller(&l->ctl, r->opt.config, l->o.controller,
	    &err) != PL_OK)
		return false;
	pl_renew_how(&l->how, l->ctl, &l->kept);
	l->wanted = l->how.before >= 0 && (l->o.ours || l->kept.before > 0);
	l->term = pl_renew_term(&l->o);
	return true;
}

static bool
is_due(const struct pl_renew_look *l, int64_t now)
{
	if (!l->wanted || l->o.step != PL_STEP_REST ||
	    now < pl_renew_due(&l->term, &l->how))
		return false;
	/* Tried already; but a clock that was set back must not silence it. */
	return l->kept.attempt != l->o.not_after || now >= l->kept.next ||
	    l->kept.next - now > 2 * pl_renew_gap(UINT32_MAX);
}

/* The facts that need no store: false behind a note of what is missing. */
static bool
has_future(struct pl_renewer *r, struct pl_renew_look *l, struct pl_product *p,
    int64_t now)
{
	const struct pl_product *known = p;
	struct pl_buf why;
	struct pl_err err;
	size_t n;

	if (l->o.product == NULL || pl_product_find(p, l->o.product, NULL) !=
	    PL_OK)
		known = NULL;
	pl_buf_init(&why, PL_LIM_LINE);
	n = pl_renew_hopeless(&why, &l->o, known, r->opt.config->rules, now);
	if (n > 0) {
		pl_fail(&err, PL_EINVAL, "%s", why.data);
		note_failure(r, l->o.id, &l->kept, l->o.not_after, &err);
	}
	pl_buf_clear(&why);
	return n == 0;
}

static void
begin(struct pl_renewer *r, struct pl_renew_look *l, int64_t now)
{
	struct renewal *w;
	struct pl_product product;

	if (!has_future(r, l, &product, now))
		return;
	w = pl_alloc(sizeof(*w));
	w->all = r;
	w->next = r->list;
	r->list = w;
	r->n++;
	w->ctl = l->ctl;
	w->how = l->how;
	w->product = product;
	w->end = l->o.not_after;
	w->o = l->o;
	w->kept = l->kept;
	l->o = (struct pl_order){ 0 };		/* transferred */
	l->kept = (struct pl_renewal){ 0 };
	ask_store(w);
}

bool
pl_renew_under_way(const struct pl_renewer *r, int64_t id)
{
	for (const struct renewal *w = r->list; w != NULL; w = w->next) {
		if (w->o.id == id)
			return true;
	}
	return false;
}

/* Who holds the lock may have changed it since it was read. */
static void
begin_if_due(struct pl_renewer *r, int64_t id, int64_t now)
{
	struct pl_renew_look l;

	if (pl_renew_under_way(r, id))
		return;
	if (pl_renew_look(&l, r, id) && is_due(&l, now) &&
	    pl_book_lock(r->opt.book, id)) {
		pl_renew_look_clear(&l);
		if (pl_renew_look(&l, r, id) && is_due(&l, now))
			begin(r, &l, now);
		if (!pl_renew_under_way(r, id))
			pl_book_unlock(r->opt.book, id);
	}
	pl_renew_look_clear(&l);
}

static int64_t
before_most(const struct pl_renewer *r)
{
	const struct pl_config *c = r->opt.config;
	int64_t most = BEFORE_USUAL, one = pl_book_before_most(r->opt.book);

	most = one > most ? one : most;
	for (size_t i = 0; i < c->ncontrollers; i++) {
		one = c->controllers[i].renew_before;
		most = one > most ? one : most;
	}
	return most + SPREAD_MOST;
}

/* ---- the service ---------------------------------------------------------------------------- */

static void
scan(void *arg)
{
	struct pl_renewer *r = arg;
	int64_t now = pl_wall_ms(), *ids;
	struct pl_err err;
	size_t n;

	pl_err_clear(&err);
	scan_in(r, SCAN_MS);
	if (pl_book_renewable(r->opt.book, now, now + before_most(r), false,
	    &ids, &n, &err) != PL_OK) {
		pl_renew_trouble(r, &err);
		return;
	}
	for (size_t i = 0; i < n && r->n < AT_ONCE; i++)
		begin_if_due(r, ids[i], now);
	r->more = r->n == AT_ONCE;
	free(ids);
}

struct pl_renewer *
pl_renewer_new(const struct pl_renewer_opts *o)
{
	struct pl_renewer *r = pl_alloc(sizeof(*r));

	r->opt = *o;
	scan_in(r, 0);
	pl_outlook_start(r);
	return r;
}
