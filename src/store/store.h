/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps events: the contract every backend holds to, and the front that checks it for all of them. tests/contract
 * runs one suite over each.
 *
 * - commit is durable: when it returns ERR_OK, every event with OUTCOME_STORED or OUTCOME_DUPLICATE is on stable
 *   storage.
 * - An event (source, transaction_id, event_key) is stored at most once, within one commit as across them; the first
 *   payload stands.
 * - seq grows with every stored event and is never given twice; order is seq, never a clock.
 * - After a commit that ended in ERR_SYNC or ERR_DAMAGED nothing can be believed any more: every later call gets the
 *   same error, for good.
 *
 * A store belongs to one thread at a time. */
#ifndef PAYHOOK_STORE_STORE_H
#define PAYHOOK_STORE_STORE_H

#include "base/err.h"
#include "event/event.h"

struct store;

enum store_access {
    STORE_READ,  /* beside a running server; never makes it wait */
    STORE_WRITE, /* the one writer */
};

/* kind: "sqlite" or "memory". path: the data folder (sqlite). message gets a sentence for the operator where it fails:
 * what is wrong and what to do. */
struct err store_open(const char *kind, const char *path, enum store_access access, struct writer *message,
                      struct store **ret_store) MUST_USE;
void store_close(struct store *store);

/* Stores many events, perhaps of many requests, in one step. ret_outcomes[i] belongs to events[i]. On an error no
 * outcome may be believed: all are FAILED. ERR_FULL: a later try may succeed. ERR_SYNC, ERR_DAMAGED: stop. Any other:
 * this commit failed. */
struct err store_commit(struct store *store, const struct event *const *events, size_t count,
                        enum outcome *ret_outcomes) MUST_USE;

/* Called for each record; false stops the reading. What only instructs a commit (content_sha256, look_for_repeats,
 * bytes_must_match) is not given back, and is zero. Texts that are not optional always have a ptr. */
typedef bool store_each(void *context, const struct event_record *record);

/* One timeline in seq order. */
struct err store_timeline(struct store *store, struct str source, struct str transaction_id, store_each *each,
                          void *context) MUST_USE;
/* The sources that have a transaction of this id, in alphabetical order; called with each name. */
typedef bool store_each_source(void *context, struct str source);
struct err store_sources(struct store *store, struct str transaction_id, store_each_source *each,
                         void *context) MUST_USE;

/* Events in arrival order. Of those that match, the newest `limit`, oldest first. */
struct store_filter {
    struct str source;  /* ptr NULL: all */
    int64_t since_s;    /* received at or after, unix seconds; INT64_MIN: all */
    uint64_t after_seq; /* only beyond this seq */
    uint64_t limit;     /* 0: no limit */
    bool with_payload;  /* else payload is empty, request_body none, and the checksums are not looked at */
};
struct err store_events(struct store *store, const struct store_filter *filter, store_each *each,
                        void *context) MUST_USE;

/* Looks at the stored form as a whole, which takes as long as reading it: ERR_DAMAGED with a sentence in message. The
 * payloads' own checksums are looked at by the readings above. */
struct err store_check(struct store *store, struct writer *message) MUST_USE;

/* The version of the embedded store's library, for `payhook version`. */
const char *store_library(void);

#endif
