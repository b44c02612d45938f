/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a deployment. What a status allows stands in stack/state.c; here it is carried out, one call after the
 * other, with the person told and asked (stopped) in between. An operation, once begun, is CloudFormation's: it goes on
 * whether it is watched or not, so that a watch that breaks, or is given up, loses nothing.
 *
 * The events of an operation are those that come after the newest one before it, by CloudFormation's own clock. */
#include "stack/apply.h"

#include "base/limits.h"
#include "base/os.h"
#include "codec/text.h"
#include "stack/call.h"
#include "stack/state.h"

#include <poll.h>

enum { SENTENCE_SIZE = 2048, NAME_SIZE = 64, MOVE_MS = 1000, DISCARD_TRIES = 20, DISCARD_MS = 500 };

/* -- Telling --------------------------------------------------------------------------------------------- */

static bool stopped(const struct deployment *deployment) {
    return deployment->watcher->stopped(deployment->watcher->context);
}

static struct str region_of(const struct deployment *deployment) { return str_from(aws_region(deployment->aws)); }

static void say(const struct deployment *deployment, const char *sentence, struct str status) {
    stack_state_write(deployment->message, sentence, deployment->stack, region_of(deployment), status);
}

/* Waits, and lets the person see that time goes on. */
static void linger(const struct deployment *deployment, const struct progress *progress, const char *phase,
                   uint32_t ms) {
    const struct stack_watcher *watcher = deployment->watcher;
    for (;;) {
        watcher->moved(watcher->context, progress, phase);
        if (ms == 0 || stopped(deployment)) return;
        uint32_t some = ms < MOVE_MS ? ms : MOVE_MS;
        watcher->pause(watcher->context, some);
        ms -= some;
    }
}

/* Between the two bounds: longer each time, soon again once something has moved; never quite the same. */
static uint32_t next_ms(const struct deployment *deployment, uint32_t *ms, bool moved) {
    uint32_t random;
    os_random(&random, sizeof random);
    *ms = moved || *ms == 0 ? deployment->poll_ms_min : *ms + *ms / 2;
    if (*ms > deployment->poll_ms_max) *ms = deployment->poll_ms_max;
    return *ms - *ms / 4 + random % (*ms / 4 + 1);
}

/* "payhook-20 hex digits": names of change sets, tokens of requests. */
static struct str make_name(char place[NAME_SIZE]) {
    uint8_t random[10];
    os_random(random, sizeof random);
    struct writer w = writer_make(place, NAME_SIZE);
    writer_put(&w, STR("payhook-"));
    text_hex_write(&w, random, sizeof random);
    return writer_str(&w);
}

/* What a call failed of: the sentence is in message. */
static enum stack_end end_of(struct err failure) {
    return failure.kind == ERR_INPUT || failure.kind == ERR_BUSY ? STACK_REFUSED : STACK_UNREACHABLE;
}

/* -- Watching -------------------------------------------------------------------------------------------- */

struct watch {
    struct deployment *deployment;
    struct str id; /* the stack's ARN: by it a stack is found after its end, too */
    struct progress *progress;
    bool shown;        /* the progress is shown */
    const char *phase; /* "updating TapStack-dev" */
    const char *goes_on;
    uint32_t pause_ms;
    int64_t outage_us, rest_us; /* since when nobody answers, the stack seems to be at rest; 0: not so */
    char status[STACK_STATUS_MAX];
};

/* What a watch that ends too early says. */
static const char up_goes_on[] = "CloudFormation goes on with {stack} by itself; {up} waits for it and picks it up "
                                 "again, and the AWS console shows it";
static const char clear_goes_on[] = "CloudFormation goes on removing the empty {stack} by itself; {up} waits for it";
static const char destroy_goes_on[] =
    "CloudFormation goes on deleting {stack} by itself; {destroy} watches it again, and the AWS console shows it";

/* True: nobody answered, and it will be tried again. */
static bool endure(struct watch *watch, struct err failure, const struct writer *sentence) {
    const struct deployment *deployment = watch->deployment;
    if (failure.kind != ERR_NETWORK && failure.kind != ERR_TIMEOUT) return false;
    int64_t now_us = deployment->watcher->now_us(deployment->watcher->context);
    if (watch->outage_us == 0) watch->outage_us = now_us;
    if (now_us - watch->outage_us >= (int64_t)STACK_PATIENCE_MS * 1000) return false;
    char phase[SENTENCE_SIZE + 64];
    struct writer w = writer_make(phase, sizeof phase);
    writer_put(&w, writer_str(sentence));
    writer_put(&w, STR("; CloudFormation goes on meanwhile, trying again"));
    linger(deployment, watch->shown ? watch->progress : NULL, writer_cstr(&w), deployment->poll_ms_max);
    return true;
}

