/* SPDX-License-Identifier: Apache-2.0 */
/* Plans, progress and outputs as text of a terminal's width, with or without colours, or as JSON. Pure: writes to
 * memory; app prints it. What came from outside is escaped. */
#ifndef PAYHOOK_STACK_SHOW_H
#define PAYHOOK_STACK_SHOW_H

#include "stack/cloudformation.h"

struct show_style {
    uint32_t width; /* columns: lines of tables are cut, never wrapped; at least 40 */
    bool colors;
};

/* Who may call the function URL. */
struct show_access {
    struct str auth;         /* UrlAuthType: AWS_IAM or NONE */
    struct str cors_origins; /* CorsOrigins, with commas between them */
};

/* The tree of resources with + create, ~ change, ± replace, - delete, = import; changed properties with before and
 * after; what may allow more than before (IAM, permissions, the URL's auth and CORS) marked with !; replacement or
 * removal of what holds data said loudly; at the end a line of counts. */
void show_plan(const struct plan *plan, struct show_style style, struct writer *out);
/* Who may call the URL, in sentences, broken into lines. */
void show_access(const struct show_access *access, struct show_style style, struct writer *out);
/* The plan as one JSON object, no line feed; access may be NULL. */
void show_plan_json(const struct plan *plan, const struct show_access *access, struct writer *out);

/* One line, cut. */
void show_heading(struct str text, struct show_style style, struct writer *out);
/* The whole tree as it is now: one line a resource with its state and elapsed time, then the stack's. The number of
 * lines is row_count + 1, so that a terminal can be moved back and drawn again. */
void show_progress(const struct progress *progress, int64_t wall_us, struct show_style style, struct writer *out);
/* One plain line for what one row has come to, for what is no terminal. */
void show_progress_row(const struct progress_row *row, struct writer *out);
/* The first real cause of a failure as a paragraph: resource, type, CloudFormation's reason. Nothing where none is
 * known. */
void show_cause(const struct progress *progress, struct show_style style, struct writer *out);
/* The same as a JSON object, or null. */
void show_cause_json(const struct progress *progress, struct writer *out);

/* name = value, aligned; or one JSON object, no line feed. */
void show_outputs(const struct stack_description *stack, bool json, struct writer *out);

#endif
