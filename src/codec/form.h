/* SPDX-License-Identifier: Apache-2.0 */
/* Name=value pairs joined by "&": the query of a target and application/x-www-form-urlencoded bodies. */
#ifndef PAYHOOK_CODEC_FORM_H
#define PAYHOOK_CODEC_FORM_H

#include "base/arena.h"

struct form_pair {
    struct str name, value; /* raw, still percent-encoded; value ptr NULL where there was no "=" */
};
/* The next pair; *position 0 at first; false at the end. Empty pairs ("a&&b") are passed over. */
bool form_next(struct str form, size_t *position, struct form_pair *ret_pair);
/* How many pairs decode to this name; ret_value is the first one's, decoded into the arena ("+" is a blank), untouched
 * where there is none. *ret_bad is set true where the value of a pair of that name cannot be decoded or the arena is
 * full, and left alone otherwise. */
uint32_t form_find(struct str form, struct str name, struct arena *arena, struct str *ret_value, bool *ret_bad);

#endif
