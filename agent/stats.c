/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper borders in seconds; the last bucket has none. */
static const double call_borders[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
	0.5, 1, 2.5, 5, 10, 30 };
static const double lag_borders[] = { 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300,
	900, 3600 };
#define BORDERS 12
_Static_assert(PL_NELEM(call_borders) == BORDERS, "as many as buckets");
_Static_assert(PL_NELEM(lag_borders) == BORDERS, "as many as buckets");

struct histogram {
	uint64_t bucket[BORDERS + 1];
	double sum;
};

struct counted {
	const char *op;			/* a literal of the caller's */
	enum pl_code code;
	uint64_t n;
};

struct account {
	char *name;
	struct counted *calls;
	size_t ncalls;
	struct histogram latency, lag;
	uint64_t retries;
	int64_t wait_ms;
};

struct pl_stats {
	struct account *accounts;
	size_t n;
	uint64_t states[PL_NSTATES];
};

struct pl_stats *
pl_stats_new(void)
{
	return pl_alloc(sizeof(struct pl_stats));
}

void
pl_stats_free(struct pl_stats *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		free(s->accounts[i].name);
		free(s->accounts[i].calls);
	}
	free(s->accounts);
	free(s);
}

static struct account *
account_of(struct pl_stats *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->accounts[i].name, name) == 0)
			return &s->accounts[i];
	}
	s->accounts = pl_grow(s->accounts, s->n + 1, sizeof(*s->accounts));
	s->accounts[s->n] = (struct account){ .name = pl_strdup(name) };
	return &s->accounts[s->n++];
}

static void
observe(struct histogram *h, const double *borders, double seconds)
{
	size_t i = 0;

	while (i < BORDERS && seconds > borders[i])
		i++;
	h->bucket[i]++;
	h->sum += seconds;
}

void
pl_stats_call(struct pl_stats *s, const char *account, const char *op,
    enum pl_code code, int64_t us)
{
	struct account *a;

	if (s == NULL)
		return;
	a = account_of(s, account);
	observe(&a->latency, call_borders, (double)us / 1e6);
	for (size_t i = 0; i < a->ncalls; i++) {
		if (a->calls[i].code == code &&
		    strcmp(a->calls[i].op, op) == 0) {
			a->calls[i].n++;
			return;
		}
	}
	a->calls = pl_grow(a->calls, a->ncalls + 1, sizeof(*a->calls));
	a->calls[a->ncalls++] = (struct counted){ op, code, 1 };
}

void
pl_stats_retry(struct pl_stats *s, const char *account)
{
	if (s != NULL)
		account_of(s, account)->retries++;
}

void
pl_stats_wait(struct pl_stats *s, const char *account, int64_t ms)
{
	if (s != NULL)
		account_of(s, account)->wait_ms += ms;
}

void
pl_stats_lag(struct pl_stats *s, const char *account, int64_t ms)
{
	if (s != NULL)
		observe(&account_of(s, account)->lag, lag_borders,
		    (double)ms / 1000);
}

void
pl_stats_state(struct pl_stats *s, enum pl_state state)
{
	if (s != NULL)
		s->states[state]++;
}

/* ---- text ------------------------------------------------------------------- */

/* Backslash, quote and newline are all that needs escaping in a label. */
static void
add_label(struct pl_buf *b, const char *key, const char *value)
{
	pl_buf_addf(b, "%s=\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			pl_buf_addc(b, '\\');
		pl_buf_addc(b, *value);
	}
	pl_buf_addc(b, '"');
}

void
pl_stats_head(struct pl_buf *b, const char *name, const char *type,
    const char *help)
{
	pl_buf_addf(b, "# HELP placard_%s %s\n# TYPE placard_%s %s\n", name,
	    help, name, type);
}

void
pl_stats_sample(struct pl_buf *b, const char *name, const char *label,
    const char *value, double number)
{
	pl_buf_addf(b, "placard_%s", name);
	if (label != NULL) {
		pl_buf_addc(b, '{');
		add_label(b, label, value);
		pl_buf_addc(b, '}');
	}
	pl_buf_addf(b, " %.15g\n", number);
}

static void
render_histogram(struct pl_buf *b, const char *name, const char *account,
    const struct histogram *h, const double *borders)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= BORDERS; i++) {
		n += h->bucket[i];
		pl_buf_addf(b, "placard_%s_bucket{", name);
		add_label(b, "account", account);
		if (i < BORDERS)
			pl_buf_addf(b, ",le=\"%g\"} %llu\n", borders[i],
			    (unsigned long long)n);
		else
			pl_buf_addf(b, ",le=\"+Inf\"} %llu\n",
			    (unsigned long long)n);
	}
	pl_buf_addf(b, "placard_%s_sum{", name);
	add_label(b, "account", account);
	pl_buf_addf(b, "} %.15g\nplacard_%s_count{", h->sum, name);
	add_label(b, "account", account);
	pl_buf_addf(b, "} %llu\n", (unsigned long long)n);
}

static void
render_calls(const struct pl_stats *s, struct pl_buf *b)
{
	pl_stats_head(b, "provider_calls_total", "counter",
	    "Calls of providers by account, operation and result.");
	for (size_t i = 0; i < s->n; i++) {
		const struct account *a = &s->accounts[i];

		for (size_t k = 0; k < a->ncalls; k++) {
			pl_buf_adds(b, "placard_provider_calls_total{");
			add_label(b, "account", a->name);
			pl_buf_addf(b, ",op=\"%s\",result=\"%s\"} %llu\n",
			    a->calls[k].op, pl_code_name(a->calls[k].code),
			    (unsigned long long)a->calls[k].n);
		}
	}
}

void
pl_stats_render(const struct pl_stats *s, struct pl_buf *b)
{
	pl_stats_head(b, "challenge_changes_total", "counter",
	    "Challenges that came to this state.");
	for (size_t i = PL_PUBLISHED; i <= PL_FAILED; i++)
		pl_stats_sample(b, "challenge_changes_total", "state",
		    pl_state_name((enum pl_state)i), (double)s->states[i]);
	render_calls(s, b);
	pl_stats_head(b, "provider_call_seconds", "histogram",
	    "How long calls of providers took.");
	for (size_t i = 0; i < s->n; i++)
		render_histogram(b, "provider_call_seconds",
		    s->accounts[i].name, &s->accounts[i].latency,
		    call_borders);
	pl_stats_head(b, "propagation_seconds", "histogram",
	    "Time from published to visible at every server.");
	for (size_t i = 0; i < s->n; i++)
		render_histogram(b, "propagation_seconds",
		    s->accounts[i].name, &s->accounts[i].lag, lag_borders);
	pl_stats_head(b, "retries_total", "counter",
	    "Changes that had to be tried again.");
	for (size_t i = 0; i < s->n; i++)
		pl_stats_sample(b, "retries_total", "account",
		    s->accounts[i].name, (double)s->accounts[i].retries);
	pl_stats_head(b, "limit_wait_seconds_total", "counter",
	    "Time that calls were held back by a rate limit.");
	for (size_t i = 0; i < s->n; i++)
		pl_stats_sample(b, "limit_wait_seconds_total", "account",
		    s->accounts[i].name,
		    (double)s->accounts[i].wait_ms / 1000);
}
