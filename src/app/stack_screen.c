/* SPDX-License-Identifier: Apache-2.0 */
/* On a terminal a drawing moves up over the last one and replaces it line by line, so that nothing flickers; a tree
 * that is higher than the window cannot be reached again and is told in plain lines, as in a log: one for each thing
 * that has moved, and one a while where nothing has. It decides nothing about a deployment. */
#include "app/stack_screen.h"

#include "base/os.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum {
    COLUMNS_USUAL = 80,
    COLUMNS_MIN = 40,
    COLUMNS_MAX = 500, /* also of what is no terminal */
    SILENCE_US = 30000000,
};

/* -- What the output is ---------------------------------------------------------------------------------- */

static uint32_t bounded(uint32_t columns) {
    return columns < COLUMNS_MIN ? COLUMNS_MIN : columns > COLUMNS_MAX ? COLUMNS_MAX : columns;
}

struct screen_look screen_look_of(const struct screen_facts *facts) {
    bool dumb = facts->term == NULL || *facts->term == '\0' || strcmp(facts->term, "dumb") == 0;
    bool no_color = facts->no_color != NULL && *facts->no_color != '\0'; /* no-color.org */
    uint64_t given = 0;
    bool has_columns = facts->columns != NULL && str_u64(str_from(facts->columns), UINT16_MAX, &given) && given > 0;
    uint32_t width = facts->window_columns > 0 ? facts->window_columns
                     : facts->is_terminal      ? COLUMNS_USUAL
                                               : COLUMNS_MAX;
    /* A COLUMNS that is wider than the window would have its lines wrapped. */
    if (has_columns && (given < width || facts->window_columns == 0)) width = (uint32_t)given;
    return (struct screen_look){
        .style = {.width = bounded(width), .colors = facts->is_terminal && !dumb && !no_color},
        .redraws = facts->is_terminal && !dumb && (facts->window_columns == 0 || facts->window_columns >= COLUMNS_MIN),
        .rows = facts->window_rows,
    };
}

struct screen_look screen_look_at(FILE *out) {
    struct winsize window = {0};
    struct screen_facts facts = {
        .is_terminal = isatty(fileno(out)) == 1,
        .term = getenv("TERM"),
        .no_color = getenv("NO_COLOR"),
        .columns = getenv("COLUMNS"),
    };
    if (facts.is_terminal && ioctl(fileno(out), TIOCGWINSZ, &window) == 0) {
        facts.window_columns = window.ws_col;
        facts.window_rows = window.ws_row;
    }
    return screen_look_of(&facts);
}

/* -- Drawing --------------------------------------------------------------------------------------------- */

static void put(FILE *out, struct str s) {
    (void)fwrite(s.ptr, 1, s.len, out); /* whoever watches has gone: the deployment goes on */
}

/* Over what was drawn before, and whatever of it is left below goes. */
static void redraw(struct screen *screen, struct str text, uint32_t width) {
    struct str line;
    if (screen->drawn_width != width) screen->drawn_lines = 0; /* the terminal has broken its lines anew */
    if (screen->drawn_lines > 0) fprintf(screen->out, "\x1b[%zuA\r", screen->drawn_lines);
    screen->drawn_lines = 0;
    screen->drawn_width = width;
    while (str_cut(text, '\n', &line, &text)) {
        put(screen->out, line);
        (void)fputs("\x1b[K\n", screen->out);
        screen->drawn_lines++;
    }
    (void)fputs("\x1b[J", screen->out);
    (void)fflush(screen->out);
}

static void draw(struct screen *screen, const struct screen_look *look, const struct progress *progress,
                 const char *phase, int64_t wall_us) {
    struct writer w = writer_make(screen->memory, SCREEN_SIZE);
    char place[sizeof screen->phase + 32];
    struct writer heading = writer_make(place, sizeof place);
    writer_put(&heading, str_from(phase));
    int64_t seconds = (wall_us - screen->phase_began_us) / 1000000;
    if (progress == NULL && seconds > 0) writer_format(&heading, ", %llds", (long long)seconds);
    show_heading(writer_str(&heading), look->style, &w);
    if (progress != NULL) show_progress(progress, wall_us, look->style, &w);
    screen->drawn_tree = progress != NULL;
    if (!w.overflow) redraw(screen, writer_str(&w), look->style.width);
}

static void tell_row(struct screen *screen, const struct progress_row *row, size_t index, int64_t wall_us) {
    char *told = screen->told[index];
    if (row->status[0] == '\0' || strcmp(told, row->status) == 0) return;
    screen->told_us = wall_us;
    memcpy(told, row->status, sizeof screen->told[0]);
    struct writer w = writer_make(screen->memory, SCREEN_SIZE);
    show_progress_row(row, &w);
    put(screen->out, writer_str(&w));
}

