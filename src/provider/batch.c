/* SPDX-License-Identifier: Apache-2.0 */
/* From an authentic request to its events: ids by the row's places, the event key, the digests, the headers worth
 * keeping.
 *
 * The key decides whether two requests are one event, so it is made of what the signature covers where it can be (the
 * rule is key_kind_of), and every text in it has one spelling: an id that is too long, or no clean text, is replaced by
 * "sha256-" and the digest of its bytes as written. A batch's items are read as if each were a body.
 *
 * Whether an event was seen before is the store's question, and who made it is verify.c's. */
#include "provider/batch.h"

#include "base/err.h"
#include "codec/text.h"
#include "provider/place.h"
#include "provider/verify.h"

#include <stdio.h>

/* How one request is read: the row's places or the source's own, and what follows from where they are. */
struct reading {
    const struct place_list *id, *type, *transaction;
    struct place_list row_id, row_type, row_tail, row_transaction, row_fields;
    bool id_is_signed_header; /* the id is v->id */
    enum key_kind kind;
    bool look_for_repeats;
    struct recipe recipe;
};

/* Texts of keys */

static bool digest_text(struct arena *arena, const struct str *parts, size_t count, struct str *ret_text) {
    uint8_t digest[32];
    digest_of(DIGEST_SHA256, parts, count, digest);
    struct writer w = arena_writer(arena);
    writer_put(&w, STR("sha256-"));
    text_hex_write(&w, digest, sizeof digest);
    *ret_text = arena_take(arena, &w);
    return ret_text->ptr != NULL;
}

static bool is_clean(struct str text, size_t size_max) {
    return text.len <= size_max && !str_has_control(text) && json_is_utf8(text);
}

static bool clean_text(struct arena *arena, const struct place_value *value, size_t size_max, struct str *ret_text) {
    if (!value->sound || !is_clean(value->text, size_max)) return digest_text(arena, &value->raw, 1, ret_text);
    *ret_text = value->text;
    return true;
}

/* first ":" second, or the digest of that as written. */
static bool joined_text(struct arena *arena, const struct place_value *values, size_t count, struct str *ret_text) {
    struct str raw[2 * PLACES_MAX];
    size_t raw_count = 0, size = 0;
    bool clean = true;
    check(count <= PLACES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) raw[raw_count++] = STR(":");
        raw[raw_count++] = values[i].raw;
        clean = clean && values[i].sound && is_clean(values[i].text, EVENT_KEY_SIZE_MAX);
        size += values[i].text.len + (i > 0);
    }
    if (!clean || size > EVENT_KEY_SIZE_MAX) return digest_text(arena, raw, raw_count, ret_text);
    struct writer w = arena_writer(arena);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) writer_char(&w, ':');
        writer_put(&w, values[i].text);
    }
    *ret_text = arena_take(arena, &w);
    return ret_text->ptr != NULL;
}

static bool type_text(struct arena *arena, const struct place_value *type, const struct place_value *tail,
                      struct str *ret_text) {
    struct str text = type->text;
    if (text.len == 0 || !type->sound || !tail->sound) return true;
    if (tail->text.len > 0) {
        struct writer w = arena_writer(arena);
        writer_put(&w, text);
        writer_char(&w, '.');
        writer_put(&w, tail->text);
        text = arena_take(arena, &w);
        if (text.ptr == NULL) return false;
    }
    if (!is_clean(text, SIZE_MAX)) return true; /* nothing depends on a type: none rather than half of one */
    if (text.len > EVENT_TYPE_SIZE_MAX) {
        text.len = EVENT_TYPE_SIZE_MAX;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
            text.len--; /* not within a character */
    }
    *ret_text = text;
    return true;
}

/* Where ids are */

static const struct place_list *places(const struct place_list *set, const char *row, struct place_list *row_list) {
    row_list->count = 0;
    if (set != NULL && set->count > 0) return set;
    if (row != NULL) {
        bool good = place_list_parse(str_from(row), row_list, NULL);
        check(good); /* a row of ours */
    }
    return row_list;
}

