/* SPDX-License-Identifier: Apache-2.0 */
/* Schemes. verify_hmac serves most providers: a recipe (row and settings) says which headers it reads, how the list in
 * the signature header is written and which text was signed. Reading comes first and is strict, since a text with two
 * readings would let one request mean two things; then the signature, then the age, so that only a genuine request is
 * called stale.
 *
 * What was signed is put together from slices of the request and never printed anew. Secrets whose fault is named are
 * passed over. Events are not this file's business. */
#include "provider/verify.h"

#include "base/err.h"
#include "base/os.h"
#include "codec/text.h"
#include "provider/iam.h"

#include <stdarg.h>
#include <stdio.h>

enum part_kind { PART_LITERAL, PART_BODY, PART_TIMESTAMP, PART_ID, PART_URL };
struct part {
    enum part_kind kind;
    struct str literal;
};

static const struct {
    const char *text;
    enum part_kind kind;
} placeholders[] = {
    {"{body}", PART_BODY},
    {"{timestamp}", PART_TIMESTAMP},
    {"{id}", PART_ID},
    {"{url}", PART_URL},
};

enum verdict verify_refuse(const struct provider_input *input, struct verification *v, enum verdict verdict,
                           const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    struct str copy = arena_copy(input->arena, str_make(text, size));
    v->reason = copy.ptr != NULL ? copy : str_from(verdict_row(verdict)->word);
    return verdict;
}

/* The recipe */

static bool complain(struct writer *message, const char *sentence) {
    if (message != NULL) writer_put(message, str_from(sentence));
    return false;
}

static bool signed_text_cut(struct str text, struct part *ret_parts, size_t *ret_count, struct writer *message) {
    size_t count = 0;
    uint32_t seen = 0;
    while (text.len > 0) {
        struct part part = {.kind = PART_LITERAL, .literal = STR_NONE};
        size_t size = 0;
        if (text.ptr[0] == '{') {
            for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
                if (!str_starts(text, str_from(placeholders[i].text))) continue;
                part.kind = placeholders[i].kind;
                size = strlen(placeholders[i].text);
            }
            if (size == 0)
                return complain(message,
                                "signed knows {body}, {timestamp}, {id} and {url} in braces, and nothing else");
            if (seen & 1u << part.kind) return complain(message, "signed names one thing twice");
            seen |= 1u << part.kind;
            /* Bytes could move between an id and its neighbour and the signature still be right. */
            bool id_beside = count > 0 && ret_parts[count - 1].kind != PART_LITERAL &&
                             (part.kind == PART_ID || ret_parts[count - 1].kind == PART_ID);
            if (id_beside) return complain(message, "signed has nothing between {id} and its neighbour");
        } else {
            while (size < text.len && text.ptr[size] != '{')
                size++;
            part.literal = str_make(text.ptr, size);
        }
        check(count < RECIPE_PARTS_MAX);
        ret_parts[count++] = part;
        text = str_from_index(text, size);
    }
    if (!(seen & 1u << PART_BODY)) return complain(message, "signed must name {body}: else anybody could change it");
    *ret_count = count;
    return true;
}

static void names_copy(struct str *ret_names, const char *const *row, struct str setting) {
    for (size_t i = 0; i < ROW_HEADERS_MAX; i++)
        ret_names[i] = setting.ptr != NULL ? (i == 0 ? setting : STR_NONE) : str_from(row[i]);
}

static bool same_header(struct str a, struct str b) { return a.ptr != NULL && b.ptr != NULL && str_eq_nocase(a, b); }

