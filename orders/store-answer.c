/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * An answer's envelope.  HTTP 200 says nothing: an error hides in
 * AuthResponse.isError, in isError at the top, or in the only element of an
 * array.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STORE_REFUSED_TOKEN (-9008)

/* The object that has isError, or NULL. */
static const json_t *
envelope(const json_t *j)
{
	const json_t *auth = pl_store_object(j, "AuthResponse");

	if (auth != NULL)
		return auth;
	if (pl_json_is_object(j) && pl_json_get(j, "isError") != NULL)
		return j;
	return NULL;
}

bool
pl_store_is_error(const json_t *element)
{
	const json_t *auth = envelope(element);

	return auth != NULL && pl_store_bool(auth, "isError", false);
}

/* Gives the message: a text, or the texts of an array with "; " between. */
static char *
message_text(const json_t *auth)
{
	const json_t *j = pl_json_get(auth, "Message");
	struct pl_buf b;
	const char *s;

	if (!pl_json_is_array(j))
		return pl_store_text(auth, "Message");
	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; i < pl_json_count(j) && b.len < 2000; i++) {
		s = pl_json_str(pl_json_at(j, i));
		if (s != NULL && *s != '\0')
			pl_buf_addf(&b, "%s%.1000s", b.len > 0 ? "; " : "", s);
	}
	if (b.len == 0)
		pl_buf_clear(&b);
	return b.len > 0 ? pl_buf_take(&b) : NULL;
}

/* "ErrorCode:-9009|Message:text" to number and text; else 0 and all of it. */
static const char *
message_parts(const char *text, int64_t *number)
{
	const char *p = text, *bar = strchr(text, '|');
	char digits[20];
	bool minus;
	size_t n;

	*number = 0;
	if (strncasecmp(p, "ErrorCode:", 10) != 0)
		return text;
	p += 10 + strspn(p + 10, " ");
	minus = *p == '-';
	p += minus;
	n = strspn(p, "0123456789");
	if (n == 0 || n >= sizeof(digits) || (bar != NULL && p + n > bar))
		return text;
	memcpy(digits, p, n);
	digits[n] = '\0';
	if (pl_int_parse(number, digits, 0, INT64_MAX / 2, NULL) != PL_OK)
		return text;
	if (minus)
		*number = -*number;
	if (bar == NULL)
		return p + n;
	p = bar + 1 + strspn(bar + 1, " ");
	if (strncasecmp(p, "Message:", 8) == 0)
		p += 8;
	return p + strspn(p, " ");
}

/* Without a number, a sentence may still say that it is the credentials. */
static bool
says_auth(const char *text)
{
	static const char *const signs[] = { "authentication fail",
		"token/authentication", "invalid authtoken",
		"invalid partner code", "invalid credentials" };
	size_t n = strlen(text);

	for (size_t i = 0; i < PL_NELEM(signs); i++)
		for (size_t k = 0; k + strlen(signs[i]) <= n; k++)
			if (strncasecmp(text + k, signs[i],
			    strlen(signs[i])) == 0)
				return true;
	return false;
}

static enum pl_code
refusal(const struct pl_store_desc *d, const json_t *auth, int64_t *number,
    struct pl_err *err)
{
	char *whole = message_text(auth);
	const char *text = "refused without a reason";
	enum pl_code code = PL_EREMOTE;

	if (whole != NULL)
		text = message_parts(whole, number);
	if (*number == STORE_REFUSED_TOKEN || (*number == 0 && says_auth(text)))
		code = PL_EAUTH;
	if (*number != 0)
		pl_fail(err, code, "sslstore: %s: %lld: %s", d->name,
		    (long long)*number, *text != '\0' ? text :
		    "refused without a reason");
	else
		pl_fail(err, code, "sslstore: %s: %s", d->name, text);
	free(whole);
	return code;
}

/* accountdetail says isError also when it worked. */
static bool
has_payload(const json_t *j)
{
	return !pl_json_is_null(pl_json_get(j, "PartnerCode")) ||
	    !pl_json_is_null(pl_json_get(j, "AccountBalance"));
}

enum pl_code
pl_store_judge(const struct pl_store_desc *d, const json_t *answer,
    int64_t *number, struct pl_err *err)
{
	const json_t *first = answer, *auth;

	*number = 0;
	if (pl_json_is_array(answer)) {
		if (!d->array)
			return pl_fail(err, PL_EPROTO, "sslstore: %s: an "
			    "array came in place of an object", d->name);
		if (pl_json_count(answer) == 0)
			return PL_OK;
		first = pl_json_at(answer, 0);
	}
	auth = envelope(first);
	if (auth == NULL)
		return pl_fail(err, PL_EPROTO, "sslstore: %s: the answer has "
		    "no AuthResponse", d->name);
	/* In a longer list one bad element is not the call's failure. */
	if (pl_json_is_array(answer) && pl_json_count(answer) > 1)
		return PL_OK;
	if (!pl_store_bool(auth, "isError", false) ||
	    (d->hasty && has_payload(first)))
		return PL_OK;
	return refusal(d, auth, number, err);
}

/* What it looks like, for who has to find out what went wrong. */
static enum pl_code
no_json(const struct pl_store_desc *d, const char *text, size_t n,
    const struct pl_err *why, struct pl_err *err)
{
	for (; n > 0 && (*text == ' ' || *text == '\r' || *text == '\n' ||
	    *text == '\t'); n--)
		text++;
	if (n == 0)
		return pl_fail(err, PL_EPROTO, "sslstore: %s: the answer is "
		    "empty", d->name);
	if (*text == '<')
		return pl_fail(err, PL_EPROTO, "sslstore: %s: a page of HTML "
		    "came in place of JSON", d->name);
	return pl_fail(err, PL_EPROTO, "sslstore: %s", why->text);
}

/* A list of one may come without its brackets. */
static enum pl_code
bracket(json_t **j, const struct pl_store_desc *d, struct pl_err *err)
{
	json_t *list;

	if (!d->array || !pl_json_is_object(*j))
		return PL_OK;
	if (pl_json_is_null(pl_json_get(*j, "TheSSLStoreOrderID")) &&
	    pl_json_is_null(pl_json_get(*j, "ProductCode")))
		return pl_fail(err, PL_EPROTO, "sslstore: %s: an object came "
		    "in place of an array", d->name);
	list = pl_json_array();
	pl_json_append(list, *j);
	*j = list;
	return PL_OK;
}

enum pl_code
pl_store_answer(json_t **out, const struct pl_store_desc *d,
    const char *text, size_t n, int64_t *number, struct pl_err *err)
{
	struct pl_err why;
	enum pl_code code;

	*out = NULL;
	*number = 0;
	pl_err_clear(&why);
	/* A byte order mark is nothing that JSON allows, but some send it. */
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		n -= 3;
	}
	if (pl_json_parse(out, text, n, d->name, &why) != PL_OK)
		return no_json(d, text, n, &why, err);
	code = pl_store_judge(d, *out, number, err);
	if (code == PL_OK)
		code = bracket(out, d, err);
	if (code != PL_OK) {
		pl_json_free(*out);
		*out = NULL;
	}
	return code;
}
