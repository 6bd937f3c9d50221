/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * How fast an account may be called.
 *
 * Vendors count requests, and a call makes as many as it needs.  A call is
 * let go while there is a request left in the bucket; what it really cost is
 * taken out when it ends, below nothing if need be, and the next one waits
 * until that is made up for.
 *
 * The bucket is the account's on this machine, not this process's: it is
 * read and written in the journal, so that commands at the same time share
 * it and one that is killed does not leave it full.
 */
#include "engine.h"

#define PAUSE_MOST_MS	3600000
#define COST_MOST	100000	/* more than any call makes */

/* Requests a minute, 0: as many as one likes. */
static unsigned
rate_of(const struct pl_acct *a)
{
	return a->conf->rate;
}

static double
burst_of(const struct pl_acct *a)
{
	unsigned rate = rate_of(a), burst = a->conf->desc->burst;

	if (burst == 0 || rate != a->conf->desc->rate)
		burst = rate / 6 + 1;
	return burst;
}

/* ---- the journal's copy ---------------------------------------------------- */

/* Takes what the journal says by now; false: there is no telling, and the
 * bucket is this process's.  True: note_end has to follow. */
static bool
note_begin(struct pl_acct *a)
{
	struct pl_engine *e = a->engine;
	struct pl_account_note n;
	struct pl_err err;

	if (e->o.journal == NULL || e->fatal.code != PL_OK)
		return false;
	if (pl_journal_begin(e->o.journal, &err) != PL_OK ||
	    pl_journal_note_get(e->o.journal, a->conf->settings.account, &n,
	    &err) != PL_OK) {
		pl_journal_rollback(e->o.journal);
		return false;
	}
	a->note.tokens = n.tokens;
	a->note.stamp = n.stamp;
	if (n.paused > a->note.paused)
		a->note.paused = n.paused;
	return true;
}

static enum pl_code
note_end(struct pl_acct *a, bool write, struct pl_err *err)
{
	struct pl_journal *j = a->engine->o.journal;
	enum pl_code code = PL_OK;

	if (write)
		code = pl_journal_note_put(j, a->conf->settings.account,
		    &a->note, err);
	if (write && code == PL_OK)
		code = pl_journal_commit(j, err);
	if (!write || code != PL_OK)
		pl_journal_rollback(j);
	else
		a->note_dirty = false;
	return code;
}

/* ---- the bucket ------------------------------------------------------------- */

/* Brings it up to now and takes out what calls have cost since. */
static void
settle(struct pl_acct *a)
{
	double most = burst_of(a), rate = (double)rate_of(a) / 60000;
	int64_t now = pl_wall_ms(), past = now - a->note.stamp;

	if (a->note.stamp == 0)
		a->note.tokens = most;
	else if (past > 0)
		a->note.tokens += (double)past * rate;
	if (a->note.tokens > most)
		a->note.tokens = most;
	a->note.tokens -= a->spent;
	a->note.stamp = now;
	a->spent = 0;
}

/* How long until a request may be made, ms. */
static int64_t
wait_of(const struct pl_acct *a)
{
	int64_t paused = a->note.paused - pl_wall_ms(), wait = 0;

	if (a->note.tokens < 1)
		wait = (int64_t)((1 - a->note.tokens) * 60000 /
		    rate_of(a)) + 1;
	/* A clock that was set back must not stop the account for days. */
	if (paused > PAUSE_MOST_MS)
		paused = 0;
	wait = wait > paused ? wait : paused;
	return wait < PAUSE_MOST_MS ? wait : PAUSE_MOST_MS;
}

int64_t
pl_pace_take(struct pl_acct *a)
{
	int64_t now = pl_mono_ms(), wait;
	bool open, owed = a->spent > 0 || a->note_dirty;
	struct pl_err err;

	if (a->paused > now)
		return a->paused - now;
	if (rate_of(a) == 0)
		return 0;
	open = note_begin(a);
	settle(a);
	wait = wait_of(a);
	if (wait == 0)
		a->note.tokens -= 1;
	else	/* not to be worked out again before */
		a->paused = now + wait;
	if (open)
		(void)note_end(a, wait == 0 || owed, &err);
	else
		a->note_dirty = true;
	return wait;
}

/* Paid with the next call or flush: one commit less for each call. */
void
pl_pace_cost(struct pl_acct *a, uint32_t requests)
{
	if (rate_of(a) == 0 || requests == 1)
		return;
	if (requests > COST_MOST)
		requests = COST_MOST;
	a->spent += (double)requests - 1;
	a->note_dirty = true;
	pl_engine_flush_soon(a->engine);
}

void
pl_pace_limited(struct pl_acct *a, int64_t ms)
{
	if (ms <= 0)
		ms = 1000;
	if (ms > PAUSE_MOST_MS)
		ms = PAUSE_MOST_MS;
	a->paused = pl_mono_ms() + ms;
	a->note.paused = pl_wall_ms() + ms;
	a->note_dirty = true;
	pl_engine_flush_soon(a->engine);
}

void
pl_pace_load(struct pl_acct *a)
{
	struct pl_engine *e = a->engine;
	struct pl_err err;
	int64_t left;

	if (e->o.journal == NULL || pl_journal_note_get(e->o.journal,
	    a->conf->settings.account, &a->note, &err) != PL_OK)
		return;
	left = a->note.paused - pl_wall_ms();
	if (left > 0 && left <= PAUSE_MOST_MS)
		a->paused = pl_mono_ms() + left;
}

enum pl_code
pl_pace_flush(struct pl_acct *a, struct pl_err *err)
{
	if (!a->note_dirty)
		return PL_OK;
	if (!note_begin(a)) {
		a->note_dirty = false;
		return PL_OK;
	}
	if (rate_of(a) != 0)
		settle(a);
	return note_end(a, true, err);
}
