/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of codec/http1. The hostile requests are data (tests/data/http-hostile); each is read whole, byte by byte and
 * cut in two at each place, with the same outcome. Input is always in a buffer of exactly its size, so that a sanitizer
 * sees each byte read past the end. */
#include "codec/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { WIRE_SIZE_MAX = 1 << 17, CUT_SIZE_MAX = 2048 };

static char *exact_copy(const char *bytes, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0) memcpy(copy, bytes, size);
    return copy;
}

/* What a connection saw of one request, as text where several values are compared at once. */
struct outcome {
    int status; /* 0: all well, 1: more bytes wanted, else the refusal */
    struct http1_head head;
    uint32_t header_count;
    char method[HTTP_METHOD_SIZE_MAX + 1];
    char target[HTTP_TARGET_SIZE_MAX + 1];
    char *body; /* malloc'd */
    size_t body_size;
    size_t used; /* bytes of the stream that belong to this request */
};

static int status_of(enum http1_result result) {
    switch (result) {
    case HTTP1_OK: return 0;
    case HTTP1_MORE: return 1;
    case HTTP1_BAD_REQUEST: return 400;
    case HTTP1_LENGTH_REQUIRED: return 411;
    case HTTP1_TARGET_TOO_LONG: return 414;
    case HTTP1_HEAD_TOO_LARGE: return 431;
    case HTTP1_CODING_UNKNOWN: return 501;
    case HTTP1_VERSION_UNKNOWN: return 505;
    }
    return -1;
}

static void assert_within(struct str slice, const char *begin, size_t size) {
    assert_true(slice.ptr >= begin);
    assert_true(slice.ptr <= begin + size);
    assert_true(slice.len <= (size_t)(begin + size - slice.ptr));
}

static void assert_request_within(const struct http_request *request, const struct http1_head *head, const char *buffer,
                                  size_t size) {
    assert_true(head->size <= size);
    assert_true(request->header_count <= HTTP_HEADERS_MAX);
    assert_within(request->method, buffer, head->size);
    assert_within(request->target, buffer, head->size);
    assert_within(request->path, buffer, head->size);
    if (request->query.ptr != NULL) assert_within(request->query, buffer, head->size);
    for (uint32_t i = 0; i < request->header_count; i++) {
        assert_within(request->headers[i].name, buffer, head->size);
        assert_within(request->headers[i].value, buffer, head->size);
        assert_true(request->headers[i].name.len > 0);
    }
    assert_int_equal(request->body.len, 0);
    assert_memory_equal(buffer + head->size - 4, "\r\n\r\n", 4);
}

/* Reads a head from a buffer of exactly that size. */
static enum http1_result read_exact(const char *bytes, size_t size, size_t *scanned, struct outcome *out) {
    char *copy = exact_copy(bytes, size);
    struct http_request request;
    enum http1_result result = http1_head_read(str_make(copy, size), scanned, &request, &out->head);
    if (result == HTTP1_OK) {
        assert_request_within(&request, &out->head, copy, size);
        out->header_count = request.header_count;
        (void)snprintf(out->method, sizeof(out->method), "%.*s", STR_ARG(request.method));
        (void)snprintf(out->target, sizeof(out->target), "%.*s", STR_ARG(request.target));
    }
    free(copy);
    return result;
}

