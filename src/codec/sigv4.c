/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4: reading, checking and making signatures. Sections are those of Amazon's page "Create a
 * signed AWS API request" (IAM User Guide), steps 1 to 4.
 *
 * The canonical request is written in one pass from the request as it stood on the wire. Only the query needs memory,
 * since its parameters are sorted after they are encoded; it has fixed room on the stack, and a query that does not fit
 * counts as overflow. Encoding is settled here: a "%XX" in a query is decoded and encoded again, so that "%2f" and
 * "%2F" are one; a "%" that begins no such triple stands for itself. A raw path is encoded already, so it is encoded
 * once more for the services that want it twice, and only evened out for S3. A "+" is a plus everywhere.
 *
 * What is not here: the policy of what must be signed and how old it may be (provider/iam), chunked uploads, SigV4A. */
#include "codec/sigv4.h"

#include "base/err.h"
#include "base/os.h"
#include "codec/digest.h"
#include "codec/form.h"
#include "codec/text.h"

#include <stdlib.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SCOPE_END "aws4_request"

enum {
    QUERY_PAIRS_MAX = HTTP_TARGET_SIZE_MAX / 2 + 1, /* "a&a&a…" */
    QUERY_ENCODED_SIZE_MAX = 3 * HTTP_TARGET_SIZE_MAX,
    SHA256_HEX_SIZE = 64,
};
static_assert(QUERY_ENCODED_SIZE_MAX <= UINT16_MAX, "places in the encoded query fit 16 bits");

/* A parameter of the query, encoded: the name, and directly behind it the value. */
struct query_pair {
    uint16_t start, name_size, value_size;
};

static const char *const never_signed[] = {"connection", "expect", "transfer-encoding", "user-agent"};

/* -- The Authorization header -------------------------------------------------------------------------------------- */

/* Printable ASCII but the separators of the header. */
static bool is_scope_part(struct str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == ',' || s.ptr[i] == '=') return false;
    return s.len > 0;
}

/* "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request" */
static bool read_credential(struct str value, struct sigv4_authorization *authorization) {
    struct str *parts[3] = {&authorization->date, &authorization->region, &authorization->service};
    if (!str_cut(value, '/', &authorization->access_key_id, &authorization->scope)) return false;
    if (!is_scope_part(authorization->access_key_id)) return false;
    value = authorization->scope;
    for (size_t i = 0; i < 3; i++)
        if (!str_cut(value, '/', parts[i], &value) || !is_scope_part(*parts[i])) return false;
    uint64_t digits;
    return authorization->date.len == 8 && str_u64(authorization->date, 99999999, &digits) &&
           str_eq(value, STR(SCOPE_END));
}

/* A field name in lower case (RFC 9110 §5.1, token). */
static bool is_lower_name(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        if (!good) return false;
    }
    return name.len > 0;
}

static bool read_signed_headers(struct str value) {
    struct str before = STR(""), name = value, rest = STR("");
    for (bool more = true; more; before = name, value = rest) {
        more = str_cut(value, ';', &name, &rest);
        if (!more) name = value;
        if (!is_lower_name(name) || str_order(before, name) >= 0) return false;
    }
    return true;
}

static bool read_signature(struct str value) {
    uint8_t bytes[SHA256_HEX_SIZE / 2];
    return text_hex_read(value, TEXT_HEX_LOWER, bytes, sizeof(bytes));
}

