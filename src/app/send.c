/* SPDX-License-Identifier: Apache-2.0 */
/* payhook send: one webhook, signed as IAM (a key pair of ours, or AWS credentials) or as a provider, to see that an
 * endpoint works. Prints what came back as curl -i would. */
#include "app/captured.h"
#include "app/print.h"
#include "base/os.h"
#include "codec/sigv4.h"
#include "codec/text.h"
#include "net/aws.h"
#include "net/url.h"
#include "provider/sign.h"

#include <stdlib.h>

enum { CONNECT_MS = 10000, ANSWER_MS = 30000 };

static bool add(struct http_request *request, struct str name, struct str value) {
    if (request->header_count == HTTP_HEADERS_MAX) return false;
    request->headers[request->header_count++] = (struct http_header){name, value};
    return true;
}

static void ignore(void *context, struct str sentence) {
    (void)context, (void)sentence; /* other secrets do not matter here */
}

static bool sign_with_key(const char *path, const struct options *options, struct captured *captured,
                          struct arena *arena, int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct key_pair pair;
    if (err_is(keys_read_pair(path, &message, &pair))) {
        *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
        return false;
    }
    struct config_overrides overrides = option_overrides(options);
    struct config *config;
    struct sigv4_signer signer = {
        .region = STR("us-east-1"), .service = STR("lambda"), .now_s = os_wall_us() / 1000000};
    bool configured = overrides.config != NULL;
    if (configured && err_is(config_load(&overrides, ignore, NULL, &message, &config))) {
        *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
        return false;
    }
    if (configured) {
        signer.region = str_from(config->iam_region);
        signer.service = str_from(config->iam_service);
    }
    signer.access_key_id = str_from(pair.access_key_id);
    signer.secret = str_from(pair.secret);
    bool good = sigv4_sign(&signer, SIGV4_AWS_SERVICE, false, &captured->request, arena);
    os_wipe(&pair, sizeof pair);
    if (configured) config_release(config);
    if (!good) *ret_code = complain(EXIT_FAILED, "the request is too large to be signed");
    return good;
}

static bool sign_as(const char *provider, const struct options *options, struct captured *captured, struct arena *arena,
                    int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct made_source made;
    if (!made_source_read(options, provider, &made, ret_code)) return false;
    uint8_t random[16];
    os_random(random, sizeof random);
    struct writer id = arena_writer(arena);
    writer_put(&id, STR("msg_"));
    text_hex_write(&id, random, sizeof random);
    bool good = provider_sign(&made.source, os_wall_us() / 1000000, arena_take(arena, &id), arena, &captured->request,
                              &message);
    if (!good) *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
    made_source_done(&made);
    return good;
}

/* A function URL's host, "ID.lambda-url.REGION.on.aws", says its region; else ptr is NULL. */
static struct str region_of(struct str host) {
    struct str id, rest, region;
    if (!str_cut(host, '.', &id, &rest) || !str_starts(rest, STR("lambda-url."))) return STR_NONE;
    return str_cut(str_from_index(rest, 11), '.', &region, &rest) ? region : STR_NONE;
}

static bool sign_with_aws(const char *profile, struct captured *captured, struct arena *arena, int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct aws *aws = NULL;
    struct err failure = aws_open(&(const struct aws_options){.profile = profile}, &message, &aws);
    if (!err_is(failure))
        failure = aws_sign(aws, STR("lambda"), region_of(captured->authority), &captured->request, arena, &message);
    aws_close(aws);
    if (err_is(failure)) *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
    return !err_is(failure);
}

static bool is_in_environment(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0';
}

