/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what dynamodb_commit.c wrote, with the operator's credentials: GetItem of keys that can be computed, always
 * consistent; and for `events`, which asks for what no key tells, a Scan of the whole table.
 *
 * A timeline is its head, the pages of its order, then the items of its events, a window at a time, so that memory
 * stays bounded whatever the length. A head and its pages may be read a moment apart: pages never change, and an
 * event's item is there before a head names it.
 *
 * A scan keeps one entry for each event that matches (key, hash, time), cuts them to the newest where a limit was
 * given, sorts by time, and only then reads the events. */
#include "store/dynamodb_record.h"

#include "codec/text.h"
#include "store/dynamodb.h"

#include <stdlib.h>

enum {
    WINDOW = 32,      /* items read side by side */
    ITEM_ROOM = 4096, /* what reading an item may need besides its own size */
    KEPT_MORE = 1024, /* entries of a scan beyond the limit before it is cut again */
};

/* ---- GetItem, many at once ---- */

struct fetch {
    struct dynamodb *d;
    struct dynamodb_key key;
    bool only_key; /* is it there? */
    struct wire request;
    struct json_t *root, *item; /* item NULL: it is not there */
    size_t size;                /* of the answer, which bounds what decoding needs */
    struct err failure;
};

static void on_item(void *context, struct err failure, const struct aws_answer *answer) {
    struct fetch *fetch = context;
    wire_done(&fetch->request);
    fetch->failure = failure;
    if (!err_is(failure) && answer->status == 200) {
        fetch->root = wire_parse(answer->body);
        fetch->item = wire_object(fetch->root, "Item");
        fetch->size = answer->body.len;
        if (fetch->root == NULL) fetch->failure = err_make(ERR_NETWORK, 0, "read an item");
    } else if (!err_is(failure)) {
        fetch->failure = err_make(ERR_DENIED, 0, "read an item");
    }
    if (err_is(fetch->failure)) dynamodb_complain(fetch->d, "read an item", fetch->failure, answer);
}

static void fetch_done(struct fetch *fetch) {
    wire_free(fetch->root);
    fetch->root = fetch->item = NULL;
}

static void fetches_done(struct fetch *fetches, size_t count) {
    for (size_t i = 0; i < count; i++)
        fetch_done(&fetches[i]);
}

/* At most WINDOW of them, whose keys are set. */
static struct err fetch_all(struct dynamodb *d, struct fetch *fetches, size_t count) {
    check(count <= WINDOW);
    int64_t deadline_us = dynamodb_deadline(d);
    for (size_t i = 0; i < count; i++) {
        struct fetch *fetch = &fetches[i];
        struct wire *wire = &fetch->request;
        fetch->d = d;
        wire_put(wire, STR("{\"TableName\":"));
        wire_string(wire, str_from(d->table));
        wire_put(wire, STR(",\"ConsistentRead\":true,\"Key\":{"));
        wire_text(wire, STR("transactionId"), dynamodb_key_str(&fetch->key));
        wire_put(wire, STR("}"));
        if (fetch->only_key) wire_put(wire, STR(",\"ProjectionExpression\":\"transactionId\""));
        wire_put(wire, STR("}"));
        if (wire->failed) {
            fetch->failure = err_make(ERR_MEMORY, 0, "read an item");
            continue;
        }
        dynamodb_start(d, DYNAMODB_GET_ITEM, wire_str(wire), deadline_us, on_item, fetch);
    }
    aws_run(d->aws);
    for (size_t i = 0; i < count; i++) {
        wire_done(&fetches[i].request);
        if (err_is(fetches[i].failure)) return fetches[i].failure;
    }
    return err_ok();
}

static struct err fetch_one(struct dynamodb *d, struct fetch *fetch) { return fetch_all(d, fetch, 1); }

/* ---- records ---- */

