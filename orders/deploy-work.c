/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What a target's worker does.  The private key is read when the worker
 * starts, by the worker itself; nothing of it goes back to the engine.
 */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pl_deploy_work {
	struct pl_deploy_spec spec;
	struct pl_key *key;		/* NULL: none of its files needs one */
	struct pl_secret *password;	/* of PKCS#12, or NULL */
	struct pl_place_host *host;	/* NULL: here */
	unsigned char sha256[32];	/* of the certificate under way */
};

/* ---- the key --------------------------------------------------------------------- */

static void
spki_hex(char out[65], const unsigned char spki[32])
{
	struct pl_buf hex;

	pl_buf_init(&hex, 128);
	pl_hex(&hex, spki, 32);
	memcpy(out, hex.data, 65);
	pl_buf_clear(&hex);
}

/* Is the key the one that the certificate wants (NULL: any)? */
static bool
key_fits(const struct pl_key *k, const char *wanted)
{
	unsigned char spki[32];
	char hex[65];

	pl_key_spki(k, spki);
	spki_hex(hex, spki);
	return wanted == NULL || strcmp(hex, wanted) == 0;
}

static enum pl_code
key_parse(struct pl_key **out, const struct pl_settings *set,
    const struct pl_secret *pem, struct pl_err *err)
{
	struct pl_secret *pass = NULL;
	enum pl_code code;

	code = pl_setting_secret(set, "key-passphrase", false, &pass, err);
	if (code == PL_OK)
		code = pl_key_parse(out, pem, pass, err);
	pl_secret_free(pass);
	return code;
}

/* The key that placard has made for this certificate; none is no error. */
static enum pl_code
key_kept(struct pl_key **out, const struct pl_settings *set,
    struct pl_err *err)
{
	const char *path = pl_setting(set, "kept-key");
	struct pl_secret *pem = NULL;
	enum pl_code code;

	*out = NULL;
	if (path == NULL || access(path, F_OK) != 0)
		return PL_OK;
	code = pl_secret_read(&pem, path, true, err);
	if (code == PL_OK)
		code = pl_key_parse(out, pem, NULL, err);
	if (code != PL_OK)
		pl_prefix(err, "%s", path);
	pl_secret_free(pem);
	return code;
}

/* The one that is kept, else the configured one. */
static enum pl_code
key_find(struct pl_deploy_work *w, const struct pl_settings *set,
    struct pl_err *err)
{
	const char *wanted = pl_setting(set, "spki");
	struct pl_secret *pem = NULL;
	struct pl_key *kept = NULL;
	enum pl_code code;

	if (!pl_deploy_needs_key(&w->spec))
		return PL_OK;
	code = key_kept(&kept, set, err);
	if (code != PL_OK)
		return code;
	if (kept != NULL && key_fits(kept, wanted)) {
		w->key = kept;
		return PL_OK;
	}
	pl_key_free(kept);
	code = pl_setting_secret(set, "key", true, &pem, err);
	if (code == PL_OK && pem == NULL)
		code = pl_fail(err, PL_EINVAL, "key: missing: write key-file "
		    "= \"PATH\" where the order's private key is");
	if (code == PL_OK) {
		code = key_parse(&w->key, set, pem, err);
		if (code != PL_OK)
			pl_prefix(err, "key");
	}
	pl_secret_free(pem);
	if (code == PL_OK && !key_fits(w->key, wanted))
		code = pl_fail(err, PL_EREMOTE, "key: is not the one of the "
		    "certificate");
	return code;
}

/* ---- opening --------------------------------------------------------------------- */

void
pl_deploy_close(struct pl_deploy_work *w)
{
	if (w == NULL)
		return;
	pl_deploy_spec_clear(&w->spec);
	pl_key_free(w->key);
	pl_secret_free(w->password);
	pl_place_host_free(w->host);
	free(w);
}

enum pl_code
pl_deploy_open(struct pl_deploy_work **out, const struct pl_settings *set,
    bool remote, struct pl_err *err)
{
	struct pl_deploy_work *w = pl_alloc(sizeof(*w));
	const char *base = pl_setting(set, "base");
	enum pl_code code;

	*out = NULL;
	if (base == NULL)
		code = pl_fail(err, PL_EINVAL, "base: missing");
	else
		code = pl_deploy_spec(&w->spec, set, base, err);
	if (code == PL_OK)
		code = key_find(w, set, err);
	if (code == PL_OK)
		code = pl_setting_secret(set, "pkcs12-password", false,
		    &w->password, err);
	if (code == PL_OK && remote)
		code = pl_place_host_new(&w->host, set, err);
	if (code != PL_OK) {
		pl_deploy_close(w);
		return code;
	}
	*out = w;
	return PL_OK;
}

