/* SPDX-License-Identifier: Apache-2.0 */
/* Whole commands against a CloudFormation that follows a script: which calls are made in each state, how it ends, and
 * what is said. The person's clock is the test's own. */
#include "stack/apply.h"

#include "base/limits.h"
#include "stack_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>

enum { STEPS_MAX = 24 };
enum command { PREVIEW, UP, IMPORT, DESTROY, SETTLE };

#define ID "arn:aws:cloudformation:us-east-1:123456789012:changeSet/payhook-1/f1"
#define IN_PROGRESS(of)                                                                                                \
    { "DescribeStacks", 200, CF_STACK(of "_IN_PROGRESS"), false }
#define LOOK(status)                                                                                                   \
    { "DescribeStacks", 200, CF_STACK(status), false }
#define SEE(status)                                                                                                    \
    { "DescribeStacks aaf549a0", 200, CF_STACK(status), false } /* by its id */
#define LOOK_NONE                                                                                                      \
    { "DescribeStacks", 400, CF_NO_STACK, false }
#define EVENTS(members)                                                                                                \
    { "DescribeStackEvents", 200, CF_EVENTS(members, ""), false }
#define MAKE(words)                                                                                                    \
    { "CreateChangeSet ChangeSetName=payhook- " words, 200, CF_ANSWER("CreateChangeSet", "<Id>" ID "</Id>"), false }
#define SET(status, reason, more)                                                                                      \
    {                                                                                                                  \
        "DescribeChangeSet payhook-1%2Ff1", 200,                                                                       \
            CF_ANSWER("DescribeChangeSet", "<StackId>" CF_STACK_ID "</StackId><Status>" status "</Status>"             \
                                           "<StatusReason>" reason "</StatusReason>" more),                            \
            false                                                                                                      \
    }
#define ADD_TABLE                                                                                                      \
    "<Changes><member><ResourceChange><Action>Add</Action><LogicalResourceId>Table</LogicalResourceId>"                \
    "<ResourceType>AWS::DynamoDB::Table</ResourceType></ResourceChange></member></Changes>"
#define READY SET("CREATE_COMPLETE", "", ADD_TABLE)
#define FORGET                                                                                                         \
    { "DeleteChangeSet payhook-1%2Ff1", 200, CF_ANSWER("DeleteChangeSet", ""), false }
#define EXECUTE                                                                                                        \
    { "ExecuteChangeSet ClientRequestToken=payhook-", 200, CF_ANSWER("ExecuteChangeSet", ""), false }
#define REMOVE                                                                                                         \
    { "DeleteStack ClientRequestToken=payhook- aaf549a0", 200, "<DeleteStackResponse/>", false }
#define BEFORE                      CF_STACK_EVENT("e0", "00:00.000", "CREATE_COMPLETE", "")
#define BEGUN(status)               CF_STACK_EVENT("e1", "10:00.000", status, CF_REASON("User Initiated"))
#define TABLE(n, s, status, reason) CF_EVENT(n, "10:0" s ".000", "t", "Table", "AWS::DynamoDB::Table", status, reason)
#define ENDED(status)               CF_STACK_EVENT("e9", "10:09.000", status, "")
#define CUT(words)                                                                                                     \
    { words, 200, "<Describe", false }
#define CUTS(words) CUT(words), CUT(words), CUT(words)
#define NO_CHANGES  "The submitted information didn&apos;t contain changes. Submit different information ..."
#define GOES_ON     "CloudFormation goes on with TapStack-dev by itself; payhook stack up --suffix dev --region us-east-1"

