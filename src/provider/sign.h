/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of verify: signs a request as a provider would, for `payhook send` and for tests. By the same rows, so
 * that there is one reading of each recipe. */
#ifndef PAYHOOK_PROVIDER_SIGN_H
#define PAYHOOK_PROVIDER_SIGN_H

#include "provider/provider.h"

/* Adds the headers that prove the request to come from this source: with the source's first usable secret, a time of
 * now_s, and id where the row signs one. Texts are in the arena or the arguments. False: message says in a sentence why
 * it cannot be. */
bool provider_sign(const struct source *source, int64_t now_s, struct str id, struct arena *arena,
                   struct http_request *request, struct writer *message);

#endif
