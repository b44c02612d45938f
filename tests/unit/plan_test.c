/* SPDX-License-Identifier: Apache-2.0 */
/* Change sets as DescribeChangeSet gives them, read into a plan, and what in a plan would lose data. */
#include "stack/plan.h"

#include "base/err.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants those before it */
#include <cmocka.h>

static char memory[4 << 20];

static const struct xml_node *read_result(const char *document, struct arena *arena) {
    const struct xml_node *root;
    bool full;
    if (!xml_read(str_from(document), arena, &root, &full)) fail_msg("no XML: %s", document);
    return xml_child(root, STR("DescribeChangeSetResult"));
}

#define PAGE(members)                                                                                                  \
    "<DescribeChangeSetResponse><DescribeChangeSetResult><Changes>" members                                            \
    "</Changes></DescribeChangeSetResult></DescribeChangeSetResponse>"
#define CHANGE(content)       "<member><Type>Resource</Type><ResourceChange>" content "</ResourceChange></member>"
#define DETAIL(content, rest) "<member><Target>" content "</Target>" rest "</member>"

/* One change each: what it is read as, as text. */
static const struct {
    const char *change, *read;
} changes[] = {
    {"<Action>Add</Action><LogicalResourceId>Table</LogicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType>"
     "<Scope/><Details/><AfterContext>{\"Properties\":{}}</AfterContext>",
     "0 Table AWS::DynamoDB::Table '' data"},
    {"<Action>Add</Action><LogicalResourceId>Url</LogicalResourceId><ResourceType>AWS::Lambda::Url</ResourceType>",
     "0 Url AWS::Lambda::Url ''"},
    {"<PolicyAction>Delete</PolicyAction><Action>Remove</Action><LogicalResourceId>Secret</LogicalResourceId>"
     "<PhysicalResourceId>arn:x</PhysicalResourceId><ResourceType>AWS::SecretsManager::Secret</ResourceType>"
     "<Scope/><Details/>",
     "4 Secret AWS::SecretsManager::Secret 'arn:x' data"},
    {"<Action>Import</Action><LogicalResourceId>Table</LogicalResourceId><PhysicalResourceId>t</PhysicalResourceId>"
     "<ResourceType>AWS::DynamoDB::Table</ResourceType>",
     "5 Table AWS::DynamoDB::Table 't' data"},
    {"<Action>SyncWithActual</Action><LogicalResourceId>A</LogicalResourceId>", "1 A  ''"},
    {"<Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><Replacement>False</Replacement>", "1 A  ''"},
    {"<Action>Modify</Action><LogicalResourceId>A</LogicalResourceId>", "1 A  ''"},
    {"<Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><Replacement>True</Replacement>", "2 A  ''"},
    {"<Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><Replacement>Conditional</Replacement>",
     "3 A  ''"},
    /* What is not known is taken for the worse. */
    {"<Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><Replacement>Perhaps</Replacement>", "3 A  ''"},
    {"<Action>Dynamic</Action><LogicalResourceId>A</LogicalResourceId>", "3 A  ''"},
    {"<Action>Dynamic</Action><LogicalResourceId>A</LogicalResourceId><Replacement>True</Replacement>", "2 A  ''"},
    {"<Action>Transmute</Action><LogicalResourceId>A</LogicalResourceId>", "3 A  ''"},
    {"<LogicalResourceId>A</LogicalResourceId>", "3 A  ''"},
    {"", "3   ''"},
    /* Properties. */
    {"<Action>Modify</Action><LogicalResourceId>F</LogicalResourceId><Replacement>False</Replacement>"
     "<Scope><member>Properties</member></Scope><Details>" DETAIL(
         "<Attribute>Properties</Attribute><Name>MemorySize</Name><RequiresRecreation>Never</RequiresRecreation>"
         "<Path>/Properties/MemorySize</Path><BeforeValue>512</BeforeValue><AfterValue>1024</AfterValue>"
         "<AttributeChangeType>Modify</AttributeChangeType>",
         "<Evaluation>Static</Evaluation><ChangeSource>DirectModification</ChangeSource>") "</Details>",
     "1 F  '' {Properties.MemorySize 512 > 1024}"},
    {"<Action>Modify</Action><LogicalResourceId>T</LogicalResourceId><Replacement>True</Replacement><Details>" DETAIL(
         "<Attribute>Properties</Attribute><Name>TableName</Name><RequiresRecreation>Always</RequiresRecreation>",
         "<Evaluation>Static</Evaluation>") "</Details>",
     "2 T  '' {Properties.TableName - > - !}"},
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Properties</Attribute><Name>A</Name><RequiresRecreation>Conditionally</RequiresRecreation>"
         "<Path>/Properties/A</Path><BeforeValue/>",
         "") "</Details>",
     "1   '' {Properties.A  > - !}"},
    /* The same one for two causes. */
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Properties</Attribute><Name>A</Name><RequiresRecreation>Never</RequiresRecreation>"
         "<Path>/Properties/A</Path>",
         "<Evaluation>Static</Evaluation><ChangeSource>ParameterReference</ChangeSource>"
         "<CausingEntity>P</CausingEntity>")
         DETAIL("<Attribute>Properties</Attribute><Name>A</Name><RequiresRecreation>Always</RequiresRecreation>"
                "<Path>/Properties/A</Path><BeforeValue>1</BeforeValue><AfterValue>2</AfterValue>",
                "<Evaluation>Dynamic</Evaluation>") "</Details>",
     "1   '' {Properties.A 1 > 2 !}"},
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Properties</Attribute><Path>/Properties/Environment/Variables/A~1B~0C/0</Path>", "") "</Details>",
     "1   '' {Properties.Environment.Variables.A/B~C.0 - > -}"},
    {"<Action>Modify</Action><Details>" DETAIL("<Attribute>Properties</Attribute><Path>/a~</Path>", "") "</Details>",
     "1   '' {a~ - > -}"},
    {"<Action>Modify</Action><Details>" DETAIL("<Attribute>Metadata</Attribute>", "") "</Details>",
     "1   '' {Metadata - > -}"},
    {"<Action>Modify</Action><Details>" DETAIL("", "") "<member/></Details>", "1   ''"},
    /* Tags: their own names and values. */
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Tags</Attribute><RequiresRecreation>Never</RequiresRecreation><Path>/Properties/Tags/0</Path>"
         "<AfterValue>{\"Key\":\"Owner\",\"Value\":\"\\u006de\"}</AfterValue>",
         "") "</Details>",
     "1   '' {Tags.Owner - > me}"},
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Tags</Attribute><Path>/Properties/Tags/1</Path><BeforeValue>{\"Key\":\"O\",\"Value\":\"a\"}"
         "</BeforeValue><AfterValue>{\"Value\":\"b\",\"Key\":\"O\"}</AfterValue>",
         "") "</Details>",
     "1   '' {Tags.O a > b}"},
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Tags</Attribute><Path>/Properties/Tags/1</Path><BeforeValue>{\"Key\":\"O\",\"Value\":\"a\"}"
         "</BeforeValue><AfterValue>{\"Key\":\"P\",\"Value\":\"a\"}</AfterValue>",
         "") "</Details>",
     "1   '' {Properties.Tags.1 {\"Key\":\"O\",\"Value\":\"a\"} > {\"Key\":\"P\",\"Value\":\"a\"}}"},
    {"<Action>Modify</Action><Details>" DETAIL(
         "<Attribute>Tags</Attribute><Path>/Properties/Tags/1</Path><AfterValue>(Truncated):00</AfterValue>",
         "") "</Details>",
     "1   '' {Properties.Tags.1 - > (Truncated):00}"},
    {"<Action>Modify</Action><Details>" DETAIL("<Attribute>Tags</Attribute><Path>/Properties/Tags/1</"
                                               "Path><AfterValue>{\"Key\":1,\"Value\":\"a\"}</AfterValue>",
                                               "") "</Details>",
     "1   '' {Properties.Tags.1 - > {\"Key\":1,\"Value\":\"a\"}}"},
};

