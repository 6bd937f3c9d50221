/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum opt {
	OPT_FIRST = 256, OPT_CONFIG, OPT_JSON, OPT_QUIET, OPT_VERBOSE,
	OPT_HELP, OPT_VERSION, OPT_METHOD, OPT_DOMAIN, OPT_VALUE, OPT_TOKEN, OPT_KEYAUTH,
	OPT_NAME, OPT_PATH, OPT_CONTENT, OPT_CONTENT_FILE, OPT_ACCOUNT_URL,
	OPT_ISSUER, OPT_POLICY, OPT_PERSIST, OPT_JOBS, OPT_ACCOUNT, OPT_TTL,
	OPT_TIMEOUT, OPT_SERVER, OPT_RESOLVER, OPT_DRY_RUN, OPT_NO_WAIT,
	OPT_JOB, OPT_OLDER, OPT_ALL, OPT_CA, OPT_ACCOUNT_URI, OPT_WRITE,
	OPT_HOST_KEY, OPT_CREATE,
	/* From here on: kept in pl_cli.own. */
	OPT_OWN, OPT_CN, OPT_SAN, OPT_KEY, OPT_KEY_OUT, OPT_KEY_PASS, OPT_OUT,
	OPT_ORGANIZATION, OPT_UNIT, OPT_LOCALITY, OPT_STATE, OPT_COUNTRY,
	OPT_EMAIL, OPT_CSR, OPT_UNIQUE, OPT_VENDOR, OPT_VALIDATION,
	OPT_CONTROLLER, OPT_PRODUCT, OPT_DCV, OPT_APPROVER, OPT_MONTHS,
	OPT_DAYS, OPT_CONTACT, OPT_SERVERS, OPT_SERVER_TYPE, OPT_WAIT,
	OPT_EXPIRING, OPT_FULL, OPT_REASON, OPT_ADD_SAN, OPT_REMOVE_SAN,
	OPT_AGENT_KEY, OPT_PURGE, OPT_TARGET, OPT_RENEW_BEFORE,
	OPT_RENEW_KEY, OPT_FOR
};

#define DATA PL_TAKES_CHALLENGE | PL_TAKES_BRIEF
/* Of the command order, whose own help explains them. */
#define ORDER PL_TAKES_ORDER | PL_TAKES_BRIEF

struct opt_desc {
	int id;
	int letter;		/* or 0 */
	const char *name;
	const char *arg;	/* what it takes, or NULL */
	unsigned group;		/* PL_TAKES_…; 0: every command */
	const char *help;
};

