/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of sandbox.c where the build is instrumented: sanitizers start threads of their own, trace the process
 * and run a symbolizer, and coverage writes files beside the objects. It says so, so that nobody serves with such a
 * build unaware. */
#include "app/log.h"
#include "app/sandbox.h"

void sandbox_enter(const struct config *config) {
    (void)config;
    log_format(LOG_WARNING, "sandbox: none, since this is an instrumented build");
}
