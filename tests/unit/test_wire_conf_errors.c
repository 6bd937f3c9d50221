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
	{ .name = "named", .type = PL_CONF_SECTION, .titled = true,
	    .inside = inner },
	{ .name = "plain", .type = PL_CONF_SECTION, .inside = inner },
	{ .name = "free", .type = PL_CONF_SECTION, .titled = true },
	{ .name = NULL }
};

/* Reads a text; gives its tree, and its faults without the file's name. */
static struct pl_conf_section *
read_text(void **state, const char *text, struct pl_buf *told)
{
	struct pl_conf_section *root;
	struct pl_faults faults;
	const char *p, *end;
	char path[512];
	size_t len;

	pl_faults_init(&faults);
	len = strlen(scratch_path(path, sizeof(path), state, "bad.conf"));
	unlink(path);
	scratch_write(path, text, strlen(text), 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, NULL),
	    PL_OK);
	for (p = faults.text.data; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
		assert_int_equal(strncmp(p, path, len), 0);
		pl_buf_add(told, p + len + 1, (size_t)(end - p) - len);
	}
	pl_faults_clear(&faults);
	return root;
}

static void
every_fault_is_told(void **state)
{
	/* Each text has exactly these faults: "LINE: start of the text". */
	static const struct {
		const char *text;
		const char *want[4];
	} cases[] = {
		{ "tpo = x", { "1: tpo: unknown key; did you mean \"top\"?" } },
		{ "\n\ncolour = x", { "3: colour: unknown key; known here: "
		    "top" } },
		{ "nemed a { x = 1 }\ntpo = x", {
		    "1: nemed: unknown section; did you mean \"named\"?",
		    "2: tpo: " } },
		{ "plain { wrod = 1\nnumbr = 2 }", { "1: wrod: ",
		    "2: numbr: " } },
		{ "top = a\ntop = b", { "2: top: given twice; first in " } },
		{ "top += a", { "1: top: one value is expected" } },
		{ "free x { a = 1 a = 2 }", { "1: a: given twice" } },
		{ "top = { a }", { "1: top: one value is expected" } },
		{ "plain { number = 5x number2 = 5 }", { "1: number: a whole",
		    "1: number2: unknown key" } },
		{ "plain { number = 99999999999999999999 }",
		    { "1: number: a whole number is expected" } },
		{ "plain { flag = maybe }", { "1: flag: true or false" } },
		{ "top x\ntop = y", { "1: top: an equals sign is missing" } },
		{ "top =\ntpo = y", { "1: top: a value is missing",
		    "2: tpo: " } },
		{ "top =\nplain { }", { "1: top: a value is missing" } },
		{ "top =", { "1: top: a value is missing" } },
		{ "plain { word = }\ntop = 1", { "1: word: a value is" } },
		{ "top = \"x\nplain { word = \"y\" flag = 7 }",
		    { "1: this string is not closed", "2: flag: " } },
		{ "top = 'x", { "1: this string is not closed: '" } },
		{ "top = 'x\\", { "1: this string is not closed: '" } },
		{ "top = \"", { "1: this string is not closed" } },
		{ "top = x /* y\n\n", { "1: this comment is not closed" } },
		{ "plain { word = 1\n", { "1: plain: this section is not "
		    "closed" } },
		{ "free a { x = 1\nfree b { flga = 1 }\nzzz = 1",
		    { "1: free: this section is not closed",
		    "3: zzz: unknown key" } },
		{ "}\ntpo = 1", { "1: a } without its {", "2: tpo: " } },
		{ "= 5\ntpo = 1", { "1: a key is expected here", "2: tpo: " } },
		{ "named { }", { "1: named: a name is missing" } },
		{ "plain x { }", { "1: plain: this section has no name" } },
		{ "named = 1", { "1: named: this is a section: write named "
		    "\"NAME\" { … }" } },
		{ "top { a, b }\ntpo = 1", { "1: top: this is no section",
		    "2: tpo: " } },
		{ "plain { words = { a, b\nword = c }", { "1: words: this "
		    "list is not closed" } },
		{ "plain { words = { a b, c } flga = 1 }", { "1: words: a "
		    "comma is missing", "1: flga: " } },
		{ "plain { words = { *.a,\nb }\nflga = 1 }", { "1: words: "
		    "write the value in quotes", "3: flga: " } },
		{ "plain { words = { = } }", { "1: words: this list is not "
		    "closed" } },
		{ "top = a*b\ntpo = 1", { "1: top: write the value in quotes",
		    "2: tpo: " } },
		{ "top = *", { "1: top: write the value in quotes" } },
		{ "top = \"a\"b", { "1: top: write the value in quotes" } },
		{ "top = \"\\400\" tpo = \"\\08\"", { "1: a backslash with",
		    "1: a backslash with", "1: tpo: " } },
		{ "top = \"\\x0\"", { "1: a string cannot hold" } },
		{ "include = x", { "1: write include(\"FILE\")" } },
		{ "include \"x\"", { "1: include: write include(\"FILE\")" } },
		{ "includes(\"x\")\ntpo = 1", { "1: only include(\"FILE\")",
		    "2: tpo: " } },
		{ "include(\"a\", \"b\")", { "1: only include(\"FILE\")" } },
		{ "include()", { "1: only include(\"FILE\")" } },
		{ "include(\"nothing\")\ntpo = 1", { "1: include: ",
		    "2: tpo: " } },
		{ "include(\".\")", { "1: include: " } },
		{ "include(\"bad.conf\")", { "1: include: " } },
	};
	struct pl_conf_section *root;
	struct pl_buf told;
	const char *p;
	size_t i, k;

	for (i = 0; i < PL_NELEM(cases); i++) {
		pl_buf_init(&told, PL_LIM_FRAME);
		root = read_text(state, cases[i].text, &told);
		p = told.data;
		for (k = 0; k < 4 && cases[i].want[k] != NULL; k++) {
			if (strncmp(p, cases[i].want[k],
			    strlen(cases[i].want[k])) != 0)
				fail_msg("%s\nexpected: %s\ntold: %s",
				    cases[i].text, cases[i].want[k], p);
			p = strchr(p, '\n') + 1;
		}
		if (*p != '\0')
			fail_msg("%s\ntold besides: %s", cases[i].text, p);
		pl_conf_free(root);
		pl_buf_clear(&told);
	}
}

