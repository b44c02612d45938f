/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command and runs it. */
#include "app/options.h"
#include "base/nearest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COMMON OPTION_CONFIG, OPTION_DATA, OPTION_STORE

/* One row a command; options in the order --help prints them. */
// clang-format off
static const struct command commands[] = {
    {
        .name = "serve", .run = command_serve, .arguments = "",
        .help = "Receives webhooks over HTTP; every 200 means that the event is on disk.",
        .example = "serve --data ./run-data --listen 127.0.0.1:8080",
        .options = {OPTION_LISTEN, OPTION_ADMIN, COMMON}, .option_count = 5,
    },
    {
        .name = "show", .run = command_show, .arguments = "[SOURCE/]TRANSACTION",
        .help = "Prints one transaction: every event of it, oldest first.",
        .example = "show test-123 --data ./run-data", .words_min = 1, .words_max = 1,
        .options = {OPTION_JSON, OPTION_NO_PAYLOAD, COMMON}, .option_count = 5,
    },
    {
        .name = "events", .run = command_events, .arguments = "",
        .help = "Lists stored events in the order they arrived, newest last.",
        .example = "events --since 24h --limit 20 --data ./run-data",
        .options = {OPTION_SOURCE, OPTION_SINCE, OPTION_LIMIT, OPTION_FOLLOW, OPTION_JSON, OPTION_PAYLOAD, COMMON}, .option_count = 9,
    },
    {
        .name = "verify", .run = command_verify, .arguments = "URL",
        .help = "Says whether one captured request is authentic: with --provider and secrets, or as --source of a configuration. Exit status: 0 authentic, 1 not.",
        .example = "verify --provider stripe --secret file:whsec -H 'Stripe-Signature: t=…,v1=…' -d @body.json http://localhost/hooks/stripe",
        .words_min = 1, .words_max = 1,
        .options = {OPTION_PROVIDER, OPTION_SECRET, OPTION_SET, OPTION_NOW, OPTION_METHOD, OPTION_HEADER, OPTION_BODY, OPTION_BINARY, OPTION_SOURCE, OPTION_SHORT, OPTION_JSON, COMMON},
        .option_count = 14,
    },
    {
        .name = "send", .run = command_send, .arguments = "URL",
        .help = "Sends one webhook, signed with a key pair (--key), AWS credentials (--profile) or as a provider does (--as), and prints the reply.",
        .example = "send --transaction test-123 --key run-data/first-key.curl http://127.0.0.1:8080/",
        .words_min = 1, .words_max = 1,
        .options = {OPTION_BODY, OPTION_TRANSACTION, OPTION_AS, OPTION_SECRET, OPTION_SET, OPTION_KEY, OPTION_PROFILE, OPTION_HEADER, COMMON}, .option_count = 11,
    },
    {
        .name = "key", .run = command_key, .arguments = "add|list|remove [NAME]",
        .help = "Manages the key pairs that may sign POST /. add prints the secret once, on stdout only; a running server notices within a second.",
        .example = "key add checkout --data ./run-data", .words_min = 1, .words_max = 2,
        .options = {OPTION_JSON, COMMON}, .option_count = 4,
    },
    {
        .name = "check-config", .run = command_check_config, .arguments = "",
        .help = "Reads the configuration and every secret it names, and says what a server would make of them.",
        .example = "check-config --config /etc/payhook/payhook.conf",
        .options = {COMMON}, .option_count = 3,
    },
    {
        .name = "lambda", .run = command_lambda, .arguments = "",
        .help = "Serves webhooks as an AWS Lambda function; Lambda runs it, also as a program called bootstrap.",
        .example = "lambda --store dynamodb:envmig-transactions-dev",
        .options = {COMMON}, .option_count = 3,
    },
    {
        .name = "check-store", .run = command_check_store, .arguments = "",
        .help = "Reads every stored event beside a running server: its checksum, its signature again, and the database as a whole.",
        .example = "check-store --data ./run-data",
        .options = {OPTION_JSON, COMMON}, .option_count = 4,
    },
    {
        .name = "stack", .run = command_stack, .arguments = "preview|up|outputs [NAME]|destroy|template|secret set SOURCE",
        .help = "Deploys the function with its table, secret, role, logs and URL as one AWS CloudFormation stack, TapStack-SUFFIX.",
        .details = "  preview            shows what up would do, and changes nothing\n"
                   "  up                 shows it, asks, does it, and prints the outputs\n"
                   "  outputs [NAME]     prints the outputs, or one bare value\n"
                   "  destroy            says what goes, asks, and deletes it for good\n"
                   "  template           prints the CloudFormation template\n"
                   "  secret set SOURCE  sets a source's secrets, or api_key, from --from REF\n",
        .example = "stack up --suffix dev", .words_min = 1, .words_max = 3,
        .options = {OPTION_SUFFIX, OPTION_REGION, OPTION_PROFILE, OPTION_TAG, OPTION_ARCH, OPTION_AUTH, OPTION_CORS_ORIGIN, OPTION_ALLOW_REPLACE, OPTION_BUCKET,
                    OPTION_ZIP, OPTION_IMPORT, OPTION_YES, OPTION_JSON, OPTION_FROM, OPTION_PROVIDER, OPTION_SET},
        .option_count = 16,
    },
    {
        .name = "version", .run = command_version, .arguments = "",
        .help = "Prints the version, its libraries and its build.", .example = "version",
    },
};
// clang-format on
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char *command_name_at(size_t index) { return index < COMMAND_COUNT ? commands[index].name : NULL; }

static void usage(FILE *out) {
    fprintf(out, "usage: payhook COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\npayhook COMMAND --help shows its options and an example.\n");
}

/* Lambda runs a file of this name, and gives it no arguments. */
static bool is_bootstrap(const char *program) {
    const char *slash = strrchr(program, '/');
    return strcmp(slash != NULL ? slash + 1 : program, "bootstrap") == 0;
}

int main(int argc, char **argv) {
    (void)umask(077); /* whatever is made here is the operator's alone */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return complain(EXIT_FAILED, "signals cannot be set up");
    if (argc == 1 && is_bootstrap(argv[0])) {
        const struct options options = {.program = argv[0]};
        return command_lambda(&options);
    }
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return EXIT_DONE;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0) continue;
        struct options options;
        int code;
        if (!options_parse(&commands[i], argc, argv, &options, &code)) return code;
        code = commands[i].run(&options);
        if (fflush(stdout) != 0 || ferror(stdout))
            return complain(EXIT_FAILED, "the output could not be written whole");
        return code;
    }
    const char *nearest = nearest_word(str_from(name), command_name_at);
    if (nearest != NULL) return complain(EXIT_USAGE, "there is no command \"%s\"; did you mean %s?", name, nearest);
    return complain(EXIT_USAGE, "there is no command \"%s\"; see payhook --help", name);
}
