/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 answers, for a client (RFC 9112): the strict reader of what a server sends back to one request. Pure
 * functions: no socket, no clock, no allocation. */
#ifndef PAYHOOK_CODEC_ANSWER_H
#define PAYHOOK_CODEC_ANSWER_H

#include "codec/http1.h"

enum answer_result {
    ANSWER_OK,     /* it is all there */
    ANSWER_MORE,   /* not yet: call again with more bytes */
    ANSWER_BROKEN, /* it cannot be one, is beyond the limits, or ended too early */
};

struct answer {
    /* After ANSWER_OK. Slices point into the memory of the last call. */
    int status;                                     /* 200 to 999 */
    struct http_header headers[ANSWER_HEADERS_MAX]; /* as received, in order; values without blanks at the ends */
    uint32_t header_count;
    struct str body; /* chunked coding taken off */
    bool keep_alive; /* the connection may be used again … */
    bool more;       /* … but for bytes behind the answer, which nobody asked for */

    /* Private. */
    bool is_without_body, has_head;
    const char *read_at; /* where the memory was when the head was read */
    size_t head_begin, scanned, body_begin, body_size;
    uint64_t length;
    int framing;
    struct http1_chunks chunks;
};

/* method: the request's, since HEAD has answers without a body. */
void answer_begin(struct answer *answer, struct str method);
/* Reads on. memory: all bytes since the beginning, *size of them, which may have moved between two calls; where the
 * chunked coding is taken off, in place, *size becomes less. ended: no more will come, and the end was no accident.
 * After ANSWER_OK and ANSWER_BROKEN it may not be called again. */
enum answer_result answer_read(struct answer *answer, char *memory, size_t *size, bool ended);

#endif
