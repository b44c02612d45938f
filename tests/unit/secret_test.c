/* SPDX-License-Identifier: Apache-2.0 */
/* Keys put into the secret over a service that follows a script: the calls in their order, a write of somebody else in
 * between, every refusal, and that no message repeats a secret. */
#include "stack/secret.h"

#include "aws_stub.h"
#include "base/limits.h"

#define CANARY "canary4f1d7c2a9b"
#define VALUE  "whsec_" CANARY
#define OLD    "{\\\"api_key\\\":\\\"" CANARY "-key\\\"}"
#define THEIRS "{\\\"api_key\\\":\\\"" CANARY "-key\\\",\\\"theirs\\\":1.50}"
#define SOURCES                                                                                                        \
    ", \\\"sources\\\": {\\\"stripe\\\": {\\\"provider\\\": \\\"stripe\\\", \\\"secrets\\\": [\\\"" VALUE "\\\"]}}}"
#define NEW "{\\\"api_key\\\":\\\"" CANARY "-key\\\"" SOURCES
#define ANSWER(document, version)                                                                                      \
    "{\"ARN\":\"a\",\"Name\":\"envmig-apikeys-dev\",\"SecretString\":\"" document "\",\"VersionId\":\"" version "\"}"
#define GET(document, version)                                                                                         \
    { "GetSecretValue", "{\"SecretId\":\"envmig-apikeys-dev\"}", 200, NULL, ANSWER(document, version), NULL, NULL }
#define PUT(document)                                                                                                  \
    {                                                                                                                  \
        "PutSecretValue", "\"VersionStages\":[\"payhook-next\"],\"SecretString\":\"" document "\"}", 200, NULL, "{}",  \
            NULL, NULL                                                                                                 \
    }
#define MOVE(version)                                                                                                  \
    {                                                                                                                  \
        "UpdateSecretVersionStage",                                                                                    \
            "\"VersionStage\":\"AWSCURRENT\",\"RemoveFromVersionId\":\"" version "\",\"MoveToVersionId\":\"", 200,     \
            NULL, "{}", NULL, NULL                                                                                     \
    }
#define LOST(version)                                                                                                  \
    {                                                                                                                  \
        "UpdateSecretVersionStage", "\"AWSCURRENT\",\"RemoveFromVersionId\":\"" version "\"", 400,                     \
            "InvalidParameterException", "{}", NULL, NULL                                                              \
    }
#define UNLABEL                                                                                                        \
    {                                                                                                                  \
        "UpdateSecretVersionStage", "\"VersionStage\":\"payhook-next\",\"RemoveFromVersionId\":\"", 200, NULL, "{}",   \
            NULL, NULL                                                                                                 \
    }
#define REFUSED(operation, status, error)                                                                              \
    { operation, NULL, status, error, "{\"Message\":\"" CANARY "\"}", NULL, NULL }
#define UNHEARD(operation)                                                                                             \
    { operation, NULL, 0, NULL, NULL, NULL, NULL }

enum { ROWS_MAX = 24 };

