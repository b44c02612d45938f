/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file, through everything but files: the rewriting, libconfuse, our tables, the
 * providers' settings. Either a configuration with its sources in order comes out, or one sentence with the file's
 * name; never a secret in it. Seeds: any payhook.conf. */
#include "base/limits.h"
#include "base/os.h"
#include "codec/text.h"
#include "core/config.h"
#include "core/secrets.h"

/* The secret, another one each time: a fixed one the fuzzer learns to write, since a name may be shown. */
static char canary[24];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of the references are good. */
static struct err read_stub(void *reader, struct str reference, struct writer *message,
                            struct secret_texts *ret_texts) {
    (void)reader; /* there is none */
    if (!secret_is_reference(reference)) return secret_read(reference, message, &ret_texts->texts[0]);
    if (reference.len % 2 != 0) {
        writer_put(message, STR("it is nowhere"));
        return err_make(ERR_ABSENT, 0, "read the secret");
    }
    struct str secret = str_make(canary, sizeof canary);
    char *copy = os_secret_alloc(secret.len);
    check(copy != NULL);
    memcpy(copy, secret.ptr, secret.len);
    *ret_texts = (struct secret_texts){.texts = {str_make(copy, secret.len)}, .count = 1};
    return err_ok();
}

static void check_sentence(struct str sentence) {
    check(sentence.len > 0);
    check(!str_has_control(sentence));
    check(memmem(sentence.ptr, sentence.len, canary, sizeof canary) == NULL);
}

static void note(void *context, struct str sentence) {
    (void)context; /* there is none */
    check_sentence(sentence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct config_overrides overrides = {.data = "data"};
    struct str text = str_make((const char *)data, size);
    uint8_t bytes[sizeof canary / 2];
    os_random(bytes, sizeof bytes);
    struct writer w = writer_make(canary, sizeof canary);
    text_hex_write(&w, bytes, sizeof bytes);
    char memory[65536];
    struct writer message = writer_make(memory, sizeof memory);
    struct config *config = NULL;
    struct err result = config_parse(text, "f", &overrides, read_stub, NULL, note, NULL, &message, &config);
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
