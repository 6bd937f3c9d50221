/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Runs a fuzz target without a fuzzer: over its seeds, and over what a
 * deterministic mutator makes of them.  Each input lies in memory of its own
 * size, so that a sanitizer sees one octet too many.
 *
 * Usage: replay [FILE...]; without arguments all of tests/fuzz/seeds/SEEDS
 * below $srcdir.  PLACARD_FUZZ_ROUNDS: mutations of each seed (1000).
 */
#include "base.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEEDS
#error "SEEDS names the folder of this target's seeds"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LARGEST 65536

struct replay {
	uint64_t dice;
	int64_t rounds;
	struct pl_buf *seeds;
	size_t n;
};

static uint32_t
dice(struct replay *r, uint32_t below)
{
	r->dice = r->dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->dice >> 33) % (below > 0 ? below : 1);
}

static void
run_one(const char *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static char
octet(struct replay *r)
{
	static const char odd[] = { 0, 1, 0x7f, -128, -1, '.', '/', '"', '\\',
		'\n', ' ', '{', '}', '*', '%', 0x40 };

	return dice(r, 2) == 0 ? (char)dice(r, 256) :
	    odd[dice(r, sizeof(odd))];
}

/* One change to b: a bit, an octet, a cut, a hole, a doubling, a graft. */
static void
mutate(struct replay *r, struct pl_buf *b)
{
	const struct pl_buf *other = &r->seeds[dice(r, (uint32_t)r->n)];
	uint32_t at = dice(r, (uint32_t)b->len + 1);
	uint32_t n = dice(r, 1u << dice(r, 8));
	char *tail;
	size_t left, from;

	if (b->len == 0) {
		pl_buf_addc(b, octet(r));
		return;
	}
	at -= at == b->len;
	switch (dice(r, 7)) {
	case 0:
		b->data[at] = (char)(b->data[at] ^ 1 << dice(r, 8));
		return;
	case 1:
	case 2:
		b->data[at] = octet(r);
		return;
	case 3:
		b->len = at;
		b->data[at] = '\0';
		return;
	default:
		break;
	}
	/* The others put something, or nothing, in the place of n octets. */
	left = b->len - at < n ? 0 : b->len - at - n;
	tail = pl_memdup(b->data + b->len - left, left);
	from = dice(r, (uint32_t)other->len + 1);
	switch (dice(r, 3)) {
	case 0:
		b->len = at;
		break;
	case 1:
		b->len = b->len - left;
		pl_buf_addc(b, octet(r));
		break;
	default:
		b->len = at;
		pl_buf_add(b, other->data + from,
		    other->len - from < 200 ? other->len - from : 200);
	}
	if (left > 0)
		pl_buf_add(b, tail, left);
	free(tail);
}

static void
run_mutants(struct replay *r, const struct pl_buf *seed)
{
	struct pl_buf b;
	int64_t round;
	uint32_t k;

	pl_buf_init(&b, 2 * LARGEST);
	for (round = 0; round < r->rounds; round++) {
		pl_buf_reset(&b);
		pl_buf_add(&b, seed->data, seed->len);
		for (k = 1 + dice(r, 4); k > 0; k--)
			mutate(r, &b);
		if (!b.failed)
			run_one(b.data, b.len);
	}
	pl_buf_clear(&b);
}

static void
add_seed(struct replay *r, const char *path)
{
	struct pl_err err;

	r->seeds = pl_grow(r->seeds, r->n + 1, sizeof(*r->seeds));
	pl_buf_init(&r->seeds[r->n], LARGEST);
	if (pl_file_read(&r->seeds[r->n], path, &err) != PL_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	r->n++;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
add_folder(struct replay *r)
{
	const char *src = getenv("srcdir");
	char path[1024];
	struct dirent **entries = NULL;
	int n, i;

	snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/%s",
	    src != NULL ? src : ".", SEEDS);
	/* Sorted, so that every run is the same. */
	n = scandir(path, &entries, NULL, by_name);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/%s/%s",
		    src != NULL ? src : ".", SEEDS, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			add_seed(r, path);
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char **argv)
{
	const char *rounds = getenv("PLACARD_FUZZ_ROUNDS");
	struct replay r = { .dice = 1, .rounds = 1000 };
	struct pl_err err;
	size_t i;
	int k;

	if (rounds != NULL && pl_int_parse(&r.rounds, rounds, 0, INT32_MAX,
	    &err) != PL_OK) {
		fprintf(stderr, "PLACARD_FUZZ_ROUNDS: %s\n", err.text);
		return 2;
	}
	for (k = 1; k < argc; k++)
		add_seed(&r, argv[k]);
	if (argc < 2)
		add_folder(&r);
	if (r.n == 0) {
		fprintf(stderr, "no seeds for %s\n", SEEDS);
		return 1;
	}
	for (i = 0; i < r.n; i++) {
		run_one(r.seeds[i].data, r.seeds[i].len);
		run_mutants(&r, &r.seeds[i]);
	}
	printf("%s: %zu seeds, %" PRId64 " mutations of each\n", SEEDS, r.n,
	    r.rounds);
	for (i = 0; i < r.n; i++)
		pl_buf_clear(&r.seeds[i]);
	free(r.seeds);
	return 0;
}
