/* SPDX-License-Identifier: Apache-2.0 */
/* What an output is taken for, and what is written to it: drawn again in its place, or told line by line. */
#include "app/stack_screen.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NOW          INT64_C(1764000000000000)
#define SECOND       INT64_C(1000000)

static void looks(void **state) {
    (void)state; /* there is none */
    static const struct {
        struct screen_facts facts;
        uint32_t width;
        bool colors, redraws;
    } cases[] = {
        {{true, "xterm", NULL, NULL, 100, 30}, 100, true, true},
        {{true, "xterm", NULL, NULL, 0, 0}, 80, true, true},
        {{true, "dumb", NULL, NULL, 100, 30}, 100, false, false},
        {{true, NULL, NULL, NULL, 100, 30}, 100, false, false},
        {{true, "", NULL, NULL, 100, 30}, 100, false, false},
        {{true, "xterm", "1", NULL, 100, 30}, 100, false, true},
        {{true, "xterm", "", NULL, 100, 30}, 100, true, true},
        {{true, "xterm", NULL, "60", 100, 30}, 60, true, true},
        {{true, "xterm", NULL, "200", 100, 30}, 100, true, true}, /* its lines would be wrapped */
        {{true, "xterm", NULL, "200", 0, 0}, 200, true, true},
        {{true, "xterm", NULL, "0", 100, 30}, 100, true, true},
        {{true, "xterm", NULL, "wide", 100, 30}, 100, true, true},
        {{true, "xterm", NULL, "-5", 100, 30}, 100, true, true},
        {{true, "xterm", NULL, "10", 100, 30}, 40, true, true},
        {{true, "xterm", NULL, NULL, 20, 30}, 40, true, false}, /* 40 columns would be wrapped */
        {{true, "xterm", NULL, NULL, 65535, 30}, 500, true, true},
        {{false, "xterm", NULL, NULL, 0, 0}, 500, false, false},
        {{false, "xterm", NULL, "80", 0, 0}, 80, false, false},
        {{false, NULL, NULL, "99999999999999999999", 0, 0}, 500, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct screen_look look = screen_look_of(&cases[i].facts);
        print_message("%zu\n", i);
        assert_int_equal(look.style.width, cases[i].width);
        assert_int_equal(look.style.colors, cases[i].colors);
        assert_int_equal(look.redraws, cases[i].redraws);
        assert_int_equal(look.rows, cases[i].facts.window_rows);
    }
}

/* -- A screen whose look the test sets ------------------------------------------------------------------- */

static struct screen_look now_look;
static struct screen_look look_now(FILE *out) {
    (void)out; /* there is one */
    return now_look;
}

struct world {
    struct screen screen;
    struct progress progress;
    FILE *out;
    char *text;
    size_t size;
};

static struct world *world_open(struct screen_look look) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    now_look = look;
    w->out = open_memstream(&w->text, &w->size);
    assert_non_null(w->out);
    screen_open(&w->screen, w->out, look_now);
    progress_start(&w->progress, NOW);
    progress_expect(&w->progress, STR("Table"), STR("AWS::DynamoDB::Table"));
    return w;
}

static void world_close(struct world *w) {
    screen_close(&w->screen);
    assert_int_equal(fclose(w->out), 0);
    free(w->text);
    free(w);
}

/* What was written since the last call. */
static void assert_written(struct world *w, const char *expected) {
    assert_int_equal(fflush(w->out), 0);
    assert_string_equal(w->text, expected);
    assert_int_equal(fclose(w->out), 0);
    free(w->text);
    w->out = w->screen.out = open_memstream(&w->text, &w->size);
    assert_non_null(w->out);
}

static void event(struct world *w, const char *id, const char *status, bool is_stack) {
    static unsigned number;
    char name[32];
    (void)snprintf(name, sizeof name, "%u", number++);
    assert_true(progress_add(&w->progress, &(const struct stack_event){
                                               .event_id = str_from(name),
                                               .logical_id = str_from(id),
                                               .type = STR("T"),
                                               .status = str_from(status),
                                               .reason = STR(""),
                                               .at_us = NOW + SECOND,
                                               .is_stack = is_stack,
                                           }));
}

static const struct screen_look terminal = {.style = {.width = 40}, .redraws = true, .rows = 24};
static const struct screen_look file = {.style = {.width = 500}};