static const struct set_case {
    const char *name;
    struct stub_row rows[ROWS_MAX];
    enum err_kind kind;
    bool is_new;
    const char *sentence;
} cases[] = {
    {"plain", {GET(OLD, "v1"), PUT(NEW), MOVE("v1"), UNLABEL}, ERR_OK, true, NULL},
    {"already so", {GET(NEW, "v1")}, ERR_OK, false, NULL},
    {"the label stays",
     {GET(OLD, "v1"), PUT(NEW), MOVE("v1"), REFUSED("UpdateSecretVersionStage", 403, "AccessDeniedException")},
     ERR_OK,
     true,
     NULL},
    {"somebody else in between",
     {GET(OLD, "v1"), PUT(NEW), LOST("v1"), UNLABEL, GET(THEIRS, "v2"),
      PUT("{\\\"api_key\\\":\\\"" CANARY "-key\\\",\\\"theirs\\\":1.50" SOURCES), MOVE("v2"), UNLABEL},
     ERR_OK,
     true,
     NULL},
    {"ours had taken effect, and its answer was lost",
     {GET(OLD, "v1"), PUT(NEW), LOST("v1"), UNLABEL, GET(NEW, "v2")},
     ERR_OK,
     true,
     NULL},
    {"somebody else again and again",
     {GET(OLD, "v1"), PUT(NEW),       LOST("v1"),     UNLABEL,    GET(OLD, "v2"), PUT(NEW),       LOST("v2"),
      UNLABEL,        GET(OLD, "v3"), PUT(NEW),       LOST("v3"), UNLABEL,        GET(OLD, "v4"), PUT(NEW),
      LOST("v4"),     UNLABEL,        GET(OLD, "v5"), PUT(NEW),   LOST("v5"),     UNLABEL},
     ERR_BUSY,
     false,
     "somebody else keeps writing it"},
    {"refused, though nobody wrote",
     {GET(OLD, "v1"), PUT(NEW), LOST("v1"), UNLABEL, GET(OLD, "v1"), PUT(NEW), LOST("v1"), UNLABEL},
     ERR_INPUT,
     false,
     "does not let a new version take effect"},

    {"no such secret",
     {REFUSED("GetSecretValue", 400, "ResourceNotFoundException")},
     ERR_ABSENT,
     false,
     "secret envmig-apikeys-dev: there is none"},
    {"being deleted",
     {REFUSED("GetSecretValue", 400, "InvalidRequestException")},
     ERR_INPUT,
     false,
     "it is being deleted"},
    {"may not read",
     {REFUSED("GetSecretValue", 400, "AccessDeniedException")},
     ERR_DENIED,
     false,
     "secretsmanager:GetSecretValue"},
    {"no key",
     {REFUSED("GetSecretValue", 400, "DecryptionFailure")},
     ERR_INPUT,
     false,
     "refuses GetSecretValue: 400 DecryptionFailure"},
    {"nobody answers", {UNHEARD("GetSecretValue")}, ERR_NETWORK, false, "is eu-west-1 a region"},
    {"no JSON comes",
     {{"GetSecretValue", NULL, 200, NULL, "{\"SecretString\":\"" CANARY, NULL, NULL}},
     ERR_NETWORK,
     false,
     "cannot be read"},
    {"no version comes",
     {{"GetSecretValue", NULL, 200, NULL, "{\"SecretString\":\"{}\"}", NULL, NULL}},
     ERR_NETWORK,
     false,
     "cannot be read"},
    {"a version of another kind",
     {{"GetSecretValue", NULL, 200, NULL, "{\"SecretString\":\"{}\",\"VersionId\":5}", NULL, NULL}},
     ERR_NETWORK,
     false,
     "cannot be read"},
    {"an empty version", {GET("{}", "")}, ERR_NETWORK, false, "cannot be read"},
    {"a long version",
     {GET("{}", "12345678901234567890123456789012345678901234567890123456789012345")},
     ERR_NETWORK,
     false,
     "cannot be read"},
    {"bytes",
     {{"GetSecretValue", NULL, 200, NULL, "{\"SecretBinary\":\"" CANARY "\",\"VersionId\":\"v1\"}", NULL, NULL}},
     ERR_INPUT,
     false,
     "put it again as SecretString"},
    {"half a character", {GET("{\\\"a\\\":\\\"" CANARY "\\ud800\\\"}", "v1")}, ERR_INPUT, false, "what is no text"},
    {"no document", {GET(CANARY, "v1")}, ERR_INPUT, false, "holds no JSON object"},
    {"a document that the judge refuses",
     {GET("{\\\"judge\\\":\\\"no\\\"}", "v1")},
     ERR_INPUT,
     false,
     "the judge's sentence"},
    {"already so, and the judge refuses",
     {GET("{\\\"judge\\\":\\\"no\\\"" SOURCES, "v1")},
     ERR_INPUT,
     false,
     "the judge's sentence"},
    {"may not write",
     {GET(OLD, "v1"), REFUSED("PutSecretValue", 400, "AccessDeniedException")},
     ERR_DENIED,
     false,
     "secretsmanager:PutSecretValue"},
    {"too many versions",
     {GET(OLD, "v1"), REFUSED("PutSecretValue", 400, "LimitExceededException")},
     ERR_BUSY,
     false,
     "too many versions"},
    {"not to be encrypted",
     {GET(OLD, "v1"), REFUSED("PutSecretValue", 400, "EncryptionFailure")},
     ERR_INPUT,
     false,
     "EncryptionFailure"},
    {"gone in between",
     {GET(OLD, "v1"), REFUSED("PutSecretValue", 400, "ResourceNotFoundException")},
     ERR_ABSENT,
     false,
     "there is none"},
    {"written, and nobody answers", {GET(OLD, "v1"), UNHEARD("PutSecretValue")}, ERR_NETWORK, false, "Secrets Manager"},
    {"may not move",
     {GET(OLD, "v1"), PUT(NEW), REFUSED("UpdateSecretVersionStage", 400, "AccessDeniedException")},
     ERR_DENIED,
     false,
     "secretsmanager:UpdateSecretVersionStage"},
    {"moved, and nobody answers",
     {GET(OLD, "v1"), PUT(NEW), UNHEARD("UpdateSecretVersionStage")},
     ERR_NETWORK,
     false,
     "Secrets Manager"},
};

