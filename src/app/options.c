/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a command line by the tables. getopt_long is not used, since it cannot tell what was possible for a mistyped
 * word, nor keep the order of repeated options. */
#include "app/options.h"

#include "base/nearest.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option_row {
    char letter;
    const char *name, *argument, *help;
} rows[OPTION_COUNT] = {
#define X(id, letter, name, argument, help) [OPTION_##id] = {letter, name, argument, help},
    OPTIONS(X)
#undef X
};

int complain(int code, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "payhook: %s\n", text);
    return code;
}

static bool repeats(enum option_id id) {
    return id == OPTION_SECRET || id == OPTION_SET || id == OPTION_HEADER || id == OPTION_BODY || id == OPTION_BINARY ||
           id == OPTION_TAG || id == OPTION_CORS_ORIGIN || id == OPTION_FROM;
}

static const char *from_environment(enum option_id id) {
    if (repeats(id) || rows[id].letter != 0) return NULL;
    char name[64] = "PAYHOOK_";
    size_t size = strlen(name);
    for (const char *at = rows[id].name; *at != '\0' && size < sizeof name - 1; at++)
        name[size++] = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    name[size] = '\0';
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') return NULL;
    if (rows[id].argument != NULL) return value;
    return strcmp(value, "0") == 0 ? NULL : ""; /* a switch: any other value turns it on */
}

const char *option_value(const struct options *options, enum option_id id) {
    for (size_t i = options->given_count; i > 0; i--)
        if (options->given[i - 1].id == id)
            return options->given[i - 1].value != NULL ? options->given[i - 1].value : "";
    return from_environment(id);
}

const char *option_name(enum option_id id) { return rows[id].name; }

const char *option_at(const struct options *options, enum option_id id, size_t index) {
    for (size_t i = 0; i < options->given_count; i++)
        if (options->given[i].id == id && index-- == 0) return options->given[i].value;
    return NULL;
}

struct config_overrides option_overrides(const struct options *options) {
    return (struct config_overrides){
        .config = option_value(options, OPTION_CONFIG),
        .data = option_value(options, OPTION_DATA),
        .listen = option_value(options, OPTION_LISTEN),
        .admin = option_value(options, OPTION_ADMIN),
        .store = option_value(options, OPTION_STORE),
    };
}

void command_help(const struct command *command, const char *program) {
    printf("usage: payhook %s%s%s [options]\n\n%s\n", command->name, command->arguments[0] != '\0' ? " " : "",
           command->arguments, command->help);
    if (command->details != NULL) printf("\n%s", command->details);
    if (command->option_count > 0) printf("\noptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_row *row = &rows[command->options[i]];
        char left[64];
        if (row->letter != 0)
            (void)snprintf(left, sizeof left, "-%c %s", row->letter, row->argument);
        else
            (void)snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument != NULL ? " " : "",
                           row->argument != NULL ? row->argument : "");
        printf("  %-24s %s\n", left, row->help);
    }
    printf("\nexample:\n  %s %s\n", program, command->example);
}

/* nearest_word wants a plain list; the command whose options are asked for stands here while it does. Used by one
 * thread, once. */
static const struct command *suggesting;
static const char *option_name_at(size_t index) {
    return index < suggesting->option_count ? rows[suggesting->options[index]].name : NULL;
}

static bool unknown_option(const struct command *command, const char *word, int *ret_exit) {
    suggesting = command;
    const char *nearest = word[1] == '-' ? nearest_word(str_from(word + 2), option_name_at) : NULL;
    if (nearest != NULL)
        *ret_exit = complain(EXIT_USAGE, "%s has no option %s; did you mean --%s?", command->name, word, nearest);
    else
        *ret_exit =
            complain(EXIT_USAGE, "%s has no option %s; see payhook %s --help", command->name, word, command->name);
    return false;
}

/* The row a word names, with the value that may be attached ("--name=value", "-Xvalue"). */
static bool find(const struct command *command, const char *word, enum option_id *ret_id, const char **ret_attached) {
    for (size_t i = 0; i < command->option_count; i++) {
        enum option_id id = command->options[i];
        const struct option_row *row = &rows[id];
        if (word[1] == '-' && row->letter == 0) {
            size_t size = strlen(row->name);
            if (strncmp(word + 2, row->name, size) != 0 || (word[2 + size] != '\0' && word[2 + size] != '=')) continue;
            *ret_attached = word[2 + size] == '=' ? word + 2 + size + 1 : NULL;
        } else if (word[1] != '-' && row->letter != 0 && word[1] == row->letter) {
            *ret_attached = word[2] != '\0' ? word + 2 : NULL;
        } else {
            continue;
        }
        *ret_id = id;
        return true;
    }
    return false;
}

bool options_parse(const struct command *command, int argc, char **argv, struct options *ret_options, int *ret_exit) {
    *ret_options = (struct options){.program = argv[0]};
    bool only_words = false;
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || word[0] != '-' || word[1] == '\0') {
            if (ret_options->word_count >= command->words_max) {
                *ret_exit = complain(EXIT_USAGE, "%s does not know what to do with \"%s\"; see payhook %s --help",
                                     command->name, word, command->name);
                return false;
            }
            ret_options->words[ret_options->word_count++] = word;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            command_help(command, argv[0]);
            *ret_exit = EXIT_DONE;
            return false;
        }
        enum option_id id;
        const char *value = NULL;
        if (!find(command, word, &id, &value)) return unknown_option(command, word, ret_exit);
        if (rows[id].argument != NULL && value == NULL) {
            if (i + 1 >= argc) {
                *ret_exit = complain(EXIT_USAGE, "%s needs a value: %s", word, rows[id].argument);
                return false;
            }
            value = argv[++i];
        } else if (rows[id].argument == NULL && value != NULL) {
            *ret_exit = complain(EXIT_USAGE, "--%s takes no value", rows[id].name);
            return false;
        }
        if (ret_options->given_count == OPTIONS_GIVEN_MAX) {
            *ret_exit = complain(EXIT_USAGE, "more than %d options were given", OPTIONS_GIVEN_MAX);
            return false;
        }
        ret_options->given[ret_options->given_count].id = id;
        ret_options->given[ret_options->given_count++].value = value;
    }
    if (ret_options->word_count < command->words_min) {
        *ret_exit = complain(EXIT_USAGE, "usage: payhook %s %s; see payhook %s --help", command->name,
                             command->arguments, command->name);
        return false;
    }
    *ret_exit = EXIT_DONE;
    return true;
}
