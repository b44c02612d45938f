/* SPDX-License-Identifier: Apache-2.0 */
/* Each call as it is sent, and the answers of CloudFormation as they are read: whole, in pages, cut off, refused. */
#include "stack/cloudformation.h"

#include "base/limits.h"
#include "stack_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>

/* Of a constant table. */
#define TEXT(literal)                                                                                                  \
    { literal, sizeof(literal) - 1 }

static char memory[4 << 20], text[4096];

/* One script, and what is called while it stands. */
struct call {
    struct script_stand stand;
    struct aws *aws;
    struct arena arena;
    struct writer message;
};
static void begin(struct call *c, const struct script_step *steps) {
    script_open(&c->stand, steps);
    c->aws = script_aws();
    c->arena = arena_make(memory, sizeof memory);
    c->message = writer_make(text, sizeof text);
}
static void end(struct call *c) {
    aws_close(c->aws);
    const char *trouble = script_close(&c->stand);
    if (trouble != NULL) fail_msg("%s (message: %s)", trouble, writer_cstr(&c->message));
}
static void assert_message(struct call *c, const char *part) {
    const char *message = writer_cstr(&c->message);
    if (strstr(message, part) == NULL) fail_msg("\"%s\" is not in \"%s\"", part, message);
    assert_false(c->message.overflow);
}

/* -- DescribeStacks -------------------------------------------------------------------------------------- */

static const char stack_answer[] = CF_STACK_WITH(
    "UPDATE_COMPLETE",
    "<Description>x</Description><LastUpdatedTime>2026-11-25T13:00:00.5Z</LastUpdatedTime><StackStatusReason>why &amp; "
    "how</StackStatusReason><Parameters><member><ParameterKey>EnvironmentSuffix</ParameterKey><ParameterValue>dev"
    "</ParameterValue></member><member><ParameterKey>Empty</ParameterKey><ParameterValue/></member></Parameters>"
    "<Outputs><member><Description>d</Description><OutputKey>LambdaFunctionUrl</OutputKey><OutputValue>https://x/"
    "</OutputValue></member><member><OutputKey>already_small</OutputKey><OutputValue>1</OutputValue></member></Outputs>"
    "<Tags><member><Key>Owner</Key><Value>me</Value></member></Tags>");

static void test_describe_stack(void **state) {
    (void)state;
    static const struct script_step steps[] = {
        {"Action=DescribeStacks Version=2010-05-15 StackName=TapStack-dev", 200, stack_answer, false}, {0}};
    struct call c;
    struct stack_description stack;
    begin(&c, steps);
    assert_false(err_is(cloudformation_describe_stack(c.aws, STR("TapStack-dev"), &c.arena, &c.message, &stack)));
    assert_true(stack.exists);
    assert_true(str_eq(stack.id, STR(CF_STACK_ID)));
    assert_true(str_eq(stack.status, STR("UPDATE_COMPLETE")));
    assert_true(str_eq(stack.reason, STR("why & how")));
    assert_int_equal(stack.began_us, INT64_C(1795611600500000));
    assert_int_equal(stack.parameter_count, 2);
    assert_true(str_eq(stack_pair_value(stack.parameters, 2, STR("EnvironmentSuffix")), STR("dev")));
    assert_true(str_eq(stack_pair_value(stack.parameters, 2, STR("Empty")), STR("")));
    assert_true(str_eq(stack_pair_value(stack.parameters, 2, STR("None")), STR("")));
    assert_int_equal(stack.output_count, 2);
    assert_true(str_eq(stack_pair_value(stack.outputs, 2, STR("lambda_function_url")), STR("https://x/")));
    assert_true(str_eq(stack_pair_value(stack.outputs, 2, STR("already_small")), STR("1")));
    assert_int_equal(stack.tag_count, 1);
    assert_true(str_eq(stack_pair_value(stack.tags, 1, STR("Owner")), STR("me")));
    end(&c);
}

