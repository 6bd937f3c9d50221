/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The verifier's loop: checks, timers, descriptors, and what is told. */

#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS		64
#define TURN_MS		20	/* after which the caller gets its turn */
#define SWEEP_MS	60000
#define SLOW_MS		1500	/* looks go on without those who are slower */

/* ---- tables ------------------------------------------------------------------ */

/* FNV-1a, seeded: names come from strangers. */
static uint32_t
hash_of(const struct table *t, const char *key)
{
	uint32_t h = 2166136261u ^ t->seed;

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h ^ h >> 15;
}

struct entry *
table_get(const struct table *t, const char *key)
{
	uint32_t h = hash_of(t, key);
	struct entry *e;

	if (t->cap == 0)
		return NULL;
	for (e = t->bucket[h & (t->cap - 1)]; e != NULL; e = e->next)
		if (e->hash == h && strcmp(e->key, key) == 0)
			return e;
	return NULL;
}

static void
table_widen(struct table *t)
{
	size_t cap = t->cap == 0 ? 64 : t->cap * 2;
	struct entry **bucket = pl_array(cap, sizeof(*bucket)), *e;

	for (size_t i = 0; i < t->cap; i++)
		while ((e = t->bucket[i]) != NULL) {
			t->bucket[i] = e->next;
			e->next = bucket[e->hash & (cap - 1)];
			bucket[e->hash & (cap - 1)] = e;
		}
	free(t->bucket);
	t->bucket = bucket;
	t->cap = cap;
}

void
table_add(struct table *t, struct entry *e, const char *key)
{
	struct entry **b;

	if (t->n >= t->cap)
		table_widen(t);
	e->key = key;
	e->hash = hash_of(t, key);
	b = &t->bucket[e->hash & (t->cap - 1)];
	e->next = *b;
	*b = e;
	t->n++;
}