static const struct opt_desc options[] = {
	{ OPT_METHOD, 'm', "method", "METHOD", PL_TAKES_CHALLENGE,
	    "dns-01, http-01, dns-txt, ... (placard(1))" },
	{ OPT_DOMAIN, 'd', "domain", "DOMAIN", PL_TAKES_CHALLENGE,
	    "the domain, or *.DOMAIN" },
	{ OPT_VALUE, 0, "value", "V", DATA, NULL },
	{ OPT_TOKEN, 0, "token", "T", DATA, NULL },
	{ OPT_KEYAUTH, 0, "key-authorization", "K", DATA, NULL },
	{ OPT_NAME, 0, "name", "N", DATA, NULL },
	{ OPT_PATH, 0, "path", "P", DATA, NULL },
	{ OPT_CONTENT, 0, "content", "V", DATA, NULL },
	{ OPT_CONTENT_FILE, 0, "content-file", "F", DATA, NULL },
	{ OPT_ACCOUNT_URL, 0, "account-url", "U", DATA, NULL },
	{ OPT_ISSUER, 0, "issuer", "NAME", DATA, NULL },
	{ OPT_POLICY, 0, "policy", "P", DATA, NULL },
	{ OPT_PERSIST, 0, "persist-until", "SECONDS", DATA, NULL },
	{ OPT_JOBS, 0, "jobs", "FILE", PL_TAKES_CHALLENGE,
	    "jobs as JSON, or one a line; -: stdin" },
	{ OPT_ACCOUNT, 'a', "account", "ACCOUNT",
	    PL_TAKES_PUBLISH | PL_TAKES_CREATE,
	    "use this account instead of the routes" },
	{ OPT_TTL, 0, "ttl", "N", PL_TAKES_PUBLISH | PL_TAKES_CREATE,
	    "seconds, for record sets that are new" },
	{ OPT_TIMEOUT, 0, "timeout", "SECONDS",
	    PL_TAKES_LOOK | PL_TAKES_TIMEOUT,
	    "deadline for all of it" },
	{ OPT_SERVER, 0, "server", "ADDR[:PORT]", PL_TAKES_LOOK,
	    "ask this server only (repeatable)" },
	{ OPT_RESOLVER, 0, "resolver", "ADDR[:PORT]", PL_TAKES_LOOK,
	    "resolve with this one (repeatable)" },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, PL_TAKES_PUBLISH,
	    "say what would be done" },
	{ OPT_NO_WAIT, 0, "no-wait", NULL, PL_TAKES_NO_WAIT,
	    "do not wait until it is visible" },
	{ OPT_CA, 0, "ca", "DOMAIN", PL_TAKES_SEE,
	    "the CA that CAA must allow (letsencrypt.org)" },
	{ OPT_ACCOUNT_URI, 0, "account-uri", "U", PL_TAKES_CHECK,
	    "its account, for RFC 8657" },
	{ OPT_WRITE, 0, "write", NULL, PL_TAKES_CHECK,
	    "write and remove a marker record" },
	{ OPT_CREATE, 0, "create", NULL, PL_TAKES_CREATE,
	    "make the aliases where an account can" },
	{ OPT_JOB, 0, "job", "ID", PL_TAKES_JOURNAL,
	    "what this job has published" },
	{ OPT_OLDER, 0, "older-than", "AGE", PL_TAKES_JOURNAL,
	    "what is older: 90s, 30m, 2h, 7d" },
	{ OPT_ALL, 0, "all", NULL, PL_TAKES_JOURNAL,
	    "all that the journal knows" },
	{ OPT_HOST_KEY, 0, "host-key", NULL, PL_TAKES_HOST_KEY,
	    "ask for its host keys, to compare them (sftp)" },
	{ OPT_CN, 0, "cn", "NAME", PL_TAKES_CSR, "common name" },
	{ OPT_SAN, 0, "san", "NAME", PL_TAKES_CSR,
	    "one more name (repeatable)" },
	{ OPT_KEY, 0, "key", "TYPE", PL_TAKES_CSR,
	    "rsa2048, rsa3072, rsa4096, p256, p384" },
	{ OPT_KEY_OUT, 0, "key-out", "FILE", PL_TAKES_CSR,
	    "where the new key goes; must not be there" },
	{ OPT_KEY_PASS, 0, "key-passphrase-file", "F", PL_TAKES_CSR,
	    "encrypt the key with the first line of F" },
	{ OPT_OUT, 0, "out", "FILE", PL_TAKES_CSR,
	    "where the request goes; - is standard output" },
	{ OPT_ORGANIZATION, 0, "organization", "TEXT", PL_TAKES_CSR,
	    "subject: organization" },
	{ OPT_UNIT, 0, "unit", "TEXT", PL_TAKES_CSR,
	    "subject: organizational unit" },
	{ OPT_LOCALITY, 0, "locality", "TEXT", PL_TAKES_CSR,
	    "subject: city" },
	{ OPT_STATE, 0, "state", "TEXT", PL_TAKES_CSR,
	    "subject: state or province" },
	{ OPT_COUNTRY, 0, "country", "CC", PL_TAKES_CSR,
	    "subject: country, two letters" },
	{ OPT_EMAIL, 0, "email", "ADDRESS", PL_TAKES_CSR,
	    "subject: e-mail address" },
	{ OPT_CSR, 0, "csr", "FILE", PL_TAKES_DERIVE,
	    "the certificate request; - is standard input" },
	{ OPT_UNIQUE, 0, "unique", "TEXT", PL_TAKES_DERIVE,
	    "the order's CSRUniqueValue" },
	{ OPT_VENDOR, 0, "vendor", "V", PL_TAKES_PRODUCT,
	    "DIGICERT, COMODO or SECTIGO" },
	{ OPT_VALIDATION, 0, "validation", "L", PL_TAKES_PRODUCT,
	    "DV, OV, EV, CODE_SIGNING, CLIENT, ..." },
	{ OPT_CONTROLLER, 0, "controller", "NAME", PL_TAKES_CONTROLLER,
	    "which one, where several are configured" },
	{ OPT_PRODUCT, 0, "product", "CODE", ORDER, NULL },
	{ OPT_CSR, 0, "csr", "FILE", ORDER, NULL },
	{ OPT_DCV, 0, "dcv", "[NAME=]METHOD", ORDER, NULL },
	{ OPT_SAN, 0, "san", "NAME", ORDER, NULL },
	{ OPT_ADD_SAN, 0, "add-san", "NAME", ORDER, NULL },
	{ OPT_REMOVE_SAN, 0, "remove-san", "NAME", ORDER, NULL },
	{ OPT_APPROVER, 0, "approver-email", "ADDRESS", ORDER, NULL },
	{ OPT_EMAIL, 0, "email", "ADDRESS", ORDER, NULL },
	{ OPT_DOMAIN, 0, "domain", "NAME", ORDER, NULL },
	{ OPT_MONTHS, 0, "months", "N", ORDER, NULL },
	{ OPT_DAYS, 0, "days", "N", ORDER, NULL },
	{ OPT_CONTACT, 0, "contact", "FILE", ORDER, NULL },
	{ OPT_DAYS, 0, "days", "N", PL_TAKES_PLAN,
	    "how far to look ahead (90)" },
	{ OPT_RENEW_BEFORE, 0, "renew-before", "TIME", ORDER, NULL },
	{ OPT_RENEW_KEY, 0, "renew-key", "new|keep", ORDER, NULL },
	{ OPT_SERVERS, 0, "servers", "N", ORDER, NULL },
	{ OPT_SERVER_TYPE, 0, "server-type", "TYPE", ORDER, NULL },
	{ OPT_STATE, 0, "state", "STATE", ORDER, NULL },
	{ OPT_EXPIRING, 0, "expiring", "DAYS", ORDER, NULL },
	{ OPT_REASON, 0, "reason", "TEXT", ORDER, NULL },
	{ OPT_OUT, 0, "out", "DIR", ORDER, NULL },
	{ OPT_KEY, 0, "key", "FILE", ORDER, NULL },
	{ OPT_TARGET, 0, "target", "NAME", ORDER, NULL },
	{ OPT_FULL, 0, "full", NULL, ORDER, NULL },
	{ OPT_WAIT, 0, "wait", NULL, ORDER, NULL },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, ORDER, NULL },
	{ OPT_AGENT_KEY, 0, "agent-key-file", "FILE", PL_TAKES_SERVICE,
	    "install: this host's key for a controller" },
	{ OPT_PURGE, 0, "purge", NULL, PL_TAKES_SERVICE,
	    "uninstall: the journal and the user too" },
	{ OPT_FOR, 0, "for", "NAME...", PL_TAKES_FOR,
	    "the least rights that these names need" },
	{ OPT_CONFIG, 'c', "config", "FILE", 0, "configuration file" },
	{ OPT_JSON, 0, "json", NULL, 0, "results and errors as JSON" },
	{ OPT_QUIET, 'q', "quiet", NULL, 0, "say less" },
	{ OPT_VERBOSE, 'v', "verbose", NULL, 0, "say more" },
	{ OPT_HELP, 0, "help", NULL, 0, "this text" },
	{ OPT_VERSION, 0, "version", NULL, PL_TAKES_TOP, "the version" },
};

