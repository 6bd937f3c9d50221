/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Somebody exchanges a directory of the tree for a link to the outside, as
 * fast as he can, while files are placed, compared and removed.  Nothing may
 * ever happen outside.  Two seconds over all modes; PLACARD_SOAK_SECONDS
 * makes it longer.
 */
#include "tree_modes.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct race {
	char real[600], fake[600], outside[600];
	unsigned long *swaps;	/* shared with the attacker */
	pid_t attacker;
	unsigned long done, refused;
};

static _Noreturn void
attack(const struct race *r)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It fails while the directory is away because it was empty. */
	for (;;)
		if (renameat2(AT_FDCWD, r->real, AT_FDCWD, r->fake,
		    RENAME_EXCHANGE) == 0)
			(*r->swaps)++;
}

static void
race_start(struct race *r, void *const *state)
{
	char path[600];

	memset(r, 0, sizeof(*r));
	scratch_path(path, sizeof(path), state, "root");
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	scratch_path(r->outside, sizeof(r->outside), state, "outside");
	assert_int_equal(mkdir(r->outside, 0777), 0);
	scratch_path(r->real, sizeof(r->real), state, "root/dir");
	scratch_path(r->fake, sizeof(r->fake), state, "root/fake");
	assert_int_equal(mkdir(r->real, 0755), 0);
	assert_int_equal(symlink("../outside", r->fake), 0);
	/* What is outside looks like ours, so that a removal would show. */
	scratch_path(path, sizeof(path), state, "outside/bait");
	scratch_write(path, "body", 4, 0644);
	scratch_path(path, sizeof(path), state, "outside/deep");
	assert_int_equal(mkdir(path, 0755), 0);
	r->swaps = mmap(NULL, sizeof(*r->swaps), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(r->swaps, MAP_FAILED);
	r->attacker = fork();
	assert_true(r->attacker >= 0);
	if (r->attacker == 0)
		attack(r);
}

static void
race_stop(struct race *r, void *const *state)
{
	char path[600];

	kill(r->attacker, SIGKILL);
	assert_int_equal(waitpid(r->attacker, NULL, 0), r->attacker);
	assert_true(*r->swaps > 0);
	munmap(r->swaps, sizeof(*r->swaps));
	scratch_path(path, sizeof(path), state, "root");
	scratch_remove(path);
	scratch_remove(r->outside);
}

static void
race_round(struct race *r, struct pl_tree *t, unsigned long i)
{
	struct pl_tree_file f;
	bool existed, gone, same, differs;
	struct pl_err err;
	char path[64];
	unsigned made = 0;
	enum pl_code code;

	snprintf(path, sizeof(path), "dir/%sx%lu", i % 3 == 0 ? "deep/" : "",
	    i % 50);
	f = tree_file(path, "body");
	code = pl_tree_put(t, &f, &existed, &made, &err);
	if (code == PL_OK)
		r->done++;
	else if (code == PL_EREMOTE || code == PL_ECONFLICT)
		r->refused++;
	else
		fail_msg("put: %s", err.text);
	(void)pl_tree_remove(t, "dir/bait", "body", 4, 1, &gone, &err);
	(void)pl_tree_same(t, "dir/bait", "body", 4, &same, &differs, &err);
	assert_false(same);
	(void)pl_tree_writable(t, "dir/deep", &err);
	if (i % 2 == 0)
		(void)pl_tree_remove(t, path, "body", 4, 2, &gone, &err);
}

static void
race_mode(void *const *state, size_t mode, int64_t ms)
{
	struct stat before, after;
	char path[600];
	struct race r;
	struct pl_tree *t;
	int64_t end;
	unsigned long i;

	race_start(&r, state);
	t = tree_open_mode(state, "root", mode);
	assert_int_equal(stat(r.outside, &before), 0);
	end = pl_mono_ms() + ms;
	/* Until both ends of the race were seen, however slow the machine. */
	for (i = 0; pl_mono_ms() < end || r.done == 0 || r.refused == 0; i++)
		race_round(&r, t, i);
	assert_int_equal(stat(r.outside, &after), 0);
	/* Any name made or removed there would have moved this time. */
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(scratch_count(r.outside), 2);
	scratch_path(path, sizeof(path), state, "outside/deep");
	assert_int_equal(scratch_count(path), 0);
	print_message("mode %zu: %lu rounds, %lu placed, %lu refused, "
	    "%lu swaps\n", mode, i, r.done, r.refused, *r.swaps);
	pl_tree_close(t);
	race_stop(&r, state);
}

static void
nothing_happens_outside(void **state)
{
	const char *soak = getenv("PLACARD_SOAK_SECONDS");
	int64_t seconds = 2;
	size_t mode;

	if (soak != NULL)
		assert_int_equal(pl_int_parse(&seconds, soak, 1, 86400, NULL),
		    PL_OK);
	for (mode = 0; mode < PL_NELEM(tree_modes); mode++)
		race_mode(state, mode, seconds * 1000 /
		    (int64_t)PL_NELEM(tree_modes));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_happens_outside),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
