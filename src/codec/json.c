/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader of webhooks. One loop goes over the text once, from left to right: "an item is due" reads a member's
 * name or counts an element, then its value; "an item has ended" reads commas and closing brackets. Open containers are
 * levels in an array of fixed size, so nothing recurses and nothing is allocated. Strings and blanks are passed eight
 * bytes at a time.
 *
 * Pointers are bits of a word. Every level knows which pointers lead into it (alive), so that a name is compared with
 * the segments of those only, and a container no pointer leads into is merely validated.
 *
 * It builds no tree, converts no number, and keeps no order of members. */
#include "codec/json.h"

#include "base/err.h"

#include <endian.h>

/* An open array or object. The item at levels[d] is named by segment d of a pointer. */
struct level {
    const uint8_t *start;
    uint64_t index;  /* arrays: of the element that is due */
    uint64_t next;   /* arrays: the smallest index >= index that an alive pointer names, UINT64_MAX where none does */
    uint32_t alive;  /* pointers that lead into this container */
    uint32_t seen;   /* of those, whose member name has been met */
    uint32_t target; /* pointers that name this container itself */
    uint8_t closer;  /* ']' or '}' */
};

static_assert(JSON_POINTERS_MAX <= 32, "a pointer is a bit of uint32_t");
static_assert(JSON_POINTER_SEGMENTS_MAX < JSON_DEPTH_MAX, "a pointer cannot lead deeper than we read");
static_assert(JSON_POINTER_SIZE_MAX <= UINT16_MAX, "a place in a pointer fits uint16_t");

/* A word with the same byte everywhere. */
#define WORD(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The byte at p becomes the lowest byte of the word. At least 8 bytes must be left. */
static inline uint64_t word_load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

/* How many whole bytes stand before the lowest bit that is set. */
static inline size_t word_first(uint64_t bits) { return (size_t)__builtin_ctzll(bits) / 8; }

/* Flags zero bytes by their high bit. A byte above a zero byte may be flagged wrongly; the lowest flag is right. */
static inline uint64_t word_zeros(uint64_t word) { return (word - WORD(1)) & ~word & WORD(0x80); }

/* Flags the bytes at which a run inside a string ends: quote, backslash, control, non-ASCII. The lowest flag is right:
 * a borrow comes only from a flagged byte, and bytes from 0x80 are flagged in any case. */
static inline uint64_t word_stops(uint64_t word) {
    uint64_t quotes = (word ^ WORD('"')) - WORD(1);
    uint64_t backslashes = (word ^ WORD('\\')) - WORD(1);
    uint64_t controls = word - WORD(0x20);
    return (quotes | backslashes | controls | word) & WORD(0x80);
}

static inline const uint8_t *bytes_of(struct str s) { return (const uint8_t *)s.ptr; }
static inline const uint8_t *end_of(struct str s) { return s.len > 0 ? bytes_of(s) + s.len : bytes_of(s); }
static inline struct str slice(const uint8_t *start, const uint8_t *end) {
    return str_make((const char *)start, (size_t)(end - start));
}

static inline bool byte_within(uint8_t c, uint8_t first, uint8_t last) { return c >= first && c <= last; }
static inline bool byte_is_digit(uint8_t c) { return byte_within(c, '0', '9'); }
static inline bool byte_is_hex(uint8_t c) { return byte_is_digit(c) || byte_within(c | 0x20, 'a', 'f'); }
static inline uint32_t hex_value(uint8_t c) { return byte_is_digit(c) ? c - (uint32_t)'0' : (c | 0x20u) - 'a' + 10u; }

/* The size of the character at p, 0 where its bytes are not UTF-8 (RFC 3629 §4). */
static size_t utf8_size(const uint8_t *p, const uint8_t *end) {
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];
    if (c < 0x80) return 1;
    if (byte_within(c, 0xc2, 0xdf)) return left >= 2 && byte_within(p[1], 0x80, 0xbf) ? 2 : 0;
    if (byte_within(c, 0xe0, 0xef)) {
        uint8_t first = c == 0xe0 ? 0xa0 : 0x80; /* below: an overlong form */
        uint8_t last = c == 0xed ? 0x9f : 0xbf;  /* above: a surrogate */
        return left >= 3 && byte_within(p[1], first, last) && byte_within(p[2], 0x80, 0xbf) ? 3 : 0;
    }
    if (byte_within(c, 0xf0, 0xf4)) {
        uint8_t first = c == 0xf0 ? 0x90 : 0x80; /* below: an overlong form */
        uint8_t last = c == 0xf4 ? 0x8f : 0xbf;  /* above: beyond U+10FFFF */
        return left >= 4 && byte_within(p[1], first, last) && byte_within(p[2], 0x80, 0xbf) &&
                       byte_within(p[3], 0x80, 0xbf)
                   ? 4
                   : 0;
    }
    return 0;
}

