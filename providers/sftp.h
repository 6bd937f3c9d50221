/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to sftp.c (the account and its connection) and sftp-work.c (the
 * changes). */
#ifndef PL_SFTP_PROVIDER_H
#define PL_SFTP_PROVIDER_H

#include "providers.h"

#define SFTP_MODE "0644"
#define SFTP_TEMP ".placard-"	/* then this many random characters */
#define SFTP_TEMP_LEN 12
#define SFTP_IS_DIR(perm) (((perm) & 0170000u) == 0040000u)
#define SFTP_IS_REG(perm) (((perm) & 0170000u) == 0100000u)
#define SFTP_IS_LINK(perm) (((perm) & 0170000u) == 0120000u)
#define SFTP_DIRS 8		/* directories that challenges may lie in */

/* A directory below the root, "a/b". */
struct sftp_dir {
	char *path;
	unsigned depth;		/* components */
	bool looked;		/* in this call: what follows is known */
	bool missing;
	bool blocked;		/* a link or something else is there */
	bool ours;		/* made by this worker */
	bool drop;		/* to be removed if it is empty */
};
struct sftp {
	char *host, *user, *agent, *known_hosts, *host_key, *root;
	uint16_t port;
	struct pl_secret *key, *passphrase, *password;
	unsigned mode, dirmode;
	bool web_config;
	struct pl_sftp *link;	/* NULL: not connected */
	struct sftp_dir dirs[SFTP_DIRS];
	size_t ndirs;
};

/* Both give: the root and a path below it; a directory and a name in it. */
char *sftp_path(const struct sftp *f, const char *below);
char *sftp_join(const char *dir, const char *name);
void sftp_hang_up(struct sftp *f);
/* All changes of a call, connected already. */
enum pl_code sftp_work(struct sftp *f, const struct pl_call *call,
    const struct pl_change *chg, struct pl_outcome *out, size_t n,
    struct pl_err *err);

#endif
