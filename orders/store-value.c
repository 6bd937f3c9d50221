/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What the store's answers hold.  Truth values and numbers come as such or
 * as text, dates in several forms, nothing as null, "", 1900 or year 1.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_NAMES 1000
#define VALUE_PEM (256u << 10)
#define VALUE_BLOCK (64u << 10)
#define YEAR_LEAST 1990

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What steers a terminal (C0, DEL, C1) becomes `c`: texts of the store are
 * shown to people. */
static char *
tame(char *s, char c)
{
	for (char *p = s; *p != '\0'; p++) {
		unsigned char a = (unsigned char)p[0], b = (unsigned char)p[1];

		if (a < 0x20 || a == 0x7f)
			*p = c;
		else if (a == 0xc2 && b >= 0x80 && b < 0xa0)
			p[0] = p[1] = c;
	}
	return s;
}

/* ---- truth values, numbers, texts ----------------------------------------- */

/* The text of a scalar, without blanks around it; NULL where there is none. */
static char *
scalar_text(const json_t *j)
{
	const char *s = pl_json_str(j);
	struct pl_buf b;
	size_t n;

	if (s != NULL) {
		n = pl_json_strlen(j);
		for (; n > 0 && is_blank(s[n - 1]); n--)
			continue;
		for (; n > 0 && is_blank(*s); s++)
			n--;
		return n > 0 ? tame(pl_strndup(s, n), ' ') : NULL;
	}
	if (pl_json_is_null(j) || pl_json_is_object(j) || pl_json_is_array(j))
		return NULL;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_json_dump(&b, j);
	return pl_buf_take(&b);
}

char *
pl_store_text(const json_t *object, const char *name)
{
	return scalar_text(pl_json_get(object, name));
}

bool
pl_store_bool(const json_t *object, const char *name, bool fallback)
{
	static const char *const yes[] = { "true", "yes", "1" },
	    *const no[] = { "false", "no", "0" };
	char *text = pl_store_text(object, name);

	for (size_t i = 0; text != NULL && i < PL_NELEM(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 ||
		    strcasecmp(text, no[i]) == 0) {
			fallback = strcasecmp(text, yes[i]) == 0;
			break;
		}
	}
	free(text);
	return fallback;
}

int64_t
pl_store_int(const json_t *object, const char *name, int64_t fallback)
{
	char *text = pl_store_text(object, name), *dot;
	bool minus = text != NULL && text[0] == '-';
	int64_t v;

	dot = text != NULL ? strchr(text, '.') : NULL;
	/* A whole number may be written with decimals, which are noughts. */
	if (dot != NULL && dot[1] != '\0' &&
	    dot[1 + strspn(dot + 1, "0")] == '\0')
		*dot = '\0';
	if (text != NULL && pl_int_parse(&v, text + minus, 0, INT64_MAX,
	    NULL) == PL_OK)
		fallback = minus ? -v : v;
	free(text);
	return fallback;
}

json_t *
pl_store_list(const json_t *object, const char *name)
{
	json_t *j = pl_json_get(object, name);

	return pl_json_is_array(j) ? j : NULL;
}

json_t *
pl_store_object(const json_t *object, const char *name)
{
	json_t *j = pl_json_get(object, name);

	return pl_json_is_object(j) ? j : NULL;
}

/* ---- domain names ------------------------------------------------------------ */

struct names {
	char **list;
	size_t n;
};

static void
names_add(struct names *l, const char *s, size_t n)
{
	char *name;

	for (; n > 0 && (is_blank(s[n - 1]) || s[n - 1] == '.'); n--)
		continue;
	for (; n > 0 && is_blank(*s); s++)
		n--;
	if (n == 0 || l->n >= VALUE_NAMES)
		return;
	name = tame(pl_strndup(s, n), '?');
	for (char *p = name; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->list[i], name) == 0) {
			free(name);
			return;
		}
	}
	l->list = pl_grow(l->list, l->n + 2, sizeof(char *));
	l->list[l->n++] = name;
	l->list[l->n] = NULL;
}

/* Names parted by commas (semicolons and blanks too). */
static void
names_split(struct names *l, const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n + (s[n] != '\0')) {
		n = strcspn(s, ",; \t\r\n");
		names_add(l, s, n);
	}
}

