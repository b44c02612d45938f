/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as files and endpoints write them. */
#ifndef PAYHOOK_NET_PROFILE_H
#define PAYHOOK_NET_PROFILE_H

#include "base/arena.h"
#include "base/limits.h"

struct credentials {
    struct str access_key_id, secret;
    struct str session_token; /* empty where there is none */
};

/* HTTP carries them in headers: no control characters, and not absurdly long. */
bool credential_is_good(struct str credential);

/* What one profile of a shared file says; slices of the file, ptr NULL where it says nothing. */
struct profile {
    bool found;
    struct str access_key_id, secret, session_token, region;
    struct str elsewhere; /* the setting that says credentials come from a role, single sign-on or a program */
};
/* Adds what text says of a profile to *profile: of its sections [name], where in_config "[profile name]" (and
 * [default]). A setting given twice counts the last time; lines that are no setting, and nested ones, are passed over.
 */
void profile_read(struct str text, struct str name, bool in_config, struct profile *profile);

/* An endpoint's answer (AccessKeyId, SecretAccessKey, Token, Expiration). Slices of body or of the arena. */
struct endpoint_credentials {
    struct credentials credentials;
    int64_t expires_s; /* unix seconds; INT64_MAX: never */
};
bool endpoint_credentials_read(struct str body, struct arena *arena, struct endpoint_credentials *ret_credentials);

#endif
