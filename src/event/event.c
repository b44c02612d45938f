/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an event, read and written from one table. What an event is stands in the header; it has no behaviour of
 * its own. */
#include "event/event.h"

#include "base/err.h"

static const char *const words[] = {
#define X(name, word) [AUTHENTICATED_##name] = word,
    AUTHENTICATIONS(X)
#undef X
};
enum { WORDS = sizeof words / sizeof words[0] };

const char *authenticated_word(enum authenticated authenticated) {
    check((unsigned)authenticated < WORDS);
    return words[authenticated];
}

bool authenticated_read(struct str word, enum authenticated *ret_authenticated) {
    for (unsigned i = 0; i < WORDS; i++) {
        if (!str_eq(word, str_from(words[i]))) continue;
        *ret_authenticated = (enum authenticated)i;
        return true;
    }
    return false;
}
