/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of several threads become one text: sums, buckets and their bounds, rows for every source that is or was
 * configured, and counting while somebody reads. The form of the whole text is tests/integration/test_admin.py's. */
#include "app/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config *config;
static struct clock_watch watch;
static struct metrics *parts[3];

static struct err one_secret(void *reader, struct str reference, struct writer *message,
                             struct secret_texts *ret_texts) {
    (void)reader, (void)reference, (void)ret_texts;
    writer_put(message, STR("it is nowhere"));
    return err_make(ERR_ABSENT, 0, "read the secret");
}

static void ignore(void *context, struct str sentence) { (void)context, (void)sentence; }

static struct config *config_of(const char *text) {
    char memory[1024];
    struct writer message = writer_make(memory, sizeof memory);
    const struct config_overrides overrides = {.data = "/nowhere"};
    struct config *made;
    if (err_is(config_parse(str_from(text), "my.conf", &overrides, one_secret, NULL, ignore, NULL, &message, &made)))
        fail_msg("%s", writer_cstr(&message));
    return made;
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    watch = (struct clock_watch){0};
    config = config_of("source shop { provider = \"stripe\" secrets = \"env:A\" }\n"
                       "source a-2 { provider = \"stripe\" secrets = \"env:A\" }\n");
    for (size_t i = 0; i < 3; i++) {
        parts[i] = metrics_open();
        if (parts[i] == NULL) return -1;
    }
    return 0;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < 3; i++)
        metrics_close(parts[i]);
    metrics_close(NULL);
    config_release(config);
    clock_watch_done(&watch);
    return 0;
}

/* NUL-terminated; the caller frees. */
static char *text_now(uint64_t depth) {
    const struct metrics *const all[] = {parts[0], parts[1], parts[2]};
    struct str text = metrics_text(&(struct metrics_view){
        .parts = all, .part_count = 3, .config = config, .clock = &watch, .mailbox_depth = depth});
    assert_non_null(text.ptr);
    char *copy = strndup(text.ptr, text.len);
    assert_non_null(copy);
    free((char *)(uintptr_t)text.ptr);
    return copy;
}

/* The number behind a sample's name and labels; -1 where it does not stand in the text, or not once. */
static double value_in(const char *text, const char *sample) {
    char line[256];
    (void)snprintf(line, sizeof line, "\n%s ", sample);
    const char *found = strstr(text, line);
    if (found == NULL || strstr(found + 1, line) != NULL) return -1;
    return strtod(found + strlen(line), NULL);
}

static double value(const char *sample) {
    char *text = text_now(0);
    double found = value_in(text, sample);
    free(text);
    return found;
}

static struct ingest ingest_of(const char *source) {
    return (struct ingest){.source = source == NULL ? NULL : config_source(config, str_from(source))};
}

static void count(size_t part, const char *source, enum verdict verdict) {
    struct ingest ingest = ingest_of(source);
    metrics_request(parts[part], source == NULL ? NULL : &ingest, verdict, 1);
}

/* A fresh text has every configured source and verdict at 0, and nothing else. */
static void fresh(void **state) {
    (void)state; /* there is none */
    static const char *const sources[] = {"", "default", "shop", "a-2"};
    char *text = text_now(5), sample[256];
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
            (void)snprintf(sample, sizeof sample, "payhook_requests_total{source=\"%s\",verdict=\"%s\"}", sources[i],
                           verdict_row((enum verdict)verdict)->word);
            assert_true(value_in(text, sample) == (verdict == VERDICT_ACCEPT ? -1 : 0));
        }
        static const char *const names[] = {"duplicates_total", "unreadable_total", "clock_suspect_seconds"};
        for (size_t k = 0; k < 3; k++) {
            (void)snprintf(sample, sizeof sample, "payhook_%s{source=\"%s\"}", names[k], sources[i]);
            assert_true(value_in(text, sample) == 0);
        }
    }
    assert_true(value_in(text, "payhook_mailbox_depth") == 5);
    assert_true(value_in(text, "payhook_connections") == 0);
    assert_true(value_in(text, "payhook_batch_events_count") == 0);
    assert_null(strstr(text, "\n\n"));
    size_t requests = 0;
    for (const char *at = text; (at = strstr(at, "payhook_requests_total{")) != NULL; at++)
        requests++;
    assert_int_equal(requests, 4 * (VERDICT_COUNT - 1));
    free(text);
}