/* The character of good UTF-8 of that size, and back. */
static uint32_t utf8_read(const uint8_t *p, size_t size) {
    uint32_t code = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (p[i] & 0x3fu);
    return code;
}
static size_t utf8_write(uint32_t code, uint8_t ret_bytes[4]) {
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        ret_bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    ret_bytes[0] = (uint8_t)(leads[size] | code);
    return size;
}

bool json_is_utf8(struct str s) {
    const uint8_t *p = bytes_of(s), *end = end_of(s);
    while (p < end) {
        if (end - p >= 8 && (word_load(p) & WORD(0x80)) == 0) {
            p += 8;
            continue;
        }
        size_t size = utf8_size(p, end);
        if (size == 0) return false;
        p += size;
    }
    return true;
}

/* The size of the escape whose backslash is at p, 0 where it is none (RFC 8259 §7). */
static size_t escape_size(const uint8_t *p, const uint8_t *end) {
    size_t left = (size_t)(end - p);
    if (left < 2) return 0;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return 2;
    case 'u':
        return left >= 6 && byte_is_hex(p[2]) && byte_is_hex(p[3]) && byte_is_hex(p[4]) && byte_is_hex(p[5]) ? 6 : 0;
    default: return 0;
    }
}

static inline bool code_is_high(uint32_t code) { return code >= 0xd800 && code <= 0xdbff; }
static inline bool code_is_low(uint32_t code) { return code >= 0xdc00 && code <= 0xdfff; }
static inline bool code_is_surrogate(uint32_t code) { return code_is_high(code) || code_is_low(code); }

static uint32_t unit_read(const uint8_t *p) {
    return hex_value(p[2]) << 12 | hex_value(p[3]) << 8 | hex_value(p[4]) << 4 | hex_value(p[5]);
}

/* Reads the escape at p, or two that are a surrogate pair (RFC 8259 §7), of accepted text, and returns what follows. A
 * surrogate that comes out is unpaired. */
static const uint8_t *escape_read(const uint8_t *p, const uint8_t *end, uint32_t *ret_code) {
    size_t size = escape_size(p, end);
    check(size != 0);
    switch (p[1]) {
    case 'b': *ret_code = '\b'; break;
    case 'f': *ret_code = '\f'; break;
    case 'n': *ret_code = '\n'; break;
    case 'r': *ret_code = '\r'; break;
    case 't': *ret_code = '\t'; break;
    case 'u': {
        uint32_t code = unit_read(p);
        const uint8_t *second = p + size;
        if (code_is_high(code) && end - second >= 6 && second[0] == '\\' && escape_size(second, end) == 6) {
            uint32_t low = unit_read(second);
            if (code_is_low(low)) {
                *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                return second + 6;
            }
        }
        *ret_code = code;
        break;
    }
    default: *ret_code = p[1]; break;
    }
    return p + size;
}

/* Writes the accepted inside of a string without its escapes. False where an unpaired surrogate makes it no text. */
static bool unescape(struct writer *w, struct str inner) {
    const uint8_t *p = bytes_of(inner), *end = end_of(inner);
    while (p < end) {
        const uint8_t *run = p;
        p = memchr(run, '\\', (size_t)(end - run));
        if (p == NULL) p = end;
        writer_put(w, slice(run, p));
        if (p == end) break;
        uint32_t code;
        p = escape_read(p, end, &code);
        if (code_is_surrogate(code)) return false;
        uint8_t bytes[4];
        size_t size = utf8_write(code, bytes);
        writer_put(w, slice(bytes, bytes + size));
    }
    return true;
}

