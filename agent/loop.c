/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

#include <sys/epoll.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct watch {
	void (*fn)(void *ctx);
	void *ctx;
};

struct timer {
	int64_t when;
	uint64_t id;
	void (*fn)(void *ctx);
	void *ctx;
};

/* Timers lie in a binary heap; a forgotten one keeps its place until it is
 * due, with fn NULL. */
struct pl_loop {
	int ep;
	struct watch *watches;	/* by descriptor */
	size_t nwatches;
	struct timer *heap;
	size_t nheap, cap;
	uint64_t last_id;
};

enum pl_code
pl_loop_new(struct pl_loop **out, struct pl_err *err)
{
	struct pl_loop *l;
	int ep;

	*out = NULL;
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep == -1)
		return pl_fail_sys(err, PL_EIO, errno, "epoll");
	l = pl_alloc(sizeof(*l));
	l->ep = ep;
	*out = l;
	return PL_OK;
}

void
pl_loop_free(struct pl_loop *l)
{
	if (l == NULL)
		return;
	close(l->ep);
	free(l->watches);
	free(l->heap);
	free(l);
}

void
pl_loop_watch(struct pl_loop *l, int fd, bool write, void (*fn)(void *ctx),
    void *ctx)
{
	struct epoll_event ev = { 0 };
	size_t i = (size_t)fd, n;

	if (i >= l->nwatches) {
		n = i + 16;
		l->watches = pl_grow(l->watches, n, sizeof(*l->watches));
		for (size_t k = l->nwatches; k < n; k++)
			l->watches[k] = (struct watch){ NULL, NULL };
		l->nwatches = n;
	}
	ev.events = EPOLLIN | (write ? EPOLLOUT : 0u);
	ev.data.fd = fd;
	if (epoll_ctl(l->ep, l->watches[i].fn != NULL ? EPOLL_CTL_MOD :
	    EPOLL_CTL_ADD, fd, &ev) == -1 && errno == EEXIST)
		epoll_ctl(l->ep, EPOLL_CTL_MOD, fd, &ev);
	l->watches[i] = (struct watch){ fn, ctx };
}

void
pl_loop_unwatch(struct pl_loop *l, int fd)
{
	size_t i = (size_t)fd;

	if (fd < 0 || i >= l->nwatches || l->watches[i].fn == NULL)
		return;
	epoll_ctl(l->ep, EPOLL_CTL_DEL, fd, NULL);
	l->watches[i] = (struct watch){ NULL, NULL };
}

static void
heap_up(struct pl_loop *l, size_t i)
{
	struct timer t = l->heap[i];

	for (; i > 0 && t.when < l->heap[(i - 1) / 2].when; i = (i - 1) / 2)
		l->heap[i] = l->heap[(i - 1) / 2];
	l->heap[i] = t;
}

static void
heap_pop(struct pl_loop *l)
{
	struct timer t = l->heap[--l->nheap];
	size_t i = 0, k;

	for (k = 1; k < l->nheap; k = 2 * i + 1) {
		if (k + 1 < l->nheap && l->heap[k + 1].when < l->heap[k].when)
			k++;
		if (l->heap[k].when >= t.when)
			break;
		l->heap[i] = l->heap[k];
		i = k;
	}
	l->heap[i] = t;
}

uint64_t
pl_loop_after(struct pl_loop *l, int64_t ms, void (*fn)(void *ctx), void *ctx)
{
	if (l->nheap == l->cap) {
		l->cap = l->cap * 2 + 16;
		l->heap = pl_grow(l->heap, l->cap, sizeof(*l->heap));
	}
	l->heap[l->nheap] = (struct timer){ pl_mono_ms() + (ms > 0 ? ms : 0),
		++l->last_id, fn, ctx };
	heap_up(l, l->nheap++);
	return l->last_id;
}

void
pl_loop_forget(struct pl_loop *l, uint64_t id)
{
	if (id == 0)
		return;
	for (size_t i = 0; i < l->nheap; i++) {
		if (l->heap[i].id == id) {
			l->heap[i].fn = NULL;
			return;
		}
	}
}

/*
 * Does what is due.  How long to wait for input then: not at all where
 * something was done, since the caller may have nothing left to wait for.
 */
static int
run_timers(struct pl_loop *l)
{
	struct timer t;
	int64_t now, wait;
	bool ran = false;

	while (l->nheap > 0) {
		t = l->heap[0];
		now = pl_mono_ms();
		if (t.fn != NULL && t.when > now) {
			wait = ran ? 0 : t.when - now;
			return wait > 60000 ? 60000 : (int)wait;
		}
		heap_pop(l);
		if (t.fn != NULL) {
			ran = true;
			t.fn(t.ctx);
		}
	}
	return ran ? 0 : -1;
}

enum pl_code
pl_loop_turn(struct pl_loop *l, struct pl_err *err)
{
	struct epoll_event ev[32];
	struct watch w;
	int n, wait;

	wait = run_timers(l);
	n = epoll_wait(l->ep, ev, (int)PL_NELEM(ev), wait);
	if (n == -1 && errno != EINTR)
		return pl_fail_sys(err, PL_EIO, errno, "epoll");
	for (int i = 0; i < n; i++) {
		/* An earlier callback may have closed this one. */
		w = l->watches[ev[i].data.fd];
		if (w.fn != NULL)
			w.fn(w.ctx);
	}
	return PL_OK;
}