/* Threads' counts are summed, each source and verdict apart. */
static void sums(void **state) {
    (void)state; /* there is none */
    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i <= part; i++) {
            count(part, "shop", VERDICT_STORED);
            count(part, "a-2", VERDICT_STALE);
            count(part, NULL, VERDICT_BAD_REQUEST);
        }
    count(1, "default", VERDICT_FORBIDDEN);
    struct ingest nowhere = {0};
    metrics_request(parts[2], &nowhere, VERDICT_NOT_FOUND, 1);
    for (uint32_t part = 0; part < 3; part++)
        metrics_connections(parts[part], 10 * part);
    metrics_connections(parts[0], 4); /* replaces */
    static const struct {
        const char *sample;
        double value;
    } cases[] = {
        {"payhook_requests_total{source=\"shop\",verdict=\"stored\"}", 6},
        {"payhook_requests_total{source=\"shop\",verdict=\"stale\"}", 0},
        {"payhook_requests_total{source=\"a-2\",verdict=\"stale\"}", 6},
        {"payhook_requests_total{source=\"a-2\",verdict=\"stored\"}", 0},
        {"payhook_requests_total{source=\"\",verdict=\"bad_request\"}", 6},
        {"payhook_requests_total{source=\"\",verdict=\"not_found\"}", 1},
        {"payhook_requests_total{source=\"default\",verdict=\"forbidden\"}", 1},
        {"payhook_request_seconds_count", 20},
        {"payhook_connections", 34},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (value(cases[i].sample) != cases[i].value) fail_msg("%s", cases[i].sample);
}

