/* SPDX-License-Identifier: Apache-2.0 */
/* References: what each kind gives, what is refused, and that no message repeats a secret. */
#include "core/secrets.h"

#include "base/limits.h"
#include "base/os.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "canary-4f1d7c2a9b"

static char folder[] = "/tmp/payhook-secrets-XXXXXX";

static int group_begin(void **state) {
    (void)state; /* there is none */
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int group_end(void **state) {
    (void)state; /* there is none */
    (void)unlink("secret");
    (void)unlink("pipe");
    (void)rmdir("folder");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void write_secret(struct str content, mode_t mode) {
    struct err result = os_file_replace("secret", mode, content);
    assert_false(err_is(result));
}

static void test_file(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str content, text;
    } cases[] = {
        {STR("abc"), STR("abc")},       {STR("abc\n"), STR("abc")}, {STR("abc\n\n"), STR("abc\n")},
        {STR("abc\r\n"), STR("abc\r")}, /* a blank at an end, which source_secret_fault names */
        {STR(" abc "), STR(" abc ")},   {STR("a\nb"), STR("a\nb")}, {STR("a\0b\n"), STR("a\0b")},
        {STR("\n\n"), STR("\n")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char memory[512];
        struct writer message = writer_make(memory, sizeof memory);
        struct str text;
        write_secret(cases[i].content, 0600);
        struct err result = secret_read(STR("file:secret"), &message, &text);
        assert_false(err_is(result));
        assert_int_equal(message.len, 0);
        assert_true(str_eq(text, cases[i].text));
        secret_done(text);
    }
}

static void test_sizes(void **state) {
    (void)state; /* there is none */
    char big[SECRET_SIZE_MAX + 3];
    memset(big, 'x', sizeof big);
    for (size_t size = SECRET_SIZE_MAX - 1; size <= SECRET_SIZE_MAX + 2; size++) {
        for (int newline = 0; newline <= 1; newline++) {
            char memory[512];
            struct writer message = writer_make(memory, sizeof memory);
            struct str text = STR_NONE;
            big[size] = '\n';
            write_secret(str_make(big, size + (size_t)newline), 0600);
            big[size] = 'x';
            struct err result = secret_read(STR("file:secret"), &message, &text);
            if (size <= SECRET_SIZE_MAX) {
                assert_false(err_is(result));
                assert_int_equal(text.len, size);
                secret_done(text);
            } else {
                assert_int_equal(result.kind, ERR_INPUT);
                assert_null(text.ptr);
                assert_non_null(strstr(writer_cstr(&message), "too l"));
            }
        }
    }
    secret_done(STR_NONE);
}

static void test_env(void **state) {
    (void)state; /* there is none */
    char memory[512];
    struct writer message = writer_make(memory, sizeof memory);
    struct str text;
    assert_int_equal(setenv("PAYHOOK_TEST_secret1", CANARY "\n", 1), 0);
    struct err result = secret_read(STR("env:PAYHOOK_TEST_secret1"), &message, &text);
    assert_false(err_is(result));
    assert_true(str_eq(text, STR(CANARY "\n"))); /* only a file has a final newline */
    secret_done(text);
    assert_int_equal(unsetenv("PAYHOOK_TEST_secret1"), 0);
}

static void test_refused(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str reference;
        enum err_kind kind;
        const char *sentence;
    } cases[] = {
        {STR(""), ERR_INPUT,
         "a secret is named by a reference: file:PATH, env:NAME or aws:NAME-OR-ARN, never written here"},
        {STR(CANARY), ERR_INPUT, "never written here"},
        {STR("whsec_" CANARY), ERR_INPUT, "never written here"},
        {STR("FILE:" CANARY), ERR_INPUT, "never written here"},
        {STR(" file:" CANARY), ERR_INPUT, "never written here"},
        {STR("https://" CANARY), ERR_INPUT, "never written here"},
        {STR("file"), ERR_INPUT, "never written here"},
        {STR("file:"), ERR_INPUT, "this is no path"},
        {STR("file:a\0b"), ERR_INPUT, "this is no path"},
        {STR("file:missing"), ERR_ABSENT, "file:missing: could not open the file"},
        {STR("file:missing\x1b[2J"), ERR_ABSENT, "file:missing\\x1b[2J"},
        {STR("file:missing/missing"), ERR_ABSENT, "No such file"},
        {STR("file:secret/below"), ERR_ABSENT, "could not open"},
        {STR("file:folder"), ERR_INPUT, "not a regular file"},
        {STR("file:pipe"), ERR_INPUT, "not a regular file"},
        {STR("file:empty"), ERR_INPUT, "file:empty: it is empty"},
        {STR("file:newline"), ERR_INPUT, "it is empty"},
        {STR("env:"), ERR_INPUT, "no name of a variable"},
        {STR("env:1A"), ERR_INPUT, "no name of a variable"},
        {STR("env:A=B"), ERR_INPUT, "no name of a variable"},
        {STR("env:" CANARY), ERR_INPUT, "no name of a variable"}, /* may be a secret, and is not repeated */
        {STR("env:A\0B"), ERR_INPUT, "no name of a variable"},
        {STR("env:PAYHOOK_TEST_MISSING"), ERR_ABSENT, "env:PAYHOOK_TEST_MISSING: the environment has no such variable"},
        {STR("env:PAYHOOK_TEST_EMPTY"), ERR_INPUT, "it is empty"},
        {STR("aws:"), ERR_INPUT, "aws:: this names no secret"},
        {STR("aws:#/sources"), ERR_INPUT, "this names no secret"},
        {STR("aws:a\nb"), ERR_INPUT, "this names no secret"},
    };
    write_secret(STR(CANARY), 0600);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    struct err made = os_file_replace("empty", 0600, STR(""));
    assert_false(err_is(made));
    made = os_file_replace("newline", 0600, STR("\n"));
    assert_false(err_is(made));
    assert_int_equal(setenv("PAYHOOK_TEST_EMPTY", "", 1), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char memory[512];
        struct writer message = writer_make(memory, sizeof memory);
        struct str text = STR_NONE;
        struct err result = secret_read(cases[i].reference, &message, &text);
        const char *sentence = writer_cstr(&message);
        if (result.kind != cases[i].kind) fail_msg("case %zu: kind %d: %s", i, (int)result.kind, sentence);
        if (strstr(sentence, cases[i].sentence) == NULL) fail_msg("case %zu: %s", i, sentence);
        assert_null(strstr(sentence, CANARY));
        assert_null(text.ptr);
    }
    assert_int_equal(unlink("empty"), 0);
    assert_int_equal(unlink("newline"), 0);
    /* A path longer than the system takes. */
    char longest[8192] = "file:", memory[16384];
    memset(longest + 5, 'p', sizeof longest - 6);
    struct writer message = writer_make(memory, sizeof memory);
    struct str text;
    assert_int_equal(secret_read(str_from(longest), &message, &text).kind, ERR_INPUT);
}

static void test_form(void **state) {
    (void)state; /* there is none */
    static const char *const good[] = {"file:/x", "env:X", "aws:x", "file:"};
    static const char *const bad[] = {"", "x", "file", "File:x", " env:X", "whsec_x", "http:x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(secret_is_reference(str_from(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(secret_is_reference(str_from(bad[i])));
}

static void test_exposed(void **state) {
    (void)state; /* there is none */
    const struct {
        mode_t mode;
        bool exposed;
    } cases[] = {{0600, false}, {0400, false}, {0640, false}, {0660, false}, {0644, true}, {0604, true}, {0444, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_secret(STR("x"), cases[i].mode);
        assert_int_equal(secret_is_exposed(STR("file:secret")), cases[i].exposed);
    }
    assert_false(secret_is_exposed(STR("file:missing")));
    assert_false(secret_is_exposed(STR("file:folder")));
    assert_false(secret_is_exposed(STR("file:")));
    assert_false(secret_is_exposed(STR("env:PATH")));
    assert_false(secret_is_exposed(STR("secret")));
}

static void test_path(void **state) {
    (void)state; /* there is none */
    assert_string_equal(secret_file("file:/a/b"), "/a/b");
    assert_string_equal(secret_file("file:"), "");
    assert_null(secret_file("env:PATH"));
    assert_null(secret_file("aws:name"));
    assert_null(secret_file("/a/b"));
    assert_null(secret_file(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),    cmocka_unit_test(test_sizes), cmocka_unit_test(test_env),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_form),  cmocka_unit_test(test_exposed),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
