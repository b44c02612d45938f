/* SPDX-License-Identifier: Apache-2.0 */
/* codec/json against JSONTestSuite, tables of awkward texts, and jansson. The comparison with jansson is that of the
 * fuzz target, which is part of this file. Every text is read from memory of its exact size, so that ASan sees a byte
 * too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fuzz/json_fuzz.c"

#include <dirent.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct str exact(struct str s) {
    char *memory = malloc(s.len);
    if (s.len > 0) {
        assert_non_null(memory);
        memcpy(memory, s.ptr, s.len);
    }
    return str_make(memory, s.len);
}
static void exact_free(struct str s) { free((void *)(uintptr_t)s.ptr); }

static enum json_result validate(struct str text) {
    struct str copy = exact(text);
    enum json_result result = json_scan(copy, NULL, 0, NULL);
    exact_free(copy);
    return result;
}

static struct json_pointer compile(const char *text) {
    struct json_pointer pointer;
    if (!json_pointer_compile(str_from(text), &pointer)) fail_msg("no pointer: %s", text);
    return pointer;
}

static void str_is(struct str s, const char *expected, const char *what) {
    if (!str_eq(s, str_from(expected))) fail_msg("%s: %.*s, not %s", what, STR_ARG(s), expected);
}

/* The i_ files may be either; this is what we answer. */
static const struct {
    const char *name;
    enum json_result result;
} implementation_defined[] = {
    {"i_number_double_huge_neg_exp.json", JSON_OK},
    {"i_number_huge_exp.json", JSON_OK},
    {"i_number_neg_int_huge_exp.json", JSON_OK},
    {"i_number_pos_double_huge_exp.json", JSON_OK},
    {"i_number_real_neg_overflow.json", JSON_OK},
    {"i_number_real_pos_overflow.json", JSON_OK},
    {"i_number_real_underflow.json", JSON_OK},
    {"i_number_too_big_neg_int.json", JSON_OK},
    {"i_number_too_big_pos_int.json", JSON_OK},
    {"i_number_very_big_negative_int.json", JSON_OK},
    {"i_object_key_lone_2nd_surrogate.json", JSON_OK},
    {"i_string_1st_surrogate_but_2nd_missing.json", JSON_OK},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", JSON_OK},
    {"i_string_UTF-16LE_with_BOM.json", JSON_INVALID},
    {"i_string_UTF-8_invalid_sequence.json", JSON_NOT_UTF8},
    {"i_string_UTF8_surrogate_U+D800.json", JSON_NOT_UTF8},
    {"i_string_incomplete_surrogate_and_escape_valid.json", JSON_OK},
    {"i_string_incomplete_surrogate_pair.json", JSON_OK},
    {"i_string_incomplete_surrogates_escape_valid.json", JSON_OK},
    {"i_string_invalid_lonely_surrogate.json", JSON_OK},
    {"i_string_invalid_surrogate.json", JSON_OK},
    {"i_string_invalid_utf-8.json", JSON_NOT_UTF8},
    {"i_string_inverted_surrogates_U+1D11E.json", JSON_OK},
    {"i_string_iso_latin_1.json", JSON_NOT_UTF8},
    {"i_string_lone_second_surrogate.json", JSON_OK},
    {"i_string_lone_utf8_continuation_byte.json", JSON_NOT_UTF8},
    {"i_string_not_in_unicode_range.json", JSON_NOT_UTF8},
    {"i_string_overlong_sequence_2_bytes.json", JSON_NOT_UTF8},
    {"i_string_overlong_sequence_6_bytes.json", JSON_NOT_UTF8},
    {"i_string_overlong_sequence_6_bytes_null.json", JSON_NOT_UTF8},
    {"i_string_truncated-utf-8.json", JSON_NOT_UTF8},
    {"i_string_utf16BE_no_BOM.json", JSON_INVALID},
    {"i_string_utf16LE_no_BOM.json", JSON_INVALID},
    {"i_structure_500_nested_arrays.json", JSON_TOO_DEEP},
    {"i_structure_UTF-8_BOM_empty_object.json", JSON_INVALID},
};

static bool suite_expects(const char *name, enum json_result result) {
    if (name[0] == 'y') return result == JSON_OK;
    if (name[0] == 'n') return result != JSON_OK;
    for (size_t i = 0; i < COUNT(implementation_defined); i++) {
        if (strcmp(name, implementation_defined[i].name) == 0) return result == implementation_defined[i].result;
    }
    return false;
}

static void test_suite(void **state) {
    (void)state;
    size_t counts[256] = {0};
    DIR *folder = opendir(TEST_DATA "/json-test-suite/test_parsing");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char path[512], bytes[1 << 18];
        snprintf(path, sizeof(path), TEST_DATA "/json-test-suite/test_parsing/%.255s", entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        struct str text = exact(str_make(bytes, fread(bytes, 1, sizeof(bytes), file)));
        assert_true(feof(file));
        fclose(file);
        enum json_result result = json_scan(text, NULL, 0, NULL);
        if (!suite_expects(entry->d_name, result)) fail_msg("%s: %s", entry->d_name, json_result_text(result));
        LLVMFuzzerTestOneInput((const uint8_t *)text.ptr, text.len);
        exact_free(text);
        counts[(uint8_t)entry->d_name[0]]++;
    }
    closedir(folder);
    assert_int_equal(counts['y'], 95);
    assert_int_equal(counts['n'], 188);
    assert_int_equal(counts['i'], COUNT(implementation_defined));
}