/* The stack's status is its end once its own event says the same; where that event does not come, after a while. */
static bool has_ended(struct watch *watch, struct str status) {
    const struct deployment *deployment = watch->deployment;
    int64_t now_us = deployment->watcher->now_us(deployment->watcher->context);
    if (stack_state_goes_on(status)) {
        watch->rest_us = 0;
        return false;
    }
    if (str_eq(status, STR("DELETE_COMPLETE"))) return true;
    if (str_eq(status, str_from(watch->progress->stack.status))) return true;
    if (watch->rest_us == 0) watch->rest_us = now_us;
    return now_us - watch->rest_us >= (int64_t)STACK_SETTLE_MS * 1000;
}

static struct err look_and_follow(struct watch *watch, struct writer *sentence, bool *ret_moved) {
    const struct deployment *deployment = watch->deployment;
    struct arena scratch = *deployment->arena;
    struct stack_description stack;
    size_t seen_count = watch->progress->seen_count;
    TRY(cloudformation_describe_stack(deployment->aws, watch->id, &scratch, sentence, &stack));
    struct writer w = writer_make(watch->status, sizeof watch->status);
    writer_put(&w, stack.exists ? stack.status : STR("DELETE_COMPLETE"));
    (void)writer_cstr(&w);
    TRY(cloudformation_follow(deployment->aws, watch->id, &scratch, sentence, watch->progress));
    *ret_moved = watch->progress->seen_count != seen_count;
    if (*ret_moved) progress_compare(watch->progress, deployment->watcher->now_us(deployment->watcher->context));
    return err_ok();
}

/* STACK_DONE: the operation has ended, in watch->status. Else message says what goes on. */
static enum stack_end watch_stack(struct watch *watch) {
    struct deployment *deployment = watch->deployment;
    char text[SENTENCE_SIZE];
    for (;;) {
        if (stopped(deployment)) {
            writer_put(deployment->message, STR("stopped watching: "));
            say(deployment, watch->goes_on, STR(""));
            return STACK_STOPPED;
        }
        struct writer sentence = writer_make(text, sizeof text);
        bool moved = false;
        struct err failure = look_and_follow(watch, &sentence, &moved);
        if (err_is(failure)) {
            if (endure(watch, failure, &sentence)) continue;
            writer_put(deployment->message, writer_str(&sentence));
            writer_put(deployment->message, STR("; "));
            say(deployment, watch->goes_on, STR(""));
            return STACK_UNREACHABLE;
        }
        watch->outage_us = 0;
        bool ended = has_ended(watch, str_from(watch->status));
        linger(deployment, watch->shown ? watch->progress : NULL, watch->phase,
               ended ? 0 : next_ms(deployment, &watch->pause_ms, moved));
        if (ended) return STACK_DONE;
    }
}

/* What is expected to move is in the progress; what came before is not ours. */
static struct err begin_progress(struct deployment *deployment, struct str stack_id, struct progress *progress) {
    int64_t at_us = 0;
    TRY(cloudformation_newest_event(deployment->aws, stack_id, deployment->arena, deployment->message, &at_us));
    progress->started_us = at_us + 1;
    return err_ok();
}

/* -- Looking --------------------------------------------------------------------------------------------- */

enum stack_end deployment_look(struct deployment *deployment, struct stack_description *ret_stack) {
    struct err failure = cloudformation_describe_stack(deployment->aws, deployment->stack, deployment->arena,
                                                       deployment->message, ret_stack);
    return err_is(failure) ? end_of(failure) : STACK_DONE;
}

/* Waits while an operation goes on that is not ours, or no longer: the next look tells. An answer that does not come is
 * waited for as in a watch. */
