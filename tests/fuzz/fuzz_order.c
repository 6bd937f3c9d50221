/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * An answer of the store laid over an order of ours, of any content.  Beyond
 * not crashing: the order is still one that the book can hold, what would be
 * published stays within the order's domains and the rules of records, and
 * a request made from it has only texts that JSON can hold.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#define NOW (INT64_C(1790000000) * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool held)
{
	if (!held)
		abort();
}

static void
add_name(struct pl_order *o, const char *name, enum pl_dcv m)
{
	o->names = pl_grow(o->names, o->nnames + 1, sizeof(*o->names));
	o->names[o->nnames++] = (struct pl_order_name){
		.name = pl_strdup(name), .method = (int)m };
}

/* One that was placed from here, or one that is about to be imported. */
static void
fill(struct pl_order *o, const char *product, bool ours)
{
	*o = (struct pl_order){ .id = 17, .generation = 1, .ours = ours };
	o->controller = pl_strdup("store");
	if (!ours)
		return;
	o->product = pl_strdup(product);
	o->custom_id = pl_strdup("c");
	o->state = PL_O_PENDING;
	add_name(o, "www.example.com", PL_DCV_DNS);
	add_name(o, "*.example.net", PL_DCV_DNS);
	add_name(o, "files.example.com", PL_DCV_FILE);
}

static void
check_order(const struct pl_order *o)
{
	need(o->store_id != NULL && o->store_id[0] != '\0');
	need((unsigned)o->state < PL_NORDERS && o->months < 1000);
	for (size_t i = 0; i < o->nnames; i++) {
		need(o->names[i].name[0] != '\0');
		need(o->names[i].method >= -1 &&
		    o->names[i].method < PL_NDCV);
		for (size_t k = 0; k < i; k++)
			need(strcmp(o->names[i].name, o->names[k].name) != 0);
	}
	need(o->nchallenges <= 2001);
	for (size_t i = 0; i < o->nchallenges; i++) {
		const struct pl_order_challenge *c = &o->challenges[i];

		need(c->domain != NULL && c->record != NULL &&
		    c->value != NULL && strlen(c->value) <= c->len);
		need(c->method >= -1 && c->method < PL_NDCV);
		need((unsigned)c->kind < PL_NKINDS);
		need(c->kind != PL_NOTHING || c->record[0] == '\0');
	}
}

/* Is this name in one of the order's registered domains? */
static bool
inside(const struct pl_order *o, const char *name)
{
	for (size_t i = 0; i < o->nnames; i++) {
		const char *own = o->names[i].name, *base;

		own += strncmp(own, "*.", 2) == 0 ? 2 : 0;
		base = pl_name_registrable(own);
		if (pl_suffix_of(base != NULL ? base : own, name))
			return true;
	}
	return false;
}

static void
check_job(const struct pl_order *o)
{
	struct pl_err err;
	struct pl_job job;

	pl_err_clear(&err);
	if (pl_life_job(&job, o, &err) != PL_OK) {
		need(err.code == PL_EINVAL && err.text[0] != '\0');
		return;
	}
	for (size_t i = 0; i < job.n; i++) {
		const struct pl_challenge *c = &job.challenges[i];

		need(inside(o, c->domain));
		if (c->kind == PL_FILE)
			need(pl_record_path(c->record, NULL) == PL_OK);
		else
			need(inside(o, c->record));
		need(pl_record_value(c->kind, c->record, c->value,
		    c->value_len, NULL) == PL_OK);
	}
	pl_job_clear(&job);
}

static void
check_carry(const json_t *answer)
{
	json_t *carried = pl_life_carry(answer, NULL, NULL), *again = NULL;
	char *text = pl_json_text(carried);
	struct pl_err err;

	need(pl_json_parse(&again, text, strlen(text), "carried", &err) ==
	    PL_OK);
	need(pl_life_contact(carried, "carried", &err) == PL_OK);
	pl_json_free(again);
	pl_json_free(carried);
	free(text);
}

static void
check_download(const json_t *answer)
{
	static const unsigned char nobody[32] = { 1 };
	struct pl_book_cert c;
	struct pl_buf pem;
	struct pl_err err;

	pl_buf_init(&pem, PL_LIM_BODY);
	if (pl_life_pem(&pem, answer) > 0) {
		/* Parsed, and refused: nobody has this key. */
		need(pl_life_cert(&c, pem.data, pem.len, nobody, true, NULL,
		    NOW, &err) != PL_OK);
		need(c.leaf == NULL);
		pl_book_cert_clear(&c);
	}
	pl_buf_clear(&pem);
}

static void
check_laid(const json_t *answer, const char *product, bool ours)
{
	struct pl_order o;
	struct pl_err err;
	bool moved;

	fill(&o, product, ours);
	pl_err_clear(&err);
	if (pl_life_apply(&o, answer, &moved, &err) == PL_OK) {
		check_order(&o);
		check_job(&o);
		(void)pl_life_downgraded(&o, &err);
		(void)pl_life_open(&o);
		/* The same once more changes nothing. */
		need(pl_life_apply(&o, answer, &moved, &err) == PL_OK);
		need(!moved);
		check_order(&o);
	} else
		need(err.code == PL_EPROTO);
	if (ours)
		need(o.nnames == 3 && strcmp(o.product, product) == 0);
	pl_order_clear(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	json_t *answer = NULL;
	struct pl_err err;

	if (pl_json_parse(&answer, (const char *)p, n, "answer", &err) !=
	    PL_OK)
		return 0;
	if (pl_json_is_object(answer)) {
		check_laid(answer, "positivemdcssl", true);
		check_laid(answer, "digi_ssl123_flex", true);
		check_laid(answer, NULL, false);
		check_carry(answer);
		check_download(answer);
		(void)pl_life_whole(answer);
		(void)pl_life_reissued("70100001", answer);
	}
	pl_json_free(answer);
	return 0;
}
