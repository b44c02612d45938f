/* SPDX-License-Identifier: Apache-2.0 */
/* SigV4 over arbitrary bytes. The first byte chooses the options and whether we sign, which costs twenty times the
 * rest. What follows is cut into lines: method, target, Authorization, then "name:value" headers up to an empty line,
 * then the body. A header that reads must read again from its parts; a canonical request is the same
 * in just enough memory, and overflows in less; what we sign verifies. */
#include "base/err.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/text.h"
#include "exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char memory[1 << 18];

static struct str next_line(struct str *rest) {
    struct str line;
    if (!str_cut(*rest, '\n', &line, rest)) {
        line = *rest;
        *rest = STR("");
    }
    return line;
}

/* The signed headers that it names; where it cannot be read, all of it, as names that nobody has looked at. */
static struct str check_authorization(struct str header) {
    struct sigv4_authorization found, again;
    if (!sigv4_authorization_read(header, &found)) return header;
    const struct str parts[] = {STR("AWS4-HMAC-SHA256 Credential="),
                                found.access_key_id,
                                STR("/"),
                                found.date,
                                STR("/"),
                                found.region,
                                STR("/"),
                                found.service,
                                STR("/aws4_request,SignedHeaders="),
                                found.signed_headers,
                                STR(",Signature="),
                                found.signature};
    struct writer w = writer_make(memory, sizeof(memory));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        writer_put(&w, parts[i]);
    check(sigv4_authorization_read(writer_str(&w), &again));
    check(str_eq(again.access_key_id, found.access_key_id));
    check(str_eq(again.scope, found.scope));
    check(str_eq(again.signed_headers, found.signed_headers));
    check(str_eq(again.signature, found.signature));
    check(found.signature.len == 64);
    return found.signed_headers;
}

static void check_canonical(const struct http_request *request, struct str signed_headers,
                            struct sigv4_options options) {
    struct writer whole = writer_make(memory, sizeof(memory));
    sigv4_canonical_request(&whole, request, signed_headers, STR("HASH"), STR("X-Amz-Signature"), options);
    if (whole.overflow) return;
    check(str_starts(writer_str(&whole), request->method));
    check(str_ends(writer_str(&whole), STR("\nHASH")));

    /* A segment that ".." takes away needs room for a while, so there may be none in exactly the final size. */
    exact_reset();
    char *exact = exact_room(whole.len);
    struct writer w = writer_make(exact, whole.len);
    sigv4_canonical_request(&w, request, signed_headers, STR("HASH"), STR("X-Amz-Signature"), options);
    check(w.overflow || str_eq(writer_str(&w), writer_str(&whole)));
    check(w.overflow || !options.normalize_path || w.len == whole.len);
    w = writer_make(exact, whole.len - 1);
    sigv4_canonical_request(&w, request, signed_headers, STR("HASH"), STR("X-Amz-Signature"), options);
    check(w.overflow);
}

static void check_sign(const struct http_request *request, struct sigv4_options options) {
    static char texts[1 << 17];
    struct arena arena = arena_make(texts, sizeof(texts));
    struct http_request own = *request;
    const struct sigv4_signer signer = {.access_key_id = STR("AKID"),
                                        .secret = STR("secret"),
                                        .session_token = STR_NONE,
                                        .region = STR("r"),
                                        .service = STR("s"),
                                        .now_s = 1440938160};
    if (!sigv4_sign(&signer, options, false, &own, &arena)) return;
    struct sigv4_authorization authorization;
    /* The one we have added is the last; names that are no tokens make one that cannot be read. */
    if (!sigv4_authorization_read(own.headers[own.header_count - 1].value, &authorization)) return;
    own.header_count--;

    uint8_t digest[32];
    char hash[64], signature[64];
    digest_sha256(own.body, digest);
    struct writer h = writer_make(hash, sizeof(hash));
    text_hex_write(&h, digest, sizeof(digest));
    struct writer w = writer_make(memory, sizeof(memory));
    sigv4_canonical_request(&w, &own, authorization.signed_headers, writer_str(&h), STR_NONE, options);
    if (w.overflow) return;
    char text[256];
    struct writer sts = writer_make(text, sizeof(text));
    sigv4_string_to_sign(&sts, STR("20150830T123600Z"), authorization.scope, writer_str(&w));
    sigv4_signature(signer.secret, authorization.date, signer.region, signer.service, writer_str(&sts), signature);
    check(str_eq(str_make(signature, sizeof(signature)), authorization.signature));

    struct str target;
    arena = arena_make(texts, sizeof(texts));
    if (sigv4_presign(&signer, options, 60, request, &arena, &target)) check(str_starts(target, request->target));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct str rest = str_make((const char *)data + 1, size - 1);
    struct http_request request = {.method = next_line(&rest)};
    request.target = next_line(&rest);
    request_split_target(&request);
    struct str authorization = next_line(&rest);
    while (request.header_count < HTTP_HEADERS_MAX) {
        struct str line = next_line(&rest);
        struct http_header *header = &request.headers[request.header_count];
        if (!str_cut(line, ':', &header->name, &header->value)) break;
        header->name = str_trim(header->name); /* a reader of HTTP lets no blanks into a name */
        request.header_count++;
    }
    request.body = rest;

    struct str signed_headers = check_authorization(authorization);
    struct sigv4_options options = {.normalize_path = data[0] & 1, .encode_path_twice = data[0] & 2};
    check_canonical(&request, signed_headers, options);
    if (data[0] % 16 >= 12) check_sign(&request, options);
    return 0;
}
