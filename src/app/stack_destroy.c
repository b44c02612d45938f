/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack destroy: says what goes with the stack, asks, deletes, and then removes this deployment's zips; with
 * the last deployment of the region the bucket that was made for them goes as well. A destroy that broke off after the
 * stack was gone ends what is left when it is typed again. */
#include "app/stack.h"

#include "stack/adopt.h"
#include "stack/artifact.h"
#include "stack/call.h"
#include "stack/secret.h"

#include <unistd.h>

enum { SUMMARY_SIZE = 8192 };

struct removal {
    struct stack_run *run;
    struct stack_description stack;
    char summary_text[SUMMARY_SIZE];
    struct writer summary; /* what goes, in lines */
    size_t sources;
    bool has_items;
    bool has_progress;
    enum stack_end end;
};

/* -- What goes ------------------------------------------------------------------------------------------- */

/* The stack only took over what ran before, and no update has made it ours: its resources stay (deploy/import.yaml). */
static bool keeps_all(const struct removal *removal) {
    const struct stack_description *stack = &removal->stack;
    for (size_t i = 0; i < stack->parameter_count; i++)
        if (str_eq(stack->parameters[i].key, STR("ArtifactKey"))) return false;
    return stack->parameter_count > 0;
}

static void say_trouble(struct removal *removal, const char *what) {
    struct stack_run *run = removal->run;
    writer_format(&removal->summary, "  - %s (it could not be looked at: ", what);
    writer_put(&removal->summary, writer_str(&run->message));
    writer_put(&removal->summary, STR(")\n"));
    run->message.len = 0;
}

static void say_table(struct removal *removal) {
    struct stack_run *run = removal->run;
    struct table_contents contents;
    char what[STACK_NAME_MAX + 16];
    (void)snprintf(what, sizeof what, "table %s", run->names.table);
    struct err failure = adopt_table_contents(run->aws, run->names.table, &run->message, &contents);
    removal->has_items = !err_is(failure) && !contents.is_empty;
    if (failure.kind == ERR_ABSENT) {
        run->message.len = 0;
    } else if (err_is(failure)) {
        say_trouble(removal, what);
    } else if (contents.is_empty) {
        writer_format(&removal->summary, "  - %s, which is empty\n", what);
    } else if (contents.item_count_about == 0) {
        writer_format(&removal->summary, "  - %s with its transactions\n", what);
    } else {
        writer_format(&removal->summary, "  - %s with about %llu transactions (counted every six hours)\n", what,
                      (unsigned long long)contents.item_count_about);
    }
}

static void each_source(void *context, struct str name) {
    struct removal *removal = context;
    writer_put(&removal->summary, removal->sources++ == 0 ? STR(" with the keys of ") : STR(", "));
    stack_text(&removal->summary, name);
}

static void say_secret(struct removal *removal) {
    struct stack_run *run = removal->run;
    char what[STACK_NAME_MAX + 16];
    size_t before = removal->summary.len;
    (void)snprintf(what, sizeof what, "secret %s", run->names.secret);
    writer_format(&removal->summary, "  - %s", what);
    struct err failure = secret_each_source(run->aws, str_from(run->names.secret), &run->message, each_source, removal);
    if (!err_is(failure)) {
        writer_put(&removal->summary, STR("\n"));
        return;
    }
    removal->summary.len = before;
    if (failure.kind == ERR_ABSENT)
        run->message.len = 0;
    else
        say_trouble(removal, what);
}

static void show_summary(const void *context, struct show_style style, struct writer *out) {
    const struct removal *removal = context;
    const struct stack_run *run = removal->run;
    (void)style; /* sentences, not a table */
    writer_format(out, "%s in %s, account %s: ", run->names.stack, aws_region(run->aws), run->account);
    if (keeps_all(removal)) {
        writer_put(out, STR("the stack is deleted, and what it took over stays as it is.\n"));
        return;
    }
    writer_put(out, STR("everything is deleted, for good:\n"));
    writer_put(out, writer_str(&removal->summary));
    writer_format(out, "  - function %s, its URL, its role and its logs\n", run->names.function);
    if (removal->has_items) writer_put(out, STR("DynamoDB keeps a last backup of the table for 35 days.\n"));
}

