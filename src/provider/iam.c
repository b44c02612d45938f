/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of POST /.
 *
 * First all that needs no key is looked at, cheapest first, each rule a function that names a fault or none. Then the
 * signature is computed over what came, never over what was claimed: the payload's hash is always the body's own. The
 * time comes last, so that a right signature with a wrong clock can be told from a forged one in our log.
 *
 * An unknown key id takes the same path as a wrong signature: the work is done under a stand-in secret, and the answer
 * is no whatever comes out. So neither time nor answer tells which ids exist.
 *
 * What is not here: the query form ("presigned"), which is refused since anybody who sees such a URL can use it;
 * temporary credentials, which only AWS could check; unsigned and chunked payloads. */
#include "provider/iam.h"

#include "codec/digest.h"
#include "codec/form.h"
#include "codec/sigv4.h"
#include "codec/text.h"

#define AMZ_PREFIX "x-amz-"

/* Of the usual size, so that the work is the usual one. Nothing depends on it being secret. */
#define STAND_IN_SECRET "0000000000000000000000000000000000000000"

/* What a request says about itself, once nothing speaks against it but the signature and the time. */
struct claim {
    struct sigv4_authorization authorization;
    struct str amz_date;
    int64_t signed_s;
    char payload_hash[64]; /* of the body that came */
};

static bool is_amz(struct str name) {
    struct str prefix = STR(AMZ_PREFIX);
    return name.len >= prefix.len && str_eq_nocase(str_make(name.ptr, prefix.len), prefix);
}

static bool list_has(struct str signed_headers, struct str name) {
    struct str item, rest;
    while (str_cut(signed_headers, ';', &item, &rest)) {
        if (str_eq_nocase(item, name)) return true;
        signed_headers = rest;
    }
    return str_eq_nocase(signed_headers, name);
}

/* Signed names are sorted and none is twice (codec/sigv4), so no more are looked at than there are headers. */
static struct str fault_of_signed_names(const struct http_request *request, struct str signed_headers) {
    struct str names = signed_headers, name, rest, value;
    for (bool more = true; more; names = rest) {
        more = str_cut(names, ';', &name, &rest);
        if (!more) name = names, rest = STR("");
        if (request_header(request, name, &value) == 0) return STR("a signed header is missing");
    }
    return STR_NONE;
}

static struct str fault_of_headers(const struct http_request *request, struct str signed_headers) {
    struct str value;
    if (request_header(request, STR("host"), &value) != 1) return STR("not exactly one host header");
    if (!list_has(signed_headers, STR("host"))) return STR("host is not signed");
    for (uint32_t i = 0; i < request->header_count; i++) {
        struct str name = request->headers[i].name;
        if (is_amz(name)) {
            if (request_header(request, name, &value) != 1) return STR("a repeated " AMZ_PREFIX "* header");
            if (!list_has(signed_headers, name)) return STR("an " AMZ_PREFIX "* header is not signed");
        } else if (str_eq_nocase(name, STR("idempotency-key")) && !list_has(signed_headers, name)) {
            return STR("idempotency-key is not signed");
        }
    }
    if (request_header(request, STR(AMZ_PREFIX "security-token"), &value) != 0)
        return STR("temporary credentials are not ours");
    return STR_NONE;
}

/* Any parameter that would belong to the query form, however its name is written. */
static struct str fault_of_query(const struct http_request *request) {
    size_t position = 0;
    struct form_pair pair;
    while (form_next(request->query, &position, &pair)) {
        char start[sizeof(AMZ_PREFIX) - 1];
        struct writer w = writer_make(start, sizeof(start));
        (void)text_percent_read(&w, pair.name, true); /* the beginning tells, whatever follows */
        if (is_amz(writer_str(&w))) return STR("the query form is not accepted");
    }
    return STR_NONE;
}

static struct str fault_of_scope(const struct iam_policy *policy, const struct sigv4_authorization *authorization,
                                 struct str amz_date) {
    if (!str_starts(amz_date, authorization->date)) return STR("the scope is of another day than " AMZ_PREFIX "date");
    if (!str_eq(authorization->region, policy->region)) return STR("another region");
    if (!str_eq(authorization->service, policy->service)) return STR("another service");
    return STR_NONE;
}

static struct str fault_of_payload(const struct http_request *request, struct str payload_hash) {
    struct str claimed;
    if (request_header(request, STR(AMZ_PREFIX "content-sha256"), &claimed) == 0) return STR_NONE;
    return str_eq(claimed, payload_hash) ? STR_NONE : STR(AMZ_PREFIX "content-sha256 is not the body's hash");
}