const char *
pl_deploy_directory(const struct pl_deploy_work *w)
{
	return w->spec.directory;
}

/* ---- doing ----------------------------------------------------------------------- */

/* What the local disk says may pass: somebody makes room. */
static enum pl_code
passing(enum pl_code code, struct pl_err *err)
{
	if (code != PL_EIO)
		return code;
	err->code = PL_ENET;
	return PL_ENET;
}

static enum pl_code
enter(struct pl_deploy_work *w, struct pl_place *place,
    struct pl_place_dir **dir, bool make, int64_t deadline,
    struct pl_err *err)
{
	*dir = NULL;
	if (w->host != NULL)
		return pl_place_remote(w->host, place, &w->spec, make,
		    deadline, err);
	return pl_place_local(dir, place, &w->spec, make, err);
}

static enum pl_code
check_key(struct pl_deploy_work *w, const unsigned char spki[32],
    struct pl_err *err)
{
	char hex[65];

	spki_hex(hex, spki);
	if (w->key == NULL || key_fits(w->key, hex))
		return PL_OK;
	return pl_fail(err, PL_EREMOTE, "key: is not the one of the "
	    "certificate");
}

static enum pl_code
check_there(struct pl_deploy_work *w, const struct pl_place *place,
    const struct pl_deploy_cert *c, struct pl_err *err)
{
	struct pl_buf there;
	enum pl_code code;

	pl_buf_init(&there, PL_LIM_BODY);
	code = pl_place_current(place, &w->spec, &there, err);
	if (code == PL_OK)
		code = pl_deploy_newer(c, there.data, there.len, pl_wall_ms(),
		    err);
	pl_buf_clear(&there);
	return code;
}

static bool
same_pkcs12(void *ctx, const void *data, size_t len)
{
	struct pl_deploy_work *w = ctx;

	return pl_pkcs12_holds(data, len, w->password, w->sha256);
}

static enum pl_code
install(struct pl_deploy_work *w, const struct pl_place *place,
    const struct pl_deploy_cert *c, struct pl_installed *out,
    struct pl_err *err)
{
	struct pl_deploy_file *files;
	enum pl_code code;
	size_t n;

	code = pl_deploy_files(&files, &n, &w->spec, c, w->key, w->password,
	    err);
	if (code != PL_OK)
		return code;
	code = pl_place_install(place, &w->spec, c->leaf, files, n,
	    same_pkcs12, w, out, err);
	pl_deploy_files_clear(files, n);
	return code;
}

/* A directory that a dry run would have to make first is nothing to compare
 * with. */
static bool
not_there_yet(const struct pl_deploy_work *w, enum pl_deploy_verb verb)
{
	return verb == PL_D_CHECK && w->host == NULL &&
	    access(w->spec.directory, F_OK) != 0;
}

enum pl_code
pl_deploy_do(struct pl_deploy_work *w, enum pl_deploy_verb verb,
    const struct pl_deploy_cert *c, int64_t deadline,
    struct pl_installed *out, struct pl_err *err)
{
	struct pl_place_dir *dir = NULL;
	struct pl_place place;
	unsigned char spki[32];
	enum pl_code code;

	*out = (struct pl_installed){ 0 };
	code = pl_deploy_check(c, pl_wall_ms(), spki, w->sha256, err);
	if (code == PL_OK)
		code = check_key(w, spki, err);
	if (code != PL_OK || not_there_yet(w, verb))
		return code;
	code = enter(w, &place, &dir, verb == PL_D_INSTALL, deadline, err);
	if (code == PL_OK)
		code = check_there(w, &place, c, err);
	if (code == PL_OK && verb == PL_D_INSTALL)
		code = install(w, &place, c, out, err);
	pl_place_local_free(dir);
	return passing(code, err);
}

enum pl_code
pl_deploy_undo(struct pl_deploy_work *w, unsigned generation,
    int64_t deadline, unsigned *now, struct pl_err *err)
{
	struct pl_place_dir *dir = NULL;
	struct pl_place place;
	enum pl_code code;

	*now = 0;
	code = enter(w, &place, &dir, true, deadline, err);
	if (code == PL_OK)
		code = pl_place_rollback(&place, &w->spec, generation, now,
		    err);
	pl_place_local_free(dir);
	return passing(code, err);
}
