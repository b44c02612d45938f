/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of bytes that came from outside, and a writer with a sticky overflow flag.
 * A slice owns nothing and holds any byte; NUL ends a string only at the system call. */
#ifndef PAYHOOK_BASE_STR_H
#define PAYHOOK_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ptr NULL means "there is none", which is not the same as an empty text. */
struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){.ptr = "" literal, .len = sizeof(literal) - 1})
#define STR_NONE     ((struct str){.ptr = NULL, .len = 0})
/* For printf: "%.*s", STR_ARG(s). Only where the bytes are known to be harmless. */
#define STR_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct str str_make(const char *ptr, size_t len) { return (struct str){ptr, len}; }
static inline struct str str_from(const char *text) { return (struct str){text, text ? strlen(text) : 0}; }
static inline bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
/* The bytes from index from on; from may not be past the end. */
static inline struct str str_from_index(struct str s, size_t from) { return (struct str){s.ptr + from, s.len - from}; }

bool str_ends(struct str s, struct str suffix);
/* ASCII letters alike, all other bytes exact. */
bool str_eq_nocase(struct str a, struct str b);
/* Orders bytes as memcmp, the shorter first where one begins the other. <0, 0, >0. */
int str_order(struct str a, struct str b);
/* Cuts at the first separator; false (outputs untouched) where there is none. */
bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail);
/* Without blanks and tabs at both ends (RFC 9110 §5.6.3, OWS). */
struct str str_trim(struct str s);
bool str_has(struct str s, char c);
/* Decimal digits only, no sign, no blank, at least one digit, at most max. Leading zeros are accepted. */
bool str_u64(struct str s, uint64_t max, uint64_t *ret_value);
/* A byte below 0x20 or 0x7f. */
bool str_has_control(struct str s);

/* Appends to memory of fixed size. What does not fit sets overflow and is dropped; look once, at the end.
 * Nothing is NUL-terminated unless writer_cstr asks for it. */
struct writer {
    char *ptr;
    size_t size;
    size_t len;
    bool overflow;
};

static inline struct writer writer_make(void *memory, size_t size) {
    return (struct writer){.ptr = memory, .size = size, .len = 0, .overflow = false};
}
static inline struct str writer_str(const struct writer *w) { return (struct str){w->ptr, w->len}; }
void writer_put(struct writer *w, struct str s);
void writer_char(struct writer *w, char c);
void writer_u64(struct writer *w, uint64_t value);
void writer_i64(struct writer *w, int64_t value);
void writer_format(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As written to one line of a log or terminal: control characters, those that turn the text around them, quotes,
 * backslashes and bytes that are not UTF-8 become \xNN; other UTF-8 passes. */
void writer_escaped(struct writer *w, struct str s);
/* Adds a NUL (not counted in len) and returns the text; "" when not even that fits. An overflow is cut off. */
const char *writer_cstr(struct writer *w);

#endif
