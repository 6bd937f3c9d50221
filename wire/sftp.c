/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02) with some of
 * OpenSSH's extensions, over a channel of ssh.c.  libssh2 has one of its own, but
 * it waits for each answer before the next question, and knows no
 * posix-rename in 1.10.  Every length that the server names is checked
 * against what has come; nothing is listed but by READDIR, a packet at a time.
 */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX	(256u << 10)	/* of an answer, as OpenSSH's limit */
#define INFLIGHT	256		/* requests without an answer */
#define OUT_MAX		(1u << 20)	/* octets that wait to go out */

enum { FXP_INIT = 1, FXP_VERSION = 2, FXP_STATUS = 101, FXP_HANDLE = 102,
	FXP_DATA = 103, FXP_NAME = 104, FXP_ATTRS = 105, FXP_EXTENDED = 200,
	FXP_EXTENDED_REPLY = 201 };
enum { ATTR_SIZE = 1, ATTR_UIDGID = 2, ATTR_PERM = 4, ATTR_TIME = 8 };

struct extension {
	enum pl_sftp_op op;
	const char *name, *version;
};
static const struct extension extensions[] = {
	{ PL_SFTP_POSIX_RENAME, "posix-rename@openssh.com", "1" },
	{ PL_SFTP_FSYNC, "fsync@openssh.com", "1" },
	{ PL_SFTP_LSETSTAT, "lsetstat@openssh.com", "1" },
	{ PL_SFTP_STATVFS, "statvfs@openssh.com", "2" },
};

struct pl_sftp {
	struct pl_ssh *ssh;
	struct pl_buf in, out;
	unsigned known;		/* bits: index in extensions */
	uint32_t next;		/* id of the next request */
};

/* ---- big-endian octets -------------------------------------------------------- */

static void
put32(struct pl_buf *b, uint32_t v)
{
	const unsigned char p[4] = { (unsigned char)(v >> 24),
		(unsigned char)(v >> 16), (unsigned char)(v >> 8),
		(unsigned char)v };

	pl_buf_add(b, p, sizeof(p));
}

static void
put64(struct pl_buf *b, uint64_t v)
{
	put32(b, (uint32_t)(v >> 32));
	put32(b, (uint32_t)v);
}

static void
put_octets(struct pl_buf *b, const void *p, size_t n)
{
	put32(b, (uint32_t)n);
	pl_buf_add(b, p, n);
}

static void
put_text(struct pl_buf *b, const char *s)
{
	put_octets(b, s, strlen(s));
}

struct reader {
	const unsigned char *p, *end;
	bool bad;
};

static uint32_t
get32(struct reader *r)
{
	uint32_t v;

	if (r->bad || r->end - r->p < 4) {
		r->bad = true;
		return 0;
	}
	v = (uint32_t)r->p[0] << 24 | (uint32_t)r->p[1] << 16 |
	    (uint32_t)r->p[2] << 8 | r->p[3];
	r->p += 4;
	return v;
}

static uint64_t
get64(struct reader *r)
{
	uint64_t high = get32(r);

	return high << 32 | get32(r);
}

static const char *
get_octets(struct reader *r, size_t *n)
{
	const char *p;

	*n = get32(r);
	if (r->bad || *n > (size_t)(r->end - r->p)) {
		r->bad = true;
		*n = 0;
		return "";
	}
	p = (const char *)r->p;
	r->p += *n;
	return p;
}

/* ---- requests -------------------------------------------------------------------- */

static const struct extension *
extension_of(enum pl_sftp_op op)
{
	for (size_t i = 0; i < PL_NELEM(extensions); i++) {
		if (extensions[i].op == op)
			return &extensions[i];
	}
	return NULL;
}

bool
pl_sftp_knows(const struct pl_sftp *s, enum pl_sftp_op op)
{
	const struct extension *x = extension_of(op);

	return x != NULL && (s->known & 1u << (x - extensions)) != 0;
}

