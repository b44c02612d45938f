/* SPDX-License-Identifier: Apache-2.0 */
/* Answers good and bad, each read whole, byte by byte, and cut in two at each place, with the same outcome; the memory
 * is another one at each call and exactly as large as what is there, so that a sanitizer sees each byte too far. */
#include "codec/answer.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OK           "HTTP/1.1 200 OK\r\n"
#define CHUNKED      OK "Transfer-Encoding: chunked\r\n\r\n"

/* What became of a stream: the text of all that matters, and the bytes that were needed for it. */
struct outcome {
    char text[512];
    size_t used;
    bool more;
};

static struct outcome play(struct str wire, const char *method, size_t first, size_t step, bool ends) {
    static struct answer answer;
    struct outcome out = {.used = 0};
    enum answer_result result = ANSWER_MORE;
    size_t size = 0;
    char *memory = malloc(1);
    assert_non_null(memory);
    memset(&answer, 0xa5, sizeof answer); /* answer_begin sets what is read */
    answer_begin(&answer, str_from(method));
    while (result == ANSWER_MORE && (out.used < wire.len || ends)) {
        size_t some = out.used == 0 ? first : step, left = wire.len - out.used;
        if (some > left) some = left;
        bool ended = left == 0; /* told after the last byte, as a socket does */
        char *moved = malloc(size + some + 1);
        assert_non_null(moved);
        memcpy(moved, memory, size);
        memcpy(moved + size, wire.ptr + out.used, some);
        free(memory);
        memory = malloc(size + some > 0 ? size + some : 1);
        assert_non_null(memory);
        memcpy(memory, moved, size + some);
        free(moved);
        size += some;
        out.used += some;
        result = answer_read(&answer, memory, &size, ended);
        assert_true(result != ANSWER_MORE || !ended);
    }
    struct writer w = writer_make(out.text, sizeof out.text);
    if (result == ANSWER_OK) {
        for (uint32_t i = 0; i < answer.header_count; i++) {
            assert_true(answer.headers[i].name.ptr > memory);
            assert_true(answer.headers[i].value.ptr + answer.headers[i].value.len < memory + size);
        }
        assert_true(answer.body.ptr >= memory && answer.body.ptr + answer.body.len <= memory + size);
        writer_format(&w, "%d %u %s ", answer.status, answer.header_count, answer.keep_alive ? "keep" : "close");
        if (answer.header_count > 0) {
            writer_put(&w, answer.headers[answer.header_count - 1].name);
            writer_char(&w, '=');
            writer_put(&w, answer.headers[answer.header_count - 1].value);
            writer_char(&w, ' ');
        }
        writer_put(&w, answer.body);
        out.more = answer.more;
    } else {
        writer_put(&w, result == ANSWER_MORE ? STR("more") : STR("broken"));
    }
    (void)writer_cstr(&w);
    free(memory);
    return out;
}

