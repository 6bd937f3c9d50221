/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to wire/: how ssh.c comes to a socket, and what a server said of
 * itself before the first key. */
#ifndef PL_SSH_DIAL_H
#define PL_SSH_DIAL_H

#include "wire.h"

/* Gives a connected, non-blocking socket. */
enum pl_code pl_ssh_dial(int *fd, const char *host, uint16_t port,
    int64_t deadline, struct pl_err *err);

/* The lists of a KEXINIT message (RFC 4253, 7.1), in its order. */
enum { PL_KEX_METHODS, PL_KEX_HOSTKEYS, PL_KEX_CRYPT_CS, PL_KEX_CRYPT_SC,
	PL_KEX_MAC_CS, PL_KEX_MAC_SC, PL_KEX_LISTS };
struct pl_kexinit {
	char list[PL_KEX_LISTS][512];	/* "" where it was not seen; cut */
};
/* Reads what a server has sent first: its banner, then KEXINIT in the
 * clear.  False where that is not whole or not well formed. */
bool pl_kexinit_read(struct pl_kexinit *k, const char *p, size_t n);
/* Is there a word that both comma-separated lists have? */
bool pl_list_shares(const char *a, const char *b);
bool pl_list_has(const char *list, const char *word, size_t n);

/* The key that a host has shown. */
struct pl_ssh_shown {
	const char *host;	/* these are lent */
	uint16_t port;
	const char *name;	/* as pl_known_name writes it */
	const char *library;	/* libssh2's version */
	bool rsa_sha2;		/* it can check such a signature */
	const char *key;
	size_t len;
	char type[64];
	struct pl_buf print;	/* "SHA256:…" */
};
/* Against the pin of o, or the text of its file of known hosts. */
enum pl_code pl_ssh_judge(const struct pl_ssh_shown *k,
    const struct pl_ssh_opts *o, const struct pl_buf *text,
    struct pl_err *err);
/* Appends the line of a file of known hosts, without its end. */
void pl_ssh_shown_line(struct pl_buf *b, const struct pl_ssh_shown *k);
/* Is it an RSA key, as far as that can be told without opening it? */
bool pl_ssh_key_is_rsa(const struct pl_secret *key);

#endif
