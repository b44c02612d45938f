/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: their settings and secrets, and the coordinator that asks the row's scheme whether a request is authentic
 * (verify.c) and then what it says (batch.c).
 *
 * Settings are one table (SETTINGS in table.h): names, and where in struct source_settings each is. A value is looked
 * at when it is set, the settings together by source_check, since their order in a file means nothing. */
#include "provider/provider.h"

#include "base/err.h"
#include "base/os.h"
#include "provider/batch.h"
#include "provider/place.h"
#include "provider/table.h"
#include "provider/verify.h"

/* The placeholder that the stack creates its secret with: nothing is configured yet. */
#define SECRET_PLACEHOLDER STR("placeholder_value_replace_in_production")

enum { TOLERANCE_S_MAX = 366 * 86400 };

static const struct {
    const char *name;
    size_t offset;
} settings[] = {
#define X(name, word, member) {word, offsetof(struct source_settings, member)},
    SETTINGS(X)
#undef X
};

const char *provider_setting_at(size_t index) { return index < SETTING_COUNT ? settings[index].name : NULL; }

/* Settings */

static struct str *setting_text(struct source_settings *set, enum setting setting) {
    return (struct str *)(void *)((char *)set + settings[setting].offset);
}

static bool is_one_of(struct str value, const char *const *words, const char *name, struct writer *message) {
    for (size_t i = 0; words[i] != NULL; i++)
        if (str_eq(value, str_from(words[i]))) return true;
    writer_format(message, "%s is one of", name);
    for (size_t i = 0; words[i] != NULL; i++)
        writer_format(message, "%s %s", i > 0 ? "," : "", words[i]);
    return false;
}

static bool complain(struct writer *message, const char *sentence) {
    writer_put(message, str_from(sentence));
    return false;
}

/* "300", "300s", "5m", "4d", "none". */
static bool tolerance_set(struct source_settings *set, struct str value, struct writer *message) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    if (str_eq(value, STR("none"))) {
        set->tolerance_none = true;
        set->tolerance_set = false;
        return true;
    }
    int64_t factor = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units && value.len > 0; i++) {
        if (value.ptr[value.len - 1] != units[i].unit) continue;
        factor = units[i].seconds;
        value.len--;
        break;
    }
    uint64_t number;
    if (!str_u64(value, (uint64_t)(TOLERANCE_S_MAX / factor), &number))
        return complain(message, "tolerance is a time such as 300s, 5m or 4d, at most 366d");
    set->tolerance_set = true;
    set->tolerance_none = false;
    set->tolerance_s = (int64_t)number * factor;
    return true;
}

static bool places_set(struct place_list *list, const char *name, struct str value, struct writer *message) {
    struct place_list parsed;
    struct writer rewind = *message;
    writer_format(message, "%s: ", name);
    if (!place_list_parse(value, &parsed, message)) return false;
    *message = rewind;
    *list = parsed;
    return true;
}