/* Answers and what is made of them. */
static const struct {
    const char *name;
    struct script_step steps[5];
    enum err_kind kind;
    const char *status, *message;
} looks[] = {
    {"there is none", {{"DescribeStacks", 400, CF_NO_STACK, false}}, ERR_OK, "", ""},
    {"none in the answer", {{"DescribeStacks", 200, CF_ANSWER("DescribeStacks", "<Stacks/>"), false}}, ERR_OK, "", ""},
    {"a bad name",
     {{"DescribeStacks", 400, CF_ERROR("ValidationError", "1 validation error: Value &apos;a b&apos;"), false}},
     ERR_INPUT,
     "",
     "CloudFormation refuses DescribeStacks: 1 validation error: Value 'a b'"},
    {"not allowed",
     {{"DescribeStacks", 403,
       CF_ERROR(
           "AccessDenied",
           "User: arn:aws:iam::1:user/x is not authorized to perform: cloudformation:DescribeStacks on resource: y"),
       false}},
     ERR_DENIED,
     "",
     "may not call cloudformation:DescribeStacks: allow it"},
    {"a key that is none",
     {{"DescribeStacks", 403,
       CF_ERROR("InvalidClientTokenId", "The security token included in the request is invalid."), false}},
     ERR_DENIED,
     "",
     "AWS does not know this access key"},
    {"a wrong secret",
     {{"DescribeStacks", 403, CF_ERROR("SignatureDoesNotMatch", "The request signature we calculated ..."), false}},
     ERR_DENIED,
     "",
     "AWS does not accept the signature"},
    {"expired, twice",
     {{"DescribeStacks", 403, CF_ERROR("ExpiredToken", "The security token included in the request is expired"), true}},
     ERR_DENIED,
     "",
     "the AWS credentials have expired: sign in again"},
    {"a region not enabled",
     {{"DescribeStacks", 403, CF_ERROR("OptInRequired", "x"), false}},
     ERR_DENIED,
     "",
     "has not enabled region us-east-1"},
    {"an error without a document", {{"DescribeStacks", 404, "", false}}, ERR_INPUT, "", "404 Unknown"},
    {"throttled, then there",
     {{"DescribeStacks", 400, CF_ERROR("Throttling", "Rate exceeded"), false},
      {"DescribeStacks", 400, CF_ERROR("Throttling", "Rate exceeded"), false},
      {"DescribeStacks", 200, CF_STACK("CREATE_COMPLETE"), false}},
     ERR_OK,
     "CREATE_COMPLETE",
     ""},
    {"503, then there",
     {{"DescribeStacks", 503, "busy", false}, {"DescribeStacks", 200, CF_STACK("CREATE_COMPLETE"), false}},
     ERR_OK,
     "CREATE_COMPLETE",
     ""},
    {"broken off, then there",
     {{"DescribeStacks", SCRIPT_BROKEN, "", false},
      {"DescribeStacks", SCRIPT_HALF, CF_STACK("CREATE_COMPLETE"), false},
      {"DescribeStacks", 200, CF_STACK("CREATE_COMPLETE"), false}},
     ERR_OK,
     "CREATE_COMPLETE",
     ""},
    {"cut off, then there",
     {{"DescribeStacks", 200, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>Tap", false},
      {"DescribeStacks", 200, CF_STACK("CREATE_COMPLETE"), false}},
     ERR_OK,
     "CREATE_COMPLETE",
     ""},
    {"cut off again and again",
     {{"DescribeStacks", 200, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>Tap", true}},
     ERR_NETWORK,
     "",
     "answer to DescribeStacks breaks off"},
    {"another document", {{"DescribeStacks", 200, "<html/>", true}}, ERR_NETWORK, "", "breaks off"},
    {"with a document type",
     {{"DescribeStacks", 200, "<!DOCTYPE x [<!ENTITY e \"e\">]><DescribeStacksResponse/>", true}},
     ERR_NETWORK,
     "",
     "breaks off"},
    {"empty", {{"DescribeStacks", 200, "", true}}, ERR_NETWORK, "", "breaks off"},
};

static void test_looks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        struct call c;
        struct stack_description stack;
        begin(&c, looks[i].steps);
        struct err failure = cloudformation_describe_stack(c.aws, STR("TapStack-dev"), &c.arena, &c.message, &stack);
        if (failure.kind != looks[i].kind)
            fail_msg("%s: kind %d, %s", looks[i].name, (int)failure.kind, writer_cstr(&c.message));
        assert_message(&c, looks[i].message);
        if (!err_is(failure)) assert_int_equal(c.message.len, 0);
        if (!err_is(failure)) assert_int_equal(stack.exists, looks[i].status[0] != '\0');
        if (!err_is(failure)) assert_true(str_eq(stack.status, str_from(looks[i].status)));
        end(&c);
    }
}

static void test_without_credentials_or_host(void **state) {
    (void)state;
    struct writer message = writer_make(text, sizeof text);
    struct arena arena = arena_make(memory, sizeof memory);
    struct stack_description stack;
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
    struct aws *aws = script_aws();
    unsetenv("AWS_ACCESS_KEY_ID");
    assert_int_equal(cloudformation_describe_stack(aws, STR("x"), &arena, &message, &stack).kind, ERR_ABSENT);
    assert_non_null(strstr(writer_cstr(&message), "no AWS credentials"));
    aws_close(aws);

    message.len = 0;
    setenv("AWS_ENDPOINT_URL", "http://cloudformation.no-such-region-1.invalid", 1);
    aws = script_aws();
    assert_int_equal(cloudformation_describe_stack(aws, STR("x"), &arena, &message, &stack).kind, ERR_NETWORK);
    assert_non_null(strstr(writer_cstr(&message), "is us-east-1 a region, and is there a network?"));
    aws_close(aws);
}

static void test_small_arena(void **state) {
    (void)state;
    static const struct script_step steps[] = {{"DescribeStacks", 200, stack_answer, true}, {0}};
    struct call c;
    struct stack_description stack;
    begin(&c, steps);
    enum err_kind kind = ERR_MEMORY;
    for (size_t size = 0; kind != ERR_OK; size += 97) {
        c.arena = arena_make(memory, size);
        c.message.len = 0;
        kind = cloudformation_describe_stack(c.aws, STR("TapStack-dev"), &c.arena, &c.message, &stack).kind;
        if (kind != ERR_OK) assert_int_equal(kind, ERR_MEMORY);
        if (kind != ERR_OK) assert_message(&c, "larger than this program takes");
        assert_true(size < 1 << 15);
    }
    end(&c);
}

/* -- Change sets ----------------------------------------------------------------------------------------- */

#define CREATED                                                                                                        \
    CF_ANSWER("CreateChangeSet",                                                                                       \
              "<Id>arn:aws:cloudformation:us-east-1:1:changeSet/n/1</Id><StackId>" CF_STACK_ID "</StackId>")
#define CHANGE_SET_ID "arn:aws:cloudformation:us-east-1:1:changeSet/n/1"

static const struct stack_pair parameters[] = {{TEXT("EnvironmentSuffix"), TEXT("dev")},
                                               {TEXT("B"), TEXT("a b&c=d,e")}};
static const struct stack_pair tags[] = {{TEXT("Owner"), TEXT("m\xc3\xa9")}};
static const struct change_set_request plain = {.stack = TEXT("TapStack-dev"),
                                                .name = TEXT("payhook-1"),
                                                .create = true,
                                                .template = TEXT("Resources: {}\n"),
                                                .parameters = parameters,
                                                .parameter_count = 2,
                                                .tags = tags,
                                                .tag_count = 1};

static void test_create_change_set(void **state) {
    (void)state;
    static const struct script_step steps[] = {
        {"Action=CreateChangeSet StackName=TapStack-dev ChangeSetName=payhook-1 ClientToken=payhook-1 "
         "ChangeSetType=CREATE Capabilities.member.1=CAPABILITY_NAMED_IAM "
         "Parameters.member.1.ParameterKey=EnvironmentSuffix&Parameters.member.1.ParameterValue=dev& "
         "Parameters.member.2.ParameterValue=a%20b%26c%3Dd%2Ce Tags.member.1.Key=Owner&Tags.member.1.Value=m%C3%A9 "
         "TemplateBody=Resources%3A%20%7B%7D%0A",
         200, CREATED, false},
        {"ChangeSetType=UPDATE", 200, CREATED, false},
        {"ChangeSetType=IMPORT ResourcesToImport.member.1.ResourceType=AWS%3A%3ADynamoDB%3A%3ATable "
         "ResourcesToImport.member.1.LogicalResourceId=Table "
         "ResourcesToImport.member.1.ResourceIdentifier.entry.1.key=TableName "
         "ResourcesToImport.member.1.ResourceIdentifier.entry.1.value=envmig-transactions-dev "
         "ResourcesToImport.member.2.LogicalResourceId=Role",
         200, CREATED, false},
        {0}};
    static const struct stack_import imports[] = {
        {TEXT("AWS::DynamoDB::Table"), TEXT("Table"), TEXT("TableName"), TEXT("envmig-transactions-dev")},
        {TEXT("AWS::IAM::Role"), TEXT("Role"), TEXT("RoleName"), TEXT("r")}};
    struct call c;
    struct str id;
    begin(&c, steps);
    struct change_set_request request = plain;
    size_t used = c.arena.used;
    assert_false(err_is(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id)));
    assert_true(str_eq(id, STR(CHANGE_SET_ID)));
    assert_int_equal(c.arena.used, used + id.len); /* the request was let go */
    request.create = false;
    assert_false(err_is(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id)));
    request.imports = imports;
    request.import_count = 2;
    assert_false(err_is(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id)));
    end(&c);
}

