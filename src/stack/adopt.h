/* SPDX-License-Identifier: Apache-2.0 */
/* What already has the names that a first deployment would take, and what a table holds. */
#ifndef PAYHOOK_STACK_ADOPT_H
#define PAYHOOK_STACK_ADOPT_H

#include "net/aws.h"
#include "stack/template.h"

enum { ADOPT_MAX = 6, ADOPT_VALUE_MAX = 512, ADOPT_POLICY_MAX = 129 };

struct existing {
    const char *what;            /* "table": for people, with name */
    const char *name;            /* within names */
    const char *type;            /* "AWS::DynamoDB::Table" */
    const char *logical_id;      /* "Table", in both templates */
    const char *identifier;      /* "TableName": what an import calls it by */
    char value[ADOPT_VALUE_MAX]; /* … and with: the name, or the ARN of the secret or the function */
};
struct adoption {
    struct existing existing[ADOPT_MAX];
    size_t count;
    bool secret_leaving;               /* the secret is among them, and is scheduled for deletion */
    char old_policy[ADOPT_POLICY_MAX]; /* the role's inline policy envmig-webhook-custom-policy-{s}…, or "" */
};
/* Asks each service for the name (DescribeSecret, DescribeTable, DescribeLogGroups, GetRole and ListRolePolicies,
 * GetFunction, GetFunctionUrlConfig). names must live as long as the adoption. */
struct err adopt_find(struct aws *aws, const struct stack_names *names, struct writer *message,
                      struct adoption *ret_adoption) MUST_USE;

/* What destroy says of a table. DynamoDB counts about every six hours, so that a count is old and 0 may be wrong:
 * is_empty is looked at now. ERR_ABSENT: there is no such table. */
struct table_contents {
    uint64_t item_count_about;
    bool is_empty;
};
struct err adopt_table_contents(struct aws *aws, const char *table, struct writer *message,
                                struct table_contents *ret_contents) MUST_USE;

#endif
