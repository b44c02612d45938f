/* SPDX-License-Identifier: Apache-2.0 */
/* Screens against golden files in tests/data/stack. PAYHOOK_GOLDEN=write writes them anew: read the difference before
 * it is kept. Then what no golden file can say: any width, any text, any cut. */
#include "stack/show.h"

#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHOWN_SIZE = 1 << 18 };
static char shown[SHOWN_SIZE + 1], file[SHOWN_SIZE + 1];

#define NONE                                                                                                           \
    { NULL, 0 }
#define S(literal)                                                                                                     \
    { "" literal, sizeof(literal) - 1 }
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* -- The plans ------------------------------------------------------------------------------------------- */

static const struct change created[] = {
    {CHANGE_ADD, S("Secret"), S("AWS::SecretsManager::Secret"), S(""), NULL, 0, true},
    {CHANGE_ADD, S("Table"), S("AWS::DynamoDB::Table"), S(""), NULL, 0, true},
    {CHANGE_ADD, S("LogGroup"), S("AWS::Logs::LogGroup"), S(""), NULL, 0, false},
    {CHANGE_ADD, S("Role"), S("AWS::IAM::Role"), S(""), NULL, 0, false},
    {CHANGE_ADD, S("Function"), S("AWS::Lambda::Function"), S(""), NULL, 0, false},
    {CHANGE_ADD, S("Url"), S("AWS::Lambda::Url"), S(""), NULL, 0, false},
};

static const struct property_change table_properties[] = {
    {S("Properties.TableName"), S("envmig-transactions-dev"), S("envmig-transactions-new"), true},
};
static const struct property_change role_properties[] = {
    {S("Properties.Policies.0.PolicyDocument"),
     S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"secretsmanager:GetSecretValue\"]"
       ","
       "\"Resource\":\"arn:aws:secretsmanager:us-east-1:123456789012:secret:envmig-apikeys-dev-AbCdEf\"}]}"),
     S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"secretsmanager:*\"],"
       "\"Resource\":\"*\"}]}"),
     false},
    {S("Tags.Owner"), NONE, S("checkout"), false},
    {S("Tags.Team"), S("old"), NONE, false},
};
static const struct property_change function_properties[] = {
    {S("Properties.MemorySize"), S("256"), S("512"), false},
    {S("Properties.Code.S3Key"), S("payhook/dev/x86_64/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.zip"),
     S("payhook/dev/x86_64/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zip"), false},
    {S("Properties.Role"), S("arn:aws:iam::123456789012:role/envmig-webhook-role-dev"),
     S("{{changeSet:KNOWN_AFTER_APPLY}}"), false},
    {S("Properties.Description"), S(""), S("(Truncated-Signature):0123456789abcdef"), false},
    {S("Properties.Environment.Variables.ENVIRONMENT"), S("prod"), S("prod"), false},
    {S("Properties.Timeout"), NONE, NONE, false},
};
static const struct property_change url_properties[] = {
    {S("Properties.AuthType"), S("AWS_IAM"), S("NONE"), false},
};
static const struct change updated[] = {
    {CHANGE_REPLACE, S("Table"), S("AWS::DynamoDB::Table"), S("envmig-transactions-dev"), table_properties,
     COUNT(table_properties), true},
    {CHANGE_MODIFY, S("Role"), S("AWS::IAM::Role"), S("envmig-webhook-role-dev"), role_properties,
     COUNT(role_properties), false},
    {CHANGE_MODIFY, S("Function"), S("AWS::Lambda::Function"), S("envmig-webhook-dev"), function_properties,
     COUNT(function_properties), false},
    {CHANGE_MODIFY, S("Url"), S("AWS::Lambda::Url"), S("arn:aws:lambda:us-east-1:123456789012:function:envmig-webhook"),
     url_properties, COUNT(url_properties), false},
    {CHANGE_ADD, S("UrlPermission"), S("AWS::Lambda::Permission"), S(""), NULL, 0, false},
    {CHANGE_MAYBE_REPLACE, S("Secret"), S("AWS::SecretsManager::Secret"), S("envmig-apikeys-dev"), NULL, 0, true},
    {CHANGE_REMOVE, S("LogGroup"), S("AWS::Logs::LogGroup"), S("/aws/lambda/envmig-webhook-dev"), NULL, 0, false},
};

