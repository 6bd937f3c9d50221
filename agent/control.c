/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The control socket.  A client sends one JSON object a line and gets one
 * or more of them back:
 *
 *   {"request": "submit", "id": ID, "job": {...}}  -> {"report": {...}}
 *   {"request": "list"}                            -> {"jobs": [...]}
 *   {"request": "show", "id": ID}                  -> {"report": {...}}
 *   {"request": "wait", "id": ID}                  -> {"report": {...}}, when at rest
 *   {"request": "watch", "id": ID or absent}       -> {"event": {...}}, ...
 *   {"request": "release" | "cancel", "id": ID}    -> {"report": {...}}
 *   {"request": "status"}                          -> {"status": {...}}
 *
 * or {"error": {"code": ..., "text": ..., "retry": ...}}.  Nothing is written before the
 * loop's next turn, which is after the commit of what it tells.
 */
#include "daemon.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_CLIENTS 512
#define MOST_OF_ONE 128		/* connections of one user */
#define LINE_MOST (PL_LIM_JOB + PL_LIM_LINE)
#define QUEUE_MOST (8u << 20)	/* events that a watcher has not read */
#define LINGER_MS 5000
#define AGAIN_MS 20

struct client {
	struct pl_control *c;
	struct client *next;
	int fd;
	int64_t uid;
	bool all;			/* may do everything */
	struct pl_buf in, out;
	size_t sent, looked;
	char *wait;			/* job that it waits for */
	bool watch;
	char *watched;			/* one job only, or NULL */
	bool closing, eof, dead;
	uint64_t timer;
};

struct pl_control {
	struct pl_daemon *d;
	int fd, dirfd;
	char *name;
	gid_t group;
	bool has_group;
	struct client *clients;
	size_t n;
};

static void on_client(void *arg);

/* ---- clients ------------------------------------------------------------------- */

static void
client_watch(struct client *cl)
{
	pl_loop_watch(cl->c->d->loop, cl->fd, cl->out.len > cl->sent,
	    on_client, cl);
}

static void
client_free(struct client *cl)
{
	struct client **at = &cl->c->clients;

	while (*at != cl)
		at = &(*at)->next;
	*at = cl->next;
	cl->c->n--;
	pl_loop_unwatch(cl->c->d->loop, cl->fd);
	pl_loop_forget(cl->c->d->loop, cl->timer);
	close(cl->fd);
	pl_buf_clear(&cl->in);
	pl_buf_clear(&cl->out);
	free(cl->wait);
	free(cl->watched);
	free(cl);
}

/* Keeps the object. */
static void
answer(struct client *cl, json_t *j)
{
	pl_json_dump(&cl->out, j);
	pl_buf_addc(&cl->out, '\n');
	pl_json_free(j);
	if (cl->out.failed)
		cl->dead = true;
	client_watch(cl);
}

static void
answer_with(struct client *cl, const char *key, json_t *value)
{
	json_t *j = pl_json_object();

	pl_json_set(j, key, value);
	answer(cl, j);
}

static void
answer_error(struct client *cl, const struct pl_err *err)
{
	json_t *e = pl_json_object();

	pl_json_sets(e, "code", pl_code_name(err->code));
	pl_json_sets(e, "text", err->text);
	pl_json_setb(e, "retry", pl_code_retry(err->code));
	answer_with(cl, "error", e);
}

/* ---- requests -------------------------------------------------------------------- */

static int64_t
seen_by(const struct client *cl)
{
	return cl->all ? -1 : cl->uid;
}

static void
do_submit(struct client *cl, const json_t *request)
{
	struct pl_daemon *d = cl->c->d;
	const char *id = pl_json_str(pl_json_get(request, "id"));
	const json_t *doc = pl_json_get(request, "job");
	struct pl_djob *j;
	struct pl_job job;
	struct pl_err err;
	enum pl_job_phase phase;
	json_t *report = NULL;
	bool fresh = false;

	if (pl_job_make(&job, doc, &err) != PL_OK) {
		answer_error(cl, &err);
		return;
	}
	/* A name that the client has made up, so that it may ask again. */
	if (pl_json_get(doc, "job") == NULL && id != NULL &&
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") ==
	    strlen(id) && strlen(id) >= 12 && strlen(id) <= 64) {
		free(job.id);
		job.id = pl_strdup(id);
	}
	if (work_admit(d, &job, cl->uid, NULL, &j, &fresh, &err) != PL_OK) {
		answer_error(cl, &err);
		return;
	}
	if (work_report(d, j->row.id, -1, &report, &phase, &err) != PL_OK)
		answer_error(cl, &err);
	else
		answer_with(cl, "report", report);
	if (fresh)
		work_start(j);
}

