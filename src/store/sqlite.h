/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the SQLite store share. sqlite.c has the stored form; nobody else includes this. */
#ifndef PAYHOOK_STORE_SQLITE_H
#define PAYHOOK_STORE_SQLITE_H

#include "store/backend.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define SQLITE_FILE_NAME "payhook.db"

/* The columns that every reading wants, in the order of enum column. */
#define COLUMNS                                                                                                        \
    "seq, transaction_id, source, event_key, event_id, event_type, timestamp, received_at, environment, "              \
    "processed_by, method, target, headers, matched_secret, authenticated, unreadable, repeats, payload_sha256, "      \
    "request_seq"
enum column {
    COLUMN_SEQ,
    COLUMN_TRANSACTION_ID,
    COLUMN_SOURCE,
    COLUMN_EVENT_KEY,
    COLUMN_EVENT_ID,
    COLUMN_EVENT_TYPE,
    COLUMN_TIMESTAMP,
    COLUMN_RECEIVED_AT,
    COLUMN_ENVIRONMENT,
    COLUMN_PROCESSED_BY,
    COLUMN_METHOD,
    COLUMN_TARGET,
    COLUMN_HEADERS,
    COLUMN_MATCHED_SECRET,
    COLUMN_AUTHENTICATED,
    COLUMN_UNREADABLE,
    COLUMN_REPEATS,
    COLUMN_PAYLOAD_SHA256,
    COLUMN_REQUEST_SEQ,
    /* Where payloads are asked for, else NULL: */
    COLUMN_PAYLOAD,
    COLUMN_REQUEST_BODY,
    COLUMN_REQUEST_SHA256,
    COLUMN_COUNT
};

/* Every statement, prepared once. How each finds its rows is said where the planner could choose otherwise. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_LAST,
    STATEMENT_INSERT,
    STATEMENT_SHA256,
    STATEMENT_REPEATED,
    STATEMENT_TIMELINE,
    STATEMENT_SOURCE,
    STATEMENT_SINCE,
    STATEMENT_NEWEST,
    STATEMENT_ROW,
    STATEMENT_COUNT
};

struct sqlite_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    sqlite3 *tender; /* the writer's second connection, for sqlite_tend alone */
    /* What the one who tends and the writer tell each other (sqlite_checkpoint.c): */
    atomic_int wal_pages;    /* in the WAL after the last commit that wrote */
    atomic_int copied_pages; /* of them, copied to the file and synced, as far as is known */
    atomic_int turn;         /* who copies */
    struct err copy_failed;  /* of a turn that failed */
    char *row;               /* the copy of one row */
    size_t row_size;
};

/* What a result code means, right after the call that gave it. Writing, a failure of the disk leaves it open what is
 * stored; reading, it is only a failure. */
struct err sqlite_failure(int rc, bool writing, const char *where);

/* Fills a statement's parameters one after the other. The first failure stays. */
struct binder {
    sqlite3_stmt *statement;
    int at;
    int rc;
};

void sqlite_bind_i64(struct binder *b, int64_t value);
void sqlite_bind_null(struct binder *b);
/* The bytes are not copied: they stay until the statement has run. */
void sqlite_bind_text(struct binder *b, struct str text);
void sqlite_bind_optional(struct binder *b, struct str text);
void sqlite_bind_blob(struct binder *b, struct str bytes);
void sqlite_bind_bytes(struct binder *b, struct str bytes);

/* sqlite3_step with errno set to 0 before, as sqlite_failure wants it. */
int sqlite_step(sqlite3_stmt *statement);
/* Runs a statement that gives no rows. */
int sqlite_run(struct binder *b);
int sqlite_run_plain(struct sqlite_store *s, enum statement which);
/* Runs a statement that gives one number at most; SQLITE_DONE where it gives none, or NULL. */
int sqlite_run_number(struct binder *b, int64_t *ret_value);

/* Settings of a connection. */
int sqlite_configure(sqlite3 *db);
/* Opens the second connection of a writer that has just been opened. */
int sqlite_checkpoint_open(struct sqlite_store *s, const char *path);
/* From here on nothing is copied any more. */
void sqlite_checkpoint_stop(struct sqlite_store *s);
bool sqlite_checkpoint_stopped(const struct sqlite_store *s);
/* The writer's part, before a commit: lets the WAL begin anew where that is due. Only a final failure is one. */
struct err sqlite_settle(struct sqlite_store *s);

/* The functions of the backend. */
struct err sqlite_open(const char *path, enum store_access access, struct writer *message, void **ret_state);
void sqlite_close(void *state);
struct err sqlite_timeline(void *state, struct str source, struct str transaction_id, store_each *each, void *context);
struct err sqlite_sources(void *state, struct str transaction_id, store_each_source *each, void *context);
struct err sqlite_events(void *state, const struct store_filter *filter, store_each *each, void *context);
bool sqlite_wants_tending(const void *state);
struct err sqlite_tend(void *state);
struct err sqlite_examine(void *state, struct writer *message);

#endif
