/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Workers as the engine sees them.  A worker is in one of these places: idle
 * in the pool, lent to one caller, or dying.  It dies by one way only,
 * worker_end: closed, killed, reaped, its pending call answered with an error.
 */
#include "agent.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS 2000
#define IDLE_MS 60000
#define PAUSE_MS 100
#define PAUSE_CAP_MS 30000

struct pl_worker {
	struct pl_pool *pool;
	struct pl_worker *next;
	char *key, *program;
	pid_t pid;
	struct pl_chan chan;
	bool ready, lent, dead, reaped, resident;
	uint32_t calls;
	uint64_t timer;		/* of the call under way, or of idleness */

	enum pl_msg answer;	/* what the call waits for */
	void (*done)(void *ctx, struct pl_frame *f, const struct pl_err *err);
	void *ctx;

	void (*on_frame)(void *ctx, struct pl_frame *f,
	    const struct pl_err *err);
	void *stream_ctx;
};

/* How often in a row the workers of a key have ended in trouble. */
struct hurt {
	char *key;
	unsigned deaths;
	int64_t until;		/* mono ms: no new one before */
	uint64_t timer;
};

struct pl_pool {
	struct pl_loop *loop;
	char *libexec;
	const struct pl_log *log;
	struct pl_worker *workers;
	void (*freed)(void *ctx);
	void *freed_ctx;
	unsigned restarts;
	uint64_t sweeping;	/* timer */
	struct hurt *hurt;	/* keys whose workers die young */
	size_t nhurt;
};

enum pl_code
pl_pool_new(struct pl_pool **out, struct pl_loop *loop, const char *libexec,
    const struct pl_log *log, struct pl_err *err)
{
	struct pl_pool *p;

	*out = NULL;
	if (libexec[0] != '/')
		return pl_fail(err, PL_EINVAL,
		    "%s: the folder of the workers must be an absolute path",
		    libexec);
	p = pl_alloc(sizeof(*p));
	p->loop = loop;
	p->libexec = pl_strdup(libexec);
	p->log = log;
	*out = p;
	return PL_OK;
}

static void
worker_free(struct pl_worker *w)
{
	free(w->key);
	free(w->program);
	free(w);
}

/* Reaps and frees what died; not from within a worker's own callbacks. */
static void
sweep(void *arg)
{
	struct pl_pool *p = arg;
	struct pl_worker **at = &p->workers, *w;
	bool again = false, resident = false;

	while ((w = *at) != NULL) {
		if (w->dead && !w->reaped)
			w->reaped = waitpid(w->pid, NULL, WNOHANG) != 0;
		if (w->dead && w->reaped) {
			resident = resident || w->resident;
			*at = w->next;
			worker_free(w);
			continue;
		}
		again = again || w->dead;
		at = &w->next;
	}
	p->sweeping = again ? pl_loop_after(p->loop, 100, sweep, p) : 0;
	/* Its sockets are free now: another may take its place. */
	if (resident && p->freed != NULL)
		p->freed(p->freed_ctx);
}

/* ---- workers that die young get a pause ------------------------------------- */

static void
wake(void *arg)
{
	struct pl_pool *p = arg;

	if (p->freed != NULL)
		p->freed(p->freed_ctx);
}

static struct hurt *
hurt_find(const struct pl_pool *p, const char *key)
{
	for (size_t i = 0; i < p->nhurt; i++) {
		if (strcmp(p->hurt[i].key, key) == 0)
			return &p->hurt[i];
	}
	return NULL;
}

/* The first death costs nothing, the next ones ever more. */
static void
hurt_more(struct pl_pool *p, const char *key)
{
	struct hurt *h = hurt_find(p, key);
	int64_t pause;

	if (h == NULL) {
		p->hurt = pl_grow(p->hurt, p->nhurt + 1, sizeof(*h));
		h = &p->hurt[p->nhurt++];
		*h = (struct hurt){ .key = pl_strdup(key) };
	}
	pause = h->deaths == 0 ? 0 :
	    (int64_t)PAUSE_MS << (h->deaths < 10 ? h->deaths - 1 : 9);
	h->deaths++;
	h->until = pl_mono_ms() + (pause < PAUSE_CAP_MS ? pause :
	    PAUSE_CAP_MS);
}

static void
hurt_healed(struct pl_pool *p, const char *key)
{
	struct hurt *h = hurt_find(p, key);

	if (h != NULL)
		h->deaths = 0;
}

