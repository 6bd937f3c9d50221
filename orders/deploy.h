/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * From the certificate in the book to files on a server.  Part of the door
 * orders.h.
 *
 *   deploy.c        names and patterns, what a target's settings say, the
 *                   checks before anything is replaced.  Pure.
 *   deploy-files.c  the files of a target, in memory.  Pure.
 *   deploy-place.c  generations: how files are replaced so that key and
 *                   certificate always change together
 *   deploy-local.c  a directory of this host, for deploy-place.c
 *   deploy-sftp.c   a directory of an SFTP account, for deploy-place.c
 *   deploy-work.c   one target's worker: it alone has the private key
 *
 * In a target's directory, for the certificate BASE (its first name, with
 * "_" for "*"):
 *
 *   .placard/BASE/1/ 2/ ...    generations: all files of one certificate
 *   .placard/BASE/current      link to the one in force
 *   cert.pem, privkey.pem ...  links to .placard/BASE/current/cert.pem ...
 *
 * A generation is written whole, and its files are on the disk, before
 * `current` is renamed to it: that one rename is the change.  With layout
 * "files" the names are plain files, each renamed by itself, and compared
 * with the generation afterwards.
 */
#ifndef PL_DEPLOY_H
#define PL_DEPLOY_H

#include "orders.h"

/* ---- names, settings, checks: deploy.c ---------------------------------------- */

/* Does a section's title ("www.example.com", or a pattern in which * stands
 * for anything) serve a certificate with these names? */
bool pl_deploy_serves(const char *title, const char *const *names, size_t n);
/* Gives the first name with "_" for "*": as it stands in paths. */
char *pl_deploy_base(const char *name);
/* Gives text with "%n" replaced by base. */
char *pl_deploy_expand(const char *text, const char *base);

/* What a target wants to have; PL_D_KEY and those behind it hold the key. */
enum pl_deploy_part { PL_D_CERT, PL_D_CHAIN, PL_D_FULLCHAIN, PL_D_KEY,
	PL_D_COMBINED, PL_D_PKCS12, PL_NPARTS };
/* "cert", "chain", "fullchain", "key", "combined", "pkcs12" */
const char *pl_deploy_part_name(enum pl_deploy_part p);
bool pl_deploy_part_parse(enum pl_deploy_part *p, const char *text);
/* The name of its file where none is given: "fullchain.pem". */
const char *pl_deploy_part_file(enum pl_deploy_part p);

/* The options of section deploy and of its targets. */
extern const struct pl_option pl_deploy_options[];
/* Rules between a target's options (section and target together; `remote`:
 * with an account).  PL_EINVAL; *key is the option at fault. */
enum pl_code pl_deploy_settings(const struct pl_settings *set, bool remote,
    const char **key, struct pl_err *err);

/* A target as its worker sees it; all its own. */
struct pl_deploy_spec {
	char *directory, *base;
	bool links;			/* layout */
	char *file[PL_NPARTS];		/* NULL: not wanted */
	unsigned mode, key_mode;
	int64_t uid, gid;		/* -1: leave */
};
/* From settings that pl_deploy_settings has passed, "%n" replaced. */
enum pl_code pl_deploy_spec(struct pl_deploy_spec *out,
    const struct pl_settings *set, const char *base, struct pl_err *err);
void pl_deploy_spec_clear(struct pl_deploy_spec *s);
bool pl_deploy_needs_key(const struct pl_deploy_spec *s);

/* What is to be deployed; lent. */
struct pl_deploy_cert {
	const char *leaf, *chain, *root;	/* PEM; "" where there is none */
	const char *const *names;		/* that were ordered */
	size_t n;
	bool server;				/* a TLS server's: with names */
};
/*
 * Is it fit to be shown to clients at `now` (wall ms)?  One certificate that is no
 * CA's, each of the chain signing the one before and in that order, to a root
 * in the set or the system's store; within its dates; with all names that
 * were ordered.  spki and sha256 are the leaf's.  PL_EREMOTE says what is wrong.
 */
enum pl_code pl_deploy_check(const struct pl_deploy_cert *c, int64_t now,
    unsigned char spki[32], unsigned char sha256[32], struct pl_err *err);
/*
 * `there`: PEM of what is deployed now, whose first certificate counts.
 * PL_EREMOTE where that one is still good at `now` and began later.
 */
enum pl_code pl_deploy_newer(const struct pl_deploy_cert *c,
    const char *there, size_t n, int64_t now, struct pl_err *err);

/* ---- files: deploy-files.c ------------------------------------------------------- */

struct pl_deploy_file {
	enum pl_deploy_part part;
	const char *name;		/* lent from the spec */
	unsigned mode;
	struct pl_buf data;		/* wiped when freed */
};
/* Gives the files that the spec wants.  key may be NULL where it needs none;
 * password is for PKCS#12. */
enum pl_code pl_deploy_files(struct pl_deploy_file **out, size_t *n,
    const struct pl_deploy_spec *spec, const struct pl_deploy_cert *c,
    const struct pl_key *key, const struct pl_secret *password,
    struct pl_err *err);
