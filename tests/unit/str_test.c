/* SPDX-License-Identifier: Apache-2.0 */
/* Slices and the writer. Where all inputs can be tried, they are. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int sign_of(int n) { return n < 0 ? -1 : n > 0; }

#define assert_str(actual, expected)                                                                                   \
    do {                                                                                                               \
        struct str actual_ = (actual), expected_ = (expected);                                                         \
        if ((actual_.ptr == NULL) != (expected_.ptr == NULL) || !str_eq(actual_, expected_))                           \
            fail_msg("\"%.*s\" is not \"%.*s\"", STR_ARG(actual_), STR_ARG(expected_));                                \
    } while (0)

/* Slices */

static void pairs(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str a, b;
        bool eq, nocase, starts, ends; /* a starts, ends with b */
        int order;
    } cases[] = {
        {STR_NONE, STR_NONE, true, true, true, true, 0},
        {STR(""), STR_NONE, true, true, true, true, 0},
        {STR(""), STR(""), true, true, true, true, 0},
        {STR("a"), STR(""), false, false, true, true, 1},
        {STR(""), STR("a"), false, false, false, false, -1},
        {STR("a"), STR("a"), true, true, true, true, 0},
        {STR("a"), STR("A"), false, true, false, false, 1},
        {STR("ab"), STR("a"), false, false, true, false, 1},
        {STR("ab"), STR("b"), false, false, false, true, -1},
        {STR("ab"), STR("abc"), false, false, false, false, -1},
        {STR("aba"), STR("a"), false, false, true, true, 1},
        {STR("a\0b"), STR("a\0c"), false, false, false, false, -1},
        {STR("a\0b"), STR("a"), false, false, true, false, 1},
        {STR("a\0b"), STR("A\0B"), false, true, false, false, 1},
        {STR("\xff"), STR("a"), false, false, false, false, 1}, /* bytes are unsigned */
        {STR("\xc3\x84"), STR("\xc3\xa4"), false, false, false, false, -1},
        {STR("Content-Length"), STR("content-length"), false, true, false, false, -1},
        {STR("Content-Length"), STR("content_length"), false, false, false, false, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(str_eq(cases[i].a, cases[i].b), cases[i].eq);
        assert_int_equal(str_eq(cases[i].b, cases[i].a), cases[i].eq);
        assert_int_equal(str_eq_nocase(cases[i].a, cases[i].b), cases[i].nocase);
        assert_int_equal(str_eq_nocase(cases[i].b, cases[i].a), cases[i].nocase);
        assert_int_equal(str_starts(cases[i].a, cases[i].b), cases[i].starts);
        assert_int_equal(str_ends(cases[i].a, cases[i].b), cases[i].ends);
        assert_int_equal(sign_of(str_order(cases[i].a, cases[i].b)), cases[i].order);
        assert_int_equal(sign_of(str_order(cases[i].b, cases[i].a)), -cases[i].order);
    }
    assert_null(str_from(NULL).ptr);
    assert_int_equal(str_from(NULL).len, 0);
    assert_str(str_from_index(STR("abc"), 3), STR(""));
    assert_str(str_from_index(STR("abc"), 1), STR("bc"));
}

/* Only A-Z and a-z are alike: not @ and `, nor [ and {, nor anything beyond ASCII. */
static void letters_of_any_case(void **state) {
    (void)state; /* there is none */
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", lower[] = "abcdefghijklmnopqrstuvwxyz";
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            bool alike = a == b;
            for (int i = 0; i < 26; i++)
                alike |= (a == upper[i] && b == lower[i]) || (a == lower[i] && b == upper[i]);
            char x = (char)a, y = (char)b;
            assert_int_equal(str_eq_nocase(str_make(&x, 1), str_make(&y, 1)), alike);
        }
}

static void cuts(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str text;
        char separator;
        struct str head, tail; /* head none: not cut */
    } cases[] = {
        {STR_NONE, ',', STR_NONE, STR_NONE},
        {STR(""), ',', STR_NONE, STR_NONE},
        {STR("abc"), ',', STR_NONE, STR_NONE},
        {STR("abc"), '\0', STR_NONE, STR_NONE}, /* the NUL behind is not ours */
        {STR(","), ',', STR(""), STR("")},
        {STR("a,"), ',', STR("a"), STR("")},
        {STR(",a"), ',', STR(""), STR("a")},
        {STR("a,b,c"), ',', STR("a"), STR("b,c")},
        {STR("a\0b"), '\0', STR("a"), STR("b")},
        {STR("a\xff"
             "b"),
         '\xff', STR("a"), STR("b")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str head = STR("untouched"), tail = STR("as well");
        print_message("case %zu\n", i);
        bool cut = cases[i].head.ptr != NULL;
        assert_int_equal(str_cut(cases[i].text, cases[i].separator, &head, &tail), cut);
        assert_str(head, cut ? cases[i].head : STR("untouched"));
        assert_str(tail, cut ? cases[i].tail : STR("as well"));
        assert_int_equal(str_has(cases[i].text, cases[i].separator), cut);
    }
}

