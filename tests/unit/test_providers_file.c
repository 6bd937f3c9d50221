/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "providers.h"
#include "scratch.h"

#define ACME "/.well-known/acme-challenge/"
#define PKI "/.well-known/pki-validation/"

static const struct pl_call call = { .deadline = INT64_MAX };

/* Opens the provider on SCRATCH/name, made where it is not there. */
static void *
open_root(void **state, const char *name, const char *mode)
{
	struct pl_settings s = { 0 };
	struct pl_err err;
	const char *p;
	char root[512];
	void *self;

	p = scratch_path(root, sizeof(root), state, name);
	mkdir(root, 0755);
	pl_settings_add(&s, "root", &p, 1);
	if (mode != NULL)
		pl_settings_add(&s, "mode", &mode, 1);
	assert_int_equal(pl_desc_file.check(&s, &err), PL_OK);
	assert_int_equal(pl_provider_file.open(&self, &s, &err), PL_OK);
	pl_settings_clear(&s);
	return self;
}

/* One change; fails the test where it does not end as said. */
static struct pl_outcome
change(void *self, enum pl_op op, const char *name, const char *value,
    const char *handle, enum pl_code want)
{
	struct pl_change c = { .op = op, .kind = PL_FILE, .name = name,
		.value = value, .value_len = strlen(value),
		.handle = handle };
	struct pl_outcome out = { .code = PL_EUNDONE };
	struct pl_err err;
	enum pl_code rc;

	pl_err_clear(&err);
	rc = pl_provider_file.apply(self, &call, "local", &c, &out, 1, &err);
	if (rc != want || out.code != want)
		fail_msg("%s: %d, %d: %s", name, (int)rc, (int)out.code,
		    err.text);
	if (want != PL_OK)
		assert_string_not_equal(err.text, "");
	return out;
}

static bool
there(void **state, const char *name)
{
	struct stat st;
	char path[512];

	return stat(scratch_path(path, sizeof(path), state, name), &st) == 0;
}

static unsigned
mode_of(void **state, const char *name)
{
	struct stat st;
	char path[512];

	assert_int_equal(stat(scratch_path(path, sizeof(path), state, name),
	    &st), 0);
	return st.st_mode & 07777;
}

static void
publish_and_remove(void **state)
{
	void *self = open_root(state, "plain", NULL);
	struct pl_outcome out;
	struct pl_buf b;
	char path[512];

	out = change(self, PL_LOOK, ACME "tok", "tok.key", NULL, PL_OK);
	assert_int_equal(out.was, PL_WAS_ABSENT);
	assert_false(there(state, "plain/.well-known"));
	out = change(self, PL_ADD, ACME "tok", "tok.key", NULL, PL_OK);
	assert_int_equal(out.was, PL_WAS_ABSENT);
	assert_string_equal(out.handle, "2");
	pl_buf_init(&b, PL_LIM_FILE);
	scratch_path(path, sizeof(path), state, "plain" ACME "tok");
	assert_int_equal(pl_file_read(&b, path, NULL), PL_OK);
	assert_string_equal(b.data, "tok.key");
	pl_buf_clear(&b);
	assert_int_equal(mode_of(state, "plain" ACME "tok"), 0644);
	assert_int_equal(mode_of(state, "plain/.well-known"), 0755);
	out = change(self, PL_LOOK, ACME "tok", "tok.key", NULL, PL_OK);
	assert_int_equal(out.was, PL_WAS_PRESENT);
	out = change(self, PL_ADD, ACME "tok", "tok.key", NULL, PL_OK);
	assert_int_equal(out.was, PL_WAS_PRESENT);
	change(self, PL_DEL, ACME "tok", "tok.key", "2", PL_OK);
	assert_false(there(state, "plain/.well-known"));
	change(self, PL_DEL, ACME "tok", "tok.key", "2", PL_OK);
	assert_true(there(state, "plain"));
	pl_provider_file.close(self);
}

