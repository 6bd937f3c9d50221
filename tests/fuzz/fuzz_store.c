/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * An answer of the store, of any content.  Beyond not crashing: what is taken
 * is an object or an array, what is refused is refused in one clean line
 * of ours, and every value that is read from it is in its range.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool held)
{
	if (!held)
		abort();
}

static void
check_names(const json_t *j, const char *key)
{
	char **names;
	size_t n = pl_store_names(&names, j, key);

	need(n <= 1000 && names[n] == NULL);
	for (size_t i = 0; i < n; i++) {
		need(names[i][0] != '\0' && strpbrk(names[i], ", \t\r\n") ==
		    NULL);
		free(names[i]);
	}
	free(names);
}

static void
check_pem(const char *text, size_t len)
{
	struct pl_buf once, twice;
	size_t n;

	pl_buf_init(&once, PL_LIM_BODY);
	pl_buf_init(&twice, PL_LIM_BODY);
	n = pl_store_pem(&once, text, len);
	/* What is clean stays as it is. */
	need(pl_store_pem(&twice, once.data, once.len) == n);
	need(strcmp(once.data, twice.data) == 0);
	pl_buf_clear(&once);
	pl_buf_clear(&twice);
}

static void
check_member(const json_t *j, const char *key, const json_t *value)
{
	char *text = pl_store_text(j, key);
	const char *s = pl_json_str(value);
	int64_t ms;

	(void)pl_store_bool(j, key, false);
	(void)pl_store_int(j, key, 0);
	check_names(j, key);
	ms = pl_store_date(j, key);
	need(ms == 0 || (ms >= 631152000000 && ms <= 253402387200000));
	if (s != NULL)
		check_pem(s, pl_json_strlen(value));
	need(text == NULL || text[0] != '\0');
	for (const char *t = text; t != NULL && *t != '\0'; t++)
		need((unsigned char)*t >= 0x20 && *t != 0x7f);
	free(text);
}

static void
check_all(const json_t *j)
{
	const char *key;
	json_t *value;
	void *iter;

	for (size_t i = 0; pl_json_is_array(j) && i < pl_json_count(j); i++)
		check_all(pl_json_at(j, i));
	if (!pl_json_is_object(j))
		return;
	(void)pl_store_is_error(j);
	for (iter = pl_json_iter(j, NULL, &key, &value); iter != NULL;
	    iter = pl_json_iter(j, iter, &key, &value)) {
		check_member(j, key, value);
		check_all(value);
	}
}

static void
check_call(const struct pl_store_desc *d, const char *p, size_t n)
{
	struct pl_product product;
	struct pl_err err;
	int64_t number;
	json_t *j;

	pl_err_clear(&err);
	if (pl_store_answer(&j, d, p, n, &number, &err) != PL_OK) {
		need(j == NULL);
		need(err.code == PL_EPROTO || err.code == PL_EREMOTE ||
		    err.code == PL_EAUTH);
		need(strncmp(err.text, "sslstore: ", 10) == 0);
		for (const char *s = err.text; *s != '\0'; s++)
			need((unsigned char)*s >= 0x20 && *s != 0x7f);
		return;
	}
	need(number == 0);
	need(pl_json_is_array(j) == d->array);
	check_all(j);
	pl_product_at(&product, 0);
	pl_product_live(&product, j);
	pl_json_free(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const paths[] = { "order/status", "order/query",
		"order/resend", "user/accountdetail" };

	for (size_t i = 0; i < PL_NELEM(paths); i++)
		check_call(pl_store_find(paths[i]), (const char *)p, n);
	check_pem((const char *)p, n);
	return 0;
}
