/* SPDX-License-Identifier: Apache-2.0 */
/* What the three commands do in each status of a stack, and that every refusal and every failure says what to type. */
#include "stack/state.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>

enum {
    N = STACK_STEP_NOTHING,
    C = STACK_STEP_CREATE,
    A = STACK_STEP_ASIDE,
    U = STACK_STEP_UPDATE,
    X = STACK_STEP_CLEAR
};
enum { W = STACK_STEP_WAIT, O = STACK_STEP_WATCH, D = STACK_STEP_DELETE, R = STACK_STEP_REFUSE };

/* Every status there is (AWS CloudFormation API Reference, Stack), and some that there are not. */
static const struct {
    const char *status;
    int up, preview, destroy;
    bool good, goes_on;
    const char *types; /* what a refusal, and a failure, tell to type */
} rows[] = {
    {"", C, C, N, false, false, "payhook stack up"},
    {"CREATE_IN_PROGRESS", W, W, W, false, true, NULL},
    {"CREATE_FAILED", R, R, D, false, false, "aws cloudformation rollback-stack"},
    {"CREATE_COMPLETE", U, U, D, true, false, "payhook stack up"},
    {"ROLLBACK_IN_PROGRESS", W, W, W, false, true, NULL},
    {"ROLLBACK_FAILED", R, R, D, false, false, "payhook stack destroy"},
    {"ROLLBACK_COMPLETE", X, A, D, false, false, "payhook stack destroy"},
    {"DELETE_IN_PROGRESS", W, W, O, false, true, NULL},
    {"DELETE_FAILED", R, R, D, false, false, "payhook stack destroy"},
    {"DELETE_COMPLETE", C, C, N, false, false, "payhook stack up"},
    {"UPDATE_IN_PROGRESS", W, W, W, false, true, NULL},
    {"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", W, W, W, false, true, NULL},
    {"UPDATE_COMPLETE", U, U, D, true, false, "payhook stack up"},
    {"UPDATE_FAILED", R, R, D, false, false, "aws cloudformation rollback-stack"},
    {"UPDATE_ROLLBACK_IN_PROGRESS", W, W, W, false, true, NULL},
    {"UPDATE_ROLLBACK_FAILED", R, R, D, false, false, "aws cloudformation continue-update-rollback"},
    {"UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", W, W, W, false, true, NULL},
    {"UPDATE_ROLLBACK_COMPLETE", U, U, D, false, false, "payhook stack up"},
    {"REVIEW_IN_PROGRESS", C, C, D, false, false, "payhook stack up"},
    {"IMPORT_IN_PROGRESS", W, W, W, false, true, NULL},
    {"IMPORT_COMPLETE", U, U, D, true, false, "payhook stack up"},
    {"IMPORT_ROLLBACK_IN_PROGRESS", W, W, W, false, true, NULL},
    {"IMPORT_ROLLBACK_FAILED", R, R, D, false, false, "aws cloudformation describe-stack-events"},
    {"IMPORT_ROLLBACK_COMPLETE", U, U, D, false, false, "payhook stack up"},
    /* To come. */
    {"POLISH_IN_PROGRESS", W, W, W, false, true, NULL},
    {"POLISH_COMPLETE", U, U, D, false, false, "aws cloudformation describe-stack-events"},
    {"POLISH_FAILED", R, R, D, false, false, "aws cloudformation describe-stack-events"},
    {"create_complete", R, R, D, false, false, "aws cloudformation describe-stack-events"},
    {"CREATE_COMPLETE ", R, R, D, false, false, "aws cloudformation describe-stack-events"},
};

static void assert_sentence(const char *sentence, struct str status, const char *types) {
    char text[2048];
    struct writer w = writer_make(text, sizeof text);
    stack_state_write(&w, sentence, STR("TapStack-dev"), STR("eu-west-1"), status);
    const char *written = writer_cstr(&w);
    assert_false(w.overflow);
    if (strstr(written, types) == NULL) fail_msg("\"%s\" is not in \"%s\"", types, written);
    if (strpbrk(written, "{}") != NULL) fail_msg("words are left in \"%s\"", written);
    assert_non_null(strstr(written, "eu-west-1"));
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str status = str_from(rows[i].status);
        const struct stack_state *row = stack_state_of(status);
        bool right = (int)row->up == rows[i].up && (int)row->preview == rows[i].preview &&
                     (int)row->destroy == rows[i].destroy && row->good == rows[i].good;
        if (!right) fail_msg("%s: %d %d %d %d", rows[i].status, row->up, row->preview, row->destroy, row->good);
        assert_int_equal(stack_state_goes_on(status), rows[i].goes_on);
        bool refuses = row->up == STACK_STEP_REFUSE || row->preview == STACK_STEP_REFUSE;
        assert_int_equal(refuses, row->refusal != NULL);
        assert_int_equal(rows[i].goes_on, row->left == NULL);
        if (row->refusal != NULL) assert_sentence(row->refusal, status, rows[i].types);
        if (row->left != NULL) assert_sentence(row->left, status, rows[i].types);
    }
}

static void test_sentences(void **state) {
    (void)state;
    static const struct {
        const char *sentence, *stack, *expected;
    } cases[] = {
        {"", "TapStack-dev", ""},
        {"{stack} in {region}: {status}", "TapStack-dev", "TapStack-dev in us-east-1: X\\x1bY"},
        {"type {up}!", "TapStack-a-b", "type payhook stack up --suffix a-b --region us-east-1!"},
        {"{destroy}", "TapStack-dev", "payhook stack destroy --suffix dev --region us-east-1"},
        {"{destroy}", "payhook-artifacts",
         "aws cloudformation delete-stack --stack-name payhook-artifacts --region us-east-1"},
        {"{up}", "payhook-artifacts", "the same command"},
        {"{up}", "Other", "payhook stack up --region us-east-1"},
        {"{unknown}.", "TapStack-dev", "."},
        {"open {stack", "TapStack-dev", "open stack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        struct writer w = writer_make(text, sizeof text);
        stack_state_write(&w, cases[i].sentence, str_from(cases[i].stack), STR("us-east-1"), STR("X\x1bY"));
        assert_string_equal(writer_cstr(&w), cases[i].expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_sentences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