/* The bytes that a list of keys names, in order. *ret_bad where one is missing. */
static struct err read_parts(struct dynamodb *d, const struct json_t *keys, char **ret_memory, struct str *ret_bytes,
                             bool *ret_bad) {
    size_t count = wire_count(keys), size = 0;
    *ret_bytes = STR("");
    if (count > WINDOW) {
        *ret_bad = true;
        return err_ok();
    }
    struct fetch *fetches = calloc(WINDOW, sizeof *fetches);
    if (fetches == NULL) return err_make(ERR_MEMORY, 0, "read an event");
    for (size_t i = 0; i < count; i++) {
        struct str key = wire_list_text(keys, i);
        if (key.ptr == NULL || key.len > sizeof fetches[i].key.text) *ret_bad = true;
        fetches[i].key.len = *ret_bad ? 0 : key.len;
        if (!*ret_bad) memcpy(fetches[i].key.text, key.ptr, key.len);
    }
    struct err result = *ret_bad ? err_ok() : fetch_all(d, fetches, count);
    for (size_t i = 0; i < count; i++)
        size += fetches[i].size + ITEM_ROOM;
    char *memory = err_is(result) ? NULL : malloc(size + 1);
    if (!err_is(result) && memory == NULL) result = err_make(ERR_MEMORY, 0, "read an event");
    struct arena arena = arena_make(memory, memory != NULL ? size : 0);
    size_t len = 0;
    for (size_t i = 0; i < count && memory != NULL && !*ret_bad; i++) {
        size_t used = arena.used;
        struct str bytes = wire_attribute(fetches[i].item, "bytes", &arena, ret_bad);
        if (bytes.ptr == NULL) {
            *ret_bad = true;
            break;
        }
        check(len <= used);
        memmove(memory + len, bytes.ptr, bytes.len);
        len += bytes.len;
        arena.used = len;
    }
    fetches_done(fetches, WINDOW);
    free(fetches);
    *ret_memory = memory;
    if (memory != NULL) *ret_bytes = str_make(memory, len);
    return result;
}

struct handing {
    struct dynamodb *d;
    store_each *each;
    void *context;
    bool with_payload;
    bool stopped;
};

/* Reads one event of a transaction out of its item (NULL: it is missing) and hands it on. */
static struct err hand_over(struct handing *handing, const struct json_t *item, size_t item_size, bool foreign,
                            uint64_t seq, int64_t received_us, struct str source, struct str transaction_id) {
    char *memory = malloc(item_size + ITEM_ROOM), *payload = NULL, *body = NULL, text[64];
    if (memory == NULL) return err_make(ERR_MEMORY, 0, "read an event");
    struct arena arena = arena_make(memory, item_size + ITEM_ROOM);
    struct dynamodb_read read = {
        .event = {.source = source, .transaction_id = transaction_id, .received_us = received_us}};
    struct event *event = &read.event;
    if (item == NULL) {
        read.bad = true;
        event->event_key = event->payload = event->headers = event->method = event->target = STR("");
        event->environment = event->processed_by = STR("");
    } else if (foreign) {
        dynamodb_foreign_read(item, &arena, event);
    } else {
        dynamodb_record_read(item, &arena, &read);
    }
    struct err result = err_ok();
    if (!handing->with_payload) {
        event->payload = STR("");
        event->request_body = STR_NONE;
    } else {
        if (read.payload_at != NULL)
            result = read_parts(handing->d, read.payload_at, &payload, &event->payload, &read.bad);
        if (!err_is(result) && read.body_at != NULL)
            result = read_parts(handing->d, read.body_at, &body, &event->request_body, &read.bad);
    }
    if (!err_is(result)) {
        struct writer received_at = writer_make(text, sizeof text);
        text_received_at_write(&received_at, event->received_us);
        const struct event_record record = {
            .seq = seq,
            .event = *event,
            .received_at = writer_str(&received_at),
            .timestamp = store_timestamp(event),
            .repeats = read.repeats,
            .damaged = read.bad,
        };
        handing->stopped = !handing->each(handing->context, &record);
    }
    free(body);
    free(payload);
    free(memory);
    return result;
}

/* ---- the order of a transaction ---- */

struct order {
    struct dynamodb_entry *entries;
    size_t count, room;
};

static struct err take_entries(struct order *order, const struct json_t *list) {
    size_t count = wire_count(list);
    if (order->count + count > order->room) {
        size_t room = 2 * (order->count + count);
        struct dynamodb_entry *grown = realloc(order->entries, room * sizeof *grown);
        if (grown == NULL) return err_make(ERR_MEMORY, 0, "read a transaction");
        order->entries = grown;
        order->room = room;
    }
    for (size_t i = 0; i < count; i++)
        if (!dynamodb_entry_read(wire_list_text(list, i), &order->entries[order->count++]))
            return err_make(ERR_DAMAGED, 0, "read a transaction");
    return err_ok();
}