static void
put_mode(struct pl_buf *b, uint32_t mode)
{
	put32(b, mode == PL_SFTP_NO_MODE ? 0 : ATTR_PERM);
	if (mode != PL_SFTP_NO_MODE)
		put32(b, mode);
}

static void
put_args(struct pl_buf *b, const struct pl_sftp_req *r)
{
	if (r->handle != NULL)
		put_octets(b, r->handle->octets, r->handle->len);
	else
		put_text(b, r->path);
	switch (r->op) {
	case PL_SFTP_OPEN:
		put32(b, r->flags);
		put_mode(b, r->mode);
		break;
	case PL_SFTP_READ:
		put64(b, r->offset);
		put32(b, (uint32_t)r->len);
		break;
	case PL_SFTP_WRITE:
		put64(b, r->offset);
		put_octets(b, r->data, r->len);
		break;
	case PL_SFTP_MKDIR:
	case PL_SFTP_SETSTAT:
	case PL_SFTP_FSETSTAT:
	case PL_SFTP_LSETSTAT:
		put_mode(b, r->mode);
		break;
	case PL_SFTP_RENAME:
	case PL_SFTP_POSIX_RENAME:
	case PL_SFTP_SYMLINK:
		put_text(b, r->to);
		break;
	default:
		break;
	}
}

static void
sftp_put(struct pl_sftp *s, const struct pl_sftp_req *r, uint32_t id)
{
	const struct extension *x = extension_of(r->op);
	unsigned char head[4];
	size_t at = s->out.len, n;

	put32(&s->out, 0);
	pl_buf_addc(&s->out, x != NULL ? (char)FXP_EXTENDED : (char)r->op);
	put32(&s->out, id);
	if (x != NULL)
		put_text(&s->out, x->name);
	put_args(&s->out, r);
	if (s->out.failed)
		return;
	n = s->out.len - at - 4;
	head[0] = (unsigned char)(n >> 24);
	head[1] = (unsigned char)(n >> 16);
	head[2] = (unsigned char)(n >> 8);
	head[3] = (unsigned char)n;
	memcpy(s->out.data + at, head, 4);
}

/* ---- answers ---------------------------------------------------------------------- */

static void
take_attrs(struct reader *r, struct pl_sftp_req *q)
{
	uint32_t flags = get32(r);

	if ((flags & ATTR_SIZE) != 0) {
		q->size = get64(r);
		q->sized = true;
	}
	if ((flags & ATTR_UIDGID) != 0)
		(void)get64(r);
	if ((flags & ATTR_PERM) != 0)
		q->perm = get32(r);
	if ((flags & ATTR_TIME) != 0)
		(void)get64(r);
}

static void
take_status(struct reader *r, struct pl_sftp_req *q)
{
	const char *p;
	size_t n;

	q->status = get32(r);
	/* Some servers leave out what behind the code is only for people. */
	if (r->p == r->end)
		return;
	p = get_octets(r, &n);
	if (n >= sizeof(q->text))
		n = sizeof(q->text) - 1;
	memcpy(q->text, p, n);
	q->text[n] = '\0';
}

static void
take_names(struct reader *r, struct pl_sftp_req *q)
{
	uint32_t count = get32(r);
	struct pl_sftp_req skip;
	struct pl_buf names;
	const char *p;
	size_t n;

	pl_buf_init(&names, PACKET_MAX);
	while (count-- > 0 && !r->bad) {
		p = get_octets(r, &n);
		pl_buf_add(&names, p, n);
		pl_buf_addc(&names, '\0');
		(void)get_octets(r, &n);
		take_attrs(r, &skip);
	}
	q->body_len = names.len;
	q->body = pl_memdup(names.data, names.len);
	pl_buf_clear(&names);
}

static void
take_handle(struct reader *r, struct pl_sftp_req *q)
{
	const char *p;
	size_t n;

	p = get_octets(r, &n);
	if (n == 0 || n > sizeof(q->got.octets)) {
		r->bad = true;
		return;
	}
	memcpy(q->got.octets, p, n);
	q->got.len = n;
}

