/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What sd_notify(3) describes, without its library. */
#include "daemon.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
service_notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct pl_buf b;
	va_list ap;
	size_t n;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    (n = strlen(path)) >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, n);
	/* "@" stands for the NUL of an abstract name. */
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	pl_buf_init(&b, PL_LIM_LINE);
	va_start(ap, fmt);
	pl_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	(void)!sendto(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT,
	    (const void *)&sa,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	pl_buf_clear(&b);
	close(fd);
}

int64_t
service_watchdog_ms(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid =
	    getenv("WATCHDOG_PID");
	int64_t n;

	if (us == NULL || pl_int_parse(&n, us, 1, INT64_MAX, NULL) != PL_OK)
		return 0;
	if (pid != NULL && (pl_int_parse(&n, pid, 1, INT32_MAX, NULL) !=
	    PL_OK || n != getpid()))
		return 0;
	pl_int_parse(&n, us, 1, INT64_MAX, NULL);
	return n / 2000 > 0 ? n / 2000 : 1;
}