/* All of it: the pages, then the head's own. */
static struct err read_order(struct dynamodb *d, const struct json_t *head, struct dynamodb_hash hash,
                             struct order *order) {
    int64_t pages = 0, count = 0;
    if (!wire_integer(head, "eventCount", &count) ||
        (wire_has(head, "eventPages") && (!wire_integer(head, "eventPages", &pages) || pages < 0)))
        return err_make(ERR_DAMAGED, 0, "read a transaction");
    struct fetch *fetches = calloc(WINDOW, sizeof *fetches);
    if (fetches == NULL) return err_make(ERR_MEMORY, 0, "read a transaction");
    struct err result = err_ok();
    for (int64_t page = 1; page <= pages && !err_is(result);) {
        size_t window = 0;
        memset(fetches, 0, WINDOW * sizeof *fetches);
        for (; window < WINDOW && page <= pages; window++)
            dynamodb_page_key(hash, (uint64_t)page++, &fetches[window].key);
        result = fetch_all(d, fetches, window);
        for (size_t i = 0; i < window && !err_is(result); i++)
            result = take_entries(order, wire_list(fetches[i].item, "eventOrder"));
        fetches_done(fetches, window);
    }
    free(fetches);
    if (!err_is(result)) result = take_entries(order, wire_list(head, "eventOrder"));
    if (!err_is(result) && order->count != (size_t)count) result = err_make(ERR_DAMAGED, 0, "read a transaction");
    return result;
}

/* Of the event that an entry names: the head's map where it holds all of it, else NULL. */
static struct json_t *find_inline(const struct json_t *head, struct dynamodb_hash event) {
    struct json_t *map = wire_map(head, dynamodb_event_name(event).text);
    return map != NULL && dynamodb_is_whole(map) ? map : NULL;
}

static struct err hand_over_all(struct handing *handing, const struct fetch *head, struct dynamodb_hash hash,
                                const struct order *order, struct str source, struct str transaction_id) {
    struct fetch *fetches = calloc(WINDOW, sizeof *fetches);
    if (fetches == NULL) return err_make(ERR_MEMORY, 0, "read a transaction");
    struct err result = err_ok();
    for (size_t first = 0; first < order->count && !err_is(result) && !handing->stopped; first += WINDOW) {
        size_t window = order->count - first < WINDOW ? order->count - first : WINDOW, wanted = 0;
        struct fetch *of[WINDOW] = {NULL};
        memset(fetches, 0, WINDOW * sizeof *fetches);
        for (size_t i = 0; i < window; i++) {
            struct dynamodb_hash event = order->entries[first + i].hash;
            if (find_inline(head->item, event) != NULL) continue;
            dynamodb_event_key(hash, event, &fetches[wanted].key);
            of[i] = &fetches[wanted++];
        }
        result = fetch_all(handing->d, fetches, wanted);
        for (size_t i = 0; i < window && !err_is(result) && !handing->stopped; i++) {
            const struct dynamodb_entry *entry = &order->entries[first + i];
            const struct json_t *item = of[i] != NULL ? of[i]->item : find_inline(head->item, entry->hash);
            result = hand_over(handing, item, of[i] != NULL ? of[i]->size : head->size, false, first + i + 1,
                               entry->received_us, source, transaction_id);
        }
        fetches_done(fetches, wanted);
    }
    free(fetches);
    return result;
}

struct err dynamodb_timeline(void *state, struct str source, struct str transaction_id, store_each *each,
                             void *context) {
    struct dynamodb *d = state;
    d->complaint_len = 0;
    struct handing handing = {.d = d, .each = each, .context = context, .with_payload = true};
    struct fetch head = {0};
    struct order order = {0};
    if (source.len == 0 || source.len > SOURCE_NAME_SIZE_MAX || transaction_id.len == 0 ||
        transaction_id.len > TRANSACTION_ID_SIZE_MAX)
        return err_ok(); /* nothing was ever stored under such a name */
    dynamodb_head_key(source, transaction_id, &head.key);
    struct dynamodb_hash hash = dynamodb_hash_of(dynamodb_key_str(&head.key));
    struct err result = fetch_one(d, &head);
    if (!err_is(result) && head.item != NULL) {
        if (dynamodb_is_foreign(head.item)) {
            result = hand_over(&handing, head.item, head.size, true, 1, 0, source, transaction_id);
        } else {
            result = read_order(d, head.item, hash, &order);
            if (!err_is(result)) result = hand_over_all(&handing, &head, hash, &order, source, transaction_id);
        }
    }
    free(order.entries);
    fetch_done(&head);
    return result;
}

