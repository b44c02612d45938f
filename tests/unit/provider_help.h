/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the provider room share: one source, one request, one question, and a signer of the test's own. */
#ifndef PAYHOOK_TESTS_PROVIDER_HELP_H
#define PAYHOOK_TESTS_PROVIDER_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/text.h"
#include "provider/table.h"
#include "provider/verify.h"

#define SECRET        "an-invented-secret-of-32-bytes-!"
#define SECRET_BASE64 "whsec_YW4taW52ZW50ZWQtc2VjcmV0LW9mLTMyLWJ5dGVzLSE=" /* the same bytes */
#define NOW           INT64_C(1782901234)

static char help_memory[1 << 20], help_texts[1 << 18];
static size_t help_texts_used;

struct world {
    struct source source;
    struct http_request request;
    struct arena arena;
    struct provider_input input;
    struct provider_answer answer;
};

/* A copy that lives to the end of the test. */
static inline struct str keep(struct str s) {
    assert_true(help_texts_used + s.len + 1 < sizeof help_texts);
    char *copy = help_texts + help_texts_used;
    if (s.len > 0) memcpy(copy, s.ptr, s.len);
    help_texts_used += s.len;
    return str_make(copy, s.len);
}

static inline void world_secret(struct world *w, const char *text) {
    struct str secret = keep(str_from(text));
    w->source.secrets[w->source.secret_count++] = (struct secret){.text = secret, .fault = NULL};
}

static inline void world_init(struct world *w, const char *provider, const char *secret, const char *body) {
    memset(w, 0, sizeof *w);
    help_texts_used = 0;
    w->source.name = STR("shop");
    w->source.row = provider_find(str_from(provider));
    assert_true(w->source.row != NULL || provider == NULL);
    w->request = (struct http_request){.method = STR("POST"), .target = STR("/hooks/shop?a=b"), .body = str_from(body)};
    request_split_target(&w->request);
    if (secret != NULL) world_secret(w, secret);
    w->input = (struct provider_input){.source = &w->source, .request = &w->request, .now_s = NOW, .arena = &w->arena};
}

static inline void world_set(struct world *w, const char *name, const char *value) {
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    if (!source_set(&w->source, str_from(name), keep(str_from(value)), &message))
        fail_msg("%s=%s: %s", name, value, writer_cstr(&message));
}

static inline void world_check(struct world *w) {
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    if (!source_check(&w->source, &message)) fail_msg("%s", writer_cstr(&message));
}

static inline void world_header(struct world *w, const char *name, const char *value) {
    w->request.headers[w->request.header_count++] =
        (struct http_header){.name = keep(str_from(name)), .value = keep(str_from(value))};
}

/* The header's value, for the test to change. */
static inline struct str *world_value(struct world *w, const char *name) {
    for (uint32_t i = 0; i < w->request.header_count; i++)
        if (str_eq_nocase(w->request.headers[i].name, str_from(name))) return &w->request.headers[i].value;
    fail_msg("no header %s", name);
    abort(); /* fail_msg does not come back; the compiler does not know */
}

static inline enum verdict world_ask(struct world *w) {
    w->arena = arena_make(help_memory, sizeof help_memory);
    provider_check(&w->input, &w->answer);
    assert_true(w->answer.verdict == VERDICT_ACCEPT || (w->answer.events == NULL && w->answer.event_count == 0));
    assert_true(w->answer.verdict == VERDICT_ACCEPT || w->answer.reason.len > 0);
    return w->answer.verdict;
}

#define assert_verdict(w, expected)                                                                                    \
    do {                                                                                                               \
        assert_string_equal(verdict_row(world_ask(w))->word, verdict_row(expected)->word);                             \
    } while (0)

#define assert_str(actual, expected)                                                                                   \
    do {                                                                                                               \
        struct str actual_ = (actual), expected_ = str_from(expected);                                                 \
        if ((actual_.ptr == NULL) != (expected_.ptr == NULL) || !str_eq(actual_, expected_))                           \
            fail_msg("\"%.*s\" is not \"%.*s\"", STR_ARG(actual_), STR_ARG(expected_));                                \
    } while (0)

/* before ++ the signature of the texts in a row ++ after, as a header value. */
static inline const char *sign(enum digest digest, enum signature_encoding encoding, const char *before, const char *a,
                               const char *b, const char *c) {
    static char value[1024];
    const struct str parts[] = {str_from(a), str_from(b), str_from(c)};
    uint8_t mac[DIGEST_SIZE_MAX];
    digest_hmac(digest, STR(SECRET), parts, 3, mac);
    struct writer w = writer_make(value, sizeof value);
    writer_put(&w, str_from(before));
    if (encoding == SIGNATURE_HEX)
        text_hex_write(&w, mac, digest_size(digest));
    else
        text_base64_write(&w, mac, digest_size(digest));
    return writer_cstr(&w);
}

/* A genuine request of one of the table's providers but iam and hmac, signed at `at`. */
static inline void world_genuine(struct world *w, const char *provider, const char *body, int64_t at) {
    char time[32], before[64], signed_before[96];
    snprintf(time, sizeof time, "%lld", (long long)at);
    bool base64 = strcmp(provider, "svix") == 0 || strcmp(provider, "standardwebhooks") == 0;
    world_init(w, provider, strcmp(provider, "stripe") == 0 || !base64 ? SECRET : SECRET_BASE64, body);
    world_header(w, "Content-Type", "application/json");
    if (strcmp(provider, "stripe") == 0) {
        snprintf(before, sizeof before, "t=%s,v1=", time);
        snprintf(signed_before, sizeof signed_before, "%s.", time);
        world_header(w, "Stripe-Signature", sign(DIGEST_SHA256, SIGNATURE_HEX, before, signed_before, body, ""));
    } else if (base64) {
        bool svix = strcmp(provider, "svix") == 0;
        snprintf(signed_before, sizeof signed_before, "msg_1.%s.", time);
        world_header(w, svix ? "svix-id" : "webhook-id", "msg_1");
        world_header(w, svix ? "svix-timestamp" : "webhook-timestamp", time);
        world_header(w, svix ? "svix-signature" : "webhook-signature",
                     sign(DIGEST_SHA256, SIGNATURE_BASE64, "v1,", signed_before, body, ""));
    } else if (strcmp(provider, "hub-sha256") == 0) {
        world_header(w, "X-GitHub-Delivery", "d-1");
        world_header(w, "X-GitHub-Event", "push");
        world_header(w, "X-Hub-Signature-256", sign(DIGEST_SHA256, SIGNATURE_HEX, "sha256=", body, "", ""));
    } else if (strcmp(provider, "api-key") == 0) {
        world_header(w, "X-Api-Key", SECRET);
    } else {
        fail_msg("no signer for %s", provider);
    }
}

#endif
