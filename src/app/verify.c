/* SPDX-License-Identifier: Apache-2.0 */
/* payhook verify: is one captured request authentic? The same code path as the server's, with the time as an argument.
 */
#include "app/captured.h"
#include "app/print.h"
#include "base/os.h"
#include "core/ingest.h"

#include <stdlib.h>

struct judged {
    struct provider_answer answer;
    enum verdict verdict; /* one of the five words of the command */
    struct reply reply;
    struct str provider;
};

/* The five answers of this command. A request that is authentic but refused for its content keeps "accept", with the
 * reply's status. */
static enum verdict public_verdict(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_BAD_SIGNATURE:
    case VERDICT_STALE:
    case VERDICT_MISSING_HEADER:
    case VERDICT_MALFORMED: return verdict;
    case VERDICT_FORBIDDEN: return VERDICT_BAD_SIGNATURE;
    default: return VERDICT_ACCEPT;
    }
}

static void print_json(const struct judged *judged) {
    const struct provider_answer *answer = &judged->answer;
    bool authentic = judged->verdict == VERDICT_ACCEPT;
    printf("{\"verdict\": \"%s\", ", verdict_row(judged->verdict)->word);
    print_json_member(stdout, "provider", judged->provider);
    if (authentic && answer->matched_secret >= 0) printf(", \"matched_secret\": %d", (int)answer->matched_secret);
    if (answer->reason.len > 0) {
        (void)fputs(", ", stdout);
        print_json_member(stdout, "reason", answer->reason);
    }
    printf(", \"reply\": {\"status\": %d, ", judged->reply.status);
    print_json_member(stdout, "body", authentic ? answer->reply_body : STR_NONE);
    (void)fputs("}, \"events\": [", stdout);
    for (uint32_t i = 0; i < answer->event_count; i++) {
        const struct event *event = &answer->events[i];
        (void)fputs(i > 0 ? ", {" : "{", stdout);
        print_json_member(stdout, "event_id", event->event_id);
        (void)fputs(", ", stdout);
        print_json_member(stdout, "event_key", event->event_key);
        (void)fputs(", ", stdout);
        print_json_member(stdout, "event_type", event->event_type);
        (void)fputs(", ", stdout);
        print_json_member(stdout, "transaction_id", event->transaction_id);
        if (event->unreadable.ptr != NULL) {
            (void)fputs(", ", stdout);
            print_json_member(stdout, "unreadable", event->unreadable);
        }
        (void)fputc('}', stdout);
    }
    (void)fputs("]}\n", stdout);
}

static void print_sentence(const struct judged *judged) {
    const struct provider_answer *answer = &judged->answer;
    if (judged->verdict != VERDICT_ACCEPT) {
        printf("not authentic: %s", verdict_row(judged->verdict)->word);
        if (answer->reason.len > 0) {
            (void)fputs(": ", stdout);
            print_safe(stdout, answer->reason);
        }
        printf(" (a server would answer %d)\n", judged->reply.status);
        return;
    }
    (void)fputs("authentic", stdout);
    if (answer->matched_secret >= 0) printf(", signed with secret %d", (int)answer->matched_secret);
    for (uint32_t i = 0; i < answer->event_count; i++) {
        const struct event *event = &answer->events[i];
        (void)fputs(i == 0 ? ": event " : ", event ", stdout);
        print_safe(stdout, event->event_key);
        if (event->event_type.ptr != NULL) {
            (void)fputs(" (", stdout);
            print_safe(stdout, event->event_type);
            (void)fputc(')', stdout);
        }
        (void)fputs(" of transaction ", stdout);
        print_safe(stdout, event->transaction_id);
        if (event->unreadable.ptr != NULL) {
            (void)fputs(", unreadable: ", stdout);
            print_safe(stdout, event->unreadable);
        }
    }
    if (answer->verdict != VERDICT_ACCEPT)
        printf("; but a server would answer %d: %s", judged->reply.status, verdict_row(answer->verdict)->word);
    (void)fputc('\n', stdout);
}

static int judge(const struct options *options, const struct source *source, const struct captured *captured,
                 int64_t now_s) {
    char *memory = malloc(REQUEST_ARENA_SIZE);
    if (memory == NULL) return complain(EXIT_FAILED, "there is no memory left");
    struct arena arena = arena_make(memory, REQUEST_ARENA_SIZE);
    struct provider_input input = {.source = source, .request = &captured->request, .now_s = now_s, .arena = &arena};
    struct judged judged = {.provider = str_from(provider_name(source->row))};
    provider_check(&input, &judged.answer);
    int code;
    if (judged.answer.verdict == VERDICT_INTERNAL) {
        code = complain(EXIT_FAILED, "the request is larger than a server would take apart");
    } else if (judged.answer.verdict == VERDICT_UNAVAILABLE) {
        code = complain(EXIT_USAGE, "there is no secret that could be used: see payhook check-config");
    } else {
        judged.verdict = public_verdict(judged.answer.verdict);
        if (judged.answer.verdict == VERDICT_ACCEPT)
            judged.reply.status = verdict_row(VERDICT_STORED)->status;
        else
            judged.reply = reply_refusal(judged.answer.verdict, judged.answer.refusal_status);
        if (option_set(options, OPTION_JSON))
            print_json(&judged);
        else
            print_sentence(&judged);
        code = judged.verdict == VERDICT_ACCEPT ? EXIT_DONE : EXIT_FAILED;
    }
    free(memory);
    return code;
}

static void warn(void *context, struct str sentence) {
    (void)context;
    (void)complain(EXIT_DONE, "warning: %.*s", STR_ARG(sentence));
}

static int judge_configured(const struct options *options, const struct captured *captured, int64_t now_s) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config_overrides overrides = option_overrides(options);
    const char *name = option_value(options, OPTION_SOURCE);
    struct config *config;
    if (err_is(config_load(&overrides, warn, NULL, &message, &config)))
        return complain(EXIT_USAGE, "%s", writer_cstr(&message));
    const struct source *source = str_eq(str_from(name), SOURCE_DEFAULT) ? NULL : config_source(config, str_from(name));
    int code =
        source != NULL
            ? judge(options, source, captured, now_s)
            : complain(EXIT_USAGE, "the configuration has no source \"%s\"; payhook check-config lists them", name);
    config_release(config);
    return code;
}

int command_verify(const struct options *options) {
    const char *provider = option_value(options, OPTION_PROVIDER), *source = option_value(options, OPTION_SOURCE);
    const char *now = option_value(options, OPTION_NOW);
    uint64_t now_s = (uint64_t)(os_wall_us() / 1000000);
    if ((provider == NULL) == (source == NULL))
        return complain(EXIT_USAGE,
                        "verify takes either --provider NAME with --secret, or --source NAME of a configuration");
    if (now != NULL && !str_u64(str_from(now), INT64_MAX / 1000000, &now_s))
        return complain(EXIT_USAGE, "--now takes unix seconds, not \"%s\"", now);
    struct captured captured;
    int code;
    if (!captured_read(options, &captured, &code)) return code;
    if (source != NULL) {
        code = judge_configured(options, &captured, (int64_t)now_s);
    } else {
        struct made_source made;
        if (made_source_read(options, provider, &made, &code)) {
            code = judge(options, &made.source, &captured, (int64_t)now_s);
            made_source_done(&made);
        }
    }
    captured_done(&captured);
    return code;
}
