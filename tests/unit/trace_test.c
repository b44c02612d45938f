/* SPDX-License-Identifier: Apache-2.0 */
/* Subsegments as the daemon receives them, and all that must not be sent. A thread looks for its daemon once, so that
 * each case has a thread of its own. */
#include "net/trace.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define ROOT    "1-5759e988-bd862e3fe1be46a994272793"
#define PARENT  "53995c3f42cd8ad8"
#define SAMPLED "Root=" ROOT ";Parent=" PARENT ";Sampled=1"

static int daemon_socket;
static uint16_t daemon_port;

static int open_daemon(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    daemon_socket = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(daemon_socket, (struct sockaddr *)&address, size) != 0 ||
        getsockname(daemon_socket, (struct sockaddr *)&address, &size) != 0)
        return 1;
    daemon_port = ntohs(address.sin_port);
    return 0;
}
static int close_daemon(void **state) {
    (void)state;
    return close(daemon_socket);
}

static const struct trace_call plain = {
    .service = "dynamodb",
    .operation = "UpdateItem",
    .region = "us-east-1",
    .resource = "table",
    .request_id = {"R1", 2},
    .started_us = 1700000000000001,
    .ended_us = 1700000000250000,
    .status = 200,
    .error = {"", 0},
};

struct job {
    const char *header;
    const struct trace_call *call;
};

static void *run_job(void *context) {
    const struct job *job = context;
    trace_begin(str_from(job->header));
    trace_call(job->call);
    trace_begin(STR_NONE); /* another invocation, not sampled */
    trace_call(job->call);
    return NULL;
}

