/* SPDX-License-Identifier: Apache-2.0 */
/* I/O threads over one listening socket. Each takes a few connections whenever it is told of some, so that they spread;
 * when it holds its share, or descriptors run out, it leaves new ones in the kernel's queue. */
#include "app/listener.h"

#include "app/connection.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 4,
    LISTEN_QUEUE = 4096,
    ACCEPT_PAUSE_US = 100000,
    CALLBACKS_AT_ONCE = 256, /* then the descriptors are looked at again: a connection whose bytes wait in memory makes
                                itself active over and over */
};

struct io_command {
    struct message message;
    struct config *config; /* MESSAGE_CONFIG: held, */
    struct tls *tls;       /* and this */
};

struct err listener_open(const char *host, uint16_t port, int *ret_fd, uint16_t *ret_port) {
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *address;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (getaddrinfo(host, service, &hints, &address) != 0)
        return err_make(ERR_INPUT, 0, "listen: the address is not a literal one");
    int one = 1;
    struct err result = err_ok();
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* SO_REUSEADDR but not SO_REUSEPORT: a second server on the address must fail, not share. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_QUEUE) != 0)
        result = err_make(errno == EADDRINUSE ? ERR_BUSY : ERR_SYSTEM, errno, "listen");
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {0}};
    socklen_t size = sizeof bound;
    if (!err_is(result) && getsockname(fd, &bound.any, &size) != 0) result = err_make(ERR_SYSTEM, errno, "listen");
    freeaddrinfo(address);
    if (err_is(result)) {
        if (fd >= 0) (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return result;
}

/* ---- accepting ---- */

static void accept_pause(struct io_thread *thread, bool for_a_moment) {
    if (thread->accept_paused || thread->draining) return;
    const struct timeval pause = {.tv_sec = 0, .tv_usec = ACCEPT_PAUSE_US};
    if (for_a_moment && event_add(thread->accept_timer, &pause) != 0) return; /* no memory: nothing would end it */
    thread->accept_paused = true;
    check(event_del(thread->accept_event) == 0);
}

static void accept_resume(struct io_thread *thread) {
    if (!thread->accept_paused || thread->draining || thread->connection_count >= thread->connections_max) return;
    thread->accept_paused = false;
    check(event_add(thread->accept_event, NULL) == 0);
}

/* No descriptor is left: gives up the spare one to take a client and close it, so that it learns at once instead of
 * waiting unheard. */
static void accept_without_descriptor(struct io_thread *thread) {
    if (thread->spare_fd >= 0) {
        (void)close(thread->spare_fd);
        int fd = accept4(thread->shared->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) (void)close(fd);
        thread->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    accept_pause(thread, true);
}

/* True where there may be more to accept. */
static bool accept_one(struct io_thread *thread) {
    int fd = accept4(thread->shared->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            accept_without_descriptor(thread);
        return errno == ECONNABORTED || errno == EINTR;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* slower without, not wrong */
    connection_open(thread, fd);
    return true;
}

static void on_acceptable(evutil_socket_t fd, short what, void *context) {
    struct io_thread *thread = context;
    (void)fd, (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        if (thread->connection_count >= thread->connections_max) {
            accept_pause(thread, false);
            return;
        }
        if (!accept_one(thread)) return;
    }
}

static void on_accept_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    accept_resume(context);
}

void io_thread_connection_closed(struct io_thread *thread) {
    check(thread->connection_count > 0);
    thread->connection_count--;
    metrics_connections(thread->metrics, thread->connection_count);
    if (!event_pending(thread->accept_timer, EV_TIMEOUT, NULL)) accept_resume(thread);
}

/* ---- messages ---- */

static void drain(struct io_thread *thread) {
    if (thread->draining) return;
    if (!thread->accept_paused) check(event_del(thread->accept_event) == 0);
    /* Who is in the kernel's queue has been told "connected": closing the socket would reset them. */
    while (thread->connection_count < thread->connections_max && accept_one(thread))
        continue;
    /* Nobody else is let in, not even into the queue. The descriptor is shared: the second thread finds it done. */
    if (shutdown(thread->shared->listen_fd, SHUT_RD) != 0) check(errno == ENOTCONN || errno == EINVAL);
    thread->draining = true;
    for (struct connection *c = thread->connections, *next; c != NULL; c = next) {
        next = connection_next(c);
        connection_drain(c);
    }
    const struct timeval limit = {.tv_sec = DRAIN_MS_MAX / 1000, .tv_usec = DRAIN_MS_MAX % 1000 * 1000};
    check(event_add(thread->drain_timer, &limit) == 0);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *context) {
    struct io_thread *thread = context;
    (void)fd, (void)what;
    if (!thread->draining) return;
    for (struct connection *c = thread->connections, *next; c != NULL; c = next) {
        next = connection_next(c);
        connection_abort(c);
    }
}

static void take(struct io_thread *thread, struct message *message) {
    struct io_command *command = (struct io_command *)(void *)message;
    switch (message->kind) {
    case MESSAGE_SLOT: connection_resume((struct slot *)(void *)message); return;
    case MESSAGE_CONFIG:
        config_release(thread->config);
        tls_release(thread->tls);
        thread->config = command->config;
        thread->tls = command->tls;
        break;
    case MESSAGE_DRAIN: drain(thread); return;
    }
    free(command);
}

static void on_wake(evutil_socket_t fd, short what, void *context) {
    struct io_thread *thread = context;
    (void)what;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0) check(errno == EAGAIN || errno == EINTR);
    struct letter *letter = mailbox_take(&thread->inbox, UINT64_MAX);
    for (struct letter *next; letter != NULL; letter = next) {
        next = letter->next;
        take(thread, (struct message *)(void *)letter);
    }
}

static void *thread_main(void *context) {
    struct io_thread *thread = context;
    while (!(thread->draining && thread->connection_count == 0)) {
        check(event_base_loop(thread->base, EVLOOP_ONCE) >= 0);
        log_flush(&thread->log);
    }
    uint64_t one = 1;
    check(write(thread->shared->ended_fd, &one, sizeof one) == sizeof one);
    return NULL;
}

/* ---- from outside ---- */

static void thread_free(struct io_thread *thread) {
    struct event *events[] = {thread->accept_event, thread->wake_event, thread->drain_timer, thread->accept_timer};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i] != NULL) event_free(events[i]);
    if (thread->base != NULL) event_base_free(thread->base);
    if (thread->wake_fd >= 0) (void)close(thread->wake_fd);
    if (thread->spare_fd >= 0) (void)close(thread->spare_fd);
    pools_done(&thread->pools);
    mailbox_done(&thread->inbox);
    config_release(thread->config);
    tls_release(thread->tls);
    metrics_close(thread->metrics);
    free(thread);
}