static void trims(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str text, trimmed;
    } cases[] = {
        {STR_NONE, STR_NONE},      {STR(""), STR("")},
        {STR(" "), STR("")},       {STR("\t \t"), STR("")},
        {STR("a"), STR("a")},      {STR(" a b\t"), STR("a b")},
        {STR("\na "), STR("\na")}, /* blanks and tabs, nothing else */
        {STR(" a\r"), STR("a\r")}, {STR("\va\f"), STR("\va\f")},
        {STR(" \0 "), STR("\0")},  {STR("\xc2\xa0"), STR("\xc2\xa0")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_str(str_trim(cases[i].text), cases[i].trimmed);
}

static void controls(void **state) {
    (void)state; /* there is none */
    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'};
        assert_int_equal(str_has_control(str_make(text, 3)), c < 32 || c == 127);
        assert_int_equal(str_has_control(str_make(text + 1, 1)), c < 32 || c == 127);
        assert_false(str_has_control(str_make(text, 1)));
    }
    assert_false(str_has_control(STR_NONE));
}

static void numbers_read(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str text;
        uint64_t max;
        bool good;
        uint64_t value;
    } cases[] = {
        {STR("0"), 0, true, 0},
        {STR("000"), 0, true, 0},
        {STR("1"), 0, false, 0},
        {STR("01"), 0, false, 0},
        {STR("9"), 9, true, 9},
        {STR("10"), 9, false, 0},
        {STR("0000000000000000000000000000009"), 9, true, 9},
        {STR("65535"), 65535, true, 65535},
        {STR("65536"), 65535, false, 0},
        {STR("655350"), 65535, false, 0},
        {STR("4294967296"), UINT32_MAX, false, 0},
        {STR("9223372036854775807"), INT64_MAX, true, INT64_MAX},
        {STR("9223372036854775808"), INT64_MAX, false, 0},
        {STR("18446744073709551614"), UINT64_MAX, true, UINT64_MAX - 1},
        {STR("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {STR("18446744073709551616"), UINT64_MAX, false, 0},
        {STR("18446744073709551625"), UINT64_MAX, false, 0},
        {STR("28446744073709551615"), UINT64_MAX, false, 0},
        {STR("184467440737095516150"), UINT64_MAX, false, 0},
        {STR("36893488147419103232"), UINT64_MAX, false, 0}, /* 2^65 */
        {STR_NONE, UINT64_MAX, false, 0},
        {STR(""), UINT64_MAX, false, 0},
        {STR("+1"), UINT64_MAX, false, 0},
        {STR("-1"), UINT64_MAX, false, 0},
        {STR("-0"), UINT64_MAX, false, 0},
        {STR(" 1"), UINT64_MAX, false, 0},
        {STR("1 "), UINT64_MAX, false, 0},
        {STR("1\n"), UINT64_MAX, false, 0},
        {STR("1\0"), UINT64_MAX, false, 0},
        {STR("1.0"), UINT64_MAX, false, 0},
        {STR("1e3"), UINT64_MAX, false, 0},
        {STR("0x1"), UINT64_MAX, false, 0},
        {STR("1_0"), UINT64_MAX, false, 0},
        {STR("1,0"), UINT64_MAX, false, 0},
        {STR("/"), UINT64_MAX, false, 0},
        {STR(":"), UINT64_MAX, false, 0},
        {STR("\xd9\xa1"), UINT64_MAX, false, 0}, /* an Arabic one */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = 77;
        print_message("%.*s at most %llu\n", STR_ARG(cases[i].text), (unsigned long long)cases[i].max);
        assert_int_equal(str_u64(cases[i].text, cases[i].max, &value), cases[i].good);
        assert_true(value == (cases[i].good ? cases[i].value : 77));
    }
    for (uint64_t max = 0; max < 1200; max++)
        for (uint64_t n = 0; n < 1300; n += max < 130 ? 1 : 37) {
            char text[32];
            uint64_t value = 7777;
            int size = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
            assert_int_equal(str_u64(str_make(text, (size_t)size), max, &value), n <= max);
            assert_true(value == (n <= max ? n : 7777));
        }
}

/* The writer */

static void numbers_written(void **state) {
    (void)state; /* there is none */
    static const uint64_t values[] = {0,
                                      1,
                                      9,
                                      10,
                                      99,
                                      100,
                                      4294967296,
                                      INT64_MAX,
                                      1u << 31,
                                      UINT64_MAX,
                                      UINT64_MAX - 1,
                                      UINT64_C(9223372036854775808)};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char memory[32], text[32];
        struct writer w = writer_make(memory, sizeof memory);
        writer_u64(&w, values[i]);
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)values[i]);
        assert_str(writer_str(&w), str_from(text));
        w.len = 0;
        writer_i64(&w, (int64_t)values[i]);
        (void)snprintf(text, sizeof text, "%lld", (long long)values[i]);
        assert_str(writer_str(&w), str_from(text));
        assert_false(w.overflow);
    }
}