/* Literals of fixed size, since some hold NUL bytes. */
#define TEXT(literal, result)                                                                                          \
    { "" literal, sizeof(literal) - 1, result }
static const struct {
    const char *text;
    size_t size;
    enum json_result result;
} awkward[] = {
    TEXT("{}", JSON_OK),
    TEXT(" \t\r\n[ \t\r\n] \t\r\n", JSON_OK),
    TEXT("123456789012345678901234567890", JSON_OK),
    TEXT("[18446744073709551615,9007199254740993,0.1,19.99,1e400,-0,-0.0E-0,1E+2]", JSON_OK),
    TEXT("{\"v\":1,\"v\":2}", JSON_OK), /* no pointer reads it */
    TEXT("\"a\\u0000b\"", JSON_OK),
    TEXT("{\"v\\u0000x\":1}", JSON_OK),
    TEXT("\"\x7f\"", JSON_OK),
    TEXT("\"\\ud800\"", JSON_OK),
    TEXT("{\"\\uDC00\\ud800\":0}", JSON_OK),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uABCD\\uabcd\"", JSON_OK),
    TEXT("\"\xf0\x9f\x98\x80 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf\"", JSON_OK),
    TEXT("", JSON_INVALID),
    TEXT(" ", JSON_INVALID),
    TEXT("          ", JSON_INVALID),
    TEXT("\xef\xbb\xbf{}", JSON_INVALID),
    TEXT("{\"v\":1\0}", JSON_INVALID),
    TEXT("1\0", JSON_INVALID),
    TEXT("\0", JSON_INVALID),
    TEXT("\"a\0b\"", JSON_INVALID),
    TEXT("\"a\nb\"", JSON_INVALID),
    TEXT("\"\x1f\"", JSON_INVALID),
    TEXT("{}\f", JSON_INVALID),
    TEXT("{}\v", JSON_INVALID),
    TEXT("\xc2\xa0{}", JSON_INVALID), /* a no-break space is no blank */
    TEXT("NaN", JSON_INVALID),
    TEXT("[Infinity]", JSON_INVALID),
    TEXT("[-Infinity]", JSON_INVALID),
    TEXT("True", JSON_INVALID),
    TEXT("tru", JSON_INVALID),
    TEXT("truee", JSON_INVALID),
    TEXT("nul", JSON_INVALID),
    TEXT("fals", JSON_INVALID),
    TEXT("[falsE]", JSON_INVALID),
    TEXT("01", JSON_INVALID),
    TEXT("-", JSON_INVALID),
    TEXT("-a", JSON_INVALID),
    TEXT("+1", JSON_INVALID),
    TEXT(".5", JSON_INVALID),
    TEXT("1.", JSON_INVALID),
    TEXT("1.e1", JSON_INVALID),
    TEXT("1e", JSON_INVALID),
    TEXT("1e+", JSON_INVALID),
    TEXT("0x10", JSON_INVALID),
    TEXT("1 2", JSON_INVALID),
    TEXT("[1,]", JSON_INVALID),
    TEXT("[,1]", JSON_INVALID),
    TEXT("[1 2]", JSON_INVALID),
    TEXT("[1}", JSON_INVALID),
    TEXT("{\"a\":1]", JSON_INVALID),
    TEXT("[", JSON_INVALID),
    TEXT("]", JSON_INVALID),
    TEXT("{", JSON_INVALID),
    TEXT("}", JSON_INVALID),
    TEXT("[]]", JSON_INVALID),
    TEXT("{}{}", JSON_INVALID),
    TEXT("{\"a\"}", JSON_INVALID),
    TEXT("{\"a\":}", JSON_INVALID),
    TEXT("{\"a\" 1}", JSON_INVALID),
    TEXT("{\"a\"::1}", JSON_INVALID),
    TEXT("{\"a\":1,}", JSON_INVALID),
    TEXT("{,\"a\":1}", JSON_INVALID),
    TEXT("{a:1}", JSON_INVALID),
    TEXT("{1:1}", JSON_INVALID),
    TEXT("{null:1}", JSON_INVALID),
    TEXT("{'a':1}", JSON_INVALID),
    TEXT("[1]//", JSON_INVALID),
    TEXT("/**/1", JSON_INVALID),
    TEXT("\"", JSON_INVALID),
    TEXT("\"abc", JSON_INVALID),
    TEXT("\"\\\"", JSON_INVALID),
    TEXT("\"\\", JSON_INVALID),
    TEXT("\"\\x41\"", JSON_INVALID),
    TEXT("\"\\'\"", JSON_INVALID),
    TEXT("\"\\U0041\"", JSON_INVALID),
    TEXT("\"\\u004\"", JSON_INVALID),
    TEXT("\"\\u004g\"", JSON_INVALID),
    TEXT("\"\\u 041\"", JSON_INVALID),
    TEXT("\"\\u+041\"", JSON_INVALID),
    TEXT("\"\\u00", JSON_INVALID),
    TEXT("\"\\ud800\\u\"", JSON_INVALID),
    TEXT("\"\xff\"", JSON_NOT_UTF8),
    TEXT("\"\x80\"", JSON_NOT_UTF8),
    TEXT("\"\xc0\x80\"", JSON_NOT_UTF8),
    TEXT("\"\xc1\xbf\"", JSON_NOT_UTF8),
    TEXT("\"\xc3\"", JSON_NOT_UTF8),
    TEXT("\"\xc3", JSON_NOT_UTF8),
    TEXT("\"\xe0\x9f\xbf\"", JSON_NOT_UTF8),
    TEXT("\"\xed\xa0\x80\"", JSON_NOT_UTF8),
    TEXT("\"\xe2\x82\"", JSON_NOT_UTF8),
    TEXT("\"\xf0\x8f\xbf\xbf\"", JSON_NOT_UTF8),
    TEXT("\"\xf0\x9f\x98\"", JSON_NOT_UTF8),
    TEXT("\"\xf4\x90\x80\x80\"", JSON_NOT_UTF8),
    TEXT("\"\xf5\x80\x80\x80\"", JSON_NOT_UTF8),
    TEXT("{\"\xe9\":1}", JSON_NOT_UTF8),
    /* The first problem from the left decides. */
    TEXT("[\"\xff\",]", JSON_NOT_UTF8),
    TEXT("[,\"\xff\"]", JSON_INVALID),
    TEXT("\"\\q\xff\"", JSON_INVALID),
};

