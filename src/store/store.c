/* SPDX-License-Identifier: Apache-2.0 */
/* The front of every store: finds the backend by its name, and holds it to the contract of store.h.
 *
 * What goes in is checked before the backend sees it, and what comes out before the caller does: every outcome is set,
 * seq strictly grows, a reading holds only what was asked for. A breach is a bug of ours and stops the program; stored
 * bytes that are not what was stored are no bug, and come out flagged (event_record.damaged) or as ERR_DAMAGED. The
 * payload's checksum is looked at here, once for all backends.
 *
 * After a commit or tending that ended in ERR_SYNC or ERR_DAMAGED the store answers nothing any more: what the kernel
 * did with the pages of a failed sync cannot be known, so that neither a later success nor a duplicate found could be
 * believed.
 *
 * It keeps no data and takes no locks. */
#include "store/store.h"

#include "base/limits.h"
#include "codec/digest.h"
#include "store/backend.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { STORE_MAGIC = 0x70686b73 };

struct store {
    unsigned magic;
    enum store_access access;
    const struct store_backend *backend;
    void *state;
    struct err stopped; /* the commit's failure after which nothing is answered; ERR_OK while all is well */
    atomic_bool tending_stopped;
    struct err tending_failed; /* the same of a tending, before tending_stopped is set */
};

/* The backend that a kind names, and what stands behind its colon; NULL where there is none. */
static const struct store_backend *find_backend(const char *kind, const char **ret_argument) {
    struct str name = str_from(kind), argument = STR_NONE;
    (void)str_cut(name, ':', &name, &argument); /* without a colon there is no argument */
    for (size_t i = 0; store_kinds[i] != NULL; i++) {
        if (!str_eq(name, str_from(store_kinds[i]->kind))) continue;
        if ((argument.ptr != NULL) != (store_kinds[i]->argument != NULL)) return NULL;
        *ret_argument = argument.ptr; /* the rest of kind, and so NUL-terminated */
        return store_kinds[i];
    }
    return NULL;
}

struct err store_open(const char *kind, const char *path, enum store_access access, struct writer *message,
                      struct store **ret_store) {
    check(message != NULL);
    const char *argument = NULL;
    const struct store_backend *backend = find_backend(kind, &argument);
    if (backend == NULL) {
        writer_format(message, "there is no store of the kind \"%s\"; there are", kind);
        for (size_t i = 0; store_kinds[i] != NULL; i++)
            writer_format(message, " %s%s%s", store_kinds[i]->kind, store_kinds[i]->argument != NULL ? ":" : "",
                          store_kinds[i]->argument != NULL ? store_kinds[i]->argument : "");
        return err_make(ERR_INPUT, 0, "open the store");
    }
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        writer_format(message, "no memory to open the store");
        return err_make(ERR_MEMORY, 0, "open the store");
    }
    *store = (struct store){.magic = STORE_MAGIC, .access = access, .backend = backend};
    struct err opened = backend->open(argument != NULL ? argument : path, access, message, &store->state);
    if (err_is(opened)) {
        check(message->len > 0 || message->overflow);
        free(store);
        return opened;
    }
    *ret_store = store;
    return err_ok();
}

void store_close(struct store *store) {
    if (store == NULL) return;
    check(store->magic == STORE_MAGIC);
    store->backend->close(store->state);
    store->magic = 0;
    free(store);
}

