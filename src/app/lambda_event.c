/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the event (codec/json) finds the few places below; the rest of it is not looked at. Texts without an
 * escape stay slices of the event, and a body that is a JSON value is the exact bytes of that value, so that what is
 * kept is what was sent.
 *
 * The form 2.0 of function URLs: AWS Lambda Developer Guide, "Invoking Lambda function URLs". Names of headers are in
 * lower case there, repeated ones joined with commas, cookies apart. Whatever AWS promises is not relied upon: who may
 * invoke the function directly can send any JSON, and none of it may do more than be refused. The bounds are those of
 * the server's door. */
#include "app/lambda_event.h"

#include "codec/text.h"

#define MEMBERS(X)                                                                                                     \
    X(ROOT, "")                                                                                                        \
    X(CONTEXT, "/requestContext")                                                                                      \
    X(HTTP, "/requestContext/http")                                                                                    \
    X(METHOD, "/requestContext/http/method")                                                                           \
    X(IAM, "/requestContext/authorizer/iam")                                                                           \
    X(REST_METHOD, "/httpMethod")                                                                                      \
    X(PATH, "/rawPath")                                                                                                \
    X(QUERY, "/rawQueryString")                                                                                        \
    X(HEADERS, "/headers")                                                                                             \
    X(COOKIES, "/cookies")                                                                                             \
    X(BODY, "/body")                                                                                                   \
    X(BASE64, "/isBase64Encoded")

enum member {
#define X(name, pointer) MEMBER_##name,
    MEMBERS(X)
#undef X
        MEMBER_COUNT
};

static_assert((int)MEMBER_COUNT <= (int)JSON_POINTERS_MAX, "one pass finds them all");

static enum verdict refuse(enum verdict verdict, const char *reason, struct str *ret_reason) {
    *ret_reason = str_from(reason);
    return verdict;
}

/* A JSON string that is a text. *ret_full is set where the arena is full. */
static bool text_of(const struct json_value *value, struct arena *arena, struct str *ret_text, bool *ret_full) {
    *ret_full = false;
    return value->type == JSON_TYPE_STRING && json_string_decode(value->raw, arena, ret_text, ret_full);
}

static enum verdict no_text(bool full, const char *reason, struct str *ret_reason) {
    return full ? refuse(VERDICT_INTERNAL, "the memory of this request is used up", ret_reason)
                : refuse(VERDICT_BAD_REQUEST, reason, ret_reason);
}

/* RFC 9110 §5.6.2. */
static bool is_token(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == 0 || (!letter && strchr("!#$%&'*+-.^_`|~", c) == NULL)) return false;
    }
    return name.len > 0;
}

/* What a target or a header value may hold at the server's door too: no control character but a tab in a value. */
static bool is_clean(struct str text, bool tab_allowed) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && !(c == '\t' && tab_allowed)) || c == 0x7f) return false;
    }
    return true;
}

static enum verdict add_header(struct http_request *request, struct str name, struct str value, size_t *head_size,
                               struct str *ret_reason) {
    if (!is_token(name) || !is_clean(value, true))
        return refuse(VERDICT_BAD_REQUEST, "a header of the event is none", ret_reason);
    *head_size += name.len + value.len + 4;
    if (request->header_count == HTTP_HEADERS_MAX || *head_size > HTTP_HEAD_SIZE_MAX)
        return refuse(VERDICT_HEAD_TOO_LARGE, "the headers are too many or too large", ret_reason);
    request->headers[request->header_count++] = (struct http_header){name, str_trim(value)};
    return VERDICT_ACCEPT;
}

static enum verdict read_headers(const struct json_value *headers, struct arena *arena, struct http_request *request,
                                 size_t *head_size, struct str *ret_reason) {
    struct json_value name, value;
    size_t position = 0;
    if (headers->type != JSON_TYPE_NONE && headers->type != JSON_TYPE_OBJECT)
        return refuse(VERDICT_BAD_REQUEST, "the headers of the event are no object", ret_reason);
    while (headers->type == JSON_TYPE_OBJECT && json_object_next(headers->raw, &position, &name, &value)) {
        struct str name_text, value_text;
        bool full;
        if (!text_of(&name, arena, &name_text, &full) || !text_of(&value, arena, &value_text, &full))
            return no_text(full, "a header of the event is no text", ret_reason);
        enum verdict verdict = add_header(request, name_text, value_text, head_size, ret_reason);
        if (verdict != VERDICT_ACCEPT) return verdict;
    }
    return VERDICT_ACCEPT;
}

