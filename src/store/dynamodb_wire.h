/* SPDX-License-Identifier: Apache-2.0 */
/* DynamoDB's JSON: written piece by piece, read as a tree. The one file of the store that names jansson. */
#ifndef PAYHOOK_STORE_DYNAMODB_WIRE_H
#define PAYHOOK_STORE_DYNAMODB_WIRE_H

#include "base/arena.h"
#include "event/event.h"

#include <stdint.h>

/* ---- writing: memory that grows. The first failure (no memory) stays, looked at once, at the end. ---- */

struct wire {
    char *ptr;
    size_t len, size;
    bool failed;
};
void wire_done(struct wire *wire);
static inline struct str wire_str(const struct wire *wire) { return str_make(wire->ptr, wire->len); }
void wire_put(struct wire *wire, struct str json);
/* A comma where one is needed: not at the beginning, nor behind "{", "[" or ":". */
void wire_comma(struct wire *wire);
void wire_string(struct wire *wire, struct str text);
/* "name": with the comma before it; a value must follow. */
void wire_name(struct wire *wire, struct str name);
/* Attributes: "name":{"S":…}, or {"B":…} where it is no text; {"B":…}; {"N":…}; nothing where there is none. */
void wire_text(struct wire *wire, struct str name, struct str value);
void wire_optional(struct wire *wire, struct str name, struct str value);
void wire_bytes(struct wire *wire, struct str name, struct str value);
void wire_number(struct wire *wire, struct str name, int64_t value);

/* ---- reading ---- */

struct json_t;

/* NULL where it is no JSON object. The caller lets it go. */
struct json_t *wire_parse(struct str text);
struct json_t *wire_hold(struct json_t *json);
/* Accepts NULL. */
void wire_free(struct json_t *json);

/* A member that is an object; NULL where there is none. Held by its parent. */
struct json_t *wire_object(const struct json_t *object, const char *name);
struct json_t *wire_array(const struct json_t *object, const char *name);
size_t wire_count(const struct json_t *array);
struct json_t *wire_at(const struct json_t *array, size_t index);
/* A member that is a string, STR_NONE where there is none. */
struct str wire_member(const struct json_t *object, const char *name);

/* Of an item (an object of attributes): a string or bytes; STR_NONE where there is none. Bytes are decoded into the
 * arena; *ret_bad is set where they are none, or do not fit. */
struct str wire_attribute(const struct json_t *item, const char *name, struct arena *arena, bool *ret_bad);
/* A whole number; false where there is none. */
bool wire_integer(const struct json_t *item, const char *name, int64_t *ret_value);
/* The list of an attribute, NULL where there is none; and the string at an index of it. */
struct json_t *wire_list(const struct json_t *item, const char *name);
struct str wire_list_text(const struct json_t *list, size_t index);
/* The map of an attribute: an item within the item. */
struct json_t *wire_map(const struct json_t *item, const char *name);
bool wire_has(const struct json_t *item, const char *name);
/* A value as it stands there, written into a request again. */
void wire_again(struct wire *wire, const struct json_t *object, const char *name);

#endif