/* Plays the stream to the reader: the first piece has first bytes, each further one step. */
static struct outcome play(struct str wire, size_t first, size_t step) {
    struct outcome out = {.status = 1, .body = exact_copy(NULL, 0)};
    size_t scanned = 0, have = 0;
    enum http1_result result = HTTP1_MORE;
    while (result == HTTP1_MORE && have < wire.len) {
        size_t more = have == 0 ? first : step;
        have = more < wire.len - have ? have + more : wire.len;
        result = read_exact(wire.ptr, have, &scanned, &out);
    }
    if (result != HTTP1_OK) {
        out.status = status_of(result);
        return out;
    }
    size_t head_size = out.head.size;
    if (!out.head.chunked) {
        if (out.head.content_length > wire.len - head_size) return out;
        out.body_size = (size_t)out.head.content_length;
        out.used = head_size + out.body_size;
        free(out.body);
        out.body = exact_copy(wire.ptr + head_size, out.body_size);
        out.status = 0;
        return out;
    }
    /* What came behind the head in its last piece, then piece by piece. */
    struct http1_chunks chunks = {0};
    out.used = head_size;
    result = HTTP1_MORE;
    while (result == HTTP1_MORE && out.used < wire.len) {
        if (out.used == have) have = step < wire.len - have ? have + step : wire.len;
        size_t piece_size = have - out.used, decoded_size = 0, used = 0;
        char *piece = exact_copy(wire.ptr + out.used, piece_size);
        result = http1_chunks_read(&chunks, piece, piece_size, &decoded_size, &used);
        if (result == HTTP1_OK || result == HTTP1_MORE) {
            assert_true(used <= piece_size);
            assert_true(decoded_size <= used);
            if (result == HTTP1_MORE) assert_int_equal(used, piece_size);
            assert_memory_equal(piece + used, wire.ptr + out.used + used, piece_size - used);
            out.body = realloc(out.body, out.body_size + decoded_size + 1);
            assert_non_null(out.body);
            memcpy(out.body + out.body_size, piece, decoded_size);
            out.body_size += decoded_size;
            out.used += used;
        }
        free(piece);
    }
    out.status = status_of(result);
    return out;
}

static void assert_same_outcome(const struct outcome *a, const struct outcome *b, const char *name, size_t cut) {
    bool same = a->status == b->status;
    if (same && a->status == 0) {
        same = a->header_count == b->header_count && strcmp(a->method, b->method) == 0 &&
               strcmp(a->target, b->target) == 0 && a->body_size == b->body_size &&
               memcmp(a->body, b->body, a->body_size) == 0 && a->used == b->used && a->head.size == b->head.size &&
               a->head.keep_alive == b->head.keep_alive;
    }
    if (!same) fail_msg("%s: %d whole, %d in pieces (%zu)", name, a->status, b->status, cut);
}

/* The cases of tests/data/http-hostile/cases.txt. */
struct hostile_case {
    char name[128];
    int status;
    bool has_method, has_target, has_headers;
    bool keep;
    unsigned headers;
    struct str method, target, body, rest; /* malloc'd where not empty */
    struct str wire;
};

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    assert_non_null(at);
    return (int)(at - digits);
}

static struct str unescaped(const char *text) {
    size_t size = strlen(text);
    char *bytes = exact_copy(text, size);
    size_t len = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\\') {
            bytes[len++] = text[i];
            continue;
        }
        switch (text[++i]) {
        case 'r': bytes[len++] = '\r'; break;
        case 'n': bytes[len++] = '\n'; break;
        case 't': bytes[len++] = '\t'; break;
        case '\\': bytes[len++] = '\\'; break;
        case 'x': {
            int high = hex_digit(text[i + 1]);
            bytes[len++] = (char)(high << 4 | hex_digit(text[i + 2]));
            i += 2;
            break;
        }
        default: fail_msg("escape in: %s", text);
        }
    }
    return str_make(bytes, len);
}

static void case_free(struct hostile_case *c) {
    const struct str all[] = {c->method, c->target, c->body, c->rest, c->wire};
    for (size_t i = 0; i < COUNT(all); i++) {
        if (all[i].ptr != NULL) free((char *)(uintptr_t)all[i].ptr);
    }
    *c = (struct hostile_case){0};
}

static void wire_add(struct hostile_case *c, unsigned long count, const char *text) {
    struct str bytes = unescaped(text);
    assert_true(c->wire.len + count * bytes.len <= WIRE_SIZE_MAX);
    char *wire = realloc((char *)(uintptr_t)c->wire.ptr, c->wire.len + count * bytes.len + 1);
    assert_non_null(wire);
    for (unsigned long i = 0; i < count; i++) {
        memcpy(wire + c->wire.len, bytes.ptr, bytes.len);
        c->wire.len += bytes.len;
    }
    c->wire.ptr = wire;
    free((char *)(uintptr_t)bytes.ptr);
}

