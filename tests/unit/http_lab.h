/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* The servers of http_server.py, and calls to them. */
#ifndef PL_TEST_HTTP_LAB_H
#define PL_TEST_HTTP_LAB_H

#include "scratch.h"
#include "wire.h"

#include <sys/wait.h>

enum lab_port { LAB_GOOD, LAB_EXPIRED, LAB_WRONGHOST, LAB_UNKNOWN, LAB_OLD,
	LAB_PLAIN, LAB_NPORTS };

struct lab {
	void *folder;		/* scratch.h's state */
	char ca[600];
	unsigned ports[LAB_NPORTS];
	pid_t pid;
	int in;			/* closing it ends the servers */
};

static inline int
lab_setup(void **state)
{
	struct lab *l = pl_alloc(sizeof(*l));
	const char *src = getenv("srcdir");
	char script[512], line[128] = "";
	int in[2], out[2];
	size_t n = 0;
	ssize_t got;

	snprintf(script, sizeof(script), "%s/tests/unit/http_server.py",
	    src != NULL ? src : ".");
	if (scratch_setup(&l->folder) != 0 || pipe(in) != 0 || pipe(out) != 0)
		return -1;
	scratch_path(l->ca, sizeof(l->ca), &l->folder, "ca.pem");
	l->pid = fork();
	if (l->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/usr/bin/python3", "python3", script,
		    (const char *)l->folder, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	l->in = in[1];
	while (n < sizeof(line) - 1 && strchr(line, '\n') == NULL &&
	    (got = read(out[0], line + n, sizeof(line) - 1 - n)) > 0)
		n += (size_t)got;
	close(out[0]);
	*state = l;
	return sscanf(line, "%u %u %u %u %u %u", &l->ports[0], &l->ports[1],
	    &l->ports[2], &l->ports[3], &l->ports[4], &l->ports[5]) ==
	    LAB_NPORTS ? 0 : -1;
}

static inline int
lab_teardown(void **state)
{
	struct lab *l = *state;
	int status;

	close(l->in);
	waitpid(l->pid, &status, 0);
	scratch_teardown(&l->folder);
	free(l);
	return 0;
}

static inline struct pl_http *
lab_open(const struct lab *l, enum lab_port port)
{
	struct pl_http_opts o = { .ca_file = l->ca };
	struct pl_http *h;
	struct pl_err err;
	char url[64];

	snprintf(url, sizeof(url), "http%s://127.0.0.1:%u",
	    port == LAB_PLAIN ? "" : "s", l->ports[port]);
	o.endpoint = url;
	assert_int_equal(pl_http_open(&h, &o, &err), PL_OK);
	return h;
}

/* One GET with a credential; gives what it came to. */
static inline enum pl_code
lab_get(struct pl_http *h, const char *target, struct pl_http_res *res,
    struct pl_err *err)
{
	struct pl_secret *s = pl_secret_new("canary-key", 10);
	struct pl_http_header headers[] = {
		{ "Authorization", "Bearer ", s }, { NULL, NULL, NULL } };
	struct pl_http_req q = { .method = "GET", .target = target,
		.headers = headers };
	enum pl_code code;

	pl_err_clear(err);
	code = pl_http_call(h, &q, res, pl_mono_ms() + 30000, err);
	pl_secret_free(s);
	return code;
}

/* What the servers have been asked for so far. */
static inline void
lab_seen(const struct lab *l, struct pl_buf *seen)
{
	struct pl_http *h = lab_open(l, LAB_GOOD);
	struct pl_http_res res;
	struct pl_err err;

	assert_int_equal(lab_get(h, "/seen", &res, &err), PL_OK);
	pl_buf_reset(seen);
	pl_buf_adds(seen, res.body.data);
	pl_http_res_clear(&res);
	pl_http_close(h);
}

#endif