static void overflow_stays(void **state) {
    (void)state; /* there is none */
    char memory[6] = "......";
    struct writer w = writer_make(memory, 4);
    writer_put(&w, STR("ab"));
    writer_put(&w, STR_NONE);
    writer_put(&w, STR("cd"));
    assert_false(w.overflow);
    assert_str(writer_str(&w), STR("abcd"));
    writer_put(&w, STR(""));
    assert_false(w.overflow);
    writer_char(&w, 'e');
    assert_true(w.overflow);
    assert_str(writer_str(&w), STR("abcd"));
    writer_put(&w, STR(""));
    assert_true(w.overflow);
    assert_memory_equal(memory, "abcd..", 6);

    /* What does not fit is dropped whole, and no later success makes up for it. */
    w = writer_make(memory, 4);
    writer_put(&w, STR("12345"));
    assert_true(w.overflow);
    assert_int_equal(w.len, 0);
    writer_put(&w, STR("1"));
    writer_u64(&w, 23);
    assert_true(w.overflow);
    assert_str(writer_str(&w), STR("123"));
    writer_u64(&w, UINT64_MAX);
    writer_i64(&w, -99999);
    writer_format(&w, "%d%s", 44, "4");
    writer_escaped(&w, STR("\n"));
    assert_true(w.overflow);
    assert_true(w.len <= 4);
    assert_memory_equal(memory + 4, "..", 2);

    w = writer_make(memory, 0);
    writer_put(&w, STR(""));
    assert_false(w.overflow);
    assert_string_equal(writer_cstr(&w), "");
    writer_char(&w, 'x');
    assert_true(w.overflow);
    assert_string_equal(writer_cstr(&w), "");
}

static void with_a_nul(void **state) {
    (void)state; /* there is none */
    char memory[4];
    struct writer w = writer_make(memory, sizeof memory);
    assert_string_equal(writer_cstr(&w), "");
    writer_put(&w, STR("abc"));
    assert_string_equal(writer_cstr(&w), "abc");
    assert_int_equal(w.len, 3);
    writer_char(&w, 'd');
    assert_false(w.overflow);
    assert_string_equal(writer_cstr(&w), "abc"); /* its last byte gave way */
    assert_int_equal(w.len, 4);
}

static void formats(void **state) {
    (void)state; /* there is none */
    static char memory[8192], long_text[3000];
    struct writer w = writer_make(memory, sizeof memory);
    writer_format(&w, "%s=%05d", "a", -42);
    assert_str(writer_str(&w), STR("a=-0042"));
    memset(long_text, 'x', sizeof long_text - 1);
    writer_format(&w, "%.*s", 2047, long_text);
    assert_false(w.overflow);
    assert_int_equal(w.len, 7 + 2047);
    writer_format(&w, "%.*s", 2048, long_text);
    assert_true(w.overflow);
    assert_int_equal(w.len, 7 + 2047);
}

/* writer_escaped */

static struct str escaped(struct str s) {
    static char memory[512];
    struct writer w = writer_make(memory, sizeof memory);
    writer_escaped(&w, s);
    assert_false(w.overflow);
    return writer_str(&w);
}