/* Takes one line into the case. */
static void case_line(struct hostile_case *c, const char *line) {
    const char *value = strstr(line, ": ");
    value = value != NULL ? value + 2 : "";
    if (strncmp(line, "> ", 2) == 0) {
        wire_add(c, 1, line + 2);
    } else if (strncmp(line, "* ", 2) == 0) {
        char *end = NULL;
        unsigned long count = strtoul(line + 2, &end, 10);
        assert_int_equal(*end, ' ');
        wire_add(c, count, end + 1);
    } else if (strncmp(line, "expect: ", 8) == 0) {
        c->status = strcmp(value, "ok") == 0 ? 0 : strcmp(value, "more") == 0 ? 1 : atoi(value);
    } else if (strncmp(line, "method: ", 8) == 0) {
        c->has_method = true;
        c->method = unescaped(value);
    } else if (strncmp(line, "target: ", 8) == 0) {
        c->has_target = true;
        c->target = unescaped(value);
    } else if (strncmp(line, "headers: ", 9) == 0) {
        c->has_headers = true;
        c->headers = (unsigned)atoi(value);
    } else if (strncmp(line, "body: ", 6) == 0) {
        c->body = unescaped(value);
    } else if (strncmp(line, "rest: ", 6) == 0) {
        c->rest = unescaped(value);
    } else if (strcmp(line, "keep: no") == 0) {
        c->keep = false;
    } else {
        fail_msg("line: %s", line);
    }
}

static void case_run(const struct hostile_case *c) {
    struct outcome whole = play(c->wire, c->wire.len, c->wire.len);
    if (whole.status != c->status) fail_msg("%s: %d, expected %d", c->name, whole.status, c->status);
    if (whole.status == 0) {
        struct str body = str_make(whole.body, whole.body_size), rest = str_from_index(c->wire, whole.used);
        if (c->has_method && !str_eq(str_from(whole.method), c->method)) fail_msg("%s: method", c->name);
        if (c->has_target && !str_eq(str_from(whole.target), c->target)) fail_msg("%s: target", c->name);
        if (c->has_headers && whole.header_count != c->headers) fail_msg("%s: %u headers", c->name, whole.header_count);
        if (whole.head.keep_alive != c->keep) fail_msg("%s: keep", c->name);
        if (!str_eq(body, c->body)) fail_msg("%s: body", c->name);
        if (!str_eq(rest, c->rest)) fail_msg("%s: rest", c->name);
    }
    struct outcome pieces = play(c->wire, 1, 1);
    assert_same_outcome(&whole, &pieces, c->name, 1);
    free(pieces.body);
    for (size_t cut = 1; cut < c->wire.len && c->wire.len <= CUT_SIZE_MAX; cut++) {
        pieces = play(c->wire, cut, c->wire.len);
        assert_same_outcome(&whole, &pieces, c->name, cut);
        free(pieces.body);
    }
    free(whole.body);
}

static void test_hostile_cases(void **state) {
    (void)state;
    FILE *file = fopen(TEST_DATA "/http-hostile/cases.txt", "r");
    assert_non_null(file);
    static char line[4096];
    struct hostile_case c = {0};
    unsigned count = 0;
    bool more = true;
    while (more) {
        more = fgets(line, sizeof(line), file) != NULL;
        if (more) line[strcspn(line, "\n")] = '\0';
        bool begins = more && strncmp(line, "case: ", 6) == 0;
        if ((begins || !more) && count > 0) {
            assert_true(c.wire.len > 0);
            case_run(&c);
            case_free(&c);
        }
        if (begins) {
            count++;
            c.keep = true;
            (void)snprintf(c.name, sizeof(c.name), "%.120s", line + 6);
        } else if (more && line[0] != '\0' && line[0] != '#') {
            case_line(&c, line);
        }
    }
    (void)fclose(file);
    assert_true(count >= 300); /* the file was read to its end */
}

