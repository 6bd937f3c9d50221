/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <stdio.h>
#include <unistd.h>

/* syslog(3)'s priorities, as journald reads them in front of a line. */
static const int priority[] = {
	[PL_LOG_ERROR] = 3,
	[PL_LOG_WARN] = 4,
	[PL_LOG_INFO] = 6,
	[PL_LOG_DEBUG] = 7,
};

/* Appends p so that the line stays one line, and within its limit. */
static void
log_clean(struct pl_buf *line, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && line->len + 6 < line->limit; i++) {
		if (p[i] >= 0x20 && p[i] < 0x7f)
			pl_buf_addc(line, p[i]);
		else
			pl_buf_addf(line, "\\x%02x", (unsigned char)p[i]);
	}
}

void
pl_logf(const struct pl_log *log, enum pl_level level, const char *event,
    const char *fmt, ...)
{
	char stamp[PL_TIME_TEXT], text[PL_LIM_LINE];
	struct pl_buf line;
	va_list ap;
	ssize_t done;
	int n;

	if (log == NULL || log->fd < 0 || level > log->level)
		return;
	pl_buf_init(&line, PL_LIM_LINE);
	if (log->syslog)
		pl_buf_addf(&line, "<%d>", priority[level]);
	if (log->stamp) {
		pl_time_format(stamp, pl_wall_ms());
		pl_buf_addf(&line, "%s ", stamp);
	}
	if (log->who != NULL)
		pl_buf_addf(&line, "%.64s: ", log->who);
	log_clean(&line, event, __builtin_strlen(event));
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0) {
		pl_buf_addc(&line, ' ');
		log_clean(&line, text, (size_t)n < sizeof(text) ?
		    (size_t)n : sizeof(text) - 1);
	}
	pl_buf_addc(&line, '\n');
	done = write(log->fd, line.data, line.len);
	(void)done;	/* nowhere to complain to */
	pl_buf_clear(&line);
}
