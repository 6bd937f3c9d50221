/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include "certs.h"
#include "orders.h"

#define OK(e) do { if ((e) != PL_OK) fail_msg("%s", err.text); } while (0)
#define NOW (INT64_C(1700000000) * 1000)
#define WWW "www.example.com"

static const char *const names[] = { WWW, "example.com" };

/* ---- names ------------------------------------------------------------------ */

static void
test_serves(void **state PL_UNUSED)
{
	assert_true(pl_deploy_serves(WWW, names, 2));
	assert_true(pl_deploy_serves("example.com", names, 2));
	assert_true(pl_deploy_serves("*", names, 2));
	assert_true(pl_deploy_serves("*.example.com", names, 1));
	assert_true(pl_deploy_serves("www.*.com", names, 2));
	assert_true(pl_deploy_serves("*w*e*m", names, 2));
	assert_false(pl_deploy_serves("w.example.com", names, 2));
	assert_false(pl_deploy_serves("*.example.org", names, 2));
	assert_false(pl_deploy_serves("www.example.com.*", names, 2));
	assert_false(pl_deploy_serves("", names, 2));
	assert_false(pl_deploy_serves("*", names, 0));
}

static void
test_base(void **state PL_UNUSED)
{
	char *base = pl_deploy_base("*.example.com"), *text;

	assert_string_equal(base, "_.example.com");
	text = pl_deploy_expand("/etc/%n/100%/%n.pem", base);
	assert_string_equal(text, "/etc/_.example.com/100%/_.example.com.pem");
	free(text);
	free(base);
	base = pl_deploy_base("a/../b c");
	assert_string_equal(base, "a-..-b-c");
	free(base);
}

/* ---- settings ----------------------------------------------------------------- */

static void
add(struct pl_settings *set, const char *name, const char *value)
{
	pl_settings_add(set, name, &value, 1);
}

static void
test_spec(void **state PL_UNUSED)
{
	static const char *const list[] = { "key", "fullchain", "pkcs12" };
	struct pl_settings set = { 0 };
	struct pl_deploy_spec s;
	const char *key;
	struct pl_err err;

	add(&set, "directory", "/srv/%n");
	OK(pl_deploy_settings(&set, false, &key, &err));
	OK(pl_deploy_spec(&s, &set, "a.test", &err));
	assert_string_equal(s.directory, "/srv/a.test");
	assert_true(s.links);
	assert_string_equal(s.file[PL_D_KEY], "privkey.pem");
	assert_null(s.file[PL_D_COMBINED]);
	assert_int_equal(s.mode, 0644);
	assert_int_equal(s.key_mode, 0600);
	assert_int_equal(s.uid, -1);
	assert_true(pl_deploy_needs_key(&s));
	pl_deploy_spec_clear(&s);
	pl_settings_add(&set, "files", list, 3);
	add(&set, "key-name", "%n.key");
	add(&set, "key-mode", "640");
	add(&set, "owner", "0");
	add(&set, "layout", "files");
	assert_int_equal(pl_deploy_settings(&set, false, &key, &err),
	    PL_EINVAL);
	assert_string_equal(key, "pkcs12-password");
	OK(pl_deploy_spec(&s, &set, "a.test", &err));
	assert_string_equal(s.file[PL_D_KEY], "a.test.key");
	assert_null(s.file[PL_D_CERT]);
	assert_false(s.links);
	assert_int_equal(s.key_mode, 0640);
	assert_int_equal(s.uid, 0);
	pl_deploy_spec_clear(&s);
	pl_settings_clear(&set);
}

/* ---- checks --------------------------------------------------------------------- */

static const struct pl_deploy_cert good = { .leaf = LEAF, .chain = ISSUING,
	.root = ROOT, .names = names, .n = 2, .server = true };

