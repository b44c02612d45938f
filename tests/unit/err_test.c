/* SPDX-License-Identifier: Apache-2.0 */
/* Failures as values, their words, and the end of a program with a bug. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "abort_help.h"

enum { KINDS = ERR_TIMEOUT + 1 };

static void values(void **state) {
    (void)state; /* there is none */
    assert_false(err_is(err_ok()));
    assert_int_equal(err_ok().sys, 0);
    assert_string_equal(err_ok().where, "");
    for (int kind = ERR_OK + 1; kind < KINDS; kind++) {
        struct err e = err_make((enum err_kind)kind, ENOENT, "open it");
        assert_true(err_is(e));
        assert_int_equal(e.kind, kind);
        assert_int_equal(e.sys, ENOENT);
        assert_string_equal(e.where, "open it");
    }
}

static void words(void **state) {
    (void)state; /* there is none */
    for (int kind = ERR_OK; kind < KINDS; kind++) {
        const char *text = err_kind_text((enum err_kind)kind);
        assert_true(strlen(text) > 0);
        assert_string_not_equal(text, "unknown"); /* a kind without words */
        for (int other = ERR_OK; other < kind; other++)
            assert_string_not_equal(text, err_kind_text((enum err_kind)other));
    }
    assert_string_equal(err_kind_text((enum err_kind)KINDS), "unknown");
    assert_string_equal(err_kind_text(ERR_FULL), "the disk is full");
}

static int steps;

static struct err step(enum err_kind kind) {
    steps++;
    return err_make(kind, steps, "step");
}

static struct err three_steps(enum err_kind first, enum err_kind second, enum err_kind third) {
    TRY(step(first));
    TRY(step(second));
    TRY(step(third));
    return err_ok();
}

static void try_stops_at_the_first(void **state) {
    (void)state; /* there is none */
    static const struct {
        enum err_kind kinds[3], result;
        int steps;
    } cases[] = {
        {{ERR_OK, ERR_OK, ERR_OK}, ERR_OK, 3},         {{ERR_BUSY, ERR_FULL, ERR_OK}, ERR_BUSY, 1},
        {{ERR_OK, ERR_FULL, ERR_BUSY}, ERR_FULL, 2},   {{ERR_OK, ERR_OK, ERR_SYNC}, ERR_SYNC, 3},
        {{ERR_MEMORY, ERR_OK, ERR_OK}, ERR_MEMORY, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        steps = 0;
        struct err result = three_steps(cases[i].kinds[0], cases[i].kinds[1], cases[i].kinds[2]);
        assert_int_equal(result.kind, cases[i].result);
        assert_int_equal(steps, cases[i].steps);
        if (err_is(result)) assert_int_equal(result.sys, cases[i].steps);
    }
}

static void nothing_wrong(void) { check(1 + 1 == 2); }
static void something_wrong(void) { check(1 + 1 == 3); }

static void checks(void **state) {
    (void)state; /* there is none */
    int looked = 0;
    check(++looked == 1); /* once, whatever it takes */
    assert_int_equal(looked, 1);
    char said[512];
    assert_false(aborts_saying(nothing_wrong, said, sizeof said));
    assert_string_equal(said, "");
    assert_true(aborts_saying(something_wrong, said, sizeof said));
    assert_non_null(strstr(said, "check failed: 1 + 1 == 3"));
    assert_non_null(strstr(said, "err_test.c:"));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(words),
        cmocka_unit_test(try_stops_at_the_first),
        cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
