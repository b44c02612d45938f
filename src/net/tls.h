/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for net/client: connections whose peer is verified, by chain and by name. The one file that names OpenSSL's TLS.
 */
#ifndef PAYHOOK_NET_TLS_H
#define PAYHOOK_NET_TLS_H

#include "base/err.h"
#include "base/str.h"

struct bufferevent;
struct event_base;

/* What connections share: settings and the trusted authorities. */
struct tls;
/* Reads the bundle of CA certificates: SSL_CERT_FILE, else where Debian, else where Amazon Linux keeps it. */
struct err tls_open(struct tls **ret_tls) MUST_USE;
void tls_close(struct tls *tls);
/* A connection to be made to this host, a name or a literal address. NULL: no memory. */
struct bufferevent *tls_connection(struct tls *tls, struct event_base *base, struct str host);
/* After a failed handshake: true where the peer's certificate was the reason. */
bool tls_distrusted(struct bufferevent *connection);

#endif
