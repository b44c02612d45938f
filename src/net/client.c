/* SPDX-License-Identifier: Apache-2.0 */
/* An event base, a connection and a request, for one exchange. */
#include "net/client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESPONSE_BODY_SIZE_MAX = 64 << 20, RESPONSE_HEAD_SIZE_MAX = 65536 };

struct exchange {
    struct err result;
    struct client_response response;
};

static char *cstr(struct str s) { return strndup(s.len > 0 ? s.ptr : "", s.len); }

/* evhttp hands over NULL, or a status of 0, where there was no answer. */
static void on_done(struct evhttp_request *answer, void *context) {
    struct exchange *exchange = context;
    if (answer == NULL || evhttp_request_get_response_code(answer) == 0) {
        /* The cause came before, by on_error; else the connection could not be made or broke off. */
        if (!err_is(exchange->result)) exchange->result = err_make(ERR_NETWORK, 0, "reach the server");
        return;
    }
    struct evkeyvalq *headers = evhttp_request_get_input_headers(answer);
    struct evbuffer *body = evhttp_request_get_input_buffer(answer);
    size_t body_size = evbuffer_get_length(body), size = body_size;
    for (struct evkeyval *header = headers->tqh_first; header != NULL; header = header->next.tqe_next)
        size += strlen(header->key) + strlen(header->value) + 3;
    struct client_response *response = &exchange->response;
    response->memory = malloc(size + 1);
    if (response->memory == NULL) {
        exchange->result = err_make(ERR_MEMORY, ENOMEM, "read the answer");
        return;
    }
    struct writer w = writer_make(response->memory, size);
    for (struct evkeyval *header = headers->tqh_first; header != NULL; header = header->next.tqe_next) {
        writer_put(&w, str_from(header->key));
        writer_put(&w, STR(": "));
        writer_put(&w, str_from(header->value));
        writer_char(&w, '\n');
    }
    check(!w.overflow);
    response->status = evhttp_request_get_response_code(answer);
    response->headers = writer_str(&w);
    response->body = str_make(response->memory + w.len, body_size);
    check(evbuffer_remove(body, response->memory + w.len, body_size) == (int)body_size);
    exchange->result = err_ok();
}

static void on_error(enum evhttp_request_error error, void *context) {
    struct exchange *exchange = context;
    exchange->result = error == EVREQ_HTTP_TIMEOUT ? err_make(ERR_TIMEOUT, 0, "get an answer in time")
                                                   : err_make(ERR_NETWORK, 0, "read the answer");
}

static bool fill(struct evhttp_request *out, const struct http_request *request) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(out);
    bool good = true;
    for (uint32_t i = 0; i < request->header_count && good; i++) {
        char *name = cstr(request->headers[i].name), *value = cstr(request->headers[i].value);
        good = name != NULL && value != NULL && evhttp_add_header(headers, name, value) == 0;
        free(name);
        free(value);
    }
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", request->body.len);
    good = good && evhttp_add_header(headers, "Content-Length", length) == 0 &&
           evhttp_add_header(headers, "Connection", "close") == 0;
    return good && (request->body.len == 0 ||
                    evbuffer_add(evhttp_request_get_output_buffer(out), request->body.ptr, request->body.len) == 0);
}

struct err client_exchange(const char *address, uint16_t port, const struct http_request *request, int timeout_s,
                           struct client_response *ret_response) {
    struct exchange exchange = {.result = err_ok()};
    struct event_base *base = event_base_new();
    struct evhttp_connection *connection = base != NULL ? evhttp_connection_base_new(base, NULL, address, port) : NULL;
    struct evhttp_request *out = connection != NULL ? evhttp_request_new(on_done, &exchange) : NULL;
    char *target = cstr(request->target);
    if (out == NULL || target == NULL || !fill(out, request)) {
        exchange.result = err_make(ERR_INPUT, 0, "send a header like that");
        if (out != NULL) evhttp_request_free(out);
    } else {
        evhttp_connection_set_timeout(connection, timeout_s);
        evhttp_connection_set_max_body_size(connection, RESPONSE_BODY_SIZE_MAX);
        evhttp_connection_set_max_headers_size(connection, RESPONSE_HEAD_SIZE_MAX);
        evhttp_request_set_error_cb(out, on_error);
        /* The connection owns the request from here on, even where this fails. Other methods than POST are not sent by
         * us. */
        if (evhttp_make_request(connection, out, EVHTTP_REQ_POST, target) != 0)
            exchange.result = err_make(ERR_NETWORK, 0, "reach the server");
        else
            (void)event_base_dispatch(base); /* its end says nothing: the callbacks have */
        if (!err_is(exchange.result) && exchange.response.status == 0)
            exchange.result = err_make(ERR_NETWORK, 0, "reach the server");
    }
    free(target);
    if (connection != NULL) evhttp_connection_free(connection);
    if (base != NULL) event_base_free(base);
    if (err_is(exchange.result))
        client_response_done(&exchange.response);
    else
        *ret_response = exchange.response;
    return exchange.result;
}

void client_response_done(struct client_response *response) {
    free(response->memory);
    *response = (struct client_response){0};
}
