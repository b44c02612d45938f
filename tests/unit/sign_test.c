/* SPDX-License-Identifier: Apache-2.0 */
/* What provider_sign signs, provider_check accepts; what was changed after, it refuses. That both share a wrong reading
 * of a recipe is ruled out by the helper's own signer, and by the vectors. */
#include "provider/sign.h"

#include "provider_help.h"

#define BODY "{\"id\":\"evt_1\",\"type\":\"paid\",\"transactionId\":\"t\"}"

struct setting_given {
    const char *name, *value;
};

static const struct recipe_case {
    const char *provider, *secret;
    struct setting_given settings[8];
    const char *headers[3]; /* what is added, in this order */
    bool body_unsigned, id_signed, timed;
} recipes[] = {
    {"stripe", SECRET, {{0}}, {"stripe-signature"}, .timed = true},
    {"stripe", SECRET, {{"tolerance", "5m"}}, {"stripe-signature"}, .timed = true},
    {"standardwebhooks",
     SECRET_BASE64,
     {{0}},
     {"webhook-id", "webhook-timestamp", "webhook-signature"},
     .id_signed = true,
     .timed = true},
    {"svix", SECRET_BASE64, {{0}}, {"svix-id", "svix-timestamp", "svix-signature"}, .id_signed = true, .timed = true},
    {"hub-sha256", SECRET, {{0}}, {"x-hub-signature-256"}},
    {"api-key", SECRET, {{0}}, {"x-api-key"}, .body_unsigned = true},
    {"api-key", SECRET, {{"header", "x-token"}}, {"x-token"}, .body_unsigned = true},
    {"hmac", SECRET, {{"header", "x-signature"}}, {"x-signature"}},
    {"hmac", SECRET, {{"header", "x-s"}, {"digest", "sha1"}, {"prefix", "sha1="}}, {"x-s"}},
    {"hmac", SECRET, {{"header", "x-s"}, {"digest", "sha512"}, {"encoding", "base64"}}, {"x-s"}},
    {"hmac", SECRET, {{"header", "x-s"}, {"separator", " "}, {"prefix", "v1,"}}, {"x-s"}},
    {"hmac", SECRET, {{"header", "x-s"}, {"separator", ";"}, {"prefix", "v1="}}, {"x-s"}},
    {"hmac", SECRET, {{"header", "x-s"}, {"separator", ","}}, {"x-s"}},
    {"hmac", SECRET_BASE64, {{"header", "x-s"}, {"key_encoding", "base64"}}, {"x-s"}},
    {"hmac", "00112233445566778899aabbccddeeff", {{"header", "x-s"}, {"key_encoding", "hex"}}, {"x-s"}},
    {"hmac",
     SECRET,
     {{"header", "x-s"}, {"signed", "{timestamp}.{body}"}, {"timestamp_header", "x-t"}},
     {"x-t", "x-s"},
     .timed = true},
    {"hmac",
     SECRET,
     {{"header", "x-s"},
      {"signed", "v1.{timestamp}.{body}"},
      {"timestamp_header", "x-t"},
      {"timestamp_unit", "ms"},
      {"tolerance", "300"}},
     {"x-t", "x-s"},
     .timed = true},
    {"hmac",
     SECRET,
     {{"header", "x-s"},
      {"signed", "{id}|{timestamp}|{url}|{body}"},
      {"timestamp_header", "x-t"},
      {"id_header", "x-i"},
      {"notification_url", "https://example.com/hooks/shop"},
      {"encoding", "base64"}},
     {"x-i", "x-t", "x-s"},
     .id_signed = true,
     .timed = true},
    {"hmac", SECRET, {{"header", "x-s"}, {"signed", "{body}{url}"}, {"notification_url", "https://a/"}}, {"x-s"}},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static char sign_memory[4096], sentence[512];

static bool world_sign(struct world *w, struct arena *arena, int64_t at) {
    struct writer message = writer_make(sentence, sizeof sentence);
    bool good = provider_sign(&w->source, at, STR("msg_1"), arena, &w->request, &message);
    (void)writer_cstr(&message); /* read in place */
    assert_int_equal(message.len > 0, !good);
    assert_false(message.overflow);
    assert_null(strstr(sentence, SECRET));
    return good;
}

static void world_of(struct world *w, const struct recipe_case *recipe) {
    world_init(w, recipe->provider, recipe->secret, BODY);
    for (size_t i = 0; i < 8 && recipe->settings[i].name != NULL; i++)
        world_set(w, recipe->settings[i].name, recipe->settings[i].value);
    world_check(w);
}

static void accepted(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < RECIPES; i++) {
        struct world w;
        struct arena arena = arena_make(sign_memory, sizeof sign_memory);
        print_message("case %zu: %s\n", i, recipes[i].provider);
        world_of(&w, &recipes[i]);
        world_header(&w, "host", "localhost");
        assert_true(world_sign(&w, &arena, NOW));
        uint32_t added = 0;
        while (added < 3 && recipes[i].headers[added] != NULL) {
            assert_str(w.request.headers[1 + added].name, recipes[i].headers[added]);
            added++;
        }
        assert_int_equal(w.request.header_count, 1 + added);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.matched_secret, 0);
        if (recipes[i].id_signed) assert_str(w.answer.events->event_key, "msg_1");
        for (int at_end = 0; at_end <= 1; at_end++) {
            w.input.now_s = NOW + (at_end ? 300 : -300);
            assert_verdict(&w, VERDICT_ACCEPT);
            w.input.now_s += at_end ? 1 : -1;
            assert_verdict(&w, recipes[i].timed ? VERDICT_STALE : VERDICT_ACCEPT);
        }
    }
}

