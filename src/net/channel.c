/* SPDX-License-Identifier: Apache-2.0 */
/* libevent's events with recv and send (or OpenSSL's) on the descriptor: sending is tried at once and waited for only
 * where the kernel's buffer is full, and the event for reading stays from the handshake to the end, so that an exchange
 * over a kept connection costs a send, a wait and a recv. (libevent's own HTTP client cost fourteen system calls.)
 * Where nothing else is in flight, a plain connection is waited for by the recv itself.
 *
 * Reading goes on while sending does: a server may answer before it has read all, and then reset the connection. Where
 * sending fails, what came before is still read. */
#include "net/channel.h"

#include "base/os.h"
#include "net/message.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- What is carried ------------------------------------------------------------------------------------- */

/* More room, with what is there. */
static bool grow(char **memory, size_t used, size_t *room, size_t wanted) {
    char *more = malloc(wanted);
    if (more == NULL) return false;
    if (used > 0) memcpy(more, *memory, used);
    if (*memory != NULL) os_wipe(*memory, used);
    free(*memory);
    *memory = more;
    *room = wanted;
    return true;
}

bool transfer_begin(struct transfer *transfer, const struct http_request *request) {
    struct str body = request->body;
    size_t wanted = message_head_size(request);
    /* A small body goes with the head: one copy is cheaper than a second call, and with TLS a second record. */
    bool together = wanted + body.len <= CLIENT_ROOM_SIZE;
    if (together) wanted = CLIENT_ROOM_SIZE;
    if (transfer->out_room < wanted && !grow(&transfer->out, 0, &transfer->out_room, wanted)) return false;
    struct writer w = writer_make(transfer->out, transfer->out_room);
    message_head_write(&w, request);
    if (together) writer_put(&w, body);
    check(!w.overflow);
    transfer->out_size = w.len;
    transfer->rest = together ? STR("") : body;
    transfer->sent_size = transfer->in_size = 0;
    transfer->writing = transfer->sent = transfer->answered = false;
    answer_begin(&transfer->answer, request->method);
    return true;
}

static void empty(char **memory, size_t *used, size_t *room) {
    if (*memory != NULL) os_wipe(*memory, *used);
    *used = 0;
    if (*room <= CLIENT_ROOM_KEPT_SIZE) return;
    free(*memory);
    *memory = NULL;
    *room = 0;
}

void transfer_end(struct transfer *transfer) {
    empty(&transfer->out, &transfer->out_size, &transfer->out_room);
    empty(&transfer->in, &transfer->in_size, &transfer->in_room);
    transfer->writing = transfer->sent = transfer->answered = false;
}

void transfer_done(struct transfer *transfer) {
    transfer_end(transfer);
    free(transfer->out);
    free(transfer->in);
    *transfer = (struct transfer){.out = NULL};
}

/* -- The descriptor -------------------------------------------------------------------------------------- */

static enum net_flow flow_of_errno(enum net_flow wait) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? wait : NET_BROKEN;
}

/* waits: for CHANNEL_WAIT_MS at most, where nothing is there; only where the channel may. */
static enum net_flow receive_some(const struct channel *channel, bool waits, char *memory, size_t size,
                                  size_t *ret_size) {
    if (channel->peer != NULL) return tls_peer_receive(channel->peer, memory, size, ret_size);
    ssize_t got;
    do
        got = recv(channel->fd, memory, size, waits ? 0 : MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) return flow_of_errno(NET_WAIT_READ);
    *ret_size = (size_t)got;
    return got > 0 ? NET_DONE : NET_END;
}

