/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of host names for net/client. The one file that names libevent's resolver. */
#ifndef PAYHOOK_NET_RESOLVE_H
#define PAYHOOK_NET_RESOLVE_H

#include "base/str.h"

struct event_base;

enum { ADDRESSES_MAX = 8, ADDRESS_TEXT_SIZE = 46 /* INET6_ADDRSTRLEN */ };
struct addresses {
    char text[ADDRESSES_MAX][ADDRESS_TEXT_SIZE]; /* in the order to be tried: IPv4 first */
    uint32_t count;                              /* 0: the name is not known, or nobody answered */
};
/* What needs no asking: a literal address, and localhost with the names below it (RFC 6761 §6.3). */
bool addresses_known(struct str host, struct addresses *ret_addresses);

struct resolver;
/* Reads the hosts file, and name servers from a file like /etc/resolv.conf. NULL: no memory. */
struct resolver *resolver_open(struct event_base *base, const char *resolv_conf);
/* Lookups that still wait end without a call back. */
void resolver_close(struct resolver *resolver);
typedef void resolver_done(void *context, const struct addresses *addresses);
/* Asks; done may be called before this returns. */
void resolver_start(struct resolver *resolver, struct str host, resolver_done *done, void *context);

#endif
