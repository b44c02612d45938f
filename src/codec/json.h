/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of webhooks (RFC 8259): one strict pass without allocation that validates the whole text and gives raw slices by
 * JSON Pointer (RFC 6901). Numbers stay their literal text. It does not build trees; those are jansson's business, off
 * the hot path. */
#ifndef PAYHOOK_CODEC_JSON_H
#define PAYHOOK_CODEC_JSON_H

#include "base/arena.h"
#include "base/limits.h"

enum json_type {
    JSON_TYPE_NONE,
    JSON_TYPE_NULL,
    JSON_TYPE_BOOL,
    JSON_TYPE_NUMBER,
    JSON_TYPE_STRING,
    JSON_TYPE_OBJECT,
    JSON_TYPE_ARRAY
};

/* raw: the exact bytes of the value, a string's quotes included, no blanks around. */
struct json_value {
    enum json_type type;
    struct str raw;
};

/* A pointer compiled once, at configuration. Owns its text. */
struct json_pointer {
    uint32_t segment_count;
    struct {
        uint16_t start, size;
    } segments[JSON_POINTER_SEGMENTS_MAX]; /* unescaped (~0 ~1), in text */
    char text[JSON_POINTER_SIZE_MAX];
};
/* False where it is no pointer (RFC 6901 §3), not UTF-8, or beyond our bounds. "" is the whole document. */
bool json_pointer_compile(struct str text, struct json_pointer *ret_pointer);

/* The first problem that a reader from left to right meets. A name is a duplicate at its closing quote, a container too
 * deep at its opening bracket. Bytes beyond ASCII outside a string are JSON_INVALID. */
enum json_result {
    JSON_OK,
    JSON_INVALID,   /* not JSON: syntax, a BOM, NaN, a control character, bytes after the value, an empty text */
    JSON_NOT_UTF8,  /* a string with bytes that are not UTF-8 (overlong forms, surrogates and > U+10FFFF among them) */
    JSON_TOO_DEEP,  /* nested more than JSON_DEPTH_MAX, empty containers included */
    JSON_DUPLICATE, /* a member name twice in an object that lies on a path we read, and is a step of that path */
};
const char *json_result_text(enum json_result result); /* "not JSON", "not UTF-8", … */

/* Validates all of text and finds count (<= JSON_POINTERS_MAX) pointers: ret_values[i].type is JSON_TYPE_NONE where
 * nothing is there. Names compare after unescaping, byte by byte. In an array a segment is an index without leading
 * zeros. Unpaired surrogate escapes are JSON (RFC 8259 §8.2) and pass; json_string_decode tells. Raw slices point into
 * text. On anything but JSON_OK the outputs are unspecified. */
enum json_result json_scan(struct str text, const struct json_pointer *const *pointers, size_t count,
                           struct json_value *ret_values);

/* Of a value that json_scan has accepted: its items one by one. *position is 0 at first and belongs to these functions.
 * False at the end, and at once where the value is no array (no object); all outputs then stay as they were. */
bool json_array_next(struct str array, size_t *position, struct json_value *ret_item);
bool json_object_next(struct str object, size_t *position, struct json_value *ret_name, struct json_value *ret_value);

/* A string value without quotes and escapes. Without an escape it is a slice of raw; else a copy in the arena. It may
 * hold any character, U+0000 too. False where an unpaired surrogate makes it no text, or the arena is full; *ret_full,
 * always set, tells which. */
bool json_string_decode(struct str raw, struct arena *arena, struct str *ret_text, bool *ret_full);

/* Writes text as a JSON string with its quotes, as Python's json.dumps does: short escapes where there are any, else
 * \u00xx for controls; ascii: also DEL and everything beyond ASCII as \uxxxx, in surrogate pairs. text should be UTF-8:
 * a byte that is not is written as U+FFFD, escaped, so that JSON comes out in any case. */
void json_write_string(struct writer *w, struct str text, bool ascii);
/* True where all of s is UTF-8 (RFC 3629). */
bool json_is_utf8(struct str s);

#endif
