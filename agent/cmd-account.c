/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
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

static void
provider_show(const struct pl_cli *cli, const struct pl_provider_desc *d)
{
	json_t *j = NULL, *list = NULL;

	if (cli->json) {
		j = pl_json_object();
		list = pl_json_array();
		pl_json_sets(j, "provider", d->name);
		pl_json_sets(j, "summary", d->summary);
		pl_json_seti(j, "batch", (int64_t)d->max_batch);
		pl_json_seti(j, "smallest-ttl", d->min_ttl);
		pl_json_seti(j, "parallel", d->parallel);
		pl_json_seti(j, "calls-per-minute", d->rate);
	} else {
		pl_cli_print("%s: %s\n", d->name, d->summary);
		pl_cli_print("  smallest ttl %u, calls at once %u, batch %zu, "
		    "calls a minute %u (0: no limit)\n", d->min_ttl,
		    d->parallel, d->max_batch, d->rate);
		pl_cli_print("options:\n");
	}
	options_of(d->options, list);
	if ((d->flags & PL_P_HTTP) != 0)
		options_of(pl_http_options, list);
	options_of(pl_common_options, list);
	if (j != NULL) {
		pl_json_set(j, "options", list);
		pl_cli_print_json(j);
	}
}

int
pl_cmd_provider(struct pl_cli *cli)
{
	const struct pl_provider_desc *d;
	bool show = strcmp(cli->args[0], "show") == 0;

	if (!show && strcmp(cli->args[0], "list") != 0)
		return pl_cli_usage(cli, "provider: %s: list or show NAME "
		    "expected", cli->args[0]);
	if (cli->nargs != (show ? 2 : 1))
		return pl_cli_usage(cli, "provider %s: %s", cli->args[0],
		    show ? "one NAME expected" : "no more words expected");
	if (!show) {
		for (size_t i = 0; pl_registry[i] != NULL; i++)
			provider_line(cli, pl_registry[i]);
		return 0;
	}
	d = pl_provider_find(cli->args[1]);
	if (d == NULL)
		return pl_cli_usage(cli, "provider show: %s: no such provider",
		    cli->args[1]);
	provider_show(cli, d);
	return 0;
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

static int
account_test(struct pl_session *s, const struct pl_account *a)
{
	char scope[PL_NAME_MAX];
	struct pl_err err;
	json_t *j;

	pl_err_clear(&err);
	if (pl_engine_test(s->engine, a, NULL, scope, &err) != PL_OK) {
		pl_prefix(&err, "account %s", a->settings.account);
		return pl_cli_fail(s->cli, &err);
	}
	if (s->cli->json) {
		j = pl_json_object();
		pl_json_sets(j, "account", a->settings.account);
		pl_json_setb(j, "works", true);
		pl_cli_print_json(j);
	} else
		pl_cli_print("account %s: works\n", a->settings.account);
	return 0;
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
