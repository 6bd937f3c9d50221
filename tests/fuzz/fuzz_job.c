/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The text of a job file to typed jobs.  Beyond not crashing: what is taken
 * is in the form that everybody behind relies on, and what is refused is
 * refused in one clean line.
 */
#include "challenge.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool held)
{
	if (!held)
		abort();
}

static void
check_name(const char *name, bool underscores)
{
	char again[PL_NAME_MAX];

	need(pl_name_ascii(again, name, underscores, NULL) == PL_OK);
	need(strcmp(again, name) == 0);
}

static void
check_challenge(const struct pl_challenge *c)
{
	check_name(c->domain, false);
	need(!pl_name_is_suffix(c->domain));
	need(strcmp(c->shown + (c->wildcard ? 2 : 0), c->domain) == 0);
	need(strlen(c->value) == c->value_len);
	switch (c->kind) {
	case PL_TXT:
	case PL_CNAME:
		check_name(c->record, true);
		need(pl_suffix_of(c->domain, c->record));
		break;
	case PL_FILE:
		need(!c->wildcard);
		need(pl_record_path(c->record, NULL) == PL_OK);
		break;
	case PL_NOTHING:
	case PL_NKINDS:
		need(c->kind == PL_NOTHING && c->value_len == 0);
		return;
	}
	need(pl_record_value(c->kind, c->record, c->value, c->value_len,
	    NULL) == PL_OK);
}

static void
check_error(const struct pl_err *err)
{
	const char *s;

	need(err->code == PL_EINVAL);
	need(strncmp(err->text, "F: ", 3) == 0);
	for (s = err->text; *s != '\0'; s++)
		need((unsigned char)*s >= 0x20 && *s != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct pl_job *jobs;
	struct pl_err err;
	size_t i, njobs;

	pl_err_clear(&err);
	if (pl_jobs_read(&jobs, &njobs, (const char *)p, n, "F", true, &err) !=
	    PL_OK) {
		need(jobs == NULL && njobs == 0);
		check_error(&err);
		return 0;
	}
	need(njobs > 0);
	while (njobs > 0) {
		njobs--;
		need(jobs[njobs].n > 0);
		for (i = 0; i < jobs[njobs].n; i++)
			check_challenge(&jobs[njobs].challenges[i]);
		pl_job_clear(&jobs[njobs]);
	}
	free(jobs);
	return 0;
}
