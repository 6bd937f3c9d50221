/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

static json_t *
time_json(int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0)
		return pl_json_null();
	pl_time_format(text, wall_ms);
	return pl_json_string(text);
}

static json_t *
error_json(const struct pl_err *err)
{
	json_t *j;

	if (err->code == PL_OK)
		return pl_json_null();
	j = pl_json_object();
	pl_json_sets(j, "code", pl_code_name(err->code));
	pl_json_sets(j, "text", err->text);
	pl_json_setb(j, "retry", pl_code_retry(err->code));
	return j;
}

static json_t *
verdict_json(const struct pl_verdict *v)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "server", v->server);
	pl_json_sets(j, "address", v->address);
	pl_json_sets(j, "answer", pl_answer_name(v->answer));
	pl_json_seti(j, "ms", v->ms);
	return j;
}

/* Several accounts, all of which get the file, are joined by commas. */
static void
set_accounts(json_t *j, const struct pl_task *t)
{
	struct pl_buf names;

	pl_buf_init(&names, PL_LIM_LINE);
	for (size_t i = 0; i < t->n; i++)
		pl_buf_addf(&names, "%s%s", i > 0 ? "," : "",
		    t->targets[i].account->settings.account);
	pl_json_sets(j, "account", t->n > 0 ? names.data : NULL);
	pl_json_sets(j, "scope", t->n > 0 ? t->targets[0].scope : NULL);
	pl_buf_clear(&names);
}

json_t *
pl_task_json(const struct pl_task *t)
{
	json_t *j = pl_json_object(), *verdicts = pl_json_array();
	unsigned attempts = 0;

	pl_json_sets(j, "method", pl_method_name(t->ch->method));
	pl_json_sets(j, "domain", t->ch->shown);
	pl_json_sets(j, "state", pl_state_name(t->state));
	set_accounts(j, t);
	pl_json_sets(j, "record", t->ch->record);
	pl_json_set(j, "published", time_json(t->published));
	pl_json_set(j, "visible", time_json(t->visible));
	for (size_t i = 0; i < t->n; i++) {
		if (t->targets[i].attempts > attempts)
			attempts = t->targets[i].attempts;
	}
	pl_json_seti(j, "attempts", t->n > 0 ? attempts : t->attempts);
	for (size_t i = 0; i < t->nverdicts; i++)
		pl_json_append(verdicts, verdict_json(&t->verdicts[i]));
	pl_json_set(j, "verdicts", verdicts);
	pl_json_set(j, "error", error_json(&t->err));
	return j;
}

enum pl_state
pl_run_state(const struct pl_job_run *run)
{
	enum pl_state least = PL_REMOVED;
	size_t failed = 0;

	for (size_t i = 0; i < run->job.n; i++) {
		const struct pl_task *t = &run->tasks[i];

		if (t->state == PL_FAILED)
			failed++;
		else if (t->state < least)
			least = t->state;
	}
	if (failed == run->job.n && failed > 0)
		return PL_FAILED;
	return failed > 0 ? PL_PARTIAL : least;
}

json_t *
pl_run_json(const struct pl_job_run *run)
{
	json_t *j = pl_json_object(), *list = pl_json_array();

	pl_json_sets(j, "job", run->job.id);
	pl_json_sets(j, "state", pl_state_name(pl_run_state(run)));
	for (size_t i = 0; i < run->job.n; i++)
		pl_json_append(list, pl_task_json(&run->tasks[i]));
	pl_json_set(j, "challenges", list);
	return j;
}

static bool
reached(const struct pl_task *t, enum pl_state wanted)
{
	if (t->state == PL_FAILED)
		return false;
	if (wanted == PL_REMOVED)
		return t->state == PL_REMOVED || t->ch->standing;
	return t->state >= wanted ||
	    (t->ch->kind == PL_NOTHING && t->state >= PL_PUBLISHED);
}

int
pl_run_exit(const struct pl_job_run *run, enum pl_state wanted)
{
	/* Of several reasons the one that needs a person first. */
	static const int order[] = { 8, 4, 3, 1, 6, 5 };
	bool seen[16] = { false };
	size_t good = 0;
	int status;

	for (size_t i = 0; i < run->job.n; i++) {
		const struct pl_task *t = &run->tasks[i];

		if (reached(t, wanted)) {
			good++;
			continue;
		}
		status = t->err.code != PL_OK ? pl_code_exit(t->err.code) :
		    pl_code_exit(PL_EUNDONE);
		seen[status & 15] = true;
	}
	if (good == run->job.n)
		return 0;
	if (good > 0 && !seen[8])
		return 7;
	for (size_t i = 0; i < PL_NELEM(order); i++) {
		if (seen[order[i]])
			return order[i];
	}
	return 6;
}
