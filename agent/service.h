/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to cmd-service.c and service-files.c. */
#ifndef PL_SERVICE_H
#define PL_SERVICE_H

#include "command.h"

/* What an installation has made, by the file that says so. */
struct service_list {
	const char *path;
	struct service_made {
		char *path, *digest;	/* digest "folder": a folder */
	} *made;
	size_t n;
};
void service_list_load(struct service_list *l, const char *path);
void service_list_clear(struct service_list *l);
void service_list_add(struct service_list *l, const char *path,
    const char *sum);
bool service_list_has(const struct service_list *l, const char *path);
enum pl_code service_list_save(const struct service_list *l,
    struct pl_err *err);

struct service_file {
	const char *path;
	const struct pl_buf *text;
	const char *owner;	/* user, with its group; NULL: root */
	bool group_only;	/* root's, in the user's group */
	unsigned mode;
};
enum pl_code service_put(struct service_list *l,
    const struct service_file *f, struct pl_err *err);
/* Is the file there still as it was made? */
bool service_same(const struct service_list *l, const char *path);
enum pl_code service_mkdir(struct service_list *l, const char *path,
    unsigned mode, struct pl_err *err);
/* False: it was changed since, or cannot be removed.  `purge`: changed or
 * not. */
bool service_remove(const char *path, const char *sum, bool purge);

#endif