struct err dynamodb_sources(void *state, struct str transaction_id, store_each_source *each, void *context) {
    struct dynamodb *d = state;
    d->complaint_len = 0;
    if (transaction_id.len == 0 || transaction_id.len > TRANSACTION_ID_SIZE_MAX) return err_ok();
    struct fetch *fetches = calloc(WINDOW, sizeof *fetches);
    if (fetches == NULL) return err_make(ERR_MEMORY, 0, "look for a transaction");
    struct err result = err_ok();
    bool more = true;
    for (size_t first = 0; first < d->source_count && more && !err_is(result); first += WINDOW) {
        size_t window = d->source_count - first < WINDOW ? d->source_count - first : WINDOW;
        memset(fetches, 0, WINDOW * sizeof *fetches);
        for (size_t i = 0; i < window; i++) {
            dynamodb_head_key(str_from(d->sources[first + i]), transaction_id, &fetches[i].key);
            fetches[i].only_key = true;
        }
        result = fetch_all(d, fetches, window);
        for (size_t i = 0; i < window && more && !err_is(result); i++)
            if (fetches[i].item != NULL) more = each(context, str_from(d->sources[first + i]));
        fetches_done(fetches, window);
    }
    free(fetches);
    return result;
}

/* ---- all events ---- */

/* One event that matches: enough to sort it and to read it. */
struct match {
    int64_t received_us;
    uint64_t seq;
    struct dynamodb_hash hash;
    bool foreign, inside; /* inside: the head holds all of it */
    size_t key_len;
    char *key; /* the head's */
};

struct scan {
    struct dynamodb *d;
    const struct store_filter *filter;
    struct match *matches;
    size_t count, room;
    struct json_t *root; /* the answer that is looked at */
    struct err failure;
};

static int order_matches(const void *left, const void *right) {
    const struct match *a = left, *b = right;
    if (a->received_us != b->received_us) return a->received_us < b->received_us ? -1 : 1;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    return str_order(str_make(a->key, a->key_len), str_make(b->key, b->key_len));
}

/* Sorts them, and leaves the newest that the limit allows. */
static void cut(struct scan *scan) {
    if (scan->count == 0) return;
    qsort(scan->matches, scan->count, sizeof *scan->matches, order_matches);
    if (scan->filter->limit == 0 || scan->count <= scan->filter->limit) return;
    size_t dropped = scan->count - (size_t)scan->filter->limit;
    for (size_t i = 0; i < dropped; i++)
        free(scan->matches[i].key);
    scan->count -= dropped;
    memmove(scan->matches, scan->matches + dropped, scan->count * sizeof *scan->matches);
}

static struct err take_match(struct scan *scan, struct str key, struct match match) {
    const struct event moment = {.received_us = match.received_us};
    if (store_timestamp(&moment) < scan->filter->since_s) return err_ok();
    if (scan->filter->limit > 0 && scan->count >= scan->filter->limit && scan->count - scan->filter->limit >= KEPT_MORE)
        cut(scan);
    if (scan->count == scan->room) {
        size_t room = scan->room > 0 ? 2 * scan->room : KEPT_MORE;
        struct match *grown = realloc(scan->matches, room * sizeof *grown);
        if (grown == NULL) return err_make(ERR_MEMORY, 0, "list events");
        scan->matches = grown;
        scan->room = room;
    }
    match.key = malloc(key.len);
    if (match.key == NULL) return err_make(ERR_MEMORY, 0, "list events");
    memcpy(match.key, key.ptr, key.len);
    match.key_len = key.len;
    scan->matches[scan->count++] = match;
    return err_ok();
}

static struct err look_at(struct scan *scan, const struct json_t *head) {
    char memory[TRANSACTION_ID_SIZE_MAX];
    struct str source, id, key = wire_member(wire_object(head, "transactionId"), "S");
    if (key.ptr == NULL || !dynamodb_head_read(key, memory, &source, &id)) return err_ok();
    if (scan->filter->source.ptr != NULL && !str_eq(source, scan->filter->source)) return err_ok();
    if (dynamodb_is_foreign(head)) {
        char *room = malloc(1 << 20); /* an item is smaller */
        if (room == NULL) return err_make(ERR_MEMORY, 0, "list events");
        struct arena arena = arena_make(room, 1 << 20);
        struct event event = {0};
        dynamodb_foreign_read(head, &arena, &event);
        free(room);
        return take_match(scan, key, (struct match){.received_us = event.received_us, .seq = 1, .foreign = true});
    }
    struct order order = {0};
    struct err result = read_order(scan->d, head, dynamodb_hash_of(key), &order);
    for (size_t i = 0; i < order.count && !err_is(result); i++)
        result = take_match(scan, key,
                            (struct match){.received_us = order.entries[i].received_us,
                                           .seq = i + 1,
                                           .hash = order.entries[i].hash,
                                           .inside = find_inline(head, order.entries[i].hash) != NULL});
    free(order.entries);
    return result;
}