/* Must the key wait?  `freed` is called when it may go on. */
static bool
hurt_waits(struct pl_pool *p, const char *key)
{
	struct hurt *h = hurt_find(p, key);
	int64_t now = pl_mono_ms();

	if (h == NULL || h->until <= now)
		return false;
	pl_loop_forget(p->loop, h->timer);
	h->timer = pl_loop_after(p->loop, h->until - now, wake, p);
	return true;
}

static void
worker_end(struct pl_worker *w, const struct pl_err *why)
{
	struct pl_pool *p = w->pool;
	void (*done)(void *, struct pl_frame *, const struct pl_err *);

	if (w->dead)
		return;
	w->dead = true;
	pl_loop_forget(p->loop, w->timer);
	pl_loop_unwatch(p->loop, w->chan.fd);
	pl_chan_clear(&w->chan);
	if (why != NULL)
		kill(w->pid, SIGKILL);
	if (p->sweeping == 0)
		p->sweeping = pl_loop_after(p->loop, 0, sweep, p);
	if (why == NULL)
		return;
	p->restarts++;
	hurt_more(p, w->key);
	pl_logf(p->log, PL_LOG_DEBUG, "worker-end", "worker=%s pid=%d why=%s",
	    w->key, (int)w->pid, why->text);
	done = w->done;
	w->done = NULL;
	if (done != NULL)
		done(w->ctx, NULL, why);
	if (w->on_frame != NULL)
		w->on_frame(w->stream_ctx, NULL, why);
	if (p->freed != NULL)
		p->freed(p->freed_ctx);
}

static void
pool_clear(struct pl_pool *p)
{
	struct pl_worker *w;

	while ((w = p->workers) != NULL) {
		p->workers = w->next;
		worker_free(w);
	}
	for (size_t i = 0; i < p->nhurt; i++) {
		pl_loop_forget(p->loop, p->hurt[i].timer);
		free(p->hurt[i].key);
	}
	free(p->hurt);
	free(p->libexec);
	free(p);
}

void
pl_pool_free(struct pl_pool *p)
{
	struct pl_worker *w;

	if (p == NULL)
		return;
	for (w = p->workers; w != NULL; w = w->next) {
		if (w->dead)
			continue;
		w->dead = true;
		pl_loop_unwatch(p->loop, w->chan.fd);
		pl_chan_clear(&w->chan);
		/* Nobody is to find its sockets still taken. */
		if (w->resident) {
			kill(w->pid, SIGKILL);
			waitpid(w->pid, NULL, 0);
			continue;
		}
		/* An idle worker ends by itself at once. */
		if (w->done != NULL || w->on_frame != NULL)
			kill(w->pid, SIGKILL);
	}
	pool_clear(p);
}

void
pl_pool_reap(struct pl_pool *p)
{
	struct pl_worker *w;

	if (p == NULL)
		return;
	for (w = p->workers; w != NULL; w = w->next) {
		if (!w->dead) {
			pl_loop_unwatch(p->loop, w->chan.fd);
			pl_chan_clear(&w->chan);
		}
		if (!w->reaped)
			kill(w->pid, SIGKILL);
		pl_loop_forget(p->loop, w->timer);
	}
	for (w = p->workers; w != NULL; w = w->next) {
		while (!w->reaped)
			w->reaped = waitpid(w->pid, NULL, 0) != -1 ||
			    errno != EINTR;
	}
	pl_loop_forget(p->loop, p->sweeping);
	pool_clear(p);
}

static void
fail_worker(struct pl_worker *w, enum pl_code code, const char *what)
{
	struct pl_err err;

	pl_fail(&err, code, "%s: %s", w->key, what);
	worker_end(w, &err);
}

void
pl_worker_lied(struct pl_worker *w, const char *why)
{
	struct pl_err err;

	/* The caller has its answer already: nobody else is to be told. */
	w->done = NULL;
	pl_fail(&err, PL_EPROTO, "%s: worker: %s", w->key, why);
	worker_end(w, &err);
}

static void
on_hang(void *arg)
{
	struct pl_worker *w = arg;

	w->timer = 0;
	fail_worker(w, PL_ENET, "worker: no answer before the deadline");
}

static void
on_idle(void *arg)
{
	struct pl_worker *w = arg;

	w->timer = 0;
	worker_end(w, NULL);
}

