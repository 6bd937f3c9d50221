/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A worker that misbehaves as its account's setting "mode" says.  A "world"
 * setting names a file that stands for the zone: each ADD appends a line
 * "+value", each DEL a line "-value".
 */
#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake {
	struct pl_chan chan;
	struct pl_settings set;
	const char *mode, *world;
};

static bool
is(const struct fake *f, const char *mode)
{
	return strcmp(f->mode, mode) == 0;
}

/* The first process of this account misbehaves, the next ones do not. */
static bool
first_time(const struct fake *f)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s.once", f->world);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd != -1)
		close(fd);
	return fd != -1;
}

static void
answer(struct fake *f, enum pl_msg type, struct pl_buf *b)
{
	struct pl_err err;

	if (pl_chan_send(&f->chan, (uint8_t)type, b, &err) != PL_OK)
		exit(1);
	pl_buf_clear(b);
}

static void
greet(struct fake *f, struct pl_cursor *c)
{
	struct pl_buf b;
	struct pl_err err;

	pl_err_clear(&err);
	pl_get_str(c);
	pl_get_u8(c);
	pl_settings_get(c, &f->set);
	f->mode = pl_setting(&f->set, "mode");
	f->world = pl_setting(&f->set, "world");
	if (is(f, "refused"))
		pl_fail(&err, PL_EAUTH, "%s: key refused", f->set.account);
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_err(&b, &err);
	answer(f, PL_MSG_READY, &b);
}

/* How many requests a call is said to have made. */
static uint32_t
cost(const struct fake *f)
{
	return (uint32_t)pl_setting_int(&f->set, "cost", 1);
}

static void
scope(struct fake *f, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), n;
	struct pl_buf b;
	struct pl_err err;

	pl_err_clear(&err);
	pl_get_u32(c);
	n = pl_get_u32(c);
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, id);
	pl_put_u32(&b, n);
	for (uint32_t i = 0; i < n; i++) {
		pl_put_str(&b, "example.com");
		pl_put_err(&b, &err);
	}
	pl_put_u32(&b, cost(f));
	answer(f, PL_MSG_SCOPED, &b);
}

static void
change_world(const struct fake *f, const struct pl_change *ch)
{
	char line[300];
	int fd = open(f->world, O_WRONLY | O_APPEND | O_CREAT, 0600), n;

	n = snprintf(line, sizeof(line), "%c%.*s\n",
	    ch->op == PL_ADD ? '+' : '-', (int)ch->value_len, ch->value);
	if (write(fd, line, (size_t)n) != n)
		exit(1);
	close(fd);
}

/* Holds the answer back until the test makes the file. */
static void
wait_for_test(const struct fake *f)
{
	char path[256];

	snprintf(path, sizeof(path), "%s.once", f->world);
	while (access(path, F_OK) != 0)
		usleep(2000);
}

static void
apply(struct fake *f, struct pl_cursor *c)
{
	uint32_t id = pl_get_u32(c), n;
	struct pl_outcome out = { .was = PL_WAS_ABSENT };
	struct pl_change ch = { .op = PL_ADD };
	struct pl_buf b;
	struct pl_err err;

	pl_err_clear(&err);
	pl_get_u32(c);
	pl_get_u32(c);
	pl_get_str(c);
	n = pl_get_u32(c);
	if (is(f, "die-always") || (is(f, "die-before") && first_time(f)))
		_exit(1);
	for (uint32_t i = 0; i < n; i++) {
		pl_change_get(c, &ch);
		if (ch.op != PL_LOOK)
			change_world(f, &ch);
	}
	if (is(f, "die-after") && first_time(f))
		_exit(1);
	if (is(f, "hang") && first_time(f))
		pause();
	if (is(f, "slow") && ch.op == PL_ADD)
		wait_for_test(f);
	if (is(f, "flaky") && first_time(f)) {
		pl_fail(&err, PL_ENET, "no answer");
		out.code = PL_ENET;
	}
	if (is(f, "no"))
		out.code = pl_fail(&err, PL_EREMOTE, "policy forbids it");
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_put_u32(&b, is(f, "wrong-call") && first_time(f) ? id + 1 : id);
	pl_put_err(&b, &err);
	if (is(f, "wrong-count") && first_time(f))
		n++;
	pl_put_u32(&b, n);
	for (uint32_t i = 0; i < n; i++)
		pl_outcome_put(&b, &out);
	pl_put_u32(&b, cost(f));
	if (is(f, "truncated") && first_time(f))
		b.len /= 2;
	if (is(f, "wrong-type") && first_time(f))
		answer(f, PL_MSG_SEEN, &b);
	else
		answer(f, PL_MSG_APPLIED, &b);
}

static void
garbage(void)
{
	static const unsigned char junk[64] = { 0xff, 0xff, 0xff, 0xff, 7 };

	if (write(PL_SEAM_FD, junk, sizeof(junk)) != sizeof(junk))
		exit(1);
	pause();
}

int
main(void)
{
	struct fake f = { .mode = "" };
	struct pl_frame fr;
	struct pl_err err;
	bool eof = false;

	pl_chan_init(&f.chan, PL_SEAM_FD);
	while (pl_chan_wait(&f.chan, &fr, &eof, &err) == PL_OK && !eof) {
		if (fr.type == PL_MSG_HELLO)
			greet(&f, &fr.body);
		else if (fr.type == PL_MSG_SCOPE)
			scope(&f, &fr.body);
		else if (is(&f, "garbage") && first_time(&f))
			garbage();
		else
			apply(&f, &fr.body);
	}
	return 0;
}
