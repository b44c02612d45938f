/* SPDX-License-Identifier: Apache-2.0 */
/* What putting a source's keys into a document makes of it, byte for byte, and what is refused. */
#include "stack/secret.h"

#include "base/limits.h"
#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define FIRST "{\"api_key\": \"placeholder_value_replace_in_production\"}"
#define ONE                                                                                                            \
    {                                                                                                                  \
        { "whsec_one", 9 }                                                                                             \
    }
#define TWO                                                                                                            \
    {                                                                                                                  \
        {"whsec_two", 9}, { "whsec_one", 9 }                                                                           \
    }

struct merge_case {
    const char *name, *document, *source, *provider, *if_new;
    struct str values[9];
    const char *settings[3][2];
    const char *expected; /* NULL: refused */
    const char *sentence; /* in the message, where it is refused */
};

static const struct merge_case cases[] = {
    {"the first source",
     FIRST,
     "stripe",
     NULL,
     "stripe",
     ONE,
     {{0}},
     "{\"api_key\": \"placeholder_value_replace_in_production\", "
     "\"sources\": {\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}}}",
     NULL},
    {"into nothing",
     "{}",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     "{\"sources\": {\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}}}",
     NULL},
    {"into blanks",
     " { \n } ",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     " {\"sources\": {\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}} \n } ",
     NULL},
    {"a second source",
     "{\"sources\":{\"a\":{\"provider\":\"adyen\",\"secrets\":[\"x\"]}},\"n\":1}",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{\"a\":{\"provider\":\"adyen\",\"secrets\":[\"x\"]}, "
     "\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}},\"n\":1}",
     NULL},
    {"sources that are empty",
     "{\"sources\":{ },\"n\":1}",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]} },\"n\":1}",
     NULL},
    {"a roll",
     "{\"sources\":{\"s\":{\"provider\":\"stripe\",\"secrets\":[\"whsec_one\"],\"x\":{}}}}",
     "s",
     NULL,
     "s",
     TWO,
     {{0}},
     "{\"sources\":{\"s\":{\"provider\":\"stripe\",\"secrets\":[\"whsec_two\", \"whsec_one\"],\"x\":{}}}}",
     NULL},
    {"a secret that was a text",
     "{\"sources\":{\"s\":{\"secrets\":\"old\",\"provider\":\"stripe\"}}}",
     "s",
     NULL,
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{\"s\":{\"secrets\":[\"whsec_one\"],\"provider\":\"stripe\"}}}",
     NULL},
    {"a secret that was anything",
     "{\"sources\":{\"s\":{\"provider\":\"stripe\",\"secrets\": {\"a\":[{}]} }}}",
     "s",
     NULL,
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{\"s\":{\"provider\":\"stripe\",\"secrets\": [\"whsec_one\"] }}}",
     NULL},
    {"a source without secrets",
     "{\"sources\":{\"s\":{\"provider\":\"stripe\"}}}",
     "s",
     NULL,
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{\"s\":{\"provider\":\"stripe\", \"secrets\": [\"whsec_one\"]}}}",
     NULL},
    {"an empty source",
     "{\"sources\":{\"s\":{}}}",
     "s",
     NULL,
     "stripe",
     ONE,
     {{"header", "X-Sig"}},
     "{\"sources\":{\"s\":{\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"], \"header\": \"X-Sig\"}}}",
     NULL},
    {"another provider, settings old and new",
     "{\"sources\":{\"s\":{\"header\":\"A\",\"provider\":\"stripe\",\"secrets\":[]}}}",
     "s",
     "hub-sha256",
     NULL,
     ONE,
     {{"digest", "sha512"}, {"header", "B \"q\""}},
     "{\"sources\":{\"s\":{\"header\":\"B \\\"q\\\"\",\"provider\":\"hub-sha256\",\"secrets\":[\"whsec_one\"], "
     "\"digest\": \"sha512\"}}}",
     NULL},
    {"on lines of their own",
     "{\n  \"api_key\": \"k\",\n  \"sources\": {\n    \"a\": {\n      \"provider\": \"adyen\"\n    }\n  }\n}\n",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     "{\n  \"api_key\": \"k\",\n  \"sources\": {\n    \"a\": {\n      \"provider\": \"adyen\"\n    },\n    "
     "\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}\n  }\n}\n",
     NULL},
    {"numbers, order, escapes, and members twice elsewhere",
     "{\"z\":1e400,\"a\":123456789012345678901234567890.10,\"\\u0073\\u006f\":\"\\u00e9\\/"
     "\",\"o\":{\"d\":1,\"d\":2},\"sources\":{}}",
     "stripe",
     "stripe",
     NULL,
     ONE,
     {{0}},
     "{\"z\":1e400,\"a\":123456789012345678901234567890.10,\"\\u0073\\u006f\":\"\\u00e9\\/"
     "\",\"o\":{\"d\":1,\"d\":2},\"sources\":{"
     "\"stripe\": {\"provider\": \"stripe\", \"secrets\": [\"whsec_one\"]}}}",
     NULL},
    {"names written with escapes",
     "{\"\\u0073ources\":{\"\\u0073\":{\"pro\\u0076ider\":\"stripe\",\"secret\\u0073\":[]}}}",
     "s",
     NULL,
     NULL,
     ONE,
     {{0}},
     "{\"\\u0073ources\":{\"\\u0073\":{\"pro\\u0076ider\":\"stripe\",\"secret\\u0073\":[\"whsec_one\"]}}}",
     NULL},
    {"quotes and lines in a value",
     "{}",
     "s",
     "stripe",
     NULL,
     {{"a\"b\\c\n\xc3\xa9", 8}},
     {{0}},
     "{\"sources\": {\"s\": {\"provider\": \"stripe\", \"secrets\": [\"a\\\"b\\\\c\\n\xc3\xa9\"]}}}",
     NULL},
    {"the key of POST /", FIRST, "api_key", NULL, NULL, ONE, {{0}}, "{\"api_key\": \"whsec_one\"}", NULL},
    {"two of them",
     FIRST,
     "api_key",
     NULL,
     "ignored",
     TWO,
     {{0}},
     "{\"api_key\": [\"whsec_two\", \"whsec_one\"]}",
     NULL},
    {"where there is none",
     "{\"sources\":{}}",
     "api_key",
     NULL,
     NULL,
     ONE,
     {{0}},
     "{\"sources\":{}, \"api_key\": \"whsec_one\"}",
     NULL},

    {"no JSON", "whsec_canary", "s", "stripe", NULL, ONE, {{0}}, NULL, "holds no JSON object (not JSON)"},
    {"nothing", "", "s", "stripe", NULL, ONE, {{0}}, NULL, "holds no JSON object"},
    {"a list", "[]", "s", "stripe", NULL, ONE, {{0}}, NULL, "holds no JSON object: put one"},
    {"a text", "\"canary\"", "s", "stripe", NULL, ONE, {{0}}, NULL, "holds no JSON object: put one"},
    {"cut off", "{\"api_key\":\"canary\"", "s", "stripe", NULL, ONE, {{0}}, NULL, "holds no JSON object (not JSON)"},
    {"not UTF-8", "{\"api_key\":\"canary\xff\"}", "s", "stripe", NULL, ONE, {{0}}, NULL, "(not UTF-8)"},
    {"sources twice",
     "{\"sources\":{},\"sources\":{}}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "holds no JSON object ("},
    {"the source twice",
     "{\"sources\":{\"s\":{},\"s\":{}}}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "holds no JSON object ("},
    {"the key twice",
     "{\"api_key\":1,\"api_key\":2}",
     "api_key",
     NULL,
     NULL,
     ONE,
     {{0}},
     NULL,
     "holds no JSON object ("},
    {"sources that are none",
     "{\"sources\":\"canary\"}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "\"sources\" in the secret is no"},
    {"sources that are null",
     "{\"sources\":null}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "\"sources\" in the secret is no"},
    {"a source that is none",
     "{\"sources\":{\"s\":[\"canary\"]}}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "in a form that is none"},
    {"a provider that is none",
     "{\"sources\":{\"s\":{\"provider\":5}}}",
     "s",
     NULL,
     "stripe",
     ONE,
     {{0}},
     NULL,
     "give one with --provider"},
    {"a new source of nobody", "{}", "s", NULL, NULL, ONE, {{0}}, NULL, "give one with --provider"},
    {"an empty provider", "{}", "s", "", NULL, ONE, {{0}}, NULL, "that of none"},
    {"no name", "{}", "", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"a name of ours", "{}", "default", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"a name in capitals", "{}", "Stripe", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"a name that begins with a digit", "{}", "1s", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"a path", "{}", "a/b", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"an underscore", "{}", "a_b", "stripe", NULL, ONE, {{0}}, NULL, "a source's name is"},
    {"a long name",
     "{}",
     "a234567890123456789012345678901234567890123456789012345678901234",
     "stripe",
     NULL,
     ONE,
     {{0}},
     NULL,
     "a source's name is"},
    {"no value", "{}", "s", "stripe", NULL, {{0}}, {{0}}, NULL, "1 to 8 secrets"},
    {"nine values",
     "{}",
     "s",
     "stripe",
     NULL,
     {{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}, {"5", 1}, {"6", 1}, {"7", 1}, {"8", 1}, {"9", 1}},
     {{0}},
     NULL,
     "1 to 8 secrets"},
    {"an empty value", "{}", "s", "stripe", NULL, {{"canary", 6}, {"", 0}}, {{0}}, NULL, "secret 2 is empty"},
    {"a value of bytes", "{}", "s", "stripe", NULL, {{"canary\xff", 7}}, {{0}}, NULL, "secret 1 is not a text"},
    {"a value half a character", "{}", "s", "stripe", NULL, {{"canary\xc3", 7}}, {{0}}, NULL, "secret 1 is not a text"},
    {"the key with a provider", "{}", "api_key", "stripe", NULL, ONE, {{0}}, NULL, "api_key is no source"},
    {"the key with a setting", "{}", "api_key", NULL, NULL, ONE, {{"header", "x"}}, NULL, "api_key is no source"},
    {"a setting that is the provider",
     "{}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{"provider", "x"}},
     NULL,
     "setting 1 has the name"},
    {"a setting that is the secrets",
     "{}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{"secrets", "canary"}},
     NULL,
     "setting 1 has the name"},
    {"a setting twice",
     "{}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{"header", "x"}, {"header", "y"}},
     NULL,
     "setting 2 has the name"},
    {"a setting without a name", "{}", "s", "stripe", NULL, ONE, {{"", "x"}}, NULL, "setting 1 has the name"},
    {"a setting of two lines", "{}", "s", "stripe", NULL, ONE, {{"a\nb", "x"}}, NULL, "setting 1 has the name"},
    {"a setting that is empty", "{}", "s", "stripe", NULL, ONE, {{"header", ""}}, NULL, "setting header is empty"},
    {"a setting of bytes",
     "{}",
     "s",
     "stripe",
     NULL,
     ONE,
     {{"header", "canary\xfe"}},
     NULL,
     "setting header is not a text"},
};

static struct secret_change change_of(const struct merge_case *c) {
    struct secret_change change = {.source = str_from(c->source),
                                   .provider = str_from(c->provider),
                                   .provider_if_new = str_from(c->if_new),
                                   .values = c->values};
    while (change.value_count < 9 && c->values[change.value_count].ptr != NULL)
        change.value_count++;
    for (; change.setting_count < 3 && c->settings[change.setting_count][0] != NULL; change.setting_count++) {
        change.settings[change.setting_count].key = str_from(c->settings[change.setting_count][0]);
        change.settings[change.setting_count].value = str_from(c->settings[change.setting_count][1]);
    }
    return change;
}

static void test_cases(void **state) {
    (void)state; /* there is none */
    char memory[8192], again[8192], text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct merge_case *c = &cases[i];
        struct secret_change change = change_of(c);
        struct writer out = writer_make(memory, sizeof memory), message = writer_make(text, sizeof text);
        struct err result = secret_merge(str_from(c->document), &change, &out, &message);
        if (c->expected == NULL) {
            if (result.kind != ERR_INPUT || strstr(writer_cstr(&message), c->sentence) == NULL)
                fail_msg("%s: %d, %s", c->name, (int)result.kind, writer_cstr(&message));
            assert_null(strstr(text, "canary"));
            continue;
        }
        assert_int_equal(message.len, 0);
        if (err_is(result) || !str_eq(writer_str(&out), str_from(c->expected)))
            fail_msg("%s: %.*s %.*s", c->name, STR_ARG(writer_str(&out)), STR_ARG(writer_str(&message)));
        assert_int_equal(json_scan(writer_str(&out), NULL, 0, NULL), JSON_OK);
        /* Once more changes nothing. */
        struct writer second = writer_make(again, sizeof again);
        assert_false(err_is(secret_merge(writer_str(&out), &change, &second, &message)));
        assert_true(str_eq(writer_str(&second), writer_str(&out)));
    }
}

/* Wherever a document is cut off, it is refused, and with every byte changed it is refused or stays JSON. */
static void test_damaged(void **state) {
    (void)state; /* there is none */
    static const char document[] =
        "{\"api_key\": \"k\", \"sources\": {\"s\": {\"provider\": \"stripe\", \"secrets\": [\"o\"]}}}";
    const struct str value = STR("whsec_one");
    const struct secret_change change = {
        .source = STR("s"), .provider_if_new = STR("stripe"), .values = &value, .value_count = 1};
    char memory[2048], text[512], bent[sizeof document];
    for (size_t i = 0; i < sizeof document - 1; i++) {
        struct writer out = writer_make(memory, sizeof memory), message = writer_make(text, sizeof text);
        assert_int_equal(secret_merge(str_make(document, i), &change, &out, &message).kind, ERR_INPUT);
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(bent, document, sizeof document);
            bent[i] = (char)(bent[i] ^ 1 << bit);
            out = writer_make(memory, sizeof memory), message = writer_make(text, sizeof text);
            if (err_is(secret_merge(str_make(bent, sizeof document - 1), &change, &out, &message))) continue;
            assert_int_equal(json_scan(writer_str(&out), NULL, 0, NULL), JSON_OK);
        }
    }
}

/* The document grows to the service's limit and not beyond, and a writer too small is no half document. */
static void test_sizes(void **state) {
    (void)state; /* there is none */
    enum { SIZE = SECRET_STRING_SIZE_MAX };
    char *document = malloc(SIZE + 1), *memory = malloc(2 * SIZE), text[512];
    static char longest[SECRET_SIZE_MAX + 1];
    memset(longest, 'k', sizeof longest);
    struct str value = STR("0123456789");
    struct secret_change change = {.source = STR("api_key"), .values = &value, .value_count = 1};
    static const char head[] = "{\"api_key\": \"\", \"filler\": \"", tail[] = "\"}";
    for (int more = 0; more <= 1; more++) {
        size_t filler = SIZE - (sizeof head - 1) - (sizeof tail - 1) - value.len + (size_t)more;
        (void)snprintf(document, SIZE + 1, "%s%*s%s", head, (int)filler, "", tail);
        struct writer out = writer_make(memory, 2 * SIZE), message = writer_make(text, sizeof text);
        struct err result = secret_merge(str_from(document), &change, &out, &message);
        assert_int_equal(result.kind, more ? ERR_INPUT : ERR_OK);
        if (more) assert_non_null(strstr(writer_cstr(&message), "more than 65536 bytes"));
        out = writer_make(memory, 100);
        assert_int_equal(secret_merge(str_from(document), &change, &out, &message).kind, ERR_INPUT);
    }
    value = str_make(longest, SECRET_SIZE_MAX + 1);
    struct writer out = writer_make(memory, 2 * SIZE), message = writer_make(text, sizeof text);
    assert_int_equal(secret_merge(STR("{}"), &change, &out, &message).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "longer than any secret"));
    value.len--;
    assert_int_equal(secret_merge(STR("{}"), &change, &out, &message).kind, ERR_OK);
    /* All that can be put in at once, each byte of it escaped. */
    struct str values[SOURCE_SECRETS_MAX];
    memset(longest, '\x01', sizeof longest);
    for (size_t i = 0; i < SOURCE_SECRETS_MAX; i++)
        values[i] = str_make(longest, SECRET_SIZE_MAX);
    change = (struct secret_change){
        .source = STR("s"), .provider = STR("stripe"), .values = values, .value_count = SOURCE_SECRETS_MAX};
    char names[SECRET_SETTINGS_MAX][3];
    for (size_t i = 0; i < SECRET_SETTINGS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%c", (char)('a' + (int)i));
        change.settings[change.setting_count].key = str_from(names[i]);
        change.settings[change.setting_count++].value = str_make(longest, SECRET_SIZE_MAX);
    }
    static const char *const documents[] = {"{}", "{\"sources\":{}}", "{\"sources\":{\"s\":{}}}",
                                            "{\"sources\":{\n\"s\":{\n\n\n\"x\":1}}}"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        out = writer_make(memory, 2 * SIZE), message = writer_make(text, sizeof text);
        assert_int_equal(secret_merge(str_from(documents[i]), &change, &out, &message).kind, ERR_INPUT);
        assert_non_null(strstr(writer_cstr(&message), "more than 65536 bytes"));
    }
    free(document);
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
