/* SPDX-License-Identifier: Apache-2.0 */
/* Events into requests: the files of tests/data/lambda-events, the bounds, every cut and every changed byte of a good
 * event, a full arena; and replies into responses, looked at with jansson. */
#include "app/lambda_event.h"

#include "base/os.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static char memory[8 << 20];
static struct arena arena;
static struct lambda_event event;
static struct str reason;

static struct str file_read(const char *name) {
    char path[512];
    struct str content;
    (void)snprintf(path, sizeof path, TEST_DATA "/lambda-events/%s.json", name);
    struct err result = os_file_read(path, 1 << 20, &content);
    if (err_is(result)) fail_msg("%s: %s", path, result.where);
    return content;
}

static enum verdict read_with(struct str text, size_t arena_size) {
    memset(memory, 0xee, arena_size);
    memset(&event, 0xee, sizeof event);
    arena = arena_make(memory, arena_size);
    reason = STR_NONE;
    enum verdict verdict = lambda_event_read(text, &arena, &event, &reason);
    if (verdict == VERDICT_ACCEPT) verdict = lambda_event_body(&event, BODY_SIZE_MAX, &arena, &reason);
    assert_non_null(reason.ptr);
    assert_int_equal(reason.len == 0, verdict == VERDICT_ACCEPT);
    return verdict;
}

static enum verdict read_text(const char *text) { return read_with(str_from(text), sizeof memory); }

#define assert_word(verdict, expected) assert_string_equal(verdict_row(verdict)->word, verdict_row(expected)->word)

