/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of answers. The first byte says to which method and whether the stream ends, the second how the
 * rest is cut into pieces; read whole and in pieces, each time from other memory, the outcome must be the same, and
 * every slice must lie within what was read. */
#include "base/err.h"
#include "codec/answer.h"
#include "exact.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The size of the next piece: 1 to 64, more of a long stream, another one each time, from the seed alone. */
static size_t piece_size(uint8_t seed, size_t at, size_t left) {
    size_t step = ((seed & 0x3f) + at * (seed >> 4)) % 64 + 1 + left / 128;
    return step < left ? step : left;
}

static void check_within(struct str slice, const char *memory, size_t size) {
    check(slice.ptr >= memory);
    check(slice.ptr <= memory + size);
    check(slice.len <= (size_t)(memory + size - slice.ptr));
}

static void check_answer(const struct answer *answer, const char *memory, size_t size) {
    check(answer->status >= 200);
    check(answer->status <= 999);
    check(answer->header_count <= ANSWER_HEADERS_MAX);
    check_within(answer->body, memory, size);
    for (uint32_t i = 0; i < answer->header_count; i++) {
        const struct http_header *header = &answer->headers[i];
        check(header->name.len > 0);
        check_within(header->name, memory, size);
        check_within(header->value, memory, size);
        check(!str_has(header->value, '\n'));
        check(!str_has(header->value, '\0'));
        check(header->value.ptr + header->value.len < answer->body.ptr);
    }
}

static void check_same(const struct answer *a, const struct answer *b) {
    check(a->status == b->status);
    check(a->keep_alive == b->keep_alive);
    check(a->header_count == b->header_count);
    for (uint32_t i = 0; i < a->header_count; i++) {
        check(str_eq(a->headers[i].name, b->headers[i].name));
        check(str_eq(a->headers[i].value, b->headers[i].value));
    }
    check(str_eq(a->body, b->body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct answer whole, pieces;
    if (size < 2) return 0;
    struct str method = (data[0] & 1) != 0 ? STR("HEAD") : STR("POST");
    bool ends = (data[0] & 2) != 0;
    const char *bytes = (const char *)data + 2;
    size -= 2;
    exact_reset();

    char *memory = exact_room(size);
    if (size > 0) memcpy(memory, bytes, size);
    size_t whole_size = size;
    answer_begin(&whole, method);
    enum answer_result result = answer_read(&whole, memory, &whole_size, ends);
    check(whole_size <= size);
    if (result == ANSWER_OK) check_answer(&whole, memory, whole_size);

    enum answer_result pieces_result = ANSWER_MORE;
    size_t here = 0, at = 0;
    char *part = NULL;
    answer_begin(&pieces, method);
    while (pieces_result == ANSWER_MORE && (at < size || ends)) {
        size_t some = at < size ? piece_size(data[1], at, size - at) : 0;
        char *moved = malloc(here + some + (here + some == 0));
        check(moved != NULL);
        if (here > 0) memcpy(moved, part, here);
        memcpy(moved + here, bytes + at, some);
        free(part);
        part = moved;
        here += some;
        at += some;
        pieces_result = answer_read(&pieces, part, &here, some == 0);
    }
    check(pieces_result == result);
    if (result == ANSWER_OK) {
        check_answer(&pieces, part, here);
        check_same(&whole, &pieces);
    }
    free(part);
    return 0;
}