bool sigv4_authorization_read(struct str header, struct sigv4_authorization *ret_authorization) {
    struct str scheme, rest;
    if (!str_cut(header, ' ', &scheme, &rest) || !str_eq(scheme, STR(ALGORITHM))) return false;

    struct sigv4_authorization found = {.access_key_id = STR_NONE}; /* and all others none */
    for (bool more = true; more;) {
        struct str item, name, value, tail = STR("");
        more = str_cut(rest, ',', &item, &tail);
        if (!more) item = rest;
        rest = tail;
        if (!str_cut(str_trim(item), '=', &name, &value)) return false;
        if (str_eq(name, STR("Credential")) && found.access_key_id.ptr == NULL) {
            if (!read_credential(value, &found)) return false;
        } else if (str_eq(name, STR("SignedHeaders")) && found.signed_headers.ptr == NULL) {
            if (!read_signed_headers(value)) return false;
            found.signed_headers = value;
        } else if (str_eq(name, STR("Signature")) && found.signature.ptr == NULL) {
            if (!read_signature(value)) return false;
            found.signature = value;
        } else {
            return false;
        }
    }
    if (found.access_key_id.ptr == NULL || found.signed_headers.ptr == NULL || found.signature.ptr == NULL)
        return false;
    *ret_authorization = found;
    return true;
}

/* -- Step 1: the canonical request --------------------------------------------------------------------------------- */

/* Encoded anew: what is encoded stays so, in upper case; what need not be is no longer; the rest is encoded. */
static void write_evened(struct writer *w, struct str s, bool keep_slash) {
    for (size_t i = 0; i < s.len; i++) {
        uint8_t byte;
        if (s.ptr[i] == '%' && s.len - i >= 3 && text_hex_read(str_make(s.ptr + i + 1, 2), TEXT_HEX_ANY, &byte, 1)) {
            text_percent_write(w, str_make((const char *)&byte, 1), false); /* an encoded slash is part of a name */
            i += 2;
        } else {
            text_percent_write(w, str_make(s.ptr + i, 1), keep_slash);
        }
    }
}

static void write_path_text(struct writer *w, struct str s, struct sigv4_options options) {
    if (options.encode_path_twice)
        text_percent_write(w, s, true);
    else
        write_evened(w, s, true);
}

/* Dot segments and empty ones go, a slash at the end stays. What is written holds no slash but between segments, so
 * ".." goes back to the last one. */
static void write_path_normalized(struct writer *w, struct str path, struct sigv4_options options) {
    size_t start = w->len;
    bool slash_at_end = str_ends(path, STR("/"));
    for (bool more = true; more;) {
        struct str segment, tail = STR("");
        more = str_cut(path, '/', &segment, &tail);
        if (!more) segment = path;
        path = tail;
        if (str_eq(segment, STR(".."))) {
            while (w->len > start && w->ptr[--w->len] != '/') {
            }
        } else if (segment.len > 0 && !str_eq(segment, STR("."))) {
            writer_char(w, '/');
            write_path_text(w, segment, options);
        }
    }
    if (slash_at_end || w->len == start) writer_char(w, '/');
}

static void write_path(struct writer *w, struct str path, struct sigv4_options options) {
    if (options.normalize_path)
        write_path_normalized(w, path, options);
    else if (path.len == 0)
        writer_char(w, '/');
    else
        write_path_text(w, path, options);
}

/* By name, then by value; both encoded. */
static int order_pairs(const void *a, const void *b, void *encoded) {
    const struct query_pair *first = a, *second = b;
    const char *text = encoded;
    int order =
        str_order(str_make(text + first->start, first->name_size), str_make(text + second->start, second->name_size));
    if (order != 0) return order;
    return str_order(str_make(text + first->start + first->name_size, first->value_size),
                     str_make(text + second->start + second->name_size, second->value_size));
}

