/* SPDX-License-Identifier: Apache-2.0 */
/* Events in memory, for tests and as the model the other stores are compared with: whatever it answers is right.
 *
 * Records in arrival order, each one block of memory that owns a copy of its event; everything is found by looking at
 * all of them. It is as slow as it is plain, keeps nothing when it is closed, and forgets nothing before. The path
 * means nothing. */
#include "codec/text.h"
#include "store/backend.h"

#include <stdlib.h>

struct kept {
    struct event_record record; /* its slices are in bytes, but for repeats, which is the earlier record's event key */
    bool look_for_repeats;
    uint8_t content_sha256[32];
    char bytes[];
};

struct memory {
    struct kept **kept;
    size_t count;
    size_t room;
};

static struct err memory_open(const char *path, enum store_access access, struct writer *message, void **ret_state) {
    (void)path;
    (void)access;
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        writer_format(message, "no memory to open the store");
        return err_make(ERR_MEMORY, 0, "open the store");
    }
    *ret_state = memory;
    return err_ok();
}

/* Back to count records. */
static void memory_cut(struct memory *memory, size_t count) {
    while (memory->count > count)
        free(memory->kept[--memory->count]);
}

static void memory_close(void *state) {
    struct memory *memory = state;
    memory_cut(memory, 0);
    free(memory->kept);
    free(memory);
}

static bool is_same(const struct event *a, const struct event *b) {
    return str_eq(a->transaction_id, b->transaction_id) && str_eq(a->event_key, b->event_key) &&
           str_eq(a->source, b->source);
}

static const struct kept *find_event(const struct memory *memory, const struct event *event) {
    for (size_t i = 0; i < memory->count; i++)
        if (is_same(&memory->kept[i]->record.event, event)) return memory->kept[i];
    return NULL;
}

/* The event key of the first event of this source with the same content under another key. */
static struct str find_repeated(const struct memory *memory, const struct event *event) {
    for (size_t i = 0; i < memory->count; i++) {
        const struct kept *kept = memory->kept[i];
        if (kept->look_for_repeats && str_eq(kept->record.event.source, event->source) &&
            memcmp(kept->content_sha256, event->content_sha256, sizeof kept->content_sha256) == 0 &&
            !str_eq(kept->record.event.event_key, event->event_key))
            return kept->record.event.event_key;
    }
    return STR_NONE;
}

enum { RECEIVED_AT_SIZE_MAX = 64 };

/* Moves the bytes of *slice behind *at. "None" stays none; a text that is not optional is at least an empty one. */
static void own(char **at, struct str *slice, bool optional) {
    if (optional && slice->ptr == NULL) return;
    if (slice->len > 0) memcpy(*at, slice->ptr, slice->len);
    slice->ptr = *at;
    *at += slice->len;
}

static struct kept *copy(const struct event *event) {
    size_t size = event->source.len + event->transaction_id.len + event->event_key.len + event->event_id.len +
                  event->event_type.len + event->unreadable.len + event->payload.len + event->request_body.len +
                  event->headers.len + event->method.len + event->target.len + event->environment.len +
                  event->processed_by.len + RECEIVED_AT_SIZE_MAX;
    struct kept *kept = malloc(sizeof *kept + size);
    if (kept == NULL) return NULL;
    *kept = (struct kept){.record.event = *event, .look_for_repeats = event->look_for_repeats};
    memcpy(kept->content_sha256, event->content_sha256, sizeof kept->content_sha256);

    struct event *ours = &kept->record.event;
    char *at = kept->bytes;
    own(&at, &ours->source, false);
    own(&at, &ours->transaction_id, false);
    own(&at, &ours->event_key, false);
    own(&at, &ours->event_id, true);
    own(&at, &ours->event_type, true);
    own(&at, &ours->unreadable, true);
    own(&at, &ours->payload, false);
    own(&at, &ours->request_body, true);
    own(&at, &ours->headers, false);
    own(&at, &ours->method, false);
    own(&at, &ours->target, false);
    own(&at, &ours->environment, false);
    own(&at, &ours->processed_by, false);
    struct writer received_at = writer_make(at, RECEIVED_AT_SIZE_MAX);
    text_received_at_write(&received_at, event->received_us);
    kept->record.received_at = writer_str(&received_at);
    kept->record.timestamp = store_timestamp(event);

