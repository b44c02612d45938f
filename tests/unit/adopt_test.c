/* SPDX-License-Identifier: Apache-2.0 */
/* What is found under the names of a deployment, over services that follow a script: nothing, everything, and every
 * answer that is none. */
#include "stack/adopt.h"

#include "aws_stub.h"

#define SECRET_ARN   "arn:aws:secretsmanager:eu-west-1:1:secret:envmig-apikeys-dev-AbCdEf"
#define FUNCTION_ARN "arn:aws:lambda:eu-west-1:1:function:envmig-webhook-dev"
#define GET_SECRET   "DescribeSecret", "POST  /\n{\"SecretId\":\"envmig-apikeys-dev\"}"
#define GET_TABLE    "DescribeTable", "POST  /\n{\"TableName\":\"envmig-transactions-dev\"}"
#define GET_GROUPS   "DescribeLogGroups", "POST  /\n{\"logGroupNamePrefix\":\"/aws/lambda/envmig-webhook-dev\"}"
#define GET_ROLE     "GetRole", "POST  /\nAction=GetRole&Version=2010-05-08&RoleName=envmig-webhook-role-dev"
#define GET_POLICIES                                                                                                   \
    "ListRolePolicies", "POST  /\nAction=ListRolePolicies&Version=2010-05-08&RoleName=envmig-webhook-role-dev"
#define GET_FUNCTION "GetFunction", "GET  /2015-03-31/functions/envmig-webhook-dev\n"
#define GET_URL      "GetFunctionUrlConfig", "GET  /2021-10-31/functions/envmig-webhook-dev/url\n"
#define JSON_NONE    400, "ResourceNotFoundException", "{}", NULL, NULL
#define FOUND(body)  200, NULL, body, NULL, NULL
#define NO_SECRET                                                                                                      \
    { GET_SECRET, JSON_NONE }
#define NO_TABLE                                                                                                       \
    { GET_TABLE, JSON_NONE }
#define NO_GROUPS                                                                                                      \
    { GET_GROUPS, FOUND("{\"logGroups\":[]}") }
#define NO_ROLE                                                                                                        \
    { GET_ROLE, 404, "NoSuchEntity", "<ErrorResponse/>", NULL, NULL }
#define NO_FUNCTION                                                                                                    \
    { GET_FUNCTION, 404, "ResourceNotFoundException", "{}", NULL, NULL }
#define NO_URL                                                                                                         \
    { GET_URL, 404, "Unknown", "", NULL, NULL }
#define POLICIES(members)                                                                                              \
    "<ListRolePoliciesResponse "                                                                                       \
    "xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListRolePoliciesResult><PolicyNames>" members                \
    "</PolicyNames><IsTruncated>false</IsTruncated></ListRolePoliciesResult></ListRolePoliciesResponse>"
#define ROLE(members)                                                                                                  \
    {GET_ROLE, FOUND("<GetRoleResponse/>")}, { GET_POLICIES, FOUND(POLICIES(members)) }
#define DENIED(operation)                                                                                              \
    { operation, NULL, 403, "AccessDenied", "", NULL, NULL }