static const struct {
    struct script_step steps[4];
    enum err_kind kind;
    const char *message;
} creations[] = {
    {{{"CreateChangeSet", 400, CF_ERROR("ValidationError", "Template format error: YAML not well-formed. (line 1)"),
       false}},
     ERR_INPUT,
     "CloudFormation refuses CreateChangeSet: Template format error: YAML not well-formed. (line 1)"},
    {{{"CreateChangeSet", 400, CF_ERROR("InsufficientCapabilitiesException", "Requires capabilities : [X]"), false}},
     ERR_INPUT,
     "Requires capabilities : [X]"},
    {{{"CreateChangeSet", 400, CF_ERROR("LimitExceededException", "ChangeSet limit exceeded"), false}},
     ERR_INPUT,
     "ChangeSet limit exceeded"},
    {{{"CreateChangeSet", 400, CF_ERROR("AlreadyExistsException", "ChangeSet payhook-1 already exists"), false}},
     ERR_INPUT,
     "already exists"},
    /* The first try was carried out, and its answer lost. */
    {{{"CreateChangeSet", SCRIPT_BROKEN, "", false},
      {"CreateChangeSet", 400, CF_ERROR("AlreadyExistsException", "ChangeSet payhook-1 already exists"), false},
      {"Action=DescribeChangeSet ChangeSetName=payhook-1 StackName=TapStack-dev", 200,
       CF_ANSWER("DescribeChangeSet", "<ChangeSetId>" CHANGE_SET_ID "</ChangeSetId>"), false}},
     ERR_OK,
     ""},
    {{{"CreateChangeSet", 200, "<CreateChangeSetResponse><Crea", false},
      {"CreateChangeSet", 400, CF_ERROR("AlreadyExistsException", "ChangeSet payhook-1 already exists"), false},
      {"Action=DescribeChangeSet", 404, CF_ERROR("ChangeSetNotFound", "ChangeSet [payhook-1] does not exist"), false}},
     ERR_INPUT,
     "does not exist"},
    {{{"CreateChangeSet", 403, CF_ERROR("AccessDenied", "no"), false}},
     ERR_DENIED,
     "may not call cloudformation:CreateChangeSet"},
};

