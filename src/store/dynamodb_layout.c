/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are computed from what they stand for, so that whoever knows a transaction finds all of it by GetItem, and a
 * writer needs no reading. Where an id could be long or hold any byte, its hash stands for it.
 *
 * It knows no wire form and no service. */
#include "store/dynamodb_layout.h"

#include "base/err.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/text.h"

static_assert((int)DYNAMODB_OPEN_SIZE_MAX / DYNAMODB_MARK_SIZE + 2 < (int)DYNAMODB_ORDER_MAX,
              "an open head has room in its order");
static_assert((int)DYNAMODB_INLINE_SIZE_MAX > (int)DYNAMODB_MARK_SIZE, "some events stand in a head");
static_assert(DYNAMODB_PART_SIZE < 400 * 1000, "a part is an item");
static_assert(DYNAMODB_BODY_SIZE_MAX >= BODY_SIZE_MAX, "what is allowed by default can be stored");

struct dynamodb_hash dynamodb_hash_of(struct str bytes) {
    uint8_t sha256[32];
    digest_sha256(bytes, sha256);
    struct dynamodb_hash hash = {{0}};
    struct writer w = writer_make(hash.text, sizeof hash.text);
    text_hex_write(&w, sha256, DYNAMODB_HASH_SIZE / 2);
    check(!w.overflow);
    return hash;
}

static struct writer begin(struct dynamodb_key *key) { return writer_make(key->text, sizeof key->text); }
static void end(struct dynamodb_key *key, const struct writer *w) {
    check(!w->overflow);
    key->len = w->len;
}

bool dynamodb_is_text(struct str bytes) {
    return bytes.len == 0 || (memchr(bytes.ptr, '\0', bytes.len) == NULL && json_is_utf8(bytes));
}

/* An id that a key cannot hold as it is: no text, or with a first character that means something in a key. */
static bool is_awkward(struct str transaction_id, bool built_in) {
    if (!dynamodb_is_text(transaction_id)) return true;
    char first = transaction_id.len > 0 ? transaction_id.ptr[0] : '/';
    return first == (built_in ? '~' : '/');
}

void dynamodb_head_key(struct str source, struct str transaction_id, struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    bool built_in = str_eq(source, SOURCE_DEFAULT);
    bool awkward = is_awkward(transaction_id, built_in);
    if (!built_in || awkward) {
        writer_char(&w, '~');
        writer_put(&w, source);
        writer_char(&w, '/');
    }
    if (awkward) {
        writer_char(&w, '/');
        text_base64_write(&w, transaction_id.ptr, transaction_id.len);
    } else {
        writer_put(&w, transaction_id);
    }
    end(ret_key, &w);
}

bool dynamodb_head_read(struct str key, char memory[TRANSACTION_ID_SIZE_MAX], struct str *ret_source,
                        struct str *ret_transaction_id) {
    struct str source, id;
    if (key.len == 0 || str_starts(key, STR("~~"))) return false;
    if (key.ptr[0] != '~') {
        *ret_source = SOURCE_DEFAULT;
        *ret_transaction_id = key;
        return true;
    }
    if (!str_cut(str_from_index(key, 1), '/', &source, &id) || source.len == 0 || id.len == 0) return false;
    if (id.ptr[0] == '/') {
        size_t size;
        if (!text_base64_read(str_from_index(id, 1), (uint8_t *)memory, TRANSACTION_ID_SIZE_MAX, &size)) return false;
        id = str_make(memory, size);
        if (size == 0 || !is_awkward(id, str_eq(source, SOURCE_DEFAULT))) return false; /* it has another key */
    } else if (str_eq(source, SOURCE_DEFAULT)) {
        return false;
    }
    *ret_source = source;
    *ret_transaction_id = id;
    return true;
}

void dynamodb_event_key(struct dynamodb_hash head, struct dynamodb_hash event, struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    writer_put(&w, STR("~~event/"));
    writer_put(&w, dynamodb_hash_str(&head));
    writer_char(&w, '/');
    writer_put(&w, dynamodb_hash_str(&event));
    end(ret_key, &w);
}

void dynamodb_part_key(struct dynamodb_hash head, struct dynamodb_hash event, unsigned part,
                       struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    writer_put(&w, STR("~~part/"));
    writer_put(&w, dynamodb_hash_str(&head));
    writer_char(&w, '/');
    writer_put(&w, dynamodb_hash_str(&event));
    writer_char(&w, '/');
    writer_u64(&w, part);
    end(ret_key, &w);
}

void dynamodb_page_key(struct dynamodb_hash head, uint64_t page, struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    writer_put(&w, STR("~~order/"));
    writer_put(&w, dynamodb_hash_str(&head));
    writer_char(&w, '/');
    writer_u64(&w, page);
    end(ret_key, &w);
}

void dynamodb_body_key(const uint8_t sha256[32], unsigned part, struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    writer_put(&w, STR("~~body/"));
    text_hex_write(&w, sha256, 32);
    writer_char(&w, '/');
    writer_u64(&w, part);
    end(ret_key, &w);
}

void dynamodb_content_key(struct str source, const uint8_t sha256[32], struct dynamodb_key *ret_key) {
    struct writer w = begin(ret_key);
    writer_put(&w, STR("~~content/"));
    writer_put(&w, source);
    writer_char(&w, '/');
    text_hex_write(&w, sha256, 32);
    end(ret_key, &w);
}

unsigned dynamodb_parts(struct str body) {
    if (body.len <= DYNAMODB_TEXT_SIZE_MAX) return 0;
    return (unsigned)((body.len + DYNAMODB_PART_SIZE - 1) / DYNAMODB_PART_SIZE);
}

struct str dynamodb_part(struct str body, unsigned part) {
    size_t at = (size_t)part * DYNAMODB_PART_SIZE;
    check(at < body.len);
    size_t left = body.len - at;
    return str_make(body.ptr + at, left < DYNAMODB_PART_SIZE ? left : DYNAMODB_PART_SIZE);
}

size_t dynamodb_inline_size(const struct event *event) {
    /* Names and numbers are in the minimum. */
    return DYNAMODB_MARK_SIZE + event->event_key.len + event->event_id.len + event->event_type.len +
           event->unreadable.len + event->payload.len + event->headers.len + event->method.len + event->target.len +
           event->environment.len + event->processed_by.len;
}

void dynamodb_entry_write(struct writer *w, const struct dynamodb_entry *entry) {
    writer_put(w, dynamodb_hash_str(&entry->hash));
    writer_char(w, ' ');
    writer_i64(w, entry->received_us);
}

bool dynamodb_entry_read(struct str text, struct dynamodb_entry *ret_entry) {
    struct str hash, number;
    uint8_t bytes[DYNAMODB_HASH_SIZE / 2];
    uint64_t value;
    if (!str_cut(text, ' ', &hash, &number) || !text_hex_read(hash, TEXT_HEX_LOWER, bytes, sizeof bytes)) return false;
    bool negative = number.len > 0 && number.ptr[0] == '-';
    if (negative) number = str_from_index(number, 1);
    if (!str_u64(number, INT64_MAX, &value)) return false;
    memcpy(ret_entry->hash.text, hash.ptr, sizeof ret_entry->hash.text);
    ret_entry->received_us = negative ? -(int64_t)value : (int64_t)value;
    return true;
}
