/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What the store itself says about its products, laid over the table. */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MONTHS_MOST 120

static void
add_month(struct pl_product *p, size_t *n, int64_t months)
{
	size_t i;

	if (months < 1 || months > MONTHS_MOST || *n + 1 >= PL_PRODUCT_MONTHS)
		return;
	for (i = 0; i < *n && p->months[i] < (unsigned)months; i++)
		continue;
	if (i < *n && p->months[i] == (unsigned)months)
		return;
	memmove(&p->months[i + 1], &p->months[i],
	    (*n - i) * sizeof(p->months[0]));
	p->months[i] = (unsigned)months;
	p->months[++*n] = 0;
}

static void
take_price(struct pl_product *p, const json_t *element, const json_t *price)
{
	char *amount = pl_store_text(price, "Price"),
	    *currency = pl_store_text(element, "CurrencyCode");
	const char *dot = amount != NULL ? strchr(amount, '.') : NULL;

	if (amount != NULL && strlen(amount) < 16 &&
	    amount[strspn(amount, "0123456789.")] == '\0')
		snprintf(p->price, sizeof(p->price), "%s%s%s%.3s", amount,
		    dot != NULL && strlen(dot) == 2 ? "0" : "",
		    currency != NULL ? " " : "",
		    currency != NULL ? currency : "");
	free(amount);
	free(currency);
}

static void
take_element(struct pl_product *p, const json_t *element)
{
	const json_t *list = pl_store_list(element, "PricingInfo"), *one;
	struct pl_product before = *p;
	int64_t months, servers;
	size_t n = 0;

	p->months[0] = 0;
	for (size_t i = 0; i < pl_json_count(list); i++)
		add_month(p, &n, pl_store_int(pl_json_at(list, i),
		    "NumberOfMonths", 0));
	for (size_t i = 0; i < pl_json_count(list); i++) {
		one = pl_json_at(list, i);
		months = pl_store_int(one, "NumberOfMonths", 0);
		servers = pl_store_int(one, "NumberOfServer", 1);
		if (months == p->months[0] && servers == 1) {
			take_price(p, element, one);
			break;
		}
	}
	p->live = n > 0;
	if (n == 0)
		*p = before;
}

void
pl_product_live(struct pl_product *p, const json_t *answer)
{
	const json_t *element;
	size_t others = 0;
	char *code;
	bool same;

	for (size_t i = 0; i < pl_json_count(answer); i++) {
		element = pl_json_at(answer, i);
		code = pl_store_is_error(element) ? NULL :
		    pl_store_text(element, "ProductCode");
		same = code != NULL && strcasecmp(code, p->sent) == 0;
		others += code != NULL && !same;
		free(code);
		if (same) {
			take_element(p, element);
			return;
		}
	}
	p->retired = others > 0;
}
