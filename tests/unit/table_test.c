/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/table.h"

#include "provider/place.h"
#include "provider_help.h"

static uint32_t json_places(const char *text) {
    struct place_list list;
    uint32_t count = 0;
    if (text == NULL) return 0;
    assert_true(place_list_parse(str_from(text), &list, NULL));
    for (uint32_t i = 0; i < list.count; i++)
        count += list.places[i].kind == PLACE_JSON;
    return count;
}

static void rows_are_whole(void **state) {
    (void)state;
    for (size_t i = 0; provider_row_at(i) != NULL; i++) {
        const struct provider_row *row = provider_row_at(i);
        print_message("%s\n", row->name);
        assert_non_null(row->verify);
        assert_int_not_equal(row->authenticated, AUTHENTICATED_NONE);
        assert_ptr_equal(provider_find(str_from(row->name)), row);
        assert_string_equal(provider_name(row), row->name);
        assert_string_equal(provider_name_at(i), row->name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(provider_name_at(j), row->name);
        /* What a source may set counts fully: together with the row's own the scan's limit must hold. */
        assert_true(3 * PLACES_MAX + json_places(row->key_fields) + json_places(row->event_type_tail) <=
                    JSON_POINTERS_MAX);
        (void)json_places(row->event_id);
        (void)json_places(row->event_type);
        (void)json_places(row->transaction_id);
        assert_true((row->ahead_s_max > 0) == (row->past_s_max > 0));
        assert_int_equal(row->needs & ~row->takes, 0);
        /* Headers are found whatever their case, and kept in lower case: so they are written. */
        for (size_t j = 0; j < ROW_HEADERS_MAX && row->signature_headers[j] != NULL; j++)
            for (const char *c = row->signature_headers[j]; *c != '\0'; c++)
                assert_false(*c >= 'A' && *c <= 'Z');
        if (row->needs != 0) continue;
        struct source source = {.name = STR("s"), .row = row};
        char text[256];
        struct writer message = writer_make(text, sizeof text);
        if (!source_check(&source, &message)) fail_msg("%s", writer_cstr(&message));
        assert_true(source_needs_secret(&source) == !row->no_secret);
    }
}

static void names(void **state) {
    (void)state;
    static const char *const known[] = {"stripe", "standardwebhooks", "svix", "hub-sha256", "api-key", "hmac", "iam"};
    static const char *const unknown[] = {"", "Stripe", "stripe ", "strip", "stripes", "known"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_non_null(provider_find(str_from(known[i])));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_null(provider_find(str_from(unknown[i])));
    assert_null(provider_find(str_make("stripe\0", 7)));
    assert_null(provider_row_at(1000));
    assert_null(provider_name_at(1000));
}

static void setting_names(void **state) {
    (void)state;
    size_t count = 0;
    for (; provider_setting_at(count) != NULL; count++)
        for (size_t j = 0; j < count; j++)
            assert_string_not_equal(provider_setting_at(j), provider_setting_at(count));
    assert_int_equal(count, SETTING_COUNT);
    assert_string_equal(provider_setting_at(SETTING_SIGNED), "signed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(names),
        cmocka_unit_test(setting_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
