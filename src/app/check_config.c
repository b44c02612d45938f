/* SPDX-License-Identifier: Apache-2.0 */
/* payhook check-config: what a server would make of the configuration, without starting one. */
#include "app/options.h"
#include "app/tls.h"

#include <stdio.h>

static void warn(void *context, struct str sentence) {
    uint32_t *warnings = context;
    ++*warnings;
    fprintf(stderr, "payhook: warning: %.*s\n", STR_ARG(sentence));
}

static uint32_t usable_secrets(const struct source *source) {
    uint32_t usable = 0;
    for (uint32_t i = 0; i < source->secret_count; i++)
        usable += source->secrets[i].fault == NULL;
    return usable;
}

int command_check_config(const struct options *options) {
    char text[2048];
    struct writer message = writer_make(text, sizeof text);
    struct config_overrides overrides = option_overrides(options);
    struct config *config;
    uint32_t warnings = 0;
    if (err_is(config_load(&overrides, warn, &warnings, &message, &config)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    struct tls *tls = NULL;
    if (config->tls_certificate != NULL && err_is(tls_load(config->tls_certificate, config->tls_key, &message, &tls))) {
        config_release(config);
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    }
    tls_release(tls);
    printf("configuration  %s\ndata           %s\nstore          %s\nlisten         %s%s\nadmin          %s\nkeys      "
           "     %u for POST /\n",
           config->file != NULL ? config->file : "none: defaults", config->data, config->store, config->listen,
           config->tls_certificate != NULL ? ", TLS" : "", config->admin[0] != '\0' ? config->admin : "none",
           (unsigned)config->keys.count);
    for (uint32_t i = 0; i < config->source_count; i++) {
        const struct source *source = &config->sources[i];
        printf("source         %.*s: %s, %u of %u secrets usable\n", STR_ARG(source->name), provider_name(source->row),
               (unsigned)usable_secrets(source), (unsigned)source->secret_count);
    }
    config_release(config);
    if (warnings > 0) return complain(EXIT_FAILED, "%u warnings: what they name is left out", (unsigned)warnings);
    printf("no warnings\n");
    return EXIT_DONE;
}
