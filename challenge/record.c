/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The record rules.  The engine asks before it queues a change, and every
 * worker asks again: who takes over the engine gains no other record.
 */
#include "challenge.h"

#include <string.h>

#define RECORD_SHOWN 100	/* octets of a name that errors repeat */

/* ---- names ------------------------------------------------------------- */

static bool
record_label(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n > 63 || p[0] == '-' || p[n - 1] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') ||
		    (p[i] >= '0' && p[i] <= '9') || p[i] == '-' ||
		    (p[i] == '_' && i == 0 && n > 1)))
			return false;
	return true;
}

/* Is it a name in the form that pl_name_ascii gives? */
static bool
record_canonical(const char *name, size_t n)
{
	size_t i, start = 0;

	if (n == 0 || n >= PL_NAME_MAX)
		return false;
	for (i = 0; i <= n; i++) {
		if (i < n && name[i] != '.')
			continue;
		if (!record_label(name + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static bool
record_is(const char *label, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(label, word, n) == 0;
}

static bool
record_only(const char *p, size_t n, const char *alphabet)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strchr(alphabet, p[i]) == NULL)
			return false;
	return true;
}

static bool
record_looks(const char *name)
{
	size_t n = strcspn(name, ".");

	if (record_is(name, n, "_acme-challenge") ||
	    record_is(name, n, "_dnsauth") ||
	    record_is(name, n, "_validation-persist") ||
	    record_is(name, n, "_placard-check"))
		return true;
	if (name[0] != '_')
		return false;
	if (n >= 33 && record_only(name + 1, n - 1, "0123456789abcdef"))
		return true;
	return n == 17 &&
	    record_only(name + 1, n - 1, "abcdefghijklmnopqrstuvwxyz234567") &&
	    strncmp(name + n, "._acme-challenge.", 17) == 0;
}

/* Matches n octets of s; a star stands for any octets, also none. */
static bool
record_glob(const char *pattern, const char *s, size_t n)
{
	const char *star = NULL;
	size_t i = 0, mark = 0;

	while (i < n) {
		if (*pattern == '*') {
			star = ++pattern;
			mark = i;
		} else if (*pattern == s[i]) {
			pattern++;
			i++;
		} else if (star != NULL) {
			pattern = star;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool
record_matches(const char *name, const char *const *patterns)
{
	size_t n;

	for (; patterns != NULL && *patterns != NULL; patterns++) {
		n = strchr(*patterns, '.') != NULL ? strlen(name) :
		    strcspn(name, ".");
		if (record_glob(*patterns, name, n))
			return true;
	}
	return false;
}

/* No label of the name is one with an underscore. */
static bool
record_plain(const char *name)
{
	return name[0] != '_' && strstr(name, "._") == NULL;
}

static enum pl_code
record_owner(enum pl_kind kind, const char *name, bool apex_txt,
    const char *const *patterns, struct pl_err *err)
{
	const char *base = name, *parent = strchr(name, '.');
	bool apex;

	if (!record_canonical(name, strlen(name)))
		return pl_fail(err, PL_EINVAL,
		    "%.*s: the name is not in canonical form", RECORD_SHOWN,
		    name);
	apex = apex_txt && kind == PL_TXT && record_plain(name);
	if (!apex && !record_looks(name) && !record_matches(name, patterns))
		return pl_fail(err, PL_EINVAL,
		    "%.*s: the name does not look like a challenge's",
		    RECORD_SHOWN, name);
	while (*base == '_') {
		base += strcspn(base, ".");
		base += *base == '.';
	}
	if (*base == '\0')
		return pl_fail(err, PL_EINVAL,
		    "%.*s: the name has no domain in it", RECORD_SHOWN, name);
	if (!apex && base == name && parent != NULL)
		base = parent + 1;
	if (pl_name_is_suffix(base))
		return pl_fail(err, PL_EINVAL,
		    "%.*s: the name is at a public suffix, %.*s",
		    RECORD_SHOWN, name, RECORD_SHOWN, base);
	return PL_OK;
}

/* ---- data -------------------------------------------------------------- */

static enum pl_code
record_txt(const char *name, const char *value, size_t len,
    struct pl_err *err)
{
	static const char persist[] = "_validation-persist.";
	bool blanks = strncmp(name, persist, sizeof(persist) - 1) == 0;
	size_t i;

	if (len == 0)
		return pl_fail(err, PL_EINVAL, "empty");
	if (len > PL_TXT_MAX)
		return pl_fail(err, PL_EINVAL,
		    "%zu octets, %d at most are possible", len, PL_TXT_MAX);
	for (i = 0; i < len; i++)
		if (value[i] < 0x21 - (blanks ? 1 : 0) || value[i] > 0x7e)
			return pl_fail(err, PL_EINVAL,
			    "octet %zu (0x%02x) is not printable ASCII%s",
			    i + 1, (unsigned)(unsigned char)value[i],
			    blanks ? "" : " without blanks");
	return PL_OK;
}

enum pl_code
pl_record_value(enum pl_kind kind, const char *name, const char *value,
    size_t len, struct pl_err *err)
{
	switch (kind) {
	case PL_TXT:
		return record_txt(name, value, len, err);
	case PL_CNAME:
		if (!record_canonical(value, len))
			return pl_fail(err, PL_EINVAL,
			    "the target is not a name in canonical form");
		if (record_is(value, len, name))
			return pl_fail(err, PL_EINVAL,
			    "the target is the name itself");
		return PL_OK;
	case PL_FILE:
		if (len == 0)
			return pl_fail(err, PL_EINVAL, "empty");
		if (len > PL_LIM_FILE)
			return pl_fail(err, PL_EINVAL,
			    "%zu octets, %u at most are possible", len,
			    PL_LIM_FILE);
		return PL_OK;
	case PL_NOTHING:
	case PL_NKINDS:
		break;
	}
	return pl_fail(err, PL_EINVAL, "there is nothing to publish");
}

static bool
record_extension(const char *s)
{
	return *s == '\0' || strcmp(s, ".txt") == 0 ||
	    strcmp(s, ".html") == 0 || strcmp(s, ".htm") == 0;
}

enum pl_code
pl_record_path(const char *path, struct pl_err *err)
{
	static const char *const folders[] = {
		"/.well-known/acme-challenge/",
		"/.well-known/pki-validation/",
	};
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *file = NULL;
	size_t i, n;

	for (i = 0; i < PL_NELEM(folders); i++)
		if (strncmp(path, folders[i], strlen(folders[i])) == 0)
			file = path + strlen(folders[i]);
	if (file == NULL)
		return pl_fail(err, PL_EINVAL,
		    "%.*s: is not below %s or %s", RECORD_SHOWN, path,
		    folders[0], folders[1]);
	n = strspn(file, letters);
	if (n == 0 || n > 128 || !record_extension(file + n))
		return pl_fail(err, PL_EINVAL,
		    "%.*s: the file name must be 1 to 128 of A-Z a-z 0-9 - _, "
		    "and may end in .txt, .html or .htm", RECORD_SHOWN, path);
	return PL_OK;
}

enum pl_code
pl_record_allowed(enum pl_kind kind, const char *name, const char *value,
    size_t value_len, bool apex_txt, const char *const *patterns,
    struct pl_err *err)
{
	enum pl_code code;
	struct pl_err own;

	err = err != NULL ? err : &own;
	if (kind == PL_FILE)
		code = pl_record_path(name, err);
	else
		code = record_owner(kind, name, apex_txt, patterns, err);
	if (code != PL_OK)
		return code;
	code = pl_record_value(kind, name, value, value_len, err);
	return code == PL_OK ? PL_OK :
	    pl_prefix(err, "%.*s", RECORD_SHOWN, name);
}