static enum stack_end wait_for_others(struct deployment *deployment, struct str status) {
    char phase[256], text[SENTENCE_SIZE];
    struct writer w = writer_make(phase, sizeof phase);
    writer_put(&w, STR("waiting for "));
    writer_escaped(&w, status);
    writer_put(&w, STR(" of "));
    writer_put(&w, deployment->stack);
    writer_put(&w, STR(" by someone else, or by an earlier command"));
    struct watch watch = {.deployment = deployment, .phase = writer_cstr(&w)};
    for (;;) {
        linger(deployment, NULL, watch.phase, next_ms(deployment, &watch.pause_ms, false));
        if (stopped(deployment)) {
            writer_put(deployment->message, STR("stopped: nothing was changed by this command"));
            return STACK_STOPPED;
        }
        struct arena scratch = *deployment->arena;
        struct writer sentence = writer_make(text, sizeof text);
        struct stack_description stack;
        struct err failure =
            cloudformation_describe_stack(deployment->aws, deployment->stack, &scratch, &sentence, &stack);
        if (err_is(failure)) {
            if (endure(&watch, failure, &sentence)) continue;
            writer_put(deployment->message, writer_str(&sentence));
            return STACK_UNREACHABLE;
        }
        watch.outage_us = 0;
        if (!stack_state_goes_on(stack.status)) return STACK_DONE;
    }
}

enum stack_end deployment_settle(struct deployment *deployment, struct stack_description *ret_stack) {
    for (;;) {
        struct arena before = *deployment->arena;
        struct stack_description stack;
        enum stack_end end = deployment_look(deployment, &stack);
        if (end == STACK_DONE && !stack_state_goes_on(stack.status)) *ret_stack = stack;
        if (end != STACK_DONE || !stack_state_goes_on(stack.status)) return end;
        end = wait_for_others(deployment, stack.status);
        if (end != STACK_DONE) return end;
        *deployment->arena = before;
    }
}

/* The first real failure of the stack's last operation, where it can be told. */
static void say_cause(struct deployment *deployment, const struct stack_description *stack) {
    struct arena scratch = *deployment->arena;
    struct progress *progress = arena_new(&scratch, struct progress, 1);
    char text[SENTENCE_SIZE];
    struct writer sentence = writer_make(text, sizeof text);
    if (progress == NULL) return;
    progress_start(progress, stack->began_us);
    if (err_is(cloudformation_follow(deployment->aws, stack->id, &scratch, &sentence, progress))) return;
    if (progress->cause >= progress->row_count) return;
    const struct progress_row *row = &progress->rows[progress->cause];
    writer_put(deployment->message, STR("; the cause was "));
    stack_text(deployment->message, str_from(row->logical_id));
    writer_put(deployment->message, STR(" ("));
    stack_text(deployment->message, str_from(row->type));
    writer_put(deployment->message, STR("): "));
    stack_text(deployment->message, str_from(progress->cause_reason));
}

/* -- Planning -------------------------------------------------------------------------------------------- */

/* A name that is taken by an empty stack only. */
static enum stack_end clear(struct deployment *deployment, const struct stack_description *stack) {
    char name[NAME_SIZE];
    struct progress *progress = arena_new(deployment->arena, struct progress, 1);
    if (progress == NULL) {
        writer_put(deployment->message, STR("no memory"));
        return STACK_UNREACHABLE;
    }
    struct watch watch = {.deployment = deployment,
                          .id = stack->id,
                          .progress = progress,
                          .phase = "removing the empty stack that an earlier attempt left",
                          .goes_on = clear_goes_on};
    progress_start(progress, 0);
    struct err failure = begin_progress(deployment, stack->id, progress);
    if (!err_is(failure))
        failure = cloudformation_delete_stack(deployment->aws, stack->id, make_name(name), deployment->message);
    return err_is(failure) ? end_of(failure) : watch_stack(&watch);
}

/* Looks until it is clear what can be done. STACK_DONE: *ret_step is CREATE, ASIDE or UPDATE. */
static enum stack_end find_step(struct deployment *deployment, bool remove_leftovers, enum stack_step *ret_step,
                                bool *ret_exists) {
    for (;;) {
        struct arena before = *deployment->arena;
        struct stack_description stack = {.exists = false};
        enum stack_end end = deployment_settle(deployment, &stack);
        if (end != STACK_DONE) return end;
        const struct stack_state *state = stack_state_of(stack.status);
        enum stack_step step = remove_leftovers ? state->up : state->preview;
        if (step == STACK_STEP_REFUSE) {
            say(deployment, state->refusal, stack.status);
            say_cause(deployment, &stack);
            return STACK_REFUSED;
        }
        if (step == STACK_STEP_CLEAR) end = clear(deployment, &stack);
        *deployment->arena = before;
        if (end != STACK_DONE) return end;
        if (step == STACK_STEP_CLEAR) continue;
        check(step == STACK_STEP_CREATE || step == STACK_STEP_ASIDE || step == STACK_STEP_UPDATE);
        *ret_exists = stack.exists;
        *ret_step = step;
        return STACK_DONE;
    }
}