size_t
pl_store_names(char ***names, const json_t *object, const char *name)
{
	const json_t *j = pl_json_get(object, name);
	struct names l = { pl_array(1, sizeof(char *)), 0 };
	const char *s = pl_json_str(j);

	if (s != NULL)
		names_split(&l, s);
	for (size_t i = 0; pl_json_is_array(j) && i < pl_json_count(j); i++) {
		s = pl_json_str(pl_json_at(j, i));
		if (s != NULL)
			names_split(&l, s);
	}
	*names = l.list;
	return l.n;
}

/* ---- dates ---------------------------------------------------------------------- */

struct date {
	int year, month, day, hour, minute, second;
	int zone;		/* minutes east of UTC */
};

/* Days since 1970 of a date in the Gregorian calendar. */
static int64_t
days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400,
	    yoe = y - era * 400, doy, doe;

	doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Reads least to most digits; moves *p behind them. */
static bool
take_digits(const char **p, int *out, int least, int most)
{
	int n = 0, v = 0;

	for (; n < most && is_digit((*p)[n]); n++)
		v = v * 10 + ((*p)[n] - '0');
	if (n < least || is_digit((*p)[n]))
		return false;
	*p += n;
	*out = v;
	return true;
}

static bool
take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

/* "h:mm[:ss[.fffffff]]" */
static bool
take_clock(const char **p, struct date *d)
{
	if (!take_digits(p, &d->hour, 1, 2) || !take_char(p, ':') ||
	    !take_digits(p, &d->minute, 2, 2))
		return false;
	if (take_char(p, ':')) {
		if (!take_digits(p, &d->second, 2, 2))
			return false;
		if (take_char(p, '.')) {
			if (!is_digit(**p))
				return false;
			*p += strspn(*p, "0123456789");
		}
	}
	return d->minute < 60 && d->second < 61;
}

/* " AM", " PM", or nothing; *half tells which: 0 none, 1 AM, 2 PM. */
static bool
take_half(const char **p, struct date *d, int *half)
{
	*half = 0;
	*p += strspn(*p, " ");
	if (strncasecmp(*p, "am", 2) == 0)
		*half = 1;
	else if (strncasecmp(*p, "pm", 2) == 0)
		*half = 2;
	if (*half == 0)
		return d->hour < 24;
	*p += 2;
	if (d->hour < 1 || d->hour > 12)
		return false;
	d->hour = d->hour % 12 + (*half == 2 ? 12 : 0);
	return true;
}

/* "+hh:mm", "-hhmm", "Z" or nothing. */
static bool
take_zone(const char **p, struct date *d)
{
	int h, m = 0, sign = **p == '-' ? -1 : 1;

	if (take_char(p, 'Z') || take_char(p, 'z'))
		return true;
	if (**p != '+' && **p != '-')
		return true;
	++*p;
	if (is_digit((*p)[0]) && is_digit((*p)[1]) && is_digit((*p)[2])) {
		if (!take_digits(p, &h, 4, 4))
			return false;
		m = h % 100;
		h /= 100;
	} else if (!take_digits(p, &h, 2, 2) ||
	    (take_char(p, ':') && !take_digits(p, &m, 2, 2)))
		return false;
	d->zone = sign * (h * 60 + m);
	return h < 15 && m < 60;
}

/*
 * "a/b/yyyy[ h:mm:ss[ AM]]".  en-US puts the month first and always says AM
 * or PM; other cultures put the day first.  What can be meant both ways
 * is not read.
 */
static bool
date_slashes(const char *p, struct date *d)
{
	int a, b, half = 0;
	bool clock;

	if (!take_digits(&p, &a, 1, 2) || !take_char(&p, '/') ||
	    !take_digits(&p, &b, 1, 2) || !take_char(&p, '/') ||
	    !take_digits(&p, &d->year, 4, 4))
		return false;
	clock = take_char(&p, ' ');
	p += strspn(p, " ");
	if (clock && *p != '\0' && (!take_clock(&p, d) ||
	    !take_half(&p, d, &half)))
		return false;
	if (*p != '\0')
		return false;
	if (a > 12) {
		d->day = a;
		d->month = b;
	} else if (clock && half == 0 && b <= 12 && a != b) {
		return false;
	} else {
		d->month = a;
		d->day = b;
	}
	return true;
}