static void refused_after_a_change(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < RECIPES; i++) {
        struct world w;
        struct arena arena = arena_make(sign_memory, sizeof sign_memory);
        char body[sizeof BODY + 1];
        print_message("case %zu: %s\n", i, recipes[i].provider);
        world_of(&w, &recipes[i]);
        assert_true(world_sign(&w, &arena, NOW));
        for (size_t at = 0; at < sizeof BODY - 1; at++) {
            memcpy(body, BODY, sizeof BODY);
            body[at] ^= 1;
            w.request.body = str_make(body, sizeof BODY - 1);
            assert_verdict(&w, recipes[i].body_unsigned ? VERDICT_ACCEPT : VERDICT_BAD_SIGNATURE);
            w.request.body = str_make(BODY, at);
            if (at > 0) assert_verdict(&w, recipes[i].body_unsigned ? VERDICT_ACCEPT : VERDICT_BAD_SIGNATURE);
        }
        memcpy(body, BODY "\n", sizeof BODY + 1);
        w.request.body = str_make(body, sizeof BODY);
        assert_verdict(&w, recipes[i].body_unsigned ? VERDICT_ACCEPT : VERDICT_BAD_SIGNATURE);
        w.request.body = str_from(BODY);
        for (uint32_t h = 0; h < w.request.header_count; h++) {
            struct str *value = &w.request.headers[h].value, whole = *value;
            for (size_t at = 0; at < whole.len; at++) {
                struct str changed = keep(whole);
                ((char *)(uintptr_t)changed.ptr)[at] ^= 1;
                *value = changed;
                assert_int_not_equal(world_ask(&w), VERDICT_ACCEPT);
                *value = str_make(whole.ptr, at);
                assert_int_not_equal(world_ask(&w), VERDICT_ACCEPT);
                help_texts_used -= changed.len;
            }
            *value = whole;
            assert_verdict(&w, VERDICT_ACCEPT);
        }
        w.source.secrets[0].text = keep(STR("another-invented-secret-of-bytes"));
        if (w.source.settings.key_encoding.ptr == NULL && w.source.row->key_encoding == KEY_TEXT)
            assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    }
}

/* The same bytes as a signer that does not know the recipes makes. */
static void same_as_another_signer(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *provider, *header;
    } cases[] = {
        {"stripe", "stripe-signature"}, {"standardwebhooks", "webhook-signature"},
        {"svix", "svix-signature"},     {"hub-sha256", "x-hub-signature-256"},
        {"api-key", "x-api-key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct arena arena = arena_make(sign_memory, sizeof sign_memory);
        char genuine[256];
        world_genuine(&w, cases[i].provider, BODY, NOW);
        (void)snprintf(genuine, sizeof genuine, "%.*s", STR_ARG(*world_value(&w, cases[i].header)));
        w.request.header_count = 0;
        assert_true(world_sign(&w, &arena, NOW));
        assert_str(*world_value(&w, cases[i].header), genuine);
    }
}

