/* SPDX-License-Identifier: Apache-2.0 */
/* What errors are called in every form that services answer in, and in none. */
#include "net/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static void test_reading(void **state) {
    (void)state;
    static const struct {
        const char *content_type, *errortype, *body, *code, *message;
    } cases[] = {
        {"application/x-amz-json-1.0", NULL,
         "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\",\"message\":\"no table\"}",
         "ResourceNotFoundException", "no table"},
        {"application/x-amz-json-1.1", NULL, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}",
         "AccessDeniedException", "no"},
        {NULL, NULL, "{\"code\":\"Bare\",\"message\":\"a\\u0020b\"}", "Bare", "a b"},
        {NULL, NULL, "{\"__type\":\"First\",\"code\":\"Second\"}", "First", ""},
        {NULL, "Header", "{\"__type\":\"Body\"}", "Header", ""},
        {NULL, "Header:http://internal.amazon.com/", "", "Header", ""},
        {NULL, "a#Header ", "no JSON", "Header", ""},
        {"text/xml", NULL,
         "<ErrorResponse "
         "xmlns=\"x\"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>gone</Message></Error></"
         "ErrorResponse>",
         "ValidationError", "gone"},
        {"application/xml;charset=UTF-8", NULL,
         "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>none</Message></Error>", "NoSuchBucket",
         "none"},
        {"text/xml", NULL, "<Code></Code>", "Unknown", ""},
        {"text/xml", NULL, "<Code>cut off", "Unknown", ""},
        {"text/xml", NULL, "<Code", "Unknown", ""},
        {"text/xml", NULL, "", "Unknown", ""},
        {"text/xml", NULL, "{\"__type\":\"NotXml\"}", "Unknown", ""},
        {"application/json", NULL, "<Code>NotJson</Code>", "Unknown", ""},
        {NULL, NULL, "", "Unknown", ""},
        {NULL, NULL, "{}", "Unknown", ""},
        {NULL, NULL, "[]", "Unknown", ""},
        {NULL, NULL, "{\"__type\":7,\"message\":[]}", "Unknown", ""},
        {NULL, NULL, "{\"__type\":null,\"code\":\"C\"}", "C", ""},
        {NULL, NULL, "{\"__type\":\"\\ud800\"}", "Unknown", ""},
        {NULL, NULL, "{\"__type\":\"A\",\"__type\":\"B\"}", "Unknown", ""},
        {NULL, NULL, "{\"__type\":\"#\"}", "Unknown", ""},
        {NULL, NULL, "{\"__type\":\"A\"", "Unknown", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[256];
        struct arena arena = arena_make(memory, sizeof memory);
        struct aws_error error;
        aws_error_read(str_from(cases[i].content_type), str_from(cases[i].errortype), str_from(cases[i].body), &arena,
                       &error);
        if (!str_eq(error.code, str_from(cases[i].code)) || !str_eq(error.message, str_from(cases[i].message)))
            fail_msg("%s: %.*s, %.*s", cases[i].body, STR_ARG(error.code), STR_ARG(error.message));
    }
}

static void test_a_full_arena_loses_the_words(void **state) {
    (void)state;
    char memory[2];
    struct arena arena = arena_make(memory, sizeof memory);
    struct aws_error error;
    aws_error_read(STR_NONE, STR_NONE, STR("{\"__type\":\"Abc\\u0020def\",\"message\":\"plain\"}"), &arena, &error);
    assert_true(str_eq(error.code, STR("Unknown")));
    assert_true(str_eq(error.message, STR("plain")));
}

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *code;
        bool passing, expired;
    } cases[] = {
        {"ProvisionedThroughputExceededException", true, false},
        {"ThrottlingException", true, false},
        {"RequestLimitExceeded", true, false},
        {"InternalServerError", true, false},
        {"TransactionConflictException", true, false},
        {"ReplicatedWriteConflictException", true, false},
        {"SlowDown", true, false},
        {"ExpiredTokenException", false, true},
        {"ExpiredToken", false, true},
        {"ConditionalCheckFailedException", false, false},
        {"TransactionCanceledException", false, false},
        {"ValidationException", false, false},
        {"AccessDeniedException", false, false},
        {"LimitExceededException", false, false},
        {"throttlingexception", false, false},
        {"Throttling ", false, false},
        {"Unknown", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(aws_error_is_passing(str_from(cases[i].code)), cases[i].passing);
        assert_int_equal(aws_error_is_expired(str_from(cases[i].code)), cases[i].expired);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading),
                                       cmocka_unit_test(test_a_full_arena_loses_the_words),
                                       cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
