/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

int
main(void)
{
	/* In alphabetical order. */
	static const struct pl_provider *const table[] = {
		&pl_provider_acmedns,
		&pl_provider_httpreq,
		&pl_provider_azure,
		&pl_provider_cloudflare,
		&pl_provider_cloudns,
		&pl_provider_godaddy,
		&pl_provider_route53,
		NULL
	};
	static const struct pl_service *const services[] = {
		&pl_service_store,
		NULL
	};

	return pl_serve(table, services, "placard-http");
}
