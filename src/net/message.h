/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers between our values and those of libevent's HTTP client, for net/client. */
#ifndef PAYHOOK_NET_MESSAGE_H
#define PAYHOOK_NET_MESSAGE_H

#include "net/client.h"

struct evhttp_connection;
struct evhttp_request;

/* Whether HTTP can carry it: a known method, a target, no line breaks and NULs. */
bool message_is_sendable(const struct http_request *request);
/* The request as libevent wants it, its body not copied. NULL: no memory. answered is called with the answer, or with
 * NULL or a status of 0 where there is none. */
struct evhttp_request *message_make(const struct http_request *request,
                                    void (*answered)(struct evhttp_request *answer, void *context), void *context);
/* Gives it to a connection, which owns it from here on. answered may be called within. False: no memory, and it is not.
 */
bool message_send(struct evhttp_connection *connection, struct evhttp_request *message,
                  const struct http_request *request);
/* Fills a response with slices of the answer, and a table of headers that the caller frees (after a failure too). */
struct err message_read(struct evhttp_request *answer, struct http_header **ret_headers,
                        struct client_response *ret_response) MUST_USE;

#endif
