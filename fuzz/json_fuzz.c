/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes codec/json with jansson as the oracle. Both must give the same answer to every text, but for the classes in
 * difference_is_known. An accepted text is then walked with json_array_next and json_object_next: every slice must lie
 * in the text, be JSON by itself, be what jansson read there, and be what json_scan finds under its JSON Pointer.
 * Strings must survive decoding and writing. tests/unit/json_test.c drives the same function with texts of its own. */

#include "base/err.h"
#include "codec/json.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An accepted text. Its path, a JSON Pointer, follows the walk; path_good: every step can be written in one; duplicate:
 * a step is a name that its object holds twice. */
struct walk {
    struct str text;
    struct arena arena;
    struct writer path;
    bool path_good;
    bool duplicate;
};

enum { ITEMS_POINTED_MAX = 64 }; /* in one container, since each costs a scan of the whole text */

static bool difference_is_known(enum json_result result, const json_t *tree, const json_error_t *error) {
    if (tree != NULL) return result == JSON_TOO_DEEP;                       /* jansson goes 2048 deep */
    if (json_error_code(error) == json_error_numeric_overflow) return true; /* to us a number is text */
    if (json_error_code(error) == json_error_null_byte_in_key) return true;
    return strstr(error->text, "invalid Unicode") != NULL; /* an unpaired surrogate */
}

/* The text of a string after a round through both forms; ptr NULL where it is no text. */
static struct str string_check(struct walk *w, struct str raw) {
    struct str text, again;
    bool full;
    if (!json_string_decode(raw, &w->arena, &text, &full)) {
        check(!full);
        return STR_NONE;
    }
    check(json_is_utf8(text));
    for (int ascii = 0; ascii < 2; ascii++) {
        struct arena scratch = w->arena;
        struct writer written = arena_writer(&scratch);
        json_write_string(&written, text, ascii == 1);
        struct str copy = arena_take(&scratch, &written);
        check(copy.ptr != NULL);
        check(json_scan(copy, NULL, 0, NULL) == JSON_OK);
        check(json_string_decode(copy, &scratch, &again, &full));
        check(str_eq(text, again));
    }
    return text;
}

static void scalar_check(struct walk *w, struct json_value value, const json_t *tree) {
    struct str text = value.type == JSON_TYPE_STRING ? string_check(w, value.raw) : STR_NONE;
    if (tree == NULL) return;
    struct arena scratch = w->arena;
    char *literal = arena_alloc(&scratch, 1, 1, value.raw.len + 1);
    check(literal != NULL);
    memcpy(literal, value.raw.ptr, value.raw.len);
    switch ((int)json_typeof(tree)) {
    case JSON_STRING:
        check(value.type == JSON_TYPE_STRING);
        check(str_eq(text, str_make(json_string_value(tree), json_string_length(tree))));
        break;
    case JSON_INTEGER:
        check(value.type == JSON_TYPE_NUMBER);
        check(strtoll(literal, NULL, 10) == json_integer_value(tree));
        break;
    case JSON_REAL:
        check(value.type == JSON_TYPE_NUMBER);
        check(!(strtod(literal, NULL) < json_real_value(tree)));
        check(!(strtod(literal, NULL) > json_real_value(tree)));
        break;
    case JSON_TRUE: check(str_eq(value.raw, STR("true"))); break;
    case JSON_FALSE: check(str_eq(value.raw, STR("false"))); break;
    case JSON_NULL: check(str_eq(value.raw, STR("null"))); break;
    default: check(value.type == JSON_TYPE_OBJECT || value.type == JSON_TYPE_ARRAY); break;
    }
}

/* The pointer that the walk has followed leads here and nowhere else. */
static void pointer_check(const struct walk *w, struct json_value value) {
    struct json_pointer pointer;
    struct json_value found;
    if (!w->path_good || !json_pointer_compile(writer_str(&w->path), &pointer)) return;
    enum json_result result = json_scan(w->text, &(const struct json_pointer *){&pointer}, 1, &found);
    check(result == (w->duplicate ? JSON_DUPLICATE : JSON_OK));
    if (w->duplicate) return;
    check(found.type == value.type);
    check(found.raw.ptr == value.raw.ptr);
    check(found.raw.len == value.raw.len);
}

