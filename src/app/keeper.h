/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: who writes the store. Of an embedded store it is one thread, the only one that writes: it takes all the
 * slots that wait in its mailbox, commits them in one step, and hands them back, one wake-up per I/O thread: so the
 * sync is shared by everyone who came during the last one, and a slow client never holds the writer. A second thread,
 * the tender, does beside it what such a store has to do between commits (store_tend). Of a store over a network it is
 * many, each with a handle of its own: each takes one slot at a time, and hands it back when its own write is done. */
#ifndef PAYHOOK_APP_KEEPER_H
#define PAYHOOK_APP_KEEPER_H

#include "app/mailbox.h"
#include "app/metrics.h"
#include "base/limits.h"
#include "store/store.h"

#include <semaphore.h>
#include <stdatomic.h>

struct keeper_thread {
    struct keeper *keeper;
    struct store *store;
    struct metrics *metrics; /* this thread's */
    pthread_t thread;
};

struct keeper {
    struct mailbox mailbox; /* of slots; weight: their events */
    struct keeper_thread threads[KEEPERS_MAX];
    uint32_t thread_count;
    pthread_t tender; /* where has_tender */
    struct store *tended;
    sem_t tender_wake;
    atomic_bool tender_asked, tender_stop;
    bool has_tender;
    int failed_fd;                /* an eventfd, written once when the store can no longer be trusted */
    atomic_bool failed;           /* nothing is acknowledged any more */
    atomic_llong complained_us;   /* when the log was last told that nothing could be stored */
    atomic_int trouble;           /* err_kind of the last commit; ERR_OK: it succeeded */
    atomic_int_least64_t last_us; /* when that was, monotonic */
};

/* Starts a thread for each of 1 to KEEPERS_MAX handles of one store; mailbox_events_max bounds what waits. */
struct err keeper_start(struct keeper *keeper, struct store *const *stores, uint32_t count, uint32_t mailbox_events_max,
                        int failed_fd) MUST_USE;
/* ERR_OK where events can be stored, as far as is known: since a commit failed none has succeeded, and it was less than
 * READY_RETRY_S ago. Any thread may ask. */
enum err_kind keeper_trouble(const struct keeper *keeper, int64_t now_us);
/* Commits what still waits and ends the threads, the tender last. */
void keeper_stop(struct keeper *keeper);

#endif
