/* SPDX-License-Identifier: Apache-2.0 */
/* Writes UpdateItem and TransactWriteItems. What each mode sets and asks is a row of a table; the conditions of the
 * rows exclude each other, so that whatever several writers believe of a head, only one of them is right.
 *
 * It decides nothing: dynamodb_commit.c chooses the mode. */
#include "store/dynamodb_request.h"

#include "base/err.h"
#include "codec/text.h"
#include "store/backend.h"

/* #k transactionId #t timestamp #p payload #b payloadBase64 #a payloadAt #r receivedAt #v environment #y processedBy
 * #c eventCount #o eventOrder #g eventPages #z eventsSize #x closed #e event-HASH #f event-HASH of the adopted. */
static const struct {
    const char *set;       /* besides the six attributes of the newest event */
    const char *condition; /* the adopted item's own attributes aside */
    const char *names;     /* those used here, besides the six */
} modes[] = {
    [DYNAMODB_OPEN] = {"#c=if_not_exists(#c,:0)+:1,#o=list_append(if_not_exists(#o,:n),:h),"
                       "#z=if_not_exists(#z,:0)+:z,#e=:e",
                       "attribute_not_exists(#e) AND (attribute_not_exists(#k) OR "
                       "(attribute_exists(#c) AND attribute_not_exists(#x) AND #z<=:m))",
                       "kcozex"},
    [DYNAMODB_CLOSED] = {"#c=#c+:1,#o=list_append(#o,:h),#x=:x",
                         "attribute_not_exists(#e) AND (attribute_exists(#x) OR #z>:m) AND size(#o)<:w", "cozex"},
    [DYNAMODB_TURN] = {"#c=#c+:1,#o=:h,#g=:g,#x=:x",
                       "attribute_not_exists(#e) AND (attribute_exists(#x) OR #z>:m) AND #c=:c", "cozexg"},
    [DYNAMODB_ADOPT] = {"#c=:c,#o=:h,#z=:z,#f=:f", "attribute_exists(#k) AND attribute_not_exists(#c)", "kcozf"},
};

static const struct {
    char letter;
    const char *name;
} names[] = {
    {'k', "transactionId"}, {'c', "eventCount"}, {'o', "eventOrder"},
    {'g', "eventPages"},    {'z', "eventsSize"}, {'x', "closed"},
};

static void put(struct wire *wire, const char *text) { wire_put(wire, str_from(text)); }

static void name_as(struct wire *wire, char letter, struct str name) {
    const char alias[] = {'#', letter};
    wire_name(wire, str_make(alias, sizeof alias));
    wire_string(wire, name);
}

static void key_attribute(struct wire *wire, struct str key) { wire_text(wire, STR("transactionId"), key); }

static void table_of(struct wire *wire, struct str table) {
    wire_name(wire, STR("TableName"));
    wire_string(wire, table);
}

/* ---- the head ---- */

/* The attributes by which an adopted item must still be what was seen. */
static const struct {
    char letter;
    const char *name;
} seen_by[] = {{'t', "timestamp"}, {'r', "receivedAt"}, {'p', "payload"}};
enum { SEEN_BY = sizeof seen_by / sizeof seen_by[0] };

static void write_condition(struct wire *wire, const struct dynamodb_plan *plan) {
    put(wire, ",\"ConditionExpression\":\"");
    put(wire, modes[plan->mode].condition);
    for (size_t i = 0; plan->mode == DYNAMODB_ADOPT && i < SEEN_BY; i++) {
        char text[64];
        struct writer w = writer_make(text, sizeof text);
        if (wire_has(plan->seen, seen_by[i].name))
            writer_format(&w, " AND #%c=:s%c", seen_by[i].letter, seen_by[i].letter);
        else
            writer_format(&w, " AND attribute_not_exists(#%c)", seen_by[i].letter);
        wire_put(wire, writer_str(&w));
    }
    put(wire, "\"");
}

/* The newest event is what a reader of the table finds: not where the event is the adopted item itself. */
static bool sets_newest(const struct dynamodb_plan *plan) { return !plan->is_foreign; }

