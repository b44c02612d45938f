/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an event of the function, and any bytes as its secret. Whatever an event holds, a request comes out that
 * keeps to the bounds of the server's door, or a refusal with a reason; what is accepted goes on through the check as
 * at the function, and its answer is one that can be written. Of a secret either a configuration comes out, or one
 * sentence, never the secret in it.
 *
 * Input: a secret behind "#", else an event. Seeds: tests/data/lambda-events. */
#include "app/lambda_event.h"
#include "base/os.h"
#include "core/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CANARY "<canary-4f1d7c2a9b>" /* no escape of a byte ends in < */
#define SECRET                                                                                                         \
    "{\"api_key\": \"an-invented-api-key\", \"sources\": {\"github\": {\"provider\": \"hub-sha256\", \"secrets\": "    \
    "[\"an-invented-secret-of-32-bytes-!\"]}}}"

static const struct config_function function = {.store = "memory", .environment = "prod", .processed_by = "fuzz"};
static char memory[4 << 20], response[65536];

static void clean(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        check(text.ptr[i] != '\r' && text.ptr[i] != '\n' && text.ptr[i] != '\0');
}

static void check_request(const struct lambda_event *event) {
    const struct http_request *request = &event->request;
    size_t head_size = 0;
    check(event->door == DOOR_URL || event->door == DOOR_INVOKE);
    check(request->body.ptr != NULL && request->body.len <= BODY_SIZE_MAX);
    check(request->target.len <= HTTP_TARGET_SIZE_MAX);
    check(request->header_count <= HTTP_HEADERS_MAX);
    clean(request->method);
    clean(request->target);
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        check(header->name.len > 0);
        clean(header->name);
        clean(header->value);
        head_size += header->name.len + header->value.len;
    }
    check(head_size <= HTTP_HEAD_SIZE_MAX);
    if (event->door == DOOR_INVOKE) check(request->header_count == 0 && request->target.len == 0 && !event->has_iam);
}

static void answer(const struct reply *reply) {
    struct writer w = writer_make(response, sizeof response);
    lambda_response_write(&w, reply);
    check(!w.overflow);
    check(json_scan(writer_str(&w), NULL, 0, NULL) == JSON_OK);
}

static void read_event(const struct config *config, struct str text) {
    static struct lambda_event event;
    struct arena arena = arena_make(memory, sizeof memory);
    struct str reason = STR_NONE;
    enum verdict verdict = lambda_event_read(text, &arena, &event, &reason);
    if (verdict == VERDICT_ACCEPT) verdict = lambda_event_body(&event, BODY_SIZE_MAX, &arena, &reason);
    check(reason.ptr != NULL);
    check((reason.len == 0) == (verdict == VERDICT_ACCEPT));
    check(verdict != VERDICT_INTERNAL);
    if (verdict != VERDICT_ACCEPT) {
        const struct reply reply = reply_refusal(verdict, 0);
        check(reply.status >= 400 && reply.status < 500);
        answer(&reply);
        return;
    }
    check_request(&event);
    struct ingest ingest;
    ingest_check(config, &event.request, event.door, INT64_C(1795460930123456), &arena, &ingest);
    if (ingest.verdict == VERDICT_ACCEPT) ingest.verdict = VERDICT_STORED;
    const struct reply reply = ingest_reply(&ingest, &arena);
    answer(&reply);
}

static void check_sentence(void *context, struct str sentence) {
    (void)context; /* there is none */
    check(sentence.len > 0);
    check(memmem(sentence.ptr, sentence.len, CANARY, sizeof CANARY - 1) == NULL);
}

static void read_secret(struct str text) {
    char sentence[4096];
    struct writer message = writer_make(sentence, sizeof sentence);
    struct config *config;
    if (err_is(config_from_secret(text, &function, check_sentence, NULL, &message, &config))) {
        check_sentence(NULL, writer_str(&message));
        return;
    }
    for (uint32_t i = 0; i < config->source_count; i++) {
        const struct source *source = &config->sources[i];
        check(config_is_source_name(source->name));
        check(source->row != NULL);
        check(config_source(config, source->name) == source);
        check(source->secret_count <= SOURCE_SECRETS_MAX);
    }
    config_release(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config *config;
    if (config == NULL) {
        char sentence[256];
        struct writer message = writer_make(sentence, sizeof sentence);
        struct err made = config_from_secret(STR(SECRET), &function, NULL, NULL, &message, &config);
        check(!err_is(made));
    }
    struct str text = str_make((const char *)data, size);
    if (size > 0 && data[0] == '#')
        read_secret(str_from_index(text, 1));
    else
        read_event(config, text);
    return 0;
}
