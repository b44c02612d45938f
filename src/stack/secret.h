/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's keys in the stack's secret: read, merge, write with a check that nobody wrote in between. Values live
 * in secret memory and appear in no message. */
#ifndef PAYHOOK_STACK_SECRET_H
#define PAYHOOK_STACK_SECRET_H

#include "net/aws.h"

enum { SECRET_SETTINGS_MAX = 16 };

/* What is to be put there. */
struct secret_change {
    struct str source;          /* a source's name, or "api_key": the document's own api_key then */
    struct str provider;        /* ptr NULL: as it is */
    struct str provider_if_new; /* where the document names none for this source; ptr NULL: that is refused then */
    const struct str *values;   /* the source's whole list of secrets, newest first; 1 to SOURCE_SECRETS_MAX */
    size_t value_count;
    struct {
        struct str key, value;
    } settings[SECRET_SETTINGS_MAX]; /* further settings of the source (header, digest, …) */
    size_t setting_count;
};
/* [a-z][a-z0-9-]{0,62}, and not "default". */
bool secret_is_source_name(struct str name);
/* Pure: the document with the source's secrets (and provider, and settings) set, every other byte as it was, to out.
 * ERR_INPUT: the document is no JSON object, or holds the source in a form that is none, or the change is none; message
 * then says so, and never what a value is. */
struct err secret_merge(struct str document, const struct secret_change *change, struct writer *out,
                        struct writer *message) MUST_USE;
/* False: a function could not use this document; message says why. Decided by whoever knows sources. */
typedef bool secret_judge(void *context, struct str document, struct writer *message);
/* GetSecretValue, merge, judge, PutSecretValue as a version of its own, then UpdateSecretVersionStage, which moves
 * AWSCURRENT only from the version that was read: a write of somebody else in between is found, and all is done again
 * (at most STACK_SECRET_TRIES_MAX times, then ERR_BUSY). What is there already as it should be is not written again:
 * *ret_new is false then. ERR_ABSENT: there is no such secret. */
struct err secret_set(struct aws *aws, struct str secret_name, const struct secret_change *change, secret_judge *judge,
                      void *context, struct writer *message, bool *ret_new) MUST_USE;
/* Whether any source has a secret that is no placeholder; ERR_ABSENT: there is no such secret. */
struct err secret_has_source(struct aws *aws, struct str secret_name, struct writer *message, bool *ret_has) MUST_USE;
/* Calls each with the name of every source in it, in order. ERR_ABSENT: there is no such secret. */
struct err secret_each_source(struct aws *aws, struct str secret_name, struct writer *message,
                              void (*each)(void *context, struct str name), void *context) MUST_USE;

#endif
