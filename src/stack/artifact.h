/* SPDX-License-Identifier: Apache-2.0 */
/* The function's zip and the bucket that CloudFormation takes it from (spec/stack.md, "artifact bucket"). */
#ifndef PAYHOOK_STACK_ARTIFACT_H
#define PAYHOOK_STACK_ARTIFACT_H

#include "net/aws.h"
#include "stack/template.h"

enum { ARTIFACT_KEY_MAX = 160, BUCKET_NAME_MAX = 64 };

/* Who the credentials are: STS GetCallerIdentity; account is 12 digits and NUL. The first call of every stack command,
 * so that missing, wrong or expired credentials are told before anything else. */
struct err account_find(struct aws *aws, struct writer *message, char ret_account[13]) MUST_USE;

struct artifact {
    char bucket[BUCKET_NAME_MAX]; /* payhook-artifacts-{account}-{region}, or --bucket */
    char key[ARTIFACT_KEY_MAX];   /* payhook/{suffix}/{arch}/{sha256}.zip */
    bool is_ours;                 /* the bucket is the one we make */
    void *bytes;
    size_t size;
};
/* Reads the zip and computes its place. Looks that it is a zip with a bootstrap of this architecture (x86_64 or arm64)
 * in it, mode 0755: ERR_INPUT else, message says what to do (make lambda, make lambda ARCH=arm64, --zip). */
struct err artifact_read(const char *path, const struct stack_names *names, const char *arch, const char *account,
                         const char *region, const char *bucket, struct writer *message,
                         struct artifact *ret_artifact) MUST_USE;
void artifact_done(struct artifact *artifact);

/* Puts it in its place unless it is there (HEAD first). ERR_ABSENT: there is no such bucket. ERR_DENIED: it belongs to
 * another account (x-amz-expected-bucket-owner is sent with every S3 call). */
struct err artifact_upload(struct aws *aws, const struct artifact *artifact, const char *account,
                           struct writer *message, bool *ret_new) MUST_USE;
/* Deletes this suffix's objects other than these two keys (either may be ""). */
struct err artifact_prune(struct aws *aws, const char *bucket, const char *account, const struct stack_names *names,
                          struct str keep, struct str keep_too, struct writer *message) MUST_USE;
/* Deletes all objects of this suffix; *ret_others: anything else is in the bucket. A bucket that is gone has none.
 */
struct err artifact_remove(struct aws *aws, const char *bucket, const char *account, const struct stack_names *names,
                           struct writer *message, bool *ret_others) MUST_USE;

#endif
