/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <arpa/inet.h>
#include <string.h>

enum pl_code
pl_int_parse(int64_t *out, const char *s, int64_t min, int64_t max,
    struct pl_err *err)
{
	const char *p = s != NULL ? s : "";
	bool negative = *p == '-' && min < 0;
	int64_t v = 0;

	*out = 0;
	if (negative)
		p++;
	if (*p == '\0')
		goto bad;
	/* Counted downwards, so that INT64_MIN has a way in. */
	for (; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			goto bad;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, *p - '0', &v))
			goto range;
	}
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		goto range;
	if (v < min || v > max)
		goto range;
	*out = v;
	return PL_OK;
bad:
	return pl_fail(err, PL_EINVAL, "\"%.40s\": not a whole number",
	    s != NULL ? s : "");
range:
	return pl_fail(err, PL_EINVAL, "\"%.40s\": not between %lld and %lld",
	    s, (long long)min, (long long)max);
}

enum pl_code
pl_duration_parse(int64_t *ms, const char *s, struct pl_err *err)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 },
	};
	const int64_t most = 36500 * (int64_t)86400000;	/* a century */
	char digits[24];
	int64_t v;
	size_t n, i;

	*ms = 0;
	n = s != NULL ? strspn(s, "0123456789") : 0;
	if (n == 0 || n >= sizeof(digits))
		goto bad;
	memcpy(digits, s, n);
	digits[n] = '\0';
	for (i = 0; i < PL_NELEM(units); i++)
		if (strcmp(s + n, units[i].unit) == 0)
			break;
	if (i == PL_NELEM(units) ||
	    pl_int_parse(&v, digits, 0, most / units[i].ms, NULL) != PL_OK)
		goto bad;
	*ms = v * units[i].ms;
	return PL_OK;
bad:
	return pl_fail(err, PL_EINVAL, "\"%.40s\": not a duration as 90, 45s, "
	    "10m, 2h, 7d or 500ms", s != NULL ? s : "");
}

static bool
host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_' || c == '.';
}

/* An IPv6 address, perhaps with "%interface" behind it. */
static bool
host_is_v6(const char *host)
{
	size_t n = strcspn(host, "%"), i;
	char address[64];
	struct in6_addr a;

	if (n >= sizeof(address))
		return false;
	memcpy(address, host, n);
	address[n] = '\0';
	if (inet_pton(AF_INET6, address, &a) != 1)
		return false;
	if (host[n] == '\0')
		return true;
	for (i = n + 1; host[i] != '\0'; i++)
		if (!host_char(host[i]))
			return false;
	return i > n + 1 && i <= n + 16;
}

/* A name, or an IPv4 address; what ends in a number must be the latter. */
static bool
host_is_name(const char *host)
{
	size_t n = strlen(host), i, label = 0;
	const char *last;
	struct in_addr a;

	if (n == 0 || n > 254 || (n == 254 && host[n - 1] != '.'))
		return false;
	for (i = 0; i < n; i++) {
		if (!host_char(host[i]))
			return false;
		if (host[i] != '.')
			label++;
		else if (label == 0)
			return false;
		else
			label = 0;
		if (label > 63)
			return false;
	}
	last = strrchr(host, '.');
	last = last != NULL ? last + 1 : host;
	if (*last != '\0' && last[strspn(last, "0123456789")] == '\0')
		return inet_pton(AF_INET, host, &a) == 1;
	return true;
}

enum pl_code
pl_hostport_parse(char *host, size_t size, uint16_t *port, const char *s,
    uint16_t fallback, struct pl_err *err)
{
	const char *text = s != NULL ? s : "", *end, *tail, *colon;
	bool v6;
	size_t n, i;
	int64_t v = fallback;

	if (size > 0)
		host[0] = '\0';
	*port = 0;
	colon = strchr(text, ':');
	v6 = *text == '[' || (colon != NULL && strchr(colon + 1, ':') != NULL);
	if (*text == '[') {
		end = strchr(++text, ']');
		tail = end != NULL ? end + 1 : NULL;
	} else {
		end = v6 || colon == NULL ? text + strlen(text) : colon;
		tail = end;
	}
	if (end == NULL || end == text)
		goto bad;
	n = (size_t)(end - text);
	if (n > 255 || n >= size)
		goto bad;
	for (i = 0; i < n; i++)
		host[i] = text[i] >= 'A' && text[i] <= 'Z' ?
		    (char)(text[i] + 32) : text[i];
	host[n] = '\0';
	if (v6 ? !host_is_v6(host) : !host_is_name(host))
		goto bad;
	if (*tail != '\0' && (*tail != ':' ||
	    pl_int_parse(&v, tail + 1, 1, 65535, NULL) != PL_OK))
		goto bad;
	*port = (uint16_t)v;
	return PL_OK;
bad:
	if (size > 0)
		host[0] = '\0';
	return pl_fail(err, PL_EINVAL, "\"%.80s\": not an address or a name, "
	    "as 192.0.2.1, [2001:db8::1]:53 or ns1.example.com:53",
	    s != NULL ? s : "");
}