/* Which form an answer that is no status must have. */
static int
form_of(enum pl_sftp_op op)
{
	switch (op) {
	case PL_SFTP_OPEN:
	case PL_SFTP_OPENDIR:
		return FXP_HANDLE;
	case PL_SFTP_READ:
		return FXP_DATA;
	case PL_SFTP_READDIR:
	case PL_SFTP_READLINK:
		return FXP_NAME;
	case PL_SFTP_LSTAT:
	case PL_SFTP_STAT:
		return FXP_ATTRS;
	case PL_SFTP_STATVFS:
		return FXP_EXTENDED_REPLY;
	default:
		return FXP_STATUS;
	}
}

static bool
take_answer(struct reader *r, int type, struct pl_sftp_req *q)
{
	const char *p;

	if (type == FXP_STATUS) {
		take_status(r, q);
		/* "OK" alone is no answer to a question. */
		if (q->status == PL_SFTP_OK && form_of(q->op) != FXP_STATUS)
			return false;
		return !r->bad;
	}
	if (type != form_of(q->op))
		return false;
	q->status = PL_SFTP_OK;
	switch (type) {
	case FXP_HANDLE:
		take_handle(r, q);
		break;
	case FXP_DATA:
		p = get_octets(r, &q->body_len);
		if (q->body_len > q->len)
			return false;
		q->body = pl_memdup(p, q->body_len);
		break;
	case FXP_NAME:
		take_names(r, q);
		break;
	case FXP_ATTRS:
		take_attrs(r, q);
		break;
	case FXP_EXTENDED_REPLY:
		for (int i = 0; i < 4; i++)
			(void)get64(r);
		q->avail = get64(r);
		break;
	}
	return !r->bad;
}

/* Takes all whole packets; -1: one makes no sense; else how many. */
static int
sftp_take(struct pl_sftp *s, struct pl_sftp_req *q, size_t n, uint32_t first)
{
	size_t used = 0;
	int count = 0;

	for (;;) {
		struct reader r = { (const unsigned char *)s->in.data + used,
			(const unsigned char *)s->in.data + s->in.len, false };
		uint32_t len, id;
		int type;

		if (r.end - r.p < 4)
			break;
		len = get32(&r);
		if (len < 5 || len > PACKET_MAX)
			return -1;
		if ((size_t)(r.end - r.p) < len)
			break;
		r.end = r.p + len;
		used += 4 + len;
		type = *r.p++;
		id = get32(&r) - first;
		if (id >= n || !q[id].sent || q[id].answered)
			return -1;
		if (!take_answer(&r, type, &q[id]))
			return -1;
		q[id].answered = true;
		count++;
	}
	pl_buf_drop(&s->in, used);
	return count;
}

enum pl_code
pl_sftp_do(struct pl_sftp *s, struct pl_sftp_req *r, size_t n,
    int64_t deadline, struct pl_err *err)
{
	uint32_t first = s->next;
	size_t sent = 0, done = 0;
	enum pl_code rc;
	int took;

	s->next += (uint32_t)n;
	while (done < n) {
		while (sent < n && sent - done < INFLIGHT &&
		    s->out.len < OUT_MAX) {
			sftp_put(s, &r[sent], first + (uint32_t)sent);
			r[sent++].sent = true;
		}
		rc = pl_ssh_move(s->ssh, &s->out, &s->in, deadline, err);
		if (rc != PL_OK)
			return rc;
		took = sftp_take(s, r, n, first);
		if (took < 0)
			return pl_fail(err, PL_EPROTO, "sftp: an answer makes "
			    "no sense");
		done += (size_t)took;
	}
	return PL_OK;
}

void
pl_sftp_req_clear(struct pl_sftp_req *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(r[i].body);
		r[i].body = NULL;
	}
}

