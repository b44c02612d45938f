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
 * WAL is copied to the file (a checkpoint) when it has 4,000 pages, at the start of a commit, here and not by SQLite,
 * which would hide its failure. After a failed sync or write nothing is committed any more, and closing leaves the
 * files alone: the kernel may have dropped the pages, SQLite would go on regardless, and a checkpoint could copy what
 * is not there. A full disk is no such failure: the commit is rolled back, and the next one may succeed.
 *
 * Readers use connections of their own, open read-only, and copy one row at a time out of a short transaction, so that
 * somebody who reads slowly never keeps the WAL from being reused. They never make the writer wait.
 *
 * It takes no lock against a second server (app does), deletes nothing, and does not repair. */
#include "base/limits.h"
#include "codec/digest.h"
#include "codec/text.h"
#include "store/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

enum {
    APPLICATION_ID = 0x70617968, /* "payh" */
    VERSION = 1,
    CHECKPOINT_PAGES = 4000,         /* of 16 KB: measured; fewer cost p99, more gain nothing */
    QUICK_CHECK_SIZE_MAX = 64 << 20, /* bytes: a larger file is opened unchecked, since that would take too long */
    BUSY_MS_MAX = 5000,              /* for somebody who writes with sqlite3, and for the recovery of a WAL */
    RECEIVED_AT_SIZE_MAX = 64,
    DATABASE_SIZE_MIN = 512, /* bytes: the smallest page there is */
};
#define FILE_NAME "payhook.db"

/* SQLite keeps these texts, and they are compared when a file is opened to be written. */
static const struct {
    const char *name;
    const char *sql;
} schema[] = {
    {"event", "CREATE TABLE event(\n"
              "  seq INTEGER PRIMARY KEY CHECK (seq > 0),\n"
              "  transaction_id TEXT NOT NULL,\n"
              "  source TEXT NOT NULL,\n"
              "  event_key TEXT NOT NULL,\n"
              "  event_id TEXT,                  -- the provider's own\n"
              "  event_type TEXT,\n"
              "  timestamp INTEGER NOT NULL,     -- unix seconds when received\n"
              "  received_at TEXT NOT NULL,      -- the same, UTC, with microseconds\n"
              "  environment TEXT NOT NULL,\n"
              "  processed_by TEXT NOT NULL,\n"
              "  method TEXT NOT NULL,\n"
              "  target TEXT NOT NULL,\n"
              "  headers TEXT NOT NULL,          -- those kept, one a line\n"
              "  matched_secret INTEGER,         -- which of the source's secrets, from 0\n"
              "  authenticated TEXT NOT NULL,    -- what the sender's proof covered\n"
              "  unreadable TEXT,                -- why the payload holds no event\n"
              "  repeats TEXT,                   -- key of the first event with this content\n"
              "  payload_sha256 BLOB NOT NULL CHECK (length(payload_sha256) = 32),\n"
              "  request_seq INTEGER,            -- of a batch: the row with the whole body\n"
              "  content_sha256 BLOB,\n"
              "  request_sha256 BLOB,\n"
              "  payload ANY NOT NULL,           -- the body as received; of a batch, this item\n"
              "  request_body ANY\n"
              ") STRICT"},
    {"event_identity", "CREATE UNIQUE INDEX event_identity ON event(transaction_id, source, event_key)"},
    {"event_timestamp", "CREATE INDEX event_timestamp ON event(timestamp)"},
    {"event_content", "CREATE INDEX event_content ON event(source, content_sha256) WHERE content_sha256 IS NOT NULL"},
    {"sequence", "CREATE TABLE sequence(one INTEGER PRIMARY KEY CHECK (one = 1), floor INTEGER NOT NULL) STRICT"},
    {"event_deleted", "CREATE TRIGGER event_deleted AFTER DELETE ON event "
                      "BEGIN UPDATE sequence SET floor = max(floor, OLD.seq); END"},
};
enum { SCHEMA_OBJECTS = sizeof schema / sizeof schema[0] };

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
static const char *const statement_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    /* The last seq that was given. */
    [STATEMENT_LAST] = "SELECT max(ifnull((SELECT max(seq) FROM event), 0), (SELECT floor FROM sequence))",
    [STATEMENT_INSERT] = "INSERT INTO event(" COLUMNS ", content_sha256, request_sha256, payload, request_body) "
                         "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT(transaction_id, source, event_key) DO NOTHING",
    [STATEMENT_SHA256] =
        "SELECT payload_sha256 FROM event WHERE transaction_id = ?1 AND source = ?2 AND event_key = ?3",
    [STATEMENT_REPEATED] = "SELECT event_key FROM event INDEXED BY event_content "
                           "WHERE source = ?1 AND content_sha256 = ?2 AND event_key <> ?3 ORDER BY seq LIMIT 1",
    [STATEMENT_TIMELINE] = "SELECT seq FROM event INDEXED BY event_identity "
                           "WHERE transaction_id = ?1 AND source = ?2 ORDER BY seq",
    [STATEMENT_SOURCE] = "SELECT source FROM event INDEXED BY event_identity "
                         "WHERE transaction_id = ?1 AND source > ?2 ORDER BY source LIMIT 1",
    /* Where a clock went back, a time may be found before an earlier one; the first of them all bounds the walk. */
    [STATEMENT_SINCE] = "SELECT min(seq) FROM event INDEXED BY event_timestamp WHERE timestamp >= ?1",
    [STATEMENT_NEWEST] = "SELECT seq FROM event NOT INDEXED WHERE seq BETWEEN ?1 AND ?2 "
                         "AND (?3 IS NULL OR source = ?3) AND timestamp >= ?4 ORDER BY seq DESC LIMIT 1 OFFSET ?5",
    [STATEMENT_ROW] = "SELECT " COLUMNS ", CASE WHEN ?5 THEN payload END, CASE WHEN ?5 THEN "
                      "(SELECT whole.request_body FROM event whole WHERE whole.seq = event.request_seq) END, "
                      "CASE WHEN ?5 THEN "
                      "(SELECT whole.request_sha256 FROM event whole WHERE whole.seq = event.request_seq) END "
                      "FROM event NOT INDEXED WHERE seq BETWEEN ?1 AND ?2 "
                      "AND (?3 IS NULL OR source = ?3) AND timestamp >= ?4 ORDER BY seq LIMIT 1",
};

