/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The worker of `responder` accounts.  It has no secret and needs no file:
 * sockets that are bound, or handed down, before it says that it is ready are
 * all that it has.
 */
#include "agent.h"

int
main(void)
{
	static const struct pl_provider *const table[] = {
		&pl_provider_responder,
		NULL
	};

	return pl_serve_accounts(table, "placard-respond");
}
