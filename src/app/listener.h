/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O threads: each accepts connections from the shared listening socket and runs them in a libevent loop of its
 * own. They speak with the rest of the program through mailboxes only. */
#ifndef PAYHOOK_APP_LISTENER_H
#define PAYHOOK_APP_LISTENER_H

#include "app/clock.h"
#include "app/metrics.h"
#include "app/slot.h"
#include "app/tls.h"
#include "core/config.h"

struct io_thread;

/* What all I/O threads share. Whoever starts them keeps it until they have ended. */
struct io_shared {
    int listen_fd;
    int ended_fd;           /* an eventfd, to which each thread adds one when it has drained */
    struct mailbox *keeper; /* where accepted requests go */
    bool null_server;       /* the benchmark's: each request is answered 200 at once, and nothing is stored. It is said
                               outright, so that no missing keeper can ever come to mean a 200 */
    struct body_budget budget;
    struct mailbox *clock_reports; /* what stale events say of our clock */
    struct clock_watch *clock;
    atomic_uint_fast64_t next_request_id;
};

/* A listening socket, non-blocking. ret_port is the port it got where 0 was asked for. */
struct err listener_open(const char *host, uint16_t port, int *ret_fd, uint16_t *ret_port) MUST_USE;

/* Starts one thread that may hold connections_max connections. It holds config and tls (NULL: plain connections) until
 * others come. */
struct err io_thread_start(struct io_shared *shared, struct config *config, struct tls *tls, uint32_t connections_max,
                           struct io_thread **ret_thread) MUST_USE;
/* From now on this configuration for new requests, and this certificate for new connections (both held for it). */
void io_thread_use(struct io_thread *thread, struct config *config, struct tls *tls);
/* Accept no more, answer what is in flight, then end, at the latest after DRAIN_MS_MAX. */
void io_thread_drain(struct io_thread *thread);
/* Waits for the end of a drained thread and frees it. */
void io_thread_join(struct io_thread *thread);

struct mailbox *io_thread_inbox(struct io_thread *thread);
/* What it has counted; any thread may read it until the join. */
const struct metrics *io_thread_metrics(const struct io_thread *thread);

#endif
