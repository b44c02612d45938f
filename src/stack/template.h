/* SPDX-License-Identifier: Apache-2.0 */
/* The CloudFormation templates, embedded from deploy/ when the program is built, and the names that go with them
 * (spec/stack.md). */
#ifndef PAYHOOK_STACK_TEMPLATE_H
#define PAYHOOK_STACK_TEMPLATE_H

#include "base/str.h"

/* deploy/template.yaml: parameters EnvironmentSuffix, ArtifactBucket, ArtifactKey, Architecture (x86_64, arm64),
 * UrlAuthType (AWS_IAM, NONE), CorsOrigins (CommaDelimitedList). */
struct str template_text(void);
/* deploy/artifacts.yaml: the artifact bucket of one region, without parameters; output bucket_name. */
struct str template_artifacts_text(void);
/* deploy/import.yaml with no other resources than these (an import refuses what does not exist): the template of the
 * change set that takes over what runs. Parameters EnvironmentSuffix and OldPolicy (the name of the role's inline
 * policy, or ""). */
void template_import(const struct str *logical_ids, size_t count, struct writer *out);

enum { STACK_SUFFIX_MAX = 30, STACK_NAME_MAX = 128 };

/* [a-z0-9-]{1,30} */
bool stack_suffix_is_good(struct str suffix);

/* What one deployment's resources are called; NUL-terminated. */
struct stack_names {
    char suffix[STACK_SUFFIX_MAX + 1];
    char stack[STACK_NAME_MAX];     /* TapStack-{s} */
    char secret[STACK_NAME_MAX];    /* envmig-apikeys-{s} */
    char table[STACK_NAME_MAX];     /* envmig-transactions-{s} */
    char function[STACK_NAME_MAX];  /* envmig-webhook-{s} */
    char log_group[STACK_NAME_MAX]; /* /aws/lambda/envmig-webhook-{s} */
    char role[STACK_NAME_MAX];      /* envmig-webhook-role-{s} */
};
/* The suffix must be good. */
void stack_names_make(struct str suffix, struct stack_names *ret_names);
#define STACK_ARTIFACTS "payhook-artifacts"

/* Types whose replacement or removal loses what is in them. */
bool stack_type_holds_data(struct str type);

#endif
