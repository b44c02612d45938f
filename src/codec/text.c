/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal, base64, percent-encoding and dates.
 *
 * Writers take room for a whole text first and then fill it. Readers look each byte up in a table where a bad one has
 * the top bit set; the bits are gathered and looked at once, so the time tells nothing about where a text is wrong. The
 * tables themselves may be told apart through the cache by a neighbour on the machine: what is read here on a
 * stranger's request is a signature, which is no secret from its sender; secrets are read once, at load.
 *
 * No line breaks, no blanks, no URL-safe alphabet: nobody who signs webhooks sends them in a place we read. */
#include "codec/text.h"

#define BAD 0x80

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Of all four tables: 16 bytes a line, the line's first byte being 0x00, 0x10, … */
// clang-format off
#define ROW_BAD BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD
#define ROWS_BAD_HIGH ROW_BAD, ROW_BAD, ROW_BAD, ROW_BAD, ROW_BAD, ROW_BAD, ROW_BAD, ROW_BAD
static const uint8_t hex_values[2][256] = {
    [TEXT_HEX_LOWER] = {
        ROW_BAD, ROW_BAD, ROW_BAD,
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, BAD,BAD,BAD,BAD,BAD,BAD,
        ROW_BAD, ROW_BAD,
        BAD,10,11,12,13,14,15, BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,
        ROW_BAD, ROWS_BAD_HIGH },
    [TEXT_HEX_ANY] = {
        ROW_BAD, ROW_BAD, ROW_BAD,
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, BAD,BAD,BAD,BAD,BAD,BAD,
        BAD,10,11,12,13,14,15, BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,
        ROW_BAD,
        BAD,10,11,12,13,14,15, BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,
        ROW_BAD, ROWS_BAD_HIGH },
};
static const uint8_t base64_values[256] = {
    ROW_BAD, ROW_BAD,
    BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,BAD,62, BAD,BAD,BAD,63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD,BAD,BAD,BAD,BAD,BAD,
    BAD, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD,BAD,BAD,BAD,BAD,
    BAD,26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD,BAD,BAD,BAD,BAD,
    ROWS_BAD_HIGH };
/* Unreserved characters, RFC 3986 §2.3: A-Z a-z 0-9 - . _ ~ */
static const uint8_t unreserved[256] = {
    [0x20] = 0,0,0,0,0,0,0,0,0,0,0,0,0,1,1,0,
    [0x30] = 1,1,1,1,1,1,1,1,1,1,0,0,0,0,0,0,
    [0x40] = 0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,
    [0x50] = 1,1,1,1,1,1,1,1,1,1,1,0,0,0,0,1,
    [0x60] = 0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,
    [0x70] = 1,1,1,1,1,1,1,1,1,1,1,0,0,0,1,0 };
// clang-format on

/* Room for size bytes at the end, counted as written, or NULL with overflow set. */
static char *take(struct writer *w, size_t size) {
    if (w->overflow || size > w->size - w->len) {
        w->overflow = true;
        return NULL;
    }
    char *start = w->ptr + w->len;
    w->len += size;
    return start;
}

void text_hex_write(struct writer *w, const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    char *to = take(w, 2 * size);
    for (size_t i = 0; to != NULL && i < size; i++) {
        to[2 * i] = hex_lower[from[i] >> 4];
        to[2 * i + 1] = hex_lower[from[i] & 15];
    }
}

bool text_hex_read(struct str text, enum text_hex_case letters, uint8_t *ret_bytes, size_t size) {
    if (text.len != 2 * size) return false;
    const uint8_t *values = hex_values[letters];
    const uint8_t *from = (const uint8_t *)text.ptr;
    unsigned seen = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned high = values[from[2 * i]], low = values[from[2 * i + 1]];
        seen |= high | low;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return (seen & BAD) == 0;
}

void text_base64_write(struct writer *w, const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    char *to = take(w, (size + 2) / 3 * 4);
    if (to == NULL) return;
    for (; size >= 3; size -= 3, from += 3, to += 4) {
        unsigned bits = (unsigned)from[0] << 16 | (unsigned)from[1] << 8 | from[2];
        to[0] = base64_digits[bits >> 18];
        to[1] = base64_digits[bits >> 12 & 63];
        to[2] = base64_digits[bits >> 6 & 63];
        to[3] = base64_digits[bits & 63];
    }
    if (size == 0) return;
    unsigned bits = (unsigned)from[0] << 16 | (size == 2 ? (unsigned)from[1] << 8 : 0);
    to[0] = base64_digits[bits >> 18];
    to[1] = base64_digits[bits >> 12 & 63];
    to[2] = size == 2 ? base64_digits[bits >> 6 & 63] : '=';
    to[3] = '=';
}

