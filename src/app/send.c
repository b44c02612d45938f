/* SPDX-License-Identifier: Apache-2.0 */
/* payhook send: one webhook, signed as IAM (a key pair) or as a provider, to see that an endpoint works. Prints what
 * came back as curl -i would. */
#include "app/captured.h"
#include "app/print.h"
#include "base/os.h"
#include "codec/sigv4.h"
#include "codec/text.h"
#include "net/client.h"
#include "provider/sign.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { ANSWER_TIMEOUT_S = 30 };

static bool add(struct http_request *request, struct str name, struct str value) {
    if (request->header_count == HTTP_HEADERS_MAX) return false;
    request->headers[request->header_count++] = (struct http_header){name, value};
    return true;
}

/* "127.0.0.1:8080", "[::1]:8080", "localhost": so far no names are looked up. */
static bool read_authority(struct str authority, char *ret_address, size_t size, uint16_t *ret_port) {
    struct str host = authority, port = STR("80"), before;
    unsigned char ignored[16];
    if (authority.len > 0 && authority.ptr[0] == '[') {
        if (!str_cut(str_from_index(authority, 1), ']', &host, &before)) return false;
        if (before.len > 0 && before.ptr[0] != ':') return false;
        if (before.len > 0) port = str_from_index(before, 1);
    } else if (str_cut(authority, ':', &before, &port)) {
        host = before;
    }
    uint64_t number;
    if (host.len >= size || !str_u64(port, 65535, &number) || number == 0) return false;
    if (str_eq_nocase(host, STR("localhost"))) host = STR("127.0.0.1");
    memcpy(ret_address, host.ptr, host.len);
    ret_address[host.len] = '\0';
    *ret_port = (uint16_t)number;
    return inet_pton(AF_INET, ret_address, ignored) == 1 || inet_pton(AF_INET6, ret_address, ignored) == 1;
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

static int exchange(const struct captured *captured) {
    char address[64];
    uint16_t port;
    if (captured->is_https || !read_authority(captured->authority, address, sizeof address, &port))
        return complain(EXIT_USAGE, "send speaks http:// to a literal address or localhost, not to %.*s%.*s",
                        captured->is_https ? 8 : 7, captured->is_https ? "https://" : "http://",
                        STR_ARG(captured->authority));
    struct client_response response;
    struct err failure = client_exchange(address, port, &captured->request, ANSWER_TIMEOUT_S, &response);
    if (err_is(failure))
        return complain(EXIT_FAILED, "cannot %s at %s port %u: %s", failure.where, address, (unsigned)port,
                        err_kind_text(failure.kind));
    printf("%d\n", response.status);
    print_safe(stdout, response.headers);
    (void)fputc('\n', stdout);
    print_safe(stdout, response.body);
    (void)fputc('\n', stdout);
    int code = response.status >= 200 && response.status < 300 ? EXIT_DONE : EXIT_FAILED;
    client_response_done(&response);
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
    if ((as == NULL) == (key == NULL))
        return complain(EXIT_USAGE, "send signs with --key FILE, or --as PROVIDER with --secret");
    struct captured captured;
    int code;
    if (!captured_read(options, &captured, &code)) return code;
    char *memory = malloc(REQUEST_ARENA_SIZE);
    check(memory != NULL);
    struct arena arena = arena_make(memory, REQUEST_ARENA_SIZE);
    bool ready = set_body(option_value(options, OPTION_TRANSACTION), &captured, &arena, &code) &&
                 (key != NULL ? sign_with_key(key, options, &captured, &arena, &code)
                              : sign_as(as, options, &captured, &arena, &code));
    if (ready) code = exchange(&captured);
    os_wipe(memory, REQUEST_ARENA_SIZE);
    free(memory);
    captured_done(&captured);
    return code;
}