static void
test_check(void **state PL_UNUSED)
{
	unsigned char spki[32], sha256[32];
	struct pl_cert **certs;
	struct pl_err err;
	size_t n;

	OK(pl_deploy_check(&good, NOW, spki, sha256, &err));
	OK(pl_certs_parse(&certs, &n, LEAF, strlen(LEAF), &err));
	assert_memory_equal(spki, certs[0]->spki, 32);
	assert_memory_equal(sha256, certs[0]->sha256, 32);
	pl_certs_free(certs, n);
	/* The same, younger than what is there, or nothing to compare with. */
	OK(pl_deploy_newer(&good, LEAF, strlen(LEAF), NOW, &err));
	OK(pl_deploy_newer(&good, OLDER ISSUING, strlen(OLDER ISSUING), NOW,
	    &err));
	OK(pl_deploy_newer(&good, "", 0, NOW, &err));
	OK(pl_deploy_newer(&good, "garbage", 7, NOW, &err));
}

/* ---- files ----------------------------------------------------------------------- */

static void
spec_of(struct pl_deploy_spec *s, const char *dir, bool links)
{
	struct pl_settings set = { 0 };
	struct pl_err err;

	add(&set, "directory", dir);
	add(&set, "layout", links ? "links" : "files");
	OK(pl_deploy_spec(s, &set, WWW, &err));
	pl_settings_clear(&set);
}

static void
test_files(void **state PL_UNUSED)
{
	static const char *const all[] = { "cert", "chain", "fullchain",
		"key", "combined" };
	static const char *const bundle[] = { "pkcs12" };
	struct pl_secret *password = pl_secret_new("secret", 6);
	struct pl_settings set = { 0 };
	struct pl_deploy_file *f;
	struct pl_deploy_spec s;
	struct pl_key *key;
	struct pl_err err;
	size_t n;

	add(&set, "directory", "/x");
	pl_settings_add(&set, "files", all, 5);
	OK(pl_deploy_spec(&s, &set, WWW, &err));
	OK(pl_key_new(&key, "p256", &err));
	OK(pl_deploy_files(&f, &n, &s, &good, key, password, &err));
	assert_int_equal(n, 5);
	assert_string_equal(f[0].data.data, LEAF);
	assert_string_equal(f[1].data.data, ISSUING);
	assert_string_equal(f[2].data.data, LEAF ISSUING);
	assert_int_equal(f[2].mode, 0644);
	assert_int_equal(strncmp(f[3].data.data, "-----BEGIN PRIVATE KEY-----",
	    27), 0);
	assert_int_equal(f[3].mode, 0600);
	assert_int_equal(strncmp(f[4].data.data, LEAF ISSUING,
	    strlen(LEAF ISSUING)), 0);
	assert_string_equal(f[4].data.data + strlen(LEAF ISSUING),
	    f[3].data.data);
	pl_deploy_files_clear(f, n);
	/* Without what it needs, or with another's key. */
	assert_int_equal(pl_deploy_files(&f, &n, &s, &good, NULL, password,
	    &err), PL_EINVAL);
	assert_null(f);
	pl_deploy_spec_clear(&s);
	pl_settings_clear(&set);
	set = (struct pl_settings){ 0 };
	add(&set, "directory", "/x");
	pl_settings_add(&set, "files", bundle, 1);
	OK(pl_deploy_spec(&s, &set, WWW, &err));
	assert_int_equal(pl_deploy_files(&f, &n, &s, &good, key, NULL, &err),
	    PL_EINVAL);
	assert_int_equal(pl_deploy_files(&f, &n, &s, &good, key, password,
	    &err), PL_EINVAL);
	assert_null(f);
	pl_secret_free(password);
	pl_key_free(key);
	pl_deploy_spec_clear(&s);
	pl_settings_clear(&set);
}

/* ---- which key ------------------------------------------------------------------- */

static void
hex_of(const struct pl_key *k, char out[65])
{
	unsigned char spki[32];
	struct pl_buf hex;

	pl_key_spki(k, spki);
	pl_buf_init(&hex, 128);
	pl_hex(&hex, spki, 32);
	memcpy(out, hex.data, 65);
	pl_buf_clear(&hex);
}