// clang-format off
static const struct story {
    const char *name;
    enum command command;
    struct script_step steps[STEPS_MAX];
    enum stack_end end;
    const char *message; /* is in it, with a "^" at its beginning; "": it is empty */
    const char *phase;   /* was told at some time; NULL: whatever */
    const char *stop;    /* the person stops when a phase holds this; "now": before all */
} stories[] = {
    /* -- What is there decides. */
    {"a first up", UP,
     {LOOK_NONE, MAKE("ChangeSetType=CREATE StackName=TapStack-dev&"), SET("CREATE_PENDING", "", ""),
      SET("CREATE_IN_PROGRESS", "", ""), SET("CREATE_COMPLETE", "", ADD_TABLE "<NextToken>p2</NextToken>"),
      {"DescribeChangeSet NextToken=p2", 200, CF_ANSWER("DescribeChangeSet", "<Changes/>"), false},
      EVENTS(CF_STACK_EVENT("e0", "00:00.000", "REVIEW_IN_PROGRESS", "")), EXECUTE,
      SEE("REVIEW_IN_PROGRESS"), EVENTS(CF_STACK_EVENT("e0", "00:00.000", "REVIEW_IN_PROGRESS", "")),
      IN_PROGRESS("CREATE"), EVENTS(TABLE("e2", "1", "CREATE_IN_PROGRESS", "") BEGUN("CREATE_IN_PROGRESS")),
      SEE("CREATE_COMPLETE"), EVENTS(TABLE("e2", "1", "CREATE_IN_PROGRESS", "")), /* its end is not told yet */
      SEE("CREATE_COMPLETE"), EVENTS(ENDED("CREATE_COMPLETE") TABLE("e3", "2", "CREATE_COMPLETE", ""))},
     STACK_DONE, "", "creating TapStack-dev", NULL},
    {"an update", UP,
     {LOOK("UPDATE_ROLLBACK_COMPLETE"), MAKE("ChangeSetType=UPDATE"), READY, EVENTS(BEFORE), EXECUTE,
      LOOK("UPDATE_ROLLBACK_COMPLETE"), EVENTS(BEFORE), /* as before: it has not begun yet */
      IN_PROGRESS("UPDATE_COMPLETE_CLEANUP"), EVENTS(BEGUN("UPDATE_IN_PROGRESS") BEFORE),
      LOOK("UPDATE_COMPLETE"), EVENTS(ENDED("UPDATE_COMPLETE"))},
     STACK_DONE, "", "updating TapStack-dev", NULL},
    {"an import", IMPORT,
     {LOOK_NONE, MAKE("ChangeSetType=IMPORT ResourcesToImport.member.1.LogicalResourceId=Table"), READY, EVENTS(""),
      EXECUTE, LOOK("IMPORT_COMPLETE"), EVENTS(ENDED("IMPORT_COMPLETE") BEGUN("IMPORT_IN_PROGRESS"))},
     STACK_DONE, "", NULL, NULL},
    {"nothing to do", UP,
     {LOOK("CREATE_COMPLETE"), MAKE("ChangeSetType=UPDATE"), SET("FAILED", NO_CHANGES, ""), FORGET},
     STACK_NOTHING, "", NULL, NULL},
    {"nothing to do, in other words", PREVIEW,
     {LOOK("IMPORT_COMPLETE"), MAKE("ChangeSetType=UPDATE"), SET("FAILED", "No updates are to be performed.", ""), FORGET},
     STACK_NOTHING, "", NULL, NULL},
    {"nothing to do, told at once", UP,
     {LOOK("CREATE_COMPLETE"),
      {"CreateChangeSet", 400, CF_ERROR("ValidationError", "No updates are to be performed."), false}},
     STACK_NOTHING, "", NULL, NULL},
    {"a first preview leaves nothing", PREVIEW,
     {LOOK_NONE, MAKE("ChangeSetType=CREATE"), READY, LOOK("REVIEW_IN_PROGRESS"), REMOVE, IN_PROGRESS("DELETE"),
      LOOK("DELETE_COMPLETE")},
     STACK_DONE, "", "taking the plan back", NULL},
    {"a preview of an update", PREVIEW,
     {LOOK("UPDATE_COMPLETE"), MAKE("ChangeSetType=UPDATE"), READY, FORGET}, STACK_DONE, "", NULL, NULL},
    {"an empty stack that was there stays", PREVIEW,
     {LOOK("REVIEW_IN_PROGRESS"), MAKE("ChangeSetType=CREATE"), READY, FORGET}, STACK_DONE, "", NULL, NULL},
    {"a first preview in which somebody else has executed", PREVIEW,
     {LOOK_NONE, MAKE("ChangeSetType=CREATE"), READY, IN_PROGRESS("CREATE")}, STACK_DONE, "", NULL, NULL},
    {"a preview over a failed attempt", PREVIEW,
     {LOOK("ROLLBACK_COMPLETE"), MAKE("ChangeSetType=CREATE StackName=TapStack-dev-preview&"), READY,
      LOOK("REVIEW_IN_PROGRESS"), REMOVE, LOOK_NONE},
     STACK_DONE, "", NULL, NULL},
    {"an up over a failed attempt", UP,
     {LOOK("ROLLBACK_COMPLETE"), EVENTS(BEFORE), REMOVE, IN_PROGRESS("DELETE"), EVENTS(BEFORE), LOOK("DELETE_COMPLETE"),
      EVENTS(ENDED("DELETE_COMPLETE")), LOOK_NONE, MAKE("ChangeSetType=CREATE StackName=TapStack-dev&"), READY,
      EVENTS(""), EXECUTE, LOOK("CREATE_COMPLETE"), EVENTS(ENDED("CREATE_COMPLETE"))},
     STACK_DONE, "", "removing the empty stack that an earlier attempt left", NULL},
    {"stopped while it is removed", UP,
     {LOOK("ROLLBACK_COMPLETE"), EVENTS(BEFORE), REMOVE, IN_PROGRESS("DELETE"), EVENTS(BEFORE)}, STACK_STOPPED,
     "stopped watching: CloudFormation goes on removing the empty TapStack-dev by itself; payhook stack up", NULL,
     "removing the empty stack"},
    {"the failed attempt cannot be removed", UP,
     {LOOK("ROLLBACK_COMPLETE"), EVENTS(BEFORE), REMOVE, LOOK("DELETE_FAILED"),
      EVENTS(ENDED("DELETE_FAILED") TABLE("e2", "1", "DELETE_FAILED", CF_REASON("in use"))), LOOK("DELETE_FAILED"),
      EVENTS(ENDED("DELETE_FAILED") TABLE("e2", "1", "DELETE_FAILED", CF_REASON("in use")))},
     STACK_REFUSED, "could not be deleted (DELETE_FAILED)", NULL, NULL},
    {"somebody else's operation is waited for", UP,
     {IN_PROGRESS("UPDATE"), IN_PROGRESS("UPDATE"), IN_PROGRESS("UPDATE_COMPLETE_CLEANUP"), LOOK("UPDATE_COMPLETE"),
      LOOK("UPDATE_COMPLETE"), MAKE("ChangeSetType=UPDATE"), SET("FAILED", NO_CHANGES, ""), FORGET},
     STACK_NOTHING, "", "waiting for UPDATE_IN_PROGRESS of TapStack-dev by someone else", NULL},
    {"a deletion is waited for", PREVIEW,
     {IN_PROGRESS("DELETE"), LOOK_NONE, LOOK_NONE, MAKE("ChangeSetType=CREATE"), SET("FAILED", "no", ""),
      LOOK("REVIEW_IN_PROGRESS"), REMOVE, LOOK_NONE},
     STACK_REFUSED, "CloudFormation cannot do this: no", "waiting for DELETE_IN_PROGRESS", NULL},
    {"waiting through an outage", SETTLE,
     {IN_PROGRESS("UPDATE"), CUTS("DescribeStacks"), IN_PROGRESS("UPDATE"), LOOK("UPDATE_COMPLETE"),
      LOOK("UPDATE_COMPLETE")},
     STACK_DONE, "", "trying again", NULL},

    /* -- What refuses, and what it says to type. */
    {"UPDATE_ROLLBACK_FAILED", UP,
     {LOOK("UPDATE_ROLLBACK_FAILED"), EVENTS(TABLE("e2", "1", "UPDATE_FAILED", CF_REASON("gone")))}, STACK_REFUSED,
     "aws cloudformation continue-update-rollback --stack-name TapStack-dev --region us-east-1", NULL, NULL},
    {"its cause", PREVIEW,
     {LOOK("UPDATE_ROLLBACK_FAILED"), EVENTS(TABLE("e2", "1", "UPDATE_FAILED", CF_REASON("it is &quot;gone&quot;")))},
     STACK_REFUSED, "; the cause was Table (AWS::DynamoDB::Table): it is \"gone\"", NULL, NULL},
    {"the cause is not told", UP,
     {LOOK("CREATE_FAILED"), {"DescribeStackEvents", 403, CF_ERROR("AccessDenied", "no"), false}}, STACK_REFUSED,
     "aws cloudformation rollback-stack --stack-name TapStack-dev --region us-east-1 takes it back", NULL, NULL},
    {"ROLLBACK_FAILED", UP, {LOOK("ROLLBACK_FAILED"), EVENTS("")}, STACK_REFUSED,
     "payhook stack destroy --suffix dev --region us-east-1", NULL, NULL},
    {"DELETE_FAILED", PREVIEW, {LOOK("DELETE_FAILED"), EVENTS("")}, STACK_REFUSED, "FORCE_DELETE_STACK", NULL, NULL},
    {"IMPORT_ROLLBACK_FAILED", UP, {LOOK("IMPORT_ROLLBACK_FAILED"), EVENTS("")}, STACK_REFUSED, "describe-stack-events",
     NULL, NULL},
    {"a status to come", UP, {LOOK("POLISH_FAILED"), EVENTS("")}, STACK_REFUSED, "which this program does not know", NULL,
     NULL},
    {"not allowed to look", UP, {{"DescribeStacks", 403, CF_ERROR("AccessDenied", "no"), false}}, STACK_UNREACHABLE,
     "may not call cloudformation:DescribeStacks", NULL, NULL},
    {"a template that is refused", UP,
     {LOOK_NONE, {"CreateChangeSet", 400, CF_ERROR("ValidationError", "Template error: x"), false}}, STACK_REFUSED,
     "CloudFormation refuses CreateChangeSet: Template error: x", NULL, NULL},
    {"a change set that fails", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), SET("FAILED", "Parameter [X] &lt;no&gt;", ""), FORGET}, STACK_REFUSED,
     "CloudFormation cannot do this: Parameter [X] <no>", NULL, NULL},
    {"one that fails without a word", UP, {LOOK("CREATE_COMPLETE"), MAKE(""), SET("FAILED", "", ""), FORGET}, STACK_REFUSED,
     "CloudFormation cannot do this: FAILED", NULL, NULL},
    {"a change set that is gone", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""),
      {"DescribeChangeSet", 404, CF_ERROR("ChangeSetNotFound", "ChangeSet [x] does not exist"), false}, FORGET},
     STACK_UNREACHABLE, "does not exist", NULL, NULL},
    {"it cannot be taken back", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), SET("FAILED", "no", ""),
      {"DeleteChangeSet", 403, CF_ERROR("AccessDenied", "x"), false}},
     STACK_REFUSED, "cannot do this: no; the plan could not be taken back: these AWS credentials may not call", NULL, NULL},
    {"an answer that stays lost may have made the stack", UP,
     {LOOK_NONE, CUTS("CreateChangeSet"), LOOK("REVIEW_IN_PROGRESS"), REMOVE}, STACK_UNREACHABLE, "breaks off", NULL, NULL},
    {"or may not", UP, {LOOK_NONE, CUTS("CreateChangeSet"), LOOK_NONE}, STACK_UNREACHABLE, "breaks off", NULL, NULL},
    {"somebody was quicker", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE),
      {"ExecuteChangeSet", 400, CF_ERROR("InvalidChangeSetStatus", "[OBSOLETE]"), false}, FORGET},
     STACK_REFUSED, "^TapStack-dev was changed since this plan was made: type payhook stack up --suffix dev", NULL, NULL},
    {"somebody deleted the plan", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE),
      {"ExecuteChangeSet", 404, CF_ERROR("ChangeSetNotFound", "x"), false}, FORGET},
     STACK_REFUSED, "^TapStack-dev was changed since this plan was made", NULL, NULL},
    {"not allowed to execute", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), {"Execute", 403, CF_ERROR("AccessDenied", "x"), false}, FORGET},
     STACK_UNREACHABLE, "may not call cloudformation:ExecuteChangeSet", NULL, NULL},

    /* -- How it goes. */
    {"a create that fails", UP,
     {LOOK_NONE, MAKE(""), READY, EVENTS(""), EXECUTE, IN_PROGRESS("ROLLBACK"),
      EVENTS(CF_STACK_EVENT("e4", "10:04.000", "ROLLBACK_IN_PROGRESS", CF_REASON("The following resource(s) failed"))
             TABLE("e3", "3", "CREATE_FAILED", CF_REASON("already exists")) BEGUN("CREATE_IN_PROGRESS")),
      LOOK("ROLLBACK_COMPLETE"), EVENTS(ENDED("ROLLBACK_COMPLETE"))},
     STACK_FAILED, "TapStack-dev ended in ROLLBACK_COMPLETE: what had been made is removed again; cure the cause and type "
     "payhook stack up --suffix dev --region us-east-1 again", NULL, NULL},
    {"an update that fails", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, LOOK("UPDATE_ROLLBACK_COMPLETE"),
      EVENTS(ENDED("UPDATE_ROLLBACK_COMPLETE") TABLE("e3", "3", "UPDATE_FAILED", CF_REASON("no")))},
     STACK_FAILED, "everything is as it was before this update", NULL, NULL},
    {"a rollback that fails", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, LOOK("UPDATE_ROLLBACK_FAILED"),
      EVENTS(ENDED("UPDATE_ROLLBACK_FAILED"))},
     STACK_FAILED, "continue-update-rollback", NULL, NULL},
    {"deleted meanwhile", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, LOOK_NONE,
      {"DescribeStackEvents", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false}},
     STACK_FAILED, "somebody deleted TapStack-dev meanwhile", NULL, NULL},
    {"an outage while it goes on", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, CUTS("DescribeStacks"), CUTS("DescribeStacks"),
      IN_PROGRESS("UPDATE"), CUTS("DescribeStackEvents"), LOOK("UPDATE_COMPLETE"), EVENTS(ENDED("UPDATE_COMPLETE"))},
     STACK_DONE, "", "breaks off, or is no XML that it writes: try again; CloudFormation goes on meanwhile, trying again",
     NULL},
    {"an outage that does not end", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, {"DescribeStacks", 200, "<", true}},
     STACK_UNREACHABLE, GOES_ON, NULL, NULL},
    {"credentials that expire meanwhile", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE,
      {"DescribeStacks", 403, CF_ERROR("ExpiredToken", "x"), true}},
     STACK_UNREACHABLE, "have expired: sign in again (aws sso login, or as you got them) and type the same command again; "
     GOES_ON, NULL, NULL},

    /* -- The person stops. */
    {"while somebody else's operation is waited for", UP, {IN_PROGRESS("UPDATE")}, STACK_STOPPED,
     "stopped: nothing was changed by this command", NULL, "waiting for"},
    {"while the change set is made", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), SET("CREATE_IN_PROGRESS", "", ""),
      {"DeleteChangeSet", 400, CF_ERROR("InvalidChangeSetStatus", "x"), false}, FORGET},
     STACK_STOPPED, "stopped: nothing was changed", NULL, "compares"},
    {"while the first change set is made", UP,
     {LOOK_NONE, MAKE(""), SET("CREATE_IN_PROGRESS", "", ""), LOOK("REVIEW_IN_PROGRESS"), REMOVE},
     STACK_STOPPED, "stopped: nothing was changed", NULL, "compares"},
    {"while it is watched", UP,
     {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, IN_PROGRESS("UPDATE"),
      EVENTS(BEGUN("UPDATE_IN_PROGRESS"))},
     STACK_STOPPED, "stopped watching: " GOES_ON, NULL, "updating"},
    {"while a deletion is watched", DESTROY,
     {LOOK("CREATE_COMPLETE"), EVENTS(BEFORE), REMOVE, IN_PROGRESS("DELETE"), EVENTS(BEFORE)}, STACK_STOPPED,
     "stopped watching: CloudFormation goes on deleting TapStack-dev by itself; payhook stack destroy --suffix dev", NULL,
     "deleting"},
    {"before a deletion", DESTROY, {LOOK("CREATE_COMPLETE"), EVENTS(BEFORE)}, STACK_STOPPED,
     "stopped: nothing was deleted", NULL, "now"},

    /* -- Destroying. */
    {"nothing to destroy", DESTROY, {LOOK_NONE}, STACK_NOTHING, "", NULL, NULL},
    {"a destroy", DESTROY,
     {LOOK("UPDATE_ROLLBACK_FAILED"), EVENTS(BEFORE), REMOVE, IN_PROGRESS("DELETE"), EVENTS(BEGUN("DELETE_IN_PROGRESS")),
      SEE("DELETE_COMPLETE"), EVENTS(ENDED("DELETE_COMPLETE"))},
     STACK_DONE, "", "deleting TapStack-dev", NULL},
    {"a destroy of what was never made", DESTROY,
     {LOOK("REVIEW_IN_PROGRESS"), EVENTS(BEFORE), REMOVE, LOOK_NONE,
      {"DescribeStackEvents", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false}},
     STACK_DONE, "", NULL, NULL},
    {"a deletion that goes on already", DESTROY,
     {IN_PROGRESS("DELETE"), IN_PROGRESS("DELETE"), EVENTS(BEGUN("DELETE_IN_PROGRESS")), LOOK("DELETE_COMPLETE"),
      EVENTS(ENDED("DELETE_COMPLETE"))},
     STACK_DONE, "", NULL, NULL},
    {"an update is waited for before a destroy", DESTROY,
     {IN_PROGRESS("UPDATE"), LOOK("UPDATE_COMPLETE"), LOOK("UPDATE_COMPLETE"), EVENTS(BEFORE), REMOVE,
      LOOK("DELETE_COMPLETE"), EVENTS("")},
     STACK_DONE, "", "waiting for UPDATE_IN_PROGRESS", NULL},
    {"a destroy that fails", DESTROY,
     {LOOK("CREATE_COMPLETE"), EVENTS(BEFORE), REMOVE, LOOK("DELETE_FAILED"),
      EVENTS(ENDED("DELETE_FAILED") TABLE("e3", "3", "DELETE_FAILED", CF_REASON("in use")))},
     STACK_FAILED, "TapStack-dev ended in DELETE_FAILED: cure the cause and type payhook stack destroy --suffix dev --region "
     "us-east-1 again", NULL, NULL},
    {"a protected stack", DESTROY,
     {LOOK("CREATE_COMPLETE"), EVENTS(BEFORE),
      {"DeleteStack", 400, CF_ERROR("ValidationError", "Stack [x] cannot be deleted while TerminationProtection is enabled"),
       false}},
     STACK_REFUSED, "takes the protection off", NULL, NULL},
};
// clang-format on

