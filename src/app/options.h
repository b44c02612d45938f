/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and their options as two tables: what is parsed, what --help prints and what is suggested for a mistyped
 * word come from the same rows. */
#ifndef PAYHOOK_APP_OPTIONS_H
#define PAYHOOK_APP_OPTIONS_H

#include "base/str.h"
#include "core/config.h"

/* X(ID, letter, "name", "argument" or NULL for a switch, "help"). Each is also the environment variable PAYHOOK_NAME,
 * where it is not given. */
// clang-format off
#define OPTIONS(X)                                                                                              \
    X(CONFIG,     0,   "config",     "FILE",      "configuration file (default: /etc/payhook/payhook.conf)")     \
    X(DATA,       0,   "data",       "DIR",       "data folder")                                                \
    X(STORE,      0,   "store",      "STORE",     "sqlite (default)")                                           \
    X(LISTEN,     0,   "listen",     "ADDR:PORT", "where to serve (default: 127.0.0.1:8080)")                   \
    X(ADMIN,      0,   "admin",      "ADDR:PORT", "where to serve health and metrics")                          \
    X(JSON,       0,   "json",       NULL,        "print JSON")                                                 \
    X(NO_PAYLOAD, 0,   "no-payload", NULL,        "leave the payloads out")                                     \
    X(PAYLOAD,    0,   "payload",    NULL,        "print the payloads too")                                     \
    X(SOURCE,     0,   "source",     "NAME",      "only this source")                                           \
    X(SINCE,      0,   "since",      "TIME",      "received since: 90s, 15m, 24h, 7d, or unix seconds")         \
    X(LIMIT,      0,   "limit",      "N",         "at most the newest N")                                       \
    X(FOLLOW,     0,   "follow",     NULL,        "wait for more, until interrupted")                           \
    X(PROVIDER,   0,   "provider",   "NAME",      "whose webhook it is")                                        \
    X(SECRET,     0,   "secret",     "REF",       "file:PATH, env:NAME or aws:NAME; may repeat")                          \
    X(SET,        0,   "set",        "KEY=VALUE", "a setting of the source; may repeat")                        \
    X(NOW,        0,   "now",        "SECONDS",   "the time to judge by (default: the present)")                \
    X(SHORT,      0,   "allow-short-secret", NULL, "accept secrets shorter than the server would")              \
    X(METHOD,     'X', "request",    "METHOD",    "HTTP method (default: POST)")                                \
    X(HEADER,     'H', "header",     "'Name: value'", "a header; may repeat")                                   \
    X(BODY,       'd', "data",       "@FILE|TEXT", "the body, bytes as they are")                               \
    X(BINARY,     0,   "data-binary", "@FILE|TEXT", "the same as -d")                                           \
    X(TRANSACTION, 0,  "transaction", "ID",       "send {\"transactionId\":\"ID\"}")                            \
    X(AS,         0,   "as",         "PROVIDER",  "sign as this provider does")                                 \
    X(PROFILE,    0,   "profile",    "NAME",      "use the AWS credentials of this profile")                    \
    X(KEY,        0,   "key",        "FILE",      "sign with this key pair (ACCESS_KEY_ID:SECRET, or DATA/first-key.curl)") \
    X(SUFFIX,     0,   "suffix",     "NAME",      "which deployment (default: ENVIRONMENT_SUFFIX, else dev)")   \
    X(REGION,     0,   "region",     "REGION",    "AWS region (default: AWS_REGION, the profile's, us-east-1)") \
    X(TAG,        0,   "tag",        "KEY=VALUE", "tag what is deployed; may repeat")                           \
    X(ARCH,       0,   "arch",       "x86_64|arm64", "what the function runs on")                               \
    X(AUTH,       0,   "auth",       "AWS_IAM|NONE", "who may call the function URL: signed requests, or anybody") \
    X(CORS_ORIGIN, 0,  "cors-origin", "ORIGIN",   "web pages whose scripts may call it; may repeat (default: *)") \
    X(ALLOW_REPLACE, 0, "allow-replace", NULL,    "go on though a table or secret is replaced or removed")      \
    X(BUCKET,     0,   "bucket",     "NAME",      "keep the function's zip in this bucket of yours")            \
    X(ZIP,        0,   "zip",        "FILE",      "the function (default: as make lambda has built it)")        \
    X(IMPORT,     0,   "import",     NULL,        "take over what has these names already")                     \
    X(YES,        0,   "yes",        NULL,        "do not ask")                                                 \
    X(FROM,       0,   "from",       "REF",       "the secret: file:PATH or env:NAME; may repeat, newest first")
// clang-format on

enum option_id {
#define X(id, letter, name, argument, help) OPTION_##id,
    OPTIONS(X)
#undef X
        OPTION_COUNT
};

enum { OPTIONS_GIVEN_MAX = 256, WORDS_MAX = 4 };

struct options {
    struct {
        enum option_id id;
        const char *value; /* NULL for a switch */
    } given[OPTIONS_GIVEN_MAX];
    size_t given_count;
    const char *words[WORDS_MAX]; /* what is no option */
    size_t word_count;
    const char *program; /* argv[0] */
};

/* The last value given, else the environment's, else NULL. A switch gives "" or NULL. */
const char *option_value(const struct options *options, enum option_id id);
static inline bool option_set(const struct options *options, enum option_id id) {
    return option_value(options, id) != NULL;
}
/* "config", as written after the dashes. */
const char *option_name(enum option_id id);
/* The index-th value given, NULL at the end. */
const char *option_at(const struct options *options, enum option_id id, size_t index);
struct config_overrides option_overrides(const struct options *options);

/* Exit codes of every command. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One row a command. To add one: a file src/app/NAME.c with its function, declared below, and a row in main.c. */
struct command {
    const char *name;
    int (*run)(const struct options *options);
    const char *arguments; /* for the usage line */
    const char *help;      /* one sentence */
    const char *details;   /* lines that --help prints after it, or NULL */
    const char *example;
    size_t words_min, words_max;
    enum option_id options[20];
    size_t option_count;
};

/* Parses argv[2..]. False: a sentence went to stderr, exit with *ret_exit (EXIT_DONE after --help). */
bool options_parse(const struct command *command, int argc, char **argv, struct options *ret_options, int *ret_exit);
void command_help(const struct command *command, const char *program);

/* One sentence on stderr: "payhook: …". Gives back code, so that a command can return it. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

int command_serve(const struct options *options);
int command_stack(const struct options *options);
int command_show(const struct options *options);
int command_events(const struct options *options);
int command_verify(const struct options *options);
int command_send(const struct options *options);
int command_key(const struct options *options);
int command_check_config(const struct options *options);
int command_lambda(const struct options *options);
int command_check_store(const struct options *options);
int command_version(const struct options *options);

#endif
