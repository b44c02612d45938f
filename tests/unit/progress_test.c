/* SPDX-License-Identifier: Apache-2.0 */
/* Events of deployments as CloudFormation tells them, folded: where each resource stands, and what the cause was. */
#include "stack/progress.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants those before it */
#include <cmocka.h>

static struct progress progress;

struct told {
    const char *id, *status, *reason; /* id "": the stack itself */
};

/* Each a second after the one before, from 1000 s on. */
static void tell(const struct told *events) {
    progress_start(&progress, 1000 * INT64_C(1000000));
    for (size_t i = 0; events[i].id != NULL; i++) {
        char event_id[32];
        (void)snprintf(event_id, sizeof event_id, "event-%zu", i);
        bool is_stack = events[i].id[0] == '\0';
        const struct stack_event event = {
            .event_id = str_from(event_id),
            .logical_id = is_stack ? STR("TapStack-dev") : str_from(events[i].id),
            .type = is_stack ? STR("AWS::CloudFormation::Stack") : STR("AWS::X::Y"),
            .status = str_from(events[i].status),
            .reason = str_from(events[i].reason),
            .at_us = (int64_t)(1000 + i) * 1000000,
            .is_stack = is_stack,
        };
        assert_true(progress_add(&progress, &event));
        assert_false(progress_add(&progress, &event)); /* once is enough */
    }
}

enum { EVENTS_MAX = 16 };
static const struct {
    const char *name;
    struct told events[EVENTS_MAX];
    const char *stack, *cause, *reason; /* cause NULL: none, "": the stack itself */
} stories[] = {
    {"created",
     {{"", "CREATE_IN_PROGRESS", "User Initiated"},
      {"Table", "CREATE_IN_PROGRESS", ""},
      {"Table", "CREATE_IN_PROGRESS", "Resource creation Initiated"},
      {"Table", "CREATE_COMPLETE", ""},
      {"", "CREATE_COMPLETE", ""}},
     "CREATE_COMPLETE",
     NULL,
     ""},
    {"a create that fails",
     {{"", "CREATE_IN_PROGRESS", "User Initiated"},
      {"Table", "CREATE_IN_PROGRESS", ""},
      {"Role", "CREATE_IN_PROGRESS", ""},
      {"Role", "CREATE_FAILED", "Resource creation cancelled"},
      {"Table", "CREATE_FAILED", "envmig-transactions-dev already exists"},
      {"Secret", "CREATE_FAILED", "Resource creation cancelled"},
      {"", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Role, Table, Secret]. Rollback ..."},
      {"Table", "DELETE_IN_PROGRESS", ""},
      {"Table", "DELETE_COMPLETE", ""},
      {"", "ROLLBACK_COMPLETE", ""}},
     "ROLLBACK_COMPLETE",
     "Table",
     "envmig-transactions-dev already exists"},
    {"two that fail: the first counts",
     {{"A", "UPDATE_FAILED", "first"}, {"B", "UPDATE_FAILED", "second"}, {"", "UPDATE_ROLLBACK_IN_PROGRESS", "both"}},
     "UPDATE_ROLLBACK_IN_PROGRESS",
     "A",
     "first"},
    {"a failure without a reason", {{"A", "CREATE_FAILED", ""}, {"B", "CREATE_FAILED", "later"}}, "", "A", ""},
    {"cancelled by a person",
     {{"", "UPDATE_IN_PROGRESS", "User Initiated"},
      {"A", "UPDATE_IN_PROGRESS", ""},
      {"", "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"},
      {"A", "UPDATE_FAILED", "Resource update cancelled"},
      {"", "UPDATE_ROLLBACK_COMPLETE", ""}},
     "UPDATE_ROLLBACK_COMPLETE",
     "",
     "User Initiated"},
    {"the rollback fails as well",
     {{"A", "UPDATE_FAILED", "the cause"},
      {"", "UPDATE_ROLLBACK_IN_PROGRESS", "The following ..."},
      {"B", "UPDATE_FAILED", "of the rollback"},
      {"", "UPDATE_ROLLBACK_FAILED", "The following ..."}},
     "UPDATE_ROLLBACK_FAILED",
     "A",
     "the cause"},
    {"a deletion that fails",
     {{"", "DELETE_IN_PROGRESS", "User Initiated"},
      {"Bucket", "DELETE_IN_PROGRESS", ""},
      {"Bucket", "DELETE_FAILED", "The bucket you tried to delete is not empty"},
      {"Role", "DELETE_FAILED", "Resource deletion cancelled"},
      {"", "DELETE_FAILED", "The following resource(s) failed to delete: [Bucket]. "}},
     "DELETE_FAILED",
     "Bucket",
     "The bucket you tried to delete is not empty"},
    {"only the stack says it",
     {{"", "CREATE_FAILED", "User: x is not authorized to perform: iam:CreateRole"}},
     "CREATE_FAILED",
     "",
     "User: x is not authorized to perform: iam:CreateRole"},
    {"the stack says nothing", {{"", "ROLLBACK_IN_PROGRESS", ""}}, "ROLLBACK_IN_PROGRESS", NULL, ""},
    {"others' failures alone",
     {{"A", "CREATE_FAILED", "Resource creation cancelled"}, {"B", "UPDATE_FAILED", "Resource update cancelled"}},
     "",
     NULL,
     ""},
    {"a reason that only begins alike",
     {{"A", "CREATE_FAILED", "Resource handler returned message: \"cancelled\""}},
     "",
     "A",
     "Resource handler returned message: \"cancelled\""},
    {"an import",
     {{"", "IMPORT_IN_PROGRESS", "User Initiated"},
      {"T", "IMPORT_IN_PROGRESS", ""},
      {"T", "IMPORT_COMPLETE", ""},
      {"", "IMPORT_COMPLETE", ""}},
     "IMPORT_COMPLETE",
     NULL,
     ""},
    {"an import that fails",
     {{"T", "IMPORT_FAILED", "drifted"}, {"", "IMPORT_ROLLBACK_IN_PROGRESS", "x"}},
     "IMPORT_ROLLBACK_IN_PROGRESS",
     "T",
     "drifted"},
};

