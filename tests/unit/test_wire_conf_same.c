/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Our reader against libconfuse itself: thousands of files from a small
 * grammar, whole and with one octet changed.  What we take without a fault,
 * the library must take too, and both must have understood the same.
 * (Where we refuse, the library may be content: it drops odd characters and
 * lets the last of several values win.  Comments stand between items, and
 * not in torn files, because the library refuses them elsewhere.)
 */
#include "scratch.h"
#include "wire.h"

#include <confuse.h>

#define CASES 4000

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
	{ .name = NULL }
};

/* ---- the grammar --------------------------------------------------------- */

struct maker {
	struct pl_buf text;
	uint64_t seed;
	unsigned titles;
	bool torn;		/* to be torn: no comments */
};

static unsigned
pick(struct maker *m, unsigned below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(m->seed >> 33) % below;
}

static void
one_of(struct maker *m, const char *const *words, size_t n)
{
	pl_buf_adds(&m->text, words[pick(m, (unsigned)n)]);
}
#define ONE_OF(m, words) one_of(m, words, PL_NELEM(words))

static void
blank(struct maker *m)
{
	static const char *const words[] = { " ", "\n", "\t", "  ", "\r\n" };

	ONE_OF(m, words);
}

static void
comment(struct maker *m)
{
	static const char *const words[] = { "\n# it's {\n", " // \"x\n",
		" /* a = b\n } */", "\n##\n", " /**/ ", "\n", "\n" };

	if (m->torn)
		blank(m);
	else
		ONE_OF(m, words);
}

static void
word(struct maker *m)
{
	static const char *const words[] = { "a", "b-c", "1.2.3.4", "\"\"",
		"\"two words\"", "'it\\'s'", "'\\n\\\\'",
		"\"\\n\\t\\e\\x41\\101\\q\\\"\"", "\"${PLACARD_TEST}\"",
		"\"${PLACARD_NONE:-x y}\"", "${PLACARD_TEST}",
		"${PLACARD_NONE:-d}", "\"line\nnext \"", "\"go \\\non\"",
		"'go \\\non'", "\xc3\xa4;:@!$%&[]<>|^`~?", "\"'{}=,()\"",
		"'${PLACARD_TEST}'", "\"$x\"",
		/* from here on with signs of comments */
		"http://h:1/p//q", "\"# /* // */ \"", "/", "/etc/x" };

	if (m->torn) {
		one_of(m, words, PL_NELEM(words) - 4);
		return;
	}
	ONE_OF(m, words);
}

static void
list(struct maker *m, const char *key)
{
	unsigned n = pick(m, 4);

	pl_buf_addf(&m->text, "%s%s", key, pick(m, 3) == 0 ? " +=" : " =");
	if (n == 3) {
		blank(m);
		word(m);
		return;
	}
	pl_buf_adds(&m->text, pick(m, 2) ? "{" : " {\n");
	for (; n > 0; n--) {
		blank(m);
		word(m);
		if (pick(m, 2))
			blank(m);
		if (n > 1 || pick(m, 4) == 0)
			pl_buf_addc(&m->text, ',');
	}
	pl_buf_adds(&m->text, " }");
}

static void
scalar(struct maker *m, const char *key)
{
	pl_buf_addf(&m->text, "%s", key);
	if (pick(m, 2))
		blank(m);
	pl_buf_addc(&m->text, '=');
	if (pick(m, 2))
		blank(m);
}

static void
items(struct maker *m)
{
	static const char *const numbers[] = { "0", "12", "-7", "0x1F", "010",
		"\"5\"", "2147483648" };
	static const char *const flags[] = { "yes", "no", "On", "OFF", "true",
		"'false'" };
	unsigned which = pick(m, 16);

	comment(m);
	if (which & 1) {
		scalar(m, "word");
		word(m);
		comment(m);
	}
	if (which & 2) {
		scalar(m, "number");
		ONE_OF(m, numbers);
		comment(m);
	}
	if (which & 4) {
		scalar(m, "flag");
		ONE_OF(m, flags);
		comment(m);
	}
	if (which & 8) {
		list(m, "words");
		comment(m);
	}
	blank(m);
}

static void
file(struct maker *m)
{
	unsigned n;

	comment(m);
	if (pick(m, 2)) {
		scalar(m, "top");
		word(m);
		comment(m);
	}
	blank(m);
	for (n = pick(m, 3); n > 0; n--) {
		pl_buf_addf(&m->text, pick(m, 2) ? "named \"t %u\"{" :
		    "named t%u {", m->titles++);
		items(m);
		pl_buf_addc(&m->text, '}');
		comment(m);
	}
	if (pick(m, 2)) {
		list(m, "list");
		comment(m);
	}
	if (pick(m, 2)) {
		pl_buf_adds(&m->text, " plain{");
		items(m);
		pl_buf_addc(&m->text, '}');
	}
	comment(m);
}

