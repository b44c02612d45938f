/* SPDX-License-Identifier: Apache-2.0 */
/* When to fetch, and what to do with what comes.
 *
 * Ages are by the wall clock: a function is frozen between its invocations, and the monotonic clock may stand still
 * meanwhile. Where the wall clock has gone back, everything is due.
 *
 * All failures are alike, the service being down, a permission taken away, a secret that is no longer JSON: what is in
 * use stays in use until it is FUNCTION_SECRET_STALE_S old, each try warns, and then nothing is known any more. A
 * secret that was fetched and is the same text keeps its configuration, so that its warnings are told once. */
#include "core/config_cache.h"

#include "base/os.h"
#include "codec/digest.h"
#include "core/secrets.h"

#define SECOND INT64_C(1000000)

static struct err use(struct config_cache *cache, struct str text, struct writer *message) {
    struct config *config;
    TRY(config_from_secret(text, cache->function, cache->warn, cache->context, message, &config));
    config_release(cache->config);
    secret_done(cache->text);
    cache->config = config;
    cache->text = text;
    return err_ok();
}

struct err config_cache_open(const struct config_function *function, config_fetch *fetch, config_warn *warn,
                             void *context, struct writer *message, struct config_cache *ret_cache) {
    struct config_cache cache = {.function = function,
                                 .fetch = fetch,
                                 .warn = warn,
                                 .context = context,
                                 .text = STR_NONE,
                                 .tried_us = INT64_MIN};
    TRY(use(&cache, STR_NONE, message));
    *ret_cache = cache;
    return err_ok();
}

void config_cache_close(struct config_cache *cache) {
    config_release(cache->config);
    secret_done(cache->text);
    *cache = (struct config_cache){0};
}

/* Zero to twice FUNCTION_SECRET_JITTER_S, so that the copies of a function do not ask all at once. */
static int64_t jitter_us(void) {
    uint32_t random;
    os_random(&random, sizeof random);
    return (int64_t)(random % (2 * FUNCTION_SECRET_JITTER_S + 1)) * SECOND;
}

static bool has_passed(int64_t since_us, int64_t now_us, int64_t span_us) {
    return since_us == INT64_MIN || now_us < since_us || now_us - since_us >= span_us;
}

static void tell(const struct config_cache *cache, const char *before, struct writer *why, const char *after) {
    char memory[2048];
    struct writer w = writer_make(memory, sizeof memory);
    writer_format(&w, "%s%s%s", before, writer_cstr(why), after);
    cache->warn(cache->context, writer_str(&w));
}

/* True: the configuration is another one. */
static bool fetch(struct config_cache *cache, int64_t now_us) {
    char memory[1024];
    struct writer why = writer_make(memory, sizeof memory);
    struct str text;
    bool other = false;
    cache->tried_us = now_us;
    struct err result = cache->fetch(cache->context, &why, &text);
    if (!err_is(result)) {
        bool same = cache->text.ptr != NULL && digest_secret_equal(text, cache->text);
        if (!same) result = use(cache, text, &why);
        other = !same && !err_is(result);
        if (!other) secret_done(text);
    }
    if (!err_is(result)) {
        cache->fetched_us = now_us;
        cache->keep_us = (FUNCTION_SECRET_KEEP_S - FUNCTION_SECRET_JITTER_S) * SECOND + jitter_us();
        return other;
    }
    if (cache->text.ptr == NULL) {
        tell(cache, "the secret cannot be used, and /hooks/… answers 503: ", &why, "");
        return false;
    }
    if (!has_passed(cache->fetched_us, now_us, FUNCTION_SECRET_STALE_S * SECOND)) {
        tell(cache, "the secret cannot be fetched again; the one in use is kept for at most an hour: ", &why, "");
        return false;
    }
    tell(cache, "the secret could not be fetched for an hour and is given up; /hooks/… answers 503: ", &why, "");
    struct writer unused = writer_make(memory, sizeof memory);
    return !err_is(use(cache, STR_NONE, &unused));
}

void config_cache_look(struct config_cache *cache, int64_t now_us, bool needed) {
    if (cache->fetch == NULL) return;
    bool has = cache->text.ptr != NULL;
    if (has && !has_passed(cache->fetched_us, now_us, cache->keep_us)) return;
    int64_t pause_s = !has && needed ? FUNCTION_SECRET_PAUSE_NEEDED_S : FUNCTION_SECRET_PAUSE_S;
    bool too_old = has && has_passed(cache->fetched_us, now_us, FUNCTION_SECRET_STALE_S * SECOND);
    if (!too_old && !has_passed(cache->tried_us, now_us, pause_s * SECOND)) return;
    (void)fetch(cache, now_us); /* whatever comes of it is in the cache */
}

bool config_cache_look_again(struct config_cache *cache, int64_t now_us) {
    if (cache->fetch == NULL || !has_passed(cache->tried_us, now_us, FUNCTION_SECRET_PAUSE_S * SECOND)) return false;
    return fetch(cache, now_us);
}
