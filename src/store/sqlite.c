/* SPDX-License-Identifier: Apache-2.0 */
/* Events in one SQLite file, DATA/payhook.db: the store of a server on one machine, readable by a person with sqlite3.
 *
 * The stored form, version 1 (PRAGMA user_version; application_id says that the file is ours):
 *
 *   table event            One row an event, in arrival order. "What came in?"
 *   index event_identity   "Do we have this event?", for every commit; a transaction's timeline and sources.
 *   index event_timestamp  "What came in since?"
 *   index event_content    "Was this said before under another key?" Only rows whose event asks for that have a
 *                          content_sha256, and only those are in it.
 *   table sequence         One row. No new event gets a seq up to its floor, which the trigger event_deleted raises, so
 * that a seq is never given twice, whoever deletes rows. (AUTOINCREMENT would write a page more in every commit.)
 *
 * A row is valid when the SHA-256 of its payload is payload_sha256: a flipped bit in a body is noticed neither by
 * SQLite nor by its integrity_check. The payload is TEXT where it is UTF-8 without NUL, so that sqlite3 shows it, else
 * a BLOB; the bytes are the same. Of a batch, the whole body is stored once, in the first row stored of that request;
 * all rows of the request name that row in request_seq, and request_sha256 there is the body's checksum. Order is seq,
 * never a clock. timestamp and received_at are one time: whole seconds, and a text with microseconds. (A clock outside
 * 1970 to 9999 keeps its seconds only.)
 *
 * A new file is made complete beside its place and renamed, so that an empty or half-made payhook.db is never taken for
 * a new one. A file of a newer version is refused. An upgrade is one transaction that takes the version before to this
 * one, and user_version with it; version 1 has none before it.
 *
 * Durability. WAL and synchronous=FULL: COMMIT returns after the WAL is synced, and only then are outcomes given. The
 * WAL is copied to the file (a checkpoint) beside the commits (sqlite_checkpoint.c), and not by SQLite, which would
 * hide its failure. After a failed sync or write nothing is committed any more, and closing leaves the files alone: the
 * kernel may have dropped the pages, SQLite would go on regardless, and a checkpoint could copy what is not there. A
 * full disk is no such failure: the commit is rolled back, and the next one may succeed.
 *
 * Readers use connections of their own, open read-only, and copy one row at a time out of a short transaction, so that
 * somebody who reads slowly never keeps the WAL from being reused. They never make the writer wait.
 *
 * It takes no lock against a second server (app does), deletes nothing, and does not repair. */
#include "store/sqlite.h"

#include "base/limits.h"
#include "codec/digest.h"
#include "codec/text.h"

#include <errno.h>

enum { RECEIVED_AT_SIZE_MAX = 64 };

static struct str str_of_digest(const uint8_t *digest) { return str_make((const char *)digest, 32); }

/* Somebody moved the file away, or put another in its place: what is written to ours would vanish with the process. */
static struct err check_place(struct sqlite_store *s) {
    int moved = 0;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0)
        return err_make(ERR_SYNC, 0, "store events: " SQLITE_FILE_NAME " was moved or replaced while in use");
    return err_ok();
}

/* The batch whose body was stored last in this commit. Events of a request come in a row; if not, its body is stored
 * again. */
struct request {
    struct str body;
    int64_t seq;
};

