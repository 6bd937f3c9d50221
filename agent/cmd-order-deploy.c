/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* order deploy: takes a certificate to its targets, now. */
#include "cmd-order.h"
#include "deployment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVED_MS 30000		/* it looks for the certificate, without --timeout */

struct deployment {
	struct pl_shop *w;
	struct pl_order o;
	struct pl_deploys *ds;
	const struct pl_deploy_target **targets;
	size_t n;
	struct pl_deploy_target own;	/* of --out */
	struct pl_deploy_run **runs;
};

/* ---- which targets ------------------------------------------------------------- */

/* "TITLE/NAME", or NAME alone. */
static bool
is_called(const struct pl_deploy_target *t, const char *name)
{
	const char *slash = strrchr(t->label, '/');

	return strcmp(t->label, name) == 0 || (slash != NULL &&
	    strcmp(slash + 1, name) == 0);
}

static int
choose(struct deployment *d, const char *name)
{
	struct pl_buf known;
	size_t kept = 0;
	int status = -1;

	if (name == NULL)
		return -1;
	pl_buf_init(&known, PL_LIM_LINE);
	for (size_t i = 0; i < d->n; i++) {
		pl_buf_addf(&known, "%s%s", i > 0 ? ", " : "",
		    d->targets[i]->label);
		if (is_called(d->targets[i], name))
			d->targets[kept++] = d->targets[i];
	}
	d->n = kept;
	if (kept == 0)
		status = pl_cli_usage(d->w->cli, "--target: %s: the order has "
		    "the targets %s", name, known.data);
	pl_buf_clear(&known);
	return status;
}

static int
configured(struct deployment *d)
{
	const char **names = pl_array(d->o.nnames + 1, sizeof(*names));
	struct pl_err err;

	for (size_t i = 0; i < d->o.nnames; i++)
		names[i] = d->o.names[i].name;
	free(d->targets);
	d->targets = pl_config_targets(d->w->s.config, names, d->o.nnames,
	    &d->n);
	free(names);
	if (d->n > 0)
		return choose(d, pl_cli_opt(d->w->cli, "target"));
	pl_fail(&err, PL_EINVAL, "order %s: no section deploy serves its "
	    "names (--key FILE --out DIR needs none)", d->w->cli->args[1]);
	return pl_cli_fail(d->w->cli, &err);
}

/* Gives a path from the folder in which we are. */
static char *
absolute(const char *path)
{
	char *cwd = path[0] != '/' ? getcwd(NULL, 0) : NULL;
	struct pl_buf b;

	pl_buf_init(&b, 2 * PL_LIM_LINE);
	pl_buf_addf(&b, "%s%s%s", cwd != NULL ? cwd : "", cwd != NULL ? "/" :
	    "", path);
	free(cwd);
	return pl_buf_take(&b);
}

static void
unnamed(struct deployment *d, const char *out)
{
	char *path = absolute(out);
	const char *value = path;

	d->own.label = pl_strdup(out);
	d->own.timeout_ms = 60000;
	d->own.enabled = true;
	pl_settings_add(&d->own.settings, "directory", &value, 1);
	d->targets = pl_array(1, sizeof(*d->targets));
	d->targets[0] = &d->own;
	d->n = 1;
	free(path);
}

/* ---- doing ----------------------------------------------------------------------- */

static bool
all_done(const struct deployment *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (!pl_deploy_run_done(d->runs[i]))
			return false;
	}
	return true;
}

static int
work(struct deployment *d)
{
	struct pl_cli *cli = d->w->cli;
	const char *out = pl_cli_opt(cli, "out"),
	    *key = pl_cli_opt(cli, "key");
	struct pl_deploys_opts opt = { .engine = d->w->s.engine,
		.book = d->w->book, .config = d->w->s.config,
		.log = &cli->log, .served_ms = cli->timeout_ms > 0 ?
		    cli->timeout_ms : SERVED_MS };
	char *path = key != NULL ? absolute(key) : NULL;
	struct pl_err err;

	d->ds = pl_deploys_new(&opt);
	d->runs = pl_array(d->n + 1, sizeof(*d->runs));
	for (size_t i = 0; i < d->n; i++) {
		struct pl_deploy_ask a = { .order = d->o.id,
			.target = d->targets[i], .key = path,
			.dry = cli->dry_run, .unnamed = out != NULL };

		d->runs[i] = pl_deploys_take(d->ds, &a);
	}
	free(path);
	while (!all_done(d) && d->w->s.stop == 0) {
		if (pl_loop_turn(pl_engine_loop(d->w->s.engine), &err) !=
		    PL_OK)
			return pl_cli_fail(cli, &err);
	}
	return d->w->s.stop == 0 ? -1 : pl_code_exit(PL_ECANCEL);
}

/* ---- telling --------------------------------------------------------------------- */

static void
print_output(const json_t *j, const char *member, const char *shown)
{
	const char *text = pl_json_str(pl_json_get(j, member));
	size_t n;

	for (; text != NULL && *text != '\0'; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		pl_cli_print("  %s: %.*s\n", shown, (int)n, text);
	}
}

static void
print_run(const struct deployment *d, const json_t *j, const char *label)
{
	if (d->w->cli->dry_run)
		pl_cli_print("%s: %s\n", label, pl_json_is_object(pl_json_get(
		    j, "error")) ? "would fail" : "would be deployed");
	else
		pl_cli_print("%s: %s%s\n", label, pl_json_str(pl_json_get(j,
		    "state")), pl_json_get(j, "changed") != NULL &&
		    !pl_json_true(pl_json_get(j, "changed")) ?
		    ", it was there already" : "");
	print_output(j, "preCheck", "pre-check");
	print_output(j, "reload", "reload");
}

static int
report(struct deployment *d)
{
	struct pl_cli *cli = d->w->cli;
	json_t *list = pl_json_array(), *order;
	struct pl_err err;
	int status = 0;

	for (size_t i = 0; i < d->n; i++) {
		json_t *j = pl_deploy_run_json(d->runs[i]);
		int one = pl_deploy_run_exit(d->runs[i], &err);

		if (one != 0)
			fprintf(stderr, "placard: %s\n", err.text);
		status = i == 0 ? one : pl_status_join(status, one);
		if (!cli->json && !cli->quiet)
			print_run(d, j, d->targets[i]->label);
		pl_json_append(list, j);
	}
	if (cli->json) {
		order = pl_order_json(d->w->book, &d->o, false);
		pl_json_set(order, "targets", list);
		pl_cli_print_json(order);
	} else
		pl_json_free(list);
	return status;
}

static int
deploy(struct deployment *d)
{
	const char *out = pl_cli_opt(d->w->cli, "out");
	int status = -1;

	if (out != NULL)
		unnamed(d, out);
	else
		status = configured(d);
	if (status == -1)
		status = work(d);
	return status == -1 ? report(d) : status;
}

int
pl_order_deploy(struct pl_shop *w)
{
	struct deployment d = { .w = w };
	struct pl_cli *cli = w->cli;
	int status;

	if (pl_cli_opt(cli, "out") != NULL && (pl_cli_opt(cli, "key") == NULL
	    || pl_cli_opt(cli, "target") != NULL))
		return pl_cli_usage(cli, "order deploy: --out DIR goes with "
		    "--key FILE, and without --target");
	status = pl_shop_find(w, cli->args[1], &d.o);
	if (status == -1)
		status = deploy(&d);
	pl_deploys_free(d.ds);
	pl_settings_clear(&d.own.settings);
	free(d.own.label);
	free(d.targets);
	free(d.runs);
	pl_order_clear(&d.o);
	return status;
}
