/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Accounts and controllers: keys, values and secrets against the tables
 * that describe them.
 */
#include "config-options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A key of the section with what the tables say about it. */
struct option_use {
	const struct pl_option *option;
	const char *form;		/* SECRET: "", "-file", … */
	struct pl_conf_value *v;
};

struct option_load {
	const struct config_tables *tables;
	struct pl_settings *set;
	struct pl_faults *faults;
};

char *
config_path(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	struct pl_buf b;
	char *cwd;

	if (path[0] == '/')
		return pl_strdup(path);
	pl_buf_init(&b, 2 * PL_LIM_LINE);
	if (file[0] != '/') {
		cwd = getcwd(NULL, 0);
		pl_buf_addf(&b, "%s/", cwd != NULL ? cwd : "");
		free(cwd);
	}
	if (slash != NULL)
		pl_buf_add(&b, file, (size_t)(slash - file) + 1);
	pl_buf_adds(&b, path);
	return pl_buf_take(&b);
}

/* ---- which option a key is ---------------------------------------------- */

static bool
option_find(const struct config_tables *t, const char *key,
    struct option_use *use)
{
	const struct pl_option *o;
	size_t i, k, len;

	for (i = 0; i < PL_NELEM(t->list) && t->list[i] != NULL; i++)
		for (o = t->list[i]; o->name != NULL; o++) {
			len = strlen(o->name);
			if (strncmp(o->name, key, len) != 0)
				continue;
			for (k = 0; k < PL_SECRET_FORMS; k++) {
				use->option = o;
				use->form = pl_secret_forms[k];
				if (strcmp(key + len, use->form) == 0)
					return true;
				if (o->type != PL_OPT_SECRET)
					break;
			}
		}
	return false;
}

/* Gives every name that the tables know: secrets in each of their forms. */
static char **
option_names(const struct config_tables *t)
{
	const struct pl_option *o;
	struct pl_buf name;
	char **list = NULL;
	size_t i, k, n = 0;

	for (i = 0; i < PL_NELEM(t->list) && t->list[i] != NULL; i++)
		for (o = t->list[i]; o->name != NULL; o++)
			for (k = 0; k < PL_SECRET_FORMS; k++) {
				if (k > 0 && o->type != PL_OPT_SECRET)
					break;
				pl_buf_init(&name, PL_LIM_LINE);
				pl_buf_addf(&name, "%s%s", o->name,
				    pl_secret_forms[k]);
				list = pl_grow(list, n + 2, sizeof(list[0]));
				list[n++] = pl_buf_take(&name);
				list[n] = NULL;
			}
	return list;
}