static void test_files(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *name;
        enum verdict verdict;
        enum door door;
        bool has_iam;
        const char *method, *target, *body;
        uint32_t header_count;
    } cases[] = {
#define PAID "{\"transactionId\":\"url-1\",\"amount\":100}\n"
        {"url-post", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/", PAID, 10},
        {"url-base64", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/",
         "{\"transactionId\": \"caf\xc3\xa9\", \"amount\": 1.0}", 10},
        {"url-no-body", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/", "", 10},
        {"url-no-iam", VERDICT_ACCEPT, DOOR_URL, false, "POST", "/", PAID, 10},
        {"url-iam-null", VERDICT_ACCEPT, DOOR_URL, false, "POST", "/", PAID, 10},
        {"url-get", VERDICT_ACCEPT, DOOR_URL, true, "GET", "/", "", 10},
        {"url-unknown-path", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/favicon.ico", PAID, 10},
        {"url-query-and-cookies", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/?a=1&b=%20", PAID, 12},
        {"url-hook", VERDICT_ACCEPT, DOOR_URL, false, "POST", "/hooks/github", "{\"action\":\"opened\",\"number\":7}",
         13},
        {"url-escaped-body", VERDICT_ACCEPT, DOOR_URL, true, "POST", "/", "{\"transactionId\":\"url-e\",\"n\":\"/\"}",
         10},
        {"url-not-base64", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"url-half-a-character", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"url-header-no-text", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"url-header-two-lines", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"url-wrong-types", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"url-body-object", VERDICT_BAD_REQUEST, DOOR_URL, true, NULL, NULL, NULL, 0},
        {"invoke-string", VERDICT_ACCEPT, DOOR_INVOKE, false, "", "", "{\"transactionId\": \"invoke-1\"}", 0},
        {"invoke-object", VERDICT_ACCEPT, DOOR_INVOKE, false, "", "",
         "{ \"transactionId\" : \"invoke-2\", \"amount\": 1.50 }", 0},
        {"invoke-bare", VERDICT_ACCEPT, DOOR_INVOKE, false, "", "",
         "{\"transactionId\":\"invoke-3\",  \"headers\": {\"a\": 1}, \"amount\": 10e2}", 0},
        {"invoke-number-body", VERDICT_INVALID_JSON, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"invoke-null-body", VERDICT_INVALID_JSON, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"invoke-no-object", VERDICT_INVALID_JSON, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"invoke-not-json", VERDICT_INVALID_JSON, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"rest-api", VERDICT_FORBIDDEN, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"load-balancer", VERDICT_FORBIDDEN, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"http-method-alone", VERDICT_FORBIDDEN, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
        {"context-null", VERDICT_FORBIDDEN, DOOR_INVOKE, false, NULL, NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = file_read(cases[i].name);
        print_message("%s\n", cases[i].name);
        assert_word(read_with(text, sizeof memory), cases[i].verdict);
        assert_int_equal(event.door, cases[i].door);
        assert_int_equal(event.has_iam, cases[i].has_iam);
        if (cases[i].verdict == VERDICT_ACCEPT) {
            assert_true(str_eq(event.request.method, str_from(cases[i].method)));
            assert_true(str_eq(event.request.target, str_from(cases[i].target)));
            assert_true(str_eq(event.request.body, str_from(cases[i].body)));
            assert_int_equal(event.request.header_count, cases[i].header_count);
        }
        free((char *)(uintptr_t)text.ptr);
    }
}

static void test_query_and_cookies(void **state) {
    (void)state; /* there is none */
    struct str text = file_read("url-query-and-cookies"), value;
    assert_word(read_with(text, sizeof memory), VERDICT_ACCEPT);
    assert_true(str_eq(event.request.path, STR("/")));
    assert_true(str_eq(event.request.query, STR("a=1&b=%20")));
    assert_int_equal(request_header(&event.request, STR("cookie"), &value), 1);
    assert_true(str_eq(value, STR("session=1; theme=dark; still=one")));
    assert_int_equal(request_header(&event.request, STR("X-Two"), &value), 1); /* joined by Lambda */
    assert_true(str_eq(value, STR("one,two")));
    free((char *)(uintptr_t)text.ptr);
}

#define OPEN      "{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"/\""
#define URL(rest) OPEN rest "}"

static void test_small(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *text;
        enum verdict verdict;
    } cases[] = {
        {URL(""), VERDICT_ACCEPT},
        {URL(",\"body\":null"), VERDICT_ACCEPT},
        {URL(",\"body\":\"\""), VERDICT_ACCEPT},
        {URL(",\"body\":\"\",\"isBase64Encoded\":true"), VERDICT_ACCEPT},
        {URL(",\"cookies\":[]"), VERDICT_ACCEPT},
        {URL(",\"headers\":{}"), VERDICT_ACCEPT},
        {URL(",\"headers\":{\"A\":\" \\tb\\t \"}"), VERDICT_ACCEPT},
        {URL(",\"httpMethod\":\"POST\""), VERDICT_ACCEPT},
        /* Not JSON, or twice what we read. */
        {"", VERDICT_INVALID_JSON},
        {" ", VERDICT_INVALID_JSON},
        {"\xef\xbb\xbf{}", VERDICT_INVALID_JSON},
        {URL("") "x", VERDICT_INVALID_JSON},
        {URL(",\"body\":\"a\",\"body\":\"b\""), VERDICT_INVALID_JSON},
        {URL(",\"requestContext\":{}"), VERDICT_INVALID_JSON},
        {URL(",\"body\":\"\xff\""), VERDICT_INVALID_JSON},
        /* Wrong types. */
        {URL(",\"headers\":[]"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":null"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\":null}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\":[\"b\"]}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"\":\"b\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a b\":\"b\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a:\":\"b\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\\u0000\":\"b\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\":\"\\u0000\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\":\"b\\nc\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"headers\":{\"a\":\"\\ud800\"}"), VERDICT_BAD_REQUEST},
        {URL(",\"cookies\":{}"), VERDICT_BAD_REQUEST},
        {URL(",\"cookies\":[1]"), VERDICT_BAD_REQUEST},
        {URL(",\"cookies\":[\"a\\rb\"]"), VERDICT_BAD_REQUEST},
        {URL(",\"rawQueryString\":5"), VERDICT_BAD_REQUEST},
        {URL(",\"rawQueryString\":\"a\\nb\""), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":1"), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":null"), VERDICT_BAD_REQUEST},
        {URL(",\"body\":5"), VERDICT_BAD_REQUEST},
        {URL(",\"body\":[]"), VERDICT_BAD_REQUEST},
        {URL(",\"body\":true,\"isBase64Encoded\":true"), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":true,\"body\":\"e30\""), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":true,\"body\":\"e3 0=\""), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":true,\"body\":\"e30=e30=\""), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":true,\"body\":\"e31=\""), VERDICT_BAD_REQUEST},
        {URL(",\"isBase64Encoded\":true,\"body\":\"{}==\""), VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{}},\"rawPath\":\"/\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":5}},\"rawPath\":\"/\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"\"}},\"rawPath\":\"/\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"PO ST\"}},\"rawPath\":\"/\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}}}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"x\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"/?x\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"/\\u007f\"}", VERDICT_BAD_REQUEST},
        {"{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":[\"/\"]}", VERDICT_BAD_REQUEST},
        /* No door of ours. */
        {"{\"requestContext\":{\"http\":null}}", VERDICT_FORBIDDEN},
        {"{\"requestContext\":{\"http\":\"POST\"}}", VERDICT_FORBIDDEN},
        {"{\"requestContext\":[{\"http\":{}}]}", VERDICT_FORBIDDEN},
        {"{\"requestContext\":5,\"body\":\"{}\"}", VERDICT_FORBIDDEN},
        {"{\"httpMethod\":null}", VERDICT_FORBIDDEN},
        /* Direct invokes. */
        {"{}", VERDICT_ACCEPT},
        {"{\"body\":\"\"}", VERDICT_ACCEPT},
        {"{\"body\":{}}", VERDICT_ACCEPT},
        {"{\"body\":\"e30=\",\"isBase64Encoded\":true}", VERDICT_ACCEPT}, /* nobody has encoded it: it is no JSON */
        {"null", VERDICT_INVALID_JSON},
        {"\"{}\"", VERDICT_INVALID_JSON},
        {"5", VERDICT_INVALID_JSON},
        {"[]", VERDICT_INVALID_JSON},
        {"{\"body\":[]}", VERDICT_INVALID_JSON},
        {"{\"body\":false}", VERDICT_INVALID_JSON},
        {"{\"body\":\"\\udc00\"}", VERDICT_INVALID_JSON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].text);
        assert_word(read_text(cases[i].text), cases[i].verdict);
    }
}

