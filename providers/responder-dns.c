/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "responder.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define BATCH 64u
#define BATCHES 4u		/* of one turn */
#define QUESTION_MOST 2048u	/* octets; longer ones are not answered */

struct pl_udp {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec iin[BATCH], iout[BATCH];
	struct sockaddr_storage peer[BATCH];
	/* Which address was asked: it has to answer. */
	_Alignas(size_t)
	    char control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	unsigned char question[BATCH][QUESTION_MOST];
	unsigned char answer[BATCH][PL_DNS_UDP];
};

struct pl_udp *
pl_udp_new(void)
{
	return pl_alloc(sizeof(struct pl_udp));
}

void
pl_udp_free(struct pl_udp *u)
{
	free(u);
}

static int
udp_receive(struct pl_udp *u, int fd, bool any)
{
	for (unsigned i = 0; i < BATCH; i++) {
		u->iin[i].iov_base = u->question[i];
		u->iin[i].iov_len = QUESTION_MOST;
		u->in[i].msg_hdr = (struct msghdr){ .msg_name = &u->peer[i],
			.msg_namelen = sizeof(u->peer[i]),
			.msg_iov = &u->iin[i], .msg_iovlen = 1 };
		if (any) {
			u->in[i].msg_hdr.msg_control = u->control[i];
			u->in[i].msg_hdr.msg_controllen =
			    sizeof(u->control[i]);
		}
	}
	return recvmmsg(fd, u->in, BATCH, MSG_DONTWAIT, NULL);
}

/* The address that was asked is to answer, by whatever interface leads
 * back. */
static void
udp_source(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct in_pktinfo in;
	struct in6_pktinfo in6;

	if (c != NULL && c->cmsg_level == IPPROTO_IP &&
	    c->cmsg_type == IP_PKTINFO) {
		memcpy(&in, CMSG_DATA(c), sizeof(in));
		in.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &in, sizeof(in));
	} else if (c != NULL && c->cmsg_level == IPPROTO_IPV6 &&
	    c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&in6, CMSG_DATA(c), sizeof(in6));
		if (!IN6_IS_ADDR_LINKLOCAL(&in6.ipi6_addr))
			in6.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &in6, sizeof(in6));
	} else {
		m->msg_control = NULL;
		m->msg_controllen = 0;
	}
}

static bool
port_zero(const struct sockaddr_storage *sa)
{
	struct sockaddr_in in;

	/* The port is at the same place in both families. */
	memcpy(&in, sa, sizeof(in));
	return in.sin_port == 0;
}

static void
udp_send(struct pl_udp *u, int fd, unsigned n)
{
	unsigned done = 0;
	int sent;

	while (done < n) {
		sent = sendmmsg(fd, u->out + done, n - done, MSG_DONTWAIT);
		if (sent > 0)
			done += (unsigned)sent;
		else if (errno == EAGAIN)
			return;		/* as if lost on the way */
		else if (errno != EINTR)
			done++;		/* this one cannot be sent */
	}
}

/* Answers one batch; false where no more lies there. */
static bool
udp_batch(struct pl_udp *u, int fd, bool any, const struct pl_served *s,
    struct pl_limit *l)
{
	int got = udp_receive(u, fd, any);
	int64_t now = pl_mono_ms();
	unsigned n = 0;
	enum limit limit;
	size_t len;

	for (int i = 0; i < got; i++) {
		struct msghdr *m = &u->in[i].msg_hdr;

		if ((m->msg_flags & MSG_TRUNC) != 0 || port_zero(&u->peer[i]))
			continue;
		limit = pl_limit_take(l, m->msg_name, now);
		if (limit == LIMIT_DROP)
			continue;
		len = pl_served_answer(s, u->question[i], u->in[i].msg_len,
		    u->answer[n], false);
		if (limit == LIMIT_CUT)
			len = pl_served_cut(u->answer[n], len);
		if (len == 0)
			continue;
		u->iout[n].iov_base = u->answer[n];
		u->iout[n].iov_len = len;
		u->out[n].msg_hdr = *m;
		u->out[n].msg_hdr.msg_iov = &u->iout[n];
		u->out[n].msg_hdr.msg_flags = 0;
		udp_source(&u->out[n].msg_hdr);
		n++;
	}
	if (n > 0)
		udp_send(u, fd, n);
	return got == (int)BATCH;
}

void
pl_udp_serve(struct pl_udp *u, int fd, bool any, const struct pl_served *s,
    struct pl_limit *l)
{
	for (unsigned i = 0; i < BATCHES; i++)
		if (!udp_batch(u, fd, any, s, l))
			return;
}

size_t
pl_tcp_serve(const struct pl_served *s, const unsigned char *in, size_t n,
    struct pl_buf *out, unsigned char *room, bool *bad)
{
	size_t used = 0, len, answer;
	unsigned char head[2];

	while (n - used >= 2) {
		len = (size_t)in[used] << 8 | in[used + 1];
		if (len < 12 || len > QUESTION_MOST) {
			*bad = true;
			return used;
		}
		/* Who does not read gets no more answers for now. */
		if (n - used - 2 < len || out->len > PL_DNS_MSG)
			break;
		answer = pl_served_answer(s, in + used + 2, len, room, true);
		if (answer == 0) {
			*bad = true;
			return used;
		}
		head[0] = (unsigned char)(answer >> 8);
		head[1] = (unsigned char)answer;
		pl_buf_add(out, head, 2);
		pl_buf_add(out, room, answer);
		used += 2 + len;
	}
	return used;
}
