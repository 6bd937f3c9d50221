/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The engine's side of the check worker: one process that all looks go to.
 * When it dies, its open looks go to the next one.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define CHECKS_A_FRAME 500
#define MOST_DEATHS 3
#define PAUSE_MS 100		/* before a new check worker, doubled each time */
#define PAUSE_CAP_MS 30000
#define IDLE_MS 60000
/* A look's number: its slot, and how often that was used.  A sighting
 * of a look that is gone does not hit the next one in its slot. */
#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)

static void on_seen(void *arg, struct pl_frame *f, const struct pl_err *err);

/* ---- slots ---------------------------------------------------------------------- */

static struct pl_look_slot *
slot_find(struct pl_engine *e, uint32_t id)
{
	size_t i = id & SLOT_MASK;

	if (i >= e->nlooks || e->looks[i].task == NULL ||
	    e->looks[i].id != id)
		return NULL;
	return &e->looks[i];
}

static struct pl_look_slot *
slot_take(struct pl_engine *e)
{
	struct pl_look_slot *s;

	if (e->freelook != 0) {
		s = &e->looks[e->freelook - 1];
		e->freelook = s->next;
		s->id += 1u << SLOT_BITS;
		return s;
	}
	if (e->nlooks > SLOT_MASK)
		return NULL;
	if (e->nlooks == e->caplooks) {
		e->caplooks = e->caplooks * 2 + 64;
		e->looks = pl_grow(e->looks, e->caplooks, sizeof(*e->looks));
	}
	s = &e->looks[e->nlooks];
	*s = (struct pl_look_slot){ .id = (uint32_t)e->nlooks++ };
	return s;
}

static void
add_fresh(struct pl_engine *e, uint32_t id)
{
	if (e->nfresh == e->capfresh) {
		e->capfresh = e->capfresh * 2 + 64;
		e->fresh = pl_grow(e->fresh, e->capfresh, sizeof(*e->fresh));
	}
	e->fresh[e->nfresh++] = id;
}

static void
checker_idle(void *arg)
{
	struct pl_engine *e = arg;

	e->checker_idle = 0;
	if (e->openlooks > 0 || e->checker == NULL)
		return;
	pl_worker_retire(e->checker);
	e->checker = NULL;
}

static void
slot_free(struct pl_engine *e, struct pl_look_slot *s)
{
	s->task->looking = false;
	s->task = NULL;
	s->held = false;
	s->next = e->freelook;
	e->freelook = (size_t)(s - e->looks) + 1;
	if (--e->openlooks == 0 && e->checker_idle == 0)
		e->checker_idle = pl_loop_after(e->loop, IDLE_MS,
		    checker_idle, e);
}

static void
fail_look(struct pl_engine *e, struct pl_look_slot *s,
    const struct pl_err *err)
{
	struct pl_task *t = s->task;

	slot_free(e, s);
	if (t->look_kind == PL_LOOK_WHERE) {
		pl_task_located(t, NULL, err);
		return;
	}
	t->err = *err;
	pl_prefix(&t->err, "%s", t->ch->shown);
	pl_task_rest(t);
}

static void
fail_open_looks(struct pl_engine *e, const struct pl_err *err)
{
	for (size_t i = 0; i < e->nlooks; i++) {
		if (e->looks[i].task != NULL)
			fail_look(e, &e->looks[i], err);
	}
	e->nfresh = 0;
}

/* The check worker is gone, or could not be started. */
static void
checker_gone(struct pl_engine *e, const struct pl_err *err)
{
	unsigned n = e->checker_deaths++;
	int64_t pause = (int64_t)PAUSE_MS << (n < 9 ? n : 9);

	e->checker = NULL;
	if (e->o.tries != 0 && (n + 1 >= MOST_DEATHS ||
	    err->code == PL_EINVAL)) {
		fail_open_looks(e, err);
		return;
	}
	/* The next one gets what is still open. */
	e->nfresh = 0;
	for (size_t i = 0; i < e->nlooks; i++) {
		if (e->looks[i].task == NULL || e->looks[i].held)
			continue;
		e->looks[i].sent = false;
		add_fresh(e, e->looks[i].id);
	}
	pause = pause < PAUSE_CAP_MS ? pause : PAUSE_CAP_MS;
	e->checker_after = pl_mono_ms() + pause;
	pl_engine_kick(e, pause);
}

/* ---- the check worker ------------------------------------------------------------- */

static const char *const *
or_conf(const char *const *given, char **conf)
{
	return given != NULL ? given : (const char *const *)conf;
}

