/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 over a descriptor: the server's certificate and key as one value that outlives a reload, and the
 * session of one connection. Two functions stand in the place of recv and send. */
#ifndef PAYHOOK_APP_TLS_H
#define PAYHOOK_APP_TLS_H

#include "base/err.h"
#include "base/str.h"

struct tls;         /* a certificate and its key; counted, since sessions and threads hold it */
struct tls_session; /* of one connection */

/* Reads both files (PEM; the certificate may be followed by its chain). message: what is wrong and what to do, never
 * a word of the key. */
struct err tls_load(const char *certificate, const char *key, struct writer *message, struct tls **ret_tls) MUST_USE;
struct tls *tls_hold(struct tls *tls);
/* Accepts NULL. */
void tls_release(struct tls *tls);

/* What became of a read or a write. */
enum flow {
    FLOW_DONE,       /* some bytes went */
    FLOW_WAIT_READ,  /* none now: try again when the descriptor can be read */
    FLOW_WAIT_WRITE, /* none now: try again when it can be written */
    FLOW_END,        /* the peer sends no more; it may still listen */
    FLOW_BROKEN,     /* nothing goes any more */
};

/* Over a connected, non-blocking descriptor, which stays the caller's. NULL where there is no memory. The first
 * tls_receive begins the handshake. */
struct tls_session *tls_session_open(struct tls *tls, int fd);
/* Says goodbye where that needs no waiting. Accepts NULL. */
void tls_session_close(struct tls_session *session);

/* size is never 0. */
enum flow tls_receive(struct tls_session *session, char *memory, size_t size, size_t *ret_size);
enum flow tls_send(struct tls_session *session, const char *bytes, size_t size, size_t *ret_size);
/* Says that no more will be sent (close_notify). FLOW_DONE, or FLOW_WAIT_WRITE: call it again. */
enum flow tls_goodbye(struct tls_session *session);
/* Bytes wait in memory, of which the descriptor will not tell. */
bool tls_has_pending(const struct tls_session *session);
/* The handshake is over. Before that nothing can be said to the peer. */
bool tls_is_open(const struct tls_session *session);
/* After FLOW_BROKEN: what the peer did wrong ("http request", "unsupported protocol"), static; NULL where it only went
 * away. */
const char *tls_fault(const struct tls_session *session);

#endif