static const struct change imported[] = {
    {CHANGE_IMPORT, S("Table"), S("AWS::DynamoDB::Table"), S("envmig-transactions-dev"), NULL, 0, true},
    {CHANGE_IMPORT, S("Secret"), S("AWS::SecretsManager::Secret"),
     S("arn:aws:secretsmanager:us-east-1:123456789012:secret:envmig-apikeys-dev-AbCdEf"), NULL, 0, true},
    {CHANGE_IMPORT, S("Role"), S("AWS::IAM::Role"), S("envmig-webhook-role-dev"), NULL, 0, false},
};

/* What a stranger may have put into names and values. */
static const struct property_change foreign_properties[] = {
    {S("Properties.\x1b]0;owned\x07.Name"), S("\x1b[2J\x1b[31m"), S("a\r\n\tb\x9b\x31m\xff"), false},
    {S("Properties.Name"),
     S("\xe2\x80\xae"
       "gnp.exe"),
     S("caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"), false},
};
static const struct change foreign[] = {
    {CHANGE_MODIFY, S("A\x1b[1mBold"), S("Custom::\xc2\x9b\x33\x31m"), S("\x07\x08\x7f\xe2\x81\xa6"),
     foreign_properties, COUNT(foreign_properties), false},
    {CHANGE_REMOVE, S("LogicalNameOfMoreThanFortyCharactersWhichNobodyShouldGive"),
     S("AWS::DynamoDB::TableWithATypeThatIsMuchLongerThanAnyThatThereIs"),
     S("a-physical-name-that-does-not-fit-either-since-it-is-long\x1b[5m"), NULL, 0, true},
    {CHANGE_ADD,
     S("\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5"
       "\xe6"
       "\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac"),
     S("AWS::\xff\xfe"), S(""), NULL, 0, false},
};

#define PLAN(kind, changes)                                                                                            \
    { kind, S("TapStack-dev"), S("us-east-1"), S("123456789012"), S("id"), S("stack"), false, changes, COUNT(changes) }
static const struct plan create_plan = PLAN(PLAN_CREATE, created), update_plan = PLAN(PLAN_UPDATE, updated),
                         import_plan = PLAN(PLAN_CREATE, imported), foreign_plan = PLAN(PLAN_UPDATE, foreign);
static const struct plan nothing_plan = {
    .kind = PLAN_NOTHING, .stack = S("TapStack-dev"), .region = S("us-east-1"), .account = S("123456789012")};
static const struct plan settings_plan = {
    .kind = PLAN_UPDATE, .stack = S("TapStack-dev"), .region = S("us-east-1"), .account = S("123456789012")};
static const struct plan *const plans[] = {&create_plan,  &update_plan,  &import_plan,
                                           &foreign_plan, &nothing_plan, &settings_plan};

static const struct show_access signed_access = {S("AWS_IAM"), S("*")};
static const struct show_access open_access = {S("NONE"), S("https://shop.example,https://pay.example")};

/* -- Progress -------------------------------------------------------------------------------------------- */

#define NOW INT64_C(1764000000000000)

struct told {
    const char *logical_id, *type, *status, *reason;
    int after_s;
};
static void tell(struct progress *progress, const struct told *events, size_t count) {
    static unsigned number;
    for (size_t i = 0; i < count; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "event-%u", number++);
        assert_true(progress_add(progress, &(const struct stack_event){
                                               .event_id = str_from(id),
                                               .logical_id = str_from(events[i].logical_id),
                                               .type = str_from(events[i].type),
                                               .status = str_from(events[i].status),
                                               .reason = str_from(events[i].reason),
                                               .at_us = NOW + (int64_t)events[i].after_s * 1000000,
                                               .is_stack = strcmp(events[i].type, "AWS::CloudFormation::Stack") == 0,
                                           }));
    }
}

