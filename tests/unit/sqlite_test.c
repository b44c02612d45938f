/* SPDX-License-Identifier: Apache-2.0 */
/* What only the SQLite store can do: keep its files through kills, damage, strangers' files and a disk that fails. What
 * it shares with every store is in tests/contract. The disk fails through a sqlite3_vfs in front of the real one. */
#include "base/os.h"
#include "codec/digest.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

/* ---- folders and files ---- */

struct folder {
    char path[64];
    char file[80]; /* payhook.db in it */
    char wal[96];
    char shm[96];
    char new[96];
};

/* In memory where there is such a place: what is durable is asked of the shim, not of the disk. */
static struct folder folder_make(void) {
    struct folder d;
    (void)snprintf(d.path, sizeof d.path, "%s/payhook-sqlite-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(d.path));
    (void)snprintf(d.file, sizeof d.file, "%s/payhook.db", d.path);
    (void)snprintf(d.wal, sizeof d.wal, "%s-wal", d.file);
    (void)snprintf(d.shm, sizeof d.shm, "%s-shm", d.file);
    (void)snprintf(d.new, sizeof d.new, "%s.new", d.file);
    return d;
}

static void folder_empty(const struct folder *d) {
    (void)unlink(d->file); /* none of them needs to be there */
    (void)unlink(d->wal);
    (void)unlink(d->shm);
    (void)unlink(d->new);
}

static void folder_remove(const struct folder *d) {
    folder_empty(d);
    assert_int_equal(rmdir(d->path), 0);
}

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

static struct str read_file(const char *path) {
    struct str content;
    assert_int_equal(os_file_read(path, 1 << 26, &content).kind, ERR_OK);
    return content;
}

static void free_file(struct str content) { free((char *)(uintptr_t)content.ptr); }

static void write_file(const char *path, struct str content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.ptr, content.len), content.len);
    assert_int_equal(close(fd), 0);
}

/* As a person would with sqlite3. */
static void run_sql(const struct folder *d, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(d->file, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first number of a query, as a person would get it. */
static int64_t query(const struct folder *d, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(d->file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* ---- events by number ---- */

enum { PAYLOAD_SIZE_MAX = 120000 };

struct made {
    struct event event;
    char event_key[16];
    char transaction_id[16];
    char payload[PAYLOAD_SIZE_MAX];
};

/* Some fit a page, some need several; each is another. */
static size_t payload_size(unsigned number) { return number % 10 == 9 ? 100000 : 300 + number * 977 % 3000; }

static struct str payload_of(unsigned number, char *memory) {
    size_t size = payload_size(number);
    for (size_t i = 0; i < size; i++)
        memory[i] = (char)('a' + (number * 7 + i + i / 26) % 26);
    int written = snprintf(memory, size, "{\"number\":%u}", number);
    memory[written] = number % 4 == 3 ? '\0' : ' ';
    return str_make(memory, size);
}

static void make(struct made *made, unsigned number) {
    (void)snprintf(made->event_key, sizeof made->event_key, "k%u", number);
    (void)snprintf(made->transaction_id, sizeof made->transaction_id, "t%u", number % 5);
    made->event = (struct event){
        .source = number % 2 == 0 ? STR("even") : STR("odd"),
        .transaction_id = str_from(made->transaction_id),
        .event_key = str_from(made->event_key),
        .payload = payload_of(number, made->payload),
        .headers = STR("content-type: application/json\n"),
        .method = STR("POST"),
        .target = STR("/hooks/x"),
        .environment = STR("prod"),
        .processed_by = STR("host"),
        .received_us = INT64_C(1795460930000000) + number,
        .authenticated = AUTHENTICATED_BODY,
        .look_for_repeats = number % 3 == 0,
    };
    memset(made->event.content_sha256, (int)number % 6, 32);
    if (number % 5 == 4) made->event.request_body = STR("[the whole of a batch]");
    digest_sha256(made->event.payload, made->event.payload_sha256);
}

static bool is_payload_of(unsigned number, struct str payload) {
    char memory[PAYLOAD_SIZE_MAX];
    return number < 1000 && str_eq(payload, payload_of(number, memory));
}

enum { BATCH_MAX = 8 };

/* Commits the events first, first + 1, … in one step. All outcomes must be the same. */
static struct err commit_range(struct store *store, unsigned first, unsigned count, enum outcome *ret_outcome) {
    struct made *made = calloc(BATCH_MAX, sizeof *made);
    assert_non_null(made);
    const struct event *events[BATCH_MAX];
    enum outcome outcomes[BATCH_MAX];
    for (unsigned i = 0; i < count; i++) {
        make(&made[i], first + i);
        events[i] = &made[i].event;
    }
    struct err committed = store_commit(store, events, count, outcomes);
    free(made);
    for (unsigned i = 1; i < count; i++)
        assert_int_equal(outcomes[i], outcomes[0]);
    *ret_outcome = outcomes[0];
    return committed;
}

static void commit_good(struct store *store, unsigned first, unsigned count) {
    enum outcome outcome;
    assert_int_equal(commit_range(store, first, count, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_STORED);
}

/* ---- opening and reading ---- */

struct opened {
    struct store *store; /* NULL where it was refused */
    struct err err;
    char message[1024];
};

static struct opened try_open(const struct folder *d, enum store_access access) {
    struct opened o = {0};
    struct writer message = writer_make(o.message, sizeof o.message);
    o.err = store_open("sqlite", d->path, access, &message, &o.store);
    (void)writer_cstr(&message);
    assert_false(message.overflow);
    assert_int_equal(err_is(o.err), o.store == NULL);
    assert_int_equal(err_is(o.err), message.len > 0);
    return o;
}

static struct store *open_good(const struct folder *d, enum store_access access) {
    struct opened o = try_open(d, access);
    if (o.store == NULL) fail_msg("%s", o.message);
    return o.store;
}

static void assert_refused(const struct folder *d, enum store_access access, enum err_kind kind, const char *word) {
    struct opened o = try_open(d, access);
    if (o.store != NULL) fail_msg("opened, where it should say %s", word);
    if (o.err.kind != kind || strstr(o.message, word) == NULL)
        fail_msg("kind %d instead of %d, or no \"%s\": %s", o.err.kind, kind, word, o.message);
}

/* What was read of the events 0 to 999. */
struct seen {
    unsigned times[1000];
    unsigned count;
    unsigned damaged;
    unsigned wrong; /* not flagged, and not what was stored */
};

static bool see(void *context, const struct event_record *record) {
    struct seen *seen = context;
    seen->count++;
    if (record->damaged) {
        seen->damaged++;
        return true;
    }
    /* The number in the payload, since any other column may be hit without a trace. */
    uint64_t number = 1000;
    struct str head, tail;
    if (str_starts(record->event.payload, STR("{\"number\":")) && str_cut(record->event.payload, '}', &head, &tail))
        (void)str_u64(str_from_index(head, 10), 999, &number);
    if (!is_payload_of((unsigned)number, record->event.payload))
        seen->wrong++;
    else
        seen->times[number]++;
    if (record->event.request_body.ptr != NULL && !str_eq(record->event.request_body, STR("[the whole of a batch]")))
        seen->wrong++;
    return true;
}

static struct err read_events(struct store *store, struct seen *ret_seen) {
    struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
    *ret_seen = (struct seen){0};
    return store_events(store, &filter, see, ret_seen);
}

/* Exactly the events 0 to count - 1, once each. */
static void assert_holds(struct store *store, unsigned count) {
    struct seen seen;
    assert_int_equal(read_events(store, &seen).kind, ERR_OK);
    assert_int_equal(seen.count, count);
    assert_int_equal(seen.damaged, 0);
    assert_int_equal(seen.wrong, 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(seen.times[i], 1);
}

static bool take_last_seq(void *context, const struct event_record *record) {
    *(uint64_t *)context = record->seq;
    return true;
}

static uint64_t last_seq(struct store *store) {
    struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .limit = 1};
    uint64_t seq = 0;
    assert_int_equal(store_events(store, &filter, take_last_seq, &seq).kind, ERR_OK);
    return seq;
}

/* ---- files ---- */

static void reopening_keeps_everything(void **state) {
    (void)state;
    struct folder d = folder_make();
    for (unsigned round = 0; round < 5; round++) {
        struct store *store = open_good(&d, STORE_WRITE);
        assert_holds(store, 4 * round);
        enum outcome outcome;
        for (unsigned old = 0; old < 4 * round; old++) {
            assert_int_equal(commit_range(store, old, 1, &outcome).kind, ERR_OK);
            assert_int_equal(outcome, OUTCOME_DUPLICATE);
        }
        commit_good(store, 4 * round, 4);
        assert_int_equal(last_seq(store), 4 * round + 4);
        store_close(store);
        assert_false(is_there(d.wal)); /* all is in the one file */
        store = open_good(&d, STORE_READ);
        assert_holds(store, 4 * round + 4);
        store_close(store);
    }
    folder_remove(&d);
}

static void the_first_payload_stands(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 2);
    store_close(store);
    store = open_good(&d, STORE_WRITE);
    static struct made other;
    make(&other, 1);
    other.event.payload = STR("another body");
    digest_sha256(other.event.payload, other.event.payload_sha256);
    const struct event *events[] = {&other.event};
    enum outcome outcome;
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_DUPLICATE);
    other.event.bytes_must_match = true;
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_CONFLICT);
    assert_holds(store, 2);
    store_close(store);
    folder_remove(&d);
}

static void files_are_private_whatever_the_umask(void **state) {
    (void)state;
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct folder d = folder_make();
        mode_t before = umask(masks[i]);
        struct store *store = open_good(&d, STORE_WRITE);
        commit_good(store, 0, 1);
        (void)umask(before);
        const char *const files[] = {d.file, d.wal, d.shm};
        for (size_t at = 0; at < sizeof files / sizeof files[0]; at++) {
            struct stat info;
            assert_int_equal(stat(files[at], &info), 0);
            assert_int_equal(info.st_mode & 07777, 0600);
        }
        assert_false(is_there(d.new));
        store_close(store);
        folder_remove(&d);
    }
}

static void a_file_others_can_read_is_refused(void **state) {
    (void)state;
    struct folder d = folder_make();
    store_close(open_good(&d, STORE_WRITE));
    static const mode_t modes[] = {0644, 0640, 0604, 0601, 0660};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(d.file, modes[i]), 0);
        assert_refused(&d, STORE_WRITE, ERR_DENIED, "chmod 600");
    }
    assert_int_equal(chmod(d.file, 0600), 0);
    store_close(open_good(&d, STORE_WRITE));
    folder_remove(&d);
}