/* A text of size bytes between two others. */
static struct str around(const char *before, size_t size, char filling, const char *after) {
    static char text[7 << 20];
    struct writer w = writer_make(text, sizeof text);
    writer_put(&w, str_from(before));
    assert_true(w.len + size < sizeof text);
    memset(text + w.len, filling, size);
    w.len += size;
    writer_put(&w, str_from(after));
    assert_false(w.overflow);
    return writer_str(&w);
}

static void test_bounds(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *before, *after;
        size_t size_max;
        char filling;
        enum verdict beyond;
    } cases[] = {
        {OPEN ",\"body\":\"", "\"}", BODY_SIZE_MAX, 'x', VERDICT_TOO_LARGE},
        {OPEN ",\"isBase64Encoded\":true,\"body\":\"", "\"}", (BODY_SIZE_MAX / 3) * 4, 'A', VERDICT_BAD_REQUEST},
        {OPEN ",\"isBase64Encoded\":true,\"body\":\"", "AAAA\"}", (BODY_SIZE_MAX / 3) * 4 - 4, 'A',
         VERDICT_BAD_REQUEST},
        {"{\"body\":\"", "\"}", BODY_SIZE_MAX, 'x', VERDICT_TOO_LARGE},
        {"{\"body\":{", "}}", BODY_SIZE_MAX - 2, ' ', VERDICT_TOO_LARGE},
        {"{", "}", BODY_SIZE_MAX - 2, ' ', VERDICT_TOO_LARGE},
        {OPEN ",\"rawQueryString\":\"", "\"}", HTTP_TARGET_SIZE_MAX - 2, 'x', VERDICT_TARGET_TOO_LONG},
        {OPEN ",\"headers\":{\"a\":\"", "\"}}", HTTP_HEAD_SIZE_MAX - 5, 'x', VERDICT_HEAD_TOO_LARGE},
        {OPEN ",\"cookies\":[\"", "\"]}", HTTP_HEAD_SIZE_MAX - 10, 'x', VERDICT_HEAD_TOO_LARGE},
        {"{\"rawPath\":\"/\",\"requestContext\":{\"http\":{\"method\":\"", "\"}}}", HTTP_METHOD_SIZE_MAX, 'X',
         VERDICT_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t over = 0; over <= 1; over++) {
            struct str text = around(cases[i].before, cases[i].size_max + over, cases[i].filling, cases[i].after);
            print_message("case %zu\n", i);
            assert_word(read_with(text, sizeof memory), over == 0 ? VERDICT_ACCEPT : cases[i].beyond);
        }
    }
    /* Far beyond the limit. */
    assert_word(read_with(around("{\"body\":\"", 6 << 20, 'x', "\"}"), sizeof memory), VERDICT_TOO_LARGE);
    assert_word(read_with(around("{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"/\","
                                 "\"isBase64Encoded\":true,\"body\":\"",
                                 6 << 20, 'A', "\"}"),
                          sizeof memory),
                VERDICT_TOO_LARGE);
    /* Headers by their number. */
    for (int count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
        char text[8192];
        struct writer w = writer_make(text, sizeof text);
        writer_put(&w, STR("{\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"rawPath\":\"/\",\"headers\":{"));
        for (int i = 0; i < count; i++)
            writer_format(&w, "%s\"h%d\":\"v\"", i > 0 ? "," : "", i);
        writer_put(&w, STR("}}"));
        assert_false(w.overflow);
        assert_word(read_with(writer_str(&w), sizeof memory),
                    count > HTTP_HEADERS_MAX ? VERDICT_HEAD_TOO_LARGE : VERDICT_ACCEPT);
    }
}