struct listing {
	const struct client *cl;
	json_t *list;
};

static void
set_time(json_t *j, const char *key, int64_t wall_ms)
{
	char text[PL_TIME_TEXT];

	if (wall_ms == 0) {
		pl_json_set(j, key, pl_json_null());
		return;
	}
	pl_time_format(text, wall_ms);
	pl_json_sets(j, key, text);
}

static void
list_one(void *arg, const struct pl_job_row *r)
{
	struct listing *l = arg;
	const struct pl_djob *live = work_find(l->cl->c->d, r->id);
	struct pl_err err;
	json_t *j, *report = NULL;

	if (!l->cl->all && r->uid != l->cl->uid)
		return;
	j = pl_json_object();
	if (r->report != NULL)
		pl_json_parse(&report, r->report, strlen(r->report), r->id,
		    &err);
	pl_json_sets(j, "job", r->id);
	pl_json_sets(j, "state", live != NULL && live->run != NULL ?
	    pl_state_name(live->state) : report_state(report));
	pl_json_sets(j, "phase", pl_job_phase_name(r->phase));
	pl_json_seti(j, "uid", r->uid);
	pl_json_seti(j, "challenges", (int64_t)pl_json_count(
	    pl_json_get(report, "challenges")));
	set_time(j, "created", r->created);
	set_time(j, "deadline", r->deadline);
	set_time(j, "due", r->due);
	pl_json_append(l->list, j);
	pl_json_free(report);
}

static void
do_list(struct client *cl)
{
	struct listing l = { cl, pl_json_array() };
	struct pl_err err;

	if (pl_journal_job_each(cl->c->d->journal, NULL, list_one, &l,
	    &err) == PL_OK) {
		answer_with(cl, "jobs", l.list);
		return;
	}
	pl_json_free(l.list);
	answer_error(cl, &err);
}

static void
do_show(struct client *cl, const char *id, bool wait)
{
	enum pl_job_phase phase;
	json_t *report;
	struct pl_err err;

	if (work_report(cl->c->d, id, seen_by(cl), &report, &phase, &err) !=
	    PL_OK) {
		answer_error(cl, &err);
		return;
	}
	if (wait && (phase == PL_J_ACTIVE || phase == PL_J_REMOVING)) {
		pl_json_free(report);
		free(cl->wait);
		cl->wait = pl_strdup(id);
		return;
	}
	answer_with(cl, "report", report);
}

static void
do_end(struct client *cl, const char *id, bool cancelled)
{
	struct pl_daemon *d = cl->c->d;
	struct pl_djob *j = work_find(d, id);
	enum pl_job_phase phase;
	json_t *report;
	struct pl_err err;

	if (work_report(d, id, seen_by(cl), &report, &phase, &err) != PL_OK) {
		answer_error(cl, &err);
		return;
	}
	if (j != NULL) {
		pl_logf(&d->log, PL_LOG_INFO, cancelled ? "cancel" :
		    "release", "job=%s uid=%lld", id, (long long)cl->uid);
		work_end(j, cancelled);
	}
	answer_with(cl, "report", report);
}

static void
do_watch(struct client *cl, const char *id)
{
	enum pl_job_phase phase;
	json_t *report;
	struct pl_err err;

	if (id != NULL) {
		if (work_report(cl->c->d, id, seen_by(cl), &report, &phase,
		    &err) != PL_OK) {
			answer_error(cl, &err);
			return;
		}
		pl_json_free(report);
		free(cl->watched);
		cl->watched = pl_strdup(id);
	}
	cl->watch = true;
	answer_with(cl, "watching", pl_json_bool(true));
}