/* A key that placard has made goes before the target's, if it is the one. */
static void
test_which_key(void **state)
{
	char kept[600], said[600], hex[3][65];
	struct pl_deploy_work *w;
	struct pl_key *key;
	struct pl_err err;

	snprintf(kept, sizeof(kept), "%s/kept.key", (char *)*state);
	snprintf(said, sizeof(said), "%s/said.key", (char *)*state);
	for (int i = 0; i < 3; i++) {
		OK(pl_key_new(&key, "p256", &err));
		if (i < 2)
			OK(pl_key_write(key, i == 0 ? kept : said, NULL,
			    &err));
		hex_of(key, hex[i]);
		pl_key_free(key);
	}
	for (int i = 0; i < 3; i++) {
		struct pl_settings set = { 0 };

		add(&set, "directory", "/x");
		add(&set, "base", "a.test");
		add(&set, "spki", hex[i]);
		add(&set, "kept-key", kept);
		add(&set, "key-file", said);
		if (i < 2)
			OK(pl_deploy_open(&w, &set, false, &err));
		else
			assert_int_equal(pl_deploy_open(&w, &set, false,
			    &err), PL_EREMOTE);
		pl_deploy_close(w);
		pl_settings_clear(&set);
	}
}

/* ---- generations, with one operation that fails ---------------------------------- */

/* A place whose Nth operation fails, once or from then on. */
struct flaky {
	struct pl_place real;
	unsigned count, fail;		/* 0: never */
	bool for_ever;
};

static bool
broken(struct flaky *f, struct pl_err *err)
{
	f->count++;
	if (f->fail == 0 || (f->for_ever ? f->count < f->fail :
	    f->count != f->fail))
		return false;
	pl_fail(err, PL_EIO, "injected");
	return true;
}

#define FLAKY(name, args, call) \
	static enum pl_code \
	flaky_##name args \
	{ \
		struct flaky *f = self; \
		return broken(f, err) ? PL_EIO : f->real.ops->name call; \
	}

FLAKY(look, (void *self, const char *path, enum pl_there *what,
    unsigned *mode, struct pl_buf *link, struct pl_err *err),
    (f->real.self, path, what, mode, link, err))
FLAKY(read, (void *self, const char *path, struct pl_buf *b,
    struct pl_err *err), (f->real.self, path, b, err))
FLAKY(list, (void *self, const char *path, struct pl_buf *b,
    struct pl_err *err), (f->real.self, path, b, err))
FLAKY(mkdir, (void *self, const char *path, struct pl_err *err),
    (f->real.self, path, err))
FLAKY(write, (void *self, const char *path, const void *p, size_t n,
    unsigned mode, struct pl_err *err),
    (f->real.self, path, p, n, mode, err))
FLAKY(link, (void *self, const char *path, const char *to,
    struct pl_err *err), (f->real.self, path, to, err))
FLAKY(move, (void *self, const char *from, const char *to,
    struct pl_err *err), (f->real.self, from, to, err))
FLAKY(drop, (void *self, const char *path, bool dir, struct pl_err *err),
    (f->real.self, path, dir, err))

static const struct pl_place_ops flaky_ops = {
	.look = flaky_look,
	.read = flaky_read,
	.list = flaky_list,
	.mkdir = flaky_mkdir,
	.write = flaky_write,
	.link = flaky_link,
	.move = flaky_move,
	.drop = flaky_drop,
};

/* Files of one set hold its letter. */
static enum pl_code
put_set(struct flaky *f, const struct pl_deploy_spec *s, char letter,
    struct pl_installed *in, struct pl_err *err)
{
	struct pl_place p = { &flaky_ops, f };
	struct pl_deploy_file set[PL_NPARTS];
	enum pl_code code;
	size_t n = 0;

	for (size_t i = 0; i < PL_NPARTS; i++) {
		if (s->file[i] == NULL)
			continue;
		set[n] = (struct pl_deploy_file){ (enum pl_deploy_part)i,
			s->file[i], 0600, { 0 } };
		pl_buf_init(&set[n].data, 100);
		pl_buf_addc(&set[n++].data, letter);
	}
	f->count = 0;
	code = pl_place_install(&p, s, "leaf", set, n, NULL, NULL, in, err);
	for (size_t i = 0; i < n; i++)
		pl_buf_clear(&set[i].data);
	return code;
}