static void a_folder_without_events_is_said_to_be_so(void **state) {
    (void)state;
    struct folder d = folder_make();
    assert_refused(&d, STORE_READ, ERR_ABSENT, "is --data right?");
    assert_false(is_there(d.file)); /* a reader makes nothing */
    assert_int_equal(rmdir(d.path), 0);
    assert_refused(&d, STORE_READ, ERR_ABSENT, "is --data right?");
    assert_refused(&d, STORE_WRITE, ERR_SYSTEM, "No such file");
}

static void a_path_too_long_is_refused(void **state) {
    (void)state;
    char path[5000], message_memory[256];
    memset(path, 'a', sizeof path - 1);
    for (size_t len = 4070; len < sizeof path; len += 5) {
        path[len] = '\0';
        struct writer message = writer_make(message_memory, sizeof message_memory);
        struct store *store = NULL;
        assert_true(err_is(store_open("sqlite", path, STORE_WRITE, &message, &store)));
        assert_null(store);
        path[len] = 'a';
    }
}

static void what_a_crash_left_half_made_is_made_again(void **state) {
    (void)state;
    struct folder d = folder_make();
    write_file(d.new, STR("SQLite format 3\0 half"));
    write_file(d.wal, STR("")); /* as a reader leaves it */
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 3);
    assert_holds(store, 3);
    store_close(store);
    assert_false(is_there(d.new));
    folder_remove(&d);
}

static void a_log_without_its_file_is_not_thrown_away(void **state) {
    (void)state;
    struct folder d = folder_make();
    write_file(d.wal, STR("may hold events"));
    assert_refused(&d, STORE_WRITE, ERR_DAMAGED, "payhook.db-wal");
    assert_false(is_there(d.file));
    assert_true(is_there(d.wal));
    folder_remove(&d);
}

static void no_seq_is_given_twice_after_a_deletion(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        uint64_t next;
    } rows[] = {
        {"DELETE FROM event WHERE seq = 6", 7},
        {"DELETE FROM event WHERE seq >= 3", 7},
        {"DELETE FROM event", 7},
        {"DELETE FROM event WHERE seq = 2", 7},
        {"DELETE FROM event WHERE seq = 6; DELETE FROM event WHERE seq = 1", 7},
        {"UPDATE event SET seq = 100 WHERE seq = 6", 101},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct store *store = open_good(&d, STORE_WRITE);
        commit_good(store, 0, 6);
        run_sql(&d, rows[i].sql); /* beside the server */
        commit_good(store, 100, 1);
        assert_int_equal(last_seq(store), rows[i].next);
        store_close(store);
        folder_remove(&d);
    }
}

