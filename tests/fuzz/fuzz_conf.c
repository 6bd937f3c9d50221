/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * A configuration file of any content.  Whatever it is, reading ends, the
 * tree has only keys that its description knows, values lie within the file,
 * and faults are whole lines.
 */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what) do { if (!(what)) abort(); } while (0)

static const struct pl_conf_spec inner[] = {
	{ .name = "word", .type = PL_CONF_STR },
	{ .name = "number", .type = PL_CONF_INT },
	{ .name = "flag", .type = PL_CONF_BOOL },
	{ .name = "words", .type = PL_CONF_LIST },
	{ .name = NULL }
};
static const struct pl_conf_spec spec[] = {
	{ .name = "top", .type = PL_CONF_STR },
	{ .name = "list", .type = PL_CONF_LIST },
	{ .name = "named", .type = PL_CONF_SECTION, .titled = true,
	    .inside = inner },
	{ .name = "plain", .type = PL_CONF_SECTION, .inside = inner },
	{ .name = "free", .type = PL_CONF_SECTION, .titled = true },
	{ .name = NULL }
};

static const struct pl_conf_spec *
known(const struct pl_conf_spec *s, const char *name)
{
	for (; s != NULL && s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static void
check_value(const struct pl_conf_value *v, const struct pl_conf_spec *s,
    unsigned lines)
{
	size_t i;

	MUST(v->line >= 1 && v->line <= lines);
	for (i = 0; i < v->n; i++)
		MUST(v->text[i] != NULL);
	if (s == NULL || s->type == PL_CONF_LIST)
		return;
	MUST(v->n == 1 && !v->list);
	if (s->type == PL_CONF_BOOL)
		MUST(strcmp(v->text[0], "true") == 0 ||
		    strcmp(v->text[0], "false") == 0);
	if (s->type == PL_CONF_INT)
		MUST(pl_int_parse(&(int64_t){ 0 }, v->text[0], INT64_MIN,
		    INT64_MAX, NULL) == PL_OK);
}

static void
check_section(const struct pl_conf_section *s,
    const struct pl_conf_spec *inside, unsigned lines)
{
	const struct pl_conf_spec *k;
	size_t i;

	MUST(s->line >= 1 && s->line <= lines);
	for (i = 0; i < s->nvalues; i++) {
		k = known(inside, s->values[i].key);
		MUST(inside == NULL || k != NULL);
		MUST(pl_conf_value(s, s->values[i].key) == &s->values[i]);
		check_value(&s->values[i], k, lines);
	}
	for (i = 0; i < s->nsections; i++) {
		k = known(inside, s->sections[i].type);
		MUST(k != NULL && k->type == PL_CONF_SECTION);
		MUST(k->titled == (s->sections[i].title != NULL));
		check_section(&s->sections[i], k->inside, lines);
	}
}

static void
check_faults(const struct pl_faults *f, const char *path)
{
	const char *p = f->text.data;
	size_t n = 0, len = strlen(path);

	for (; *p != '\0'; p = strchr(p, '\n') + 1, n++) {
		MUST(strncmp(p, path, len) == 0 && p[len] == ':');
		MUST(strchr(p, '\n') != NULL);
	}
	MUST(n == f->n || n == 200);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_conf_section *root;
	struct pl_faults faults;
	unsigned lines = 1;
	char path[32];
	size_t i;
	int fd;

	/* Other files are none of the input's business. */
	if (size > 0 && memmem(data, size, "include", 7) != NULL)
		return 0;
	fd = memfd_create("conf", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	MUST(fchmod(fd, 0600) == 0);
	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pl_faults_init(&faults);
	if (pl_conf_read(&root, path, spec, &faults, NULL) == PL_OK) {
		check_section(root, spec, lines);
		check_faults(&faults, path);
	} else {
		MUST(root == NULL && size > 0 &&
		    (memchr(data, 0, size) != NULL || size > PL_LIM_CONFIG));
	}
	pl_conf_free(root);
	pl_faults_clear(&faults);
	close(fd);
	return 0;
}
