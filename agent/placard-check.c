/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The check worker: questions come in frames, sightings go out.  It holds
 * nothing secret.  In the role "served" it looks at what certificate a server
 * shows.
 */
#include "agent.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

struct checker {
	struct pl_chan chan;
	struct pl_verifier *v;
	bool served;			/* role served: one call at a time */
	bool broken;
};

static void
found(void *arg, const struct pl_sighting *s)
{
	struct checker *c = arg;
	struct pl_buf b;
	struct pl_err err;

	pl_buf_init(&b, PL_LIM_FRAME);
	pl_sighting_put(&b, s);
	if (pl_chan_send(&c->chan, PL_MSG_SEEN, &b, &err) != PL_OK)
		c->broken = true;
	pl_buf_clear(&b);
}

static void
greet(struct checker *c, struct pl_cursor *cur)
{
	struct pl_verify_settings set;
	struct pl_buf b;
	struct pl_err err;
	const char *role = pl_get_str(cur), *read[2] = { NULL, NULL };
	struct pl_log log = { 2, PL_LOG_WARN, false, false,
		"placard-check" };
	struct pl_sandbox box = { .profile = PL_PROFILE_CHECK, .read = read };
	unsigned flags;

	pl_err_clear(&err);
	flags = pl_get_u8(cur);
	log.level = PL_HELLO_LEVEL(flags);
	pl_verify_settings_get(cur, &set);
	c->served = pl_streq(role, PL_ROLE_SERVED);
	if (cur->bad || (!c->served && !pl_streq(role, PL_ROLE_CHECK))) {
		c->broken = true;
		return;
	}
	read[0] = set.trust_anchor;
	box.mode = PL_HELLO_SANDBOX(flags);
	pl_sandbox_apply(&box, &log, role);
	if (c->served || pl_verifier_new(&c->v, &set, found, c, &err) ==
	    PL_OK)
		err.code = PL_OK;
	pl_verify_settings_drop(&set);
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_err(&b, &err);
	if (pl_chan_send(&c->chan, PL_MSG_READY, &b, &err) != PL_OK)
		c->broken = true;
	pl_buf_clear(&b);
}

/* A check that cannot be taken is answered at once. */
static void
refuse(struct checker *c, uint32_t id, const struct pl_err *err)
{
	struct pl_sighting s = { .id = id, .final = true, .code = err->code,
		.err = *err };

	found(c, &s);
}

static void
take_checks(struct checker *c, struct pl_cursor *cur)
{
	uint32_t n = pl_get_count(cur, 20);
	struct pl_check check;
	struct pl_err err;

	for (uint32_t i = 0; i < n; i++) {
		pl_check_get(cur, &check);
		if (cur->bad) {
			c->broken = true;
			return;
		}
		pl_err_clear(&err);
		if (pl_verifier_add(c->v, &check, &err) != PL_OK)
			refuse(c, check.id, &err);
	}
}

static void
take_call(struct checker *c, struct pl_cursor *cur)
{
	struct pl_buf b;
	struct pl_err err;

	pl_buf_init(&b, PL_LIM_FRAME);
	if (pl_serve_served(cur, &b) != PL_OK || pl_chan_send(&c->chan,
	    PL_MSG_CALLED, &b, &err) != PL_OK)
		c->broken = true;
	pl_buf_clear(&b);
}

static void
take_frame(struct checker *c, struct pl_frame *f)
{
	if (c->served) {
		if (f->type == PL_MSG_CALL)
			take_call(c, &f->body);
		else
			c->broken = true;
	} else if (c->v == NULL && f->type == PL_MSG_HELLO)
		greet(c, &f->body);
	else if (c->v != NULL && f->type == PL_MSG_CHECK)
		take_checks(c, &f->body);
	else if (c->v != NULL && f->type == PL_MSG_CANCEL)
		pl_verifier_cancel(c->v, pl_get_u32(&f->body));
	else
		c->broken = true;
}

static void
take_input(struct checker *c)
{
	struct pl_frame f;
	struct pl_err err;
	bool eof = false;

	if (pl_chan_fill(&c->chan, &eof, &err) != PL_OK || eof)
		c->broken = true;
	while (!c->broken && pl_chan_next(&c->chan, &f))
		take_frame(c, &f);
}

int
main(void)
{
	struct checker c = { .broken = false };
	struct pl_err err;

	pl_process_harden(PL_SEAM_FD);
	fcntl(PL_SEAM_FD, F_SETFL, O_NONBLOCK);
	pl_chan_init(&c.chan, PL_SEAM_FD);
	while (!c.broken) {
		struct pollfd p[2] = { { .fd = PL_SEAM_FD, .events = POLLIN },
			{ .fd = -1, .events = POLLIN } };
		int wait = -1;

		if (c.v != NULL) {
			wait = pl_verifier_run(c.v);
			p[1].fd = pl_verifier_fd(c.v);
		}
		if (pl_chan_flush(&c.chan, &err) != PL_OK)
			break;
		if (pl_chan_pending(&c.chan))
			p[0].events = POLLIN | POLLOUT;
		if (poll(p, 2, wait) == -1)
			continue;
		if (p[0].revents != 0)
			take_input(&c);
	}
	pl_verifier_free(c.v);
	pl_chan_clear(&c.chan);
	return 0;
}
