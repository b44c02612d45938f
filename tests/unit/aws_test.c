/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against services that follow a script: what is sent and signed, which answers are tried again, and what is
 * known of a call that may have been carried out. */
#include "net/aws.h"

#include "base/os.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "net_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define JSON(status, length, body)                                                                                     \
    ">HTTP/1.1 " status                                                                                                \
    "\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: R1\r\nContent-Length: " length "\r\n\r\n" body
#define OK        JSON("200 OK", "2", "{}")
#define ERROR_500 JSON("500 No", "48", "{\"__type\":\"a#InternalServerError\",\"message\":\"m\"}")
/* Those that are tried again say that the connection ends with them, as their scripts do: else it would depend on who
 * is quicker whether the next try still meets it. */
#define THROTTLED                                                                                                      \
    JSON("400 No", "69\r\nConnection: close",                                                                          \
         "{\"__type\":\"a.b#ProvisionedThroughputExceededException\",\"message\":\"m\"}")
#define REFUSED JSON("400 No", "59", "{\"__type\":\"a#ConditionalCheckFailedException\",\"message\":\"\"}")
#define EXPIRED JSON("400 No", "50\r\nConnection: close", "{\"__type\":\"a#ExpiredTokenException\",\"Message\":\"m\"}")

static void clear_environment(void) {
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_ENDPOINT_URL",
                                        "AWS_ENDPOINT_URL_DYNAMODB",
                                        "AWS_ENDPOINT_URL_S3",
                                        "AWS_ENDPOINT_URL_IAM",
                                        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
                                        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_XRAY_DAEMON_ADDRESS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
}

static void set_endpoint(const char *name, const struct stand *stand, const char *path) {
    char url[128];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", stand->port, path);
    setenv(name, url, 1);
}

static int set_up(void **state) {
    (void)state;
    clear_environment();
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
    return 0;
}

static struct aws *open_aws(void) {
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    struct aws *aws;
    struct err failure = aws_open(&(const struct aws_options){0}, &message, &aws);
    if (err_is(failure)) fail_msg("%s", writer_cstr(&message));
    return aws;
}

static struct aws_call make_call(uint32_t ms) {
    return (struct aws_call){
        .service = "dynamodb",
        .operation = "UpdateItem",
        .amz_target = "DynamoDB_20120810.UpdateItem",
        .body = STR("{\"TableName\":\"t\"}"),
        .deadline_us = os_mono_us() + (int64_t)ms * 1000,
    };
}

/* -- Where services are ---------------------------------------------------------------------------------- */

static void test_region(void **state) {
    (void)state;
    static const struct {
        const char *option, *region, *default_region, *expected; /* NULL: refused */
    } cases[] = {
        {NULL, NULL, NULL, "us-east-1"},
        {NULL, "", "", "us-east-1"},
        {NULL, NULL, "eu-west-1", "eu-west-1"},
        {NULL, "eu-west-2", "eu-west-1", "eu-west-2"},
        {"ap-south-1", "eu-west-2", "eu-west-1", "ap-south-1"},
        {"", NULL, NULL, NULL},
        {"eu west", NULL, NULL, NULL},
        {"evil.example.com/", NULL, NULL, NULL},
        {NULL, "EU-WEST-1", NULL, NULL},
        {NULL, "a\nb", NULL, NULL},
        {"a23456789012345678901234567890123456789012345678901234567890123456789", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].region != NULL) setenv("AWS_REGION", cases[i].region, 1);
        if (cases[i].default_region != NULL) setenv("AWS_DEFAULT_REGION", cases[i].default_region, 1);
        char text[512];
        struct writer message = writer_make(text, sizeof text);
        struct aws *aws = NULL;
        struct err failure = aws_open(&(const struct aws_options){.region = cases[i].option}, &message, &aws);
        assert_int_equal(failure.kind, cases[i].expected == NULL ? ERR_INPUT : ERR_OK);
        if (cases[i].expected != NULL)
            assert_string_equal(aws_region(aws), cases[i].expected);
        else
            assert_true(message.len > 0);
        aws_close(aws);
        clear_environment();
    }
}