/* In the address "#" stands for the daemon's port. */
static void run(const char *daemon_address, const char *header, const struct trace_call *call) {
    struct job job = {header, call};
    pthread_t thread;
    char address[128];
    const char *place = strchr(daemon_address, '#');
    if (place != NULL)
        (void)snprintf(address, sizeof address, "%.*s%u%s", (int)(place - daemon_address), daemon_address, daemon_port,
                       place + 1);
    else
        (void)snprintf(address, sizeof address, "%s", daemon_address);
    setenv("AWS_XRAY_DAEMON_ADDRESS", address, 1);
    assert_int_equal(pthread_create(&thread, NULL, run_job, &job), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* What the daemon has received, or -1: a datagram on loopback is there when send has returned. */
static ssize_t received(char *text, size_t size) {
    ssize_t got = recv(daemon_socket, text, size - 1, MSG_DONTWAIT);
    text[got < 0 ? 0 : got] = '\0';
    return got;
}

static json_t *received_document(void) {
    static const char first[] = "{\"format\":\"json\",\"version\":1}\n";
    char text[16384], more[16];
    assert_true(received(text, sizeof text) > 0);
    assert_int_equal(strncmp(text, first, sizeof first - 1), 0);
    json_t *document = json_loads(text + sizeof first - 1, 0, NULL);
    assert_non_null(document);
    assert_int_equal(received(more, sizeof more), -1);
    return document;
}

static const char *text_at(const json_t *document, const char *name) {
    return json_string_value(json_object_get(document, name));
}

#define ANY_DAEMON "127.0.0.1:#"

static void test_a_subsegment(void **state) {
    (void)state;
    static const char *const daemons[] = {ANY_DAEMON, "tcp:127.0.0.1:1 udp:127.0.0.1:#",
                                          "udp:127.0.0.1:# tcp:127.0.0.1:1"};
    for (size_t i = 0; i < 3; i++) {
        run(daemons[i], SAMPLED, &plain);
        json_t *document = received_document();
        assert_int_equal(strlen(text_at(document, "id")), 16);
        assert_string_equal(text_at(document, "trace_id"), ROOT);
        assert_string_equal(text_at(document, "parent_id"), PARENT);
        assert_string_equal(text_at(document, "name"), "dynamodb");
        assert_string_equal(text_at(document, "type"), "subsegment");
        assert_string_equal(text_at(document, "namespace"), "aws");
        assert_true(json_real_value(json_object_get(document, "start_time")) < 1700000000.0001);
        assert_true(json_real_value(json_object_get(document, "end_time")) > 1700000000.2499);
        const json_t *aws = json_object_get(document, "aws");
        assert_string_equal(text_at(aws, "operation"), "UpdateItem");
        assert_string_equal(text_at(aws, "region"), "us-east-1");
        assert_string_equal(text_at(aws, "request_id"), "R1");
        assert_string_equal(text_at(aws, "table_name"), "table");
        const json_t *response = json_object_get(json_object_get(document, "http"), "response");
        assert_int_equal(json_integer_value(json_object_get(response, "status")), 200);
        assert_null(json_object_get(document, "error"));
        assert_null(json_object_get(document, "fault"));
        assert_null(json_object_get(document, "cause"));
        json_decref(document);
    }
}

static void test_failures(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *word;
        bool error, fault, throttle;
    } cases[] = {
        {400, "ValidationException", true, false, false},
        {429, "TooManyRequestsException", true, false, true},
        {500, "InternalServerError", false, true, false},
        {0, "get an answer \"in\" time\n", false, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trace_call call = plain;
        call.status = cases[i].status;
        call.error = str_from(cases[i].word);
        call.service = "secretsmanager";
        call.resource = NULL;
        call.request_id = STR("");
        run(ANY_DAEMON, SAMPLED, &call);
        json_t *document = received_document();
        assert_int_equal(json_is_true(json_object_get(document, "error")), cases[i].error);
        assert_int_equal(json_is_true(json_object_get(document, "fault")), cases[i].fault);
        assert_int_equal(json_is_true(json_object_get(document, "throttle")), cases[i].throttle);
        assert_int_equal(json_object_get(document, "http") != NULL, cases[i].status != 0);
        const json_t *exceptions = json_object_get(json_object_get(document, "cause"), "exceptions");
        assert_string_equal(text_at(json_array_get(exceptions, 0), "type"), cases[i].word);
        assert_null(json_object_get(json_object_get(document, "aws"), "table_name"));
        assert_null(json_object_get(json_object_get(document, "aws"), "request_id"));
        json_decref(document);
    }
}

static void test_nothing_is_sent(void **state) {
    (void)state;
    static const struct {
        const char *daemon, *header;
    } cases[] = {
        {ANY_DAEMON, ""},
        {ANY_DAEMON, "Root=" ROOT ";Parent=" PARENT ";Sampled=0"},
        {ANY_DAEMON, "Root=" ROOT ";Parent=" PARENT},
        {ANY_DAEMON, "Root=" ROOT ";Sampled=1"},
        {ANY_DAEMON, "Parent=" PARENT ";Sampled=1"},
        {ANY_DAEMON, "Root=x;Parent=" PARENT ";Sampled=1"},
        {ANY_DAEMON, "Root=1-5759e988-bd862e3fe1be46a99427279\";Parent=" PARENT ";Sampled=1"},
        {ANY_DAEMON, "Root=" ROOT ";Parent=53995c3f42cd8ad\";Sampled=1"},
        {ANY_DAEMON, "Root=" ROOT ";Parent=" PARENT ";Sampled=1\n"},
        {ANY_DAEMON, ";;;==;Sampled=1"},
        {"", SAMPLED},
        {"nonsense", SAMPLED},
        {"tcp:127.0.0.1:#", SAMPLED},
        {"localhost:#", SAMPLED},
        {"127.0.0.1", SAMPLED},
    };
    char text[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(cases[i].daemon, cases[i].header, &plain);
        if (received(text, sizeof text) != -1) fail_msg("%s: %s", cases[i].header, text);
    }
}

static void test_what_does_not_fit_is_lost(void **state) {
    (void)state;
    static char long_text[9000];
    char text[64];
    memset(long_text, 'x', sizeof long_text - 1);
    struct trace_call call = plain;
    call.error = str_from(long_text);
    run(ANY_DAEMON, SAMPLED, &call);
    assert_int_equal(received(text, sizeof text), -1);
    run("127.0.0.1:1", SAMPLED, &plain); /* nobody is there: nothing happens */
}

static void test_the_header(void **state) {
    (void)state;
    char too_long[600];
    trace_begin(STR(SAMPLED ";Lineage=a:0"));
    assert_true(str_eq(trace_header(), STR(SAMPLED ";Lineage=a:0")));
    assert_true(str_eq(trace_id(), STR(ROOT)));
    trace_begin(STR("Root=bad"));
    assert_true(str_eq(trace_header(), STR("Root=bad")));
    assert_int_equal(trace_id().len, 0);
    memset(too_long, 'x', sizeof too_long);
    trace_begin(str_make(too_long, sizeof too_long));
    assert_int_equal(trace_header().len, 0);
    trace_begin(STR_NONE);
    assert_int_equal(trace_header().len, 0);
    assert_non_null(trace_header().ptr);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subsegment),    cmocka_unit_test(test_failures),
        cmocka_unit_test(test_nothing_is_sent), cmocka_unit_test(test_what_does_not_fit_is_lost),
        cmocka_unit_test(test_the_header),
    };
    return cmocka_run_group_tests(tests, open_daemon, close_daemon);
}
