/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
kinds_text(struct pl_buf *b, unsigned kinds)
{
	for (int k = PL_TXT; k <= PL_FILE; k++) {
		if ((kinds & (1u << k)) != 0)
			pl_buf_addf(b, "%s%s", b->len > 0 ? " " : "",
			    pl_kind_name((enum pl_kind)k));
	}
}

/* ---- provider ---------------------------------------------------------------- */

static void
provider_line(const struct pl_cli *cli, const struct pl_provider_desc *d)
{
	struct pl_buf kinds;
	json_t *j;

	pl_buf_init(&kinds, PL_LIM_LINE);
	kinds_text(&kinds, d->kinds);
	if (cli->json) {
		j = pl_json_object();
		pl_json_sets(j, "provider", d->name);
		pl_json_sets(j, "kinds", kinds.data);
		pl_json_sets(j, "summary", d->summary);
		pl_cli_print_json(j);
	} else
		pl_cli_print("%-12s %-10s %s\n", d->name, kinds.data,
		    d->summary);
	pl_buf_clear(&kinds);
}

static json_t *
option_json(const struct pl_option *o)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "name", o->name);
	pl_json_setb(j, "required", o->required);
	pl_json_setb(j, "secret", o->type == PL_OPT_SECRET);
	pl_json_sets(j, "default", o->fallback);
	pl_json_sets(j, "values", o->values);
	pl_json_sets(j, "help", o->help);
	return j;
}

static void
option_text(const struct pl_option *o)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", o->name,
	    o->type == PL_OPT_SECRET ? "[-file|-command|-credential]" : "");
	pl_cli_print("  %-24s %s%s%s%s%s\n", name, o->help,
	    o->required ? " (required)" : "",
	    o->fallback != NULL ? " (default " : "",
	    o->fallback != NULL ? o->fallback : "",
	    o->fallback != NULL ? ")" : "");
}

static void
options_of(const struct pl_option *o, json_t *list)
{
	for (; o != NULL && o->name != NULL; o++) {
		if (list != NULL)
			pl_json_append(list, option_json(o));
		else
			option_text(o);
	}
}

/* ---- recipes: credentials that can do what is needed and no more ------------- */

struct recipe_name {
	char record[PL_NAME_MAX + 16];	/* owner name of the proof */
	char domain[PL_NAME_MAX];
};

/* "example.com" and "*.example.com" are proven at one name; a name that
 * begins with _ is an owner name itself. */
static enum pl_code
recipe_name(struct recipe_name *r, const char *arg, struct pl_err *err)
{
	const char *name = strncmp(arg, "*.", 2) == 0 ? arg + 2 : arg;
	bool owner = name[0] == '_';
	const char *dot;

	if (pl_name_ascii(r->domain, name, owner, err) != PL_OK)
		return pl_prefix(err, "--for");
	snprintf(r->record, sizeof(r->record), "%s%s",
	    owner ? "" : "_acme-challenge.", r->domain);
	dot = owner ? strchr(r->domain, '.') : NULL;
	if (dot != NULL)
		memmove(r->domain, dot + 1, strlen(dot + 1) + 1);
	return PL_OK;
}

static void
recipe_line(struct pl_buf *b, const char *line, size_t len,
    const struct recipe_name *names, size_t n, size_t i)
{
	for (size_t k = 0; k < len; k++) {
		if (line[k] != '%' || k + 1 == len) {
			pl_buf_add(b, &line[k], 1);
			continue;
		}
		switch (line[++k]) {
		case 'R':
			pl_buf_adds(b, names[i].record);
			break;
		case 'D':
			pl_buf_adds(b, names[i].domain);
			break;
		case ',':
			pl_buf_adds(b, i + 1 < n ? "," : "");
			break;
		case '*':
			for (size_t m = 0; m < n; m++)
				pl_buf_addf(b, "%s%s", m > 0 ? " " : "",
				    names[m].record);
			break;
		default:
			pl_buf_add(b, &line[k], 1);
		}
	}
	pl_buf_adds(b, "\n");
}