/* What ended a plain run at p and is not the closing quote: passed, or NULL. */
static __attribute__((noinline)) const uint8_t *special_skip(const uint8_t *p, const uint8_t *end,
                                                             enum json_result *ret_fault) {
    size_t size;
    if (*p == '\\') {
        size = escape_size(p, end);
    } else if (*p >= 0x80) {
        size = utf8_size(p, end);
        if (size == 0) {
            *ret_fault = JSON_NOT_UTF8;
            return NULL;
        }
    } else {
        size = *p >= 0x20 ? 1 : 0; /* RFC 8259 §7: no control characters */
    }
    if (size == 0) {
        *ret_fault = JSON_INVALID;
        return NULL;
    }
    return p + size;
}

/* From behind the opening quote to behind the closing one, or NULL. */
static inline const uint8_t *string_skip(const uint8_t *p, const uint8_t *end, bool *ret_escaped,
                                         enum json_result *ret_fault) {
    *ret_escaped = false;
    for (;;) {
        while (end - p >= 8) {
            uint64_t stops = word_stops(word_load(p));
            if (stops != 0) {
                p += word_first(stops);
                break;
            }
            p += 8;
        }
        if (p == end) {
            *ret_fault = JSON_INVALID;
            return NULL;
        }
        if (*p == '"') return p + 1;
        if (*p == '\\') *ret_escaped = true;
        p = special_skip(p, end, ret_fault);
        if (p == NULL) return NULL;
    }
}

static inline const uint8_t *digits_skip(const uint8_t *p, const uint8_t *end) {
    while (p < end && byte_is_digit(*p))
        p++;
    return p;
}

/* A number (RFC 8259 §6), or NULL. Any size will do: it stays text. */
static inline const uint8_t *number_skip(const uint8_t *p, const uint8_t *end) {
    if (p < end && *p == '-') p++;
    if (p == end || !byte_is_digit(*p)) return NULL;
    p = *p == '0' ? p + 1 : digits_skip(p, end);
    if (p < end && *p == '.') {
        const uint8_t *fraction = p + 1;
        p = digits_skip(fraction, end);
        if (p == fraction) return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        const uint8_t *exponent = p;
        p = digits_skip(exponent, end);
        if (p == exponent) return NULL;
    }
    return p;
}

static inline bool byte_is_blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* RFC 8259 §2, ws. Mostly there is none, one space, or a line end with an indentation: each has its short way. */
static inline const uint8_t *blanks_skip(const uint8_t *p, const uint8_t *end) {
    if (p != end && *p > ' ') return p;
    if (end - p >= 2 && *p == ' ' && p[1] > ' ') return p + 1;
    for (;;) {
        while (end - p >= 8) {
            uint64_t other = word_load(p) ^ WORD(' ');
            if (other != 0) {
                p += word_first(other);
                break;
            }
            p += 8;
        }
        if (p == end || !byte_is_blank(*p)) return p;
        p++;
    }
}

static inline bool text_begins(const uint8_t *p, const uint8_t *end, struct str literal) {
    return (size_t)(end - p) >= literal.len && memcmp(p, literal.ptr, literal.len) == 0;
}

static enum json_type type_of(uint8_t first) {
    switch (first) {
    case '{': return JSON_TYPE_OBJECT;
    case '[': return JSON_TYPE_ARRAY;
    case '"': return JSON_TYPE_STRING;
    case 't':
    case 'f': return JSON_TYPE_BOOL;
    case 'n': return JSON_TYPE_NULL;
    default: return first == '-' || byte_is_digit(first) ? JSON_TYPE_NUMBER : JSON_TYPE_NONE;
    }
}

/* A string, number or literal name, or NULL. */
static inline const uint8_t *scalar_skip(const uint8_t *p, const uint8_t *end, enum json_result *ret_fault) {
    bool escaped;
    if (*p == '"') return string_skip(p + 1, end, &escaped, ret_fault);
    *ret_fault = JSON_INVALID;
    switch (*p) {
    case 't': return text_begins(p, end, STR("true")) ? p + 4 : NULL;
    case 'f': return text_begins(p, end, STR("false")) ? p + 5 : NULL;
    case 'n': return text_begins(p, end, STR("null")) ? p + 4 : NULL;
    default: return number_skip(p, end);
    }
}