static const char good_head[] = "POST /hooks/a%2Fb?x=1&y HTTP/1.1\r\n"
                                "Host: example.com:8080\r\n"
                                "X-Sig: t=1,v1=ab\r\n"
                                "x-sig:\t two words \t\r\n"
                                "Content-Type: application/json\r\n"
                                "Connection: keep-alive\r\n"
                                "X-Empty:\r\n"
                                "Content-Length: 17\r\n"
                                "X-Sig: t=1,v1=ab\r\n"
                                "\r\n";

static void test_slices(void **state) {
    (void)state;
    static const char *const expected[][2] = {
        {"Host", "example.com:8080"}, {"X-Sig", "t=1,v1=ab"},
        {"x-sig", "two words"},       {"Content-Type", "application/json"},
        {"Connection", "keep-alive"}, {"X-Empty", ""},
        {"Content-Length", "17"},     {"X-Sig", "t=1,v1=ab"},
    };
    size_t scanned = 0;
    struct http_request request;
    struct http1_head head;
    assert_int_equal(http1_head_read(str_make(good_head, sizeof(good_head) - 1), &scanned, &request, &head), HTTP1_OK);
    assert_true(str_eq(request.method, STR("POST")));
    assert_true(str_eq(request.target, STR("/hooks/a%2Fb?x=1&y")));
    assert_true(str_eq(request.path, STR("/hooks/a%2Fb")));
    assert_true(str_eq(request.query, STR("x=1&y")));
    assert_int_equal(request.header_count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(str_eq(request.headers[i].name, str_from(expected[i][0])));
        assert_true(str_eq(request.headers[i].value, str_from(expected[i][1])));
        assert_non_null(request.headers[i].value.ptr);
    }
    assert_int_equal(head.size, sizeof(good_head) - 1);
    assert_int_equal(head.content_length, 17);
}

static void test_head_values(void **state) {
    (void)state;
    static const struct {
        const char *head;
        uint64_t length;
        bool chunked, expect, keep, http10;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, false, false, true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", 999999999999999999, false, false,
         true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000000000000000007\r\n\r\n", 7, false, false, true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunkeD\r\n\r\n", 0, true, false, true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-CONTINUE\r\nContent-Length: 7\r\n\r\n", 7, false, true, true,
         false},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 0, true, true,
         true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", 0, false, false, true,
         false},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", 0, false, false, true, false},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n", 7, false, false, false, true},
        {"GET / HTTP/1.0\r\n\r\n", 0, false, false, false, true},
        {"GET / HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n", 0, false, false, true, true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", 0, false, false, false, true},
        {"GET / HTTP/1.1\r\nConnection: \tclose\t,\r\nHost: a\r\n\r\n", 0, false, false, false, false},
        {"GET / HTTP/1.1\r\nConnection: not-close\r\nHost: a\r\n\r\n", 0, false, false, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome out = {0};
        size_t scanned = 0;
        assert_int_equal(read_exact(cases[i].head, strlen(cases[i].head), &scanned, &out), HTTP1_OK);
        bool same = out.head.content_length == cases[i].length && out.head.chunked == cases[i].chunked &&
                    out.head.expect_continue == cases[i].expect && out.head.keep_alive == cases[i].keep &&
                    out.head.is_http10 == cases[i].http10;
        if (!same) fail_msg("values of: %s", cases[i].head);
    }
}

/* Each part of a good head needs more, whether it comes at once or grows. */
static void test_cut_at_each_length(void **state) {
    (void)state;
    size_t growing = 0;
    struct outcome out = {0};
    for (size_t size = 0; size < sizeof(good_head) - 1; size++) {
        size_t fresh = 0;
        assert_int_equal(read_exact(good_head, size, &fresh, &out), HTTP1_MORE);
        assert_int_equal(read_exact(good_head, size, &growing, &out), HTTP1_MORE);
        assert_int_equal(read_exact(good_head, size, &growing, &out), HTTP1_MORE); /* nothing new */
        assert_true(growing <= size);
    }
    assert_int_equal(read_exact(good_head, sizeof(good_head) - 1, &growing, &out), HTTP1_OK);
}