static void escapes(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str text, escaped;
    } cases[] = {
        {STR_NONE, STR("")},
        {STR("plain text, 'single' / = %"), STR("plain text, 'single' / = %")},
        {STR("a\r\nb"), STR("a\\x0d\\x0ab")},
        {STR("\0\x01\x1f\x20"), STR("\\x00\\x01\\x1f ")},
        {STR("\x1b[2J"), STR("\\x1b[2J")},
        {STR("\x7e\x7f"), STR("~\\x7f")},
        {STR("\"\\"), STR("\\x22\\x5c")},
        {STR("\\x0a"), STR("\\x5cx0a")}, /* cannot be mistaken for one of ours */
        {STR("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), STR("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")},
        {STR("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\xa7\xe2\x81\xaa"),
         STR("\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\xa8\xe2\x80\xa7\xe2\x81\xaa")}, /* bidi, separators */
        {STR("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"),
         STR("\\xc2\\x80\\xc2\\x9b\\xc2\\x9f\xc2\xa0")}, /* C1, but not U+00A0 */
        {STR("\x80\xbf"), STR("\\x80\\xbf")},            /* tails alone */
        {STR("\xc3"), STR("\\xc3")},                     /* cut off */
        {STR("\xe2\x82"), STR("\\xe2\\x82")},
        {STR("\xf0\x9f\x98"), STR("\\xf0\\x9f\\x98")},
        {STR("\xc3\x28"), STR("\\xc3(")},
        {STR("\xe2\x28\xa1"), STR("\\xe2(\\xa1")},
        {STR("\xc3\xc3\xa9"), STR("\\xc3\xc3\xa9")},
        {STR("\xc0\x8a"), STR("\\xc0\\x8a")}, /* overlong LF */
        {STR("\xc1\xbf"), STR("\\xc1\\xbf")},
        {STR("\xe0\x80\x8a"), STR("\\xe0\\x80\\x8a")},
        {STR("\xe0\x9f\xbf"), STR("\\xe0\\x9f\\xbf")},
        {STR("\xf0\x80\x80\x8a"), STR("\\xf0\\x80\\x80\\x8a")},
        {STR("\xf0\x8f\xbf\xbf"), STR("\\xf0\\x8f\\xbf\\xbf")},
        {STR("\xed\xa0\x80"), STR("\\xed\\xa0\\x80")},          /* a surrogate */
        {STR("\xf4\x90\x80\x80"), STR("\\xf4\\x90\\x80\\x80")}, /* U+110000 */
        {STR("\xf8\x88\x80\x80\x80"), STR("\\xf8\\x88\\x80\\x80\\x80")},
        {STR("\xfe\xff"), STR("\\xfe\\xff")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_str(escaped(cases[i].text), cases[i].escaped);
}

/* RFC 3629 §3, by the arithmetic of its table. */
static size_t encode(uint32_t c, char *ret_bytes) {
    if (c < 0x80) {
        ret_bytes[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        ret_bytes[i] = (char)(0x80 | (c & 0x3f));
    ret_bytes[0] = (char)((0xf00 >> size) | c);
    return size;
}

static void every_character(void **state) {
    (void)state; /* there is none */
    for (uint32_t c = 0; c <= 0x110fff; c++) {
        char bytes[4], memory[16];
        struct str s = str_make(bytes, encode(c, bytes));
        struct writer w = writer_make(memory, sizeof memory);
        writer_escaped(&w, s);
        bool passes = c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != '"' && c != '\\' && !(c >= 0xd800 && c < 0xe000) &&
                      !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c <= 0x10ffff;
        if (passes ? !str_eq(writer_str(&w), s) : w.len != 4 * s.len) fail_msg("U+%04X", (unsigned)c);
    }
}

/* Every two bytes: what comes out is harmless, and says exactly what went in. */
static void every_pair_of_bytes(void **state) {
    (void)state; /* there is none */
    for (unsigned pair = 0; pair < 65536; pair++) {
        char bytes[] = {(char)(pair >> 8), (char)pair}, back[8];
        struct str out = escaped(str_make(bytes, 2));
        size_t size = 0;
        for (size_t i = 0; i < out.len; i++) {
            unsigned char c = (unsigned char)out.ptr[i];
            unsigned byte = c;
            assert_true(c >= 0x20 && c != 0x7f && c != '"');
            assert_false(c == 0xc2 && i + 1 < out.len && (unsigned char)out.ptr[i + 1] < 0xa0);
            if (c == '\\') {
                char digits[3] = {out.ptr[i + 2], out.ptr[i + 3], '\0'};
                assert_int_equal(out.ptr[i + 1], 'x');
                assert_int_equal(sscanf(digits, "%2x", &byte), 1);
                i += 3;
            }
            back[size++] = (char)byte;
        }
        assert_str(str_make(back, size), str_make(bytes, 2));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(letters_of_any_case),
        cmocka_unit_test(cuts),
        cmocka_unit_test(trims),
        cmocka_unit_test(controls),
        cmocka_unit_test(numbers_read),
        cmocka_unit_test(numbers_written),
        cmocka_unit_test(overflow_stays),
        cmocka_unit_test(with_a_nul),
        cmocka_unit_test(formats),
        cmocka_unit_test(escapes),
        cmocka_unit_test(every_character),
        cmocka_unit_test(every_pair_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