struct sqlite_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int wal_pages; /* in the WAL after the last commit, if that wrote */
    char *row;     /* the copy of one row */
    size_t row_size;
};

/* What a result code means, right after the call that gave it. Writing, a failure of the disk leaves it open what is
 * stored; reading, it is only a failure.
 *
 * The cause is in errno, which that call began with at 0. sqlite3_system_errno would not do: a failed COMMIT does not
 * set it, so that it may tell of an earlier failure, and a stale ENOSPC would make a lost write look harmless. */
static struct err failure(int rc, bool writing, const char *where) {
    int sys = errno;
    bool full = sys == ENOSPC || sys == EDQUOT;
    switch (rc & 0xff) {
    case SQLITE_FULL: return err_make(ERR_FULL, ENOSPC, where);
    case SQLITE_NOMEM: return err_make(ERR_MEMORY, 0, where);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return err_make(ERR_BUSY, 0, where);
    case SQLITE_PERM:
    case SQLITE_READONLY: return err_make(ERR_DENIED, sys, where);
    case SQLITE_CANTOPEN:
        if (full) return err_make(ERR_FULL, sys, where);
        return err_make(sys == EACCES || sys == EPERM || sys == EROFS ? ERR_DENIED : ERR_SYSTEM, sys, where);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM) return err_make(ERR_MEMORY, 0, where);
        if (!writing) return err_make(ERR_SYSTEM, sys, where);
        /* Also with ENOSPC: a file system may say so only when it is synced, and then pages are lost. */
        if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC) return err_make(ERR_SYNC, sys, where);
        return err_make(full ? ERR_FULL : ERR_SYNC, sys, where);
    case SQLITE_TOOBIG: return err_make(ERR_INPUT, 0, where);
    /* CORRUPT and NOTADB; and what can only come from a schema or rows that somebody changed: ERROR, SCHEMA,
     * CONSTRAINT. */
    default: return err_make(ERR_DAMAGED, 0, where);
    }
}

/* Fills a statement's parameters one after the other. The first failure stays. */
struct binder {
    sqlite3_stmt *statement;
    int at;
    int rc;
};

