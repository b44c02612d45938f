/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verdicts, and the replies made from it. */
#include "event/verdict.h"

#include "base/err.h"
#include "codec/json.h"

static const struct verdict_row rows[VERDICT_COUNT] = {
#define X(name, word, status, body, closes) [VERDICT_##name] = {word, status, body, closes},
    VERDICTS(X)
#undef X
};

const struct verdict_row *verdict_row(enum verdict verdict) {
    check((size_t)verdict < VERDICT_COUNT);
    return &rows[verdict];
}

/* Header lines that belong to a refusal whatever door it leaves by. */
static struct str extra_of(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_FORBIDDEN: return STR("x-amzn-errortype: AccessDeniedException\r\n"); /* as AWS_IAM itself answers */
    case VERDICT_METHOD_NOT_ALLOWED: return STR("allow: POST\r\n");                    /* RFC 9110 §15.5.6 */
    case VERDICT_NEED_KEY:
    case VERDICT_UNAVAILABLE: return STR("retry-after: 1\r\n"); /* RFC 9110 §10.2.3 */
    default: return STR("");
    }
}

struct reply reply_refusal(enum verdict verdict, int status) {
    check(verdict != VERDICT_ACCEPT && verdict != VERDICT_STORED && verdict != VERDICT_DUPLICATE);
    const struct verdict_row *row = verdict_row(verdict);
    return (struct reply){
        .status = status != 0 && row->status == 401 ? status : row->status,
        .content_type = STR("application/json"),
        .extra = extra_of(verdict),
        .body = str_from(row->body),
        .closes = row->closes,
    };
}

bool reply_success(struct arena *arena, bool duplicate, struct str transaction_id, uint32_t events, struct str own_body,
                   struct reply *ret_reply) {
    struct reply reply = {
        .status = verdict_row(VERDICT_STORED)->status,
        .content_type = STR("application/json"),
        .extra = duplicate ? STR("payhook-duplicate: true\r\n") : STR(""),
        .body = own_body,
        .closes = false,
    };
    if (own_body.ptr != NULL) {
        reply.content_type = STR("text/plain");
    } else {
        struct writer w = arena_writer(arena);
        writer_put(&w, STR("{\"message\": \"Webhook processed successfully\", \"transactionId\": "));
        if (json_is_utf8(transaction_id))
            json_write_string(&w, transaction_id, true);
        else
            writer_put(&w, STR("null"));
        if (events != 1) {
            writer_put(&w, STR(", \"events\": "));
            writer_u64(&w, events);
        }
        writer_char(&w, '}');
        reply.body = arena_take(arena, &w);
        if (reply.body.ptr == NULL) return false;
    }
    *ret_reply = reply;
    return true;
}