/* Any byte in any place: whatever comes of it, it is the same in pieces, and within bounds. */
static void test_flip_each_byte(void **state) {
    (void)state;
    static char bytes[sizeof(good_head) - 1];
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        for (unsigned c = 0; c < 256; c++) {
            memcpy(bytes, good_head, sizeof(bytes));
            bytes[i] = (char)c;
            struct outcome whole = {0}, grown = {0};
            size_t scanned = 0;
            enum http1_result result = read_exact(bytes, sizeof(bytes), &scanned, &whole);
            if (result != HTTP1_OK) refused++;
            enum http1_result grown_result = HTTP1_MORE;
            scanned = 0;
            for (size_t size = i / 2; grown_result == HTTP1_MORE && size <= sizeof(bytes); size++) {
                grown_result = read_exact(bytes, size, &scanned, &grown);
            }
            if (grown_result != result) fail_msg("byte 0x%02x at %zu: %d, in pieces %d", c, i, result, grown_result);
            if (result == HTTP1_OK) assert_int_equal(whole.header_count, grown.header_count);
        }
    }
    assert_true(refused > sizeof(bytes) * 32); /* at least the control characters everywhere */
}

/* Every byte in every kind of place, against the grammar written another way. */
static void test_byte_classes(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool token = alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        bool host = alnum || (c != 0 && strchr("-._~!$&'()*+;=", c) != NULL);
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
        const struct {
            const char *before, *after;
            bool good;
        } places[] = {
            {"G", "T / HTTP/1.1\r\nHost: a\r\n\r\n", token},
            {"GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n", c > 0x20 && c < 0x7f && c != '#'},
            {"GET / HTTP/1.1\r\nHost: a\r\nX", "Y: z\r\n\r\n", token || c == ':'},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: y", "z\r\n\r\n", c == '\t' || (c >= 0x20 && c != 0x7f)},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdef", "0123456789abcdef\r\n\r\n",
             c == '\t' || (c >= 0x20 && c != 0x7f)},
            {"GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n", host},
            {"GET / HTTP/1.1\r\nHost: [::1", "2]\r\n\r\n", hex},
            {"GET / HTTP/1.1\r\nHost: a:8", "0\r\n\r\n", c >= '0' && c <= '9'},
            {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1", "0\r\n\r\n", c >= '0' && c <= '9'},
        };
        for (size_t i = 0; i < COUNT(places); i++) {
            char bytes[128];
            size_t size = (size_t)snprintf(bytes, sizeof(bytes), "%s?%s", places[i].before, places[i].after);
            bytes[strlen(places[i].before)] = (char)c;
            struct outcome out = {0};
            size_t scanned = 0;
            enum http1_result result = read_exact(bytes, size, &scanned, &out);
            if ((result == HTTP1_OK) != places[i].good)
                fail_msg("byte 0x%02x behind: %s", (unsigned)c, places[i].before);
            if (result != HTTP1_OK) assert_int_equal(result, HTTP1_BAD_REQUEST);
        }
    }
}

/* Refused before the empty line is there. */
static void test_early_refusals(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        enum http1_result result;
    } cases[] = {
        {"\n", HTTP1_BAD_REQUEST},
        {"\r\r", HTTP1_BAD_REQUEST},
        {"\r\n\r", HTTP1_BAD_REQUEST},
        {"\x16", HTTP1_BAD_REQUEST},
        {"{", HTTP1_BAD_REQUEST},
        {" ", HTTP1_BAD_REQUEST},
        {"GET\t", HTTP1_BAD_REQUEST},
        {"GET  ", HTTP1_BAD_REQUEST},
        {"GET h", HTTP1_BAD_REQUEST},
        {"GET / X", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\n", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\n ", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.3\r\n", HTTP1_VERSION_UNKNOWN},
        {"PRI * HTTP/2.0\r\n", HTTP1_VERSION_UNKNOWN},
        {"GET / HTTP/1.1\r\nHost: a\n", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost: a\r\r", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost: a\r\n\rx", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost ", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost\r", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\n:", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nX: y\x7f", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nX: y\r\nY: \v", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", HTTP1_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", HTTP1_CODING_UNKNOWN},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", HTTP1_CODING_UNKNOWN},
        {"\r\nMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", HTTP1_BAD_REQUEST},
        {"MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", HTTP1_BAD_REQUEST},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome out = {0};
        size_t fresh = 0, growing = 0, size = strlen(cases[i].bytes);
        if (read_exact(cases[i].bytes, size, &fresh, &out) != cases[i].result) fail_msg("early: %s", cases[i].bytes);
        enum http1_result result = HTTP1_MORE;
        for (size_t part = 1; part <= size; part++) {
            if (result != HTTP1_MORE) fail_msg("too early: %s", cases[i].bytes);
            result = read_exact(cases[i].bytes, part, &growing, &out);
        }
        if (result != cases[i].result) fail_msg("early, in pieces: %s", cases[i].bytes);
    }
}