static void a_person_sees_texts_as_text(void **state) {
    (void)state;
    static const struct {
        struct str payload;
        bool is_text;
    } rows[] = {
        {{"", 0}, true},
        {{"{\"a\":1}", 7}, true},
        {{"12", 2}, true},
        {{"gr\xc3\xbc\xc3\x9f e\xe2\x82\xac \xf0\x9f\x98\x80", 16}, true},
        {{"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xe0\xa0\x80\xf0\x90\x80\x80", 17}, true},
        {{"\0", 1}, false},
        {{"12345678\0", 9}, false},
        {{"1234567\0", 8}, false},
        {{"\xc0\xaf", 2}, false},
        {{"\xc1\xbf", 2}, false},
        {{"\xe0\x9f\xbf", 3}, false},
        {{"\xed\xa0\x80", 3}, false},
        {{"\xf0\x8f\xbf\xbf", 4}, false},
        {{"\xf4\x90\x80\x80", 4}, false},
        {{"\xf5\x80\x80\x80", 4}, false},
        {{"\x80", 1}, false},
        {{"\xe2\x82", 2}, false},
        {{"\xe2\x82"
          "a",
          3},
         false},
        {{"\xc3\xc3", 2}, false},
        {{"1234567\xff", 8}, false},
        {{"123456789\xff", 10}, false},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    static struct made made;
    char sql[128];
    for (size_t i = 0; i < ROWS; i++) {
        make(&made, (unsigned)i);
        made.event.payload = rows[i].payload;
        made.event.request_body = STR_NONE;
        digest_sha256(made.event.payload, made.event.payload_sha256);
        const struct event *events[] = {&made.event};
        enum outcome outcome;
        assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
        (void)snprintf(sql, sizeof sql, "SELECT typeof(payload) = '%s' FROM event WHERE seq = %zu",
                       rows[i].is_text ? "text" : "blob", i + 1);
        assert_int_equal(query(&d, sql), 1);
    }
    store_close(store);
    folder_remove(&d);
}

static void the_body_of_a_batch_is_stored_once(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    static struct made made[6];
    const struct event *events[6];
    enum outcome outcomes[6];
    commit_good(store, 0, 1); /* known when the batch comes, of which it is the first */
    for (unsigned i = 0; i < 6; i++) {
        make(&made[i], i);
        made[i].event.request_body = i < 4 ? STR("[the whole of a batch]") : STR_NONE;
        made[i].event.request_body.ptr = i < 4 ? made[0].event.request_body.ptr : NULL;
        events[i] = &made[i].event;
    }
    assert_int_equal(store_commit(store, events, 6, outcomes).kind, ERR_OK);
    assert_int_equal(query(&d, "SELECT count(*) FROM event WHERE request_body IS NOT NULL"), 1);
    assert_int_equal(query(&d, "SELECT count(*) FROM event WHERE request_sha256 IS NOT NULL"), 1);
    assert_int_equal(query(&d, "SELECT count(*) FROM event WHERE request_seq = 2"), 3);
    assert_int_equal(query(&d, "SELECT count(*) FROM event WHERE request_seq IS NULL"), 3);
    assert_holds(store, 6);
    store_close(store);
    folder_remove(&d);
}

static void a_file_moved_away_stops_the_store(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 1);
    assert_int_equal(rename(d.file, d.new), 0);
    enum outcome outcome;
    assert_int_equal(commit_range(store, 1, 2, &outcome).kind, ERR_SYNC);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_int_equal(rename(d.new, d.file), 0);
    assert_int_equal(commit_range(store, 1, 2, &outcome).kind, ERR_SYNC); /* for good */
    store_close(store);
    store = open_good(&d, STORE_WRITE);
    assert_holds(store, 1);
    store_close(store);
    folder_remove(&d);
}

/* ---- other files than ours ---- */

static void foreign_and_changed_databases_are_refused(void **state) {
    (void)state;
    static const struct {
        bool ours; /* made by us before the SQL, with three events */
        const char *sql;
        enum err_kind writing; /* ERR_OK: opens */
        enum err_kind reading;
        const char *word;
    } rows[] = {
        {false, "CREATE TABLE t(x)", ERR_INPUT, ERR_INPUT, "another program"},
        {false, "PRAGMA application_id = 1; CREATE TABLE event(seq)", ERR_INPUT, ERR_INPUT, "another program"},
        {false, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)", ERR_INPUT, ERR_INPUT, "another program"},
        {false, "PRAGMA user_version = 1; CREATE TABLE t(x)", ERR_INPUT, ERR_INPUT, "another program"},
        {true, "PRAGMA application_id = 0", ERR_INPUT, ERR_INPUT, "another program"},
        {true, "PRAGMA user_version = 2", ERR_NEWER, ERR_NEWER, "newer payhook"},
        {true, "PRAGMA user_version = 2147483647", ERR_NEWER, ERR_NEWER, "2147483647"},
        {true, "PRAGMA user_version = 0", ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "PRAGMA user_version = -1", ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "CREATE TABLE mine(x)", ERR_DAMAGED, ERR_OK, "mine"},
        {true, "CREATE INDEX mine ON event(event_type)", ERR_DAMAGED, ERR_OK, "mine"},
        {true, "CREATE VIEW mine AS SELECT * FROM event", ERR_DAMAGED, ERR_OK, "mine"},
        {true, "CREATE TRIGGER mine AFTER INSERT ON event BEGIN DELETE FROM event; END", ERR_DAMAGED, ERR_OK, "mine"},
        {true, "ALTER TABLE event ADD COLUMN mine ANY", ERR_DAMAGED, ERR_OK, "event"},
        {true, "ALTER TABLE event DROP COLUMN event_type", ERR_DAMAGED, ERR_DAMAGED, "payhook.db"},
        {true, "DROP TABLE event", ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "DROP INDEX event_identity", ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "DROP INDEX event_timestamp", ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "DROP INDEX event_identity; CREATE INDEX event_identity ON event(transaction_id, source, event_key)",
         ERR_DAMAGED, ERR_DAMAGED, "restore a backup"},
        {true, "DROP TRIGGER event_deleted", ERR_DAMAGED, ERR_OK, "restore a backup"},
        {true, "ANALYZE", ERR_OK, ERR_OK, ""},
        {true, "VACUUM", ERR_OK, ERR_OK, ""},
        {true, "PRAGMA journal_mode = DELETE", ERR_OK, ERR_OK, ""},
        {true, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM", ERR_OK, ERR_OK, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        if (rows[i].ours) {
            struct store *store = open_good(&d, STORE_WRITE);
            commit_good(store, 0, 3);
            store_close(store);
        }
        run_sql(&d, rows[i].sql);
        assert_int_equal(chmod(d.file, 0600), 0);
        struct str before = read_file(d.file);
        static const enum store_access accesses[] = {STORE_READ, STORE_WRITE};
        for (size_t at = 0; at < 2; at++) {
            enum err_kind kind = accesses[at] == STORE_READ ? rows[i].reading : rows[i].writing;
            if (kind == ERR_OK) {
                struct store *store = open_good(&d, accesses[at]);
                assert_holds(store, 3);
                if (accesses[at] == STORE_WRITE) commit_good(store, 3, 2);
                store_close(store);
            } else {
                assert_refused(&d, accesses[at], kind, rows[i].word);
                struct str after = read_file(d.file);
                assert_true(str_eq(before, after)); /* nothing is written to what is not ours */
                free_file(after);
            }
        }
        free_file(before);
        folder_remove(&d);
    }
}

static void what_is_no_database_is_refused(void **state) {
    (void)state;
    static const struct str contents[] = {
        {"", 0},
        {"\0", 1},
        {"SQLite format 3", 15},
        {"SQLite format 3\0", 16},
        {"{\"transactionId\":\"test-123\",\"amount\":100}, and so on for more than the hundred bytes that the header "
         "of a database would have",
         120},
    };
    struct folder d = folder_make();
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        write_file(d.file, contents[i]);
        assert_refused(&d, STORE_WRITE, ERR_DAMAGED, "restore a backup");
        assert_refused(&d, STORE_READ, ERR_DAMAGED, "restore a backup");
        struct str after = read_file(d.file);
        assert_true(str_eq(after, contents[i]));
        free_file(after);
    }
    assert_int_equal(unlink(d.file), 0);
    assert_int_equal(mkdir(d.file, 0700), 0);
    assert_refused(&d, STORE_WRITE, ERR_INPUT, "not a regular file");
    assert_refused(&d, STORE_READ, ERR_INPUT, "not a regular file");
    assert_int_equal(rmdir(d.file), 0);
    folder_remove(&d);
}

