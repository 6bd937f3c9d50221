/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The configuration: what wire/conf.c has read, checked against the
 * providers' descriptions and brought into the form that the engine works
 * with.  Every fault is collected, with its place.
 */
#include "agent.h"
#include "config-options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/placard/placard.conf"
#define CONFIG_VERIFY_MS 300000
#define CONFIG_NAME_MAX 128	/* octets of an account's name */

static const struct pl_conf_spec route_spec[] = {
	{ .name = "account", .type = PL_CONF_STR },
	{ .name = "accounts", .type = PL_CONF_LIST },
	{ .name = "method", .type = PL_CONF_LIST },
	{ .name = "enabled", .type = PL_CONF_BOOL },
	{ .name = "follow", .type = PL_CONF_BOOL },
	{ .name = NULL }
};

static const struct pl_conf_spec verify_spec[] = {
	{ .name = "timeout", .type = PL_CONF_STR },
	{ .name = "resolvers", .type = PL_CONF_LIST },
	{ .name = "servers", .type = PL_CONF_LIST },
	{ .name = "http-servers", .type = PL_CONF_LIST },
	{ .name = "https-servers", .type = PL_CONF_LIST },
	{ .name = "quorum", .type = PL_CONF_STR },
	{ .name = "site-local", .type = PL_CONF_BOOL },
	{ .name = "dnssec", .type = PL_CONF_STR },
	{ .name = "caa", .type = PL_CONF_STR },
	{ .name = "trust-anchor", .type = PL_CONF_STR },
	{ .name = NULL }
};

/* Accounts and controllers are checked against their option tables. */
static const struct pl_conf_spec root_spec[] = {
	{ .name = "state-directory", .type = PL_CONF_STR },
	{ .name = "ca-rules", .type = PL_CONF_STR },
	{ .name = "account", .type = PL_CONF_SECTION, .titled = true },
	{ .name = "route", .type = PL_CONF_SECTION, .titled = true,
	    .inside = route_spec },
	{ .name = "verify", .type = PL_CONF_SECTION,
	    .inside = verify_spec },
	{ .name = "controller", .type = PL_CONF_SECTION, .titled = true },
	{ .name = "service", .type = PL_CONF_SECTION,
	    .inside = config_service_spec },
	{ .name = "notify", .type = PL_CONF_SECTION, .titled = true,
	    .inside = config_notify_spec },
	{ .name = "deploy", .type = PL_CONF_SECTION, .titled = true,
	    .inside = config_deploy_spec },
	{ .name = NULL }
};

/* ---- accounts ---------------------------------------------------------- */

static void
account_clear(struct pl_account *a)
{
	size_t i;

	for (i = 0; a->allow_names != NULL && a->allow_names[i] != NULL; i++)
		free(a->allow_names[i]);
	free(a->allow_names);
	pl_settings_clear(&a->settings);
}

const struct pl_account *
pl_config_account(const struct pl_config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->naccounts; i++)
		if (strcmp(c->accounts[i].settings.account, name) == 0)
			return &c->accounts[i];
	return NULL;
}

/* The titles of accounts and controllers stand in reports and logs. */
static void
check_title(struct pl_faults *faults, const struct pl_conf_section *s)
{
	const char *p;

	for (p = s->title; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			break;
	if (p == s->title || *p != '\0' || p - s->title > CONFIG_NAME_MAX)
		pl_fault(faults, s->file, s->line, s->type,
		    "a name of 1 to %d printable characters is expected",
		    CONFIG_NAME_MAX);
}

/* Faults sections of one type whose title was there before. */
static void
check_titles(struct pl_faults *faults, const struct pl_conf_section *tree,
    const char *type)
{
	const struct pl_conf_section *s, *t;

	for (s = tree->sections; s < tree->sections + tree->nsections; s++) {
		if (strcmp(s->type, type) != 0)
			continue;
		check_title(faults, s);
		for (t = tree->sections; t < s; t++)
			if (strcmp(t->type, type) == 0 &&
			    strcmp(t->title, s->title) == 0)
				break;
		if (t < s)
			pl_fault(faults, s->file, s->line, type,
			    "\"%s\" is given twice; first in %s, line %u",
			    s->title, t->file, t->line);
	}
}

/* The description that `provider` names, or NULL behind a fault. */
static const struct pl_provider_desc *
account_provider(struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "provider");
	const struct pl_provider_desc *desc;
	const char *names[64], *near = NULL;
	struct pl_buf known;
	size_t i;

	if (v != NULL && !v->list) {
		desc = pl_provider_find(v->text[0]);
		if (desc != NULL)
			return desc;
	}
	pl_buf_init(&known, PL_LIM_LINE);
	for (i = 0; pl_registry[i] != NULL && i < 63; i++) {
		names[i] = pl_registry[i]->name;
		pl_buf_addf(&known, "%s%s", i == 0 ? "" : ", ", names[i]);
	}
	names[i] = NULL;
	if (v != NULL && !v->list)
		near = pl_nearest(v->text[0], names);
	if (v == NULL)
		pl_fault(faults, s->file, s->line, "provider",
		    "missing in account \"%s\"; known are %s", s->title,
		    known.data);
	else if (near != NULL)
		pl_fault(faults, v->file, v->line, "provider",
		    "unknown; did you mean \"%s\"? known are %s", near,
		    known.data);
	else
		pl_fault(faults, v->file, v->line, "provider",
		    "unknown; known are %s", known.data);
	pl_buf_clear(&known);
	return NULL;
}