bool
pl_streq(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

bool
pl_str_in(const char *s, const char *const *list)
{
	if (s == NULL || list == NULL)
		return false;
	for (; *list != NULL; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

bool
pl_suffix_of(const char *suffix, const char *name)
{
	size_t n = strlen(suffix), all = strlen(name);

	if (n == 0)
		return true;
	if (n > all || memcmp(name + all - n, suffix, n) != 0)
		return false;
	return n == all || name[all - n - 1] == '.';
}

void
pl_escape(struct pl_buf *b, const char *s, size_t n, size_t max)
{
	size_t i;

	for (i = 0; i < n && i < max; i++) {
		if (s[i] >= 0x20 && s[i] < 0x7f && s[i] != '\\' && s[i] != '"')
			pl_buf_addc(b, s[i]);
		else
			pl_buf_addf(b, "\\x%02x", (unsigned char)s[i]);
	}
}

static const char plain_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
base64_add(struct pl_buf *b, const void *data, size_t n, const char *alphabet,
    bool pad)
{
	const unsigned char *p = data;
	uint32_t v;
	char four[4];
	size_t take, i;

	for (; n > 0; n -= take, p += take) {
		take = n < 3 ? n : 3;
		v = (uint32_t)p[0] << 16;
		if (take > 1)
			v |= (uint32_t)p[1] << 8;
		if (take > 2)
			v |= p[2];
		for (i = 0; i < 4; i++)
			four[i] = i <= take ?
			    alphabet[v >> (18 - 6 * i) & 63] : '=';
		pl_buf_add(b, four, pad ? 4 : take + 1);
	}
}

void
pl_base64url(struct pl_buf *b, const void *p, size_t n)
{
	base64_add(b, p, n, url_alphabet, false);
}

void
pl_base64(struct pl_buf *b, const void *p, size_t n)
{
	base64_add(b, p, n, plain_alphabet, true);
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The text may be a secret: no error says more of it than that it is bad. */
enum pl_code
pl_base64_decode(struct pl_buf *b, const char *s, size_t n, struct pl_err *err)
{
	uint32_t v = 0;
	unsigned digits = 0, pads = 0;
	size_t i;
	int d;

	for (i = 0; i < n; i++) {
		if (s[i] == ' ' || (s[i] >= '\t' && s[i] <= '\r'))
			continue;
		if (s[i] == '=' && digits + pads >= 2 && digits + pads < 4) {
			pads++;
			continue;
		}
		d = base64_value(s[i]);
		if (d < 0 || pads > 0)
			goto bad;
		v = v << 6 | (uint32_t)d;
		if (++digits < 4)
			continue;
		pl_buf_addc(b, (char)(v >> 16 & 0xff));
		pl_buf_addc(b, (char)(v >> 8 & 0xff));
		pl_buf_addc(b, (char)(v & 0xff));
		digits = 0;
		v = 0;
	}
	if (digits > 0) {
		/* Bits behind the last octet must be 0 (RFC 4648 3.5). */
		if (digits + pads != 4 ||
		    (v & (digits == 2 ? 0xf : 0x3)) != 0)
			goto bad;
		v <<= 6 * pads;
		pl_buf_addc(b, (char)(v >> 16 & 0xff));
		if (digits == 3)
			pl_buf_addc(b, (char)(v >> 8 & 0xff));
	}
	explicit_bzero(&v, sizeof(v));
	if (b->failed)
		return pl_fail(err, PL_EINVAL, "base64: more than %zu octets",
		    b->limit);
	return PL_OK;
bad:
	explicit_bzero(&v, sizeof(v));
	return pl_fail(err, PL_EINVAL, "base64: not well formed");
}

void
pl_hex(struct pl_buf *b, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *data = p;
	size_t i;

	for (i = 0; i < n; i++) {
		pl_buf_addc(b, digits[data[i] >> 4]);
		pl_buf_addc(b, digits[data[i] & 15]);
	}
}
