/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of somebody who watches a deployment: a tree that is drawn again in its place, or plain lines where that
 * cannot be; questions; Ctrl-C. Progress and questions go to standard error. */
#ifndef PAYHOOK_APP_STACK_SCREEN_H
#define PAYHOOK_APP_STACK_SCREEN_H

#include "stack/apply.h"
#include "stack/show.h"

#include <stdio.h>

/* What is known of an output. */
struct screen_facts {
    bool is_terminal;
    const char *term, *no_color, *columns; /* TERM, NO_COLOR, COLUMNS; NULL where not set */
    uint32_t window_columns, window_rows;  /* 0: not known */
};
struct screen_look {
    struct show_style style;
    bool redraws;
    uint32_t rows; /* of the window; 0: not known */
};
/* Pure. What is no terminal is not cut, unless COLUMNS says so. */
struct screen_look screen_look_of(const struct screen_facts *facts);
/* Of standard output or standard error, as it is now. */
struct screen_look screen_look_at(FILE *out);

struct screen {
    FILE *out;
    struct screen_look (*look)(FILE *out);
    char *memory; /* SCREEN_SIZE, for what is drawn */
    size_t drawn_lines;
    bool drawn_tree;
    uint32_t drawn_width;
    char phase[512]; /* the last one told in plain lines; where it redraws, the last one drawn */
    int64_t phase_began_us, told_us;
    char told[STACK_CHANGES_MAX + 1][STACK_STATUS_MAX]; /* statuses told in plain lines, the stack's last */
};
enum { SCREEN_SIZE = 1 << 20 };

/* Takes memory; notices SIGINT and SIGTERM from here on (a second one ends the program at once). */
void screen_open(struct screen *screen, FILE *out, struct screen_look (*look)(FILE *out));
void screen_close(struct screen *screen);
/* A tree that is drawn stays, and what is drawn next stands below it; a line that said what went on goes. Also before
 * anything else is written. */
void screen_begin(struct screen *screen);
/* Shows how far it is. progress may be NULL. */
void screen_show(struct screen *screen, const struct progress *progress, const char *phase, int64_t wall_us);
/* A watcher that shows on this screen; its context is the screen. */
struct stack_watcher screen_watcher(struct screen *screen);
/* Somebody pressed Ctrl-C. */
bool screen_stopped(void);

/* Standard input and standard error are a terminal, so that somebody can be asked. */
bool screen_can_ask(void);
/* Asks, and reads a line. True: it is "yes", or "y" where that is enough. */
bool screen_ask(const char *question, bool yes_in_full);

#endif