/* One header again, as a browser sends it (RFC 6265 §5.4). */
static enum verdict read_cookies(const struct json_value *cookies, struct arena *arena, struct http_request *request,
                                 size_t *head_size, struct str *ret_reason) {
    struct json_value cookie;
    size_t position = 0;
    char joined[HTTP_HEAD_SIZE_MAX];
    struct writer w = writer_make(joined, sizeof joined);
    if (cookies->type == JSON_TYPE_NONE) return VERDICT_ACCEPT;
    if (cookies->type != JSON_TYPE_ARRAY)
        return refuse(VERDICT_BAD_REQUEST, "the cookies of the event are no list", ret_reason);
    while (json_array_next(cookies->raw, &position, &cookie)) {
        struct arena scratch = *arena; /* what is decoded is joined, and forgotten */
        struct str text;
        bool full;
        if (!text_of(&cookie, &scratch, &text, &full))
            return no_text(full, "a cookie of the event is no text", ret_reason);
        if (w.len > 0) writer_put(&w, STR("; "));
        writer_put(&w, text);
    }
    if (w.overflow) return refuse(VERDICT_HEAD_TOO_LARGE, "the cookies are too large", ret_reason);
    if (w.len == 0) return VERDICT_ACCEPT;
    struct str value = arena_copy(arena, writer_str(&w));
    if (value.ptr == NULL) return no_text(true, "", ret_reason);
    return add_header(request, STR("cookie"), value, head_size, ret_reason);
}

static enum verdict read_target(const struct json_value *found, struct arena *arena, struct http_request *request,
                                struct str *ret_reason) {
    struct str path, query = STR("");
    bool full;
    if (!text_of(&found[MEMBER_PATH], arena, &path, &full) || path.len == 0 || path.ptr[0] != '/')
        return no_text(full, "the event has no rawPath", ret_reason);
    if (found[MEMBER_QUERY].type != JSON_TYPE_NONE && !text_of(&found[MEMBER_QUERY], arena, &query, &full))
        return no_text(full, "the event's rawQueryString is no text", ret_reason);
    if (path.len + 1 + query.len > HTTP_TARGET_SIZE_MAX)
        return refuse(VERDICT_TARGET_TOO_LONG, "the target is too long", ret_reason);
    if (!is_clean(path, false) || str_has(path, '?') || !is_clean(query, false))
        return refuse(VERDICT_BAD_REQUEST, "the event's target is none", ret_reason);
    struct writer w = arena_writer(arena);
    writer_put(&w, path);
    if (query.len > 0) writer_char(&w, '?');
    writer_put(&w, query);
    request->target = arena_take(arena, &w);
    if (request->target.ptr == NULL) return no_text(true, "", ret_reason);
    request_split_target(request);
    return VERDICT_ACCEPT;
}

static enum verdict read_url(const struct json_value *found, struct arena *arena, struct lambda_event *event,
                             struct str *ret_reason) {
    struct http_request *request = &event->request;
    size_t head_size = 0;
    bool full;
    event->has_iam = found[MEMBER_IAM].type == JSON_TYPE_OBJECT;
    event->is_base64 = found[MEMBER_BASE64].type == JSON_TYPE_BOOL && str_eq(found[MEMBER_BASE64].raw, STR("true"));
    if (found[MEMBER_BASE64].type != JSON_TYPE_NONE && found[MEMBER_BASE64].type != JSON_TYPE_BOOL)
        return refuse(VERDICT_BAD_REQUEST, "the event's isBase64Encoded is neither true nor false", ret_reason);
    if (!text_of(&found[MEMBER_METHOD], arena, &request->method, &full) || !is_token(request->method) ||
        request->method.len > HTTP_METHOD_SIZE_MAX)
        return no_text(full, "the event has no method", ret_reason);
    enum verdict verdict = read_target(found, arena, request, ret_reason);
    if (verdict == VERDICT_ACCEPT)
        verdict = read_headers(&found[MEMBER_HEADERS], arena, request, &head_size, ret_reason);
    if (verdict == VERDICT_ACCEPT)
        verdict = read_cookies(&found[MEMBER_COOKIES], arena, request, &head_size, ret_reason);
    return verdict;
}