/* before + count times repeated + after, with an answer when all is there. */
struct limit_case {
    const char *before, *repeated;
    size_t count;
    const char *after;
    int status;
};

static struct str limit_wire(const struct limit_case *c) {
    size_t before = strlen(c->before), repeated = strlen(c->repeated), after = strlen(c->after);
    char *wire = malloc(before + repeated * c->count + after + 1);
    assert_non_null(wire);
    size_t len = 0;
    memcpy(wire, c->before, before);
    len += before;
    for (size_t i = 0; i < c->count; i++, len += repeated) {
        memcpy(wire + len, c->repeated, repeated);
    }
    memcpy(wire + len, c->after, after + 1);
    return str_make(wire, len + after);
}

static void test_limits(void **state) {
    (void)state;
#define HEAD    "GET / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    enum { VALUE_SIZE_MAX = HTTP_HEAD_SIZE_MAX - (sizeof(HEAD "X:\r\n\r\n") - 1) };
    static const struct limit_case cases[] = {
        {"", "M", HTTP_METHOD_SIZE_MAX, " / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"", "M", HTTP_METHOD_SIZE_MAX + 1, " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"", "M", HTTP_METHOD_SIZE_MAX, "", 1},
        {"", "M", HTTP_METHOD_SIZE_MAX + 1, "", 400},
        {"GET ", "/", HTTP_TARGET_SIZE_MAX, " HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET ", "/", HTTP_TARGET_SIZE_MAX + 1, " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        {"GET ", "/", HTTP_TARGET_SIZE_MAX, "", 1},
        {"GET ", "/", HTTP_TARGET_SIZE_MAX + 1, "", 414},
        {"GET ", "/", 1000000, "", 414},
        {HEAD, "X:\r\n", HTTP_HEADERS_MAX - 1, "\r\n", 0},
        {HEAD, "X:\r\n", HTTP_HEADERS_MAX, "\r\n", 431},
        {HEAD "X:", "y", VALUE_SIZE_MAX, "\r\n\r\n", 0},
        {HEAD "X:", "y", VALUE_SIZE_MAX, "\r\n\r\nnext", 0},
        {HEAD "X:", "y", VALUE_SIZE_MAX + 1, "\r\n\r\n", 431},
        {HEAD "X:", "y", VALUE_SIZE_MAX + 3, "", 1},
        {HEAD "X:", "y", VALUE_SIZE_MAX + 4, "", 431},
        {HEAD "X:", "y", 1000000, "", 431},
        {HEAD "", "y", 1000000, "", 431},
        {CHUNKED, "0", 16, "\r\n\r\n", 0},
        {CHUNKED, "0", 17, "\r\n\r\n", 400},
        {CHUNKED, "f", 16, "\r\nabc", 1},
        {CHUNKED, "f", 17, "\r\nabc", 400},
        {CHUNKED "0;", "x", HTTP_CHUNK_LINE_SIZE_MAX - 2, "\r\n\r\n", 0},
        {CHUNKED "0;", "x", HTTP_CHUNK_LINE_SIZE_MAX - 1, "\r\n\r\n", 400},
        {CHUNKED "0\r\nX:", "x", HTTP_TRAILER_SIZE_MAX - 4, "\r\n\r\n", 0},
        {CHUNKED "0\r\nX:", "x", HTTP_TRAILER_SIZE_MAX - 3, "\r\n\r\n", 431},
        {CHUNKED "0\r\n", "X:\r\n", HTTP_HEADERS_MAX, "\r\n", 0},
        {CHUNKED "0\r\n", "X:\r\n", HTTP_HEADERS_MAX + 1, "\r\n", 431},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str wire = limit_wire(&cases[i]);
        static const size_t steps[] = {SIZE_MAX, 4096, 1000, 61};
        for (size_t j = 0; j < COUNT(steps); j++) {
            struct outcome out = play(wire, steps[j], steps[j]);
            if (out.status != cases[i].status) {
                fail_msg("%.40s, %zu times: %d, expected %d (step %zu)", cases[i].before, cases[i].count, out.status,
                         cases[i].status, steps[j]);
            }
            free(out.body);
        }
        free((char *)(uintptr_t)wire.ptr);
    }
}

/* The largest head, byte by byte, in a buffer that does not move. */
static void test_largest_head_grows(void **state) {
    (void)state;
    static const struct limit_case largest = {HEAD, "X:  \r\n", HTTP_HEADERS_MAX - 2, "Y: ", 1};
    struct str part = limit_wire(&largest);
    char *wire = malloc(HTTP_HEAD_SIZE_MAX);
    assert_non_null(wire);
    memset(wire, 'y', HTTP_HEAD_SIZE_MAX);
    memcpy(wire, part.ptr, part.len);
    memcpy(wire + HTTP_HEAD_SIZE_MAX - 4, "\r\n\r\n", 4);
    size_t scanned = 0;
    struct http_request request;
    struct http1_head head;
    for (size_t size = 0; size < HTTP_HEAD_SIZE_MAX; size++) {
        assert_int_equal(http1_head_read(str_make(wire, size), &scanned, &request, &head), HTTP1_MORE);
    }
    assert_int_equal(http1_head_read(str_make(wire, HTTP_HEAD_SIZE_MAX), &scanned, &request, &head), HTTP1_OK);
    assert_int_equal(head.size, HTTP_HEAD_SIZE_MAX);
    assert_int_equal(request.header_count, HTTP_HEADERS_MAX);
    free(wire);
    free((char *)(uintptr_t)part.ptr);
}

/* Cut in three at each pair of places: the same bytes, and what follows stays where it is. */
static void test_chunks_split(void **state) {
    (void)state;
    static const char wire[] =
        "3\r\nabc\r\n0b ; x=\"\\\"y\" ;z\r\n0123456789\n\r\n1\r\n\r\r\n000;q\r\nA: b\r\nHost-not:\r\n\r\nGET /";
    static const char expected[] = "abc0123456789\n\r";
    const size_t size = sizeof(wire) - 1, rest = 5;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            const size_t ends[] = {first, second, size};
            struct http1_chunks chunks = {0};
            char body[sizeof(wire)];
            size_t body_size = 0, at = 0;
            enum http1_result result = HTTP1_MORE;
            for (size_t i = 0; i < COUNT(ends) && result == HTTP1_MORE; i++) {
                size_t decoded_size = SIZE_MAX, used = SIZE_MAX, piece_size = ends[i] - at;
                char *piece = exact_copy(wire + at, piece_size);
                result = http1_chunks_read(&chunks, piece, piece_size, &decoded_size, &used);
                assert_true(result == HTTP1_OK || result == HTTP1_MORE);
                assert_true(decoded_size <= used);
                assert_true(used <= piece_size);
                assert_memory_equal(piece + used, wire + at + used, piece_size - used);
                memcpy(body + body_size, piece, decoded_size);
                body_size += decoded_size;
                at += used;
                free(piece);
            }
            assert_int_equal(result, HTTP1_OK);
            assert_int_equal(at, size - rest);
            assert_int_equal(body_size, sizeof(expected) - 1);
            assert_memory_equal(body, expected, body_size);
        }
    }
}