/* False: w has died. */
static bool
take_frame(struct pl_worker *w, struct pl_frame *f)
{
	void (*done)(void *, struct pl_frame *, const struct pl_err *);
	struct pl_err err;

	if (f->type == PL_MSG_READY && !w->ready) {
		pl_get_err(&f->body, &err);
		if (f->body.bad) {
			fail_worker(w, PL_EPROTO, "worker: bad greeting");
			return false;
		}
		w->ready = true;
		if (err.code == PL_OK)
			return true;
		worker_end(w, &err);
		return false;
	}
	if (w->ready && f->type == PL_MSG_SEEN && w->on_frame != NULL) {
		hurt_healed(w->pool, w->key);
		w->on_frame(w->stream_ctx, f, NULL);
		return !w->dead;
	}
	if (w->ready && w->done != NULL && f->type == (uint8_t)w->answer) {
		pl_loop_forget(w->pool->loop, w->timer);
		w->timer = 0;
		done = w->done;
		w->done = NULL;
		hurt_healed(w->pool, w->key);
		done(w->ctx, f, NULL);
		return !w->dead;
	}
	fail_worker(w, PL_EPROTO, "worker: frame out of turn");
	return false;
}

static void on_io(void *arg);

static void
watch(struct pl_worker *w)
{
	pl_loop_watch(w->pool->loop, w->chan.fd, pl_chan_pending(&w->chan),
	    on_io, w);
}

static void
on_io(void *arg)
{
	struct pl_worker *w = arg;
	struct pl_frame f;
	struct pl_err err;
	bool eof = false;

	if (pl_chan_flush(&w->chan, &err) != PL_OK)
		eof = true;
	if (!eof && pl_chan_fill(&w->chan, &eof, &err) != PL_OK) {
		pl_prefix(&err, "%s", w->key);
		worker_end(w, &err);
		return;
	}
	while (pl_chan_next(&w->chan, &f)) {
		if (!take_frame(w, &f))
			return;
	}
	if (eof)
		fail_worker(w, PL_EUNDONE, "worker: ended unexpectedly");
	else
		watch(w);
}

/* Sockets that were handed down move one up, to leave room for the seam. */
static int
pass_sockets(posix_spawn_file_actions_t *fa, int seam, int sockets,
    char env[32])
{
	int fd = seam;

	snprintf(env, 32, "LISTEN_FDS=%d", sockets);
	if (sockets > 0)
		fd = fcntl(seam, F_DUPFD_CLOEXEC, PL_SEAM_FD + sockets + 1);
	for (int i = sockets - 1; i >= 0; i--)
		posix_spawn_file_actions_adddup2(fa, 3 + i,
		    PL_SEAM_FD + 1 + i);
	posix_spawn_file_actions_adddup2(fa, fd, PL_SEAM_FD);
	return fd;
}

