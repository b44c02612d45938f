/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the SQLite store: whose file it is, of which version, and whether it is whole; making a new one; closing. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x70617968, /* "payh" */
    VERSION = 1,
    QUICK_CHECK_SIZE_MAX = 64 << 20, /* bytes: a larger file is opened unchecked, since that would take too long */
    BUSY_MS_MAX = 5000,              /* for somebody who writes with sqlite3, and for the recovery of a WAL */
    DATABASE_SIZE_MIN = 512,         /* bytes: the smallest page there is */
};

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
    return explain(o, sqlite_failure(rc, o->access == STORE_WRITE, opening_where));
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
int sqlite_configure(sqlite3 *db) {
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
    if (rc == SQLITE_OK) rc = sqlite_step(statement);
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
    while (rc == SQLITE_OK && (rc = sqlite_step(row)) == SQLITE_ROW && !err_is(result)) {
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
    rc = sqlite_configure(s->db);
    /* A reader leaves the WAL to the writer; and so does a writer, until all is known to be well. */
    if (rc == SQLITE_OK) rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc != SQLITE_OK) return explain_rc(o, rc);
    TRY(identify(o, s->db));
    if (o->access == STORE_WRITE) TRY(open_for_writing(o, s));
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        rc = sqlite3_prepare_v3(s->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
        if (rc != SQLITE_OK) return explain_rc(o, rc);
    }
    if (o->access == STORE_WRITE) rc = sqlite_checkpoint_open(s, o->path);
    if (o->access == STORE_WRITE && rc == SQLITE_OK)
        rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return rc == SQLITE_OK ? err_ok() : explain_rc(o, rc);
}

void sqlite_close(void *state) {
    struct sqlite_store *s = state;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(s->statements[i]); /* repeats what its last step said */
    if (sqlite_checkpoint_stopped(s))             /* the stored bytes are left alone */
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                                NULL);            /* cannot fail on an open connection */
    check(sqlite3_close(s->tender) == SQLITE_OK); /* only a statement left open could keep it */
    check(sqlite3_close(s->db) == SQLITE_OK);     /* the last, which copies the WAL to the file */
    free(s->row);
    free(s);
}

struct err sqlite_open(const char *path, enum store_access access, struct writer *message, void **ret_state) {
    char folder[PATH_MAX], file[PATH_MAX];
    struct opening o = {.path = file, .folder = folder, .access = access, .message = message};
    /* "./" in front, or SQLite could take a relative path for a URI. */
    const char *start = path[0] == '/' ? "" : "./";
    if ((size_t)snprintf(folder, sizeof folder, "%s%s", start, path) >= sizeof folder ||
        (size_t)snprintf(file, sizeof file, "%s%s/" SQLITE_FILE_NAME, start, path) >= sizeof file) {
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
