/* SPDX-License-Identifier: Apache-2.0 */
/* Zips as tools make them, and bad ones: cut off everywhere, with every bit turned, and with each record saying what is
 * not so. */
#include "stack/zip.h"

#include "zip_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

enum { PROGRAM_SIZE = 3000 };
static uint8_t program[PROGRAM_SIZE];

static int set_up(void **state) {
    (void)state; /* there is none */
    elf_make(program, sizeof program, 62);
    return 0;
}

static const char *read_zip(struct str zip, struct zip_member *ret_member, bool *ret_absent) {
    /* Of its exact size, so that reading beyond it is found. */
    char *copy = malloc(zip.len > 0 ? zip.len : 1);
    assert_non_null(copy);
    if (zip.len > 0) memcpy(copy, zip.ptr, zip.len);
    const char *fault = zip_member_read(str_make(copy, zip.len), STR("bootstrap"), ret_member, ret_absent);
    free(copy);
    return fault;
}

static void test_good(void **state) {
    (void)state; /* there is none */
    static const struct {
        bool stored;
        size_t size;
        uint32_t mode;
        const char *comment;
        size_t place; /* among the members */
    } cases[] = {
        {false, PROGRAM_SIZE, S_IFREG | 0755, "", 0},
        {true, PROGRAM_SIZE, S_IFREG | 0755, "", 0},
        {false, PROGRAM_SIZE, S_IFREG | 0644, "", 2},
        {false, 0, S_IFREG | 0755, "", 1},
        {true, 0, 0, "", 0},
        {false, 10, S_IFREG | 0755, "PK\x05\x06 in a comment, with some more", 0},
        {true, 64, S_IFREG | 0755, "c", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zip_part parts[ZIP_PARTS] = {{"other", program, 100, S_IFREG | 0644, false, 0, 0},
                                            {"bootstrap2", program, 50, S_IFREG | 0644, false, 0, 0},
                                            {"boot", program, 0, S_IFREG | 0644, true, 0, 0}};
        parts[cases[i].place] =
            (struct zip_part){"bootstrap", program, cases[i].size, cases[i].mode, cases[i].stored, 0, 0};
        char memory[16384];
        struct writer w = writer_make(memory, sizeof memory);
        (void)zip_write(&w, parts, ZIP_PARTS, cases[i].comment);
        struct zip_member member;
        bool absent;
        const char *fault = read_zip(writer_str(&w), &member, &absent);
        if (fault != NULL) fail_msg("case %zu: it %s", i, fault);
        assert_false(absent);
        assert_int_equal(member.size, cases[i].size);
        assert_int_equal(member.mode, cases[i].mode);
        assert_int_equal(member.head_size, cases[i].size < ZIP_HEAD_SIZE ? cases[i].size : ZIP_HEAD_SIZE);
        assert_memory_equal(member.head, program, member.head_size);
    }
}

/* Bytes written over a good zip with two members, the first of them bootstrap. */
enum base { START, LOCAL, ENTRY, SECOND, END };
struct patch {
    enum base base; /* what the offset counts from */
    size_t offset, size;
    const char *bytes;
};
static const struct bad_case {
    const char *name;
    struct patch patches[PATCHES_MAX];
    const char *fault;
} bad[] = {
    {"no end record", {{END, 0, 1, "p"}}, "no zip"},
    {"a comment that is not there", {{END, 20, 1, "\x01"}}, "no zip"},
    {"on another disk", {{END, 4, 1, "\x01"}}, "in several"},
    {"begun on another disk", {{END, 6, 1, "\x01"}}, "in several"},
    {"fewer members here than in all", {{END, 8, 1, "\x01"}}, "in several"},
    {"one member fewer", {{END, 8, 1, "\x01"}, {END, 10, 1, "\x01"}}, "no zip"},
    {"one member more", {{END, 8, 1, "\x03"}, {END, 10, 1, "\x03"}}, "no zip"},
    {"zip64 by count", {{END, 8, 4, "\xff\xff\xff\xff"}}, "zip64"},
    {"zip64 by place", {{END, 16, 4, "\xff\xff\xff\xff"}}, "zip64"},
    {"a directory beyond", {{END, 16, 4, "\xff\xff\xff\x7f"}}, "no zip"},
    {"a directory of another size", {{END, 12, 1, "\x01"}}, "no zip"},
    {"a directory of all sizes", {{END, 12, 4, "\xff\xff\xff\xff"}}, "no zip"},
    {"no entry there", {{ENTRY, 0, 1, "p"}}, "no zip"},
    {"no second entry there", {{SECOND, 3, 1, "\x03"}}, "no zip"},
    {"a long name", {{ENTRY, 28, 2, "\xff\xff"}}, "no zip"},
    {"a long extra field", {{ENTRY, 30, 2, "\xff\xff"}}, "no zip"},
    {"a long comment", {{SECOND, 32, 2, "\xff\xff"}}, "no zip"},
    {"all of them long",
     {{ENTRY, 28, 2, "\xff\xff"}, {ENTRY, 30, 2, "\xff\xff"}, {ENTRY, 32, 2, "\xff\xff"}},
     "no zip"},
    {"another name", {{ENTRY, 46, 1, "B"}}, "lacks it"},
    {"a folder's name", {{ENTRY, 46 + 8, 1, "/"}}, "lacks it"},
    {"twice", {{SECOND, 46, 9, "bootstrap"}}, "twice"},
    {"encrypted", {{ENTRY, 8, 1, "\x01"}, {LOCAL, 6, 1, "\x01"}}, "encrypted"},
    {"packed by another way", {{ENTRY, 10, 1, "\x0c"}, {LOCAL, 8, 1, "\x0c"}}, "in a way that Lambda"},
    {"flags of its own", {{LOCAL, 6, 1, "\x08"}}, "own header"},
    {"a way of its own", {{LOCAL, 8, 1, "\x00"}}, "own header"},
    {"no header there", {{LOCAL, 0, 1, "p"}}, "own header"},
    {"a place of another", {{ENTRY, 42, 1, "\x01"}}, "own header"},
    {"a place beyond", {{ENTRY, 42, 4, "\xff\xff\xff\xff"}}, "own header"},
    {"a place in the directory", {{ENTRY, 42, 2, "\xf0\x7f"}}, "own header"},
    {"another name of its own", {{LOCAL, 30, 1, "B"}}, "own header"},
    {"a long name of its own", {{LOCAL, 26, 2, "\xff\xff"}}, "own header"},
    {"a long extra field of its own", {{LOCAL, 28, 2, "\xff\xff"}}, "own header"},
    {"a packed size beyond", {{ENTRY, 20, 4, "\xff\xff\xff\xff"}}, "own header"},
    {"a packed size one more", {{ENTRY, 20, 1, "\xff"}}, "damaged"},
    {"packed into nothing", {{ENTRY, 20, 4, "\0\0\0\0"}}, "does not unpack"},
    {"no packed bytes", {{LOCAL, 39, 4, "\xff\xff\xff\xff"}}, "does not unpack"},
    {"larger than it says", {{ENTRY, 24, 4, "\x10\0\0\0"}}, "damaged"},
    {"smaller than it says", {{ENTRY, 24, 4, "\xff\xff\0\0"}}, "damaged"},
    {"larger than Lambda takes", {{ENTRY, 24, 4, "\x01\0\xa0\x0f"}}, "too large for Lambda"},
    {"another checksum", {{ENTRY, 16, 1, "\x55"}}, "checksum"},
};

static void test_bad(void **state) {
    (void)state; /* there is none */
    char good[16384], memory[16384];
    struct zip_part parts[2] = {{"bootstrap", program, PROGRAM_SIZE, S_IFREG | 0755, false, 0, 0},
                                {"bootstrop", program, 10, S_IFREG | 0755, true, 0, 0}};
    struct writer w = writer_make(good, sizeof good);
    size_t end = zip_write(&w, parts, 2, "");
    const size_t bases[] = {
        [START] = 0, [LOCAL] = parts[0].local, [ENTRY] = parts[0].entry, [SECOND] = parts[1].entry, [END] = end};
    struct zip_member member;
    bool absent;
    assert_null(read_zip(writer_str(&w), &member, &absent));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(memory, good, w.len);
        for (size_t k = 0; k < PATCHES_MAX && bad[i].patches[k].size > 0; k++) {
            const struct patch *patch = &bad[i].patches[k];
            memcpy(memory + bases[patch->base] + patch->offset, patch->bytes, patch->size);
        }
        member.size = 12345;
        const char *fault = read_zip(str_make(memory, w.len), &member, &absent);
        if (fault == NULL || strstr(fault, bad[i].fault) == NULL)
            fail_msg("%s: %s", bad[i].name, fault != NULL ? fault : "-");
        assert_int_equal(absent, strcmp(bad[i].fault, "lacks it") == 0);
        assert_int_equal(member.size, 12345); /* untouched */
    }
    /* Packed into one byte more, or one fewer, than it is. */
    for (int more = -1; more <= 1; more += 2) {
        memcpy(memory, good, w.len);
        memory[parts[0].entry + 20] = (char)(memory[parts[0].entry + 20] + more);
        const char *fault = read_zip(str_make(memory, w.len), &member, &absent);
        assert_non_null(fault);
        assert_non_null(strstr(fault, "does not unpack"));
    }
    /* Cut off anywhere, at either side, and with bytes behind it. */
    for (size_t i = 0; i < w.len; i++) {
        assert_non_null(read_zip(str_make(good, i), &member, &absent));
        if (i > 0) assert_non_null(read_zip(str_make(good + i, w.len - i), &member, &absent));
    }
    memcpy(memory, good, w.len);
    memset(memory + w.len, 'x', 100);
    assert_non_null(read_zip(str_make(memory, w.len + 1), &member, &absent));
    assert_non_null(read_zip(str_make(memory, w.len + 100), &member, &absent));
    /* Every bit turned: refused, or the same program still comes out. */
    size_t refused = 0;
    for (size_t i = 0; i < w.len * 8; i++) {
        memcpy(memory, good, w.len);
        memory[i / 8] = (char)(memory[i / 8] ^ 1 << i % 8);
        if (read_zip(str_make(memory, w.len), &member, &absent) != NULL)
            refused++;
        else if (member.size != PROGRAM_SIZE || memcmp(member.head, program, ZIP_HEAD_SIZE) != 0)
            fail_msg("bit %zu makes another program of it", i);
    }
    assert_true(refused > w.len * 4);
}