static void write_query(struct writer *w, struct str query, struct str leave_out) {
    char encoded[QUERY_ENCODED_SIZE_MAX];
    struct query_pair pairs[QUERY_PAIRS_MAX];
    struct writer scratch = writer_make(encoded, sizeof(encoded));
    size_t count = 0, position = 0;
    struct form_pair raw;

    if (query.len > HTTP_TARGET_SIZE_MAX) {
        w->overflow = true;
        return;
    }
    while (form_next(query, &position, &raw)) {
        size_t start = scratch.len;
        write_evened(&scratch, raw.name, false);
        size_t name_size = scratch.len - start;
        if (leave_out.len > 0 && str_eq(str_make(encoded + start, name_size), leave_out)) {
            scratch.len = start;
            continue;
        }
        write_evened(&scratch, raw.value, false);
        size_t value_size = scratch.len - start - name_size;
        check(count < QUERY_PAIRS_MAX);
        pairs[count++] = (struct query_pair){(uint16_t)start, (uint16_t)name_size, (uint16_t)value_size};
    }
    check(!scratch.overflow);

    if (count > 1) qsort_r(pairs, count, sizeof(pairs[0]), order_pairs, encoded);
    for (size_t i = 0; i < count; i++) {
        const struct query_pair *pair = &pairs[i];
        if (i > 0) writer_char(w, '&');
        writer_put(w, str_make(encoded + pair->start, pair->name_size));
        writer_char(w, '=');
        writer_put(w, str_make(encoded + pair->start + pair->name_size, pair->value_size));
    }
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Without blanks at the ends, and one space for several inside. */
static void write_header_value(struct writer *w, struct str value) {
    bool first = true;
    for (size_t i = 0; i < value.len;) {
        size_t start = i;
        while (i < value.len && !is_blank(value.ptr[i]))
            i++;
        if (i > start) {
            if (!first) writer_char(w, ' ');
            writer_put(w, str_make(value.ptr + start, i - start));
            first = false;
        }
        while (i < value.len && is_blank(value.ptr[i]))
            i++;
    }
}

/* "name:value,value LF" */
static void write_header(struct writer *w, const struct http_request *request, struct str name) {
    writer_put(w, name);
    writer_char(w, ':');
    bool first = true;
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (!str_eq_nocase(request->headers[i].name, name)) continue;
        if (!first) writer_char(w, ',');
        write_header_value(w, request->headers[i].value);
        first = false;
    }
    writer_char(w, '\n');
}

void sigv4_canonical_request(struct writer *w, const struct http_request *request, struct str signed_headers,
                             struct str payload_hash, struct str leave_out, struct sigv4_options options) {
    writer_put(w, request->method);
    writer_char(w, '\n');
    write_path(w, request->path, options);
    writer_char(w, '\n');
    if (request->query.len > 0) write_query(w, request->query, leave_out);
    writer_char(w, '\n');
    struct str names = signed_headers, name, rest;
    while (str_cut(names, ';', &name, &rest)) {
        write_header(w, request, name);
        names = rest;
    }
    write_header(w, request, names);
    writer_char(w, '\n');
    writer_put(w, signed_headers);
    writer_char(w, '\n');
    writer_put(w, payload_hash);
}

/* -- Steps 2 to 4: the hash of it, the string to sign, the signature ------------------------------------------------
 */

static void write_sha256(struct writer *w, struct str s) {
    uint8_t digest[32];
    digest_sha256(s, digest);
    text_hex_write(w, digest, sizeof(digest));
}

void sigv4_string_to_sign(struct writer *w, struct str amz_date, struct str scope, struct str canonical_request) {
    writer_put(w, STR(ALGORITHM "\n"));
    writer_put(w, amz_date);
    writer_char(w, '\n');
    writer_put(w, scope);
    writer_char(w, '\n');
    write_sha256(w, canonical_request);
}

void sigv4_signature(struct str secret, struct str date, struct str region, struct str service,
                     struct str string_to_sign, char ret_hex[64]) {
    uint8_t key[64];
    size_t key_size;
    const struct str first[2] = {STR("AWS4"), secret};
    if (secret.len <= sizeof(key) - first[0].len) {
        memcpy(key, first[0].ptr, first[0].len);
        if (secret.len > 0) memcpy(key + first[0].len, secret.ptr, secret.len);
        key_size = first[0].len + secret.len;
    } else {
        digest_of(DIGEST_SHA256, first, 2, key); /* RFC 2104 §2: what HMAC makes of a key longer than its block */
        key_size = 32;
    }

    const struct str steps[] = {date, region, service, STR(SCOPE_END), string_to_sign};
    uint8_t next[32];
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        digest_hmac(DIGEST_SHA256, str_make((const char *)key, key_size), &steps[i], 1, next);
        memcpy(key, next, sizeof(next));
        key_size = sizeof(next);
    }
    struct writer w = writer_make(ret_hex, SHA256_HEX_SIZE);
    text_hex_write(&w, key, key_size);
    check(!w.overflow);
    os_wipe(key, sizeof(key));
    os_wipe(next, sizeof(next));
}

