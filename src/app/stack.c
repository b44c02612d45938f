/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack: the user's TapStack in AWS, by one command each. This file finds the command, looks at its options,
 * and opens what all of them need; what they do stands in src/app/stack_*.c, and how CloudFormation is driven in
 * src/stack/. No sandbox: it reads the operator's own profile and files, and serves nobody. */
#include "app/stack.h"

#include "base/nearest.h"
#include "stack/artifact.h"

#include <stdarg.h>
#include <stdlib.h>

enum { MESSAGE_SIZE = 1 << 16, SHOWN_SIZE = 16 << 20, POLL_MS_MIN = 500, POLL_MS_MAX = 2000 };

/* One row a command; options beside those of ALL, and the words that may follow. */
#define ALL OPTION_SUFFIX, OPTION_JSON
#define AWS ALL, OPTION_REGION, OPTION_PROFILE
#define WANTED                                                                                                         \
    AWS, OPTION_TAG, OPTION_ARCH, OPTION_AUTH, OPTION_CORS_ORIGIN, OPTION_BUCKET, OPTION_ZIP, OPTION_IMPORT,           \
        OPTION_ALLOW_REPLACE
// clang-format off
static const struct verb {
    const char *name, *second; /* "secret", "set" */
    int (*run)(struct stack_run *run);
    const char *word;          /* what may follow, or NULL */
    bool word_needed;
    enum option_id options[16];
    size_t option_count;
} verbs[] = {
    {"preview", NULL, stack_preview, NULL, false, {WANTED}, 12},
    {"up", NULL, stack_up, NULL, false, {WANTED, OPTION_YES}, 13},
    {"outputs", NULL, stack_outputs, "NAME", false, {AWS}, 4},
    {"destroy", NULL, stack_destroy, NULL, false, {AWS, OPTION_YES}, 5},
    {"template", NULL, stack_template, NULL, false, {0}, 0},
    {"secret", "set", stack_secret_set, "SOURCE", true, {AWS, OPTION_FROM, OPTION_PROVIDER, OPTION_SET}, 7},
};
// clang-format on
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static const char *verb_at(size_t index) { return index < VERB_COUNT ? verbs[index].name : NULL; }

static const struct verb *find_verb(const struct options *options, int *ret_code) {
    const char *word = options->words[0];
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const struct verb *verb = &verbs[i];
        if (strcmp(verb->name, word) != 0) continue;
        size_t own = verb->second != NULL ? 2 : 1, extra = options->word_count - 1;
        if (verb->second != NULL) {
            if (options->word_count < 2 || strcmp(options->words[1], verb->second) != 0) {
                *ret_code = complain(EXIT_USAGE, "usage: payhook stack %s %s %s; see payhook stack --help", verb->name,
                                     verb->second, verb->word);
                return NULL;
            }
            extra--;
        }
        if (extra > (verb->word != NULL ? 1 : 0)) {
            *ret_code = complain(EXIT_USAGE, "stack %s does not know what to do with \"%s\"; see payhook stack --help",
                                 verb->name, options->words[own + (verb->word != NULL ? 1 : 0)]);
            return NULL;
        }
        if (extra == 0 && verb->word_needed) {
            *ret_code = complain(EXIT_USAGE, "usage: payhook stack %s %s %s; see payhook stack --help", verb->name,
                                 verb->second != NULL ? verb->second : "", verb->word);
            return NULL;
        }
        return verb;
    }
    const char *nearest = nearest_word(str_from(word), verb_at);
    *ret_code = nearest != NULL
                    ? complain(EXIT_USAGE, "stack has no command \"%s\"; did you mean %s?", word, nearest)
                    : complain(EXIT_USAGE,
                               "stack has preview, up, outputs, destroy, template and secret set, not \"%s\"", word);
    return NULL;
}

/* An option that the command would pass over silently is refused, since somebody meant something by it. */
static bool options_fit(const struct options *options, const struct verb *verb, int *ret_code) {
    for (size_t i = 0; i < options->given_count; i++) {
        bool fits = false;
        for (size_t k = 0; k < verb->option_count; k++)
            fits = fits || verb->options[k] == options->given[i].id;
        if (fits) continue;
        *ret_code = complain(EXIT_USAGE, "stack %s%s%s has no use for --%s; see payhook stack --help", verb->name,
                             verb->second != NULL ? " " : "", verb->second != NULL ? verb->second : "",
                             option_name(options->given[i].id));
        return false;
    }
    return true;
}

/* --suffix, else ENVIRONMENT_SUFFIX, else dev; empty counts as not given (spec/stack.md). */
static bool read_suffix(const struct options *options, struct stack_names *ret_names, int *ret_code) {
    const char *suffix = option_value(options, OPTION_SUFFIX);
    if (suffix == NULL || *suffix == '\0') suffix = getenv("ENVIRONMENT_SUFFIX");
    if (suffix == NULL || *suffix == '\0') suffix = "dev";
    if (!stack_suffix_is_good(str_from(suffix))) {
        char text[256];
        struct writer shown = writer_make(text, sizeof text - 1);
        writer_escaped(&shown, str_from(suffix));
        *ret_code = complain(EXIT_USAGE,
                             "\"%s\" is no suffix: it is 1 to %d lower-case letters, digits and '-', such "
                             "as dev (--suffix, or ENVIRONMENT_SUFFIX)",
                             writer_cstr(&shown), STACK_SUFFIX_MAX);
        return false;
    }
    stack_names_make(str_from(suffix), ret_names);
    return true;
}