static void put_value(struct writer *w, struct str value) { writer_put(w, value.ptr == NULL ? STR("-") : value); }

static void put_change(struct writer *w, const struct change *change) {
    writer_format(w, "%d %.*s %.*s '%.*s'", (int)change->action, STR_ARG(change->logical_id), STR_ARG(change->type),
                  STR_ARG(change->physical_id));
    if (change->holds_data) writer_put(w, STR(" data"));
    for (size_t i = 0; i < change->property_count; i++) {
        const struct property_change *property = &change->properties[i];
        writer_put(w, STR(" {"));
        writer_put(w, property->path);
        writer_char(w, ' ');
        put_value(w, property->before);
        writer_put(w, STR(" > "));
        put_value(w, property->after);
        writer_put(w, property->recreates ? STR(" !}") : STR("}"));
    }
}

static void test_changes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char document[4096], text[1024];
        struct arena arena = arena_make(memory, sizeof memory);
        struct writer w = writer_make(document, sizeof document);
        writer_put(&w, STR("<DescribeChangeSetResponse><DescribeChangeSetResult><Changes>"));
        writer_put(&w, STR("<member><Type>Resource</Type><ResourceChange>"));
        writer_put(&w, str_from(changes[i].change));
        writer_put(&w,
                   STR("</ResourceChange></member></Changes></DescribeChangeSetResult></DescribeChangeSetResponse>"));
        struct plan plan = {0};
        assert_true(plan_add_page(&plan, read_result(writer_cstr(&w), &arena), &arena));
        assert_int_equal(plan.change_count, 1);
        w = writer_make(text, sizeof text);
        put_change(&w, plan.changes);
        assert_string_equal(writer_cstr(&w), changes[i].read);
    }
}

