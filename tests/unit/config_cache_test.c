/* SPDX-License-Identifier: Apache-2.0 */
/* When the secret is fetched and what is in use afterwards, by a clock of the test's own. */
#include "core/config_cache.h"

#include "base/os.h"
#include "core/secrets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S     INT64_C(1000000)
#define ONE   "{\"sources\": {\"one\": {\"provider\": \"hub-sha256\", \"secrets\": [\"an-invented-secret-1\"]}}}"
#define TWO   "{\"sources\": {\"two\": {\"provider\": \"hub-sha256\", \"secrets\": [\"an-invented-secret-2\"]}}}"
#define START (INT64_C(1795460930) * S)

static const struct config_function function = {.store = "memory", .environment = "prod", .processed_by = "f"};
static struct config_cache cache;
static const char *there; /* the secret; NULL: it cannot be fetched */
static int fetches, warnings;
static char last_warning[1024];

static struct err fetch(void *context, struct writer *message, struct str *ret_text) {
    assert_ptr_equal(context, &fetches);
    fetches++;
    if (there == NULL) {
        writer_put(message, STR("it does not answer"));
        return err_make(ERR_NETWORK, 0, "ask");
    }
    size_t size = strlen(there);
    char *copy = os_secret_alloc(size);
    assert_non_null(copy);
    memcpy(copy, there, size);
    *ret_text = str_make(copy, size);
    return err_ok();
}

static void warn(void *context, struct str sentence) {
    assert_ptr_equal(context, &fetches);
    warnings++;
    assert_true(sentence.len < sizeof last_warning);
    memcpy(last_warning, sentence.ptr, sentence.len);
    last_warning[sentence.len] = '\0';
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    fetches = warnings = 0;
    there = ONE;
    return err_is(config_cache_open(&function, fetch, warn, &fetches, &message, &cache)) ? -1 : 0;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    config_cache_close(&cache);
    return 0;
}

static bool has(const char *name) { return config_source(cache.config, str_from(name)) != NULL; }

static void look(int64_t after_s, bool needed, int expected_fetches) {
    config_cache_look(&cache, START + after_s * S, needed);
    assert_int_equal(fetches, expected_fetches);
}

static void test_kept(void **state) {
    (void)state; /* there is none */
    assert_true(cache.config->sources_unknown);
    assert_int_equal(fetches, 0);
    look(0, false, 1);
    assert_true(has("one"));
    assert_false(cache.config->sources_unknown);
    const struct config *first = cache.config;
    look(FUNCTION_SECRET_KEEP_S - FUNCTION_SECRET_JITTER_S - 1, true, 1);
    there = TWO;
    look(FUNCTION_SECRET_KEEP_S + FUNCTION_SECRET_JITTER_S, true, 2); /* what was removed is refused within 330 s */
    assert_true(has("two"));
    assert_false(has("one"));
    assert_ptr_not_equal(cache.config, first);
    assert_int_equal(warnings, 0);
}

static void test_jitter(void **state) {
    (void)state; /* there is none */
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 400; i++) {
        look(i * 1000, true, i + 1);
        if (cache.keep_us < least) least = cache.keep_us;
        if (cache.keep_us > most) most = cache.keep_us;
    }
    assert_true(least >= 270 * S && least < 280 * S);
    assert_true(most <= 330 * S && most > 320 * S);
}

static void test_same_text(void **state) {
    (void)state; /* there is none */
    there = "{\"sources\": {\"s\": {\"provider\": \"nobody\"}}}";
    look(0, true, 1);
    assert_int_equal(warnings, 1); /* told once, not with every fetch */
    const struct config *first = cache.config;
    look(400, true, 2);
    assert_ptr_equal(cache.config, first);
    assert_int_equal(warnings, 1);
}