static void a_schema_lost_while_open_stops_the_store(void **state) {
    (void)state;
    static const char *const rows[] = {"DROP TABLE event", "DROP INDEX event_identity", "DELETE FROM sequence"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct store *store = open_good(&d, STORE_WRITE);
        commit_good(store, 0, 2);
        run_sql(&d, rows[i]);
        enum outcome outcome;
        for (int again = 0; again < 2; again++) {
            assert_int_equal(commit_range(store, 2, 2, &outcome).kind, ERR_DAMAGED);
            assert_int_equal(outcome, OUTCOME_FAILED);
        }
        store_close(store);
        folder_remove(&d);
    }
}

/* ---- damage ---- */

enum { DAMAGE_EVENTS = 28 };

/* The bytes of a small store, closed. */
static struct str make_small(const struct folder *d) {
    struct store *store = open_good(d, STORE_WRITE);
    for (unsigned first = 0; first < DAMAGE_EVENTS; first += 7)
        commit_good(store, first, 7);
    store_close(store);
    return read_file(d->file);
}

/* Columns changed under us, by hand or by a flipped bit. Event 4, with seq 5, comes of a batch. */
static void a_row_that_contradicts_itself_is_flagged(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        unsigned damaged; /* of 7 */
    } rows[] = {
        {"UPDATE event SET payload = 'x' WHERE seq = 2", 1},
        {"UPDATE event SET payload = payload || ' ' WHERE seq < 4", 3},
        {"UPDATE event SET payload = 12 WHERE seq = 2", 1},
        {"UPDATE event SET payload_sha256 = zeroblob(32) WHERE seq = 2", 1},
        {"UPDATE event SET payload = CAST(payload AS BLOB)", 0}, /* the bytes are the same */
        {"UPDATE event SET request_body = 'x' WHERE seq = 5", 1},
        {"UPDATE event SET request_body = NULL WHERE seq = 5", 1},
        {"UPDATE event SET request_sha256 = zeroblob(32) WHERE seq = 5", 1},
        {"UPDATE event SET request_sha256 = x'00' WHERE seq = 5", 1},
        {"UPDATE event SET request_seq = 1 WHERE seq = 5", 1},
        {"UPDATE event SET request_seq = 99 WHERE seq = 5", 1},
        {"UPDATE event SET authenticated = 'bodi' WHERE seq = 2", 1},
        {"UPDATE event SET authenticated = '' WHERE seq = 2", 1},
        {"UPDATE event SET matched_secret = -2 WHERE seq = 2", 1},
        {"UPDATE event SET matched_secret = 4294967296 WHERE seq = 2", 1},
        {"UPDATE event SET timestamp = 9223372036854775807 WHERE seq = 2", 1},
        {"UPDATE event SET timestamp = -9223372036854775807 WHERE seq = 2", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct store *store = open_good(&d, STORE_WRITE);
        commit_good(store, 0, 7);
        run_sql(&d, rows[i].sql);
        struct seen seen;
        assert_int_equal(read_events(store, &seen).kind, ERR_OK);
        assert_int_equal(seen.count, 7);
        if (seen.damaged != rows[i].damaged) fail_msg("%s: %u flagged", rows[i].sql, seen.damaged);
        assert_int_equal(seen.wrong, 0);
        store_close(store);
        folder_remove(&d);
    }
}

/* A damaged page of a table or index is found when the file is opened to be written, before anything is asked of it. */
static void a_damaged_page_is_found_at_the_start(void **state) {
    (void)state;
    enum { PAGE = 16384 };
    struct folder d = folder_make();
    struct str good = make_small(&d);
    char *bad = malloc(good.len);
    assert_non_null(bad);
    unsigned pages = 0;
    for (size_t at = PAGE; at < good.len; at += PAGE) {
        if (good.ptr[at] == 0) continue; /* the rest of a large payload, which has its checksum */
        memcpy(bad, good.ptr, good.len);
        memset(bad + at, 0x5a, 64);
        folder_empty(&d);
        write_file(d.file, str_make(bad, good.len));
        assert_refused(&d, STORE_WRITE, ERR_DAMAGED, "restore a backup");
        pages++;
    }
    assert_true(pages >= 6); /* two tables, three indexes, and their leaves */
    free(bad);
    free_file(good);
    folder_remove(&d);
}

struct tally {
    unsigned refused; /* at opening, or while reading */
    unsigned flagged;
    unsigned right;
};

static bool see_name(void *context, struct str source) {
    *(size_t *)context += source.len;
    return true;
}

/* Whatever is in the file: refused, flagged, or right. */
static void look_at_damaged(const struct folder *d, enum store_access access, struct tally *tally) {
    struct opened o = try_open(d, access);
    if (o.store == NULL) {
        assert_in_set(o.err.kind, ((unsigned long[]){ERR_DAMAGED, ERR_NEWER, ERR_INPUT}), 3);
        tally->refused++;
        return;
    }
    struct seen seen;
    struct err read = read_events(o.store, &seen);
    assert_int_equal(seen.wrong, 0);
    bool flagged = seen.damaged > 0, refused = err_is(read);
    for (unsigned i = 0; i < 5; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "t%u", i);
        seen = (struct seen){0};
        refused |= err_is(store_timeline(o.store, STR("odd"), str_from(id), see, &seen));
        assert_int_equal(seen.wrong, 0);
        flagged |= seen.damaged > 0;
        size_t names = 0;
        refused |= err_is(store_sources(o.store, str_from(id), see_name, &names));
    }
    enum outcome outcome;
    if (access == STORE_WRITE) refused |= err_is(commit_range(o.store, 500, 2, &outcome));
    store_close(o.store);
    if (refused)
        tally->refused++;
    else if (flagged)
        tally->flagged++;
    else
        tally->right++;
}

static void look_both_ways(const struct folder *d, struct str content, struct tally *tally) {
    folder_empty(d);
    write_file(d->file, content);
    look_at_damaged(d, STORE_READ, tally);
    (void)unlink(d->wal); /* what the reader made */
    (void)unlink(d->shm);
    look_at_damaged(d, STORE_WRITE, tally);
}

static void a_flipped_byte_gives_no_wrong_payload(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct str good = make_small(&d);
    char *bad = malloc(good.len);
    assert_non_null(bad);
    struct tally tally = {0};
    static const unsigned char flips[] = {0x01, 0xff};
    for (size_t at = 0; at < good.len; at += at < 200 ? 1 : 97) {
        for (size_t i = 0; i < sizeof flips; i++) {
            if (at >= 200 && i == at % 2) continue; /* one of them is enough there */
            memcpy(bad, good.ptr, good.len);
            bad[at] = (char)((unsigned char)bad[at] ^ flips[i]);
            look_both_ways(&d, str_make(bad, good.len), &tally);
        }
    }
    print_message("refused %u, flagged %u, right %u\n", tally.refused, tally.flagged, tally.right);
    assert_true(tally.refused > 50);
    assert_true(tally.flagged > 50);
    assert_true(tally.right > 50);
    free(bad);
    free_file(good);
    folder_remove(&d);
}

