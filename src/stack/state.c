/* SPDX-License-Identifier: Apache-2.0 */
/* The table of statuses (AWS CloudFormation User Guide, "Stack status codes") and what the three commands do about
 * each. A first create is made to roll back and not to delete itself (OnStackFailure): so its events can be read by the
 * stack's name for as long as somebody wants to know why, and the next up removes the empty stack. */
#include "stack/state.h"

#include "stack/template.h"

#define CREATE  STACK_STEP_CREATE
#define ASIDE   STACK_STEP_ASIDE
#define UPDATE  STACK_STEP_UPDATE
#define CLEAR   STACK_STEP_CLEAR
#define WAIT    STACK_STEP_WAIT
#define WATCH   STACK_STEP_WATCH
#define DELETE  STACK_STEP_DELETE
#define NOTHING STACK_STEP_NOTHING
#define REFUSE  STACK_STEP_REFUSE

#define ROLL_BACK "aws cloudformation rollback-stack --stack-name {stack} --region {region}"
#define CONTINUE  "aws cloudformation continue-update-rollback --stack-name {stack} --region {region}"
#define EVENTS    "aws cloudformation describe-stack-events --stack-name {stack} --region {region}"
#define FORCE                                                                                                          \
    "aws cloudformation delete-stack --deletion-mode FORCE_DELETE_STACK --stack-name {stack} --region {region}"

/* To add a status: a row. up, preview, destroy; good; refusal; left. */
// clang-format off
static const struct stack_state states[] = {
    {"", CREATE, CREATE, NOTHING, false, NULL,
     "somebody deleted {stack} meanwhile: {up} makes it anew"},
    {"DELETE_COMPLETE", CREATE, CREATE, NOTHING, false, NULL,
     "somebody deleted {stack} meanwhile: {up} makes it anew"},
    {"REVIEW_IN_PROGRESS", CREATE, CREATE, DELETE, false, NULL,
     "CloudFormation did not begin: type {up} again"},
    {"CREATE_COMPLETE", UPDATE, UPDATE, DELETE, true, NULL,
     "{stack} is as it was made; type {up} again"},
    {"UPDATE_COMPLETE", UPDATE, UPDATE, DELETE, true, NULL,
     "{stack} is as it was; type {up} again"},
    {"IMPORT_COMPLETE", UPDATE, UPDATE, DELETE, true, NULL,
     "{stack} is as it was imported; type {up} again"},
    {"UPDATE_ROLLBACK_COMPLETE", UPDATE, UPDATE, DELETE, false, NULL,
     "everything is as it was before this update; cure the cause and type {up} again"},
    {"IMPORT_ROLLBACK_COMPLETE", UPDATE, UPDATE, DELETE, false, NULL,
     "the import was undone, and what was there is as it was; cure the cause and type {up} --import again"},
    {"ROLLBACK_COMPLETE", CLEAR, ASIDE, DELETE, false, NULL,
     "what had been made is removed again; cure the cause and type {up} again (it removes the empty stack itself), or "
     "{destroy}"},
    {"CREATE_FAILED", REFUSE, REFUSE, DELETE, false,
     "the first deployment of {stack} failed and was not rolled back ({status}): " ROLL_BACK " takes it back, "
     "{destroy} removes it; then type {up}",
     "what had been made is still there: " ROLL_BACK " takes it back, {destroy} removes it; then type {up}"},
    {"ROLLBACK_FAILED", REFUSE, REFUSE, DELETE, false,
     "the first deployment of {stack} failed, and so did taking it back ({status}): it can only be removed, with "
     "{destroy}; then type {up}",
     "taking it back failed as well, and some of it is still there: remove it with {destroy}, then type {up}"},
    {"UPDATE_FAILED", REFUSE, REFUSE, DELETE, false,
     "an update of {stack} failed and was not rolled back ({status}): " ROLL_BACK " takes it back; then type {up}",
     "the update was not taken back: " ROLL_BACK " does that; then type {up}"},
    {"UPDATE_ROLLBACK_FAILED", REFUSE, REFUSE, DELETE, false,
     "an update of {stack} failed, and so did taking it back ({status}): cure the cause, then " CONTINUE
     " (--resources-to-skip NAME passes over one that cannot be cured); then type {up}",
     "taking it back failed as well: cure the cause, then " CONTINUE
     " (--resources-to-skip NAME passes over one that cannot be cured); then type {up}"},
    {"IMPORT_ROLLBACK_FAILED", REFUSE, REFUSE, DELETE, false,
     "an import into {stack} failed, and so did taking it back ({status}): " EVENTS " says why; nothing that was there "
     "has changed",
     "taking the import back failed as well: " EVENTS " says why; nothing that was there has changed"},
    {"DELETE_FAILED", REFUSE, REFUSE, DELETE, false,
     "{stack} could not be deleted ({status}): cure the cause and type {destroy} again, or leave behind what cannot be "
     "deleted with " FORCE "; then type {up}",
     "cure the cause and type {destroy} again, or leave behind what cannot be deleted with " FORCE},
    {"DELETE_IN_PROGRESS", WAIT, WAIT, WATCH, false, NULL, NULL},
};
static const struct stack_state under_way = {"*_IN_PROGRESS", WAIT, WAIT, WAIT, false, NULL, NULL};
static const struct stack_state at_rest = {"*_COMPLETE", UPDATE, UPDATE, DELETE, false, NULL,
    "{stack} is in {status}: " EVENTS " says why"};
