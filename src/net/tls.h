/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for net/client: connections whose peer is verified, by chain and by name. The one file that names OpenSSL's TLS.
 */
#ifndef PAYHOOK_NET_TLS_H
#define PAYHOOK_NET_TLS_H

#include "base/err.h"
#include "base/str.h"

/* What became of a read, a write or a handshake; of a plain connection too (net/channel). */
enum net_flow {
    NET_DONE,       /* it went: some bytes, or the whole handshake */
    NET_WAIT_READ,  /* not now: try again when the descriptor can be read */
    NET_WAIT_WRITE, /* not now: try again when it can be written */
    NET_END,        /* the peer has said good-bye */
    NET_BROKEN,     /* nothing goes any more */
};

/* What connections share: settings and the trusted authorities. */
struct tls;
/* Reads the bundle of CA certificates: SSL_CERT_FILE, else where Debian, else where Amazon Linux keeps it. */
struct err tls_open(struct tls **ret_tls) MUST_USE;
void tls_close(struct tls *tls);

/* One connection. */
struct tls_peer;
/* Over a descriptor that is not blocking, stays the caller's, and leads to this host, a name or a literal address.
 * NULL: no memory. */
struct tls_peer *tls_peer_open(struct tls *tls, int fd, struct str host);
/* Says good-bye where that needs no waiting. Accepts NULL. */
void tls_peer_close(struct tls_peer *peer);
/* NET_DONE: the peer is who it should be. */
enum net_flow tls_peer_greet(struct tls_peer *peer);
/* size is never 0. */
enum net_flow tls_peer_receive(struct tls_peer *peer, char *memory, size_t size, size_t *ret_size);
enum net_flow tls_peer_send(struct tls_peer *peer, const char *bytes, size_t size, size_t *ret_size);
/* Bytes wait in memory, of which the descriptor will not tell. */
bool tls_peer_has_pending(const struct tls_peer *peer);
/* After NET_BROKEN: true where the peer's certificate was the reason. */
bool tls_peer_is_distrusted(const struct tls_peer *peer);

#endif