static void play_all_ways(const char *name, struct str wire, const char *method, bool ends, const char *expected,
                          bool more) {
    struct outcome whole = play(wire, method, wire.len, 1, ends);
    if (strcmp(whole.text, expected) != 0) fail_msg("%s: %s", name, whole.text);
    if (whole.more != more) fail_msg("%s: %s bytes behind it", name, more ? "no" : "unexpected");
    for (size_t cut = 1; cut < wire.len; cut++) {
        struct outcome parts = play(wire, method, cut, wire.len, ends);
        if (strcmp(parts.text, expected) != 0) fail_msg("%s, cut at %zu: %s", name, cut, parts.text);
    }
    struct outcome bytes = play(wire, method, 1, 1, ends);
    if (strcmp(bytes.text, expected) != 0) fail_msg("%s, byte by byte: %s", name, bytes.text);
    /* No prefix is an answer already, but one that ends at its last byte. */
    if (ends || more) return;
    for (size_t size = 1; size < wire.len; size++) {
        struct outcome cut_off = play(str_make(wire.ptr, size), method, size, 1, false);
        if (strcmp(cut_off.text, "more") != 0 && strcmp(expected, "broken") != 0)
            fail_msg("%s, %zu bytes of it: %s", name, size, cut_off.text);
    }
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        const char *name, *method, *wire;
        bool ends;
        const char *expected; /* status, number of headers, keep or close, the last header, body */
        bool more;
    } cases[] = {
        {"a length", "GET", OK "Content-Length: 2\r\n\r\nok", false, "200 1 keep Content-Length=2 ok", false},
        {"an empty body", "GET", OK "content-length:0\r\n\r\n", false, "200 1 keep content-length=0 ", false},
        {"leading zeros", "GET", OK "Content-Length: 002\r\n\r\nok", false, "200 1 keep Content-Length=002 ok", false},
        {"no reason", "GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, "200 1 keep Content-Length=0 ",
         false},
        {"not even a blank", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, "200 1 keep Content-Length=0 ",
         false},
        {"a reason of other bytes", "GET", "HTTP/1.1 200 \xc3\xa9\t!\r\nContent-Length: 0\r\n\r\n", false,
         "200 1 keep Content-Length=0 ", false},
        {"status 999", "GET", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", false, "999 1 keep Content-Length=0 ",
         false},
        {"blanks around a value", "GET", OK "Content-Length: 0\r\nX: \t a b\t \r\n\r\n", false, "200 2 keep X=a b ",
         false},
        {"an empty value", "GET", OK "Content-Length: 0\r\nX:\r\n\r\n", false, "200 2 keep X= ", false},
        {"close", "GET", OK "Content-Length: 0\r\nConnection: x, Close\r\n\r\n", false,
         "200 2 close Connection=x, Close ", false},
        {"1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false, "200 1 close Content-Length=1 a", false},
        {"1.0 that keeps", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na", false,
         "200 2 keep Connection=keep-alive a", false},
        {"chunks", "GET", CHUNKED "2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", false,
         "200 1 keep Transfer-Encoding=chunked abcde", false},
        {"no chunk", "GET", CHUNKED "0\r\n\r\n", false, "200 1 keep Transfer-Encoding=chunked ", false},
        {"trailers", "GET", CHUNKED "1\r\na\r\n0\r\nX: y\r\n\r\n", false, "200 1 keep Transfer-Encoding=chunked a",
         false},
        {"until its end", "GET", OK "\r\nwhat is left", true, "200 0 close what is left", false},
        {"nothing until its end", "GET", OK "\r\n", true, "200 0 close ", false},
        {"204", "GET", "HTTP/1.1 204 No\r\n\r\n", false, "204 0 keep ", false},
        {"304 with a length", "GET", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", false,
         "304 1 keep Content-Length=9 ", false},
        {"to HEAD", "HEAD", OK "Content-Length: 9\r\n\r\n", false, "200 1 keep Content-Length=9 ", false},
        {"to HEAD, chunked", "HEAD", CHUNKED, false, "200 1 keep Transfer-Encoding=chunked ", false},
        {"after two 100", "GET",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 C\r\nX: y\r\n\r\n" OK "Content-Length: 1\r\n\r\na", false,
         "200 1 keep Content-Length=1 a", false},
        {"more than the answer", "GET", OK "Content-Length: 2\r\n\r\nok!", false, "200 1 keep Content-Length=2 ok",
         true},
        {"more than the chunks", "GET", CHUNKED "1\r\na\r\n0\r\n\r\nHTTP/1.1 200", false,
         "200 1 keep Transfer-Encoding=chunked a", true},
        {"more than nothing", "GET", "HTTP/1.1 204 No\r\n\r\nx", false, "204 0 keep ", true},

        {"nothing", "GET", "", true, "broken", false},
        {"half a status line", "GET", "HTTP/1.1 20", true, "broken", false},
        {"half a head", "GET", OK "Content-Length: 0\r\n", true, "broken", false},
        {"half a body", "GET", OK "Content-Length: 3\r\n\r\nok", true, "broken", false},
        {"only a 100", "GET", "HTTP/1.1 100 Continue\r\n\r\n", true, "broken", false},
        {"half a chunk", "GET", CHUNKED "5\r\nab", true, "broken", false},
        {"no last chunk", "GET", CHUNKED "2\r\nab\r\n", true, "broken", false},
        {"half a last chunk", "GET", CHUNKED "2\r\nab\r\n0\r\n", true, "broken", false},

        {"another protocol", "GET", "220 smtp.example.com ESMTP\r\n", false, "broken", false},
        {"an empty line", "GET", "\r\n" OK "Content-Length: 0\r\n\r\n", false, "broken", false},
        {"HTTP/2", "GET", "HTTP/2.0 200 OK\r\n\r\n", false, "broken", false},
        {"HTTP/1.2", "GET", "HTTP/1.2 200 OK\r\n\r\n", false, "broken", false},
        {"http in small letters", "GET", "http/1.1 200 OK\r\n\r\n", false, "broken", false},
        {"two blanks", "GET", "HTTP/1.1  200 OK\r\n\r\n", false, "broken", false},
        {"a short status", "GET", "HTTP/1.1 20 OK\r\n\r\n", false, "broken", false},
        {"a long status", "GET", "HTTP/1.1 2000 OK\r\n\r\n", false, "broken", false},
        {"no status", "GET", "HTTP/1.1 xx OK\r\n\r\n", false, "broken", false},
        {"a negative status", "GET", "HTTP/1.1 -20 OK\r\n\r\n", false, "broken", false},
        {"status 101", "GET", "HTTP/1.1 101 Switching\r\n\r\n", false, "broken", false},
        {"status 099", "GET", "HTTP/1.1 099 x\r\n\r\n", false, "broken", false},
        {"a control in the reason", "GET", "HTTP/1.1 200 O\001K\r\n\r\n", false, "broken", false},
        {"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", false, "broken", false},
        {"bare LF behind a field", "GET", OK "Content-Length: 0\n\r\n", false, "broken", false},
        {"bare LF at the end", "GET", OK "Content-Length: 0\r\n\n", false, "broken", false},
        {"bare CR", "GET", OK "X: a\rb\r\nContent-Length: 0\r\n\r\n", false, "broken", false},
        {"no colon", "GET", OK "no colon here\r\n\r\n", false, "broken", false},
        {"no name", "GET", OK ": a\r\n\r\n", false, "broken", false},
        {"a blank before the colon", "GET", OK "Content-Length : 0\r\n\r\n", false, "broken", false},
        {"a folded line", "GET", OK "X: a\r\n b\r\n\r\n", false, "broken", false},
        {"a control in a value", "GET", OK "X: a\177\r\n\r\n", false, "broken", false},
        {"a quote in a name", "GET", OK "\"X\": a\r\n\r\n", false, "broken", false},
        {"a length that is none", "GET", OK "Content-Length: two\r\n\r\n", false, "broken", false},
        {"a negative length", "GET", OK "Content-Length: -1\r\n\r\n", false, "broken", false},
        {"a length with a sign", "GET", OK "Content-Length: +1\r\n\r\n", false, "broken", false},
        {"an empty length", "GET", OK "Content-Length:\r\n\r\n", false, "broken", false},
        {"a hexadecimal length", "GET", OK "Content-Length: 0x2\r\n\r\n", false, "broken", false},
        {"a length beyond 64 bits", "GET", OK "Content-Length: 18446744073709551617\r\n\r\n", false, "broken", false},
        {"a length beyond the bound", "GET", OK "Content-Length: 67108865\r\n\r\n", false, "broken", false},
        {"two lengths", "GET", OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "broken", false},
        {"two equal lengths", "GET", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", false, "broken", false},
        {"a list of lengths", "GET", OK "Content-Length: 1, 1\r\n\r\n", false, "broken", false},
        {"a length and a coding", "GET", OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false, "broken",
         false},
        {"a coding and a length", "GET", OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", false, "broken",
         false},
        {"a coding of 1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "broken", false},
        {"another coding", "GET", OK "Transfer-Encoding: gzip\r\n\r\n", false, "broken", false},
        {"two codings", "GET", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", false, "broken", false},
        {"chunked twice", "GET", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false, "broken",
         false},
        {"a chunk size that is none", "GET", CHUNKED "zz\r\n", false, "broken", false},
        {"a negative chunk size", "GET", CHUNKED "-2\r\nab\r\n", false, "broken", false},
        {"a chunk beyond the bound", "GET", CHUNKED "4000001\r\n", false, "broken", false},
        {"a chunk beyond 64 bits", "GET", CHUNKED "10000000000000000\r\n", false, "broken", false},
        {"a chunk that does not end", "GET", CHUNKED "2\r\nabc\r\n", false, "broken", false},
        {"a trailer that frames", "GET", CHUNKED "0\r\nContent-Length: 1\r\n\r\n", false, "broken", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        play_all_ways(cases[i].name, str_from(cases[i].wire), cases[i].method, cases[i].ends, cases[i].expected,
                      cases[i].more);
}

/* A NUL, and every other control, ends no name and no value early. */
static void test_each_byte(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char value[] = OK "X: a?b\r\nContent-Length: 0\r\n\r\n", name[] = OK "X?Y: a\r\nContent-Length: 0\r\n\r\n";
        *strchr(value, '?') = (char)byte;
        *strchr(name, '?') = (char)byte;
        struct outcome in_value = play(str_make(value, sizeof value - 1), "GET", 1000, 1, false);
        bool is_text = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
        assert_int_equal(strcmp(in_value.text, "broken") != 0, is_text);
        struct outcome in_name = play(str_make(name, sizeof name - 1), "GET", 1000, 1, false);
        bool is_name = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte > ' ' && byte < 0x7f && strchr("!#$%&'*+-.^_`|~:", byte) != NULL);
        assert_int_equal(strcmp(in_name.text, "broken") != 0, is_name);
    }
}

/* Heads at their bounds and one beyond. */
static void test_limits(void **state) {
    (void)state;
    size_t room = CLIENT_ANSWER_HEAD_SIZE_MAX + 64;
    char *wire = malloc(room);
    assert_non_null(wire);
    for (uint32_t count = ANSWER_HEADERS_MAX; count <= ANSWER_HEADERS_MAX + 1; count++) {
        struct writer w = writer_make(wire, room);
        writer_put(&w, STR(OK "Content-Length: 0\r\n"));
        for (uint32_t i = 1; i < count; i++)
            writer_put(&w, STR("a:b\r\n"));
        writer_put(&w, STR("\r\n"));
        struct outcome out = play(writer_str(&w), "GET", w.len, 1, false);
        assert_string_equal(out.text, count > ANSWER_HEADERS_MAX ? "broken" : "200 128 keep a=b ");
    }
    for (size_t size = CLIENT_ANSWER_HEAD_SIZE_MAX; size <= CLIENT_ANSWER_HEAD_SIZE_MAX + 1; size++) {
        bool good = size == CLIENT_ANSWER_HEAD_SIZE_MAX;
        struct writer w = writer_make(wire, room);
        writer_put(&w, STR(OK "X: "));
        while (w.len < size - strlen("\r\nContent-Length: 0\r\n\r\n"))
            writer_char(&w, 'x');
        writer_put(&w, STR("\r\nContent-Length: 0\r\n\r\n"));
        assert_int_equal(w.len, size);
        struct outcome out = play(writer_str(&w), "GET", w.len, 1, false);
        assert_string_equal(out.text, good ? "200 2 keep Content-Length=0 " : "broken");
    }
    memset(wire, 'x', room);
    assert_string_equal(play(str_make(wire, CLIENT_ANSWER_HEAD_SIZE_MAX), "GET", room, 1, false).text, "more");
    assert_string_equal(play(str_make(wire, CLIENT_ANSWER_HEAD_SIZE_MAX + 1), "GET", room, 1, false).text, "broken");
    /* 100s for ever are a head without an end too. */
    struct writer w = writer_make(wire, room);
    while (w.len <= CLIENT_ANSWER_HEAD_SIZE_MAX)
        writer_put(&w, STR("HTTP/1.1 100 C\r\n\r\n"));
    assert_string_equal(play(writer_str(&w), "GET", w.len, 1, false).text, "broken");
    free(wire);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_each_byte),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
