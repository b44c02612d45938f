/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts at every I/O of the SQLite store, on the disk of crash_vfs.h.
 *
 * A script of commits, tendings, checkpoints, closings, kills and openings, some of them within the I/O of another, is
 * made from a seed and run over the real store once,
 * on a disk that logs each operation with what had been acknowledged when it came. Then, before each operation, the
 * power is cut several times, and each time the store is opened on what is left: every acknowledged event must be there
 * and undamaged, none twice, and of each commit all or nothing. The sender tries again what was not acknowledged, and
 * the power is cut once more somewhere within this recovery.
 *
 *   crash POINTS [SEED [normal|off|lying]]
 *
 * A point is one cut. normal and off force SQLite's synchronous, lying drops the syncs: such a run must lose something,
 * or the test shows nothing. Status 0: nothing was lost. It does not cut while the file is being made: that is not done
 * through SQLite alone (the image cut does it). */
#include "crash_vfs.h"

#include "codec/digest.h"
#include "store/store.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COMMITS_MAX = 24, /* of one script */
    COMMIT_EVENTS_MAX = 5,
    EVENTS_MAX = (COMMITS_MAX + 1) * COMMIT_EVENTS_MAX,
    STEPS = 18, /* of one script */
    CUTS_AN_OPERATION = 2,
    PAYLOAD_SIZE_MAX = 20000,
    PLACEHOLDER_SIZE = 512,
    REPORTS_MAX = 20,
};

/* What a disk's mark says: commits acknowledged, and commits begun. */
static unsigned mark_make(unsigned acknowledged, unsigned begun) { return acknowledged << 8 | begun; }
static unsigned mark_acknowledged(unsigned mark) { return mark >> 8; }
static unsigned mark_begun(unsigned mark) { return mark & 0xff; }

struct tally {
    uint64_t points, acknowledged, missing, doubled, damaged, torn, refused, scripts, operations;
};

static uint64_t lost(const struct tally *t) { return t->missing + t->doubled + t->damaged + t->torn + t->refused; }

struct made {
    struct event event;
    char event_key[16], transaction_id[16];
    char payload[PAYLOAD_SIZE_MAX + 64];
};

struct test {
    struct crash_vfs vfs;
    struct tally tally;
    uint64_t points_max;
    uint64_t seed;   /* of the script that runs */
    uint64_t random; /* for the cuts */
    char folder[64]; /* a real one: the store looks at it, and at a file of the name, itself */
    char file[96];
    unsigned sizes[COMMITS_MAX + 1]; /* events of each commit, and of one more */
    struct made events[EVENTS_MAX];
    unsigned reports;
};

/* ---- events by number ---- */