    memset(ours->content_sha256, 0, sizeof ours->content_sha256);
    ours->look_for_repeats = false;
    ours->bytes_must_match = false;
    return kept;
}

static bool memory_add(struct memory *memory, const struct event *event) {
    if (memory->count == memory->room) {
        size_t room = memory->room > 0 ? 2 * memory->room : 64;
        struct kept **grown = realloc(memory->kept, room * sizeof(struct kept *));
        if (grown == NULL) return false;
        memory->kept = grown;
        memory->room = room;
    }
    struct kept *kept = copy(event);
    if (kept == NULL) return false;
    if (event->look_for_repeats) kept->record.repeats = find_repeated(memory, event);
    memory->kept[memory->count++] = kept;
    kept->record.seq = memory->count;
    return true;
}

static struct err memory_commit(void *state, const struct event *const *events, size_t count,
                                enum outcome *ret_outcomes) {
    struct memory *memory = state;
    size_t count_before = memory->count;
    for (size_t i = 0; i < count; i++) {
        const struct event *event = events[i];
        const struct kept *found = find_event(memory, event);
        if (found != NULL) {
            bool same = memcmp(found->record.event.payload_sha256, event->payload_sha256, 32) == 0;
            ret_outcomes[i] = event->bytes_must_match && !same ? OUTCOME_CONFLICT : OUTCOME_DUPLICATE;
        } else if (memory_add(memory, event)) {
            ret_outcomes[i] = OUTCOME_STORED;
        } else {
            memory_cut(memory, count_before);
            return err_make(ERR_MEMORY, 0, "store events");
        }
    }
    return err_ok();
}

static struct err memory_timeline(void *state, struct str source, struct str transaction_id, store_each *each,
                                  void *context) {
    struct memory *memory = state;
    for (size_t i = 0; i < memory->count; i++) {
        const struct event_record *record = &memory->kept[i]->record;
        if (!str_eq(record->event.transaction_id, transaction_id)) continue;
        if (!str_eq(record->event.source, source)) continue;
        if (!each(context, record)) break;
    }
    return err_ok();
}

static struct err memory_sources(void *state, struct str transaction_id, store_each_source *each, void *context) {
    struct memory *memory = state;
    struct str before = STR("");
    for (;;) {
        struct str next = STR_NONE; /* the least one behind the one before */
        for (size_t i = 0; i < memory->count; i++) {
            const struct event *event = &memory->kept[i]->record.event;
            if (str_eq(event->transaction_id, transaction_id) && str_order(event->source, before) > 0 &&
                (next.ptr == NULL || str_order(event->source, next) < 0))
                next = event->source;
        }
        if (next.ptr == NULL || !each(context, next)) return err_ok();
        before = next;
    }
}

static bool matches(const struct event_record *record, const struct store_filter *filter) {
    return record->seq > filter->after_seq && record->timestamp >= filter->since_s &&
           (filter->source.ptr == NULL || str_eq(record->event.source, filter->source));
}

static struct err memory_events(void *state, const struct store_filter *filter, store_each *each, void *context) {
    struct memory *memory = state;
    size_t first = memory->count;
    for (uint64_t found = 0; first > 0 && (filter->limit == 0 || found < filter->limit); first--)
        found += matches(&memory->kept[first - 1]->record, filter);
    for (size_t i = first; i < memory->count; i++) {
        struct event_record record = memory->kept[i]->record;
        if (!matches(&record, filter)) continue;
        if (!filter->with_payload) {
            record.event.payload = STR("");
            record.event.request_body = STR_NONE;
        }
        if (!each(context, &record)) break;
    }
    return err_ok();
}

static struct err memory_examine(void *state, struct writer *message) {
    (void)state;
    (void)message;
    return err_ok(); /* there is no form that could be damaged */
}

const struct store_backend store_memory = {
    .kind = "memory",
    .writers_max = 1,
    .open = memory_open,
    .close = memory_close,
    .commit = memory_commit,
    .timeline = memory_timeline,
    .sources = memory_sources,
    .events = memory_events,
    .examine = memory_examine,
};