/* Fills in a provider's recipe (providers.h tells its signs). */
static void
recipe_fill(struct pl_buf *b, const char *text,
    const struct recipe_name *names, size_t n)
{
	for (size_t len; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (*text != '@') {
			recipe_line(b, text, len, names, n, 0);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			recipe_line(b, text + 1, len - 1, names, n, i);
	}
}

/* The names of --for and those behind it, each once; a status, or -1. */
static int
recipe_names(const struct pl_cli *cli, const char *const *given,
    size_t ngiven, struct recipe_name **out, size_t *n)
{
	size_t all = ngiven + (size_t)cli->nargs - 2, k;
	struct recipe_name *list = pl_array(all + 1, sizeof(*list));
	struct pl_err err;

	*out = list;
	*n = 0;
	for (size_t i = 0; i < all; i++) {
		pl_err_clear(&err);
		if (recipe_name(&list[*n], i < ngiven ? given[i] :
		    cli->args[2 + i - ngiven], &err) != PL_OK)
			return pl_cli_usage(cli, "provider show: %s",
			    err.text);
		for (k = 0; k < *n; k++) {
			if (strcmp(list[k].record, list[*n].record) == 0)
				break;
		}
		*n += k == *n;
	}
	return -1;
}

static void
provider_show(const struct pl_cli *cli, const struct pl_provider_desc *d,
    const struct recipe_name *names, size_t n)
{
	struct pl_buf recipe;
	json_t *j = NULL, *list = NULL;

	if (cli->json) {
		j = pl_json_object();
		list = pl_json_array();
		pl_json_sets(j, "provider", d->name);
		pl_json_sets(j, "summary", d->summary);
		pl_json_seti(j, "batch", (int64_t)d->max_batch);
		pl_json_seti(j, "smallest-ttl", d->min_ttl);
		pl_json_seti(j, "parallel", d->parallel);
		pl_json_seti(j, "requests-per-minute", d->rate);
	} else {
		pl_cli_print("%s: %s\n", d->name, d->summary);
		pl_cli_print("  smallest ttl %u, calls at once %u, batch %zu, "
		    "requests a minute %u (0: no limit)\n", d->min_ttl,
		    d->parallel, d->max_batch, d->rate);
		pl_cli_print("options:\n");
	}
	options_of(d->options, list);
	if ((d->flags & PL_P_HTTP) != 0)
		options_of(pl_http_options, list);
	options_of(pl_common_options, list);
	pl_buf_init(&recipe, PL_LIM_JOB);
	if (n > 0 && d->recipe != NULL)
		recipe_fill(&recipe, d->recipe, names, n);
	if (j != NULL) {
		pl_json_set(j, "options", list);
		if (n > 0)
			pl_json_sets(j, "recipe", d->recipe != NULL ?
			    recipe.data : NULL);
		pl_cli_print_json(j);
	} else if (n > 0)
		pl_cli_print("least privilege:\n%s", d->recipe != NULL ?
		    recipe.data : "  see placard-providers(7)\n");
	pl_buf_clear(&recipe);
}

static int
provider_recipe(const struct pl_cli *cli, const char *const *given,
    size_t ngiven)
{
	const struct pl_provider_desc *d = pl_provider_find(cli->args[1]);
	struct recipe_name *names = NULL;
	size_t n = 0;
	int status;

	if (d == NULL)
		return pl_cli_usage(cli, "provider show: %s: no such provider",
		    cli->args[1]);
	status = recipe_names(cli, given, ngiven, &names, &n);
	if (status == -1) {
		provider_show(cli, d, names, n);
		status = 0;
	}
	free(names);
	return status;
}

int
pl_cmd_provider(struct pl_cli *cli)
{
	bool show = strcmp(cli->args[0], "show") == 0;
	const char **given;
	int least = show ? 2 : 1, status;
	size_t n;

	if (!show && strcmp(cli->args[0], "list") != 0)
		return pl_cli_usage(cli, "provider: %s: list or show NAME "
		    "expected", cli->args[0]);
	given = pl_cli_opts(cli, "for", &n);
	if (!show && n > 0)
		status = pl_cli_usage(cli, "provider list: --for goes with "
		    "show NAME");
	else if (cli->nargs < least || (n == 0 && cli->nargs > least))
		status = pl_cli_usage(cli, "provider %s: %s", cli->args[0],
		    show ? "one NAME expected" : "no more words expected");
	else if (show)
		status = provider_recipe(cli, given, n);
	else {
		for (size_t i = 0; pl_registry[i] != NULL; i++)
			provider_line(cli, pl_registry[i]);
		status = 0;
	}
	free(given);
	return status;
}

/* ---- account ------------------------------------------------------------------- */

static bool
is_secret(const struct pl_provider_desc *d, const char *name)
{
	for (const struct pl_option *o = d->options; o->name != NULL; o++) {
		if (o->type == PL_OPT_SECRET && strcmp(o->name, name) == 0)
			return true;
	}
	return false;
}

static void
setting_text(struct pl_buf *b, const struct pl_account *a,
    const struct pl_setting *s)
{
	if (s->secret != NULL || is_secret(a->desc, s->name)) {
		pl_buf_adds(b, "(set)");
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		pl_buf_addf(b, "%s%s", i > 0 ? ", " : "", s->values[i]);
}

static void
account_line(const struct pl_cli *cli, const struct pl_account *a)
{
	json_t *j;

	if (!cli->json) {
		pl_cli_print("%-16s %-12s%s\n", a->settings.account,
		    a->desc->name, a->enabled ? "" : " disabled");
		return;
	}
	j = pl_json_object();
	pl_json_sets(j, "account", a->settings.account);
	pl_json_sets(j, "provider", a->desc->name);
	pl_json_setb(j, "enabled", a->enabled);
	pl_cli_print_json(j);
}

static void
account_show(const struct pl_cli *cli, const struct pl_config *c,
    const struct pl_account *a)
{
	json_t *j = pl_json_object(), *set = pl_json_object(),
	    *routes = pl_json_array();
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_json_sets(j, "account", a->settings.account);
	pl_json_sets(j, "provider", a->desc->name);
	pl_json_setb(j, "enabled", a->enabled);
	if (!cli->json)
		pl_cli_print("account %s: %s, %s:%u%s\n", a->settings.account,
		    a->desc->name, a->file, a->line,
		    a->enabled ? "" : ", disabled");
	for (size_t i = 0; i < a->settings.n; i++) {
		pl_buf_reset(&b);
		setting_text(&b, a, &a->settings.list[i]);
		pl_json_sets(set, a->settings.list[i].name, b.data);
		if (!cli->json)
			pl_cli_print("  %s = %s\n", a->settings.list[i].name,
			    b.data);
	}
	for (size_t i = 0; i < c->nroutes; i++) {
		for (size_t k = 0; k < c->routes[i].naccounts; k++) {
			if (strcmp(c->routes[i].accounts[k],
			    a->settings.account) != 0)
				continue;
			pl_json_append(routes,
			    pl_json_string(c->routes[i].name));
			if (!cli->json)
				pl_cli_print("  route %s\n",
				    c->routes[i].name);
		}
	}
	pl_json_set(j, "settings", set);
	pl_json_set(j, "routes", routes);
	if (cli->json)
		pl_cli_print_json(j);
	else
		pl_json_free(j);
	pl_buf_clear(&b);
}

/* The lines of pl_say_zones: how many, "+" where there may be more, then the
 * first few. */
static void
works_text(const struct pl_account *a, const char *said)
{
	size_t count = strspn(said, "0123456789");
	const char *p = count > 0 ? strchr(said, '\n') : NULL;
	bool more = said[count] == '+' || (p != NULL &&
	    strtoull(said, NULL, 10) > 5);

	pl_cli_print("account %s: works", a->settings.account);
	if (p != NULL) {
		pl_cli_print(", reaches %s%.*s zone%s", said[count] == '+' ?
		    "at least " : "", (int)count, said,
		    count == 1 && said[0] == '1' ? "" : "s");
		for (const char *sep = ": "; *++p != '\0' && *p != '!';
		    sep = ", ") {
			pl_cli_print("%s%.*s", sep, (int)strcspn(p, "\n"), p);
			p += strcspn(p, "\n");
		}
		pl_cli_print("%s", more ? ", ..." : "");
	}
	pl_cli_print("\n");
}

/* Lends the next warning of what was said, *n octets; NULL: none. */
static const char *
next_warning(const char *p, size_t *n)
{
	for (; *p != '\0'; p += *n + (p[*n] == '\n')) {
		*n = strcspn(p, "\n");
		if (*p == '!') {
			--*n;
			return p + 1;
		}
	}
	return NULL;
}

static void
works_json(const struct pl_account *a, const char *said)
{
	json_t *j = pl_json_object(), *list = pl_json_array(),
	    *warnings = pl_json_array();
	const char *p = *said >= '0' && *said <= '9' ? strchr(said, '\n') :
	    NULL, *w;
	size_t n;

	pl_json_sets(j, "account", a->settings.account);
	pl_json_setb(j, "works", true);
	for (w = said; (w = next_warning(w, &n)) != NULL; w += n)
		pl_json_append(warnings, pl_json_stringn(w, n));
	if (p != NULL) {
		pl_json_seti(j, "zones", strtoll(said, NULL, 10));
		pl_json_setb(j, "more", said[strspn(said, "0123456789")] ==
		    '+');
		for (; *++p != '\0' && *p != '!'; p += strcspn(p, "\n"))
			pl_json_append(list, pl_json_stringn(p,
			    strcspn(p, "\n")));
		pl_json_set(j, "first", pl_json_share(list));
	}
	pl_json_free(list);
	if (pl_json_count(warnings) > 0)
		pl_json_set(j, "warnings", pl_json_share(warnings));
	pl_json_free(warnings);
	pl_cli_print_json(j);
}

static void
warn_text(const struct pl_account *a, const char *said)
{
	size_t n;

	for (; (said = next_warning(said, &n)) != NULL; said += n)
		fprintf(stderr, "placard: account %s: %.*s\n",
		    a->settings.account, (int)n, said);
}

static int
account_test(struct pl_session *s, const struct pl_account *a)
{
	struct pl_buf said;
	struct pl_err err;
	int status = 0;

	pl_err_clear(&err);
	pl_buf_init(&said, PL_LIM_FRAME);
	if (pl_engine_test_account(s->engine, a, &said, &err) != PL_OK) {
		pl_prefix(&err, "account %s", a->settings.account);
		status = pl_cli_fail(s->cli, &err);
	} else if (s->cli->json)
		works_json(a, said.data);
	else {
		works_text(a, said.data);
		warn_text(a, said.data);
	}
	pl_buf_clear(&said);
	return status;
}

/* Lines as the worker gives them: "TYPE SHA256:…", then one of a file of
 * known hosts. */
static void
host_keys_json(const struct pl_account *a, const char *text)
{
	json_t *j = pl_json_object(), *list = pl_json_array(), *one = NULL;
	size_t n;

	for (; *text != '\0'; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		if (one == NULL) {
			size_t type = strcspn(text, " \n");

			one = pl_json_object();
			pl_json_set(one, "type", pl_json_stringn(text, type));
			pl_json_set(one, "fingerprint", pl_json_stringn(
			    text + type + (type < n),
			    n - type - (type < n)));
			continue;
		}
		pl_json_set(one, "known-hosts-line", pl_json_stringn(text, n));
		pl_json_append(list, one);
		one = NULL;
	}
	pl_json_free(one);
	pl_json_sets(j, "account", a->settings.account);
	pl_json_set(j, "host-keys", list);
	pl_cli_print_json(j);
}

static int
account_host_keys(struct pl_session *s, const struct pl_account *a)
{
	struct pl_buf text;
	struct pl_err err;
	int status = 0;

	if ((a->desc->flags & PL_P_HOSTKEY) == 0)
		return pl_cli_usage(s->cli, "account %s: %s accounts have no "
		    "host key", a->settings.account, a->desc->name);
	pl_err_clear(&err);
	pl_buf_init(&text, PL_LIM_BODY);
	if (pl_engine_host_keys(s->engine, a, &text, &err) != PL_OK) {
		pl_prefix(&err, "account %s", a->settings.account);
		status = pl_cli_fail(s->cli, &err);
	} else if (s->cli->json)
		host_keys_json(a, text.data);
	else
		pl_cli_print("%s", text.data);
	pl_buf_clear(&text);
	return status;
}

static int
account_do(struct pl_session *s)
{
	struct pl_cli *cli = s->cli;
	const struct pl_account *a;

	if (strcmp(cli->args[0], "list") == 0) {
		for (size_t i = 0; i < s->config->naccounts; i++)
			account_line(cli, &s->config->accounts[i]);
		return 0;
	}
	a = pl_config_account(s->config, cli->args[1]);
	if (a == NULL) {
		struct pl_err err;

		pl_fail(&err, PL_EINVAL, "account %s: not in the "
		    "configuration", cli->args[1]);
		return pl_cli_fail(cli, &err);
	}
	if (strcmp(cli->args[0], "test") == 0)
		return account_test(s, a);
	if (cli->host_key)
		return account_host_keys(s, a);
	account_show(cli, s->config, a);
	return 0;
}

int
pl_cmd_account(struct pl_cli *cli)
{
	static const char *const words[] = { "list", "show", "test", NULL };
	struct pl_session s;
	int status;

	if (!pl_str_in(cli->args[0], words))
		return pl_cli_usage(cli, "account: %s: list, show NAME or "
		    "test NAME expected", cli->args[0]);
	if (cli->nargs != (strcmp(cli->args[0], "list") == 0 ? 1 : 2))
		return pl_cli_usage(cli, "account %s: %s", cli->args[0],
		    strcmp(cli->args[0], "list") == 0 ?
		    "no more words expected" : "one NAME expected");
	if (cli->host_key && strcmp(cli->args[0], "show") != 0)
		return pl_cli_usage(cli, "account %s: --host-key goes with "
		    "show NAME", cli->args[0]);
	status = pl_session_open(&s, cli, PL_JOURNAL_NONE, false, false);
	if (status == -1)
		status = account_do(&s);
	pl_session_close(&s);
	return status;
}