/* How often it looks, for tests. */
static void set_pace(struct deployment *deployment) {
    const char *text = getenv("PAYHOOK_STACK_POLL_MS");
    uint64_t ms;
    deployment->poll_ms_min = POLL_MS_MIN;
    deployment->poll_ms_max = POLL_MS_MAX;
    if (text == NULL || !str_u64(str_from(text), 60000, &ms) || ms == 0) return;
    deployment->poll_ms_min = deployment->poll_ms_max = (uint32_t)ms;
}

struct deployment stack_deployment(struct stack_run *run, struct str stack) {
    struct deployment deployment = {
        .aws = run->aws,
        .arena = &run->arena,
        .watcher = &run->watcher,
        .message = &run->message,
        .stack = stack,
        .account = str_from(run->account),
    };
    set_pace(&deployment);
    return deployment;
}

int command_stack(const struct options *options) {
    struct stack_run run = {.options = options};
    int code;
    const struct verb *verb = find_verb(options, &code);
    if (verb == NULL || !options_fit(options, verb, &code) || !read_suffix(options, &run.names, &code)) return code;
    size_t own = verb->second != NULL ? 2 : 1;
    run.word = options->word_count > own ? options->words[own] : NULL;
    run.json = option_set(options, OPTION_JSON);
    run.yes = option_set(options, OPTION_YES);

    char *memory = malloc(STACK_ARENA_SIZE), *message = malloc(MESSAGE_SIZE);
    run.progress = malloc(sizeof *run.progress);
    check(memory != NULL && message != NULL && run.progress != NULL);
    run.arena = arena_make(memory, STACK_ARENA_SIZE);
    run.message = writer_make(message, MESSAGE_SIZE);
    screen_open(&run.screen, stderr, screen_look_at);
    run.watcher = screen_watcher(&run.screen);
    code = verb->run(&run);
    screen_close(&run.screen);
    aws_close(run.aws);
    free(run.progress);
    free(message);
    free(memory);
    return code;
}

/* -- What the commands share ----------------------------------------------------------------------------- */

/* The account is asked for first, so that credentials that are missing, wrong or expired are told before all else. */
bool stack_connect(struct stack_run *run) {
    const struct aws_options aws = {
        .region = option_value(run->options, OPTION_REGION),
        .profile = option_value(run->options, OPTION_PROFILE),
    };
    if (err_is(aws_open(&aws, &run->message, &run->aws))) return false;
    if (err_is(account_find(run->aws, &run->message, run->account))) return false;
    run->deployment = stack_deployment(run, str_from(run->names.stack));
    return true;
}

int stack_complain(struct stack_run *run, int code) {
    screen_begin(&run->screen);
    fprintf(stderr, "payhook: %s\n", writer_cstr(&run->message));
    run->message.len = 0;
    run->message.overflow = false;
    return code;
}

void stack_remark(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

bool stack_is_ours(struct stack_run *run, const struct stack_description *stack) {
    const struct stack_pair *pairs = stack->parameters;
    size_t count = stack->parameter_count;
    if (!stack->exists || str_eq(stack->status, STR("REVIEW_IN_PROGRESS"))) return true; /* there is nothing in it */
    /* Other templates know EnvironmentSuffix, too; these two are ours, deployed or imported. */
    bool ours = false;
    for (size_t i = 0; i < count; i++)
        ours = ours || str_eq(pairs[i].key, STR("ArtifactKey")) || str_eq(pairs[i].key, STR("OldPolicy"));
    ours = ours && str_eq(stack_pair_value(pairs, count, STR("EnvironmentSuffix")), str_from(run->names.suffix));
    if (ours) return true;
    writer_format(&run->message,
                  "the stack %s in %s was made by something else than payhook, and is not touched: choose another "
                  "--suffix, or delete it by what made it",
                  run->names.stack, aws_region(run->aws));
    return false;
}

const char *stack_end_word(enum stack_end end) {
    switch (end) {
    case STACK_DONE: return "done";
    case STACK_NOTHING: return "nothing";
    case STACK_REFUSED: return "refused";
    case STACK_STOPPED: return "stopped";
    default: return "failed";
    }
}

void stack_bucket_name(const struct stack_run *run, char *ret_name, size_t size) {
    (void)snprintf(ret_name, size, "payhook-artifacts-%s-%s", run->account, aws_region(run->aws));
}

bool stack_print(struct stack_run *run, FILE *out, stack_shower *show, const void *context) {
    char *memory = malloc(SHOWN_SIZE);
    check(memory != NULL);
    struct writer w = writer_make(memory, SHOWN_SIZE);
    screen_begin(&run->screen);
    show(context, screen_look_at(out).style, &w);
    bool fits = !w.overflow;
    if (fits) (void)fwrite(w.ptr, 1, w.len, out); /* main looks at the stream's error at the end */
    (void)fflush(out);
    free(memory);
    if (!fits) writer_put(&run->message, STR("what there is to show is larger than this program takes"));
    return fits;
}

bool stack_ask(struct stack_run *run, const char *question, bool yes_in_full) {
    screen_begin(&run->screen);
    if (run->yes) return true;
    if (!screen_can_ask()) {
        writer_put(&run->message, STR("there is no terminal to ask at, and nothing was done: use --yes"));
        return false;
    }
    if (screen_ask(question, yes_in_full)) return true;
    writer_put(&run->message, STR("nothing was done"));
    return false;
}
