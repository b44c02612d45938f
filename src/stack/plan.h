/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment would do, as a value: read from CloudFormation's change set, judged, and shown by stack/show. */
#ifndef PAYHOOK_STACK_PLAN_H
#define PAYHOOK_STACK_PLAN_H

#include "base/arena.h"
#include "codec/xml.h"

enum plan_kind {
    PLAN_CREATE,  /* there is no such stack yet */
    PLAN_UPDATE,  /* there is */
    PLAN_NOTHING, /* there is, and it is as it should be */
};

enum change_action { CHANGE_ADD, CHANGE_MODIFY, CHANGE_REPLACE, CHANGE_MAYBE_REPLACE, CHANGE_REMOVE, CHANGE_IMPORT };

struct property_change {
    struct str path;          /* "Properties.MemorySize", "Tags.Owner" */
    struct str before, after; /* as CloudFormation gives them; ptr NULL where there is no value, or none is told */
    bool recreates;           /* this one makes the resource be replaced (always or conditionally) */
};

struct change {
    enum change_action action;
    struct str logical_id;  /* "Table" */
    struct str type;        /* "AWS::DynamoDB::Table" */
    struct str physical_id; /* "envmig-transactions-dev"; "" where not yet known */
    const struct property_change *properties;
    size_t property_count;
    bool holds_data; /* a table or a secret */
};

struct plan {
    enum plan_kind kind;
    struct str stack; /* "TapStack-dev" */
    struct str region;
    struct str account; /* "123456789012" */
    struct str change_set_id;
    struct str stack_id;          /* the stack of the change set */
    bool made_stack;              /* an empty stack was made for it, which goes with it when the plan is discarded */
    const struct change *changes; /* in the order CloudFormation gives */
    size_t change_count;
};

/* Adds the changes of one page of DescribeChangeSet (the element DescribeChangeSetResult) to the plan. False: the arena
 * is full, or more than STACK_CHANGES_MAX. */
bool plan_add_page(struct plan *plan, const struct xml_node *result, struct arena *arena);

/* The first change that would lose a table or a secret (CHANGE_REPLACE, CHANGE_MAYBE_REPLACE, CHANGE_REMOVE of what
 * holds data), or NULL. Refused unless --allow-replace. */
const struct change *plan_danger(const struct plan *plan);

#endif