static char **
copy_list(char *const *values, size_t n)
{
	char **list = pl_array(n + 1, sizeof(list[0]));
	size_t i;

	for (i = 0; i < n; i++)
		list[i] = pl_strdup(values[i]);
	return list;
}

/* allow-names patterns: a name in which * stands for anything. */
static void
account_patterns(struct pl_account *a, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_setting *set = pl_setting_find(&a->settings,
	    "allow-names");
	size_t i;

	if (set == NULL)
		return;
	a->allow_names = copy_list(set->values, set->n);
	for (i = 0; i < set->n; i++)
		if (strspn(set->values[i], "abcdefghijklmnopqrstuvwxyz"
		    "0123456789-_.*") != strlen(set->values[i]))
			pl_fault(faults, s->file,
			    pl_conf_value(s, "allow-names")->line,
			    "allow-names", "\"%s\" is no pattern: lower case "
			    "letters, digits, - _ . and * are expected",
			    set->values[i]);
}

static void
account_common(struct pl_account *a, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_settings *set = &a->settings;

	a->enabled = pl_setting_bool(set, "enabled", true);
	a->follow = pl_setting_bool(set, "follow", true);
	a->timeout_ms = pl_setting_int(set, "timeout", 30) * 1000;
	a->rate = (unsigned)pl_setting_int(set, "rate", a->desc->rate);
	a->ttl = (uint32_t)pl_setting_int(set, "ttl", a->desc->default_ttl);
	if (pl_setting(set, "ttl") != NULL && a->ttl < a->desc->min_ttl)
		pl_fault(faults, s->file, pl_conf_value(s, "ttl")->line, "ttl",
		    "%s takes %u seconds at least", a->desc->name,
		    a->desc->min_ttl);
	account_patterns(a, faults, s);
}

static void
load_account(struct pl_config *c, struct pl_faults *faults,
    struct pl_conf_section *s)
{
	const struct pl_provider_desc *desc = account_provider(faults, s);
	struct config_tables tables = { .what = "provider" };
	size_t before = faults->n, n = 0;
	struct pl_account *a;
	struct pl_err err;

	if (desc == NULL)
		return;
	tables.name = desc->name;
	tables.list[n++] = desc->options;
	if ((desc->flags & PL_P_HTTP) != 0)
		tables.list[n++] = pl_http_options;
	tables.list[n++] = pl_common_options;
	c->accounts = pl_grow(c->accounts, c->naccounts + 1,
	    sizeof(c->accounts[0]));
	a = &c->accounts[c->naccounts++];
	memset(a, 0, sizeof(*a));
	a->desc = desc;
	a->file = s->file;
	a->line = s->line;
	a->settings.account = pl_strdup(s->title);
	a->settings.provider = pl_strdup(desc->name);
	config_options_load(&a->settings, &tables, s, faults);
	account_common(a, faults, s);
	pl_err_clear(&err);
	if (faults->n == before && desc->check != NULL &&
	    desc->check(&a->settings, &err) != PL_OK)
		pl_fault(faults, s->file, s->line, "account", "\"%s\": %s",
		    s->title, err.text);
}

/* ---- routes ------------------------------------------------------------ */