bool recipe_make(const struct source *source, struct writer *message, struct recipe *ret_recipe) {
    const struct provider_row *row = source->row;
    const struct source_settings *set = &source->settings;
    struct recipe r = {
        .separator = set->separator.len == 1 ? set->separator.ptr[0] : row->form.separator,
        .joint = row->form.joint,
        .name = str_from(row->form.name),
        .timestamp_name = str_from(row->form.timestamp_name),
        .prefix = set->prefix.ptr != NULL ? set->prefix : str_from(row->form.prefix),
        .prefix_optional = row->form.prefix_optional,
        .encoding = row->form.encoding,
        .digest = row->digest,
        .key_encoding = row->key_encoding,
        .signed_text = set->signed_text.ptr != NULL ? set->signed_text : str_from(row->signed_text),
        .url = set->notification_url,
        .time_unit = row->time_unit,
    };
    names_copy(r.signature_headers, row->signature_headers, set->header);
    names_copy(r.timestamp_headers, row->timestamp_headers, set->timestamp_header);
    names_copy(r.id_headers, row->id_headers, set->id_header);
    if (set->encoding.ptr != NULL) r.encoding = str_eq(set->encoding, STR("base64")) ? SIGNATURE_BASE64 : SIGNATURE_HEX;
    if (str_eq(set->digest, STR("sha1"))) r.digest = DIGEST_SHA1;
    if (str_eq(set->digest, STR("sha512"))) r.digest = DIGEST_SHA512;
    if (str_eq(set->key_encoding, STR("hex"))) r.key_encoding = KEY_HEX;
    if (str_eq(set->key_encoding, STR("base64"))) r.key_encoding = KEY_BASE64;
    if (set->timestamp_unit.ptr != NULL) r.time_unit = str_eq(set->timestamp_unit, STR("ms")) ? TIME_MS : TIME_S;

    if (r.separator != '\0' && str_has(r.prefix, r.separator)) return complain(message, "prefix holds the separator");
    if (r.signed_text.ptr != NULL) {
        struct part parts[RECIPE_PARTS_MAX];
        size_t count;
        if (!signed_text_cut(r.signed_text, parts, &count, message)) return false;
        bool signs_url = false;
        for (size_t i = 0; i < count; i++) {
            r.signs_time |= parts[i].kind == PART_TIMESTAMP;
            r.signs_id |= parts[i].kind == PART_ID;
            signs_url |= parts[i].kind == PART_URL;
        }
        bool time_stands = r.timestamp_headers[0].ptr != NULL || r.timestamp_name.ptr != NULL;
        if (r.signs_time != time_stands)
            return complain(message, "{timestamp} in signed and timestamp_header go together");
        if (set->timestamp_unit.ptr != NULL && !r.signs_time)
            return complain(message, "timestamp_unit needs {timestamp} in signed");
        if (r.signs_id != (r.id_headers[0].ptr != NULL))
            return complain(
                message,
                "{id} in signed and id_header go together; an id outside the signature is event_id = \"header:NAME\"");
        if (signs_url != (r.url.ptr != NULL))
            return complain(message, "{url} in signed and notification_url go together");
        if (same_header(r.signature_headers[0], r.timestamp_headers[0]) ||
            same_header(r.signature_headers[0], r.id_headers[0]) ||
            same_header(r.timestamp_headers[0], r.id_headers[0]))
            return complain(message, "header, timestamp_header and id_header must be different headers");
    }
    r.timed = r.signs_time && (row->past_s_max > 0 || set->tolerance_set);
    r.past_s_max = set->tolerance_set ? set->tolerance_s : row->past_s_max;
    r.ahead_s_max = set->tolerance_set ? set->tolerance_s : row->ahead_s_max;
    *ret_recipe = r;
    return true;
}

/* Keys and signatures */

bool verify_key_bytes(enum key_encoding encoding, struct str secret, uint8_t *ret_key, size_t size_max,
                      size_t *ret_size) {
    switch (encoding) {
    case KEY_TEXT:
        if (secret.len > size_max) return false;
        if (secret.len > 0) memcpy(ret_key, secret.ptr, secret.len);
        *ret_size = secret.len;
        return true;
    case KEY_BASE64:
        if (str_starts(secret, STR("whsec_"))) secret = str_from_index(secret, 6);
        return text_base64_read(secret, ret_key, size_max, ret_size);
    case KEY_HEX:
        if (secret.len % 2 != 0 || secret.len / 2 > size_max) return false;
        *ret_size = secret.len / 2;
        return text_hex_read(secret, TEXT_HEX_ANY, ret_key, secret.len / 2);
    case KEY_SHA1:
        check(size_max >= digest_size(DIGEST_SHA1));
        digest_of(DIGEST_SHA1, &secret, 1, ret_key);
        *ret_size = digest_size(DIGEST_SHA1);
        return true;
    }
    return false;
}

