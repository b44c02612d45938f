/* SPDX-License-Identifier: Apache-2.0 */
/* What the disk and bare SQLite give, beside which the server is measured.
 *
 *     append FOLDER BATCH SECONDS    rows of 2.5 KB in a table of their own, BATCH a transaction, with the server's
 *                                    settings (WAL, synchronous=FULL, 16 KB pages) but no index and nothing looked up:
 *                                    the most that SQLite can do here
 *     append FOLDER sync SECONDS     fdatasync after each append of as many bytes to a plain file
 *
 * Prints one line of JSON. The folder is the caller's, and so is what is left in it. */
#include "base/err.h"
#include "base/os.h"
#include "base/str.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROW_SIZE = 2450, SYNCS_MAX = 1 << 20, PATH_SIZE_MAX = 512 };

static char row[ROW_SIZE];

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sync_run(const char *folder, int64_t seconds) {
    char path[PATH_SIZE_MAX];
    (void)snprintf(path, sizeof path, "%s/sync", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    uint32_t *times = malloc(sizeof *times * SYNCS_MAX);
    check(fd >= 0);
    check(times != NULL);
    size_t count = 0;
    for (int64_t end = os_mono_us() + seconds * 1000000; os_mono_us() < end && count < SYNCS_MAX; count++) {
        check(write(fd, row, sizeof row) == sizeof row);
        int64_t begin = os_mono_us();
        check(fdatasync(fd) == 0);
        times[count] = (uint32_t)(os_mono_us() - begin);
    }
    check(count > 0);
    qsort(times, count, sizeof *times, by_value);
    printf("{\"syncs\": %zu, \"p50_us\": %u, \"p99_us\": %u}\n", count, times[count / 2], times[count * 99 / 100]);
    free(times);
    check(close(fd) == 0);
}

static void rows_run(const char *folder, uint64_t batch, int64_t seconds) {
    char path[PATH_SIZE_MAX];
    sqlite3 *db;
    sqlite3_stmt *insert, *begin, *commit;
    (void)snprintf(path, sizeof path, "%s/append.db", folder);
    check(sqlite3_open(path, &db) == SQLITE_OK);
    check(sqlite3_exec(db,
                       "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -65536;"
                       "CREATE TABLE IF NOT EXISTS event(seq INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
                       NULL, NULL, NULL) == SQLITE_OK);
    check(sqlite3_prepare_v2(db, "INSERT INTO event(payload) VALUES(?)", -1, &insert, NULL) == SQLITE_OK);
    check(sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL) == SQLITE_OK);
    check(sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL) == SQLITE_OK);
    uint64_t rows = 0;
    int64_t started = os_mono_us(), end = started + seconds * 1000000;
    while (os_mono_us() < end) {
        check(sqlite3_step(begin) == SQLITE_DONE);
        check(sqlite3_reset(begin) == SQLITE_OK);
        for (uint64_t i = 0; i < batch; i++) {
            check(sqlite3_bind_blob(insert, 1, row, sizeof row, SQLITE_STATIC) == SQLITE_OK);
            check(sqlite3_step(insert) == SQLITE_DONE);
            check(sqlite3_reset(insert) == SQLITE_OK);
        }
        check(sqlite3_step(commit) == SQLITE_DONE);
        check(sqlite3_reset(commit) == SQLITE_OK);
        rows += batch;
    }
    printf("{\"rows\": %llu, \"per_second\": %.1f}\n", (unsigned long long)rows,
           (double)rows * 1e6 / (double)(os_mono_us() - started));
    check(sqlite3_finalize(insert) == SQLITE_OK);
    check(sqlite3_finalize(begin) == SQLITE_OK);
    check(sqlite3_finalize(commit) == SQLITE_OK);
    check(sqlite3_close(db) == SQLITE_OK);
}

int main(int argc, char **argv) {
    uint64_t batch = 0, seconds;
    bool good = argc == 4 && str_u64(str_from(argv[3]), 3600, &seconds);
    bool sync = good && strcmp(argv[2], "sync") == 0;
    if (!good || (!sync && (!str_u64(str_from(argv[2]), 4096, &batch) || batch == 0))) {
        fprintf(stderr, "usage: append FOLDER BATCH|sync SECONDS\n");
        return 2;
    }
    os_random(row, sizeof row);
    if (sync)
        sync_run(argv[1], (int64_t)seconds);
    else
        rows_run(argv[1], batch, (int64_t)seconds);
    return 0;
}
