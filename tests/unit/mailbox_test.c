/* SPDX-License-Identifier: Apache-2.0 */
/* Letters in order, within a capacity, lost by nobody. The threads at the end are for the thread sanitizer too. */
#include "app/mailbox.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "abort_help.h"

/* A letter with a name, to say in which order they came. */
struct named {
    struct letter letter;
    char name;
};

enum { LETTERS = 26 };
static struct named letters[LETTERS];
static struct mailbox mailbox;

static void begin(uint64_t capacity, int wake_fd) {
    for (int i = 0; i < LETTERS; i++)
        letters[i] = (struct named){.letter = {.next = &letters[0].letter, .weight = 1}, .name = (char)('a' + i)};
    mailbox_init(&mailbox, capacity, wake_fd);
}

static bool put(char name, uint32_t weight) {
    struct letter *letter = &letters[name - 'a'].letter;
    letter->weight = weight;
    return mailbox_put(&mailbox, letter);
}

static const char *names(const struct letter *first) {
    static char text[LETTERS + 1];
    size_t size = 0;
    for (; first != NULL; first = first->next) {
        assert_true(size < LETTERS);
        text[size++] = ((const struct named *)(const void *)first)->name;
    }
    text[size] = '\0';
    return text;
}

static void in_order(void **state) {
    (void)state; /* there is none */
    begin(100, -1);
    assert_null(mailbox_take(&mailbox, 100));
    assert_true(put('c', 1));
    assert_true(put('a', 1));
    assert_true(put('b', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 100)), "cab");
    assert_null(mailbox_take(&mailbox, 100));
    assert_true(put('b', 1)); /* the same letter again */
    assert_true(put('c', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 1)), "b");
    assert_true(put('b', 1));
    assert_string_equal(names(mailbox_wait(&mailbox, 100)), "cb");
    mailbox_done(&mailbox);
}

/* A table of weights that are put in a row, and which of them fit. */
static void capacities(void **state) {
    (void)state; /* there is none */
    static const struct {
        uint64_t capacity;
        uint32_t weights[6];
        const char *fit;
    } cases[] = {
        {3, {1, 1, 1, 1, 1, 1}, "abc"},
        {1, {1, 1, 1, 1, 1, 1}, "a"},
        {0, {1, 1, 1, 1, 1, 1}, "a"}, /* an empty one takes any */
        {6, {3, 3, 1, 1, 1, 1}, "ab"},
        {6, {2, 5, 4, 1, 1, 1}, "ac"},
        {6, {5, 2, 1, 1, 1, 1}, "ac"}, /* a lighter one may still fit */
        {6, {7, 1, 1, 1, 1, 1}, "a"},
        {6, {UINT32_MAX, 1, UINT32_MAX, 1, 1, 1}, "a"},
        {UINT64_C(8589934590), {UINT32_MAX, UINT32_MAX, 1, 1, 1, 1}, "ab"}, /* sums are of 64 bits */
        {UINT64_C(8589934589), {UINT32_MAX, UINT32_MAX, 1, 1, 1, 1}, "acdef"},
        {512, {512, 1, 1, 1, 1, 1}, "a"},
        {513, {512, 1, 1, 1, 1, 1}, "ab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("case %zu\n", i);
        begin(cases[i].capacity, -1);
        for (int k = 0; k < 6; k++) {
            bool fits = strchr(cases[i].fit, 'a' + k) != NULL;
            assert_int_equal(put((char)('a' + k), cases[i].weights[k]), fits);
        }
        assert_string_equal(names(mailbox_take(&mailbox, UINT64_MAX)), cases[i].fit);
        /* All of it was given back. */
        assert_true(put('z', UINT32_MAX));
        assert_false(put('y', UINT32_MAX) && cases[i].capacity < 2 * (uint64_t)UINT32_MAX);
        (void)mailbox_take(&mailbox, UINT64_MAX);
        for (uint64_t n = 0; n < cases[i].capacity && n < 4; n++)
            assert_true(put((char)('a' + (int)n), 1));
        (void)mailbox_take(&mailbox, UINT64_MAX);
        mailbox_done(&mailbox);
    }
}

static void taken_by_weight(void **state) {
    (void)state; /* there is none */
    static const struct {
        uint64_t weight_max;
        const char *taken[6];
    } cases[] = {
        {0, {"a", "b", "c", "d", "e"}}, /* at least one */
        {1, {"a", "b", "c", "d", "e"}},
        {2, {"a", "b", "c", "de"}},
        {5, {"a", "bc", "de"}}, /* 7, 3+2, 1+1: order is never left for a better fit */
        {9, {"a", "bcde"}},
        {10, {"ab", "cde"}},
        {13, {"abcd", "e"}},
        {14, {"abcde"}},
        {UINT64_MAX, {"abcde"}},
    };
    static const uint32_t weights[] = {7, 3, 2, 1, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int waiting = 0; waiting <= 1; waiting++) {
            begin(14, -1);
            for (int k = 0; k < 5; k++)
                assert_true(put((char)('a' + k), weights[k]));
            assert_false(put('f', 1));
            for (size_t k = 0; cases[i].taken[k] != NULL; k++) {
                struct letter *taken =
                    waiting ? mailbox_wait(&mailbox, cases[i].weight_max) : mailbox_take(&mailbox, cases[i].weight_max);
                assert_string_equal(names(taken), cases[i].taken[k]);
            }
            assert_null(mailbox_take(&mailbox, cases[i].weight_max));
            mailbox_done(&mailbox);
        }
    /* What is taken makes room for as much. */
    begin(3, -1);
    assert_true(put('a', 2) && put('b', 1) && !put('c', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 2)), "a");
    assert_true(put('c', 2) && !put('d', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 9)), "bc");
    mailbox_done(&mailbox);
}

