/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a request: header fields by name, and the parts of the target.
 *
 * Headers stay in one array in the order they came, since signatures cover their order and repeats. A look-up compares
 * the length of each name first, so that a walk over a usual head costs a few nanoseconds and needs no index.
 *
 * Nothing is decoded here: path and query are the raw bytes that were signed. */
#include "codec/request.h"

#include "base/err.h"

uint32_t request_header(const struct http_request *request, struct str name, struct str *ret_value) {
    check(request->header_count <= HTTP_HEADERS_MAX);
    uint32_t found = 0;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len != name.len || !str_eq_nocase(header->name, name)) continue;
        if (found == 0) *ret_value = header->value;
        found++;
    }
    return found;
}

void request_split_target(struct http_request *request) {
    request->query = STR_NONE;
    if (!str_cut(request->target, '?', &request->path, &request->query)) request->path = request->target;
}
