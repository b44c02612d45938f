/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps events: the contract every backend holds to, and the front that checks it for all of them. tests/contract
 * runs one suite over each.
 *
 * - commit is durable: when it returns ERR_OK, every event with OUTCOME_STORED or OUTCOME_DUPLICATE is on stable
 *   storage.
 * - An event (source, transaction_id, event_key) is stored at most once, within one commit as across them, whatever
 *   breaks off in between; the first payload stands.
 * - seq grows with every stored event and is never given twice; order is seq, never a clock. In one file seq is of all
 *   events. Where many write side by side (dynamodb) no such order exists: seq is of one transaction, from 1, and
 *   store_has_one_order says so.
 * - An embedded store keeps all events of a commit or none. Over a network each event is by itself: commit returns
 *   ERR_OK, an event that could not be stored before the deadline is OUTCOME_FAILED, and the others of the commit are
 *   not affected. store_complaint says why. A FAILED event may yet be found stored (an answer was lost): its sender's
 *   retry is then a duplicate.
 * - After a commit or a tending that ended in ERR_SYNC or ERR_DAMAGED nothing can be believed any more: every later
 * call gets the same error, for good. (Only store_tend after such a commit does nothing, and says nothing.)
 *
 * A handle belongs to one thread at a time, but for store_tend, which one other may call meanwhile. */
#ifndef PAYHOOK_STORE_STORE_H
#define PAYHOOK_STORE_STORE_H

#include "base/err.h"
#include "event/event.h"

struct aws;
struct store;

enum store_access {
    STORE_READ,  /* beside a running server; never makes it wait */
    STORE_WRITE, /* the one writer */
};

/* kind: "sqlite", "memory", or "dynamodb:TABLE". path: the data folder, which only sqlite uses; region, endpoint and
 * credentials of dynamodb come from the environment (net/aws.h), and nobody is asked before the first commit or
 * reading. message gets a sentence for the operator where it fails: what is wrong and what to do. */
struct err store_open(const char *kind, const char *path, enum store_access access, struct writer *message,
                      struct store **ret_store) MUST_USE;
void store_close(struct store *store);
/* The rule for names of tables. */
bool store_is_table(struct str name);
/* How many handles of this kind may write at once, each of a thread of its own: 1 where there can be one writer only.
 */
unsigned store_writers_max(const char *kind);
/* False: seq is of one transaction (see above); store_events then gives events by the time they were received, then by
 * seq, and takes no after_seq. */
bool store_has_one_order(const struct store *store);
/* The configured sources. A store that cannot list what it has (dynamodb) finds store_sources among these and the
 * built-in one; the others ignore them. */
void store_name_sources(struct store *store, const struct str *names, size_t count);
/* Until when commits and readings may take, by the monotonic clock; 0: each DYNAMODB_DEADLINE_MS. Only a store over a
 * network looks at it. */
void store_set_deadline(struct store *store, int64_t mono_us);
/* Why events of the last commit FAILED although it returned ERR_OK, or what more there is to say of the last reading's
 * failure: a sentence for the operator, or empty. Valid until the next call. */
struct str store_complaint(const struct store *store);
/* The store's own access to AWS (net/aws.h), for others of its thread between two of its calls; NULL: it has none. */
struct aws *store_aws(const struct store *store);

/* Stores many events, perhaps of many requests. ret_outcomes[i] belongs to events[i]. On an error no
 * outcome may be believed: all are FAILED. ERR_FULL: a later try may succeed. ERR_SYNC, ERR_DAMAGED: stop. Any other:
 * this commit failed. */
struct err store_commit(struct store *store, const struct event *const *events, size_t count,
                        enum outcome *ret_outcomes) MUST_USE;

/* Work that need not be done within commits, and would hold them up there: with sqlite, copying the write-ahead log to
 * the file. Whether a store has such work at all; whether there is some now, which the thread that commits asks after a
 * commit; and doing it, on another thread if wanted. Where nobody does it commits do, when it cannot wait any longer.
 */
bool store_has_tending(const struct store *store);
bool store_wants_tending(const struct store *store);
struct err store_tend(struct store *store) MUST_USE;

/* Called for each record; false stops the reading. What only instructs a commit (content_sha256, look_for_repeats,
 * bytes_must_match) is not given back, and is zero. Texts that are not optional always have a ptr. */
typedef bool store_each(void *context, const struct event_record *record);

/* One timeline in seq order. */
struct err store_timeline(struct store *store, struct str source, struct str transaction_id, store_each *each,
                          void *context) MUST_USE;
/* The sources that have a transaction of this id, in alphabetical order; called with each name. (dynamodb: of those
 * that store_name_sources has named.) */
typedef bool store_each_source(void *context, struct str source);
struct err store_sources(struct store *store, struct str transaction_id, store_each_source *each,
                         void *context) MUST_USE;

/* Events in arrival order. Of those that match, the newest `limit`, oldest first. (dynamodb: by time; a scan of the
 * whole table.) */
struct store_filter {
    struct str source;  /* ptr NULL: all */
    int64_t since_s;    /* received at or after, unix seconds; INT64_MIN: all */
    uint64_t after_seq; /* only beyond this seq; 0 where the store has no one order */
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