/* ---- the comparison ------------------------------------------------------ */

static void
quiet(cfg_t *cfg PL_UNUSED, const char *fmt PL_UNUSED, va_list ap PL_UNUSED)
{
}

/* Compares one option of the library's with ours. */
static void
same_value(cfg_t *cfg, const struct pl_conf_section *s, const char *key,
    enum pl_conf_type type)
{
	const struct pl_conf_value *v = pl_conf_value(s, key);
	cfg_opt_t *opt = cfg_getopt(cfg, key);
	unsigned i;

	assert_int_equal(cfg_opt_size(opt), v == NULL ? 0 : v->n);
	for (i = 0; v != NULL && i < v->n; i++)
		if (type == PL_CONF_INT)
			assert_int_equal(cfg_opt_getnint(opt, i),
			    strtol(v->text[i], NULL, 10));
		else if (type == PL_CONF_BOOL)
			assert_int_equal(cfg_opt_getnbool(opt, i),
			    strcmp(v->text[i], "true") == 0);
		else
			assert_string_equal(cfg_opt_getnstr(opt, i),
			    v->text[i]);
}

static void
same_section(cfg_t *cfg, const struct pl_conf_section *s)
{
	size_t i;

	for (i = 0; inner[i].name != NULL; i++)
		same_value(cfg, s, inner[i].name, inner[i].type);
}

static void
same_tree(cfg_t *cfg, const struct pl_conf_section *root)
{
	const struct pl_conf_section *s;
	unsigned named = 0, plain = 0;

	same_value(cfg, root, "top", PL_CONF_STR);
	same_value(cfg, root, "list", PL_CONF_LIST);
	for (s = root->sections; s < root->sections + root->nsections; s++)
		if (s->title == NULL) {
			plain++;
			same_section(cfg_getsec(cfg, "plain"), s);
		} else {
			cfg_t *sec = cfg_getnsec(cfg, "named", named++);

			assert_string_equal(cfg_title(sec), s->title);
			same_section(sec, s);
		}
	assert_int_equal(cfg_size(cfg, "named"), named);
	assert_true(plain <= 1);
}

static void
compare(const char *path, const char *text, bool whole, unsigned *taken)
{
	cfg_opt_t sub[] = { CFG_STR("word", NULL, CFGF_NODEFAULT),
		CFG_INT("number", 0, CFGF_NODEFAULT),
		CFG_BOOL("flag", cfg_false, CFGF_NODEFAULT),
		CFG_STR_LIST("words", NULL, CFGF_NODEFAULT), CFG_END() };
	cfg_opt_t opts[] = { CFG_STR("top", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("list", NULL, CFGF_NODEFAULT),
		CFG_SEC("named", sub, CFGF_TITLE | CFGF_MULTI),
		CFG_SEC("plain", sub, CFGF_NONE), CFG_END() };
	struct pl_conf_section *root;
	struct pl_faults faults;
	cfg_t *cfg;

	pl_faults_init(&faults);
	scratch_write(path, text, strlen(text), 0600);
	assert_int_equal(pl_conf_read(&root, path, spec, &faults, NULL),
	    PL_OK);
	if (whole && faults.n > 0)
		fail_msg("%s\n%s", text, faults.text.data);
	if (faults.n == 0) {
		(*taken)++;
		cfg = cfg_init(opts, CFGF_NONE);
		cfg_set_error_function(cfg, quiet);
		if (cfg_parse(cfg, path) != CFG_SUCCESS)
			fail_msg("libconfuse refuses: %s", text);
		same_tree(cfg, root);
		cfg_free(cfg);
	}
	pl_conf_free(root);
	pl_faults_clear(&faults);
}

static void
same_as_libconfuse(void **state)
{
	static const char odd[] = "ab1\"'{}=, \n\\$-";
	struct maker m = { .seed = 20261121 };
	unsigned i, whole = 0, torn = 0;
	char path[512];
	size_t at;

	assert_int_equal(setenv("PLACARD_TEST", "set it", 1), 0);
	assert_int_equal(unsetenv("PLACARD_NONE"), 0);
	scratch_path(path, sizeof(path), state, "same.conf");
	pl_buf_init(&m.text, PL_LIM_CONFIG);
	for (i = 0; i < CASES; i++) {
		m.torn = false;
		pl_buf_reset(&m.text);
		file(&m);
		compare(path, m.text.data, true, &whole);
		m.torn = true;
		pl_buf_reset(&m.text);
		file(&m);
		at = pick(&m, (unsigned)m.text.len);
		m.text.data[at] = odd[pick(&m, sizeof(odd) - 1)];
		compare(path, m.text.data, false, &torn);
	}
	pl_buf_clear(&m.text);
	assert_int_equal(whole, CASES);
	assert_true(torn > CASES / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_libconfuse),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
