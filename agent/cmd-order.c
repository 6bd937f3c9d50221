/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The command order: what its words take, and the ones that mostly read. */
#include "cmd-order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DAY_MS (86400 * INT64_C(1000))

/* ---- organizations ------------------------------------------------------------ */

static void
put_text(json_t *to, const char *name, const json_t *from,
    const char *member)
{
	char *text = pl_store_text(from, member);

	pl_json_sets(to, name, text);
	free(text);
}

static const char *
shown(const json_t *from, const char *member)
{
	const char *text = pl_json_str(pl_json_get(from, member));

	return text != NULL ? text : "-";
}

static void
print_organization(const struct pl_shop *w, const json_t *org)
{
	json_t *j = pl_json_object();
	const char *status;

	pl_json_seti(j, "id", pl_store_int(org, "TSSOrganizationId", 0));
	put_text(j, "name", org, "Name");
	put_text(j, "city", org, "City");
	put_text(j, "state", org, "State");
	put_text(j, "country", org, "Country");
	put_text(j, "status", org, "Status");
	pl_json_seti(j, "vendorId", pl_store_int(org, "VendorOrganizationId",
	    0));
	if (w->cli->json) {
		pl_cli_print_json(j);
		return;
	}
	status = pl_json_str(pl_json_get(j, "status"));
	pl_cli_print("%-8lld %s, %s %s%s%s\n",
	    (long long)pl_json_num(pl_json_get(j, "id")),
	    shown(j, "name"), shown(j, "city"), shown(j, "country"),
	    status != NULL && strcasecmp(status, "active") != 0 ? " " : "",
	    status != NULL && strcasecmp(status, "active") != 0 ? status :
	    "");
	pl_json_free(j);
}

static int
do_organizations(struct pl_shop *w)
{
	const json_t *list;
	json_t *answer = NULL;
	int status = pl_shop_controller(w);

	if (status == -1)
		status = pl_shop_call(w, "digicert/organizationlist", NULL,
		    &answer);
	if (status != -1)
		return status;
	list = pl_store_list(answer, "OrganizationList");
	for (size_t i = 0; i < pl_json_count(list); i++)
		print_organization(w, pl_json_at(list, i));
	pl_json_free(answer);
	return 0;
}

/* ---- list, show, refresh, delete ------------------------------------------------- */

