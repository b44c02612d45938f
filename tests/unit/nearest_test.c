/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": what is near, what is not. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const WORDS[] = {"listen",         "admin",          "data", "tolerance", "stripe",
                                    "adyen-standard", "adyen-platform", "iam",  NULL};
static const char *word(size_t i) { return WORDS[i]; }
static const char *nothing(size_t i) {
    (void)i; /* an empty list */
    return NULL;
}

static void test_nearest(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"listen", "listen"},
        {"listn", "listen"},   /* left out */
        {"lissten", "listen"}, /* inserted */
        {"lixten", "listen"},  /* replaced */
        {"lsiten", "listen"},  /* swapped */
        {"tolerence", "tolerance"},
        {"tloerence", "tolerance"},
        {"tlorence", "tolerance"}, /* three of nine */
        {"tlorenc", NULL},         /* four of nine */
        {"strip", "stripe"},
        {"adyen", "adyen-standard"}, /* only begun: the first of equals */
        {"adyen-p", "adyen-platform"},
        {"ad", NULL}, /* too little to go by */
        {"dat", "data"},
        {"dta", "data"},
        {"dxx", NULL},
        {"iax", "iam"},
        {"iaxx", NULL},
        {"", NULL},
        {"zzzzzz", NULL},
        {"LISTEN", NULL},
        {"a word so long that nothing we know could be near to it", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = nearest_word(str_from(cases[i].word), word);
        if (cases[i].nearest == NULL && found != NULL) fail_msg("%s: %s is not near", cases[i].word, found);
        if (cases[i].nearest != NULL && found == NULL) fail_msg("%s: nothing found", cases[i].word);
        if (cases[i].nearest != NULL) assert_string_equal(found, cases[i].nearest);
    }
    assert_null(nearest_word(STR("listen"), nothing));
    assert_null(nearest_word(STR_NONE, word));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