static void bind_i64(struct binder *b, int64_t value) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_int64(b->statement, b->at, value);
}
static void bind_null(struct binder *b) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_null(b->statement, b->at);
}
static void bind_text(struct binder *b, struct str text) {
    b->at++;
    const char *ptr = text.ptr != NULL ? text.ptr : "";
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_text64(b->statement, b->at, ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
}
static void bind_optional(struct binder *b, struct str text) {
    if (text.ptr != NULL)
        bind_text(b, text);
    else
        bind_null(b);
}
static void bind_blob(struct binder *b, struct str bytes) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_blob64(b->statement, b->at, bytes.ptr, bytes.len, SQLITE_STATIC);
}

/* UTF-8 (RFC 3629 §4) without NUL. */
static bool is_text(struct str s) {
    const unsigned char *at = (const unsigned char *)s.ptr, *end = at + s.len;
    while (at < end) {
        uint64_t eight;
        if ((size_t)(end - at) >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            uint64_t high_or_nul = (eight | (eight - 0x0101010101010101U)) & 0x8080808080808080U;
            if (high_or_nul == 0) {
                at += sizeof eight;
                continue;
            }
        }
        unsigned char first = *at++;
        if (first == 0) return false;
        if (first < 0x80) continue;
        if (first < 0xc2 || first > 0xf4) return false;
        ptrdiff_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (end - at < more) return false;
        unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (at[0] < least || at[0] > most) return false;
        for (ptrdiff_t i = 1; i < more; i++)
            if ((at[i] & 0xc0) != 0x80) return false;
        at += more;
    }
    return true;
}

static void bind_bytes(struct binder *b, struct str bytes) {
    if (bytes.ptr == NULL || is_text(bytes))
        bind_text(b, bytes);
    else
        bind_blob(b, bytes);
}

static struct str str_of_digest(const uint8_t *digest) { return str_make((const char *)digest, 32); }

static int step(sqlite3_stmt *statement) {
    errno = 0;
    return sqlite3_step(statement);
}

/* Runs a statement that gives no rows. */
static int run(struct binder *b) {
    int rc = b->rc == SQLITE_OK ? step(b->statement) : b->rc;
    int reset = sqlite3_reset(b->statement);
    return rc == SQLITE_DONE ? reset : rc;
}

static int run_plain(struct sqlite_store *s, enum statement which) {
    struct binder b = {.statement = s->statements[which]};
    return run(&b);
}

/* Runs a statement that gives one number at most; SQLITE_DONE where it gives none, or NULL. */
static int run_number(struct binder *b, int64_t *ret_value) {
    int rc = b->rc == SQLITE_OK ? step(b->statement) : b->rc;
    bool none = rc == SQLITE_ROW && sqlite3_column_type(b->statement, 0) != SQLITE_INTEGER;
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(b->statement, 0) : 0;
    (void)sqlite3_reset(b->statement); /* repeats what step said */
    if (none) return SQLITE_DONE;
    if (rc == SQLITE_ROW) *ret_value = value;
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- commit ---- */

static int wal_written(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    struct sqlite_store *s = context;
    s->wal_pages = pages;
    return SQLITE_OK;
}

static struct err checkpoint_when_due(struct sqlite_store *s) {
    if (s->wal_pages < CHECKPOINT_PAGES) return err_ok();
    errno = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK) {
        s->wal_pages = 0;
        return err_ok();
    }
    struct err failed = failure(rc, true, "copy the write-ahead log to the file");
    /* All else only leaves the WAL longer for a while: a reader in its way, no memory, no room for the file to grow. */
    return failed.kind == ERR_SYNC || failed.kind == ERR_DAMAGED ? failed : err_ok();
}

