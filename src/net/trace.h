/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of the AWS calls of one invocation: X-Ray subsegments over the daemon's UDP (AWS_XRAY_DAEMON_ADDRESS), sent
 * only where the invocation is sampled, never waited for. A seam: another emitter (OTLP) is another implementation of
 * trace_call. */
#ifndef PAYHOOK_NET_TRACE_H
#define PAYHOOK_NET_TRACE_H

#include "base/str.h"

/* From the trace header ("Root=1-…;Parent=…;Sampled=1"); STR_NONE: no trace from here on. Of the calling thread. */
void trace_begin(struct str header);
/* The header of the invocation as it is ("" where there is none), and its trace id. */
struct str trace_header(void);
struct str trace_id(void);

struct trace_call {
    const char *service, *operation, *region, *resource; /* resource: table name or NULL */
    struct str request_id;
    int64_t started_us, ended_us; /* unix microseconds */
    int status;                   /* 0: no answer */
    struct str error;             /* an expected ConditionalCheckFailedException is none: pass it empty */
};
/* Sends the subsegment; does nothing where the invocation is not sampled or there is no daemon. */
void trace_call(const struct trace_call *call);

#endif
