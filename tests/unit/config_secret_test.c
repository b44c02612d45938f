/* SPDX-License-Identifier: Apache-2.0 */
/* The secret's JSON into a configuration: what is taken, what is left out with which warning, what is refused; and that
 * nothing of it is repeated. Every secret here holds the canary. */
#include "core/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CANARY "canary4f1d7c2a9b"

static char warning_text[65536], message_text[4096];
static struct writer warnings, message;
static const struct config_function function = {.store = "dynamodb:t", .environment = "prod", .processed_by = "f"};
static const struct config_function strict = {
    .store = "dynamodb:t", .environment = "prod", .processed_by = "f", .require_api_key = true};

static void note(void *context, struct str sentence) {
    assert_ptr_equal(context, &warnings);
    assert_false(str_has_control(sentence));
    writer_put(&warnings, sentence);
    writer_char(&warnings, '\n');
}

static struct err read_with(struct str json, const struct config_function *with, struct config **ret_config) {
    warnings = writer_make(warning_text, sizeof warning_text);
    message = writer_make(message_text, sizeof message_text);
    struct err result = config_from_secret(json, with, note, &warnings, &message, ret_config);
    assert_null(strstr(writer_cstr(&warnings), CANARY));
    assert_null(strstr(writer_cstr(&message), CANARY));
    assert_int_equal(message.len > 0, err_is(result));
    return result;
}

static struct config *read_good(const char *json, const struct config_function *with) {
    struct config *config = NULL;
    struct err result = read_with(str_from(json), with, &config);
    if (err_is(result)) fail_msg("%s", writer_cstr(&message));
    assert_string_equal(config->store, "dynamodb:t");
    assert_string_equal(config->environment, "prod");
    assert_string_equal(config->processed_by, "f");
    assert_int_equal(config->limits.body_size_max, BODY_SIZE_MAX);
    assert_int_equal(config->keys.count, 0);
    assert_ptr_equal(config_source(config, STR("default")), &config->default_source);
    return config;
}

static void test_nothing(void **state) {
    (void)state; /* there is none */
    static const char *const texts[] = {"{}",
                                        "{\"api_key\": \"placeholder_value_replace_in_production\"}",
                                        "{\"api_key\": 5}",
                                        "{\"sources\": {}}",
                                        "{\"something\": \"else " CANARY "\"}",
                                        " {\"api_key\":[]} "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *config = read_good(texts[i], &function);
        assert_int_equal(config->source_count, 0);
        assert_false(config->require_api_key);
        assert_false(config->sources_unknown);
        assert_int_equal(warnings.len, 0);
        config_release(config);
    }
    struct config *config = NULL;
    assert_false(err_is(read_with(STR_NONE, &strict, &config)));
    assert_true(config->sources_unknown);
    assert_true(config->require_api_key);
    assert_int_equal(config->api_key_count, 0);
    config_release(config);
}

static void test_sources(void **state) {
    (void)state; /* there is none */
    struct config *config = read_good("{\"sources\": {\"stripe\": {\"secrets\": [\"whsec_" CANARY
                                      "\", \"whsec_old_" CANARY "\"], \"provider\": \"stripe\","
                                      " \"tolerance\": 600},"
                                      " \"own\": {\"provider\": \"hmac\", \"secrets\": \"" CANARY
                                      "\\u0031\", \"header\": \"x-sig\", \"event_id\": \"json:\\/id\"},"
                                      " \"a-1\": {\"provider\": \"hub-sha256\", \"secrets\": [\"" CANARY "\"]}},"
                                      " \"api_key\": [\"" CANARY "-a\", \"" CANARY "-b\"]}",
                                      &strict);
    assert_int_equal(warnings.len, 0);
    assert_int_equal(config->source_count, 3);
    assert_true(str_eq(config->sources[0].name, STR("a-1")));
    const struct source *stripe = config_source(config, STR("stripe")), *own = config_source(config, STR("own"));
    assert_non_null(stripe);
    assert_string_equal(provider_name(stripe->row), "stripe");
    assert_int_equal(stripe->secret_count, 2);
    assert_true(str_eq(stripe->secrets[1].text, STR("whsec_old_" CANARY)));
    assert_true(stripe->settings.tolerance_set);
    assert_int_equal(stripe->settings.tolerance_s, 600);
    assert_int_equal(own->secret_count, 1);
    assert_true(str_eq(own->secrets[0].text, STR(CANARY "1")));
    assert_null(own->secrets[0].fault);
    assert_true(str_eq(own->settings.header, STR("x-sig")));
    assert_int_equal(own->settings.event_id.count, 1);
    assert_int_equal(config->api_key_count, 2);
    assert_true(str_eq(config->api_keys[1].text, STR(CANARY "-b")));
    assert_null(config->api_keys[0].fault);
    config_release(config);
}