/* What is not the value's fault must not cost the values behind it. */
static void
reading_goes_on(void **state)
{
	struct pl_conf_section *root;
	struct pl_buf told;

	pl_buf_init(&told, PL_LIM_FRAME);
	root = read_text(state,
	    "named a { word \"x\"\n number = 7 }\n"
	    "named b { words = { x, y\n number = 8 }\n"
	    "unknown { a { } b = { } }\n"
	    "free c { text = \"open\n number = 9\n }\n"
	    "top = end\n", &told);
	assert_int_equal(root->nsections, 3);
	assert_string_equal(pl_conf_value(&root->sections[0],
	    "number")->text[0], "7");
	assert_string_equal(pl_conf_value(&root->sections[1],
	    "number")->text[0], "8");
	assert_string_equal(pl_conf_value(&root->sections[2],
	    "text")->text[0], "open");
	assert_string_equal(pl_conf_value(&root->sections[2],
	    "number")->text[0], "9");
	assert_string_equal(pl_conf_value(root, "top")->text[0], "end");
	pl_conf_free(root);
	pl_buf_clear(&told);
}

/* Pieces of a secret that was not quoted must not be repeated. */
static void
values_are_not_shown(void **state)
{
	static const char *const texts[] = {
		"free x { key-secret = Q2FuYXJ5+Q2FuYXJ5== }",
		"free x { key-secret = Q2FuYXJ5/+Q2FuYXJ5\n}",
		"free x { key-secret = Q2FuYXJ5=\n}",
		"free x { key-secret = +Q2FuYXJ5\n}",
		"free x { key-secret = \"Q2FuYXJ5\n}",
		"free x { key-secret = \"Q2FuYXJ5\"Q2FuYXJ5\n}",
		"free x { key-secret Q2FuYXJ5\n}",
		"free x { key-secret \"Q2FuYXJ5\"\n}",
		"free x { key-secret = { Q2FuYXJ5 Q2FuYXJ5\n}",
		"free x { key-secret = \"\\999Q2FuYXJ5\"\n}",
		"plain { number = Q2FuYXJ5 flag = Q2FuYXJ5 }",
		"\"Q2FuYXJ5 \" = x",
	};
	struct pl_conf_section *root;
	struct pl_buf told;
	size_t i;

	for (i = 0; i < PL_NELEM(texts); i++) {
		pl_buf_init(&told, PL_LIM_FRAME);
		root = read_text(state, texts[i], &told);
		assert_true(told.len > 0);
		assert_null(strstr(told.data, "Q2FuYXJ5"));
		pl_conf_free(root);
		pl_buf_clear(&told);
	}
}

