/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "providers.h"
#include "scratch.h"

static void
add(struct pl_settings *s, const char *name, const char *value)
{
	pl_settings_add(s, name, &value, 1);
}

static void
values(void **state PL_UNUSED)
{
	static const char *const many[] = { "a", "b" };
	struct pl_settings s = { 0 };

	add(&s, "text", "x");
	add(&s, "number", "42");
	add(&s, "word", "x1");
	add(&s, "yes", "true");
	add(&s, "no", "false");
	pl_settings_add(&s, "many", many, 2);
	pl_settings_add(&s, "none", NULL, 0);
	assert_string_equal(pl_setting(&s, "text"), "x");
	assert_string_equal(pl_setting(&s, "many"), "a");
	assert_null(pl_setting(&s, "none"));
	assert_null(pl_setting(&s, "absent"));
	assert_int_equal(pl_setting_find(&s, "many")->n, 2);
	assert_string_equal(pl_setting_find(&s, "many")->values[1], "b");
	assert_null(pl_setting_find(&s, "tex"));
	assert_int_equal(pl_setting_int(&s, "number", 7), 42);
	assert_int_equal(pl_setting_int(&s, "word", 7), 7);
	assert_int_equal(pl_setting_int(&s, "absent", 7), 7);
	assert_true(pl_setting_bool(&s, "yes", false));
	assert_false(pl_setting_bool(&s, "no", true));
	assert_true(pl_setting_bool(&s, "absent", true));
	pl_settings_clear(&s);
	assert_int_equal(s.n, 0);
	pl_settings_clear(&s);
}

/* Loads secret "key" of an account with one setting. */
static enum pl_code
load(const char *name, const char *value, bool whole, char *out, size_t size,
    struct pl_err *err)
{
	struct pl_settings s = { 0 };
	struct pl_secret *secret;
	enum pl_code rc;

	pl_err_clear(err);
	out[0] = '\0';
	add(&s, "key-name", "not it");
	if (name != NULL)
		add(&s, name, value);
	assert_int_equal(pl_setting_has_secret(&s, "key"), name != NULL);
	rc = pl_setting_secret(&s, "key", whole, &secret, err);
	if (rc != PL_OK)
		assert_null(secret);
	if (secret != NULL)
		snprintf(out, size, "%s", pl_secret_expose(secret));
	pl_secret_free(secret);
	pl_settings_clear(&s);
	return rc;
}

static void
secret_forms(void **state)
{
	char path[512], command[600], got[64];
	struct pl_err err;

	assert_int_equal(load(NULL, NULL, false, got, sizeof(got), &err),
	    PL_OK);
	assert_string_equal(got, "");
	scratch_path(path, sizeof(path), state, "key");
	scratch_write(path, "first\nsecond\n", 13, 0600);
	assert_int_equal(load("key-file", path, false, got, sizeof(got),
	    &err), PL_OK);
	assert_string_equal(got, "first");
	assert_int_equal(load("key-file", path, true, got, sizeof(got),
	    &err), PL_OK);
	assert_int_equal(strncmp(got, "first\nsecond", 12), 0);
	snprintf(command, sizeof(command), "/bin/cat %s", path);
	assert_int_equal(load("key-command", command, false, got,
	    sizeof(got), &err), PL_OK);
	assert_string_equal(got, "first");
}