enum verdict lambda_event_read(struct str event, struct arena *arena, struct lambda_event *ret_event,
                               struct str *ret_reason) {
    static const char *const texts[MEMBER_COUNT] = {
#define X(name, pointer) [MEMBER_##name] = pointer,
        MEMBERS(X)
#undef X
    };
    struct json_pointer pointers[MEMBER_COUNT];
    const struct json_pointer *wanted[MEMBER_COUNT];
    struct json_value found[MEMBER_COUNT];
    for (int i = 0; i < MEMBER_COUNT; i++) {
        bool good = json_pointer_compile(str_from(texts[i]), &pointers[i]);
        check(good);
        wanted[i] = &pointers[i];
    }
    *ret_reason = STR("");
    ret_event->door = DOOR_INVOKE;
    ret_event->has_iam = ret_event->is_base64 = false;
    ret_event->body = (struct json_value){.type = JSON_TYPE_NONE, .raw = STR_NONE};
    ret_event->request.method = ret_event->request.target = ret_event->request.path = STR("");
    ret_event->request.query = STR_NONE;
    ret_event->request.header_count = 0;
    ret_event->request.body = STR("");
    enum json_result result = json_scan(event, wanted, MEMBER_COUNT, found);
    if (result != JSON_OK) return refuse(VERDICT_INVALID_JSON, json_result_text(result), ret_reason);

    ret_event->body = found[MEMBER_BODY];
    if (found[MEMBER_HTTP].type == JSON_TYPE_OBJECT) {
        ret_event->door = DOOR_URL;
        return read_url(found, arena, ret_event, ret_reason);
    }
    if (found[MEMBER_CONTEXT].type != JSON_TYPE_NONE || found[MEMBER_REST_METHOD].type != JSON_TYPE_NONE)
        return refuse(VERDICT_FORBIDDEN, "an event of API Gateway or a load balancer: no door of this function",
                      ret_reason);
    if (ret_event->body.type == JSON_TYPE_NONE) ret_event->body = found[MEMBER_ROOT];
    /* Decoded below where it is a text; the payload of any other is its own bytes. */
    bool is_event = ret_event->body.raw.ptr == found[MEMBER_ROOT].raw.ptr;
    if (ret_event->body.type != JSON_TYPE_OBJECT && (is_event || ret_event->body.type != JSON_TYPE_STRING))
        return refuse(VERDICT_INVALID_JSON, "neither the event nor its body is a JSON object", ret_reason);
    return VERDICT_ACCEPT;
}

static enum verdict too_large(struct str *ret_reason) {
    return refuse(VERDICT_TOO_LARGE, "the body is over the limit", ret_reason);
}

/* How many bytes base64 text of this length stands for, at most two too many. */
static size_t decoded_size(struct str text) { return text.len / 4 * 3; }

static enum verdict decode_base64(struct str text, size_t size_max, struct arena *arena, struct str *ret_body,
                                  struct str *ret_reason) {
    if (decoded_size(text) > size_max + 2) return too_large(ret_reason);
    size_t size_full = decoded_size(text) + 1, size;
    char *bytes = arena_new(arena, char, size_full);
    if (bytes == NULL) return no_text(true, "", ret_reason);
    if (!text_base64_read(text, (uint8_t *)bytes, size_full, &size))
        return refuse(VERDICT_BAD_REQUEST, "the body is said to be base64, and is not", ret_reason);
    if (size > size_max) return too_large(ret_reason);
    *ret_body = str_make(bytes, size);
    return VERDICT_ACCEPT;
}

enum verdict lambda_event_body(struct lambda_event *event, size_t size_max, struct arena *arena,
                               struct str *ret_reason) {
    const struct json_value *body = &event->body;
    struct str text;
    bool full;
    if (event->door == DOOR_URL && (body->type == JSON_TYPE_NONE || body->type == JSON_TYPE_NULL))
        return VERDICT_ACCEPT; /* none was sent */
    if (event->door == DOOR_INVOKE && body->type == JSON_TYPE_OBJECT) {
        if (body->raw.len > size_max) return too_large(ret_reason);
        event->request.body = body->raw;
        return VERDICT_ACCEPT;
    }
    if (!text_of(body, arena, &text, &full)) {
        if (event->door == DOOR_INVOKE && !full)
            return refuse(VERDICT_INVALID_JSON, "the body holds half a character", ret_reason);
        return no_text(full, "the body of the event is no text", ret_reason);
    }
    if (event->is_base64) return decode_base64(text, size_max, arena, &event->request.body, ret_reason);
    if (text.len > size_max) return too_large(ret_reason);
    event->request.body = text;
    return VERDICT_ACCEPT;
}

/* ------------------------------------------------------------------ the response */

/* reply->extra is lines of ours, "name: value" CR LF each. */
static void write_headers(struct writer *w, const struct reply *reply) {
    struct str line, rest = reply->extra, name, value;
    writer_put(w, STR("{\"content-type\":"));
    json_write_string(w, reply->content_type, true);
    while (str_cut(rest, '\n', &line, &rest)) {
        bool good = str_cut(str_trim(str_make(line.ptr, line.len - 1)), ':', &name, &value);
        check(good);
        writer_char(w, ',');
        json_write_string(w, name, true);
        writer_char(w, ':');
        json_write_string(w, str_trim(value), true);
    }
    writer_char(w, '}');
}

void lambda_response_write(struct writer *w, const struct reply *reply) {
    writer_format(w, "{\"statusCode\":%d,\"headers\":", reply->status);
    write_headers(w, reply);
    writer_put(w, STR(",\"body\":"));
    json_write_string(w, reply->body, true);
    writer_put(w, STR(",\"isBase64Encoded\":false}"));
}
