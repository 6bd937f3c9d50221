/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"
#include "wire.h"

static const struct pl_conf_spec inner[] = {
	{ .name = "word", .type = PL_CONF_STR },
	{ .name = "number", .type = PL_CONF_INT },
	{ .name = "flag", .type = PL_CONF_BOOL },
	{ .name = "words", .type = PL_CONF_LIST },
	{ .name = NULL }
};
static const struct pl_conf_spec spec[] = {
	{ .name = "top", .type = PL_CONF_STR },
	{ .name = "list", .type = PL_CONF_LIST },
	{ .name = "named", .type = PL_CONF_SECTION, .titled = true,
	    .inside = inner },
	{ .name = "plain", .type = PL_CONF_SECTION, .inside = inner },
	{ .name = "free", .type = PL_CONF_SECTION, .titled = true },
	{ .name = NULL }
};

/* Reads text as a file that must be in order. */
static struct pl_conf_section *
read_text(void **state, const char *text)
{
	struct pl_conf_section *root;
	struct pl_faults faults;
	struct pl_err err;
	char path[512];

	pl_err_clear(&err);
	pl_faults_init(&faults);
	scratch_path(path, sizeof(path), state, "test.conf");
	scratch_write(path, text, strlen(text), 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, &err),
	    PL_OK);
	assert_string_equal(faults.text.data, "");
	assert_int_equal(faults.n, 0);
	pl_faults_clear(&faults);
	return root;
}

static const char *
text_of(const struct pl_conf_section *s, const char *key)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);

	assert_non_null(v);
	assert_int_equal(v->n, 1);
	return v->text[0];
}

static void
words(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "top = bare", "bare" },
		{ "top=http://host:8/a//b?c", "http://host:8/a//b?c" },
		{ "top = \"two words\" # and more", "two words" },
		{ "top = 'a\"b'", "a\"b" },
		{ "top = \"a'b\"", "a'b" },
		{ "top = \"\"", "" },
		{ "top = \"# // /* no comment */\"", "# // /* no comment */" },
		{ "top = \"\\n\\r\\b\\f\\a\\e\\t\\v\\q\\\"\\\\\"",
		    "\n\r\b\f\a\033\t\vq\"\\" },
		{ "top = \"\\101\\x42\\x4a\\xag\\7\"", "ABJ\ng\a" },
		{ "top = 'it\\'s \\\\ \\n'", "it's \\ \\n" },
		{ "top = \"one \\\ntwo\"", "one two" },
		{ "top = 'one \\\ntwo'", "one two" },
		{ "top = \"one\ntwo\"", "one\ntwo" },
		{ "/* x\ny */ top // z\n = /**/ v\n// end", "v" },
		{ "\"top\" = v", "v" },
		{ "\xef\xbb\xbftop = v\r\n", "v" },
		{ "top = \"${PLACARD_TEST}/x\"", "set/x" },
		{ "top = ${PLACARD_TEST}", "set" },
		{ "top = '${PLACARD_TEST}'", "${PLACARD_TEST}" },
		{ "top = \"${PLACARD_TEST:-no}\"", "set" },
		{ "top = \"${PLACARD_UNSET:-a b}\"", "a b" },
		{ "top = ${PLACARD_UNSET:-a b}", "a b" },
		{ "top = \"a${PLACARD_UNSET}b\"", "ab" },
		{ "top = \"a${b\"", "a${b" },
		{ "top = \"\xc3\xa4\"", "\xc3\xa4" },
	};
	struct pl_conf_section *root;
	size_t i;

	assert_int_equal(setenv("PLACARD_TEST", "set", 1), 0);
	assert_int_equal(unsetenv("PLACARD_UNSET"), 0);
	for (i = 0; i < PL_NELEM(cases); i++) {
		root = read_text(state, cases[i].text);
		assert_string_equal(text_of(root, "top"), cases[i].want);
		pl_conf_free(root);
	}
}

static void
lists(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *want[3];
		bool list;
	} cases[] = {
		{ "list = { a, \"b\", 'c' }", 3, { "a", "b", "c" }, true },
		{ "list = {a,b,}", 2, { "a", "b" }, true },
		{ "list = {\n# x\na\n,\nb }", 2, { "a", "b" }, true },
		{ "list = { }", 0, { NULL }, true },
		{ "list = a", 1, { "a" }, false },
		{ "list += a", 1, { "a" }, true },
		{ "list = a list += { b, c }", 3, { "a", "b", "c" }, true },
	};
	const struct pl_conf_value *v;
	struct pl_conf_section *root;
	size_t i, k;

	for (i = 0; i < PL_NELEM(cases); i++) {
		root = read_text(state, cases[i].text);
		v = pl_conf_value(root, "list");
		assert_non_null(v);
		assert_int_equal(v->n, cases[i].n);
		assert_int_equal(v->list, cases[i].list);
		for (k = 0; k < v->n; k++)
			assert_string_equal(v->text[k], cases[i].want[k]);
		pl_conf_free(root);
	}
}

static void
types(void **state)
{
	static const struct {
		const char *text, *key, *want;
	} cases[] = {
		{ "number = 12", "number", "12" },
		{ "number = -3", "number", "-3" },
		{ "number = 0x10", "number", "16" },
		{ "number = \"010\"", "number", "8" },
		{ "flag = yes", "flag", "true" },
		{ "flag = On", "flag", "true" },
		{ "flag = TRUE", "flag", "true" },
		{ "flag = no", "flag", "false" },
		{ "flag = off", "flag", "false" },
		{ "flag = \"false\"", "flag", "false" },
		{ "word = 12", "word", "12" },
	};
	struct pl_conf_section *root;
	char text[128];
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		snprintf(text, sizeof(text), "plain { %s }", cases[i].text);
		root = read_text(state, text);
		assert_int_equal(root->nsections, 1);
		assert_string_equal(text_of(root->sections, cases[i].key),
		    cases[i].want);
		pl_conf_free(root);
	}
}

