/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of AWS services: region and endpoint, credentials (found and refreshed), signature, retries until a deadline,
 * answers checked. Many calls in flight on one thread. */
#ifndef PAYHOOK_NET_AWS_H
#define PAYHOOK_NET_AWS_H

#include "base/arena.h"
#include "net/client.h"

/* One thread's access to AWS. It has a client of its own. */
struct aws;
struct aws_options {
    const char *region;  /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, else us-east-1 */
    const char *profile; /* NULL: AWS_PROFILE, else default */
};
/* Finds region, endpoints (AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL) and where credentials come from; asks nobody
 * yet. <SERVICE> is the SDKs' word in upper case, DYNAMODB, SECRETS_MANAGER. ERR_INPUT: the environment or a file is
 * wrong. */
struct err aws_open(const struct aws_options *options, struct writer *message, struct aws **ret_aws) MUST_USE;
void aws_close(struct aws *aws);
const char *aws_region(const struct aws *aws);
/* For requests that are not calls of the kind below (function URLs): signs one that has its other headers, Host among
 * them. Credentials are at hand or fetched. region ptr NULL: aws_region. ERR_ABSENT: message says where credentials
 * were looked for. ERR_INPUT: the arena, or the request's header table, is full. */
struct err aws_sign(struct aws *aws, struct str service, struct str region, struct http_request *request,
                    struct arena *arena, struct writer *message) MUST_USE;
/* After ERR_ABSENT: one sentence that says where credentials were looked for, and what was wrong. */
const char *aws_trouble(const struct aws *aws);

struct aws_call {
    const char *service;     /* "dynamodb", "secretsmanager", "cloudformation", "s3", "sts", "lambda", "logs",
                                "iam" */
    const char *operation;   /* "UpdateItem": for traces and messages */
    const char *amz_target;  /* "DynamoDB_20120810.UpdateItem", or NULL; where it is given, a 2xx answer is JSON */
    const char *method;      /* NULL: POST */
    struct str host_prefix;  /* put before the endpoint's host ("bucket."), or empty. Where the environment gives the
                                endpoint, it becomes the first segment of the path instead */
    struct str target;       /* path and query as sent, encoded; empty: "/" */
    struct str content_type; /* empty: application/x-amz-json-1.0 */
    struct http_header extra[4]; /* further headers, signed; name.ptr NULL ends them */
    struct str body;
    int64_t deadline_us;    /* monotonic clock: no try goes on beyond it */
    bool once;              /* never tried again */
    const char *trace_name; /* resource shown in traces (the table), or NULL */
};

struct aws_answer {
    int status; /* 0: there was none */
    struct str body;
    const struct client_response *response; /* NULL where there was none */
    struct str error;                       /* "ConditionalCheckFailedException", without its namespace; empty where
                                               status is 2xx, "Unknown" where another answer names none */
    struct str error_message;
    struct str request_id;
    uint32_t tries;
    bool ambiguous; /* a try that is not the one answered may have been carried out: it broke off after it was sent, or
                       was answered with 5xx, or with a broken answer */
};

/* failure: the last try's where it had no answer before the deadline (ERR_TIMEOUT, ERR_NETWORK); credentials that
 * cannot be had (ERR_ABSENT); a call that cannot be sent (ERR_INPUT); an answer that is none (ERR_NETWORK; DynamoDB's
 * CRC32 is checked). Throttling, 5xx and the retryable errors of the services were tried again with full jitter (25 ms
 * doubling up to 1 s), and are given as the answer once the deadline comes. The answer is never NULL (after a failure
 * it has tries and ambiguous), and valid during the call only. */
typedef void aws_done(void *context, struct err failure, const struct aws_answer *answer);

/* Starts a call; its slices must live until done (the struct itself is copied). done is never called before this
 * returns. */
void aws_start(struct aws *aws, const struct aws_call *call, aws_done *done, void *context);
/* Runs until nothing is in flight. */
void aws_run(struct aws *aws);
/* One call, waited for. The answer is valid until the next call; after a failure it has tries and ambiguous. */
struct err aws_request(struct aws *aws, const struct aws_call *call, const struct aws_answer **ret_answer) MUST_USE;

#endif
