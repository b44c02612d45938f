/* SPDX-License-Identifier: Apache-2.0 */
/* A secret's document from anybody, and a change of ours: what comes out is JSON, has what was put in, has every other
 * member of the root and every other source as the bytes they were, and is not changed by the same change again. */
#include "base/limits.h"
#include "codec/json.h"
#include "exact.h"
#include "stack/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_SIZE = 2 * SECRET_STRING_SIZE_MAX, MESSAGE_SIZE = 1024 };

/* The members of two objects are the same but for the one at raw (which is in the second, last where it is new). */
static void check_members(struct str before, struct str after, struct str changed) {
    struct json_value name, value, name_after, value_after;
    size_t position = 0, position_after = 0;
    while (json_object_next(before, &position, &name, &value)) {
        check(json_object_next(after, &position_after, &name_after, &value_after));
        check(str_eq(name.raw, name_after.raw));
        if (value_after.raw.ptr != changed.ptr) check(str_eq(value.raw, value_after.raw));
    }
    if (json_object_next(after, &position_after, &name_after, &value_after)) check(value_after.raw.ptr == changed.ptr);
    check(!json_object_next(after, &position_after, &name_after, &value_after));
}

static void find(struct str document, const char *const names[3], struct json_value found[3]) {
    struct json_pointer pointers[3];
    const struct json_pointer *list[3];
    for (size_t i = 0; i < 3; i++) {
        check(json_pointer_compile(str_from(names[i]), &pointers[i]));
        list[i] = &pointers[i];
    }
    check(json_scan(document, list, 3, found) == JSON_OK);
}

static void check_change(struct str document, const struct secret_change *change, const char *const names[3]) {
    char *memory = exact_room(OUT_SIZE), *again = exact_room(OUT_SIZE), *text = exact_room(MESSAGE_SIZE);
    struct writer out = writer_make(memory, OUT_SIZE), second = writer_make(again, OUT_SIZE);
    struct writer message = writer_make(text, MESSAGE_SIZE);
    if (err_is(secret_merge(document, change, &out, &message))) {
        check(message.len > 0);
        return;
    }
    check(message.len == 0);
    struct json_value before[3], after[3];
    find(document, names, before);
    find(writer_str(&out), names, after);
    check(str_eq(after[2].raw, STR("[\"two \\\"quotes\\\"\", \"one\"]")));
    check_members(before[0].raw, after[0].raw, after[1].raw);
    if (before[1].type == JSON_TYPE_OBJECT && names[1] != names[2]) {
        struct json_pointer pointer;
        const struct json_pointer *list[] = {&pointer};
        struct json_value source;
        check(json_pointer_compile(STR("/sources/s"), &pointer));
        check(json_scan(writer_str(&out), list, 1, &source) == JSON_OK);
        check_members(before[1].raw, after[1].raw, source.raw);
    }
    check(!err_is(secret_merge(writer_str(&out), change, &second, &message)));
    check(str_eq(writer_str(&out), writer_str(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct str values[] = {{"two \"quotes\"", 12}, {"one", 3}};
    static const char *const of_source[3] = {"", "/sources", "/sources/s/secrets"}, *const of_key[3] = {"", "/api_key",
                                                                                                        "/api_key"};
    struct secret_change change = {
        .source = STR("s"), .provider_if_new = STR("stripe"), .values = values, .value_count = 2};
    exact_reset();
    char *document = exact_room(size);
    if (size > 0) memcpy(document, data, size);
    check_change(str_make(document, size), &change, of_source);
    change.settings[change.setting_count].key = STR("header");
    change.settings[change.setting_count++].value = STR("x-sig");
    change.provider = STR("hub-sha256");
    check_change(str_make(document, size), &change, of_source);
    change = (struct secret_change){.source = STR("api_key"), .values = values, .value_count = 2};
    check_change(str_make(document, size), &change, of_key);
    return 0;
}
