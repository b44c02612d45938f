/* SPDX-License-Identifier: Apache-2.0 */
/* The arena, compared with the plainest reading of its header for every small base, fill, size and alignment. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "abort_help.h"

enum { SPACE = 256 };
static _Alignas(64) char space[SPACE];

static void each_fit_and_misfit(void **state) {
    (void)state; /* there is none */
    enum { SIZE = 40 };
    for (size_t base = 0; base < 17; base++)
        for (size_t used = 0; used <= SIZE; used++)
            for (size_t align = 1; align <= 32; align *= 2)
                for (size_t want = 0; want <= SIZE + 1; want++) {
                    struct arena a = arena_make(space + base, SIZE);
                    memset(space, 0xee, sizeof space);
                    a.used = used;
                    char *at = space + base + used, *end = space + base + SIZE;
                    while ((uintptr_t)at % align != 0)
                        at++;
                    bool fits = at <= end && want <= (size_t)(end - at);
                    char *got = arena_alloc(&a, 1, align, want);
                    assert_ptr_equal(got, fits ? at : NULL);
                    assert_int_equal(a.used, fits ? (size_t)(at - (space + base)) + want : used);
                    for (size_t i = 0; i < sizeof space; i++) {
                        bool inside = fits && space + i >= at && space + i < at + want;
                        assert_int_equal((unsigned char)space[i], inside ? 0 : 0xee);
                    }
                }
}

static void products_that_overflow(void **state) {
    (void)state; /* there is none */
    static const struct {
        size_t size, count;
        bool fits;
    } cases[] = {
        {0, 0, true},
        {0, SIZE_MAX, true},
        {SIZE_MAX, 0, true},
        {8, 8, true},
        {64, 1, true},
        {65, 1, false},
        {1, 65, false},
        {8, 9, false},
        {SIZE_MAX, 1, false},
        {1, SIZE_MAX, false},
        {SIZE_MAX, SIZE_MAX, false},  /* 1, if it wrapped */
        {SIZE_MAX / 2 + 1, 2, false}, /* 0, if it wrapped */
        {SIZE_MAX / 8 + 2, 8, false}, /* 8, if it wrapped */
        {SIZE_MAX / 3 + 1, 3, false},
        {SIZE_MAX - 7, 1, false}, /* with a pad of 8 it would wrap */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = arena_make(space, 64);
        print_message("%zu * %zu\n", cases[i].size, cases[i].count);
        assert_int_equal(arena_alloc(&a, cases[i].size, 1, cases[i].count) != NULL, cases[i].fits);
        assert_int_equal(a.used, cases[i].fits ? cases[i].size * cases[i].count : 0);
        a.used = 1;
        if (!cases[i].fits) assert_null(arena_alloc(&a, cases[i].size, 8, cases[i].count));
        assert_int_equal(a.used, cases[i].fits ? 1 : a.used);
    }
    struct arena empty = arena_make(space, 0);
    assert_non_null(arena_alloc(&empty, 1, 1, 0));
    assert_null(arena_alloc(&empty, 1, 1, 1));
}

static void used_up_and_reset(void **state) {
    (void)state; /* there is none */
    struct arena a = arena_make(space, 64);
    uint64_t *numbers = arena_new(&a, uint64_t, 8);
    assert_non_null(numbers);
    memset(numbers, 0xff, 64);
    assert_null(arena_new(&a, char, 1));
    assert_null(arena_copy(&a, STR("x")).ptr);
    assert_non_null(arena_copy(&a, STR("")).ptr);
    assert_int_equal(a.used, 64);
    assert_int_equal(numbers[7], UINT64_MAX);
    arena_reset(&a);
    assert_ptr_equal(arena_new(&a, uint64_t, 8), numbers);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(numbers[i], 0);
}

static void copies(void **state) {
    (void)state; /* there is none */
    struct arena a = arena_make(space, 8);
    char text[] = "a\0bc";
    struct str copy = arena_copy(&a, str_make(text, 4));
    text[0] = 'z';
    assert_int_equal(copy.len, 4);
    assert_memory_equal(copy.ptr, "a\0bc", 4);
    assert_null(arena_copy(&a, STR("12345")).ptr);
    assert_int_equal(arena_copy(&a, STR("12345")).len, 0);
    assert_int_equal(a.used, 4);
    assert_true(str_eq(arena_copy(&a, STR("1234")), STR("1234")));
    assert_int_equal(a.used, 8);
    assert_memory_equal(copy.ptr, "a\0bc", 4);
}

static void written(void **state) {
    (void)state; /* there is none */
    struct arena a = arena_make(space, 8);
    struct writer w = arena_writer(&a);
    writer_put(&w, STR("abc"));
    assert_int_equal(a.used, 0);
    struct str first = arena_take(&a, &w);
    assert_true(str_eq(first, STR("abc")));
    assert_int_equal(a.used, 3);

    w = arena_writer(&a);
    writer_put(&w, STR("123456"));
    writer_put(&w, STR("1"));
    assert_null(arena_take(&a, &w).ptr);
    assert_int_equal(a.used, 3);

    w = arena_writer(&a);
    assert_non_null(arena_take(&a, &w).ptr); /* nothing written is an empty text */
    w = arena_writer(&a);
    writer_put(&w, STR("12345"));
    assert_true(str_eq(arena_take(&a, &w), STR("12345")));
    assert_int_equal(a.used, 8);
    w = arena_writer(&a);
    assert_non_null(arena_take(&a, &w).ptr);
    assert_true(str_eq(first, STR("abc")));
}

static void align_of_three(void) {
    struct arena a = arena_make(space, 64);
    (void)arena_alloc(&a, 1, 3, 1); /* does not come back */
}
static void align_of_none(void) {
    struct arena a = arena_make(space, 64);
    (void)arena_alloc(&a, 1, 0, 1); /* does not come back */
}
static void allocation_in_between(void) {
    struct arena a = arena_make(space, 64);
    struct writer w = arena_writer(&a);
    (void)arena_new(&a, char, 1);
    (void)arena_take(&a, &w); /* does not come back */
}

static void bugs_of_callers(void **state) {
    (void)state; /* there is none */
    assert_true(aborts(align_of_three));
    assert_true(aborts(align_of_none));
    assert_true(aborts(allocation_in_between));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fit_and_misfit),
        cmocka_unit_test(products_that_overflow),
        cmocka_unit_test(used_up_and_reset),
        cmocka_unit_test(copies),
        cmocka_unit_test(written),
        cmocka_unit_test(bugs_of_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
