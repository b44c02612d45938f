/* SPDX-License-Identifier: Apache-2.0 */
/* Copying the write-ahead log (WAL) to the file, so that the log can begin anew: beside the commits, not in them.
 *
 * A thread beside the writer's calls sqlite_tend, on a connection of its own: it copies what has been committed and
 * syncs the file, in steps of some 256 pages, while commits go on behind it. SQLite lets the log begin anew only when
 * all of it is copied and synced at a moment when nobody writes. That last part, small by then, is the writer's,
 * between two commits (sqlite_settle). Where the copying does not keep up, or nobody tends, the writer waits for no
 * better moment once the log has WAL_PAGES_MAX pages, and copies all that is left: so the log is bounded, but for a
 * reader who stays in an old state, a disk without room for the file to grow, and what is committed during one step.
 *
 * A failed sync is final for the writer as for the one who tends, whoever it struck: either may have written the pages
 * that the kernel dropped. So the two take turns, by one atomic word and without waiting: nobody begins a copy before
 * the other's has ended, and none begins after one that failed. (SQLite's own checkpoint in a commit would hide the
 * failure, and counts pages as copied before they are synced.)
 *
 * It owns no thread; app does. */
#include "store/sqlite.h"

#include <errno.h>

enum {
    TEND_PAGES = 256,     /* of 16 KB, not yet copied: from here on there is something to do */
    SETTLE_PAGES = 4000,  /* in the log: from here on it is to begin anew, as soon as little is left to be copied */
    LEFT_PAGES_MAX = 128, /* little */
    WAL_PAGES_MAX = 8000, /* in the log: the writer copies what is left, however much */
};

enum turn { TURN_FREE, TURN_TAKEN, TURN_FAILED };

static int wal_written(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db, (void)name;
    struct sqlite_store *s = context;
    if (pages < atomic_load_explicit(&s->wal_pages, memory_order_relaxed)) /* it has begun anew */
        atomic_store_explicit(&s->copied_pages, 0, memory_order_relaxed);
    atomic_store_explicit(&s->wal_pages, pages, memory_order_relaxed);
    return SQLITE_OK;
}

static int pages_left(const struct sqlite_store *s) {
    return atomic_load_explicit(&s->wal_pages, memory_order_relaxed) -
           atomic_load_explicit(&s->copied_pages, memory_order_relaxed);
}

int sqlite_checkpoint_open(struct sqlite_store *s, const char *path) {
    (void)sqlite3_wal_hook(s->db, wal_written, s); /* gives the hook before: SQLite's own checkpoint, now off */
    errno = 0;
    int rc =
        sqlite3_open_v2(path, &s->tender, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK) rc = sqlite_configure(s->tender);
    if (rc == SQLITE_OK) rc = sqlite3_db_config(s->tender, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    /* A first reading opens the log. */
    if (rc == SQLITE_OK) rc = sqlite3_exec(s->tender, "PRAGMA user_version", NULL, NULL, NULL);
    return rc;
}

/* What is a failure of copying: of the others each only leaves the log longer for a while: a reader in its way, no
 * memory, no room for the file to grow. */
static struct err copy_failure(int rc) {
    struct err failed = sqlite_failure(rc, true, "copy the write-ahead log to the file");
    return failed.kind == ERR_SYNC || failed.kind == ERR_DAMAGED ? failed : err_ok();
}

static bool take_turn(struct sqlite_store *s) {
    int expected = TURN_FREE;
    return atomic_compare_exchange_strong(&s->turn, &expected, TURN_TAKEN);
}

static void end_turn(struct sqlite_store *s, struct err failed) {
    int expected = TURN_TAKEN;
    if (err_is(failed)) {
        s->copy_failed = failed;
        atomic_store(&s->turn, TURN_FAILED);
    } else {
        (void)atomic_compare_exchange_strong(&s->turn, &expected, TURN_FREE); /* else a commit has failed meanwhile */
    }
}

void sqlite_checkpoint_stop(struct sqlite_store *s) { atomic_store(&s->turn, TURN_FAILED); }

bool sqlite_checkpoint_stopped(const struct sqlite_store *s) { return atomic_load(&s->turn) == TURN_FAILED; }

/* The failure of the other's turn that has ended. */
static struct err turn_failure(const struct sqlite_store *s) {
    return sqlite_checkpoint_stopped(s) ? s->copy_failed : err_ok();
}

static int copy(sqlite3 *db, int *ret_copied) {
    errno = 0;
    return sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, ret_copied);
}

/* SQLite has done so only if nothing was committed meanwhile. */
static int sync_file(sqlite3 *db) {
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    errno = 0;
    return rc == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : rc;
}

bool sqlite_wants_tending(const void *state) {
    const struct sqlite_store *s = state;
    int in_wal = atomic_load_explicit(&s->wal_pages, memory_order_relaxed), left = pages_left(s);
    return left >= TEND_PAGES || (in_wal >= SETTLE_PAGES && left > LEFT_PAGES_MAX);
}

struct err sqlite_tend(void *state) {
    struct sqlite_store *s = state;
    /* Beyond the bound it is the writer's turn, which must find it free. */
    if (atomic_load_explicit(&s->wal_pages, memory_order_relaxed) >= WAL_PAGES_MAX || !take_turn(s))
        return turn_failure(s);
    int copied = 0;
    int rc = copy(s->tender, &copied);
    if (rc == SQLITE_OK) rc = sync_file(s->tender);
    struct err failed = rc == SQLITE_OK ? err_ok() : copy_failure(rc);
    /* Fewer pages in the log than were copied: it has begun anew meanwhile. */
    if (rc == SQLITE_OK && copied <= atomic_load_explicit(&s->wal_pages, memory_order_relaxed))
        atomic_store_explicit(&s->copied_pages, copied, memory_order_relaxed);
    end_turn(s, failed);
    return failed;
}

struct err sqlite_settle(struct sqlite_store *s) {
    int in_wal = atomic_load_explicit(&s->wal_pages, memory_order_relaxed);
    bool due = in_wal >= WAL_PAGES_MAX || (in_wal >= SETTLE_PAGES && pages_left(s) <= LEFT_PAGES_MAX);
    if (!due || !take_turn(s)) return turn_failure(s);
    int rc = copy(s->db, NULL);
    if (rc == SQLITE_OK) {
        atomic_store_explicit(&s->wal_pages, 0, memory_order_relaxed);
        atomic_store_explicit(&s->copied_pages, 0, memory_order_relaxed);
    }
    struct err failed = rc == SQLITE_OK ? err_ok() : copy_failure(rc);
    end_turn(s, failed);
    return failed;
}
