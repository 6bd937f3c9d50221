/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Metrics in Prometheus' text format: over HTTP at a loopback address or a
 * socket, and as a file for node_exporter's textfile collector.
 */
#include "daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_CLIENTS 16
#define REQUEST_MOST 4096
#define CLIENT_MS 5000
#define FILE_MS 15000

struct reader {
	struct pl_metrics *m;
	struct reader *next;
	int fd;
	struct pl_buf in, out;
	size_t sent;
	uint64_t timer;
};

struct pl_metrics {
	struct pl_daemon *d;
	int fd;
	char *path;		/* of the socket, to be removed */
	struct reader *readers;
	size_t n;
	uint64_t timer;		/* of the file */
};

/* ---- what they say --------------------------------------------------------------- */

static double
file_size(const char *dir, const char *name)
{
	struct pl_buf path;
	struct stat st;
	double size;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/%s", dir, name);
	size = stat(path.data, &st) == 0 ? (double)st.st_size : 0;
	pl_buf_clear(&path);
	return size;
}

static void
one(struct pl_buf *b, const char *name, const char *type, const char *help,
    double number)
{
	pl_stats_head(b, name, type, help);
	pl_stats_sample(b, name, NULL, NULL, number);
}

static void
challenges(struct pl_daemon *d, struct pl_buf *b)
{
	size_t states[PL_NSTATES];
	struct pl_tally t;
	struct pl_err err;

	work_count(d, states);
	pl_journal_tally(d->journal, &t, &err);
	pl_stats_head(b, "challenges", "gauge",
	    "Challenges by their state now.");
	pl_stats_sample(b, "challenges", "state", "queued",
	    (double)states[PL_QUEUED]);
	pl_stats_sample(b, "challenges", "state", "published",
	    (double)t.published);
	pl_stats_sample(b, "challenges", "state", "visible",
	    (double)t.visible);
	pl_stats_sample(b, "challenges", "state", "failed",
	    (double)states[PL_FAILED]);
	one(b, "oldest_record_seconds", "gauge",
	    "Age of the oldest record that is published.", t.oldest == 0 ? 0 :
	    (double)(pl_wall_ms() - t.oldest) / 1000);
}

void
metrics_text(struct pl_daemon *d, struct pl_buf *b)
{
	const char *dir = d->config->state_directory;
	unsigned restarts = d->restarts;

	if (d->engine != NULL)
		restarts += pl_pool_restarts(pl_engine_pool(d->engine));
	one(b, "up", "gauge", "1 where the journal can be written.",
	    d->broken.code == PL_OK);
	one(b, "jobs", "gauge", "Jobs that are not done.", (double)d->njobs);
	challenges(d, b);
	one(b, "journal_bytes", "gauge", "Size of the journal.",
	    file_size(dir, "journal.db") + file_size(dir, "journal.db-wal"));
	one(b, "worker_restarts_total", "counter",
	    "Workers that ended in trouble.", restarts);
	pl_stats_render(d->stats, b);
}

/* ---- over HTTP ------------------------------------------------------------------------ */

static void
reader_free(struct reader *r)
{
	struct reader **at = &r->m->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->m->n--;
	pl_loop_forget(r->m->d->loop, r->timer);
	pl_loop_unwatch(r->m->d->loop, r->fd);
	close(r->fd);
	pl_buf_clear(&r->in);
	pl_buf_clear(&r->out);
	free(r);
}

static void
on_late(void *arg)
{
	struct reader *r = arg;

	r->timer = 0;
	reader_free(r);
}

static void
respond(struct reader *r)
{
	static const char get[] = "GET /metrics";
	const char *p = r->in.data, *status = "404 Not Found";
	struct pl_buf body;

	pl_buf_init(&body, PL_LIM_REPORT);
	if (strncmp(p, get, strlen(get)) == 0 &&
	    (p[strlen(get)] == ' ' || p[strlen(get)] == '?')) {
		status = "200 OK";
		metrics_text(r->m->d, &body);
	} else if (strncmp(p, "GET ", 4) != 0)
		status = "405 Method Not Allowed";
	pl_buf_addf(&r->out, "HTTP/1.1 %s\r\nContent-Type: text/plain; "
	    "version=0.0.4\r\nContent-Length: %zu\r\nConnection: close\r\n"
	    "\r\n", status, body.len);
	pl_buf_add(&r->out, body.data, body.len);
	pl_buf_clear(&body);
}

/* False: it is over. */
static bool
read_request(struct reader *r)
{
	char block[1024];
	ssize_t n = read(r->fd, block, sizeof(block));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	if (r->out.len > 0)
		return true;
	pl_buf_add(&r->in, block, (size_t)n);
	if (r->in.failed)
		return false;
	if (strstr(r->in.data, "\r\n\r\n") != NULL ||
	    strstr(r->in.data, "\n\n") != NULL)
		respond(r);
	return true;
}

