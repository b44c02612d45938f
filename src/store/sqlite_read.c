/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the SQLite store: one row at a time out of a short transaction, by a writer or by a connection of its own. */
#include "store/sqlite.h"

#include "base/limits.h"
#include "codec/digest.h"

#include <errno.h>
#include <stdlib.h>

/* Rows with seq from first to last that match. */
struct range {
    int64_t first;
    int64_t last;
    struct str source;
    int64_t since_s;
    bool with_payload;
};

static void bind_range(struct binder *b, const struct range *range) {
    sqlite_bind_i64(b, range->first);
    sqlite_bind_i64(b, range->last);
    sqlite_bind_optional(b, range->source);
    sqlite_bind_i64(b, range->since_s);
}

static bool row_reserve(struct sqlite_store *s, size_t size) {
    if (size <= s->row_size) return true;
    char *row = realloc(s->row, size);
    if (row == NULL) return false;
    s->row = row;
    s->row_size = size;
    return true;
}

/* A copy of each text and blob of the statement's row, so that the statement can be ended. cells[i].ptr is NULL where
 * it is neither. */
static bool copy_row(struct sqlite_store *s, sqlite3_stmt *statement, struct str *ret_cells, int count) {
    const void *bytes[COLUMN_COUNT] = {NULL};
    size_t size = 1;
    check(count <= COLUMN_COUNT);
    for (int i = 0; i < count; i++) {
        int type = sqlite3_column_type(statement, i);
        ret_cells[i] = STR_NONE;
        if (type != SQLITE_TEXT && type != SQLITE_BLOB) continue;
        bytes[i] = sqlite3_column_blob(statement, i);
        ret_cells[i] = str_make("", (size_t)sqlite3_column_bytes(statement, i));
        if (bytes[i] == NULL && ret_cells[i].len > 0) return false;
        size += ret_cells[i].len;
    }
    if (!row_reserve(s, size)) return false;
    char *at = s->row;
    for (int i = 0; i < count; i++) {
        if (ret_cells[i].ptr == NULL) continue;
        if (ret_cells[i].len > 0) memcpy(at, bytes[i], ret_cells[i].len);
        ret_cells[i].ptr = at;
        at += ret_cells[i].len;
    }
    return true;
}

/* The text of a column that always has one. */
static struct str needed(struct str cell, bool *damaged) {
    if (cell.ptr != NULL) return cell;
    *damaged = true;
    return STR("");
}

static bool copy_digest(struct str cell, uint8_t *ret_digest) {
    if (cell.ptr == NULL || cell.len != 32) return false;
    memcpy(ret_digest, cell.ptr, 32);
    return true;
}

/* Microseconds within the second, from "2026-11-23T19:08:50.123456". */
static int64_t microseconds(struct str received_at) {
    uint64_t value;
    if (received_at.len < 7 || received_at.ptr[received_at.len - 7] != '.') return 0;
    return str_u64(str_from_index(received_at, received_at.len - 6), 999999, &value) ? (int64_t)value : 0;
}

static bool is_request_intact(const struct str *cells) {
    uint8_t stored[32], sha256[32];
    if (cells[COLUMN_REQUEST_BODY].ptr == NULL || !copy_digest(cells[COLUMN_REQUEST_SHA256], stored)) return false;
    digest_sha256(cells[COLUMN_REQUEST_BODY], sha256);
    return digest_equal(stored, sha256, sizeof sha256);
}

static struct event_record record_of(sqlite3_stmt *statement, const struct str *cells, bool with_payload) {
    bool damaged = false;
    struct event_record r = {
        .seq = (uint64_t)sqlite3_column_int64(statement, COLUMN_SEQ),
        .timestamp = sqlite3_column_int64(statement, COLUMN_TIMESTAMP),
        .received_at = needed(cells[COLUMN_RECEIVED_AT], &damaged),
        .repeats = cells[COLUMN_REPEATS],
        .event =
            {
                .source = needed(cells[COLUMN_SOURCE], &damaged),
                .transaction_id = needed(cells[COLUMN_TRANSACTION_ID], &damaged),
                .event_key = needed(cells[COLUMN_EVENT_KEY], &damaged),
                .event_id = cells[COLUMN_EVENT_ID],
                .event_type = cells[COLUMN_EVENT_TYPE],
                .unreadable = cells[COLUMN_UNREADABLE],
                .payload = STR(""),
                .headers = needed(cells[COLUMN_HEADERS], &damaged),
                .method = needed(cells[COLUMN_METHOD], &damaged),
                .target = needed(cells[COLUMN_TARGET], &damaged),
                .environment = needed(cells[COLUMN_ENVIRONMENT], &damaged),
                .processed_by = needed(cells[COLUMN_PROCESSED_BY], &damaged),
                .matched_secret = -1,
            },
    };
    struct event *event = &r.event;
    if (__builtin_mul_overflow(r.timestamp, INT64_C(1000000), &event->received_us) ||
        __builtin_add_overflow(event->received_us, microseconds(r.received_at), &event->received_us)) {
        event->received_us = 0;
        damaged = true;
    }
    if (sqlite3_column_type(statement, COLUMN_MATCHED_SECRET) != SQLITE_NULL) {
        int64_t secret = sqlite3_column_int64(statement, COLUMN_MATCHED_SECRET);
        if (secret < 0 || secret > INT32_MAX)
            damaged = true;
        else
            event->matched_secret = (int32_t)secret;
    }
    if (!authenticated_read(needed(cells[COLUMN_AUTHENTICATED], &damaged), &event->authenticated)) damaged = true;
    if (!copy_digest(cells[COLUMN_PAYLOAD_SHA256], event->payload_sha256)) damaged = true;
    if (with_payload) {
        event->payload = needed(cells[COLUMN_PAYLOAD], &damaged);
        if (sqlite3_column_type(statement, COLUMN_REQUEST_SEQ) != SQLITE_NULL) {
            event->request_body = cells[COLUMN_REQUEST_BODY];
            if (!is_request_intact(cells)) damaged = true;
        }
    }
    r.damaged = damaged;
    return r;
}