/* The letter that all names show, '-': none is there, '?': they differ. */
static char
shown(const struct pl_deploy_spec *s)
{
	char path[1024], one, all = '\0';
	ssize_t n;
	int fd;

	for (size_t i = 0; i < PL_NPARTS; i++) {
		if (s->file[i] == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", s->directory,
		    s->file[i]);
		fd = open(path, O_RDONLY);
		one = '-';
		if (fd >= 0) {
			n = read(fd, &one, 1);
			assert_int_equal(n, 1);
			close(fd);
		}
		if (all != '\0' && one != all)
			return '?';
		all = one;
	}
	return all;
}

static void
try_all(const char *dir, bool links, bool for_ever)
{
	struct flaky f = { .for_ever = for_ever };
	struct pl_installed in;
	struct pl_deploy_spec s;
	struct pl_place_dir *d;
	struct pl_err err;
	unsigned most, at;
	char seen;

	spec_of(&s, dir, links);
	OK(pl_place_local(&d, &f.real, &s, true, &err));
	OK(put_set(&f, &s, 'a', &in, &err));
	OK(put_set(&f, &s, 'b', &in, &err));
	most = f.count;
	assert_true(most > 20);
	assert_int_equal(shown(&s), 'b');
	for (at = 1; at <= most; at++) {
		OK(put_set(&f, &s, 'a', &in, &err));
		f.fail = at;
		/* The last ones only clear up behind it. */
		(void)put_set(&f, &s, 'b', &in, &err);
		f.fail = 0;
		seen = shown(&s);
		/* Two plain files cannot be undone with a place that does
		 * nothing any more. */
		if (links || !for_ever)
			assert_true(seen == 'a' || seen == 'b');
		OK(put_set(&f, &s, 'b', &in, &err));
		assert_int_equal(shown(&s), 'b');
		/* What was seen was in force, not only in place. */
		assert_true(seen == 'b' || !in.same);
	}
	pl_place_local_free(d);
	pl_deploy_spec_clear(&s);
}

static void
test_failing_links(void **state)
{
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/links", (char *)*state);
	try_all(dir, true, true);
	try_all(dir, true, false);
}

static void
test_failing_files(void **state)
{
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/files", (char *)*state);
	try_all(dir, false, false);
	try_all(dir, false, true);
}

static void
test_rollback(void **state)
{
	struct flaky f = { 0 };
	struct pl_installed in;
	struct pl_deploy_spec s;
	struct pl_place_dir *d;
	struct pl_err err;
	char dir[600];
	unsigned now;

	for (int links = 0; links < 2; links++) {
		snprintf(dir, sizeof(dir), "%s/back%d", (char *)*state, links);
		spec_of(&s, dir, links == 1);
		OK(pl_place_local(&d, &f.real, &s, true, &err));
		OK(put_set(&f, &s, 'a', &in, &err));
		assert_int_equal(in.previous, 0);
		OK(put_set(&f, &s, 'b', &in, &err));
		assert_int_equal(in.previous, 1);
		/* Not the one in force: it stays. */
		OK(pl_place_rollback(&f.real, &s, in.generation + 5, &now,
		    &err));
		assert_int_equal(now, in.generation);
		OK(pl_place_rollback(&f.real, &s, in.generation, &now, &err));
		assert_int_equal(now, 1);
		assert_int_equal(shown(&s), 'a');
		/* Nothing was there before that one. */
		OK(pl_place_rollback(&f.real, &s, 1, &now, &err));
		assert_int_equal(now, 0);
		assert_int_equal(shown(&s), '-');
		pl_place_local_free(d);
		pl_deploy_spec_clear(&s);
	}
}

static void
test_one_at_a_time(void **state)
{
	struct pl_place_dir *d, *e;
	struct pl_deploy_spec s;
	struct pl_place p;
	struct pl_err err;
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/lock", (char *)*state);
	spec_of(&s, dir, true);
	OK(pl_place_local(&d, &p, &s, true, &err));
	assert_int_equal(pl_place_local(&e, &p, &s, true, &err),
	    PL_ECONFLICT);
	assert_null(e);
	pl_place_local_free(d);
	OK(pl_place_local(&e, &p, &s, true, &err));
	pl_place_local_free(e);
	pl_deploy_spec_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serves),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_which_key),
		cmocka_unit_test(test_failing_links),
		cmocka_unit_test(test_failing_files),
		cmocka_unit_test(test_rollback),
		cmocka_unit_test(test_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
