/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 messages (RFC 9112) over a buffer: a strict reader of request heads and chunked bodies, and the writer of
 * replies. Pure functions: no socket, no clock, no allocation.
 *
 * Strict, because what signatures are checked over is exactly what is read here: anything that two programs could read
 * in two ways is refused, and after a refusal the connection cannot be used again. */
#ifndef PAYHOOK_CODEC_HTTP1_H
#define PAYHOOK_CODEC_HTTP1_H

#include "codec/request.h"

enum http1_result {
    HTTP1_OK,
    HTTP1_MORE,            /* not all there yet: call again with more bytes */
    HTTP1_BAD_REQUEST,     /* 400 */
    HTTP1_LENGTH_REQUIRED, /* 411: a POST, PUT or PATCH without a length and not chunked */
    HTTP1_TARGET_TOO_LONG, /* 414 */
    HTTP1_HEAD_TOO_LARGE,  /* 431 */
    HTTP1_CODING_UNKNOWN,  /* 501: a transfer coding but exactly "chunked" */
    HTTP1_VERSION_UNKNOWN, /* 505 */
};

struct http1_head {
    size_t size; /* bytes of the head, its empty line included (and one CRLF before it, where there was one) */
    uint64_t content_length; /* 0 where chunked or absent */
    bool chunked;
    bool expect_continue; /* the client waits for 100 (Continue) before it sends the body that it announced */
    bool keep_alive;      /* by version and Connection (RFC 9112 §9.3) */
    bool is_http10;
};

/* Reads one request head from the beginning of buffer (at most HTTP_HEAD_SIZE_MAX bytes count). scanned: 0 at first;
 * keep it between the calls for one head, so that a head arriving byte by byte is not read anew each time. On HTTP1_OK
 * both outputs are set, the request's slices point into buffer, and its body is empty; on anything else they are
 * unspecified. */
enum http1_result http1_head_read(struct str buffer, size_t *scanned, struct http_request *ret_request,
                                  struct http1_head *ret_head);

/* Takes the chunked coding (RFC 9112 §7.1) off a stream, piece by piece, in place. Zeroed memory is a fresh decoder. */
struct http1_chunks {
    int state;              /* private */
    uint64_t chunk_left;    /* private */
    size_t line_size;       /* private */
    size_t trailer_size;    /* private */
    uint32_t trailer_count; /* private */
};
/* Reads buffer[0..size): the decoded bytes end up at its beginning, *ret_body_size of them; *ret_used bytes of the
 * input were read (all of them on HTTP1_MORE; on HTTP1_OK what follows belongs to the next request and has not been
 * moved). HTTP1_BAD_REQUEST: the framing is broken; HTTP1_HEAD_TOO_LARGE: the trailers are beyond their limits (outputs
 * untouched). Trailer fields are checked and dropped. After HTTP1_OK the decoder must be zeroed before it is used
 * again. */
enum http1_result http1_chunks_read(struct http1_chunks *chunks, char *buffer, size_t size, size_t *ret_body_size,
                                    size_t *ret_used);
/* After HTTP1_MORE: how many bytes the chunk that is being read has announced and not yet given. */
uint64_t http1_chunks_left(const struct http1_chunks *chunks);

/* A reply's head and body. extra: complete header lines ("name: value\r\n"...), or empty. body may be empty;
 * content-length is always written. close: adds "connection: close". content_type ptr NULL: none is written. A reply to
 * HEAD is the same without its last body.len bytes. */
void http1_reply_write(struct writer *w, int status, struct str content_type, struct str extra, struct str body,
                       bool close);
/* "OK", "Bad Request", …; "Status" for one we never send. */
const char *http1_status_text(int status);

#endif
