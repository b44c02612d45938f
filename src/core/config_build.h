/* SPDX-License-Identifier: Apache-2.0 */
/* What the two readers of configurations share (config.c for the file, config_secret.c for the function's secret): the
 * memory of a configuration that is being made. Only src/core includes this. */
#ifndef PAYHOOK_CORE_CONFIG_BUILD_H
#define PAYHOOK_CORE_CONFIG_BUILD_H

#include "core/config.h"

/* An empty configuration with one reference, or NULL where there is no memory. */
struct config *config_make(void);
/* A copy of text that lives as long as the configuration, with a NUL behind it. */
struct err config_keep(struct config *config, struct str text, char **ret_text) MUST_USE;
/* The reference is among what config_each_file names from here on. */
struct err config_keep_reference(struct config *config, struct str reference) MUST_USE;
/* The configuration owns the secret (from os_secret_alloc) from here on, also where this fails. */
struct err config_keep_secret(struct config *config, struct str secret) MUST_USE;
/* Puts the sources in the order that config_source looks for. */
void config_sort_sources(struct config *config);

#endif
