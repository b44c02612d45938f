/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a function, read into the one request that everything behind a door sees, and the value that it
 * answers with. Three forms (README, "As an AWS Lambda function"): a function URL's, a direct invoke's, and those of
 * other front doors, which are not ours. Pure. */
#ifndef PAYHOOK_APP_LAMBDA_EVENT_H
#define PAYHOOK_APP_LAMBDA_EVENT_H

#include "codec/json.h"
#include "codec/request.h"
#include "core/ingest.h"

struct lambda_event {
    enum door door;              /* DOOR_URL or DOOR_INVOKE */
    bool has_iam;                /* DOOR_URL: AWS says who calls, which it does with AuthType AWS_IAM only */
    struct http_request request; /* its body once lambda_event_body has been called */
    struct json_value body;      /* private, from here on */
    bool is_base64;
};

/* Reads all but the body. Anything but VERDICT_ACCEPT is the answer, and ret_reason, a static phrase for our own log,
 * says why. The event must stay where it is as long as the request is used; what is not a slice of it is in the
 * arena. */
enum verdict lambda_event_read(struct str event, struct arena *arena, struct lambda_event *ret_event,
                               struct str *ret_reason);
/* Decodes the body, before anything else looks at it. */
enum verdict lambda_event_body(struct lambda_event *event, size_t size_max, struct arena *arena,
                               struct str *ret_reason);

/* {"statusCode", "headers", "body", "isBase64Encoded"}. */
void lambda_response_write(struct writer *w, const struct reply *reply);

#endif