/* Files that follow one another: the last one takes the directories. */
static void
directories(void **state)
{
	void *self = open_root(state, "dirs", NULL);

	change(self, PL_ADD, ACME "a", "a", NULL, PL_OK);
	assert_string_equal(change(self, PL_ADD, ACME "b", "b", NULL,
	    PL_OK).handle, "2");
	assert_string_equal(change(self, PL_ADD, PKI "c.txt", "c", NULL,
	    PL_OK).handle, "2");
	change(self, PL_DEL, ACME "a", "a", "2", PL_OK);
	assert_true(there(state, "dirs" ACME "b"));
	change(self, PL_DEL, ACME "b", "b", "2", PL_OK);
	assert_false(there(state, "dirs/.well-known/acme-challenge"));
	assert_true(there(state, "dirs" PKI "c.txt"));
	change(self, PL_DEL, PKI "c.txt", "c", "2", PL_OK);
	assert_false(there(state, "dirs/.well-known"));
	pl_provider_file.close(self);
}

/* Directories that were there before us stay. */
static void
foreign_directories(void **state)
{
	void *self = open_root(state, "foreign", "0600");
	struct pl_outcome out;
	char path[512];

	assert_int_equal(mkdir(scratch_path(path, sizeof(path), state,
	    "foreign/.well-known"), 0755), 0);
	out = change(self, PL_ADD, ACME "a", "a", NULL, PL_OK);
	assert_string_equal(out.handle, "1");
	assert_int_equal(mode_of(state, "foreign" ACME "a"), 0600);
	assert_int_equal(mode_of(state, "foreign/.well-known/acme-challenge"),
	    0700);
	change(self, PL_DEL, ACME "a", "a", out.handle, PL_OK);
	assert_true(there(state, "foreign/.well-known"));
	assert_false(there(state, "foreign/.well-known/acme-challenge"));
	/* Without a handle, or with one that is none, all of them stay. */
	change(self, PL_ADD, ACME "a", "a", NULL, PL_OK);
	change(self, PL_DEL, ACME "a", "a", NULL, PL_OK);
	assert_true(there(state, "foreign/.well-known/acme-challenge"));
	change(self, PL_ADD, ACME "a", "a", NULL, PL_OK);
	change(self, PL_DEL, ACME "a", "a", "99", PL_OK);
	assert_true(there(state, "foreign/.well-known/acme-challenge"));
	pl_provider_file.close(self);
}

static void
strangers_file(void **state)
{
	void *self = open_root(state, "stranger", NULL);
	char path[512];

	change(self, PL_ADD, ACME "a", "theirs", NULL, PL_OK);
	assert_int_equal(change(self, PL_LOOK, ACME "a", "ours", NULL,
	    PL_OK).was, PL_WAS_ABSENT);
	change(self, PL_ADD, ACME "a", "ours", NULL, PL_EREMOTE);
	change(self, PL_DEL, ACME "a", "ours", "2", PL_OK);
	assert_true(there(state, "stranger" ACME "a"));
	scratch_path(path, sizeof(path), state, "stranger" ACME "b");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	change(self, PL_ADD, ACME "b", "ours", NULL, PL_EREMOTE);
	pl_provider_file.close(self);
}

/* The record rules hold here too, whoever asks. */
static void
record_rules(void **state)
{
	static const char *const names[] = { "/etc/passwd", ACME "../x",
		ACME "a/b", ACME, "/.well-known/x", ".well-known/acme-"
		"challenge/a", "", "/", ACME "..", ACME "a b" };
	struct pl_change c = { .op = PL_ADD, .kind = PL_TXT,
		.name = "_acme-challenge.example.com", .value = "x",
		.value_len = 1 };
	struct pl_outcome out = { .code = PL_EUNDONE };
	void *self = open_root(state, "rules", NULL);
	char path[512];
	size_t i;

	for (i = 0; i < PL_NELEM(names); i++) {
		change(self, PL_ADD, names[i], "x", NULL, PL_EINVAL);
		change(self, PL_DEL, names[i], "x", NULL, PL_EINVAL);
		change(self, PL_LOOK, names[i], "x", NULL, PL_EINVAL);
	}
	assert_int_equal(pl_provider_file.apply(self, &call, "local", &c,
	    &out, 1, NULL), PL_EINVAL);
	assert_string_not_equal(out.text, "");
	assert_int_equal(scratch_count(scratch_path(path, sizeof(path),
	    state, "rules")), 0);
	pl_provider_file.close(self);
}

