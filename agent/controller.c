/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Calls to order controllers.  Where a call is at each moment: open in its
 * set, or in the one batch of its set that a worker has.  A batch comes back
 * with results or without any; then calls that may be repeated go back to
 * their set, and the others end with `sent` true.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define LANES 4			/* workers of one controller */
#define PARALLEL 8
#define BATCH_MOST 64
#define BATCH_OCTETS (1u << 20)
#define TRIES 5
#define TRIES_PROTO 3
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS 8000
#define RETRY_WAIT_MOST 60000	/* who asks for more patience gets none */
#define CALL_MS_MOST 600000

struct item {
	struct pl_store_call *call;
	const struct pl_store_desc *desc;
	int64_t not_before;		/* mono ms */
	bool open;
	bool alone;			/* its answer is large */
	bool away;			/* a worker has it */
};

struct pl_call_set {
	struct pl_ctl *ctl;
	struct item *items;
	size_t n, left;			/* left: not yet over */
	unsigned parallel;
	bool busy;			/* a batch is under way */
	void (*done)(void *ctx);
	void *ctx;
	struct pl_call_set *next;
};

struct batch {
	struct pl_ctl *ctl;
	struct pl_call_set *set;	/* NULL: dropped meanwhile */
	struct pl_worker *worker;
	uint32_t call;
	size_t index[BATCH_MOST];
	size_t n;
	struct batch *next;
};

/* One controller as the engine knows it. */
struct pl_ctl {
	struct pl_engine *engine;
	const struct pl_controller *conf;
	char *key;
	struct pl_buf hello;
	struct pl_call_set *sets;
	struct batch *batches;
	unsigned lanes;
	uint64_t timer;
	int64_t timer_at;
	struct pl_ctl *next;
};

static void dispatch(void *arg);

static void
kick(struct pl_ctl *k, int64_t ms)
{
	struct pl_loop *l = pl_engine_loop(k->engine);
	int64_t at = pl_mono_ms() + (ms > 0 ? ms : 0);

	if (k->timer != 0 && k->timer_at <= at)
		return;
	pl_loop_forget(l, k->timer);
	k->timer_at = at;
	k->timer = pl_loop_after(l, ms > 0 ? ms : 0, dispatch, k);
}

static struct pl_ctl *
ctl_of(struct pl_engine *e, const struct pl_controller *conf)
{
	struct pl_ctl *k;
	struct pl_buf key;

	for (k = e->ctls; k != NULL; k = k->next)
		if (k->conf == conf)
			return k;
	k = pl_alloc(sizeof(*k));
	k->engine = e;
	k->conf = conf;
	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_addf(&key, "controller:%s", conf->settings.account);
	k->key = pl_buf_take(&key);
	pl_buf_init(&k->hello, PL_LIM_FRAME);
	pl_put_str(&k->hello, PL_ROLE_CONTROLLER);
	pl_put_u8(&k->hello, (uint8_t)e->o.log->level);
	pl_settings_put(&k->hello, &conf->settings);
	k->next = e->ctls;
	e->ctls = k;
	return k;
}

static void
set_free(struct pl_call_set *s)
{
	free(s->items);
	free(s);
}

void
pl_ctls_free(struct pl_engine *e)
{
	struct pl_ctl *k;
	struct pl_call_set *s;
	struct batch *b;

	while ((k = e->ctls) != NULL) {
		e->ctls = k->next;
		while ((s = k->sets) != NULL) {
			k->sets = s->next;
			set_free(s);
		}
		while ((b = k->batches) != NULL) {
			k->batches = b->next;
			free(b);
		}
		pl_buf_clear(&k->hello);
		free(k->key);
		free(k);
	}
}

/* ---- how calls end ----------------------------------------------------------- */

static void
item_end(struct pl_call_set *s, struct item *it)
{
	if (!it->open)
		return;
	it->open = false;
	s->left--;
}

static void
item_fail(struct pl_call_set *s, struct item *it, const struct pl_err *err,
    bool sent)
{
	if (!it->open)
		return;
	it->call->err = *err;
	it->call->sent = sent;
	item_end(s, it);
}

static void
set_fail(struct pl_call_set *s, const struct pl_err *err)
{
	for (size_t i = 0; i < s->n; i++)
		item_fail(s, &s->items[i], err, false);
}

static int64_t
gap(unsigned attempts, int64_t asked)
{
	int64_t ms = RETRY_BASE_MS;

	for (unsigned i = 1; i < attempts && ms < RETRY_CAP_MS; i++)
		ms *= 2;
	if (ms > RETRY_CAP_MS)
		ms = RETRY_CAP_MS;
	ms += (int64_t)pl_random_below((uint32_t)ms / 2);
	return ms > asked ? ms : asked;
}

