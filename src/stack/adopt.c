/* SPDX-License-Identifier: Apache-2.0 */
/* One row a resource with a name of its own: how its service is asked for the name, and how an import calls what is
 * there. Nothing is judged: whether what has the name is what the template wants, CloudFormation finds out. */
#include "stack/adopt.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/xml.h"
#include "stack/call.h"

#define JSON_10 "application/x-amz-json-1.0"
#define JSON_11 "application/x-amz-json-1.1"
#define FORM    "application/x-www-form-urlencoded"
#define NAME    "\x01" /* where the name goes, in targets and bodies: none has a character that is written otherwise */

enum { QUESTION_SECRET, QUESTION_TABLE, QUESTION_LOG_GROUP, QUESTION_ROLE, QUESTION_FUNCTION, QUESTION_URL };
/* To add one: a row, its place among names, and its resource in both templates. */
static const struct question {
    const char *what, *type, *logical_id, *identifier;
    size_t name;         /* offset within struct stack_names */
    const char *pointer; /* JSON Pointer to what an import identifies it with; NULL: its name */
    const char *service, *operation, *amz_target, *method, *target, *content_type, *body;
} questions[] = {
    [QUESTION_SECRET] = {"secret", "AWS::SecretsManager::Secret", "Secret", "Id", offsetof(struct stack_names, secret),
                         "/ARN", "secretsmanager", "DescribeSecret", "secretsmanager.DescribeSecret", "POST", "/",
                         JSON_11, "{\"SecretId\":\"" NAME "\"}"},
    [QUESTION_TABLE] = {"table", "AWS::DynamoDB::Table", "Table", "TableName", offsetof(struct stack_names, table),
                        NULL, "dynamodb", "DescribeTable", "DynamoDB_20120810.DescribeTable", "POST", "/", JSON_10,
                        "{\"TableName\":\"" NAME "\"}"},
    [QUESTION_LOG_GROUP] = {"log group", "AWS::Logs::LogGroup", "LogGroup", "LogGroupName",
                            offsetof(struct stack_names, log_group), NULL, "logs", "DescribeLogGroups",
                            "Logs_20140328.DescribeLogGroups", "POST", "/", JSON_11,
                            "{\"logGroupNamePrefix\":\"" NAME "\"}"},
    [QUESTION_ROLE] = {"role", "AWS::IAM::Role", "Role", "RoleName", offsetof(struct stack_names, role), NULL, "iam",
                       "GetRole", NULL, "POST", "/", FORM, "Action=GetRole&Version=2010-05-08&RoleName=" NAME},
    [QUESTION_FUNCTION] = {"function", "AWS::Lambda::Function", "Function", "FunctionName",
                           offsetof(struct stack_names, function), NULL, "lambda", "GetFunction", NULL, "GET",
                           "/2015-03-31/functions/" NAME, "", ""},
    [QUESTION_URL] = {"function URL", "AWS::Lambda::Url", "Url", "FunctionArn", offsetof(struct stack_names, function),
                      "/FunctionArn", "lambda", "GetFunctionUrlConfig", NULL, "GET",
                      "/2021-10-31/functions/" NAME "/url", "", ""},
};
enum { QUESTION_COUNT = sizeof questions / sizeof questions[0], TEXT_SIZE = 512 };
static_assert((int)QUESTION_COUNT == (int)ADOPT_MAX, "every answer has a place");
static const struct question table_scan = {.service = "dynamodb",
                                           .operation = "Scan",
                                           .amz_target = "DynamoDB_20120810.Scan",
                                           .method = "POST",
                                           .target = "/",
                                           .content_type = JSON_10,
                                           .body = "{\"TableName\":\"" NAME "\",\"Select\":\"COUNT\",\"Limit\":1}"};
static const struct question role_policies = {.service = "iam",
                                              .operation = "ListRolePolicies",
                                              .method = "POST",
                                              .target = "/",
                                              .content_type = FORM,
                                              .body = "Action=ListRolePolicies&Version=2010-05-08&RoleName=" NAME};

