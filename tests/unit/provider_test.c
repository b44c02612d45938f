/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/provider.h"

#include "provider_help.h"

#include <jansson.h>

/* The vectors of tests/data/vectors, for the providers that have a row. */

static void add_header(struct world *w, const char *name, const json_t *value) {
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            world_header(w, name, json_string_value(json_array_get(value, i)));
    } else {
        world_header(w, name, json_string_value(value));
    }
}

static const char *member(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static bool is_right(const json_t *vector, const char *verdict) {
    bool right = strcmp(member(vector, "expect"), verdict) == 0;
    const json_t *also = json_object_get(vector, "also_ok");
    for (size_t i = 0; i < json_array_size(also); i++)
        right |= strcmp(json_string_value(json_array_get(also, i)), verdict) == 0;
    return right;
}

static void ask_vector(struct world *w, const json_t *vector, const char *provider) {
    static uint8_t body[1 << 16];
    size_t body_size;
    world_init(w, provider, NULL, "");
    assert_true(text_base64_read(str_from(member(vector, "body_base64")), body, sizeof body, &body_size));
    w->request.body = str_make((const char *)body, body_size);
    w->request.method = str_from(member(vector, "method"));
    w->request.target = str_from(strchr(member(vector, "url") + strlen("https://"), '/'));
    request_split_target(&w->request);
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(vector, "headers"), name, value) add_header(w, name, value);
    if (strcmp(provider, "stripe") != 0) /* its row's own places say the same */
        json_object_foreach(json_object_get(vector, "from"), name, value) world_set(w, name, json_string_value(value));
    const json_t *secrets = json_object_get(vector, "secrets");
    for (size_t i = 0; i < json_array_size(secrets); i++) {
        const char *secret = json_string_value(json_array_get(secrets, i));
        assert_null(source_secret_fault(&w->source, str_from(secret), false));
        world_secret(w, secret);
    }
    world_check(w);
    w->input.now_s = json_integer_value(json_object_get(vector, "now"));
    (void)world_ask(w);
}

static void vectors(void **state) {
    (void)state;
    json_error_t error;
    json_t *file = json_load_file(TEST_DATA "/vectors/providers.json", 0, &error);
    assert_non_null(file);
    const json_t *all = json_object_get(file, "vectors");
    size_t asked = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *vector = json_array_get(all, i);
        const char *provider = member(vector, "provider");
        if (strcmp(provider, "known") == 0) provider = member(json_object_get(vector, "config"), "scheme");
        if (provider_find(str_from(provider)) == NULL) continue;
        struct world w;
        ask_vector(&w, vector, provider);
        asked++;
        const char *verdict = verdict_row(w.answer.verdict)->word;
        if (!is_right(vector, verdict))
            fail_msg("%s: %s (%.*s)", member(vector, "id"), verdict, STR_ARG(w.answer.reason));
        if (w.answer.verdict != VERDICT_ACCEPT || strcmp(member(vector, "expect"), "accept") != 0) continue;
        assert_int_equal(w.answer.event_count, 1);
        const struct event *event = w.answer.events;
        print_message("%s\n", member(vector, "id"));
        assert_str(event->event_id, member(vector, "event_id"));
        assert_str(event->event_type, member(vector, "event_type"));
        if (member(vector, "transaction_id") != NULL)
            assert_str(event->transaction_id, member(vector, "transaction_id"));
        else
            assert_true(str_eq(event->transaction_id, event->event_key));
        bool published_text = strcmp(member(vector, "id"), "known/p/github-docs") == 0; /* its body is no JSON */
        assert_int_equal(event->unreadable.ptr != NULL,
                         json_is_true(json_object_get(vector, "unreadable")) || published_text);
    }
    json_decref(file);
    assert_int_equal(asked, 79); /* 77 of the rows' own, 2 known */
}

static const char *const providers[] = {"stripe", "standardwebhooks", "svix", "hub-sha256", "api-key"};
enum { PROVIDERS = sizeof providers / sizeof *providers };

/* A genuine request of one provider sent to the source of another, whose secret is the same. */
static void pairs_of_providers(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        for (size_t j = 0; provider_name_at(j) != NULL; j++) {
            const char *other = provider_name_at(j);
            struct world w;
            world_genuine(&w, providers[i], "{\"id\":\"evt_1\",\"transactionId\":\"T-1\"}", NOW);
            /* Svix's headers fall back to the names of Standard Webhooks, as its own library's do. */
            bool same = strcmp(other, providers[i]) == 0 ||
                        (strcmp(other, "svix") == 0 && strcmp(providers[i], "standardwebhooks") == 0);
            w.source.row = provider_find(str_from(other));
            if (strcmp(other, "hmac") == 0)
                world_set(&w, "header", provider_find(str_from(providers[i]))->signature_headers[0]);
            print_message("%s -> %s\n", providers[i], other);
            if (same)
                assert_verdict(&w, VERDICT_ACCEPT);
            else
                assert_true(world_ask(&w) != VERDICT_ACCEPT);
        }
    }
}

