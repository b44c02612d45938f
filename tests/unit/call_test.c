/* SPDX-License-Identifier: Apache-2.0 */
/* One call and its sentence, whatever the service: which tries there are, what is told, what must never be told. */
#include "stack/call.h"

#include "base/limits.h"
#include "base/os.h"
#include "stack_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define S3_ERROR(code, message)                                                                                        \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code "</Code><Message>" message                        \
    "</Message><RequestId>r</RequestId></Error>"

static const struct {
    const char *name, *service, *operation;
    struct script_step steps[4];
    enum err_kind kind;
    int status; /* of the answer, where there is one */
    const char *message;
} cases[] = {
    {"good", "s3", "PutObject", {{"", 200, "", false}}, ERR_OK, 200, ""},
    {"what the caller knows", "s3", "HeadObject", {{"", 404, "", false}}, ERR_OK, 404, ""},
    {"a conflict is the caller's",
     "s3",
     "PutObject",
     {{"", 409, S3_ERROR("OperationAborted", "x"), false}},
     ERR_OK,
     409,
     ""},
    {"HEAD without a document",
     "s3",
     "HeadObject",
     {{"", 403, "", false}},
     ERR_DENIED,
     403,
     "may not call s3:GetObject: allow it"},
    {"a list",
     "s3",
     "ListObjectsV2",
     {{"", 403, S3_ERROR("AccessDenied", "Access Denied"), false}},
     ERR_DENIED,
     403,
     "may not call s3:ListBucket: allow it in their policy, or use others (--profile) (AWS says: Access Denied)"},
    {"the action it names",
     "s3",
     "PutObject",
     {{"", 403, S3_ERROR("AccessDenied", "x is not authorized to perform: kms:GenerateDataKey on resource: y"), false}},
     ERR_DENIED,
     403,
     "may not call kms:GenerateDataKey: allow it"},
    {"the action alone",
     "sts",
     "GetCallerIdentity",
     {{"", 403, CF_ERROR("AccessDenied", "x is not authorized to perform: a:B"), false}},
     ERR_DENIED,
     403,
     "may not call a:B: allow it"},
    {"no key of this name",
     "s3",
     "PutObject",
     {{"", 403, S3_ERROR("InvalidAccessKeyId", "x"), false}},
     ERR_DENIED,
     403,
     "does not know this access key"},
    {"the clock",
     "s3",
     "PutObject",
     {{"", 403, S3_ERROR("RequestTimeTooSkewed", "x"), false}},
     ERR_DENIED,
     403,
     "whether this machine's clock is right (AWS says: x)"},
    {"expired, then good",
     "sts",
     "GetCallerIdentity",
     {{"", 403, CF_ERROR("ExpiredToken", "x"), false}, {"", 200, "", false}},
     ERR_OK,
     200,
     ""},
    {"expired",
     "sts",
     "GetCallerIdentity",
     {{"", 403, CF_ERROR("ExpiredToken", "x"), true}},
     ERR_DENIED,
     403,
     "the AWS credentials have expired"},
    {"slow down, then good",
     "s3",
     "PutObject",
     {{"", 503, S3_ERROR("SlowDown", "x"), false}, {"", 200, "", false}},
     ERR_OK,
     200,
     ""},
    {"throttled without end",
     "s3",
     "PutObject",
     {{"", 503, S3_ERROR("SlowDown", "x"), true}},
     ERR_TIMEOUT,
     503,
     "Amazon S3 kept answering 503 SlowDown to PutObject until time was up"},
    {"429 without end",
     "lambda",
     "GetFunction",
     {{"", 429, "", true}},
     ERR_TIMEOUT,
     429,
     "AWS Lambda kept answering 429"},
    {"broken without end",
     "s3",
     "PutObject",
     {{"", SCRIPT_BROKEN, "", true}},
     ERR_NETWORK,
     0,
     "Amazon S3 could not be asked to PutObject: could not "},
    /* Its texts may repeat what was sent. */
    {"a secret's service is not quoted",
     "secretsmanager",
     "PutSecretValue",
     {{"", 400, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>sk_live</Message></Error></ErrorResponse>",
       false}},
     ERR_DENIED,
     400,
     "may not call secretsmanager:PutSecretValue: allow it"},
    {"controls are escaped",
     "sts",
     "GetCallerIdentity",
     {{"", 403, CF_ERROR("AccessDenied", "a&#10;b\xc2\x9b&quot;c"), false}},
     ERR_DENIED,
     403,
     "(AWS says: a b\\xc2\\x9b\"c)"},
};

