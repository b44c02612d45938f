/* SPDX-License-Identifier: Apache-2.0 */
/* Reads no service and decides nothing that AWS decides; but what can be said about a value here is said here, before
 * anything is asked. */
#include "app/stack_wanted.h"

#include <stdio.h>
#include <unistd.h>

enum {
    TAG_KEY_MAX = 128,
    TAG_VALUE_MAX = 256
}; /* characters (AWS General Reference, "Tag naming limits"): bytes here */

static const struct stack_pair always[] = {
    {{"Environment", 11}, {"prod", 4}},
    {{"MigrationPhase", 14}, {"testing", 7}},
};
enum { ALWAYS_COUNT = sizeof always / sizeof always[0] };

static bool bad(struct writer *message, int *ret_code, const char *before, const char *value, const char *after) {
    writer_put(message, str_from(before));
    writer_escaped(message, str_from(value));
    writer_put(message, str_from(after));
    *ret_code = EXIT_USAGE;
    return false;
}

static struct str deployed(const struct stack_description *stack, struct str key) {
    return stack->exists ? stack_pair_value(stack->parameters, stack->parameter_count, key) : STR("");
}

/* -- Tags ------------------------------------------------------------------------------------------------ */

static bool is_always(struct str key) {
    for (size_t i = 0; i < ALWAYS_COUNT; i++)
        if (str_eq(always[i].key, key)) return true;
    return false;
}

/* A key given again replaces the one before. */
static bool put_tag(struct wanted *wanted, struct stack_pair tag) {
    for (size_t i = 0; i < wanted->tag_count; i++) {
        if (!str_eq(wanted->tags[i].key, tag.key)) continue;
        wanted->tags[i] = tag;
        return true;
    }
    if (wanted->tag_count == STACK_TAGS_MAX) return false;
    wanted->tags[wanted->tag_count++] = tag;
    return true;
}

static bool read_tags(const struct options *options, const struct stack_description *stack, struct writer *message,
                      struct wanted *wanted, int *ret_code) {
    const char *text;
    bool given = option_at(options, OPTION_TAG, 0) != NULL, fits = true;
    for (size_t i = 0; fits && (text = option_at(options, OPTION_TAG, i)) != NULL; i++) {
        struct stack_pair tag;
        if (!str_cut(str_from(text), '=', &tag.key, &tag.value) || tag.key.len == 0)
            return bad(message, ret_code, "--tag takes KEY=VALUE, not \"", text, "\"");
        if (str_starts(tag.key, STR("aws:")))
            return bad(message, ret_code, "--tag \"", text, "\": keys that begin with aws: are AWS's own");
        if (tag.key.len > TAG_KEY_MAX || tag.value.len > TAG_VALUE_MAX)
            return bad(message, ret_code, "--tag \"", text,
                       "\" is longer than AWS takes: 128 characters for a key, 256 for a value");
        if (!is_always(tag.key)) fits = put_tag(wanted, tag);
    }
    for (size_t i = 0; !given && fits && stack->exists && i < stack->tag_count; i++)
        if (!is_always(stack->tags[i].key)) fits = put_tag(wanted, stack->tags[i]);
    for (size_t i = 0; fits && i < ALWAYS_COUNT; i++)
        fits = put_tag(wanted, always[i]);
    if (fits) return true;
    writer_format(message,
                  "there are more than %d tags, which is all that CloudFormation takes; Environment and "
                  "MigrationPhase are two of them",
                  STACK_TAGS_MAX);
    *ret_code = EXIT_USAGE;
    return false;
}

/* -- Parameters ------------------------------------------------------------------------------------------ */

/* "*", or a scheme, a host and perhaps a port: what the template's AllowedPattern takes. */
static bool is_origin(struct str origin) {
    if (str_eq(origin, STR("*"))) return true;
    size_t scheme = str_starts(origin, STR("https://")) ? 8 : str_starts(origin, STR("http://")) ? 7 : 0;
    if (scheme == 0) return false;
    struct str host = str_from_index(origin, scheme), port = STR("0");
    (void)str_cut(host, ':', &host, &port);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '-') return false;
    }
    uint64_t number;
    return host.len > 0 && port.len <= 5 && str_u64(port, UINT16_MAX, &number);
}