/* Not made on Unix: there is no mode. */
static void test_without_mode(void **state) {
    (void)state; /* there is none */
    char memory[16384];
    struct zip_part part = {"bootstrap", program, PROGRAM_SIZE, S_IFREG | 0755, false, 0, 0};
    struct writer w = writer_make(memory, sizeof memory);
    (void)zip_write(&w, &part, 1, "");
    memory[part.entry + 5] = 0;
    struct zip_member member;
    bool absent;
    assert_null(read_zip(writer_str(&w), &member, &absent));
    assert_int_equal(member.mode, 0);
}

/* Much that is packed into little: unpacking ends with what the directory says. */
static void test_bomb(void **state) {
    (void)state; /* there is none */
    enum { SIZE = 8 << 20 };
    uint8_t *zeros = calloc(1, SIZE);
    char memory[65536];
    struct zip_part part = {"bootstrap", zeros, SIZE, S_IFREG | 0755, false, 0, 0};
    struct writer w = writer_make(memory, sizeof memory);
    (void)zip_write(&w, &part, 1, "");
    assert_false(w.overflow);
    struct zip_member member;
    bool absent;
    assert_null(read_zip(writer_str(&w), &member, &absent));
    assert_int_equal(member.size, SIZE);
    memcpy(memory + part.entry + 24, "\x40\0\0\0", 4);
    assert_non_null(read_zip(writer_str(&w), &member, &absent));
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good, set_up),
        cmocka_unit_test_setup(test_bad, set_up),
        cmocka_unit_test_setup(test_without_mode, set_up),
        cmocka_unit_test_setup(test_bomb, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