/* All that needs no key. */
static struct str fault_of_claim(const struct iam_policy *policy, const struct http_request *request,
                                 struct claim *ret) {
    struct str header, signed_headers;
    uint32_t count = request_header(request, STR("authorization"), &header);
    if (count == 0) return STR("no authorization header");
    if (count > 1) return STR("more than one authorization header");
    if (!sigv4_authorization_read(header, &ret->authorization))
        return STR("an authorization header that cannot be read");
    signed_headers = ret->authorization.signed_headers;

    struct str fault = fault_of_query(request);
    if (fault.ptr == NULL) fault = fault_of_signed_names(request, signed_headers);
    if (fault.ptr == NULL) fault = fault_of_headers(request, signed_headers);
    if (fault.ptr != NULL) return fault;

    if (request_header(request, STR(AMZ_PREFIX "date"), &ret->amz_date) == 0)
        return STR("no " AMZ_PREFIX "date header");
    if (!text_amz_date_read(ret->amz_date, &ret->signed_s)) return STR("an " AMZ_PREFIX "date that is no date");
    fault = fault_of_scope(policy, &ret->authorization, ret->amz_date);
    if (fault.ptr != NULL) return fault;

    uint8_t digest[32];
    digest_sha256(request->body, digest);
    struct writer w = writer_make(ret->payload_hash, sizeof(ret->payload_hash));
    text_hex_write(&w, digest, sizeof(digest));
    return fault_of_payload(request, writer_str(&w));
}

static bool signature_equals(struct str secret, const struct sigv4_authorization *authorization,
                             struct str string_to_sign) {
    char signature[64];
    sigv4_signature(secret, authorization->date, authorization->region, authorization->service, string_to_sign,
                    signature);
    return digest_equal(signature, authorization->signature.ptr, sizeof(signature));
}

/* One more than the index of the nth key of this id, or 0. All keys are looked at wherever it is. */
static size_t key_find(const struct iam_policy *policy, struct str id, size_t nth) {
    size_t found = 0, seen = 0;
    for (size_t i = 0; i < policy->key_count; i++) {
        size_t same = digest_secret_equal(policy->keys[i].access_key_id, id);
        found += (i + 1) * (same & (size_t)(seen == nth)); /* arithmetic: a branch would show in the time */
        seen += same;
    }
    return found;
}

/* The scratch arena is by value: what is written on the way is forgotten. */
static struct str fault_of_signature(const struct iam_policy *policy, const struct http_request *request,
                                     const struct claim *claim, struct arena scratch, int32_t *ret_key) {
    const struct sigv4_authorization *authorization = &claim->authorization;
    struct str payload_hash = str_make(claim->payload_hash, sizeof(claim->payload_hash));
    struct writer w = arena_writer(&scratch);
    sigv4_canonical_request(&w, request, authorization->signed_headers, payload_hash, STR_NONE, SIGV4_AWS_SERVICE);
    struct str canonical_request = arena_take(&scratch, &w);
    if (canonical_request.ptr == NULL) return STR("no memory");
    w = arena_writer(&scratch);
    sigv4_string_to_sign(&w, claim->amz_date, authorization->scope, canonical_request);
    struct str string_to_sign = arena_take(&scratch, &w);
    if (string_to_sign.ptr == NULL) return STR("no memory");

    /* The stand-in is row 0, so that which secret it is makes no branch. */
    struct str *secrets = arena_new(&scratch, struct str, policy->key_count + 1);
    if (secrets == NULL) return STR("no memory");
    secrets[0] = STR(STAND_IN_SECRET);
    for (size_t i = 0; i < policy->key_count; i++)
        secrets[i + 1] = policy->keys[i].secret;
    size_t row = key_find(policy, authorization->access_key_id, 0), tried = 0;
    do {
        bool equal = signature_equals(secrets[row], authorization, string_to_sign);
        if (equal && row > 0) {
            *ret_key = (int32_t)row - 1;
            return STR_NONE;
        }
        row = key_find(policy, authorization->access_key_id, ++tried);
    } while (row > 0);
    return STR("a wrong signature or an unknown access key id");
}

bool iam_verify(const struct iam_policy *policy, const struct http_request *request, struct arena *arena,
                int32_t *ret_matched_key, int64_t *ret_skew_s, struct str *ret_reason) {
    struct claim claim;
    *ret_matched_key = -1;
    *ret_skew_s = 0;
    struct str fault = fault_of_claim(policy, request, &claim);
    if (fault.ptr == NULL) fault = fault_of_signature(policy, request, &claim, *arena, ret_matched_key);
    if (fault.ptr == NULL) {
        *ret_skew_s = claim.signed_s - policy->now_s;
        if (*ret_skew_s > policy->skew_s_max) fault = STR("signed in the future");
        if (*ret_skew_s < -policy->skew_s_max) fault = STR("signed too long ago");
    }
    *ret_reason = fault.ptr == NULL ? STR("") : fault;
    return fault.ptr == NULL;
}
