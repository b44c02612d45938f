/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a function: one JSON object a line on stderr, one a webhook, with the request's id and the trace's. What
 * is never logged is the same as in app/log.h. "timestamp", "level" and "requestId" are the names that Lambda's own
 * JSON logs have (AWS Lambda Developer Guide, "Configuring JSON and plain text log formats"), and by which it filters.
 */
#ifndef PAYHOOK_APP_LOG_JSON_H
#define PAYHOOK_APP_LOG_JSON_H

#include "app/log.h"

/* Whose line it is; all "" before the first invocation. */
struct log_invocation {
    struct str request_id, trace_id;
    const char *door; /* "url", "invoke"; NULL: unknown */
};

void log_json_sentence(enum log_level level, const struct log_invocation *invocation, struct str sentence);
/* request->request_id is not read: the invocation has its own. */
void log_json_webhook(const struct log_invocation *invocation, const struct log_request *request);

#endif
