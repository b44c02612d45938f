/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP exchange as a client, on libevent's HTTP client; the one file that names it. Waits for the answer: commands
 * use it, the server does not. So far plain HTTP to a literal address. */
#ifndef PAYHOOK_NET_CLIENT_H
#define PAYHOOK_NET_CLIENT_H

#include "base/err.h"
#include "codec/request.h"

struct client_response {
    int status;
    char *memory;       /* everything below lies in it */
    struct str headers; /* "name: value\n" each, as received */
    struct str body;
};

/* Sends the request (all its headers as they are, Host among them; content-length is added) to address:port and waits
 * until the whole answer is there or timeout_s have passed. address: a literal IPv4 or IPv6 address. ERR_NETWORK:
 * refused, reset or broken off; ERR_TIMEOUT. */
struct err client_exchange(const char *address, uint16_t port, const struct http_request *request, int timeout_s,
                           struct client_response *ret_response) MUST_USE;
void client_response_done(struct client_response *response);

#endif
