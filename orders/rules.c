/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The file of rules: dated limits and the ends of methods. */
#include "renew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_MOST 3650

static const struct pl_conf_spec days_spec[] = {
	{ .name = "days", .type = PL_CONF_STR },
	{ .name = NULL }
};
static const struct pl_conf_spec sunset_spec[] = {
	{ .name = "from", .type = PL_CONF_STR },
	{ .name = NULL }
};
static const struct pl_conf_spec root_spec[] = {
	{ .name = "lifetime", .type = PL_CONF_SECTION, .titled = true,
	    .inside = days_spec },
	{ .name = "reuse", .type = PL_CONF_SECTION, .titled = true,
	    .inside = days_spec },
	{ .name = "sunset", .type = PL_CONF_SECTION, .titled = true,
	    .inside = sunset_spec },
	{ .name = NULL }
};

/* "2026-03-15": midnight UTC. */
static bool
parse_day(int64_t *ms, const char *text)
{
	char whole[PL_TIME_TEXT];

	if (strlen(text) != 10)
		return false;
	snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", text);
	return pl_time_parse(ms, whole, NULL) == PL_OK;
}

static void
add_days(struct pl_dated_list *l, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "days");
	struct pl_dated d;
	int64_t days = 0;

	if (!parse_day(&d.from, s->title)) {
		pl_fault(faults, s->file, s->line, s->type,
		    "\"%s\" is no date: \"YYYY-MM-DD\" is expected",
		    s->title);
		return;
	}
	if (v == NULL) {
		pl_fault(faults, s->file, s->line, "days", "missing in %s "
		    "\"%s\"", s->type, s->title);
		return;
	}
	if (pl_int_parse(&days, v->text[0], 1, DAYS_MOST, NULL) != PL_OK) {
		pl_fault(faults, v->file, v->line, v->key, "a number from 1 "
		    "to %d is expected", DAYS_MOST);
		return;
	}
	if (l->n > 0 && d.from <= l->list[l->n - 1].from) {
		pl_fault(faults, s->file, s->line, s->type, "\"%s\" is not "
		    "later than the one before", s->title);
		return;
	}
	d.days = (unsigned)days;
	l->list = pl_grow(l->list, l->n + 1, sizeof(*l->list));
	l->list[l->n++] = d;
}

static void
add_sunset(struct pl_rules *r, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	static const char *const methods[] = { "dns", "file", "https-file",
		"email", "phone", NULL };
	const struct pl_conf_value *v = pl_conf_value(s, "from");
	struct pl_sunset one;

	if (!pl_str_in(s->title, methods))
		pl_fault(faults, s->file, s->line, s->type, "\"%s\" is none "
		    "of dns, file, https-file, email, phone", s->title);
	else if (v == NULL)
		pl_fault(faults, s->file, s->line, "from", "missing in "
		    "sunset \"%s\"", s->title);
	else if (!parse_day(&one.from, v->text[0]))
		pl_fault(faults, v->file, v->line, v->key,
		    "\"%s\" is no date: \"YYYY-MM-DD\" is expected",
		    v->text[0]);
	else if (pl_rules_sunset(r, s->title) != 0)
		pl_fault(faults, s->file, s->line, s->type, "\"%s\" is given "
		    "twice", s->title);
	else {
		one.method = pl_strdup(s->title);
		r->sunsets = pl_grow(r->sunsets, r->nsunsets + 1,
		    sizeof(*r->sunsets));
		r->sunsets[r->nsunsets++] = one;
	}
}

static void
fill(struct pl_rules *r, struct pl_faults *faults,
    const struct pl_conf_section *root)
{
	for (size_t i = 0; i < root->nsections; i++) {
		const struct pl_conf_section *s = &root->sections[i];

		if (strcmp(s->type, "lifetime") == 0)
			add_days(&r->life, faults, s);
		else if (strcmp(s->type, "reuse") == 0)
			add_days(&r->reuse, faults, s);
		else
			add_sunset(r, faults, s);
	}
}

enum pl_code
pl_rules_load(struct pl_rules **out, const char *path,
    struct pl_faults *faults, struct pl_err *err)
{
	struct pl_conf_section *root = NULL;
	struct pl_rules *r = NULL;
	size_t before = faults->n;
	enum pl_code code;

	*out = NULL;
	code = pl_conf_read(&root, path, root_spec, faults, err);
	if (code != PL_OK)
		goto out;
	r = pl_alloc(sizeof(*r));
	fill(r, faults, root);
	if (faults->n > before) {
		code = pl_fail(err, PL_EINVAL, "%s: %zu fault%s", path,
		    faults->n - before, faults->n - before == 1 ? "" : "s");
		goto out;
	}
	*out = r;
	r = NULL;	/* transferred */
out:
	pl_rules_free(r);
	pl_conf_free(root);
	return code;
}

void
pl_rules_free(struct pl_rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->nsunsets; i++)
		free(r->sunsets[i].method);
	free(r->sunsets);
	free(r->life.list);
	free(r->reuse.list);
	free(r);
}

unsigned
pl_rules_days(const struct pl_dated_list *l, int64_t at)
{
	unsigned days = 0;

	for (size_t i = 0; i < l->n && l->list[i].from <= at; i++)
		days = l->list[i].days;
	return days;
}

int64_t
pl_rules_sunset(const struct pl_rules *rules, const char *method)
{
	for (size_t i = 0; rules != NULL && i < rules->nsunsets; i++) {
		if (strcmp(rules->sunsets[i].method, method) == 0)
			return rules->sunsets[i].from;
	}
	return 0;
}