static void tell(struct screen *screen, const struct progress *progress, bool new_phase, const char *phase,
                 int64_t wall_us) {
    if (new_phase) {
        fprintf(screen->out, "%s\n", phase);
        screen->told_us = wall_us;
    }
    for (size_t i = 0; progress != NULL && i < progress->row_count; i++)
        tell_row(screen, &progress->rows[i], i, wall_us);
    if (progress != NULL) tell_row(screen, &progress->stack, STACK_CHANGES_MAX, wall_us);
    if (wall_us - screen->told_us >= SILENCE_US) {
        fprintf(screen->out, "%s, %llds\n", phase, (long long)((wall_us - screen->phase_began_us) / 1000000));
        screen->told_us = wall_us;
    }
    (void)fflush(screen->out);
}

void screen_show(struct screen *screen, const struct progress *progress, const char *phase, int64_t wall_us) {
    struct screen_look look = screen->look(screen->out);
    char kept[sizeof screen->phase];
    struct writer w = writer_make(kept, sizeof kept);
    writer_put(&w, str_make(phase, strnlen(phase, sizeof kept - 1)));
    bool new_phase = strcmp(writer_cstr(&w), screen->phase) != 0;
    if (new_phase) {
        memcpy(screen->phase, kept, w.len + 1);
        screen->phase_began_us = wall_us;
    }
    size_t lines = 1 + (progress != NULL ? progress->row_count + 1 : 0);
    bool fits = look.rows == 0 || lines < look.rows;
    if (look.redraws && fits)
        draw(screen, &look, progress, screen->phase, wall_us);
    else
        tell(screen, progress, new_phase, screen->phase, wall_us);
}

void screen_begin(struct screen *screen) {
    if (screen->drawn_lines > 0 && !screen->drawn_tree) {
        fprintf(screen->out, "\x1b[%zuA\r\x1b[J", screen->drawn_lines);
        (void)fflush(screen->out);
    }
    screen->drawn_lines = 0;
    screen->phase[0] = '\0';
    memset(screen->told, 0, sizeof screen->told);
}

/* -- The person ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t interrupted;
static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

bool screen_stopped(void) { return interrupted != 0; }

/* Waits until input can be read, or ms (-1: for ever), or a signal, also one that came just before. True: there is
 * input. */
static bool wait_for_input(struct pollfd *input, int ms) {
    sigset_t stops, before;
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    check(sigemptyset(&stops) == 0 && sigaddset(&stops, SIGINT) == 0 && sigaddset(&stops, SIGTERM) == 0);
    check(pthread_sigmask(SIG_BLOCK, &stops, &before) == 0);
    bool ready = !screen_stopped() && ppoll(input, input != NULL ? 1 : 0, ms >= 0 ? &time : NULL, &before) > 0;
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return ready;
}

void screen_open(struct screen *screen, FILE *out, struct screen_look (*look)(FILE *out)) {
    memset(screen, 0, sizeof *screen);
    screen->out = out;
    screen->look = look;
    screen->memory = malloc(SCREEN_SIZE);
    check(screen->memory != NULL);
    /* No SA_RESTART: what waits is to wake up. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    check(sigaction(SIGINT, &action, NULL) == 0);
    check(sigaction(SIGTERM, &action, NULL) == 0);
}

void screen_close(struct screen *screen) {
    free(screen->memory);
    screen->memory = NULL;
}

static void watcher_moved(void *context, const struct progress *progress, const char *phase) {
    screen_show(context, progress, phase, os_wall_us());
}
static bool watcher_stopped(void *context) {
    (void)context; /* there is one person */
    return screen_stopped();
}
static int64_t watcher_now(void *context) {
    (void)context; /* and one time */
    return os_wall_us();
}
static void watcher_pause(void *context, uint32_t ms) {
    (void)context;
    (void)wait_for_input(NULL, (int)ms); /* there is none, but a signal ends it early */
}

struct stack_watcher screen_watcher(struct screen *screen) {
    return (struct stack_watcher){
        .context = screen,
        .moved = watcher_moved,
        .stopped = watcher_stopped,
        .now_us = watcher_now,
        .pause = watcher_pause,
    };
}

bool screen_can_ask(void) { return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1; }

bool screen_ask(const char *question, bool yes_in_full) {
    char answer[64];
    size_t size = 0;
    (void)tcflush(STDIN_FILENO, TCIFLUSH); /* what was typed before the question is no answer to it */
    fprintf(stderr, "%s", question);
    (void)fflush(stderr);
    while (size < sizeof answer) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        bool ready = wait_for_input(&input, -1);
        if (!ready && !screen_stopped()) continue; /* another signal */
        if (!ready || read(STDIN_FILENO, answer + size, 1) != 1) {
            (void)fputc('\n', stderr);
            return false;
        }
        if (answer[size] == '\n') break;
        size++;
    }
    struct str word = str_trim(str_make(answer, size));
    return str_eq_nocase(word, STR("yes")) || (!yes_in_full && str_eq_nocase(word, STR("y")));
}
