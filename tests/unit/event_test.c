/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Written out, not taken from the header: these words are in stored records and in the output of commands. */
static const struct {
    enum authenticated authenticated;
    const char *word;
} known[] = {
    {AUTHENTICATED_NONE, "none"},   {AUTHENTICATED_BODY, "body"}, {AUTHENTICATED_FIELDS, "fields"},
    {AUTHENTICATED_TOKEN, "token"}, {AUTHENTICATED_IAM, "iam"},   {AUTHENTICATED_INVOKE, "invoke"},
};
enum { KNOWN = sizeof known / sizeof known[0] };

static void words_are_the_documented_ones(void **state) {
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        assert_string_equal(authenticated_word(known[i].authenticated), known[i].word);
        enum authenticated read = known[(i + 1) % KNOWN].authenticated;
        assert_true(authenticated_read(str_from(known[i].word), &read));
        assert_int_equal(read, known[i].authenticated);
    }
}

static void other_words_are_refused(void **state) {
    (void)state;
    static const struct str wrong[] = {
        {NULL, 0},    {"", 0},        {"\0", 1},     {"non", 3},      {"none ", 5},   {" none", 5},  {"None", 4},
        {"BODY", 4},  {"bod", 3},     {"body\0", 5}, {"field", 5},    {"fieldss", 7}, {"tokens", 6}, {"ia", 2},
        {"iam\n", 4}, {"invoked", 7}, {"invok", 5},  {"nonebody", 8}, {"0", 1},       {"-1", 2},     {"unknown", 7},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        enum authenticated read = AUTHENTICATED_TOKEN;
        assert_false(authenticated_read(wrong[i], &read));
        assert_int_equal(read, AUTHENTICATED_TOKEN); /* untouched on failure */
    }
}

static void every_flipped_byte_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        char word[16];
        size_t len = strlen(known[i].word);
        for (size_t at = 0; at < len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                memcpy(word, known[i].word, len);
                word[at] = (char)((unsigned char)word[at] ^ 1U << bit);
                enum authenticated read;
                assert_false(authenticated_read(str_make(word, len), &read));
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_documented_ones),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(every_flipped_byte_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
