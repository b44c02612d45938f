/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack: what its commands share. Only src/app/stack*.c include this. */
#ifndef PAYHOOK_APP_STACK_H
#define PAYHOOK_APP_STACK_H

#include "app/options.h"
#include "app/stack_screen.h"
#include "stack/apply.h"
#include "stack/show.h"

/* One run of one command. */
struct stack_run {
    const struct options *options;
    const char *word; /* the argument after the command's own words, or NULL */
    bool json, yes;
    struct stack_names names;
    struct aws *aws;
    char account[13];
    struct arena arena;
    struct writer message; /* the sentence of what went wrong; those of src/stack/ add to it */
    struct screen screen;
    struct stack_watcher watcher;
    struct deployment deployment; /* of TapStack-{s} */
    struct progress *progress;
};

int stack_preview(struct stack_run *run);
int stack_up(struct stack_run *run);
int stack_outputs(struct stack_run *run);
int stack_destroy(struct stack_run *run);
int stack_template(struct stack_run *run);
int stack_secret_set(struct stack_run *run);

/* Opens what all but template need. Called once a command's own words are looked at. False: message says why. */
bool stack_connect(struct stack_run *run);
/* The message as one sentence on stderr, and emptied. Gives back code. */
int stack_complain(struct stack_run *run, int code);
/* One that no command ends with. */
void stack_remark(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A deployment of another stack, by the same person. */
struct deployment stack_deployment(struct stack_run *run, struct str stack);
/* Deployed by this program, or by its template: what else has that name is not touched. Where it is not: a sentence,
 * and false. */
bool stack_is_ours(struct stack_run *run, const struct stack_description *stack);
/* STACK_DONE: "done", and so on. */
const char *stack_end_word(enum stack_end end);
/* The name of the artifact bucket that is made here. */
void stack_bucket_name(const struct stack_run *run, char *ret_name, size_t size);

/* Shows what show_… has written: to standard output and, where somebody will be asked who does not see that, to
 * standard error. show is called once for each, with its style. */
typedef void stack_shower(const void *context, struct show_style style, struct writer *out);
bool stack_print(struct stack_run *run, FILE *out, stack_shower *show, const void *context);
/* True: yes. Else it has said that nothing was done, and why. */
bool stack_ask(struct stack_run *run, const char *question, bool yes_in_full);

#endif