static bool
start_checker(struct pl_engine *e)
{
	const struct pl_verify_conf *v = &e->o.config->verify;
	struct pl_verify_settings set = {
		.servers = or_conf(e->o.servers, v->servers),
		.resolvers = or_conf(e->o.resolvers, v->resolvers),
		.http_servers = or_conf(e->o.http_servers, v->http_servers),
		.https_servers = (const char *const *)v->https_servers,
		.quorum = v->quorum,
		.site_local = v->site_local,
		.dnssec = v->dnssec,
		.caa = v->caa,
		.trust_anchor = v->trust_anchor,
	};
	struct pl_worker_spec spec = { .key = PL_ROLE_CHECK,
		.program = "placard-check", .most = 1 };
	struct pl_buf hello;
	struct pl_err err;

	pl_buf_init(&hello, PL_LIM_FRAME);
	pl_put_str(&hello, PL_ROLE_CHECK);
	pl_put_u8(&hello, PL_HELLO_FLAGS(e->o.log->level,
	    e->o.config->service.sandbox));
	pl_verify_settings_put(&hello, &set);
	spec.hello = &hello;
	pl_err_clear(&err);
	if (pl_pool_acquire(e->pool, &spec, &e->checker, &err) != PL_OK)
		checker_gone(e, &err);
	else if (e->checker != NULL)
		pl_worker_stream(e->checker, on_seen, e);
	pl_buf_clear(&hello);
	return e->checker != NULL;
}

static int64_t
first_look(const struct pl_task *t)
{
	struct pl_engine *e = t->run->user;
	int64_t ms = 0;

	for (size_t k = 0; k < t->n; k++) {
		int64_t seen = pl_acct_of(e,
		    t->targets[k].account)->note.seen_ms;

		if (seen > ms)
			ms = seen;
	}
	/* Below this it costs less to look than to wait. */
	if (ms < 500)
		return 0;
	ms = ms * 3 / 4;
	return ms < 60000 ? ms : 60000;
}

/*
 * Whom CAA must allow: who is asked for by option, or the CA of the order
 * that a job belongs to.  Where servers are given, resolvers may know nothing
 * of the names: then only what is required is looked up for an order.
 */
static const char *
ca_of(const struct pl_engine *e, const struct pl_job *job)
{
	const struct pl_verify_conf *v = &e->o.config->verify;

	if (e->o.ca != NULL || job->ca == NULL)
		return e->o.ca;
	if ((v->servers != NULL || v->http_servers != NULL) &&
	    !pl_streq(v->caa, "require"))
		return NULL;
	return job->ca;
}

static void
put_check(struct pl_buf *b, const struct pl_task *t, uint32_t id,
    bool waited)
{
	int64_t left = t->run->deadline - pl_mono_ms();
	struct pl_check c = {
		.id = id,
		.look = t->look_kind,
		.kind = t->ch->kind,
		.record = t->ch->record,
		.domain = t->ch->domain,
		.value = t->ch->value,
		.value_len = t->ch->value_len,
		.timeout_ms = left > 1 ? left : 1,
		.first_ms = waited ? 0 : first_look(t),
		.ca = ca_of(t->run->user, &t->run->job),
		.account_uri = t->run->user->o.account_uri,
		.methods = pl_caa_label(t->ch->method),
		.wildcard = t->ch->wildcard,
		.https = t->ch->https,
	};

	if (c.look == PL_LOOK_WHERE)
		c.first_ms = 0;

	pl_check_put(b, &c);
}

/* Fills a frame with looks from *i on. */
static uint32_t
put_checks(struct pl_engine *e, struct pl_buf *b, size_t *i)
{
	struct pl_look_slot *s;
	uint32_t n = 0;

	for (; *i < e->nfresh && n < CHECKS_A_FRAME &&
	    b->len < PL_LIM_FRAME / 2; (*i)++) {
		s = slot_find(e, e->fresh[*i]);
		if (s == NULL || s->sent)
			continue;
		s->sent = true;
		put_check(b, s->task, s->id, s->waited);
		n++;
	}
	return n;
}

/* Sends the looks that are new since the last time. */
void
pl_look_send(struct pl_engine *e)
{
	int64_t wait = e->checker_after - pl_mono_ms();
	struct pl_buf body, each;
	uint32_t n;

	if (e->nfresh == 0 || pl_residents_waking(e))
		return;
	if (e->checker == NULL && wait > 0) {
		pl_engine_kick(e, wait);
		return;
	}
	if (e->checker == NULL && !start_checker(e))
		return;
	pl_buf_init(&each, PL_LIM_FRAME);
	pl_buf_init(&body, PL_LIM_FRAME);
	for (size_t i = 0; i < e->nfresh && e->checker != NULL; ) {
		pl_buf_reset(&each);
		n = put_checks(e, &each, &i);
		pl_buf_reset(&body);
		pl_put_u32(&body, n);
		pl_buf_add(&body, each.data, each.len);
		if (n > 0)
			pl_worker_send(e->checker, PL_MSG_CHECK, &body);
	}
	e->nfresh = 0;
	pl_buf_clear(&each);
	pl_buf_clear(&body);
}

