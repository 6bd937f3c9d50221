/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to sftp.c (the account and its connection), sftp-work.c (the
 * changes) and sftp-step.c (what they are made of). */
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

/* ---- sftp-step.c ---- */

enum sftp_what { SFTP_NOTHING, SFTP_SIZED, SFTP_SAME, SFTP_OTHER };

struct sftp_item {
	const struct pl_change *c;
	struct pl_outcome *out;	/* NULL: the web.config, told to nobody */
	char *final, *temp;
	struct sftp_dir *dir;
	unsigned dirs;		/* as its handle says */
	enum sftp_what what;	/* is there under the final name */
	bool done;		/* its outcome is told */
	bool open, made;	/* temp: is open, may be there */
	struct pl_sftp_handle h;
	struct pl_err err;	/* of the step under way */
};

/* The requests of a step, and whose they are. */
struct sftp_step {
	struct sftp *f;
	int64_t deadline;
	struct pl_err *err;	/* of the call */
	struct pl_sftp_req *r;
	struct sftp_item **of;
	size_t n, cap;
};

/* Adds a request; what it points to lives until sftp_reset. */
void sftp_ask(struct sftp_step *s, struct sftp_item *it,
    struct pl_sftp_req r);
/* Sends all and waits for the answers; some may have come where it fails. */
enum pl_code sftp_run(struct sftp_step *s);
void sftp_reset(struct sftp_step *s);
bool sftp_absent(const struct pl_sftp_req *r);	/* is the answer "no such file"? */

/* What became of a file: told once, then it is done. */
void sftp_item_fail(struct sftp_item *it, const struct pl_err *err);
void sftp_item_ok(struct sftp_item *it, enum pl_was was);
void sftp_item_refuse(struct sftp_item *it, const struct pl_sftp_req *r,
    const char *path);
void sftp_item_other(struct sftp_item *it);

/* Finds or notes the first n octets of path, and those above; NULL: too
 * many. */
struct sftp_dir *sftp_dir_of(struct sftp *f, const char *path, size_t n);
struct sftp_dir *sftp_dir_above(struct sftp *f, const struct sftp_dir *d);
enum pl_code sftp_dirs_look(struct sftp_step *s);
/* Makes what is missing down to d; a refusal is told of the item. */
enum pl_code sftp_dirs_make(struct sftp_step *s, struct sftp_item *it,
    struct sftp_dir *d);
/* How many, from d up, are not there or are ours. */
unsigned sftp_dirs_ours(struct sftp *f, struct sftp_dir *d);
/* Removes those marked, deepest first, if they are empty. */
enum pl_code sftp_dirs_drop(struct sftp_step *s);

#endif
