/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, and the pools of one I/O thread. A body's memory is not pooled: it is claimed from the budget as its bytes
 * arrive, and given back with its slot. */
#include "app/slot.h"

#include <stdlib.h>

static_assert(sizeof(char *) <= HTTP_HEAD_SIZE_MAX, "a pool is linked through its pieces");

char *pool_take(char **pool, size_t size) {
    char *piece = *pool;
    if (piece == NULL) return malloc(size);
    memcpy(pool, piece, sizeof *pool);
    return piece;
}

void pool_give(char **pool, char *piece) {
    memcpy(piece, pool, sizeof *pool);
    *pool = piece;
}

void pools_done(struct pools *pools) {
    while (pools->heads != NULL)
        free(pool_take(&pools->heads, 0));
    while (pools->arenas != NULL)
        free(pool_take(&pools->arenas, 0));
    while (pools->slots != NULL) {
        struct slot *slot = pools->slots;
        pools->slots = slot->next_free;
        free(slot);
    }
}

struct slot *slot_take(struct pools *pools) {
    struct slot *slot = pools->slots;
    if (slot != NULL)
        pools->slots = slot->next_free;
    else
        slot = malloc(sizeof *slot);
    if (slot == NULL) return NULL;
    memset(slot, 0, offsetof(struct slot, request));
    slot->message.kind = MESSAGE_SLOT;
    slot->message.letter.weight = 1;
    return slot;
}

void slot_give(struct pools *pools, struct slot *slot) {
    if (slot->body != NULL) {
        free(slot->body);
        atomic_fetch_sub_explicit(&slot->budget->used, slot->body_capacity, memory_order_relaxed);
    }
    if (slot->arena.memory != NULL) pool_give(&pools->arenas, slot->arena.memory);
    if (slot->config != NULL) config_release(slot->config);
    slot->next_free = pools->slots;
    pools->slots = slot;
}

size_t slot_body_limit(const struct slot *slot) {
    /* A chunked body is decoded in place: one read of framing may lie behind what is decoded. */
    return slot->head.chunked ? slot->config->limits.body_size_max + HTTP_HEAD_SIZE_MAX + 1
                              : (size_t)slot->head.content_length;
}

bool slot_body_grow(struct slot *slot, struct body_budget *budget, size_t more, size_t limit) {
    if (slot->body_capacity - slot->body_size >= more) return true;
    size_t want = slot->body_capacity * 2;
    if (want < slot->body_size + more) want = slot->body_size + more;
    if (want > limit) want = limit;
    check(want >= slot->body_size + more);
    want = (want + BODY_PIECE_SIZE - 1) / BODY_PIECE_SIZE * BODY_PIECE_SIZE;
    size_t claim = want - slot->body_capacity;
    slot->budget = budget;
    if (atomic_fetch_add_explicit(&budget->used, claim, memory_order_relaxed) + claim > budget->size) {
        atomic_fetch_sub_explicit(&budget->used, claim, memory_order_relaxed);
        return false;
    }
    char *body = realloc(slot->body, want);
    if (body == NULL) {
        atomic_fetch_sub_explicit(&budget->used, claim, memory_order_relaxed);
        return false;
    }
    slot->body = body;
    slot->body_capacity = want;
    return true;
}
