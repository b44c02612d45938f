/* SPDX-License-Identifier: Apache-2.0 */
/* payhook lambda, and the program called `bootstrap`: the same core as an AWS Lambda function. One loop on one thread:
 * next → the event as a request → ingest_check → ingest_commit with a batch of one → the reply's row → response.
 * Nothing is kept between invocations that would hurt to lose, and every write is durable before its response is
 * handed over, so that being frozen or killed at any moment costs a retry of the sender's and no more.
 *
 * Beginning does as little as it can: no connection is made before the first `next` but the one to the Runtime API.
 * What an event holds can never end the process; what ends it is a Runtime API that is none, and a store that says its
 * bytes can no longer be trusted. Configuration is README's: three variables of the environment, and the secret's JSON
 * (core/config_cache). */
#include "app/clock.h"
#include "app/lambda_event.h"
#include "app/log_json.h"
#include "app/options.h"
#include "app/runtime.h"
#include "base/os.h"
#include "core/config_cache.h"
#include "core/secrets_aws.h"
#include "net/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* An event of this size finds its memory ready. */
enum { USUAL_EVENT_SIZE = 65536, RESPONSE_SIZE_MAX = 65536 };

#define TRACE_VARIABLE "_X_AMZN_TRACE_ID="

struct function {
    struct config_function known;
    struct config_cache cache;
    const char *secret_id; /* SECRETS_MANAGER_ARN, or NULL */
    bool trust_door;
    struct runtime *runtime;
    struct store *store;
    struct aws *aws; /* for the secret, where the store has none; opened with the first fetch */
    struct log_invocation log;
    int64_t deadline_us; /* of the invocation, less the margin: monotonic */
    struct ingest_scratch scratch;
    const struct event *events[BATCH_EVENTS_MAX];
    enum outcome outcomes[BATCH_EVENTS_MAX];
    char memory_usual[REQUEST_ARENA_SIZE + 2 * USUAL_EVENT_SIZE];
    char response[RESPONSE_SIZE_MAX];
    char trace_variable[sizeof TRACE_VARIABLE + 1024]; /* part of the environment: rewritten in place, never moved */
};