/* -- The person ------------------------------------------------------------------------------------------ */

struct person {
    int64_t now_us;
    bool wants_stop, saw, hurries; /* hurries: a hundred times as much time goes by */
    const char *phase, *stop;
    size_t moves;
};
static void moved(void *context, const struct progress *progress, const char *phase) {
    struct person *person = context;
    person->moves++;
    if (progress != NULL) assert_true(progress->row_count <= STACK_CHANGES_MAX);
    if (person->phase != NULL && strstr(phase, person->phase) != NULL) person->saw = true;
    if (person->stop != NULL && strstr(phase, person->stop) != NULL) person->wants_stop = true;
}
static bool stopped(void *context) { return ((struct person *)context)->wants_stop; }
static int64_t now_us(void *context) { return ((struct person *)context)->now_us; }
static void pause_ms(void *context, uint32_t ms) {
    struct person *person = context;
    person->now_us += (int64_t)ms * (person->hurries ? 100000 : 1000);
}

static struct progress progress;

static enum stack_end carry_out(enum command command, struct deployment *deployment) {
    static const struct stack_import import = {
        {"AWS::DynamoDB::Table", 20}, {"Table", 5}, {"TableName", 9}, {"envmig-transactions-dev", 23}};
    struct change_set_request wanted = {.template = STR("Resources: {}\n")};
    struct stack_description stack;
    struct plan plan = {0};
    if (command == DESTROY) return deployment_destroy(deployment, &progress);
    if (command == SETTLE) return deployment_settle(deployment, &stack);
    if (command == IMPORT) wanted.imports = &import, wanted.import_count = 1;
    enum stack_end end = deployment_plan(deployment, &wanted, command != PREVIEW, &plan);
    if (end == STACK_NOTHING) assert_int_equal(plan.kind, PLAN_NOTHING);
    if (end == STACK_DONE || end == STACK_NOTHING) assert_true(str_eq(plan.stack, STR("TapStack-dev")));
    if (end != STACK_DONE) return end;
    assert_int_equal(plan.change_count, 1);
    assert_true(str_eq(plan.region, STR("us-east-1")));
    assert_true(str_eq(plan.account, STR("123456789012")));
    return command == PREVIEW ? deployment_discard(deployment, &plan) : deployment_apply(deployment, &plan, &progress);
}