static const struct told going[] = {
    {"TapStack-dev", "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", "User Initiated", 0},
    {"Secret", "AWS::SecretsManager::Secret", "CREATE_IN_PROGRESS", "", 2},
    {"Table", "AWS::DynamoDB::Table", "CREATE_IN_PROGRESS", "", 2},
    {"Secret", "AWS::SecretsManager::Secret", "CREATE_COMPLETE", "", 5},
    {"Role", "AWS::IAM::Role", "CREATE_IN_PROGRESS", "", 6},
};
static const struct told failed[] = {
    {"Table", "AWS::DynamoDB::Table", "CREATE_COMPLETE", "", 14},
    {"Role", "AWS::IAM::Role", "CREATE_FAILED",
     "Resource handler returned message: \"Role with name envmig-webhook-role-dev already exists. (Service: Iam, "
     "Status "
     "Code: 409, Request ID: 0b3e2a5c)\"\x1b[2J (HandlerErrorCode: AlreadyExists)",
     21},
    {"LogGroup", "AWS::Logs::LogGroup", "CREATE_FAILED", "Resource creation cancelled", 22},
    {"TapStack-dev", "AWS::CloudFormation::Stack", "ROLLBACK_IN_PROGRESS",
     "The following resource(s) failed to create: [Role].", 23},
    {"Table", "AWS::DynamoDB::Table", "DELETE_COMPLETE", "", 95},
    {"TapStack-dev", "AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE", "", 97},
};

static void begin(struct progress *progress) {
    progress_start(progress, NOW - 1000000);
    for (size_t i = 0; i < COUNT(created); i++)
        progress_expect(progress, created[i].logical_id, created[i].type);
    tell(progress, going, COUNT(going));
}

/* -- Golden files ---------------------------------------------------------------------------------------- */

static struct progress *progress;
static struct show_style plain = {.width = 80}, colored = {.width = 80, .colors = true};
static const struct stack_description outputs = {
    .exists = true,
    .outputs = {{S("lambda_function_url"), S("https://abcdefghij.lambda-url.us-east-1.on.aws/")},
                {S("dynamodb_table_name"), S("envmig-transactions-dev")},
                {S("odd\x1b[1m"), S("a \"value\"\n\x1b[0m of others")}},
    .output_count = 3,
};

static void preview(struct show_style style, struct writer *w) {
    show_plan(&create_plan, style, w);
    writer_char(w, '\n');
    show_access(&signed_access, style, w);
}
static void update(struct show_style style, struct writer *w) {
    show_plan(&update_plan, style, w);
    writer_char(w, '\n');
    show_access(&open_access, style, w);
}
static void import(struct show_style style, struct writer *w) { show_plan(&import_plan, style, w); }
static void others(struct show_style style, struct writer *w) { show_plan(&foreign_plan, style, w); }
static void nothing(struct show_style style, struct writer *w) {
    show_plan(&nothing_plan, style, w);
    show_plan(&settings_plan, style, w);
}
static void up(struct show_style style, struct writer *w) {
    begin(progress);
    show_heading(STR("creating TapStack-dev"), style, w);
    show_progress(progress, NOW + 67000000, style, w);
}
static void failure(struct show_style style, struct writer *w) {
    begin(progress);
    tell(progress, failed, COUNT(failed));
    show_progress(progress, NOW + 4000000000, style, w);
    show_cause(progress, style, w);
}
static void lines(struct show_style style, struct writer *w) {
    (void)style; /* plain lines have none */
    begin(progress);
    for (size_t i = 0; i < 3; i++)
        show_progress_row(&progress->rows[i], w);
    tell(progress, failed, COUNT(failed));
    for (size_t i = 0; i < progress->row_count; i++)
        show_progress_row(&progress->rows[i], w);
    show_progress_row(&progress->stack, w);
}
static void values(struct show_style style, struct writer *w) {
    (void)style; /* they are never cut */
    show_outputs(&outputs, false, w);
}
static void json(struct show_style style, struct writer *w) {
    (void)style; /* for programs */
    show_plan_json(&update_plan, &open_access, w);
    writer_char(w, '\n');
    show_plan_json(&foreign_plan, NULL, w);
    writer_char(w, '\n');
    show_plan_json(&nothing_plan, &signed_access, w);
    writer_char(w, '\n');
    show_outputs(&outputs, true, w);
    writer_char(w, '\n');
    begin(progress);
    show_cause_json(progress, w);
    writer_char(w, '\n');
    tell(progress, failed, COUNT(failed));
    show_cause_json(progress, w);
    writer_char(w, '\n');
}

