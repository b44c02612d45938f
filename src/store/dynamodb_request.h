/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that store an event, written from what is known of its transaction. */
#ifndef PAYHOOK_STORE_DYNAMODB_REQUEST_H
#define PAYHOOK_STORE_DYNAMODB_REQUEST_H

#include "store/dynamodb_record.h"

/* How the head takes the event. Each has a condition that holds in one state of the head only. */
enum dynamodb_mode {
    DYNAMODB_OPEN,   /* a head that is not there yet, or has room: it holds the event, or a mark of it */
    DYNAMODB_CLOSED, /* the head has no room: the event's item is also its mark */
    DYNAMODB_TURN,   /* the same, and the head's order is full: it is moved to a page */
    DYNAMODB_ADOPT,  /* the head is another program's item: it becomes event 1 */
};

/* What the marker of the event's content needs. */
enum dynamodb_content {
    DYNAMODB_CONTENT_NONE,   /* nothing */
    DYNAMODB_CONTENT_FIRST,  /* to be made: nobody has said this before */
    DYNAMODB_CONTENT_SECOND, /* to be told of the second key under which it was said */
};

struct dynamodb_plan {
    struct str table;
    struct dynamodb_key head_key;
    struct dynamodb_hash head;
    enum dynamodb_mode mode;
    enum dynamodb_content content;
    struct dynamodb_put put;
    struct dynamodb_put foreign; /* ADOPT: what becomes event 1 */
    bool is_foreign;             /* ADOPT: the event is that one itself, and only the head is changed */
    const struct json_t *seen;   /* TURN and ADOPT: the head as it was seen */
    bool want_head;              /* give the head back where its condition does not hold */
    unsigned tries;              /* requests before this one */
};

/* Where the answer's reasons are; -1 where there is no such operation. The head is 0. */
struct dynamodb_reasons {
    bool single; /* one UpdateItem: there are no reasons */
    int content, event;
};

/* The whole request body. */
void dynamodb_request_write(struct wire *wire, const struct dynamodb_plan *plan, struct dynamodb_reasons *ret_reasons);
/* The body of a batch in items of its own: a PutItem, or a TransactWriteItems where it takes several (*ret_single). */
void dynamodb_body_write(struct wire *wire, struct str table, struct str body, const uint8_t sha256[32],
                         const char token[DYNAMODB_HASH_SIZE], unsigned tries, bool *ret_single);

#endif
