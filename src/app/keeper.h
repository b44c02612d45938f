/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: the only thread that writes the store. It takes all the slots that wait in its mailbox, commits them in
 * one step, and hands them back, one wake-up per I/O thread: so the sync is shared by everyone who came during the last
 * one, and a slow client never holds the writer. */
#ifndef PAYHOOK_APP_KEEPER_H
#define PAYHOOK_APP_KEEPER_H

#include "app/mailbox.h"
#include "app/metrics.h"
#include "store/store.h"

struct keeper {
    struct mailbox mailbox; /* of slots; weight: their events */
    struct store *store;
    pthread_t thread;
    int failed_fd; /* an eventfd, written once when the store can no longer be trusted */
    bool failed;   /* private to the thread: nothing is acknowledged any more */
    struct metrics *metrics;
    atomic_int trouble;           /* err_kind of the last commit; ERR_OK: it succeeded */
    atomic_int_least64_t last_us; /* when that was, monotonic */
};

/* Starts the thread; mailbox_events_max bounds what waits. */
struct err keeper_start(struct keeper *keeper, struct store *store, uint32_t mailbox_events_max,
                        int failed_fd) MUST_USE;
/* ERR_OK where events can be stored, as far as is known: since a commit failed none has succeeded, and it was less than
 * READY_RETRY_S ago. Any thread may ask. */
enum err_kind keeper_trouble(const struct keeper *keeper, int64_t now_us);
/* Commits what still waits and ends the thread. */
void keeper_stop(struct keeper *keeper);

#endif
