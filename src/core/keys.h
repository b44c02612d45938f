/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs for POST /: the file DATA/keys (0600), which `payhook key` writes and the server notices within a second.
 * One line a key: "NAME ACCESS_KEY_ID SECRET CREATED", CREATED in unix seconds. */
#ifndef PAYHOOK_CORE_KEYS_H
#define PAYHOOK_CORE_KEYS_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

struct key_pair {
    char name[64];          /* [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
    char access_key_id[33]; /* ours: 20 upper-case letters and digits */
    char secret[65];        /* ours: 40 characters of A-Za-z0-9+/ : unbiased random bytes */
    int64_t created_s;
};
struct keys {
    struct key_pair *pairs; /* in secret memory, in the order they were added */
    uint32_t count;
};

/* ERR_ABSENT where there is no file (then *ret_keys is empty and usable). A damaged file is ERR_INPUT with its line
 * named; one that is not ours alone is ERR_DENIED. keys_done accepts a zeroed value. */
struct err keys_load(const char *data_dir, struct writer *message, struct keys *ret_keys) MUST_USE;
void keys_done(struct keys *keys);
/* Makes a new pair and writes the file durably (and its folder, where there is none), under a lock so that two `key
 * add` at once lose nothing. ERR_INPUT where the name is bad or taken, ERR_FULL at IAM_KEYS_MAX. The caller wipes
 * ret_pair. */
struct err keys_add(const char *data_dir, struct str name, int64_t now_s, struct writer *message,
                    struct key_pair *ret_pair) MUST_USE;
/* ERR_ABSENT where no key has that name. */
struct err keys_remove(const char *data_dir, struct str name, struct writer *message) MUST_USE;
/* Reads "ACCESS_KEY_ID:SECRET", or a curl configuration (user = "ID:SECRET"), from a file. The texts are in ret_pair;
 * name is empty. The pair need not be one of ours. The caller wipes ret_pair. */
struct err keys_read_pair(const char *path, struct writer *message, struct key_pair *ret_pair) MUST_USE;

#endif
