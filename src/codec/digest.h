/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and keyed digests; the one file that names OpenSSL's digest functions. A failure inside OpenSSL is out of
 * memory and stops the program: no verdict can be given without it. Thread-safe; each thread keeps a context of its
 * own. */
#ifndef PAYHOOK_CODEC_DIGEST_H
#define PAYHOOK_CODEC_DIGEST_H

#include "base/str.h"

enum digest { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_SIZE_MAX = 64 };
size_t digest_size(enum digest digest); /* bytes: 20, 32, 64 */

/* The digest of the parts in a row, digest_size bytes. */
void digest_of(enum digest digest, const struct str *parts, size_t count, uint8_t *ret_digest);
static inline void digest_sha256(struct str s, uint8_t ret_digest[32]) { digest_of(DIGEST_SHA256, &s, 1, ret_digest); }

/* HMAC (RFC 2104) of the parts in a row under a key of any size. */
void digest_hmac(enum digest digest, struct str key, const struct str *parts, size_t count, uint8_t *ret_digest);

/* Same time whatever the bytes are. The sizes may be told apart. */
bool digest_equal(const void *a, const void *b, size_t size);
/* The same for a secret whose length must not show either: the time is that of given's length, which its sender knows.
 */
bool digest_secret_equal(struct str secret, struct str given);

/* The library and its version, for `payhook version`. */
const char *digest_library(void);

#endif
