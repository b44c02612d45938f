/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit. After the first failed sync nothing is acknowledged any more, for good: the kernel may have dropped the
 * pages, and a later sync that succeeds says nothing about them (research by others: "fsyncgate", PostgreSQL 2018;
 * SQLite accepts the next commit). */
#include "app/keeper.h"

#include "app/listener.h"
#include "app/log.h"
#include "app/slot.h"
#include "base/os.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    COMMIT_EVENTS_MAX = 1024,     /* events of one commit, but for a single larger request */
    COMPLAINT_PAUSE_US = 1000000, /* between two log lines about a store that refuses */
};
static_assert((int)COMMIT_EVENTS_MAX >= (int)BATCH_EVENTS_MAX, "any request fits a commit");

static bool is_final(enum err_kind kind) { return kind == ERR_SYNC || kind == ERR_DAMAGED; }

static void complain(struct keeper *keeper, struct err failure, int64_t *last_us) {
    if (is_final(failure.kind)) {
        keeper->failed = true;
        log_format(LOG_ERROR, "the store failed: %s (%s); nothing is acknowledged any more, stopping", failure.where,
                   err_kind_text(failure.kind));
        uint64_t one = 1;
        check(write(keeper->failed_fd, &one, sizeof one) == sizeof one);
        return;
    }
    int64_t now_us = os_mono_us();
    if (*last_us != 0 && now_us - *last_us < COMPLAINT_PAUSE_US) return;
    *last_us = now_us;
    log_format(LOG_ERROR, "nothing could be stored: %s (%s); answering 503 until it can", failure.where,
               err_kind_text(failure.kind));
}

/* Sends each slot home: one list, and so one wake-up, for each thread. */
static void hand_back(struct letter *first) {
    while (first != NULL) {
        struct io_thread *thread = ((struct slot *)(void *)first)->thread;
        struct letter *mine = NULL, *mine_last = NULL, *others = NULL, *others_last = NULL, *next;
        for (struct letter *letter = first; letter != NULL; letter = next) {
            next = letter->next;
            letter->next = NULL;
            bool is_mine = ((struct slot *)(void *)letter)->thread == thread;
            struct letter **list = is_mine ? &mine : &others, **last = is_mine ? &mine_last : &others_last;
            if (*last == NULL)
                *list = letter;
            else
                (*last)->next = letter;
            *last = letter;
        }
        mailbox_put_list(io_thread_inbox(thread), mine, mine_last);
        first = others;
    }
}

static size_t events_of(struct ingest *const *ingests, size_t count) {
    size_t events = 0;
    for (size_t i = 0; i < count; i++)
        events += ingests[i]->event_count;
    return events;
}

static void *keeper_main(void *context) {
    struct keeper *keeper = context;
    const struct event *events[COMMIT_EVENTS_MAX];
    enum outcome outcomes[COMMIT_EVENTS_MAX];
    struct ingest *ingests[COMMIT_EVENTS_MAX];
    const struct ingest_scratch scratch = {events, outcomes, COMMIT_EVENTS_MAX};
    int64_t complained_us = 0;
    struct letter *first;
    while ((first = mailbox_wait(&keeper->mailbox, COMMIT_EVENTS_MAX)) != NULL) {
        size_t count = 0;
        for (struct letter *letter = first; letter != NULL; letter = letter->next)
            ingests[count++] = &((struct slot *)(void *)letter)->ingest;
        if (keeper->failed) {
            for (size_t i = 0; i < count; i++)
                ingests[i]->verdict = VERDICT_UNAVAILABLE;
        } else {
            int64_t started_us = os_mono_us();
            struct err result = ingest_commit(keeper->store, ingests, count, &scratch);
            int64_t ended_us = os_mono_us();
            metrics_commit(keeper->metrics, events_of(ingests, count), ended_us - started_us);
            atomic_store_explicit(&keeper->last_us, ended_us, memory_order_relaxed);
            atomic_store_explicit(&keeper->trouble, (int)result.kind, memory_order_release);
            if (err_is(result)) complain(keeper, result, &complained_us);
        }
        hand_back(first);
    }
    return NULL;
}

struct err keeper_start(struct keeper *keeper, struct store *store, uint32_t mailbox_events_max, int failed_fd) {
    *keeper = (struct keeper){.store = store, .failed_fd = failed_fd, .metrics = metrics_open()};
    if (keeper->metrics == NULL) return err_make(ERR_MEMORY, ENOMEM, "start the keeper");
    mailbox_init(&keeper->mailbox, mailbox_events_max, -1);
    int failed = pthread_create(&keeper->thread, NULL, keeper_main, keeper);
    if (failed == 0) return err_ok();
    mailbox_done(&keeper->mailbox);
    metrics_close(keeper->metrics);
    return err_make(ERR_SYSTEM, failed, "start the keeper");
}

enum err_kind keeper_trouble(const struct keeper *keeper, int64_t now_us) {
    enum err_kind kind = (enum err_kind)atomic_load_explicit(&keeper->trouble, memory_order_acquire);
    int64_t last_us = atomic_load_explicit(&keeper->last_us, memory_order_relaxed);
    /* Whoever is told "not ready" sends nothing more, so that nothing would ever show that it can be stored again. */
    bool over = !is_final(kind) && now_us - last_us >= (int64_t)READY_RETRY_S * 1000000;
    return over ? ERR_OK : kind;
}

void keeper_stop(struct keeper *keeper) {
    mailbox_close(&keeper->mailbox);
    check(pthread_join(keeper->thread, NULL) == 0);
    mailbox_done(&keeper->mailbox);
    metrics_close(keeper->metrics);
}
