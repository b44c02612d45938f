/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a function, from the JSON of its one secret. Read by slices (codec/json), so that no tree of
 * decoded texts is left in the heap; what is a secret in it goes into secret memory at once.
 *
 * A file that is wrong keeps a server from starting, where somebody looks. Here nobody looks: what is wrong with one
 * source is a warning, and that source stands in the list without a secret, so that its webhooks are answered 503 and
 * come again, while the others go on. Only a secret that is not of the form at all is an error. Nothing that stands in
 * the secret is repeated but names of sources and settings. */
#include "core/config_build.h"

#include "base/os.h"
#include "codec/json.h"
#include "core/secrets_aws.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Judges nothing itself: a source of this row without a secret is answered 503. */
#define PROVIDER_OF_BROKEN "hub-sha256"

struct build {
    struct config *config;
    config_warn *warn;
    void *context;
};

__attribute__((format(printf, 3, 4))) static void warn(const struct build *b, struct str source, const char *format,
                                                       ...) {
    char memory[2048], text[1536];
    struct writer w = writer_make(memory, sizeof memory);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut off where too long */
    va_end(arguments);
    writer_put(&w, source.ptr == NULL ? STR("the secret") : STR("source "));
    writer_put(&w, source);
    writer_put(&w, STR(": "));
    writer_put(&w, str_from(text));
    if (b->warn != NULL) b->warn(b->context, writer_str(&w));
}

/* A decoded JSON text that the configuration owns; "" where it is empty. */
static struct err keep_text(struct build *b, struct str raw, size_t size_max, struct str *ret_text) {
    struct str text;
    TRY(secret_json_text(raw, size_max, &text));
    if (text.len > 0) TRY(config_keep_secret(b->config, text));
    *ret_text = text;
    return err_ok();
}

/* One text, or a list of them, as secrets that judge has judged. quiet: what is left out is nobody's concern. */
static struct err take_secrets(struct build *b, const struct source *judge, const struct json_value *value, bool quiet,
                               struct secret (*ret_secrets)[SOURCE_SECRETS_MAX], uint32_t *ret_count) {
    struct json_value item = *value;
    size_t position = 0;
    bool list = value->type == JSON_TYPE_ARRAY, left_over = false;
    struct str name = quiet || judge->name.len == 0 ? STR_NONE : judge->name;
    *ret_count = 0;
    while (list ? json_array_next(value->raw, &position, &item) : *ret_count == 0) {
        struct secret secret = {.fault = "is no text"};
        if (*ret_count == SOURCE_SECRETS_MAX) {
            left_over = true;
            break;
        }
        if (item.type == JSON_TYPE_STRING) {
            struct err kept = keep_text(b, item.raw, SECRET_SIZE_MAX, &secret.text);
            if (kept.kind == ERR_MEMORY) return kept;
            if (err_is(kept))
                secret = (struct secret){.fault = "is no text, or too long"};
            else
                secret.fault = secret.text.len == 0 ? "is empty" : source_secret_fault(judge, secret.text, false);
        }
        if (secret.fault != NULL && !quiet)
            warn(b, name, "secret %u is left out: it %s", (unsigned)*ret_count, secret.fault);
        (*ret_secrets)[(*ret_count)++] = secret;
    }
    if (left_over && !quiet) warn(b, name, "the secrets after the first %d are left out", SOURCE_SECRETS_MAX);
    return err_ok();
}

