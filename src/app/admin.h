/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's own listener: GET /healthz, /readyz and /metrics, on a loop that its owner runs. Bounded in
 * connections and time; every connection ends with its reply. */
#ifndef PAYHOOK_APP_ADMIN_H
#define PAYHOOK_APP_ADMIN_H

#include "base/err.h"
#include "base/str.h"

#include <event2/event.h>

/* What it asks, on the thread of the loop. */
struct admin_asks {
    /* False: why says what is missing, in a few words. */
    bool (*ready)(void *context, struct writer *why);
    /* Malloc'd, ptr NULL where there is no memory. */
    struct str (*metrics)(void *context);
    void *context;
};

struct admin;

/* ret_port is the port it got where 0 was asked for. */
struct err admin_open(struct event_base *base, const char *host, uint16_t port, const struct admin_asks *asks,
                      struct admin **ret_admin, uint16_t *ret_port) MUST_USE;
/* Accepts NULL. */
void admin_close(struct admin *admin);

#endif