static void test_stories(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        tell(stories[i].events);
        if (strcmp(progress.stack.status, stories[i].stack) != 0)
            fail_msg("%s: the stack is in %s", stories[i].name, progress.stack.status);
        const char *cause = progress.cause == PROGRESS_NO_CAUSE      ? NULL
                            : progress.cause == PROGRESS_CAUSE_STACK ? ""
                                                                     : progress.rows[progress.cause].logical_id;
        bool right = cause == NULL || stories[i].cause == NULL ? cause == stories[i].cause
                                                               : strcmp(cause, stories[i].cause) == 0;
        if (!right) fail_msg("%s: the cause is %s", stories[i].name, cause == NULL ? "none" : cause);
        assert_string_equal(progress.cause_reason, stories[i].reason);
    }
}

static void test_rows(void **state) {
    (void)state;
    static const struct told events[] = {{"B", "CREATE_IN_PROGRESS", ""},
                                         {"C", "CREATE_IN_PROGRESS", ""},
                                         {"B", "CREATE_COMPLETE", ""},
                                         {"C", "CREATE_FAILED", "no"},
                                         {"B", "DELETE_IN_PROGRESS", ""},
                                         {"C", "DELETE_SKIPPED", ""},
                                         {NULL, NULL, NULL}};
    tell(events);
    const struct progress_row *b = &progress.rows[0], *c = &progress.rows[1];
    assert_int_equal(progress.row_count, 2);
    assert_string_equal(b->logical_id, "B");
    assert_string_equal(b->type, "AWS::X::Y");
    assert_string_equal(b->status, "DELETE_IN_PROGRESS");
    assert_int_equal(b->state, PROGRESS_WORKING);
    assert_int_equal(b->started_us, INT64_C(1000000000));
    assert_int_equal(b->ended_us, 0);
    assert_string_equal(c->status, "DELETE_SKIPPED");
    assert_string_equal(c->reason, "no");
    assert_int_equal(c->state, PROGRESS_DONE);
    assert_int_equal(c->ended_us, INT64_C(1005000000));
    assert_int_equal(progress.cause, 1);
    assert_string_equal(progress.cause_status, "CREATE_FAILED");
}

static struct stack_event make_event(struct str id, struct str logical_id, int64_t at_us) {
    return (struct stack_event){.event_id = id,
                                .logical_id = logical_id,
                                .type = STR("AWS::X::Y"),
                                .status = STR("CREATE_IN_PROGRESS"),
                                .reason = STR(""),
                                .at_us = at_us};
}

