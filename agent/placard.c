/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHALLENGE "-m METHOD -d DOMAIN ... | --jobs FILE"

static const struct pl_command commands[] = {
	{ "present", CHALLENGE,
	    "Publishes, waits until it is visible, leaves it there.",
	    PL_TAKES_CHALLENGE | PL_TAKES_LOOK | PL_TAKES_PUBLISH |
	    PL_TAKES_NO_WAIT | PL_TAKES_SEE, 0, 0, pl_cmd_present, NULL },
	{ "verify", CHALLENGE,
	    "Is it visible?  Changes nothing and needs no credentials.",
	    PL_TAKES_CHALLENGE | PL_TAKES_LOOK | PL_TAKES_SEE, 0, 0,
	    pl_cmd_verify,
	    "One look, or with --timeout as many as it takes.\n" },
	{ "cleanup", CHALLENGE
	    " |\n    --job ID | --older-than AGE | --all",
	    "Removes that value, or what is ours by the journal.",
	    PL_TAKES_CHALLENGE | PL_TAKES_LOOK | PL_TAKES_PUBLISH |
	    PL_TAKES_JOURNAL, 0, 0, pl_cmd_cleanup, NULL },
	{ "run", CHALLENGE " -- COMMAND ARG...",
	    "Publishes, runs the command, always cleans up.",
	    PL_TAKES_CHALLENGE | PL_TAKES_LOOK | PL_TAKES_PUBLISH |
	    PL_TAKES_SEE, 1, -1, pl_cmd_run, "Exits as the command did.\n" },
	{ "list", "", "Shows what is published and not yet removed.", 0, 0, 0,
	    pl_cmd_list, NULL },
	{ "check", "NAME...",
	    "Pre-flight: would a CA see it, and may the account write there?",
	    PL_TAKES_LOOK | PL_TAKES_CHECK | PL_TAKES_SEE, 1, -1,
	    pl_cmd_check, NULL },
	{ "delegate", "NAME...",
	    "The lines that lead challenges to this host's responder.",
	    PL_TAKES_LOOK | PL_TAKES_CREATE, 1, -1, pl_cmd_delegate, NULL },
	{ "job", "submit FILE | list | show|wait|release|cancel ID | watch [ID]",
	    "Hands jobs to placardd and asks for them.", PL_TAKES_TIMEOUT, 1,
	    2, pl_cmd_job,
	    "FILE is a job as JSON, or several, one a line; - is standard input."
	    "\n" },
	{ "account", "list | show NAME | test NAME",
	    "Shows accounts, or tries their credentials.",
	    PL_TAKES_LOOK | PL_TAKES_HOST_KEY, 1, 2,
	    pl_cmd_account, NULL },
	{ "hook", "TOOL ARG...",
	    "Serves as the hook of another ACME client.",
	    PL_TAKES_LOOK | PL_TAKES_PUBLISH | PL_TAKES_NO_WAIT |
	    PL_TAKES_WORDS, 1, -1, pl_cmd_hook,
	    "TOOL is acme.sh, certbot, dehydrated, lego, mod_md or uacme; "
	    "its arguments and\nenvironment follow: placard-hooks(7).\n" },
	{ "provider", "list | show NAME [--for NAME...]",
	    "Shows what providers there are, and how to get credentials.",
	    PL_TAKES_FOR, 1, -1, pl_cmd_provider, NULL },
	{ "derive", "--csr FILE [--unique TEXT] [NAME...]",
	    "Shows the challenges that a Sectigo-style CSR hash gives.",
	    PL_TAKES_DERIVE, 0, -1, pl_cmd_derive,
	    "Without a NAME: for all names of the request.\n" },
	{ "csr", "new OPTIONS | show FILE",
	    "Makes a key and a certificate request, or reads one.",
	    PL_TAKES_CSR, 1, 2, pl_cmd_csr, NULL },
	{ "product", "list [--vendor V] [--validation L] | show CODE",
	    "Shows what the store sells and what an order needs.",
	    PL_TAKES_PRODUCT | PL_TAKES_CONTROLLER, 1, 2, pl_cmd_product,
	    "With a controller, the store is asked for months and prices.\n" },
	{ "order", "WORD ...", "Orders certificates, and looks after orders.",
	    PL_TAKES_ORDER | PL_TAKES_CONTROLLER | PL_TAKES_LOOK, 1, -1,
	    pl_cmd_order,
"new --product CODE --csr FILE --dcv METHOD [--dcv NAME=METHOD]... [--wait]\n"
"    [--san NAME]... [--approver-email A]... [--months N | --days N]\n"
"    [--contact FILE] [--servers N] [--server-type T] [--dry-run]\n"
"list [--state S] [--expiring DAYS] | show ID | refresh ID [--wait]\n"
"sync [--full] | import [ID]... | delete ID | download ID --out DIR\n"
"deploy ID [--target T] [--key FILE [--out DIR]] [--dry-run]\n"
"approvers --product CODE NAME | resend ID [--email A] | organizations\n"
"method ID --dcv dns|file|https-file|email [--domain D] [--email A]\n"
"renew ID [--csr FILE] [--contact FILE] [--months N] [--wait]\n"
"reissue ID --csr FILE [--add-san N]... [--remove-san N]... [--wait]\n"
"revoke ID [--reason T] | cancel ID [--reason T]      See placard-orders(7).\n"
"new, renew, reissue, refresh: [--renew-before T|off] [--renew-key new|keep]\n" },
	{ "service", "install | uninstall | start | stop | status",
	    "Makes this host run placardd, or undoes it.", PL_TAKES_SERVICE,
	    1, 1, pl_cmd_service,
	    "install takes the file that --config names as the configuration.\n" },
	{ "plan", "", "What will be renewed when, and what is missing for it.",
	    PL_TAKES_PLAN | PL_TAKES_CONTROLLER, 0, 0, pl_cmd_plan,
	    "Exits with 0 where nothing is missing: see placard(1).\n" },
};