bool text_base64_read(struct str text, uint8_t *ret_bytes, size_t size_max, size_t *ret_size) {
    if (text.len % 4 != 0) return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    size_t size = text.len / 4 * 3 - padding;
    if (size > size_max) return false;

    const uint8_t *from = (const uint8_t *)text.ptr;
    uint8_t *to = ret_bytes;
    unsigned seen = 0;
    for (size_t whole = size / 3; whole > 0; whole--, from += 4, to += 3) {
        unsigned a = base64_values[from[0]], b = base64_values[from[1]];
        unsigned c = base64_values[from[2]], d = base64_values[from[3]];
        seen |= a | b | c | d;
        to[0] = (uint8_t)(a << 2 | b >> 4);
        to[1] = (uint8_t)(b << 4 | c >> 2);
        to[2] = (uint8_t)(c << 6 | d);
    }
    /* RFC 4648 §3.5: the bits that padding leaves over are zero. */
    if (padding > 0) {
        unsigned a = base64_values[from[0]], b = base64_values[from[1]];
        unsigned c = padding == 1 ? base64_values[from[2]] : 0;
        seen |= a | b | c;
        if ((padding == 2 ? b & 15 : c & 3) != 0) seen |= BAD;
        to[0] = (uint8_t)(a << 2 | b >> 4);
        if (padding == 1) to[1] = (uint8_t)(b << 4 | c >> 2);
    }
    if ((seen & BAD) != 0) return false;
    *ret_size = size;
    return true;
}

void text_percent_write(struct writer *w, struct str s, bool keep_slash) {
    for (size_t i = 0; i < s.len; i++) {
        uint8_t byte = (uint8_t)s.ptr[i];
        bool plain = unreserved[byte] || (keep_slash && byte == '/');
        char *to = take(w, plain ? 1 : 3);
        if (to == NULL) return;
        if (plain) {
            to[0] = (char)byte;
        } else {
            to[0] = '%';
            to[1] = hex_upper[byte >> 4];
            to[2] = hex_upper[byte & 15];
        }
    }
}

bool text_percent_read(struct writer *w, struct str s, bool plus_is_blank) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            uint8_t byte;
            if (s.len - i < 3 || !text_hex_read(str_make(s.ptr + i + 1, 2), TEXT_HEX_ANY, &byte, 1)) return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        char *to = take(w, 1);
        if (to != NULL) *to = c;
    }
    return true;
}

/* The Gregorian calendar, without a zone. month and day from 1. */
struct civil {
    unsigned year, month, day, hour, minute, second;
};

enum { DAY_S = 86400, YEAR_MIN = 1970, YEAR_MAX = 9999 };
static const int64_t second_max = INT64_C(253402300799); /* the last second of 9999 */

