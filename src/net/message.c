/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request, from our values. What could end or break it early is refused before. Answers are read by
 * codec/answer. */
#include "net/message.h"

#include "base/err.h"

/* One row a method that we send. */
static const struct method {
    struct str name;
    bool has_body; /* its length is told even where it is 0 (RFC 9110 §8.6) */
} methods[] = {
    {{"GET", 3}, false},  {{"POST", 4}, true},    {{"PUT", 3}, true},
    {{"HEAD", 4}, false}, {{"DELETE", 6}, false}, {{"PATCH", 5}, true},
};

static const struct method *method_of(struct str name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_eq(methods[i].name, name)) return &methods[i];
    return NULL;
}

static bool is_line(struct str s) {
    return s.len == 0 || (memchr(s.ptr, '\r', s.len) == NULL && memchr(s.ptr, '\n', s.len) == NULL &&
                          memchr(s.ptr, '\0', s.len) == NULL);
}

bool message_is_sendable(const struct http_request *request) {
    if (method_of(request->method) == NULL) return false;
    if (request->target.len == 0 || str_has(request->target, ' ') || !is_line(request->target)) return false;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len == 0 || !is_line(header->name) || !is_line(header->value)) return false;
    }
    return true;
}

enum { LINE_OVERHEAD = 4, LENGTH_SIZE_MAX = 20 };

size_t message_head_size(const struct http_request *request) {
    size_t size =
        request->method.len + request->target.len + strlen("  HTTP/1.1\r\nContent-Length: \r\n\r\n") + LENGTH_SIZE_MAX;
    for (uint32_t i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len + LINE_OVERHEAD;
    return size;
}

static void header_write(struct writer *w, struct str name, struct str value) {
    writer_put(w, name);
    writer_put(w, STR(": "));
    writer_put(w, value);
    writer_put(w, STR("\r\n"));
}

void message_head_write(struct writer *w, const struct http_request *request) {
    const struct method *method = method_of(request->method);
    check(method != NULL);
    writer_put(w, request->method);
    writer_char(w, ' ');
    writer_put(w, request->target);
    writer_put(w, STR(" HTTP/1.1\r\n"));
    for (uint32_t i = 0; i < request->header_count; i++)
        header_write(w, request->headers[i].name, request->headers[i].value);
    if ((request->body.len > 0 || method->has_body) &&
        request_header(request, STR("content-length"), &(struct str){0}) == 0) {
        writer_put(w, STR("Content-Length: "));
        writer_u64(w, request->body.len);
        writer_put(w, STR("\r\n"));
    }
    writer_put(w, STR("\r\n"));
}