static void
do_status(struct client *cl)
{
	struct pl_daemon *d = cl->c->d;
	size_t states[PL_NSTATES];
	json_t *j = pl_json_object();

	work_count(d, states);
	pl_json_seti(j, "pid", getpid());
	pl_json_sets(j, "version", PL_VERSION);
	pl_json_seti(j, "jobs", (int64_t)d->njobs);
	pl_json_seti(j, "waiting", (int64_t)(states[PL_QUEUED] +
	    states[PL_PUBLISHED]));
	pl_json_sets(j, "state-directory", d->config->state_directory);
	pl_json_sets(j, "trouble", d->broken.code != PL_OK ? d->broken.text :
	    NULL);
	answer_with(cl, "status", j);
}

static void
do_request(struct client *cl, const json_t *j, const char *what,
    const char *id)
{
	struct pl_err err;

	if (pl_streq(what, "submit"))
		do_submit(cl, j);
	else if (pl_streq(what, "list"))
		do_list(cl);
	else if (pl_streq(what, "status"))
		do_status(cl);
	else if (pl_streq(what, "watch"))
		do_watch(cl, id);
	else if (id == NULL) {
		pl_fail(&err, PL_EINVAL, "request: a known one, with an id, "
		    "is expected");
		answer_error(cl, &err);
	} else if (pl_streq(what, "show"))
		do_show(cl, id, false);
	else if (pl_streq(what, "wait"))
		do_show(cl, id, true);
	else if (pl_streq(what, "release"))
		do_end(cl, id, false);
	else if (pl_streq(what, "cancel"))
		do_end(cl, id, true);
	else {
		pl_fail(&err, PL_EINVAL, "request: %.40s: unknown",
		    what != NULL ? what : "");
		answer_error(cl, &err);
	}
}

static void
take_line(struct client *cl, const char *line, size_t n)
{
	static const char *const known[] = { "request", "id", "job", NULL };
	struct pl_err err;
	json_t *j;

	if (pl_json_parse(&j, line, n, "request", &err) != PL_OK ||
	    pl_json_known(j, "", known, &err) != PL_OK) {
		answer_error(cl, &err);
		cl->closing = true;
	} else
		do_request(cl, j, pl_json_str(pl_json_get(j, "request")),
		    pl_json_str(pl_json_get(j, "id")));
	pl_json_free(j);
}

/* ---- input and output ---------------------------------------------------------------- */

static void
take_lines(struct client *cl)
{
	char *end;
	size_t n;

	while (!cl->closing && !cl->dead && (end = memchr(cl->in.data +
	    cl->looked, '\n', cl->in.len - cl->looked)) != NULL) {
		n = (size_t)(end - cl->in.data);
		take_line(cl, cl->in.data, n);
		pl_buf_drop(&cl->in, n + 1);
		cl->looked = 0;
	}
	cl->looked = cl->in.len;
}

static void
client_read(struct client *cl)
{
	char block[65536];
	ssize_t n;

	n = read(cl->fd, block, sizeof(block));
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
		/* Who has said all may still want to hear the answer. */
		cl->closing = cl->eof = true;
		cl->dead = n == -1;
		return;
	}
	if (n == -1 || cl->closing)
		return;
	pl_buf_add(&cl->in, block, (size_t)n);
	if (cl->in.failed)
		cl->dead = true;
	else
		take_lines(cl);
}