/* Makes the script's events. Each is another; some have content that others have. */
static void make_events(struct test *test, unsigned payload_size_max) {
    for (unsigned number = 0; number < EVENTS_MAX; number++) {
        struct made *made = &test->events[number];
        size_t size = 40 + (number * 2654435761U + (unsigned)test->seed * 40503U) % payload_size_max;
        int head = snprintf(made->payload, sizeof made->payload, "{\"number\":%u}", number);
        for (size_t at = (size_t)head; at < size; at++)
            made->payload[at] = (char)('a' + (number * 7 + at + at / 26) % 26);
        (void)snprintf(made->event_key, sizeof made->event_key, "k%u", number);
        (void)snprintf(made->transaction_id, sizeof made->transaction_id, "t%u", number % 5);
        made->event = (struct event){
            .source = number % 2 == 0 ? STR("even") : STR("odd"),
            .transaction_id = str_from(made->transaction_id),
            .event_key = str_from(made->event_key),
            .payload = str_make(made->payload, size),
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
        digest_sha256(made->event.payload, made->event.payload_sha256);
    }
}

static unsigned first_of(const struct test *test, unsigned commit) {
    unsigned first = 0;
    for (unsigned i = 0; i < commit; i++)
        first += test->sizes[i];
    return first;
}

/* Commits number `commit`. All its outcomes must be `wanted`: false where they are not, or where it fails. */
static bool commit(const struct test *test, struct store *store, unsigned which, enum outcome wanted) {
    const struct event *events[COMMIT_EVENTS_MAX];
    enum outcome outcomes[COMMIT_EVENTS_MAX];
    unsigned count = test->sizes[which], first = first_of(test, which);
    check(count >= 1);
    check(count <= COMMIT_EVENTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        check(first + i < EVENTS_MAX);
        events[i] = &test->events[first + i].event;
    }
    bool good = !err_is(store_commit(store, events, count, outcomes));
    for (unsigned i = 0; i < count; i++)
        good = good && outcomes[i] == wanted;
    return good;
}

/* ---- looking ---- */

struct seen {
    const struct test *test;
    unsigned times[EVENTS_MAX];
    unsigned damaged;
};

static bool see(void *context, const struct event_record *record) {
    struct seen *seen = context;
    uint64_t number;
    struct str key = record->event.event_key;
    if (record->damaged || key.len < 2 || !str_u64(str_from_index(key, 1), EVENTS_MAX - 1, &number)) {
        seen->damaged++;
        return true;
    }
    const struct event *event = &seen->test->events[number].event;
    bool same = str_eq(record->event.payload, event->payload) && str_eq(record->event.source, event->source) &&
                str_eq(record->event.transaction_id, event->transaction_id) && str_eq(key, event->event_key);
    if (same)
        seen->times[number]++;
    else
        seen->damaged++;
    return true;
}

/* What was lost is told a few times, with what it takes to see it again. */
static void report(struct test *test, const char *what, size_t operation) {
    if (test->reports++ >= REPORTS_MAX) return;
    printf("seed %llu, before operation %zu: %s\n", (unsigned long long)test->seed, operation, what);
}

/* Looks at everything. ret_whole: the commits that are there, counted from the first. False: something is wrong. */
static bool look(struct test *test, struct store *store, unsigned acknowledged, unsigned begun, size_t operation,
                 unsigned *ret_whole) {
    struct seen seen = {.test = test};
    const struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
    struct err read = store_events(store, &filter, see, &seen);
    struct tally before = test->tally;
    if (err_is(read)) {
        test->tally.refused++;
        report(test, read.where, operation);
    }
    test->tally.damaged += seen.damaged;
    unsigned whole = 0, number = 0;
    bool gap = false;
    for (unsigned c = 0; c <= COMMITS_MAX; c++) {
        unsigned there = 0;
        for (unsigned i = 0; i < test->sizes[c]; i++, number++) {
            there += seen.times[number] > 0;
            test->tally.doubled += seen.times[number] > 1;
            test->tally.acknowledged += c < acknowledged;
            test->tally.missing += c < acknowledged && seen.times[number] == 0;
        }
        bool is_whole = there == test->sizes[c];
        if ((there > 0 && !is_whole) || (there > 0 && (gap || c >= begun))) test->tally.torn++;
        gap = gap || !is_whole;
        if (!gap) whole = c + 1;
    }
    *ret_whole = whole;
    if (test->tally.damaged != before.damaged) report(test, "an event is damaged", operation);
    if (test->tally.doubled != before.doubled) report(test, "an event is there twice", operation);
    if (test->tally.missing != before.missing) report(test, "an acknowledged event is missing", operation);
    if (test->tally.torn != before.torn) report(test, "a part of a commit is there", operation);
    return lost(&before) == lost(&test->tally);
}

static struct store *open_store(struct test *test, size_t operation) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct store *store = NULL;
    if (err_is(store_open("sqlite", test->folder, STORE_WRITE, &message, &store))) {
        test->tally.refused++;
        report(test, writer_cstr(&message), operation);
    }
    return store;
}

