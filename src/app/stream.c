/* SPDX-License-Identifier: Apache-2.0 */
/* recv and send on the descriptor, or OpenSSL's. */
#include "app/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static enum flow flow_of(enum flow wait) { return errno == EAGAIN || errno == EWOULDBLOCK ? wait : FLOW_BROKEN; }

static enum flow plain_receive(int fd, char *memory, size_t size, size_t *ret_size) {
    ssize_t got;
    do
        got = recv(fd, memory, size, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return flow_of(FLOW_WAIT_READ);
    *ret_size = (size_t)got;
    return got > 0 ? FLOW_DONE : FLOW_END;
}

enum flow stream_receive(const struct stream *stream, char *memory, size_t size, size_t *ret_size) {
    check(size > 0); /* else nothing looks like the end */
    if (stream->tls != NULL) return tls_receive(stream->tls, memory, size, ret_size);
    return plain_receive(stream->fd, memory, size, ret_size);
}

enum flow stream_send(const struct stream *stream, const char *bytes, size_t size, size_t *ret_size) {
    check(size > 0);
    if (stream->tls != NULL) return tls_send(stream->tls, bytes, size, ret_size);
    ssize_t sent;
    do
        sent = send(stream->fd, bytes, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return flow_of(FLOW_WAIT_WRITE);
    *ret_size = (size_t)sent;
    return FLOW_DONE;
}

enum flow stream_end(const struct stream *stream) {
    if (stream->tls != NULL && tls_goodbye(stream->tls) == FLOW_WAIT_WRITE) return FLOW_WAIT_WRITE;
    return shutdown(stream->fd, SHUT_WR) == 0 ? FLOW_DONE : FLOW_BROKEN;
}

enum flow stream_drop(const struct stream *stream, size_t *ret_size) {
    char dropped[16384];
    return plain_receive(stream->fd, dropped, sizeof dropped, ret_size); /* of TLS too: nobody reads it */
}

void stream_close(struct stream *stream) {
    tls_session_close(stream->tls);
    (void)close(stream->fd); /* nothing is left to be lost: replies were handed to the kernel, or the client is gone */
}