/* Any byte in any place of a chunked body: the same whole and byte by byte; outputs untouched by a refusal. */
static void test_chunks_flip_each_byte(void **state) {
    (void)state;
    static const char good[] = "4;a=\"b\"\r\nabcd\r\n1\r\ne\r\n0\r\nX-A: b\r\n\r\n";
    const size_t size = sizeof(good) - 1;
    for (size_t i = 0; i < size; i++) {
        for (unsigned c = 0; c < 256; c++) {
            struct http1_chunks whole = {0}, single = {0};
            size_t body_size = 12345, used = 54321, single_size = 0, single_used = 0;
            char *bytes = exact_copy(good, size), body[sizeof(good)];
            bytes[i] = (char)c;
            enum http1_result single_result = HTTP1_MORE;
            for (size_t at = 0; at < size && single_result == HTTP1_MORE; at++) {
                char byte = bytes[at];
                size_t decoded = 0, one = 0;
                single_result = http1_chunks_read(&single, &byte, 1, &decoded, &one);
                if (decoded > 0) body[single_size++] = byte;
                single_used += one;
            }
            enum http1_result result = http1_chunks_read(&whole, bytes, size, &body_size, &used);
            assert_int_equal(result, single_result);
            if (result == HTTP1_OK || result == HTTP1_MORE) {
                assert_int_equal(used, single_used);
                assert_int_equal(body_size, single_size);
                assert_memory_equal(bytes, body, body_size);
            } else {
                assert_int_equal(body_size, 12345);
                assert_int_equal(used, 54321);
            }
            free(bytes);
        }
    }
}

