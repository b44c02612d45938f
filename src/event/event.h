/* SPDX-License-Identifier: Apache-2.0 */
/* The noun: one thing a sender told us once. Filled by provider and core from a request, written by a store, read back
 * as a record. A transaction is (source, transaction_id); an event is (transaction, event_key). */
#ifndef PAYHOOK_EVENT_EVENT_H
#define PAYHOOK_EVENT_EVENT_H

#include "base/str.h"

/* What the sender's proof covered. */
// clang-format off
#define AUTHENTICATIONS(X) X(NONE, "none") X(BODY, "body") X(FIELDS, "fields") X(TOKEN, "token") X(IAM, "iam") X(INVOKE, "invoke")
// clang-format on
enum authenticated {
#define X(name, word) AUTHENTICATED_##name,
    AUTHENTICATIONS(X)
#undef X
};
const char *authenticated_word(enum authenticated authenticated);
/* False where the word is none of them. */
bool authenticated_read(struct str word, enum authenticated *ret_authenticated);

/* What became of an event in a commit. */
enum outcome {
    OUTCOME_FAILED,    /* not stored; a later try may succeed */
    OUTCOME_STORED,    /* durable */
    OUTCOME_DUPLICATE, /* the same event was durable before, or is stored by the same commit */
    OUTCOME_CONFLICT,  /* the key was used before with other bytes, and bytes_must_match: nothing stored */
};

/* The built-in source of POST /. */
#define SOURCE_DEFAULT STR("default")

/* Slices belong to whoever filled them. Optional texts have ptr NULL where there is none. */
struct event {
    struct str source;
    struct str transaction_id;
    struct str event_key;
    struct str event_id;     /* optional: the provider's own id */
    struct str event_type;   /* optional */
    struct str unreadable;   /* optional: why an authentic body holds no event */
    struct str payload;      /* the body as received; of a batch, the item's bytes */
    struct str request_body; /* optional: of a batch, the whole body, the same slice in each of its events */
    struct str headers;      /* kept headers, "name: value\n" each, names in lower case */
    struct str method;
    struct str target;
    struct str environment;
    struct str processed_by;
    int64_t received_us;    /* unix microseconds */
    int32_t matched_secret; /* from 0; -1 where no secret is involved */
    enum authenticated authenticated;
    uint8_t payload_sha256[32];
    uint8_t content_sha256[32]; /* of what was said; read only where look_for_repeats */
    bool look_for_repeats; /* the key holds an id that no digest covers: name an earlier event of this source with the
                              same content */
    bool bytes_must_match; /* the same key with other payload bytes is a conflict, not a duplicate */
};

/* An event as a store gives it back. Valid only during the call that hands it over. */
struct event_record {
    uint64_t seq; /* the store's own order, from 1 */
    struct event event;
    struct str received_at; /* "2026-11-23T19:08:50.123456" */
    int64_t timestamp;      /* unix seconds */
    struct str repeats;     /* optional: event key of the first event with the same content */
    bool damaged;           /* the payload's checksum does not match */
};

#endif