static void test_expected_rows_come_first(void **state) {
    (void)state;
    progress_start(&progress, 5);
    progress_expect(&progress, STR("One"), STR("AWS::A::B"));
    progress_expect(&progress, STR("Two"), STR("AWS::A::C"));
    progress_expect(&progress, STR("One"), STR("AWS::A::B"));
    assert_int_equal(progress.row_count, 2);
    assert_string_equal(progress.rows[0].status, "");
    assert_int_equal(progress.rows[0].state, PROGRESS_WAITING);
    struct stack_event event = make_event(STR("e1"), STR("Three"), 5);
    assert_true(progress_add(&progress, &event));
    event = make_event(STR("e2"), STR("Two"), 6);
    assert_true(progress_add(&progress, &event));
    assert_int_equal(progress.row_count, 3);
    assert_string_equal(progress.rows[2].logical_id, "Three");
    assert_int_equal(progress.rows[1].state, PROGRESS_WORKING);
    assert_string_equal(progress.rows[1].type, "AWS::A::C");
}

static void test_what_is_not_ours(void **state) {
    (void)state;
    progress_start(&progress, 5);
    struct stack_event event = make_event(STR("e1"), STR("A"), 4);
    assert_false(progress_add(&progress, &event)); /* before */
    event.at_us = 5;
    event.status = STR("");
    assert_false(progress_add(&progress, &event));
    assert_false(progress_has(&progress, STR("e1")));
    assert_int_equal(progress.row_count, 0);
    event.status = STR("CREATE_COMPLETE");
    assert_true(progress_add(&progress, &event));
    assert_true(progress_has(&progress, STR("e1")));
    assert_false(progress_has(&progress, STR("e")));
    assert_false(progress_has(&progress, STR("e11")));
    event.status = STR("DELETE_COMPLETE");
    assert_false(progress_add(&progress, &event)); /* the same id */
    assert_string_equal(progress.rows[0].status, "CREATE_COMPLETE");
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    static char text[4000];
    memset(text, 'x', sizeof text);
    struct str all = str_make(text, sizeof text);
    progress_start(&progress, 0);
    const struct stack_event event = {all, all, all, STR("CREATE_FAILED"), all, 1, false};
    assert_true(progress_add(&progress, &event));
    assert_false(progress_add(&progress, &event));
    assert_int_equal(progress.row_count, 1);
    assert_int_equal(strlen(progress.rows[0].logical_id), STACK_LOGICAL_ID_MAX - 1);
    assert_int_equal(strlen(progress.rows[0].type), STACK_TYPE_MAX - 1);
    assert_int_equal(strlen(progress.rows[0].reason), STACK_REASON_MAX - 1);
    assert_int_equal(strlen(progress.cause_reason), STACK_REASON_MAX - 1);
    const struct stack_event status = {STR("e"), all, all, all, all, 2, false};
    assert_true(progress_add(&progress, &status));
    assert_int_equal(progress.row_count, 1);
    assert_int_equal(strlen(progress.rows[0].status), STACK_STATUS_MAX - 1);
}

static void test_bounds(void **state) {
    (void)state;
    char id[32];
    progress_start(&progress, 0);
    for (size_t i = 0; i < STACK_CHANGES_MAX + 3; i++) {
        (void)snprintf(id, sizeof id, "R%zu", i);
        progress_expect(&progress, str_from(id), STR("AWS::X::Y"));
    }
    assert_int_equal(progress.row_count, STACK_CHANGES_MAX);
    struct stack_event event = make_event(STR("e"), STR("one too many"), 1);
    assert_false(progress_add(&progress, &event));
    event.is_stack = true;
    event.event_id = STR("s");
    assert_true(progress_add(&progress, &event));
    /* Ids of events are kept in a ring: the oldest are forgotten. */
    for (size_t i = 0; i < STACK_EVENTS_MAX; i++) {
        (void)snprintf(id, sizeof id, "e%zu", i);
        event = make_event(str_from(id), STR("R0"), 2);
        assert_true(progress_add(&progress, &event));
    }
    assert_true(progress_has(&progress, STR("e0")));
    assert_true(progress_has(&progress, STR("e1999")));
    assert_false(progress_has(&progress, STR("s")));
}

static void test_clocks(void **state) {
    (void)state;
    progress_start(&progress, 0);
    progress_compare(&progress, 500);
    assert_int_equal(progress_now(&progress, 500), 500); /* nothing is known yet */
    struct stack_event event = make_event(STR("e1"), STR("A"), 1000);
    assert_true(progress_add(&progress, &event));
    progress_compare(&progress, 91000);
    assert_int_equal(progress_now(&progress, 92000), 2000);
    event = make_event(STR("e2"), STR("B"), 5000);
    assert_true(progress_add(&progress, &event));
    progress_compare(&progress, 94900);
    assert_int_equal(progress_now(&progress, 94900), 5000); /* this one came quicker */
    progress_compare(&progress, 99000);
    assert_int_equal(progress_now(&progress, 99000), 9100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_expected_rows_come_first),
        cmocka_unit_test(test_what_is_not_ours),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