static void test_left_out(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *json, *warning;
        bool has_source;
    } cases[] = {
        /* One source only: `s`, which then answers 503, or is no name at all. */
        {"{\"s\": 5}", "source s: it is no object; /hooks/s answers 503", true},
        {"{\"s\": null}", "source s: it is no object", true},
        {"{\"s\": {}}", "source s: it needs \"provider\"", true},
        {"{\"s\": {\"provider\": 5}}", "source s: it needs \"provider\"", true},
        {"{\"s\": {\"provider\": \"" CANARY "\"}}", "source s: it needs \"provider\"", true},
        {"{\"s\": {\"provider\": \"\\ud800\"}}", "source s: a text in it is no text", true},
        {"{\"s\": {\"provider\": \"stripe\"}}", "source s: it has no usable secret; /hooks/s answers 503", true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": []}}", "source s: it has no usable secret", true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": {}}}", "source s: secret 0 is left out: it is no text", true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [5]}}", "source s: secret 0 is left out: it is no text",
         true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [\"\"]}}", "source s: secret 0 is left out: it is empty",
         true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [\"short\"]}}",
         "source s: secret 0 is left out: it is shorter", true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [\" " CANARY "\"]}}", "source s: secret 0 is left out: it ",
         true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [\"placeholder_value_replace_in_production\"]}}",
         "source s: secret 0 is left out: it is still the placeholder", true},
        {"{\"s\": {\"provider\": \"stripe\", \"secrets\": [\"\\udc00\"]}}",
         "source s: secret 0 is left out: it is no text", true},
        {"{\"s\": {\"provider\": \"stripe\", \"" CANARY "\": \"x\"}}", "source s: it has a member that is neither",
         true},
        {"{\"s\": {\"provider\": \"stripe\", \"tolerance\": []}}", "source s: a setting is a text or a number", true},
        {"{\"s\": {\"provider\": \"stripe\", \"tolerance\": \"" CANARY "\"}}", "source s: tolerance is a time", true},
        {"{\"s\": {\"provider\": \"stripe\", \"tolerance\": 1.5}}", "source s: tolerance is a time", true},
        {"{\"s\": {\"provider\": \"stripe\", \"tolerance\": \"none\"}}", "source s: tolerance = none", true},
        {"{\"s\": {\"provider\": \"stripe\", \"header\": \"x-a\"}}", "source s: provider stripe takes no header", true},
        {"{\"s\": {\"provider\": \"hmac\", \"secrets\": [\"" CANARY "\"]}}", "source s: provider hmac needs header",
         true},
        {"{\"s\": {\"provider\": \"hub-sha256\", \"secrets\": [\"" CANARY "\"]}, \"s\": {}}",
         "source s: it stands there twice", true},
        {"{\"" CANARY "_\": {}}", "the secret: a source is left out, since its name", false},
        {"{\"default\": {}}", "the secret: a source is left out, since its name", false},
        {"{\"\": {}}", "the secret: a source is left out, since its name", false},
        {"{\"\\ud800\": {}}", "the secret: a source is left out, since its name", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[1024];
        print_message("%s\n", cases[i].json);
        (void)snprintf(json, sizeof json, "{\"sources\": %s}", cases[i].json);
        struct config *config = read_good(json, &function);
        if (strstr(warning_text, cases[i].warning) == NULL) fail_msg("%s", warning_text);
        const struct source *source = config_source(config, STR("s"));
        assert_int_equal(source != NULL, cases[i].has_source);
        assert_int_equal(config->source_count, cases[i].has_source);
        bool usable = false;
        for (uint32_t k = 0; source != NULL && k < source->secret_count; k++)
            usable = usable || source->secrets[k].fault == NULL;
        assert_int_equal(usable, strstr(cases[i].warning, "twice") != NULL);
        if (source != NULL) assert_true(source_needs_secret(source));
        config_release(config);
    }
}

static void test_other_sources_go_on(void **state) {
    (void)state; /* there is none */
    struct config *config = read_good("{\"sources\": {\"bad\": {\"provider\": \"nobody\"}, \"Worse\": 1,"
                                      " \"good\": {\"provider\": \"hub-sha256\", \"secrets\": [\"" CANARY "\"]}}}",
                                      &function);
    assert_int_equal(config->source_count, 2);
    assert_null(config_source(config, STR("good"))->secrets[0].fault);
    config_release(config);
}

static void test_api_key(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *json, *warning;
        uint32_t count, usable;
    } cases[] = {
        {"{}", "the secret: it has no api_key", 0, 0},
        {"{\"api_key\": \"\"}", "the secret: secret 0 is left out: it is empty", 1, 0},
        {"{\"api_key\": \"placeholder_value_replace_in_production\"}", "it is still the placeholder", 1, 0},
        {"{\"api_key\": \"1234567\"}", "it is shorter than 8 bytes", 1, 0},
        {"{\"api_key\": 12345678}", "it is no text", 1, 0},
        {"{\"api_key\": [\"" CANARY "\", 5]}", "secret 1 is left out: it is no text", 2, 1},
        {"{\"api_key\": [\"" CANARY
         "\", \"b2345678\", \"c2345678\", \"d2345678\", \"e2345678\", \"f2345678\", \"g2345678\","
         " \"h2345678\", \"i2345678\"]}",
         "the secrets after the first 8 are left out", 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = read_good(cases[i].json, &strict);
        uint32_t usable = 0;
        assert_int_equal(config->api_key_count, cases[i].count);
        for (uint32_t k = 0; k < config->api_key_count; k++)
            usable += config->api_keys[k].fault == NULL;
        assert_int_equal(usable, cases[i].usable);
        if (strstr(warning_text, cases[i].warning) == NULL) fail_msg("%s", warning_text);
        config_release(config);
    }
}

static void test_refused(void **state) {
    (void)state; /* there is none */
    static const char *const texts[] = {
        "",
        " ",
        CANARY,
        "\"" CANARY "\"",
        "[]",
        "null",
        "5",
        "{",
        "{\"api_key\": \"" CANARY "\"",
        "{\"api_key\": \"" CANARY "\", \"api_key\": \"x\"}",
        "{\"sources\": {}, \"sources\": {}}",
        "{} x",
        "{\"sources\": []}",
        "{\"sources\": null}",
        "{\"sources\": \"" CANARY "\"}",
        "\xef\xbb\xbf{}",
        "{\"a\": \"\xff\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *config = NULL;
        print_message("%s\n", texts[i]);
        assert_int_equal(read_with(str_from(texts[i]), &function, &config).kind, ERR_INPUT);
        assert_null(config);
    }
    static char many[1 << 20];
    struct writer w = writer_make(many, sizeof many);
    writer_put(&w, STR("{\"sources\": {"));
    for (int i = 0; i <= SOURCES_MAX; i++)
        writer_format(&w, "%s\"s%d\": {}", i > 0 ? "," : "", i);
    writer_put(&w, STR("}}"));
    struct config *config = NULL;
    assert_int_equal(read_with(writer_str(&w), &function, &config).kind, ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),  cmocka_unit_test(test_sources),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_other_sources_go_on),
        cmocka_unit_test(test_api_key),  cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