/* One reading only: a signature that is not written exactly so is not right, however near it is. */
static bool signature_bytes(enum signature_encoding encoding, struct str text, uint8_t *ret_bytes, size_t size) {
    if (encoding == SIGNATURE_HEX) return text_hex_read(text, TEXT_HEX_LOWER, ret_bytes, size);
    size_t read;
    return text_base64_read(text, ret_bytes, size, &read) && read == size;
}

enum verdict verify_signatures(const struct provider_input *input, const struct recipe *recipe, const struct str *parts,
                               size_t part_count, const struct str *candidates, size_t candidate_count,
                               struct verification *v) {
    const struct source *source = input->source;
    uint8_t given[SIGNATURE_CANDIDATES_MAX][DIGEST_SIZE_MAX];
    size_t size = digest_size(recipe->digest), given_count = 0;
    check(candidate_count <= SIGNATURE_CANDIDATES_MAX);
    for (size_t i = 0; i < candidate_count; i++)
        if (signature_bytes(recipe->encoding, candidates[i], given[given_count], size)) given_count++;
    if (given_count == 0)
        return verify_refuse(input, v, VERDICT_BAD_SIGNATURE,
                             "no signature in the header has the form and length of one");

    uint8_t key[SECRET_SIZE_MAX], right[DIGEST_SIZE_MAX];
    for (uint32_t i = 0; i < source->secret_count && v->matched_secret < 0; i++) {
        size_t key_size = 0;
        if (source->secrets[i].fault != NULL) continue;
        if (!verify_key_bytes(recipe->key_encoding, source->secrets[i].text, key, sizeof key, &key_size)) continue;
        if (key_size == 0) continue; /* anybody's key */
        digest_hmac(recipe->digest, str_make((const char *)key, key_size), parts, part_count, right);
        bool equal = false;
        for (size_t j = 0; j < given_count; j++)
            equal |= digest_equal(right, given[j], size);
        if (equal) v->matched_secret = (int32_t)i;
    }
    os_wipe(key, sizeof key);
    os_wipe(right, sizeof right);
    if (v->matched_secret >= 0) return VERDICT_ACCEPT;
    return verify_refuse(input, v, VERDICT_BAD_SIGNATURE,
                         "no secret of this source made the signature: another secret, or bytes changed on the way");
}

static bool timestamp_read(struct str text, enum time_unit unit, uint64_t *ret_value) {
    size_t size_min = unit == TIME_MS ? 13 : 1, size_max = unit == TIME_MS ? 15 : 12;
    if (text.len < size_min || text.len > size_max || text.ptr[0] == '0') return false;
    return str_u64(text, UINT64_C(999999999999999), ret_value);
}

enum verdict verify_age(const struct provider_input *input, const struct recipe *recipe, struct str timestamp,
                        struct verification *v) {
    uint64_t value = 0;
    if (!timestamp_read(timestamp, recipe->time_unit, &value))
        return verify_refuse(input, v, VERDICT_MALFORMED, "the time is not written as a time");
    int64_t per_s = recipe->time_unit == TIME_MS ? 1000 : 1;
    int64_t ahead = (int64_t)value - input->now_s * per_s;
    v->skew_s = ahead / per_s;
    if (!recipe->timed) return VERDICT_ACCEPT;
    /* Exactly the limit passes. A part of a second is shown rounded up, so that the sentence is never absurd. */
    if (-ahead > recipe->past_s_max * per_s)
        return verify_refuse(input, v, VERDICT_STALE, "signed %lld s ago; the limit is %lld s",
                             (long long)((-ahead + per_s - 1) / per_s), (long long)recipe->past_s_max);
    if (ahead > recipe->ahead_s_max * per_s)
        return verify_refuse(input, v, VERDICT_STALE, "signed %lld s ahead of our clock; the limit is %lld s",
                             (long long)((ahead + per_s - 1) / per_s), (long long)recipe->ahead_s_max);
    return VERDICT_ACCEPT;
}

