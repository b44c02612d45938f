/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes: published answers, round trips, and everything that must have no reading. */
#include "codec/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define S(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_str(struct str got, struct str wanted) {
    assert_int_equal(got.len, wanted.len);
    assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
}

/* RFC 4648 §10. */
static const struct {
    struct str bytes, base64, hex;
} encodings[] = {
    {S(""), S(""), S("")},
    {S("f"), S("Zg=="), S("66")},
    {S("fo"), S("Zm8="), S("666f")},
    {S("foo"), S("Zm9v"), S("666f6f")},
    {S("foob"), S("Zm9vYg=="), S("666f6f62")},
    {S("fooba"), S("Zm9vYmE="), S("666f6f6261")},
    {S("foobar"), S("Zm9vYmFy"), S("666f6f626172")},
    {S("\0"), S("AA=="), S("00")},
    {S("\xff"), S("/w=="), S("ff")},
    {S("\xff\xef\xbe"), S("/+++"), S("ffefbe")},
    {S("\0\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92"
       "\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf"),
     S("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
     S("00108310518720928b30d38f41149351559761969b71d79f8218a39259a7a29aabb2dbafc31cb3d35db7e39ebbf3dfbf")},
};

static void known_encodings(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        struct str bytes = encodings[i].bytes;
        char text[128];
        uint8_t back[64];
        size_t size = 0;

        struct writer w = writer_make(text, sizeof(text));
        text_base64_write(&w, bytes.ptr, bytes.len);
        assert_str(writer_str(&w), encodings[i].base64);
        assert_true(text_base64_read(encodings[i].base64, back, bytes.len, &size));
        assert_str(str_make((char *)back, size), bytes);

        w = writer_make(text, sizeof(text));
        text_hex_write(&w, bytes.ptr, bytes.len);
        assert_str(writer_str(&w), encodings[i].hex);
        assert_true(text_hex_read(encodings[i].hex, TEXT_HEX_LOWER, back, bytes.len));
        assert_memory_equal(back, bytes.ptr, bytes.len);
        assert_true(text_hex_read(encodings[i].hex, TEXT_HEX_ANY, back, bytes.len));
        assert_memory_equal(back, bytes.ptr, bytes.len);
    }
}

