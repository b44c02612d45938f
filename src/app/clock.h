/* SPDX-License-Identifier: Apache-2.0 */
/* Is our clock wrong? Five different well-signed but stale events in a row of one source, all on one side, say so
 * (README, "Logs"). The I/O threads report what they see; the main thread counts. */
#ifndef PAYHOOK_APP_CLOCK_H
#define PAYHOOK_APP_CLOCK_H

#include "app/mailbox.h"
#include "core/ingest.h"

enum { CLOCK_STREAK = 5, CLOCK_WARNING_PAUSE_S = 60 };

/* One stale event, or one that was in time and ends a streak. Malloc'd; whoever takes it from the mailbox frees it. */
struct clock_report {
    struct letter letter;
    char source[SOURCE_NAME_SIZE_MAX + 1];
    bool stale;
    int64_t skew_s;   /* signed time minus now */
    uint64_t content; /* tells different events apart */
};

struct clock_streak {
    char source[SOURCE_NAME_SIZE_MAX + 1];
    uint32_t count; /* 0: the source's events are in time */
    int64_t skew_s; /* the smallest of the streak */
    uint64_t contents[CLOCK_STREAK];
    int64_t warned_us; /* monotonic; 0: never */
};

/* Counts for every source that was ever late. Zeroed memory is an empty one. */
struct clock_watch {
    struct clock_streak *streaks;
    size_t count;
    atomic_uint late_sources; /* how many have a streak: where 0, what is in time need not be reported */
};
void clock_watch_done(struct clock_watch *watch);
/* Takes one report into account. True where a warning is due now; ret_skew_s is what to say. */
bool clock_watch_take(struct clock_watch *watch, const struct clock_report *report, int64_t now_us,
                      int64_t *ret_skew_s);

/* By how many seconds this source's events say that our clock is wrong; 0: they do not. */
int64_t clock_watch_suspect_s(const struct clock_watch *watch, struct str source);

/* What a judged request says of the clock: sends a report where it says something. mailbox may be full: then it is not
 * said. */
void clock_report_send(struct mailbox *mailbox, struct clock_watch *watch, const struct ingest *ingest,
                       struct str body);

#endif