void
pl_cli_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stdout, fmt, ap);
	va_end(ap);
}

void
pl_cli_print_json(json_t *j)
{
	char *text = pl_json_text(j);

	pl_cli_print("%s\n", text);
	free(text);
	pl_json_free(j);
}

int
pl_cli_flush(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	fprintf(stderr, "placard: standard output cannot be written\n");
	return status == 0 ? 6 : status;
}

json_t *
pl_cli_error(const struct pl_err *err)
{
	json_t *e = pl_json_object();

	pl_json_sets(e, "code", pl_code_name(err->code));
	pl_json_sets(e, "text", err->text);
	pl_json_setb(e, "retry", pl_code_retry(err->code));
	return e;
}

int
pl_cli_fail(const struct pl_cli *cli, const struct pl_err *err)
{
	json_t *j;

	fprintf(stderr, "placard: %s\n", err->text);
	if (cli->json) {
		j = pl_json_object();
		pl_json_set(j, "error", pl_cli_error(err));
		pl_cli_print_json(j);
	}
	return pl_code_exit(err->code);
}

int
pl_cli_usage(const struct pl_cli *cli, const char *fmt, ...)
{
	struct pl_err err;
	struct pl_buf b;
	va_list ap;

	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	pl_fail(&err, PL_EINVAL, "%s (see --help)", b.data);
	pl_buf_clear(&b);
	pl_cli_fail(cli, &err);
	return PL_USAGE;
}