static void test_calls(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script_stand stand;
        char text[2048];
        struct writer message = writer_make(text, sizeof text);
        const struct aws_answer *answer;
        script_open(&stand, cases[i].steps);
        struct aws *aws = script_aws();
        struct aws_call call = {.service = cases[i].service,
                                .operation = cases[i].operation,
                                .body = STR("x"),
                                .deadline_us = os_mono_us() + 1000000};
        int64_t deadline_us = call.deadline_us;
        struct err failure = stack_call(aws, &call, &message, &answer, NULL);
        if (failure.kind != cases[i].kind) fail_msg("%s: %d %s", cases[i].name, failure.kind, writer_cstr(&message));
        if (strstr(writer_cstr(&message), cases[i].message) == NULL) fail_msg("%s: %s", cases[i].name, text);
        if (cases[i].kind == ERR_OK) assert_int_equal(message.len, 0);
        assert_int_equal(answer->status, cases[i].status);
        assert_null(strstr(text, "sk_live"));
        assert_int_equal(call.deadline_us, deadline_us);
        aws_close(aws);
        const char *trouble = script_close(&stand);
        if (trouble != NULL) fail_msg("%s: %s", cases[i].name, trouble);
    }
}

/* A call that has no deadline gets one; whether it may have been carried out is told. */
static void test_unsure(void **state) {
    (void)state;
    static const struct {
        struct script_step steps[4];
        bool unsure;
    } tries[] = {
        {{{"", 200, "", false}}, false},
        {{{"", 400, "", false}}, false},
        {{{"", SCRIPT_BROKEN, "", false}, {"", 200, "", false}}, true},
        {{{"", 400, CF_ERROR("Throttling", "x"), false}, {"", SCRIPT_BROKEN, "", false}, {"", 200, "", false}}, true},
        {{{"", 500, "", false}, {"", 400, "", false}}, true},
        {{{"", 400, CF_ERROR("Throttling", "x"), false}, {"", 400, "", false}}, false},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct script_stand stand;
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        const struct aws_answer *answer;
        bool unsure = !tries[i].unsure;
        script_open(&stand, tries[i].steps);
        struct aws *aws = script_aws();
        struct aws_call call = {.service = "cloudformation", .operation = "X", .body = STR("x")};
        int64_t before_us = os_mono_us();
        assert_false(err_is(stack_call(aws, &call, &message, &answer, &unsure)));
        assert_int_equal(unsure, tries[i].unsure);
        assert_in_range(call.deadline_us - before_us, 0, (int64_t)(STACK_CALL_MS_MAX + 5000) * 1000);
        aws_close(aws);
        assert_null(script_close(&stand));
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        struct aws_answer answer;
        const char *message;
    } refusals[] = {
        {{.status = 400, .body = {NULL, 0}, .error = {"Odd", 3}}, "Amazon S3 refuses PutObject: 400 Odd"},
        {{.status = 400, .error = {"Odd", 3}, .error_message = {"so it is", 8}},
         "Amazon S3 refuses PutObject: so it is"},
        {{.status = 400, .body = {"<Error><Message>a &lt; b</Message></Error>", 42}, .error = {"Odd", 3}},
         "Amazon S3 refuses PutObject: a < b"},
        {{.status = 400, .body = {"<Error><Message>a &lt; b", 24}, .error = {"Odd", 3}, .error_message = {"cut", 3}},
         "Amazon S3 refuses PutObject: cut"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        const struct aws_call call = {.service = "s3", .operation = "PutObject"};
        assert_int_equal(stack_call_refused(&call, &refusals[i].answer, &message).kind, ERR_INPUT);
        assert_string_equal(writer_cstr(&message), refusals[i].message);
    }
}

static void test_text(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected;
    } texts[] = {
        {"", ""},
        {"plain", "plain"},
        {"\"quoted\" \\ back", "\"quoted\" \\ back"},
        {"one\ntwo\r\n\tthree", "one two   three"},
        {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
        {"\xe2\x80\xaegnp", "\\xe2\\x80\\xaegnp"},
        {"\xff\"\xc3\xa9", "\\xff\"\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[256];
        struct writer w = writer_make(text, sizeof text);
        stack_text(&w, str_from(texts[i].text));
        assert_string_equal(writer_cstr(&w), texts[i].expected);
    }
    struct writer w = writer_make(NULL, 0);
    stack_text(&w, STR_NONE);
    assert_int_equal(w.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_unsure),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