/* It may be that a request whose answer was lost has made the stack that was not there. */
static void sweep(struct deployment *deployment, struct str name) {
    struct arena scratch = *deployment->arena;
    char text[SENTENCE_SIZE], token[NAME_SIZE];
    struct writer sentence = writer_make(text, sizeof text);
    struct stack_description stack;
    if (err_is(cloudformation_describe_stack(deployment->aws, name, &scratch, &sentence, &stack))) return;
    if (!str_eq(stack.status, STR("REVIEW_IN_PROGRESS"))) return;
    struct err failure = cloudformation_delete_stack(deployment->aws, stack.id, make_name(token), &sentence);
    (void)failure; /* what stays behind is empty, and the next up takes it */
}

/* "The submitted information didn't contain changes. …", "No updates are to be performed." */
static bool says_no_changes(struct str reason) {
    static const char *const phrases[] = {"didn't contain changes", "did not contain changes",
                                          "No updates are to be performed"};
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (reason.len > 0 && memmem(reason.ptr, reason.len, phrases[i], strlen(phrases[i])) != NULL) return true;
    return false;
}

/* Waits until it is made. STACK_DONE: *ret_state is its first page. */
static enum stack_end wait_for_change_set(struct deployment *deployment, struct str id,
                                          struct change_set_state *ret_state) {
    uint32_t pause_ms = 0;
    for (;;) {
        struct arena before = *deployment->arena;
        if (stopped(deployment)) {
            writer_put(deployment->message, STR("stopped: nothing was changed"));
            return STACK_STOPPED;
        }
        struct err failure = cloudformation_describe_change_set(deployment->aws, id, STR(""), deployment->arena,
                                                                deployment->message, ret_state);
        if (err_is(failure)) return end_of(failure);
        if (!str_ends(ret_state->status, STR("_IN_PROGRESS")) && !str_ends(ret_state->status, STR("_PENDING")))
            return STACK_DONE;
        *deployment->arena = before;
        linger(deployment, NULL, "CloudFormation compares the template with what is there",
               next_ms(deployment, &pause_ms, false));
    }
}

static enum stack_end read_plan(struct deployment *deployment, struct plan *plan) {
    struct change_set_state state;
    enum stack_end end = wait_for_change_set(deployment, plan->change_set_id, &state);
    if (end != STACK_DONE) return end;
    plan->stack_id = xml_text(state.result, STR("StackId"));
    if (!str_eq(state.status, STR("CREATE_COMPLETE"))) {
        if (says_no_changes(state.reason)) return STACK_NOTHING;
        writer_put(deployment->message, STR("CloudFormation cannot do this: "));
        stack_text(deployment->message, state.reason.len > 0 ? state.reason : state.status);
        return STACK_REFUSED;
    }
    while (plan_add_page(plan, state.result, deployment->arena)) {
        if (state.next_token.len == 0) return STACK_DONE;
        struct err failure = cloudformation_describe_change_set(deployment->aws, plan->change_set_id, state.next_token,
                                                                deployment->arena, deployment->message, &state);
        if (err_is(failure)) return end_of(failure);
    }
    writer_format(deployment->message, "the plan has more than %d changes, or is larger than this program takes",
                  STACK_CHANGES_MAX);
    return STACK_REFUSED;
}

