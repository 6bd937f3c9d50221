/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The sections deploy and the targets in them.  What the section says holds
 * for each of its targets that does not say otherwise; a section without
 * targets is one itself.
 */
#include "config-options.h"

#include <stdlib.h>
#include <string.h>

static const struct pl_conf_spec target_spec[] = {
	{ .name = PL_CONF_ANY, .type = PL_CONF_LIST },
	{ .name = NULL }
};
const struct pl_conf_spec config_deploy_spec[] = {
	{ .name = "target", .type = PL_CONF_SECTION, .titled = true,
	    .inside = target_spec },
	{ .name = PL_CONF_ANY, .type = PL_CONF_LIST },
	{ .name = NULL }
};

/* ---- section and target ------------------------------------------------------- */

/* The option of which a key is a form: "key" for "key-file". */
static const struct pl_option *
option_of(const char *key)
{
	for (const struct pl_option *o = pl_deploy_options; o->name != NULL;
	    o++) {
		size_t n = strlen(o->name);

		if (strcmp(o->name, key) == 0)
			return o;
		if (o->type != PL_OPT_SECRET || strncmp(o->name, key, n) != 0)
			continue;
		for (size_t k = 0; k < PL_SECRET_FORMS; k++) {
			if (strcmp(key + n, pl_secret_forms[k]) == 0)
				return o;
		}
	}
	return NULL;
}

static bool
has_option(const struct pl_settings *set, const struct pl_option *o)
{
	for (size_t i = 0; i < set->n; i++) {
		if (option_of(set->list[i].name) == o)
			return true;
	}
	return false;
}

/* Adds what the section says and the target does not. */
static void
inherit(struct pl_settings *target, const struct pl_settings *section)
{
	size_t own = target->n;
	struct pl_settings mine = { .list = target->list, .n = own };

	for (size_t i = 0; i < section->n; i++) {
		const struct pl_option *o = option_of(section->list[i].name);

		/* The list may move while it grows. */
		mine.list = target->list;
		if (o == NULL ? pl_setting_find(&mine,
		    section->list[i].name) == NULL : !has_option(&mine, o))
			pl_settings_copy(target, &section->list[i]);
	}
}

/* ---- one target ------------------------------------------------------------------ */

/* Where the value stands that a fault is about. */
static void
target_fault(struct pl_faults *faults, const struct pl_conf_section *s,
    const struct pl_conf_section *section, const char *key,
    const char *text)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);

	if (v == NULL)
		v = pl_conf_value(section, key);
	pl_fault(faults, v != NULL ? v->file : s->file, v != NULL ? v->line :
	    s->line, key, "%s", text);
}

static void
target_account(struct pl_deploy_target *t, const struct pl_config *c,
    struct pl_faults *faults, const struct pl_conf_section *s,
    const struct pl_conf_section *section)
{
	const char *name = pl_setting(&t->settings, "account");
	struct pl_err err;

	if (name == NULL)
		return;
	t->remote = true;
	for (size_t i = 0; i < c->naccounts; i++) {
		if (strcmp(c->accounts[i].settings.account, name) == 0 &&
		    strcmp(c->accounts[i].desc->name, "sftp") == 0)
			return;
	}
	pl_fail(&err, PL_EINVAL, "\"%s\" is no account of the provider sftp",
	    name);
	target_fault(faults, s, section, "account", err.text);
}

/* A directory of this host is absolute, or starts from the file's folder. */
static void
target_directory(struct pl_deploy_target *t,
    const struct pl_conf_section *s, const struct pl_conf_section *section)
{
	const struct pl_conf_value *v = pl_conf_value(s, "directory");
	char *path;

	if (v == NULL)
		v = pl_conf_value(section, "directory");
	for (size_t i = 0; v != NULL && !t->remote && i < t->settings.n; i++) {
		struct pl_setting *set = &t->settings.list[i];

		if (strcmp(set->name, "directory") != 0 || set->n != 1)
			continue;
		path = config_path(v->file, set->values[0]);
		free(set->values[0]);
		set->values[0] = path;
	}
}

static void
load_target(struct pl_deploy *d, const struct pl_config *c,
    struct pl_faults *faults, struct pl_conf_section *s,
    const struct pl_conf_section *section, const struct pl_settings *shared)
{
	struct config_tables tables = { .what = "deploy", .name = d->title,
		.list = { pl_deploy_options } };
	size_t before = faults->n;
	struct pl_deploy_target *t;
	const char *key = NULL;
	struct pl_err err;

	d->targets = pl_grow(d->targets, d->n + 1, sizeof(*d->targets));
	t = &d->targets[d->n++];
	*t = (struct pl_deploy_target){ .label = pl_strdup(s->title) };
	if (s != section)
		config_options_load(&t->settings, &tables, s, faults);
	inherit(&t->settings, shared);
	t->settings.account = pl_strdup(t->label);
	t->settings.provider = pl_strdup("deploy");
	t->enabled = pl_setting_bool(&t->settings, "enabled", true);
	t->timeout_ms = pl_setting_int(&t->settings, "timeout", 60) * 1000;
	target_account(t, c, faults, s, section);
	target_directory(t, s, section);
	pl_err_clear(&err);
	if (faults->n == before && pl_deploy_settings(&t->settings,
	    t->remote, &key, &err) != PL_OK)
		target_fault(faults, s, section, key, err.text);
}

