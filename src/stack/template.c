/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of a deployment. The templates themselves are files of deploy/ that anybody can read and use without
 * this program; nothing here changes them, but that an import gets only the resources that exist. */
#include "stack/template.h"

#include "base/err.h"
#include "base/limits.h"
#include "stack/embedded.h"

struct str template_text(void) {
    return str_make(embedded_template, embedded_template_size);
}
struct str template_artifacts_text(void) {
    return str_make(embedded_artifacts, embedded_artifacts_size);
}

void template_import(const struct str *logical_ids, size_t count, struct writer *out) {
    struct str rest = str_make(embedded_import, embedded_import_size), line;
    bool in_resources = false, wanted = true;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_eq(line, STR("Resources:"))) in_resources = true;
        /* "  Table:" begins a resource; comments of two blanks stay where they are, and nothing follows the last. */
        if (in_resources && line.len > 3 && str_starts(line, STR("  ")) && line.ptr[2] >= 'A' && line.ptr[2] <= 'Z') {
            struct str id = {line.ptr + 2, line.len - 3};
            wanted = false;
            for (size_t i = 0; i < count; i++)
                wanted = wanted || str_eq(id, logical_ids[i]);
        }
        if (!wanted) continue;
        writer_put(out, line);
        writer_char(out, '\n');
    }
}

bool stack_suffix_is_good(struct str suffix) {
    if (suffix.len == 0 || suffix.len > STACK_SUFFIX_MAX) return false;
    for (size_t i = 0; i < suffix.len; i++) {
        char c = suffix.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

void stack_names_make(struct str suffix, struct stack_names *ret_names) {
    check(stack_suffix_is_good(suffix));
    struct {
        const char *prefix;
        char *name;
    } rows[] = {
        {"TapStack-", ret_names->stack},
        {"envmig-apikeys-", ret_names->secret},
        {"envmig-transactions-", ret_names->table},
        {"envmig-webhook-", ret_names->function},
        {"envmig-webhook-role-", ret_names->role},
        {"/aws/lambda/envmig-webhook-", ret_names->log_group},
    };
    memcpy(ret_names->suffix, suffix.ptr, suffix.len);
    ret_names->suffix[suffix.len] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct writer name = writer_make(rows[i].name, STACK_NAME_MAX);
        writer_put(&name, str_from(rows[i].prefix));
        writer_put(&name, suffix);
        check(!name.overflow);
        (void)writer_cstr(&name);
    }
}

bool stack_type_holds_data(struct str type) {
    return str_eq(type, STR("AWS::DynamoDB::Table")) || str_eq(type, STR("AWS::SecretsManager::Secret"));
}