/* Credentials show their access list as rights of the group. */
static void
credential(void **state)
{
	const char *dir = *state, *name = "lab.key";
	struct pl_settings s = { 0 };
	struct pl_secret *secret;
	struct pl_err err;
	char path[512];

	scratch_path(path, sizeof(path), state, name);
	scratch_write(path, "from systemd\r\n", 14, 0440);
	add(&s, "key-credential", name);
	assert_int_equal(pl_setting_secret(&s, "key", false, &secret, &err),
	    PL_EINVAL);
	assert_null(secret);
	assert_non_null(strstr(err.text, "key-credential: credential "
	    "lab.key: "));
	assert_non_null(strstr(err.text, "CREDENTIALS_DIRECTORY"));
	add(&s, "credentials-directory", dir);
	assert_int_equal(pl_setting_secret(&s, "key", false, &secret, &err),
	    PL_OK);
	assert_string_equal(pl_secret_expose(secret), "from systemd");
	pl_secret_free(secret);
	unlink(path);
	assert_int_equal(pl_setting_secret(&s, "key", false, &secret, &err),
	    PL_EINVAL);
	scratch_write(path, "", 0, 0400);
	assert_int_equal(pl_setting_secret(&s, "key", false, &secret, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "empty"));
	pl_settings_clear(&s);
}

static void
bad_secrets(void **state)
{
	char path[512], got[64];
	struct pl_err err;

	scratch_path(path, sizeof(path), state, "open");
	scratch_write(path, "Q2FuYXJ5", 8, 0644);
	assert_int_equal(load("key-file", path, false, got, sizeof(got),
	    &err), PL_EINVAL);
	assert_int_equal(strncmp(err.text, "key-file: ", 10), 0);
	assert_non_null(strstr(err.text, "chmod"));
	assert_null(strstr(err.text, "Q2FuYXJ5"));
	assert_int_not_equal(load("key-file", "/nonexistent/x", false, got,
	    sizeof(got), &err), PL_OK);
	assert_int_not_equal(load("key-command", "/bin/false", false, got,
	    sizeof(got), &err), PL_OK);
	assert_int_equal(strncmp(err.text, "key-command: ", 13), 0);
	assert_int_equal(load("key-credential", "../etc/passwd", false, got,
	    sizeof(got), &err), PL_EINVAL);
}

static void
through_a_frame(void **state PL_UNUSED)
{
	static const char *const many[] = { "a", "", "c" };
	struct pl_settings s = { 0 }, t;
	struct pl_secret *secret;
	struct pl_cursor c;
	struct pl_buf b;
	size_t cut;

	s.account = pl_strdup("lab");
	s.provider = pl_strdup("rfc2136");
	add(&s, "server", "192.0.2.53");
	pl_settings_add(&s, "many", many, 3);
	pl_settings_add(&s, "none", NULL, 0);
	pl_settings_add_secret(&s, "key", pl_secret_new("Q2FuYXJ5", 8));
	pl_buf_init(&b, PL_LIM_FRAME);
	pl_settings_put(&b, &s);
	c = (struct pl_cursor){ .p = (unsigned char *)b.data,
		.end = (unsigned char *)b.data + b.len };
	pl_settings_get(&c, &t);
	assert_false(c.bad);
	assert_ptr_equal(c.p, c.end);
	assert_string_equal(t.account, "lab");
	assert_string_equal(t.provider, "rfc2136");
	assert_int_equal(t.n, 4);
	assert_string_equal(pl_setting(&t, "server"), "192.0.2.53");
	assert_string_equal(pl_setting_find(&t, "many")->values[2], "c");
	assert_int_equal(pl_setting_find(&t, "none")->n, 0);
	assert_int_equal(pl_setting_secret(&t, "key", false, &secret, NULL),
	    PL_OK);
	assert_string_equal(pl_secret_expose(secret), "Q2FuYXJ5");
	pl_secret_free(secret);
	pl_settings_clear(&t);
	/* Cut anywhere: told, and nothing is lost. */
	for (cut = 0; cut < b.len; cut++) {
		c.p = (unsigned char *)b.data;
		c.end = c.p + cut;
		c.bad = false;
		pl_settings_get(&c, &t);
		assert_true(c.bad);
		pl_settings_clear(&t);
	}
	pl_buf_clear(&b);
	pl_settings_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(secret_forms),
		cmocka_unit_test(credential),
		cmocka_unit_test(bad_secrets),
		cmocka_unit_test(through_a_frame),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
