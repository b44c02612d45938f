/* SPDX-License-Identifier: Apache-2.0 */
/* What a kind of store is made of. Only src/store includes this; everybody else uses store.h, whose front (store.c)
 * calls these and checks what goes in and what comes out, so that a backend only works. */
#ifndef PAYHOOK_STORE_BACKEND_H
#define PAYHOOK_STORE_BACKEND_H

#include "store/store.h"

/* state is the backend's own, from open to close. The functions keep to store.h, with these agreements:
 * - open: nothing is left behind where it fails, and the message holds its sentence.
 * - close: never gives up what was committed; after an ERR_SYNC or ERR_DAMAGED of commit it touches no stored byte.
 * - commit: only with STORE_WRITE and count > 0. On an error the outcomes are not looked at, and nothing of it is kept,
 * or, after ERR_SYNC, cannot be told.
 * - tend: comes from another thread than the others, also while one of those runs; never while open or close does.
 * - readings: without a payload, request_body is none too. damaged is set where the stored form contradicts itself; the
 *   payload's own checksum is the front's work. What only instructs a commit (content_sha256, look_for_repeats,
 *   bytes_must_match) is left zero. */
struct store_backend {
    const char *kind;
    const char *argument;     /* of a kind that is written "kind:ARGUMENT", which open gets for a path; else NULL */
    unsigned writers_max;     /* handles with STORE_WRITE that may be open at once */
    bool seq_per_transaction; /* see store_has_one_order */
    struct err (*open)(const char *path, enum store_access access, struct writer *message, void **ret_state);
    void (*close)(void *state);
    struct err (*commit)(void *state, const struct event *const *events, size_t count, enum outcome *ret_outcomes);
    struct err (*timeline)(void *state, struct str source, struct str transaction_id, store_each *each, void *context);
    struct err (*sources)(void *state, struct str transaction_id, store_each_source *each, void *context);
    struct err (*events)(void *state, const struct store_filter *filter, store_each *each, void *context);
    struct err (*examine)(void *state, struct writer *message);
    /* May be NULL: */
    bool (*wants_tending)(const void *state);
    struct err (*tend)(void *state);
    void (*name_sources)(void *state, const struct str *names, size_t count);
    void (*set_deadline)(void *state, int64_t mono_us);
    struct str (*complaint)(const void *state);
    struct aws *(*aws)(const void *state);
};

/* Those that a program has, NULL at the end: kinds.c, or of the function kinds_function.c. */
extern const struct store_backend *const store_kinds[];

extern const struct store_backend store_sqlite;
extern const struct store_backend store_memory;
extern const struct store_backend store_dynamodb;

/* The whole second an event came in, also where a clock stands before 1970. */
static inline int64_t store_timestamp(const struct event *event) {
    return event->received_us / 1000000 - (event->received_us % 1000000 < 0);
}

#endif
