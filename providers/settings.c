/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What an account's section said, on its way from the configuration to the
 * worker that acts on it, and the four forms of a secret.
 */
#include "providers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_COMMAND_MS 30000	/* how long X-command may take */

const char pl_web_config[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<configuration>\n"
    "  <system.webServer>\n"
    "    <staticContent>\n"
    "      <remove fileExtension=\".\" />\n"
    "      <mimeMap fileExtension=\".\" mimeType=\"text/plain\" />\n"
    "    </staticContent>\n"
    "  </system.webServer>\n"
    "</configuration>\n";

const char *const pl_secret_forms[PL_SECRET_FORMS] = { "", "-file",
	"-command", "-credential" };

static void
setting_clear(struct pl_setting *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->values[i]);
	free(s->values);
	free(s->name);
	pl_secret_free(s->secret);
}

void
pl_settings_clear(struct pl_settings *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++)
		setting_clear(&s->list[i]);
	free(s->list);
	free(s->account);
	free(s->provider);
	memset(s, 0, sizeof(*s));
}

void
pl_settings_add(struct pl_settings *s, const char *name,
    const char *const *values, size_t n)
{
	struct pl_setting *new;
	size_t i;

	s->list = pl_grow(s->list, s->n + 1, sizeof(s->list[0]));
	new = &s->list[s->n++];
	memset(new, 0, sizeof(*new));
	new->name = pl_strdup(name);
	new->n = n;
	if (n > 0)
		new->values = pl_array(n, sizeof(new->values[0]));
	for (i = 0; i < n; i++)
		new->values[i] = pl_strdup(values[i]);
}

void
pl_settings_add_secret(struct pl_settings *s, const char *name,
    struct pl_secret *secret)
{
	pl_settings_add(s, name, NULL, 0);
	s->list[s->n - 1].secret = secret;
}

const struct pl_setting *
pl_setting_find(const struct pl_settings *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->list[i].name, name) == 0)
			return &s->list[i];
	return NULL;
}

void
pl_settings_copy(struct pl_settings *s, const struct pl_setting *one)
{
	if (one->secret != NULL)
		pl_settings_add_secret(s, one->name, pl_secret_new(
		    pl_secret_expose(one->secret),
		    pl_secret_len(one->secret)));
	else
		pl_settings_add(s, one->name,
		    (const char *const *)one->values, one->n);
}

const char *
pl_setting(const struct pl_settings *s, const char *name)
{
	const struct pl_setting *found = pl_setting_find(s, name);

	return found != NULL && found->n > 0 ? found->values[0] : NULL;
}

int64_t
pl_setting_int(const struct pl_settings *s, const char *name,
    int64_t fallback)
{
	const char *text = pl_setting(s, name);
	int64_t v;

	if (text == NULL ||
	    pl_int_parse(&v, text, INT64_MIN, INT64_MAX, NULL) != PL_OK)
		return fallback;
	return v;
}

bool
pl_setting_bool(const struct pl_settings *s, const char *name, bool fallback)
{
	const char *text = pl_setting(s, name);

	if (text == NULL)
		return fallback;
	return strcmp(text, "true") == 0;
}

/* ---- secrets ----------------------------------------------------------- */

/* The setting of one form of a secret, or NULL. */
static const struct pl_setting *
secret_form(const struct pl_settings *s, const char *name, const char *form)
{
	size_t i, len = strlen(name);

	for (i = 0; i < s->n; i++)
		if (strncmp(s->list[i].name, name, len) == 0 &&
		    strcmp(s->list[i].name + len, form) == 0)
			return &s->list[i];
	return NULL;
}

bool
pl_setting_has_secret(const struct pl_settings *s, const char *name)
{
	size_t i;

	for (i = 0; i < PL_SECRET_FORMS; i++)
		if (secret_form(s, name, pl_secret_forms[i]) != NULL)
			return true;
	return false;
}

static struct pl_secret *
secret_from_buf(const struct pl_buf *b, bool whole)
{
	const char *end = memchr(b->data, '\n', b->len);
	size_t n = b->len;

	if (!whole && end != NULL)
		n = (size_t)(end - b->data);
	if (!whole && n > 0 && b->data[n - 1] == '\r')
		n--;
	return pl_secret_new(b->data, n);
}

/*
 * A credential of the service manager.  It guards that folder by itself, in
 * part by access lists that look like rights of the group, so the file's
 * mode is not judged.
 */
