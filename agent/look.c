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

static void on_seen(void *arg, struct pl_frame *f, const struct pl_err *err);

static void
fail_open_looks(struct pl_engine *e, const struct pl_err *err)
{
	for (size_t i = 0; i < e->nlooks; i++) {
		struct pl_task *t = e->looks[i];

		if (t == NULL)
			continue;
		e->looks[i] = NULL;
		t->looking = false;
		if (t->look_kind == PL_LOOK_WHERE) {
			pl_task_located(t, NULL, err);
			continue;
		}
		t->err = *err;
		pl_prefix(&t->err, "%s", t->ch->shown);
		pl_task_rest(t);
	}
}

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
	pl_put_u8(&hello, (uint8_t)e->o.log->level);
	pl_verify_settings_put(&hello, &set);
	spec.hello = &hello;
	pl_err_clear(&err);
	if (pl_pool_acquire(e->pool, &spec, &e->checker, &err) != PL_OK)
		fail_open_looks(e, &err);
	else
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

static void
put_check(struct pl_buf *b, const struct pl_task *t, uint32_t id)
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
		.first_ms = first_look(t),
		.ca = t->run->user->o.ca,
		.account_uri = t->run->user->o.account_uri,
		.methods = pl_caa_label(t->ch->method),
		.wildcard = t->ch->wildcard,
	};

	if (c.look == PL_LOOK_WHERE)
		c.first_ms = 0;

	pl_check_put(b, &c);
}

/* Sends the looks that are new since the last time. */
void
pl_look_send(struct pl_engine *e)
{
	struct pl_buf body, each;
	uint32_t n;

	if (e->unsent >= e->nlooks || pl_residents_waking(e))
		return;
	if (e->checker == NULL && !start_checker(e)) {
		e->unsent = e->nlooks;
		return;
	}
	pl_buf_init(&each, PL_LIM_FRAME);
	pl_buf_init(&body, PL_LIM_FRAME);
	while (e->unsent < e->nlooks) {
		pl_buf_reset(&each);
		for (n = 0; e->unsent < e->nlooks && n < CHECKS_A_FRAME &&
		    each.len < PL_LIM_FRAME / 2; e->unsent++) {
			if (e->looks[e->unsent] == NULL)
				continue;
			put_check(&each, e->looks[e->unsent],
			    (uint32_t)e->unsent);
			n++;
		}
		pl_buf_reset(&body);
		pl_put_u32(&body, n);
		pl_buf_add(&body, each.data, each.len);
		pl_worker_send(e->checker, PL_MSG_CHECK, &body);
	}
	pl_buf_clear(&each);
	pl_buf_clear(&body);
}

void
pl_look_start(struct pl_task *t, enum pl_look look)
{
	struct pl_engine *e = t->run->user;

	if (e->nlooks == e->caplooks) {
		e->caplooks = e->caplooks * 2 + 64;
		e->looks = pl_grow(e->looks, e->caplooks,
		    sizeof(struct pl_task *));
	}
	t->looking = true;
	t->look_kind = look;
	t->look = (uint32_t)e->nlooks;
	e->looks[e->nlooks++] = t;
	pl_engine_kick(e, 0);
}

void
pl_look_stop(struct pl_task *t)
{
	struct pl_engine *e = t->run->user;
	struct pl_buf body;

	if (!t->looking)
		return;
	t->looking = false;
	e->looks[t->look] = NULL;
	if (e->checker == NULL || t->look >= e->unsent)
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

static void
take_sighting(struct pl_engine *e, struct pl_task *t, struct pl_sighting *s)
{
	if (t->look_kind == PL_LOOK_WHERE) {
		if (!s->final)
			return;
		t->looking = false;
		e->looks[t->look] = NULL;
		pl_task_located(t, s->record, &s->err);
		return;
	}
	take_verdicts(t, s);
	if (!s->final) {
		pl_task_changed(t);
		return;
	}
	/* Asked, and the time was up before it said anything. */
	for (size_t i = 0; i < t->nverdicts; i++) {
		if (t->verdicts[i].answer == PL_ANS_NONE)
			t->verdicts[i].answer = PL_ANS_TIMEOUT;
	}
	t->looking = false;
	e->looks[t->look] = NULL;
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
	pl_task_rest(t);
}

static void
on_death(struct pl_engine *e, const struct pl_err *err)
{
	size_t n = 0;

	e->checker = NULL;
	if (++e->checker_deaths >= MOST_DEATHS || err->code == PL_EINVAL) {
		fail_open_looks(e, err);
		return;
	}
	/* The next one gets what is still open, under new numbers. */
	for (size_t i = 0; i < e->nlooks; i++) {
		struct pl_task *t = e->looks[i];

		if (t == NULL)
			continue;
		t->look = (uint32_t)n;
		e->looks[n++] = t;
	}
	e->nlooks = n;
	e->unsent = 0;
	pl_engine_kick(e, 100);
}

static void
on_seen(void *arg, struct pl_frame *f, const struct pl_err *err)
{
	struct pl_engine *e = arg;
	struct pl_sighting s;

	if (f == NULL) {
		on_death(e, err);
		return;
	}
	pl_sighting_get(&f->body, &s);
	if (f->body.bad || s.id >= e->unsent) {
		pl_sighting_clear(&s);
		pl_worker_lied(e->checker, "sighting makes no sense");
		return;
	}
	/* A cancelled one may still be on its way. */
	if (e->looks[s.id] != NULL)
		take_sighting(e, e->looks[s.id], &s);
	pl_sighting_clear(&s);
}