static void
route_clear(struct pl_route *r)
{
	size_t i;

	for (i = 0; i < r->naccounts; i++)
		free(r->accounts[i]);
	free(r->accounts);
	free(r->name);
}

static unsigned
method_bit(enum pl_method m)
{
	return 1u << pl_method_kind(m);
}

/* What all accounts of a route can publish: bits of enum pl_kind. */
static unsigned
route_kinds(const struct pl_config *c, const struct pl_route *r)
{
	const struct pl_account *a;
	unsigned kinds = ~0u;
	size_t i;

	for (i = 0; i < r->naccounts; i++) {
		a = pl_config_account(c, r->accounts[i]);
		if (a != NULL)
			kinds &= a->desc->kinds;
	}
	return kinds;
}

static bool
route_serves(const struct pl_config *c, const struct pl_route *r,
    enum pl_method m)
{
	size_t i;

	if (r->nmethods == 0)
		return (route_kinds(c, r) & method_bit(m)) != 0;
	for (i = 0; i < r->nmethods; i++)
		if (r->methods[i] == m)
			return true;
	return false;
}

const struct pl_route *
pl_config_route(const struct pl_config *c, const char *domain,
    enum pl_method m)
{
	const struct pl_route *r, *best = NULL;
	size_t i;

	for (i = 0; i < c->nroutes; i++) {
		r = &c->routes[i];
		if (r->enabled && pl_suffix_of(r->name, domain) &&
		    (best == NULL || strlen(r->name) > strlen(best->name)) &&
		    route_serves(c, r, m))
			best = r;
	}
	return best;
}

static void
route_name(struct pl_route *r, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	char name[PL_NAME_MAX];
	struct pl_err err;

	name[0] = '\0';
	pl_err_clear(&err);
	if (strncmp(s->title, "*.", 2) == 0)
		pl_fault(faults, s->file, s->line, "route",
		    "write \"%s\": a route serves the name and all below it",
		    s->title + 2);
	else if (strcmp(s->title, "*") != 0 &&
	    pl_name_ascii(name, s->title, false, &err) != PL_OK)
		pl_fault(faults, s->file, s->line, "route", "%s", err.text);
	r->name = pl_strdup(name);
}

static void
route_methods(struct pl_route *r, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "method");
	const char *names[PL_NMETHODS + 1] = { NULL }, *near;
	enum pl_method m;
	size_t i, k;

	for (i = 0; i < PL_NMETHODS; i++)
		names[i] = pl_method_name((enum pl_method)i);
	for (i = 0; v != NULL && i < v->n; i++) {
		if (!pl_method_parse(&m, v->text[i])) {
			near = pl_nearest(v->text[i], names);
			pl_fault(faults, v->file, v->line, "method",
			    "unknown method; %s\"%s\"%s", near != NULL ?
			    "did you mean " : "methods are written as ",
			    near != NULL ? near : "dns-01",
			    near != NULL ? "?" : "");
			continue;
		}
		if (pl_method_kind(m) == PL_NOTHING) {
			pl_fault(faults, v->file, v->line, "method",
			    "%s publishes nothing and needs no route",
			    v->text[i]);
			continue;
		}
		for (k = 0; k < r->nmethods && r->methods[k] != m; k++)
			;
		if (k < r->nmethods)
			pl_fault(faults, v->file, v->line, "method",
			    "%s is given twice", v->text[i]);
		else
			r->methods[r->nmethods++] = m;
	}
	if (v != NULL && v->n == 0)
		pl_fault(faults, v->file, v->line, "method",
		    "an empty list; leave it out to serve every method");
}

/* Is there a section of this name, whether or not it is in order? */
static bool
account_named(const struct pl_conf_section *tree, const char *name)
{
	size_t i;

	for (i = 0; i < tree->nsections; i++)
		if (strcmp(tree->sections[i].type, "account") == 0 &&
		    strcmp(tree->sections[i].title, name) == 0)
			return true;
	return false;
}

