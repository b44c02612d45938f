/* SPDX-License-Identifier: Apache-2.0 */
/* Slices and the sticky writer. Nothing here allocates. */
#include "base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c; }

bool str_ends(struct str s, struct str suffix) {
    return s.len >= suffix.len && (suffix.len == 0 || str_eq(str_from_index(s, s.len - suffix.len), suffix));
}

bool str_eq_nocase(struct str a, struct str b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i])) return false;
    return true;
}

int str_order(struct str a, struct str b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);
    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail) {
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, separator, s.len);
    if (at == NULL) return false;
    size_t head = (size_t)(at - s.ptr);
    *ret_head = str_make(s.ptr, head);
    *ret_tail = str_from_index(s, head + 1);
    return true;
}

struct str str_trim(struct str s) {
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = str_from_index(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool str_has(struct str s, char c) { return s.len > 0 && memchr(s.ptr, c, s.len) != NULL; }

bool str_u64(struct str s, uint64_t max, uint64_t *ret_value) {
    if (s.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (digit > max || value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool str_has_control(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7f) return true;
    }
    return false;
}

void writer_put(struct writer *w, struct str s) {
    if (s.len > w->size - w->len) {
        w->overflow = true;
        return;
    }
    if (s.len > 0) memcpy(w->ptr + w->len, s.ptr, s.len);
    w->len += s.len;
}

void writer_char(struct writer *w, char c) { writer_put(w, str_make(&c, 1)); }

void writer_u64(struct writer *w, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    writer_put(w, str_make(digits + at, sizeof digits - at));
}

void writer_i64(struct writer *w, int64_t value) {
    if (value < 0) writer_char(w, '-');
    writer_u64(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void writer_format(struct writer *w, const char *format, ...) {
    char text[2048]; /* sentences and names; what is longer counts as overflow */
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text) {
        w->overflow = true;
        return;
    }
    writer_put(w, str_make(text, (size_t)size));
}

/* The bytes of the UTF-8 character at the beginning of s, or 0 (RFC 3629 §4). */
static size_t utf8_size(struct str s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t size = p[0] < 0x80                    ? 1
                  : p[0] >= 0xc2 && p[0] <= 0xdf ? 2
                  : (p[0] & 0xf0) == 0xe0        ? 3
                  : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || s.len < size) return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (size == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))) return 0;
    if (size == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))) return 0;
    return size;
}

/* A character that moves a terminal or turns the text around it, though it is no ASCII control: C1 controls (U+0080 to
 * U+009F), line and paragraph separators (U+2028, U+2029), bidirectional embeddings and isolates (U+202A to U+202E,
 * U+2066 to U+2069). */
static bool moves_text(struct str character) {
    const unsigned char *p = (const unsigned char *)character.ptr;
    if (character.len == 2) return p[0] == 0xc2 && p[1] < 0xa0;
    if (character.len != 3 || p[0] != 0xe2) return false;
    return (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void writer_escaped(struct writer *w, struct str s) {
    static const char hex[] = "0123456789abcdef";
    while (s.len > 0) {
        unsigned char c = (unsigned char)s.ptr[0];
        size_t size = utf8_size(s);
        bool control = c < 0x20 || c == 0x7f || c == '"' || c == '\\' || moves_text(str_make(s.ptr, size));
        if (size > 0 && !control) {
            writer_put(w, str_make(s.ptr, size));
        } else {
            size = size == 0 ? 1 : size;
            for (size_t i = 0; i < size; i++) {
                unsigned char byte = (unsigned char)s.ptr[i];
                char escape[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
                writer_put(w, str_make(escape, sizeof escape));
            }
        }
        s = str_from_index(s, size);
    }
}

const char *writer_cstr(struct writer *w) {
    if (w->size == 0) return "";
    size_t end = w->len < w->size ? w->len : w->size - 1;
    w->ptr[end] = '\0';
    return w->ptr;
}