/* Headers */

/* The first of the names that was sent; else the first name and count 0. */
struct sent {
    struct str name, value;
    uint32_t count;
};
static struct sent header_sent(const struct http_request *request, const struct str *names) {
    struct sent sent = {.name = names[0], .value = STR_NONE, .count = 0};
    for (size_t i = 0; i < ROW_HEADERS_MAX && names[i].ptr != NULL; i++) {
        uint32_t count = request_header(request, names[i], &sent.value);
        if (count == 0) continue;
        sent.name = names[i];
        sent.count = count;
        break;
    }
    return sent;
}

static enum verdict refuse_header(const struct provider_input *input, struct verification *v, enum verdict verdict,
                                  struct str name, const char *what) {
    return verify_refuse(input, v, verdict, "header %.*s %s", STR_ARG(name), what);
}

/* A header of one value, present. A comma in it may be two copies that a function URL has joined. */
static enum verdict header_one(const struct provider_input *input, struct verification *v, const struct sent *sent) {
    if (sent->count > 1) return refuse_header(input, v, VERDICT_MALFORMED, sent->name, "was sent more than once");
    if (sent->value.len == 0) return refuse_header(input, v, VERDICT_MALFORMED, sent->name, "is empty");
    if (str_has(sent->value, ','))
        return refuse_header(input, v, VERDICT_MALFORMED, sent->name, "has a comma: two values?");
    return VERDICT_ACCEPT;
}

struct signatures {
    struct str candidates[SIGNATURE_CANDIDATES_MAX];
    size_t count;
    struct str timestamp; /* ptr NULL: the list has none */
};

/* One signature of a list, or the whole value. NULL, or what is wrong with the header. */
static const char *candidate_add(const struct recipe *recipe, struct str text, struct signatures *all) {
    if (str_starts(text, recipe->prefix))
        text = str_from_index(text, recipe->prefix.len);
    else if (!recipe->prefix_optional)
        return NULL;                                           /* another kind of signature */
    if (str_has(text, ',')) return "has a comma: two values?"; /* no encoding has one */
    if (all->count == SIGNATURE_CANDIDATES_MAX) return "has too many signatures";
    all->candidates[all->count++] = text;
    return NULL;
}

static const char *item_read(const struct recipe *recipe, struct str item, struct signatures *all) {
    if (item.len == 0) return "has an empty item in its list";
    if (recipe->joint == '\0') return candidate_add(recipe, item, all);
    struct str name, value;
    if (!str_cut(item, recipe->joint, &name, &value)) return "has an item that is no pair";
    if (recipe->timestamp_name.ptr != NULL && str_eq(name, recipe->timestamp_name)) {
        if (all->timestamp.ptr != NULL) return "has two times";
        all->timestamp = value;
        return NULL;
    }
    return str_eq(name, recipe->name) ? candidate_add(recipe, value, all) : NULL;
}

static const char *value_read(const struct recipe *recipe, struct str value, struct signatures *all) {
    if (value.len == 0) return "is empty";
    if (recipe->separator == '\0') return candidate_add(recipe, value, all);
    for (struct str item, rest; str_cut(value, recipe->separator, &item, &rest); value = rest) {
        const char *fault = item_read(recipe, item, all);
        if (fault != NULL) return fault;
    }
    return item_read(recipe, value, all);
}