static bool names_id_header(const struct reading *r) {
    for (uint32_t i = 0; i < r->id->count; i++) {
        bool named = false;
        for (size_t j = 0; j < ROW_HEADERS_MAX && r->id->places[i].kind == PLACE_HEADER; j++)
            named |=
                r->recipe.id_headers[j].ptr != NULL && str_eq_nocase(r->id->places[i].name, r->recipe.id_headers[j]);
        if (!named) return false;
    }
    return true; /* none at all: the signed one */
}

/* Spec "What is kept": id where the signature covers it; content where there is none, or the signed body says what
 * happened; both where a header says it, or nothing of the content is signed. A list counts as covered when all its
 * places are, since whoever replays a request can add the others. */
static enum key_kind key_kind_of(const struct reading *r, const struct provider_row *row,
                                 enum authenticated authenticated) {
    bool body_signed = authenticated == AUTHENTICATED_BODY;
    if (r->id_is_signed_header) return KEY_ID;
    if (row->key != KEY_BY_RULE) return row->key;
    if (r->id->count == 0) return KEY_CONTENT;
    if (body_signed && place_list_all(r->id, PLACE_JSON)) return KEY_ID;
    if (body_signed && place_list_all(r->type, PLACE_JSON)) return KEY_CONTENT;
    return KEY_ID_CONTENT;
}

static void reading_make(const struct provider_input *input, const struct verification *v,
                         struct reading *ret_reading) {
    const struct source *source = input->source;
    const struct provider_row *row = source->row;
    struct reading *r = ret_reading;
    bool good = recipe_make(source, NULL, &r->recipe);
    if (!good) r->recipe = (struct recipe){.separator = '\0'}; /* a scheme that has no use for one */
    r->id = places(&source->settings.event_id, row->event_id, &r->row_id);
    r->type = places(&source->settings.event_type, row->event_type, &r->row_type);
    r->transaction = places(&source->settings.transaction_id, row->transaction_id, &r->row_transaction);
    (void)places(NULL, source->settings.event_type.count > 0 ? NULL : row->event_type_tail, &r->row_tail);
    (void)places(NULL, row->key_fields, &r->row_fields);
    r->id_is_signed_header = v->id_signed && v->id.ptr != NULL && names_id_header(r);
    r->kind = key_kind_of(r, row, v->authenticated);
    bool id_outside =
        r->kind == KEY_ID_CONTENT && v->authenticated == AUTHENTICATED_BODY && !place_list_all(r->id, PLACE_JSON);
    r->look_for_repeats = row->repeats || id_outside;
}

/* Kept headers */

static bool among(struct str name, const struct str *names, size_t count) {
    for (size_t i = 0; i < count && names[i].ptr != NULL; i++)
        if (str_eq_nocase(name, names[i])) return true;
    return false;
}

static bool among_places(struct str name, const struct place_list *list) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->places[i].kind == PLACE_HEADER && str_eq_nocase(name, list->places[i].name)) return true;
    return false;
}

static bool is_kept(struct str name, const struct reading *r, const struct provider_row *row) {
    if (str_eq_nocase(name, STR("content-type")) || str_eq_nocase(name, STR("user-agent"))) return true;
    for (size_t i = 0; i < sizeof row->kept_headers / sizeof *row->kept_headers && row->kept_headers[i] != NULL; i++)
        if (str_eq_nocase(name, str_from(row->kept_headers[i]))) return true;
    return among(name, r->recipe.signature_headers, ROW_HEADERS_MAX) ||
           among(name, r->recipe.timestamp_headers, ROW_HEADERS_MAX) ||
           among(name, r->recipe.id_headers, ROW_HEADERS_MAX) || among_places(name, r->id) ||
           among_places(name, r->type) || among_places(name, r->transaction);
}