/* One bad change does not keep the others from being done. */
static void
batches(void **state)
{
	struct pl_change c[] = {
		{ .op = PL_ADD, .kind = PL_FILE, .name = ACME "a",
		    .value = "a", .value_len = 1 },
		{ .op = PL_ADD, .kind = PL_FILE, .name = "/bad",
		    .value = "b", .value_len = 1 },
		{ .op = PL_ADD, .kind = PL_FILE, .name = PKI "c.txt",
		    .value = "c\n", .value_len = 2 },
	};
	struct pl_outcome out[3] = { { .code = PL_EUNDONE },
		{ .code = PL_EUNDONE }, { .code = PL_EUNDONE } };
	struct pl_call late = { .deadline = 0 };
	void *self = open_root(state, "batch", NULL);
	struct pl_err err;

	assert_int_equal(pl_provider_file.apply(self, &late, "local", c, out,
	    3, &err), PL_ENET);
	assert_int_equal(out[0].code, PL_EUNDONE);
	assert_false(there(state, "batch/.well-known"));
	assert_int_equal(pl_provider_file.apply(self, &call, "local", c, out,
	    3, &err), PL_EINVAL);
	assert_int_equal(out[0].code, PL_OK);
	assert_int_equal(out[1].code, PL_EINVAL);
	assert_int_equal(out[2].code, PL_OK);
	assert_true(there(state, "batch" ACME "a"));
	assert_true(there(state, "batch" PKI "c.txt"));
	pl_provider_file.close(self);
}

static void
account_test(void **state)
{
	void *self = open_root(state, "test", NULL);
	char scope[PL_NAME_MAX], path[512];
	struct pl_err err;

	assert_int_equal(pl_provider_file.apply(self, &call, "", NULL, NULL,
	    0, &err), PL_OK);
	assert_int_equal(scratch_count(scratch_path(path, sizeof(path),
	    state, "test")), 0);
	assert_int_equal(pl_provider_file.scope(self, &call, ACME "x", scope,
	    &err), PL_OK);
	assert_string_equal(scope, "local");
	/* A file where the folder should be. */
	scratch_path(path, sizeof(path), state, "test/.well-known");
	scratch_write(path, "x", 1, 0644);
	assert_int_not_equal(pl_provider_file.apply(self, &call, "", NULL,
	    NULL, 0, &err), PL_OK);
	pl_provider_file.close(self);
}

static void
owners(void **state)
{
	static const char *const root_user[] = { "0", "root" };
	struct pl_settings s;
	struct pl_err err;
	const char *p;
	char root[512];
	struct stat st;
	void *self;
	size_t i;

	if (geteuid() != 0)
		skip();		/* only root may give files away */
	p = scratch_path(root, sizeof(root), state, "owner");
	mkdir(root, 0755);
	for (i = 0; i < PL_NELEM(root_user); i++) {
		memset(&s, 0, sizeof(s));
		pl_settings_add(&s, "root", &p, 1);
		pl_settings_add(&s, "owner", &(const char *){ "12345" }, 1);
		pl_settings_add(&s, "group", &root_user[i], 1);
		assert_int_equal(pl_provider_file.open(&self, &s, &err),
		    PL_OK);
		change(self, PL_ADD, ACME "a", "a", NULL, PL_OK);
		assert_int_equal(stat(root, &st), 0);
		assert_int_equal(st.st_uid, 0);
		scratch_path(root, sizeof(root), state, "owner" ACME "a");
		assert_int_equal(stat(root, &st), 0);
		assert_int_equal(st.st_uid, 12345);
		assert_int_equal(st.st_gid, 0);
		scratch_path(root, sizeof(root), state, "owner/.well-known");
		assert_int_equal(stat(root, &st), 0);
		assert_int_equal(st.st_uid, 12345);
		scratch_path(root, sizeof(root), state, "owner");
		change(self, PL_DEL, ACME "a", "a", "2", PL_OK);
		pl_provider_file.close(self);
		pl_settings_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish_and_remove),
		cmocka_unit_test(directories),
		cmocka_unit_test(foreign_directories),
		cmocka_unit_test(strangers_file),
		cmocka_unit_test(record_rules),
		cmocka_unit_test(batches),
		cmocka_unit_test(account_test),
		cmocka_unit_test(owners),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