/* Somebody moved the file away, or put another in its place: what is written to ours would vanish with the process. */
static struct err check_place(struct sqlite_store *s) {
    int moved = 0;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0)
        return err_make(ERR_SYNC, 0, "store events: " FILE_NAME " was moved or replaced while in use");
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
    bind_text(&b, event->source);
    bind_blob(&b, str_of_digest(event->content_sha256));
    bind_text(&b, event->event_key);
    int rc = b.rc == SQLITE_OK ? step(b.statement) : b.rc;
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
    bind_i64(&b, seq);
    bind_text(&b, event->transaction_id);
    bind_text(&b, event->source);
    bind_text(&b, event->event_key);
    bind_optional(&b, event->event_id);
    bind_optional(&b, event->event_type);
    bind_i64(&b, store_timestamp(event));
    bind_text(&b, writer_str(&received_at));
    bind_text(&b, event->environment);
    bind_text(&b, event->processed_by);
    bind_text(&b, event->method);
    bind_text(&b, event->target);
    bind_text(&b, event->headers);
    if (event->matched_secret >= 0)
        bind_i64(&b, event->matched_secret);
    else
        bind_null(&b);
    bind_text(&b, str_from(authenticated_word(event->authenticated)));
    bind_optional(&b, event->unreadable);
    bind_optional(&b, repeats);
    bind_blob(&b, str_of_digest(event->payload_sha256));
    if (in_batch)
        bind_i64(&b, request->seq);
    else
        bind_null(&b);
    if (event->look_for_repeats)
        bind_blob(&b, str_of_digest(event->content_sha256));
    else
        bind_null(&b);
    if (holds_body) {
        bind_blob(&b, str_of_digest(request_sha256));
        bind_bytes(&b, event->payload);
        bind_bytes(&b, event->request_body);
    } else {
        bind_null(&b);
        bind_bytes(&b, event->payload);
        bind_null(&b);
    }
    return run(&b);
}

/* Whether the stored event of this key has the same payload. */
static int compare_payload(struct sqlite_store *s, const struct event *event, bool *ret_same) {
    struct binder b = {.statement = s->statements[STATEMENT_SHA256]};
    bind_text(&b, event->transaction_id);
    bind_text(&b, event->source);
    bind_text(&b, event->event_key);
    int rc = b.rc == SQLITE_OK ? step(b.statement) : b.rc;
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
    int rc = run_plain(s, STATEMENT_BEGIN);
    if (rc != SQLITE_OK) return rc;
    int64_t seq = 0;
    rc = run_number(&(struct binder){.statement = s->statements[STATEMENT_LAST]}, &seq);
    if (rc == SQLITE_DONE || seq < 0 || seq > INT64_MAX - (int64_t)count) rc = SQLITE_CORRUPT;
    struct request request = {.body = STR_NONE};
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        rc = store_one(s, events[i], &request, &seq, &ret_outcomes[i]);
    if (rc == SQLITE_OK) rc = run_plain(s, STATEMENT_COMMIT);
    return rc;
}

/* From here on the stored bytes are left alone, also when closing. */
static void stop(struct sqlite_store *s) {
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* cannot fail on an open connection */
}

static struct err sqlite_commit(void *state, const struct event *const *events, size_t count,
                                enum outcome *ret_outcomes) {
    struct sqlite_store *s = state;
    struct err result = check_place(s);
    if (!err_is(result)) result = checkpoint_when_due(s);
    if (!err_is(result)) {
        int rc = commit_all(s, events, count, ret_outcomes);
        if (rc != SQLITE_OK) {
            result = failure(rc, true, "store events");
            /* SQLite has rolled back by itself after some failures. If it cannot, the connection is of no more use. */
            if (!sqlite3_get_autocommit(s->db)) (void)run_plain(s, STATEMENT_ROLLBACK);
            if (!sqlite3_get_autocommit(s->db)) result = err_make(ERR_SYNC, result.sys, "roll back a failed commit");
        }
    }
    if (result.kind == ERR_SYNC || result.kind == ERR_DAMAGED) stop(s);
    return result;
}

/* ---- reading ---- */

/* Rows with seq from first to last that match. */
struct range {
    int64_t first;
    int64_t last;
    struct str source;
    int64_t since_s;
    bool with_payload;
};

static void bind_range(struct binder *b, const struct range *range) {
    bind_i64(b, range->first);
    bind_i64(b, range->last);
    bind_optional(b, range->source);
    bind_i64(b, range->since_s);
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
    const void *bytes[COLUMN_COUNT];
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
    bind_i64(&b, range->with_payload);
    int rc = b.rc == SQLITE_OK ? step(b.statement) : b.rc;
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
        result = failure(rc, false, "read events");
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
    bind_text(&b, transaction_id);
    bind_text(&b, source);
    int rc = b.rc;
    while (rc == SQLITE_OK && (rc = step(b.statement)) == SQLITE_ROW) {
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
        return failure(rc, false, "read a timeline");
    }
    *ret_seqs = seqs;
    *ret_count = count;
    return err_ok();
}

