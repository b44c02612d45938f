/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one request: allocated forward, never freed piece by piece, reset when the reply is sent. The memory under
 * it belongs to the caller. Allocation gives NULL when the arena is full; the request is then refused, nothing grows.
 */
#ifndef PAYHOOK_BASE_ARENA_H
#define PAYHOOK_BASE_ARENA_H

#include "base/str.h"

struct arena {
    char *memory;
    size_t size;
    size_t used;
};

static inline struct arena arena_make(void *memory, size_t size) {
    return (struct arena){.memory = memory, .size = size, .used = 0};
}
static inline void arena_reset(struct arena *a) { a->used = 0; }

/* Zeroed memory of count * size bytes, aligned for align (a power of two), or NULL. */
void *arena_alloc(struct arena *a, size_t size, size_t align, size_t count);
#define arena_new(a, type, count) ((type *)arena_alloc((a), sizeof(type), _Alignof(type), (count)))
/* A copy in the arena; ptr NULL when it did not fit. An empty text gives a non-NULL ptr. */
struct str arena_copy(struct arena *a, struct str s);
/* A writer over all that is left; arena_take then keeps exactly what was written (nothing when it overflowed: ptr
 * NULL). No allocation may come in between. */
struct writer arena_writer(struct arena *a);
struct str arena_take(struct arena *a, const struct writer *w);

#endif
