/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file, through everything but files: the rewriting, libconfuse, our tables, the
 * providers' settings. Either a configuration with its sources in order comes out, or one sentence with the file's
 * name; never a secret in it. Seeds: any payhook.conf. */
#include "base/limits.h"
#include "base/os.h"
#include "core/config.h"
#include "core/secrets.h"

#define CANARY "<canary-4f1d7c2a9b>" /* no escape of a byte ends in < */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of the references are good. */
static struct err read_stub(struct str reference, struct writer *message, struct str *ret_text) {
    if (!secret_is_reference(reference)) return secret_read(reference, message, ret_text);
    if (reference.len % 2 != 0) {
        writer_put(message, STR("it is nowhere"));
        return err_make(ERR_ABSENT, 0, "read the secret");
    }
    struct str secret = STR(CANARY);
    char *copy = os_secret_alloc(secret.len);
    check(copy != NULL);
    memcpy(copy, secret.ptr, secret.len);
    *ret_text = str_make(copy, secret.len);
    return err_ok();
}

static void check_sentence(struct str sentence) {
    check(sentence.len > 0);
    check(!str_has_control(sentence));
    check(memmem(sentence.ptr, sentence.len, CANARY, sizeof CANARY - 1) == NULL);
}

static void note(void *context, struct str sentence) {
    (void)context; /* there is none */
    check_sentence(sentence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct config_overrides overrides = {.data = "data"};
    struct str text = str_make((const char *)data, size);
    if (size > 0 && memmem(data, size, CANARY, sizeof CANARY - 1) != NULL) return 0; /* a name may be shown */
    char memory[65536];
    struct writer message = writer_make(memory, sizeof memory);
    struct config *config = NULL;
    struct err result = config_parse(text, "f", &overrides, read_stub, note, NULL, &message, &config);
    if (err_is(result)) {
        check(result.kind == ERR_INPUT);
        check(config == NULL);
        check(str_starts(writer_str(&message), STR("f:")));
        check_sentence(writer_str(&message));
        return 0;
    }
    check(config->source_count <= SOURCES_MAX);
    for (uint32_t i = 0; i < config->source_count; i++) {
        check(config_is_source_name(config->sources[i].name));
        check(config_source(config, config->sources[i].name) == &config->sources[i]);
        check(i == 0 || str_order(config->sources[i - 1].name, config->sources[i].name) < 0);
    }
    config_release(config);
    return 0;
}
