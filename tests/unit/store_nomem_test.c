/* SPDX-License-Identifier: Apache-2.0 */
/* Both stores with no memory at the nth allocation, ours or SQLite's, and at every one from the nth on, until n is
 * beyond all that there are. Whatever was called says so by its error and nothing else: what a commit has acknowledged
 * is there when the store is opened again, nothing is there twice, and what failed for want of memory can be tried
 * again. Only a commit that could not even be rolled back stops the store, as store.h says of ERR_SYNC.
 *
 * Our own calls of malloc come here by the linker's --wrap; SQLite's by its own configuration. */
#include "base/os.h"
#include "codec/digest.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* ---- the nth allocation fails ---- */

static struct {
    bool armed, for_good;
    unsigned n, seen, failed;
} fault;

static bool is_to_fail(void) {
    if (!fault.armed) return false;
    fault.seen++;
    bool now = fault.seen == fault.n || (fault.for_good && fault.seen > fault.n);
    fault.failed += now;
    return now;
}

void *__wrap_malloc(size_t size) { return is_to_fail() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return is_to_fail() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return is_to_fail() ? NULL : __real_realloc(memory, size); }

static sqlite3_mem_methods real_memory;

static void *sqlite_malloc(int size) { return is_to_fail() ? NULL : real_memory.xMalloc(size); }
static void *sqlite_realloc(void *memory, int size) { return is_to_fail() ? NULL : real_memory.xRealloc(memory, size); }

static int group_begin(void **state) {
    (void)state; /* there is none */
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK) return -1;
    sqlite3_mem_methods ours = real_memory;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    /* Without the reserve of small pieces a connection keeps, each allocation can be made to fail. */
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK &&
                   sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK && sqlite3_initialize() == SQLITE_OK
               ? 0
               : -1;
}

/* ---- what is done ---- */

enum { EVENTS = 4 };

struct scene {
    char folder[64];
    struct event events[EVENTS];
    const struct event *pointers[EVENTS];
};

