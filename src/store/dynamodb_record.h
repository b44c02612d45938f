/* SPDX-License-Identifier: Apache-2.0 */
/* Events and heads as attributes: both directions of each side by side. The names stand in dynamodb.c. */
#ifndef PAYHOOK_STORE_DYNAMODB_RECORD_H
#define PAYHOOK_STORE_DYNAMODB_RECORD_H

#include "store/dynamodb_layout.h"
#include "store/dynamodb_wire.h"

/* An event on its way into a table. */
struct dynamodb_put {
    const struct event *event;
    struct dynamodb_hash hash;         /* of its event key */
    char delivery[DYNAMODB_HASH_SIZE]; /* drawn once for this event of this commit, so that we know our own write again
                                        */
    struct str repeats;
    struct str body; /* of a batch: the whole body; ptr NULL where there is none */
    bool body_apart; /* it is in items of its own, named by body_sha256 */
    uint8_t body_sha256[32];
    size_t size; /* what it counts against a head */
    bool own;    /* an item of its own, of which the head has only a mark */
};

/* How many items the body of a batch takes. */
unsigned dynamodb_body_parts(struct str body);

/* The attributes of an event, without braces. */
void dynamodb_record_write(struct wire *wire, const struct dynamodb_put *put, struct dynamodb_hash head);
/* The mark that a head keeps of an event with an item of its own. */
void dynamodb_mark_write(struct wire *wire, const struct dynamodb_put *put);
/* The attribute of a head that is an event's: "event-HASH", NUL behind. */
struct dynamodb_name {
    char text[6 + DYNAMODB_HASH_SIZE + 1];
};
struct dynamodb_name dynamodb_event_name(struct dynamodb_hash event);
/* payload, payloadBase64 or payloadAt of a head, and its value. */
struct str dynamodb_payload_name(struct str payload);
void dynamodb_payload_write(struct wire *wire, struct str payload, struct dynamodb_hash head,
                            struct dynamodb_hash event);

/* What is read. Slices point into the item and the arena. The keys of parts are lists (NULL: none). */
struct dynamodb_read {
    struct event event;
    struct str repeats;
    const struct json_t *payload_at, *body_at;
    bool bad; /* something is not as it was written */
};
/* source and transaction_id stay as the caller set them in ret_read->event. */
void dynamodb_record_read(const struct json_t *item, struct arena *arena, struct dynamodb_read *ret_read);
/* A mark or an event: true where it is all of the event. */
bool dynamodb_is_whole(const struct json_t *item);
/* An item that another program left under a transaction's key: as the event it was. */
bool dynamodb_is_foreign(const struct json_t *head);
void dynamodb_foreign_read(const struct json_t *head, struct arena *arena, struct event *ret_event);

#endif
