/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/place.h"

#include "provider_help.h"

static void lists_that_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t count;
    } cases[] = {
        {"json:/id", 1},
        {"json:/data/object/payment_intent|json:/related_object/id|json:/data/object/id", 3},
        {"header:x-event-id|query:data.id|xml:/notification/kind|json:/a~1b", 4},
        {"json:/1|json:/2|json:/3|json:/4|json:/5|json:/6|json:/7|json:/8", PLACES_MAX},
        {"json:/event.type", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place_list list;
        assert_true(place_list_parse(str_from(cases[i].text), &list, NULL));
        assert_int_equal(list.count, cases[i].count);
    }
}

static void lists_that_do_not(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "|",
        "json:",
        "json:id",
        "json:/a~2",
        "header:",
        "header:a b",
        "header:a:b",
        "header:x\n",
        "query:",
        "xml:",
        "xml:kind",
        "id",
        "/id",
        "JSON:/id",
        " json:/id",
        "json:/id|",
        "|json:/id",
        "json:/id||json:/x",
        "json:/id|id",
        "body:/id",
        "json:/1|json:/2|json:/3|json:/4|json:/5|json:/6|json:/7|json:/8|json:/9",
        "json:/1/2/3/4/5/6/7/8/9",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place_list list;
        char text[256];
        struct writer message = writer_make(text, sizeof text);
        if (place_list_parse(str_from(cases[i]), &list, &message)) fail_msg("\"%s\" parses", cases[i]);
        assert_true(message.len > 0);
        assert_false(place_list_parse(str_from(cases[i]), &list, NULL));
    }
}

static void kinds_of_a_list(void **state) {
    (void)state;
    struct place_list list;
    assert_true(place_list_parse(STR("json:/a|json:/b"), &list, NULL));
    assert_true(place_list_all(&list, PLACE_JSON));
    assert_false(place_list_all(&list, PLACE_HEADER));
    assert_true(place_list_parse(STR("json:/a|header:b"), &list, NULL));
    assert_false(place_list_all(&list, PLACE_JSON));
    list.count = 0;
    assert_false(place_list_all(&list, PLACE_JSON));
}

struct read_case {
    const char *places;
    enum place_result result;
    const char *text, *raw; /* NULL: nothing is there */
    bool sound;
};

static enum place_result read_list(const char *places, struct http_request *request, struct arena *arena,
                                   struct place_value *ret_value) {
    struct place_list list;
    const struct json_pointer *pointers[JSON_POINTERS_MAX];
    struct json_value values[JSON_POINTERS_MAX];
    size_t count = 0;
    assert_true(place_list_parse(str_from(places), &list, NULL));
    place_list_pointers(&list, pointers, &count);
    assert_int_equal(json_scan(request->body, pointers, count, values), JSON_OK);
    return place_list_read(&list, values, request, arena, ret_value);
}

static void first_value_counts(void **state) {
    (void)state;
    static const struct read_case cases[] = {
        {"json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"json:/none|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"json:/empty|json:/null|json:/yes|json:/object|json:/list|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"json:/big", PLACE_READ, "820982911946154508123", "820982911946154508123", true},
        {"json:/odd", PLACE_READ, "-0.10e2", "-0.10e2", true},
        {"json:/escaped", PLACE_READ, "a/\xc3\xa9", "a\\/\\u00e9", true},
        {"json:/lone", PLACE_READ, "x\\ud800", "x\\ud800", false},
        {"json:/none", PLACE_READ, NULL, NULL, true},
        {"header:x-id", PLACE_READ, "h-1", "h-1", true},
        {"header:X-ID|json:/id", PLACE_READ, "h-1", "h-1", true},
        {"header:x-empty|header:x-none|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"json:/none|header:x-id|json:/id", PLACE_READ, "h-1", "h-1", true},
        {"json:/none|header:x-none|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"header:x-two", PLACE_TWICE, NULL, NULL, true},
        {"header:x-comma", PLACE_TWICE, NULL, NULL, true},
        {"json:/id|header:x-two", PLACE_READ, "evt_1", "evt_1", true},
        {"query:data.id", PLACE_READ, "a b", "a b", true},
        {"query:none|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"query:blank|json:/id", PLACE_READ, "evt_1", "evt_1", true},
        {"query:twice", PLACE_TWICE, NULL, NULL, true},
        {"query:bad", PLACE_TWICE, NULL, NULL, true},
        {"xml:/id|json:/id", PLACE_READ, "evt_1", "evt_1", true},
    };
    struct http_request request = {
        .method = STR("POST"),
        .target = STR("/hooks/x?data.id=a%20b&twice=1&twice=1&bad=%zz&blank="),
        .headers = {{STR("X-Id"), STR("h-1")},
                    {STR("x-two"), STR("1")},
                    {STR("X-Two"), STR("1")},
                    {STR("x-comma"), STR("1,1")},
                    {STR("x-empty"), STR("")}},
        .header_count = 5,
        .body = STR("{\"id\":\"evt_1\",\"empty\":\"\",\"null\":null,\"yes\":true,\"object\":{\"a\":1},\"list\":[1],"
                    "\"big\":820982911946154508123,\"odd\":-0.10e2,\"escaped\":\"a\\/\\u00e9\",\"lone\":\"x\\ud800\"}"),
    };
    request_split_target(&request);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena = arena_make(help_memory, sizeof help_memory);
        struct place_value value;
        print_message("%s\n", cases[i].places);
        assert_int_equal(read_list(cases[i].places, &request, &arena, &value), cases[i].result);
        if (cases[i].result != PLACE_READ) continue;
        assert_str(value.text, cases[i].text);
        assert_str(value.raw, cases[i].raw);
        assert_int_equal(value.sound, cases[i].sound);
    }
}

static void full_arena(void **state) {
    (void)state;
    struct http_request request = {.target = STR("/x?q=abc"), .body = STR("{\"a\":\"\\u00e9\"}")};
    request_split_target(&request);
    struct arena arena = arena_make(help_memory, 1);
    struct place_value value;
    assert_int_equal(read_list("json:/a", &request, &arena, &value), PLACE_FULL);
    arena_reset(&arena);
    assert_int_equal(read_list("query:q", &request, &arena, &value), PLACE_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_that_parse),   cmocka_unit_test(lists_that_do_not), cmocka_unit_test(kinds_of_a_list),
        cmocka_unit_test(first_value_counts), cmocka_unit_test(full_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