static struct str fill(char *memory, const char *text, const char *name) {
    struct writer w = writer_make(memory, TEXT_SIZE);
    struct str before, after;
    if (str_cut(str_from(text), NAME[0], &before, &after)) {
        writer_put(&w, before);
        writer_put(&w, str_from(name));
        writer_put(&w, after);
    } else {
        writer_put(&w, str_from(text));
    }
    check(!w.overflow);
    return writer_str(&w);
}

static struct err unread(const struct question *question, struct writer *message) {
    writer_format(message, "the answer of %s to %s cannot be read; try again", question->service, question->operation);
    return err_make(ERR_NETWORK, 0, "make sense of the answer");
}

/* ret_body ptr NULL: it is not there. */
static struct err ask(struct aws *aws, const struct question *question, const char *name, struct writer *message,
                      struct str *ret_body) {
    char target[TEXT_SIZE], body[TEXT_SIZE];
    struct aws_call call = {.service = question->service,
                            .operation = question->operation,
                            .amz_target = question->amz_target,
                            .method = question->method,
                            .target = fill(target, question->target, name),
                            .content_type = str_from(question->content_type),
                            .body = fill(body, question->body, name)};
    const struct aws_answer *answer;
    struct err failure = stack_call(aws, &call, message, &answer, NULL);
    if (failure.kind == ERR_ABSENT) failure.kind = ERR_DENIED; /* credentials: here only a resource is absent */
    if (err_is(failure)) return failure;
    bool there = answer->status >= 200 && answer->status < 300;
    bool absent = answer->status == 404 || str_eq(answer->error, STR("ResourceNotFoundException")) ||
                  str_eq(answer->error, STR("NoSuchEntity"));
    if (!there && !absent) return stack_call_refused(&call, answer, message);
    *ret_body = there ? answer->body : STR_NONE;
    return err_ok();
}

/* A string or number of an answer; type NONE where there is none. False: the answer is no JSON. */
static bool json_at(struct str body, const char *text, struct json_value *ret_value) {
    struct json_pointer pointer;
    check(json_pointer_compile(str_from(text), &pointer));
    const struct json_pointer *pointers[] = {&pointer};
    return json_scan(body, pointers, 1, ret_value) == JSON_OK;
}

/* A JSON string as a C string of at most size - 1 bytes; false where it is none. */
static bool copy_text(const struct json_value *value, char *ret_text, size_t size) {
    char memory[4096];
    struct arena arena = arena_make(memory, sizeof memory);
    struct str text;
    bool full;
    if (value->type != JSON_TYPE_STRING || !json_string_decode(value->raw, &arena, &text, &full)) return false;
    if (text.len == 0 || text.len >= size || str_has_control(text)) return false;
    memcpy(ret_text, text.ptr, text.len);
    ret_text[text.len] = '\0';
    return true;
}

/* The list is of all groups whose names begin so. False: it cannot be read. */
static bool has_log_group(struct str body, const char *name, bool *ret_has) {
    struct json_value list, item, value;
    size_t position = 0;
    char text[TEXT_SIZE];
    *ret_has = false;
    if (!json_at(body, "/logGroups", &list) || list.type != JSON_TYPE_ARRAY) return false;
    while (json_array_next(list.raw, &position, &item))
        if (json_at(item.raw, "/logGroupName", &value) && copy_text(&value, text, sizeof text))
            *ret_has = *ret_has || strcmp(text, name) == 0;
    return true;
}

