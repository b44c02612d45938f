/* SPDX-License-Identifier: Apache-2.0 */
/* What net reads of others: shared files of profiles, answers of credential endpoints, errors of services, URLs. Slices
 * stay within what they were cut from, and reading twice gives the same. */
#include "base/err.h"
#include "net/error.h"
#include "net/profile.h"
#include "net/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct str part, struct str whole) {
    if (part.len == 0) return;
    check(part.ptr >= whole.ptr);
    check(part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_profiles(struct str text) {
    for (int in_config = 0; in_config < 2; in_config++) {
        struct profile profile = {0}, again = {0};
        profile_read(text, STR("default"), in_config, &profile);
        profile_read(text, STR("default"), in_config, &again);
        check(profile.found == again.found);
        check(str_eq(profile.secret, again.secret));
        check(profile.found || profile.access_key_id.ptr == NULL);
        const struct str parts[] = {profile.access_key_id, profile.secret, profile.session_token, profile.region};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            check_within(parts[i], text);
            check(parts[i].len == 0 || memchr(parts[i].ptr, '\n', parts[i].len) == NULL);
        }
    }
}

static void check_answers(struct str text) {
    char memory[4096];
    struct arena arena = arena_make(memory, sizeof memory);
    struct endpoint_credentials found;
    if (endpoint_credentials_read(text, &arena, &found)) {
        check(found.credentials.access_key_id.len > 0);
        check(found.credentials.secret.len > 0);
        check(!str_has_control(found.credentials.session_token));
    }
    static const struct str types[] = {{"application/x-amz-json-1.0", 26}, {"text/xml", 8}, {NULL, 0}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct aws_error error;
        arena_reset(&arena);
        aws_error_read(types[i], STR_NONE, text, &arena, &error);
        check(error.code.len > 0);
        aws_error_read(types[i], text, STR(""), &arena, &error);
        check(error.code.len > 0);
    }
}

static void check_urls(struct str text) {
    struct url url;
    if (!url_read(text, &url)) return;
    check_within(url.authority, text);
    check_within(url.path, text);
    check_within(url.target.host, url.authority);
    check(url.target.host.len > 0);
    check(url.target.port > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size == 0 ? 1 : size); /* exactly, so that one byte too far is seen */
    check(copy != NULL);
    if (size > 0) memcpy(copy, data, size);
    struct str input = str_make(copy, size);
    check_profiles(input);
    check_answers(input);
    check_urls(input);
    free(copy);
    return 0;
}