enum pl_code
pl_sftp_fail(const struct pl_sftp_req *r, const char *what,
    struct pl_err *err)
{
	static const char *const words[] = { "done", "end of file",
		"no such file or directory", "permission denied",
		"the server says only that it failed", "bad message",
		"no connection", "connection lost", "not supported" };
	bool lost = r->status == PL_SFTP_NO_CONNECTION ||
	    r->status == PL_SFTP_LOST;

	if (r->status < PL_NELEM(words) && (r->text[0] == '\0' ||
	    r->status == PL_SFTP_FAILURE || r->status == PL_SFTP_DENIED ||
	    r->status == PL_SFTP_NO_FILE))
		return pl_fail(err, lost ? PL_ENET : PL_EREMOTE, "%s: %s",
		    what, words[r->status]);
	return pl_fail(err, lost ? PL_ENET : PL_EREMOTE, "%s: %s (status %u)",
	    what, r->text, r->status);
}

/* ---- beginning and end --------------------------------------------------------------- */

static void
take_extensions(struct pl_sftp *s, struct reader *r)
{
	const char *name, *version;
	size_t nlen, vlen;

	while (r->p < r->end) {
		name = get_octets(r, &nlen);
		version = get_octets(r, &vlen);
		for (size_t i = 0; !r->bad && i < PL_NELEM(extensions); i++) {
			const struct extension *x = &extensions[i];

			if (nlen == strlen(x->name) &&
			    memcmp(name, x->name, nlen) == 0 &&
			    vlen == strlen(x->version) &&
			    memcmp(version, x->version, vlen) == 0)
				s->known |= 1u << i;
		}
		if (r->bad)
			return;
	}
}

static enum pl_code
sftp_greet(struct pl_sftp *s, int64_t deadline, struct pl_err *err)
{
	static const unsigned char init[] = { 0, 0, 0, 5, FXP_INIT, 0, 0, 0,
		3 };
	struct reader r;
	enum pl_code rc;
	uint32_t len;

	pl_buf_add(&s->out, init, sizeof(init));
	for (;;) {
		rc = pl_ssh_move(s->ssh, &s->out, &s->in, deadline, err);
		if (rc != PL_OK)
			return rc;
		r = (struct reader){ (const unsigned char *)s->in.data,
			(const unsigned char *)s->in.data + s->in.len, false };
		len = get32(&r);
		if (r.bad)
			continue;
		if (len < 5 || len > PACKET_MAX)
			break;
		if ((size_t)(r.end - r.p) < len)
			continue;
		r.end = r.p + len;
		if (*r.p++ != FXP_VERSION || get32(&r) != 3)
			break;
		take_extensions(s, &r);
		pl_buf_drop(&s->in, 4 + len);
		return PL_OK;
	}
	return pl_fail(err, PL_EPROTO, "sftp: the server's greeting is not "
	    "that of SFTP version 3 (does its login print something?)");
}

enum pl_code
pl_sftp_open(struct pl_sftp **out, struct pl_ssh *ssh, int64_t deadline,
    struct pl_err *err)
{
	struct pl_sftp *s = pl_alloc(sizeof(*s));
	enum pl_code rc;

	*out = NULL;
	s->ssh = ssh;
	pl_buf_init(&s->in, 2 * OUT_MAX);
	pl_buf_init(&s->out, 2 * OUT_MAX);
	rc = pl_ssh_subsystem(ssh, "sftp", deadline, err);
	if (rc == PL_OK)
		rc = sftp_greet(s, deadline, err);
	if (rc != PL_OK) {
		pl_sftp_close(s);
		return rc;
	}
	*out = s;
	return PL_OK;
}

void
pl_sftp_close(struct pl_sftp *s)
{
	if (s == NULL)
		return;
	pl_ssh_close(s->ssh);
	pl_buf_clear(&s->in);
	pl_buf_clear(&s->out);
	free(s);
}

bool
pl_sftp_stale(struct pl_sftp *s)
{
	return s->in.len > 0 || pl_ssh_stale(s->ssh);
}