static void test_awkward(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(awkward); i++) {
        struct str text = str_make(awkward[i].text, awkward[i].size);
        enum json_result result = validate(text);
        if (result != awkward[i].result) {
            fail_msg("row %zu, %.*s: %s", i, STR_ARG(text), json_result_text(result));
        }
    }
    assert_int_equal(json_scan(STR_NONE, NULL, 0, NULL), JSON_INVALID);
    assert_string_equal(json_result_text(JSON_INVALID), "not JSON");
    assert_string_equal(json_result_text(JSON_NOT_UTF8), "not UTF-8");
    assert_string_equal(json_result_text(JSON_TOO_DEEP), "too deep");
}

/* Every byte at every place of strings around the size of a word: an error of the eight-byte steps would show here. */
static void test_string_bytes(void **state) {
    (void)state;
    for (size_t size = 1; size <= 26; size++) {
        for (size_t at = 0; at < size; at++) {
            for (int c = 0; c < 256; c++) {
                char text[32] = "\"aaaaaaaaaaaaaaaaaaaaaaaaaa";
                text[1 + at] = (char)c;
                text[1 + size] = '"';
                enum json_result expected = JSON_OK;
                if (c < 0x20 || c == '"') expected = JSON_INVALID;
                if (c == '\\') expected = JSON_INVALID; /* \a is no escape, and \" leaves the string open */
                if (c >= 0x80) expected = JSON_NOT_UTF8;
                enum json_result result = validate(str_make(text, size + 2));
                if (result != expected)
                    fail_msg("%02x at %zu of %zu: %s", (unsigned)c, at, size, json_result_text(result));
            }
        }
    }
}

static void repeat(struct writer *w, const char *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        writer_put(w, str_from(text));
}

static void test_depth(void **state) {
    (void)state;
    static const struct {
        const char *open, *inner, *close;
        size_t step; /* levels of one open */
    } rows[] = {
        {"[", "", "]", 1},
        {"[", "1", "]", 1},
        {" [ 0 , ", "0", " , 0 ]", 1},
        {"{\"a\":", "null", "}", 1},
        {"[{\"a\":", "\"\"", "}]", 2},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t more = 0; more < 2; more++) {
            char memory[4096];
            struct writer w = writer_make(memory, sizeof(memory));
            repeat(&w, more ? "[" : "", 1);
            repeat(&w, rows[i].open, JSON_DEPTH_MAX / rows[i].step);
            repeat(&w, rows[i].inner, 1);
            repeat(&w, rows[i].close, JSON_DEPTH_MAX / rows[i].step);
            repeat(&w, more ? "]" : "", 1);
            assert_false(w.overflow);
            assert_int_equal(validate(writer_str(&w)), more ? JSON_TOO_DEEP : JSON_OK);
        }
    }
    char memory[80];
    memset(memory, '[', sizeof(memory));
    assert_int_equal(validate(str_make(memory, 64)), JSON_INVALID); /* cut off before it is too deep */
    assert_int_equal(validate(str_make(memory, 65)), JSON_TOO_DEEP);
    memory[63] = '"';
    memory[64] = (char)0xff;
    assert_int_equal(validate(str_make(memory, 80)), JSON_NOT_UTF8);
}

static void test_utf8(void **state) {
    (void)state;
    /* All texts of two and three bytes, counted: a character has 128, 1920 or 61440 forms of 1, 2 or 3 bytes. */
    size_t count = 0;
    for (uint32_t i = 0; i < 1 << 16; i++) {
        char bytes[2] = {(char)(i >> 8), (char)i};
        count += json_is_utf8(str_make(bytes, 2));
    }
    assert_int_equal(count, 128 * 128 + 1920);
    count = 0;
    for (uint32_t i = 0; i < 1 << 24; i++) {
        char bytes[3] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        count += json_is_utf8(str_make(bytes, 3));
    }
    assert_int_equal(count, 128 * 128 * 128 + 2 * 128 * 1920 + 61440);
    /* Four bytes, the last two at their edges; at every place against the words. A string says the same. */
    static const uint8_t edges[] = {0x7f, 0x80, 0xbf, 0xc0};
    count = 0;
    for (uint32_t lead = 0xf0; lead <= 0xff; lead++) {
        for (uint32_t i = 0; i < 256 * 16; i++) {
            char text[] = "\"aaaaaaaaaaaaaaaaaaaa\"";
            size_t at = 1 + i % 16;
            text[at] = (char)lead;
            text[at + 1] = (char)(i >> 4);
            text[at + 2] = (char)edges[i >> 2 & 3];
            text[at + 3] = (char)edges[i & 3];
            bool good = json_is_utf8(str_make(text, sizeof(text) - 1));
            count += good;
            bool special = (i >> 4) < 0x20 || (i >> 4) == '"' || (i >> 4) == '\\';
            if (!special) assert_int_equal(validate(str_make(text, sizeof(text) - 1)), good ? JSON_OK : JSON_NOT_UTF8);
        }
    }
    assert_int_equal(count, (48 + 3 * 64 + 16) * 4);
    assert_true(json_is_utf8(STR("")));
    assert_true(json_is_utf8(STR_NONE));
    assert_true(json_is_utf8(STR("\0plain")));
    assert_false(json_is_utf8(STR("12345678\x80")));
}