static const struct adopt_case {
    const char *name;
    struct stub_row rows[8];
    size_t row_count;
    enum err_kind kind;
    const char *found; /* "logical_id=value;" of each; or a part of the message where it fails */
    bool leaving;
    const char *policy;
} cases[] = {
    {"nothing", {NO_SECRET, NO_TABLE, NO_GROUPS, NO_ROLE, NO_FUNCTION, NO_URL}, 6, ERR_OK, "", false, ""},
    {"everything",
     {{GET_SECRET, FOUND("{\"ARN\":\"" SECRET_ARN "\",\"Name\":\"envmig-apikeys-dev\"}")},
      {GET_TABLE, FOUND("{\"Table\":{}}")},
      {GET_GROUPS, FOUND("{\"logGroups\":[{\"logGroupName\":\"/aws/lambda/envmig-webhook-dev\"},{\"logGroupName\":\"/"
                         "aws/lambda/envmig-webhook-dev-2\"}]}")},
      ROLE("<member>other</member><member>envmig-webhook-custom-policy-dev-1a2b3c4</member>"),
      {GET_FUNCTION, FOUND("{}")},
      {GET_URL, FOUND("{\"FunctionArn\":\"" FUNCTION_ARN "\",\"FunctionUrl\":\"https://x/\"}")}},
     7,
     ERR_OK,
     "Secret=" SECRET_ARN
     ";Table=envmig-transactions-dev;LogGroup=/aws/lambda/envmig-webhook-dev;Role=envmig-webhook-role-dev;"
     "Function=envmig-webhook-dev;Url=" FUNCTION_ARN ";",
     false,
     "envmig-webhook-custom-policy-dev-1a2b3c4"},
    {"a secret that is leaving",
     {{GET_SECRET, FOUND("{\"ARN\":\"" SECRET_ARN "\",\"DeletedDate\":1764000000.5}")},
      NO_TABLE,
      NO_GROUPS,
      NO_ROLE,
      NO_FUNCTION,
      NO_URL},
     6,
     ERR_OK,
     "Secret=" SECRET_ARN ";",
     true,
     ""},
    {"groups whose names go on",
     {NO_SECRET,
      NO_TABLE,
      {GET_GROUPS,
       FOUND("{\"logGroups\":[{\"logGroupName\":\"/aws/lambda/envmig-webhook-dev-2\"},{},{\"logGroupName\":5}]}")},
      NO_ROLE,
      NO_FUNCTION,
      NO_URL},
     6,
     ERR_OK,
     "",
     false,
     ""},
    {"a role with other policies",
     {NO_SECRET, NO_TABLE, NO_GROUPS, ROLE("<member>x</member>"), NO_FUNCTION, NO_URL},
     7,
     ERR_OK,
     "Role=envmig-webhook-role-dev;",
     false,
     ""},
    {"a role without any",
     {NO_SECRET, NO_TABLE, NO_GROUPS, ROLE(""), NO_FUNCTION, NO_URL},
     7,
     ERR_OK,
     "Role=envmig-webhook-role-dev;",
     false,
     ""},
    {"a role that goes meanwhile",
     {NO_SECRET,
      NO_TABLE,
      NO_GROUPS,
      {GET_ROLE, FOUND("<x/>")},
      {GET_POLICIES, 404, "NoSuchEntity", "", NULL, NULL},
      NO_FUNCTION,
      NO_URL},
     7,
     ERR_OK,
     "Role=envmig-webhook-role-dev;",
     false,
     ""},
    {"a function without a URL",
     {NO_SECRET, NO_TABLE, NO_GROUPS, NO_ROLE, {GET_FUNCTION, FOUND("{}")}, NO_URL},
     6,
     ERR_OK,
     "Function=envmig-webhook-dev;",
     false,
     ""},

    {"a secret without an ARN",
     {{GET_SECRET, FOUND("{}")}},
     1,
     ERR_NETWORK,
     "secretsmanager to DescribeSecret cannot be read",
     false,
     ""},
    {"an ARN that is a number", {{GET_SECRET, FOUND("{\"ARN\":5}")}}, 1, ERR_NETWORK, "cannot be read", false, ""},
    {"an ARN of two lines", {{GET_SECRET, FOUND("{\"ARN\":\"a\\nb\"}")}}, 1, ERR_NETWORK, "cannot be read", false, ""},
    {"an empty ARN", {{GET_SECRET, FOUND("{\"ARN\":\"\"}")}}, 1, ERR_NETWORK, "cannot be read", false, ""},
    {"no JSON", {{GET_SECRET, FOUND("<a/>")}}, 1, ERR_NETWORK, "cannot be read", false, ""},
    {"no list of groups",
     {NO_SECRET, NO_TABLE, {GET_GROUPS, FOUND("{}")}},
     3,
     ERR_NETWORK,
     "logs to DescribeLogGroups cannot be read",
     false,
     ""},
    {"policies that are no XML",
     {NO_SECRET, NO_TABLE, NO_GROUPS, {GET_ROLE, FOUND("<x/>")}, {GET_POLICIES, FOUND("{}")}},
     5,
     ERR_NETWORK,
     "iam to ListRolePolicies cannot be read",
     false,
     ""},
    {"a URL of nothing",
     {NO_SECRET, NO_TABLE, NO_GROUPS, NO_ROLE, NO_FUNCTION, {GET_URL, FOUND("{}")}},
     6,
     ERR_NETWORK,
     "lambda to GetFunctionUrlConfig cannot be read",
     false,
     ""},
    {"may not look at the secret",
     {DENIED("DescribeSecret")},
     1,
     ERR_DENIED,
     "secretsmanager:DescribeSecret",
     false,
     ""},
    {"may not look at the table",
     {NO_SECRET, DENIED("DescribeTable")},
     2,
     ERR_DENIED,
     "dynamodb:DescribeTable",
     false,
     ""},
    {"may not look at groups",
     {NO_SECRET, NO_TABLE, DENIED("DescribeLogGroups")},
     3,
     ERR_DENIED,
     "logs:DescribeLogGroups",
     false,
     ""},
    {"may not look at the role",
     {NO_SECRET, NO_TABLE, NO_GROUPS, DENIED("GetRole")},
     4,
     ERR_DENIED,
     "iam:GetRole",
     false,
     ""},
    {"may not look at its policies",
     {NO_SECRET, NO_TABLE, NO_GROUPS, {GET_ROLE, FOUND("<x/>")}, DENIED("ListRolePolicies")},
     5,
     ERR_DENIED,
     "iam:ListRolePolicies",
     false,
     ""},
    {"may not look at the function",
     {NO_SECRET, NO_TABLE, NO_GROUPS, NO_ROLE, DENIED("GetFunction")},
     5,
     ERR_DENIED,
     "lambda:GetFunction",
     false,
     ""},
    {"may not look at the URL",
     {NO_SECRET, NO_TABLE, NO_GROUPS, NO_ROLE, NO_FUNCTION, DENIED("GetFunctionUrlConfig")},
     6,
     ERR_DENIED,
     "lambda:GetFunctionUrlConfig",
     false,
     ""},
    {"another refusal",
     {NO_SECRET, {GET_TABLE, 400, "ValidationException", "{}", NULL, NULL}},
     2,
     ERR_INPUT,
     "DynamoDB refuses DescribeTable",
     false,
     ""},
    {"nobody there", {{GET_SECRET, 0, NULL, NULL, NULL, NULL}}, 1, ERR_NETWORK, "is eu-west-1 a region", false, ""},
};