/* As JSON each fault is an object of its own. */
static void
print_faults(const struct pl_cli *cli, const char *text)
{
	struct pl_err err;
	const char *end;

	if (!cli->json) {
		fputs(text, stderr);
		return;
	}
	for (; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		pl_fail(&err, PL_EINVAL, "%.*s", (int)(end - text), text);
		pl_cli_fail(cli, &err);
	}
}

int
pl_cli_config(const struct pl_cli *cli, struct pl_config **out)
{
	struct pl_faults faults;
	struct pl_err err;
	enum pl_code code;
	int status = -1;

	pl_err_clear(&err);
	pl_faults_init(&faults);
	code = pl_config_load(out, cli->config, &faults, &err);
	if (code != PL_OK && faults.n > 0) {
		print_faults(cli, faults.text.data);
		status = pl_code_exit(PL_EINVAL);
	} else if (code != PL_OK)
		status = pl_cli_fail(cli, &err);
	pl_faults_clear(&faults);
	return status;
}

/* The data of a challenge as a paragraph: a line each would not fit. */
static void
print_brief(unsigned takes)
{
	size_t col = 0, n;

	for (size_t i = 0; i < PL_NELEM(options); i++) {
		const struct opt_desc *o = &options[i];

		if ((o->group & PL_TAKES_BRIEF) == 0 ||
		    (o->group & takes) == 0)
			continue;
		n = strlen(o->name) + strlen(o->arg) + 4;
		if (col == 0 || col + n > 78) {
			pl_cli_print("%s    ", col == 0 ? "" : "\n");
			col = 4;
		}
		pl_cli_print(" --%s %s", o->name, o->arg);
		col += n;
	}
	if (col != 0)
		pl_cli_print("\n");
}

