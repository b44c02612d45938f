/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of AWS CloudFormation's Query API that a deployment needs, one function each. Every one takes message for a
 * sentence that says what went wrong and what to do (missing or expired credentials, denied action by name, no network,
 * region that is none); throttling is tried again until the call's own deadline. */
#ifndef PAYHOOK_STACK_CLOUDFORMATION_H
#define PAYHOOK_STACK_CLOUDFORMATION_H

#include "net/aws.h"
#include "stack/plan.h"
#include "stack/progress.h"

struct stack_pair {
    struct str key, value;
};

struct stack_description {
    bool exists;
    struct str id; /* its ARN */
    struct str status, reason;
    int64_t began_us; /* when its last operation began, as far as it is told; CloudFormation's clock */
    struct stack_pair parameters[STACK_PARAMETERS_MAX];
    size_t parameter_count;
    struct stack_pair outputs[STACK_OUTPUTS_MAX]; /* LambdaFunctionUrl is lambda_function_url here */
    size_t output_count;
    struct stack_pair tags[STACK_TAGS_MAX];
    size_t tag_count;
};
/* "" where there is none of this key. */
struct str stack_pair_value(const struct stack_pair *pairs, size_t count, struct str key);

/* Everything of an answer lies in the arena. */
struct err cloudformation_describe_stack(struct aws *aws, struct str name, struct arena *arena, struct writer *message,
                                         struct stack_description *ret_stack) MUST_USE;

/* A resource that is there already, and is to belong to the stack. */
struct stack_import {
    struct str type, logical_id;  /* "AWS::DynamoDB::Table", "Table" */
    struct str identifier, value; /* "TableName", "envmig-transactions-dev" */
};
struct change_set_request {
    struct str stack, name; /* name: unique for each attempt */
    bool create;            /* CREATE, else UPDATE; IMPORT where there are imports */
    const struct stack_import *imports;
    size_t import_count;
    struct str template;
    const struct stack_pair *parameters;
    size_t parameter_count;
    const struct stack_pair *tags;
    size_t tag_count;
};
/* ret_id: the change set's ARN, in the arena. ERR_INPUT: CloudFormation refuses it. */
struct err cloudformation_create_change_set(struct aws *aws, const struct change_set_request *request,
                                            struct arena *arena, struct writer *message, struct str *ret_id) MUST_USE;
struct change_set_state {
    struct str status, reason;     /* CREATE_COMPLETE, FAILED, … */
    const struct xml_node *result; /* one page, for plan_add_page */
    struct str next_token;         /* "" at the end */
};
/* ERR_ABSENT: there is none. */
struct err cloudformation_describe_change_set(struct aws *aws, struct str id, struct str next_token,
                                              struct arena *arena, struct writer *message,
                                              struct change_set_state *ret_state) MUST_USE;
/* Where it is gone already: OK. ERR_BUSY: it is still being made. */
struct err cloudformation_delete_change_set(struct aws *aws, struct str id, struct writer *message) MUST_USE;
/* ERR_BUSY, ERR_ABSENT: it is out of date: something else was done to the stack. */
struct err cloudformation_execute_change_set(struct aws *aws, struct str id, struct str token,
                                             struct writer *message) MUST_USE;
struct err cloudformation_delete_stack(struct aws *aws, struct str name_or_id, struct str token,
                                       struct writer *message) MUST_USE;
/* When the newest event of the stack was: what comes later belongs to what is done next. 0: there is none. */
struct err cloudformation_newest_event(struct aws *aws, struct str stack_id, struct arena *arena,
                                       struct writer *message, int64_t *ret_at_us) MUST_USE;
/* Folds all events newer than the progress's start into it, oldest first, page by page (DescribeStackEvents: an
 * emulator lacks DescribeEvents, and a deleted stack's are asked for by its id). */
struct err cloudformation_follow(struct aws *aws, struct str stack_id, struct arena *arena, struct writer *message,
                                 struct progress *progress) MUST_USE;

#endif
