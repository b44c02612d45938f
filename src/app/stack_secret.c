/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack secret set: an operator's keys, from files or the environment into the stack's secret. What a function
 * would make of the new document is decided by the function's own reader (core/config_secret) before it is written. No
 * value is printed, and none is left in a core dump. */
#include "app/stack.h"

#include "base/nearest.h"
#include "codec/json.h"
#include "stack/secret.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define API_KEY "api_key"

struct setting {
    struct stack_run *run;
    struct secret_change change;
    struct secret_reader reader;
    struct str values[SOURCE_SECRETS_MAX]; /* secret memory */
    bool is_api_key;
    char fault[2048]; /* what the function's reader says of this source */
    bool is_new;
};

static bool usage_error(struct setting *setting, int *ret_code) {
    *ret_code = stack_complain(setting->run, EXIT_USAGE);
    return false;
}

/* -- What is given --------------------------------------------------------------------------------------- */

/* Without the server's limits: the process keeps secrets for a moment. */
static bool keep_from_dumps(struct stack_run *run) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0) return true;
    writer_put(&run->message, STR("core dumps cannot be switched off"));
    return false;
}

static bool read_source(struct setting *setting, int *ret_code) {
    struct stack_run *run = setting->run;
    struct str source = str_from(run->word);
    setting->is_api_key = str_eq(source, STR(API_KEY));
    setting->change.source = source;
    if (setting->is_api_key || secret_is_source_name(source)) return true;
    writer_put(&run->message, STR("\""));
    writer_escaped(&run->message, source);
    writer_put(&run->message, STR("\" is no source: a name is a lower-case letter, then lower-case letters, digits and "
                                  "'-' (not default), or it is api_key"));
    return usage_error(setting, ret_code);
}

static bool read_provider(struct setting *setting, int *ret_code) {
    struct stack_run *run = setting->run;
    const char *given = option_value(run->options, OPTION_PROVIDER);
    struct str source = setting->change.source;
    if (setting->is_api_key && given != NULL) {
        writer_put(&run->message, STR("api_key has no provider: --provider is for a source"));
        return usage_error(setting, ret_code);
    }
    if (given == NULL) {
        if (provider_find(source) != NULL) setting->change.provider_if_new = source;
        return true;
    }
    setting->change.provider = str_from(given);
    if (provider_find(setting->change.provider) != NULL) return true;
    const char *nearest = nearest_word(setting->change.provider, provider_name_at);
    writer_put(&run->message, STR("there is no provider \""));
    writer_escaped(&run->message, setting->change.provider);
    writer_put(&run->message, STR("\""));
    if (nearest != NULL) writer_format(&run->message, "; did you mean %s?", nearest);
    return usage_error(setting, ret_code);
}

static bool is_setting(struct str name) {
    for (size_t i = 0; provider_setting_at(i) != NULL; i++)
        if (str_eq(name, str_from(provider_setting_at(i)))) return true;
    return false;
}

static bool read_settings(struct setting *setting, int *ret_code) {
    struct stack_run *run = setting->run;
    struct secret_change *change = &setting->change;
    const char *text;
    for (size_t i = 0; (text = option_at(run->options, OPTION_SET, i)) != NULL; i++) {
        struct str key, value;
        if (setting->is_api_key)
            writer_put(&run->message, STR("api_key has no settings: --set is for a source"));
        else if (!str_cut(str_from(text), '=', &key, &value))
            writer_put(&run->message, STR("--set takes KEY=VALUE"));
        else if (!is_setting(key))
            writer_put(&run->message, STR("--set names no setting of a source: payhook.conf(5) lists them"));
        else if (!json_is_utf8(value))
            writer_put(&run->message, STR("a setting is a text in UTF-8"));
        else if (change->setting_count == SECRET_SETTINGS_MAX)
            writer_format(&run->message, "there are more than %d --set", SECRET_SETTINGS_MAX);
        if (run->message.len > 0) return usage_error(setting, ret_code);
        change->settings[change->setting_count].key = key;
        change->settings[change->setting_count++].value = value;
    }
    return true;
}

/* The texts of one reference, each once. False: message says why. */
static bool take_texts(struct setting *setting, const struct secret_texts *texts) {
    struct secret_change *change = &setting->change;
    bool fits = true;
    for (uint32_t i = 0; i < texts->count; i++) {
        fits = fits && change->value_count < SOURCE_SECRETS_MAX;
        if (fits)
            setting->values[change->value_count++] = texts->texts[i];
        else
            secret_done(texts->texts[i]);
    }
    if (!fits) writer_format(&setting->run->message, "a source has at most %d secrets", SOURCE_SECRETS_MAX);
    return fits;
}

