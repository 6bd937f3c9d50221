/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <string.h>

#define ORDER(word) .path = "order/" word, .name = word
#define PATH(word) .path = word, .name = word

/*
 * By path.  Repeated are calls that only look, and digicert/checkdcv: one more
 * check does no harm.  What costs money, changes an order or sends mail
 * is not.
 */
static const struct pl_store_desc calls[] = {
	{ PATH("csr"), .repeat = true },
	{ PATH("digicert/checkdcv"), .repeat = true },
	{ PATH("digicert/domaininfo"), .repeat = true },
	{ PATH("digicert/organizationinfo"), .repeat = true },
	{ PATH("digicert/organizationlist"), .auth = PL_STORE_FLAT,
	    .repeat = true },
	{ PATH("digicert/setapprovermethod") },
	{ PATH("health/status"), .auth = PL_STORE_NONE, .repeat = true },
	{ PATH("health/validate"), .auth = PL_STORE_FLAT, .repeat = true },
	{ ORDER("agreement"), .repeat = true },
	{ ORDER("approverlist"), .repeat = true },
	{ ORDER("certificaterevokerequest") },
	{ ORDER("changeapproveremail") },
	{ ORDER("changeapprovermethod") },
	{ ORDER("download"), .repeat = true },
	{ ORDER("downloadaszip"), .repeat = true },
	{ ORDER("getmodifiedorderssummary"), .repeat = true },
	{ ORDER("inviteorder") },
	{ ORDER("midtermupgrade") },
	{ ORDER("neworder") },
	{ ORDER("purchasenewsan") },
	{ ORDER("query"), .array = true, .repeat = true },
	{ ORDER("refundrequest") },
	{ ORDER("refundstatus"), .repeat = true },
	{ ORDER("reissue") },
	{ ORDER("resend") },
	{ ORDER("status"), .repeat = true },
	{ ORDER("validate"), .repeat = true },
	{ ORDER("validateorderparameters"), .repeat = true },
	{ PATH("product/query"), .array = true, .repeat = true },
	{ PATH("user/accountdetail"), .auth = PL_STORE_FLAT, .repeat = true,
	    .hasty = true },
};

const struct pl_store_desc *
pl_store_at(size_t i)
{
	return i < PL_NELEM(calls) ? &calls[i] : NULL;
}

const struct pl_store_desc *
pl_store_find(const char *path)
{
	for (size_t i = 0; path != NULL && i < PL_NELEM(calls); i++)
		if (strcmp(calls[i].path, path) == 0)
			return &calls[i];
	return NULL;
}

void
pl_store_call_clear(struct pl_store_call *c)
{
	pl_json_free(c->request);
	pl_json_free(c->answer);
	memset(c, 0, sizeof(*c));
}
