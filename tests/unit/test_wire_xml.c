/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

#include "wire.h"

static struct pl_xml *
parse(const char *text)
{
	struct pl_xml *root;
	struct pl_err err;

	pl_err_clear(&err);
	if (pl_xml_parse(&root, text, strlen(text), "answer", &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_non_null(root);
	return root;
}

static void
elements_and_paths(void **state PL_UNUSED)
{
	struct pl_xml *r = parse("<?xml version=\"1.0\"?>\n"
	    "<List xmlns=\"https://a/\"><Zones>\n <Zone id=\"1\"><Id>/z/A</Id>"
	    "<Name>a.example.</Name></Zone>\n <Other/><Zone><Id>/z/B</Id>"
	    "</Zone></Zones><More>false</More></List>\n");
	const struct pl_xml *z = pl_xml_get(r, "Zones/Zone");

	assert_string_equal(r->name, "List");
	assert_string_equal(pl_xml_text(z, "Id"), "/z/A");
	assert_string_equal(pl_xml_text(z, "Name"), "a.example.");
	z = pl_xml_next(z);
	assert_string_equal(pl_xml_text(z, "Id"), "/z/B");
	assert_null(pl_xml_text(z, "Name"));
	assert_null(pl_xml_next(z));
	assert_null(pl_xml_next(NULL));
	assert_string_equal(pl_xml_text(r, "More"), "false");
	assert_string_equal(pl_xml_text(r, "Zones/Other"), "");
	assert_null(pl_xml_get(r, "Zones/Zon"));
	assert_null(pl_xml_get(r, "Zones/Zone/Id/Deeper"));
	assert_null(pl_xml_get(NULL, "Zones"));
	assert_ptr_equal(pl_xml_get(r, ""), r);
	pl_xml_free(r);
	pl_xml_free(NULL);
}

static void
references_and_sections(void **state PL_UNUSED)
{
	struct pl_xml *r = parse("<a>&quot;x&#34;&amp;&lt;&gt;&#x41;<!-- no -->"
	    "<![CDATA[<b>&amp;]]><c>in</c>\xc3\xa9</a>");

	assert_string_equal(r->text, "\"x\"&<>A<b>&amp;\xc3\xa9");
	assert_string_equal(pl_xml_text(r, "c"), "in");
	pl_xml_free(r);
}

static void
prefixes_are_dropped(void **state PL_UNUSED)
{
	struct pl_xml *r = parse("<r53:E xmlns:r53=\"u\"><r53:Code>X</r53:Code>"
	    "</r53:E>");

	assert_string_equal(r->name, "E");
	assert_string_equal(pl_xml_text(r, "Code"), "X");
	pl_xml_free(r);
}

/* Up to the limits and no further; beyond is in the errors' file. */
static void
as_large_as_allowed(void **state PL_UNUSED)
{
	struct pl_buf b;
	struct pl_xml *r;
	const struct pl_xml *e;
	size_t i, n = 0;

	pl_buf_init(&b, PL_LIM_BODY);
	for (i = 0; i < 16; i++)
		pl_buf_adds(&b, "<d>");
	for (i = 0; i < 16; i++)
		pl_buf_adds(&b, "</d>");
	r = parse(b.data);
	pl_xml_free(r);

	pl_buf_reset(&b);
	pl_buf_adds(&b, "<r>");
	for (i = 1; i < 10000; i++)
		pl_buf_adds(&b, "<e/>");
	pl_buf_adds(&b, "</r>");
	r = parse(b.data);
	for (e = pl_xml_get(r, "e"); e != NULL; e = pl_xml_next(e))
		n++;
	assert_int_equal(n, 9999);
	pl_xml_free(r);

	pl_buf_reset(&b);
	pl_buf_adds(&b, "<r>");
	for (i = 0; i < 64 << 10; i++)
		pl_buf_addc(&b, 'x');
	pl_buf_adds(&b, "</r>");
	r = parse(b.data);
	assert_int_equal(strlen(r->text), 64 << 10);
	pl_xml_free(r);
	pl_buf_clear(&b);
}

static void
escapes_what_parses_back(void **state PL_UNUSED)
{
	const char *text = "\"a\\\"b\" <&> 'c' \xc3\xa9";
	struct pl_xml *r;
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_adds(&b, "<v>");
	pl_xml_escape(&b, text);
	pl_buf_adds(&b, "</v>");
	assert_null(strchr(b.data, '"'));
	r = parse(b.data);
	assert_string_equal(r->text, text);
	pl_xml_free(r);
	pl_buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_and_paths),
		cmocka_unit_test(references_and_sections),
		cmocka_unit_test(prefixes_are_dropped),
		cmocka_unit_test(as_large_as_allowed),
		cmocka_unit_test(escapes_what_parses_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