static enum pl_code
secret_credential(const struct pl_settings *s, const char *credential,
    bool whole, struct pl_secret **out, struct pl_err *err)
{
	const char *dir = pl_setting(s, "credentials-directory");
	struct pl_buf path, text;
	enum pl_code rc;

	if (dir == NULL)
		return pl_fail(err, PL_EINVAL, "credential %s: not started "
		    "by a service manager that hands out credentials "
		    "(CREDENTIALS_DIRECTORY is not set)", credential);
	if (strchr(credential, '/') != NULL || credential[0] == '.')
		return pl_fail(err, PL_EINVAL,
		    "credential %s: a plain name is expected", credential);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&text, PL_LIM_SECRET);
	pl_buf_addf(&path, "%s/%s", dir, credential);
	rc = pl_file_read(&text, path.data, err);
	if (rc != PL_OK)
		rc = pl_fail(err, PL_EINVAL,
		    "credential %s: cannot be read in %s", credential, dir);
	else if (text.len == 0)
		rc = pl_fail(err, PL_EINVAL, "credential %s: empty",
		    credential);
	else
		*out = secret_from_buf(&text, whole);
	pl_buf_clear(&text);
	pl_buf_clear(&path);
	return rc;
}

static enum pl_code
secret_load(const struct pl_settings *s, const struct pl_setting *set,
    const char *form, bool whole, struct pl_secret **out,
    struct pl_err *err)
{
	if (*form == '\0') {
		if (set->secret == NULL)
			return pl_fail(err, PL_EINVAL, "no secret was handed "
			    "over");
		*out = pl_secret_new(pl_secret_expose(set->secret),
		    pl_secret_len(set->secret));
		return PL_OK;
	}
	if (set->n != 1)
		return pl_fail(err, PL_EINVAL, "one value is expected");
	if (strcmp(form, "-file") == 0)
		return pl_secret_read(out, set->values[0], whole, err);
	if (strcmp(form, "-command") == 0)
		return pl_secret_run(out, set->values[0], whole,
		    SECRET_COMMAND_MS, err);
	return secret_credential(s, set->values[0], whole, out, err);
}

enum pl_code
pl_setting_secret(const struct pl_settings *s, const char *name, bool whole,
    struct pl_secret **out, struct pl_err *err)
{
	const struct pl_setting *set;
	size_t i;

	*out = NULL;
	for (i = 0; i < PL_SECRET_FORMS; i++) {
		set = secret_form(s, name, pl_secret_forms[i]);
		if (set == NULL)
			continue;
		if (secret_load(s, set, pl_secret_forms[i], whole, out,
		    err) != PL_OK)
			return pl_prefix(err, "%s", set->name);
		return PL_OK;
	}
	return PL_OK;
}

/* ---- frames ------------------------------------------------------------ */

void
pl_settings_put(struct pl_buf *b, const struct pl_settings *s)
{
	const struct pl_setting *set;
	size_t i, k;

	pl_put_str(b, s->account);
	pl_put_str(b, s->provider);
	pl_put_u32(b, (uint32_t)s->n);
	for (i = 0; i < s->n; i++) {
		set = &s->list[i];
		pl_put_str(b, set->name);
		pl_put_u32(b, (uint32_t)set->n);
		for (k = 0; k < set->n; k++)
			pl_put_str(b, set->values[k]);
		pl_put_u8(b, set->secret != NULL);
		if (set->secret != NULL)
			pl_put_blob(b, pl_secret_expose(set->secret),
			    pl_secret_len(set->secret));
	}
}

static void
setting_get(struct pl_cursor *c, struct pl_settings *s)
{
	const char *name = pl_get_str(c), **values = NULL;
	uint32_t i, n = pl_get_count(c, 4);
	struct pl_secret *secret = NULL;
	const void *p;
	size_t len;

	if (n > 0)
		values = pl_array(n, sizeof(values[0]));
	for (i = 0; i < n; i++)
		values[i] = pl_get_str(c);
	if (pl_get_u8(c) != 0) {
		p = pl_get_blob(c, &len);
		if (!c->bad && len <= PL_LIM_SECRET)
			secret = pl_secret_new(p, len);
	}
	pl_settings_add(s, name != NULL ? name : "", values, n);
	s->list[s->n - 1].secret = secret;
	free(values);
}

void
pl_settings_get(struct pl_cursor *c, struct pl_settings *s)
{
	uint32_t i, n;

	memset(s, 0, sizeof(*s));
	s->account = pl_strdup(pl_get_str(c));
	s->provider = pl_strdup(pl_get_str(c));
	n = pl_get_count(c, 9);
	for (i = 0; i < n && !c->bad; i++)
		setting_get(c, s);
}

/* ---- what a test of an account found ------------------------------------- */

#define ZONES_SAID 5

void
pl_say_zones(const struct pl_call *call, size_t n, bool more,
    const char *(*name)(const void *ctx, size_t i), const void *ctx)
{
	if (call->said == NULL)
		return;
	pl_buf_reset(call->said);
	pl_buf_addf(call->said, "%zu%s\n", n, more ? "+" : "");
	for (size_t i = 0; i < n && i < ZONES_SAID; i++)
		pl_buf_addf(call->said, "%s\n", name(ctx, i));
}

void
pl_say_warning(const struct pl_call *call, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (call->said == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pl_buf_addf(call->said, "!%.*s\n", (int)strcspn(text, "\n"), text);
}