static bool
again(const struct item *it)
{
	const struct pl_store_call *c = it->call;
	unsigned most = c->tries > 0 ? c->tries : TRIES;

	if (c->err.code == PL_EPROTO && most > TRIES_PROTO)
		most = TRIES_PROTO;
	return it->desc->repeat && pl_code_retry(c->err.code) &&
	    c->attempts < most && c->err.retry_after <= RETRY_WAIT_MOST;
}

/* A try is over and call->err says how. */
static void
item_tried(struct pl_call_set *s, struct item *it)
{
	struct pl_store_call *c = it->call;

	it->away = false;
	c->attempts++;
	if (c->err.code == PL_OK || !again(it)) {
		item_end(s, it);
		return;
	}
	it->not_before = pl_mono_ms() + gap(c->attempts, c->err.retry_after);
	pl_logf(s->ctl->engine->o.log, PL_LOG_DEBUG, "call-again",
	    "path=%s attempts=%u why=%s", c->path, c->attempts, c->err.text);
}

/* May the store have acted on a call whose worker has failed so? */
static bool
perhaps_sent(enum pl_code code)
{
	return code == PL_EUNDONE || code == PL_ENET || code == PL_EPROTO ||
	    code == PL_EIO;
}

static void
item_lost(struct pl_call_set *s, struct item *it, const struct pl_err *err)
{
	it->call->err = *err;
	pl_prefix(&it->call->err, "sslstore: %s", it->desc->name);
	it->call->sent = perhaps_sent(err->code);
	item_tried(s, it);
}

/* Takes one result out of a frame; false where it makes no sense. */
static bool
item_take(struct pl_call_set *s, struct item *it, struct pl_cursor *c)
{
	struct pl_store_call *call = it->call;
	struct pl_err err;
	const char *text;
	bool sent;

	pl_get_err(c, &err);
	call->number = (int64_t)pl_get_u64(c);
	sent = pl_get_u8(c) != 0;
	text = pl_get_str(c);
	if (c->bad || (err.code == PL_OK) != (text != NULL) ||
	    err.code >= PL_NCODES)
		return false;
	call->err = err;
	call->sent = sent;
	if (err.code == PL_EUNDONE && it->desc->repeat && !it->alone) {
		/* Too much in one frame. */
		it->alone = true;
		it->away = false;
		return true;
	}
	if (text != NULL && pl_json_parse(&call->answer, text, strlen(text),
	    it->desc->name, &call->err) != PL_OK)
		return false;
	item_tried(s, it);
	return true;
}

/* ---- batches ------------------------------------------------------------------ */

static void
batch_end(struct batch *b, bool lives)
{
	struct pl_ctl *k = b->ctl;
	struct batch **at = &k->batches;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	k->lanes--;
	if (b->set != NULL)
		b->set->busy = false;
	if (lives)
		pl_worker_release(b->worker);
	free(b);
	kick(k, 0);
}

/* Refused credentials are refused for the others as well. */
static void
spread_refusal(struct pl_call_set *s)
{
	const struct pl_store_call *c;

	for (size_t i = 0; i < s->n; i++) {
		c = s->items[i].call;
		if (c->err.code != PL_EAUTH)
			continue;
		for (size_t k = 0; k < s->n; k++)
			if (s->items[k].open)
				s->items[k].call->number = c->number;
		set_fail(s, &c->err);
		return;
	}
}

static void
batch_answer(void *arg, struct pl_frame *f, const struct pl_err *died)
{
	struct batch *b = arg;
	struct pl_call_set *s = b->set;
	struct pl_err err;
	size_t i = 0;
	bool bad = false;

	if (f != NULL)
		bad = pl_get_u32(&f->body) != b->call ||
		    pl_get_u32(&f->body) != b->n;
	if (s != NULL && f != NULL && !bad) {
		for (; i < b->n && !bad; i++)
			bad = !item_take(s, &s->items[b->index[i]], &f->body);
		i -= bad;
	}
	if (bad) {
		pl_fail(&err, PL_EPROTO, "%s: worker's answer makes no sense",
		    b->ctl->key);
		pl_worker_lied(b->worker, "answer to CALL makes no sense");
	} else if (f == NULL)
		err = *died;
	for (; s != NULL && (bad || f == NULL) && i < b->n; i++)
		item_lost(s, &s->items[b->index[i]], &err);
	if (s != NULL)
		spread_refusal(s);
	batch_end(b, f != NULL && !bad);
}

