/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NULL_STR 0xffffffffu
#define CHUNK ((size_t)64 << 10)	/* octets a read */
#define TURN 4				/* reads before others have theirs */

/* ---- payloads, out ---- */

void
pl_put_u8(struct pl_buf *b, uint8_t v)
{
	pl_buf_add(b, &v, 1);
}

static void
put_le(unsigned char *p, uint64_t v, size_t n)
{
	for (; n > 0; n--, v >>= 8)
		*p++ = (unsigned char)(v & 0xff);
}

void
pl_put_u32(struct pl_buf *b, uint32_t v)
{
	unsigned char le[4];

	put_le(le, v, sizeof(le));
	pl_buf_add(b, le, sizeof(le));
}

void
pl_put_u64(struct pl_buf *b, uint64_t v)
{
	unsigned char le[8];

	put_le(le, v, sizeof(le));
	pl_buf_add(b, le, sizeof(le));
}

void
pl_put_str(struct pl_buf *b, const char *s)
{
	pl_put_blob(b, s, s != NULL ? strlen(s) : 0);
}

/* A length beyond 32 bits is beyond the limit of every buffer too. */
void
pl_put_blob(struct pl_buf *b, const void *p, size_t n)
{
	if (p == NULL) {
		pl_put_u32(b, NULL_STR);
		return;
	}
	pl_put_u32(b, (uint32_t)n);
	pl_buf_add(b, p, n);
	pl_put_u8(b, 0);
}

void
pl_put_err(struct pl_buf *b, const struct pl_err *err)
{
	pl_put_u32(b, err->code);
	pl_put_u32(b, (uint32_t)err->sys);
	pl_put_u32(b, (uint32_t)err->http);
	pl_put_u64(b, (uint64_t)err->retry_after);
	pl_put_str(b, err->text);
}

/* ---- payloads, in ---- */

/* Takes n octets, or turns the cursor bad and empty. */
static const unsigned char *
cursor_take(struct pl_cursor *c, size_t n)
{
	const unsigned char *p = c->p;

	if (c->bad || n > (size_t)(c->end - c->p)) {
		c->bad = true;
		c->p = c->end;
		return NULL;
	}
	c->p += n;
	return p;
}

static uint64_t
get_le(struct pl_cursor *c, size_t n)
{
	const unsigned char *p = cursor_take(c, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	while (n > 0)
		v = v << 8 | p[--n];
	return v;
}

uint8_t
pl_get_u8(struct pl_cursor *c)
{
	return (uint8_t)get_le(c, 1);
}

uint32_t
pl_get_u32(struct pl_cursor *c)
{
	return (uint32_t)get_le(c, 4);
}

uint64_t
pl_get_u64(struct pl_cursor *c)
{
	return get_le(c, 8);
}

const void *
pl_get_blob(struct pl_cursor *c, size_t *n)
{
	uint32_t len = pl_get_u32(c);
	const unsigned char *p;

	*n = 0;
	if (c->bad)
		return "";
	if (len == NULL_STR)
		return NULL;
	p = cursor_take(c, (size_t)len + 1);
	if (p == NULL)
		return "";
	if (p[len] != '\0') {
		c->bad = true;
		c->p = c->end;
		return "";
	}
	*n = len;
	return p;
}

const char *
pl_get_str(struct pl_cursor *c)
{
	size_t n;
	const char *s = pl_get_blob(c, &n);

	if (s != NULL && n > 0 && memchr(s, '\0', n) != NULL) {
		c->bad = true;
		c->p = c->end;
		return "";
	}
	return s;
}

void
pl_get_err(struct pl_cursor *c, struct pl_err *err)
{
	const int64_t day = 86400000;
	uint32_t code = pl_get_u32(c), sys = pl_get_u32(c);
	uint32_t http = pl_get_u32(c);
	int64_t after = (int64_t)pl_get_u64(c);
	const char *text = pl_get_str(c);

	if (code >= PL_NCODES || text == NULL) {
		c->bad = true;
		c->p = c->end;
	}
	if (c->bad) {
		pl_fail(err, PL_EPROTO, "frame: error not understood");
		return;
	}
	pl_fail(err, (enum pl_code)code, "%s", text);
	err->sys = sys < 4096 ? (int)sys : 0;
	err->http = http < 1000 ? (int)http : 0;
	err->retry_after = after < 0 ? 0 : after > day ? day : after;
}

uint32_t
pl_get_count(struct pl_cursor *c, size_t least)
{
	uint32_t n = pl_get_u32(c);

	if (n > (size_t)(c->end - c->p) / (least > 0 ? least : 1)) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	return n;
}

/* ---- channel ---- */

static uint32_t
chan_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 |
	    (uint32_t)u[3] << 24;
}

void
pl_chan_init(struct pl_chan *ch, int fd)
{
	memset(ch, 0, sizeof(*ch));
	ch->fd = fd;
	/* A started frame, what is handed out before it, and a turn's reads. */
	pl_buf_init(&ch->in, 2 * (size_t)PL_LIM_FRAME + 2 * TURN * CHUNK);
	pl_buf_init(&ch->out, PL_LIM_REPORT);
}

void
pl_chan_clear(struct pl_chan *ch)
{
	if (ch == NULL)
		return;
	if (ch->fd >= 0)
		close(ch->fd);
	ch->fd = -1;
	pl_buf_clear(&ch->in);
	pl_buf_clear(&ch->out);
	ch->used = 0;
	ch->sent = 0;
}