static void say(const struct function *f, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(const struct function *f, enum log_level level, const char *format, ...) {
    char text[2048];
    struct writer w = writer_make(text, sizeof text);
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    w.len = size < 0 ? 0 : (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    log_json_sentence(level, &f->log, writer_str(&w));
}

static void warn(void *context, struct str sentence) {
    const struct function *f = context;
    log_json_sentence(LOG_WARNING, &f->log, sentence);
}

static struct err fetch_secret(void *context, struct writer *message, struct str *ret_text) {
    struct function *f = context;
    const struct aws_options options = {0};
    struct aws *aws = store_aws(f->store); /* its credentials are found once for both */
    if (aws == NULL && f->aws == NULL) TRY(aws_open(&options, message, &f->aws));
    if (aws == NULL) aws = f->aws;
    int64_t now_us = os_mono_us(), budget_us = FUNCTION_SECRET_MS_MAX * INT64_C(1000);
    /* The write that follows needs its time too. */
    if (budget_us > (f->deadline_us - now_us) / 2) budget_us = (f->deadline_us - now_us) / 2;
    return secret_aws_fetch(aws, str_from(f->secret_id), now_us + budget_us, message, ret_text);
}

/* ---- one invocation ---- */

static void decide(struct ingest *ingest, enum verdict verdict, const struct source *source, struct str reason) {
    *ingest = (struct ingest){.verdict = verdict, .source = source, .reason = reason};
}

/* What a server does with the same request, in the same order: path and method, the body's size, and then its proof. */
static void check_once(const struct config *config, struct lambda_event *event, bool *decoded, struct arena *arena,
                       struct ingest *ingest) {
    struct ingest_route route = {VERDICT_ACCEPT, &config->default_source};
    struct str reason = STR("");
    if (event->door == DOOR_URL) route = ingest_find(config, &event->request);
    if (route.verdict == VERDICT_UNAVAILABLE) reason = STR("the secret that lists the sources could not be read");
    if (route.verdict == VERDICT_ACCEPT && !*decoded) {
        route.verdict = lambda_event_body(event, config->limits.body_size_max, arena, &reason);
        *decoded = route.verdict == VERDICT_ACCEPT;
    }
    if (route.verdict != VERDICT_ACCEPT)
        decide(ingest, route.verdict, route.source, reason);
    else
        ingest_check(config, &event->request, event->door, os_wall_us(), arena, ingest);
}

/* True where a newer secret might give another answer. */
static bool might_be_cured(const struct ingest *ingest, struct str path) {
    switch (ingest->verdict) {
    case VERDICT_BAD_SIGNATURE:
    case VERDICT_UNAVAILABLE: return true;
    case VERDICT_NOT_FOUND:
        return str_starts(path, STR("/hooks/")) && config_is_source_name(str_from_index(path, strlen("/hooks/")));
    default: return false;
    }
}

static void check_event(struct function *f, struct lambda_event *event, struct arena *arena, struct ingest *ingest) {
    struct str path = event->request.path;
    bool url = event->door == DOOR_URL, decoded = false;
    if (url && str_eq(path, STR("/")) && !event->has_iam && !f->trust_door) {
        decide(ingest, VERDICT_FORBIDDEN, &f->cache.config->default_source,
               STR("AWS does not say who calls: the function URL is not of AuthType AWS_IAM"));
        return;
    }
    bool needed = f->known.require_api_key || (url && str_starts(path, STR("/hooks/")));
    config_cache_look(&f->cache, os_wall_us(), needed);
    check_once(f->cache.config, event, &decoded, arena, ingest);
    if (might_be_cured(ingest, path) && config_cache_look_again(&f->cache, os_wall_us()))
        check_once(f->cache.config, event, &decoded, arena, ingest);
}

/* False: the store can no longer be trusted, and the process must end once it has answered. */
static bool commit(struct function *f, struct ingest *ingest) {
    struct ingest *const ingests[] = {ingest};
    struct err result = ingest_commit(f->store, ingests, 1, &f->scratch);
    if (ingest->verdict == VERDICT_UNAVAILABLE) {
        struct str complaint = store_complaint(f->store);
        if (complaint.len > 0) ingest->reason = complaint;
    }
    return result.kind != ERR_SYNC && result.kind != ERR_DAMAGED;
}

static bool answer_event(struct function *f, const struct invocation *invocation, struct arena *arena,
                         struct writer *response, int64_t started_us) {
    struct lambda_event event;
    struct ingest ingest;
    struct reply reply;
    struct str reason;
    bool going_on = true;
    enum verdict verdict = lambda_event_read(invocation->event, arena, &event, &reason);
    f->log.door = verdict == VERDICT_FORBIDDEN ? "none of ours" : event.door == DOOR_URL ? "url" : "invoke";
    if (verdict == VERDICT_ACCEPT)
        check_event(f, &event, arena, &ingest);
    else
        decide(&ingest, verdict, NULL, reason);
    if (ingest.verdict == VERDICT_ACCEPT) going_on = commit(f, &ingest);
    reply = ingest_reply(&ingest, arena);
    log_json_webhook(&f->log, &(struct log_request){.ingest = &ingest,
                                                    .verdict = ingest.verdict,
                                                    .status = reply.status,
                                                    .now_us = os_wall_us(),
                                                    .duration_us = os_mono_us() - started_us});
    lambda_response_write(response, &reply);
    return going_on;
}

static void begin_invocation(struct function *f, const struct invocation *invocation) {
    int64_t left_us = FUNCTION_DEADLINE_MS * INT64_C(1000), margin_us = FUNCTION_MARGIN_MS * INT64_C(1000);
    if (invocation->deadline_us != 0) left_us = invocation->deadline_us - os_wall_us();
    if (left_us < 0) left_us = 0;
    if (margin_us > left_us / 2) margin_us = left_us / 2;
    f->deadline_us = os_mono_us() + left_us - margin_us;
    store_set_deadline(f->store, f->deadline_us);

    struct writer w = writer_make(f->trace_variable, sizeof f->trace_variable);
    writer_put(&w, STR(TRACE_VARIABLE));
    writer_put(&w, invocation->trace);
    (void)writer_cstr(&w); /* ends it in place; runtime_next bounds it */
    struct str trace = str_from_index(writer_str(&w), strlen(TRACE_VARIABLE));
    trace_begin(trace.len > 0 ? trace : STR_NONE);
    f->log = (struct log_invocation){.request_id = invocation->request_id, .trace_id = trace_id()};
}

/* Answers one invocation. False: the process ends. */
static bool serve_invocation(struct function *f, const struct invocation *invocation) {
    int64_t started_us = os_mono_us();
    begin_invocation(f, invocation);
    struct writer response = writer_make(f->response, sizeof f->response);
    struct arena arena = arena_make(f->memory_usual, sizeof f->memory_usual);
    char *memory = NULL;
    bool going_on = true;
    if (invocation->event.len > USUAL_EVENT_SIZE) {
        /* The body's text and what base64 in it stands for, beside the memory of any request. */
        size_t size = REQUEST_ARENA_SIZE + 2 * invocation->event.len;
        memory = malloc(size);
        arena = arena_make(memory, size);
    }
    if (arena.memory != NULL) {
        going_on = answer_event(f, invocation, &arena, &response, started_us);
    } else {
        say(f, LOG_ERROR, "no memory for an event of %zu bytes", invocation->event.len);
        const struct reply reply = reply_refusal(VERDICT_INTERNAL, 0);
        lambda_response_write(&response, &reply);
    }
    check(!response.overflow); /* replies are bounded */
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    struct err handed = runtime_respond(f->runtime, invocation->request_id, writer_str(&response), &message);
    if (err_is(handed)) {
        say(f, handed.kind == ERR_INPUT ? LOG_WARNING : LOG_ERROR, "%s", writer_cstr(&message));
        going_on = going_on && handed.kind == ERR_INPUT;
    }
    free(memory);
    return going_on;
}

/* ---- the beginning ---- */

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Any value but 0 asks for the key: a mistyped yes must not leave a door open. */
static bool requires_api_key(void) {
    const char *value = variable("PAYHOOK_REQUIRE_API_KEY");
    return value != NULL && strcmp(value, "0") != 0;
}

static struct err read_environment(struct function *f, const struct options *options, char *store, size_t size,
                                   struct writer *message) {
    const char *table = variable("DYNAMODB_TABLE_NAME"), *given = option_value(options, OPTION_STORE);
    const char *environment = variable("ENVIRONMENT"), *name = variable("AWS_LAMBDA_FUNCTION_NAME");
    const char *trust = variable("PAYHOOK_TRUST_DOOR");
    if (given == NULL && table == NULL) {
        writer_put(message, STR("DYNAMODB_TABLE_NAME is not set: it names the table that keeps the webhooks"));
        return err_make(ERR_INPUT, 0, "begin");
    }
    struct writer w = writer_make(store, size);
    if (given == NULL) writer_put(&w, STR("dynamodb:"));
    writer_put(&w, str_from(given != NULL ? given : table));
    (void)writer_cstr(&w);
    if (w.len == size) {
        writer_put(message, STR("the name of the store is too long"));
        return err_make(ERR_INPUT, 0, "begin");
    }
    f->known = (struct config_function){.store = store,
                                        .environment = environment != NULL ? environment : "prod",
                                        .processed_by = name != NULL ? name : "payhook",
                                        .require_api_key = requires_api_key()};
    f->secret_id = variable("SECRETS_MANAGER_ARN");
    f->trust_door = trust != NULL && strcmp(trust, "1") == 0;
    return err_ok();
}

/* type: what init/error calls it. */
static struct err begin(struct function *f, const struct options *options, char *store, size_t size,
                        struct writer *message, const char **ret_type) {
    const char *data = option_value(options, OPTION_DATA);
    *ret_type = "payhook.Configuration";
    TRY(read_environment(f, options, store, size, message));
    if (f->trust_door)
        say(f, LOG_WARNING,
            "PAYHOOK_TRUST_DOOR is set: whoever reaches the function URL may store events; unset it "
            "anywhere but in an emulator");
    if (f->secret_id == NULL)
        say(f, LOG_WARNING, "SECRETS_MANAGER_ARN is not set: no source is known, and /hooks/… answers 503");
    TRY(config_cache_open(&f->known, f->secret_id != NULL ? fetch_secret : NULL, warn, f, message, &f->cache));
    *ret_type = "payhook.Store";
    return store_open(store, data != NULL ? data : "", STORE_WRITE, message, &f->store);
}

/* No core dumps: they would hold secrets and payloads. */
static void harden(const struct function *f) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        say(f, LOG_WARNING, "core dumps could not be turned off");
}

static int run(struct function *f) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct invocation invocation;
    while (!err_is(runtime_next(f->runtime, &message, &invocation))) {
        if (!serve_invocation(f, &invocation)) return EXIT_FAILED;
    }
    f->log = (struct log_invocation){0};
    say(f, LOG_ERROR, "%s", writer_cstr(&message));
    return EXIT_FAILED;
}

