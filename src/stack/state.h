/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a stack in each of CloudFormation's statuses: one row each. Pure. */
#ifndef PAYHOOK_STACK_STATE_H
#define PAYHOOK_STACK_STATE_H

#include "base/str.h"

enum stack_step {
    STACK_STEP_CREATE,  /* a change set that makes it; REVIEW_IN_PROGRESS: in the empty stack that is there */
    STACK_STEP_ASIDE,   /* planned as if new, under another name: this one takes no change set */
    STACK_STEP_UPDATE,  /* a change set that changes it */
    STACK_STEP_CLEAR,   /* nothing is left of it but its name: delete it, then look again */
    STACK_STEP_WAIT,    /* an operation goes on: wait, then look again */
    STACK_STEP_WATCH,   /* what is wanted goes on already */
    STACK_STEP_DELETE,  /* delete it */
    STACK_STEP_NOTHING, /* there is nothing to do */
    STACK_STEP_REFUSE,  /* refusal says why, and what to type */
};

struct stack_state {
    const char *status; /* "": there is no such stack */
    enum stack_step up, preview, destroy;
    bool good; /* an up or an import that ends here has succeeded */
    /* Sentences with {stack}, {region}, {status}, {up}, {destroy} (whole commands); NULL where there is no such case.
     */
    const char *refusal; /* of up and preview */
    const char *left;    /* an operation of ours has failed and ended here: what is left, what to type */
};

/* Never NULL: a status that is new is judged by its end. "" for a stack that is not there. */
const struct stack_state *stack_state_of(struct str status);
bool stack_state_goes_on(struct str status); /* an operation is under way */

/* A sentence of a row with its words filled in. stack: TapStack-{s}, or STACK_ARTIFACTS. */
void stack_state_write(struct writer *w, const char *sentence, struct str stack, struct str region, struct str status);

#endif
