/* SPDX-License-Identifier: Apache-2.0 */
/* AWS credentials: where they come from, and asking for them again before they expire. They live in secret memory. */
#ifndef PAYHOOK_NET_CREDENTIALS_H
#define PAYHOOK_NET_CREDENTIALS_H

#include "base/err.h"
#include "net/client.h"
#include "net/profile.h"

/* Looks in this order: the environment (left out where a profile is named), the shared files, the container's endpoint,
 * the machine's metadata (version 2 only). The first that has any decides. */
struct finder;
/* profile: NULL for AWS_PROFILE, else default. Reads nothing yet but the profile's region. The client is used to ask
 * endpoints, and must outlive the finder. ERR_INPUT: a profile that was named is not there, or a file cannot be read.
 */
struct err finder_open(struct client *client, const char *profile, struct writer *message,
                       struct finder **ret_finder) MUST_USE;
void finder_close(struct finder *finder);
/* The profile's region; "" where it names none. */
const char *finder_region(const struct finder *finder);

/* What can be used now, or NULL: then finder_find finds it. Valid until the finder is used again. */
const struct credentials *finder_have(struct finder *finder);
/* Looks for credentials, or for new ones. done may be called before this returns; failure: none can be had
 * (ERR_ABSENT), and finder_trouble says why. */
typedef void finder_done(void *context, struct err failure);
void finder_find(struct finder *finder, finder_done *done, void *context);
/* They were refused as expired: the next finder_have gives NULL, and all is read again. */
void finder_forget(struct finder *finder);
/* One sentence: where credentials were looked for, and what was wrong. */
const char *finder_trouble(const struct finder *finder);

#endif