static void scene_make(struct scene *scene) {
    static const char *const keys[EVENTS] = {"a", "b", "c", "a"}; /* the last is a duplicate */
    *scene = (struct scene){{0}};
    (void)snprintf(scene->folder, sizeof scene->folder, "%s/payhook-nomem-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(scene->folder));
    for (size_t i = 0; i < EVENTS; i++) {
        scene->events[i] = (struct event){
            .source = STR("shop"),
            .transaction_id = STR("t"),
            .event_key = str_from(keys[i]),
            .event_type = STR("payment.captured"),
            .payload = STR("{\"transactionId\":\"t\"}"),
            .headers = STR("content-type: application/json\n"),
            .method = STR("POST"),
            .target = STR("/hooks/shop"),
            .environment = STR("prod"),
            .processed_by = STR("host"),
            .received_us = INT64_C(1795460930000000),
            .authenticated = AUTHENTICATED_BODY,
            .look_for_repeats = i > 0,
        };
        memset(scene->events[i].content_sha256, 7, 32);
        digest_sha256(scene->events[i].payload, scene->events[i].payload_sha256);
        scene->pointers[i] = &scene->events[i];
    }
}

static void scene_empty(const struct scene *scene) {
    static const char *const names[] = {"", "-wal", "-shm", ".new"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/payhook.db%s", scene->folder, names[i]);
        (void)unlink(path); /* none of them needs to be there */
    }
}

static bool count_record(void *context, const struct event_record *record) {
    assert_false(record->damaged);
    ++*(unsigned *)context;
    return true;
}

static bool count_source(void *context, struct str source) {
    assert_true(str_eq(source, STR("shop")));
    ++*(unsigned *)context;
    return true;
}

/* It failed for want of memory, or not at all, or the store has stopped. */
static bool went_well(struct err result, bool stopped) {
    if (err_is(result) && result.kind != ERR_MEMORY && !(stopped && result.kind == ERR_SYNC))
        fail_msg("allocation %u%s: kind %d, could not %s", fault.n, fault.for_good ? " on" : "", result.kind,
                 result.where);
    return !err_is(result);
}

static unsigned count_events(struct store *store, bool stopped, bool *ret_good) {
    struct store_filter filter = {.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
    unsigned count = 0;
    *ret_good = went_well(store_events(store, &filter, count_record, &count), stopped);
    return count;
}

/* Returns how many events must be there afterwards: those of a commit that said so. */
static unsigned use(const struct scene *scene, const char *kind, enum store_access access) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct store *store = NULL;
    enum outcome outcomes[EVENTS];
    if (!went_well(store_open(kind, scene->folder, access, &message, &store), false)) {
        assert_null(store);
        assert_true(message.len > 0);
        return 0;
    }
    unsigned must = access == STORE_READ ? 3 : 0, count = 0;
    bool stopped = false, good;
    if (access == STORE_WRITE) {
        struct err committed = store_commit(store, scene->pointers, EVENTS, outcomes);
        stopped = fault.for_good && committed.kind == ERR_SYNC;
        must = went_well(committed, stopped) ? 3 : 0;
        for (size_t i = 0; i < EVENTS; i++)
            assert_int_equal(outcomes[i], must == 0 ? OUTCOME_FAILED : i == 3 ? OUTCOME_DUPLICATE : OUTCOME_STORED);
    }
    if (access == STORE_WRITE && store_has_tending(store)) (void)went_well(store_tend(store), stopped);
    good = went_well(store_timeline(store, STR("shop"), STR("t"), count_record, &count), stopped);
    if (good) assert_int_equal(count, must);
    count = 0;
    good = went_well(store_sources(store, STR("t"), count_source, &count), stopped);
    if (good) assert_int_equal(count, must > 0 ? 1 : 0);
    count = count_events(store, stopped, &good);
    if (good) assert_int_equal(count, must);
    message.len = 0;
    good = went_well(store_check(store, &message), stopped);
    assert_true(stopped || good == (message.len == 0));

    /* Memory is back: what failed is tried again, by the same store. */
    fault.armed = false;
    if (access == STORE_WRITE && must == 0) {
        struct err committed = store_commit(store, scene->pointers, EVENTS, outcomes);
        assert_int_equal(committed.kind, stopped ? ERR_SYNC : ERR_OK);
        must = stopped ? 0 : 3;
    }
    count = count_events(store, stopped, &good);
    assert_int_equal(good, !stopped);
    if (good) assert_int_equal(count, must);
    store_close(store);
    return must;
}

static void assert_holds(const struct scene *scene, unsigned must) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct store *store;
    bool good;
    if (err_is(store_open("sqlite", scene->folder, STORE_WRITE, &message, &store)))
        fail_msg("%s", writer_cstr(&message));
    assert_int_equal(count_events(store, false, &good), must);
    assert_true(good);
    store_close(store);
}

/* True while there is an nth allocation. */
static bool one(const struct scene *scene, const char *kind, enum store_access access, unsigned n, bool for_good) {
    fault.armed = true, fault.for_good = for_good;
    fault.n = n, fault.seen = fault.failed = 0;
    unsigned must = use(scene, kind, access);
    fault.armed = false;
    if (strcmp(kind, "sqlite") == 0 && access == STORE_WRITE) {
        assert_holds(scene, must);
        scene_empty(scene);
    }
    return fault.failed > 0;
}

/* Every n, and so many at least: else nothing was made to fail. */
static void every(const char *kind, enum store_access access, unsigned least) {
    struct scene scene;
    scene_make(&scene);
    if (access == STORE_READ) { /* there is something to read */
        fault.armed = false;
        assert_int_equal(use(&scene, kind, STORE_WRITE), 3);
    }
    for (int for_good = 0; for_good < 2; for_good++) {
        unsigned n = 1;
        while (one(&scene, kind, access, n, for_good))
            n += for_good ? 3 : 1; /* most are SQLite's while it opens, and much alike */
        assert_true(n > least);
    }
    scene_empty(&scene);
    assert_int_equal(rmdir(scene.folder), 0);
}

static void sqlite_writes(void **state) {
    (void)state; /* there is none */
    every("sqlite", STORE_WRITE, 300);
}

static void sqlite_reads(void **state) {
    (void)state; /* there is none */
    every("sqlite", STORE_READ, 100);
}

static void memory_writes(void **state) {
    (void)state; /* there is none */
    every("memory", STORE_WRITE, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_writes),
        cmocka_unit_test(sqlite_writes),
        cmocka_unit_test(sqlite_reads),
    };
    return cmocka_run_group_tests(tests, group_begin, NULL);
}