/* The letters of names as a list, each of this weight. */
static void put_list(const char *list, uint32_t weight) {
    size_t size = strlen(list);
    for (size_t i = 0; i < size; i++) {
        letters[list[i] - 'a'].letter.weight = weight;
        if (i > 0) letters[list[i - 1] - 'a'].letter.next = &letters[list[i] - 'a'].letter;
    }
    mailbox_put_list(&mailbox, &letters[list[0] - 'a'].letter, &letters[list[size - 1] - 'a'].letter);
}

static void lists_come_back(void **state) {
    (void)state; /* there is none */
    begin(4, -1);
    put_list("xyz", 10); /* beyond the capacity */
    put_list("a", 10);   /* whose next named another */
    assert_false(put('b', 1));
    put_list("cd", 1);
    assert_string_equal(names(mailbox_take(&mailbox, 30)), "xyz");
    assert_false(put('b', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 10)), "a");
    assert_true(put('b', 2));
    assert_false(put('e', 1));
    assert_string_equal(names(mailbox_take(&mailbox, 100)), "cdb");
    assert_true(put('e', 4));
    assert_string_equal(names(mailbox_take(&mailbox, 100)), "e");
    mailbox_done(&mailbox);
}

static void closed(void **state) {
    (void)state; /* there is none */
    begin(10, -1);
    mailbox_close(&mailbox);
    assert_false(put('a', 1)); /* not even into an empty one */
    assert_null(mailbox_take(&mailbox, 10));
    assert_null(mailbox_wait(&mailbox, 10)); /* does not wait */
    mailbox_close(&mailbox);                 /* again */
    assert_null(mailbox_wait(&mailbox, 10));
    mailbox_done(&mailbox);

    begin(10, -1);
    assert_true(put('a', 1) && put('b', 1) && put('c', 1));
    mailbox_close(&mailbox);
    assert_false(put('d', 1));
    put_list("ef", 1); /* what was inside may come back */
    assert_string_equal(names(mailbox_wait(&mailbox, 2)), "ab");
    assert_string_equal(names(mailbox_wait(&mailbox, 2)), "ce");
    assert_false(put('d', 1));
    assert_string_equal(names(mailbox_wait(&mailbox, 2)), "f");
    assert_null(mailbox_wait(&mailbox, 2));
    mailbox_done(&mailbox);
}

/* The wake-ups since we last looked; 0 where there was none. */
static uint64_t woken(int fd) {
    uint64_t count = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, 0) == 1) assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    return count;
}

