/* SPDX-License-Identifier: Apache-2.0 */
/* An event as attributes, in a head's map or in an item of its own, and the way back. Texts are strings where they are
 * UTF-8 without NUL, else bytes, under the same name, so that a person reads what can be read and nothing is changed.
 *
 * An item without our counter is the older handler's: six attributes, the body printed again by its JSON library, no
 * event key. It becomes an event whose key is the digest of that body, as POST / has it without an idempotency-key. */
#include "store/dynamodb_record.h"

#include "base/err.h"
#include "codec/digest.h"
#include "codec/text.h"
#include "store/backend.h"

static struct str str_of_digest(const uint8_t *digest) { return str_make((const char *)digest, 32); }

unsigned dynamodb_body_parts(struct str body) {
    return body.len == 0 ? 1 : (unsigned)((body.len + DYNAMODB_PART_SIZE - 1) / DYNAMODB_PART_SIZE);
}

static void list_key(struct wire *wire, const struct dynamodb_key *key) {
    wire_comma(wire);
    wire_put(wire, STR("{\"S\":"));
    wire_string(wire, dynamodb_key_str(key));
    wire_put(wire, STR("}"));
}

static void part_keys(struct wire *wire, struct str payload, struct dynamodb_hash head, struct dynamodb_hash event) {
    struct dynamodb_key key;
    wire_put(wire, STR("{\"L\":["));
    for (unsigned i = 0; i < dynamodb_parts(payload); i++) {
        dynamodb_part_key(head, event, i, &key);
        list_key(wire, &key);
    }
    wire_put(wire, STR("]}"));
}

void dynamodb_record_write(struct wire *wire, const struct dynamodb_put *put, struct dynamodb_hash head) {
    const struct event *event = put->event;
    wire_text(wire, STR("eventKey"), event->event_key);
    wire_optional(wire, STR("eventId"), event->event_id);
    wire_optional(wire, STR("eventType"), event->event_type);
    wire_optional(wire, STR("unreadable"), event->unreadable);
    wire_optional(wire, STR("repeats"), put->repeats);
    wire_number(wire, STR("receivedUs"), event->received_us);
    wire_text(wire, STR("environment"), event->environment);
    wire_text(wire, STR("processedBy"), event->processed_by);
    wire_text(wire, STR("method"), event->method);
    wire_text(wire, STR("target"), event->target);
    wire_text(wire, STR("headers"), event->headers);
    if (event->matched_secret >= 0) wire_number(wire, STR("matchedSecret"), event->matched_secret);
    wire_text(wire, STR("authenticated"), str_from(authenticated_word(event->authenticated)));
    wire_bytes(wire, STR("payloadSha256"), str_of_digest(event->payload_sha256));
    wire_text(wire, STR("delivery"), str_make(put->delivery, sizeof put->delivery));
    if (dynamodb_parts(event->payload) == 0) {
        wire_text(wire, STR("payload"), event->payload);
    } else {
        wire_name(wire, STR("payloadAt"));
        part_keys(wire, event->payload, head, put->hash);
    }
    if (put->body.ptr == NULL) return;
    if (!put->body_apart) {
        wire_text(wire, STR("requestBody"), put->body);
        return;
    }
    struct dynamodb_key key;
    wire_name(wire, STR("requestBodyAt"));
    wire_put(wire, STR("{\"L\":["));
    for (unsigned i = 0; i < dynamodb_body_parts(put->body); i++) {
        dynamodb_body_key(put->body_sha256, i, &key);
        list_key(wire, &key);
    }
    wire_put(wire, STR("]}"));
}

void dynamodb_mark_write(struct wire *wire, const struct dynamodb_put *put) {
    wire_bytes(wire, STR("payloadSha256"), str_of_digest(put->event->payload_sha256));
    wire_text(wire, STR("delivery"), str_make(put->delivery, sizeof put->delivery));
}

bool dynamodb_is_whole(const struct json_t *item) { return wire_has(item, "receivedUs"); }

struct dynamodb_name dynamodb_event_name(struct dynamodb_hash event) {
    struct dynamodb_name name = {{0}};
    struct writer w = writer_make(name.text, sizeof name.text);
    writer_put(&w, STR("event-"));
    writer_put(&w, dynamodb_hash_str(&event));
    (void)writer_cstr(&w);
    check(!w.overflow);
    return name;
}

struct str dynamodb_payload_name(struct str payload) {
    if (dynamodb_parts(payload) > 0) return STR("payloadAt");
    return dynamodb_is_text(payload) ? STR("payload") : STR("payloadBase64");
}

void dynamodb_payload_write(struct wire *wire, struct str payload, struct dynamodb_hash head,
                            struct dynamodb_hash event) {
    if (dynamodb_parts(payload) > 0) {
        part_keys(wire, payload, head, event);
        return;
    }
    wire_put(wire, STR("{\"S\":"));
    if (dynamodb_is_text(payload)) {
        wire_string(wire, payload);
    } else {
        char memory[DYNAMODB_TEXT_SIZE_MAX / 3 * 4 + 8];
        struct writer w = writer_make(memory, sizeof memory);
        text_base64_write(&w, payload.ptr, payload.len);
        check(!w.overflow);
        wire_string(wire, writer_str(&w));
    }
    wire_put(wire, STR("}"));
}