/* Whether somebody meant AWS credentials to be used, so that nobody's machine is asked for its role by surprise. */
static bool has_aws(void) {
    return is_in_environment("AWS_ACCESS_KEY_ID") || is_in_environment("AWS_PROFILE") ||
           is_in_environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
           is_in_environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

static int print_response(const struct client_response *response) {
    printf("%d\n", response->status);
    for (uint32_t i = 0; i < response->header_count; i++) {
        print_safe(stdout, response->headers[i].name);
        (void)fputs(": ", stdout);
        print_safe(stdout, response->headers[i].value);
        (void)fputc('\n', stdout);
    }
    (void)fputc('\n', stdout);
    print_safe(stdout, response->body);
    (void)fputc('\n', stdout);
    return response->status >= 200 && response->status < 300 ? EXIT_DONE : EXIT_FAILED;
}

static int exchange(const struct captured *captured) {
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    struct client_target target;
    struct client *client;
    if (!url_authority_read(captured->authority, captured->is_https, &target))
        return complain(EXIT_USAGE, "\"%.*s\" is no host, and no host with a port", STR_ARG(captured->authority));
    if (err_is(client_open(&message, &client))) return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    const struct client_response *response;
    struct err failure = client_exchange(
        client, &target, &captured->request,
        (struct client_timeouts){.connect_ms = CONNECT_MS, .whole_ms = ANSWER_MS, .once = true}, &response);
    int code = err_is(failure) ? complain(EXIT_FAILED, "cannot %s at %.*s port %u: %s", failure.where,
                                          STR_ARG(target.host), (unsigned)target.port, err_kind_text(failure.kind))
                               : print_response(response);
    client_close(client);
    return code;
}

/* The body of --transaction ID. */
static bool set_body(const char *transaction, struct captured *captured, struct arena *arena, int *ret_code) {
    struct http_request *request = &captured->request;
    if (captured->memory != NULL && transaction != NULL) {
        *ret_code = complain(EXIT_USAGE, "-d and --transaction exclude each other");
        return false;
    }
    if (captured->memory == NULL && transaction == NULL) {
        *ret_code = complain(EXIT_USAGE, "send needs a body: -d @FILE, -d TEXT, or --transaction ID");
        return false;
    }
    if (transaction != NULL) {
        struct writer w = arena_writer(arena);
        writer_put(&w, STR("{\"transactionId\":"));
        if (!json_is_utf8(str_from(transaction)))
            w.overflow = true;
        else
            json_write_string(&w, str_from(transaction), false);
        writer_char(&w, '}');
        request->body = arena_take(arena, &w);
        if (request->body.ptr == NULL) {
            *ret_code = complain(EXIT_USAGE, "--transaction takes a text in UTF-8");
            return false;
        }
    }
    if (request_header(request, STR("content-type"), &(struct str){0}) == 0 &&
        !add(request, STR("Content-Type"), STR("application/json"))) {
        *ret_code = complain(EXIT_USAGE, "there are too many headers");
        return false;
    }
    return true;
}

int command_send(const struct options *options) {
    const char *as = option_value(options, OPTION_AS), *key = option_value(options, OPTION_KEY);
    const char *profile = option_value(options, OPTION_PROFILE);
    static const char wrong[] = "send signs with --key FILE, with --as PROVIDER and --secret, or with AWS "
                                "credentials: --profile NAME, or those of the environment";
    if ((as != NULL) + (key != NULL) + (profile != NULL) > 1) return complain(EXIT_USAGE, wrong);
    struct captured captured;
    int code;
    if (!captured_read(options, &captured, &code)) return code;
    bool to_aws = region_of(captured.authority).ptr != NULL; /* a function URL takes nothing else */
    if (as == NULL && key == NULL && profile == NULL && !to_aws && !has_aws()) {
        captured_done(&captured);
        return complain(EXIT_USAGE, wrong);
    }
    char *memory = malloc(REQUEST_ARENA_SIZE);
    check(memory != NULL);
    struct arena arena = arena_make(memory, REQUEST_ARENA_SIZE);
    bool ready = set_body(option_value(options, OPTION_TRANSACTION), &captured, &arena, &code) &&
                 (key != NULL  ? sign_with_key(key, options, &captured, &arena, &code)
                  : as != NULL ? sign_as(as, options, &captured, &arena, &code)
                               : sign_with_aws(profile, &captured, &arena, &code));
    if (ready) code = exchange(&captured);
    os_wipe(memory, REQUEST_ARENA_SIZE);
    free(memory);
    captured_done(&captured);
    return code;
}
