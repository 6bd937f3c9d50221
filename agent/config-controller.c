/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Order controllers, and the rules that CAs keep to. */
#include "config-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES_DEFAULT PL_DATADIR "/ca-rules.conf"
#define BEFORE_MOST 3650	/* days */

/* DESIGN.md section 8 names these options. */
static const struct pl_option controller_options[] = {
	{ .name = "kind", .type = PL_OPT_STRING, .required = true,
	    .values = "sslstore" },
	{ .name = "url", .type = PL_OPT_URL, .required = true },
	{ .name = "partner-code", .type = PL_OPT_STRING, .required = true },
	{ .name = "auth-token", .type = PL_OPT_SECRET, .required = true },
	{ .name = "enabled", .type = PL_OPT_BOOL, .fallback = "true" },
	{ .name = "page-size", .type = PL_OPT_INT, .fallback = "100",
	    .min = 1, .max = 1000 },
	{ .name = "renewal-window", .type = PL_OPT_INT, .fallback = "30",
	    .min = 1, .max = 3650 },
	{ .name = "renew-before", .type = PL_OPT_STRING },
	{ .name = "renew-key", .type = PL_OPT_STRING, .fallback = "new",
	    .values = "new|keep" },
	{ .name = "key-directory", .type = PL_OPT_PATH },
	{ .name = "ca-file", .type = PL_OPT_PATH },
	{ .name = "root-file", .type = PL_OPT_PATH },
	{ .name = "timeout", .type = PL_OPT_INT, .fallback = "60",
	    .min = 1, .max = 600 },
	{ .name = NULL }
};

/* ---- renewal ------------------------------------------------------------- */

enum pl_code
pl_config_renew_before(int64_t *ms, const char *text, struct pl_err *err)
{
	if (strcmp(text, "off") == 0) {
		*ms = -1;
		return PL_OK;
	}
	if (pl_duration_parse(ms, text, err) != PL_OK ||
	    *ms < PL_DAY_MS / 24 || *ms > BEFORE_MOST * PL_DAY_MS)
		return pl_fail(err, PL_EINVAL, "a time between 1h and %dd, "
		    "or off, is expected", BEFORE_MOST);
	return PL_OK;
}

char *
pl_config_keys(const struct pl_config *c, const struct pl_controller *k)
{
	const char *said = pl_setting(&k->settings, "key-directory");
	struct pl_buf b;

	if (said != NULL)
		return pl_strdup(said);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s/keys", c->state_directory);
	return pl_buf_take(&b);
}

void
config_rules_load(struct pl_config *c, struct pl_faults *faults)
{
	const struct pl_conf_value *v = pl_conf_value(c->tree, "ca-rules");
	size_t before = faults->n;
	struct pl_err err;
	char *path;

	if (v == NULL)
		return;
	path = config_path(v->file, v->text[0]);
	pl_err_clear(&err);
	if (pl_rules_load(&c->rules, path, faults, &err) != PL_OK &&
	    faults->n == before)
		pl_fault(faults, v->file, v->line, v->key, "%s", err.text);
	free(path);
}

enum pl_code
pl_config_rules(struct pl_config *c, struct pl_err *err)
{
	struct pl_faults faults;
	enum pl_code code = PL_OK;

	if (c->rules != NULL)
		return PL_OK;
	if (access(RULES_DEFAULT, F_OK) != 0)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s",
		    RULES_DEFAULT);
	pl_faults_init(&faults);
	code = pl_rules_load(&c->rules, RULES_DEFAULT, &faults, err);
	if (faults.n > 0)
		pl_fail(err, PL_EINVAL, "%.*s",
		    (int)strcspn(faults.text.data, "\n"), faults.text.data);
	pl_faults_clear(&faults);
	return code;
}

/* ---- controllers --------------------------------------------------------- */