static int64_t
time_of(const struct pl_ctl *k, const struct pl_store_call *c)
{
	int64_t ms = c->timeout_ms;

	if (ms <= 0 || ms > k->conf->timeout_ms)
		ms = k->conf->timeout_ms;
	return ms;
}

/*
 * Picks calls that are due: several that may be repeated, or one that may
 * not.  *wake is when the next one is.
 */
static size_t
pick(struct pl_call_set *s, struct batch *b, int64_t now, int64_t *wake)
{
	size_t most = (size_t)s->parallel * 4;

	if (most > BATCH_MOST)
		most = BATCH_MOST;
	for (size_t i = 0; i < s->n && b->n < most; i++) {
		struct item *it = &s->items[i];

		if (!it->open)
			continue;
		if (it->not_before > now) {
			if (it->not_before < *wake)
				*wake = it->not_before;
			continue;
		}
		if (b->n > 0 && (!it->desc->repeat || it->alone || time_of(
		    s->ctl, it->call) != time_of(s->ctl,
		    s->items[b->index[0]].call)))
			continue;
		b->index[b->n++] = i;
		if (!it->desc->repeat || it->alone)
			break;
	}
	return b->n;
}

/* Writes the requests, fewer where they are long. */
static size_t
put_requests(struct pl_call_set *s, struct batch *b, struct pl_buf *out)
{
	size_t i;

	for (i = 0; i < b->n && (i == 0 || out->len < BATCH_OCTETS); i++) {
		const struct pl_store_call *c = s->items[b->index[i]].call;
		char *text = c->request != NULL ? pl_json_text(c->request) :
		    pl_strdup("{}");

		pl_put_str(out, c->path);
		pl_put_str(out, text);
		free(text);
	}
	return i;
}

static void
send(struct batch *b)
{
	struct pl_call_set *s = b->set;
	struct pl_buf body, list;
	int64_t ms = time_of(b->ctl, s->items[b->index[0]].call);

	pl_buf_init(&body, PL_LIM_FRAME);
	pl_buf_init(&list, PL_LIM_FRAME);
	b->n = put_requests(s, b, &list);
	ms *= (int64_t)((b->n + s->parallel - 1) / s->parallel);
	if (ms > CALL_MS_MOST)
		ms = CALL_MS_MOST;
	for (size_t i = 0; i < b->n; i++)
		s->items[b->index[i]].away = true;
	b->call = pl_worker_next_call(b->worker);
	pl_put_u32(&body, b->call);
	pl_put_u32(&body, (uint32_t)ms);
	pl_put_u32(&body, s->parallel);
	pl_put_u32(&body, (uint32_t)b->n);
	pl_buf_add(&body, list.data, list.len);
	pl_buf_clear(&list);
	/* The worker ends its calls in time by itself; this is for one
	 * that hangs. */
	pl_worker_call(b->worker, PL_MSG_CALL, &body, PL_MSG_CALLED,
	    ms + 1000, batch_answer, b);
	pl_buf_clear(&body);
}

/* Starts a batch of this set if one is due and a worker is to be had. */
static void
set_step(struct pl_call_set *s, int64_t now, int64_t *wake)
{
	struct pl_ctl *k = s->ctl;
	struct pl_worker_spec spec = { .key = k->key,
		.program = "placard-http", .hello = &k->hello, .most = LANES };
	struct batch *b;
	struct pl_err err;

	if (s->busy || s->left == 0 || k->lanes >= LANES)
		return;
	b = pl_alloc(sizeof(*b));
	b->ctl = k;
	b->set = s;
	pl_err_clear(&err);
	if (pick(s, b, now, wake) == 0) {
		free(b);
		return;
	}
	if (pl_pool_acquire(pl_engine_pool(k->engine), &spec, &b->worker,
	    &err) != PL_OK || b->worker == NULL) {
		if (err.code == PL_OK)
			pl_fail(&err, PL_EUNDONE, "%s: no worker", k->key);
		set_fail(s, &err);
		free(b);
		return;
	}
	b->next = k->batches;
	k->batches = b;
	k->lanes++;
	s->busy = true;
	send(b);
}

/* Takes a set that is over out of the list, or NULL. */
static struct pl_call_set *
take_over(struct pl_ctl *k)
{
	struct pl_call_set **at, *s;

	for (at = &k->sets; (s = *at) != NULL; at = &s->next) {
		if (s->left == 0 && !s->busy) {
			*at = s->next;
			return s;
		}
	}
	return NULL;
}

