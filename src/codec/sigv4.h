/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4 (Amazon's page "Create a signed AWS API request"): pure functions over a request, for
 * checking and for signing. No policy lives here: what we accept at POST / is provider/iam. The published test suite
 * (38 cases, header and query form) runs over these. */
#ifndef PAYHOOK_CODEC_SIGV4_H
#define PAYHOOK_CODEC_SIGV4_H

#include "base/arena.h"
#include "codec/request.h"

/* An "Authorization: AWS4-HMAC-SHA256 …" header, cut; slices of the header. */
struct sigv4_authorization {
    struct str access_key_id;
    struct str scope;                 /* "20150830/us-east-1/service/aws4_request" */
    struct str date, region, service; /* of the scope */
    struct str signed_headers;        /* "host;x-amz-date", as sent */
    struct str signature;             /* as sent */
};
/* Strict: exactly Credential, SignedHeaders and Signature, once each, any order, separated by commas with optional
 * blanks; five scope parts, the last "aws4_request"; signature 64 lower-case hex digits; signed header names lower
 * case, sorted, none twice. */
bool sigv4_authorization_read(struct str header, struct sigv4_authorization *ret_authorization);

struct sigv4_options {
    bool normalize_path;    /* dot segments and repeated slashes resolved first (all services but S3) */
    bool encode_path_twice; /* each path segment percent-encoded (again) (all services but S3) */
};
#define SIGV4_AWS_SERVICE ((struct sigv4_options){.normalize_path = true, .encode_path_twice = true})

/* The canonical request. signed_headers: names as in the header form; payload_hash: hex of the body's SHA-256, or what
 * stands in its place. leave_out: a query parameter not to be included ("X-Amz-Signature" in the query form), or empty.
 */
void sigv4_canonical_request(struct writer *w, const struct http_request *request, struct str signed_headers,
                             struct str payload_hash, struct str leave_out, struct sigv4_options options);
/* amz_date: "20150830T123600Z"; scope: "20150830/us-east-1/service/aws4_request". */
void sigv4_string_to_sign(struct writer *w, struct str amz_date, struct str scope, struct str canonical_request);
/* 64 hex digits. */
void sigv4_signature(struct str secret, struct str date, struct str region, struct str service,
                     struct str string_to_sign, char ret_hex[64]);

/* What signs: credentials and scope. session_token is empty where there is none. */
struct sigv4_signer {
    struct str access_key_id, secret, session_token;
    struct str region, service;
    int64_t now_s;
};
/* Adds x-amz-date (and x-amz-security-token, x-amz-content-sha256 where asked) and Authorization to a request that has
 * its other headers, Host among them; all headers present are signed, but connection, expect, transfer-encoding and
 * user-agent. False where the arena or the header table is full. */
bool sigv4_sign(const struct sigv4_signer *signer, struct sigv4_options options, bool send_content_sha256,
                struct http_request *request, struct arena *arena);
/* The query form ("presigned"): ret_target is the target with the X-Amz-… parameters and the signature; only host is
 * signed unless the request has more headers. expires_s is in seconds. */
bool sigv4_presign(const struct sigv4_signer *signer, struct sigv4_options options, uint32_t expires_s,
                   const struct http_request *request, struct arena *arena, struct str *ret_target);

#endif
