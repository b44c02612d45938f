/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment is asked to be: the template's parameters and tags, from the command line and from what is deployed
 * already. */
#ifndef PAYHOOK_APP_STACK_WANTED_H
#define PAYHOOK_APP_STACK_WANTED_H

#include "app/options.h"
#include "stack/cloudformation.h"

#include <limits.h>

enum { WANTED_PARAMETERS = 6, WANTED_ORIGINS_SIZE_MAX = 4096 };

struct wanted {
    const char *arch; /* "x86_64" or "arm64" */
    struct str auth;  /* "AWS_IAM" or "NONE" */
    struct str cors_origins;
    const char *bucket; /* NULL: the one we make */
    char origins_text[WANTED_ORIGINS_SIZE_MAX], bucket_text[STACK_REASON_MAX];
    struct stack_pair parameters[WANTED_PARAMETERS];
    struct stack_pair tags[STACK_TAGS_MAX];
    size_t tag_count;
};
/* What is not given stays as the stack has it, so that an up never opens or closes a URL by surprise; a new stack gets
 * x86_64, AWS_IAM, * and no tags but the two that win always. own_bucket is the name of the bucket we make. False: a
 * sentence is in message, and *ret_code is set. The slices point to options, stack and *ret_wanted. */
bool wanted_read(const struct options *options, const struct stack_description *stack, const char *own_bucket,
                 struct writer *message, struct wanted *ret_wanted, int *ret_code);
/* Once it is known where the zip will be: the parameters. Texts must outlive *wanted. */
void wanted_place(struct wanted *wanted, const char *suffix, const char *bucket, const char *key);
/* The zip: --zip, else the one beside the program, as installed or as built. program: where the program lies
 * (/proc/self/exe). False: there is none, message says what to do. */
bool wanted_zip(const struct options *options, const char *arch, const char *program, struct writer *message,
                char ret_path[PATH_MAX]);

#endif