static void test_creations(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof creations / sizeof creations[0]; i++) {
        struct call c;
        struct str id = STR("");
        begin(&c, creations[i].steps);
        enum err_kind kind = cloudformation_create_change_set(c.aws, &plain, &c.arena, &c.message, &id).kind;
        assert_message(&c, creations[i].message);
        assert_int_equal(kind, creations[i].kind);
        if (kind == ERR_OK) assert_true(str_eq(id, STR(CHANGE_SET_ID)));
        end(&c);
    }
}

static void test_template_sizes(void **state) {
    (void)state;
    static char template[STACK_TEMPLATE_SIZE_MAX + 1];
    static const struct script_step steps[] = {{"CreateChangeSet", 200, CREATED, false}, {0}};
    struct call c;
    struct str id;
    memset(template, ':', sizeof template); /* each becomes three bytes */
    begin(&c, steps);
    struct change_set_request request = plain;
    request.template = str_make(template, sizeof template);
    assert_int_equal(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id).kind, ERR_INPUT);
    assert_message(&c, "the template has 51201 bytes, and CloudFormation takes at most 51200");
    request.template.len--;
    assert_false(err_is(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id)));
    c.arena = arena_make(memory, 1000);
    assert_int_equal(cloudformation_create_change_set(c.aws, &request, &c.arena, &c.message, &id).kind, ERR_INPUT);
    end(&c);
}

