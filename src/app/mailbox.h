/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between threads: bounded, handed over whole, taken in order. The only file of the program with a mutex.
 * A letter is a member of what is sent; once put, the sender forgets it. */
#ifndef PAYHOOK_APP_MAILBOX_H
#define PAYHOOK_APP_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct letter {
    struct letter *next; /* private to the mailbox while inside; a list when taken */
    uint32_t weight;     /* what it counts against the capacity; at least 1 */
};

struct mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct letter *first, *last;
    uint64_t weight, capacity;
    int wake_fd; /* an eventfd to write when it becomes non-empty; -1: the reader waits in mailbox_wait */
    bool closed;
};

void mailbox_init(struct mailbox *mailbox, uint64_t capacity, int wake_fd);
void mailbox_done(struct mailbox *mailbox);

/* False where it would overflow, or is closed: the letter stays the sender's. An empty mailbox takes one letter of any
 * weight. */
bool mailbox_put(struct mailbox *mailbox, struct letter *letter);
/* Puts a whole list (linked by next) whatever the capacity: for letters that come back to where they were counted. */
void mailbox_put_list(struct mailbox *mailbox, struct letter *first, struct letter *last);
/* All that is there up to weight_max (at least one letter), linked by next; NULL where there is none. */
struct letter *mailbox_take(struct mailbox *mailbox, uint64_t weight_max);
/* The same, but waits; NULL only when closed and empty. Many threads may wait. */
struct letter *mailbox_wait(struct mailbox *mailbox, uint64_t weight_max);
/* What is in it now. */
uint64_t mailbox_weight(struct mailbox *mailbox);
/* Nothing more may be put (put_list may); who waits is woken. */
void mailbox_close(struct mailbox *mailbox);

#endif