/* The inline policy that the Python program made: its name, then letters drawn by Pulumi. */
static struct err find_policy(struct aws *aws, const struct stack_names *names, struct writer *message,
                              char ret_policy[ADOPT_POLICY_MAX]) {
    struct str body = STR_NONE;
    ret_policy[0] = '\0';
    TRY(ask(aws, &role_policies, names->role, message, &body));
    if (body.ptr == NULL) return err_ok();
    char memory[32768], text[TEXT_SIZE];
    struct arena arena = arena_make(memory, sizeof memory);
    const struct xml_node *root;
    bool full;
    if (!xml_read(body, &arena, &root, &full)) return unread(&role_policies, message);
    struct str prefix = fill(text, "envmig-webhook-custom-policy-" NAME, names->suffix);
    const struct xml_node *list = xml_child(xml_child(root, STR("ListRolePoliciesResult")), STR("PolicyNames"));
    for (const struct xml_node *item = xml_child(list, STR("member")); item != NULL; item = xml_next(item)) {
        if (!str_starts(item->text, prefix) || item->text.len >= ADOPT_POLICY_MAX) continue;
        memcpy(ret_policy, item->text.ptr, item->text.len);
        ret_policy[item->text.len] = '\0';
        break;
    }
    return err_ok();
}

/* Whether the body, which is there, says that the resource is, and how it is identified. */
static struct err read_existing(const struct question *question, struct str body, const char *name,
                                struct writer *message, struct existing *ret_existing, bool *ret_is) {
    *ret_existing = (struct existing){question->what, name, question->type, question->logical_id, question->identifier};
    *ret_is = true;
    struct json_value value;
    if (question->pointer != NULL) {
        if (!json_at(body, question->pointer, &value) ||
            !copy_text(&value, ret_existing->value, sizeof ret_existing->value))
            return unread(question, message);
        return err_ok();
    }
    (void)fill(ret_existing->value, NAME, name);
    ret_existing->value[strlen(name)] = '\0';
    if (question == &questions[QUESTION_LOG_GROUP] && !has_log_group(body, name, ret_is))
        return unread(question, message);
    return err_ok();
}
static_assert((int)ADOPT_VALUE_MAX >= (int)TEXT_SIZE, "fill has room");

struct err adopt_find(struct aws *aws, const struct stack_names *names, struct writer *message,
                      struct adoption *ret_adoption) {
    struct adoption found = {.count = 0};
    for (size_t i = 0; i < QUESTION_COUNT; i++) {
        const struct question *question = &questions[i];
        const char *name = (const char *)names + question->name;
        struct existing *existing = &found.existing[found.count];
        struct str body = STR_NONE;
        bool is;
        TRY(ask(aws, question, name, message, &body));
        if (body.ptr == NULL) continue;
        TRY(read_existing(question, body, name, message, existing, &is));
        if (!is) continue;
        found.count++;
        struct json_value date;
        if (i == QUESTION_SECRET && json_at(body, "/DeletedDate", &date))
            found.secret_leaving = date.type == JSON_TYPE_NUMBER;
        if (i == QUESTION_ROLE) TRY(find_policy(aws, names, message, found.old_policy));
    }
    *ret_adoption = found;
    return err_ok();
}

struct err adopt_table_contents(struct aws *aws, const char *table, struct writer *message,
                                struct table_contents *ret_contents) {
    const struct question *describe = &questions[QUESTION_TABLE];
    struct table_contents contents = {.is_empty = false};
    struct json_value value;
    struct str body = STR_NONE;
    uint64_t count;
    TRY(ask(aws, describe, table, message, &body));
    if (body.ptr == NULL) {
        writer_put(message, STR("there is no table "));
        writer_escaped(message, str_from(table));
        return err_make(ERR_ABSENT, 0, "look at the table");
    }
    if (!json_at(body, "/Table/ItemCount", &value) || value.type != JSON_TYPE_NUMBER ||
        !str_u64(value.raw, UINT64_MAX, &contents.item_count_about))
        return unread(describe, message);
    struct writer before = *message;
    struct err scanned = ask(aws, &table_scan, table, message, &body);
    if (scanned.kind == ERR_DENIED) { /* deploying does not need Scan: it is not known, then */
        *message = before;
        *ret_contents = contents;
        return err_ok();
    }
    TRY(scanned);
    if (body.ptr == NULL || !json_at(body, "/Count", &value) || value.type != JSON_TYPE_NUMBER ||
        !str_u64(value.raw, UINT64_MAX, &count))
        return unread(&table_scan, message);
    contents.is_empty = count == 0;
    *ret_contents = contents;
    return err_ok();
}
