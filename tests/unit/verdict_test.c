/* SPDX-License-Identifier: Apache-2.0 */
/* Every answer, written out and not taken from the header: senders and readers of the log depend on them. */
#include "event/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "abort_help.h"

#define BAD_REQUEST  "{\"error\": \"Bad request\"}"
#define UNAUTHORIZED "{\"error\": \"Unauthorized\"}"
#define UNAVAILABLE  "{\"error\": \"Service unavailable\"}"

static const struct {
    enum verdict verdict;
    const char *word;
    int status;
    const char *body, *extra;
    bool closes;
} known[] = {
    {VERDICT_ACCEPT, "accept", 0, "", "", false},
    {VERDICT_STORED, "stored", 200, "", "", false},
    {VERDICT_DUPLICATE, "duplicate", 200, "", "", false},
    /* The user's own words. */
    {VERDICT_MISSING_TRANSACTION, "missing_transaction", 400, "{\"error\": \"Missing transactionId\"}", "", false},
    {VERDICT_INVALID_JSON, "invalid_json", 400, "{\"error\": \"Invalid JSON payload\"}", "", false},
    {VERDICT_INTERNAL, "internal", 500, "{\"error\": \"Internal server error\"}", "", false},
    /* Ours. */
    {VERDICT_INVALID_TRANSACTION, "invalid_transaction", 400, "{\"error\": \"Invalid transactionId\"}", "", false},
    {VERDICT_KEY_REUSED, "key_reused", 422, "{\"error\": \"Idempotency key reused\"}", "", false},
    {VERDICT_BAD_SIGNATURE, "bad_signature", 401, UNAUTHORIZED, "", false},
    {VERDICT_STALE, "stale", 401, UNAUTHORIZED, "", false},
    {VERDICT_MISSING_HEADER, "missing_header", 401, UNAUTHORIZED, "", false},
    {VERDICT_MALFORMED, "malformed", 401, UNAUTHORIZED, "", false},
    {VERDICT_FORBIDDEN, "forbidden", 403, "{\"Message\":\"Forbidden\"}", "x-amzn-errortype: AccessDeniedException\r\n",
     false},
    {VERDICT_NOT_FOUND, "not_found", 404, "{\"error\": \"Not found\"}", "", false},
    {VERDICT_METHOD_NOT_ALLOWED, "method_not_allowed", 405, "{\"error\": \"Method not allowed\"}", "allow: POST\r\n",
     false},
    {VERDICT_TOO_LARGE, "too_large", 413, "{\"error\": \"Payload too large\"}", "", true},
    {VERDICT_NEED_KEY, "need_key", 503, UNAVAILABLE, "retry-after: 1\r\n", false},
    {VERDICT_UNAVAILABLE, "unavailable", 503, UNAVAILABLE, "retry-after: 1\r\n", false},
    {VERDICT_BAD_REQUEST, "bad_request", 400, BAD_REQUEST, "", true},
    {VERDICT_TIMED_OUT, "timed_out", 408, BAD_REQUEST, "", true},
    {VERDICT_LENGTH_REQUIRED, "length_required", 411, BAD_REQUEST, "", true},
    {VERDICT_TARGET_TOO_LONG, "target_too_long", 414, BAD_REQUEST, "", true},
    {VERDICT_HEAD_TOO_LARGE, "head_too_large", 431, BAD_REQUEST, "", true},
    {VERDICT_CODING_UNKNOWN, "coding_unknown", 501, BAD_REQUEST, "", true},
    {VERDICT_VERSION_UNKNOWN, "version_unknown", 505, BAD_REQUEST, "", true},
};
enum { KNOWN = sizeof known / sizeof *known };

static void assert_str(struct str actual, const char *expected) {
    assert_non_null(actual.ptr);
    if (!str_eq(actual, str_from(expected))) fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(actual), expected);
}

static void rows(void **state) {
    (void)state; /* there is none */
    assert_int_equal(KNOWN, VERDICT_COUNT);
    for (size_t i = 0; i < KNOWN; i++) {
        const struct verdict_row *row = verdict_row(known[i].verdict);
        print_message("%s\n", known[i].word);
        assert_string_equal(row->word, known[i].word);
        assert_int_equal(row->status, known[i].status);
        assert_string_equal(row->body, known[i].body);
        assert_int_equal(row->closes, known[i].closes);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(known[k].verdict, known[i].verdict);
            assert_string_not_equal(known[k].word, known[i].word);
        }
        assert_int_equal(strspn(row->word, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->word));
    }
}