static void test_request_as_sent(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "<", OK, "<", OK}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/wrong", 1);
    set_endpoint("AWS_ENDPOINT_URL_DYNAMODB", &stand, "/base/");
    setenv("AWS_SESSION_TOKEN", "the-token", 1);
    struct aws *aws = open_aws();
    struct aws_call call = make_call(10000);
    call.extra[0] = (struct http_header){STR("X-More"), STR("  more ")};
    const struct aws_answer *answer;
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_int_equal(answer->status, 200);
    assert_true(str_eq(answer->body, STR("{}")));
    assert_int_equal(answer->error.len, 0);
    assert_true(str_eq(answer->request_id, STR("R1")));
    assert_true(str_eq(client_header(answer->response, STR("content-length")), STR("2")));
    assert_int_equal(answer->tries, 1);
    assert_false(answer->ambiguous);
    aws_close(aws);
    stand_close(&stand);
    assert_ptr_equal(strstr(stand.last, "POST /base/ HTTP/1.1\r\n"), stand.last);
    char host[64];
    (void)snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n", stand.port);
    assert_non_null(strstr(stand.last, host));
    assert_non_null(strstr(stand.last, "\r\nContent-Type: application/x-amz-json-1.0\r\n"));
    assert_non_null(strstr(stand.last, "\r\nX-Amz-Target: DynamoDB_20120810.UpdateItem\r\n"));
    assert_non_null(strstr(stand.last, "\r\nx-amz-security-token: the-token\r\n"));
    assert_non_null(strstr(stand.last, "/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                                       "x-amz-security-token;x-amz-target;x-more, Signature="));
    assert_null(strstr(stand.last, "x-amz-content-sha256"));
    assert_null(strcasestr(stand.last, "user-agent"));
}

/* S3: the hash is sent, a path is signed as it is, and a bucket is the path's first segment at an endpoint of ours. */
static void test_s3(void **state) {
    (void)state;
    static const script scripts[] = {{"<", ">HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    set_endpoint("AWS_ENDPOINT_URL_S3", &stand, "");
    struct aws *aws = open_aws();
    const struct aws_call call = {
        .service = "s3",
        .operation = "PutObject",
        .method = "PUT",
        .host_prefix = STR("bucket."),
        .target = STR("/payhook//x86_64/../a%20b.zip"),
        .content_type = STR("application/zip"),
        .body = STR("zip"),
        .deadline_us = os_mono_us() + 10000000,
    };
    const struct aws_answer *answer;
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_int_equal(answer->status, 200);
    aws_close(aws);
    stand_close(&stand);
    assert_ptr_equal(strstr(stand.last, "PUT /bucket/payhook//x86_64/../a%20b.zip HTTP/1.1\r\n"), stand.last);
    assert_non_null(strstr(stand.last, "\r\nx-amz-content-sha256: "));
    /* The signature, made again over what was received. */
    struct http_request request = {.method = STR("PUT"), .target = STR("/bucket/payhook//x86_64/../a%20b.zip")};
    request_split_target(&request);
    char hash[65] = {0}, host[64], date[17] = {0};
    memcpy(hash, strstr(stand.last, "x-amz-content-sha256: ") + 22, 64);
    memcpy(date, strstr(stand.last, "x-amz-date: ") + 12, 16);
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", stand.port);
    uint8_t digest[32];
    char expected_hash[65];
    digest_sha256(STR("zip"), digest);
    for (int i = 0; i < 32; i++)
        (void)snprintf(expected_hash + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hash, expected_hash);
    const struct http_header headers[] = {{STR("content-type"), STR("application/zip")},
                                          {STR("host"), str_from(host)},
                                          {STR("x-amz-content-sha256"), str_from(hash)},
                                          {STR("x-amz-date"), str_from(date)}};
    memcpy(request.headers, headers, sizeof headers);
    request.header_count = 4;
    char canonical[2048], to_sign[512], scope[64], signature[65] = {0};
    struct writer w = writer_make(canonical, sizeof canonical), v = writer_make(to_sign, sizeof to_sign);
    sigv4_canonical_request(&w, &request, STR("content-type;host;x-amz-content-sha256;x-amz-date"), str_from(hash),
                            STR_NONE, (struct sigv4_options){0});
    (void)snprintf(scope, sizeof scope, "%.8s/us-east-1/s3/aws4_request", date);
    sigv4_string_to_sign(&v, str_from(date), str_from(scope), writer_str(&w));
    sigv4_signature(STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), str_make(date, 8), STR("us-east-1"), STR("s3"),
                    writer_str(&v), signature);
    assert_non_null(strstr(stand.last, signature));
}

/* Which region a request is signed for, and which variable names the service's place: IAM is one for a whole partition.
 */
static void test_scopes(void **state) {
    (void)state;
    static const struct {
        const char *service, *variable, *region, *scope;
    } cases[] = {
        {"iam", "AWS_ENDPOINT_URL_IAM", "eu-west-1", "/us-east-1/iam/aws4_request"},
        {"iam", "AWS_ENDPOINT_URL", "us-east-1", "/us-east-1/iam/aws4_request"},
        {"iam", "AWS_ENDPOINT_URL_IAM", "cn-northwest-1", "/cn-north-1/iam/aws4_request"},
        {"iam", "AWS_ENDPOINT_URL_IAM", "us-gov-east-1", "/us-gov-west-1/iam/aws4_request"},
        {"logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "eu-west-1", "/eu-west-1/logs/aws4_request"},
        {"sts", "AWS_ENDPOINT_URL", "eu-west-1", "/eu-west-1/sts/aws4_request"},
    };
    static const script scripts[] = {{"<", OK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stand *stand = calloc(1, sizeof *stand);
        assert_non_null(stand);
        stand_open(stand, scripts, 1);
        set_endpoint(cases[i].variable, stand, "");
        setenv("AWS_REGION", cases[i].region, 1);
        struct aws *aws = open_aws();
        struct aws_call call = make_call(10000);
        call.service = cases[i].service;
        const struct aws_answer *answer;
        assert_false(err_is(aws_request(aws, &call, &answer)));
        aws_close(aws);
        stand_close(stand);
        if (strstr(stand->last, cases[i].scope) == NULL) fail_msg("%s lacks %s", stand->last, cases[i].scope);
        free(stand);
        unsetenv(cases[i].variable);
    }
}

/* An answer to HEAD has a length and no body; a redirect of S3 is an answer. */
static void test_s3_answers(void **state) {
    (void)state;
    static const script scripts[] = {
        {"<", ">HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: 300\r\n\r\n", "<",
         ">HTTP/1.1 301 Moved\r\nx-amz-bucket-region: us-west-2\r\nContent-Type: application/xml\r\nContent-Length: "
         "46\r\n\r\n<Error><Code>PermanentRedirect</Code></Error>  "}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    set_endpoint("AWS_ENDPOINT_URL_S3", &stand, "");
    struct aws *aws = open_aws();
    struct aws_call call = {
        .service = "s3",
        .operation = "HeadObject",
        .method = "HEAD",
        .host_prefix = STR("bucket."),
        .target = STR("/a"),
        .extra = {{STR("x-amz-expected-bucket-owner"), STR("123456789012")}},
        .deadline_us = os_mono_us() + 10000000,
        .once = true,
    };
    const struct aws_answer *answer;
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_int_equal(answer->status, 404);
    assert_true(str_eq(answer->error, STR("Unknown")));
    call.method = "GET";
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_int_equal(answer->status, 301);
    assert_true(str_eq(answer->error, STR("PermanentRedirect")));
    assert_true(str_eq(client_header(answer->response, STR("x-amz-bucket-region")), STR("us-west-2")));
    assert_int_equal(stand_accepted(&stand), 1);
    aws_close(aws);
    stand_close(&stand);
    assert_non_null(strstr(stand.last, "host;x-amz-content-sha256;x-amz-date;x-amz-expected-bucket-owner, Signature="));
}

static void test_bad_endpoints(void **state) {
    (void)state;
    static const char *const urls[] = {"127.0.0.1:80",
                                       "ftp://127.0.0.1/",
                                       "http://",
                                       "http://a b/",
                                       "http://u@127.0.0.1/",
                                       "http://127.0.0.1:0/",
                                       "http://127.0.0.1:99999/",
                                       "http://127.0.0.1/?q"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        setenv("AWS_ENDPOINT_URL", urls[i], 1);
        struct aws *aws = open_aws();
        const struct aws_call call = make_call(1000);
        const struct aws_answer *answer;
        assert_int_equal(aws_request(aws, &call, &answer).kind, ERR_INPUT);
        assert_int_equal(answer->tries, 0);
        aws_close(aws);
    }
}

/* -- Tries ----------------------------------------------------------------------------------------------- */

enum { UNTIL_THE_DEADLINE_MS = 1000 };

static const struct tries_case {
    const char *name;
    script first, then; /* the first connection's script, the others' */
    uint32_t ms;
    bool once;
    enum err_kind kind;
    int status;
    const char *error;
    uint32_t tries_min, tries_max;
    bool ambiguous;
} tries[] = {
    {"good", {"<", OK}, {"<", OK}, 5000, false, ERR_OK, 200, "", 1, 1, false},
    {"500, then good", {"<", ERROR_500}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, true},
    {"500, then refused",
     {"<", ERROR_500},
     {"<", REFUSED},
     5000,
     false,
     ERR_OK,
     400,
     "ConditionalCheckFailedException",
     2,
     2,
     true},
    {"throttled, then good", {"<", THROTTLED}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, false},
    {"throttled, then refused",
     {"<", THROTTLED},
     {"<", REFUSED},
     5000,
     false,
     ERR_OK,
     400,
     "ConditionalCheckFailedException",
     2,
     2,
     false},
    {"429 without a name",
     {"<", ">HTTP/1.1 429 Slow\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     2,
     2,
     false},
    {"refused is an answer",
     {"<", REFUSED},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     400,
     "ConditionalCheckFailedException",
     1,
     1,
     false},
    {"broken off, then refused",
     {"<", "!"},
     {"<", REFUSED},
     5000,
     false,
     ERR_OK,
     400,
     "ConditionalCheckFailedException",
     2,
     2,
     true},
    {"closed, then good", {"<"}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, true},
    {"half an answer, then good",
     {"<", ">HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "$"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     2,
     2,
     true},
    {"garbage, then good", {"<", ">\x01\x02\x03\r\n\r\n"}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, true},
    {"no JSON, then good", {"<", JSON("200 OK", "2", "<>")}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, true},
    {"a good checksum",
     {"<", ">HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     1,
     1,
     false},
    {"a wrong checksum, then good",
     {"<", ">HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614146\r\nContent-Length: 2\r\n\r\n{}"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     2,
     2,
     true},
    {"a checksum that is none",
     {"<", ">HTTP/1.1 200 OK\r\nx-amz-crc32: -1\r\nContent-Length: 2\r\n\r\n{}"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     2,
     2,
     true},
    {"a wrong checksum of an error",
     {"<", ">HTTP/1.1 400 No\r\nx-amz-crc32: 1\r\nContent-Length: 2\r\n\r\n{}"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     200,
     "",
     2,
     2,
     true},
    {"never a first byte", {"<", "-"}, {"<", "-"}, 300, false, ERR_TIMEOUT, 0, "", 1, 1, true},
    {"500 until the deadline",
     {"<", ERROR_500},
     {"<", ERROR_500},
     UNTIL_THE_DEADLINE_MS,
     false,
     ERR_OK,
     500,
     "InternalServerError",
     3,
     60,
     true},
    {"throttled until the deadline",
     {"<", THROTTLED},
     {"<", THROTTLED},
     UNTIL_THE_DEADLINE_MS,
     false,
     ERR_OK,
     400,
     "ProvisionedThroughputExceededException",
     3,
     60,
     false},
    {"broken until the deadline",
     {"<", "!"},
     {"<", "!"},
     UNTIL_THE_DEADLINE_MS,
     false,
     ERR_NETWORK,
     0,
     "",
     3,
     60,
     true},
    {"garbage until the deadline",
     {"<", JSON("200 OK", "2", "<>")},
     {"<", JSON("200 OK", "2", "<>")},
     UNTIL_THE_DEADLINE_MS,
     false,
     ERR_NETWORK,
     0,
     "",
     3,
     60,
     true},
    {"500, once", {"<", ERROR_500}, {"<", OK}, 5000, true, ERR_OK, 500, "InternalServerError", 1, 1, false},
    {"throttled, once",
     {"<", THROTTLED},
     {"<", OK},
     5000,
     true,
     ERR_OK,
     400,
     "ProvisionedThroughputExceededException",
     1,
     1,
     false},
    {"broken off, once", {"<", "!"}, {"<", OK}, 5000, true, ERR_NETWORK, 0, "", 1, 1, true},
    {"no deadline left", {"<", OK}, {"<", OK}, 0, false, ERR_TIMEOUT, 0, "", 0, 0, false},
    {"expired credentials, then good", {"<", EXPIRED}, {"<", OK}, 5000, false, ERR_OK, 200, "", 2, 2, false},
    {"expired credentials stay so",
     {"<", EXPIRED},
     {"<", EXPIRED},
     5000,
     false,
     ERR_OK,
     400,
     "ExpiredTokenException",
     2,
     2,
     false},
    {"XML",
     {"<", ">HTTP/1.1 400 No\r\nContent-Type: text/xml\r\nContent-Length: "
           "74\r\n\r\n<ErrorResponse><Error><Code>AlreadyExists</Code></Error></ErrorResponse>  "},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     400,
     "AlreadyExists",
     1,
     1,
     false},
    {"an error without a name",
     {"<", ">HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\noops"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     404,
     "Unknown",
     1,
     1,
     false},
    {"the header goes first",
     {"<", ">HTTP/1.1 403 No\r\nx-amzn-ErrorType: AccessDeniedException:http://x/\r\nContent-Length: 2\r\n\r\n{}"},
     {"<", OK},
     5000,
     false,
     ERR_OK,
     403,
     "AccessDeniedException",
     1,
     1,
     false},
};

/* A word of a script; an answer says there that the connection ends, so that no later try can meet it while it does. */
static char *closing(const char *word) {
    static const char start[] = ">HTTP/1.1 ";
    size_t len = strncmp(word, start, sizeof start - 1) == 0 ? strcspn(word, "\r") : 0, room = strlen(word) + 32;
    char *made = malloc(room);
    if (made == NULL) abort();
    (void)snprintf(made, room, "%.*s%s%s", (int)len, word, len > 0 ? "\r\nConnection: close" : "", word + len);
    return made;
}

/* False, and what came instead. */
static bool comes_out(const struct tries_case *c, struct writer *told) {
    script scripts[2] = {{0}};
    char *words[2][WORDS_IN_SCRIPT] = {{0}};
    for (size_t k = 0; k < WORDS_IN_SCRIPT; k++) {
        if (c->first[k] != NULL) scripts[0][k] = words[0][k] = closing(c->first[k]);
        if (c->then[k] != NULL) scripts[1][k] = words[1][k] = closing(c->then[k]);
    }
    struct stand *stand = calloc(1, sizeof *stand);
    stand_open(stand, (const script *)scripts, 2); /* ISO C before C23 wants the cast */
    set_endpoint("AWS_ENDPOINT_URL", stand, "");
    struct aws *aws = open_aws();
    struct aws_call call = make_call(c->ms);
    call.once = c->once;
    const struct aws_answer *answer;
    int64_t started_us = os_mono_us();
    struct err failure = aws_request(aws, &call, &answer);
    bool as_expected = failure.kind == c->kind && answer->status == c->status &&
                       str_eq(answer->error, str_from(c->error)) && answer->tries >= c->tries_min &&
                       answer->tries <= c->tries_max && answer->ambiguous == c->ambiguous;
    writer_format(told, "%s: kind %d (%s), status %d, error %.*s, %u tries, ambiguous %d", c->name, (int)failure.kind,
                  failure.where, answer->status, STR_ARG(answer->error), answer->tries, answer->ambiguous);
    assert_true(os_mono_us() - started_us < (int64_t)c->ms * 1000 + 10000000);
    aws_close(aws);
    stand_close(stand);
    free(stand);
    for (size_t k = 0; k < WORDS_IN_SCRIPT; k++) {
        free(words[0][k]);
        free(words[1][k]);
    }
    return as_expected;
}

static void test_tries(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char text[512];
        struct writer told = writer_make(text, sizeof text);
        bool good = comes_out(&tries[i], &told);
        /* The deadline may fall into a try, which then has no answer; mostly it falls between two. */
        for (int again = 0; !good && tries[i].ms == UNTIL_THE_DEADLINE_MS && again < 4; again++) {
            told = writer_make(text, sizeof text);
            good = comes_out(&tries[i], &told);
        }
        if (!good) fail_msg("%s", writer_cstr(&told));
    }
}

/* A kept connection that breaks within the client is a try that may have been carried out, too. */
static void test_a_kept_connection_that_dies(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "<"}, {"<", REFUSED}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 2);
    set_endpoint("AWS_ENDPOINT_URL", &stand, "");
    struct aws *aws = open_aws();
    struct aws_call call = make_call(5000);
    const struct aws_answer *answer;
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_false(answer->ambiguous);
    assert_false(err_is(aws_request(aws, &call, &answer)));
    assert_true(answer->ambiguous);
    assert_true(str_eq(answer->error, STR("ConditionalCheckFailedException")));
    aws_close(aws);
    stand_close(&stand);
}

struct tally {
    size_t good, failed;
    struct err last;
};
static void on_tally(void *context, struct err failure, const struct aws_answer *answer) {
    struct tally *tally = context;
    assert_non_null(answer);
    tally->last = failure;
    if (!err_is(failure) && answer->status == 200)
        tally->good++;
    else
        tally->failed++;
}

static void test_many_at_once(void **state) {
    (void)state;
    enum { MANY = 200 };
    static const script scripts[] = {{"<", OK, "<", ERROR_500, "<", OK, "<", THROTTLED, "<", OK, "<"},
                                     {"<", OK, "<", OK}};
    struct stand *stand = calloc(1, sizeof *stand);
    stand_open(stand, scripts, 2);
    set_endpoint("AWS_ENDPOINT_URL", stand, "");
    struct aws *aws = open_aws();
    struct tally tally = {0};
    const struct aws_call call = make_call(60000);
    for (int i = 0; i < MANY; i++)
        aws_start(aws, &call, on_tally, &tally);
    assert_int_equal(tally.good, 0);
    aws_run(aws);
    if (tally.good != MANY) fail_msg("%zu failed; the last call could not %s", tally.failed, tally.last.where);
    aws_close(aws);
    stand_close(stand);
    free(stand);
}

/* -- Credentials ----------------------------------------------------------------------------------------- */

static void test_without_credentials(void **state) {
    (void)state;
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/", 1);
    struct aws *aws = open_aws();
    struct tally tally = {0};
    const struct aws_call call = make_call(5000);
    for (int i = 0; i < 3; i++)
        aws_start(aws, &call, on_tally, &tally);
    assert_int_equal(tally.failed, 0);
    aws_run(aws);
    assert_int_equal(tally.failed, 3);
    assert_int_equal(tally.last.kind, ERR_ABSENT);
    assert_non_null(strstr(aws_trouble(aws), "no AWS credentials"));
    struct http_request request = {.method = STR("POST"), .target = STR("/")};
    request_split_target(&request);
    char memory[65536], text[512];
    struct arena arena = arena_make(memory, sizeof memory);
    struct writer message = writer_make(text, sizeof text);
    assert_int_equal(aws_sign(aws, STR("lambda"), STR_NONE, &request, &arena, &message).kind, ERR_ABSENT);
    assert_non_null(strstr(writer_cstr(&message), "no AWS credentials"));
    assert_int_equal(request.header_count, 0);
    aws_close(aws);
}

static void test_signing(void **state) {
    (void)state;
    struct aws *aws = open_aws();
    struct http_request request = {.method = STR("POST"), .target = STR("/")};
    request.headers[request.header_count++] = (struct http_header){STR("Host"), STR("a.lambda-url.eu-west-1.on.aws")};
    request_split_target(&request);
    char memory[65536], text[512];
    struct arena arena = arena_make(memory, sizeof memory);
    struct writer message = writer_make(text, sizeof text);
    assert_false(err_is(aws_sign(aws, STR("lambda"), STR("eu-west-1"), &request, &arena, &message)));
    struct str authorization;
    assert_int_equal(request_header(&request, STR("authorization"), &authorization), 1);
    struct sigv4_authorization read;
    assert_true(sigv4_authorization_read(authorization, &read));
    assert_true(str_eq(read.region, STR("eu-west-1")));
    assert_true(str_eq(read.service, STR("lambda")));
    assert_true(str_eq(read.access_key_id, STR("AKIDEXAMPLE")));
    arena = arena_make(memory, 64);
    assert_int_equal(aws_sign(aws, STR("lambda"), STR_NONE, &request, &arena, &message).kind, ERR_INPUT);
    aws_close(aws);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_region, set_up),
        cmocka_unit_test_setup(test_request_as_sent, set_up),
        cmocka_unit_test_setup(test_s3, set_up),
        cmocka_unit_test_setup(test_scopes, set_up),
        cmocka_unit_test_setup(test_s3_answers, set_up),
        cmocka_unit_test_setup(test_bad_endpoints, set_up),
        cmocka_unit_test_setup(test_tries, set_up),
        cmocka_unit_test_setup(test_a_kept_connection_that_dies, set_up),
        cmocka_unit_test_setup(test_many_at_once, set_up),
        cmocka_unit_test_setup(test_without_credentials, set_up),
        cmocka_unit_test_setup(test_signing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