static void test_pages(void **state) {
    (void)state;
    static const char *const pages[] = {
        PAGE(CHANGE("<Action>Add</Action><LogicalResourceId>A</LogicalResourceId>")
                 CHANGE("<Action>Add</Action><LogicalResourceId>B</LogicalResourceId>")),
        PAGE(""),
        "<DescribeChangeSetResponse><DescribeChangeSetResult/></DescribeChangeSetResponse>",
        PAGE("<member><Type>Hook</Type></member>"),
        PAGE(CHANGE("<Action>Add</Action><LogicalResourceId>C</LogicalResourceId>")),
    };
    struct arena arena = arena_make(memory, sizeof memory);
    struct plan plan = {0};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        assert_true(plan_add_page(&plan, read_result(pages[i], &arena), &arena));
    assert_int_equal(plan.change_count, 3);
    assert_true(str_eq(plan.changes[0].logical_id, STR("A")));
    assert_true(str_eq(plan.changes[1].logical_id, STR("B")));
    assert_true(str_eq(plan.changes[2].logical_id, STR("C")));
    assert_true(plan_add_page(&plan, NULL, &arena));
    assert_int_equal(plan.change_count, 3);
}

static const char *many(const char *before, const char *each, const char *after, size_t count) {
    static char document[1 << 20];
    struct writer w = writer_make(document, sizeof document);
    writer_put(&w, str_from(before));
    for (size_t i = 0; i < count; i++)
        writer_put(&w, str_from(each));
    writer_put(&w, str_from(after));
    assert_false(w.overflow);
    return writer_cstr(&w);
}
#define BEFORE_CHANGES "<DescribeChangeSetResponse><DescribeChangeSetResult><Changes>"
#define AFTER_CHANGES  "</Changes></DescribeChangeSetResult></DescribeChangeSetResponse>"

static void test_bounds(void **state) {
    (void)state;
    struct arena arena = arena_make(memory, sizeof memory);
    struct plan plan = {0};
    const char *document = many(BEFORE_CHANGES, CHANGE("<Action>Add</Action>"), AFTER_CHANGES, STACK_CHANGES_MAX);
    assert_true(plan_add_page(&plan, read_result(document, &arena), &arena));
    assert_int_equal(plan.change_count, STACK_CHANGES_MAX);
    document = PAGE(CHANGE("<Action>Add</Action>"));
    assert_false(plan_add_page(&plan, read_result(document, &arena), &arena));

    arena_reset(&arena);
    plan = (struct plan){0};
    document = many(BEFORE_CHANGES, CHANGE("<Action>Add</Action>"), AFTER_CHANGES, STACK_CHANGES_MAX + 1);
    assert_false(plan_add_page(&plan, read_result(document, &arena), &arena));

    /* One property too many is left out. */
    char each[128];
    for (size_t extra = 0; extra < 2; extra++) {
        static char details[1 << 20];
        struct writer w = writer_make(details, sizeof details);
        writer_put(&w, STR(BEFORE_CHANGES "<member><ResourceChange><Action>Modify</Action><Details>"));
        for (size_t i = 0; i < STACK_PROPERTIES_MAX + extra; i++) {
            (void)snprintf(each, sizeof each, "<member><Target><Path>/P/%zu</Path></Target></member>", i);
            writer_put(&w, str_from(each));
        }
        writer_put(&w, STR("</Details></ResourceChange></member>" AFTER_CHANGES));
        arena_reset(&arena);
        plan = (struct plan){0};
        assert_true(plan_add_page(&plan, read_result(writer_cstr(&w), &arena), &arena));
        assert_int_equal(plan.changes[0].property_count, STACK_PROPERTIES_MAX);
    }
}