static bool summarize(struct removal *removal) {
    struct stack_run *run = removal->run;
    if (!keeps_all(removal)) {
        say_table(removal);
        say_secret(removal);
    }
    bool asks = !run->yes && screen_can_ask();
    bool good = run->json || stack_print(run, stdout, show_summary, removal);
    if (good && asks && (run->json || isatty(STDOUT_FILENO) != 1))
        good = stack_print(run, stderr, show_summary, removal);
    return good;
}

/* -- What is done ---------------------------------------------------------------------------------------- */

static void show_failure(const void *context, struct show_style style, struct writer *out) {
    show_cause(context, style, out);
}

static bool delete_stack(struct removal *removal, struct str name, enum stack_end *ret_end) {
    struct stack_run *run = removal->run;
    struct deployment deployment = stack_deployment(run, name);
    screen_begin(&run->screen);
    *ret_end = deployment_destroy(&deployment, run->progress);
    removal->has_progress = *ret_end != STACK_NOTHING;
    if (*ret_end == STACK_FAILED) (void)stack_print(run, stderr, show_failure, run->progress);
    return *ret_end == STACK_DONE || *ret_end == STACK_NOTHING;
}

/* The zips of this deployment, and the bucket with the last of them. */
static bool remove_zips(struct removal *removal) {
    struct stack_run *run = removal->run;
    const struct stack_description *stack = &removal->stack;
    char own[BUCKET_NAME_MAX * 2], bucket[BUCKET_NAME_MAX * 2];
    bool others = true;
    stack_bucket_name(run, own, sizeof own);
    struct str used = stack_pair_value(stack->parameters, stack->parameter_count, STR("ArtifactBucket"));
    struct writer w = writer_make(bucket, sizeof bucket);
    writer_put(&w, used.len > 0 ? used : str_from(own));
    screen_begin(&run->screen);
    screen_show(&run->screen, NULL, "deleting the function's zips", run->watcher.now_us(NULL));
    struct err failure = artifact_remove(run->aws, writer_cstr(&w), run->account, &run->names, &run->message, &others);
    if (err_is(failure)) return false;
    enum stack_end end;
    if (others || strcmp(bucket, own) != 0) return true;
    return delete_stack(removal, STR(STACK_ARTIFACTS), &end);
}

/* False: message says why. */
static bool destroy(struct removal *removal) {
    struct stack_run *run = removal->run;
    struct stack_description *stack = &removal->stack;
    char question[STACK_NAME_MAX + 64];
    if (!stack_connect(run) || deployment_look(&run->deployment, stack) != STACK_DONE) return false;
    if (!stack_is_ours(run, stack)) {
        removal->end = STACK_REFUSED;
        return false;
    }
    if (stack->exists) {
        if (!summarize(removal)) return false;
        (void)snprintf(question, sizeof question, "Delete %s? Type yes: ", run->names.stack);
        removal->end = STACK_REFUSED;
        if (!stack_ask(run, question, true)) return false;
        if (!delete_stack(removal, str_from(run->names.stack), &removal->end)) return false;
    } else {
        removal->end = STACK_NOTHING;
        stack_remark("There is no stack %s in %s of account %s: nothing to delete.", run->names.stack,
                     aws_region(run->aws), run->account);
    }
    if (remove_zips(removal)) return true;
    removal->end = screen_stopped() ? STACK_STOPPED : STACK_FAILED;
    stack_remark("The stack is gone; typing the same command again removes what is left of its zips:");
    return false;
}

static void show_report(const void *context, struct show_style style, struct writer *out) {
    const struct removal *removal = context;
    (void)style;
    writer_format(out, "{\"result\": \"%s\", \"failure\": ", stack_end_word(removal->end));
    if (removal->has_progress)
        show_cause_json(removal->run->progress, out);
    else
        writer_put(out, STR("null"));
    writer_put(out, STR("}\n"));
}

int stack_destroy(struct stack_run *run) {
    struct removal removal = {.run = run, .end = STACK_FAILED};
    removal.summary = writer_make(removal.summary_text, sizeof removal.summary_text);
    int code = destroy(&removal) ? EXIT_DONE : stack_complain(run, EXIT_FAILED);
    if (run->json && !stack_print(run, stdout, show_report, &removal)) code = stack_complain(run, EXIT_FAILED);
    if (!run->json && code == EXIT_DONE && removal.end == STACK_DONE) stack_remark("%s is gone.", run->names.stack);
    return code;
}