static void
dispatch(void *arg)
{
	struct pl_ctl *k = arg;
	struct pl_call_set *s;
	int64_t now = pl_mono_ms(), wake = INT64_MAX;
	void (*done)(void *);
	void *ctx;

	k->timer = 0;
	for (s = k->sets; s != NULL; s = s->next)
		set_step(s, now, &wake);
	while ((s = take_over(k)) != NULL) {
		done = s->done;
		ctx = s->ctx;
		set_free(s);
		done(ctx);
	}
	if (wake != INT64_MAX)
		kick(k, wake - now);
}

/* ---- the door --------------------------------------------------------------------- */

static void
item_begin(struct item *it, struct pl_store_call *c, struct pl_call_set *s)
{
	it->call = c;
	it->open = true;
	it->desc = pl_store_find(c->path);
	pl_json_free(c->answer);
	c->answer = NULL;
	c->number = 0;
	c->sent = false;
	c->attempts = 0;
	pl_err_clear(&c->err);
	if (it->desc == NULL) {
		pl_fail(&c->err, PL_EINVAL, "sslstore: %s: no such call",
		    c->path);
		item_end(s, it);
	}
}

struct pl_call_set *
pl_controller_start(struct pl_engine *e, const struct pl_controller *c,
    struct pl_store_call *calls, size_t n, unsigned parallel,
    void (*done)(void *ctx), void *ctx)
{
	struct pl_ctl *k = ctl_of(e, c);
	struct pl_call_set *s = pl_alloc(sizeof(*s)), **at = &k->sets;

	s->ctl = k;
	s->items = pl_array(n + 1, sizeof(*s->items));
	s->n = s->left = n;
	s->parallel = parallel > 0 ? parallel : PARALLEL;
	s->done = done;
	s->ctx = ctx;
	for (size_t i = 0; i < n; i++)
		item_begin(&s->items[i], &calls[i], s);
	while (*at != NULL)
		at = &(*at)->next;
	*at = s;
	kick(k, 0);
	return s;
}

void
pl_controller_drop(struct pl_call_set *set)
{
	struct pl_ctl *k;
	struct pl_call_set **at;

	if (set == NULL)
		return;
	k = set->ctl;
	for (at = &k->sets; *at != set; at = &(*at)->next)
		continue;
	*at = set->next;
	for (struct batch *b = k->batches; b != NULL; b = b->next)
		if (b->set == set)
			b->set = NULL;
	set_free(set);
}

static void
set_flag(void *ctx)
{
	*(bool *)ctx = true;
}

/* Stopped by a signal: what is away may be done all the same. */
static enum pl_code
cancel(struct pl_call_set *s, struct pl_err *err)
{
	struct pl_err why;

	pl_fail(&why, PL_ECANCEL, "sslstore: interrupted");
	for (size_t i = 0; i < s->n; i++)
		item_fail(s, &s->items[i], &why, s->items[i].away);
	pl_controller_drop(s);
	if (err != NULL)
		*err = why;
	return PL_ECANCEL;
}

enum pl_code
pl_controller_calls(struct pl_engine *e, const struct pl_controller *c,
    struct pl_store_call *calls, size_t n, unsigned parallel,
    struct pl_err *err)
{
	struct pl_call_set *s;
	enum pl_code code = PL_OK;
	bool over = false;

	s = pl_controller_start(e, c, calls, n, parallel, set_flag, &over);
	while (code == PL_OK && !over) {
		if (e->o.stop != NULL && *e->o.stop != 0)
			return cancel(s, err);
		code = pl_loop_turn(pl_engine_loop(e), err);
	}
	if (code != PL_OK) {
		cancel(s, NULL);	/* err tells of the loop */
		return code;
	}
	for (size_t i = 0; i < n; i++) {
		if (calls[i].err.code != PL_OK) {
			if (err != NULL)
				*err = calls[i].err;
			return calls[i].err.code;
		}
	}
	return PL_OK;
}

enum pl_code
pl_controller_call(struct pl_engine *e, const struct pl_controller *c,
    const char *path, json_t *request, json_t **answer, struct pl_err *err)
{
	struct pl_store_call call = { .path = path, .request = request };
	enum pl_code code;

	*answer = NULL;
	code = pl_controller_calls(e, c, &call, 1, 1, err);
	*answer = call.answer;
	call.answer = NULL;
	pl_store_call_clear(&call);
	return code;
}

enum pl_code
pl_controller_trust(struct pl_trust **out, const struct pl_controller *c,
    struct pl_err *err)
{
	if (pl_trust_open(out, pl_setting(&c->settings, "root-file"), err) ==
	    PL_OK)
		return PL_OK;
	return pl_prefix(err, "controller %s: root-file",
	    c->settings.account);
}
