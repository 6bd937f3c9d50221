/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The steps from the challenges to the certificate in the book. */
#include "order-run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECHECK_MS 60000	/* between two requests to look again */
#define REMOVE_MS 120000
#define FETCH_TRIES 5		/* before a certificate that does not fit is an error */

static bool
is_sectigo(const struct pl_order *o)
{
	struct pl_product p;

	return o->product != NULL &&
	    pl_product_find(&p, o->product, NULL) == PL_OK &&
	    pl_product_sectigo(&p);
}

static bool
has_domains(const struct pl_order *o)
{
	struct pl_product p;

	return o->product == NULL ||
	    pl_product_find(&p, o->product, NULL) != PL_OK ||
	    pl_product_has_domains(&p);
}

static struct pl_store_call *
call_for(struct pl_order_run *r, const char *path)
{
	struct pl_store_call *c = pl_alloc(sizeof(*c));

	c->path = path;
	c->request = pl_json_object();
	pl_json_sets(c->request, "TheSSLStoreOrderID", r->o.store_id);
	return c;
}

/* ---- publish -------------------------------------------------------------------- */

static const char *
first_error(const struct pl_job_run *job)
{
	for (size_t i = 0; i < job->job.n; i++) {
		if (job->tasks[i].err.code != PL_OK)
			return job->tasks[i].err.text;
	}
	return "not all challenges are visible";
}

static enum pl_code
first_code(const struct pl_job_run *job)
{
	for (size_t i = 0; i < job->job.n; i++) {
		if (job->tasks[i].err.code != PL_OK)
			return job->tasks[i].err.code;
	}
	return PL_EABSENT;
}

static void
on_published(struct pl_order_run *r)
{
	struct pl_job_run *job = r->job;
	struct pl_err err;
	bool visible;
	int status;

	r->job = NULL;
	pl_fail(&err, first_code(job), "%s", first_error(job));
	status = pl_run_exit(job, PL_VISIBLE);
	visible = pl_run_state(job) == PL_VISIBLE;
	pl_engine_forget(r->all->opt.engine, job);
	if (visible) {
		free(r->o.error);
		r->o.error = NULL;
		pl_book_proven(r->all->opt.book, &r->o, false, NULL);
		pl_run_step(r, PL_STEP_RECHECK, "visible",
		    "all challenges are visible");
		return;
	}
	r->status = status;
	free(r->o.error);
	r->o.error = pl_strdup(err.text);
	pl_run_event(r, "not-visible", err.text);
	if (pl_run_save(r))
		pl_run_trouble(r, &err);
}

static bool
is_row(const struct pl_row *row, const struct pl_challenge *c)
{
	return row->kind == c->kind && row->value_len == c->value_len &&
	    strcmp(row->record, c->record) == 0 &&
	    memcmp(row->value, c->value, c->value_len) == 0;
}

/*
 * Publishes, in the rows that the journal has of it from before, so that an
 * order which is never seen does not fill the journal.  What was ours is
 * added once more, for it may have vanished; what was there before us is only
 * looked for.  What the store does not want any more waits for CLEAN.
 */
static struct pl_job_run *
present(struct pl_order_run *r, struct pl_job *job)
{
	struct pl_row_query q = { .job = job->id };
	struct pl_row *rows = NULL;
	struct pl_job_run *run;
	struct pl_err err;
	size_t n = 0;

	if (pl_journal_rows(r->all->opt.journal, &q, &rows, &n, &err) != PL_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		rows[i].seq = UINT32_MAX;
		for (size_t k = 0; k < job->n; k++) {
			const struct pl_challenge *c = &job->challenges[k];

			if (is_row(&rows[i], c) &&
			    strcmp(rows[i].domain, c->shown) == 0)
				rows[i].seq = (uint32_t)k;
		}
		if (rows[i].state == PL_ROW_PUBLISHED ||
		    rows[i].state == PL_ROW_VISIBLE)
			rows[i].state = rows[i].was == PL_WAS_PRESENT ?
			    PL_ROW_PUBLISHED : PL_ROW_INTENT;
	}
	run = pl_engine_resume(r->all->opt.engine, job, r->all->opt.look_ms,
	    rows, &n);
	for (size_t i = 0; i < n; i++)
		pl_row_clear(&rows[i]);
	free(rows);
	return run;
}