/* A header that is the secret, or could be one, is never kept as it came. */
static bool headers_keep(const struct provider_input *input, const struct verification *v, const struct reading *r,
                         struct str *ret_headers) {
    const struct http_request *request = input->request;
    const struct provider_row *row = input->source->row;
    struct writer all = arena_writer(input->arena);
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (!is_kept(header->name, r, row)) continue;
        bool secret =
            str_eq_nocase(header->name, STR("authorization")) ||
            (row->secret_form == SECRET_TOKEN && among(header->name, r->recipe.signature_headers, ROW_HEADERS_MAX));
        char note[48];
        struct str value = header->value;
        if (secret) {
            int length = v->matched_secret < 0
                             ? snprintf(note, sizeof note, "present")
                             : snprintf(note, sizeof note, "present, matched secret %d", (int)v->matched_secret);
            value = str_make(note, (size_t)length);
        }
        if (all.len + header->name.len + value.len + 3 > KEPT_HEADERS_SIZE_MAX) break;
        for (size_t j = 0; j < header->name.len; j++) {
            char c = header->name.ptr[j];
            writer_char(&all, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
        }
        writer_put(&all, STR(": "));
        writer_put(&all, value);
        writer_char(&all, '\n');
    }
    *ret_headers = arena_take(input->arena, &all);
    return ret_headers->ptr != NULL;
}

/* What all events of a request share. */
static bool event_common(const struct provider_input *input, const struct verification *v, const struct reading *r,
                         struct event *ret_event) {
    *ret_event = (struct event){
        .method = input->request->method,
        .target = input->request->target,
        .matched_secret = v->matched_secret,
        .authenticated = v->authenticated,
    };
    return headers_keep(input, v, r, &ret_event->headers);
}

static bool digests_fill(struct arena *arena, struct event *event, struct str content, struct str *ret_hex) {
    digest_sha256(event->payload, event->payload_sha256);
    if (content.ptr == event->payload.ptr && content.len == event->payload.len)
        memcpy(event->content_sha256, event->payload_sha256, sizeof event->content_sha256);
    else
        digest_sha256(content, event->content_sha256);
    struct writer w = arena_writer(arena);
    text_hex_write(&w, event->content_sha256, sizeof event->content_sha256);
    *ret_hex = arena_take(arena, &w);
    return ret_hex->ptr != NULL;
}

/* One event */

struct values {
    struct place_value id, type, tail, transaction, fields[PLACES_MAX];
};

static enum place_result values_read(const struct provider_input *input, const struct verification *v,
                                     const struct reading *r, struct str document, struct values *ret_values,
                                     enum json_result *ret_json) {
    const struct json_pointer *pointers[JSON_POINTERS_MAX];
    struct json_value found[JSON_POINTERS_MAX];
    size_t count = 0, type_at, tail_at, transaction_at, fields_at;
    place_list_pointers(r->id, pointers, &count);
    type_at = count;
    place_list_pointers(r->type, pointers, &count);
    tail_at = count;
    place_list_pointers(&r->row_tail, pointers, &count);
    transaction_at = count;
    place_list_pointers(r->transaction, pointers, &count);
    fields_at = count;
    place_list_pointers(&r->row_fields, pointers, &count);
    *ret_json = json_scan(document, pointers, count, found);
    if (*ret_json != JSON_OK) return PLACE_READ;

    const struct http_request *request = input->request;
    struct arena *arena = input->arena;
    enum place_result result = PLACE_READ;
    if (r->id_is_signed_header)
        ret_values->id = (struct place_value){.text = v->id, .raw = v->id, .sound = true};
    else
        result = place_list_read(r->id, found, request, arena, &ret_values->id);
    if (result == PLACE_READ) result = place_list_read(r->type, found + type_at, request, arena, &ret_values->type);
    if (result == PLACE_READ)
        result = place_list_read(&r->row_tail, found + tail_at, request, arena, &ret_values->tail);
    if (result == PLACE_READ)
        result = place_list_read(r->transaction, found + transaction_at, request, arena, &ret_values->transaction);
    for (uint32_t i = 0; i < r->row_fields.count && result == PLACE_READ; i++) {
        const struct place *place = &r->row_fields.places[i];
        result = place_read(place, found + fields_at, request, arena, &ret_values->fields[i]);
        if (place->kind == PLACE_JSON) fields_at++;
    }
    return result;
}

