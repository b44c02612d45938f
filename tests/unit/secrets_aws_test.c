/* SPDX-License-Identifier: Apache-2.0 */
/* aws: references over a service of the test's own, which stands in the place of net/aws: what is asked, how often,
 * what each answer gives, and that no message repeats a secret. */
#include "core/secrets_aws.h"

#include "base/os.h"
#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CANARY "canary4f1d7c2a9b"

struct aws {
    char region[64];
};

static struct {
    int status;
    const char *error, *body; /* body NULL: no answer comes */
} service;
static int opens, closes, requests;
static char asked[4096], regions[256];
static bool no_credentials;

struct err aws_open(const struct aws_options *options, struct writer *message, struct aws **ret_aws) {
    opens++;
    if (no_credentials) {
        writer_put(message, STR("no credentials were found"));
        return err_make(ERR_ABSENT, 0, "find credentials");
    }
    *ret_aws = calloc(1, sizeof **ret_aws);
    assert_non_null(*ret_aws);
    size_t used = strlen(regions);
    (void)snprintf(regions + used, sizeof regions - used, "%s;", options->region != NULL ? options->region : "-");
    return err_ok();
}

void aws_close(struct aws *aws) {
    closes++;
    free(aws);
}

struct err aws_request(struct aws *aws, const struct aws_call *call, const struct aws_answer **ret_answer) {
    static struct aws_answer answer;
    assert_non_null(aws);
    requests++;
    assert_string_equal(call->service, "secretsmanager");
    assert_string_equal(call->operation, "GetSecretValue");
    assert_string_equal(call->amz_target, "secretsmanager.GetSecretValue");
    assert_true(str_eq(call->content_type, STR("application/x-amz-json-1.1")));
    int64_t left_us = call->deadline_us - os_mono_us();
    assert_true(left_us > 0 && left_us <= SECRET_FETCH_MS_MAX * INT64_C(1000));
    assert_true(call->body.len < sizeof asked);
    memcpy(asked, call->body.ptr, call->body.len);
    asked[call->body.len] = '\0';
    if (service.body == NULL) return err_make(ERR_TIMEOUT, 0, "get an answer in time");
    answer = (struct aws_answer){.status = service.status,
                                 .body = str_from(service.body),
                                 .error = str_from(service.error),
                                 .error_message = STR(CANARY)};
    *ret_answer = &answer;
    return err_ok();
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    opens = closes = requests = 0;
    regions[0] = '\0';
    no_credentials = false;
    service.status = 200;
    service.error = "";
    return 0;
}

static void answer_with(const char *secret) {
    static char body[8192];
    struct writer w = writer_make(body, sizeof body);
    writer_put(&w, STR("{\"ARN\":\"arn:x\",\"Name\":\"n\",\"SecretString\":"));
    json_write_string(&w, str_from(secret), true);
    writer_put(&w, STR(",\"VersionStages\":[\"AWSCURRENT\"]}"));
    (void)writer_cstr(&w);
    assert_false(w.overflow);
    service.body = body;
}

static void done(struct secret_texts *texts) {
    for (uint32_t i = 0; i < texts->count; i++)
        secret_done(texts->texts[i]);
}

#define SECRET                                                                                                         \
    "{\"api_key\":\"" CANARY "-key\",\"sources\":{\"a\":{\"secrets\":[\"" CANARY "-1\",\"" CANARY "\\u002d2\"]},"      \
    "\"e\":[],\"n\":5,\"m\":[5],\"b\":[\"\"],\"half\":\"\\ud800\",\"long\":[1,2,3,4,5,6,7,8,9]}}"

static void test_pointers(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *reference, *first, *last;
        uint32_t count;
    } good[] = {
        {"aws:name", SECRET, SECRET, 1},
        {"aws:name#", SECRET, NULL, 0}, /* the whole document is an object */
        {"aws:name#/api_key", CANARY "-key", CANARY "-key", 1},
        {"aws:name#/sources/a/secrets", CANARY "-1", CANARY "-2", 2},
        {"aws:name#/sources/a/secrets/1", CANARY "-2", CANARY "-2", 1},
    };
    struct secret_reader reader = {0};
    answer_with(SECRET);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        struct secret_texts texts = {.count = 0};
        struct err result = secret_reader_read(&reader, str_from(good[i].reference), &message, &texts);
        assert_int_equal(err_is(result), good[i].count == 0);
        assert_null(strstr(writer_cstr(&message), CANARY));
        assert_int_equal(texts.count, good[i].count);
        if (good[i].count > 0) {
            assert_true(str_eq(texts.texts[0], str_from(good[i].first)));
            assert_true(str_eq(texts.texts[texts.count - 1], str_from(good[i].last)));
        }
        done(&texts);
    }
    assert_int_equal(requests, 1); /* one configuration asks for a secret once */
    assert_string_equal(asked, "{\"SecretId\":\"name\"}");
    secret_reader_done(&reader);
    assert_int_equal(opens, 1);
    assert_int_equal(closes, 1);
}