static bool is_leap(unsigned year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }
static unsigned days_of_month(unsigned year, unsigned month) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}
static unsigned leap_days_before(unsigned year) { return (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400; }
/* Days from 1970-01-01 to the first of January. */
static unsigned days_before_year(unsigned year) {
    return 365 * (year - YEAR_MIN) + leap_days_before(year) - leap_days_before(YEAR_MIN);
}

/* A time out of range can only be a damaged one, and becomes the nearest that can be written. */
static struct civil civil_of(int64_t unix_s) {
    if (unix_s < 0) unix_s = 0;
    if (unix_s > second_max) unix_s = second_max;
    unsigned days = (unsigned)(unix_s / DAY_S), seconds = (unsigned)(unix_s % DAY_S);
    struct civil at = {.hour = seconds / 3600, .minute = seconds / 60 % 60, .second = seconds % 60};
    at.year = YEAR_MIN + days / 366; /* never too late, and at most 17 years early */
    while (days_before_year(at.year + 1) <= days)
        at.year++;
    days -= days_before_year(at.year);
    for (at.month = 1; days >= days_of_month(at.year, at.month); at.month++)
        days -= days_of_month(at.year, at.month);
    at.day = days + 1;
    return at;
}

/* value in digits decimal places, zeros before it. */
static void write_digits(struct writer *w, unsigned value, size_t digits) {
    char *to = take(w, digits);
    if (to == NULL) return;
    for (size_t i = digits; i > 0; i--, value /= 10)
        to[i - 1] = (char)('0' + value % 10);
}

void text_amz_date_write(struct writer *w, int64_t unix_s) {
    struct civil at = civil_of(unix_s);
    write_digits(w, at.year, 4);
    write_digits(w, at.month, 2);
    write_digits(w, at.day, 2);
    writer_char(w, 'T');
    write_digits(w, at.hour, 2);
    write_digits(w, at.minute, 2);
    write_digits(w, at.second, 2);
    writer_char(w, 'Z');
}

static bool read_digits(struct str text, size_t from, size_t count, unsigned min, unsigned max, unsigned *ret_value) {
    uint64_t value;
    if (!str_u64(str_make(text.ptr + from, count), max, &value) || value < min) return false;
    *ret_value = (unsigned)value;
    return true;
}

bool text_amz_date_read(struct str text, int64_t *ret_unix_s) {
    struct civil at;
    bool good = text.len == 16 && text.ptr[8] == 'T' && text.ptr[15] == 'Z' &&
                read_digits(text, 0, 4, YEAR_MIN, YEAR_MAX, &at.year) && read_digits(text, 4, 2, 1, 12, &at.month) &&
                read_digits(text, 6, 2, 1, days_of_month(at.year, at.month), &at.day) &&
                read_digits(text, 9, 2, 0, 23, &at.hour) && read_digits(text, 11, 2, 0, 59, &at.minute) &&
                read_digits(text, 13, 2, 0, 59, &at.second);
    if (!good) return false;
    int64_t days = (int64_t)days_before_year(at.year) + at.day - 1;
    for (unsigned month = 1; month < at.month; month++)
        days += days_of_month(at.year, month);
    *ret_unix_s = days * DAY_S + at.hour * 3600 + at.minute * 60 + at.second;
    return true;
}

void text_received_at_write(struct writer *w, int64_t unix_us) {
    if (unix_us < 0) unix_us = 0;
    struct civil at = civil_of(unix_us / 1000000);
    write_digits(w, at.year, 4);
    writer_char(w, '-');
    write_digits(w, at.month, 2);
    writer_char(w, '-');
    write_digits(w, at.day, 2);
    writer_char(w, 'T');
    write_digits(w, at.hour, 2);
    writer_char(w, ':');
    write_digits(w, at.minute, 2);
    writer_char(w, ':');
    write_digits(w, at.second, 2);
    writer_char(w, '.');
    write_digits(w, (unsigned)(unix_us % 1000000), 6);
}

/* ---- card numbers ---- */

enum { CARD_DIGITS_MIN = 13, CARD_DIGITS_MAX = 19, CARD_SHOWN_FIRST = 6, CARD_SHOWN_LAST = 4 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter_or_digit(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/* ISO/IEC 7812-1 annex B: every second digit from the right doubled, the sum of all digits a multiple of ten. */
static bool check_digit_right(const char *text, const size_t *digits, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(text[digits[count - 1 - i]] - '0');
        if (i % 2 == 1) digit = digit < 5 ? digit * 2 : digit * 2 - 9;
        sum += digit;
    }
    return sum % 10 == 0;
}

/* The card number that begins at text[0], a digit: how many digits it has (0: none), and where they are. It may end
 * wherever a group of digits does; the longest counts. */
static size_t card_at(const char *text, size_t size, size_t *ret_digits) {
    size_t count = 0, found = 0;
    for (size_t i = 0; i < size && count < CARD_DIGITS_MAX; i++) {
        if (!is_digit(text[i])) {
            if ((text[i] != ' ' && text[i] != '-') || !is_digit(text[i - 1])) break;
            continue;
        }
        ret_digits[count++] = i;
        bool ends = i + 1 == size || !is_letter_or_digit(text[i + 1]);
        if (ends && count >= CARD_DIGITS_MIN && check_digit_right(text, ret_digits, count)) found = count;
    }
    return found;
}

void text_cards_mask(char *text, size_t size) {
    for (size_t at = 0; at < size; at++) {
        if (text[at] < '2' || text[at] > '6' || (at > 0 && is_letter_or_digit(text[at - 1]))) continue;
        size_t digits[CARD_DIGITS_MAX];
        size_t count = card_at(text + at, size - at, digits);
        for (size_t i = CARD_SHOWN_FIRST; i + CARD_SHOWN_LAST < count; i++)
            text[at + digits[i]] = '*';
    }
}
