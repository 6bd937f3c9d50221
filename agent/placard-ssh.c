/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

int
main(void)
{
	static const struct pl_provider *const table[] = {
		&pl_provider_sftp,
		NULL
	};
	static const struct pl_service *const services[] = {
		&pl_service_deploy_remote,
		NULL
	};

	return pl_serve(table, services, "placard-ssh");
}