static void test_reply(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *type, *extra, *body;
        bool close;
        const char *expected;
    } cases[] = {
        {200, "application/json", "", "{}", false,
         "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"},
        {405, NULL, "allow: POST\r\nx: y\r\n", "", false,
         "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nallow: POST\r\nx: y\r\n\r\n"},
        {503, "text/plain", "retry-after: 1\r\n", "later", true,
         "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n"
         "retry-after: 1\r\n\r\nlater"},
        {299, "", "", "", true,
         "HTTP/1.1 299 Status\r\ncontent-type: \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size = strlen(cases[i].expected);
        char *memory = exact_copy(cases[i].expected, size);
        memset(memory, 0, size);
        struct writer w = writer_make(memory, size);
        http1_reply_write(&w, cases[i].status, str_from(cases[i].type), str_from(cases[i].extra),
                          str_from(cases[i].body), cases[i].close);
        assert_false(w.overflow);
        assert_true(str_eq(writer_str(&w), str_from(cases[i].expected)));
        w = writer_make(memory, size - 1);
        http1_reply_write(&w, cases[i].status, str_from(cases[i].type), str_from(cases[i].extra),
                          str_from(cases[i].body), cases[i].close);
        assert_true(w.overflow);
        free(memory);
    }
}

static void test_status_text(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {431, "Request Header Fields Too Large"},
        {505, "HTTP Version Not Supported"},
        {0, "Status"},
        {-1, "Status"},
        {299, "Status"},
        {599, "Status"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(http1_status_text(cases[i].status), cases[i].text);
    }
    /* Every status of the webhook contract, and of the providers that want one of their own, has a name. */
    static const int sent[] = {200, 400, 401, 403, 404, 405, 408, 411, 413, 414, 422, 431, 498, 500, 501, 503, 505};
    for (size_t i = 0; i < COUNT(sent); i++) {
        assert_string_not_equal(http1_status_text(sent[i]), "Status");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_cases),         cmocka_unit_test(test_slices),
        cmocka_unit_test(test_head_values),           cmocka_unit_test(test_cut_at_each_length),
        cmocka_unit_test(test_flip_each_byte),        cmocka_unit_test(test_byte_classes),
        cmocka_unit_test(test_early_refusals),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_largest_head_grows),    cmocka_unit_test(test_chunks_split),
        cmocka_unit_test(test_chunks_flip_each_byte), cmocka_unit_test(test_reply),
        cmocka_unit_test(test_status_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
