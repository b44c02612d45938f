/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the known word that a mistyped one is most like. */
#ifndef PAYHOOK_BASE_NEAREST_H
#define PAYHOOK_BASE_NEAREST_H

#include "base/str.h"

/* The words one by one, NULL at the end. */
typedef const char *word_at(size_t index);

/* The nearest of the words, or NULL where none is near: at most a third of its letters typed otherwise, or only begun.
 * The first of equals. */
const char *nearest_word(struct str word, word_at *at);

#endif
