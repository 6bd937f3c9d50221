/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The sections that only placardd and its clients need: service, notify. */
#include "config-options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_SOCKET "/run/placard/placardd.sock"
#define SYSTEM_STATE "/var/lib/placard"
#define DAY_MS INT64_C(86400000)

const struct pl_conf_spec config_service_spec[] = {
	{ .name = "socket", .type = PL_CONF_STR },
	{ .name = "group", .type = PL_CONF_STR },
	{ .name = "spool", .type = PL_CONF_STR },
	{ .name = "metrics-listen", .type = PL_CONF_STR },
	{ .name = "metrics-file", .type = PL_CONF_STR },
	{ .name = "deadline", .type = PL_CONF_STR },
	{ .name = "max-age", .type = PL_CONF_STR },
	{ .name = "keep", .type = PL_CONF_STR },
	{ .name = "max-jobs", .type = PL_CONF_STR },
	{ .name = "sandbox", .type = PL_CONF_STR },
	{ .name = NULL }
};

const struct pl_conf_spec config_notify_spec[] = {
	{ .name = "program", .type = PL_CONF_STR },
	{ .name = "arguments", .type = PL_CONF_LIST },
	{ .name = "timeout", .type = PL_CONF_STR },
	{ .name = "events", .type = PL_CONF_LIST },
	{ .name = NULL }
};

static void
take_duration(int64_t *out, struct pl_faults *faults,
    const struct pl_conf_section *s, const char *key, int64_t least,
    int64_t most)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);
	struct pl_err err;
	int64_t ms;

	if (v == NULL)
		return;
	pl_err_clear(&err);
	if (pl_duration_parse(&ms, v->text[0], &err) != PL_OK)
		pl_fault(faults, v->file, v->line, key, "%s", err.text);
	else if (ms < least || ms > most)
		pl_fault(faults, v->file, v->line, key, "a time between %llds "
		    "and %lldd is expected", (long long)least / 1000,
		    (long long)(most / DAY_MS));
	else
		*out = ms;
}

static char *
take_path(struct pl_faults *faults, const struct pl_conf_section *s,
    const char *key)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);

	if (v == NULL)
		return NULL;
	if (v->text[0][0] == '\0')
		pl_fault(faults, v->file, v->line, key, "empty");
	return config_path(v->file, v->text[0]);
}

static char *
take_text(const struct pl_conf_section *s, const char *key)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);

	return v != NULL ? pl_strdup(v->text[0]) : NULL;
}

/* Only this machine may ask: a loopback address with a port, or a socket. */
static char *
take_listen(struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "metrics-listen");
	char host[256];
	uint16_t port = 0;

	if (v == NULL)
		return NULL;
	if (strncmp(v->text[0], "unix:/", 6) == 0)
		return pl_strdup(v->text[0]);
	if (pl_hostport_parse(host, sizeof(host), &port, v->text[0], 0,
	    NULL) != PL_OK || port == 0 ||
	    (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0))
		pl_fault(faults, v->file, v->line, v->key, "a loopback "
		    "address with a port, or unix:/PATH, is expected");
	return pl_strdup(v->text[0]);
}

static void
take_sandbox(struct pl_service_conf *c, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	static const char *const words[] = { "on", "log", "off", NULL };
	const struct pl_conf_value *v = pl_conf_value(s, "sandbox");

	for (size_t i = 0; v != NULL && words[i] != NULL; i++) {
		if (strcmp(v->text[0], words[i]) == 0) {
			c->sandbox = (enum pl_sandbox_mode)i;
			return;
		}
	}
	if (v != NULL)
		pl_fault(faults, v->file, v->line, v->key,
		    "\"%s\" is none of on, log, off", v->text[0]);
}

void
config_service_load(struct pl_service_conf *c, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "max-jobs");
	int64_t n;

	c->socket = take_path(faults, s, "socket");
	c->group = take_text(s, "group");
	c->spool = take_path(faults, s, "spool");
	c->metrics_listen = take_listen(faults, s);
	c->metrics_file = take_path(faults, s, "metrics-file");
	take_duration(&c->deadline_ms, faults, s, "deadline", 1000,
	    30 * DAY_MS);
	take_duration(&c->max_age_ms, faults, s, "max-age", 1000,
	    3650 * DAY_MS);
	take_duration(&c->keep_ms, faults, s, "keep", 0, 3650 * DAY_MS);
	take_sandbox(c, faults, s);
	if (v != NULL && pl_int_parse(&n, v->text[0], 1, 1000000, NULL) !=
	    PL_OK)
		pl_fault(faults, v->file, v->line, v->key,
		    "a number from 1 to 1000000 is expected");
	else if (v != NULL)
		c->max_jobs = (unsigned)n;
}