/* The first row of the range, copied; the transaction has ended when it returns. */
static struct err read_row(struct sqlite_store *s, const struct range *range, bool *ret_found,
                           struct event_record *ret_record) {
    struct binder b = {.statement = s->statements[STATEMENT_ROW]};
    bind_range(&b, range);
    sqlite_bind_i64(&b, range->with_payload);
    int rc = b.rc == SQLITE_OK ? sqlite_step(b.statement) : b.rc;
    struct err result = err_ok();
    *ret_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        struct str cells[COLUMN_COUNT];
        int64_t seq = sqlite3_column_int64(b.statement, COLUMN_SEQ);
        if (!copy_row(s, b.statement, cells, COLUMN_COUNT))
            result = err_make(ERR_MEMORY, 0, "read events");
        else if (seq < range->first || seq > range->last) /* a page out of order */
            result = err_make(ERR_DAMAGED, 0, "read events");
        else
            *ret_record = record_of(b.statement, cells, range->with_payload);
    } else if (rc != SQLITE_DONE) {
        result = sqlite_failure(rc, false, "read events");
    }
    (void)sqlite3_reset(b.statement); /* repeats what step said */
    return result;
}

/* The seqs of one timeline, in malloc'd memory. Eight bytes an event, so that the rows need no transaction around them.
 */
static struct err timeline_seqs(struct sqlite_store *s, struct str source, struct str transaction_id,
                                int64_t **ret_seqs, size_t *ret_count) {
    int64_t *seqs = NULL;
    size_t count = 0, room = 0;
    struct binder b = {.statement = s->statements[STATEMENT_TIMELINE]};
    sqlite_bind_text(&b, transaction_id);
    sqlite_bind_text(&b, source);
    int rc = b.rc;
    while (rc == SQLITE_OK && (rc = sqlite_step(b.statement)) == SQLITE_ROW) {
        if (count == room) {
            size_t room_new = room > 0 ? 2 * room : 16;
            int64_t *grown = realloc(seqs, room_new * sizeof *seqs);
            if (grown == NULL) {
                rc = SQLITE_NOMEM;
                break;
            }
            seqs = grown;
            room = room_new;
        }
        seqs[count++] = sqlite3_column_int64(b.statement, 0);
        rc = SQLITE_OK;
    }
    (void)sqlite3_reset(b.statement); /* repeats what step said */
    if (rc != SQLITE_DONE) {
        free(seqs);
        return sqlite_failure(rc, false, "read a timeline");
    }
    *ret_seqs = seqs;
    *ret_count = count;
    return err_ok();
}

struct err sqlite_timeline(void *state, struct str source, struct str transaction_id, store_each *each, void *context) {
    struct sqlite_store *s = state;
    int64_t *seqs = NULL;
    size_t count = 0;
    TRY(timeline_seqs(s, source, transaction_id, &seqs, &count));
    struct err result = err_ok();
    for (size_t i = 0; i < count && !err_is(result); i++) {
        struct range range = {.first = seqs[i], .last = seqs[i], .since_s = INT64_MIN, .with_payload = true};
        struct event_record record;
        bool found = false;
        if (i == 0 || seqs[i] > seqs[i - 1]) result = read_row(s, &range, &found, &record);
        if (err_is(result)) break;
        if (!found) { /* the index names a row that is not there, or names it twice */
            result = err_make(ERR_DAMAGED, 0, "read a timeline");
            break;
        }
        /* The index says whose row it is. */
        if (!str_eq(record.event.source, source) || !str_eq(record.event.transaction_id, transaction_id))
            record.damaged = true;
        if (!each(context, &record)) break;
    }
    free(seqs);
    return result;
}

