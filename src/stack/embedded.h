/* SPDX-License-Identifier: Apache-2.0 */
/* The files of deploy/ that tools/embed makes into arrays when the program is built. */
#ifndef PAYHOOK_STACK_EMBEDDED_H
#define PAYHOOK_STACK_EMBEDDED_H

#include <stddef.h>

extern const char embedded_template[], embedded_artifacts[], embedded_import[]; /* NUL after the last byte */
extern const size_t embedded_template_size, embedded_artifacts_size, embedded_import_size;

#endif
