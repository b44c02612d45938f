/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs are cut raw; names and values are decoded on request, and what cannot be is told. */
#include "codec/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define S(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }
#define NONE                                                                                                           \
    { NULL, 0 }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_str(struct str got, struct str wanted) {
    assert_int_equal(got.ptr == NULL, wanted.ptr == NULL);
    assert_int_equal(got.len, wanted.len);
    if (wanted.len > 0) assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
}

static void pairs(void **state) {
    (void)state;
    static const struct {
        struct str form;
        size_t count;
        struct form_pair pairs[4];
    } cases[] = {
        {S(""), 0, {{NONE, NONE}}},
        {NONE, 0, {{NONE, NONE}}},
        {S("&"), 0, {{NONE, NONE}}},
        {S("&&&"), 0, {{NONE, NONE}}},
        {S("a"), 1, {{S("a"), NONE}}},
        {S("a="), 1, {{S("a"), S("")}}},
        {S("="), 1, {{S(""), S("")}}},
        {S("=b"), 1, {{S(""), S("b")}}},
        {S("a=b"), 1, {{S("a"), S("b")}}},
        {S("a=b=c"), 1, {{S("a"), S("b=c")}}},
        {S("a=b&"), 1, {{S("a"), S("b")}}},
        {S("&a=b"), 1, {{S("a"), S("b")}}},
        {S("a=b&&c"), 2, {{S("a"), S("b")}, {S("c"), NONE}}},
        {S("a=1&a=2&b=%26+&c;d=?"), 4, {{S("a"), S("1")}, {S("a"), S("2")}, {S("b"), S("%26+")}, {S("c;d"), S("?")}}},
        {S("a\0=\0&\xff"), 2, {{S("a\0"), S("\0")}, {S("\xff"), NONE}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t position = 0, count = 0;
        struct form_pair pair;
        while (form_next(cases[i].form, &position, &pair)) {
            assert_true(count < cases[i].count);
            assert_str(pair.name, cases[i].pairs[count].name);
            assert_str(pair.value, cases[i].pairs[count].value);
            count++;
        }
        assert_int_equal(count, cases[i].count);
        assert_false(form_next(cases[i].form, &position, &pair));
    }
}

static void find(void **state) {
    (void)state;
    static const struct {
        struct str form, name;
        uint32_t count;
        struct str value;
        bool bad;
    } cases[] = {
        {S("data.id=1&type=x"), S("data.id"), 1, S("1"), false},
        {S("data%2Eid=1"), S("data.id"), 1, S("1"), false},
        {S("data%2eid=%31+%2b"), S("data.id"), 1, S("1 +"), false},
        {S("a+b=1"), S("a b"), 1, S("1"), false},
        {S("a=1&a=2&%61=3"), S("a"), 3, S("1"), false},
        {S("a"), S("a"), 1, S(""), false},
        {S("a="), S("a"), 1, S(""), false},
        {S("=x"), S(""), 1, S("x"), false},
        {S(""), S("a"), 0, NONE, false},
        {NONE, S("a"), 0, NONE, false},
        {S("A=1"), S("a"), 0, NONE, false},
        {S("aa=1&=2"), S("a"), 0, NONE, false},
        {S("a=1"), S("aa"), 0, NONE, false},
        {S("a%00=1"), S("a"), 0, NONE, false},
        {S("a%=1&%zz=2&%6=3&a%6"), S("a"), 0, NONE, false},
        {S("b=%&a=1"), S("a"), 1, S("1"), false},
        {S("a=%"), S("a"), 1, NONE, true},
        {S("a=%4"), S("a"), 1, NONE, true},
        {S("a=x%zz"), S("a"), 1, NONE, true},
        {S("a=1&a=%"), S("a"), 2, S("1"), true},
        {S("a=%&a=1"), S("a"), 2, NONE, true},
        {S("a=0123456789abcdef"), S("a"), 1, S("0123456789abcdef"), false},
        {S("a=0123456789abcdefg"), S("a"), 1, NONE, true}, /* the arena is full */
        {S("a=%30123456789abcdef"), S("a"), 1, S("0123456789abcdef"), false},
        {S("a=0123456789&a=0123456789"), S("a"), 2, S("0123456789"), true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char memory[16];
        struct arena arena = arena_make(memory, sizeof(memory));
        struct str value = STR_NONE;
        bool bad = false;
        assert_int_equal(form_find(cases[i].form, cases[i].name, &arena, &value, &bad), cases[i].count);
        assert_str(value, cases[i].value);
        assert_int_equal(bad, cases[i].bad);
        assert_int_equal(arena.used, cases[i].value.len);
    }
    /* What is already bad stays so. */
    char memory[16];
    struct arena arena = arena_make(memory, sizeof(memory));
    struct str value;
    bool bad = true;
    assert_int_equal(form_find(STR("a=1"), STR("a"), &arena, &value, &bad), 1);
    assert_true(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs), cmocka_unit_test(find)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