bool source_set(struct source *source, struct str name, struct str value, struct writer *message) {
    static const char *const encodings[] = {"hex", "base64", NULL};
    static const char *const digests[] = {"sha1", "sha256", "sha512", NULL};
    static const char *const key_encodings[] = {"text", "hex", "base64", NULL};
    static const char *const units[] = {"s", "ms", NULL};
    static const char *const environments[] = {"live", "sandbox", NULL};
    struct source_settings *set = &source->settings;
    size_t setting = 0;
    while (setting < SETTING_COUNT && !str_eq(name, str_from(settings[setting].name)))
        setting++;
    bool good = true;
    switch (setting) {
    case SETTING_TOLERANCE: return tolerance_set(set, value, message);
    case SETTING_EVENT_ID: return places_set(&set->event_id, "event_id", value, message);
    case SETTING_EVENT_TYPE: return places_set(&set->event_type, "event_type", value, message);
    case SETTING_TRANSACTION_ID: return places_set(&set->transaction_id, "transaction_id", value, message);
    case SETTING_HEADER:
    case SETTING_TIMESTAMP_HEADER:
    case SETTING_ID_HEADER:
        good = place_is_header_name(value);
        if (!good) writer_format(message, "%s is no header name: letters, digits and \"-\"", settings[setting].name);
        break;
    case SETTING_SEPARATOR:
        good = (value.len == 1 && str_has(STR(",; |:&"), value.ptr[0])) ||
               complain(message, "separator is one of , ; | : & or a blank");
        break;
    case SETTING_ENCODING: good = is_one_of(value, encodings, "encoding", message); break;
    case SETTING_DIGEST: good = is_one_of(value, digests, "digest", message); break;
    case SETTING_KEY_ENCODING: good = is_one_of(value, key_encodings, "key_encoding", message); break;
    case SETTING_TIMESTAMP_UNIT: good = is_one_of(value, units, "timestamp_unit", message); break;
    case SETTING_ENVIRONMENT: good = is_one_of(value, environments, "environment", message); break;
    case SETTING_PREFIX: break;
    case SETTING_COUNT:
        writer_put(message, STR("there is no setting \""));
        writer_escaped(message, name);
        writer_put(message, STR("\""));
        return false;
    default:
        good = value.len > 0;
        if (!good) writer_format(message, "%s is empty", settings[setting].name);
        break;
    }
    if (good) *setting_text(set, (enum setting)setting) = value.ptr != NULL ? value : STR("");
    return good;
}

static uint32_t settings_given(const struct source_settings *set) {
    struct source_settings copy = *set;
    uint32_t given = 0;
    for (uint32_t i = SETTING_TRANSACTION_ID + 1; i < SETTING_COUNT; i++)
        if (setting_text(&copy, (enum setting)i)->ptr != NULL) given |= UINT32_C(1) << i;
    if (set->tolerance_set || set->tolerance_none) given |= SETTING_BIT(TOLERANCE);
    if (set->event_id.count > 0) given |= SETTING_BIT(EVENT_ID);
    if (set->event_type.count > 0) given |= SETTING_BIT(EVENT_TYPE);
    if (set->transaction_id.count > 0) given |= SETTING_BIT(TRANSACTION_ID);
    return given;
}

static bool has_xml(const struct place_list *list) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->places[i].kind == PLACE_XML) return true;
    return false;
}

bool source_check(const struct source *source, struct writer *message) {
    const struct provider_row *row = source->row;
    const struct source_settings *set = &source->settings;
    uint32_t given = settings_given(set);
    if (row->secret_form == SECRET_TOKEN && set->header.ptr == NULL && row->signature_headers[0] == NULL)
        return complain(message, "which header holds the token is not set");
    for (uint32_t i = 0; i < SETTING_COUNT; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if ((given & bit) && !(row->takes & bit)) {
            writer_format(message, "provider %s takes no %s", row->name, settings[i].name);
            return false;
        }
        if ((row->needs & bit) && !(given & bit)) {
            writer_format(message, "provider %s needs %s", row->name, settings[i].name);
            return false;
        }
    }
    bool reads_xml = row->event_type != NULL && str_starts(str_from(row->event_type), STR("xml:"));
    if (!reads_xml && (has_xml(&set->event_id) || has_xml(&set->event_type) || has_xml(&set->transaction_id))) {
        writer_format(message, "provider %s sends no XML: xml: places are not read", row->name);
        return false;
    }
    struct recipe recipe;
    if (!recipe_make(source, message, &recipe)) return false;
    bool has_time = recipe.signs_time || row->signed_text == NULL;
    if (set->tolerance_set && !has_time)
        return complain(message, "tolerance has nothing to measure: signed names no {timestamp}");
    if (set->tolerance_none && has_time && row->past_s_max > 0) {
        writer_format(
            message,
            "tolerance = none: provider %s signs a time, and without a limit an old request could be sent again",
            row->name);
        return false;
    }
    return true;
}

/* Secrets */

