/* SPDX-License-Identifier: Apache-2.0 */
/* When five late events mean that our clock is wrong, and when they do not. */
#include "app/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One report a character: 'a' to 'z' an old event of that content, 'A' to 'Z' one from the future, '.' one in time. */
static unsigned warnings(struct clock_watch *watch, const char *source, const char *reports, int64_t now_us,
                         int64_t *ret_skew_s) {
    unsigned count = 0;
    for (const char *at = reports; *at != '\0'; at++) {
        struct clock_report report = {.stale = *at != '.', .content = (uint64_t)*at};
        report.skew_s = *at == '.' ? 0 : *at >= 'a' ? -1000 - (*at - 'a') : 400 + (*at - 'A');
        memcpy(report.source, source, strlen(source));
        count += clock_watch_take(watch, &report, now_us, ret_skew_s);
    }
    return count;
}

static void streaks(void **state) {
    (void)state;
    static const struct {
        const char *reports;
        unsigned warnings;
        int64_t skew_s;
    } cases[] = {
        {"abcde", 1, 1000},
        {"edcba", 1, 1000},
        {"ABCDE", 1, 400},
        {"abcdefghij", 1, 1000}, /* once a minute */
        {"", 0, 0},
        {"abcd", 0, 0},
        {"aaaaaaaaaa", 0, 0}, /* a retry is not another event */
        {"abcdabcdabcd", 0, 0},
        {"abcd.efgh", 0, 0}, /* one in time ends it */
        {"abcdABCD", 0, 0},  /* both sides */
        {"aAbBcCdDeE", 0, 0},
        {"abcdAefgh", 0, 0},
        {"abcd.abcde", 1, 1000},
        {"ABCDabcde", 1, 1000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct clock_watch watch = {0};
        int64_t skew_s = 0;
        assert_int_equal(warnings(&watch, "stripe", cases[i].reports, 1000000, &skew_s), cases[i].warnings);
        assert_int_equal(skew_s, cases[i].skew_s);
        clock_watch_done(&watch);
    }
}

static void pauses(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    int64_t skew_s;
    const int64_t minute_us = (int64_t)CLOCK_WARNING_PAUSE_S * 1000000;
    assert_int_equal(warnings(&watch, "stripe", "abcde", 1, &skew_s), 1);
    assert_int_equal(warnings(&watch, "stripe", "f", minute_us, &skew_s), 0);
    assert_int_equal(warnings(&watch, "stripe", "g", minute_us + 1, &skew_s), 1);
    clock_watch_done(&watch);
}

static void sources_apart(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    int64_t skew_s;
    assert_int_equal(warnings(&watch, "stripe", "abc", 1, &skew_s), 0);
    assert_int_equal(warnings(&watch, "svix", "defg", 1, &skew_s), 0);
    assert_int_equal(atomic_load(&watch.late_sources), 2);
    assert_int_equal(warnings(&watch, "stripe", ".", 1, &skew_s), 0);
    assert_int_equal(atomic_load(&watch.late_sources), 1);
    assert_int_equal(warnings(&watch, "svix", "h", 1, &skew_s), 1);
    assert_int_equal(warnings(&watch, "svix", "..", 1, &skew_s), 0);
    assert_int_equal(atomic_load(&watch.late_sources), 0);
    clock_watch_done(&watch);
}

static const struct source stripe = {.name = {.ptr = "stripe", .len = 6}};

static size_t sent(struct clock_watch *watch, enum verdict verdict, int64_t skew_s, const struct source *source) {
    struct mailbox mailbox;
    mailbox_init(&mailbox, 8, -1);
    const struct ingest ingest = {.verdict = verdict, .source = source, .skew_s = skew_s};
    clock_report_send(&mailbox, watch, &ingest, STR("body"));
    size_t count = 0;
    for (struct letter *letter = mailbox_take(&mailbox, UINT64_MAX), *next; letter != NULL; letter = next) {
        next = letter->next;
        const struct clock_report *report = (const struct clock_report *)(const void *)letter;
        assert_string_equal(report->source, "stripe");
        assert_int_equal(report->stale, verdict != VERDICT_ACCEPT);
        count++;
        free(letter);
    }
    mailbox_done(&mailbox);
    return count;
}

static void reports(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    assert_int_equal(sent(&watch, VERDICT_STALE, -301, &stripe), 1);
    assert_int_equal(sent(&watch, VERDICT_FORBIDDEN, 301, &stripe), 1);
    assert_int_equal(sent(&watch, VERDICT_FORBIDDEN, 0, &stripe), 0);
    assert_int_equal(sent(&watch, VERDICT_BAD_SIGNATURE, 0, &stripe), 0);
    assert_int_equal(sent(&watch, VERDICT_STALE, -301, NULL), 0);
    assert_int_equal(sent(&watch, VERDICT_ACCEPT, 1, &stripe), 0); /* nobody is late: not worth a word */
    atomic_store(&watch.late_sources, 1);
    assert_int_equal(sent(&watch, VERDICT_ACCEPT, 1, &stripe), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streaks),
        cmocka_unit_test(pauses),
        cmocka_unit_test(sources_apart),
        cmocka_unit_test(reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
