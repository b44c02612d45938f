/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded templates' sizes, the names of a deployment, and what an import is given. */
#include "stack/template.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/limits.h"

static bool holds(struct str text, const char *word) {
    struct str rest = text;
    for (; rest.len > 0; rest = str_from_index(rest, 1))
        if (str_starts(rest, str_from(word))) return true;
    return false;
}

static void test_texts(void **state) {
    (void)state; /* there is none */
    assert_in_range(template_text().len, 1000, STACK_TEMPLATE_SIZE_MAX);
    assert_in_range(template_artifacts_text().len, 500, STACK_TEMPLATE_SIZE_MAX);
    assert_true(holds(template_text(), "\n  Table:\n"));
    assert_true(holds(template_artifacts_text(), "\n  Bucket:\n"));
    assert_int_equal(template_text().ptr[template_text().len], 0);
}

/* Every set of the six resources: these are in the text, the others are not, and the rest is. */
static void test_import(void **state) {
    (void)state; /* there is none */
    static const char *const ids[] = {"Secret", "Table", "LogGroup", "Role", "Function", "Url"};
    for (unsigned set = 0; set < 1U << 6; set++) {
        struct str wanted[6];
        size_t count = 0;
        for (unsigned i = 0; i < 6; i++)
            if (set & 1U << i) wanted[count++] = str_from(ids[i]);
        static char memory[STACK_TEMPLATE_SIZE_MAX];
        struct writer out = writer_make(memory, sizeof memory);
        template_import(wanted, count, &out);
        assert_false(out.overflow);
        for (unsigned i = 0; i < 6; i++) {
            char line[32];
            struct writer key = writer_make(line, sizeof line);
            writer_format(&key, "\n  %s:\n", ids[i]);
            assert_int_equal(holds(writer_str(&out), writer_cstr(&key)), (set & 1U << i) != 0);
        }
        assert_int_equal(holds(writer_str(&out), "RoleName:"), (set & 8U) != 0);
        assert_int_equal(holds(writer_str(&out), "AllowCredentials:"), (set & 32U) != 0);
        assert_true(holds(writer_str(&out), "\n  OldPolicy:\n"));
        assert_true(holds(writer_str(&out), "\nResources:\n"));
    }
}

static void test_suffixes(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *suffix;
        bool good;
    } cases[] = {
        {"dev", true},
        {"a", true},
        {"0", true},
        {"-", true},
        {"pr-1234", true},
        {"abcdefghijklmnopqrstuvwxyz0123", true},
        {"abcdefghijklmnopqrstuvwxyz01234", false}, /* 31 */
        {"", false},
        {"Dev", false},
        {"dev_1", false},
        {"dev.1", false},
        {"dev/1", false},
        {"dev 1", false},
        {" dev", false},
        {"dev\n", false},
        {"d\xc3\xa9v", false},
        {"${x}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(stack_suffix_is_good(str_from(cases[i].suffix)), cases[i].good);
}

static void test_names(void **state) {
    (void)state; /* there is none */
    struct stack_names names;
    stack_names_make(STR("abcdefghijklmnopqrstuvwxyz0123"), &names);
    assert_string_equal(names.suffix, "abcdefghijklmnopqrstuvwxyz0123");
    stack_names_make(STR("dev"), &names);
    assert_string_equal(names.suffix, "dev");
    assert_string_equal(names.stack, "TapStack-dev");
    assert_string_equal(names.secret, "envmig-apikeys-dev");
    assert_string_equal(names.table, "envmig-transactions-dev");
    assert_string_equal(names.function, "envmig-webhook-dev");
    assert_string_equal(names.log_group, "/aws/lambda/envmig-webhook-dev");
    assert_string_equal(names.role, "envmig-webhook-role-dev");
}

static void test_data(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *type;
        bool holds;
    } cases[] = {
        {"AWS::DynamoDB::Table", true}, {"AWS::SecretsManager::Secret", true}, {"AWS::Lambda::Function", false},
        {"AWS::Lambda::Url", false},    {"AWS::Logs::LogGroup", false},        {"AWS::IAM::Role", false},
        {"AWS::S3::Bucket", false},     {"AWS::DynamoDB::TableX", false},      {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(stack_type_holds_data(str_from(cases[i].type)), cases[i].holds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_import), cmocka_unit_test(test_suffixes),
        cmocka_unit_test(test_names), cmocka_unit_test(test_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
