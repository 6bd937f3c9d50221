/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Every row of the catalogue against the published table, where that is. */
#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLE "/specs/sslstore-products.csv"

/* Reads the table into *text; false where it is not here. */
static bool
table_read(struct pl_buf *text)
{
	const char *shared = getenv("PLACARD_SHARED");
	struct pl_buf path;
	bool there;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(text, PL_LIM_CONFIG);
	pl_buf_addf(&path, "%s" TABLE, shared != NULL ? shared : "");
	there = shared != NULL && pl_file_read(text, path.data, NULL) == PL_OK;
	pl_buf_clear(&path);
	return there;
}

/* One field of the line at *p; moves behind its comma. */
static void
field(const char **p, char out[96])
{
	size_t n = strcspn(*p, ",\r\n");

	assert_true(n < 96);
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n + ((*p)[n] == ',');
}

static void
same_row(const char *line, size_t i)
{
	char code[96], name[96], vendor[96], level[96], wild[96], multi[96],
	    org[96], category[96];
	struct pl_product p;

	field(&line, code);
	field(&line, name);
	field(&line, vendor);
	field(&line, level);
	field(&line, wild);
	field(&line, multi);
	field(&line, org);
	field(&line, category);
	pl_product_at(&p, i);
	assert_string_equal(p.code, code);
	assert_string_equal(p.name, name);
	assert_string_equal(pl_vendor_name(p.vendor), vendor);
	assert_string_equal(pl_validation_name(p.validation), level);
	assert_string_equal(p.wildcard ? "yes" : "no", wild);
	assert_string_equal(p.multi ? "yes" : "no", multi);
	assert_string_equal(p.existing ? "yes" : "no", org);
	assert_string_equal(pl_fields_name(p.category), category);
}

static void
published(void **state)
{
	struct pl_buf text;
	const char *p;
	size_t n = 0;

	(void)state;
	if (!table_read(&text)) {
		print_message("PLACARD_SHARED names no folder with the "
		    "table\n");
		pl_buf_clear(&text);
		skip();
	}
	for (p = strchr(text.data, '\n') + 1; *p != '\0';
	    p += strcspn(p, "\n") + 1)
		same_row(p, n++);
	pl_buf_clear(&text);
	assert_int_equal(n, pl_product_count());
}

static void
every_row(void **state)
{
	struct pl_product p, again;
	struct pl_err err;
	size_t n;

	(void)state;
	assert_int_equal(pl_product_count(), 77);
	for (size_t i = 0; i < 77; i++) {
		pl_product_at(&p, i);
		assert_int_equal(pl_product_find(&again, p.code, &err), PL_OK);
		assert_string_equal(again.code, p.code);
		n = strlen(p.code);
		assert_int_equal(p.existing, n > 3 &&
		    strcmp(p.code + n - 3, "-EO") == 0);
		assert_int_equal(strncmp(p.code, p.sent, strlen(p.sent)), 0);
		assert_int_equal(strlen(p.sent), n - (p.existing ? 3 : 0));
		assert_int_equal(p.lone_wildcard, p.wildcard && !p.multi);
		assert_true(p.months[0] >= 1);
		for (size_t k = 1; p.months[k] != 0; k++)
			assert_true(p.months[k] > p.months[k - 1]);
	}
	pl_product_at(&p, 77);
	assert_string_equal(p.code, "");
}

static void
stricter(void **state)
{
	struct pl_product p;
	struct pl_err err;

	(void)state;
	pl_product_find(&p, "sectigoevssl", &err);
	assert_int_equal(p.category, PL_F_DV);
	assert_int_equal(p.needs, PL_F_EV);
	pl_product_find(&p, "digi_securesite_pro_flex", &err);
	assert_int_equal(p.category, PL_F_EXISTING);
	assert_int_equal(p.needs, PL_F_FLEX_OV);
	pl_product_find(&p, "DIGI_SECURESITE_PRO_FLEX-eo", &err);
	assert_string_equal(p.code, "digi_securesite_pro_flex-EO");
	assert_int_equal(p.needs, PL_F_EXISTING);
}

static void
words(void **state)
{
	enum pl_vendor v;
	enum pl_validation l;
	struct pl_product p;
	struct pl_err err;

	(void)state;
	assert_true(pl_vendor_parse(&v, "Sectigo"));
	assert_int_equal(v, PL_SECTIGO);
	assert_false(pl_vendor_parse(&v, "sectig"));
	assert_true(pl_validation_parse(&l, "ev-code-signing"));
	assert_int_equal(l, PL_V_EV_CODE_SIGNING);
	assert_true(pl_validation_parse(&l, "ov"));
	assert_false(pl_validation_parse(&l, "o"));
	assert_false(pl_validation_parse(&l, ""));
	assert_int_equal(pl_product_find(&p, "positivesl", &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "did you mean \"positivessl\""));
	assert_int_equal(pl_product_find(&p, "zzzzzzzz", &err), PL_EINVAL);
	assert_string_equal(p.code, "");
}

/* ---- what the store says ---------------------------------------------------- */

static json_t *
parsed(const char *text)
{
	struct pl_err err;
	json_t *j;

	if (pl_json_parse(&j, text, strlen(text), "text", &err) != PL_OK)
		fail_msg("%s", err.text);
	return j;
}

static void
live(void **state)
{
	json_t *j = parsed("[{\"ProductCode\": \"other\"}, "
	    "{\"ProductCode\": \"PositiveSSL\", \"CurrencyCode\": \"USD\", "
	    "\"PricingInfo\": ["
	    "{\"NumberOfMonths\": \"12\", \"NumberOfServer\": 1, "
	    "\"Price\": 9.5}, {\"NumberOfMonths\": 3, \"NumberOfServer\": "
	    "\"1\", \"Price\": \"4.00\"}, {\"NumberOfMonths\": 3, "
	    "\"NumberOfServer\": 2, \"Price\": 7}, {\"NumberOfMonths\": 0}, "
	    "{\"NumberOfMonths\": 9999}]}]");
	struct pl_product p;
	struct pl_err err;

	(void)state;
	pl_product_find(&p, "positivessl", &err);
	pl_product_live(&p, j);
	assert_true(p.live);
	assert_int_equal(p.months[0], 3);
	assert_int_equal(p.months[1], 12);
	assert_int_equal(p.months[2], 0);
	assert_string_equal(p.price, "4.00 USD");
	pl_product_find(&p, "sectigossl", &err);
	pl_product_live(&p, j);
	assert_false(p.live);
	assert_true(p.retired);
	assert_int_equal(p.months[0], 1);
	pl_json_free(j);
}

static void
live_nothing(void **state)
{
	static const char *const texts[] = { "[]", "{}", "[null, 7]",
		"[{\"ProductCode\": \"sectigossl\"}]",
		"[{\"ProductCode\": \"sectigossl\", \"PricingInfo\": null}]",
		"[{\"ProductCode\": \"sectigossl\", \"PricingInfo\": [{}]}]" };
	struct pl_product p, before;
	struct pl_err err;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < PL_NELEM(texts); i++) {
		j = parsed(texts[i]);
		pl_product_find(&p, "sectigossl", &err);
		before = p;
		pl_product_live(&p, j);
		assert_memory_equal(&p, &before, sizeof(p));
		pl_json_free(j);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published),
		cmocka_unit_test(every_row),
		cmocka_unit_test(stricter),
		cmocka_unit_test(words),
		cmocka_unit_test(live),
		cmocka_unit_test(live_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
