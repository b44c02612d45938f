/* SPDX-License-Identifier: Apache-2.0 */
/* How far a deployment is: stack events folded into one row a resource, with the first real failure kept. Pure. */
#ifndef PAYHOOK_STACK_PROGRESS_H
#define PAYHOOK_STACK_PROGRESS_H

#include "base/limits.h"
#include "base/str.h"

enum progress_state { PROGRESS_WAITING, PROGRESS_WORKING, PROGRESS_DONE, PROGRESS_FAILED };

struct progress_row {
    char logical_id[STACK_LOGICAL_ID_MAX];
    char type[STACK_TYPE_MAX];
    char status[STACK_STATUS_MAX]; /* CREATE_IN_PROGRESS, … as last told; "" while waiting */
    char reason[STACK_REASON_MAX]; /* of the last failure of this resource; "" where there is none */
    enum progress_state state;
    int64_t started_us, ended_us; /* wall clock, of its first event and of the one that ended it; 0: not yet */
};

struct progress {
    struct progress_row rows[STACK_CHANGES_MAX]; /* in the order they were planned, then in that of their first event */
    size_t row_count;
    struct progress_row stack; /* the stack itself */
    int64_t started_us;        /* CloudFormation's clock: events before it are not ours */
    int64_t lag_us;            /* how far CloudFormation's events are behind our clock, at least; 0: not known */
    size_t cause;              /* row of the first real failure; PROGRESS_NO_CAUSE: none */
    char cause_reason[STACK_REASON_MAX];
    char cause_status[STACK_STATUS_MAX];
    char seen[STACK_EVENTS_MAX][STACK_EVENT_ID_MAX]; /* ids of events that were folded in, a ring */
    size_t seen_count;                               /* of all that were ever put there */
};
#define PROGRESS_NO_CAUSE    ((size_t)-1) /* and PROGRESS_CAUSE_STACK: the stack's own event says it */
#define PROGRESS_CAUSE_STACK ((size_t)-2)

struct stack_event {
    struct str event_id, logical_id, type, status, reason;
    int64_t at_us;
    bool is_stack; /* its physical id is the stack's own */
};

void progress_start(struct progress *progress, int64_t now_us);
/* A resource that is expected to move. */
void progress_expect(struct progress *progress, struct str logical_id, struct str type);
/* Folds one event in, oldest first; one that was there before, or is older than started_us, changes nothing. True: it
 * changed something. A failure is the cause unless one is known, or its reason only says that another's failure
 * cancelled it ("Resource creation cancelled", "Resource update cancelled"). */
bool progress_add(struct progress *progress, const struct stack_event *event);
/* An event with this id was folded in. */
bool progress_has(const struct progress *progress, struct str event_id);
/* Right after events came in: how far our clock is from CloudFormation's, as far as it can be seen. */
void progress_compare(struct progress *progress, int64_t wall_us);
/* The wall clock's time as CloudFormation's clock would have it: what started_us and ended_us are to be taken from. */
int64_t progress_now(const struct progress *progress, int64_t wall_us);

#endif