/* Duplicates are events, also where others of their request are new; what is unreadable counts once, when stored. */
static void duplicates_and_unreadable(void **state) {
    (void)state; /* there is none */
    struct event events[3] = {{.unreadable = STR("no JSON")}, {.unreadable = STR_NONE}, {.unreadable = STR("")}};
    static const struct {
        enum verdict verdict;
        uint32_t duplicates;
        double duplicates_after, unreadable_after;
    } cases[] = {
        {VERDICT_STORED, 0, 0, 2},      {VERDICT_STORED, 2, 2, 4},        {VERDICT_DUPLICATE, 3, 5, 4},
        {VERDICT_UNAVAILABLE, 3, 5, 4}, {VERDICT_BAD_SIGNATURE, 3, 5, 4}, {VERDICT_KEY_REUSED, 1, 5, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ingest ingest = ingest_of("shop");
        ingest.events = events;
        ingest.event_count = 3;
        ingest.duplicate_count = cases[i].duplicates;
        metrics_request(parts[i % 3], &ingest, cases[i].verdict, 1);
        assert_true(value("payhook_duplicates_total{source=\"shop\"}") == cases[i].duplicates_after);
        assert_true(value("payhook_unreadable_total{source=\"shop\"}") == cases[i].unreadable_after);
        assert_true(value("payhook_duplicates_total{source=\"a-2\"}") == 0);
    }
}

/* A bound belongs to its bucket (le), what is beyond all of them only to +Inf. Negative times, of a clock that never
 * goes back, count as none. */
static void buckets(void **state) {
    (void)state; /* there is none */
    static const int64_t durations[] = {-5, 0, 250, 251, 1000000, 1000001, 30000000, 30000001, INT64_MAX / 8};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        metrics_request(parts[i % 3], NULL, VERDICT_BAD_REQUEST, durations[i]);
    static const struct {
        const char *le;
        double count;
    } cases[] = {{"0.00025", 3}, {"0.0005", 4}, {"0.5", 4}, {"1", 5}, {"5", 6}, {"30", 7}, {"+Inf", 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sample[128];
        (void)snprintf(sample, sizeof sample, "payhook_request_seconds_bucket{le=\"%s\"}", cases[i].le);
        if (value(sample) != cases[i].count) fail_msg("%s", sample);
    }
    assert_true(value("payhook_request_seconds_count") == 9);
}

static void commits(void **state) {
    (void)state; /* there is none */
    metrics_commit(parts[0], 1, 1500);
    metrics_commit(parts[0], 64, 2500000);
    metrics_commit(parts[0], 65, 20000000);
    metrics_commit(parts[0], 0, 7);
    metrics_commit(parts[0], 5000, 100);
    static const struct {
        const char *sample;
        double value;
    } cases[] = {
        {"payhook_batch_events_bucket{le=\"1\"}", 2},
        {"payhook_batch_events_bucket{le=\"32\"}", 2},
        {"payhook_batch_events_bucket{le=\"64\"}", 3},
        {"payhook_batch_events_bucket{le=\"128\"}", 4},
        {"payhook_batch_events_bucket{le=\"1024\"}", 4},
        {"payhook_batch_events_bucket{le=\"+Inf\"}", 5},
        {"payhook_batch_events_sum", 5130},
        {"payhook_batch_events_count", 5},
        {"payhook_commit_seconds_bucket{le=\"0.0001\"}", 2},
        {"payhook_commit_seconds_bucket{le=\"0.0025\"}", 3},
        {"payhook_commit_seconds_bucket{le=\"10\"}", 4},
        {"payhook_commit_seconds_bucket{le=\"+Inf\"}", 5},
        {"payhook_commit_seconds_sum", 22.501607},
        {"payhook_request_seconds_count", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (value(cases[i].sample) != cases[i].value) fail_msg("%s", cases[i].sample);
}

/* Another configuration: what was counted stays, under its old name too. */
static void another_configuration(void **state) {
    (void)state; /* there is none */
    count(0, "shop", VERDICT_STORED);
    struct config *next = config_of("source b { provider = \"stripe\" secrets = \"env:A\" }\n");
    config_release(config);
    config = next;
    count(1, "b", VERDICT_STORED);
    assert_true(value("payhook_requests_total{source=\"shop\",verdict=\"stored\"}") == 1);
    assert_true(value("payhook_requests_total{source=\"b\",verdict=\"stored\"}") == 1);
    assert_true(value("payhook_requests_total{source=\"a-2\",verdict=\"stored\"}") == -1); /* never seen, and gone */
}

static void clock_suspects(void **state) {
    (void)state; /* there is none */
    struct clock_report report = {.source = "shop", .stale = true, .skew_s = -700};
    int64_t skew_s;
    for (uint64_t i = 0; i < CLOCK_STREAK; i++) {
        assert_true(value("payhook_clock_suspect_seconds{source=\"shop\"}") == 0);
        report.content = i + 1;
        (void)clock_watch_take(&watch, &report, 1, &skew_s);
    }
    assert_true(value("payhook_clock_suspect_seconds{source=\"shop\"}") == 700);
    assert_true(value("payhook_clock_suspect_seconds{source=\"a-2\"}") == 0);
    report.stale = false;
    (void)clock_watch_take(&watch, &report, 1, &skew_s);
    assert_true(value("payhook_clock_suspect_seconds{source=\"shop\"}") == 0);
}

/* As many names as there can be, of the greatest length: the text has room for them. */
static void many_sources(void **state) {
    (void)state; /* there is none */
    size_t size = SOURCES_MAX * 160, used = 0;
    char *text = malloc(size);
    assert_non_null(text);
    for (int i = 0; i < SOURCES_MAX; i++)
        used += (size_t)snprintf(text + used, size - used,
                                 "source s%062d { provider = \"stripe\" secrets = \"env:A\" }\n", i);
    struct config *next = config_of(text);
    free(text);
    config_release(config);
    config = next;
    char sample[128];
    (void)snprintf(sample, sizeof sample, "s%062d", 999);
    for (int i = 0; i < 7; i++)
        count((size_t)i % 3, sample, VERDICT_STORED);
    (void)snprintf(sample, sizeof sample, "payhook_requests_total{source=\"s%062d\",verdict=\"stored\"}", 999);
    assert_true(value(sample) == 7);
}

enum { COUNTS = 200000 };

static void *counting(void *context) {
    struct metrics *part = context;
    for (int i = 0; i < COUNTS; i++) {
        struct ingest ingest = ingest_of(i % 2 == 0 ? "shop" : "a-2");
        metrics_request(part, &ingest, VERDICT_STORED, i % 100000);
    }
    return NULL;
}

/* Nothing is lost or torn while threads count and somebody reads: what is read never falls, and all is there at the
 * end. */
static void while_counting(void **state) {
    (void)state; /* there is none */
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, counting, parts[i]), 0);
    double before = 0;
    for (int i = 0; i < 50; i++) {
        double now = value("payhook_request_seconds_count");
        assert_true(now >= before);
        before = now;
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(value("payhook_request_seconds_count") == 3 * COUNTS);
    assert_true(value("payhook_requests_total{source=\"shop\",verdict=\"stored\"}") == 3 * COUNTS / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fresh, each_begin, each_end),
        cmocka_unit_test_setup_teardown(sums, each_begin, each_end),
        cmocka_unit_test_setup_teardown(duplicates_and_unreadable, each_begin, each_end),
        cmocka_unit_test_setup_teardown(buckets, each_begin, each_end),
        cmocka_unit_test_setup_teardown(commits, each_begin, each_end),
        cmocka_unit_test_setup_teardown(another_configuration, each_begin, each_end),
        cmocka_unit_test_setup_teardown(clock_suspects, each_begin, each_end),
        cmocka_unit_test_setup_teardown(many_sources, each_begin, each_end),
        cmocka_unit_test_setup_teardown(while_counting, each_begin, each_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