static struct err sqlite_timeline(void *state, struct str source, struct str transaction_id, store_each *each,
                                  void *context) {
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

static struct err sqlite_sources(void *state, struct str transaction_id, store_each_source *each, void *context) {
    struct sqlite_store *s = state;
    char before_memory[SOURCE_NAME_SIZE_MAX];
    struct str before = str_make(before_memory, 0);
    for (;;) {
        struct binder b = {.statement = s->statements[STATEMENT_SOURCE]};
        bind_text(&b, transaction_id);
        bind_text(&b, before);
        int rc = b.rc == SQLITE_OK ? step(b.statement) : b.rc;
        struct str source = STR_NONE;
        bool copied = rc != SQLITE_ROW || copy_row(s, b.statement, &source, 1);
        (void)sqlite3_reset(b.statement); /* repeats what step said */
        if (rc == SQLITE_DONE) return err_ok();
        if (rc != SQLITE_ROW) return failure(rc, false, "read the sources");
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
    int rc = run_number(&last, &range->last);
    if (rc == SQLITE_DONE) rc = SQLITE_CORRUPT; /* the row of sequence is gone */
    /* Beyond a given seq few rows are left, as with --follow; else the index tells where to begin. */
    if (rc == SQLITE_OK && range->since_s != INT64_MIN && range->first == 1) {
        struct binder b = {.statement = s->statements[STATEMENT_SINCE]};
        bind_i64(&b, range->since_s);
        rc = run_number(&b, &seq);
        if (rc == SQLITE_OK) range->first = seq;
    }
    if (rc == SQLITE_OK && limit > 0) {
        struct binder b = {.statement = s->statements[STATEMENT_NEWEST]};
        bind_range(&b, range);
        bind_i64(&b, limit - 1 < INT64_MAX ? (int64_t)(limit - 1) : INT64_MAX);
        rc = run_number(&b, &seq);
        if (rc == SQLITE_OK) range->first = seq;
        if (rc == SQLITE_DONE) rc = SQLITE_OK; /* fewer than that: all of them */
    }
    return rc;
}

static struct err sqlite_events(void *state, const struct store_filter *filter, store_each *each, void *context) {
    struct sqlite_store *s = state;
    if (filter->after_seq >= INT64_MAX) return err_ok();
    struct range range = {.first = (int64_t)filter->after_seq + 1,
                          .source = filter->source,
                          .since_s = filter->since_s,
                          .with_payload = filter->with_payload};
    int rc = narrow(s, &range, filter->limit);
    if (rc == SQLITE_DONE) return err_ok();
    if (rc != SQLITE_OK) return failure(rc, false, "read events");
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
static struct err sqlite_examine(void *state, struct writer *message) {
    struct sqlite_store *s = state;
    sqlite3_stmt *row = NULL;
    errno = 0;
    int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &row, NULL);
    if (rc == SQLITE_OK) rc = step(row);
    struct err result = rc == SQLITE_ROW ? err_ok() : failure(rc, false, "check the database");
    const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : sqlite3_errmsg(s->db);
    if (rc == SQLITE_ROW && (said == NULL || strcmp(said, "ok") != 0))
        result = err_make(ERR_DAMAGED, 0, "check the database");
    if (err_is(result)) writer_escaped(message, str_from(said != NULL ? said : "no answer"));
    (void)sqlite3_finalize(row); /* repeats what step said */
    return result;
}

/* ---- opening ---- */

/* Where an opening is, and where its sentence goes. */
struct opening {
    const char *path; /* of the file */
    const char *folder;
    enum store_access access;
    struct writer *message;
    off_t size; /* bytes, when it was opened */
};

static const char opening_where[] = "open the store";

/* The sentence for a failure that has no better one. */
static struct err explain(const struct opening *o, struct err failed) {
    switch (failed.kind) {
    case ERR_DAMAGED:
        writer_format(
            o->message,
            "%s is damaged, or no database: stop payhook, copy the whole folder, then restore a backup into an "
            "empty one, or save what can be read with: sqlite3 %s .recover",
            o->path, o->path);
        break;
    case ERR_FULL: writer_format(o->message, "there is no room on the disk for %s: free some", o->path); break;
    case ERR_DENIED:
        writer_format(o->message, "%s cannot be used%s%s: it and its folder must belong to the user payhook runs as",
                      o->path, failed.sys != 0 ? ": " : "", failed.sys != 0 ? strerror(failed.sys) : "");
        break;
    case ERR_BUSY:
        writer_format(o->message, "%s is in use by another program in a long transaction: end that, and try again",
                      o->path);
        break;
    default:
        writer_format(o->message, "%s: %s%s%s", o->path, err_kind_text(failed.kind), failed.sys != 0 ? ": " : "",
                      failed.sys != 0 ? strerror(failed.sys) : "");
        break;
    }
    return failed;
}

static struct err explain_rc(const struct opening *o, int rc) {
    return explain(o, failure(rc, o->access == STORE_WRITE, opening_where));
}

static struct err explain_errno(const struct opening *o, int sys) {
    enum err_kind kind = sys == EACCES || sys == EPERM || sys == EROFS ? ERR_DENIED
                         : sys == ENOSPC || sys == EDQUOT              ? ERR_FULL
                                                                       : ERR_SYSTEM;
    return explain(o, err_make(kind, sys, opening_where));
}

static int exec(sqlite3 *db, const char *sql) {
    errno = 0;
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* Settings of a connection. What a file says about itself is not trusted: no functions in its schema with side effects,
 * no writing to the schema, no mapped memory that an I/O error would turn into a signal. */
static int configure(sqlite3 *db) {
    static const struct {
        int option;
        int value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},   {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    int rc = sqlite3_extended_result_codes(db, 1);
    for (size_t i = 0; i < sizeof options / sizeof options[0] && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(db, options[i].option, options[i].value, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0); /* gives the old limit */
    if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(db, BUSY_MS_MAX);
    if (rc == SQLITE_OK)
        rc = exec(db, "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                      "PRAGMA cache_size = -65536; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 134217728");
    return rc;
}

static int create_schema(sqlite3 *db) {
    int rc = exec(db, "PRAGMA page_size = 16384; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN");
    for (size_t i = 0; i < SCHEMA_OBJECTS && rc == SQLITE_OK; i++)
        rc = exec(db, schema[i].sql);
    char numbers[128];
    (void)snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
                   VERSION);
    if (rc == SQLITE_OK) rc = exec(db, numbers);
    /* WAL is a property of the file; switching writes its header, synced. */
    if (rc == SQLITE_OK) rc = exec(db, "INSERT INTO sequence VALUES(1, 0); COMMIT; PRAGMA journal_mode = WAL");
    return rc;
}

static struct err sync_path(const struct opening *o, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return explain_errno(o, errno);
    int sys = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd); /* nothing was written through it */
    return sys == 0 ? err_ok() : explain(o, err_make(ERR_SYNC, sys, opening_where));
}

/* Makes the file complete under another name, and only then puts it in its place. */
static struct err create(const struct opening *o) {
    struct stat info;
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s-wal", o->path) >= sizeof path) return explain_errno(o, ENAMETOOLONG);
    if (stat(path, &info) == 0 && info.st_size > 0) {
        writer_format(
            o->message,
            "%s is missing, but %s is there and may hold events: put the file back beside it, or move it away "
            "to begin anew",
            o->path, path);
        return err_make(ERR_DAMAGED, 0, opening_where);
    }
    (void)unlink(path);                                    /* an empty one, left by a reader */
    memcpy(path + strlen(o->path), ".new", sizeof ".new"); /* as long as "-wal" */
    (void)unlink(path);                                    /* what a crash left; if it cannot go, open says so */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return explain_errno(o, errno);
    int sys = fchmod(fd, 0600) == 0 ? 0 : errno; /* whatever the umask is; SQLite gives its other files the same mode */
    if (close(fd) != 0 && sys == 0) sys = errno;
    struct err result = sys == 0 ? err_ok() : explain_errno(o, sys);
    if (!err_is(result)) {
        sqlite3 *db = NULL;
        errno = 0;
        int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
        if (rc == SQLITE_OK) rc = create_schema(db);
        if (rc != SQLITE_OK) result = explain_rc(o, rc);
        if (sqlite3_close(db) != SQLITE_OK && !err_is(result)) result = explain_rc(o, SQLITE_BUSY);
    }
    if (!err_is(result)) result = sync_path(o, path, O_RDWR);
    if (!err_is(result) && rename(path, o->path) != 0) result = explain_errno(o, errno);
    if (err_is(result)) (void)unlink(path); /* best effort: the error is what counts */
    return result;
}

/* The file must be there, and for writing be ours alone. */
static struct err look_at_file(struct opening *o) {
    struct stat info;
    if (stat(o->path, &info) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) return explain_errno(o, errno);
        if (o->access == STORE_READ) {
            writer_format(o->message, "no events in %s: is --data right?", o->folder);
            return err_make(ERR_ABSENT, ENOENT, opening_where);
        }
        TRY(create(o));
        if (stat(o->path, &info) != 0) return explain_errno(o, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        writer_format(o->message, "%s is not a regular file", o->path);
        return err_make(ERR_INPUT, 0, opening_where);
    }
    o->size = info.st_size;
    /* SQLite would take it for a new one. */
    if (o->size < DATABASE_SIZE_MIN) return explain(o, err_make(ERR_DAMAGED, 0, opening_where));
    if (o->access == STORE_READ) return err_ok();
    if (info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
        writer_format(o->message, "%s must be yours alone (now mode %03o, user %ju): chmod 600 and chown it", o->path,
                      (unsigned)info.st_mode & 0777, (uintmax_t)info.st_uid);
        return err_make(ERR_DENIED, 0, opening_where);
    }
    /* The name must be as durable as what is in the file: it may be new, or come from a backup a moment ago. */
    return sync_path(o, o->folder, O_RDONLY | O_DIRECTORY);
}

/* A query for one number, or one word that is compared. */
static int query(sqlite3 *db, const char *sql, int64_t *ret_number, const char *word, bool *ret_is_word) {
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = step(statement);
    if (rc == SQLITE_ROW) {
        if (ret_number != NULL) *ret_number = sqlite3_column_int64(statement, 0);
        const unsigned char *text = word != NULL ? sqlite3_column_text(statement, 0) : NULL;
        if (word != NULL) *ret_is_word = text != NULL && strcmp((const char *)text, word) == 0;
    }
    (void)sqlite3_finalize(statement); /* repeats what step said */
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* Whose file it is, and of which version. Nothing has been written to it yet. */
static struct err identify(const struct opening *o, sqlite3 *db) {
    int64_t application_id = 0, version = 0;
    int rc = query(db, "PRAGMA application_id", &application_id, NULL, NULL);
    if (rc == SQLITE_OK) rc = query(db, "PRAGMA user_version", &version, NULL, NULL);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    if (application_id != APPLICATION_ID) {
        writer_format(o->message, "%s is a database of another program: use another --data, or move it away", o->path);
        return err_make(ERR_INPUT, 0, opening_where);
    }
    if (version > VERSION) {
        writer_format(o->message,
                      "%s has the format %lld of a newer payhook, and this one (%s) reads up to %d: install the newer "
                      "payhook, or use another --data",
                      o->path, (long long)version, PAYHOOK_VERSION, VERSION);
        return err_make(ERR_NEWER, 0, opening_where);
    }
    if (version < VERSION) return explain(o, err_make(ERR_DAMAGED, 0, opening_where)); /* there never was one */
    return err_ok();
}

static bool is_ours(sqlite3_stmt *row) {
    const char *name = (const char *)sqlite3_column_text(row, 0), *sql = (const char *)sqlite3_column_text(row, 1);
    for (size_t i = 0; i < SCHEMA_OBJECTS; i++)
        if (name != NULL && sql != NULL && strcmp(name, schema[i].name) == 0) return strcmp(sql, schema[i].sql) == 0;
    return false;
}

/* The objects must be those we made, no more and no less: an index missing would store events twice, a trigger more
 * could change what is stored. Statistics of a person's ANALYZE (sqlite_…) do no harm. */
static struct err check_schema(const struct opening *o, sqlite3 *db) {
    sqlite3_stmt *row = NULL;
    size_t found = 0;
    struct err result = err_ok();
    errno = 0;
    int rc = sqlite3_prepare_v2(db, "SELECT name, sql FROM sqlite_schema WHERE substr(name, 1, 7) <> 'sqlite_'", -1,
                                &row, NULL);
    while (rc == SQLITE_OK && (rc = step(row)) == SQLITE_ROW && !err_is(result)) {
        rc = SQLITE_OK;
        found++;
        if (is_ours(row)) continue;
        const char *name = (const char *)sqlite3_column_text(row, 0);
        writer_format(o->message, "%s holds an object that payhook did not make, or that was changed: ", o->path);
        writer_escaped(o->message, str_from(name != NULL ? name : "?"));
        writer_format(o->message, ": drop it with sqlite3, or restore a backup");
        result = err_make(ERR_DAMAGED, 0, opening_where);
    }
    (void)sqlite3_finalize(row); /* repeats what step said */
    if (err_is(result)) return result;
    if (rc != SQLITE_DONE) return explain_rc(o, rc);
    if (found != SCHEMA_OBJECTS) return explain(o, err_make(ERR_DAMAGED, 0, opening_where));
    return err_ok();
}

/* Makes durable what is in the WAL. After a kill -9 its last commits may be in the kernel's page cache only, or, after
 * a failed sync, in the cache and never on the disk, whatever a second sync says. A duplicate of one of them is about
 * to be answered 200. So they are copied to the file, which is synced. FULL waits for readers of an older state, if
 * there are any, but not for those who see the newest. */
static struct err recover(const struct opening *o, sqlite3 *db) {
    int in_wal = 0, copied = 0;
    errno = 0;
    int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_FULL, &in_wal, &copied);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    check(in_wal >= 0); /* else it would not have been asked in WAL mode */
    if (copied < in_wal) return explain_rc(o, SQLITE_BUSY);
    return err_ok();
}

static struct err open_for_writing(const struct opening *o, struct sqlite_store *s) {
    /* Known only now: a header that forbids writing, as no SQLite of today makes it. */
    if (sqlite3_db_readonly(s->db, "main") != 0) return explain(o, err_make(ERR_DAMAGED, 0, opening_where));
    bool is_wal = false, is_good = true;
    int rc = query(s->db, "PRAGMA journal_mode = WAL", NULL, "wal", &is_wal);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    if (!is_wal) return explain_rc(o, SQLITE_BUSY);
    (void)sqlite3_wal_hook(s->db, wal_written, s); /* gives the hook before: SQLite's own checkpoint, now off */
    TRY(recover(o, s->db));
    TRY(check_schema(o, s->db));
    if (o->size <= QUICK_CHECK_SIZE_MAX) rc = query(s->db, "PRAGMA quick_check(1)", NULL, "ok", &is_good);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    if (!is_good) return explain(o, err_make(ERR_DAMAGED, 0, opening_where));
    return err_ok();
}

static struct err open_connection(const struct opening *o, struct sqlite_store *s) {
    int flags = o->access == STORE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    errno = 0;
    int rc = sqlite3_open_v2(o->path, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    /* SQLite opens what it may not write as read-only, without a word. */
    if (o->access == STORE_WRITE && sqlite3_db_readonly(s->db, "main") != 0)
        return explain(o, err_make(ERR_DENIED, 0, opening_where));
    rc = configure(s->db);
    /* A reader leaves the WAL to the writer; and so does a writer, until all is known to be well. */
    if (rc == SQLITE_OK) rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    TRY(identify(o, s->db));
    if (o->access == STORE_WRITE) TRY(open_for_writing(o, s));
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        rc = sqlite3_prepare_v3(s->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
        if (rc != SQLITE_OK) return explain_rc(o, rc);
    }
    if (o->access == STORE_WRITE) rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return rc == SQLITE_OK ? err_ok() : explain_rc(o, rc);
}

static void sqlite_close(void *state) {
    struct sqlite_store *s = state;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(s->statements[i]); /* repeats what its last step said */
    check(sqlite3_close(s->db) == SQLITE_OK);     /* only a statement left open could keep it */
    free(s->row);
    free(s);
}

static struct err sqlite_open(const char *path, enum store_access access, struct writer *message, void **ret_state) {
    char folder[PATH_MAX], file[PATH_MAX];
    struct opening o = {.path = file, .folder = folder, .access = access, .message = message};
    /* "./" in front, or SQLite could take a relative path for a URI. */
    const char *start = path[0] == '/' ? "" : "./";
    if ((size_t)snprintf(folder, sizeof folder, "%s%s", start, path) >= sizeof folder ||
        (size_t)snprintf(file, sizeof file, "%s%s/" FILE_NAME, start, path) >= sizeof file) {
        writer_format(message, "the path of the data folder is too long");
        return err_make(ERR_INPUT, ENAMETOOLONG, opening_where);
    }
    TRY(look_at_file(&o));
    struct sqlite_store *s = calloc(1, sizeof *s);
    if (s == NULL) return explain(&o, err_make(ERR_MEMORY, 0, opening_where));
    struct err opened = open_connection(&o, s);
    if (err_is(opened)) {
        sqlite_close(s);
        return opened;
    }
    *ret_state = s;
    return err_ok();
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
};

const char *store_library(void) { return sqlite3_libversion(); }
