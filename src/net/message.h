/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as net/client sends them. */
#ifndef PAYHOOK_NET_MESSAGE_H
#define PAYHOOK_NET_MESSAGE_H

#include "codec/request.h"

/* Whether HTTP can carry it: a known method, a target, no line breaks and NULs. */
bool message_is_sendable(const struct http_request *request);
/* At least the bytes of the head of such a request. */
size_t message_head_size(const struct http_request *request);
/* The head of such a request: its method, target and headers as they are, and content-length where it has none of its
 * own. */
void message_head_write(struct writer *w, const struct http_request *request);

#endif
