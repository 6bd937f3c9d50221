/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What an account's worker still needs, worked out from its settings. */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_path(const struct pl_option *o, const char *name)
{
	for (; o != NULL && o->name != NULL; o++) {
		if (strcmp(o->name, name) == 0)
			return o->type == PL_OPT_PATH;
	}
	return false;
}

static void
add_port(struct pl_sandbox *s, uint16_t port)
{
	s->ports = pl_grow(s->ports, s->nports + 1, sizeof(*s->ports));
	s->ports[s->nports++] = port;
}

/* A port that an option names: "host:port", or a URL. */
static void
port_of(struct pl_sandbox *s, const char *text)
{
	const char *host = strstr(text, "://");
	char copy[512], found[256];
	uint16_t port;

	if (host == NULL && strchr(text, '/') != NULL)
		return;
	snprintf(copy, sizeof(copy), "%s", host != NULL ? host + 3 : text);
	copy[strcspn(copy, "/")] = '\0';
	if (pl_hostport_parse(found, sizeof(found), &port, copy, 0, NULL) ==
	    PL_OK && port != 0)
		add_port(s, port);
	else if (host != NULL && strncmp(text, "http://", 7) == 0)
		add_port(s, 80);
}

static void
add_settings(struct pl_sandbox *s, const struct pl_settings *set,
    const struct pl_provider_desc *desc, const char **paths)
{
	static const char *const places[] = { "server", "endpoint",
		"login-endpoint", "url", "host", NULL };
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct pl_setting *one = &set->list[i];

		if (one->n == 0)
			continue;
		if (is_path(desc != NULL ? desc->options : NULL, one->name) ||
		    strcmp(one->name, "ca-file") == 0)
			paths[n++] = one->values[0];
		if (pl_str_in(one->name, places))
			port_of(s, one->values[0]);
		if (strcmp(one->name, "port") == 0)
			add_port(s, (uint16_t)pl_setting_int(set, "port",
			    22));
	}
}

void
pl_sandbox_account(enum pl_sandbox_mode mode, const struct pl_settings *set,
    const struct pl_provider_desc *desc, const char *program,
    const struct pl_log *log)
{
	struct pl_sandbox s = { .profile = PL_PROFILE_NET, .mode = mode };
	const char **paths = pl_array(set->n + 1, sizeof(*paths));

	add_settings(&s, set, desc, paths);
	if (strcmp(program, "placard-local") != 0) {
		s.read = paths;
		add_port(&s, 53);
		add_port(&s, strcmp(program, "placard-ssh") == 0 ? 22 : 443);
		/* The servers stand in that file: any port may be theirs. */
		if (pl_setting_find(set, "accounts-file") != NULL)
			s.nports = 0;
	} else if (desc != NULL && strcmp(desc->name, "exec") == 0)
		s.profile = PL_PROFILE_EXEC;
	else {
		s.profile = PL_PROFILE_LOCAL;
		s.write = paths;
		s.nports = 0;
	}
	pl_sandbox_apply(&s, log, set->account);
	free(s.ports);
	free(paths);
}
