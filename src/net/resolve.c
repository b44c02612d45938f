/* SPDX-License-Identifier: Apache-2.0 */
/* libevent's resolver, so that names are looked up beside everything else and under the same deadlines: getaddrinfo
 * would hold the thread. Hosts file first, then the name servers of resolv.conf over UDP.
 *
 * It does not know nsswitch, and keeps no answers: net/client keeps them for a moment. */
#include "net/resolve.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <sys/queue.h>

TAILQ_HEAD(lookup_queue, lookup);

struct lookup {
    TAILQ_ENTRY(lookup) next;
    struct resolver *resolver;
    struct evdns_getaddrinfo_request *request; /* NULL until the resolver has given it */
    resolver_done *done;                       /* NULL: nobody waits any more */
    void *context;
};

struct resolver {
    struct event_base *base;
    struct evdns_base *dns;
    struct lookup_queue lookups;
};

static void add_address(struct addresses *addresses, int family, const void *address) {
    if (addresses->count == ADDRESSES_MAX) return;
    check(inet_ntop(family, address, addresses->text[addresses->count], ADDRESS_TEXT_SIZE) != NULL);
    addresses->count++;
}

bool addresses_known(struct str host, struct addresses *ret_addresses) {
    static const struct str localhost = {"localhost", 9};
    char text[ADDRESS_TEXT_SIZE];
    unsigned char address[16];
    struct addresses found = {0};
    if (str_eq_nocase(host, localhost) || (host.len > 10 && host.ptr[host.len - 10] == '.' &&
                                           str_eq_nocase(str_from_index(host, host.len - 9), localhost))) {
        add_address(&found, AF_INET, &(struct in_addr){htonl(INADDR_LOOPBACK)});
        add_address(&found, AF_INET6, &in6addr_loopback);
    } else if (host.len > 0 && host.len < sizeof text) {
        memcpy(text, host.ptr, host.len);
        text[host.len] = '\0';
        for (int i = 0; i < 2 && found.count == 0; i++) {
            int family = i == 0 ? AF_INET : AF_INET6;
            if (inet_pton(family, text, address) == 1) add_address(&found, family, address);
        }
    }
    if (found.count == 0) return false;
    *ret_addresses = found;
    return true;
}

struct resolver *resolver_open(struct event_base *base, const char *resolv_conf) {
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) return NULL;
    resolver->base = base;
    TAILQ_INIT(&resolver->lookups);
    resolver->dns = evdns_base_new(base, 0);
    if (resolver->dns == NULL) {
        free(resolver);
        return NULL;
    }
    /* Seconds; resolv.conf may say otherwise. The second is how long an answer to one family waits for the other's.
     * What a broken or missing file leaves is its default, 127.0.0.1: names then are not found, which is said where it
     * matters. */
    (void)evdns_base_set_option(resolver->dns, "timeout:", "2");
    (void)evdns_base_set_option(resolver->dns, "getaddrinfo-allow-skew:", "0.5");
    (void)evdns_base_resolv_conf_parse(resolver->dns, DNS_OPTIONS_ALL, resolv_conf);
    return resolver;
}

static void lookup_free(struct lookup *lookup) {
    TAILQ_REMOVE(&lookup->resolver->lookups, lookup, next);
    free(lookup);
}

void resolver_close(struct resolver *resolver) {
    if (resolver == NULL) return;
    struct lookup *lookup, *after;
    for (lookup = TAILQ_FIRST(&resolver->lookups); lookup != NULL; lookup = after) {
        after = TAILQ_NEXT(lookup, next);
        lookup->done = NULL;
        if (lookup->request != NULL) evdns_getaddrinfo_cancel(lookup->request);
    }
    /* What was cancelled ends in a turn of the loop, while the resolver is still there. */
    for (int turns = 0; turns < 4 && !TAILQ_EMPTY(&resolver->lookups); turns++)
        (void)event_base_loop(resolver->base, EVLOOP_NONBLOCK); /* whether events are left does not matter */
    check(TAILQ_EMPTY(&resolver->lookups));
    evdns_base_free(resolver->dns, 0);
    free(resolver);
}

static void on_found(int failed, struct evutil_addrinfo *list, void *context) {
    struct lookup *lookup = context;
    struct addresses found = {0};
    for (int i = 0; i < 2 && failed == 0; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        for (const struct evutil_addrinfo *at = list; at != NULL; at = at->ai_next) {
            if (at->ai_family != family) continue;
            if (family == AF_INET)
                add_address(&found, family, &((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_addr);
            else
                add_address(&found, family, &((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_addr);
        }
    }
    if (list != NULL) evutil_freeaddrinfo(list);
    resolver_done *done = lookup->done;
    void *waiting = lookup->context;
    lookup_free(lookup);
    if (done != NULL) done(waiting, &found);
}

void resolver_start(struct resolver *resolver, struct str host, resolver_done *done, void *context) {
    char name[256];
    struct lookup *lookup = host.len < sizeof name ? calloc(1, sizeof *lookup) : NULL;
    if (lookup == NULL) {
        done(context, &(struct addresses){0});
        return;
    }
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    *lookup = (struct lookup){.resolver = resolver, .done = done, .context = context};
    TAILQ_INSERT_TAIL(&resolver->lookups, lookup, next);
    const struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    /* NULL: it has called already, and the lookup is gone. */
    struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(resolver->dns, name, NULL, &hints, on_found, lookup);
    if (request != NULL) lookup->request = request;
}