/*
 * Drops the octets before *done only when they are the larger part, so that
 * the moving costs no more than the sending did.
 */
static void
chan_compact(struct pl_buf *b, size_t *done)
{
	if (*done == b->len)
		pl_buf_reset(b);
	else if (*done >= CHUNK && *done >= b->len / 2)
		pl_buf_drop(b, *done);
	else
		return;
	*done = 0;
}

enum pl_code
pl_chan_send(struct pl_chan *ch, uint8_t type, const struct pl_buf *payload,
    struct pl_err *err)
{
	size_t len = payload != NULL ? payload->len : 0;

	if ((payload != NULL && payload->failed) || len >= PL_LIM_FRAME)
		return pl_fail(err, PL_ELIMIT, "frame: longer than %u octets",
		    PL_LIM_FRAME);
	chan_compact(&ch->out, &ch->sent);
	if (len + 5 > ch->out.limit - ch->out.len && ch->sent > 0) {
		pl_buf_drop(&ch->out, ch->sent);
		ch->sent = 0;
	}
	if (len + 5 > ch->out.limit - ch->out.len)
		return pl_fail(err, PL_ELIMIT,
		    "frame: %zu octets wait for the peer already",
		    ch->out.len);
	pl_put_u32(&ch->out, (uint32_t)len + 1);
	pl_put_u8(&ch->out, type);
	if (len > 0)
		pl_buf_add(&ch->out, payload->data, len);
	return pl_chan_flush(ch, err);
}

enum pl_code
pl_chan_flush(struct pl_chan *ch, struct pl_err *err)
{
	ssize_t n;

	while (pl_chan_pending(ch)) {
		n = send(ch->fd, ch->out.data + ch->sent,
		    ch->out.len - ch->sent, MSG_NOSIGNAL);
		if (n >= 0)
			ch->sent += (size_t)n;
		else if (errno == EAGAIN)
			return PL_OK;
		else if (errno != EINTR)
			return pl_fail_sys(err, PL_EIO, errno,
			    "peer: is gone");
	}
	chan_compact(&ch->out, &ch->sent);
	return PL_OK;
}

bool
pl_chan_pending(const struct pl_chan *ch)
{
	return ch->sent < ch->out.len;
}

/* All lengths that have come in are looked at: a lie is told at once. */
static bool
chan_sound(const struct pl_chan *ch)
{
	size_t at = ch->used;
	uint32_t len;

	while (at <= ch->in.len && ch->in.len - at >= 4) {
		len = chan_u32(ch->in.data + at);
		if (len == 0 || len > PL_LIM_FRAME)
			return false;
		at += 4 + (size_t)len;
	}
	return true;
}

enum pl_code
pl_chan_fill(struct pl_chan *ch, bool *eof, struct pl_err *err)
{
	char chunk[CHUNK];
	enum pl_code code = PL_OK;
	ssize_t n;
	int turn;

	*eof = false;
	chan_compact(&ch->in, &ch->used);
	for (turn = 0; turn < TURN; turn++) {
		if (ch->in.limit - ch->in.len < sizeof(chunk))
			break;	/* the caller has frames to take first */
		n = recv(ch->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0) {
			pl_buf_add(&ch->in, chunk, (size_t)n);
			if ((size_t)n < sizeof(chunk))
				break;
		} else if (n == 0 || errno == ECONNRESET || errno == EPIPE) {
			*eof = true;
			break;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			code = pl_fail_sys(err, PL_EIO, errno,
			    "peer: cannot be read");
			break;
		}
	}
	if (!chan_sound(ch))
		code = pl_fail(err, PL_EPROTO,
		    "frame: the length is not between 1 and %u", PL_LIM_FRAME);
	explicit_bzero(chunk, sizeof(chunk));
	return code;
}

bool
pl_chan_next(struct pl_chan *ch, struct pl_frame *f)
{
	size_t rest = ch->in.len - ch->used;
	const char *p = ch->in.data + ch->used;
	uint32_t len;

	memset(f, 0, sizeof(*f));
	if (rest < 4)
		return false;
	len = chan_u32(p);
	if (len == 0 || len > PL_LIM_FRAME || rest - 4 < len)
		return false;
	f->type = (uint8_t)p[4];
	f->body.p = (const unsigned char *)p + 5;
	f->body.end = (const unsigned char *)p + 4 + len;
	ch->used += 4 + (size_t)len;
	return true;
}

enum pl_code
pl_chan_wait(struct pl_chan *ch, struct pl_frame *f, bool *eof,
    struct pl_err *err)
{
	struct pollfd pfd = { .fd = ch->fd };
	enum pl_code code;

	*eof = false;
	while (!pl_chan_next(ch, f)) {
		code = pl_chan_fill(ch, eof, err);
		if (code != PL_OK)
			return code;
		if (pl_chan_next(ch, f)) {
			*eof = false;
			return PL_OK;
		}
		if (*eof)
			return PL_OK;
		pfd.events = (short)(POLLIN | (pl_chan_pending(ch) ?
		    POLLOUT : 0));
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			return pl_fail_sys(err, PL_EIO, errno,
			    "peer: cannot be waited for");
		if ((pfd.revents & POLLOUT) != 0) {
			code = pl_chan_flush(ch, err);
			if (code != PL_OK)
				return code;
		}
	}
	return PL_OK;
}