void
pl_look_start(struct pl_task *t, enum pl_look look)
{
	struct pl_engine *e = t->run->user;
	struct pl_look_slot *s = slot_take(e);

	if (s == NULL) {
		pl_fail(&t->err, PL_ELIMIT, "%s: more than %u looks at once",
		    t->ch->shown, SLOT_MASK);
		pl_task_rest(t);
		return;
	}
	s->task = t;
	s->sent = s->waited = false;
	e->openlooks++;
	t->looking = true;
	t->look_kind = look;
	t->look = s->id;
	s->held = look == PL_LOOK_UNTIL && pl_spread_hold(t, first_look(t));
	s->since = pl_mono_ms();
	if (!s->held)
		add_fresh(e, s->id);
	pl_engine_kick(e, 0);
}

void
pl_look_release(struct pl_engine *e, struct pl_look_slot *s)
{
	s->held = false;
	s->waited = true;
	add_fresh(e, s->id);
	pl_engine_kick(e, 0);
}

void
pl_look_stop(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;
	struct pl_look_slot *s = slot_find(e, t->look);
	struct pl_buf body;
	bool sent;

	if (!t->looking || s == NULL || s->task != t)
		return;
	sent = s->sent;
	slot_free(e, s);
	if (e->checker == NULL || !sent)
		return;
	pl_buf_init(&body, PL_LIM_LINE);
	pl_put_u32(&body, t->look);
	pl_worker_send(e->checker, PL_MSG_CANCEL, &body);
	pl_buf_clear(&body);
}

static void
take_verdicts(struct pl_task *t, struct pl_sighting *s)
{
	for (size_t k = 0; k < t->nverdicts; k++) {
		free(t->verdicts[k].server);
		free(t->verdicts[k].address);
		free(t->verdicts[k].note);
	}
	free(t->verdicts);
	t->verdicts = s->verdicts;
	t->nverdicts = s->n;
	s->verdicts = NULL;	/* transferred */
	s->n = 0;
	free(t->zone);
	t->zone = s->zone;
	s->zone = NULL;
	free(t->where);
	t->where = s->record;
	s->record = NULL;
	t->attempts = s->looks;
	pl_findings_free(t->findings, t->nfindings);
	t->findings = s->findings;
	t->nfindings = s->nfindings;
	s->findings = NULL;
	s->nfindings = 0;
}

/* A service has nobody who reads them but its log. */
static void
log_findings(const struct pl_engine *e, const struct pl_task *t)
{
	for (size_t i = 0; e->o.life == PL_LIFE_SERVICE && i < t->nfindings;
	    i++) {
		const struct pl_finding *f = &t->findings[i];

		if (f->mark == PL_MARK_WARN || f->mark == PL_MARK_BAD)
			pl_logf(e->o.log, PL_LOG_WARN, "look",
			    "job=%s challenge=%s topic=%s text=\"%s\"",
			    t->run->job.id, t->ch->shown, f->topic, f->text);
	}
}

static void
take_sighting(struct pl_engine *e, struct pl_look_slot *slot,
    struct pl_sighting *s)
{
	struct pl_task *t = slot->task;

	if (t->look_kind == PL_LOOK_WHERE) {
		if (!s->final)
			return;
		slot_free(e, slot);
		pl_task_located(t, s->record, &s->err);
		return;
	}
	take_verdicts(t, s);
	e->checker_deaths = 0;
	if (!s->final) {
		pl_task_changed(t);
		return;
	}
	/* Asked, and the time was up before it said anything. */
	for (size_t i = 0; i < t->nverdicts; i++) {
		if (t->verdicts[i].answer == PL_ANS_NONE)
			t->verdicts[i].answer = PL_ANS_TIMEOUT;
	}
	slot_free(e, slot);
	log_findings(e, t);
	if (s->visible && t->look_kind != PL_LOOK_CHECK) {
		pl_task_seen(t);
		return;
	}
	if (s->visible) {
		pl_task_rest(t);
		return;
	}
	t->err = s->err;
	if (t->err.code == PL_OK)
		pl_fail(&t->err, PL_EABSENT, "%s: not visible",
		    t->ch->record);
	/* Published and never seen: that is what the user has to hear, with
	 * the reason in the text. */
	if (t->err.code == PL_ENET && t->state == PL_PUBLISHED)
		t->err.code = PL_EABSENT;
	pl_task_rest(t);
}

static void
on_seen(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct pl_engine *e = arg;
	struct pl_look_slot *slot;
	struct pl_sighting s;

	if (f == NULL) {
		checker_gone(e, err);
		return;
	}
	pl_sighting_get(&f->body, &s);
	if (f->body.bad || (s.id & SLOT_MASK) >= e->nlooks) {
		pl_sighting_clear(&s);
		pl_worker_lied(e->checker, "sighting makes no sense");
		return;
	}
	/* That of a cancelled look may still be on its way. */
	slot = slot_find(e, s.id);
	if (slot != NULL && slot->sent)
		take_sighting(e, slot, &s);
	pl_sighting_clear(&s);
}