void
pl_run_publish(struct pl_order_run *r)
{
	struct pl_job job;
	struct pl_err err;

	if (r->drive == PL_DRIVE_ROUND) {
		pl_run_end(r, NULL);
		return;
	}
	if (pl_life_final(r->o.state) || pl_life_open(&r->o) == 0) {
		pl_run_step(r, r->o.state == PL_O_ISSUED ? PL_STEP_FETCH :
		    pl_life_final(r->o.state) ? PL_STEP_CLEAN : PL_STEP_POLL,
		    NULL, NULL);
		return;
	}
	pl_err_clear(&err);
	if (pl_life_job(&job, &r->o, &err) != PL_OK) {
		pl_run_trouble(r, &err);
		return;
	}
	pl_run_event(r, "publishing", "publishing the challenges");
	pl_run_watch(r, present(r, &job), on_published);
}

/* ---- recheck ---------------------------------------------------------------------- */

static void
on_rechecked(struct pl_order_run *r)
{
	size_t failed = 0;

	for (size_t i = 0; i < r->ncalls; i++) {
		const struct pl_store_call *c = &r->calls[i];

		if (c->err.code == PL_EAUTH) {
			pl_run_trouble(r, &c->err);
			return;
		}
		/* A request to look costs nothing when it fails: the CA
		 * looks by itself as well. */
		if (c->err.code != PL_OK && failed++ == 0)
			pl_run_event(r, "recheck", c->err.text);
	}
	/* Only now: who is killed before asks again. */
	if (failed < r->ncalls)
		r->o.rechecked = pl_wall_ms();
	pl_run_step(r, PL_STEP_POLL, failed == 0 ? "rechecked" : NULL,
	    "the CA was asked to look");
}

/*
 * DigiCert has a call for it.  Sectigo has none; that the method is chosen
 * once more makes it look.  There is no word for https-file: it waits.
 */
static bool
recheck_call(struct pl_order_run *r, struct pl_store_call *c,
    const struct pl_order_challenge *ch)
{
	bool sectigo = is_sectigo(&r->o);

	if (ch->kind == PL_NOTHING || ch->approved ||
	    (sectigo && (ch->method == PL_DCV_HTTPS_FILE ||
	    r->o.rechecked != 0)))
		return false;
	c->path = sectigo ? "order/changeapprovermethod" :
	    "digicert/checkdcv";
	c->request = pl_json_object();
	pl_json_sets(c->request, "TheSSLStoreOrderID", r->o.store_id);
	if (sectigo) {
		pl_json_sets(c->request, "ApproverMethod",
		    ch->kind == PL_FILE ? "FILE" : "CNAME");
		pl_json_sets(c->request, "DomainNames", ch->domain);
	} else {
		pl_json_sets(c->request, "DomainName", ch->domain);
		pl_json_sets(c->request, "CustomOrderID", "");
	}
	return true;
}

void
pl_run_recheck(struct pl_order_run *r)
{
	struct pl_store_call *calls;
	size_t n = 0;

	if (r->drive == PL_DRIVE_ROUND) {
		pl_run_end(r, NULL);
		return;
	}
	calls = pl_array(r->o.nchallenges + 1, sizeof(*calls));
	for (size_t i = 0; i < r->o.nchallenges; i++)
		n += recheck_call(r, &calls[n], &r->o.challenges[i]);
	if (n == 0) {
		free(calls);
		r->o.rechecked = pl_wall_ms();
		pl_run_step(r, PL_STEP_POLL, NULL, NULL);
	} else
		pl_run_calls(r, calls, n, on_rechecked);
}

/* ---- poll --------------------------------------------------------------------------- */

static bool
has_row(const struct pl_row *rows, size_t n,
    const struct pl_challenge *c)
{
	for (size_t i = 0; i < n; i++) {
		if (is_row(&rows[i], c))
			return true;
	}
	return false;
}

/* Is all that the CA wants to see in the journal as published by us? */
static bool
all_published(struct pl_order_run *r)
{
	struct pl_row_query q = { 0 };
	struct pl_row *rows = NULL;
	struct pl_job job;
	struct pl_err err;
	size_t n = 0;
	bool all;

	if (pl_life_open(&r->o) == 0 ||
	    pl_life_job(&job, &r->o, &err) != PL_OK)
		return true;
	q.job = job.id;
	q.left = true;
	all = pl_journal_rows(r->all->opt.journal, &q, &rows, &n, &err) ==
	    PL_OK;
	for (size_t i = 0; all && i < job.n; i++)
		all = has_row(rows, n, &job.challenges[i]);
	for (size_t i = 0; i < n; i++)
		pl_row_clear(&rows[i]);
	free(rows);
	pl_job_clear(&job);
	return all;
}

/* Is it a certificate of the key that was asked for last? */
static bool
of_this_key(const struct pl_order *o, const char *pem)
{
	struct pl_cert **certs;
	size_t n;
	bool same;

	if (o->csr == NULL)
		return true;
	if (pl_certs_parse(&certs, &n, pem, strlen(pem), NULL) != PL_OK)
		return false;
	same = pl_certs_leaf(certs, n, o->spki) != NULL;
	pl_certs_free(certs, n);
	return same;
}