static void a_lost_page_gives_no_wrong_payload(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct str good = make_small(&d);
    char *bad = malloc(good.len);
    assert_non_null(bad);
    struct tally tally = {0};
    enum { SECTOR = 4096 };
    for (size_t at = 0; at + SECTOR <= good.len; at += SECTOR) {
        static const int fillings[] = {0x00, 0xff, 0x55};
        for (size_t i = 0; i < sizeof fillings / sizeof fillings[0]; i++) {
            memcpy(bad, good.ptr, good.len);
            memset(bad + at, fillings[i], SECTOR);
            look_both_ways(&d, str_make(bad, good.len), &tally);
        }
        memcpy(bad, good.ptr, good.len); /* another page's bytes */
        memcpy(bad + at, good.ptr + (at + 5 * SECTOR) % (good.len - SECTOR + 1), SECTOR);
        look_both_ways(&d, str_make(bad, good.len), &tally);
    }
    assert_true(tally.refused > 10);
    free(bad);
    free_file(good);
    folder_remove(&d);
}

static void a_truncated_file_gives_no_wrong_payload(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct str good = make_small(&d);
    struct tally tally = {0};
    for (size_t len = 0; len < good.len; len += len % 16384 == 0 ? 1 : len % 16384 == 1 ? 4095 : 4096)
        look_both_ways(&d, str_make(good.ptr, len), &tally);
    assert_int_equal(tally.flagged, 0);
    assert_int_equal(tally.right, 0); /* a part is never taken for the whole */
    free_file(good);
    folder_remove(&d);
}

/* ---- kills, readers, and another writer ---- */

/* A process that commits the events 0 to count - 1 and is killed. */
static void commit_and_be_killed(const struct folder *d, unsigned count) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = open_good(d, STORE_WRITE);
        for (unsigned i = 0; i < count; i++)
            commit_good(store, i, 1);
        (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void what_a_killed_writer_left_is_found(void **state) {
    (void)state;
    for (int booted = 0; booted < 2; booted++) {
        struct folder d = folder_make(), alone = folder_make();
        commit_and_be_killed(&d, 12);
        struct stat info;
        assert_int_equal(stat(d.wal, &info), 0);
        assert_true(info.st_size > 16384);               /* the events are there, not in the file */
        if (booted) (void)unlink(d.shm);                 /* as after a restart of the machine */
        struct store *store = open_good(&d, STORE_READ); /* no server runs */
        assert_holds(store, 12);
        store_close(store);
        struct stat later;
        assert_int_equal(stat(d.wal, &later), 0); /* which a reader leaves as it is */
        assert_int_equal(later.st_size, info.st_size);
        store = open_good(&d, STORE_WRITE);
        /* Before any duplicate is answered they are in the file, which has been synced. */
        struct str content = read_file(d.file);
        write_file(alone.file, content);
        free_file(content);
        struct store *copy = open_good(&alone, STORE_WRITE);
        assert_holds(copy, 12);
        store_close(copy);
        enum outcome outcome;
        assert_int_equal(commit_range(store, 0, 5, &outcome).kind, ERR_OK);
        assert_int_equal(outcome, OUTCOME_DUPLICATE);
        commit_good(store, 12, 3);
        assert_holds(store, 15);
        store_close(store);
        folder_remove(&d);
        folder_remove(&alone);
    }
}

static void a_log_cut_short_loses_its_end_only(void **state) {
    (void)state;
    struct folder d = folder_make(), cut = folder_make();
    commit_and_be_killed(&d, 8);
    struct str file = read_file(d.file), wal = read_file(d.wal);
    unsigned most = 0;
    for (size_t len = 0; len <= wal.len; len += 4999) {
        folder_empty(&cut);
        write_file(cut.file, file);
        write_file(cut.wal, str_make(wal.ptr, len));
        struct store *store = open_good(&cut, STORE_WRITE);
        struct seen seen;
        assert_int_equal(read_events(store, &seen).kind, ERR_OK);
        assert_holds(store, seen.count);
        assert_true(seen.count >= most); /* a longer log never holds less */
        most = seen.count;
        store_close(store);
    }
    assert_true(most >= 6);
    free_file(file);
    free_file(wal);
    folder_remove(&d);
    folder_remove(&cut);
}

static void a_reader_never_makes_the_writer_wait(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 3);
    /* Somebody with sqlite3 leaves a transaction open. */
    sqlite3 *db;
    sqlite3_stmt *count;
    assert_int_equal(sqlite3_open_v2(d.file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM event", -1, &count, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(count, 0), 3);
    struct store *reader = open_good(&d, STORE_READ);
    for (unsigned i = 3; i < 40; i++) {
        commit_good(store, i, 1);
        assert_holds(reader, i + 1);
    }
    store_close(store);
    assert_holds(reader, 40);
    assert_int_equal(sqlite3_reset(count), SQLITE_OK);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(count, 0), 3); /* its own state still */
    assert_int_equal(sqlite3_finalize(count), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    store = open_good(&d, STORE_WRITE);
    commit_good(store, 40, 1);
    store_close(store);
    store_close(reader);
    store = open_good(&d, STORE_WRITE);
    assert_holds(store, 41);
    store_close(store);
    folder_remove(&d);
}

struct slow_reader {
    sqlite3 *db; /* another connection */
    unsigned count;
};

/* While a reader looks at a record, the whole log can be copied and emptied: no transaction is open. */
static bool empty_the_log(void *context, const struct event_record *record) {
    struct slow_reader *slow = context;
    (void)record;
    slow->count++;
    int in_wal, copied;
    assert_int_equal(sqlite3_wal_checkpoint_v2(slow->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &in_wal, &copied),
                     SQLITE_OK);
    assert_int_equal(in_wal, 0);
    return true;
}

static void a_slow_reader_keeps_no_transaction_open(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE), *reader = open_good(&d, STORE_READ);
    commit_good(store, 0, 8);
    struct slow_reader slow = {0};
    assert_int_equal(sqlite3_open(d.file, &slow.db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(slow.db, "SELECT * FROM sequence", NULL, NULL, NULL), SQLITE_OK); /* opens the log */
    struct store_filter filter = {.source = STR_NONE, .since_s = 0, .limit = 5, .with_payload = true};
    assert_int_equal(store_events(reader, &filter, empty_the_log, &slow).kind, ERR_OK);
    assert_int_equal(slow.count, 5);
    assert_int_equal(store_timeline(reader, STR("even"), STR("t0"), empty_the_log, &slow).kind, ERR_OK);
    assert_int_equal(slow.count, 6);
    assert_int_equal(sqlite3_close(slow.db), SQLITE_OK);
    store_close(reader);
    store_close(store);
    folder_remove(&d);
}

/* ---- a disk that fails ---- */

enum shim_call { SHIM_WRITE, SHIM_SYNC, SHIM_SHM, SHIM_TRUNCATE };

struct shim {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    enum shim_call call; /* which fails, */
    unsigned countdown;  /* at the how manieth from now; 0: none */
    int rc;
    int sys;
    unsigned fired;
    unsigned writes;
};

struct shim_file {
    sqlite3_file base;
    struct shim *shim;
    char real[]; /* aligned as a pointer, which is what SQLite promises */
};

static sqlite3_file *real_of(sqlite3_file *file) { return (sqlite3_file *)(void *)((struct shim_file *)file)->real; }

static bool is_to_fail(struct shim *shim, enum shim_call call) {
    if (call == SHIM_WRITE) shim->writes++;
    if (shim->countdown == 0 || shim->call != call || --shim->countdown > 0) return false;
    shim->fired++;
    return true;
}

static int fail_now(struct shim *shim) {
    errno = shim->sys;
    return shim->rc;
}

#define REAL(file, method, ...) real_of(file)->pMethods->method(real_of(file), __VA_ARGS__)
#define REAL_0(file, method)    real_of(file)->pMethods->method(real_of(file))

static int shim_close(sqlite3_file *f) { return REAL_0(f, xClose); }
static int shim_read(sqlite3_file *f, void *to, int size, sqlite3_int64 at) { return REAL(f, xRead, to, size, at); }
static int shim_write(sqlite3_file *f, const void *from, int size, sqlite3_int64 at) {
    struct shim *shim = ((struct shim_file *)f)->shim;
    if (!is_to_fail(shim, SHIM_WRITE)) return REAL(f, xWrite, from, size, at);
    (void)REAL(f, xWrite, from, size / 2, at); /* a part still goes through, as when a disk fills */
    return fail_now(shim);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 size) {
    struct shim *shim = ((struct shim_file *)f)->shim;
    return is_to_fail(shim, SHIM_TRUNCATE) ? fail_now(shim) : REAL(f, xTruncate, size);
}
static int shim_sync(sqlite3_file *f, int flags) {
    struct shim *shim = ((struct shim_file *)f)->shim;
    return is_to_fail(shim, SHIM_SYNC) ? fail_now(shim) : REAL(f, xSync, flags);
}
static int shim_file_size(sqlite3_file *f, sqlite3_int64 *ret_size) { return REAL(f, xFileSize, ret_size); }
static int shim_lock(sqlite3_file *f, int level) { return REAL(f, xLock, level); }
static int shim_unlock(sqlite3_file *f, int level) { return REAL(f, xUnlock, level); }
static int shim_check_reserved(sqlite3_file *f, int *ret_is) { return REAL(f, xCheckReservedLock, ret_is); }
static int shim_file_control(sqlite3_file *f, int op, void *arg) { return REAL(f, xFileControl, op, arg); }
static int shim_sector_size(sqlite3_file *f) { return REAL_0(f, xSectorSize); }
static int shim_characteristics(sqlite3_file *f) { return REAL_0(f, xDeviceCharacteristics); }
static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret_memory) {
    struct shim *shim = ((struct shim_file *)f)->shim;
    return is_to_fail(shim, SHIM_SHM) ? fail_now(shim) : REAL(f, xShmMap, page, size, extend, ret_memory);
}
static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags) { return REAL(f, xShmLock, at, n, flags); }
static void shim_shm_barrier(sqlite3_file *f) { REAL_0(f, xShmBarrier); }
static int shim_shm_unmap(sqlite3_file *f, int remove) { return REAL(f, xShmUnmap, remove); }

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2, /* no xFetch: no mapped memory */
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_file_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_reserved,
    .xFileControl = shim_file_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_characteristics,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags) {
    struct shim *shim = vfs->pAppData;
    struct shim_file *ours = (struct shim_file *)file;
    ours->shim = shim;
    int rc = shim->real->xOpen(shim->real, name, real_of(file), flags, ret_flags);
    ours->base.pMethods = real_of(file)->pMethods != NULL ? &shim_methods : NULL;
    return rc;
}
static sqlite3_vfs *real_vfs(sqlite3_vfs *vfs) { return ((struct shim *)vfs->pAppData)->real; }
static int shim_delete(sqlite3_vfs *v, const char *name, int sync) {
    return real_vfs(v)->xDelete(real_vfs(v), name, sync);
}
static int shim_access(sqlite3_vfs *v, const char *name, int flags, int *ret_is) {
    return real_vfs(v)->xAccess(real_vfs(v), name, flags, ret_is);
}
static int shim_full_path(sqlite3_vfs *v, const char *name, int size, char *ret_name) {
    return real_vfs(v)->xFullPathname(real_vfs(v), name, size, ret_name);
}
static int shim_randomness(sqlite3_vfs *v, int size, char *to) {
    return real_vfs(v)->xRandomness(real_vfs(v), size, to);
}
/* Nobody waits in a test: a busy handler comes to its end at once. */
static int shim_sleep(sqlite3_vfs *v, int us) {
    (void)v;
    return us;
}
static int shim_time(sqlite3_vfs *v, double *ret_days) { return real_vfs(v)->xCurrentTime(real_vfs(v), ret_days); }
static int shim_time64(sqlite3_vfs *v, sqlite3_int64 *ret_ms) {
    return real_vfs(v)->xCurrentTimeInt64(real_vfs(v), ret_ms);
}
static int shim_last_error(sqlite3_vfs *v, int size, char *text) {
    return real_vfs(v)->xGetLastError(real_vfs(v), size, text);
}

