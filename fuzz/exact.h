/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of exactly a size, for fuzz targets: one byte read or written behind it is seen by the address sanitizer.
 * Rooms come from one poisoned block and are all given back at once by exact_reset, which costs a tenth of malloc and
 * free under the sanitizer. Without the sanitizer the macros say nothing and this is a plain arena. */
#ifndef PAYHOOK_FUZZ_EXACT_H
#define PAYHOOK_FUZZ_EXACT_H

#include "base/err.h"

#include <sanitizer/asan_interface.h>
#include <stddef.h>

enum { EXACT_BLOCK_SIZE = 4 << 20, EXACT_GAP_SIZE = 16 };

static _Alignas(16) char exact_block[EXACT_BLOCK_SIZE];
static size_t exact_used;

/* Gives back every room; also needed once before the first. */
static inline void exact_reset(void) {
    static bool begun;
    if (begun) {
        ASAN_POISON_MEMORY_REGION(exact_block, exact_used);
    } else {
        ASAN_POISON_MEMORY_REGION(exact_block, sizeof exact_block);
    }
    begun = true;
    exact_used = 0;
}

/* Never NULL, also where size is 0. */
static inline void *exact_room(size_t size) {
    size_t whole = (size + EXACT_GAP_SIZE) / 16 * 16 + 16;
    check(whole > size);
    check(whole <= sizeof exact_block - exact_used);
    char *room = exact_block + exact_used;
    exact_used += whole;
    ASAN_UNPOISON_MEMORY_REGION(room, size);
    return room;
}

/* More of the last room may be touched. */
static inline void exact_grow(void *room, size_t size) { ASAN_UNPOISON_MEMORY_REGION(room, size); }

#endif
