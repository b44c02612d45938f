/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests can be carried, and how their heads look. */
#include "net/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static void test_what_can_be_sent(void **state) {
    (void)state;
    const struct {
        struct str method, target, name, value;
        bool good;
    } cases[] = {
        {STR("GET"), STR("/"), STR("Host"), STR("a"), true},
        {STR("POST"), STR("/a?b=c%20d"), STR("Host"), STR(""), true},
        {STR("PUT"), STR("*"), STR("X"), STR("\t \xff"), true},
        {STR("HEAD"), STR("/"), STR("X"), STR_NONE, true},
        {STR("DELETE"), STR("/"), STR("X"), STR("a"), true},
        {STR("PATCH"), STR("/"), STR("X"), STR("a"), true},
        {STR("get"), STR("/"), STR("X"), STR("a"), false},
        {STR("CONNECT"), STR("/"), STR("X"), STR("a"), false},
        {STR("GET "), STR("/"), STR("X"), STR("a"), false},
        {STR(""), STR("/"), STR("X"), STR("a"), false},
        {STR_NONE, STR("/"), STR("X"), STR("a"), false},
        {STR("GET"), STR(""), STR("X"), STR("a"), false},
        {STR("GET"), STR_NONE, STR("X"), STR("a"), false},
        {STR("GET"), STR("/ HTTP/1.1"), STR("X"), STR("a"), false},
        {STR("GET"), STR("/\r\nX:"), STR("X"), STR("a"), false},
        {STR("GET"), STR("/\0"), STR("X"), STR("a"), false},
        {STR("GET"), STR("/"), STR(""), STR("a"), false},
        {STR("GET"), STR("/"), STR("X\r"), STR("a"), false},
        {STR("GET"), STR("/"), STR("X\0"), STR("a"), false},
        {STR("GET"), STR("/"), STR("X"), STR("a\n"), false},
        {STR("GET"), STR("/"), STR("X"), STR("a\r\n b"), false},
        {STR("GET"), STR("/"), STR("X"), STR("a\0b"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_request request = {.method = cases[i].method, .target = cases[i].target, .header_count = 1};
        request.headers[0] = (struct http_header){cases[i].name, cases[i].value};
        if (message_is_sendable(&request) != cases[i].good) fail_msg("case %zu", i);
    }
}

static void test_heads(void **state) {
    (void)state;
    const struct {
        struct str method, body, name, expected;
    } cases[] = {
        {STR("GET"), STR(""), STR("X"), STR("GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n")},
        {STR("GET"), STR("z"), STR("X"), STR("GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\nContent-Length: 1\r\n\r\n")},
        {STR("POST"), STR(""), STR("X"), STR("POST /a HTTP/1.1\r\nHost: b\r\nX: y\r\nContent-Length: 0\r\n\r\n")},
        {STR("PATCH"), STR("0123456789"), STR("X"),
         STR("PATCH /a HTTP/1.1\r\nHost: b\r\nX: y\r\nContent-Length: 10\r\n\r\n")},
        {STR("PUT"), STR("z"), STR("content-LENGTH"), STR("PUT /a HTTP/1.1\r\nHost: b\r\ncontent-LENGTH: y\r\n\r\n")},
        {STR("HEAD"), STR(""), STR("X"), STR("HEAD /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_request request = {
            .method = cases[i].method, .target = STR("/a"), .body = cases[i].body, .header_count = 2};
        request.headers[0] = (struct http_header){STR("Host"), STR("b")};
        request.headers[1] = (struct http_header){cases[i].name, STR("y")};
        char text[512];
        struct writer w = writer_make(text, message_head_size(&request)); /* that much is enough */
        assert_true(w.size <= sizeof text);
        message_head_write(&w, &request);
        assert_false(w.overflow);
        if (!str_eq(writer_str(&w), cases[i].expected)) fail_msg("case %zu: %.*s", i, STR_ARG(writer_str(&w)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_can_be_sent), cmocka_unit_test(test_heads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
