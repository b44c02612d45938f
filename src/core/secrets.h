/* SPDX-License-Identifier: Apache-2.0 */
/* References to secrets: "file:PATH" (one final newline is not part of it), "env:NAME", and with AWS
 * "aws:NAME-OR-ARN[#/json/pointer]". A secret itself is never written on a command line or in the configuration. */
#ifndef PAYHOOK_CORE_SECRETS_H
#define PAYHOOK_CORE_SECRETS_H

#include "base/err.h"
#include "base/str.h"

/* True where the text has the form of a reference, so that it may be shown: anything else may be a secret written in
 * its place. */
bool secret_is_reference(struct str text);
/* Reads what a reference names into memory from os_secret_alloc (the caller frees with os_secret_free and ret_text's
 * length). 1 to SECRET_SIZE_MAX bytes, for certificates and keys too. message: a sentence that names the reference and
 * what to do, never its contents. */
struct err secret_read(struct str reference, struct writer *message, struct str *ret_text) MUST_USE;
/* The path within a reference of the kind "file:", or NULL. */
const char *secret_file(const char *reference);
/* Gives back what secret_read gave, wiped. Accepts STR_NONE. */
void secret_done(struct str text);
/* True where the reference is a file that everyone on this machine can read. */
bool secret_is_exposed(struct str reference);

#endif