void pl_deploy_files_clear(struct pl_deploy_file *f, size_t n);

/* ---- generations: deploy-place.c ------------------------------------------------- */

/*
 * A directory, here or elsewhere; paths are below it.  PL_ECONFLICT:
 * somebody else is at work there.
 */
struct pl_place_ops {
	enum pl_code (*look)(void *self, const char *path,
	    enum pl_there *what, unsigned *mode, struct pl_buf *link,
	    struct pl_err *err);
	enum pl_code (*read)(void *self, const char *path, struct pl_buf *b,
	    struct pl_err *err);
	enum pl_code (*list)(void *self, const char *path,
	    struct pl_buf *names, struct pl_err *err);
	enum pl_code (*mkdir)(void *self, const char *path,
	    struct pl_err *err);
	/* A file, whole, in the place of what has its name. */
	enum pl_code (*write)(void *self, const char *path, const void *p,
	    size_t n, unsigned mode, struct pl_err *err);
	enum pl_code (*link)(void *self, const char *path, const char *to,
	    struct pl_err *err);
	/* Both in the directory itself; takes the other's place. */
	enum pl_code (*move)(void *self, const char *from, const char *to,
	    struct pl_err *err);
	/* Gone already is success; err may be NULL. */
	enum pl_code (*drop)(void *self, const char *path, bool dir,
	    struct pl_err *err);
};
struct pl_place {
	const struct pl_place_ops *ops;
	void *self;
};

struct pl_installed {
	bool same;			/* all of it was there already */
	unsigned generation;		/* in force now */
	unsigned previous;		/* 0: none */
};
/* Reads what is in force there of a part that begins with the certificate,
 * into b; nothing there leaves b empty. */
enum pl_code pl_place_current(const struct pl_place *p,
    const struct pl_deploy_spec *spec, struct pl_buf *b, struct pl_err *err);
/* Puts the files in force; leaf: the certificate alone, PEM; `same` tells for PKCS#12, whose octets differ each
 * time, whether what is there will do. */
enum pl_code pl_place_install(const struct pl_place *p,
    const struct pl_deploy_spec *spec, const char *leaf,
    const struct pl_deploy_file *f, size_t n,
    bool (*same)(void *ctx, const void *data, size_t len), void *ctx,
    struct pl_installed *out, struct pl_err *err);
/* Puts the generation before this one in force again; where there is none,
 * takes the files away. */
enum pl_code pl_place_rollback(const struct pl_place *p,
    const struct pl_deploy_spec *spec, unsigned generation,
    unsigned *now, struct pl_err *err);

/*
 * deploy-local.c: opens the directory; with `make` makes it where it is
 * missing and takes its lock, until pl_place_local_free.  spec is lent.
 */
struct pl_place_dir;
enum pl_code pl_place_local(struct pl_place_dir **out,
    struct pl_place *place, const struct pl_deploy_spec *spec, bool make,
    struct pl_err *err);
void pl_place_local_free(struct pl_place_dir *d);
/*
 * deploy-sftp.c: a host, by the options of an sftp account in set.  Secrets
 * are read at once; it connects when it is first needed.  There is no lock
 * over SFTP.
 */
struct pl_place_host;
enum pl_code pl_place_host_new(struct pl_place_host **out,
    const struct pl_settings *set, struct pl_err *err);
void pl_place_host_free(struct pl_place_host *h);
/* spec is lent as long as place is used.  PL_EREMOTE: the server cannot
 * replace a file in one step (posix-rename@openssh.com). */
enum pl_code pl_place_remote(struct pl_place_host *h, struct pl_place *place,
    const struct pl_deploy_spec *spec, bool make, int64_t deadline,
    struct pl_err *err);

/* ---- a target's worker: deploy-work.c ---------------------------------------------- */

enum pl_deploy_verb { PL_D_CHECK, PL_D_INSTALL, PL_D_ROLLBACK };
struct pl_deploy_work;
/*
 * Settings of a target, and of its account: the key is read here, before the
 * worker confines itself.  Beside the target's options: "base" is the
 * certificate's, "spki" its key's digest in hex, "kept-key" the path of a
 * key that placard has made for it, which goes before the target's.
 */
enum pl_code pl_deploy_open(struct pl_deploy_work **out,
    const struct pl_settings *set, bool remote, struct pl_err *err);
void pl_deploy_close(struct pl_deploy_work *w);
const char *pl_deploy_directory(const struct pl_deploy_work *w);
/*
 * Checks, and with PL_D_INSTALL installs.  PL_EREMOTE: the certificate, its
 * key or what is there forbid it.  PL_ENET: worth another try (full disk,
 * connection).
 */
enum pl_code pl_deploy_do(struct pl_deploy_work *w, enum pl_deploy_verb verb,
    const struct pl_deploy_cert *c, int64_t deadline,
    struct pl_installed *out, struct pl_err *err);
enum pl_code pl_deploy_undo(struct pl_deploy_work *w, unsigned generation,
    int64_t deadline, unsigned *now, struct pl_err *err);

#endif
