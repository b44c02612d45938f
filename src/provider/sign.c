/* SPDX-License-Identifier: Apache-2.0 */
/* Signs by the same recipe that verify_hmac checks. */
#include "provider/sign.h"

#include "base/os.h"
#include "codec/text.h"
#include "provider/verify.h"

static bool fail(struct writer *message, const char *sentence) {
    writer_put(message, str_from(sentence));
    return false;
}

static bool add(struct http_request *request, struct str name, struct str value, struct writer *message) {
    if (value.ptr == NULL) return fail(message, "the request is too large to be signed");
    if (request->header_count == HTTP_HEADERS_MAX)
        return fail(message, "the request has too many headers to be signed");
    request->headers[request->header_count++] = (struct http_header){name, value};
    return true;
}

static struct str decimal(struct arena *arena, int64_t value) {
    struct writer w = arena_writer(arena);
    writer_i64(&w, value);
    return arena_take(arena, &w);
}

static const struct secret *first_usable(const struct source *source) {
    for (uint32_t i = 0; i < source->secret_count; i++)
        if (source->secrets[i].fault == NULL) return &source->secrets[i];
    return NULL;
}

/* The header's value: the time where it stands in the list, then the one signature. */
static struct str signature_text(const struct recipe *recipe, struct str timestamp, const uint8_t *digest,
                                 struct arena *arena) {
    struct writer w = arena_writer(arena);
    if (recipe->timestamp_name.ptr != NULL) {
        writer_put(&w, recipe->timestamp_name);
        writer_char(&w, recipe->joint);
        writer_put(&w, timestamp);
        writer_char(&w, recipe->separator);
    }
    if (recipe->joint != '\0') {
        writer_put(&w, recipe->name);
        writer_char(&w, recipe->joint);
    }
    if (recipe->prefix.ptr != NULL) writer_put(&w, recipe->prefix);
    if (recipe->encoding == SIGNATURE_HEX)
        text_hex_write(&w, digest, digest_size(recipe->digest));
    else
        text_base64_write(&w, digest, digest_size(recipe->digest));
    return arena_take(arena, &w);
}

static bool sign_hmac(const struct recipe *recipe, struct str secret, int64_t now_s, struct str id, struct arena *arena,
                      struct http_request *request, struct writer *message) {
    struct str timestamp = decimal(arena, recipe->time_unit == TIME_MS ? now_s * 1000 : now_s);
    if (recipe->signs_id && !add(request, recipe->id_headers[0], id, message)) return false;
    if (recipe->timestamp_headers[0].ptr != NULL && !add(request, recipe->timestamp_headers[0], timestamp, message))
        return false;

    uint8_t key[SECRET_SIZE_MAX], digest[DIGEST_SIZE_MAX];
    size_t key_size;
    if (!verify_key_bytes(recipe->key_encoding, secret, key, sizeof key, &key_size))
        return fail(message, "the secret is not in the encoding this provider uses");
    struct str parts[RECIPE_PARTS_MAX];
    size_t count = recipe_parts(recipe, request, timestamp, id, parts);
    digest_hmac(recipe->digest, str_make((const char *)key, key_size), parts, count, digest);
    os_wipe(key, sizeof key);
    return add(request, recipe->signature_headers[0], signature_text(recipe, timestamp, digest, arena), message);
}

bool provider_sign(const struct source *source, int64_t now_s, struct str id, struct arena *arena,
                   struct http_request *request, struct writer *message) {
    const struct secret *secret = first_usable(source);
    struct recipe recipe;
    if (secret == NULL) return fail(message, "there is no usable secret to sign with");
    if (source->row->verify != verify_hmac && source->row->verify != verify_token)
        return fail(message, "this provider's requests cannot be signed here; for POST / use --key");
    if (!recipe_make(source, message, &recipe)) return false;
    if (source->row->verify == verify_token)
        return add(request, recipe.signature_headers[0], arena_copy(arena, secret->text), message);
    return sign_hmac(&recipe, secret->text, now_s, id, arena, request, message);
}