/* ---- a section ----------------------------------------------------------------- */

static bool
good_label(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= 64 && s[n] == '\0';
}

static void
check_targets(struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_conf_section *t, *u;

	for (t = s->sections; t < s->sections + s->nsections; t++) {
		if (!good_label(t->title))
			pl_fault(faults, t->file, t->line, "target",
			    "\"%s\": 1 to 64 letters, digits, . _ - are "
			    "expected", t->title);
		for (u = s->sections; u < t; u++) {
			if (strcmp(u->title, t->title) == 0)
				pl_fault(faults, t->file, t->line, "target",
				    "\"%s\" is given twice; first in %s, "
				    "line %u", t->title, u->file, u->line);
		}
	}
}

/* A name, or a pattern, in lower case. */
static void
check_title(struct pl_faults *faults, const struct pl_conf_section *s)
{
	size_t n = strspn(s->title, "abcdefghijklmnopqrstuvwxyz0123456789"
	    "-_.*");

	if (n == 0 || s->title[n] != '\0')
		pl_fault(faults, s->file, s->line, "deploy", "\"%s\": a name "
		    "in lower case (A-labels) is expected, or a pattern in "
		    "which * stands for anything", s->title);
}

void
config_deploy_load(struct pl_config *c, struct pl_faults *faults,
    struct pl_conf_section *s)
{
	struct config_tables tables = { .what = "deploy", .name = s->title,
		.list = { pl_deploy_options } };
	struct pl_settings shared = { 0 };
	struct pl_deploy *d;

	c->deploys = pl_grow(c->deploys, c->ndeploys + 1,
	    sizeof(*c->deploys));
	d = &c->deploys[c->ndeploys++];
	*d = (struct pl_deploy){ .title = pl_strdup(s->title) };
	check_title(faults, s);
	check_targets(faults, s);
	config_options_load(&shared, &tables, s, faults);
	for (size_t i = 0; i < s->nsections; i++)
		load_target(d, c, faults, &s->sections[i], s, &shared);
	if (s->nsections == 0)
		load_target(d, c, faults, s, s, &shared);
	for (size_t i = 0; i < d->n && s->nsections > 0; i++) {
		struct pl_buf label;

		pl_buf_init(&label, PL_LIM_LINE);
		pl_buf_addf(&label, "%s/%s", d->title, d->targets[i].label);
		free(d->targets[i].label);
		d->targets[i].label = pl_buf_take(&label);
		free(d->targets[i].settings.account);
		d->targets[i].settings.account = pl_strdup(
		    d->targets[i].label);
	}
	pl_settings_clear(&shared);
}

void
config_deploy_clear(struct pl_config *c)
{
	for (size_t i = 0; i < c->ndeploys; i++) {
		struct pl_deploy *d = &c->deploys[i];

		for (size_t k = 0; k < d->n; k++) {
			pl_settings_clear(&d->targets[k].settings);
			free(d->targets[k].label);
		}
		free(d->targets);
		free(d->title);
	}
	free(c->deploys);
}

const struct pl_deploy_target *
pl_config_target(const struct pl_config *c, const char *label)
{
	for (size_t i = 0; i < c->ndeploys; i++) {
		for (size_t k = 0; k < c->deploys[i].n; k++) {
			if (strcmp(c->deploys[i].targets[k].label, label) == 0)
				return &c->deploys[i].targets[k];
		}
	}
	return NULL;
}

const struct pl_deploy_target **
pl_config_targets(const struct pl_config *c, const char *const *names,
    size_t n, size_t *count)
{
	const struct pl_deploy_target **list = pl_array(1, sizeof(*list));

	*count = 0;
	for (size_t i = 0; i < c->ndeploys; i++) {
		const struct pl_deploy *d = &c->deploys[i];

		if (!pl_deploy_serves(d->title, names, n))
			continue;
		for (size_t k = 0; k < d->n; k++) {
			if (!d->targets[k].enabled)
				continue;
			list = pl_grow(list, *count + 1, sizeof(*list));
			list[(*count)++] = &d->targets[k];
		}
	}
	return list;
}