static void write_update(struct wire *wire, const struct dynamodb_plan *plan) {
    put(wire, ",\"UpdateExpression\":\"SET ");
    put(wire, modes[plan->mode].set);
    if (plan->mode == DYNAMODB_ADOPT && sets_newest(plan)) put(wire, ",#e=:e");
    if (sets_newest(plan)) {
        struct str payload = dynamodb_payload_name(plan->put.event->payload);
        put(wire, ",#t=:t,#r=:r,#v=:v,#y=:y,");
        put(wire, str_eq(payload, STR("payload"))         ? "#p=:p REMOVE #b,#a"
                  : str_eq(payload, STR("payloadBase64")) ? "#b=:p REMOVE #p,#a"
                                                          : "#a=:p REMOVE #p,#b");
    }
    put(wire, "\"");
}

static void write_names(struct wire *wire, const struct dynamodb_plan *plan) {
    put(wire, ",\"ExpressionAttributeNames\":{");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strchr(modes[plan->mode].names, names[i].letter) != NULL)
            name_as(wire, names[i].letter, str_from(names[i].name));
    if (plan->mode != DYNAMODB_ADOPT || sets_newest(plan))
        name_as(wire, 'e', str_from(dynamodb_event_name(plan->put.hash).text));
    if (plan->mode == DYNAMODB_ADOPT) name_as(wire, 'f', str_from(dynamodb_event_name(plan->foreign.hash).text));
    if (sets_newest(plan) || plan->mode == DYNAMODB_ADOPT) {
        name_as(wire, 't', STR("timestamp"));
        name_as(wire, 'r', STR("receivedAt"));
        name_as(wire, 'p', STR("payload"));
    }
    if (sets_newest(plan)) {
        name_as(wire, 'b', STR("payloadBase64"));
        name_as(wire, 'a', STR("payloadAt"));
        name_as(wire, 'v', STR("environment"));
        name_as(wire, 'y', STR("processedBy"));
    }
    put(wire, "}");
}

static void write_entry(struct wire *wire, const struct dynamodb_put *of) {
    char text[DYNAMODB_ENTRY_SIZE_MAX];
    struct writer w = writer_make(text, sizeof text);
    const struct dynamodb_entry entry = {of->hash, of->event->received_us};
    dynamodb_entry_write(&w, &entry);
    check(!w.overflow);
    wire_comma(wire);
    put(wire, "{\"S\":");
    wire_string(wire, writer_str(&w));
    put(wire, "}");
}

static void write_map(struct wire *wire, const char *name, const struct dynamodb_put *of, struct dynamodb_hash head) {
    wire_name(wire, str_from(name));
    put(wire, "{\"M\":{");
    if (of->own)
        dynamodb_mark_write(wire, of);
    else
        dynamodb_record_write(wire, of, head);
    put(wire, "}}");
}

static void write_newest(struct wire *wire, const struct dynamodb_plan *plan) {
    const struct event *event = plan->put.event;
    char text[64];
    struct writer received_at = writer_make(text, sizeof text);
    text_received_at_write(&received_at, event->received_us);
    wire_number(wire, STR(":t"), store_timestamp(event));
    wire_text(wire, STR(":r"), writer_str(&received_at));
    wire_text(wire, STR(":v"), event->environment);
    wire_text(wire, STR(":y"), event->processed_by);
    wire_name(wire, STR(":p"));
    dynamodb_payload_write(wire, event->payload, plan->head, plan->put.hash);
}

static int64_t counted(const struct json_t *head, const char *name) {
    int64_t value = 0;
    (void)wire_integer(head, name, &value); /* none is 0 */
    return value;
}