static enum pl_code
spawn(pid_t *pid, const char *path, int fd, int sockets, struct pl_err *err)
{
	char arg0[] = "placard-worker", path_env[] = "PATH=/usr/bin:/bin",
	    lang[] = "LANG=C.UTF-8";
	char passed[32];
	char *argv[2] = { arg0, NULL },
	    *env[5] = { path_env, lang, passed, NULL, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	char *san = getenv("ASAN_OPTIONS");
	struct pl_buf asan;
	int rc, seam;

	/* Only a sanitized build looks at this one. */
	pl_buf_init(&asan, PL_LIM_LINE);
	if (san != NULL) {
		pl_buf_addf(&asan, "ASAN_OPTIONS=%s", san);
		env[3] = asan.data;
	}
	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	seam = pass_sockets(&fa, fd, sockets, passed);
	rc = posix_spawn(pid, path, &fa, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	pl_buf_clear(&asan);
	if (seam != fd && seam != -1)
		close(seam);
	/* Too many processes, or too little memory, is for now only. */
	if (rc != 0)
		return pl_fail_sys(err, rc == EAGAIN || rc == ENOMEM ?
		    PL_ENET : PL_EINVAL, rc, "%s", path);
	return PL_OK;
}

static enum pl_code
worker_start(struct pl_pool *p, const struct pl_worker_spec *spec,
    struct pl_worker **out, struct pl_err *err)
{
	struct pl_worker *w;
	struct pl_buf path;
	enum pl_code code;
	int sv[2], big = 1 << 20;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "socketpair");
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/%s", p->libexec, spec->program);
	code = spawn(&pid, path.data, sv[1], spec->sockets, err);
	pl_buf_clear(&path);
	close(sv[1]);
	if (code != PL_OK) {
		close(sv[0]);
		return code;
	}
	w = pl_alloc(sizeof(*w));
	w->pool = p;
	w->key = pl_strdup(spec->key);
	w->program = pl_strdup(spec->program);
	w->pid = pid;
	pl_chan_init(&w->chan, sv[0]);
	w->next = p->workers;
	p->workers = w;
	w->lent = true;
	w->resident = spec->resident;
	pl_logf(p->log, PL_LOG_DEBUG, "worker-start", "worker=%s pid=%d",
	    w->key, (int)pid);
	pl_chan_send(&w->chan, PL_MSG_HELLO, spec->hello, err);
	watch(w);
	if (spec->started != NULL)
		spec->started(spec->ctx, w);
	*out = w;
	return PL_OK;
}

bool
pl_pool_lives(const struct pl_pool *p, const char *key)
{
	const struct pl_worker *w;

	for (w = p->workers; w != NULL; w = w->next) {
		if (!w->dead && strcmp(w->key, key) == 0)
			return true;
	}
	return false;
}

enum pl_code
pl_pool_acquire(struct pl_pool *p, const struct pl_worker_spec *spec,
    struct pl_worker **out, struct pl_err *err)
{
	struct pl_worker *w;
	unsigned count = 0;

	*out = NULL;
	for (w = p->workers; w != NULL; w = w->next) {
		if (strcmp(w->key, spec->key) != 0)
			continue;
		if (w->dead && spec->resident)
			return PL_OK;	/* sweep() tells when it is gone */
		if (w->dead)
			continue;
		if (!w->lent) {
			pl_loop_forget(p->loop, w->timer);
			w->timer = 0;
			w->lent = true;
			*out = w;
			return PL_OK;
		}
		count++;
	}
	if (count >= spec->most || hurt_waits(p, spec->key))
		return PL_OK;
	return worker_start(p, spec, out, err);
}

void
pl_pool_on_freed(struct pl_pool *p, void (*freed)(void *ctx), void *ctx)
{
	p->freed = freed;
	p->freed_ctx = ctx;
}

uint32_t
pl_worker_next_call(struct pl_worker *w)
{
	return ++w->calls;
}

void
pl_worker_send(struct pl_worker *w, enum pl_msg type,
    const struct pl_buf *body)
{
	struct pl_err err;

	if (w->dead)
		return;
	/* A peer that is gone is noticed by on_io. */
	pl_chan_send(&w->chan, (uint8_t)type, body, &err);
	watch(w);
}

void
pl_worker_call(struct pl_worker *w, enum pl_msg type,
    const struct pl_buf *body, enum pl_msg answer, int64_t timeout_ms,
    void (*done)(void *ctx, struct pl_frame *f, const struct pl_err *err),
    void *ctx)
{
	struct pl_err err;

	if (w->dead) {
		pl_fail(&err, PL_EUNDONE, "%s: worker: has ended", w->key);
		done(ctx, NULL, &err);
		return;
	}
	w->answer = answer;
	w->done = done;
	w->ctx = ctx;
	w->timer = pl_loop_after(w->pool->loop, timeout_ms + GRACE_MS,
	    on_hang, w);
	pl_worker_send(w, type, body);
}

void
pl_worker_stream(struct pl_worker *w,
    void (*on_frame)(void *ctx, struct pl_frame *f, const struct pl_err *err),
    void *ctx)
{
	w->on_frame = on_frame;
	w->stream_ctx = ctx;
}

void
pl_worker_retire(struct pl_worker *w)
{
	w->on_frame = NULL;
	worker_end(w, NULL);
}

void
pl_worker_release(struct pl_worker *w)
{
	struct pl_pool *p = w->pool;

	if (w->dead)
		return;
	w->lent = false;
	if (!w->resident)
		w->timer = pl_loop_after(p->loop, IDLE_MS, on_idle, w);
	if (p->freed != NULL)
		p->freed(p->freed_ctx);
}

void
pl_pool_kill_busy(struct pl_pool *p, const char *why)
{
	struct pl_worker *w;

	for (w = p->workers; w != NULL; w = w->next) {
		if (!w->dead && w->done != NULL)
			fail_worker(w, PL_EUNDONE, why);
	}
}

unsigned
pl_pool_restarts(const struct pl_pool *p)
{
	return p->restarts;
}
