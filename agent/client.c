/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The other end of the control socket: blocking, one request at a time. */
#include "command.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pl_client {
	int fd;
	char *path;
	struct pl_buf in;
	size_t used;
};

static enum pl_code
connect_to(struct pl_client *c, struct pl_err *err)
{
	const char *slash = strrchr(c->path, '/');
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char *dir;
	int dirfd, rc, n;

	if (slash == NULL)
		return pl_fail(err, PL_EINVAL, "%s: no path", c->path);
	dir = pl_strndup(c->path, slash == c->path ? 1 :
	    (size_t)(slash - c->path));
	dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (dirfd == -1)
		return pl_fail_sys(err, PL_ENET, errno, "%s", c->path);
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d%s",
	    dirfd, slash);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path)) {
		rc = -1;
		errno = ENAMETOOLONG;
	} else
		rc = c->fd == -1 ? -1 : connect(c->fd, (const void *)&sa,
		    sizeof(sa));
	if (rc == -1)
		pl_fail_sys(err, errno == EACCES ? PL_EAUTH : PL_ENET, errno,
		    "%s: placardd cannot be reached", c->path);
	close(dirfd);
	return rc == -1 ? err->code : PL_OK;
}

enum pl_code
pl_client_open(struct pl_client **out, const struct pl_config *config,
    struct pl_err *err)
{
	struct pl_client *c = pl_alloc(sizeof(*c));
	enum pl_code code;

	*out = NULL;
	c->fd = -1;
	c->path = pl_config_socket(config, true);
	pl_buf_init(&c->in, PL_LIM_REPORT);
	code = connect_to(c, err);
	if (code != PL_OK)
		pl_client_close(c);
	else
		*out = c;
	return code;
}

void
pl_client_close(struct pl_client *c)
{
	if (c == NULL)
		return;
	if (c->fd != -1)
		close(c->fd);
	pl_buf_clear(&c->in);
	free(c->path);
	free(c);
}

static enum pl_code
gone(const struct pl_client *c, struct pl_err *err)
{
	return pl_fail(err, PL_ENET, "%s: placardd has gone away", c->path);
}

enum pl_code
pl_client_send(struct pl_client *c, json_t *request, struct pl_err *err)
{
	char *text = pl_json_text(request);
	size_t n = strlen(text), done = 0;
	ssize_t k = 0;

	pl_json_free(request);
	text[n++] = '\n';	/* in place of the NUL */
	while (done < n && k != -1) {
		k = send(c->fd, text + done, n - done, MSG_NOSIGNAL);
		if (k > 0)
			done += (size_t)k;
	}
	free(text);
	return done < n ? gone(c, err) : PL_OK;
}

static enum pl_code
read_more(struct pl_client *c, int64_t deadline, struct pl_err *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char block[65536];
	int64_t left = deadline == 0 ? -1 : deadline - pl_mono_ms();
	ssize_t n;
	int rc;

	if (deadline != 0 && left < 0)
		left = 0;
	rc = poll(&p, 1, left > 60000 || left < 0 ? (deadline == 0 ? -1 :
	    60000) : (int)left);
	if (rc == 0 && deadline != 0 && pl_mono_ms() >= deadline)
		return pl_fail(err, PL_EABSENT, "not at rest before the "
		    "timeout");
	if (rc <= 0)
		return PL_OK;
	n = read(c->fd, block, sizeof(block));
	if (n <= 0)
		return gone(c, err);
	pl_buf_add(&c->in, block, (size_t)n);
	return c->in.failed ? pl_fail(err, PL_EPROTO, "%s: answer too long",
	    c->path) : PL_OK;
}

/* An error object of the service becomes ours. */
static enum pl_code
error_of(const json_t *j, struct pl_err *err)
{
	const json_t *e = pl_json_get(j, "error");
	const char *code = pl_json_str(pl_json_get(e, "code"));
	const char *text = pl_json_str(pl_json_get(e, "text"));

	if (!pl_json_is_object(e))
		return PL_OK;
	return pl_fail(err, pl_code_by_name(code), "%s", text != NULL ?
	    text : "refused");
}

enum pl_code
pl_client_next(struct pl_client *c, int64_t deadline, json_t **out,
    struct pl_err *err)
{
	enum pl_code code = PL_OK;
	char *end;
	size_t n;

	*out = NULL;
	if (c->used > 0)
		pl_buf_drop(&c->in, c->used);
	c->used = 0;
	while ((end = memchr(c->in.data, '\n', c->in.len)) == NULL) {
		code = read_more(c, deadline, err);
		if (code != PL_OK)
			return code;
	}
	n = (size_t)(end - c->in.data);
	c->used = n + 1;
	code = pl_json_parse(out, c->in.data, n, "placardd", err);
	if (code != PL_OK)
		return err->code = PL_EPROTO;
	code = error_of(*out, err);
	if (code != PL_OK) {
		pl_json_free(*out);
		*out = NULL;
	}
	return code;
}

enum pl_code
pl_client_ask(struct pl_client *c, json_t *request, const char *member,
    json_t **out, struct pl_err *err)
{
	enum pl_code code;

	*out = NULL;
	code = pl_client_send(c, request, err);
	if (code == PL_OK)
		code = pl_client_next(c, 0, out, err);
	if (code == PL_OK && pl_json_get(*out, member) == NULL) {
		pl_json_free(*out);
		*out = NULL;
		code = pl_fail(err, PL_EPROTO, "%s: answer without \"%s\"",
		    c->path, member);
	}
	return code;
}

json_t *
pl_client_request(const char *what, const char *id)
{
	json_t *j = pl_json_object();

	pl_json_sets(j, "request", what);
	if (id != NULL)
		pl_json_sets(j, "id", id);
	return j;
}

enum pl_code
pl_code_by_name(const char *name)
{
	for (enum pl_code c = PL_EUNDONE; c < PL_NCODES; c++) {
		if (pl_streq(name, pl_code_name(c)))
			return c;
	}
	return PL_EPROTO;
}