/* ---- notify ---------------------------------------------------------------- */

static char **
notify_argv(const char *program, const struct pl_conf_value *arguments)
{
	size_t n = arguments != NULL ? arguments->n : 0;
	char **argv = pl_array(n + 2, sizeof(char *));

	argv[0] = pl_strdup(program);
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = pl_strdup(arguments->text[i]);
	return argv;
}

static void
notify_events(struct pl_notify_conf *n, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "events");
	enum pl_notice k;

	for (size_t i = 0; v != NULL && i < v->n; i++) {
		if (pl_notice_parse(&k, v->text[i]))
			n->events |= 1u << k;
		else
			pl_fault(faults, v->file, v->line, v->key, "\"%s\" "
			    "is none of issued, deployed, served, failed, "
			    "expiring", v->text[i]);
	}
}

void
config_notify_load(struct pl_config *c, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "program");
	struct pl_notify_conf *n;

	if (v == NULL) {
		pl_fault(faults, s->file, s->line, "program",
		    "missing in notify \"%s\"", s->title);
		return;
	}
	if (v->text[0][0] != '/') {
		pl_fault(faults, v->file, v->line, v->key,
		    "an absolute path is expected");
		return;
	}
	c->notifies = pl_grow(c->notifies, c->nnotifies + 1,
	    sizeof(*c->notifies));
	n = &c->notifies[c->nnotifies++];
	*n = (struct pl_notify_conf){ .timeout_ms = 30000 };
	n->name = pl_strdup(s->title);
	n->argv = notify_argv(v->text[0], pl_conf_value(s, "arguments"));
	take_duration(&n->timeout_ms, faults, s, "timeout", 1000, DAY_MS);
	notify_events(n, faults, s);
}

const struct pl_notify_conf *
pl_config_notify(const struct pl_config *c, const char *name)
{
	for (size_t i = 0; i < c->nnotifies; i++) {
		if (strcmp(c->notifies[i].name, name) == 0)
			return &c->notifies[i];
	}
	return NULL;
}

/* ---- defaults ----------------------------------------------------------------- */

void
config_service_init(struct pl_service_conf *c)
{
	c->deadline_ms = DAY_MS;
	c->max_age_ms = 30 * DAY_MS;
	c->keep_ms = 7 * DAY_MS;
	c->max_jobs = 20000;
}

void
config_service_clear(struct pl_config *c)
{
	free(c->service.socket);
	free(c->service.group);
	free(c->service.spool);
	free(c->service.metrics_listen);
	free(c->service.metrics_file);
	for (size_t i = 0; i < c->nnotifies; i++) {
		for (char **a = c->notifies[i].argv; *a != NULL; a++)
			free(*a);
		free(c->notifies[i].argv);
		free(c->notifies[i].name);
	}
	free(c->notifies);
}

char *
pl_config_socket(const struct pl_config *c, bool client)
{
	struct pl_buf b;

	if (c->service.socket != NULL)
		return pl_strdup(c->service.socket);
	if (strcmp(c->state_directory, SYSTEM_STATE) == 0)
		return pl_strdup(RUN_SOCKET);
	/* A user who may not read the configuration asks the system's. */
	if (client && (c->path == NULL || c->unreadable) &&
	    access(RUN_SOCKET, F_OK) == 0)
		return pl_strdup(RUN_SOCKET);
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s/placardd.sock", c->state_directory);
	return pl_buf_take(&b);
}

const char *
pl_config_spool(const struct pl_config *c)
{
	return c->service.spool != NULL ? c->service.spool :
	    c->state_directory;
}

/* ---- what may be published at all ------------------------------------------------ */

/* Names that any account may write, all together. */
static const char **
all_patterns(const struct pl_config *c)
{
	const char **list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->naccounts; i++) {
		char **p = c->accounts[i].allow_names;

		for (; p != NULL && *p != NULL; p++) {
			list = pl_grow(list, n + 2, sizeof(*list));
			list[n++] = *p;
			list[n] = NULL;
		}
	}
	return list;
}

enum pl_code
pl_config_allows(const struct pl_config *c, const struct pl_job *job,
    size_t *which, struct pl_err *err)
{
	const char **patterns = all_patterns(c);
	enum pl_code code = PL_OK;

	pl_err_clear(err);
	for (*which = 0; *which < job->n; (*which)++) {
		const struct pl_challenge *ch = &job->challenges[*which];

		if (ch->kind == PL_NOTHING)
			continue;
		code = pl_record_allowed(ch->kind, ch->record, ch->value,
		    ch->value_len, ch->method == PL_DNS_TXT_TOKEN, patterns,
		    err);
		if (code != PL_OK) {
			err->code = code = PL_EINVAL;
			break;
		}
	}
	free(patterns);
	return code;
}
