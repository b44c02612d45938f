/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of codec/request: looking up header fields, and splitting the target. */
#include "codec/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *name, *value;
} headers[] = {
    {"Host", "a"},  {"X-Sig", "one"}, {"x-sig", "two"},   {"X-Sig-More", "no"},
    {"X-Si", "no"}, {"Empty", ""},    {"X-SIG", "three"},
};
enum { HEADERS_COUNT = sizeof(headers) / sizeof(headers[0]) };

static void test_header(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t count;
        const char *first;
    } cases[] = {
        {"host", 1, "a"},    {"HOST", 1, "a"},    {"x-sig", 3, "one"},  {"X-Sig", 3, "one"}, {"x-sig-more", 1, "no"},
        {"empty", 1, ""},    {"x-s", 0, NULL},    {"x-sigx", 0, NULL},  {"", 0, NULL},       {"x_sig", 0, NULL},
        {"x-sig ", 0, NULL}, {"hos\x54", 1, "a"}, {"hos\x14", 0, NULL}, {"ost", 0, NULL},
    };
    struct http_request request = {.header_count = HEADERS_COUNT};
    for (size_t i = 0; i < HEADERS_COUNT; i++) {
        request.headers[i] = (struct http_header){str_from(headers[i].name), str_from(headers[i].value)};
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str value = STR("untouched");
        uint32_t count = request_header(&request, str_from(cases[i].name), &value);
        const char *expected = cases[i].first != NULL ? cases[i].first : "untouched";
        if (count != cases[i].count || !str_eq(value, str_from(expected))) fail_msg("header \"%s\"", cases[i].name);
    }
    request.header_count = 0;
    struct str value = STR_NONE;
    assert_int_equal(request_header(&request, STR("host"), &value), 0);
    assert_null(value.ptr);
}

static void test_split_target(void **state) {
    (void)state;
    static const struct {
        const char *target, *path, *query; /* query NULL: there is none */
    } cases[] = {
        {"/", "/", NULL},
        {"/hooks/x", "/hooks/x", NULL},
        {"/hooks/x?", "/hooks/x", ""},
        {"/hooks/x?y=z", "/hooks/x", "y=z"},
        {"/?a?b", "/", "a?b"},
        {"/??", "/", "?"},
        {"/%3fa=b", "/%3fa=b", NULL},
        {"/a;b&c=d", "/a;b&c=d", NULL},
        {"*", "*", NULL},
        {"?x", "", "x"},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_request request = {.target = str_from(cases[i].target), .query = STR("stale")};
        request_split_target(&request);
        if (!str_eq(request.path, str_from(cases[i].path))) fail_msg("path of %s", cases[i].target);
        if ((request.query.ptr == NULL) != (cases[i].query == NULL))
            fail_msg("query of %s: there or not", cases[i].target);
        if (!str_eq(request.query, str_from(cases[i].query))) fail_msg("query of %s", cases[i].target);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_header), cmocka_unit_test(test_split_target)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
