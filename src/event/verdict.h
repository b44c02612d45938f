/* SPDX-License-Identifier: Apache-2.0 */
/* Every answer payhook gives to a request, one row each: its status, body, word for the log. The contract is README's
 * table "What goes out". A row never changes meaning; add one at the end of its group. */
#ifndef PAYHOOK_EVENT_VERDICT_H
#define PAYHOOK_EVENT_VERDICT_H

#include "base/arena.h"

/* X(NAME, log word, status, body, closes)
 * closes: the framing can be doubted, or the body has not been read: the connection ends with the reply.
 * VERDICT_ACCEPT is no reply: the events must first be durable. VERDICT_STORED and _DUPLICATE have their body built. */
// clang-format off
#define VERDICTS(X)                                                                                   \
    X(ACCEPT,              "accept",              0,   "",                                    false)  \
    X(STORED,              "stored",              200, "",                                    false)  \
    X(DUPLICATE,           "duplicate",           200, "",                                    false)  \
    X(MISSING_TRANSACTION, "missing_transaction", 400, "{\"error\": \"Missing transactionId\"}", false) \
    X(INVALID_TRANSACTION, "invalid_transaction", 400, "{\"error\": \"Invalid transactionId\"}", false) \
    X(INVALID_JSON,        "invalid_json",        400, "{\"error\": \"Invalid JSON payload\"}", false) \
    X(KEY_REUSED,          "key_reused",          422, "{\"error\": \"Idempotency key reused\"}", false) \
    X(BAD_SIGNATURE,       "bad_signature",       401, "{\"error\": \"Unauthorized\"}",       false)  \
    X(STALE,               "stale",               401, "{\"error\": \"Unauthorized\"}",       false)  \
    X(MISSING_HEADER,      "missing_header",      401, "{\"error\": \"Unauthorized\"}",       false)  \
    X(MALFORMED,           "malformed",           401, "{\"error\": \"Unauthorized\"}",       false)  \
    X(FORBIDDEN,           "forbidden",           403, "{\"Message\":\"Forbidden\"}",         false)  \
    X(NOT_FOUND,           "not_found",           404, "{\"error\": \"Not found\"}",          false)  \
    X(METHOD_NOT_ALLOWED,  "method_not_allowed",  405, "{\"error\": \"Method not allowed\"}", false)  \
    X(TOO_LARGE,           "too_large",           413, "{\"error\": \"Payload too large\"}",  true)   \
    X(NEED_KEY,            "need_key",            503, "{\"error\": \"Service unavailable\"}", false) \
    X(UNAVAILABLE,         "unavailable",         503, "{\"error\": \"Service unavailable\"}", false) \
    X(INTERNAL,            "internal",            500, "{\"error\": \"Internal server error\"}", false) \
    X(BAD_REQUEST,         "bad_request",         400, "{\"error\": \"Bad request\"}",        true)   \
    X(TIMED_OUT,           "timed_out",           408, "{\"error\": \"Bad request\"}",        true)   \
    X(LENGTH_REQUIRED,     "length_required",     411, "{\"error\": \"Bad request\"}",        true)   \
    X(TARGET_TOO_LONG,     "target_too_long",     414, "{\"error\": \"Bad request\"}",        true)   \
    X(HEAD_TOO_LARGE,      "head_too_large",      431, "{\"error\": \"Bad request\"}",        true)   \
    X(CODING_UNKNOWN,      "coding_unknown",      501, "{\"error\": \"Bad request\"}",        true)   \
    X(VERSION_UNKNOWN,     "version_unknown",     505, "{\"error\": \"Bad request\"}",        true)
// clang-format on

enum verdict {
#define X(name, word, status, body, closes) VERDICT_##name,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

struct verdict_row {
    const char *word;
    int status;
    const char *body;
    bool closes;
};
const struct verdict_row *verdict_row(enum verdict verdict);

/* What goes out, ready for any door. Slices are static or in the arena given. */
struct reply {
    int status;
    struct str content_type;
    struct str extra; /* header lines, each ended by CR LF: "retry-after: 1\r\n" */
    struct str body;
    bool closes;
};

/* The reply of any verdict but ACCEPT, STORED and DUPLICATE. status: 0, or the row's own status of a refusal
 * (GoCardless: 498), which replaces 401 only. */
struct reply reply_refusal(enum verdict verdict, int status);
/* The reply of STORED or DUPLICATE: the user's words with the transaction id (JSON-escaped as Python does), and
 * "events" where events is not 1. own_body (ptr not NULL) replaces it (Adyen's "[accepted]", text/plain). False: the
 * arena is full. */
bool reply_success(struct arena *arena, bool duplicate, struct str transaction_id, uint32_t events, struct str own_body,
                   struct reply *ret_reply);

#endif