bool store_is_table(struct str name) {
    if (name.len < 3 || name.len > 255) return false;
    for (size_t i = 0; i < name.len; i++)
        if (!str_has(STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"), name.ptr[i]))
            return false;
    return true;
}

unsigned store_writers_max(const char *kind) {
    const char *argument;
    const struct store_backend *backend = find_backend(kind, &argument);
    return backend != NULL ? backend->writers_max : 1;
}

bool store_has_one_order(const struct store *store) {
    check(store->magic == STORE_MAGIC);
    return !store->backend->seq_per_transaction;
}

void store_name_sources(struct store *store, const struct str *names, size_t count) {
    check(store->magic == STORE_MAGIC);
    if (store->backend->name_sources != NULL) store->backend->name_sources(store->state, names, count);
}

void store_set_deadline(struct store *store, int64_t mono_us) {
    check(store->magic == STORE_MAGIC);
    if (store->backend->set_deadline != NULL) store->backend->set_deadline(store->state, mono_us);
}

struct str store_complaint(const struct store *store) {
    check(store->magic == STORE_MAGIC);
    return store->backend->complaint != NULL ? store->backend->complaint(store->state) : STR("");
}

struct aws *store_aws(const struct store *store) {
    check(store->magic == STORE_MAGIC);
    return store->backend->aws != NULL ? store->backend->aws(store->state) : NULL;
}

static struct err stopped(const struct store *store) {
    if (err_is(store->stopped)) return store->stopped;
    return atomic_load(&store->tending_stopped) ? store->tending_failed : err_ok();
}

bool store_has_tending(const struct store *store) {
    check(store->magic == STORE_MAGIC);
    return store->access == STORE_WRITE && store->backend->tend != NULL;
}

bool store_wants_tending(const struct store *store) {
    return store_has_tending(store) && store->backend->wants_tending(store->state);
}

struct err store_tend(struct store *store) {
    check(store_has_tending(store));
    if (atomic_load(&store->tending_stopped)) return store->tending_failed;
    struct err tended = store->backend->tend(store->state);
    if (tended.kind == ERR_SYNC || tended.kind == ERR_DAMAGED) {
        store->tending_failed = tended;
        atomic_store(&store->tending_stopped, true);
    }
    return tended;
}

static void check_event(const struct event *event) {
    check(event->source.len > 0);
    check(event->source.len <= SOURCE_NAME_SIZE_MAX);
    check(event->transaction_id.len > 0);
    check(event->transaction_id.len <= TRANSACTION_ID_SIZE_MAX);
    check(event->event_key.len > 0);
    check(event->event_key.len <= EVENT_KEY_SIZE_MAX);
    check(event->event_type.len <= EVENT_TYPE_SIZE_MAX);
    check(event->headers.len <= KEPT_HEADERS_SIZE_MAX);
    check(event->matched_secret >= -1);
}

/* No value of enum outcome: what a backend forgot to set. */
static const enum outcome outcome_unset = (enum outcome)0x7f;

struct err store_commit(struct store *store, const struct event *const *events, size_t count,
                        enum outcome *ret_outcomes) {
    check(store->magic == STORE_MAGIC);
    check(store->access == STORE_WRITE);
    for (size_t i = 0; i < count; i++) {
        check_event(events[i]);
        ret_outcomes[i] = outcome_unset;
    }
    struct err committed = stopped(store);
    if (!err_is(committed) && count > 0) {
        committed = store->backend->commit(store->state, events, count, ret_outcomes);
        if (committed.kind == ERR_SYNC || committed.kind == ERR_DAMAGED) store->stopped = committed;
    }
    for (size_t i = 0; i < count; i++) {
        if (err_is(committed)) ret_outcomes[i] = OUTCOME_FAILED;
        check(ret_outcomes[i] >= OUTCOME_FAILED);
        check(ret_outcomes[i] <= OUTCOME_CONFLICT);
        check(ret_outcomes[i] != OUTCOME_CONFLICT || events[i]->bytes_must_match);
    }
    return committed;
}

/* One reading: whom the records go to, and what they must be. */
struct reading {
    store_each *each;
    void *context;
    struct str source;         /* ptr NULL: any */
    struct str transaction_id; /* the same */
    int64_t since_s;
    uint64_t seq; /* of the record before */
    bool by_time; /* seq is of one transaction, and here are many: what grows is the time */
    int64_t received_us;
    uint64_t left; /* records that may still come */
    bool with_payload;
};

static bool is_asked_for(struct str value, struct str wanted) { return wanted.ptr == NULL || str_eq(value, wanted); }

static bool pass_on(void *context, const struct event_record *given) {
    struct reading *reading = context;
    struct event_record record = *given;
    check(record.seq > (reading->by_time ? 0 : reading->seq));
    check(!reading->by_time || record.damaged || record.event.received_us >= reading->received_us);
    check(reading->left > 0);
    check(record.timestamp >= reading->since_s);
    /* A flipped bit may have changed either; then the backend has said so. */
    check(record.damaged || is_asked_for(record.event.source, reading->source));
    check(record.damaged || is_asked_for(record.event.transaction_id, reading->transaction_id));
    reading->seq = record.seq;
    if (!record.damaged) reading->received_us = record.event.received_us;
    reading->left--;
    if (reading->with_payload) {
        uint8_t sha256[32];
        digest_sha256(record.event.payload, sha256);
        if (!digest_equal(sha256, record.event.payload_sha256, sizeof sha256)) record.damaged = true;
    } else {
        check(record.event.payload.len == 0);
        check(record.event.request_body.ptr == NULL);
    }
    return reading->each(reading->context, &record);
}

struct err store_timeline(struct store *store, struct str source, struct str transaction_id, store_each *each,
                          void *context) {
    check(store->magic == STORE_MAGIC);
    check(source.ptr != NULL);
    check(transaction_id.ptr != NULL);
    TRY(stopped(store));
    struct reading reading = {.each = each,
                              .context = context,
                              .source = source,
                              .transaction_id = transaction_id,
                              .since_s = INT64_MIN,
                              .left = UINT64_MAX,
                              .with_payload = true};
    return store->backend->timeline(store->state, source, transaction_id, pass_on, &reading);
}

struct naming {
    store_each_source *each;
    void *context;
    char before[SOURCE_NAME_SIZE_MAX];
    size_t before_len;
};

static bool pass_name_on(void *context, struct str source) {
    struct naming *naming = context;
    check(source.len <= sizeof naming->before);
    check(str_order(str_make(naming->before, naming->before_len), source) < 0);
    memcpy(naming->before, source.ptr, source.len);
    naming->before_len = source.len;
    return naming->each(naming->context, source);
}

struct err store_sources(struct store *store, struct str transaction_id, store_each_source *each, void *context) {
    check(store->magic == STORE_MAGIC);
    check(transaction_id.ptr != NULL);
    TRY(stopped(store));
    struct naming naming = {.each = each, .context = context};
    return store->backend->sources(store->state, transaction_id, pass_name_on, &naming);
}

struct err store_events(struct store *store, const struct store_filter *filter, store_each *each, void *context) {
    check(store->magic == STORE_MAGIC);
    TRY(stopped(store));
    check(filter->after_seq == 0 || store_has_one_order(store));
    struct reading reading = {.each = each,
                              .context = context,
                              .source = filter->source,
                              .since_s = filter->since_s,
                              .seq = filter->after_seq,
                              .by_time = !store_has_one_order(store),
                              .received_us = INT64_MIN,
                              .left = filter->limit > 0 ? filter->limit : UINT64_MAX,
                              .with_payload = filter->with_payload};
    return store->backend->events(store->state, filter, pass_on, &reading);
}

struct err store_check(struct store *store, struct writer *message) {
    check(store->magic == STORE_MAGIC);
    TRY(stopped(store));
    /* Where there is none the store keeps itself whole, and each payload's checksum is all there is to look at. */
    return store->backend->examine == NULL ? err_ok() : store->backend->examine(store->state, message);
}