enum stack_end deployment_plan(struct deployment *deployment, const struct change_set_request *wanted,
                               bool remove_leftovers, struct plan *ret_plan) {
    enum stack_step step = STACK_STEP_CREATE;
    bool exists = false;
    char name[NAME_SIZE], aside[STACK_NAME_MAX + 16];
    enum stack_end end = find_step(deployment, remove_leftovers, &step, &exists);
    if (end != STACK_DONE) return end;

    struct change_set_request request = *wanted;
    request.stack = deployment->stack;
    request.name = make_name(name);
    request.create = step != STACK_STEP_UPDATE;
    if (step == STACK_STEP_ASIDE) {
        struct writer w = writer_make(aside, sizeof aside);
        writer_put(&w, deployment->stack);
        writer_put(&w, STR("-preview"));
        request.stack = writer_str(&w);
    }
    struct plan plan = {
        .kind = request.create ? PLAN_CREATE : PLAN_UPDATE,
        .stack = deployment->stack,
        .region = region_of(deployment),
        .account = deployment->account,
        .stack_id = request.stack,
        .made_stack = step == STACK_STEP_ASIDE || (step == STACK_STEP_CREATE && !exists),
    };
    struct err failure = cloudformation_create_change_set(deployment->aws, &request, deployment->arena,
                                                          deployment->message, &plan.change_set_id);
    if (err_is(failure)) {
        if (plan.made_stack && (failure.kind == ERR_NETWORK || failure.kind == ERR_TIMEOUT))
            sweep(deployment, request.stack);
        if (failure.kind == ERR_INPUT && says_no_changes(writer_str(deployment->message))) end = STACK_NOTHING;
        if (end != STACK_NOTHING) return end_of(failure);
        deployment->message->len = 0;
    } else {
        end = read_plan(deployment, &plan);
        if (end != STACK_DONE) (void)deployment_discard(deployment, &plan);
    }
    if (end == STACK_NOTHING) {
        plan.kind = PLAN_NOTHING;
        plan.change_set_id = STR("");
        plan.made_stack = false;
    }
    if (end == STACK_DONE || end == STACK_NOTHING) *ret_plan = plan;
    return end;
}

/* A change set that is still being made cannot be deleted: some seconds are given to it, stopped or not. */
static struct err delete_change_set(struct deployment *deployment, struct str id, struct writer *message) {
    uint32_t pause_ms = deployment->poll_ms_max < DISCARD_MS ? deployment->poll_ms_max : DISCARD_MS;
    struct err failure = err_ok();
    for (int tries = 0; tries < DISCARD_TRIES; tries++) {
        message->len = 0;
        failure = cloudformation_delete_change_set(deployment->aws, id, message);
        if (failure.kind != ERR_BUSY) break;
        (void)poll(NULL, 0, (int)pause_ms);
    }
    return failure;
}

/* An empty stack takes its change sets with it. Where something was executed in it meanwhile, it is no longer ours. */
static struct err delete_made_stack(struct deployment *deployment, const struct plan *plan, struct writer *message) {
    char token[NAME_SIZE];
    struct stack_description stack;
    struct arena scratch = *deployment->arena;
    TRY(cloudformation_describe_stack(deployment->aws, plan->stack_id, &scratch, message, &stack));
    if (!str_eq(stack.status, STR("REVIEW_IN_PROGRESS"))) return err_ok();
    TRY(cloudformation_delete_stack(deployment->aws, stack.id, make_name(token), message));
    /* A moment's patience, so that what is typed next does not meet it. */
    uint32_t pause_ms = 0;
    for (int looks = 0; looks < DISCARD_TRIES && !stopped(deployment); looks++) {
        scratch = *deployment->arena;
        TRY(cloudformation_describe_stack(deployment->aws, plan->stack_id, &scratch, message, &stack));
        if (!stack.exists || str_eq(stack.status, STR("DELETE_COMPLETE"))) break;
        linger(deployment, NULL, "taking the plan back", next_ms(deployment, &pause_ms, false));
    }
    return err_ok();
}

enum stack_end deployment_discard(struct deployment *deployment, const struct plan *plan) {
    char text[SENTENCE_SIZE];
    struct writer sentence = writer_make(text, sizeof text);
    struct err failure = err_ok();
    if (plan->made_stack)
        failure = delete_made_stack(deployment, plan, &sentence);
    else if (plan->change_set_id.len > 0)
        failure = delete_change_set(deployment, plan->change_set_id, &sentence);
    if (!err_is(failure)) return STACK_DONE;
    if (deployment->message->len > 0) writer_put(deployment->message, STR("; "));
    writer_put(deployment->message, STR("the plan could not be taken back: "));
    writer_put(deployment->message, writer_str(&sentence));
    return STACK_UNREACHABLE;
}

/* -- Applying -------------------------------------------------------------------------------------------- */

