/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment as a list of steps: look, plan, apply, watch, remove. It decides by the stack's status what can be done,
 * and says in a sentence with the next command to type what cannot. It prints nothing: what happens is told to a
 * watcher. */
#ifndef PAYHOOK_STACK_APPLY_H
#define PAYHOOK_STACK_APPLY_H

#include "stack/cloudformation.h"
#include "stack/template.h"

/* Whoever looks on. */
struct stack_watcher {
    void *context;
    /* Something moved, or about a second went by; progress may be NULL while a change set is made or somebody else's
     * operation is waited for; phase is a phrase: "waiting for UPDATE_IN_PROGRESS of TapStack-dev by someone else". */
    void (*moved)(void *context, const struct progress *progress, const char *phase);
    /* True: the person wants to stop (Ctrl-C). */
    bool (*stopped)(void *context);
    int64_t (*now_us)(void *context);          /* wall clock */
    void (*pause)(void *context, uint32_t ms); /* sleeps; wakes early when stopped */
};

struct deployment {
    struct aws *aws;
    struct arena *arena; /* STACK_ARENA_SIZE */
    const struct stack_watcher *watcher;
    struct writer *message;
    struct str stack; /* TapStack-{s}, or STACK_ARTIFACTS */
    struct str account;
    uint32_t poll_ms_min, poll_ms_max; /* 500 and 2000; tests make them short (PAYHOOK_STACK_POLL_MS) */
};

/* How an operation ended. */
enum stack_end {
    STACK_DONE,
    STACK_NOTHING,     /* there was nothing to do */
    STACK_REFUSED,     /* message says why, and what to type */
    STACK_FAILED,      /* CloudFormation could not; progress keeps the cause; message says what state is left */
    STACK_STOPPED,     /* interrupted; message says what goes on and what to type */
    STACK_UNREACHABLE, /* a call failed: message */
};

/* Looks at the stack; waits while somebody else's *_IN_PROGRESS lasts; removes what an earlier first attempt left
 * (REVIEW_IN_PROGRESS with nothing in it, ROLLBACK_COMPLETE: nothing of it is left but its name). Then makes a change
 * set, waits for it and reads it. STACK_DONE and STACK_NOTHING: *ret_plan is whole (kind PLAN_NOTHING: the change set
 * is gone again). remove_leftovers false (preview): a ROLLBACK_COMPLETE stack is left alone, and planned as if new. */
enum stack_end deployment_plan(struct deployment *deployment, const struct change_set_request *wanted,
                               bool remove_leftovers, struct plan *ret_plan);
/* Takes a plan back: its change set, and the empty stack it made. Quiet where they are gone. A failure's sentence comes
 * behind what message has. */
enum stack_end deployment_discard(struct deployment *deployment, const struct plan *plan);
/* Executes it and watches until the stack's own status is an end. */
enum stack_end deployment_apply(struct deployment *deployment, const struct plan *plan, struct progress *progress);
/* Deletes the stack and watches. STACK_NOTHING: there is none. */
enum stack_end deployment_destroy(struct deployment *deployment, struct progress *progress);
/* The description as it is now. */
enum stack_end deployment_look(struct deployment *deployment, struct stack_description *ret_stack);
/* The same once no operation goes on, of whomever it is: that is waited for. */
enum stack_end deployment_settle(struct deployment *deployment, struct stack_description *ret_stack);

#endif