/* The process dies: nothing more is written, and what the kernel had stays. */
static void kill_store(struct test *test, struct store *store) {
    test->vfs.dead = true;
    store_close(store);
    check(test->vfs.files == NULL);
    test->vfs.dead = false;
}

/* ---- cuts ---- */

/* One cut: opens the store on `disk`, looks, and tries again what was not acknowledged. The disk's log is that of the
 * recovery, with its marks. */
static void recover(struct test *test, struct disk *disk, size_t operation) {
    unsigned acknowledged = mark_acknowledged(disk->mark), begun = mark_begun(disk->mark), whole;
    test->tally.points++;
    test->vfs.disk = disk;
    struct store *store = open_store(test, operation);
    if (store == NULL) return;
    if (look(test, store, acknowledged, begun, operation, &whole)) {
        /* The sender's retry. Answered as a duplicate, it is as much acknowledged as any. */
        bool there = whole > acknowledged;
        disk->mark = mark_make(acknowledged, acknowledged + 1 > begun ? acknowledged + 1 : begun);
        if (!commit(test, store, acknowledged, there ? OUTCOME_DUPLICATE : OUTCOME_STORED)) {
            test->tally.refused++;
            report(test, "the retry was not taken", operation);
        } else {
            acknowledged++;
            disk->mark = mark_make(acknowledged, mark_begun(disk->mark));
            (void)look(test, store, acknowledged, mark_begun(disk->mark), operation, &whole);
        }
    }
    if (random_below(&test->random, 2) == 0)
        store_close(store);
    else
        kill_store(test, store);
}

/* The disk as it was before operation `at` of the log that began on `start`. */
static void replay(const struct disk *start, const struct disk *logged, size_t at, struct disk *ret_disk) {
    disk_copy(start, ret_disk);
    for (size_t i = 0; i < at; i++)
        disk_apply(ret_disk, logged->log[i]);
    ret_disk->mark = at < logged->log_count ? logged->log[at]->mark : logged->mark;
}

/* One time in four it is first a kill, which loses nothing: what is not synced yet is only in the kernel's cache when
 * the store opens and answers a retry from it, and then the power is cut. */
static void cut(struct test *test, const struct disk *disk, size_t operation) {
    struct disk left, start, again, left_again;
    if (random_below(&test->random, 4) == 0)
        disk_copy(disk, &left);
    else
        disk_crash(disk, &test->random, &left);
    disk_copy(&left, &start);
    recover(test, &left, operation);
    if (test->tally.points < test->points_max && left.log_count > 0) {
        replay(&start, &left, random_below(&test->random, (unsigned)left.log_count + 1), &again);
        disk_crash(&again, &test->random, &left_again);
        recover(test, &left_again, operation);
        disk_done(&left_again);
        disk_done(&again);
    }
    disk_done(&start);
    disk_done(&left);
}

/* ---- scripts ---- */

