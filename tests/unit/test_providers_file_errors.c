/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "providers.h"
#include "scratch.h"

/* Opens with up to two settings beside root; must fail and say so. */
static void
refused(const char *root, const char *name, const char *value,
    const char *want)
{
	struct pl_settings s = { 0 };
	struct pl_err err;
	void *self;

	pl_err_clear(&err);
	if (root != NULL)
		pl_settings_add(&s, "root", &root, 1);
	if (name != NULL)
		pl_settings_add(&s, name, &value, 1);
	assert_int_equal(pl_provider_file.open(&self, &s, &err), PL_EINVAL);
	assert_null(self);
	if (strncmp(err.text, want, strlen(want)) != 0)
		fail_msg("expected: %s\ntold: %s", want, err.text);
	pl_settings_clear(&s);
}

static void
opening(void **state)
{
	const char *root = *state;
	char path[512];

	refused(NULL, NULL, NULL, "root: an absolute path");
	refused("srv/www", NULL, NULL, "root: an absolute path");
	scratch_path(path, sizeof(path), state, "none");
	refused(path, NULL, NULL, "root: /");
	scratch_path(path, sizeof(path), state, "file");
	scratch_write(path, "", 0, 0644);
	refused(path, NULL, NULL, "root: /");
	refused(root, "owner", "no-such-user-here", "owner: there is no");
	refused(root, "group", "no-such-group-here", "group: there is no");
	refused(root, "owner", "-1", "owner: there is no");
}

static void
modes(void **state)
{
	static const struct {
		const char *mode;
		bool fine;
	} cases[] = {
		{ "0644", true }, { "644", true }, { "0400", true },
		{ "0777", true }, { "640", true }, { "0", false },
		{ "0044", false }, { "01644", false }, { "4644", false },
		{ "00644", false }, { "rw-", false }, { "0o644", false },
		{ "888", false }, { "", false }, { "-644", false },
		{ "644 ", false },
	};
	struct pl_settings s;
	struct pl_err err;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		memset(&s, 0, sizeof(s));
		pl_settings_add(&s, "mode", &cases[i].mode, 1);
		if ((pl_desc_file.check(&s, &err) == PL_OK) != cases[i].fine)
			fail_msg("mode %s", cases[i].mode);
		pl_settings_clear(&s);
		if (!cases[i].fine)
			refused(*state, "mode", cases[i].mode, "mode: ");
	}
}

/* What a tenant may do to the tree below the root. */
static void
links_in_the_way(void **state)
{
	struct pl_change c = { .op = PL_ADD, .kind = PL_FILE,
		.name = "/.well-known/acme-challenge/a", .value = "a",
		.value_len = 1 };
	struct pl_outcome out = { .code = PL_EUNDONE };
	struct pl_call call = { .deadline = INT64_MAX };
	struct pl_settings s = { 0 };
	struct pl_err err;
	char root[512], path[512], outside[512];
	const char *p;
	void *self;

	p = scratch_path(root, sizeof(root), state, "root");
	assert_int_equal(mkdir(root, 0755), 0);
	scratch_path(outside, sizeof(outside), state, "outside");
	assert_int_equal(mkdir(outside, 0755), 0);
	scratch_path(path, sizeof(path), state, "root/.well-known");
	assert_int_equal(symlink(outside, path), 0);
	pl_settings_add(&s, "root", &p, 1);
	assert_int_equal(pl_provider_file.open(&self, &s, &err), PL_OK);
	assert_int_equal(pl_provider_file.apply(self, &call, "local", &c,
	    &out, 1, &err), PL_EREMOTE);
	assert_non_null(strstr(err.text, "link"));
	assert_non_null(strstr(out.text, "link"));
	assert_int_equal(scratch_count(outside), 0);
	pl_provider_file.close(self);
	pl_settings_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(modes),
		cmocka_unit_test(links_in_the_way),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
