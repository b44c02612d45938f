/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and their memory: what is claimed from the budget for bodies is given back to the byte. */
#include "app/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abort_help.h"

enum { PIECE = BODY_PIECE_SIZE };

static struct pools pools;
static struct body_budget budget;
static struct config *config;

static struct err no_secret(void *reader, struct str reference, struct writer *message,
                            struct secret_texts *ret_texts) {
    (void)reader, (void)reference, (void)ret_texts;
    writer_put(message, STR("it is nowhere"));
    return err_make(ERR_ABSENT, 0, "read the secret");
}

static void no_warning(void *context, struct str sentence) {
    (void)context;
    fail_msg("%.*s", STR_ARG(sentence));
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    const struct config_overrides overrides = {.data = "/nowhere"};
    pools = (struct pools){0};
    budget.size = SIZE_MAX / 2;
    atomic_init(&budget.used, 0);
    return err_is(config_parse(STR(""), NULL, &overrides, no_secret, NULL, no_warning, NULL, &message, &config)) ? -1
                                                                                                                 : 0;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    config_release(config);
    pools_done(&pools);
    return 0;
}

static struct slot *take(void) {
    struct slot *slot = slot_take(&pools);
    assert_non_null(slot);
    return slot;
}

static size_t used(void) { return atomic_load(&budget.used); }

/* Pools */

static void pieces(void **state) {
    (void)state; /* there is none */
    char *pool = NULL, *taken[3];
    for (int i = 0; i < 3; i++) {
        taken[i] = pool_take(&pool, 64);
        assert_non_null(taken[i]);
        memset(taken[i], 0xee, 64);
    }
    for (int i = 0; i < 3; i++)
        pool_give(&pool, taken[i]);
    for (int i = 3; i-- > 0;)
        assert_ptr_equal(pool_take(&pool, 64), taken[i]);
    assert_null(pool);
    for (int i = 0; i < 3; i++)
        pool_give(i == 0 ? &pools.heads : &pools.arenas, taken[i]); /* freed by pools_done */
}

static void slots(void **state) {
    (void)state; /* there is none */
    static const char nothing[sizeof(struct slot)];
    struct slot *first = take(), *second = take();
    assert_ptr_not_equal(first, second);
    memset((char *)first + offsetof(struct slot, request), 0xee, sizeof *first - offsetof(struct slot, request));
    first->body_size = 77;
    first->request_id = 78;
    first->head.chunked = true;
    first->config = config_hold(config);
    first->arena = arena_make(malloc(REQUEST_ARENA_SIZE), REQUEST_ARENA_SIZE);
    assert_non_null(first->arena.memory);
    const char *memory = first->arena.memory;
    assert_int_equal(atomic_load(&config->references), 2);
    slot_give(&pools, first);
    assert_int_equal(atomic_load(&config->references), 1);
    assert_ptr_equal(pool_take(&pools.arenas, REQUEST_ARENA_SIZE), memory);
    pool_give(&pools.arenas, (char *)(uintptr_t)memory);
    slot_give(&pools, second);
    assert_ptr_equal(take(), second);
    struct slot *again = take();
    assert_ptr_equal(again, first);
    assert_int_equal(again->message.kind, MESSAGE_SLOT);
    assert_int_equal(again->message.letter.weight, 1);
    again->message.letter.weight = 0;
    assert_memory_equal(again, nothing, offsetof(struct slot, request)); /* MESSAGE_SLOT is 0 too */
    slot_give(&pools, first);
    slot_give(&pools, second);
}

/* Limits */

