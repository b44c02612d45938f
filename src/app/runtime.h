/* SPDX-License-Identifier: Apache-2.0 */
/* The Lambda Runtime API as a client (AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"):
 * plain HTTP on loopback, one connection that is kept. */
#ifndef PAYHOOK_APP_RUNTIME_H
#define PAYHOOK_APP_RUNTIME_H

#include "base/err.h"
#include "base/str.h"

struct runtime;

/* address: AWS_LAMBDA_RUNTIME_API, "HOST[:PORT]"; it must outlive the runtime. Connects to nobody yet. */
struct err runtime_open(const char *address, struct writer *message, struct runtime **ret_runtime) MUST_USE;
void runtime_close(struct runtime *runtime);

/* One invocation. */
struct invocation {
    struct str request_id; /* valid until the next invocation; the other slices until any call */
    struct str trace;      /* the X-Ray header, "" where there is none */
    int64_t deadline_us;   /* unix time; 0: none is named */
    struct str event;
};
/* Waits for the next one, for as long as it takes: the sandbox may be frozen meanwhile. An error means that the Runtime
 * API is not what it must be: message says so, and the process ends. */
struct err runtime_next(struct runtime *runtime, struct writer *message, struct invocation *ret_invocation) MUST_USE;

/* Hands the response over. ERR_INPUT: it was refused (it came too late, or is too large) and message says why; Lambda
 * has answered by itself, and the loop goes on. Any other error: the process ends. */
struct err runtime_respond(struct runtime *runtime, struct str request_id, struct str response,
                           struct writer *message) MUST_USE;
/* Says why this process cannot begin. The process ends whatever comes of it. */
struct err runtime_init_error(struct runtime *runtime, struct str type, struct str sentence,
                              struct writer *message) MUST_USE;

#endif
