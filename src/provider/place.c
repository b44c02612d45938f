/* SPDX-License-Identifier: Apache-2.0 */
/* Places: parsing their text form and reading them. JSON is scanned once for all places of a request (or of a batch
 * item) by the caller; this file only picks from what was found. It does not judge values: limits and digests are
 * batch.c's.
 *
 * "xml:" places have their text form here, for Braintree's row; no row of today's table reads XML, and source_check
 * refuses them where the row does not. */
#include "provider/place.h"

#include "base/err.h"
#include "codec/form.h"

static const struct {
    const char *prefix;
    enum place_kind kind;
} kinds[] = {
    {"json:", PLACE_JSON},
    {"header:", PLACE_HEADER},
    {"query:", PLACE_QUERY},
    {"xml:", PLACE_XML},
};

bool place_is_header_name(struct str name) {
    static const char symbols[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 §5.6.2, tchar */
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr(symbols, c) == NULL)) return false;
    }
    return name.len > 0;
}

static bool place_parse(struct str text, struct place *ret_place, const char **ret_fault) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct str prefix = str_from(kinds[i].prefix);
        if (!str_starts(text, prefix)) continue;
        struct str rest = str_from_index(text, prefix.len);
        ret_place->kind = kinds[i].kind;
        ret_place->name = rest;
        switch (kinds[i].kind) {
        case PLACE_JSON:
            *ret_fault = "is no JSON Pointer such as json:/data/id";
            return rest.len > 0 && json_pointer_compile(rest, &ret_place->pointer);
        case PLACE_HEADER: *ret_fault = "is no header name"; return place_is_header_name(rest);
        case PLACE_QUERY: *ret_fault = "has no parameter name"; return rest.len > 0;
        case PLACE_XML: *ret_fault = "is no path such as xml:/notification/kind"; return str_starts(rest, STR("/"));
        }
    }
    *ret_fault = "is no place: write json:/pointer, header:name, query:name or xml:/path";
    return false;
}

bool place_list_parse(struct str text, struct place_list *ret_list, struct writer *message) {
    ret_list->count = 0;
    bool more = true;
    while (more) {
        struct str one, rest = STR_NONE;
        more = str_cut(text, '|', &one, &rest);
        if (!more) one = text;
        text = rest;
        const char *fault;
        if (ret_list->count == PLACES_MAX) {
            if (message != NULL) writer_format(message, "more than %d places are joined by \"|\"", PLACES_MAX);
            return false;
        }
        if (!place_parse(one, &ret_list->places[ret_list->count], &fault)) {
            if (message != NULL) {
                writer_char(message, '"');
                writer_escaped(message, one);
                writer_format(message, "\" %s", fault);
            }
            return false;
        }
        ret_list->count++;
    }
    return true;
}

bool place_list_all(const struct place_list *list, enum place_kind kind) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->places[i].kind != kind) return false;
    return list->count > 0;
}

void place_list_pointers(const struct place_list *list, const struct json_pointer **pointers, size_t *count) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->places[i].kind != PLACE_JSON) continue;
        check(*count < JSON_POINTERS_MAX);
        pointers[(*count)++] = &list->places[i].pointer;
    }
}

static enum place_result read_json(const struct json_value *value, struct arena *arena, struct place_value *ret_value) {
    if (value->type == JSON_TYPE_NUMBER) {
        *ret_value = (struct place_value){.text = value->raw, .raw = value->raw, .sound = true};
        return PLACE_READ;
    }
    if (value->type != JSON_TYPE_STRING || value->raw.len <= 2) return PLACE_READ;
    struct str raw = str_make(value->raw.ptr + 1, value->raw.len - 2), text = raw;
    bool full = false;
    bool sound = json_string_decode(value->raw, arena, &text, &full);
    if (full) return PLACE_FULL;
    *ret_value = (struct place_value){.text = sound ? text : raw, .raw = raw, .sound = sound};
    return PLACE_READ;
}

static enum place_result read_query(struct str name, struct str query, struct arena *arena,
                                    struct place_value *ret_value) {
    if (query.ptr == NULL) return PLACE_READ;
    if (arena->size - arena->used < query.len) return PLACE_FULL; /* so that "bad" below cannot mean it */
    struct str value = STR_NONE;
    bool bad = false;
    uint32_t count = form_find(query, name, arena, &value, &bad);
    if (bad || count > 1) return PLACE_TWICE;
    if (value.len > 0) *ret_value = (struct place_value){.text = value, .raw = value, .sound = true};
    return PLACE_READ;
}

enum place_result place_read(const struct place *place, const struct json_value *value,
                             const struct http_request *request, struct arena *arena, struct place_value *ret_value) {
    *ret_value = (struct place_value){.text = STR_NONE, .raw = STR_NONE, .sound = true};
    switch (place->kind) {
    case PLACE_JSON: return read_json(value, arena, ret_value);
    case PLACE_HEADER: {
        struct str text = STR_NONE;
        uint32_t count = request_header(request, place->name, &text);
        if (count > 1 || str_has(text, ',')) return PLACE_TWICE;
        if (text.len > 0) *ret_value = (struct place_value){.text = text, .raw = text, .sound = true};
        return PLACE_READ;
    }
    case PLACE_QUERY: return read_query(place->name, request->query, arena, ret_value);
    case PLACE_XML: return PLACE_READ;
    }
    return PLACE_READ;
}

enum place_result place_list_read(const struct place_list *list, const struct json_value *values,
                                  const struct http_request *request, struct arena *arena,
                                  struct place_value *ret_value) {
    *ret_value = (struct place_value){.text = STR_NONE, .raw = STR_NONE, .sound = true};
    for (uint32_t i = 0; i < list->count; i++) {
        const struct place *place = &list->places[i];
        enum place_result result = place_read(place, values, request, arena, ret_value);
        if (place->kind == PLACE_JSON) values++;
        if (result != PLACE_READ || ret_value->text.len > 0) return result;
    }
    return PLACE_READ;
}