/* How it is told where an operation of ours has ended elsewhere than it should. */
static enum stack_end say_left(struct deployment *deployment, const struct watch *watch) {
    struct str status = str_from(watch->status);
    const struct stack_state *state = stack_state_of(status);
    writer_put(deployment->message, deployment->stack);
    writer_put(deployment->message, STR(" ended in "));
    writer_escaped(deployment->message, status);
    writer_put(deployment->message, STR(": "));
    say(deployment, state->left != NULL ? state->left : "{up} looks again", status);
    return STACK_FAILED;
}

enum stack_end deployment_apply(struct deployment *deployment, const struct plan *plan, struct progress *progress) {
    char name[NAME_SIZE], phase[256];
    struct writer w = writer_make(phase, sizeof phase);
    writer_put(&w, plan->kind == PLAN_CREATE ? STR("creating ") : STR("updating "));
    writer_put(&w, plan->stack);
    struct watch watch = {.deployment = deployment,
                          .id = plan->stack_id,
                          .progress = progress,
                          .shown = true,
                          .phase = writer_cstr(&w),
                          .goes_on = up_goes_on};
    progress_start(progress, 0);
    for (size_t i = 0; i < plan->change_count; i++)
        progress_expect(progress, plan->changes[i].logical_id, plan->changes[i].type);
    struct err failure = begin_progress(deployment, plan->stack_id, progress);
    if (err_is(failure) || stopped(deployment)) {
        if (!err_is(failure)) writer_put(deployment->message, STR("stopped: nothing was changed"));
        (void)deployment_discard(deployment, plan);
        return err_is(failure) ? end_of(failure) : STACK_STOPPED;
    }
    size_t said = deployment->message->len;
    failure =
        cloudformation_execute_change_set(deployment->aws, plan->change_set_id, make_name(name), deployment->message);
    if (failure.kind == ERR_NETWORK || failure.kind == ERR_TIMEOUT) {
        writer_put(deployment->message, STR("; it is not known whether it has begun: "));
        say(deployment, "{up} tells, and picks it up", STR(""));
        return STACK_UNREACHABLE;
    }
    if (err_is(failure)) {
        bool stale = failure.kind == ERR_BUSY || failure.kind == ERR_ABSENT;
        if (stale) deployment->message->len = said;
        if (stale) say(deployment, "{stack} was changed since this plan was made: type {up} again", STR(""));
        (void)deployment_discard(deployment, plan);
        return stale ? STACK_REFUSED : end_of(failure);
    }
    enum stack_end end = watch_stack(&watch);
    if (end != STACK_DONE) return end;
    return stack_state_of(str_from(watch.status))->good ? STACK_DONE : say_left(deployment, &watch);
}

enum stack_end deployment_destroy(struct deployment *deployment, struct progress *progress) {
    char name[NAME_SIZE], phase[256];
    struct writer w = writer_make(phase, sizeof phase);
    writer_put(&w, STR("deleting "));
    writer_put(&w, deployment->stack);
    struct watch watch = {.deployment = deployment,
                          .progress = progress,
                          .shown = true,
                          .phase = writer_cstr(&w),
                          .goes_on = destroy_goes_on};
    progress_start(progress, 0);
    struct stack_description stack;
    enum stack_step step = STACK_STEP_WAIT;
    while (step == STACK_STEP_WAIT) {
        enum stack_end end = deployment_look(deployment, &stack);
        if (end != STACK_DONE) return end;
        step = stack_state_of(stack.status)->destroy;
        if (step == STACK_STEP_NOTHING) return STACK_NOTHING;
        if (step == STACK_STEP_WAIT) end = wait_for_others(deployment, stack.status);
        if (end != STACK_DONE) return end;
    }
    watch.id = stack.id;
    struct err failure = err_ok();
    if (step == STACK_STEP_WATCH) {
        progress->started_us = stack.began_us;
    } else {
        failure = begin_progress(deployment, stack.id, progress);
        if (!err_is(failure) && stopped(deployment)) {
            writer_put(deployment->message, STR("stopped: nothing was deleted"));
            return STACK_STOPPED;
        }
        if (!err_is(failure))
            failure = cloudformation_delete_stack(deployment->aws, stack.id, make_name(name), deployment->message);
    }
    if (err_is(failure)) return end_of(failure);
    enum stack_end end = watch_stack(&watch);
    if (end != STACK_DONE) return end;
    return str_eq(str_from(watch.status), STR("DELETE_COMPLETE")) ? STACK_DONE : say_left(deployment, &watch);
}
