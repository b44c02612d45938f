/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into libevent's HTTP client and what comes out of it. Names and values are copied into C strings there, so
 * that what could end or break one early is refused before. */
#include "net/message.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>

/* One row a method that we send. */
static const struct method {
    struct str name;
    enum evhttp_cmd_type type;
    bool has_body; /* its length is told even where it is 0 (RFC 9110 §8.6) */
} methods[] = {
    {{"GET", 3}, EVHTTP_REQ_GET, false},       {{"POST", 4}, EVHTTP_REQ_POST, true},
    {{"PUT", 3}, EVHTTP_REQ_PUT, true},        {{"HEAD", 4}, EVHTTP_REQ_HEAD, false},
    {{"DELETE", 6}, EVHTTP_REQ_DELETE, false}, {{"PATCH", 5}, EVHTTP_REQ_PATCH, true},
};

static const struct method *method_of(struct str name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_eq(methods[i].name, name)) return &methods[i];
    return NULL;
}

static bool is_line(struct str s) {
    return s.len == 0 || (memchr(s.ptr, '\r', s.len) == NULL && memchr(s.ptr, '\n', s.len) == NULL &&
                          memchr(s.ptr, '\0', s.len) == NULL);
}

bool message_is_sendable(const struct http_request *request) {
    if (method_of(request->method) == NULL) return false;
    if (request->target.len == 0 || str_has(request->target, ' ') || !is_line(request->target)) return false;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len == 0 || !is_line(header->name) || !is_line(header->value)) return false;
    }
    return true;
}

static bool add_header(struct evkeyvalq *headers, struct str name, struct str value) {
    char *name_text = strndup(name.ptr, name.len), *value_text = strndup(value.len > 0 ? value.ptr : "", value.len);
    bool good = name_text != NULL && value_text != NULL && evhttp_add_header(headers, name_text, value_text) == 0;
    free(name_text);
    free(value_text);
    return good;
}

struct evhttp_request *message_make(const struct http_request *request,
                                    void (*answered)(struct evhttp_request *answer, void *context), void *context) {
    const struct method *method = method_of(request->method);
    check(method != NULL);
    struct evhttp_request *message = evhttp_request_new(answered, context);
    if (message == NULL) return NULL;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(message);
    struct str body = request->body;
    bool good = true;
    for (uint32_t i = 0; i < request->header_count && good; i++)
        good = add_header(headers, request->headers[i].name, request->headers[i].value);
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", body.len);
    if (good && (body.len > 0 || method->has_body) &&
        request_header(request, STR("content-length"), &(struct str){0}) == 0)
        good = evhttp_add_header(headers, "Content-Length", length) == 0;
    if (good && body.len > 0)
        good = evbuffer_add_reference(evhttp_request_get_output_buffer(message), body.ptr, body.len, NULL, NULL) == 0;
    if (good) return message;
    evhttp_request_free(message);
    return NULL;
}

bool message_send(struct evhttp_connection *connection, struct evhttp_request *message,
                  const struct http_request *request) {
    const struct method *method = method_of(request->method);
    check(method != NULL);
    char *target = strndup(request->target.ptr, request->target.len);
    if (target == NULL) {
        evhttp_request_free(message);
        return false;
    }
    bool good = evhttp_make_request(connection, message, method->type, target) == 0;
    free(target);
    return good;
}

struct err message_read(struct evhttp_request *answer, struct http_header **ret_headers,
                        struct client_response *ret_response) {
    static const struct err nonsense = {ERR_NETWORK, 0, "make sense of the answer"};
    int status = evhttp_request_get_response_code(answer);
    if (status < 200 || status > 999) return nonsense; /* 100 is dealt with below us; nobody sends others */
    const struct evkeyvalq *list = evhttp_request_get_input_headers(answer);
    const struct evkeyval *header;
    uint32_t count = 0;
    for (header = list->tqh_first; header != NULL; header = header->next.tqe_next)
        count++;
    struct evbuffer *body = evhttp_request_get_input_buffer(answer);
    size_t size = evbuffer_get_length(body);
    if (size > CLIENT_ANSWER_SIZE_MAX) return nonsense;
    struct http_header *headers = calloc(count + 1, sizeof *headers);
    const unsigned char *bytes = size > 0 ? evbuffer_pullup(body, -1) : (const unsigned char *)"";
    *ret_headers = headers;
    if (headers == NULL || bytes == NULL) return err_make(ERR_MEMORY, ENOMEM, "read the answer");
    count = 0;
    for (header = list->tqh_first; header != NULL; header = header->next.tqe_next)
        headers[count++] = (struct http_header){str_from(header->key), str_trim(str_from(header->value))};
    ret_response->status = status;
    ret_response->headers = headers;
    ret_response->header_count = count;
    ret_response->body = str_make((const char *)bytes, size);
    return err_ok();
}