static const struct golden {
    const char *name;
    void (*show)(struct show_style style, struct writer *w);
    bool colors;
} goldens[] = {
    {"preview", preview, true},    {"update", update, true},   {"import", import, true},
    {"foreign", others, false},    {"nothing", nothing, true}, {"up", up, true},
    {"failure", failure, true},    {"lines", lines, false},    {"outputs", values, false},
    {"screens-json", json, false},
};

static size_t read_file(const char *path) {
    FILE *in = fopen(path, "rb");
    if (in == NULL) return 0;
    size_t size = fread(file, 1, SHOWN_SIZE, in);
    assert_int_equal(fclose(in), 0);
    return size;
}

static void compare(const struct golden *golden, struct show_style style) {
    char path[4096];
    const char *mode = getenv("PAYHOOK_GOLDEN");
    (void)snprintf(path, sizeof path, "%s/stack/%s.%s", TEST_DATA, golden->name, style.colors ? "ansi" : "txt");
    struct writer w = writer_make(shown, SHOWN_SIZE);
    golden->show(style, &w);
    assert_false(w.overflow);
    shown[w.len] = '\0';
    if (mode != NULL && strcmp(mode, "write") == 0) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(shown, 1, w.len, out), w.len);
        assert_int_equal(fclose(out), 0);
    }
    size_t size = read_file(path);
    file[size] = '\0';
    print_message("%s\n", path);
    assert_string_equal(shown, file);
    assert_int_equal(w.len, size);
}

static void golden_files(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < COUNT(goldens); i++) {
        compare(&goldens[i], plain);
        if (goldens[i].colors) compare(&goldens[i], colored);
    }
}

/* -- What holds for all ---------------------------------------------------------------------------------- */

/* Columns as a terminal counts them at most: two for what may be wide. */
static size_t columns_of(struct str line) {
    size_t columns = 0;
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        if (c == 0x1b) {
            while (line.ptr[i] != 'm')
                i++;
        } else if ((c & 0xc0) != 0x80) {
            columns += c >= 0xe3 ? 2 : 1;
        }
    }
    return columns;
}

/* Only our own colours, line feeds and good UTF-8: nothing that moves a terminal. */
static void assert_harmless(struct str text, bool colors) {
    assert_true(json_is_utf8(text));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == 0x1b) {
            assert_true(colors);
            size_t k = i + 1;
            assert_int_equal(text.ptr[k++], '[');
            while (text.ptr[k] == ';' || (text.ptr[k] >= '0' && text.ptr[k] <= '9'))
                k++;
            assert_int_equal(text.ptr[k], 'm');
            continue;
        }
        assert_true(c >= 0x20 || c == '\n');
        assert_int_not_equal(c, 0x7f);
        if (c == 0xc2) assert_true((unsigned char)text.ptr[i + 1] >= 0xa0);
        if (c == 0xe2 && (unsigned char)text.ptr[i + 1] == 0x80)
            assert_false((unsigned char)text.ptr[i + 2] >= 0xa8 && (unsigned char)text.ptr[i + 2] <= 0xae);
    }
}

static void assert_fits(struct str text, uint32_t width) {
    struct str line;
    while (str_cut(text, '\n', &line, &text)) {
        if (columns_of(line) > width) fail_msg("wider than %u: %.*s", width, STR_ARG(line));
        assert_false(line.len > 0 && line.ptr[line.len - 1] == ' ');
    }
    assert_int_equal(text.len, 0); /* the last one ends, too */
}

/* Without the paragraphs, whose words are never cut. */
static void any_width(void **state) {
    (void)state; /* there is none */
    for (uint32_t width = 40; width <= 200; width++) {
        for (int colors = 0; colors < 2; colors++) {
            struct show_style style = {.width = width, .colors = colors};
            for (size_t i = 0; i < COUNT(plans); i++) {
                struct writer w = writer_make(shown, SHOWN_SIZE);
                show_plan(plans[i], style, &w);
                assert_harmless(writer_str(&w), colors);
                if (plans[i] != &foreign_plan) assert_fits(writer_str(&w), width);
            }
            struct writer w = writer_make(shown, SHOWN_SIZE);
            failure(style, &w);
            assert_harmless(writer_str(&w), colors);
            w.len = 0;
            show_progress(progress, NOW, style, &w);
            assert_fits(writer_str(&w), width);
            size_t count = 0;
            for (size_t i = 0; i < w.len; i++)
                count += w.ptr[i] == '\n';
            assert_int_equal(count, progress->row_count + 1);
        }
    }
}