/* From here to shim_done every connection goes through it. */
static void shim_init(struct shim *shim) {
    *shim = (struct shim){.real = sqlite3_vfs_find(NULL)};
    assert_non_null(shim->real);
    shim->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct shim_file) + shim->real->szOsFile,
        .mxPathname = shim->real->mxPathname,
        .zName = "shim",
        .pAppData = shim,
        .xOpen = shim_open,
        .xDelete = shim_delete,
        .xAccess = shim_access,
        .xFullPathname = shim_full_path,
        .xRandomness = shim_randomness,
        .xSleep = shim_sleep,
        .xCurrentTime = shim_time,
        .xGetLastError = shim_last_error,
        .xCurrentTimeInt64 = shim_time64,
    };
    assert_int_equal(sqlite3_vfs_register(&shim->vfs, 1), SQLITE_OK);
}

static void shim_done(struct shim *shim) { assert_int_equal(sqlite3_vfs_unregister(&shim->vfs), SQLITE_OK); }

static void shim_arm(struct shim *shim, enum shim_call call, unsigned nth, int rc, int sys) {
    shim->call = call;
    shim->countdown = nth;
    shim->rc = rc;
    shim->sys = sys;
    shim->fired = 0;
}

/* What fails once, and what a commit must say then. */
struct fault {
    enum shim_call call;
    int rc;
    int sys;
    enum err_kind kind;
};

/* Makes a store and commits to it, with the fault at the nth call; then opens it again with none and looks. False: the
 * fault came too late to happen. */
static bool run_with_fault(const struct fault *fault, unsigned nth) {
    static const unsigned sizes[] = {1, 3, 8, 1, 6, 1};
    enum { COMMITS = sizeof sizes / sizeof sizes[0] };
    struct folder d = folder_make();
    struct shim shim;
    shim_init(&shim);
    shim_arm(&shim, fault->call, nth, fault->rc, fault->sys);

    struct opened o = try_open(&d, STORE_WRITE);
    if (o.store == NULL) {
        assert_int_equal(shim.fired, 1);
        assert_int_equal(o.err.kind, fault->kind);
        o = try_open(&d, STORE_WRITE);
        assert_non_null(o.store);
    }
    unsigned acked = 0;
    bool stopped = false;
    for (unsigned i = 0; i < COMMITS && !stopped; i++) {
        unsigned fired = shim.fired;
        enum outcome outcome;
        struct err committed = commit_range(o.store, acked, sizes[i], &outcome);
        if (err_is(committed)) {
            assert_int_equal(shim.fired, fired + 1); /* not without a reason */
            assert_int_equal(committed.kind, fault->kind);
            assert_int_equal(outcome, OUTCOME_FAILED);
            struct err again = commit_range(o.store, acked, sizes[i], &outcome);
            stopped = fault->kind == ERR_SYNC;
            assert_int_equal(again.kind, stopped ? ERR_SYNC : ERR_OK);
            assert_int_equal(outcome, stopped ? OUTCOME_FAILED : OUTCOME_STORED);
        }
        if (!stopped) acked += sizes[i];
        if (!stopped) assert_holds(o.store, acked);
    }
    unsigned writes = shim.writes;
    if (stopped) {
        struct seen seen;
        assert_int_equal(read_events(o.store, &seen).kind, ERR_SYNC);
        assert_int_equal(seen.count, 0);
    }
    store_close(o.store); /* here it may also happen, and must do no harm */
    if (stopped) assert_int_equal(shim.writes, writes);
    bool fired = shim.fired > 0;
    shim_done(&shim);

    struct store *store = open_good(&d, STORE_WRITE);
    struct seen seen;
    assert_int_equal(read_events(store, &seen).kind, ERR_OK);
    /* All that was acknowledged; of the commit that failed for good, all or nothing. */
    bool whole = seen.count == acked;
    for (unsigned i = 0, sum = 0; i < COMMITS && stopped; sum += sizes[i++])
        whole |= sum == acked && seen.count == acked + sizes[i];
    assert_true(whole);
    assert_holds(store, seen.count);
    commit_good(store, seen.count, 2);
    store_close(store);
    folder_remove(&d);
    return fired;
}