static void test_pointer_compile(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t count;       /* UINT32_MAX: refused */
        const char *segments; /* each with a "|" behind it */
    } rows[] = {
        {"", 0, ""},
        {"/", 1, "|"},
        {"//", 2, "||"},
        {"/a", 1, "a|"},
        {"/a/b/0", 3, "a|b|0|"},
        {"/a~1b/m~0n/~01/~10/~0~1", 5, "a/b|m~n|~1|/0|~/|"},
        {"/ /%25/c\"d\\e", 3, " |%25|c\"d\\e|"},
        {"/Zo\xc3\xab", 1, "Zo\xc3\xab|"},
        {"/1/2/3/4/5/6/7/8", 8, "1|2|3|4|5|6|7|8|"},
        {"/1/2/3/4/5/6/7/8/9", UINT32_MAX, ""},
        {"////////", 8, "||||||||"},
        {"/////////", UINT32_MAX, ""},
        {"a", UINT32_MAX, ""},
        {"a/b", UINT32_MAX, ""},
        {"#/a", UINT32_MAX, ""},
        {" /a", UINT32_MAX, ""},
        {"~", UINT32_MAX, ""},
        {"/~", UINT32_MAX, ""},
        {"/~/a", UINT32_MAX, ""},
        {"/a~2", UINT32_MAX, ""},
        {"/a~~0", UINT32_MAX, ""},
        {"/\xff", UINT32_MAX, ""},
        {"/\xed\xa0\x80", UINT32_MAX, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct json_pointer pointer;
        memset(&pointer, 0x5a, sizeof(pointer));
        struct json_pointer before = pointer;
        struct str text = exact(str_from(rows[i].text));
        bool good = json_pointer_compile(text, &pointer);
        exact_free(text);
        if (good != (rows[i].count != UINT32_MAX)) fail_msg("%s", rows[i].text);
        if (!good) {
            assert_memory_equal(&before, &pointer, sizeof(pointer));
            continue;
        }
        assert_int_equal(pointer.segment_count, rows[i].count);
        char memory[256];
        struct writer w = writer_make(memory, sizeof(memory));
        for (uint32_t k = 0; k < pointer.segment_count; k++) {
            writer_put(&w, str_make(pointer.text + pointer.segments[k].start, pointer.segments[k].size));
            writer_char(&w, '|');
        }
        str_is(writer_str(&w), rows[i].segments, rows[i].text);
    }
    char longest[JSON_POINTER_SIZE_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    struct json_pointer pointer;
    assert_true(json_pointer_compile(str_make(longest, JSON_POINTER_SIZE_MAX), &pointer));
    assert_int_equal(pointer.segments[0].size, JSON_POINTER_SIZE_MAX - 1);
    assert_false(json_pointer_compile(str_make(longest, JSON_POINTER_SIZE_MAX + 1), &pointer));
    assert_true(json_pointer_compile(STR_NONE, &pointer));
    assert_true(json_pointer_compile(STR("/\0"), &pointer));
    assert_int_equal(pointer.segments[0].size, 1);
}

#define RFC                                                                                                            \
    "{ \"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, \"g|h\": 4, \"i\\\\j\": 5, "          \
    "\"k\\\"l\": 6, \" \": 7, \"m~n\": 8 }" /* RFC 6901 §5 */
#define NEST "{\"a\" : { \"b\":[ {\"c\":1.50e+1} , [ ] , \"]\\\"}\" , true,{} ] , \"d\":null }\n, \"e\":-0 }"

static const struct {
    const char *text, *pointer, *raw; /* raw NULL: nothing is there */
    enum json_result result;
    enum json_type type;
} reads[] = {
    {RFC, "", RFC, JSON_OK, JSON_TYPE_OBJECT},
    {RFC, "/foo", "[\"bar\", \"baz\"]", JSON_OK, JSON_TYPE_ARRAY},
    {RFC, "/foo/0", "\"bar\"", JSON_OK, JSON_TYPE_STRING},
    {RFC, "/foo/1", "\"baz\"", JSON_OK, JSON_TYPE_STRING},
    {RFC, "/", "0", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/a~1b", "1", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/c%d", "2", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/e^f", "3", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/g|h", "4", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/i\\j", "5", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/k\"l", "6", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/ ", "7", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/m~0n", "8", JSON_OK, JSON_TYPE_NUMBER},
    {RFC, "/i\\\\j", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/2", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/00", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/01", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/-", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/+1", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/-1", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/1e0", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/18446744073709551615", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/foo/18446744073709551617", NULL, JSON_OK, JSON_TYPE_NONE}, /* not 1 */
    {RFC, "/foo/0/0", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/Foo", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/fo", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/fooo", NULL, JSON_OK, JSON_TYPE_NONE},
    {RFC, "/0", NULL, JSON_OK, JSON_TYPE_NONE},
    {" \n\t7 \r\n", "", "7", JSON_OK, JSON_TYPE_NUMBER},
    {"  [ ]  ", "", "[ ]", JSON_OK, JSON_TYPE_ARRAY},
    {"\"x\"", "", "\"x\"", JSON_OK, JSON_TYPE_STRING},
    {"null", "/a", NULL, JSON_OK, JSON_TYPE_NONE},
    {"null", "/", NULL, JSON_OK, JSON_TYPE_NONE},
    {"[]", "/0", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{}", "/a", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/a", "{ \"b\":[ {\"c\":1.50e+1} , [ ] , \"]\\\"}\" , true,{} ] , \"d\":null }", JSON_OK, JSON_TYPE_OBJECT},
    {NEST, "/a/b", "[ {\"c\":1.50e+1} , [ ] , \"]\\\"}\" , true,{} ]", JSON_OK, JSON_TYPE_ARRAY},
    {NEST, "/a/b/0", "{\"c\":1.50e+1}", JSON_OK, JSON_TYPE_OBJECT},
    {NEST, "/a/b/0/c", "1.50e+1", JSON_OK, JSON_TYPE_NUMBER},
    {NEST, "/a/b/1", "[ ]", JSON_OK, JSON_TYPE_ARRAY},
    {NEST, "/a/b/2", "\"]\\\"}\"", JSON_OK, JSON_TYPE_STRING},
    {NEST, "/a/b/3", "true", JSON_OK, JSON_TYPE_BOOL},
    {NEST, "/a/b/4", "{}", JSON_OK, JSON_TYPE_OBJECT},
    {NEST, "/a/d", "null", JSON_OK, JSON_TYPE_NULL},
    {NEST, "/e", "-0", JSON_OK, JSON_TYPE_NUMBER},
    {NEST, "/b", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/a/e", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/a/b/c", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/a/b/1/c", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/a/b/5", NULL, JSON_OK, JSON_TYPE_NONE},
    {NEST, "/e/a", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"x\":{\"id\":1},\"id\":false}", "/id", "false", JSON_OK, JSON_TYPE_BOOL},
    {"[0,1,2,3,4,5,6,7,8,9,10,11,[120],13]", "/12/0", "120", JSON_OK, JSON_TYPE_NUMBER},
    {"[0,1,2,3,4,5,6,7,8,9,10,11,[120],13]", "/1", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"0\":\"member\"}", "/0", "\"member\"", JSON_OK, JSON_TYPE_STRING},
    {"{\"00\":\"member\"}", "/00", "\"member\"", JSON_OK, JSON_TYPE_STRING},
    {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":[8]}}}}}}}}", "/a/a/a/a/a/a/a/a", "[8]", JSON_OK,
     JSON_TYPE_ARRAY},
    /* Numbers stay as written. */
    {"{\"id\":123456789012345678901234567890}", "/id", "123456789012345678901234567890", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"id\":1e400 }", "/id", "1e400", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"id\":19.990}", "/id", "19.990", JSON_OK, JSON_TYPE_NUMBER},
    {"[-0.0E-00]", "/0", "-0.0E-00", JSON_OK, JSON_TYPE_NUMBER},
    /* Names are compared as what they say. */
    {"{\"\\u0076\":1}", "/v", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\u0076\":1}", "/\\u0076", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"\\\\u0076\":1}", "/\\u0076", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"i\\u0064\":1}", "/id", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\u0069d\":1}", "/i", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"\\u0069d\":1}", "/idx", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"\\u0069d\":1}", "/jd", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"\\u005a\\u006F\\u00eb\":1}", "/Zo\xc3\xab", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"Zo\xc3\xab\":1}", "/Zo\xc3\xab", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"Zoe\xcc\x88\":1}", "/Zo\xc3\xab", NULL, JSON_OK, JSON_TYPE_NONE}, /* no normalization */
    {"{\"\\ud83d\\uDE00\":1}", "/\xf0\x9f\x98\x80", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\u20ac\":1}", "/\xe2\x82\xac", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\ud83d\":1}", "/\xef\xbf\xbd", NULL, JSON_OK, JSON_TYPE_NONE},
    {"{\"a\\/b\":1}", "/a~1b", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\b\\f\\n\\r\\t\\\"\":1}", "/\b\f\n\r\t\"", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"v\\u0000x\":1}", "/v", NULL, JSON_OK, JSON_TYPE_NONE},
    /* A name twice: only where it is a step of a path. */
    {"{\"v\":1,\"v\":2}", "/v", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":1,\"v\":1}", "/v/w", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":{\"w\":1},\"x\":0,\"v\":{}}", "/v/w", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":1,\"\\u0076\":2}", "/v", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":{\"w\":1,\"w\":2}}", "/v/w", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"[0,{\"w\":1,\"w\":2}]", "/1/w", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"[{\"w\":1,\"w\":2},{\"w\":3}]", "/1/w", "3", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\":1,\"\":2}", "/", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":1,\"v\":2}", "", "{\"v\":1,\"v\":2}", JSON_OK, JSON_TYPE_OBJECT},
    {"{\"x\":1,\"x\":2,\"v\":3}", "/v", "3", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"v\":{\"w\":1,\"w\":2}}", "/v", "{\"w\":1,\"w\":2}", JSON_OK, JSON_TYPE_OBJECT},
    {"{\"v\":{\"x\":1,\"x\":2,\"w\":3}}", "/v/w", "3", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"v\":1,\"V\":2}", "/v", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"v\":{\"v\":{\"v\":1}}}", "/v/v", "{\"v\":1}", JSON_OK, JSON_TYPE_OBJECT},
    {"[{\"v\":1},{\"v\":2}]", "/0/v", "1", JSON_OK, JSON_TYPE_NUMBER},
    {"{\"\\ud800\":1,\"\\ud800\":2}", "/v", NULL, JSON_OK, JSON_TYPE_NONE},
    /* The first problem from the left decides. */
    {"{\"v\":1,\"v\"", "/v", NULL, JSON_DUPLICATE, JSON_TYPE_NONE},
    {"{\"v\":1,\"v", "/v", NULL, JSON_INVALID, JSON_TYPE_NONE},
    {"{\"v\":01,\"v\":2}", "/v", NULL, JSON_INVALID, JSON_TYPE_NONE},
    {"{\"v\":\"\xff\",\"v\":2}", "/v", NULL, JSON_NOT_UTF8, JSON_TYPE_NONE},
    {"{\"v\":1}x", "/v", NULL, JSON_INVALID, JSON_TYPE_NONE},
};

static void test_reads(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(reads); i++) {
        struct json_pointer pointer = compile(reads[i].pointer);
        struct str text = exact(str_from(reads[i].text));
        struct json_value value;
        enum json_result result = json_scan(text, &(const struct json_pointer *){&pointer}, 1, &value);
        if (result != reads[i].result) fail_msg("row %zu, %s: %s", i, reads[i].text, json_result_text(result));
        if (result == JSON_OK) {
            if (value.type != reads[i].type) fail_msg("row %zu, %s: type %d", i, reads[i].text, (int)value.type);
            if (reads[i].raw != NULL) str_is(value.raw, reads[i].raw, reads[i].pointer);
            if (reads[i].raw != NULL) assert_true(value.raw.ptr >= text.ptr);
        }
        exact_free(text);
    }
}

/* A name with escapes that goes on where the text of the longest pointer ends. */
static void test_name_longer(void **state) {
    (void)state;
    char memory[512];
    struct writer w = writer_make(memory, sizeof(memory));
    writer_char(&w, '/');
    repeat(&w, "x", JSON_POINTER_SIZE_MAX - 1);
    struct json_pointer pointer = compile(writer_cstr(&w));
    struct json_value value;
    for (size_t more = 0; more < 4; more++) {
        w = writer_make(memory, sizeof(memory));
        repeat(&w, "{\"\\u0078", 1);
        repeat(&w, "x", JSON_POINTER_SIZE_MAX - 2);
        repeat(&w, "\\u0000", more);
        repeat(&w, "\":1}", 1);
        assert_int_equal(json_scan(writer_str(&w), &(const struct json_pointer *){&pointer}, 1, &value), JSON_OK);
        assert_int_equal(value.type, more == 0 ? JSON_TYPE_NUMBER : JSON_TYPE_NONE);
    }
}

/* As many pointers as one pass may have: nested in each other, equal, missing. Each answers as it does alone. */
static void test_pointers_together(void **state) {
    (void)state;
    static const char *const texts[] = {"",         "/a",      "/a/b",    "/a/b/0",     "/a/b/0/c", "/a/b/1", "/a/b/2",
                                        "/a/b/3",   "/a/b/4",  "/a/d",    "/e",         "/a/b",     "/e",     "",
                                        "/x",       "/a/x",    "/a/b/9",  "/a/b/0/c/x", "/a/b/0/x", "/",      "/a/",
                                        "/a/b/4/x", "/a/b/00", "/a/b/x",  "/e/0",       "/a/b/1/0", "/b",     "/d",
                                        "/a/b/0/c", "/a/d/x",  "/a/b/12", "/a/b/4"};
    static_assert(COUNT(texts) == JSON_POINTERS_MAX, "as many as there may be");
    struct json_pointer compiled[COUNT(texts)];
    const struct json_pointer *pointers[COUNT(texts)];
    struct json_value together[COUNT(texts)], alone;
    for (size_t i = 0; i < COUNT(texts); i++) {
        compiled[i] = compile(texts[i]);
        pointers[i] = &compiled[i];
    }
    struct str text = exact(STR(NEST));
    assert_int_equal(json_scan(text, pointers, COUNT(texts), together), JSON_OK);
    size_t found = 0;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(json_scan(text, &pointers[i], 1, &alone), JSON_OK);
        assert_int_equal(together[i].type, alone.type);
        assert_ptr_equal(together[i].raw.ptr, alone.raw.ptr);
        assert_int_equal(together[i].raw.len, alone.raw.len);
        found += alone.type != JSON_TYPE_NONE;
    }
    assert_int_equal(found, 16);
    exact_free(text);
    /* A duplicate on the path of the last of them. */
    pointers[JSON_POINTERS_MAX - 1] = &(struct json_pointer){.segment_count = 1, .segments = {{0, 1}}, .text = "z"};
    assert_int_equal(json_scan(STR("{\"a\":0,\"z\":1,\"z\":2}"), pointers, COUNT(texts), together), JSON_DUPLICATE);
    assert_int_equal(json_scan(STR("{\"a\":0,\"z\":1,\"z\":2}"), pointers, COUNT(texts) - 1, together), JSON_OK);
}

static void test_next(void **state) {
    (void)state;
    static const struct {
        const char *text, *items; /* each with a "|" behind it; names with "=" */
    } rows[] = {
        {"[]", ""},
        {"[ \n ]", ""},
        {"{}", ""},
        {"{ \t}", ""},
        {"[1]", "1|"},
        {"[ 1 , -2.5e3,\"a,]\" ,null,true , false,[],{} ]", "1|-2.5e3|\"a,]\"|null|true|false|[]|{}|"},
        {"[[1,[2,\"[\"]],{\"a\":[3,\"}\"]},\"\\\\\",\"\\\"]\"]", "[1,[2,\"[\"]]|{\"a\":[3,\"}\"]}|\"\\\\\"|\"\\\"]\"|"},
        {"[\"aaaaaaaaaaaaaaaaaaaaaaaaa\\\"aaaaaaaaa\",{\"aaaaaaaaaaaaaaaaaaa\":\"]}]}]}]}]}]}\\\\\"}]",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaa\\\"aaaaaaaaa\"|{\"aaaaaaaaaaaaaaaaaaa\":\"]}]}]}]}]}]}\\\\\"}|"},
        {"{\"a\":1}", "\"a\"=1|"},
        {"{ \"a\" : [ ] , \"a\":\"\xc3\xab\",\"\":{\"b\":{}} }", "\"a\"=[ ]|\"a\"=\"\xc3\xab\"|\"\"={\"b\":{}}|"},
        /* No containers. */
        {"1", ""},
        {"\"[1]\"", ""},
        {"null", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(validate(str_from(rows[i].text)), JSON_OK);
        struct str text = exact(str_from(rows[i].text));
        char memory[256];
        struct writer w = writer_make(memory, sizeof(memory));
        struct json_value name, value = {.type = JSON_TYPE_NONE};
        size_t position = 0;
        while (json_array_next(text, &position, &value)) {
            writer_put(&w, value.raw);
            writer_char(&w, '|');
        }
        assert_false(json_array_next(text, &position, &value));
        for (position = 0; json_object_next(text, &position, &name, &value);) {
            assert_int_equal(name.type, JSON_TYPE_STRING);
            writer_format(&w, "%.*s=%.*s|", STR_ARG(name.raw), STR_ARG(value.raw));
        }
        assert_false(json_object_next(text, &position, &name, &value));
        str_is(writer_str(&w), rows[i].items, rows[i].text);
        exact_free(text);
    }
    struct json_value name, value;
    size_t position = 0;
    assert_false(json_array_next(STR_NONE, &position, &value));
    assert_false(json_object_next(STR_NONE, &position, &name, &value));
    assert_int_equal(position, 0);
    assert_true(json_object_next(STR("{\"a\":[1]}"), &position, &name, &value));
    assert_int_equal(value.type, JSON_TYPE_ARRAY);
}

static void test_decode(void **state) {
    (void)state;
    static const struct {
        const char *raw;
        const char *text; /* NULL: no text */
        size_t size;
    } rows[] = {
        {"\"\"", "", 0},
        {"\"plain Zo\xc3\xab\"", "plain Zo\xc3\xab", 10},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00eb\\u20AC\\uffff\"", "A\xc3\xab\xe2\x82\xac\xef\xbf\xbf", 9},
        {"\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80", 8},
        {"\"\\ud83d\\ude00\\uD800\\uDC00\\udbff\\udfff\"", "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 12},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\xc3\xab\\n\xf0\x9f\x98\x80\"", "\xc3\xab\n\xf0\x9f\x98\x80", 7},
        {"\"\\\\u0041\"", "\\u0041", 6},
        {"\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80", 6},
        {"\"\\ud800\"", NULL, 0},
        {"\"\\udfff\"", NULL, 0},
        {"\"x\\ude00\\ud83d\"", NULL, 0},
        {"\"\\ud83d\\ud83d\\ude00\"", NULL, 0},
        {"\"\\ud83d\\\\ude00\"", NULL, 0},
        {"\"\\ud83dude00\"", NULL, 0},
        {"\"\\ud83d\\n\"", NULL, 0},
        {"\"\\ud83d\\u0041\"", NULL, 0},
        {"\"\\ud83d \\ude00\"", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(validate(str_from(rows[i].raw)), JSON_OK);
        struct str raw = exact(str_from(rows[i].raw)), text = STR("untouched");
        char memory[64];
        struct arena arena = arena_make(memory, sizeof(memory));
        bool full = true;
        bool good = json_string_decode(raw, &arena, &text, &full);
        assert_false(full);
        if (good != (rows[i].text != NULL)) fail_msg("%s", rows[i].raw);
        if (!good) str_is(text, "untouched", rows[i].raw);
        if (good && !str_eq(text, str_make(rows[i].text, rows[i].size)))
            fail_msg("%s: %.*s", rows[i].raw, STR_ARG(text));
        if (good && !str_has(raw, '\\')) assert_ptr_equal(text.ptr, raw.ptr + 1);
        exact_free(raw);
    }
}

static void test_decode_full(void **state) {
    (void)state;
    char memory[5];
    struct str text = STR("untouched");
    bool full = false;
    struct arena arena = arena_make(memory, 5);
    assert_true(json_string_decode(STR("\"abcd\\n\""), &arena, &text, &full));
    str_is(text, "abcd\n", "just fits");
    assert_false(full);
    for (size_t size = 0; size < 5; size++) {
        arena = arena_make(memory, size);
        text = STR("untouched");
        assert_false(json_string_decode(STR("\"abcd\\n\""), &arena, &text, &full));
        assert_true(full);
        str_is(text, "untouched", "too small");
        /* No text at all is said first; no escape needs no arena. */
        assert_false(json_string_decode(STR("\"abcdefg\\ud800\""), &arena, &text, &full));
        assert_false(full);
        assert_true(json_string_decode(STR("\"abcdefg\""), &arena, &text, &full));
        str_is(text, "abcdefg", "a slice");
    }
}

/* The expected texts are those of Python's json.dumps(text, ensure_ascii=False) and json.dumps(text). */
static void test_write(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *plain, *ascii;
    } rows[] = {
        {"", 0, "\"\"", "\"\""},
        {"plain text, longer than a word", 30, "\"plain text, longer than a word\"",
         "\"plain text, longer than a word\""},
        {"\"\\/\n\r\t\b\f", 8, "\"\\\"\\\\/\\n\\r\\t\\b\\f\"", "\"\\\"\\\\/\\n\\r\\t\\b\\f\""},
        {"a\0\x01\x0b\x1b\x1f ", 7, "\"a\\u0000\\u0001\\u000b\\u001b\\u001f \"",
         "\"a\\u0000\\u0001\\u000b\\u001b\\u001f \""},
        {"\x7f", 1, "\"\x7f\"", "\"\\u007f\""},
        {"Zo\xc3\xab \xe2\x82\xac", 8, "\"Zo\xc3\xab \xe2\x82\xac\"", "\"Zo\\u00eb \\u20ac\""},
        {"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", 8, "\"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"",
         "\"\\ud83d\\ude00\\udbff\\udfff\""},
        {"\xe2\x80\xa8\xef\xbf\xbf", 6, "\"\xe2\x80\xa8\xef\xbf\xbf\"", "\"\\u2028\\uffff\""},
        {"12345678\"12345678\n12345678", 26, "\"12345678\\\"12345678\\n12345678\"",
         "\"12345678\\\"12345678\\n12345678\""},
        /* Not UTF-8. */
        {"a\xff\xc3z", 4, "\"a\\ufffd\\ufffdz\"", "\"a\\ufffd\\ufffdz\""},
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str text = exact(str_make(rows[i].text, rows[i].size));
        for (int ascii = 0; ascii < 2; ascii++) {
            const char *expected = ascii ? rows[i].ascii : rows[i].plain;
            char memory[128];
            struct writer w = writer_make(memory, strlen(expected));
            json_write_string(&w, text, ascii == 1);
            assert_false(w.overflow);
            str_is(writer_str(&w), expected, "written");
            w = writer_make(memory, strlen(expected) - 1);
            json_write_string(&w, text, ascii == 1);
            assert_true(w.overflow);
        }
        exact_free(text);
    }
    char memory[2];
    struct writer w = writer_make(memory, sizeof(memory));
    json_write_string(&w, STR_NONE, false);
    str_is(writer_str(&w), "\"\"", "nothing");
}

/* Texts that have every construct, cut at every length and with every byte replaced by every other, against jansson. */
static const char *const samples[] = {
    "{\"id\":\"evt_1\",\"a\":{\"b\":[1,-2.5e+3,true,false,null,\"x\\n\\u00eb\"]},\"~/\":[{\"c\":\"\"}],\"n\":0.10 }",
    "[ \"Zo\xc3\xab \xe2\x82\xac \xf0\x9f\x98\x80\" , \"\\ud83d\\ude00\\\\\\\"\\/\" ,\r\n\t{ } , [ [ ] ] , { \"k\" : { "
    "\"k\" : 0 } } ]",
    "{\n  \"type\": \"payment.succeeded\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"pi_\\u0031\"\n    }\n  "
    "}\n}\n",
    "123456789012345678",
};

static void oracle(struct str text) {
    struct str copy = exact(text);
    LLVMFuzzerTestOneInput((const uint8_t *)copy.ptr, copy.len);
    exact_free(copy);
}

static void test_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct str sample = str_from(samples[i]);
        struct json_pointer whole = compile("");
        struct json_value value;
        assert_int_equal(json_scan(sample, &(const struct json_pointer *){&whole}, 1, &value), JSON_OK);
        bool closes =
            value.type == JSON_TYPE_OBJECT || value.type == JSON_TYPE_ARRAY; /* a number may be cut and still be one */
        for (size_t size = 0; size <= sample.len; size++) {
            oracle(str_make(sample.ptr, size));
            oracle(str_from_index(sample, size));
            if (closes) assert_int_equal(validate(str_make(sample.ptr, size)) == JSON_OK, size >= value.raw.len);
        }
    }
}