static void
unreadable(void **state)
{
	struct pl_conf_section *root;
	struct pl_faults faults;
	struct pl_err err;
	char path[512], *big;

	pl_faults_init(&faults);
	scratch_path(path, sizeof(path), state, "not-there");
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, &err),
	    PL_EINVAL);
	assert_null(root);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(pl_conf_read(&root, *state, spec, &faults, &err),
	    PL_EINVAL);
	scratch_write(path, "top = a\0b", 9, 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "text file"));
	big = pl_alloc(PL_LIM_CONFIG + 1);
	memset(big, '\n', PL_LIM_CONFIG + 1);
	scratch_write(path, big, PL_LIM_CONFIG + 1, 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, &err),
	    PL_EINVAL);
	assert_non_null(strstr(err.text, "larger"));
	scratch_write(path, big, PL_LIM_CONFIG, 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, &err),
	    PL_OK);
	assert_int_equal(faults.n, 0);
	pl_conf_free(root);
	free(big);
	pl_faults_clear(&faults);
}

static void
who_may_write(void **state)
{
	struct pl_conf_section *root;
	struct pl_faults faults;
	char dir[512], path[600];
	static const struct {
		mode_t dir, file;
		size_t faults;
	} cases[] = { { 0755, 0644, 0 }, { 0755, 0664, 1 }, { 0755, 0646, 1 },
		{ 0775, 0644, 1 }, { 0777, 0666, 2 }, { 01777, 0644, 0 } };
	size_t i;

	scratch_path(dir, sizeof(dir), state, "rights");
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/x.conf", dir);
	for (i = 0; i < PL_NELEM(cases); i++) {
		pl_faults_init(&faults);
		scratch_write(path, "top = x", 7, cases[i].file);
		assert_int_equal(chmod(dir, cases[i].dir), 0);
		assert_int_equal(pl_conf_read(&root, path, spec, &faults,
		    NULL), PL_OK);
		assert_int_equal(faults.n, cases[i].faults);
		assert_int_equal(strstr(faults.text.data, "chmod go-w") !=
		    NULL, cases[i].faults > 0);
		pl_conf_free(root);
		pl_faults_clear(&faults);
	}
}

/* A file that includes itself twice would be read 2^10 times. */
static void
include_bombs(void **state)
{
	struct pl_conf_section *root;
	struct pl_buf told;

	pl_buf_init(&told, PL_LIM_FRAME);
	root = read_text(state, "include(\"bad.conf\")\n"
	    "include(\"bad.conf\")\n", &told);
	assert_non_null(strstr(told.data, "nests deeper than"));
	pl_conf_free(root);
	pl_buf_clear(&told);
}

static void
too_many_files(void **state)
{
	struct pl_conf_section *root;
	struct pl_buf told;
	char path[512];
	int i;

	pl_buf_init(&told, PL_LIM_FRAME);
	scratch_path(path, sizeof(path), state, "many");
	assert_int_equal(mkdir(path, 0700), 0);
	for (i = 0; i < 260; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%03d", i);
		scratch_path(path, sizeof(path), state, name);
		scratch_write(path, "", 0, 0600);
	}
	root = read_text(state, "include(\"many/*\")\n", &told);
	assert_non_null(strstr(told.data, "many/255: more than 256 files"));
	pl_conf_free(root);
	pl_buf_clear(&told);
}

/* Thousands of faults end in a bounded text. */
static void
many_faults(void **state)
{
	struct pl_conf_section *root;
	struct pl_buf text, told;
	size_t i, lines = 0;

	pl_buf_init(&text, PL_LIM_CONFIG);
	pl_buf_init(&told, PL_LIM_FRAME);
	for (i = 0; i < 5000; i++)
		pl_buf_addf(&text, "wrong%zu = x\n", i);
	root = read_text(state, text.data, &told);
	for (i = 0; i < told.len; i++)
		lines += told.data[i] == '\n';
	assert_int_equal(lines, 200);
	pl_conf_free(root);
	pl_buf_clear(&told);
	pl_buf_clear(&text);
}

/* Any prefix of a good file, and any octet of it changed: no crash. */
static void
torn_files(void **state)
{
	static const char text[] = "top = \"a\\x41\" # c\nnamed 'x' { word = "
	    "b words += { \"c\", d } }\n/* e */ plain { flag = yes }\n"
	    "free y { z = ${PLACARD_UNSET:-q} }\ninclude(\"none\")\n";
	static const char odd[] = "\"'{}()=+,#/*\\$\n\x01\xff";
	struct pl_conf_section *root;
	struct pl_buf told;
	char copy[sizeof(text)];
	size_t i, k;

	for (i = 0; i < sizeof(text) - 1; i++)
		for (k = 0; k < sizeof(odd); k++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = odd[k];
			pl_buf_init(&told, PL_LIM_FRAME);
			root = read_text(state, copy, &told);
			pl_conf_free(root);
			pl_buf_clear(&told);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_is_told),
		cmocka_unit_test(reading_goes_on),
		cmocka_unit_test(values_are_not_shown),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(who_may_write),
		cmocka_unit_test(include_bombs),
		cmocka_unit_test(too_many_files),
		cmocka_unit_test(many_faults),
		cmocka_unit_test(torn_files),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