struct err sqlite_sources(void *state, struct str transaction_id, store_each_source *each, void *context) {
    struct sqlite_store *s = state;
    char before_memory[SOURCE_NAME_SIZE_MAX];
    struct str before = str_make(before_memory, 0);
    for (;;) {
        struct binder b = {.statement = s->statements[STATEMENT_SOURCE]};
        sqlite_bind_text(&b, transaction_id);
        sqlite_bind_text(&b, before);
        int rc = b.rc == SQLITE_OK ? sqlite_step(b.statement) : b.rc;
        struct str source = STR_NONE;
        bool copied = rc != SQLITE_ROW || copy_row(s, b.statement, &source, 1);
        (void)sqlite3_reset(b.statement); /* repeats what step said */
        if (rc == SQLITE_DONE) return err_ok();
        if (rc != SQLITE_ROW) return sqlite_failure(rc, false, "read the sources");
        if (!copied) return err_make(ERR_MEMORY, 0, "read the sources");
        if (source.len > SOURCE_NAME_SIZE_MAX || str_order(source, before) <= 0)
            return err_make(ERR_DAMAGED, 0, "read the sources");
        memcpy(before_memory, source.ptr, source.len);
        before.len = source.len;
        if (!each(context, before)) return err_ok();
    }
}

/* Narrows the range to where the newest `limit` matches begin. SQLITE_DONE: nothing matches. */
static int narrow(struct sqlite_store *s, struct range *range, uint64_t limit) {
    int64_t seq = 0;
    struct binder last = {.statement = s->statements[STATEMENT_LAST]};
    int rc = sqlite_run_number(&last, &range->last);
    if (rc == SQLITE_DONE) rc = SQLITE_CORRUPT; /* the row of sequence is gone */
    /* Beyond a given seq few rows are left, as with --follow; else the index tells where to begin. */
    if (rc == SQLITE_OK && range->since_s != INT64_MIN && range->first == 1) {
        struct binder b = {.statement = s->statements[STATEMENT_SINCE]};
        sqlite_bind_i64(&b, range->since_s);
        rc = sqlite_run_number(&b, &seq);
        if (rc == SQLITE_OK) range->first = seq;
    }
    if (rc == SQLITE_OK && limit > 0) {
        struct binder b = {.statement = s->statements[STATEMENT_NEWEST]};
        bind_range(&b, range);
        sqlite_bind_i64(&b, limit - 1 < INT64_MAX ? (int64_t)(limit - 1) : INT64_MAX);
        rc = sqlite_run_number(&b, &seq);
        if (rc == SQLITE_OK) range->first = seq;
        if (rc == SQLITE_DONE) rc = SQLITE_OK; /* fewer than that: all of them */
    }
    return rc;
}

struct err sqlite_events(void *state, const struct store_filter *filter, store_each *each, void *context) {
    struct sqlite_store *s = state;
    if (filter->after_seq >= INT64_MAX) return err_ok();
    struct range range = {.first = (int64_t)filter->after_seq + 1,
                          .source = filter->source,
                          .since_s = filter->since_s,
                          .with_payload = filter->with_payload};
    int rc = narrow(s, &range, filter->limit);
    if (rc == SQLITE_DONE) return err_ok();
    if (rc != SQLITE_OK) return sqlite_failure(rc, false, "read events");
    /* Each row in a transaction of its own; rows never change, and those stored meanwhile are beyond range.last. */
    while (range.first <= range.last) {
        struct event_record record;
        bool found;
        TRY(read_row(s, &range, &found, &record));
        if (!found || !each(context, &record)) break;
        range.first = (int64_t)record.seq + 1;
    }
    return err_ok();
}

/* SQLite's own check of pages and indexes. It says "ok", or one thing wrong a row, of which the first is enough. */
struct err sqlite_examine(void *state, struct writer *message) {
    struct sqlite_store *s = state;
    sqlite3_stmt *row = NULL;
    errno = 0;
    int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &row, NULL);
    if (rc == SQLITE_OK) rc = sqlite_step(row);
    struct err result = rc == SQLITE_ROW ? err_ok() : sqlite_failure(rc, false, "check the database");
    const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : sqlite3_errmsg(s->db);
    if (rc == SQLITE_ROW && (said == NULL || strcmp(said, "ok") != 0))
        result = err_make(ERR_DAMAGED, 0, "check the database");
    if (err_is(result)) writer_escaped(message, str_from(said != NULL ? said : "no answer"));
    (void)sqlite3_finalize(row); /* repeats what step said */
    return result;
}