static void wakes_when_it_fills(void **state) {
    (void)state; /* there is none */
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    begin(3, fd);
    assert_int_equal(woken(fd), 0);
    assert_true(put('a', 1));
    assert_int_equal(woken(fd), 1);
    assert_true(put('b', 1)); /* the reader knows */
    put_list("c", 9);
    assert_false(put('d', 1));
    assert_int_equal(woken(fd), 0);
    (void)mailbox_take(&mailbox, 1);
    assert_true(mailbox_take(&mailbox, 1) != NULL);
    put_list("a", 1); /* c is still there */
    assert_int_equal(woken(fd), 0);
    assert_string_equal(names(mailbox_take(&mailbox, 100)), "ca");
    put_list("ab", 1);
    assert_int_equal(woken(fd), 1);
    assert_string_equal(names(mailbox_take(&mailbox, 100)), "ab");
    mailbox_close(&mailbox);
    assert_int_equal(woken(fd), 1);
    assert_false(put('a', 1));
    assert_int_equal(woken(fd), 0);
    mailbox_done(&mailbox);

    /* A counter that is full has woken whoever reads it. */
    const uint64_t most = UINT64_MAX - 1;
    assert_int_equal(write(fd, &most, sizeof most), sizeof most);
    begin(3, fd);
    assert_true(put('a', 1));
    assert_true(woken(fd) == most);
    (void)mailbox_take(&mailbox, 1);
    mailbox_done(&mailbox);
    assert_int_equal(close(fd), 0);
}

static void weightless(void) {
    begin(3, -1);
    (void)put('a', 0); /* does not come back */
}
static void done_with_a_letter_inside(void) {
    begin(3, -1);
    (void)put('a', 1);
    mailbox_done(&mailbox);
}

static void bugs_of_callers(void **state) {
    (void)state; /* there is none */
    assert_true(aborts(weightless));
    assert_true(aborts(done_with_a_letter_inside));
}

/* Threads */

enum { PRODUCERS = 4, EACH = 4000, CAPACITY = 7 };

struct numbered {
    struct letter letter;
    int producer, number;
};
struct producer {
    pthread_t thread;
    int index;
    struct numbered letters[EACH];
};
static struct producer producers[PRODUCERS];
static struct mailbox shared;

/* Puts all its letters, heavier ones and lists among them, again where there is no room. */
static void *produce(void *context) {
    struct producer *self = context;
    for (int i = 0; i < EACH; i++) {
        struct numbered *letter = &self->letters[i];
        *letter = (struct numbered){.letter.weight = 1 + (uint32_t)(i % 9), .producer = self->index, .number = i};
        if (i % 50 == 48) {
            struct numbered *second = &self->letters[++i];
            *second = (struct numbered){.letter.weight = 1, .producer = self->index, .number = i};
            letter->letter.next = &second->letter;
            mailbox_put_list(&shared, &letter->letter, &second->letter);
            continue;
        }
        while (!mailbox_put(&shared, &letter->letter))
            (void)sched_yield(); /* only a courtesy */
    }
    return NULL;
}

/* Counts what it takes; -1 where a producer's letters are not in its order. */
static int consume(const struct letter *first, int *next_of) {
    int count = 0;
    for (; first != NULL; first = first->next, count++) {
        const struct numbered *letter = (const struct numbered *)(const void *)first;
        if (letter->number != next_of[letter->producer]++) return -1;
    }
    return count;
}

static void produce_all(void) {
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].index = i;
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
}

static void *close_at_the_end(void *context) {
    (void)context; /* there is none */
    for (int i = 0; i < PRODUCERS; i++)
        (void)pthread_join(producers[i].thread, NULL); /* of threads that are there, once each: it cannot fail */
    mailbox_close(&shared);
    return NULL;
}

static void many_producers_and_one_that_waits(void **state) {
    (void)state; /* there is none */
    pthread_t closer;
    int total = 0, next_of[PRODUCERS] = {0};
    const struct letter *first;
    mailbox_init(&shared, CAPACITY, -1);
    produce_all();
    assert_int_equal(pthread_create(&closer, NULL, close_at_the_end, NULL), 0);
    while ((first = mailbox_wait(&shared, 1 + (uint64_t)total % 12)) != NULL) {
        int count = consume(first, next_of);
        assert_true(count > 0);
        total += count;
    }
    assert_int_equal(total, PRODUCERS * EACH);
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_int_equal(shared.weight, 0);
    mailbox_done(&shared);
}