static void
fault_no_account(const struct pl_conf_section *tree, struct pl_faults *faults,
    const struct pl_conf_value *v, const char *name)
{
	const char **names = pl_array(tree->nsections + 1, sizeof(names[0]));
	const char *near;
	size_t i, n = 0;

	for (i = 0; i < tree->nsections; i++)
		if (strcmp(tree->sections[i].type, "account") == 0)
			names[n++] = tree->sections[i].title;
	near = pl_nearest(name, names);
	if (near != NULL)
		pl_fault(faults, v->file, v->line, v->key,
		    "there is no account \"%s\"; did you mean \"%s\"?", name,
		    near);
	else
		pl_fault(faults, v->file, v->line, v->key,
		    "there is no account \"%s\"", name);
	free(names);
}

static void
route_accounts(struct pl_route *r, const struct pl_config *c,
    struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_conf_value *one = pl_conf_value(s, "account"),
	    *many = pl_conf_value(s, "accounts"), *v = one;
	size_t i, k;

	if (one != NULL && many != NULL)
		pl_fault(faults, many->file, many->line, "accounts",
		    "account is given too; only one of the two may stand here");
	if (v == NULL)
		v = many;
	if (v == NULL || v->n == 0) {
		pl_fault(faults, s->file, s->line, "route",
		    "\"%s\" names no account: write account = \"NAME\"",
		    s->title);
		return;
	}
	r->accounts = copy_list(v->text, v->n);
	r->naccounts = v->n;
	for (i = 0; i < v->n; i++) {
		if (!account_named(c->tree, v->text[i]))
			fault_no_account(c->tree, faults, v, v->text[i]);
		for (k = 0; k < i; k++)
			if (strcmp(v->text[k], v->text[i]) == 0)
				break;
		if (k < i)
			pl_fault(faults, v->file, v->line, v->key,
			    "account \"%s\" is given twice", v->text[i]);
	}
}

/* Can each account of the route do what the route is for? */
static void
route_able(const struct pl_route *r, const struct pl_config *c,
    struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_account *a;
	size_t i, k;

	for (i = 0; i < r->nmethods; i++)
		for (k = 0; k < r->naccounts; k++) {
			a = pl_config_account(c, r->accounts[k]);
			if (a != NULL && (a->desc->kinds &
			    method_bit(r->methods[i])) == 0)
				pl_fault(faults, s->file,
				    pl_conf_value(s, "method")->line,
				    "method", "account \"%s\" (%s) cannot "
				    "publish %s", r->accounts[k],
				    a->desc->name,
				    pl_method_name(r->methods[i]));
		}
	if (r->nmethods == 0 && r->naccounts > 1 && route_kinds(c, r) == 0)
		pl_fault(faults, s->file, s->line, "route",
		    "\"%s\": its accounts have no kind of record in common; "
		    "write a route for each with its method", s->title);
}

/* Two routes for one name must share the methods among them. */
static void
route_unique(const struct pl_route *r, const struct pl_config *c,
    struct pl_faults *faults, const struct pl_conf_section *s)
{
	const struct pl_route *old;
	size_t i, k;

	for (old = c->routes; old < r; old++) {
		if (strcmp(old->name, r->name) != 0)
			continue;
		if (old->nmethods > 0 && r->nmethods > 0) {
			for (i = 0, k = 0; i < r->nmethods; i++)
				k += route_serves(c, old, r->methods[i]);
			if (k == 0)
				continue;
		}
		pl_fault(faults, s->file, s->line, "route",
		    "\"%s\" is given twice; two routes for one name must have "
		    "different methods", s->title);
		return;
	}
}

static bool
section_bool(const struct pl_conf_section *s, const char *key, bool fallback)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);

	return v == NULL ? fallback : strcmp(v->text[0], "true") == 0;
}

static void
load_route(struct pl_config *c, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	struct pl_route *r;

	c->routes = pl_grow(c->routes, c->nroutes + 1, sizeof(c->routes[0]));
	r = &c->routes[c->nroutes++];
	memset(r, 0, sizeof(*r));
	route_name(r, faults, s);
	route_methods(r, faults, s);
	route_accounts(r, c, faults, s);
	route_able(r, c, faults, s);
	route_unique(r, c, faults, s);
	r->enabled = section_bool(s, "enabled", true);
	r->follow = pl_conf_value(s, "follow") == NULL ? -1 :
	    section_bool(s, "follow", true);
}

/* ---- verify ------------------------------------------------------------ */