static void
client_write(struct client *cl)
{
	ssize_t n;

	if (cl->out.len == cl->sent)
		return;
	n = send(cl->fd, cl->out.data + cl->sent, cl->out.len - cl->sent,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		cl->dead = true;
	if (n > 0)
		cl->sent += (size_t)n;
	if (cl->sent == cl->out.len) {
		pl_buf_reset(&cl->out);
		cl->sent = 0;
	} else if (cl->sent > PL_LIM_BODY) {
		pl_buf_drop(&cl->out, cl->sent);
		cl->sent = 0;
	}
}

static void
client_again(void *arg)
{
	struct client *cl = arg;

	cl->timer = 0;
	/* It had its time to hear the answer. */
	if (cl->out.len == cl->sent)
		client_free(cl);
	else
		on_client(cl);
}

/*
 * A client is let go.  To close while it still writes would take the answer
 * from it, so its input is read until it ends; where that has ended and it
 * does not read, it is looked after now and then.
 */
static void
client_part(struct client *cl)
{
	struct pl_loop *loop = cl->c->d->loop;
	bool said = cl->out.len == cl->sent;

	if (said && (cl->eof || cl->c->n > MOST_CLIENTS)) {
		client_free(cl);
		return;
	}
	if (cl->eof)
		pl_loop_unwatch(loop, cl->fd);
	else
		client_watch(cl);
	if (cl->timer != 0 || !(said || cl->eof))
		return;
	if (said)
		shutdown(cl->fd, SHUT_WR);
	cl->timer = pl_loop_after(loop, said ? LINGER_MS : AGAIN_MS,
	    client_again, cl);
}

static void
on_client(void *arg)
{
	struct client *cl = arg;

	client_write(cl);
	if (!cl->dead && !cl->eof)
		client_read(cl);
	if (cl->dead)
		client_free(cl);
	else if (cl->closing)
		client_part(cl);
	else
		client_watch(cl);
}

/* ---- who may ---------------------------------------------------------------------------- */

static bool
in_group(int fd, gid_t first, gid_t group)
{
	gid_t groups[1024];
	socklen_t size = sizeof(groups);

	if (first == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == -1)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static bool
may_ask(const struct pl_control *c, struct client *cl, struct pl_err *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	size_t same = 0;

	if (getsockopt(cl->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == -1) {
		pl_fail_sys(err, PL_EAUTH, errno, "control socket");
		return false;
	}
	cl->uid = peer.uid;
	cl->all = peer.uid == 0 || peer.uid == geteuid();
	if (!cl->all && (!c->has_group || !in_group(cl->fd, peer.gid,
	    c->group))) {
		pl_fail(err, PL_EAUTH, "control socket: user %u is not in "
		    "the group of the service", (unsigned)peer.uid);
		return false;
	}
	for (const struct client *o = c->clients; o != NULL; o = o->next)
		same += o->uid == cl->uid;
	if (c->n > MOST_CLIENTS || same > MOST_OF_ONE) {
		pl_fail(err, PL_ELIMIT, "control socket: too many "
		    "connections");
		return false;
	}
	return true;
}

static void
on_connect(void *arg)
{
	struct pl_control *c = arg;
	struct client *cl;
	struct pl_err err;
	int fd;

	fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1)
		return;
	cl = pl_alloc(sizeof(*cl));
	cl->c = c;
	cl->fd = fd;
	pl_buf_init(&cl->in, LINE_MOST);
	pl_buf_init(&cl->out, PL_LIM_REPORT);
	cl->next = c->clients;
	c->clients = cl;
	c->n++;
	if (!may_ask(c, cl, &err)) {
		answer_error(cl, &err);
		cl->closing = true;
	}
	client_watch(cl);
}

/* ---- events ------------------------------------------------------------------------------ */

bool
control_watched(const struct pl_control *c)
{
	if (c == NULL)
		return false;
	for (const struct client *cl = c->clients; cl != NULL; cl = cl->next) {
		if (cl->watch)
			return true;
	}
	return false;
}

static json_t *
copy(const json_t *j)
{
	char *text = pl_json_text(j);
	struct pl_err err;
	json_t *new = NULL;

	pl_json_parse(&new, text, strlen(text), "event", &err);
	free(text);
	return new;
}

void
control_event(struct pl_control *c, const struct pl_djob *j,
    const json_t *event)
{
	for (struct client *cl = c->clients; cl != NULL; cl = cl->next) {
		if (!cl->watch || cl->closing || (!cl->all &&
		    cl->uid != j->row.uid) || (cl->watched != NULL &&
		    strcmp(cl->watched, j->row.id) != 0))
			continue;
		/* One that does not read what it asked for is let go. */
		if (cl->out.len - cl->sent > QUEUE_MOST)
			cl->closing = true;
		else
			answer_with(cl, "event", copy(event));
	}
}

void
control_rested(struct pl_control *c, const struct pl_djob *j)
{
	enum pl_job_phase phase;
	json_t *report;
	struct pl_err err;

	for (struct client *cl = c != NULL ? c->clients : NULL; cl != NULL;
	    cl = cl->next) {
		if (!pl_streq(cl->wait, j->row.id))
			continue;
		free(cl->wait);
		cl->wait = NULL;
		if (work_report(c->d, j->row.id, -1, &report, &phase, &err) !=
		    PL_OK)
			answer_error(cl, &err);
		else
			answer_with(cl, "report", report);
	}
}

/* ---- the socket itself ---------------------------------------------------------------------- */

/* A path by its folder's descriptor, since sun_path is short. */
static enum pl_code
address(const struct pl_control *c, struct sockaddr_un *sa,
    struct pl_err *err)
{
	int n;

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	n = snprintf(sa->sun_path, sizeof(sa->sun_path),
	    "/proc/self/fd/%d/%s", c->dirfd, c->name);
	if (n < 0 || (size_t)n >= sizeof(sa->sun_path))
		return pl_fail(err, PL_EINVAL, "%s: too long for the name of "
		    "a socket", c->name);
	return PL_OK;
}

static enum pl_code
open_folder(struct pl_control *c, const char *path, struct pl_err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir;

	if (slash == NULL || slash[1] == '\0')
		return pl_fail(err, PL_EINVAL, "%s: no path of a socket",
		    path);
	dir = pl_strndup(path, slash == path ? 1 : (size_t)(slash - path));
	c->name = pl_strdup(slash + 1);
	if (pl_mkdirs(dir, 0755, err) == PL_OK) {
		c->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (c->dirfd == -1)
			pl_fail_sys(err, PL_EIO, errno, "%s", dir);
	}
	free(dir);
	return c->dirfd == -1 ? err->code : PL_OK;
}

static void
find_group(struct pl_control *c)
{
	const char *name = c->d->config->service.group;
	const struct group *g = getgrnam(name != NULL ? name : "placard");

	if (g == NULL) {
		pl_logf(&c->d->log, name != NULL ? PL_LOG_WARN :
		    PL_LOG_DEBUG, "control", "group=%s error=\"no such "
		    "group\"", name != NULL ? name : "placard");
		return;
	}
	c->group = g->gr_gid;
	c->has_group = true;
}

static enum pl_code
listen_at(struct pl_control *c, const char *path, struct pl_err *err)
{
	struct sockaddr_un sa;
	struct stat st;
	enum pl_code code;

	code = address(c, &sa, err);
	if (code != PL_OK)
		return code;
	/* The journal's lock says that no other placardd uses it. */
	unlinkat(c->dirfd, c->name, 0);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (c->fd == -1 || bind(c->fd, (const void *)&sa, sizeof(sa)) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "%s", path);
	if (fstatat(c->dirfd, c->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "%s", path);
	if (c->has_group && st.st_gid != c->group && fchownat(c->dirfd,
	    c->name, (uid_t)-1, c->group, AT_SYMLINK_NOFOLLOW) == -1) {
		pl_logf(&c->d->log, PL_LOG_WARN, "control", "socket=%s "
		    "error=\"cannot be given to the group: %s\"", path,
		    strerror(errno));
		c->has_group = false;
	}
	if (fchmodat(c->dirfd, c->name, c->has_group ? 0660 : 0600, 0) ==
	    -1 || listen(c->fd, 128) == -1)
		return pl_fail_sys(err, PL_EIO, errno, "%s", path);
	return PL_OK;
}

enum pl_code
control_new(struct pl_control **out, struct pl_daemon *d, const char *path,
    struct pl_err *err)
{
	struct pl_control *c = pl_alloc(sizeof(*c));
	enum pl_code code;

	*out = NULL;
	c->d = d;
	c->fd = c->dirfd = -1;
	find_group(c);
	code = open_folder(c, path, err);
	if (code == PL_OK)
		code = listen_at(c, path, err);
	if (code != PL_OK) {
		control_free(c);
		return code;
	}
	pl_loop_watch(d->loop, c->fd, false, on_connect, c);
	*out = c;
	return PL_OK;
}

void
control_free(struct pl_control *c)
{
	if (c == NULL)
		return;
	while (c->clients != NULL) {
		client_write(c->clients);
		client_free(c->clients);
	}
	if (c->fd != -1) {
		pl_loop_unwatch(c->d->loop, c->fd);
		unlinkat(c->dirfd, c->name, 0);
		close(c->fd);
	}
	if (c->dirfd != -1)
		close(c->dirfd);
	free(c->name);
	free(c);
}