static void write_values(struct wire *wire, const struct dynamodb_plan *plan) {
    put(wire, ",\"ExpressionAttributeValues\":{");
    enum dynamodb_mode mode = plan->mode;
    int64_t size = (int64_t)plan->put.size;
    if (mode == DYNAMODB_ADOPT) size = (plan->is_foreign ? 0 : size) + (int64_t)plan->foreign.size;
    if (mode == DYNAMODB_OPEN) {
        wire_number(wire, STR(":0"), 0);
        put(wire, ",\":n\":{\"L\":[]}");
    }
    if (mode != DYNAMODB_ADOPT) {
        wire_number(wire, STR(":1"), 1);
        wire_number(wire, STR(":m"), DYNAMODB_OPEN_SIZE_MAX);
    }
    if (mode == DYNAMODB_OPEN || mode == DYNAMODB_ADOPT) wire_number(wire, STR(":z"), size);
    if (mode == DYNAMODB_CLOSED) wire_number(wire, STR(":w"), DYNAMODB_ORDER_MAX);
    if (mode == DYNAMODB_CLOSED || mode == DYNAMODB_TURN) put(wire, ",\":x\":{\"BOOL\":true}");
    if (mode == DYNAMODB_TURN) {
        wire_number(wire, STR(":g"), counted(plan->seen, "eventPages") + 1);
        wire_number(wire, STR(":c"), counted(plan->seen, "eventCount"));
    }
    if (mode == DYNAMODB_OPEN || (mode == DYNAMODB_ADOPT && !plan->is_foreign))
        write_map(wire, ":e", &plan->put, plan->head);
    if (mode == DYNAMODB_ADOPT) {
        write_map(wire, ":f", &plan->foreign, plan->head);
        wire_number(wire, STR(":c"), plan->is_foreign ? 1 : 2);
        for (size_t i = 0; i < SEEN_BY; i++) {
            if (!wire_has(plan->seen, seen_by[i].name)) continue;
            const char alias[] = {':', 's', seen_by[i].letter};
            wire_name(wire, str_make(alias, sizeof alias));
            wire_again(wire, plan->seen, seen_by[i].name);
        }
    }
    put(wire, ",\":h\":{\"L\":[");
    if (mode == DYNAMODB_ADOPT) write_entry(wire, &plan->foreign);
    if (!plan->is_foreign) write_entry(wire, &plan->put);
    put(wire, "]}");
    if (sets_newest(plan)) write_newest(wire, plan);
    put(wire, "}");
}