/* The store's own papers write its URL with /rest behind it. */
static void
controller_url(struct pl_conf_section *s)
{
	for (size_t i = 0; i < s->nvalues; i++) {
		char *url = s->values[i].text[0];
		size_t n;

		if (strcmp(s->values[i].key, "url") != 0 ||
		    s->values[i].list)
			continue;
		for (n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
			continue;
		if (n > 5 && strncmp(url + n - 5, "/rest", 5) == 0)
			url[n - 5] = '\0';
	}
}

/* A time, or "off". */
static void
renew_before(struct pl_controller *k, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "renew-before");
	struct pl_err err;

	pl_err_clear(&err);
	if (v != NULL && !v->list && pl_config_renew_before(&k->renew_before,
	    v->text[0], &err) != PL_OK)
		pl_fault(faults, v->file, v->line, v->key, "%s", err.text);
}

void
config_controller_load(struct pl_config *c, struct pl_faults *faults,
    struct pl_conf_section *s)
{
	struct config_tables tables = { .what = "controller",
		.name = s->title, .list = { controller_options } };
	struct pl_controller *k;
	const char *kind;

	c->controllers = pl_grow(c->controllers, c->ncontrollers + 1,
	    sizeof(c->controllers[0]));
	k = &c->controllers[c->ncontrollers++];
	memset(k, 0, sizeof(*k));
	k->file = s->file;
	k->line = s->line;
	controller_url(s);
	config_options_load(&k->settings, &tables, s, faults);
	kind = pl_setting(&k->settings, "kind");
	k->settings.account = pl_strdup(s->title);
	k->settings.provider = pl_strdup(kind != NULL ? kind : "");
	k->enabled = pl_setting_bool(&k->settings, "enabled", true);
	k->page_size = (unsigned)pl_setting_int(&k->settings, "page-size",
	    100);
	k->renewal_window = (unsigned)pl_setting_int(&k->settings,
	    "renewal-window", 30);
	k->timeout_ms = pl_setting_int(&k->settings, "timeout", 60) * 1000;
	k->renew_keep = pl_streq(pl_setting(&k->settings, "renew-key"),
	    "keep");
	renew_before(k, faults, s);
}

/* Adds "NAME, " to what a user may choose from. */
static void
controller_names(struct pl_buf *b, const struct pl_config *c)
{
	for (size_t i = 0; i < c->ncontrollers; i++)
		if (c->controllers[i].enabled)
			pl_buf_addf(b, "%s%s", b->len > 0 ? ", " : "",
			    c->controllers[i].settings.account);
}

static enum pl_code
controller_named(const struct pl_controller **out, const struct pl_config *c,
    const char *name, struct pl_err *err)
{
	for (size_t i = 0; i < c->ncontrollers; i++) {
		if (strcmp(c->controllers[i].settings.account, name) != 0)
			continue;
		if (!c->controllers[i].enabled)
			return pl_fail(err, PL_EINVAL, "controller %s: is not "
			    "enabled (%s:%u)", name, c->controllers[i].file,
			    c->controllers[i].line);
		*out = &c->controllers[i];
		return PL_OK;
	}
	return pl_fail(err, PL_EINVAL, "controller %s: not in the "
	    "configuration", name);
}

enum pl_code
pl_config_controller(const struct pl_controller **out,
    const struct pl_config *c, const char *name, struct pl_err *err)
{
	struct pl_buf names;
	size_t n = 0;

	*out = NULL;
	if (name != NULL)
		return controller_named(out, c, name, err);
	for (size_t i = 0; i < c->ncontrollers; i++) {
		if (!c->controllers[i].enabled)
			continue;
		*out = &c->controllers[i];
		n++;
	}
	if (n == 1)
		return PL_OK;
	*out = NULL;
	if (n == 0)
		return pl_fail(err, PL_EINVAL, "controller: none is "
		    "configured");
	pl_buf_init(&names, PL_LIM_LINE);
	controller_names(&names, c);
	pl_fail(err, PL_EINVAL, "controller: several are configured; choose "
	    "one with --controller: %s", names.data);
	pl_buf_clear(&names);
	return PL_EINVAL;
}