static void test_find(void **state) {
    (void)state; /* there is none */
    struct stack_names names;
    stack_names_make(STR("dev"), &names);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct adopt_case *c = &cases[i];
        char text[1024], found[1024];
        struct writer message = writer_make(text, sizeof text), list = writer_make(found, sizeof found);
        struct adoption adoption = {.count = 99};
        stub_open(c->rows, c->row_count);
        struct err result = adopt_find(&stub_aws, &names, &message, &adoption);
        if (result.kind != c->kind) fail_msg("%s: %d, %s", c->name, (int)result.kind, writer_cstr(&message));
        if (stub.next != stub.row_count) fail_msg("%s: %zu calls are left", c->name, stub.row_count - stub.next);
        if (c->kind != ERR_OK) {
            if (strstr(writer_cstr(&message), c->found) == NULL) fail_msg("%s: %s", c->name, text);
            assert_int_equal(adoption.count, 99);
            continue;
        }
        assert_int_equal(message.len, 0);
        for (size_t k = 0; k < adoption.count; k++)
            writer_format(&list, "%s=%s;", adoption.existing[k].logical_id, adoption.existing[k].value);
        if (strcmp(writer_cstr(&list), c->found) != 0) fail_msg("%s: %s", c->name, found);
        assert_int_equal(adoption.secret_leaving, c->leaving);
        assert_string_equal(adoption.old_policy, c->policy);
    }
}

