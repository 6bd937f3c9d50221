/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: placardd [-t] [-v | -q] [-c FILE]\n"
    "Publishes challenges for local programs, keeps them through restarts and\n"
    "takes them away again.  Stays in the foreground.\n\n"
    "  -c, --config FILE   configuration file\n"
    "  -t, --test          check the configuration and exit\n"
    "  -v, --verbose       say more\n"
    "  -q, --quiet         say less\n"
    "      --help          this text\n"
    "      --version       the version\n";

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

struct args {
	const char *config;
	bool test;
	enum pl_level level;
};

/* A status, or -1 to go on. */
static int
parse(struct args *a, int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:tvq", longs, NULL)) != -1) {
		switch (c) {
		case 'c': a->config = optarg; break;
		case 't': a->test = true; break;
		case 'v': a->level = PL_LOG_DEBUG; break;
		case 'q': a->level = PL_LOG_WARN; break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("placardd " PL_VERSION);
			return 0;
		default:
			fprintf(stderr, "placardd: %s: %s (see --help)\n",
			    argv[optind - 1], c == ':' ? "needs a value" :
			    "no such option");
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "placardd: %s: not expected (see --help)\n",
	    argv[optind]);
	return 2;
}

/* Is standard error the journal's own socket?  Then it adds the time. */
static bool
to_journald(void)
{
	const char *name = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (name == NULL || fstat(2, &st) == -1)
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	return pl_streq(own, name);
}

static int
load(const struct args *a, struct pl_config **config)
{
	struct pl_faults faults;
	struct pl_err err;
	enum pl_code code;

	pl_err_clear(&err);
	pl_faults_init(&faults);
	code = pl_config_load(config, a->config, &faults, &err);
	if (code != PL_OK && faults.n > 0)
		fputs(faults.text.data, stderr);
	else if (code != PL_OK)
		fprintf(stderr, "placardd: %s\n", err.text);
	pl_faults_clear(&faults);
	return code == PL_OK ? -1 : pl_code_exit(code);
}

int
main(int argc, char **argv)
{
	struct args a = { .level = PL_LOG_INFO };
	struct pl_log log = { 2, PL_LOG_INFO, true, false, NULL };
	struct pl_config *config;
	int status;

	pl_process_harden(2 + pl_process_sockets());
	status = parse(&a, argc, argv);
	if (status == -1)
		status = load(&a, &config);
	if (status != -1)
		return status;
	if (config->unreadable) {
		fprintf(stderr, "placardd: %s: cannot be read\n",
		    PL_SYSCONFDIR "/placard/placard.conf");
		pl_config_free(config);
		return 3;
	}
	if (a.test) {
		printf("%s: in order, %zu accounts, %zu routes\n",
		    config->path != NULL ? config->path :
		    "no configuration file", config->naccounts,
		    config->nroutes);
		pl_config_free(config);
		return 0;
	}
	log.level = a.level;
	log.syslog = to_journald();
	log.stamp = !log.syslog;
	log.who = log.syslog ? NULL : "placardd";
	return daemon_run(a.config, config, &log);
}