static void other_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "post", "POSTS", "DELETE", ""};
    for (size_t i = 0; i < PROVIDERS; i++) {
        for (size_t j = 0; j < sizeof methods / sizeof *methods; j++) {
            struct world w;
            world_genuine(&w, providers[i], "{\"id\":\"e\"}", NOW);
            w.request.method = str_from(methods[j]);
            assert_verdict(&w, VERDICT_METHOD_NOT_ALLOWED);
        }
    }
}

static void no_usable_secret(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], "{\"id\":\"e\"}", NOW);
        w.source.secrets[0].fault = "is empty";
        assert_verdict(&w, VERDICT_UNAVAILABLE);
        w.source.secret_count = 0;
        assert_verdict(&w, VERDICT_UNAVAILABLE);
    }
}

static void empty_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], "", NOW);
        assert_verdict(&w, VERDICT_MALFORMED);
        w.source.secrets[0].text = STR("whsec_QW5vdGhlciBpbnZlbnRlZCBzZWNyZXQu");
        assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    }
}

/* With any amount of memory the answer is the right one, or that there was too little. */
static void small_arenas(void **state) {
    (void)state;
    static const char body[] = "{\"id\":\"\\u0065vt\",\"type\":\"\\u0074\",\"data\":{\"object\":{\"id\":\"\\u0070i\"}},"
                               "\"transactionId\":\"\\u0054\"}";
    for (size_t i = 0; i < PROVIDERS + 1; i++) {
        struct world w;
        if (i < PROVIDERS) {
            world_genuine(&w, providers[i], body, NOW);
            world_set(&w, "event_type", "json:/type");
            world_set(&w, "transaction_id", "query:a");
        } else {
            world_init(&w, "iam", NULL, body);
            w.input.iam_door = IAM_DOOR_URL;
            world_header(&w, "idempotency-key", "caf\xe9");
        }
        bool accepted = false;
        for (size_t size = 0; size < 4096; size++) {
            char *memory = malloc(size + 1); /* its end is watched by the address sanitizer */
            w.arena = arena_make(memory, size);
            provider_check(&w.input, &w.answer);
            if (w.answer.verdict == VERDICT_INTERNAL) {
                assert_false(accepted);
                assert_null(w.answer.events);
                assert_int_equal(w.answer.event_count, 0);
            } else {
                assert_int_equal(w.answer.verdict, VERDICT_ACCEPT);
                accepted = true;
            }
            free(memory);
        }
        assert_true(accepted);
        if (i == PROVIDERS) continue;
        w.source.secrets[0].fault = "is empty"; /* refusals need no memory */
        w.arena = arena_make(help_memory, 0);
        provider_check(&w.input, &w.answer);
        assert_int_equal(w.answer.verdict, VERDICT_UNAVAILABLE);
        world_genuine(&w, providers[i], body, NOW);
        w.request.header_count = 0;
        w.arena = arena_make(help_memory, 0);
        provider_check(&w.input, &w.answer);
        assert_int_equal(w.answer.verdict, VERDICT_MISSING_HEADER);
        assert_str(w.answer.reason, "missing_header");
    }
}

/* Settings */