/* A resolver of DNS over HTTPS: https://HOST[:PORT][/PATH]. */
static bool
is_doh(const char *text)
{
	char host[256];
	size_t n;
	uint16_t port;
	struct pl_buf b;
	bool ok;

	if (strncmp(text, "https://", 8) != 0 ||
	    text[strcspn(text, " #@\\\"")] != '\0')
		return false;
	n = strcspn(text + 8, "/?");
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_add(&b, text + 8, n);
	ok = pl_hostport_parse(host, sizeof(host), &port, b.data, 443,
	    NULL) == PL_OK;
	pl_buf_clear(&b);
	return ok;
}

/* A list of "ADDR[:PORT]". */
static char **
verify_addresses(struct pl_faults *faults, const struct pl_conf_section *s,
    const char *key, uint16_t port)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);
	unsigned char address[sizeof(struct in6_addr)];
	char host[256];
	uint16_t found;
	size_t i;

	if (v == NULL || v->n == 0)
		return NULL;
	for (i = 0; i < v->n; i++)
		if (!(strcmp(key, "resolvers") == 0 && is_doh(v->text[i])) &&
		    (pl_hostport_parse(host, sizeof(host), &found, v->text[i],
		    port, NULL) != PL_OK ||
		    (inet_pton(AF_INET, host, address) != 1 &&
		    inet_pton(AF_INET6, host, address) != 1)))
			pl_fault(faults, v->file, v->line, key,
			    "\"%s\" is no address: ADDR, ADDR:PORT%s or "
			    "[ADDR]:PORT is expected", v->text[i],
			    strcmp(key, "resolvers") == 0 ?
			    ", https://HOST/PATH" : "");
	return copy_list(v->text, v->n);
}

/* off, warn or require. */
static char *
verify_degree(struct pl_faults *faults, const struct pl_conf_section *s,
    const char *key)
{
	static const char *const known[] = { "off", "warn", "require", NULL };
	const struct pl_conf_value *v = pl_conf_value(s, key);

	if (v == NULL)
		return pl_strdup("warn");
	if (!pl_str_in(v->text[0], known))
		pl_fault(faults, v->file, v->line, key,
		    "\"%s\" is none of off, warn, require", v->text[0]);
	return pl_strdup(v->text[0]);
}

static void
verify_numbers(struct pl_verify_conf *verify, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "timeout");
	struct pl_err err;
	int64_t n;

	pl_err_clear(&err);
	if (v != NULL && pl_duration_parse(&n, v->text[0], &err) != PL_OK)
		pl_fault(faults, v->file, v->line, "timeout", "%s", err.text);
	else if (v != NULL && (n < 1 || n > INT64_C(7) * 86400 * 1000))
		pl_fault(faults, v->file, v->line, "timeout",
		    "a time between 1ms and 7d is expected");
	else if (v != NULL)
		verify->timeout_ms = n;
	v = pl_conf_value(s, "quorum");
	if (v == NULL || strcmp(v->text[0], "all") == 0)
		return;
	if (pl_int_parse(&n, v->text[0], 1, 1000, NULL) != PL_OK)
		pl_fault(faults, v->file, v->line, "quorum",
		    "\"all\" or a number of servers is expected");
	else
		verify->quorum = (unsigned)n;
}

static void
load_verify(struct pl_verify_conf *verify, struct pl_faults *faults,
    const struct pl_conf_section *s)
{
	const struct pl_conf_value *v = pl_conf_value(s, "trust-anchor");

	verify_numbers(verify, faults, s);
	verify->resolvers = verify_addresses(faults, s, "resolvers", 53);
	verify->servers = verify_addresses(faults, s, "servers", 53);
	verify->http_servers = verify_addresses(faults, s, "http-servers",
	    80);
	verify->https_servers = verify_addresses(faults, s, "https-servers",
	    443);
	verify->site_local = section_bool(s, "site-local", false);
	free(verify->dnssec);
	free(verify->caa);
	verify->dnssec = verify_degree(faults, s, "dnssec");
	verify->caa = verify_degree(faults, s, "caa");
	if (v != NULL)
		verify->trust_anchor = config_path(v->file, v->text[0]);
}

/* ---- the whole ---------------------------------------------------------- */