static void test_arena_of_each_size(void **state) {
    (void)state;
    struct arena arena = arena_make(memory, sizeof memory);
    const struct xml_node *result = read_result(
        PAGE(CHANGE("<Action>Modify</Action><Details>" DETAIL("<Attribute>Tags</Attribute><Path>/Properties/Tags/1</"
                                                              "Path><AfterValue>{\"Key\":\"O\",\"Value\":\"\\u0061\"}"
                                                              "</AfterValue>",
                                                              "") "</Details>")),
        &arena);
    bool read = false;
    for (size_t size = 0; !read; size++) {
        char *exact = malloc(size + 1);
        assert_non_null(exact);
        struct arena small = arena_make(exact, size);
        struct plan plan = {0};
        read = plan_add_page(&plan, result, &small);
        free(exact);
        assert_true(size < 4096);
    }
}

static void test_danger(void **state) {
    (void)state;
    static const struct {
        enum change_action action;
        const char *type;
        bool danger;
    } cases[] = {
        {CHANGE_REPLACE, "AWS::DynamoDB::Table", true},
        {CHANGE_MAYBE_REPLACE, "AWS::DynamoDB::Table", true},
        {CHANGE_REMOVE, "AWS::DynamoDB::Table", true},
        {CHANGE_REPLACE, "AWS::SecretsManager::Secret", true},
        {CHANGE_MAYBE_REPLACE, "AWS::SecretsManager::Secret", true},
        {CHANGE_REMOVE, "AWS::SecretsManager::Secret", true},
        {CHANGE_ADD, "AWS::DynamoDB::Table", false},
        {CHANGE_MODIFY, "AWS::DynamoDB::Table", false},
        {CHANGE_IMPORT, "AWS::DynamoDB::Table", false},
        {CHANGE_REPLACE, "AWS::Lambda::Function", false},
        {CHANGE_REMOVE, "AWS::IAM::Role", false},
    };
    static const char *const actions[] = {
        [CHANGE_ADD] = "<Action>Add</Action>",
        [CHANGE_MODIFY] = "<Action>Modify</Action><Replacement>False</Replacement>",
        [CHANGE_REPLACE] = "<Action>Modify</Action><Replacement>True</Replacement>",
        [CHANGE_MAYBE_REPLACE] = "<Action>Modify</Action><Replacement>Conditional</Replacement>",
        [CHANGE_REMOVE] = "<Action>Remove</Action>",
        [CHANGE_IMPORT] = "<Action>Import</Action>",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char document[1024];
        struct arena arena = arena_make(memory, sizeof memory);
        struct plan plan = {0};
        assert_null(plan_danger(&plan));
        (void)snprintf(document, sizeof document,
                       BEFORE_CHANGES CHANGE("<Action>Add</Action>") CHANGE("%s<ResourceType>%s</ResourceType>")
                           AFTER_CHANGES,
                       actions[cases[i].action], cases[i].type);
        assert_true(plan_add_page(&plan, read_result(document, &arena), &arena));
        assert_int_equal(plan.changes[1].action, cases[i].action);
        assert_ptr_equal(plan_danger(&plan), cases[i].danger ? &plan.changes[1] : NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes), cmocka_unit_test(test_pages),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_arena_of_each_size),
        cmocka_unit_test(test_danger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
