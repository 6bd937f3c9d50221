/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Which jobs the service takes, and what it answers when asked for one. */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

static enum pl_code
may_admit(struct pl_daemon *d, const struct pl_job *job, struct pl_err *err)
{
	size_t which;

	if (d->broken.code != PL_OK) {
		*err = d->broken;
		err->code = PL_EIO;
		return pl_prefix(err, "no new jobs now");
	}
	if (d->stopping)
		return pl_fail(err, PL_ENET, "placardd is stopping");
	if (d->njobs >= d->config->service.max_jobs)
		return pl_fail(err, PL_ELIMIT, "job %s: %zu jobs are not done "
		    "yet, and max-jobs is %u", job->id, d->njobs,
		    d->config->service.max_jobs);
	if (job->deadline != 0 && job->deadline <= pl_wall_ms())
		return pl_fail(err, PL_EINVAL, "job %s: deadline: has passed",
		    job->id);
	if (job->notify != NULL &&
	    pl_config_notify(d->config, job->notify) == NULL)
		return pl_fail(err, PL_EINVAL, "job %s: notify: the "
		    "configuration has no section notify \"%s\"", job->id,
		    job->notify);
	if (pl_config_allows(d->config, job, &which, err) != PL_OK)
		return pl_prefix(err, "job %s: challenges[%zu].%s", job->id,
		    which, job->challenges[which].kind == PL_FILE ? "path" :
		    "name");
	return PL_OK;
}

/* Is the job there already?  Only the very same one may come again. */
static enum pl_code
known_already(struct pl_daemon *d, const struct pl_job *job, int64_t uid,
    struct pl_djob **out, struct pl_err *err)
{
	struct pl_job_row kept;
	enum pl_code code;

	*out = work_find(d, job->id);
	if (*out == NULL)
		return PL_OK;
	code = pl_journal_job_get(d->journal, job->id, &kept, err);
	if (code != PL_OK)
		return code;
	if (kept.uid != uid || !pl_streq(kept.doc, job->doc)) {
		*out = NULL;
		code = pl_fail(err, PL_EINVAL, "job %s: there is another job "
		    "of this name that is not done yet", job->id);
	}
	pl_job_row_clear(&kept);
	return code;
}

static int64_t
deadline_of(const struct pl_daemon *d, const struct pl_job *job, int64_t now)
{
	return job->deadline != 0 ? job->deadline :
	    now + d->config->service.deadline_ms;
}

enum pl_code
work_admit(struct pl_daemon *d, struct pl_job *job, int64_t uid,
    const char *source, struct pl_djob **out, bool *fresh,
    struct pl_err *err)
{
	struct pl_job_row row = { .uid = uid, .phase = PL_J_ACTIVE,
		.created = pl_wall_ms(), .told = -1 };
	enum pl_code code;
	json_t *report;

	*out = NULL;
	*fresh = false;
	pl_err_clear(err);
	code = known_already(d, job, uid, out, err);
	if (code == PL_OK && *out == NULL)
		code = may_admit(d, job, err);
	if (code != PL_OK || *out != NULL) {
		pl_job_clear(job);
		return code;
	}
	report = report_of_job(job, NULL, NULL);
	row.id = pl_strdup(job->id);
	row.doc = pl_strdup(job->doc);
	row.deadline = deadline_of(d, job, row.created);
	row.source = pl_strdup(source);
	row.notify = pl_strdup(job->notify);
	row.report = pl_json_text(report);
	pl_json_free(report);
	code = pl_journal_job_add(d->journal, &row, err);
	if (!daemon_ok(d, code, err)) {
		pl_job_row_clear(&row);
		pl_job_clear(job);
		return PL_EIO;
	}
	*out = table_add(d, &row);
	*fresh = true;
	(*out)->hold = job->hold;
	(*out)->hold_seconds = job->hold_seconds;
	pl_job_clear(job);
	return PL_OK;
}

void
work_refuse(struct pl_djob *j)
{
	struct pl_err err;

	daemon_ok(j->d, pl_journal_job_drop(j->d->journal, j->row.id, &err),
	    &err);
	table_drop(j);
}

enum pl_code
work_report(struct pl_daemon *d, const char *id, int64_t uid,
    json_t **report, enum pl_job_phase *phase, struct pl_err *err)
{
	const struct pl_djob *j = work_find(d, id);
	struct pl_job_row kept;
	enum pl_code code;

	*report = NULL;
	code = pl_journal_job_get(d->journal, id, &kept, err);
	if (code != PL_OK)
		return code;
	if (kept.id == NULL || (uid != -1 && kept.uid != uid))
		code = pl_fail(err, PL_EREMOTE, "job %s: no such job", id);
	else if (j != NULL && j->run != NULL && j->row.phase == PL_J_ACTIVE)
		*report = pl_run_json(j->run);
	else
		code = pl_json_parse(report, kept.report != NULL ?
		    kept.report : "", kept.report != NULL ?
		    strlen(kept.report) : 0, id, err);
	*phase = kept.phase;
	pl_job_row_clear(&kept);
	return code;
}
