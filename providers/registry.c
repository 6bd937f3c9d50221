/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * All providers that the engine knows, one line each in the table, and the
 * options that they share.  Of each provider's file only the description is
 * linked here.
 */
#include "providers.h"

#include <string.h>

const struct pl_option pl_common_options[] = {
	{ .name = "enabled", .type = PL_OPT_BOOL, .fallback = "true",
	    .help = "false: the account is left alone" },
	{ .name = "ttl", .type = PL_OPT_INT, .min = 1, .max = 604800,
	    .help = "seconds that resolvers may keep our records" },
	{ .name = "timeout", .type = PL_OPT_INT, .fallback = "30", .min = 1,
	    .max = 600, .help = "seconds that one call may take" },
	{ .name = "allow-names", .type = PL_OPT_LIST,
	    .help = "patterns of further owner names that may be written" },
	{ .name = "follow", .type = PL_OPT_BOOL, .fallback = "true",
	    .help = "publish where a CNAME at the owner name leads" },
	{ .name = NULL }
};

const struct pl_option pl_http_options[] = {
	{ .name = "endpoint", .type = PL_OPT_URL,
	    .help = "scheme, host and port instead of the vendor's own" },
	{ .name = "ca-file", .type = PL_OPT_PATH,
	    .help = "certificates to trust instead of the system's" },
	{ .name = "rate", .type = PL_OPT_INT, .max = 1000000,
	    .help = "requests a minute at most, 0: any number; else the "
	    "vendor's" },
	{ .name = NULL }
};

/* In alphabetical order. */
const struct pl_provider_desc *const pl_registry[] = {
	&pl_desc_acmedns,
	&pl_desc_azure,
	&pl_desc_cloudflare,
	&pl_desc_cloudns,
	&pl_desc_exec,
	&pl_desc_file,
	&pl_desc_godaddy,
	&pl_desc_httpreq,
	&pl_desc_responder,
	&pl_desc_rfc2136,
	&pl_desc_route53,
	&pl_desc_sftp,
	NULL
};

const struct pl_provider_desc *
pl_provider_find(const char *name)
{
	size_t i;

	for (i = 0; pl_registry[i] != NULL; i++)
		if (strcmp(pl_registry[i]->name, name) == 0)
			return pl_registry[i];
	return NULL;
}