static struct event_base *base_make(void) {
    struct event_config *options = event_config_new();
    if (options == NULL) return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        event_config_set_max_dispatch_interval(options, NULL, CALLBACKS_AT_ONCE, 0) == 0)
        base = event_base_new_with_config(options);
    event_config_free(options);
    return base;
}

struct err io_thread_start(struct io_shared *shared, struct config *config, struct tls *tls, uint32_t connections_max,
                           struct io_thread **ret_thread) {
    check(shared->null_server == (shared->keeper == NULL));
    struct io_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) return err_make(ERR_MEMORY, ENOMEM, "start an I/O thread");
    thread->shared = shared;
    thread->config = config_hold(config);
    thread->tls = tls_hold(tls);
    thread->metrics = metrics_open();
    thread->connections_max = connections_max;
    thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mailbox_init(&thread->inbox, UINT64_MAX, thread->wake_fd);
    struct err failure = err_make(ERR_SYSTEM, errno, "start an I/O thread");
    thread->base = base_make();
    if (thread->wake_fd >= 0 && thread->base != NULL && thread->metrics != NULL) {
        thread->accept_event = event_new(thread->base, shared->listen_fd, EV_READ | EV_PERSIST, on_acceptable, thread);
        thread->wake_event = event_new(thread->base, thread->wake_fd, EV_READ | EV_PERSIST, on_wake, thread);
        thread->drain_timer = event_new(thread->base, -1, 0, on_drain_timer, thread);
        thread->accept_timer = event_new(thread->base, -1, 0, on_accept_timer, thread);
    }
    /* Its place is taken now and only moved when the thread drains, so that stopping needs no memory. */
    const struct timeval reserved = {.tv_sec = 10 * 365 * 86400};
    bool ready = thread->accept_event != NULL && thread->wake_event != NULL && thread->drain_timer != NULL &&
                 thread->accept_timer != NULL && event_add(thread->accept_event, NULL) == 0 &&
                 event_add(thread->wake_event, NULL) == 0 && event_add(thread->drain_timer, &reserved) == 0;
    int failed = ready ? pthread_create(&thread->pthread, NULL, thread_main, thread) : 0;
    if (!ready || failed != 0) {
        if (failed != 0) failure.sys = failed;
        thread_free(thread);
        return failure;
    }
    *ret_thread = thread;
    return err_ok();
}

static void send_command(struct io_thread *thread, enum message_kind kind, struct config *config, struct tls *tls) {
    struct io_command *command = calloc(1, sizeof *command);
    check(command != NULL);
    *command = (struct io_command){.message = {.letter = {.weight = 1}, .kind = kind}, .config = config, .tls = tls};
    check(mailbox_put(&thread->inbox, &command->message.letter));
}

void io_thread_use(struct io_thread *thread, struct config *config, struct tls *tls) {
    send_command(thread, MESSAGE_CONFIG, config_hold(config), tls_hold(tls));
}
void io_thread_drain(struct io_thread *thread) {
    thread->drain_message = (struct message){.letter = {.weight = 1}, .kind = MESSAGE_DRAIN};
    check(mailbox_put(&thread->inbox, &thread->drain_message.letter));
}

void io_thread_join(struct io_thread *thread) {
    check(pthread_join(thread->pthread, NULL) == 0);
    /* A command may have come after the last look. */
    struct letter *letter = mailbox_take(&thread->inbox, UINT64_MAX);
    for (struct letter *next; letter != NULL; letter = next) {
        next = letter->next;
        struct io_command *command = (struct io_command *)(void *)letter;
        check(command->message.kind != MESSAGE_SLOT);
        if (command->message.kind == MESSAGE_DRAIN) continue; /* the thread's own */
        config_release(command->config);
        tls_release(command->tls);
        free(command);
    }
    thread_free(thread);
}

struct mailbox *io_thread_inbox(struct io_thread *thread) {
    return &thread->inbox;
}
const struct metrics *io_thread_metrics(const struct io_thread *thread) { return thread->metrics; }