static enum stack_end tell(const struct story *story, const struct script_step *steps, struct person *person,
                           char *text, size_t size) {
    static char memory[STACK_ARENA_SIZE];
    struct script_stand stand;
    struct arena arena = arena_make(memory, sizeof memory);
    struct writer message = writer_make(text, size);
    const struct stack_watcher watcher = {person, moved, stopped, now_us, pause_ms};
    script_open(&stand, steps);
    struct aws *aws = script_aws();
    struct deployment deployment = {.aws = aws,
                                    .arena = &arena,
                                    .watcher = &watcher,
                                    .message = &message,
                                    .stack = STR("TapStack-dev"),
                                    .account = STR("123456789012"),
                                    .poll_ms_min = 500,
                                    .poll_ms_max = 2000};
    enum stack_end end = carry_out(story->command, &deployment);
    aws_close(aws);
    const char *trouble = script_close(&stand);
    (void)writer_cstr(&message);
    if (trouble != NULL) fail_msg("%s: %s (end %d, \"%s\")", story->name, trouble, (int)end, text);
    assert_false(message.overflow);
    return end;
}

static void test_stories(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        const struct story *story = &stories[i];
        char text[4096];
        struct person person = {.now_us = INT64_C(1795608600000000), .phase = story->phase, .stop = story->stop};
        person.wants_stop = story->stop != NULL && strcmp(story->stop, "now") == 0;
        enum stack_end end = tell(story, story->steps, &person, text, sizeof text);
        if (end != story->end) fail_msg("%s: ends in %d: %s", story->name, (int)end, text);
        const char *message = story->message, *at = strstr(text, message[0] == '^' ? message + 1 : message);
        bool fits = message[0] == '\0' ? text[0] == '\0' : message[0] == '^' ? at == text : at != NULL;
        if (!fits) fail_msg("%s: says \"%s\"", story->name, text);
        if (story->phase != NULL && !person.saw) fail_msg("%s: was not told %s", story->name, story->phase);
    }
}

