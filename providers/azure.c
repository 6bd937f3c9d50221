/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Azure DNS, API version 2018-05-01, through Azure Resource Manager with a
 * client secret (Microsoft identity platform, client credentials).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

/* ---- description ------------------------------------------------------ */

static const struct pl_option azure_options[] = {
	{ .name = "subscription-id", .type = PL_OPT_STRING, .required = true,
	    .help = "the subscription that holds the zones" },
	{ .name = "tenant-id", .type = PL_OPT_STRING, .required = true,
	    .help = "the directory (tenant) of the application" },
	{ .name = "client-id", .type = PL_OPT_STRING, .required = true,
	    .help = "the application (client) id" },
	{ .name = "client-secret", .type = PL_OPT_SECRET, .required = true,
	    .help = "a client secret's value (not its id)" },
	{ .name = "resource-group", .type = PL_OPT_STRING,
	    .help = "the group of the zones; else all of the subscription" },
	{ .name = "cloud", .type = PL_OPT_STRING, .fallback = "public",
	    .values = "public|usgovernment|china",
	    .help = "which of the vendor's clouds" },
	{ .name = "login-endpoint", .type = PL_OPT_URL,
	    .help = "scheme, host and port of the login service instead" },
	{ .name = NULL },
};

/* Ids and domain names: what cannot leave its place in a path. */
static bool
azure_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !(*s >= '0' && *s <= '9') && *s != '-' && *s != '.')
			return false;
	return true;
}

static enum pl_code
azure_check(const struct pl_settings *set, struct pl_err *err)
{
	static const char *const words[] = { "subscription-id", "tenant-id",
		"client-id" };
	const char *value;
	size_t i;

	for (i = 0; i < PL_NELEM(words); i++) {
		value = pl_setting(set, words[i]);
		if (value != NULL && (*value == '\0' || *value == '.' ||
		    !azure_word(value)))
			return pl_fail(err, PL_EINVAL, "%s: letters, digits "
			    "and hyphens are expected", words[i]);
	}
	value = pl_setting(set, "resource-group");
	if (value != NULL && (*value == '\0' || strlen(value) > 90 ||
	    strpbrk(value, "/?#%") != NULL ||
	    strspn(value, ".") == strlen(value)))
		return pl_fail(err, PL_EINVAL, "resource-group: the name of "
		    "one is expected");
	return PL_OK;
}

static const char azure_recipe[] =
    "An application of its own with a role that ends at these record sets.\n"
    "RESOURCE-GROUP, ZONE and SUBSCRIPTION-ID are yours; role.json is:\n"
    "\n"
    "{ \"Name\": \"placard challenges\",\n"
    "  \"IsCustom\": true,\n"
    "  \"Description\": \"Proofs of control in TXT and CNAME records\",\n"
    "  \"Actions\": [\n"
    "    \"Microsoft.Network/dnsZones/TXT/read\",\n"
    "    \"Microsoft.Network/dnsZones/TXT/write\",\n"
    "    \"Microsoft.Network/dnsZones/TXT/delete\",\n"
    "    \"Microsoft.Network/dnsZones/CNAME/read\",\n"
    "    \"Microsoft.Network/dnsZones/CNAME/write\",\n"
    "    \"Microsoft.Network/dnsZones/CNAME/delete\" ],\n"
    "  \"AssignableScopes\": [ \"/subscriptions/SUBSCRIPTION-ID\" ] }\n"
    "\n"
    "z=ZONE g=RESOURCE-GROUP\n"
    "id=$(az network dns zone show -g $g -n $z --query id -o tsv)\n"
    "az role definition create --role-definition role.json\n"
    "az ad sp create-for-rbac --name placard\n"
    "app=(the appId that it prints, beside password and tenant)\n"
    "for n in %*; do\n"
    "\taz network dns record-set txt add-record -g $g -z $z \\\n"
    "\t    -n \"${n%%.$z}\" -v kept\n"
    "\taz role assignment create --assignee $app \\\n"
    "\t    --role \"placard challenges\" --scope \"$id/TXT/${n%%.$z}\"\n"
    "done\n"
    "\n"
    "The value \"kept\" keeps each set, and with it the role, in being.  Such\n"
    "an account needs resource-group.\n";

const struct pl_provider_desc pl_desc_azure = {
	.name = "azure",
	.program = "placard-http",
	.summary = "Azure DNS",
	.kinds = 1u << PL_TXT | 1u << PL_CNAME,
	.flags = PL_P_LOOK | PL_P_ALIAS | PL_P_HTTP,
	/* 200 writes a zone and minute. */
	.max_batch = 200,
	.min_ttl = 1,
	.default_ttl = 60,
	.parallel = 4,
	/* Of reads 25 a second and 250 at once, of writes 10 and 200; a set
	 * that changes costs one of each. */
	.rate = 1200,
	.burst = 400,
	.options = azure_options,
	.check = azure_check,
	.recipe = azure_recipe,
};