/* The heading and the table of the foreign plan, without the loud sentence. */
static void foreign_fits(void **state) {
    (void)state; /* there is none */
    for (uint32_t width = 40; width <= 200; width++) {
        struct writer w = writer_make(shown, SHOWN_SIZE);
        show_plan(&foreign_plan, (struct show_style){.width = width}, &w);
        const char *loss = memmem(shown, w.len, "DATA LOSS", 9);
        assert_non_null(loss);
        assert_fits(str_make(shown, (size_t)(loss - shown)), width);
    }
}

/* Any cut of any bytes in the place of a name, a value and a reason. */
static void any_bytes(void **state) {
    (void)state; /* there is none */
    static const char odd[] = "\xe2\x80\xae\xc2\x9b\x1b[m\xf0\x9f\x98\x80\n\"";
    static char bytes[4096];
    uint32_t random = 1;
    for (int round = 0; round < 400; round++) {
        size_t size = (size_t)round % 97;
        for (size_t i = 0; i < size; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (char)(random >> 24);
            if (round % 2 == 1) bytes[i] = odd[(random >> 20) % sizeof odd];
        }
        struct str text = str_make(bytes, size);
        const struct property_change property = {text, text, text.len > 3 ? str_from_index(text, 3) : text,
                                                 round % 3 == 0};
        const struct change change = {CHANGE_REMOVE, text, text, text, &property, 1, true};
        struct plan plan = {
            .kind = PLAN_UPDATE, .stack = text, .region = text, .account = text, .changes = &change, .change_count = 1};
        struct stack_description stack = {.outputs = {{text, text}}, .output_count = 1};
        struct writer w = writer_make(shown, SHOWN_SIZE);
        show_plan(&plan, plain, &w);
        show_outputs(&stack, false, &w);
        show_heading(text, plain, &w);
        assert_harmless(writer_str(&w), false);
        w.len = 0;
        show_plan_json(&plan, NULL, &w);
        assert_true(json_is_utf8(writer_str(&w)));
        struct json_pointer root;
        struct json_value found;
        const struct json_pointer *pointers[] = {&root};
        assert_true(json_pointer_compile(STR(""), &root));
        assert_int_equal(json_scan(writer_str(&w), pointers, 1, &found), JSON_OK);
    }
}

