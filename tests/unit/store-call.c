/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * store-call -c FILE [-C CONTROLLER] [-p PARALLEL]: makes the calls that stand on
 * standard input, one {"path", "request", "timeout", "tries"} a line, and
 * prints what became of each.  For the tests in tests/e2e, which have every
 * call made and not only those that a command makes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static void
die(const struct pl_err *err)
{
	fprintf(stderr, "store-call: %s\n", err->text);
	exit(pl_code_exit(err->code));
}

static size_t
read_calls(struct pl_store_call **calls)
{
	struct pl_store_call *c;
	struct pl_buf text;
	struct pl_err err;
	json_t *j;
	size_t n = 0, len;

	pl_buf_init(&text, PL_LIM_JOB);
	if (pl_file_read(&text, "-", &err) != PL_OK)
		die(&err);
	*calls = NULL;
	for (const char *p = text.data; *p != '\0'; p += len + 1) {
		len = strcspn(p, "\n");
		if (pl_json_parse(&j, p, len, "call", &err) != PL_OK)
			die(&err);
		*calls = pl_grow(*calls, n + 1, sizeof(**calls));
		c = &(*calls)[n++];
		memset(c, 0, sizeof(*c));
		c->path = pl_strdup(pl_json_str(pl_json_get(j, "path")));
		c->timeout_ms = pl_json_num(pl_json_get(j, "timeout"));
		c->tries = (unsigned)pl_json_num(pl_json_get(j, "tries"));
		if (pl_json_is_object(pl_json_get(j, "request"))) {
			char *own = pl_json_text(pl_json_get(j, "request"));

			pl_json_parse(&c->request, own, strlen(own), "", &err);
			free(own);
		}
		pl_json_free(j);
		if (p[len] == '\0')
			break;
	}
	pl_buf_clear(&text);
	return n;
}

static void
print_call(struct pl_store_call *c)
{
	json_t *j = pl_json_object();
	char *text;

	pl_json_sets(j, "path", c->path);
	pl_json_sets(j, "code", pl_code_name(c->err.code));
	pl_json_sets(j, "text", c->err.text);
	pl_json_seti(j, "number", c->number);
	pl_json_setb(j, "sent", c->sent);
	pl_json_seti(j, "attempts", c->attempts);
	pl_json_set(j, "answer", c->answer != NULL ? c->answer :
	    pl_json_null());
	c->answer = NULL;
	text = pl_json_text(j);
	printf("%s\n", text);
	free(text);
	pl_json_free(j);
}

int
main(int argc, char **argv)
{
	struct pl_log log = { 2, PL_LOG_DEBUG, false, false, "store-call" };
	struct pl_engine_opts o = { .log = &log };
	const char *config = NULL, *name = NULL;
	const struct pl_controller *c;
	struct pl_store_call *calls;
	struct pl_engine *e = NULL;
	struct pl_config *conf;
	struct pl_faults faults;
	struct pl_err err;
	enum pl_code code;
	unsigned parallel = 0;
	size_t n;
	int opt;

	while ((opt = getopt(argc, argv, "c:C:p:")) != -1) {
		if (opt == 'c')
			config = optarg;
		else if (opt == 'C')
			name = optarg;
		else if (opt == 'p')
			parallel = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	pl_err_clear(&err);
	pl_faults_init(&faults);
	if (pl_config_load(&conf, config, &faults, &err) != PL_OK) {
		fputs(faults.text.data, stderr);
		die(&err);
	}
	o.config = conf;
	if (pl_config_controller(&c, conf, name, &err) != PL_OK ||
	    pl_engine_new(&e, &o, &err) != PL_OK)
		die(&err);
	n = read_calls(&calls);
	code = pl_controller_calls(e, c, calls, n, parallel, &err);
	for (size_t i = 0; i < n; i++) {
		print_call(&calls[i]);
		free((void *)(uintptr_t)calls[i].path);
		pl_store_call_clear(&calls[i]);
	}
	free(calls);
	pl_engine_free(e);
	pl_config_free(conf);
	pl_faults_clear(&faults);
	return pl_code_exit(code);
}