static void redraws(void **state) {
    (void)state; /* there is none */
    struct world *w = world_open(terminal);
    screen_show(&w->screen, NULL, "comparing", NOW);
    assert_written(w, "comparing\x1b[K\n\x1b[J");
    screen_show(&w->screen, NULL, "comparing", NOW + 2 * SECOND);
    assert_written(w, "\x1b[1A\rcomparing, 2s\x1b[K\n\x1b[J");
    /* A line that said what goes on gives way to a tree, and goes before other words. */
    screen_begin(&w->screen);
    assert_written(w, "\x1b[1A\r\x1b[J");
    event(w, "S", "CREATE_IN_PROGRESS", true);
    screen_show(&w->screen, &w->progress, "creating", NOW + SECOND);
    assert_written(w, "creating\x1b[K\n· Table  waiting\x1b[K\n• S      CREATE_IN_PROGRESS     0s\x1b[K\n\x1b[J");
    event(w, "Table", "CREATE_COMPLETE", false);
    screen_show(&w->screen, &w->progress, "creating", NOW + 3 * SECOND);
    assert_written(w, "\x1b[3A\rcreating\x1b[K\n✓ Table  CREATE_COMPLETE        0s\x1b[K\n"
                      "• S      CREATE_IN_PROGRESS     2s\x1b[K\n\x1b[J");
    /* The window was made narrower: what stands there is left, and drawn anew below. */
    now_look.style.width = 50;
    screen_show(&w->screen, &w->progress, "creating", NOW + 3 * SECOND);
    assert_written(w, "creating\x1b[K\n✓ Table  CREATE_COMPLETE        0s\x1b[K\n"
                      "• S      CREATE_IN_PROGRESS     2s\x1b[K\n\x1b[J");
    /* A tree stays. */
    screen_begin(&w->screen);
    screen_show(&w->screen, NULL, "a phase that is longer than the window is wide, and is cut", NOW);
    assert_written(w, "a phase that is longer than the window is wide, a…\x1b[K\n\x1b[J");
    world_close(w);
}

/* A tree that is higher than the window, and what is no terminal: plain lines, each once. */
static void tells(void **state) {
    (void)state; /* there is none */
    static const struct screen_look low = {.style = {.width = 80}, .redraws = true, .rows = 3};
    const struct screen_look *const all[] = {&file, &low};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct world *w = world_open(*all[i]);
        screen_show(&w->screen, &w->progress, "creating", NOW);
        assert_written(w, "creating\n");
        screen_show(&w->screen, &w->progress, "creating", NOW + 5 * SECOND);
        assert_written(w, "");
        event(w, "Table", "CREATE_IN_PROGRESS", false);
        screen_show(&w->screen, &w->progress, "creating", NOW + 6 * SECOND);
        assert_written(w, "CREATE_IN_PROGRESS  Table (AWS::DynamoDB::Table)\n");
        screen_show(&w->screen, &w->progress, "creating", NOW + 35 * SECOND);
        assert_written(w, "");
        screen_show(&w->screen, &w->progress, "creating", NOW + 36 * SECOND);
        assert_written(w, "creating, 36s\n");
        event(w, "Table", "CREATE_COMPLETE", false);
        event(w, "S", "CREATE_COMPLETE", true);
        screen_show(&w->screen, &w->progress, "creating", NOW + 37 * SECOND);
        assert_written(w, "CREATE_COMPLETE     Table (AWS::DynamoDB::Table), 0s\nCREATE_COMPLETE     S (T), 0s\n");
        /* The next operation tells its own. */
        screen_begin(&w->screen);
        screen_show(&w->screen, &w->progress, "creating", NOW + 38 * SECOND);
        assert_written(
            w, "creating\nCREATE_COMPLETE     Table (AWS::DynamoDB::Table), 0s\nCREATE_COMPLETE     S (T), 0s\n");
        world_close(w);
    }
}

static void long_phases(void **state) {
    (void)state; /* there is none */
    struct world *w = world_open(file);
    char phase[2000], expected[600];
    memset(phase, 'p', sizeof phase);
    phase[sizeof phase - 1] = '\0';
    screen_show(&w->screen, NULL, phase, NOW);
    (void)snprintf(expected, sizeof expected, "%.*s\n", (int)sizeof w->screen.phase - 1, phase);
    assert_written(w, expected);
    screen_show(&w->screen, NULL, phase, NOW + SECOND);
    assert_written(w, "");
    world_close(w);
}

/* A signal ends a pause early, also one that came before it; a second one would end the program. */
static void interruption(void **state) {
    (void)state; /* there is none */
    struct world *w = world_open(file);
    struct stack_watcher watcher = screen_watcher(&w->screen);
    assert_false(watcher.stopped(watcher.context));
    watcher.pause(watcher.context, 1);
    assert_false(watcher.stopped(watcher.context));
    assert_int_equal(raise(SIGINT), 0);
    assert_true(watcher.stopped(watcher.context));
    int64_t before_us = watcher.now_us(watcher.context);
    watcher.pause(watcher.context, 600000);
    assert_true(watcher.now_us(watcher.context) - before_us < 60 * SECOND);
    struct sigaction action;
    assert_int_equal(sigaction(SIGINT, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    world_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks),       cmocka_unit_test(redraws),      cmocka_unit_test(tells),
        cmocka_unit_test(long_phases), cmocka_unit_test(interruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
