/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Reports and events of the service's jobs, where no run tells them. */
#include "daemon.h"

#include <string.h>

static json_t *
null_error(const char *code, const char *text)
{
	json_t *j;

	if (code == NULL)
		return pl_json_null();
	j = pl_json_object();
	pl_json_sets(j, "code", code);
	pl_json_sets(j, "text", text);
	pl_json_setb(j, "retry", false);
	return j;
}

json_t *
report_of_job(const struct pl_job *job, const char *code, const char *text)
{
	json_t *j = pl_json_object(), *list = pl_json_array(), *c;
	const char *state = code == NULL ? "queued" : "failed";

	pl_json_sets(j, "job", job->id);
	pl_json_sets(j, "state", state);
	for (size_t i = 0; i < job->n; i++) {
		const struct pl_challenge *ch = &job->challenges[i];

		c = pl_json_object();
		pl_json_sets(c, "method", pl_method_name(ch->method));
		pl_json_sets(c, "domain", ch->shown);
		pl_json_sets(c, "state", state);
		pl_json_sets(c, "account", ch->account);
		pl_json_set(c, "scope", pl_json_null());
		pl_json_sets(c, "record", ch->record[0] != '\0' ?
		    ch->record : NULL);
		pl_json_set(c, "published", pl_json_null());
		pl_json_set(c, "visible", pl_json_null());
		pl_json_seti(c, "attempts", 0);
		pl_json_set(c, "verdicts", pl_json_array());
		pl_json_set(c, "error", null_error(code, text));
		pl_json_append(list, c);
	}
	pl_json_set(j, "challenges", list);
	return j;
}

static bool
is(const json_t *challenge, const char *member, const char *text)
{
	return pl_streq(pl_json_str(pl_json_get(challenge, member)), text);
}

/* DESIGN.md section 3: the least advanced, or partial where some failed. */
static const char *
state_of_list(const json_t *list)
{
	enum pl_state least = PL_REMOVED;
	size_t n = pl_json_count(list), failed = 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *c = pl_json_at(list, i);

		failed += is(c, "state", "failed");
		for (enum pl_state s = PL_QUEUED; s < least; s++) {
			if (is(c, "state", pl_state_name(s)))
				least = s;
		}
	}
	return pl_state_name(failed == n ? PL_FAILED :
	    failed > 0 ? PL_PARTIAL : least);
}

json_t *
report_removed(const char *report)
{
	json_t *j, *list, *c;
	struct pl_err err;

	if (pl_json_parse(&j, report, strlen(report), "report", &err) !=
	    PL_OK)
		return pl_json_object();
	list = pl_json_get(j, "challenges");
	for (size_t i = 0; i < pl_json_count(list); i++) {
		c = pl_json_at(list, i);
		/* What stands for ever, and what is nowhere, stays as it is. */
		if (is(c, "state", "failed") || is(c, "method",
		    "dns-persist-01"))
			continue;
		pl_json_sets(c, "state", "removed");
		pl_json_set(c, "error", pl_json_null());
	}
	pl_json_sets(j, "state", state_of_list(list));
	return j;
}

const char *
report_state(const json_t *report)
{
	const char *s = pl_json_str(pl_json_get(report, "state"));

	return s != NULL ? s : "queued";
}

static json_t *
event_new(const struct pl_djob *j)
{
	char text[PL_TIME_TEXT];
	json_t *e = pl_json_object();

	pl_time_format(text, pl_wall_ms());
	pl_json_sets(e, "time", text);
	pl_json_sets(e, "job", j->row.id);
	return e;
}

json_t *
event_of_task(const struct pl_djob *j, const struct pl_task *t,
    enum pl_state before)
{
	json_t *e = event_new(j);

	pl_json_seti(e, "challenge", t->seq);
	pl_json_sets(e, "method", pl_method_name(t->ch->method));
	pl_json_sets(e, "domain", t->ch->shown);
	pl_json_sets(e, "record", t->ch->record);
	pl_json_sets(e, "account", t->n > 0 ?
	    t->targets[0].account->settings.account : NULL);
	pl_json_sets(e, "before", pl_state_name(before));
	pl_json_sets(e, "state", pl_state_name(t->state));
	pl_json_set(e, "error", t->err.code == PL_OK ? pl_json_null() :
	    null_error(pl_code_name(t->err.code), t->err.text));
	return e;
}

json_t *
event_of_job(const struct pl_djob *j)
{
	json_t *e = event_new(j);

	pl_json_sets(e, "state", pl_state_name(j->state));
	pl_json_sets(e, "phase", pl_job_phase_name(j->row.phase));
	return e;
}
