/* SPDX-License-Identifier: Apache-2.0 */
/* References to secrets: "file:PATH" (one final newline is not part of it), "env:NAME", and
 * "aws:NAME-OR-ARN[#/json/pointer]" of AWS Secrets Manager. A secret itself is never written on a command line or in
 * the configuration. */
#ifndef PAYHOOK_CORE_SECRETS_H
#define PAYHOOK_CORE_SECRETS_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

/* True where the text has the form of a reference, so that it may be shown: anything else may be a secret written in
 * its place. */
bool secret_is_reference(struct str text);

/* What one reference names: one text, or with aws: the texts of a list. */
struct secret_texts {
    struct str texts[SOURCE_SECRETS_MAX];
    uint32_t count;
};

/* Reads references one after another, as those of one configuration: AWS is asked only where an aws: reference is read,
 * and once for each secret. Zeroed memory is one; secret_reader_done ends it. */
struct secret_reader {
    struct aws *aws;
    char region[64];             /* aws is of this one; "": whatever the environment says */
    struct secret_fetched *list; /* private */
};
/* Reads what a reference names into memory from os_secret_alloc (the caller gives each text back with secret_done). 1
 * to SECRET_SIZE_MAX bytes each, for certificates and keys too. message: a sentence that names the reference and what
 * to do, never its contents. */
struct err secret_reader_read(struct secret_reader *reader, struct str reference, struct writer *message,
                              struct secret_texts *ret_texts) MUST_USE;
void secret_reader_done(struct secret_reader *reader);

/* The same for one reference that names one text. */
struct err secret_read(struct str reference, struct writer *message, struct str *ret_text) MUST_USE;
/* The path within a reference of the kind "file:", or NULL. */
const char *secret_file(const char *reference);
/* Gives back what was read, wiped. Accepts STR_NONE. */
void secret_done(struct str text);
/* True where the reference is a file that everyone on this machine can read. */
bool secret_is_exposed(struct str reference);

#endif
