/* SPDX-License-Identifier: Apache-2.0 */
/* What POST / asks of an AWS Signature Version 4: how it must be sent, what it must cover, how old it may be. The
 * arithmetic is codec/sigv4's. Pure: keys, request and time go in. */
#ifndef PAYHOOK_PROVIDER_IAM_H
#define PAYHOOK_PROVIDER_IAM_H

#include "base/arena.h"
#include "codec/request.h"

/* Texts belong to the caller, who wipes them. */
struct iam_key {
    struct str access_key_id, secret;
};
struct iam_policy {
    const struct iam_key *keys; /* an id may have several secrets, so that one can be rolled */
    uint32_t key_count;
    struct str region, service; /* ours */
    int64_t now_s;
    int64_t skew_s_max; /* either way; exactly this passes */
};

/* True where the request is authentic. ret_matched_key (an index of keys) and ret_skew_s (signed time minus now) are
 * set where the signature is right, even if the time is not; else they are -1 and 0. ret_reason: a static phrase for
 * our own log; empty where authentic. The arena is as before on return. */
bool iam_verify(const struct iam_policy *policy, const struct http_request *request, struct arena *arena,
                int32_t *ret_matched_key, int64_t *ret_skew_s, struct str *ret_reason);

#endif