#ifndef PL_DESCRIBE

/* ---- the door ------------------------------------------------------------ */

struct azure_cloud {
	const char *name, *arm, *login;
};

static const struct azure_cloud azure_clouds[] = {
	{ "public", "https://management.azure.com",
	    "https://login.microsoftonline.com" },
	{ "usgovernment", "https://management.usgovcloudapi.net",
	    "https://login.microsoftonline.us" },
	{ "china", "https://management.chinacloudapi.cn",
	    "https://login.chinacloudapi.cn" },
};

static const struct azure_cloud *
azure_cloud_find(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < PL_NELEM(azure_clouds); i++)
		if (strcmp(azure_clouds[i].name, name) == 0)
			return &azure_clouds[i];
	return &azure_clouds[0];
}

static const char *
zone_name(const void *ctx, size_t i)
{
	const struct azure *self = ctx;

	return self->zones[i].name;
}

/* Reading harms nobody; to write what is no TXT or CNAME is not needed. */
static bool
action_needed(const char *action)
{
	static const char zones[] = "microsoft.network/dnszones/";
	size_t n = strlen(action);

	if (n >= 5 && strcasecmp(action + n - 5, "/read") == 0)
		return true;
	if (strncasecmp(action, zones, sizeof(zones) - 1) != 0)
		return false;
	action += sizeof(zones) - 1;
	return strncasecmp(action, "txt/", 4) == 0 ||
	    strncasecmp(action, "cname/", 6) == 0;
}

static void
actions_say(const struct pl_call *call, const json_t *list)
{
	struct pl_buf b;
	const char *action;
	size_t i, k, n = 0;

	pl_buf_init(&b, PL_LIM_LINE);
	for (i = 0; i < pl_json_count(list); i++) {
		const json_t *all = pl_json_get(pl_json_at(list, i),
		    "actions");

		for (k = 0; k < pl_json_count(all) && n < 3; k++) {
			action = pl_json_str(pl_json_at(all, k));
			if (action != NULL && strlen(action) < 80 &&
			    !action_needed(action))
				pl_buf_addf(&b, "%s%s", n++ > 0 ? ", " : "",
				    action);
		}
	}
	if (n > 0)
		pl_say_warning(call, "its role allows more than TXT and CNAME "
		    "records: %s", b.data);
	pl_buf_clear(&b);
}

/*
 * What may the application do in the group (Authorization, permissions:
 * list for resource group)?  Roles of record sets only do not let it ask.
 */
static void
warn_wide(struct azure *self, const struct pl_call *call)
{
	const char *group = self->group != NULL ? self->group :
	    self->nzones > 0 ? self->zones[0].group : NULL;
	struct azure_req q = { .what = "permissions", .method = "GET" };
	struct azure_res r;
	struct pl_buf b;

	if (call->said == NULL || group == NULL)
		return;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, "/subscriptions/");
	pl_url_escape(&b, self->subscription, false);
	pl_buf_adds(&b, "/resourceGroups/");
	pl_url_escape(&b, group, false);
	pl_buf_adds(&b, "/providers/Microsoft.Authorization/permissions"
	    "?api-version=2022-04-01");
	q.target = pl_buf_take(&b);
	azure_send(self, call, &q, &r, 1);
	if (r.code == PL_OK)
		actions_say(call, pl_json_get(r.doc, "value"));
	azure_res_clear(&r, 1);
	azure_req_clear(&q, 1);
}

/*
 * n == 0: a token proves the credentials.  A role for one record set may
 * neither list zones nor read one; that is no fault of theirs where the
 * resource group is known.
 */
static enum pl_code
azure_test(struct azure *self, const struct pl_call *call,
    const char *scope, struct pl_err *err)
{
	enum pl_code code;
	bool denied = false;

	if (*scope != '\0' && self->group != NULL) {
		code = azure_zone_there(self, call, self->group, scope, err);
		denied = code == PL_EAUTH && self->token != NULL;
	} else {
		self->listed = false;
		code = azure_zones_list(self, call, &denied, err);
		if (code == PL_OK)
			pl_say_zones(call, self->nzones, false, zone_name,
			    self);
		if (code == PL_OK)
			warn_wide(self, call);
	}
	if (code == PL_EAUTH && denied && self->group != NULL) {
		pl_err_clear(err);
		code = PL_OK;
	}
	return code;
}