void
pl_cli_help(const struct pl_command *cmd)
{
	pl_cli_print("usage: placard %s %s\n%s\n\n", cmd->name, cmd->args,
	    cmd->summary);
	for (size_t i = 0; i < PL_NELEM(options); i++) {
		const struct opt_desc *o = &options[i];
		char left[40];

		if ((o->group != 0 && (o->group & cmd->takes) == 0) ||
		    (o->group & PL_TAKES_BRIEF) != 0)
			continue;
		if (o->id == OPT_JOBS)
			print_brief(cmd->takes);
		snprintf(left, sizeof(left), "--%s%s%s", o->name,
		    o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
		pl_cli_print("  %c%c %-28s %s\n", o->letter != 0 ? '-' : ' ',
		    o->letter != 0 ? o->letter : ' ', left, o->help);
	}
	if (cmd->help != NULL)
		pl_cli_print("%s", cmd->help);
}

static void
add_text(char ***list, size_t *n, char *s)
{
	*list = pl_grow(*list, *n + 2, sizeof(char *));
	(*list)[(*n)++] = s;
	(*list)[*n] = NULL;
}

static int
set_number(struct pl_cli *cli, int id, const char *arg)
{
	struct pl_err err;
	int64_t v = 0;
	enum pl_code code;

	pl_err_clear(&err);
	if (id == OPT_OLDER)
		code = pl_duration_parse(&cli->older_ms, arg, &err);
	else
		code = pl_int_parse(&v, arg, 1,
		    id == OPT_TIMEOUT ? 604800 : id == OPT_TTL ? 2147483647 :
		    4102444800, &err);
	if (code != PL_OK)
		return pl_cli_usage(cli, "%s", err.text);
	if (id == OPT_TIMEOUT)
		cli->timeout_ms = v * 1000;
	else if (id == OPT_TTL)
		cli->ttl = (uint32_t)v;
	else if (id == OPT_PERSIST)
		cli->ch.persist_until = v;
	return -1;
}

static int
add_server(struct pl_cli *cli, int id, char *arg)
{
	struct pl_err err;
	char host[256];
	uint16_t port;

	pl_err_clear(&err);
	/* A resolver may be one of DNS over HTTPS. */
	if ((id == OPT_SERVER || strncmp(arg, "https://", 8) != 0) &&
	    pl_hostport_parse(host, sizeof(host), &port, arg, 53, &err) !=
	    PL_OK)
		return pl_cli_usage(cli, "--%s: %s", id == OPT_SERVER ?
		    "server" : "resolver", err.text);
	if (id == OPT_SERVER)
		add_text(&cli->servers, &cli->nservers, arg);
	else
		add_text(&cli->resolvers, &cli->nresolvers, arg);
	return -1;
}

static const char **
challenge_field(struct pl_cli *cli, int id)
{
	switch (id) {
	case OPT_METHOD: return &cli->ch.method;
	case OPT_DOMAIN: return &cli->ch.domain;
	case OPT_VALUE: return &cli->ch.value;
	case OPT_TOKEN: return &cli->ch.token;
	case OPT_KEYAUTH: return &cli->ch.key_authorization;
	case OPT_NAME: return &cli->ch.name;
	case OPT_PATH: return &cli->ch.path;
	case OPT_CONTENT: return &cli->ch.content;
	case OPT_ACCOUNT_URL: return &cli->ch.account_url;
	case OPT_ISSUER: return &cli->ch.issuer;
	case OPT_POLICY: return &cli->ch.policy;
	default: return NULL;
	}
}

static int
take_own(struct pl_cli *cli, int id, const char *arg)
{
	for (size_t i = 0; i < PL_NELEM(options); i++) {
		if (options[i].id != id)
			continue;
		cli->own = pl_grow(cli->own, cli->nown + 1,
		    sizeof(*cli->own));
		cli->own[cli->nown].name = options[i].name;
		cli->own[cli->nown++].value = arg != NULL ? arg : "";
		break;	/* commands share options, under one name */
	}
	return -1;
}

const char *
pl_cli_opt(const struct pl_cli *cli, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < cli->nown; i++)
		if (strcmp(cli->own[i].name, name) == 0)
			value = cli->own[i].value;
	return value;
}

const char **
pl_cli_opts(const struct pl_cli *cli, const char *name, size_t *n)
{
	const char **list = pl_array(cli->nown + 1, sizeof(*list));

	*n = 0;
	for (size_t i = 0; i < cli->nown; i++)
		if (strcmp(cli->own[i].name, name) == 0)
			list[(*n)++] = cli->own[i].value;
	return list;
}