static int find_repeated(struct sqlite_store *s, const struct event *event, char *memory, struct str *ret_key) {
    struct binder b = {.statement = s->statements[STATEMENT_REPEATED]};
    sqlite_bind_text(&b, event->source);
    sqlite_bind_blob(&b, str_of_digest(event->content_sha256));
    sqlite_bind_text(&b, event->event_key);
    int rc = b.rc == SQLITE_OK ? sqlite_step(b.statement) : b.rc;
    if (rc == SQLITE_ROW) {
        const void *key = sqlite3_column_blob(b.statement, 0);
        size_t len = (size_t)sqlite3_column_bytes(b.statement, 0);
        if (key != NULL && len <= EVENT_KEY_SIZE_MAX) {
            memcpy(memory, key, len);
            *ret_key = str_make(memory, len);
        }
    }
    (void)sqlite3_reset(b.statement); /* repeats what step said */
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert(struct sqlite_store *s, const struct event *event, struct str repeats, int64_t seq,
                  const struct request *request) {
    char received_at_memory[RECEIVED_AT_SIZE_MAX];
    struct writer received_at = writer_make(received_at_memory, sizeof received_at_memory);
    text_received_at_write(&received_at, event->received_us);
    bool in_batch = event->request_body.ptr != NULL;
    bool holds_body = in_batch && request->seq == seq;
    uint8_t request_sha256[32];
    if (holds_body) digest_sha256(event->request_body, request_sha256);

    struct binder b = {.statement = s->statements[STATEMENT_INSERT]};
    sqlite_bind_i64(&b, seq);
    sqlite_bind_text(&b, event->transaction_id);
    sqlite_bind_text(&b, event->source);
    sqlite_bind_text(&b, event->event_key);
    sqlite_bind_optional(&b, event->event_id);
    sqlite_bind_optional(&b, event->event_type);
    sqlite_bind_i64(&b, store_timestamp(event));
    sqlite_bind_text(&b, writer_str(&received_at));
    sqlite_bind_text(&b, event->environment);
    sqlite_bind_text(&b, event->processed_by);
    sqlite_bind_text(&b, event->method);
    sqlite_bind_text(&b, event->target);
    sqlite_bind_text(&b, event->headers);
    if (event->matched_secret >= 0)
        sqlite_bind_i64(&b, event->matched_secret);
    else
        sqlite_bind_null(&b);
    sqlite_bind_text(&b, str_from(authenticated_word(event->authenticated)));
    sqlite_bind_optional(&b, event->unreadable);
    sqlite_bind_optional(&b, repeats);
    sqlite_bind_blob(&b, str_of_digest(event->payload_sha256));
    if (in_batch)
        sqlite_bind_i64(&b, request->seq);
    else
        sqlite_bind_null(&b);
    if (event->look_for_repeats)
        sqlite_bind_blob(&b, str_of_digest(event->content_sha256));
    else
        sqlite_bind_null(&b);
    if (holds_body) {
        sqlite_bind_blob(&b, str_of_digest(request_sha256));
        sqlite_bind_bytes(&b, event->payload);
        sqlite_bind_bytes(&b, event->request_body);
    } else {
        sqlite_bind_null(&b);
        sqlite_bind_bytes(&b, event->payload);
        sqlite_bind_null(&b);
    }
    return sqlite_run(&b);
}

/* Whether the stored event of this key has the same payload. */
static int compare_payload(struct sqlite_store *s, const struct event *event, bool *ret_same) {
    struct binder b = {.statement = s->statements[STATEMENT_SHA256]};
    sqlite_bind_text(&b, event->transaction_id);
    sqlite_bind_text(&b, event->source);
    sqlite_bind_text(&b, event->event_key);
    int rc = b.rc == SQLITE_OK ? sqlite_step(b.statement) : b.rc;
    if (rc == SQLITE_ROW) {
        const void *sha256 = sqlite3_column_blob(b.statement, 0);
        *ret_same = sha256 != NULL && sqlite3_column_bytes(b.statement, 0) == 32 &&
                    digest_equal(sha256, event->payload_sha256, 32);
    }
    (void)sqlite3_reset(b.statement); /* repeats what step said */
    /* The index said that it is there. */
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* Stores one event within the transaction; *seq is the last that was given. */
static int store_one(struct sqlite_store *s, const struct event *event, struct request *request, int64_t *seq,
                     enum outcome *ret_outcome) {
    char repeats_memory[EVENT_KEY_SIZE_MAX];
    struct str repeats = STR_NONE;
    if (event->look_for_repeats) {
        int rc = find_repeated(s, event, repeats_memory, &repeats);
        if (rc != SQLITE_OK) return rc;
    }
    struct request ours = *request;
    if (event->request_body.ptr != ours.body.ptr || event->request_body.len != ours.body.len)
        ours = (struct request){.body = event->request_body, .seq = *seq + 1};
    int rc = insert(s, event, repeats, *seq + 1, &ours);
    if (rc != SQLITE_OK) return rc;
    if (sqlite3_changes(s->db) == 1) {
        *ret_outcome = OUTCOME_STORED;
        *request = ours;
        ++*seq;
        return SQLITE_OK;
    }
    bool same = true;
    if (event->bytes_must_match) rc = compare_payload(s, event, &same);
    *ret_outcome = same ? OUTCOME_DUPLICATE : OUTCOME_CONFLICT;
    return rc;
}

static int commit_all(struct sqlite_store *s, const struct event *const *events, size_t count,
                      enum outcome *ret_outcomes) {
    int rc = sqlite_run_plain(s, STATEMENT_BEGIN);
    if (rc != SQLITE_OK) return rc;
    int64_t seq = 0;
    rc = sqlite_run_number(&(struct binder){.statement = s->statements[STATEMENT_LAST]}, &seq);
    if (rc == SQLITE_DONE || seq < 0 || seq > INT64_MAX - (int64_t)count) rc = SQLITE_CORRUPT;
    struct request request = {.body = STR_NONE};
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        rc = store_one(s, events[i], &request, &seq, &ret_outcomes[i]);
    if (rc == SQLITE_OK) rc = sqlite_run_plain(s, STATEMENT_COMMIT);
    return rc;
}

static struct err sqlite_commit(void *state, const struct event *const *events, size_t count,
                                enum outcome *ret_outcomes) {
    struct sqlite_store *s = state;
    struct err result = check_place(s);
    if (!err_is(result)) result = sqlite_settle(s);
    if (!err_is(result)) {
        int rc = commit_all(s, events, count, ret_outcomes);
        if (rc != SQLITE_OK) {
            result = sqlite_failure(rc, true, "store events");
            /* SQLite has rolled back by itself after some failures. If it cannot, the connection is of no more use. */
            if (!sqlite3_get_autocommit(s->db)) (void)sqlite_run_plain(s, STATEMENT_ROLLBACK);
            if (!sqlite3_get_autocommit(s->db)) result = err_make(ERR_SYNC, result.sys, "roll back a failed commit");
        }
    }
    if (result.kind == ERR_SYNC || result.kind == ERR_DAMAGED) sqlite_checkpoint_stop(s);
    return result;
}

const struct store_backend store_sqlite = {
    .kind = "sqlite",
    .writers_max = 1,
    .open = sqlite_open,
    .close = sqlite_close,
    .commit = sqlite_commit,
    .timeline = sqlite_timeline,
    .sources = sqlite_sources,
    .events = sqlite_events,
    .examine = sqlite_examine,
    .wants_tending = sqlite_wants_tending,
    .tend = sqlite_tend,
};

const char *store_library(void) { return sqlite3_libversion(); }
