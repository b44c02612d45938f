/* SPDX-License-Identifier: Apache-2.0 */
/* Schemes: how a request proves where it comes from. One function each; rows name them. Pure, and in constant time
 * where a signature or token is compared. */
#ifndef PAYHOOK_PROVIDER_VERIFY_H
#define PAYHOOK_PROVIDER_VERIFY_H

#include "provider/table.h"

/* What a scheme has found. provider_check fills in the row's `authenticated` before it asks. */
struct verification {
    enum authenticated authenticated;
    int32_t matched_secret; /* -1 at first */
    int64_t skew_s;         /* signed time minus now, once the signature is right */
    struct str id;          /* the value of the header that {id} stands for; ptr NULL: none */
    bool id_signed;         /* the signature covers that header */
    struct str key_url;     /* with VERDICT_NEED_KEY */
    struct str reason;
};

/* Row and settings as one: what verify_hmac and verify_token work by. Texts belong to the source or are static. */
struct recipe {
    struct str signature_headers[ROW_HEADERS_MAX], timestamp_headers[ROW_HEADERS_MAX], id_headers[ROW_HEADERS_MAX];
    char separator, joint;
    struct str name, timestamp_name, prefix;
    bool prefix_optional;
    enum signature_encoding encoding;
    enum digest digest;
    enum key_encoding key_encoding;
    struct str signed_text, url;
    enum time_unit time_unit;
    bool signs_time, signs_id;
    int64_t past_s_max, ahead_s_max; /* only where timed */
    bool timed;                      /* the age is checked */
};
/* False: the settings make no sense together; message (NULL: nobody asks) says why. */
bool recipe_make(const struct source *source, struct writer *message, struct recipe *ret_recipe);

enum { RECIPE_PARTS_MAX = 9 }; /* four placeholders, and literals around them */
/* What is signed, as slices in a row: RECIPE_PARTS_MAX at most. The recipe is one that recipe_make made. */
size_t recipe_parts(const struct recipe *recipe, const struct http_request *request, struct str timestamp,
                    struct str id, struct str *ret_parts);

/* The key of a secret: at most size_max bytes, or false where its text is not in the encoding. */
bool verify_key_bytes(enum key_encoding encoding, struct str secret, uint8_t *ret_key, size_t size_max,
                      size_t *ret_size);

/* HMAC over a text that signed_text describes, in one header, which may be a list. */
scheme_verify verify_hmac;
/* A static token in a header. */
scheme_verify verify_token;
/* AWS Signature Version 4 (provider/iam), or the word of the door. */
scheme_verify verify_iam;

/* For schemes of their own: */

/* Compares the HMAC of parts under each usable secret with each candidate; the first secret that made one is
 * v->matched_secret. ACCEPT or BAD_SIGNATURE. */
enum verdict verify_signatures(const struct provider_input *input, const struct recipe *recipe, const struct str *parts,
                               size_t part_count, const struct str *candidates, size_t candidate_count,
                               struct verification *v);
/* Reads a time and looks at its age: MALFORMED, or STALE, or ACCEPT with v->skew_s. To be called once the signature is
 * right. */
enum verdict verify_age(const struct provider_input *input, const struct recipe *recipe, struct str timestamp,
                        struct verification *v);
/* The key that url names: the source's pinned certificate, or what the door fetched. NEED_KEY where it is neither,
 * MALFORMED where the row does not allow that URL. */
enum verdict verify_key(const struct provider_input *input, struct str url, struct verification *v,
                        struct str *ret_pem);
/* A refusal with its reason as printf makes it (a plain one where the arena is full). */
enum verdict verify_refuse(const struct provider_input *input, struct verification *v, enum verdict verdict,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