static void every_call_of_the_disk_may_fail_once(void **state) {
    (void)state;
    static const struct fault faults[] = {
        {SHIM_WRITE, SQLITE_FULL, ENOSPC, ERR_FULL},        {SHIM_WRITE, SQLITE_IOERR_WRITE, EDQUOT, ERR_FULL},
        {SHIM_WRITE, SQLITE_IOERR_WRITE, EIO, ERR_SYNC},    {SHIM_SYNC, SQLITE_IOERR_FSYNC, EIO, ERR_SYNC},
        {SHIM_SYNC, SQLITE_IOERR_FSYNC, ENOSPC, ERR_SYNC}, /* no room, but pages are lost */
        {SHIM_SHM, SQLITE_IOERR_SHMSIZE, ENOSPC, ERR_FULL}, {SHIM_SHM, SQLITE_IOERR_SHMMAP, EIO, ERR_SYNC},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        unsigned nth = 1;
        while (run_with_fault(&faults[i], nth))
            nth++;
        print_message("fault %zu: %u places\n", i, nth - 1);
        assert_true(nth > (faults[i].call == SHIM_SHM ? 1 : 5));
    }
}

/* As many commits of a megabyte as give the log so many pages, but no more. */
static unsigned fill_the_log(const struct folder *d, struct store *store, unsigned pages) {
    enum { SIZE = 1 << 20 };
    static struct made made;
    char *payload = malloc(SIZE);
    assert_non_null(payload);
    memset(payload, 'x', SIZE);
    unsigned stored = 0;
    for (struct stat wal = {0}; wal.st_size < (off_t)pages * (16384 + 24); stored++) {
        make(&made, stored);
        made.event.payload = str_make(payload, SIZE);
        digest_sha256(made.event.payload, made.event.payload_sha256);
        const struct event *events[] = {&made.event};
        enum outcome outcome;
        assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
        assert_int_equal(outcome, OUTCOME_STORED);
        assert_int_equal(stat(d->wal, &wal), 0);
    }
    free(payload);
    return stored;
}

