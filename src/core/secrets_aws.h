/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets of AWS Secrets Manager: the version labelled AWSCURRENT, whole or by a JSON Pointer. How keys are rolled is
 * the business of lists within it, not of its versions. */
#ifndef PAYHOOK_CORE_SECRETS_AWS_H
#define PAYHOOK_CORE_SECRETS_AWS_H

#include "core/secrets.h"
#include "net/aws.h"

/* Gets the text of a secret into memory from os_secret_alloc (secret_done gives it back), 1 to SECRET_STRING_SIZE_MAX
 * bytes. message: a phrase that says why it cannot be had and what to do, never what it holds, nor its name. */
struct err secret_aws_fetch(struct aws *aws, struct str id, int64_t deadline_us, struct writer *message,
                            struct str *ret_text) MUST_USE;
/* What a JSON Pointer names in a secret: a text, or a list of at most SOURCE_SECRETS_MAX texts, each of 1 to
 * SECRET_SIZE_MAX bytes, copied as secret_reader_read does. ret_fault: a static phrase, where it fails. */
struct err secret_aws_pick(struct str secret, struct str pointer, const char **ret_fault,
                           struct secret_texts *ret_texts) MUST_USE;
/* A JSON string of a secret, quotes included, decoded into memory from os_secret_alloc. ERR_INPUT where it is no text
 * or has more than size_max bytes; an empty one gives STR(""), which secret_done must not see. */
struct err secret_json_text(struct str raw, size_t size_max, struct str *ret_text) MUST_USE;

#endif
