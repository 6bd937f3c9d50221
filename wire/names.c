/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <string.h>

#include <idn2.h>

/*
 * libidn2 sees only names that are not ASCII: its STD3 option deletes what
 * it does not like ("_acme-challenge" loses its underscore, "*.x" its
 * star), and without that option blanks and line breaks pass.  So the
 * letters are checked here, before and after.
 */

#define NAME_INPUT_MAX 1000	/* octets of a name as people write it */
#define NAME_SHOWN 64		/* octets of a name that errors repeat */

static bool
name_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Refuses ASCII octets that no name has; *high tells that there are others.
 */
static enum pl_code
name_octets(const char *in, bool *high, struct pl_err *err)
{
	const char *p;

	*high = false;
	if (strncmp(in, "*.", 2) == 0)
		return pl_fail(err, PL_EINVAL,
		    "%.*s: a wildcard is not possible here", NAME_SHOWN, in);
	for (p = in; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			*high = true;
		else if (*p != '.' && !name_octet(*p))
			return pl_fail(err, PL_EINVAL,
			    "%.*s: octet %zu (0x%02x) cannot be in a name",
			    NAME_SHOWN, in, (size_t)(p - in) + 1,
			    (unsigned)*p);
	}
	return PL_OK;
}

static enum pl_code
name_label(const char *name, const char *label, size_t n, bool underscores,
    struct pl_err *err)
{
	const char *wrong = NULL;

	if (n == 0)
		wrong = "has an empty label";
	else if (n > 63)
		wrong = "has a label of more than 63 octets";
	else if (label[0] == '-' || label[n - 1] == '-')
		wrong = "has a label that begins or ends with a hyphen";
	else if (label[0] == '_' && !underscores)
		wrong = "has an underscore, which is not possible here";
	else if (label[0] == '_' && n == 1)
		wrong = "has a label that is an underscore only";
	else if (memchr(label + 1, '_', n - 1) != NULL)
		wrong = "has an underscore inside a label";
	if (wrong != NULL)
		return pl_fail(err, PL_EINVAL, "%.*s: %s", NAME_SHOWN, name,
		    wrong);
	return PL_OK;
}

/* Lower case, no final dot, every label checked. */
static enum pl_code
name_canonical(char out[PL_NAME_MAX], const char *in, bool underscores,
    struct pl_err *err)
{
	size_t n = strlen(in), i, start = 0;
	enum pl_code code;

	if (n > 0 && in[n - 1] == '.')
		n--;
	if (n == 0)
		return pl_fail(err, PL_EINVAL, "the name is empty");
	if (n >= PL_NAME_MAX)
		return pl_fail(err, PL_EINVAL,
		    "%.*s: %zu octets, a name has %d at most", NAME_SHOWN,
		    in, n, PL_NAME_MAX - 1);
	for (i = 0; i <= n; i++) {
		if (i < n && in[i] != '.') {
			out[i] = in[i] >= 'A' && in[i] <= 'Z' ?
			    (char)(in[i] - 'A' + 'a') : in[i];
			continue;
		}
		code = name_label(in, in + start, i - start, underscores, err);
		if (code != PL_OK) {
			out[0] = '\0';
			return code;
		}
		out[i] = '.';
		start = i + 1;
	}
	out[n] = '\0';
	return PL_OK;
}

/* U-labels to A-labels; UTS 46 maps, IDNA2008 judges. */
static enum pl_code
name_to_ascii(char out[PL_NAME_MAX], const char *in, bool underscores,
    struct pl_err *err)
{
	uint8_t *ascii = NULL;
	enum pl_code code;
	bool high;
	int rc;

	rc = idn2_lookup_u8((const uint8_t *)in, &ascii,
	    IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return pl_fail(err, PL_EINVAL, "%.*s: %s", NAME_SHOWN, in,
		    idn2_strerror(rc));
	code = name_octets((const char *)ascii, &high, err);
	if (code == PL_OK)
		code = name_canonical(out, (const char *)ascii, underscores,
		    err);
	idn2_free(ascii);
	return code;
}

/* The A-form must lead to a U-form that leads to the same A-form. */
static enum pl_code
name_round_trip(const char *out, const char *in, bool underscores,
    struct pl_err *err)
{
	char again[PL_NAME_MAX] = "", *u = NULL;
	enum pl_code code;
	int rc;

	rc = idn2_to_unicode_8z8z(out, &u, 0);
	if (rc != IDN2_OK)
		return pl_fail(err, PL_EINVAL, "%.*s: %s", NAME_SHOWN, in,
		    idn2_strerror(rc));
	code = name_to_ascii(again, u, underscores, err);
	if (code == PL_OK && strcmp(again, out) != 0)
		code = pl_fail(err, PL_EINVAL,
		    "%.*s: ambiguous: stands for %.100s and %.100s",
		    NAME_SHOWN, in, out, again);
	idn2_free(u);
	return code;
}

enum pl_code
pl_name_ascii(char out[PL_NAME_MAX], const char *in, bool underscores,
    struct pl_err *err)
{
	enum pl_code code;
	bool high;

	out[0] = '\0';
	if (strnlen(in, NAME_INPUT_MAX + 1) > NAME_INPUT_MAX)
		return pl_fail(err, PL_EINVAL,
		    "%.*s: too long for a name", NAME_SHOWN, in);
	code = name_octets(in, &high, err);
	if (code != PL_OK)
		return code;
	if (!high)
		return name_canonical(out, in, underscores, err);
	code = name_to_ascii(out, in, underscores, err);
	if (code == PL_OK)
		code = name_round_trip(out, in, underscores, err);
	if (code != PL_OK)
		out[0] = '\0';
	return code;
}
