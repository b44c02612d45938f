/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests can be carried. How they look on the wire, and what becomes of answers, client_test sees. */
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_can_be_sent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