static void test_describe_change_set(void **state) {
    (void)state;
    static const struct script_step steps[] = {
        {"Action=DescribeChangeSet IncludePropertyValues=true changeSet%2Fn%2F1", 200,
         CF_ANSWER("DescribeChangeSet", "<StackId>s</StackId><Status>CREATE_COMPLETE</Status><StatusReason/>"
                                        "<Changes/><NextToken>t/1</NextToken>"),
         false},
        {"Action=DescribeChangeSet NextToken=t%2F1", 200,
         CF_ANSWER("DescribeChangeSet",
                   "<Status>FAILED</Status><StatusReason>The submitted information didn&apos;t contain changes."
                   "</StatusReason>"),
         false},
        {"Action=DescribeChangeSet", 404, CF_ERROR("ChangeSetNotFound", "ChangeSet [n] does not exist"), false},
        {"Action=DescribeChangeSet", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false},
        {"Action=DescribeChangeSet", 400, CF_ERROR("ValidationError", "Invalid token"), false},
        {0}};
    struct call c;
    struct change_set_state got;
    begin(&c, steps);
    struct str id = STR(CHANGE_SET_ID);
    assert_false(err_is(cloudformation_describe_change_set(c.aws, id, STR(""), &c.arena, &c.message, &got)));
    assert_true(str_eq(got.status, STR("CREATE_COMPLETE")));
    assert_true(str_eq(got.next_token, STR("t/1")));
    assert_true(str_eq(xml_text(got.result, STR("StackId")), STR("s")));
    assert_false(err_is(cloudformation_describe_change_set(c.aws, id, got.next_token, &c.arena, &c.message, &got)));
    assert_true(str_eq(got.reason, STR("The submitted information didn't contain changes.")));
    assert_int_equal(got.next_token.len, 0);
    static const enum err_kind kinds[] = {ERR_ABSENT, ERR_ABSENT, ERR_INPUT};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(cloudformation_describe_change_set(c.aws, id, STR(""), &c.arena, &c.message, &got).kind,
                         kinds[i]);
    end(&c);
}

/* What changes something: which answers mean that it is done. */
enum deed { EXECUTE, DELETE_SET, DELETE_STACK };
static const struct {
    enum deed deed;
    struct script_step steps[4];
    enum err_kind kind;
    const char *message;
} deeds[] = {
    {EXECUTE,
     {{"Action=ExecuteChangeSet ChangeSetName=arn ClientRequestToken=token-1", 200, CF_ANSWER("ExecuteChangeSet", ""),
       false}},
     ERR_OK,
     ""},
    {EXECUTE, {{"Execute", 400, CF_ERROR("TokenAlreadyExistsException", "x"), false}}, ERR_OK, ""},
    {EXECUTE,
     {{"Execute", 400,
       CF_ERROR("InvalidChangeSetStatus",
                "ChangeSet [x] cannot be executed in its current execution status of [OBSOLETE]"),
       false}},
     ERR_BUSY,
     "OBSOLETE"},
    {EXECUTE,
     {{"Execute token-1", SCRIPT_BROKEN, "", false},
      {"Execute token-1", 400, CF_ERROR("InvalidChangeSetStatus", "status of [EXECUTE_IN_PROGRESS]"), false}},
     ERR_OK,
     ""},
    {EXECUTE,
     {{"Execute token-1", 500, "", false},
      {"Execute token-1", 400, CF_ERROR("InvalidChangeSetStatus", "status of [EXECUTE_IN_PROGRESS]"), false}},
     ERR_OK,
     ""},
    {EXECUTE,
     {{"Execute token-1", 400, CF_ERROR("Throttling", "Rate exceeded"), false},
      {"Execute token-1", 400, CF_ERROR("InvalidChangeSetStatus", "status of [OBSOLETE]"), false}},
     ERR_BUSY,
     "OBSOLETE"},
    {EXECUTE, {{"Execute", 404, CF_ERROR("ChangeSetNotFound", "ChangeSet [x] does not exist"), false}}, ERR_ABSENT, ""},
    {EXECUTE, {{"Execute", 403, CF_ERROR("AccessDenied", "no"), false}}, ERR_DENIED, "cloudformation:ExecuteChangeSet"},
    {EXECUTE, {{"Execute", 400, CF_ERROR("ValidationError", "no"), false}}, ERR_INPUT, "refuses ExecuteChangeSet: no"},
    {DELETE_SET,
     {{"Action=DeleteChangeSet ChangeSetName=arn", 200, CF_ANSWER("DeleteChangeSet", ""), false}},
     ERR_OK,
     ""},
    {DELETE_SET, {{"DeleteChangeSet", 404, CF_ERROR("ChangeSetNotFound", "x"), false}}, ERR_OK, ""},
    {DELETE_SET,
     {{"DeleteChangeSet", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false}},
     ERR_OK,
     ""},
    {DELETE_SET, {{"DeleteChangeSet", 400, CF_ERROR("InvalidChangeSetStatus", "x"), false}}, ERR_BUSY, ""},
    {DELETE_SET, {{"DeleteChangeSet", 400, CF_ERROR("ValidationError", "x"), false}}, ERR_INPUT, "refuses"},
    {DELETE_STACK,
     {{"Action=DeleteStack StackName=arn ClientRequestToken=token-1", 200, "<DeleteStackResponse/>", false}},
     ERR_OK,
     ""},
    {DELETE_STACK, {{"DeleteStack", 200, "", false}}, ERR_OK, ""},
    {DELETE_STACK, {{"DeleteStack", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false}}, ERR_OK, ""},
    {DELETE_STACK, {{"DeleteStack", 400, CF_ERROR("TokenAlreadyExistsException", "x"), false}}, ERR_OK, ""},
    {DELETE_STACK,
     {{"DeleteStack", 400,
       CF_ERROR("ValidationError", "Stack [x] cannot be deleted while TerminationProtection is enabled"), false}},
     ERR_INPUT,
     "update-termination-protection --no-enable-termination-protection --stack-name arn --region us-east-1"},
    {DELETE_STACK,
     {{"DeleteStack", 403, CF_ERROR("AccessDenied", "x"), false}},
     ERR_DENIED,
     "cloudformation:DeleteStack"},
};

