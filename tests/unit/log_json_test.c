/* SPDX-License-Identifier: Apache-2.0 */
/* Each line is one JSON object, whatever stands in it, and says only what is named. stderr is a socket of packets here,
 * so that each write is seen by itself. */
#include "app/log_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "canary4f1d7c2a9b"

static char captured[65536];

/* Runs one of the two, and gives its line as an object. Nothing may be asserted in between: cmocka writes to stderr. */
static json_t *line_of(enum log_level level, const struct log_invocation *invocation, struct str sentence,
                       const struct log_request *request) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    (void)dup2(pair[1], STDERR_FILENO);
    if (request != NULL)
        log_json_webhook(invocation, request);
    else
        log_json_sentence(level, invocation, sentence);
    ssize_t got = recv(pair[0], captured, sizeof captured, MSG_DONTWAIT),
            more = recv(pair[0], captured + 60000, 1, MSG_DONTWAIT);
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_true(got > 1);
    assert_int_equal(more, -1); /* one write */
    assert_int_equal(captured[got - 1], '\n');
    assert_ptr_equal(memchr(captured, '\n', (size_t)got), captured + got - 1);
    json_t *line = json_loadb(captured, (size_t)got - 1, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    const char *timestamp = json_string_value(json_object_get(line, "timestamp"));
    assert_non_null(timestamp);
    assert_int_equal(strlen(timestamp), strlen("2026-11-23T19:08:50.123456Z"));
    return line;
}

static const char *field(json_t *line, const char *name) { return json_string_value(json_object_get(line, name)); }

static void test_sentences(void **state) {
    (void)state; /* there is none */
    static const struct {
        enum log_level level;
        const char *word;
    } levels[] = {{LOG_INFO, "INFO"}, {LOG_WARNING, "WARN"}, {LOG_ERROR, "ERROR"}};
    const struct log_invocation none = {0};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        json_t *line = line_of(levels[i].level, &none, STR("a \"sentence\"\n\x1b[2J\xff"), NULL);
        assert_int_equal(json_object_size(line), 3);
        assert_string_equal(field(line, "level"), levels[i].word);
        assert_string_equal(field(line, "message"), "a \"sentence\"\n\x1b[2J\xef\xbf\xbd");
        json_decref(line);
    }
    static char longest[100000];
    memset(longest, '\x01', sizeof longest);
    const struct str all = str_make(longest, sizeof longest);
    const struct log_invocation invocation = {all, all, "invoke"};
    json_decref(line_of(LOG_ERROR, &invocation, all, NULL));
}

static void test_webhooks(void **state) {
    (void)state; /* there is none */
    struct event event = {.event_key = STR("evt\n1"),
                          .transaction_id = STR("caf\xc3\xa9"),
                          .payload = STR(CANARY),
                          .headers = STR("authorization: " CANARY),
                          .target = STR("/?" CANARY),
                          .event_id = STR(CANARY),
                          .event_type = STR(CANARY)};
    const struct source source = {.name = STR("stripe"), .secret_count = 1, .secrets = {{.text = STR(CANARY)}}};
    struct ingest ingest = {
        .verdict = VERDICT_STORED, .source = &source, .events = &event, .event_count = 1, .reason = STR("")};
    struct log_request request = {
        .ingest = &ingest, .verdict = VERDICT_STORED, .status = 200, .now_us = 1, .duration_us = 1234};
    const struct log_invocation invocation = {STR("r-1"), STR("1-5e1b4151-5ac6c58f5ac6c58f5ac6c58f"), "url"};
    json_t *line = line_of(LOG_INFO, &invocation, STR_NONE, &request);
    static const char *const fields[][2] = {{"level", "INFO"},     {"requestId", "r-1"},
                                            {"source", "stripe"},  {"traceId", "1-5e1b4151-5ac6c58f5ac6c58f5ac6c58f"},
                                            {"door", "url"},       {"event", "evt\n1"},
                                            {"verdict", "stored"}, {"transaction", "caf\xc3\xa9"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_string_equal(field(line, fields[i][0]), fields[i][1]);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    assert_true(json_real_value(json_object_get(line, "ms")) > 1.2339);
    assert_true(json_real_value(json_object_get(line, "ms")) < 1.2341);
    assert_int_equal(json_object_size(line), 11);
    assert_null(strstr(captured, CANARY));
    json_decref(line);

    ingest.event_count = 3;
    event.unreadable = STR("not JSON");
    line = line_of(LOG_INFO, &invocation, STR_NONE, &request);
    assert_string_equal(field(line, "level"), "WARN");
    assert_string_equal(field(line, "unreadable"), "not JSON");
    assert_int_equal(json_integer_value(json_object_get(line, "events")), 3);
    json_decref(line);

    ingest = (struct ingest){.verdict = VERDICT_UNAVAILABLE, .reason = STR("a reason")};
    request.status = 503;
    request.verdict = VERDICT_UNAVAILABLE;
    line = line_of(LOG_INFO, &invocation, STR_NONE, &request);
    assert_string_equal(field(line, "level"), "ERROR");
    assert_string_equal(field(line, "reason"), "a reason");
    assert_null(field(line, "source"));
    json_decref(line);

    static char longest[5000];
    memset(longest, '\x7f', sizeof longest);
    const struct str all = str_make(longest, sizeof longest);
    event = (struct event){.event_key = all, .transaction_id = all, .unreadable = all};
    const struct source other = {.name = all};
    ingest = (struct ingest){.source = &other, .events = &event, .event_count = 512, .reason = all};
    const struct log_invocation long_invocation = {all, all, "url"};
    json_decref(line_of(LOG_INFO, &long_invocation, STR_NONE, &request));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sentences), cmocka_unit_test(test_webhooks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
