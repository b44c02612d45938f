/* SPDX-License-Identifier: Apache-2.0 */
/* Events in a DynamoDB table: the store of the function, and of many servers that share one table. The table is the
 * user's (spec/stack.md): its key is transactionId, and an index of it is over timestamp.
 *
 * The stored form, version 1:
 *
 *   ID, ~SOURCE/ID         The head of a transaction: of the built-in source under the id itself, of a named source
 * under its name. (An id that is no UTF-8 text, or begins as no id should, stands there in base64, behind "//".)
 *       timestamp, receivedAt, environment, processedBy, and payload, payloadBase64 or payloadAt
 *                          The newest event: what a reader of the table, or of its index, finds. A payload over 32 KB
 * is in parts, and payloadAt has their keys. eventCount         How many events there are. An item without it is
 * another program's (see below). eventOrder         The last of them in order, "HASH MICROSECONDS" each: the hash of
 * the event's key, and when it was received. An event's seq is its place in the order. eventPages         How many
 * pages of 64 such entries were moved away before these; none: 0. event-HASH         A small event, whole; or the mark
 * of a larger one: its delivery and payloadSha256. eventsSize         About what those take together, in bytes. closed
 * Further events are items of their own, and have no attribute here.
 *   ~~event/HEAD/HASH      An event: what event-HASH would have, and the key of its transaction. HEAD is the hash of
 * that.
 *   ~~part/HEAD/HASH/N     380 KB of a payload: bytes.
 *   ~~order/HEAD/N         A page: eventOrder, never changed again. N from 1.
 *   ~~body/SHA256/N        380 KB of the whole body of a batch, under its digest: bytes. Its events name it.
 *   ~~content/SOURCE/SHA256
 *                          What was said, where the source asks for repeats: firstKey, the event key that said it
 * first, and secondKey, the first other one.
 *
 * Items that are ours alone begin with "~~" and have no timestamp, so that the user's index shows transactions only.
 * Hashes are the first 16 bytes of a SHA-256.
 *
 * Writing asks for PutItem and UpdateItem alone, and reads nothing: each write carries its conditions, and a condition
 * that does not hold brings back what there is. The usual event is one UpdateItem: "no event-HASH here, not closed,
 * eventsSize up to 16 KB". In a head that is closed or larger, the item of the event is its own mark; it is put where
 * it is not there, in one TransactWriteItems with the head's order and newest. The two conditions exclude each other
 * and a head never opens again, so that no event can be in both places. A payload's parts come in the same request; the
 * body of a batch comes before it, under a key that is its digest, and is nothing until an event names it. So every
 * event becomes visible by one request, whole. It costs at most three, whatever the length of the timeline: one that
 * finds the head closed, one that finds its order full, one that stores; and the bytes of that event, except that a
 * full order brings the head back, once in 64 events, and so does a duplicate (at most some 80 KB).
 *
 * A write that timed out may have landed, or land later. Each event of each commit has a random delivery id, stored
 * with it: a try that finds the event there with our id has been successful. A request is the same in each try, and a
 * transaction's ClientRequestToken too.
 *
 * An item without eventCount is the older handler's, which wrote whole items. Before our first event its attributes
 * become event 1, in the same request that adds ours, on the condition that it is still what was seen. What else it
 * holds stays. That handler's PutItem replaces whole items: it must not write beside us.
 *
 * It makes no table, deletes nothing, and does not repair. An upgrade of the form would be a new attribute beside
 * eventCount; there is none yet. */
#include "store/dynamodb.h"

#include "base/os.h"

#include <stdlib.h>

static const struct {
    const char *name, *target;
} operations[] = {
    [DYNAMODB_PUT_ITEM] = {"PutItem", "DynamoDB_20120810.PutItem"},
    [DYNAMODB_UPDATE_ITEM] = {"UpdateItem", "DynamoDB_20120810.UpdateItem"},
    [DYNAMODB_TRANSACT_WRITE_ITEMS] = {"TransactWriteItems", "DynamoDB_20120810.TransactWriteItems"},
    [DYNAMODB_GET_ITEM] = {"GetItem", "DynamoDB_20120810.GetItem"},
    [DYNAMODB_SCAN] = {"Scan", "DynamoDB_20120810.Scan"},
};

