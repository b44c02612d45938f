/* SPDX-License-Identifier: Apache-2.0 */
/* The errors that AWS services answer: what they are called, and which of them another try may cure. */
#ifndef PAYHOOK_NET_ERROR_H
#define PAYHOOK_NET_ERROR_H

#include "base/arena.h"
#include "base/err.h"

struct aws_error {
    struct str code;    /* without its namespace; "Unknown" where none is found */
    struct str message; /* or empty */
};
/* Of an answer that is not 2xx: JSON (__type or code, message or Message), XML (<Code>, <Message>) where the content
 * type says so, and the header x-amzn-errortype, which goes before both. Slices of these or of the arena. */
void aws_error_read(struct str content_type, struct str errortype, struct str body, struct arena *arena,
                    struct aws_error *ret_error);
/* Throttled, or of passing nature. */
bool aws_error_is_passing(struct str code);
/* Signed with credentials that have expired. */
bool aws_error_is_expired(struct str code);

#endif