static void event_unreadable(struct event *event, struct str reason, struct str content_hex) {
    event->unreadable = reason; /* and neither id nor type, whatever a header says */
    event->event_key = content_hex;
    event->transaction_id = content_hex;
}

static bool event_key(struct arena *arena, const struct reading *r, const struct values *values, struct str content_hex,
                      struct str *ret_key) {
    const struct place_value content = {.text = content_hex, .raw = content_hex, .sound = true};
    const struct place_value both[] = {values->id, content};
    switch (r->kind) {
    case KEY_ID: return clean_text(arena, &values->id, EVENT_KEY_SIZE_MAX, ret_key);
    case KEY_FIELDS: return joined_text(arena, values->fields, r->row_fields.count, ret_key);
    case KEY_ID_CONTENT:
        if (values->id.text.len > 0) return joined_text(arena, both, 2, ret_key);
        break;
    case KEY_CONTENT:
    case KEY_BY_RULE: break;
    }
    *ret_key = content_hex;
    return true;
}

static bool fields_found(const struct reading *r, const struct values *values) {
    for (uint32_t i = 0; i < r->row_fields.count; i++)
        if (values->fields[i].text.len > 0) return true;
    return false;
}

/* Fills the rest of an event whose payload, and what the request's events share, are there. */
static enum verdict event_fill(const struct provider_input *input, const struct verification *v,
                               const struct reading *r, struct event *event, struct str *ret_reason) {
    struct arena *arena = input->arena;
    row_content *content_of = input->source->row->content;
    struct str content = event->payload, hex;
    if (content_of != NULL && !content_of(event->payload, arena, &content)) return VERDICT_INTERNAL;
    if (!digests_fill(arena, event, content, &hex)) return VERDICT_INTERNAL;

    struct values values = {.id = {.sound = true}};
    enum json_result json;
    enum place_result result = values_read(input, v, r, event->payload, &values, &json);
    if (result == PLACE_FULL) return VERDICT_INTERNAL;
    if (result == PLACE_TWICE) {
        *ret_reason = STR("a header or parameter that names the event holds no single value");
        return VERDICT_MALFORMED;
    }
    bool no_id = (r->kind == KEY_ID && values.id.text.len == 0) || (r->kind == KEY_FIELDS && !fields_found(r, &values));
    if (json != JSON_OK || no_id) {
        event_unreadable(event, json != JSON_OK ? str_from(json_result_text(json)) : STR("no id"), hex);
        return VERDICT_ACCEPT;
    }
    event->look_for_repeats = r->look_for_repeats;
    if (values.id.text.len > 0 && !clean_text(arena, &values.id, EVENT_KEY_SIZE_MAX, &event->event_id))
        return VERDICT_INTERNAL;
    if (!type_text(arena, &values.type, &values.tail, &event->event_type)) return VERDICT_INTERNAL;
    if (!event_key(arena, r, &values, hex, &event->event_key)) return VERDICT_INTERNAL;
    event->transaction_id = event->event_key;
    if (values.transaction.text.len > 0 &&
        !clean_text(arena, &values.transaction, TRANSACTION_ID_SIZE_MAX, &event->transaction_id))
        return VERDICT_INTERNAL;
    return VERDICT_ACCEPT;
}

/* One request */

enum batch_split batch_split(struct str array, struct arena *arena, struct str **ret_items, uint32_t *ret_count) {
    uint32_t count = 0;
    struct json_value item;
    for (size_t position = 0; json_array_next(array, &position, &item);)
        if (++count > BATCH_EVENTS_MAX) return BATCH_OVER;
    struct str *items = arena_new(arena, struct str, count);
    if (items == NULL) return BATCH_FULL;
    size_t position = 0;
    for (uint32_t i = 0; i < count && json_array_next(array, &position, &item); i++)
        items[i] = item.raw;
    *ret_items = items;
    *ret_count = count;
    return BATCH_SPLIT;
}

