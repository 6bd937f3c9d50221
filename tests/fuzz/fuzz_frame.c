/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Frames from a hostile peer.  The input's first octet says how many octets
 * of plan follow (which value to read next) and into how small pieces the
 * rest is cut; the rest is what the peer sends.
 */
#include "base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)

/* Reads one value; whatever it is, it lies within the frame. */
static void
read_value(struct pl_cursor *c, uint8_t what)
{
	const unsigned char *end = c->end;
	bool bad = c->bad;
	struct pl_err err;
	const char *s = NULL;
	size_t n = 0;

	switch (what % 7) {
	case 0:
		MUST(pl_get_u8(c) == 0 || !c->bad);
		break;
	case 1:
		MUST(pl_get_u32(c) == 0 || !c->bad);
		break;
	case 2:
		MUST(pl_get_u64(c) == 0 || !c->bad);
		break;
	case 3:
		s = pl_get_str(c);
		n = s != NULL ? strlen(s) : 0;
		break;
	case 4:
		s = pl_get_blob(c, &n);
		MUST(s == NULL ? n == 0 : s[n] == '\0');
		break;
	case 5:
		pl_get_err(c, &err);
		MUST((unsigned)err.code < PL_NCODES);
		MUST(!c->bad || err.code == PL_EPROTO);
		MUST(memchr(err.text, '\0', sizeof(err.text)) != NULL);
		MUST(err.retry_after >= 0 && err.retry_after <= 86400000);
		break;
	default:
		n = pl_get_count(c, what);
		MUST(n * (what > 0 ? what : 1) <= (size_t)(end - c->p));
		n = 0;
	}
	MUST(n == 0 || (!c->bad && (const unsigned char *)s + n < c->p));
	MUST(c->end == end && c->p <= end);
	MUST(!bad || c->bad);
}

static void
read_frame(struct pl_frame *f, const uint8_t *plan, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		read_value(&f->body, plan[i]);
}

/* How many whole frames there are, told in another way than frame.c's. */
static size_t
count_frames(const uint8_t *p, size_t n, bool *lie)
{
	size_t at = 0, frames = 0, len;

	*lie = false;
	while (n - at >= 4) {
		len = p[at] + 256u * p[at + 1] + 65536u * p[at + 2] +
		    ((size_t)p[at + 3] << 24);
		if (len == 0 || len > PL_LIM_FRAME) {
			*lie = true;
			break;
		}
		if (len > n - at - 4)
			break;
		at += 4 + len;
		frames++;
	}
	return frames;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t plan, piece, at, take, frames = 0;
	enum pl_code code = PL_OK;
	struct pl_frame f;
	struct pl_chan ch;
	bool eof, lie;
	int fds[2];

	if (size < 1 || size > 65536)
		return 0;
	plan = data[0] % 32;
	piece = data[0] / 32 == 0 ? size : (size_t)(data[0] / 32) * 5;
	if (1 + plan > size)
		return 0;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	pl_chan_init(&ch, fds[1]);
	for (at = 1 + plan; at < size && code == PL_OK; at += take) {
		take = size - at < piece ? size - at : piece;
		MUST(send(fds[0], data + at, take, MSG_DONTWAIT) ==
		    (ssize_t)take);
		code = pl_chan_fill(&ch, &eof, NULL);
		MUST(code == PL_OK || code == PL_EPROTO);
		MUST(!eof);
		for (; pl_chan_next(&ch, &f); frames++)
			read_frame(&f, data + 1, plan);
	}
	MUST(frames == count_frames(data + 1 + plan, size - 1 - plan, &lie));
	MUST(lie == (code == PL_EPROTO));
	close(fds[0]);
	pl_chan_clear(&ch);
	return 0;
}