bool json_pointer_compile(struct str text, struct json_pointer *ret_pointer) {
    if (text.len > JSON_POINTER_SIZE_MAX || !json_is_utf8(text)) return false;
    if (text.len > 0 && text.ptr[0] != '/') return false;
    struct json_pointer pointer = {.segment_count = 0};
    uint16_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '/') {
            if (pointer.segment_count == JSON_POINTER_SEGMENTS_MAX) return false;
            pointer.segments[pointer.segment_count++].start = used;
            continue;
        }
        if (c == '~') { /* RFC 6901 §4 */
            i++;
            if (i == text.len || (text.ptr[i] != '0' && text.ptr[i] != '1')) return false;
            c = text.ptr[i] == '0' ? '~' : '/';
        }
        pointer.text[used++] = c;
        pointer.segments[pointer.segment_count - 1].size++;
    }
    *ret_pointer = pointer;
    return true;
}

static struct str pointer_segment(const struct json_pointer *pointer, size_t depth) {
    return str_make(pointer->text + pointer->segments[depth].start, pointer->segments[depth].size);
}

/* The segment as an index of an array (RFC 6901 §4: no leading zeros), or UINT64_MAX, which no array reaches. */
static uint64_t segment_index(struct str segment) {
    uint64_t index;
    if (segment.len > 1 && segment.ptr[0] == '0') return UINT64_MAX;
    return str_u64(segment, UINT64_MAX, &index) ? index : UINT64_MAX;
}

/* Of the pointers alive at levels[depth], those that name the member, or the element whose turn it is. */
static uint32_t member_match(const struct level *level, size_t depth, const struct json_pointer *const *pointers,
                             struct str name, bool escaped) {
    char memory[JSON_POINTER_SIZE_MAX]; /* a name that does not fit is longer than any segment */
    if (escaped) {
        struct writer w = writer_make(memory, sizeof(memory));
        if (!unescape(&w, name) || w.overflow) return 0;
        name = writer_str(&w);
    }
    uint32_t found = 0;
    for (uint32_t left = level->alive; left != 0; left &= left - 1) {
        if (str_eq(name, pointer_segment(pointers[__builtin_ctz(left)], depth))) found |= left & -left;
    }
    return found;
}
static uint32_t element_match(struct level *level, size_t depth, const struct json_pointer *const *pointers) {
    uint32_t found = 0;
    uint64_t next = UINT64_MAX;
    for (uint32_t left = level->alive; left != 0; left &= left - 1) {
        uint64_t index = segment_index(pointer_segment(pointers[__builtin_ctz(left)], depth));
        if (index == level->index) found |= left & -left;
        if (index > level->index && index < next) next = index;
    }
    level->next = next;
    return found;
}

static void values_set(struct json_value *values, uint32_t which, const uint8_t *start, const uint8_t *end) {
    for (; which != 0; which &= which - 1)
        values[__builtin_ctz(which)] = (struct json_value){.type = type_of(*start), .raw = slice(start, end)};
}