static enum net_flow send_some(const struct channel *channel, struct str bytes, size_t *ret_size) {
    if (channel->peer != NULL) return tls_peer_send(channel->peer, bytes.ptr, bytes.len, ret_size);
    ssize_t sent;
    do
        sent = send(channel->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return flow_of_errno(NET_WAIT_WRITE);
    *ret_size = (size_t)sent;
    return NET_DONE;
}

/* -1: it cannot be reached. */
static int begin_connecting(const char *address, uint16_t port, bool *ret_connected) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    if (!is_v4) check(inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1; /* best effort: it only saves time */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int result =
        connect(fd, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6);
    *ret_connected = result == 0;
    if (result == 0 || errno == EINPROGRESS) return fd;
    (void)close(fd); /* nothing was sent */
    return -1;
}

static bool has_connected(int fd) {
    int fault = 0;
    socklen_t size = sizeof fault;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0;
}

/* From here on its calls say themselves whether they wait. With TLS they are OpenSSL's, and may not. */
static bool let_wait(int fd) {
    const struct timeval limit = {.tv_sec = CHANNEL_WAIT_MS / 1000, .tv_usec = CHANNEL_WAIT_MS % 1000 * 1000};
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
           fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

/* Waits for what a call wants; an event that is waited for already stays. */
static void wait_for(struct channel *channel, enum net_flow flow) {
    check(event_add(flow == NET_WAIT_WRITE ? channel->writable : channel->readable, NULL) == 0);
}

/* -- From the handshake to the answer -------------------------------------------------------------------- */

static void fail(struct channel *channel) {
    const struct transfer *transfer = channel->transfer;
    const char *where = !transfer->writing   ? "reach the server"
                        : transfer->answered ? "read the answer to its end"
                                             : "get an answer: the connection broke off";
    channel->calls->ended(channel, err_make(ERR_NETWORK, 0, where));
}

/* Sends what can be sent now. A failure is told by reading, since an answer may have come before it. */
static void send_on(struct channel *channel) {
    struct transfer *transfer = channel->transfer;
    bool begins = !transfer->writing;
    transfer->writing = true;
    size_t whole = transfer->out_size + transfer->rest.len;
    enum net_flow flow = NET_DONE;
    while (flow == NET_DONE && transfer->sent_size < whole) {
        size_t at = transfer->sent_size, some = 0;
        struct str bytes = at < transfer->out_size ? str_make(transfer->out + at, transfer->out_size - at)
                                                   : str_from_index(transfer->rest, at - transfer->out_size);
        flow = send_some(channel, bytes, &some);
        if (flow == NET_DONE) transfer->sent_size += some;
    }
    transfer->sent = transfer->sent_size == whole;
    if (flow == NET_WAIT_READ || flow == NET_WAIT_WRITE) {
        wait_for(channel, flow);
    } else if (flow != NET_DONE) {
        channel->mute = true;
        event_active(channel->readable, EV_READ, 0);
    }
    if (begins || transfer->sent) channel->calls->moved(channel);
}

/* Takes what has come. The connection may be gone afterwards. */
static void receive(struct channel *channel, bool waits) {
    struct transfer *transfer = channel->transfer;
    bool begins = false;
    for (bool going_on = true; going_on;) {
        if (transfer->in_size == transfer->in_room) {
            size_t wanted = transfer->in_room > 0 ? 2 * transfer->in_room : CLIENT_ROOM_SIZE;
            if (!grow(&transfer->in, transfer->in_size, &transfer->in_room, wanted)) {
                channel->calls->ended(channel, err_make(ERR_MEMORY, ENOMEM, "read the answer"));
                return;
            }
        }
        size_t room = transfer->in_room - transfer->in_size, got = 0;
        enum net_flow flow = receive_some(channel, waits, transfer->in + transfer->in_size, room, &got);
        if (flow == NET_WAIT_READ || flow == NET_WAIT_WRITE) {
            wait_for(channel, flow);
            break;
        }
        if (flow == NET_BROKEN) {
            fail(channel);
            return;
        }
        waits = false;
        begins = begins || !transfer->answered;
        transfer->answered = transfer->answered || got > 0;
        transfer->in_size += got;
        enum answer_result result = answer_read(&transfer->answer, transfer->in, &transfer->in_size, flow == NET_END);
        if (result == ANSWER_OK) {
            channel->calls->ended(channel, err_ok());
            return;
        }
        if (result == ANSWER_BROKEN) {
            if (flow == NET_END)
                fail(channel);
            else
                channel->calls->ended(channel, err_make(ERR_NETWORK, 0, "make sense of the answer"));
            return;
        }
        going_on = channel->peer != NULL || got == room; /* else the kernel has no more, or will say so */
    }
    if (channel->mute)
        fail(channel);
    else if (begins && transfer->answered)
        channel->calls->moved(channel);
}

/* On to the end of the handshake, and to sending. False: in vain. */
static bool advance(struct channel *channel) {
    if (channel->broken) return false;
    if (!channel->connected && !has_connected(channel->fd)) return false;
    channel->connected = true;
    enum net_flow flow = channel->peer != NULL ? tls_peer_greet(channel->peer) : NET_DONE;
    if (flow == NET_END || flow == NET_BROKEN) return false;
    if (flow == NET_DONE) {
        channel->standing = true;
        channel->may_wait = channel->peer == NULL && let_wait(channel->fd);
        wait_for(channel, NET_WAIT_READ); /* from here on, always */
        send_on(channel);
    } else {
        wait_for(channel, flow);
    }
    return true;
}

static void on_ready(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct channel *channel = context;
    if (channel->transfer == NULL) {
        if (!channel_is_quiet(channel)) channel->calls->lost(channel);
    } else if (!channel->standing) {
        if (!advance(channel)) fail(channel);
    } else {
        if (!channel->transfer->sent && !channel->mute) send_on(channel);
        receive(channel, false);
    }
}

/* -- Connections ----------------------------------------------------------------------------------------- */

struct channel *channel_open(struct event_base *base, struct tls *tls, struct str host, const char *address,
                             uint16_t port, const struct channel_calls *calls) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) return NULL;
    channel->calls = calls;
    channel->fd = begin_connecting(address, port, &channel->connected);
    channel->broken = channel->fd < 0;
    channel->readable = event_new(base, channel->fd, EV_READ | EV_PERSIST, on_ready, channel);
    channel->writable = event_new(base, channel->fd, EV_WRITE, on_ready, channel);
    if (tls != NULL && !channel->broken) channel->peer = tls_peer_open(tls, channel->fd, host);
    if (channel->readable != NULL && channel->writable != NULL &&
        (tls == NULL || channel->broken || channel->peer != NULL))
        return channel;
    channel_close(channel);
    return NULL;
}

