/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Runs a fuzz target without libFuzzer: over each file of the folders that are
 * its arguments (PL_SEEDS where there is none), whole, cut short at each
 * octet, and with each octet changed.  Always the same runs.
 */
#include "base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* In a block of its own length, so that reading too far shows. */
static void
run(const char *data, size_t n)
{
	static const uint8_t nothing[1];
	uint8_t *copy = pl_memdup(data, n);

	LLVMFuzzerTestOneInput(copy != NULL ? copy : nothing, n);
	free(copy);
}

static void
run_changed(char *data, size_t n)
{
	static const unsigned char masks[] = { 0x01, 0x20, 0x80, 0xff };
	size_t i, k, step = n / 2000 + 1;

	run(data, n);
	for (i = 0; i < n; i += step) {
		run(data, i);
		for (k = 0; k < sizeof(masks); k++) {
			data[i] = (char)(data[i] ^ masks[k]);
			run(data, n);
			data[i] = (char)(data[i] ^ masks[k]);
		}
	}
}

static size_t
run_folder(const char *folder)
{
	struct pl_buf path, data;
	struct pl_err err;
	struct dirent *e;
	size_t n = 0;
	DIR *d = opendir(folder);

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&data, PL_LIM_BODY);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		pl_buf_reset(&path);
		pl_buf_reset(&data);
		pl_buf_addf(&path, "%s/%s", folder, e->d_name);
		if (pl_file_read(&data, path.data, &err) != PL_OK) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		run_changed(data.data, data.len);
		n++;
	}
	if (d != NULL)
		closedir(d);
	pl_buf_clear(&path);
	pl_buf_clear(&data);
	return n;
}

int
main(int argc, char **argv)
{
	size_t n = 0;
	int i;

	if (argc < 2)
		n = run_folder(PL_SEEDS);
	for (i = 1; i < argc; i++)
		n += run_folder(argv[i]);
	printf("%zu seeds\n", n);
	return n > 0 ? 0 : 1;
}
