/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Files of known hosts, and what servers say before the first key. */
#include "ssh-dial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Two made-up Ed25519 keys and one that calls itself RSA. */
#define ED1 "AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
#define ED2 "AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
#define RSA "AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="

static enum pl_known
ask(const char *text, const char *host, uint16_t port, const char *key,
    unsigned *line, struct pl_buf *types)
{
	struct pl_known_host h = { .host = host, .port = port };
	struct pl_buf blob;
	enum pl_known says;

	pl_buf_init(&blob, PL_LIM_LINE);
	assert_int_equal(pl_base64_decode(&blob, key, strlen(key), NULL),
	    PL_OK);
	h.key = blob.data;
	h.len = blob.len;
	says = pl_known_hosts(text, strlen(text), &h, line, types);
	pl_buf_clear(&blob);
	return says;
}

static void
expect(const char *text, const char *host, uint16_t port, enum pl_known says,
    unsigned line)
{
	unsigned at;

	assert_int_equal(ask(text, host, port, ED1, &at, NULL), says);
	assert_int_equal(at, line);
}

static void
names(void **state)
{
	(void)state;
	expect("web ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_SAME, 1);
	expect("web ssh-ed25519 " ED1, "web", 22, PL_KNOWN_SAME, 1);
	expect("WEB ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_SAME, 1);
	expect("web ssh-ed25519 " ED1 "\n", "web", 2222, PL_KNOWN_NOT, 0);
	expect("[web]:2222 ssh-ed25519 " ED1 " x\n", "web", 2222,
	    PL_KNOWN_SAME, 1);
	expect("a,web,b ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_SAME, 1);
	expect("w*,!web ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_NOT, 0);
	expect("*.ex.test ssh-ed25519 " ED1 "\n", "w.ex.test", 22,
	    PL_KNOWN_SAME, 1);
	expect("w?b ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_SAME, 1);
	expect("w?b ssh-ed25519 " ED1 "\n", "weeb", 22, PL_KNOWN_NOT, 0);
	expect("\twebsite ssh-ed25519 " ED1 "\n", "web", 22, PL_KNOWN_NOT, 0);
	expect(" web\tssh-ed25519\t" ED1 "\r\n", "web", 22, PL_KNOWN_SAME, 1);
}

static void
verdicts(void **state)
{
	(void)state;
	expect("", "web", 22, PL_KNOWN_NOT, 0);
	expect("\n# web\nweb ssh-ed25519 " ED2 "\n", "web", 22,
	    PL_KNOWN_OTHER, 3);
	/* Of another kind only: that says nothing of this one. */
	expect("web ssh-rsa " RSA "\n", "web", 22, PL_KNOWN_NOT, 0);
	expect("web ssh-ed25519 " ED2 "\nweb ssh-ed25519 " ED1 "\n", "web",
	    22, PL_KNOWN_SAME, 2);
	expect("web ssh-ed25519 " ED1 "\n@revoked * ssh-ed25519 " ED1 "\n",
	    "web", 22, PL_KNOWN_REVOKED, 2);
	expect("@revoked * ssh-ed25519 " ED1 "\nweb ssh-ed25519 " ED1 "\n",
	    "web", 22, PL_KNOWN_REVOKED, 1);
	expect("@revoked * ssh-ed25519 " ED2 "\nweb ssh-ed25519 " ED1 "\n",
	    "web", 22, PL_KNOWN_SAME, 2);
	expect("@cert-authority * ssh-ed25519 " ED1 "\n", "web", 22,
	    PL_KNOWN_NOT, 0);
}

static void
hashed(void **state)
{
	struct pl_buf line;
	struct pl_part name = { "[web]:2222", 10 };
	struct pl_hmac *h;
	unsigned char sum[64];
	char salt[20];

	(void)state;
	memset(salt, 7, sizeof(salt));
	assert_int_equal(pl_hmac_new(&h, "sha1", salt, sizeof(salt), NULL),
	    PL_OK);
	pl_hmac_sum(h, sum, &name, 1);
	pl_hmac_free(h);
	pl_buf_init(&line, PL_LIM_LINE);
	pl_buf_adds(&line, "|1|");
	pl_base64(&line, salt, sizeof(salt));
	pl_buf_adds(&line, "|");
	pl_base64(&line, sum, 20);
	pl_buf_adds(&line, " ssh-ed25519 " ED1 "\n");
	expect(line.data, "web", 2222, PL_KNOWN_SAME, 1);
	expect(line.data, "web", 22, PL_KNOWN_NOT, 0);
	expect(line.data, "wef", 2222, PL_KNOWN_NOT, 0);
	pl_buf_clear(&line);
}

/* A line that makes no sense matches nothing and hides nothing. */
static void
nonsense(void **state)
{
	static const char *const lines[] = { "web", "web ssh-ed25519",
		"web ssh-ed25519 ????", "web ssh-ed25519 AAAA",
		"web ssh-rsa " ED1, "|1| ssh-ed25519 " ED1,
		"|1|x|y ssh-ed25519 " ED1, "|1|| ssh-ed25519 " ED1,
		"@revoked", "@ web ssh-ed25519 " ED1, ", ssh-ed25519 " ED1,
		"! ssh-ed25519 " ED1, "!web ssh-ed25519 " ED1 };
	struct pl_buf text;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(lines); i++) {
		pl_buf_init(&text, PL_LIM_LINE);
		pl_buf_addf(&text, "%s\n", lines[i]);
		expect(text.data, "web", 22, PL_KNOWN_NOT, 0);
		pl_buf_adds(&text, "web ssh-ed25519 " ED1 "\n");
		expect(text.data, "web", 22, PL_KNOWN_SAME, 2);
		pl_buf_clear(&text);
	}
}

static void
types(void **state)
{
	struct pl_buf b;
	unsigned line;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	ask("web ssh-rsa " RSA "\nother ssh-ed25519 " ED1 "\n"
	    "w* ssh-ed25519 " ED2 "\n", "web", 22, ED1, &line, &b);
	assert_string_equal(b.data, "ssh-rsa,ssh-ed25519");
	pl_buf_clear(&b);
}

static void
put(struct pl_buf *b, const char *list)
{
	size_t n = strlen(list);

	pl_buf_add(b, (const char[]){ 0, 0, 0, (char)n }, 4);
	pl_buf_adds(b, list);
}

static void
kexinit(void **state)
{
	static const char *const lists[] = { "a,b", "rsa-sha2-256", "c", "d",
		"e", "f", "none", "none", "", "" };
	struct pl_kexinit k;
	struct pl_buf b;
	size_t head;

	(void)state;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, "hello there\r\nSSH-2.0-x\r\n");
	head = b.len;
	pl_buf_add(&b, "\0\0\0\0\4\24", 6);
	pl_buf_add(&b, "0123456789abcdef", 16);
	for (size_t i = 0; i < PL_NELEM(lists); i++)
		put(&b, lists[i]);
	pl_buf_add(&b, "\0\0\0\0\0....", 9);
	b.data[head + 3] = (char)(b.len - head - 4);
	assert_true(pl_kexinit_read(&k, b.data, b.len));
	assert_string_equal(k.list[PL_KEX_METHODS], "a,b");
	assert_string_equal(k.list[PL_KEX_HOSTKEYS], "rsa-sha2-256");
	assert_string_equal(k.list[PL_KEX_MAC_SC], "f");
	/* No part of it is read beyond what came. */
	for (size_t n = 0; n < b.len; n++)
		assert_false(pl_kexinit_read(&k, b.data, n));
	for (size_t i = head; i < b.len; i++) {
		char keep = b.data[i];

		b.data[i] = (char)0xff;
		(void)pl_kexinit_read(&k, b.data, b.len);
		b.data[i] = keep;
	}
	pl_buf_clear(&b);
}

static void
lists(void **state)
{
	(void)state;
	assert_true(pl_list_has("a,bc,d", "bc", 2));
	assert_false(pl_list_has("a,bc,d", "b", 1));
	assert_false(pl_list_has("", "b", 1));
	assert_true(pl_list_shares("x,y", "z,y"));
	assert_false(pl_list_shares("x,y", "xy"));
	assert_false(pl_list_shares("", ""));
}

static void
rsa_keys(void **state)
{
	static const struct {
		const char *text;
		bool rsa;
	} keys[] = {
		{ "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"
		    "-----END RSA PRIVATE KEY-----\n", true },
		{ "-----BEGIN PRIVATE KEY-----\nBgkqhkiG9w0BAQE=\n"
		    "-----END PRIVATE KEY-----\n", true },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAB3NzaC1yc2E=\n"
		    "-----END OPENSSH PRIVATE KEY-----\n", true },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\n" ED1 "\n"
		    "-----END OPENSSH PRIVATE KEY-----\n", false },
		{ "-----\n-----END", false }, { "garbage", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < PL_NELEM(keys); i++) {
		struct pl_secret *s = pl_secret_new(keys[i].text,
		    strlen(keys[i].text));

		assert_int_equal(pl_ssh_key_is_rsa(s), keys[i].rsa);
		pl_secret_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(hashed),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(types),
		cmocka_unit_test(kexinit),
		cmocka_unit_test(lists),
		cmocka_unit_test(rsa_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
