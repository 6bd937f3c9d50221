/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Between the files config*.c only: a section whose keys an option table
 * describes.
 */
#ifndef PL_CONFIG_OPTIONS_H
#define PL_CONFIG_OPTIONS_H

#include "agent.h"

struct config_tables {
	const char *what, *name;		/* "provider", "rfc2136" */
	const struct pl_option *list[3];	/* the first that is NULL ends */
};

/*
 * Checks every key of the section against the tables and adds it to set;
 * what is missing or wrong becomes a fault.  The text of secrets that stand
 * in the file itself is wiped from the section.
 */
void config_options_load(struct pl_settings *set,
    const struct config_tables *tables, struct pl_conf_section *s,
    struct pl_faults *faults);

/* config-service.c: the sections service and notify. */
extern const struct pl_conf_spec config_service_spec[], config_notify_spec[];
void config_service_init(struct pl_service_conf *c);
void config_service_load(struct pl_service_conf *c, struct pl_faults *faults,
    const struct pl_conf_section *s);
void config_notify_load(struct pl_config *c, struct pl_faults *faults,
    const struct pl_conf_section *s);
void config_service_clear(struct pl_config *c);

/* config-deploy.c: the sections deploy, when all accounts are loaded. */
extern const struct pl_conf_spec config_deploy_spec[];
void config_deploy_load(struct pl_config *c, struct pl_faults *faults,
    struct pl_conf_section *s);
void config_deploy_clear(struct pl_config *c);

/* config-controller.c: order controllers, and ca-rules. */
void config_controller_load(struct pl_config *c, struct pl_faults *faults,
    struct pl_conf_section *s);
void config_rules_load(struct pl_config *c, struct pl_faults *faults);

/* Gives a path that stands in a configuration file, made absolute. */
char *config_path(const char *file, const char *path);

#endif