/* Whatever is cut off or changed, something comes out, and slices of it can be read. */
static void look_at(void) {
    size_t sum = event.request.method.len + event.request.target.len + event.request.body.len;
    for (uint32_t i = 0; i < event.request.header_count; i++)
        sum += event.request.headers[i].name.len + event.request.headers[i].value.len;
    assert_true(sum <= 65536);
}

static void test_damaged(void **state) {
    (void)state; /* there is none */
    static const char *const names[] = {"url-query-and-cookies", "url-base64", "invoke-object", "rest-api"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct str text = file_read(names[n]);
        char *bytes = (char *)(uintptr_t)text.ptr;
        enum verdict whole = read_with(text, 65536);
        for (size_t cut = 0; cut + 1 < text.len; cut++) {
            enum verdict verdict = read_with(str_make(bytes, cut), 65536);
            if (cut < text.len - 2) assert_word(verdict, VERDICT_INVALID_JSON);
        }
        for (size_t at = 0; at < text.len; at++) {
            static const char others[] = {'\0', '"', '\\', '{', '}', '[', '0', (char)0xff};
            char kept = bytes[at];
            for (size_t i = 0; i < sizeof others; i++) {
                bytes[at] = others[i];
                if (read_with(text, 65536) == VERDICT_ACCEPT) look_at();
            }
            bytes[at] = kept;
        }
        assert_word(read_with(text, 65536), whole);
        free(bytes);
    }
}

static void test_full_arena(void **state) {
    (void)state; /* there is none */
    static const char *const names[] = {"url-query-and-cookies", "url-base64", "url-escaped-body"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct str text = file_read(names[n]);
        bool fitted = false;
        for (size_t size = 0; size < 4096; size++) {
            enum verdict verdict = read_with(text, size);
            fitted = fitted || verdict == VERDICT_ACCEPT;
            assert_word(verdict, fitted ? VERDICT_ACCEPT : VERDICT_INTERNAL);
        }
        assert_true(fitted);
        free((char *)(uintptr_t)text.ptr);
    }
}

static json_t *written(const struct reply *reply) {
    char text[65536];
    struct writer w = writer_make(text, sizeof text);
    lambda_response_write(&w, reply);
    assert_false(w.overflow);
    json_t *tree = json_loadb(text, w.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(tree);
    assert_int_equal(json_object_size(tree), 4);
    assert_true(json_is_false(json_object_get(tree, "isBase64Encoded")));
    assert_int_equal(json_integer_value(json_object_get(tree, "statusCode")), reply->status);
    const char *body = json_string_value(json_object_get(tree, "body"));
    assert_non_null(body);
    assert_true(str_eq(str_from(body), reply->body));
    return tree;
}

static void test_response(void **state) {
    (void)state; /* there is none */
    for (int verdict = VERDICT_MISSING_TRANSACTION; verdict < VERDICT_COUNT; verdict++) {
        const struct reply reply = reply_refusal((enum verdict)verdict, 0);
        json_t *tree = written(&reply), *headers = json_object_get(tree, "headers");
        size_t lines = 0;
        for (size_t i = 0; i < reply.extra.len; i++)
            lines += reply.extra.ptr[i] == '\n';
        assert_int_equal(json_object_size(headers), 1 + lines);
        assert_string_equal(json_string_value(json_object_get(headers, "content-type")), "application/json");
        if (reply.status == 503) assert_string_equal(json_string_value(json_object_get(headers, "retry-after")), "1");
        json_decref(tree);
    }
    static const char *const ids[] = {"plain", "\"quotes\\", "caf\xc3\xa9 \xf0\x9f\x92\xb6", "\x7f", "</script>"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct reply reply;
        arena = arena_make(memory, sizeof memory);
        assert_true(reply_success(&arena, true, str_from(ids[i]), 1, STR_NONE, &reply));
        json_t *tree = written(&reply), *headers = json_object_get(tree, "headers");
        assert_string_equal(json_string_value(json_object_get(headers, "payhook-duplicate")), "true");
        json_decref(tree);
    }
    const struct reply accepted = {
        .status = 200, .content_type = STR("text/plain"), .extra = STR(""), .body = STR("[accepted]")};
    json_decref(written(&accepted));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),    cmocka_unit_test(test_query_and_cookies), cmocka_unit_test(test_small),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_damaged),           cmocka_unit_test(test_full_arena),
        cmocka_unit_test(test_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