static void path_append(struct walk *w, struct str name) {
    writer_char(&w->path, '/');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '~' || name.ptr[i] == '/') {
            writer_put(&w->path, name.ptr[i] == '~' ? STR("~0") : STR("~1"));
        } else {
            writer_char(&w->path, name.ptr[i]);
        }
    }
    if (name.ptr == NULL || w->path.overflow) w->path_good = false;
}

static bool name_is_double(const struct walk *w, struct str object, struct str text) {
    struct json_value name, value;
    size_t count = 0;
    for (size_t position = 0; json_object_next(object, &position, &name, &value);) {
        struct arena scratch = w->arena;
        struct str other;
        bool full;
        if (json_string_decode(name.raw, &scratch, &other, &full) && str_eq(text, other)) count++;
    }
    return count > 1;
}

static void value_walk(struct walk w, struct json_value value, const json_t *tree, bool pointed) {
    check(value.raw.ptr >= w.text.ptr);
    check(value.raw.ptr + value.raw.len <= w.text.ptr + w.text.len);
    check(json_scan(value.raw, NULL, 0, NULL) == JSON_OK);
    if (pointed) pointer_check(&w, value);
    scalar_check(&w, value, tree);

    struct json_value item, name;
    size_t index = 0;
    for (size_t position = 0; json_array_next(value.raw, &position, &item); index++) {
        struct walk inner = w;
        char digits[20];
        struct writer number = writer_make(digits, sizeof(digits));
        writer_u64(&number, index);
        path_append(&inner, writer_str(&number));
        value_walk(inner, item, tree ? json_array_get(tree, index) : NULL, pointed && index < ITEMS_POINTED_MAX);
    }
    if (tree != NULL && value.type == JSON_TYPE_ARRAY) check(index == json_array_size(tree));

    size_t members = 0, doubles = 0;
    for (size_t position = 0; json_object_next(value.raw, &position, &name, &item); members++) {
        struct walk inner = w;
        struct str text = string_check(&inner, name.raw);
        bool many = members >= ITEMS_POINTED_MAX,
             twice = !many && text.ptr != NULL && name_is_double(&inner, value.raw, text);
        path_append(&inner, text);
        inner.duplicate |= twice;
        doubles += many || twice;
        const json_t *branch = tree && !many && !twice ? json_object_getn(tree, text.ptr, text.len) : NULL;
        check(tree == NULL || many || twice || branch != NULL);
        value_walk(inner, item, branch, pointed && !many);
    }
    if (tree != NULL && value.type == JSON_TYPE_OBJECT && doubles == 0) check(members == json_object_size(tree));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_pointer whole;
    struct json_value value;
    struct str text = str_make((const char *)data, size);
    check(json_pointer_compile(STR(""), &whole));
    enum json_result result = json_scan(text, &(const struct json_pointer *){&whole}, 1, &value);

    /* jansson passes over some NUL bytes; none is JSON. */
    bool has_nul = str_has(text, '\0');
    json_error_t error = {.text = ""};
    json_t *tree = has_nul ? NULL : json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (has_nul) check(result != JSON_OK);
    if ((result == JSON_OK) != (tree != NULL)) check(difference_is_known(result, tree, &error));

    if (result == JSON_OK) {
        size_t memory_size = 32 * size + 256, path_size = JSON_POINTER_SIZE_MAX;
        char *memory = malloc(memory_size);
        char path[JSON_POINTER_SIZE_MAX];
        check(memory != NULL);
        value_walk((struct walk){text, arena_make(memory, memory_size), writer_make(path, path_size), true, false},
                   value, tree, true);
        free(memory);
    }
    json_decref(tree);
    return 0;
}