static void settings_one_by_one(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"tolerance", "5s", true},
        {"tolerance", "0", true},
        {"tolerance", "300", true},
        {"tolerance", "10m", true},
        {"tolerance", "2h", true},
        {"tolerance", "4d", true},
        {"tolerance", "366d", true},
        {"tolerance", "none", true},
        {"tolerance", "", false},
        {"tolerance", "s", false},
        {"tolerance", "-5s", false},
        {"tolerance", "5 s", false},
        {"tolerance", "5ms", false},
        {"tolerance", "367d", false},
        {"tolerance", "1.5h", false},
        {"tolerance", "None", false},
        {"tolerance", "99999999999999999999", false},
        {"event_id", "json:/id", true},
        {"event_id", "/id", false},
        {"event_type", "header:x|json:/t", true},
        {"transaction_id", "query:id", true},
        {"transaction_id", "", false},
        {"header", "X-Sig", true},
        {"header", "x sig", false},
        {"header", "", false},
        {"header", "x-sig:", false},
        {"timestamp_header", "x", true},
        {"id_header", "\xc3\xa9", false},
        {"prefix", "sha256=", true},
        {"prefix", "", true},
        {"separator", ",", true},
        {"separator", " ", true},
        {"separator", "", false},
        {"separator", ", ", false},
        {"separator", "=", false},
        {"separator", "a", false},
        {"encoding", "hex", true},
        {"encoding", "base64", true},
        {"encoding", "HEX", false},
        {"encoding", "base64url", false},
        {"digest", "sha1", true},
        {"digest", "sha512", true},
        {"digest", "md5", false},
        {"digest", "", false},
        {"key_encoding", "text", true},
        {"key_encoding", "sha1", false},
        {"timestamp_unit", "ms", true},
        {"timestamp_unit", "us", false},
        {"signed", "{body}", true},
        {"signed", "", false},
        {"notification_url", "https://x/", true},
        {"environment", "sandbox", true},
        {"environment", "test", false},
        {"key_id", "k", true},
        {"public_key", "", false},
        {"nonsense", "1", false},
        {"", "1", false},
        {"Header", "x", false},
        {"signed_text", "{body}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source source = {.row = provider_find(STR("hmac"))};
        const struct source before = source;
        char text[256];
        struct writer message = writer_make(text, sizeof text);
        bool good = source_set(&source, str_from(cases[i].name), str_from(cases[i].value), &message);
        if (good != cases[i].good) fail_msg("%s=%s", cases[i].name, cases[i].value);
        assert_int_equal(message.len > 0, !good);
        if (!good) assert_memory_equal(&source, &before, sizeof source);
    }
}

