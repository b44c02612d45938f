/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator over memory of the caller's. */
#include "base/arena.h"

#include "base/err.h"

void *arena_alloc(struct arena *a, size_t size, size_t align, size_t count) {
    check(align != 0 && (align & (align - 1)) == 0);
    size_t misfit = (size_t)(((uintptr_t)a->memory + a->used) & (align - 1));
    size_t pad = misfit == 0 ? 0 : align - misfit;
    size_t total;
    if (__builtin_mul_overflow(size, count, &total)) return NULL;
    if (pad > a->size - a->used || total > a->size - a->used - pad) return NULL;
    char *memory = a->memory + a->used + pad;
    a->used += pad + total;
    if (total > 0) memset(memory, 0, total);
    return memory;
}

struct str arena_copy(struct arena *a, struct str s) {
    if (s.len > a->size - a->used) return STR_NONE;
    char *memory = a->memory + a->used;
    if (s.len > 0) memcpy(memory, s.ptr, s.len);
    a->used += s.len;
    return str_make(memory, s.len);
}

struct writer arena_writer(struct arena *a) {
    return writer_make(a->memory + a->used, a->size - a->used);
}

struct str arena_take(struct arena *a, const struct writer *w) {
    check(w->ptr == a->memory + a->used);
    if (w->overflow) return STR_NONE;
    a->used += w->len;
    return writer_str(w);
}