static enum verdict one_event(const struct provider_input *input, const struct event *common, struct str payload,
                              struct provider_answer *ret_answer) {
    struct event *event = arena_new(input->arena, struct event, 1);
    if (event == NULL) return VERDICT_INTERNAL;
    *event = *common;
    event->payload = payload;
    ret_answer->events = event;
    ret_answer->event_count = 1;
    return VERDICT_ACCEPT;
}

/* The whole body as one event without a meaning. */
static enum verdict one_unreadable(const struct provider_input *input, const struct event *common, struct str reason,
                                   struct provider_answer *ret_answer) {
    struct str hex;
    enum verdict verdict = one_event(input, common, input->request->body, ret_answer);
    if (verdict != VERDICT_ACCEPT) return verdict;
    if (!digests_fill(input->arena, ret_answer->events, input->request->body, &hex)) return VERDICT_INTERNAL;
    event_unreadable(ret_answer->events, reason, hex);
    return VERDICT_ACCEPT;
}

static enum verdict read_items(const struct provider_input *input, const struct verification *v,
                               const struct reading *r, const struct event *common,
                               struct provider_answer *ret_answer) {
    const struct provider_row *row = input->source->row;
    struct json_pointer pointer;
    const struct json_pointer *pointers[] = {&pointer};
    struct json_value array;
    bool good = json_pointer_compile(str_from(row->batch), &pointer);
    check(good); /* a row of ours */
    enum json_result json = json_scan(input->request->body, pointers, 1, &array);
    if (json != JSON_OK) return one_unreadable(input, common, str_from(json_result_text(json)), ret_answer);
    if (array.type != JSON_TYPE_ARRAY) return one_unreadable(input, common, STR("no list of events"), ret_answer);

    struct str *items;
    uint32_t count;
    enum batch_split split = batch_split(array.raw, input->arena, &items, &count);
    if (split == BATCH_FULL) return VERDICT_INTERNAL;
    if (split == BATCH_OVER) {
        ret_answer->reason = STR("more events than one request may hold");
        return row->batch_over_is_one ? one_unreadable(input, common, ret_answer->reason, ret_answer)
                                      : VERDICT_TOO_LARGE;
    }
    struct event *events = arena_new(input->arena, struct event, count);
    if (events == NULL) return VERDICT_INTERNAL;
    for (uint32_t i = 0; i < count; i++) {
        events[i] = *common;
        events[i].payload = items[i];
        events[i].request_body = input->request->body;
        enum verdict verdict = event_fill(input, v, r, &events[i], &ret_answer->reason);
        if (verdict != VERDICT_ACCEPT) return verdict;
    }
    ret_answer->events = events;
    ret_answer->event_count = count;
    return VERDICT_ACCEPT;
}

enum verdict batch_read(const struct provider_input *input, const struct verification *v,
                        struct provider_answer *ret_answer) {
    if (input->request->body.len == 0) {
        ret_answer->reason = STR("the body is empty: nothing was said");
        return VERDICT_MALFORMED;
    }
    struct reading r;
    struct event common;
    reading_make(input, v, &r);
    if (!event_common(input, v, &r, &common)) return VERDICT_INTERNAL;
    if (input->source->row->batch != NULL) return read_items(input, v, &r, &common, ret_answer);
    enum verdict verdict = one_event(input, &common, input->request->body, ret_answer);
    return verdict != VERDICT_ACCEPT ? verdict : event_fill(input, v, &r, ret_answer->events, &ret_answer->reason);
}

/* POST / */

static enum verdict root_refuse(struct provider_answer *ret_answer, enum verdict verdict, const char *reason) {
    ret_answer->reason = str_from(reason);
    return verdict;
}

/* At the server the key must be signed (iam.c sees to it), at the function URL IAM and TLS stand for that; a direct
 * invoke has none. A comma may be two keys that the function URL has joined. */