void dynamodb_start(struct dynamodb *d, enum dynamodb_operation operation, struct str body, int64_t deadline_us,
                    aws_done *done, void *context) {
    const struct aws_call call = {
        .service = "dynamodb",
        .operation = operations[operation].name,
        .amz_target = operations[operation].target,
        .body = body,
        .deadline_us = deadline_us,
        .trace_name = d->table,
    };
    aws_start(d->aws, &call, done, context);
}

int64_t dynamodb_deadline(const struct dynamodb *d) {
    return d->deadline_us != 0 ? d->deadline_us : os_mono_us() + (int64_t)DYNAMODB_DEADLINE_MS * 1000;
}

void dynamodb_complain(struct dynamodb *d, const char *what, struct err failure, const struct aws_answer *answer) {
    if (d->complaint_len > 0) return;
    struct writer w = writer_make(d->complaint, sizeof d->complaint);
    writer_format(&w, "could not %s in the table %s: ", what, d->table);
    if (failure.kind == ERR_ABSENT) {
        writer_put(&w, str_from(aws_trouble(d->aws)));
    } else if (answer != NULL && answer->error.len > 0) {
        writer_escaped(&w, answer->error);
        if (answer->error_message.len > 0) writer_put(&w, STR(": "));
        writer_escaped(&w, answer->error_message);
    } else {
        writer_put(&w, str_from(err_kind_text(failure.kind)));
    }
    d->complaint_len = w.len;
}

static void dynamodb_close(void *state) {
    struct dynamodb *d = state;
    aws_close(d->aws);
    free(d->sources);
    free(d);
}

static void name_sources(void *state, const struct str *names, size_t count) {
    struct dynamodb *d = state;
    free(d->sources);
    d->sources = calloc(count + 1, sizeof *d->sources);
    d->source_count = 0;
    if (d->sources == NULL) return; /* then none is found */
    for (size_t i = 0; i <= count; i++) {
        struct str name = i < count ? names[i] : SOURCE_DEFAULT;
        size_t at = d->source_count;
        check(name.len <= SOURCE_NAME_SIZE_MAX);
        while (at > 0 && str_order(name, str_from(d->sources[at - 1])) < 0)
            at--;
        if (at > 0 && str_eq(name, str_from(d->sources[at - 1]))) continue;
        memmove(d->sources[at + 1], d->sources[at], (d->source_count - at) * sizeof *d->sources);
        memset(d->sources[at], 0, sizeof *d->sources);
        memcpy(d->sources[at], name.ptr, name.len);
        d->source_count++;
    }
}

static struct err dynamodb_open(const char *table, enum store_access access, struct writer *message, void **ret_state) {
    (void)access; /* whoever may not, is told so by the service */
    if (!store_is_table(str_from(table))) {
        writer_format(message, "the store \"dynamodb:TABLE\" needs the name of a table, not \"");
        writer_escaped(message, str_from(table));
        writer_char(message, '"');
        return err_make(ERR_INPUT, 0, "open the store");
    }
    struct dynamodb *d = calloc(1, sizeof *d);
    if (d == NULL) {
        writer_format(message, "no memory to open the store");
        return err_make(ERR_MEMORY, 0, "open the store");
    }
    memcpy(d->table, table, strlen(table) + 1);
    const struct aws_options options = {0};
    struct err opened = aws_open(&options, message, &d->aws);
    if (err_is(opened)) {
        free(d);
        return opened;
    }
    name_sources(d, NULL, 0);
    *ret_state = d;
    return err_ok();
}

static void set_deadline(void *state, int64_t mono_us) {
    struct dynamodb *d = state;
    d->deadline_us = mono_us;
}

static struct str complaint(const void *state) {
    const struct dynamodb *d = state;
    return str_make(d->complaint, d->complaint_len);
}

static struct aws *own_aws(const void *state) {
    const struct dynamodb *d = state;
    return d->aws;
}

const struct store_backend store_dynamodb = {
    .kind = "dynamodb",
    .argument = "TABLE",
    .writers_max = DYNAMODB_WRITERS,
    .seq_per_transaction = true,
    .open = dynamodb_open,
    .close = dynamodb_close,
    .commit = dynamodb_commit,
    .timeline = dynamodb_timeline,
    .sources = dynamodb_sources,
    .events = dynamodb_events,
    .name_sources = name_sources,
    .set_deadline = set_deadline,
    .complaint = complaint,
    .aws = own_aws,
};