static const struct stack_state unknown = {"*", REFUSE, REFUSE, DELETE, false,
    "{stack} is in {status}, which this program does not know: " EVENTS " says more; nothing was changed",
    "{stack} is in {status}: " EVENTS " says why"};
// clang-format on

const struct stack_state *stack_state_of(struct str status) {
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (str_eq(status, str_from(states[i].status))) return &states[i];
    if (str_ends(status, STR("_IN_PROGRESS"))) return &under_way;
    return str_ends(status, STR("_COMPLETE")) ? &at_rest : &unknown;
}

bool stack_state_goes_on(struct str status) {
    return str_ends(status, STR("_IN_PROGRESS")) && !str_eq(status, STR("REVIEW_IN_PROGRESS"));
}

/* "payhook stack up --suffix dev --region us-east-1". The artifact bucket's stack goes with the others. */
static void put_command(struct writer *w, const char *verb, struct str stack, struct str region) {
    static const char prefix[] = "TapStack-";
    if (str_starts(stack, STR(STACK_ARTIFACTS))) {
        if (strcmp(verb, "destroy") == 0) {
            writer_put(w, STR("aws cloudformation delete-stack --stack-name " STACK_ARTIFACTS));
        } else {
            writer_put(w, STR("the same command"));
            return;
        }
    } else {
        writer_format(w, "payhook stack %s", verb);
        if (str_starts(stack, STR("TapStack-"))) {
            writer_put(w, STR(" --suffix "));
            writer_put(w, str_from_index(stack, sizeof prefix - 1));
        }
    }
    writer_put(w, STR(" --region "));
    writer_put(w, region);
}

void stack_state_write(struct writer *w, const char *sentence, struct str stack, struct str region, struct str status) {
    struct str rest = str_from(sentence), before, word;
    while (str_cut(rest, '{', &before, &rest)) {
        writer_put(w, before);
        if (!str_cut(rest, '}', &word, &rest)) break;
        if (str_eq(word, STR("stack"))) writer_put(w, stack);
        if (str_eq(word, STR("region"))) writer_put(w, region);
        if (str_eq(word, STR("status"))) writer_escaped(w, status);
        if (str_eq(word, STR("up"))) put_command(w, "up", stack, region);
        if (str_eq(word, STR("destroy"))) put_command(w, "destroy", stack, region);
    }
    writer_put(w, rest);
}