static bool
date_iso(const char *p, struct date *d)
{
	if (!take_digits(&p, &d->year, 4, 4) || !take_char(&p, '-') ||
	    !take_digits(&p, &d->month, 2, 2) || !take_char(&p, '-') ||
	    !take_digits(&p, &d->day, 2, 2))
		return false;
	if (*p == '\0')
		return true;
	if (!take_char(&p, 'T') && !take_char(&p, 't') && !take_char(&p, ' '))
		return false;
	return take_clock(&p, d) && d->hour < 24 && take_zone(&p, d) &&
	    *p == '\0';
}

/* "/Date(ms)/", with a zone behind the number at times, which is for show. */
static bool
date_ms(const char *p, int64_t *ms)
{
	const char *end;
	char digits[20];
	bool minus;
	size_t n;

	if (strncmp(p, "/Date(", 6) != 0)
		return false;
	p += 6;
	minus = take_char(&p, '-');
	n = strspn(p, "0123456789");
	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, p, n);
	digits[n] = '\0';
	end = p + n;
	if (*end == '+' || *end == '-')
		end += 1 + strspn(end + 1, "0123456789");
	if (strcmp(end, ")/") != 0 ||
	    pl_int_parse(ms, digits, 0, 253402300799999, NULL) != PL_OK)
		return false;
	if (minus)
		*ms = -*ms;
	return true;
}

static bool
date_ms_of(const struct date *d, int64_t *ms)
{
	if (d->month < 1 || d->month > 12 || d->day < 1 ||
	    d->day > month_days(d->year, d->month))
		return false;
	*ms = (((days_of(d->year, d->month, d->day) * 24 + d->hour) * 60 +
	    d->minute - d->zone) * 60 + d->second) * 1000;
	return true;
}

enum pl_code
pl_store_date_parse(int64_t *ms, const char *text, struct pl_err *err)
{
	struct date d = { 0 };
	struct pl_buf shown;
	char *copy;
	size_t n;
	bool fine;

	*ms = 0;
	if (text == NULL)
		return PL_OK;
	for (; is_blank(*text); text++)
		continue;
	for (n = strlen(text); n > 0 && is_blank(text[n - 1]); n--)
		continue;
	if (n == 0)
		return PL_OK;
	copy = pl_strndup(text, n > 64 ? 64 : n);
	fine = n <= 64 && (date_ms(copy, ms) || ((date_slashes(copy, &d) ||
	    (d = (struct date){ 0 }, date_iso(copy, &d))) &&
	    date_ms_of(&d, ms)));
	if (*ms < days_of(YEAR_LEAST, 1, 1) * 86400000)
		*ms = 0;
	if (!fine) {
		pl_buf_init(&shown, PL_LIM_LINE);
		pl_escape(&shown, copy, strlen(copy), 64);
		pl_fail(err, PL_EPROTO, "date \"%s\": cannot be read",
		    shown.data);
		pl_buf_clear(&shown);
		*ms = 0;
	}
	free(copy);
	return fine ? PL_OK : PL_EPROTO;
}

static bool
date_member(const json_t *object, const char *name, int64_t *ms)
{
	char *text = pl_store_text(object, name);
	bool there = text != NULL &&
	    pl_store_date_parse(ms, text, NULL) == PL_OK;

	free(text);
	return there;
}

int64_t
pl_store_date(const json_t *object, const char *name)
{
	struct pl_buf twin;
	int64_t ms = 0;

	pl_buf_init(&twin, PL_LIM_LINE);
	pl_buf_addf(&twin, "%sInUTC", name);
	if (!date_member(object, twin.data, &ms))
		date_member(object, name, &ms);
	pl_buf_clear(&twin);
	return ms;
}

json_t *
pl_store_date_json(int64_t ms)
{
	struct pl_buf b;
	json_t *j;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "/Date(%lld)/", (long long)ms);
	j = pl_json_string(b.data);
	pl_buf_clear(&b);
	return j;
}

/* ---- PEM and base64 ---------------------------------------------------------------- */

