/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the DynamoDB store share. dynamodb.c has the stored form; nobody else includes this. */
#ifndef PAYHOOK_STORE_DYNAMODB_H
#define PAYHOOK_STORE_DYNAMODB_H

#include "net/aws.h"
#include "store/backend.h"
#include "store/dynamodb_layout.h"

enum { DYNAMODB_TABLE_SIZE_MAX = 255, DYNAMODB_COMPLAINT_SIZE_MAX = 512 };

struct dynamodb {
    struct aws *aws;
    char table[DYNAMODB_TABLE_SIZE_MAX + 1];
    int64_t deadline_us; /* monotonic; 0: each commit and reading has its own */
    char complaint[DYNAMODB_COMPLAINT_SIZE_MAX];
    size_t complaint_len;
    char (*sources)[SOURCE_NAME_SIZE_MAX + 1]; /* sorted, "default" among them */
    size_t source_count;
};

enum dynamodb_operation {
    DYNAMODB_PUT_ITEM,
    DYNAMODB_UPDATE_ITEM,
    DYNAMODB_TRANSACT_WRITE_ITEMS,
    DYNAMODB_GET_ITEM,
    DYNAMODB_SCAN,
};

/* Starts a call; body must live until done. */
void dynamodb_start(struct dynamodb *d, enum dynamodb_operation operation, struct str body, int64_t deadline_us,
                    aws_done *done, void *context);
int64_t dynamodb_deadline(const struct dynamodb *d);
/* Keeps the first reason since the complaint was cleared: what was tried, and what came of it (answer may be NULL). */
void dynamodb_complain(struct dynamodb *d, const char *what, struct err failure, const struct aws_answer *answer);

struct err dynamodb_commit(void *state, const struct event *const *events, size_t count, enum outcome *ret_outcomes);
struct err dynamodb_timeline(void *state, struct str source, struct str transaction_id, store_each *each,
                             void *context);
struct err dynamodb_sources(void *state, struct str transaction_id, store_each_source *each, void *context);
struct err dynamodb_events(void *state, const struct store_filter *filter, store_each *each, void *context);

#endif
