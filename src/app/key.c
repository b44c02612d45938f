/* SPDX-License-Identifier: Apache-2.0 */
/* payhook key: the key pairs that may sign POST /. */
#include "app/print.h"
#include "base/os.h"
#include "core/keys.h"

struct place_of_keys {
    struct config *config;
    bool json;
};

static int add(const struct place_of_keys *place, struct str name) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct err made = os_private_dir(place->config->data);
    if (err_is(made)) return complain(EXIT_FAILED, "cannot %s: %s", made.where, place->config->data);
    struct key_pair pair;
    if (err_is(keys_add(place->config->data, name, os_wall_us() / 1000000, &message, &pair)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    if (place->json)
        printf("{\"name\": \"%s\", \"access_key_id\": \"%s\", \"secret_access_key\": \"%s\"}\n", pair.name,
               pair.access_key_id, pair.secret);
    else
        printf("name               %s\naccess key id      %s\nsecret access key  %s\n\nThe secret is not shown again. "
               "Sign for region %s, service %s.\n",
               pair.name, pair.access_key_id, pair.secret, place->config->iam_region, place->config->iam_service);
    os_wipe(&pair, sizeof pair);
    return EXIT_DONE;
}

static int list(const struct place_of_keys *place) {
    const struct keys *keys = &place->config->keys;
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct key_pair *pair = &keys->pairs[i];
        if (place->json)
            printf("{\"name\": \"%s\", \"access_key_id\": \"%s\", \"created\": %lld}\n", pair->name,
                   pair->access_key_id, (long long)pair->created_s);
        else
            printf("%-24s %s\n", pair->name, pair->access_key_id);
    }
    return EXIT_DONE;
}

static int remove_key(const struct place_of_keys *place, struct str name) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    if (err_is(keys_remove(place->config->data, name, &message)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    return EXIT_DONE;
}

static void ignore(void *context, struct str sentence) {
    (void)context, (void)sentence; /* other secrets do not matter here */
}

int command_key(const struct options *options) {
    struct str verb = str_from(options->words[0]);
    bool needs_name = !str_eq(verb, STR("list"));
    if (needs_name && !str_eq(verb, STR("add")) && !str_eq(verb, STR("remove")))
        return complain(EXIT_USAGE, "key takes add, list or remove, not \"%s\"", options->words[0]);
    if (needs_name != (options->word_count == 2))
        return complain(EXIT_USAGE, needs_name ? "key %s needs a name" : "key %s takes no name", options->words[0]);
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config_overrides overrides = option_overrides(options);
    struct place_of_keys place = {.json = option_set(options, OPTION_JSON)};
    if (err_is(config_load(&overrides, ignore, NULL, &message, &place.config)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    int code = !needs_name                ? list(&place)
               : str_eq(verb, STR("add")) ? add(&place, str_from(options->words[1]))
                                          : remove_key(&place, str_from(options->words[1]));
    config_release(place.config);
    return code;
}