/* A stack whose own event does not come is believed after a while, and not at once. */
static void test_without_events(void **state) {
    (void)state;
    static const struct {
        struct story story;
        const char *message;
    } cases[] = {
        {{.name = "its end is not told",
          .command = UP,
          .steps = {LOOK("CREATE_COMPLETE"),
                    MAKE(""),
                    READY,
                    EVENTS(BEFORE),
                    EXECUTE,
                    {"DescribeStacks", 200, CF_STACK("UPDATE_COMPLETE"), true},
                    {"DescribeStackEvents", 200, CF_EVENTS(BEGUN("UPDATE_IN_PROGRESS") BEFORE, ""), true}},
          .end = STACK_DONE},
         ""},
        {{.name = "it never begins",
          .command = UP,
          .steps = {LOOK_NONE,
                    MAKE(""),
                    READY,
                    EVENTS(""),
                    EXECUTE,
                    {"DescribeStacks", 200, CF_STACK("REVIEW_IN_PROGRESS"), true},
                    {"DescribeStackEvents", 200, CF_EVENTS("", ""), true}},
          .end = STACK_FAILED},
         "ended in REVIEW_IN_PROGRESS: CloudFormation did not begin"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[4096];
        struct person person = {.now_us = INT64_C(1795608600000000)};
        enum stack_end end = tell(&cases[i].story, cases[i].story.steps, &person, text, sizeof text);
        if (end != cases[i].story.end) fail_msg("%s: ends in %d: %s", cases[i].story.name, (int)end, text);
        assert_non_null(strstr(text, cases[i].message));
        int64_t took_ms = (person.now_us - INT64_C(1795608600000000)) / 1000;
        assert_in_range(took_ms, STACK_SETTLE_MS, STACK_SETTLE_MS + 3000);
    }
}

/* What the progress holds in the end: of this operation alone, what was expected first. */
static void test_progress(void **state) {
    (void)state;
    static const struct story story = {
        .name = "an update that fails",
        .command = UP,
        .steps = {LOOK("CREATE_COMPLETE"), MAKE(""), READY,
                  EVENTS(CF_EVENT("e0", "00:00.000", "o", "Old", "AWS::X::Y", "CREATE_FAILED", CF_REASON("long ago"))),
                  EXECUTE, LOOK("UPDATE_ROLLBACK_COMPLETE"),
                  EVENTS(ENDED("UPDATE_ROLLBACK_COMPLETE") CF_EVENT("e3", "10:03.000", "r", "Role", "AWS::IAM::Role",
                                                                    "UPDATE_FAILED", CF_REASON("no"))
                             CF_EVENT("e0", "00:00.000", "o", "Old", "AWS::X::Y", "CREATE_FAILED",
                                      CF_REASON("long ago")))},
    };
    char text[4096];
    struct person person = {.now_us = INT64_C(1795608700000000)}; /* 91 s ahead of CloudFormation's clock */
    assert_int_equal(tell(&story, story.steps, &person, text, sizeof text), STACK_FAILED);
    assert_int_equal(progress.row_count, 2);
    assert_string_equal(progress.rows[0].logical_id, "Table");
    assert_int_equal(progress.rows[0].state, PROGRESS_WAITING);
    assert_string_equal(progress.rows[1].logical_id, "Role");
    assert_int_equal(progress.cause, 1);
    assert_string_equal(progress.cause_reason, "no");
    assert_string_equal(progress.stack.status, "UPDATE_ROLLBACK_COMPLETE");
    assert_int_equal(progress_now(&progress, person.now_us), progress.stack.ended_us);
}

/* Outages are counted one by one: three minutes each, and never five together. */
static void test_outages(void **state) {
    (void)state;
    static const struct story story = {
        .name = "three outages",
        .command = UP,
        .steps = {LOOK("CREATE_COMPLETE"), MAKE(""), READY, EVENTS(BEFORE), EXECUTE, CUTS("DescribeStacks"),
                  IN_PROGRESS("UPDATE"), EVENTS(BEGUN("UPDATE_IN_PROGRESS")), CUTS("DescribeStacks"),
                  IN_PROGRESS("UPDATE"), EVENTS(BEGUN("UPDATE_IN_PROGRESS")), CUTS("DescribeStacks"),
                  LOOK("UPDATE_COMPLETE"), EVENTS(ENDED("UPDATE_COMPLETE"))},
    };
    char text[4096];
    struct person person = {.now_us = INT64_C(1795608700000000), .hurries = true};
    assert_int_equal(tell(&story, story.steps, &person, text, sizeof text), STACK_DONE);
    assert_true(person.now_us - INT64_C(1795608700000000) > (int64_t)STACK_PATIENCE_MS * 1000);
}

/* A deletion that was begun elsewhere: what was before it is not its own. */
static void test_a_deletion_of_others(void **state) {
    (void)state;
#define DELETING                                                                                                       \
    {                                                                                                                  \
        "DescribeStacks", 200,                                                                                         \
            CF_STACK_WITH("DELETE_IN_PROGRESS", "<DeletionTime>2026-11-25T12:10:00.000Z</DeletionTime>"), false        \
    }
    static const struct story story = {
        .name = "a deletion of others",
        .command = DESTROY,
        .steps = {DELETING, DELETING,
                  EVENTS(BEGUN("DELETE_IN_PROGRESS")
                             CF_EVENT("e0", "09:59.000", "o", "Old", "AWS::X::Y", "CREATE_FAILED", CF_REASON("x"))),
                  LOOK_NONE, EVENTS("")},
    };
    char text[4096];
    struct person person = {.now_us = INT64_C(1795608700000000)};
    assert_int_equal(tell(&story, story.steps, &person, text, sizeof text), STACK_DONE);
    assert_int_equal(progress.row_count, 0);
    assert_int_equal(progress.cause, PROGRESS_NO_CAUSE);
    assert_string_equal(progress.stack.status, "DELETE_IN_PROGRESS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories), cmocka_unit_test(test_without_events),       cmocka_unit_test(test_progress),
        cmocka_unit_test(test_outages), cmocka_unit_test(test_a_deletion_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
