/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request as everything behind a door sees it: slices over bytes that the door keeps until the reply. The
 * server's reader (codec/http1), the function-URL event and `payhook verify` fill the same value. */
#ifndef PAYHOOK_CODEC_REQUEST_H
#define PAYHOOK_CODEC_REQUEST_H

#include "base/limits.h"
#include "base/str.h"

struct http_header {
    struct str name;  /* as sent, any case */
    struct str value; /* without blanks and tabs at the ends; any byte but CR, LF, NUL */
};

struct http_request {
    struct str method;
    struct str target;                            /* raw, as in the request line: origin form ("/hooks/x?y=z") */
    struct str path;                              /* the target up to the first "?", raw */
    struct str query;                             /* what follows it, raw; ptr NULL where there is no "?" */
    struct http_header headers[HTTP_HEADERS_MAX]; /* in order, repeated ones too */
    uint32_t header_count;
    struct str body; /* raw, chunked coding taken off, nothing else */
};

/* How many fields have this name (ASCII case aside); ret_value is the first one's, untouched where there is none. */
uint32_t request_header(const struct http_request *request, struct str name, struct str *ret_value);
/* Sets path and query from target. */
void request_split_target(struct http_request *request);

#endif