/* What an import and a person are told of each. */
static void test_rows(void **state) {
    (void)state; /* there is none */
    static const char *const rows[][5] = {
        {"secret", "envmig-apikeys-dev", "AWS::SecretsManager::Secret", "Secret", "Id"},
        {"table", "envmig-transactions-dev", "AWS::DynamoDB::Table", "Table", "TableName"},
        {"log group", "/aws/lambda/envmig-webhook-dev", "AWS::Logs::LogGroup", "LogGroup", "LogGroupName"},
        {"role", "envmig-webhook-role-dev", "AWS::IAM::Role", "Role", "RoleName"},
        {"function", "envmig-webhook-dev", "AWS::Lambda::Function", "Function", "FunctionName"},
        {"function URL", "envmig-webhook-dev", "AWS::Lambda::Url", "Url", "FunctionArn"},
    };
    struct stack_names names;
    struct adoption adoption;
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    stack_names_make(STR("dev"), &names);
    stub_open(cases[1].rows, cases[1].row_count);
    assert_false(err_is(adopt_find(&stub_aws, &names, &message, &adoption)));
    assert_int_equal(adoption.count, ADOPT_MAX);
    for (size_t i = 0; i < ADOPT_MAX; i++) {
        assert_string_equal(adoption.existing[i].what, rows[i][0]);
        assert_string_equal(adoption.existing[i].name, rows[i][1]);
        assert_string_equal(adoption.existing[i].type, rows[i][2]);
        assert_string_equal(adoption.existing[i].logical_id, rows[i][3]);
        assert_string_equal(adoption.existing[i].identifier, rows[i][4]);
    }
}

#define SCAN(answer)                                                                                                   \
    { "Scan", "POST  /\n{\"TableName\":\"t\",\"Select\":\"COUNT\",\"Limit\":1}", 200, NULL, answer, NULL, NULL }
#define ITEMS(count)                                                                                                   \
    { "DescribeTable", "{\"TableName\":\"t\"}", 200, NULL, "{\"Table\":{\"ItemCount\":" count "}}", NULL, NULL }

static void test_contents(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *name;
        struct stub_row rows[2];
        size_t row_count;
        enum err_kind kind;
        uint64_t about;
        bool is_empty;
    } looks[] = {
        {"some", {ITEMS("1234"), SCAN("{\"Count\":1,\"ScannedCount\":1}")}, 2, ERR_OK, 1234, false},
        {"none", {ITEMS("0"), SCAN("{\"Count\":0}")}, 2, ERR_OK, 0, true},
        {"new ones", {ITEMS("0"), SCAN("{\"Count\":1}")}, 2, ERR_OK, 0, false},
        {"may not scan", {ITEMS("0"), DENIED("Scan")}, 2, ERR_OK, 0, false},
        {"no table", {{"DescribeTable", NULL, JSON_NONE}}, 1, ERR_ABSENT, 0, false},
        {"gone meanwhile", {ITEMS("1"), {"Scan", NULL, JSON_NONE}}, 2, ERR_NETWORK, 0, false},
        {"no count", {{"DescribeTable", NULL, FOUND("{\"Table\":{}}")}}, 1, ERR_NETWORK, 0, false},
        {"a count that is none", {ITEMS("-1")}, 1, ERR_NETWORK, 0, false},
        {"a count in a text", {ITEMS("\"5\"")}, 1, ERR_NETWORK, 0, false},
        {"a scan without a count", {ITEMS("1"), SCAN("{}")}, 2, ERR_NETWORK, 0, false},
        {"may not describe", {DENIED("DescribeTable")}, 1, ERR_DENIED, 0, false},
        {"nobody there", {{"DescribeTable", NULL, 0, NULL, NULL, NULL, NULL}}, 1, ERR_NETWORK, 0, false},
    };
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        char text[1024];
        struct writer message = writer_make(text, sizeof text);
        struct table_contents contents = {77, true};
        stub_open(looks[i].rows, looks[i].row_count);
        struct err result = adopt_table_contents(&stub_aws, "t", &message, &contents);
        if (result.kind != looks[i].kind)
            fail_msg("%s: %d, %s", looks[i].name, (int)result.kind, writer_cstr(&message));
        assert_int_equal(stub.next, stub.row_count);
        assert_int_equal(contents.item_count_about, looks[i].kind == ERR_OK ? looks[i].about : 77);
        if (looks[i].kind == ERR_OK)
            assert_int_equal(contents.is_empty, looks[i].is_empty), assert_int_equal(message.len, 0);
        else
            assert_true(message.len > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