enum json_result json_scan(struct str text, const struct json_pointer *const *pointers, size_t count,
                           struct json_value *ret_values) {
    check(count <= JSON_POINTERS_MAX);
    struct level levels[JSON_DEPTH_MAX];
    uint32_t finals[JSON_POINTER_SEGMENTS_MAX + 1] = {0}; /* pointers by their number of segments */
    for (size_t i = 0; i < count; i++) {
        check(pointers[i]->segment_count <= JSON_POINTER_SEGMENTS_MAX);
        finals[pointers[i]->segment_count] |= UINT32_C(1) << i;
        ret_values[i] = (struct json_value){.type = JSON_TYPE_NONE};
    }

    const uint8_t *p = bytes_of(text), *end = end_of(text);
    enum json_result fault = JSON_INVALID;
    size_t depth = 0;                                         /* open containers */
    uint32_t wanted = (uint32_t)((UINT64_C(1) << count) - 1); /* pointers that lead to or into the value that is due */
    for (;;) {
        /* An item is due: a member's name first. */
        if (depth > 0) {
            struct level *level = &levels[depth - 1];
            if (level->closer == '}') {
                p = blanks_skip(p, end);
                if (p == end || *p != '"') return JSON_INVALID;
                bool escaped;
                const uint8_t *name = p + 1;
                p = string_skip(name, end, &escaped, &fault);
                if (p == NULL) return fault;
                wanted = 0;
                if (level->alive != 0) {
                    wanted = member_match(level, depth - 1, pointers, slice(name, p - 1), escaped);
                    if ((wanted & level->seen) != 0) return JSON_DUPLICATE;
                    level->seen |= wanted;
                }
                p = blanks_skip(p, end);
                if (p == end || *p != ':') return JSON_INVALID;
                p++;
            } else {
                wanted = level->index == level->next ? element_match(level, depth - 1, pointers) : 0;
                level->index++;
            }
        }

        /* Its value. The first depth segments of a wanted pointer have matched: finals reaches that far. */
        p = blanks_skip(p, end);
        if (p == end) return JSON_INVALID;
        // cppcheck-suppress arrayIndexOutOfBoundsCond
        uint32_t target = wanted != 0 ? wanted & finals[depth] : 0;
        if (*p == '{' || *p == '[') {
            if (depth == JSON_DEPTH_MAX) return JSON_TOO_DEEP;
            struct level *level = &levels[depth++];
            level->start = p;
            level->index = 0;
            level->alive = wanted & ~target;
            level->next = level->alive != 0 ? 0 : UINT64_MAX;
            level->seen = 0;
            level->target = target;
            level->closer = *p == '{' ? '}' : ']';
            p = blanks_skip(p + 1, end);
            if (p == end || *p != level->closer) continue;
        } else {
            const uint8_t *start = p;
            p = scalar_skip(p, end, &fault);
            if (p == NULL) return fault;
            values_set(ret_values, target, start, p);
        }

        /* An item has ended, and perhaps the containers around it. */
        for (;;) {
            p = blanks_skip(p, end);
            if (depth == 0) return p == end ? JSON_OK : JSON_INVALID;
            if (p == end) return JSON_INVALID;
            const struct level *level = &levels[depth - 1];
            if (*p == ',') {
                p++;
                break;
            }
            if (*p != level->closer) return JSON_INVALID;
            p++;
            depth--;
            values_set(ret_values, level->target, level->start, p);
        }
    }
}

const char *json_result_text(enum json_result result) {
    switch (result) {
    case JSON_OK: return "JSON";
    case JSON_INVALID: return "not JSON";
    case JSON_NOT_UTF8: return "not UTF-8";
    case JSON_TOO_DEEP: return "too deep";
    case JSON_DUPLICATE: return "duplicate member";
    }
    check(result <= JSON_DUPLICATE);
    return "";
}

/* From here on the text is accepted: nothing is validated, only the end is kept in sight. */

/* From behind the opening quote to behind the closing one. */
static const uint8_t *accepted_string_skip(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word = word_load(p);
            uint64_t stops = word_zeros(word ^ WORD('"')) | word_zeros(word ^ WORD('\\'));
            if (stops == 0) {
                p += 8;
                continue;
            }
            p += word_first(stops);
        }
        if (*p == '"') return p + 1;
        p += *p == '\\' && end - p >= 2 ? 2 : 1;
    }
    return end;
}

static const uint8_t *accepted_container_skip(const uint8_t *p, const uint8_t *end) {
    size_t depth = 0;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word = word_load(p), folded = word | WORD(0x20); /* '[' becomes '{' and ']' becomes '}' */
            uint64_t stops =
                word_zeros(word ^ WORD('"')) | word_zeros(folded ^ WORD('{')) | word_zeros(folded ^ WORD('}'));
            if (stops == 0) {
                p += 8;
                continue;
            }
            p += word_first(stops);
        }
        uint8_t c = *p++;
        if (c == '"') {
            p = accepted_string_skip(p, end);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return p;
        }
    }
    return end;
}

static const uint8_t *accepted_value_skip(const uint8_t *p, const uint8_t *end) {
    if (*p == '"') return accepted_string_skip(p + 1, end);
    if (*p == '{' || *p == '[') return accepted_container_skip(p, end);
    while (p < end && *p != ',' && *p != ']' && *p != '}' && !byte_is_blank(*p))
        p++;
    return p;
}