static void test_deeds(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        struct call c;
        struct err failure = err_ok();
        begin(&c, deeds[i].steps);
        switch (deeds[i].deed) {
        case EXECUTE: failure = cloudformation_execute_change_set(c.aws, STR("arn"), STR("token-1"), &c.message); break;
        case DELETE_SET: failure = cloudformation_delete_change_set(c.aws, STR("arn"), &c.message); break;
        case DELETE_STACK: failure = cloudformation_delete_stack(c.aws, STR("arn"), STR("token-1"), &c.message); break;
        }
        if (failure.kind != deeds[i].kind) fail_msg("row %zu: %d %s", i, (int)failure.kind, writer_cstr(&c.message));
        assert_message(&c, deeds[i].message);
        end(&c);
    }
}

/* -- Events ---------------------------------------------------------------------------------------------- */

static struct progress progress;

#define TABLE_EVENT(number, seconds, status, reason)                                                                   \
    CF_EVENT(number, seconds, "envmig-transactions-dev", "Table", "AWS::DynamoDB::Table", status, reason)

static void test_follow(void **state) {
    (void)state;
    static const struct script_step steps[] = {
        {"Action=DescribeStackEvents TapStack-dev%2Faaf549a0", 200,
         CF_EVENTS(CF_STACK_EVENT("e0", "00:00.000", "CREATE_COMPLETE", ""), "<NextToken>old</NextToken>"), false},
        /* Two pages of new ones; the second ends with one that was there before, and is the last to be asked for. */
        {"DescribeStackEvents", 200,
         CF_EVENTS(TABLE_EVENT("e3", "01:03.250", "UPDATE_FAILED", CF_REASON("it &lt;fails&gt;")),
                   "<NextToken>p2</NextToken>"),
         false},
        {"DescribeStackEvents NextToken=p2", 200,
         CF_EVENTS(TABLE_EVENT("e2", "01:02.000", "UPDATE_IN_PROGRESS", "")
                       CF_STACK_EVENT("e1", "01:01.000", "UPDATE_IN_PROGRESS", CF_REASON("User Initiated"))
                           CF_STACK_EVENT("e0", "00:00.000", "CREATE_COMPLETE", ""),
                   "<NextToken>old</NextToken>"),
         false},
        /* Nothing new. */
        {"DescribeStackEvents", 200,
         CF_EVENTS(TABLE_EVENT("e3", "01:03.250", "UPDATE_FAILED", CF_REASON("it fails")), "<NextToken>p2</NextToken>"),
         false},
        /* One that comes late stands behind one that is known. */
        {"DescribeStackEvents", 200,
         CF_EVENTS(TABLE_EVENT("e3", "01:03.250", "UPDATE_FAILED", CF_REASON("it fails"))
                       CF_EVENT("e2b", "01:02.500", "r", "Role", "AWS::IAM::Role", "UPDATE_COMPLETE", ""),
                   ""),
         false},
        {"DescribeStackEvents", 400, CF_ERROR("ValidationError", "Stack [x] does not exist"), false},
        {"DescribeStackEvents", 400, CF_ERROR("ValidationError", "no"), false},
        {0}};
    struct call c;
    struct str id = STR(CF_STACK_ID);
    int64_t newest = -1;
    begin(&c, steps);
    assert_false(err_is(cloudformation_newest_event(c.aws, id, &c.arena, &c.message, &newest)));
    assert_int_equal(newest, INT64_C(1795608000000000));
    progress_start(&progress, newest + 1);
    assert_false(err_is(cloudformation_follow(c.aws, id, &c.arena, &c.message, &progress)));
    assert_int_equal(progress.seen_count, 3);
    assert_string_equal(progress.stack.status, "UPDATE_IN_PROGRESS");
    assert_int_equal(progress.row_count, 1);
    assert_string_equal(progress.rows[0].status, "UPDATE_FAILED");
    assert_string_equal(progress.cause_reason, "it <fails>");
    assert_int_equal(progress.rows[0].started_us, INT64_C(1795608062000000));
    assert_int_equal(progress.rows[0].ended_us, INT64_C(1795608063250000));
    assert_false(err_is(cloudformation_follow(c.aws, id, &c.arena, &c.message, &progress)));
    assert_int_equal(progress.seen_count, 3);
    assert_false(err_is(cloudformation_follow(c.aws, id, &c.arena, &c.message, &progress)));
    assert_int_equal(progress.seen_count, 4);
    assert_string_equal(progress.rows[1].logical_id, "Role");
    assert_false(err_is(cloudformation_follow(c.aws, id, &c.arena, &c.message, &progress))); /* it is gone */
    assert_int_equal(cloudformation_follow(c.aws, id, &c.arena, &c.message, &progress).kind, ERR_INPUT);
    assert_int_equal(c.arena.used, 0);
    end(&c);
}