/* Which changes may allow more. */
static void access_is_judged(void **state) {
    (void)state; /* there is none */
    static const struct {
        enum change_action action;
        const char *type, *path, *before, *after;
        bool marked;
    } cases[] = {
        {CHANGE_ADD, "AWS::IAM::Role", NULL, NULL, NULL, true},
        {CHANGE_ADD, "AWS::Lambda::Permission", NULL, NULL, NULL, true},
        {CHANGE_ADD, "AWS::Lambda::Url", NULL, NULL, NULL, false},
        {CHANGE_ADD, "AWS::DynamoDB::Table", NULL, NULL, NULL, false},
        {CHANGE_REMOVE, "AWS::IAM::Role", NULL, NULL, NULL, false},
        {CHANGE_REMOVE, "AWS::Lambda::Permission", NULL, NULL, NULL, false},
        {CHANGE_IMPORT, "AWS::IAM::Role", NULL, NULL, NULL, false},
        {CHANGE_MODIFY, "AWS::IAM::Role", NULL, NULL, NULL, true}, /* not told what */
        {CHANGE_MODIFY, "AWS::IAM::Role", "Tags.Owner", "a", "b", false},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.Tags.0", "a", "b", false},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.Policies.0.PolicyDocument.Statement.1", NULL, "b", true},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.Policies.0", "a", NULL, false},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.Policies.0", NULL, NULL, true},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.PoliciesOfOurs", "a", "b", false},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.AssumeRolePolicyDocument", "a", "b", true},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.ManagedPolicyArns.2", NULL, "b", true},
        {CHANGE_MODIFY, "AWS::IAM::Role", "Properties.PermissionsBoundary", "a", NULL, true},
        {CHANGE_REPLACE, "AWS::IAM::Policy", "Properties.PolicyDocument", "a", "b", true},
        {CHANGE_MODIFY, "AWS::Lambda::Permission", "Properties.Principal", "a", "*", true},
        {CHANGE_MODIFY, "AWS::Lambda::Permission", "Tags", NULL, NULL, false},
        {CHANGE_MODIFY, "AWS::Lambda::Url", "Properties.AuthType", "AWS_IAM", "NONE", true},
        {CHANGE_MODIFY, "AWS::Lambda::Url", "Properties.AuthType", "NONE", "AWS_IAM", false},
        {CHANGE_MODIFY, "AWS::Lambda::Url", "Properties.AuthType", NULL, NULL, true},
        {CHANGE_MODIFY, "AWS::Lambda::Url", "Properties.Cors.AllowOrigins.0", "https://a", "*", true},
        {CHANGE_MODIFY, "AWS::Lambda::Url", "Tags.Owner", "a", "b", false},
        {CHANGE_MODIFY, "AWS::Lambda::Function", "Properties.Role", "a", "b", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct property_change property = {str_from(cases[i].path), str_from(cases[i].before),
                                                 str_from(cases[i].after), false};
        const struct change change = {cases[i].action,
                                      STR("It"),
                                      str_from(cases[i].type),
                                      STR(""),
                                      &property,
                                      cases[i].path != NULL ? 1 : 0,
                                      false};
        struct plan plan = update_plan;
        plan.changes = &change;
        plan.change_count = 1;
        struct writer w = writer_make(shown, SHOWN_SIZE);
        show_plan_json(&plan, NULL, &w);
        const char *expected = cases[i].marked ? "\"widens_access\": true" : "\"widens_access\": false";
        print_message("%s %s\n", cases[i].type, cases[i].path != NULL ? cases[i].path : "");
        assert_non_null(memmem(shown, w.len, expected, strlen(expected)));
        w.len = 0;
        show_plan(&plan, plain, &w);
        assert_int_equal(memmem(shown, w.len, "\n! ", 3) != NULL, cases[i].marked);
    }
}

/* What CORS allows is warned of wherever * stands. */
static void origins_are_judged(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *origins;
        bool warned;
    } cases[] = {
        {"*", true}, {"https://a.example,*", true}, {" * ,https://a.example", true}, {"https://a.example", false},
        {"", false}, {"https://*.example", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct show_access access = {STR("NONE"), str_from(cases[i].origins)};
        struct writer w = writer_make(shown, SHOWN_SIZE);
        show_access(&access, plain, &w);
        assert_int_equal(memmem(shown, w.len, "Warning", 7) != NULL, cases[i].warned);
    }
}

static void elapsed(void **state) {
    (void)state; /* there is none */
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{-5, ", 0s\n"},       {0, ", 0s\n"},       {59, ", 59s\n"},      {60, ", 1m00s\n"},
                 {3599, ", 59m59s\n"}, {3600, ", 1h00m\n"}, {90061, ", 25h01m\n"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct progress_row row = {
            .logical_id = "It", .type = "T", .status = "CREATE_COMPLETE", .state = PROGRESS_DONE};
        row.started_us = NOW;
        row.ended_us = NOW + cases[i].seconds * 1000000;
        struct writer w = writer_make(shown, SHOWN_SIZE);
        show_progress_row(&row, &w);
        assert_true(str_ends(writer_str(&w), str_from(cases[i].text)));
    }
}

/* No memory is written beyond, and the overflow is told. */
static void no_room(void **state) {
    (void)state; /* there is none */
    struct writer whole = writer_make(shown, SHOWN_SIZE);
    show_plan(&update_plan, colored, &whole);
    for (size_t size = 0; size < whole.len; size += 7) {
        char *memory = malloc(size + 1);
        assert_non_null(memory);
        struct writer w = writer_make(memory, size);
        show_plan(&update_plan, colored, &w);
        assert_true(w.overflow);
        free(memory);
    }
}

int main(void) {
    progress = malloc(sizeof *progress);
    if (progress == NULL) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files), cmocka_unit_test(any_width),        cmocka_unit_test(foreign_fits),
        cmocka_unit_test(any_bytes),    cmocka_unit_test(access_is_judged), cmocka_unit_test(origins_are_judged),
        cmocka_unit_test(elapsed),      cmocka_unit_test(no_room),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    free(progress);
    return failures;
}
