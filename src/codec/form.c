/* SPDX-License-Identifier: Apache-2.0 */
/* Name=value pairs joined by "&" (WHATWG URL §5.1, application/x-www-form-urlencoded).
 *
 * Pairs are cut raw, so that a signature can be checked over what was sent; only form_find decodes. Names are compared
 * while they are decoded, which needs no memory. A name with a broken "%" equals nothing. */
#include "codec/form.h"

#include "codec/text.h"

bool form_next(struct str form, size_t *position, struct form_pair *ret_pair) {
    while (*position < form.len) {
        struct str pair = str_from_index(form, *position);
        const char *end = memchr(pair.ptr, '&', pair.len);
        if (end != NULL) pair.len = (size_t)(end - pair.ptr);
        *position += pair.len + (end != NULL);
        if (pair.len == 0) continue;

        *ret_pair = (struct form_pair){.name = pair, .value = STR_NONE};
        (void)str_cut(pair, '=', &ret_pair->name, &ret_pair->value); /* without "=" it is a name alone */
        return true;
    }
    return false;
}

/* Does this raw name decode to that one? */
static bool name_is(struct str raw, struct str name) {
    size_t at = 0;
    while (raw.len > 0) {
        size_t step = raw.ptr[0] == '%' ? 3 : 1;
        if (step > raw.len || at == name.len) return false;
        char decoded;
        struct writer w = writer_make(&decoded, 1);
        if (!text_percent_read(&w, str_make(raw.ptr, step), true) || decoded != name.ptr[at]) return false;
        at++;
        raw = str_from_index(raw, step);
    }
    return at == name.len;
}

uint32_t form_find(struct str form, struct str name, struct arena *arena, struct str *ret_value, bool *ret_bad) {
    uint32_t count = 0;
    size_t position = 0;
    struct form_pair pair;
    while (form_next(form, &position, &pair)) {
        if (!name_is(pair.name, name)) continue;
        struct arena scratch = *arena; /* only the first value stays */
        struct writer w = arena_writer(&scratch);
        bool decoded = text_percent_read(&w, pair.value, true);
        struct str value = arena_take(&scratch, &w);
        if (!decoded || value.ptr == NULL) {
            *ret_bad = true;
        } else if (count == 0) {
            *ret_value = value;
            *arena = scratch;
        }
        count++;
    }
    return count;
}