static const char *key_fault(const struct provider_row *row, const struct source *source, struct str secret,
                             bool allow_short) {
    if (row->secret_form == SECRET_PAIR) {
        struct str id;
        if (!str_cut(secret, ':', &id, &secret) || id.len == 0) return "is not ACCESS_KEY_ID:SECRET";
        return secret.len < (allow_short ? 1 : SECRET_SIZE_MIN) ? "is shorter than 16 bytes" : NULL;
    }
    if (row->secret_form == SECRET_TOKEN)
        return !allow_short && secret.len < TOKEN_SIZE_MIN ? "is shorter than 8 bytes" : NULL;
    enum key_encoding encoding = row->key_encoding;
    struct recipe recipe;
    if (recipe_make(source, NULL, &recipe)) encoding = recipe.key_encoding;
    uint8_t key[SECRET_SIZE_MAX];
    size_t size = 0;
    bool good = verify_key_bytes(encoding, secret, key, sizeof key, &size);
    os_wipe(key, sizeof key);
    if (!good) return encoding == KEY_HEX ? "is not hex" : "is not base64";
    if (encoding == KEY_SHA1) size = secret.len;
    return size < (allow_short ? 1 : SECRET_SIZE_MIN) ? "is shorter than 16 bytes" : NULL;
}

static bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

const char *source_secret_fault(const struct source *source, struct str secret, bool allow_short) {
    if (secret.len == 0) return "is empty";
    if (secret.len > SECRET_SIZE_MAX) return "is longer than 4096 bytes";
    if (str_eq(secret, SECRET_PLACEHOLDER)) return "is still the placeholder";
    if (is_white(secret.ptr[0]) || is_white(secret.ptr[secret.len - 1])) return "has white space at an end";
    return key_fault(source->row, source, secret, allow_short);
}

bool source_needs_secret(const struct source *source) { return !source->row->no_secret; }

/* The question */

static bool has_usable_secret(const struct source *source) {
    for (uint32_t i = 0; i < source->secret_count; i++)
        if (source->secrets[i].fault == NULL) return true;
    return false;
}

static enum verdict decide(const struct provider_input *input, struct verification *v,
                           struct provider_answer *ret_answer) {
    const struct source *source = input->source;
    const struct provider_row *row = source->row;
    bool iam = row->secret_form == SECRET_PAIR; /* its keys come from elsewhere too, and no key is 403 */
    bool post = str_eq(input->request->method, STR("POST")) || (iam && input->iam_door == IAM_DOOR_INVOKE);
    bool challenged = row->challenge != NULL && str_eq(input->request->method, STR("GET"));
    if (!post && !challenged) {
        v->reason = STR("only POST is answered here");
        return VERDICT_METHOD_NOT_ALLOWED;
    }
    if (!iam && source_needs_secret(source) && !has_usable_secret(source)) {
        v->reason = STR("the source has no usable secret");
        return VERDICT_UNAVAILABLE;
    }
    if (challenged) return row->challenge(input, ret_answer);
    enum verdict verdict = row->verify(input, v);
    if (verdict != VERDICT_ACCEPT) return verdict;
    return row->read != NULL ? row->read(input, v, ret_answer) : batch_read(input, v, ret_answer);
}

void provider_check(const struct provider_input *input, struct provider_answer *ret_answer) {
    const struct provider_row *row = input->source->row;
    struct verification v = {.authenticated = row->authenticated, .matched_secret = -1, .reason = STR("")};
    *ret_answer = (struct provider_answer){.matched_secret = -1, .reason = STR_NONE};
    enum verdict verdict = decide(input, &v, ret_answer);
    ret_answer->verdict = verdict;
    ret_answer->refusal_status = row->refusal_status;
    ret_answer->skew_s = v.skew_s;
    ret_answer->key_url = verdict == VERDICT_NEED_KEY ? v.key_url : STR_NONE;
    if (ret_answer->reason.ptr == NULL) ret_answer->reason = v.reason;
    if (verdict == VERDICT_INTERNAL) ret_answer->reason = STR("the memory of this request is used up");
    if (verdict == VERDICT_ACCEPT) {
        ret_answer->matched_secret = v.matched_secret;
        if (row->reply_body != NULL) ret_answer->reply_body = str_from(row->reply_body);
    } else {
        ret_answer->events = NULL;
        ret_answer->event_count = 0;
    }
}
