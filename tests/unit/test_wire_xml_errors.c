/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include "wire.h"

static void
refused(const char *text, size_t n, const char *why)
{
	struct pl_xml *root = (struct pl_xml *)&root;
	struct pl_err err;

	pl_err_clear(&err);
	assert_int_equal(pl_xml_parse(&root, text, n, "answer", &err),
	    PL_EPROTO);
	assert_null(root);
	if (strncmp(err.text, "answer: XML line ", 17) != 0 ||
	    strstr(err.text, why) == NULL)
		fail_msg("%s: not about \"%s\"", err.text, why);
}

static void
malformed(void **state PL_UNUSED)
{
	static const char *const bad[] = { "", " ", "text", "<a>", "</a>",
		"<a><b></a></b>", "<a/><b/>", "<a>&nbsp;</a>", "<a b></a>",
		"<a>\x01</a>", "<a>\xff</a>", "{\"a\": 1}", "<a", "<a>&#0;</a>",
		"<html><body>Bad gateway<br></body></html>" };
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++)
		refused(bad[i], strlen(bad[i]), "");
	refused("<a>\0</a>", 8, "");
}

static void
every_cut(void **state PL_UNUSED)
{
	const char *whole = "<?xml version=\"1.0\"?><a x=\"1\"><b>t&amp;</b>"
	    "<c/><!-- n --></a>";
	size_t n;

	for (n = 0; n < strlen(whole); n++)
		refused(whole, n, "");
}

static void
doctypes(void **state PL_UNUSED)
{
	static const char *const bad[] = {
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
		"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
		    "<a>&x;</a>",
		"<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;\">]>"
		    "<a>&y;</a>",
		"<?xml version=\"1.0\"?><!-- c --><!DOCTYPE a PUBLIC \"p\" "
		    "\"http://127.0.0.1/x.dtd\"><a/>",
	};
	size_t i;

	for (i = 0; i < PL_NELEM(bad); i++)
		refused(bad[i], strlen(bad[i]), "document type");
}

static void
refuse_repeated(const char *head, const char *what, size_t n,
    const char *why)
{
	struct pl_buf b;
	size_t i;

	pl_buf_init(&b, 4 * PL_LIM_BODY);
	pl_buf_adds(&b, head);
	for (i = 0; i < n; i++)
		pl_buf_adds(&b, what);
	refused(b.data, b.len, why);
	pl_buf_clear(&b);
}

static void
beyond_the_limits(void **state PL_UNUSED)
{
	refuse_repeated("", "<d>", 17, "16 elements deep");
	refuse_repeated("", "<d>", 100000, "16 elements deep");
	refuse_repeated("<r>", "<e/>", 10000, "10000 elements");
	refuse_repeated("<r>", "x", (64 << 10) + 1, "64 KiB");
	/* In pieces as well. */
	refuse_repeated("<r>", "x&amp;<e/>", (32 << 10) + 1, "");
	refuse_repeated("<r><e>y</e>", "1234567890&lt;", 6000, "64 KiB");
}

/* Every octet of a good answer changed: no crash, and a code. */
static void
mutations(void **state PL_UNUSED)
{
	static const char whole[] = "<L><Z><I>/z/A</I><N>a\\052.b.</N></Z>"
	    "<T>true</T><V>&quot;t&quot;</V></L>";
	static const char with[] = "<>&\"\0\xff/; ";
	char text[sizeof(whole)];
	struct pl_xml *root;
	struct pl_err err;
	size_t i, k, good = 0;

	for (i = 0; i < sizeof(whole) - 1; i++)
		for (k = 0; k < sizeof(with) - 1; k++) {
			memcpy(text, whole, sizeof(whole));
			text[i] = with[k];
			if (pl_xml_parse(&root, text, sizeof(whole) - 1,
			    "answer", &err) == PL_OK)
				good++;
			else
				assert_null(root);
			pl_xml_free(root);
		}
	assert_true(good > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(doctypes),
		cmocka_unit_test(beyond_the_limits),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
