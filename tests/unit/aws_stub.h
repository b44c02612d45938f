/* SPDX-License-Identifier: Apache-2.0 */
/* A script that stands in the place of net/aws: what is asked, one row a call, in order, and what each answers. The
 * test that includes this defines a service of its own, and nothing goes over a network. */
#ifndef PAYHOOK_TESTS_AWS_STUB_H
#define PAYHOOK_TESTS_AWS_STUB_H

#include "base/os.h"
#include "net/aws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct aws {
    int unused;
};

struct stub_row {
    const char *operation; /* what must be called; NULL: there is no such row, so that a call fails the test */
    const char *asks; /* what must stand in "METHOD host_prefix target", then a line end and the body; NULL: anything */
    int status;       /* 0: no answer comes */
    const char *error, *body;
    const char *header_name, *header_value; /* one header of the answer, or NULL */
};

static struct {
    const struct stub_row *rows;
    size_t row_count, next;
    char asked[1 << 20];  /* the last call, as a row's asks is compared with; it may hold what a test must look for */
    char bodies[1 << 20]; /* all bodies, a line each */
    void (*before)(const struct aws_call *call); /* called with each, where it is set */
} stub;

static struct aws stub_aws;

static inline void stub_open(const struct stub_row *rows, size_t count) {
    stub.rows = rows;
    stub.row_count = count;
    stub.next = 0;
    stub.bodies[0] = '\0';
    stub.before = NULL;
}

const char *aws_region(const struct aws *aws) {
    assert_ptr_equal(aws, &stub_aws);
    return "eu-west-1";
}

const char *aws_trouble(const struct aws *aws) {
    assert_ptr_equal(aws, &stub_aws);
    return "no AWS credentials were found";
}

struct err aws_request(struct aws *aws, const struct aws_call *call, const struct aws_answer **ret_answer) {
    static struct http_header headers[1];
    static struct client_response response;
    static struct aws_answer answer;
    assert_ptr_equal(aws, &stub_aws);
    assert_true(call->deadline_us > os_mono_us());
    if (stub.before != NULL) stub.before(call);
    int length =
        snprintf(stub.asked, sizeof stub.asked, "%s %.*s %.*s\n%.*s", call->method != NULL ? call->method : "POST",
                 STR_ARG(call->host_prefix), STR_ARG(call->target), STR_ARG(call->body));
    assert_true(length > 0 && (size_t)length < sizeof stub.asked);
    size_t used = strlen(stub.bodies);
    (void)snprintf(stub.bodies + used, sizeof stub.bodies - used, "%.*s\n", STR_ARG(call->body));
    if (stub.next == stub.row_count) fail_msg("%s is one call too many: %s", call->operation, stub.asked);
    const struct stub_row *row = &stub.rows[stub.next++];
    if (strcmp(row->operation, call->operation) != 0) fail_msg("%s instead of %s", call->operation, row->operation);
    if (row->asks != NULL && strstr(stub.asked, row->asks) == NULL) fail_msg("%s lacks %s", stub.asked, row->asks);
    headers[0] = (struct http_header){str_from(row->header_name), str_from(row->header_value)};
    response = (struct client_response){.status = row->status,
                                        .headers = headers,
                                        .header_count = row->header_name != NULL,
                                        .body = str_from(row->body != NULL ? row->body : "")};
    answer = (struct aws_answer){.status = row->status,
                                 .body = response.body,
                                 .response = row->status != 0 ? &response : NULL,
                                 .error = str_from(row->error != NULL ? row->error : ""),
                                 .error_message = STR("the service's own words"),
                                 .request_id = STR("r1"),
                                 .tries = 1};
    *ret_answer = &answer;
    return row->status != 0 ? err_ok() : err_make(ERR_NETWORK, 0, "find the host's address");
}

#endif