static void refusals(void **state) {
    (void)state; /* there is none */
    static const int statuses[] = {0, 400, 498};
    for (size_t i = 0; i < KNOWN; i++) {
        if (known[i].verdict <= VERDICT_DUPLICATE) continue;
        for (size_t k = 0; k < 3; k++) {
            struct reply reply = reply_refusal(known[i].verdict, statuses[k]);
            print_message("%s %d\n", known[i].word, statuses[k]);
            bool replaced = statuses[k] != 0 && known[i].status == 401;
            assert_int_equal(reply.status, replaced ? statuses[k] : known[i].status);
            assert_str(reply.content_type, "application/json");
            assert_str(reply.extra, known[i].extra);
            assert_str(reply.body, known[i].body);
            assert_int_equal(reply.closes, known[i].closes);
        }
    }
}

static void refuse_accept(void) { (void)reply_refusal(VERDICT_ACCEPT, 0); }
static void refuse_stored(void) { (void)reply_refusal(VERDICT_STORED, 0); }
static void refuse_duplicate(void) { (void)reply_refusal(VERDICT_DUPLICATE, 0); }
static void row_beyond(void) { (void)verdict_row(VERDICT_COUNT); }

static void no_refusals(void **state) {
    (void)state; /* there is none */
    assert_true(aborts(refuse_accept));
    assert_true(aborts(refuse_stored));
    assert_true(aborts(refuse_duplicate));
    assert_true(aborts(row_beyond));
}

#define PROCESSED "{\"message\": \"Webhook processed successfully\", \"transactionId\": "

/* The expected ids are what Python's json.dumps prints. */
static void successes(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str id;
        uint32_t events;
        const char *body;
    } cases[] = {
        {STR("txn_123"), 1, PROCESSED "\"txn_123\"}"},
        {STR("12345678901234567890"), 1, PROCESSED "\"12345678901234567890\"}"},
        {STR("a/b"), 1, PROCESSED "\"a/b\"}"},
        {STR("a\"b\\c"), 1, PROCESSED "\"a\\\"b\\\\c\"}"},
        {STR("\b\f\n\r\t"), 1, PROCESSED "\"\\b\\f\\n\\r\\t\"}"},
        {STR("\0\x1f"), 1, PROCESSED "\"\\u0000\\u001f\"}"},
        {STR("~\x7f"), 1, PROCESSED "\"~\\u007f\"}"},
        {STR("caf\xc3\xa9"), 1, PROCESSED "\"caf\\u00e9\"}"},
        {STR("\xe2\x82\xac\xe2\x80\xa8"), 1, PROCESSED "\"\\u20ac\\u2028\"}"},
        {STR("\xf0\x9f\x98\x80"), 1, PROCESSED "\"\\ud83d\\ude00\"}"},
        {STR("\xf4\x8f\xbf\xbf"), 1, PROCESSED "\"\\udbff\\udfff\"}"},
        {STR("<script>&"), 1, PROCESSED "\"<script>&\"}"},
        {STR("\xff"), 1, PROCESSED "null}"}, /* no text */
        {STR("\xed\xa0\x80"), 1, PROCESSED "null}"},
        {STR(""), 0, PROCESSED "\"\", \"events\": 0}"},
        {STR("first"), 2, PROCESSED "\"first\", \"events\": 2}"},
        {STR("first"), 512, PROCESSED "\"first\", \"events\": 512}"},
        {STR("first"), UINT32_MAX, PROCESSED "\"first\", \"events\": 4294967295}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char memory[512];
        size_t size = strlen(cases[i].body);
        print_message("%s\n", cases[i].body);
        for (size_t room = 0; room <= size + 1; room++) {
            struct arena arena = arena_make(memory, room);
            struct reply reply = {.status = 77};
            bool duplicate = room % 2 == 0;
            bool good = reply_success(&arena, duplicate, cases[i].id, cases[i].events, STR_NONE, &reply);
            assert_int_equal(good, room >= size);
            assert_int_equal(reply.status, good ? 200 : 77);
            if (!good) continue;
            assert_str(reply.content_type, "application/json");
            assert_str(reply.extra, duplicate ? "payhook-duplicate: true\r\n" : "");
            assert_str(reply.body, cases[i].body);
            assert_false(reply.closes);
            assert_int_equal(arena.used, size);
        }
    }
}

static void own_bodies(void **state) {
    (void)state; /* there is none */
    for (int duplicate = 0; duplicate <= 1; duplicate++)
        for (uint32_t events = 0; events < 3; events++) {
            struct arena full = arena_make(NULL, 0);
            struct reply reply;
            assert_true(reply_success(&full, duplicate, STR("\xff"), events, STR("[accepted]"), &reply));
            assert_int_equal(reply.status, 200);
            assert_str(reply.content_type, "text/plain");
            assert_str(reply.body, "[accepted]");
            assert_str(reply.extra, duplicate ? "payhook-duplicate: true\r\n" : "");
            assert_false(reply.closes);
            assert_true(reply_success(&full, duplicate, STR("x"), events, STR(""), &reply)); /* empty is a body too */
            assert_str(reply.body, "");
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),      cmocka_unit_test(refusals),   cmocka_unit_test(no_refusals),
        cmocka_unit_test(successes), cmocka_unit_test(own_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