static void
list_free(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

void
pl_config_free(struct pl_config *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->naccounts; i++)
		account_clear(&c->accounts[i]);
	for (i = 0; i < c->nroutes; i++)
		route_clear(&c->routes[i]);
	for (i = 0; i < c->ncontrollers; i++)
		pl_settings_clear(&c->controllers[i].settings);
	free(c->controllers);
	pl_rules_free(c->rules);
	free(c->accounts);
	free(c->routes);
	list_free(c->verify.resolvers);
	list_free(c->verify.servers);
	list_free(c->verify.http_servers);
	list_free(c->verify.https_servers);
	free(c->verify.dnssec);
	free(c->verify.caa);
	free(c->verify.trust_anchor);
	free(c->path);
	free(c->state_directory);
	config_service_clear(c);
	config_deploy_clear(c);
	pl_conf_free(c->tree);
	free(c);
}

/* XDG base directories; a service user without a home gets root's place. */
static char *
default_state(void)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *pw;
	struct pl_buf b;

	if (geteuid() == 0)
		return pl_strdup("/var/lib/placard");
	if (home == NULL || home[0] != '/') {
		pw = getpwuid(geteuid());
		home = pw != NULL && pw->pw_dir[0] == '/' ? pw->pw_dir : NULL;
	}
	pl_buf_init(&b, PL_LIM_LINE);
	if (xdg != NULL && xdg[0] == '/')
		pl_buf_addf(&b, "%s/placard", xdg);
	else if (home != NULL)
		pl_buf_addf(&b, "%s/.local/state/placard", home);
	else
		pl_buf_adds(&b, "/var/lib/placard");
	return pl_buf_take(&b);
}

static struct pl_config *
config_new(void)
{
	struct pl_config *c = pl_alloc(sizeof(*c));

	c->verify.timeout_ms = CONFIG_VERIFY_MS;
	c->verify.dnssec = pl_strdup("warn");
	c->verify.caa = pl_strdup("warn");
	config_service_init(&c->service);
	return c;
}

static void
config_fill(struct pl_config *c, struct pl_faults *faults)
{
	const struct pl_conf_value *v = pl_conf_value(c->tree,
	    "state-directory");
	struct pl_conf_section *s, *end = c->tree->sections +
	    c->tree->nsections;

	if (v != NULL && v->text[0][0] == '\0')
		pl_fault(faults, v->file, v->line, v->key, "empty");
	else if (v != NULL)
		c->state_directory = config_path(v->file, v->text[0]);
	config_rules_load(c, faults);
	check_titles(faults, c->tree, "account");
	check_titles(faults, c->tree, "controller");
	check_titles(faults, c->tree, "notify");
	check_titles(faults, c->tree, "deploy");
	for (s = c->tree->sections; s < end; s++)
		if (strcmp(s->type, "account") == 0)
			load_account(c, faults, s);
		else if (strcmp(s->type, "controller") == 0)
			config_controller_load(c, faults, s);
		else if (strcmp(s->type, "verify") == 0)
			load_verify(&c->verify, faults, s);
		else if (strcmp(s->type, "service") == 0)
			config_service_load(&c->service, faults, s);
		else if (strcmp(s->type, "notify") == 0)
			config_notify_load(c, faults, s);
	/* These may stand before the accounts that they name. */
	for (s = c->tree->sections; s < end; s++)
		if (strcmp(s->type, "route") == 0)
			load_route(c, faults, s);
		else if (strcmp(s->type, "deploy") == 0)
			config_deploy_load(c, faults, s);
}

enum pl_code
pl_config_load(struct pl_config **out, const char *path,
    struct pl_faults *faults, struct pl_err *err)
{
	const char *given = path != NULL ? path : getenv("PLACARD_CONFIG");
	struct pl_config *c = config_new();
	enum pl_code rc = PL_OK;

	*out = NULL;
	if (given == NULL || given[0] == '\0')
		given = path = CONFIG_DEFAULT;
	else
		path = NULL;
	if (path != NULL && access(given, R_OK) != 0 &&
	    (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) {
		c->unreadable = errno == EACCES;
	} else {
		c->path = pl_strdup(given);
		rc = pl_conf_read(&c->tree, given, root_spec, faults, err);
		if (rc == PL_OK)
			config_fill(c, faults);
	}
	if (rc == PL_OK && faults->n > 0)
		rc = pl_fail(err, PL_EINVAL, "%s: %zu fault%s", given,
		    faults->n, faults->n == 1 ? "" : "s");
	if (rc != PL_OK) {
		pl_config_free(c);
		return rc;
	}
	if (c->state_directory == NULL)
		c->state_directory = default_state();
	*out = c;
	return PL_OK;
}
