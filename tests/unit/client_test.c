/* SPDX-License-Identifier: Apache-2.0 */
/* The client against servers that follow a script: good answers, broken ones, slow ones, connections that die. */
#include "net/client.h"

#include "base/os.h"
#include "net_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define OK       ">HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HEAD_200 ">HTTP/1.1 200 OK\r\n"

static const struct client_timeouts patient = {.connect_ms = 20000, .first_byte_ms = 20000, .whole_ms = 20000};

static struct http_request make_request(const char *method, struct str body) {
    struct http_request request = {.method = str_from(method), .target = STR("/a?b=c"), .body = body};
    request.headers[request.header_count++] = (struct http_header){STR("Host"), STR("example.com:99")};
    request.headers[request.header_count++] = (struct http_header){STR("X-Some"), STR("thing")};
    request_split_target(&request);
    return request;
}

static struct client *open_client(void) {
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    struct client *client;
    assert_false(err_is(client_open(&message, &client)));
    return client;
}

static struct client_target target_of(const struct stand *stand) {
    return (struct client_target){.host = STR("127.0.0.1"), .port = stand->port};
}

/* -- What is sent ---------------------------------------------------------------------------------------- */

static void test_request_as_sent(void **state) {
    (void)state;
    static const struct {
        const char *method, *body, *expected;
    } cases[] = {
        {"POST", "hello",
         "POST /a?b=c HTTP/1.1\r\nHost: example.com:99\r\nX-Some: thing\r\nContent-Length: 5\r\n\r\nhello"},
        {"POST", "", "POST /a?b=c HTTP/1.1\r\nHost: example.com:99\r\nX-Some: thing\r\nContent-Length: 0\r\n\r\n"},
        {"PUT", "x", "PUT /a?b=c HTTP/1.1\r\nHost: example.com:99\r\nX-Some: thing\r\nContent-Length: 1\r\n\r\nx"},
        {"GET", "", "GET /a?b=c HTTP/1.1\r\nHost: example.com:99\r\nX-Some: thing\r\n\r\n"},
        {"DELETE", "", "DELETE /a?b=c HTTP/1.1\r\nHost: example.com:99\r\nX-Some: thing\r\n\r\n"},
    };
    static const script scripts[] = {{"<", OK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stand stand = {0};
        stand_open(&stand, scripts, 1);
        struct client *client = open_client();
        struct http_request request = make_request(cases[i].method, str_from(cases[i].body));
        const struct client_response *response;
        const struct client_target target = target_of(&stand);
        setenv("http_proxy", "http://127.0.0.1:9", 1);
        assert_false(err_is(client_exchange(client, &target, &request, patient, &response)));
        unsetenv("http_proxy");
        assert_int_equal(response->status, 200);
        assert_true(str_eq(response->body, STR("ok")));
        assert_false(response->ambiguous);
        assert_true(str_eq(client_header(response, STR("content-length")), STR("2")));
        assert_null(client_header(response, STR("absent")).ptr);
        client_close(client);
        stand_close(&stand);
        assert_string_equal(stand.last, cases[i].expected);
    }
}

static void test_what_http_cannot_carry_is_refused(void **state) {
    (void)state;
    struct client *client = open_client();
    const struct client_target nowhere = {.host = STR("127.0.0.1"), .port = 1};
    static const struct client_target bad_targets[] = {
        {.host = {"", 0}, .port = 80}, {.host = {"127.0.0.1", 9}, .port = 0}, {.host = {"a\nb", 3}, .port = 80}};
    const struct client_response *response;
    for (size_t i = 0; i < 3; i++) {
        struct http_request request = make_request("GET", STR(""));
        assert_int_equal(client_exchange(client, &bad_targets[i], &request, patient, &response).kind, ERR_INPUT);
    }
    for (int i = 0; i < 7; i++) {
        struct http_request request = make_request("GET", STR(""));
        switch (i) {
        case 0: request.method = STR("BREW"); break;
        case 1: request.method = STR("get"); break;
        case 2: request.target = STR("/a b"); break;
        case 3: request.target = STR(""); break;
        case 4: request.headers[1].value = STR("a\r\nEvil: b"); break;
        case 5: request.headers[1].name = STR("a\nb"); break;
        case 6: request.headers[1].value = STR("a\0b"); break;
        }
        assert_int_equal(client_exchange(client, &nowhere, &request, patient, &response).kind, ERR_INPUT);
    }
    client_close(client);
}

/* -- Answers --------------------------------------------------------------------------------------------- */

#define THOUSAND_10(x) x x x x x x x x x x
#define KILOBYTE       THOUSAND_10(THOUSAND_10("0123456789"))

static const struct answer_case {
    const char *name;
    script words;
    int status; /* 0: a failure of the network */
    const char *body;
} answers[] = {
    {"plain", {"<", OK}, 200, "ok"},
    {"in pieces",
     {"<", ">HTT", "~5", ">P/1.1 20", "~5", ">0 OK\r\nContent-Le", "~5", ">ngth: 2\r\n\r", "~5", ">\nok"},
     200,
     "ok"},
    {"empty", {"<", HEAD_200 "Content-Length: 0\r\n\r\n"}, 200, ""},
    {"204", {"<", ">HTTP/1.1 204 No Content\r\n\r\n"}, 204, ""},
    {"chunked", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"}, 200, "abcde"},
    {"chunked in pieces",
     {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\n2\r", "~5", ">\na", "~5", ">b\r\n0\r\n", "~5", ">\r\n"},
     200,
     "ab"},
    {"until it closes", {"<", HEAD_200 "\r\n", "~5", ">what is left", "$"}, 200, "what is left"},
    {"until it closes, 1.0", {"<", ">HTTP/1.0 200 OK\r\n\r\nold", "$"}, 200, "old"},
    {"connection: close", {"<", HEAD_200 "Connection: close\r\nContent-Length: 2\r\n\r\nok", "$"}, 200, "ok"},
    {"after a 100", {"<", ">HTTP/1.1 100 Continue\r\n\r\n", "~5", OK, "-"}, 200, "ok"},
    {"with a 100",
     {"<", ">HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "-"},
     200,
     "ok"},
    {"a redirect is an answer",
     {"<", ">HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"},
     302,
     ""},
    {"500", {"<", ">HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx"}, 500, "x"},
    {"413", {"<", ">HTTP/1.1 413 Large\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "$"}, 413, "x"},
    {"a kilobyte", {"<", HEAD_200 "Content-Length: 1000\r\n\r\n" KILOBYTE}, 200, KILOBYTE},
    {"closed at once", {"<"}, 0, NULL},
    {"reset", {"<", "!"}, 0, NULL},
    {"half a status line", {"<", ">HTTP/1.1 20", "$"}, 0, NULL},
    {"half a head", {"<", HEAD_200 "Content-Length: 2\r\n", "$"}, 0, NULL},
    {"half a body", {"<", HEAD_200 "Content-Length: 3\r\n\r\nok", "$"}, 0, NULL},
    {"half a body, reset", {"<", HEAD_200 "Content-Length: 3\r\n\r\nok", "~20", "!"}, 0, NULL},
    {"half a chunk", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "$"}, 0, NULL},
    {"no last chunk", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "$"}, 0, NULL},
    {"a chunk size that is none", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"}, 0, NULL},
    {"a negative chunk size", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n"}, 0, NULL},
    {"a negative length", {"<", HEAD_200 "Content-Length: -1\r\n\r\n"}, 0, NULL},
    {"a length that is none", {"<", HEAD_200 "Content-Length: two\r\n\r\nok"}, 0, NULL},
    {"a length beyond the bound", {"<", HEAD_200 "Content-Length: 99999999999\r\n\r\nok", "-"}, 0, NULL},
    {"a chunk beyond the bound", {"<", HEAD_200 "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nok", "-"}, 0, NULL},
    {"garbage", {"<", ">\x80\x81\x82 garbage\r\n\r\n", "-"}, 0, NULL},
    {"no HTTP", {"<", ">220 smtp.example.com ESMTP\r\n", "-"}, 0, NULL},
    {"no status", {"<", ">HTTP/1.1 xx OK\r\nContent-Length: 2\r\n\r\nok", "-"}, 0, NULL},
    {"a status of another kind", {"<", ">HTTP/1.1 103 Early\r\n\r\n", OK}, 0, NULL},
    {"a header line that is none", {"<", HEAD_200 "no colon here\r\n\r\n", "-"}, 0, NULL},
};

static void test_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct answer_case *c = &answers[i];
        struct stand stand = {0};
        stand_open(&stand, &c->words, 1);
        struct client *client = open_client();
        struct http_request request = make_request("POST", STR("{}"));
        const struct client_target target = target_of(&stand);
        const struct client_response *response = NULL;
        struct err failure = client_exchange(client, &target, &request, patient, &response);
        if (failure.kind != (c->status == 0 ? ERR_NETWORK : ERR_OK))
            fail_msg("%s: kind %d, could not %s", c->name, (int)failure.kind, failure.where);
        if (c->status != 0) {
            assert_int_equal(response->status, c->status);
            if (!str_eq(response->body, str_from(c->body))) fail_msg("%s: another body", c->name);
        }
        client_close(client);
        stand_close(&stand);
        if (stand.requests != 1) fail_msg("%s: %zu requests", c->name, stand.requests);
    }
}

/* -- Deadlines ------------------------------------------------------------------------------------------- */

static void test_deadlines(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct client_timeouts timeouts;
        script words;
        enum err_kind kind;
        bool ambiguous;
    } cases[] = {
        {"no byte", {.first_byte_ms = 100}, {"<", "-"}, ERR_TIMEOUT, true},
        {"no byte, and longer than one wait", {.whole_ms = 1500}, {"<", "-"}, ERR_TIMEOUT, true},
        {"no byte in the whole", {.whole_ms = 100}, {"<", "-"}, ERR_TIMEOUT, true},
        {"a first byte and no more", {.whole_ms = 200, .first_byte_ms = 10000}, {"<", ">H", "-"}, ERR_TIMEOUT, true},
        {"half a body", {.whole_ms = 200}, {"<", HEAD_200 "Content-Length: 9\r\n\r\nok", "-"}, ERR_TIMEOUT, true},
        {"byte by byte",
         {.whole_ms = 200},
         {"<", ">H", "~80", ">T", "~80", ">T", "~80", ">P", "~80", ">/", "-"},
         ERR_TIMEOUT,
         true},
        {"a first byte in time",
         {.first_byte_ms = 2000},
         {"<", ">H", "~2500", ">TTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
         ERR_OK,
         false},
        {"no limit", {0}, {"<", "~300", OK}, ERR_OK, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stand stand = {0};
        stand_open(&stand, &cases[i].words, 1);
        struct client *client = open_client();
        struct http_request request = make_request("GET", STR(""));
        const struct client_target target = target_of(&stand);
        const struct client_response *response = NULL;
        int64_t start_us = os_mono_us();
        struct err failure = client_exchange(client, &target, &request, cases[i].timeouts, &response);
        if (failure.kind != cases[i].kind) fail_msg("%s: could not %s", cases[i].name, failure.where);
        assert_true(os_mono_us() - start_us < 10000000);
        client_close(client);
        stand_close(&stand);
    }
}

/* A listener whose queue is full: a connection is neither made nor refused. */
static void test_a_connection_that_never_stands(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fillers[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, size);
    }
    usleep(100000);
    struct client *client = open_client();
    struct http_request request = make_request("GET", STR(""));
    const struct client_target target = {.host = STR("127.0.0.1"), .port = ntohs(address.sin_port)};
    const struct client_response *response = NULL;
    struct err failure =
        client_exchange(client, &target, &request, (struct client_timeouts){.connect_ms = 200}, &response);
    assert_int_equal(failure.kind, ERR_TIMEOUT);
    assert_non_null(strstr(failure.where, "connect"));
    client_close(client);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listener);
}

/* -- Many, kept, dead ------------------------------------------------------------------------------------ */

struct tally {
    size_t done, good, ambiguous;
    struct err last;
};

static void on_tally(void *context, struct err failure, const struct client_response *response) {
    struct tally *tally = context;
    assert_non_null(response);
    tally->done++;
    tally->last = failure;
    if (!err_is(failure) && response->status == 200) tally->good++;
    if (err_is(failure)) assert_int_equal(response->status, 0);
    if (response->ambiguous) tally->ambiguous++;
}

static void run_one(struct client *client, const struct stand *stand, struct client_timeouts timeouts,
                    struct tally *tally) {
    struct http_request request = make_request("POST", STR("{}"));
    const struct client_target target = target_of(stand);
    size_t before = tally->done;
    client_start(client, &target, &request, timeouts, on_tally, tally);
    assert_int_equal(tally->done, before); /* never before it returns */
    client_run(client);
    assert_int_equal(tally->done, before + 1);
}

static void test_a_connection_is_used_again(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "<", OK, "<", OK, "-"}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    struct client *client = open_client();
    struct tally tally = {0};
    for (int i = 0; i < 3; i++)
        run_one(client, &stand, patient, &tally);
    assert_int_equal(tally.good, 3);
    assert_int_equal(stand_accepted(&stand), 1);
    client_close(client);
    stand_close(&stand);
}

static const struct kept_case {
    const char *name;
    script first;
    bool once;
    size_t accepted, good, ambiguous;
} kept_cases[] = {
    {"closed while idle", {"<", OK}, false, 2, 2, 0},
    {"closed while idle, once", {"<", OK}, true, 2, 2, 0},
    {"reset while idle", {"<", OK, "~10", "!"}, false, 2, 2, 0},
    {"said to close", {"<", HEAD_200 "Connection: close\r\nContent-Length: 2\r\n\r\nok", "-"}, false, 2, 2, 0},
    {"more than the answer", {"<", OK "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "-"}, false, 2, 2, 0},
    {"more than the answer, later",
     {"<", OK, "~10", ">HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "-"},
     false,
     2,
     2,
     0},
    {"closed after the request", {"<", OK, "<"}, false, 2, 2, 1},
    {"reset after the request", {"<", OK, "<", "!"}, false, 2, 2, 1},
    {"closed after the request, once", {"<", OK, "<"}, true, 1, 1, 1},
    {"a byte of an answer", {"<", OK, "<", ">H"}, false, 1, 1, 1},
};

static void test_kept_connections_that_die(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kept_cases / sizeof kept_cases[0]; i++) {
        const struct kept_case *c = &kept_cases[i];
        script scripts[2] = {{0}, {"<", OK, "-"}};
        memcpy(scripts[0], c->first, sizeof scripts[0]);
        struct stand stand = {0};
        stand_open(&stand, (const script *)scripts, 2); /* ISO C before C23 wants the cast */
        struct client *client = open_client();
        struct tally tally = {0};
        run_one(client, &stand, patient, &tally);
        assert_int_equal(tally.good, 1);
        /* Until the peer has done what it does while we are idle, as when a function is frozen. */
        size_t words = 2;
        while (c->first[words] != NULL && c->first[words][0] != '<' && c->first[words][0] != '-')
            words++;
        assert_true(stand_wait(&stand, words + (c->first[words] == NULL)));
        struct client_timeouts timeouts = patient;
        timeouts.once = c->once;
        run_one(client, &stand, timeouts, &tally);
        if (tally.good != c->good || stand_accepted(&stand) != c->accepted || tally.ambiguous != c->ambiguous)
            fail_msg("%s: %zu good, %zu accepted, %zu ambiguous: could not %s", c->name, tally.good,
                     stand_accepted(&stand), tally.ambiguous, tally.last.where);
        client_close(client);
        stand_close(&stand);
    }
}

/* It is replaced once, not for ever. */
static void test_a_server_that_always_dies(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "<"}, {"<"}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 2);
    struct client *client = open_client();
    struct tally tally = {0};
    run_one(client, &stand, patient, &tally);
    run_one(client, &stand, patient, &tally);
    assert_int_equal(tally.good, 1);
    assert_int_equal(tally.last.kind, ERR_NETWORK);
    assert_int_equal(tally.ambiguous, 1);
    assert_int_equal(stand_requests(&stand), 3);
    client_close(client);
    stand_close(&stand);
}

static void test_many_at_once(void **state) {
    (void)state;
    enum { MANY = 300 };
    static const script scripts[] = {{"<", "~1", OK, "<", "~1", OK, "<", "~1", OK, "<", "~1", OK}};
    struct stand *stand = calloc(1, sizeof *stand);
    stand_open(stand, scripts, 1);
    struct client *client = open_client();
    struct tally tally = {0};
    struct http_request request = make_request("POST", STR("{}"));
    const struct client_target target = target_of(stand);
    for (int i = 0; i < MANY; i++)
        client_start(client, &target, &request, patient, on_tally, &tally);
    client_run(client);
    assert_int_equal(tally.good, MANY);
    assert_int_equal(stand_requests(stand), MANY);
    assert_in_range(stand_open_max(stand), 2, CLIENT_CONNECTIONS_MAX);
    client_close(client);
    stand_close(stand);
    free(stand);
}

/* More than there may be connections, to a server that answers none: all end, those that never had a connection too. */
static void test_many_time_out(void **state) {
    (void)state;
    static const script scripts[] = {{"<", "-"}};
    struct stand *stand = calloc(1, sizeof *stand);
    stand_open(stand, scripts, 1);
    struct client *client = open_client();
    struct tally tally = {0};
    struct http_request request = make_request("POST", STR("{}"));
    const struct client_target target = target_of(stand);
    for (int i = 0; i < CLIENT_CONNECTIONS_MAX + 20; i++)
        client_start(client, &target, &request, (struct client_timeouts){.whole_ms = 1000}, on_tally, &tally);
    client_run(client);
    assert_int_equal(tally.done, CLIENT_CONNECTIONS_MAX + 20);
    assert_int_equal(tally.good, 0);
    assert_int_equal(tally.last.kind, ERR_TIMEOUT);
    client_close(client);
    stand_close(stand);
    free(stand);
}

static void test_closing_with_exchanges_in_flight(void **state) {
    (void)state;
    static const script scripts[] = {{"<", "-"}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    struct client *client = open_client();
    struct tally tally = {0}, other = {0};
    struct http_request request = make_request("POST", STR("{}"));
    const struct client_target target = target_of(&stand);
    const struct client_response *response;
    client_start(client, &target, &request, (struct client_timeouts){0}, on_tally, &tally);
    assert_int_equal(
        client_exchange(client, &target, &request, (struct client_timeouts){.whole_ms = 100}, &response).kind,
        ERR_TIMEOUT);
    client_start(client, &target, &request, patient, on_tally, &other);
    client_after(client, 1000, NULL, NULL);
    client_close(client);
    assert_int_equal(tally.done + other.done, 0);
    stand_close(&stand);
}

struct chain {
    struct client *client;
    struct client_target target;
    struct http_request request;
    int left, waits;
};

static void on_link(void *context, struct err failure, const struct client_response *response) {
    struct chain *chain = context;
    assert_false(err_is(failure));
    assert_int_equal(response->status, 200);
    if (--chain->left > 0) client_start(chain->client, &chain->target, &chain->request, patient, on_link, chain);
}
static void on_wait(void *context) {
    struct chain *chain = context;
    chain->waits++;
    if (chain->waits == 1) client_after(chain->client, 1, on_wait, chain);
}

static void test_starting_from_a_call_back(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "<", OK}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    struct chain chain = {.client = open_client(), .target = target_of(&stand), .left = 6};
    chain.request = make_request("GET", STR(""));
    client_start(chain.client, &chain.target, &chain.request, patient, on_link, &chain);
    client_after(chain.client, 0, on_wait, &chain);
    client_run(chain.client);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.waits, 2);
    client_close(chain.client);
    stand_close(&stand);
}

/* A port of 127.0.0.1 that is ours and refuses, since nobody listens; 0 asks for any. -1: it is somebody else's. */
static int hold_port(uint16_t *port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int holder = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(holder >= 0);
    if (bind(holder, (struct sockaddr *)&address, size) != 0 ||
        getsockname(holder, (struct sockaddr *)&address, &size) != 0) {
        close(holder);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return holder;
}

static void test_nobody_there(void **state) {
    (void)state;
    struct stand nobody = {.port = 0};
    int holder = hold_port(&nobody.port);
    assert_true(holder >= 0);
    struct client *client = open_client();
    struct tally tally = {0};
    run_one(client, &nobody, patient, &tally);
    assert_int_equal(tally.last.kind, ERR_NETWORK);
    assert_int_equal(tally.ambiguous, 0);
    assert_non_null(strstr(tally.last.where, "reach"));
    client_close(client);
    close(holder);
}

/* localhost is 127.0.0.1 and ::1, in this order; the first that answers is used. */
static void test_localhost(void **state) {
    (void)state;
    static const script scripts[] = {{"<", OK, "-"}};
    static const char *const names[] = {"localhost", "LOCALHOST", "abc.lambda-url.us-east-1.localhost"};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    for (size_t i = 0; i < 3; i++) {
        struct client *client = open_client();
        struct http_request request = make_request("GET", STR(""));
        const struct client_target target = {.host = str_from(names[i]), .port = stand.port};
        const struct client_response *response;
        assert_false(err_is(client_exchange(client, &target, &request, patient, &response)));
        client_close(client);
    }
    stand_close(&stand);
}

/* Only ::1 listens: 127.0.0.1 refuses first. */
static void test_the_second_address(void **state) {
    (void)state;
    int listener = -1, holder = -1;
    uint16_t port = 0;
    for (int i = 0; i < 100 && holder < 0; i++) { /* a port that is free in both */
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        socklen_t size = sizeof address;
        if (listener >= 0) close(listener);
        listener = socket(AF_INET6, SOCK_STREAM, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0) skip(); /* a machine without IPv6 */
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
        port = ntohs(address.sin6_port);
        holder = hold_port(&port);
    }
    assert_true(holder >= 0);
    struct client *client = open_client();
    struct http_request request = make_request("GET", STR(""));
    const struct client_target target = {.host = STR("localhost"), .port = port};
    const struct client_response *response;
    struct err failure =
        client_exchange(client, &target, &request, (struct client_timeouts){.first_byte_ms = 200}, &response);
    assert_int_equal(failure.kind, ERR_TIMEOUT); /* connected, and nobody reads */
    assert_non_null(strstr(failure.where, "answer"));
    client_close(client);
    close(listener);
    close(holder);
}

/* A server that answers before it has read what is sent, and then closes. */
static void test_an_early_answer(void **state) {
    (void)state;
    static const script scripts[] = {
        {">HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig", "$", "-"}};
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    size_t size = 8 << 20;
    char *body = calloc(1, size);
    struct client *client = open_client();
    struct http_request request = make_request("POST", str_make(body, size));
    const struct client_target target = target_of(&stand);
    const struct client_response *response;
    struct err failure = client_exchange(client, &target, &request, patient, &response);
    if (err_is(failure)) fail_msg("could not %s", failure.where);
    assert_int_equal(response->status, 413);
    client_close(client);
    stand_close(&stand);
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_as_sent),
        cmocka_unit_test(test_what_http_cannot_carry_is_refused),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_a_connection_that_never_stands),
        cmocka_unit_test(test_a_connection_is_used_again),
        cmocka_unit_test(test_kept_connections_that_die),
        cmocka_unit_test(test_a_server_that_always_dies),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_many_time_out),
        cmocka_unit_test(test_closing_with_exchanges_in_flight),
        cmocka_unit_test(test_starting_from_a_call_back),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_the_second_address),
        cmocka_unit_test(test_an_early_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
