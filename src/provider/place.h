/* SPDX-License-Identifier: Apache-2.0 */
/* Places: where in a request an id, a type or a transaction stands, and reading them.
 *
 * A header or query parameter that is read here holds one value. Sent twice it is malformed, and so is a header with a
 * comma: a function URL joins repeated headers so, and both doors must give one answer. */
#ifndef PAYHOOK_PROVIDER_PLACE_H
#define PAYHOOK_PROVIDER_PLACE_H

#include "provider/provider.h"

/* "json:/data/id|header:x-event-id": alternatives joined by "|", the first that holds a value counts. Names are slices
 * of text. False: message (NULL: nobody asks) says in a sentence what is wrong; ret_list is then unspecified. */
bool place_list_parse(struct str text, struct place_list *ret_list, struct writer *message);
/* True where the list has places and all are of this kind. */
bool place_list_all(const struct place_list *list, enum place_kind kind);
/* A field name (RFC 9110 §5.1): one token. */
bool place_is_header_name(struct str name);

/* What stands at a place. */
struct place_value {
    struct str text; /* decoded; a number is its literal text; ptr NULL: there is nothing */
    struct str raw;  /* the bytes as written; of a JSON string those between the quotes */
    bool sound;      /* false: raw holds an unpaired surrogate and text is raw */
};

enum place_result {
    PLACE_READ,  /* also where nothing is there */
    PLACE_TWICE, /* a header or parameter that is not one value */
    PLACE_FULL,  /* the arena is full */
};

/* Adds the list's JSON pointers, in order, to an array of JSON_POINTERS_MAX for json_scan. */
void place_list_pointers(const struct place_list *list, const struct json_pointer **pointers, size_t *count);
/* Reads one place. value: what json_scan found, for PLACE_JSON only. */
enum place_result place_read(const struct place *place, const struct json_value *value,
                             const struct http_request *request, struct arena *arena, struct place_value *ret_value);
/* The first of the list that holds a non-empty string or a number. values: those of its own JSON places, in order. */
enum place_result place_list_read(const struct place_list *list, const struct json_value *values,
                                  const struct http_request *request, struct arena *arena,
                                  struct place_value *ret_value);

#endif