/* Pages without an end fill the arena, and no more. */
static void test_pages_without_end(void **state) {
    (void)state;
    static const struct script_step steps[] = {
        {"DescribeStackEvents", 200, CF_EVENTS("", "<NextToken>more</NextToken>"), true}, {0}};
    struct call c;
    begin(&c, steps);
    c.arena = arena_make(memory, 20000);
    progress_start(&progress, 0);
    assert_int_equal(cloudformation_follow(c.aws, STR("x"), &c.arena, &c.message, &progress).kind, ERR_MEMORY);
    assert_true(c.stand.count > 5);
    end(&c);
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *time;
        int64_t us;
    } cases[] = {
        {"2026-11-25T12:00:00.000Z", INT64_C(1795608000000000)},
        {"2026-11-25T12:00:00Z", INT64_C(1795608000000000)},
        {"2026-11-25T12:00:00.123456789Z", INT64_C(1795608000123456)},
        {"2026-11-25T12:00:00.5", INT64_C(1795608000500000)},
        {"", 0},
        {"2026-11-25", 0},
        {"2026-13-25T12:00:00Z", 0},
        {"2026/11/25T12:00:00Z", 0},
        {"2026-11-25 12:00:00Z", 0},
        {"2026-11-2xT12:00:00Z", 0},
        {"yesterday, or thereabouts", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[1024];
        (void)snprintf(
            answer, sizeof answer,
            "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents><member><EventId>e</EventId>"
            "<Timestamp>%s</Timestamp></member></StackEvents></DescribeStackEventsResult>"
            "</DescribeStackEventsResponse>",
            cases[i].time);
        const struct script_step steps[] = {{"DescribeStackEvents", 200, answer, false}, {0}};
        struct call c;
        int64_t newest;
        begin(&c, steps);
        assert_false(err_is(cloudformation_newest_event(c.aws, STR("x"), &c.arena, &c.message, &newest)));
        if (newest != cases[i].us) fail_msg("%s is %lld", cases[i].time, (long long)newest);
        end(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe_stack),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_without_credentials_or_host),
        cmocka_unit_test(test_small_arena),
        cmocka_unit_test(test_create_change_set),
        cmocka_unit_test(test_creations),
        cmocka_unit_test(test_template_sizes),
        cmocka_unit_test(test_describe_change_set),
        cmocka_unit_test(test_deeds),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_pages_without_end),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