static void test_flip(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct str copy = exact(str_from(samples[i]));
        for (size_t at = 0; at < copy.len; at++) {
            char *byte = (char *)(uintptr_t)copy.ptr + at, before = *byte;
            for (int c = 0; c < 256; c++) {
                *byte = (char)c;
                LLVMFuzzerTestOneInput((const uint8_t *)copy.ptr, copy.len);
            }
            *byte = before;
        }
        exact_free(copy);
    }
}

/* Every piece of the text taken out, and every piece said twice. */
static void test_pieces(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct str s = str_from(samples[i]);
        for (size_t start = 0; start < s.len; start++) {
            for (size_t size = 1; size <= 12 && start + size <= s.len; size++) {
                char memory[512];
                for (int twice = 0; twice < 2; twice++) {
                    struct writer w = writer_make(memory, sizeof(memory));
                    writer_put(&w, str_make(s.ptr, start + (twice ? size : 0)));
                    writer_put(&w, str_from_index(s, start + (twice ? 0 : size)));
                    assert_false(w.overflow);
                    oracle(writer_str(&w));
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),  cmocka_unit_test(test_awkward),     cmocka_unit_test(test_string_bytes),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_utf8),        cmocka_unit_test(test_pointer_compile),
        cmocka_unit_test(test_reads),  cmocka_unit_test(test_name_longer), cmocka_unit_test(test_pointers_together),
        cmocka_unit_test(test_next),   cmocka_unit_test(test_decode),      cmocka_unit_test(test_decode_full),
        cmocka_unit_test(test_write),  cmocka_unit_test(test_cut),         cmocka_unit_test(test_flip),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