/* Pages that the log has since it last began anew. It copies them all. */
static int pages_in_log(const struct folder *d) {
    sqlite3 *db;
    int pages = 0;
    assert_int_equal(sqlite3_open_v2(d->file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return pages;
}

static bool count_whole(void *context, const struct event_record *record) {
    *(unsigned *)context += !record->damaged;
    return true;
}

static void a_checkpoint_that_fails_is_noticed(void **state) {
    (void)state;
    static const struct {
        struct fault fault;
        enum err_kind kind; /* of the commit it was made for */
    } rows[] = {
        {{SHIM_SYNC, SQLITE_IOERR_FSYNC, EIO, ERR_SYNC}, ERR_SYNC},
        {{SHIM_WRITE, SQLITE_IOERR_WRITE, EIO, ERR_SYNC}, ERR_SYNC},
        {{SHIM_WRITE, SQLITE_FULL, ENOSPC, ERR_FULL}, ERR_OK}, /* the log only stays longer */
        {{SHIM_WRITE, 0, 0, ERR_OK}, ERR_OK},                  /* none */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct shim shim;
        shim_init(&shim);
        struct store *store = open_good(&d, STORE_WRITE);
        unsigned stored = fill_the_log(&d, store, 8000);
        struct stat before, after;
        assert_int_equal(stat(d.file, &before), 0);
        const struct fault *fault = &rows[i].fault;
        shim_arm(&shim, fault->call, fault->rc != 0, fault->rc, fault->sys);
        enum outcome outcome;
        assert_int_equal(commit_range(store, 1000, 1, &outcome).kind, rows[i].kind);
        assert_int_equal(shim.fired, fault->rc != 0);
        assert_int_equal(stat(d.file, &after), 0);
        if (fault->rc == 0) assert_true(after.st_size > before.st_size + (50 << 20));
        if (rows[i].kind == ERR_OK) {
            stored++;
            commit_good(store, 1001, 1);
            stored++;
        }
        store_close(store);
        shim_done(&shim);
        store = open_good(&d, STORE_WRITE);
        struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
        unsigned whole = 0;
        assert_int_equal(store_events(store, &filter, count_whole, &whole).kind, ERR_OK);
        assert_int_equal(whole, stored);
        store_close(store);
        folder_remove(&d);
    }
}

static unsigned count_whole_events(struct store *store) {
    const struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
    unsigned whole = 0;
    assert_int_equal(store_events(store, &filter, count_whole, &whole).kind, ERR_OK);
    return whole;
}

/* What fails while the log is copied beside the commits is as final as in one of them, and closing leaves all alone. */
static void a_tending_that_fails_stops_the_store(void **state) {
    (void)state;
    enum { LOG, FILE_BY_SQLITE, FILE_BY_US }; /* the syncs of a tending */
    static const struct {
        enum shim_call call;
        unsigned nth;
        int rc, sys;
        enum err_kind kind;
    } rows[] = {
        {SHIM_SYNC, 1 + LOG, SQLITE_IOERR_FSYNC, EIO, ERR_SYNC},
        {SHIM_SYNC, 1 + FILE_BY_SQLITE, SQLITE_IOERR_FSYNC, EIO, ERR_SYNC},
        {SHIM_SYNC, 1 + FILE_BY_US, SQLITE_IOERR_FSYNC, EIO, ERR_SYNC},
        {SHIM_SYNC, 1 + FILE_BY_US, SQLITE_IOERR_FSYNC, ENOSPC, ERR_SYNC},
        {SHIM_WRITE, 1, SQLITE_IOERR_WRITE, EIO, ERR_SYNC},
        {SHIM_WRITE, 70, SQLITE_IOERR_WRITE, EIO, ERR_SYNC},
        {SHIM_WRITE, 1, SQLITE_FULL, ENOSPC, ERR_OK}, /* the log only stays longer */
        {SHIM_WRITE, 1, SQLITE_IOERR_WRITE, ENOSPC, ERR_OK},
        {SHIM_WRITE, 0, 0, 0, ERR_OK}, /* none */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct shim shim;
        shim_init(&shim);
        struct store *store = open_good(&d, STORE_WRITE);
        assert_true(store_has_tending(store));
        assert_false(store_wants_tending(store));
        unsigned stored = fill_the_log(&d, store, 256);
        assert_true(store_wants_tending(store));
        shim_arm(&shim, rows[i].call, rows[i].nth, rows[i].rc, rows[i].sys);
        assert_int_equal(store_tend(store).kind, rows[i].kind);
        assert_int_equal(shim.fired, rows[i].rc != 0);
        if (rows[i].kind == ERR_OK) {
            /* The next one does what this one could not. */
            assert_int_equal(store_tend(store).kind, ERR_OK);
            assert_false(store_wants_tending(store));
            commit_good(store, 100, 1);
            stored++;
        } else {
            enum outcome outcome;
            unsigned none = 0;
            const struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN};
            struct stat before, after;
            assert_int_equal(stat(d.wal, &before), 0);
            if (i % 2 == 0) { /* also where no commit came any more before it is closed */
                assert_int_equal(commit_range(store, 100, 1, &outcome).kind, rows[i].kind);
                assert_int_equal(outcome, OUTCOME_FAILED);
            }
            assert_int_equal(store_tend(store).kind, rows[i].kind);
            assert_int_equal(store_events(store, &filter, count_whole, &none).kind, rows[i].kind);
            unsigned writes = shim.writes;
            store_close(store);
            assert_int_equal(shim.writes, writes);
            assert_int_equal(stat(d.wal, &after), 0);
            assert_int_equal(before.st_size, after.st_size);
            store = open_good(&d, STORE_WRITE);
        }
        assert_int_equal(count_whole_events(store), stored);
        store_close(store);
        shim_done(&shim);
        folder_remove(&d);
    }
}

/* After a commit that failed nothing is copied any more. */
static void a_stopped_store_is_not_tended(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct shim shim;
    shim_init(&shim);
    struct store *store = open_good(&d, STORE_WRITE);
    unsigned stored = fill_the_log(&d, store, 256);
    shim_arm(&shim, SHIM_SYNC, 1, SQLITE_IOERR_FSYNC, EIO);
    enum outcome outcome;
    assert_int_equal(commit_range(store, 100, 1, &outcome).kind, ERR_SYNC);
    assert_int_equal(shim.fired, 1);
    unsigned writes = shim.writes;
    assert_int_equal(store_tend(store).kind, ERR_OK);
    assert_int_equal(shim.writes, writes);
    store_close(store);
    assert_int_equal(shim.writes, writes);
    shim_done(&shim);
    store = open_good(&d, STORE_WRITE);
    assert_true(count_whole_events(store) >= stored); /* the commit that failed may be there or not */
    store_close(store);
    folder_remove(&d);
}

/* By itself where all of it is copied while nobody writes; where a little was left, when it is long; else when it is
 * too long. */
static void the_log_begins_anew(void **state) {
    (void)state;
    static const struct {
        unsigned pages;
        bool tended, little_left, anew;
    } rows[] = {
        {1000, true, false, true},  {3000, true, true, false},  {4000, true, true, true},
        {4000, false, true, false}, {8000, false, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder d = folder_make();
        struct store *store = open_good(&d, STORE_WRITE);
        unsigned stored = fill_the_log(&d, store, rows[i].pages);
        sqlite3 *reader;
        assert_int_equal(sqlite3_open_v2(d.file, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        if (rows[i].little_left) { /* somebody still reads from before the last commit */
            assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT 1 FROM event LIMIT 1", NULL, NULL, NULL), SQLITE_OK);
            commit_good(store, 2000, 1);
            stored++;
        }
        if (rows[i].tended) assert_int_equal(store_tend(store).kind, ERR_OK);
        assert_int_equal(sqlite3_close(reader), SQLITE_OK);
        commit_good(store, 2001, 1);
        assert_int_equal(count_whole_events(store), stored + 1);
        assert_int_equal(pages_in_log(&d) < 100, rows[i].anew);
        store_close(store);
        folder_remove(&d);
    }
}

static void another_writer_only_delays(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct shim shim;
    shim_init(&shim);
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 1);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(d.file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    enum outcome outcome;
    assert_int_equal(commit_range(store, 1, 2, &outcome).kind, ERR_BUSY);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    commit_good(store, 1, 2);
    assert_holds(store, 3);
    /* One who reads an older state keeps the log from being copied whole, and so a new server from starting. */
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM event", NULL, NULL, NULL), SQLITE_OK);
    commit_good(store, 3, 1);
    store_close(store);
    assert_refused(&d, STORE_WRITE, ERR_BUSY, "another program");
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    store = open_good(&d, STORE_WRITE);
    assert_holds(store, 4);
    store_close(store);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    shim_done(&shim);
    folder_remove(&d);
}

static void no_memory_is_no_end(void **state) {
    (void)state;
    struct folder d = folder_make();
    struct store *store = open_good(&d, STORE_WRITE);
    commit_good(store, 0, 1);
    (void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1000);
    enum outcome outcome;
    struct err committed = commit_range(store, 8, 3, &outcome); /* one of them is large */
    (void)sqlite3_hard_heap_limit64(0);
    assert_int_equal(committed.kind, ERR_MEMORY);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_holds(store, 1);
    commit_good(store, 1, 8);
    commit_good(store, 9, 1);
    assert_holds(store, 10);
    store_close(store);
    folder_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reopening_keeps_everything),
        cmocka_unit_test(the_first_payload_stands),
        cmocka_unit_test(files_are_private_whatever_the_umask),
        cmocka_unit_test(a_file_others_can_read_is_refused),
        cmocka_unit_test(a_folder_without_events_is_said_to_be_so),
        cmocka_unit_test(a_path_too_long_is_refused),
        cmocka_unit_test(what_a_crash_left_half_made_is_made_again),
        cmocka_unit_test(a_log_without_its_file_is_not_thrown_away),
        cmocka_unit_test(no_seq_is_given_twice_after_a_deletion),
        cmocka_unit_test(a_person_sees_texts_as_text),
        cmocka_unit_test(the_body_of_a_batch_is_stored_once),
        cmocka_unit_test(a_file_moved_away_stops_the_store),
        cmocka_unit_test(foreign_and_changed_databases_are_refused),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_schema_lost_while_open_stops_the_store),
        cmocka_unit_test(a_row_that_contradicts_itself_is_flagged),
        cmocka_unit_test(a_damaged_page_is_found_at_the_start),
        cmocka_unit_test(a_flipped_byte_gives_no_wrong_payload),
        cmocka_unit_test(a_lost_page_gives_no_wrong_payload),
        cmocka_unit_test(a_truncated_file_gives_no_wrong_payload),
        cmocka_unit_test(what_a_killed_writer_left_is_found),
        cmocka_unit_test(a_log_cut_short_loses_its_end_only),
        cmocka_unit_test(a_reader_never_makes_the_writer_wait),
        cmocka_unit_test(a_slow_reader_keeps_no_transaction_open),
        cmocka_unit_test(every_call_of_the_disk_may_fail_once),
        cmocka_unit_test(a_checkpoint_that_fails_is_noticed),
        cmocka_unit_test(a_tending_that_fails_stops_the_store),
        cmocka_unit_test(a_stopped_store_is_not_tended),
        cmocka_unit_test(the_log_begins_anew),
        cmocka_unit_test(another_writer_only_delays),
        cmocka_unit_test(no_memory_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