static size_t row_count(const struct stub_row *rows) {
    size_t count = 0;
    while (count < ROWS_MAX && rows[count].operation != NULL)
        count++;
    return count;
}

static bool judge(void *context, struct str document, struct writer *message) {
    ++*(int *)context;
    if (memmem(document.ptr, document.len, "judge", 5) == NULL) return true;
    writer_put(message, STR("the judge's sentence"));
    return false;
}

/* The new version is what AWSCURRENT moves to, and each round has one of its own. */
static char tokens[ROWS_MAX][33];
static size_t token_count;
static void keep_token(const struct aws_call *call) {
    static const char name[] = "\"ClientRequestToken\":\"", to[] = "\"MoveToVersionId\":\"";
    char body[4096];
    (void)snprintf(body, sizeof body, "%.*s", STR_ARG(call->body));
    const char *at = strstr(body, name), *moved = strstr(body, to);
    if (at != NULL) {
        memcpy(tokens[token_count], at + sizeof name - 1, 32);
        tokens[token_count][32] = '\0';
        assert_int_equal(strspn(tokens[token_count], "0123456789abcdef"), 32);
        for (size_t i = 0; i < token_count; i++)
            assert_string_not_equal(tokens[i], tokens[token_count]);
        token_count++;
    }
    if (moved != NULL) assert_memory_equal(moved + sizeof to - 1, tokens[token_count - 1], 32);
    if (strstr(body, "payhook-next\",\"Remove") != NULL) assert_non_null(strstr(body, tokens[token_count - 1]));
}

static void test_set(void **state) {
    (void)state; /* there is none */
    const struct str value = STR(VALUE);
    const struct secret_change change = {
        .source = STR("stripe"), .provider_if_new = STR("stripe"), .values = &value, .value_count = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct set_case *c = &cases[i];
        char text[1024];
        struct writer message = writer_make(text, sizeof text);
        bool is_new = false;
        int judged = 0;
        stub_open(c->rows, row_count(c->rows));
        stub.before = keep_token;
        token_count = 0;
        struct err result =
            secret_set(&stub_aws, STR("envmig-apikeys-dev"), &change, judge, &judged, &message, &is_new);
        if (result.kind != c->kind) fail_msg("%s: %d, %s", c->name, (int)result.kind, writer_cstr(&message));
        if (c->sentence != NULL && strstr(writer_cstr(&message), c->sentence) == NULL)
            fail_msg("%s: %s", c->name, text);
        if (c->sentence == NULL) assert_int_equal(message.len, 0);
        if (strstr(text, CANARY) != NULL) fail_msg("%s: %s", c->name, text);
        assert_int_equal(is_new, c->is_new);
        if (stub.next != stub.row_count) fail_msg("%s: %zu calls are left", c->name, stub.row_count - stub.next);
        assert_true(judged >= (int)token_count);
    }
}

static void test_names(void **state) {
    (void)state; /* there is none */
    static char name[600];
    memset(name, 'n', sizeof name - 1);
    const struct str value = STR(VALUE);
    const struct secret_change change = {
        .source = STR("stripe"), .provider_if_new = STR("stripe"), .values = &value, .value_count = 1};
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    bool is_new;
    int judged = 0;
    stub_open(NULL, 0);
    assert_int_equal(secret_set(&stub_aws, str_from(name), &change, judge, &judged, &message, &is_new).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "such a long name"));
    /* The longest that goes, with all of it to be escaped. */
    memset(name, '\x01', 512);
    name[512] = '\0';
    static const struct stub_row rows[] = {
        {"GetSecretValue", "\\u0001\"}", 200, NULL, ANSWER(OLD, "v1"), NULL, NULL}, PUT(NEW), MOVE("v1"), UNLABEL};
    stub_open(rows, 4);
    message = writer_make(text, sizeof text);
    assert_false(err_is(secret_set(&stub_aws, str_from(name), &change, judge, &judged, &message, &is_new)));
}

