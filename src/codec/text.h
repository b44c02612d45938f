/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes: hexadecimal, base64, percent-encoding, and dates. Decoders are strict: what has two readings has
 * none. Where one answers false, the bytes it was given to fill are unspecified. */
#ifndef PAYHOOK_CODEC_TEXT_H
#define PAYHOOK_CODEC_TEXT_H

#include "base/str.h"

/* Lower-case hex of size bytes: 2 * size characters. */
void text_hex_write(struct writer *w, const void *bytes, size_t size);
enum text_hex_case { TEXT_HEX_LOWER, TEXT_HEX_ANY };
/* Exactly size bytes from exactly 2 * size digits of that case. */
bool text_hex_read(struct str text, enum text_hex_case letters, uint8_t *ret_bytes, size_t size);

/* Standard alphabet (RFC 4648 §4). The reader wants padding, and zero bits where padding leaves some over (§3.5): one
 * reading only. */
void text_base64_write(struct writer *w, const void *bytes, size_t size);
/* At most size_max bytes to ret_bytes; false where it is no base64 or longer. */
bool text_base64_read(struct str text, uint8_t *ret_bytes, size_t size_max, size_t *ret_size);

/* Percent-encoding as AWS Signature Version 4 wants it: all but A-Z a-z 0-9 - . _ ~ become %XX (upper case); "/" stays
 * where keep_slash. */
void text_percent_write(struct writer *w, struct str s, bool keep_slash);
/* %XX become bytes; a "%" without two hex digits is an error (false). plus_is_blank: as in forms. */
bool text_percent_read(struct writer *w, struct str s, bool plus_is_blank);

/* "20150830T123600Z" <-> unix seconds, 1970 to 9999; every field in its range, the day within its month. */
void text_amz_date_write(struct writer *w, int64_t unix_s);
bool text_amz_date_read(struct str text, int64_t *ret_unix_s);
/* "2026-11-23T19:08:50.123456", UTC, always six digits (the user's receivedAt). */
void text_received_at_write(struct writer *w, int64_t unix_us);

/* Overwrites the middle of every payment card number in text with "*", all but its first six and last four digits (PCI
 * DSS, requirement 3.4.1). A card number is 13 to 19 digits, a blank or dash between two of them allowed, that begins
 * as one (ISO/IEC 7812-1: 2 to 6), has the right check digit (annex B), and has no letter or digit beside it. */
void text_cards_mask(char *text, size_t size);

#endif
