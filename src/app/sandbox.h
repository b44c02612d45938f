/* SPDX-License-Identifier: Apache-2.0 */
/* What the server gives up once it is set up, so that whoever takes it over finds little: no new privileges, no file
 * but those it needs, no program to run. */
#ifndef PAYHOOK_APP_SANDBOX_H
#define PAYHOOK_APP_SANDBOX_H

#include "core/config.h"

/* Enters, for good. Called once, when the data folder, the store, the listeners and all that the configuration names
 * are open, and before any thread is started (threads inherit it, and only from their maker). Never fails: what the
 * kernel does not offer is logged once, and the server goes on without. A file that a later configuration names
 * elsewhere is then ERR_OUTSIDE (base/os.h). */
void sandbox_enter(const struct config *config);

#endif