static void test_refused(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *reference, *sentence;
        enum err_kind kind;
    } cases[] = {
        {"aws:name#api_key", "no JSON Pointer", ERR_INPUT},
        {"aws:name#/api_key/~2", "no JSON Pointer", ERR_INPUT},
        {"aws:name#/nothing", "aws:name#/nothing: the secret has nothing where the pointer points", ERR_ABSENT},
        {"aws:name#/api_key/0", "has nothing", ERR_ABSENT},
        {"aws:name#/sources", "neither a text nor a list", ERR_INPUT},
        {"aws:name#/sources/n", "neither a text nor a list", ERR_INPUT},
        {"aws:name#/sources/m", "neither a text nor a list", ERR_INPUT},
        {"aws:name#/sources/e", "the list is empty", ERR_INPUT},
        {"aws:name#/sources/b", "a text there is empty", ERR_INPUT},
        {"aws:name#/sources/half", "a text there is no text", ERR_INPUT},
        {"aws:", "this names no secret", ERR_INPUT},
        {"aws:#/x", "this names no secret", ERR_INPUT},
    };
    answer_with(SECRET);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        struct str got = STR_NONE;
        struct err result = secret_read(str_from(cases[i].reference), &message, &got);
        assert_int_equal(result.kind, cases[i].kind);
        if (strstr(writer_cstr(&message), cases[i].sentence) == NULL) fail_msg("%s", text);
        assert_null(strstr(text, CANARY));
        assert_null(got.ptr);
    }
    /* A list where one text is asked for. */
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    struct str got;
    assert_int_equal(secret_read(STR("aws:name#/sources/a/secrets"), &message, &got).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "this names a list"));
    assert_int_equal(opens, closes);
}

static void test_answers(void **state) {
    (void)state; /* there is none */
    static const struct {
        int status;
        const char *error, *body, *sentence;
        enum err_kind kind;
    } cases[] = {
        {200, "", NULL, "could not get an answer in time", ERR_TIMEOUT},
        {200, "", "", "the answer of Secrets Manager cannot be read", ERR_NETWORK},
        {200, "", "<html>" CANARY, "the answer of Secrets Manager cannot be read", ERR_NETWORK},
        {200, "", "{\"SecretString\":\"" CANARY "\"", "the answer of Secrets Manager cannot be read", ERR_NETWORK},
        {200, "", "{}", "it has no value yet", ERR_INPUT},
        {200, "", "{\"SecretString\":null}", "it has no value yet", ERR_INPUT},
        {200, "", "{\"SecretString\":5}", "it has no value yet", ERR_INPUT},
        {200, "", "{\"SecretString\":\"\"}", "it is empty", ERR_INPUT},
        {200, "", "{\"SecretString\":\"\\ud800\"}", "it is no text", ERR_INPUT},
        {200, "", "{\"SecretBinary\":\"Y2FuYXJ5\"}", "it holds bytes, not a text", ERR_INPUT},
        {400, "AccessDeniedException", "{}", "allow secretsmanager:GetSecretValue", ERR_DENIED},
        {400, "ResourceNotFoundException", "{}", "there is no such secret", ERR_DENIED},
        {400, "Thrott\nling", "{}", "answers 400 Thrott\\x0aling", ERR_DENIED},
        {500, "InternalServiceError", "{}", "answers 500 InternalServiceError", ERR_NETWORK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        struct secret_reader reader = {0};
        struct secret_texts texts;
        print_message("case %zu\n", i);
        service.status = cases[i].status;
        service.error = cases[i].error;
        service.body = cases[i].body;
        int before = requests;
        for (int k = 0; k < 3; k++) { /* what failed is not asked for again */
            message.len = 0;
            struct err result = secret_reader_read(&reader, STR("aws:n#/x"), &message, &texts);
            assert_int_equal(result.kind, cases[i].kind);
            if (strstr(writer_cstr(&message), cases[i].sentence) == NULL) fail_msg("%s", text);
            assert_null(strstr(text, CANARY));
        }
        assert_int_equal(requests, before + 1);
        secret_reader_done(&reader);
    }
}

static void test_regions(void **state) {
    (void)state; /* there is none */
    static const char *const references[] = {
        "aws:name",
        "aws:other",
        "aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf#/api_key",
        "aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:b-AbCdEf#/api_key",
        "aws:arn:aws:secretsmanager",
        "aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf#/api_key",
    };
    struct secret_reader reader = {0};
    answer_with(SECRET);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        struct secret_texts texts = {.count = 0};
        struct err result = secret_reader_read(&reader, str_from(references[i]), &message, &texts);
        assert_false(err_is(result));
        done(&texts);
    }
    assert_string_equal(regions, "-;eu-west-1;-;");
    assert_int_equal(requests, 5);
    secret_reader_done(&reader);
    assert_int_equal(opens, closes);

    no_credentials = true;
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    struct str got;
    assert_int_equal(secret_read(STR("aws:name"), &message, &got).kind, ERR_ABSENT);
    assert_string_equal(writer_cstr(&message), "aws:name: no credentials were found");
}

static void test_sizes(void **state) {
    (void)state; /* there is none */
    static char raw[SECRET_STRING_SIZE_MAX + 8];
    for (size_t size = SECRET_STRING_SIZE_MAX - 1; size <= SECRET_STRING_SIZE_MAX + 1; size++) {
        memset(raw, 'x', sizeof raw);
        raw[0] = raw[size + 1] = '"';
        struct str text = STR_NONE;
        struct err result = secret_json_text(str_make(raw, size + 2), SECRET_STRING_SIZE_MAX, &text);
        assert_int_equal(err_is(result), size > SECRET_STRING_SIZE_MAX);
        if (!err_is(result)) assert_int_equal(text.len, size);
        secret_done(text);
    }
    /* A name longer than the service takes. */
    char name[4096] = "aws:", message_text[8192];
    memset(name + 4, 'n', sizeof name - 5);
    struct writer message = writer_make(message_text, sizeof message_text);
    struct str text;
    assert_int_equal(secret_read(str_from(name), &message, &text).kind, ERR_INPUT);
    assert_int_equal(requests, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pointers, each_begin), cmocka_unit_test_setup(test_refused, each_begin),
        cmocka_unit_test_setup(test_answers, each_begin),  cmocka_unit_test_setup(test_regions, each_begin),
        cmocka_unit_test_setup(test_sizes, each_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
