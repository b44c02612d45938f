/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the Runtime API, version 2018-06-01, over net/client, which keeps the connection, ignores proxies, and
 * makes a new one where the kept one has died while the sandbox was frozen. What the statuses mean is read from the
 * emulator's source (aws-lambda-runtime-interface-emulator) where the guide is silent. Nothing is retried here but
 * `next`, once; a response that the client sent on a dying connection and sends again is refused by its id, no more. */
#include "app/runtime.h"

#include "codec/json.h"
#include "net/client.h"

#include <stdlib.h>

#define ROOT "/2018-06-01/runtime/"

enum { CONNECT_MS_MAX = 1000, RESPOND_MS_MAX = 10000, REQUEST_ID_SIZE_MAX = 128, TRACE_SIZE_MAX = 1024 };

struct runtime {
    struct client *client;
    struct client_target target;
    struct str host; /* of the Host header */
    char request_id[REQUEST_ID_SIZE_MAX];
};

struct err runtime_open(const char *address, struct writer *message, struct runtime **ret_runtime) {
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        writer_put(message, STR("no memory for the Runtime API"));
        return err_make(ERR_MEMORY, 0, "reach the Runtime API");
    }
    struct str port;
    uint64_t number = 80;
    runtime->host = str_from(address);
    runtime->target.host = runtime->host;
    bool good = !str_cut(runtime->host, ':', &runtime->target.host, &port) || str_u64(port, UINT16_MAX, &number);
    if (!good || number == 0 || runtime->target.host.len == 0 || str_has_control(runtime->host)) {
        free(runtime);
        writer_put(message, STR("AWS_LAMBDA_RUNTIME_API is no HOST:PORT"));
        return err_make(ERR_INPUT, 0, "reach the Runtime API");
    }
    runtime->target.port = (uint16_t)number;
    struct err opened = client_open(message, &runtime->client);
    if (err_is(opened)) {
        free(runtime);
        return opened;
    }
    *ret_runtime = runtime;
    return err_ok();
}

void runtime_close(struct runtime *runtime) {
    if (runtime == NULL) return;
    client_close(runtime->client);
    free(runtime);
}

static struct err exchange(struct runtime *runtime, const struct http_request *request, struct client_timeouts timeouts,
                           struct writer *message, const struct client_response **ret_response) {
    struct err result = client_exchange(runtime->client, &runtime->target, request, timeouts, ret_response);
    if (err_is(result))
        writer_format(message, "the Runtime API does not answer: could not %s (%s)", result.where,
                      err_kind_text(result.kind));
    return result;
}

static void header(struct http_request *request, struct str name, struct str value) {
    check(request->header_count < HTTP_HEADERS_MAX);
    request->headers[request->header_count++] = (struct http_header){name, value};
}

/* Goes into the path of a request, so that nothing may stand there which means something. */
static bool is_request_id(struct str id) {
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
        if (!plain) return false;
    }
    return id.len > 0 && id.len <= REQUEST_ID_SIZE_MAX;
}

static struct err wrong(struct writer *message, const char *what, int status) {
    writer_format(message, "the Runtime API answers %s", what);
    if (status != 0) writer_format(message, " %d", status);
    return err_make(ERR_NETWORK, 0, "use the Runtime API");
}

struct err runtime_next(struct runtime *runtime, struct writer *message, struct invocation *ret_invocation) {
    struct http_request request = {.method = STR("GET"), .target = STR(ROOT "invocation/next"), .body = STR("")};
    header(&request, STR("Host"), runtime->host);
    const struct client_timeouts timeouts = {.connect_ms = CONNECT_MS_MAX};
    const struct client_response *response = NULL;
    struct writer first = *message;
    /* A connection that breaks off while we wait is no reason to end a warm process: ask once more. */
    struct err result = exchange(runtime, &request, timeouts, message, &response);
    if (result.kind == ERR_NETWORK) {
        *message = first;
        result = exchange(runtime, &request, timeouts, message, &response);
    }
    if (err_is(result)) return result;
    if (response->status != 200) return wrong(message, "next with", response->status);
    struct invocation invocation = {.request_id = client_header(response, STR("lambda-runtime-aws-request-id")),
                                    .trace = client_header(response, STR("lambda-runtime-trace-id")),
                                    .event = response->body};
    if (!is_request_id(invocation.request_id)) return wrong(message, "next without a request id", 0);
    if (invocation.event.len > FUNCTION_EVENT_SIZE_MAX) return wrong(message, "next with an event over its limit", 0);
    if (invocation.trace.len > TRACE_SIZE_MAX || invocation.trace.ptr == NULL || str_has_control(invocation.trace))
        invocation.trace = STR("");
    uint64_t deadline_ms = 0;
    struct str deadline = client_header(response, STR("lambda-runtime-deadline-ms"));
    if (deadline.ptr != NULL && str_u64(deadline, INT64_MAX / 1000, &deadline_ms))
        invocation.deadline_us = (int64_t)deadline_ms * 1000;
    memcpy(runtime->request_id, invocation.request_id.ptr, invocation.request_id.len);
    invocation.request_id.ptr = runtime->request_id;
    *ret_invocation = invocation;
    return err_ok();
}

static struct err post(struct runtime *runtime, struct str target, struct str error_type, struct str body,
                       struct writer *message, int *ret_status) {
    struct http_request request = {.method = STR("POST"), .target = target, .body = body};
    header(&request, STR("Host"), runtime->host);
    header(&request, STR("Content-Type"), STR("application/json"));
    if (error_type.ptr != NULL) header(&request, STR("Lambda-Runtime-Function-Error-Type"), error_type);
    const struct client_timeouts timeouts = {.connect_ms = CONNECT_MS_MAX, .whole_ms = RESPOND_MS_MAX};
    const struct client_response *response;
    TRY(exchange(runtime, &request, timeouts, message, &response));
    *ret_status = response->status;
    return err_ok();
}

struct err runtime_respond(struct runtime *runtime, struct str request_id, struct str response,
                           struct writer *message) {
    char target[sizeof ROOT + REQUEST_ID_SIZE_MAX + 32];
    struct writer w = writer_make(target, sizeof target);
    check(is_request_id(request_id));
    writer_put(&w, STR(ROOT "invocation/"));
    writer_put(&w, request_id);
    writer_put(&w, STR("/response"));
    check(!w.overflow);
    int status;
    TRY(post(runtime, writer_str(&w), STR_NONE, response, message, &status));
    switch (status) {
    case 202: return err_ok();
    case 400: /* InvalidRequestID: its time was over */
    case 403: /* InvalidStateTransition: the response was given, or nobody waits for it */
    case 413: /* over 6 MB */
        writer_format(message, "the Runtime API refuses the response with %d", status);
        return err_make(ERR_INPUT, 0, "hand the response over");
    default: return wrong(message, "a response with", status); /* 500: "non-recoverable state; exit promptly" */
    }
}

struct err runtime_init_error(struct runtime *runtime, struct str type, struct str sentence, struct writer *message) {
    char body[4096];
    struct writer w = writer_make(body, sizeof body);
    writer_put(&w, STR("{\"errorMessage\":"));
    json_write_string(&w, sentence.len > 512 ? str_make(sentence.ptr, 512) : sentence, true);
    writer_put(&w, STR(",\"errorType\":"));
    json_write_string(&w, type, true);
    writer_put(&w, STR(",\"stackTrace\":[]}"));
    check(!w.overflow); /* six bytes for each at most */
    int status;
    TRY(post(runtime, STR(ROOT "init/error"), type, writer_str(&w), message, &status));
    return status == 202 ? err_ok() : wrong(message, "init/error with", status);
}