static void settings_together(void **state) {
    (void)state;
    static const struct {
        const char *provider, *settings[12];
        bool good;
    } cases[] = {
        {"stripe", {NULL}, true},
        {"stripe", {"tolerance", "5s"}, true},
        {"stripe", {"tolerance", "none"}, false},
        {"stripe", {"tolerance", "none", "tolerance", "5s"}, true},
        {"stripe", {"header", "x-sig"}, false},
        {"stripe", {"digest", "sha1"}, false},
        {"stripe", {"notification_url", "https://x/"}, false},
        {"stripe", {"event_id", "json:/id|xml:/id"}, false},
        {"svix", {"tolerance", "none"}, false},
        {"standardwebhooks", {"transaction_id", "json:/data/payment_id"}, true},
        {"hub-sha256", {"tolerance", "5s"}, false},
        {"hub-sha256", {"tolerance", "none"}, false},
        {"hub-sha256", {"event_id", "header:x-event-id", "event_type", "json:/event"}, true},
        {"api-key", {"header", "x-token"}, true},
        {"api-key", {"prefix", "Bearer "}, false},
        {"iam", {"tolerance", "60s"}, true},
        {"iam", {"tolerance", "none"}, false},
        {"iam", {"event_id", "json:/id"}, false},
        {"hmac", {NULL}, false},
        {"hmac", {"header", "x-sig"}, true},
        {"hmac", {"header", "x-sig", "tolerance", "5s"}, false},
        {"hmac", {"header", "x-sig", "tolerance", "none"}, true},
        {"hmac",
         {"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-t", "tolerance", "none"},
         false},
        {"hmac", {"header", "x-sig", "signed", "{timestamp}.{body}"}, false},
        {"hmac", {"header", "x-sig", "timestamp_header", "x-t"}, false},
        {"hmac", {"header", "x-sig", "timestamp_unit", "ms"}, false},
        {"hmac",
         {"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-t", "timestamp_unit", "ms"},
         true},
        {"hmac", {"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "X-SIG"}, false},
        {"hmac", {"header", "x-sig", "id_header", "x-id"}, false},
        {"hmac", {"header", "x-sig", "signed", "{id}.{body}"}, false},
        {"hmac", {"header", "x-sig", "signed", "{id}.{body}", "id_header", "x-id"}, true},
        {"hmac", {"header", "x-sig", "signed", "{id}{body}", "id_header", "x-id"}, false},
        {"hmac", {"header", "x-sig", "signed", "{body}{id}", "id_header", "x-id"}, false},
        {"hmac", {"header", "x-sig", "signed", "{url}{body}"}, false},
        {"hmac", {"header", "x-sig", "signed", "{url}{body}", "notification_url", "https://x/"}, true},
        {"hmac", {"header", "x-sig", "notification_url", "https://x/"}, false},
        {"hmac", {"header", "x-sig", "signed", "body"}, false},
        {"hmac", {"header", "x-sig", "signed", "{timestamp}", "timestamp_header", "x-t"}, false},
        {"hmac", {"header", "x-sig", "signed", "{body}{body}"}, false},
        {"hmac", {"header", "x-sig", "signed", "{body}{x}"}, false},
        {"hmac", {"header", "x-sig", "signed", "{body"}, false},
        {"hmac", {"header", "x-sig", "signed", "a}b{body}c"}, true},
        {"hmac", {"header", "x-sig", "separator", ";", "prefix", "a;"}, false},
        {"hmac", {"header", "x-sig", "key_id", "k"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_init(&w, cases[i].provider, NULL, "");
        for (size_t j = 0; cases[i].settings[j] != NULL; j += 2)
            world_set(&w, cases[i].settings[j], cases[i].settings[j + 1]);
        char text[256];
        struct writer message = writer_make(text, sizeof text);
        bool good = source_check(&w.source, &message);
        if (good != cases[i].good) fail_msg("case %zu, %s: %s", i, cases[i].provider, writer_cstr(&message));
        assert_int_equal(message.len > 0, !good);
    }
}

static void faults_of_secrets(void **state) {
    (void)state;
    char longest[SECRET_SIZE_MAX + 2];
    memset(longest, 's', sizeof longest);
    longest[SECRET_SIZE_MAX] = '\0';
    const struct {
        const char *provider, *key_encoding, *secret;
        bool good, good_if_short;
    } cases[] = {
        {"stripe", NULL, "sixteen-bytes-ok", true, true},
        {"stripe", NULL, "fifteen-bytes-x", false, true},
        {"stripe", NULL, longest, true, true},
        {"stripe", NULL, "", false, false},
        {"stripe", NULL, " sixteen-bytes-ok", false, false},
        {"stripe", NULL, "sixteen-bytes-ok\n", false, false},
        {"stripe", NULL, "sixteen-bytes-ok\t", false, false},
        {"stripe", NULL, "It's a Secret to Everybody", true, true},
        {"stripe", NULL, "placeholder_value_replace_in_production", false, false},
        {"svix", NULL, SECRET_BASE64, true, true},
        {"svix", NULL, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true, true},
        {"svix", NULL, "whsec_", false, false},
        {"svix", NULL, "whsec_c2hvcnQ=", false, true},
        {"svix", NULL, "whsec_this is no base64 at all", false, false},
        {"svix", NULL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", false, false},
        {"standardwebhooks", NULL, "not-base64-but-long-enough", false, false},
        {"api-key", NULL, "8-bytes!", true, true},
        {"api-key", NULL, "7-bytes", false, true},
        {"hmac", "hex", "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056", true, true},
        {"hmac", "hex", "44782DEF547AAA06C910C43932B1EB0C7", false, false},
        {"hmac", "hex", "44782DEF547AAA06C910C43932B1EB", false, true},
        {"hmac", "hex", "no hex digits in here, none at al!", false, false},
        {"hmac", "text", "44782DEF547AAA06", true, true},
        {"iam", NULL, "AKIAINVENTED00000001:invented/Secret+of40characters0000000000", true, true},
        {"iam", NULL, "AKIAINVENTED00000001", false, false},
        {"iam", NULL, ":invented/Secret+of40characters0000000000", false, false},
        {"iam", NULL, "AKIAINVENTED00000001:", false, false},
        {"iam", NULL, "AKIAINVENTED00000001:short", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_init(&w, cases[i].provider, NULL, "");
        if (cases[i].key_encoding != NULL) {
            world_set(&w, "header", "x-sig");
            world_set(&w, "key_encoding", cases[i].key_encoding);
        }
        const char *fault = source_secret_fault(&w.source, str_from(cases[i].secret), false);
        if ((fault == NULL) != cases[i].good) fail_msg("case %zu: %s", i, fault);
        fault = source_secret_fault(&w.source, str_from(cases[i].secret), true);
        if ((fault == NULL) != cases[i].good_if_short) fail_msg("case %zu, short: %s", i, fault);
    }
    longest[SECRET_SIZE_MAX] = 's';
    longest[SECRET_SIZE_MAX + 1] = '\0';
    struct source source = {.row = provider_find(STR("stripe"))};
    assert_string_equal(source_secret_fault(&source, str_from(longest), true), "is longer than 4096 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(pairs_of_providers),
        cmocka_unit_test(other_methods),
        cmocka_unit_test(no_usable_secret),
        cmocka_unit_test(empty_bodies),
        cmocka_unit_test(small_arenas),
        cmocka_unit_test(settings_one_by_one),
        cmocka_unit_test(settings_together),
        cmocka_unit_test(faults_of_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
