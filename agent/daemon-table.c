/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The service's jobs by name: in memory, and read from the journal. */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static size_t
hash(const char *id, size_t n)
{
	size_t h = 5381;

	for (; *id != '\0'; id++)
		h = h * 33 + (unsigned char)*id;
	return h % n;
}

struct pl_djob *
work_find(struct pl_daemon *d, const char *id)
{
	struct pl_djob *j;

	if (d->nbuckets == 0)
		return NULL;
	j = d->buckets[hash(id, d->nbuckets)];
	while (j != NULL && strcmp(j->row.id, id) != 0)
		j = j->next;
	return j;
}

static void
table_grow(struct pl_daemon *d)
{
	size_t n = d->nbuckets * 2 + 64;
	struct pl_djob **new = pl_array(n, sizeof(struct pl_djob *)), *j;

	for (size_t i = 0; i < d->nbuckets; i++) {
		while ((j = d->buckets[i]) != NULL) {
			size_t h = hash(j->row.id, n);

			d->buckets[i] = j->next;
			j->next = new[h];
			new[h] = j;
		}
	}
	free(d->buckets);
	d->buckets = new;
	d->nbuckets = n;
}

struct pl_djob *
table_add(struct pl_daemon *d, struct pl_job_row *row)
{
	struct pl_djob *j = pl_alloc(sizeof(*j));
	size_t h;

	if (d->njobs >= d->nbuckets)
		table_grow(d);
	j->d = d;
	j->row = *row;
	*row = (struct pl_job_row){ 0 };	/* transferred */
	free(j->row.doc);
	free(j->row.report);
	j->row.doc = j->row.report = NULL;
	h = hash(j->row.id, d->nbuckets);
	j->next = d->buckets[h];
	d->buckets[h] = j;
	d->njobs++;
	return j;
}

void
table_drop(struct pl_djob *j)
{
	struct pl_daemon *d = j->d;
	struct pl_djob **at = &d->buckets[hash(j->row.id, d->nbuckets)];

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	d->njobs--;
	for (size_t i = 0; i < d->ntouched; i++) {
		if (d->touched[i] == j)
			d->touched[i] = NULL;
	}
	pl_loop_forget(d->loop, j->timer);
	pl_job_row_clear(&j->row);
	free(j);
}

void
work_count(const struct pl_daemon *d, size_t states[PL_NSTATES])
{
	const struct pl_djob *j;

	memset(states, 0, PL_NSTATES * sizeof(states[0]));
	for (size_t i = 0; i < d->nbuckets; i++) {
		for (j = d->buckets[i]; j != NULL; j = j->next) {
			for (size_t k = 0; j->run != NULL &&
			    k < j->run->job.n; k++)
				states[j->run->tasks[k].state]++;
		}
	}
}

enum pl_state
state_of(const char *name)
{
	for (enum pl_state s = PL_QUEUED; s < PL_NSTATES; s++) {
		if (strcmp(name, pl_state_name(s)) == 0)
			return s;
	}
	return PL_QUEUED;
}

static enum pl_state
state_of_report(const char *text)
{
	enum pl_state state = PL_QUEUED;
	struct pl_err err;
	json_t *j;

	if (text == NULL || pl_json_parse(&j, text, strlen(text), "report",
	    &err) != PL_OK)
		return state;
	state = state_of(report_state(j));
	pl_json_free(j);
	return state;
}

/* ---- loading -------------------------------------------------------------------------------- */

struct load {
	struct pl_daemon *d;
	struct pl_job_row *rows;
	enum pl_state *states;
	size_t n;
};

static void
load_row(void *arg, const struct pl_job_row *r)
{
	struct load *l = arg;
	struct pl_job_row *new;

	if (r->phase == PL_J_DONE)
		return;
	l->rows = pl_grow(l->rows, l->n + 1, sizeof(*l->rows));
	new = &l->rows[l->n++];
	*new = *r;
	new->id = pl_strdup(r->id);
	new->source = pl_strdup(r->source);
	new->notify = pl_strdup(r->notify);
	new->report = NULL;
	l->states = pl_grow(l->states, l->n, sizeof(*l->states));
	l->states[l->n - 1] = state_of_report(r->report);
}

enum pl_code
work_load(struct pl_daemon *d, struct pl_err *err)
{
	struct load l = { .d = d };
	enum pl_code code;

	code = pl_journal_job_each(d->journal, NULL, load_row, &l, err);
	for (size_t i = 0; i < l.n; i++) {
		int64_t left = l.rows[i].due - pl_wall_ms();
		struct pl_djob *j = table_add(d, &l.rows[i]);

		if (j->row.phase != PL_J_ACTIVE)
			j->state = l.states[i];
		if (j->row.phase != PL_J_HELD)
			continue;
		/* Not before its time, whatever the clock says now. */
		if (left > 3650 * DAY_MS)
			left = 3650 * DAY_MS;
		work_timer(j, left);
	}
	free(l.rows);
	free(l.states);
	return code;
}

void
work_free(struct pl_daemon *d)
{
	struct pl_djob *j;

	for (size_t i = 0; i < d->nbuckets; i++) {
		while ((j = d->buckets[i]) != NULL) {
			d->buckets[i] = j->next;
			pl_loop_forget(d->loop, j->timer);
			pl_job_row_clear(&j->row);
			free(j);
		}
	}
	free(d->buckets);
	free(d->touched);
	d->buckets = d->touched = NULL;
	d->nbuckets = d->njobs = d->ntouched = d->captouched = 0;
}
