/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex, a condition and a linked list. The mutex is held for a few instructions; nothing is called under it that
 * could wait. */
#include "app/mailbox.h"

#include "base/err.h"

#include <errno.h>
#include <unistd.h>

void mailbox_init(struct mailbox *mailbox, uint64_t capacity, int wake_fd) {
    *mailbox = (struct mailbox){.capacity = capacity, .wake_fd = wake_fd};
    check(pthread_mutex_init(&mailbox->mutex, NULL) == 0);
    check(pthread_cond_init(&mailbox->filled, NULL) == 0);
}

void mailbox_done(struct mailbox *mailbox) {
    check(mailbox->first == NULL);
    check(pthread_cond_destroy(&mailbox->filled) == 0);
    check(pthread_mutex_destroy(&mailbox->mutex) == 0);
}

static void append(struct mailbox *mailbox, struct letter *first, struct letter *last, uint64_t weight) {
    if (mailbox->last == NULL)
        mailbox->first = first;
    else
        mailbox->last->next = first;
    mailbox->last = last;
    mailbox->weight += weight;
}

static void wake(const struct mailbox *mailbox) {
    if (mailbox->wake_fd < 0) return;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(mailbox->wake_fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    check(written == sizeof one || errno == EAGAIN); /* EAGAIN: the counter is full, so the reader is awake anyway */
}

bool mailbox_put(struct mailbox *mailbox, struct letter *letter) {
    check(letter->weight > 0);
    letter->next = NULL;
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    bool was_empty = mailbox->first == NULL;
    bool fits = !mailbox->closed && (was_empty || mailbox->weight + letter->weight <= mailbox->capacity);
    if (fits) append(mailbox, letter, letter, letter->weight);
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    if (fits && was_empty) {
        if (mailbox->wake_fd < 0) check(pthread_cond_signal(&mailbox->filled) == 0);
        wake(mailbox);
    }
    return fits;
}

void mailbox_put_list(struct mailbox *mailbox, struct letter *first, struct letter *last) {
    uint64_t weight = 0;
    last->next = NULL;
    for (const struct letter *letter = first; letter != NULL; letter = letter->next)
        weight += letter->weight;
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    bool was_empty = mailbox->first == NULL;
    append(mailbox, first, last, weight);
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    if (was_empty) {
        if (mailbox->wake_fd < 0) check(pthread_cond_signal(&mailbox->filled) == 0);
        wake(mailbox);
    }
}

/* Under the mutex. */
static struct letter *detach(struct mailbox *mailbox, uint64_t weight_max) {
    struct letter *first = mailbox->first;
    if (first == NULL) return NULL;
    struct letter *last = first;
    uint64_t weight = first->weight;
    while (last->next != NULL && weight + last->next->weight <= weight_max) {
        last = last->next;
        weight += last->weight;
    }
    mailbox->first = last->next;
    if (mailbox->first == NULL) mailbox->last = NULL;
    mailbox->weight -= weight;
    last->next = NULL;
    return first;
}

struct letter *mailbox_take(struct mailbox *mailbox, uint64_t weight_max) {
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    struct letter *first = detach(mailbox, weight_max);
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    return first;
}

struct letter *mailbox_wait(struct mailbox *mailbox, uint64_t weight_max) {
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    while (mailbox->first == NULL && !mailbox->closed)
        check(pthread_cond_wait(&mailbox->filled, &mailbox->mutex) == 0);
    struct letter *first = detach(mailbox, weight_max);
    bool more = mailbox->first != NULL;
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    if (more) check(pthread_cond_signal(&mailbox->filled) == 0); /* whoever else waits takes of the rest */
    return first;
}

uint64_t mailbox_weight(struct mailbox *mailbox) {
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    uint64_t weight = mailbox->weight;
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    return weight;
}

void mailbox_close(struct mailbox *mailbox) {
    check(pthread_mutex_lock(&mailbox->mutex) == 0);
    mailbox->closed = true;
    check(pthread_cond_broadcast(&mailbox->filled) == 0);
    check(pthread_mutex_unlock(&mailbox->mutex) == 0);
    wake(mailbox);
}
