/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are written into memory that grows, without a tree between: their shape is fixed, and bodies are large.
 * Answers are read as trees, since only what is small, or was asked for, comes back. */
#include "store/dynamodb_wire.h"

#include "base/err.h"
#include "codec/json.h"
#include "codec/text.h"
#include "store/dynamodb_layout.h"

#include <stdlib.h>

#include <jansson.h>

enum { WIRE_SIZE_MIN = 8192, ESCAPED_SIZE_MAX = 6 };

/* Room for `more` bytes at the end, or NULL. */
static char *room(struct wire *wire, size_t more) {
    if (wire->failed) return NULL;
    if (more > wire->size - wire->len) {
        size_t size = wire->size > 0 ? wire->size : WIRE_SIZE_MIN;
        while (size - wire->len < more)
            size *= 2;
        char *grown = realloc(wire->ptr, size);
        if (grown == NULL) {
            wire->failed = true;
            return NULL;
        }
        wire->ptr = grown;
        wire->size = size;
    }
    return wire->ptr + wire->len;
}

void wire_done(struct wire *wire) {
    free(wire->ptr);
    *wire = (struct wire){0};
}

void wire_put(struct wire *wire, struct str json) {
    char *to = room(wire, json.len);
    if (to == NULL) return;
    if (json.len > 0) memcpy(to, json.ptr, json.len);
    wire->len += json.len;
}

void wire_comma(struct wire *wire) {
    char last = wire->failed || wire->len == 0 ? '{' : wire->ptr[wire->len - 1];
    if (last != '{' && last != '[' && last != ':') wire_put(wire, STR(","));
}

void wire_string(struct wire *wire, struct str text) {
    size_t most = text.len * ESCAPED_SIZE_MAX + 2;
    char *to = room(wire, most);
    if (to == NULL) return;
    struct writer w = writer_make(to, most);
    json_write_string(&w, text, false);
    check(!w.overflow);
    wire->len += w.len;
}

static void base64_string(struct wire *wire, struct str bytes) {
    size_t most = bytes.len / 3 * 4 + 8;
    char *to = room(wire, most);
    if (to == NULL) return;
    struct writer w = writer_make(to, most);
    writer_char(&w, '"');
    text_base64_write(&w, bytes.ptr, bytes.len);
    writer_char(&w, '"');
    check(!w.overflow);
    wire->len += w.len;
}

void wire_name(struct wire *wire, struct str name) {
    wire_comma(wire);
    wire_string(wire, name);
    wire_put(wire, STR(":"));
}

void wire_bytes(struct wire *wire, struct str name, struct str value) {
    wire_name(wire, name);
    wire_put(wire, STR("{\"B\":"));
    base64_string(wire, value);
    wire_put(wire, STR("}"));
}

void wire_text(struct wire *wire, struct str name, struct str value) {
    if (!dynamodb_is_text(value)) {
        wire_bytes(wire, name, value);
        return;
    }
    wire_name(wire, name);
    wire_put(wire, STR("{\"S\":"));
    wire_string(wire, value);
    wire_put(wire, STR("}"));
}

void wire_optional(struct wire *wire, struct str name, struct str value) {
    if (value.ptr != NULL) wire_text(wire, name, value);
}

void wire_number(struct wire *wire, struct str name, int64_t value) {
    char digits[24];
    struct writer w = writer_make(digits, sizeof digits);
    writer_i64(&w, value);
    wire_name(wire, name);
    wire_put(wire, STR("{\"N\":\""));
    wire_put(wire, writer_str(&w));
    wire_put(wire, STR("\"}"));
}

/* ---- reading ---- */

json_t *wire_parse(struct str text) {
    json_t *json =
        json_loadb(text.ptr != NULL ? text.ptr : "", text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

json_t *wire_hold(json_t *json) { return json_incref(json); }
void wire_free(json_t *json) { json_decref(json); }

json_t *wire_object(const json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    return json_is_object(value) ? value : NULL;
}

json_t *wire_array(const json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    return json_is_array(value) ? value : NULL;
}

size_t wire_count(const json_t *array) { return json_array_size(array); }
json_t *wire_at(const json_t *array, size_t index) { return json_array_get(array, index); }

struct str wire_member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value)) : STR_NONE;
}

struct str wire_attribute(const json_t *item, const char *name, struct arena *arena, bool *ret_bad) {
    const json_t *attribute = json_object_get(item, name);
    struct str text = wire_member(attribute, "S");
    if (text.ptr != NULL) return text;
    text = wire_member(attribute, "B");
    if (text.ptr == NULL) {
        if (attribute != NULL) *ret_bad = true;
        return STR_NONE;
    }
    size_t most = text.len / 4 * 3, size;
    char *bytes = arena_alloc(arena, 1, 1, most + 1);
    if (bytes == NULL || !text_base64_read(text, (uint8_t *)bytes, most, &size)) {
        *ret_bad = true;
        return STR_NONE;
    }
    return str_make(bytes, size);
}

bool wire_integer(const json_t *item, const char *name, int64_t *ret_value) {
    struct str text = wire_member(json_object_get(item, name), "N");
    if (text.ptr == NULL) return false;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative) text = str_from_index(text, 1);
    uint64_t value;
    if (!str_u64(text, INT64_MAX, &value)) return false;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

json_t *wire_list(const json_t *item, const char *name) { return wire_array(json_object_get(item, name), "L"); }
struct str wire_list_text(const json_t *list, size_t index) {
    return wire_member(json_array_get(list, index), "S");
}
json_t *wire_map(const json_t *item, const char *name) { return wire_object(json_object_get(item, name), "M"); }
bool wire_has(const json_t *item, const char *name) { return json_object_get(item, name) != NULL; }

void wire_again(struct wire *wire, const json_t *object, const char *name) {
    char *text = json_dumps(json_object_get(object, name), JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        wire->failed = true;
    else
        wire_put(wire, str_from(text));
    free(text);
}