static int
take(struct pl_cli *cli, const struct pl_command *cmd, int id, char *arg)
{
	const char **field = challenge_field(cli, id);

	if (id > OPT_OWN)
		return take_own(cli, id, arg);
	if (field != NULL) {
		*field = arg;
		cli->has_challenge = true;
		return -1;
	}
	switch (id) {
	case OPT_CONFIG: cli->config = arg; break;
	case OPT_JSON: cli->json = true; break;
	case OPT_QUIET: cli->quiet = true; break;
	case OPT_VERBOSE: cli->verbose++; break;
	case OPT_CONTENT_FILE:
		cli->content_file = arg;
		cli->has_challenge = true;
		break;
	case OPT_JOBS: cli->jobs = arg; break;
	case OPT_ACCOUNT: cli->account = arg; break;
	case OPT_SERVER:
	case OPT_RESOLVER:
		return add_server(cli, id, arg);
	case OPT_DRY_RUN: cli->dry_run = true; break;
	case OPT_NO_WAIT: cli->no_wait = true; break;
	case OPT_JOB: cli->job = arg; break;
	case OPT_CA: cli->ca = arg; break;
	case OPT_ACCOUNT_URI: cli->account_uri = arg; break;
	case OPT_WRITE: cli->write = true; break;
	case OPT_CREATE: cli->create = true; break;
	case OPT_ALL: cli->all = true; break;
	case OPT_HOST_KEY: cli->host_key = true; break;
	case OPT_HELP:
		if (cmd->run == NULL)
			pl_cli_top_help();
		else
			pl_cli_help(cmd);
		return 0;
	case OPT_VERSION:
		pl_cli_print("placard " PL_VERSION "\n");
		return 0;
	case OPT_PERSIST:
		cli->has_challenge = true;
		return set_number(cli, id, arg);
	case OPT_TTL:
	case OPT_TIMEOUT:
	case OPT_OLDER:
		return set_number(cli, id, arg);
	default:
		return PL_USAGE;
	}
	return -1;
}

static int
parse(struct pl_cli *cli, const struct pl_command *cmd, int argc, char **argv,
    const char *head)
{
	struct option longs[PL_NELEM(options) + 1] = { { 0 } };
	char shorts[3 * PL_NELEM(options) + 3];
	size_t n = 0, k;
	int c, status;

	k = (size_t)snprintf(shorts, sizeof(shorts), "%s:", head);
	for (size_t i = 0; i < PL_NELEM(options); i++) {
		const struct opt_desc *o = &options[i];

		if (o->group != 0 && (o->group & cmd->takes) == 0)
			continue;
		longs[n++] = (struct option){ o->name, o->arg != NULL ?
			required_argument : no_argument, NULL, o->id };
		if (o->letter != 0) {
			shorts[k++] = (char)o->letter;
			if (o->arg != NULL)
				shorts[k++] = ':';
		}
	}
	shorts[k] = '\0';
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == ':')
			return pl_cli_usage(cli, "%s: %s: needs a value",
			    cmd->name, argv[optind - 1]);
		if (c == '?')
			return pl_cli_usage(cli, "%s: no such option: %s",
			    cmd->name, argv[optind - 1]);
		for (size_t i = 0; c < OPT_FIRST && i < PL_NELEM(options); i++) {
			if (options[i].letter == c)
				c = options[i].id;
		}
		status = take(cli, cmd, c, optarg);
		if (status != -1)
			return status;
	}
	return -1;
}

int
pl_cli_parse(struct pl_cli *cli, const struct pl_command *cmd, int argc,
    char **argv)
{
	int status = parse(cli, cmd, argc, argv,
	    (cmd->takes & PL_TAKES_WORDS) != 0 ? "+" : "");

	if (status != -1)
		return status;
	cli->log.level = cli->verbose > 0 ? PL_LOG_DEBUG :
	    cli->quiet ? PL_LOG_ERROR : PL_LOG_WARN;
	cli->args = argv + optind;
	cli->nargs = argc - optind;
	if (cli->nargs < cmd->least)
		return pl_cli_usage(cli, "%s: %s expected", cmd->name,
		    cmd->args);
	if (cmd->most >= 0 && cli->nargs > cmd->most)
		return pl_cli_usage(cli, "%s: %s: not expected", cmd->name,
		    cli->args[cmd->most]);
	return -1;
}

int
pl_cli_globals(struct pl_cli *cli, int *argc, char ***argv)
{
	static const struct pl_command top = { "placard", "", "",
		PL_TAKES_TOP, 0, -1, NULL, NULL };
	int status;

	status = parse(cli, &top, *argc, *argv, "+");
	*argc -= optind;
	*argv += optind;
	return status;
}

