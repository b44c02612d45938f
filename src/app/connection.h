/* SPDX-License-Identifier: Apache-2.0 */
/* One client's connection, within its I/O thread: reads requests, one at a time, hands the accepted ones to the keeper,
 * writes replies, and closes in a way that lets the client see the last one. Deadlines bound the head, the body, the
 * reply and idleness. */
#ifndef PAYHOOK_APP_CONNECTION_H
#define PAYHOOK_APP_CONNECTION_H

#include "app/listener.h"
#include "app/log.h"
#include "app/metrics.h"
#include "app/slot.h"
#include "app/tls.h"

#include <event2/event.h>

/* An I/O thread, as its connections see it. */
struct io_thread {
    struct io_shared *shared;
    struct event_base *base;
    struct mailbox inbox;
    struct message drain_message; /* here, so that stopping needs no memory */
    struct config *config;
    struct tls *tls; /* for new connections; NULL: they are plain */
    struct metrics *metrics;
    struct connection *connections; /* all of them, a list */
    uint32_t connection_count, connections_max;
    bool draining;
    bool accept_paused;
    struct pools pools;
    int64_t date_s; /* the second that date_line holds */
    char date_line[64];
    struct log_buffer log;
    struct event *accept_event, *wake_event, *drain_timer, *accept_timer;
    int wake_fd;
    int spare_fd; /* given up for a moment when descriptors run out */
    pthread_t pthread;
};

/* Takes over the descriptor; closes it where there is no memory. */
void connection_open(struct io_thread *thread, int fd);
/* A slot came back from the keeper. */
void connection_resume(struct slot *slot);
/* The thread drains: an idle connection closes now, any other after its reply. */
void connection_drain(struct connection *connection);
/* Closes at once, unless the keeper has its slot: then when that comes back. */
void connection_abort(struct connection *connection);
/* Called by a connection that has gone. */
void io_thread_connection_closed(struct io_thread *thread);
struct connection *connection_next(const struct connection *connection);

#endif
