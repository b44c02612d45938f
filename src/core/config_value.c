/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as a value, whoever has read it: its memory, who holds it, its sources by name. It reads nothing but
 * the keys file, and knows no form that a configuration is written in. */
#include "core/config_build.h"
#include "core/secrets.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* One thing the configuration owns: a text, or a secret. */
struct held {
    struct held *next;
    struct str secret; /* or STR_NONE */
    bool is_reference; /* text is the reference that was to be read */
    char text[];
};

static struct err memory_error(void) { return err_make(ERR_MEMORY, 0, "keep the configuration"); }

struct config *config_make(void) {
    struct config *config = calloc(1, sizeof *config);
    if (config != NULL) atomic_init(&config->references, 1);
    return config;
}

struct err config_keep(struct config *config, struct str text, char **ret_text) {
    struct held *held = malloc(sizeof *held + text.len + 1);
    if (held == NULL) return memory_error();
    *held = (struct held){.next = config->private_memory};
    if (text.len > 0) memcpy(held->text, text.ptr, text.len);
    held->text[text.len] = '\0';
    config->private_memory = held;
    *ret_text = held->text;
    return err_ok();
}

struct err config_keep_reference(struct config *config, struct str reference) {
    char *unused;
    TRY(config_keep(config, reference, &unused));
    ((struct held *)config->private_memory)->is_reference = true;
    return err_ok();
}

struct err config_keep_secret(struct config *config, struct str secret) {
    char *unused;
    struct err kept = config_keep(config, STR(""), &unused);
    if (err_is(kept))
        secret_done(secret);
    else
        ((struct held *)config->private_memory)->secret = secret;
    return kept;
}

static int source_order(const void *a, const void *b) {
    return str_order(((const struct source *)a)->name, ((const struct source *)b)->name);
}

void config_sort_sources(struct config *config) {
    if (config->source_count > 0) qsort(config->sources, config->source_count, sizeof *config->sources, source_order);
}

struct err config_reload_keys(struct config *config, struct writer *message, struct config **ret_config) {
    struct keys keys;
    struct err result = keys_load(config->data, message, &keys);
    if (err_is(result) && result.kind != ERR_ABSENT) return result;
    struct config *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        keys_done(&keys);
        return memory_error();
    }
    struct config *base = config->base != NULL ? config->base : config;
    *copy = (struct config){
        .base = config_hold(base),
        .file = base->file,
        .listen = base->listen,
        .admin = base->admin,
        .data = base->data,
        .store = base->store,
        .environment = base->environment,
        .processed_by = base->processed_by,
        .tls_certificate = base->tls_certificate,
        .tls_key = base->tls_key,
        .iam_region = base->iam_region,
        .iam_service = base->iam_service,
        .require_api_key = base->require_api_key,
        .api_key_count = base->api_key_count,
        .sources_unknown = base->sources_unknown,
        .limits = base->limits,
        .keys = keys,
        .default_source = base->default_source,
        .sources = base->sources,
        .source_count = base->source_count,
    };
    memcpy(copy->api_keys, base->api_keys, sizeof copy->api_keys);
    atomic_init(&copy->references, 1);
    *ret_config = copy;
    return err_ok();
}

struct config *config_hold(struct config *config) {
    unsigned before = atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    check(before > 0);
    check(before < UINT32_MAX);
    return config;
}

void config_release(struct config *config) {
    if (config == NULL) return;
    /* Release: our reads end before the count falls. Acquire: they have all ended before we free. */
    unsigned before = atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel);
    check(before > 0);
    if (before > 1) return;
    keys_done(&config->keys);
    if (config->base != NULL) {
        config_release(config->base);
    } else {
        free(config->sources);
        for (struct held *held = config->private_memory, *next; held != NULL; held = next) {
            next = held->next;
            secret_done(held->secret);
            free(held);
        }
    }
    free(config);
}

void config_each_file(const struct config *config, void (*each)(void *context, const char *path), void *context) {
    const struct config *base = config->base != NULL ? config->base : config;
    const char *const files[] = {base->file, base->tls_certificate, base->tls_key};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] != NULL) each(context, files[i]);
    for (const struct held *held = base->private_memory; held != NULL; held = held->next) {
        const char *path = held->is_reference ? secret_file(held->text) : NULL;
        if (path != NULL) each(context, path);
    }
}

const struct source *config_source(const struct config *config, struct str name) {
    if (str_eq(name, config->default_source.name)) return &config->default_source;
    uint32_t from = 0, to = config->source_count; /* bsearch would want a whole source as its key */
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = str_order(name, config->sources[middle].name);
        if (order == 0) return &config->sources[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

bool config_is_source_name(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || c == '-'))) return false;
    }
    return name.len > 0 && name.len <= SOURCE_NAME_SIZE_MAX && !str_eq(name, STR("default"));
}

bool config_split_address(struct str text, char *ret_host, size_t size, uint16_t *ret_port) {
    char host[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    struct str name, digits;
    uint64_t port;
    bool six = str_starts(text, STR("["));
    if (six) {
        if (!str_cut(str_from_index(text, 1), ']', &name, &digits) || !str_starts(digits, STR(":"))) return false;
        digits = str_from_index(digits, 1);
    } else if (!str_cut(text, ':', &name, &digits)) {
        return false;
    }
    if (name.len >= sizeof host || name.len >= size || str_has(name, '\0')) return false;
    if (name.len > 0) memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, host, address) != 1) return false;
    if (digits.len > 5 || !str_u64(digits, UINT16_MAX, &port)) return false;
    memcpy(ret_host, host, name.len + 1);
    *ret_port = (uint16_t)port;
    return true;
}