static void
on_reader(void *arg)
{
	struct reader *r = arg;
	bool goes_on = read_request(r);
	ssize_t n;

	if (goes_on && r->out.len > 0) {
		n = send(r->fd, r->out.data + r->sent, r->out.len - r->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			r->sent += (size_t)n;
		else if (n == -1 && errno != EAGAIN && errno != EINTR)
			goes_on = false;
		goes_on = goes_on && r->sent < r->out.len;
	}
	if (goes_on)
		pl_loop_watch(r->m->d->loop, r->fd, r->out.len > 0,
		    on_reader, r);
	else
		reader_free(r);
}

static void
on_connect(void *arg)
{
	struct pl_metrics *m = arg;
	struct reader *r;
	int fd = accept4(m->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return;
	if (m->n >= MOST_CLIENTS) {
		close(fd);
		return;
	}
	r = pl_alloc(sizeof(*r));
	r->m = m;
	r->fd = fd;
	pl_buf_init(&r->in, REQUEST_MOST);
	pl_buf_init(&r->out, PL_LIM_REPORT);
	r->next = m->readers;
	m->readers = r;
	m->n++;
	r->timer = pl_loop_after(m->d->loop, CLIENT_MS, on_late, r);
	pl_loop_watch(m->d->loop, fd, false, on_reader, r);
}

/* ---- where they are ---------------------------------------------------------------------- */

static enum pl_code
bind_local(struct pl_metrics *m, const char *path, struct pl_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return pl_fail(err, PL_EINVAL, "metrics-listen: %s: too long "
		    "for a socket", path);
	memcpy(sa.sun_path, path, strlen(path));
	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	unlink(path);
	if (m->fd == -1 || bind(m->fd, (const void *)&sa, sizeof(sa)) == -1 ||
	    chmod(path, 0666) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "metrics-listen: %s",
		    path);
	m->path = pl_strdup(path);
	return PL_OK;
}

static enum pl_code
bind_loopback(struct pl_metrics *m, const char *where, struct pl_err *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char host[256];
	uint16_t port;
	bool six;
	int on = 1;

	if (pl_hostport_parse(host, sizeof(host), &port, where, 0, err) !=
	    PL_OK)
		return pl_prefix(err, "metrics-listen");
	v4.sin_port = v6.sin6_port = htons(port);
	six = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
	if (!six && inet_pton(AF_INET, host, &v4.sin_addr) != 1)
		return pl_fail(err, PL_EINVAL, "metrics-listen: %s: no "
		    "address", host);
	m->fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (m->fd != -1)
		setsockopt(m->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (m->fd == -1 || (six ?
	    bind(m->fd, (const void *)&v6, sizeof(v6)) :
	    bind(m->fd, (const void *)&v4, sizeof(v4))) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "metrics-listen: %s",
		    where);
	return PL_OK;
}

static void
write_file(void *arg)
{
	struct pl_metrics *m = arg;
	const char *path = m->d->config->service.metrics_file;
	struct pl_buf b;
	struct pl_err err;

	m->timer = pl_loop_after(m->d->loop, FILE_MS, write_file, m);
	pl_buf_init(&b, PL_LIM_REPORT);
	metrics_text(m->d, &b);
	if (pl_file_write(path, b.data, b.len, 0644, &err) != PL_OK)
		pl_logf(&m->d->log, PL_LOG_WARN, "metrics", "error=\"%s\"",
		    err.text);
	pl_buf_clear(&b);
}

enum pl_code
metrics_new(struct pl_metrics **out, struct pl_daemon *d,
    struct pl_err *err)
{
	const char *where = d->config->service.metrics_listen;
	struct pl_metrics *m = pl_alloc(sizeof(*m));
	enum pl_code code = PL_OK;

	*out = NULL;
	m->d = d;
	m->fd = -1;
	if (where != NULL && strncmp(where, "unix:", 5) == 0)
		code = bind_local(m, where + 5, err);
	else if (where != NULL)
		code = bind_loopback(m, where, err);
	if (code == PL_OK && m->fd != -1 && listen(m->fd, 16) == -1)
		code = pl_fail_sys(err, PL_EIO, errno, "metrics-listen");
	if (code != PL_OK) {
		metrics_free(m);
		return code;
	}
	if (m->fd != -1)
		pl_loop_watch(d->loop, m->fd, false, on_connect, m);
	if (d->config->service.metrics_file != NULL)
		m->timer = pl_loop_after(d->loop, 0, write_file, m);
	*out = m;
	return PL_OK;
}

void
metrics_free(struct pl_metrics *m)
{
	if (m == NULL)
		return;
	while (m->readers != NULL)
		reader_free(m->readers);
	pl_loop_forget(m->d->loop, m->timer);
	if (m->fd != -1) {
		pl_loop_unwatch(m->d->loop, m->fd);
		close(m->fd);
	}
	if (m->path != NULL)
		unlink(m->path);
	free(m->path);
	free(m);
}
