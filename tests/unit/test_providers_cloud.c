/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The providers with an HTTP API, called directly as a worker does, against
 * the fakes of tests/fakes.
 */
#include "scratch.h"
#include "providers.h"

#include <signal.h>
#include <sys/wait.h>

#define NAME "_acme-challenge.example.com"
#define STRANGER "stranger-value-of-another-client"

struct vendor {
	const struct pl_provider *p;
	const char *options[3];		/* of the fake's credentials */
	const char *secret;
};
static const struct vendor vendors[] = {
	{ &pl_provider_cloudflare, { "email", NULL }, "api-key" },
	{ &pl_provider_cloudns, { "auth-id", NULL }, "auth-password" },
	{ &pl_provider_godaddy, { "key", NULL }, "secret" },
};

struct bed {
	const struct vendor *v;
	struct pl_settings set;
	struct pl_call call;
	void *self;
	pid_t pid;
};

static json_t *
fake_start(struct bed *b)
{
	const char *src = getenv("srcdir");
	struct pl_buf text;
	struct pl_err err;
	char script[512], part[512];
	json_t *ready;
	ssize_t n;
	int out[2];

	snprintf(script, sizeof(script), "%s/tests/fakes",
	    src != NULL ? src : ".");
	assert_int_equal(pipe(out), 0);
	b->pid = fork();
	if (b->pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
		execl("/usr/bin/python3", "python3", script,
		    b->v->p->desc->name, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	pl_buf_init(&text, PL_LIM_BODY);
	while (strchr(text.data != NULL ? text.data : "", '\n') == NULL &&
	    (n = read(out[0], part, sizeof(part))) > 0)
		pl_buf_add(&text, part, (size_t)n);
	close(out[0]);
	assert_int_equal(pl_json_parse(&ready, text.data, text.len, "fake",
	    &err), PL_OK);
	pl_buf_clear(&text);
	return ready;
}

static void
setting(struct bed *b, const char *name, const char *value)
{
	pl_settings_add(&b->set, name, &value, 1);
}

static void
bed_open(struct bed *b, const struct vendor *v, const char *wrong)
{
	const json_t *c;
	const char *text;
	struct pl_err err;
	json_t *ready;

	*b = (struct bed){ .v = v };
	ready = fake_start(b);
	c = pl_json_get(ready, "credentials");
	b->set.account = pl_strdup("cloud");
	b->set.provider = pl_strdup(v->p->desc->name);
	setting(b, "endpoint", pl_json_str(pl_json_get(ready, "url")));
	setting(b, "ca-file", pl_json_str(pl_json_get(ready, "ca")));
	for (size_t i = 0; v->options[i] != NULL; i++)
		setting(b, v->options[i], pl_json_str(pl_json_get(c,
		    v->options[i])));
	text = wrong != NULL ? wrong : pl_json_str(pl_json_get(c, v->secret));
	pl_settings_add_secret(&b->set, v->secret, pl_secret_new(text,
	    strlen(text)));
	pl_json_free(ready);
	assert_int_equal(v->p->desc->check(&b->set, &err), PL_OK);
	assert_int_equal(v->p->open(&b->self, &b->set, &err), PL_OK);
	b->call.deadline = pl_mono_ms() + 30000;
}

static void
bed_close(struct bed *b)
{
	b->v->p->close(b->self);
	pl_settings_clear(&b->set);
	kill(b->pid, SIGTERM);
	waitpid(b->pid, NULL, 0);
}

static struct pl_change
change(enum pl_op op, const char *name, const char *value)
{
	return (struct pl_change){ .op = op, .kind = PL_TXT, .ttl = 600,
		.name = name, .value = value, .value_len = strlen(value) };
}

/* Applies to example.com; the outcomes stand in out. */
static enum pl_code
apply(struct bed *b, const struct pl_change *chg, struct pl_outcome *out,
    size_t n, struct pl_err *err)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (struct pl_outcome){ .code = PL_EUNDONE };
	return b->v->p->apply(b->self, &b->call, "example.com", chg, out, n,
	    err);
}

static enum pl_was
look(struct bed *b, const char *name, const char *value)
{
	struct pl_change c = change(PL_LOOK, name, value);
	struct pl_outcome out;
	struct pl_err err;

	assert_int_equal(apply(b, &c, &out, 1, &err), PL_OK);
	return out.was;
}

static void
test_scope(struct bed *b)
{
	static const char *const names[][2] = {
		{ NAME, "example.com" }, { "example.com", "example.com" },
		{ "_acme-challenge.child.example.com", "child.example.com" },
		{ "a.b.example.org", "example.org" },
	};
	char scope[PL_NAME_MAX];
	struct pl_err err;

	for (size_t i = 0; i < PL_NELEM(names); i++) {
		assert_int_equal(b->v->p->scope(b->self, &b->call,
		    names[i][0], scope, &err), PL_OK);
		assert_string_equal(scope, names[i][1]);
	}
	assert_int_equal(b->v->p->scope(b->self, &b->call,
	    "_acme-challenge.badexample.com", scope, &err), PL_ENOZONE);
}

static void
test_changes(struct bed *b)
{
	struct pl_change c[4] = { change(PL_ADD, NAME, "one"),
		change(PL_ADD, NAME, "two"), change(PL_ADD, NAME, "one"),
		change(PL_ADD, NAME, STRANGER) };
	struct pl_outcome out[4];
	struct pl_err err;

	/* Twice the same value is one value; what is there stays. */
	assert_int_equal(apply(b, c, out, 4, &err), PL_OK);
	assert_int_equal(out[0].was, PL_WAS_ABSENT);
	assert_int_equal(out[2].was, PL_WAS_ABSENT);
	assert_int_equal(out[3].was, PL_WAS_PRESENT);
	assert_string_equal(out[0].handle, out[2].handle);
	assert_int_equal(look(b, NAME, "one"), PL_WAS_PRESENT);
	assert_int_equal(look(b, NAME, "two"), PL_WAS_PRESENT);
	assert_int_equal(look(b, NAME, "on"), PL_WAS_ABSENT);
	/* Adds and deletes mixed, in their order; a wrong handle is a hint. */
	c[0] = change(PL_DEL, NAME, "one");
	c[0].handle = "no-such-id";
	c[1] = change(PL_ADD, NAME, "three");
	c[2] = change(PL_DEL, NAME, "three");
	c[3] = change(PL_DEL, "_acme-challenge.none.example.com", "gone");
	assert_int_equal(apply(b, c, out, 4, &err), PL_OK);
	assert_int_equal(look(b, NAME, "one"), PL_WAS_ABSENT);
	assert_int_equal(look(b, NAME, "three"), PL_WAS_ABSENT);
	assert_int_equal(look(b, NAME, "two"), PL_WAS_PRESENT);
	assert_int_equal(look(b, NAME, STRANGER), PL_WAS_PRESENT);
	c[0] = change(PL_DEL, NAME, "two");
	assert_int_equal(apply(b, c, out, 1, &err), PL_OK);
	assert_int_equal(look(b, NAME, "two"), PL_WAS_ABSENT);
}

static void
test_alias(struct bed *b)
{
	struct pl_change c[2] = { change(PL_ADD,
	    "_acme-challenge.aliased.example.com", "x"),
		change(PL_ADD, "_acme-challenge.fine.example.com", "y") };
	struct pl_outcome out[2];
	struct pl_err err;

	for (int op = PL_LOOK; op <= PL_ADD; op++) {
		c[0].op = c[1].op = (enum pl_op)op;
		assert_int_equal(apply(b, c, out, 2, &err), PL_ECONFLICT);
		assert_int_equal(out[0].code, PL_ECONFLICT);
		assert_string_equal(out[0].alias,
		    "_acme-challenge.example.net");
		assert_int_equal(out[1].code, PL_OK);
	}
	c[1].op = PL_DEL;
	assert_int_equal(apply(b, &c[1], out, 1, &err), PL_OK);
	/* A CNAME does not replace what is there. */
	c[0].kind = c[1].kind = PL_CNAME;
	c[0].value = c[1].value = "elsewhere.example.net";
	c[0].value_len = c[1].value_len = strlen(c[0].value);
	c[1].name = NAME;
	c[1].op = PL_ADD;
	assert_int_equal(apply(b, c, out, 2, &err), PL_EREMOTE);
	assert_int_equal(out[0].code, PL_EREMOTE);
	assert_int_equal(out[1].code, PL_EREMOTE);
}

static void
test_nothing(struct bed *b)
{
	struct pl_err err;

	assert_int_equal(apply(b, NULL, NULL, 0, &err), PL_OK);
	assert_int_equal(b->v->p->apply(b->self, &b->call, "", NULL, NULL, 0,
	    &err), PL_OK);
}

static void
test_vendor(void **state)
{
	struct bed b;

	bed_open(&b, *state, NULL);
	test_scope(&b);
	test_changes(&b);
	test_alias(&b);
	test_nothing(&b);
	bed_close(&b);
}

/* Without a deadline left nothing is sent and all is undone or unknown. */
static void
test_late(void **state)
{
	struct pl_change c = change(PL_ADD, NAME, "late");
	struct pl_outcome out;
	struct pl_err err;
	char scope[PL_NAME_MAX];
	struct bed b;

	bed_open(&b, *state, NULL);
	b.call.deadline = pl_mono_ms() - 1;
	assert_int_equal(b.v->p->scope(b.self, &b.call, NAME, scope, &err),
	    PL_ENET);
	assert_int_equal(apply(&b, &c, &out, 1, &err), PL_ENET);
	assert_true(out.code == PL_EUNDONE || out.code == PL_ENET);
	b.call.deadline = pl_mono_ms() + 30000;
	assert_int_equal(look(&b, NAME, "late"), PL_WAS_ABSENT);
	bed_close(&b);
}

static void
test_wrong_secret(void **state)
{
	struct pl_change c = change(PL_ADD, NAME, "x");
	char scope[PL_NAME_MAX];
	struct pl_outcome out;
	struct pl_err err;
	struct bed b;

	bed_open(&b, *state, "ffffffffffffffffffffffffffffffffffff0");
	assert_int_equal(b.v->p->scope(b.self, &b.call, NAME, scope, &err),
	    PL_EAUTH);
	assert_int_equal(apply(&b, &c, &out, 1, &err), PL_EAUTH);
	assert_null(strstr(err.text, "ffffffff"));
	bed_close(&b);
	/* A secret that would break out of its header goes nowhere. */
	bed_open(&b, *state, "a\r\nX-Injected: yes");
	assert_true(b.v->p->scope(b.self, &b.call, NAME, scope, &err) !=
	    PL_OK);
	bed_close(&b);
}

int
main(void)
{
	struct CMUnitTest tests[3 * PL_NELEM(vendors)];
	size_t n = 0;

	for (size_t i = 0; i < PL_NELEM(vendors); i++) {
		void *v = (void *)(uintptr_t)&vendors[i];

		tests[n++] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_vendor, v);
		tests[n++] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_late, v);
		tests[n++] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_wrong_secret, v);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
