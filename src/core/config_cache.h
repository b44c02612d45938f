/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a function while it lives: fetched with its secret, kept for FUNCTION_SECRET_KEEP_S, fetched
 * again after a refusal that a newer secret might lift, used for at most FUNCTION_SECRET_STALE_S when it cannot be
 * fetched. Time and the fetch come in from outside. */
#ifndef PAYHOOK_CORE_CONFIG_CACHE_H
#define PAYHOOK_CORE_CONFIG_CACHE_H

#include "core/config.h"

/* Gets the secret into secret memory. message: why not. */
typedef struct err config_fetch(void *context, struct writer *message, struct str *ret_text);

/* now_us is unix time. */
struct config_cache {
    const struct config_function *function; /* the caller's, as all the pointers here */
    config_fetch *fetch;                    /* NULL: no secret is named, and none will be had */
    config_warn *warn;                      /* told of what is left out, and of every fetch that failed */
    void *context;                          /* of both */
    struct config *config;                  /* in use; never NULL between open and close */
    struct str text;                        /* what it was made from; STR_NONE while it is made from nothing */
    int64_t fetched_us;                     /* the last good fetch */
    int64_t tried_us;                       /* the last fetch, good or not; INT64_MIN: none yet */
    int64_t keep_us;                        /* how long the last good fetch is good, with its jitter */
};

/* Fetches nothing yet. ERR_MEMORY. */
struct err config_cache_open(const struct config_function *function, config_fetch *fetch, config_warn *warn,
                             void *context, struct writer *message, struct config_cache *ret_cache) MUST_USE;
void config_cache_close(struct config_cache *cache);
/* Fetches where it is due. needed: what is asked cannot be answered without a secret. Afterwards the configuration may
 * be another one: what pointed into the old one is gone. */
void config_cache_look(struct config_cache *cache, int64_t now_us, bool needed);
/* After a refusal that a newer secret might lift: fetches where the last fetch is FUNCTION_SECRET_PAUSE_S ago. True:
 * the configuration is another one now. */
bool config_cache_look_again(struct config_cache *cache, int64_t now_us);

#endif