/* ---- the way back ---- */

static struct str needed(const struct json_t *item, const char *name, struct arena *arena, bool *ret_bad) {
    struct str text = wire_attribute(item, name, arena, ret_bad);
    if (text.ptr != NULL) return text;
    *ret_bad = true;
    return STR("");
}

void dynamodb_record_read(const struct json_t *item, struct arena *arena, struct dynamodb_read *ret_read) {
    struct event *event = &ret_read->event;
    bool *bad = &ret_read->bad;
    event->event_key = needed(item, "eventKey", arena, bad);
    event->event_id = wire_attribute(item, "eventId", arena, bad);
    event->event_type = wire_attribute(item, "eventType", arena, bad);
    event->unreadable = wire_attribute(item, "unreadable", arena, bad);
    ret_read->repeats = wire_attribute(item, "repeats", arena, bad);
    if (!wire_integer(item, "receivedUs", &event->received_us)) *bad = true;
    event->environment = needed(item, "environment", arena, bad);
    event->processed_by = needed(item, "processedBy", arena, bad);
    event->method = needed(item, "method", arena, bad);
    event->target = needed(item, "target", arena, bad);
    event->headers = needed(item, "headers", arena, bad);
    int64_t matched = -1;
    if (wire_has(item, "matchedSecret") &&
        (!wire_integer(item, "matchedSecret", &matched) || matched < 0 || matched > INT32_MAX))
        *bad = true;
    event->matched_secret = *bad ? -1 : (int32_t)matched;
    if (!authenticated_read(needed(item, "authenticated", arena, bad), &event->authenticated)) *bad = true;
    struct str sha256 = needed(item, "payloadSha256", arena, bad);
    if (sha256.len == sizeof event->payload_sha256)
        memcpy(event->payload_sha256, sha256.ptr, sizeof event->payload_sha256);
    else
        *bad = true;
    ret_read->payload_at = wire_list(item, "payloadAt");
    event->payload = ret_read->payload_at != NULL ? STR("") : needed(item, "payload", arena, bad);
    ret_read->body_at = wire_list(item, "requestBodyAt");
    event->request_body = ret_read->body_at != NULL ? STR_NONE : wire_attribute(item, "requestBody", arena, bad);
}

bool dynamodb_is_foreign(const struct json_t *head) { return !wire_has(head, "eventCount"); }

/* Python's isoformat: "2026-11-23T19:08:50.123456", the fraction left out where it is zero. */
static bool read_time(struct str text, int64_t *ret_us) {
    static const char form[] = "....-..-..T..:..:..";
    char stamp[16];
    size_t len = 0;
    if (text.len < sizeof form - 1) return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == '.' || form[i] == 'T')
            stamp[len++] = text.ptr[i];
        else if (text.ptr[i] != form[i])
            return false;
    }
    stamp[len++] = 'Z';
    check(len == sizeof stamp);
    int64_t seconds;
    if (!text_amz_date_read(str_make(stamp, len), &seconds)) return false;
    struct str fraction = str_from_index(text, sizeof form - 1);
    uint64_t us = 0;
    if (fraction.len > 0 &&
        (fraction.len != 7 || fraction.ptr[0] != '.' || !str_u64(str_from_index(fraction, 1), 999999, &us)))
        return false;
    *ret_us = seconds * 1000000 + (int64_t)us;
    return true;
}

void dynamodb_foreign_read(const struct json_t *head, struct arena *arena, struct event *ret_event) {
    bool odd = false; /* whatever it is, it is kept */
    struct event *event = ret_event;
    event->payload = wire_attribute(head, "payload", arena, &odd);
    if (event->payload.ptr == NULL) {
        struct wire wire = {0};
        if (wire_has(head, "payload")) wire_again(&wire, head, "payload");
        if (wire.len > 0) event->payload = arena_copy(arena, wire_str(&wire));
        if (event->payload.ptr == NULL) event->payload = STR("");
        event->unreadable = STR("an older program left no body as text");
        wire_done(&wire);
    }
    event->environment = wire_attribute(head, "environment", arena, &odd);
    if (event->environment.ptr == NULL) event->environment = STR("");
    event->processed_by = wire_attribute(head, "processedBy", arena, &odd);
    if (event->processed_by.ptr == NULL) event->processed_by = STR("");
    event->headers = event->method = event->target = STR("");
    event->matched_secret = -1;
    event->authenticated = AUTHENTICATED_NONE;
    int64_t seconds = 0;
    (void)wire_integer(head, "timestamp", &seconds); /* else 1970 */
    if (seconds > INT64_MAX / 1000000 || seconds < INT64_MIN / 1000000) seconds = 0;
    event->received_us = seconds * 1000000;
    struct str received_at = wire_attribute(head, "receivedAt", arena, &odd);
    if (received_at.ptr != NULL) (void)read_time(received_at, &event->received_us); /* else the whole second */
    digest_sha256(event->payload, event->payload_sha256);
    char hex[64];
    struct writer w = writer_make(hex, sizeof hex);
    text_hex_write(&w, event->payload_sha256, sizeof event->payload_sha256);
    event->event_key = arena_copy(arena, writer_str(&w));
    check(event->event_key.ptr != NULL); /* the arena has room for it besides the item's bytes */
}