static void write_head(struct wire *wire, const struct dynamodb_plan *plan) {
    table_of(wire, plan->table);
    put(wire, ",\"Key\":{");
    key_attribute(wire, dynamodb_key_str(&plan->head_key));
    put(wire, "}");
    write_update(wire, plan);
    write_condition(wire, plan);
    write_names(wire, plan);
    write_values(wire, plan);
    if (plan->want_head) put(wire, ",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"");
}

/* ---- the items beside it ---- */

static void begin_put(struct wire *wire, struct str table, const struct dynamodb_key *key) {
    put(wire, ",{\"Put\":{");
    table_of(wire, table);
    put(wire, ",\"Item\":{");
    key_attribute(wire, dynamodb_key_str(key));
}

static void end_put(struct wire *wire, bool only_new) {
    put(wire, "}");
    if (only_new)
        put(wire, ",\"ConditionExpression\":\"attribute_not_exists(transactionId)\","
                  "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"");
    put(wire, "}}");
}

static void write_event_item(struct wire *wire, const struct dynamodb_plan *plan, const struct dynamodb_put *of) {
    struct dynamodb_key key;
    dynamodb_event_key(plan->head, of->hash, &key);
    begin_put(wire, plan->table, &key);
    wire_text(wire, STR("transaction"), dynamodb_key_str(&plan->head_key));
    dynamodb_record_write(wire, of, plan->head);
    end_put(wire, true);
}

static void write_parts(struct wire *wire, const struct dynamodb_plan *plan, const struct dynamodb_put *of) {
    struct dynamodb_key key;
    for (unsigned i = 0; i < dynamodb_parts(of->event->payload); i++) {
        dynamodb_part_key(plan->head, of->hash, i, &key);
        begin_put(wire, plan->table, &key);
        wire_bytes(wire, STR("bytes"), dynamodb_part(of->event->payload, i));
        end_put(wire, false); /* they come and go with the event, which is new */
    }
}

static void write_page(struct wire *wire, const struct dynamodb_plan *plan) {
    struct dynamodb_key key;
    dynamodb_page_key(plan->head, (uint64_t)counted(plan->seen, "eventPages") + 1, &key);
    begin_put(wire, plan->table, &key);
    wire_text(wire, STR("transaction"), dynamodb_key_str(&plan->head_key));
    wire_name(wire, STR("eventOrder"));
    wire_again(wire, plan->seen, "eventOrder");
    end_put(wire, true);
}

static void write_content(struct wire *wire, const struct dynamodb_plan *plan) {
    const struct event *event = plan->put.event;
    struct dynamodb_key key;
    dynamodb_content_key(event->source, event->content_sha256, &key);
    if (plan->content == DYNAMODB_CONTENT_FIRST) {
        begin_put(wire, plan->table, &key);
        wire_text(wire, STR("firstKey"), event->event_key);
        end_put(wire, true);
        return;
    }
    put(wire, ",{\"Update\":{");
    table_of(wire, plan->table);
    put(wire, ",\"Key\":{");
    key_attribute(wire, dynamodb_key_str(&key));
    put(wire, "},\"UpdateExpression\":\"SET secondKey=:k\",\"ConditionExpression\":\"attribute_exists(firstKey) AND "
              "attribute_not_exists(secondKey)\",\"ExpressionAttributeValues\":{");
    wire_text(wire, STR(":k"), event->event_key);
    put(wire, "},\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}}");
}

/* One for each request: a second one with other content under the same token would be refused. */
static void write_token(struct wire *wire, const char delivery[DYNAMODB_HASH_SIZE], char what, unsigned tries) {
    char text[36]; /* the service's limit */
    struct writer w = writer_make(text, sizeof text);
    writer_put(&w, str_make(delivery, DYNAMODB_HASH_SIZE));
    writer_char(&w, what);
    writer_u64(&w, tries % 1000);
    check(!w.overflow);
    put(wire, "],\"ClientRequestToken\":");
    wire_string(wire, writer_str(&w));
    put(wire, "}");
}

void dynamodb_request_write(struct wire *wire, const struct dynamodb_plan *plan, struct dynamodb_reasons *ret_reasons) {
    bool closed = plan->mode == DYNAMODB_CLOSED || plan->mode == DYNAMODB_TURN;
    bool own = closed || (plan->put.own && !plan->is_foreign), content = plan->content != DYNAMODB_CONTENT_NONE;
    *ret_reasons = (struct dynamodb_reasons){.content = -1, .event = -1};
    wire->len = 0;
    if (!own && !content && plan->mode == DYNAMODB_OPEN) {
        ret_reasons->single = true;
        put(wire, "{");
        write_head(wire, plan);
        put(wire, "}");
        return;
    }
    int count = 1;
    put(wire, "{\"TransactItems\":[{\"Update\":{");
    write_head(wire, plan);
    put(wire, "}}");
    if (content) {
        write_content(wire, plan);
        ret_reasons->content = count++;
    }
    if (own) {
        write_event_item(wire, plan, &plan->put);
        ret_reasons->event = count++;
        write_parts(wire, plan, &plan->put);
    }
    if (plan->mode == DYNAMODB_TURN) write_page(wire, plan);
    if (plan->mode == DYNAMODB_ADOPT && plan->foreign.own) {
        write_event_item(wire, plan, &plan->foreign);
        write_parts(wire, plan, &plan->foreign);
    }
    write_token(wire, plan->put.delivery, 'e', plan->tries);
}

void dynamodb_body_write(struct wire *wire, struct str table, struct str body, const uint8_t sha256[32],
                         const char token[DYNAMODB_HASH_SIZE], unsigned tries, bool *ret_single) {
    unsigned parts = dynamodb_body_parts(body);
    struct dynamodb_key key;
    *ret_single = parts == 1;
    wire->len = 0;
    put(wire, parts == 1 ? "{" : "{\"TransactItems\":[");
    for (unsigned i = 0; i < parts; i++) {
        dynamodb_body_key(sha256, i, &key);
        if (parts == 1) {
            table_of(wire, table);
            put(wire, ",\"Item\":{");
            key_attribute(wire, dynamodb_key_str(&key));
        } else {
            if (i > 0) put(wire, ",");
            put(wire, "{\"Put\":{");
            table_of(wire, table);
            put(wire, ",\"Item\":{");
            key_attribute(wire, dynamodb_key_str(&key));
        }
        wire_bytes(wire, STR("bytes"), body.len == 0 ? body : dynamodb_part(body, i));
        put(wire, parts == 1 ? "}" : "}}}");
    }
    if (parts == 1)
        put(wire, "}");
    else
        write_token(wire, token, 'b', tries);
}
