/* SPDX-License-Identifier: Apache-2.0 */
/* The two calls that carry every webhook, whatever the door and the store.
 *
 * ingest_check is pure: bytes, configuration and the time go in; a verdict and 0 to BATCH_EVENTS_MAX events come out.
 * Where the verdict is not ACCEPT, it is the answer. ingest_commit is durable: accepted requests go in, and each one's
 * verdict becomes what happened to its events, after the sync. Between the two nothing is promised. */
#ifndef PAYHOOK_CORE_INGEST_H
#define PAYHOOK_CORE_INGEST_H

#include "core/config.h"
#include "store/store.h"

enum door {
    DOOR_SERVER, /* HTTP: POST / is checked by AWS Signature Version 4 */
    DOOR_URL,    /* a function URL whose event says that AWS_IAM let the caller in */
    DOOR_INVOKE, /* a direct invoke */
};

/* Who answers: by the raw path alone, before there is a body. */
struct ingest_route {
    enum verdict verdict;        /* ACCEPT, NOT_FOUND, METHOD_NOT_ALLOWED, UNAVAILABLE (the sources are not known) */
    const struct source *source; /* NULL where NOT_FOUND or UNAVAILABLE */
};
struct ingest_route ingest_find(const struct config *config, const struct http_request *request);

/* One request between its check and its reply. Slices point into the request, the arena and the configuration, which
 * must outlive it. */
struct ingest {
    enum verdict verdict;
    const struct source *source; /* NULL where no source was found */
    struct str reason;           /* for our own log; may be empty */
    int refusal_status;          /* see provider.h */
    struct str reply_body;       /* see provider.h */
    struct str key_url;          /* NEED_KEY */
    int64_t skew_s;
    struct event *events;
    uint32_t event_count;
    uint32_t duplicate_count; /* after the commit: how many were there already */
};

/* Fills ret_ingest; never fails. */
void ingest_check(const struct config *config, const struct http_request *request, enum door door, int64_t now_us,
                  struct arena *arena, struct ingest *ret_ingest);

/* Room for one commit: events[i] and outcomes[i], size of each. The caller keeps it between commits. */
struct ingest_scratch {
    const struct event **events;
    enum outcome *outcomes;
    size_t size;
};

/* Commits the events of many accepted requests in one step and sets each verdict: STORED, DUPLICATE (every event was
 * there), KEY_REUSED, or UNAVAILABLE. Together they may hold at most scratch->size events. The error is the store's:
 * ERR_SYNC means stop. */
struct err ingest_commit(struct store *store, struct ingest *const *ingests, size_t count,
                         const struct ingest_scratch *scratch) MUST_USE;

/* The reply of any verdict but ACCEPT. A full arena gives INTERNAL's. */
struct reply ingest_reply(const struct ingest *ingest, struct arena *arena);

#endif