/* As the I/O threads read: asleep on the descriptor until it is written, then all that is there. */
static void many_producers_and_one_that_is_woken(void **state) {
    (void)state; /* there is none */
    pthread_t closer;
    int total = 0, next_of[PRODUCERS] = {0}, fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    mailbox_init(&shared, CAPACITY, fd);
    produce_all();
    assert_int_equal(pthread_create(&closer, NULL, close_at_the_end, NULL), 0);
    while (total < PRODUCERS * EACH) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        uint64_t ignored;
        assert_int_equal(poll(&ready, 1, -1), 1);
        assert_int_equal(read(fd, &ignored, sizeof ignored), sizeof ignored);
        const struct letter *first;
        while ((first = mailbox_take(&shared, 5)) != NULL) {
            int count = consume(first, next_of);
            assert_true(count > 0);
            total += count;
        }
    }
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_null(mailbox_take(&shared, 1));
    mailbox_done(&shared);
    assert_int_equal(close(fd), 0);
}

/* Two readers asleep at once, both let go by the end. */
static void *wait_for_the_end(void *context) {
    *(const struct letter **)context = mailbox_wait(&shared, 1);
    return NULL;
}

static void sleepers_are_woken(void **state) {
    (void)state;                                /* there is none */
    for (int round = 0; round < 200; round++) { /* asleep, about to be, or not there yet */
        pthread_t sleepers[2];
        const struct letter *got[2] = {&letters[0].letter, &letters[0].letter};
        mailbox_init(&shared, CAPACITY, -1);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&sleepers[i], NULL, wait_for_the_end, &got[i]), 0);
        for (int i = 0; i < round; i++)
            (void)sched_yield(); /* only a courtesy */
        mailbox_close(&shared);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pthread_join(sleepers[i], NULL), 0);
            assert_null(got[i]);
        }
        mailbox_done(&shared);
    }
}

/* Readers who take one letter each: as many as there are letters come to work, whatever was put in one go. The reader
 * who has one does not take the next until all have theirs. */
enum { READERS = 6 };
static pthread_barrier_t at_work;

static void *take_one(void *context) {
    *(const struct letter **)context = mailbox_wait(&shared, 1);
    (void)pthread_barrier_wait(&at_work); /* tells one thread that it is the last, which is nothing to us */
    return NULL;
}

static void each_letter_has_its_reader(void **state) {
    (void)state; /* there is none */
    for (int round = 0; round < 200; round++) {
        pthread_t readers[READERS];
        const struct letter *got[READERS] = {NULL};
        mailbox_init(&shared, CAPACITY, -1);
        assert_int_equal(pthread_barrier_init(&at_work, NULL, READERS), 0);
        for (int i = 0; i < READERS; i++)
            assert_int_equal(pthread_create(&readers[i], NULL, take_one, &got[i]), 0);
        for (int i = 0; i < round; i++)
            (void)sched_yield(); /* only a courtesy */
        for (int i = 0; i < READERS; i++) {
            letters[i].letter.weight = 1;
            assert_true(mailbox_put(&shared, &letters[i].letter));
        }
        for (int i = 0; i < READERS; i++) {
            assert_int_equal(pthread_join(readers[i], NULL), 0);
            assert_non_null(got[i]);
            for (int k = 0; k < i; k++)
                assert_ptr_not_equal(got[i], got[k]);
        }
        mailbox_close(&shared);
        mailbox_done(&shared);
        assert_int_equal(pthread_barrier_destroy(&at_work), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(capacities),
        cmocka_unit_test(taken_by_weight),
        cmocka_unit_test(lists_come_back),
        cmocka_unit_test(closed),
        cmocka_unit_test(wakes_when_it_fills),
        cmocka_unit_test(bugs_of_callers),
        cmocka_unit_test(many_producers_and_one_that_waits),
        cmocka_unit_test(many_producers_and_one_that_is_woken),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(each_letter_has_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