static void
fault_unknown(struct option_load *l, const struct pl_conf_value *v)
{
	const struct config_tables *t = l->tables;
	char **names = option_names(t);
	const char *near = pl_nearest(v->key, (const char *const *)names);
	struct option_use use = { 0 };
	struct pl_buf known;
	size_t i;

	pl_buf_init(&known, PL_LIM_LINE);
	for (i = 0; names[i] != NULL; i++) {
		if (!option_find(t, names[i], &use) ||
		    use.option->type != PL_OPT_SECRET ||
		    strcmp(use.form, "-file") == 0)
			pl_buf_addf(&known, "%s%s", known.len == 0 ? "" : ", ",
			    names[i]);
	}
	if (near != NULL)
		pl_fault(l->faults, v->file, v->line, v->key,
		    "%s %s has no such option; did you mean \"%s\"?", t->what,
		    t->name, near);
	else
		pl_fault(l->faults, v->file, v->line, v->key,
		    "%s %s has no such option; it takes %s", t->what, t->name,
		    known.data);
	pl_buf_clear(&known);
	for (i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
}

/* ---- values ------------------------------------------------------------ */

static bool
fault_value(struct option_load *l, const struct pl_conf_value *v,
    const char *want)
{
	pl_fault(l->faults, v->file, v->line, v->key, "%s", want);
	return false;
}

static bool
printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* One of "a|b|c". */
static bool
value_among(struct option_load *l, const struct pl_conf_value *v,
    const char *values)
{
	size_t n, len = strlen(v->text[0]);
	const char *p = values;
	struct pl_buf list;

	for (;; p += n + 1) {
		n = strcspn(p, "|");
		if (n == len && strncmp(p, v->text[0], n) == 0)
			return true;
		if (p[n] == '\0')
			break;
	}
	pl_buf_init(&list, PL_LIM_LINE);
	for (p = values; *p != '\0'; p++)
		pl_buf_adds(&list, *p == '|' ? ", " :
		    (const char[]){ *p, '\0' });
	pl_fault(l->faults, v->file, v->line, v->key,
	    "\"%s\" is %s %s", v->text[0], strchr(values, '|') != NULL ?
	    "none of" : "not", list.data);
	pl_buf_clear(&list);
	return false;
}

static bool
value_int(struct option_load *l, const struct pl_option *o,
    const struct pl_conf_value *v)
{
	bool bounded = o->max > 0;
	int64_t n;

	if (pl_int_parse(&n, v->text[0], bounded ? o->min : INT64_MIN,
	    bounded ? o->max : INT64_MAX, NULL) == PL_OK)
		return true;
	if (bounded)
		pl_fault(l->faults, v->file, v->line, v->key,
		    "a whole number from %lld to %lld is expected",
		    (long long)o->min, (long long)o->max);
	else
		fault_value(l, v, "a whole number is expected");
	return false;
}

static bool
value_bool(struct option_load *l, struct pl_conf_value *v)
{
	bool b;

	if (!pl_conf_bool(&b, v->text[0]))
		return fault_value(l, v, "true or false is expected");
	free(v->text[0]);
	v->text[0] = pl_strdup(b ? "true" : "false");
	return true;
}

static bool
host_is_loopback(const char *host)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (inet_pton(AF_INET, host, &a4) == 1)
		return (ntohl(a4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, host, &a6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&a6);
	return strcmp(host, "localhost") == 0;
}

/* Scheme, host and port; a slash at the end is dropped. */
static bool
value_url(struct option_load *l, struct pl_conf_value *v)
{
	char *url = v->text[0], host[256], *rest;
	size_t n = strlen(url);
	uint16_t port;
	bool tls;

	tls = strncmp(url, "https://", 8) == 0;
	if (!tls && strncmp(url, "http://", 7) != 0)
		return fault_value(l, v, "https://HOST[:PORT] is expected");
	rest = url + (tls ? 8 : 7);
	if (rest[0] != '\0' && url[n - 1] == '/')
		url[n - 1] = '\0';
	if (strpbrk(rest, "/?#@\\ ") != NULL)
		return fault_value(l, v, "only scheme, host and port may "
		    "stand here: https://HOST[:PORT]");
	if (pl_hostport_parse(host, sizeof(host), &port, rest,
	    tls ? 443 : 80, NULL) != PL_OK)
		return fault_value(l, v, "https://HOST[:PORT] is expected");
	if (!tls && !host_is_loopback(host))
		return fault_value(l, v, "https is needed: credentials go "
		    "there (http only to a loopback address)");
	return true;
}

static void
value_path(struct pl_conf_value *v)
{
	char *path = config_path(v->file, v->text[0]);

	free(v->text[0]);
	v->text[0] = path;
}

/* ---- secrets ----------------------------------------------------------- */

/* A secret file that is there must be its owner's alone. */
static bool
secret_file(struct option_load *l, struct pl_conf_value *v)
{
	struct stat st;

	value_path(v);
	if (stat(v->text[0], &st) != 0 || (st.st_mode & 077) == 0)
		return true;
	pl_fault(l->faults, v->file, v->line, v->key,
	    "others than its owner may use this secret: chmod 600 %s",
	    v->text[0]);
	return false;
}

static bool
secret_credential(struct option_load *l, const struct pl_conf_value *v)
{
	if (strchr(v->text[0], '/') != NULL || v->text[0][0] == '.')
		return fault_value(l, v, "the plain name of a credential is "
		    "expected, not a path");
	return true;
}

/* Moves a secret that stands in the file itself; its text is wiped. */
static bool
secret_inline(struct option_load *l, struct pl_conf_value *v)
{
	if (v->shared) {
		pl_fault(l->faults, v->file, v->line, v->key,
		    "a secret stands here and others may read this file: "
		    "chmod 600 %s, or write %s-file", v->file, v->key);
		return false;
	}
	pl_settings_add_secret(l->set, v->key,
	    pl_secret_new(v->text[0], strlen(v->text[0])));
	explicit_bzero(v->text[0], strlen(v->text[0]));
	return false;
}

/* False: nothing is left to add. */
static bool
value_secret(struct option_load *l, const struct option_use *use)
{
	if (use->form[0] == '\0')
		return secret_inline(l, use->v);
	if (strcmp(use->form, "-file") == 0)
		return secret_file(l, use->v);
	if (strcmp(use->form, "-credential") == 0)
		return secret_credential(l, use->v);
	if (use->v->text[0][0] != '/')
		return fault_value(l, use->v, "a program's absolute path is "
		    "expected, then its arguments");
	return true;
}

/* ---- one key ------------------------------------------------------------- */

static bool
value_fine(struct option_load *l, const struct option_use *use)
{
	struct pl_conf_value *v = use->v;
	size_t i;

	if (use->option->type != PL_OPT_LIST && (v->list || v->n != 1))
		return fault_value(l, v, "one value is expected, not a list");
	for (i = 0; i < v->n; i++)
		if (v->text[i][0] == '\0')
			return fault_value(l, v, "the value is empty");
		else if (!printable(v->text[i]))
			return fault_value(l, v, "the value holds control "
			    "characters");
	switch (use->option->type) {
	case PL_OPT_STRING:
		return use->option->values == NULL ||
		    value_among(l, v, use->option->values);
	case PL_OPT_INT:
		return value_int(l, use->option, v);
	case PL_OPT_BOOL:
		return value_bool(l, v);
	case PL_OPT_LIST:
		return true;
	case PL_OPT_SECRET:
		return value_secret(l, use);
	case PL_OPT_PATH:
		value_path(v);
		return true;
	case PL_OPT_URL:
		return value_url(l, v);
	}
	return false;
}

static void
load_key(struct option_load *l, struct pl_conf_value *v)
{
	struct option_use use = { .v = v };

	if (strcmp(v->key, "provider") == 0 &&
	    strcmp(l->tables->what, "provider") == 0)
		return;
	if (!option_find(l->tables, v->key, &use))
		fault_unknown(l, v);
	else if (value_fine(l, &use))
		pl_settings_add(l->set, v->key, (const char *const *)v->text,
		    v->n);
}

/* ---- what is missing ------------------------------------------------------ */

/* The forms in which a secret is given: exactly one, or none if it may. */
static void
check_secret(struct option_load *l, const struct pl_conf_section *s,
    const struct pl_option *o)
{
	const struct pl_conf_value *v, *first = NULL;
	struct pl_buf key;
	size_t i;

	pl_buf_init(&key, PL_LIM_LINE);
	for (i = 0; i < PL_SECRET_FORMS; i++) {
		pl_buf_reset(&key);
		pl_buf_addf(&key, "%s%s", o->name, pl_secret_forms[i]);
		v = pl_conf_value(s, key.data);
		if (v != NULL && first != NULL)
			pl_fault(l->faults, v->file, v->line, v->key,
			    "%s is given too (line %u); only one of them may "
			    "stand here", first->key, first->line);
		if (v != NULL && first == NULL)
			first = v;
	}
	if (first == NULL && o->required)
		pl_fault(l->faults, s->file, s->line, o->name,
		    "missing in %s \"%s\": write %s-file = \"PATH\"", s->type,
		    s->title, o->name);
	pl_buf_clear(&key);
}

static void
check_missing(struct option_load *l, const struct pl_conf_section *s)
{
	const struct config_tables *t = l->tables;
	const struct pl_option *o;
	size_t i;

	for (i = 0; i < PL_NELEM(t->list) && t->list[i] != NULL; i++)
		for (o = t->list[i]; o->name != NULL; o++)
			if (o->type == PL_OPT_SECRET)
				check_secret(l, s, o);
			else if (o->required &&
			    pl_conf_value(s, o->name) == NULL)
				pl_fault(l->faults, s->file, s->line, o->name,
				    "missing in %s \"%s\"%s%s", s->type,
				    s->title, o->help != NULL ? ": " : "",
				    o->help != NULL ? o->help : "");
}

/* Where the service manager has put what X-credential names. */
static void
add_credentials(struct pl_settings *set)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	const char *end;
	size_t i;

	if (dir == NULL || dir[0] != '/')
		return;
	for (i = 0; i < set->n; i++) {
		end = strrchr(set->list[i].name, '-');
		if (end != NULL && strcmp(end, "-credential") == 0) {
			pl_settings_add(set, "credentials-directory", &dir, 1);
			return;
		}
	}
}

void
config_options_load(struct pl_settings *set,
    const struct config_tables *tables, struct pl_conf_section *s,
    struct pl_faults *faults)
{
	struct option_load l = { .tables = tables, .set = set,
		.faults = faults };
	size_t i;

	for (i = 0; i < s->nvalues; i++)
		load_key(&l, &s->values[i]);
	check_missing(&l, s);
	add_credentials(set);
}
