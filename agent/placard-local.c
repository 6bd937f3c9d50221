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

	return pl_serve(table, &pl_service_key, "placard-local");
}