static enum pl_code
azure_apply(void *ctx, const struct pl_call *call, const char *scope,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err)
{
	struct azure *self = ctx;
	struct pl_err why;
	enum pl_code code;
	char *group;
	size_t i;

	pl_err_clear(err);
	if (n == 0)
		return azure_test(self, call, scope, err);
	pl_err_clear(&why);
	code = azure_group(self, call, scope, &group, &why);
	if (code == PL_OK)
		code = azure_change(self, call, group, scope, chg, out, n,
		    &why);
	else
		for (i = 0; i < n; i++)
			out[i].code = code;
	/* What was known of the zones may be old. */
	if (code == PL_ENOZONE) {
		azure_zones_forget(self);
		azure_sets_forget(self);
	}
	if (code != PL_OK && err != NULL)
		*err = why;
	free(group);
	return code;
}

/* Names come many to a call.  What fails for one of them, other than for
 * its own sake, is not tried again for the next. */
static enum pl_code
azure_scope(void *ctx, const struct pl_call *call, const char *name,
    char scope[PL_NAME_MAX], struct pl_err *err)
{
	struct azure *self = ctx;
	const struct azure_zone *zone = NULL;
	struct pl_err why;
	enum pl_code code;
	bool own;

	scope[0] = '\0';
	pl_err_clear(&why);
	if (self->failed == call->deadline) {
		why = self->why;
		code = why.code;
	} else {
		code = azure_find(self, call, name, &zone, &why);
		/* Of rights, one name's tell nothing of another's. */
		own = code == PL_ENOZONE || code == PL_EINVAL ||
		    (code == PL_EAUTH && self->token != NULL);
		if (code != PL_OK && !own) {
			self->failed = call->deadline;
			self->why = why;
		}
	}
	if (code == PL_OK && strlen(zone->name) >= PL_NAME_MAX)
		code = pl_fail(&why, PL_EPROTO, "zone of %s: name too long",
		    name);
	if (code == PL_OK)
		memcpy(scope, zone->name, strlen(zone->name) + 1);
	else if (err != NULL)
		*err = why;
	return code;
}

static void
azure_close(void *ctx)
{
	struct azure *self = ctx;

	if (self == NULL)
		return;
	azure_zones_forget(self);
	azure_sets_forget(self);
	pl_http_close(self->arm);
	pl_http_close(self->login);
	pl_secret_free(self->secret);
	pl_secret_free(self->token);
	free(self->subscription);
	free(self->tenant);
	free(self->client);
	free(self->group);
	free(self);
}

static enum pl_code
azure_connect(struct azure *self, const struct pl_settings *set,
    struct pl_err *err)
{
	const struct azure_cloud *cloud = azure_cloud_find(pl_setting(set,
	    "cloud"));
	const char *arm = pl_setting(set, "endpoint");
	const char *login = pl_setting(set, "login-endpoint");
	struct pl_http_opts o = { .ca_file = pl_setting(set, "ca-file"),
		.timeout_ms = pl_setting_int(set, "timeout", 30) * 1000 };
	enum pl_code code;

	self->resource = cloud->arm;
	o.endpoint = arm != NULL ? arm : cloud->arm;
	code = pl_http_open(&self->arm, &o, err);
	if (code != PL_OK)
		return code;
	o.endpoint = login != NULL ? login : cloud->login;
	code = pl_http_open(&self->login, &o, err);
	return code == PL_OK ? code : pl_prefix(err, "login");
}

static enum pl_code
azure_open(void **out, const struct pl_settings *set, struct pl_err *err)
{
	struct azure *self;
	enum pl_code code;

	*out = NULL;
	code = azure_check(set, err);
	if (code != PL_OK)
		return code;
	self = pl_alloc(sizeof(*self));
	self->subscription = pl_strdup(pl_setting(set, "subscription-id"));
	self->tenant = pl_strdup(pl_setting(set, "tenant-id"));
	self->client = pl_strdup(pl_setting(set, "client-id"));
	self->group = pl_strdup(pl_setting(set, "resource-group"));
	code = pl_setting_secret(set, "client-secret", false, &self->secret,
	    err);
	if (code == PL_OK && (self->subscription == NULL ||
	    self->tenant == NULL || self->client == NULL ||
	    self->secret == NULL))
		code = pl_fail(err, PL_EINVAL, "subscription-id, tenant-id, "
		    "client-id, client-secret: all are needed");
	if (code == PL_OK)
		code = azure_connect(self, set, err);
	if (code != PL_OK) {
		azure_close(self);
		return code;
	}
	*out = self;
	return PL_OK;
}

static uint32_t
azure_requests(void *self)
{
	const struct azure *p = self;

	return pl_http_requests(p->arm) + pl_http_requests(p->login);
}

const struct pl_provider pl_provider_azure = {
	.desc = &pl_desc_azure,
	.open = azure_open,
	.scope = azure_scope,
	.apply = azure_apply,
	.close = azure_close,
	.requests = azure_requests,
};

#endif /* PL_DESCRIBE */