/* The value behind blanks and one separator, or NULL where there is none. */
static const uint8_t *accepted_value_read(const uint8_t *p, const uint8_t *end, uint8_t separator,
                                          struct json_value *ret_value) {
    p = blanks_skip(p, end);
    if (p < end && *p == separator) p = blanks_skip(p + 1, end);
    if (p == end) return NULL;
    enum json_type type = type_of(*p);
    if (type == JSON_TYPE_NONE) return NULL;
    const uint8_t *after = accepted_value_skip(p, end);
    *ret_value = (struct json_value){.type = type, .raw = slice(p, after)};
    return after;
}

/* Where the next item of a container that begins with opener is to be looked for, or NULL. */
static const uint8_t *accepted_place(struct str container, uint8_t opener, size_t position) {
    if (position >= container.len || bytes_of(container)[0] != opener) return NULL;
    return bytes_of(container) + (position == 0 ? 1 : position);
}

bool json_array_next(struct str array, size_t *position, struct json_value *ret_item) {
    const uint8_t *end = end_of(array), *p = accepted_place(array, '[', *position);
    if (p == NULL) return false;
    p = accepted_value_read(p, end, ',', ret_item);
    if (p == NULL) return false;
    *position = (size_t)(p - bytes_of(array));
    return true;
}

bool json_object_next(struct str object, size_t *position, struct json_value *ret_name, struct json_value *ret_value) {
    const uint8_t *end = end_of(object), *p = accepted_place(object, '{', *position);
    if (p == NULL) return false;
    struct json_value name;
    p = accepted_value_read(p, end, ',', &name);
    if (p == NULL) return false;
    p = accepted_value_read(p, end, ':', ret_value);
    if (p == NULL) return false;
    *ret_name = name;
    *position = (size_t)(p - bytes_of(object));
    return true;
}

bool json_string_decode(struct str raw, struct arena *arena, struct str *ret_text, bool *ret_full) {
    check(raw.len >= 2);
    check(raw.ptr[0] == '"');
    *ret_full = false;
    struct str inner = str_make(raw.ptr + 1, raw.len - 2);
    if (!str_has(inner, '\\')) {
        *ret_text = inner;
        return true;
    }

    struct writer w = arena_writer(arena);
    if (!unescape(&w, inner)) return false;
    struct str text = arena_take(arena, &w);
    if (text.ptr == NULL) {
        *ret_full = true;
        return false;
    }
    *ret_text = text;
    return true;
}

static void unit_write(struct writer *w, uint32_t unit) {
    static const char digits[] = "0123456789abcdef";
    char text[6] = {
        '\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15], digits[unit >> 4 & 15], digits[unit & 15]};
    writer_put(w, str_make(text, sizeof(text)));
}

/* A character that does not stand for itself, as Python's json.encoder writes it. */
static void escape_write(struct writer *w, uint32_t code) {
    switch (code) {
    case '"': writer_put(w, STR("\\\"")); return;
    case '\\': writer_put(w, STR("\\\\")); return;
    case '\n': writer_put(w, STR("\\n")); return;
    case '\r': writer_put(w, STR("\\r")); return;
    case '\t': writer_put(w, STR("\\t")); return;
    case '\b': writer_put(w, STR("\\b")); return;
    case '\f': writer_put(w, STR("\\f")); return;
    default: break;
    }
    if (code >= 0x10000) {
        unit_write(w, 0xd800 + ((code - 0x10000) >> 10));
        unit_write(w, 0xdc00 + ((code - 0x10000) & 0x3ff));
    } else {
        unit_write(w, code);
    }
}

void json_write_string(struct writer *w, struct str text, bool ascii) {
    const uint8_t *p = bytes_of(text), *end = end_of(text), *run = p;
    writer_char(w, '"');
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word = word_load(p), stops = word_stops(word) | (ascii ? word_zeros(word ^ WORD(0x7f)) : 0);
            size_t step = stops == 0 ? 8 : word_first(stops);
            p += step;
            if (step > 0) continue;
        }
        size_t size = utf8_size(p, end);
        bool plain = *p < 0x80 ? *p >= 0x20 && *p != '"' && *p != '\\' && !(ascii && *p == 0x7f) : size > 0 && !ascii;
        if (plain) {
            p += size;
            continue;
        }
        writer_put(w, slice(run, p));
        escape_write(w, size > 0 ? utf8_read(p, size) : 0xfffd);
        p += size > 0 ? size : 1;
        run = p;
    }
    writer_put(w, slice(run, end));
    writer_char(w, '"');
}