static void on_scanned(void *context, struct err failure, const struct aws_answer *answer) {
    struct scan *scan = context;
    scan->failure = failure;
    if (!err_is(failure) && answer->status == 200) {
        scan->root = wire_parse(answer->body);
        if (scan->root == NULL) scan->failure = err_make(ERR_NETWORK, 0, "read the table");
    } else if (!err_is(failure)) {
        scan->failure = err_make(ERR_DENIED, 0, "read the table");
    }
    if (err_is(scan->failure)) dynamodb_complain(scan->d, "read the table", scan->failure, answer);
}

static struct err scan_all(struct scan *scan) {
    struct err result;
    struct json_t *before = NULL;
    do {
        struct wire wire = {0};
        wire_put(&wire, STR("{\"TableName\":"));
        wire_string(&wire, str_from(scan->d->table));
        wire_put(&wire, STR(",\"ConsistentRead\":true,\"FilterExpression\":\"NOT begins_with(transactionId,:ours)\","
                            "\"ExpressionAttributeValues\":{\":ours\":{\"S\":\"~~\"}}"));
        if (before != NULL) {
            wire_name(&wire, STR("ExclusiveStartKey"));
            wire_again(&wire, before, "LastEvaluatedKey");
        }
        wire_put(&wire, STR("}"));
        scan->root = NULL;
        scan->failure = wire.failed ? err_make(ERR_MEMORY, 0, "read the table") : err_ok();
        if (!wire.failed) {
            dynamodb_start(scan->d, DYNAMODB_SCAN, wire_str(&wire), dynamodb_deadline(scan->d), on_scanned, scan);
            aws_run(scan->d->aws);
        }
        result = scan->failure;
        wire_done(&wire);
        wire_free(before);
        before = scan->root;
        const struct json_t *items = wire_array(before, "Items");
        for (size_t i = 0; i < wire_count(items) && !err_is(result); i++)
            result = look_at(scan, wire_at(items, i));
    } while (!err_is(result) && wire_object(before, "LastEvaluatedKey") != NULL);
    wire_free(before);
    return result;
}

static struct err hand_over_matches(struct scan *scan, struct handing *handing) {
    struct fetch *fetches = calloc(WINDOW, sizeof *fetches);
    if (fetches == NULL) return err_make(ERR_MEMORY, 0, "list events");
    struct err result = err_ok();
    for (size_t first = 0; first < scan->count && !err_is(result) && !handing->stopped; first += WINDOW) {
        size_t window = scan->count - first < WINDOW ? scan->count - first : WINDOW;
        memset(fetches, 0, WINDOW * sizeof *fetches);
        for (size_t i = 0; i < window; i++) {
            const struct match *match = &scan->matches[first + i];
            struct str key = str_make(match->key, match->key_len);
            if (match->foreign || match->inside) {
                memcpy(fetches[i].key.text, key.ptr, key.len);
                fetches[i].key.len = key.len;
            } else {
                dynamodb_event_key(dynamodb_hash_of(key), match->hash, &fetches[i].key);
            }
        }
        result = fetch_all(scan->d, fetches, window);
        for (size_t i = 0; i < window && !err_is(result) && !handing->stopped; i++) {
            const struct match *match = &scan->matches[first + i];
            char memory[TRANSACTION_ID_SIZE_MAX];
            struct str source = STR(""), id = STR("");
            check(dynamodb_head_read(str_make(match->key, match->key_len), memory, &source, &id));
            const struct json_t *item = fetches[i].item;
            /* Adopted since it was scanned: then its own event is another entry's form, and the first of its order. */
            bool foreign = match->foreign && item != NULL && dynamodb_is_foreign(item);
            if (match->foreign && !foreign) continue;
            if (match->inside && item != NULL) item = find_inline(item, match->hash);
            result = hand_over(handing, item, fetches[i].size, foreign, match->seq, match->received_us, source, id);
        }
        fetches_done(fetches, window);
    }
    free(fetches);
    return result;
}

struct err dynamodb_events(void *state, const struct store_filter *filter, store_each *each, void *context) {
    struct dynamodb *d = state;
    d->complaint_len = 0;
    struct scan scan = {.d = d, .filter = filter};
    struct handing handing = {.d = d, .each = each, .context = context, .with_payload = filter->with_payload};
    struct err result = scan_all(&scan);
    if (!err_is(result)) {
        cut(&scan);
        result = hand_over_matches(&scan, &handing);
    }
    for (size_t i = 0; i < scan.count; i++)
        free(scan.matches[i].key);
    free(scan.matches);
    return result;
}