static void hex_refused(void **state) {
    (void)state;
    static const struct {
        struct str text;
        size_t size;
        bool any; /* good where any letters are */
    } cases[] = {
        {S("0A"), 1, true},    {S("fF"), 1, true},        {S("ABCDEF"), 3, true}, {S(""), 1, false},
        {S("0"), 1, false},    {S("000"), 1, false},      {S("0000"), 1, false},  {S("00"), 2, false},
        {S("0g"), 1, false},   {S("G0"), 1, false},       {S(" 00"), 1, false},   {S("0 "), 1, false},
        {S("0x00"), 2, false}, {S("00\n"), 1, false},     {S("0\0"), 1, false},   {S("+0"), 1, false},
        {S("-1"), 1, false},   {S("/0"), 1, false},       {S(":0"), 1, false},    {S("@0"), 1, false},
        {S("`0"), 1, false},   {S("\xb0\xb1"), 1, false}, {S("00:0"), 2, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t bytes[8];
        assert_false(text_hex_read(cases[i].text, TEXT_HEX_LOWER, bytes, cases[i].size));
        assert_int_equal(text_hex_read(cases[i].text, TEXT_HEX_ANY, bytes, cases[i].size), cases[i].any);
    }
    /* Every byte in each place. */
    for (unsigned c = 0; c < 256; c++)
        for (size_t place = 0; place < 4; place++) {
            char text[4] = {'0', '0', '0', '0'};
            uint8_t bytes[2];
            text[place] = (char)c;
            bool lower = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            bool upper = c >= 'A' && c <= 'F';
            assert_int_equal(text_hex_read(str_make(text, 4), TEXT_HEX_LOWER, bytes, 2), lower);
            assert_int_equal(text_hex_read(str_make(text, 4), TEXT_HEX_ANY, bytes, 2), lower || upper);
        }
}

static void base64_refused(void **state) {
    (void)state;
    static const struct str cases[] = {
        S("Z"),
        S("Zg"),
        S("Zg="),
        S("Zg==="),
        S("Zg====="),
        S("Zh=="),
        S("Zv=="),
        S("Zm9"),
        S("Zm9="),
        S("Zm+="),
        S("Zm8"),
        S("="),
        S("=="),
        S("==="),
        S("===="),
        S("A==="),
        S("A=AA"),
        S("=AAA"),
        S("AA=A"),
        S("AAAA===="),
        S("Zg==Zg=="),
        S("Zm9v\n"),
        S("Zm9v\r\n"),
        S(" Zm9v"),
        S("Zm9v "),
        S("Zm\n9v"),
        S("Zm 9vYg=="),
        S("Zm9v\0\0\0\0"),
        S("_w=="),
        S("-w=="),
        S("Zm9v,"),
        S("Zm9*"),
        S("Z===Zm9v"),
        S("Zm9vYg"),
        S("Zm9vYg="),
        S("\xff\xff\xff\xff"),
        S("Zm9v\xc3\xa9=="),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t bytes[32];
        size_t size = 77;
        assert_false(text_base64_read(cases[i], bytes, sizeof(bytes), &size));
        assert_int_equal(size, 77);
    }
    /* Every byte in each place of a text with and without padding: a change gives other bytes, or none. */
    static const struct str good[] = {S("Zm9vYmFy"), S("Zm9vYmE="), S("Zm9vYg==")};
    for (size_t i = 0; i < COUNT(good); i++)
        for (size_t place = 0; place < good[i].len; place++)
            for (unsigned c = 0; c < 256; c++) {
                char text[8], again[8];
                uint8_t bytes[6];
                size_t size;
                memcpy(text, good[i].ptr, sizeof(text));
                text[place] = (char)c;
                if (!text_base64_read(str_make(text, 8), bytes, sizeof(bytes), &size)) continue;
                struct writer w = writer_make(again, sizeof(again));
                text_base64_write(&w, bytes, size);
                assert_str(writer_str(&w), str_make(text, 8));
            }
}

static void base64_bounds(void **state) {
    (void)state;
    uint8_t bytes[6];
    size_t size = 77;
    for (size_t i = 0; i < COUNT(encodings); i++)
        if (encodings[i].bytes.len > 0 && encodings[i].bytes.len <= sizeof(bytes)) {
            assert_false(text_base64_read(encodings[i].base64, bytes, encodings[i].bytes.len - 1, &size));
            assert_int_equal(size, 77);
        }
    assert_true(text_base64_read(STR(""), bytes, 0, &size));
    assert_int_equal(size, 0);
    assert_true(text_base64_read(STR_NONE, bytes, 0, &size));
}

/* All writers at each size of memory: whole, or overflow and not one byte past the end. */
static void writers_bounded(void **state) {
    (void)state;
    for (unsigned which = 0; which < 6; which++) {
        size_t whole = 0;
        for (size_t room = 64; room + 1 > 0; room--) {
            char text[66];
            memset(text, '#', sizeof(text));
            struct writer w = writer_make(text, room);
            switch (which) {
            case 0: text_hex_write(&w, "\x00\xff\x10", 3); break;
            case 1: text_base64_write(&w, "abcde", 5); break;
            case 2: text_percent_write(&w, STR("a b/c\xff"), false); break;
            case 3: assert_true(text_percent_read(&w, STR("a%20b+c"), true)); break;
            case 4: text_amz_date_write(&w, 1440938160); break;
            default: text_received_at_write(&w, 1795460930123456); break;
            }
            if (room == 64) whole = w.len;
            assert_int_equal(w.overflow, room < whole);
            assert_true(w.len <= room);
            for (size_t i = room; i < sizeof(text); i++)
                assert_int_equal(text[i], '#');
        }
    }
}

static void percent(void **state) {
    (void)state;
    static const struct {
        struct str text, all, slashes_kept;
    } written[] = {
        {S(""), S(""), S("")},
        {S("AZaz09-._~"), S("AZaz09-._~"), S("AZaz09-._~")},
        {S("/a/b/"), S("%2Fa%2Fb%2F"), S("/a/b/")},
        {S(" +%&=?#"), S("%20%2B%25%26%3D%3F%23"), S("%20%2B%25%26%3D%3F%23")},
        {S("\0\x7f\x80\xff"), S("%00%7F%80%FF"), S("%00%7F%80%FF")},
        {S("\xe1\x88\xb4"), S("%E1%88%B4"), S("%E1%88%B4")},
        {S("!*'();:@$,[]"), S("%21%2A%27%28%29%3B%3A%40%24%2C%5B%5D"), S("%21%2A%27%28%29%3B%3A%40%24%2C%5B%5D")},
        {S("%20"), S("%2520"), S("%2520")},
    };
    for (size_t i = 0; i < COUNT(written); i++)
        for (int keep = 0; keep < 2; keep++) {
            char text[64], back[64];
            struct writer w = writer_make(text, sizeof(text));
            text_percent_write(&w, written[i].text, keep);
            assert_str(writer_str(&w), keep ? written[i].slashes_kept : written[i].all);
            struct writer again = writer_make(back, sizeof(back));
            assert_true(text_percent_read(&again, writer_str(&w), true));
            assert_str(writer_str(&again), written[i].text);
        }

    static const struct {
        struct str text, plain, form;
    } read[] = {
        {S("a+b"), S("a+b"), S("a b")},
        {S("%2B"), S("+"), S("+")},
        {S("%2b%2B"), S("++"), S("++")},
        {S("%00"), S("\0"), S("\0")},
        {S("%e1%88%B4"), S("\xe1\x88\xb4"), S("\xe1\x88\xb4")},
        {S("%252B"), S("%2B"), S("%2B")},
        {S("\xff %41"), S("\xff A"), S("\xff A")},
    };
    for (size_t i = 0; i < COUNT(read); i++)
        for (int form = 0; form < 2; form++) {
            char text[64];
            struct writer w = writer_make(text, sizeof(text));
            assert_true(text_percent_read(&w, read[i].text, form));
            assert_str(writer_str(&w), form ? read[i].form : read[i].plain);
        }

    static const struct str refused[] = {S("%"),      S("%4"),   S("a%"),   S("a%4"),      S("%4g"),
                                         S("%g4"),    S("%%41"), S("%+1"),  S("% 1"),      S("%-1"),
                                         S("%u0041"), S("%0x"),  S("%4\0"), S("%\xb4\x31")};
    for (size_t i = 0; i < COUNT(refused); i++) {
        char text[64];
        struct writer w = writer_make(text, sizeof(text));
        assert_false(text_percent_read(&w, refused[i], false));
        w = writer_make(text, sizeof(text));
        assert_false(text_percent_read(&w, refused[i], true));
    }
}

static void amz_dates(void **state) {
    (void)state;
    static const struct {
        struct str text;
        int64_t unix_s;
    } good[] = {
        {S("19700101T000000Z"), 0},          {S("19700101T000001Z"), 1},
        {S("20150830T123600Z"), 1440938160}, {S("20000229T235959Z"), 951868799},
        {S("20000301T000000Z"), 951868800},  {S("20991231T235959Z"), 4102444799},
        {S("21000228T235959Z"), 4107542399}, {S("21000301T000000Z"), 4107542400},
        {S("20240229T000000Z"), 1709164800}, {S("99991231T235959Z"), 253402300799},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t unix_s;
        char text[32];
        assert_true(text_amz_date_read(good[i].text, &unix_s));
        assert_int_equal(unix_s, good[i].unix_s);
        struct writer w = writer_make(text, sizeof(text));
        text_amz_date_write(&w, good[i].unix_s);
        assert_str(writer_str(&w), good[i].text);
    }

    static const struct str refused[] = {
        S(""),
        S("20150830T123600"),
        S("20150830T123600ZZ"),
        S(" 20150830T123600Z"),
        S("20150830T123600z"),
        S("20150830t123600Z"),
        S("20150830 123600Z"),
        S("2015083T0123600Z"),
        S("20150830T1236+0Z"),
        S("2015-830T123600Z"),
        S("19691231T235959Z"),
        S("00000101T000000Z"),
        S("20151301T000000Z"),
        S("20150001T000000Z"),
        S("20150100T000000Z"),
        S("20150132T000000Z"),
        S("20150431T000000Z"),
        S("20150229T000000Z"),
        S("21000229T000000Z"),
        S("20240230T000000Z"),
        S("20150830T240000Z"),
        S("20150830T236000Z"),
        S("20150830T235960Z"),
        S("20150830T23595\0Z"),
        S("2015083\xc0T123600Z"),
        S("2015-08-30T12:36:00Z"),
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        int64_t unix_s = 77;
        assert_false(text_amz_date_read(refused[i], &unix_s));
        assert_int_equal(unix_s, 77);
    }
}

/* Against the C library's calendar, over all 8,030 years. */
static void calendar(void **state) {
    (void)state;
    for (int64_t unix_s = 0; unix_s <= INT64_C(253402300799); unix_s += 86400 * 5 + 12345) {
        char text[32], wanted[32];
        int64_t back;
        struct tm at;
        time_t when = (time_t)unix_s;
        assert_non_null(gmtime_r(&when, &at));
        assert_int_equal(strftime(wanted, sizeof(wanted), "%Y%m%dT%H%M%SZ", &at), 16);
        struct writer w = writer_make(text, sizeof(text));
        text_amz_date_write(&w, unix_s);
        assert_string_equal(writer_cstr(&w), wanted);
        assert_true(text_amz_date_read(writer_str(&w), &back));
        assert_int_equal(back, unix_s);
    }
}

static void received_at(void **state) {
    (void)state;
    static const struct {
        int64_t unix_us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000"},
        {1, "1970-01-01T00:00:00.000001"},
        {999999, "1970-01-01T00:00:00.999999"},
        {1000000, "1970-01-01T00:00:01.000000"},
        {1795460930123456, "2026-11-23T19:08:50.123456"},
        {1795460930000000, "2026-11-23T19:08:50.000000"},
        {253402300799999999, "9999-12-31T23:59:59.999999"},
        {-1, "1970-01-01T00:00:00.000000"},
        {INT64_MIN, "1970-01-01T00:00:00.000000"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        struct writer w = writer_make(text, sizeof(text));
        text_received_at_write(&w, cases[i].unix_us);
        assert_string_equal(writer_cstr(&w), cases[i].text);
    }
    char text[32];
    struct writer w = writer_make(text, sizeof(text));
    text_received_at_write(&w, INT64_MAX);
    assert_int_equal(w.len, 26);
}

static void cards(void **state) {
    (void)state;
    static const struct {
        const char *text, *masked;
    } cases[] = {
        {"4111111111111111", "411111******1111"},
        {"4222222222222", "422222***2222"},             /* 13 digits */
        {"6304000000000000000", "630400*********0000"}, /* 19 */
        {"378282246310005", "378282*****0005"},
        {"5555555555554444", "555555******4444"},
        {"4111 1111 1111 1111", "4111 11** **** 1111"},
        {"4111-1111-1111-1111", "4111-11**-****-1111"},
        {"paid by 4111111111111111.", "paid by 411111******1111."},
        {"tx_4111111111111111", "tx_411111******1111"},
        {"12 4111111111111111 35", "12 411111******1111 35"},
        {"4111111111111111,5555555555554444", "411111******1111,555555******4444"},
        /* None of these is one. */
        {"", ""},
        {"4111111111111112", "4111111111111112"},         /* check digit */
        {"411111111116", "411111111116"},                 /* 12 digits */
        {"41111111111111111118", "41111111111111111118"}, /* 20 */
        {"0000000000000000", "0000000000000000"},         /* begins as none */
        {"820982911946154508", "820982911946154508"},
        {"a4111111111111111", "a4111111111111111"},
        {"4111111111111111b", "4111111111111111b"},
        {"4111  1111 1111 1111", "4111  1111 1111 1111"}, /* two blanks */
        {"4111_1111_1111_1111", "4111_1111_1111_1111"},
        {"232e13393e984f5124ee5af8668e8eda2f016cacba5b27a6", "232e13393e984f5124ee5af8668e8eda2f016cacba5b27a6"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[64];
        size_t size = strlen(cases[i].text);
        memcpy(text, cases[i].text, size + 1);
        text_cards_mask(text, size);
        assert_string_equal(text, cases[i].masked);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards),          cmocka_unit_test(known_encodings), cmocka_unit_test(hex_refused),
        cmocka_unit_test(base64_refused), cmocka_unit_test(base64_bounds),   cmocka_unit_test(writers_bounded),
        cmocka_unit_test(percent),        cmocka_unit_test(amz_dates),       cmocka_unit_test(calendar),
        cmocka_unit_test(received_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
