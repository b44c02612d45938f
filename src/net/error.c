/* SPDX-License-Identifier: Apache-2.0 */
/* Reading errors out of answers. In XML only the text of the first <Code> and <Message> is wanted, so that they are
 * looked for by their tags; CloudFormation's documents proper are not read here. */
#include "net/error.h"

#include "codec/json.h"

/* What SDKs try again: see "Retry behavior" of the AWS SDKs and Tools Reference Guide, and "Error handling with
 * DynamoDB". To add one: a line. */
static const char *const passing[] = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "InternalServiceErrorException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
};
static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"};

static bool is_among(struct str code, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (str_eq(code, str_from(list[i]))) return true;
    return false;
}

bool aws_error_is_passing(struct str code) { return is_among(code, passing, sizeof passing / sizeof passing[0]); }
bool aws_error_is_expired(struct str code) { return is_among(code, expired, sizeof expired / sizeof expired[0]); }

/* "com.amazonaws.dynamodb.v20120810#Name:http://…" is Name. */
static struct str bare(struct str code) {
    struct str before, after;
    if (str_cut(code, ':', &before, &after)) code = before;
    if (str_cut(code, '#', &before, &after)) code = after;
    return str_trim(code);
}

static struct str text_of(const struct json_value *value, struct arena *arena) {
    struct str text;
    bool full;
    if (value->type != JSON_TYPE_STRING || !json_string_decode(value->raw, arena, &text, &full)) return STR("");
    return text;
}

static void read_json(struct str body, struct arena *arena, struct aws_error *error) {
    static const struct str names[] = {{"/__type", 7}, {"/code", 5}, {"/message", 8}, {"/Message", 8}};
    enum { COUNT = sizeof names / sizeof names[0] };
    struct json_pointer pointers[COUNT];
    const struct json_pointer *list[COUNT];
    struct json_value values[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        check(json_pointer_compile(names[i], &pointers[i]));
        list[i] = &pointers[i];
    }
    if (json_scan(body, list, COUNT, values) != JSON_OK) return;
    error->code = text_of(&values[0], arena);
    if (error->code.len == 0) error->code = text_of(&values[1], arena);
    error->message = text_of(&values[2], arena);
    if (error->message.len == 0) error->message = text_of(&values[3], arena);
}

/* The text between the first <name> and the next "<", entities as they are. */
static struct str element(struct str body, struct str tag) {
    const char *start = body.len > 0 ? memmem(body.ptr, body.len, tag.ptr, tag.len) : NULL;
    if (start == NULL) return STR("");
    start += tag.len;
    const char *end = memchr(start, '<', (size_t)(body.ptr + body.len - start));
    return end == NULL ? STR("") : str_make(start, (size_t)(end - start));
}

static bool is_xml(struct str content_type) {
    return str_starts(content_type, STR("text/xml")) || str_starts(content_type, STR("application/xml"));
}

void aws_error_read(struct str content_type, struct str errortype, struct str body, struct arena *arena,
                    struct aws_error *ret_error) {
    struct aws_error error = {STR(""), STR("")};
    if (is_xml(content_type))
        error = (struct aws_error){element(body, STR("<Code>")), element(body, STR("<Message>"))};
    else
        read_json(body, arena, &error);
    if (errortype.len > 0) error.code = errortype;
    error.code = bare(error.code);
    if (error.code.len == 0) error.code = STR("Unknown");
    *ret_error = error;
}