static enum verdict signatures_read(const struct provider_input *input, const struct recipe *recipe,
                                    const struct sent *sent, struct verification *v, struct signatures *all) {
    const struct http_request *request = input->request;
    bool list_of_fields = recipe->separator == ',' && recipe->timestamp_name.ptr == NULL; /* RFC 9110 §5.3 */
    if (sent->count > 1 && !list_of_fields)
        return refuse_header(input, v, VERDICT_MALFORMED, sent->name, "was sent more than once");
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (!str_eq_nocase(request->headers[i].name, sent->name)) continue;
        const char *fault = value_read(recipe, request->headers[i].value, all);
        if (fault != NULL) return refuse_header(input, v, VERDICT_MALFORMED, sent->name, fault);
    }
    return VERDICT_ACCEPT;
}

/* The schemes */

size_t recipe_parts(const struct recipe *recipe, const struct http_request *request, struct str timestamp,
                    struct str id, struct str *ret_parts) {
    struct part parts[RECIPE_PARTS_MAX];
    size_t count = 0;
    bool good = signed_text_cut(recipe->signed_text, parts, &count, NULL);
    check(good); /* recipe_make has cut the same text */
    for (size_t i = 0; i < count; i++) {
        switch (parts[i].kind) {
        case PART_LITERAL: ret_parts[i] = parts[i].literal; break;
        case PART_BODY: ret_parts[i] = request->body; break;
        case PART_TIMESTAMP: ret_parts[i] = timestamp; break;
        case PART_ID: ret_parts[i] = id; break;
        case PART_URL: ret_parts[i] = recipe->url; break;
        }
    }
    return count;
}

enum verdict verify_hmac(const struct provider_input *input, struct verification *v) {
    const struct http_request *request = input->request;
    struct recipe recipe;
    if (!recipe_make(input->source, NULL, &recipe) || recipe.signature_headers[0].ptr == NULL)
        return verify_refuse(input, v, VERDICT_UNAVAILABLE, "the source's settings make no sense: see check-config");

    struct sent signature = header_sent(request, recipe.signature_headers);
    struct sent timestamp = header_sent(request, recipe.timestamp_headers);
    struct sent id = header_sent(request, recipe.id_headers);
    const struct sent *wanted[] = {&signature, &timestamp, &id};
    for (size_t i = 0; i < 3; i++)
        if (wanted[i]->name.ptr != NULL && wanted[i]->count == 0)
            return refuse_header(input, v, VERDICT_MISSING_HEADER, wanted[i]->name, "is missing");

    struct signatures all = {.count = 0, .timestamp = STR_NONE};
    enum verdict verdict = signatures_read(input, &recipe, &signature, v, &all);
    if (verdict == VERDICT_ACCEPT && id.count > 0) verdict = header_one(input, v, &id);
    if (verdict == VERDICT_ACCEPT && timestamp.count > 0) verdict = header_one(input, v, &timestamp);
    if (verdict != VERDICT_ACCEPT) return verdict;
    struct str time_text = timestamp.count > 0 ? timestamp.value : all.timestamp;
    uint64_t ignored;
    if (recipe.signs_time && !timestamp_read(time_text, recipe.time_unit, &ignored))
        return refuse_header(input, v, VERDICT_MALFORMED, timestamp.count > 0 ? timestamp.name : signature.name,
                             "has no readable time");

    struct str parts[RECIPE_PARTS_MAX];
    size_t part_count = recipe_parts(&recipe, request, time_text, id.value, parts);
    verdict = verify_signatures(input, &recipe, parts, part_count, all.candidates, all.count, v);
    if (verdict != VERDICT_ACCEPT) return verdict;
    v->id = recipe.signs_id ? id.value : STR_NONE;
    v->id_signed = recipe.signs_id;
    return recipe.signs_time ? verify_age(input, &recipe, time_text, v) : VERDICT_ACCEPT;
}