static void by_the_first_usable_secret(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < RECIPES; i++) {
        struct world w;
        struct arena arena = arena_make(sign_memory, sizeof sign_memory);
        world_of(&w, &recipes[i]);
        w.source.secret_count = 0;
        world_secret(&w, "placeholder_value_replace_in_production");
        world_secret(&w, recipes[i].secret);
        world_secret(&w, SECRET "-third");
        w.source.secrets[0].fault = "is still the placeholder";
        assert_true(world_sign(&w, &arena, NOW));
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.matched_secret, 1);

        const uint32_t headers = w.request.header_count;
        w.source.secrets[1].fault = w.source.secrets[2].fault = "is too short";
        assert_false(world_sign(&w, &arena, NOW));
        assert_string_equal(sentence, "there is no usable secret to sign with");
        w.source.secret_count = 0;
        assert_false(world_sign(&w, &arena, NOW));
        assert_string_equal(sentence, "there is no usable secret to sign with");
        assert_int_equal(w.request.header_count, headers);
    }
}

static void not_signed_here(void **state) {
    (void)state; /* there is none */
    struct world w;
    struct arena arena = arena_make(sign_memory, sizeof sign_memory);
    world_init(&w, "iam", "AKIAINVENTED00000000:" SECRET, BODY);
    assert_false(world_sign(&w, &arena, NOW));
    assert_string_equal(sentence, "this provider's requests cannot be signed here; for POST / use --key");
    assert_int_equal(w.request.header_count, 0);

    world_init(&w, "hmac", SECRET, BODY);
    world_set(&w, "header", "x-s");
    world_set(&w, "signed", "{timestamp}.{body}"); /* and no timestamp_header */
    assert_false(world_sign(&w, &arena, NOW));
    assert_string_equal(sentence, "{timestamp} in signed and timestamp_header go together");
    assert_int_equal(w.request.header_count, 0);

    static const struct setting_given encodings[] = {
        {"hex", "not hex, though an even number!!"}, {"hex", "abc"}, {"base64", "an-invented-secret-of-32-bytes-!"}};
    for (size_t i = 0; i < 3; i++) {
        world_init(&w, "hmac", encodings[i].value, BODY);
        world_set(&w, "header", "x-s");
        world_set(&w, "key_encoding", encodings[i].name);
        assert_false(world_sign(&w, &arena, NOW));
        assert_string_equal(sentence, "the secret is not in the encoding this provider uses");
    }
}

/* The head is cut at its limit, the memory at any size: signed whole, or refused with a sentence. */
static void too_much(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < RECIPES; i++) {
        uint32_t added = 0;
        while (added < 3 && recipes[i].headers[added] != NULL)
            added++;
        for (uint32_t left = 0; left <= 3; left++) {
            struct world w;
            struct arena arena = arena_make(sign_memory, sizeof sign_memory);
            world_of(&w, &recipes[i]);
            for (uint32_t h = 0; h < HTTP_HEADERS_MAX - left; h++)
                w.request.headers[w.request.header_count++] = (struct http_header){STR("x-other"), STR("1")};
            assert_int_equal(world_sign(&w, &arena, NOW), left >= added);
            assert_true(w.request.header_count <= HTTP_HEADERS_MAX);
            if (left < added) assert_string_equal(sentence, "the request has too many headers to be signed");
            if (left >= added) assert_verdict(&w, VERDICT_ACCEPT);
        }
        bool fitted = false;
        for (size_t room = 0; room < 256; room++) {
            struct world w;
            struct arena arena = arena_make(sign_memory, room);
            world_of(&w, &recipes[i]);
            bool good = world_sign(&w, &arena, NOW);
            assert_true(good || !fitted); /* more room is never worse */
            fitted = good;
            if (good)
                assert_verdict(&w, VERDICT_ACCEPT);
            else
                assert_string_equal(sentence, "the request is too large to be signed");
        }
        assert_true(fitted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused_after_a_change),
        cmocka_unit_test(same_as_another_signer),
        cmocka_unit_test(by_the_first_usable_secret),
        cmocka_unit_test(not_signed_here),
        cmocka_unit_test(too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