static bool
have_certificate(struct pl_order_run *r)
{
	struct pl_book_cert c;
	bool have;

	if (r->o.serial == NULL || pl_book_cert_get(r->all->opt.book, r->id,
	    r->o.serial, &c, NULL) != PL_OK)
		return false;
	have = c.leaf != NULL && of_this_key(&r->o, c.leaf);
	pl_book_cert_clear(&c);
	return have;
}

static void
wait_more(struct pl_order_run *r)
{
	bool sectigo = is_sectigo(&r->o);
	bool recheck = pl_life_open(&r->o) > 0 && (sectigo ?
	    r->o.rechecked == 0 && r->tries > 1 :
	    pl_wall_ms() - r->o.rechecked >= RECHECK_MS);

	if (r->drive == PL_DRIVE_ROUND) {
		if (pl_run_save(r))
			pl_run_end(r, NULL);
		return;
	}
	if (!all_published(r)) {
		r->o.rechecked = 0;
		pl_run_step(r, PL_STEP_PUBLISH, NULL, NULL);
		return;
	}
	r->o.step = recheck && r->tries > 0 ? PL_STEP_RECHECK : PL_STEP_POLL;
	r->tries++;
	if (pl_run_save(r))
		pl_run_sleep(r, pl_life_gap(r->o.tries++));
}

static void
on_polled(struct pl_order_run *r)
{
	struct pl_store_call *c = &r->calls[0];
	enum pl_order_state was = r->o.state;
	struct pl_err err;
	bool moved;

	r->polled = true;
	err = c->err;
	if (err.code == PL_OK)
		pl_life_apply(&r->o, c->answer, &moved, &err);
	if (err.code != PL_OK) {
		pl_run_trouble(r, &err);
		return;
	}
	if (moved)
		r->o.tries = 0;
	if (r->o.state != was)
		pl_run_event(r, "state", pl_order_state_name(r->o.state));
	if (r->o.state == PL_O_ISSUED && !have_certificate(r))
		pl_run_step(r, PL_STEP_FETCH, NULL, NULL);
	else if (pl_life_final(r->o.state))
		pl_run_step(r, PL_STEP_CLEAN, NULL, NULL);
	else
		wait_more(r);
}

void
pl_run_poll(struct pl_order_run *r)
{
	struct pl_err err;

	if (r->o.store_id == NULL) {
		pl_fail(&err, PL_EINVAL, "order L%" PRId64 ": %s", r->id,
		    r->o.error != NULL ? r->o.error :
		    "the store never had it");
		pl_run_end(r, r->o.state == PL_O_CANCELLED ? NULL : &err);
		return;
	}
	pl_run_calls(r, call_for(r, "order/status"), 1, on_polled);
}

/* ---- fetch -------------------------------------------------------------------------- */

static void
keep(struct pl_order_run *r, struct pl_book_cert *cert)
{
	struct pl_book *b = r->all->opt.book;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	/* The store's spelling is what the order goes by. */
	if (r->o.serial != NULL && pl_life_same_serial(r->o.serial, cert->serial)) {
		free(cert->serial);
		cert->serial = pl_strdup(r->o.serial);
	} else {
		free(r->o.serial);
		r->o.serial = pl_strdup(cert->serial);
	}
	r->o.not_before = cert->not_before;
	r->o.not_after = cert->not_after;
	free(r->o.error);
	r->o.error = NULL;
	code = pl_book_begin(b, &err);
	if (code == PL_OK)
		code = pl_book_cert_put(b, r->id, cert, &err);
	if (code != PL_OK) {
		pl_book_rollback(b);
		pl_run_end(r, &err);
		return;
	}
	r->o.step = PL_STEP_CLEAN;
	code = pl_book_save(b, &r->o, &err);
	if (code == PL_OK)
		code = pl_book_proven(b, &r->o, true, &err);
	if (code == PL_OK)
		code = pl_book_event(b, r->id, "certificate", cert->serial,
		    &err);
	if (code == PL_OK)
		code = pl_book_commit(b, &err);
	if (code != PL_OK) {
		pl_book_rollback(b);
		pl_run_end(r, &err);
		return;
	}
	r->tries = 0;
	pl_run_step(r, PL_STEP_CLEAN, NULL, NULL);
}

