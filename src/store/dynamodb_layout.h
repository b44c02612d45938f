/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the items of a table, and which events go where. What each item holds stands in dynamodb.c. */
#ifndef PAYHOOK_STORE_DYNAMODB_LAYOUT_H
#define PAYHOOK_STORE_DYNAMODB_LAYOUT_H

#include "base/limits.h"
#include "event/event.h"

enum {
    DYNAMODB_KEY_SIZE_MAX = 2048, /* bytes, the service's own */
    DYNAMODB_HASH_SIZE = 32,      /* characters: 16 bytes in hex */
    DYNAMODB_MARK_SIZE = 320,     /* bytes each event counts against its head at least */
};

/* A key in memory of its own. */
struct dynamodb_key {
    char text[DYNAMODB_KEY_SIZE_MAX];
    size_t len;
};
static inline struct str dynamodb_key_str(const struct dynamodb_key *key) { return str_make(key->text, key->len); }

/* The first 16 bytes of a SHA-256, in hex: of a head's key, of an event key. */
struct dynamodb_hash {
    char text[DYNAMODB_HASH_SIZE];
};
static inline struct str dynamodb_hash_str(const struct dynamodb_hash *hash) {
    return str_make(hash->text, sizeof hash->text);
}
struct dynamodb_hash dynamodb_hash_of(struct str bytes);

/* The head of a transaction. Every (source, transaction_id) has one key, and every key at most one of them. */
void dynamodb_head_key(struct str source, struct str transaction_id, struct dynamodb_key *ret_key);
/* The way back. False where the key is none of a transaction. The slices point into key, or into memory. */
bool dynamodb_head_read(struct str key, char memory[TRANSACTION_ID_SIZE_MAX], struct str *ret_source,
                        struct str *ret_transaction_id);

/* Items that are ours alone: "~~" in front. head: the hash of the head's key. */
void dynamodb_event_key(struct dynamodb_hash head, struct dynamodb_hash event, struct dynamodb_key *ret_key);
void dynamodb_part_key(struct dynamodb_hash head, struct dynamodb_hash event, unsigned part,
                       struct dynamodb_key *ret_key);
void dynamodb_page_key(struct dynamodb_hash head, uint64_t page, struct dynamodb_key *ret_key);
void dynamodb_body_key(const uint8_t sha256[32], unsigned part, struct dynamodb_key *ret_key);
void dynamodb_content_key(struct str source, const uint8_t sha256[32], struct dynamodb_key *ret_key);

/* UTF-8 without NUL: kept as a string; anything else as bytes. */
bool dynamodb_is_text(struct str bytes);
/* How many parts a body is kept in; 0: it stands beside its event. */
unsigned dynamodb_parts(struct str body);
struct str dynamodb_part(struct str body, unsigned part);
/* About the bytes an event takes within a head. */
size_t dynamodb_inline_size(const struct event *event);

/* One entry of an order: an event's hash and when it was received. */
enum { DYNAMODB_ENTRY_SIZE_MAX = DYNAMODB_HASH_SIZE + 1 + 20 };
struct dynamodb_entry {
    struct dynamodb_hash hash;
    int64_t received_us;
};
void dynamodb_entry_write(struct writer *w, const struct dynamodb_entry *entry);
bool dynamodb_entry_read(struct str text, struct dynamodb_entry *ret_entry);

#endif
