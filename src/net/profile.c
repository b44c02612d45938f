/* SPDX-License-Identifier: Apache-2.0 */
/* The two forms in which credentials are given: the INI form of the shared files ("AWS SDKs and Tools Reference Guide",
 * Shared config and credentials files) and the JSON of the container's and the machine's endpoint. Pure functions. */
#include "net/profile.h"

#include "base/err.h"
#include "codec/json.h"
#include "codec/text.h"

/* One row a setting that we read. */
static const struct {
    struct str name;
    size_t place; /* in struct profile */
} settings[] = {
#define PLACE(member) offsetof(struct profile, member)
    {{"aws_access_key_id", 17}, PLACE(access_key_id)},
    {{"aws_secret_access_key", 21}, PLACE(secret)},
    {{"aws_session_token", 17}, PLACE(session_token)},
    {{"region", 6}, PLACE(region)},
    {{"role_arn", 8}, PLACE(elsewhere)},
    {{"sso_session", 11}, PLACE(elsewhere)},
    {{"sso_start_url", 13}, PLACE(elsewhere)},
    {{"credential_process", 18}, PLACE(elsewhere)},
    {{"login_session", 13}, PLACE(elsewhere)},
#undef PLACE
};

static void take_setting(struct str line, struct profile *profile) {
    struct str name, value;
    if (!str_cut(line, '=', &name, &value)) return;
    name = str_trim(name);
    value = str_trim(value);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!str_eq_nocase(name, settings[i].name)) continue;
        struct str *place = (struct str *)(void *)((char *)profile + settings[i].place);
        if (settings[i].place == offsetof(struct profile, elsewhere))
            *place = settings[i].name;
        else
            *place = value;
    }
}

/* "[name]"; in the configuration "[profile name]", or "[default]". */
static bool is_section(struct str line, struct str name, bool in_config) {
    struct str inside, rest;
    if (!str_cut(str_from_index(line, 1), ']', &inside, &rest)) return false;
    inside = str_trim(inside);
    if (in_config && str_starts(inside, STR("profile")) && inside.len > 7 &&
        (inside.ptr[7] == ' ' || inside.ptr[7] == '\t'))
        return str_eq(str_trim(str_from_index(inside, 7)), name);
    if (in_config && !str_eq(name, STR("default"))) return false;
    return str_eq(inside, name);
}

void profile_read(struct str text, struct str name, bool in_config, struct profile *profile) {
    bool inside = false;
    struct str line, rest = text;
    while (rest.len > 0) {
        if (!str_cut(rest, '\n', &line, &rest)) {
            line = rest;
            rest = STR_NONE;
        }
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';') continue;
        if (line.ptr[0] == '[') {
            inside = is_section(line, name, in_config);
            profile->found = profile->found || inside;
        } else if (inside && line.ptr[0] != ' ' && line.ptr[0] != '\t') {
            take_setting(line, profile);
        }
    }
}

/* "2026-11-23T19:08:50Z", with or without a fraction. */
static bool read_time(struct str text, int64_t *ret_s) {
    char plain[16];
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-' || c == ':') continue;
        if (c == '.') {
            while (i + 1 < text.len && text.ptr[i + 1] >= '0' && text.ptr[i + 1] <= '9')
                i++;
            continue;
        }
        if (used == sizeof plain) return false;
        plain[used++] = c;
    }
    return text_amz_date_read(str_make(plain, used), ret_s);
}

bool credential_is_good(struct str s) { return s.len <= CREDENTIAL_TOKEN_SIZE_MAX && !str_has_control(s); }

bool endpoint_credentials_read(struct str body, struct arena *arena, struct endpoint_credentials *ret_credentials) {
    static const struct str names[] = {
        {"/AccessKeyId", 12}, {"/SecretAccessKey", 16}, {"/Token", 6}, {"/Expiration", 11}};
    enum { COUNT = sizeof names / sizeof names[0] };
    struct json_pointer pointers[COUNT];
    const struct json_pointer *list[COUNT];
    struct json_value values[COUNT];
    struct str texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        check(json_pointer_compile(names[i], &pointers[i]));
        list[i] = &pointers[i];
    }
    if (json_scan(body, list, COUNT, values) != JSON_OK) return false;
    for (size_t i = 0; i < COUNT; i++) {
        bool full;
        texts[i] = STR("");
        if (values[i].type == JSON_TYPE_NONE || values[i].type == JSON_TYPE_NULL) continue;
        if (values[i].type != JSON_TYPE_STRING || !json_string_decode(values[i].raw, arena, &texts[i], &full) ||
            !credential_is_good(texts[i]))
            return false;
    }
    struct endpoint_credentials found = {{texts[0], texts[1], texts[2]}, INT64_MAX};
    if (texts[0].len == 0 || texts[1].len == 0) return false;
    if (texts[3].len > 0 && !read_time(texts[3], &found.expires_s)) return false;
    *ret_credentials = found;
    return true;
}