static enum verdict idempotency_key(const struct provider_input *input, struct str *ret_key,
                                    struct provider_answer *ret_answer) {
    if (input->iam_door == IAM_DOOR_INVOKE) return VERDICT_ACCEPT;
    struct str key = STR_NONE;
    uint32_t count = request_header(input->request, STR("idempotency-key"), &key);
    if (count == 0) return VERDICT_ACCEPT;
    if (count > 1 || str_has(key, ','))
        return root_refuse(ret_answer, VERDICT_FORBIDDEN, "header idempotency-key holds more than one key");
    if (key.len == 0 || str_has_control(key))
        return root_refuse(ret_answer, VERDICT_FORBIDDEN, "header idempotency-key is empty or no text");
    const struct place_value value = {.text = key, .raw = key, .sound = true};
    return clean_text(input->arena, &value, EVENT_KEY_SIZE_MAX, ret_key) ? VERDICT_ACCEPT : VERDICT_INTERNAL;
}

/* RFC 8259 §6 without fraction and exponent. */
static bool is_integer(struct str number) {
    for (size_t i = 0; i < number.len; i++)
        if ((number.ptr[i] < '0' || number.ptr[i] > '9') && !(i == 0 && number.ptr[i] == '-')) return false;
    return true;
}

static enum verdict root_transaction(const struct provider_input *input, const struct json_value *value,
                                     struct str *ret_id, struct provider_answer *ret_answer) {
    if (value->type == JSON_TYPE_NONE)
        return root_refuse(ret_answer, VERDICT_MISSING_TRANSACTION, "the body has no transactionId");
    struct str id = value->raw;
    bool text = value->type == JSON_TYPE_NUMBER && is_integer(id);
    if (value->type == JSON_TYPE_STRING) {
        bool full = false;
        text = json_string_decode(value->raw, input->arena, &id, &full);
        if (full) return VERDICT_INTERNAL;
    }
    if (!text || id.len == 0 || id.ptr[0] == '~' || !is_clean(id, TRANSACTION_ID_SIZE_MAX))
        return root_refuse(ret_answer, VERDICT_INVALID_TRANSACTION,
                           "transactionId is no text or integer that can be kept");
    *ret_id = id;
    return VERDICT_ACCEPT;
}

enum verdict batch_read_root(const struct provider_input *input, const struct verification *v,
                             struct provider_answer *ret_answer) {
    struct str key = STR_NONE, id, hex;
    enum verdict verdict = idempotency_key(input, &key, ret_answer);
    if (verdict != VERDICT_ACCEPT) return verdict;

    struct json_pointer root, path;
    bool good = json_pointer_compile(STR(""), &root) && json_pointer_compile(STR("/transactionId"), &path);
    check(good);
    const struct json_pointer *pointers[] = {&root, &path};
    struct json_value found[2];
    enum json_result json = json_scan(input->request->body, pointers, 2, found);
    if (json != JSON_OK) return root_refuse(ret_answer, VERDICT_INVALID_JSON, json_result_text(json));
    if (found[0].type != JSON_TYPE_OBJECT)
        return root_refuse(ret_answer, VERDICT_INVALID_JSON, "the body is no JSON object");
    verdict = root_transaction(input, &found[1], &id, ret_answer);
    if (verdict != VERDICT_ACCEPT) return verdict;

    struct reading r;
    struct event common;
    reading_make(input, v, &r);
    if (!event_common(input, v, &r, &common)) return VERDICT_INTERNAL;
    verdict = one_event(input, &common, input->request->body, ret_answer);
    if (verdict != VERDICT_ACCEPT) return verdict;
    struct event *event = ret_answer->events;
    if (!digests_fill(input->arena, event, event->payload, &hex)) return VERDICT_INTERNAL;
    event->transaction_id = id;
    event->event_key = key.ptr != NULL ? key : hex;
    event->bytes_must_match = key.ptr != NULL;
    return VERDICT_ACCEPT;
}