static int
hex_of(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Base64 and armour never hold "%": every "%XX" is an encoded octet. */
static void
undo_percent(struct pl_buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%' && i + 2 < n && hex_of(s[i + 1]) >= 0 &&
		    hex_of(s[i + 2]) >= 0) {
			pl_buf_addc(b, (char)(hex_of(s[i + 1]) * 16 +
			    hex_of(s[i + 2])));
			i += 2;
		} else
			pl_buf_addc(b, s[i]);
	}
}

/* Decodes base64 with each blank inside a line being `blank`. */
static bool
decode(struct pl_buf *out, const char *s, size_t n, bool plus)
{
	struct pl_buf clean;
	size_t before = out->len;
	bool good;

	pl_buf_init(&clean, VALUE_PEM * 8);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == ' ' && plus)
			pl_buf_addc(&clean, '+');
		else if (!is_blank(s[i]))
			pl_buf_addc(&clean, s[i]);
	}
	good = clean.len > 0 && clean.len % 4 == 0 && pl_base64_decode(out,
	    clean.data, clean.len, NULL) == PL_OK && !out->failed;
	pl_buf_clear(&clean);
	if (!good && !out->failed && out->len > before) {
		out->len = before;
		out->data[before] = '\0';
	}
	return good;
}

enum pl_code
pl_store_base64(struct pl_buf *out, const char *text, size_t n,
    struct pl_err *err)
{
	if (decode(out, text, n, true) || decode(out, text, n, false))
		return PL_OK;
	return pl_fail(err, PL_EPROTO, "base64: cannot be decoded");
}

/* A label: capitals, digits and blanks ("NEW CERTIFICATE REQUEST"); a plus
 * sign is a blank that was encoded once too often. */
static size_t
label_len(const char *s, size_t n, char label[40])
{
	size_t i;

	for (i = 0; i < n && i < 39 && ((s[i] >= 'A' && s[i] <= 'Z') ||
	    is_digit(s[i]) || s[i] == ' ' || s[i] == '+'); i++)
		label[i] = s[i] == '+' ? ' ' : s[i];
	label[i] = '\0';
	return i;
}

/* "-----BEGIN " or "-----END " at p. */
static bool
is_armour(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - p) > n + 6 && memcmp(p, "-----", 5) == 0 &&
	    memcmp(p + 5, word, n) == 0 && (p[n + 5] == ' ' || p[n + 5] == '+');
}

static bool
put_block(struct pl_buf *out, const char *label, const char *body, size_t n)
{
	struct pl_buf der, text;
	bool good;

	pl_buf_init(&der, VALUE_BLOCK);
	pl_buf_init(&text, 2 * VALUE_BLOCK);
	good = decode(&der, body, n, true) || decode(&der, body, n, false);
	if (good) {
		pl_base64(&text, der.data, der.len);
		pl_buf_addf(out, "-----BEGIN %s-----\n", label);
		for (size_t i = 0; i < text.len; i += 64)
			pl_buf_addf(out, "%.64s\n", text.data + i);
		pl_buf_addf(out, "-----END %s-----\n", label);
	}
	pl_buf_clear(&der);
	pl_buf_clear(&text);
	return good;
}

static size_t
put_blocks(struct pl_buf *out, const char *p, const char *end)
{
	char label[40], last[40];
	const char *body, *stop;
	size_t n, count = 0;

	for (; p < end; p++) {
		if (!is_armour(p, end, "BEGIN"))
			continue;
		n = label_len(p + 11, (size_t)(end - p) - 11, label);
		body = p + 11 + n;
		if (n == 0 || end - body < 5 || memcmp(body, "-----", 5) != 0)
			continue;
		body += 5;
		for (stop = body; stop < end && *stop != '-'; stop++)
			continue;
		if (stop == end || !is_armour(stop, end, "END"))
			continue;
		label_len(stop + 9, (size_t)(end - stop) - 9, last);
		if (strcmp(label, last) == 0 && put_block(out, label, body,
		    (size_t)(stop - body)))
			count++;
		p = stop;
	}
	return count;
}

size_t
pl_store_pem(struct pl_buf *out, const char *text, size_t n)
{
	struct pl_buf plain;
	size_t count;

	if (n > VALUE_PEM)
		return 0;
	pl_buf_init(&plain, VALUE_PEM + 1);
	undo_percent(&plain, text, n);
	count = put_blocks(out, plain.data, plain.data + plain.len);
	pl_buf_clear(&plain);
	return out->failed ? 0 : count;
}