/* Not there yet, or not the one: again later, and one day an error. */
static void
not_yet(struct pl_order_run *r, const struct pl_err *err, bool final)
{
	struct pl_err e = *err;

	r->tries++;
	pl_prefix(&e, "order %s", r->o.store_id);
	if (!final && r->drive == PL_DRIVE_ALL) {
		if (pl_run_save(r))
			pl_run_sleep(r, pl_life_gap(r->tries));
		return;
	}
	e.code = final ? PL_EREMOTE : PL_ENET;
	free(r->o.error);
	r->o.error = pl_strdup(e.text);
	r->err = e;
	if (final) {
		pl_run_step(r, PL_STEP_CLEAN, "certificate-refused", e.text);
		return;
	}
	r->o.step = r->o.ours ? PL_STEP_FETCH : PL_STEP_REST;
	if (pl_run_save(r))
		pl_run_end(r, &e);
}

static void
on_fetched(struct pl_order_run *r)
{
	struct pl_store_call *c = &r->calls[0];
	struct pl_book_cert cert = { 0 };
	struct pl_trust *trust;
	struct pl_buf pem;
	struct pl_err err = c->err;
	bool some;

	if (err.code == PL_EREMOTE || err.code == PL_EABSENT) {
		not_yet(r, &err, false);
		return;
	}
	if (err.code != PL_OK) {
		pl_run_trouble(r, &err);
		return;
	}
	if (pl_controller_trust(&trust, r->ctl, &err) != PL_OK) {
		pl_run_trouble(r, &err);
		return;
	}
	pl_buf_init(&pem, PL_LIM_BODY);
	some = pl_life_pem(&pem, c->answer) > 0;
	pl_life_cert(&cert, pem.data, pem.len, r->o.csr != NULL ? r->o.spki :
	    NULL, has_domains(&r->o), trust, pl_wall_ms(), &err);
	pl_buf_clear(&pem);
	pl_trust_close(trust);
	if (err.code == PL_OK && r->o.serial != NULL && r->tries <
	    FETCH_TRIES && !pl_life_same_serial(cert.serial, r->o.serial)) {
		pl_fail(&err, PL_EABSENT, "the download still has the "
		    "certificate %s", cert.serial);
		some = false;
	}
	if (err.code == PL_OK)
		keep(r, &cert);
	else
		not_yet(r, &err, err.code == PL_EREMOTE || (some &&
		    r->tries >= FETCH_TRIES));
	pl_book_cert_clear(&cert);
}

void
pl_run_fetch(struct pl_order_run *r)
{
	pl_run_calls(r, call_for(r, "order/download"), 1, on_fetched);
}

/* ---- clean --------------------------------------------------------------------------- */

static void
on_removed(struct pl_order_run *r)
{
	struct pl_job_run *job = r->job;
	struct pl_err err;
	int status;

	r->job = NULL;
	pl_fail(&err, first_code(job), "%s", first_error(job));
	status = pl_run_exit(job, PL_REMOVED);
	pl_engine_forget(r->all->opt.engine, job);
	if (status == 0) {
		pl_run_step(r, PL_STEP_REST, "cleaned",
		    "the challenges are removed");
		return;
	}
	r->status = status;
	pl_run_event(r, "not-removed", err.text);
	pl_run_trouble(r, &err);
}

/* Rows of all jobs that this order ever had. */
static enum pl_code
rows_of(struct pl_order_run *r, struct pl_row **rows, size_t *n,
    struct pl_err *err)
{
	struct pl_order o = { .id = r->id };
	enum pl_code code = PL_OK;

	*rows = NULL;
	*n = 0;
	for (unsigned g = 0; g <= r->o.generation && code == PL_OK; g++) {
		struct pl_row_query q = { 0 };
		struct pl_row *more;
		size_t count;
		char id[48];

		o.generation = g;
		pl_order_job(id, &o);
		q.job = id;
		code = pl_journal_rows(r->all->opt.journal, &q, &more, &count,
		    err);
		if (count > 0) {
			*rows = pl_grow(*rows, *n + count, sizeof(**rows));
			memcpy(*rows + *n, more, count * sizeof(*more));
			*n += count;
		}
		free(more);
	}
	return code;
}

void
pl_run_clean(struct pl_order_run *r)
{
	struct pl_row *rows;
	struct pl_err err;
	size_t n;

	r->polled = true;
	pl_err_clear(&err);
	if (rows_of(r, &rows, &n, &err) != PL_OK) {
		pl_run_end(r, &err);
		return;
	}
	if (n == 0) {
		free(rows);
		pl_run_step(r, PL_STEP_REST, NULL, NULL);
		return;
	}
	pl_run_watch(r, pl_engine_remove_rows(r->all->opt.engine, rows, n,
	    REMOVE_MS), on_removed);
}
