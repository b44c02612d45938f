/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the request head reader and the chunked decoder. The first byte chooses which, the second how the rest is cut
 * into pieces; read whole and in pieces, the outcome must be the same, and every slice must lie within the buffer. */
#include "base/err.h"
#include "codec/http1.h"
#include "exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *exact_copy(const char *bytes, size_t size) {
    char *copy = exact_room(size);
    if (size > 0) memcpy(copy, bytes, size);
    return copy;
}

/* The size of the next piece: 1 to 16, another one each time, from the seed alone. */
static size_t piece_size(uint8_t seed, size_t at, size_t left) {
    size_t step = ((seed & 0x0f) + at * (seed >> 4)) % 16 + 1;
    return step < left ? step : left;
}

static void check_within(struct str slice, const char *buffer, size_t size) {
    check(slice.ptr >= buffer);
    check(slice.ptr <= buffer + size);
    check(slice.len <= (size_t)(buffer + size - slice.ptr));
}

static void check_request(const struct http_request *request, const struct http1_head *head, const char *buffer,
                          size_t size) {
    check(head->size <= size);
    check(head->size <= HTTP_HEAD_SIZE_MAX);
    check(request->header_count <= HTTP_HEADERS_MAX);
    check(!(head->chunked && head->content_length > 0));
    check_within(request->method, buffer, head->size);
    check_within(request->target, buffer, head->size);
    check_within(request->path, buffer, head->size);
    if (request->query.ptr != NULL) check_within(request->query, buffer, head->size);
    for (uint32_t i = 0; i < request->header_count; i++) {
        check_within(request->headers[i].name, buffer, head->size);
        check_within(request->headers[i].value, buffer, head->size);
        check(!str_has(request->headers[i].value, '\n'));
        check(!str_has(request->headers[i].value, '\0'));
    }
    struct str host;
    uint32_t hosts = request_header(request, STR("host"), &host);
    check(hosts <= 1);
    check(hosts == 1 || head->is_http10);
}

static void check_same(const struct http_request *a, const char *a_buffer, const struct http_request *b,
                       const char *b_buffer) {
    check(str_eq(a->method, b->method));
    check(str_eq(a->target, b->target));
    check(a->header_count == b->header_count);
    for (uint32_t i = 0; i < a->header_count; i++) {
        check(a->headers[i].name.ptr - a_buffer == b->headers[i].name.ptr - b_buffer);
        check(a->headers[i].name.len == b->headers[i].name.len);
        check(a->headers[i].value.ptr - a_buffer == b->headers[i].value.ptr - b_buffer);
        check(a->headers[i].value.len == b->headers[i].value.len);
    }
}

static void fuzz_head(uint8_t seed, const char *bytes, size_t size) {
    static struct http_request whole, grown;
    struct http1_head whole_head, grown_head;
    size_t scanned = 0;
    const char *buffer = bytes; /* libFuzzer gives a copy of exactly its size */
    enum http1_result result = http1_head_read(str_make(buffer, size), &scanned, &whole, &whole_head);
    if (result == HTTP1_OK) check_request(&whole, &whole_head, buffer, size);

    scanned = 0;
    enum http1_result grown_result = HTTP1_MORE;
    char *part = exact_room(0);
    for (size_t have = 0, had = 0; have < size && grown_result == HTTP1_MORE; had = have) {
        have += piece_size(seed, have, size - have);
        exact_grow(part, have);
        memcpy(part + had, bytes + had, have - had);
        grown_result = http1_head_read(str_make(part, have), &scanned, &grown, &grown_head);
        check(scanned <= have);
        if (grown_result == HTTP1_OK) {
            check(result == HTTP1_OK);
            check(grown_head.size == whole_head.size);
            check(grown_head.content_length == whole_head.content_length);
            check(grown_head.chunked == whole_head.chunked);
            check(grown_head.keep_alive == whole_head.keep_alive);
            check_request(&grown, &grown_head, part, have);
            check_same(&whole, buffer, &grown, part);
        }
    }
    exact_used += (size + 15) / 16 * 16; /* the room has grown */
    check(grown_result == result);
}

static void fuzz_chunks(uint8_t seed, const char *bytes, size_t size) {
    struct http1_chunks whole = {0}, pieces = {0};
    size_t body_size = 0, used = 0;
    char *buffer = exact_copy(bytes, size);
    enum http1_result result = http1_chunks_read(&whole, buffer, size, &body_size, &used);
    check(body_size <= used);
    check(used <= size);
    if (result == HTTP1_OK) check(memcmp(buffer + used, bytes + used, size - used) == 0);

    enum http1_result pieces_result = HTTP1_MORE;
    size_t pieces_body_size = 0, at = 0;
    while (at < size && pieces_result == HTTP1_MORE) {
        size_t piece_len = piece_size(seed, at, size - at), decoded_size = 0, piece_used = 0;
        char *piece = exact_copy(bytes + at, piece_len);
        pieces_result = http1_chunks_read(&pieces, piece, piece_len, &decoded_size, &piece_used);
        check(decoded_size <= piece_used);
        check(piece_used <= piece_len);
        if (result == HTTP1_OK || result == HTTP1_MORE) {
            check(decoded_size <= body_size - pieces_body_size);
            check(memcmp(buffer + pieces_body_size, piece, decoded_size) == 0);
        }
        pieces_body_size += decoded_size;
        at += piece_used;
    }
    check(pieces_result == result);
    if (result == HTTP1_OK || result == HTTP1_MORE) {
        check(pieces_body_size == body_size);
        check(at == used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    exact_reset();
    const char *bytes = (const char *)data + 2;
    if ((data[0] & 1) == 0) {
        fuzz_head(data[1], bytes, size - 2);
    } else {
        fuzz_chunks(data[1], bytes, size - 2);
    }
    return 0;
}
