/* SPDX-License-Identifier: Apache-2.0 */
/* payhook version. Each room that stands on a library says which one it got. */
#include "app/options.h"
#include "codec/digest.h"
#include "store/store.h"

#include <event2/event.h>
#include <stdio.h>

int command_version(const struct options *options) {
    (void)options;
    printf("payhook %s\nlibraries: libevent %s, %s, SQLite %s\nbuild: %s, C %ld\n", PAYHOOK_VERSION,
           event_get_version(), digest_library(), store_library(), __VERSION__, __STDC_VERSION__);
    return EXIT_DONE;
}