/* -- Signing ------------------------------------------------------------------------------------------------------- */

/* What both forms of signing need, in the arena. */
struct signing {
    struct str amz_date, date, scope, signed_headers, payload_hash;
};

static bool is_signed(struct str name) {
    for (size_t i = 0; i < sizeof(never_signed) / sizeof(never_signed[0]); i++)
        if (str_eq_nocase(name, str_from(never_signed[i]))) return false;
    return true;
}

/* "host;x-amz-date": the names of the headers in lower case, sorted, once each. ptr NULL where the arena is full. */
static struct str signed_headers_of(const struct http_request *request, struct arena *arena) {
    struct str names[HTTP_HEADERS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (!is_signed(request->headers[i].name)) continue;
        struct str sent = request->headers[i].name;
        char *name = arena_new(arena, char, sent.len);
        if (name == NULL) return STR_NONE;
        for (size_t k = 0; k < sent.len; k++)
            name[k] = sent.ptr[k] >= 'A' && sent.ptr[k] <= 'Z' ? (char)(sent.ptr[k] | 0x20) : sent.ptr[k];
        struct str lower = str_make(name, sent.len);

        size_t place = count;
        while (place > 0 && str_order(names[place - 1], lower) > 0)
            place--;
        if (place > 0 && str_eq(names[place - 1], lower)) continue;
        memmove(&names[place + 1], &names[place], (count - place) * sizeof(names[0]));
        names[place] = lower;
        count++;
    }
    struct writer w = arena_writer(arena);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) writer_char(&w, ';');
        writer_put(&w, names[i]);
    }
    return arena_take(arena, &w);
}

/* All but signed_headers, which the caller knows once its own headers are in the request. */
static bool signing_make(const struct sigv4_signer *signer, struct str body, struct arena *arena, struct signing *ret) {
    struct writer w = arena_writer(arena);
    text_amz_date_write(&w, signer->now_s);
    ret->amz_date = arena_take(arena, &w);
    if (ret->amz_date.ptr == NULL) return false;
    ret->date = str_make(ret->amz_date.ptr, 8);

    const struct str scope[] = {ret->date, STR("/"), signer->region, STR("/"), signer->service, STR("/" SCOPE_END)};
    w = arena_writer(arena);
    for (size_t i = 0; i < sizeof(scope) / sizeof(scope[0]); i++)
        writer_put(&w, scope[i]);
    ret->scope = arena_take(arena, &w);
    if (ret->scope.ptr == NULL) return false;

    w = arena_writer(arena);
    write_sha256(&w, body);
    ret->payload_hash = arena_take(arena, &w);
    return ret->payload_hash.ptr != NULL;
}

/* The arena is by value: what is written on the way is forgotten. */
static bool signing_sign(const struct signing *signing, const struct sigv4_signer *signer, struct sigv4_options options,
                         const struct http_request *request, struct arena scratch, char ret_hex[SHA256_HEX_SIZE]) {
    struct writer w = arena_writer(&scratch);
    sigv4_canonical_request(&w, request, signing->signed_headers, signing->payload_hash, STR_NONE, options);
    struct str canonical_request = arena_take(&scratch, &w);
    if (canonical_request.ptr == NULL) return false;
    w = arena_writer(&scratch);
    sigv4_string_to_sign(&w, signing->amz_date, signing->scope, canonical_request);
    struct str string_to_sign = arena_take(&scratch, &w);
    if (string_to_sign.ptr == NULL) return false;
    sigv4_signature(signer->secret, signing->date, signer->region, signer->service, string_to_sign, ret_hex);
    return true;
}