enum verdict verify_token(const struct provider_input *input, struct verification *v) {
    struct recipe recipe;
    if (!recipe_make(input->source, NULL, &recipe))
        return verify_refuse(input, v, VERDICT_UNAVAILABLE, "the source's settings make no sense: see check-config");
    struct sent token = header_sent(input->request, recipe.signature_headers);
    if (token.count == 0) return refuse_header(input, v, VERDICT_MISSING_HEADER, token.name, "is missing");
    if (token.count > 1) return refuse_header(input, v, VERDICT_MALFORMED, token.name, "was sent more than once");
    for (uint32_t i = input->source->secret_count; i-- > 0;) {
        const struct secret *secret = &input->source->secrets[i];
        if (secret->fault != NULL || secret->text.len == 0) continue;
        if (digest_secret_equal(secret->text, token.value)) v->matched_secret = (int32_t)i;
    }
    if (v->matched_secret >= 0) return VERDICT_ACCEPT;
    if (str_has(token.value, ','))
        return refuse_header(input, v, VERDICT_MALFORMED, token.name, "has a comma: two values?");
    return refuse_header(input, v, VERDICT_BAD_SIGNATURE, token.name, "is no token of this source");
}

enum verdict verify_iam(const struct provider_input *input, struct verification *v) {
    if (input->iam_door != IAM_DOOR_SIGNED) {
        if (input->iam_door == IAM_DOOR_INVOKE) v->authenticated = AUTHENTICATED_INVOKE;
        return VERDICT_ACCEPT;
    }
    const struct source *source = input->source;
    struct iam_key own[SOURCE_SECRETS_MAX];
    int32_t own_index[SOURCE_SECRETS_MAX];
    uint32_t own_count = 0;
    for (uint32_t i = 0; i < source->secret_count; i++) {
        struct iam_key key;
        if (source->secrets[i].fault != NULL) continue;
        if (!str_cut(source->secrets[i].text, ':', &key.access_key_id, &key.secret)) continue;
        own[own_count] = key;
        own_index[own_count++] = (int32_t)i;
    }
    bool given = input->iam_keys != NULL;
    struct iam_policy policy = {
        .keys = given ? input->iam_keys : own,
        .key_count = given ? input->iam_key_count : own_count,
        .region = input->iam_region.len > 0 ? input->iam_region : STR("us-east-1"),
        .service = input->iam_service.len > 0 ? input->iam_service : STR("lambda"),
        .now_s = input->now_s,
        .skew_s_max = source->settings.tolerance_set ? source->settings.tolerance_s : source->row->past_s_max,
    };
    int32_t matched = -1;
    if (!iam_verify(&policy, input->request, input->arena, &matched, &v->skew_s, &v->reason)) return VERDICT_FORBIDDEN;
    v->matched_secret = given || matched < 0 ? matched : own_index[matched];
    return VERDICT_ACCEPT;
}

/* Keys from elsewhere */

enum verdict verify_key(const struct provider_input *input, struct str url, struct verification *v,
                        struct str *ret_pem) {
    const struct source_settings *set = &input->source->settings;
    const char *prefix = input->source->row->key_urls[str_eq(set->environment, STR("sandbox")) ? 1 : 0];
    bool allowed = prefix != NULL && str_starts(url, str_from(prefix)) && url.len > strlen(prefix);
    /* One more segment of harmless characters: nothing that could end the path, climb or be read in two ways. */
    for (size_t i = allowed ? strlen(prefix) : url.len; i < url.len; i++) {
        char c = url.ptr[i];
        allowed &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (!allowed) return verify_refuse(input, v, VERDICT_MALFORMED, "the key's URL is not one of the provider's");
    if (set->certificate.ptr != NULL && str_eq(set->certificate_url, url)) {
        *ret_pem = set->certificate;
        return VERDICT_ACCEPT;
    }
    if (input->key_pem.ptr != NULL && str_eq(input->key_url, url)) {
        *ret_pem = input->key_pem;
        return VERDICT_ACCEPT;
    }
    v->key_url = url;
    return verify_refuse(input, v, VERDICT_NEED_KEY, "the provider's key is not here yet");
}