static bool read_origins(const struct options *options, const struct stack_description *stack, struct writer *message,
                         struct wanted *wanted, int *ret_code) {
    const char *text;
    struct writer w = writer_make(wanted->origins_text, sizeof wanted->origins_text);
    for (size_t i = 0; (text = option_at(options, OPTION_CORS_ORIGIN, i)) != NULL; i++) {
        if (!is_origin(str_from(text)))
            return bad(message, ret_code, "\"", text,
                       "\" is no origin of web pages: --cors-origin takes * or https://shop.example, without a path");
        if (i > 0) writer_char(&w, ',');
        writer_put(&w, str_from(text));
    }
    if (w.overflow) {
        writer_put(message, STR("there are too many --cors-origin: CloudFormation takes 4096 characters of them"));
        *ret_code = EXIT_USAGE;
        return false;
    }
    wanted->cors_origins = w.len > 0 ? writer_str(&w) : deployed(stack, STR("CorsOrigins"));
    if (wanted->cors_origins.len == 0) wanted->cors_origins = STR("*");
    return true;
}

/* The one of the words that is given, else deployed, else the first. */
static bool read_word(const char *given, struct str there, const char *const words[2], const char *what,
                      struct writer *message, const char **ret_word, int *ret_code) {
    struct str value = given != NULL ? str_from(given) : there.len > 0 ? there : str_from(words[0]);
    for (size_t i = 0; i < 2; i++) {
        if (!str_eq(value, str_from(words[i]))) continue;
        *ret_word = words[i];
        return true;
    }
    writer_format(message, "%s is %s or %s, not \"", what, words[0], words[1]);
    writer_escaped(message, value);
    writer_char(message, '"');
    if (given == NULL) writer_put(message, STR(", which the stack has: say which it shall be"));
    *ret_code = given != NULL ? EXIT_USAGE : EXIT_FAILED;
    return false;
}

bool wanted_read(const struct options *options, const struct stack_description *stack, const char *own_bucket,
                 struct writer *message, struct wanted *ret_wanted, int *ret_code) {
    static const char *const archs[] = {"x86_64", "arm64"}, *const auths[] = {"AWS_IAM", "NONE"};
    struct wanted *wanted = ret_wanted;
    const char *auth;
    *wanted = (struct wanted){.arch = NULL};
    if (!read_word(option_value(options, OPTION_ARCH), deployed(stack, STR("Architecture")), archs, "--arch", message,
                   &wanted->arch, ret_code) ||
        !read_word(option_value(options, OPTION_AUTH), deployed(stack, STR("UrlAuthType")), auths, "--auth", message,
                   &auth, ret_code) ||
        !read_origins(options, stack, message, wanted, ret_code) ||
        !read_tags(options, stack, message, wanted, ret_code))
        return false;
    wanted->auth = str_from(auth);
    const char *bucket = option_value(options, OPTION_BUCKET);
    struct str name = bucket != NULL ? str_from(bucket) : deployed(stack, STR("ArtifactBucket"));
    struct writer w = writer_make(wanted->bucket_text, sizeof wanted->bucket_text);
    writer_put(&w, name);
    bool ours = (bucket == NULL && name.len == 0) || str_eq(name, str_from(own_bucket));
    wanted->bucket = ours ? NULL : writer_cstr(&w);
    return true;
}

void wanted_place(struct wanted *wanted, const char *suffix, const char *bucket, const char *key) {
    const struct stack_pair parameters[WANTED_PARAMETERS] = {
        {STR("EnvironmentSuffix"), str_from(suffix)}, {STR("ArtifactBucket"), str_from(bucket)},
        {STR("ArtifactKey"), str_from(key)},          {STR("Architecture"), str_from(wanted->arch)},
        {STR("UrlAuthType"), wanted->auth},           {STR("CorsOrigins"), wanted->cors_origins},
    };
    memcpy(wanted->parameters, parameters, sizeof parameters);
}

/* -- The zip --------------------------------------------------------------------------------------------- */

bool wanted_zip(const struct options *options, const char *arch, const char *program, struct writer *message,
                char ret_path[PATH_MAX]) {
    /* Beside the program; PREFIX/bin and PREFIX/share; build/src/app and build. */
    static const char *const folders[] = {"", "../share/payhook/", "../../"};
    const char *given = option_value(options, OPTION_ZIP), *slash = strrchr(program, '/');
    int folder = slash != NULL ? (int)(slash - program) + 1 : 0;
    if (given != NULL) {
        if (snprintf(ret_path, PATH_MAX, "%s", given) < PATH_MAX) return true;
        writer_put(message, STR("--zip is longer than a path can be"));
        return false;
    }
    bool built = str_ends(str_make(program, (size_t)folder), STR("/src/app/"));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] - !built; i++) {
        int size = snprintf(ret_path, PATH_MAX, "%.*s%spayhook-lambda-%s.zip", folder, program, folders[i], arch);
        if (size > 0 && size < PATH_MAX && access(ret_path, F_OK) == 0) return true;
    }
    writer_format(message,
                  "payhook-lambda-%s.zip, the function, is not beside this program: make lambda%s builds it, or "
                  "name one with --zip FILE",
                  arch, strcmp(arch, "x86_64") == 0 ? "" : " ARCH=arm64");
    return false;
}