void
pl_cli_top_help(void)
{
	pl_cli_print("usage: placard [-c FILE] [--json] [-q | -v] COMMAND "
	    "...\n\n");
	for (size_t i = 0; i < PL_NELEM(commands); i++)
		pl_cli_print("  %-9s %s\n", commands[i].name,
		    commands[i].summary);
	pl_cli_print("\nplacard COMMAND --help tells the options of each; "
	    "placard --version the version.\n");
}

static const struct pl_command *
find(const char *name)
{
	for (size_t i = 0; i < PL_NELEM(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/*
 * Tools that can be told a program but no arguments call us by a link:
 * "hook-uacme" is "placard hook uacme".
 */
static char **
as_hook(int *argc, char **argv, char *hook)
{
	const char *slash = strrchr(argv[0], '/');
	const char *base = slash != NULL ? slash + 1 : argv[0];
	char **words;

	if (strncmp(base, hook, strlen(hook)) != 0)
		return NULL;
	words = pl_array((size_t)*argc + 3, sizeof(*words));
	hook[strlen(hook) - 1] = '\0';
	words[0] = argv[0];
	words[1] = hook;
	words[2] = argv[0] + (base - argv[0]) + strlen(hook) + 1;
	for (int i = 1; i < *argc; i++)
		words[i + 2] = argv[i];
	*argc += 2;
	return words;
}

static int
dispatch(struct pl_cli *cli, int argc, char **argv)
{
	const struct pl_command *cmd;
	int status;

	status = pl_cli_globals(cli, &argc, &argv);
	if (status != -1)
		return status;
	if (argc == 0)
		return pl_cli_usage(cli, "a command is expected");
	cmd = find(argv[0]);
	if (cmd == NULL)
		return pl_cli_usage(cli, "no such command: %s", argv[0]);
	status = pl_cli_parse(cli, cmd, argc, argv);
	return status != -1 ? status : cmd->run(cli);
}

int
main(int argc, char **argv)
{
	struct pl_cli cli = { .older_ms = -1,
		.log = { 2, PL_LOG_WARN, false, false, "placard" } };
	char hook[] = "hook-";
	char **words;
	int status;

	cli.sockets = pl_process_sockets();
	pl_process_harden(2 + cli.sockets);
	words = argc > 0 ? as_hook(&argc, argv, hook) : NULL;
	status = pl_cli_flush(dispatch(&cli, argc,
	    words != NULL ? words : argv));
	free(words);
	pl_cli_clear(&cli);
	return status;
}