void
pl_cli_clear(struct pl_cli *cli)
{
	free(cli->servers);
	free(cli->resolvers);
	free(cli->own);
}

/* ---- the challenge ---------------------------------------------------------- */

static int
one_challenge(const struct pl_cli *cli, struct pl_job **jobs, size_t *n)
{
	struct pl_challenge_args a = cli->ch;
	struct pl_job *job;
	struct pl_buf file;
	struct pl_err err;
	char id[13];
	enum pl_code code = PL_OK;

	pl_err_clear(&err);
	pl_buf_init(&file, PL_LIM_FILE);
	if (cli->content_file != NULL && a.content != NULL)
		return pl_cli_usage(cli, "--content and --content-file "
		    "exclude each other");
	if (a.content != NULL)
		a.content_len = strlen(a.content);
	if (cli->content_file != NULL) {
		code = pl_file_read(&file, cli->content_file, &err);
		a.content = file.data;
		a.content_len = file.len;
	}
	job = pl_alloc(sizeof(*job));
	job->challenges = pl_alloc(sizeof(*job->challenges));
	if (code == PL_OK)
		code = pl_challenge_make(&job->challenges[0], &a, &err);
	pl_buf_clear(&file);
	if (code != PL_OK) {
		free(job->challenges);
		free(job);
		return pl_cli_usage(cli, "%s", err.text);
	}
	pl_random_name(id, 12);
	job->id = pl_strdup(id);
	job->n = 1;
	*jobs = job;
	*n = 1;
	return -1;
}

int
pl_cli_jobs(const struct pl_cli *cli, struct pl_job **jobs, size_t *n)
{
	struct pl_buf text;
	struct pl_err err;
	enum pl_code code;

	*jobs = NULL;
	*n = 0;
	if (cli->jobs != NULL && cli->has_challenge)
		return pl_cli_usage(cli, "--jobs and a challenge exclude "
		    "each other");
	if (cli->jobs == NULL && !cli->has_challenge)
		return pl_cli_usage(cli, "a challenge is expected: -m METHOD "
		    "-d DOMAIN ..., or --jobs FILE");
	if (cli->jobs == NULL)
		return one_challenge(cli, jobs, n);
	pl_err_clear(&err);
	pl_buf_init(&text, PL_LIM_JOB);
	code = pl_file_read(&text, cli->jobs, &err);
	if (code == PL_OK)
		code = pl_jobs_read(jobs, n, text.data, text.len,
		    strcmp(cli->jobs, "-") == 0 ? "standard input" : cli->jobs,
		    cli->notify, &err);
	pl_buf_clear(&text);
	for (size_t i = 0; code == PL_OK && i < *n; i++) {
		if ((*jobs)[i].notify != NULL && !cli->notify)
			code = pl_fail(&err, PL_EINVAL, "%s: job %s: notify: "
			    "only placardd does that", cli->jobs,
			    (*jobs)[i].id);
	}
	if (code == PL_OK)
		return -1;
	for (size_t i = 0; i < *n; i++)
		pl_job_clear(&(*jobs)[i]);
	free(*jobs);
	*jobs = NULL;
	*n = 0;
	/* Whatever is wrong with it, it is the job file. */
	err.code = PL_EINVAL;
	return pl_cli_fail(cli, &err);
}

int
pl_cli_allowed(const struct pl_cli *cli, const struct pl_config *c,
    const struct pl_job *jobs, size_t n)
{
	struct pl_err err;
	size_t k;

	for (size_t i = 0; i < n; i++) {
		if (pl_config_allows(c, &jobs[i], &k, &err) == PL_OK)
			continue;
		if (cli->jobs == NULL)
			return pl_cli_usage(cli, "%s", err.text);
		pl_prefix(&err, "%s: job %s: challenges[%zu].%s", cli->jobs,
		    jobs[i].id, k,
		    jobs[i].challenges[k].kind == PL_FILE ? "path" : "name");
		return pl_cli_fail(cli, &err);
	}
	return -1;
}