static bool header_add(struct http_request *request, struct str name, struct str value) {
    if (request->header_count == HTTP_HEADERS_MAX) return false;
    request->headers[request->header_count++] = (struct http_header){name, value};
    return true;
}

static bool sign(const struct sigv4_signer *signer, struct sigv4_options options, bool send_content_sha256,
                 struct http_request *request, struct arena *arena) {
    struct signing signing;
    if (!signing_make(signer, request->body, arena, &signing)) return false;
    if (!header_add(request, STR("x-amz-date"), signing.amz_date)) return false;
    if (signer->session_token.len > 0 && !header_add(request, STR("x-amz-security-token"), signer->session_token))
        return false;
    if (send_content_sha256 && !header_add(request, STR("x-amz-content-sha256"), signing.payload_hash)) return false;

    signing.signed_headers = signed_headers_of(request, arena);
    char signature[SHA256_HEX_SIZE];
    if (signing.signed_headers.ptr == NULL) return false;
    if (!signing_sign(&signing, signer, options, request, *arena, signature)) return false;

    const struct str parts[] = {STR(ALGORITHM " Credential="),
                                signer->access_key_id,
                                STR("/"),
                                signing.scope,
                                STR(", SignedHeaders="),
                                signing.signed_headers,
                                STR(", Signature="),
                                str_make(signature, sizeof(signature))};
    struct writer w = arena_writer(arena);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        writer_put(&w, parts[i]);
    struct str authorization = arena_take(arena, &w);
    return authorization.ptr != NULL && header_add(request, STR("authorization"), authorization);
}

bool sigv4_sign(const struct sigv4_signer *signer, struct sigv4_options options, bool send_content_sha256,
                struct http_request *request, struct arena *arena) {
    uint32_t header_count = request->header_count;
    if (sign(signer, options, send_content_sha256, request, arena)) return true;
    request->header_count = header_count;
    return false;
}

bool sigv4_presign(const struct sigv4_signer *signer, struct sigv4_options options, uint32_t expires_s,
                   const struct http_request *request, struct arena *arena, struct str *ret_target) {
    struct signing signing;
    if (!signing_make(signer, request->body, arena, &signing)) return false;
    signing.signed_headers = signed_headers_of(request, arena);
    if (signing.signed_headers.ptr == NULL) return false;

    struct writer w = arena_writer(arena);
    writer_put(&w, request->target);
    writer_char(&w, request->query.ptr == NULL ? '?' : '&');
    writer_put(&w, STR("X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential="));
    text_percent_write(&w, signer->access_key_id, false);
    writer_put(&w, STR("%2F"));
    text_percent_write(&w, signing.scope, false);
    writer_put(&w, STR("&X-Amz-Date="));
    writer_put(&w, signing.amz_date);
    writer_put(&w, STR("&X-Amz-SignedHeaders="));
    text_percent_write(&w, signing.signed_headers, false);
    writer_put(&w, STR("&X-Amz-Expires="));
    writer_u64(&w, expires_s);
    if (signer->session_token.len > 0) {
        writer_put(&w, STR("&X-Amz-Security-Token="));
        text_percent_write(&w, signer->session_token, false);
    }
    struct str target = arena_take(arena, &w);
    if (target.ptr == NULL) return false;

    struct http_request presigned = *request;
    presigned.target = target;
    request_split_target(&presigned);
    char signature[SHA256_HEX_SIZE];
    if (!signing_sign(&signing, signer, options, &presigned, *arena, signature)) return false;

    w = arena_writer(arena);
    writer_put(&w, target);
    writer_put(&w, STR("&X-Amz-Signature="));
    writer_put(&w, str_make(signature, sizeof(signature)));
    struct str whole = arena_take(arena, &w);
    if (whole.ptr == NULL) return false;
    *ret_target = whole;
    return true;
}