static void test_never_there(void **state) {
    (void)state; /* there is none */
    there = NULL;
    look(0, false, 1);
    assert_int_equal(warnings, 1);
    assert_string_equal(last_warning, "the secret cannot be used, and /hooks/… answers 503: it does not answer");
    assert_true(cache.config->sources_unknown);
    look(FUNCTION_SECRET_PAUSE_S - 1, false, 1); /* POST / goes on without, and does not wait for it each time */
    look(FUNCTION_SECRET_PAUSE_NEEDED_S - 1, true, 1);
    look(FUNCTION_SECRET_PAUSE_NEEDED_S, true, 2);
    look(FUNCTION_SECRET_PAUSE_NEEDED_S + FUNCTION_SECRET_PAUSE_S, false, 3);
    there = ONE;
    look(100, true, 4);
    assert_true(has("one"));
}

static void test_stale(void **state) {
    (void)state; /* there is none */
    look(0, true, 1);
    there = NULL;
    look(330, true, 2);
    assert_true(has("one"));
    assert_string_equal(
        last_warning,
        "the secret cannot be fetched again; the one in use is kept for at most an hour: it does not answer");
    look(330 + FUNCTION_SECRET_PAUSE_S - 1, true, 2);
    look(330 + FUNCTION_SECRET_PAUSE_S, true, 3);
    look(FUNCTION_SECRET_STALE_S - 1, true, 4);
    assert_true(has("one"));
    look(FUNCTION_SECRET_STALE_S, true, 5); /* whatever the pause says */
    assert_false(has("one"));
    assert_true(cache.config->sources_unknown);
    there = ONE;
    look(FUNCTION_SECRET_STALE_S + FUNCTION_SECRET_PAUSE_NEEDED_S, true, 6);
    assert_true(has("one"));
}

static void test_damaged(void **state) {
    (void)state; /* there is none */
    look(0, true, 1);
    there = "{\"api_key\": ";
    look(400, true, 2); /* somebody has put half a text: what is in use stays in use */
    assert_true(has("one"));
    assert_non_null(strstr(last_warning, "it is no JSON object"));
}

static void test_again(void **state) {
    (void)state; /* there is none */
    look(0, true, 1);
    there = TWO;
    assert_false(config_cache_look_again(&cache, START + (FUNCTION_SECRET_PAUSE_S - 1) * S));
    assert_int_equal(fetches, 1);
    assert_true(config_cache_look_again(&cache, START + FUNCTION_SECRET_PAUSE_S * S));
    assert_int_equal(fetches, 2);
    assert_true(has("two"));
    assert_false(config_cache_look_again(&cache, START + 2 * FUNCTION_SECRET_PAUSE_S * S)); /* the same text */
    assert_int_equal(fetches, 3);
    for (int i = 0; i < 100; i++)
        assert_false(config_cache_look_again(&cache, START + (2 * FUNCTION_SECRET_PAUSE_S + 1) * S));
    assert_int_equal(fetches, 3);
    there = NULL;
    assert_false(config_cache_look_again(&cache, START + 100 * S));
    assert_true(has("two"));
}

static void test_clock_back(void **state) {
    (void)state; /* there is none */
    look(0, true, 1);
    look(-1, true, 2);
    look(-10000, true, 3);
    look(-9999, true, 3);
    there = NULL;
    look(-20000, true, 4); /* how old it is cannot be known: it is given up */
    assert_true(cache.config->sources_unknown);
}

static void test_no_secret_named(void **state) {
    (void)state; /* there is none */
    cache.fetch = NULL;
    look(0, true, 0);
    assert_false(config_cache_look_again(&cache, START));
    assert_true(cache.config->sources_unknown);
    assert_int_equal(warnings, 0);
}

#define each(test) cmocka_unit_test_setup_teardown(test, each_begin, each_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        each(test_kept),    each(test_jitter), each(test_same_text),  each(test_never_there),     each(test_stale),
        each(test_damaged), each(test_again),  each(test_clock_back), each(test_no_secret_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
