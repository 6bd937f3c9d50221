/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
pl_mono_us(void)
{
	int64_t us = clock_us(CLOCK_BOOTTIME);

	return us >= 0 ? us : clock_us(CLOCK_MONOTONIC);
}

int64_t
pl_mono_ms(void)
{
	return pl_mono_us() / 1000;
}

int64_t
pl_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t
clock_days(int64_t year, int month, int day)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243,
		273, 304, 334 };
	int64_t y = month > 2 ? year : year - 1;

	return (year - 1970) * 365 + before[month - 1] + day - 1 +
	    (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int
clock_month_days(int64_t year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

void
pl_time_format(char out[PL_TIME_TEXT], int64_t wall_ms)
{
	int ms = (int)(((wall_ms % 1000) + 1000) % 1000);
	time_t sec = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
	struct tm tm;
	size_t len;

	memset(out, 0, PL_TIME_TEXT);
	/* Years of more than four digits have no RFC 3339 form. */
	if (gmtime_r(&sec, &tm) == NULL || tm.tm_year + 1900 > 9999 ||
	    tm.tm_year + 1900 < 0)
		return;
	len = strftime(out, PL_TIME_TEXT - 8, "%Y-%m-%dT%H:%M:%S", &tm);
	if (ms != 0)
		snprintf(out + len, 8, ".%03dZ", ms);
	else
		out[len] = 'Z';
}

/* Exactly n digits at *s, then `end` ('\0': anything). */
static bool
clock_digits(const char **s, int n, char end, int *v)
{
	*v = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*v = *v * 10 + (**s - '0');
	}
	if (end == '\0')
		return true;
	if (**s != end)
		return false;
	(*s)++;
	return true;
}

/* ".5", ".123456": milliseconds, the rest is cut. */
static bool
clock_fraction(const char **s, int *ms)
{
	int digits = 0, scale = 100;

	*ms = 0;
	if (**s != '.')
		return true;
	for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, digits++) {
		*ms += (**s - '0') * scale;
		scale /= 10;
	}
	return digits > 0 && digits <= 9;
}

/* "Z" or "+hh:mm", to minutes east. */
static bool
clock_zone(const char **s, int *minutes)
{
	char sign = **s;
	int h, m;

	*minutes = 0;
	(*s)++;
	if (sign == 'Z' || sign == 'z')
		return true;
	if (sign != '+' && sign != '-')
		return false;
	if (!clock_digits(s, 2, ':', &h) || !clock_digits(s, 2, '\0', &m) ||
	    h > 23 || m > 59)
		return false;
	*minutes = (sign == '-' ? -1 : 1) * (h * 60 + m);
	return true;
}

enum pl_code
pl_time_parse(int64_t *wall_ms, const char *text, struct pl_err *err)
{
	int year, month, day, hour, min, sec, ms, east;
	const char *s = text;
	bool ok;

	*wall_ms = 0;
	ok = s != NULL && clock_digits(&s, 4, '-', &year) &&
	    clock_digits(&s, 2, '-', &month) &&
	    clock_digits(&s, 2, '\0', &day) && (*s == 'T' || *s == 't');
	if (ok) {
		s++;
		ok = clock_digits(&s, 2, ':', &hour) &&
		    clock_digits(&s, 2, ':', &min) &&
		    clock_digits(&s, 2, '\0', &sec) &&
		    clock_fraction(&s, &ms) && clock_zone(&s, &east) &&
		    *s == '\0' && month >= 1 && month <= 12 && day >= 1 &&
		    day <= clock_month_days(year, month) && hour <= 23 &&
		    min <= 59 && sec <= 60;
	}
	if (!ok)
		return pl_fail(err, PL_EINVAL, "\"%.40s\": not a time as "
		    "2026-11-21T12:00:00Z", text != NULL ? text : "");
	*wall_ms = ((clock_days(year, month, day) * 24 + hour) * 3600 +
	    (min - east) * 60 + sec) * 1000 + ms;
	return PL_OK;
}