void
table_del(struct table *t, struct entry *e)
{
	struct entry **p = &t->bucket[e->hash & (t->cap - 1)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	t->n--;
}

struct entry *
table_pop(struct table *t)
{
	struct entry *e;

	for (size_t i = 0; i < t->cap; i++)
		if ((e = t->bucket[i]) != NULL) {
			table_del(t, e);
			return e;
		}
	free(t->bucket);
	memset(t, 0, sizeof(*t));
	return NULL;
}

void
table_sweep(struct pl_verifier *v, struct table *t,
    bool (*old)(const struct pl_verifier *v, struct entry *e),
    void (*drop)(struct pl_verifier *v, struct entry *e))
{
	struct entry **at, *e;

	for (size_t i = 0; i < t->cap; i++)
		for (at = &t->bucket[i]; (e = *at) != NULL;) {
			if (!old(v, e)) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			t->n--;
			drop(v, e);
		}
}

/* ---- timers --------------------------------------------------------------------- */

static void
heap_put(struct pl_verifier *v, size_t i, struct timer *t)
{
	v->heap[i] = t;
	t->pos = i + 1;
}

static void
heap_up(struct pl_verifier *v, size_t i, struct timer *t)
{
	while (i > 0 && v->heap[(i - 1) / 2]->at > t->at) {
		heap_put(v, i, v->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(v, i, t);
}

static void
heap_down(struct pl_verifier *v, size_t i, struct timer *t)
{
	for (;;) {
		size_t k = 2 * i + 1;

		if (k + 1 < v->nheap && v->heap[k + 1]->at < v->heap[k]->at)
			k++;
		if (k >= v->nheap || v->heap[k]->at >= t->at)
			break;
		heap_put(v, i, v->heap[k]);
		i = k;
	}
	heap_put(v, i, t);
}

void
timer_stop(struct pl_verifier *v, struct timer *t)
{
	struct timer *last;
	size_t i;

	if (t->pos == 0)
		return;
	i = t->pos - 1;
	t->pos = 0;
	last = v->heap[--v->nheap];
	if (last == t)
		return;
	if (i > 0 && v->heap[(i - 1) / 2]->at > last->at)
		heap_up(v, i, last);
	else
		heap_down(v, i, last);
}

void
timer_set(struct pl_verifier *v, struct timer *t, int64_t at)
{
	if (t->pos != 0 && t->at == at)
		return;
	timer_stop(v, t);
	t->at = at;
	if (v->nheap == v->cheap) {
		v->cheap = v->cheap == 0 ? 64 : v->cheap * 2;
		v->heap = pl_grow(v->heap, v->cheap, sizeof(*v->heap));
	}
	heap_up(v, v->nheap++, t);
}

/* ---- descriptors ------------------------------------------------------------------- */

bool
watch_add(struct pl_verifier *v, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(v->epoll, EPOLL_CTL_ADD, w->fd, &e) == 0;
}

void
watch_change(struct pl_verifier *v, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	epoll_ctl(v->epoll, EPOLL_CTL_MOD, w->fd, &e);
}

void
watch_close(struct pl_verifier *v, struct watch *w)
{
	for (int i = 0; i < v->nevent; i++)
		if (v->event[i].data.ptr == w)
			v->event[i].data.ptr = NULL;
	epoll_ctl(v->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	close(w->fd);
	w->fd = -1;
}

/* ---- telling ------------------------------------------------------------------------- */

static void
sighting_of(const struct check *c, struct pl_sighting *s)
{
	memset(s, 0, sizeof(*s));
	s->id = c->id;
	s->looks = c->looks;
	if (c->kind == PL_FILE)
		http_verdicts(c, s);
	else
		dns_verdicts(c, s);
}

static void
check_free(struct pl_verifier *v, struct check *c)
{
	if (c->is_ripe)
		TAILQ_REMOVE(&v->ripe, c, ripe);
	timer_stop(v, &c->timer);
	want_stop(&c->a);
	want_stop(&c->aaaa);
	policy_drop(v, c);
	dns_drop(v, c);
	http_drop(v, c);
	table_del(&v->checks, &c->entry);
	free(c->record);
	free(c->domain);
	free(c->value);
	free(c->url);
	for (size_t i = 0; i < c->nfinding; i++) {
		free(c->finding[i].topic);
		free(c->finding[i].text);
	}
	free(c->finding);
	free(c->ca);
	free(c->account_uri);
	free(c->methods);
	free(c->bogus);
	free(c);
}

/* Each once: looks may come to the same end again. */
void
check_find(struct check *c, const char *topic, enum pl_mark mark,
    const char *fmt, ...)
{
	struct pl_buf b;
	va_list ap;
	size_t i;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	for (i = 0; i < c->nfinding; i++)
		if (strcmp(c->finding[i].topic, topic) == 0 &&
		    strcmp(c->finding[i].text, b.data) == 0)
			break;
	if (i == c->nfinding && !b.failed) {
		c->finding = pl_grow(c->finding, i + 1, sizeof(*c->finding));
		c->finding[i].topic = pl_strdup(topic);
		c->finding[i].mark = mark;
		c->finding[i].text = pl_buf_take(&b);
		c->nfinding++;
	}
	pl_buf_clear(&b);
}

void
check_end(struct pl_verifier *v, struct check *c, bool visible,
    enum pl_code code)
{
	struct pl_sighting s;

	sighting_of(c, &s);
	s.final = true;
	s.visible = visible;
	s.code = code;
	if (code != PL_OK)
		s.err = c->err;
	s.findings = c->finding;
	s.nfindings = c->nfinding;
	c->finding = NULL;
	c->nfinding = 0;
	check_free(v, c);
	v->found(v->ctx, &s);
	pl_sighting_clear(&s);
}

static void
check_tell(struct pl_verifier *v, struct check *c)
{
	struct pl_sighting s;

	c->news = false;
	c->told = v->now;
	sighting_of(c, &s);
	s.code = PL_EUNDONE;
	v->found(v->ctx, &s);
	pl_sighting_clear(&s);
}

/* ---- checks --------------------------------------------------------------------------- */

void
check_ripe(struct pl_verifier *v, struct check *c)
{
	if (c->is_ripe)
		return;
	c->is_ripe = true;
	TAILQ_INSERT_TAIL(&v->ripe, c, ripe);
}

/* Sets the timer to what comes first. */
static void
check_wait(struct pl_verifier *v, struct check *c)
{
	int64_t at = c->deadline;

	if (c->next < at)
		at = c->next;
	if (c->news && c->look == PL_LOOK_UNTIL && c->told + V_TELL_MS < at)
		at = c->told + V_TELL_MS;
	timer_set(v, &c->timer, at);
}

void
check_plan(struct pl_verifier *v, struct check *c)
{
	if (c->planned)
		return;
	c->planned = true;
	c->next = v->now + c->gap;
	c->gap = c->gap * 3 / 2;
	if (c->gap > V_GAP_MAX)
		c->gap = V_GAP_MAX;
	check_wait(v, c);
}

static void
check_timer(struct pl_verifier *v, struct timer *t)
{
	struct check *c = v_of(t, struct check, timer);

	if (v->now >= c->deadline)
		c->late = true;
	else if (v->now >= c->next)
		c->again = true;
	check_ripe(v, c);
}

static void
check_look(struct pl_verifier *v, struct check *c)
{
	c->again = false;
	/* A look for its own sake, or because something was found out. */
	if (v->now >= c->next) {
		c->looks++;
		c->planned = false;
		c->next = c->look == PL_LOOK_UNTIL ? v->now +
		    (c->gap > SLOW_MS ? c->gap : SLOW_MS) : INT64_MAX;
	}
	if (c->kind == PL_FILE)
		http_look(v, c);
	else
		dns_look(v, c);
}

/* May end c: nothing may touch it after its weighing. */
static void
check_work(struct pl_verifier *v, struct check *c)
{
	bool file = c->kind == PL_FILE;

	if (c->again && !c->late)
		check_look(v, c);
	if (c->looks > 0 && !c->caa_done)
		policy_start(v, c);
	if (c->late) {
		if (file)
			http_late(v, c);
		else
			dns_late(v, c);
		return;
	}
	if (c->news && c->look == PL_LOOK_UNTIL &&
	    v->now >= c->told + V_TELL_MS) {
		/* The caller may cancel it when told. */
		uint32_t id = c->id;
		char key[sizeof(c->key)];

		memcpy(key, c->key, sizeof(key));
		check_tell(v, c);
		if (table_get(&v->checks, key) != &c->entry || c->id != id)
			return;
	}
	check_wait(v, c);
	if (file)
		http_weigh(v, c);
	else
		dns_weigh(v, c);
}

/* A service looks at other names every day. */
static void
sweep(struct pl_verifier *v, struct timer *t)
{
	zones_sweep(v);
	policy_sweep(v);
	if (v->checks.n > 0)
		timer_set(v, t, v->now + SWEEP_MS);
}

static void
check_key(char key[12], uint32_t id)
{
	static const char hex[] = "0123456789abcdef";

	for (unsigned i = 0; i < 8; i++)
		key[i] = hex[id >> (28 - 4 * i) & 15];
	key[8] = '\0';
}

enum pl_code
pl_verifier_add(struct pl_verifier *v, const struct pl_check *in,
    struct pl_err *err)
{
	struct check *c;
	char key[12];

	pl_err_clear(err);
	check_key(key, in->id);
	if (in->record == NULL || in->domain == NULL || in->kind > PL_FILE ||
	    in->timeout_ms < 0 || in->first_ms < 0 ||
	    strlen(in->domain) >= PL_NAME_MAX ||
	    (in->kind != PL_FILE && strlen(in->record) >= PL_NAME_MAX))
		return pl_fail(err, PL_EINVAL, "check: not a question");
	if (table_get(&v->checks, key) != NULL)
		return pl_fail(err, PL_EINVAL, "check %u: asked twice",
		    in->id);
	v->now = pl_mono_ms();
	c = pl_alloc(sizeof(*c));
	memcpy(c->key, key, sizeof(key));
	c->id = in->id;
	c->look = in->look;
	c->kind = in->kind;
	c->record = pl_strdup(in->record);
	c->domain = pl_strdup(in->domain);
	c->value = pl_memdup(in->value, in->value_len);
	c->value_len = in->value_len;
	c->ca = pl_strdup(in->ca);
	c->account_uri = pl_strdup(in->account_uri);
	c->methods = pl_strdup(in->methods);
	c->wildcard = in->wildcard;
	c->https = in->https;
	c->started = v->now;
	c->told = v->now;
	c->deadline = v->now + in->timeout_ms;
	c->next = v->now + in->first_ms;
	c->gap = V_GAP;
	c->timer.fire = check_timer;
	table_add(&v->checks, &c->entry, c->key);
	if (in->first_ms == 0) {
		c->again = true;
		check_ripe(v, c);
	}
	check_wait(v, c);
	v->sweep.fire = sweep;
	if (v->sweep.pos == 0)
		timer_set(v, &v->sweep, v->now + SWEEP_MS);
	return PL_OK;
}

void
pl_verifier_cancel(struct pl_verifier *v, uint32_t id)
{
	struct entry *e;
	char key[12];

	check_key(key, id);
	if ((e = table_get(&v->checks, key)) != NULL)
		check_free(v, v_of(e, struct check, entry));
}

size_t
pl_verifier_open(const struct pl_verifier *v)
{
	return v->checks.n;
}

/* ---- the loop ---------------------------------------------------------------------------- */

int
pl_verifier_fd(const struct pl_verifier *v)
{
	return v->epoll;
}

static bool
turn_events(struct pl_verifier *v)
{
	struct epoll_event event[EVENTS];
	int n;

	n = epoll_wait(v->epoll, event, EVENTS, 0);
	if (n <= 0)
		return false;
	v->event = event;
	v->nevent = n;
	for (int i = 0; i < n; i++) {
		struct watch *w = event[i].data.ptr;

		if (w != NULL)
			w->ready(v, w, event[i].events);
	}
	v->nevent = 0;
	v->event = NULL;
	return true;
}

static void
turn_timers(struct pl_verifier *v)
{
	while (v->nheap > 0 && v->heap[0]->at <= v->now) {
		struct timer *t = v->heap[0];

		timer_stop(v, t);
		t->fire(v, t);
	}
}

static void
turn_work(struct pl_verifier *v)
{
	struct check *c;

	do {
		while ((c = TAILQ_FIRST(&v->ripe)) != NULL) {
			TAILQ_REMOVE(&v->ripe, c, ripe);
			c->is_ripe = false;
			check_work(v, c);
		}
		peers_pump(v);
	} while (!TAILQ_EMPTY(&v->ripe) || !TAILQ_EMPTY(&v->busy));
}

int
pl_verifier_run(struct pl_verifier *v)
{
	int64_t end, wait;
	bool more;

	v->now = pl_mono_ms();
	end = v->now + TURN_MS;
	do {
		more = turn_events(v);
		v->now = pl_mono_ms();
		turn_timers(v);
		turn_work(v);
	} while (more && v->now < end);
	if (v->nheap == 0)
		return more ? 0 : -1;
	wait = v->heap[0]->at - pl_mono_ms();
	return more || wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

/* ---- birth and end ------------------------------------------------------------------------ */

static enum pl_code
peers_of(struct pl_verifier *v, struct peer ***out, size_t *n,
    const char *const *list, const char *what, struct pl_err *err)
{
	bool resolvers = strcmp(what, "resolvers") == 0;
	char host[256];
	uint16_t port;

	for (; list != NULL && *list != NULL; list++) {
		struct peer *p = NULL;
		enum pl_code code;

		if (strncmp(*list, "http", 4) == 0 && resolvers) {
			code = peer_doh(v, &p, *list, err);
			port = 443;
			host[0] = '\0';
		} else
			code = pl_hostport_parse(host, sizeof(host), &port,
			    *list, 53, err);
		if (code != PL_OK)
			return pl_prefix(err, "%s", what);
		if (host[0] != '\0' && (p = peer_get(v, host, port)) == NULL)
			return pl_fail(err, PL_EINVAL,
			    "%s: %s is not an address", what, *list);
		*out = pl_grow(*out, *n + 1, sizeof(**out));
		(*out)[(*n)++] = p;
	}
	return PL_OK;
}

/* The name servers that this host uses; see resolv.conf(5). */
static void
system_resolvers(struct pl_verifier *v)
{
	struct pl_buf b;
	const char *p;

	pl_buf_init(&b, PL_LIM_CONFIG);
	if (pl_file_read(&b, "/etc/resolv.conf", NULL) != PL_OK)
		pl_buf_reset(&b);
	for (p = b.data; p != NULL && *p != '\0'; p = strchr(p, '\n'),
	    p = p ? p + 1 : NULL) {
		const char *list[2] = { NULL, NULL };
		char word[64];
		size_t n;

		if (strncmp(p, "nameserver", 10) != 0 ||
		    strchr(" \t", p[10]) == NULL || p[10] == '\0')
			continue;
		p += 10;
		p += strspn(p, " \t");
		n = strcspn(p, " \t\r\n#;");
		if (n == 0 || n >= sizeof(word))
			continue;
		memcpy(word, p, n);
		word[n] = '\0';
		list[0] = word;
		peers_of(v, &v->resolver, &v->nresolver, list, "resolv.conf",
		    NULL);
	}
	pl_buf_clear(&b);
	if (v->nresolver == 0) {
		static const char *const local[] = { "127.0.0.1", NULL };

		peers_of(v, &v->resolver, &v->nresolver, local, "resolver",
		    NULL);
	}
}

static void
tables_seed(struct pl_verifier *v)
{
	uint32_t seed;

	pl_random(&seed, sizeof(seed));
	v->checks.seed = v->peers.seed = v->lookups.seed = seed;
	v->zones.seed = v->cuts.seed = v->groups.seed = seed;
	v->secures.seed = seed;
}

static bool
policy_of(enum policy *p, const char *word)
{
	if (word == NULL || strcmp(word, "off") == 0)
		*p = POLICY_OFF;
	else if (strcmp(word, "warn") == 0)
		*p = POLICY_WARN;
	else if (strcmp(word, "require") == 0)
		*p = POLICY_REQUIRE;
	else
		return false;
	return true;
}

/* Gives; NULL for none. */
static char **
list_copy(const char *const *list)
{
	char **copy = NULL;
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	if (n > 0)
		copy = pl_array(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = pl_strdup(list[i]);
	return copy;
}

static void
list_drop(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static enum pl_code
settings_take(struct pl_verifier *v, const struct pl_verify_settings *set,
    struct pl_err *err)
{
	enum pl_code code;

	code = peers_of(v, &v->server, &v->nserver, set->servers, "servers",
	    err);
	if (code == PL_OK)
		code = peers_of(v, &v->resolver, &v->nresolver,
		    set->resolvers, "resolvers", err);
	if (code != PL_OK)
		return code;
	if (v->nserver > V_SERVERS)
		return pl_fail(err, PL_EINVAL, "servers: more than %d",
		    V_SERVERS);
	if (v->nresolver == 0)
		system_resolvers(v);
	v->http_server = list_copy(set->http_servers);
	v->https_server = list_copy(set->https_servers);
	v->anchor = pl_strdup(set->trust_anchor);
	v->quorum = set->quorum;
	if (!policy_of(&v->dnssec, set->dnssec) ||
	    !policy_of(&v->caa, set->caa))
		return pl_fail(err, PL_EINVAL,
		    "dnssec, caa: \"off\", \"warn\" or \"require\"");
	v->site_local = set->site_local;
	return PL_OK;
}

enum pl_code
pl_verifier_new(struct pl_verifier **out,
    const struct pl_verify_settings *set,
    void (*found)(void *ctx, const struct pl_sighting *s), void *ctx,
    struct pl_err *err)
{
	struct pl_verifier *v;
	enum pl_code code;

	*out = NULL;
	pl_err_clear(err);
	v = pl_alloc(sizeof(*v));
	v->found = found;
	v->ctx = ctx;
	v->now = pl_mono_ms();
	TAILQ_INIT(&v->busy);
	TAILQ_INIT(&v->ripe);
	TAILQ_INIT(&v->sites);
	tables_seed(v);
	v->rx = pl_alloc((size_t)V_SLOTS * V_RX);
	v->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (v->epoll < 0)
		code = pl_fail_sys(err, PL_EIO, errno, "epoll");
	else
		code = settings_take(v, set, err);
	if (code != PL_OK) {
		pl_verifier_free(v);
		return code;
	}
	*out = v;
	return PL_OK;
}

void
pl_verifier_free(struct pl_verifier *v)
{
	struct entry *e;

	if (v == NULL)
		return;
	while (v->checks.n > 0)
		for (size_t i = 0; i < v->checks.cap; i++)
			while ((e = v->checks.bucket[i]) != NULL)
				check_free(v, v_of(e, struct check, entry));
	table_pop(&v->checks);
	zones_free(v);
	while ((e = table_pop(&v->lookups)) != NULL)
		lookup_free(v, v_of(e, struct lookup, entry));
	http_close(v);
	policy_close(v);
	while ((e = table_pop(&v->peers)) != NULL)
		peer_free(v, v_of(e, struct peer, entry));
	list_drop(v->http_server);
	list_drop(v->https_server);
	free(v->anchor);
	free(v->resolver);
	free(v->server);
	free(v->heap);
	free(v->rx);
	if (v->epoll >= 0)
		close(v->epoll);
	free(v);
}