void channel_close(struct channel *channel) {
    if (channel->readable != NULL) event_free(channel->readable);
    if (channel->writable != NULL) event_free(channel->writable);
    tls_peer_close(channel->peer);
    if (channel->fd >= 0) (void)close(channel->fd); /* what matters was answered, or has failed already */
    free(channel);
}

void channel_carry(struct channel *channel, struct transfer *transfer) {
    check(channel->transfer == NULL);
    channel->transfer = transfer;
    if (channel->standing) {
        send_on(channel);
    } else if (!channel->broken && !channel->connected) {
        wait_for(channel, NET_WAIT_WRITE);
    } else if (!advance(channel)) {
        channel->broken = true;
        event_active(channel->writable, EV_WRITE, 0);
    }
}

bool channel_wait(struct channel *channel) {
    if (!channel->may_wait || !channel->transfer->sent || channel->mute) return false;
    receive(channel, true);
    return true;
}

bool channel_rest(struct channel *channel) {
    const struct transfer *transfer = channel->transfer;
    bool good = transfer->sent && !channel->mute && transfer->answer.keep_alive && !transfer->answer.more;
    channel->transfer = NULL;
    channel->kept = true;
    if (good && channel->peer != NULL && tls_peer_has_pending(channel->peer)) good = channel_is_quiet(channel);
    return good;
}

bool channel_is_quiet(const struct channel *channel) {
    char byte;
    size_t size;
    /* Messages of TLS's own are read and acted upon. Of a plain one nothing need be taken: what is there condemns it.
     */
    return receive_some(channel, false, &byte, 1, &size) == NET_WAIT_READ;
}

bool channel_is_distrusted(const struct channel *channel) {
    return channel->peer != NULL && tls_peer_is_distrusted(channel->peer);
}