/* As a person or a backup program does beside the server. */
static void checkpoint_beside(struct test *test, uint64_t *random) {
    static const char *const modes[] = {"PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)",
                                        "PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)"};
    sqlite3 *db;
    check(sqlite3_open_v2(test->file, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    check(sqlite3_exec(db, modes[random_below(random, 4)], NULL, NULL, NULL) == SQLITE_OK);
    check(sqlite3_close(db) == SQLITE_OK);
}

/* A script while it runs. */
struct run {
    struct test *test;
    struct disk *disk;
    struct store *store;
    unsigned acknowledged;
};

static void run_commit(void *context) {
    struct run *run = context;
    if (run->acknowledged == COMMITS_MAX) return;
    run->disk->mark = mark_make(run->acknowledged, run->acknowledged + 1);
    check(commit(run->test, run->store, run->acknowledged, OUTCOME_STORED));
    run->acknowledged++;
    run->disk->mark = mark_make(run->acknowledged, run->acknowledged);
}

static void run_tend(void *context) {
    const struct run *run = context;
    check(!err_is(store_tend(run->store)));
}

/* One of the two, and half of the time the other somewhere in its I/O. */
static void run_both(struct run *run, void (*outer)(void *), void (*inner)(void *), uint64_t *random) {
    struct crash_vfs *vfs = &run->test->vfs;
    if (random_below(random, 2) == 0) {
        vfs->between = inner;
        vfs->between_context = run;
        vfs->between_after = random_below(random, 12);
    }
    outer(run);
    vfs->between = NULL;
}

/* Runs a script on the disk: nothing fails here. */
static void run_script(struct test *test, struct disk *disk, uint64_t random) {
    test->vfs.disk = disk;
    struct store *store = open_store(test, 0);
    check(store != NULL);
    struct run run = {.test = test, .disk = disk};
    for (int i = 0; i < STEPS; i++) {
        unsigned chance = random_below(&random, 100);
        run.store = store;
        if (chance < 55) {
            run_both(&run, run_commit, run_tend, &random);
        } else if (chance < 72) {
            run_both(&run, run_tend, run_commit, &random);
        } else if (chance < 84) {
            checkpoint_beside(test, &random);
        } else {
            if (chance < 92)
                store_close(store);
            else
                kill_store(test, store);
            store = open_store(test, 0);
            check(store != NULL);
        }
    }
    store_close(store);
}

static void cut_script(struct test *test, const struct disk *start) {
    struct disk ran, at;
    uint64_t random = test->seed * 2 + 1;
    for (unsigned i = 0; i <= COMMITS_MAX; i++)
        test->sizes[i] = 1 + random_below(&random, COMMIT_EVENTS_MAX);
    make_events(test, random_below(&random, 4) == 0 ? PAYLOAD_SIZE_MAX : 3000);
    disk_copy(start, &ran);
    run_script(test, &ran, random);
    test->tally.scripts++;
    test->tally.operations += ran.log_count;
    disk_copy(start, &at);
    for (size_t i = 0; i <= ran.log_count && test->tally.points < test->points_max; i++) {
        at.mark = i < ran.log_count ? ran.log[i]->mark : ran.mark;
        unsigned cuts = disk_has_choice(&at) ? CUTS_AN_OPERATION : 1;
        for (unsigned c = 0; c < cuts && test->tally.points < test->points_max; c++)
            cut(test, &at, i);
        if (i < ran.log_count) disk_apply(&at, ran.log[i]);
    }
    disk_done(&at);
    disk_done(&ran);
}

/* ---- setting up ---- */

/* A fresh store's bytes, made by the real store on the real disk, with pages of this size: small ones give more
 * operations, and 16 KB are the product's own. */
static void make_database(const struct test *test, int page_size, struct disk *ret_disk) {
    char text[1024], sql[160];
    struct writer message = writer_make(text, sizeof text);
    struct store *store;
    check(!err_is(store_open("sqlite", test->folder, STORE_WRITE, &message, &store)));
    store_close(store);
    sqlite3 *db;
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA journal_mode = DELETE; PRAGMA page_size = %d; VACUUM; PRAGMA journal_mode = WAL", page_size);
    check(sqlite3_open(test->file, &db) == SQLITE_OK);
    check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    check(sqlite3_close(db) == SQLITE_OK);
    struct stat info;
    int fd = open(test->file, O_RDONLY | O_CLOEXEC);
    check(fd >= 0);
    check(fstat(fd, &info) == 0);
    char *bytes = malloc((size_t)info.st_size);
    check(bytes != NULL);
    check(read(fd, bytes, (size_t)info.st_size) == info.st_size);
    disk_init(ret_disk, bytes, (size_t)info.st_size);
    free(bytes);
    check(close(fd) == 0);
    check(unlink(test->file) == 0);
}

/* Sets synchronous for every connection, and keeps the store from setting it back. */
static int ignore_synchronous(void *context, int action, const char *name, const char *value, const char *database,
                              const char *trigger) {
    (void)context, (void)value, (void)database, (void)trigger;
    return action == SQLITE_PRAGMA && sqlite3_stricmp(name, "synchronous") == 0 ? SQLITE_IGNORE : SQLITE_OK;
}

static int force(sqlite3 *db, const char *sql) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? sqlite3_set_authorizer(db, ignore_synchronous, NULL) : rc;
}

static int force_normal(sqlite3 *db, char **ret_message, const void *api) {
    (void)ret_message, (void)api;
    return force(db, "PRAGMA synchronous = NORMAL");
}

static int force_off(sqlite3 *db, char **ret_message, const void *api) {
    (void)ret_message, (void)api;
    return force(db, "PRAGMA synchronous = OFF");
}

static bool set_control(struct test *test, const char *control) {
    int (*forced)(sqlite3 *, char **, const void *) = NULL;
    if (strcmp(control, "normal") == 0)
        forced = force_normal;
    else if (strcmp(control, "off") == 0)
        forced = force_off;
    else if (strcmp(control, "lying") == 0)
        test->vfs.lying = true;
    else if (strcmp(control, "full") != 0)
        return false;
    if (forced != NULL) check(sqlite3_auto_extension((void (*)(void))forced) == SQLITE_OK);
    return true;
}

static void print_tally(const struct tally *t, const char *control) {
    printf("crash vfs, %s: %llu points in %llu scripts of %llu operations, %llu acknowledged looked for, %llu missing, "
           "%llu "
           "doubled, %llu damaged, %llu in part, %llu refused\n",
           control, (unsigned long long)t->points, (unsigned long long)t->scripts, (unsigned long long)t->operations,
           (unsigned long long)t->acknowledged, (unsigned long long)t->missing, (unsigned long long)t->doubled,
           (unsigned long long)t->damaged, (unsigned long long)t->torn, (unsigned long long)t->refused);
}

int main(int argc, char **argv) {
    static struct test test;
    uint64_t seed = 1;
    const char *control = argc > 3 ? argv[3] : "full";
    if (argc < 2 || !str_u64(str_from(argv[1]), UINT64_MAX / 2, &test.points_max) ||
        (argc > 2 && !str_u64(str_from(argv[2]), UINT32_MAX, &seed))) {
        (void)fputs("crash POINTS [SEED [full|normal|off|lying]]\n", stderr);
        return 2;
    }
    /* Disks are made and freed again and again: their memory is kept. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 28); /* slower without, not wrong */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 28);
    (void)snprintf(test.folder, sizeof test.folder, "%s/payhook-crash-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    check(mkdtemp(test.folder) != NULL);
    (void)snprintf(test.file, sizeof test.file, "%s/payhook.db", test.folder);

    static const int page_sizes[] = {1024, 4096, 1024, 16384};
    enum { PAGE_SIZES = sizeof page_sizes / sizeof page_sizes[0] };
    struct disk start[PAGE_SIZES];
    for (size_t i = 0; i < PAGE_SIZES; i++)
        make_database(&test, page_sizes[i], &start[i]);
    int fd = open(test.file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    check(fd >= 0);
    check(ftruncate(fd, PLACEHOLDER_SIZE) == 0);
    check(close(fd) == 0);

    crash_vfs_init(&test.vfs);
    if (!set_control(&test, control)) {
        (void)fprintf(stderr, "no control %s\n", control);
        return 2;
    }
    for (test.seed = seed; test.tally.points < test.points_max; test.seed++) {
        test.random = test.vfs.random = test.seed * 0x9e3779b97f4a7c15U;
        sqlite3_randomness(0, NULL); /* begins anew from ours: a seed makes one run */
        cut_script(&test, &start[test.seed % PAGE_SIZES]);
    }
    crash_vfs_done(&test.vfs);
    for (size_t i = 0; i < PAGE_SIZES; i++)
        disk_done(&start[i]);
    check(unlink(test.file) == 0);
    check(rmdir(test.folder) == 0);
    print_tally(&test.tally, control);
    return lost(&test.tally) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
