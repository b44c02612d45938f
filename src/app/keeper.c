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

/* failure ERR_OK: some events of a commit failed, others may not have. */
static void complain(struct keeper *keeper, struct err failure, struct str complaint) {
    if (is_final(failure.kind)) {
        if (atomic_exchange(&keeper->failed, true)) return;
        log_format(LOG_ERROR, "the store failed: %s (%s); nothing is acknowledged any more, stopping", failure.where,
                   err_kind_text(failure.kind));
        uint64_t one = 1;
        check(write(keeper->failed_fd, &one, sizeof one) == sizeof one);
        return;
    }
    long long now_us = os_mono_us(), last_us = atomic_load(&keeper->complained_us);
    if (last_us != 0 && now_us - last_us < COMPLAINT_PAUSE_US) return;
    if (!atomic_compare_exchange_strong(&keeper->complained_us, &last_us, now_us)) return; /* another thread did */
    if (err_is(failure))
        log_format(LOG_ERROR, "nothing could be stored: %s (%s); answering 503 until it can", failure.where,
                   err_kind_text(failure.kind));
    else
        log_format(LOG_ERROR, "%.*s; answered 503", STR_ARG(complaint));
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

/* Sleeps until a commit has left something to do. */
static void *tender_main(void *context) {
    struct keeper *keeper = context;
    for (;;) {
        while (sem_wait(&keeper->tender_wake) != 0)
            check(errno == EINTR);
        if (atomic_load(&keeper->tender_stop)) return NULL;
        atomic_store(&keeper->tender_asked, false); /* what is asked from here on is asked of the next round */
        struct err tended = store_tend(keeper->tended);
        if (is_final(tended.kind)) complain(keeper, tended, STR(""));
    }
}

static void tender_ask(struct keeper *keeper) {
    if (!keeper->has_tender || !store_wants_tending(keeper->tended)) return;
    if (!atomic_exchange(&keeper->tender_asked, true)) check(sem_post(&keeper->tender_wake) == 0);
}

static void *keeper_main(void *context) {
    const struct keeper_thread *thread = context;
    struct keeper *keeper = thread->keeper;
    /* One writer shares its sync with all who wait; of many, each takes what one request brought. */
    uint64_t weight_max = keeper->thread_count == 1 ? COMMIT_EVENTS_MAX : 1;
    const struct event *events[COMMIT_EVENTS_MAX];
    enum outcome outcomes[COMMIT_EVENTS_MAX];
    struct ingest *ingests[COMMIT_EVENTS_MAX];
    const struct ingest_scratch scratch = {events, outcomes, COMMIT_EVENTS_MAX};
    struct letter *first;
    while ((first = mailbox_wait(&keeper->mailbox, weight_max)) != NULL) {
        size_t count = 0;
        for (struct letter *letter = first; letter != NULL; letter = letter->next)
            ingests[count++] = &((struct slot *)(void *)letter)->ingest;
        if (atomic_load(&keeper->failed)) {
            for (size_t i = 0; i < count; i++)
                ingests[i]->verdict = VERDICT_UNAVAILABLE;
        } else {
            int64_t started_us = os_mono_us();
            struct err result = ingest_commit(thread->store, ingests, count, &scratch);
            int64_t ended_us = os_mono_us();
            metrics_commit(thread->metrics, events_of(ingests, count), ended_us - started_us);
            atomic_store_explicit(&keeper->last_us, ended_us, memory_order_relaxed);
            atomic_store_explicit(&keeper->trouble, (int)result.kind, memory_order_release);
            struct str complaint = err_is(result) ? STR("") : store_complaint(thread->store);
            if (err_is(result) || complaint.len > 0) complain(keeper, result, complaint);
        }
        hand_back(first);
        tender_ask(keeper);
    }
    return NULL;
}

/* 0, or an errno. */
static int tender_start(struct keeper *keeper, struct store *store) {
    if (!store_has_tending(store)) return 0;
    keeper->tended = store;
    check(sem_init(&keeper->tender_wake, 0, 0) == 0);
    int failed = pthread_create(&keeper->tender, NULL, tender_main, keeper);
    keeper->has_tender = failed == 0;
    if (failed != 0) check(sem_destroy(&keeper->tender_wake) == 0);
    return failed;
}

static void tender_stop(struct keeper *keeper) {
    if (!keeper->has_tender) return;
    atomic_store(&keeper->tender_stop, true);
    check(sem_post(&keeper->tender_wake) == 0);
    check(pthread_join(keeper->tender, NULL) == 0);
    check(sem_destroy(&keeper->tender_wake) == 0);
}

struct err keeper_start(struct keeper *keeper, struct store *const *stores, uint32_t count, uint32_t mailbox_events_max,
                        int failed_fd) {
    check(count >= 1);
    check(count <= KEEPERS_MAX);
    *keeper = (struct keeper){.thread_count = count, .failed_fd = failed_fd};
    mailbox_init(&keeper->mailbox, mailbox_events_max, -1);
    int failed = tender_start(keeper, stores[0]);
    uint32_t started = 0;
    while (started < count && failed == 0) {
        struct keeper_thread *thread = &keeper->threads[started];
        *thread = (struct keeper_thread){.keeper = keeper, .store = stores[started], .metrics = metrics_open()};
        failed = thread->metrics == NULL ? ENOMEM : pthread_create(&thread->thread, NULL, keeper_main, thread);
        if (failed == 0)
            started++;
        else
            metrics_close(thread->metrics);
    }
    if (failed == 0) return err_ok();
    keeper->thread_count = started;
    keeper_stop(keeper);
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
    for (uint32_t i = 0; i < keeper->thread_count; i++) {
        check(pthread_join(keeper->threads[i].thread, NULL) == 0);
        metrics_close(keeper->threads[i].metrics);
    }
    tender_stop(keeper);
    mailbox_done(&keeper->mailbox);
}
