/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <libpsl.h>

/*
 * Debian's library carries the list inside; without one, libpsl calls every
 * name a public suffix, which refuses more and never less.
 */
bool
pl_name_is_suffix(const char *name)
{
	return psl_is_public_suffix2(psl_builtin(), name,
	    PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) != 0;
}

const char *
pl_name_registrable(const char *name)
{
	return psl_registrable_domain(psl_builtin(), name);
}