static int
list_line(struct pl_shop *w, int64_t id)
{
	struct pl_order o;
	struct pl_err err;
	char shown[64], ends[PL_TIME_TEXT] = "-";

	pl_err_clear(&err);
	if (pl_book_get(w->book, id, &o, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	if (w->cli->json)
		pl_cli_print_json(pl_order_json(w->book, &o, false));
	else {
		pl_order_id(shown, sizeof(shown), &o);
		if (o.not_after > 0)
			pl_time_format(ends, o.not_after / 1000 * 1000);
		pl_cli_print("%-10s %-9s %-24s %.10s %s%s\n", shown,
		    pl_order_state_name(o.state),
		    o.product != NULL ? o.product : "-", ends,
		    o.nnames > 0 ? o.names[0].name : "-",
		    o.nnames > 1 ? " ..." : "");
	}
	pl_order_clear(&o);
	return 0;
}

static int
do_list(struct pl_shop *w)
{
	struct pl_book_query q = { .state = -1,
		.controller = pl_cli_opt(w->cli, "controller") };
	const char *state = pl_cli_opt(w->cli, "state"),
	    *days = pl_cli_opt(w->cli, "expiring");
	enum pl_order_state s;
	struct pl_err err;
	int64_t *ids, n;
	size_t count;
	int status = 0;

	pl_err_clear(&err);
	if (state != NULL) {
		if (!pl_order_state_parse(&s, state))
			return pl_cli_usage(w->cli, "--state: %s: none of "
			    "placing, pending, issued, reissuing, cancelled, "
			    "revoked, expired, failed", state);
		q.state = (int)s;
	}
	if (days != NULL) {
		if (pl_int_parse(&n, days, 0, 36500, &err) != PL_OK)
			return pl_cli_usage(w->cli, "--expiring: %s",
			    err.text);
		q.expiring = pl_wall_ms() + n * DAY_MS;
	}
	if (w->book == NULL)
		return 0;
	if (pl_book_list(w->book, &q, &ids, &count, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	for (size_t i = 0; i < count && status == 0; i++)
		status = list_line(w, ids[i]);
	free(ids);
	return status;
}

static int
do_show(struct pl_shop *w)
{
	struct pl_order o;
	int64_t id;
	int status = pl_shop_find(w, w->cli->args[1], &o);

	if (status != -1)
		return status;
	id = o.id;
	pl_order_clear(&o);
	return pl_shop_print(w, id, true);
}

static int
do_refresh(struct pl_shop *w)
{
	struct pl_order o;
	int64_t id;
	int status = pl_shop_find(w, w->cli->args[1], &o);

	if (status != -1)
		return status;
	id = o.id;
	pl_order_clear(&o);
	status = pl_shop_keep_renewing(w, id, 0);
	return status != -1 ? status : pl_shop_drive(w, id, w->wait ?
	    PL_DRIVE_ALL : PL_DRIVE_ROUND, false);
}

static int
delete_row(struct pl_shop *w, const struct pl_order *o)
{
	struct pl_err err;

	pl_err_clear(&err);
	if (pl_book_delete(w->book, o->id, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	if (!w->cli->json && !w->cli->quiet)
		pl_cli_print("order %s: forgotten here; at the store it is as "
		    "it was\n", w->cli->args[1]);
	return 0;
}

/* Forgets it; what its job has published is removed first. */
static int
do_delete(struct pl_shop *w)
{
	struct pl_order_run *run;
	struct pl_order o;
	struct pl_err err;
	int status = pl_shop_find(w, w->cli->args[1], &o);

	if (status == -1)
		status = pl_shop_lock(w, &o);
	if (status != -1)
		return status;
	o.step = PL_STEP_CLEAN;
	pl_err_clear(&err);
	if (pl_book_save(w->book, &o, &err) != PL_OK)
		status = pl_cli_fail(w->cli, &err);
	pl_shop_unlock(w, &o);
	if (status == -1) {
		run = pl_orders_take(w->orders, o.id, PL_DRIVE_ALL, true);
		while (!pl_order_run_done(run, &err) && w->s.stop == 0) {
			if (pl_loop_turn(pl_engine_loop(w->s.engine), &err) !=
			    PL_OK)
				break;
		}
		if (err.code != PL_OK || w->s.stop != 0)
			status = err.code != PL_OK ? pl_cli_fail(w->cli,
			    &err) : pl_code_exit(PL_ECANCEL);
	}
	if (status == -1)
		status = delete_row(w, &o);
	pl_order_clear(&o);
	return status;
}

/* ---- download ------------------------------------------------------------------ */

static enum pl_code
write_part(const char *dir, const char *name, const char *text,
    const char *more, json_t *files, struct pl_err *err)
{
	struct pl_buf path, all;
	enum pl_code code;

	if (text[0] == '\0' && (more == NULL || more[0] == '\0'))
		return PL_OK;
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&all, PL_LIM_BODY);
	pl_buf_addf(&path, "%s/%s", dir, name);
	pl_buf_adds(&all, text);
	if (more != NULL)
		pl_buf_adds(&all, more);
	code = pl_file_write(path.data, all.data, all.len, 0644, err);
	if (code == PL_OK)
		pl_json_append(files, pl_json_string(path.data));
	pl_buf_clear(&path);
	pl_buf_clear(&all);
	return code;
}

static enum pl_code
write_all(const char *dir, const struct pl_book_cert *c, json_t *files,
    struct pl_err *err)
{
	enum pl_code code = pl_mkdirs(dir, 0755, err);

	if (code == PL_OK)
		code = write_part(dir, "cert.pem", c->leaf, NULL, files, err);
	if (code == PL_OK)
		code = write_part(dir, "chain.pem", c->chain, NULL, files,
		    err);
	if (code == PL_OK)
		code = write_part(dir, "fullchain.pem", c->leaf, c->chain,
		    files, err);
	if (code == PL_OK)
		code = write_part(dir, "root.pem", c->root, NULL, files, err);
	return code;
}

static int
print_files(struct pl_shop *w, const struct pl_order *o, json_t *files)
{
	json_t *j;

	if (w->cli->json) {
		j = pl_order_json(w->book, o, false);
		pl_json_set(j, "files", files);
		pl_cli_print_json(j);
		return 0;
	}
	for (size_t i = 0; i < pl_json_count(files); i++)
		pl_cli_print("%s\n", pl_json_str(pl_json_at(files, i)));
	pl_json_free(files);
	return 0;
}

/* Fetches what the book does not have; the run says what was wrong. */
static int
fetch_first(struct pl_shop *w, struct pl_order *o)
{
	struct pl_order_run *run;
	struct pl_err err;
	int64_t id = o->id;

	run = pl_orders_take(w->orders, id, PL_DRIVE_ROUND, false);
	while (!pl_order_run_done(run, &err) && w->s.stop == 0) {
		if (pl_loop_turn(pl_engine_loop(w->s.engine), &err) != PL_OK)
			return pl_cli_fail(w->cli, &err);
	}
	if (err.code != PL_OK)
		return pl_cli_fail(w->cli, &err);
	pl_order_clear(o);
	if (pl_book_get(w->book, id, o, &err) != PL_OK)
		return pl_cli_fail(w->cli, &err);
	return -1;
}

static int
do_download(struct pl_shop *w)
{
	const char *dir = pl_cli_opt(w->cli, "out");
	struct pl_book_cert c = { 0 };
	struct pl_order o;
	struct pl_err err;
	json_t *files;
	int status;

	if (dir == NULL)
		return pl_cli_usage(w->cli, "order download: --out DIR is "
		    "expected");
	pl_err_clear(&err);
	status = pl_shop_find(w, w->cli->args[1], &o);
	if (status == -1)
		status = fetch_first(w, &o);
	if (status == -1 && pl_book_cert_get(w->book, o.id, o.serial, &c,
	    &err) != PL_OK)
		status = pl_cli_fail(w->cli, &err);
	if (status == -1 && c.leaf == NULL) {
		pl_fail(&err, PL_ENET, "order %s: %s, it has no certificate "
		    "yet", w->cli->args[1], pl_order_state_name(o.state));
		status = pl_cli_fail(w->cli, &err);
	}
	if (status == -1) {
		files = pl_json_array();
		if (write_all(dir, &c, files, &err) != PL_OK) {
			pl_json_free(files);
			err.code = PL_EINVAL;
			status = pl_cli_fail(w->cli, &err);
		} else
			status = print_files(w, &o, files);
	}
	pl_book_cert_clear(&c);
	pl_order_clear(&o);
	return status;
}

/* ---- the command --------------------------------------------------------------------- */

struct word {
	const char *name;
	int least, most;		/* words behind it; most -1: any */
	const char *args;
	int need;
	int (*run)(struct pl_shop *w);
	const char *const options[16];	/* beside --controller */
};

static const struct word words[] = {
	{ "new", 0, 0, "", PL_SHOP_WORK, pl_order_new,
	    { "product", "csr", "dcv", "san", "approver-email", "months",
	    "days", "contact", "servers", "server-type", "renew-before",
	    "renew-key", "wait", NULL } },
	{ "list", 0, 0, "", PL_SHOP_READ, do_list,
	    { "state", "expiring", NULL } },
	{ "show", 1, 1, "ID", PL_SHOP_READ, do_show, { NULL } },
	{ "refresh", 1, 1, "ID", PL_SHOP_WORK, do_refresh,
	    { "renew-before", "renew-key", "wait", NULL } },
	{ "sync", 0, 0, "", PL_SHOP_WORK, pl_order_sync, { "full", NULL } },
	{ "import", 0, -1, "[ID]...", PL_SHOP_WORK, pl_order_import,
	    { NULL } },
	{ "approvers", 1, 1, "NAME", PL_SHOP_ASK, pl_order_approvers,
	    { "product", NULL } },
	{ "resend", 1, 1, "ID", PL_SHOP_WORK, pl_order_resend,
	    { "email", NULL } },
	{ "method", 1, 1, "ID", PL_SHOP_WORK, pl_order_method,
	    { "dcv", "domain", "email", "wait", NULL } },
	{ "renew", 1, 1, "ID", PL_SHOP_WORK, pl_order_renew,
	    { "csr", "contact", "months", "renew-before", "renew-key", "wait",
	    NULL } },
	{ "reissue", 1, 1, "ID", PL_SHOP_WORK, pl_order_reissue,
	    { "csr", "add-san", "remove-san", "dcv", "approver-email",
	    "renew-before", "renew-key", "wait", NULL } },
	{ "revoke", 1, 1, "ID", PL_SHOP_WORK, pl_order_revoke,
	    { "reason", NULL } },
	{ "cancel", 1, 1, "ID", PL_SHOP_WORK, pl_order_cancel,
	    { "reason", NULL } },
	{ "delete", 1, 1, "ID", PL_SHOP_WORK, do_delete, { NULL } },
	{ "download", 1, 1, "ID", PL_SHOP_WORK, do_download,
	    { "out", NULL } },
	{ "deploy", 1, 1, "ID", PL_SHOP_READ, pl_order_deploy,
	    { "target", "key", "out", NULL } },
	{ "organizations", 0, 0, "", PL_SHOP_ASK, do_organizations,
	    { NULL } },
};

static const struct word *
find_word(const char *name)
{
	for (size_t i = 0; i < PL_NELEM(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

/* Options of one word are not for the others. */
static int
check_options(struct pl_cli *cli, const struct word *word)
{
	for (size_t i = 0; i < cli->nown; i++) {
		const char *name = cli->own[i].name;

		if (strcmp(name, "controller") != 0 &&
		    !pl_str_in(name, word->options))
			return pl_cli_usage(cli, "order %s: --%s is not for "
			    "it", word->name, name);
	}
	if (cli->ch.domain != NULL && !pl_str_in("domain", word->options))
		return pl_cli_usage(cli, "order %s: --domain is not for it",
		    word->name);
	if (cli->dry_run && strcmp(word->name, "new") != 0 &&
	    strcmp(word->name, "deploy") != 0)
		return pl_cli_usage(cli, "order %s: --dry-run is not for it",
		    word->name);
	return -1;
}

int
pl_cmd_order(struct pl_cli *cli)
{
	const struct word *word = find_word(cli->args[0]);
	struct pl_shop w;
	int status;

	if (word == NULL)
		return pl_cli_usage(cli, "order: no such word: %s",
		    cli->args[0]);
	status = check_options(cli, word);
	if (status != -1)
		return status;
	if (cli->nargs - 1 < word->least)
		return pl_cli_usage(cli, "order %s: %s expected", word->name,
		    word->args);
	if (word->most >= 0 && cli->nargs - 1 > word->most)
		return pl_cli_usage(cli, "order %s: %s: not expected",
		    word->name, cli->args[1 + word->most]);
	status = pl_shop_open(&w, cli, word->need);
	if (status == -1)
		status = pl_shop_renewing(&w);
	if (status == -1)
		status = word->run(&w);
	pl_shop_close(&w);
	return status;
}