static void limits(void **state) {
    (void)state; /* there is none */
    static const struct {
        bool chunked;
        uint64_t content_length, body_size_max, limit;
    } cases[] = {
        {false, 0, 1 << 20, 0},
        {false, 1, 1 << 20, 1},
        {false, 1 << 20, 1 << 20, 1 << 20},
        {false, 100, 16 << 20, 100},
        {true, 0, 1 << 20, (1 << 20) + HTTP_HEAD_SIZE_MAX + 1},
        {true, 0, 1024, 1024 + HTTP_HEAD_SIZE_MAX + 1},
        {true, 0, 16 << 20, (16 << 20) + HTTP_HEAD_SIZE_MAX + 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slot *slot = take();
        slot->config = config_hold(config);
        config->limits.body_size_max = cases[i].body_size_max;
        slot->head.chunked = cases[i].chunked;
        slot->head.content_length = cases[i].content_length;
        assert_int_equal(slot_body_limit(slot), cases[i].limit);
        slot_give(&pools, slot);
    }
}

/* Bodies */

static size_t whole_pieces(size_t size) { return (size + PIECE - 1) / PIECE * PIECE; }

/* A body that arrives in steps, up to its limit: room is there when it is asked for, the budget is what it holds, and
 * never more than twice what came or the limit, in whole pieces. */
static void growth(void **state) {
    (void)state; /* there is none */
    static const size_t limits_of[] = {1,         2,
                                       1000,      PIECE - 1,
                                       PIECE,     PIECE + 1,
                                       3 * PIECE, 3 * PIECE + 5,
                                       1 << 20,   (1 << 20) + 1,
                                       16 << 20,  (1 << 20) + HTTP_HEAD_SIZE_MAX + 1};
    static const size_t steps[] = {1, 999, 4096, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 16 << 20};
    for (size_t i = 0; i < sizeof limits_of / sizeof *limits_of; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            size_t limit = limits_of[i], step = steps[k];
            if (step == 1 && limit > 4 * PIECE) continue; /* nothing new, and slow */
            struct slot *slot = take();
            while (slot->body_size < limit) {
                size_t more = step < limit - slot->body_size ? step : limit - slot->body_size;
                size_t before = slot->body_capacity;
                bool had_room = before - slot->body_size >= more;
                if (!slot_body_grow(slot, &budget, more, limit)) fail_msg("no room for %zu of %zu", more, limit);
                assert_true(slot->body_capacity - slot->body_size >= more);
                assert_true(!had_room || slot->body_capacity == before);
                assert_int_equal(slot->body_capacity % PIECE, 0);
                assert_true(slot->body_capacity <= whole_pieces(limit));
                size_t need = slot->body_size + more;
                assert_true(slot->body_capacity <= whole_pieces(need) || slot->body_capacity <= 2 * before);
                assert_int_equal(used(), slot->body_capacity);
                assert_ptr_equal(slot->budget, &budget);
                memset(slot->body + slot->body_size, (int)(slot->body_size % 251), more);
                slot->body_size += more;
            }
            for (size_t at = 0; at < limit; at++) /* moved, not lost */
                if ((unsigned char)slot->body[at] != at / step * step % 251) fail_msg("byte %zu", at);
            slot_give(&pools, slot);
            assert_int_equal(used(), 0);
        }
}

static void refused_beyond_the_budget(void **state) {
    (void)state; /* there is none */
    static const size_t over[] = {0, 1, PIECE - 1};
    for (size_t i = 0; i < 3; i++) {
        budget.size = 4 * PIECE + over[i]; /* a part of a piece is of no use */
        struct slot *first = take(), *second = take(), *third = take();
        assert_false(slot_body_grow(first, &budget, 4 * PIECE + 1, 1 << 20));
        assert_int_equal(used(), 0);
        assert_null(first->body);
        assert_int_equal(first->body_capacity, 0);

        assert_true(slot_body_grow(first, &budget, 1, 1 << 20));
        assert_true(slot_body_grow(second, &budget, 2 * PIECE, 1 << 20));
        memcpy(first->body, "x", 1);
        first->body_size = 1;
        assert_int_equal(used(), 3 * PIECE);
        assert_false(slot_body_grow(third, &budget, PIECE + 1, 1 << 20));
        assert_true(slot_body_grow(first, &budget, PIECE, 1 << 20));
        assert_int_equal(used(), 4 * PIECE);
        first->body_size = 2 * PIECE;
        const char *body = first->body;
        assert_false(slot_body_grow(first, &budget, 1, 1 << 20));
        assert_false(slot_body_grow(third, &budget, 1, 1 << 20));
        assert_int_equal(used(), 4 * PIECE);
        assert_ptr_equal(first->body, body); /* what is there stays */
        assert_int_equal(first->body[0], 'x');
        assert_int_equal(first->body_capacity, 2 * PIECE);

        slot_give(&pools, third);
        assert_int_equal(used(), 4 * PIECE); /* it had nothing */
        slot_give(&pools, second);
        assert_int_equal(used(), 2 * PIECE);
        assert_true(slot_body_grow(first, &budget, 1, 1 << 20));
        assert_int_equal(used(), 4 * PIECE);
        slot_give(&pools, first);
        assert_int_equal(used(), 0);
    }
    budget.size = PIECE - 1;
    struct slot *slot = take();
    assert_false(slot_body_grow(slot, &budget, 1, 1));
    assert_true(slot_body_grow(slot, &budget, 0, 0)); /* nothing is always there */
    assert_int_equal(used(), 0);
    slot_give(&pools, slot);
}

static void beyond_its_limit(void) {
    struct slot *slot = slot_take(&pools);
    (void)slot_body_grow(slot, &budget, 101, 100); /* does not come back */
}
static void beyond_its_limit_later(void) {
    struct slot *slot = slot_take(&pools);
    (void)slot_body_grow(slot, &budget, PIECE, 2 * PIECE);
    slot->body_size = PIECE;
    (void)slot_body_grow(slot, &budget, PIECE + 1, 2 * PIECE); /* does not come back */
}

static void bugs_of_callers(void **state) {
    (void)state; /* there is none */
    assert_true(aborts(beyond_its_limit));
    assert_true(aborts(beyond_its_limit_later));
}

/* Threads with pools of their own and one budget: never more is held than there is, and nothing is left claimed. */

enum { THREADS = 4, ROUNDS = 3000 };

static atomic_size_t held;
static atomic_uint excesses, refusals;

static void *grow_and_give(void *context) {
    uint32_t random = 12345u + *(const unsigned *)context;
    struct pools own = {0};
    for (int i = 0; i < ROUNDS; i++) {
        struct slot *slot = slot_take(&own);
        if (slot == NULL) break;
        for (int step = 0; step < 4; step++) {
            random = random * 1664525u + 1013904223u;
            size_t before = slot->body_capacity, more = 1 + (random >> 8) % (3 * PIECE);
            if (!slot_body_grow(slot, &budget, more, 16 * PIECE)) {
                (void)atomic_fetch_add(&refusals, 1);
                break;
            }
            size_t gained = slot->body_capacity - before;
            if (atomic_fetch_add(&held, gained) + gained > budget.size) (void)atomic_fetch_add(&excesses, 1);
            slot->body_size += more;
        }
        (void)atomic_fetch_sub(&held, slot->body_capacity);
        slot_give(&own, slot);
    }
    pools_done(&own);
    return NULL;
}

static void shared_by_threads(void **state) {
    (void)state; /* there is none */
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    budget.size = 10 * PIECE;
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, grow_and_give, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&excesses), 0);
    assert_true(atomic_load(&refusals) > 0); /* the budget was felt */
    assert_int_equal(used(), 0);
}

#define each(test) cmocka_unit_test_setup_teardown(test, each_begin, each_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        each(pieces),
        each(slots),
        each(limits),
        each(growth),
        each(refused_beyond_the_budget),
        each(bugs_of_callers),
        each(shared_by_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