static void
sections_and_lines(void **state)
{
	struct pl_conf_section *root = read_text(state,
	    "# one\n"
	    "/* two\n"
	    "three */ top = x\n"
	    "named \"a\"\n"
	    "{\n"
	    "  word = 1 }\n"
	    "plain { word = 2 }\n"
	    "named b { words = {\n"
	    " x,\n"
	    " y } word = \"3\n"
	    "\" flag = on\n"
	    "}\n"
	    "plain { flag = no }\n"
	    "free 'c' { any = 1 other = { 2, 3 } }\n");
	const struct pl_conf_section *s = root->sections;

	assert_string_equal(root->type, "");
	assert_int_equal(pl_conf_value(root, "top")->line, 3);
	assert_int_equal(root->nsections, 4);
	assert_string_equal(s[0].type, "named");
	assert_string_equal(s[0].title, "a");
	assert_int_equal(s[0].line, 4);
	assert_int_equal(pl_conf_value(&s[0], "word")->line, 6);
	assert_string_equal(s[1].type, "plain");
	assert_null(s[1].title);
	assert_int_equal(s[1].nvalues, 2);
	assert_int_equal(pl_conf_value(&s[1], "flag")->line, 13);
	assert_string_equal(s[2].title, "b");
	assert_int_equal(pl_conf_value(&s[2], "word")->line, 10);
	assert_int_equal(pl_conf_value(&s[2], "flag")->line, 11);
	assert_string_equal(s[3].title, "c");
	assert_false(pl_conf_value(&s[3], "any")->list);
	assert_true(pl_conf_value(&s[3], "other")->list);
	assert_null(pl_conf_value(&s[3], "none"));
	pl_conf_free(root);
}

static void
put(void **state, const char *name, const char *text)
{
	char path[512];

	scratch_path(path, sizeof(path), state, name);
	scratch_write(path, text, strlen(text), 0600);
}

static void
includes(void **state)
{
	struct pl_conf_section *root;
	char path[512];

	scratch_path(path, sizeof(path), state, "conf.d");
	assert_int_equal(mkdir(path, 0700), 0);
	put(state, "conf.d/20-b.conf", "named b { }\n");
	put(state, "conf.d/10-a.conf", "# x\nnamed a { word = in }");
	put(state, "conf.d/ignored", "!");
	put(state, "conf.d/deeper", "include(\"20-b.conf\")");
	put(state, "part", "word = included flag = on");
	root = read_text(state,
	    "include(\"conf.d/*.conf\")\n"
	    "include('conf.d/deeper')\n"
	    "include(\"none/*.conf\") include(\"conf.d/*.none\")\n"
	    "plain { include(part) number = 1 }\n"
	    "top = behind\n");
	assert_int_equal(root->nsections, 4);
	assert_string_equal(root->sections[0].title, "a");
	assert_int_equal(root->sections[0].line, 2);
	scratch_path(path, sizeof(path), state, "conf.d/10-a.conf");
	assert_string_equal(root->sections[0].file, path);
	assert_string_equal(root->sections[1].title, "b");
	assert_string_equal(root->sections[2].title, "b");
	assert_string_equal(text_of(&root->sections[3], "word"), "included");
	assert_string_equal(text_of(&root->sections[3], "number"), "1");
	assert_int_equal(pl_conf_value(&root->sections[3], "number")->line,
	    4);
	assert_string_equal(text_of(root, "top"), "behind");
	pl_conf_free(root);
}

static void
who_may_read(void **state)
{
	static const struct {
		mode_t mode;
		bool shared;
	} cases[] = { { 0600, false }, { 0400, false }, { 0640, true },
		{ 0644, true }, { 0604, true } };
	struct pl_conf_section *root;
	struct pl_faults faults;
	char path[512];
	size_t i;

	scratch_path(path, sizeof(path), state, "mode.conf");
	for (i = 0; i < PL_NELEM(cases); i++) {
		pl_faults_init(&faults);
		unlink(path);
		scratch_write(path, "top = x", 7, cases[i].mode);
		assert_int_equal(pl_conf_read(&root, path, spec, &faults,
		    NULL), PL_OK);
		assert_int_equal(faults.n, 0);
		assert_int_equal(pl_conf_value(root, "top")->shared,
		    cases[i].shared);
		pl_conf_free(root);
		pl_faults_clear(&faults);
	}
}

static void
nearest(void **state PL_UNUSED)
{
	static const char *const list[] = { "timeout", "servers", "key-name",
		"key-secret", "key-secret-file", "ttl", NULL };
	static const struct {
		const char *word, *want;
	} cases[] = {
		{ "timout", "timeout" }, { "timeuot", "timeout" },
		{ "server", "servers" }, { "sevrers", "servers" },
		{ "tttl", "ttl" }, { "tlt", "ttl" },
		{ "key-secert-file", "key-secret-file" },
		{ "secret", "key-secret" }, { "keyname", "key-name" },
		{ "colour", NULL }, { "x", NULL }, { "", NULL },
	};
	const char *got;
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		got = pl_nearest(cases[i].word, list);
		assert_true(pl_streq(got, cases[i].want));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(lists),
		cmocka_unit_test(types),
		cmocka_unit_test(sections_and_lines),
		cmocka_unit_test(includes),
		cmocka_unit_test(who_may_read),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
