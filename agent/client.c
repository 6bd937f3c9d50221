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

#define AGAIN_US 200000		/* between tries to reach a service that restarts */
#define AWAY_MS 30000		/* how long it may be away while it is waited for */

struct pl_client {
	int fd;
	int wake;		/* ends waiting when it can be read, or -1 */
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
		return pl_fail_sys(err, errno == EACCES ? PL_EAUTH : PL_ENET,
		    errno, "%s: placardd cannot be reached", c->path);
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
	c->fd = c->wake = -1;
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

const char *
pl_client_path(const struct pl_client *c)
{
	return c->path;
}

void
pl_client_wake(struct pl_client *c, int fd)
{
	c->wake = fd;
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
	struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN },
		{ .fd = c->wake, .events = POLLIN } };
	char block[65536];
	int64_t left = deadline == 0 ? -1 : deadline - pl_mono_ms();
	ssize_t n;
	int rc;

	if (deadline != 0 && left < 0)
		left = 0;
	rc = poll(p, 2, left > 60000 || left < 0 ? (deadline == 0 ? -1 :
	    60000) : (int)left);
	if (rc == 0 && deadline != 0 && pl_mono_ms() >= deadline)
		return pl_fail(err, PL_EABSENT, "not at rest before the "
		    "timeout");
	if (rc > 0 && p[1].revents != 0)
		return pl_fail(err, PL_ECANCEL, "stopped by a signal");
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
	/* Who is refused finds the connection closed, and why before that. */
	if (code == PL_OK || code == PL_ENET)
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

/* ---- jobs --------------------------------------------------------------------- */

json_t *
pl_client_member(json_t *answer, const char *member)
{
	json_t *j = pl_json_share(pl_json_get(answer, member));

	pl_json_free(answer);
	return j;
}

enum pl_code
pl_client_submit(struct pl_client *c, const char *id, json_t *job,
    json_t **report, struct pl_err *err)
{
	json_t *request = pl_client_request("submit", id), *answer;
	enum pl_code code;

	pl_json_set(request, "job", job);
	code = pl_client_ask(c, request, "report", &answer, err);
	*report = code == PL_OK ? pl_client_member(answer, "report") : NULL;
	return code;
}

/* A service that restarts keeps the job, so it is asked again. */
static enum pl_code
ask_again(const struct pl_config *config, struct pl_client **c,
    const char *id, int64_t deadline, struct pl_err *err)
{
	int64_t away = pl_mono_ms() + AWAY_MS;
	int wake = *c != NULL ? (*c)->wake : -1;
	enum pl_code code = PL_ENET;

	if (deadline != 0 && deadline < away)
		away = deadline;
	while (code == PL_ENET && pl_mono_ms() < away) {
		pl_client_close(*c);
		*c = NULL;
		code = pl_client_open(c, config, err);
		if (code == PL_OK) {
			(*c)->wake = wake;
			code = pl_client_send(*c, pl_client_request("wait",
			    id), err);
		}
		if (code == PL_ENET)
			usleep(AGAIN_US);
	}
	return code;
}

enum pl_code
pl_client_wait(struct pl_client **c, const struct pl_config *config,
    const char *id, int64_t deadline, json_t **report, struct pl_err *err)
{
	json_t *answer = NULL;
	enum pl_code code;

	*report = NULL;
	code = pl_client_send(*c, pl_client_request("wait", id), err);
	if (code == PL_OK)
		code = pl_client_next(*c, deadline, &answer, err);
	while (code == PL_ENET) {
		code = ask_again(config, c, id, deadline, err);
		if (code != PL_OK)
			break;
		code = pl_client_next(*c, deadline, &answer, err);
	}
	if (code == PL_OK)
		*report = pl_client_member(answer, "report");
	return code;
}

/* Published without an error is where a challenge ends that nobody can look
 * for. */
static bool
good_end(const json_t *c, bool gone)
{
	const char *state = pl_json_str(pl_json_get(c, "state"));

	return pl_streq(state, "visible") ||
	    (gone && pl_streq(state, "removed")) ||
	    (pl_streq(state, "published") &&
	    pl_json_is_null(pl_json_get(c, "error")));
}

int
pl_report_exit(const json_t *report, bool gone)
{
	static const int order[] = { 8, 4, 3, 1, 6, 5 };
	const json_t *list = pl_json_get(report, "challenges"), *c;
	size_t n = pl_json_count(list), good = 0;
	bool seen[16] = { false };
	const char *code;

	for (size_t i = 0; i < n; i++) {
		c = pl_json_at(list, i);
		code = pl_json_str(pl_json_get(pl_json_get(c, "error"),
		    "code"));
		if (good_end(c, gone))
			good++;
		else
			seen[pl_code_exit(pl_code_by_name(code)) & 15] = true;
	}
	if (good == n)
		return 0;
	if (good > 0)
		return 7;
	for (size_t i = 0; i < PL_NELEM(order); i++) {
		if (seen[order[i]])
			return order[i];
	}
	return 6;
}