static bool read_values(struct setting *setting, int *ret_code) {
    struct stack_run *run = setting->run;
    const char *reference;
    size_t count = 0;
    for (; (reference = option_at(run->options, OPTION_FROM, count)) != NULL; count++) {
        if (secret_is_reference(str_from(reference))) continue;
        /* Not repeated: it may be the secret itself. */
        writer_put(&run->message, STR("--from takes file:PATH or env:NAME: a secret itself is never written on a "
                                      "command line, where everybody on this machine can read it"));
        return usage_error(setting, ret_code);
    }
    if (count == 0) {
        writer_put(&run->message, STR("secret set needs --from file:PATH or --from env:NAME; give it once for each "
                                      "secret that is to count, newest first"));
        return usage_error(setting, ret_code);
    }
    for (size_t i = 0; i < count; i++) {
        struct secret_texts texts;
        reference = option_at(run->options, OPTION_FROM, i);
        bool good = !err_is(secret_reader_read(&setting->reader, str_from(reference), &run->message, &texts));
        if (good && take_texts(setting, &texts)) continue;
        *ret_code = stack_complain(run, EXIT_FAILED);
        return false;
    }
    setting->change.values = setting->values;
    return true;
}

/* -- Whether a function can use it ----------------------------------------------------------------------- */

static void on_fault(void *context, struct str sentence) {
    struct setting *setting = context;
    char memory[SOURCE_NAME_SIZE_MAX + 32];
    struct writer about = writer_make(memory, sizeof memory);
    if (setting->is_api_key)
        writer_put(&about, STR("the secret: "));
    else
        writer_format(&about, "source %.*s: ", STR_ARG(setting->change.source));
    /* The first one about what is set here; what is wrong with others was so before. */
    if (setting->fault[0] != '\0' || !str_starts(sentence, writer_str(&about))) return;
    struct writer w = writer_make(setting->fault, sizeof setting->fault);
    writer_put(&w, str_from_index(sentence, about.len));
    (void)writer_cstr(&w);
}

static bool judge(void *context, struct str document, struct writer *message) {
    struct setting *setting = context;
    const struct config_function function = {
        .store = "", .environment = "prod", .processed_by = "", .require_api_key = setting->is_api_key};
    struct config *config;
    setting->fault[0] = '\0';
    if (err_is(config_from_secret(document, &function, on_fault, setting, message, &config))) return false;
    uint32_t count = config->api_key_count, good = 0;
    const struct secret *secrets = config->api_keys;
    if (!setting->is_api_key) {
        const struct source *source = config_source(config, setting->change.source);
        count = source != NULL ? source->secret_count : 0;
        secrets = source != NULL ? source->secrets : NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        good += secrets[i].fault == NULL;
    config_release(config);
    if (setting->fault[0] == '\0' && good == setting->change.value_count) return true;
    writer_put(message, setting->fault[0] != '\0' ? str_from(setting->fault)
                                                  : STR("it would have fewer secrets than are given"));
    return false;
}

/* -- The command ----------------------------------------------------------------------------------------- */

static void show_json(const void *context, struct show_style style, struct writer *out) {
    const struct setting *setting = context;
    (void)style;
    writer_put(out, STR("{\"secret\": "));
    json_write_string(out, str_from(setting->run->names.secret), false);
    writer_put(out, STR(", \"source\": "));
    json_write_string(out, setting->change.source, false);
    writer_format(out, ", \"secrets\": %zu, \"changed\": %s}\n", setting->change.value_count,
                  setting->is_new ? "true" : "false");
}

static int set(struct setting *setting) {
    struct stack_run *run = setting->run;
    if (!stack_connect(run)) return stack_complain(run, EXIT_FAILED);
    struct err failure = secret_set(run->aws, str_from(run->names.secret), &setting->change, judge, setting,
                                    &run->message, &setting->is_new);
    if (failure.kind == ERR_ABSENT) {
        run->message.len = 0;
        writer_format(&run->message,
                      "there is no secret %s in %s of account %s: payhook stack up --suffix %s --region %s makes it",
                      run->names.secret, aws_region(run->aws), run->account, run->names.suffix, aws_region(run->aws));
    }
    if (err_is(failure)) return stack_complain(run, EXIT_FAILED);
    if (run->json) return stack_print(run, stdout, show_json, setting) ? EXIT_DONE : stack_complain(run, EXIT_FAILED);
    if (!setting->is_new)
        printf("%s has it already as it should be; nothing was written\n", run->names.secret);
    else if (setting->is_api_key)
        printf("api_key is set in %s; the function uses it within %d minutes\n", run->names.secret,
               FUNCTION_SECRET_KEEP_S / 60);
    else
        printf("%s has %zu secret%s in %s; the function uses %s within %d minutes\n", run->word,
               setting->change.value_count, setting->change.value_count == 1 ? "" : "s", run->names.secret,
               setting->change.value_count == 1 ? "it" : "them", FUNCTION_SECRET_KEEP_S / 60);
    return EXIT_DONE;
}

int stack_secret_set(struct stack_run *run) {
    struct setting setting = {.run = run};
    int code;
    if (!keep_from_dumps(run)) return stack_complain(run, EXIT_FAILED);
    if (read_source(&setting, &code) && read_provider(&setting, &code) && read_settings(&setting, &code) &&
        read_values(&setting, &code))
        code = set(&setting);
    for (size_t i = 0; i < setting.change.value_count; i++)
        secret_done(setting.values[i]);
    secret_reader_done(&setting.reader);
    return code;
}
