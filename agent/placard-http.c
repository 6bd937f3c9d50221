/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "agent.h"

int
main(void)
{
	/* In alphabetical order. */
	static const struct pl_provider *const table[] = {
		NULL
	};

	return pl_serve(table, &pl_service_store, "placard-http");
}
