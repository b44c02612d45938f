/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection, plain or in TLS: the same two calls for both. */
#ifndef PAYHOOK_APP_STREAM_H
#define PAYHOOK_APP_STREAM_H

#include "app/tls.h"

struct stream {
    int fd;
    struct tls_session *tls; /* NULL: plain */
};

/* size is never 0. Plain, these wait for nothing but what they are named after. */
enum flow stream_receive(const struct stream *stream, char *memory, size_t size, size_t *ret_size);
enum flow stream_send(const struct stream *stream, const char *bytes, size_t size, size_t *ret_size);
/* After the last stream_send: no more will come from us. FLOW_WAIT_WRITE: call it again; FLOW_BROKEN: the peer has
 * gone. */
enum flow stream_end(const struct stream *stream);
/* Drops what comes after stream_end. ret_size is how much. */
enum flow stream_drop(const struct stream *stream, size_t *ret_size);
/* Closes the descriptor. */
void stream_close(struct stream *stream);

/* Bytes wait in memory, of which the descriptor will not tell. */
static inline bool stream_has_pending(const struct stream *stream) {
    return stream->tls != NULL && tls_has_pending(stream->tls);
}
/* Anything can be said to the peer. */
static inline bool stream_is_open(const struct stream *stream) {
    return stream->tls == NULL || tls_is_open(stream->tls);
}

#endif
