/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting the addresses that operators write: "http://localhost:4566/base", "https://[::1]:8443". */
#ifndef PAYHOOK_NET_URL_H
#define PAYHOOK_NET_URL_H

#include "net/client.h"

struct url {
    struct client_target target;
    struct str authority; /* host[:port] as written */
    struct str path;      /* from its "/" on, or empty */
};
/* http:// or https://, a host, no user name, no query, no fragment. */
bool url_read(struct str text, struct url *ret_url);
/* "host", "host:port", "[address]:port"; the port is 80, or 443 with TLS, unless given. */
bool url_authority_read(struct str authority, bool tls, struct client_target *ret_target);

#endif
