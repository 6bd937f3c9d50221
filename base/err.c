/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <stdio.h>
#include <string.h>

/* DESIGN.md sections 4 and 6: every reaction to a code, in one place. */
struct code {
	const char *name;
	bool retry;
	int exit;
};

static const struct code codes[] = {
	[PL_OK] = { "ok", false, 0 },
	[PL_EUNDONE] = { "undone", true, 6 },
	[PL_EINVAL] = { "invalid", false, 3 },
	[PL_EAUTH] = { "auth", false, 4 },
	[PL_ENOZONE] = { "no-zone", false, 1 },
	[PL_ECONFLICT] = { "conflict", true, 6 },
	[PL_ELIMIT] = { "limit", true, 6 },
	[PL_ENET] = { "network", true, 6 },
	[PL_EPROTO] = { "protocol", true, 6 },
	[PL_EREMOTE] = { "refused", false, 1 },
	[PL_EABSENT] = { "not-visible", false, 5 },
	[PL_EIO] = { "io", true, 8 },
	[PL_ECANCEL] = { "cancelled", false, 6 },
};
_Static_assert(PL_NELEM(codes) == PL_NCODES, "every code has its row");

static const struct code *
code_row(enum pl_code code)
{
	return &codes[(unsigned)code < PL_NCODES ? code : PL_EPROTO];
}

const char *
pl_code_name(enum pl_code code)
{
	return code_row(code)->name;
}

bool
pl_code_retry(enum pl_code code)
{
	return code_row(code)->retry;
}

int
pl_code_exit(enum pl_code code)
{
	return code_row(code)->exit;
}

/*
 * How many octets the UTF-8 character at p has; 0 where it is none, or one
 * that steers a terminal (C0, DEL, C1).
 */
static size_t
err_char(const unsigned char *p)
{
	uint32_t v;
	size_t n, i;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	v = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < 0xa0 || (n == 3 && v < 0x800) || (n == 4 && v < 0x10000) ||
	    v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	return n;
}

/* Copies text into the field: whole characters only, no controls. */
static void
err_set(struct pl_err *err, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = 0, n;

	while (*p != '\0') {
		n = err_char(p);
		if (len + (n > 0 ? n : 4) >= sizeof(err->text))
			break;
		if (n > 0) {
			memcpy(err->text + len, p, n);
			len += n;
			p += n;
		} else {
			snprintf(err->text + len, 5, "\\x%02x", *p++);
			len += 4;
		}
	}
	err->text[len] = '\0';
}

void
pl_err_clear(struct pl_err *err)
{
	if (err != NULL)
		memset(err, 0, sizeof(*err));
}

enum pl_code
pl_fail(struct pl_err *err, enum pl_code code, const char *fmt, ...)
{
	char text[PL_LIM_LINE];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pl_err_clear(err);
	err->code = code;
	err_set(err, text);
	return code;
}

enum pl_code
pl_fail_sys(struct pl_err *err, enum pl_code code, int sys, const char *fmt,
    ...)
{
	char text[PL_LIM_LINE], why[128];
	va_list ap;
	size_t len;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %s",
	    strerror_r(sys, why, sizeof(why)));
	pl_err_clear(err);
	err->code = code;
	err->sys = sys;
	err_set(err, text);
	return code;
}

enum pl_code
pl_prefix(struct pl_err *err, const char *fmt, ...)
{
	char text[PL_LIM_LINE];
	va_list ap;
	size_t len;

	if (err == NULL)
		return PL_EPROTO;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %s", err->text);
	err_set(err, text);
	return err->code;
}