/* Why one setting cannot be used, in message; ERR_MEMORY aside, an error breaks its source only. */
static struct err take_setting(struct build *b, struct source *source, struct str name, const struct json_value *value,
                               struct writer *message) {
    struct str text = value->raw;
    if (value->type == JSON_TYPE_STRING) {
        TRY(keep_text(b, value->raw, SECRET_SIZE_MAX, &text));
    } else if (value->type == JSON_TYPE_NUMBER) {
        char *kept;
        TRY(config_keep(b->config, value->raw, &kept));
        text = str_make(kept, value->raw.len);
    } else {
        writer_put(message, STR("a setting is a text or a number"));
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    for (size_t i = 0; provider_setting_at(i) != NULL; i++) {
        if (str_eq(name, str_from(provider_setting_at(i))))
            return source_set(source, name, text, message) ? err_ok() : err_make(ERR_INPUT, 0, "use the secret");
    }
    /* Not named: it may be a secret in the wrong place. */
    writer_put(message, STR("it has a member that is neither provider, secrets nor a setting"));
    return err_make(ERR_INPUT, 0, "use the secret");
}

static struct err take_members(struct build *b, struct source *source, const struct json_value *object,
                               struct writer *message) {
    struct json_value name, value, secrets = {.type = JSON_TYPE_NONE};
    size_t position = 0;
    char memory[256];
    source->row = NULL;
    for (int pass = 0; pass < 2; pass++) {
        position = 0;
        while (json_object_next(object->raw, &position, &name, &value)) {
            struct arena arena = arena_make(memory, sizeof memory);
            struct str word;
            bool full;
            if (!json_string_decode(name.raw, &arena, &word, &full)) word = STR("?");
            bool provider = str_eq(word, STR("provider")), is_secrets = str_eq(word, STR("secrets"));
            if (pass == 0 && provider) {
                struct str text = STR("");
                if (value.type == JSON_TYPE_STRING) TRY(keep_text(b, value.raw, SECRET_SIZE_MAX, &text));
                source->row = provider_find(text);
            }
            if (pass == 1 && is_secrets) secrets = value;
            if (pass == 1 && !provider && !is_secrets) TRY(take_setting(b, source, word, &value, message));
        }
        if (source->row == NULL) {
            writer_put(message, STR("it needs \"provider\", one of the names that payhook verify --help lists"));
            return err_make(ERR_INPUT, 0, "use the secret");
        }
    }
    if (!source_check(source, message)) return err_make(ERR_INPUT, 0, "use the secret");
    uint32_t good = 0;
    if (secrets.type != JSON_TYPE_NONE)
        TRY(take_secrets(b, source, &secrets, false, &source->secrets, &source->secret_count));
    for (uint32_t i = 0; i < source->secret_count; i++)
        good += source->secrets[i].fault == NULL;
    if (good == 0 && source_needs_secret(source))
        warn(b, source->name, "it has no usable secret; /hooks/%.*s answers 503 until it has one",
             STR_ARG(source->name));
    return err_ok();
}

static struct err take_source(struct build *b, const struct json_value *name, const struct json_value *value) {
    struct config *config = b->config;
    struct source *source = &config->sources[config->source_count];
    struct str text;
    struct err kept = keep_text(b, name->raw, SECRET_SIZE_MAX, &text);
    if (kept.kind == ERR_MEMORY) return kept;
    if (err_is(kept) || !config_is_source_name(text)) {
        warn(b, STR_NONE,
             "a source is left out, since its name is not a lower-case letter, then at most 62 lower-case letters, "
             "digits and '-' (default is the built-in source)");
        return err_ok();
    }
    for (uint32_t i = 0; i < config->source_count; i++) {
        if (!str_eq(config->sources[i].name, text)) continue;
        warn(b, text, "it stands there twice; the first one counts");
        return err_ok();
    }
    *source = (struct source){.name = text};
    config->source_count++;
    char memory[1024];
    struct writer why = writer_make(memory, sizeof memory);
    struct err result = err_make(ERR_INPUT, 0, "use the secret");
    if (value->type == JSON_TYPE_OBJECT)
        result = take_members(b, source, value, &why);
    else
        writer_put(&why, STR("it is no object"));
    if (!err_is(result) || result.kind == ERR_MEMORY) return result;
    if (why.len == 0) writer_put(&why, STR("a text in it is no text, or too long"));
    warn(b, text, "%s; /hooks/%.*s answers 503 until that is put right", writer_cstr(&why), STR_ARG(text));
    *source = (struct source){.name = text, .row = provider_find(STR(PROVIDER_OF_BROKEN))};
    check(source->row != NULL);
    return err_ok();
}

static struct err take_sources(struct build *b, const struct json_value *sources, struct writer *message) {
    struct json_value name, value;
    size_t position = 0, count = 0;
    if (sources->type == JSON_TYPE_NONE) return err_ok();
    if (sources->type != JSON_TYPE_OBJECT) {
        writer_put(message, STR("\"sources\" is no object"));
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    while (json_object_next(sources->raw, &position, &name, &value))
        count++;
    if (count > SOURCES_MAX) {
        writer_format(message, "there are more than %d sources", SOURCES_MAX);
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    if (count == 0) return err_ok();
    b->config->sources = calloc(count, sizeof *b->config->sources);
    if (b->config->sources == NULL) return err_make(ERR_MEMORY, 0, "keep the configuration");
    position = 0;
    while (json_object_next(sources->raw, &position, &name, &value))
        TRY(take_source(b, &name, &value));
    config_sort_sources(b->config);
    return err_ok();
}

static struct err take_json(struct build *b, struct str json, struct writer *message) {
    struct json_pointer root, key, sources;
    bool good = json_pointer_compile(STR(""), &root) && json_pointer_compile(STR("/api_key"), &key) &&
                json_pointer_compile(STR("/sources"), &sources);
    check(good);
    const struct json_pointer *pointers[] = {&root, &key, &sources};
    struct json_value found[3];
    enum json_result result = json_scan(json, pointers, 3, found);
    if (result != JSON_OK || found[0].type != JSON_TYPE_OBJECT) {
        writer_format(message, "it is no JSON object%s%s", result != JSON_OK ? ": " : "",
                      result != JSON_OK ? json_result_text(result) : "");
        return err_make(ERR_INPUT, 0, "use the secret");
    }
    struct config *config = b->config;
    const struct source judge = {.name = STR(""), .row = provider_find(STR("api-key"))};
    check(judge.row != NULL);
    if (found[1].type != JSON_TYPE_NONE)
        TRY(take_secrets(b, &judge, &found[1], !config->require_api_key, &config->api_keys, &config->api_key_count));
    else if (config->require_api_key)
        warn(b, STR_NONE, "it has no api_key, which PAYHOOK_REQUIRE_API_KEY asks for: POST / answers 503");
    return take_sources(b, &found[2], message);
}

struct err config_from_secret(struct str json, const struct config_function *function, config_warn *warning,
                              void *context, struct writer *message, struct config **ret_config) {
    struct build b = {.config = config_make(), .warn = warning, .context = context};
    if (b.config == NULL) return err_make(ERR_MEMORY, 0, "keep the configuration");
    struct config *config = b.config;
    const struct {
        const char *text;
        char **place;
    } texts[] = {
        {function->store, &config->store},
        {function->environment, &config->environment},
        {function->processed_by, &config->processed_by},
        {"", &config->listen},
        {"", &config->admin},
        {"", &config->data},
        {"us-east-1", &config->iam_region}, /* AWS has checked who calls */
        {"lambda", &config->iam_service},
    };
    struct err result = err_ok();
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !err_is(result); i++)
        result = config_keep(config, str_from(texts[i].text), texts[i].place);
    config->require_api_key = function->require_api_key;
    config->limits.body_size_max = BODY_SIZE_MAX;
    config->default_source = (struct source){.name = STR("default"), .row = provider_find(STR("iam"))};
    check(config->default_source.row != NULL);
    config->sources_unknown = json.ptr == NULL;
    if (!err_is(result) && json.ptr != NULL) result = take_json(&b, json, message);
    if (err_is(result)) {
        if (result.kind == ERR_MEMORY) writer_put(message, STR("no memory for the configuration"));
        config_release(config);
        return result;
    }
    *ret_config = config;
    return result;
}