/* What carries secrets to the service is kept out of core dumps: "dd" in the mapping's flags (proc(5)). */
static bool was_dumpable;
static void look_at_memory(const struct aws_call *call) {
    if (strcmp(call->operation, "PutSecretValue") != 0) return;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    char line[512];
    uintptr_t from, to, place = (uintptr_t)call->body.ptr;
    bool here = false;
    was_dumpable = true;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) here = place >= from && place < to;
        if (here && strncmp(line, "VmFlags:", 8) == 0) was_dumpable = strstr(line, " dd") == NULL;
    }
    (void)fclose(maps);
}

static void test_memory(void **state) {
    (void)state; /* there is none */
    const struct str value = STR(VALUE);
    const struct secret_change change = {
        .source = STR("stripe"), .provider_if_new = STR("stripe"), .values = &value, .value_count = 1};
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    bool is_new;
    int judged = 0;
    stub_open(cases[0].rows, row_count(cases[0].rows));
    stub.before = look_at_memory;
    was_dumpable = true;
    assert_false(err_is(secret_set(&stub_aws, STR("envmig-apikeys-dev"), &change, judge, &judged, &message, &is_new)));
    assert_false(was_dumpable);
}

static void collect(void *context, struct str name) {
    struct writer *names = context;
    writer_put(names, name);
    writer_char(names, ' ');
}

static void test_looking(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *document, *names; /* names NULL: refused */
        bool has;
    } looks[] = {
        {"{}", "", false},
        {OLD, "", false},
        {"{\\\"sources\\\":5}", "", false},
        {"{\\\"sources\\\":{}}", "", false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"secrets\\\":[]}}}", "a ", false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"secrets\\\":[\\\"\\\",5,null]}}}", "a ", false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"secrets\\\":\\\"placeholder_value_replace_in_production\\\"}}}", "a ",
         false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"secrets\\\":[\\\"placeholder\\\\u005fvalue_replace_in_production\\\"]}}}",
         "a ", false},
        {"{\\\"sources\\\":{\\\"a\\\":[\\\"" CANARY "\\\"]}}", "a ", false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"provider\\\":\\\"" CANARY "\\\"}}}", "a ", false},
        {"{\\\"sources\\\":{\\\"a\\\":{\\\"secrets\\\":\\\"" CANARY "\\\"}}}", "a ", true},
        {"{\\\"sources\\\":{\\\"a\\\":{},\\\"\\\\u0062\\\":{\\\"secret\\\\u0073\\\":[\\\"\\\",\\\"" CANARY "\\\"]}}}",
         "a b ", true},
        {"{\\\"sources\\\":{\\\"" CANARY "_\\\":{},\\\"A\\\":{},\\\"default\\\":{},\\\"z\\\":{}}}", "z ", false},
        {CANARY, NULL, false},
        {"[]", NULL, false},
        {"{\\\"sources\\\":{},\\\"sources\\\":{}}", NULL, false},
    };
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        char body[1024], text[512], names[256];
        (void)snprintf(body, sizeof body, "{\"SecretString\":\"%s\",\"VersionId\":\"v\"}", looks[i].document);
        const struct stub_row row = {"GetSecretValue", "{\"SecretId\":\"s\"}", 200, NULL, body, NULL, NULL};
        struct writer message = writer_make(text, sizeof text), list = writer_make(names, sizeof names);
        bool has = !looks[i].has;
        stub_open(&row, 1);
        struct err result = secret_has_source(&stub_aws, STR("s"), &message, &has);
        assert_int_equal(result.kind, looks[i].names == NULL ? ERR_INPUT : ERR_OK);
        stub_open(&row, 1);
        message.len = 0;
        result = secret_each_source(&stub_aws, STR("s"), &message, collect, &list);
        assert_int_equal(result.kind, looks[i].names == NULL ? ERR_INPUT : ERR_OK);
        assert_null(strstr(writer_cstr(&message), CANARY));
        if (looks[i].names == NULL) continue;
        if (has != looks[i].has) fail_msg("%s", looks[i].document);
        assert_string_equal(writer_cstr(&list), looks[i].names);
    }
    const struct stub_row gone = REFUSED("GetSecretValue", 400, "ResourceNotFoundException");
    char text[512];
    struct writer message = writer_make(text, sizeof text);
    bool has;
    stub_open(&gone, 1);
    assert_int_equal(secret_has_source(&stub_aws, STR("s"), &message, &has).kind, ERR_ABSENT);
    stub_open(&gone, 1);
    assert_int_equal(secret_each_source(&stub_aws, STR("s"), &message, collect, &message).kind, ERR_ABSENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
