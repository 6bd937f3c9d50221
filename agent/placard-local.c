/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

int
main(void)
{
	static const struct pl_provider *const table[] = {
		&pl_provider_exec,
		&pl_provider_file,
		NULL
	};
	static const struct pl_service *const services[] = {
		&pl_service_deploy,
		&pl_service_command,
		&pl_service_key,
		NULL
	};

	return pl_serve(table, services, "placard-local");
}
