/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP exchanges as a client, many in flight on one thread, with TLS for https (net/tls). Connections are kept and used
 * again. Proxy variables of the environment are ignored, redirects are answers. */
#ifndef PAYHOOK_NET_CLIENT_H
#define PAYHOOK_NET_CLIENT_H

#include "base/err.h"
#include "codec/request.h"

/* The exchanges of one thread. */
struct client;
/* Opens no socket and reads no file: names, certificates and TLS are set up when first needed. */
struct err client_open(struct writer *message, struct client **ret_client) MUST_USE;
/* Exchanges and calls that still wait are dropped without a call back. Never from within one. */
void client_close(struct client *client);

struct client_target {
    bool tls;
    struct str host; /* a name or a literal address, without brackets */
    uint16_t port;
};

/* Milliseconds; 0: no limit (the Runtime API's next). */
struct client_timeouts {
    uint32_t connect_ms;    /* name, connection and handshake */
    uint32_t first_byte_ms; /* from the request sent to the first byte of the answer */
    uint32_t whole_ms;      /* from the start to the last byte */
    bool once;              /* a kept connection that turns out to be dead is not replaced: the exchange fails */
};

struct client_response {
    int status;                        /* 0: there was no answer */
    const struct http_header *headers; /* as received, in order */
    uint32_t header_count;
    struct str body;
    bool ambiguous; /* bytes of the request were sent and no answer came to them: it may have been carried out (beside
                       the one answered, where there is an answer) */
};
/* The first header of this name; STR_NONE where there is none. */
struct str client_header(const struct client_response *response, struct str name);

/* failure: ERR_NETWORK (refused, reset, broken off, not to be trusted), ERR_TIMEOUT, ERR_MEMORY, ERR_INPUT (a request
 * that HTTP cannot carry). The response is never NULL, and valid during the call only. */
typedef void client_done(void *context, struct err failure, const struct client_response *response);

/* Starts an exchange: sends the request (method, target, its headers as they are and Host among them, body;
 * content-length is added). All slices must live until done is called, which never happens before this returns. A kept
 * connection that turns out to be dead before the first byte of an answer is replaced once. */
void client_start(struct client *client, const struct client_target *target, const struct http_request *request,
                  struct client_timeouts timeouts, client_done *done, void *context);
/* Calls back after some milliseconds. */
void client_after(struct client *client, uint32_t ms, void (*call)(void *context), void *context);
/* Runs until nothing is in flight and no call waits. Never from within a call back. */
void client_run(struct client *client);

/* One exchange, waited for; others go on meanwhile. The response is valid until client_exchange is called again. Never
 * from within a call back. */
struct err client_exchange(struct client *client, const struct client_target *target,
                           const struct http_request *request, struct client_timeouts timeouts,
                           const struct client_response **ret_response) MUST_USE;

#endif
