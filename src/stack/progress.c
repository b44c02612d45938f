/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses are told apart by their last word, so that one that is new is understood as well: …_IN_PROGRESS, …_FAILED,
 * and what is at rest. A resource that has failed moves on in the rollback; what it failed of is kept in reason and
 * cause. It asks nobody and knows no clock. */
#include "stack/progress.h"

#include "base/err.h"

/* Of these ends a cut text is better than none. */
static void keep(char *place, size_t size, struct str text) {
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) memcpy(place, text.ptr, len);
    place[len] = '\0';
}

void progress_start(struct progress *progress, int64_t now_us) {
    memset(progress, 0, sizeof *progress);
    progress->started_us = now_us;
    progress->cause = PROGRESS_NO_CAUSE;
}

/* Compared as kept, so that names that were cut meet again. */
static bool is_row(const struct progress_row *row, struct str logical_id) {
    char name[STACK_LOGICAL_ID_MAX];
    keep(name, sizeof name, logical_id);
    return strcmp(row->logical_id, name) == 0;
}

/* NULL: no room for one more. */
static struct progress_row *row_of(struct progress *progress, struct str logical_id, struct str type) {
    for (size_t i = 0; i < progress->row_count; i++)
        if (is_row(&progress->rows[i], logical_id)) return &progress->rows[i];
    if (progress->row_count == STACK_CHANGES_MAX) return NULL;
    struct progress_row *row = &progress->rows[progress->row_count++];
    keep(row->logical_id, sizeof row->logical_id, logical_id);
    keep(row->type, sizeof row->type, type);
    return row;
}

void progress_expect(struct progress *progress, struct str logical_id, struct str type) {
    (void)row_of(progress, logical_id, type); /* one too many is not shown until it moves, and not then either */
}

bool progress_has(const struct progress *progress, struct str event_id) {
    char id[STACK_EVENT_ID_MAX];
    keep(id, sizeof id, event_id);
    size_t count = progress->seen_count < STACK_EVENTS_MAX ? progress->seen_count : STACK_EVENTS_MAX;
    for (size_t i = 0; i < count; i++)
        if (strcmp(progress->seen[i], id) == 0) return true;
    return false;
}

static enum progress_state state_of(struct str status) {
    if (str_ends(status, STR("_IN_PROGRESS"))) return PROGRESS_WORKING;
    return str_ends(status, STR("_FAILED")) ? PROGRESS_FAILED : PROGRESS_DONE;
}

/* "Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled": another's failure. */
static bool is_cancelled(struct str reason) {
    struct str first, second, rest;
    return str_cut(reason, ' ', &first, &rest) && str_eq(first, STR("Resource")) &&
           str_cut(rest, ' ', &second, &rest) && str_starts(rest, STR("cancelled"));
}

static void keep_cause(struct progress *progress, size_t cause, const struct stack_event *event) {
    if (progress->cause != PROGRESS_NO_CAUSE) return;
    progress->cause = cause;
    keep(progress->cause_reason, sizeof progress->cause_reason, event->reason);
    keep(progress->cause_status, sizeof progress->cause_status, event->status);
}

bool progress_add(struct progress *progress, const struct stack_event *event) {
    if (event->at_us < progress->started_us || event->status.len == 0) return false;
    if (progress_has(progress, event->event_id)) return false;
    keep(progress->seen[progress->seen_count++ % STACK_EVENTS_MAX], STACK_EVENT_ID_MAX, event->event_id);
    struct progress_row *row = &progress->stack;
    if (!event->is_stack) {
        row = row_of(progress, event->logical_id, event->type);
        if (row == NULL) return false;
    } else if (row->logical_id[0] == '\0') {
        keep(row->logical_id, sizeof row->logical_id, event->logical_id);
        keep(row->type, sizeof row->type, event->type);
    }
    keep(row->status, sizeof row->status, event->status);
    row->state = state_of(event->status);
    if (row->started_us == 0) row->started_us = event->at_us;
    row->ended_us = row->state == PROGRESS_WORKING ? 0 : event->at_us;
    /* The stack itself says why only where no resource does: a rollback that a person asked for, a role that may not.
     */
    bool turns_back = memmem(event->status.ptr, event->status.len, "ROLLBACK_IN_PROGRESS", 20) != NULL;
    bool failed = row->state == PROGRESS_FAILED || (event->is_stack && turns_back);
    if (!failed) return true;
    keep(row->reason, sizeof row->reason, event->reason);
    if (event->is_stack && event->reason.len > 0) keep_cause(progress, PROGRESS_CAUSE_STACK, event);
    if (!event->is_stack && !is_cancelled(event->reason)) keep_cause(progress, (size_t)(row - progress->rows), event);
    return true;
}

/* The event that was seen soonest after it happened comes nearest. */
void progress_compare(struct progress *progress, int64_t wall_us) {
    int64_t newest = 0;
    for (size_t i = 0; i <= progress->row_count; i++) {
        const struct progress_row *row = i < progress->row_count ? &progress->rows[i] : &progress->stack;
        int64_t at_us = row->ended_us > row->started_us ? row->ended_us : row->started_us;
        if (at_us > newest) newest = at_us;
    }
    if (newest == 0) return;
    if (progress->lag_us == 0 || wall_us - newest < progress->lag_us) progress->lag_us = wall_us - newest;
}

int64_t progress_now(const struct progress *progress, int64_t wall_us) { return wall_us - progress->lag_us; }