int command_lambda(const struct options *options) {
    char text[2048], store[512];
    struct writer message = writer_make(text, sizeof text);
    const char *address = variable("AWS_LAMBDA_RUNTIME_API"), *type;
    if (address == NULL)
        return complain(EXIT_FAILED, "AWS_LAMBDA_RUNTIME_API is not set: this command is run by AWS Lambda");
    struct function *f = calloc(1, sizeof *f);
    if (f == NULL) return complain(EXIT_FAILED, "no memory");
    f->scratch = (struct ingest_scratch){f->events, f->outcomes, BATCH_EVENTS_MAX};
    memcpy(f->trace_variable, TRACE_VARIABLE, sizeof TRACE_VARIABLE);
    int code = EXIT_FAILED;
    harden(f);
    if (err_is(runtime_open(address, &message, &f->runtime)) || putenv(f->trace_variable) != 0) {
        say(f, LOG_ERROR, "%s", writer_cstr(&message));
    } else if (err_is(begin(f, options, store, sizeof store, &message, &type))) {
        say(f, LOG_ERROR, "%s", writer_cstr(&message));
        char unsaid[512];
        struct writer why = writer_make(unsaid, sizeof unsaid);
        if (err_is(runtime_init_error(f->runtime, str_from(type), writer_str(&message), &why)))
            say(f, LOG_ERROR, "%s", writer_cstr(&why));
    } else {
        code = run(f);
    }
    if (f->store != NULL) store_close(f->store);
    if (f->cache.config != NULL) config_cache_close(&f->cache);
    if (f->aws != NULL) aws_close(f->aws);
    runtime_close(f->runtime);
    (void)unsetenv("_X_AMZN_TRACE_ID"); /* it points into what is freed next; the name is good */
    free(f);
    return code;
}
